/**
 * What every {@link RateLimiter.RateLimiter} must do, as a list of cases for any test runner; buckets in memory and in Redis
 * are tested with this list.
 *
 * ```ts
 * import { Effect } from "effect"
 * import { test } from "node:test"
 * import * as RateLimiterContract from "snowguard/testing/RateLimiterContract"
 *
 * for (const { name, run } of RateLimiterContract.cases(MyLimiter.layer)) {
 *   test(name, () => Effect.runPromise(run))
 * }
 * ```
 *
 * Each case builds a layer for limits of its own, and the buckets of a layer must begin full: a limiter whose buckets
 * outlive it takes a name space of its own each time it is built. Time is the `Clock`'s, and moved by hand; sleeping is
 * real, so a limiter may wait for locks and sockets.
 *
 * Not in the list: how tokens are shared between clients of one bucket (the limits of all cases have `reserved: 0`), and
 * what a limiter does that cannot reach its buckets.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as fc from "effect/FastCheck"
import type * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import { deepStrictEqual, fail, ok, strictEqual } from "node:assert"
import type { Case, Journal, Time } from "../platform/contracts.js"
import { clockOf, journal, matches, property } from "../platform/contracts.js"
import * as RateLimiter from "./RateLimiter.js"

export type {
  /**
   * @since 0.1.0
   * @category models
   */
  Case
} from "../platform/contracts.js"

/**
 * What the limiter can do, and how much is tried.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * Where the limiter takes the time from: the `Clock` (the default), or `elsewhere`, a database's own clock for example.
   * The cases in which time passes are then left out.
   */
  readonly time?: "clock" | "elsewhere" | undefined
  /** Sequences of calls that are tried; 40 when absent. */
  readonly numRuns?: number | undefined
  /** Milliseconds within which every operation must answer, in real time; 10000 when absent. */
  readonly timeoutMs?: number | undefined
}

type Limiter = Context.Tag.Service<RateLimiter.RateLimiter>
/** What a caller's buckets hold, of which the journal does not tell. */
type Look = Limiter["status"]
type Limits = Pick<RateLimiter.Options, "global" | "classes" | "tiers">

const TIMEOUT_MS = 10_000

/** Milliseconds of a monotonic clock. */
const START = 1_024_000

/** Slower than any case: no token comes back while it runs, whatever clock is used. */
const SLOW = 0.0001

/** Wide enough for every case. */
const wide: RateLimiter.Bucket = { rate: 1000, burst: 1000 }
const limits = (client: RateLimiter.Bucket, more: Partial<Limits> = {}): Limits => ({
  global: wide,
  classes: {},
  tiers: { default: { client } },
  ...more
})

const request = (client: string, overrides: Partial<RateLimiter.Request> = {}): RateLimiter.Request => ({
  client,
  tier: "default",
  class: "query",
  ...overrides
})

/** The limiter, of which each operation is noted. */
const noting = (limiter: Limiter, { noted }: Journal): Limiter => ({
  acquire: (asked) => noted("acquire", [asked], limiter.acquire(asked)),
  reserve: (asked, maxWaitMs) => noted("reserve", [asked, maxWaitMs], limiter.reserve(asked, maxWaitMs)),
  acquireWithin: (asked, maxWaitMs) =>
    noted("acquireWithin", [asked, maxWaitMs], limiter.acquireWithin(asked, maxWaitMs)),
  refund: (admission, only) => noted("refund", [admission, only], limiter.refund(admission, only)),
  limit: (asked, effect) => noted("limit", [asked], limiter.limit(asked, effect)),
  status: (client, tier) => noted("status", [client, tier], limiter.status(client, tier))
})

const admitted = (asking: Effect.Effect<RateLimiter.Admission, RateLimiter.RateLimited>) =>
  Effect.catchAll(asking, ({ message }) =>
    Effect.sync(() => fail(`a call was refused that must be admitted: ${message}`))
  )

const refused = (
  asking: Effect.Effect<RateLimiter.Admission, RateLimiter.RateLimited>
): Effect.Effect<RateLimiter.RateLimited> =>
  Effect.map(Effect.either(asking), (answer) =>
    Either.isLeft(answer) ? answer.left : fail("a call was admitted that must be refused")
  )

const remaining = (
  limiter: Limiter,
  client: string,
  scope: RateLimiter.Scope,
  name?: string,
  tier = "default"
): Effect.Effect<number | undefined> =>
  Effect.map(
    limiter.status(client, tier),
    (status) => status.find((one) => one.scope === scope && one.name === name)?.remaining
  )

/** How many of `count` calls at the same time are admitted. */
const admittedOf = (count: number, asking: (i: number) => Effect.Effect<unknown, RateLimiter.RateLimited>) =>
  Effect.map(
    Effect.all(
      Array.from({ length: count }, (_, i) => Effect.isSuccess(asking(i))),
      { concurrency: "unbounded" }
    ),
    (all) => all.filter((isAdmitted) => isAdmitted).length
  )

/** Intervals between tokens are whole microseconds, which a limiter may round to. */
const busy = {
  global: { rate: 8, burst: 9 },
  classes: { query: { rate: 4, burst: 5 } },
  tiers: {
    default: {
      client: { rate: 2, burst: 4 },
      tools: { narrow: { bucket: { rate: 1, burst: 2 } }, heavy: { weight: 2 } }
    },
    team: { client: { rate: 5, burst: 6 }, total: { rate: 4, burst: 7 } }
  }
} satisfies Limits
const callers = [
  { client: "a", tier: "default" },
  { client: "b", tier: "default" },
  { client: "c", tier: "team" }
] as const

const commandArbitrary = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      _tag: fc.constant("tick" as const),
      ms: fc.constantFrom(1, 99, 250, 2000)
    })
  },
  {
    weight: 6,
    arbitrary: fc.record({
      _tag: fc.constant("call" as const),
      caller: fc.constantFrom(...callers),
      class: fc.constantFrom("query" as const, "metadata" as const),
      tool: fc.constantFrom("narrow", "heavy", "other"),
      cost: fc.constantFrom(1, 2, 4),
      maxWaitMs: fc.constantFrom(0, 300)
    })
  },
  fc.record({ _tag: fc.constant("refund" as const), which: fc.nat({ max: 9 }) })
)
type Command = typeof commandArbitrary extends fc.Arbitrary<infer A> ? A : never

/** What answers must agree on. */
const comparable = (answer: Either.Either<RateLimiter.Admission, RateLimiter.RateLimited>) =>
  Either.match(answer, {
    onRight: ({ waitMs }) => ({ admitted: true, waitMs }),
    onLeft: ({ burst, name, never, ratePerSecond, retryAfterMs, scope }) =>
      // Of several buckets that can never hold a call, any may be named.
      never ? { never } : { admitted: false, scope, name, ratePerSecond, burst, retryAfterMs }
  })

/** What the buckets of a caller hold; only the first place is the caller's own, the others are in any order. */
const held = (status: ReadonlyArray<RateLimiter.ScopeStatus>) =>
  status
    .map(({ name, remaining, scope }) => ({ scope, name, remaining }))
    .sort((a, b) => (`${a.scope} ${a.name}` < `${b.scope} ${b.name}` ? -1 : 1))

/**
 * The cases for a limiter: `layer` makes it for the limits of a case.
 *
 * @since 0.1.0
 * @category constructors
 */
export const cases = <E>(
  layer: (limits: RateLimiter.Options) => Layer.Layer<RateLimiter.RateLimiter, E>,
  options: Options = {}
): ReadonlyArray<Case<E>> => {
  const rule = (name: string, run: Case<E>["run"]) => ({ name, run })

  const run = (
    of: Limits,
    body: (limiter: Limiter, time: Time, look: Look) => Effect.Effect<void>
  ): Effect.Effect<void, E> =>
    Effect.suspend(() => {
      const time = { now: START }
      return Effect.flatMap(
        Effect.all([RateLimiter.RateLimiter, journal(options.timeoutMs ?? TIMEOUT_MS)]),
        ([limiter, journal]) => {
          const look: Look = (client, tier) =>
            journal.unnoted("status", [client, tier], limiter.status(client, tier))
          return journal.told(body(noting(limiter, journal), time, look))
        }
      ).pipe(Effect.provide(layer({ ...of, reserved: 0 })), Effect.withClock(clockOf(time)))
    })

  const always = [
    rule(
      "admits the burst of a client, then refuses, and says which bucket is empty",
      run(limits({ rate: SLOW, burst: 3 }), (limiter) =>
        Effect.gen(function* () {
          for (const left of [2, 1, 0]) {
            matches(yield* admitted(limiter.acquire(request("a"))), { client: "a", cost: 1, waitMs: 0 })
            strictEqual(yield* remaining(limiter, "a", "client"), left)
          }
          const refusal = yield* refused(limiter.acquire(request("a")))
          matches(refusal, { scope: "client", ratePerSecond: SLOW, burst: 3, remaining: 0, never: false })
          ok(refusal.retryAfterMs > 0, "a refusal says how long to wait")
          ok(refusal.retryHintMs >= refusal.retryAfterMs, "the hint is never less than the exact wait")
        })
      )
    ),

    rule(
      "gives every client a bucket of its own, full at first, or with its initial tokens",
      run(
        limits(
          { rate: SLOW, burst: 2 },
          {
            tiers: {
              default: { client: { rate: SLOW, burst: 2 } },
              new: { client: { rate: SLOW, burst: 4, initial: 1 } }
            }
          }
        ),
        (limiter) =>
          Effect.gen(function* () {
            for (const client of ["a", "b", "client:a", "a b", "ä"]) {
              strictEqual(yield* admittedOf(3, () => limiter.acquire(request(client))), 2, client)
            }
            strictEqual(yield* admittedOf(3, () => limiter.acquire(request("n", { tier: "new" }))), 1)
            // A tier that is not known has the limits of `default`.
            strictEqual(yield* admittedOf(3, () => limiter.acquire(request("x", { tier: "none" }))), 2)
          })
      )
    ),

    rule(
      "admits exactly the burst of calls that come at the same time",
      run(limits(wide, { global: { rate: SLOW, burst: 10 } }), (limiter) =>
        Effect.gen(function* () {
          strictEqual(yield* admittedOf(60, (i) => limiter.acquire(request(`c${i % 7}`))), 10)
          strictEqual((yield* refused(limiter.acquire(request("c0")))).scope, "global")
        })
      )
    ),

    rule(
      "charges no bucket for a refusal: not the client's for one of a shared bucket, nor the other way round",
      run(
        limits(
          { rate: SLOW, burst: 3 },
          { global: { rate: SLOW, burst: 5 }, classes: { query: { rate: SLOW, burst: 4 } } }
        ),
        (limiter) =>
          Effect.gen(function* () {
            yield* Effect.replicateEffect(admitted(limiter.acquire(request("a"))), 3)
            strictEqual((yield* refused(limiter.acquire(request("a")))).scope, "client")
            strictEqual(yield* remaining(limiter, "a", "global"), 2)
            yield* admitted(limiter.acquire(request("b")))
            matches(yield* refused(limiter.acquire(request("b"))), { scope: "class", name: "query" })
            strictEqual(yield* remaining(limiter, "b", "client"), 2)
            strictEqual(yield* remaining(limiter, "b", "global"), 1)
          })
      )
    ),

    rule(
      "limits a tool by a bucket of its own, and takes its weight from the client's",
      run(
        limits(wide, {
          tiers: {
            default: {
              client: { rate: SLOW, burst: 8 },
              tools: { narrow: { bucket: { rate: SLOW, burst: 1 } }, heavy: { weight: 3 } }
            }
          }
        }),
        (limiter) =>
          Effect.gen(function* () {
            yield* admitted(limiter.acquire(request("a", { tool: "narrow" })))
            matches(yield* refused(limiter.acquire(request("a", { tool: "narrow" }))), {
              scope: "tool",
              name: "narrow"
            })
            yield* admitted(limiter.acquire(request("b", { tool: "narrow" })))
            yield* admitted(limiter.acquire(request("a", { tool: "heavy", cost: 2 })))
            strictEqual(yield* remaining(limiter, "a", "client"), 1)
            strictEqual((yield* refused(limiter.acquire(request("a", { tool: "heavy" })))).scope, "client")
          })
      )
    ),

    rule(
      "says of a call that costs more than a bucket can hold that waiting never helps",
      run(limits({ rate: SLOW, burst: 3 }), (limiter) =>
        Effect.gen(function* () {
          matches(yield* refused(limiter.acquire(request("a", { cost: 4 }))), {
            never: true,
            scope: "client"
          })
          matches(yield* refused(limiter.reserve(request("a", { cost: 4 }), Infinity)), { never: true })
          yield* admitted(limiter.acquire(request("a", { cost: 3 })))
        })
      )
    ),

    rule(
      "gives tokens back to every bucket that was charged, once for each admission",
      run(limits({ rate: SLOW, burst: 3 }, { global: { rate: SLOW, burst: 9 } }), (limiter) =>
        Effect.gen(function* () {
          const first = yield* admitted(limiter.acquire(request("a", { cost: 2 })))
          yield* admitted(limiter.acquire(request("a")))
          yield* limiter.refund(first)
          strictEqual(yield* remaining(limiter, "a", "client"), 2)
          strictEqual(yield* remaining(limiter, "a", "global"), 8)
          yield* Effect.all([limiter.refund(first), limiter.refund(first)], { concurrency: "unbounded" })
          strictEqual(yield* remaining(limiter, "a", "client"), 2)
          strictEqual(yield* remaining(limiter, "a", "global"), 8)
        })
      )
    ),

    rule(
      "refuses nothing at scopes that are only observed, and says what they would have refused",
      run(
        limits(wide, {
          tiers: { default: { client: { rate: SLOW, burst: 2 }, observe: ["client"] } }
        }),
        (limiter) =>
          Effect.gen(function* () {
            yield* Effect.replicateEffect(admitted(limiter.acquire(request("a"))), 2)
            const { wouldRefuse } = yield* admitted(limiter.acquire(request("a")))
            matches(wouldRefuse, { scope: "client", never: false })
            strictEqual((yield* limiter.status("a", "default"))[0]?.observed, true)
          })
      )
    ),

    rule(
      "shows a client's own bucket first, and charges nothing for the look",
      run(limits({ rate: SLOW, burst: 3 }), (limiter) =>
        Effect.gen(function* () {
          yield* admitted(limiter.acquire(request("a")))
          yield* Effect.replicateEffect(limiter.status("a", "default"), 5)
          const [own, ...others] = yield* limiter.status("a", "default")
          matches(own, { scope: "client", ratePerSecond: SLOW, burst: 3, remaining: 2 })
          ok(
            others.some(({ scope }) => scope === "global"),
            "the bucket of all calls is shown"
          )
          strictEqual(yield* admittedOf(3, () => limiter.acquire(request("a"))), 2)
        })
      )
    ),

    rule(
      "runs an effect that is admitted, keeps its token when it fails, and does not begin one that is refused",
      run(limits({ rate: SLOW, burst: 2 }), (limiter) =>
        Effect.gen(function* () {
          const times = yield* Ref.make(0)
          const work = Ref.updateAndGet(times, (n) => n + 1)
          strictEqual(yield* Effect.orDie(limiter.limit(request("a"), work)), 1)
          const failed = yield* Effect.either(limiter.limit(request("a"), Effect.fail("of its own")))
          deepStrictEqual(Either.flip(failed), Either.right("of its own"))
          const third = yield* Effect.either(limiter.limit(request("a"), work))
          ok(Either.isLeft(third), "the third call is refused")
          strictEqual(yield* Ref.get(times), 1)
        })
      )
    ),

    rule(
      "gives the tokens back when the wait for them is interrupted",
      run(limits({ rate: 0.1, burst: 1 }, { global: { rate: SLOW, burst: 9 } }), (limiter) =>
        Effect.gen(function* () {
          yield* admitted(limiter.acquire(request("a")))
          const waiting = yield* Effect.fork(limiter.acquireWithin(request("a"), 60_000))
          // The tokens are taken before the wait for them begins.
          const left = yield* Effect.repeat(remaining(limiter, "a", "global"), {
            until: (left) => left === 7,
            times: 1_000
          })
          strictEqual(left, 7)
          ok(Exit.isInterrupted(yield* Fiber.interrupt(waiting)), "the call did not wait for its token")
          strictEqual(yield* remaining(limiter, "a", "global"), 8)
        })
      )
    )
  ]

  /**
   * Runs the commands on the limiter and on buckets in memory, and compares every answer and what every caller's buckets
   * hold then. Buckets in memory are the oracle here: compared with themselves they show nothing, and `TokenBucket.test.ts`
   * tests them.
   */
  const agrees = (
    commands: ReadonlyArray<Command>,
    limiter: Limiter,
    time: Time,
    look: Look
  ): Effect.Effect<void> =>
    Effect.gen(function* () {
      const model = yield* Effect.orDie(RateLimiter.make({ ...busy, reserved: 0 }))
      const given: Array<readonly [RateLimiter.Admission, RateLimiter.Admission]> = []
      for (const command of commands) {
        if (command._tag === "tick") {
          time.now += command.ms
        } else if (command._tag === "refund") {
          const pair = given[command.which % Math.max(1, given.length)]
          if (pair === undefined) continue
          yield* limiter.refund(pair[0])
          yield* model.refund(pair[1])
        } else {
          const { _tag, caller, maxWaitMs, ...rest } = command
          const asked = { ...caller, ...rest }
          const actual = yield* Effect.either(limiter.reserve(asked, maxWaitMs))
          const expected = yield* Effect.either(model.reserve(asked, maxWaitMs))
          deepStrictEqual(
            comparable(actual),
            comparable(expected),
            "the limiter and the model differ in the answer to reserve"
          )
          if (Either.isRight(actual) && Either.isRight(expected)) given.push([actual.right, expected.right])
        }
        for (const { client, tier } of callers) {
          deepStrictEqual(
            held(yield* look(client, tier)),
            held(yield* model.status(client, tier)),
            `the limiter and the model differ in the status of ${client} after ${command._tag}`
          )
        }
      }
    })

  const inTime = [
    rule(
      "decides as the model over any sequence of calls",
      property(
        fc.array(commandArbitrary, { minLength: 1, maxLength: 25 }),
        options.numRuns ?? 40,
        (commands) => run(busy, (limiter, time, look) => agrees(commands, limiter, time, look))
      )
    ),

    rule(
      "admits a refused call after the time that it was told, not one millisecond earlier",
      run(limits({ rate: 4, burst: 2 }, { global: { rate: 2, burst: 3 } }), (limiter, time) =>
        Effect.gen(function* () {
          for (const asked of [request("a"), request("a", { cost: 2 }), request("b", { cost: 2 })]) {
            yield* Effect.replicateEffect(Effect.either(limiter.acquire(asked)), 3)
            const { retryAfterMs } = yield* refused(limiter.acquire(asked))
            time.now += retryAfterMs - 1
            strictEqual((yield* refused(limiter.acquire(asked))).retryAfterMs, 1)
            time.now += 1
            yield* admitted(limiter.acquire(asked))
          }
        })
      )
    ),

    rule(
      "fills a bucket up to its burst and no further",
      run(limits({ rate: 2, burst: 3 }), (limiter, time) =>
        Effect.gen(function* () {
          const held = yield* admitted(limiter.acquire(request("a")))
          time.now += 3_600_000
          yield* limiter.refund(held)
          strictEqual(yield* remaining(limiter, "a", "client"), 3)
          strictEqual(yield* admittedOf(9, () => limiter.acquire(request("a"))), 3)
        })
      )
    ),

    rule(
      "takes tokens for later up to the longest wait, and says how long the caller has to wait",
      run(limits({ rate: 2, burst: 1 }), (limiter, time) =>
        Effect.gen(function* () {
          yield* admitted(limiter.reserve(request("a"), 0))
          strictEqual((yield* admitted(limiter.reserve(request("a"), 1000))).waitMs, 500)
          strictEqual((yield* admitted(limiter.reserve(request("a"), 1000))).waitMs, 1000)
          const { retryAfterMs } = yield* refused(limiter.reserve(request("a"), 1000))
          strictEqual(retryAfterMs, 500)
          time.now += 500
          strictEqual((yield* admitted(limiter.reserve(request("a"), 1000))).waitMs, 1000)
        })
      )
    )
  ]
  return (options.time ?? "clock") === "clock" ? [...always, ...inTime] : always
}
