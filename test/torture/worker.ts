/**
 * A server process, as far as its quota store is concerned: `worker STORE TARGET TASK`. The time stands
 * still, so that no window ends while processes are compared.
 *
 *  - `hammer CAP`: reserves and settles for ever, and says `.` for each call that is acknowledged, `+` for
 *    one that was also charged to the key CAP, which has a limit; until it is killed.
 *  - `spend LIMIT`: for each line read, spends the key of that name to its limit, and says how often it was
 *    let through.
 *  - `usage KEY...`: says what is used and held of each.
 */
import * as Effect from "effect/Effect"
import { writeSync } from "node:fs"
import { createInterface } from "node:readline"
import * as QuotaStore from "../../src/quota/QuotaStore.js"
import { clock, DAY, say } from "../utils/worker.js"
import { layerOf } from "./stores.js"

const [store = "", target = "", task = "", ...rest] = process.argv.slice(2)
const CALLERS = 4
/** As in `run.ts`. */
const CAP = 300
const charge = (key: string, limit: number): QuotaStore.Charge => ({
  key,
  quota: "queries_per_day",
  limit,
  amount: 1
})

const hammer = Effect.gen(function* () {
  const quotas = yield* QuotaStore.QuotaStore
  const once = (charges: ReadonlyArray<QuotaStore.Charge>, word: string) =>
    Effect.gen(function* () {
      const decision = yield* quotas.reserve(charges, DAY)
      if (decision._tag === "Refused") return
      yield* quotas.settle(decision.reservation, [])
      say(word)
    })
  const both = once([charge("client:all", 1e12), charge(rest[0] ?? "", CAP)], "+")
  const one = once([charge("client:all", 1e12)], ".")
  yield* Effect.replicateEffect(Effect.forever(Effect.zipRight(one, both)), CALLERS, {
    concurrency: "unbounded",
    discard: true
  })
})

const spend = Effect.gen(function* () {
  const quotas = yield* QuotaStore.QuotaStore
  const limit = Number(rest[0])
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  say("ready\n")
  for (;;) {
    const line = yield* Effect.promise(() => lines.next())
    if (line.done === true) return
    yield* spendAll(quotas, line.value, limit)
  }
})
const spendAll = (quotas: typeof QuotaStore.QuotaStore.Service, key: string, limit: number) =>
  Effect.gen(function* () {
    let granted = 0
    const one = Effect.gen(function* () {
      for (;;) {
        const decision = yield* quotas.reserve([charge(key, limit)], DAY)
        if (decision._tag === "Refused") return
        granted += 1
        yield* quotas.settle(decision.reservation, [])
      }
    })
    yield* Effect.replicateEffect(one, CALLERS, { concurrency: "unbounded", discard: true })
    say(`${granted}\n`)
  })

const usage = Effect.gen(function* () {
  const quotas = yield* QuotaStore.QuotaStore
  const all = yield* Effect.forEach(rest, (key) =>
    Effect.map(quotas.usage(key), ([first]) => ({ used: first?.used ?? 0, held: first?.reserved ?? 0 }))
  )
  say(JSON.stringify(all))
})

Effect.runPromise(
  (task === "hammer" ? hammer : task === "spend" ? spend : usage).pipe(
    Effect.provide(layerOf(store, target)),
    Effect.withClock(clock)
  )
).catch((error: unknown) => {
  writeSync(2, String(error))
  process.exitCode = 1
})
