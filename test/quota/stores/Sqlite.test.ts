import { describe, expect, it } from "@effect/vitest"
import { DatabaseSync } from "@photostructure/sqlite"
import { Effect, Either, Exit, Fiber, Layer, Logger, Option, Scope, TestClock } from "effect"
import { build } from "esbuild"
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll } from "vitest"
import * as Ledger from "../../../src/quota/core/Ledger.js"
import * as Sqlite from "../../../src/quota/stores/Sqlite.js"
import type { Database } from "../../../src/quota/stores/sqlite/database.js"
import * as Pages from "../../../src/quota/stores/sqlite/Page.js"
import { migrate } from "../../../src/quota/stores/sqlite/schema.js"
import * as Transactions from "../../../src/quota/stores/sqlite/Transactions.js"
import { contract } from "../QuotaStore.contract.js"
import { charge, DAY, reserved } from "../../utils/charges.js"
import { shortOrLong } from "../../utils/long.js"

const temporary = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-quota-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)
const temporaryPath = Effect.map(temporary, (directory) => join(directory, "state", "quota.db"))

contract("sqlite", Layer.unwrapScoped(Effect.map(temporaryPath, (path) => Sqlite.layer({ path }))), {
  numRuns: shortOrLong(12, 40)
})
contract(
  "sqlite, safe from power cuts",
  Layer.unwrapScoped(Effect.map(temporaryPath, (path) => Sqlite.layer({ path, durability: "full" }))),
  { numRuns: shortOrLong(4, 10) }
)

/** Asks the file, as somebody at a shell would. */
const query = (path: string, sql: string): ReadonlyArray<unknown> => {
  const database = new DatabaseSync(path)
  try {
    return database.prepare(sql).all()
  } finally {
    database.close()
  }
}

describe("sqlite", () => {
  it.scopedLive("keeps what was used and what is held over a restart", () =>
    Effect.gen(function* () {
      const path = yield* temporaryPath
      const held = yield* Effect.scoped(
        Effect.gen(function* () {
          const store = yield* Sqlite.make({ path })
          yield* store.settle(reserved(yield* store.reserve([charge("a", { amount: 3 })], DAY)), [])
          return reserved(yield* store.reserve([charge("a", { amount: 2 })], DAY))
        })
      )
      const store = yield* Sqlite.make({ path })
      expect(yield* store.usage("a")).toMatchObject([{ used: 3, reserved: 2 }])
      yield* store.settle(held, [{ key: "a", quota: "requests_per_hour", amount: 1 }])
      yield* store.settle(held, [{ key: "a", quota: "requests_per_hour", amount: 1 }])
      expect(yield* store.usage("a")).toMatchObject([{ used: 4, reserved: 0 }])
    })
  )

  it.scopedLive("lets one process finish, once, what another has reserved", () =>
    Effect.gen(function* () {
      const path = yield* temporaryPath
      const one = yield* Sqlite.make({ path })
      const two = yield* Sqlite.make({ path })
      const id = reserved(yield* one.reserve([charge("a", { amount: 4 })], DAY))
      yield* two.settle(id, [{ key: "a", quota: "requests_per_hour", amount: 2 }])
      yield* one.settle(id, [{ key: "a", quota: "requests_per_hour", amount: 4 }])
      yield* one.release(id)
      expect(yield* one.usage("a")).toMatchObject([{ used: 2, reserved: 0 }])
    })
  )

  it.scoped("remembers how late it was, whatever the clock says after a restart", () =>
    Effect.gen(function* () {
      const path = yield* temporaryPath
      const hour = 3_600_000
      yield* TestClock.setTime(hour)
      yield* Effect.scoped(
        Effect.flatMap(Sqlite.make({ path }), (store) => store.reserve([charge("a", { amount: 10 })], DAY))
      )
      yield* TestClock.setTime(hour - 1)
      const store = yield* Sqlite.make({ path })
      expect(yield* store.reserve([charge("a")], DAY)).toMatchObject({
        _tag: "Refused",
        reserved: 10,
        resetAt: 2 * hour
      })
      // Nothing tells of this key how late it was.
      expect(yield* store.reserve([charge("b")], DAY)).toMatchObject({ usage: [{ resetAt: 2 * hour }] })
    })
  )

  it.scoped("follows a clock that is set right again, for all processes on the file, and says so once", () =>
    Effect.gen(function* () {
      const path = yield* temporaryPath
      const lines: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        lines.push(`${logLevel.label} ${String(message)}`)
      })
      yield* Effect.gen(function* () {
        const now = Date.UTC(2031, 4, 5, 10, 30)
        const hour = 3_600_000
        yield* TestClock.setTime(now + 26 * hour)
        const one = yield* Sqlite.make({ path })
        const two = yield* Sqlite.make({ path })
        yield* two.settle(reserved(yield* two.reserve([charge("b")], DAY)), [])
        yield* one.settle(reserved(yield* one.reserve([charge("a", { amount: 8 })], DAY)), [])
        const held = reserved(yield* one.reserve([charge("a", { amount: 2 })], 60_000))
        yield* TestClock.setTime(now)
        for (const store of [one, two]) {
          expect(yield* store.reserve([charge("a")], DAY)).toMatchObject({
            _tag: "Refused",
            used: 8,
            reserved: 2,
            resetAt: now + hour / 2
          })
          expect(yield* store.usage("b")).toMatchObject([{ used: 1, resetAt: now + hour / 2 }])
        }
        yield* two.settle(held, [{ key: "a", quota: "requests_per_hour", amount: 1 }])
        expect(yield* one.reserve([charge("a")], DAY)).toMatchObject({ _tag: "Granted" })
        yield* TestClock.setTime(now + hour / 2)
        expect(yield* two.reserve([charge("a", { amount: 9 })], DAY)).toMatchObject({ _tag: "Granted" })
      }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
      expect(lines).toEqual([
        "WARN the clock was set back by 93600 seconds: what was used of quotas in windows that have not begun yet " +
          "counts in the current ones"
      ])
    })
  )

  it.scopedLive("deletes what no longer counts, and nothing else", () =>
    Effect.gen(function* () {
      const path = yield* temporaryPath
      const database = yield* Effect.acquireRelease(
        Effect.sync(() => {
          mkdirSync(join(path, ".."))
          return new DatabaseSync(path)
        }),
        (opened) => Effect.sync(() => opened.close())
      )
      const identity = migrate(database, { path, now: 0, random: "r", windows: "fixed" })
      const pages = Pages.make(database, identity, "fixed")
      const at = (now: number, key: string) => {
        const page = pages(now, true)
        page.loadKey(key)
        Ledger.reserve(page.ledger, page.now, [charge(key)], 1000)
        page.save()
        return page
      }
      at(0, "old")
      at(2 * DAY, "new").prune()
      expect(database.prepare("SELECT key FROM counter").all()).toEqual([{ key: "new" }])
      expect(database.prepare("SELECT key FROM reservation_charge").all()).toEqual([{ key: "new" }])
    })
  )

  it.scopedLive("shows a person what it holds, and only to its owner", () =>
    Effect.gen(function* () {
      const path = yield* temporaryPath
      const store = yield* Sqlite.make({ path })
      yield* store.reserve([charge("client:a"), charge("global", { amount: 3 })], DAY)
      expect(query(path, "SELECT key, quota, used, reserved FROM usage")).toEqual([
        { key: "client:a", quota: "requests_per_hour", used: 0, reserved: 1 },
        { key: "global", quota: "requests_per_hour", used: 0, reserved: 3 }
      ])
      expect(query(path, "SELECT key, amount, state FROM reservation_charge")).toEqual([
        { key: "client:a", amount: 1, state: "held" },
        { key: "global", amount: 3, state: "held" }
      ])
      expect(query(path, "SELECT value FROM meta WHERE name = 'schema_version'")).toEqual([{ value: 1 }])
      for (const file of [path, `${path}-wal`]) expect(statSync(file).mode & 0o777).toBe(0o600)
      expect(statSync(join(path, "..")).mode & 0o777).toBe(0o700)
    })
  )

  it.scopedLive("gives every step of one transaction its own answer", () =>
    Effect.gen(function* () {
      const path = yield* temporaryPath
      const store = yield* Sqlite.make({ path })
      const answers = yield* Effect.all(
        Array.from({ length: 30 }, (_, i) => store.reserve([charge("a", { amount: (i % 3) + 4 })], DAY)),
        { concurrency: "unbounded" }
      )
      expect(answers.map(({ _tag }) => _tag).filter((tag) => tag === "Granted")).toHaveLength(2)
      const [usage] = yield* store.usage("a")
      expect(usage).toMatchObject({ used: 0, reserved: 9 })
    })
  )

  it.scopedLive("forgets a call whose caller has gone before it was its turn", () =>
    Effect.gen(function* () {
      const path = yield* temporaryPath
      const store = yield* Sqlite.make({ path })
      const blocker = new DatabaseSync(path)
      blocker.exec("BEGIN IMMEDIATE")
      const fiber = yield* Effect.fork(store.reserve([charge("a")], DAY))
      yield* Effect.sleep(5)
      yield* Fiber.interrupt(fiber)
      blocker.exec("ROLLBACK")
      blocker.close()
      expect(yield* store.usage("a")).toEqual([])
    })
  )

  it.scopedLive("lets a statement leave while the file is locked, and books that with what comes next", () =>
    Effect.gen(function* () {
      const path = yield* temporaryPath
      const store = yield* Sqlite.make({ path, lockTimeoutMs: 10_000 })
      const granted = yield* store.reserve([charge("a")], DAY)
      if (granted._tag !== "Granted") return yield* Effect.dieMessage("refused")
      const blocker = new DatabaseSync(path)
      blocker.exec("BEGIN IMMEDIATE")
      // It would wait for the lock until it times out.
      yield* store.submitted(granted.reservation)
      expect(query(path, "SELECT state FROM reservation")).toEqual([{ state: "held" }])
      blocker.exec("ROLLBACK")
      blocker.close()
      yield* store.reserve([charge("b")], DAY)
      expect(query(path, "SELECT state FROM reservation ORDER BY state DESC")).toEqual([
        { state: "submitted" },
        { state: "held" }
      ])
    })
  )

  it.scopedLive("logs that a note of a statement was not taken, the first of a kind at once", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.replace(
        Logger.defaultLogger,
        Logger.make(({ message }) => {
          lines.push(String(message))
        })
      )
      yield* Effect.gen(function* () {
        const path = yield* temporaryPath
        const store = yield* Sqlite.make({ path, lockTimeoutMs: 30 })
        const ids = yield* Effect.forEach(["a", "b", "c"], (key) =>
          Effect.map(store.reserve([charge(key)], DAY), (decision) =>
            decision._tag === "Granted" ? decision.reservation : "refused"
          )
        )
        const blocker = new DatabaseSync(path)
        blocker.exec("BEGIN IMMEDIATE")
        for (const id of ids) yield* store.submitted(id)
        // Behind them in the queue: once it has failed, so have they.
        yield* Effect.flip(store.reserve([charge("d")], DAY))
        const told = () =>
          lines.filter((line) => line.startsWith("it could not be noted that a statement was sent"))
        expect(told()).toHaveLength(1)
        blocker.exec("ROLLBACK")
        blocker.close()
      }).pipe(Effect.scoped, Effect.provide(logger))
      expect(lines.filter((line) => line.startsWith("for more statements"))).toHaveLength(1)
    })
  )

  it.scopedLive("fails in time while the file is locked, still reads, and goes on afterwards", () =>
    Effect.gen(function* () {
      const path = yield* temporaryPath
      const store = yield* Sqlite.make({ path, lockTimeoutMs: 30 })
      const blocker = new DatabaseSync(path)
      blocker.exec("BEGIN IMMEDIATE")
      const error = yield* Effect.flip(store.reserve([charge("a")], DAY))
      expect(error).toMatchObject({ _tag: "QuotaStoreError", operation: "reserve", retryAfterMs: 30 })
      expect(error.description).toContain("locked by another process")
      expect(yield* store.usage("a")).toEqual([])
      const waiting = yield* Effect.fork(store.reserve([charge("a")], DAY))
      yield* Effect.sleep(5)
      blocker.exec("ROLLBACK")
      blocker.close()
      expect((yield* Fiber.join(waiting))._tag).toBe("Granted")
    })
  )

  it.scopedLive("answers what was asked before it is closed, and nothing after", () =>
    Effect.gen(function* () {
      const path = yield* temporaryPath
      const scope = yield* Scope.make()
      const store = yield* Scope.extend(Sqlite.make({ path }), scope)
      const blocker = new DatabaseSync(path)
      blocker.exec("BEGIN IMMEDIATE")
      const waiting = yield* Effect.fork(store.reserve([charge("a")], DAY))
      yield* Effect.sleep(5)
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* Effect.sleep(5)
      blocker.exec("ROLLBACK")
      blocker.close()
      expect((yield* Fiber.join(waiting))._tag).toBe("Granted")
      yield* Fiber.join(closing)
      expect(yield* Effect.flip(store.usage("a"))).toMatchObject({ _tag: "QuotaStoreError" })
      expect(query(path, "SELECT reserved FROM counter")).toEqual([{ reserved: 1 }])
    })
  )
})

describe("sqlite, in trouble", () => {
  const opening = (path: string, options: Partial<Sqlite.Options> = {}) =>
    Effect.flip(Effect.scoped(Layer.build(Sqlite.layer({ path, ...options }))))

  it.scopedLive("refuses a file that a newer version has written", () =>
    Effect.gen(function* () {
      const path = yield* temporaryPath
      yield* Effect.scoped(Sqlite.make({ path }))
      query(path, "UPDATE meta SET value = 99 WHERE name = 'schema_version'")
      const error = yield* opening(path)
      expect(error).toMatchObject({ _tag: "QuotaStoreError", operation: "open" })
      expect(error.description).toMatch(/newer version.*schema 99.*update this server/)
      expect(query(path, "SELECT count(*) AS n FROM migration")).toEqual([{ n: 1 }])
    })
  )

  it.scopedLive(
    "refuses a file that is no database, or the one of another program, and leaves it alone",
    () =>
      Effect.gen(function* () {
        const directory = yield* temporary
        const text = join(directory, "text.db")
        writeFileSync(text, "not a database ".repeat(400))
        expect((yield* opening(text)).description).toContain("is not a SQLite database")
        expect(statSync(text).size).toBe(6000)
        const other = join(directory, "other.db")
        query(other, "CREATE TABLE theirs (x)")
        expect((yield* opening(other)).description).toContain("the database of another program")
        expect(query(other, "SELECT name FROM sqlite_schema")).toEqual([{ name: "theirs" }])
      })
  )

  it.scopedLive("refuses a damaged file", () =>
    Effect.gen(function* () {
      const path = yield* temporaryPath
      yield* Effect.scoped(
        Effect.flatMap(Sqlite.make({ path }), (store) =>
          Effect.forEach(
            Array.from({ length: 300 }, (_, i) => `client:${i}`),
            (key) => store.reserve([charge(key)], DAY)
          )
        )
      )
      const file = openSync(path, "r+")
      const size = statSync(path).size - 3 * 4096
      writeSync(file, Buffer.alloc(size, 0xab), 0, size, 3 * 4096)
      closeSync(file)
      expect((yield* opening(path)).description).toContain("is damaged")
    })
  )

  it.scopedLive("says so when the directory cannot be made", () =>
    Effect.gen(function* () {
      const directory = yield* temporary
      writeFileSync(join(directory, "file"), "")
      const error = yield* opening(join(directory, "file", "state", "quota.db"))
      expect(error).toMatchObject({ _tag: "QuotaStoreError", operation: "open" })
      const folder = join(directory, "folder.db")
      mkdirSync(folder)
      expect((yield* opening(folder)).description).toContain("cannot be opened")
    })
  )

  it.scopedLive("refuses a file that counts in other windows", () =>
    Effect.gen(function* () {
      const path = yield* temporaryPath
      yield* Effect.scoped(Sqlite.make({ path }))
      expect((yield* opening(path, { windows: "rolling" })).description).toContain("fixed windows")
    })
  )

  it.scopedLive("stops counting in a file that has been replaced", () =>
    Effect.gen(function* () {
      const path = yield* temporaryPath
      const store = yield* Sqlite.make({ path })
      yield* store.reserve([charge("a")], DAY)
      renameSync(path, `${path}.old`)
      const error = yield* Effect.flip(
        Effect.forever(Effect.zipRight(store.reserve([charge("a", { amount: 0 })], DAY), Effect.sleep(50)))
      )
      expect(error.description).toContain("removed or replaced")
      expect(error.lasting).toBe(true)
    })
  )
})

describe("sqlite, when the disk fails", () => {
  /** A database of which the COMMIT fails. */
  const failing = (errcode: number): Database => ({
    exec: () => {},
    prepare: (sql) => ({
      run: () => {
        if (sql === "COMMIT") throw Object.assign(new Error("it failed"), { errcode })
      },
      get: () => undefined,
      all: () => [],
      setReturnArrays: () => {}
    }),
    close: () => {}
  })

  for (const [errcode, advice] of [
    [8, "read-only"],
    [10 | (3 << 8), "check the disk"],
    [11, "is damaged"],
    [13, "is full"]
  ] as const) {
    it.scopedLive(`acknowledges nothing of a transaction that fails: "${advice}"`, () =>
      Effect.gen(function* () {
        const database = failing(errcode)
        let commits = 0
        const transactions = Transactions.make({
          database,
          path: "/state/quota.db",
          lockTimeoutMs: 50,
          pages: Pages.make(database, { prefix: "p-", firstId: 0 }, "fixed"),
          clock: () => 0,
          committed: () => (commits += 1),
          lost: () => {}
        })
        yield* Effect.forkScoped(transactions.worker)
        const submit = Effect.either(transactions.submit("reserve", true, () => "granted"))
        const answers = yield* Effect.all([submit, submit], { concurrency: "unbounded" })
        for (const answer of answers) {
          expect(Either.getLeft(answer)).toMatchObject({
            _tag: "Some",
            value: { _tag: "QuotaStoreError", operation: "reserve" }
          })
          expect(String(Option.getOrThrow(Either.getLeft(answer)).description)).toContain(advice)
        }
        expect(commits).toBe(0)
      })
    )
  }

  it.live("runs the steps of a turn in one transaction, and wakes no fiber for it", () =>
    Effect.gen(function* () {
      const database = failing(13)
      let clocks = 0
      // The worker, which waits for locks, does not run.
      const transactions = Transactions.make({
        database,
        path: "/state/quota.db",
        lockTimeoutMs: 50,
        pages: Pages.make(database, { prefix: "p-", firstId: 0 }, "fixed"),
        clock: () => ++clocks,
        committed: () => {},
        lost: () => {}
      })
      const submit = Effect.either(transactions.submit("reserve", true, () => "granted"))
      const answers = yield* Effect.all([submit, submit, submit], { concurrency: "unbounded" })
      expect(answers.map(Either.isLeft)).toEqual([true, true, true])
      // One reading for each step, and one for the transaction they share.
      expect(clocks).toBe(4)
    })
  )
})

describe("sqlite, over processes", () => {
  const PROCESSES = shortOrLong(3, 6)
  const LIMIT = shortOrLong(600, 3000)
  let worker = ""

  beforeAll(async () => {
    const cache = fileURLToPath(new URL("../../../node_modules/.cache", import.meta.url))
    mkdirSync(cache, { recursive: true })
    worker = join(mkdtempSync(join(cache, "quota-worker-")), "worker.mjs")
    await build({
      entryPoints: [fileURLToPath(new URL("./sqliteWorker.ts", import.meta.url))],
      outfile: worker,
      bundle: true,
      format: "esm",
      platform: "node",
      target: "node20",
      external: ["@photostructure/sqlite"],
      logLevel: "error"
    })
  })

  afterAll(() => rmSync(join(worker, ".."), { recursive: true, force: true }))

  const start = (path: string, task: string, limit: number) => {
    const child = spawn(process.execPath, [worker, path, task, String(limit)], { stdio: "pipe" })
    const said = { out: "", err: "" }
    child.stdout.on("data", (chunk) => (said.out += chunk))
    child.stderr.on("data", (chunk) => (said.err += chunk))
    return { child, said, closed: closed(child) }
  }
  const closed = (child: ChildProcess) =>
    new Promise<number | null>((resolve) => child.once("close", (code) => resolve(code)))

  it.scopedLive("lets exactly the limit through, to the unit", () =>
    Effect.gen(function* () {
      const path = yield* temporaryPath
      const processes = Array.from({ length: PROCESSES }, () => start(path, "spend", LIMIT))
      const codes = yield* Effect.promise(() => Promise.all(processes.map(({ closed }) => closed)))
      expect(processes.map(({ said }) => said.err).join("")).toBe("")
      expect(codes).toEqual(processes.map(() => 0))
      const granted = processes.map(({ said }) => Number(said.out))
      expect(granted.reduce((sum, n) => sum + n, 0)).toBe(LIMIT)
      expect(query(path, "SELECT used, reserved FROM counter ORDER BY key")).toEqual([
        { used: LIMIT, reserved: 0 },
        { used: LIMIT, reserved: 0 }
      ])
    })
  )

  it.scopedLive("loses nothing it has acknowledged when processes are killed", () =>
    Effect.gen(function* () {
      const path = yield* temporaryPath
      let acknowledged = 0
      let kills = 0
      for (let round = 0; round < shortOrLong(1, 4); round++) {
        const processes = Array.from({ length: 3 }, () => start(path, "hammer", 1e9))
        // Each is killed as soon as it has acknowledged something: in the middle of the next ones.
        yield* Effect.promise(() =>
          Promise.all(
            processes.map(({ child, closed, said }, i) => {
              child.stdout.on("data", () => said.out.length > 100 * (i + 1) && child.kill("SIGKILL"))
              return closed
            })
          )
        )
        expect(processes.map(({ said }) => said.err).join("")).toBe("")
        acknowledged += processes.reduce((sum, { said }) => sum + said.out.length, 0)
        kills += processes.length
      }
      expect(query(path, "PRAGMA integrity_check")).toEqual([{ integrity_check: "ok" }])
      const rows = query(path, "SELECT used, reserved FROM counter ORDER BY key")
      expect(rows).toHaveLength(2)
      for (const row of rows) {
        const { reserved, used } = row as { readonly used: number; readonly reserved: number }
        expect(used).toBeGreaterThanOrEqual(acknowledged)
        // Four callers in each process that was killed.
        expect(used + reserved).toBeLessThanOrEqual(acknowledged + 4 * kills)
      }
    })
  )
})
