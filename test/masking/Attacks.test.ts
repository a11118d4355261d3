import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { analyses } from "./analyses.js"
import { attacks } from "./attacks.js"
import { isLong } from "../utils/long.js"
import { withLayer } from "../utils/withLayer.js"
import * as Server from "./server.js"
import * as Shop from "./shop.js"

class Embedded extends Context.Tag("test/Embedded")<Embedded, Server.Live>() {}
class Emulated extends Context.Tag("test/Emulated")<Emulated, Server.Live>() {}

const kinds = [
  ["embedded", Embedded],
  ["emulator", Emulated]
] as const

const tier = { mask: Shop.masks }

const query = (call: Server.Call, sql: string) => call("execute_query", { sql })

const limit = 300_000

/** One of so many, where all of them cost a run of all tests minutes: `npm run attacks` runs all of them everywhere. */
const some = <A>(all: ReadonlyArray<A>, of: number): ReadonlyArray<A> =>
  isLong ? all : all.filter((_, i) => i % of === 0)

/** What a caller learns of an answer, without what is another one each time, such as the order of groups. */
const learned = ({ bytes }: Server.Answer): string => [...withoutChance(bytes)].sort().join("")

const withoutChance = (bytes: string): string =>
  bytes
    .replaceAll(/data-[0-9a-f]{12}/g, "MARK")
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "ID")
    .replaceAll(/\\*"elapsed_ms\\*":\d+/g, "MS")
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z?(?:[+-]\d\d:\d\d)?/g, "NOW")
    .replaceAll(/\\*"next_cursor\\*":\\*"[\w.-]+/g, "CURSOR")

/** The masks of the shop, none of which lets equal values be seen. */
const opaque = Object.fromEntries(
  Object.entries(Shop.masks).map(([column, kind]) => [column, kind === "token" ? "null" : kind])
)

describe(`${attacks.length} attacks and ${analyses.length} analyses`, () => {
  it("are at least three hundred and sixty, each of them once", () => {
    expect(new Set(attacks).size).toBe(attacks.length)
    expect(attacks.length).toBeGreaterThanOrEqual(300)
    expect(new Set(analyses).size).toBeGreaterThanOrEqual(60)
  })
})

const servers = Layer.merge(
  Layer.scoped(Embedded, Server.startLive({ kind: "embedded", tier })),
  Layer.scoped(Emulated, Server.startLive({ kind: "emulator", tier }))
)

withLayer(servers)("a tier with masks", (it) => {
  for (const [kind, Served] of kinds) {
    it.effect(
      `lets attacks see no canary on the ${kind} warehouse, in no form`,
      () =>
        Effect.gen(function* () {
          const { call } = yield* Served
          const needles = Shop.needles(1)
          let answered = 0
          const chosen = some(attacks, kind === "embedded" ? 16 : 24)
          for (const sql of chosen) {
            const answer = yield* query(call, sql)
            if (!answer.isError) answered += 1
            expect([sql, Shop.leaks(answer.bytes, needles)]).toEqual([sql, []])
          }
          // What is refused cannot leak: most has to run for this to say something.
          expect(answered).toBeGreaterThan(chosen.length * 0.6)
        }),
      limit
    )

    it.effect(
      `is answered analyses on the ${kind} warehouse as where nothing is masked`,
      () =>
        Effect.gen(function* () {
          const { call, withTier } = yield* Served
          const chosen = some(analyses, kind === "embedded" ? 10 : 16)
          const masked = yield* Effect.forEach(chosen, (sql) => query(call, sql))
          yield* withTier({})
          for (const [n, sql] of chosen.entries()) {
            const { isError, rows, text } = masked[n]!
            const plain = yield* query(call, sql)
            expect([sql, isError ? text : "", rows]).toEqual([sql, "", plain.rows])
          }
        }),
      limit
    )
  }

  it.effect(
    "is what hides canaries: attacks see them where nothing is masked, so that the search for them finds what there is",
    () =>
      Effect.gen(function* () {
        const { call, withTier } = yield* Embedded
        yield* withTier({})
        const needles = Shop.needles(1)
        let leaking = 0
        const chosen = some(attacks, 30)
        for (const sql of chosen)
          if (Shop.leaks((yield* query(call, sql)).bytes, needles).length > 0) leaking += 1
        expect(leaking).toBeGreaterThan(chosen.length * 0.4)
      }),
    limit
  )
})

it.scopedLive(
  "attacks learn the same of two shops that differ in masked columns alone, where none is seen as a token",
  () =>
    Effect.gen(function* () {
      const [one, other] = yield* Effect.all([
        Server.start({ kind: "embedded", world: 1, tier: { mask: opaque } }),
        Server.start({ kind: "embedded", world: 2, tier: { mask: opaque } })
      ])
      for (const sql of some(attacks, 30).filter((sql) => !/SAMPLE/.test(sql))) {
        const [a, b] = yield* Effect.all([query(one, sql), query(other, sql)])
        expect([sql, learned(a)]).toEqual([sql, learned(b)])
      }
    }),
  limit
)
