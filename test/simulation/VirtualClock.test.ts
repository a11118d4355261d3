import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as Random from "./Random.js"
import * as VirtualClock from "./VirtualClock.js"

const world = () => {
  const time = VirtualClock.make()
  const log: Array<string> = []
  const fork = <A>(effect: Effect.Effect<A>) =>
    Effect.runFork(Effect.withClock(effect, time.clock), { scheduler: time.scheduler })
  const note = (text: string) => Effect.sync(() => void log.push(`${text} ${time.now()}`))
  return { time, log, fork, note }
}

describe("VirtualClock", () => {
  it("sleepers wake in the order of their deadlines, those with the same one as they fell asleep", () => {
    const { fork, log, note, time } = world()
    for (const [name, ms] of [
      ["d", 20],
      ["a", 10],
      ["b", 10],
      ["e", 20.5],
      ["c", 10]
    ] as const)
      fork(Effect.zipRight(Effect.sleep(ms), note(name)))
    time.runUntil(100)
    assert.deepStrictEqual(log, ["a 10", "b 10", "c 10", "d 20", "e 20.5"])
    assert.strictEqual(time.now(), 100)
  })

  it("time stands still until nothing more can be done", () => {
    const { fork, log, note, time } = world()
    fork(
      Effect.gen(function* () {
        yield* Effect.sleep(5)
        for (let i = 0; i < 100; i++) yield* Effect.yieldNow()
        const fiber = yield* Effect.fork(Effect.zipRight(Effect.yieldNow(), note("child")))
        yield* Fiber.join(fiber)
        yield* note("parent")
      })
    )
    time.after(6, () => log.push("later"))
    time.runUntil(10)
    assert.deepStrictEqual(log, ["child 5", "parent 5", "later"])
  })

  it("what is due at the same instant is woken before any of it runs", () => {
    const { fork, log, note, time } = world()
    const sleeper = fork(
      Effect.onInterrupt(Effect.zipRight(Effect.sleep(10), note("woken")), () => note("interrupted"))
    )
    time.after(10, () => sleeper.unsafeInterruptAsFork(sleeper.id()))
    time.runUntil(10)
    assert.strictEqual(log.length, 1)
  })

  it("an interrupted sleep is forgotten, and one without end does not keep the simulation going", () => {
    const { fork, time } = world()
    const fiber = fork(Effect.sleep(1_000))
    fork(Effect.sleep(Infinity))
    time.runUntil(1)
    assert.strictEqual(time.sleepers(), 1)
    fiber.unsafeInterruptAsFork(fiber.id())
    time.runUntil(2)
    assert.strictEqual(time.sleepers(), 0)
    const instants = time.instants()
    time.runUntil(10_000)
    assert.strictEqual(time.instants(), instants)
  })

  it("deadlines that are reached in the same instant as they are set do not wait for the next one", () => {
    const { log, time } = world()
    time.after(3, () => time.after(0, () => log.push(`now ${time.now()}`)))
    time.after(3, () => time.cancel(time.after(0, () => log.push("never"))))
    time.runUntil(3)
    assert.deepStrictEqual(log, ["now 3"])
  })

  it("the monotonic clock is exact to the microsecond and is not the wall clock", () => {
    const { time } = world()
    time.runUntil(1234.567)
    assert.strictEqual(time.clock.unsafeCurrentTimeNanos(), 1_234_567_000n)
    assert.strictEqual(time.clock.unsafeCurrentTimeMillis(), VirtualClock.wallClockOrigin + 1234)
  })

  it("a thousand sleepers in any order wake in order", () => {
    const { fork, time } = world()
    const random = Random.stream(1, "sleepers")
    const woken: Array<number> = []
    for (let i = 0; i < 1_000; i++) {
      const ms = random.integer(1, 200)
      fork(Effect.map(Effect.sleep(ms), () => woken.push(ms * 1_000 + i)))
    }
    time.runUntil(200)
    assert.deepStrictEqual(
      woken,
      [...woken].sort((a, b) => a - b)
    )
    assert.strictEqual(woken.length, 1_000)
  })
})

describe("Random", () => {
  it("a stream is a function of the seed and of its name", () => {
    const draw = (seed: number, name: string) => {
      const stream = Random.stream(seed, name)
      return [stream.next(), stream.next(), stream.integer(1, 6)]
    }
    assert.deepStrictEqual(draw(1, "a"), draw(1, "a"))
    assert.notDeepEqual(draw(1, "a"), draw(1, "b"))
    assert.notDeepEqual(draw(1, "a"), draw(2, "a"))
  })
})
