/** The words that refusals are made of. */
import * as DateTime from "effect/DateTime"
import type { Overloaded } from "../Bulkhead.js"
import type { QuotaExceeded } from "../Quota.js"
import type { CircuitOpen } from "../CircuitBreaker.js"
import type { Reason } from "../Warehouse.js"

export const iso = (millis: number) => DateTime.formatIso(DateTime.unsafeMake(millis))

/** Seconds in words, never rounded down: a model that waits too little is refused again. */
export const seconds = (ms: number): string => {
  const value = ms < 10_000 ? Math.ceil(ms / 100) / 10 : Math.ceil(ms / 1000)
  return `${value} ${value === 1 ? "second" : "seconds"}`
}

/** Above a minute a model cannot be expected to wait by itself. */
export const LONG_MS = 60_000

export const wait = (ms: number, now: number): string =>
  ms > LONG_MS
    ? `Do not retry before ${iso(now + ms)} (in ${seconds(ms)}); the same call will work then. Tell the user.`
    : `Wait ${seconds(ms)}, then repeat the same call once.`

export const plural = (count: number, noun: string) => `${count} ${noun}${count === 1 ? "" : "s"}`

export const busy = (count: number, noun: string) =>
  count === 1 ? `the only ${noun} is busy` : `all ${count} ${noun}s are busy`

export const bytes = (count: number): string => {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"]
  let value = count
  let unit = 0
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

export const ran = (sent: boolean) =>
  // Told at the deadline, when the warehouse has not answered yet.
  sent
    ? "The statement was sent; its cancellation was requested, and is not confirmed."
    : "Nothing was executed and nothing was charged."

/** Descriptions come from many places; some end their sentence and some do not. */
export const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`)

const quotaWords = (quota: string) => quota.replace(/_/g, " ").replace(/ per /, " per ")

/** What is more than the whole limit never fits, however long it waits. */
export const fitsLater = ({ estimate = 0, limit }: QuotaExceeded): boolean => estimate <= limit

/** How a statement scans less. */
export const narrower =
  "Filter on the columns that the tables are clustered or sorted by (often a date), or read fewer or smaller " +
  "tables; LIMIT alone does not help."

export const quotaText = (error: QuotaExceeded, now: number): string => {
  const { estimate, limit, quota, remaining, resetAt, retryAfterMs, scope, used } = error
  const whose = scope === "client" ? "this client has" : "all clients together have"
  if (estimate === undefined) {
    return (
      `${whose} used ${used} of ${limit} ${quotaWords(quota)}. ${ran(false)} ` +
      `It resets at ${iso(resetAt)}. ${wait(retryAfterMs, now)}`
    )
  }
  const would =
    `the statement would scan about ${bytes(estimate)}, and ${whose} used ${bytes(used)} of ${bytes(limit)} ` +
    `(${quotaWords(quota)}), so ${bytes(remaining)} are left. It did not run. ${narrower} `
  return fitsLater(error)
    ? `${would}It resets at ${iso(resetAt)}. ${wait(retryAfterMs, now)}`
    : `${would}It is more than the whole limit: unchanged, it will always be refused.`
}

export const slotsText = ({ held, permits, pool, queued, why }: Overloaded): string => {
  const slot = `${pool.slice(0, -1)} slot`
  return (
    (held === undefined
      ? busy(permits, slot)
      : `this client has ${held} of ${plural(permits, slot)}, of which the last are kept for clients that have none,`) +
    ` and ${plural(queued, "call")} wait${queued === 1 ? "s" : ""}` +
    (why === "client-queue-full" ? ", too many of them from this client" : "")
  )
}

export const circuitText = ({ cause, phase, retryAfterMs }: CircuitOpen, now: number): string => {
  const what =
    phase === "half-open"
      ? `the warehouse was failing (${cause}) and is being tried again right now by other calls, so this one is ` +
        `not sent. ${ran(false)}`
      : `the warehouse is failing (${cause}), so no call is sent to it. ${ran(false)}`
  if (retryAfterMs === undefined) return `${what} An operator holds it open; tell the user.`
  // How long others will take is a guess.
  const when =
    phase === "half-open" ? `Try again in about ${seconds(retryAfterMs)}.` : wait(retryAfterMs, now)
  return `${what} ${when} If it fails again, tell the user.`
}

export const scopeWords: { readonly [scope: string]: string } = {
  client: "this client's own limit",
  tier: "the limit shared by all clients of this tier",
  class: "the limit shared by all clients for this kind of call",
  global: "the limit shared by all clients of this server",
  overflow: "the limit shared by clients not seen before (too many clients)"
}

export const warehouseText: { readonly [R in Reason]: (it: string) => string } = {
  InvalidStatement: (it) =>
    `The statement is not valid: ${it} Change the statement; repeating it will fail again.`,
  NotFound: (it) =>
    `${it} Check the name (list_databases, list_schemas, list_tables); repeating the call will fail again.`,
  Permission: (it) => `${it} The server's role may not do this; tell the user.`,
  StatementTimeout: (it) =>
    `${it} Narrow the statement (fewer rows, a filter, a LIMIT) or ask for a longer timeout_seconds.`,
  ResourcesExceeded: (it) =>
    `${it} Read fewer rows or columns, shorten long texts with LEFT(column, n), or filter before sorting and grouping.`,
  Cancelled: () => "The statement was cancelled.",
  ResultExpired: (it) => `${it} Run the query again.`,
  Authentication: (it) =>
    `The server cannot log in to the warehouse: ${it} Do not retry; tell the user that an operator must act.`,
  LoginUnavailable: (it) => `The server cannot log in to the warehouse now: ${it}`,
  Configuration: (it) =>
    `The server is set up wrongly: ${it} Do not retry; tell the user that an operator must act.`,
  Unavailable: (it) => `The warehouse is not available: ${it} Tell the user.`,
  Overloaded: (it) => `The warehouse is overloaded: ${it}`,
  SessionLost: (it) => `The session with the warehouse was lost: ${it} Repeat the call once.`,
  Unreachable: (it) => `The warehouse cannot be reached: ${it} Your statement is not at fault.`,
  Protocol: (it) => `The warehouse gave an answer that makes no sense: ${it} Your statement is not at fault.`,
  ServerFault: (it) => `The warehouse reported an internal error: ${it} Your statement may not be at fault.`,
  Unknown: (it) => `The warehouse failed: ${it}`
}

export const warehouseCode: {
  readonly [R in Reason]: { readonly code: string; readonly retryable: boolean }
} = {
  InvalidStatement: { code: "WAREHOUSE_INVALID_STATEMENT", retryable: false },
  NotFound: { code: "WAREHOUSE_NOT_FOUND", retryable: false },
  Permission: { code: "WAREHOUSE_PERMISSION", retryable: false },
  StatementTimeout: { code: "WAREHOUSE_STATEMENT_TIMEOUT", retryable: false },
  ResourcesExceeded: { code: "WAREHOUSE_RESOURCES_EXCEEDED", retryable: false },
  Cancelled: { code: "WAREHOUSE_CANCELLED", retryable: true },
  ResultExpired: { code: "WAREHOUSE_RESULT_EXPIRED", retryable: false },
  Authentication: { code: "WAREHOUSE_AUTHENTICATION", retryable: false },
  LoginUnavailable: { code: "WAREHOUSE_LOGIN_UNAVAILABLE", retryable: true },
  Configuration: { code: "WAREHOUSE_CONFIGURATION", retryable: false },
  Unavailable: { code: "WAREHOUSE_UNAVAILABLE", retryable: false },
  Overloaded: { code: "WAREHOUSE_OVERLOADED", retryable: true },
  SessionLost: { code: "WAREHOUSE_SESSION_LOST", retryable: true },
  Unreachable: { code: "WAREHOUSE_UNREACHABLE", retryable: true },
  Protocol: { code: "WAREHOUSE_PROTOCOL", retryable: true },
  ServerFault: { code: "WAREHOUSE_SERVER_FAULT", retryable: true },
  Unknown: { code: "WAREHOUSE_UNKNOWN", retryable: false }
}

export const retry = (ms: number, now: number) => ({
  retryable: true,
  retryAfterMs: Math.ceil(ms),
  retryAt: iso(Math.ceil(now + ms))
})

export const optional = <K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } =>
  value === undefined ? {} : ({ [key]: value } as { readonly [P in K]: V })
