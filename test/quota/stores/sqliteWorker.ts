/**
 * A server process on a shared file, as far as the store is concerned: `worker PATH TASK LIMIT`. The time
 * stands still, so that no window ends while the processes are compared.
 */
import * as Effect from "effect/Effect"
import * as QuotaStore from "../../../src/quota/QuotaStore.js"
import * as Sqlite from "../../../src/quota/stores/Sqlite.js"
import * as Worker from "../../utils/worker.js"

const [path = "", task = "", limit = ""] = process.argv.slice(2)
const charges: ReadonlyArray<QuotaStore.Charge> = [
  { key: "client:shared", quota: "requests_per_hour", limit: Number(limit) * 2, amount: 1 },
  { key: "global", quota: "queries_per_day", limit: Number(limit), amount: 1 }
]

/** Writes a byte for every settled reservation, until it is killed. */
const hammer = Effect.gen(function* () {
  const store = yield* QuotaStore.QuotaStore
  const one = Effect.gen(function* () {
    const decision = yield* store.reserve(charges, Worker.DAY)
    if (decision._tag === "Granted") yield* store.settle(decision.reservation, [])
    Worker.say(".")
  })
  yield* Effect.replicateEffect(Effect.forever(one), 4, { concurrency: "unbounded", discard: true })
})

// The machine of the tests may be busy; that a wait ends in time is another test's business.
Worker.main(
  Effect.provide(
    task === "spend" ? Worker.spendAll(charges) : hammer,
    Sqlite.layer({ path, lockTimeoutMs: 20_000 })
  )
)
