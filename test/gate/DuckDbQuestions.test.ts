/** How often the gate asks DuckDB's parser, which lives in another process. */
import { expect, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import * as Gate from "../../src/gate/DuckDb.js"
import { defaultPolicy } from "../../src/gate/ReadOnly.js"
import * as DuckDb from "../../src/warehouse/DuckDb.js"

/** A gate, and the questions it has asked, each answered when `together` are there. */
const asking = (together: number) =>
  Effect.gen(function* () {
    const { parse } = yield* DuckDb.makeEmbedded({ sample: false })
    const asked: Array<string> = []
    const all = yield* Deferred.make<void>()
    const gate = yield* Gate.make({
      parser: {
        parse: (sql) => {
          asked.push(sql)
          const there = asked.length === together ? Deferred.succeed(all, undefined) : Effect.void
          return Effect.zipRight(Effect.zipRight(there, Deferred.await(all)), parse(sql))
        }
      }
    })
    return { asked, check: (sql: string) => gate.check(sql, { ...defaultPolicy, appendLimit: 101 }) }
  })

it.scopedLive("asks for a new statement with and without its limit at the same time, and once", () =>
  Effect.gen(function* () {
    const { asked, check } = yield* asking(2)
    expect((yield* check("SELECT a FROM t")).canonical).toBe("SELECT a FROM t LIMIT 101")
    expect((yield* check("SELECT  a  FROM t")).canonical).toBe("SELECT a FROM t LIMIT 101")
    expect(asked).toEqual(["SELECT a FROM t", "SELECT a FROM t LIMIT 101"])
  })
)

it.scopedLive("asks once for a statement that has a size of its own", () =>
  Effect.gen(function* () {
    const { asked, check } = yield* asking(1)
    expect((yield* check("SELECT a FROM t LIMIT 5")).canonical).toBe("SELECT a FROM t LIMIT 5")
    expect(asked).toEqual(["SELECT a FROM t LIMIT 5"])
  })
)
