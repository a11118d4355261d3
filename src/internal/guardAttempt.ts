/**
 * One attempt of a guarded call: what it takes on its way to the warehouse, and how that is given back,
 * last taken first, whatever way the attempt ends.
 *
 * The caller is answered at its deadline; what is held is given back only when the attempt has really
 * ended, which may be a little later.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { createHash } from "node:crypto"
import type { AdaptiveRate } from "../AdaptiveRate.js"
import type * as Bulkhead from "../Bulkhead.js"
import type * as CircuitBreaker from "../CircuitBreaker.js"
import { DeadlineExceeded } from "../Deadline.js"
import type { OperationClass } from "../Operation.js"
import type * as Quota from "../Quota.js"
import type { QuotaStoreError } from "../QuotaStore.js"
import * as Telemetry from "../Telemetry.js"
import type { CallLedger } from "./callLedger.js"
import * as GuardScan from "./guardScan.js"
import * as PortCall from "./portCall.js"
import * as Step from "./step.js"
import type * as TimeLimits from "./timeLimits.js"
import * as Verdict from "./verdict.js"

/**
 * What a tool asks the guard to let through.
 *
 * @since 0.1.0
 * @category models
 */
export interface Operation {
  readonly tool: string
  readonly class: OperationClass
  /** Milliseconds the whole call may take, waiting and retries included. */
  readonly deadlineMs: number
  /** Milliseconds one attempt in the warehouse may take; `deadlineMs` when absent. */
  readonly timeoutMs?: number | undefined
  /** Result bytes expected; what was really delivered is settled afterwards. */
  readonly estimatedBytes: number
  /**
   * What is asked, as one text; read when it failed. The same statement of one client that fails again is no
   * further reason to stop calling the warehouse.
   */
  readonly statement?: (() => string) | undefined
  /** Told when the call has to wait for its turn, with what it waits for. */
  readonly waiting?: ((message: string) => Effect.Effect<void>) | undefined
}

/**
 * One attempt of an operation, as the work sees it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Attempt {
  /** The same for every attempt of a call: the warehouse de-duplicates by it. */
  readonly requestId: string
  /** Milliseconds this attempt may take. */
  readonly timeoutMs: number
  /** Result bytes that may be delivered before a quota is used up. */
  readonly bytesLeft: number
  /** The statement is about to leave the process: from here on it is paid for. */
  readonly markSent: Effect.Effect<void>
  /** Holds the last result bytes that were added, to deliver them; answers with how many of them may be. */
  readonly holdBytes?: ((bytes: number) => Effect.Effect<number>) | undefined
  /** Result bytes that have arrived, or (below zero) are not delivered after all; adds up. */
  readonly addBytes: (bytes: number) => Effect.Effect<void>
  /**
   * Holds what a statement is expected to scan, until the attempt has ended; refused when the quotas have
   * not that much left, and then the statement is not to run.
   */
  readonly holdScan?:
    ((bytes: number) => Effect.Effect<void, Quota.QuotaExceeded | QuotaStoreError>) | undefined
  /** The statement for which that is held is about to run. */
  readonly beginScan?: Effect.Effect<void> | undefined
  /** Bytes that a statement has scanned, as the warehouse tells; adds up, and replaces what is held. */
  readonly addScan?: ((bytes: number) => Effect.Effect<void>) | undefined
}

/** What an attempt has taken so far. */
interface Held {
  paced: boolean
  request: Bulkhead.Slot | undefined
  statement: Bulkhead.Slot | undefined
  permit: CircuitBreaker.Permit | undefined
}

/** How an attempt went, apart from its end. */
interface Course {
  readonly operation: Operation
  readonly requestId: string
  readonly begunAt: number
  readonly sentAt: number | undefined
  readonly timedOut: boolean
}

/** Of a statement of any length, to be kept for a while. */
const fingerprint = (statement: string): string => createHash("sha256").update(statement).digest("base64")

/** A store that cannot be told the end of a call must not cost the caller the result. */
export const logged = (
  moment: Step.Moment,
  effect: Effect.Effect<void, QuotaStoreError>
): Effect.Effect<void> =>
  Step.onExit(moment, effect, (exit) =>
    exit._tag === "Success" ? Exit.void : Effect.ignoreLogged(Exit.failCause(exit.cause))
  )

/**
 * Milliseconds that a call, at its end, waits for those who have to hear of it. They do hear of it, however
 * long it takes them.
 */
export const TELL_MS = 1_000

/** What all attempts of a call have in common. */
export interface Call {
  readonly operation: Operation
  readonly client: string
  readonly tier: string
  /** Monotonic milliseconds. */
  readonly deadline: number
  readonly requestId: string
  readonly ledger: CallLedger
}

export interface Guards {
  readonly quota: Quota.Quota["Type"]
  readonly pace: AdaptiveRate["Type"]
  readonly bulkhead: Bulkhead.Bulkhead["Type"]
  readonly breaker: CircuitBreaker.CircuitBreaker["Type"]
  readonly limits: TimeLimits.TimeLimits
  /** Milliseconds a call waits for a slot at most; less when its deadline is nearer. */
  readonly maxWaitMs: number
}

export const make = ({ quota, pace, bulkhead, breaker, limits, maxWaitMs }: Guards) => {
  /** Gives back what an attempt held, last taken first, with what its end says about each. */
  const leave = <A, E>(
    moment: Step.Moment,
    { paced, permit, request, statement }: Held,
    exit: Exit.Exit<A, E>,
    { begunAt, operation, requestId, sentAt, timedOut }: Course
  ): Effect.Effect<A, E> => {
    moment.later()
    let left: Effect.Effect<A, E> = exit
    if (permit !== undefined) {
      left = Step.ensuring(moment, left, () => {
        const verdict = timedOut ? "failure" : Verdict.verdict(exit)
        const ms = moment.now - begunAt
        Telemetry.recordAttempt(operation.class, verdict, ms)
        if (verdict !== "failure") return breaker.settle(permit, verdict)
        const { statement } = operation
        const asked = statement === undefined ? undefined : () => fingerprint(statement())
        return breaker.settle(permit, verdict, Verdict.failureOf(exit, timedOut, ms, requestId, asked))
      })
    }
    if (statement !== undefined) left = Step.ensuring(moment, left, () => bulkhead.release(statement))
    if (request !== undefined) left = Step.ensuring(moment, left, () => bulkhead.release(request))
    if (!paced) return left
    if (sentAt === undefined) return Step.ensuring(moment, left, () => pace.refund)
    return Verdict.isOverload(exit) ? Step.ensuring(moment, left, () => pace.overloaded(sentAt)) : left
  }

  return <A, E, R>(
    { client, deadline, ledger, operation, requestId, tier }: Call,
    reservation: Quota.Reservation,
    work: (attempt: Attempt) => Effect.Effect<A, E, R>
  ) => {
    const attemptMs = operation.timeoutMs ?? operation.deadlineMs
    let timedOut = false
    let sentAt: number | undefined
    let begunAt = 0
    const held: Held = { paced: false, request: undefined, statement: undefined, permit: undefined }
    const markSent = Step.make((moment) => {
      if (sentAt !== undefined) return Exit.void
      sentAt = moment.now
      ledger.statementBegun(sentAt)
      ledger.sending = true
      if (ledger.sent) return Exit.void
      ledger.sent = true
      return logged(moment, quota.submitted(reservation))
    })
    const addBytes = (more: number) => Effect.sync(() => void (ledger.bytes += more))
    const holdBytes = (bytes: number) =>
      quota.holdBytes === undefined
        ? Effect.succeed(bytes)
        : Effect.map(quota.holdBytes(reservation, ledger.bytes), (held) =>
            Math.max(0, bytes - (ledger.bytes - held))
          )
    const scans: GuardScan.Scans = { held: [] }
    const holdScan = (estimatedBytes: number) =>
      GuardScan.hold(scans, quota, { client, tier, estimatedBytes, deadlineMs: operation.deadlineMs })
    const beginScan = Step.make((moment) => logged(moment, GuardScan.begin(scans, quota)))
    const addScan = (more: number) =>
      Effect.sync(() => {
        if (!GuardScan.told(scans, more)) ledger.scanBytes = (ledger.scanBytes ?? 0) + more
      })
    const slotFor = (moment: Step.Moment, pool: Bulkhead.Pool) => {
      const left = Math.max(0, deadline - moment.now)
      return bulkhead.acquire(pool, { client, tier, maxWaitMs: Math.min(maxWaitMs, left) })
    }

    const started = (limit: TimeLimits.Limit, moment: Step.Moment) => {
      begunAt = moment.now
      const timeoutMs = Math.min(attemptMs, Math.max(0, deadline - begunAt))
      limit.tighten(timeoutMs)
      const bytesLeft = Math.max(0, reservation.bytesLeft - ledger.bytes)
      return Step.restored(
        moment,
        work({ requestId, timeoutMs, bytesLeft, markSent, holdBytes, addBytes, holdScan, beginScan, addScan })
      )
    }

    const entered = (limit: TimeLimits.Limit, moment: Step.Moment) =>
      Step.andThen(moment, pace.acquire, () => {
        held.paced = true
        return Step.andThen(moment, slotFor(moment, "requests"), (slot) => {
          held.request = slot
          return Step.andThen(moment, breaker.peek, () =>
            Step.andThen(moment, slotFor(moment, "statements"), (slot) => {
              held.statement = slot
              return Step.andThen(moment, breaker.acquire, (permit) => {
                held.permit = permit
                return started(limit, moment)
              })
            })
          )
        })
      })

    return limits.withinHolding(
      deadline,
      (limit, moment) => {
        ledger.open += 1
        // A step, so that what throws on the way is a defect that is cleaned up behind.
        return Step.onExit(
          moment,
          Step.make(() => entered(limit, moment)),
          (exit) => {
            moment.later()
            ledger.open -= 1
            if (sentAt !== undefined) ledger.statementEnded(moment.now)
            let left = leave(moment, held, exit, { operation, requestId, begunAt, sentAt, timedOut })
            if (scans.held.length > 0) {
              const end = Step.make(() => GuardScan.end(scans, quota, exit))
              left = Step.ensuring(moment, left, () => PortCall.tell(limits, moment, TELL_MS, end))
            }
            const { deferred } = ledger
            return deferred === undefined || ledger.open > 0
              ? left
              : Step.ensuring(moment, left, () => deferred(moment))
          }
        )
      },
      ({ tightened }) => {
        timedOut = tightened
        return new DeadlineExceeded({
          limitMs: tightened ? attemptMs : operation.deadlineMs,
          sent: ledger.sent,
          of: tightened ? "attempt" : "call"
        })
      }
    )
  }
}
