import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as Lru from "../../../src/platform/core/Lru.js"
import { shortOrLong } from "../../utils/long.js"

interface Line {
  readonly key: string
  readonly value: number
  readonly bytes: number
}

/** The same table as a plain list, youngest last. */
const naive = (bounds: Lru.Bounds) => {
  let lines: ReadonlyArray<Line> = []
  const without = (key: string) => lines.filter((line) => line.key !== key)
  const bytes = (list: ReadonlyArray<Line>) => list.reduce((sum, line) => sum + line.bytes, 0)
  return {
    get: (key: string) => {
      const found = lines.find((line) => line.key === key)
      if (found !== undefined) lines = [...without(key), found]
      return found?.value
    },
    set: (line: Line) => {
      lines = without(line.key)
      if (line.bytes > bounds.maxBytes || bounds.maxEntries < 1) return
      lines = [...lines, line]
      while (lines.length > bounds.maxEntries || bytes(lines) > bounds.maxBytes) lines = lines.slice(1)
    },
    remove: (key: string) => void (lines = without(key)),
    keys: () => lines.map((line) => line.key),
    bytes: () => bytes(lines)
  }
}

const key = fc.constantFrom("a", "b", "c", "d", "e", "f")
const operation = fc.oneof(
  fc.record({ do: fc.constant("get" as const), key }),
  fc.record({ do: fc.constant("remove" as const), key }),
  fc.record({ do: fc.constant("set" as const), key, value: fc.nat(), bytes: fc.nat(60) })
)

describe("the table that forgets what was used longest ago", () => {
  it("agrees with a plain list and never exceeds its bounds", () => {
    const bounds = fc.record({ maxEntries: fc.nat(5), maxBytes: fc.nat(100) })
    fc.assert(
      fc.property(bounds, fc.array(operation, { maxLength: 80 }), (limits, operations) => {
        const lru = Lru.make<number>(limits)
        const model = naive(limits)
        for (const op of operations) {
          if (op.do === "get") expect(Lru.get(lru, op.key)).toBe(model.get(op.key))
          if (op.do === "remove") {
            Lru.remove(lru, op.key)
            model.remove(op.key)
          }
          if (op.do === "set") {
            Lru.set(lru, op.key, op.value, op.bytes)
            model.set(op)
          }
          expect([...lru.entries.keys()]).toEqual(model.keys())
          expect(lru.bytes).toBe(model.bytes())
          expect(Lru.size(lru)).toBeLessThanOrEqual(limits.maxEntries)
          expect(lru.bytes).toBeLessThanOrEqual(limits.maxBytes)
        }
      }),
      { numRuns: shortOrLong(60, 300) }
    )
  })

  it("keeps neither a value that is too heavy nor the one it would have replaced", () => {
    const lru = Lru.make<string>({ maxEntries: 3, maxBytes: 10 })
    Lru.set(lru, "a", "old", 5)
    expect(Lru.set(lru, "a", "new", 11)).toBe(false)
    expect(Lru.get(lru, "a")).toBeUndefined()
    expect(Lru.set(lru, "a", "new", Number.NaN)).toBe(false)
    expect(lru.bytes).toBe(0)
  })

  it("counts what was pushed out by others", () => {
    const lru = Lru.make<number>({ maxEntries: 2, maxBytes: 100 })
    for (const name of ["a", "b", "b", "c", "d"]) Lru.set(lru, name, 0, 1)
    expect(lru.evicted).toBe(2)
  })
})
