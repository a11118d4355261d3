/**
 * One session with Snowflake: logging in, checking that it lives, and leaving. All of it is bounded in
 * time, and a login that is given up leaves no request behind.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { WarehouseError } from "../Warehouse.js"
import { plan, priceOf, withoutSecrets } from "./auth.js"
import type { Login } from "./auth.js"
import { classify, isDefect } from "./classify.js"
import type { Phase } from "./classify.js"
import type { Driver, DriverConnection } from "./driver.js"
import type { Identity } from "./identity.js"
import * as Proxy from "./proxy.js"
import * as Wire from "./wire.js"

/**
 * What tells sessions apart: statements run in the same session only if all of it is the same. Names are
 * exact, that is, not to be folded to upper case.
 */
export interface Place {
  /** Sessions are never shared between identities, which are told apart by their key. */
  readonly as: Identity
  readonly role: string | undefined
  readonly warehouse: string | undefined
  readonly database: string | undefined
  readonly schema: string | undefined
}

interface Limits {
  /** Milliseconds a login may take. */
  readonly loginMs: number
  /** Milliseconds for one that a person has to approve, in a browser or on a phone. */
  readonly approvalMs: number
}

/**
 * Parameters of every session: what our answers depend on does not depend on what an account or a user has set.
 * Formats of dates and the time zone are left alone, since values arrive as numbers, and conversions in SQL are
 * the user's own.
 */
const parameters = {
  // Object rules compare names as they are written.
  QUOTED_IDENTIFIERS_IGNORE_CASE: false,
  // A statement whose session is gone ends, although nothing can cancel it any more.
  ABORT_DETACHED_QUERY: true,
  // A read must not leave a transaction open.
  AUTOCOMMIT: true,
  BINARY_OUTPUT_FORMAT: "HEX",
  GEOGRAPHY_OUTPUT_FORMAT: "GeoJSON",
  GEOMETRY_OUTPUT_FORMAT: "GeoJSON",
  // Semi-structured values without the white space that they would be shown with.
  JSON_INDENT: 0
}

/** Milliseconds that leaving may take: a server that does not answer forgets the session by itself. */
const LEAVE_MS = 2_000

const HEARTBEAT_MS = 5_000

/** Of one HTTP request. The server holds a poll for a result back for 45 seconds. */
const REQUEST_MS = 60_000

/** As an identifier in the address of a login, where a plain name would be folded to upper case. */
const identifier = (name: string): string =>
  /^[A-Z_][A-Z0-9_$]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`

/**
 * The driver's error as the port's. What the driver threw is left behind: it may quote a request.
 */
const failure = (thrown: unknown, phase: Phase): WarehouseError =>
  thrown instanceof WarehouseError ? thrown : new WarehouseError({ ...classify(thrown, phase) })

/**
 * The same as the end of an effect. What the driver throws because of a mistake in it, or in us, is a defect:
 * the warehouse has no part in it.
 */
export const failed = (thrown: unknown, phase: Phase): Exit.Exit<never, WarehouseError> =>
  isDefect(thrown) ? Exit.die(thrown) : Exit.fail(failure(thrown, phase))

const configuration = (description: string) =>
  new WarehouseError({ reason: "Configuration", description, sent: "no" })

const faulty = (faults: ReadonlyArray<{ readonly setting: string; readonly message: string }>) =>
  configuration(`${faults.map(({ message, setting }) => `snowflake.${setting} ${message}`).join("; ")}.`)

const optional = (options: { readonly [name: string]: string | undefined }) =>
  Object.fromEntries(
    Object.entries(options).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, identifier(value)] as const]
    )
  )

/** A proxy that the driver cannot make sense of: it would fail in the middle of a request, or not at all. */
const proxyProblem = (addresses: ReadonlyArray<unknown>): string | undefined =>
  addresses
    .map((address) => (typeof address === "string" ? Proxy.problem(address, process.env) : undefined))
    .find((problem) => problem !== undefined)

const unanswered = (limitMs: number, waitsFor: "person" | "provider" | "server"): WarehouseError => {
  const within = `within ${Math.round(limitMs / 100) / 10} seconds`
  switch (waitsFor) {
    case "person":
      return new WarehouseError({
        reason: "Authentication",
        description: `The login was not approved ${within}, on the user's device or in the browser.`,
        sent: "no"
      })
    case "provider":
      return new WarehouseError({
        reason: "LoginUnavailable",
        description: `The identity provider did not answer ${within}.`,
        sent: "no"
      })
    case "server":
      return new WarehouseError({
        reason: "Unreachable",
        description: `The login was not answered ${within}.`,
        sent: "no"
      })
  }
}

/**
 * Logs in. Interruption and time-out end the request.
 */
export const open = (
  driver: Driver,
  login: Login,
  { database, role, schema, warehouse }: Omit<Place, "as">,
  limits: Limits
): Effect.Effect<DriverConnection, WarehouseError> =>
  Effect.gen(function* () {
    const options = plan(login)
    if (Either.isLeft(options)) return yield* faulty(options.left)
    const { accessUrl, authenticator, oauthTokenRequestUrl } = options.right
    const problem = proxyProblem([accessUrl, oauthTokenRequestUrl])
    if (problem !== undefined) return yield* configuration(`${problem}.`)
    const price = priceOf(login)
    const byProvider = authenticator === "OAUTH_CLIENT_CREDENTIALS"
    const limitMs = price === "person" ? Math.max(limits.approvalMs, limits.loginMs) : limits.loginMs
    const task = yield* Wire.task(undefined, { parameters, timeoutMs: limitMs })
    const failed = (thrown: unknown) => {
      const known = classify(thrown, "login", byProvider)
      return new WarehouseError({ ...known, description: withoutSecrets(login, known.description) })
    }
    return yield* Effect.async<DriverConnection, WarehouseError>((resume) => {
      try {
        const connection = driver.createConnection({
          ...options.right,
          ...optional({ database, role, schema, warehouse }),
          application: "Snowguard",
          timeout: REQUEST_MS,
          sfRetryMaxLoginRetries: 0,
          streamResult: true,
          // A session whose login needed a person is kept for as long as the server runs.
          clientSessionKeepAlive: price !== "none",
          browserActionTimeout: limitMs
        })
        Wire.run(task, () =>
          // With the callback: the promise is fulfilled even where the login failed.
          connection.connect((error) => {
            driver.silence()
            resume(
              error === null || error === undefined ? Effect.succeed(connection) : Effect.fail(failed(error))
            )
          })
        )
      } catch (error) {
        resume(Effect.fail(failed(error)))
      }
      return Effect.sync(task.abort)
    }).pipe(
      Effect.timeoutFail({
        duration: limitMs,
        onTimeout: () =>
          unanswered(
            limitMs,
            price === "person" ? "person" : byProvider && !task.loginSent ? "provider" : "server"
          )
      })
    )
  })

/**
 * Asks the server whether the session lives; never fails, never takes long.
 */
export const lives = (connection: DriverConnection): Effect.Effect<boolean> =>
  bounded(
    Effect.async<boolean>((resume) => {
      if (!connection.isUp()) return resume(Effect.succeed(false))
      connection.heartbeat((error) => resume(Effect.succeed(error === null || error === undefined)))
    }),
    HEARTBEAT_MS,
    false
  )

/** Whether the account knows that it has ended. */
const left = (connection: DriverConnection) =>
  Effect.async<boolean>((resume) => {
    try {
      connection.destroy((error) => resume(Effect.succeed(error === null || error === undefined)))
    } catch {
      resume(Effect.succeed(true))
    }
  })

/**
 * Ends the session; never fails, never takes long. A logout whose token has expired is not done: the session would stay
 * in the account for hours. The driver renews the token for the heartbeat, and not for a logout.
 */
export const close = (connection: DriverConnection): Effect.Effect<void> =>
  bounded(
    Effect.flatMap(left(connection), (isDone) =>
      isDone ? Effect.void : Effect.asVoid(Effect.zipRight(lives(connection), left(connection)))
    ),
    LEAVE_MS,
    undefined
  )

/**
 * What an effect that cannot fail gives within a time, or else the fallback. For finalizers: there nothing
 * can be interrupted, so a time-out needs a fiber of its own that can.
 */
export const bounded = <A>(
  self: Effect.Effect<A>,
  limit: Duration.DurationInput,
  fallback: A
): Effect.Effect<A> =>
  self.pipe(
    Effect.timeoutTo({ duration: limit, onTimeout: () => fallback, onSuccess: (value) => value }),
    Effect.interruptible,
    Effect.forkDaemon,
    Effect.flatMap((fiber) => Effect.onInterrupt(Fiber.join(fiber), () => Fiber.interruptFork(fiber)))
  )
