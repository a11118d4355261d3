/**
 * Which calls the breaker lets through.
 *
 * Held against it
 * - while it is open nothing gets through, and nothing before the time it named;
 * - half-open, no more probes run at once than are allowed;
 * - after so many failures in a row it is not closed any more;
 * - every permit comes back, once.
 */
import { Effect } from "effect"
import * as CircuitBreaker from "../../../src/CircuitBreaker.js"
import { CurrentPrincipal } from "../../../src/Principal.js"
import { callOf } from "../calls.js"
import type { Call } from "../calls.js"
import type { Court } from "./Court.js"

type Service = CircuitBreaker.CircuitBreaker["Type"]

export interface Rules {
  readonly probes: number
  readonly consecutiveFailures: number
  readonly windowMs: number
}

export interface Circuit {
  readonly tap: (inner: Service) => Service
  readonly held: () => number
}

export const make = (court: Court, rules: Rules): Circuit => {
  const running = new Map<number, number>()
  const holders = new Map<CircuitBreaker.Permit, { readonly of: number; readonly call: Call }>()
  let held = 0
  let generation = 0
  /** Failures in a row in the current generation, and when the first of them was. */
  let streak: Array<number> = []
  let openUntil = 0

  const enter = (now: number): void => {
    if (now === generation) return
    generation = now
    streak = []
  }

  const begun = (status: CircuitBreaker.Status): void => {
    const now = court.now()
    enter(status.generation)
    const count = (running.get(generation) ?? 0) + 1
    running.set(generation, count)
    held += 1
    if (status.phase === "open" || status.phase === "forced-open")
      court.report(
        "nothing gets through an open circuit",
        `a call began, ${status.retryAfterMs} ms too early`
      )
    // The breaker counts whole milliseconds.
    if (Math.floor(now) < openUntil)
      court.report(
        "nothing gets through an open circuit",
        `a call began, although it was open until ${openUntil} ms`
      )
    if (status.phase === "half-open" && count > rules.probes)
      court.report("half-open, only so many probes run at once", `${count} instead of ${rules.probes}`)
    if (status.phase === "closed" && court.orderly) {
      const recent = streak.filter((at) => now - at < rules.windowMs).length
      if (recent >= rules.consecutiveFailures)
        court.report("failures in a row open the circuit", `closed after ${recent} of them`)
    }
  }

  const ended = (of: number): void => {
    held -= 1
    const count = (running.get(of) ?? 0) - 1
    if (count <= 0) running.delete(of)
    else running.set(of, count)
  }

  const judged = (of: number, verdict: CircuitBreaker.Verdict): void => {
    if (of !== generation || verdict === "ignored") return
    if (verdict === "failure") streak.push(court.now())
    else streak = []
  }

  const refused = (error: unknown): void => {
    if (error instanceof CircuitBreaker.CircuitOpen && error.phase === "open")
      openUntil = Math.floor(court.now()) + (error.retryAfterMs ?? 0)
  }

  return {
    held: () => held,
    tap: (inner) => ({
      ...inner,
      peek: Effect.tapError(inner.peek, (error) => Effect.sync(() => refused(error))),
      acquire: Effect.flatMap(CurrentPrincipal, (principal) => {
        const call = callOf(principal)
        const noted = Effect.flatMap(inner.acquire, (permit) =>
          Effect.map(inner.status, (status) => {
            begun(status)
            holders.set(permit, { of: generation, call })
            call.permits += 1
            return permit
          })
        )
        return Effect.tapError(court.atomically(noted), (error) => Effect.sync(() => refused(error)))
      }),
      settle: (permit, verdict) =>
        Effect.suspend(() => {
          const holder = holders.get(permit)
          if (holder === undefined) court.report("a permit comes back once", "it came back again")
          else {
            holders.delete(permit)
            judged(holder.of, verdict)
            ended(holder.of)
            holder.call.permits -= 1
          }
          return inner.settle(permit, verdict)
        })
    })
  }
}
