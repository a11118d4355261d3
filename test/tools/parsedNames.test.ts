import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import * as Names from "../../src/tools/names.js"

/** In a session without a current database. */
const object = (database: string, schema: string, name: string) =>
  Effect.runSync(Names.object({}, { database, schema, name }))
const namespace = (database: string, schema: string | undefined) =>
  Effect.runSync(Names.namespace({}, { database, schema }))

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
    expect(object("db", "public", "orders")).toEqual(["DB", "PUBLIC", "ORDERS"])
    expect(object("db", "public", "web.events")).toEqual(["DB", "WEB", "EVENTS"])
    expect(object("db", "public", "shop.web.events")).toEqual(["SHOP", "WEB", "EVENTS"])
    expect(object("db", "public", 'SHOP."Web"."a.b"')).toEqual(["SHOP", "Web", "a.b"])
    expect(object("db", "public", '"web.events"')).toEqual(["DB", "PUBLIC", "web.events"])
    expect(object("db", "public", "a.b.c.d")).toEqual(["DB", "PUBLIC", "a.b.c.d"])
    expect(object("db", "public", "a.b; DROP")).toEqual(["DB", "PUBLIC", "a.b; DROP"])
    expect(object("db", "shop.web", "events")).toEqual(["SHOP", "WEB", "EVENTS"])
  })
})

describe("namespace", () => {
  it("lets a schema say its own database", () => {
    expect(namespace("db", undefined)).toEqual(["DB"])
    expect(namespace("db", "web")).toEqual(["DB", "WEB"])
    expect(namespace("db", 'shop."web"')).toEqual(["SHOP", "web"])
    expect(namespace("a.b", "a.b.c")).toEqual(["a.b", "a.b.c"])
  })
})

describe("the current database and schema", () => {
  const place = { database: "SHOP", schema: "Web" }
  const object = (asked: { readonly database?: string; readonly schema?: string; readonly name: string }) =>
    Effect.runSync(Names.object(place, asked))

  it("are those of a name that does not say its own, and a schema is of its database alone", () => {
    expect(object({ name: "orders" })).toEqual(["SHOP", "Web", "ORDERS"])
    expect(object({ name: "raw.orders" })).toEqual(["SHOP", "RAW", "ORDERS"])
    expect(object({ schema: "raw", name: "orders" })).toEqual(["SHOP", "RAW", "ORDERS"])
    expect(object({ database: "shop", name: "orders" })).toEqual(["SHOP", "Web", "ORDERS"])
    expect(object({ database: "other", name: "orders" })).toEqual(["OTHER", "PUBLIC", "ORDERS"])
    expect(object({ name: "a.b.c" })).toEqual(["A", "B", "C"])
  })

  it("are PUBLIC where only the database is known, and asked for where none is", () => {
    expect(Effect.runSync(Names.object({ database: "SHOP" }, { name: "t" }))).toEqual(["SHOP", "PUBLIC", "T"])
    expect(Effect.runSync(Names.object({}, { name: "a.b.c" }))).toEqual(["A", "B", "C"])
    for (const name of ["t", "s.t"])
      expect(Effect.runSync(Effect.flip(Names.object({}, { name })))).toMatchObject({
        code: "INVALID_INPUT",
        description: expect.stringContaining("DB.SCHEMA.NAME")
      })
  })

  it("are the database that a list is asked of, whole", () => {
    expect(Effect.runSync(Names.namespace(place, {}))).toEqual(["SHOP"])
    expect(Effect.runSync(Names.namespace(place, { schema: "raw" }))).toEqual(["SHOP", "RAW"])
    expect(Effect.runSync(Effect.flip(Names.namespace({}, {})))).toMatchObject({ code: "INVALID_INPUT" })
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
      expect(namespace(Names.written(d), Names.written(s))).toEqual([d, s])
      expect(namespace("other", Names.written(d, s))).toEqual([d, s])
      expect(object(Names.written(d), Names.written(s), Names.written(n))).toEqual([d, s, n])
      expect(object("other", "other", Names.written(d, s, n))).toEqual([d, s, n])
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
