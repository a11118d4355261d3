/**
 * Keeps the files small, and what a power cut could take short.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { QuotaStoreError } from "../../QuotaStore.js"
import type { Database } from "./database.js"
import { identity, prepare, rowOf, walSize } from "./database.js"
import * as Errors from "./errors.js"
import type { Transactions } from "./Transactions.js"
import { spin } from "./Transactions.js"

/** The log is looked at every so many commits, and emptied when it is longer than this. */
const COMMITS = 64
export const WAL_LIMIT = 8 * 1024 * 1024
/** To find a moment without a writer; more of them when the log is far too long. */
const TRIES = 8
const MANY_TRIES = 64
const PRUNE_EVERY = 60

interface Checkpoints {
  readonly committed: () => void
  /** Moves what is in the log to the database. */
  readonly passive: () => void
  /** Empties the log, unless another connection is in the way. */
  readonly truncate: () => void
  readonly isDirty: () => boolean
}

export const makeCheckpoints = (database: Database, path: string): Checkpoints => {
  const passive = prepare(database, "PRAGMA wal_checkpoint(PASSIVE)")
  const truncating = prepare(database, "PRAGMA wal_checkpoint(TRUNCATE)")
  let commits = 0
  let dirty = false

  const truncate = (): void => {
    // The copying, during which the others can write; emptying the log then keeps them only for a moment.
    passive.get()
    const tries = walSize(path) > 2 * WAL_LIMIT ? MANY_TRIES : TRIES
    for (let i = 0; i < tries; i++) {
      if (rowOf(truncating.get())?.[0] === 0) return
      spin()
    }
  }

  return {
    committed: () => {
      dirty = true
      commits += 1
      // What has been committed stays committed, whatever the file system says: the next round tries again.
      if (commits % COMMITS === 0) {
        Errors.ignore(() => {
          if (walSize(path) > WAL_LIMIT) truncate()
        })
      }
    },
    passive: () => {
      dirty = false
      passive.get()
    },
    truncate,
    isDirty: () => dirty
  }
}

/**
 * Every second in which something was written: a checkpoint (with `synchronous = NORMAL` it is what
 * bounds the loss of a power cut) and a look whether the file is still the one we opened. Every minute
 * of such seconds: rows that no longer count are deleted.
 */
export const background = (options: {
  readonly checkpoints: Checkpoints
  readonly transactions: Transactions
  readonly path: string
}): Effect.Effect<void> => {
  const { checkpoints, path, transactions } = options
  const file = identity(path)
  let seconds = 0
  const tick = Effect.suspend(() => {
    if (!checkpoints.isDirty()) return Effect.void
    if (identity(path) !== file) {
      transactions.fail(
        new QuotaStoreError({
          operation: "watch",
          description: `${path} has been removed or replaced while this server was using it; restart the server`,
          lasting: true
        })
      )
      return Effect.void
    }
    checkpoints.passive()
    seconds += 1
    return seconds % PRUNE_EVERY === 0
      ? transactions.submit("prune", true, (page) => page.prune())
      : Effect.void
  })
  return tick.pipe(
    Effect.catchAllCause((cause) => Effect.logWarning("upkeep of the quota store failed", cause)),
    Effect.repeat(Schedule.spaced("1 second")),
    Effect.asVoid
  )
}
