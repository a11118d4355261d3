// A hundred thousand strangers against `snowguard http`, each with a credential, a session, an address and a
// name of its own, while one real client works: how are they answered, what does the server keep of them, and
// what does the client notice?
//   node scripts/flood-http.mjs [--count 100000] [--connections 32] [--json]
import { spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import * as Http from "node:http"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import * as Servers from "./load-servers.mjs"

const bin = fileURLToPath(new URL("../dist/bin.js", import.meta.url))
const args = process.argv.slice(2)
const given = (name, value) => (args.includes(name) ? Number(args[args.indexOf(name) + 1]) : value)
const count = given("--count", 100_000)
const connections = given("--connections", 32)
/** Calls of the real client, a second. */
const CALLS_PER_SECOND = 20
const ALONE_MS = 5_000

const { env: clean, folder, remove } = Servers.surroundings()
const env = {
  ...clean,
  // The strangers come through a proxy, each from an address of its own.
  SNOWGUARD_HTTP_TRUSTED_PROXIES: "127.0.0.1",
  // Else a session that a caller with a key makes up is opened for it.
  SNOWGUARD_HTTP_STRICT_SESSIONS: "true",
  SNOWGUARD_TIERS_DEFAULT_REQUESTS_PER_SECOND: "1000",
  SNOWGUARD_LOG_LEVEL: "debug",
  SNOWGUARD_AUDIT_FILE: join(folder, "audit.jsonl")
}

const MARK = "fAkE"
const base64url = (text) => Buffer.from(text).toString("base64url")
const address = (i) => `${11 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.7`
const initialize = (name) => ({
  id: 0,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name, version: "1" } }
})

let port = 0
const agents = {
  flood: new Http.Agent({ keepAlive: true, maxSockets: connections }),
  real: new Http.Agent({ keepAlive: true })
}

const ask = ({ agent = agents.real, body, headers = {}, method = "POST", path = "/mcp" }) =>
  new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify({ jsonrpc: "2.0", ...body })
    const request = Http.request(
      {
        ...{ host: "127.0.0.1", port, path, method, agent },
        headers: {
          accept: "application/json, text/event-stream",
          ...(text === undefined
            ? {}
            : { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
          ...headers
        }
      },
      (response) => {
        let text = ""
        response.setEncoding("utf8").on("data", (chunk) => (text += chunk))
        response.on("error", reject)
        response.on("end", () => resolve({ text, status: response.statusCode, headers: response.headers }))
      }
    )
    request.on("error", reject)
    request.end(text)
  })

const quantile = (times, q) => {
  const sorted = times.slice().sort((a, b) => a - b)
  return Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0) * 10) / 10
}

/** How long the real client waits for each of its calls, until it is told to stop. */
const watch = (token, session) => {
  const times = []
  const failed = {}
  let on = true
  const pending = []
  const run = async () => {
    for (let id = 1; on; id++) {
      const began = performance.now()
      const call = {
        id: `${began}-${id}`,
        method: "tools/call",
        params: { name: "get_limits", arguments: {} }
      }
      pending.push(
        ask({ body: call, headers: { authorization: `Bearer ${token}`, "mcp-session-id": session } }).then(
          ({ status, text }) => {
            if (status === 200 && !text.includes('"isError":true')) times.push(performance.now() - began)
            else failed[status] = (failed[status] ?? 0) + 1
          },
          () => (failed.connection = (failed.connection ?? 0) + 1)
        )
      )
      await sleep(1000 / CALLS_PER_SECOND)
    }
  }
  const running = run()
  return async () => {
    on = false
    await running
    await Promise.all(pending)
    return { calls: times.length, failed, p50Ms: quantile(times, 0.5), p99Ms: quantile(times, 0.99) }
  }
}

/** What the i-th stranger sends. */
const stranger = (i, token) => {
  const from = { "x-forwarded-for": address(i) }
  const hex = i.toString(16).padStart(12, "0")
  switch (i % 4) {
    case 0:
      return {
        body: initialize(`${MARK}-${i}`),
        headers: { ...from, authorization: `Bearer sg_${hex}_${MARK}${String(i).padStart(39, "x")}` }
      }
    case 1: {
      const jwt = [`{"alg":"ES256","kid":"${MARK}${i}"}`, `{"sub":"${MARK}${i}"}`, `${MARK}${i}`].map(
        base64url
      )
      return {
        body: initialize(`${MARK}-${i}`),
        headers: { ...from, authorization: `Bearer ${jwt.join(".")}` }
      }
    }
    case 2:
      return { body: initialize(`${MARK}-${i}`), headers: from }
    default:
      // A caller with a key, and a session that was never opened.
      return {
        body: { id: i, method: "ping" },
        headers: { authorization: `Bearer ${token}`, "mcp-session-id": `${MARK}-${i}` }
      }
  }
}

const residentMb = (pid) =>
  Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024)

const main = async () => {
  const [token] = await Servers.keys(env, ["real"], { admin: true })
  let log = ""
  const server = spawn(process.execPath, [bin, "http"], { env, stdio: ["ignore", "ignore", "pipe"] })
  server.stderr.setEncoding("utf8")
  const listening = new Promise((resolve) => {
    server.stderr.on("data", (text) => {
      log += text
      const found = /127\.0\.0\.1:(\d+)\/mcp/.exec(log)?.[1]
      if (found !== undefined) resolve(Number(found))
    })
  })
  try {
    port = await listening
    const authorization = `Bearer ${token}`
    const opened = await ask({ body: initialize("real"), headers: { authorization } })
    const session = opened.headers["mcp-session-id"]
    const metrics = async () =>
      (await ask({ method: "GET", path: "/metrics", headers: { authorization } })).text
        .split("\n")
        .filter((line) => line !== "" && !line.startsWith("#"))
    const alone = watch(token, session)
    await sleep(ALONE_MS)
    const before = await alone()
    for (let i = 0; i < 8; i++) await ask({ agent: agents.flood, ...stranger(i, token) })
    await metrics()
    const series = (await metrics()).length
    const memory = residentMb(server.pid)

    const statuses = {}
    const beside = watch(token, session)
    const began = performance.now()
    let next = 8
    const worker = async () => {
      while (next < count) {
        const { status, text } = await ask({ agent: agents.flood, ...stranger(next++, token) })
        statuses[status] = (statuses[status] ?? 0) + 1
        if (text.includes(MARK)) statuses.leaked = (statuses.leaked ?? 0) + 1
      }
    }
    await Promise.all(Array.from({ length: connections }, worker))
    const seconds = (performance.now() - began) / 1000
    const during = await beside()
    const lines = await metrics()
    const audit = readFileSync(env.SNOWGUARD_AUDIT_FILE, "utf8")
    const report = {
      strangers: count,
      statuses,
      requestsPerSecond: Math.round(count / seconds),
      residentMb: { before: memory, after: residentMb(server.pid) },
      series: { before: series, after: lines.length },
      remembered: Object.fromEntries(
        lines
          .filter((line) => line.startsWith("snowguard_http_remembered"))
          .map((line) => [/table="(\w+)"/.exec(line)?.[1], Number(line.split(" ")[1])])
      ),
      namedInLogMetricsOrAudit: [log, lines.join("\n"), audit].some((text) => text.includes(MARK)),
      client: { alone: before, duringTheFlood: during }
    }
    if (args.includes("--json")) process.stdout.write(`${JSON.stringify(report)}\n`)
    else process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`)
    const known = new Set(["401", "404", "429"])
    const isFine =
      Object.keys(statuses).every((status) => known.has(status)) &&
      !report.namedInLogMetricsOrAudit &&
      Object.keys(during.failed).length === 0
    process.exitCode = isFine ? 0 : 1
  } finally {
    for (const agent of Object.values(agents)) agent.destroy()
    server.kill("SIGTERM")
    await once(server, "close")
    remove()
  }
}

await main()
