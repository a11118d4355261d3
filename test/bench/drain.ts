/** How long a queue of waiters on one slot takes to empty: linear, or it is a trap under load. */
import * as Effect from "effect/Effect"
import * as Bulkhead from "../../src/Bulkhead.js"
import { collectGarbage } from "./harness.js"

const drained = (waiters: number, around: (work: Effect.Effect<void>) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    let done = 0
    const work = Effect.zipRight(
      Effect.yieldNow(),
      Effect.sync(() => void (done += 1))
    )
    collectGarbage()
    const before = performance.now()
    yield* Effect.forEach(Array.from({ length: waiters }), () => around(work), {
      concurrency: "unbounded",
      discard: true
    })
    if (done !== waiters) yield* Effect.dieMessage(`${done} of ${waiters} waiters were served`)
    return performance.now() - before
  })

/** Milliseconds. */
export const bulkheadDrain = (waiters: number): Promise<number> =>
  Effect.gen(function* () {
    const pool = { permits: 1, maxQueue: waiters, maxQueuePerClient: waiters }
    const bulkhead = yield* Bulkhead.make({ requests: pool, statements: pool })
    const slot = { client: "client", tier: "default", maxWaitMs: 600_000 }
    return yield* drained(waiters, (work) =>
      Effect.orDie(Bulkhead.withSlot(bulkhead, "requests", slot, work))
    )
  }).pipe(Effect.scoped, Effect.runPromise)

/** Milliseconds. Every release wakes all waiters: keep the number small. */
export const semaphoreDrain = (waiters: number): Promise<number> =>
  Effect.runPromise(
    Effect.flatMap(Effect.makeSemaphore(1), (semaphore) => drained(waiters, semaphore.withPermits(1)))
  )
