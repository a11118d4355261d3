/** The figures of one moment, put on the page. */
import type { Snapshot } from "../../internal/operatorModel.js"
import { byId, fill, h, meter, setText, show } from "./dom.js"
import * as Format from "./format.js"

type Mood = "good" | "warn" | "bad"

const phases: { readonly [P in Snapshot["circuit"]["phase"]]: readonly [Mood, string] } = {
  closed: ["good", "Being called"],
  "half-open": ["warn", "Being probed"],
  open: ["bad", "Not called: it fails"],
  "forced-open": ["bad", "Not called: held open"],
  disabled: ["warn", "Breaker switched off"]
}

const modes: { readonly [M in Snapshot["mode"]["mode"]]: readonly [Mood, string] } = {
  normal: ["good", "Everything is served"],
  constrained: ["warn", "Some queries are turned away"],
  "cache-only": ["bad", "Only what is remembered"],
  emergency: ["bad", "Only what is remembered"]
}

const mood = (element: HTMLElement, base: string, to: Mood): void => {
  element.className = `${base} ${to}`
}

/** In a few words, for the head of the page and for whoever has it read aloud. */
export const overall = ({ circuit, mode }: Snapshot): readonly [Mood, string] => {
  const [circuitMood, circuitWords] = phases[circuit.phase]
  const [modeMood, modeWords] = modes[mode.mode]
  if (circuitMood === "good" && modeMood === "good") return ["good", "Serving normally"]
  return circuitMood === "bad" || modeMood !== "bad"
    ? [
        circuitMood === "good" ? modeMood : circuitMood,
        circuitMood === "good" ? modeWords : `Warehouse: ${circuitWords.toLowerCase()}`
      ]
    : [modeMood, modeWords]
}

const circuit = ({ calls, cause, failures, held, next_probe_in_ms, phase, slow }: Snapshot["circuit"]) => {
  const [feeling, words] = phases[phase]
  const state = byId("circuit")
  mood(state, "state", feeling)
  setText(state, words)
  const next = next_probe_in_ms === undefined ? "" : ` Next try in ${Format.duration(next_probe_in_ms)}.`
  setText(byId("circuit-why"), cause === undefined ? "No trouble known." : `${cause}.${next}`)
  const key = `${calls} ${failures} ${slow}`
  fill(byId("circuit-facts"), key, () => [
    meter(
      "Failed, of the last calls",
      calls === 0 ? "no calls" : `${Format.count(failures)} of ${Format.count(calls)}`,
      calls === 0 ? 0 : failures / calls
    ),
    ...(slow === 0 ? [] : [h("p", { class: "quiet" }, `${Format.count(slow)} of them were slow.`)])
  ])
  byId<HTMLButtonElement>("breaker-open").disabled = held
  byId<HTMLButtonElement>("breaker-release").disabled = !held
}

const mode = ({ back_in_ms, mode, pinned, shedding, since_ms, way_back, why }: Snapshot["mode"]) => {
  const [feeling, words] = modes[mode]
  const state = byId("mode")
  mood(state, "state", feeling)
  setText(state, words)
  for (const step of byId("ladder").children) {
    const on = step.getAttribute("data-mode") === mode
    step.className = on ? `on ${feeling}` : ""
  }
  const parts = [
    `${why} (for ${Format.duration(since_ms)}).`,
    shedding > 0 ? `${Format.percent(shedding)} of queries are turned away.` : "",
    way_back === undefined ? "" : `Better when ${way_back}`,
    back_in_ms === undefined ? "" : `, in ${Format.duration(back_in_ms)} at the earliest`,
    way_back === undefined ? "" : "."
  ]
  setText(byId("mode-why"), `${parts.slice(0, 2).join(" ")} ${parts.slice(2).join("")}`.trim())
  byId<HTMLButtonElement>("ladder-unpin").disabled = !pinned
}

const lists = ({ pools, quotas, quotas_unavailable, rate_limits, warehouse_rate }: Snapshot) => {
  fill(byId("pools"), JSON.stringify(pools), () =>
    pools.flatMap(({ estimated_wait_ms, in_use, pool, queued, slots }) => [
      meter(Format.words(pool), `${Format.count(in_use)} of ${Format.count(slots)}`, in_use / slots),
      ...(queued === 0
        ? []
        : [
            h(
              "p",
              { class: "quiet" },
              `${Format.count(queued)} wait, about ${Format.duration(estimated_wait_ms)} each.`
            )
          ])
    ])
  )
  fill(byId("rates"), JSON.stringify([rate_limits, warehouse_rate]), () => [
    ...rate_limits.map(({ burst, name, per_second, remaining, scope }) =>
      meter(
        `${name === undefined ? "all calls" : Format.words(name)}${scope === "class" ? " calls" : ""}, ${Format.count(per_second)}/s`,
        `${Format.count(remaining)} of ${Format.count(burst)} left`,
        1 - remaining / burst
      )
    ),
    meter(
      "calls of the warehouse",
      `${Format.count(warehouse_rate.per_second)}/s, ${Format.percent(warehouse_rate.factor)} of full`,
      1 - warehouse_rate.factor
    )
  ])
  fill(byId("quotas"), JSON.stringify([quotas, quotas_unavailable]), () =>
    quotas_unavailable !== undefined
      ? [h("p", { class: "bad" }, `Not known: ${quotas_unavailable}.`)]
      : quotas.length === 0
        ? [h("p", { class: "quiet" }, "No quota of all clients together is set.")]
        : quotas.map(({ limit = Number.MAX_SAFE_INTEGER, quota, used }) => {
            const amount = quota.includes("bytes") ? Format.bytes : Format.count
            return meter(Format.words(quota), `${amount(used)} of ${amount(limit)}`, used / limit)
          })
  )
}

const totals = ({ cache, calls, retries, uptime_ms }: Snapshot) => {
  const rows: ReadonlyArray<readonly [string, string]> = [
    ["Answered", Format.count(calls.ok)],
    ["Refused by a limit", Format.count(calls.refused)],
    ["Callers' mistakes", Format.count(calls.rejected)],
    ["Failed", Format.count(calls.failed)],
    ["Cancelled", Format.count(calls.cancelled)],
    ["Results", Format.bytes(calls.bytes)],
    ["From the cache (stale)", `${Format.count(cache.fresh_hits)} (${Format.count(cache.stale_hits)})`],
    ["Retries", Format.count(retries.retries)],
    ["Running for", Format.duration(uptime_ms)]
  ]
  fill(byId("totals"), JSON.stringify(rows), () =>
    rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])
  )
}

type ClientRow = NonNullable<Snapshot["clients"]>[number]

/** The share of the quota that is nearest to its end. */
const fullest = (quotas: ClientRow["quotas"]): string => {
  const [first] = quotas
    .flatMap(({ limit, quota, used }) => (limit === undefined ? [] : [{ quota, share: used / limit }]))
    .sort((a, b) => b.share - a.share)
  return first === undefined ? "–" : `${Format.percent(first.share)} ${Format.words(first.quota)}`
}

const rows = new Map<string, HTMLTableRowElement>()

/** Rows stay where and what they are, so that the focus does. */
const clients = (all: ReadonlyArray<ClientRow>, onReset: (client: string) => void) => {
  const names = new Set(all.map(({ client }) => client))
  for (const [name, row] of rows) {
    if (names.has(name)) continue
    row.remove()
    rows.delete(name)
  }
  const body = byId("client-rows")
  for (const { bytes, calls, client, last_call_ms_ago, last_decision, quotas, tier } of [...all].sort(
    (a, b) => (a.client < b.client ? -1 : 1)
  )) {
    let row = rows.get(client)
    if (row === undefined) {
      const button = h(
        "button",
        { type: "button", "aria-label": `Reset the quotas of ${client}` },
        "Reset quotas"
      )
      button.addEventListener("click", () => onReset(client))
      row = h("tr", {}, h("th", { scope: "row", title: client }, client))
      for (let i = 0; i < 7; i++) row.append(h("td", i >= 1 && i <= 4 ? { class: "num" } : {}))
      row.append(h("td", {}, button))
      const after = [...rows].find(([name]) => name > client)?.[1]
      body.insertBefore(row, after ?? null)
      rows.set(client, row)
    }
    const ended = calls.ok + calls.refused + calls.rejected + calls.failed + calls.cancelled
    const cells = [
      tier,
      Format.count(ended),
      Format.count(calls.refused),
      Format.count(calls.failed),
      Format.bytes(bytes),
      fullest(quotas),
      `${Format.duration(last_call_ms_ago)} ago, ${last_decision}`
    ]
    cells.forEach((text, i) => {
      const cell = row.cells[i + 1]
      if (cell !== undefined) setText(cell, text)
    })
  }
  show(byId("no-clients"), all.length === 0)
}

const actions = (all: NonNullable<Snapshot["actions"]>) => {
  show(byId("actions"), all.length > 0)
  fill(byId("action-rows"), JSON.stringify(all), () =>
    all.map(({ action, at, by, result, target }) =>
      h(
        "li",
        {},
        h("time", { datetime: new Date(at).toISOString(), class: "quiet" }, `${Format.time(at)} `),
        h("b", {}, by),
        `: ${Format.words(action.replace("/", " "))}${target === undefined ? "" : ` ${target}`}: ${result}`
      )
    )
  )
}

export const render = (snapshot: Snapshot, onReset: (client: string) => void): void => {
  const [feeling, words] = overall(snapshot)
  mood(byId("overall"), "pill", feeling)
  setText(byId("overall"), words)
  circuit(snapshot.circuit)
  mode(snapshot.mode)
  lists(snapshot)
  totals(snapshot)
  if (snapshot.clients !== undefined) clients(snapshot.clients, onReset)
  if (snapshot.actions !== undefined) actions(snapshot.actions)
}
