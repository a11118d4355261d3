/**
 * What really goes wrong with a file, and what a server does about it: it says so and does not start, or it
 * counts in memory. Faults that take privileges are produced where these are given.
 */
import { describe, expect, it } from "@effect/vitest"
import { DatabaseSync } from "@photostructure/sqlite"
import { Effect, Either, Fiber, Layer, Logger } from "effect"
import { spawnSync } from "node:child_process"
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import * as QuotaStore from "../../../src/quota/QuotaStore.js"
import * as Opened from "../../../src/quota/stores/Opened.js"
import * as Outage from "../../../src/quota/stores/Outage.js"
import * as Sqlite from "../../../src/quota/stores/Sqlite.js"
import * as Database from "../../../src/quota/stores/sqlite/database.js"

const DAY = 86_400_000
const quiet = Logger.remove(Logger.defaultLogger)
const did = (command: string, ...args: ReadonlyArray<string>): boolean =>
  spawnSync(command, args, { stdio: "ignore" }).status === 0

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-faults-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** Mounts are a privilege; without it the tests that need one are left out. */
const canMount = ((): boolean => {
  if (process.platform !== "linux") return false
  const path = mkdtempSync(join(tmpdir(), "snowguard-mount-"))
  const mounted = did("mount", "-t", "tmpfs", "-o", "size=64k", "none", path)
  if (mounted) did("umount", path)
  rmSync(path, { recursive: true, force: true })
  return mounted
})()

const mount =
  (...args: ReadonlyArray<string>) =>
  (path: string) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        if (!did("mount", ...args, path)) throw new Error(`mount ${args.join(" ")} failed`)
      }),
      () => Effect.sync(() => did("umount", "-l", path))
    )

const charge = (key = "client:a", amount = 1): QuotaStore.Charge => ({
  key,
  quota: "requests_per_day",
  limit: 1e9,
  amount,
  onOutage: "share"
})

const opened = (path: string, onUnavailable: "refuse" | "memory") =>
  Layer.build(Opened.layer(Sqlite.layer({ path, lockTimeoutMs: 50 }), { onUnavailable })).pipe(
    Effect.provide(quiet)
  )

/** Says why it does not start; and, told to go on without, counts all the same and says so. */
const expectFault = (path: string, why: RegExp) =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(Effect.scoped(opened(path, "refuse")))
    expect(error).toMatchObject({ _tag: "QuotaStoreError", operation: "open" })
    expect(error.description).toMatch(why)
    expect(error.description).toContain(path)
    yield* Effect.gen(function* () {
      const store = yield* QuotaStore.QuotaStore
      expect((yield* store.reserve([{ ...charge(), limit: 1 }], DAY))._tag).toBe("Granted")
      expect((yield* store.reserve([{ ...charge(), limit: 1 }], DAY))._tag).toBe("Refused")
      const health = yield* (yield* QuotaStore.StoreHealth).status
      expect(health).toMatchObject({ mode: "memory", reason: error.description })
    }).pipe(Effect.provide(yield* opened(path, "memory")))
  })

/** A file that has been in use. */
const used = (path: string, keys = 3) =>
  Effect.scoped(
    Effect.gen(function* () {
      const store = yield* Sqlite.make({ path })
      yield* Effect.forEach(
        Array.from({ length: keys }, (_, i) => `client:${i}`),
        (key) => Effect.flatMap(store.reserve([charge(key)], DAY), () => Effect.void),
        { discard: true, concurrency: "unbounded" }
      )
    })
  )

describe("a quota file that cannot be opened", () => {
  it.scopedLive("a directory stands in its place", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "quota.db")
      mkdirSync(path)
      yield* expectFault(path, /cannot be opened; check that its directory exists/)
    })
  )

  it.scopedLive("its directory is a file", () =>
    Effect.gen(function* () {
      const path = yield* directory
      writeFileSync(join(path, "state"), "")
      yield* expectFault(join(path, "state", "quota.db"), /quota\.db/)
    })
  )

  it.scopedLive("it is no database", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "quota.db")
      writeFileSync(path, "a letter to somebody ".repeat(300))
      yield* expectFault(path, /is not a SQLite database; move it away/)
      expect(readFileSync(path, "utf8")).toMatch(/^a letter/)
    })
  )

  it.scopedLive("its bytes are damaged", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "quota.db")
      yield* used(path, 300)
      const file = openSync(path, "r+")
      const size = statSync(path).size - 3 * 4096
      writeSync(file, Buffer.alloc(size, 0xab), 0, size, 3 * 4096)
      closeSync(file)
      yield* expectFault(path, /is damaged.*move it away \(a new one is made\)/)
    })
  )

  it.scopedLive("it has been cut short", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "quota.db")
      yield* used(path, 300)
      truncateSync(path, 4096 * 3 + 100)
      yield* expectFault(path, /is damaged/)
    })
  )

  it.scopedLive("a newer version has written it", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "quota.db")
      yield* used(path)
      const database = new DatabaseSync(path)
      database.exec("UPDATE meta SET value = 99 WHERE name = 'schema_version'")
      database.close()
      yield* expectFault(path, /newer version of Snowguard \(schema 99.*update this server/)
    })
  )

  it.scopedLive("another process holds the lock", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "quota.db")
      yield* used(path)
      const blocker = new DatabaseSync(path)
      blocker.exec("BEGIN EXCLUSIVE")
      const error = yield* Effect.flip(Effect.scoped(opened(path, "refuse")))
      blocker.exec("ROLLBACK")
      blocker.close()
      expect(error.description).toMatch(/locked by another process.*open SQLite shell/)
      expect(error.retryAfterMs).toBeGreaterThan(0)
      yield* Effect.scoped(opened(path, "refuse"))
    })
  )

  it("is on a network file system, by its number", () => {
    expect([0x6969, 0xff534d42, 0xfe534d42 | 0, 0x517b].map(Database.remoteName)).toEqual([
      "NFS",
      "CIFS",
      "SMB",
      "SMB"
    ])
    expect([0xef53, 0x01021994, 0x9123683e, 0x58465342].map(Database.remoteName)).toEqual(
      Array(4).fill(undefined)
    )
    expect(Database.networkFileSystem(tmpdir())).toBeUndefined()
  })

  describe.runIf(canMount)("with mounts", () => {
    it.scopedLive("it is read-only", () =>
      Effect.gen(function* () {
        const path = join(yield* directory, "quota.db")
        yield* used(path)
        yield* mount("--bind", "-o", "ro", dirname(path))(dirname(path))
        yield* expectFault(path, /read-only|writable/)
      })
    )

    it.scopedLive("its disk is full", () =>
      Effect.gen(function* () {
        const disk = yield* directory
        yield* mount("-t", "tmpfs", "-o", "size=128k", "none")(disk)
        const rest = openSync(join(disk, "rest"), "w")
        try {
          for (;;) writeSync(rest, Buffer.alloc(4096))
        } catch {
          closeSync(rest)
        }
        yield* expectFault(join(disk, "quota.db"), /the disk of .* is full/)
      })
    )
  })
})

describe("a quota file that fails while it is in use", () => {
  it.scopedLive("locked for a while: its share is spent, and charged when it is free again", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "quota.db")
      const inner = yield* Sqlite.make({ path, lockTimeoutMs: 20 })
      const { health, store } = yield* Outage.make(inner, { probeMs: 20, maxProbeMs: 40 })
      yield* store.reserve([charge()], DAY)
      const blocker = new DatabaseSync(path)
      blocker.exec("BEGIN IMMEDIATE")
      for (let i = 0; i < 5; i++) expect((yield* store.reserve([charge()], DAY))._tag).toBe("Granted")
      expect((yield* health.status).reason).toContain("locked by another process")
      blocker.exec("ROLLBACK")
      blocker.close()
      yield* Effect.repeat(Effect.zipRight(Effect.sleep(10), health.status), {
        until: ({ mode }) => mode === "normal"
      })
      // One is held in the file; five were admitted without it.
      expect(yield* store.usage("client:a")).toMatchObject([{ used: 5, reserved: 1 }])
    }).pipe(Effect.provide(quiet), Effect.timeout("20 seconds"))
  )

  it.scopedLive("damaged under its feet: says so, and no call hangs", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "quota.db")
      yield* used(path, 300)
      const store = yield* Sqlite.make({ path })
      // Somebody else's write: what this connection has read before, it must read again.
      const other = new DatabaseSync(path)
      other.exec("UPDATE meta SET value = value + 1 WHERE name = 'clock'")
      other.close()
      const file = openSync(path, "r+")
      const size = statSync(path).size - 4096
      writeSync(file, Buffer.alloc(size, 0xab), 0, size, 4096)
      closeSync(file)
      const result = yield* Effect.either(store.reserve([charge("client:7")], DAY))
      expect(Either.isLeft(result)).toBe(true)
      if (Either.isLeft(result)) expect(result.left.description).toMatch(/is damaged|disk/)
    }).pipe(Effect.timeout("10 seconds"))
  )

  it.runIf(canMount)(
    "on a disk that fills up: acknowledges nothing it cannot keep, and goes on when there is room",
    () =>
      Effect.gen(function* () {
        const disk = yield* directory
        yield* mount("-t", "tmpfs", "-o", "size=1m", "none")(disk)
        const path = join(disk, "quota.db")
        const inner = yield* Sqlite.make({ path })
        const { health, store } = yield* Outage.make(inner, { probeMs: 20, maxProbeMs: 50 })
        const ballast = openSync(join(disk, "rest"), "w")
        let size = 0
        try {
          for (;;) size += writeSync(ballast, Buffer.alloc(4096))
        } catch {
          // Room for a few calls.
          ftruncateSync(ballast, Math.max(0, size - 100_000))
          closeSync(ballast)
        }
        let acknowledged = 0
        // Every call until the disk is full has been acknowledged by the file.
        while ((yield* health.status).mode === "normal") {
          const decision = yield* Effect.either(
            store.reserve([{ ...charge(`client:${acknowledged}`), onOutage: "closed" }], DAY)
          )
          if (Either.isRight(decision)) acknowledged += 1
        }
        expect((yield* health.status).reason).toMatch(/is full/)
        expect(acknowledged).toBeGreaterThan(0)
        rmSync(join(disk, "rest"))
        yield* Effect.repeat(Effect.zipRight(Effect.sleep(10), health.status), {
          until: ({ mode }) => mode === "normal"
        })
        for (const i of [0, acknowledged - 1]) {
          expect(yield* store.usage(`client:${i}`)).toMatchObject([{ reserved: 1 }])
        }
        expect((yield* store.reserve([charge()], DAY))._tag).toBe("Granted")
      }).pipe(Effect.scoped, Effect.provide(quiet), Effect.timeout("20 seconds"), Effect.runPromise)
  )

  it.scopedLive("closed while calls wait for a lock: every one of them is answered", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "quota.db")
      const blocker = new DatabaseSync(path)
      const fibers = yield* Effect.scoped(
        Effect.gen(function* () {
          const store = yield* Sqlite.make({ path, lockTimeoutMs: 30 })
          blocker.exec("BEGIN IMMEDIATE")
          const waiting = yield* Effect.forEach(Array.from({ length: 5 }), () =>
            Effect.forkDaemon(Effect.either(store.reserve([charge()], DAY)))
          )
          yield* Effect.sleep(5)
          return waiting
        })
      )
      const answers = yield* Effect.forEach(fibers, Fiber.join)
      expect(answers.every(Either.isLeft)).toBe(true)
      blocker.exec("ROLLBACK")
      blocker.close()
    }).pipe(Effect.timeout("10 seconds"))
  )
})
