/** What became of a chaotic run. */
import { readFileSync } from "node:fs"

export interface Report {
  readonly seed: number
  readonly seconds: number
  readonly calls: number
  readonly cancelled: number
  readonly codes: Readonly<Record<string, number>>
  /** How often each fault has struck. */
  readonly struck: Readonly<Record<string, number>>
  /** Time beyond the deadline of the latest answer; negative: in time. */
  readonly worstLateMs: number
  readonly breaker: { readonly opened: number; readonly closed: number }
  readonly blackouts: ReadonlyArray<Blackout>
  /** Statements of calls that arrived in blackouts for each call of them that was let through. */
  readonly amplification: number
  readonly sessions: { readonly opened: number; readonly alive: number; readonly orphansAllowed: number }
  /** Milliseconds until the statements of cancelled calls were gone, at worst. */
  readonly cancelledGoneMs: number
  readonly rssMb: ReadonlyArray<number>
  readonly violations: ReadonlyArray<string>
}

export interface Blackout {
  readonly calls: number
  /** Calls that something was sent for, as the quota counts them. */
  readonly charged: number
  /** Statements that a new session sends before it serves a call. */
  readonly settingUp: number
  /** All statements, those with them. */
  readonly arrived: number
}

/** Memory of a process; not a number where nobody tells. */
export const rssMb = (pid: number | undefined): number => {
  try {
    const kb = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
    return Math.round(Number(kb) / 1024)
  } catch {
    return Number.NaN
  }
}

export const fields = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {}

export const numberOf = (value: unknown): number => (typeof value === "number" ? value : Number.NaN)
