/**
 * Kills processes that share a quota store, at random and while the others go on, and counts what was lost.
 * Also: lets many processes spend one limit, again and again, and counts what was let through.
 */
import { DatabaseSync } from "@photostructure/sqlite"
import type { ChildProcessWithoutNullStreams } from "node:child_process"
import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Bundle } from "./build.js"
import { bundle, hasRedisStore } from "./build.js"
import { freePort } from "../utils/freePort.js"

export interface Figures {
  readonly rounds: number
  readonly kills: number
  readonly acknowledged: number
  /** Acknowledged and not in the store. */
  readonly lost: number
  /** In the store, and asked for by nobody. */
  readonly invented: number
  readonly corrupt: number
  /** Survivors of a kill that acknowledged nothing for five seconds. */
  readonly hung: number
  readonly aboveLimit: number
  /** What processes complained of, the first of it. */
  readonly complaint?: string
}

/** As in the worker. */
const CAP = 300
const CALLERS = 4
const HUNG_MS = 5_000

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
const between = (low: number, high: number): number => low + Math.floor(Math.random() * (high - low + 1))

export interface Target {
  readonly store: string
  readonly target: string
  /** "ok", or what is wrong with it. */
  readonly check: () => string
  readonly stop: () => void
}

const sqlite = (): Target => {
  const directory = mkdtempSync(join(tmpdir(), "snowguard-torture-"))
  const path = join(directory, "quota.db")
  return {
    store: "sqlite",
    target: path,
    check: () => {
      try {
        const database = new DatabaseSync(path)
        const [row] = database.prepare("PRAGMA integrity_check").all() as ReadonlyArray<{
          readonly integrity_check: string
        }>
        database.close()
        return row?.integrity_check ?? "no answer"
      } catch (cause) {
        return String(cause)
      }
    },
    stop: () => rmSync(directory, { recursive: true, force: true })
  }
}

/** A Redis of its own on a free port; undefined where there is no binary. */
export const redis = async (): Promise<Target | undefined> => {
  const binary = ["redis-server", "valkey-server"].find(
    (name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0
  )
  if (binary === undefined) return undefined
  const directory = mkdtempSync(join(tmpdir(), "snowguard-torture-"))
  const port = await freePort()
  const child = spawn(
    binary,
    ["--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--dir", directory],
    {
      stdio: ["ignore", "pipe", "ignore"]
    }
  )
  await new Promise<void>((resolve) => {
    child.stdout.on("data", (chunk) => {
      if (String(chunk).includes("eady to accept")) resolve()
    })
    child.once("exit", () => resolve())
  })
  return {
    store: "redis",
    target: `redis://127.0.0.1:${port}`,
    check: () => "ok",
    stop: () => {
      child.kill("SIGKILL")
      rmSync(directory, { recursive: true, force: true })
    }
  }
}

/** Undefined when it is not available here. */
export const targetOf = async (store: string): Promise<Target | undefined> =>
  store === "sqlite" ? sqlite() : store === "redis" && hasRedisStore ? redis() : undefined

interface Process {
  readonly child: ChildProcessWithoutNullStreams
  readonly said: { dots: number; pluses: number; lastAt: number; err: string; text: string }
  readonly closed: Promise<void>
}

const start = (worker: Bundle, { store, target }: Target, ...args: ReadonlyArray<string>): Process => {
  const child = spawn(process.execPath, [worker.path, store, target, ...args], { stdio: "pipe" })
  const said = { dots: 0, pluses: 0, lastAt: 0, err: "", text: "" }
  child.stdout.on("data", (chunk: Buffer) => {
    if (args[0] === "hammer") {
      for (const byte of chunk) {
        if (byte === 0x2e) said.dots += 1
        else said.pluses += 1
      }
    } else said.text += chunk.toString()
    said.lastAt = performance.now()
  })
  child.stderr.on("data", (chunk: Buffer) => (said.err += chunk.toString()))
  child.stdin.on("error", () => {})
  return { child, said, closed: new Promise((resolve) => child.once("close", () => resolve())) }
}

const until = async (done: () => boolean, limitMs: number): Promise<boolean> => {
  const end = performance.now() + limitMs
  while (!done()) {
    if (performance.now() > end) return false
    await sleep(2)
  }
  return true
}

export const kill9 = async (
  target: Target,
  options: { readonly rounds: number; readonly processes?: number }
): Promise<Figures> => {
  const { processes: count = 4, rounds } = options
  const worker = await bundle("test/torture/worker.ts")
  const all: Array<Process> = []
  const keys: Array<string> = []
  let hung = 0
  let kills = 0
  /** The key with a limit changes now and then, so that the limit is always about to be reached. */
  const spawnOne = (round: number): Process => {
    const key = `client:cap-${Math.floor(round / 5)}`
    if (!keys.includes(key)) keys.push(key)
    const one = start(worker, target, "hammer", key)
    all.push(one)
    return one
  }
  const began = (one: Process) => until(() => one.said.lastAt > 0 || one.child.exitCode !== null, 30_000)
  try {
    let alive = Array.from({ length: count }, () => spawnOne(0))
    await Promise.all(alive.map(began))
    for (let round = 0; round < rounds; round++) {
      await sleep(between(0, 60))
      const victims = alive.slice(0, between(1, Math.max(1, count - 2)))
      for (const { child } of victims) child.kill("SIGKILL")
      kills += victims.length
      const killedAt = performance.now()
      alive = alive.filter((one) => !victims.includes(one))
      for (const one of alive) {
        // Not: something it said before the kill, which is only now being read.
        const before = one.said.dots
        if (!(await until(() => one.said.lastAt > killedAt && one.said.dots > before, HUNG_MS))) hung += 1
      }
      const fresh = victims.map(() => spawnOne(round + 1))
      await Promise.all(fresh.map(began))
      alive = [...alive, ...fresh]
    }
    for (const { child } of alive) child.kill("SIGKILL")
    kills += alive.length
    await Promise.all(all.map(({ closed }) => closed))

    const asked = start(worker, target, "usage", "client:all", ...keys)
    await asked.closed
    const complaint = [asked, ...all].map(({ said }) => said.err).find((err) => err !== "")
    const found: unknown = asked.said.text === "" ? [] : JSON.parse(asked.said.text)
    const usage = Array.isArray(found)
      ? (found as ReadonlyArray<{ readonly used: number; readonly held: number }>)
      : []
    const acknowledged = all.reduce((sum, { said }) => sum + said.dots + said.pluses, 0)
    const { held = 0, used = 0 } = usage[0] ?? {}
    const capped = usage.slice(1)
    const pluses = all.reduce((sum, { said }) => sum + said.pluses, 0)
    const cappedUsed = capped.reduce((sum, { used }) => sum + used, 0)
    return {
      rounds,
      kills,
      acknowledged,
      lost: Math.max(0, acknowledged - used) + Math.max(0, pluses - cappedUsed),
      invented: Math.max(0, used + held - acknowledged - CALLERS * kills),
      corrupt:
        (target.check() === "ok" ? 0 : 1) + all.filter(({ said }) => said.err.includes("damaged")).length,
      hung,
      aboveLimit: capped.filter(({ held, used }) => used + held > CAP).length,
      ...(complaint === undefined ? {} : { complaint })
    }
  } finally {
    for (const { child } of all) child.kill("SIGKILL")
    await Promise.all(all.map(({ closed }) => closed))
    worker.remove()
  }
}

export interface Exactness {
  readonly trials: number
  readonly processes: number
  readonly limit: number
  /** Trials in which not exactly the limit was let through. */
  readonly inexact: number
  readonly complaint?: string
}

export const exact = async (
  target: Target,
  options: { readonly trials: number; readonly processes?: number; readonly limit?: number }
): Promise<Exactness> => {
  const { limit = 100, processes = 10, trials } = options
  const worker = await bundle("test/torture/worker.ts")
  const all = Array.from({ length: processes }, () => start(worker, target, "spend", `${limit}`))
  const linesOf = ({ said }: Process): ReadonlyArray<string> => said.text.split("\n").slice(0, -1)
  /** Everybody has said a line. */
  const answered = () =>
    until(() => all.every((one) => linesOf(one).length > 0 || one.child.exitCode !== null), 60_000)
  let inexact = 0
  try {
    await answered()
    for (let trial = 0; trial < trials; trial++) {
      for (const { said } of all) said.text = ""
      for (const { child } of all) child.stdin.write(`client:trial-${trial}\n`)
      const done = await answered()
      const granted = all.reduce((sum, one) => sum + Number(linesOf(one)[0] ?? 0), 0)
      if (!done || granted !== limit) inexact += 1
    }
    const complaint = all.map(({ said }) => said.err).find((err) => err !== "")
    return { trials, processes, limit, inexact, ...(complaint === undefined ? {} : { complaint }) }
  } finally {
    for (const { child } of all) child.kill("SIGKILL")
    await Promise.all(all.map(({ closed }) => closed))
    worker.remove()
  }
}
