import { DuckDBInstance } from "@duckdb/node-api"
import { expect } from "@effect/vitest"
import { Effect, Either } from "effect"
import { readFileSync } from "node:fs"
import * as ReadOnly from "../../src/gate/ReadOnly.js"
import * as DuckDbFunctions from "../../src/gate/core/DuckDbFunctions.js"
import * as Functions from "../../src/gate/core/Functions.js"
import { embeddedGate } from "../utils/embeddedGate.js"
import { withLayer } from "../utils/withLayer.js"

const verdict = (sql: string) =>
  Effect.flatMap(ReadOnly.ReadOnly, (gate) => Effect.either(gate.check(sql, ReadOnly.defaultPolicy)))

/** What the DuckDB that is installed has, asked of itself. */
const ask = (sql: string) =>
  Effect.promise(async () => {
    const instance = await DuckDBInstance.create(":memory:")
    const connection = await instance.connect()
    const rows = (await connection.runAndReadAll(sql)).getRows().map((row) => String(row[0]))
    connection.disconnectSync()
    instance.closeSync()
    return rows
  })

const allowedScalar = (name: string) => Functions.scalarInDuckDb(name) === "allowed"
const allowedTable = (name: string) => Functions.tableInDuckDb(name) === "allowed"

withLayer(embeddedGate())("the lists against the DuckDB that is installed", (it) => {
  it.effect("of its functions with side effects or volatile results only random numbers are allowed", () =>
    Effect.gen(function* () {
      const names = yield* ask(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability = 'VOLATILE' OR has_side_effects"
      )
      expect(names).toContain("nextval")
      expect(names.filter(allowedScalar).sort()).toEqual([
        "gen_random_uuid",
        "random",
        "uuid",
        "uuidv4",
        "uuidv7"
      ])
    })
  )

  it.effect("of its table functions only those over their arguments are allowed", () =>
    Effect.gen(function* () {
      const names = yield* ask(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type IN ('table', 'table_macro', 'pragma')"
      )
      expect(names.filter(allowedTable).sort()).toEqual([
        "generate_series",
        "json_each",
        "json_tree",
        "range",
        "repeat",
        "repeat_row",
        "unnest"
      ])
      for (const name of names.filter((name) => !allowedTable(name))) {
        const answer = yield* verdict(`SELECT * FROM "${name}"('x')`)
        expect([name, Either.isLeft(answer)]).toEqual([name, true])
      }
    })
  )

  it.effect("none that reads files or tells of the engine can be allowed by an operator", () =>
    Effect.gen(function* () {
      const names = yield* ask("SELECT DISTINCT function_name FROM duckdb_functions()")
      const looks =
        /^(?:read_.*|parquet_.*|glob|sniff_csv|.*_(?:scan|attach|query)|(?:duckdb|pragma|sqlite|pg)_.*)$/
      const verdicts = names
        .filter((name) => looks.test(name))
        .flatMap((name) => [Functions.scalarInDuckDb(name), Functions.tableInDuckDb(name)])
      expect(verdicts.length).toBeGreaterThan(150)
      expect(verdicts.filter((one) => one === "allowed" || one.verdict !== "never")).toEqual([])
    })
  )

  it.effect("a Snowflake name never lets through a DuckDB function that is not listed", () =>
    Effect.gen(function* () {
      const names = yield* ask(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type <> 'pragma'"
      )
      const listed = [DuckDbFunctions.native, DuckDbFunctions.macros, DuckDbFunctions.operators]
      const viaSnowflake = names.filter(
        (name) => allowedScalar(name) && !listed.some((list) => list.has(name.toLowerCase()))
      )
      // Geometry to text and bytes: pure.
      expect(viaSnowflake.sort()).toEqual(["st_asbinary", "st_astext", "st_aswkb", "st_aswkt"])
    })
  )

  it.effect("every view of the engine is refused, however it is named", () =>
    Effect.gen(function* () {
      const views = yield* ask(
        "SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE internal AND schema_name <> 'information_schema'"
      )
      expect(views.length).toBeGreaterThan(20)
      for (const view of views) {
        const name = view.split(".")[1] ?? ""
        for (const sql of [
          `FROM ${view}`,
          `FROM ${name}`,
          `FROM "${name.toUpperCase()}"`,
          `FROM db.${view}`
        ]) {
          const answer = yield* verdict(sql)
          expect([sql, Either.isLeft(answer) && answer.left.code]).toEqual([sql, "OBJECT_NOT_ALLOWED"])
        }
      }
    })
  )
})

interface Row {
  readonly sql: string
  readonly class: string
}

withLayer(embeddedGate())("the corpus of statements that must be refused", (it) => {
  it.effect("has no statement that the gate accepts, but those that are harmless by their class", () =>
    Effect.gen(function* () {
      const rows = readFileSync(new URL("../fixtures/hand_rejects.jsonl", import.meta.url), "utf8")
        .trim()
        .split("\n")
        .map((line): Row => JSON.parse(line))
      expect(rows.length).toBeGreaterThan(300)
      const accepted: Array<string> = []
      for (const row of rows) {
        if (Either.isRight(yield* verdict(row.sql))) accepted.push(`${row.class}: ${row.sql}`)
      }
      // A name in Snowflake is a keyword here or the other way round; an odd character inside a comment that is dropped.
      const harmless = accepted.filter((entry) => /^(?:invalid-sql|ambig-comment): /.test(entry))
      expect(accepted).toEqual(harmless)
      expect(harmless.length).toBeLessThan(10)
    })
  )
})
