/**
 * Where broken invariants are reported. It keeps the first few of each rule: what follows from a broken
 * invariant is mostly broken too.
 */
import type { Effect } from "effect"
import type { VirtualClock } from "../VirtualClock.js"

export interface Violation {
  readonly rule: string
  /** Milliseconds since the start of the simulation. */
  readonly atMs: number
  readonly detail: string
}

export interface Court {
  readonly report: (rule: string, detail: string) => void
  readonly violations: ReadonlyArray<Violation>
  /** All of them, also those that were not kept. */
  readonly count: () => number
  readonly now: () => number
  readonly nowMicros: () => number
  /** Equal for what happened in one go. */
  readonly moment: () => number
  /**
   * Do fibers run until they wait for something? If they yield anywhere, the order in which things
   * happen between two taps is not ours to know.
   */
  readonly orderly: boolean
  /** A tapped step and the note that is taken of it: no other step comes between, however often fibers yield. */
  readonly atomically: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

const KEPT_PER_RULE = 3

export const make = (
  time: VirtualClock,
  { atomically, orderly }: Pick<Court, "atomically" | "orderly">
): Court => {
  const violations: Array<Violation> = []
  const byRule = new Map<string, number>()
  let count = 0
  return {
    report: (rule, detail) => {
      count += 1
      const seen = byRule.get(rule) ?? 0
      byRule.set(rule, seen + 1)
      if (seen < KEPT_PER_RULE) violations.push({ rule, atMs: time.now(), detail })
    },
    violations,
    count: () => count,
    now: time.now,
    nowMicros: time.nowMicros,
    moment: time.moment,
    orderly,
    atomically
  }
}
