/**
 * What a call costs: the whole server beside its peers and beside the bare driver, and where it goes. Started by
 * scripts/bench-call.mjs, which builds the programs and says in BENCH_CALL where they are.
 *
 * All servers of a part run at the same time and take turns, in another order each round: what else the machine does
 * meets all of them. Figures are medians over rounds, ratios those of the same round.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import * as Http from "node:http"
import { SourceMap } from "node:module"
import { cpus, loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { median, shuffled } from "../harness.js"
import type { Cell, Goal } from "./figures.js"
import { difference, goal, goalsTable, ratio, table } from "./figures.js"
import type { Locate, Profile } from "./profile.js"
import { perCall, spent } from "./profile.js"
import type { Command, Server } from "./stdio.js"
import { cleanEnv, mainThreadCpu, start, startMs } from "./stdio.js"

interface Given {
  readonly root: string
  readonly probe: string
  readonly programs: {
    readonly bare: string
    readonly plain: string
    readonly counted: string
    readonly growth: string
  }
  /** By name; a text says why there is none. */
  readonly peers: { readonly [name: string]: Command | string }
  readonly rounds: number
  readonly ms: number
  /** Calls of each server before the first round. */
  readonly warm: number
  readonly only: ReadonlyArray<string>
  readonly json: boolean
}
const given: Given = JSON.parse(process.env["BENCH_CALL"] ?? "")
const bin = join(given.root, "dist/bin.js")
const wants = (part: string) => given.only.length === 0 || given.only.includes(part)
const say = (text: string) => process.stderr.write(`${text}\n`)

const folder = mkdtempSync(join(tmpdir(), "snowguard-call-"))
const cleanups: Array<() => unknown> = [() => rmSync(folder, { recursive: true, force: true })]

/** No limit is reached: what is measured is what a call costs that is let through. */
const wide = Object.fromEntries(
  [
    ...["LIMITS_REQUESTS_PER_SECOND", "LIMITS_BURST", "LIMITS_QUERIES_PER_SECOND", "LIMITS_QUERY_BURST"],
    ...["TIERS_DEFAULT_REQUESTS_PER_SECOND", "TIERS_DEFAULT_BURST", "TIERS_DEFAULT_INITIAL_TOKENS"],
    ...["HTTP_CLIENT_REQUESTS_PER_SECOND", "HTTP_CLIENT_REQUEST_BURST"]
  ].map((name) => [`SNOWGUARD_${name}`, "1000000"])
)
const quotas = Object.fromEntries(
  ["REQUESTS_PER_HOUR", "REQUESTS_PER_DAY", "QUERIES_PER_HOUR", "QUERIES_PER_DAY"]
    .map((name) => [`SNOWGUARD_TIERS_DEFAULT_${name}`, "1000000000"])
    .concat([["SNOWGUARD_TIERS_DEFAULT_BYTES_PER_DAY", "1125899906842624"]])
)

/** Each server has a state directory of its own. */
const oursEnv = (more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => {
  const state = mkdtempSync(join(folder, "state-"))
  return {
    ...cleanEnv(),
    SNOWGUARD_STATE_DIR: state,
    XDG_CONFIG_HOME: state,
    APPDATA: state,
    ...wide,
    ...quotas,
    SNOWGUARD_RESULTS_MAX_BYTES: String(64 * 1024 * 1024),
    ...more
  }
}

/** The emulated warehouse, in a process of its own, and how to reach it. */
const emulator = async (): Promise<NodeJS.ProcessEnv> => {
  const child = spawn(process.execPath, [bin, "emulator", "--port", "0"], {
    env: oursEnv(),
    stdio: ["ignore", "pipe", "ignore"]
  })
  cleanups.push(async () => {
    const gone = once(child, "exit")
    child.kill("SIGTERM")
    await gone
  })
  let said = ""
  for await (const text of child.stdout.setEncoding("utf8")) {
    said += String(text)
    const found = /at (\S+) \(any account, user (\S+), password (\S+)\)/.exec(said)
    if (found === null) continue
    return {
      SNOWGUARD_WAREHOUSE: "snowflake",
      SNOWFLAKE_ACCESS_URL: found[1],
      SNOWFLAKE_ACCOUNT: "any",
      SNOWFLAKE_USER: found[2],
      SNOWFLAKE_PASSWORD: found[3]
    }
  }
  throw new Error("the emulator does not start")
}

const peer = (name: string): Command | undefined => {
  const found = given.peers[name]
  return typeof found === "object" ? { ...found, env: { ...cleanEnv(), ...found.env } } : undefined
}

interface Row {
  readonly name: string
  readonly command: Command
  readonly tool: string
  readonly args: object
}

const AT_ONCE = 20

const rows = (snowflake: NodeJS.ProcessEnv): ReadonlyArray<Row> => {
  const peerRow = (name: string, what: string, tool: string, args: object): ReadonlyArray<Row> => {
    const command = peer(name)
    return command === undefined ? [] : [{ name: `${name}, ${what}`, command, tool, args }]
  }
  const ours = (
    name: string,
    tool: string,
    args: object,
    env: NodeJS.ProcessEnv,
    era?: Command["era"]
  ): Row => ({
    name: `ours, ${name}${era === undefined ? "" : `, era ${era}`}`,
    command: { args: [bin], env: oursEnv(env), era },
    tool,
    args
  })
  const bare = (name: string, kind: string): Row => ({
    name,
    command: { args: [given.programs.bare, kind], env: { ...cleanEnv(), ...snowflake } },
    tool: "execute_query",
    args: one
  })
  const one = { sql: "SELECT 1" }
  const memory = { SNOWGUARD_QUOTA_STORE_KIND: "memory" }
  return [
    ...peerRow("everything", "echo", "echo", { message: "hello" }),
    ...peerRow("dbhub", "select 1", "execute_sql", one),
    ours("get_limits", "get_limits", {}, {}),
    ours("get_limits", "get_limits", {}, {}, "2026"),
    ours("list_databases on DuckDB", "list_databases", {}, {}),
    ours("select 1 on DuckDB, quotas in memory", "execute_query", one, memory),
    ours("select 1 on DuckDB", "execute_query", one, {}),
    bare("bare driver behind ten lines", "rpc"),
    bare("bare driver behind the SDK's server", "sdk"),
    ours("select 1 on Snowflake", "execute_query", one, snowflake),
    ours("select 1 on Snowflake", "execute_query", one, snowflake, "2026")
  ]
}

interface Samples {
  readonly name: string
  readonly wallMs: Array<number>
  readonly cpuMs: Array<number>
  readonly perSecond: Array<number>
  readonly cpuAtOnceMs: Array<number>
}

/**
 * Before anything is measured: V8 compiles for some thousand calls, on threads that count too, and servers run for days.
 * As many for the fast as for the slow ones, and not many more later: what is called ten times as often is compiled ten
 * times as well.
 */
const WARM_UP = { ms: 120_000, calls: given.warm }
const MOST_CALLS = 600

interface Bounds {
  readonly ms: number
  readonly calls?: number
}

/** Calls for a while, so many at once. */
const load = async (
  server: Server,
  { args, tool }: Pick<Row, "args" | "tool">,
  width: number,
  { calls: most = MOST_CALLS, ms }: Bounds
) => {
  const before = await server.cost()
  const begun = performance.now()
  let calls = 0
  await Promise.all(
    Array.from({ length: width }, async () => {
      do {
        await server.call(tool, args)
        calls += 1
      } while (calls < most && performance.now() - begun < ms)
    })
  )
  const wall = performance.now() - begun
  // What goes on behind the answers belongs to them.
  await sleep(20)
  const { cpu } = await server.cost()
  return {
    calls,
    wallMs: wall / calls,
    cpuMs: (cpu - before.cpu) / 1000 / calls,
    perSecond: (calls * 1000) / wall
  }
}

const callsTable = async (snowflake: NodeJS.ProcessEnv): Promise<ReadonlyArray<Samples>> => {
  const all = rows(snowflake)
  const servers = await Promise.all(all.map(({ command }) => start(command, given.probe)))
  try {
    const found = all.map(({ name }): Samples => ({
      name,
      wallMs: [],
      cpuMs: [],
      perSecond: [],
      cpuAtOnceMs: []
    }))
    for (const [i, row] of all.entries()) {
      await load(servers[i]!, row, AT_ONCE, WARM_UP)
    }
    for (let round = 0; round < given.rounds; round++) {
      say(`calls: round ${round + 1} of ${given.rounds}`)
      for (const i of shuffled([...all.keys()])) {
        const alone = await load(servers[i]!, all[i]!, 1, given)
        const together = await load(servers[i]!, all[i]!, AT_ONCE, given)
        found[i]!.wallMs.push(alone.wallMs)
        found[i]!.cpuMs.push(alone.cpuMs)
        found[i]!.perSecond.push(together.perSecond)
        found[i]!.cpuAtOnceMs.push(together.cpuMs)
      }
    }
    return found
  } finally {
    await Promise.all(servers.map((server) => server.stop()))
  }
}

const starts = async (): Promise<ReadonlyArray<{ name: string; ms: Array<number> }>> => {
  const bare = `process.stdin.once("data", () => process.stdout.write('{"jsonrpc":"2.0","id":1,"result":{}}\\n'))`
  const all = [
    { name: "bare node", command: { args: ["-e", bare] } },
    { name: "ours", command: { args: [bin], env: oursEnv() } },
    { name: "ours, era 2026", command: { args: [bin], env: oursEnv(), era: "2026" as const } },
    ...["everything", "dbhub"].flatMap((name) => {
      const command = peer(name)
      return command === undefined ? [] : [{ name, command }]
    })
  ]
  const found = all.map(({ name }) => ({ name, ms: new Array<number>() }))
  for (let round = -1; round < Math.max(5, given.rounds); round++) {
    for (const i of shuffled([...all.keys()])) {
      const ms = await startMs(all[i]!.command)
      if (round >= 0) found[i]!.ms.push(ms)
    }
  }
  return found
}

const LARGE_ROWS = 10_000
const tenColumns = (n: number): string => {
  const columns = Array.from({ length: 9 }, (_, i) =>
    i % 2 === 0 ? `ID * ${i + 2} AS N${i}` : `'value of column ' || ID AS T${i}`
  )
  const ids = `SELECT ROW_NUMBER() OVER (ORDER BY 1) AS ID FROM TABLE(GENERATOR(ROWCOUNT => ${n}))`
  return `SELECT ID, ${columns.join(", ")} FROM (${ids}) AS IDS`
}

interface Memory {
  readonly name: string
  readonly rss: Array<number>
  readonly peak: Array<number>
  readonly largeMs: Array<number>
  readonly largeCpuMs: Array<number>
}

/** RSS after the first query, then a large result a few times: its time, and the most memory by then. */
const memory = async (snowflake: NodeJS.ProcessEnv): Promise<ReadonlyArray<Memory>> => {
  const bare = (kind: string) => ({
    args: [given.programs.bare, kind],
    env: { ...cleanEnv(), ...snowflake }
  })
  const all = [
    { name: "bare driver behind ten lines", command: bare("rpc") },
    { name: "bare driver behind the SDK's server", command: bare("sdk") },
    { name: "ours", command: { args: [bin], env: oursEnv(snowflake) } }
  ]
  const found = all.map(({ name }): Memory => ({ name, rss: [], peak: [], largeMs: [], largeCpuMs: [] }))
  for (let round = 0; round < given.rounds; round++) {
    say(`memory: round ${round + 1} of ${given.rounds}`)
    for (const i of shuffled([...all.keys()])) {
      const server = await start(all[i]!.command, given.probe)
      try {
        await server.call("execute_query", { sql: "SELECT 1" })
        await sleep(100)
        found[i]!.rss.push((await server.cost()).rss)
        const args = { sql: tenColumns(LARGE_ROWS), limit: LARGE_ROWS }
        await server.call("execute_query", args)
        const times: Array<number> = []
        const before = await server.cost()
        for (let n = 0; n < 4; n++) {
          const begun = performance.now()
          await server.call("execute_query", args)
          times.push(performance.now() - begun)
        }
        const { cpu, peak } = await server.cost()
        found[i]!.largeMs.push(median(times))
        found[i]!.largeCpuMs.push((cpu - before.cpu) / 1000 / 4)
        found[i]!.peak.push(peak)
      } finally {
        await server.stop()
      }
    }
  }
  return found
}

/** What another script prints as JSON. */
const json = async (args: ReadonlyArray<string>): Promise<unknown> => {
  const child = spawn(process.execPath, args, { cwd: given.root, stdio: ["ignore", "pipe", "inherit"] })
  let text = ""
  child.stdout.setEncoding("utf8").on("data", (more: string) => (text += more))
  const [code] = await once(child, "close")
  if (code !== 0) throw new Error(`${args.join(" ")} ended with ${String(code)}`)
  return text
    .trim()
    .split("\n")
    .map((line): unknown => JSON.parse(line))
}

interface HttpRow {
  readonly server: string
  readonly callsPerSecond: number
  readonly ofBare: number
  readonly cpuMicros: number
}

const http = async (): Promise<ReadonlyArray<HttpRow>> => {
  const script = join(given.root, "scripts/bench-http.mjs")
  const [report] = (await json([script, "--json", "--rounds", String(Math.max(5, given.rounds))])) as [
    { rows: ReadonlyArray<HttpRow> }
  ]
  return report.rows
}

/** Frames of the bundle are where its source map says, all others are files of packages or of node. */
const locator = (bundle: string): Locate => {
  const map = new SourceMap(JSON.parse(readFileSync(`${bundle}.map`, "utf8")))
  const sources = new Map<string, ReadonlyArray<string>>()
  const lineOf = (path: string, line: number): string | undefined => {
    const known = sources.get(path)
    if (known !== undefined) return known[line]
    try {
      sources.set(path, readFileSync(join(given.root, path), "utf8").split("\n"))
    } catch {
      sources.set(path, [])
    }
    return sources.get(path)?.[line]
  }
  const clean = (file: string) =>
    file.startsWith("node:")
      ? file
      : file
          .replace(/^file:\/\//, "")
          .replace(/^(\.\.\/)+/, "")
          .replace(`${given.root}/`, "")
  return (url, line, column) => {
    if (!url.startsWith("file:") || fileURLToPath(url) !== bundle) return { file: clean(url), line: line + 1 }
    // Ticks tell the line and no column: the first thing on it that comes from somewhere.
    const entry = [column, 2, 4, 6, 8, 12, 16, 24]
      .map((at) => map.findEntry(line, at))
      .find((one) => "originalSource" in one && one.generatedLine === line)
    if (entry === undefined || !("originalSource" in entry)) return { file: "", line: line + 1 }
    const file = clean(entry.originalSource)
    return { file, line: entry.originalLine + 1, text: lineOf(file, entry.originalLine) }
  }
}

interface Breakdown {
  readonly name: string
  readonly cpuUs: number
  readonly parts: ReadonlyArray<{ readonly part: string; readonly us: number }>
  readonly lines: ReadonlyArray<readonly [string, number]>
  readonly fibers: number
  readonly loops: number
  readonly ops: number
  readonly byOp: ReadonlyArray<readonly [string, number]>
  readonly byCode: ReadonlyArray<readonly [string, number]>
}

interface Counts {
  readonly fibers: number
  readonly loops: number
  readonly ops: number
  readonly byOp: { readonly [op: string]: number }
  readonly byCode: { readonly [code: string]: number }
}

/** Calls, one after another, of which the operations are counted. What is due now and then is divided by them. */
const COUNTED = 25

const sorted = (entries: ReadonlyArray<readonly [string, number]>) => [...entries].sort((a, b) => b[1] - a[1])

const breakdown = async (row: Row): Promise<Breakdown> => {
  say(`breakdown: ${row.name}`)
  const at = (program: string): Command => ({ ...row.command, args: [program] })
  const server = await start(at(given.programs.plain), given.probe)
  const profiled = await (async () => {
    try {
      await load(server, row, AT_ONCE, WARM_UP)
      await server.ask("profile")
      const before = mainThreadCpu(server)
      const { calls, cpuMs } = await load(server, row, AT_ONCE, { ms: given.ms * 5, calls: 3_000 })
      const whole = cpuMs * 1000 * calls
      const after = mainThreadCpu(server)
      const main = before === undefined || after === undefined ? whole : after - before
      const profile = (await server.ask("profiled")) as Profile
      return { calls, cpu: { whole, main }, profile }
    } finally {
      await server.stop()
    }
  })()
  const counting = await start(at(given.programs.counted), given.probe)
  const counted = await (async () => {
    try {
      const calls = async () => {
        for (let n = 0; n < COUNTED; n++) await counting.call(row.tool, row.args)
        // What goes on behind the last answer.
        await sleep(30)
      }
      await calls()
      await counting.ask("counts")
      await calls()
      return (await counting.ask("counts")) as Counts
    } finally {
      await counting.stop()
    }
  })()
  const each = (counts: { readonly [name: string]: number }): ReadonlyArray<readonly [string, number]> =>
    sorted(Object.entries(counts).map(([name, count]) => [name, count / COUNTED]))
  const { lines, parts } = spent(profiled.profile, locator(given.programs.plain))
  const { calls, cpu } = profiled
  return {
    name: row.name,
    cpuUs: cpu.whole / calls,
    parts: perCall(parts, cpu, calls),
    lines: sorted([...lines])
      .slice(0, 60)
      .map(([line, us]) => [line, us / calls] as const),
    fibers: Math.round(counted.fibers / COUNTED),
    loops: Math.round(counted.loops / COUNTED),
    ops: Math.round(counted.ops / COUNTED),
    byOp: each(counted.byOp),
    byCode: each(counted.byCode)
  }
}

interface Growth {
  readonly of: string
  readonly cells: ReadonlyArray<{ readonly at: string; readonly ms: number; readonly note?: string }>
}

const post = (port: number, agent: Http.Agent, session: string | undefined, message: object) =>
  new Promise<{ readonly text: string; readonly session: string | undefined }>((resolve, reject) => {
    const body = JSON.stringify({ jsonrpc: "2.0", ...message })
    const headers = {
      accept: "application/json, text/event-stream",
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
      ...(session === undefined ? {} : { "mcp-session-id": session, "mcp-protocol-version": "2025-11-25" })
    }
    const request = Http.request(
      { host: "127.0.0.1", port, path: "/mcp", method: "POST", agent, headers },
      (response) => {
        let text = ""
        response.setEncoding("utf8").on("data", (more: string) => (text += more))
        response.on("end", () => {
          if (response.statusCode !== 200) return reject(new Error(`${response.statusCode}: ${text}`))
          const id = response.headers["mcp-session-id"]
          resolve({ text, session: typeof id === "string" ? id : undefined })
        })
      }
    )
    request.on("error", reject)
    request.end(body)
  })

/** CPU of `get_limits` over HTTP, by turns over so many sessions. */
const sessionsGrowth = async (numbers: ReadonlyArray<number>): Promise<Growth> => {
  const most = String(Math.max(...numbers) + 10)
  const env = oursEnv({
    SNOWGUARD_HTTP_PORT: "0",
    SNOWGUARD_HTTP_MAX_SESSIONS: most,
    SNOWGUARD_HTTP_MAX_SESSIONS_PER_CLIENT: most
  })
  const child = spawn(process.execPath, ["--import", given.probe, bin, "http"], {
    env,
    stdio: ["ignore", "ignore", "pipe", "ipc"]
  })
  const agent = new Http.Agent({ keepAlive: true, maxSockets: AT_ONCE })
  try {
    const port = await new Promise<number>((resolve, reject) => {
      let said = ""
      child.stderr?.setEncoding("utf8").on("data", (text: string) => {
        said += text
        const found = /127\.0\.0\.1:(\d+)\/mcp/.exec(said)?.[1]
        if (found !== undefined) resolve(Number(found))
      })
      child.once("exit", () => reject(new Error(said)))
    })
    const cost = async () => {
      const answer = once(child, "message")
      child.send({ ask: "cost", id: 0 })
      const [{ answer: found }] = (await answer) as [{ answer: { cpu: number; rss: number } }]
      return found
    }
    const sessions: Array<string> = []
    const many = async (count: number, each: (n: number) => Promise<void>) => {
      let next = 0
      await Promise.all(
        Array.from({ length: AT_ONCE }, async () => {
          while (next < count) await each(next++)
        })
      )
    }
    const open = async () => {
      const params = {
        protocolVersion: "2025-11-25",
        capabilities: {},
        clientInfo: { name: "bench", version: "1" }
      }
      const { session } = await post(port, agent, undefined, { id: 0, method: "initialize", params })
      if (session === undefined) throw new Error("no session")
      sessions.push(session)
    }
    const call = (n: number) =>
      post(port, agent, sessions[(n * 7919) % sessions.length], {
        id: n + 1,
        method: "tools/call",
        params: { name: "get_limits", arguments: {} }
      }).then(({ text }) => {
        if (!text.includes("rate_limits")) throw new Error(text)
      })
    const cells: Array<Growth["cells"][number]> = []
    await open()
    await many(2_000, call)
    for (const number of numbers) {
      const before = (await cost()).rss
      const opened = number - sessions.length
      await many(opened, open)
      const grown = (await cost()).rss - before
      const found: Array<number> = []
      for (let round = -1; round < 5; round++) {
        const { cpu } = await cost()
        await many(300, call)
        if (round >= 0) found.push(((await cost()).cpu - cpu) / 1000 / 300)
      }
      cells.push({
        at: String(number),
        ms: median(found),
        ...(opened > 1_000 ? { note: `RSS +${Math.round(grown / 1024 / opened)} KiB a session` } : {})
      })
    }
    return { of: "sessions over HTTP (get_limits)", cells }
  } finally {
    agent.destroy()
    const gone = once(child, "exit")
    child.kill("SIGTERM")
    await gone
  }
}

const clientsGrowth = async (numbers: ReadonlyArray<number>): Promise<Growth> => {
  const child = spawn(process.execPath, ["--expose-gc", given.programs.growth, ...numbers.map(String)], {
    env: oursEnv(),
    stdio: ["ignore", "pipe", "inherit"]
  })
  let text = ""
  child.stdout.setEncoding("utf8").on("data", (more: string) => (text += more))
  const [code] = await once(child, "close")
  if (code !== 0) throw new Error(`growth ended with ${String(code)}`)
  const lines = text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { clients: number; cpuUs: number; heap: number })
  return {
    of: "clients known (execute_query, a warehouse that answers at once)",
    cells: lines.map(({ clients, cpuUs, heap }, i) => {
      const before = lines[i - 1]
      const each = before === undefined ? 0 : (heap - before.heap) / (clients - before.clients)
      return {
        at: String(clients),
        ms: cpuUs / 1000,
        ...(clients > 1_000 ? { note: `heap +${Math.round(each)} bytes a client` } : {})
      }
    })
  }
}

/** Median CPU of sequential calls. */
const sequentialCpu = async (server: Server, row: Pick<Row, "tool" | "args">): Promise<number> => {
  const found: Array<number> = []
  await load(server, row, 1, { ms: 3_000, calls: 300 })
  for (let round = 0; round < Math.max(3, given.rounds); round++) {
    const { cpuMs } = await load(server, row, 1, given)
    found.push(cpuMs)
  }
  return median(found)
}

const rowsGrowth = async (snowflake: NodeJS.ProcessEnv, numbers: ReadonlyArray<number>): Promise<Growth> => {
  const server = await start({ args: [bin], env: oursEnv(snowflake) }, given.probe)
  try {
    const cells: Array<Growth["cells"][number]> = []
    for (const number of numbers) {
      const args = { sql: tenColumns(number), limit: number }
      cells.push({ at: String(number), ms: await sequentialCpu(server, { tool: "execute_query", args }) })
    }
    return { of: "rows of ten columns (execute_query on Snowflake)", cells }
  } finally {
    await server.stop()
  }
}

const tiersGrowth = async (snowflake: NodeJS.ProcessEnv, numbers: ReadonlyArray<number>): Promise<Growth> => {
  const cells: Array<Growth["cells"][number]> = []
  for (const number of numbers) {
    const path = join(folder, `tiers-${number}.toml`)
    const names = Array.from({ length: number - 1 }, (_, i) => `[tiers.tier${i}]\nburst = ${100 + i}\n`)
    writeFileSync(path, names.join("\n"))
    const server = await start({ args: [bin, "--config", path], env: oursEnv(snowflake) }, given.probe)
    try {
      const args = { sql: "SELECT 1" }
      cells.push({ at: String(number), ms: await sequentialCpu(server, { tool: "execute_query", args }) })
    } finally {
      await server.stop()
    }
  }
  return { of: "tiers (execute_query on Snowflake)", cells }
}

const growth = async (snowflake: NodeJS.ProcessEnv): Promise<ReadonlyArray<Growth>> => {
  const found: Array<Growth> = []
  for (const one of [
    () => clientsGrowth([1, 100, 10_000]),
    () => sessionsGrowth([1, 200, 5_000]),
    () => rowsGrowth(snowflake, [10, 1_000, 10_000]),
    () => tiersGrowth(snowflake, [1, 50])
  ]) {
    const part = await one()
    say(`growth: ${part.of}`)
    found.push(part)
  }
  return found
}

interface Report {
  readonly machine: {
    readonly cpus: number
    readonly node: string
    readonly load: number
    readonly loaded: boolean
  }
  readonly rounds: number
  readonly leftOut: ReadonlyArray<string>
  readonly calls?: ReadonlyArray<Samples>
  readonly starts?: ReadonlyArray<{ readonly name: string; readonly ms: ReadonlyArray<number> }>
  readonly memory?: ReadonlyArray<Memory>
  readonly http?: ReadonlyArray<HttpRow>
  readonly breakdown?: ReadonlyArray<Breakdown>
  readonly growth?: ReadonlyArray<Growth>
}

const goalsOf = ({ breakdown, calls, http, memory, starts }: Report): ReadonlyArray<Goal> => {
  const row = (name: string) => calls?.find((one) => one.name === name)
  const of = (
    a: Samples | undefined,
    b: Samples | undefined,
    field: Exclude<keyof Samples, "name">,
    by: typeof ratio
  ) => (a === undefined || b === undefined ? undefined : by(a[field], b[field]))
  const bare = row("bare driver behind ten lines")
  const echo = row("everything, echo")
  const stored = row("ours, select 1 on DuckDB")
  const inMemory = row("ours, select 1 on DuckDB, quotas in memory")
  const part = (name: string) => breakdown?.find((one) => one.name === name)
  const started = (name: string) => starts?.find((one) => one.name === name)?.ms
  const peers = (starts ?? []).filter(({ name }) => !name.startsWith("ours") && name !== "bare node")
  const fastest = [...peers].sort((a, b) => median(a.ms) - median(b.ms))[0]
  const ourMemory = memory?.find(({ name }) => name === "ours")
  const bareMemory = memory?.[0]
  const web = (name: string, era = "2025") => http?.find(({ server }) => server === `${name}, ${era}`)?.ofBare
  const against = (a: ReadonlyArray<number> | undefined, b: ReadonlyArray<number> | undefined) =>
    a === undefined || b === undefined ? undefined : ratio(a, b)
  return [
    ...["", ", era 2026"].flatMap((era) => {
      const ours = row(`ours, select 1 on Snowflake${era}`)
      const limits = row(`ours, get_limits${era}`)
      return [
        goal(
          `Snowflake${era}: CPU at twenty, of the bare driver`,
          of(ours, bare, "cpuAtOnceMs", ratio),
          "at most",
          1.5
        ),
        goal(
          `Snowflake${era}: sequential wall above the bare driver`,
          of(ours, bare, "wallMs", difference),
          "at most",
          1.5,
          "ms"
        ),
        goal(
          `get_limits${era}: sequential CPU, of an echo`,
          of(limits, echo, "cpuMs", ratio),
          "at most",
          1.5
        ),
        goal(
          `get_limits${era}: CPU at twenty, of an echo`,
          of(limits, echo, "cpuAtOnceMs", ratio),
          "at most",
          1.5
        )
      ]
    }),
    goal(
      "quota store: added to a sequential call",
      of(stored, inMemory, "wallMs", difference),
      "at most",
      0.5,
      "ms"
    ),
    goal(
      "quota store: CPU added at twenty",
      of(stored, inMemory, "cpuAtOnceMs", difference),
      "at most",
      0.1,
      "ms"
    ),
    goal("HTTP: calls/s, of a bare SDK server", web("ours"), "at least", 1),
    goal("HTTP, era 2026: calls/s, of a bare SDK server", web("ours", "2026"), "at least", 1),
    goal("HTTP with keys: calls/s, of a bare SDK server", web("keys"), "at least", 0.95),
    goal("Snowflake: operations of a call", part("ours, select 1 on Snowflake")?.ops, "at most", 500, ""),
    goal("Snowflake: fibers of a call", part("ours, select 1 on Snowflake")?.fibers, "at most", 4, ""),
    goal("get_limits: operations of a call", part("ours, get_limits")?.ops, "at most", 120, ""),
    goal("get_limits: fibers of a call", part("ours, get_limits")?.fibers, "at most", 1, ""),
    goal("start, of the fastest peer", against(started("ours"), fastest?.ms), "at most", 0.5),
    goal(
      "start, era 2026, of the fastest peer",
      against(started("ours, era 2026"), fastest?.ms),
      "at most",
      0.5
    ),
    goal(
      "RSS after the first query, of the bare driver",
      against(ourMemory?.rss, bareMemory?.rss),
      "at most",
      1.25
    ),
    goal(
      "10,000 x 10: time, of the bare driver",
      against(ourMemory?.largeMs, bareMemory?.largeMs),
      "at most",
      1.3
    ),
    goal(
      "10,000 x 10: peak memory, of the bare driver",
      against(ourMemory?.peak, bareMemory?.peak),
      "at most",
      1.3
    )
  ].filter((one) => one !== undefined)
}

const mib = (bytes: ReadonlyArray<number>) => median(bytes) / 1024 / 1024

const print = (report: Report, goals: ReadonlyArray<Goal>): string => {
  const { breakdown, calls, growth, http, leftOut, machine, memory, rounds, starts } = report
  const sections: Array<string> = [
    `${machine.cpus} cores, node ${machine.node}, medians of ${rounds} rounds after ${given.warm} calls` +
      (machine.loaded
        ? `; UNDER LOAD (${machine.load.toFixed(1)} at the start): compare within this run only`
        : "")
  ]
  for (const why of leftOut) sections.push(`left out: ${why}`)
  if (calls !== undefined) {
    sections.push(
      table(
        ["one tool call", "wall ms", "CPU ms", `${AT_ONCE} at once: calls/s`, "CPU ms each"],
        calls.map((one) => [
          one.name,
          median(one.wallMs),
          median(one.cpuMs),
          Math.round(median(one.perSecond)),
          median(one.cpuAtOnceMs)
        ])
      )
    )
  }
  if (starts !== undefined) {
    sections.push(
      table(
        ["start: spawn to the first answer", "ms"],
        starts.map(({ ms, name }) => [name, median(ms)])
      )
    )
  }
  if (http !== undefined) {
    sections.push(
      table(
        ["HTTP, twenty sessions", "calls/s", "of bare", "CPU ms"],
        http.map(({ callsPerSecond, cpuMicros, ofBare, server }) => [
          server,
          callsPerSecond,
          ofBare,
          cpuMicros / 1000
        ])
      )
    )
  }
  if (memory !== undefined) {
    sections.push(
      table(
        ["on Snowflake", "RSS MiB after the first query", "10,000 x 10: ms", "CPU ms", "peak MiB"],
        memory.map((one) => [
          one.name,
          mib(one.rss),
          median(one.largeMs),
          median(one.largeCpuMs),
          mib(one.peak)
        ])
      )
    )
  }
  if (breakdown !== undefined && breakdown.length > 0) {
    const names = breakdown.map(({ name }) => name)
    const all: ReadonlyArray<ReadonlyArray<Cell>> = breakdown[0]!.parts.map(({ part }, i) => [
      part,
      ...breakdown.map(({ parts }) => Math.round(parts[i]!.us))
    ])
    sections.push(
      table(
        ["CPU us a call, twenty at once, profiled", ...names],
        [
          ...all,
          ["the whole", ...breakdown.map(({ cpuUs }) => Math.round(cpuUs))],
          ["fibers", ...breakdown.map(({ fibers }) => fibers)],
          ["entries of the run loop", ...breakdown.map(({ loops }) => loops)],
          ["Effect operations", ...breakdown.map(({ ops }) => ops)]
        ]
      )
    )
  }
  if (growth !== undefined) {
    sections.push(
      table(
        ["CPU ms a call as these grow", "small", "", "large", ""],
        growth.map(({ cells, of }) => {
          const texts = cells.map(({ at, ms }) => `${at}: ${ms.toFixed(2)}`)
          const [small, ...more] = texts
          const large = more.pop()
          return [of, small, more[0] ?? "", large, cells.flatMap(({ note }) => note ?? []).join("; ")]
        })
      )
    )
  }
  if (goals.length > 0) sections.push(goalsTable(goals))
  return `${sections.join("\n\n")}\n`
}

const main = async (): Promise<void> => {
  mkdirSync(folder, { recursive: true })
  const load = loadavg()[0] ?? 0
  const snowflake = await emulator()
  const chosen = rows(snowflake).filter(({ name }) =>
    [
      "ours, get_limits",
      "ours, list_databases on DuckDB",
      "ours, select 1 on DuckDB",
      "ours, select 1 on Snowflake"
    ].includes(name)
  )
  const breakdowns: Array<Breakdown> = []
  const calls = wants("calls") ? await callsTable(snowflake) : undefined
  const started = wants("start") ? await starts() : undefined
  const remembered = wants("memory") ? await memory(snowflake) : undefined
  const web = wants("http") ? await http() : undefined
  if (wants("breakdown")) for (const row of chosen) breakdowns.push(await breakdown(row))
  const grown = wants("growth") ? await growth(snowflake) : undefined
  const report: Report = {
    machine: { cpus: cpus().length, node: process.versions.node, load, loaded: load > 0.5 * cpus().length },
    rounds: given.rounds,
    leftOut: Object.values(given.peers).filter((one): one is string => typeof one === "string"),
    ...(calls === undefined ? {} : { calls }),
    ...(started === undefined ? {} : { starts: started }),
    ...(remembered === undefined ? {} : { memory: remembered }),
    ...(web === undefined ? {} : { http: web }),
    ...(wants("breakdown") ? { breakdown: breakdowns } : {}),
    ...(grown === undefined ? {} : { growth: grown })
  }
  const goals = goalsOf(report)
  process.stdout.write(given.json ? `${JSON.stringify({ ...report, goals })}\n` : print(report, goals))
}

try {
  await main()
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup()
}
process.exit(0)
