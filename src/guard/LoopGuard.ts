/**
 * Agents that repeat the same failing statement: the same client and statement that fail the same way
 * again and again are answered at once, from memory, with what to change. No call reaches the warehouse
 * until the statement changes or a while has passed.
 *
 * This stands in front of the rate limit, so what it does for a call is bounded: a statement is only read
 * while one of the same client is blocked, and a long one is compared as it stands. Who has no failures
 * pays nothing. The rules are in `guard/core/LoopGuard`.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Core from "./core/LoopGuard.js"
import * as Lru from "../platform/core/Lru.js"
import { unsafeMonotonicMillis } from "../platform/monotonic.js"
import { withoutStack } from "../platform/withoutStack.js"
import { ReadOnly, StatementRejected } from "../gate/ReadOnly.js"
import * as Dialect from "../sql/Dialect.js"
import { fingerprint } from "../sql/Fingerprint.js"
import type { Reason } from "../warehouse/Warehouse.js"
import { WarehouseError } from "../warehouse/Warehouse.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Failures of the same kind after which a statement is not tried again, >= 1. */
  readonly failures: number
  /** Within so many milliseconds; and for so long after the last one. */
  readonly windowMs: number
  /** Statements remembered at most, over all clients. */
  readonly maxEntries: number
  /** Bytes they may take at most. */
  readonly maxBytes: number
}

/**
 * A first failure is a mistake, a second one an accident; a model that has not changed anything by the
 * third will not do so by the tenth.
 *
 * @since 0.1.0
 * @category models
 */
export const defaults: Options = {
  failures: 3,
  windowMs: 60_000,
  maxEntries: 10_000,
  maxBytes: 8 * 1024 * 1024
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Request {
  readonly client: string
  /** As the caller wrote it; comments, spacing and the case of unquoted words do not matter. */
  readonly statement: string
  /**
   * All else that decides whether it can work, as one text: default database and schema, time limit.
   * The same statement with another one is another statement.
   */
  readonly variant?: string | undefined
}

/**
 * The statement has failed the same way several times, and was not tried again.
 *
 * @since 0.1.0
 * @category errors
 */
export class RepeatedFailure extends Schema.TaggedError<RepeatedFailure>("snowguard/RepeatedFailure")(
  "RepeatedFailure",
  {
    /** Failures in a row; this one is not among them. */
    attempts: Schema.Number,
    /** Code of the failure, as in its own report: `WAREHOUSE_NOT_FOUND`, `STATEMENT_REJECTED`. */
    code: Schema.String,
    /** What the failure said the last time. */
    description: Schema.String,
    /** Nearest existing names, when a name was not found. */
    suggestions: Schema.optional(Schema.Array(Schema.String)),
    /** Exact: until then the unchanged statement is not tried, milliseconds. */
    retryAfterMs: Schema.Number
  }
) {
  override get message(): string {
    return `failed ${this.attempts} times with ${this.code}: ${this.description}`
  }
}

/**
 * @since 0.1.0
 * @category context
 */
export class LoopGuard extends Context.Tag("snowguard/LoopGuard")<
  LoopGuard,
  {
    /** Runs the effect unless it is known to fail. Only failures that would come again are remembered. */
    readonly protect: <A, E, R>(
      request: Request,
      effect: Effect.Effect<A, E, R>
    ) => Effect.Effect<A, E | RepeatedFailure, R>
    /** Statements in trouble, and calls answered from memory so far. */
    readonly status: Effect.Effect<{ readonly entries: number; readonly refused: number }>
  }
>() {}

interface Failure extends Core.Failure {
  readonly code: string
  readonly description: string
  readonly suggestions?: ReadonlyArray<string> | undefined
}

/** Failures that come again however often the statement is repeated. */
const deterministic: { readonly [R in Reason]: string | undefined } = {
  InvalidStatement: "WAREHOUSE_INVALID_STATEMENT",
  NotFound: "WAREHOUSE_NOT_FOUND",
  Permission: "WAREHOUSE_PERMISSION",
  StatementTimeout: "WAREHOUSE_STATEMENT_TIMEOUT",
  // Together with others it may have been too much, and alone it is not.
  ResourcesExceeded: undefined,
  Cancelled: undefined,
  ResultExpired: undefined,
  Authentication: undefined,
  LoginUnavailable: undefined,
  Configuration: undefined,
  Unavailable: undefined,
  Overloaded: undefined,
  SessionLost: undefined,
  Unreachable: undefined,
  Protocol: undefined,
  ServerFault: undefined,
  Unknown: undefined
}

/** What is known of a client, without reading its statements. Monotonic milliseconds. */
interface Client {
  /** Until then one of its failures may be remembered ... */
  readonly failedUntil: number
  /** ... and one of its statements may be blocked. */
  readonly blockedUntil: number
}

const innocent: Client = { failedUntil: -Infinity, blockedUntil: -Infinity }

/** Characters; reading more of them in front of the rate limit would be work that nobody limits. */
const READ_AT_MOST = 16_384

const failureOf = (error: unknown): Failure | undefined => {
  if (error instanceof StatementRejected) {
    const description = error.hint === undefined ? error.reason : `${error.reason} ${error.hint}`
    return { kind: `STATEMENT_REJECTED ${error.code}`, code: "STATEMENT_REJECTED", description }
  }
  if (!(error instanceof WarehouseError)) return undefined
  const code = deterministic[error.reason]
  return code === undefined
    ? undefined
    : { kind: code, code, description: error.description, suggestions: error.suggestions }
}

const refusal = ({ attempts, failure, retryAfterMs }: Core.Blocked<Failure>): RepeatedFailure => {
  const { code, description, suggestions } = failure
  return withoutStack(
    () => new RepeatedFailure({ attempts, code, description, suggestions, retryAfterMs }, true)
  )
}

/** Two bytes a character, and the objects around them. */
const bytesOf = (key: string, { description, suggestions = [] }: Failure): number =>
  2 * (key.length + description.length + suggestions.join("").length) + 500

/** Whole milliseconds, so that `retryAfterMs` is exact. */
const nowOf = (clock: Clock.Clock): number => Math.floor(unsafeMonotonicMillis(clock))

/**
 * The dialect must be the warehouse's own: what is a comment in one is an operator in another.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  dialect: Dialect.Dialect["name"],
  options: Partial<Options> = {}
): Effect.Effect<Context.Tag.Service<LoopGuard>> =>
  Effect.sync(() => {
    const config: Options = { ...defaults, ...options }
    const state = Core.make<Failure>(config)
    // In the order of their latest failure.
    const clients = new Map<string, Client>()
    let refused = 0

    const keyOf = ({ client, statement, variant = "" }: Request): string =>
      JSON.stringify([
        client,
        variant,
        statement.length > READ_AT_MOST ? statement : fingerprint(statement, Dialect[dialect])
      ])

    const hasFailed = (client: string, now: number, blocked: Core.Blocked<Failure> | undefined): void => {
      const { blockedUntil } = clients.get(client) ?? innocent
      clients.delete(client)
      clients.set(client, {
        failedUntil: now + config.windowMs,
        blockedUntil:
          blocked === undefined ? blockedUntil : Math.max(blockedUntil, now + blocked.retryAfterMs)
      })
      for (const [oldest, { failedUntil }] of clients) {
        if (failedUntil > now && clients.size <= config.maxEntries) break
        clients.delete(oldest)
      }
    }

    const settle = <A, E>(
      clock: Clock.Clock,
      client: string,
      key: () => string,
      exit: Exit.Exit<A, E>
    ): void => {
      const now = nowOf(clock)
      if (Exit.isSuccess(exit)) {
        if ((clients.get(client) ?? innocent).failedUntil > now) Core.succeeded(state, key())
        return
      }
      const failure = failureOf(Option.getOrUndefined(Cause.failureOption(exit.cause)))
      if (failure !== undefined) {
        Core.failed(state, now, config, key(), failure, bytesOf(key(), failure))
        hasFailed(client, now, Core.check(state, now, config, key()))
      }
    }

    return {
      protect: <A, E, R>(request: Request, effect: Effect.Effect<A, E, R>) =>
        Effect.clockWith((clock): Effect.Effect<A, E | RepeatedFailure, R> => {
          let known: string | undefined
          const key = (): string => (known ??= keyOf(request))
          const { client } = request
          const now = nowOf(clock)
          const mayBeBlocked = (clients.get(client) ?? innocent).blockedUntil > now
          const blocked = mayBeBlocked ? Core.check(state, now, config, key()) : undefined
          if (blocked !== undefined) {
            refused += 1
            return Effect.fail(refusal(blocked))
          }
          return Effect.onExit(effect, (exit) => Effect.sync(() => settle(clock, client, key, exit)))
        }),
      status: Effect.sync(() => ({ entries: Lru.size(state), refused }))
    }
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Partial<Options>): Layer.Layer<LoopGuard, never, ReadOnly> =>
  Layer.effect(
    LoopGuard,
    Effect.flatMap(ReadOnly, ({ dialect }) => make(dialect, options))
  )

/**
 * Remembers nothing.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerNoop: Layer.Layer<LoopGuard> = Layer.succeed(LoopGuard, {
  protect: (_, effect) => effect,
  status: Effect.succeed({ entries: 0, refused: 0 })
})
