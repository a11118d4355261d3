/**
 * The invariants of a simulation: second books beside every guard, and what is compared after each
 * instant, after each call, and when everything has ended.
 */
import { Cause, Effect, Exit, Option } from "effect"
import { Bulkhead } from "../../src/guard/Bulkhead.js"
import { DeadlineExceeded } from "../../src/guard/Guard.js"
import { Quota } from "../../src/quota/Quota.js"
import { RateLimited } from "../../src/guard/RateLimiter.js"
import type { Call } from "./calls.js"
import * as Circuit from "./invariants/Circuit.js"
import type { Court } from "./invariants/Court.js"
import * as Quotas from "./invariants/Quotas.js"
import * as Slots from "./invariants/Slots.js"
import * as Tokens from "./invariants/Tokens.js"
import type { Layers, Options } from "./server.js"
import type { VirtualClock } from "./VirtualClock.js"
import type { Model } from "./warehouse.js"

export interface Invariants {
  readonly tokens: Tokens.Tokens
  readonly quotas: Quotas.Quotas
  readonly slots: Slots.Slots
  readonly circuit: Circuit.Circuit
  /** After each instant. */
  readonly instant: () => void
  /** When a call has been answered. */
  readonly answered: (call: Call, exit: Exit.Exit<unknown, unknown>) => void
  /** When all calls have ended and nothing runs. */
  readonly ended: (
    clients: ReadonlyArray<{ readonly name: string; readonly tier: string }>
  ) => Effect.Effect<void, never, Quota | Bulkhead>
}

/** Time limits are kept by timers of whole milliseconds. */
const TIMER_MS = 1

export const make = (
  court: Court,
  time: VirtualClock,
  model: Model,
  options: Options,
  layers: Layers
): Invariants => {
  const { permits } = options.bulkhead.statements
  const tokens = Tokens.make(court, options.limiter)
  const quotas = Quotas.make(court, options.quota)
  const slots = Slots.make(court, options.bulkhead)
  const circuit = Circuit.make(court, {
    probes: options.breaker.probes ?? 2,
    consecutiveFailures: options.breaker.consecutiveFailures ?? 3,
    windowMs: options.breaker.windowMs ?? 300_000,
    failureRate: options.breaker.failureRate ?? 0.3,
    minimumCalls: options.breaker.minimumCalls ?? 10,
    slowCallRate: options.breaker.slowCallRate ?? 0.9,
    slowCallMs: options.breaker.slowCallMs ?? 60_000
  })

  /** What is to be looked at when everything has ended. */
  const unsettled: Array<() => void> = []

  const accounts = (call: Call, caller: string, error: unknown, left: boolean): void => {
    const due = call.paid > 0 ? 1 : 0
    // A caller that stopped waiting before the error arrived did not learn that there was nothing to pay for.
    const mayPay = call.sent > 0 && left
    const isDue = (paid: number): boolean => paid === due || (mayPay && paid === 1)

    if (layers.limiter) {
      const kept = call.acquired - call.refunded
      if (error instanceof RateLimited && call.acquired > 0)
        court.report(
          "a refused call charges no bucket and no quota",
          `${caller} was refused and paid ${call.acquired} tokens`
        )
      else if (!isDue(kept))
        court.report(
          "tokens are given back if and only if nothing was sent",
          `${caller} paid ${kept} tokens for ${call.paid} statements`
        )
    }
    if (layers.quota) {
      if (call.reserved !== call.settled + call.released)
        court.report(
          "a reservation is settled or released",
          `${caller}: ${call.reserved} made, ${call.settled} settled`
        )
      if (!isDue(call.settled))
        court.report(
          "a quota is charged if and only if something was sent",
          `${caller} settled ${call.settled} times for ${call.paid} statements`
        )
    }
  }

  const answered = (call: Call, exit: Exit.Exit<unknown, unknown>): void => {
    const caller = `call ${call.asked.id} of ${call.asked.client}`
    const late = court.now() - (call.guardedAt ?? call.asked.startedAt) - call.asked.deadlineMs
    if (late >= TIMER_MS)
      court.report("every call is answered by its deadline", `${caller} was answered ${late} ms later`)

    const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
    const interrupted = Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause)
    if (Exit.isFailure(exit) && error === undefined && !interrupted)
      court.report("nothing dies", `${caller}: ${Cause.pretty(exit.cause)}`)

    // A call may be answered before its statements have ended, and accounts are settled after that.
    const left = interrupted || error instanceof DeadlineExceeded
    if (left || call.reserved !== call.settled + call.released)
      unsettled.push(() => accounts(call, caller, error, true))
    else accounts(call, caller, error, false)

    // A statement that was turned away was not sent. A caller that waited for the answer to another call is told what
    // became of that call's statement.
    if (call.guardedAt !== undefined && error instanceof DeadlineExceeded && error.sent !== call.paid > 0)
      court.report(
        "a caller is told whether its statement was sent",
        `${caller}: ${error.sent}, not ${call.paid > 0}`
      )
  }

  return {
    tokens,
    quotas,
    slots,
    circuit,
    answered,
    instant: () => {
      if (layers.bulkhead && model.inside() > permits)
        court.report(
          "no more statements in the warehouse than max_concurrent_statements",
          `${model.inside()} of ${permits}`
        )
    },
    ended: (clients) =>
      Effect.gen(function* () {
        for (const look of unsettled) look()
        const left = {
          "slots taken": slots.held(),
          "calls in a queue": slots.waiting(),
          "permits of the breaker": circuit.held(),
          "reservations of quota": quotas.held(),
          "statements in the warehouse": model.inside()
        }
        for (const [what, count] of Object.entries(left))
          if (count !== 0) court.report("when all calls have ended, nothing is left", `${count} ${what}`)

        for (const { inUse, pool, queued } of yield* Effect.flatMap(Bulkhead, ({ status }) => status))
          if (inUse !== 0 || queued !== 0)
            court.report(
              "when all calls have ended, nothing is left",
              `${inUse} ${pool} slots in use and ${queued} calls queued, says the bulkhead`
            )
        if (layers.quota) {
          const quota = yield* Quota
          for (const { name, tier } of clients)
            quotas.audit(name, yield* Effect.orDie(quota.status(name, tier)))
        }
        if (time.sleepers() > 0)
          court.report("when all calls have ended, nothing is left", `${time.sleepers()} fibers that sleep`)
      })
  }
}
