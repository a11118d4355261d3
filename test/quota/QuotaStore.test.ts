import { describe, expect, it } from "@effect/vitest"
import { Effect, Logger, TestClock } from "effect"
import * as QuotaStore from "../../src/quota/QuotaStore.js"
import { contract } from "./QuotaStore.contract.js"

contract("memory", QuotaStore.layerMemory)

describe("memory", () => {
  const charge = (key: string): QuotaStore.Charge => ({
    key,
    quota: "requests_per_hour",
    limit: 10,
    amount: 1
  })

  it.effect("gives ids that no other process gives", () =>
    Effect.gen(function* () {
      const one = yield* QuotaStore.makeMemory()
      const two = yield* QuotaStore.makeMemory()
      const ids = yield* Effect.all(
        [one, one, two].map((store) => Effect.map(store.reserve([charge("global")], 1000), (d) => d))
      )
      const names = ids.map((d) => (d._tag === "Granted" ? d.reservation : "refused"))
      expect(new Set(names).size).toBe(3)
    })
  )

  it.effect("logs once that the clock was set back, and which windows count since", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        lines.push(`${logLevel.label} ${String(message)}`)
      })
      yield* Effect.gen(function* () {
        const store = yield* QuotaStore.makeMemory()
        yield* TestClock.setTime(30 * 3_600_000)
        yield* store.reserve([{ ...charge("client:a"), amount: 4 }], 1000)
        yield* TestClock.setTime(3_600_000)
        yield* store.reserve([charge("client:a")], 1000)
        yield* store.reserve([charge("client:a")], 1000)
      }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
      expect(lines).toHaveLength(1)
      expect(lines[0]).toMatch(/^WARN the clock was set back by 104400 seconds: /)
    })
  )

  it.effect("with rolling windows never admits more than the limit in an hour", () =>
    Effect.gen(function* () {
      const store = yield* QuotaStore.QuotaStore
      const burst = Effect.map(
        Effect.all(Array.from({ length: 10 }, () => store.reserve([charge("client:a")], 86_400_000))),
        (decisions) => decisions.filter(({ _tag }) => _tag === "Granted").length
      )
      yield* TestClock.adjust("59 minutes")
      expect(yield* burst).toBe(10)
      yield* TestClock.adjust("2 minutes")
      expect(yield* burst).toBe(0)
      yield* TestClock.adjust("59 minutes")
      expect(yield* burst).toBe(10)
    }).pipe(Effect.provide(QuotaStore.layerMemoryRolling))
  )
})
