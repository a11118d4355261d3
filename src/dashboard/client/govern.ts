/** What limits callers beside what all share: limits that are tried, limits by tool, the settings, and who is told. */
import type { Snapshot } from "../../operate/Snapshot.js"
import type { Mood } from "./dom.js"
import { byId, fill, h, meter, setText, show } from "./dom.js"
import * as Format from "./format.js"
import { until } from "./headline.js"

type Tiers = NonNullable<Snapshot["tiers"]>

/** `client:requests_per_hour` as words. */
const limitWords = (scope: string): string => {
  const [whose = "", quota] = scope.split(":")
  if (quota !== undefined)
    return `${Format.words(quota)} of ${whose === "global" ? "all clients" : "a client"}`
  return `rate of ${rates[whose] ?? whose}`
}

const rates: { readonly [scope: string]: string } = {
  client: "a client",
  overflow: "clients beyond the table",
  tool: "a tool",
  tier: "a tier",
  class: "a kind of call",
  global: "all calls"
}

const noneWould = (tiers: Tiers | undefined): string => {
  const observing = (tiers ?? []).filter(({ observes }) => observes.length > 0)
  if (observing.length > 0) return "None since the start."
  return tiers === undefined
    ? "None since the start, or no limit is only observed."
    : "No limit is only observed: each one is enforced."
}

/** What observed limits would have refused, by limit and one by one, and who observes what. */
const observed = ({ at, observed: latest = [], tiers, would_refuse = [] }: Snapshot): void => {
  show(byId("no-observed"), would_refuse.length === 0)
  setText(byId("no-observed"), noneWould(tiers))
  const observing = (tiers ?? []).filter(({ observes }) => observes.length > 0)
  fill(byId("observed-limits"), JSON.stringify([would_refuse, observing]), () => [
    ...would_refuse.map(({ count, last_ms_ago, scope }) =>
      h(
        "li",
        {},
        h("b", {}, Format.count(count)),
        ` by the ${limitWords(scope)} `,
        h("span", { class: "quiet" }, `and went on, the last ${Format.duration(last_ms_ago)} ago`)
      )
    ),
    ...observing.map(({ observes, tier }) =>
      h("li", { class: "quiet" }, `The tier ${tier} only observes: ${observes.map(Format.words).join(", ")}.`)
    )
  ])
  show(byId("observed"), latest.length > 0)
  fill(byId("observed-rows"), JSON.stringify(latest), () =>
    latest.map(({ at: when, client, scope, tool }) =>
      h(
        "li",
        {},
        h("time", { datetime: new Date(when).toISOString(), class: "quiet" }, `${Format.when(when, at)} `),
        h("b", {}, client),
        ` ${tool}: ${limitWords(scope)}`
      )
    )
  )
}

const calls = (n: number): string => `${Format.count(n)} ${n === 1 ? "call" : "calls"}`

const byTool = (tiers: Tiers): void => {
  const particular = tiers.filter(({ denied, tools }) => denied.length + tools.length > 0)
  show(byId("no-tiers"), particular.length === 0)
  fill(byId("tier-rows"), JSON.stringify(particular), () =>
    particular.flatMap(({ denied, observes, tier, tools }) => [
      h("h4", {}, `Tier ${tier}`),
      ...tools.map(({ burst, lowest, per_second, tool, weight }) => {
        const weighs = weight === undefined ? "" : `A call takes ${calls(weight)} of the client's own rate.`
        if (burst === undefined || per_second === undefined)
          return h("p", { class: "note" }, h("b", {}, tool), ` ${weighs}`)
        const used = lowest === undefined ? 0 : burst - lowest.remaining
        return meter(
          tool,
          lowest === undefined
            ? `${Format.count(burst)} each, unused`
            : `${Format.count(used)} of ${Format.count(burst)} used by ${lowest.client}`,
          used / burst,
          [
            `${Format.count(per_second)} more each second for each client.`,
            weighs,
            observes.includes("tool") ? "Only observed." : ""
          ]
            .filter((part) => part !== "")
            .join(" ")
        )
      }),
      ...(denied.length === 0
        ? []
        : [h("p", { class: "note" }, h("span", { class: "quiet" }, "Denied: "), denied.join(", "))])
    ])
  )
}

type Clients = NonNullable<Snapshot["clients"]>

/** Of each kind of quota the client that has used the largest part, whatever kinds there are. */
const fullest = (clients: Clients, now: number): void => {
  const kinds = new Map<
    string,
    Clients[number]["quotas"][number] & { readonly client: string; readonly share: number }
  >()
  for (const { client, quotas } of clients) {
    for (const one of quotas) {
      const share = one.limit === undefined ? 0 : one.used / one.limit
      const known = kinds.get(one.quota)
      if (one.limit !== undefined && (known === undefined || share > known.share))
        kinds.set(one.quota, { ...one, client, share })
    }
  }
  const rows = [...kinds.values()]
  show(byId("no-fullest"), rows.length === 0)
  fill(byId("fullest-rows"), JSON.stringify([rows, Math.floor(now / 60_000)]), () =>
    rows.map(({ client, limit = Number.MAX_SAFE_INTEGER, observed, quota, resets_at, share, used }) =>
      meter(
        Format.sentence(Format.words(quota)),
        `${Format.used(quota, used, limit)}`,
        share,
        `${client}${observed === true ? ", only observed" : ""}; resets ${until(resets_at, now)}`
      )
    )
  )
}

/** What statements cost since the start, and what the account says of limits of its own. */
const credits = ({ account_budgets = [], warehouses = [] }: Snapshot): void => {
  show(byId("no-warehouses"), warehouses.length === 0)
  fill(byId("warehouse-rows"), JSON.stringify([warehouses, account_budgets]), () => [
    ...warehouses.map(
      ({ assumed, asked_ms_ago, credits, credits_per_hour, kind, running, state, warehouse }) =>
        h(
          "p",
          { class: "note" },
          h("b", {}, warehouse ?? "Not shown to the role"),
          ` ${Format.count(credits)} credits since the start. `,
          h(
            "span",
            { class: "quiet" },
            [
              kind,
              `${Format.count(credits_per_hour)} an hour${assumed === true ? ", assumed" : ""}`,
              `${state} ${Format.duration(asked_ms_ago)} ago`,
              running === 0 ? undefined : `${Format.count(running)} queries of this server`
            ]
              .filter((part) => part !== undefined)
              .join(", ")
          )
        )
    ),
    ...account_budgets.map(({ rows, user }) =>
      h(
        "p",
        { class: "note" },
        h("span", { class: "quiet" }, `The account's own limits${user === undefined ? "" : ` of ${user}`}: `),
        rows === undefined
          ? "not told"
          : rows
              .map((row) =>
                Object.entries(row)
                  .map(([name, value]) => `${Format.words(name)} ${String(value)}`)
                  .join(", ")
              )
              .join("; ") || "none"
      )
    )
  ])
}

const faultsOf = ({ faults }: NonNullable<Snapshot["config"]>): string =>
  `${Format.count(faults)} ${faults === 1 ? "fault" : "faults"}`

const settings = ({ config }: Snapshot): void => {
  const state = byId("config")
  if (config === undefined) {
    state.className = "state good"
    setText(state, "As at the start")
    setText(byId("config-age"), "This server reads its settings at the start alone.")
    fill(byId("config-more"), "", () => [])
    return
  }
  const { faults, faults_ms_ago, file, generation, loaded_ms_ago, needs_restart = [], wrong = [] } = config
  const [feeling, words]: readonly [Mood, string] =
    faults > 0
      ? ["warn", `A change was refused: ${faultsOf(config)}`]
      : needs_restart.length > 0
        ? ["warn", "A part of them waits for a restart"]
        : ["good", "As they were read last"]
  state.className = `state ${feeling}`
  setText(state, words)
  setText(
    byId("config-age"),
    [
      `In force: generation ${generation}, read ${Format.duration(loaded_ms_ago)} ago.`,
      faults > 0 && faults_ms_ago !== undefined
        ? `The change was refused ${Format.duration(faults_ms_ago)} ago; nothing of it is in force.`
        : "",
      file === undefined ? "" : `File: ${file}`
    ]
      .filter((part) => part !== "")
      .join(" ")
  )
  fill(byId("config-more"), JSON.stringify([wrong, needs_restart]), () => [
    ...(wrong.length === 0
      ? []
      : [h("ul", { class: "log" }, ...wrong.map((text) => h("li", { class: "bad" }, text)))]),
    ...(needs_restart.length === 0
      ? []
      : [
          h(
            "p",
            { class: "note" },
            h("span", { class: "quiet" }, "Only after a restart: "),
            needs_restart.join(", ")
          )
        ])
  ])
}

const severities: { readonly [S in NonNullable<Snapshot["alerts"]>["latest"][number]["severity"]]: string } =
  {
    critical: "bad",
    warning: "warn",
    info: "quiet"
  }

const alerts = ({ alerts: told, at }: Snapshot): void => {
  const { latest = [], receivers = [] } = told ?? {}
  show(byId("no-alerts"), latest.length === 0)
  fill(byId("alert-rows"), JSON.stringify(latest), () =>
    latest.map(({ at: when, severity, text }) =>
      h(
        "li",
        {},
        h("time", { datetime: new Date(when).toISOString(), class: "quiet" }, `${Format.when(when, at)} `),
        h("b", { class: severities[severity] }, severity),
        ` ${Format.sentence(text)}`
      )
    )
  )
  show(byId("no-receivers"), receivers.length === 0)
  fill(byId("receiver-rows"), JSON.stringify(receivers), () =>
    receivers.map(({ delivered, dropped, failed, host, name, trouble, waiting }) =>
      h(
        "li",
        {},
        h("b", {}, name),
        name === host ? " " : ` ${host} `,
        h(
          "span",
          { class: trouble === undefined && dropped === 0 ? "quiet" : "warn" },
          [
            `${Format.count(delivered)} delivered`,
            waiting === 0 ? "" : `${Format.count(waiting)} waiting`,
            dropped === 0 ? "" : `${Format.count(dropped)} dropped`,
            failed === 0 ? "" : `${Format.count(failed)} failed attempts`,
            trouble ?? ""
          ]
            .filter((part) => part !== "")
            .join(", ")
        )
      )
    )
  )
}

export const render = (snapshot: Snapshot): void => {
  observed(snapshot)
  settings(snapshot)
  byTool(snapshot.tiers ?? [])
  fullest(snapshot.clients ?? [], snapshot.at)
  credits(snapshot)
  alerts(snapshot)
}

/** The next user of the tab must not see what the last one saw. */
export const forget = (): void => {
  const ids = [
    "observed-limits",
    "observed-rows",
    "tier-rows",
    "fullest-rows",
    "warehouse-rows",
    "config-more",
    "alert-rows",
    "receiver-rows"
  ]
  for (const id of ids) fill(byId(id), "", () => [])
  for (const id of ["config", "config-age", "no-observed"]) setText(byId(id), "")
}
