/**
 * How many of something are under way, bounded in total and for each owner.
 *
 * Invariant: `all` is the sum of `each`, at most `max`; no owner has more than `maxEach`. Updated in place: its owner
 * must use it linearly.
 *
 * @since 0.1.0
 */

export interface Shares {
  readonly max: number
  readonly maxEach: number
  all: number
  readonly each: Map<string, number>
}

export const make = (max: number, maxEach: number): Shares => ({ max, maxEach, all: 0, each: new Map() })

/** Takes one; otherwise says which bound there was no room under, and takes nothing. */
export const take = (shares: Shares, owner: string): "taken" | "full" | "own-full" => {
  const own = shares.each.get(owner) ?? 0
  if (shares.all >= shares.max) return "full"
  if (own >= shares.maxEach) return "own-full"
  shares.all += 1
  shares.each.set(owner, own + 1)
  return "taken"
}

export const release = (shares: Shares, owner: string): void => {
  const own = shares.each.get(owner)
  if (own === undefined) return
  shares.all -= 1
  if (own === 1) shares.each.delete(owner)
  else shares.each.set(owner, own - 1)
}
