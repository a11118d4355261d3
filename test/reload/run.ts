/**
 * The built server under load, while its settings are read again and again with other limits, by `admin reload` and by
 * SIGHUP, some of them wrong. Plain Node, so that it runs outside of the test runner too.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { stream } from "../simulation/Random.js"

export interface Report {
  readonly reloads: number
  readonly refused: number
  readonly generation: number
  readonly calls: number
  readonly admitted: number
  readonly limited: number
  /** Calls without an answer, or with one that is neither a result nor a refusal by a limit. */
  readonly unanswered: ReadonlyArray<string>
  /** Windows after a reload in which more was admitted than the new limits allow. */
  readonly exceeded: ReadonlyArray<string>
  /** What the quota said was used, where that was less than what had been answered before. */
  readonly forgotten: ReadonlyArray<string>
}

interface Limits {
  readonly rate: number
  readonly burst: number
}

const WORKERS = 6

const document = ({ burst, rate }: Limits, n: number, isWrong: boolean): string => `
[http]
port = 0
[log]
level = "${n % 2 === 0 ? "info" : "warning"}"
[limits]
requests_per_second = 5000
burst = 5000
max_concurrent_requests = ${5 + (n % 40)}
[tiers.default]
requests_per_second = ${isWrong ? -1 : rate}
burst = ${isWrong ? 0 : burst}
initial_tokens = 1
max_token_wait_seconds = 0
max_rows = ${100 + (n % 100)}
requests_per_hour = ${900_000_000 + n}
requests_per_day = ${900_000_000 + n}
`

interface Call {
  readonly sent: number
  readonly answered: number
  readonly admitted: boolean
}

export const run = async (
  bin: string,
  {
    env,
    reloads,
    seed = 1
  }: { readonly reloads: number; readonly seed?: number; readonly env: NodeJS.ProcessEnv }
): Promise<Report> => {
  const folder = mkdtempSync(join(tmpdir(), "snowguard-reload-"))
  const path = join(folder, "snowguard.toml")
  /** Whole at once, as an editor would: a server never reads half of it. */
  const write = (text: string) => {
    writeFileSync(`${path}.new`, text)
    renameSync(`${path}.new`, path)
  }
  const { integer } = stream(seed, "reloads")
  write(document({ rate: 50, burst: 20 }, 0, false))
  const child = spawn(process.execPath, [bin, "http", "--config", path], {
    cwd: folder,
    env: { ...env, SNOWGUARD_STATE_DIR: folder },
    stdio: ["ignore", "ignore", "pipe"]
  })
  const exited = once(child, "close")
  let log = ""
  child.stderr.setEncoding("utf8")
  const port = new Promise<number>((resolve, reject) => {
    child.stderr.on("data", (text: string) => {
      log = (log + text).slice(-100_000)
      const found = /127\.0\.0\.1:(\d+)\/mcp/.exec(log)?.[1]
      if (found !== undefined) resolve(Number(found))
    })
    child.once("close", () => reject(new Error(`the server has ended: ${log}`)))
  })
  const calls: Array<Call> = []
  const unanswered: Array<string> = []
  const exceeded: Array<string> = []
  const forgotten: Array<string> = []
  let isOver = false
  let refused = 0
  let generation = 0
  try {
    const base = `http://127.0.0.1:${await port}`
    const json = async (url: string, body?: object) => {
      const answer = await fetch(base + url, {
        ...(body === undefined
          ? {}
          : { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } })
      })
      if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`)
      return (await answer.json()) as never
    }
    const headers = {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2025-11-25"
    }
    const rpc = async (id: number, method: string, params: object, session?: string) => {
      const answer = await fetch(`${base}/mcp`, {
        method: "POST",
        headers: { ...headers, ...(session === undefined ? {} : { "mcp-session-id": session }) },
        body: JSON.stringify({ jsonrpc: "2.0", id, method, params })
      })
      return {
        session: answer.headers.get("mcp-session-id"),
        status: answer.status,
        text: await answer.text()
      }
    }
    const worker = async (which: number): Promise<void> => {
      const { session } = await rpc(0, "initialize", {
        protocolVersion: "2025-11-25",
        capabilities: {},
        clientInfo: { name: `worker-${which}`, version: "1" }
      })
      for (let id = 1; !isOver; id++) {
        const sent = performance.now()
        try {
          const { status, text } = await rpc(
            id,
            "tools/call",
            { name: "list_databases", arguments: {} },
            session ?? undefined
          )
          const isLimited = text.includes("RATE_LIMITED") || text.includes("OVERLOADED")
          const isResult = text.includes('"structuredContent"') && text.includes("SNOWGUARD_SAMPLE")
          if (status !== 200 || (!isLimited && !isResult)) unanswered.push(`${status} ${text.slice(0, 300)}`)
          calls.push({ sent, answered: performance.now(), admitted: isResult && !isLimited })
          // A refused caller does not turn in circles.
          if (isLimited) await pause(2)
        } catch (error) {
          unanswered.push(String(error))
        }
      }
    }
    const workers = Array.from({ length: WORKERS }, (_, which) => worker(which))

    interface Data {
      readonly snapshot: {
        readonly config: { readonly generation: number; readonly faults: number }
        readonly clients: ReadonlyArray<{
          readonly quotas: ReadonlyArray<{ readonly quota: string; readonly used: number }>
        }>
      }
    }
    const look = async () => (await json("/status/data")) as Data
    let begun: { readonly at: number; readonly limits: Limits } | undefined
    const close = (at: number) => {
      if (begun === undefined) return
      const { at: from, limits } = begun
      const admitted = calls.filter((one) => one.admitted && one.sent >= from && one.answered <= at).length
      const most = limits.burst + (limits.rate * (at - from)) / 1000
      if (admitted > most)
        exceeded.push(`${admitted} of ${most} in ${at - from} ms at ${JSON.stringify(limits)}`)
    }
    let limits: Limits = { rate: 50, burst: 20 }
    for (let n = 1; n <= reloads; n++) {
      // Now and then long enough that a server without these limits would be seen to admit more.
      await pause(n % 6 === 5 ? 400 : integer(0, 29))
      const isWrong = n % 10 === 0
      const next = { rate: integer(1, 5), burst: integer(1, 4) }
      write(document(next, n, isWrong))
      close(performance.now())
      if (n % 5 === 3) {
        const before = (await look()).snapshot.config.generation
        child.kill("SIGHUP")
        while ((await look()).snapshot.config.generation === before) await pause(2)
        limits = next
      } else {
        const done = (await json("/admin/config/reload", {})) as { readonly faults?: ReadonlyArray<string> }
        if (done.faults === undefined) limits = next
        else refused++
        if ((done.faults !== undefined) !== isWrong) unanswered.push(`reload ${n}: ${JSON.stringify(done)}`)
      }
      begun = { at: performance.now(), limits }
      if (n % 25 === 0 || n === reloads) {
        const answered = calls.filter((one) => one.admitted).length
        const { clients } = (await look()).snapshot
        const used = clients.flatMap(({ quotas }) =>
          quotas.filter(({ quota }) => quota === "requests_per_day")
        )
        const most = Math.max(0, ...used.map(({ used }) => used))
        if (most < answered) forgotten.push(`${most} used after ${answered} answers`)
      }
    }
    close(performance.now())
    isOver = true
    await Promise.all(workers)
    generation = (await look()).snapshot.config.generation
  } finally {
    isOver = true
    child.kill("SIGKILL")
    await exited
    rmSync(folder, { recursive: true, force: true })
  }
  return {
    reloads,
    refused,
    generation,
    calls: calls.length,
    admitted: calls.filter(({ admitted }) => admitted).length,
    limited: calls.filter(({ admitted }) => !admitted).length,
    unanswered,
    exceeded,
    forgotten
  }
}
