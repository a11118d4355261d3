/** The state in a sentence, what it means for who calls, and what else is wrong: read first, and first read. */
import type { Snapshot } from "../../internal/operatorModel.js"
import type { Mood } from "./dom.js"
import { fullness } from "./dom.js"
import * as Format from "./format.js"

export interface Headline {
  readonly mood: Mood
  readonly words: string
  /** What becomes of calls. */
  readonly served: string
}

type Phase = Snapshot["circuit"]["phase"]

export const phases: { readonly [P in Phase]: readonly [Mood, string] } = {
  closed: ["good", "Called normally"],
  "half-open": ["warn", "Being tried again"],
  open: ["bad", "Not called: it fails"],
  "forced-open": ["bad", "Not called: held open"],
  disabled: ["warn", "Called without a breaker"]
}

export const modes: { readonly [M in Snapshot["mode"]["mode"]]: readonly [Mood, string] } = {
  normal: ["good", "Everything is served"],
  constrained: ["warn", "Some queries are turned away"],
  "cache-only": ["bad", "Only remembered answers"],
  emergency: ["bad", "Only remembered answers"]
}

const ofPhase: { readonly [P in Phase]: string } = {
  closed: "",
  "half-open": "The warehouse is being tried again",
  open: "The warehouse fails and is not called",
  "forced-open": "The warehouse is not called: an operator holds it off",
  disabled: "The circuit breaker is switched off"
}

const served = ({ circuit, mode, quota_store }: Snapshot): string => {
  if (quota_store?.refusing === true) return "Calls are refused: what is used cannot be counted."
  switch (mode.mode) {
    case "normal":
      return circuit.phase === "open" || circuit.phase === "forced-open"
        ? "Every call of the warehouse is refused."
        : "Every call is served within its limits."
    case "constrained":
      return mode.shedding > 0
        ? `Look-ups are served; ${Format.percent(mode.shedding)} of queries are turned away.`
        : "Look-ups and queries are served, batch work is not."
    case "cache-only":
    case "emergency":
      return "Look-ups are answered from memory, queries are refused."
  }
}

export const headline = (snapshot: Snapshot): Headline => {
  const { circuit, mode } = snapshot
  const [circuitMood] = phases[circuit.phase]
  const [modeMood, modeWords] = modes[mode.mode]
  const more = served(snapshot)
  if (snapshot.quota_store?.refusing === true && circuitMood !== "bad") {
    return { mood: "bad", words: "The quota store is out of reach", served: more }
  }
  if (circuitMood === "good" && modeMood === "good") {
    return { mood: "good", words: "Serving normally", served: more }
  }
  const ofCircuit = circuitMood === "bad" || (circuitMood === "warn" && modeMood !== "bad")
  return ofCircuit
    ? { mood: circuitMood, words: ofPhase[circuit.phase], served: more }
    : { mood: modeMood, words: modeWords, served: more }
}

export type Concern = readonly [mood: Mood, words: string]

/** `in 21 min`, or nothing for who never resets. */
export const until = (resetsAt: string, now: number): string => {
  const ms = Date.parse(resetsAt) - now
  return Number.isFinite(ms) ? `in ${Format.duration(Math.max(0, ms))}` : ""
}

/** Of the last calls, and at least of so many: fewer mean nothing. */
const MANY_FAILED = 0.1
const ENOUGH_CALLS = 10

const failureConcern = ({ calls, failures }: Snapshot["circuit"]): ReadonlyArray<Concern> =>
  calls < ENOUGH_CALLS || failures < calls * MANY_FAILED
    ? []
    : [["warn", `${Format.count(failures)} of the last ${Format.count(calls)} calls of the warehouse failed`]]

const quotaConcerns = ({ at, clients = [], quotas }: Snapshot): ReadonlyArray<Concern> => [
  ...quotas.flatMap(({ limit, quota, resets_at, used }): ReadonlyArray<Concern> => {
    if (limit === undefined) return []
    const mood = fullness(used / limit)
    if (mood === "good") return []
    return [
      [
        mood,
        `Shared quota of ${Format.words(quota)}: ${Format.percent(used / limit)} used, resets ${until(resets_at, at)}`
      ]
    ]
  }),
  ...clients.flatMap(({ client, quotas: own }): ReadonlyArray<Concern> => {
    const gone = own.find(({ limit, used }) => limit !== undefined && used >= limit)
    if (gone === undefined) return []
    return [
      ["warn", `${client} has no ${Format.words(gone.quota)} left, resets ${until(gone.resets_at, at)}`]
    ]
  })
]

const storeConcern = (store: Snapshot["quota_store"]): ReadonlyArray<Concern> => {
  if (store === undefined || store.mode === "normal") return []
  const { lasting, mode, reason = "it does not answer", refusing } = store
  const where =
    mode === "memory"
      ? "Quotas are counted in this process's memory alone"
      : "The quota store is out of reach"
  return [[refusing ? "bad" : "warn", `${where}: ${reason}${lasting ? " (an operator has to mend it)" : ""}`]]
}

/** Concerns that are listed; the cards have them all. */
const LISTED = 6

/** The worst first. */
export const concerns = (snapshot: Snapshot): ReadonlyArray<Concern> => {
  const { circuit, pools, quota_store, quotas_unavailable, rate_limits, backoff_factor } = snapshot
  const found: ReadonlyArray<Concern> = [
    ...storeConcern(quota_store),
    ...(quotas_unavailable === undefined || (quota_store !== undefined && quota_store.mode !== "normal")
      ? []
      : [["bad", `Quotas are not known: ${quotas_unavailable}`] as const]),
    ...pools.flatMap(({ in_use, pool, queued, slots }): ReadonlyArray<Concern> => {
      const waiting = queued === 0 ? "" : `, ${Format.count(queued)} wait`
      if (in_use >= slots) return [["bad", `All ${slots} slots for ${pool} are taken${waiting}`]]
      return queued === 0 ? [] : [["warn", `${Format.count(queued)} wait for a slot for ${pool}`]]
    }),
    ...failureConcern(circuit),
    ...(backoff_factor > 1
      ? [["warn", `The warehouse pushes calls back: retries wait ${backoff_factor} times as long`] as const]
      : []),
    ...rate_limits.flatMap(({ burst, name, remaining }): ReadonlyArray<Concern> =>
      remaining > burst * 0.05
        ? []
        : [["warn", `The rate limit of ${name === undefined ? "all calls" : `${name} calls`} is used up`]]
    ),
    ...quotaConcerns(snapshot)
  ]
  const sorted = [...found.filter(([mood]) => mood === "bad"), ...found.filter(([mood]) => mood !== "bad")]
  const more = sorted.length - LISTED
  return more > 0 ? [...sorted.slice(0, LISTED), ["warn", `and ${more} more`]] : sorted
}
