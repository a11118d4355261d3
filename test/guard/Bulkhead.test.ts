import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, FiberId, Layer, Ref, TestClock } from "effect"
import * as Bulkhead from "../../src/guard/Bulkhead.js"
import { shortOrLong } from "../utils/long.js"

const layerOf = (statements: Partial<Bulkhead.PoolOptions>, tierWeights: Record<string, number> = {}) =>
  Bulkhead.layer({
    requests: { permits: 50, maxQueue: 100, maxQueuePerClient: 100 },
    statements: { permits: 1, maxQueue: 10_000, maxQueuePerClient: 10_000, ...statements },
    tierWeights
  })

const request = (client: string, more: Partial<Bulkhead.Request> = {}): Bulkhead.Request => ({
  client,
  tier: "default",
  maxWaitMs: 5000,
  ...more
})

const withSlot = <A, E, R>(
  client: string,
  effect: Effect.Effect<A, E, R>,
  more: Partial<Bulkhead.Request> = {}
) =>
  Effect.flatMap(Bulkhead.Bulkhead, (bulkhead) =>
    Bulkhead.withSlot(bulkhead, "statements", request(client, more), effect)
  )

const status = Effect.gen(function* () {
  const bulkhead = yield* Bulkhead.Bulkhead
  const statements = (yield* bulkhead.status).find(({ pool }) => pool === "statements")
  assert.ok(statements !== undefined)
  return statements
})

/** Lets all fibers run that can. */
const settle = Effect.repeatN(Effect.yieldNow(), 20)

/** Takes a slot and holds it until the returned effect is run. */
const hold = (client = "holder") =>
  Effect.gen(function* () {
    const end = yield* Deferred.make<void>()
    const fiber = yield* Effect.fork(withSlot(client, Deferred.await(end)))
    yield* settle
    return Effect.zipRight(Deferred.succeed(end, undefined), Fiber.join(fiber))
  })

/** Queues one call for each name, in this order, and returns in which order they ran. */
const orderOf = (names: ReadonlyArray<readonly [client: string, tier: string]>) =>
  Effect.gen(function* () {
    const order = yield* Ref.make<ReadonlyArray<string>>([])
    const release = yield* hold()
    const fibers = yield* Effect.forEach(names, ([client, tier], index) =>
      Effect.fork(
        withSlot(
          client,
          Effect.zipRight(
            Effect.yieldNow(),
            Ref.update(order, (all) => [...all, `${client}${index}`])
          ),
          {
            tier
          }
        )
      ).pipe(Effect.zipLeft(settle))
    )
    yield* release
    yield* Fiber.joinAll(fibers)
    return yield* Ref.get(order)
  })

const of = (clients: string, tiers: Record<string, string> = {}) =>
  [...clients].map((client) => [client, tiers[client] ?? "default"] as const)

describe("Bulkhead", () => {
  it.effect("can be interrupted while it waits, also in an uninterruptible region", () =>
    Effect.gen(function* () {
      const release = yield* hold()
      const bulkhead = yield* Bulkhead.Bulkhead
      const acquire = bulkhead.acquire("statements", request("a"))
      const waiter = yield* Effect.fork(Effect.uninterruptible(acquire))
      yield* settle
      assert.strictEqual((yield* status).queued, 1)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(waiter)))
      const inSlot = yield* Effect.fork(Effect.uninterruptible(withSlot("a", Effect.void)))
      yield* settle
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(inSlot)))
      assert.strictEqual((yield* status).queued, 0)
      yield* release
      assert.strictEqual((yield* status).inUse, 0)
    }).pipe(Effect.provide(layerOf({})))
  )

  it.effect("runs as many at once as there are slots, and the next one when the first has ended", () =>
    Effect.gen(function* () {
      const first = yield* hold("a")
      const second = yield* hold("b")
      const third = yield* Effect.fork(withSlot("c", Effect.succeed("ran")))
      yield* settle
      assert.deepInclude(yield* status, { permits: 2, inUse: 2, queued: 1 })
      assert.deepStrictEqual(
        (yield* status).waiting?.map(([, calls]) => calls),
        [1]
      )
      yield* first
      assert.strictEqual(yield* Fiber.join(third), "ran")
      yield* second
      assert.deepInclude(yield* status, { inUse: 0, queued: 0, estimatedWaitMs: 0 })
    }).pipe(Effect.provide(layerOf({ permits: 2 })))
  )

  it.effect("serves the waiters of one client in the order in which they came", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* orderOf(of("aaaa")), ["a0", "a1", "a2", "a3"])
    }).pipe(Effect.provide(layerOf({})))
  )

  it.effect("takes turns between clients, so that one call never waits behind a flood of another", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* orderOf(of("aaaabcc")), ["a0", "b4", "c5", "a1", "c6", "a2", "a3"])
    }).pipe(Effect.provide(layerOf({})))
  )

  it.effect("gives a client of a heavier tier more turns in a row", () =>
    Effect.gen(function* () {
      const order = yield* orderOf(of("aaabbb", { b: "gold" }))
      assert.deepStrictEqual(order, ["a0", "b3", "b4", "a1", "b5", "a2"])
    }).pipe(Effect.provide(layerOf({}, { gold: 2 })))
  )

  it.effect("keeps the last slots for clients without a slot, whatever the order of arrival", () =>
    Effect.gen(function* () {
      const evil = yield* Effect.forEach([1, 2], () => hold("evil"))
      const more = yield* Effect.fork(withSlot("evil", Effect.succeed("evil")))
      yield* settle
      // What waits is told to wait, although slots are free for others.
      assert.deepInclude(yield* status, { inUse: 2, queued: 1, estimatedWaitMs: 500 })
      const refused = yield* Effect.flip(withSlot("evil", Effect.void, { maxWaitMs: 0 }))
      assert.deepInclude(refused, { _tag: "Overloaded", held: 2, why: "wait-timeout" })
      assert.match(refused.message, /the client has 2 of 4/)
      assert.strictEqual(yield* withSlot("bob", Effect.succeed("bob")), "bob")
      assert.isNull(more.unsafePoll())
      // Two others have the last ones: a third is next, although another has waited for longer.
      const bob = yield* hold("bob")
      const carol = yield* hold("carol")
      const dave = yield* Effect.fork(withSlot("dave", Effect.succeed("dave")))
      yield* settle
      assert.deepInclude(yield* status, { inUse: 4, queued: 2 })
      yield* carol
      assert.strictEqual(yield* Fiber.join(dave), "dave")
      assert.isNull(more.unsafePoll())
      yield* bob
      assert.isNull(more.unsafePoll())
      yield* Effect.all(evil)
      assert.strictEqual(yield* Fiber.join(more), "evil")
      assert.deepInclude(yield* status, { inUse: 0, queued: 0 })
    }).pipe(Effect.provide(layerOf({ permits: 4, reserve: 2 })))
  )

  it.effect("rejects a reserve that leaves no slot", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(Layer.build(layerOf({ permits: 2, reserve: 2 }))))
      assert.match(error.message, /statements.reserve must be less than permits/)
    })
  )

  it.effect("keeps the pools apart", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.Bulkhead
      const release = yield* hold()
      assert.strictEqual(yield* Bulkhead.withSlot(bulkhead, "requests", request("a"), Effect.succeed(1)), 1)
      yield* release
    }).pipe(Effect.provide(layerOf({})))
  )

  it.effect(
    "gives a free slot to the first waiter: a new call, even of the client that freed it, does not overtake",
    () =>
      Effect.gen(function* () {
        const order = yield* Ref.make<ReadonlyArray<string>>([])
        const note = (name: string) => Ref.update(order, (all) => [...all, name])
        const end = yield* Deferred.make<void>()
        const greedy = yield* Effect.fork(
          Effect.zipRight(
            withSlot("greedy", Effect.zipRight(Deferred.await(end), note("greedy 1"))),
            // No yield in between: the slot has been left and is asked for in the same breath.
            withSlot("greedy", note("greedy 2"))
          )
        )
        yield* settle
        const patient = yield* Effect.fork(withSlot("patient", note("patient")))
        yield* settle
        yield* Deferred.succeed(end, undefined)
        yield* Fiber.join(greedy)
        yield* Fiber.join(patient)
        assert.deepStrictEqual(yield* Ref.get(order), ["greedy 1", "patient", "greedy 2"])
      }).pipe(Effect.provide(layerOf({})))
  )

  describe("refuses", () => {
    it.effect("at once when the queue is full", () =>
      Effect.gen(function* () {
        const release = yield* hold()
        const waiters = yield* Effect.forEach(["a", "b"], (client) =>
          Effect.fork(withSlot(client, Effect.void))
        )
        yield* settle
        const refused = yield* Effect.flip(withSlot("c", Effect.void))
        assert.deepInclude(refused, {
          why: "queue-full",
          pool: "statements",
          permits: 1,
          queued: 2,
          waitedMs: 0
        })
        assert.notInclude(refused.stack ?? "", "\n    at ")
        yield* release
        yield* Fiber.joinAll(waiters)
      }).pipe(Effect.provide(layerOf({ maxQueue: 2 })))
    )

    it.effect("a client with too many waiters, and no other client", () =>
      Effect.gen(function* () {
        const release = yield* hold()
        const first = yield* Effect.fork(withSlot("a", Effect.void))
        yield* settle
        const refused = yield* Effect.flip(withSlot("a", Effect.void))
        assert.strictEqual(refused.why, "client-queue-full")
        const other = yield* Effect.fork(withSlot("b", Effect.void))
        yield* settle
        yield* release
        yield* Fiber.joinAll([first, other])
      }).pipe(Effect.provide(layerOf({ maxQueuePerClient: 1 })))
    )

    it.effect("when there is no free slot and the longest wait is 0", () =>
      Effect.gen(function* () {
        const release = yield* hold()
        for (const maxWaitMs of [0, -1, NaN]) {
          const refused = yield* Effect.flip(withSlot("a", Effect.void, { maxWaitMs }))
          assert.deepInclude(refused, { why: "wait-timeout", waitedMs: 0 })
        }
        yield* release
      }).pipe(Effect.provide(layerOf({})))
    )

    it.effect("each waiter when its own time is up, and leaves the others in the queue", () =>
      Effect.gen(function* () {
        const release = yield* hold()
        const waits = [3000, 1000, 2000, 1000]
        const waiters = yield* Effect.forEach(waits, (maxWaitMs) =>
          Effect.fork(Effect.either(withSlot("a", Effect.succeed("ran"), { maxWaitMs })))
        )
        yield* settle
        yield* TestClock.adjust("999 millis")
        assert.strictEqual((yield* status).queued, 4)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual((yield* status).queued, 2)
        yield* TestClock.adjust("1 seconds")
        assert.strictEqual((yield* status).queued, 1)
        yield* release
        const results = yield* Effect.forEach(waiters, Fiber.join)
        const waited = results.map((one) => (one._tag === "Right" ? one.right : one.left.waitedMs))
        assert.deepStrictEqual(waited, ["ran", 1000, 2000, 1000])
        assert.deepInclude(yield* status, { inUse: 0, queued: 0 })
      }).pipe(Effect.provide(layerOf({})))
    )

    it.effect("a later waiter with less time before earlier waiters with more", () =>
      Effect.gen(function* () {
        const release = yield* hold()
        const long = yield* Effect.fork(Effect.exit(withSlot("a", Effect.void, { maxWaitMs: 10_000 })))
        yield* settle
        const short = yield* Effect.fork(Effect.exit(withSlot("b", Effect.void, { maxWaitMs: 10 })))
        yield* settle
        yield* TestClock.adjust("10 millis")
        assert.isTrue(Exit.isFailure(yield* Fiber.join(short)))
        assert.isNull(long.unsafePoll())
        yield* TestClock.adjust("9990 millis")
        assert.isTrue(Exit.isFailure(yield* Fiber.join(long)))
        yield* release
      }).pipe(Effect.provide(layerOf({})))
    )

    it.effect("with an estimate from the place in the queue and the duration of calls", () =>
      Effect.gen(function* () {
        yield* Effect.fork(withSlot("a", Effect.sleep(400)))
        yield* TestClock.adjust("400 millis")
        const release = yield* hold()
        const waiters = yield* Effect.forEach(["a", "a", "a"], (client) =>
          Effect.fork(withSlot(client, Effect.void))
        )
        yield* settle
        // Behind all three.
        assert.strictEqual((yield* Effect.flip(withSlot("a", Effect.void))).retryAfterMs, 1600)
        // Round robin: behind one of them.
        assert.strictEqual((yield* Effect.flip(withSlot("b", Effect.void))).retryAfterMs, 800)
        assert.strictEqual((yield* status).estimatedWaitMs, 1600)
        // Nothing has moved for longer than that: it will not be quicker.
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual((yield* Effect.flip(withSlot("b", Effect.void))).retryAfterMs, 3000)
        yield* release
        yield* Fiber.joinAll(waiters)
      }).pipe(Effect.provide(layerOf({ maxQueue: 3 })))
    )
  })

  describe("frees the slot", () => {
    it.effect("when the effect fails, dies or is interrupted", () =>
      Effect.gen(function* () {
        yield* Effect.exit(withSlot("a", Effect.fail("no")))
        yield* Effect.exit(withSlot("a", Effect.die("bug")))
        yield* Effect.exit(withSlot("a", Effect.interrupt))
        const fiber = yield* Effect.fork(withSlot("a", Effect.never))
        yield* settle
        assert.strictEqual((yield* status).inUse, 1)
        yield* Fiber.interrupt(fiber)
        assert.deepInclude(yield* status, { inUse: 0, queued: 0 })
      }).pipe(Effect.provide(layerOf({})))
    )

    it.effect("only when the effect has ended, not when it was interrupted", () =>
      Effect.gen(function* () {
        const cancelled = yield* Deferred.make<void>()
        const work = Effect.onInterrupt(Effect.never, () => Deferred.await(cancelled))
        const fiber = yield* Effect.fork(withSlot("a", work))
        const next = yield* Effect.fork(withSlot("b", Effect.void))
        yield* settle
        yield* Effect.fork(Fiber.interrupt(fiber))
        yield* settle
        assert.deepInclude(yield* status, { inUse: 1, queued: 1 })
        yield* Deferred.succeed(cancelled, undefined)
        yield* Fiber.join(next)
        assert.deepInclude(yield* status, { inUse: 0, queued: 0 })
      }).pipe(Effect.provide(layerOf({})))
    )

    it.effect("for the next waiter when its new holder is interrupted before it runs", () =>
      Effect.gen(function* () {
        const end = yield* Deferred.make<void>()
        const holder = yield* Effect.fork(withSlot("h", Deferred.await(end)))
        yield* settle
        const ran = yield* Ref.make(false)
        const second = yield* Effect.fork(withSlot("a", Ref.set(ran, true)))
        const third = yield* Effect.fork(withSlot("b", Effect.succeed("third")))
        yield* settle
        // The hand-over happens in the holder's last step; the interruption reaches the second first.
        yield* Effect.zipRight(Deferred.succeed(end, undefined), Fiber.interruptFork(second))
        assert.strictEqual(yield* Fiber.join(third), "third")
        yield* Fiber.join(holder)
        yield* Fiber.await(second)
        assert.deepInclude(yield* status, { inUse: 0, queued: 0 })
      }).pipe(Effect.provide(layerOf({})))
    )
  })

  it.effect("removes an interrupted waiter from the middle of the queue at once", () =>
    Effect.gen(function* () {
      const release = yield* hold()
      const fibers = yield* Effect.forEach(["a", "a", "a"], (client) =>
        Effect.fork(withSlot(client, Effect.void))
      )
      yield* settle
      const [first, second, third] = fibers
      assert.ok(first && second && third)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(second)))
      assert.deepInclude(yield* status, { inUse: 1, queued: 2 })
      yield* release
      yield* Fiber.joinAll([first, third])
    }).pipe(Effect.provide(layerOf({})))
  )

  it.effect("loses no slot when a waiter is interrupted at the moment of its time-out", () =>
    Effect.gen(function* () {
      const timeIsUp = yield* Deferred.make<void>()
      let now = 0n
      const clock: Clock.Clock = {
        [Clock.ClockTypeId]: Clock.ClockTypeId,
        unsafeCurrentTimeMillis: () => Number(now / 1_000_000n),
        unsafeCurrentTimeNanos: () => now,
        currentTimeMillis: Effect.sync(() => Number(now / 1_000_000n)),
        currentTimeNanos: Effect.sync(() => now),
        sleep: () => Deferred.await(timeIsUp)
      }
      const release = yield* hold()
      const waiter = yield* Effect.fork(
        Effect.withClock(withSlot("a", Effect.void, { maxWaitMs: 1000 }), clock)
      )
      yield* settle
      // In one step: the fiber of the clock runs first and removes the waiter from the queue, and the interruption reaches
      // the waiter before its time-out does.
      now = 1_000_000_000n
      Deferred.unsafeDone(timeIsUp, Exit.void)
      waiter.unsafeInterruptAsFork(FiberId.none)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.await(waiter)))
      assert.deepInclude(yield* status, { inUse: 1, queued: 0 })
      yield* release
      assert.deepInclude(yield* status, { inUse: 0, queued: 0 })
    }).pipe(Effect.provide(layerOf({})))
  )

  it.effect("drops the deadlines of waiters that left, and no others", () =>
    Effect.gen(function* () {
      const release = yield* hold()
      const waiter = yield* Effect.fork(Effect.flip(withSlot("a", Effect.void, { maxWaitMs: 1000 })))
      yield* settle
      for (let i = 0; i < 200; i++) {
        const other = yield* Effect.fork(withSlot("b", Effect.void, { maxWaitMs: 500 }))
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(other)
      }
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual((yield* Fiber.join(waiter)).waitedMs, 1000)
      yield* release
    }).pipe(Effect.provide(layerOf({})))
  )

  it.live("loses no slot and leaves no waiter in the queue, at whatever moment a call is interrupted", () =>
    Effect.gen(function* () {
      let interrupted = 0
      const work = Effect.repeatN(Effect.yieldNow(), 2)
      for (let ops = 14; ops <= 64; ops += shortOrLong(7, 1)) {
        const call = (client: string) => Effect.withMaxOpsBeforeYield(withSlot(client, work), ops)
        for (let turn = 0; turn <= 20; turn++) {
          const fibers = yield* Effect.forEach(["a", "b", "b", "c"], (client) => Effect.fork(call(client)))
          for (let i = 0; i < turn; i++) yield* Effect.yieldNow()
          const exits = yield* Effect.forEach(fibers, (fiber, index) =>
            index === 1 || index === 3 ? Fiber.interrupt(fiber) : Fiber.await(fiber)
          )
          interrupted += exits.filter(Exit.isInterrupted).length
          const { inUse, queued } = yield* status
          assert.deepStrictEqual({ ops, turn, inUse, queued }, { ops, turn, inUse: 0, queued: 0 })
        }
      }
      assert.isAbove(interrupted, shortOrLong(30, 200))
    }).pipe(Effect.provide(layerOf({})))
  )

  it.live("drains thousands of waiters, each of them once", () =>
    Effect.gen(function* () {
      const count = shortOrLong(2_000, 10_000)
      let ran = 0
      const end = yield* Deferred.make<void>()
      const all = yield* Deferred.make<void>()
      const work = Effect.suspend(() => (++ran === count ? Deferred.succeed(all, undefined) : Effect.void))
      yield* Effect.fork(withSlot("h", Deferred.await(end)))
      yield* settle
      for (let i = 0; i < count; i++)
        yield* Effect.forkDaemon(withSlot(`c${i % 100}`, work, { maxWaitMs: 60_000 }))
      yield* settle
      assert.strictEqual((yield* status).queued, count)
      yield* Deferred.succeed(end, undefined)
      yield* Deferred.await(all)
      yield* settle
      assert.strictEqual(ran, count)
      assert.deepInclude(yield* status, { inUse: 0, queued: 0 })
    }).pipe(Effect.provide(layerOf({})))
  )

  it.effect("refuses every waiter in time and stays usable when no slot is ever freed", () =>
    Effect.gen(function* () {
      const release = yield* hold()
      const waiters = yield* Effect.forEach(Array.from({ length: 500 }), (_, i) =>
        Effect.fork(Effect.exit(withSlot(`c${i % 7}`, Effect.void)))
      )
      yield* settle
      yield* TestClock.adjust("5 seconds")
      const exits = yield* Effect.forEach(waiters, Fiber.join)
      assert.isTrue(exits.every(Exit.isFailure))
      assert.deepInclude(yield* status, { inUse: 1, queued: 0 })
      yield* release
      assert.strictEqual(yield* withSlot("a", Effect.succeed("ran")), "ran")
    }).pipe(Effect.provide(layerOf({})))
  )

  it.effect("fails to start with options that make no sense, and names every problem", () =>
    Effect.gen(function* () {
      const options = { requests: { permits: 0, maxQueue: -1, maxQueuePerClient: 1 } }
      const invalid = yield* Effect.flip(
        Effect.scoped(
          Layer.build(
            Bulkhead.layer({
              ...options,
              statements: { permits: 1.5, maxQueue: 0, maxQueuePerClient: 0 },
              tierWeights: { gold: 0 }
            })
          )
        )
      )
      assert.strictEqual(invalid.service, "Bulkhead")
      assert.deepStrictEqual(invalid.problems, [
        "requests.permits must be a whole number of at least 1, not 0",
        "requests.maxQueue must be a whole number of at least 0, not -1",
        "statements.permits must be a whole number of at least 1, not 1.5",
        "tierWeights.gold must be a whole number of at least 1, not 0"
      ])
    })
  )

  it.effect("layerNoop runs everything at once", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.Bulkhead
      const inside = Bulkhead.withSlot(bulkhead, "requests", request("a"), Effect.succeed(1))
      assert.strictEqual(
        yield* Bulkhead.withSlot(bulkhead, "requests", request("a", { maxWaitMs: 0 }), inside),
        1
      )
      assert.deepStrictEqual(yield* bulkhead.status, [])
    }).pipe(Effect.provide(Bulkhead.layerNoop))
  )
})
