/**
 * Which calls are in a slot and which wait for one.
 *
 * Held against it
 * - never more hold a slot than there are, and each slot is freed once;
 * - while a client waits, every other client gets one turn in a row at most;
 * - no call gets a slot at once while another one waits and is served later;
 * - the slots in reserve go to clients that have none.
 *
 * With a reserve a client that has a slot may be passed over. It was not for certain if it has had none since an earlier
 * instant: slots are handed over and noted here within the same one.
 */
import { Effect } from "effect"
import type * as Bulkhead from "../../../src/guard/Bulkhead.js"
import { CurrentPrincipal } from "../../../src/platform/Principal.js"
import { callOf } from "../calls.js"
import type { Call } from "../calls.js"
import type { Court } from "./Court.js"

type Service = Bulkhead.Bulkhead["Type"]

interface Waiter {
  readonly client: string
  /** When a call that never waited was served before it; microseconds. */
  overtakenAt: number | undefined
}

/** The waiters of a client, and how often others were served since its own last turn. */
interface Lane {
  readonly waiters: Set<Waiter>
  readonly turnsOfOthers: Map<string, number>
}

interface Holder {
  slots: number
  /** When it last held one; microseconds. */
  heldAt: number
}

interface PoolWatch {
  running: number
  readonly lanes: Map<string, Lane>
  readonly holders: Map<string, Holder>
}

export interface Slots {
  readonly tap: (inner: Service) => Service
  readonly held: () => number
  readonly waiting: () => number
}

export const make = (court: Court, options: Bulkhead.Options): Slots => {
  const pools: { readonly [P in Bulkhead.Pool]: PoolWatch } = {
    requests: { running: 0, lanes: new Map(), holders: new Map() },
    statements: { running: 0, lanes: new Map(), holders: new Map() }
  }
  const holders = new Map<Bulkhead.Slot, Call>()
  const weightOf = (tier: string): number => options.tierWeights?.[tier] ?? 1

  const join = (watch: PoolWatch, waiter: Waiter): void => {
    const lane = watch.lanes.get(waiter.client)
    if (lane === undefined)
      watch.lanes.set(waiter.client, { waiters: new Set([waiter]), turnsOfOthers: new Map() })
    else lane.waiters.add(waiter)
  }

  const leave = (watch: PoolWatch, waiter: Waiter): void => {
    const lane = watch.lanes.get(waiter.client)
    if (lane === undefined) return
    lane.waiters.delete(waiter)
    if (lane.waiters.size === 0) watch.lanes.delete(waiter.client)
  }

  const reserveOf = (pool: Bulkhead.Pool): number => options[pool].reserve ?? 0

  /** Could the client have been handed any slot that was handed over in this instant? */
  const isEligible = (pool: Bulkhead.Pool, client: string): boolean => {
    if (reserveOf(pool) === 0) return true
    const holder = pools[pool].holders.get(client)
    return holder === undefined || (holder.slots === 0 && holder.heldAt < court.nowMicros())
  }

  const served = (pool: Bulkhead.Pool, waiter: Waiter, tier: string, waited: boolean): void => {
    const watch = pools[pool]
    const now = court.nowMicros()
    const lane = watch.lanes.get(waiter.client)
    if (waited && lane !== undefined) {
      for (const [other, turns] of lane.turnsOfOthers)
        if (turns > 0)
          court.report(
            "while a client waits, every other one gets one turn in a row",
            `${waiter.client} waited for ${pool} while ${other} was served ${turns} times too often`
          )
      if (waiter.overtakenAt !== undefined && waiter.overtakenAt < now)
        court.report("no call overtakes one that waits", `${waiter.client} was overtaken in ${pool}`)
      lane.turnsOfOthers.clear()
    }
    for (const [client, other] of watch.lanes) {
      if (client === waiter.client) continue
      if (!isEligible(pool, client)) {
        other.turnsOfOthers.clear()
        continue
      }
      const turns = other.turnsOfOthers.get(waiter.client) ?? -weightOf(tier)
      other.turnsOfOthers.set(waiter.client, turns + 1)
      if (!waited) for (const each of other.waiters) each.overtakenAt ??= now
    }
  }

  const started = (pool: Bulkhead.Pool, client: string, call: Call, waited: boolean): void => {
    const watch = pools[pool]
    const holder = watch.holders.get(client) ?? { slots: 0, heldAt: 0 }
    // Of a slot that was handed over it is not known how many were free then.
    if (!waited && holder.slots > 0 && watch.running >= options[pool].permits - reserveOf(pool))
      court.report(
        "the slots in reserve go to clients that have none",
        `${client} with ${holder.slots} ${pool} slots took another one while ${watch.running} of ${options[pool].permits} were taken`
      )
    holder.slots += 1
    watch.holders.set(client, holder)
    watch.running += 1
    call.slots += 1
    if (watch.running > options[pool].permits)
      court.report("no more run than there are slots", `${watch.running} of ${options[pool].permits} ${pool}`)
  }

  const ended = ({ client, pool }: Bulkhead.Slot, call: Call): void => {
    const watch = pools[pool]
    watch.running -= 1
    const holder = watch.holders.get(client)
    if (holder !== undefined) {
      holder.slots -= 1
      holder.heldAt = court.nowMicros()
    }
    call.slots -= 1
  }

  return {
    held: () => pools.requests.running + pools.statements.running,
    waiting: () =>
      [pools.requests, pools.statements].reduce(
        (sum, { lanes }) => sum + [...lanes.values()].reduce((own, { waiters }) => own + waiters.size, 0),
        0
      ),
    tap: (inner) => ({
      ...inner,
      acquire: (pool, request) =>
        Effect.flatMap(CurrentPrincipal, (principal) => {
          const call = callOf(principal)
          const waiter: Waiter = { client: request.client, overtakenAt: undefined }
          const watch = pools[pool]
          const askedAt = court.moment()
          if (court.orderly) join(watch, waiter)
          return Effect.onExit(inner.acquire(pool, request), (exit) =>
            Effect.sync(() => {
              if (court.orderly) {
                if (exit._tag === "Success") served(pool, waiter, request.tier, court.moment() !== askedAt)
                leave(watch, waiter)
              }
              if (exit._tag === "Success") {
                holders.set(exit.value, call)
                started(pool, request.client, call, court.moment() !== askedAt)
              }
            })
          )
        }),
      release: (slot) =>
        Effect.suspend(() => {
          const call = holders.get(slot)
          if (call === undefined) court.report("a slot is freed once", `${slot.pool} freed without a holder`)
          else ended(slot, call)
          holders.delete(slot)
          return inner.release(slot)
        })
    })
  }
}
