/** The headline: the state in a sentence, what it means for callers, and what else is wrong. */
import type { Snapshot } from "../../operate/Snapshot.js"
import type { Mood } from "./dom.js"
import { fullness } from "./dom.js"
import * as Format from "./format.js"

export interface Headline {
  readonly mood: Mood
  readonly words: string
  /** What becomes of calls. */
  readonly served: string
}

/** A state in a word or two, and how bad it is. */
export type State = readonly [mood: Mood, words: string]

/** Does a call that needs the warehouse reach it? */
type Reach = "called" | "probed" | "off"

const reachOf = ({ circuit: { next_probe_in_ms, phase } }: Snapshot): Reach => {
  switch (phase) {
    case "closed":
    case "disabled":
      return "called"
    case "forced-open":
      return "off"
    case "half-open":
      return "probed"
    case "open":
      // Without a time the next call is the probe.
      return next_probe_in_ms === undefined ? "probed" : "off"
  }
}

const reaches: { readonly [R in Reach]: Mood } = { called: "good", probed: "warn", off: "bad" }

const isRemembering = ({ mode: { mode } }: Snapshot): boolean => mode === "cache-only" || mode === "emergency"

/** How bad it is for calls of the warehouse. */
export const circuit = (snapshot: Snapshot): Mood => reaches[reachOf(snapshot)]

/** How the warehouse is, and whether it is called: never better than the headline says. */
export const warehouse = (snapshot: Snapshot): State => {
  const { phase } = snapshot.circuit
  const reach = reachOf(snapshot)
  if (reach !== "off" && isRemembering(snapshot)) return ["warn", "Not called in this mode"]
  switch (reach) {
    case "off":
      return ["bad", phase === "forced-open" ? "Circuit held open: not called" : "Circuit open: not called"]
    case "probed":
      return ["warn", "Circuit half-open: being probed"]
    case "called":
      return phase === "disabled" ? ["warn", "No circuit breaker"] : ["good", "Healthy"]
  }
}

/** What is served. */
export const service = (snapshot: Snapshot): State => {
  if (snapshot.quota_store?.refusing === true) return ["bad", "Calls are refused"]
  if (isRemembering(snapshot)) return ["bad", "Cached answers only"]
  if (reachOf(snapshot) === "off") return ["bad", "Calls of the warehouse are refused"]
  const { mode, shedding } = snapshot.mode
  if (mode === "normal") return ["good", "Everything is served"]
  return ["warn", shedding > 0 ? "Some queries are turned away" : "Batch tiers are turned away"]
}

const served = (snapshot: Snapshot): string => {
  const { mode, shedding } = snapshot.mode
  if (snapshot.quota_store?.refusing === true) return "Calls are refused: what is used cannot be counted."
  if (isRemembering(snapshot)) return "Look-ups are answered from the cache, queries are refused."
  if (reachOf(snapshot) === "off") return "Every call of the warehouse is refused."
  if (mode === "normal") return "Every call is served within its limits."
  return shedding > 0
    ? `Look-ups are served; ${Format.percent(shedding)} of queries are turned away.`
    : "Look-ups and queries are served; queries of tiers with batch = true are turned away."
}

const ofReach = (snapshot: Snapshot): string => {
  const { phase } = snapshot.circuit
  switch (reachOf(snapshot)) {
    case "probed":
      return "Circuit half-open: the warehouse is being probed"
    case "off":
      return phase === "forced-open"
        ? "Circuit held open by an operator: the warehouse is not called"
        : "Circuit open: the warehouse is not called"
    case "called":
      return "There is no circuit breaker"
  }
}

export const headline = (snapshot: Snapshot): Headline => {
  const [ofWarehouse] = warehouse(snapshot)
  const [ofService, words] = service(snapshot)
  const more = served(snapshot)
  if (snapshot.quota_store?.refusing === true && ofWarehouse !== "bad") {
    return { mood: "bad", words: "The quota store is out of reach", served: more }
  }
  if (ofWarehouse === "good" && ofService === "good") return { mood: "good", words: "Healthy", served: more }
  return ofWarehouse === "bad" || (ofWarehouse === "warn" && ofService !== "bad")
    ? { mood: ofWarehouse, words: ofReach(snapshot), served: more }
    : { mood: ofService, words, served: more }
}

export type Concern = readonly [mood: Mood, words: string]

/** `in 21 min`, or nothing for a quota that never resets. */
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
    const gone = own.find(
      ({ limit, observed, used }) => observed !== true && limit !== undefined && used >= limit
    )
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

/** What an operator has to mend. */
const loginConcerns = ({ login, refused_users = [], trouble }: Snapshot): ReadonlyArray<Concern> =>
  refused_users.length > 0
    ? refused_users.map(({ reason, user }) => ["bad", `The login of ${user} is refused: ${reason}`])
    : login?.latched === true
      ? [
          login.only_some === true
            ? ["warn", "The login of some users is refused; callers with others are served"]
            : ["bad", `A login of the warehouse is refused: ${login.reason ?? "without a reason"}`]
        ]
      : trouble === undefined
        ? []
        : [[trouble.recovered_ms_ago === undefined ? "warn" : "good", troubleText(trouble)]]

/** What is over is told as that. */
const troubleText = ({
  code,
  description,
  ms_ago,
  recovered_ms_ago,
  user
}: NonNullable<Snapshot["trouble"]>): string => {
  const what = `${Format.duration(ms_ago)} ago${ofUser(user)}${code === undefined ? "" : `, ${code}`}: ${description}`
  return recovered_ms_ago === undefined
    ? `${what} It goes on, as far as is known.`
    : `Over since ${Format.duration(recovered_ms_ago)}. ${what}`
}

const ofUser = (user: string | undefined): string => (user === undefined ? "" : `, for ${user}`)

/** How many faults there are; for administrators which. */
const configConcerns = ({ config }: Snapshot): ReadonlyArray<Concern> => {
  if (config === undefined || config.faults === 0) return []
  const { faults, wrong = [`${Format.count(faults)} ${faults === 1 ? "fault" : "faults"}`] } = config
  return [
    [
      "warn",
      `The settings that were read last are wrong, and those before stay in force: ${wrong.join("; ")}`
    ]
  ]
}

/** Concerns that are listed; the cards have them all. */
const LISTED = 6

/** The worst first. */
export const concerns = (snapshot: Snapshot): ReadonlyArray<Concern> => {
  const { circuit, pools, quota_store, quotas_unavailable, rate_limits, backoff_factor } = snapshot
  const found: ReadonlyArray<Concern> = [
    ...loginConcerns(snapshot),
    ...storeConcern(quota_store),
    ...configConcerns(snapshot),
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
