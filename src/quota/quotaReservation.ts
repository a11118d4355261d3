/** A reservation as its holder has it: what was granted, and what to tell the store when it is used. */
import type { Actual, Decision, QuotaName } from "./QuotaStore.js"
import * as QuotaLimits from "./quotaLimits.js"
import type { QuotaStatus, Request, Reservation, ScanRequest, Spent } from "./quotaModel.js"

export const statusOf = (
  usage: { readonly used: number; readonly reserved: number; readonly resetAt: number },
  scope: "client" | "global",
  quota: QuotaName,
  limit: number
): QuotaStatus => {
  const used = usage.used + usage.reserved
  return { scope, quota, limit, used, remaining: Math.max(0, limit - used), resetAt: usage.resetAt }
}

const byFullest = (a: QuotaStatus, b: QuotaStatus): number => a.remaining / a.limit - b.remaining / b.limit

type Granting = Extract<Decision, { readonly _tag: "Granted" }>

/** What was reserved, and what can be told of it: nobody reads the status of a call far from its limits. */
export class Granted implements Reservation {
  private told: ReadonlyArray<QuotaStatus> | undefined
  readonly id: string
  readonly client: string
  readonly bytesLeft: number
  readonly low: boolean
  readonly usage: Granting["usage"]
  constructor({ reservation, usage }: Granting, { client, estimatedBytes }: Request | ScanRequest) {
    let bytesLeft = Number.POSITIVE_INFINITY
    let low = false
    for (const { limit, quota, reserved, used } of usage) {
      const left = limit - used - reserved
      if (left < limit / 5) low = true
      // What it holds itself is its own to use.
      if (quota === "bytes_per_day") {
        bytesLeft = Math.min(bytesLeft, Math.max(0, left + estimatedBytes))
      }
    }
    this.id = reservation
    this.client = client
    this.bytesLeft = bytesLeft
    this.low = low
    this.usage = usage
  }
  get status(): ReadonlyArray<QuotaStatus> {
    return (this.told ??= this.usage
      .map((usage) => statusOf(usage, QuotaLimits.scopeOf(usage.key), usage.quota, usage.limit))
      .sort(byFullest))
  }
}

const amountOf = (quota: QuotaName, spent: Spent): number | undefined => {
  switch (quota) {
    case "bytes_per_day":
      return spent.bytes
    case "scan_bytes_per_day":
      return spent.scanBytes
    case "statement_seconds_per_day":
      return spent.statementSeconds
    default:
      return undefined
  }
}

export const actualOf = (reservation: Reservation, spent: Spent): ReadonlyArray<Actual> => {
  const actual: Array<Actual> = []
  if (reservation instanceof Granted) {
    for (const { key, quota } of reservation.usage) {
      const amount = amountOf(quota, spent)
      if (amount !== undefined) actual.push({ key, quota, amount })
    }
    return actual
  }
  for (const { quota, scope } of reservation.status) {
    const amount = amountOf(quota, spent)
    const key = scope === "global" ? QuotaLimits.GLOBAL : QuotaLimits.keyOf(reservation.client ?? "")
    if (amount !== undefined) actual.push({ key, quota, amount })
  }
  return actual
}
