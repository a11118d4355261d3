/**
 * THE TABLE: every setting of the server, once. The decoded `Settings`, the faults, `--print-config` and
 * the tables of docs/configuration.md are made from it; to add a setting is to add an entry here. A value that a
 * service has by itself is taken from the service's `defaults`.
 */
import { defaults as breaker } from "../guard/CircuitBreaker.js"
import { names as events } from "../platform/core/Events.js"
import { Scope } from "../guard/RateLimiter.js"
import { namePattern, nameRule } from "../platform/Principal.js"
import { defaults as credits } from "../quota/Credits.js"
import { LEAST_CREDITS } from "../quota/Quota.js"
import { partOf, QuotaName } from "../quota/QuotaStore.js"
import * as MaskRules from "../sql/MaskRules.js"
import { syntax } from "../sql/ObjectRules.js"
import { defaults as policy, toolNames } from "../tools/CallPolicy.js"
import { defaults as cache } from "../tools/ResultCache.js"
import { defaults as search } from "../tools/SearchIndex.js"
import { boolean, choice, integer, list, number, path, paths, record, secret, text } from "./Setting.js"
import type { SettingsOf, Table } from "./Table.js"

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
  },
  credits_per_hour: {
    max: count,
    about: "credits of Snowflake that queries cost",
    per: "UTC hour",
    unit: "credits"
  },
  credits_per_day: {
    max: count,
    about: "credits of Snowflake that queries cost",
    per: "UTC day",
    unit: "credits"
  }
} satisfies { readonly [name: string]: Counted }
const quota = <D extends number | undefined = undefined>(
  name: keyof typeof quotas,
  whose: string,
  fallback?: D
) => {
  const { about, max, per, unit }: Counted = quotas[name]
  const whole = partOf(name) === 1
  return (whole ? integer : number)<D>({
    min: whole ? 1 : LEAST_CREDITS,
    max,
    ...(fallback === undefined ? {} : { default: fallback }),
    unit,
    about: `${about} per ${per}, ${whose}`
  })
}

/** Bounds that several settings share. */
const rate = { min: 0.001, max: 1_000_000 }
const burst = { min: 1, max: 1_000_000 }
const seconds = { min: 0.001, max: 86_400, unit: "seconds" }

/** Of a client or a tier. */
const name = {
  pattern: namePattern,
  expected: `a name of ${nameRule}`
}
const dotted = /^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*){0,2}$/

const objects = {
  pattern: syntax,
  expected: 'a list of names such as ["SALES", "SALES.PUBLIC", "*.HR", "SALES.PUBLIC.ORDERS"]'
}

const httpUrl = {
  pattern: /^https?:\/\/[^\s"'<>\\/@]{1,255}(\/[^\s"'<>\\]{0,500})?$/,
  expected: 'a URL such as "https://login.example.com", without a user or password'
}
// As RFC 6749 has it: no quotes, no backslash.
const scope = {
  pattern: /^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/,
  expected: 'a list of scopes such as ["snowguard:read"]'
}
const claim = { pattern: /^[\x21-\x7e]{1,200}$/, expected: "the name of a claim" }

const word = (about: string, ...aliases: ReadonlyArray<string>) =>
  text({ pattern: /^[^\p{Cc}]{1,512}$/u, expected: "a text on one line", about, aliases })

const file = (about: string, ...aliases: ReadonlyArray<string>) => path({ about, aliases })

const hidden = (about: string, ...aliases: ReadonlyArray<string>) =>
  secret({ pattern: /^[^\0]{1,100000}$/s, expected: "a text", about, aliases })

/** How a user of Snowflake logs in; in `[snowflake]` also under the names that Snowflake's own tools use. */
const login = (aliased: boolean) => {
  const also = (...names: ReadonlyArray<string>) => (aliased ? names : [])
  // A credential is one whole: of two levels each part of which says something, none would be meant.
  const own = <S extends object>(setting: S): S => (aliased ? setting : { ...setting, inherits: false })
  return {
    user: own(word("user that logs in", ...also("SNOWFLAKE_USER", "SNOWFLAKE_USERNAME"))),
    authenticator: own(
      word(
        "`snowflake`, `username_password_mfa`, `snowflake_jwt`, `oauth`, `oauth_client_credentials`, " +
          (aliased ? "`oauth_authorization_code` (one person signs in by the browser), " : "") +
          "`programmatic_access_token`, `externalbrowser` or `workload_identity`; found out when it is clear",
        ...also("SNOWFLAKE_AUTHENTICATOR")
      )
    ),
    password: own(hidden("password of the user", ...also("SNOWFLAKE_PASSWORD"))),
    passcode: own(
      hidden(
        "one-time code of the second factor; good for one session, which serves all databases of one role",
        ...also("SNOWFLAKE_PASSCODE")
      )
    ),
    private_key: own(hidden("private key of the user in PEM form", ...also("SNOWFLAKE_PRIVATE_KEY"))),
    private_key_file: own(
      file(
        "file with the private key; read at each login",
        ...also("SNOWFLAKE_PRIVATE_KEY_FILE", "SNOWFLAKE_PRIVATE_KEY_PATH")
      )
    ),
    private_key_passphrase: own(
      hidden(
        "what the private key is encrypted with",
        ...also("SNOWFLAKE_PRIVATE_KEY_PASSPHRASE", "SNOWFLAKE_PRIVATE_KEY_FILE_PWD")
      )
    ),
    token: own(hidden("OAuth or programmatic access token", ...also("SNOWFLAKE_TOKEN"))),
    token_file: own(file("file with the token; read at each login", ...also("SNOWFLAKE_TOKEN_FILE_PATH"))),
    oauth_client_id: own(
      word("client id for `oauth_client_credentials`", ...also("SNOWFLAKE_OAUTH_CLIENT_ID"))
    ),
    oauth_client_secret: own(hidden("its secret", ...also("SNOWFLAKE_OAUTH_CLIENT_SECRET"))),
    oauth_token_request_url: own(
      word("where its tokens are issued", ...also("SNOWFLAKE_OAUTH_TOKEN_REQUEST_URL"))
    ),
    oauth_scope: own(word("scope of its tokens", ...also("SNOWFLAKE_OAUTH_SCOPE"))),
    workload_identity_provider: own(
      word("`AWS`, `AZURE`, `GCP` or `OIDC`", ...also("SNOWFLAKE_WORKLOAD_IDENTITY_PROVIDER"))
    )
  }
}

const ofCaller = login(false)

/** `rate` is every rate limit and `quota` every quota. The gate, the slots and the breaker always hold. */
const observable = [
  "rate",
  "quota",
  ...Scope.literals.filter((scope) => scope !== "overflow"),
  ...QuotaName.literals
]

/** One field of the tables `tools.NAME` of a tier. */
const ofTool = { within: toolNames }

const tools = {
  pattern: new RegExp(`^(${toolNames.join("|")})$`),
  expected: 'a list of tools of this server, such as ["explain_query"]'
}

/** As whom the statements of a tier or a client run; the table `snowflake` within it. */
const caller = (whose: string) => ({
  "snowflake.role": word(`role of the sessions of ${whose}`),
  "snowflake.warehouse": word(`warehouse that the queries of ${whose} run in`),
  "snowflake.user": ofCaller.user,
  "snowflake.authenticator": ofCaller.authenticator,
  "snowflake.password": ofCaller.password,
  "snowflake.passcode": ofCaller.passcode,
  "snowflake.private_key": ofCaller.private_key,
  "snowflake.private_key_file": ofCaller.private_key_file,
  "snowflake.private_key_passphrase": ofCaller.private_key_passphrase,
  "snowflake.token": ofCaller.token,
  "snowflake.token_file": ofCaller.token_file,
  "snowflake.oauth_client_id": ofCaller.oauth_client_id,
  "snowflake.oauth_client_secret": ofCaller.oauth_client_secret,
  "snowflake.oauth_token_request_url": ofCaller.oauth_token_request_url,
  "snowflake.oauth_scope": ofCaller.oauth_scope,
  "snowflake.workload_identity_provider": ofCaller.workload_identity_provider
})

export const table = {
  root: {
    warehouse: choice({
      values: ["duckdb", "snowflake"],
      default: "duckdb",
      about:
        "which warehouse answers: the embedded one (a sample, or files of your own), or a Snowflake account"
    }),
    client: text({
      ...name,
      default: "local",
      names: "clients",
      about: "the name of the client when it speaks over stdio"
    }),
    reload: choice({
      values: ["manual", "watch"],
      default: "manual",
      about:
        "when `snowguard http` reads its settings again: on `snowguard admin reload` and SIGHUP, or also within seconds of a change of the file"
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
          about: "part of each shared rate that is kept for clients below their share of it; 0: none"
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
        cursor_key: secret({
          // 43 characters of base64 are 32 bytes; what else makes a key is judged where it is used.
          pattern: /^[\s,]*[\w+/=-]{43,512}([\s,]+[\w+/=-]{43,512}){0,9}[\s,]*$/,
          expected:
            "one key or several, separated by commas or spaces, each of 43 characters or more as " +
            "`openssl rand -base64 32` prints them",
          about:
            "what the cursors of `get_query_results` are signed with; the first key signs, all are accepted, so that a " +
            "key can be replaced. Servers with the same key take each other's cursors: with `snowflake` any of them " +
            "then gives the rows, if it logs in with the same user and role; the embedded warehouse keeps results in " +
            "its own process, and another one says that they are gone. Not set, with `quota_store.kind` `sqlite`: a key " +
            "made once in the state directory; with `redis` or `memory`: one of each process"
        }),
        cursor_key_file: path({
          about: "file with the same, read at the start; in place of `results.cursor_key`"
        }),
        token_key: secret({
          pattern: /^\s*[\w+/=-]{43,512}\s*$/,
          expected: "a key of 43 characters or more as `openssl rand -base64 32` prints it",
          about:
            "what the tokens of masked columns are made with (`tiers.NAME.mask`): servers with the same key make the " +
            "same tokens. Not set: a key made once in the state directory"
        }),
        token_key_file: path({
          about: "file with the same, read at the start; in place of `results.token_key`"
        })
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
    search: {
      about: "What `search_objects` finds: names of tables, views and columns, kept in memory.",
      fields: {
        refresh_seconds: number({
          ...seconds,
          min: 60,
          max: 604_800,
          default: search.refreshMs / 1000,
          about: "age from which they are asked for again, in the background, when a client calls"
        }),
        statements_per_hour: integer({
          min: 10,
          max: 1_000_000,
          default: search.statementsPerHour,
          about:
            "statements that this may take over all users; they count as those of the client `snowguard:search`"
        }),
        max_objects: integer({
          min: 1_000,
          max: 100_000_000,
          default: search.maxObjects,
          about: "tables, views and columns kept"
        }),
        max_bytes: integer({
          min: 1024 ** 2,
          max: 1024 ** 4,
          default: search.maxBytes,
          unit: "bytes",
          about: "memory that they may take"
        })
      }
    },
    http: {
      about: "The shared server (`snowguard http`).",
      fields: {
        host: text({
          pattern: /^([A-Za-z0-9][A-Za-z0-9.-]{0,252}|[0-9A-Fa-f:.]{2,45}|\[[0-9A-Fa-f:.]{2,45}\])$/,
          expected: 'a host name or an address such as "127.0.0.1"',
          default: "127.0.0.1",
          about: "address to listen on; one that others can reach needs authentication"
        }),
        port: integer({ min: 0, max: 65_535, default: 8787, about: "port to listen on; 0: any free one" }),
        allowed_hosts: list({
          pattern: /^([A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?$/,
          expected: 'a list of host names such as ["snowguard.example.com"]',
          about: "names it may be called by; on loopback those of this machine, elsewhere any when empty"
        }),
        allowed_origins: list({
          pattern: /^https?:\/\/[A-Za-z0-9.:[\]-]{1,255}$/,
          expected: 'a list of origins such as ["https://app.example.com"]',
          about: "origins of web pages that may call it"
        }),
        trusted_proxies: list({
          pattern:
            /^(\d{1,3}(\.\d{1,3}){3}(\/([0-9]|[12][0-9]|3[0-2]))?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(\/([0-9]{1,2}|1[01][0-9]|12[0-8]))?)$/,
          expected: 'a list of addresses and networks such as ["10.0.0.0/8"]',
          about: "proxies whose `X-Forwarded-For` is believed"
        }),
        max_body_bytes: integer({
          min: 1024,
          max: 64 * 1024 ** 2,
          default: 1024 ** 2,
          unit: "bytes",
          about: "one request at most"
        }),
        max_concurrent_bodies: integer({
          min: 1,
          max: 100_000,
          default: 256,
          about:
            "requests that are read at a time, a quarter of them of one client; those beyond are told to come back"
        }),
        request_seconds: number({
          ...seconds,
          max: 600,
          default: 10,
          about: "time for a request's headers to arrive, and again for its body"
        }),
        max_connections: integer({ min: 1, max: 1_000_000, default: 10_000, about: "connections at a time" }),
        max_sessions: integer({ min: 1, max: 1_000_000, default: 5000, about: "sessions at a time" }),
        max_sessions_per_client: integer({
          min: 1,
          max: 1_000_000,
          default: 500,
          atMost: "max_sessions",
          about: "sessions of one client at a time; the one unused longest makes room"
        }),
        session_idle_seconds: number({
          ...seconds,
          default: 1800,
          about: "time without a request after which a session is forgotten"
        }),
        strict_sessions: boolean({
          default: false,
          about:
            "404 for a session that this process did not open; else one of a process before it goes on under its id"
        }),
        failed_logins_per_second: number({
          min: 0.001,
          max: 10_000,
          default: 1,
          about: "refused credentials per second of one address"
        }),
        failed_login_burst: integer({
          min: 1,
          max: 1_000_000,
          default: 20,
          about: "refused credentials of one address that may come at once"
        }),
        client_requests_per_second: number({
          min: 0.001,
          max: 1_000_000,
          default: 100,
          about:
            "requests per second of one client, whatever they ask for; beyond that they wait, and are then not read"
        }),
        client_request_burst: integer({
          min: 1,
          max: 1_000_000,
          default: 1000,
          about: "requests of one client that may come at once"
        }),
        client_bytes_per_second: integer({
          min: 1024,
          max: 1024 ** 3,
          default: 2 * 1024 ** 2,
          about: "bytes per second of one client's requests; beyond that they wait, and are then not read"
        }),
        client_byte_burst: integer({
          min: 1024,
          max: 1024 ** 3,
          default: 16 * 1024 ** 2,
          about: "bytes of one client's requests that may come at once"
        }),
        cancel_on_disconnect: boolean({
          default: true,
          about: "a caller whose connection is gone has its statement cancelled"
        }),
        metrics: choice({
          values: ["protected", "open", "off"],
          default: "protected",
          about: "access to `/metrics`: with an administrator's credential, open to all, or off"
        }),
        status: boolean({
          default: true,
          about: "serves the page `/status` and its events; without it administrators alone read its data"
        })
      }
    },
    auth: {
      about: "Access to the shared server.",
      fields: {
        mode: choice({
          values: ["auto", "keys", "oauth", "none"],
          default: "auto",
          about: "`auto`: keys as soon as one was made; until then no credential is asked for on this machine"
        }),
        keys_file: path({ about: "file of the API keys; `keys.json` in the state directory when not set" }),
        issuer: text({ ...httpUrl, about: "the authorization server, exactly as in the tokens' `iss`" }),
        resource: text({ ...httpUrl, about: "URL of `/mcp` as clients know it; tokens must be for it" }),
        audience: text({
          pattern: /^[\x21-\x7e]{1,500}$/,
          expected: "an audience without spaces",
          about: "what tokens must be for, in place of `auth.resource`"
        }),
        jwks_url: text({
          ...httpUrl,
          about:
            "where the authorization server publishes its signing keys; found through `auth.issuer` when not set"
        }),
        algorithms: list({
          pattern: /^((RS|PS|ES)(256|384|512)|EdDSA|Ed25519)$/,
          expected: 'a list of asymmetric algorithms such as ["RS256"]',
          about: "signatures that are accepted; all asymmetric ones when empty"
        }),
        scopes: list({ ...scope, about: "scopes that a token must have" }),
        admin_scope: text({
          pattern: scope.pattern,
          expected: "one scope",
          default: "snowguard:admin",
          about: "scope that may read what is the operator's"
        }),
        client_claim: text({ ...claim, default: "sub", about: "claim that says whose limits apply" }),
        tier_claim: text({ ...claim, about: "claim that names the tier, or several" })
      }
    },
    tools: {
      about: "The tools of this server.",
      fields: {
        enabled: list({ ...tools, about: "those that callers of any tier have at all; empty: all" })
      }
    },
    audit: {
      about: "The log of what each client asked.",
      fields: {
        file: path({ about: "where it is written; nowhere when not set" }),
        statements: choice({
          values: ["hash", "text", "none"],
          default: "hash",
          about: "what is written of a statement"
        }),
        max_bytes: integer({
          min: 1024,
          max: 1024 ** 4,
          default: 64 * 1024 ** 2,
          unit: "bytes",
          about: "size at which the file is put aside"
        }),
        keep: integer({ min: 0, max: 1000, default: 5, about: "files put aside that are kept" })
      }
    },
    duckdb: {
      about: "The embedded warehouse.",
      fields: {
        memory_limit: text({
          pattern: /^[1-9]\d{0,8}(\.\d{1,3})? ?([KMGT]i?B)$/,
          expected: 'a size such as "512MB" or "2GiB"',
          default: "1GB",
          about: "memory that DuckDB may use in each of its processes"
        }),
        process_memory_limit: text({
          pattern: /^[1-9]\d{0,8}(\.\d{1,3})? ?([KMGT]i?B)$/,
          expected: 'a size such as "1500MB" or "3GiB"',
          default: "1500MB",
          about: "memory at which a process of it is ended, with the statement that took it"
        }),
        max_processes: integer({
          min: 1,
          max: 64,
          default: 4,
          about: "processes at most: each client has one of its own while there are enough"
        }),
        threads: integer({ min: 1, max: 1024, default: 2, about: "threads of each process" }),
        database: path({
          about:
            "a DuckDB file that is served, read-only: a database named after the file (`sales.duckdb` is `SALES`), its schema `main` as `PUBLIC`"
        }),
        load: paths({
          about:
            "files that are served as tables of `LOCAL.PUBLIC`, each named after its file: CSV, TSV, JSON and Parquet. They are read at the start, into a temporary file"
        }),
        sample: boolean({
          about: "also the sample database; when not set, where there is neither `database` nor `load`"
        })
      }
    },
    quota_store: {
      about: "Where it is remembered what was used.",
      fields: {
        kind: choice({
          values: ["sqlite", "redis", "memory"],
          default: "sqlite",
          about:
            "a file in the state directory, shared by all servers of this user; a Redis, shared by a fleet; or the " +
            "memory of this process"
        }),
        on_unavailable: choice({
          values: ["refuse", "memory"],
          default: "refuse",
          about:
            "when the store cannot be opened, or Redis is not reached within seconds of the start: end with exit code " +
            "74, so that a supervisor tries again; or count in memory until the next start, and say so in the log. " +
            "A store that is lost later is looked for, and `on_quota_outage` decides meanwhile"
        }),
        windows: choice({
          values: ["fixed", "rolling"],
          default: "fixed",
          about:
            "UTC hours and days with an exact end; or never more than the limit in any hour or day. The same for all " +
            "servers of a store"
        }),
        durability: choice({
          values: ["normal", "full"],
          default: "normal",
          about:
            "of the file: `full` also survives a power cut, and waits for the disk; `normal` may lose a second"
        }),
        lock_wait_seconds: number({
          ...seconds,
          min: 0.001,
          max: 60,
          default: 0.25,
          about: "longest wait for other servers that use the same file"
        }),
        redis_url: secret({
          pattern: /^[^\p{Cc}\s]{1,4096}$/u,
          expected: "a URL",
          about:
            "`redis://`, `rediss://` (TLS), `redis+sentinel://h:p,h:p/NAME` or `redis+cluster://h:p,h:p`, with or " +
            "without `user:password@`"
        }),
        redis_prefix: text({
          pattern: /^[^\p{Cc}\s{}*?[\]\\]{1,64}$/u,
          expected: "a text without braces, brackets and wildcards",
          default: "snowguard:",
          about: "what every key in Redis starts with"
        }),
        redis_timeout_seconds: number({
          ...seconds,
          min: 0.01,
          max: 5,
          default: 0.15,
          about: "an operation of Redis"
        })
      }
    },
    // Each is also read under the names that Snowflake's own tools and other servers use, after the server's own;
    // what neither says may be in a connection of the files that those tools share (`Connections`).
    snowflake: {
      about: "The Snowflake account, when `warehouse` is `snowflake`.",
      fields: {
        account: word("account identifier, for example `myorg-myaccount`", "SNOWFLAKE_ACCOUNT"),
        identity: choice({
          values: ["shared", "client", "exchange"],
          default: "shared",
          about:
            "as whom statements run: `shared`: all callers are the user of this section; `client`: each is the user of " +
            "`clients.NAME.snowflake`, else of `tiers.NAME.snowflake`, else of `tiers.default.snowflake`, and one without " +
            "a user is refused; `exchange`: each is itself, by a token that its access token is exchanged for (`[exchange]`)"
        }),
        ...login(true),
        oauth_issuer: text({
          ...httpUrl,
          about:
            "authorization server of `oauth_authorization_code`, found by its metadata; the account itself, with its client " +
            "for local programs, when neither this nor its endpoints are set"
        }),
        oauth_authorization_url: word(
          "where the browser is sent, in place of what the metadata say; its tokens are issued at `oauth_token_request_url`",
          "SNOWFLAKE_OAUTH_AUTHORIZATION_URL"
        ),
        oauth_redirect_uri: word(
          "address of this machine that the browser comes back to; without a port any that is free; `http://127.0.0.1` when " +
            "not set",
          "SNOWFLAKE_OAUTH_REDIRECT_URI"
        ),
        oauth_keep: boolean({
          default: false,
          about:
            "keep the refresh token of the sign-in in a file of the state directory that its owner alone may read, so that a " +
            "restart needs no browser; in memory only otherwise"
        }),
        role: word("role of the sessions; give it read access and no more", "SNOWFLAKE_ROLE"),
        secondary_roles: choice({
          values: ["none", "all"],
          default: "none",
          about:
            "`none`: each session has its role and no other (`USE SECONDARY ROLES NONE`), and one that refuses this is " +
            "closed; `all`: those that the user has by default, which are all of its roles where nothing is set"
        }),
        warehouse: word("warehouse that queries run in", "SNOWFLAKE_WAREHOUSE"),
        database: word("database that names without one are looked up in", "SNOWFLAKE_DATABASE"),
        schema: word("schema that names without one are looked up in", "SNOWFLAKE_SCHEMA"),
        access_url: word(
          "address of a private endpoint instead of the account's own",
          "SNOWFLAKE_ACCESS_URL"
        ),
        connection: word(
          "connection of Snowflake's `connections.toml` or `config.toml` that fills in what is not set; `--connection` " +
            "comes before it",
          "SNOWFLAKE_DEFAULT_CONNECTION_NAME"
        ),
        login_seconds: number({ ...seconds, default: 15, about: "a login" }),
        approval_seconds: number({
          ...seconds,
          default: 120,
          about:
            "a login that a person approves (push notification, browser); there is one for each role, and its session " +
            "serves all databases"
        }),
        fetch_seconds: number({ ...seconds, default: 30, about: "wait for the next part of a result" }),
        queued_seconds: number({
          ...seconds,
          default: 60,
          about: "a statement in the warehouse's queue; never more than its own time"
        }),
        max_sessions: integer({
          min: 1,
          max: 1000,
          about:
            "sessions at a time, one for each role and namespace in use, and statements at a time; " +
            "as many as `limits.max_concurrent_statements` when unset"
        }),
        max_sessions_per_identity: integer({
          min: 1,
          max: 1000,
          about: "of them of one user, where there are several; 4 when unset"
        }),
        unknown_credits_per_hour: number({
          min: 0,
          max: 100_000,
          default: credits.unknownPerHour,
          unit: "credits",
          about:
            "what a warehouse is counted with whose size or type does not say what it costs, or that is not shown"
        }),
        warehouse_refresh_seconds: number({
          ...seconds,
          max: 3600,
          default: credits.refreshMs / 1000,
          about:
            "age at which what `SHOW WAREHOUSES` said of size and state is asked for again, where credits count"
        }),
        latch_seconds: number({
          ...seconds,
          max: 86_400,
          default: 600,
          about:
            "pause after a refused login, so that the account is not locked; shorter where the refusal may pass, and over " +
            "when the credential has changed"
        }),
        cap_rows: boolean({
          default: true,
          about: "let Snowflake stop a result after the rows that are read (`ROWS_PER_RESULTSET`)"
        })
      }
    },
    exchange: {
      about:
        'How callers get tokens of their own for Snowflake, when `snowflake.identity` is "exchange" and `auth.mode` is "oauth".',
      fields: {
        preset: choice({
          values: ["standard", "okta", "entra", "keycloak", "snowflake"],
          default: "standard",
          about:
            "what the authorization server expects: the standard (RFC 8693) for all but `entra`, which has the " +
            "on-behalf-of grant; `snowflake` is Snowflake's own endpoint, which was not tried"
        }),
        issuer: text({
          ...httpUrl,
          about:
            "the authorization server that exchanges tokens, found by its metadata; `auth.issuer` when not set"
        }),
        token_url: text({ ...httpUrl, about: "its token endpoint, in place of what the metadata say" }),
        client_id: word("this server as a client there"),
        client_auth: choice({
          values: ["basic", "post", "private_key_jwt"],
          default: "basic",
          about: "how the client shows who it is: a secret in the header or the body, or a signed assertion"
        }),
        client_secret: hidden("its secret"),
        client_secret_file: file("file with the same; read at each exchange"),
        client_key: hidden("private key in PEM form that signs its assertions"),
        client_key_file: file("file with the same; read at each exchange"),
        client_key_id: word("`kid` of the assertions"),
        client_assertion_audience: word("`aud` of the assertions; the issuer when not set"),
        audience: word(
          "what the token is to be for; the account's address when neither this nor `resource` is set"
        ),
        resource: word("the same as a URI (RFC 8707)"),
        scope: word(
          "scope that is asked for; `{role}`, `{warehouse}`, `{tier}` and `{client}` stand for the caller's; " +
            "`session:role:{role}`, or `session:role-any` without a role, when not set"
        ),
        subject_token_type: word("what the caller's token is; an access token when not set"),
        requested_token_type: word("what is asked for"),
        actor_token: hidden("token of this server as the actor (RFC 8693, 2.1)"),
        actor_token_file: file("file with the same; read at each exchange"),
        actor_token_type: word("what that is; an access token when not set"),
        authorization_details: word(
          "JSON text (RFC 9396) that bounds the token, with `{role}` and its like within strings"
        ),
        parameters: list({
          pattern: /^[A-Za-z_][\w.-]{0,99}=[^\p{Cc}]{0,2000}$/u,
          expected: 'a list of parameters such as ["prompt=none"]',
          about: "further parameters of the request, each as `name=value`"
        }),
        timeout_seconds: number({ ...seconds, max: 60, default: 5, about: "one exchange" }),
        max_concurrent: integer({ min: 1, max: 1000, default: 8, about: "exchanges at a time" })
      }
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
        statement_seconds_per_day: quota("statement_seconds_per_day", "over all clients"),
        credits_per_hour: quota("credits_per_hour", "over all clients"),
        credits_per_day: quota("credits_per_day", "over all clients")
      }
    }
  },
  named: {
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
          about: "calls that a new client may make at once"
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
        credits_per_hour: quota("credits_per_hour", "of one client"),
        credits_per_day: quota("credits_per_day", "of one client"),
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
          about:
            "what a statement may scan by the warehouse's own estimate, which is asked for before it runs"
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
        observe: list({
          pattern: new RegExp(`^(${observable.join("|")})$`),
          expected:
            'a list such as ["rate", "quota"], or of scopes and quotas such as ["tool", "bytes_per_day"]',
          about: "limits that are counted as if they were in force, and refuse nothing to the tier"
        }),
        allow_tools: list({
          ...tools,
          about: "tools that are listed and may be called; empty: all"
        }),
        deny_tools: list({
          ...tools,
          about: "... that are not, also where `allow_tools` has them"
        }),
        "tools.*.requests_per_second": number({
          ...rate,
          ...ofTool,
          together: "tools.*.burst",
          about: "calls of the tool per second of one client"
        }),
        "tools.*.burst": integer({
          ...burst,
          ...ofTool,
          together: "tools.*.requests_per_second",
          about: "calls of the tool of one client that may come at once"
        }),
        "tools.*.weight": number({
          min: 0,
          max: 1_000_000,
          ...ofTool,
          atMost: "burst",
          about:
            "calls that a call of the tool counts as against the client's `requests_per_second` and `burst`; 1 when not set"
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
        mask: record({
          pattern: MaskRules.syntax,
          values: MaskRules.kinds,
          expected: 'a table such as { "SALES.PUBLIC.CUSTOMERS.EMAIL" = "token", "*.HR.*.SALARY" = "null" }',
          about:
            "columns whose values queries do not see, by full name, `*` for any name in its place: `token`, the same " +
            "for equal values; `null`; `hidden`, one text for all. See [Masked columns](security.md#masked-columns)"
        }),
        allow_flow: boolean({ default: policy.allowFlow, about: "statements may be chained with `->>`" }),
        wake_warehouse: boolean({
          default: policy.wakeWarehouse,
          about:
            "queries may resume a virtual warehouse of Snowflake that is suspended; where not, they are refused while it is"
        }),
        allow_stages: boolean({
          default: policy.allowStages,
          about: "files of named stages may be read, as FROM '@DB.SCHEMA.STAGE/file'"
        }),
        ...caller("the tier"),
        "snowflake.scope": word("in place of `exchange.scope`"),
        "snowflake.authorization_details": word("in place of `exchange.authorization_details`")
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
        statement_seconds_per_day: quota("statement_seconds_per_day", "in place of the tier's"),
        credits_per_hour: quota("credits_per_hour", "in place of the tier's"),
        credits_per_day: quota("credits_per_day", "in place of the tier's"),
        ...caller("the client")
      }
    },
    alerts: {
      one: "alert",
      listed: true,
      about:
        "Where operators are told what happens: a JSON document by POST, of which `text` is what Slack shows (docs/alerts.md). " +
        "Entries of `[[alerts]]` are called 1, 2 and so on.",
      fields: {
        url: secret({
          pattern: /^https?:\/\/([^\s"'<>\\/@]{1,255}@)?[^\s"'<>\\/@?#]{1,255}([/?][^\s"'<>\\]{0,2000})?$/,
          expected: 'a URL such as "https://hooks.slack.com/services/..."',
          about: "where it is sent; a secret, of which only the host is logged"
        }),
        events: list({
          pattern: new RegExp(`^(${events.join("|")})$`),
          expected: `a list of ${events.map((name) => `"${name}"`).join(", ")}`,
          together: "url",
          about: `what is told, of ${events.map((name) => `\`${name}\``).join(", ")}; empty: all`
        }),
        min_interval: number({
          min: 0,
          max: 86_400,
          default: 300,
          unit: "seconds",
          together: "url",
          about:
            "least time between two of the same kind and subject; of those that come sooner, the last is sent when it is over"
        }),
        signing_key: {
          ...hidden("key of the HMAC-SHA256 that each request is signed with; not signed when not set"),
          together: "url"
        }
      }
    }
  }
} satisfies Table

/**
 * All settings, decoded and checked: every default applied, every tier complete.
 */
export type Settings = SettingsOf<typeof table>
