/**
 * What the limits would have said to the calls of an audit log: the same calls at the same times, through the rate limits
 * and quotas of another configuration, on a clock that the replay sets.
 *
 * Steps are taken in the order in which they took place; those of several servers by the wall clock. Each start of a
 * server has buckets of its own, unless they are joint; quotas are joint, unless they are counted in memory. A call that
 * waits longer or shorter for its tokens than it did does all that follows so much later or earlier.
 *
 * What a call that was refused would have used is not known: it is charged at its estimate, when it is admitted.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Ref from "effect/Ref"
import * as GuardCall from "../guard/Call.js"
import * as RateLimiter from "../guard/RateLimiter.js"
import type * as Metering from "../observe/Metering.js"
import * as VirtualClock from "../platform/virtualClock.js"
import * as Quota from "../quota/Quota.js"
import * as QuotaStore from "../quota/QuotaStore.js"
import type { Call, Log, Reset, Would } from "./AuditLog.js"

/**
 * What the configuration says of the limits.
 *
 * @since 0.1.0
 * @category models
 */
export interface Terms {
  readonly limiter: RateLimiter.Options
  readonly quota: Quota.Options
  readonly tokenWaits: { readonly [tier: string]: GuardCall.TierOptions }
  readonly windows: "fixed" | "rolling"
  /** All servers count in one store. */
  readonly jointQuotas: boolean
  /** All servers have the same buckets. */
  readonly jointBuckets: boolean
  /** The tier of a call that had this one. `assigned`: the settings gave it to the client. */
  readonly tierOf: (client: string, tier: string, assigned: boolean) => string
  readonly mayCall: (tier: string, tool: string) => boolean
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Refusal {
  readonly code: "RATE_LIMITED" | "QUOTA_EXCEEDED" | "TOOL_DENIED"
  readonly scope: string
  /** Null where waiting would not help. */
  readonly retryAfterMs: number | null
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Outcome {
  readonly refused?: Refusal | undefined
  /** Milliseconds that the call waited for its tokens. */
  readonly waitMs: number
  readonly wouldRefuse: ReadonlyArray<Would>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Result {
  readonly call: Call
  /** When it asked, milliseconds since 1970. */
  readonly at: number
  readonly then: Outcome
  readonly now: Outcome
}

/** @internal */
export const wallOf = ({ asked }: Call, [, at, drift]: Metering.Step): number =>
  Math.floor(asked.started + at) + drift

/**
 * When the call asked, milliseconds since 1970.
 *
 * @since 0.1.0
 * @category reading
 */
export const askedAt = (call: Call): number =>
  call.steps[0] === undefined ? call.asked.started : wallOf(call, call.steps[0])

/**
 * What the limits said to the call.
 *
 * @since 0.1.0
 * @category reading
 */
export const decided = ({ steps, wouldRefuse }: Call): Outcome => {
  let waitMs = 0
  let refused: Refusal | undefined
  for (const step of steps) {
    if (step[3] === "rate") waitMs = step[4]
    else if (step[3] === "rate_refused")
      refused = { code: "RATE_LIMITED", scope: step[4], retryAfterMs: step[5] }
    else if (step[3] === "quota_refused")
      refused = { code: "QUOTA_EXCEEDED", scope: step[4], retryAfterMs: step[5] }
    else if (step[3] === "scan_refused")
      refused = { code: "QUOTA_EXCEEDED", scope: step[5], retryAfterMs: step[6] }
  }
  return { waitMs, wouldRefuse, ...(refused === undefined ? {} : { refused }) }
}

/** A call in the replay. */
interface Running {
  readonly call: Call
  readonly tier: string
  readonly used: GuardCall.Call["used"]
  readonly wouldRefuse: Array<Would>
  readonly held: Map<number, Quota.Reservation>
  readonly wasRefused: boolean
  tokens: RateLimiter.Admission | undefined
  refused: Refusal | undefined
  scans: number
  /** Milliseconds that it is behind the recorded call. */
  behind: number
  /** Nothing that follows takes place. */
  over: boolean
}

interface Event {
  /** Wall clock, never running backwards for a server. */
  readonly at: number
  /** Among those of one time. */
  readonly order: number
  readonly of: Running | Reset
  readonly step: Metering.Step | undefined
  /** It takes the place of a recorded step, at another time. */
  readonly isMoved: boolean
}

const isCall = (of: Event["of"]): of is Running => "held" in of

const isBefore = (a: Event, b: Event): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

/** A binary heap, the earliest event on top: of as many events as a log says. */
const makeHeap = () => {
  const heap: Array<Event> = []
  const rises = (at: number): number => {
    const up = (at - 1) >> 1
    if (at === 0 || !isBefore(heap[at]!, heap[up]!)) return at
    ;[heap[at], heap[up]] = [heap[up]!, heap[at]!]
    return up
  }
  const sinks = (at: number): number => {
    const [left, right] = [2 * at + 1, 2 * at + 2]
    const down = right < heap.length && isBefore(heap[right]!, heap[left]!) ? right : left
    if (down >= heap.length || !isBefore(heap[down]!, heap[at]!)) return at
    ;[heap[at], heap[down]] = [heap[down]!, heap[at]!]
    return down
  }
  const settle = (from: number, step: (at: number) => number): void => {
    for (let at = from, next = step(at); next !== at; next = step(at)) at = next
  }
  return {
    first: (): Event | undefined => heap[0],
    add: (event: Event): void => {
      heap.push(event)
      settle(heap.length - 1, rises)
    },
    take: (): Event | undefined => {
      const [first] = heap
      const last = heap.pop()
      if (first !== last && last !== undefined) {
        heap[0] = last
        settle(0, sinks)
      }
      return first
    }
  }
}

/** The recorded steps in their order, with those that are late or early among them. */
const makeAgenda = (recorded: ReadonlyArray<Event>) => {
  const moved = makeHeap()
  let next = 0
  return {
    place: moved.add,
    take: (): Event | undefined => {
      const first = recorded[next]
      const other = moved.first()
      if (other !== undefined && (first === undefined || isBefore(other, first))) return moved.take()
      next += 1
      return first
    }
  }
}

const eventsOf = (calls: ReadonlyArray<Running>, resets: ReadonlyArray<Reset>): ReadonlyArray<Event> => {
  const servers = new Map<string, Array<{ readonly of: Running; readonly step: Metering.Step }>>()
  for (const of of calls) {
    const { server } = of.call.asked
    const steps = servers.get(server) ?? []
    servers.set(server, steps)
    for (const step of of.call.steps) steps.push({ of, step })
  }
  const all: Array<Omit<Event, "order">> = resets.map((of) => ({
    at: of.at,
    of,
    step: undefined,
    isMoved: false
  }))
  for (const steps of servers.values()) {
    // A decision is recorded after it was taken, and other calls may come between.
    steps.sort((a, b) => a.step[1] - b.step[1] || a.step[0] - b.step[0])
    let at = -Infinity
    for (const { of, step } of steps) {
      at = Math.max(at, wallOf(of.call, step))
      all.push({ at, of, step, isMoved: false })
    }
  }
  // Stable: the steps of a server stay in their order.
  return all.sort((a, b) => a.at - b.at).map((event, order) => ({ ...event, order }))
}

const refusal = (by: Quota.WouldRefuse) => ({
  code: "QUOTA_EXCEEDED" as const,
  scope: Quota.limitName(by),
  retryAfterMs: by.retryAfterMs
})

/** The store is in memory, and always answers. */
const sure = <A, E>(
  effect: Effect.Effect<A, E | QuotaStore.QuotaStoreError>
): Effect.Effect<A, Exclude<E, QuotaStore.QuotaStoreError>> =>
  Effect.catchIf(effect, (error) => error instanceof QuotaStore.QuotaStoreError, Effect.die)

/**
 * Takes all calls of the log through the limits. Those before and after a range belong to it: what they used counts.
 *
 * @since 0.1.0
 * @category replaying
 */
export const replay = (
  log: Pick<Log, "calls" | "resets">,
  terms: Terms
): Effect.Effect<ReadonlyArray<Result>> =>
  Effect.gen(function* () {
    const running = yield* Effect.forEach(log.calls, (call) =>
      Effect.map(Ref.make(GuardCall.unused), (used): Running => ({
        call,
        tier: terms.tierOf(call.client, call.tier, call.asked.assigned === true),
        used,
        wouldRefuse: [],
        held: new Map(),
        wasRefused: call.steps.some(([, , , what]) => what === "rate_refused" || what === "quota_refused"),
        tokens: undefined,
        refused: undefined,
        scans: 0,
        behind: 0,
        over: false
      }))
    )
    const events = eventsOf(running, log.resets)
    const begin = events[0]?.at ?? 0
    const time = VirtualClock.make({ monotonic: 0, wall: begin })
    const agenda = makeAgenda(events)

    const limiters = new Map<string, RateLimiter.RateLimiter["Type"]>()
    const limiterOf = (server: string) => {
      const key = terms.jointBuckets ? "" : server
      const known = limiters.get(key)
      if (known !== undefined) return Effect.succeed(known)
      // Its buckets begin with the server.
      return Effect.sync(() => time.set({ monotonic: 0, wall: begin })).pipe(
        Effect.zipRight(Effect.orDie(RateLimiter.make(terms.limiter))),
        Effect.tap((made) => Effect.sync(() => limiters.set(key, made)))
      )
    }
    const quotas = new Map<
      string,
      { readonly quota: Quota.Quota["Type"]; readonly store: QuotaStore.QuotaStore["Type"] }
    >()
    const quotaOf = (server: string) => {
      const key = terms.jointQuotas ? "" : server
      const known = quotas.get(key)
      if (known !== undefined) return Effect.succeed(known)
      return Effect.gen(function* () {
        const store = yield* QuotaStore.makeMemory({ windows: terms.windows })
        const quota = yield* Effect.orDie(
          Effect.provideService(Quota.make(terms.quota), QuotaStore.QuotaStore, store)
        )
        const made = { quota, store }
        quotas.set(key, made)
        return made
      })
    }

    const meet = Effect.fnUntraced(function* (of: Running, { at, order, step }: Event) {
      if (step === undefined) return
      const { client, tool, asked } = of.call
      const { tier } = of
      const limiter = yield* limiterOf(asked.server)
      const { quota } = yield* quotaOf(asked.server)
      time.set({
        monotonic: terms.jointBuckets ? at - begin : step[1] + of.behind,
        wall: wallOf(of.call, step) + of.behind
      })
      const request = {
        client,
        tier,
        tool,
        class: asked.class,
        estimatedBytes: asked.estimate,
        estimatedCredits: asked.credits,
        deadlineMs: asked.deadline
      }
      switch (step[3]) {
        case "rate":
        case "rate_refused": {
          // An operation asks once.
          if (of.tokens !== undefined) return
          if (!terms.mayCall(tier, tool)) {
            of.refused = { code: "TOOL_DENIED", scope: tool, retryAfterMs: null }
            of.over = true
            return
          }
          const { maxTokenWaitMs } = GuardCall.tierOf(terms.tokenWaits, tier)
          const answer = yield* Effect.either(
            limiter.reserve(request, GuardCall.tokenWaitOf(maxTokenWaitMs, asked.deadline))
          )
          if (Either.isLeft(answer)) {
            const { never, retryAfterMs, scope } = answer.left
            of.refused = { code: "RATE_LIMITED", scope, retryAfterMs: never ? null : retryAfterMs }
            of.over = true
            return
          }
          of.tokens = answer.right
          const { waitMs } = answer.right
          if (step[3] === "rate_refused") {
            of.behind = waitMs
            agenda.place({
              at: at + waitMs,
              order,
              of,
              step: [step[0], step[1], step[2], "quota"],
              isMoved: true
            })
          } else if (waitMs !== step[4]) {
            of.behind = waitMs - step[4]
            for (const [i, later] of of.call.steps.slice(1).entries())
              agenda.place({
                at: Math.max(at, wallOf(of.call, later) + of.behind),
                // Before the event that comes next.
                order: order + (i + 1) / (of.call.steps.length + 1),
                of,
                step: later,
                isMoved: true
              })
          }
          return
        }
        case "quota":
        case "quota_refused": {
          if (of.tokens === undefined || of.held.has(0)) return
          const answer = yield* Effect.either(sure(quota.reserve(GuardCall.metered(request, of.tokens))))
          if (Either.isLeft(answer)) {
            of.refused = refusal(answer.left)
            // Where it was refused too, it is recorded when the tokens were given back.
            if (step[3] === "quota_refused") return
            of.over = true
            return yield* limiter.refund(of.tokens)
          }
          of.held.set(0, answer.right)
          yield* GuardCall.observe(
            { tier, used: of.used, observed: (would) => of.wouldRefuse.push(would) },
            limiter,
            of.tokens,
            answer.right
          )
          if (!of.wasRefused) return
          of.over = true
          return yield* sure(quota.settle(answer.right, { bytes: asked.estimate }))
        }
        case "scan":
        case "scan_refused": {
          const { wouldBeRefused } = yield* Ref.get(of.used)
          const answer = yield* Effect.either(
            sure(
              quota.reserveScan({
                client,
                tier,
                estimatedBytes: step[4],
                deadlineMs: asked.deadline,
                observe: !wouldBeRefused
              })
            )
          )
          if (step[3] === "scan") of.scans += 1
          if (Either.isLeft(answer)) {
            of.refused = refusal(answer.left)
            if (step[3] === "scan_refused") return
            of.over = true
            for (const [i, held] of of.held)
              yield* sure(
                i === 0
                  ? quota.settle(held, { bytes: 0, statementSeconds: 0, credits: 0 })
                  : quota.release(held)
              )
            return
          }
          const { wouldRefuse } = answer.right
          if (wouldRefuse !== undefined) of.wouldRefuse.push(refusal(wouldRefuse))
          if (step[3] === "scan") of.held.set(of.scans, answer.right)
          else yield* sure(quota.settle(answer.right, { bytes: 0, scanBytes: step[4] }))
          return
        }
        case "sent":
        case "settled":
        case "released": {
          const held = of.held.get(step[4])
          if (held === undefined) return
          return yield* sure(
            step[3] === "sent"
              ? quota.submitted(held)
              : step[3] === "released"
                ? quota.release(held)
                : quota.settle(held, spentOf(step))
          )
        }
        case "refunded":
          if (of.tokens !== undefined) yield* limiter.refund(of.tokens)
          return
        case "observed_refunded":
          // It follows from what the quotas say now.
          return
      }
    })

    const run = Effect.gen(function* () {
      for (let event = agenda.take(); event !== undefined; event = agenda.take()) {
        const { of } = event
        if (!isCall(of)) {
          time.set({ monotonic: 0, wall: of.at })
          for (const { store } of quotas.values())
            yield* sure(store.reset(QuotaStore.clientKey(of.client), of.quota))
        } else if (!of.over && (of.behind === 0 || event.isMoved)) yield* meet(of, event)
      }
    })
    yield* Effect.withClock(run, time.clock)
    return running.map(({ call, refused, tokens, wouldRefuse }) => ({
      call,
      at: askedAt(call),
      then: decided(call),
      now: {
        waitMs: tokens?.waitMs ?? 0,
        wouldRefuse,
        ...(refused === undefined ? {} : { refused })
      }
    }))
  })

const spentOf = ([, , , , , bytes, scanBytes, seconds, credits]: Extract<
  Metering.Step,
  readonly [number, number, number, "settled", ...Array<unknown>]
>): Quota.Spent => ({
  bytes,
  ...(scanBytes === null ? {} : { scanBytes }),
  ...(seconds === null ? {} : { statementSeconds: seconds }),
  ...(credits === undefined ? {} : { credits })
})
