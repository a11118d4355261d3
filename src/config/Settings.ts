/**
 * THE TABLE: every setting of the server, once. The decoded `Settings`, the faults, `--print-config` and
 * the README's tables of settings are made from it; to add a setting is to add an entry here (or, for a
 * tier or a client, in `Tiers`). A value that a service has by itself is taken from the service's `defaults`.
 *
 * @since 0.1.0
 */
import { defaults as policy } from "../tools/CallPolicy.js"
import { defaults as breaker } from "../guard/CircuitBreaker.js"
import { defaults as cache } from "../tools/ResultCache.js"
import * as SnowflakeSettings from "./SnowflakeSettings.js"
import { boolean, choice, integer, number, text } from "./Setting.js"
import { cursorKeys } from "./CursorSettings.js"
import { quotaStore } from "./QuotaStoreSettings.js"
import { sharedServer } from "./SharedServer.js"
import type { SettingsOf, Table } from "./Table.js"
import { burst, name, named, quota, rate, seconds } from "./Tiers.js"

/**
 * @since 0.1.0
 * @category constants
 */
export const table = {
  root: {
    warehouse: choice({
      values: ["duckdb", "snowflake"],
      default: "duckdb",
      about: "which warehouse answers: the embedded sample warehouse, or a Snowflake account"
    }),
    client: text({
      ...name,
      default: "local",
      names: "clients",
      about: "who the client is when it speaks over stdio"
    }),
    rate_limits: choice({
      values: ["local", "shared"],
      default: "local",
      about:
        "each server has its own buckets, or all share those in the Redis of `quota_store`; while that is not reached, each applies the limits by itself"
    })
  },
  sections: {
    log: {
      about: "The server's own log, on stderr.",
      fields: {
        level: choice({
          values: ["trace", "debug", "info", "warning", "error", "none"],
          default: "info",
          about: "least severe line that is logged"
        }),
        format: choice({
          values: ["auto", "pretty", "json"],
          default: "auto",
          about: "`auto` is `pretty` on a terminal and `json` elsewhere"
        })
      }
    },
    limits: {
      about: "What all clients may do together.",
      fields: {
        requests_per_second: number({ ...rate, default: 100, about: "calls per second" }),
        burst: integer({ ...burst, default: 200, about: "calls that may come at once after a quiet time" }),
        queries_per_second: number({ ...rate, default: 20, about: "queries per second" }),
        query_burst: integer({ ...burst, default: 50, about: "queries that may come at once" }),
        max_concurrent_requests: integer({
          min: 1,
          max: 100_000,
          default: 50,
          about: "calls served at a time"
        }),
        max_concurrent_statements: integer({
          min: 1,
          max: 10_000,
          default: 20,
          about: "statements in the warehouse at a time"
        }),
        max_queued: integer({
          min: 0,
          max: 1_000_000,
          default: 200,
          about: "calls that may wait for a slot"
        }),
        max_queued_per_client: integer({
          min: 0,
          max: 1_000_000,
          default: 50,
          atMost: "max_queued",
          about: "calls of one client that may wait for a slot"
        }),
        max_wait_seconds: number({
          ...seconds,
          min: 0,
          max: 3600,
          default: 5,
          about: "longest wait for a slot before the call is refused"
        }),
        max_clients: integer({
          min: 1,
          max: 10_000_000,
          default: 100_000,
          about: "clients tracked at a time; those beyond share one bucket"
        }),
        reserved_share: number({
          min: 0,
          max: 0.9,
          default: 0.25,
          about:
            "part of each shared rate that clients who take more than their share of it leave to the others; 0: none"
        })
      }
    },
    breaker: {
      about: "When to stop calling a warehouse that fails, and when to try it again.",
      fields: {
        consecutive_failures: integer({
          min: 1,
          max: 10_000,
          default: breaker.consecutiveFailures,
          about: "calls that failed in a row that open it"
        }),
        failure_rate: number({
          min: 0.01,
          max: 1,
          default: breaker.failureRate,
          about: "share of failed calls that opens it"
        }),
        minimum_calls: integer({
          min: 1,
          max: 10_000,
          default: breaker.minimumCalls,
          atMost: "window_calls",
          about: "calls in the window before a rate means anything"
        }),
        window_calls: integer({
          min: 1,
          max: 10_000,
          default: breaker.windowCalls,
          about: "latest calls that are looked at"
        }),
        window_seconds: number({
          ...seconds,
          default: breaker.windowMs / 1000,
          about: "age at which a call is no longer looked at"
        }),
        slow_call_seconds: number({
          ...seconds,
          default: breaker.slowCallMs / 1000,
          about: "a call that takes longer is slow"
        }),
        slow_call_rate: number({
          min: 0.01,
          max: 1,
          default: breaker.slowCallRate,
          about: "share of slow calls that opens it"
        }),
        open_seconds: number({
          ...seconds,
          default: breaker.firstOpenMs / 1000,
          atMost: "open_max_seconds",
          about: "how long it stays open the first time; doubles each time after"
        }),
        open_max_seconds: number({
          ...seconds,
          default: breaker.maxOpenMs / 1000,
          about: "how long it stays open at most"
        }),
        probes: integer({
          min: 1,
          max: 100,
          default: breaker.probeSuccesses,
          about: "successful trial calls that close it"
        })
      }
    },
    timeouts: {
      about: "How long things may take.",
      fields: {
        metadata_seconds: number({
          ...seconds,
          default: policy.metadataTimeoutMs / 1000,
          about: "one attempt of a catalog look-up"
        }),
        statement_seconds: number({
          ...seconds,
          default: policy.statementTimeoutMs / 1000,
          atMost: "max_statement_seconds",
          about: "a query whose caller does not say"
        }),
        max_statement_seconds: number({
          ...seconds,
          default: policy.maxStatementTimeoutMs / 1000,
          about: "the most a caller can ask for"
        }),
        shutdown_seconds: number({
          ...seconds,
          min: 0,
          max: 8,
          default: 5,
          about:
            "calls that are running when the server is told to stop; the process ends within ten in any case"
        })
      }
    },
    results: {
      about: "How much of a result is handed over.",
      fields: {
        default_rows: integer({
          min: 1,
          max: 1_000_000,
          default: policy.defaultRows,
          about: "rows of a query whose caller does not say; never more than the tier's `max_rows`"
        }),
        max_bytes: integer({
          min: 1024,
          max: 1024 ** 3,
          default: policy.maxResultBytes,
          unit: "bytes",
          about: "JSON of one result at most"
        }),
        ...cursorKeys
      }
    },
    cache: {
      about:
        "Catalog answers that are remembered, to be given with their age when the warehouse is out of reach.",
      fields: {
        fresh_seconds: number({
          ...seconds,
          min: 0,
          max: 3600,
          default: cache.freshMs / 1000,
          about: "age up to which an answer is given without asking the warehouse; 0: always ask"
        }),
        max_age_seconds: number({
          ...seconds,
          max: 604_800,
          default: cache.maxAgeMs / 1000,
          about: "age at which an answer is forgotten"
        }),
        max_entries: integer({
          min: 1,
          max: 1_000_000,
          default: cache.maxEntries,
          about: "answers remembered"
        }),
        max_bytes: integer({
          min: 1024,
          max: 1024 ** 4,
          default: cache.maxBytes,
          unit: "bytes",
          about: "memory that they may take"
        })
      }
    },
    ...sharedServer,
    duckdb: {
      about: "The embedded warehouse.",
      fields: {
        memory_limit: text({
          pattern: /^[1-9]\d{0,8}(\.\d{1,3})? ?([KMGT]i?B)$/,
          expected: 'a size such as "512MB" or "2GiB"',
          default: "1GB",
          about: "memory it may use"
        }),
        threads: integer({ min: 1, max: 1024, default: 2, about: "threads it may use" }),
        sample: boolean({ default: true, about: "fill it with the sample databases" })
      }
    },
    quota_store: quotaStore,
    snowflake: {
      about: "The Snowflake account, when `warehouse` is `snowflake`.",
      fields: SnowflakeSettings.fields
    },
    global_quota: {
      about: "What all clients may use together; a quota that is not set is not limited.",
      fields: {
        requests_per_hour: quota("requests_per_hour", "over all clients"),
        requests_per_day: quota("requests_per_day", "over all clients"),
        queries_per_hour: quota("queries_per_hour", "over all clients"),
        queries_per_day: quota("queries_per_day", "over all clients"),
        bytes_per_day: quota("bytes_per_day", "over all clients"),
        scan_bytes_per_day: quota("scan_bytes_per_day", "over all clients"),
        statement_seconds_per_day: quota("statement_seconds_per_day", "over all clients")
      }
    }
  },
  named
} satisfies Table

/**
 * All settings, decoded and checked: every default applied, every tier complete.
 *
 * @since 0.1.0
 * @category models
 */
export type Settings = SettingsOf<typeof table>
