import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Logger } from "effect"
import { randomBytes } from "node:crypto"
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as TokenKey from "../../src/server/TokenKey.js"
import { CallPolicy } from "../../src/tools/CallPolicy.js"
import * as Policies from "../../src/tools/CallPolicy.js"
import { settingsOf } from "../config/samples.js"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-tokens-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const random = () => randomBytes(32).toString("base64")

/** The key of a server that has just started, and what it wrote to its log. */
const start = (results: { readonly [key: string]: unknown }, directory: string) =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const logger = Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ message }) => {
        log.push(String(message))
      })
    )
    const tokenKey = yield* TokenKey.make(settingsOf({ document: { results } }), Either.right(directory))
    const policies = yield* Effect.provide(CallPolicy, Policies.layer({}, { tokenKey }))
    const key = yield* Effect.provide(policies.tokenKey ?? Effect.die("no key"), logger)
    return { key, log }
  })

describe("the key of tokens", () => {
  it.scopedLive("is made once in the state directory, for its owner alone", () =>
    Effect.gen(function* () {
      const directory = join(yield* folder, "state")
      const one = yield* start({}, directory)
      const file = join(directory, "token.key")
      expect(statSync(file).mode & 0o777).toBe(0o600)
      const again = yield* start({}, directory)
      const elsewhere = yield* start({}, yield* folder)
      expect(again.key).toEqual(one.key)
      expect(elsewhere.key).not.toEqual(one.key)
      expect([...one.log, ...again.log]).toEqual([])
      expect(one.key.every((part) => /^[0-9a-f]{64}$/.test(part))).toBe(true)
      expect(one.key[0]).not.toBe(one.key[1])
    })
  )

  it.scopedLive("is one key when many servers make it at once", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const servers = yield* Effect.all(
        Array.from({ length: 16 }, () => start({}, directory)),
        { concurrency: "unbounded" }
      )
      expect(new Set(servers.map(({ key }) => key.join(""))).size).toBe(1)
    })
  )

  it.scopedLive("is not made where no tier needs it", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      yield* TokenKey.make(settingsOf({}), Either.right(directory))
      expect(existsSync(join(directory, "token.key"))).toBe(false)
    })
  )

  it.scopedLive("is the one that is configured, as a value or in a file", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const token_key = random()
      const file = join(directory, "keys")
      writeFileSync(file, `${token_key}\n`, { mode: 0o600 })
      const one = yield* start({ token_key }, directory)
      expect((yield* start({ token_key_file: file }, directory)).key).toEqual(one.key)
      expect((yield* start({ token_key: random() }, directory)).key).not.toEqual(one.key)
      expect(existsSync(join(directory, "token.key"))).toBe(false)
      chmodSync(file, 0o644)
      expect((yield* start({ token_key_file: file }, directory)).key).toEqual(one.key)
    })
  )

  it.scopedLive("stops the start where what is configured cannot be used", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const problem = (results: { readonly [key: string]: unknown }) =>
        Effect.map(Effect.flip(start(results, directory)), ({ faults }) =>
          faults.map(({ key, message }) => `${key}: ${message}`).join()
        )
      const missing = join(directory, "missing")
      expect(yield* problem({ token_key_file: missing })).toMatch(/^results\.token_key_file: cannot read/)
      expect(yield* problem({ token_key: "changeme".repeat(8) })).toMatch(
        /^results\.token_key: .*easy to guess/
      )
      expect(yield* problem({ token_key: random(), token_key_file: missing })).toMatch(/both set; keep one/)
    })
  )

  it.scopedLive("is of this process alone where its file cannot be used, and the log says so", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      writeFileSync(join(directory, "token.key"), "short", { mode: 0o600 })
      const one = yield* start({}, directory)
      const other = yield* start({}, directory)
      expect(one.key).not.toEqual(other.key)
      expect(one.log).toEqual([expect.stringMatching(/of this process alone/)])
    })
  )
})
