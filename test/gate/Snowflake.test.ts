import { expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Option } from "effect"
import * as Snowflake from "../../src/gate/Snowflake.js"
import * as ReadOnly from "../../src/gate/ReadOnly.js"
import { withLayer } from "../utils/withLayer.js"

const check = (sql: string, policy: Partial<ReadOnly.Policy> = {}) =>
  Effect.flatMap(ReadOnly.ReadOnly, (gate) => gate.check(sql, { ...ReadOnly.defaultPolicy, ...policy }))

withLayer(Snowflake.layer())("the Snowflake gate behind the port", (it) => {
  it.effect("says which dialect it checks", () =>
    Effect.map(ReadOnly.ReadOnly, (gate) => expect(gate.dialect).toBe("snowflake"))
  )

  it.effect("answers the text to execute, with the limit it added", () =>
    Effect.gen(function* () {
      expect(yield* check("select  COUNT( * ) -- all\nfrom db.sch.t;", { appendLimit: 11 })).toEqual({
        canonical: "select COUNT(*) from db.sch.t LIMIT 11",
        kind: "select",
        tables: ["db.sch.t"],
        functions: ["COUNT"],
        appendedLimit: 11
      })
    })
  )

  it.effect("fails with a code, a place and what an operator can do", () =>
    Effect.gen(function* () {
      const refused = yield* Effect.flip(check("SELECT db.sch.f(1)"))
      expect(refused).toBeInstanceOf(ReadOnly.StatementRejected)
      expect(refused).toMatchObject({ code: "FUNCTION_NOT_ALLOWED", position: 7 })
      expect(refused.hint).toContain("DB.SCH.F")
      expect((yield* Effect.flip(check("DROP TABLE t"))).code).toBe("NOT_A_READ")
      expect((yield* Effect.flip(check("SELECT 1; SELECT 2"))).code).toBe("MULTIPLE_STATEMENTS")
      expect((yield* Effect.flip(check("-- nothing"))).code).toBe("EMPTY")
      expect((yield* Effect.flip(check("SELECT * FROM @s"))).code).toBe("OBJECT_NOT_ALLOWED")
      expect((yield* Effect.flip(check(`SELECT '${"a".repeat(1_000_001)}'`))).code).toBe("TOO_LARGE")
    })
  )

  it.effect("dies of a limit that is no number of rows", () =>
    Effect.gen(function* () {
      for (const appendLimit of [-1, 1.5, Number.NaN]) {
        const exit = yield* Effect.exit(check("SELECT 1", { appendLimit }))
        expect(Exit.isFailure(exit) && Option.isSome(Cause.dieOption(exit.cause))).toBe(true)
      }
    })
  )
})

it.effect("takes the limits it is given", () =>
  Effect.gen(function* () {
    const gate = Snowflake.make({ limits: { bytes: 10, tokens: 10, depth: 2 } })
    const refused = yield* Effect.flip(gate.check("SELECT 1234567", ReadOnly.defaultPolicy))
    expect(refused.code).toBe("TOO_LARGE")
  })
)
