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
  /** Members of objects, at most: what checks a message looks at each of them, several times. */
  readonly maxMembers: number
}

export type Problem = "depth" | "parts" | "members"

const QUOTE = 34
const COMMA = 44
const COLON = 58
const BACKSLASH = 92
const OPEN_BRACKET = 91
const CLOSE_BRACKET = 93
const OPEN_BRACE = 123
const CLOSE_BRACE = 125

/** Where the string ends that begins here; what is long is left to the search of the engine. */
const endOfString = (text: string, start: number): number => {
  for (let end = text.indexOf('"', start); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = end
    while (escapes > start && text.charCodeAt(escapes - 1) === BACKSLASH) escapes--
    if ((end - escapes) % 2 === 0) return end
  }
  return text.length
}

export const check = (text: string, bounds: Bounds): Problem | undefined => {
  const { maxDepth, maxMembers, maxParts } = bounds
  let depth = 0
  let parts = 0
  let members = 0
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case QUOTE:
        i = endOfString(text, i + 1)
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
      case COLON:
        if (++members > maxMembers) return "members"
        break
      case COMMA:
        if (++parts > maxParts) return "parts"
        break
    }
  }
  return undefined
}
