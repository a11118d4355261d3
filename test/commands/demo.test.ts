/** `snowguard demo`, as people run it. */
import { it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect } from "vitest"
import type { Event } from "../../src/commands/demo/rehearsal.js"
import * as Server from "../utils/server.js"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-demo-test-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const demo = (args: ReadonlyArray<string>, env: Server.Env = {}) =>
  Effect.promise(async (signal) => {
    const options = { env: Server.cleanEnv(env), signal }
    const child = spawn(process.execPath, [Server.bin, "demo", ...args], options)
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => void (stdout += text))
    child.stderr.setEncoding("utf8").on("data", (text: string) => void (stderr += text))
    const [code] = (await once(child, "close")) as [number | null]
    return { code, stdout, stderr }
  })

it.scopedLive("rehearses an outage: the breaker opens and closes, nobody is left unanswered", () =>
  Effect.gen(function* () {
    const TMPDIR = yield* folder
    const { code, stderr, stdout } = yield* demo(["--outage", "--speed", "60", "--json"], { TMPDIR })
    const events = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Event)
    const summary = events.at(-1)
    if (summary?._tag !== "Summary") throw new Error(`no summary: ${stdout}${stderr}`)
    expect(summary.invariants.filter(({ held }) => !held)).toEqual([])
    expect([code, stderr]).toEqual([0, ""])
    expect(events.flatMap((event) => (event._tag === "Phase" ? [event.name] : []))).toEqual([
      "healthy",
      "struggling",
      "down",
      "suspended",
      "recovered"
    ])
    expect(events.filter((event) => event._tag === "Moment").length).toBeGreaterThan(0)
    const told = events.flatMap((event) => (event._tag === "Refusal" ? [event.code] : []))
    expect(told).toContain("WAREHOUSE_INVALID_STATEMENT")
    expect(new Set(told).size).toBe(told.length)
    expect(summary).toMatchObject({ unanswered: 0, leftRunning: 0 })
    expect(summary.phases.some(({ refused, stale }) => refused + stale > 0)).toBe(true)
    expect(readdirSync(TMPDIR)).toEqual([])
  })
)

it.scopedLive("shows around in a few seconds, and says how to see more", () =>
  Effect.gen(function* () {
    const { code, stderr, stdout } = yield* demo([])
    expect([code, stderr]).toEqual([0, ""])
    expect(stdout).toMatch(/ORDERS[\s\S]+STATEMENT_REJECTED[\s\S]+RATE_LIMITED[\s\S]+demo --outage/)
  })
)

it.scopedLive("puts everything away when nobody reads any more", () =>
  Effect.gen(function* () {
    const TMPDIR = yield* folder
    const stderr = yield* Effect.promise(async (signal) => {
      const options = { env: Server.cleanEnv({ TMPDIR }), signal }
      const child = spawn(process.execPath, [Server.bin, "demo", "--json"], options)
      let stderr = ""
      child.stderr.setEncoding("utf8").on("data", (text: string) => void (stderr += text))
      child.stdout.once("data", () => child.stdout.destroy())
      await once(child, "close")
      return stderr
    })
    expect(stderr).toBe("")
    expect(readdirSync(TMPDIR)).toEqual([])
  })
)

/** A server with a tool that is not read-only. */
const wrongServer = `
import { createInterface } from "node:readline"
const result = {
  initialize: { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo: { name: "wrong", version: "1" } },
  "tools/list": { tools: [{ name: "drop_table", inputSchema: { type: "object" } }] }
}
for await (const line of createInterface({ input: process.stdin })) {
  const { id, method } = JSON.parse(line)
  if (id !== undefined) console.log(JSON.stringify({ jsonrpc: "2.0", id, result: result[method] }))
}`

it.scopedLive("npm run demo says which step failed and why, without a stack, and leaves nothing", () =>
  Effect.gen(function* () {
    const TMPDIR = yield* folder
    const server = join(yield* folder, "wrong.mjs")
    const script = fileURLToPath(new URL("../../scripts/demo.mjs", import.meta.url))
    const run = (...args: ReadonlyArray<string>) =>
      Effect.promise(async (signal) => {
        const options = { env: Server.cleanEnv({ TMPDIR }), signal }
        const child = spawn(process.execPath, [script, ...args], options)
        let stderr = ""
        child.stdout.resume()
        child.stderr.setEncoding("utf8").on("data", (text: string) => void (stderr += text))
        const [code] = (await once(child, "close")) as [number | null]
        return { code, stderr }
      })
    writeFileSync(server, wrongServer)
    expect(yield* run(server)).toEqual({
      code: 1,
      stderr: "\nfailed in step 2  What can it do?\n  drop_table is not read-only\n"
    })
    writeFileSync(server, 'console.error("no such account"); process.exit(78)')
    const ended = yield* run(server)
    expect(ended.code).toBe(1)
    expect(ended.stderr).toMatch(/^\nfailed in step 1 .*\n {2}.*\n {2}The server's log:\nno such account\n$/)
    expect(readdirSync(TMPDIR)).toEqual([])
  })
)

it.scopedLive("refuses a speed that makes no sense", () =>
  Effect.gen(function* () {
    for (const args of [
      ["--outage", "--speed", "0"],
      ["--outage", "--speed", "fast"],
      ["--speed", "2"]
    ]) {
      expect(yield* demo(args)).toMatchObject({ code: 64, stdout: "" })
    }
  })
)
