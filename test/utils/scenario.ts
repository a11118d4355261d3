/**
 * Servers in trouble: what `/metrics` of real ones says in each phase of it. Rules and dashboards are tried on these.
 */
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Emulator from "../../src/emulator/Emulator.js"
import { run } from "./command.js"
import * as H from "./http.js"
import { endless, folder, spawned } from "./httpProcess.js"
import { eventually } from "./ops.js"
import { bin, cleanEnv } from "./server.js"

/** Its metrics at one moment of a phase. */
export interface Scrape {
  readonly phase: string
  readonly text: string
}

const settings = (more = "") => `
${more}
warehouse = "snowflake"
[http]
port = 0
[limits]
max_concurrent_statements = 2
max_queued = 2
max_queued_per_client = 1
max_wait_seconds = 60
[tiers.low]
requests_per_second = 1
burst = 1
initial_tokens = 1
requests_per_hour = 2
observe = ["quota"]
[tiers.small]
requests_per_hour = 10
[tiers.spent]
queries_per_hour = 2
[tiers.costly]
credits_per_day = 0.00125
`

const account = (emulator: Emulator.Emulator, password: string) => ({
  SNOWFLAKE_ACCOUNT: "emulator",
  SNOWFLAKE_ACCESS_URL: emulator.url,
  SNOWFLAKE_USERNAME: Emulator.defaultUser,
  SNOWFLAKE_PASSWORD: password,
  SNOWFLAKE_WAREHOUSE: "compute_wh"
})

/** A server with a key for each tier, and one for the operator. */
const server = (given: { readonly [name: string]: string }) =>
  Effect.gen(function* () {
    const home = yield* folder
    const config = join(home, "snowguard.toml")
    writeFileSync(config, settings())
    const env = {
      ...given,
      SNOWGUARD_CONFIG: config,
      SNOWGUARD_STATE_DIR: home,
      SNOWGUARD_RESULTS_CURSOR_KEY: randomBytes(32).toString("base64")
    }
    const key = (...args: ReadonlyArray<string>) =>
      run(process.execPath, [bin, "keys", "create", ...args], { env: cleanEnv(env) }).then(
        ({ status, stderr, stdout }) => (status === 0 ? stdout.trim() : Promise.reject(new Error(stderr)))
      )
    const tiers = ["default", "low", "small", "spent", "costly"] as const
    const keys: { [tier: string]: string } = {}
    for (const tier of tiers) keys[tier] = yield* Effect.promise(() => key(tier, "--tier", tier))
    const admin = yield* Effect.promise(() => key("operator", "--admin"))
    const process_ = yield* spawned(env)
    const http = new H.Server(yield* Effect.promise(() => process_.port))
    const start = (tier: string, name: string, args: object = {}) => {
      const { body, headers } = H.modern(1, "tools/call", { name, arguments: args })
      return http.start({ body: body as object, headers, token: keys[tier] })
    }
    const call = (tier: string, name: string, args: object = {}) =>
      Effect.promise(() => start(tier, name, args).answer)
    const query = (tier: string, sql = "SELECT 1 AS N") => call(tier, "execute_query", { sql })
    const act = (action: string, body: object = {}) =>
      http.ask({ path: `/admin/${action}`, body, token: admin })
    const scrapes: Array<Scrape> = []
    const scrape = Effect.map(http.ask({ path: "/metrics", token: admin }), ({ body, status }) => {
      if (status !== 200) throw new Error(body)
      return body
    })
    const seen = (phase: string) => Effect.map(scrape, (text) => void scrapes.push({ phase, text }))
    return { home, config, http, admin, start, call, query, act, scrape, seen, scrapes }
  })

const value = (text: string, line: RegExp): number =>
  Number(
    text
      .split("\n")
      .find((one) => line.test(one))
      ?.split(" ")
      .at(-1) ?? 0
  )

/** A server that has every trouble one after the other, and is well between them and at the end. */
export const troubled = Effect.gen(function* () {
  const emulator = yield* Emulator.start()
  const one = yield* server({
    ...account(emulator, Emulator.defaultPassword),
    SNOWGUARD_AUDIT_FILE: "/dev/full"
  })
  const { act, call, config, http, query, scrape, seen, start } = one

  // What is counted has begun: an increase is seen between two values only.
  yield* query("default")
  yield* query("default")
  yield* call("default", "list_databases")
  const guess = http.ask({ body: H.initialize(), token: "guessed" })
  yield* guess
  yield* seen("calm")

  // One runs, and one waits, because a slot is kept for other clients; that one is taken too.
  const held = [
    start("default", "execute_query", { sql: endless }),
    start("default", "execute_query", { sql: endless }),
    start("costly", "execute_query", { sql: endless, timeout_seconds: 4 })
  ]
  yield* eventually(async () => {
    const text = await Effect.runPromise(scrape)
    return (
      value(text, /^snowguard_queue_length\{pool="statements"\}/) > 0 &&
      value(text, /^snowguard_slots_in_use\{pool="statements"\}/) > 1
    )
  })
  yield* query("default")
  yield* seen("busy")
  for (let i = 0; i < 15; i++) yield* query("default")
  yield* seen("busy")
  // It ran as long as it was allowed to, which is most of what its client may spend.
  yield* Effect.promise(async () => held[2]?.answer)
  yield* query("costly")
  yield* seen("costly")
  for (const { request } of held) request.destroy()
  yield* eventually(async () => {
    const text = await Effect.runPromise(scrape)
    return value(text, /^snowguard_slots_in_use\{pool="statements"\}/) === 0
  })

  for (let i = 0; i < 11; i++) yield* call("small", "get_limits")
  for (let i = 0; i < 9; i++) yield* call("small", "list_databases")
  // The second waits for its token, and the third would be too many.
  for (const together of [2, 1]) {
    yield* Effect.all(
      Array.from({ length: together }, () => call("low", "list_databases")),
      { concurrency: "unbounded" }
    )
  }
  for (let i = 0; i < 3; i++) yield* query("spent")
  yield* seen("quotas")

  for (let i = 0; i < 8; i++) yield* query("default", "SELECT * FROM NO_SUCH_TABLE")
  yield* seen("loop")

  yield* Effect.all(
    Array.from({ length: 30 }, () => guess),
    { concurrency: 4 }
  )
  yield* seen("guessed")

  yield* act("breaker/open")
  yield* query("default")
  // The mode follows the circuit a moment later.
  yield* eventually(async () => {
    const text = await Effect.runPromise(scrape)
    return value(text, /^snowguard_degradation_mode\{mode="cache-only"\}/) === 1
  })
  yield* seen("open")
  yield* act("breaker/release")
  yield* act("breaker/reset")

  yield* act("ladder/pin", { mode: "emergency" })
  yield* query("default")
  yield* seen("pinned")
  yield* act("ladder/unpin")

  writeFileSync(config, settings("no_such_setting = 1"))
  yield* act("config/reload")
  yield* seen("wrong settings")
  writeFileSync(config, settings('rate_limits = "local"').replace("port = 0", "max_sessions = 100"))
  yield* act("config/reload")
  yield* seen("other settings")
  return one
})

/** A server whose login is refused, and whose quota store is not there. */
export const locked = Effect.gen(function* () {
  const emulator = yield* Emulator.start()
  const one = yield* server({
    ...account(emulator, "wrong"),
    SNOWGUARD_QUOTA_STORE_KIND: "redis",
    SNOWGUARD_QUOTA_STORE_REDIS_URL: "redis://127.0.0.1:1",
    SNOWGUARD_QUOTA_STORE_ON_UNAVAILABLE: "memory"
  })
  yield* one.query("default")
  yield* one.query("default")
  yield* one.seen("locked")
  for (let i = 0; i < 12; i++) yield* one.query("default")
  yield* one.seen("locked")
  return one
})

export interface Sample {
  readonly name: string
  /** With its labels, as it stands in the text. */
  readonly series: string
  readonly value: string
}

export const samplesOf = (text: string): ReadonlyArray<Sample> =>
  text.split("\n").flatMap((line) => {
    const [, series, name, value] = /^(([a-zA-Z_:][\w:]*)(?:\{.*\})?) (\S+)$/.exec(line) ?? []
    return series === undefined || name === undefined || value === undefined ? [] : [{ name, series, value }]
  })

/** The series with these labels more. */
export const labelled = (series: string, labels: string): string =>
  series.endsWith("}") ? `${series.slice(0, -1)},${labels}}` : `${series}{${labels}}`
