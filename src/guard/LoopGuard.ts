/**
 * Stops agents that repeat a failing statement: a statement of a client that has failed the same way several times is
 * answered from memory, with what to change. It reaches the warehouse again when it has changed or `windowMs` has
 * passed.
 *
 * It is in front of the rate limit, so its work per call is bounded: a statement is read only while a failure of the
 * same client is remembered, and a long one is compared as it is. The rules are in `guard/core/LoopGuard`.
 *
 * ```ts
 * loopGuard.protect({ client: "team-a", statement: "SELECT x FROM t" }, theCall)
 * ```
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as Core from "./core/LoopGuard.js"
import * as Lru from "../platform/core/Lru.js"
import { steps } from "../platform/monotonic.js"
import { withoutStack } from "../platform/withoutStack.js"
import { ReadOnly, StatementRejected } from "../gate/ReadOnly.js"
import * as Dialect from "../sql/Dialect.js"
import { fingerprint } from "../sql/Fingerprint.js"
import type { Reason } from "../warehouse/Warehouse.js"
import { WarehouseError } from "../warehouse/Warehouse.js"

/**
 * After how many failures a statement is blocked, for how long, and how many statements are remembered.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Failures of the same kind after which a statement is blocked, >= 1. */
  readonly failures: number
  /** Milliseconds in which they count, and for which the statement is blocked after the last one. */
  readonly windowMs: number
  /** Statements remembered at most, over all clients. */
  readonly maxEntries: number
  /** Bytes that they take at most. */
  readonly maxBytes: number
}

/**
 * Three failures: a model that has not changed the statement by then does not change it later either.
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
 * Whose statement it is, and all that its outcome depends on.
 *
 * @since 0.1.0
 * @category models
 */
export interface Request {
  readonly client: string
  /** As the caller wrote it; comments, spacing and the case of unquoted words do not matter. */
  readonly statement: string
  /**
   * Everything else that decides whether it can work, as one text: default database and schema, time limit. Part of
   * the identity of the statement.
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
    /** Code of the failure, as in its own error report: `WAREHOUSE_NOT_FOUND`, `STATEMENT_REJECTED`. */
    code: Schema.String,
    /** Description of the latest failure. */
    description: Schema.String,
    /** Similar existing names, when a name was not found. */
    suggestions: Schema.optional(Schema.Array(Schema.String)),
    /** Milliseconds until the unchanged statement is tried again; exact. */
    retryAfterMs: Schema.Number
  }
) {
  override get message(): string {
    return `failed ${this.attempts} times with ${this.code}: ${this.description}`
  }
}

/**
 * Remembers statements that failed. Fails with `RepeatedFailure` in their place, beside the errors of the work.
 *
 * @since 0.1.0
 * @category context
 */
export class LoopGuard extends Context.Tag("snowguard/LoopGuard")<
  LoopGuard,
  {
    /** Runs the effect unless its statement is blocked. Remembers deterministic failures only. */
    readonly protect: <A, E, R>(
      request: Request,
      effect: Effect.Effect<A, E, R>
    ) => Effect.Effect<A, E | RepeatedFailure, R>
    /** Statements with a remembered failure, and calls answered from memory since the start. */
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
  // Depends on the load of other statements.
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

/**
 * The codes of failures that are answered from memory.
 *
 * @since 0.1.0
 * @category constants
 */
export const codes: ReadonlyArray<string> = [
  "STATEMENT_REJECTED",
  ...Object.values(deterministic).filter((code) => code !== undefined)
]

/** Characters. Longer statements are not normalised: the work in front of the rate limit is bounded. */
const READ_AT_MOST = 16_384

const failureOf = (error: unknown): Failure | undefined => {
  if (error instanceof StatementRejected) {
    const description = error.hint === undefined ? error.reason : `${error.reason} ${error.hint}`
    return { kind: `STATEMENT_REJECTED ${error.code}`, code: "STATEMENT_REJECTED", description }
  }
  if (!(error instanceof WarehouseError)) return undefined
  // It may work when the warehouse is well again.
  if (error.lateness?.fault === "warehouse") return undefined
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

interface Checked {
  readonly blocked: Core.Blocked<Failure> | undefined
  readonly now: number
}

interface State {
  readonly troubles: Core.State<Failure>
  readonly clients: Core.Clients
  readonly refused: number
}

/**
 * The dialect must be that of the warehouse: a comment of one dialect is an operator in another.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  dialect: Dialect.Dialect["name"],
  options: Partial<Options> = {}
): Effect.Effect<Context.Tag.Service<LoopGuard>> =>
  Effect.gen(function* () {
    const { modifyAt, updateAt } = yield* steps
    const config: Options = { ...defaults, ...options }
    /** The tables in it are updated in place, each time in one step of the `Ref`. */
    const ref = yield* Ref.make<State>({
      troubles: Core.make(config),
      clients: Core.makeClients(),
      refused: 0
    })

    const keyOf = ({ client, statement, variant = "" }: Request): string =>
      JSON.stringify([
        client,
        variant,
        statement.length > READ_AT_MOST ? statement : fingerprint(statement, Dialect[dialect])
      ])

    /** Whole milliseconds, so that `retryAfterMs` is exact. */
    const check = (request: Request): Effect.Effect<Checked> =>
      modifyAt(ref, (state, at): readonly [Checked, State] => {
        const now = Math.floor(at)
        const blocked = Core.mayBeBlocked(state.clients, now, request.client)
          ? Core.check(state.troubles, now, config, keyOf(request))
          : undefined
        return [{ blocked, now }, blocked === undefined ? state : { ...state, refused: state.refused + 1 }]
      })

    const settle = (request: Request, begunAt: number, exit: Exit.Exit<unknown, unknown>) =>
      updateAt(ref, (state, at) => {
        const now = Math.floor(at)
        const { clients, troubles } = state
        const { client } = request
        if (Exit.isSuccess(exit)) {
          if (Core.mayHaveFailed(clients, now, client)) Core.succeeded(troubles, keyOf(request))
          return state
        }
        const failure = failureOf(Option.getOrUndefined(Cause.failureOption(exit.cause)))
        if (failure === undefined) return state
        const key = keyOf(request)
        Core.failed(troubles, now, config, key, failure, bytesOf(key, failure), begunAt)
        const blocked = Core.check(troubles, now, config, key)
        Core.clientFailed(clients, now, config, client, blocked?.retryAfterMs ?? 0)
        return state
      })

    return {
      protect: <A, E, R>(request: Request, effect: Effect.Effect<A, E, R>) =>
        Effect.flatMap(check(request), ({ blocked, now }): Effect.Effect<A, E | RepeatedFailure, R> =>
          blocked === undefined
            ? Effect.onExit(effect, (exit) => settle(request, now, exit))
            : Effect.fail(refusal(blocked))
        ),
      status: Effect.map(Ref.get(ref), ({ refused, troubles }) => ({ entries: Lru.size(troubles), refused }))
    }
  })

/**
 * Remembers nothing at first; statements are compared in the dialect of the gate.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Partial<Options>): Layer.Layer<LoopGuard, never, ReadOnly> =>
  Layer.effect(
    LoopGuard,
    Effect.flatMap(ReadOnly, ({ dialect }) => make(dialect, options))
  )

/**
 * Blocks nothing and remembers nothing.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerNoop: Layer.Layer<LoopGuard> = Layer.succeed(LoopGuard, {
  protect: (_, effect) => effect,
  status: Effect.succeed({ entries: 0, refused: 0 })
})
