import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import * as JsonSchema from "../../src/tools/jsonSchema.js"
import { nodes, problem } from "../utils/schemas.js"

interface Tree {
  readonly value: number
  readonly children: ReadonlyArray<Tree>
}
const Tree: Schema.Schema<Tree> = Schema.Struct({
  value: Schema.Number,
  children: Schema.Array(Schema.suspend((): Schema.Schema<Tree> => Tree))
}).annotations({ identifier: "a/Tree <of numbers>" })

class Point extends Schema.Class<Point>("Point")({ x: Schema.Number, y: Schema.Number }) {}

describe("object", () => {
  it("makes an object of an empty struct", () => {
    expect(JsonSchema.object(Schema.Struct({}))).toEqual({ type: "object", properties: {} })
    expect(JsonSchema.object(Schema.Struct({ inner: Schema.Struct({}) }))).toMatchObject({
      properties: { inner: { type: "object" } }
    })
  })

  it("makes an object of classes and of schemas with an identifier", () => {
    const point = { type: "object", properties: { x: { type: "number" }, y: { type: "number" } } }
    expect(JsonSchema.object(Point)).toMatchObject(point)
    const named = Schema.Struct({ at: Point, other: Point.annotations({ description: "the other" }) })
    const schema = JsonSchema.object(named.annotations({ identifier: "Named" }))
    expect(schema).toMatchObject({ type: "object", properties: { at: point } })
    expect(JSON.stringify(schema)).not.toContain("$ref")
    expect(schema).not.toHaveProperty("$defs")
  })

  it("says that a union of structs is an object", () => {
    const schema = JsonSchema.object(
      Schema.Union(Schema.Struct({ a: Schema.String }), Schema.Struct({ b: Schema.Number }))
    )
    expect(schema).toMatchObject({ type: "object", anyOf: [{ type: "object" }, { type: "object" }] })
  })

  it("has no $id, $schema or title, but properties of that name", () => {
    const schema = JsonSchema.object(
      Schema.Struct({
        title: Schema.String.annotations({ title: "A title" }),
        $id: Schema.Unknown.annotations({ description: "one" }),
        other: Schema.Unknown.annotations({ description: "two" }),
        description: Schema.String.pipe(Schema.minLength(2))
      })
    )
    expect(Object.keys(schema.properties ?? {})).toEqual(["title", "$id", "other", "description"])
    for (const node of nodes(schema)) {
      for (const key of ["$id", "$schema", "title"]) expect(node).not.toHaveProperty(key)
    }
    expect(problem(Schema.Struct({ a: Schema.Unknown, b: Schema.Unknown }), { a: 1, b: [] })).toBeUndefined()
  })

  it("writes refined integers out in one piece", () => {
    expect(
      JsonSchema.object(
        Schema.Struct({ n: Schema.Int.pipe(Schema.between(1, 5)).annotations({ description: "n" }) })
      )
    ).toEqual({
      type: "object",
      properties: { n: { type: "integer", minimum: 1, maximum: 5, description: "n" } },
      required: ["n"]
    })
  })

  it("keeps both of two constraints of the same kind", () => {
    const both = Schema.String.pipe(Schema.pattern(/^a/), Schema.pattern(/b$/))
    const schema = Schema.Struct({ s: both })
    expect(problem(schema, { s: "a-b" })).toBeUndefined()
    expect(problem(schema, { s: "a" })).toBeDefined()
    expect(problem(schema, { s: "b" })).toBeDefined()
  })

  it("puts a single constraint beside the type it belongs to, unless that would lose one", () => {
    const number = (jsonSchema: object) => Schema.Struct({ n: Schema.Number.annotations({ jsonSchema }) })
    const single = number({ type: "number", maximum: 9, allOf: [{ minimum: 1, description: "inner" }] })
    expect(JsonSchema.object(single).properties).toEqual({
      n: { type: "number", minimum: 1, maximum: 9, description: "inner" }
    })
    const twice = number({ type: "number", minimum: 3, allOf: [{ minimum: 1 }] })
    expect(JsonSchema.object(twice).properties).toEqual({
      n: { type: "number", minimum: 3, allOf: [{ minimum: 1 }] }
    })
  })

  it("keeps a recursive definition, under a name that needs no escaping, and validates with it", () => {
    const schema = Schema.Struct({ tree: Tree.annotations({ description: "the tree" }) })
    const json = JsonSchema.object(schema)
    expect(Object.keys(json["$defs"] as object)).toEqual(["a_Tree__of_numbers_"])
    expect(problem(schema, { tree: { value: 1, children: [{ value: 2, children: [] }] } })).toBeUndefined()
    expect(problem(schema, { tree: { value: 1, children: [{ value: "2", children: [] }] } })).toBeDefined()
  })

  it("writes a recursive root out once", () => {
    expect(JsonSchema.object(Tree)).toMatchObject({ type: "object", required: ["value", "children"] })
    expect(problem(Tree, { value: 1, children: [{ value: 2, children: [] }] })).toBeUndefined()
    expect(problem(Tree, { value: 1, children: [1] })).toBeDefined()
  })

  it("leaves out a pattern that a client could not compile", () => {
    const flags = Schema.String.pipe(
      Schema.filter(() => true, { jsonSchema: { pattern: "(?i)^abc$" } }),
      Schema.annotations({ description: "abc" })
    )
    const schema = Schema.Struct({ s: flags })
    expect(problem(schema, { s: "anything" })).toBeUndefined()
    expect(JsonSchema.object(schema).properties).toEqual({ s: { type: "string", description: "abc" } })
  })

  it("allows more properties than are named, unless the schema refuses them itself", () => {
    const schema = Schema.Struct({ a: Schema.String })
    expect(problem(schema, { a: "x", b: 1 })).toBeUndefined()
    const closed = schema.annotations({ parseOptions: { onExcessProperty: "error" } })
    expect(problem(closed, { a: "x", b: 1 })).toBeDefined()
  })

  it("keeps the type of the values of a record", () => {
    const schema = Schema.Struct({ by: Schema.Record({ key: Schema.String, value: Schema.Int }) })
    expect(problem(schema, { by: { a: 1 } })).toBeUndefined()
    expect(problem(schema, { by: { a: "1" } })).toBeDefined()
  })

  it("describes what a schema decodes from: defaults are optional", () => {
    const schema = Schema.Struct({ n: Schema.optionalWith(Schema.NumberFromString, { default: () => 1 }) })
    expect(problem(schema, {})).toBeUndefined()
    expect(problem(schema, { n: "2" })).toBeUndefined()
    expect(problem(schema, { n: 2 })).toBeDefined()
  })

  it("does not touch data that looks like a schema", () => {
    const data = { $id: "x", title: "y", allOf: [{ a: 1 }] }
    const schema = Schema.Struct({ a: Schema.Unknown.annotations({ examples: [data] }) })
    expect(JsonSchema.object(schema).properties).toMatchObject({ a: { examples: [data] } })
  })

  it("refuses what is no object, has tuples, or cannot be said in JSON Schema", () => {
    expect(() => JsonSchema.object(Schema.String)).toThrow("must describe an object")
    expect(() => JsonSchema.object(Schema.Union(Schema.Struct({}), Schema.String))).toThrow(
      "must describe an object"
    )
    expect(() => JsonSchema.object(Schema.Struct({ t: Schema.Tuple(Schema.String, Schema.Number) }))).toThrow(
      "tuple"
    )
    expect(() => JsonSchema.object(Schema.Struct({ n: Schema.BigIntFromSelf }))).toThrow()
  })
})

describe("outline", () => {
  const described = Schema.Number.annotations({ description: "a number" })

  it("has the form of an answer without descriptions, also in records and definitions, and without common fields", () => {
    const schema = JsonSchema.outline(
      Schema.Struct({
        byName: Schema.Record({ key: Schema.String, value: Schema.Struct({ n: described }) }),
        tree: Tree.annotations({ description: "a tree" }),
        ms: described
      }),
      new Set(["ms"])
    )
    expect(JSON.stringify(schema)).not.toContain('"description"')
    expect(schema).toMatchObject({
      type: "object",
      properties: { byName: { additionalProperties: { properties: { n: { type: "number" } } } } },
      required: ["byName", "tree"]
    })
    expect(schema.properties).not.toHaveProperty("ms")
  })

  it("keeps a field that is called description", () => {
    const schema = JsonSchema.outline(Schema.Struct({ description: Schema.String }), new Set())
    expect(schema.properties).toEqual({ description: { type: "string" } })
  })
})
