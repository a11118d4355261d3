// Real MCP clients against the built server, each through its own interface:
//   npm run clients [-- --only NAME,NAME] [--dir FOLDER] [--installed] [--json] [--verbose]
// NAME is a name in the table below, or how it begins.
// Each connects, lists the tools, calls two, is refused a DROP, and gives up a statement that never ends,
// which has to end in the warehouse: the emulator. The clients are no dependencies: they are installed into
// --dir (node_modules/.cache/clients), each in a folder of its own, and see this machine alone.
// --installed: only those that are dependencies anyway, from there.
import { spawn } from "node:child_process"
import { once } from "node:events"
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath, pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import { install, nodeFor } from "./installed.mjs"
import { bin, emulator, keys, server, surroundings } from "./load-servers.mjs"

const sdk = { "@modelcontextprotocol/sdk": "1.32.2" }
const next = { "@modelcontextprotocol/client": "2.4.0" }
const inspector = { "@modelcontextprotocol/inspector": "2.12.0" }
const gateway = { supergateway: "4.0.0", ...sdk }

/**
 * The table. The first of the packages is the client, the others are what it is driven with; `node` is the
 * major version that it asks for, where this one is older.
 */
const clients = [
  { name: "sdk-1", packages: sdk },
  ...["legacy", "auto", "pinned"].map((mode) => ({
    name: `client-2-${mode}`,
    ...{ driver: "client-2", folder: "client-2", mode, packages: next }
  })),
  ...["legacy", "auto", "modern"].map((mode) => ({
    name: `inspector-${mode}`,
    ...{ driver: "inspector", folder: "inspector", mode, packages: inspector, node: 24 }
  })),
  { name: "mcporter", packages: { mcporter: "0.12.3" }, node: 24 },
  { name: "langchain", packages: { "@langchain/mcp-adapters": "1.1.4" } },
  { name: "ai-sdk", packages: { "@ai-sdk/mcp": "2.0.99" }, node: 24 },
  // The second line loads its client from a registry when it runs.
  { name: "mcp-use", packages: { "mcp-use": "1.34.6" } },
  { name: "openai-agents", packages: { "@openai/agents": "0.20.0" }, node: 24 },
  { name: "llamaindex", packages: { "@llamaindex/tools": "0.2.1" } },
  { name: "mcp-remote", packages: { "mcp-remote": "0.15.1", ...sdk }, transports: ["stdio to http"] },
  {
    name: "supergateway",
    ...{ packages: gateway, transports: ["http to stdio", "sse to stdio", "stdio to http"] }
  }
]
const cells = ["connect", "list", "call", "refusal", "cancel"]
/** Milliseconds: of a row; of a statement, or a process, whose client has gone. */
const rowMs = 60_000
const cancelMs = 10_000
const leaveMs = 10_000

const root = fileURLToPath(new URL("..", import.meta.url))
const drivers = join(root, "scripts", "clients")
const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    dir: { type: "string", default: join(root, "node_modules", ".cache", "clients") },
    installed: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    verbose: { type: "boolean", default: false }
  }
})
/** The folder with these packages, and the drivers in it. */
const installed = (name, packages) => {
  const folder = join(resolve(options.dir), name)
  install(folder, packages)
  // There they find the packages as any module does.
  cpSync(drivers, join(folder, "drivers"), { recursive: true })
  return folder
}

/** The tools that the server has, without a client in between. */
const toolsOf = async (env) => {
  const child = spawn(process.execPath, [bin], { env, stdio: ["pipe", "pipe", "ignore"] })
  const params = {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "clients", version: "1" }
  }
  const requests = [
    { id: 0, method: "initialize", params },
    { method: "notifications/initialized" },
    { id: 1, method: "tools/list" }
  ]
  for (const request of requests) child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...request })}\n`)
  let text = ""
  for await (const chunk of child.stdout) {
    text += chunk
    if (text.split("\n").length > 2) break
  }
  child.stdin.end()
  return JSON.parse(text.split("\n")[1]).result.tools.map(({ name }) => name)
}

/** Until what it gives is not undefined, or the time is over. */
const until = async (ms, look) => {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(50)) {
    const found = await look()
    if (found !== undefined) return found
  }
  return undefined
}

/** The clients' processes, which are a group of their own; what is left of it is ended with this one. */
const groups = new Set()
const kill = (group, signal) => {
  try {
    return process.kill(-group, signal)
  } catch {
    return false
  }
}
let isStopped = false
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.once(signal, () => {
    isStopped = true
    for (const group of groups) kill(group, "SIGKILL")
  })
}

/** One client over one transport. */
const row = async ({ folder, given, node, number, transport }, { control, env, http, tools }) => {
  const home = mkdtempSync(join(tmpdir(), "snowguard-client-"))
  const answer = `-${1_000 + number}`
  const status = async () => {
    const { latest } = await (await fetch(`${control}state`)).json()
    return latest.findLast(({ sql }) => sql.includes(`= ${answer}`))?.status
  }
  const own = options.installed ? drivers : join(folder, "drivers")
  const child = spawn(
    node.program,
    ["--import", pathToFileURL(join(own, "loopback.mjs")).href, join(own, "drive.mjs")],
    {
      cwd: home,
      detached: true,
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      env: {
        PATH: process.env.PATH,
        HOME: home,
        XDG_CONFIG_HOME: home,
        NODE_OPTIONS: `--import ${pathToFileURL(join(own, "loopback.mjs")).href}`,
        DO_NOT_TRACK: "1",
        MCP_USE_ANONYMIZED_TELEMETRY: "false"
      }
    }
  )
  groups.add(child.pid)
  let said = ""
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      said += text
      if (options.verbose) process.stderr.write(text)
    })
  }
  const found = {}
  const failures = []
  child.on("message", async (message) => {
    if (message.cell !== undefined) {
      found[message.cell] = message.failed ? "FAILED" : message.value
      if (message.failed) failures.push(`${message.cell}: ${message.value}`)
    } else if (message.called) {
      await until(rowMs, async () => ((await status()) === "RUNNING" ? true : undefined))
      if (child.connected) child.send({ runs: true })
    } else if (message.gaveUp) {
      const ended = async () => {
        const now = await status()
        return now === "RUNNING" || now === "QUEUED" ? undefined : now
      }
      const last = (await until(cancelMs, ended)) ?? "still running"
      if (child.connected) child.send({ status: last })
    }
  })
  const state = { ...env, SNOWGUARD_STATE_DIR: join(home, "state"), HOME: home }
  child.send({
    driver: join(own, `${given.driver ?? given.name}.mjs`),
    ...{ folder, home, http, mode: given.mode, tools, transport },
    stdio: { command: process.execPath, args: [bin], env: state },
    drop: `DROP TABLE CLIENT_${number}`,
    endless: `SELECT COUNT(*) FROM SNOWGUARD_SAMPLE.PUBLIC.ORDERS A, SNOWGUARD_SAMPLE.PUBLIC.ORDERS B,
      SNOWGUARD_SAMPLE.PUBLIC.ORDERS C WHERE A.ORDER_ID * B.ORDER_ID + C.ORDER_ID = ${answer}`
  })
  const late = new AbortController()
  const code = await Promise.race([
    once(child, "close").then(([code, signal]) => code ?? signal),
    sleep(rowMs, "late", { signal: late.signal }).catch(() => {})
  ])
  late.abort()
  // What a client has started ends with it.
  const allGone =
    code === "late" ? undefined : await until(leaveMs, () => (kill(child.pid, 0) ? undefined : true))
  kill(child.pid, "SIGKILL")
  groups.delete(child.pid)
  if (code !== "late" && allGone === undefined) failures.push("a process outlives the client")
  rmSync(home, { recursive: true, force: true, maxRetries: 5 })
  const ended = code === "late" ? `not done within ${rowMs / 1_000} s` : `ended with ${code}`
  if (code !== 0) failures.push(`${ended}: ${said.slice(-2_000)}`)
  const missing = code === 0 ? "not tried" : "FAILED"
  const [name, version] = Object.entries(given.packages)[0]
  return {
    client: given.mode === undefined ? name : `${name}, ${given.mode}`,
    version,
    node: node.version,
    transport,
    ...Object.fromEntries(cells.map((name) => [name, found[name] ?? missing])),
    failures
  }
}

const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
const ours = { ...dependencies, ...devDependencies }
const wanted = options.only?.split(",") ?? [""]
const chosen = clients.filter(
  ({ name, packages }) =>
    wanted.some((part) => name.startsWith(part)) &&
    (!options.installed || Object.keys(packages).every((one) => one in ours))
)
if (!wanted.every((part) => chosen.some(({ name }) => name.startsWith(part)))) {
  process.stderr.write(`--only takes names of: ${clients.map(({ name }) => name).join(", ")}\n`)
  process.exit(2)
}
// A pin that is not the one of package.json would be of another client than the one that is run.
for (const { packages } of options.installed ? chosen : []) {
  for (const [name, version] of Object.entries(packages)) {
    if (ours[name] !== version)
      throw new Error(`${name}: ${ours[name]} is installed, the table has ${version}`)
  }
}

const rows = []
for (const given of chosen) {
  const node = nodeFor(resolve(options.dir), given.node)
  const folder = options.installed ? root : installed(given.folder ?? given.name, given.packages)
  for (const transport of given.transports ?? ["stdio", "http"]) {
    rows.push({ folder, given, node, number: rows.length + 1, transport })
  }
}

const { env, remove } = surroundings()
const stops = [remove]
try {
  const warehouse = await emulator(env)
  stops.unshift(warehouse.stop)
  const account = { ...env, ...warehouse.env }
  const [token] = await keys(account, ["clients"])
  const { port, stop } = await server(account)
  stops.unshift(stop)
  const surrounding = {
    control: warehouse.control,
    env: account,
    http: { url: `http://127.0.0.1:${port}/mcp`, headers: { Authorization: `Bearer ${token}` } },
    tools: await toolsOf(account)
  }
  const results = []
  for (const one of rows) {
    if (isStopped) break
    const result = await row(one, surrounding)
    results.push(result)
    for (const failure of result.failures) {
      process.stderr.write(`${result.client}, ${result.transport}: ${failure}\n`)
    }
  }
  const columns = ["client", "version", "node", "transport", ...cells]
  const line = (values) => `| ${values.join(" | ")} |\n`
  // A client that does the same over each transport is one line.
  const lines = new Map()
  for (const result of results) {
    const same = JSON.stringify({ ...result, transport: undefined })
    const transports = [...(lines.get(same)?.transports ?? []), result.transport]
    lines.set(same, { ...result, transports, transport: transports.join(", ") })
  }
  process.stdout.write(
    options.json
      ? `${JSON.stringify(results, undefined, 2)}\n`
      : [
          line(columns),
          line(columns.map(() => "---")),
          ...[...lines.values()].map((result) => line(columns.map((column) => result[column])))
        ].join("")
  )
  process.exitCode = isStopped ? 130 : results.some(({ failures }) => failures.length > 0) ? 1 : 0
} finally {
  for (const stop of stops) await stop()
}
