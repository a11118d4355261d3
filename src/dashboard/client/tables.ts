/** The tables of clients and of the actions of operators. */
import type { Snapshot } from "../../operate/Snapshot.js"
import { bar, byId, fill, h, setText, show } from "./dom.js"
import * as Format from "./format.js"
import { until } from "./headline.js"

type ClientRow = NonNullable<Snapshot["clients"]>[number]

/** The quota that is nearest to its end. */
const fullest = ({ quotas }: ClientRow) => {
  const [first] = quotas
    .flatMap(({ limit, observed, quota, resets_at, used }) =>
      limit === undefined
        ? []
        : [{ quota, used, limit, resets_at, isObserved: observed === true, share: used / limit }]
    )
    .sort((a, b) => b.share - a.share)
  return first
}

const names = ["Tier", "Calls", "Refused", "Failed", "Bytes", "Fullest quota", "Last call"] as const
const isNumber = (name: string) => ["Calls", "Refused", "Failed", "Bytes"].includes(name)

const rows = new Map<string, HTMLTableRowElement>()

const makeRow = (client: string, onReset: (client: string) => void): HTMLTableRowElement => {
  const button = h("button", { type: "button", "aria-label": `Reset quotas of ${client}` }, "Reset quotas")
  button.addEventListener("click", () => onReset(client))
  // On a phone a row is a card, and only roles that are said aloud keep it a row.
  return h(
    "tr",
    { role: "row" },
    h("th", { scope: "row", role: "rowheader" }, client),
    ...names.map((name) =>
      h("td", { role: "cell", "data-name": name, ...(isNumber(name) ? { class: "num" } : {}) })
    ),
    h("td", { role: "cell" }, button)
  )
}

/** Rows stay where and what they are, so that the focus does. */
export const clients = (
  all: ReadonlyArray<ClientRow>,
  now: number,
  onReset: (client: string) => void
): void => {
  const present = new Set(all.map(({ client }) => client))
  for (const [name, row] of rows) {
    if (present.has(name)) continue
    row.remove()
    rows.delete(name)
  }
  const body = byId("client-rows")
  for (const one of [...all].sort((a, b) => (a.client < b.client ? -1 : 1))) {
    const { acts_as, bytes, calls, client, last_call_ms_ago, last_decision, tier } = one
    let row = rows.get(client)
    if (row === undefined) {
      row = makeRow(client, onReset)
      const after = [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).find(([name]) => name > client)?.[1]
      body.insertBefore(row, after ?? null)
      rows.set(client, row)
    }
    const ended = calls.ok + calls.refused + calls.rejected + calls.failed + calls.cancelled
    const quota = fullest(one)
    const texts: ReadonlyArray<string> = [
      acts_as === undefined ? tier : `${tier}, as ${acts_as}`,
      Format.count(ended),
      Format.count(calls.refused),
      Format.count(calls.failed),
      Format.bytes(bytes)
    ]
    texts.forEach((text, i) => {
      const cell = row.cells[i + 1]
      if (cell !== undefined) setText(cell, text)
    })
    const quotaCell = row.cells[6]
    if (quotaCell !== undefined) {
      const minute = quota === undefined ? "" : until(quota.resets_at, now)
      fill(quotaCell, JSON.stringify([quota, minute]), () =>
        quota === undefined
          ? [h("span", { class: "quiet" }, "none")]
          : [
              h(
                "div",
                { class: "quota" },
                h(
                  "span",
                  {},
                  `${Format.used(quota.quota, quota.used, quota.limit)} ${Format.words(quota.quota)}`
                ),
                bar(quota.share),
                quota.share < 1
                  ? undefined
                  : h(
                      "span",
                      { class: "quiet" },
                      `used up${quota.isObserved ? ", only observed" : ""}, resets ${minute}`
                    )
              )
            ]
      )
    }
    const lastCell = row.cells[7]
    if (lastCell !== undefined) {
      setText(lastCell, `${Format.duration(last_call_ms_ago)} ago: ${last_decision}`)
      lastCell.className = last_decision === "ok" ? "" : "warn"
    }
  }
  show(byId("no-clients"), all.length === 0)
  show(byId("client-table"), all.length > 0)
}

type CodeRow = NonNullable<Snapshot["codes"]>[number]

const outcomes: { readonly [O in CodeRow["outcome"]]: string } = {
  refused: "refused",
  rejected: "client error",
  failed: "failed"
}

/** How often calls were not served, by code. */
export const codes = (all: ReadonlyArray<CodeRow>): void => {
  show(byId("no-codes"), all.length === 0)
  fill(byId("code-rows"), JSON.stringify(all), () =>
    all.map(({ code, count, last_ms_ago, outcome }) =>
      h(
        "li",
        {},
        h("b", {}, Format.count(count)),
        ` ${code} `,
        h("span", { class: "quiet" }, `${outcomes[outcome]}, the last ${Format.duration(last_ms_ago)} ago`)
      )
    )
  )
}

export type RunningRow = NonNullable<Snapshot["running"]>[number]

const runningRows = new Map<string, { readonly root: HTMLLIElement; readonly age: HTMLElement }>()

const makeRunning = (call: RunningRow, onCancel: (call: RunningRow) => void) => {
  const age = h("span", { class: "quiet" })
  const { client, statement, tool } = call
  const button = h("button", { type: "button", "aria-label": `Cancel ${tool} of ${client}` }, "Cancel")
  button.addEventListener("click", () => onCancel(call))
  const told = h("div", {}, h("b", {}, client), ` ${tool} `, age)
  if (statement !== undefined) told.append(h("code", { class: "statement" }, statement))
  return { root: h("li", {}, told, button), age }
}

/** The calls under way. Rows stay what they are, so that a button is still there when it is pressed. */
export const running = (all: ReadonlyArray<RunningRow>, onCancel: (call: RunningRow) => void): void => {
  show(byId("no-running"), all.length === 0)
  const present = new Set(all.map(({ id }) => id))
  for (const [id, { root }] of runningRows) {
    if (present.has(id)) continue
    root.remove()
    runningRows.delete(id)
  }
  for (const call of all) {
    const row = runningRows.get(call.id) ?? makeRunning(call, onCancel)
    if (!runningRows.has(call.id)) {
      runningRows.set(call.id, row)
      byId("running-rows").append(row.root)
    }
    const rows =
      call.rows === 0 ? "" : `, ${Format.count(call.rows)} ${call.rows === 1 ? "row" : "rows"} so far`
    setText(
      row.age,
      `for ${Format.duration(call.ms)}, ${call.sent ? "in the warehouse" : "not sent yet"}${rows}`
    )
  }
}

/** The latest calls that were not served. */
export const unserved = (all: NonNullable<Snapshot["unserved"]>, now: number): void => {
  show(byId("unserved"), all.length > 0)
  fill(byId("unserved-rows"), JSON.stringify(all), () =>
    all.map(({ at, client, code, tool }) =>
      h(
        "li",
        {},
        h("time", { datetime: new Date(at).toISOString(), class: "quiet" }, `${Format.when(at, now)} `),
        h("b", {}, client),
        ` ${tool}: ${code}`
      )
    )
  )
}

type ActionRow = NonNullable<Snapshot["actions"]>[number]

const deeds: { readonly [action: string]: string } = {
  "breaker/open": "held the circuit open",
  "breaker/release": "released the circuit",
  "breaker/reset": "reset the breaker",
  "ladder/pin": "pinned the mode",
  "ladder/unpin": "unpinned the mode",
  "quota/reset": "reset the quotas of",
  "warehouse/unlatch": "unlatched the login",
  "call/cancel": "cancelled the call",
  "config/reload": "had the settings read again"
}

const deed = ({ action, target }: ActionRow): string =>
  ` ${deeds[action] ?? action}${target === undefined ? "" : ` ${target}`}`

export const actions = (all: ReadonlyArray<ActionRow>, now: number): void => {
  show(byId("no-actions"), all.length === 0)
  fill(byId("action-rows"), JSON.stringify(all), () =>
    all.map((row) =>
      h(
        "li",
        {},
        h(
          "time",
          { datetime: new Date(row.at).toISOString(), class: "quiet" },
          `${Format.when(row.at, now)} `
        ),
        h("b", {}, row.by),
        `${deed(row)}. `,
        h("span", { class: "quiet" }, `${Format.sentence(Format.words(row.result))}.`)
      )
    )
  )
}
