import { assert, describe, it } from "@effect/vitest"
import { Either, Schema } from "effect"
import * as ToolInput from "../../src/tools/input.js"

const decode = ToolInput.decoder({
  input: Schema.Struct({
    sql: Schema.NonEmptyString,
    limit: Schema.optionalWith(Schema.Int, { default: () => 100 })
  })
})

const problem = (input: { readonly [name: string]: unknown }) => Either.getOrThrow(Either.flip(decode(input)))

describe("the arguments of a call", () => {
  it("get their defaults", () => {
    assert.deepStrictEqual(decode({ sql: "SELECT 1" }), Either.right({ sql: "SELECT 1", limit: 100 }))
  })

  it("are refused with all that is wrong", () => {
    const text = problem({ limit: "ten" })
    assert.include(text, "sql: ")
    assert.include(text, "limit: ")
  })

  it("that do not exist are named, with what was meant and what there is", () => {
    assert.strictEqual(
      problem({ sql: "SELECT 1", limt: 3 }),
      "limt: no such argument (did you mean limit?). It takes: sql, limit."
    )
    assert.include(problem({ query: "SELECT 1" }), "It takes: sql, limit.")
  })

  it("get a short answer however many and however long they are", () => {
    const many = Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`argument ${i}`, i]))
    assert.strictEqual(problem(many), "50000 arguments are too many.")
    const some = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`${i}${"x".repeat(9_000)}`, i]))
    assert.isBelow(problem(some).length, 3_000)
    assert.include(problem(some), "and 50 more")
    assert.isBelow(problem({ sql: "s", limit: "y".repeat(100_000) }).length, 500)
  })

  it("may be called like what every object has", () => {
    assert.include(problem(JSON.parse('{"sql":"x","__proto__":1}') as Record<string, unknown>), "__proto__")
    assert.include(problem({ sql: "x", constructor: 1 }), "constructor")
  })
})

const of = (
  input: Schema.Schema.AnyNoContext,
  aliases: { readonly [name: string]: ReadonlyArray<string> } = {}
) => ToolInput.decoder({ input, aliases })

const settings = Schema.Struct({
  table: Schema.NonEmptyString,
  pattern: Schema.optional(Schema.NonEmptyString),
  limit: Schema.optionalWith(Schema.Int.pipe(Schema.between(1, 1000)), { default: () => 100 }),
  ratio: Schema.optional(Schema.Number),
  deep: Schema.optional(Schema.Boolean),
  format: Schema.optional(Schema.Literal("json", "csv")),
  note: Schema.optional(Schema.NullOr(Schema.String))
})
const decodeSettings = of(settings)
const settled = { table: "T", limit: 100 }

const told = (decode: ToolInput.Decode, input: { readonly [name: string]: unknown }) =>
  Either.getOrThrow(Either.flip(decode(input)))

describe("an argument that is not given", () => {
  for (const [what, value] of Object.entries({ null: null, empty: "", blank: " \n", undefined: undefined })) {
    it(`may be written as ${what} where it is optional, whatever its type`, () => {
      const all = { pattern: value, limit: value, ratio: value, deep: value, format: value }
      assert.deepStrictEqual(decodeSettings({ table: "T", ...all }), Either.right(settled))
    })

    it(`is missed, once, when it is required and written as ${what}`, () => {
      assert.strictEqual(told(decodeSettings, { table: value }), "table: missing, it is required.")
    })
  }

  it("may be null where null is a value, and empty where a text of a tool of one's own may be", () => {
    assert.deepStrictEqual(
      decodeSettings({ table: "T", note: null }),
      Either.right({ ...settled, note: null })
    )
    const own = of(Schema.Struct({ text: Schema.String }))
    assert.deepStrictEqual(own({ text: "" }), Either.right({ text: "" }))
    assert.strictEqual(told(own, { text: null }), "text: missing, it is required.")
  })
})

describe("a number or a boolean", () => {
  it("may be written as a text", () => {
    for (const text of ["5", " 5 ", "+5", "5.0", "005"]) {
      assert.deepStrictEqual(
        decodeSettings({ table: "T", limit: text }),
        Either.right({ table: "T", limit: 5 })
      )
    }
    assert.deepStrictEqual(
      decodeSettings({ table: "T", deep: "TRUE", ratio: "-3" }),
      Either.right({ ...settled, deep: true, ratio: -3 })
    )
  })

  it("is refused with the range that is allowed and what was given, and that once", () => {
    const range = "expected a whole number from 1 to 1000"
    const cases: ReadonlyArray<readonly [unknown, string]> = [
      [0, "0"],
      [1001, "1001"],
      ["0", "0"],
      [1.5, "1.5"],
      ["ten", '"ten"'],
      ["5 rows", '"5 rows"'],
      ["1e3", '"1e3"'],
      [true, "true"],
      [[5], "a list"],
      [{}, "an object"]
    ]
    for (const [value, shown] of cases) {
      assert.strictEqual(told(decodeSettings, { table: "T", limit: value }), `limit: ${range}, got ${shown}.`)
    }
  })

  it("that may be left out is told what it takes, not that it may be left out", () => {
    const text = Schema.String.pipe(
      Schema.maxLength(5, { message: () => "expected a text of at most 5 characters" })
    )
    const optional = of(Schema.Struct({ pattern: Schema.optional(text) }))
    assert.strictEqual(
      told(optional, { pattern: "%".repeat(6) }),
      "pattern: expected a text of at most 5 characters."
    )
  })

  it("is named with every other one that is wrong", () => {
    assert.strictEqual(
      told(decodeSettings, { limit: 0, deep: "maybe", format: "xml" }),
      "table: missing, it is required; limit: expected a whole number from 1 to 1000, got 0; " +
        'deep: expected true or false, got "maybe"; format: expected one of json, csv, got "xml".'
    )
  })

  it("does not become a text", () => {
    assert.strictEqual(told(decodeSettings, { table: 5 }), "table: expected a text, got 5.")
  })
})

describe("an argument of several names", () => {
  const decode = of(Schema.Struct({ sql: Schema.NonEmptyString }), { sql: ["query", "statement"] })

  it("may be given under any of them, or under several that agree", () => {
    const inputs = [
      { sql: "A" },
      { query: "A" },
      { statement: "A" },
      { sql: null, query: "A" },
      { sql: "", query: null, statement: "A" },
      { sql: "A", query: "A" },
      { sql: "A", query: " A ", statement: "A\n" }
    ]
    for (const input of inputs) assert.deepStrictEqual(decode(input), Either.right({ sql: "A" }))
  })

  it("is refused when they differ, and missed when there is none", () => {
    for (const input of [
      { sql: "A", query: "B" },
      { query: "A", statement: "B" },
      { sql: "A", query: 5 }
    ]) {
      assert.include(told(decode, input), "are two names of sql and differ: give sql alone")
    }
    assert.strictEqual(told(decode, {}), "sql: missing, it is required.")
    assert.strictEqual(told(decode, { query: "  " }), "sql: missing, it is required.")
    assert.strictEqual(told(decode, { query: 5 }), "sql: expected a text, got 5.")
  })
})

describe("an argument that only the client knows", () => {
  const added = { tool: "list", toolCallId: "call_1", sessionId: "s", action: "sendMessage", chatInput: "hi" }

  it("is left out of every call", () => {
    const all = Object.fromEntries(Object.keys(ToolInput.addedByClients).map((name) => [name, "x"]))
    assert.deepStrictEqual(decodeSettings({ table: "T", ...all }), Either.right(settled))
    assert.deepStrictEqual(decodeSettings({ table: "T", ...added }), Either.right(settled))
    assert.deepStrictEqual(of(Schema.Struct({}))({ random_string: "x", _meta: {} }), Either.right({}))
  })

  it("is an argument where the tool has one of that name", () => {
    const decode = of(Schema.Struct({ action: Schema.Literal("start", "stop") }))
    assert.deepStrictEqual(decode({ action: "stop", tool: "x" }), Either.right({ action: "stop" }))
    assert.strictEqual(told(decode, { action: "go" }), 'action: expected one of start, stop, got "go".')
  })

  it("does not hide one that was mistyped", () => {
    assert.include(
      told(decodeSettings, { table: "T", ...added, tabel: "x" }),
      "tabel: no such argument (did you mean table?)"
    )
    for (const name of ["tool_name", "toolcallid", "session", "Action", "schema_name"]) {
      assert.include(told(decodeSettings, { table: "T", [name]: "x" }), `${name}: no such argument`)
    }
  })
})
