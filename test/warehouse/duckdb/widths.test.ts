import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Stream } from "effect"
import * as Widths from "../../../src/warehouse/duckdb/widths.js"
import { duckdb } from "../../../src/sql/Dialect.js"
import { tokenize } from "../../../src/sql/Lexer.js"
import * as DuckDb from "../../../src/warehouse/DuckDb.js"

const textsOf = (sql: string) => Widths.textsOf(Either.getOrThrow(tokenize(sql, duckdb)))

describe("how long texts may become", () => {
  it("is asked only of statements that make long ones", () => {
    expect(textsOf("SELECT a || b, upper(c) FROM t WHERE d = 'x'")).toBeUndefined()
    expect(textsOf("SELECT repeat FROM t")).toBeUndefined()
    expect(textsOf("SELECT rpad(a, 10) || \"LPAD\"(b, 3, '0') FROM t")).toMatchObject({ places: 3 })
    expect(textsOf(`SELECT '${"x".repeat(5000)}'`)).toMatchObject({ places: 0 })
    expect(textsOf("SELECT list_transform(l, x -> repeat('a', 9)) FROM t")).toMatchObject({ lists: true })
  })

  it("is what a row may take, shared between its columns and the places where texts are made", () => {
    expect(Widths.bytesOf("512MB")).toBe(512e6)
    expect(Widths.bytesOf("1.5 GiB")).toBe(1.5 * 1024 ** 3)
    const row = Widths.rowBytes({ memoryLimit: "1GB", threads: 2 })
    // The rows that DuckDB holds at a time take half of its memory at most.
    expect(row * 2048 * 5).toBeLessThanOrEqual(500e6)
    expect(Widths.textBytes({ places: 1, longest: 1, lists: false }, 9, row)).toBe(Math.floor(row / 10))
    expect(Widths.textBytes({ places: 1, longest: 1, lists: true }, 9, row)).toBeLessThan(row / 1000)
    expect(Widths.textBytes({ places: 0, longest: 40_000, lists: false }, 1, row)).toBeGreaterThan(0)
    expect(Widths.textBytes({ places: 0, longest: 40_000, lists: false }, 2, row)).toBeUndefined()
  })

  it.scopedLive("stops a statement that would make more, whatever the texts come from", () =>
    Effect.gen(function* () {
      const warehouse = yield* DuckDb.make({ sample: false, memoryLimit: "200MB" })
      const run = (sql: string) =>
        Effect.scoped(
          Effect.flatMap(warehouse.execute({ sql, timeoutMs: 60_000, requestId: sql }), ({ rows }) =>
            Effect.map(Stream.runCollect(rows), (all) => [...all].flat())
          )
        )
      for (const sql of [
        "SELECT repeat('x', 20000) FROM range(5)",
        "SELECT repeat(repeat('x', 2000), 2000) FROM range(5)",
        "SELECT repeat('x' || range, 5000) FROM range(5)",
        "SELECT rpad('x', 90000), 1 FROM range(5)",
        "SELECT lpad('x', 90000, '-'), 1 FROM range(5)",
        "SELECT space(90000) FROM range(5)",
        "SELECT replace(repeat('x', 2000), 'x', repeat('y', 2000)) FROM range(5)",
        "SELECT regexp_replace(repeat('x', 2000), 'x', repeat('y', 2000)) FROM range(5)",
        `SELECT ${Array.from({ length: 200 }, (_, n) => `a AS a${n}`).join(", ")} FROM (SELECT repeat('x', 2000) AS a FROM range(5))`,
        `WITH t AS (SELECT '${"x".repeat(200)}' AS a FROM range(5)) SELECT ${Array.from({ length: 200 }, (_, n) => `a AS a${n}`).join(", ")} FROM t`,
        `SELECT a, a, a FROM (SELECT '${"x".repeat(5000)}' AS a FROM range(5))`,
        "SELECT list_transform(range(1000), x -> repeat('x', 2000)) FROM range(5)"
      ]) {
        const error = yield* Effect.flip(run(sql))
        expect([sql, error.reason, error.description]).toEqual([
          sql,
          "ResourcesExceeded",
          "The statement makes texts that are too long for the memory of the embedded warehouse."
        ])
      }
      expect(
        yield* run("SELECT length(repeat('ab', 100)), space(2), rpad('é', 3, '-'), repeat('x', 0)")
      ).toEqual([[200, "  ", "é--", ""]])
      expect(yield* run("SELECT replace('a-b', '-', '+'), replace('a-b', '-'), repeat(NULL, 3)")).toEqual([
        ["a+b", "ab", null]
      ])
    })
  )

  it.scopedLive("lets statements that make long texts take turns, each as long as it has time", () =>
    Effect.gen(function* () {
      const warehouse = yield* DuckDb.make({ sample: false })
      const execute = (timeoutMs: number) =>
        warehouse.execute({ sql: "SELECT repeat('x', 100)", timeoutMs, requestId: "turn" })
      const waiting = yield* Effect.scoped(
        Effect.gen(function* () {
          yield* execute(60_000)
          return yield* Effect.flip(Effect.scoped(execute(50)))
        })
      )
      expect(waiting.reason).toBe("StatementTimeout")
      yield* Effect.scoped(execute(60_000))
    })
  )
})
