/**
 * ADAPTER of the `QuotaStore` port: one SQLite file, shared by every server process of this machine that
 * uses it. What was used survives a restart and a crash, and a limit is one limit however many
 * processes count against it.
 *
 *  - Exact over processes: a reservation is one write transaction.
 *  - Acknowledged means committed: `kill -9` loses nothing. A power cut can lose the last second, or
 *    nothing with `durability: "full"`.
 *  - The file says what it holds: `sqlite3 quota.db 'SELECT * FROM usage'`.
 *  - Time does not run backwards: the latest time seen is in the file. A clock that was set back by more than a
 *    minute is followed, which the log tells.
 *
 * It must be a local disk. Trouble with the file is a `QuotaStoreError` that says what to do, when the
 * layer is built or when a call needs the file.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { notLoaded } from "../../platform/drivers.js"
import { wallReader } from "../../platform/monotonic.js"
import * as Ledger from "../core/Ledger.js"
import type * as Window from "../core/Window.js"
import * as RepeatedLog from "../../observe/repeatedLog.js"
import type { Charge, QuotaStoreError } from "../QuotaStore.js"
import { clockSetBack, QuotaStore } from "../QuotaStore.js"
import * as Database from "./sqlite/database.js"
import * as Errors from "./sqlite/errors.js"
import * as Pages from "./sqlite/Page.js"
import type { Page } from "./sqlite/Page.js"
import { migrate } from "./sqlite/schema.js"
import type { Identity } from "./sqlite/schema.js"
import * as Transactions from "./sqlite/Transactions.js"
import * as Upkeep from "./sqlite/upkeep.js"

/**
 * The file, what a power cut may cost, and how long an operation waits for other processes.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The file; it and its directory are made, for this user alone, if they are missing. */
  readonly path: string
  /**
   * `normal`: nothing is lost when processes die, up to a second when the power fails. `full`: nothing
   * is lost in either case, at the price of one flush of the disk per transaction. Default `normal`.
   */
  readonly durability?: "normal" | "full" | undefined
  /** Must be the same in every process on the file. Default `fixed`. */
  readonly windows?: Window.Mode | undefined
  /** Milliseconds to wait for other processes before a call fails. Default 250. */
  readonly lockTimeoutMs?: number | undefined
}

const PAGE_KEYS = 100

const attempt = <A>(path: string, f: () => A): Effect.Effect<A, QuotaStoreError> =>
  Effect.try({ try: f, catch: (cause) => Errors.fromCause("open", path, cause) })

/** Does it as soon as no other process is in the way. */
const whenFree = <A>(path: string, limitMs: number, f: () => A): Effect.Effect<A, QuotaStoreError> =>
  Effect.suspend(() => {
    let result: Effect.Effect<A, QuotaStoreError> = Effect.fail(Errors.locked("open", path, limitMs))
    const once = (): boolean => {
      try {
        result = Effect.succeed(f())
      } catch (cause) {
        if (Errors.isBusy(cause)) return false
        result = Effect.fail(Errors.fromCause("open", path, cause))
      }
      return true
    }
    return Effect.flatMap(Transactions.waitFor(once, limitMs), () => result)
  })

const configure = (database: Database.Database, path: string, durability: "normal" | "full"): void => {
  const version = String(Database.valueOf(database, "SELECT sqlite_version()"))
  if (!Database.isSafe(version)) {
    throw Errors.failed("open", `SQLite ${version} can corrupt a file that processes share; update it`)
  }
  // Of a new file. A call changes a few rows here and there, and writes the page of each: measured, half the
  // default size takes a tenth off a call and halves the log; a quarter of it splits reservations in two.
  database.exec("PRAGMA page_size = 2048")
  const mode = Database.valueOf(database, "PRAGMA journal_mode = WAL")
  if (mode !== "wal") {
    throw Errors.remote(path, `journal mode ${String(mode)}`)
  }
  database.exec(`PRAGMA synchronous = ${durability === "full" ? "FULL" : "NORMAL"}`)
  // Checkpoints are ours to time: SQLite's own come in the middle of a call.
  database.exec("PRAGMA wal_autocheckpoint = 0")
  database.exec(`PRAGMA journal_size_limit = ${Upkeep.WAL_LIMIT}`)
  const health = Database.valueOf(database, "PRAGMA quick_check(1)")
  if (health !== "ok") {
    throw Errors.failed(
      "open",
      `${path} is damaged (${String(health).replaceAll("\n", " ")}); stop every server that uses it, move it away (a new one ` +
        `is made), restart`
    )
  }
}

const inTransaction = (database: Database.Database, f: () => Identity): Identity => {
  database.exec("BEGIN IMMEDIATE")
  try {
    const identity = f()
    database.exec("COMMIT")
    return identity
  } catch (cause) {
    Errors.ignore(() => database.exec("ROLLBACK"))
    throw cause
  }
}

/** Reasons that are kept apart in the log. */
const LOST_KINDS = 20

const chargesLoaded = (page: Page, charges: ReadonlyArray<Charge>): Page => {
  for (const { key } of charges) page.loadKey(key)
  return page
}

/**
 * Opens the file, or fails with what is wrong with it and what to do; closed with the scope.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options
): Effect.Effect<Context.Tag.Service<QuotaStore>, QuotaStoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const { durability = "normal", lockTimeoutMs = 250, path, windows = "fixed" } = options
    const open = yield* Effect.tryPromise({
      try: () => Database.load(),
      catch: (cause) => Errors.failed("open", notLoaded("@photostructure/sqlite", cause), cause)
    })
    yield* attempt(path, () => {
      Database.create(path)
      const network = Database.networkFileSystem(path)
      if (network !== undefined) throw Errors.remote(path, network)
    })
    const database = yield* Effect.acquireRelease(
      attempt(path, () => open(path)),
      (database) => Effect.sync(() => Errors.ignore(() => database.close()))
    )
    // Opening may have to recover the log of a process that died; others wait for that, briefly.
    const patience = Math.max(lockTimeoutMs, 2000)
    yield* whenFree(path, patience, () => configure(database, path, durability))
    const clock = yield* wallReader
    const now = clock()
    const random = (yield* Random.nextIntBetween(0, 2 ** 31)).toString(36)
    const identity = yield* whenFree(path, patience, () =>
      inTransaction(database, () => migrate(database, { path, now, random, windows }))
    )

    const checkpoints = yield* attempt(path, () => Upkeep.makeCheckpoints(database, path))
    const noteLost = yield* RepeatedLog.make<string>({
      maxKinds: LOST_KINDS,
      line: (problem = "several", statements, isFirst) =>
        Effect.annotateLogs(
          Effect.logWarning(
            isFirst
              ? "it could not be noted that a statement was sent: if this server ends before the statement does, it is not charged"
              : "for more statements it could not be noted that they were sent"
          ),
          { problem, statements, path }
        )
    })
    // A transaction is one synchronous step, which cannot wait for an effect.
    const runtime = yield* Effect.runtime()
    const transactions = yield* attempt(path, () =>
      Transactions.make({
        database,
        path,
        lockTimeoutMs,
        pages: Pages.make(
          database,
          identity,
          windows,
          (byMs) => void Runtime.runFork(runtime)(clockSetBack(byMs))
        ),
        clock,
        committed: checkpoints.committed,
        lost: ({ description }) => void Runtime.runFork(runtime)(noteLost(description))
      })
    )
    yield* Effect.addFinalizer(() =>
      Effect.zipRight(
        transactions.drain,
        Effect.sync(() => Errors.ignore(checkpoints.truncate))
      )
    )
    yield* Effect.forkScoped(transactions.worker)
    yield* Effect.forkScoped(Upkeep.background({ checkpoints, transactions, path }))

    const { post, submit, submitIfWanted } = transactions
    return QuotaStore.of({
      reserve: (charges, ttlMs) =>
        submitIfWanted("reserve", (page) => {
          const { ledger, now } = chargesLoaded(page, charges)
          return Ledger.reserve(ledger, now, charges, ttlMs)
        }),
      // The statement does not wait for the disk. A process that dies with it on the way, before this turn of the event
      // loop is over, has acknowledged nothing: the reservation expires as if nothing had been sent.
      submitted: (id) =>
        post("submitted", ({ ledger, loadReservation, now }) => {
          loadReservation(id)
          Ledger.submitted(ledger, now, id)
        }),
      settle: (id, actual) =>
        submit("settle", true, ({ ledger, loadKey, loadReservation, now }) => {
          loadReservation(id)
          for (const { key } of actual) loadKey(key)
          Ledger.settle(ledger, now, id, actual)
        }),
      release: (id) =>
        submit("release", true, ({ ledger, loadReservation, now }) => {
          loadReservation(id)
          Ledger.release(ledger, now, id)
        }),
      check: (charges) =>
        submit("check", false, (page) => {
          const { ledger, now } = chargesLoaded(page, charges)
          return Ledger.check(ledger, now, charges)
        }),
      usage: (key) =>
        submit("usage", false, ({ ledger, loadKey, now }) => {
          loadKey(key)
          return Ledger.usage(ledger, now, key)
        }),
      list: (cursor) =>
        submit("list", false, ({ keysAfter, ledger, loadKey, now, save }) => {
          // Steps before this one in the same transaction may have added keys.
          save()
          const keys = keysAfter(cursor, PAGE_KEYS + 1)
          const shown = keys.slice(0, PAGE_KEYS)
          return {
            usage: shown.flatMap((key) => {
              loadKey(key)
              return Ledger.usage(ledger, now, key)
            }),
            next: keys.length > PAGE_KEYS ? shown[PAGE_KEYS - 1] : undefined
          }
        }),
      reset: (key, quota) =>
        submit("reset", true, ({ ledger, loadKey, now }) => {
          loadKey(key)
          Ledger.reset(ledger, now, key, quota)
        })
    })
  })

/**
 * Opens the file, or fails with what is wrong with it and what to do.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<QuotaStore, QuotaStoreError> =>
  Layer.scoped(QuotaStore, make(options))
