/**
 * What is said once, and then only counted: a message that comes again and again is told the first time
 * and afterwards once a period, with how many there were meanwhile.
 *
 * Invariants
 * 1. Every occurrence is either told or counted; what `take` returns is the sum of what was not told.
 * 2. `counts.size <= maxKeys`, whatever the keys are; what has no room is counted under `others`.
 *
 * Updated in place. Call `take` once a period.
 */

interface Repeats<A> {
  readonly maxKeys: number
  readonly counts: Map<string, { readonly about: A; untold: number }>
  others: number
}

interface Untold<A> {
  /** Of each message that came again: what was said of its first occurrence, and how many followed. */
  readonly repeated: ReadonlyArray<{ readonly about: A; readonly times: number }>
  /** Occurrences of messages there was no room to keep apart. */
  readonly others: number
}

export const make = <A>(maxKeys: number): Repeats<A> => ({ maxKeys, counts: new Map(), others: 0 })

/** True: this one is to be told. `times` when it stands for several. */
export const isFirst = <A>(repeats: Repeats<A>, key: string, about: A, times = 1): boolean => {
  const known = repeats.counts.get(key)
  if (known !== undefined) {
    known.untold += times
    return false
  }
  if (repeats.counts.size >= repeats.maxKeys) {
    repeats.others += times
    return false
  }
  repeats.counts.set(key, { about, untold: 0 })
  return true
}

/** What was not told since the last time. What was quiet since then is forgotten: news when it comes again. */
export const take = <A>(repeats: Repeats<A>): Untold<A> => {
  const repeated: Array<{ readonly about: A; readonly times: number }> = []
  for (const [key, entry] of repeats.counts) {
    if (entry.untold === 0) repeats.counts.delete(key)
    else {
      repeated.push({ about: entry.about, times: entry.untold })
      entry.untold = 0
    }
  }
  const { others } = repeats
  repeats.others = 0
  return { repeated, others }
}
