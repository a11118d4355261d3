/**
 * Is a text of JSON small enough in shape to be parsed and walked? Counted over the characters, before
 * anything is built: what is deep or has many parts costs far more than its bytes say.
 *
 * Says nothing about whether the text is valid; that is the parser's to find.
 *
 * @since 0.1.0
 */

export interface Bounds {
  readonly maxDepth: number
  /** Members and items, at most. */
  readonly maxParts: number
}

export type Problem = "depth" | "parts"

const QUOTE = 34
const COMMA = 44
const BACKSLASH = 92
const OPEN_BRACKET = 91
const CLOSE_BRACKET = 93
const OPEN_BRACE = 123
const CLOSE_BRACE = 125

export const check = (text: string, { maxDepth, maxParts }: Bounds): Problem | undefined => {
  let depth = 0
  let parts = 0
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case QUOTE:
        for (i++; i < text.length; i++) {
          const code = text.charCodeAt(i)
          if (code === BACKSLASH) i++
          else if (code === QUOTE) break
        }
        break
      case OPEN_BRACKET:
      case OPEN_BRACE:
        if (++depth > maxDepth) return "depth"
        if (++parts > maxParts) return "parts"
        break
      case CLOSE_BRACKET:
      case CLOSE_BRACE:
        depth--
        break
      case COMMA:
        if (++parts > maxParts) return "parts"
        break
    }
  }
  return undefined
}
