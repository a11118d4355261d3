import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Logger, LogLevel, Metric, Scope, TestClock } from "effect"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import * as Audit from "../../src/observe/Audit.js"
import { AuditFile } from "../../src/observe/AuditFile.js"

const folder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(join(tmpdir(), "snowguard-audit-"))),
  (path) => Effect.sync(() => fs.rmSync(path, { recursive: true, force: true }))
)

const entry: Audit.Entry = { client: "alice", tier: "gold", tool: "t", decision: "ok", ms: 0 }

const options = (path: string, more: Partial<Audit.FileOptions> = {}): Audit.FileOptions => ({
  path,
  statements: "text",
  maxBytes: 1_000_000,
  keep: 2,
  ...more
})

/** A writer of its own, that can be closed before the test ends. */
const writer = (given: Audit.FileOptions) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const built = yield* Scope.extend(Layer.build(Audit.layerFile(given)), scope)
    const { record } = Context.get(built, Audit.Audit)
    const close = Scope.close(scope, Exit.void)
    yield* Effect.addFinalizer(() => close)
    return { record: (name: string) => record({ ...entry, tool: name }), entry: record, close }
  })

/** Of all files that begin with the path. */
const tools = (path: string): ReadonlyArray<string> =>
  fs
    .readdirSync(dirname(path))
    .flatMap((name) => fs.readFileSync(join(dirname(path), name), "utf8").split("\n"))
    .filter((line) => line !== "")
    .map((line) => (JSON.parse(line) as { readonly tool: string }).tool)

const until = (holds: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (holds() ? Effect.void : Effect.zipRight(Effect.sleep(2), until(holds))))

/** Logs as `LEVEL message` and the annotations. */
const logged = Effect.sync(() => {
  const lines: Array<{ readonly text: string; readonly about: Record<string, unknown> }> = []
  const logger = Logger.make(({ annotations, logLevel, message }) => {
    lines.push({ text: `${logLevel.label} ${String(message)}`, about: Object.fromEntries(annotations) })
  })
  return { lines, layer: Logger.replace(Logger.defaultLogger, logger) }
})

const valueOf = (name: string, description: string) =>
  Effect.map(Metric.value(Metric.counter(name, { description, incremental: true })), ({ count }) => count)
const lost = valueOf("snowguard_audit_lost_total", "Lines of the audit log that could not be written.")
const thrownAway = valueOf(
  "snowguard_audit_rotated_away_total",
  "Files of the audit log that were removed because so many are kept."
)

const quiet = Effect.provide(Logger.minimumLogLevel(LogLevel.None))

const exists = (metric: string): boolean =>
  Metric.unsafeSnapshot().some(({ metricKey }) => metricKey.name === metric)

describe("the file of the audit log", () => {
  for (const [how, away] of [
    ["was removed", (path: string) => fs.rmSync(path)],
    ["was removed with its folder", (path: string) => fs.rmSync(dirname(path), { recursive: true })],
    ["was given another name", (path: string) => fs.renameSync(path, `${path}.old`)]
  ] as const) {
    it.scopedLive(`is made again when it ${how}: no later line is lost`, () =>
      Effect.gen(function* () {
        const log = yield* logged
        const path = join(yield* folder, "logs", "audit.log")
        const before = yield* lost
        yield* Effect.gen(function* () {
          const { close, record } = yield* writer(options(path))
          yield* record("first")
          yield* until(() => fs.statSync(path).size > 0)
          away(path)
          yield* record("second")
          yield* until(() => fs.existsSync(path) && fs.statSync(path).size > 0)
          yield* record("third")
          yield* close
        }).pipe(Effect.provide(log.layer))
        // The first line is written again where the file goes before the writer has seen that it is still there.
        const found = tools(path)
        assert.deepStrictEqual(
          found.filter((tool) => tool !== "first"),
          ["second", "third"]
        )
        if (how === "was given another name") assert.include(found, "first")
        assert.strictEqual(yield* lost, before)
        assert.strictEqual(
          log.lines.some(({ text }) => text.startsWith("WARN the audit log was removed")),
          how !== "was given another name"
        )
      })
    )
  }

  it.scopedLive("of two writers with one path, holds every line of both once, whichever puts it aside", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "audit.log")
      const given = options(path, { maxBytes: 1_500, keep: 80 })
      const [one, two] = [yield* writer(given), yield* writer(given)]
      const write = (who: typeof one, name: string, pause: number) =>
        Effect.forEach(
          Array.from({ length: 300 }, (_, i) => i),
          (i) => Effect.zipRight(who.record(`${name}${i}`), i % pause === 0 ? Effect.sleep(1) : Effect.void)
        )
      yield* Effect.all([write(one, "a", 7), write(two, "b", 3)], { concurrency: 2 })
      yield* Effect.all([one.close, two.close], { concurrency: 2 })
      const expected = ["a", "b"].flatMap((name) => Array.from({ length: 300 }, (_, i) => `${name}${i}`))
      assert.deepStrictEqual([...tools(path)].sort(), expected.sort())
      assert.isAbove(fs.readdirSync(dirname(path)).length, 1)
      assert.notInclude(fs.readdirSync(dirname(path)).join(), "lock")
    })
  )

  it.scopedLive("of many writers that put it aside all the time, loses no line and none is torn", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "audit.log")
      const names = ["a", "b", "c", "d"]
      const write = (name: string) =>
        Effect.promise(async () => {
          const file = await AuditFile.open({ path, maxBytes: 700, keep: 200 })
          for (let i = 0; i < 400; i += 4) {
            const lines = [0, 1, 2, 3].map((j) => `${JSON.stringify({ tool: `${name}${i + j}` })}\n`)
            const { failure, unrotated, written } = await file.append(lines)
            assert.deepStrictEqual([written, failure, unrotated], [4, undefined, undefined])
          }
          await file.close()
        })
      yield* Effect.forEach(names, write, { concurrency: "unbounded" })
      const expected = names.flatMap((name) => Array.from({ length: 400 }, (_, i) => `${name}${i}`))
      assert.deepStrictEqual([...tools(path)].sort(), expected.sort())
    })
  )

  it.scopedLive("of a writer that was idle while the other put it aside, holds the newest lines", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "audit.log")
      const given = options(path, { maxBytes: 500, keep: 1 })
      const [busy, idle] = [yield* writer(given), yield* writer(given)]
      for (let i = 0; i < 30; i++) yield* busy.record(`busy${i}`)
      yield* busy.close
      yield* idle.record("idle")
      yield* idle.close
      assert.include(tools(path), "idle")
      assert.include(tools(path), "busy29")
    }).pipe(quiet)
  )

  it.scopedLive(
    "is written on, however full, while another process holds the lock; an old lock is taken over",
    () =>
      Effect.gen(function* () {
        const path = join(yield* folder, "audit.log")
        fs.writeFileSync(`${path}.lock`, "")
        const one = yield* writer(options(path, { maxBytes: 300 }))
        for (let i = 0; i < 20; i++) yield* one.record("locked")
        yield* until(() => fs.statSync(path).size > 1_000)
        fs.utimesSync(`${path}.lock`, new Date(0), new Date(0))
        yield* one.record("later")
        yield* one.close
        assert.deepStrictEqual(fs.readdirSync(dirname(path)).sort(), ["audit.log", "audit.log.1"])
        assert.strictEqual(tools(path).length, 21)
      })
  )

  it.scopedLive("is written on when it cannot be put aside, and that is said once", () =>
    Effect.gen(function* () {
      const log = yield* logged
      const path = join(yield* folder, "audit.log")
      // Old, and nothing that a file could take the place of.
      fs.mkdirSync(`${path}.lock`)
      fs.utimesSync(`${path}.lock`, new Date(0), new Date(0))
      const before = yield* lost
      yield* Effect.gen(function* () {
        const { close, record } = yield* writer(options(path, { maxBytes: 300 }))
        for (let i = 0; i < 20; i++) {
          yield* record("line")
          yield* Effect.sleep(1)
        }
        yield* close
      }).pipe(Effect.provide(log.layer))
      const written = fs.readFileSync(path, "utf8").trimEnd().split("\n")
      assert.strictEqual(written.length, 20)
      assert.strictEqual(yield* lost, before)
      const said = log.lines.filter(({ text }) => text.startsWith("ERROR"))
      assert.match(said.map(({ text }) => text).join("|"), /^[^|]*cannot be put aside[^|]*$/)
    })
  )

  it.scopedLive("is put aside within a batch too, and what is thrown away is counted and said", () =>
    Effect.gen(function* () {
      const log = yield* logged
      const path = join(yield* folder, "audit.log")
      const before = yield* thrownAway
      yield* Effect.gen(function* () {
        const { close, record } = yield* writer(options(path, { maxBytes: 1_024, keep: 2 }))
        for (let i = 0; i < 100; i++) yield* record(`line${i}`)
        yield* close
      }).pipe(Effect.provide(log.layer))
      for (const name of fs.readdirSync(dirname(path))) {
        assert.isAtMost(fs.statSync(join(dirname(path), name)).size, 1_024)
      }
      const said = log.lines.filter(({ text }) => text.startsWith("INFO the oldest file"))
      const removed = (yield* thrownAway) - before
      assert.isAbove(removed, 3)
      assert.strictEqual(said.length, removed)
      assert.isAbove(Number(said[0]?.about["bytes"]), 500)
      const left = tools(path)
      assert.include(left, "line99")
      assert.notInclude(left, "line0")
    })
  )

  it.scopedLive("keeps a line apart from one that was not written to its end", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "audit.log")
      fs.writeFileSync(path, '{"torn":')
      const { close, record } = yield* writer(options(path))
      yield* record("whole")
      yield* close
      assert.match(fs.readFileSync(path, "utf8"), /^\{"torn":\n\{.*"tool":"whole".*\}\n$/)
    })
  )

  it.scopedLive("has little of the statement of a call that sent nothing, and all of one that ran", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "audit.log")
      const { close, entry: record } = yield* writer(options(path))
      const statement = "x".repeat(5_000)
      yield* record({ ...entry, statement, decision: "STATEMENT_REJECTED" })
      yield* record({ ...entry, statement, decision: "WAREHOUSE_NOT_FOUND", rows: 0 })
      yield* record({ ...entry, statement, decision: "ok" })
      yield* close
      const lengths = fs
        .readFileSync(path, "utf8")
        .trimEnd()
        .split("\n")
        .map((line) => (JSON.parse(line) as { readonly statement: string }).statement.length)
      assert.deepStrictEqual(lengths, [1_025, 5_000, 5_000])
    })
  )

  it.scoped("says the first loss at once and the others together; each line is counted", () =>
    Effect.gen(function* () {
      const log = yield* logged
      const before = yield* lost
      yield* Effect.gen(function* () {
        // Opens, and takes nothing.
        const { record } = yield* writer(options("/dev/full"))
        const sum = () => log.lines.reduce((total, { about }) => total + Number(about["lines"] ?? 0), 0)
        for (let i = 1; i <= 5; i++) {
          yield* record("lost")
          while ((yield* lost) < before + i) yield* Effect.promise(() => new Promise(setImmediate))
        }
        assert.deepStrictEqual(
          log.lines.map(({ about, text }) => [text, about["lines"], about["path"]]),
          [["ERROR audit lines are lost", 1, "/dev/full"]]
        )
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(log.lines.length, 2)
        assert.include(log.lines[1]?.text, "more audit lines are lost")
        assert.strictEqual(sum(), 5)
        assert.match(String(log.lines[1]?.about["problem"]), /the disk is full/)
      }).pipe(Effect.provide(log.layer))
    })
  )

  it.scopedLive("has its counters from the start, at what they were", () =>
    Effect.gen(function* () {
      yield* writer(options(join(yield* folder, "audit.log")))
      for (const name of ["lost_total", "rotated_away_total", "rotated_away_bytes_total"]) {
        assert.isTrue(exists(`snowguard_audit_${name}`), name)
      }
    })
  )
})
