/**
 * `npm run chaos -- --minutes 5 --seed 1 --json`
 */
import { Effect } from "effect"
import type { Report } from "./report.js"
import { run } from "./run.js"

const help = `usage: npm run chaos -- [options]
  --minutes M   how long faults come and go (5)
  --seed N      what the run is made up from (1)
  --json        the report as JSON`

const fail = (message: string): never => {
  console.error(`${message}\n\n${help}`)
  process.exit(2)
}

const parse = (args: ReadonlyArray<string>) => {
  const options = { minutes: 5, seed: 1, json: false }
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!
    const number = (least: number): number => {
      const text = args[++i] ?? fail(`${arg} needs a value`)
      const value = Number(text)
      return text.trim() !== "" && Number.isFinite(value) && value >= least
        ? value
        : fail(`${arg}: ${text} will not do`)
    }
    if (arg === "--minutes") options.minutes = number(0.1)
    else if (arg === "--seed") options.seed = number(0)
    else if (arg === "--json") options.json = true
    else if (arg === "--help") {
      console.log(help)
      process.exit(0)
    } else fail(`unknown option ${arg}`)
  }
  return options
}

/** Of a round: blackout, cancellations and mistakes take some seconds beside it. */
const ROUND_MS = 20_000

const describe = (report: Report): string =>
  [
    `seed ${report.seed}, ${report.seconds} s: ${report.calls} calls, ${report.cancelled} of them cancelled`,
    `  answers               ${JSON.stringify(report.codes)}`,
    `  faults struck         ${JSON.stringify(report.struck)}`,
    `  latest answer         ${report.worstLateMs} ms after its deadline (negative: before)`,
    `  breaker               opened ${report.breaker.opened} times, closed ${report.breaker.closed} times`,
    `  amplification         ${report.amplification.toFixed(2)} in ${report.blackouts.length} blackouts`,
    `  sessions              ${report.sessions.opened} opened, ${report.sessions.alive} left behind (${report.sessions.orphansAllowed} could not be helped)`,
    `  cancelled statements  gone after ${report.cancelledGoneMs} ms at most`,
    `  memory                ${report.rssMb.join(", ")} MB`
  ].join("\n")

const { json, minutes, seed } = parse(process.argv.slice(2))
const chaosMs = minutes * 60_000
const report = await Effect.runPromise(
  Effect.scoped(
    run({
      bin: process.env["CHAOS_BIN"] ?? fail("CHAOS_BIN is not set"),
      seed,
      chaosMs,
      rounds: Math.max(1, Math.round(chaosMs / ROUND_MS)),
      faultMs: 300,
      tell: (line) => console.error(line)
    })
  )
)
console.log(json ? JSON.stringify(report) : describe(report))
if (report.violations.length > 0) {
  console.error(
    `\nseed ${seed} is broken; see it again with: npm run chaos -- --minutes ${minutes} --seed ${seed}`
  )
  for (const violation of report.violations) console.error(`  ${violation}`)
  process.exitCode = 1
}
process.exit()
