/**
 * Waiting, fairly between clients and not for long, until something may have become free.
 *
 * All waiting callers are woken together, in their order: several may find a place in what became free, and the
 * others wait on, behind those that have waited less often.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FairQueue from "../../platform/core/FairQueue.js"
import { WarehouseError } from "../Warehouse.js"

export interface Request {
  readonly client: string
  /** Milliseconds to wait for what others keep busy. */
  readonly maxWaitMs: number
}

/**
 * The waiting calls are bounded by the bulkhead above.
 */
export const unbounded: FairQueue.Bounds = {
  maxQueue: Number.MAX_SAFE_INTEGER,
  maxQueuePerClient: Number.MAX_SAFE_INTEGER
}

/**
 * The refusal of a call that waited in vain. `isOwn`: for what is of its own identity, in which others have no part.
 */
export const busy = (what: string, retryAfterMs: number, isOwn = false): WarehouseError =>
  new WarehouseError({
    reason: "Overloaded",
    description: `${what}. Nothing was sent, and nothing was charged.`,
    sent: "no",
    retryAfterMs,
    ...(isOwn ? { ownBound: true } : {})
  })

export const make = () => {
  const waiting = FairQueue.make<Deferred.Deferred<void>>(unbounded)
  // Every caller that was taken out of the queue must be woken.
  const wakeAll = Effect.uninterruptible(
    Effect.suspend(() => {
      const woken: Array<Deferred.Deferred<void>> = []
      for (let next = FairQueue.dequeue(waiting); next !== undefined; next = FairQueue.dequeue(waiting)) {
        woken.push(next)
      }
      return Effect.forEach(woken, (next) => Deferred.succeed(next, undefined), { discard: true })
    })
  )
  return {
    /** `refusal`: what a caller is told that has waited in vain. */
    wait: ({ client, maxWaitMs }: Request, refusal: WarehouseError): Effect.Effect<void, WarehouseError> =>
      Effect.flatMap(Deferred.make<void>(), (woken) => {
        const ticket = FairQueue.enqueue(waiting, client, 1, woken)
        if (typeof ticket === "string") return Effect.fail(refusal)
        return Effect.interruptible(
          Effect.timeoutFail(Deferred.await(woken), {
            duration: Math.max(0, maxWaitMs),
            onTimeout: () => refusal
          })
        ).pipe(Effect.ensuring(Effect.sync(() => FairQueue.cancel(waiting, ticket))))
      }),
    wake: Effect.suspend(() => (waiting.size === 0 ? Effect.void : wakeAll))
  }
}
