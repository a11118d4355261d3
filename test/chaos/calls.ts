/** What the agent of a chaotic run asks for, and the settings of the server that it asks. */
import * as Emulator from "../../src/emulator/Emulator.js"
import type { Stream } from "../simulation/Random.js"
import type { Call } from "./client.js"

/** Fewer than there are places to work in, so that sessions come and go. */
export const SESSIONS = 2
const METADATA_SECONDS = 2
const STATEMENT_SECONDS = 3
export const metadata = { deadlineMs: METADATA_SECONDS * 2_000 }
const query = { deadlineMs: STATEMENT_SECONDS * 1_000 + 10_000 }

export const settings = (url: string) => ({
  NO_PROXY: "127.0.0.1",
  SNOWGUARD_WAREHOUSE: "snowflake",
  SNOWFLAKE_ACCOUNT: "emulator",
  SNOWFLAKE_ACCESS_URL: url,
  SNOWFLAKE_USERNAME: Emulator.defaultUser,
  SNOWFLAKE_PASSWORD: Emulator.defaultPassword,
  SNOWFLAKE_WAREHOUSE: "COMPUTE_WH",
  SNOWGUARD_LOG_FORMAT: "json",
  SNOWGUARD_SNOWFLAKE_LOGIN_SECONDS: "2",
  SNOWGUARD_SNOWFLAKE_FETCH_SECONDS: "2",
  SNOWGUARD_SNOWFLAKE_LATCH_SECONDS: "1",
  SNOWGUARD_SNOWFLAKE_MAX_SESSIONS: String(SESSIONS),
  SNOWGUARD_TIMEOUTS_METADATA_SECONDS: String(METADATA_SECONDS),
  SNOWGUARD_TIMEOUTS_STATEMENT_SECONDS: String(STATEMENT_SECONDS),
  SNOWGUARD_BREAKER_OPEN_SECONDS: "0.3",
  SNOWGUARD_BREAKER_OPEN_MAX_SECONDS: "0.6",
  // Faults are to be met, not to be kept out by limits.
  SNOWGUARD_LIMITS_QUERIES_PER_SECOND: "1000",
  SNOWGUARD_LIMITS_QUERY_BURST: "1000",
  SNOWGUARD_TIERS_DEFAULT_REQUESTS_PER_SECOND: "1000",
  SNOWGUARD_TIERS_DEFAULT_BURST: "1000",
  SNOWGUARD_TIERS_DEFAULT_INITIAL_TOKENS: "1000",
  SNOWGUARD_TIERS_DEFAULT_REQUESTS_PER_HOUR: "10000000",
  SNOWGUARD_TIERS_DEFAULT_REQUESTS_PER_DAY: "10000000",
  SNOWGUARD_TIERS_DEFAULT_QUERIES_PER_HOUR: "10000000",
  SNOWGUARD_TIERS_DEFAULT_QUERIES_PER_DAY: "10000000",
  SNOWGUARD_TIERS_DEFAULT_BYTES_PER_DAY: "100000000000"
})

export const database = "SNOWGUARD_SAMPLE"
const sql = (text: string, more: object = {}): Call => ({
  tool: "execute_query",
  args: { sql: text, database, schema: "PUBLIC", ...more },
  ...query
})
export const catalog = (tool: string, args: Call["args"] = {}): Call => ({ tool, args, ...metadata })
export const broken = (n: number, more: object = {}): Call =>
  sql(`SELECT NO_SUCH_COLUMN_${n} FROM ORDERS`, more)
/** With time enough on any machine. */
export const mistake = (n: number): Call => ({ ...broken(n, { timeout_seconds: 30 }), deadlineMs: 40_000 })
/** Longer than anybody waits; ends only if it is cancelled. */
export const endless = (n: number): Call => ({
  ...sql(
    `SELECT COUNT(*) FROM ORDERS A, ORDERS B, ORDERS C WHERE A.ORDER_ID * B.ORDER_ID + C.ORDER_ID = -${n}`,
    { timeout_seconds: 60 }
  ),
  deadlineMs: 70_000
})
export const parts = (n: number): Call =>
  sql(`SELECT EVENT_ID, ${n} AS N FROM WEB.EVENTS ORDER BY EVENT_ID`, { limit: 1_500, schema: "WEB" })
export const small = (n: number): Call =>
  sql(`SELECT STATUS, COUNT(*) AS N FROM ORDERS WHERE ORDER_ID > ${n} GROUP BY STATUS`)

export const anyCall = (dice: Stream, n: number): Call => {
  const cancelAfterMs = dice.chance(0.15) ? dice.between(20, 700) : undefined
  const chosen = dice.next()
  const call =
    chosen < 0.12
      ? catalog("list_databases", { pattern: `${"%".repeat(1 + (n % 5))}SAMPLE` })
      : chosen < 0.25
        ? catalog("list_tables", { database, schema: "PUBLIC", limit: 1 + (n % 40) })
        : chosen < 0.35
          ? catalog("describe_table", { database, schema: "WEB", table: "EVENTS" })
          : chosen < 0.65
            ? small(n)
            : chosen < 0.85
              ? parts(n)
              : chosen < 0.93
                ? broken(n)
                : chosen < 0.97
                  ? sql(`SELECT ${n}`, { database: undefined, schema: undefined })
                  : endless(n)
  return chosen >= 0.97
    ? { ...call, cancelAfterMs: dice.between(100, 700) }
    : cancelAfterMs === undefined
      ? call
      : { ...call, cancelAfterMs }
}
