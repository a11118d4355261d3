import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Schedule, Scope } from "effect"
import * as Emulator from "../../src/emulator/Emulator.js"
import type { FaultScript } from "../../src/emulator/FaultScript.js"
import * as Runner from "../../src/emulator/run.js"
import { newChildren } from "../utils/children.js"
import * as Driver from "./driver.js"
import { isListening } from "./raw.js"

const endless = "SELECT count(*) FROM range(1000000000000) t(i) WHERE i % 7 = 3"

const call = (method: string, url: string, body?: unknown) =>
  Effect.promise(async () => {
    const response = await fetch(url, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const json: unknown = await response.json()
    return { status: response.status, json }
  })

const until = (condition: Effect.Effect<boolean>) =>
  Effect.repeat(condition, { until: (holds) => holds, schedule: Schedule.spaced("5 millis") })

it.scopedLive(
  "opens nothing before the first login, and closes everything with its scope, whatever is going on",
  () =>
    Effect.gen(function* () {
      const begun = newChildren()
      const scope = yield* Scope.make()
      const emulator = yield* Scope.extend(Emulator.start({ sample: false }), scope)
      expect(begun()).toEqual([])
      const connection = yield* Driver.connect(emulator)
      yield* Driver.rows(connection, "SELECT 1")
      expect(begun().length).toBe(1)
      const running = yield* Effect.fork(Effect.flip(Driver.start(connection, { sqlText: endless })))
      yield* until(Effect.map(emulator.state, (state) => state.statements.running === 1))
      yield* emulator.setFaults({ faults: [{ kind: "hang", where: "query" }] })
      const hanging = yield* Effect.fork(Effect.flip(Driver.start(connection, { sqlText: "SELECT 2" })))
      yield* until(Effect.map(emulator.state, (state) => state.requests["Submit"] === 3))
      yield* Scope.close(scope, Exit.void).pipe(Effect.timeout("3 seconds"))
      expect(yield* Fiber.join(running)).toMatchObject({ code: 401001 })
      expect(yield* Fiber.join(hanging)).toMatchObject({ code: 401001 })
      expect(yield* isListening(emulator.port)).toBe(false)
      expect(yield* isListening(emulator.controlPort)).toBe(false)
      yield* until(Effect.sync(() => begun().length === 0))
    })
)

it.scopedLive("says why it cannot start", () =>
  Effect.gen(function* () {
    const first = yield* Emulator.start()
    const error = yield* Effect.flip(Emulator.start({ port: first.port }))
    expect(error._tag).toBe("EmulatorError")
    expect(error.message).toContain(`127.0.0.1:${first.port}`)
  })
)

it.scopedLive("is steered and shown over HTTP, on both ports", () =>
  Effect.gen(function* () {
    const emulator = yield* Emulator.start({ sample: false })
    const connection = yield* Driver.connect(emulator)
    yield* Driver.rows(connection, "SELECT 1 AS FIRST", { parameters: { QUERY_TAG: "mine" } })
    const control = `${emulator.controlUrl}/__emulator`
    for (const url of [control, `${emulator.url}/__emulator`]) {
      expect(yield* call("GET", `${url}/state`)).toMatchObject({
        status: 200,
        json: {
          sessions: { alive: 1, opened: 1 },
          statements: { executed: 1, succeeded: 1, failed: 0, cancelled: 0, running: 0, queued: 0 },
          requests: { Login: 1, Submit: 1 },
          tags: { mine: 1 },
          latest: [{ sql: "SELECT 1 AS FIRST", status: "SUCCESS", tag: "mine" }]
        }
      })
    }
    const script: FaultScript = { faults: [{ kind: "reset" }] }
    expect(yield* call("PUT", `${control}/faults`, script)).toMatchObject({ status: 200, json: { script } })
    yield* Effect.flip(Driver.rows(connection, "SELECT 1"))
    // Faults that strike everything do not strike control, on either port.
    expect(yield* call("GET", `${emulator.url}/__emulator/faults`)).toMatchObject({ json: { struck: [1] } })
    const wrong = yield* call("PUT", `${control}/faults`, { faults: [{ kind: "resett" }] })
    expect(wrong).toMatchObject({ status: 400, json: { error: expect.stringContaining("resett") } })
    expect(yield* call("GET", `${control}/faults`)).toMatchObject({ json: { script } })
    expect(yield* call("POST", `${control}/reset`)).toMatchObject({
      json: { sessions: { alive: 0 }, statements: { executed: 0 }, requests: {}, latest: [] }
    })
    expect(yield* call("GET", `${control}/faults`)).toMatchObject({ json: { script: { faults: [] } } })
    expect(yield* call("GET", `${control}/nothing`)).toMatchObject({ status: 404 })
  })
)

it.scopedLive("expires sessions when told to over HTTP", () =>
  Effect.gen(function* () {
    const emulator = yield* Emulator.start({ sample: false })
    const connection = yield* Driver.connect(emulator)
    yield* call("POST", `${emulator.controlUrl}/__emulator/expire`)
    yield* Driver.rows(connection, "SELECT 1")
    expect((yield* emulator.state).requests["Renew"]).toBe(1)
  })
)

it.scopedLive("runs as a program: one line, a script from a file, and an end when interrupted", () =>
  Effect.gen(function* () {
    const directory = mkdtempSync(join(tmpdir(), "snowguard-faults-"))
    yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(directory, { recursive: true, force: true })))
    const good = join(directory, "good.json")
    const bad = join(directory, "bad.json")
    writeFileSync(good, JSON.stringify({ faults: [{ kind: "badPassword" }] }))
    writeFileSync(bad, JSON.stringify({ faults: [{ kind: "nonsense" }] }))
    const printed = yield* Deferred.make<string>()
    const program = yield* Effect.fork(
      Runner.run({
        port: 0,
        faultsPath: good,
        print: (line) => Deferred.unsafeDone(printed, Effect.succeed(line))
      })
    )
    const line = yield* Deferred.await(printed)
    const port = Number(/http:\/\/127\.0\.0\.1:(\d+) /.exec(line)?.[1])
    expect(line).toContain("user SNOWGUARD, password snowguard")
    expect(line).not.toContain("\n")
    expect(yield* call("GET", `http://127.0.0.1:${port}/__emulator/faults`)).toMatchObject({
      json: { script: { faults: [{ kind: "badPassword" }] } }
    })
    yield* Fiber.interrupt(program)
    expect(yield* isListening(port)).toBe(false)
    expect((yield* Effect.flip(Runner.run({ faultsPath: bad }))).message).toContain("nonsense")
    const missing = yield* Effect.flip(Runner.run({ faultsPath: join(directory, "none.json") }))
    expect(missing.message).toContain("none.json cannot be read")
  })
)

it.scopedLive("keeps what has not ended and forgets old results", () =>
  Effect.gen(function* () {
    const emulator = yield* Emulator.start({ sample: false, keepStatements: 3 })
    const connection = yield* Driver.connect(emulator)
    const slow = yield* Driver.start(connection, { sqlText: "SELECT SYSTEM$WAIT(30)", asyncExec: true })
    const first = (yield* Driver.query(connection, "SELECT 1")).statement.getQueryId()
    for (const n of [2, 3, 4]) yield* Driver.rows(connection, `SELECT ${n}`)
    const { latest } = yield* emulator.state
    expect(latest.map(({ sql }) => sql)).toEqual(["SELECT SYSTEM$WAIT(30)", "SELECT 3", "SELECT 4"])
    const error = yield* Effect.flip(Driver.rows(connection, `SELECT * FROM TABLE(RESULT_SCAN('${first}'))`))
    expect(error).toMatchObject({ code: "000709" })
    yield* Effect.async<void>((resume) => slow.cancel(() => resume(Effect.void)))
  })
)
