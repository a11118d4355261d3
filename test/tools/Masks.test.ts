import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, TestClock } from "effect"
import * as Snowflake from "../../src/gate/Snowflake.js"
import * as CallPolicy from "../../src/tools/CallPolicy.js"
import * as Masks from "../../src/tools/masks.js"
import type { Row } from "../../src/warehouse/Warehouse.js"
import { WarehouseError } from "../../src/warehouse/Warehouse.js"

const gate = Snowflake.make()
const tables = { tables: [["D", "S", "V"]], below: [] }

/** A warehouse with the rows of SHOW and DESCRIBE by the end of the statement; it counts and numbers what it is asked. */
const warehouse = (rows: { readonly [statement: string]: ReadonlyArray<Row> }, cutCells = 0) => {
  const asked: Array<readonly [number, string]> = []
  const look: Masks.Look = ({ keep = () => true, part, statement: { sql } }) => {
    asked.push([part, sql])
    const found = rows[sql]
    return found === undefined
      ? Effect.fail(new WarehouseError({ reason: "NotFound", description: `no ${sql}`, sent: "yes" }))
      : Effect.succeed({ rows: found.filter(keep), truncated: undefined, partial: false, cutCells })
  }
  return { asked, look }
}

const tablesLike = (name: string) => `SHOW TABLES LIKE '${name}' IN SCHEMA "D"."S"`
const viewsLike = (name: string) => `SHOW VIEWS LIKE '${name}' IN SCHEMA "D"."S"`

const setUp = Effect.gen(function* () {
  const policies = yield* CallPolicy.CallPolicy
  const policy = { ...policies.of("default"), masks: { "D.S.T.E": "null" } as const }
  const masks = Masks.make(policies, "snowflake")
  const ofCall = yield* masks.forCall(policy, "")
  return { masks, ofCall: ofCall!, again: masks.forCall(policy, "") }
}).pipe(Effect.provide(CallPolicy.layer()))

describe("what is looked up for masks", () => {
  it.effect("of a view is what its text reads", () =>
    Effect.gen(function* () {
      const { masks, ofCall } = yield* setUp
      const { look } = warehouse({
        [tablesLike("V")]: [],
        [viewsLike("V")]: [["V", "CREATE VIEW V AS SELECT * FROM X.T"]]
      })
      yield* masks.learn(ofCall, "", look, gate, tables)
      expect(ofCall.known(["D", "S", "V"])).toEqual({
        isTable: false,
        reads: { tables: [[["D", "X", "T"]]], ctes: [] }
      })
    })
  )

  it.effect.each<readonly [string, ReadonlyArray<Row>, number, RegExp]>([
    ["secure", [["V", ""]], 0, /does not see its text/],
    ["too long", [["V", "CREATE VIEW V AS SELECT"]], 1, /too long/],
    ["calls functions", [["V", "CREATE VIEW V AS SELECT F(1)"]], 0, /not certain: .*F /],
    [
      "twice there",
      [
        ["V", "a"],
        ["V", "b"]
      ],
      0,
      /not looked up/
    ]
  ])("of a view that is %s it is why that is not known", ([, rows, cut, reason]) =>
    Effect.gen(function* () {
      const { masks, ofCall } = yield* setUp
      const { look } = warehouse({ [tablesLike("V")]: [], [viewsLike("V")]: rows }, cut)
      yield* masks.learn(ofCall, "", look, gate, tables)
      expect(ofCall.known(["D", "S", "V"])?.reads).toMatch(reason)
    })
  )

  it.effect("is not that a table is absent where its row had no room", () =>
    Effect.gen(function* () {
      const { masks, ofCall } = yield* setUp
      const T = ["D", "S", "T"]
      const look: Masks.Look = () =>
        Effect.succeed({
          rows: [],
          truncated: { reason: "quota", limit: 10 },
          partial: false,
          cutCells: 0
        })
      const exit = yield* Effect.exit(masks.learn(ofCall, "", look, gate, { tables: [], below: [T] }))
      expect([Exit.isFailure(exit), ofCall.known(T)]).toEqual([true, undefined])
    })
  )

  it.effect.each<readonly [string, Partial<Effect.Effect.Success<ReturnType<Masks.Look>>>, RegExp]>([
    ["a quota", { truncated: { reason: "quota" } }, /^the quota of result bytes is used up; call get_limits/],
    ["the size of its answer", { truncated: { reason: "bytes" } }, /^it has more than is looked up/],
    ["a part that is not kept", { partial: true }, /^the warehouse kept a part of the answer alone/],
    ["an answer without a column", {}, /^the warehouse told none/]
  ])("tells %s as the cause where columns are not all known", ([, how, cause]) =>
    Effect.gen(function* () {
      const { masks, ofCall } = yield* setUp
      const T = ["D", "S", "T"]
      const whole = { rows: [], truncated: undefined, partial: false, cutCells: 0 }
      const look: Masks.Look = ({ keep = () => true, statement: { sql } }) =>
        Effect.succeed(
          sql === tablesLike("T")
            ? { ...whole, rows: [["T", "TABLE", "N"]].filter(keep) }
            : { ...whole, ...how }
        )
      const error = yield* Effect.flip(masks.learn(ofCall, "", look, gate, { tables: [], below: [T] }))
      expect(error).toMatchObject({ code: "OBJECT_NOT_ALLOWED", hint: expect.stringMatching(cause) })
    })
  )

  it.effect("says that what a view reads is not there, and of what a statement names the error", () =>
    Effect.gen(function* () {
      const { masks, ofCall } = yield* setUp
      const { look } = warehouse({ [tablesLike("T")]: [], [viewsLike("T")]: [] })
      const T = ["D", "S", "T"]
      const unseen = ["D", "HIDDEN", "T"]
      yield* masks.learn(ofCall, "", look, gate, { tables: [], below: [T, unseen] })
      expect([ofCall.known(T), ofCall.known(unseen)]).toEqual([
        { isTable: false, isAbsent: true },
        { isTable: false, isAbsent: true }
      ])
      const named = yield* Effect.exit(masks.learn(ofCall, "", look, gate, { tables: [T], below: [] }))
      expect(Exit.isFailure(named)).toBe(true)
    })
  )

  it.effect(
    "has the same number in each attempt of a call, also where an earlier one failed on its way",
    () =>
      Effect.gen(function* () {
        const { masks, ofCall } = yield* setUp
        const both = {
          tables: [],
          below: [
            ["D", "S", "A"],
            ["D", "S", "B"]
          ]
        }
        const table = (name: string) => ({ [tablesLike(name)]: [[name, "TABLE", "N"]] })
        const first = warehouse({ ...table("A"), ...table("B") })
        yield* masks.learn(ofCall, "", first.look, gate, both)
        const second = warehouse({ ...table("B"), ...table("C") })
        yield* masks.learn(ofCall, "", second.look, gate, {
          tables: [],
          below: [
            ["D", "S", "B"],
            ["D", "S", "C"]
          ]
        })
        expect([first.asked, second.asked]).toEqual([
          [
            [2, tablesLike("A")],
            [3, tablesLike("B")]
          ],
          [
            [3, tablesLike("B")],
            [4, tablesLike("C")]
          ]
        ])
      })
  )

  it.effect("is bounded in one call, and goes on in the next one", () =>
    Effect.gen(function* () {
      const { again, masks, ofCall } = yield* setUp
      const names = Array.from({ length: 60 }, (_, at) => `T${at}`)
      const { asked, look } = warehouse(
        Object.fromEntries(names.map((name) => [tablesLike(name), [[name, "TABLE", "N"]]]))
      )
      const unknown = (of: Masks.OfCall) => ({
        tables: names.map((name) => ["D", "S", name]).filter((table) => of.known(table) === undefined),
        below: []
      })
      const exit = yield* Effect.exit(masks.learn(ofCall, "", look, gate, unknown(ofCall)))
      expect([Exit.isFailure(exit), asked.length, asked.at(-1)?.[0]]).toEqual([true, 44, 45])
      const next = yield* again
      yield* masks.learn(next!, "", look, gate, unknown(next!))
      expect(unknown(next!).tables).toEqual([])
    })
  )

  it.effect("is forgotten when a statement fails, of its own tables, and not what is new", () =>
    Effect.gen(function* () {
      const { again, masks, ofCall } = yield* setUp
      const [A, B] = [
        ["D", "S", "A"],
        ["D", "S", "B"]
      ]
      const table = (name: string) => ({ [tablesLike(name)]: [[name, "TABLE", "N"]] })
      const { look } = warehouse({ ...table("A"), ...table("B") })
      yield* masks.learn(ofCall, "", look, gate, { tables: [A, B], below: [] })
      const later = Effect.map(again, (call) => call!)
      const knows = Effect.map(later, ({ known }) => [A, B].map((each) => known(each) !== undefined))

      const failing = yield* later
      failing.known(A)
      yield* failing.forgetOld
      // Others of the same user would have to look it up for each of their statements.
      expect(yield* knows).toEqual([true, true])
      yield* TestClock.adjust("10 seconds")
      yield* failing.forgetOld
      expect(yield* knows).toEqual([false, true])
    })
  )
})
