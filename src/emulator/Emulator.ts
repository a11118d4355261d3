/**
 * A Snowflake account on this machine: its HTTP protocol, served from the embedded engine, with faults on
 * demand.
 *
 *     driver ---> listener ---> faults ---> endpoints ---> sessions, statements ---> embedded engine
 *                    ^             ^
 *     control port --+-- control --+   (also under /__emulator/ of the main port while that listens)
 *
 * Everything lives in the scope: closing it ends the statements, destroys every socket and frees the
 * engine. Only loopback is listened on unless told otherwise.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as DuckDb from "../warehouse/DuckDb.js"
import type { Bill } from "./billing.js"
import * as Billing from "./billing.js"
import * as ChunkUrls from "./chunkUrls.js"
import * as Control from "./control.js"
import * as FaultGate from "./faults.js"
import type { FaultScript } from "./FaultScript.js"
import { none } from "./FaultScript.js"
import * as Faulty from "./faulty.js"
import type { Services } from "./handlers.js"
import type { Accepted } from "./login.js"
import type { EmulatorError, Handler, HttpServer } from "./http.js"
import * as Http from "./http.js"
import * as Identities from "./identities.js"
import * as Ids from "./ids.js"
import type { Traits } from "./listings.js"
import { SHOW_ROWS } from "./listings.js"
import * as Protocol from "./protocol.js"
import * as Semantic from "./semantic.js"
import * as Sessions from "./sessions.js"
import * as Statements from "./statements.js"

export { EmulatorError } from "./http.js"

export interface Options extends Pick<
  Partial<Accepted>,
  "secondFactors" | "refusals" | "clients" | "subjectOf" | "tokenUser" | "tokenTtlMs"
> {
  /** 0 (the default) takes any that is free. */
  readonly port?: number | undefined
  readonly host?: string | undefined
  /** Where the control endpoints stay reachable while the main port refuses connections. Default: any. */
  readonly controlPort?: number | undefined
  readonly faults?: FaultScript | undefined
  /** Decides what the faults' probabilities come out as. Default 1. */
  readonly seed?: number | undefined
  /** Passwords by user name. Default: {@link defaultUser} with {@link defaultPassword}. */
  readonly users?: Readonly<Record<string, string>> | undefined
  /** Users with their roles, and what roles may read; in place of `users` and `roles`. */
  readonly directory?: Identities.Directory | undefined
  /** Told of each statement when it is submitted, with its session: as whom it runs. */
  readonly onStatement?: ((statement: Statements.Statement) => void) | undefined
  /** OAuth and programmatic access tokens that are accepted. Default: any that is not empty. */
  readonly tokens?: ReadonlyArray<string> | undefined
  /** Warehouses and roles that exist. Default: any. */
  readonly warehouses?: ReadonlyArray<string> | undefined
  readonly roles?: ReadonlyArray<string> | undefined
  /** Size, auto-suspend and so on of warehouses by name. Default: X-Small, and always running. */
  readonly compute?: Readonly<Record<string, Billing.Traits>> | undefined
  /** Rows of `MY_BUDGET_SUMMARY()`; there is no such function when absent. */
  readonly budgets?: ReadonlyArray<Readonly<Record<string, string>>> | undefined
  /** Kinds and masking policies of tables, by `DATABASE.SCHEMA.TABLE`. */
  readonly tables?: Traits | undefined
  /** Default: the one over the sample, where there is a sample. */
  readonly semanticViews?: ReadonlyArray<Semantic.SemanticView> | undefined
  /** Rows of a SHOW at most. Default 10,000. */
  readonly showRows?: number | undefined
  /** What `CURRENT_ACCOUNT()` answers. Default `EMULATOR`. */
  readonly account?: string | undefined
  /** How long the answer to a running statement is held back before the client has to poll. Default 45 s. */
  readonly holdMs?: number | undefined
  /** How long a session token lives. Default one hour. */
  readonly sessionTtlMs?: number | undefined
  /** Rows that come with the answer itself; the rest comes in chunks. Default 1,000. */
  readonly inlineRows?: number | undefined
  /** Rows in a chunk. Default 5,000. */
  readonly chunkRows?: number | undefined
  /** Statements that run at a time; more are queued. Default 8. */
  readonly concurrency?: number | undefined
  /** Statements that are remembered after they have ended, with their results. Default 500. */
  readonly keepStatements?: number | undefined
  /** Open the engine at once instead of with the first login, which then waits for it. */
  readonly warm?: boolean | undefined
  /** Of the embedded engine; see the embedded warehouse. */
  readonly sample?: boolean | undefined
  /** In place of the sample. */
  readonly data?: DuckDb.Options["data"]
  readonly memoryLimit?: string | undefined
  readonly threads?: number | undefined
}

export interface Emulator {
  readonly port: number
  /** What the driver calls `accessUrl`. */
  readonly url: string
  readonly controlPort: number
  readonly controlUrl: string
  readonly state: Effect.Effect<Control.State>
  /** What the warehouses cost until now. */
  readonly bills: Effect.Effect<ReadonlyArray<Bill>>
  readonly suspend: (warehouse: string) => Effect.Effect<void>
  readonly setFaults: (script: FaultScript) => Effect.Effect<void>
  readonly reset: Effect.Effect<void>
  /** The tokens of all sessions have expired. */
  readonly expireSessions: Effect.Effect<void>
  /** All sessions are gone, as when an administrator aborts them. */
  readonly killSessions: Effect.Effect<void>
}

export const defaultUser = "SNOWGUARD"
export const defaultPassword = "snowguard"

const passwordsOf = (directory: Identities.Directory | undefined) =>
  directory === undefined
    ? undefined
    : Object.fromEntries(
        Object.entries(directory.users).flatMap(([name, { password }]) =>
          password === undefined ? [] : [[name, password] as const]
        )
      )

const host = "127.0.0.1"

/**
 * Starts it; it has ended when the scope has closed.
 */
export const start = (options: Options = {}): Effect.Effect<Emulator, EmulatorError, Scope.Scope> =>
  Effect.gen(function* () {
    const address = options.host ?? host
    // One process for the account: its statements run beside each other.
    const engine = yield* DuckDb.makeEmbedded({ ...options, processes: 1 })
    if (options.warm === true) yield* Effect.forkScoped(Effect.ignore(engine.names))
    const sessions = Sessions.make(options.sessionTtlMs ?? 3_600_000)
    const billing = Billing.make(options.compute)
    const environment = {
      engine,
      billing,
      budgets: options.budgets,
      sizes: { inlineRows: options.inlineRows ?? 1000, chunkRows: options.chunkRows ?? 5000 },
      account: options.account ?? "EMULATOR",
      warehouses: options.warehouses,
      roles: options.roles,
      identities: options.directory === undefined ? undefined : Identities.make(options.directory, engine),
      traits: options.tables ?? {},
      semanticViews: options.semanticViews ?? (options.sample === false ? [] : [Semantic.sample]),
      showRows: options.showRows ?? SHOW_ROWS
    }
    const statements = yield* Statements.make(
      {
        concurrency: options.concurrency ?? 8,
        keep: options.keepStatements ?? 500,
        keepBytes: 256 * 1_048_576,
        onStatement: options.onStatement
      },
      environment
    )
    const requests = new Map<string, number>()
    const services: Services = {
      sessions,
      statements,
      chunkUrls: ChunkUrls.make(yield* Ids.hex(64)),
      accepted: {
        ...options,
        users: options.users ?? passwordsOf(options.directory) ?? { [defaultUser]: defaultPassword },
        tokenTtlMs: options.tokenTtlMs ?? 600_000,
        tokens: options.tokens
      },
      logins: {
        usedPasscodes: new Set(),
        issued: new Set(),
        tokens: new Map(),
        pushed: () => void requests.set("Push", (requests.get("Push") ?? 0) + 1)
      },
      environment,
      holdMs: options.holdMs ?? 45_000,
      defaults: { role: "SYSADMIN", warehouse: options.warehouses?.[0] ?? "COMPUTE_WH" }
    }
    const gate = yield* FaultGate.make(options.faults ?? none, options.seed ?? 1)
    const servers: Array<HttpServer> = []
    const control: Control.Services = {
      sessions,
      statements,
      gate,
      requests,
      connections: () => servers[0]?.connections() ?? 0
    }

    const steer = (path: string, request: Http.Request) =>
      Effect.map(Control.answer(control, path, request), (reply) => ({
        reply,
        manner: { _tag: "Whole" as const }
      }))

    const main: Handler = (request) => {
      const route = Protocol.route(request.method, request.url.pathname)
      if (route._tag === "Control") return steer(route.path, request)
      control.requests.set(route._tag, (control.requests.get(route._tag) ?? 0) + 1)
      return Faulty.answer(services, gate, route, request)
    }
    const controlOnly: Handler = (request) => {
      const route = Protocol.route(request.method, request.url.pathname)
      return route._tag === "Control"
        ? steer(route.path, request)
        : Effect.succeed({ reply: Http.html(404, "Not Found"), manner: { _tag: "Whole" } })
    }

    const server = yield* Http.make(address, options.port ?? 0, main)
    servers.push(server)
    const controlServer = yield* Http.make(address, options.controlPort ?? 0, controlOnly)
    yield* Effect.forkScoped(gate.follow(server.setListening))

    return {
      port: server.port,
      url: `http://${address}:${server.port}`,
      controlPort: controlServer.port,
      controlUrl: `http://${address}:${controlServer.port}`,
      state: Control.state(control),
      bills: Effect.map(Clock.currentTimeMillis, billing.bills),
      suspend: (warehouse) => Effect.map(Clock.currentTimeMillis, (now) => billing.suspend(warehouse, now)),
      setFaults: gate.install,
      reset: Control.reset(control),
      expireSessions: Effect.sync(() => {
        for (const session of sessions.all()) sessions.expire(session)
      }),
      killSessions: Effect.suspend(() =>
        Effect.forEach(
          sessions.all(),
          (session) => {
            sessions.close(session)
            return statements.cancelAllOf(session)
          },
          { discard: true }
        )
      )
    }
  })
