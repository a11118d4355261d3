/**
 * `npm run simulate -- --hours 24 --seed 1 --seeds 1 --compare --ablation --json --without breaker,retry`
 */
import * as Ablation from "./ablation.js"
import * as Credits from "./credits.js"
import type { Report } from "./report.js"
import { simulate } from "./run.js"
import * as Scenarios from "./scenarios.js"
import * as Server from "./server.js"
import * as Table from "./table.js"

const help = `usage: npm run simulate -- [options]
  --hours H      simulated hours of each run (24; with --compare 3)
  --seed N       what the first run is made up from (1)
  --seeds K      so many runs, from consecutive seeds (1)
  --without L    leave layers out: ${Server.layerNames.join(",")}
  --compare      one hand-written bad day with every layer, without each, and without any: a table
  --ablation     each mechanism of the guard in a small world that it is for, with it and without it: a table
                 (--seeds 20; --only TEXT: those whose name or world has it in it)
  --credits      what is charged in credits against the account's bill, and against the bill of an account that others use too
                 (--hours 24 at most)
  --json         the reports as JSON`

const parse = (args: ReadonlyArray<string>) => {
  const options = {
    hours: undefined as number | undefined,
    seed: 1,
    seeds: undefined as number | undefined,
    only: "",
    compare: false,
    ablation: false,
    credits: false,
    json: false
  }
  const without: Array<Server.LayerName> = []
  const fail = (message: string): never => {
    console.error(`${message}\n\n${help}`)
    process.exit(2)
  }
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!
    const value = (): string => args[++i] ?? fail(`${arg} needs a value`)
    const number = (): number => {
      const text = value()
      const parsed = Number(text)
      return text.trim() !== "" && parsed >= 0 && Number.isFinite(parsed)
        ? parsed
        : fail(`${arg}: ${text} is no number`)
    }
    if (arg === "--hours") options.hours = number()
    else if (arg === "--seed") options.seed = number()
    else if (arg === "--seeds") options.seeds = number()
    else if (arg === "--compare") options.compare = true
    else if (arg === "--ablation") options.ablation = true
    else if (arg === "--credits") options.credits = true
    else if (arg === "--only") options.only = value()
    else if (arg === "--json") options.json = true
    else if (arg === "--without")
      for (const name of value().split(","))
        without.push(Server.layerNames.find((known) => known === name) ?? fail(`there is no layer ${name}`))
    else if (arg === "--help") {
      console.log(help)
      process.exit(0)
    } else fail(`unknown option ${arg}`)
  }
  return {
    ...options,
    hours: options.hours ?? (options.compare ? 3 : 24),
    seeds: options.seeds ?? (options.ablation ? 20 : 1),
    without
  }
}

const describe = (report: Report): string => {
  const lines = [
    `seed ${report.seed}, ${report.hours} h: ${report.calls} calls, well-behaved clients got ${(report.goodput * 100).toFixed(1)} %; ` +
      `warehouse ${report.loadNormal} calls/min, ${report.loadOutage} in outages`
  ]
  for (const each of report.temperaments) {
    const answers = Object.entries(each.answers).map(([code, count]) => `${code} ${count}`)
    lines.push(
      `  ${each.temperament.padEnd(10)} ${each.clients} clients wanted ${each.wanted}, got ${(each.goodput * 100).toFixed(1)} %, ` +
        `answers after ${each.answer.p50} / ${each.answer.p99} / ${Math.round(each.answer.worst)} ms: ${answers.join(", ")}`
    )
  }
  return lines.join("\n")
}

/** Says what is broken and how to see it again. */
const accuse = (report: Report, replay: string): void => {
  console.error(`\n${report.violationCount} violations. See them again with: ${replay}`)
  for (const { atMs, detail, rule } of report.violations)
    console.error(`  at ${atMs} ms: ${rule}\n      ${detail}`)
}

const main = (): void => {
  const { ablation, compare, credits, hours, json, only, seed, seeds, without } = parse(process.argv.slice(2))
  const layers = Object.fromEntries(without.map((name) => [name, false]))
  const began = performance.now()
  const reports: Array<Report> = []
  let broken = 0
  const finish = (report: Report, replay: string): void => {
    reports.push(report)
    if (report.violationCount === 0) return
    broken += 1
    accuse(report, replay)
  }

  if (credits) {
    for (let each = seed; each < seed + seeds; each++)
      for (const others of [false, true]) {
        const report = Credits.day(each, Math.min(24, hours), { others })
        console.log(json ? JSON.stringify(report) : Credits.describe(report))
        if (report.wokenByGuests > 0) process.exitCode = 1
      }
    return
  }
  if (ablation) {
    if (!json) console.log(Ablation.head)
    const rows = Ablation.measure({
      seed,
      seeds,
      of: Ablation.ablations.filter(({ mechanism, world }) => `${mechanism} ${world}`.includes(only)),
      each: (row) => {
        if (!json) console.log(Ablation.line(row))
      },
      // A mechanism that is left out breaks its own rules.
      run: (report) => reports.push(report)
    })
    if (json) console.log(JSON.stringify(rows, undefined, 2))
  } else if (compare) {
    const scenario = Scenarios.badDay(hours)
    const replay = (of: number) => `npm run simulate -- --compare --seed ${of} --hours ${hours}`
    const rows = Table.compare({
      seed,
      seeds,
      hours,
      scenario,
      each: (report) => finish(report, replay(report.seed))
    })
    console.log(json ? JSON.stringify(rows, undefined, 2) : Table.markdown(rows))
  } else {
    for (let each = seed; each < seed + seeds; each++) {
      const report = simulate({ seed: each, hours, layers })
      if (!json) console.log(describe(report))
      finish(report, without.length === 0 ? report.replay : `${report.replay} --without ${without.join(",")}`)
    }
    if (json) console.log(JSON.stringify(seeds === 1 ? reports[0] : reports, undefined, 2))
  }

  const seconds = (performance.now() - began) / 1000
  const simulated = reports.reduce((sum, report) => sum + report.hours, 0)
  const calls = reports.reduce((sum, report) => sum + report.calls, 0)
  console.error(
    `\n${simulated} hours and ${calls} calls in ${seconds.toFixed(1)} s: ${(simulated / seconds).toFixed(1)} hours/s, ` +
      `${Math.round(calls / seconds)} calls/s; ${ablation ? "a mechanism that is left out breaks its own rules" : broken === 0 ? "every invariant held" : `${broken} runs broke an invariant`}`
  )
  if (broken > 0) process.exitCode = 1
}

main()
