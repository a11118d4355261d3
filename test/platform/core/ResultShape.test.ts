import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as ResultShape from "../../../src/platform/core/ResultShape.js"
import { shortOrLong } from "../../utils/long.js"

const { cut, jsonBytes, push, rows, start, utf8Bytes } = ResultShape

const size = (value: unknown): number => Buffer.byteLength(JSON.stringify(value), "utf8")

/** Strings with everything that makes counting hard: escapes, two to four bytes, halves of pairs. */
const text = fc.oneof(
  fc.string({
    unit: fc.constantFrom("a", '"', "\\", "\n", "\u0001", "\u000b", "é", "€", "😀", "\ud83d", "\udc00")
  }),
  fc.string({ unit: "binary", maxLength: 200 }),
  fc.nat(400).map((n) => "x".repeat(n))
)
const cell: fc.Arbitrary<ResultShape.Json> = fc.oneof(
  text,
  fc.double(),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.dictionary(fc.string(), fc.oneof(text, fc.integer())),
  fc.array(text)
)
const table = fc
  .integer({ min: 0, max: 5 })
  .chain((width) => fc.array(fc.array(cell, { minLength: width, maxLength: width }), { maxLength: 25 }))

const cutPoints = fc.array(fc.nat(25), { maxLength: 6 })

const inChunks = (data: ReadonlyArray<ResultShape.Row>, points: ReadonlyArray<number>) => {
  const ends = [...points, data.length].sort((a, b) => a - b)
  return ends.map((end, i) => data.slice(i === 0 ? 0 : ends[i - 1], end))
}

/** The same decision, made slowly: with the whole result at hand and `JSON.stringify`. */
const naive = (
  limits: ResultShape.Limits,
  columns: ResultShape.Json,
  data: ReadonlyArray<ResultShape.Row>
) => {
  const shortened = data.map((row) =>
    row.map((value) =>
      size(value) <= Math.max(64, limits.maxCellBytes)
        ? value
        : cut(typeof value === "string" ? value : JSON.stringify(value), limits.maxCellBytes)
    )
  )
  const total = (n: number) =>
    size(columns) + size(shortened.slice(0, n)) + n * (limits.rowOverheadBytes?.([]) ?? 0)
  let n = 0
  while (n < data.length && n < limits.maxRows && total(n + 1) <= limits.maxBytes) n++
  const reason = n === data.length ? undefined : n === limits.maxRows ? "rows" : "bytes"
  return { rows: shortened.slice(0, n), bytes: total(n), reason }
}

const arbitraryLimits = fc.record({
  maxRows: fc.nat(30),
  maxBytes: fc.nat(3000),
  maxCellBytes: fc.integer({ min: 0, max: 400 }),
  rowOverheadBytes: fc.nat(40).map((bytes) => () => bytes)
})
const anyColumns = fc.array(fc.record({ name: text, type: fc.constant("TEXT") }), { maxLength: 3 })

const plain: ResultShape.Limits = { maxRows: 10, maxBytes: 1_000_000, maxCellBytes: 1_000_000 }

describe("sizes", () => {
  it.prop("jsonBytes is the UTF-8 size of JSON.stringify", [cell], ([value]) => {
    expect(jsonBytes(value)).toBe(size(value))
  })

  it.prop("utf8Bytes is the size of the encoded text", [text], ([value]) => {
    expect(utf8Bytes(value)).toBe(Buffer.byteLength(value, "utf8"))
  })
})

describe("cut", () => {
  it.prop(
    "fits the limit, says how much is missing and never splits a character",
    [
      fc.string({ unit: fc.constantFrom("a", '"', "\n", "é", "€", "😀"), minLength: 100, maxLength: 300 }),
      fc.nat(200)
    ],
    ([value, limit]) => {
      const short = cut(value, limit)
      expect(size(short)).toBeLessThanOrEqual(Math.max(64, limit))
      const [, head, missing] = /^(.*)…\[truncated (\d+) bytes\]$/s.exec(short) ?? []
      expect(value.startsWith(head!)).toBe(true)
      expect(head).not.toMatch(/[\ud800-\udbff]$/)
      expect(Number(missing)).toBe(Buffer.byteLength(value) - Buffer.byteLength(head!))
    },
    { fastCheck: { numRuns: shortOrLong(50, 200) } }
  )

  it("uses the room there is", () => {
    // Room is kept for the largest number the marker may have to hold: 1000 has a digit more than 926.
    expect(cut("x".repeat(1000), 100)).toBe("x".repeat(73) + "…[truncated 927 bytes]")
  })
})

describe("push", () => {
  it.prop(
    "keeps what the naive model keeps, however the rows are cut into chunks",
    [table, cutPoints, arbitraryLimits, anyColumns],
    ([data, points, limits, columns]) => {
      const shape = inChunks(data, points).reduce(push, start(limits, columns))
      const expected = naive(limits, columns, data)
      expect(rows(shape)).toEqual(expected.rows)
      expect(shape.rowCount).toBe(expected.rows.length)
      expect(shape.bytes).toBe(expected.bytes)
      expect(shape.truncated?.reason).toBe(expected.reason)
    },
    { fastCheck: { numRuns: shortOrLong(100, 500) } }
  )

  it("is complete when there are exactly as many rows as the limit", () => {
    const shape = push(start({ ...plain, maxRows: 3 }), [[1], [2], [3]])
    expect(shape.truncated).toBeUndefined()
    expect(push(shape, []).truncated).toBeUndefined()
  })

  it("is truncated by rows as soon as one more is seen, and drops that one", () => {
    const full = push(start({ ...plain, maxRows: 3 }), [[1], [2], [3]])
    const shape = push(full, [[4]])
    expect(shape.truncated).toEqual({ reason: "rows", limit: 3 })
    expect(rows(shape)).toEqual([[1], [2], [3]])
    expect(shape.bytes).toBe(full.bytes)
  })

  it("is truncated by bytes at the first row that does not fit, though a later one would", () => {
    const shape = push(start({ ...plain, maxBytes: 20 }), [["aaaa"], ["a".repeat(20)], ["b"]])
    expect(rows(shape)).toEqual([["aaaa"]])
    expect(shape.truncated).toEqual({ reason: "bytes", limit: 20 })
  })

  it("changes nothing any more once it is truncated", () => {
    const shape = push(start({ ...plain, maxRows: 1 }), [[1], [2]])
    expect(push(shape, [[3]])).toBe(shape)
  })

  it("counts the columns", () => {
    const columns = [{ name: "A", type: "NUMBER" }]
    expect(start(plain, columns).bytes).toBe(size(columns) + size([]))
  })

  it("cuts one huge cell and keeps the row, its neighbours and the caller's array", () => {
    const row = [1, "y".repeat(5000), { deep: "z".repeat(5000) }, null]
    const shape = push(start({ ...plain, maxCellBytes: 200 }), [row])
    const [[first, second, third, last]] = rows(shape) as [[number, string, string, null]]
    expect([first, last]).toEqual([1, null])
    expect(second).toMatch(/^y+…\[truncated \d+ bytes\]$/)
    expect(third).toMatch(/^\{"deep":"z+…\[truncated \d+ bytes\]$/)
    expect(shape.cutCells).toBe(2)
    expect(row[1]).toHaveLength(5000)
    expect(shape.bytes).toBe(size([]) + size(rows(shape)))
  })

  it("does not count the cut cells of a row that is left out", () => {
    const shape = push(start({ maxRows: 10, maxBytes: 100, maxCellBytes: 64 }), [
      ["a"],
      ["b".repeat(500), "c".repeat(500)]
    ])
    expect(shape.rowCount).toBe(1)
    expect(shape.cutCells).toBe(0)
  })
})
