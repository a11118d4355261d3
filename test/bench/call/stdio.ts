/**
 * A server over stdio as a child process: JSON-RPC on its stdin and stdout, and what it costs over the IPC channel
 * (scripts/bench-call-probe.mjs).
 */
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { readdirSync, readFileSync } from "node:fs"
import { cpuOfDescendants, statOf } from "./figures.js"

export interface Command {
  readonly program?: string
  readonly args: ReadonlyArray<string>
  readonly env?: NodeJS.ProcessEnv
  /** Of the protocol: 2025 when absent. */
  readonly era?: "2025" | "2026" | undefined
}

export interface Cost {
  /** CPU microseconds of the process and of its children. */
  readonly cpu: number
  readonly rss: number
  readonly peak: number
}

export interface Server {
  readonly child: ChildProcess
  readonly request: (method: string, params: object) => Promise<unknown>
  readonly call: (name: string, args: object) => Promise<unknown>
  readonly cost: () => Promise<Cost>
  readonly ask: (what: string) => Promise<unknown>
  readonly stop: () => Promise<void>
}

/** Nothing of ours and of Snowflake's but what is given. */
export const cleanEnv = (): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(SNOW(GUARD|FLAKE)_|NODE_OPTIONS$)/.test(name))
  )

const initialize = {
  protocolVersion: "2025-11-25",
  capabilities: {},
  clientInfo: { name: "bench", version: "1" }
}

const meta = { protocolVersion: "2026-07-28", clientInfo: initialize.clientInfo, clientCapabilities: {} }

/** What every request of the 2026 era says of itself. */
const envelope = Object.fromEntries(
  Object.entries(meta).map(([name, value]) => [`io.modelcontextprotocol/${name}`, value])
)

/** What a client of an era asks first. */
const first = ({ era }: Command): readonly [method: string, params: object] =>
  era === "2026" ? ["server/discover", { _meta: envelope }] : ["initialize", initialize]

/** What every process of this machine says of itself, as far as it may be read. */
const stats = (): ReadonlyArray<string> =>
  readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      return [readFileSync(`/proc/${name}/stat`, "utf8")]
    } catch {
      return []
    }
  })

/** Of /proc, everywhere. */
const TICK_US = 10_000

/** Microseconds. */
const childrenCpu = (pid: number): number =>
  process.platform === "linux" ? cpuOfDescendants(stats(), pid) * TICK_US : 0

/** CPU microseconds of the main thread alone; where that is not told, undefined. */
export const mainThreadCpu = ({ child: { pid = 0 } }: Server): number | undefined => {
  try {
    return statOf(readFileSync(`/proc/${pid}/task/${pid}/stat`, "utf8")).own * TICK_US
  } catch {
    return undefined
  }
}

const failed = (name: string, answer: { error?: unknown; result?: { isError?: boolean } }): unknown =>
  answer.error ?? (answer.result?.isError === true ? { name, result: answer.result } : undefined)

/** From the spawn to the first answer, in milliseconds; the process is gone after that. */
export const startMs = (command: Command): Promise<number> =>
  new Promise((resolve, reject) => {
    const begun = performance.now()
    const child = spawn(command.program ?? process.execPath, command.args, {
      env: command.env ?? cleanEnv(),
      stdio: ["pipe", "pipe", "ignore"]
    })
    let said = ""
    let took: number | undefined
    child.once("error", reject)
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said += text
      if (!said.includes("\n")) return
      took ??= performance.now() - begun
      child.kill("SIGKILL")
    })
    child.once("exit", (code) =>
      took === undefined ? reject(new Error(`it ended with ${code} and said nothing`)) : resolve(took)
    )
    const [method, params] = first(command)
    child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id: 1, method, params })}\n`)
  })

export const start = async (command: Command, probe: string): Promise<Server> => {
  const { args, env, era, program } = command
  const child = spawn(program ?? process.execPath, ["--import", probe, ...args], {
    env: env ?? cleanEnv(),
    stdio: ["pipe", "pipe", "pipe", "ipc"]
  })
  const { stderr, stdin, stdout } = child
  if (stderr === null || stdin === null || stdout === null) throw new Error("no pipes")
  let log = ""
  stderr.setEncoding("utf8").on("data", (text: string) => (log = (log + text).slice(-2_000)))
  const pending = new Map<number, (line: string) => void>()
  const asked = new Map<number, (answer: unknown) => void>()
  let nextId = 1
  // A large answer comes in many pieces: they are joined when its line has ended.
  let pieces: Array<string> = []
  stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = text.split("\n")
    const last = lines.pop() ?? ""
    for (const line of lines) {
      const whole = pieces.length === 0 ? line : [...pieces, line].join("")
      pieces = []
      const id = Number(
        /"id":(\d+)[,}]/.exec(whole.slice(-64))?.[1] ?? /"id":(\d+)/.exec(whole.slice(0, 64))?.[1]
      )
      pending.get(id)?.(whole)
      pending.delete(id)
    }
    if (last !== "") pieces.push(last)
  })
  child.on("message", (message: { id: number; answer: unknown }) => {
    asked.get(message.id)?.(message.answer)
    asked.delete(message.id)
  })
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`${args.join(" ")} ended with ${String(code)}: ${log}`)
  })
  ended.catch(() => undefined)

  const send = (message: object) => stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`)
  const request = (method: string, params: object): Promise<unknown> => {
    const id = nextId++
    const answer = new Promise<string>((resolve) => pending.set(id, resolve))
    send({ id, method, params })
    return Promise.race([answer, ended]).then((line) => {
      const parsed: { error?: unknown; result?: { isError?: boolean } } = JSON.parse(line)
      const fault = failed(method, parsed)
      if (fault !== undefined) throw new Error(`${args.join(" ")}: ${JSON.stringify(fault)}`)
      return parsed.result
    })
  }
  const ask = (what: string): Promise<unknown> => {
    const id = nextId++
    const answer = new Promise<unknown>((resolve) => asked.set(id, resolve))
    child.send({ ask: what, id })
    return Promise.race([answer, ended])
  }
  await request(...first(command))
  const isModern = era === "2026"
  if (!isModern) send({ method: "notifications/initialized" })
  return {
    child,
    request,
    call: (name, args) =>
      request("tools/call", { name, arguments: args, ...(isModern ? { _meta: envelope } : {}) }),
    ask,
    cost: async () => {
      const cost = (await ask("cost")) as Cost
      return { ...cost, cpu: cost.cpu + childrenCpu(child.pid ?? 0) }
    },
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, "exit")
      child.kill("SIGTERM")
      const timer = setTimeout(() => child.kill("SIGKILL"), 10_000)
      await gone
      clearTimeout(timer)
    }
  }
}
