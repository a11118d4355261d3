/** A reserved word in the place of a name: the refusal says how the name is written. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { defaultPolicy, ReadOnly } from "../../src/gate/ReadOnly.js"
import * as Snowflake from "../../src/gate/Snowflake.js"
import { functions, translate } from "../../src/warehouse/duckdb/dialect/snowflake.js"
import { embeddedGate } from "../utils/embeddedGate.js"
import { withLayer } from "../utils/withLayer.js"

const hintTo = (sql: string) =>
  Effect.flatMap(ReadOnly, (gate) =>
    Effect.flip(gate.check(sql, { ...defaultPolicy, appendLimit: 101 }))
  ).pipe(Effect.map(({ hint }) => hint))

const asName = (word: string) =>
  `if ${word} is the name of a column or a table, write it in double quotes: "${word.toUpperCase()}"`

const gates = { "Snowflake's SQL": { functions, translate }, "its own SQL": {} }

for (const [sql, options] of Object.entries(gates)) {
  withLayer(embeddedGate(options))(`the gate of DuckDB for ${sql}`, (it) => {
    it.effect("tells how a name that is a reserved word is written", () =>
      Effect.gen(function* () {
        for (const [statement, word] of [
          ["select order from t", "order"],
          ["select Group from t", "Group"],
          ["select a, 'ä', table from t", "table"],
          ["select a, column from t", "column"],
          ["select from, to from t", "from"],
          ["select max(desc) from t", "desc"],
          ["select a from t where order = 1", "order"],
          ["select a from t where a = 1 and group > 2", "group"],
          ["select a from t order by limit", "limit"],
          ["select a from order", "order"],
          ["select a from t join group on true", "group"],
          ["select end from t", "end"]
        ] as const)
          expect([statement, yield* hintTo(statement)]).toEqual([statement, asName(word)])
      })
    )

    it.effect("tells nothing of names where a part of the statement is missing", () =>
      Effect.gen(function* () {
        for (const statement of [
          "select a from t where a = 1 order",
          "select a from t group a",
          "select a from where a = 1",
          "select a b c from t",
          "select a from t where a not in 1, 2",
          "select null null from t",
          "select 1 - - from t",
          "select a from t where a = and b = 1",
          "select a from t where a = 1 and not",
          "select a from t where a = or b = 1",
          "select a from t join u on as = 1",
          "select case when a = end from t",
          "select case when then 1 end from t",
          "select (select)"
        ])
          expect([statement, yield* hintTo(statement)]).toEqual([statement, undefined])
      })
    )
  })
}

describe("the gate of Snowflake", () => {
  it.effect("tells how a name that is a reserved word is written", () =>
    Effect.gen(function* () {
      for (const [statement, word] of [
        ["select table from t", "table"],
        ["select a from t where Join = 1", "Join"],
        ["select a, update from t", "update"],
        ["select t.a, t.b from t where grant = 1", "grant"]
      ] as const)
        expect([statement, yield* hintTo(statement)]).toEqual([statement, asName(word)])
      for (const statement of ["delete from t", "select a from t; drop table t", "select a from t union b"])
        expect([statement, yield* hintTo(statement)]).toEqual([statement, undefined])
    }).pipe(Effect.provide(Snowflake.layer()))
  )
})
