/**
 * The settings of one tier and of one client, and the pieces they share with the other sections.
 *
 * @since 0.1.0
 */
import { defaults as policy } from "../tools/CallPolicy.js"
import { syntax } from "../sql/ObjectRules.js"
import { boolean, choice, integer, list, number, text } from "./Setting.js"
import type { NamedSection } from "./Table.js"
import { namePattern } from "../platform/Principal.js"

const count = 1_000_000_000
const pebibyte = 1024 ** 5

interface Counted {
  readonly max: number
  readonly about: string
  readonly per: string
  readonly unit?: string
}

// The same in a tier, for a client and over all clients.
const quotas = {
  requests_per_hour: { max: count, about: "calls", per: "UTC hour" },
  requests_per_day: { max: count, about: "calls", per: "UTC day" },
  queries_per_hour: { max: count, about: "queries", per: "UTC hour" },
  queries_per_day: { max: count, about: "queries", per: "UTC day" },
  bytes_per_day: {
    max: pebibyte,
    about: "result bytes (the JSON of columns and rows, once an answer)",
    per: "UTC day",
    unit: "bytes"
  },
  scan_bytes_per_day: { max: pebibyte, about: "bytes scanned by queries", per: "UTC day", unit: "bytes" },
  statement_seconds_per_day: {
    max: count,
    about: "seconds that queries run in the warehouse",
    per: "UTC day",
    unit: "seconds"
  }
} satisfies { readonly [name: string]: Counted }
export const quota = <D extends number | undefined = undefined>(
  name: keyof typeof quotas,
  whose: string,
  fallback?: D
) => {
  const { about, max, per, unit }: Counted = quotas[name]
  return integer<D>({
    min: 1,
    max,
    ...(fallback === undefined ? {} : { default: fallback }),
    unit,
    about: `${about} per ${per}, ${whose}`
  })
}

/** Bounds that several settings share. */
export const rate = { min: 0.001, max: 1_000_000 }
export const burst = { min: 1, max: 1_000_000 }
export const seconds = { min: 0.001, max: 86_400, unit: "seconds" }

/** Of a client or a tier. */
export const name = {
  pattern: namePattern,
  expected: "a name of letters, digits and . _ @ : - (128 at most)"
}
const dotted = /^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*){0,2}$/

const objects = {
  pattern: syntax,
  expected: 'a list of names such as ["SALES", "SALES.PUBLIC", "*.HR", "SALES.PUBLIC.ORDERS"]'
}

/**
 * @since 0.1.0
 * @category constants
 */
export const named = {
  tiers: {
    one: "tier",
    base: "default",
    about: "What each client of a tier may do. What a tier does not say, it takes from `tiers.default`.",
    fields: {
      requests_per_second: number({ ...rate, default: 10, about: "calls per second of one client" }),
      burst: integer({ ...burst, default: 100, about: "calls of one client that may come at once" }),
      initial_tokens: integer({
        min: 0,
        max: 1_000_000,
        default: 50,
        atMost: "burst",
        about: "calls that a client nobody has seen before may make at once"
      }),
      total_requests_per_second: number({
        ...rate,
        together: "total_burst",
        about: "calls per second of all clients of the tier together"
      }),
      total_burst: integer({
        ...burst,
        together: "total_requests_per_second",
        about: "calls of all clients of the tier that may come at once"
      }),
      requests_per_hour: quota("requests_per_hour", "of one client", 3600),
      requests_per_day: quota("requests_per_day", "of one client", 86_400),
      queries_per_hour: quota("queries_per_hour", "of one client", 1800),
      queries_per_day: quota("queries_per_day", "of one client", 43_200),
      bytes_per_day: quota("bytes_per_day", "of one client", 1024 ** 3),
      scan_bytes_per_day: quota("scan_bytes_per_day", "of one client"),
      statement_seconds_per_day: quota("statement_seconds_per_day", "of one client"),
      max_rows: integer({
        min: 1,
        max: 1_000_000,
        default: policy.maxRows,
        about: "rows of one result at most"
      }),
      max_result_bytes: integer({
        min: 1024,
        max: 1024 ** 3,
        unit: "bytes",
        about: "in place of `results.max_bytes`"
      }),
      max_scan_bytes: integer({
        min: 1,
        max: pebibyte,
        unit: "bytes",
        about: "what a statement may scan by the warehouse's own estimate, which is asked for before it runs"
      }),
      max_statement_seconds: number({
        ...seconds,
        about: "in place of `timeouts.max_statement_seconds`"
      }),
      max_token_wait_seconds: number({
        ...seconds,
        min: 0,
        max: 60,
        default: 2,
        about: "a call that is too early waits up to this long for its turn instead of being refused"
      }),
      on_quota_outage: choice({
        values: ["closed", "share"],
        default: "closed",
        about:
          "when the quota store is lost: refuse, or admit this server's share of what was left and then refuse"
      }),
      low_priority: boolean({
        default: false,
        about: "queries of this tier can come later: they are the first to be turned away"
      }),
      weight: integer({
        min: 1,
        max: 100,
        default: 1,
        about: "turns in a row while clients wait for a slot"
      }),
      allow_functions: list({
        pattern: dotted,
        expected: 'a list of function names such as ["MY_UDF", "DB.SCHEMA.F"]',
        about: "functions allowed beyond the built-in ones"
      }),
      allow_objects: list({
        ...objects,
        about: "databases, schemas and tables that may be read; empty: all that the server's role may"
      }),
      deny_objects: list({
        ...objects,
        about: "... that may not be read, also where `allow_objects` has them"
      }),
      allow_flow: boolean({ default: policy.allowFlow, about: "statements may be chained with `->>`" }),
      allow_stages: boolean({
        default: policy.allowStages,
        about: "files of named stages may be read, as FROM '@DB.SCHEMA.STAGE/file'"
      })
    }
  },
  clients: {
    one: "client",
    about:
      "The tier of a client, and what it has of its own on top. A client that is not named has `default`.",
    fields: {
      tier: text({ ...name, default: "default", references: "tiers", about: "name of its tier" }),
      requests_per_hour: quota("requests_per_hour", "in place of the tier's"),
      requests_per_day: quota("requests_per_day", "in place of the tier's"),
      queries_per_hour: quota("queries_per_hour", "in place of the tier's"),
      queries_per_day: quota("queries_per_day", "in place of the tier's"),
      bytes_per_day: quota("bytes_per_day", "in place of the tier's"),
      scan_bytes_per_day: quota("scan_bytes_per_day", "in place of the tier's"),
      statement_seconds_per_day: quota("statement_seconds_per_day", "in place of the tier's")
    }
  }
} satisfies { readonly [name: string]: NamedSection }
