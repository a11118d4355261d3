import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck as fc } from "effect"
import * as Gate from "../../src/gate/core/ReadOnly.js"
import { written } from "../../src/sql/Identifier.js"
import type { Options, Property } from "../../src/tools/core/SemanticView.js"
import * as SemanticView from "../../src/tools/core/SemanticView.js"
import { shortOrLong } from "../utils/long.js"

/** Names with all that may be in one, and those of the words that stand around them in a query. */
const name = fc.oneof(
  fc.constantFrom(
    "METRICS",
    "DIMENSIONS",
    "FACTS",
    "WHERE",
    "VARIABLES",
    "SELECT",
    "FROM",
    "AS",
    "lower",
    "A.B"
  ),
  fc.constantFrom(
    '"',
    '")',
    "it's",
    "x; DROP TABLE t",
    "-- x",
    "名前",
    "A$1",
    "1ST",
    " a",

    "IDENTIFIER"
  ),
  fc.string({
    unit: fc.constantFrom("a", "A", "_", "$", "0", ".", '"', "'", " ", ";", "(", ")", "é", "😀"),
    minLength: 1,
    maxLength: 8
  })
)

/** Without the character that stands for a broken one. */
const text = fc.string({ unit: "grapheme" }).filter((one) => !one.includes("\uFFFD"))

const options = (view: string, more: Partial<Options> = {}): Options => ({
  view,
  written,
  mayName: () => true,
  matches: () => true,
  maxMembers: 1000,
  maxBytes: 32_768,
  maxCommentBytes: 240,
  ...more
})

const member = (kind: string, name: string, parent: string, more: { readonly [key: string]: string } = {}) =>
  Object.entries({ EXPRESSION: "x", ...more }).map(([property, value]): Property => ({
    kind,
    name,
    parent,
    property,
    value
  }))

describe("the description of a semantic view", () => {
  it.prop(
    "has an example that the gate takes as a query of that view and of nothing else, whatever the names are",
    [fc.tuple(name, name, name), name, name, name],
    ([parts, table, dimension, metric]) => {
      const view = written(...parts)
      const { semantic } = SemanticView.describe(
        [...member("DIMENSION", dimension, table), ...member("METRIC", metric, table)],
        options(view)
      )
      const example = semantic.example ?? ""
      expect(example).toContain(`METRICS ${written(table, metric)}`)
      const allow = parts.map((part) => `"${part.replaceAll('"', '""')}"`).join(".")
      const verdict = Gate.check(example, { allowFunctions: [], objects: { allow: [allow], deny: [] } })
      expect(Either.isRight(verdict) ? verdict.right.tables : verdict.left).toHaveLength(1)
      const denied = Gate.check(example, { allowFunctions: [], objects: { allow: [], deny: [allow] } })
      expect(denied).toMatchObject({ left: { code: "OBJECT_NOT_ALLOWED" } })
    },
    { fastCheck: { numRuns: shortOrLong(60, 300) } }
  )

  it.prop(
    "fits into its bytes, has every member or says that it does not, and cuts no character in two",
    [
      fc.array(fc.tuple(fc.constantFrom("DIMENSION", "FACT", "METRIC"), name, text), {
        maxLength: 60
      }),
      fc.integer({ min: 200, max: 6000 }),
      fc.integer({ min: 1, max: 40 })
    ],
    ([members, maxBytes, maxMembers]) => {
      const rows = members.flatMap(([kind, name, comment], at) =>
        member(kind, `${at} ${name}`, "T", { COMMENT: comment, DATA_TYPE: "NUMBER" })
      )
      const {
        cut,
        members: shown,
        semantic
      } = SemanticView.describe(rows, options("V", { maxBytes, maxMembers, maxCommentBytes: 7 }))
      const { dimensions, example: _, facts, metrics } = semantic
      const listed = [...dimensions, ...facts, ...metrics]
      expect(listed).toHaveLength(shown)
      expect(shown).toBeLessThanOrEqual(maxMembers)
      expect(Buffer.byteLength(JSON.stringify(listed))).toBeLessThanOrEqual(maxBytes + 2)
      expect(cut === undefined).toBe(shown === members.length)
      expect(JSON.stringify(listed)).not.toContain("\uFFFD")
    },
    { fastCheck: { numRuns: shortOrLong(50, 200) } }
  )

  it("begins with a metric and a dimension that goes with it, and with neither what is private", () => {
    const rows = [
      ...member("DIMENSION", "D", "FINER"),
      ...member("METRIC", "HIDDEN", "ORDERS", { ACCESS_MODIFIER: "PRIVATE" }),
      ...member("METRIC", "M", "ORDERS"),
      ...member("DIMENSION", "C", "CUSTOMERS"),
      ...member("RELATIONSHIP", "R", "ORDERS", { TABLE: "ORDERS", REF_TABLE: "CUSTOMERS" })
    ]
    const exampleOf = (rows: ReadonlyArray<Property>) =>
      SemanticView.describe(rows, options("V")).semantic.example
    expect(exampleOf(rows)).toBe("SELECT * FROM SEMANTIC_VIEW(V DIMENSIONS CUSTOMERS.C METRICS ORDERS.M)")
    const alone = rows.filter(({ kind }) => kind !== "RELATIONSHIP")
    expect(exampleOf(alone)).toBe("SELECT * FROM SEMANTIC_VIEW(V METRICS ORDERS.M)")
    expect(exampleOf(member("FACT", "F", "T"))).toBe("SELECT * FROM SEMANTIC_VIEW(V FACTS T.F)")
    expect(exampleOf([])).toBeUndefined()
  })

  it("takes what is no JSON as it is", () => {
    const { semantic } = SemanticView.describe(
      [
        ...member("TABLE", "T", "", { PRIMARY_KEY: "ID", SYNONYMS: '["a",{"b":1}]' }),
        ...member("EXTENSION", "CA", "", { VALUE: "{broken" }),
        ...member("CUSTOM_INSTRUCTIONS", "", "", { AI_SQL_GENERATION: "say nothing" })
      ],
      options("V")
    )
    expect(semantic).toEqual({
      tables: [{ name: "T", primary_key: ["ID"], synonyms: ["a", '{"b":1}'] }],
      relationships: [],
      dimensions: [],
      facts: [],
      metrics: [],
      verified_queries: []
    })
  })
})
