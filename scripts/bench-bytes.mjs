// Bytes that a client is sent: tools/list, and what a client shows its model of ten typical answers, over stdio in the 2025
// era, on the sample. With --beside the same of another build, such as an earlier one.
//   npm run bench:bytes [-- --beside /path/to/another/dist/bin.js] [--json]
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { initialize } from "./handshake.mjs"

const { values } = parseArgs({ options: { beside: { type: "string" }, json: { type: "boolean" } } })
const own = fileURLToPath(new URL("../dist/bin.js", import.meta.url))
const bins = [...(values.beside === undefined ? [] : [values.beside]), own]
for (const bin of bins) {
  if (existsSync(bin)) continue
  console.error(`${bin} is missing: build it first`)
  process.exit(1)
}

const place = { database: "SNOWGUARD_SAMPLE", schema: "PUBLIC" }
const calls = [
  ["list_databases", {}],
  ["list_schemas", { database: place.database }],
  ["list_tables", place],
  ["list_views", place],
  ["describe_table", { ...place, table: "ORDERS" }],
  ["get_limits", {}],
  ["execute_query: one number", { sql: "SELECT COUNT(*) AS N FROM ORDERS" }],
  ["execute_query: 100 rows", { sql: "SELECT * FROM ORDERS ORDER BY 1", limit: 100 }],
  ["execute_query: a refusal of the gate", { sql: "DELETE FROM ORDERS" }],
  ["execute_query: an error of the warehouse", { sql: "SELECT NO_SUCH FROM ORDERS" }]
]

const bytes = (value) => Buffer.byteLength(JSON.stringify(value ?? null))

/** Asks one server all of it. */
const measure = async (bin) => {
  const state = mkdtempSync(join(tmpdir(), "snowguard-bytes-"))
  const env = {
    ...Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith("SNOWGUARD_"))),
    SNOWGUARD_STATE_DIR: state,
    XDG_CONFIG_HOME: state,
    APPDATA: state
  }
  const child = spawn(process.execPath, [bin], { env, cwd: state, stdio: ["pipe", "pipe", "ignore"] })
  const waiting = new Map()
  const ended = new Promise((_, reject) =>
    child.on("exit", (code) => reject(new Error(`${bin} ended: ${code}`)))
  )
  ended.catch(() => {})
  createInterface({ input: child.stdout }).on("line", (line) => {
    const message = JSON.parse(line)
    waiting.get(message.id)?.(message)
  })
  let id = 0
  const ask = (method, params) => {
    id += 1
    const answer = new Promise((resolve) => waiting.set(id, resolve))
    child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`)
    return Promise.race([answer, ended])
  }
  try {
    await ask("initialize", initialize("bench"))
    child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" })}\n`)
    const { tools } = (await ask("tools/list", {})).result
    const outputs = tools.reduce((sum, { outputSchema }) => sum + bytes(outputSchema), 0)
    const told = tools.map(({ description, inputSchema, name }) => ({ name, description, inputSchema }))
    const rows = [
      ["tools", tools.length],
      ["tools/list", bytes({ tools })],
      ["... names, descriptions and input schemas", bytes(told)],
      ["... output schemas", outputs]
    ]
    for (const [title, args] of calls) {
      const { result } = await ask("tools/call", { name: title.split(":")[0], arguments: args })
      rows.push([
        `${title}, as text`,
        result.content.reduce((sum, { text = "" }) => sum + Buffer.byteLength(text), 0)
      ])
      if (result.structuredContent !== undefined)
        rows.push([`${title}, as structure`, bytes(result.structuredContent)])
    }
    return new Map(rows)
  } finally {
    child.kill()
    rmSync(state, { recursive: true, force: true })
  }
}

const measured = []
for (const bin of bins) measured.push(await measure(bin))
const names = [...new Set(measured.flatMap((one) => [...one.keys()]))]
if (values.json) console.log(JSON.stringify(measured.map((one) => Object.fromEntries(one))))
else {
  console.log(
    bins.length === 1 ? "| bytes | now |\n| --- | ---: |" : "| bytes | before | now |\n| --- | ---: | ---: |"
  )
  for (const name of names)
    console.log(
      `| ${name} | ${measured.map((one) => one.get(name)?.toLocaleString("en") ?? "-").join(" | ")} |`
    )
}
