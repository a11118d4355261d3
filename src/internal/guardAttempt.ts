/**
 * One attempt of a guarded call: what it takes on its way to the warehouse, and how that is given back,
 * last taken first, whatever way the attempt ends.
 *
 * The caller is answered at its deadline, or a moment later, when the warehouse has confirmed that the
 * statement is cancelled; what is held is given back only when the attempt has really ended.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
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
  /** Milliseconds the whole call may take from the receipt of its request on, waiting and retries included. */
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
  /** The warehouse has confirmed that it has cancelled the statement: it is slow, and there. */
  readonly cancelled?: Effect.Effect<void> | undefined
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

/** How an attempt goes. */
interface Course {
  readonly operation: Operation
  readonly requestId: string
  begunAt: number
  sentAt: number | undefined
  /** Has it less time than it should, because of the call's deadline? */
  short: boolean
  /** Its time was over. */
  cut: boolean
  /** The warehouse has confirmed, after that, that the statement is cancelled. */
  confirmed: boolean
}

/** Neither does a session open, nor a statement end at a limit of its own, much sooner. */
const LASTING_MS = 10_000

/**
 * What ended by a limit met silence, unless the warehouse confirmed the cancellation. What had less than its
 * time, or had not been sent yet, counts if it has lasted.
 */
const isSilence = ({ begunAt, confirmed, sentAt, short }: Course, now: number): boolean =>
  !confirmed && ((!short && sentAt !== undefined) || now - begunAt >= LASTING_MS)

const wasCut = ({ cut }: Course, exit: Exit.Exit<unknown, unknown>): boolean =>
  cut && exit._tag === "Failure" && Cause.isInterrupted(exit.cause)

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
 * Milliseconds that a call, at its end, waits for those who have to hear of it; not beyond its deadline. They
 * do hear of it, however long it takes them.
 */
const TELL_MS = 1_000

export const tellMs = (moment: Step.Moment, deadline: number): number =>
  Math.min(TELL_MS, Math.max(0, deadline - moment.later().now))

/**
 * Milliseconds that a caller waits, when an attempt is out of time, for the warehouse to confirm that it has
 * cancelled; a tenth of what is left where that is less.
 */
const CANCEL_MS = 300

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
  /** What an attempt says about the warehouse, once. */
  const judge = (
    moment: Step.Moment,
    held: Held,
    exit: Exit.Exit<unknown, unknown>,
    course: Course
  ): Effect.Effect<void> => {
    const { permit } = held
    if (permit === undefined) return Exit.void
    held.permit = undefined
    const { begunAt, operation, requestId } = course
    const ms = moment.now - begunAt
    const silent = wasCut(course, exit) && isSilence(course, moment.now)
    const verdict = silent ? "failure" : Verdict.verdict(exit)
    Telemetry.recordAttempt(operation.class, verdict, ms)
    if (verdict !== "failure") return breaker.settle(permit, verdict)
    const { statement } = operation
    const asked = statement === undefined ? undefined : () => fingerprint(statement())
    return breaker.settle(permit, verdict, Verdict.failureOf(exit, silent, ms, requestId, asked))
  }

  /** Gives back what an attempt held, last taken first, with what its end says about each. */
  const leave = <A, E>(
    moment: Step.Moment,
    held: Held,
    exit: Exit.Exit<A, E>,
    course: Course
  ): Effect.Effect<A, E> => {
    moment.later()
    const { paced, request, statement } = held
    const { sentAt } = course
    let left: Effect.Effect<A, E> = exit
    if (held.permit !== undefined) {
      left = Step.ensuring(moment, left, () => judge(moment, held, exit, course))
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
    const course: Course = {
      operation,
      requestId,
      begunAt: 0,
      sentAt: undefined,
      short: false,
      cut: false,
      confirmed: false
    }
    let ownLimit = false
    const held: Held = { paced: false, request: undefined, statement: undefined, permit: undefined }
    const markSent = Step.make((moment) => {
      if (course.sentAt !== undefined) return Exit.void
      course.sentAt = moment.now
      ledger.statementBegun(moment.now)
      ledger.sending = true
      if (ledger.sent) return Exit.void
      ledger.sent = true
      return logged(moment, quota.submitted(reservation))
    })
    const cancelled = Effect.sync(() => {
      if (course.cut) course.confirmed = true
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
      course.begunAt = moment.now
      const left = Math.max(0, deadline - moment.now)
      // The caller is told by its deadline how the attempt ended.
      const most = left - Math.min(CANCEL_MS, left / 10)
      course.short = most < attemptMs
      const timeoutMs = Math.min(attemptMs, most)
      limit.tighten(timeoutMs)
      const bytesLeft = Math.max(0, reservation.bytesLeft - ledger.bytes)
      return Step.restored(
        moment,
        work({
          requestId,
          timeoutMs,
          bytesLeft,
          markSent,
          cancelled,
          holdBytes,
          addBytes,
          holdScan,
          beginScan,
          addScan
        })
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
            if (course.sentAt !== undefined) ledger.statementEnded(moment.now)
            let left = leave(moment, held, exit, course)
            if (scans.held.length > 0) {
              const end = Step.make(() => GuardScan.end(scans, quota, exit))
              left = Step.ensuring(moment, left, () =>
                PortCall.tell(limits, moment, tellMs(moment, deadline), end)
              )
            }
            const { deferred } = ledger
            return deferred === undefined || ledger.open > 0
              ? left
              : Step.ensuring(moment, left, () => deferred(moment))
          }
        )
      },
      {
        begin: ({ tightened }, now) => {
          course.cut = true
          ownLimit = tightened && !course.short
          return Math.min(deadline, now + CANCEL_MS)
        },
        late: Step.make((moment) => judge(moment, held, Exit.interrupt(FiberId.none), course)),
        error: () =>
          new DeadlineExceeded({
            limitMs: ownLimit ? attemptMs : operation.deadlineMs,
            sent: ledger.sent,
            cancelled: course.confirmed,
            of: ownLimit ? "attempt" : "call"
          })
      }
    )
  }
}
