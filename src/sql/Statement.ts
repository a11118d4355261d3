/**
 * What every gate decides from the tokens alone, before any parser sees the text: that there is exactly
 * one statement, that it starts like a read, and that it does not grow when a parser unfolds it.
 */
import * as Either from "effect/Either"
import * as Identifier from "./Identifier.js"
import type { Token } from "./Lexer.js"

/**
 * Why a statement is refused, in the words of the port.
 */
export interface Rejection {
  readonly code:
    | "EMPTY"
    | "TOO_LARGE"
    | "SYNTAX"
    | "MULTIPLE_STATEMENTS"
    | "NOT_A_READ"
    | "FUNCTION_NOT_ALLOWED"
    | "OBJECT_NOT_ALLOWED"
  readonly reason: string
  /** What else is wrong, in which names and words of the warehouse stand: nothing that the caller wrote. */
  readonly words?: string | undefined
  readonly position?: number | undefined
  readonly hint?: string | undefined
  /** Tables, in full, of which something has to be looked up before the statement can be decided on. */
  readonly lookUp?: ReadonlyArray<ReadonlyArray<string>> | undefined
  /** The same for those that are read by its views. */
  readonly lookUpBelow?: ReadonlyArray<ReadonlyArray<string>> | undefined
}

export const reject = (
  code: Rejection["code"],
  reason: string,
  position?: number,
  hint?: string
): Either.Either<never, Rejection> => Either.left({ code, reason, position, hint })

const readsAllowed = {
  duckdb:
    "SELECT, WITH ... SELECT, VALUES, SHOW DATABASES | SCHEMAS | TABLES | VIEWS | COLUMNS | OBJECTS, " +
    "DESCRIBE TABLE | VIEW and EXPLAIN of a query",
  snowflake:
    "SELECT, WITH ... SELECT, VALUES, SHOW and DESCRIBE of every kind of object (SHOW TABLES, DESCRIBE VIEW, " +
    "SHOW GRANTS, SHOW WAREHOUSES, ...) and EXPLAIN of a query"
}

export const notARead = (
  verb: string,
  position: number,
  dialect: keyof typeof readsAllowed
): Either.Either<never, Rejection> =>
  reject("NOT_A_READ", `${verb} is not a read; allowed are ${readsAllowed[dialect]}`, position)

/**
 * The tokens of the one statement, without the semicolons that end it.
 */
export const single = (tokens: ReadonlyArray<Token>): Either.Either<ReadonlyArray<Token>, Rejection> => {
  let last = tokens.length
  while (last > 0 && tokens[last - 1]?.text === ";") last--
  if (last === 0) return reject("EMPTY", "there is no statement in the text")
  for (let i = 0; i < last; i++) {
    const token = tokens[i]!
    if (token.text === ";") {
      return reject("MULTIPLE_STATEMENTS", "send one statement at a time, without a ; inside it", token.start)
    }
  }
  return Either.right(tokens.slice(0, last))
}

/**
 * Whether the token is this keyword and not a name: a word that no dot precedes.
 */
export const isKeyword = (tokens: ReadonlyArray<Token>, at: number, keyword: string): boolean =>
  tokens[at]?.kind === "word" && tokens[at].value === keyword && tokens[at - 1]?.text !== "."

/** Words after which a name may be due. */
const beforeNames = new Set(
  "SELECT DISTINCT ALL WHERE AND OR ON HAVING QUALIFY BY WHEN THEN ELSE BETWEEN FROM JOIN AS".split(" ")
)

/** Words that begin what else may stand there, are values, or go on where a value is missing. */
const noNames = new Set(
  (
    "SELECT WITH NULL TRUE FALSE CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER LOCALTIME LOCALTIMESTAMP " +
    "AND AS NOT ON OR"
  ).split(" ")
)

/** The same inside of a CASE. */
const partsOfCase = new Set(["WHEN", "THEN", "ELSE", "END"])

const isInPlaceOfName = (
  tokens: ReadonlyArray<Token>,
  at: number,
  reserved: ReadonlySet<string>
): boolean => {
  const [before, word] = [tokens[at - 1], tokens[at]]
  if (before === undefined || word?.kind !== "word") return false
  if (!reserved.has(word.value) || noNames.has(word.value)) return false
  if (before.kind === "word")
    return beforeNames.has(before.value) && !(before.value === "FROM" && word.value === "WHERE")
  // Behind an operator it rather is a value that is missing before FROM.
  return (word.value === "FROM" ? /^[,(.]$/ : /^(?:[,(.=<>+/|-]|<>|!=|<=|>=|\|\|)$/).test(before.text)
}

/**
 * The refusal of a statement in which something is wrong at this token, or behind the last one: with a hint where a
 * reserved word stands there, or directly before, in the place of a name, and does so in what the caller `wrote`.
 */
export const orName = (
  rejection: Rejection,
  reserved: ReadonlySet<string>,
  tokens: ReadonlyArray<Token>,
  at: number,
  wrote: ReadonlyArray<Token> = tokens
): Rejection => {
  const word = [at - 1, at].find((one) => isInPlaceOfName(tokens, one, reserved))
  const value = word === undefined ? undefined : tokens[word]?.value
  const cases = wrote.findIndex((_, one) => isKeyword(wrote, one, "CASE"))
  const token = wrote.find(
    (one, own) =>
      one.value === value &&
      isInPlaceOfName(wrote, own, reserved) &&
      !(partsOfCase.has(one.value) && cases >= 0 && cases < own)
  )
  return token === undefined || rejection.hint !== undefined
    ? rejection
    : {
        ...rejection,
        hint: `if ${token.text} is the name of a column or a table, write it in double quotes: ${Identifier.quoted(token.value)}`
      }
}

/** Offset of the bracket that closes the one at `open`, or the number of tokens. */
const closing = (tokens: ReadonlyArray<Token>, open: number): number => {
  const depth = tokens[open]?.depth
  let at = open + 1
  while (at < tokens.length && !(tokens[at]?.kind === "close" && tokens[at]?.depth === depth)) at++
  return at
}

interface OpenCase {
  readonly depth: number
  readonly before: number
  operand: number | undefined
  whens: number
}

/** How many tokens there are once `CASE x WHEN a WHEN b` has become `x = a`, `x = b`, at every level. */
const unfoldedCases = (tokens: ReadonlyArray<Token>): number => {
  const open: Array<OpenCase> = []
  let size = 0
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at]!
    size += 1
    if (token.kind !== "word") continue
    const inner = open[open.length - 1]
    if (isKeyword(tokens, at, "CASE")) {
      open.push({ depth: token.depth, before: size, operand: undefined, whens: 0 })
    } else if (inner !== undefined && inner.depth === token.depth) {
      if (isKeyword(tokens, at, "WHEN")) {
        inner.operand ??= size - inner.before
        inner.whens += 1
      } else if (isKeyword(tokens, at, "END")) {
        open.pop()
        size += (inner.operand ?? 0) * inner.whens
      }
    }
  }
  // A CASE that never ends is a syntax error, but count it: an alias called END may have hidden the end.
  for (const inner of open.reverse()) size += (inner.operand ?? 0) * inner.whens
  return size
}

/**
 * How many tokens `OVER name` adds when each becomes the definition that the WINDOW clause gives it;
 * `copies` is how many tokens, and so at most how many windows, the CASE expressions have added.
 */
const unfoldedWindows = (tokens: ReadonlyArray<Token>, copies: number): number => {
  let definitions = 0
  let size = 0
  let uses = 0
  for (let at = 0; at < tokens.length; at++) {
    if (isKeyword(tokens, at, "OVER")) uses += 1
    if (!isKeyword(tokens, at, "WINDOW")) continue
    for (let next = at + 1; isKeyword(tokens, next + 1, "AS") && tokens[next + 2]?.text === "(";) {
      const end = closing(tokens, next + 2)
      definitions += 1
      size += unfoldedCases(tokens.slice(next, end))
      if (tokens[end + 1]?.text !== ",") break
      next = end + 2
    }
  }
  return size * (uses + definitions + copies)
}

/**
 * Refuses a short text that a parser copies into a huge one: nested `CASE x WHEN` and named windows are
 * unfolded while parsing, so their cost has to be known before a parser is asked.
 */
export const unfoldsWithin = (
  tokens: ReadonlyArray<Token>,
  limit: number
): Either.Either<void, Rejection> => {
  const size = unfoldedCases(tokens)
  if (size > limit) {
    return reject("TOO_LARGE", "CASE expressions nest too deeply; compute the inner ones in a subquery first")
  }
  return unfoldedWindows(tokens, size - tokens.length) > limit
    ? reject("TOO_LARGE", "too many windows share too large a WINDOW clause; shorten the clause")
    : Either.void
}
