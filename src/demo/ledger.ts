/**
 * What became of the calls of a rehearsal, counted by phase and for the line of the moment.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import { outcomeOf } from "../observe/Activity.js"
import type { Answer } from "./client.js"

/**
 * `failed`: the warehouse or the statement was the reason, not a guard.
 *
 * @since 0.1.0
 * @category models
 */
export interface Counts {
  readonly issued: number
  readonly answered: number
  readonly stale: number
  readonly refused: number
  readonly failed: number
  readonly codes: { readonly [code: string]: number }
}

const empty: Counts = { issued: 0, answered: 0, stale: 0, refused: 0, failed: 0, codes: {} }

interface News {
  readonly code: string
  readonly text: string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Ledger {
  /** A call begins; what it gives is run with how the call ended. */
  readonly begin: (phase: string) => Effect.Effect<(answer: Answer) => Effect.Effect<void>>
  /** By the phase that calls began in. */
  readonly phases: Effect.Effect<ReadonlyMap<string, Counts>>
  /** What has ended since the last time this was asked. */
  readonly take: Effect.Effect<Counts>
  /** Calls without an answer yet: all of them, or those that began in a phase. */
  readonly inFlight: (phase?: string) => Effect.Effect<number>
  /** The first text of each code, once. */
  readonly news: Effect.Effect<ReadonlyArray<News>>
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

/** A guard said no, and nothing was sent: a limit, or the gate. */
const isRefused = ({ code, mayHaveRun }: Answer & { readonly _tag: "Refused" }): boolean => {
  const outcome = outcomeOf(code, mayHaveRun)
  // Mistakes that the warehouse finds have reached it, although nothing has run.
  const isOfGate = outcome === "rejected" && !mayHaveRun && !code.startsWith("WAREHOUSE_")
  return outcome === "refused" || code === "QUOTA_STORE_UNAVAILABLE" || isOfGate
}

const counted = (counts: Counts, answer: Answer): Counts => {
  if (answer._tag === "Answered") {
    return answer.content["stale"] === true
      ? { ...counts, stale: counts.stale + 1 }
      : { ...counts, answered: counts.answered + 1 }
  }
  const { code } = answer
  const codes = { ...counts.codes, [code]: (counts.codes[code] ?? 0) + 1 }
  return isRefused(answer)
    ? { ...counts, codes, refused: counts.refused + 1 }
    : { ...counts, codes, failed: counts.failed + 1 }
}

interface State {
  readonly phases: ReadonlyMap<string, Counts>
  readonly inFlight: ReadonlyMap<string, number>
  readonly moment: Counts
  /** Codes whose text was told, or is among the news. */
  readonly told: ReadonlySet<string>
  readonly news: ReadonlyArray<News>
}

const begun = (state: State, phase: string): State => {
  const counts = state.phases.get(phase) ?? empty
  return {
    ...state,
    phases: new Map(state.phases).set(phase, { ...counts, issued: counts.issued + 1 }),
    inFlight: new Map(state.inFlight).set(phase, (state.inFlight.get(phase) ?? 0) + 1)
  }
}

const ended = (state: State, phase: string, answer: Answer): State => ({
  phases: new Map(state.phases).set(phase, counted(state.phases.get(phase) ?? empty, answer)),
  inFlight: new Map(state.inFlight).set(phase, (state.inFlight.get(phase) ?? 0) - 1),
  moment: counted(state.moment, answer),
  ...(answer._tag === "Answered" || state.told.has(answer.code)
    ? { told: state.told, news: state.news }
    : {
        told: new Set(state.told).add(answer.code),
        news: [...state.news, { code: answer.code, text: answer.text }]
      })
})

/**
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Ledger> = Effect.map(
  Ref.make<State>({ phases: new Map(), inFlight: new Map(), moment: empty, told: new Set(), news: [] }),
  (ref) => ({
    begin: (phase) =>
      Effect.as(
        Ref.update(ref, (state) => begun(state, phase)),
        (answer) => Ref.update(ref, (state) => ended(state, phase, answer))
      ),
    phases: Effect.map(Ref.get(ref), ({ phases }) => phases),
    take: Ref.modify(ref, (state) => [state.moment, { ...state, moment: empty }]),
    inFlight: (phase) =>
      Effect.map(Ref.get(ref), ({ inFlight }) =>
        phase === undefined
          ? [...inFlight.values()].reduce((sum, calls) => sum + calls, 0)
          : (inFlight.get(phase) ?? 0)
      ),
    news: Ref.modify(ref, (state) => [state.news, { ...state, news: [] }])
  })
)
