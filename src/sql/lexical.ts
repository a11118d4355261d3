/**
 * The parts of the lexer that need no state: comments, dollar strings, escapes, and the words for what
 * is refused.
 */
import { upper } from "./Identifier.js"

export interface LexicalError {
  readonly code: "TOO_LARGE" | "SYNTAX"
  readonly message: string
  /** Offset in UTF-16 units; absent when the whole text is meant. */
  readonly position: number | undefined
}

export const error = (
  message: string,
  position: number | undefined,
  code: LexicalError["code"] = "SYNTAX"
): LexicalError => ({ code, message, position })

/** Line ends of other lexers, and controls: a comment that holds one ends in different places. */
const commentBreaker = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u0085\u2028\u2029]|\r(?!\n|$)/

const breakerIn = (body: string, start: number): LexicalError | undefined => {
  const found = body.search(commentBreaker)
  return found < 0
    ? undefined
    : error("a comment holds a control character or an unusual line end", start + found)
}

/** The offset after a comment that ends at LF. */
export const skipLineComment = (sql: string, start: number): number | LexicalError => {
  const lf = sql.indexOf("\n", start)
  const end = lf < 0 ? sql.length : lf + 1
  return breakerIn(sql.slice(start, end), start) ?? end
}

/** The offset after a comment that does not nest. */
export const skipBlockComment = (sql: string, start: number): number | LexicalError => {
  const first = sql.charAt(start + 2)
  // `/*/` is a whole comment to some lexers, and `/*!` is executed by others.
  if (first === "/" || first === "!") return error(`a comment starts with /*${first}`, start)
  const close = sql.indexOf("*/", start + 2)
  if (close < 0) return error("a comment is not closed", start)
  const body = sql.slice(start + 2, close)
  const nested = body.indexOf("/*")
  if (nested >= 0) return error("a comment holds another comment", start + 2 + nested)
  return breakerIn(body, start + 2) ?? close + 2
}

/** The offset after the dollar string that `tag` opens. */
export const closingDollar = (sql: string, start: number, tag: string): number | LexicalError => {
  const close = sql.indexOf(tag, start + tag.length)
  if (close < 0) return error(`a ${tag} string is not closed`, start)
  const end = close + tag.length
  if (sql.slice(start, end).includes("\0")) return error("a string literal holds a NUL", start)
  // `$$a$$$` and `$$a$$b` are cut in different places by different lexers.
  return /[A-Za-z0-9_$]/.test(sql.charAt(end)) ? error(`put a space after the ${tag} string`, end) : end
}

const escape = /''|\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([^]))/g
const named: Readonly<Record<string, string>> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" }

/** The value of a string body with backslash escapes, or undefined when it is not plain text. */
export const decodeEscapes = (body: string): string | undefined => {
  if (!body.includes("\\")) return body.replaceAll("''", "'")
  let plain = true
  const value = body.replace(
    escape,
    (whole, octal?: string, byte?: string, unit?: string, point?: string, other?: string): string => {
      if (whole === "''") return "'"
      if (other !== undefined) return named[other] ?? other
      const digits = octal ?? byte
      const code = octal !== undefined ? parseInt(octal, 8) : parseInt(byte ?? unit ?? point ?? "", 16)
      // Bytes above ASCII are pieces of UTF-8, which is for the warehouse to judge.
      if (code > 0x10ffff || (digits !== undefined && code > 0x7f)) plain = false
      return plain ? String.fromCodePoint(code) : ""
    }
  )
  return plain ? value : undefined
}

const spelled = (code: number): string => `U+${code.toString(16).toUpperCase().padStart(4, "0")}`

/** A character as it is, where that is a letter or a sign of its own. */
const shown = (code: number): string => {
  const char = String.fromCodePoint(code)
  return `the character ${/^[\p{L}\p{N}\p{P}\p{S}]$/u.test(char) ? `${char} (${spelled(code)})` : spelled(code)}`
}

const inName = /[\p{L}\p{M}\p{N}_$]/u

/** A name that is longer is not repeated. */
const LONGEST_NAME = 64

/** What to write in place of a character beyond ASCII. */
const insteadOf = (sql: string, at: number, code: number): string => {
  if (/[\u2018\u2019\u201A\u201C-\u201F]/.test(String.fromCodePoint(code)))
    return `quotes are ' around a text and " around a name`
  if (!inName.test(String.fromCodePoint(code))) return "only ASCII is allowed there"
  // More of it than is repeated, also where half a character is cut off.
  const enough = LONGEST_NAME + 2
  const before = sql.slice(Math.max(0, at - enough), at)
  const after = sql.slice(at, at + enough)
  const [head = ""] = /[\p{L}\p{M}\p{N}_$]*$/u.exec(before) ?? []
  const [tail = ""] = /^[\p{L}\p{M}\p{N}_$]+/u.exec(after) ?? []
  const name = upper(head + tail)
  return (
    "a name that holds one is written in double quotes, in the letters that describe_table shows" +
    (name.length > LONGEST_NAME ? "" : `: "${name}"`)
  )
}

/** What to say about a character that belongs to no token. */
export const unprintable = (sql: string, at: number): string => {
  const code = sql.codePointAt(at) ?? 0
  if (code === 0x60) return "backticks are not identifier quotes here; use double quotes"
  if (code === 0x23) return "# starts no comment and no operator here"
  if (code === 0x5c) return "a backslash outside a string"
  if (code < 0x20 || code === 0x7f) return `the control character ${spelled(code)} outside quotes`
  return code > 0x7f
    ? `${shown(code)} outside quotes; ${insteadOf(sql, at, code)}`
    : `the character ${String.fromCodePoint(code)} is not part of a read`
}
