import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Option, Ref, TestClock } from "effect"
import { CircuitOpen } from "../../src/guard/CircuitBreaker.js"
import { Degraded } from "../../src/guard/Degradation.js"
import { DeadlineExceeded } from "../../src/guard/Guard.js"
import * as ResultCache from "../../src/tools/ResultCache.js"
import { Reason, WarehouseError } from "../../src/warehouse/Warehouse.js"

const down = new WarehouseError({ reason: "Unreachable", description: "no route", sent: "no" })
const wrong = new WarehouseError({ reason: "NotFound", description: "no such table", sent: "yes" })

const deadline = (of: "attempt" | "call") => new DeadlineExceeded({ limitMs: 1, sent: true, of })

/** An answer that takes as long as the test likes, and counts how often it is asked for. */
const slow = Effect.gen(function* () {
  const gate = yield* Deferred.make<string, WarehouseError>()
  const asked = yield* Ref.make(0)
  const ended = yield* Ref.make(0)
  const effect = Ref.update(asked, (n) => n + 1).pipe(
    Effect.zipRight(Deferred.await(gate)),
    Effect.ensuring(Ref.update(ended, (n) => n + 1))
  )
  return { gate, asked, ended, effect }
})

/** Lets all other fibers run until they wait. */
const settle = Effect.yieldNow().pipe(Effect.repeatN(20))

describe("ResultCache.serve", () => {
  it.effect("answers from memory while an answer is fresh, and asks again from then on", () =>
    Effect.gen(function* () {
      const cache = yield* ResultCache.make({ freshMs: 30_000 })
      const count = yield* Ref.make(0)
      const ask = cache.serve(
        { key: "k" },
        Ref.updateAndGet(count, (n) => n + 1)
      )
      expect(yield* ask).toEqual({ value: 1 })
      yield* TestClock.adjust(29_999)
      expect(yield* ask).toEqual({ value: 1, cached: { ageMs: 29_999, stale: false } })
      yield* TestClock.adjust(1)
      expect(yield* ask).toEqual({ value: 2 })
      expect(yield* cache.status).toMatchObject({ freshHits: 1, misses: 2, entries: 1 })
    })
  )

  it.effect("answers with an old value, its age and the reason when the warehouse cannot be reached", () =>
    Effect.gen(function* () {
      const cache = yield* ResultCache.make({ freshMs: 30_000 })
      yield* cache.serve({ key: "k" }, Effect.succeed("tables"))
      yield* TestClock.adjust(3_600_000)
      expect(yield* cache.serve({ key: "k" }, Effect.fail(down))).toEqual({
        value: "tables",
        cached: { ageMs: 3_600_000, stale: true, reason: "the warehouse cannot be reached" }
      })
      expect(yield* Effect.flip(cache.serve({ key: "other" }, Effect.fail(down)))).toBe(down)
    })
  )

  it.effect("passes on every failure that is not the warehouse's, and remembers none", () =>
    Effect.gen(function* () {
      const cache = yield* ResultCache.make({ freshMs: 0 })
      yield* cache.serve({ key: "k" }, Effect.succeed("tables"))
      expect(yield* Effect.flip(cache.serve({ key: "k" }, Effect.fail(wrong)))).toBe(wrong)
      const died = yield* Effect.exit(cache.serve({ key: "k" }, Effect.die("bug")))
      expect(Exit.isFailure(died)).toBe(true)
      expect(yield* cache.serve({ key: "k" }, Effect.fail(down))).toMatchObject({ value: "tables" })
    })
  )

  it.effect("counts an age from before the question, not from the answer", () =>
    Effect.gen(function* () {
      const cache = yield* ResultCache.make({ freshMs: 30_000 })
      yield* Effect.fork(cache.serve({ key: "k" }, Effect.delay(Effect.succeed(1), 10_000)))
      yield* TestClock.adjust(12_000)
      const again = yield* cache.serve({ key: "k" }, Effect.succeed(2))
      expect(again.cached).toEqual({ ageMs: 12_000, stale: false })
    })
  )

  it.effect("forgets what is too old to be of use", () =>
    Effect.gen(function* () {
      const cache = yield* ResultCache.make({ maxAgeMs: 100_000 })
      yield* cache.serve({ key: "k" }, Effect.succeed(1))
      yield* TestClock.adjust(100_000)
      expect((yield* cache.serve({ key: "k" }, Effect.fail(down))).value).toBe(1)
      yield* TestClock.adjust(1)
      expect(yield* Effect.flip(cache.serve({ key: "k" }, Effect.fail(down)))).toBe(down)
      expect((yield* cache.status).entries).toBe(0)
    })
  )

  it.effect("asks first where nothing is fresh enough, and still has the old answer to fall back on", () =>
    Effect.gen(function* () {
      const cache = yield* ResultCache.make({ freshMs: 30_000 })
      const request = { key: "k", freshMs: 0 }
      yield* cache.serve(request, Effect.succeed(1))
      expect(yield* cache.serve(request, Effect.succeed(2))).toEqual({ value: 2 })
      expect((yield* cache.serve(request, Effect.fail(down))).value).toBe(2)
    })
  )

  it.effect("lets the caller decide which failures an old answer may stand in for", () =>
    Effect.gen(function* () {
      const cache = yield* ResultCache.make({ freshMs: 0 })
      yield* cache.serve({ key: "k" }, Effect.succeed(1))
      const never = { key: "k", allowStale: () => Option.none<string>() }
      expect(yield* Effect.flip(cache.serve(never, Effect.fail(down)))).toBe(down)
      const always = { key: "k", allowStale: (error: string) => Option.some(`because of ${error}`) }
      const served = yield* cache.serve(always, Effect.fail("rain"))
      expect(served.cached?.reason).toBe("because of rain")
    })
  )

  it.effect("stays within its bytes, and does not keep what does not fit or cannot be measured", () =>
    Effect.gen(function* () {
      const cache = yield* ResultCache.make({ maxBytes: 2_000 })
      yield* Effect.forEach(["a", "b", "c"], (key) => cache.serve({ key }, Effect.succeed("x".repeat(500))))
      expect(yield* cache.status).toMatchObject({ entries: 2, evicted: 1 })
      expect((yield* cache.status).bytes).toBeLessThanOrEqual(2_000)
      yield* cache.serve({ key: "d" }, Effect.succeed("x".repeat(2_000)))
      expect(Option.isNone(yield* cache.lookup("d"))).toBe(true)
      const measured = cache.serve({ key: "e", bytes: () => Number.POSITIVE_INFINITY }, Effect.succeed(1))
      expect(yield* measured).toEqual({ value: 1 })
      expect(Option.isNone(yield* cache.lookup("e"))).toBe(true)
    })
  )
})

describe("Callers that miss the same key at once", () => {
  it.effect("share one question and its answer", () =>
    Effect.gen(function* () {
      const cache = yield* ResultCache.make({ freshMs: 30_000 })
      const { asked, effect, gate } = yield* slow
      const all = yield* Effect.fork(
        Effect.all(
          Array.from({ length: 20 }, () => cache.serve({ key: "k" }, effect)),
          { concurrency: "unbounded" }
        )
      )
      yield* settle
      yield* Deferred.succeed(gate, "answer")
      const [first, ...others] = yield* Fiber.join(all)
      expect(first).toEqual({ value: "answer" })
      const told = { value: "answer", cached: { ageMs: 0, stale: false } }
      expect(others).toEqual(Array.from({ length: 19 }, () => told))
      expect(yield* Ref.get(asked)).toBe(1)
    })
  )

  it.effect("ask anew when the one that asked is interrupted, one of them only", () =>
    Effect.gen(function* () {
      const cache = yield* ResultCache.make({ freshMs: 30_000 })
      const { asked, effect, ended, gate } = yield* slow
      const leader = yield* Effect.fork(cache.serve({ key: "k" }, effect))
      yield* settle
      const followers = yield* Effect.forEach([1, 2, 3], () => Effect.fork(cache.serve({ key: "k" }, effect)))
      yield* settle
      expect(yield* Ref.get(asked)).toBe(1)
      expect(Exit.isInterrupted(yield* Fiber.interrupt(leader))).toBe(true)
      expect(yield* Ref.get(ended)).toBe(1)
      yield* settle
      expect(yield* Ref.get(asked)).toBe(2)
      yield* Deferred.succeed(gate, "answer")
      const served = yield* Fiber.joinAll(followers)
      expect([...served].map((one) => one.value)).toEqual(["answer", "answer", "answer"])
    })
  )

  it.effect("leave the one that asks alone when they are interrupted themselves", () =>
    Effect.gen(function* () {
      const cache = yield* ResultCache.make({ freshMs: 30_000 })
      const { asked, effect, gate } = yield* slow
      const leader = yield* Effect.fork(cache.serve({ key: "k" }, effect))
      yield* settle
      const follower = yield* Effect.fork(cache.serve({ key: "k" }, effect))
      yield* settle
      yield* Fiber.interrupt(follower)
      yield* Deferred.succeed(gate, "answer")
      expect(yield* Fiber.join(leader)).toEqual({ value: "answer" })
      expect(yield* Ref.get(asked)).toBe(1)
    })
  )

  it.effect("share an outage, but each asks for itself when the one that asked was refused", () =>
    Effect.gen(function* () {
      const cache = yield* ResultCache.make({ freshMs: 30_000 })
      const outage = yield* slow
      const all = (effect: Effect.Effect<string, WarehouseError>) =>
        Effect.fork(
          Effect.all(
            Array.from({ length: 5 }, () => Effect.exit(cache.serve({ key: "k" }, effect))),
            { concurrency: "unbounded" }
          )
        )
      const first = yield* all(outage.effect)
      yield* settle
      yield* Deferred.fail(outage.gate, down)
      expect((yield* Fiber.join(first)).every(Exit.isFailure)).toBe(true)
      expect(yield* Ref.get(outage.asked)).toBe(1)

      // The first one is refused; all others are asked at once, and not in turn.
      const refusal = yield* slow
      const only = Effect.flatMap(Ref.get(refusal.asked), (n) =>
        n === 0
          ? refusal.effect
          : Effect.zipRight(
              Ref.update(refusal.asked, (m) => m + 1),
              Effect.never
            )
      )
      const second = yield* all(only)
      yield* settle
      yield* Deferred.fail(refusal.gate, wrong)
      yield* settle
      expect(yield* Ref.get(refusal.asked)).toBe(5)
      yield* Fiber.interrupt(second)
    })
  )

  it.effect("ask for themselves when the time of the one that asked is over", () =>
    Effect.gen(function* () {
      const cache = yield* ResultCache.make({ freshMs: 30_000 })
      const over = yield* Deferred.make<string, DeadlineExceeded>()
      const leader = yield* Effect.fork(Effect.flip(cache.serve({ key: "k" }, Deferred.await(over))))
      yield* settle
      const follower = yield* Effect.fork(cache.serve({ key: "k" }, Effect.succeed("asked again")))
      yield* settle
      yield* Deferred.fail(over, deadline("call"))
      expect(yield* Fiber.join(leader)).toMatchObject({ of: "call" })
      expect(yield* Fiber.join(follower)).toEqual({ value: "asked again" })
    })
  )

  it.effect("do not wait for an answer that will not be fresh enough for them", () =>
    Effect.gen(function* () {
      const cache = yield* ResultCache.make({ freshMs: 30_000 })
      const { effect } = yield* slow
      const leader = yield* Effect.fork(cache.serve({ key: "k" }, effect))
      yield* TestClock.adjust(30_000)
      expect(yield* cache.serve({ key: "k" }, Effect.succeed("now"))).toEqual({ value: "now" })
      expect(yield* cache.serve({ key: "k", freshMs: 0 }, Effect.succeed("again"))).toEqual({
        value: "again"
      })
      yield* Fiber.interrupt(leader)
    })
  )

  it.effect("wait no longer for another one's answer than they have time themselves", () =>
    Effect.gen(function* () {
      const cache = yield* ResultCache.make({ freshMs: 30_000 })
      const { asked, effect, gate } = yield* slow
      const leader = yield* Effect.fork(cache.serve({ key: "k" }, effect))
      yield* settle
      yield* TestClock.adjust(900)
      const patience = { ms: 1_000, late: () => wrong }
      const follower = yield* Effect.fork(Effect.exit(cache.serve({ key: "k", patience }, effect)))
      yield* settle
      yield* TestClock.adjust(999)
      expect(follower.unsafePoll()).toBeNull()
      yield* TestClock.adjust(1)
      expect(yield* Fiber.join(follower)).toEqual(Exit.fail(wrong))
      yield* Deferred.succeed(gate, "later")
      expect(yield* Fiber.join(leader)).toEqual({ value: "later" })
      expect(yield* Ref.get(asked)).toBe(1)
    })
  )

  it.effect("have no more time when they have to ask themselves after having waited", () =>
    Effect.gen(function* () {
      const cache = yield* ResultCache.make({ freshMs: 30_000 })
      const leader = yield* Effect.fork(cache.serve({ key: "k" }, Effect.never))
      yield* settle
      const patience = { ms: 1_000, late: () => wrong }
      const follower = yield* Effect.fork(Effect.exit(cache.serve({ key: "k", patience }, Effect.never)))
      yield* settle
      yield* TestClock.adjust(600)
      yield* Fiber.interrupt(leader)
      yield* settle
      yield* TestClock.adjust(400)
      expect(yield* Fiber.join(follower)).toEqual(Exit.fail(wrong))
    })
  )

  it.effect("are not kept waiting by an answer that cannot be measured", () =>
    Effect.gen(function* () {
      const cache = yield* ResultCache.make({ freshMs: 30_000 })
      const gate = yield* Deferred.make<bigint>()
      const leader = yield* Effect.fork(cache.serve({ key: "k" }, Deferred.await(gate)))
      yield* settle
      const follower = yield* Effect.fork(cache.serve({ key: "k" }, Deferred.await(gate)))
      yield* settle
      yield* Deferred.succeed(gate, 1n)
      // JSON has no big integers: a bug of whoever stores one, and nobody else's.
      expect(Exit.isFailure(yield* Fiber.await(leader))).toBe(true)
      expect(yield* Fiber.join(follower)).toMatchObject({ value: 1n })
    })
  )

  it.effect("are never stuck, wherever the one that asks is interrupted", () =>
    Effect.gen(function* () {
      for (let turns = 0; turns < 25; turns++) {
        const cache = yield* ResultCache.make({ freshMs: 1_000 })
        const work = Effect.zipRight(Effect.repeatN(Effect.yieldNow(), 5), Effect.succeed("answer"))
        const leader = yield* Effect.fork(cache.serve({ key: "k" }, work))
        const follower = yield* Effect.fork(cache.serve({ key: "k" }, work))
        yield* Effect.repeatN(Effect.yieldNow(), turns)
        yield* Fiber.interrupt(leader)
        expect((yield* Fiber.join(follower)).value).toBe("answer")
        expect((yield* cache.serve({ key: "k" }, Effect.succeed("else"))).value).toBe("answer")
      }
    })
  )

  it.effect("a slow answer does not replace a later one", () =>
    Effect.gen(function* () {
      const cache = yield* ResultCache.make({ freshMs: 30_000 })
      const { effect, gate } = yield* slow
      const leader = yield* Effect.fork(cache.serve({ key: "k", freshMs: 0 }, effect))
      yield* TestClock.adjust(1)
      yield* cache.serve({ key: "k", freshMs: 0 }, Effect.succeed("new"))
      yield* Deferred.succeed(gate, "old")
      expect(yield* Fiber.join(leader)).toEqual({ value: "old" })
      expect((yield* cache.serve({ key: "k" }, Effect.succeed("newest"))).value).toBe("new")
    })
  )
})

describe("ResultCache by hand", () => {
  it.effect("stores and looks up, with age and freshness", () =>
    Effect.gen(function* () {
      const cache = yield* ResultCache.make({ freshMs: 1_000, maxAgeMs: 5_000 })
      expect(Option.isNone(yield* cache.lookup("k"))).toBe(true)
      yield* cache.store("k", [1], 3)
      yield* TestClock.adjust(999)
      expect(yield* cache.lookup("k")).toEqual(Option.some({ value: [1], ageMs: 999, fresh: true }))
      yield* TestClock.adjust(1)
      expect(yield* cache.lookup("k")).toEqual(Option.some({ value: [1], ageMs: 1_000, fresh: false }))
      yield* TestClock.adjust(4_001)
      expect(Option.isNone(yield* cache.lookup("k"))).toBe(true)
    })
  )

  it.effect("without a cache every call asks", () =>
    Effect.gen(function* () {
      const cache = yield* ResultCache.ResultCache
      yield* cache.store("k", 1, 1)
      expect(yield* cache.serve({ key: "k" }, Effect.succeed(2))).toEqual({ value: 2 })
    }).pipe(Effect.provide(ResultCache.layerNoop))
  )
})

describe("What counts as an outage", () => {
  const isOutage = (error: unknown) => Option.isSome(ResultCache.unreachable(error))

  it("is that the warehouse did not answer, and nothing else", () => {
    const outages = Reason.literals.filter((reason) =>
      isOutage(new WarehouseError({ reason, description: "", sent: "unknown" }))
    )
    expect(outages).toEqual([
      "LoginUnavailable",
      "Overloaded",
      "SessionLost",
      "Unreachable",
      "Protocol",
      "ServerFault"
    ])
    expect(isOutage(new CircuitOpen({ phase: "open", failures: 1, calls: 1, cause: "x" }))).toBe(true)
    expect(
      ResultCache.unreachable(
        new WarehouseError({ reason: "Overloaded", description: "", sent: "no", ownBound: true })
      )
    ).toEqual(Option.some("as many of the caller's own statements are under way as may be"))
    for (const of of ["attempt", "call"] as const) {
      expect(ResultCache.unreachable(deadline(of))).toEqual(
        Option.some("the warehouse did not answer in time")
      )
    }
    expect(ResultCache.unreachable(new DeadlineExceeded({ limitMs: 1, sent: false, of: "call" }))).toEqual(
      Option.some("the time of the call was over before it could ask the warehouse")
    )
    expect(isOutage({ _tag: "RateLimited" })).toBe(false)
    expect(isOutage(undefined)).toBe(false)
  })

  it("is a reduced mode of this server, with its reason", () => {
    const degraded = new Degraded({
      mode: "cache-only",
      criticality: "metadata",
      why: "it is night",
      signal: "operator",
      shed: false
    })
    expect(ResultCache.unreachable(degraded)).toEqual(
      Option.some("the server is in a reduced mode: it is night")
    )
  })
})
