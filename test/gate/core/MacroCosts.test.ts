import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import { ofDefinitions } from "../../../src/gate/core/MacroCosts.js"

const times = (sql: string) =>
  Object.fromEntries(
    [...Either.getOrThrowWith(ofDefinitions(sql), (message) => new Error(message))].map(([name, cost]) => [
      name,
      cost.times
    ])
  )

describe("what macros cost", () => {
  it("is how often the most used argument stands in the text", () => {
    expect(times("CREATE MACRO m.main.f(a, b) AS a + b + a; CREATE MACRO g() AS 1")).toEqual({ F: 2, G: 1 })
    expect(times("CREATE MACRO f(a) AS t.a + 'a a a' + a")).toEqual({ F: 1 })
  })

  it("is the most of all overloads", () => {
    expect(times("CREATE MACRO f(a) AS a, (a, b) AS a + b + b + b, (a, b, c) AS [a, (b), c]")).toEqual({
      F: 3
    })
  })

  it("multiplies through the macros that a macro uses, in whatever order they are written", () => {
    const sql = "CREATE MACRO f(a) AS g(g(a)); CREATE MACRO g(a) AS a * a * a; CREATE MACRO h(a) AS f(a) + a"
    expect(times(sql)).toEqual({ F: 9, G: 3, H: 10 })
  })

  it("does not take DuckDB's function of the same name for the macro", () => {
    expect(times("CREATE MACRO lower(a) AS system.main.lower(a) || a")).toEqual({ LOWER: 2 })
  })

  it("counts DuckDB's own macros as ones that repeat, unless they are defined anew", () => {
    expect(times("CREATE MACRO f(a) AS nullif(a, 0)")).toEqual({ F: 6 })
    expect(times("CREATE MACRO f(a) AS nullif(a, 0); CREATE MACRO nullif(a, b) AS a")).toEqual({
      F: 1,
      NULLIF: 1
    })
  })

  it("stays finite for macros that use themselves", () => {
    expect(times("CREATE MACRO f(a) AS f(f(a))")["F"]).toBeLessThanOrEqual(1e9)
  })

  it("reads table macros and defaults of parameters", () => {
    expect(times("CREATE MACRO f(a, b := '') AS TABLE SELECT a, a FROM range(b)")).toEqual({ F: 2 })
  })

  it("is not told for a text that is no SQL", () => {
    expect(Either.isLeft(ofDefinitions("CREATE MACRO f(a"))).toBe(true)
  })
})
