import { assert, describe, it } from "@effect/vitest"
import { Either, Schema } from "effect"
import * as ToolInput from "../../src/internal/toolInput.js"

const decode = ToolInput.make({
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
