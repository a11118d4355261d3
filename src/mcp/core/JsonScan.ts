/**
 * What the characters of a JSON text say before it is parsed. Neither scan says whether the text is valid JSON; that is
 * the parser's to find.
 *
 * - {@link check}: is it small enough in shape to be parsed and walked? What is deep or has many parts costs far more
 *   than its bytes say.
 * - {@link make}, {@link idOf}: the `id` of a JSON-RPC message, for a message that is too long to be kept, or whose
 *   number a parser would round. Keeps a few bytes, however long the message is. It looks at the members of the
 *   outermost object; of two members `id` the last one counts, as for `JSON.parse`.
 *
 * @since 0.1.0
 */

export interface Bounds {
  readonly maxDepth: number
  /** Members and items, at most. */
  readonly maxParts: number
  /** Members of objects, at most: each of them is looked at several times when a message is checked. */
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

/** Where the string ends that begins here; long strings are left to the search of the engine. */
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

/** Longer than any id that is accepted, each of its characters escaped. */
const MAX_BYTES = 2_048

const isSpace = (byte: number): boolean => byte === 32 || byte === 9 || byte === 10 || byte === 13

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export interface Scan {
  /** The next bytes of the message. */
  readonly push: (bytes: Uint8Array) => void
  /** The id as it is written there, if it is a text or a number. */
  readonly id: () => string | undefined
}

export const make = (): Scan => {
  let depth = 0
  let isInString = false
  let isEscaped = false
  /** Between the comma (or brace) and the colon of a member of the outermost object. */
  let isInName = false
  let isObject: boolean | undefined
  /** The name or the value that is being read; undefined once it is of no interest. */
  let taken: Array<number> | undefined
  let found: string | undefined

  const text = (): string => Buffer.from(taken ?? []).toString("utf8")
  const take = (byte: number): void => {
    if (taken === undefined) return
    if (taken.length < MAX_BYTES) taken.push(byte)
    else taken = undefined
  }
  const endOfMember = (): void => {
    if (!isInName && taken !== undefined) found = text()
    taken = undefined
  }

  const outside = (byte: number): void => {
    switch (byte) {
      case QUOTE:
        isInString = true
        return take(byte)
      case OPEN_BRACE:
      case OPEN_BRACKET:
        depth += 1
        if (depth === 1) {
          isObject ??= byte === OPEN_BRACE
          isInName = true
          taken = []
        } else take(byte)
        return
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        if (depth === 1) endOfMember()
        else take(byte)
        depth -= 1
        return
      case COMMA:
        if (depth !== 1) return take(byte)
        endOfMember()
        isInName = true
        taken = []
        return
      case COLON:
        if (depth !== 1 || !isInName) return take(byte)
        isInName = false
        taken = parsed(text()) === "id" ? [] : undefined
        return
      default:
        if (depth > 0 && !isSpace(byte)) take(byte)
    }
  }

  return {
    push: (bytes) => {
      for (const byte of bytes) {
        if (!isInString) outside(byte)
        else {
          take(byte)
          if (isEscaped) isEscaped = false
          else if (byte === BACKSLASH) isEscaped = true
          else if (byte === QUOTE) isInString = false
        }
      }
    },
    id: () => {
      const value = found === undefined || isObject !== true ? undefined : parsed(found)
      return typeof value === "string" || typeof value === "number" ? found : undefined
    }
  }
}

/** The id of a whole message. */
export const idOf = (bytes: Uint8Array): string | undefined => {
  const scan = make()
  scan.push(bytes)
  return scan.id()
}
