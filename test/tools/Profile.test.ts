import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import type { Policy } from "../../src/gate/ReadOnly.js"
import * as Gate from "../../src/gate/Snowflake.js"
import * as Identifier from "../../src/sql/Identifier.js"
import * as Profile from "../../src/tools/core/Profile.js"

const name = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 40 })
  .filter((text) => Identifier.quoted(text) !== "" && !/[\0\p{Cs}]/u.test(text))

const awkward = fc.constantFrom(
  'say "hi"',
  "select",
  "C1",
  "N",
  "W",
  "F",
  "it's",
  "--",
  "/*",
  "$$",
  "a.b",
  "x".repeat(255)
)

const type = fc.constantFrom(
  ...[
    "NUMBER(38,0)",
    "FLOAT",
    "VARCHAR(16777216)",
    "VARCHAR(10) COLLATE 'en-ci'",
    "BOOLEAN",
    "DATE",
    "TIME(9)"
  ],
  ...["TIMESTAMP_TZ(9)", "BINARY(8388608)", "VARIANT", "OBJECT(a NUMBER)", "ARRAY", "MAP(VARCHAR, NUMBER)"],
  ...["GEOGRAPHY", "VECTOR(FLOAT, 3)", "UNKNOWN"]
)

const column = fc
  .record({
    name: fc.oneof(name, awkward),
    type,
    mask: fc.constantFrom(undefined, undefined, "token", "null", "hidden")
  })
  .map((column) => ({
    ...column,
    quoted: Identifier.quoted(column.name),
    kind: Profile.kindOf(column.type, column.mask as "token")
  }))

const columns = fc.uniqueArray(column, {
  minLength: 1,
  maxLength: 50,
  selector: ({ name }) => name.toUpperCase()
})

const sampling = fc.oneof(
  fc.constant<Profile.Sampling>({ of: "all" }),
  fc.record({ of: fc.constant("rows" as const), rows: fc.integer({ min: 1, max: 1_000_000 }) }),
  fc.record({ of: fc.constant("share" as const), percent: fc.double({ min: 0, max: 100, noNaN: true }) }),
  fc.record({
    of: fc.constant("share" as const),
    percent: fc.double({ min: 0, max: 100, noNaN: true }),
    blocks: fc.double({ min: 0, max: 50, noNaN: true })
  })
)

describe("the statement of a profile", () => {
  it.effect.prop(
    "is a read of its table alone, whatever the columns are called, with masks too",
    [columns, sampling],
    ([columns, sampling]) =>
      Effect.gen(function* () {
        const sql = Profile.statement('"D"."S"."T"', columns, sampling)
        const gate = Gate.make()
        const accepted = yield* gate.check(sql, { allowFunctions: [] })
        expect(accepted).toMatchObject({ kind: "select", tables: ['"D"."S"."T"'] })
        const masked = columns.filter(({ mask }) => mask !== undefined)
        const masking: NonNullable<Policy["masking"]> = {
          masks: Object.fromEntries(masked.map(({ mask, quoted }) => [`D.S.T.${quoted}`, mask as "token"])),
          known: () => ({ isTable: true, columns }),
          key: ["1".repeat(64), "2".repeat(64)]
        }
        if (masked.length === 0) return
        const rewritten = yield* gate.check(sql, { allowFunctions: [], masking })
        expect(rewritten.canonical).toMatch(/^WITH SGX*_MASKED_1 AS \(SELECT /)
        expect(rewritten.canonical.match(/"D"\."S"\."T"/g)).toHaveLength(1)
      }),
    { fastCheck: { numRuns: 60 } }
  )

  it.prop(
    "reads no more of a table than is asked for, and all of it where that is more",
    [fc.integer({ min: 0 }), fc.integer({ min: 0 }), fc.integer({ min: 1, max: 1_000_000 }), fc.boolean()],
    ([rows, bytes, wanted, hasBlocks]) => {
      const how = Profile.sampling({ rows, bytes, hasBlocks }, wanted)
      if (rows <= wanted) {
        expect(how).toEqual({ of: "all" })
        return
      }
      if (how.of !== "share") return expect.unreachable()
      const { blocks = 100, percent } = how
      expect((rows * percent * blocks) / 10_000).toBeCloseTo(wanted, 3)
      expect(percent).toBeLessThanOrEqual(100.000001)
      if (how.blocks === undefined) return
      // Enough blocks that no one of them decides, and half of them at most.
      expect(hasBlocks).toBe(true)
      expect((bytes / 2 ** 24) * (blocks / 100)).toBeGreaterThanOrEqual(49.999)
      expect(blocks).toBeLessThanOrEqual(50)
    }
  )
})

describe("what a profile says", () => {
  const columns = [{ quoted: '"A"', kind: "number" as const }]
  const first = [0, 0, 0, 100, 1, 90]
  const rest = [
    [1, 0, 0, 0, 50, 10],
    [2, 0, 0, 0, null, 20],
    [3, 0, 0, 0, null, 30]
  ]
  const frequent = (counts: ReadonlyArray<number>) => counts.map((n, at) => [5, 1, at + 1, n, at])

  it("counts distinct values by how often values are repeated, also those that are not listed", () => {
    const repeated = [4, 1, 0, 9 + 30, null]
    const told = Profile.read(columns, [first, ...rest, repeated, ...frequent([10, 9, 8, 4, 4, 3])], true)
    expect(told.columns[0]).toMatchObject({ nulls: 10, distinct: 60, quartiles: [10, 20, 30] })
    expect(told.columns[0]?.most_frequent).toEqual([
      [0, 10],
      [1, 9],
      [2, 8],
      [3, 4],
      [4, 4]
    ])
    expect(Profile.read(columns, [first, ...rest], true).columns[0]).toMatchObject({ distinct: 90 })
  })

  it("tells no number of distinct values where it is not known what is missing", () => {
    expect(Profile.read(columns, [first, ...rest], false).columns[0]).not.toHaveProperty("distinct")
  })

  it("does not count NULL among the frequent values", () => {
    const rows = [first, ...rest, [4, 1, 0, 12, null], [5, 1, 1, 10, null], [5, 1, 2, 4, 7]]
    expect(Profile.read(columns, rows, true).columns[0]).toMatchObject({
      distinct: 87,
      most_frequent: [[7, 4]]
    })
  })
})
