/** What the end of an attempt says: about the health of the warehouse, about trying again, about money. */
import * as Cause from "effect/Cause"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import { Overloaded } from "./Bulkhead.js"
import type { Failure, Verdict } from "./CircuitBreaker.js"
import { CircuitOpen } from "./CircuitBreaker.js"
import { DeadlineExceeded } from "./Deadline.js"
import type { OperationClass } from "../platform/Operation.js"
import * as RetryPolicy from "./RetryPolicy.js"
import type { Reason } from "../warehouse/Warehouse.js"
import { WarehouseError } from "../warehouse/Warehouse.js"

/**
 * Only faults that are its own count against the warehouse: a caller's mistake proves that it answers,
 * and what an operator must mend is not mended by waiting.
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

/** The time of the attempt was over. */
export const isTimeout = (exit: Exit.Exit<unknown, unknown>): boolean =>
  errorOf(exit) instanceof DeadlineExceeded

/** A cancelled call says nothing, and neither does a defect: it is ours. */
export const verdict = (exit: Exit.Exit<unknown, unknown>, silent = false): Verdict => {
  if (silent) return "failure"
  if (Exit.isSuccess(exit)) return "success"
  const error = errorOf(exit)
  return error instanceof WarehouseError ? verdicts[error.reason] : "ignored"
}

/** What the breaker is told of an attempt that counts against the warehouse. `statement`: told only if it matters. */
export const failureOf = (
  exit: Exit.Exit<unknown, unknown>,
  silent: boolean,
  ms: number,
  call: string,
  statement: (() => string) | undefined
): Failure => {
  const why = whyOf(exit, silent, ms)
  const error = errorOf(exit)
  if (silent || !(error instanceof WarehouseError)) return { why, call, silent: true }
  if (error.reason === "Unreachable") {
    // A result that breaks off was begun: something answered.
    return { why, call, silent: error.answered !== true && error.sent !== "yes" }
  }
  return { why, call, silent: false, statement: statement?.() }
}

/** Did the call fail in a way that may have opened the circuit? */
export const mayOpen = (error: unknown): error is WarehouseError | DeadlineExceeded =>
  error instanceof DeadlineExceeded ||
  (error instanceof WarehouseError && verdicts[error.reason] === "failure")

/** The same failure, with the wait that the open circuit asks of all callers. */
export const comeBack = (
  error: WarehouseError | DeadlineExceeded,
  waitMs: number
): WarehouseError | DeadlineExceeded =>
  error instanceof DeadlineExceeded
    ? new DeadlineExceeded({ ...error, retryAfterMs: waitMs })
    : new WarehouseError({ ...error, retryAfterMs: Math.max(waitMs, error.retryAfterMs ?? 0) })

const LONGEST_WHY = 160

/** What the descriptions of these say is ours, or the network's; others' may quote somebody's statement. */
const isOurs = (reason: Reason): boolean => reason === "Unreachable" || reason === "Protocol"

/** Why an attempt counts against the warehouse, in words that everybody may read. */
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

const errorOf = (exit: Exit.Exit<unknown, unknown>): unknown => {
  if (Exit.isSuccess(exit)) return undefined
  const failure = Cause.failureOrCause(exit.cause)
  return Either.isLeft(failure) ? failure.left : undefined
}

/** The warehouse turned the attempt away as too much. */
export const isOverload = (exit: Exit.Exit<unknown, unknown>): boolean => {
  const error = errorOf(exit)
  return error instanceof WarehouseError && error.reason === "Overloaded"
}

/** The driver knows that the statement never left, although it was about to. */
export const saysNotSent = (error: unknown): boolean => error instanceof WarehouseError && error.sent === "no"

export const neverLeft = (exit: Exit.Exit<unknown, unknown>): boolean => saysNotSent(errorOf(exit))

const timedOut: RetryPolicy.Decision = { _tag: "Retry", preset: "once", afterTimeout: true }

/**
 * A look-up that got no answer is asked again, once. A query is not: it may be the reason for the
 * silence, and would run a second time beside itself.
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
 * An error of the work itself (a rejected statement, a tool's own refusal) used our time, so its token
 * stays spent; what we refused, what was interrupted, and what the warehouse never saw costs nothing.
 */
export const keepsToken = (exit: Exit.Exit<unknown, unknown>): boolean =>
  exit._tag === "Success" || (exit.cause._tag === "Fail" && !costsNothing(exit.cause.error))

const costsNothing = (error: unknown): boolean =>
  error instanceof Overloaded ||
  error instanceof CircuitOpen ||
  error instanceof DeadlineExceeded ||
  (typeof error === "object" && error !== null && "_tag" in error && error._tag === "WarehouseError")
