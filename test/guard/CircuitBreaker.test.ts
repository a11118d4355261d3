import { describe, expect, it } from "@effect/vitest"
import {
  Cause,
  Chunk,
  Clock,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  HashMap,
  Layer,
  Logger,
  LogLevel,
  Random,
  Schedule,
  Scope,
  Stream,
  TestClock
} from "effect"
import * as CircuitBreaker from "../../src/guard/CircuitBreaker.js"
import * as Live from "../../src/platform/Live.js"
import * as Principal from "../../src/platform/Principal.js"

const tenSeconds = Schedule.spaced("10 seconds")
const quiet = Logger.remove(Logger.defaultLogger)
const layer = (options: CircuitBreaker.Options = {}) =>
  Layer.merge(CircuitBreaker.layer({ openTimes: tenSeconds, ...options }), quiet)

const failing = Effect.fail("boom" as const)
const trip = Effect.flatMap(CircuitBreaker.CircuitBreaker, (breaker) =>
  Effect.repeatN(Effect.ignore(CircuitBreaker.protect(breaker, failing)), 2)
)

describe("options that change", () => {
  it.scoped("give the next probe the time that an attempt may take by then", () =>
    Effect.gen(function* () {
      const { live, set } = Live.make<CircuitBreaker.Options>({ openTimes: tenSeconds, probeLeaseMs: 1_000 })
      const breaker = yield* CircuitBreaker.make(live)
      for (let i = 0; i < 3; i++) yield* Effect.ignore(CircuitBreaker.protect(breaker, failing))
      const phase = Effect.map(breaker.status, (status) => status.phase)
      yield* TestClock.adjust("10 seconds")
      yield* breaker.acquire
      yield* set({ openTimes: tenSeconds, probeLeaseMs: 60_000 })
      yield* TestClock.adjust("999 millis")
      expect(yield* phase).toBe("half-open")
      // What has begun ends as it began.
      yield* TestClock.adjust("1 millis")
      expect(yield* phase).toBe("open")
      yield* TestClock.adjust("10 seconds")
      const permit = yield* breaker.acquire
      yield* TestClock.adjust("59999 millis")
      expect(yield* phase).toBe("half-open")
      yield* breaker.settle(permit, "success")
      yield* breaker.settle(yield* breaker.acquire, "success")
      expect(yield* phase).toBe("closed")
    }).pipe(Effect.provide(quiet))
  )
})

describe("work of the server's own for a client", () => {
  const opens = (onBehalfOf: string | undefined) =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      const as = (principal: Principal.Principal) =>
        Effect.provideService(breaker.acquire, Principal.CurrentPrincipal, principal)
      yield* breaker.settle(yield* as({ client: "server", tier: "default", onBehalfOf }), "success")
      for (const statement of ["a", "b", "c"]) {
        const permit = yield* as(Principal.make("ann"))
        yield* breaker.settle(permit, "failure", { call: statement, silent: false, statement })
      }
      return (yield* breaker.status).phase
    }).pipe(Effect.provide(layer()))

  it.effect("is no other client's word: one client that calls alone opens the circuit", () =>
    Effect.gen(function* () {
      expect(yield* opens("ann")).toBe("open")
      expect(yield* opens(undefined)).toBe("closed")
    })
  )
})

describe("protect", () => {
  it.effect("opens after three failures and rejects at once, without running anything", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      for (let i = 0; i < 3; i++) {
        expect(yield* Effect.flip(CircuitBreaker.protect(breaker, failing))).toBe("boom")
      }
      let ran = false
      const error = yield* Effect.flip(
        CircuitBreaker.protect(
          breaker,
          Effect.sync(() => {
            ran = true
          })
        )
      )
      expect(error).toMatchObject({
        _tag: "CircuitOpen",
        phase: "open",
        retryAfterMs: 10_000,
        failures: 3,
        calls: 3,
        cause: "3 consecutive failures"
      })
      expect(error.message).toBe("circuit open: 3 consecutive failures")
      expect(ran).toBe(false)
    }).pipe(Effect.provide(layer()))
  )

  it.effect("admits a probe after exactly the named time, and closes after two successes", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      yield* trip
      yield* TestClock.adjust(Duration.millis(9_999))
      expect(yield* Effect.flip(CircuitBreaker.protect(breaker, Effect.void))).toMatchObject({
        retryAfterMs: 1
      })
      yield* TestClock.adjust(Duration.millis(1))
      yield* CircuitBreaker.protect(breaker, Effect.void)
      expect(yield* breaker.status).toMatchObject({ phase: "half-open" })
      yield* CircuitBreaker.protect(breaker, Effect.void)
      expect(yield* breaker.status).toMatchObject({ phase: "closed", calls: 0 })
    }).pipe(Effect.provide(layer()))
  )

  it.effect("counts typed failures, and neither interruptions nor defects nor what the verdict ignores", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      yield* Effect.exit(CircuitBreaker.protect(breaker, Effect.interrupt))
      expect((yield* breaker.status).calls).toBe(0)
      yield* Effect.ignore(CircuitBreaker.protect(breaker, failing, { verdict: () => "alive" }))
      expect(yield* breaker.status).toMatchObject({ calls: 1, failures: 0 })
      yield* Effect.ignore(CircuitBreaker.protect(breaker, failing, { verdict: () => "ignored" }))
      expect((yield* breaker.status).calls).toBe(1)
      yield* Effect.ignore(CircuitBreaker.protect(breaker, failing))
      yield* Effect.exit(CircuitBreaker.protect(breaker, Effect.dieMessage("bug")))
      expect(yield* breaker.status).toMatchObject({ phase: "closed", failures: 1 })
    }).pipe(Effect.provide(layer()))
  )

  it.effect("returns the effect's own result, whatever the verdict", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      expect(yield* CircuitBreaker.protect(breaker, Effect.succeed(42), { verdict: () => "failure" })).toBe(
        42
      )
      expect(yield* Effect.flip(CircuitBreaker.protect(breaker, failing, { verdict: () => "success" }))).toBe(
        "boom"
      )
    }).pipe(Effect.provide(layer()))
  )

  it.effect("measures how long a call took", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      const fiber = yield* Effect.fork(CircuitBreaker.protect(breaker, Effect.sleep("5 seconds")))
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(fiber)
      expect(yield* breaker.status).toMatchObject({ phase: "open", slow: 1 })
    }).pipe(Effect.provide(layer({ slowCallMs: 5000, slowCallRate: 1, minimumCalls: 1 })))
  )
})

describe("a probe", () => {
  const halfOpen = Effect.zipRight(trip, TestClock.adjust("10 seconds"))

  it.effect("that is cancelled gives its slot back and neither opens nor closes the circuit", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      yield* halfOpen
      const fiber = yield* Effect.fork(CircuitBreaker.protect(breaker, Effect.never))
      yield* Effect.yieldNow()
      expect(yield* Effect.flip(breaker.acquire)).toMatchObject({ phase: "half-open", retryAfterMs: 1_000 })
      yield* Fiber.interrupt(fiber)
      expect(yield* breaker.status).toMatchObject({ phase: "half-open", retryAfterMs: 0 })
      yield* CircuitBreaker.protect(breaker, Effect.void)
    }).pipe(Effect.provide(layer({ probes: 1 })))
  )

  it.effect("that dies gives its slot back: a defect says nothing about the callee", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      yield* halfOpen
      yield* Effect.exit(CircuitBreaker.protect(breaker, Effect.dieMessage("bug")))
      expect(yield* breaker.status).toMatchObject({ phase: "half-open", trips: 1, retryAfterMs: 0 })
    }).pipe(Effect.provide(layer({ probes: 1 })))
  )

  it.effect("whose verdict throws gives its slot back", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      yield* halfOpen
      const exit = yield* Effect.exit(
        CircuitBreaker.protect(breaker, Effect.void, {
          verdict: () => {
            throw new Error("verdict")
          }
        })
      )
      expect(Exit.isFailure(exit) && Cause.isDie(exit.cause)).toBe(true)
      expect(yield* breaker.status).toMatchObject({ phase: "half-open", retryAfterMs: 0 })
    }).pipe(Effect.provide(layer({ probes: 1 })))
  )

  it.effect("that never ends counts as failed when its lease is over", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      yield* halfOpen
      yield* Effect.fork(CircuitBreaker.protect(breaker, Effect.never))
      yield* TestClock.adjust("60 seconds")
      expect(yield* breaker.status).toMatchObject({ phase: "open", retryAfterMs: 10_000 })
      yield* TestClock.adjust("10 seconds")
      yield* CircuitBreaker.protect(breaker, Effect.void)
      expect(yield* breaker.status).toMatchObject({ phase: "half-open" })
    }).pipe(Effect.provide(layer({ probes: 1 })))
  )

  it.effect("is one of two at most, however many calls arrive at once", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      yield* halfOpen
      const gate = yield* Deferred.make<void>()
      let running = 0
      const call = CircuitBreaker.protect(
        breaker,
        Effect.zipRight(
          Effect.sync(() => {
            running += 1
          }),
          Deferred.await(gate)
        )
      )
      const fibers = yield* Effect.forEach(Array.from({ length: 50 }), () => Effect.fork(Effect.exit(call)))
      yield* Effect.repeatN(Effect.yieldNow(), 5)
      expect(running).toBe(2)
      yield* Deferred.succeed(gate, undefined)
      const exits = yield* Effect.forEach(fibers, Fiber.join)
      expect(exits.filter(Exit.isSuccess).length).toBe(2)
      expect((yield* breaker.status).phase).toBe("closed")
    }).pipe(Effect.provide(layer()))
  )
})

describe("a call of an older generation", () => {
  it.effect("neither reopens the circuit by failing late nor closes it by succeeding late", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      const lateFailure = yield* breaker.acquire
      const lateSuccess = yield* breaker.acquire
      yield* trip
      yield* TestClock.adjust("10 seconds")
      yield* CircuitBreaker.protect(breaker, Effect.void)
      const before = yield* breaker.status
      yield* breaker.settle(lateFailure, "failure")
      yield* breaker.settle(lateSuccess, "success")
      expect(yield* breaker.status).toEqual({ ...before, stale: 2 })
      yield* CircuitBreaker.protect(breaker, Effect.void)
      yield* Effect.repeatN(breaker.settle(lateFailure, "failure"), 9)
      expect(yield* breaker.status).toMatchObject({ phase: "closed", calls: 0, stale: 12 })
    }).pipe(Effect.provide(layer()))
  )
})

describe("the window", () => {
  it.effect("is empty after an idle hour: one failure is one failure", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      for (let i = 0; i < 3; i++) {
        yield* Effect.ignore(CircuitBreaker.protect(breaker, failing))
        yield* Effect.ignore(CircuitBreaker.protect(breaker, failing))
        yield* TestClock.adjust("1 hour")
      }
      expect(yield* breaker.status).toMatchObject({ phase: "closed", calls: 0, consecutiveFailures: 0 })
    }).pipe(Effect.provide(layer()))
  )

  it.effect("still holds three failures that each took a minute to time out", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      for (let i = 0; i < 3; i++) {
        const fiber = yield* Effect.fork(CircuitBreaker.protect(breaker, Effect.delay(failing, "60 seconds")))
        yield* TestClock.adjust("60 seconds")
        yield* Fiber.await(fiber)
      }
      expect((yield* breaker.status).phase).toBe("open")
    }).pipe(Effect.provide(layer()))
  )
})

describe("open times", () => {
  const openTimes = (trips: number) =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      const times: Array<number> = []
      yield* trip
      for (let i = 0; i < trips; i++) {
        const { retryAfterMs } = yield* breaker.status
        times.push(retryAfterMs)
        yield* TestClock.adjust(Duration.millis(retryAfterMs))
        yield* Effect.ignore(CircuitBreaker.protect(breaker, failing))
      }
      return times
    })
  const defaults = Layer.merge(CircuitBreaker.layer(), quiet)
  const seeded = (seed: string) =>
    openTimes(8).pipe(Effect.provide(defaults), Effect.withRandom(Random.make(seed)))

  it.effect("start at about 30 s, double, never pass 300 s, and have fresh jitter even there", () =>
    Effect.gen(function* () {
      const times = yield* seeded("one")
      const bases = [30, 60, 120, 240, 250, 250, 250, 250].map((seconds) => seconds * 1000)
      times.forEach((time, i) => {
        expect(time).toBeGreaterThanOrEqual(bases[i]! * 0.8)
        expect(time).toBeLessThanOrEqual(Math.min(bases[i]! * 1.2, 300_000))
      })
      expect(new Set(times.slice(4)).size).toBe(4)
    })
  )

  it.effect("draw their jitter from the Random service", () =>
    Effect.gen(function* () {
      const one = yield* seeded("one")
      expect(yield* seeded("one")).toEqual(one)
      expect(yield* seeded("two")).not.toEqual(one)
    })
  )

  it.effect("are drawn anew for every trip, the first one included", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      const times = new Set<number>()
      for (let i = 0; i < 5; i++) {
        yield* trip
        times.add((yield* breaker.status).retryAfterMs)
        yield* breaker.reset
      }
      expect(times.size).toBe(5)
    }).pipe(Effect.provide(defaults), Effect.withRandom(Random.make("seed")))
  )

  it.effect("repeat the last delay of a schedule that ends", () =>
    openTimes(4).pipe(
      Effect.tap((times) => expect(times).toEqual([1000, 2000, 2000, 2000])),
      Effect.provide(
        layer({
          openTimes: Schedule.exponential("1 second").pipe(Schedule.intersect(Schedule.recurs(2)))
        })
      )
    )
  )

  it.effect("start over after the circuit has stayed closed for twice the last one", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      const recover = Effect.repeatN(CircuitBreaker.protect(breaker, Effect.void), 1)
      const cycle = (idle: Duration.DurationInput) =>
        Effect.gen(function* () {
          yield* trip
          const { retryAfterMs } = yield* breaker.status
          yield* TestClock.adjust(Duration.millis(retryAfterMs))
          yield* recover
          yield* TestClock.adjust(idle)
          return retryAfterMs
        })
      expect(yield* cycle("1999 millis")).toBe(1000)
      expect(yield* cycle("4 seconds")).toBe(2000)
      expect(yield* cycle(0)).toBe(1000)
    }).pipe(Effect.provide(layer({ openTimes: Schedule.exponential("1 second") })))
  )

  it.effect("must not be empty", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Effect.scoped(CircuitBreaker.make({ openTimes: Schedule.stop })))
      expect(Exit.isFailure(exit) && Cause.isDie(exit.cause)).toBe(true)
    })
  )
})

describe("options", () => {
  it.effect.each([{ probes: 0 }, { windowMs: -1 }, { failureRate: Number.NaN }, { windowCalls: 9 }])(
    "%j is refused",
    (options) =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(Effect.scoped(CircuitBreaker.make(options)))
        expect(Exit.isFailure(exit) && Cause.isDie(exit.cause)).toBe(true)
      })
  )
})

describe("operators", () => {
  it.effect("hold it open until the last scope closes", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      const one = yield* Scope.make()
      const two = yield* Scope.make()
      yield* Scope.extend(breaker.forceOpen("maintenance"), one)
      yield* Scope.extend(breaker.forceOpen("budget"), two)
      const error = yield* Effect.flip(breaker.peek)
      expect(error).toMatchObject({ phase: "forced-open", cause: "maintenance; budget" })
      expect(error.retryAfterMs).toBeUndefined()
      yield* Scope.close(one, Exit.void)
      yield* breaker.reset
      yield* TestClock.adjust("1 day")
      expect((yield* Effect.flip(breaker.acquire)).cause).toBe("budget")
      yield* Scope.close(two, Exit.void)
      yield* CircuitBreaker.protect(breaker, Effect.void)
    }).pipe(Effect.provide(layer()))
  )

  it.effect("switch it off and on again", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      yield* trip
      yield* breaker.disable
      yield* trip
      yield* trip
      expect((yield* breaker.status).phase).toBe("disabled")
      yield* breaker.reset
      expect(yield* breaker.status).toMatchObject({ phase: "closed", trips: 0, calls: 0 })
    }).pipe(Effect.provide(layer()))
  )
})

describe("peek", () => {
  it.effect("answers as acquire would and takes nothing", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      yield* breaker.peek
      yield* trip
      expect(yield* Effect.flip(breaker.peek)).toEqual(yield* Effect.flip(breaker.acquire))
      yield* TestClock.adjust("10 seconds")
      yield* Effect.repeatN(breaker.peek, 9)
      expect((yield* breaker.status).phase).toBe("open")
      yield* breaker.acquire
      expect((yield* Effect.flip(breaker.peek)).phase).toBe("half-open")
    }).pipe(Effect.provide(layer({ probes: 1 })))
  )
})

describe("transitions", () => {
  it.effect("are published in order, with their cause", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      const fiber = yield* Effect.fork(Stream.runCollect(Stream.take(breaker.transitions, 3)))
      yield* Effect.repeatN(Effect.yieldNow(), 5)
      yield* trip
      yield* TestClock.adjust("10 seconds")
      yield* Effect.repeatN(CircuitBreaker.protect(breaker, Effect.void), 1)
      expect(Chunk.toArray(yield* Fiber.join(fiber))).toEqual([
        { from: "closed", to: "open", generation: 1, cause: "3 consecutive failures", openMs: 10_000 },
        { from: "open", to: "half-open", generation: 2, cause: "the open time is over", openMs: undefined },
        { from: "half-open", to: "closed", generation: 3, cause: "2 probes succeeded", openMs: undefined }
      ])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("end with the layer", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const breaker = yield* Scope.extend(CircuitBreaker.make(), scope)
      const fiber = yield* Effect.fork(Stream.runDrain(breaker.transitions))
      yield* Effect.repeatN(Effect.yieldNow(), 5)
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.await(fiber)
    })
  )

  it.effect("are logged without a name when the breaker has none", () => {
    const lines: Array<readonly [unknown, boolean]> = []
    const logger = Logger.make(({ annotations, message }) => {
      lines.push([message, HashMap.has(annotations, "circuit")])
    })
    return Effect.gen(function* () {
      yield* trip
      expect(lines).toEqual([[["circuit open: 3 consecutive failures"], false]])
    }).pipe(
      Effect.provide(CircuitBreaker.layer({ openTimes: tenSeconds })),
      Effect.provide(Logger.replace(Logger.defaultLogger, logger))
    )
  })

  it.effect("are logged in one line each: a warning when it opens, else info", () => {
    const lines: Array<readonly [string, unknown, unknown]> = []
    const logger = Logger.make(({ annotations, logLevel, message }) => {
      lines.push([logLevel._tag, message, Object.fromEntries(HashMap.toEntries(annotations))])
    })
    return Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      yield* trip
      yield* TestClock.adjust("10 seconds")
      yield* Effect.repeatN(CircuitBreaker.protect(breaker, Effect.void), 1)
      expect(lines.map(([level, message]) => [level, message])).toEqual([
        ["Warning", ["prod circuit open: 3 consecutive failures"]],
        ["Info", ["prod circuit half-open: the open time is over"]],
        ["Info", ["prod circuit closed: 2 probes succeeded"]]
      ])
      expect(lines[0]?.[2]).toEqual({
        circuit: "prod",
        from: "closed",
        to: "open",
        generation: 1,
        openMs: 10_000
      })
    }).pipe(
      Effect.provide(CircuitBreaker.layer({ name: "prod", openTimes: tenSeconds })),
      Effect.provide(
        Layer.merge(Logger.replace(Logger.defaultLogger, logger), Logger.minimumLogLevel(LogLevel.All))
      )
    )
  })

  it.scoped("of a connection are two lines for each outage, however long it is probed", () => {
    const lines: Array<readonly [string, unknown]> = []
    const logger = Logger.make(({ logLevel, message }) => {
      if (LogLevel.greaterThanEqual(logLevel, LogLevel.Info)) lines.push([logLevel._tag, message])
    })
    return Effect.gen(function* () {
      const { protect } = yield* CircuitBreaker.forConnection("redis")
      for (let outage = 0; outage < 2; outage++) {
        const call = Effect.exit(protect(Effect.fail("down")))
        yield* Effect.repeatN(Effect.zipRight(TestClock.adjust("1 second"), call), 60)
        yield* TestClock.adjust("2 seconds")
        yield* protect(Effect.void)
      }
      const outage = [
        ["Warning", ["redis circuit open: 3 consecutive failures"]],
        ["Info", ["redis circuit closed: 1 probe succeeded"]]
      ]
      expect(lines).toEqual([...outage, ...outage])
    }).pipe(
      Effect.provide(
        Layer.merge(Logger.replace(Logger.defaultLogger, logger), Logger.minimumLogLevel(LogLevel.All))
      )
    )
  })
})

describe("a refusal", () => {
  it.effect("carries no stack trace", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      yield* trip
      const error = yield* Effect.flip(breaker.acquire)
      expect(error.stack ?? "").not.toContain("    at ")
    }).pipe(Effect.provide(layer()))
  )
})

describe("layerNoop", () => {
  it.effect("admits everything and never opens", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      yield* Effect.repeatN(Effect.ignore(CircuitBreaker.protect(breaker, failing)), 20)
      yield* breaker.peek
      yield* breaker.settle(yield* breaker.acquire, "failure")
      expect((yield* breaker.status).phase).toBe("closed")
    }).pipe(Effect.provide(CircuitBreaker.layerNoop))
  )
})

describe("an interruption at any point", () => {
  /** Time by hand: an adjustment of the TestClock for each of a thousand cases would take ten seconds. */
  const manual = (time: { now: number }): Clock.Clock => ({
    ...Clock.make(),
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => time.now,
    unsafeCurrentTimeNanos: () => BigInt(time.now) * 1_000_000n,
    currentTimeMillis: Effect.sync(() => time.now),
    currentTimeNanos: Effect.sync(() => BigInt(time.now) * 1_000_000n),
    sleep: () => Effect.never
  })
  const steps = Effect.repeatN(Effect.yieldNow(), 4)
  const works = {
    "that never ends": Effect.zipRight(steps, Effect.never),
    "that succeeds": steps
  }

  for (const [name, work] of Object.entries(works)) {
    it.effect(`of a probe ${name} leaks no slot`, () => {
      const time = { now: 0 }
      return Effect.gen(function* () {
        let interrupted = 0
        for (let budget = 14; budget <= 64; budget++) {
          for (let turn = 0; turn <= 20; turn++) {
            yield* Effect.gen(function* () {
              const breaker = yield* CircuitBreaker.make({
                openTimes: Schedule.intersect(tenSeconds, Schedule.recurs(1)),
                probes: 1,
                probeSuccesses: 99
              })
              yield* Effect.repeatN(Effect.ignore(CircuitBreaker.protect(breaker, failing)), 2)
              time.now += 10_000
              const fiber = yield* Effect.fork(
                CircuitBreaker.protect(breaker, work).pipe(Effect.withMaxOpsBeforeYield(budget))
              )
              for (let i = 0; i < turn; i++) yield* Effect.yieldNow()
              const exit = yield* Fiber.interrupt(fiber)
              if (Exit.isInterrupted(exit)) interrupted += 1
              const status = yield* breaker.status
              expect([budget, turn, status.retryAfterMs]).toEqual([budget, turn, 0])
              yield* breaker.settle(yield* breaker.acquire, "ignored")
            }).pipe(Effect.scoped)
          }
        }
        expect(interrupted).toBeGreaterThan(100)
      }).pipe(Effect.withClock(manual(time)), Effect.provide(quiet))
    })
  }
})
