import { describe, expect, it } from "@effect/vitest"
import { Cause, Clock, Deferred, Effect, Exit, Fiber, FiberId, TestClock } from "effect"
import * as Step from "../../src/internal/step.js"
import * as TimeLimits from "../../src/internal/timeLimits.js"

/** Takes a step in place, as the guard does. */
const within = <A, E>(f: (moment: Step.Moment) => Effect.Effect<A, E>): Effect.Effect<A, E> => Step.masked(f)

const settle = Effect.repeatN(Effect.yieldNow(), 20)

describe("a step", () => {
  it.effect("is an ordinary effect to whoever runs it", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust(1_500)
      const step = Step.make(({ now, wall }) => Exit.succeed([now, wall]))
      expect(yield* step).toEqual([1_500, 1_500])
      expect(yield* Effect.map(step, ([now]) => now)).toBe(1_500)
      expect(yield* Effect.flip(Step.make(() => Exit.fail("no")))).toBe("no")
      const exit = yield* Effect.exit(
        Step.make(() => {
          throw new Error("bug")
        })
      )
      expect(Exit.isFailure(exit) && Cause.isDie(exit.cause)).toBe(true)
    })
  )

  it.effect("reads the clock once for all that happens at once, and again after a wait", () =>
    Effect.gen(function* () {
      const times: Array<number> = []
      const note = Step.make(({ now }) => Exit.succeed(void times.push(now)))
      const fiber = yield* Effect.fork(
        within((moment) =>
          Step.andThen(moment, note, () =>
            Step.andThen(moment, Effect.sleep(1_000), () => Step.andThen(moment, note, () => Exit.void))
          )
        )
      )
      yield* settle
      yield* TestClock.adjust(1_000)
      yield* Fiber.join(fiber)
      expect(times).toEqual([0, 1_000])
    })
  )

  it.effect("cleans up behind whatever throws, in place or not", () =>
    Effect.gen(function* () {
      for (const before of [Effect.void, Effect.yieldNow()]) {
        let cleaned = 0
        const exit = yield* Effect.exit(
          within((moment) =>
            Step.ensuring(
              moment,
              Step.make(() =>
                Step.andThen(moment, before, () => {
                  throw new Error("bug")
                })
              ),
              () => Step.make(() => Exit.succeed(void cleaned++))
            )
          )
        )
        expect(Exit.isFailure(exit) && Cause.isDie(exit.cause)).toBe(true)
        expect(cleaned).toBe(1)
      }
    })
  )

  it.effect("keeps its own end and that of what cleans up behind it", () =>
    Effect.gen(function* () {
      const ended = (end: Effect.Effect<number, string>, after: Effect.Effect<void, string>) =>
        Effect.exit(within((moment) => Step.ensuring(moment, end, () => after)))
      const one = Effect.zipRight(Effect.yieldNow(), Effect.succeed(1))
      for (const end of [Effect.succeed(1), one]) {
        expect(yield* ended(end, Effect.void)).toEqual(Exit.succeed(1))
        expect(yield* ended(end, Effect.fail("after"))).toEqual(Exit.fail("after"))
      }
      const both = yield* ended(Effect.fail("end"), Effect.fail("after"))
      expect(both).toEqual(Exit.failCause(Cause.sequential(Cause.fail("end"), Cause.fail("after"))))
    })
  )

  it.effect("that holds something is not taken in place where what follows could be interrupted", () =>
    Effect.gen(function* () {
      let held = 0
      const gate = yield* Deferred.make<void>()
      const holding = Step.masked((moment) => {
        held++
        return Step.ensuring(moment, moment.restore(Deferred.await(gate)), () =>
          Effect.sync(() => void held--)
        )
      })
      const outer = Step.make((moment) => Step.andThen(moment, holding, () => Exit.void))
      const asWork = within((moment) => Step.restored(moment, outer))
      for (const call of [outer, asWork, within((moment) => Step.restored(moment, holding))]) {
        for (let budget = 12; budget < 40; budget++) {
          const fiber = yield* Effect.fork(Effect.withMaxOpsBeforeYield(call, budget))
          for (let turn = 0; turn < budget % 7; turn++) yield* Effect.yieldNow()
          yield* Fiber.interrupt(fiber)
          expect(held).toBe(0)
        }
      }
    })
  )
})

describe("an attempt that waits for nothing", () => {
  it.scoped("needs no fiber and sets no time limit, one that waits has both", () =>
    Effect.gen(function* () {
      const limits = yield* TimeLimits.make
      const here = yield* Effect.fiberId
      const run = (work: Effect.Effect<unknown>) =>
        limits.withinHolding(1_000, (_, moment) => Step.restored(moment, work), {
          begin: () => 0,
          late: Effect.void,
          error: () => "late"
        })
      const fiberOf = Step.make(({ fiber }) => Exit.succeed(fiber.id()))
      // Fibers are numbered one after the other.
      const next = () => FiberId.unsafeMake().id
      const before = next()
      expect(yield* run(fiberOf)).toEqual(here)
      expect(next()).toBe(before + 1)
      expect(yield* run(Effect.zipRight(Effect.yieldNow(), Effect.fiberId))).not.toEqual(here)
      const waiting = yield* Effect.fork(Effect.flip(run(Effect.never)))
      yield* settle
      expect(yield* limits.size).toBe(1)
      yield* TestClock.adjust(1_000)
      expect(yield* Fiber.join(waiting)).toBe("late")
      expect(yield* limits.size).toBe(0)
      expect(yield* Clock.currentTimeMillis).toBe(1_000)
    })
  )
})
