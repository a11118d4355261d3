/**
 * Writes tokens back as the canonical text: no comments, single ASCII spaces, strings in the one
 * form that every lexer ends in the same place. That text is what is executed and logged.
 *
 * Invariant: the tokens of the canonical text are the tokens it was written from, so writing them again
 * changes nothing.
 */
import type { Dialect } from "../../sql/Dialect.js"
import type { Token } from "../../sql/Lexer.js"

const doubled = (text: string): string => text.replaceAll("'", "''")

/** `\'` is the one escape that moves the end of a string for a lexer without escapes. */
const withoutEscapedQuotes = (text: string): string =>
  text.replace(/\\([^])/g, (pair: string, next: string) => (next === "'" ? "''" : pair))

const written = (token: Token, dialect: Dialect): string => {
  if (token.kind === "string") {
    if (!dialect.backslashEscapes) return `'${doubled(token.value)}'`
    return `'${withoutEscapedQuotes(token.text.slice(1, -1))}'`
  }
  if (token.kind === "dollar") {
    const value = dialect.backslashEscapes ? token.value.replaceAll("\\", "\\\\") : token.value
    return `'${doubled(value)}'`
  }
  return token.kind === "hex" ? `X'${token.value}'` : token.text
}

const isName = (token: Token): boolean => token.kind === "word" || token.kind === "quoted"
const isOperand = (token: Token): boolean => token.kind !== "operator" && token.kind !== "open"

/** The quantifiers of a row pattern, as in `a+? b{2,3}`: their parts stay together where they were. */
const quantifies = (previous: Token, next: Token, beforePrevious: Token | undefined): boolean => {
  if (next.text === "?") {
    const ends = /^[*+?}]$/.test(previous.text) && previous.kind !== "quoted"
    return ends || previous.kind === "word" || previous.text === ")"
  }
  if (next.text === "{") return previous.kind === "word" || previous.text === ")"
  if (previous.text === "{") return next.kind === "number"
  return next.text === "}" && previous.kind === "number" && beforePrevious?.text !== ":"
}

/**
 * Whether two neighbours may touch. Only brackets, commas, dots and casts, which no lexer joins with what
 * stands beside them; everything else gets a space, so that no two operators ever become a third one.
 */
const touches = (previous: Token, next: Token, beforePrevious: Token | undefined): boolean => {
  const adjacent = previous.end === next.start
  if (adjacent && quantifies(previous, next, beforePrevious)) return true
  if (previous.kind === "open" && previous.text !== "{") return true
  if (next.kind === "close" && next.text !== "}") return true
  if (next.kind === "open")
    return adjacent && next.text !== "{" && (isName(previous) || previous.kind === "close")
  switch (next.text) {
    case ",":
      return true
    case ".":
      return isName(previous) || previous.kind === "close" || previous.kind === "variable"
    case "::":
      return isOperand(previous)
    case ":":
      return adjacent && isOperand(previous)
  }
  switch (previous.text) {
    case ".":
      return (
        beforePrevious !== undefined &&
        (isName(beforePrevious) || beforePrevious.kind === "close" || beforePrevious.kind === "variable") &&
        (isName(next) || next.kind === "variable" || next.text === "*")
      )
    case "::":
      return isName(next)
    case ":":
      return adjacent && (isName(next) || next.kind === "number" || next.kind === "variable")
    case "-":
      return (
        adjacent && next.kind === "number" && (beforePrevious === undefined || !isOperand(beforePrevious))
      )
  }
  return false
}

/** Calls `visit` with each token and the offset of its text in the canonical form. */
const layout = (
  tokens: ReadonlyArray<Token>,
  dialect: Dialect,
  visit: (token: Token, offset: number, text: string) => void
): string => {
  const parts: Array<string> = []
  let length = 0
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!
    const previous = tokens[i - 1]
    if (previous !== undefined && !touches(previous, token, tokens[i - 2])) {
      parts.push(" ")
      length += 1
    }
    const text = written(token, dialect)
    visit(token, length, text)
    parts.push(text)
    length += text.length
  }
  return parts.join("")
}

/**
 * The canonical text of `tokens`.
 */
export const emit = (tokens: ReadonlyArray<Token>, dialect: Dialect): string =>
  layout(tokens, dialect, () => undefined)

/**
 * Where the token that stands at `offset` of the canonical text (in UTF-8 bytes, as parsers count) stood
 * in the text that `tokens` came from, in UTF-16 units.
 */
export const sourceOffset = (
  tokens: ReadonlyArray<Token>,
  dialect: Dialect,
  offset: number
): number | undefined => {
  let found: number | undefined
  let extra = 0
  layout(tokens, dialect, (token, start, text) => {
    if (start + extra <= offset) found = token.start
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code > 0x7f) extra += code < 0x800 || (code >= 0xd800 && code <= 0xdfff) ? 1 : 2
    }
  })
  return found
}
