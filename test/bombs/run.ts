/**
 * A shared server with the embedded warehouse, a client that does its worst and one that works. Asserts nothing:
 * it measures, for the table of `npm run bombs` and for the test.
 */
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { childrenOf } from "../utils/children.js"

/** Each is another text each time, so that none is refused because it was seen before. */
export const bombs: { readonly [kind: string]: (n: number) => string } = {
  "20,000 nested brackets": (n) => `SELECT PARSE_JSON('${"[".repeat(20_000)}${n}${"]".repeat(20_000)}')`,
  "JSON to a nested type": (n) =>
    `SELECT from_json(repeat('[', 10000) || ${n} || repeat(']', 10000), '["JSON"]')`,
  "json_transform of a deep structure (SIGSEGV)": (n) =>
    `SELECT json_transform('${n}', repeat('[', 10000) || '"JSON"' || repeat(']', 10000))`,
  "edit distance of long texts": (n) =>
    `SELECT damerau_levenshtein(repeat('a', ${50_000 + n}), repeat('b', 50000))`,
  "list of two thousand million": (n) => `SELECT len(range(${2_000_000_000 + n}))`,
  "structs that double": (n) =>
    `WITH t0 AS (SELECT {'a': ${n}} AS s)${Array.from({ length: 24 }, (_, i) => `, t${i + 1} AS (SELECT {'l': s, 'r': s} AS s FROM t${i})`).join("")} SELECT * FROM t24`,
  "stars that double": (n) =>
    `WITH t0 AS (SELECT ${n} AS a)${Array.from({ length: 18 }, (_, i) => `, t${i + 1} AS (SELECT x.*, y.* FROM t${i} x, t${i} y)`).join("")} SELECT * FROM t18`,
  "hex in hex": (n) => `SELECT length(${"hex(".repeat(25)}repeat('${n}', 1000)${")".repeat(25)})`,
  "lists of lists": (n) =>
    `SELECT list_transform(range(${100_000 + n}), x -> list_transform(range(10000), y -> x * y))`,
  "cross join": (n) =>
    `SELECT count(*) FROM WEB.EVENTS a, WEB.EVENTS b, WEB.EVENTS c WHERE a.EVENT_ID * ${n + 3} + b.EVENT_ID = c.EVENT_ID + 1`,
  "sort of a cross join": (n) =>
    `SELECT a.SESSION_ID || b.SESSION_ID || ${n} AS k FROM WEB.EVENTS a, WEB.EVENTS b ORDER BY k DESC`,
  "group by of a cross join": (n) =>
    `SELECT a.EVENT_ID * 100000 + b.EVENT_ID + ${n} AS k, count(*) FROM WEB.EVENTS a, WEB.EVENTS b GROUP BY 1 HAVING count(*) > 5`,
  "recursion without an end": (n) =>
    `WITH RECURSIVE r AS (SELECT ${n}::BIGINT AS x UNION ALL SELECT x + 1 FROM r) SELECT max(x) FROM r`,
  "long texts, many": (n) => `SELECT repeat('x', 1000000) || range FROM range(${100_000 + n})`,
  "columns that build on columns": (n) =>
    `SELECT ${n} AS a0${Array.from({ length: 40 }, (_, i) => `, a${i} + a${i} AS a${i + 1}`).join("")}`,
  "nested lambdas": (n) => `SELECT ${"list_transform([1, 2], x -> ".repeat(24)}${n}${")".repeat(24)}`,
  "text of a gigabyte": (n) => `SELECT rpad('${n}', 1000000000, 'x')`,
  "aggregate of everything": (n) =>
    `SELECT list(a.EVENT_ID + b.EVENT_ID + ${n}) FROM WEB.EVENTS a, WEB.EVENTS b`,
  "regular expression": (n) =>
    `SELECT regexp_replace(repeat('a', 5000000), '(a|b|${n})*?', repeat('xy', 500))`,
  "calls that are written out twice": (n) => `SELECT ${"GREATEST(".repeat(40)}${n}${", 2)".repeat(40)}`,
  "a long difference": (n) => `SELECT ${"1 - ".repeat(20_000)}${n}`,
  "a chain of casts": (n) => `SELECT ${n}${"::INT".repeat(16_000)}`,
  "an INTERVAL that can be read in many ways": (n) =>
    `SELECT CURRENT_DATE + INTERVAL '${"1".repeat(60)}${n}!'`,
  "windows of windows": (n) =>
    `SELECT SUM(${n}) OVER w30 FROM ORDERS WINDOW w0 AS (ORDER BY ORDER_ID)${Array.from({ length: 30 }, (_, i) => `, w${i + 1} AS (ORDER BY SUM(1) OVER w${i}, SUM(2) OVER w${i})`).join("")}`,
  "cube of sets": (n) =>
    `SELECT count(*) + ${n} FROM WEB.EVENTS GROUP BY CUBE (EVENT_ID, SESSION_ID, CUSTOMER_ID, EVENT_TYPE, OCCURRED_AT, EVENT_ID + 1, EVENT_ID + 2, EVENT_ID + 3)`
}

const joins: ReadonlyArray<string> = [
  "SELECT 1",
  "SELECT COUNTRY, COUNT(*) FROM CUSTOMERS GROUP BY COUNTRY ORDER BY 2 DESC",
  `SELECT c.COUNTRY, SUM(o.TOTAL_AMOUNT) FROM CUSTOMERS c JOIN ORDERS o ON o.CUSTOMER_ID = c.CUSTOMER_ID GROUP BY 1`,
  `SELECT p.CATEGORY, SUM(l.QUANTITY) FROM ORDER_LINES l JOIN PRODUCTS p ON p.PRODUCT_ID = l.PRODUCT_ID
   JOIN ORDERS o ON o.ORDER_ID = l.ORDER_ID WHERE o.STATUS = 'DELIVERED' GROUP BY 1 ORDER BY 2 DESC`,
  "SELECT EVENT_TYPE, COUNT(*) FROM WEB.EVENTS GROUP BY 1",
  "SELECT * FROM ORDER_SUMMARY ORDER BY ORDER_ID LIMIT 20"
]

export interface Options {
  readonly bin: string
  /** Each kind so often. */
  readonly rounds: number
  readonly kinds?: ReadonlyArray<string> | undefined
  /** Calls of the client that works, at least. */
  readonly calls: number
  readonly timeoutSeconds: number
  readonly env?: { readonly [name: string]: string } | undefined
}

export interface Kind {
  readonly kind: string
  readonly answers: { readonly [code: string]: number }
  readonly slowestMs: number
  readonly said: string
}

export interface Report {
  readonly kinds: ReadonlyArray<Kind>
  readonly neighbour: {
    readonly calls: number
    readonly answered: number
    readonly p50Ms: number
    readonly p99Ms: number
    readonly slowestMs: number
    readonly failures: ReadonlyArray<string>
  }
  /** The breaker or the ladder showed something of it. */
  readonly noticed: ReadonlyArray<string>
  readonly serverDied: boolean
  readonly peakMb: number
  /** From SIGTERM, with three bombs under way, to the end. */
  readonly stoppedMs: number
  readonly orphans: number
  readonly seconds: number
}

const memoryOf = (pid: number): number => {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

interface Called {
  readonly code: string
  readonly text: string
  readonly ms: number
  readonly structured: unknown
}

export const run = async (options: Options): Promise<Report> => {
  const began = performance.now()
  const folder = mkdtempSync(join(tmpdir(), "snowguard-bombs-"))
  const env = {
    ...Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^(SNOW(GUARD|FLAKE)_|NODE_OPTIONS$)/.test(name))
    ),
    SNOWGUARD_STATE_DIR: folder,
    XDG_CONFIG_HOME: folder,
    APPDATA: folder,
    SNOWGUARD_HTTP_PORT: "0",
    SNOWGUARD_QUOTA_STORE_KIND: "memory",
    ...options.env
  }
  const key = (client: string): string => {
    const made = spawnSync(process.execPath, [options.bin, "keys", "create", client], {
      env,
      encoding: "utf8"
    })
    const found = /sg_[0-9a-f]{12}_[A-Za-z0-9_-]{43}/.exec(made.stdout)?.[0]
    if (found === undefined) throw new Error(`no key: ${made.stdout}${made.stderr}`)
    return found
  }
  const keys = { abuser: key("abuser"), neighbour: key("neighbour") }
  const server = spawn(process.execPath, [options.bin, "http"], { env, stdio: ["ignore", "ignore", "pipe"] })
  // Also where the run fails.
  process.once("exit", () => server.kill("SIGKILL"))
  let log = ""
  let died = false
  let stopping = false
  server.once("exit", () => {
    died = !stopping
  })
  server.stderr.setEncoding("utf8").on("data", (text: string) => {
    log = (log + text).slice(-100_000)
  })
  const port = await (async () => {
    for (;;) {
      const found = /127\.0\.0\.1:(\d+)\/mcp/.exec(log)?.[1]
      if (found !== undefined) return Number(found)
      if (died) throw new Error(log)
      await sleep(20)
    }
  })()

  let peak = 0
  const looking = setInterval(() => {
    const pid = server.pid ?? 0
    peak = Math.max(
      peak,
      [pid, ...childrenOf(pid)].reduce((sum, one) => sum + memoryOf(one), 0)
    )
  }, 100)

  let id = 0
  const post = async (token: string, session: string | undefined, body: object) =>
    fetch(`http://127.0.0.1:${port}/mcp`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        authorization: `Bearer ${token}`,
        ...(session === undefined ? {} : { "mcp-session-id": session, "mcp-protocol-version": "2025-11-25" })
      },
      body: JSON.stringify({ jsonrpc: "2.0", ...body })
    })
  const open = async (token: string): Promise<string> => {
    const params = {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "bombs", version: "1" }
    }
    const answer = await post(token, undefined, { id: ++id, method: "initialize", params })
    await answer.text()
    const session = answer.headers.get("mcp-session-id") ?? ""
    await (await post(token, session, { method: "notifications/initialized" })).text()
    return session
  }
  const call = async (token: string, session: string, name: string, args: object): Promise<Called> => {
    const started = performance.now()
    const done = (code: string, text: string, structured?: unknown): Called => ({
      code,
      text,
      ms: performance.now() - started,
      structured
    })
    try {
      const answer = await post(token, session, {
        id: ++id,
        method: "tools/call",
        params: { name, arguments: args }
      })
      const body = await answer.text()
      const json = /^\s*\{/.test(body)
        ? body
        : (/^data: (\{.*"result".*\})$/m.exec(body)?.[1] ?? /^data: (\{.*"error".*\})$/m.exec(body)?.[1])
      if (json === undefined) return done(`HTTP ${answer.status}`, body.slice(0, 200))
      const { result, error } = JSON.parse(json)
      if (error !== undefined) return done(`error ${error.code}`, String(error.message))
      const text = String(result.content?.[0]?.text ?? "")
      return result.isError === true
        ? done(String(result._meta?.["dev.snowguard/error"]?.code ?? "?"), text)
        : done("answered", text.slice(0, 200), result.structuredContent)
    } catch (cause) {
      return done("lost", String(cause))
    }
  }

  const sessions = { abuser: await open(keys.abuser), neighbour: await open(keys.neighbour) }
  const ask = (sql: string) =>
    call(keys.abuser, sessions.abuser, "execute_query", { sql, timeout_seconds: options.timeoutSeconds })

  const results = new Map<string, Array<Called>>()
  const kinds = options.kinds ?? Object.keys(bombs)
  const work = Array.from({ length: options.rounds }, () => kinds).flat()
  let next = 0
  let n = 0
  let isOver = false
  const noticed = new Set<string>()
  const abuse = async () => {
    for (let at = next++; at < work.length && !died; at = next++) {
      const kind = work[at]!
      let answer = await ask(bombs[kind]!(++n))
      // Its own limits are not what is tried here.
      while (/^(RATE_LIMITED|OVERLOADED)$/.test(answer.code) && !died) {
        await sleep(500)
        answer = await ask(bombs[kind]!(++n))
      }
      results.set(kind, [...(results.get(kind) ?? []), answer])
    }
  }
  const times: Array<number> = []
  const failures: Array<string> = []
  let calls = 0
  const neighbour = async () => {
    while ((!isOver || calls < options.calls) && !died) {
      const sql = joins[calls % joins.length]!
      const answer = await call(keys.neighbour, sessions.neighbour, "execute_query", {
        sql: `${sql} -- ${calls}`,
        database: "SNOWGUARD_SAMPLE"
      })
      calls += 1
      times.push(answer.ms)
      if (answer.code !== "answered") failures.push(`${answer.code}: ${answer.text.slice(0, 300)}`)
      if (calls % 20 === 0) {
        const { structured } = await call(keys.neighbour, sessions.neighbour, "get_limits", {})
        const limits = structured as
          | {
              readonly circuit: { readonly phase: string; readonly failures: number }
              readonly mode: { readonly mode: string; readonly why: string }
            }
          | undefined
        if (limits !== undefined && limits.circuit.phase !== "closed")
          noticed.add(`circuit ${limits.circuit.phase}`)
        if (limits !== undefined && limits.circuit.failures > 0)
          noticed.add(`${limits.circuit.failures} failures`)
        if (limits !== undefined && limits.mode.mode !== "normal")
          noticed.add(`${limits.mode.mode}: ${limits.mode.why}`)
      }
      await sleep(Math.random() * 400)
    }
  }
  const abusers = Promise.all([abuse(), abuse(), abuse()]).then(() => {
    isOver = true
  })
  await Promise.all([abusers, neighbour()])

  // Three that plan and do not listen, and the server is told to end.
  const last = [1, 2, 3].map((more) => ask(bombs["stars that double"]!(1000 + more)))
  await sleep(1500)
  const serverDied = died
  const children = childrenOf(server.pid ?? 0)
  stopping = true
  const asked = performance.now()
  server.kill("SIGTERM")
  if (server.exitCode === null && server.signalCode === null) await once(server, "exit")
  const stoppedMs = performance.now() - asked
  await Promise.all(last)
  clearInterval(looking)
  await sleep(300)
  const orphans = children.filter((pid) => memoryOf(pid) > 0).length
  rmSync(folder, { recursive: true, force: true })

  times.sort((a, b) => a - b)
  const at = (part: number) =>
    Math.round(times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? 0)
  return {
    kinds: kinds.map((kind) => {
      const all = results.get(kind) ?? []
      const answers: Record<string, number> = {}
      for (const { code } of all) answers[code] = (answers[code] ?? 0) + 1
      return {
        kind,
        answers,
        slowestMs: Math.round(Math.max(0, ...all.map(({ ms }) => ms))),
        said: all.at(-1)?.text.replaceAll(/\s+/g, " ").slice(0, 160) ?? ""
      }
    }),
    neighbour: {
      calls,
      answered: calls - failures.length,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      slowestMs: at(1),
      failures
    },
    noticed: [...noticed],
    serverDied,
    peakMb: Math.round(peak / 1e6),
    stoppedMs: Math.round(stoppedMs),
    orphans,
    seconds: Math.round((performance.now() - began) / 1000)
  }
}
