/**
 * The ledger of one call, written by everybody who sees it pass: its client, the guards as they are
 * tapped, the warehouse. What it adds up to is compared when the call has been answered.
 */
import type { OperationClass } from "../../src/Operation.js"
import type { Principal } from "../../src/Principal.js"

export interface Call {
  readonly id: number
  readonly client: string
  readonly tier: string
  /** Made because somebody wanted something, and not because the call before was over. */
  readonly wanted: boolean
  readonly class: OperationClass
  /** What is asked; the same question has the same answer. */
  readonly question: number
  /** The statement is wrong, and fails wherever it is tried. */
  readonly mistaken: boolean
  /** Monotonic milliseconds. */
  readonly startedAt: number
  readonly deadlineMs: number
  readonly timeoutMs: number
  readonly estimatedBytes: number

  /**
   * When the guard was asked: at once, or after having waited in vain for the answer to somebody else who
   * asked the same.
   */
  guardedAt: number
  /** Tokens taken from the buckets, and given back. */
  acquired: number
  refunded: number
  /** Reservations of quota made, settled with the truth, and released. */
  reserved: number
  settled: number
  settledBytes: number
  released: number
  /** Attempts to reach the warehouse, statements that were sent, and those of them that must be paid for. */
  attempts: number
  sent: number
  paid: number
  /** Result bytes delivered. */
  bytes: number
  /** Slots and breaker permits held, statements in the warehouse. */
  slots: number
  permits: number
  statements: number
}

export type Asked = Pick<
  Call,
  | "id"
  | "client"
  | "tier"
  | "wanted"
  | "class"
  | "question"
  | "mistaken"
  | "startedAt"
  | "deadlineMs"
  | "timeoutMs"
  | "estimatedBytes"
>

export const make = (asked: Asked): Call => ({
  ...asked,
  guardedAt: asked.startedAt,
  acquired: 0,
  refunded: 0,
  reserved: 0,
  settled: 0,
  settledBytes: 0,
  released: 0,
  attempts: 0,
  sent: 0,
  paid: 0,
  bytes: 0,
  slots: 0,
  permits: 0,
  statements: 0
})

/** A principal that knows which call it stands for: how a tapped service finds the call's ledger. */
export class Caller implements Principal {
  constructor(
    readonly client: string,
    readonly tier: string,
    readonly call: Call
  ) {}
}

export const callOf = (principal: Principal): Call => {
  if (principal instanceof Caller) return principal.call
  throw new Error(`nobody simulated calls as ${principal.client}`)
}
