import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, HashMap, Layer, Logger, Option } from "effect"
import { randomBytes } from "node:crypto"
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Cursors from "../../src/tools/Cursors.js"
import * as CursorKeys from "../../src/server/CursorKeys.js"
import { settingsOf } from "../config/samples.js"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-cursors-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const key = () => randomBytes(32).toString("base64")

/** The cursors of a server that has just started, and what it wrote to its log. */
const start = (document: { readonly [key: string]: unknown }, directory: string) =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const logger = Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ annotations, logLevel, message }) => {
        const problem = Option.getOrElse(HashMap.get(annotations, "problem"), () => "")
        log.push(`${logLevel.label} ${String(message)} ${String(problem)}`.trim())
      })
    )
    // Not built in the test's scope, where the logger would stay for the servers that come after.
    const cursors = yield* Effect.provide(
      Cursors.Cursors,
      Layer.provide(CursorKeys.layer(settingsOf({ document }), Either.right(directory)), logger)
    )
    return { log, cursors }
  })

const reads = (from: Cursors.Cursors["Type"], to: Cursors.Cursors["Type"]) =>
  Effect.gen(function* () {
    return (yield* Effect.either(to.open("q", yield* from.issue("q", 3))))._tag === "Right"
  })

describe("servers with the quotas in a file", () => {
  it.scopedLive("find the key that the first of them made, for its owner alone", () =>
    Effect.gen(function* () {
      const directory = join(yield* folder, "state")
      const first = yield* start({}, directory)
      const file = join(directory, "cursor.key")
      expect(statSync(file).mode & 0o777).toBe(0o600)
      const second = yield* start({}, directory)
      expect(yield* reads(first.cursors, second.cursors)).toBe(true)
      const elsewhere = yield* start({}, yield* folder)
      expect(yield* reads(first.cursors, elsewhere.cursors)).toBe(false)
      expect([...first.log, ...second.log]).toEqual([])
      expect(readdirSync(directory)).toEqual(["cursor.key"])
    })
  )

  it.scopedLive("agree on one key when they all start at once", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const servers = yield* Effect.all(
        Array.from({ length: 24 }, () => start({}, directory)),
        { concurrency: "unbounded" }
      )
      const [one] = servers
      for (const other of servers) {
        expect(yield* reads(one!.cursors, other.cursors)).toBe(true)
        expect(other.log).toEqual([])
      }
      expect(readdirSync(directory)).toEqual(["cursor.key"])
    })
  )

  it.scopedLive("start with a key of their own, and say so, when the file is damaged", () =>
    Effect.gen(function* () {
      for (const text of ["", "short", "changeme".repeat(8), randomBytes(64).toString("latin1")]) {
        const directory = yield* folder
        writeFileSync(join(directory, "cursor.key"), text, { mode: 0o600 })
        const [a, b] = [yield* start({}, directory), yield* start({}, directory)]
        expect(yield* reads(a.cursors, a.cursors)).toBe(true)
        expect(yield* reads(a.cursors, b.cursors)).toBe(false)
        expect(a.log).toEqual([expect.stringMatching(/^WARN.* cannot be used holds .*remove it/)])
        expect(a.log[0]).not.toContain("changeme")
        expect(readFileSync(join(directory, "cursor.key"), "utf8")).toBe(
          Buffer.from(text, "utf8").toString("utf8")
        )
      }
    })
  )

  it.scopedLive("start with a key of their own, and say so, when no file can be made", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, "file")
      writeFileSync(file, "")
      const { cursors, log } = yield* start({}, join(file, "state"))
      expect(yield* reads(cursors, cursors)).toBe(true)
      expect(log).toEqual([
        expect.stringMatching(/^WARN cursors are of this process alone.*a part of the path is a file/)
      ])
    })
  )

  it.scopedLive.skipIf(process.platform === "win32")("warn of a key that others can read", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      yield* start({}, directory)
      chmodSync(join(directory, "cursor.key"), 0o644)
      expect((yield* start({}, directory)).log).toEqual([expect.stringMatching(/^WARN others can read/)])
    })
  )
})

describe("servers with the quotas elsewhere", () => {
  it.scopedLive("have a key each, of which the log of a fleet tells", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      for (const kind of ["redis", "memory"]) {
        const [a, b] = [
          yield* start({ quota_store: { kind } }, directory),
          yield* start({ quota_store: { kind } }, directory)
        ]
        expect(yield* reads(a.cursors, b.cursors)).toBe(false)
        expect(a.log).toEqual(
          kind === "redis"
            ? [expect.stringMatching(/^WARN .*results\.cursor_key is not set.*the same key/)]
            : []
        )
      }
      expect(readdirSync(directory)).toEqual([])
    })
  )

  it.scopedLive("share the key of the configuration, given as a value or in a file", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const [old, fresh] = [key(), key()]
      const file = join(directory, "secret")
      writeFileSync(file, `${fresh}\n${old}\n`, { mode: 0o600 })
      const with_ = (results: object) => start({ quota_store: { kind: "redis" }, results }, directory)
      const a = yield* with_({ cursor_key: old })
      const b = yield* with_({ cursor_key_file: file })
      const c = yield* with_({ cursor_key: fresh })
      expect(yield* reads(a.cursors, b.cursors)).toBe(true)
      expect(yield* reads(b.cursors, c.cursors)).toBe(true)
      expect(yield* reads(a.cursors, c.cursors)).toBe(false)
      expect([...a.log, ...b.log, ...c.log]).toEqual([])
      expect(existsSync(join(directory, "cursor.key"))).toBe(false)
    })
  )

  it.scopedLive("do not start with a key that is no key, and do not show it", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const weak = join(directory, "weak")
      writeFileSync(weak, "hunter2", { mode: 0o600 })
      const problem = (results: object) =>
        Effect.map(Effect.flip(start({ results }, directory)), (faults) => faults.render())
      const missing = join(directory, "none")
      expect(yield* problem({ cursor_key_file: missing })).toBe(
        `results.cursor_key_file: cannot read ${missing}: there is no such file`
      )
      expect(yield* problem({ cursor_key_file: weak })).toMatch(/too short.*make one with: openssl rand/)
      expect(yield* problem({ cursor_key: "changeme".repeat(8) })).toMatch(
        /^results\.cursor_key: holds a key that is easy to guess; make one with: openssl/
      )
      expect(yield* problem({ cursor_key: key(), cursor_key_file: weak })).toMatch(/both set; keep one$/)
      for (const results of [{ cursor_key_file: weak }, { cursor_key: "changeme".repeat(8) }]) {
        expect(yield* problem(results)).not.toMatch(/hunter2|changeme/)
      }
    })
  )
})
