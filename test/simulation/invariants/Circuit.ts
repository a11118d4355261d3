/**
 * Which calls the breaker lets through.
 *
 * Held against it
 * - while it is open nothing gets through, and nothing before the time it named;
 * - half-open, no more probes run at once than are allowed;
 * - after so many failures in a row it is not closed any more, if each is another call's and nothing answered
 *   (calls of one client at once count as one) or two clients have seen them;
 * - it opens for no less: the attempts of one call are one failure, and what was reported to one client alone
 *   is none while another one calls;
 * - every permit comes back, once.
 */
import { Effect } from "effect"
import * as CircuitBreaker from "../../../src/guard/CircuitBreaker.js"
import { CurrentPrincipal } from "../../../src/platform/Principal.js"
import { callOf } from "../calls.js"
import type { Call } from "../calls.js"
import type { Court } from "./Court.js"

type Service = CircuitBreaker.CircuitBreaker["Type"]

export interface Rules {
  readonly probes: number
  readonly consecutiveFailures: number
  readonly windowMs: number
  readonly failureRate: number
  readonly minimumCalls: number
  readonly slowCallRate: number
  readonly slowCallMs: number
}

/** A call that was judged, in the books of the oracle. */
interface Judged {
  readonly at: number
  readonly begunAt: number
  readonly call: number
  readonly client: string
  readonly verdict: CircuitBreaker.Verdict
  readonly silent: boolean
  /** Its call met silence in a later attempt: enough to fail a probe, and no second failure of a closed circuit. */
  silentLater: boolean
  readonly asked: string
  readonly slow: boolean
}

/**
 * The silences that count for certain: those of one client that met them in calls at once are one, also when another
 * call was answered in between.
 */
const apart = (seen: ReadonlyArray<Judged>): ReadonlySet<Judged> => {
  const ended = new Map<string, number>()
  const silences = new Set<Judged>()
  for (const each of seen) {
    const { at, begunAt, client, silent, verdict } = each
    if (verdict !== "failure" || !silent || begunAt < (ended.get(client) ?? Number.NEGATIVE_INFINITY))
      continue
    ended.set(client, at)
    silences.add(each)
  }
  return silences
}

const witnesses = (seen: ReadonlyArray<Judged>) => {
  const failed = seen.filter(({ verdict }) => verdict === "failure")
  const reported = failed.filter(({ silent }) => !silent)
  return {
    silent: failed.length - reported.length,
    reported: reported.length,
    reporters: new Set(reported.map(({ client }) => client)).size
  }
}

export interface Circuit {
  readonly tap: (inner: Service) => Service
  readonly held: () => number
}

export const make = (court: Court, rules: Rules): Circuit => {
  const running = new Map<number, number>()
  const holders = new Map<CircuitBreaker.Permit, { readonly of: number; readonly call: Call }>()
  /** When each client called last. */
  const callers = new Map<string, number>()
  let held = 0
  let generation = 0
  /** Of the current generation, oldest first. */
  let judged: Array<Judged> = []
  let openUntil = 0

  const enter = (now: number): void => {
    if (now === generation) return
    generation = now
    judged = []
  }

  const recent = (now: number) => judged.filter(({ at }) => now - at < rules.windowMs)

  /** For certain: the circuit's window is as long as twice that. */
  const othersCall = (client: string, now: number): boolean =>
    [...callers].some(([other, at]) => other !== client && now - at < rules.windowMs / 2)

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
      const seen = recent(now)
      const row = seen.slice(seen.findLastIndex(({ verdict }) => verdict !== "failure") + 1)
      const { reported, reporters } = witnesses(row)
      const counted = apart(seen)
      const silent = row.filter((each) => counted.has(each)).length
      // One client's many do not count with another's one, but two of them do.
      if (silent + (reporters > 1 ? Math.min(reported, 3) : 0) >= rules.consecutiveFailures)
        court.report("failures in a row open the circuit", `closed after ${silent} and ${reported} of them`)
    }
  }

  const ended = (of: number): void => {
    held -= 1
    const count = (running.get(of) ?? 0) - 1
    if (count <= 0) running.delete(of)
    else running.set(of, count)
  }

  const judge = (
    of: number,
    permit: CircuitBreaker.Permit,
    call: Call,
    verdict: CircuitBreaker.Verdict,
    { silent = true, statement }: CircuitBreaker.Failure = {}
  ): void => {
    if (of !== generation || verdict === "ignored") return
    const { client, id } = call.asked
    const slow = Math.floor(court.now()) - permit.startedAt >= rules.slowCallMs
    const asked = statement ?? `call ${id}`
    const known = (other: Judged): boolean =>
      other.verdict === "failure" &&
      (other.call === id || (!silent && !other.silent && other.client === client && other.asked === asked))
    // Once a call, and once a client and statement where it was reported.
    const before = verdict === "failure" ? recent(court.now()).find(known) : undefined
    if (before !== undefined) {
      before.silentLater ||= silent
      return
    }
    judged.push({
      at: court.now(),
      begunAt: permit.startedAt,
      call: id,
      client,
      verdict,
      silent,
      silentLater: false,
      asked,
      slow
    })
    if (judged.length > 10_000) judged = recent(court.now())
  }

  /** It has opened just now: were there enough witnesses? */
  const opened = (from: CircuitBreaker.Phase, client: string): void => {
    const now = court.now()
    const seen = recent(now)
    const { reported, reporters, silent } = witnesses(seen)
    const silentLater = seen.filter((one) => one.silentLater).length
    const trusted = silent + silentLater + (reporters > 1 || !othersCall(client, now) ? reported : 0)
    const needed =
      from === "half-open"
        ? 1
        : Math.min(rules.consecutiveFailures, Math.ceil(rules.failureRate * rules.minimumCalls))
    const slow = seen.filter((one) => one.slow).length
    if (trusted < needed && slow < rules.slowCallRate * rules.minimumCalls)
      court.report(
        "a circuit opens for enough witnesses",
        `${from} until ${silent} silences and ${reported} reports to ${reporters} clients`
      )
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
            callers.set(call.asked.client, court.now())
            call.permits += 1
            return permit
          })
        )
        return Effect.tapError(court.atomically(noted), (error) => Effect.sync(() => refused(error)))
      }),
      settle: (permit, verdict, failure) =>
        Effect.suspend(() => {
          const holder = holders.get(permit)
          if (holder === undefined) {
            court.report("a permit comes back once", "it came back again")
            return inner.settle(permit, verdict, failure)
          }
          holders.delete(permit)
          judge(holder.of, permit, holder.call, verdict, failure)
          ended(holder.of)
          holder.call.permits -= 1
          return court.atomically(
            Effect.flatMap(inner.status, (before) =>
              Effect.zipRight(
                inner.settle(permit, verdict, failure),
                Effect.map(inner.status, ({ generation: after, phase }) => {
                  const from = before.phase
                  // A lease that ran out before the next step opens it too.
                  if (phase === "open" && after > before.generation && holder.of === before.generation)
                    opened(from, holder.call.asked.client)
                })
              )
            )
          )
        })
    })
  }
}
