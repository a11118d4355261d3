import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as LoopGuard from "../../../src/guard/core/LoopGuard.js"
import * as Lru from "../../../src/platform/core/Lru.js"
import { shortOrLong } from "../../utils/long.js"

const config: LoopGuard.Config = { failures: 3, windowMs: 60_000 }
const roomy: Lru.Bounds = { maxEntries: 100, maxBytes: 100_000 }

interface Event {
  readonly at: number
  readonly kind: string
}

/** From the definition, over the whole history of a key: `ok` is a success, all else a kind of failure. */
const blocked = (events: ReadonlyArray<Event>, now: number): boolean => {
  const last = events[events.length - 1]
  if (last === undefined || last.kind === "ok") return false
  const others = events.map((event) => event.kind !== last.kind).lastIndexOf(true)
  const row = events.slice(others + 1)
  const first = row[row.length - config.failures]
  return first !== undefined && last.at - first.at < config.windowMs && now - last.at < config.windowMs
}

describe("the guard against retry loops", () => {
  it("agrees with the definition, calls in flight included", () => {
    const event = fc.record({
      after: fc.oneof(fc.nat(3), fc.integer({ min: 0, max: 40_000 }), fc.constant(60_000)),
      key: fc.constantFrom("a", "b"),
      result: fc.constantFrom("NotFound", "NotFound", "NotFound", "Permission", "ok", "none")
    })
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (list) => {
        const state = LoopGuard.make<LoopGuard.Failure>(roomy)
        const history: { [key: string]: Array<Event> } = { a: [], b: [] }
        let now = 0
        for (const { after, key, result } of list) {
          now += after
          const events = history[key] ?? []
          const answer = LoopGuard.check(state, now, config, key)
          expect(answer !== undefined).toBe(blocked(events, now))
          if (answer !== undefined) {
            expect(answer.failure.kind).toBe(events[events.length - 1]?.kind)
            expect(blocked(events, now + answer.retryAfterMs - 1)).toBe(true)
            expect(blocked(events, now + answer.retryAfterMs)).toBe(false)
          }
          // A call that was let in before may still end, whatever is decided now.
          if (result === "none") continue
          events.push({ at: now, kind: result })
          if (result === "ok") LoopGuard.succeeded(state, key)
          else LoopGuard.failed(state, now, config, key, { kind: result }, 10)
        }
      }),
      { numRuns: shortOrLong(100, 500) }
    )
  })

  it("says how often the statement was attempted", () => {
    const state = LoopGuard.make<LoopGuard.Failure>(roomy)
    for (let at = 0; at < 5; at++) LoopGuard.failed(state, at, config, "a", { kind: "NotFound" }, 10)
    for (let n = 0; n < 10; n++) LoopGuard.check(state, 5, config, "a")
    expect(LoopGuard.check(state, 5, config, "a")).toMatchObject({ attempts: 5, retryAfterMs: 59_999 })
  })

  it("evicts the least recently used entry", () => {
    const state = LoopGuard.make<LoopGuard.Failure>({ maxEntries: 2, maxBytes: 100 })
    const fail = (key: string, bytes = 10) => {
      for (let n = 0; n < 3; n++) LoopGuard.failed(state, 0, config, key, { kind: "NotFound" }, bytes)
    }
    const isBlocked = (key: string) => LoopGuard.check(state, 1, config, key) !== undefined
    for (const key of ["a", "b", "c"]) fail(key)
    expect([isBlocked("a"), isBlocked("b"), isBlocked("c")]).toEqual([false, true, true])
    fail("d", 95)
    expect([isBlocked("b"), isBlocked("c"), isBlocked("d")]).toEqual([false, false, true])
    expect(Lru.size(state)).toBe(1)
  })

  it("drops a key whose last failure is over", () => {
    const state = LoopGuard.make<LoopGuard.Failure>(roomy)
    LoopGuard.failed(state, 0, config, "a", { kind: "NotFound" }, 10)
    expect(LoopGuard.check(state, 60_000, config, "a")).toBeUndefined()
    expect(Lru.size(state)).toBe(0)
  })
})
