/**
 * What a virtual warehouse does to a statement: queues it, refuses it, ends it in time.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Failure } from "./failures.js"
import * as Failures from "./failures.js"
import type { Statement, Submission } from "./statement.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface VirtualWarehouse {
  /** Statements that have been let in so far. */
  readonly executed: () => number
  readonly clear: () => void
  /** Runs `body` for a statement; one that uses no warehouse is never queued. */
  readonly run: <A>(
    statement: Statement,
    usesWarehouse: boolean,
    submission: Submission,
    body: Effect.Effect<A, Failure>
  ) => Effect.Effect<A, Failure>
}

const defaultTimeoutSeconds = 172_800
const maxTimeoutSeconds = 604_800

/** A timeout of 0 seconds is none, which is the `standard`. */
const secondsOf = (parameters: ReadonlyMap<string, string>, name: string, standard: number): number => {
  const value = Number(parameters.get(name) ?? standard)
  return Number.isFinite(value) && value > 0 ? Math.min(value, maxTimeoutSeconds) : standard
}

/**
 * With so many statements at a time.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (concurrency: number): Effect.Effect<VirtualWarehouse> =>
  Effect.map(Effect.makeSemaphore(concurrency), (permits) => {
    let executed = 0
    const run: VirtualWarehouse["run"] = (statement, usesWarehouse, submission, body) =>
      Effect.suspend(() => {
        const { fault, parameters } = submission
        const queueSeconds = secondsOf(parameters, "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS", 0)
        const seconds = secondsOf(parameters, "STATEMENT_TIMEOUT_IN_SECONDS", defaultTimeoutSeconds)
        const started = Effect.suspend(() => {
          statement.status = "RUNNING"
          executed++
          return Effect.timeoutFail(body, {
            duration: seconds * 1000,
            onTimeout: () => Failures.statementTimeout(seconds)
          })
        })
        if (typeof fault === "object") return Effect.fail(fault)
        if (!usesWarehouse) return started
        const { warehouse } = statement.session
        if (warehouse === undefined) return Effect.fail(Failures.noWarehouse)
        switch (fault) {
          case "suspendedWarehouse":
            return Effect.fail(Failures.suspended(warehouse))
          case "resourceMonitor":
            return Effect.fail(Failures.resourceMonitor(warehouse))
          case "queueTimeout":
            return Effect.fail(Failures.queueTimeout(queueSeconds || 60))
        }
        const queued = permits.withPermits(1)(started)
        if (queueSeconds === 0) return queued
        const tooLong = Effect.flatMap(Effect.sleep(queueSeconds * 1000), () =>
          statement.status === "QUEUED" ? Effect.fail(Failures.queueTimeout(queueSeconds)) : Effect.never
        )
        return Effect.raceFirst(queued, tooLong)
      })
    return {
      executed: () => executed,
      clear: () => {
        executed = 0
      },
      run
    }
  })
