/** Answers as Snowflake sends them, read through the adapter and the driver. */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Option } from "effect"
import { gzipSync } from "node:zlib"
import * as Verdict from "../../src/guard/Verdict.js"
import type { Answer, Part } from "./replay.js"
import { column, read, replay, result, serve } from "./replay.js"

const names = (columns: ReadonlyArray<{ readonly name: string }>) => columns.map(({ name }) => name)

const reserved = [
  "constructor",
  "toString",
  "__proto__",
  "hasOwnProperty",
  "valueOf",
  "prototype",
  "__defineGetter__",
  "isPrototypeOf",
  "length",
  "then",
  "toJSON"
]

describe("columns", () => {
  it.live("are told by their place: names that objects have, doubles, none, and of any alphabet", () =>
    Effect.gen(function* () {
      const all = [...reserved, "A", "a", "A", "", "", " ", "名前", "é", "e\u0301", 'q"q', "a.b", "0", "1"]
      const rowtype = all.map((name) => column(name, "fixed", { precision: 38, scale: 0 }))
      const { columns, rows } = yield* replay({
        body: result(rowtype, [all.map((_, index) => String(index)), all.map(() => null)])
      })
      expect(names(columns)).toEqual(all)
      expect(rows).toEqual([all.map((_, index) => index), all.map(() => null)])
    })
  )

  it.live("of parts are told by their place too", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const rowtype = [column("constructor", "text"), column("__proto__", "text")]
        const { url } = yield* serve((origin) => ({
          body: result(rowtype, [], {
            chunks: [{ url: `${origin}/part/a`, rowCount: 2, uncompressedSize: 1, compressedSize: 1 }],
            total: 2,
            returned: 2
          }),
          parts: { a: '["1","2"],["3",null]' }
        }))
        expect((yield* read(url)).rows).toEqual([
          ["1", "2"],
          ["3", null]
        ])
      })
    )
  )
})

describe("values", () => {
  it.live("keep their digits and get the names of their types", () =>
    Effect.gen(function* () {
      const cells: ReadonlyArray<readonly [object, string, unknown, string]> = [
        [
          column("N", "fixed", { precision: 38, scale: 0 }),
          "99999999999999999999999999999999999999",
          "99999999999999999999999999999999999999",
          "NUMBER(38,0)"
        ],
        [column("D", "fixed", { precision: 10, scale: 4 }), "-0.0500", "-0.0500", "NUMBER(10,4)"],
        [column("F", "real"), "NaN", "NaN", "FLOAT"],
        [column("DF", "decfloat", { precision: 38 }), "1E+6144", "1E+6144", "DECFLOAT"],
        [column("V", "variant"), "[1,undefined,2]", [1, null, 2], "VARIANT"],
        [
          column("O", "object"),
          '{"x": 1.2345678901234567890123456789}',
          { x: "1.2345678901234567890123456789" },
          "OBJECT"
        ],
        [column("X", "variant"), '<a b="1">t</a>', '<a b="1">t</a>', "VARIANT"],
        [
          column("G", "object", { extTypeName: "GEOGRAPHY" }),
          '{"coordinates":[1,2],"type":"Point"}',
          { coordinates: [1, 2], type: "Point" },
          "GEOGRAPHY"
        ],
        [column("W", "text", { extTypeName: "GEOMETRY" }), "POINT(1 2)", "POINT(1 2)", "GEOMETRY"],
        [column("B", "binary", { length: 8388608 }), "DEADBEEF", "DEADBEEF", "BINARY"],
        [column("IY", "interval_year_month", { scale: 0 }), "-25", "-P2Y1M", "INTERVAL YEAR TO MONTH"],
        [
          column("ID", "interval_day_time", { scale: 9 }),
          "5400000000000",
          "PT1H30M",
          "INTERVAL DAY TO SECOND"
        ],
        [
          column("VE", "vector", { vectorDimension: 2, fields: [{ type: "fixed", nullable: false }] }),
          "[1,2]",
          [1, 2],
          "VECTOR(INT, 2)"
        ],
        [
          column("M", "map", {
            fields: [
              { type: "text", nullable: false },
              { type: "fixed", precision: 5, scale: 0, nullable: true }
            ]
          }),
          '{"a":1}',
          { a: 1 },
          "MAP(VARCHAR NOT NULL, NUMBER(5,0))"
        ],
        [
          column("TZ", "timestamp_tz", { scale: 3 }),
          "-0.001 960",
          "1969-12-31T15:59:59.999-08:00",
          "TIMESTAMP_TZ(3)"
        ],
        [
          column("T", "text"),
          'line\n\u2028\u0000\ud83d\ude00"\\',
          'line\n\u2028\u0000\ud83d\ude00"\\',
          "VARCHAR"
        ]
      ]
      const { columns, rows } = yield* replay({
        body: result(
          cells.map(([type]) => type),
          [cells.map(([, wire]) => wire), cells.map(() => null)]
        )
      })
      expect(rows).toEqual([cells.map(([, , value]) => value), cells.map(() => null)])
      expect(columns.map(({ type }) => type)).toEqual(cells.map(([, , , type]) => type))
    })
  )

  it.live("that a server sends as what they are, and not as texts, are read all the same", () =>
    Effect.gen(function* () {
      const rowtype = [column("A", "fixed", { scale: 0 }), column("B", "boolean"), column("C", "real")]
      const { rows } = yield* replay({ body: result(rowtype, [[1, true, 1.5]]) })
      expect(rows).toEqual([[1, true, 1.5]])
    })
  )
})

const two = [column("A", "text"), column("B", "text")]

/** Two rows in the answer, four in one part. */
const inParts = (part: Part, more: Partial<Answer> = {}, rowCount = 4) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { asked, url } = yield* serve((origin) => ({
        body: result(two, [["a", "b"]], {
          chunks: [{ url: `${origin}/part/a`, rowCount, uncompressedSize: 1, compressedSize: 1 }],
          total: 1 + rowCount,
          returned: 1 + rowCount
        }),
        parts: { a: part },
        ...more
      }))
      const outcome = yield* Effect.either(read(url, { fetchMs: 300 }))
      const fetched = asked.filter((path) => path.startsWith("/part/")).length
      return outcome._tag === "Right" ? outcome.right.rows : `${outcome.left.reason} ${fetched}`
    })
  )

const good = '["1","2"],["3","4"],["5","6"],["7","8"]'
const rows = [["a", "b"], ...(JSON.parse(`[${good}]`) as Array<Array<string>>)]

describe("a part", () => {
  it.live("is read whatever it is called, packed or not, with brackets or without, in any pieces", () =>
    Effect.gen(function* () {
      expect(yield* inParts(good)).toEqual(rows)
      expect(yield* inParts(`[${good}]`)).toEqual(rows)
      expect(yield* inParts(` ${good.replaceAll("],[", "]\n,\n[")}\n`)).toEqual(rows)
      expect(yield* inParts(good, { partType: "application/json" })).toEqual(rows)
      expect(yield* inParts(gzipSync(good), { partEncoding: "gzip", partType: "application/json" })).toEqual(
        rows
      )
      expect(
        yield* inParts((response) => {
          for (const letter of good) response.write(letter)
          response.end()
        })
      ).toEqual(rows)
    })
  )

  it.live("that is not what was declared is an error, and never served as if it were", () =>
    Effect.gen(function* () {
      const gzip = { partEncoding: "gzip" }
      const cases: ReadonlyArray<readonly [string, Part, Partial<Answer>?]> = [
        ["short", '["1","2"],["3","4"],["5","6"]'],
        ["empty", ""],
        ["long", `${good},["9","10"]`],
        ["narrow", good.replaceAll(/,"\d"\]/g, "]")],
        ["wide", good.replaceAll("]", ',"x"]')],
        ["one narrow row", good.replace('["7","8"]', '["7"]')],
        ["objects", '{"A":"1","B":"2"},{"A":"1","B":"2"},{"A":"1","B":"2"},{"A":"1","B":"2"}'],
        ["nested", good.replace('"8"', '["8"]')],
        ["cut off", good.slice(0, -3)],
        ["without a comma", good.replace("],[", "][")],
        ["html", "<!DOCTYPE html><html></html>"],
        ["xml", "<?xml version='1.0'?><Error/>", { partType: "application/xml" }],
        ["truncated gzip", gzipSync(good).subarray(0, 20), gzip],
        ["no gzip", good, gzip]
      ]
      for (const [name, part, more] of cases) {
        expect([name, yield* inParts(part, more)]).toEqual([name, "Protocol 1"])
      }
    })
  )

  it.live("that does not come, or not to its end, could not be reached", () =>
    Effect.gen(function* () {
      expect(yield* inParts(() => undefined)).toBe("Unreachable 1")
      expect(yield* inParts((response) => response.write('["1","2"],["3"'))).toBe("Unreachable 1")
      expect(
        yield* inParts((response) => {
          response.write('["1","2"],["3"', () => response.socket?.resetAndDestroy())
        })
      ).toBe("Unreachable 1")
    })
  )
})

it.live("what is not wanted is not downloaded, however large the parts are", () =>
  Effect.scoped(
    Effect.gen(function* () {
      const row = `["${"x".repeat(1_000)}","y"]`
      const declared = 150_000
      let written = 0
      const part: Part = (response) => {
        const rest = (from: number): void => {
          for (let at = from; at < declared; at++) {
            const text = at === 0 ? row : `,${row}`
            written += text.length
            if (!response.write(text)) {
              response.once("drain", () => rest(at + 1))
              return
            }
          }
          response.end()
        }
        rest(0)
      }
      const { asked, url } = yield* serve((origin) => ({
        body: result(two, [], {
          chunks: Array.from({ length: 10 }, () => ({ url: `${origin}/part/a`, rowCount: declared })),
          returned: 10 * declared
        }),
        parts: { a: part }
      }))
      expect((yield* read(url, { maxRows: 100 })).rows).toHaveLength(100)
      expect(asked.filter((path) => path.startsWith("/part/"))).toHaveLength(1)
      // Of 150 MB in each part: what the sockets hold.
      expect(written).toBeLessThan(20_000_000)
    })
  )
)

describe("an answer", () => {
  it.live("without rows of its own has those of its parts", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { url } = yield* serve((origin) => ({
          body: result(two, undefined, {
            chunks: [
              { url: `${origin}/part/a`, rowCount: 1 },
              { url: `${origin}/part/b`, rowCount: 2 }
            ],
            chunkHeaders: null,
            qrmk: "k",
            returned: 3
          }),
          parts: { a: '["1","2"]', b: '["3","4"],["5","6"]' }
        }))
        expect((yield* read(url)).rows).toEqual([
          ["1", "2"],
          ["3", "4"],
          ["5", "6"]
        ])
      })
    )
  )

  it.live("that declares what it does not hold makes no sense, and has no part in our health but that", () =>
    Effect.gen(function* () {
      const data = result(two, [["a", "b"]]).data
      const bad: ReadonlyArray<readonly [string, Answer["body"]]> = [
        ["more rows declared", result(two, [["a", "b"]], { total: 2, returned: 2 })],
        ["fewer rows declared", result(two, [["a", "b"]], { total: 0, returned: 0 })],
        ["a row of another shape", result(two, [["a"]])],
        ["no columns", { success: true, data: { ...data, rowtype: undefined } }],
        ["columns without types", { success: true, data: { ...data, rowtype: [{ name: "A" }] } }],
        ["rows that are no list", { success: true, data: { ...data, rowset: { a: 1 } } }],
        ["parts without addresses", { success: true, data: { ...data, chunks: [{ rowCount: 1 }] } }],
        ["no data", { success: true, data: null }],
        ["nothing", null],
        ["a list", []],
        ["a text", '"no"'],
        ["broken off", '{"success":true,"data":{"rowty'],
        ["empty", ""]
      ]
      for (const [name, body] of bad) {
        const exit = yield* Effect.exit(replay({ body }))
        const failure = Exit.isFailure(exit)
          ? Option.getOrUndefined(Cause.failureOption(exit.cause))
          : undefined
        expect([name, failure?.reason]).toEqual([name, "Protocol"])
        expect(Verdict.verdict(exit)).toBe("failure")
      }
    })
  )

  it.live("may leave out what is of no use to a reader", () =>
    Effect.gen(function* () {
      const { rows } = yield* replay({
        body: {
          success: true,
          data: {
            rowtype: [{ name: "A", type: "text" }],
            rowset: [["x"]],
            returned: 1,
            parameters: [],
            queryId: "q"
          }
        }
      })
      expect(rows).toEqual([["x"]])
    })
  )
})
