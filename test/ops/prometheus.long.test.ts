/** The rules and the dashboard: on made-up series by `promtool`, and on what real servers in trouble told. */
import { assert, describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parse, stringify } from "yaml"
import * as Activity from "../../src/observe/Activity.js"
import { freePort } from "../utils/freePort.js"
import { folder } from "../utils/httpProcess.js"
import { available, daemon, eventually, here, ran, shipped } from "../utils/ops.js"
import type { Scrape } from "../utils/scenario.js"
import { labelled, locked, samplesOf, troubled } from "../utils/scenario.js"

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly labels: { readonly [name: string]: string }
  readonly annotations: { readonly [name: string]: string }
}

const rulesFile = here("ops/prometheus-alerts.yml")
const rules: ReadonlyArray<Rule> = parse(shipped("prometheus-alerts.yml")).groups.flatMap(
  ({ rules }: { readonly rules: ReadonlyArray<Rule> }) => rules
)

interface Target {
  readonly expr: string
}
interface Panel {
  readonly id: number
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly title: string
  readonly type: string
  readonly targets?: ReadonlyArray<Target>
}
interface Dashboard {
  readonly panels: ReadonlyArray<Panel>
}
const dashboard: Dashboard = JSON.parse(shipped("grafana-dashboard.json"))

/** Each query of the dashboard, as Grafana asks it with all servers chosen. */
const queries = dashboard.panels.flatMap(({ targets = [], title }) =>
  targets.map(({ expr }) => ({
    title,
    expr: expr
      .replaceAll("$instance", ".*")
      .replaceAll("$job", ".*")
      .replaceAll("$__rate_interval", "1m")
      .replaceAll("$__range", "1h")
  }))
)

const metricsIn = (expr: string): ReadonlyArray<string> =>
  expr.match(/\b(snowguard|mcp|process|nodejs)_[a-z0-9_]+/g) ?? []

/** What no server of the scenario has a reason to tell: in the source under this name. */
const untold = new Map([["snowguard_alerts_total", "src/operate/Alerts.ts"]])

const instances = (scrapes: { readonly [instance: string]: ReadonlyArray<Scrape> }) => Object.entries(scrapes)

const scenario = Effect.gen(function* () {
  const { home, http, admin, scrapes: a } = yield* troubled
  const { scrapes: b } = yield* locked
  return { home, http, admin, scrapes: { a, b } }
})

const MINUTES = 12

/** How much of an overload the ladder sees, and how late the server is, depends on the machine. */
const notSure = 'alertname!~"SnowguardConstrained|SnowguardEventLoopLate"'

/** Series for `promtool test rules`: each scrape is what is seen for so many minutes. */
const inputOf = (
  scrapes: { readonly [instance: string]: ReadonlyArray<Scrape> },
  names: ReadonlySet<string>
) => {
  const lines = new Map<string, Array<string>>()
  const length = Math.max(...instances(scrapes).map(([, all]) => all.length))
  for (const [instance, all] of instances(scrapes)) {
    const labels = `instance="${instance}",job="snowguard"`
    lines.set(
      `up{${labels}}`,
      Array.from({ length }, () => `1x${MINUTES - 1}`)
    )
    all.forEach(({ text }, i) => {
      for (const { name, series, value } of samplesOf(text)) {
        if (!names.has(name)) continue
        const key = labelled(series, labels)
        const values = lines.get(key) ?? Array.from({ length }, () => `_x${MINUTES}`)
        values[i] = `${value}x${MINUTES - 1}`
        lines.set(key, values)
      }
    })
  }
  // `promtool` takes 10,000 samples a query: counters of calls that no server had are left out.
  const isIdle = ([series, values]: readonly [string, ReadonlyArray<string>]): boolean =>
    series.startsWith("snowguard_calls_total{") && values.every((value) => /^[0_]x/.test(value))
  return [...lines]
    .filter((line) => !isIdle(line))
    .map(([series, values]) => ({ series, values: values.join(" ") }))
}

/**
 * What fires in a phase for the first time. What counts an increase goes on for as long as the rule looks back, and the
 * quotas stay as they are.
 */
const first: { readonly [phase: string]: ReadonlyArray<string> } = {
  calm: ["SnowguardLoginRefused", "SnowguardQuotaStoreLost"],
  busy: ["SnowguardAuditLost", "SnowguardOverloaded", "SnowguardQueue", "SnowguardWarehouseErrors"],
  costly: ["SnowguardCreditsNearlyUsed"],
  quotas: ["SnowguardQuotaNearlyUsed", "SnowguardQuotaUsedUp"],
  loop: ["SnowguardClientLooping"],
  guessed: ["SnowguardClientsRefused"],
  open: ["SnowguardCircuitOpen", "SnowguardDegraded"],
  pinned: ["SnowguardNotReady"],
  "wrong settings": ["SnowguardConfigRefused"],
  "other settings": []
}

describe("the rules for Prometheus", () => {
  it("name what operators do about each, and no client", () => {
    const doc = readFileSync(here("docs/operating.md"), "utf8")
    const [, section = ""] = doc.split("\n## Rules for Prometheus\n")
    const documented = [...section.split("\n## ")[0]!.matchAll(/^\| `(Snowguard\w+)` \|.*\| \S.* \|$/gm)].map(
      ([, name]) => name
    )
    assert.deepStrictEqual(
      documented,
      rules.map(({ alert }) => alert)
    )
    for (const { alert, annotations, labels } of rules) {
      assert.strictEqual(annotations["runbook"], "docs/operating.md#rules-for-prometheus", alert)
      assert.include(["critical", "warning", "info"], labels["severity"], alert)
    }
    expect(shipped("prometheus-alerts.yml")).not.toMatch(/\bclient=|by \([^)]*client/)
  })

  it("name outcomes that calls have", () => {
    const queried = [...rules, ...queries].map(({ expr }) => expr).join("\n")
    const outcomes = [...queried.matchAll(/(?:outcome|reason)=~?"([^"]+)"/g)].flatMap(([, text = ""]) =>
      text
        .replace(/WAREHOUSE_\(([^)]*)\)/, (_, all: string) =>
          all
            .split("|")
            .map((one) => `WAREHOUSE_${one}`)
            .join("|")
        )
        .split("|")
    )
    expect(outcomes.length).toBeGreaterThan(10)
    const known = [...Object.keys(Activity.codes), "ok"]
    for (const outcome of outcomes) assert.include(known, outcome)
  })

  it.runIf(available("promtool"))("are valid, fire when they should, and only then", () =>
    Effect.gen(function* () {
      const check = yield* ran("promtool", ["check", "rules", rulesFile])
      assert.strictEqual(check.status, 0, check.stdout + check.stderr)
      const home = yield* folder
      let texts = ""
      for (const name of ["prometheus-alerts.yml", "prometheus-alerts-days.yml"]) {
        const path = join(home, name)
        const text = readFileSync(here(`test/ops/${name}`), "utf8")
        writeFileSync(path, text.replace("RULES", JSON.stringify(rulesFile)))
        const test = yield* ran("promtool", ["test", "rules", path])
        assert.strictEqual(test.status, 0, test.stdout + test.stderr)
        texts += text
      }
      // Each of them is seen to fire.
      for (const { alert } of rules) assert.match(texts, new RegExp(`labels: '\\{alertname="${alert}"`))
    }).pipe(Effect.scoped, Effect.runPromise)
  )
})

describe("the dashboard", () => {
  it("has each panel once, in a place of its own, and asks for the servers that were chosen", () => {
    const { panels } = dashboard
    assert.strictEqual(new Set(panels.map(({ id }) => id)).size, panels.length)
    const cells = panels.flatMap(({ gridPos: { h, w, x, y } }) =>
      Array.from({ length: h * w }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`)
    )
    assert.strictEqual(new Set(cells).size, cells.length)
    for (const { gridPos, targets = [], title, type } of panels) {
      assert.isAtMost(gridPos.x + gridPos.w, 24, title)
      if (type !== "row") assert.isNotEmpty(targets, title)
      for (const { expr } of targets) {
        const chosen = expr.match(/\{instance=~"\$instance",job=~"\$job"[,}]/g) ?? []
        assert.strictEqual(
          chosen.length,
          expr.match(/\b(?:snowguard|process|nodejs)_[a-z0-9_]+|\bup\b/g)?.length,
          expr
        )
      }
    }
  })
})

describe.runIf(available("promtool", "prometheus"))("what servers in trouble tell", () => {
  it.scopedLive(
    "fires the rules, answers the queries of the dashboard, and is scraped as the example says",
    () =>
      Effect.gen(function* () {
        const { admin, home, http, scrapes } = yield* scenario
        const told = new Set(
          Object.values(scrapes).flatMap((all) =>
            all.flatMap(({ text }) => samplesOf(text).map(({ name }) => name))
          )
        )
        // A metric that is renamed is missed here.
        for (const { expr } of [...rules, ...queries]) {
          for (const name of metricsIn(expr)) {
            const file = untold.get(name)
            if (file === undefined) assert.isTrue(told.has(name), `no server tells ${name}`)
            else assert.include(readFileSync(here(file), "utf8"), `"${name}"`)
          }
        }

        const phases = scrapes.a.map(({ phase }) => phase)
        const path = join(home, "rules.yml")
        const asked = new Set(rules.flatMap(({ expr }) => metricsIn(expr)))
        const known = new Set<string>()
        const tests = phases.map((phase, i) => {
          // The two looks at the busy server are one phase.
          const isOver = phases[i + 1] !== phase
          if (isOver) for (const alert of first[phase] ?? []) known.add(alert)
          return { isOver, until: (i + 1) * MINUTES - 1, alerts: [...known].sort() }
        })
        writeFileSync(
          path,
          stringify({
            rule_files: [rulesFile],
            evaluation_interval: "1m",
            tests: [
              {
                interval: "1m",
                input_series: inputOf(scrapes, asked),
                promql_expr_test: tests
                  .filter(({ isOver }) => isOver)
                  .map(({ alerts, until }) => ({
                    expr: `group by (alertname) (count_over_time(ALERTS{alertstate="firing",${notSure}}[${until + 1}m]))`,
                    eval_time: `${until}m`,
                    exp_samples: alerts.map((name) => ({ labels: `{alertname="${name}"}`, value: 1 }))
                  }))
              }
            ]
          })
        )
        const test = yield* ran("promtool", ["test", "rules", path])
        assert.strictEqual(test.status, 0, test.stdout + test.stderr)

        // The same as a database: a scrape each 15 seconds, each moment of the scenario for three minutes.
        const STEP = 15
        const EACH = 12
        const length = Math.max(...Object.values(scrapes).map((all) => all.length)) * EACH * STEP
        const began = Math.floor(Date.now() / 1000) - length - 60
        const lines = Object.entries(scrapes).flatMap(([instance, all]) =>
          all.flatMap(({ text }, i) =>
            Array.from({ length: EACH }, (_, n) => began + (i * EACH + n) * STEP).flatMap((at) =>
              [...samplesOf(text), { series: "up", value: "1" }].map(
                ({ series, value }) =>
                  `${labelled(series, `instance="${instance}",job="snowguard"`)} ${value} ${at}`
              )
            )
          )
        )
        const data = join(home, "data")
        mkdirSync(data)
        const openMetrics = join(home, "metrics.txt")
        writeFileSync(openMetrics, `${lines.join("\n")}\n# EOF\n`)
        const made = yield* ran("promtool", ["tsdb", "create-blocks-from", "openmetrics", openMetrics, data])
        assert.strictEqual(made.status, 0, made.stdout + made.stderr)

        const key = join(home, "admin.key")
        writeFileSync(key, `${admin}\n`, { mode: 0o600 })
        const config = join(home, "prometheus.yml")
        writeFileSync(
          config,
          shipped("prometheus.yml", [
            ["scrape_interval: 15s", "scrape_interval: 200ms"],
            ["evaluation_interval: 30s", "evaluation_interval: 1s"],
            ["/etc/prometheus/snowguard/prometheus-alerts.yml", rulesFile],
            ["/etc/prometheus/snowguard/admin.key", key],
            ["127.0.0.1:8787", `127.0.0.1:${http.port}`]
          ])
        )
        const checked = yield* ran("promtool", ["check", "config", config])
        assert.strictEqual(checked.status, 0, checked.stdout + checked.stderr)
        const port = yield* Effect.promise(freePort)
        yield* daemon(
          "prometheus",
          [
            ...[`--config.file=${config}`, `--storage.tsdb.path=${data}`, "--log.level=warn"],
            `--web.listen-address=127.0.0.1:${port}`
          ],
          port
        )
        interface Answered {
          readonly status: string
          readonly error?: string
          readonly data: { readonly result: ReadonlyArray<{ readonly value?: readonly [number, string] }> }
        }
        const ask = async (path: string, params: { readonly [name: string]: string }): Promise<Answered> => {
          const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${path}?${new URLSearchParams(params)}`)
          return answer.status === 503
            ? { status: "not ready", data: { result: [] } }
            : ((await answer.json()) as Answered)
        }
        yield* eventually(async () => {
          const { data } = await ask("query", {
            query: `up{job="snowguard",instance="127.0.0.1:${http.port}"}`
          })
          return data.result[0]?.value?.[1] === "1"
        })
        const range = { start: String(began), end: String(began + length), step: String(STEP) }
        const empty: Array<string> = []
        for (const { expr, title } of queries) {
          const { data, error, status } = yield* Effect.promise(() =>
            ask("query_range", { query: expr, ...range })
          )
          assert.strictEqual(status, "success", `${title}: ${error}`)
          const isUntold = metricsIn(expr).some((name) => untold.has(name))
          if (data.result.length === 0 && !isUntold) empty.push(`${title}: ${expr}`)
        }
        assert.deepStrictEqual(empty, [])
      }),
    120_000
  )
})
