import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import * as Names from "../../src/tools/names.js"

describe("exact", () => {
  it("folds a plain name to upper case, as SQL does", () => {
    expect(Names.exact("orders")).toBe("ORDERS")
    expect(Names.exact("_a$1")).toBe("_A$1")
  })

  it("takes a name in double quotes as it is", () => {
    expect(Names.exact('"orders"')).toBe("orders")
    expect(Names.exact('"say ""hi"""')).toBe('say "hi"')
    expect(Names.exact('"two\nlines"')).toBe("two\nlines")
  })

  it("takes everything that is no plain name as it is", () => {
    for (const name of ["my table", "1st", "été", "a-b", "a.b", '"', '""', '"a"b"', 'a"b', "ſ"]) {
      expect(Names.exact(name)).toBe(name)
    }
  })
})

describe("object", () => {
  it("lets a dotted name say its own schema and database, and a quoted one be what it is", () => {
    expect(Names.object("db", "public", "orders")).toEqual(["DB", "PUBLIC", "ORDERS"])
    expect(Names.object("db", "public", "web.events")).toEqual(["DB", "WEB", "EVENTS"])
    expect(Names.object("db", "public", "shop.web.events")).toEqual(["SHOP", "WEB", "EVENTS"])
    expect(Names.object("db", "public", 'SHOP."Web"."a.b"')).toEqual(["SHOP", "Web", "a.b"])
    expect(Names.object("db", "public", '"web.events"')).toEqual(["DB", "PUBLIC", "web.events"])
    expect(Names.object("db", "public", "a.b.c.d")).toEqual(["DB", "PUBLIC", "a.b.c.d"])
    expect(Names.object("db", "public", "a.b; DROP")).toEqual(["DB", "PUBLIC", "a.b; DROP"])
    expect(Names.object("db", "shop.web", "events")).toEqual(["SHOP", "WEB", "EVENTS"])
  })
})

describe("namespace", () => {
  it("lets a schema say its own database", () => {
    expect(Names.namespace("db", undefined)).toEqual(["DB"])
    expect(Names.namespace("db", "web")).toEqual(["DB", "WEB"])
    expect(Names.namespace("db", 'shop."web"')).toEqual(["SHOP", "web"])
    expect(Names.namespace("a.b", "a.b.c")).toEqual(["a.b", "a.b.c"])
  })
})

describe("place", () => {
  it.effect("is what a statement is told of where it looks for names", () =>
    Effect.gen(function* () {
      expect(yield* Names.place(undefined, undefined)).toEqual({ database: undefined, schema: undefined })
      expect(yield* Names.place("db", "web")).toEqual({ database: "DB", schema: "WEB" })
      expect(yield* Names.place(undefined, "shop.web")).toEqual({ database: "SHOP", schema: "WEB" })
      expect(yield* Effect.flip(Names.place("a\\b", undefined))).toMatchObject({ code: "INVALID_INPUT" })
    })
  )
})

const awkward = fc.string({
  unit: fc.constantFrom('"', "'", ";", "-", ".", " ", "a", "A", "_", "$", "1", "é", "名", "😀", "\n", "\\"),
  minLength: 1,
  maxLength: 20
})
const words = fc.constantFrom("ORDER", "SELECT", "select", "ORDERS", "orders", "Table")

describe("written", () => {
  it.prop(
    "is read as the same name again, alone and as a part of a name with dots",
    [fc.array(fc.oneof(awkward, words), { minLength: 3, maxLength: 3 })],
    ([[database, schema, name]]) => {
      const [d, s, n] = [database!, schema!, name!]
      for (const one of [d, s, n]) expect(Names.exact(Names.written(one))).toBe(one)
      expect(Names.namespace(Names.written(d), Names.written(s))).toEqual([d, s])
      expect(Names.namespace("other", Names.written(d, s))).toEqual([d, s])
      expect(Names.object(Names.written(d), Names.written(s), Names.written(n))).toEqual([d, s, n])
      expect(Names.object("other", "other", Names.written(d, s, n))).toEqual([d, s, n])
    }
  )

  it("quotes what SQL would read as something else, and nothing more", () => {
    const cases = ["ORDERS", "A_1$", "orders", "ORDER", "1ST", "a b", 'say "hi"', "ÉTÉ"]
    expect(cases.map((name) => Names.written(name))).toEqual([
      ...'ORDERS|A_1$|"orders"|"ORDER"|"1ST"|"a b"'.split("|"),
      '"say ""hi"""',
      '"ÉTÉ"'
    ])
  })
})

describe("quoted", () => {
  it.prop(
    "gives exactly as many identifiers as it was given names, whatever is in them",
    [fc.array(awkward, { minLength: 1, maxLength: 3 })],
    ([names]) => {
      const result = Effect.runSync(Effect.either(Names.quoted(names)))
      if (result._tag === "Left") {
        expect(result.left.code).toBe("INVALID_INPUT")
        return
      }
      // Read back by the rule of SQL: a quote inside is doubled, a single one ends the identifier.
      const parts = [...result.right.matchAll(/"((?:[^"]|"")*)"(?:\.|$)/gy)].map(([, inner]) =>
        inner!.replaceAll('""', '"')
      )
      expect(parts).toEqual(names)
    }
  )

  it.effect("says which name cannot be used and why", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Names.quoted(["D", "a\\b"]))
      expect(error.message).toContain("D.a\\b cannot be used: a name holds")
    })
  )
})

describe("within", () => {
  it.effect("means the account, a database, or a schema", () =>
    Effect.gen(function* () {
      expect(yield* Names.within([])).toBe("")
      expect(yield* Names.within(["D"])).toBe(' IN DATABASE "D"')
      expect(yield* Names.within(["D", "S"])).toBe(' IN SCHEMA "D"."S"')
    })
  )
})
