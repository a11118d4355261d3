import { describe, expect, it } from "@effect/vitest"
import type { Clock } from "effect"
import { Cause, Chunk, Duration, Effect, Either, Exit, Fiber, Random, Schedule, TestClock } from "effect"
import * as Bulkhead from "../../src/guard/Bulkhead.js"
import * as CircuitBreaker from "../../src/guard/CircuitBreaker.js"
import { DeadlineExceeded } from "../../src/guard/Guard.js"
import { monotonicMillis } from "../../src/platform/monotonic.js"
import * as Quota from "../../src/quota/Quota.js"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
import * as Retry from "../../src/guard/Retry.js"
import * as RetryPolicy from "../../src/guard/RetryPolicy.js"
import { Reason, WarehouseError } from "../../src/warehouse/Warehouse.js"
import * as Turns from "../../src/warehouse/snowflake/turns.js"

type Service = typeof Retry.Retry.Service

const failure = (reason: Reason, more: { retryAfterMs?: number; sent?: "no" | "yes" | "unknown" } = {}) =>
  new WarehouseError({ reason, description: "It did not work.", sent: "yes", ...more })

const request = (deadline?: number): Retry.Request<unknown> => ({
  class: "metadata",
  deadline,
  decide: RetryPolicy.decide
})

/** Attempts that fail as scripted and then succeed, with the times at which they were made. */
const script = <E>(errors: ReadonlyArray<E>) => {
  const at: Array<number> = []
  const attempt = (n: number): Effect.Effect<string, E> =>
    Effect.flatMap(monotonicMillis, (now) => {
      at.push(now)
      const error = errors[n - 1]
      return error === undefined ? Effect.succeed(`attempt ${n}`) : Effect.fail(error)
    })
  return { at, attempt }
}
const always = <E>(error: E) => script(Array.from({ length: 100 }, () => error))

/** Runs to the end on virtual time. */
const finish = <A, E>(effect: Effect.Effect<A, E>, forAtMost: Duration.DurationInput = "10 minutes") =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(Effect.either(effect))
    yield* TestClock.adjust(forAtMost)
    return yield* Fiber.join(fiber)
  })

const luck =
  (...values: [number, ...Array<number>]) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.withRandom(effect, Random.fixed(values))

const draw = (schedule: Schedule.Schedule<unknown, unknown>, n: number) =>
  Effect.gen(function* () {
    let course = RetryPolicy.course(schedule)
    const delays: Array<number | undefined> = []
    for (let i = 0; i < n; i++) {
      const [delay, rest] = yield* course.next(1_700_000_000_000, undefined)
      delays.push(delay)
      course = rest
    }
    return delays.map((ms) => (ms === undefined ? ms : Math.round(ms)))
  })

/** A budget that never says no, for tests of everything else. */
const rich = { initial: 100, cap: 100, floorPerSecond: 100 }

describe("Retry", () => {
  describe("what is retried", () => {
    it.effect("retries after a transient failure of the warehouse, and answers with the result", () =>
      Effect.gen(function* () {
        const retry = yield* Retry.make()
        const { at, attempt } = script([failure("Unreachable"), failure("Unreachable")])
        expect(yield* finish(retry.run(attempt, request()))).toEqual(Either.right("attempt 3"))
        expect(at).toHaveLength(3)
        expect(yield* retry.status).toMatchObject({ calls: 1, retries: 2, recovered: 1 })
      })
    )

    it.effect("follows the table of reasons", () =>
      Effect.gen(function* () {
        const attempts: { [reason: string]: number } = {}
        for (const reason of Reason.literals) {
          const retry = yield* Retry.make({ budget: rich })
          const { at, attempt } = always(failure(reason))
          yield* finish(retry.run(attempt, request()))
          attempts[reason] = at.length
        }
        expect(attempts).toEqual({
          InvalidStatement: 1,
          NotFound: 1,
          Permission: 1,
          StatementTimeout: 1,
          ResourcesExceeded: 1,
          Cancelled: 1,
          ResultExpired: 1,
          Authentication: 1,
          LoginUnavailable: 3,
          Configuration: 1,
          Unavailable: 1,
          Overloaded: 3,
          SessionLost: 2,
          Unreachable: 3,
          Protocol: 2,
          ServerFault: 2,
          Unknown: 1
        })
      })
    )

    const refusals: ReadonlyArray<{ readonly _tag: string }> = [
      new RateLimiter.RateLimited({
        scope: "client",
        ratePerSecond: 1,
        burst: 1,
        remaining: 0,
        retryAfterMs: 5,
        retryHintMs: 5,
        never: false
      }),
      new CircuitBreaker.CircuitOpen({
        phase: "open",
        retryAfterMs: 5,
        failures: 3,
        calls: 3,
        cause: "3 failures in a row"
      }),
      new Bulkhead.Overloaded({
        pool: "statements",
        why: "queue-full",
        permits: 1,
        queued: 1,
        waitedMs: 0,
        retryAfterMs: 5
      }),
      new Quota.QuotaExceeded({
        quota: "requests_per_hour",
        scope: "client",
        limit: 1,
        used: 1,
        remaining: 0,
        resetAt: 5,
        retryAfterMs: 5
      }),
      new DeadlineExceeded({ limitMs: 5, sent: true, of: "attempt" })
    ]
    for (const refusal of refusals) {
      it.effect(`never tries again after ${refusal._tag}, which is a refusal of our own`, () =>
        Effect.gen(function* () {
          const retry = yield* Retry.make()
          const { at, attempt } = always(refusal)
          expect(yield* finish(retry.run(attempt, request()))).toEqual(Either.left(refusal))
          expect(at).toHaveLength(1)
          expect(yield* retry.status).toMatchObject({
            retries: 0,
            exhausted: { attempts: 0, deadline: 0, budget: 0 }
          })
        })
      )
    }

    it.effect("never retries a defect or an interruption, nor an error that came with a defect", () =>
      Effect.gen(function* () {
        const retry = yield* Retry.make()
        let attempts = 0
        const count = <A>(effect: Effect.Effect<A, WarehouseError>) =>
          retry.run(
            () =>
              Effect.suspend(() => {
                attempts++
                return effect
              }),
            request()
          )
        const died = yield* Effect.exit(count(Effect.die("a bug")))
        expect(Exit.isFailure(died) && Cause.isDie(died.cause)).toBe(true)
        const interrupted = yield* Effect.exit(count(Effect.interrupt))
        expect(Exit.isInterrupted(interrupted)).toBe(true)
        const both = Cause.sequential(Cause.fail(failure("Unreachable")), Cause.die("a finalizer failed"))
        expect(yield* Effect.exit(count(Effect.failCause(both)))).toEqual(Exit.failCause(both))
        expect(attempts).toBe(3)
      })
    )

    it.effect("fails with the last error as it is", () =>
      Effect.gen(function* () {
        const retry = yield* Retry.make()
        const errors = [failure("Unreachable"), failure("Overloaded"), failure("NotFound")]
        const { attempt } = script(errors)
        const result = yield* finish(retry.run(attempt, request()))
        expect(Either.isLeft(result) && result.left).toBe(errors[2])
      })
    )

    it.effect("counts attempts by kind of fault, and all of them together", () =>
      Effect.gen(function* () {
        const retry = yield* Retry.make({ budget: rich, maxAttempts: 4 })
        const one = failure("SessionLost")
        const other = failure("Unreachable")
        const first = script([other, one, one])
        yield* finish(retry.run(first.attempt, request()))
        expect(first.at).toHaveLength(3)
        const busy = failure("Overloaded")
        const second = script([busy, other, busy, other, busy, other])
        yield* finish(retry.run(second.attempt, request()))
        // Each kind alone would have allowed for one more.
        expect(second.at).toHaveLength(4)
        expect((yield* retry.status).exhausted.attempts).toBe(2)
      })
    )
  })

  describe("how long it waits", () => {
    it.effect("draws every pause anew between half of the exponential delay and all of it", () =>
      Effect.gen(function* () {
        const schedule = RetryPolicy.exponential({ firstMs: 100, factor: 2, capMs: 1_000 })
        expect(yield* luck(1)(draw(schedule, 6))).toEqual([100, 200, 400, 800, 1_000, 1_000])
        expect(yield* luck(0.25)(draw(schedule, 3))).toEqual([63, 125, 250])
        expect(yield* luck(0)(draw(schedule, 3))).toEqual([50, 100, 200])
      })
    )

    it.effect("stays at its cap however long it goes on", () =>
      Effect.gen(function* () {
        const schedule = RetryPolicy.exponential({ firstMs: 1_000, factor: 2, capMs: 60_000 })
        const delays = yield* luck(1)(draw(schedule, 1_500))
        expect(new Set(delays.slice(10))).toEqual(new Set([60_000]))
      })
    )

    it.effect("grows with the last pause when adaptive, and is never shorter than the first delay", () =>
      Effect.gen(function* () {
        const schedule = RetryPolicy.adaptive({ firstMs: 500, capMs: 5_000 })
        expect(yield* luck(1)(draw(schedule, 4))).toEqual([1_500, 4_500, 5_000, 5_000])
        expect(yield* luck(0)(draw(schedule, 3))).toEqual([500, 500, 500])
        const drawn = yield* Effect.withRandom(draw(schedule, 500), Random.make("adaptive"))
        expect(Math.min(...drawn.map(Number))).toBeGreaterThanOrEqual(500)
        expect(Math.max(...drawn.map(Number))).toBeLessThanOrEqual(5_000)
        // Callers that have waited long do not gather at the cap.
        expect(drawn.filter((ms) => ms === 5_000).length).toBeLessThan(5)
      })
    )

    it.effect("has the documented presets", () =>
      Effect.gen(function* () {
        const { connection, transient } = RetryPolicy.patient
        expect([transient.attempts, connection.attempts]).toEqual([5, 3])
        expect(yield* luck(1)(draw(transient.delays, 7))).toEqual([
          1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000
        ])
        expect(yield* luck(1)(draw(connection.delays, 3))).toEqual([2_000, 3_000, 4_500])
        const retry = yield* Retry.make({ policies: { metadata: RetryPolicy.patient } })
        const { at, attempt } = always(failure("Unreachable"))
        yield* luck(1)(finish(retry.run(attempt, request())))
        expect(at).toEqual([0, 2_000, 5_000])
      })
    )

    it.effect("makes fewer attempts for look-ups than for statements when the warehouse is overloaded", () =>
      Effect.gen(function* () {
        const retry = yield* Retry.make({ budget: rich })
        const lookUp = always(failure("Overloaded"))
        yield* luck(0)(finish(retry.run(lookUp.attempt, request())))
        expect(lookUp.at).toEqual([0, 500, 1_000])
        const statement = always(failure("Overloaded"))
        const start = yield* monotonicMillis
        yield* luck(0)(finish(retry.run(statement.attempt, { ...request(), class: "query" })))
        expect(statement.at.map((ms) => ms - start)).toEqual([0, 1_000, 2_000, 3_000])
      })
    )

    it.effect("never retries sooner than the warehouse asked, where jitter alone would", () =>
      Effect.gen(function* () {
        for (const value of [0, 0.5, 1]) {
          const retry = yield* Retry.make()
          const { at, attempt } = script([failure("Unreachable", { retryAfterMs: 3_000 })])
          yield* luck(value)(finish(retry.run(attempt, request())))
          expect(at[1]! - at[0]!).toBe(3_000 + 600 * value)
        }
      })
    )

    it.effect("waits for its own backoff when the warehouse asks for less", () =>
      Effect.gen(function* () {
        const retry = yield* Retry.make()
        const { at, attempt } = script([failure("Overloaded", { retryAfterMs: 10 })])
        yield* luck(0.5)(finish(retry.run(attempt, request())))
        expect(at).toEqual([0, 1_000])
      })
    )

    it.effect("does not wait at all for longer than its longest pause", () =>
      Effect.gen(function* () {
        const retry = yield* Retry.make({ maxPauseMs: 10_000 })
        const { at, attempt } = always(failure("Overloaded", { retryAfterMs: 10_001 }))
        const result = yield* Effect.either(retry.run(attempt, request()))
        expect(Either.isLeft(result)).toBe(true)
        expect(at).toEqual([0])
        expect((yield* retry.status).exhausted.deadline).toBe(1)
      })
    )

    it.effect("ends with its schedule", () =>
      Effect.gen(function* () {
        const twice = Schedule.spaced("10 millis").pipe(Schedule.intersect(Schedule.recurs(2)))
        const retry = yield* Retry.make({
          policies: { metadata: { connection: { attempts: 50, delays: twice } } }
        })
        const { at, attempt } = always(failure("Unreachable"))
        yield* finish(retry.run(attempt, request()))
        expect(at).toEqual([0, 10, 20])
      })
    )
  })

  describe("the deadline", () => {
    const doubling = Schedule.exponential("1 second")
    const patience = (attempts: number): Retry.Options => ({
      policies: { metadata: { connection: { attempts, delays: doubling } } },
      maxAttempts: 50,
      budget: rich
    })

    it.effect("is kept where `Schedule.upTo` checks before the pause and wakes up too late", () =>
      Effect.gen(function* () {
        const naive = always(failure("Unreachable"))
        yield* finish(Effect.retry(naive.attempt(1), doubling.pipe(Schedule.upTo("20 seconds"))))
        expect(naive.at.at(-1)).toBe(31_000)

        const retry = yield* Retry.make(patience(50))
        const start = yield* monotonicMillis
        const { at, attempt } = always(failure("Unreachable"))
        let endedAt = 0
        yield* finish(
          Effect.onExit(retry.run(attempt, request(start + 20_000)), () =>
            Effect.map(monotonicMillis, (now) => (endedAt = now))
          )
        )
        expect(at.map((ms) => ms - start)).toEqual([0, 1_000, 3_000, 7_000, 15_000])
        // The next pause would end at 31 s: the call fails now and not then.
        expect(endedAt - start).toBe(15_000)
        expect((yield* retry.status).exhausted).toEqual({ attempts: 0, deadline: 1, budget: 0 })
      })
    )

    it.effect(
      "refuses a pause that ends at the deadline, and admits one that ends a millisecond before",
      () =>
        Effect.gen(function* () {
          const attemptsBy = (deadline: number) =>
            Effect.gen(function* () {
              const retry = yield* Retry.make(patience(2))
              const start = yield* monotonicMillis
              const { at, attempt } = always(failure("Unreachable"))
              const call = Effect.exit(retry.run(attempt, request(start + deadline)))
              const ended = Effect.map(Effect.zipRight(call, monotonicMillis), (now) => now - start)
              return [at, yield* finish(ended)] as const
            })
          const [atOnce, refused] = yield* attemptsBy(1_000)
          expect([atOnce.length, refused]).toEqual([1, Either.right(0)])
          const [twice, waited] = yield* attemptsBy(1_001)
          expect([twice.length, waited]).toEqual([2, Either.right(1_000)])
        })
    )

    it.effect("includes the pause that the warehouse asked for and the usual duration of an attempt", () =>
      Effect.gen(function* () {
        const retry = yield* Retry.make()
        const asked = script([failure("Unreachable", { retryAfterMs: 3_000 })])
        yield* Effect.either(retry.run(asked.attempt, request(2_999)))
        expect(asked.at).toHaveLength(1)
        const slow = script([failure("Unreachable")])
        yield* Effect.either(retry.run(slow.attempt, { ...request(2_000), expectedMs: 2_000 }))
        expect(slow.at).toHaveLength(1)
        expect(yield* retry.status).toMatchObject({ budget: 10.4, retries: 0, exhausted: { deadline: 2 } })
      })
    )

    it.effect("is checked again after a pause that took too long", () =>
      Effect.gen(function* () {
        const clock = yield* Effect.clock
        const late: Clock.Clock = Object.assign(Object.create(clock) as Clock.Clock, {
          sleep: (duration: Duration.Duration) => clock.sleep(Duration.sum(duration, Duration.seconds(5)))
        })
        const retry = yield* Retry.make({ ...patience(5), budget: { ratio: 0, floorPerSecond: 0 } })
        const { at, attempt } = always(failure("Unreachable"))
        yield* finish(Effect.withClock(retry.run(attempt, request(3_000)), late))
        expect(at).toEqual([0])
        expect(yield* retry.status).toMatchObject({ retries: 0, budget: 10, exhausted: { deadline: 1 } })
      })
    )
  })

  describe("the budget", () => {
    it.effect("limits the retries of a storm of failing calls to a fifth of their number", () =>
      Effect.gen(function* () {
        const callers = 300
        const storm = (
          run: (attempt: Effect.Effect<never, WarehouseError>) => Effect.Effect<unknown, unknown>
        ) =>
          Effect.gen(function* () {
            let attempts = 0
            const attempt = Effect.suspend(() => {
              attempts++
              return Effect.fail(failure("Unreachable"))
            })
            yield* finish(
              Effect.all(
                Array.from({ length: callers }, () => Effect.either(run(attempt))),
                { concurrency: "unbounded", discard: true }
              ),
              // Pauses of 0.2 and 0.4 s at most, and five times that while all calls are pushed back.
              "4 seconds"
            )
            return attempts
          })
        expect(yield* storm(Effect.retry({ times: 2 }))).toBe(3 * callers)

        const retry = yield* Retry.make({ budget: { initial: 0 } })
        const attempts = yield* storm((attempt) => retry.run(() => attempt, request()))
        // In four seconds the floor adds four at most.
        expect(attempts).toBeLessThanOrEqual(callers * 1.2 + 4)
        expect(attempts).toBeGreaterThan(callers)
        const { budget, exhausted, retries } = yield* retry.status
        expect(retries).toBe(attempts - callers)
        expect(exhausted.budget).toBeGreaterThan(callers / 2)
        expect(budget).toBeLessThan(5)
      })
    )

    it.effect("is not spent on logins that an identity provider fails, whosever they are", () =>
      Effect.gen(function* () {
        const retry = yield* Retry.make({ budget: { ratio: 0, floorPerSecond: 0 } })
        const before = (yield* retry.status).budget
        const { attempt } = always(failure("LoginUnavailable"))
        const calls = yield* Effect.fork(
          Effect.all(
            Array.from({ length: 50 }, () => Effect.exit(retry.run(attempt, request()))),
            {
              concurrency: "unbounded"
            }
          )
        )
        yield* TestClock.adjust("1 hour")
        yield* Fiber.join(calls)
        const { backoffFactor, budget, exhausted, retries } = yield* retry.status
        expect(retries).toBeGreaterThan(50)
        expect([budget, exhausted.budget, backoffFactor]).toEqual([before, 0, 1])
      })
    )

    it.effect("is not spent on a bound of one caller's own, which stretches no pause of others", () =>
      Effect.gen(function* () {
        const retry = yield* Retry.make({ budget: { ratio: 0, floorPerSecond: 0 } })
        const before = (yield* retry.status).budget
        const run = (error: WarehouseError) =>
          Effect.gen(function* () {
            const { attempt } = always(error)
            const calls = yield* Effect.fork(
              Effect.all(
                Array.from({ length: 20 }, () => Effect.exit(retry.run(attempt, request()))),
                { concurrency: "unbounded" }
              )
            )
            yield* TestClock.adjust("1 minute")
            yield* Fiber.join(calls)
            return yield* retry.status
          })
        const own = yield* run(Turns.busy("The caller's own sessions are busy", 100, true))
        expect(own.retries).toBeGreaterThan(20)
        expect([own.budget, own.exhausted.budget, own.backoffFactor]).toEqual([before, 0, 1])
        expect((yield* run(Turns.busy("All sessions are busy", 100))).budget).toBeLessThan(before)
      })
    )

    it.effect("charges a retry twice when the first attempt may still be running", () =>
      Effect.gen(function* () {
        const retry = yield* Retry.make({ budget: { ratio: 0, floorPerSecond: 0 } })
        const answered = script([failure("Unreachable", { sent: "no" })])
        yield* finish(retry.run(answered.attempt, request()))
        expect((yield* retry.status).budget).toBe(9)
        const silent = script([failure("Unreachable", { sent: "unknown" })])
        yield* finish(retry.run(silent.attempt, request()))
        expect((yield* retry.status).budget).toBe(7)
      })
    )

    it.effect("ends the call with its own error at once when it is empty", () =>
      Effect.gen(function* () {
        const retry = yield* Retry.make({ budget: { initial: 0 } })
        const error = failure("Unreachable")
        const { at, attempt } = always(error)
        // No time passes.
        expect(yield* Effect.either(retry.run(attempt, request()))).toEqual(Either.left(error))
        expect(at).toHaveLength(1)
        expect(yield* retry.status).toMatchObject({ budget: 0.2, exhausted: { budget: 1 } })
      })
    )

    it.effect("gets its token back from a pause that is interrupted, which ends at once", () =>
      Effect.gen(function* () {
        const retry = yield* Retry.make({ budget: { ratio: 0, floorPerSecond: 0 } })
        const { at, attempt } = always(failure("Unreachable", { retryAfterMs: 3_000, sent: "unknown" }))
        const fiber = yield* Effect.fork(retry.run(attempt, request()))
        yield* TestClock.adjust("1 second")
        expect((yield* retry.status).budget).toBe(8)
        const exit = yield* Fiber.interrupt(fiber)
        expect(Exit.isInterrupted(exit)).toBe(true)
        expect(yield* monotonicMillis).toBe(1_000)
        yield* TestClock.adjust("10 minutes")
        expect(at).toHaveLength(1)
        expect(Chunk.isEmpty(yield* TestClock.sleeps())).toBe(true)
        expect(yield* retry.status).toMatchObject({ budget: 10, retries: 0 })
      })
    )
  })

  it.effect("fails at once when the warehouse asks for a longer pause than `maxAskedMs`", () =>
    Effect.gen(function* () {
      const retry = yield* Retry.make()
      const { at, attempt } = always(failure("Overloaded", { retryAfterMs: 7_000 }))
      const error = yield* Effect.flip(retry.run(attempt, request()))
      expect(error).toMatchObject({ reason: "Overloaded", retryAfterMs: 7_000 })
      expect([at.length, yield* monotonicMillis]).toEqual([1, 0])
      expect((yield* retry.status).exhausted).toMatchObject({ deadline: 1, attempts: 0 })
      const patient = yield* Retry.make({ maxAskedMs: 7_000 })
      const later = script([failure("Overloaded", { retryAfterMs: 7_000 })])
      yield* finish(patient.run(later.attempt, request()))
      expect((yield* patient.status).recovered).toBe(1)
    })
  )

  it.effect("draws from no schedule and takes no token while calls succeed at once", () =>
    Effect.gen(function* () {
      let steps = 0
      const counting = Schedule.mapEffect(Schedule.spaced("1 second"), () => Effect.sync(() => steps++))
      const policy = { attempts: 3, delays: counting }
      const retry = yield* Retry.make({
        policies: { metadata: { connection: policy } },
        budget: { ratio: 0 }
      })
      const fine = script([])
      for (let i = 0; i < 10; i++) yield* retry.run(fine.attempt, request())
      expect([steps, (yield* retry.status).budget]).toEqual([0, 10])
      yield* finish(retry.run(script([failure("Unreachable")]).attempt, request()))
      expect(steps).toBe(1)
    })
  )

  it.effect("runs an effect anew each time it is run", () =>
    Effect.gen(function* () {
      const retry: Service = yield* Retry.make({ budget: rich })
      const { at, attempt } = always(failure("Unreachable"))
      const call = retry.run(attempt, request())
      yield* finish(call)
      yield* finish(call)
      expect(at).toHaveLength(6)
    })
  )

  it.effect("names every problem of its options", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Retry.make({
          maxAttempts: 0,
          maxPauseMs: Number.NaN,
          budget: { ratio: -1 },
          policies: { query: { once: { ...RetryPolicy.patient.once, attempts: 1.5 } } }
        })
      )
      expect(error.problems).toHaveLength(4)
    })
  )

  it.effect("has a layer that never retries", () =>
    Effect.gen(function* () {
      const retry = yield* Retry.Retry
      const { at, attempt } = always(failure("Unreachable"))
      expect(Either.isLeft(yield* Effect.either(retry.run(attempt, request())))).toBe(true)
      expect(at).toHaveLength(1)
    }).pipe(Effect.provide(Retry.layerNoop))
  )

  describe("adaptive backoff", () => {
    const policy = {
      attempts: 5,
      delays: Schedule.spaced("1 second")
    }
    const make = Retry.make({ policies: { metadata: { overload: policy, once: policy } } })
    const pauseOf = (retry: Service, error: WarehouseError) =>
      Effect.gen(function* () {
        const { at, attempt } = script([error])
        yield* finish(retry.run(attempt, request()), "30 seconds")
        return Math.round((at[1] ?? 0) - (at[0] ?? 0))
      })

    it.effect("one call that meets an overload waits as its schedule says", () =>
      Effect.gen(function* () {
        expect(yield* pauseOf(yield* make, failure("Overloaded"))).toBe(1_000)
      })
    )

    it.effect("pauses grow with the calls that meet an overload, and shrink with successes", () =>
      Effect.gen(function* () {
        const retry = yield* make
        for (let n = 0; n < 3; n++)
          yield* Effect.fork(retry.run(always(failure("Overloaded")).attempt, request()))
        yield* Effect.yieldNow()
        expect((yield* retry.status).backoffFactor).toBe(3)
        for (let n = 0; n < 4; n++) yield* retry.run(() => Effect.void, request())
        expect((yield* retry.status).backoffFactor).toBe(1)
        expect(yield* pauseOf(retry, failure("Overloaded"))).toBeLessThan(1_200)
      })
    )

    it.effect("pauses are stretched for those that come next", () =>
      Effect.gen(function* () {
        const retry = yield* make
        for (let n = 0; n < 3; n++)
          yield* Effect.fork(retry.run(always(failure("Overloaded")).attempt, request()))
        yield* Effect.yieldNow()
        expect(yield* pauseOf(retry, failure("Overloaded"))).toBe(4_000)
      })
    )

    it.effect("a stretched pause leaves half of the time to the retry, and one by the schedule is kept", () =>
      Effect.gen(function* () {
        const retry = yield* make
        for (let n = 0; n < 4; n++)
          yield* Effect.fork(retry.run(always(failure("Overloaded")).attempt, request()))
        yield* Effect.yieldNow()
        const pauses: Array<number> = []
        for (const ms of [6_000, 1_500]) {
          const { at, attempt } = script([failure("Overloaded")])
          const start = yield* monotonicMillis
          yield* Effect.fork(retry.run(attempt, request(start + ms)))
          yield* TestClock.adjust("3 seconds")
          pauses.push(Math.round((at[1] ?? 0) - (at[0] ?? 0)))
        }
        expect(pauses).toEqual([3_000, 1_000])
      })
    )

    it.effect("with a factor of one at most the backoff is fixed", () =>
      Effect.gen(function* () {
        const retry = yield* Retry.make({
          policies: { metadata: { overload: policy, once: policy } },
          maxBackoffFactor: 1
        })
        for (let n = 0; n < 4; n++)
          yield* Effect.fork(retry.run(always(failure("Overloaded")).attempt, request()))
        yield* Effect.yieldNow()
        expect(yield* pauseOf(retry, failure("Overloaded"))).toBe(1_000)
      })
    )

    it.effect("a lost session says nothing about the warehouse", () =>
      Effect.gen(function* () {
        const retry = yield* make
        for (let n = 0; n < 5; n++)
          yield* Effect.fork(retry.run(always(failure("SessionLost")).attempt, request()))
        yield* Effect.yieldNow()
        expect((yield* retry.status).backoffFactor).toBe(1)
      })
    )
  })
})
