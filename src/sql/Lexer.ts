/**
 * Splits SQL text into tokens, once, in linear time, and refuses every text that two lexers could read
 * differently.
 *
 * A gate that misreads where a literal or a comment ends misreads everything after it, so nothing is
 * guessed here: what is not plainly a token of the dialect is a {@link LexicalError}. Invariants:
 *  - limits come first: bytes before scanning, tokens and bracket depth while scanning;
 *  - outside quotes and comments only printable ASCII, space, tab and line ends occur;
 *  - brackets are balanced in every accepted text;
 *  - comments are dropped; each was ended by the only end that all lexers agree on.
 */
import * as Either from "effect/Either"
import type { Dialect } from "./Dialect.js"
import { closingDollar, decodeEscapes, skipBlockComment, skipLineComment } from "./lexical.js"
import type { LexicalError } from "./lexical.js"
import { error, unprintable } from "./lexical.js"

export type { LexicalError } from "./lexical.js"

export type TokenKind =
  | "word"
  | "quoted"
  | "string"
  | "dollar"
  | "hex"
  | "number"
  | "operator"
  | "open"
  | "close"
  /** `$name`, `$1`, `?`: a session variable, a column by position, a bind. */
  | "variable"

export interface Token {
  readonly kind: TokenKind
  /** As written. */
  readonly text: string
  /** Words in upper case; quoted identifiers and strings decoded; everything else as written. */
  readonly value: string
  /** Offsets into the text, in UTF-16 units. */
  readonly start: number
  readonly end: number
  /** How many brackets are open around the token; a bracket is outside the pair it belongs to. */
  readonly depth: number
}

export interface Limits {
  /** Of the UTF-8 text. */
  readonly bytes: number
  readonly tokens: number
  readonly depth: number
}

export const defaultLimits: Limits = { bytes: 100_000, tokens: 50_000, depth: 200 }

/**
 * For Snowflake, which itself takes statements of one megabyte; generated ones with long lists of values get
 * near it. The work is linear: some 100 ms at the bound.
 */
export const snowflakeLimits: Limits = { bytes: 1_000_000, tokens: 200_000, depth: 200 }

const wordStart = /[A-Za-z_]/
const wordRest = /[A-Za-z0-9_$]*/y
const plainNumber = /(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y
const extendedNumber =
  /0[xX][0-9a-fA-F]+(?:_[0-9a-fA-F]+)*|0[bB][01]+(?:_[01]+)*|(?:\d+(?:_\d+)*(?:\.(?:\d+(?:_\d+)*)?)?|\.\d+(?:_\d+)*)(?:[eE][+-]?\d+(?:_\d+)*)?/y
const dollarTag = /\$(?:[A-Za-z_][A-Za-z0-9_]*)?\$/y
const variableName = /\$[A-Za-z0-9_]+/y
/** `$` as the anchor of a row pattern. */
const patternEnd = /\$[ \t\r\n]*[)|]/y
const closers: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" }
const operatorCharacters = "+-*/%<>=!~^&|@.,:;"

const stickyMatch = (pattern: RegExp, sql: string, at: number): string => {
  pattern.lastIndex = at
  return pattern.exec(sql)?.[0] ?? ""
}

/**
 * True when the UTF-8 form is longer; stops counting as soon as it is.
 */
export const exceedsBytes = (sql: string, limit: number): boolean => {
  if (sql.length > limit) return true
  if (sql.length * 3 <= limit) return false
  let bytes = 0
  for (let at = 0; at < sql.length; at++) {
    const code = sql.charCodeAt(at)
    // A surrogate is half of a four-byte character.
    bytes += code < 0x80 ? 1 : code < 0x800 || (code >= 0xd800 && code <= 0xdfff) ? 2 : 3
  }
  return bytes > limit
}

/**
 * The tokens of `sql`, or why it cannot be read unambiguously.
 */
export const tokenize = (
  sql: string,
  dialect: Dialect,
  limits: Limits = defaultLimits
): Either.Either<ReadonlyArray<Token>, LexicalError> => {
  if (exceedsBytes(sql, limits.bytes)) {
    return Either.left(error(`the statement is longer than ${limits.bytes} bytes`, undefined, "TOO_LARGE"))
  }
  const malformed = sql.search(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/)
  if (malformed >= 0)
    return Either.left(error("the text is not valid Unicode (half a surrogate pair)", malformed))
  const tokens: Array<Token> = []
  const brackets: Array<{ readonly closer: string; readonly at: number }> = []
  let at = 0

  /** Adds a token that ends at `end`; the word or number before a quote must not touch it. */
  const push = (kind: TokenKind, end: number, value?: string): LexicalError | undefined => {
    const text = sql.slice(at, end)
    const isString = kind === "string" || kind === "dollar" || kind === "hex"
    const last = tokens[tokens.length - 1]
    if (last !== undefined && (isString || kind === "quoted") && last.end === at) {
      const glued = last.kind === "word" && !dialect.beforeQuote.has(last.value)
      if (glued || last.kind === "number" || last.kind === "variable") {
        return error(`put a space between ${last.text} and the quote`, at)
      }
      // U&'...' is a string with escapes to some lexers.
      if (
        last.text === "&" &&
        tokens[tokens.length - 2]?.value === "U" &&
        tokens[tokens.length - 2]?.end === last.start
      ) {
        return error("Unicode escape strings (U&'...') are not supported", last.start)
      }
    }
    if (!dialect.adjacentStrings && isString && (last?.kind === "string" || last?.kind === "dollar")) {
      return error("two string literals in a row; join them with ||", at)
    }
    if (tokens.length >= limits.tokens) {
      return error(`the statement has more than ${limits.tokens} tokens`, at, "TOO_LARGE")
    }
    tokens.push({ kind, text, value: value ?? text, start: at, end, depth: brackets.length })
    at = end
    return undefined
  }

  /** A quoted run from `open` (the offset of its first quote); doubled quotes stand for one. */
  const quotedEnd = (open: number, quote: number, escapes: boolean): number => {
    for (let i = open + 1; i < sql.length; i++) {
      const code = sql.charCodeAt(i)
      if (code === 0) return -1
      if (escapes && code === 0x5c) i++
      else if (code === quote) {
        if (sql.charCodeAt(i + 1) !== quote) return i + 1
        i++
      }
    }
    return -1
  }

  const string = (open: number, escapes: boolean): LexicalError | undefined => {
    const end = quotedEnd(open, 0x27, escapes)
    if (end < 0) return error("a string literal is not closed (or holds a NUL)", open)
    const body = sql.slice(open + 1, end - 1)
    if (body.includes("\0")) return error("a string literal holds a NUL", open)
    if (!escapes) return push("string", end, body.replaceAll("''", "'"))
    const value = decodeEscapes(body)
    // An escaped NUL stays an escape in the canonical text only where every string has escapes.
    return value === undefined || (value.includes("\0") && !dialect.backslashEscapes)
      ? error("a string literal holds an escape sequence that is not supported", open)
      : push("string", end, value)
  }

  const step = (): LexicalError | undefined => {
    const code = sql.charCodeAt(at)
    if (code === 0x20 || code === 0x0a || code === 0x09 || code === 0x0d) {
      at++
      return undefined
    }
    const char = sql.charAt(at)
    const next = sql.charAt(at + 1)
    if (wordStart.test(char)) {
      const end = at + 1 + stickyMatch(wordRest, sql, at + 1).length
      const word = sql.slice(at, end)
      if (sql.charCodeAt(end) === 0x27) {
        if (word === "x" || word === "X") {
          const close = sql.indexOf("'", end + 1) + 1
          const body = sql.slice(end + 1, Math.max(close - 1, end + 1))
          return close > 0 && /^(?:[0-9a-fA-F]{2})*$/.test(body) && sql.charCodeAt(close) !== 0x27
            ? push("hex", close, body.toUpperCase())
            : error("a hexadecimal literal holds pairs of hexadecimal digits only", at)
        }
        if (dialect.escapeStrings && (word === "e" || word === "E")) return string(end, true)
      }
      // Some lexers end the word before `$` and see the start of a dollar string.
      if (word.indexOf("$") !== word.lastIndexOf("$")) {
        return error(`${word} holds more than one $; quote the identifier`, at)
      }
      return push("word", end, word.toUpperCase())
    }
    if ((code >= 0x30 && code <= 0x39) || (char === "." && /[0-9]/.test(next))) {
      const last = tokens[tokens.length - 1]
      if (
        char === "." &&
        last !== undefined &&
        last.end === at &&
        last.kind !== "operator" &&
        last.kind !== "open"
      ) {
        return error("a number cannot follow directly; put a space before it", at)
      }
      const end = at + stickyMatch(dialect.extendedNumbers ? extendedNumber : plainNumber, sql, at).length
      return /[A-Za-z0-9_$.]/.test(sql.charAt(end))
        ? error(`${sql.slice(at, end)} runs into the next word; put a space between them`, at)
        : push("number", end)
    }
    if (code === 0x27) return string(at, dialect.backslashEscapes)
    if (code === 0x22) {
      const end = quotedEnd(at, 0x22, false)
      if (end < 0) return error("a quoted identifier is not closed (or holds a NUL)", at)
      const body = sql.slice(at + 1, end - 1)
      if (body.length === 0) return error("a quoted identifier is empty", at)
      // Where a backslash escapes, this identifier would end somewhere else.
      if (body.includes("\\")) return error("a quoted identifier holds a backslash", at)
      return push("quoted", end, body.replaceAll('""', '"'))
    }
    if (code === 0x2d && next === "-") return skip(skipLineComment(sql, at))
    if (code === 0x2f && next === "/" && dialect.slashComments) return skip(skipLineComment(sql, at))
    if (code === 0x2f && next === "*") return skip(skipBlockComment(sql, at))
    if (code === 0x2a && next === "/") return error("a comment ends here that was never opened", at)
    if (code === 0x24) return dollar()
    if (char === "?") return push("variable", at + 1)
    const closer = closers[char]
    if (closer !== undefined) {
      if (char === "{" && (next === "{" || next === "%")) return error("template syntax is not SQL", at)
      const open = at
      const problem = push("open", at + 1)
      brackets.push({ closer, at: open })
      return problem ?? (brackets.length > limits.depth ? deep(open) : undefined)
    }
    if (char === ")" || char === "]" || char === "}") {
      const open = brackets.pop()
      if (open === undefined) return error(`${char} closes a bracket that was never opened`, at)
      if (open.closer !== char) return error(`${char} closes a bracket that wants ${open.closer}`, at)
      return push("close", at + 1)
    }
    if (char === ":" && next === "=") return error("assignments (:=) are not part of a read", at)
    for (const operator of dialect.operators.get(char) ?? []) {
      if (sql.startsWith(operator, at)) return push("operator", at + operator.length)
    }
    if (operatorCharacters.includes(char)) return push("operator", at + 1)
    return error(unprintable(sql, at), at)
  }

  const deep = (open: number) => error(`brackets are nested deeper than ${limits.depth}`, open, "TOO_LARGE")

  const skip = (end: number | LexicalError): LexicalError | undefined => {
    if (typeof end !== "number") return end
    at = end
    return undefined
  }

  const dollar = (): LexicalError | undefined => {
    const tag = stickyMatch(dollarTag, sql, at)
    if (tag === "$$" || (tag !== "" && dialect.taggedDollarStrings)) {
      const end = closingDollar(sql, at, tag)
      return typeof end === "number" ? push("dollar", end, sql.slice(at + tag.length, end - tag.length)) : end
    }
    // `$a$` opens a string to some lexers and is a variable to others.
    if (tag !== "")
      return error(`${tag} is neither a variable nor a string; strings are '...' or $$...$$`, at)
    const name = stickyMatch(variableName, sql, at)
    if (name === "") {
      return dialect.dollarOperator && stickyMatch(patternEnd, sql, at) !== ""
        ? push("operator", at + 1)
        : error("$ without a name", at)
    }
    return sql.charAt(at + name.length) === "$"
      ? error(`${name}$ is neither a variable nor a string`, at)
      : push("variable", at + name.length)
  }

  while (at < sql.length) {
    const problem = step()
    if (problem !== undefined) return Either.left(problem)
  }
  const open = brackets[brackets.length - 1]
  return open === undefined
    ? Either.right(tokens)
    : Either.left(error(`a bracket is not closed; ${open.closer} is missing`, open.at))
}
