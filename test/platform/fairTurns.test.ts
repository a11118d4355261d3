import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as FairTurns from "../../src/platform/fairTurns.js"

/** An event loop that goes on when it is told to, and a clock that goes on with the work. */
const loop = () => {
  let now = 0
  let soon: Array<() => void> = []
  let later: Array<() => void> = []
  const turns = FairTurns.make({
    now: () => now,
    soon: (drain) => soon.push(drain),
    later: (drain) => later.push(drain)
  })
  const drain = (jobs: Array<() => void>) => {
    for (const job of jobs) job()
  }
  return {
    turns,
    works: (ms: number) => {
      now += ms
    },
    /** What runs before the sockets are looked at. */
    settle: () => {
      while (soon.length > 0) {
        const jobs = soon
        soon = []
        drain(jobs)
      }
    },
    /** Sockets were looked at. */
    next: () => {
      const jobs = later
      later = []
      drain(jobs)
    },
    isIdle: () => soon.length === 0 && later.length === 0
  }
}

describe("turns of the event loop", () => {
  it("are given up after a millisecond, so that sockets are looked at, and go on after that", () => {
    const { isIdle, next, settle, turns, works } = loop()
    let done = 0
    for (let i = 0; i < 100; i++) {
      turns.run("a", () => {
        works(0.25)
        done += 1
      })
    }
    settle()
    assert.strictEqual(done, 4)
    next()
    assert.strictEqual(done, 8)
    for (let i = 0; i < 23; i++) next()
    assert.strictEqual(done, 100)
    next()
    settle()
    assert.isTrue(isIdle())
  })

  it("a client that has just asked does not wait until the sockets are looked at again", () => {
    const { settle, turns, works } = loop()
    for (let i = 0; i < 100; i++) turns.run("busy", () => works(0.5))
    settle()
    let isServed = false
    turns.run("rare", () => (isServed = true))
    settle()
    assert.isTrue(isServed)
  })

  it("of all clients together end too", () => {
    const { next, settle, turns, works } = loop()
    const served = new Map<number, number>()
    for (let client = 0; client < 100; client++) {
      for (let i = 0; i < 10; i++) {
        turns.run(`${client}`, () => {
          works(0.5)
          served.set(client, (served.get(client) ?? 0) + 1)
        })
      }
    }
    settle()
    const all = () => [...served.values()].reduce((sum, count) => sum + count, 0)
    assert.strictEqual(all(), 8)
    for (let i = 1; i < 13; i++) next()
    // Each had one before anybody had a second.
    assert.strictEqual(served.size, 100)
    assert.isAtMost(Math.max(...served.values()), 2)
  })

  it("go on after work that threw", () => {
    const { next, settle, turns } = loop()
    let done = 0
    turns.run("a", () => {
      throw new Error("broken")
    })
    turns.run("a", () => (done += 1))
    assert.throws(settle, "broken")
    next()
    assert.strictEqual(done, 1)
    turns.run("a", () => (done += 1))
    settle()
    assert.strictEqual(done, 2)
  })

  it("are taken by fibers: a few steps of one client are not behind all those of another", () => {
    const { next, settle, turns, works } = loop()
    const steps = { busy: 0, rare: 0 }
    const fiber = (client: keyof typeof steps, count: number) =>
      Effect.runFork(
        FairTurns.of(
          turns,
          client
        )(
          Effect.repeatN(
            Effect.suspend(() => {
              works(0.1)
              steps[client] += 1
              return Effect.yieldNow()
            }),
            count - 1
          )
        )
      )
    for (let i = 0; i < 50; i++) fiber("busy", 1_000)
    settle()
    const before = steps.busy
    fiber("rare", 200)
    for (let turn = 0; steps.rare < 200; turn++) {
      assert.isBelow(turn, 10_000)
      next()
      settle()
    }
    // With every fiber in its turn it would have been 50 for one.
    assert.isAtMost(steps.busy - before, 250)
  })
})
