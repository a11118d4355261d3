// Start-up: from spawn to the first answer, beside a bare node process that answers one line. The 2025 era's first
// answer is that of `initialize`, the 2026 era's that of `server/discover`. "First call" is the answer to `select 1` by the
// embedded warehouse, which that call begins. All in one interleaved run, so that a busy machine slows all; medians and the
// median of the ratios.
//   npm run bench:start [-- --rounds 15] [--json]
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { envelope, initialize } from "./handshake.mjs"

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "15" }, json: { type: "boolean" } }
})
const rounds = Number(values.rounds)
const bin = fileURLToPath(new URL("../dist/bin.js", import.meta.url))
if (!existsSync(bin)) {
  console.error("dist/bin.js is missing: run `npm run build` first")
  process.exit(1)
}

const request = (method, params) => JSON.stringify({ jsonrpc: "2.0", id: 1, method, params })
const first2025 = request("initialize", initialize("bench"))
const first2026 = request("server/discover", { _meta: envelope("bench") })
const firstCall = [
  first2025,
  JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" }),
  JSON.stringify({
    jsonrpc: "2.0",
    id: 2,
    method: "tools/call",
    params: { name: "execute_query", arguments: { sql: "select 1" } }
  })
].join("\n")
const bare = `process.stdin.once("data", () => process.stdout.write('{"jsonrpc":"2.0","id":1,"result":{}}\\n'))`

const state = mkdtempSync(join(tmpdir(), "snowguard-bench-"))
process.on("exit", () => rmSync(state, { recursive: true, force: true }))
const env = {
  ...Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith("SNOWGUARD_"))),
  SNOWGUARD_STATE_DIR: state,
  XDG_CONFIG_HOME: state,
  APPDATA: state
}

const once = (args, first, id = 1) =>
  new Promise((resolve, reject) => {
    const started = performance.now()
    const child = spawn(process.execPath, args, { env, stdio: ["pipe", "pipe", "ignore"] })
    let answer = ""
    child.on("error", reject)
    child.stdout.on("data", (chunk) => {
      answer += chunk
      const elapsed = performance.now() - started
      const lines = answer.split("\n").slice(0, -1)
      const reply = lines.map((line) => JSON.parse(line)).find((message) => message.id === id)
      if (reply === undefined) return
      if (reply.result === undefined || reply.result.isError === true) return reject(new Error(answer))
      child.once("exit", () => resolve(elapsed))
      child.kill("SIGKILL")
    })
    child.stdin.write(`${first}\n`)
  })

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]

const rows = [
  { key: "bare_node", name: "bare node", args: ["-e", bare], first: first2025 },
  { key: "snowguard", name: "snowguard stdio, 2025", args: [bin], first: first2025 },
  { key: "snowguard_2026", name: "snowguard stdio, 2026", args: [bin], first: first2026 },
  { key: "first_call", name: "first call, 2025", args: [bin], first: firstCall, id: 2, goal: "600 ms" }
].map((row) => ({ ...row, ms: [] }))
const [base, ...ours] = rows
await once([bin], first2025)
for (let round = 0; round < rounds; round++) {
  for (const { args, first, id, ms } of rows) ms.push(await once(args, first, id))
}
const ratio = ({ ms }) => Number(median(ms.map((one, i) => one / base.ms[i])).toFixed(2))
const report = {
  rounds,
  ...Object.fromEntries(rows.map(({ key, ms }) => [`${key}_ms`, Number(median(ms).toFixed(1))])),
  ratio: ratio(ours[0]),
  ratio_2026: ratio(ours[1])
}
if (values.json) console.log(JSON.stringify(report))
else {
  console.log(`spawn -> first answer, median of ${rounds} interleaved rounds`)
  for (const row of rows) {
    const beside = row === base ? "" : `   ${ratio(row)}x (goal: at most ${row.goal ?? "3x"})`
    console.log(`  ${row.name.padEnd(24)}${median(row.ms).toFixed(1)} ms${beside}`)
  }
}
