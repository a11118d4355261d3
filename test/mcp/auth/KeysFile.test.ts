import { assert, describe, it } from "@effect/vitest"
import { Effect, Either } from "effect"
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as KeysFile from "../../../src/mcp/auth/KeysFile.js"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-keys-"))),
  (path) =>
    Effect.sync(() => {
      chmodSync(path, 0o700)
      rmSync(path, { recursive: true, force: true })
    })
)

const key = (n: number): KeysFile.Key => ({
  id: n.toString(16).padStart(12, "0"),
  client: `client-${n}`,
  admin: false,
  salt: "s",
  hash: "h",
  createdAt: "2026-01-01T00:00:00Z"
})

const add = (path: string, n: number) =>
  KeysFile.modify(path, (keys) => Effect.succeed([undefined, [...keys, key(n)]] as const))

const stale = (lock: string) => {
  writeFileSync(lock, "4711.dead")
  utimesSync(lock, 1, 1)
}

describe("the file of keys", () => {
  it.scopedLive("loses no key of concurrent writers that all find a stale lock", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const path = join(directory, "keys.json")
      for (let round = 0; round < 8; round++) {
        stale(`${path}.lock`)
        const from = round * 8
        let inside = 0
        const one = (n: number) =>
          KeysFile.modify(path, (keys) =>
            Effect.gen(function* () {
              inside += 1
              assert.strictEqual(inside, 1)
              yield* Effect.sleep(1)
              inside -= 1
              return [undefined, [...keys, key(from + n)]] as const
            })
          )
        yield* Effect.all(
          Array.from({ length: 8 }, (_, n) => one(n)),
          { concurrency: "unbounded" }
        )
        assert.strictEqual((yield* KeysFile.read(path)).length, from + 8)
      }
      assert.deepStrictEqual(readdirSync(directory), ["keys.json"])
    })
  )

  it.scopedLive("is not written by a writer whose lock was taken away", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "keys.json")
      yield* add(path, 1)
      const late = yield* Effect.either(
        KeysFile.modify(path, (keys) =>
          Effect.sync(() => {
            writeFileSync(`${path}.lock`, "another")
            return [undefined, [...keys, key(2)]] as const
          })
        )
      )
      assert.isTrue(Either.isLeft(late))
      assert.strictEqual((yield* KeysFile.read(path)).length, 1)
      assert.isTrue(existsSync(`${path}.lock`))
    })
  )

  it.scopedLive("says at once why it cannot be locked, when the lock is free", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      writeFileSync(join(directory, "file"), "")
      const failed = yield* Effect.flip(add(join(directory, "file", "keys.json"), 1))
      assert.match(failed.message, /cannot be locked: (?:ENOTDIR|EEXIST)/)
    })
  )

  it.scopedLive("is neither read nor written where every user may write", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const path = join(directory, "keys.json")
      yield* add(path, 1)
      chmodSync(directory, 0o777)
      for (const failed of [yield* Effect.flip(KeysFile.read(path)), yield* Effect.flip(add(path, 2))]) {
        assert.include(failed.message, `chmod 700 ${directory}`)
      }
      chmodSync(directory, 0o700)
      chmodSync(path, 0o666)
      assert.include((yield* Effect.flip(KeysFile.read(path))).message, `chmod 600 ${path}`)
      chmodSync(path, 0o600)
      assert.strictEqual((yield* KeysFile.read(path)).length, 1)
    })
  )
})
