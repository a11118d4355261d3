/**
 * Error -> what the model and the client read. Exhaustive: a new error does not compile until it has
 * its text here.
 *
 * The text says, in this order: what happened and whose limit it was; whether anything ran; how long to
 * wait (and until when, where it is long); whether the same call will then work; and to tell the user,
 * where waiting is not for a model.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import {
  bytes,
  circuitText,
  fitsLater,
  iso,
  narrower,
  optional,
  quotaText,
  ran,
  retry,
  scopeWords,
  seconds,
  sentence,
  slotsText,
  wait,
  warehouseCode,
  warehouseText
} from "./internal/errorWords.js"
import type { RequestError } from "./Tool.js"

/**
 * The typed half of a refusal, found in a result's `_meta["dev.snowguard/error"]`.
 *
 * @since 0.1.0
 * @category models
 */
export const ErrorReport = Schema.Struct({
  /** Stable, upper case. */
  code: Schema.String,
  /** The same text that the model reads. */
  message: Schema.String,
  /** Will the same call work later, without anything being changed? */
  retryable: Schema.Boolean,
  /** Milliseconds to wait, rounded up. */
  retryAfterMs: Schema.optionalWith(Schema.Number, { exact: true }),
  /** ISO 8601, when the wait is over. */
  retryAt: Schema.optionalWith(Schema.String, { exact: true }),
  scope: Schema.optionalWith(Schema.String, { exact: true }),
  limit: Schema.optionalWith(Schema.Number, { exact: true }),
  used: Schema.optionalWith(Schema.Number, { exact: true }),
  remaining: Schema.optionalWith(Schema.Number, { exact: true }),
  resetAt: Schema.optionalWith(Schema.String, { exact: true }),
  /** Did a statement reach the warehouse? Statements are reads: `unknown` is about cost, not data. */
  sideEffects: Schema.Literal("none", "unknown"),
  queryId: Schema.optionalWith(Schema.String, { exact: true }),
  suggestions: Schema.optionalWith(Schema.Array(Schema.String), { exact: true }),
  /** Offset of a rejected statement's fault, in UTF-16 units. */
  position: Schema.optionalWith(Schema.Number, { exact: true })
})
/**
 * @since 0.1.0
 * @category models
 */
export type ErrorReport = typeof ErrorReport.Type

/**
 * Where a report travels in a tool result.
 *
 * @since 0.1.0
 * @category constants
 */
export const metaKey = "dev.snowguard/error"

/**
 * `now` is the wall clock in milliseconds: refusals name the moment at which the wait is over.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromError = (error: RequestError, now: number): ErrorReport => {
  switch (error._tag) {
    case "RateLimited":
      return error.never
        ? {
            code: "RATE_LIMITED",
            message: `RATE_LIMITED: ${error.message}. ${ran(false)} Waiting will not help; ask for less.`,
            retryable: false,
            scope: error.scope,
            limit: error.burst,
            remaining: error.remaining,
            sideEffects: "none"
          }
        : {
            code: "RATE_LIMITED",
            message:
              `RATE_LIMITED: ${scopeWords[error.scope] ?? error.scope} of ${error.ratePerSecond} calls per second ` +
              `(burst ${error.burst}) is reached. ${ran(false)} ${wait(error.retryAfterMs, now)}`,
            ...retry(error.retryAfterMs, now),
            scope: error.scope,
            limit: error.burst,
            remaining: error.remaining,
            sideEffects: "none"
          }
    case "Overloaded":
      return {
        code: "OVERLOADED",
        message:
          `OVERLOADED: ${slotsText(error)}` +
          `. ${ran(false)} ${wait(error.retryAfterMs, now)} Send fewer calls at once.`,
        ...retry(error.retryAfterMs, now),
        scope: error.pool,
        limit: error.permits,
        sideEffects: "none"
      }
    case "Degraded":
      return {
        code: "DEGRADED",
        message:
          `DEGRADED: the server is in ${error.mode} mode because ${error.why}` +
          (error.shed
            ? `, and turns some ${error.criticality} calls away`
            : `, and serves no ${error.criticality} work now`) +
          `. ${ran(false)} ` +
          (error.retryAfterMs === undefined
            ? "An operator decides when this ends; tell the user."
            : `${wait(error.retryAfterMs, now)} get_limits tells the mode and the way back.`),
        ...(error.retryAfterMs === undefined ? { retryable: false } : retry(error.retryAfterMs, now)),
        scope: error.mode,
        sideEffects: "none"
      }
    case "RepeatedFailure":
      return {
        code: "REPEATED_FAILURE",
        message:
          `REPEATED_FAILURE: this statement has failed ${error.attempts} times with ${error.code}: ` +
          `${sentence(error.description)} It was not sent again. ` +
          (error.code === "WAREHOUSE_PERMISSION"
            ? "Tell the user, or change the statement"
            : "Change the statement") +
          (error.code === "WAREHOUSE_STATEMENT_TIMEOUT" ? " or ask for a longer timeout_seconds" : "") +
          (error.suggestions === undefined || error.suggestions.length === 0
            ? ""
            : ` (did you mean ${error.suggestions.join(" or ")}?)`) +
          `; unchanged, it is not tried for another ${seconds(error.retryAfterMs)}.`,
        retryable: false,
        scope: error.code,
        sideEffects: "none",
        ...optional("suggestions", error.suggestions)
      }
    case "QuotaExceeded":
      return {
        code: "QUOTA_EXCEEDED",
        message: `QUOTA_EXCEEDED: ${quotaText(error, now)}`,
        ...(fitsLater(error) ? retry(error.retryAfterMs, now) : { retryable: false }),
        scope: `${error.scope}:${error.quota}`,
        limit: error.limit,
        used: error.used,
        remaining: error.remaining,
        resetAt: iso(error.resetAt),
        sideEffects: "none"
      }
    case "QuotaStoreError": {
      // A lost store is looked for every few seconds: who comes back sooner finds nothing changed.
      const ms = Math.max(error.lasting === true ? 60_000 : 5_000, error.retryAfterMs ?? 0)
      return {
        code: "QUOTA_STORE_UNAVAILABLE",
        message:
          `QUOTA_STORE_UNAVAILABLE: the server cannot read its quota records, so it admits nothing. ${ran(false)} ` +
          (error.lasting === true
            ? `It does not mend by itself: tell the user that an operator must act, and repeat the call after that.`
            : `${wait(ms, now)} If it fails again, tell the user that an operator must act.`),
        ...retry(ms, now),
        scope: "quota_store",
        sideEffects: "none"
      }
    }
    case "CircuitOpen":
      return {
        code: "CIRCUIT_OPEN",
        message: `CIRCUIT_OPEN: ${circuitText(error, now)}`,
        ...(error.retryAfterMs === undefined ? { retryable: false } : retry(error.retryAfterMs, now)),
        scope: "warehouse",
        sideEffects: "none"
      }
    case "DeadlineExceeded":
      return {
        code: "DEADLINE_EXCEEDED",
        message:
          `DEADLINE_EXCEEDED: the call did not finish within ${seconds(error.limitMs)}. ` +
          `${error.cancelled === true ? "The statement was sent and has been cancelled." : ran(error.sent)} ` +
          (error.retryAfterMs !== undefined
            ? `The warehouse does not answer. ${wait(error.retryAfterMs, now)}`
            : error.sent
              ? "Narrow the statement (fewer rows, a filter, a LIMIT) or ask for a longer timeout_seconds."
              : "It was still waiting for its turn, or for a session with the warehouse; repeat it once later."),
        ...(error.retryAfterMs === undefined ? { retryable: !error.sent } : retry(error.retryAfterMs, now)),
        sideEffects: error.sent ? "unknown" : "none"
      }
    case "StatementRejected":
      return {
        code: "STATEMENT_REJECTED",
        message:
          `STATEMENT_REJECTED (${error.code}): ${sentence(error.reason)}` +
          (error.hint === undefined ? "" : ` ${sentence(error.hint)}`) +
          " Nothing was executed. This server is read-only; change the statement, repeating it will be rejected again.",
        retryable: false,
        scope: error.code,
        sideEffects: "none",
        ...optional("position", error.position)
      }
    case "ScanBudgetExceeded":
      return {
        code: "SCAN_BUDGET_EXCEEDED",
        message:
          "SCAN_BUDGET_EXCEEDED: " +
          (error.estimate === undefined
            ? "the warehouse cannot estimate what the statement would scan"
            : `the statement would scan about ${bytes(error.estimate)}`) +
          (error.limit === undefined
            ? "; here all that is scanned counts. It did not run. "
            : `; this tier's limit is ${bytes(error.limit)} a statement. It did not run. `) +
          (error.tables.length === 0 ? "" : `It reads ${error.tables.join(", ")}. `) +
          `${narrower} Unchanged, it will be refused again.`,
        retryable: false,
        scope: "max_scan_bytes",
        ...optional("limit", error.limit),
        ...optional("used", error.estimate),
        sideEffects: "none"
      }
    case "WarehouseError": {
      const { code, retryable } = warehouseCode[error.reason]
      const suggestions = error.suggestions ?? []
      return {
        code,
        message:
          `${code}: ${warehouseText[error.reason](sentence(error.description))}` +
          (suggestions.length === 0 ? "" : ` Did you mean ${suggestions.join(" or ")}?`) +
          (retryable && error.retryAfterMs !== undefined ? ` ${wait(error.retryAfterMs, now)}` : ""),
        ...(retryable && error.retryAfterMs !== undefined ? retry(error.retryAfterMs, now) : { retryable }),
        sideEffects:
          error.sent === "no"
            ? "none"
            : error.reason === "InvalidStatement" || error.reason === "NotFound"
              ? "none"
              : "unknown",
        ...optional("queryId", error.queryId),
        ...(suggestions.length === 0 ? {} : { suggestions })
      }
    }
    case "ToolError":
      return {
        code: error.code,
        message: `${error.code}: ${sentence(error.description)}`,
        ...(error.retryAfterMs === undefined
          ? { retryable: error.retryable }
          : retry(error.retryAfterMs, now)),
        sideEffects: "none"
      }
    default:
      return error satisfies never
  }
}

/**
 * The arguments did not fit the tool's schema.
 *
 * @since 0.1.0
 * @category constructors
 */
export const invalidInput = (tool: string, problems: string): ErrorReport => ({
  code: "INVALID_INPUT",
  message: `INVALID_INPUT: the arguments of ${tool} are not valid. ${problems} Nothing was executed. Correct them and call again.`,
  retryable: false,
  sideEffects: "none"
})

/**
 * A defect: no detail leaves the process; the log has the cause under the same id.
 *
 * @since 0.1.0
 * @category constructors
 */
export const internal = (id: string): ErrorReport => ({
  code: "INTERNAL",
  message: `INTERNAL: the server failed in a way it does not understand (reference ${id}). Tell the user; the server's log has the details.`,
  retryable: false,
  sideEffects: "unknown"
})
