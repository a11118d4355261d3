/** What server processes have in common that are compared with each other: the time, and how they speak. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { writeSync } from "node:fs"
import * as QuotaStore from "../../src/quota/QuotaStore.js"

export const DAY = 86_400_000
const NOW = Date.UTC(2031, 4, 5, 12, 30)
const live = Clock.make()

/** The time stands still, so that no window ends while the processes are compared. */
export const clock: Clock.Clock = {
  [Clock.ClockTypeId]: Clock.ClockTypeId,
  unsafeCurrentTimeMillis: () => NOW,
  unsafeCurrentTimeNanos: () => live.unsafeCurrentTimeNanos(),
  currentTimeMillis: Effect.succeed(NOW),
  currentTimeNanos: live.currentTimeNanos,
  sleep: (duration) => live.sleep(duration)
}

/** Synchronously: what has been acknowledged has been said, whatever happens next. */
export const say = (text: string): void => {
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
export const spendAll = (charges: ReadonlyArray<QuotaStore.Charge>) =>
  Effect.gen(function* () {
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

/** Runs to the end, or says why not. */
export const main = <E>(program: Effect.Effect<void, E>): void => {
  Effect.runPromise(Effect.withClock(program, clock)).catch((error: unknown) => {
    writeSync(2, String(error))
    process.exitCode = 1
  })
}
