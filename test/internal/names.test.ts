import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import * as Names from "../../src/internal/names.js"

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
  it.effect("lets a dotted name say its own schema and database, and a quoted one be what it is", () =>
    Effect.gen(function* () {
      expect(yield* Names.object("db", "public", "orders")).toBe('"DB"."PUBLIC"."ORDERS"')
      expect(yield* Names.object("db", "public", "web.events")).toBe('"DB"."WEB"."EVENTS"')
      expect(yield* Names.object("db", "public", "shop.web.events")).toBe('"SHOP"."WEB"."EVENTS"')
      expect(yield* Names.object("db", "public", '"web.events"')).toBe('"DB"."PUBLIC"."web.events"')
      expect(yield* Names.object("db", "public", "a.b.c.d")).toBe('"DB"."PUBLIC"."a.b.c.d"')
      expect(yield* Names.object("db", "public", "a.b; DROP")).toBe('"DB"."PUBLIC"."a.b; DROP"')
    })
  )
})

describe("qualified", () => {
  it.effect("quotes each part", () =>
    Effect.gen(function* () {
      expect(yield* Names.qualified("db", '"Mixed"', "my table")).toBe('"DB"."Mixed"."my table"')
    })
  )

  it.prop(
    "gives exactly as many identifiers as it was given names, whatever is in them",
    [
      fc.array(
        fc.string({ unit: fc.constantFrom('"', "'", ";", "-", ".", " ", "a", "\n", "\\"), minLength: 1 }),
        {
          minLength: 1,
          maxLength: 3
        }
      )
    ],
    ([names]) => {
      const result = Effect.runSync(Effect.either(Names.qualified(...names)))
      if (result._tag === "Left") {
        expect(result.left.code).toBe("INVALID_INPUT")
        return
      }
      // Read back by the rule of SQL: a quote inside is doubled, a single one ends the identifier.
      const parts = [...result.right.matchAll(/"((?:[^"]|"")*)"(?:\.|$)/gy)].map(([, inner]) =>
        inner!.replaceAll('""', '"')
      )
      expect(parts).toEqual(names.map(Names.exact))
    }
  )

  it.effect("says which name cannot be used and why", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Names.qualified("d", "a\\b"))
      expect(error.message).toContain("d.a\\b cannot be used: a name holds")
    })
  )
})

describe("within", () => {
  it.effect("means the database, or the schema where there is one", () =>
    Effect.gen(function* () {
      expect(yield* Names.within("d", undefined)).toBe(' IN DATABASE "D"')
      expect(yield* Names.within("d", "s")).toBe(' IN SCHEMA "D"."S"')
    })
  )
})
