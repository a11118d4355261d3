import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, LogLevel } from "effect"
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Audit from "../../src/observe/Audit.js"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-audit-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const entry: Audit.Entry = {
  client: "alice",
  tier: "gold",
  tool: "execute_query",
  statement: 'SELECT 1\n{"forged":true}',
  decision: "ok",
  rows: 1,
  bytes: 12,
  ms: 3.5,
  queryId: "01b"
}

const write = (
  options: Partial<Audit.FileOptions> & { readonly path: string },
  entries: ReadonlyArray<Audit.Entry>
) =>
  Effect.gen(function* () {
    const { record } = yield* Audit.Audit
    yield* Effect.forEach(entries, record)
  }).pipe(Effect.provide(Audit.layerFile({ statements: "hash", maxBytes: 1_000_000, keep: 2, ...options })))

const lines = (path: string) => readFileSync(path, "utf8").trimEnd().split("\n")

describe("the audit log", () => {
  it.scopedLive("holds a line for each entry when the scope has closed, and none is forged", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "deep", "audit.jsonl")
      yield* write({ path, statements: "text" }, [entry, { ...entry, decision: "RATE_LIMITED" }])
      yield* write({ path, statements: "hash" }, [entry])
      yield* write({ path, statements: "none" }, [entry])
      const [text, refused, hashed, none, ...more] = lines(path).map(
        (line) => JSON.parse(line) as Record<string, unknown>
      )
      assert.deepStrictEqual(more, [])
      assert.deepInclude(text, {
        client: "alice",
        statement: entry.statement,
        decision: "ok",
        queryId: "01b"
      })
      assert.match(String(text?.["time"]), /^\d{4}-\d\d-\d\dT.*Z$/)
      assert.deepInclude(refused, { decision: "RATE_LIMITED" })
      assert.match(String(hashed?.["statement_sha256"]), /^[0-9a-f]{64}$/)
      assert.notInclude(JSON.stringify([hashed, none]), "SELECT")
      assert.strictEqual(statSync(path).mode & 0o777, 0o600)
    })
  )

  it.scopedLive("is put aside when it is full, and only so many are kept", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const path = join(dir, "audit.jsonl")
      for (let i = 0; i < 12; i++) yield* write({ path, maxBytes: 500 }, [{ ...entry, ms: i }])
      assert.deepStrictEqual(readdirSync(dir).sort(), ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"])
      const last = [...lines(`${path}.2`), ...lines(`${path}.1`), ...lines(path)].map(
        (line) => (JSON.parse(line) as { readonly ms: number }).ms
      )
      assert.deepStrictEqual(
        last,
        Array.from({ length: last.length }, (_, i) => 12 - last.length + i)
      )
      for (const file of readdirSync(dir)) assert.isAtMost(statSync(join(dir, file)).size, 500)
    }).pipe(Effect.provide(Logger.minimumLogLevel(LogLevel.None)))
  )

  it.scopedLive("a place that cannot be written stops the start", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      writeFileSync(join(dir, "file"), "")
      const built = yield* Effect.either(
        Effect.scoped(
          Layer.build(
            Audit.layerFile({
              path: join(dir, "file", "audit.jsonl"),
              statements: "none",
              maxBytes: 1e6,
              keep: 1
            })
          )
        )
      )
      assert.match(String(built), /cannot be opened/)
    }).pipe(Effect.provide(Logger.minimumLogLevel(LogLevel.None)))
  )

  it.scopedLive("loses no line, at whatever moment it is closed", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "audit.jsonl")
      const options = { path, statements: "hash", maxBytes: 1_000_000, keep: 1 } as const
      let expected = 0
      for (let round = 0; round < 60; round++) {
        yield* Effect.gen(function* () {
          const { record } = yield* Audit.Audit
          for (let i = 0; i < round % 7; i++) yield* Effect.yieldNow()
          for (let i = 0; i <= round % 3; i++) {
            yield* record(entry)
            expected += 1
            for (let turn = 0; turn < round % 5; turn++) yield* Effect.yieldNow()
          }
        }).pipe(Effect.provide(Audit.layerFile(options)))
        assert.strictEqual(lines(path).length, expected, `round ${round}`)
      }
    })
  )
})
