/**
 * One session with Snowflake: logging in, checking that it lives, and leaving. All of it is bounded in
 * time, and a login that is given up leaves no request behind.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import { WarehouseError } from "../../Warehouse.js"
import type { Login } from "./auth.js"
import { plan } from "./auth.js"
import { bounded } from "./bounded.js"
import type { Phase } from "./classify.js"
import { classify, isDefect } from "./classify.js"
import type { Driver, DriverConnection } from "./driver.js"
import * as Wire from "./wire.js"

/**
 * What tells sessions apart: statements run in the same session only if all of it is the same. Names are
 * exact, that is, not to be folded to upper case.
 *
 * @since 0.1.0
 * @category models
 */
export interface Place {
  readonly role: string | undefined
  readonly warehouse: string | undefined
  readonly database: string | undefined
  readonly schema: string | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  /** Milliseconds a login may take; people at a browser get {@link BROWSER_MS}. */
  readonly loginMs: number
}

/** Long enough to find the window, the password and the second factor. */
const BROWSER_MS = 120_000

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
 *
 * @since 0.1.0
 * @category conversions
 */
export const failure = (thrown: unknown, phase: Phase): WarehouseError =>
  thrown instanceof WarehouseError ? thrown : new WarehouseError({ ...classify(thrown, phase) })

/**
 * The same as the end of an effect. What the driver throws because of a mistake in it, or in us, is a defect:
 * the warehouse has no part in it.
 *
 * @since 0.1.0
 * @category conversions
 */
export const failed = (thrown: unknown, phase: Phase): Exit.Exit<never, WarehouseError> =>
  isDefect(thrown) ? Exit.die(thrown) : Exit.fail(failure(thrown, phase))

const faulty = (faults: ReadonlyArray<{ readonly setting: string; readonly message: string }>) =>
  new WarehouseError({
    reason: "Configuration",
    description: `${faults.map(({ message, setting }) => `snowflake.${setting} ${message}`).join("; ")}.`,
    sent: "no"
  })

const optional = (options: { readonly [name: string]: string | undefined }) =>
  Object.fromEntries(
    Object.entries(options).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, identifier(value)] as const]
    )
  )

/**
 * Logs in. Interruption and time-out end the request.
 *
 * @since 0.1.0
 * @category constructors
 */
export const open = (
  driver: Driver,
  login: Login,
  place: Place,
  limits: Limits
): Effect.Effect<DriverConnection, WarehouseError> =>
  Effect.suspend(() => {
    const options = plan(login)
    if (Either.isLeft(options)) return Effect.fail(faulty(options.left))
    const browser = options.right["authenticator"] === "EXTERNALBROWSER"
    const limitMs = browser ? Math.max(BROWSER_MS, limits.loginMs) : limits.loginMs
    return Effect.async<DriverConnection, WarehouseError>((resume) => {
      const task = Wire.task(undefined, () => undefined)
      try {
        const connection = driver.createConnection({
          ...options.right,
          ...optional({ ...place }),
          application: "Snowguard",
          timeout: REQUEST_MS,
          sfRetryMaxLoginRetries: 0,
          streamResult: true,
          clientSessionKeepAlive: false,
          browserActionTimeout: BROWSER_MS
        })
        Wire.run(task, () =>
          // With the callback: the promise is fulfilled even where the login failed.
          connection.connect((error) => {
            driver.silence()
            resume(
              error === null || error === undefined
                ? Effect.succeed(connection)
                : Effect.fail(failure(error, "login"))
            )
          })
        )
      } catch (error) {
        resume(Effect.fail(failure(error, "login")))
      }
      return Effect.sync(task.abort)
    }).pipe(
      Effect.timeoutFail({
        duration: limitMs,
        onTimeout: () =>
          new WarehouseError({
            reason: "Unreachable",
            description: `The login was not answered within ${Math.round(limitMs / 100) / 10} seconds.`,
            sent: "no"
          })
      })
    )
  })

/**
 * Asks the server whether the session lives; never fails, never takes long.
 *
 * @since 0.1.0
 * @category checks
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

/**
 * Ends the session; never fails, never takes long.
 *
 * @since 0.1.0
 * @category destructors
 */
export const close = (connection: DriverConnection): Effect.Effect<void> =>
  bounded(
    Effect.async<void>((resume) => {
      try {
        connection.destroy(() => resume(Effect.void))
      } catch {
        resume(Effect.void)
      }
    }),
    LEAVE_MS,
    undefined
  )
