/**
 * One guarded call: what it asks for, what its attempts tell of themselves, and what it has used so far.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Ref from "effect/Ref"
import { DeadlineExceeded, Received } from "./Deadline.js"
import { modifyAt, monotonicMillis } from "../platform/monotonic.js"
import * as Verdict from "./Verdict.js"
import type { OperationClass } from "../platform/Operation.js"
import type * as Quota from "../quota/Quota.js"
import type { QuotaStoreError } from "../quota/QuotaStore.js"
import * as Telemetry from "../observe/Telemetry.js"

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
  /**
   * Milliseconds that a silence of the warehouse must last to count against it; those of an attempt when absent. A
   * caller that asks for little time learns little about the warehouse.
   */
  readonly silenceMs?: number | undefined
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
  /** The warehouse has confirmed that it has cancelled the statement: it is slow, and it answers. */
  readonly cancelled?: Effect.Effect<void> | undefined
  /** Result bytes that have arrived; adds up. */
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

/** Bytes that are held for what a statement is expected to scan. */
interface Scan {
  readonly reservation: Quota.Reservation
  readonly estimate: number
  /** The statement has left this process, as far as is known. */
  readonly begun: boolean
  /** As the warehouse tells. */
  readonly scanned: number | undefined
}

interface Used {
  /** Statements that have left this process, as far as is known; those of all attempts. */
  readonly statements: number
  readonly statementMs: number
  readonly bytes: number
  readonly scanBytes: number | undefined
  /** When the running attempt sent its statement, monotonic milliseconds. */
  readonly sentAt: number | undefined
  /** Milliseconds that the running attempt may take. */
  readonly limitMs: number
  /** The warehouse has confirmed that it has cancelled the statement of the running attempt. */
  readonly cancelled: boolean
  readonly scans: ReadonlyArray<Scan>
  /** How many of them belong to attempts that have ended. */
  readonly ended: number
  /** The deadline of the call has passed. */
  readonly late: boolean
}

export interface Call extends Operation {
  readonly client: string
  readonly tier: string
  readonly requestId: string
  /** Monotonic milliseconds. */
  readonly deadline: number
  readonly used: Ref.Ref<Used>
}

const unused: Used = {
  statements: 0,
  statementMs: 0,
  bytes: 0,
  scanBytes: undefined,
  sentAt: undefined,
  limitMs: Number.POSITIVE_INFINITY,
  cancelled: false,
  scans: [],
  ended: 0,
  late: false
}

export const make = (
  operation: Operation,
  { client, tier }: { readonly client: string; readonly tier: string },
  requestId: string
): Effect.Effect<Call> =>
  Effect.flatMap(Received, (received) =>
    Effect.flatMap(received === undefined ? monotonicMillis : Effect.succeed(received), (begun) =>
      Effect.map(Ref.make(unused), (used) => {
        const deadline = begun + operation.deadlineMs
        return { ...operation, client, tier, requestId, deadline, used }
      })
    )
  )

/** A wait that is shorter than this is not told, milliseconds. */
const WORTH_TELLING_MS = 50

/** Waits until the tokens of the call are due. Interruptible also in an acquisition. */
export const turn = ({ waiting, tier }: Call, waitMs: number): Effect.Effect<void> => {
  if (waitMs === 0) return Effect.void
  const told =
    waiting === undefined || waitMs < WORTH_TELLING_MS
      ? Effect.void
      : waiting(`waiting ${waitMs} ms for the rate limit`)
  return Effect.interruptible(Effect.zipRight(told, Effect.sleep(waitMs))).pipe(
    Effect.zipLeft(Effect.sync(() => Telemetry.recordTokenWait(tier, waitMs)))
  )
}

/** Milliseconds that are left of the call. */
export const left = ({ deadline }: Call): Effect.Effect<number> =>
  Effect.map(monotonicMillis, (now) => Math.max(0, deadline - now))

const exceeded = (
  { deadlineMs, timeoutMs = deadlineMs }: Call,
  { cancelled, statements }: Used,
  of: "attempt" | "call"
) =>
  Effect.fail(
    new DeadlineExceeded({
      limitMs: of === "call" ? deadlineMs : timeoutMs,
      sent: statements > 0,
      cancelled,
      of
    })
  )

/** The call ran into its deadline; what ends from here on ends because of that. */
export const tooLate = (call: Call): Effect.Effect<never, DeadlineExceeded> =>
  Effect.flatMap(
    Ref.updateAndGet(call.used, (all) => ({ ...all, late: true })),
    (used) => exceeded(call, used, "call")
  )

/** An attempt ends so many milliseconds before its call, or a tenth of what is left: time to confirm a cancellation. */
const CANCEL_MS = 300

/** The work of one attempt, for as long as an attempt may take. */
export const limited = <A, E, R>(
  call: Call,
  reservation: Quota.Reservation,
  work: (limits: Pick<Attempt, "bytesLeft" | "timeoutMs">) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | DeadlineExceeded, R> =>
  Effect.flatMap(left(call), (leftMs) => {
    const { deadlineMs, timeoutMs: ownMs = deadlineMs } = call
    const mostMs = leftMs - Math.min(CANCEL_MS, leftMs / 10)
    const timeoutMs = Math.min(ownMs, mostMs)
    return Effect.flatMap(
      Ref.updateAndGet(call.used, (all) => ({ ...all, limitMs: timeoutMs, cancelled: false })),
      ({ bytes }) =>
        work({ timeoutMs, bytesLeft: Math.max(0, reservation.bytesLeft - bytes) }).pipe(
          Effect.timeoutTo({
            duration: timeoutMs,
            onSuccess: Effect.succeed,
            onTimeout: () =>
              Effect.flatMap(Ref.get(call.used), (used) =>
                exceeded(call, used, mostMs < ownMs ? "call" : "attempt")
              )
          }),
          Effect.flatten
        )
    )
  })

/** What an attempt may tell of itself. */
export const attempt = (
  { client, deadlineMs, requestId, tier, used }: Call,
  quota: Quota.Quota["Type"],
  reservation: Quota.Reservation,
  limits: Pick<Attempt, "bytesLeft" | "timeoutMs">
): Attempt => ({
  requestId,
  ...limits,
  markSent: Effect.flatten(
    modifyAt(used, (all, now) =>
      all.sentAt !== undefined
        ? [Effect.void, all]
        : [
            all.statements === 0 ? Effect.ignoreLogged(quota.submitted(reservation)) : Effect.void,
            { ...all, sentAt: now, statements: all.statements + 1 }
          ]
    )
  ),
  cancelled: Ref.update(used, (all) => ({ ...all, cancelled: true })),
  addBytes: (bytes) => Ref.update(used, (all) => ({ ...all, bytes: all.bytes + bytes })),
  holdScan: (estimate) =>
    Effect.uninterruptible(
      Effect.flatMap(
        quota.reserveScan({ client, tier, estimatedBytes: estimate, deadlineMs }),
        (reservation) =>
          Ref.update(used, (all) => ({
            ...all,
            scans: [...all.scans, { reservation, estimate, begun: false, scanned: undefined }]
          }))
      )
    ),
  beginScan: Effect.flatten(
    Ref.modify(used, (all) => [
      Effect.forEach(
        all.scans.slice(all.ended).filter(({ begun }) => !begun),
        ({ reservation }) => Effect.ignoreLogged(quota.submitted(reservation)),
        { discard: true }
      ),
      { ...all, scans: all.scans.map((scan, i) => (i < all.ended ? scan : { ...scan, begun: true })) }
    ])
  ),
  addScan: (bytes) =>
    Ref.update(used, (all) => {
      const held = all.scans[all.scans.length - 1]
      if (held === undefined || all.scans.length === all.ended) {
        return { ...all, scanBytes: (all.scanBytes ?? 0) + bytes }
      }
      return { ...all, scans: [...all.scans.slice(0, -1), { ...held, scanned: (held.scanned ?? 0) + bytes }] }
    })
})

/** How an attempt ended. */
export interface Ended {
  readonly ms: number
  /** Nothing answered within the time of the attempt. */
  readonly silent: boolean
}

/** Neither does a session open, nor a statement end at a limit of its own, much sooner. */
const LASTING_MS = 10_000

/**
 * Adds up what an attempt has used; what the driver says never left the process is not counted.
 *
 * An attempt that its limit ended met silence, unless the warehouse confirmed the cancellation. One that had less than
 * its time because of the call's deadline, or had not sent its statement yet, counts if it has lasted.
 */
export const attemptEnded = (
  { deadlineMs, timeoutMs: ownMs = deadlineMs, silenceMs = ownMs, used }: Call,
  exit: Exit.Exit<unknown, unknown>,
  begunAt: number
): Effect.Effect<Ended> =>
  modifyAt(used, (all, now) => {
    const ms = now - begunAt
    const isNotSent = Verdict.neverLeft(exit)
    const { cancelled, ended, late, limitMs, scans, sentAt, statementMs, statements } = all
    const wasCut = Verdict.isTimeout(exit) || (late && Exit.isInterrupted(exit))
    const isFull = limitMs >= ownMs && ms >= Math.max(ownMs, silenceMs) && sentAt !== undefined
    return [
      { ms, silent: wasCut && !cancelled && (isFull || ms >= LASTING_MS) },
      {
        ...all,
        statements: sentAt !== undefined && isNotSent ? statements - 1 : statements,
        statementMs: sentAt === undefined ? statementMs : statementMs + now - sentAt,
        sentAt: undefined,
        scans: isNotSent ? scans.map((scan, i) => (i < ended ? scan : { ...scan, begun: false })) : scans,
        ended: scans.length
      }
    ]
  })

/** Settles what is held for scans: as the warehouse told, else at the estimate; released where nothing ran. */
export const settleScans = ({ used }: Call, quota: Quota.Quota["Type"]): Effect.Effect<void> =>
  Effect.flatMap(Ref.get(used), ({ scans }) =>
    Effect.forEach(
      scans,
      ({ begun, estimate, reservation, scanned }) =>
        Effect.ignoreLogged(
          begun
            ? quota.settle(reservation, { bytes: 0, scanBytes: scanned ?? estimate })
            : quota.release(reservation)
        ),
      { discard: true }
    )
  )
