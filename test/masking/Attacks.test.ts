import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { analyses } from "./analyses.js"
import { attacks } from "./attacks.js"
import * as Server from "./server.js"
import * as Shop from "./shop.js"

const kinds = ["embedded", "emulator"] as const

const query = (call: Server.Call, sql: string) => call("execute_query", { sql })

const limit = 300_000

/**
 * All of them on the embedded warehouse, and of what costs a suite minutes every fourth: `npm run attacks` runs all
 * of them everywhere.
 */
const isWhole = process.env["SNOWGUARD_TEST_ATTACKS"] === "all"
const some = <A>(all: ReadonlyArray<A>): ReadonlyArray<A> =>
  isWhole ? all : all.filter((_, i) => i % 4 === 0)

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

describe(`${attacks.length} attacks on masked columns`, () => {
  it("are at least three hundred, each of them once", () => {
    expect(new Set(attacks).size).toBe(attacks.length)
    expect(attacks.length).toBeGreaterThanOrEqual(300)
  })

  for (const kind of kinds) {
    it.scopedLive(
      `see no canary on the ${kind} warehouse, in no form`,
      () =>
        Effect.gen(function* () {
          const call = yield* Server.start({ kind, tier: { mask: Shop.masks } })
          const needles = Shop.needles(1)
          let answered = 0
          const chosen = kind === "embedded" ? attacks : some(attacks)
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
  }

  it.scopedLive(
    "see canaries where nothing is masked, so that the search for them finds what there is",
    () =>
      Effect.gen(function* () {
        const call = yield* Server.start({ kind: "embedded" })
        const needles = Shop.needles(1)
        let leaking = 0
        const chosen = some(attacks)
        for (const sql of chosen)
          if (Shop.leaks((yield* query(call, sql)).bytes, needles).length > 0) leaking += 1
        expect(leaking).toBeGreaterThan(chosen.length / 2)
      }),
    limit
  )

  it.scopedLive(
    "learn the same of two shops that differ in masked columns alone, where none is seen as a token",
    () =>
      Effect.gen(function* () {
        const [one, other] = yield* Effect.all([
          Server.start({ kind: "embedded", world: 1, tier: { mask: opaque } }),
          Server.start({ kind: "embedded", world: 2, tier: { mask: opaque } })
        ])
        for (const sql of some(attacks).filter((sql) => !/SAMPLE/.test(sql))) {
          const [a, b] = yield* Effect.all([query(one, sql), query(other, sql)])
          expect([sql, learned(a)]).toEqual([sql, learned(b)])
        }
      }),
    limit
  )
})

describe(`${analyses.length} analyses of tables with masked columns`, () => {
  it("are at least sixty", () => expect(new Set(analyses).size).toBeGreaterThanOrEqual(60))

  for (const kind of kinds) {
    it.scopedLive(
      `are answered on the ${kind} warehouse as where nothing is masked`,
      () =>
        Effect.gen(function* () {
          const [masked, plain] = yield* Effect.all([
            Server.start({ kind, tier: { mask: Shop.masks } }),
            Server.start({ kind })
          ])
          for (const sql of kind === "embedded" ? analyses : some(analyses)) {
            const [a, b] = yield* Effect.all([query(masked, sql), query(plain, sql)])
            expect([sql, a.isError ? a.text : "", a.rows]).toEqual([sql, "", b.rows])
          }
        }),
      limit
    )
  }
})
