/**
 * What the virtual warehouses of the account cost: per second while they run, a minute at least for each resume.
 *
 *     suspended --statement (auto-resume), resume--> running --no statement for `autoSuspendSeconds`--> suspended
 *
 * Beside the bill it says whose time it was: each moment in which statements run is divided equally among them; what is
 * left of the minute of a resume when the statement that caused it has ended is that statement's, and the others run in it
 * for nothing. The rest is idle time. State changes synchronously; times are milliseconds that never run backwards.
 */

/** One warehouse; by default one that always runs, of the smallest size. */
export interface Traits {
  /** `X-Small`, as `SHOW WAREHOUSES` has it. */
  readonly size?: string | undefined
  readonly type?: string | undefined
  readonly resourceConstraint?: string | undefined
  /** Seconds without a statement after which it is suspended; never when absent. */
  readonly autoSuspendSeconds?: number | undefined
  /** A statement resumes it. Default true. */
  readonly autoResume?: boolean | undefined
  /** It begins so. Default false. */
  readonly suspended?: boolean | undefined
}

export interface Bill {
  readonly warehouse: string
  readonly credits: number
  /** Credits of the time in which no statement ran, beyond the minute of a resume. */
  readonly idle: number
  readonly resumes: number
  /** Credits of the other time. */
  readonly by: Readonly<Record<string, number>>
}

/** A statement that runs. */
export interface Run {
  readonly warehouse: string
  readonly who: string
  /** It has resumed the warehouse. */
  readonly woke: boolean
}

export interface Billing {
  /** Undefined where the warehouse is suspended and a statement does not resume it. */
  readonly begin: (warehouse: string, who: string, now: number) => Run | undefined
  readonly end: (run: Run, now: number) => void
  /** By an operator; not while statements run. */
  readonly suspend: (warehouse: string, now: number) => void
  /** As a row of `SHOW WAREHOUSES`, without those columns that say whose it is. */
  readonly row: (warehouse: string, now: number) => Readonly<Record<string, string | null>>
  readonly bills: (now: number) => ReadonlyArray<Bill>
}

const sizes = [
  "X-Small",
  "Small",
  "Medium",
  "Large",
  "X-Large",
  "2X-Large",
  "3X-Large",
  "4X-Large",
  "5X-Large",
  "6X-Large"
]

const secondGeneration = "STANDARD_GEN_2"

/** Of types other than the standard one the account does not show what they cost: here, as much. */
const creditsPerHour = ({ resourceConstraint, size = "X-Small" }: Traits): number =>
  2 ** Math.max(0, sizes.indexOf(size)) * (resourceConstraint === secondGeneration ? 1.35 : 1)

const MINIMUM_MS = 60_000
const HOUR_MS = 3_600_000

interface State {
  readonly traits: Traits
  readonly creditsPerHour: number
  /** While it runs: since when, whether a statement resumed it, and that statement until it has ended. */
  period: { readonly from: number; readonly isResumed: boolean; resumer: Run | undefined } | undefined
  /** All before is billed and divided. */
  at: number
  idleSince: number
  /** The rest of the minute is paid for. */
  paidUntil: number
  readonly running: Set<Run>
  billedMs: number
  idleMs: number
  resumes: number
  readonly byMs: Map<string, number>
}

export const make = (warehouses: Readonly<Record<string, Traits>> = {}): Billing => {
  const states = new Map<string, State>()

  const stateOf = (warehouse: string, now: number): State => {
    const known = states.get(warehouse)
    if (known !== undefined) return known
    const traits = warehouses[warehouse] ?? {}
    const fresh: State = {
      traits,
      creditsPerHour: creditsPerHour(traits),
      period: traits.suspended === true ? undefined : { from: now, isResumed: false, resumer: undefined },
      at: now,
      idleSince: now,
      paidUntil: Number.NEGATIVE_INFINITY,
      running: new Set(),
      billedMs: 0,
      idleMs: 0,
      resumes: 0,
      byMs: new Map()
    }
    states.set(warehouse, fresh)
    return fresh
  }

  const charge = (state: State, who: string, ms: number): void => {
    state.byMs.set(who, (state.byMs.get(who) ?? 0) + ms)
  }

  /** Divides a time in which the same statements run and the warehouse is not suspended. */
  const divide = (state: State, to: number): void => {
    const ms = to - state.at
    if (ms <= 0) return
    state.billedMs += ms
    const unpaidMs = Math.max(0, to - Math.max(state.at, state.paidUntil))
    if (state.running.size === 0) state.idleMs += unpaidMs
    else for (const { who } of state.running) charge(state, who, unpaidMs / state.running.size)
    state.at = to
  }

  const stop = (state: State, at: number): void => {
    if (state.period === undefined) return
    divide(state, at)
    const { from, isResumed } = state.period
    // What is left of the minute is billed as well; whose it is was said when the statement ended.
    if (isResumed) state.billedMs += Math.max(0, from + MINIMUM_MS - at)
    state.period = undefined
  }

  /** Brings it up to date, and suspends it if its time is over. */
  const advance = (state: State, now: number): void => {
    if (state.period === undefined) {
      state.at = now
      return
    }
    const { autoSuspendSeconds } = state.traits
    const over =
      autoSuspendSeconds === undefined || state.running.size > 0
        ? Number.POSITIVE_INFINITY
        : state.idleSince + autoSuspendSeconds * 1000
    if (over <= now) {
      stop(state, over)
      state.at = now
    } else divide(state, now)
  }

  return {
    begin: (warehouse, who, now) => {
      const state = stateOf(warehouse, now)
      advance(state, now)
      const woke = state.period === undefined
      if (woke && state.traits.autoResume === false) return undefined
      const run: Run = { warehouse, who, woke }
      if (woke) {
        state.period = { from: now, isResumed: true, resumer: run }
        state.resumes += 1
        state.paidUntil = Number.NEGATIVE_INFINITY
      }
      state.running.add(run)
      return run
    },
    end: (run, now) => {
      const state = stateOf(run.warehouse, now)
      advance(state, now)
      if (!state.running.delete(run)) return
      state.idleSince = now
      if (state.period === undefined || state.period.resumer !== run) return
      state.period.resumer = undefined
      const until = state.period.from + MINIMUM_MS
      if (until <= now) return
      charge(state, run.who, until - now)
      state.paidUntil = until
    },
    suspend: (warehouse, now) => {
      const state = stateOf(warehouse, now)
      advance(state, now)
      if (state.running.size === 0) stop(state, now)
    },
    row: (warehouse, now) => {
      const state = stateOf(warehouse, now)
      advance(state, now)
      return {
        ...rowOf(warehouse, state.traits),
        state: state.period === undefined ? "SUSPENDED" : "STARTED",
        started_clusters: state.period === undefined ? "0" : "1",
        running: String(state.running.size)
      }
    },
    bills: (now) =>
      [...states].map(([warehouse, state]) => {
        advance(state, now)
        const credits = (ms: number): number => (ms * state.creditsPerHour) / HOUR_MS
        return {
          warehouse,
          credits: credits(state.billedMs),
          idle: credits(state.idleMs),
          resumes: state.resumes,
          by: Object.fromEntries([...state.byMs].map(([who, ms]) => [who, credits(ms)]))
        }
      })
  }
}

const rowOf = (
  name: string,
  { autoResume = true, autoSuspendSeconds, resourceConstraint, size = "X-Small", type = "STANDARD" }: Traits
): Readonly<Record<string, string | null>> => ({
  name,
  state: "STARTED",
  type,
  size,
  started_clusters: "1",
  running: "0",
  queued: "0",
  auto_suspend: autoSuspendSeconds === undefined ? null : String(autoSuspendSeconds),
  auto_resume: String(autoResume),
  resource_constraint: resourceConstraint ?? null
})
