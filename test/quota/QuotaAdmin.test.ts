import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Stream, TestClock } from "effect"
import * as QuotaStore from "../../src/quota/QuotaStore.js"
import * as Admin from "../../src/quota/QuotaAdmin.js"

const DAY = 86_400_000

const spend = (key: string, quota: QuotaStore.QuotaName, used: number, held = 0) =>
  Effect.gen(function* () {
    const store = yield* QuotaStore.QuotaStore
    const charge = { key, quota, limit: 1000 }
    const decision = yield* store.reserve([{ ...charge, amount: used }], DAY)
    if (decision._tag === "Granted") yield* store.settle(decision.reservation, [])
    if (held > 0) yield* store.reserve([{ ...charge, amount: held }], DAY)
  })

const some = Effect.gen(function* () {
  yield* TestClock.setTime(Date.UTC(2031, 4, 5, 12, 30))
  yield* spend("client:ada", "requests_per_hour", 12, 1)
  yield* spend("client:ada", "bytes_per_day", 900)
  yield* spend("client:bob", "requests_per_hour", 3)
  yield* spend("global", "requests_per_hour", 15, 1)
})

describe("quota administration", () => {
  it.effect("shows the usage of each client and quota, and its reset", () =>
    Effect.gen(function* () {
      yield* some
      const limitOf: Admin.LimitOf = (key, quota) =>
        key !== "global" && quota === "requests_per_hour" ? 3600 : undefined
      expect((yield* Admin.show({ limitOf })).split("\n")).toEqual([
        "client  quota              used  held  limit  resets at",
        "ada     bytes_per_day       900     0      -  2031-05-06T00:00:00Z",
        "ada     requests_per_hour    12     1   3600  2031-05-05T13:00:00Z",
        "bob     requests_per_hour     3     0   3600  2031-05-05T13:00:00Z",
        "(all)   requests_per_hour    15     1      -  2031-05-05T13:00:00Z"
      ])
      expect((yield* Admin.show({ client: "bob" })).split("\n")).toHaveLength(2)
      expect(JSON.parse(yield* Admin.show({ client: "bob", json: true, limitOf }))).toEqual({
        usage: [
          {
            client: "bob",
            quota: "requests_per_hour",
            used: 3,
            held: 0,
            limit: 3600,
            resets_at: "2031-05-05T13:00:00.000Z"
          }
        ]
      })
    }).pipe(Effect.provide(QuotaStore.layerMemory))
  )

  it.effect("shows credits to a millionth, and tells a program all digits", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.UTC(2031, 4, 5, 12, 30))
      // Parts of credits are of 2^-20.
      const [used, held] = [51 * 2 ** -20, 3 * 2 ** -20]
      yield* spend("client:ada", "credits_per_day", used, held)
      expect((yield* Admin.show()).split("\n")[1]).toBe(
        "ada     credits_per_day  0.000049  0.000003      -  2031-05-06T00:00:00Z"
      )
      expect(JSON.parse(yield* Admin.show({ json: true }))).toMatchObject({ usage: [{ used, held }] })
      expect(yield* Admin.reset({ client: "ada" })).toBe("forgotten:\n  ada credits_per_day 0.000049")
    }).pipe(Effect.provide(QuotaStore.layerMemory))
  )

  it.effect("says so when nothing has been used", () =>
    Effect.gen(function* () {
      expect(yield* Admin.show()).toBe("nothing has been used")
      expect(yield* Admin.show({ client: "eve\u001b[2J" })).toBe("nothing has been used by eve?[2J")
      expect(JSON.parse(yield* Admin.show({ json: true }))).toEqual({ usage: [] })
      expect(Chunk.size(yield* Stream.runCollect(Admin.exportLines()))).toBe(0)
      expect(yield* Admin.reset({ client: "ada" })).toBe("nothing to forget of ada")
    }).pipe(Effect.provide(QuotaStore.layerMemory))
  )

  it.effect("exports every principal once, over as many pages as the store has", () =>
    Effect.gen(function* () {
      const names = Array.from({ length: 250 }, (_, i) => `c${i}`)
      yield* Effect.forEach(names, (name) => spend(`client:${name}`, "queries_per_day", 2), { discard: true })
      const lines = Chunk.toReadonlyArray(yield* Stream.runCollect(Admin.exportLines()))
      const clients = lines.map((line) => (JSON.parse(line) as { readonly client: string }).client)
      expect(clients).toEqual([...names].sort())
      const one = Chunk.toReadonlyArray(yield* Stream.runCollect(Admin.exportLines({ client: "c7" })))
      expect(one.map((line) => JSON.parse(line) as unknown)).toMatchObject([{ client: "c7", used: 2 }])
    }).pipe(Effect.provide(QuotaStore.layerMemory))
  )

  it.effect("resets one quota or all of one principal, says what was used, and leaves what is held", () =>
    Effect.gen(function* () {
      yield* some
      expect(yield* Admin.reset({ client: "ada", quota: "bytes_per_day" })).toBe(
        "forgotten:\n  ada bytes_per_day 900"
      )
      expect(JSON.parse(yield* Admin.reset({ client: "ada", json: true }))).toMatchObject({
        reset: [{ client: "ada", quota: "requests_per_hour", used: 12, held: 1 }]
      })
      expect(yield* Admin.reset({})).toBe(
        "forgotten:\n  bob requests_per_hour 3\n  (all) requests_per_hour 15"
      )
      const store = yield* QuotaStore.QuotaStore
      expect(yield* store.usage("client:ada")).toMatchObject([{ used: 0, reserved: 1 }])
      expect(yield* store.usage("client:bob")).toMatchObject([])
      expect(yield* store.usage("global")).toMatchObject([{ used: 0, reserved: 1 }])
    }).pipe(Effect.provide(QuotaStore.layerMemory))
  )
})
