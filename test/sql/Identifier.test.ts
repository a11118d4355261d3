import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck as fc } from "effect"
import { duckdb, snowflake } from "../../src/sql/Dialect.js"
import * as Identifier from "../../src/sql/Identifier.js"
import { tokenize } from "../../src/sql/Lexer.js"

const anything = fc.oneof(
  fc.string({ unit: "binary" }),
  fc
    .array(fc.constantFrom('"', "'", "\\", "\0", ";", "--", "/*", "a", "\n"), { maxLength: 8 })
    .map((parts) => parts.join(""))
)

describe("names and texts of callers", () => {
  it("are quoted, with their quotes doubled", () => {
    expect(Identifier.quote('A"B')).toEqual(Either.right('"A""B"'))
    expect(Identifier.qualified("DB", "my schema", 'T"')).toEqual(Either.right('"DB"."my schema"."T"""'))
    expect(Identifier.stringLiteral("it's")).toEqual(Either.right("'it''s'"))
    expect(Identifier.stringLiteral("a\\_b", snowflake)).toEqual(Either.right("'a\\\\_b'"))
    expect(Identifier.stringLiteral("a\\_b", duckdb)).toEqual(Either.right("'a\\_b'"))
  })

  it("are in upper case letter by letter, so that no two of them become one", () => {
    expect(["orders", "größe", "maße", "MASSE", "ﬁx", "стул", "日本"].map(Identifier.upper)).toEqual([
      "ORDERS",
      "GRÖßE",
      "MAßE",
      "MASSE",
      "ﬁX",
      "СТУЛ",
      "日本"
    ])
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (name) => {
        expect(Identifier.upper(Identifier.upper(name))).toBe(Identifier.upper(name))
        expect(Identifier.upper(name)).toHaveLength(name.length)
      })
    )
  })

  it("are refused where their end would be in doubt", () => {
    for (const name of ["", "a\0", "a\n", "a\\", "\ud800", "x".repeat(256)]) {
      expect(Either.isLeft(Identifier.quote(name))).toBe(true)
      expect(Either.isLeft(Identifier.qualified("DB", name))).toBe(true)
    }
    expect(Either.isLeft(Identifier.qualified())).toBe(true)
    for (const text of ["a\0", "a\\", "\udc00"])
      expect(Either.isLeft(Identifier.stringLiteral(text))).toBe(true)
  })

  it("are one token with their own value, in every dialect", () => {
    let count = 0
    fc.assert(
      fc.property(anything, (name) => {
        for (const dialect of [snowflake, duckdb]) {
          for (const written of [
            Identifier.quote(name),
            Identifier.stringLiteral(name),
            Identifier.stringLiteral(name, dialect)
          ]) {
            if (Either.isLeft(written)) continue
            count++
            const tokens = Either.getOrThrow(tokenize(written.right, dialect))
            expect(tokens.map((token) => token.value)).toEqual([name])
          }
        }
      }),
      { numRuns: 1000 }
    )
    expect(count).toBeGreaterThan(1000)
  })
})
