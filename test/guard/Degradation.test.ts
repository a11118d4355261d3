import { describe, expect, it } from "@effect/vitest"
import {
  Chunk,
  Clock,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Option,
  Random,
  Ref,
  Scope,
  Stream,
  TestClock
} from "effect"
import * as Bulkhead from "../../src/guard/Bulkhead.js"
import * as CircuitBreaker from "../../src/guard/CircuitBreaker.js"
import * as Degradation from "../../src/guard/Degradation.js"
import { DeadlineExceeded } from "../../src/guard/Guard.js"
import { WarehouseError } from "../../src/warehouse/Warehouse.js"

/** A ladder whose signals the test sets, and that counts how often they are read. */
const watched = (options: Degradation.Options = {}) =>
  Effect.gen(function* () {
    const slotWaitMs = yield* Ref.make(0)
    const reads = yield* Ref.make(0)
    const bulkhead = Effect.zipRight(
      Ref.update(reads, (n) => n + 1),
      Effect.map(Ref.get(slotWaitMs), (estimatedWaitMs) => [{ estimatedWaitMs }])
    )
    const degradation = yield* Degradation.make({ bulkhead }, options)
    return { degradation, slotWaitMs, reads, mode: Effect.map(degradation.status, (status) => status.mode) }
  })

/** Always the same roll of the dice. */
const dice = (value: number) =>
  Effect.withRandom(
    new Proxy(Random.make("fixed"), {
      get: (target, name) => (name === "next" ? Effect.succeed(value) : Reflect.get(target, name))
    })
  )

const times = (n: number, effect: Effect.Effect<unknown>) => Effect.repeatN(Effect.asVoid(effect), n - 1)

const overloaded = (why: Bulkhead.Overloaded["why"]) =>
  new Bulkhead.Overloaded({ pool: "statements", why, permits: 1, queued: 1, waitedMs: 0, retryAfterMs: 1 })

const warehouseError = (reason: WarehouseError["reason"], sent: WarehouseError["sent"] = "yes") =>
  new WarehouseError({ reason, description: "no", sent })

describe("Degradation with a breaker", () => {
  const pools = { permits: 1, maxQueue: 1, maxQueuePerClient: 1 }
  const fixed = dice(0.5)
  const wiring = Layer.provide(
    Degradation.layer(),
    Layer.merge(
      CircuitBreaker.layer({ consecutiveFailures: 1, probeSuccesses: 1 }),
      Bulkhead.layer({ requests: pools, statements: pools })
    ).pipe(Layer.orDie)
  )

  it.scoped(
    "answers from the cache while the circuit is open, and admits the first probe to the millisecond",
    () =>
      Effect.gen(function* () {
        const breaker = yield* CircuitBreaker.make({ consecutiveFailures: 1, probes: 1, probeSuccesses: 1 })
        const degradation = yield* Degradation.make({ breaker: breaker.status })
        expect(yield* degradation.decide("query")).toBe("admit")
        yield* Effect.exit(CircuitBreaker.protect(breaker, Effect.fail("down")))
        yield* TestClock.adjust(100)
        const { retryAfterMs } = yield* breaker.status
        expect((yield* degradation.status).wayBack).toEqual({
          to: "constrained",
          condition: "a call is let through as a probe",
          inMs: retryAfterMs
        })
        const refused = yield* Effect.flip(degradation.decide("query"))
        expect(refused).toMatchObject({
          mode: "cache-only",
          criticality: "query",
          signal: "circuit",
          shed: false
        })
        expect(refused.retryAfterMs).toBe(retryAfterMs)
        expect(refused.message).toContain("the circuit to the warehouse is open")
        expect(yield* degradation.decide("metadata")).toBe("cache-only")
        expect(yield* degradation.decide("control")).toBe("admit")
        yield* TestClock.adjust(retryAfterMs - 1)
        expect(yield* Effect.flip(degradation.decide("query"))).toMatchObject({ retryAfterMs: 1 })
        expect((yield* degradation.status).wayBack).toMatchObject({
          condition: "a call is let through as a probe",
          inMs: 1
        })
        yield* TestClock.adjust(1)
        expect(yield* degradation.decide("query")).toBe("admit")
        yield* CircuitBreaker.protect(breaker, degradation.protect("query", Effect.void))
        expect((yield* breaker.status).phase).toBe("closed")
        expect((yield* degradation.status).mode).toBe("constrained")
        yield* TestClock.adjust(30_000)
        expect((yield* degradation.status).mode).toBe("normal")
      }).pipe(fixed)
  )

  it.effect.each([
    { reserve: 1, then: "normal" },
    { reserve: 0, then: "constrained" }
  ])(
    "is in the mode $then where one client has what it may of the slots, $reserve being reserved",
    ({ reserve, then }) => {
      const slots = { permits: 3, maxQueue: 9, maxQueuePerClient: 9, reserve }
      const bulkhead = Bulkhead.layer({ requests: slots, statements: slots })
      return Effect.gen(function* () {
        const pools = yield* Bulkhead.Bulkhead
        const request = { client: "evil", tier: "default", weight: 1, maxWaitMs: 100_000 }
        yield* Effect.forEach([1, 2, 3, 4, 5], () =>
          Effect.fork(Bulkhead.withSlot(pools, "statements", request, Effect.never))
        )
        yield* TestClock.adjust("30 seconds")
        const degradation = yield* Degradation.Degradation
        yield* Effect.exit(degradation.decide("query"))
        const [waiting] = (yield* pools.status).filter(({ pool }) => pool === "statements")
        expect(waiting?.queued).toBe(reserve === 1 ? 3 : 2)
        expect(waiting?.estimatedWaitMs).toBeGreaterThanOrEqual(30_000)
        expect((yield* degradation.status).mode).toBe(then)
      }).pipe(
        Effect.provide(
          Layer.provideMerge(
            Degradation.layer({ eventLoop: false }),
            Layer.merge(CircuitBreaker.layer(), bulkhead)
          ).pipe(Layer.orDie)
        ),
        fixed
      )
    }
  )

  it.scoped("names no wait while an operator holds the circuit open", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make()
      const degradation = yield* Degradation.make({ breaker: breaker.status })
      const scope = yield* Scope.make()
      yield* Scope.extend(breaker.forceOpen("maintenance"), scope)
      const refused = yield* Effect.flip(degradation.decide("query"))
      expect(refused.retryAfterMs).toBeUndefined()
      const { wayBack } = yield* degradation.status
      expect(wayBack).toEqual({ to: "constrained", condition: "an operator must release the circuit" })
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust(100)
      expect(yield* degradation.decide("query")).toBe("admit")
    })
  )

  it.effect("takes its signals from the services of its layer", () =>
    Effect.gen(function* () {
      const degradation = yield* Degradation.Degradation
      expect(yield* degradation.decide("batch")).toBe("admit")
    }).pipe(Effect.provide(wiring))
  )
})

describe("Degradation by measurements", () => {
  it.scoped("reads the signals at most once in a while, and not at all for control work", () =>
    Effect.gen(function* () {
      const { degradation, reads } = yield* watched()
      yield* times(50, degradation.decide("control").pipe(Effect.orDie))
      expect(yield* Ref.get(reads)).toBe(0)
      yield* times(50, degradation.decide("query").pipe(Effect.orDie))
      expect(yield* Ref.get(reads)).toBe(1)
      yield* TestClock.adjust(99)
      yield* degradation.decide("query")
      expect(yield* Ref.get(reads)).toBe(1)
      yield* TestClock.adjust(1)
      yield* degradation.decide("query")
      expect(yield* Ref.get(reads)).toBe(2)
    })
  )

  it.scoped("goes down only after 30 clean seconds, however the signal flaps", () =>
    Effect.gen(function* () {
      const { degradation, mode, slotWaitMs } = yield* watched()
      for (let n = 0; n < 4; n++) {
        yield* Ref.set(slotWaitMs, n % 2 === 0 ? 2_000 : 0)
        yield* TestClock.adjust(10_000)
        expect(yield* mode).toBe("constrained")
      }
      // It called for constrained the last time 10 s ago.
      const refused = yield* Effect.flip(degradation.decide("batch"))
      expect(refused).toMatchObject({ mode: "constrained", signal: "slot-wait", retryAfterMs: 20_000 })
      yield* TestClock.adjust(19_999)
      expect(yield* mode).toBe("constrained")
      yield* TestClock.adjust(1)
      expect(yield* degradation.decide("batch")).toBe("admit")
      expect((yield* degradation.status).generation).toBe(2)
    })
  )

  it.scoped("says why, since when, and what the way back is", () =>
    Effect.gen(function* () {
      const { degradation, slotWaitMs } = yield* watched()
      expect(yield* degradation.status).toEqual({
        mode: "normal",
        generation: 0,
        sinceMs: 0,
        why: "nothing calls for less",
        shedding: 0
      })
      yield* Ref.set(slotWaitMs, 61_234.5)
      yield* TestClock.adjust(100)
      yield* degradation.status
      yield* TestClock.adjust(5_000)
      yield* Ref.set(slotWaitMs, 0)
      expect(yield* degradation.status).toEqual({
        mode: "cache-only",
        generation: 1,
        sinceMs: 5_000,
        why: "it is recovering; the cause was: a call would wait 61235 ms for a slot (threshold 60000 ms)",
        signal: "slot-wait",
        value: 61_234.5,
        threshold: 60_000,
        wayBack: {
          to: "constrained",
          condition: "no signal may call for cache-only",
          inMs: 25_000
        },
        shedding: 1
      })
    })
  )

  it.scoped("follows observations where there is no source", () =>
    Effect.gen(function* () {
      const { degradation, mode } = yield* watched()
      yield* degradation.observe({ eventLoopMs: 3_000 })
      expect(yield* mode).toBe("emergency")
      yield* degradation.observe({ slotWaitMs: 99_999 })
      yield* degradation.observe({ eventLoopMs: 0 })
      // An observation of a signal whose source says zero.
      yield* TestClock.adjust(90_000)
      expect(yield* mode).toBe("normal")
    })
  )

  it.scoped("ignores a source that fails", () =>
    Effect.gen(function* () {
      const degradation = yield* Degradation.make({
        breaker: Effect.dieMessage("broken"),
        quotaLeft: Effect.succeed(0.01)
      })
      expect(yield* degradation.decide("query")).toBe("admit")
      expect(yield* degradation.status).toMatchObject({ mode: "constrained", signal: "quota" })
    })
  )
})

describe("Degradation by refusals", () => {
  const busy = (degradation: Degradation.Degradation["Type"], accepted: number, refused: number) =>
    Effect.gen(function* () {
      if (accepted > 0) yield* times(accepted, degradation.report("accepted"))
      if (refused > 0) yield* times(refused, degradation.report("refused"))
      yield* TestClock.adjust(100)
    })

  it.scoped("refuses batch work when one call in five is refused, but sheds nothing yet", () =>
    Effect.gen(function* () {
      const { degradation, mode } = yield* watched()
      yield* busy(degradation, 8, 1)
      expect(yield* mode).toBe("normal")
      yield* busy(degradation, 0, 1)
      expect(yield* mode).toBe("constrained")
      expect(yield* Effect.flip(degradation.decide("batch"))).toMatchObject({ signal: "refusals" })
      expect(yield* degradation.decide("query")).toBe("admit")
      expect((yield* degradation.status).shedding).toBe(0)
    }).pipe(dice(0))
  )

  it.scoped("sheds queries with the probability at which no more are attempted than accepted", () =>
    Effect.gen(function* () {
      const { degradation } = yield* watched()
      yield* busy(degradation, 10, 30)
      const { shedding } = yield* degradation.status
      expect(shedding).toBeCloseTo(20 / 41, 2)
      expect(yield* degradation.decide("query").pipe(dice(shedding))).toBe("admit")
      const shed = yield* Effect.flip(degradation.decide("query").pipe(dice(shedding - 0.001)))
      expect(shed).toMatchObject({ mode: "constrained", shed: true })
      expect(shed.retryAfterMs).toBe(Math.ceil(1_000 / (1 - shedding)))
      expect(yield* degradation.decide("metadata").pipe(dice(0))).toBe("admit")
      // What was shed counts as asked for: the chance rises a little.
      expect((yield* degradation.status).shedding).toBeGreaterThan(shedding)
    })
  )

  it.scoped("is not held by its own refusals", () =>
    Effect.gen(function* () {
      const { degradation, mode } = yield* watched()
      yield* busy(degradation, 0, 50)
      expect(yield* mode).toBe("constrained")
      // All that is asked from now on is shed, and the ladder comes down all the same.
      for (let second = 0; second < 60; second += 5) {
        yield* TestClock.adjust(5_000)
        yield* Effect.exit(degradation.decide("query")).pipe(dice(0))
      }
      expect(yield* mode).toBe("normal")
    })
  )

  it("counts admissions and refusals, and nothing that one client alone can cause", () => {
    const of = (error: unknown) => Degradation.defaultOutcome(Exit.fail(error))
    expect(Degradation.defaultOutcome(Exit.succeed(1))).toBe("accepted")
    expect(of(overloaded("queue-full"))).toBe("refused")
    expect(of(overloaded("wait-timeout"))).toBe("refused")
    expect(of(overloaded("client-queue-full"))).toBeUndefined()
    const { why, ...full } = overloaded("wait-timeout")
    expect(of(new Bulkhead.Overloaded({ ...full, why, held: 6 }))).toBeUndefined()
    expect(of(warehouseError("Overloaded"))).toBe("refused")
    expect(of(new WarehouseError({ ...warehouseError("Overloaded"), ownBound: true }))).toBeUndefined()
    expect(of(warehouseError("NotFound"))).toBe("accepted")
    expect(of(warehouseError("Unreachable", "no"))).toBeUndefined()
    expect(of(new DeadlineExceeded({ limitMs: 1, sent: false, of: "call" }))).toBe("refused")
    expect(of(new DeadlineExceeded({ limitMs: 1, sent: true, of: "attempt" }))).toBe("accepted")
    expect(of(new DeadlineExceeded({ limitMs: 1, sent: false, of: "attempt" }))).toBe("accepted")
    expect(of(new Error("else"))).toBeUndefined()
    expect(Degradation.defaultOutcome(Exit.interrupt(Fiber.id(Fiber.void)))).toBeUndefined()
  })

  it.scoped("`protect` reports how calls ended, and fails where only the cache may answer", () =>
    Effect.gen(function* () {
      const { degradation, mode, slotWaitMs } = yield* watched()
      const refused = degradation.protect("query", Effect.fail(overloaded("queue-full")))
      expect(yield* Effect.flip(refused)).toBeInstanceOf(Bulkhead.Overloaded)
      expect(yield* degradation.protect("query", Effect.succeed(7))).toBe(7)
      yield* times(9, Effect.exit(refused))
      yield* TestClock.adjust(100)
      expect(yield* mode).toBe("constrained")
      yield* Ref.set(slotWaitMs, 60_000)
      yield* TestClock.adjust(100)
      const onlyCache = yield* Effect.flip(degradation.protect("metadata", Effect.die("must not run")))
      expect(onlyCache).toMatchObject({ _tag: "Degraded", criticality: "metadata", retryAfterMs: 30_000 })
    })
  )
})

describe("An operator", () => {
  it.scoped("pins a mode until the scope closes; of several pins the latest counts", () =>
    Effect.gen(function* () {
      const { degradation, mode } = yield* watched()
      const inner = yield* Scope.make()
      yield* degradation.pin("constrained", "month end").pipe(
        Effect.zipRight(
          Effect.gen(function* () {
            expect(yield* mode).toBe("constrained")
            yield* Scope.extend(degradation.pin("emergency", "fire"), inner)
            const refused = yield* Effect.flip(degradation.decide("query"))
            expect(refused).toMatchObject({ mode: "emergency", signal: "operator", shed: false })
            expect(refused.retryAfterMs).toBeUndefined()
            expect(refused.why).toBe("an operator has pinned it (fire)")
            expect((yield* degradation.status).wayBack).toEqual({
              to: "normal",
              condition: "an operator must release the pin"
            })
            yield* Scope.close(inner, Exit.void)
            expect(yield* mode).toBe("constrained")
          })
        ),
        Effect.scoped
      )
      expect(yield* mode).toBe("normal")
    })
  )

  it.scoped("sees each change as an event and as one line in the log", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(
        ({ logLevel, message }) => void lines.push(`${logLevel.label} ${String(message)}`)
      )
      const { degradation, slotWaitMs } = yield* watched()
      const changes = yield* Effect.fork(Stream.runCollect(Stream.take(degradation.changes, 2)))
      yield* TestClock.adjust(0)
      yield* Effect.gen(function* () {
        yield* degradation.status
        yield* Ref.set(slotWaitMs, 2_000)
        yield* TestClock.adjust(100)
        yield* degradation.status
        yield* Ref.set(slotWaitMs, 0)
        yield* TestClock.adjust(30_000)
        yield* degradation.status
        yield* degradation.status
      }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
      expect(Chunk.toReadonlyArray(yield* Fiber.join(changes))).toEqual([
        {
          from: "normal",
          to: "constrained",
          generation: 1,
          why: "a call would wait 2000 ms for a slot (threshold 2000 ms)"
        },
        { from: "constrained", to: "normal", generation: 2, why: "nothing calls for less" }
      ])
      expect(lines).toEqual([
        "WARN degradation constrained: a call would wait 2000 ms for a slot (threshold 2000 ms)",
        "INFO degradation normal: nothing calls for less"
      ])
    })
  )
})

describe("The delay of the event loop", () => {
  /** A clock on which every sleep lasts longer, by what the test says when it would end. */
  const late = (clock: Clock.Clock, lateMs: Ref.Ref<number>): Clock.Clock => ({
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    currentTimeMillis: clock.currentTimeMillis,
    currentTimeNanos: clock.currentTimeNanos,
    unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis(),
    unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
    sleep: (duration) =>
      clock.sleep(duration).pipe(
        Effect.zipRight(Ref.get(lateMs)),
        Effect.flatMap((ms) => (ms > 0 ? clock.sleep(Duration.millis(ms)) : Effect.void))
      )
  })

  it.scoped("is the median of the last five samples, so that a single pause says nothing", () =>
    Effect.gen(function* () {
      const lateMs = yield* Ref.make(0)
      const delay = yield* Effect.clockWith((clock) =>
        Effect.withClock(Degradation.measureEventLoop, late(clock, lateMs))
      )
      const samples = (n: number, ms: number) =>
        Effect.zipRight(Ref.set(lateMs, ms), times(n, TestClock.adjust(500 + ms)))
      yield* samples(5, 0)
      expect(yield* delay).toBe(0)
      yield* samples(2, 5_000)
      expect(yield* delay).toBe(0)
      yield* samples(2, 300)
      expect(yield* delay).toBe(300)
      yield* samples(5, 0)
      expect(yield* delay).toBe(0)
    })
  )
})

describe("No degradation", () => {
  it.effect("lets everything through", () =>
    Effect.gen(function* () {
      const degradation = yield* Degradation.Degradation
      yield* degradation.observe({ eventLoopMs: 1e9 })
      expect(yield* degradation.decide("batch")).toBe("admit")
      expect((yield* degradation.status).mode).toBe("normal")
      expect(Option.isNone(yield* Effect.option(degradation.protect("query", Effect.fail("own"))))).toBe(true)
    }).pipe(Effect.provide(Degradation.layerNoop))
  )
})
