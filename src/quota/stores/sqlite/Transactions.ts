/**
 * Runs steps in transactions. All steps that were asked for in one turn of the event loop share one
 * transaction, each with its own answer:
 *
 * ```
 *   submit --> queue --> BEGIN IMMEDIATE --> steps, in order --> COMMIT --> answers
 *                          | locked: spin a little, then the worker sleeps ~1 ms and tries again,
 *                          v at most for the time limit
 *                        every step that waits fails
 * ```
 *
 * A transaction is synchronous, so no fiber has to be woken for it: the worker is there for the waiting.
 *
 * Invariants:
 *  - no step is answered before the COMMIT, and every step of a transaction that fails is told so;
 *  - a transaction begins, runs and ends without giving up the thread: no lock is held over a wait;
 *  - SQLite itself never waits. Its own waiting is unfair (it starves processes for seconds) and stops
 *    the event loop.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { setImmediate } from "node:timers"
import { monotonicMillis } from "../../../platform/monotonic.js"
import type { QuotaStoreError } from "../../QuotaStore.js"
import type { Database } from "./database.js"
import * as Errors from "./errors.js"
import type { Page } from "./Page.js"

interface Job {
  readonly operation: string
  readonly writes: boolean
  readonly now: number
  /** What the page says; kept until it is committed. */
  readonly run: (page: Page) => void
  readonly answer: () => void
  readonly fail: (error: QuotaStoreError) => void
  cancelled: boolean
}

export interface Transactions {
  /**
   * Runs a step, also when its fiber is interrupted before. One that does not write needs no lock and leaves nothing
   * behind.
   */
  readonly submit: <A>(
    operation: string,
    writes: boolean,
    step: (page: Page) => A
  ) => Effect.Effect<A, QuotaStoreError>
  /** Runs a step that writes, unless its fiber is interrupted before. */
  readonly submitIfWanted: <A>(
    operation: string,
    step: (page: Page) => A
  ) => Effect.Effect<A, QuotaStoreError>
  /**
   * Runs a step that writes, after the steps submitted before it and before those submitted later. Does not wait for it:
   * only that the store is closed or broken is told; that its transaction fails, `lost` is told.
   */
  readonly post: (operation: string, step: (page: Page) => void) => Effect.Effect<void, QuotaStoreError>
  /** Waits for the lock whenever it is taken, for ever. */
  readonly worker: Effect.Effect<never>
  /** Runs what is still waiting, and refuses everything after. */
  readonly drain: Effect.Effect<void>
  /** Every step fails with this from now on. */
  readonly fail: (error: QuotaStoreError) => void
}

/** More would hold the lock for too long. */
const BATCH = 256
const SPINS = 10
/** After a sleep: one look alone finds a busy file locked most of the time. */
const SPINS_LATER = 3
const SPIN_MS = 0.03

const cell = new Int32Array(new SharedArrayBuffer(4))
/** Sleeps for less than any timer can; stops the thread, so it is for a few tries only. */
export const spin = (): void => {
  Atomics.wait(cell, 0, 0, SPIN_MS)
}

const within = (attempt: () => boolean, spins: number): boolean => {
  if (attempt()) return true
  for (let i = 0; i < spins; i++) {
    spin()
    if (attempt()) return true
  }
  return false
}

/**
 * Tries until it is true, at most for so long: waiting for a lock. The sleeps are of random length, so
 * that processes which wait for each other do not wake up together.
 */
export const waitFor = (attempt: () => boolean, limitMs: number): Effect.Effect<boolean> =>
  Effect.suspend(() =>
    within(attempt, SPINS)
      ? Effect.succeed(true)
      : Effect.gen(function* () {
          const deadline = (yield* monotonicMillis) + limitMs
          while ((yield* monotonicMillis) < deadline) {
            yield* Effect.sleep(0.5 + (yield* Random.next))
            if (within(attempt, SPINS_LATER)) return true
          }
          return false
        })
  )

export const make = (options: {
  readonly database: Database
  readonly path: string
  readonly lockTimeoutMs: number
  readonly pages: (clock: number, writes: boolean) => Page
  /** The wall clock, milliseconds. */
  readonly clock: () => number
  /** Told of every transaction that may have written. */
  readonly committed: () => void
  /** Told why a step that was posted did not take place. */
  readonly lost: (error: QuotaStoreError) => void
}): Transactions => {
  const { clock, database, lockTimeoutMs, pages, path } = options
  const begin = database.prepare("BEGIN")
  const beginImmediate = database.prepare("BEGIN IMMEDIATE")
  const commit = database.prepare("COMMIT")
  const rollback = database.prepare("ROLLBACK")

  const queue: Array<Job> = []
  /** A turn is to come, or the worker waits for the lock. */
  let isDue = false
  let isLocked = false
  let wake: (() => void) | undefined = undefined
  let broken: QuotaStoreError | undefined = undefined

  const take = (): ReadonlyArray<Job> => queue.splice(0, BATCH).filter((job) => !job.cancelled)

  const undo = (): void => {
    try {
      rollback.run()
    } catch {
      // SQLite has rolled back already, as it does when the disk is full.
    }
  }

  /** One transaction for what is waiting; false, and nothing has happened, if the lock is taken. */
  const attempt = (): boolean => {
    const jobs = take()
    if (jobs.length === 0) return true
    const writes = jobs.some((job) => job.writes)
    try {
      ;(writes ? beginImmediate : begin).run()
      // As of now too: jobs that have waited, in a process that was stopped say, are no clock that was set back.
      const now = jobs.reduce((latest, job) => Math.max(latest, job.now), clock())
      const page = pages(now, writes)
      for (const job of jobs) job.run(page)
      page.save()
      commit.run()
    } catch (cause) {
      undo()
      if (Errors.isBusy(cause)) {
        queue.unshift(...jobs)
        return false
      }
      for (const job of jobs) job.fail(Errors.fromCause(job.operation, path, cause))
      return true
    }
    for (const job of jobs) job.answer()
    if (writes) options.committed()
    return true
  }

  const failAll = (error: (job: Job) => QuotaStoreError): void => {
    for (const job of queue.splice(0)) if (!job.cancelled) job.fail(error(job))
  }

  const flush = Effect.map(waitFor(attempt, lockTimeoutMs), (done) => {
    if (!done) failAll(({ operation }) => Errors.locked(operation, path, lockTimeoutMs))
  })

  const turn = (): void => {
    if (within(attempt, SPINS)) return turnOver()
    isLocked = true
    wake?.()
  }

  const schedule = (): void => {
    if (isDue) return
    isDue = true
    // What the other events of this turn submit is there by then: a transaction has ten steps under load, and not one.
    setImmediate(turn)
  }

  const turnOver = (): void => {
    isLocked = false
    isDue = false
    if (queue.length > 0) schedule()
  }

  const locked = Effect.async<void>((resume) => {
    if (isLocked) return resume(Effect.void)
    wake = () => {
      wake = undefined
      resume(Effect.void)
    }
  })

  const enqueue = <A>(
    operation: string,
    writes: boolean,
    step: (page: Page) => A,
    resume: (answer: Effect.Effect<A, QuotaStoreError>) => void,
    lost: (error: QuotaStoreError) => void = () => {}
  ): Job | undefined => {
    if (broken !== undefined) {
      resume(Effect.fail(broken))
      return undefined
    }
    let answer: Effect.Effect<A> = Effect.never
    const job: Job = {
      operation,
      writes,
      now: clock(),
      run: (page) => {
        answer = Effect.succeed(step(page))
      },
      answer: () => resume(answer),
      fail: (error) => {
        lost(error)
        resume(Effect.fail(error))
      },
      cancelled: false
    }
    queue.push(job)
    schedule()
    return job
  }

  return {
    submit: <A>(operation: string, writes: boolean, step: (page: Page) => A) =>
      Effect.async<A, QuotaStoreError>((resume) => void enqueue(operation, writes, step, resume)),
    submitIfWanted: <A>(operation: string, step: (page: Page) => A) =>
      Effect.async<A, QuotaStoreError>((resume) => {
        const job = enqueue(operation, true, step, resume)
        return Effect.sync(() => {
          if (job !== undefined) job.cancelled = true
        })
      }),
    post: (operation, step) =>
      Effect.suspend(() => {
        let failed: Effect.Effect<void, QuotaStoreError> = Effect.void
        enqueue(operation, true, step, (answer) => (failed = answer), options.lost)
        return failed
      }),
    worker: Effect.forever(Effect.zipRight(locked, Effect.zipRight(flush, Effect.sync(turnOver)))),
    drain: Effect.suspend(() => {
      broken = Errors.failed("close", "the server is shutting down")
      return Effect.asVoid(
        Effect.iterate(true, { while: () => queue.length > 0, body: () => Effect.as(flush, true) })
      )
    }),
    fail: (error) => {
      broken = error
      failAll(() => error)
    }
  }
}
