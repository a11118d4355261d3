/**
 * A server process on a shared Redis, as far as the store is concerned: `worker URL PREFIX LIMIT [leased]`.
 * Reserves and settles, eight at a time, until it is refused; says how often it was let through.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as QuotaStore from "../../src/QuotaStore.js"
import * as Leased from "../../src/QuotaStore/Leased.js"
import * as RedisStore from "../../src/QuotaStore/Redis.js"
import * as Redis from "../../src/Redis.js"

const [url = "", prefix = "", limit = "", mode = ""] = process.argv.slice(2)
/** The time stands still, so that no window ends while the processes are compared. */
const NOW = Date.UTC(2031, 4, 5, 12, 30)
const DAY = 86_400_000
const live = Clock.make()
const clock: Clock.Clock = {
  [Clock.ClockTypeId]: Clock.ClockTypeId,
  unsafeCurrentTimeMillis: () => NOW,
  unsafeCurrentTimeNanos: () => live.unsafeCurrentTimeNanos(),
  currentTimeMillis: Effect.succeed(NOW),
  currentTimeNanos: live.currentTimeNanos,
  sleep: (duration) => live.sleep(duration)
}

const client = `client:${mode === "leased" ? process.pid : "shared"}`
const charges: ReadonlyArray<QuotaStore.Charge> = [
  { key: client, quota: "requests_per_hour", limit: Number(limit) * 2, amount: 1 },
  { key: "global", quota: "queries_per_day", limit: Number(limit), amount: 1 }
]

const spendAll = Effect.gen(function* () {
  const store = yield* QuotaStore.QuotaStore
  let granted = 0
  const one = Effect.gen(function* () {
    for (;;) {
      const decision = yield* store.reserve(charges, DAY)
      if (decision._tag === "Refused") return
      granted += 1
      yield* store.settle(decision.reservation, [])
    }
  })
  yield* Effect.replicateEffect(one, 8, { concurrency: "unbounded", discard: true })
  process.stdout.write(String(granted))
})

const store = RedisStore.layer({ time: "clock" })
const leased = Layer.provide(Leased.layer({ leases: (key) => key === "global" }), store)

// The machine of the tests may be busy; that a call ends in time is another test's business.
Effect.runPromise(
  spendAll.pipe(
    Effect.provide(
      Layer.provide(
        mode === "leased" ? leased : store,
        Redis.layer({ url, prefix, commandTimeoutMs: 20_000 })
      )
    ),
    Effect.withClock(clock)
  )
).catch((error: unknown) => {
  process.stderr.write(String(error))
  process.exitCode = 1
})
