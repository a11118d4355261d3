/**
 * Many users at once on an emulated account, each with an access token of its own: calls, cancels, tokens and sessions
 * that end, sessions that are killed, an endpoint that fails. Every statement is looked at where it runs.
 */
import { Chunk, Clock, Effect, Exit, Fiber, Random, Redacted, Schedule, Stream } from "effect"
import * as Emulator from "../../src/emulator/Emulator.js"
import * as Principal from "../../src/platform/Principal.js"
import { identityOf } from "../../src/server/SnowflakeAccount.js"
import { options } from "../../src/server/TokenExchange.js"
import * as Exchange from "../../src/warehouse/snowflake/exchange.js"
import * as Snowflake from "../../src/warehouse/Snowflake.js"
import type { Statement } from "../../src/warehouse/Warehouse.js"
import { settingsOf } from "../config/samples.js"

export interface World {
  readonly users: number
  readonly seed: number
  /** The run ends with whichever comes first. */
  readonly calls: number
  readonly seconds: number
  /** All identities have one key in the pool: what this run is there to find. */
  readonly sharedKey?: boolean
}

export interface Report {
  readonly calls: number
  readonly answered: number
  readonly cancelled: number
  readonly failed: Readonly<Record<string, number>>
  readonly statements: number
  /** Statements that ran as another user or role than their caller's, and answers that were another's. */
  readonly mixedUp: ReadonlyArray<string>
  /** Users that may call and were refused for good. */
  readonly lockedOut: ReadonlyArray<string>
  /** Of the pool, those that were leaving beside them, and those of the account. */
  readonly most: { readonly open: number; readonly leaving: number; readonly alive: number }
  /** Sessions of the account that the pool did not know of, or more than it may have. */
  readonly beyond: ReadonlyArray<string>
  /** When all is quiet, and those that were leaving have left. */
  readonly sessionsAtRest: number
  readonly opened: number
  readonly exchanges: number
  /** Of the heap after a collection, at fixed times; the first fifth is warm-up, and the slope is that of the rest. */
  readonly heapMegabytes: ReadonlyArray<number>
  readonly heapGrowthMegabytesPerMinute: number
}

export const MAX_SESSIONS = 12

const AT_A_TIME = 24
/** Short, so that they end in the middle of everything. Those of the last calls outlast the run. */
const TOKEN_TTL_MS = 3_000

/** A small part of the life of a token, with which its session ends by itself. */
const BEYOND_MS = 500

/** Times at which the heap is measured. */
const MEASURED = 50

/** By least squares: what `ys` rise by from one to the next. */
export const slope = (ys: ReadonlyArray<number>): number => {
  const middle = (ys.length - 1) / 2
  const mean = ys.reduce((sum, y) => sum + y, 0) / ys.length
  const spread = ys.reduce((sum, _, x) => sum + (x - middle) ** 2, 0)
  return spread === 0 ? 0 : ys.reduce((sum, y, x) => sum + (x - middle) * (y - mean), 0) / spread
}

const nameOf = (n: number): string => `U${n}`
const tierOf = (n: number): string => (n % 2 === 0 ? "sales" : "web")
/** The endpoint gives these none. */
const isRefused = (n: number): boolean => n % 13 === 12

export const run = ({ calls, seconds, seed, sharedKey = false, users }: World) =>
  Effect.gen(function* () {
    const all = Array.from({ length: users }, (_, n) => n)
    const mixedUp: Array<string> = []
    const lockedOut = new Set<string>()
    const failed: Record<string, number> = {}
    const counts = { calls: 0, answered: 0, cancelled: 0, statements: 0 }
    const most = { open: 0, leaving: 0, alive: 0 }
    const beyond: Array<string> = []
    let beyondSince: number | undefined
    const found = (what: string): void => {
      if (mixedUp.length < 20) mixedUp.push(what)
    }

    const emulator = yield* Emulator.start({
      directory: {
        users: Object.fromEntries(
          all.map((n) => [
            nameOf(n),
            { roles: ["SALES", "WEB"], ...(isRefused(n) ? { exchangeRefusedWith: "access_denied" } : {}) }
          ])
        ),
        roles: { SALES: { reads: ["SNOWGUARD_SAMPLE.PUBLIC"] }, WEB: { reads: ["SNOWGUARD_SAMPLE.WEB"] } }
      },
      clients: { snowguard: { secret: "secret", exchanges: true } },
      subjectOf: (token) => ({ user: token.replace(/^token of /, "") }),
      tokenTtlMs: TOKEN_TTL_MS,
      concurrency: AT_A_TIME,
      onStatement: ({ role, secondaryRoles, session, sql, tag }) => {
        counts.statements += 1
        const client = /"client":"(U\d+)"/.exec(tag)?.[1]
        if (client === undefined) return
        const own = `${client} ${tierOf(Number(client.slice(1))).toUpperCase()} NONE`
        const as = `${session.user} ${role} ${String(secondaryRoles)}`
        if (as !== own) found(`a statement of ${own} ran as ${as}: ${sql}`)
      }
    })
    const settings = settingsOf({
      document: {
        warehouse: "snowflake",
        auth: { mode: "oauth", issuer: "https://login.example.com", resource: "https://mcp.example.com/mcp" },
        snowflake: { access_url: emulator.url, account: "emulator", identity: "exchange", warehouse: "WH" },
        exchange: {
          client_id: "snowguard",
          client_secret: "secret",
          token_url: `${emulator.url}/oauth/token-request`
        },
        tiers: { sales: { snowflake: { role: "SALES" } }, web: { snowflake: { role: "WEB" } } }
      }
    })
    const exchange = yield* Exchange.make(options(settings))
    const identity = identityOf(settings, { exchange })
    const warehouse = yield* Snowflake.make({
      login: Effect.never,
      identityOf: (principal) => ({ ...identity(principal), ...(sharedKey ? { key: "everyone" } : {}) }),
      database: "SNOWGUARD_SAMPLE",
      schema: "PUBLIC",
      maxSessions: MAX_SESSIONS,
      maxSessionsPerIdentity: 2
    })

    const as = (n: number) =>
      Principal.make(nameOf(n), tierOf(n), {
        id: `https://login.example.com ${nameOf(n)}`,
        name: nameOf(n),
        token: Effect.succeed(Redacted.make(`token of ${nameOf(n)}`))
      })
    let requests = 0
    const read = (n: number, sql: string, more: Partial<Statement> = {}) =>
      Effect.scoped(
        Effect.flatMap(
          warehouse.execute({
            sql,
            timeoutMs: 20_000,
            requestId: `00000000-0000-4000-8000-${String(++requests).padStart(12, "0")}`,
            tag: { tool: "execute_query", client: nameOf(n), tier: tierOf(n) },
            ...more
          }),
          ({ queryId, rows }) =>
            Effect.map(Stream.runCollect(rows), (chunks) => ({
              queryId,
              rows: Chunk.toReadonlyArray(chunks).flat()
            }))
        )
      ).pipe(Effect.provideService(Principal.CurrentPrincipal, as(n)))

    const whoAmI = (n: number) =>
      Effect.tap(read(n, "SELECT CURRENT_USER(), CURRENT_ROLE()", { keepRows: 10 }), ({ rows }) => {
        const own = [nameOf(n), tierOf(n).toUpperCase()]
        if (JSON.stringify(rows) !== JSON.stringify([own]))
          found(`${own.join(" ")} was told ${JSON.stringify(rows)}`)
        return Effect.void
      })

    /** Another's result is not there, or it is a mix-up. */
    const peek = (n: number, of: number) =>
      Effect.flatMap(whoAmI(of), ({ queryId }) =>
        Effect.scoped(
          Effect.flatMap(
            warehouse.results!.fetch({
              queryId,
              offset: 0,
              maxRows: 10,
              timeoutMs: 20_000,
              requestId: `00000000-0000-4000-9000-${String(++requests).padStart(12, "0")}`
            }),
            ({ rows }) => Stream.runCollect(rows)
          )
        ).pipe(
          Effect.provideService(Principal.CurrentPrincipal, as(n)),
          Effect.exit,
          Effect.map((exit) => {
            if (Exit.isSuccess(exit)) found(`${nameOf(n)} read a result of ${nameOf(of)}`)
          })
        )
      )

    const settle = (
      n: number,
      exit: Exit.Exit<unknown, { readonly reason: string; readonly description: string }>
    ) => {
      if (Exit.isSuccess(exit)) counts.answered += 1
      else if (exit.cause._tag === "Fail") {
        const { description, reason } = exit.cause.error
        failed[reason] = (failed[reason] ?? 0) + 1
        if (
          isRefused(n) ? reason === "SessionLost" : reason === "Authentication" || reason === "Configuration"
        ) {
          lockedOut.add(`${nameOf(n)}: ${reason}: ${description}`)
        }
      } else if (Exit.isInterrupted(exit)) counts.cancelled += 1
    }

    const call = Effect.gen(function* () {
      counts.calls += 1
      const n = yield* Random.nextIntBetween(0, users)
      const kind = yield* Random.nextIntBetween(0, 10)
      if (kind < 5) return settle(n, yield* Effect.exit(whoAmI(n)))
      if (kind < 7) {
        const fiber = yield* Effect.fork(read(n, "SELECT SYSTEM$WAIT(0.2)"))
        yield* Effect.sleep(yield* Random.nextIntBetween(0, 200))
        return settle(n, yield* Fiber.interrupt(fiber))
      }
      if (kind < 8) {
        const other = (n + 2) % users
        return settle(other, yield* Effect.exit(peek(n, other)))
      }
      return settle(
        n,
        yield* Effect.exit(
          read(n, "SELECT COUNT(*) FROM INFORMATION_SCHEMA.TABLES LIMIT 1").pipe(
            // What a role may not see is not there.
            Effect.catchIf(
              ({ reason }) => reason === "NotFound",
              () => Effect.void
            )
          )
        )
      )
    })

    const disturb = Effect.gen(function* () {
      // Most of the time nothing goes wrong: an outage of the endpoint is answered by pauses of its own.
      const kind = yield* Random.nextIntBetween(0, 24)
      if (kind < 4) yield* emulator.expireSessions
      if (kind >= 4 && kind < 8) yield* emulator.killSessions
      if (kind === 8) {
        yield* emulator.setFaults({
          faults: [{ kind: "status", status: 503, where: "token", probability: 0.5 }]
        })
        yield* Effect.sleep("300 millis")
        yield* emulator.setFaults({ faults: [] })
      }
      yield* Effect.sleep("400 millis")
    }).pipe(Effect.forever)

    const watch = Effect.gen(function* () {
      const before = yield* warehouse.sessions
      const { alive } = (yield* emulator.state).sessions
      const { leaving, open } = yield* warehouse.sessions
      for (const [name, now] of Object.entries({ open, leaving, alive } satisfies typeof most)) {
        most[name as keyof typeof most] = Math.max(most[name as keyof typeof most], now)
      }
      const known = Math.max(before.open + before.leaving, open + leaving)
      // The looks are not one instant, however busy the machine; what was left behind is there for seconds.
      const now = yield* Clock.currentTimeMillis
      beyondSince = open > MAX_SESSIONS || alive > known ? (beyondSince ?? now) : undefined
      if (beyondSince !== undefined && now - beyondSince >= BEYOND_MS && beyond.length < 20) {
        beyond.push(`${alive} in the account, ${open} in the pool, ${leaving} leaving`)
      }
    }).pipe(Effect.repeat(Schedule.spaced("20 millis")))

    const heapMegabytes: Array<number> = []
    const measure = Effect.sync(() => {
      globalThis.gc?.()
      heapMegabytes.push(Math.round((process.memoryUsage().heapUsed / 2 ** 20) * 10) / 10)
    }).pipe(Effect.repeat(Schedule.fixed((seconds * 1000) / MEASURED)))
    const began = yield* Clock.currentTimeMillis
    const until = began + seconds * 1000
    const worker = Effect.gen(function* () {
      while (counts.calls < calls && (yield* Clock.currentTimeMillis) < until) {
        yield* call
      }
    })
    yield* Effect.scoped(
      Effect.gen(function* () {
        yield* Effect.forkScoped(disturb)
        yield* Effect.forkScoped(watch)
        yield* Effect.forkScoped(measure)
        yield* Effect.forEach(Array.from({ length: AT_A_TIME }), () => worker, {
          concurrency: "unbounded",
          discard: true
        })
      })
    )
    yield* emulator.setFaults({ faults: [] })
    // Nothing lasts: each user that may call is answered when the disturbance is over.
    yield* Effect.forEach(
      all.filter((n) => !isRefused(n)),
      (n) =>
        whoAmI(n).pipe(
          Effect.retry({ schedule: Schedule.spaced("200 millis"), times: 100 }),
          Effect.catchAll(({ description, reason }) =>
            Effect.sync(() => lockedOut.add(`${nameOf(n)} at the end: ${reason}: ${description}`))
          )
        ),
      { concurrency: AT_A_TIME, discard: true }
    )
    yield* Effect.repeat(Effect.delay(warehouse.sessions, "10 millis"), {
      times: 500,
      until: ({ leaving }) => leaving === 0
    })
    const { sessions } = yield* emulator.state
    const { asked } = yield* exchange.status
    const report: Report = {
      ...counts,
      most,
      beyond,
      failed,
      mixedUp,
      lockedOut: [...lockedOut].slice(0, 20),
      sessionsAtRest: sessions.alive,
      opened: sessions.opened,
      exchanges: asked,
      heapMegabytes,
      heapGrowthMegabytesPerMinute:
        Math.round((slope(heapMegabytes.slice(MEASURED / 5)) * MEASURED * 60 * 100) / seconds) / 100
    }
    return report
  }).pipe(Effect.scoped, Effect.withRandom(Random.make(seed)))
