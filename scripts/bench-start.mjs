// Start-up: from spawn to the answer of `initialize`, beside a bare node process that answers one line.
// Both in one interleaved run, so that a busy machine slows both; medians and the median of the ratios.
//   npm run bench:start [-- --rounds 15] [--json]
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "15" }, json: { type: "boolean" } }
})
const rounds = Number(values.rounds)
const bin = fileURLToPath(new URL("../dist/bin.js", import.meta.url))
if (!existsSync(bin)) {
  console.error("dist/bin.js is missing: run `npm run build` first")
  process.exit(1)
}

const initialize = JSON.stringify({
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "bench", version: "1" } }
})
const bare = `process.stdin.once("data", () => process.stdout.write('{"jsonrpc":"2.0","id":1,"result":{}}\\n'))`

const state = mkdtempSync(join(tmpdir(), "snowguard-bench-"))
process.on("exit", () => rmSync(state, { recursive: true, force: true }))
const env = {
  ...Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith("SNOWGUARD_"))),
  SNOWGUARD_STATE_DIR: state,
  XDG_CONFIG_HOME: state,
  APPDATA: state
}

const once = (args) =>
  new Promise((resolve, reject) => {
    const started = performance.now()
    const child = spawn(process.execPath, args, { env, stdio: ["pipe", "pipe", "ignore"] })
    let answer = ""
    child.on("error", reject)
    child.stdout.on("data", (chunk) => {
      answer += chunk
      if (!answer.includes("\n")) return
      const elapsed = performance.now() - started
      if (JSON.parse(answer.slice(0, answer.indexOf("\n"))).result === undefined)
        return reject(new Error(answer))
      child.once("exit", () => resolve(elapsed))
      child.kill("SIGKILL")
    })
    child.stdin.write(`${initialize}\n`)
  })

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]

await once([bin])
const samples = { bare: [], snowguard: [] }
for (let round = 0; round < rounds; round++) {
  samples.bare.push(await once(["-e", bare]))
  samples.snowguard.push(await once([bin]))
}
const report = {
  rounds,
  bare_node_ms: Number(median(samples.bare).toFixed(1)),
  snowguard_ms: Number(median(samples.snowguard).toFixed(1)),
  ratio: Number(median(samples.snowguard.map((ms, i) => ms / samples.bare[i])).toFixed(2))
}
if (values.json) console.log(JSON.stringify(report))
else {
  console.log(`spawn -> first answer, median of ${rounds} interleaved rounds`)
  console.log(`  bare node        ${report.bare_node_ms} ms`)
  console.log(`  snowguard stdio  ${report.snowguard_ms} ms   ${report.ratio}x (goal: at most 3x)`)
}
