import { run } from "./run.js"

const { RELOAD_BIN = "" } = process.env
const [reloads = "1000", seed = "1"] = process.argv.slice(2)
const report = await run(RELOAD_BIN, { reloads: Number(reloads), seed: Number(seed), env: process.env })
console.log(JSON.stringify(report, undefined, 2))
process.exitCode =
  report.unanswered.length + report.exceeded.length + report.forgotten.length === 0 && report.admitted > 0
    ? 0
    : 1
