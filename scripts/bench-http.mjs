// How many calls a second the server answers over HTTP, beside the SDK's own transport on node's server
// (no authentication, no bounds, no sessions that end) with the same tool and the same answer; in the 2025 era
// beside SDK 1 and in the 2026 era beside SDK 2. They take turns, so that whatever else the machine does meets all.
//   npm run bench:http [-- --rounds 9] [--seconds 2] [--sessions 20] [--warm-seconds 5] [--json]
import { build } from "esbuild"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync } from "node:fs"
import * as Http from "node:http"
import { fileURLToPath } from "node:url"
import { envelope, initialize } from "./handshake.mjs"

const root = fileURLToPath(new URL("..", import.meta.url))
const args = process.argv.slice(2)
const given = (name, value) => (args.includes(name) ? Number(args[args.indexOf(name) + 1]) : value)
const rounds = given("--rounds", 9)
const seconds = given("--seconds", 2)
const width = given("--sessions", 20)
// V8 compiles for some thousand calls, and servers run for days.
const warmSeconds = given("--warm-seconds", 5)
const forNode = args.filter((arg) => arg.startsWith("--node=")).map((arg) => arg.slice("--node=".length))

const folder = `${root}/node_modules/.cache/bench-http`
mkdirSync(folder, { recursive: true })
const outfile = `${folder}/server.mjs`
await build({
  absWorkingDir: root,
  entryPoints: ["test/bench/httpServer.ts"],
  outfile,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  sourcemap: "inline",
  packages: "external",
  logLevel: "warning"
})

const start = async ([kind, era]) => {
  const child = spawn(process.execPath, [...forNode, outfile, kind], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit", "ipc"]
  })
  let said = ""
  const port = await new Promise((resolve, reject) => {
    child.stdout.setEncoding("utf8").on("data", (text) => {
      said += text
      const found = /port (\d+)\n/.exec(said)?.[1]
      if (found !== undefined) resolve(Number(found))
    })
    child.once("exit", (code) => reject(new Error(`${kind} ended with ${code}`)))
  })
  return { kind, era, child, port, key: /key (\S+)\n/.exec(said)?.[1] }
}

const post = (server, agent, session, message) =>
  new Promise((resolve, reject) => {
    const isModern = server.era === "2026"
    const params = { ...message.params, ...(isModern ? { _meta: envelope("bench") } : {}) }
    const body = JSON.stringify({ jsonrpc: "2.0", ...message, params })
    const request = Http.request(
      {
        host: "127.0.0.1",
        port: server.port,
        path: "/mcp",
        method: "POST",
        agent,
        headers: {
          accept: "application/json, text/event-stream",
          "content-type": "application/json",
          "content-length": Buffer.byteLength(body),
          ...(isModern
            ? {
                "mcp-protocol-version": "2026-07-28",
                "mcp-method": message.method,
                "mcp-name": message.params.name
              }
            : {}),
          ...(session === undefined
            ? {}
            : { "mcp-session-id": session, "mcp-protocol-version": "2025-11-25" }),
          ...(server.key === undefined ? {} : { authorization: `Bearer ${server.key}` })
        }
      },
      (response) => {
        let text = ""
        response.setEncoding("utf8").on("data", (chunk) => (text += chunk))
        response.on("end", () => resolve({ text, headers: response.headers, status: response.statusCode }))
      }
    )
    request.on("error", reject)
    request.end(body)
  })

const begin = { id: 0, method: "initialize", params: initialize("bench") }
const call = { method: "tools/call", params: { name: "nothing", arguments: { text: "hello" } } }

const open = async (server) => {
  server.agent = new Http.Agent({ keepAlive: true, maxSockets: width })
  server.sessions = await Promise.all(
    Array.from({ length: width }, async () => {
      if (server.era === "2026") return undefined
      const { headers } = await post(server, server.agent, undefined, begin)
      return headers["mcp-session-id"]
    })
  )
  server.nextId = 1
}

/** Microseconds of CPU: of wall clock time, a busy machine takes what it likes. */
const cpu = async ({ child }) => {
  const answer = once(child, "message")
  child.send("cpu")
  const [{ system, user }] = await answer
  return system + user
}

const measure = async (server, forMs) => {
  const cpuBefore = await cpu(server)
  const until = performance.now() + forMs
  const started = performance.now()
  const times = []
  await Promise.all(
    server.sessions.map(async (session) => {
      while (performance.now() < until) {
        const before = performance.now()
        const answer = await post(server, server.agent, session, { ...call, id: server.nextId++ })
        times.push(performance.now() - before)
        if (answer.status !== 200 || !answer.text.includes("xxxx")) throw new Error(answer.text)
      }
    })
  )
  const tookMs = performance.now() - started
  times.sort((a, b) => a - b)
  return {
    perSecond: (times.length * 1000) / tookMs,
    cpuMicros: ((await cpu(server)) - cpuBefore) / times.length,
    p50: times[Math.floor(times.length * 0.5)],
    p99: times[Math.floor(times.length * 0.99)]
  }
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]
const round = (value, digits = 0) => Number(value.toFixed(digits))

const servers = await Promise.all(
  [
    ...["bare", "ours", "keys"].map((kind) => [kind, "2025"]),
    ...["bare-2", "ours", "keys"].map((kind) => [kind, "2026"])
  ].map(start)
)
try {
  for (const server of servers) {
    await open(server)
    await measure(server, warmSeconds * 1000)
    server.found = []
  }
  for (let turn = 0; turn < rounds; turn++) {
    const order = turn % 2 === 0 ? servers : [...servers].reverse()
    for (const server of order) server.found.push(await measure(server, (seconds * 1000) / servers.length))
  }
  const bareOf = (era) => servers.find((server) => server.era === era)
  const rows = servers.map(({ era, found, kind }) => ({
    server: `${kind}, ${era}`,
    callsPerSecond: round(median(found.map(({ perSecond }) => perSecond))),
    p50Ms: round(median(found.map(({ p50 }) => p50)), 2),
    p99Ms: round(median(found.map(({ p99 }) => p99)), 2),
    // Of neighbours in time, which met the same machine.
    ofBare: round(
      median(found.map(({ perSecond }, turn) => perSecond / bareOf(era).found[turn].perSecond)),
      2
    ),
    cpuMicros: round(median(found.map(({ cpuMicros }) => cpuMicros)))
  }))
  if (args.includes("--json")) process.stdout.write(`${JSON.stringify({ rounds, seconds, width, rows })}\n`)
  else {
    process.stdout.write(`${width} sessions, ${rounds} rounds of ${seconds} s, medians\n\n`)
    process.stdout.write(
      "server | calls/s | p50 ms | p99 ms | of bare | CPU us a call\n--- | ---: | ---: | ---: | ---: | ---:\n"
    )
    for (const row of rows) process.stdout.write(`${Object.values(row).join(" | ")}\n`)
  }
} finally {
  for (const { agent, child } of servers) {
    agent?.destroy()
    child.kill("SIGTERM")
  }
  await Promise.all(servers.map(({ child }) => (child.exitCode === null ? once(child, "exit") : undefined)))
}
