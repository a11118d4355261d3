/** Everything that must be refused, sent to the built binary with a Snowflake account behind it. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Emulator from "../../src/emulator/Emulator.js"
import { metaKey } from "../../src/mcp/ErrorReport.js"
import * as Server from "../utils/server.js"
import { shortOrLong, someOrAll } from "../utils/long.js"

const attacks = someOrAll(
  readFileSync(new URL("../fixtures/hand_rejects.jsonl", import.meta.url), "utf8")
    .trim()
    .split("\n")
    .map((line) => String((JSON.parse(line) as { readonly sql: string }).sql)),
  100
)

const shop = { database: "SNOWGUARD_SAMPLE", schema: "PUBLIC" }

/** Ours; the third says that the same text, but for its spaces, has been refused before. */
const refusals = new Set(["STATEMENT_REJECTED", "INVALID_INPUT", "REPEATED_FAILURE"])

const home = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-home-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

it.scopedLive("attacks leave the data, the session and stdout untouched", () =>
  Effect.gen(function* () {
    const emulator = yield* Emulator.start()
    const server = yield* Server.raw({
      env: {
        SNOWGUARD_WAREHOUSE: "snowflake",
        SNOWFLAKE_ACCOUNT: "emulator",
        SNOWFLAKE_ACCESS_URL: emulator.url,
        SNOWFLAKE_USER: Emulator.defaultUser,
        SNOWFLAKE_PASSWORD: Emulator.defaultPassword,
        SNOWGUARD_LIMITS_BURST: "10000",
        SNOWGUARD_LIMITS_QUERY_BURST: "10000",
        SNOWGUARD_TIERS_DEFAULT_BURST: "10000",
        SNOWGUARD_TIERS_DEFAULT_INITIAL_TOKENS: "10000",
        HOME: yield* home,
        NO_PROXY: "127.0.0.1"
      }
    })
    yield* Effect.promise(() => server.initialize())
    let id = 0
    const query = (sql: string) =>
      Effect.promise(() => server.call((id += 1), "execute_query", { sql, ...shop }))
    const state = Effect.forEach(
      [
        "SELECT COUNT(*), MAX(ORDER_ID) FROM ORDERS",
        "SELECT CURRENT_DATABASE(), CURRENT_SCHEMA(), CURRENT_ROLE()"
      ],
      (sql) => Effect.map(query(sql), ({ result }) => result?.structuredContent?.["rows"])
    )
    const tables = Effect.promise(async () => {
      const answer = await server.call((id += 1), "list_tables", { database: shop.database })
      return answer.result?.structuredContent?.["tables"]
    })
    const before = [yield* state, yield* tables]
    expect(before[0]).toEqual([[[20_000, 20_000]], [["SNOWGUARD_SAMPLE", "PUBLIC", expect.any(String)]]])

    const passed: Array<string> = []
    for (const sql of attacks) {
      const { result } = yield* query(sql)
      const refusal = result?._meta?.[metaKey] as { readonly code: string } | undefined
      if (!refusals.has(String(refusal?.code))) passed.push(sql)
    }
    console.log(
      `${attacks.length - passed.length} of ${attacks.length} attacks refused before Snowflake; passed: ${JSON.stringify(passed)}`
    )
    // The few that pass are invalid SQL or have their verb in a comment: Snowflake itself refuses or reads.
    expect(passed.length).toBeLessThan(attacks.length * shortOrLong(0.06, 0.03))
    expect([yield* state, yield* tables]).toEqual(before)
    expect(server.notJson).toEqual([])
  })
)
