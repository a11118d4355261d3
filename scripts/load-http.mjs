// Many clients at once against `snowguard http`, and one of them asks as fast as it can: what do the others
// notice? The same load twice, without and with the abuser; then what the server still holds when all are gone.
//   npm run load:http [-- --minutes 1] [--seconds 60] [--sessions 200] [--tenants 10] [--abuse 400] [--json]
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import * as Http from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"

const bin = fileURLToPath(new URL("../dist/bin.js", import.meta.url))
const args = process.argv.slice(2)
const given = (name, value) => (args.includes(name) ? Number(args[args.indexOf(name) + 1]) : value)
const phaseMs = given("--seconds", given("--minutes", 1) * 60) * 1000
const count = given("--sessions", 200)
const tenants = given("--tenants", 10)
/** Calls a second of the abuser; each of the others makes `each`, together two thirds of what all may. */
const abuse = given("--abuse", 400)
const each = (20 * 0.67) / (tenants - 1)

const folder = mkdtempSync(join(tmpdir(), "snowguard-load-"))
const env = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(SNOW(GUARD|FLAKE)_|NODE_OPTIONS$)/.test(name))
  ),
  SNOWGUARD_STATE_DIR: folder,
  SNOWGUARD_HTTP_PORT: "0"
}

const key = (client, ...more) => {
  const { status, stderr, stdout } = spawnSync(process.execPath, [bin, "keys", "create", client, ...more], {
    env,
    encoding: "utf8"
  })
  const found = /sg_[0-9a-f]{12}_[A-Za-z0-9_-]{43}/.exec(stdout)?.[0]
  if (status !== 0 || found === undefined) throw new Error(`no key: ${stdout}${stderr}`)
  return found
}

const agent = new Http.Agent({ keepAlive: true })
let port = 0

const ask = (token, { body, method = "POST", path = "/mcp", session }) =>
  new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify({ jsonrpc: "2.0", ...body })
    const request = Http.request(
      {
        ...{ host: "127.0.0.1", port, path, method, agent },
        headers: {
          authorization: `Bearer ${token}`,
          accept: "application/json, text/event-stream",
          ...(text === undefined
            ? {}
            : { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
          ...(session === undefined ? {} : { "mcp-session-id": session })
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

let nextId = 1
const call = (token, session, name, args = {}) =>
  ask(token, { session, body: { id: nextId++, method: "tools/call", params: { name, arguments: args } } })

const opened = async (token) => {
  const clientInfo = { name: "load", version: "1" }
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo }
  const { headers, text } = await ask(token, { body: { id: 0, method: "initialize", params } })
  const session = headers["mcp-session-id"]
  if (session === undefined) throw new Error(`no session: ${text}`)
  return session
}

/** One session's calls, `everyMs` apart, and what became of them. */
const client = async ({ everyMs, result, session, token, until }) => {
  await sleep(Math.random() * everyMs)
  for (let due = performance.now(); ; due = Math.max(due + everyMs, performance.now())) {
    if (due >= until) return
    await sleep(due - performance.now())
    const started = performance.now()
    const { status, text } = await call(token, session, "execute_query", { sql: "SELECT 1 AS one" })
    const ms = performance.now() - started
    result.calls += 1
    if (status === 200 && text.includes('"structuredContent"')) {
      result.served += 1
      result.times.push(ms)
    } else {
      const code = /"code":"([A-Z_]+)"/.exec(text)?.[1] ?? `HTTP ${status}`
      result.refused[code] = (result.refused[code] ?? 0) + 1
    }
  }
}

const nothing = () => ({ calls: 0, served: 0, refused: {}, times: [] })

const told = ({ calls, refused, served, times }, tookMs) => {
  times.sort((a, b) => a - b)
  const at = (part) => Number((times[Math.floor(times.length * part)] ?? 0).toFixed(1))
  return {
    callsPerSecond: Number(((calls * 1000) / tookMs).toFixed(1)),
    servedPerSecond: Number(((served * 1000) / tookMs).toFixed(1)),
    served: calls === 0 ? 1 : Number((served / calls).toFixed(3)),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    refused
  }
}

const rssMb = (pid) => {
  try {
    return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024)
  } catch {
    return undefined
  }
}

const phase = async (keys, withAbuser) => {
  const perTenant = Math.floor(count / tenants)
  const sessions = await Promise.all(
    keys.flatMap((token, tenant) =>
      Array.from({ length: perTenant }, async () => ({ token, tenant, session: await opened(token) }))
    )
  )
  const others = nothing()
  const abuser = nothing()
  const until = performance.now() + phaseMs
  await Promise.all(
    sessions.map(({ session, tenant, token }) => {
      if (tenant > 0) {
        return client({ token, session, until, everyMs: (1000 * perTenant) / each, result: others })
      }
      return withAbuser
        ? client({ token, session, until, everyMs: (1000 * perTenant) / abuse, result: abuser })
        : undefined
    })
  )
  // Half of them say goodbye; the others are forgotten when they have been idle.
  await Promise.all(
    sessions.map(({ session, token }, index) =>
      index % 2 === 0 ? ask(token, { session, method: "DELETE" }) : undefined
    )
  )
  return { others: told(others, phaseMs), abuser: told(abuser, phaseMs) }
}

const gauge = (text, name) => Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1] ?? Number.NaN)

let child
try {
  const admin = key("operator", "--admin")
  const keys = Array.from({ length: tenants }, (_, tenant) => key(`tenant-${tenant}`))
  // Long enough that nobody who still calls is forgotten.
  const idleSeconds = Math.ceil((2 * Math.floor(count / tenants)) / each) + 2
  child = spawn(process.execPath, [bin, "http"], {
    env: { ...env, SNOWGUARD_HTTP_SESSION_IDLE_SECONDS: String(idleSeconds) },
    stdio: ["ignore", "ignore", "pipe"]
  })
  port = await new Promise((resolve, reject) => {
    let said = ""
    child.stderr.setEncoding("utf8").on("data", (text) => {
      said = (said + text).slice(-10_000)
      const found = /127\.0\.0\.1:(\d+)\/mcp/.exec(said)?.[1]
      if (found !== undefined) resolve(Number(found))
    })
    child.once("exit", (code) => reject(new Error(`the server ended with ${code}: ${said}`)))
  })
  // The warehouse is opened by the first call.
  await call(admin, await opened(admin), "execute_query", { sql: "SELECT 1 AS one" })

  const without = await phase(keys, false)
  const rssAfterFirst = rssMb(child.pid)
  const withAbuser = await phase(keys, true)
  const rssAfterSecond = rssMb(child.pid)

  let left
  for (let waited = 0; ; waited += 100) {
    const { text } = await ask(admin, { path: "/metrics", method: "GET" })
    left = {
      sessions: gauge(text, "snowguard_http_sessions"),
      streams: gauge(text, "snowguard_http_streams")
    }
    if ((left.sessions === 0 && left.streams === 0) || waited > idleSeconds * 3_000) break
    await sleep(100)
  }
  const limits = await call(admin, await opened(admin), "get_limits")
  const inUse = [...limits.text.matchAll(/"in_use":(\d+)/g)].map(([, n]) => Number(n))
  const waiting = [...limits.text.matchAll(/"waiting":(\d+)/g)].map(([, n]) => Number(n))
  left.permits = inUse.reduce((sum, n) => sum + n, 0)
  left.waiting = waiting.reduce((sum, n) => sum + n, 0)

  const report = {
    ...{ sessions: count, tenants, seconds: phaseMs / 1000 },
    ...{ othersWithout: without.others, othersWith: withAbuser.others, abuser: withAbuser.abuser },
    rssMb: [rssAfterFirst, rssAfterSecond],
    left
  }
  if (args.includes("--json")) process.stdout.write(`${JSON.stringify(report)}\n`)
  else {
    process.stdout.write(`${count} sessions of ${tenants} tenants, ${report.seconds} s each\n\n`)
    process.stdout.write(
      "| | calls/s | served/s | served | p50 ms | p99 ms | refused |\n|---|---:|---:|---:|---:|---:|---|\n"
    )
    for (const [name, row] of [
      ["the others, alone", report.othersWithout],
      ["the others, beside the abuser", report.othersWith],
      ["the abuser", report.abuser]
    ]) {
      const { refused, ...figures } = row
      process.stdout.write(
        `| ${name} | ${Object.values(figures).join(" | ")} | ${JSON.stringify(refused)} |\n`
      )
    }
    process.stdout.write(
      `\nRSS after each: ${report.rssMb.join(" and ")} MiB; left: ${JSON.stringify(left)}\n`
    )
  }
} finally {
  agent.destroy()
  if (child !== undefined && child.exitCode === null) {
    child.kill("SIGTERM")
    await once(child, "exit")
  }
  rmSync(folder, { recursive: true, force: true })
}
