/**
 * One guarded call: what it asks for, what its attempts report, and what it has used so far.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Ref from "effect/Ref"
import { createHash } from "node:crypto"
import type { Overloaded } from "./Bulkhead.js"
import type { CircuitBreaker, CircuitOpen, Failure, Verdict as BreakerVerdict } from "./CircuitBreaker.js"
import type { Deadlines } from "./Deadline.js"
import { DeadlineExceeded, Received } from "./Deadline.js"
import type { Degraded } from "./Degradation.js"
import * as Lateness from "./core/Lateness.js"
import * as Metered from "./Metered.js"
import type { Admission, RateLimited } from "./RateLimiter.js"
import * as Verdict from "./Verdict.js"
import * as Telemetry from "../observe/Telemetry.js"
import * as Lru from "../platform/core/Lru.js"
import { monotonicReader } from "../platform/monotonic.js"
import type { Criticality, OperationClass } from "../platform/Operation.js"
import type { Principal } from "../platform/Principal.js"
import { CurrentPrincipal } from "../platform/Principal.js"
import type * as Live from "../platform/Live.js"
import * as RequestId from "../platform/requestId.js"
import * as Quota from "../quota/Quota.js"
import type { QuotaStoreError } from "../quota/QuotaStore.js"
import { WarehouseError } from "../warehouse/Warehouse.js"
import type * as Health from "../warehouse/WarehouseHealth.js"

/**
 * What a tool asks the guard to let through.
 *
 * @since 0.1.0
 * @category models
 */
export interface Operation {
  readonly tool: string
  readonly class: OperationClass
  /** Milliseconds for the whole call, from the receipt of its request: waiting and retries included. */
  readonly deadlineMs: number
  /** Milliseconds for one attempt in the warehouse; `deadlineMs` when absent. */
  readonly timeoutMs?: number | undefined
  /**
   * The time limit as the caller knows it, milliseconds, where the two above hold more than that; `isMost`: the caller
   * cannot ask for more.
   */
  readonly asked?: { readonly ms: number; readonly isMost: boolean } | undefined
  /**
   * Milliseconds without an answer after which the silence counts against the warehouse; those of an attempt when
   * absent. A caller that allows little time learns little about the warehouse.
   */
  readonly silenceMs?: number | undefined
  /** Result bytes expected; the bytes delivered are settled afterwards. */
  readonly estimatedBytes: number
  /** Credits that the call may cost at most; what it costs is settled afterwards. */
  readonly estimatedCredits?: number | undefined
  /**
   * Answered from the memory of this process: it is counted against rate limits and quotas, and needs neither a slot nor
   * the warehouse. It is served in every mode.
   */
  readonly local?: boolean | undefined
  /**
   * The statement with all that identifies it, as one text; read after a failure. Repeated failures of one statement
   * of one client count once against the warehouse.
   */
  readonly statement?: (() => string) | undefined
  /** The virtual warehouse: the same text for calls whose statements run in the same. All run in one when absent. */
  readonly place?: string | undefined
  /** Called when the call has to wait, with what it waits for. */
  readonly waiting?: ((message: string) => Effect.Effect<void>) | undefined
  /** Called with each limit that is observed and would have refused the call. */
  readonly observed?: ((would: WouldRefuse) => void) | undefined
  /** Where it is recorded what the call does with its limits. */
  readonly metered?: Metered.Sink | undefined
}

/**
 * What a limit that is observed would have said.
 *
 * @since 0.1.0
 * @category models
 */
export interface WouldRefuse {
  /** That of the refusal. */
  readonly code: "RATE_LIMITED" | "QUOTA_EXCEEDED"
  readonly scope: string
  /** Absent where waiting would not have helped. */
  readonly retryAfterMs?: number | undefined
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
  /** Run it before the statement leaves the process: from here on the call is charged. */
  readonly markSent: Effect.Effect<void>
  /** The warehouse has confirmed the cancellation of the statement: it is slow, and it answers. */
  readonly cancelled: Effect.Effect<void>
  /** Result bytes that have arrived; adds up. */
  readonly addBytes: (bytes: number) => Effect.Effect<void>
  /**
   * Holds the bytes that a statement is expected to scan, until the attempt has ended. Fails when the quotas have
   * less left; the statement must not run then.
   */
  readonly holdScan: (bytes: number) => Effect.Effect<void, Quota.QuotaExceeded | QuotaStoreError>
  /** The statement whose scan is held is about to run. */
  readonly beginScan: Effect.Effect<void>
  /** Bytes that a statement has scanned, as the warehouse reports; adds up, and replaces what is held. */
  readonly addScan: (bytes: number) => Effect.Effect<void>
  /** Credits that a statement has cost; adds up, and replaces the estimate of the call. */
  readonly addCredits: (credits: number) => Effect.Effect<void>
}

/**
 * What is done in each attempt.
 *
 * @since 0.1.0
 * @category models
 */
export type Work<A, E, R> = (attempt: Attempt) => Effect.Effect<A, E, R>

/**
 * The work, or an effect that prepares it once: after the call is charged and before it waits for a slot.
 *
 * @since 0.1.0
 * @category models
 */
export type Prepared<A, E, R> = Work<A, E, R> | Effect.Effect<Work<A, E, R>, E, R>

/**
 * What the guard adds to a result.
 *
 * @since 0.1.0
 * @category models
 */
export interface Guarded<A> {
  readonly value: A
  /** Quotas of which less than a fifth is left. */
  readonly warnings: ReadonlyArray<Quota.QuotaStatus>
}

/**
 * Every error of the guard itself.
 *
 * @since 0.1.0
 * @category errors
 */
export type Refusal =
  Degraded | RateLimited | Quota.QuotaExceeded | QuotaStoreError | Overloaded | CircuitOpen | DeadlineExceeded

/**
 * @since 0.1.0
 * @category models
 */
export interface TierOptions {
  /** Milliseconds a call waits for rate-limit tokens before it is refused; 0: not at all. */
  readonly maxTokenWaitMs: number
  /** The tier's queries are batch work: the first to be refused when not all work can be served. */
  readonly batch: boolean
}

/** Bytes held for the scan of a statement. */
interface Scan {
  readonly reservation: Quota.Reservation
  readonly estimate: number
  /** The statement has left this process, as far as is known. */
  readonly begun: boolean
  /** As the warehouse reports. */
  readonly scanned: number | undefined
}

interface Used {
  /** Statements that have left this process, as far as is known; those of all attempts. */
  readonly statements: number
  readonly statementMs: number
  readonly bytes: number
  readonly scanBytes: number | undefined
  readonly credits: number | undefined
  /** When the running attempt sent its statement, monotonic milliseconds. */
  readonly sentAt: number | undefined
  /** When the latest statement was sent, unless it has ended in time. */
  readonly lastSentAt: number | undefined
  /** Milliseconds that the running attempt may take. */
  readonly limitMs: number
  /** The warehouse has confirmed the cancellation of the running attempt's statement. */
  readonly cancelled: boolean
  /** Those of the running attempt. */
  readonly scans: ReadonlyArray<Scan>
  /** Those of attempts that have ended. */
  readonly pastScans: ReadonlyArray<Scan>
  /** The deadline of the call has passed. */
  readonly late: boolean
  /** A limit that is observed would have refused the call: what is observed is not charged from here on. */
  readonly wouldBeRefused: boolean
}

export interface Call extends Operation {
  readonly client: string
  readonly tier: string
  readonly requestId: string
  readonly criticality: Criticality
  /** Reads the monotonic clock, milliseconds. */
  readonly now: () => number
  /** Monotonic milliseconds. */
  readonly deadline: number
  /** Milliseconds that it waits for rate-limit tokens. */
  readonly tokenWaitMs: number
  readonly limits: Metered.Limits
  /** Takes place around all that the call does with its limits. */
  readonly within: Metered.Metered["within"]
  readonly used: Ref.Ref<Used>
  /** What became of the statements of all calls, by their class and place. */
  readonly served: Lru.Lru<Lateness.Served>
}

/** @internal */
export const unused: Used = {
  statements: 0,
  statementMs: 0,
  bytes: 0,
  scanBytes: undefined,
  credits: undefined,
  sentAt: undefined,
  lastSentAt: undefined,
  limitMs: Number.POSITIVE_INFINITY,
  cancelled: false,
  scans: [],
  pastScans: [],
  late: false,
  wouldBeRefused: false
}

/** Classes of operations in virtual warehouses of which it is remembered what became of their statements. */
const SERVED = { maxEntries: 1_000, maxBytes: Number.MAX_SAFE_INTEGER }

const impatient: TierOptions = { maxTokenWaitMs: 0, batch: false }

/** @internal */
export const tierOf = (tiers: { readonly [tier: string]: TierOptions }, name: string): TierOptions =>
  tiers[name] ?? tiers["default"] ?? impatient

/**
 * Milliseconds that a call waits for its tokens.
 *
 * @internal
 */
export const tokenWaitOf = (maxTokenWaitMs: number, deadlineMs: number): number =>
  Math.min(maxTokenWaitMs, deadlineMs)

/** Calls of the current principal; their time runs from the receipt of the request. */
export const maker = (
  options: Live.Live<{
    readonly [tier: string]: TierOptions
  }>,
  limits: Metered.Limits
): Effect.Effect<(operation: Operation) => Effect.Effect<Call>> =>
  Effect.gen(function* () {
    const nextRequestId = yield* RequestId.make
    const recorded = yield* Metered.make(limits)
    const now = yield* monotonicReader
    const plain = Metered.unrecorded(limits)
    const served = Lru.make<Lateness.Served>(SERVED)
    const callOf = (
      operation: Operation,
      { assigned = false, client, tier }: Principal,
      begun: number,
      used: Ref.Ref<Used>
    ): Call => {
      const { batch, maxTokenWaitMs } = tierOf(options.current(), tier)
      const { deadlineMs, metered } = operation
      const meeting =
        metered === undefined
          ? plain
          : recorded(metered, {
              class: operation.class,
              deadlineMs,
              estimatedBytes: operation.estimatedBytes,
              estimatedCredits: operation.estimatedCredits,
              assigned
            })
      // Field by field: an object that is spread into has a hidden class of its own, and every guard reads this one.
      return {
        tool: operation.tool,
        class: operation.class,
        deadlineMs,
        timeoutMs: operation.timeoutMs,
        asked: operation.asked,
        silenceMs: operation.silenceMs,
        estimatedBytes: operation.estimatedBytes,
        estimatedCredits: operation.estimatedCredits,
        local: operation.local,
        statement: operation.statement,
        place: operation.place,
        waiting: operation.waiting,
        observed: operation.observed,
        metered,
        client,
        tier,
        requestId: nextRequestId(),
        criticality: batch && operation.class === "query" ? "batch" : operation.class,
        now,
        deadline: begun + deadlineMs,
        tokenWaitMs: tokenWaitOf(maxTokenWaitMs, deadlineMs),
        limits: meeting.limits,
        within: meeting.within,
        used,
        served
      }
    }
    return (operation: Operation) =>
      Effect.contextWithEffect((context: Context.Context<never>) => {
        const begun = Context.get(context, Received) ?? now()
        const principal = Context.get(context, CurrentPrincipal)
        return Effect.map(Ref.make(unused), (used) => callOf(operation, principal, begun, used))
      })
  })

const tell = ({ observed, tier }: Pick<Call, "observed" | "tier">, would: WouldRefuse): void => {
  Telemetry.recordWouldRefuse(tier, would.code, would.scope)
  observed?.(would)
}

const tellQuota = (call: Pick<Call, "observed" | "tier">, would: Quota.WouldRefuse): void =>
  tell(call, { code: "QUOTA_EXCEEDED", scope: Quota.limitName(would), retryAfterMs: would.retryAfterMs })

/** As the quotas see it: a call that an observed rate limit would have refused would not have come to them. */
export const metered = <R extends Quota.Request>(
  request: R,
  { wouldRefuse }: Admission
): R | (R & { readonly observe: false }) =>
  wouldRefuse === undefined ? request : { ...request, observe: false }

/**
 * Counts and tells what would have been refused, if what is observed were enforced. A call that a quota would have
 * refused would have its tokens back.
 */
export const observe = (
  call: Pick<Call, "observed" | "tier" | "used">,
  limiter: Metered.Limits["limiter"],
  tokens: Admission,
  { wouldRefuse: byQuota }: Quota.Reservation
): Effect.Effect<void> => {
  if (tokens.wouldRefuse !== undefined) {
    const { never, retryAfterMs, scope } = tokens.wouldRefuse
    tell(call, { code: "RATE_LIMITED", scope, ...(never ? {} : { retryAfterMs }) })
  }
  if (tokens.wouldRefuse === undefined && byQuota === undefined) return Effect.void
  const noted = Ref.update(call.used, (all) => ({ ...all, wouldBeRefused: true }))
  if (byQuota === undefined) return noted
  tellQuota(call, byQuota)
  return tokens.observed === undefined ? noted : Effect.zipRight(noted, limiter.refund(tokens, "observed"))
}

/** Shorter waits are not reported to the caller, milliseconds. */
const REPORTED_WAIT_MS = 50

/** Waits until the tokens of the call are due. Interruptible also in an acquisition. */
export const turn = ({ tier, waiting }: Call, waitMs: number): Effect.Effect<void> => {
  if (waitMs === 0) return Effect.void
  const report =
    waiting === undefined || waitMs < REPORTED_WAIT_MS
      ? Effect.void
      : waiting(`waiting ${waitMs} ms for the rate limit`)
  return Effect.interruptible(Effect.zipRight(report, Effect.sleep(waitMs))).pipe(
    Effect.zipLeft(Effect.sync(() => Telemetry.recordTokenWait(tier, waitMs)))
  )
}

/** Milliseconds that are left of the call. */
export const left = ({ deadline, now }: Call): number => Math.max(0, deadline - now())

const exceeded = (
  { asked, deadlineMs, timeoutMs = deadlineMs }: Call,
  { cancelled, lastSentAt, statements }: Used,
  of: "attempt" | "call"
) =>
  Effect.fail(
    new DeadlineExceeded({
      limitMs: asked?.ms ?? (of === "call" ? deadlineMs : timeoutMs),
      sent: statements > 0,
      cancelled,
      of,
      ...(statements > 0 && lastSentAt === undefined ? { retrying: true } : {})
    })
  )

/** The call reached its deadline; an attempt that ends later ends because of that. */
export const tooLate = (call: Call): Effect.Effect<never, DeadlineExceeded> =>
  Effect.flatMap(
    Ref.updateAndGet(call.used, (all) => ({ ...all, late: true })),
    (used) => exceeded(call, used, "call")
  )

/**
 * An attempt ends so many milliseconds before its call, or a tenth of what is left: time to confirm a cancellation.
 */
const CANCEL_MS = 300

/** Runs the work of one attempt, for as long as an attempt may take. */
export const attempt = <A, E, R>(
  call: Call,
  deadlines: Deadlines,
  reservation: Quota.Reservation,
  work: Work<A, E, R>
): Effect.Effect<A, E | DeadlineExceeded, R> =>
  Effect.flatten(
    Ref.modify(call.used, (all) => {
      const { deadlineMs, timeoutMs: ownMs = deadlineMs } = call
      const now = call.now()
      const leftMs = Math.max(0, call.deadline - now)
      const mostMs = leftMs - Math.min(CANCEL_MS, leftMs / 10)
      const timeoutMs = Math.min(ownMs, mostMs)
      const late = Effect.flatMap(Ref.get(call.used), (used) =>
        exceeded(call, used, mostMs < ownMs ? "call" : "attempt")
      )
      const bytesLeft = Math.max(0, reservation.bytesLeft - all.bytes)
      const worked = work(attemptOf(call, reservation, timeoutMs, bytesLeft))
      return [
        deadlines.endBy(now + timeoutMs, late, worked),
        { ...all, limitMs: timeoutMs, cancelled: false }
      ]
    })
  )

/** The statement of the running attempt leaves this process. */
const sentNow = (all: Used, now: number): Used => ({
  ...all,
  sentAt: now,
  lastSentAt: now,
  statements: all.statements + 1
})

/** The attempt as the work sees it. */
const attemptOf = (
  { client, deadlineMs, limits: { quota }, now, observed, requestId, tier, used }: Call,
  reservation: Quota.Reservation,
  timeoutMs: number,
  bytesLeft: number
): Attempt => ({
  requestId,
  timeoutMs,
  bytesLeft,
  markSent: Effect.flatten(
    Ref.modify(used, (all) =>
      all.sentAt !== undefined
        ? [Effect.void, all]
        : [
            all.statements === 0 ? Effect.ignoreLogged(quota.submitted(reservation)) : Effect.void,
            sentNow(all, now())
          ]
    )
  ),
  cancelled: Ref.update(used, (all) => ({ ...all, cancelled: true })),
  addBytes: (bytes) => Ref.update(used, (all) => ({ ...all, bytes: all.bytes + bytes })),
  holdScan: (estimate) =>
    Effect.uninterruptible(
      Effect.flatMap(
        Effect.flatMap(Ref.get(used), ({ wouldBeRefused }) =>
          quota.reserveScan({ client, tier, estimatedBytes: estimate, deadlineMs, observe: !wouldBeRefused })
        ),
        (reservation) => {
          if (reservation.wouldRefuse !== undefined) tellQuota({ observed, tier }, reservation.wouldRefuse)
          return Ref.update(used, (all) => ({
            ...all,
            scans: [...all.scans, { reservation, estimate, begun: false, scanned: undefined }]
          }))
        }
      )
    ),
  beginScan: Effect.flatten(
    Ref.modify(used, (all) => [
      Effect.forEach(
        all.scans.filter(({ begun }) => !begun),
        ({ reservation }) => Effect.ignoreLogged(quota.submitted(reservation)),
        { discard: true }
      ),
      { ...all, scans: all.scans.map((scan) => ({ ...scan, begun: true })) }
    ])
  ),
  addScan: (bytes) =>
    Ref.update(used, (all) => {
      const held = all.scans[all.scans.length - 1]
      return held === undefined
        ? { ...all, scanBytes: (all.scanBytes ?? 0) + bytes }
        : { ...all, scans: [...all.scans.slice(0, -1), { ...held, scanned: (held.scanned ?? 0) + bytes }] }
    }),
  addCredits: (credits) => Ref.update(used, (all) => ({ ...all, credits: (all.credits ?? 0) + credits }))
})

/** A login that hangs and a statement that meets a limit of its own end sooner than this. */
const LASTING_MS = 10_000

/** Of a statement of any length. */
const fingerprint = (statement: string): string => createHash("sha256").update(statement).digest("base64")

type Placed = Pick<Call, "class" | "place" | "served">

const placeOf = ({ class: kind, place = "" }: Placed): string => `${kind} ${place}`

/** What became of the statements of its class in its place. */
const servedOf = (call: Placed): Lateness.Served => Lru.get(call.served, placeOf(call)) ?? Lateness.nothing

const noteServed = (call: Placed, end: Lateness.End): void =>
  void Lru.set(call.served, placeOf(call), Lateness.ended(servedOf(call), end), 1)

/** What the end of an attempt says about the health of the warehouse. */
export interface Ended {
  readonly verdict: BreakerVerdict
  readonly failure: Failure | undefined
}

/**
 * Adds up what an attempt has used, without a statement that the driver reports as not sent.
 *
 * An attempt that its limit ended met silence, unless the warehouse confirmed the cancellation. An attempt that had
 * less than its full time, or had not sent its statement yet, met silence if it lasted {@link LASTING_MS}.
 */
export const attemptEnded = (
  call: Call,
  exit: Exit.Exit<unknown, unknown>,
  begunAt: number
): Effect.Effect<Ended> =>
  Ref.modify(call.used, (all) => {
    const { deadlineMs, timeoutMs: ownMs = deadlineMs, silenceMs = ownMs, statement } = call
    const now = call.now()
    const { cancelled, late, limitMs, pastScans, scans, sentAt, statementMs, statements } = all
    const ms = now - begunAt
    const isNotSent = Verdict.neverLeft(exit)
    const wasCut = Verdict.isTimeout(exit) || (late && Exit.isInterrupted(exit))
    const isFull = limitMs >= ownMs && ms >= Math.max(ownMs, silenceMs) && sentAt !== undefined
    const silent = wasCut && !cancelled && (isFull || ms >= LASTING_MS)
    const verdict = Verdict.verdict(exit, silent)
    Telemetry.recordAttempt(call.class, verdict, ms)
    const isLate = wasCut || Verdict.isStatementTimeout(exit)
    // A query that is refused before it runs needs no virtual warehouse, and proves nothing of one.
    const isAnswered = verdict === "success" || (verdict === "alive" && call.class !== "query" && !isNotSent)
    const of = isAnswered ? ("answered" as const) : isLate ? ("unserved" as const) : undefined
    const failure =
      verdict === "failure"
        ? Verdict.failureOf(exit, {
            silent,
            ms,
            call: call.requestId,
            // The caller's function: that it throws costs the call its fingerprint, and not its slots.
            statement: statement && (() => Either.getOrUndefined(Either.try(() => fingerprint(statement()))))
          })
        : undefined
    if (sentAt !== undefined && of !== undefined) noteServed(call, { of, sentAt, now })
    return [
      { verdict, failure },
      {
        ...all,
        statements: sentAt !== undefined && isNotSent ? statements - 1 : statements,
        statementMs: sentAt === undefined ? statementMs : statementMs + now - sentAt,
        sentAt: undefined,
        lastSentAt: isLate ? all.lastSentAt : undefined,
        scans: [],
        pastScans: [...pastScans, ...(isNotSent ? scans.map((scan) => ({ ...scan, begun: false })) : scans)]
      }
    ]
  })

/** A statement that was sent has no result within its time. */
const isLate = (error: unknown): error is DeadlineExceeded | WarehouseError =>
  error instanceof DeadlineExceeded
    ? error.sent
    : error instanceof WarehouseError && error.reason === "StatementTimeout"

/**
 * Calls fail at the warehouse now because it is not available. What is of one user, or over, says nothing of a call, and
 * neither does a login: the statement had a session.
 */
const isUnavailable = ({ trouble }: Health.Status): boolean =>
  trouble?.reason === "Unavailable" && trouble.user === undefined && trouble.recoveredAgoMs === undefined

/** Fails with the error; where a statement was out of time, with what it took so long for. */
export const explainLate =
  (breaker: Pick<CircuitBreaker["Type"], "status">, health: Effect.Effect<Health.Status>) =>
  <E>(call: Call, error: E): Effect.Effect<never, E | DeadlineExceeded | WarehouseError> => {
    if (!isLate(error)) return Effect.fail(error)
    return Effect.flatMap(
      Effect.all([Ref.get(call.used), breaker.status, health]),
      ([{ lastSentAt: sentAt }, { phase }, status]) => {
        if (sentAt === undefined) return Effect.fail(error)
        const facts: Lateness.Facts = {
          now: call.now(),
          sentAt,
          served: servedOf(call),
          cancelled: error instanceof WarehouseError || error.cancelled === true,
          known: isUnavailable(status)
            ? "trouble"
            : phase === "open" || phase === "half-open"
              ? "circuit"
              : undefined
        }
        const lateness = {
          ...Lateness.blameOf(facts),
          class: call.class === "query" ? ("query" as const) : ("metadata" as const),
          quietMs: Math.round(Lateness.quietMs(facts)),
          ...(call.asked?.isMost === true ? { isMost: true } : {})
        }
        return Effect.fail(
          error instanceof DeadlineExceeded
            ? new DeadlineExceeded({ ...error, lateness })
            : new WarehouseError({ ...error, lateness })
        )
      }
    )
  }

/** The result, with the quotas that are nearly used up. */
export const guarded = <A>({ client, tier }: Call, { status }: Quota.Reservation, value: A): Guarded<A> => {
  const warnings = status.filter(Telemetry.isLowQuota)
  for (const quota of warnings) Telemetry.recordLowQuota(tier, client, quota)
  return { value, warnings }
}

/** What the call used in the warehouse; undefined when nothing was sent. */
export const spent = (
  { tier }: Call,
  { bytes, credits, scanBytes, statementMs, statements }: Used
): Quota.Spent | undefined => {
  Telemetry.recordBytes(tier, bytes)
  if (credits !== undefined) Telemetry.recordCredits(tier, credits)
  return statements > 0 ? { bytes, scanBytes, statementSeconds: statementMs / 1000, credits } : undefined
}

/** Settles what is held for scans: as the warehouse reported, else at the estimate; released where nothing ran. */
export const settleScans = ({ limits: { quota } }: Call, { pastScans, scans }: Used): Effect.Effect<void> =>
  scans.length + pastScans.length === 0
    ? Effect.void
    : Effect.forEach(
        [...pastScans, ...scans],
        ({ begun, estimate, reservation, scanned }) =>
          Effect.ignoreLogged(
            begun
              ? quota.settle(reservation, { bytes: 0, scanBytes: scanned ?? estimate })
              : quota.release(reservation)
          ),
        { discard: true }
      )
