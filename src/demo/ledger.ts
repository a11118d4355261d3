/**
 * What became of the calls of a rehearsal, counted by phase and for the line of the moment. Plain mutable
 * state: every step is synchronous.
 *
 * @since 0.1.0
 */
import type { Answer } from "./client.js"

/**
 * `failed`: the warehouse or the statement was the reason, not a guard.
 *
 * @since 0.1.0
 * @category models
 */
export interface Counts {
  issued: number
  answered: number
  stale: number
  refused: number
  failed: number
  readonly codes: { [code: string]: number }
}

const empty = (): Counts => ({ issued: 0, answered: 0, stale: 0, refused: 0, failed: 0, codes: {} })

/** A guard said no, and nothing was sent. */
const guards = new Set([
  "RATE_LIMITED",
  "OVERLOADED",
  "QUOTA_EXCEEDED",
  "QUOTA_STORE_UNAVAILABLE",
  "SCAN_BUDGET_EXCEEDED",
  "WAREHOUSE_SUSPENDED",
  "CIRCUIT_OPEN",
  "DEGRADED",
  "REPEATED_FAILURE",
  "STATEMENT_REJECTED",
  "INVALID_INPUT"
])

/**
 * @since 0.1.0
 * @category models
 */
export interface Ledger {
  /** A call begins; the result is told how it ended. */
  readonly begin: (phase: string) => (answer: Answer) => void
  /** By the phase that calls began in. */
  readonly phases: ReadonlyMap<string, Counts>
  /** What has ended since the last time this was asked. */
  readonly take: () => Counts
  /** Calls without an answer yet: all of them, or those that began in a phase. */
  readonly inFlight: (phase?: string) => number
  /** The first text of each code, once. */
  readonly news: () => ReadonlyArray<{ readonly code: string; readonly text: string }>
}

/**
 * The warehouse was asked, and the statement was at fault.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isMistake = (answer: Answer): boolean =>
  answer._tag === "Refused" &&
  (answer.code === "WAREHOUSE_INVALID_STATEMENT" || answer.code === "WAREHOUSE_NOT_FOUND")

const count = (counts: Counts, answer: Answer): void => {
  if (answer._tag === "Answered") {
    if (answer.content["stale"] === true) counts.stale += 1
    else counts.answered += 1
    return
  }
  counts.codes[answer.code] = (counts.codes[answer.code] ?? 0) + 1
  if (guards.has(answer.code)) counts.refused += 1
  else counts.failed += 1
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (): Ledger => {
  const phases = new Map<string, Counts>()
  const told = new Set<string>()
  let news: Array<{ readonly code: string; readonly text: string }> = []
  let moment = empty()
  const inFlight = new Map<string, number>()
  const add = (phase: string, by: number) => inFlight.set(phase, (inFlight.get(phase) ?? 0) + by)
  return {
    begin: (phase) => {
      const counts = phases.get(phase) ?? empty()
      phases.set(phase, counts)
      counts.issued += 1
      add(phase, 1)
      return (answer) => {
        add(phase, -1)
        count(counts, answer)
        count(moment, answer)
        if (answer._tag === "Refused" && !told.has(answer.code)) {
          told.add(answer.code)
          news.push({ code: answer.code, text: answer.text })
        }
      }
    },
    phases,
    take: () => {
      const taken = moment
      moment = empty()
      return taken
    },
    inFlight: (phase) =>
      phase === undefined
        ? [...inFlight.values()].reduce((sum, calls) => sum + calls, 0)
        : (inFlight.get(phase) ?? 0),
    news: () => {
      const taken = news
      news = []
      return taken
    }
  }
}
