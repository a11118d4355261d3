/**
 * What is told to operators, of what, and when: changes of the server become events, and each receiver gets of each
 * kind and subject at most one in an interval.
 *
 * ```
 *   event ──> due? ──yes──> outbox (bounded; the oldest is dropped) ──> sent, again until it is taken
 *               '──no──> waits for the end of the interval; a later one of its kind takes its place
 * ```
 *
 * Invariants
 * 1. Of a kind and subject no two are told within `intervalMs`, and the last one is always told: at once, or when the
 *    interval is over. What it took the place of is counted. (Early where there are too many subjects.)
 * 2. At most `MAX_SUBJECTS` intervals and `capacity` events are remembered. What does not fit is counted in `dropped`
 *    until that is told.
 *
 * The tables are updated in place, for one owner. Times are monotonic milliseconds, save `at`.
 */
import type { Event } from "../../platform/core/Events.js"
import { listed } from "../../platform/core/format.js"

/** An event, and when it happened: wall clock, milliseconds since 1970. */
export interface Stamped {
  readonly event: Event
  readonly at: number
}

/** What one request says. */
export interface Told extends Stamped {
  /** Events of its kind and subject before it that were not sent, because of the interval. */
  readonly suppressed: number
}

interface Interval {
  readonly until: number
  readonly waiting: Stamped | undefined
  readonly suppressed: number
}

export interface State {
  readonly intervals: Map<string, Interval>
  readonly outbox: Array<Told>
  dropped: number
}

export const MAX_SUBJECTS = 1_000

export const make = (): State => ({ intervals: new Map(), outbox: [], dropped: 0 })

const push = (state: State, told: Told, capacity: number): void => {
  state.outbox.push(told)
  if (state.outbox.length > capacity) {
    state.outbox.shift()
    state.dropped++
  }
}

export const keyOf = ({ event, subject }: Event): string => `${event}\0${subject}`

/** Something has happened. */
export const offer = (
  state: State,
  now: number,
  { capacity, intervalMs }: { readonly capacity: number; readonly intervalMs: number },
  stamped: Stamped
): void => {
  const { intervals } = state
  const key = keyOf(stamped.event)
  const known = intervals.get(key)
  if (known !== undefined && (known.until > now || known.waiting !== undefined)) {
    const suppressed = known.waiting === undefined ? 0 : known.suppressed + 1
    intervals.set(key, { until: known.until, waiting: stamped, suppressed })
    return
  }
  push(state, { ...stamped, suppressed: 0 }, capacity)
  if (intervalMs <= 0) return
  intervals.delete(key)
  intervals.set(key, { until: now + intervalMs, waiting: undefined, suppressed: 0 })
  if (intervals.size <= MAX_SUBJECTS) return
  // The oldest makes room; what waits there is told early rather than lost.
  const [oldest] = intervals
  if (oldest === undefined) return
  const [name, { suppressed, waiting }] = oldest
  intervals.delete(name)
  if (waiting !== undefined) push(state, { ...waiting, suppressed }, capacity)
}

/** The next event to send; none: when there may be one, undefined if nothing waits. */
export const take = (
  state: State,
  now: number,
  { capacity, intervalMs }: { readonly capacity: number; readonly intervalMs: number }
): { readonly told: Told | undefined; readonly dueAt: number | undefined } => {
  const { intervals } = state
  let dueAt: number | undefined
  for (const [key, { suppressed, until, waiting }] of [...intervals]) {
    if (until > now) {
      if (waiting !== undefined) dueAt = Math.min(dueAt ?? until, until)
      continue
    }
    intervals.delete(key)
    if (waiting === undefined) continue
    push(state, { ...waiting, suppressed }, capacity)
    intervals.set(key, { until: now + intervalMs, waiting: undefined, suppressed: 0 })
  }
  return { told: state.outbox.shift(), dueAt }
}

/** It was taken and not sent: it is the next again, where there is room. */
export const putBack = (state: State, told: Told, capacity: number): void => {
  if (state.outbox.length < capacity) state.outbox.unshift(told)
  else state.dropped++
}

// Changes of the server -> events.

export const circuit = ({
  cause,
  from,
  openMs,
  to
}: {
  readonly from: string
  readonly to: string
  readonly cause: string
  readonly openMs?: number | undefined
}): Event | undefined => {
  if (to === "closed" && from !== "closed") {
    return {
      event: "circuit_closed",
      subject: "",
      severity: "info",
      text: "the circuit is closed: the warehouse is called again",
      details: { from }
    }
  }
  // A failed probe opens nothing that was closed.
  if (to !== "forced-open" && !(to === "open" && from !== "half-open")) return undefined
  const until = openMs === undefined ? {} : { open_seconds: Math.ceil(openMs / 1000) }
  return {
    event: "circuit_opened",
    subject: "",
    severity: "critical",
    text: `the circuit is open, and no call reaches the warehouse: ${cause}`,
    details: { from, cause, ...until }
  }
}

export const mode = ({
  from,
  to,
  why
}: {
  readonly from: string
  readonly to: string
  readonly why: string
}): Event => ({
  event: "mode_changed",
  subject: "",
  severity: to === "normal" ? "info" : to === "constrained" ? "warning" : "critical",
  text: `the mode is ${to} (it was ${from}): ${why}`,
  details: { from, to, why }
})

/** What is known of the health of what the server stands on. */
export interface Health {
  readonly latched:
    | { readonly reason: string; readonly nextLoginInMs: number; readonly onlySome?: boolean | undefined }
    | undefined
  /** How many users are refused, and those of them that are known by name, not all where they are many. */
  readonly latchedUsers?: number | undefined
  readonly refusedUsers?:
    | ReadonlyArray<{ readonly user: string; readonly reason: string; readonly nextLoginInMs: number }>
    | undefined
  readonly store: {
    readonly mode: string
    readonly reason?: string | undefined
    readonly refusing?: boolean | undefined
  }
}

/** No user is logged in. */
const ofAll = ({ latched }: Health): Health["latched"] => (latched?.onlySome === true ? undefined : latched)

const isComplete = ({ latchedUsers, refusedUsers = [] }: Health): boolean =>
  refusedUsers.length === (latchedUsers ?? 0)

/** Of single users, while others are served. Who is missing in a list that is cut off may be refused still. */
const userLogins = (before: Health, now: Health): ReadonlyArray<Event> => {
  const known = before.refusedUsers ?? []
  const refused = now.refusedUsers ?? []
  const isIn = (list: typeof known, user: string) => list.some((one) => one.user === user)
  const entered =
    ofAll(now) === undefined && isComplete(before) ? refused.filter(({ user }) => !isIn(known, user)) : []
  const left = isComplete(now) ? known.filter(({ user }) => !isIn(refused, user)) : []
  return [
    ...entered.map(({ nextLoginInMs, reason, user }): Event => {
      const seconds = Math.ceil(nextLoginInMs / 1000)
      return {
        event: "login_refused",
        subject: user,
        severity: "warning",
        text: `the login of the user ${user} alone to the warehouse was refused; its next one is tried in ${seconds} seconds: ${reason}`,
        details: { user, reason, next_login_seconds: seconds }
      }
    }),
    ...left.map(({ user }): Event => ({
      event: "login_accepted",
      subject: user,
      severity: "info",
      text: `logins of the user ${user} to the warehouse are tried again`,
      details: { user }
    }))
  ]
}

export const health = (before: Health, now: Health): ReadonlyArray<Event> => {
  const found: Array<Event> = [...userLogins(before, now)]
  const base = { subject: "", details: {} }
  const [held, holds] = [ofAll(before), ofAll(now)]
  if (held === undefined && holds !== undefined) {
    const { nextLoginInMs, reason } = holds
    const seconds = Math.ceil(nextLoginInMs / 1000)
    found.push({
      ...base,
      event: "login_refused",
      severity: "critical",
      text: `the login to the warehouse was refused; the next one is tried in ${seconds} seconds: ${reason}`,
      details: { reason, next_login_seconds: seconds }
    })
  } else if (held !== undefined && holds === undefined) {
    const text = "logins to the warehouse are tried again"
    found.push({ ...base, event: "login_accepted", severity: "info", text })
  }
  const lost = now.store.mode !== "normal"
  if (lost && before.store.mode === "normal") {
    const { mode, reason = "it does not answer", refusing = false } = now.store
    found.push({
      ...base,
      event: "store_lost",
      severity: refusing ? "critical" : "warning",
      text: `the quota store is lost${refusing ? ", and calls are refused" : ""}: ${reason}`,
      details: { mode, reason }
    })
  } else if (!lost && before.store.mode !== "normal") {
    const text = "the quota store is back"
    found.push({ ...base, event: "store_found", severity: "info", text })
  }
  return found
}

/** How full a quota is. */
export interface Use {
  readonly scope: "client" | "global"
  readonly quota: string
  readonly limit: number
  readonly used: number
}

/** The quotas that are at 80 or at 100 percent, by client and quota; updated in place. */
export type Levels = Map<string, 80 | 100>

const MAX_LEVELS = 10_000
const NEARLY = 0.8

const levelOf = ({ limit, used }: Use): 0 | 80 | 100 =>
  used >= limit ? 100 : used >= NEARLY * limit ? 80 : 0

/** The quotas that have become as full as operators are told of. A quota that has filled at once is told of once. */
export const quotas = (levels: Levels, client: string, uses: ReadonlyArray<Use>): ReadonlyArray<Event> => {
  const found: Array<Event> = []
  for (const use of uses) {
    const level = levelOf(use)
    const key = use.scope === "global" ? use.quota : `${use.quota}\0${client}`
    const known = levels.get(key) ?? 0
    if (level === known) continue
    if (level === 0) {
      levels.delete(key)
      continue
    }
    levels.set(key, level)
    if (levels.size > MAX_LEVELS) {
      const [oldest] = levels.keys()
      if (oldest !== undefined) levels.delete(oldest)
    }
    if (level < known) continue
    const { limit, quota, scope, used } = use
    const whose = scope === "global" ? "of all clients together" : `of the client ${client}`
    found.push({
      event: level === 100 ? "quota_100" : "quota_80",
      subject: scope === "global" ? quota : `${quota} ${client}`,
      severity: scope === "global" && level === 100 ? "critical" : "warning",
      text: `the quota ${quota} ${whose} is ${level === 100 ? "used up" : "used to 80 %"}: ${used} of ${limit}`,
      details: { scope, quota, used, limit, ...(scope === "global" ? {} : { client }) }
    })
  }
  return found
}

export const looping = (failure: {
  readonly client: string
  readonly code: string
  readonly attempts: number
}): Event => {
  const { attempts, client, code } = failure
  return {
    event: "client_looping",
    subject: `${client} ${code}`,
    severity: "warning",
    text: `the client ${client} repeats a statement that has failed ${attempts} times with ${code}, and is answered from memory`,
    details: { client, code, attempts }
  }
}

const SHOWN_KEYS = 10

/** `keys`: of the settings that are wrong, or the files. */
export const refusedConfig = (keys: ReadonlyArray<string>): Event => {
  return {
    event: "config_refused",
    subject: "",
    severity: "warning",
    text: `the configuration is wrong and was not taken; the one before it stays in force: ${listed(keys)}`,
    details: { faults: keys.length, keys: keys.slice(0, SHOWN_KEYS) }
  }
}

/** What Slack takes for a control in a text. */
const plain = (text: string): string =>
  text
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, " ")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")

const MAX_TEXT = 2_000

/** The document that is sent. `version` changes when a receiver would have to. */
export const document = (
  { at, event, suppressed }: Told,
  sent: {
    readonly id: string
    readonly server: { readonly host: string; readonly version: string }
    readonly iso: (millis: number) => string
    readonly dropped: number
  }
) => ({
  version: 1,
  id: sent.id,
  event: event.event,
  severity: event.severity,
  at: sent.iso(at),
  server: sent.server,
  text: plain(`Snowguard on ${sent.server.host}: ${event.text}`.slice(0, MAX_TEXT)),
  details: event.details,
  suppressed,
  dropped: sent.dropped
})
