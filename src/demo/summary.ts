/**
 * The figures of a rehearsal, and whether what it must show has been shown. Pure.
 *
 * @since 0.1.0
 */
import * as Outage from "../emulator/outage.js"
import type { Counts } from "./ledger.js"

/**
 * A change of the breaker.
 *
 * @since 0.1.0
 * @category models
 */
export interface Seen {
  readonly to: string
  readonly cause: string
  readonly phase: string
  readonly atMs: number
}

/**
 * A phase as it was, and the statements that reached the emulator in it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Arrived {
  readonly phase: string
  readonly fromMs: number
  readonly untilMs: number
  readonly statements: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Invariant {
  readonly name: string
  readonly held: boolean
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Figures {
  readonly phases: ReadonlyArray<Counts & { readonly name: string; readonly statements: number }>
  readonly transitions: ReadonlyArray<Seen>
  /** Statements that reached the emulator in the outage, for each call that no guard turned away in it. */
  readonly amplification: number
  /** ... and for each call that was made in it. */
  readonly load: number
  /** From the moment at which connections were accepted again to the breaker's closing. */
  readonly recoveredAfterMs: number | undefined
  readonly retries: number
  readonly leftRunning: number
  readonly unanswered: number
  readonly invariants: ReadonlyArray<Invariant>
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (seen: {
  /** By the phase that calls began in. */
  readonly counts: ReadonlyMap<string, Counts>
  readonly unanswered: number
  /** Broken statements that were sent before anything else went wrong, and the breaker's state after them. */
  readonly mistakes: { readonly made: number; readonly closed: boolean }
  readonly transitions: ReadonlyArray<Seen>
  readonly arrivals: ReadonlyArray<Arrived>
  readonly retries: number
  /** A search found something in the outage. */
  readonly isSearchable: boolean
  readonly leftRunning: number
}): Figures => {
  const { arrivals, isSearchable, leftRunning, mistakes, retries, transitions, unanswered } = seen
  const troubled = new Set(Outage.phases.flatMap(({ faults, name }) => (faults.length > 0 ? [name] : [])))
  const phases = arrivals.flatMap(({ phase: name, statements }) => {
    const counts = seen.counts.get(name)
    return counts === undefined ? [] : [{ name, statements, ...counts }]
  })
  const sum = (of: (phase: (typeof phases)[number]) => number) =>
    phases.reduce((total, phase) => total + (troubled.has(phase.name) ? of(phase) : 0), 0)
  const statements = sum((phase) => phase.statements)
  const issued = sum((phase) => phase.issued)
  const admitted = sum((phase) => phase.issued - phase.refused - phase.stale)
  const opened = transitions.filter(({ to }) => to === "open")
  const closed = transitions.findLast(({ to }) => to === "closed")
  const backAt = arrivals.find(({ phase }) => phase === "down")?.untilMs
  return {
    phases,
    transitions,
    amplification: admitted === 0 ? 0 : statements / admitted,
    load: issued === 0 ? 0 : statements / issued,
    recoveredAfterMs:
      closed === undefined || backAt === undefined ? undefined : Math.max(0, closed.atMs - backAt),
    retries,
    leftRunning,
    unanswered,
    invariants: [
      { name: "every call was answered", held: unanswered === 0 },
      {
        name: `${mistakes.made} broken statements in a row did not open the breaker, nor did any later`,
        held: mistakes.made > 0 && mistakes.closed && opened.every(({ phase }) => troubled.has(phase))
      },
      { name: "the breaker opened in the outage", held: opened.length > 0 },
      { name: "the breaker closed after it", held: transitions.at(-1)?.to === "closed" },
      { name: "names of tables and columns were found in the outage", held: isSearchable },
      { name: "no statement was left running", held: leftRunning === 0 }
    ]
  }
}
