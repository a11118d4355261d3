/**
 * `npm run bombs -- --rounds 2 --calls 200 --processes 4 --json`
 */
import { run } from "./run.js"

const args = process.argv.slice(2)
const given = (name: string, value: number): number =>
  args.includes(name) ? Number(args[args.indexOf(name) + 1]) : value
const kind = args.includes("--kind") ? args[args.indexOf("--kind") + 1] : undefined

const report = await run({
  bin: process.env["BOMBS_BIN"] ?? "dist/bin.js",
  rounds: given("--rounds", 2),
  calls: given("--calls", 200),
  timeoutSeconds: given("--timeout", 10),
  kinds: kind === undefined ? undefined : [kind],
  env: { SNOWGUARD_DUCKDB_MAX_PROCESSES: String(given("--processes", 4)) }
})

if (args.includes("--json")) console.log(JSON.stringify(report, undefined, 2))
else {
  const { kinds, neighbour } = report
  const width = Math.max(...kinds.map(({ kind }) => kind.length))
  for (const { answers, kind, said, slowestMs } of kinds) {
    const codes = Object.entries(answers).map(([code, count]) => `${count} ${code}`)
    console.log(`${kind.padEnd(width)}  ${String(slowestMs).padStart(6)} ms  ${codes.join(", ")}`)
    if (args.includes("--verbose")) console.log(`${" ".repeat(width)}             ${said}`)
  }
  console.log(
    [
      "",
      `server died      ${report.serverDied ? "YES" : "0 times"}`,
      `other client     ${neighbour.answered} of ${neighbour.calls} calls answered; p50 ${neighbour.p50Ms} ms, p99 ${neighbour.p99Ms} ms, slowest ${neighbour.slowestMs} ms`,
      ...neighbour.failures.slice(0, 5).map((failure) => `                 ${failure}`),
      `memory           at most ${report.peakMb} MB, all processes`,
      `breaker, ladder  ${report.noticed.length === 0 ? "nothing" : report.noticed.join("; ")}`,
      `SIGTERM          ended after ${report.stoppedMs} ms, with three statements being planned; ${report.orphans} processes left`,
      `${report.seconds} s`
    ].join("\n")
  )
}
const isGood =
  !report.serverDied &&
  report.neighbour.failures.length === 0 &&
  report.neighbour.slowestMs < 2000 &&
  report.peakMb < 3000 &&
  report.orphans === 0 &&
  report.noticed.length === 0
process.exitCode = isGood ? 0 : 1
