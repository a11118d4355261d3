/**
 * The `id` of a JSON-RPC message, found in its bytes alone: for what is too long to be kept, or whose number
 * a parser would round. Keeps a few bytes, however long the message is.
 *
 * Looks at the members of the outermost object, wherever `id` stands among them; of two the last one counts,
 * as for `JSON.parse`. Says nothing about whether the message is valid JSON.
 *
 * @since 0.1.0
 */

/** Longer than any id that is accepted, each of its characters escaped. */
const MAX_BYTES = 2_048

const QUOTE = 34
const COMMA = 44
const COLON = 58
const BACKSLASH = 92
const OPEN_BRACKET = 91
const CLOSE_BRACKET = 93
const OPEN_BRACE = 123
const CLOSE_BRACE = 125

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

/** Of a message that is there as a whole. */
export const of = (bytes: Uint8Array): string | undefined => {
  const scan = make()
  scan.push(bytes)
  return scan.id()
}
