/**
 * What a quota store has to be told when it is back. Every message has an id under which the store takes it
 * once, however often it is sent.
 *
 * Invariant: of one reservation there is one message, and the first word on how it ended stands.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Owed } from "../../core/QuotaShareModel.js"
import type { Actual, QuotaName } from "../../QuotaStore.js"
import { QuotaStoreError } from "../../QuotaStore.js"

/** On a reservation that the store has granted. */
export type Word =
  | { readonly _tag: "submitted"; readonly id: string }
  | { readonly _tag: "settle"; readonly id: string; readonly actual: ReadonlyArray<Actual> }
  | { readonly _tag: "release"; readonly id: string }

/** Used without the store: admitted out of the share, more than was held, or lost by the store. */
export interface Charge extends Owed<QuotaName> {
  readonly _tag: "charge"
  readonly id: string
  readonly from: "share" | "truth" | "loss"
}

export interface Outbox {
  readonly words: Map<string, Word>
  readonly charges: Map<string, Charge>
  /** Words kept at most. */
  readonly capacity: number
  readonly prefix: string
  nextId: number
}

export const make = (prefix: string, capacity: number): Outbox => ({
  words: new Map(),
  charges: new Map(),
  capacity,
  prefix,
  nextId: 0
})

export const isEmpty = ({ charges, words }: Outbox): boolean => words.size === 0 && charges.size === 0

/** Keeps a word; fails when there are too many: the reservation then ends at its expiry. */
export const keep = (outbox: Outbox, word: Word): Effect.Effect<void, QuotaStoreError> =>
  Effect.suspend(() => {
    const before = outbox.words.get(word.id)
    if (before !== undefined && before._tag !== "submitted") return Effect.void
    if (before === undefined && outbox.words.size >= outbox.capacity) {
      return Effect.fail(
        new QuotaStoreError({
          operation: word._tag,
          description: `the quota store is out of reach, and ${outbox.capacity} calls already wait to be settled`
        })
      )
    }
    outbox.words.set(word.id, word)
    return Effect.void
  })

/** A charge for each key. */
export const chargesOf = (
  outbox: Outbox,
  from: Charge["from"],
  actual: Owed<QuotaName>["actual"]
): ReadonlyArray<Charge> =>
  [...new Set(actual.map(({ key }) => key))].map((key) => {
    outbox.nextId += 1
    return {
      _tag: "charge",
      id: `${outbox.prefix}${outbox.nextId}`,
      from,
      key,
      actual: actual.filter((each) => each.key === key)
    }
  })

export const owe = (outbox: Outbox, charges: ReadonlyArray<Charge>): void => {
  for (const charge of charges) outbox.charges.set(charge.id, charge)
}
