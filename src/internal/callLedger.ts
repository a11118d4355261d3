/**
 * What one guarded call did, over all its attempts, and when that can be told.
 *
 * A caller is answered at its deadline, or leaves, while an attempt of its call may still be winding down:
 * its statement runs until the warehouse has heard of the cancellation. The call is settled once, when its
 * last attempt has closed, so that this time and what is told in it are paid for as well.
 *
 * ```
 *   answered, no attempt open -------------------> settle
 *   answered, attempts open --> deferred --------> settle, in the fiber of the last attempt to close
 *                                   |
 *                                   +- the guard's scope closes first: settled with what is known then
 * ```
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as Step from "./step.js"

export type Settle = (moment: Step.Moment) => Effect.Effect<void>

export class CallLedger {
  /** Was a statement about to be sent, by any attempt? */
  sent = false
  /** ... by the attempt that is under way, or was the last? */
  sending = false
  /** Did one of the attempts before it leave the process, as far as anybody knows? */
  left = false
  bytes = 0
  /** Undefined while nobody has told. */
  scanBytes: number | undefined = undefined
  /** Attempts that have not closed. */
  open = 0
  /** To be run by the last of them, if the call was over before. */
  deferred: Settle | undefined = undefined
  /** Statements in the warehouse. */
  private running = 0
  /** Milliseconds: those that have ended took, less when those began that run. */
  private statements = 0

  statementBegun(now: number): void {
    this.running += 1
    this.statements -= now
  }
  statementEnded(now: number): void {
    this.running -= 1
    this.statements += now
  }
  /** Milliseconds that statements have run in the warehouse until now, over all attempts. */
  statementMs(moment: Step.Moment): number {
    if (this.running === 0) return this.statements
    return Math.max(0, this.statements + this.running * moment.later().now)
  }
}

export interface Settlements {
  /** Settles a call that is over: now, or when its last attempt has closed. */
  readonly settle: (moment: Step.Moment, ledger: CallLedger, settle: Settle) => Effect.Effect<void>
}

/** What is still deferred when the scope closes is settled then: a store that was closed hears nothing. */
export const make: Effect.Effect<Settlements, never, Scope.Scope> = Effect.gen(function* () {
  const deferred = new Set<CallLedger>()
  yield* Effect.addFinalizer(() =>
    Effect.forEach([...deferred], (ledger) => Step.make((moment) => ledger.deferred?.(moment) ?? Exit.void), {
      discard: true
    })
  )
  return {
    settle: (moment, ledger, settle) => {
      if (ledger.open === 0) return settle(moment)
      deferred.add(ledger)
      ledger.deferred = (moment) => {
        ledger.deferred = undefined
        deferred.delete(ledger)
        return settle(moment)
      }
      return Exit.void
    }
  }
})
