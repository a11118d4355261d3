/**
 * The ledger of one call, written by its client, by the tapped guards and by the warehouse. Its sums
 * are compared when the call has been answered.
 */
import type { OperationClass } from "../../src/platform/Operation.js"
import type { Principal } from "../../src/platform/Principal.js"

/** What is asked, and by whom. */
export interface Asked {
  readonly id: number
  readonly client: string
  readonly tier: string
  /** Made for something that the client wanted, and not because the call before was over. */
  readonly wanted: boolean
  readonly class: OperationClass
  /** The same question has the same answer. */
  readonly question: number
  /** The statement is wrong, and fails wherever it is tried. */
  readonly mistaken: boolean
  /** Monotonic milliseconds. */
  readonly startedAt: number
  readonly deadlineMs: number
  readonly timeoutMs: number
  readonly estimatedBytes: number
}

export class Call {
  /**
   * When the guard was asked: at once, or after a wait in vain for the answer to the same question of another
   * client; never, if that answer came.
   */
  guardedAt: number | undefined = undefined
  /** Tokens taken from the buckets, and given back. */
  acquired = 0
  refunded = 0
  /** Reservations of quota made, settled with the truth, and released. */
  reserved = 0
  settled = 0
  released = 0
  /** Attempts to reach the warehouse, statements that were sent, and those of them that must be paid for. */
  attempts = 0
  sent = 0
  paid = 0
  /** Result bytes delivered. */
  bytes = 0
  /** Slots and breaker permits held, statements in the warehouse. */
  slots = 0
  permits = 0
  statements = 0

  constructor(readonly asked: Asked) {}
}

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
  throw new Error(`no simulated client is called ${principal.client}`)
}
