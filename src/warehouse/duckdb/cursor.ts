/**
 * Reads tokens from left to right; each method takes what it is named after, or takes nothing.
 *
 * @since 0.1.0
 */
import type { Token, TokenKind } from "../../sql/Lexer.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Cursor {
  readonly index: number
  readonly done: boolean
  /** The text of the next token, for messages. */
  readonly text: string
  /** Where the next token starts. */
  readonly offset: number
  readonly word: (value: string) => boolean
  readonly anyWord: () => string | undefined
  readonly operator: (value: string) => boolean
  readonly close: () => boolean
  readonly string: () => string | undefined
  readonly number: () => number | undefined
  /** `a.b.c`, at most three parts: quoted ones as they are, the others in upper case. */
  readonly name: () => ReadonlyArray<string> | undefined
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const cursor = (tokens: ReadonlyArray<Token>, start: number): Cursor => {
  let index = start
  const take = (kind: TokenKind, value?: string): Token | undefined => {
    const token = tokens[index]
    if (token?.kind !== kind || (value !== undefined && token.value !== value)) return undefined
    index++
    return token
  }
  return {
    get index() {
      return index
    },
    get done() {
      return index >= tokens.length
    },
    get text() {
      return tokens[index]?.text ?? "end of the statement"
    },
    get offset() {
      return tokens[index]?.start ?? 0
    },
    word: (value) => take("word", value) !== undefined,
    anyWord: () => take("word")?.value,
    operator: (value) => take("operator", value) !== undefined,
    close: () => take("close") !== undefined,
    string: () => (take("string") ?? take("dollar"))?.value,
    number: () => {
      const text = take("number")?.value
      return text === undefined ? undefined : Number(text)
    },
    name: () => {
      const before = index
      const parts: Array<string> = []
      do {
        const part = take("quoted") ?? take("word")
        if (part === undefined || parts.length === 3) {
          index = before
          return undefined
        }
        parts.push(part.value)
      } while (take("operator", ".") !== undefined)
      return parts
    }
  }
}
