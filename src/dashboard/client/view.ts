/** The figures of one moment, put on the page. */
import type { Snapshot } from "../../operate/Snapshot.js"
import type { Actions } from "./actions.js"
import type { Mood } from "./dom.js"
import { byId, fill, h, meter, setEnabled, setText } from "./dom.js"
import * as Format from "./format.js"
import * as Govern from "./govern.js"
import * as Headline from "./headline.js"
import * as Tables from "./tables.js"

const mood = (element: HTMLElement, base: string, to: Mood | "unknown"): void => {
  element.className = `${base} ${to}`
}

/** The latest figures; times in them run on between two of them. */
let latest: Snapshot | undefined

const left = (ms: number | undefined, age: number): number | undefined =>
  ms === undefined ? undefined : Math.max(0, ms - age)

const nextTry = ({ next_probe_in_ms, phase }: Snapshot["circuit"], age: number): string => {
  if (phase === "forced-open") return "No probe until it is released."
  if (phase !== "open") return ""
  const ms = left(next_probe_in_ms, age) ?? 0
  return ms < 1000 ? "The next call is a probe." : `Next probe in ${Format.duration(ms)}.`
}

const circuit = (snapshot: Snapshot) => {
  const { calls, cause, failures, held, slow } = snapshot.circuit
  const factor = snapshot.backoff_factor
  const [feeling, words] = Headline.warehouse(snapshot)
  const state = byId("circuit")
  mood(state, "state", feeling)
  setText(state, words)
  setText(byId("circuit-why"), cause === undefined ? "No trouble known." : `${Format.sentence(cause)}.`)
  fill(byId("circuit-facts"), `${calls} ${failures} ${slow} ${factor}`, () => [
    meter(
      "Failed, of the last calls",
      calls === 0 ? "no calls yet" : `${Format.count(failures)} of ${Format.count(calls)}`,
      calls === 0 ? 0 : failures / calls,
      slow === 0 ? "none of them slow" : `${Format.count(slow)} of them slow`
    ),
    h(
      "p",
      { class: factor > 1 ? "note warn" : "note quiet" },
      factor > 1 ? `Retries wait ${factor} times as long.` : "Retries wait as configured."
    )
  ])
  setEnabled(byId("breaker-open"), !held)
  setEnabled(byId("breaker-release"), held)
}

const mode = (snapshot: Snapshot) => {
  const { mode, pinned, shedding, way_back, why } = snapshot.mode
  const [feeling, words] = Headline.service(snapshot)
  const state = byId("mode")
  mood(state, "state", feeling)
  setText(state, words)
  for (const step of byId("ladder").children) {
    const on = step.getAttribute("data-mode") === mode
    step.className = on ? `on ${feeling}` : ""
    if (on) step.setAttribute("aria-current", "true")
    else step.removeAttribute("aria-current")
  }
  setText(
    byId("mode-why"),
    [
      `${Format.sentence(why)}.`,
      mode === "constrained" && shedding > 0 ? `${Format.percent(shedding)} of queries are turned away.` : "",
      way_back === undefined ? "" : `Way back: ${way_back}.`
    ]
      .filter((part) => part !== "")
      .join(" ")
  )
  setEnabled(byId("ladder-unpin"), pinned)
}

/** Clients that wait are named, as many as fit. */
const NAMED_WAITERS = 5

/** `analytics 12, billing 3 and 2 clients more` */
const waiters = (queue: NonNullable<Snapshot["queue"]>, of: string): string => {
  const all = queue.filter(({ pool }) => pool === of)
  const named = all.slice(0, NAMED_WAITERS).map(({ calls, client }) => `${client} ${Format.count(calls)}`)
  const more = all.length - named.length
  return named.join(", ") + (more > 0 ? ` and ${more} ${more === 1 ? "client" : "clients"} more` : "")
}

const lists = ({ at, pools, queue = [], quotas, quotas_unavailable, rate_limits }: Snapshot) => {
  fill(byId("pools"), JSON.stringify([pools, queue]), () =>
    pools.map(({ estimated_wait_ms, in_use, pool, queued, slots }) => {
      const names = waiters(queue, pool)
      return meter(
        Format.sentence(Format.words(pool)),
        `${Format.count(in_use)} of ${Format.count(slots)} in use`,
        in_use / slots,
        queued === 0
          ? "none waiting"
          : `${Format.count(queued)} wait, about ${Format.duration(estimated_wait_ms)}${names === "" ? "" : `; next: ${names}`}`
      )
    })
  )
  fill(byId("rates"), JSON.stringify(rate_limits), () =>
    rate_limits.map(({ burst, name, per_second, remaining, scope }) =>
      meter(
        name === undefined
          ? "All calls"
          : `${Format.sentence(Format.words(name))}${scope === "class" ? " calls" : ""}`,
        `${Format.count(burst - remaining)} of ${Format.count(burst)} used`,
        1 - remaining / burst,
        `${Format.count(per_second)} more each second`
      )
    )
  )
  const minute = Math.floor(at / 60_000)
  fill(byId("quotas"), JSON.stringify([quotas, quotas_unavailable, minute]), () =>
    quotas_unavailable !== undefined
      ? [h("p", { class: "bad" }, `Not known: ${quotas_unavailable}.`)]
      : quotas.length === 0
        ? [h("p", { class: "quiet" }, "None is set: each client has its own, nothing limits all together.")]
        : quotas.map(({ limit = Number.MAX_SAFE_INTEGER, quota, resets_at, used }) =>
            meter(
              Format.sentence(Format.words(quota)),
              `${Format.used(quota, used, limit)} used`,
              used / limit,
              `resets ${Headline.until(resets_at, at)}`
            )
          )
  )
}

const totals = ({ cache, calls, retries, uptime_ms }: Snapshot) => {
  const rows: ReadonlyArray<readonly [name: string, value: string, mood?: Mood]> = [
    ["Answered", Format.count(calls.ok)],
    ["Refused", Format.count(calls.refused)],
    ["Failed", Format.count(calls.failed)],
    ["Client errors", Format.count(calls.rejected)],
    ["Cancelled", Format.count(calls.cancelled)],
    ["Retries", Format.count(retries.retries)],
    ["Served from cache", Format.count(cache.fresh_hits + cache.stale_hits)],
    ["Of these served stale", Format.count(cache.stale_hits)],
    ["Results", Format.bytes(calls.bytes)],
    ["Uptime", Format.duration(uptime_ms)]
  ]
  fill(byId("totals"), JSON.stringify(rows), () =>
    rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))
  )
}

/** Which server this is, as far as it is known. */
const identity = ({ server, version }: Snapshot) => {
  const known =
    server === undefined
      ? []
      : [
          `on ${server.host}${server.port === undefined ? "" : `:${server.port}`}`,
          server.process === undefined ? "" : `process ${server.process}`,
          server.warehouse === "duckdb" ? "embedded warehouse" : `account ${server.account ?? "unknown"}`,
          server.user === undefined ? "" : `user ${server.user}`,
          server.role === undefined ? "" : `role ${server.role}`,
          server.virtual_warehouse === undefined ? "" : `warehouse ${server.virtual_warehouse}`
        ]
  setText(byId("server"), [`Version ${version}`, ...known].filter((part) => part !== "").join(" · "))
}

/** What changes without news: times that run down. `age`: milliseconds since the news. */
export const tick = (age: number): void => {
  if (latest === undefined) return
  const next = nextTry(latest.circuit, age)
  setText(byId("headline-more"), `${Headline.headline(latest).served} ${next}`.trim())
  setText(byId("circuit-next"), next)
  const { back_in_ms, since_ms } = latest.mode
  const back = left(back_in_ms, age)
  setText(
    byId("mode-since"),
    `In this mode for ${Format.duration(since_ms + age)}.` +
      (back === undefined || back < 1000 ? "" : ` Better in ${Format.duration(back)} at the earliest.`)
  )
}

const top = (snapshot: Snapshot) => {
  const { mood: feeling, words } = Headline.headline(snapshot)
  mood(byId("headline"), "headline", feeling)
  setText(byId("headline-words"), words)
  document.title = feeling === "good" ? "Snowguard status" : `${words} · Snowguard status`
  const all = Headline.concerns(snapshot)
  byId("concerns").hidden = all.length === 0
  fill(byId("concerns"), JSON.stringify(all), () =>
    all.map(([feeling, words]) => h("li", { class: feeling }, words))
  )
}

/** The current state is unknown: the page shows that of some time ago. */
export const renderLost = (age: number): void => {
  mood(byId("headline"), "headline", "unknown")
  setText(byId("headline-words"), `No news for ${Format.duration(age)}`)
  document.title = "No news · Snowguard status"
  // What was foretold may have come to pass.
  for (const id of ["circuit-next", "mode-since"]) setText(byId(id), "")
  const last = latest === undefined ? "" : Headline.headline(latest).words
  setText(byId("headline-more"), `The last that was known: ${last.charAt(0).toLowerCase()}${last.slice(1)}.`)
}

export const render = (
  snapshot: Snapshot,
  { cancelCall, resetQuota }: Pick<Actions, "cancelCall" | "resetQuota">
): void => {
  latest = snapshot
  top(snapshot)
  circuit(snapshot)
  mode(snapshot)
  tick(0)
  identity(snapshot)
  lists(snapshot)
  totals(snapshot)
  Tables.codes(snapshot.codes ?? [])
  Govern.render(snapshot)
  if (snapshot.running !== undefined) Tables.running(snapshot.running, cancelCall)
  if (snapshot.unserved !== undefined) Tables.unserved(snapshot.unserved, snapshot.at)
  if (snapshot.clients !== undefined) Tables.clients(snapshot.clients, snapshot.at, resetQuota)
  if (snapshot.actions !== undefined) Tables.actions(snapshot.actions, snapshot.at)
}

/** The next user of the tab must not see what the last one saw. */
export const forget = (): void => {
  latest = undefined
  Tables.clients([], 0, () => {})
  Tables.actions([], 0)
  Tables.codes([])
  Tables.running([], () => {})
  Tables.unserved([], 0)
  Govern.forget()
  setText(byId("server"), "")
  for (const id of ["concerns", "pools", "rates", "quotas", "totals"]) fill(byId(id), "", () => [])
}
