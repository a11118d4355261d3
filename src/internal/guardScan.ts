/**
 * What an attempt holds of the quotas of bytes scanned: estimated before the statement runs, and settled
 * when the attempt has ended.
 *
 * ```
 * hold --> held --begin--> running --ended--> settled: as the warehouse tells, else the estimate
 *            |                |
 *            | ended          | never left the process
 *            v                v
 *          released         released
 * ```
 *
 * An attempt that asks for nothing costs nothing.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Quota from "../Quota.js"
import type { QuotaStoreError } from "../QuotaStore.js"
import * as PortCall from "./portCall.js"
import * as Step from "./step.js"
import * as Verdict from "./verdict.js"

interface Held {
  readonly reservation: Quota.Reservation
  readonly estimate: number
  begun: boolean
  /** What the warehouse told. */
  scanned: number | undefined
}

export interface Scans {
  held: Array<Held>
}

/** Nothing is lost between the grant and the note of it; who leaves before the grant gives it back. */
export const hold = (
  scans: Scans,
  quota: Quota.Quota["Type"],
  request: Quota.ScanRequest
): Effect.Effect<void, Quota.QuotaExceeded | QuotaStoreError> =>
  Step.masked((moment) =>
    Step.andThen(
      moment,
      PortCall.acquire(moment, quota.reserveScan(request), quota.release),
      (reservation) => {
        scans.held.push({ reservation, estimate: request.estimatedBytes, begun: false, scanned: undefined })
        return Exit.void
      }
    )
  )

/** From here on the estimates are paid, even if this process does not live to settle them. */
export const begin = ({ held }: Scans, quota: Quota.Quota["Type"]): Effect.Effect<void, QuotaStoreError> =>
  Effect.forEach(
    held.filter(({ begun }) => !begun),
    (one) => {
      one.begun = true
      return quota.submitted(one.reservation)
    },
    { discard: true }
  )

/** Adds to what the last of them has scanned; false when nothing is held. */
export const told = ({ held }: Scans, bytes: number): boolean => {
  const last = held[held.length - 1]
  if (last === undefined) return false
  last.scanned = (last.scanned ?? 0) + bytes
  return true
}

export const end = (
  { held }: Scans,
  quota: Quota.Quota["Type"],
  exit: Exit.Exit<unknown, unknown>
): Effect.Effect<void> =>
  Effect.forEach(
    held,
    ({ begun, estimate, reservation, scanned }) =>
      Effect.ignoreLogged(
        begun && !Verdict.neverLeft(exit)
          ? quota.settle(reservation, { bytes: 0, scanBytes: scanned ?? estimate })
          : quota.release(reservation)
      ),
    { discard: true }
  )
