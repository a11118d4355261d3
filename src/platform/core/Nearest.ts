/**
 * The existing names that were most likely meant by a name that does not exist.
 */

/**
 * Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`: the optimal string alignment
 * distance, which counts the swapped letters of a typing mistake as one edit instead of two.
 */
export const distance = (a: string, b: string): number => {
  if (a === b) return 0
  let beforeLast: Array<number> = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let best = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, beforeLast[j - 2]! + 1)
      }
      row.push(best)
    }
    beforeLast = last
    last = row
  }
  return last[b.length]!
}

// Names longer than this are not typing mistakes of one another worth a quadratic comparison.
const LONGEST = 128

/** Letters of which there is another spelling without a mark: `GRÖSSE` is asked for as GROESSE and as GROSSE. */
const spellings: ReadonlyArray<readonly [letter: RegExp, spelling: string]> = [
  [/Ä/g, "AE"],
  [/Ö/g, "OE"],
  [/Ü/g, "UE"],
  [/Å/g, "AA"],
  [/Ø/g, "OE"]
]

/** In upper case (`ß` is `SS`) and without marks, then as it is spelt without them. */
const normalised = (name: string): ReadonlyArray<string> => {
  const upper = name.normalize("NFC").toUpperCase()
  if (/^[\x20-\x7e]*$/.test(upper)) return [upper]
  const plain = upper.normalize("NFKD").replace(/\p{M}+/gu, "")
  const spelt = spellings.reduce((text, [letter, spelling]) => text.replace(letter, spelling), upper)
  return spelt === upper ? [plain] : [plain, spelt.normalize("NFKD").replace(/\p{M}+/gu, "")]
}

const least = (names: ReadonlyArray<string>, of: (name: string) => number): number =>
  names.reduce((best, name) => Math.min(best, of(name)), Number.POSITIVE_INFINITY)

const score = (wanted: string, candidate: string): number => {
  if (wanted === candidate) return 0
  const shorter = Math.min(wanted.length, candidate.length)
  // ORDER -> ORDERS, CUSTOMER_LIFETIME -> CUSTOMER_LIFETIME_VALUE: the tail costs little, however long it is.
  if (shorter >= 3 && (candidate.startsWith(wanted) || wanted.startsWith(candidate))) {
    return 0.5 + Math.abs(candidate.length - wanted.length) / 100
  }
  const edits = distance(wanted, candidate)
  if (edits <= Math.max(1, Math.floor(wanted.length / 3))) return edits
  // USER_ORDERS -> ORDERS, EVENTS -> WEB_EVENTS: one is contained in the other.
  if (shorter >= 4 && (candidate.includes(wanted) || wanted.includes(candidate))) return 50
  return Number.POSITIVE_INFINITY
}

/**
 * At most `max` of the `candidates` that resemble `name`, most alike first, without regard to case;
 * candidates that resemble it equally keep their order. Nothing that merely happens to be short or first
 * is offered: a wrong suggestion is worse than none.
 */
export const nearest = (name: string, candidates: Iterable<string>, max = 3): ReadonlyArray<string> => {
  const wanted = normalised(name)
  if (name.length === 0 || name.length > LONGEST) return []
  const scored: Array<{ readonly candidate: string; readonly score: number }> = []
  const seen = new Set<string>()
  for (const candidate of candidates) {
    if (seen.has(candidate) || candidate.length === 0 || candidate.length > LONGEST) continue
    seen.add(candidate)
    const spelt = normalised(candidate)
    const value = least(wanted, (one) => least(spelt, (other) => score(one, other)))
    if (value !== Number.POSITIVE_INFINITY) scored.push({ candidate, score: value })
  }
  return scored
    .sort((x, y) => x.score - y.score)
    .slice(0, max)
    .map((entry) => entry.candidate)
}
