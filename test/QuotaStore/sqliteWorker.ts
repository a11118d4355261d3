/**
 * A server process on a shared file, as far as the store is concerned: `worker PATH TASK LIMIT`. The time
 * stands still, so that no window ends while the processes are compared.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { writeSync } from "node:fs"
import * as QuotaStore from "../../src/QuotaStore.js"
import * as Sqlite from "../../src/QuotaStore/Sqlite.js"

const [path = "", task = "", limit = ""] = process.argv.slice(2)
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

const charges: ReadonlyArray<QuotaStore.Charge> = [
  { key: "client:shared", quota: "requests_per_hour", limit: Number(limit) * 2, amount: 1 },
  { key: "global", quota: "queries_per_day", limit: Number(limit), amount: 1 }
]

/** Synchronously: what has been acknowledged has been said, whatever happens next. */
const say = (text: string): void => {
  for (;;) {
    try {
      writeSync(1, text)
      return
    } catch (cause) {
      // The reader is slower than we are.
      if (!String(cause).includes("EAGAIN")) throw cause
    }
  }
}

/** Reserves and settles, eight at a time, until it is refused; says how often it was let through. */
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
  say(String(granted))
})

/** Writes a byte for every settled reservation, until it is killed. */
const hammer = Effect.gen(function* () {
  const store = yield* QuotaStore.QuotaStore
  const one = Effect.gen(function* () {
    const decision = yield* store.reserve(charges, DAY)
    if (decision._tag === "Granted") yield* store.settle(decision.reservation, [])
    say(".")
  })
  yield* Effect.replicateEffect(Effect.forever(one), 4, { concurrency: "unbounded", discard: true })
})

// The machine of the tests may be busy; that a wait ends in time is another test's business.
Effect.runPromise(
  (task === "spend" ? spendAll : hammer).pipe(
    Effect.provide(Sqlite.layer({ path, lockTimeoutMs: 20_000 })),
    Effect.withClock(clock)
  )
).catch((error: unknown) => {
  writeSync(2, String(error))
  process.exitCode = 1
})
