// One client at full speed against `snowguard http`, and what another one notices: the calls of the other
// go on all the time, the attacker comes and goes slice by slice, so that both halves of the comparison meet
// the same machine. Attacker, server and warehouse are processes of their own, and the warehouse is as good as
// idle: it answers from memory after 10 ms. LOAD_BIN=path/to/dist/bin.js measures another build.
//   npm run load:http -- --attack KIND|all [--rounds 3] [--slice 5] [--connections 50] [--json]
import { fork } from "node:child_process"
import { once } from "node:events"
import { connect } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import * as Servers from "./load-servers.mjs"

const tool = (name, args) => ({
  id: 1,
  method: "tools/call",
  params: { name, arguments: args }
})

const digits = Array.from({ length: 10 }, (_, n) => `SELECT ${n} AS n`).join(" UNION ALL ")
const tenThousand = (nth) =>
  `WITH d AS (${digits}) SELECT a.n + 10 * b.n AS low, c.n + 10 * e.n AS high, ` +
  `'row of the attacker ' || (a.n + 10 * b.n) AS what, ${nth} AS nth FROM d a, d b, d c, d e`

const large = { sql: `SELECT '${"x".repeat(1_000_000)}' AS one` }
const many = Object.fromEntries(Array.from({ length: 48_000 }, (_, n) => [`k${n}`, n]))

/** What each kind sends, given how many were sent before. */
const kinds = {
  calls: (nth) => tool("execute_query", { sql: `SELECT ${nth} AS one` }),
  list: () => ({ id: 1, method: "tools/list" }),
  arguments: () => tool("execute_query", large),
  keys: () => tool("execute_query", many),
  sessions: undefined,
  pipelined: () => tool("get_limits", {}),
  limits: () => tool("get_limits", {}),
  rows: (nth) => tool("execute_query", { sql: tenThousand(nth), limit: 10_000 })
}

/** Many requests at once on each connection, and the next ones without waiting for the answers. */
const flood = async ({ connections, isOn, port, session, token, told }) => {
  const body = JSON.stringify({ jsonrpc: "2.0", ...kinds.pipelined() })
  const head =
    `POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\nmcp-session-id: ${session}\r\n` +
    `accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n`
  const batch = `${head}content-length: ${body.length}\r\n\r\n${body}`.repeat(100)
  const one = async () => {
    while (isOn()) {
      const socket = connect(port, "127.0.0.1")
      socket.setEncoding("latin1").on("data", (text) => {
        for (const [, status] of text.matchAll(/HTTP\/1\.1 (\d+)/g)) {
          told.statuses[status] = (told.statuses[status] ?? 0) + 1
          told.requests += 1
        }
      })
      socket.on("error", () => {})
      const closed = new Promise((resolve) => socket.once("close", resolve))
      while (isOn() && !socket.destroyed) {
        if (!socket.write(batch)) await Promise.race([sleep(5), closed])
        else await sleep(0)
      }
      socket.destroy()
      await closed
      told.statuses.closed = (told.statuses.closed ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: connections }, one))
}

/** In a process of its own: every connection asks again as soon as it was answered. */
const attack = () => {
  let isOn = false
  const told = { requests: 0, statuses: {} }
  process.on("message", async ({ connections, kind, port, token, stop }) => {
    if (stop) {
      isOn = false
      return
    }
    isOn = true
    const { agent, ask, initialize, opened } = Servers.client(port)
    const message = kinds[kind]
    let sent = 0
    // Written once: what is measured is the server, not how fast this process makes text.
    const fixed = message !== undefined && ["arguments", "keys"].includes(kind) ? message(0) : undefined
    const text = fixed === undefined ? undefined : JSON.stringify({ jsonrpc: "2.0", ...fixed })
    const one = async () => {
      let session
      while (isOn) {
        try {
          if (message !== undefined) session ??= await opened(token)
          const body = message === undefined ? initialize : (text ?? message(sent++))
          const { status } = await ask(token, { session, body })
          told.statuses[status] = (told.statuses[status] ?? 0) + 1
          if (status === 404) session = undefined
        } catch (error) {
          const code = error.code ?? "no session"
          told.statuses[code] = (told.statuses[code] ?? 0) + 1
          if (code === "no session") await sleep(100)
        }
        told.requests += 1
      }
    }
    if (kind === "pipelined") {
      const session = await opened(token)
      await flood({ ...{ connections, port, session, token, told }, isOn: () => isOn })
    } else await Promise.all(Array.from({ length: connections }, one))
    agent.destroy()
    process.send({ ...told })
    told.requests = 0
    told.statuses = {}
  })
}

const everyMs = 125

/** Calls of the one who does nothing wrong, each a statement of its own, until `into` says that it is over. */
const victim = async (client, token, into) => {
  const session = await client.opened(token)
  let nth = 0
  const pending = []
  for (let due = performance.now(); into() !== "over"; due += everyMs) {
    await sleep(Math.max(0, due - performance.now()))
    const started = performance.now()
    const slice = into()
    // Not after the one before: who waits for an answer does not keep the next one from being asked for.
    const one = client.call(token, session, "execute_query", { sql: `SELECT ${nth++} AS mine` })
    pending.push(
      // A server that is gone is what is measured too.
      one
        .catch(({ code }) => ({ status: code, text: "" }))
        .then(({ status, text }) => {
          if (typeof slice !== "object") return
          if (status === 200 && text.includes('"structuredContent"')) {
            slice.times.push(performance.now() - started)
            return
          }
          const code = /"code":"([A-Z_]+)"/.exec(text)?.[1] ?? `HTTP ${status}`
          slice.refused[code] = (slice.refused[code] ?? 0) + 1
        })
    )
  }
  await Promise.all(pending)
}

const figures = ({ refused, times }) => {
  times.sort((a, b) => a - b)
  const at = (part) => Number((times[Math.floor(times.length * part)] ?? Number.NaN).toFixed(1))
  return { served: times.length, p50Ms: at(0.5), p99Ms: at(0.99), refused }
}

/** Between two slices, so that neither pays for what is left of the other. */
const PAUSE_MS = 500

const measure = async ({ attacker, client, connections, keys, kind, port, rounds, sliceMs }) => {
  const alone = { times: [], refused: {} }
  const beside = { times: [], refused: {} }
  const sent = { requests: 0, ms: 0, statuses: {} }
  let slice
  const calls = victim(client, keys.victim, () => slice)
  for (let round = 0; round < rounds; round++) {
    await sleep(PAUSE_MS)
    slice = alone
    await sleep(sliceMs)
    slice = undefined
    const began = performance.now()
    attacker.send({ port, kind, connections, token: keys.attacker })
    await sleep(PAUSE_MS)
    slice = beside
    await sleep(sliceMs)
    slice = undefined
    attacker.send({ stop: true })
    const [told] = await Promise.race([once(attacker, "message"), once(attacker, "exit")])
    if (typeof told !== "object" || told === null) throw new Error(`the attacker ended with ${told}`)
    sent.requests += told.requests
    sent.ms += performance.now() - began
    for (const [status, count] of Object.entries(told.statuses))
      sent.statuses[status] = (sent.statuses[status] ?? 0) + count
  }
  slice = "over"
  await calls
  const [before, during] = [figures(alone), figures(beside)]
  return {
    kind,
    alone: before,
    beside: during,
    addedP50Ms: Number((during.p50Ms - before.p50Ms).toFixed(1)),
    addedP99Ms: Number((during.p99Ms - before.p99Ms).toFixed(1)),
    attacker: {
      perSecond: Number(((sent.requests * 1000) / sent.ms).toFixed(1)),
      statuses: sent.statuses
    }
  }
}

const row = ({ addedP50Ms, addedP99Ms, alone, attacker, beside, kind }) =>
  `| ${kind} | ${alone.p50Ms} | ${beside.p50Ms} | +${addedP50Ms} | ${alone.p99Ms} | ${beside.p99Ms} | +${addedP99Ms} ` +
  `| ${beside.served}, ${JSON.stringify(beside.refused)} | ${attacker.perSecond} ${JSON.stringify(attacker.statuses)} |\n`

export const run = async (args) => {
  const given = (name, value) => (args.includes(name) ? Number(args[args.indexOf(name) + 1]) : value)
  const asked = args[args.indexOf("--attack") + 1]
  const chosen = asked === "all" ? Object.keys(kinds) : (asked ?? "").split(",")
  const unknown = chosen.filter((kind) => !(kind in kinds))
  if (unknown.length > 0)
    throw new Error(`no such attack: ${unknown.join(", ")}; there are ${Object.keys(kinds).join(", ")}, all`)
  const sliceMs = given("--slice", 5) * 1000
  const options = {
    sliceMs,
    warmth: 250,
    rounds: given("--rounds", 3),
    connections: given("--connections", 50)
  }
  const { env, remove } = Servers.surroundings()
  const reports = []
  let server, emulator, attacker, client
  try {
    const [victim, attacking] = await Servers.keys(env, ["victim", "attacker"])
    const keys = { victim, attacker: attacking }
    emulator = await Servers.replayed(env, 10)
    attacker = fork(fileURLToPath(import.meta.url), ["--attacker"])
    const isAlone = !args.includes("--json")
    if (isAlone)
      process.stdout.write(
        `${options.rounds} rounds of ${sliceMs / 1000} s alone and ${sliceMs / 1000} s beside ${options.connections} connections of the attacker; milliseconds\n\n` +
          "| attack | p50 alone | p50 beside | | p99 alone | p99 beside | | served, refused | the attacker's requests/s |\n" +
          "|---|---:|---:|---:|---:|---:|---:|---|---|\n"
      )
    for (const kind of chosen) {
      server = await Servers.server(
        { ...env, ...emulator.env },
        args.flatMap((arg) => (arg.startsWith("--node=") ? [arg.slice("--node=".length)] : []))
      )
      client = Servers.client(server.port)
      const session = await client.opened(keys.victim)
      await client.call(keys.victim, session, "execute_query", { sql: "SELECT 1 AS one" })
      const report = await measure({ ...options, attacker, client, keys, kind, port: server.port })
      reports.push(report)
      if (isAlone) process.stdout.write(row(report))
      client.agent.destroy()
      await server.stop()
      server = undefined
    }
    if (!isAlone) process.stdout.write(`${JSON.stringify(reports)}\n`)
  } finally {
    client?.agent.destroy()
    attacker?.kill()
    await server?.stop()
    await emulator?.stop()
    remove()
  }
}

if (process.argv[2] === "--attacker") attack()
