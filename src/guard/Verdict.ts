/** What the end of an attempt says: about the health of the warehouse, about another attempt, about the charge. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { Overloaded } from "./Bulkhead.js"
import type { Failure, Verdict } from "./CircuitBreaker.js"
import { CircuitOpen } from "./CircuitBreaker.js"
import { DeadlineExceeded } from "./Deadline.js"
import type { OperationClass } from "../platform/Operation.js"
import * as RetryPolicy from "./RetryPolicy.js"
import type { Reason } from "../warehouse/Warehouse.js"
import { WarehouseSuspended } from "../quota/Credits.js"
import { WarehouseError } from "../warehouse/Warehouse.js"

/**
 * Only the warehouse's own faults count against it. A caller's mistake proves that the warehouse answers; a fault
 * that an operator has to correct does not go away when the circuit is open.
 */
export const verdicts: { readonly [R in Reason]: Verdict } = {
  InvalidStatement: "alive",
  NotFound: "alive",
  Permission: "alive",
  ResultExpired: "alive",
  StatementTimeout: "ignored",
  ResourcesExceeded: "ignored",
  Cancelled: "ignored",
  Authentication: "ignored",
  LoginUnavailable: "ignored",
  Configuration: "ignored",
  Unavailable: "ignored",
  Overloaded: "ignored",
  SessionLost: "ignored",
  Unreachable: "failure",
  Protocol: "failure",
  ServerFault: "failure",
  Unknown: "failure"
}

const errorOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isSuccess(exit) ? undefined : Option.getOrUndefined(Cause.failureOption(exit.cause))

/** A cancelled call says nothing about the warehouse, and neither does a defect of this program. */
export const verdict = (exit: Exit.Exit<unknown, unknown>, silent = false): Verdict => {
  if (silent) return "failure"
  if (Exit.isSuccess(exit)) return "success"
  const error = errorOf(exit)
  return error instanceof WarehouseError ? verdicts[error.reason] : "ignored"
}

/** What the breaker learns from an attempt that counts against the warehouse. */
export const failureOf = (
  exit: Exit.Exit<unknown, unknown>,
  attempt: {
    readonly silent: boolean
    readonly ms: number
    readonly call: string
    /** Identifies the statement; computed for reported failures only. */
    readonly statement: (() => string | undefined) | undefined
  }
): Failure => {
  const { call, ms, silent, statement } = attempt
  const why = whyOf(exit, silent, ms)
  const error = errorOf(exit)
  if (silent || !(error instanceof WarehouseError)) return { why, call, silent: true }
  if (error.reason === "Unreachable") {
    // A result that breaks off had begun, so something answered.
    return { why, call, silent: error.answered !== true && error.sent !== "yes" }
  }
  return { why, call, silent: false, statement: statement?.() }
}

const LONGEST_WHY = 160

/** Descriptions written by this program. Those of other reasons may quote a caller's statement. */
const isOurs = (reason: Reason): boolean => reason === "Unreachable" || reason === "Protocol"

/** Why an attempt counts against the warehouse, in words that all callers may read. */
export const whyOf = (
  exit: Exit.Exit<unknown, unknown>,
  timedOut: boolean,
  ms: number
): string | undefined => {
  if (timedOut) return `no answer within ${Math.round(ms / 100) / 10} s`
  const error = errorOf(exit)
  if (!(error instanceof WarehouseError)) return undefined
  const code = error.code === undefined ? "" : ` [${error.code.slice(0, 40)}]`
  const what = isOurs(error.reason)
    ? error.description.replace(/\.$/, "").slice(0, LONGEST_WHY)
    : error.reason === "ServerFault"
      ? "it reported an internal error"
      : "it failed without an explanation"
  return `${what}${code}`
}

/** The time of the attempt was over. */
export const isTimeout = (exit: Exit.Exit<unknown, unknown>): boolean =>
  errorOf(exit) instanceof DeadlineExceeded

/** The driver knows that the statement never left the process. */
export const neverLeft = (exit: Exit.Exit<unknown, unknown>): boolean => {
  const error = errorOf(exit)
  return error instanceof WarehouseError && error.sent === "no"
}

/** The warehouse ended the statement at its time limit, or was made to. */
export const isStatementTimeout = (exit: Exit.Exit<unknown, unknown>): boolean => {
  const error = errorOf(exit)
  return error instanceof WarehouseError && error.reason === "StatementTimeout"
}

/** Fails with the error, and with the wait that an open circuit asks for where the error may have opened it. */
export const comeBack =
  (peek: Effect.Effect<void, CircuitOpen>) =>
  <E>(error: E): Effect.Effect<never, E | WarehouseError | DeadlineExceeded> => {
    if (!mayOpen(error)) return Effect.fail(error)
    return Effect.matchEffect(peek, {
      onSuccess: () => Effect.fail(error),
      onFailure: ({ retryAfterMs }) => Effect.fail(withWait(error, retryAfterMs))
    })
  }

const mayOpen = (error: unknown): error is WarehouseError | DeadlineExceeded =>
  error instanceof DeadlineExceeded ||
  (error instanceof WarehouseError && verdicts[error.reason] === "failure")

/** The wait is absent while an operator holds the circuit open. */
const withWait = (
  error: WarehouseError | DeadlineExceeded,
  waitMs: number | undefined
): WarehouseError | DeadlineExceeded => {
  if (waitMs === undefined) return error
  return error instanceof DeadlineExceeded
    ? new DeadlineExceeded({ ...error, retryAfterMs: waitMs })
    : new WarehouseError({ ...error, retryAfterMs: Math.max(waitMs, error.retryAfterMs ?? 0) })
}

const timedOut: RetryPolicy.Decision = { _tag: "Retry", preset: "once", afterTimeout: true }

/**
 * A look-up without an answer is tried once more. A query is not: it may be the reason for the silence, and would
 * run twice at the same time.
 */
export const decide =
  (operation: OperationClass) =>
  (error: unknown): RetryPolicy.Decision =>
    error instanceof DeadlineExceeded
      ? error.of === "attempt" && operation === "metadata"
        ? timedOut
        : RetryPolicy.never
      : RetryPolicy.decide(error)

/**
 * Does a call that sent nothing keep its rate token? It does after an error of the work itself (a rejected statement,
 * a tool's own refusal), which took time here. A refusal, an interruption and a fault on the way cost nothing.
 */
export const keepsToken = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isSuccess(exit) || (exit.cause._tag === "Fail" && !costsNothing(exit.cause.error))

const costsNothing = (error: unknown): boolean =>
  error instanceof Overloaded ||
  error instanceof CircuitOpen ||
  error instanceof DeadlineExceeded ||
  error instanceof WarehouseSuspended ||
  error instanceof WarehouseError
