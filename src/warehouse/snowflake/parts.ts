/**
 * The text of one part of a result, cut into rows while it arrives: `["1","a"],["2","b"]`, without the brackets
 * around it (with them it is read too). Pure.
 *
 * Only what is not yet a whole row is kept, so that a part of any size is read in the memory of a few rows.
 */

/**
 * The text is not what a part holds.
 */
export class Malformed extends Error {
  override readonly name = "Malformed"
}

interface Splitter {
  /** The rows that end in this piece of the text; throws {@link Malformed}. */
  readonly push: (piece: string) => ReadonlyArray<unknown>
  /** Throws {@link Malformed} when the text ended in the middle of something. */
  readonly end: () => void
}

const QUOTE = 34
const BACKSLASH = 92
const isSpace = (code: number): boolean => code === 32 || code === 10 || code === 13 || code === 9
const opens = (code: number): boolean => code === 91 || code === 123
const closes = (code: number): boolean => code === 93 || code === 125

export const splitter = (): Splitter => {
  let pending: Array<string> = []
  let inString = false
  let escaped = false
  let depth = 0
  /** How deep a row lies: 0, or 1 inside brackets around all rows. Known with the second bracket. */
  let base: number | undefined
  let isFirst = true

  /**
   * The index behind the last row that ends in the piece; 0 when none does. One character after another: the cells
   * are short, and a search for each quote costs ten times as much.
   */
  const scan = (piece: string): number => {
    let lastEnd = 0
    for (let at = 0; at < piece.length; at++) {
      const code = piece.charCodeAt(at)
      if (inString) {
        if (escaped) escaped = false
        else if (code === BACKSLASH) escaped = true
        else if (code === QUOTE) inString = false
        continue
      }
      if (isSpace(code)) continue
      if (base === undefined) {
        if (depth === 0 && code !== 91) throw new Malformed("no row where one should begin")
        if (depth === 1) base = code === 91 ? 1 : 0
      }
      if (code === QUOTE) inString = true
      else if (opens(code)) depth++
      else if (closes(code)) {
        depth--
        if (depth < 0) throw new Malformed("a bracket too many")
        if (depth === base) lastEnd = at + 1
      }
    }
    return lastEnd
  }

  /** Undefined when the text is not rows, each with its comma before it. */
  const parsed = (text: string): ReadonlyArray<unknown> | undefined => {
    const from = isFirst ? (base === 1 ? text.indexOf("[") + 1 : 0) : text.indexOf(",") + 1
    if (!isFirst && (from === 0 || text.slice(0, from - 1).trim() !== "")) return undefined
    try {
      const rows: ReadonlyArray<unknown> = JSON.parse(`[${text.slice(from)}]`)
      isFirst = false
      return rows
    } catch {
      return undefined
    }
  }

  const exactly = (piece: string): ReadonlyArray<unknown> => {
    const end = scan(piece)
    if (end === 0) {
      pending.push(piece)
      return []
    }
    const rows = parsed(pending.join("") + piece.slice(0, end))
    if (rows === undefined) throw new Malformed("rows that are not JSON, or that no comma separates")
    pending = end === piece.length ? [] : [piece.slice(end)]
    return rows
  }

  /**
   * A guess at where a row ends, near the end of the piece, saves looking at each character. Where it is wrong a text or
   * a bracket is left open, and that is not JSON.
   */
  const guessed = (piece: string): ReadonlyArray<unknown> | undefined => {
    // A row that has gone on for several pieces is not read from its beginning with each.
    if (base === undefined || pending.length > 1) return undefined
    const text = (pending[0] ?? "") + piece
    const end = text.lastIndexOf("],[") + 1
    const rows = end === 0 ? undefined : parsed(text.slice(0, end))
    if (rows === undefined) return undefined
    pending = []
    inString = false
    escaped = false
    depth = base
    return rows.concat(exactly(text.slice(end)))
  }

  return {
    push: (piece) => guessed(piece) ?? exactly(piece),
    end: () => {
      const rest = pending.join("").trim()
      if (inString || rest !== (base === 1 ? "]" : "")) throw new Malformed("the last row breaks off")
    }
  }
}
