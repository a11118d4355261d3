/** How long a queue of waiters on one slot takes to empty: linear, or it is a trap under load. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Bulkhead from "../../src/guard/Bulkhead.js"
import { collectGarbage } from "./harness.js"

/** From the moment at which all of them stand in the queue; that they get there is not what is measured. */
const drained = (waiters: number, around: (work: Effect.Effect<void>) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    let done = 0
    const open = yield* Deferred.make<void>()
    const empty = yield* Deferred.make<void>()
    const work = Effect.zipRight(
      Effect.yieldNow(),
      Effect.sync(() => {
        done += 1
        if (done === waiters) Deferred.unsafeDone(empty, Exit.void)
      })
    )
    yield* Effect.fork(around(Deferred.await(open)))
    yield* Effect.yieldNow()
    for (let i = 0; i < waiters; i++) yield* Effect.fork(around(work))
    yield* Effect.sleep(0)
    collectGarbage()
    const before = performance.now()
    yield* Deferred.succeed(open, undefined)
    yield* Deferred.await(empty)
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
