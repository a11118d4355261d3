// Many clients at once against `snowguard http`, and one of them asks as fast as it can: what do the others
// notice? They go on all the time; the abuser comes and goes, slice by slice, so that both halves of the
// comparison meet the same machine. Memory is read all along; at the end, what the server still holds.
// With `--attack` one client does as badly as it can, see load-attacks.mjs.
//   npm run load:http [-- --minutes 2] [--slice 15] [--sessions 200] [--tenants 10] [--abuse 400] [--emulated] [--json]
import { readFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import * as Attacks from "./load-attacks.mjs"
import * as Servers from "./load-servers.mjs"

const args = process.argv.slice(2)
const given = (name, value) => (args.includes(name) ? Number(args[args.indexOf(name) + 1]) : value)
const sliceMs = given("--slice", 15) * 1000
/** Slices without and with the abuser, by turns. */
const slices = 2 * Math.max(1, Math.round((given("--minutes", 2) * 60_000) / sliceMs / 2))
const count = given("--sessions", 200)
const tenants = given("--tenants", 10)
/** Calls a second of the abuser; each of the others makes `each`, together two thirds of what all may. */
const abuse = given("--abuse", 400)
const each = (20 * 0.67) / (tenants - 1)

/** `embedded`: in the server's own process; `emulated`: in another, as slow as Snowflake is. */
const warehouse = args.includes("--emulated") ? "emulated" : "embedded"

let agent, call, opened, ask

/** One session's calls, `everyMs` apart, and what became of them. */
const client = async ({ everyMs, resultOf, session, token, until }) => {
  await sleep(Math.random() * everyMs)
  for (let due = performance.now(); ; due = Math.max(due + everyMs, performance.now())) {
    if (due >= until) return
    await sleep(due - performance.now())
    const started = performance.now()
    const result = resultOf(started)
    const { status, text } = await call(token, session, "execute_query", { sql: "SELECT 1 AS one" })
    const ms = performance.now() - started
    result.calls += 1
    if (status === 200 && text.includes('"structuredContent"')) {
      result.served += 1
      result.times.push(ms)
    } else {
      // What the edge turns away has a number for a code.
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

/** Milliseconds of processor time of the process so far; NaN where there is no /proc. */
const cpuMs = (pid) => {
  try {
    // After the name of the program, which may hold anything: utime and stime, in hundredths.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1).split(" ")
    return (Number(fields[11]) + Number(fields[12])) * 10
  } catch {
    return Number.NaN
  }
}

const gauge = (text, name) => Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1] ?? Number.NaN)

/** Of a list of numbers: least-squares slope per step, so that noise does not decide. */
const slope = (values) => {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length
  const middle = (values.length - 1) / 2
  const [above, below] = values.reduce(
    ([a, b], v, i) => [a + (i - middle) * (v - mean), b + (i - middle) ** 2],
    [0, 0]
  )
  return below === 0 ? 0 : above / below
}

const load = async (keys, pid) => {
  const perTenant = Math.floor(count / tenants)
  const sessions = await Promise.all(
    keys.flatMap((token, tenant) =>
      Array.from({ length: perTenant }, async () => ({ token, tenant, session: await opened(token) }))
    )
  )
  const [abusers, peers] = [
    sessions.filter(({ tenant }) => tenant === 0),
    sessions.filter(({ tenant }) => tenant > 0)
  ]
  const results = { without: nothing(), with: nothing(), abuser: nothing() }
  const rss = []
  const cpu = { without: 0, with: 0 }
  const began = performance.now()
  const until = began + slices * sliceMs
  const isWith = (at) => Math.floor((at - began) / sliceMs) % 2 === 1
  const watch = async () => {
    for (let slice = 0; slice < slices; slice++) {
      const before = cpuMs(pid)
      const end = began + (slice + 1) * sliceMs
      if (slice % 2 === 1) {
        await Promise.all(
          abusers.map(({ session, token }) =>
            client({
              ...{ token, session, until: end, everyMs: (1000 * perTenant) / abuse },
              resultOf: () => results.abuser
            })
          )
        )
      }
      await sleep(Math.max(0, end - performance.now()))
      cpu[slice % 2 === 1 ? "with" : "without"] += cpuMs(pid) - before
      rss.push(rssMb(pid))
    }
  }
  await Promise.all([
    watch(),
    ...peers.map(({ session, token }) =>
      client({
        ...{ token, session, until, everyMs: (1000 * perTenant) / each },
        resultOf: (at) => (isWith(at) ? results.with : results.without)
      })
    )
  ])
  // Half of them say goodbye; the others are forgotten when they have been idle.
  await Promise.all(
    sessions.map(({ session, token }, index) =>
      index % 2 === 0 ? ask(token, { session, method: "DELETE" }) : undefined
    )
  )
  const half = (slices * sliceMs) / 2
  return {
    othersWithout: told(results.without, half),
    othersWith: told(results.with, half),
    abuser: told(results.abuser, half),
    serverCpu: {
      without: Number((cpu.without / half).toFixed(3)),
      with: Number((cpu.with / half).toFixed(3))
    },
    rssMb: rss
  }
}

if (args.includes("--attack")) {
  await Attacks.run(args)
  process.exit()
}

const { env, remove } = Servers.surroundings()
let child, emulator
try {
  const [admin] = await Servers.keys(env, ["operator"], { admin: true })
  const keys = await Servers.keys(
    env,
    Array.from({ length: tenants }, (_, tenant) => `tenant-${tenant}`)
  )
  if (warehouse === "emulated") emulator = await Servers.emulator(env, { medianMs: 120, p99Ms: 250 })
  // No session that still calls, or calls again in its next slice, is closed as idle.
  const idleSeconds = Math.ceil(Math.max((2 * Math.floor(count / tenants)) / each, (2 * sliceMs) / 1000)) + 2
  child = await Servers.server({
    ...env,
    ...emulator?.env,
    SNOWGUARD_HTTP_SESSION_IDLE_SECONDS: String(idleSeconds)
  })
  ;({ agent, ask, call, opened } = Servers.client(child.port))
  // The warehouse is opened by the first call, and the names for searches are read after it.
  const first = await opened(admin)
  await call(admin, first, "execute_query", { sql: "SELECT 1 AS one" })
  await call(admin, first, "search_objects", { query: "one" })
  await ask(admin, { session: first, method: "DELETE" })
  const held = async () => {
    const { text } = await ask(admin, { path: "/metrics", method: "GET" })
    return {
      sessions: gauge(text, "snowguard_http_sessions"),
      streams: gauge(text, "snowguard_http_streams"),
      fibers: gauge(text, "snowguard_fibers")
    }
  }
  const before = await held()

  const figures = await load(keys, child.pid)

  let left
  for (let waited = 0; ; waited += 100) {
    left = await held()
    // What the server always runs was there before.
    left.fibers = Math.max(0, left.fibers - before.fibers)
    const isEmpty = left.sessions === 0 && left.streams === 0 && left.fibers === 0
    if (isEmpty || waited > idleSeconds * 3_000) break
    await sleep(100)
  }
  const limits = await call(admin, await opened(admin), "get_limits")
  const inUse = [...limits.text.matchAll(/"in_use":(\d+)/g)].map(([, n]) => Number(n))
  const waiting = [...limits.text.matchAll(/"waiting":(\d+)/g)].map(([, n]) => Number(n))
  left.permits = inUse.reduce((sum, n) => sum + n, 0)
  left.waiting = waiting.reduce((sum, n) => sum + n, 0)

  // The first quarter is the warehouse filling its buffers.
  const settled = figures.rssMb.slice(Math.floor(slices / 4))
  const report = {
    ...{ sessions: count, tenants, warehouse, seconds: (slices * sliceMs) / 1000, ...figures },
    rssMbPerMinute: Number(((slope(settled) * 60_000) / sliceMs).toFixed(2)),
    left
  }
  if (args.includes("--json")) process.stdout.write(`${JSON.stringify(report)}\n`)
  else {
    const { othersWith, othersWithout, serverCpu } = report
    process.stdout.write(
      `${count} sessions of ${tenants} tenants for ${report.seconds} s, warehouse ${warehouse}, the abuser in every other ${sliceMs / 1000} s\n\n`
    )
    process.stdout.write(
      "| | calls/s | served/s | served | p50 ms | p99 ms | refused |\n|---|---:|---:|---:|---:|---:|---|\n"
    )
    for (const [name, row] of [
      ["the others, alone", othersWithout],
      ["the others, beside the abuser", othersWith],
      ["the abuser", report.abuser]
    ]) {
      const { refused, ...numbers } = row
      process.stdout.write(
        `| ${name} | ${Object.values(numbers).join(" | ")} | ${JSON.stringify(refused)} |\n`
      )
    }
    const ratio = (name) => (othersWith[name] / othersWithout[name]).toFixed(2)
    process.stdout.write(
      `\nBeside the abuser: p50 ${ratio("p50Ms")}x, p99 ${ratio("p99Ms")}x, goodput ${ratio("servedPerSecond")}x.\n` +
        `Processors used by the server: ${serverCpu.without} alone, ${serverCpu.with} beside the abuser.\n` +
        `RSS by slice, MiB: ${report.rssMb.join(" ")} (${report.rssMbPerMinute} a minute after the first quarter).\n` +
        `Left when all are gone: ${JSON.stringify(left)}\n`
    )
  }
} finally {
  agent?.destroy()
  await child?.stop()
  await emulator?.stop()
  remove()
}
