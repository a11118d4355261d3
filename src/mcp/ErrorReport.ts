/**
 * Error -> what the model, the client and the log read. Exhaustive: a new error does not compile until it has
 * its text here.
 *
 * The text says, in this order: what happened and whose limit it was; whether anything ran; how long to
 * wait (and until when, where it is long); whether the same call will then work; and to tell the user,
 * where waiting is not for a model.
 *
 * @since 0.1.0
 */
import { identity } from "effect/Function"
import * as Schema from "effect/Schema"
import type { Overloaded } from "../guard/Bulkhead.js"
import type { CircuitOpen } from "../guard/CircuitBreaker.js"
import type { Degraded } from "../guard/Degradation.js"
import { bytes, iso, plural, seconds, sentence } from "../platform/core/format.js"
import type { QuotaExceeded } from "../quota/Quota.js"
import { limitName } from "../quota/Quota.js"
import type { Code } from "../observe/Activity.js"
import { mayWorkLater, warehouseCode } from "../tools/errorCodes.js"
import type { RequestError } from "../tools/Tool.js"
import type { Lateness, Reason } from "../warehouse/Warehouse.js"
import { WarehouseError } from "../warehouse/Warehouse.js"

/** Above a minute a model cannot be expected to wait by itself. */
const LONG_MS = 60_000

/** ISO 8601, not before `ms`. */
const toSecond = (ms: number): string => iso(Math.ceil(ms / 1000) * 1000).replace(".000Z", "Z")

const wait = (ms: number, now: number): string =>
  ms > LONG_MS
    ? `Do not retry before ${toSecond(now + ms)} (in ${seconds(ms)}); the same call will work then. Tell the user.`
    : `Wait ${seconds(ms)}, then repeat the same call once.`

const busy = (count: number, noun: string) =>
  count === 1 ? `the only ${noun} is busy` : `all ${count} ${noun}s are busy`

const ran = (sent: boolean) =>
  // Told at the deadline, when the warehouse has not answered yet.
  sent
    ? "The statement was sent; its cancellation is requested and is not confirmed."
    : "Nothing was executed and nothing was charged."

const quotaWords = (quota: string) => quota.replace(/_/g, " ")

/** Characters of a failure that is told once more: it was told whole when it happened. */
const MAX_REPEATED = 100

const cut = (text: string, at: number): string => (text.length <= at ? text : `${text.slice(0, at)}…`)

/** What is more than the whole limit never fits, however long it waits. */
const fitsLater = ({ estimate = 0, limit }: QuotaExceeded): boolean => estimate <= limit

/** How a statement scans less. */
const narrower = "Filter on clustered columns (often a date) or read smaller tables; LIMIT does not help."

const quotaText = (error: QuotaExceeded, now: number): string => {
  const { estimate, held = 0, limit, quota, remaining, retryAfterMs, scope, used } = error
  const whose = scope === "client" ? "this client has" : "all clients together have"
  if (estimate === undefined) {
    return `${whose} used ${used} of ${limit} ${quotaWords(quota)}. ${ran(false)} ${wait(retryAfterMs, now)}`
  }
  const isCredits = quota.startsWith("credits_")
  const amount = (of: number) => (isCredits ? `${Math.round(of * 1e6) / 1e6} credits` : bytes(of))
  const would =
    `it ${isCredits ? "may cost" : "would scan about"} ${amount(estimate)}; ${whose} ${amount(remaining)} left of ` +
    `${amount(limit)} (${quotaWords(quota)}). It did not run. `
  const [soon, less] = isCredits
    ? ["Or ask for a shorter timeout_seconds.", "Ask for a shorter timeout_seconds."]
    : ["Or filter, say by date.", narrower]
  if (!fitsLater(error)) return `${would}${less} Unchanged, it will always be refused.`
  // Calls that run give back what they do not use.
  return held > 0 && used - held + estimate <= limit
    ? `${would}Calls that run hold ${amount(held)}: repeat it once when they have ended. ${soon}`
    : `${would}${wait(retryAfterMs, now)} ${soon}`
}

const slotsText = ({ held, permits, pool, queued, why }: Overloaded): string => {
  const slot = `${pool.slice(0, -1)} slot`
  return (
    (held === undefined
      ? busy(permits, slot)
      : `this client has ${held} of ${plural(permits, slot)}, the last are kept for clients without,`) +
    ` and ${plural(queued, "call")} wait${queued === 1 ? "s" : ""}` +
    (why === "client-queue-full" && held === undefined ? ", too many from this client" : "")
  )
}

const circuitText = ({ cause, phase, retryAfterMs }: CircuitOpen, now: number): string => {
  const what =
    phase === "half-open"
      ? `the warehouse was failing (${cause}) and is being tried again right now by other calls, so this one is ` +
        `not sent. ${ran(false)}`
      : `the warehouse is failing (${cause}), so no call is sent to it. ${ran(false)}`
  if (retryAfterMs === undefined) return `${what} An operator holds it open; tell the user.`
  // How long others will take is a guess.
  if (phase === "half-open") {
    return `${what} Try again in about ${seconds(retryAfterMs)}. If it fails again, tell the user.`
  }
  return `${what} ${wait(retryAfterMs, now)}${retryAfterMs > LONG_MS ? "" : " If it fails again, tell the user."}`
}

/** What a mode does not serve. */
const unserved: { readonly [C in Degraded["criticality"]]: string } = {
  control: "serves nothing",
  metadata: "answers look-ups from memory only, which has no answer to this one",
  query: "serves no queries",
  batch: "serves no queries of low priority"
}

const scopeWords: { readonly [scope: string]: string } = {
  client: "this client's own limit",
  tool: "this client's own limit for this tool",
  tier: "the limit shared by all clients of this tier",
  class: "the limit shared by all clients for this kind of call",
  global: "the limit shared by all clients of this server",
  overflow: "the limit shared by all clients not seen before"
}

const warehouseText: { readonly [R in Reason]: (it: string) => string } = {
  InvalidStatement: (it) =>
    `The statement is not valid: ${it} Change the statement; repeating it will fail again.`,
  NotFound: (it) =>
    `${it} Check the name (list_databases, list_schemas, list_tables); repeating the call will fail again.`,
  Permission: (it) => `${it} The server's role may not do this; tell the user.`,
  // What to do follows: it depends on what became of others.
  StatementTimeout: identity,
  ResourcesExceeded: (it) =>
    `${it} Read fewer rows or columns, shorten long texts with LEFT(column, n), or filter before sorting and grouping.`,
  Cancelled: () => "The statement was cancelled.",
  ResultExpired: (it) => `${it} Run the query again.`,
  Authentication: (it) =>
    `The server cannot log in to the warehouse: ${it} Do not retry; tell the user that an operator must act.`,
  LoginUnavailable: (it) => `The server cannot log in to the warehouse now: ${it}`,
  Configuration: (it) =>
    `The server is set up wrongly: ${it} Do not retry; tell the user that an operator must act.`,
  Unavailable: (it) => `The warehouse is not available: ${it}`,
  Overloaded: (it) => `The warehouse is overloaded: ${it}`,
  SessionLost: (it) => `The session with the warehouse was lost: ${it}`,
  Unreachable: (it) => `The warehouse cannot be reached: ${it} Your statement is not at fault.`,
  Protocol: (it) => `The warehouse gave an answer that makes no sense: ${it} Your statement is not at fault.`,
  ServerFault: (it) => `The warehouse reported an internal error: ${it} Your statement may not be at fault.`,
  Unknown: (it) => `The warehouse failed: ${it}`
}

/** A query or a look-up, the plural, how one asks for less, how for longer. */
const lateWords: {
  readonly [C in Lateness["class"]]: readonly [one: string, many: string, less: string, longer: string]
} = {
  query: [
    "query",
    "queries",
    "narrow it (a filter, fewer rows, a LIMIT)",
    " or ask for a longer timeout_seconds"
  ],
  metadata: ["look-up", "look-ups", "name a database, a schema or a pattern", ""]
}

/** What a statement took so long for, and what to do about it. */
const lateText = ({ class: kind, fault, isMost = false, quietMs, why = "quiet" }: Lateness): string => {
  const [one, many, less, more] = lateWords[kind]
  const longer = isMost ? "" : more
  switch (fault) {
    case "statement":
      return `Other ${many} were answered meanwhile, so this one asks for too much: ${less}${longer}.`
    case "warehouse":
      return (
        {
          circuit: "Calls fail at the warehouse now (CIRCUIT_OPEN)",
          trouble: "Calls fail at the warehouse now (WAREHOUSE_UNAVAILABLE)",
          quiet: `The warehouse has answered no ${one} for ${seconds(quietMs)}`
        }[why] +
        ": it is slow or does not answer. Repeat the same call once later; if it fails again, tell the user."
      )
    case "unknown":
      return (
        `No other ${one} was answered meanwhile: it is too large, or the warehouse slow. ${upper(less)}${longer}; ` +
        "if it fails again, tell the user."
      )
  }
}

const upper = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

/** Nothing is known of the others. */
const unexplained =
  "Narrow the statement (fewer rows, a filter, a LIMIT) or ask for a longer timeout_seconds."

const lateAdvice = (lateness: Lateness | undefined): string =>
  lateness === undefined ? unexplained : lateText(lateness)

/** Was it the warehouse, as far as is known, so that the same call may work later? */
const mayPass = ({ lateness }: { readonly lateness?: Lateness | undefined }): boolean =>
  lateness?.fault === "warehouse"

/** When to repeat a call that failed at the warehouse, and may work then. */
const again = ({ reason, retryAfterMs }: WarehouseError, now: number): string =>
  retryAfterMs !== undefined
    ? wait(retryAfterMs, now)
    : reason === "Cancelled"
      ? "Repeat it once if it is still wanted."
      : "Repeat the same call once; if it fails again, tell the user."

/** The operator finds the warehouse's own code in the runbook. */
const unavailable = ({ code, ran, sent }: WarehouseError): string =>
  (sent === "no" || ran === false ? "" : " Whether it ran is not known.") +
  ` Do not repeat it; tell the user that an operator must act${code === undefined ? "" : ` (error ${code})`}.`

const ownBoundText = (it: string): string =>
  `Too much of your own is under way: ${it} Send fewer calls at once.`

/** Raised before the warehouse reads the statement: the words are ours. */
const outside: ReadonlySet<Reason> = new Set<Reason>([
  "Unreachable",
  "Configuration",
  "Authentication",
  "LoginUnavailable"
])

/** The warehouse takes no statement, or not this one, whatever it asks. */
const refusing: ReadonlySet<Reason> = new Set<Reason>(["Unavailable", "Overloaded"])

/** Found before a statement runs, unless the warehouse says otherwise. */
const beforeRunning: ReadonlySet<Reason> = new Set<Reason>([
  "InvalidStatement",
  "NotFound",
  "Permission",
  "ResultExpired"
])

const retry = (ms: number, now: number) => ({
  retryable: true,
  retryAfterMs: Math.ceil(ms),
  retryAt: iso(Math.ceil(now + ms))
})

const optional = <K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } =>
  value === undefined ? {} : ({ [key]: value } as { readonly [P in K]: V })

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
  /** May a statement have run in the warehouse? Statements are reads: `unknown` is about cost, not data. */
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
 * `now` is the wall clock in milliseconds: refusals name the moment at which the wait is over. `quote` marks what the
 * warehouse said, which may be data: unmarked when absent.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromError = (
  error: RequestError,
  now: number,
  quote = (words: string): string => words
): ErrorReport => {
  switch (error._tag) {
    case "RateLimited":
      return error.never
        ? {
            code: "RATE_LIMITED" satisfies Code,
            message: `RATE_LIMITED: ${error.message}. ${ran(false)} Waiting will not help; ask for less.`,
            retryable: false,
            scope: error.scope,
            limit: error.burst,
            remaining: error.remaining,
            sideEffects: "none"
          }
        : {
            code: "RATE_LIMITED" satisfies Code,
            message:
              `RATE_LIMITED: ${scopeWords[error.scope] ?? error.scope} of ${error.ratePerSecond} calls per second ` +
              `(burst ${error.burst}) is reached. ${ran(false)} ${wait(error.retryHintMs, now)}`,
            ...retry(error.retryHintMs, now),
            scope: error.scope,
            limit: error.burst,
            remaining: error.remaining,
            sideEffects: "none"
          }
    case "Overloaded":
      return {
        code: "OVERLOADED" satisfies Code,
        message:
          `OVERLOADED: ${slotsText(error)}` +
          `. ${ran(false)} ${wait(error.retryAfterMs, now)}${error.retryAfterMs > LONG_MS ? "" : " Send fewer at once."}`,
        ...retry(error.retryAfterMs, now),
        scope: error.pool,
        limit: error.permits,
        sideEffects: "none"
      }
    case "Degraded":
      return {
        code: "DEGRADED" satisfies Code,
        message:
          `DEGRADED: the server is in ${error.mode} mode because ${error.why}` +
          (error.shed ? `, and turns some queries away` : `, and ${unserved[error.criticality]} now`) +
          `. ${ran(false)} ` +
          (error.retryAfterMs === undefined
            ? "An operator decides when this ends; tell the user."
            : wait(error.retryAfterMs, now)),
        ...(error.retryAfterMs === undefined ? { retryable: false } : retry(error.retryAfterMs, now)),
        scope: error.mode,
        sideEffects: "none"
      }
    case "RepeatedFailure":
      return {
        code: "REPEATED_FAILURE" satisfies Code,
        message:
          `REPEATED_FAILURE: this statement has failed ${error.attempts} times with ${error.code}: ` +
          `${quote(sentence(cut(error.description, MAX_REPEATED)))} It was not sent again. ` +
          (error.code === "WAREHOUSE_PERMISSION"
            ? "Tell the user, or change the statement"
            : "Change the statement") +
          (error.code === "WAREHOUSE_STATEMENT_TIMEOUT" ? " or ask for a longer timeout_seconds" : "") +
          (error.suggestions === undefined || error.suggestions.length === 0
            ? ""
            : ` (did you mean ${quote(error.suggestions.join(" or "))}?)`) +
          `; unchanged, it is not tried for another ${seconds(error.retryAfterMs)}.`,
        retryable: false,
        scope: error.code,
        sideEffects: "none",
        ...optional("suggestions", error.suggestions)
      }
    case "QuotaExceeded":
      return {
        code: "QUOTA_EXCEEDED" satisfies Code,
        message: `QUOTA_EXCEEDED: ${quotaText(error, now)}`,
        ...(fitsLater(error) ? retry(error.retryAfterMs, now) : { retryable: false }),
        scope: limitName(error),
        limit: error.limit,
        used: error.used,
        remaining: error.remaining,
        resetAt: iso(error.resetAt),
        sideEffects: "none"
      }
    case "QuotaStoreError": {
      // A lost store is looked for every few seconds: a sooner retry finds nothing changed.
      const ms = Math.max(error.lasting === true ? 60_000 : 5_000, error.retryAfterMs ?? 0)
      return {
        code: "QUOTA_STORE_UNAVAILABLE" satisfies Code,
        message:
          `QUOTA_STORE_UNAVAILABLE: the server cannot read its quota records, so it admits nothing. ${ran(false)} ` +
          (error.lasting === true
            ? "It does not mend by itself: tell the user that an operator must act, and repeat the call after that."
            : `${wait(ms, now)}${ms > LONG_MS ? "" : " If it fails again, tell the user."}`),
        ...(error.lasting === true ? { retryable: false } : retry(ms, now)),
        scope: "quota_store",
        sideEffects: "none"
      }
    }
    case "CircuitOpen":
      return {
        code: "CIRCUIT_OPEN" satisfies Code,
        message: `CIRCUIT_OPEN: ${circuitText(error, now)}`,
        ...(error.retryAfterMs === undefined ? { retryable: false } : retry(error.retryAfterMs, now)),
        scope: "warehouse",
        sideEffects: "none"
      }
    case "DeadlineExceeded":
      return {
        code: "DEADLINE_EXCEEDED" satisfies Code,
        message:
          `DEADLINE_EXCEEDED: the call did not finish within ${seconds(error.limitMs)}. ` +
          `${
            error.retrying === true
              ? "A try of it was sent and failed before."
              : error.cancelled === true
                ? "The statement was sent and has been cancelled."
                : ran(error.sent)
          } ` +
          (error.retryAfterMs !== undefined
            ? `The warehouse does not answer. ${wait(error.retryAfterMs, now)}`
            : error.retrying === true
              ? "It was waiting to be tried again; repeat it once later. If it fails again, tell the user."
              : error.sent
                ? lateAdvice(error.lateness)
                : "It was still waiting for its turn, or for a session with the warehouse; repeat it once later."),
        ...(error.retryAfterMs === undefined
          ? { retryable: !error.sent || error.retrying === true || mayPass(error) }
          : retry(error.retryAfterMs, now)),
        ...optional("scope", error.sent ? undefined : error.of),
        sideEffects: error.sent ? "unknown" : "none"
      }
    case "StatementRejected":
      return {
        code: "STATEMENT_REJECTED" satisfies Code,
        message:
          `STATEMENT_REJECTED (${error.code}): ${sentence(error.reason)}` +
          (error.words === undefined ? "" : ` ${quote(sentence(error.words))}`) +
          (error.hint === undefined ? "" : ` ${sentence(error.hint)}`) +
          " Nothing was executed. This server is read-only; change the statement, repeating it will be rejected again.",
        retryable: false,
        scope: error.code,
        sideEffects: "none",
        ...optional("position", error.position)
      }
    case "ScanBudgetExceeded":
      return {
        code: "SCAN_BUDGET_EXCEEDED" satisfies Code,
        message:
          "SCAN_BUDGET_EXCEEDED: " +
          (error.estimate === undefined
            ? "the warehouse cannot estimate what the statement would scan"
            : `the statement would scan about ${bytes(error.estimate)}`) +
          (error.limit === undefined
            ? "; here all that is scanned counts. It did not run. "
            : `; this tier's limit is ${bytes(error.limit)} a statement. It did not run. `) +
          (error.tables.length === 0 ? "" : `It reads ${quote(error.tables.join(", "))}. `) +
          `${narrower} Unchanged, it will be refused again.`,
        retryable: false,
        scope: "max_scan_bytes",
        ...optional("limit", error.limit),
        ...optional("used", error.estimate),
        sideEffects: "none"
      }
    case "WarehouseSuspended":
      return {
        code: "WAREHOUSE_SUSPENDED" satisfies Code,
        message:
          `WAREHOUSE_SUSPENDED: ${error.message}. ${ran(false)} ` +
          "It works while others use the warehouse; explain_query and catalog tools need none. " +
          "Or tell the user: an operator resumes it, or lets the tier do so (wake_warehouse).",
        retryable: false,
        scope: error.tier,
        sideEffects: "none"
      }
    case "WarehouseError": {
      const { code, retryable: mayRetry } = warehouseCode[error.reason]
      const isLate = error.reason === "StatementTimeout"
      const retryable = mayWorkLater(error)
      const suggestions = error.suggestions ?? []
      const isOwnBound = error.ownBound === true
      const words = (isOwnBound || outside.has(error.reason) ? identity : quote)(sentence(error.description))
      return {
        code,
        message:
          `${code}: ${(isOwnBound ? ownBoundText : warehouseText[error.reason])(words)}` +
          (suggestions.length === 0 ? "" : ` Did you mean ${quote(suggestions.join(" or "))}?`) +
          (refusing.has(error.reason) && (error.sent === "no" || error.ran === false)
            ? " It did not run."
            : "") +
          (error.reason === "Unavailable" ? unavailable(error) : "") +
          (isLate ? ` ${lateAdvice(error.lateness)}` : mayRetry ? ` ${again(error, now)}` : ""),
        ...(retryable && error.retryAfterMs !== undefined ? retry(error.retryAfterMs, now) : { retryable }),
        sideEffects:
          error.sent === "no" || !(error.ran ?? !beforeRunning.has(error.reason)) ? "none" : "unknown",
        ...optional("queryId", error.queryId),
        ...(suggestions.length === 0 ? {} : { suggestions })
      }
    }
    case "ToolDenied":
      return {
        code: "TOOL_DENIED" satisfies Code,
        message:
          `TOOL_DENIED: callers of the tier ${error.tier} may not call ${error.tool}. ${ran(false)} Do not retry; ` +
          "use one of the listed tools, or tell the user that an operator decides this (tools.enabled, allow_tools, deny_tools).",
        retryable: false,
        scope: error.tier,
        sideEffects: "none"
      }
    case "ToolError":
      return {
        code: error.code,
        message:
          `${error.code}: ${sentence(error.description)}` +
          (error.suggestions === undefined ? "" : ` Did you mean ${quote(error.suggestions.join(" or "))}?`),
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
  code: "INVALID_INPUT" satisfies Code,
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
  code: "INTERNAL" satisfies Code,
  message: `INTERNAL: the server failed in a way it does not understand (reference ${id}). Tell the user; the server's log has the details.`,
  retryable: false,
  sideEffects: "unknown"
})

/**
 * @internal The same, of a call that had sent its statement before: a try of it may have run, and is charged.
 */
export const afterSending = (report: ErrorReport): ErrorReport => ({
  ...report,
  message: report.message.replace(
    ran(false),
    "A try of this call was sent before; whether it ran is not known."
  ),
  sideEffects: "unknown"
})

/** @internal A report as the result of a call. */
export const toResult = (report: ErrorReport) => ({
  isError: true,
  content: [{ type: "text" as const, text: report.message }],
  _meta: { [metaKey]: report }
})

/** @internal The text of a report as a person reads it. */
export { withoutMarks } from "./core/Fence.js"

const isReport = Schema.is(ErrorReport)

/** @internal */
export const fromResult = (result: {
  readonly _meta?: { readonly [key: string]: unknown } | undefined
}): ErrorReport | undefined => {
  const report = result._meta?.[metaKey]
  return isReport(report) ? report : undefined
}

/** How long until another server is there: a guess, and longer than this one takes to end. */
const RESTART_MS = 10_000

/** @internal The server stopped before the call had ended. `sent`: its statement may have reached the warehouse. */
export const shuttingDown = (sent: boolean, now: number): ErrorReport => ({
  code: "SHUTTING_DOWN" satisfies Code,
  message:
    `SHUTTING_DOWN: the server is shutting down and could not wait for this call to end. ` +
    // Told before it is done: the caller may be gone by then.
    `${sent ? "The statement was sent and is being cancelled." : ran(false)} ` +
    `Open a new session. ${wait(RESTART_MS, now)}`,
  ...retry(RESTART_MS, now),
  sideEffects: sent ? "unknown" : "none"
})

/** @internal `sent`: its statement may have reached the warehouse. */
export const cancelledByOperator = (sent: boolean): ErrorReport => ({
  code: "CANCELLED_BY_OPERATOR" satisfies Code,
  message:
    "CANCELLED_BY_OPERATOR: an operator of this server cancelled this call. " +
    `${sent ? "The statement was sent and is being cancelled." : "Nothing was executed."} ` +
    "Do not repeat it; tell the user.",
  retryable: false,
  sideEffects: sent ? "unknown" : "none"
})

const MAX_CAUSE = 120

/**
 * What comes before the first quote, bracket, figure or name: a literal may hold quotes itself, so that its end
 * is not known, and numbers are literals without any.
 */
const general = (message: string): string => {
  const plain = message.replace(/^Failed to extract statements: /, "")
  const [first = ""] = plain.split(/\n|\bLINE \d|\bname\s|['"`‘’“”([{\d]/, 1)
  return first.trim().slice(0, MAX_CAUSE)
}

/**
 * @internal What the log says of the cause of a failed call; undefined when it adds nothing. Only the audit log's
 * settings decide whether statements are recorded, so no part of one may get here: warehouses quote names and
 * literals in their messages, and whole lines of the statement behind them.
 *
 * ```
 *   Conversion Error: Could not convert string 'jane@corp.example' to INT32   LINE 1: ...
 *   |---------------------- logged ----------|-------------------- not logged ---------
 * ```
 */
export const logCause = (error: object): string | undefined => {
  const cause = "cause" in error && error.cause instanceof Error ? error.cause.message : undefined
  if (!(error instanceof WarehouseError) || outside.has(error.reason)) return cause
  const { code, sqlState } = error
  const told = [code, sqlState, cause === undefined ? undefined : general(cause)]
  const all = told.filter((part) => part !== undefined && part !== "").join(" ")
  return cause === undefined || all === "" ? undefined : all
}
