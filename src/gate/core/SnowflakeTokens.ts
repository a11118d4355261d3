/**
 * What the scan of a Snowflake query asks about single tokens.
 *
 * @since 0.1.0
 */
import type { Token } from "../../sql/Lexer.js"
import { isName } from "./SnowflakeFrame.js"
import { beforeBracket, queryStarts, types } from "./SnowflakeWords.js"

/** A file or a folder of a named stage; those of users and tables stay closed. */
export const stagePath = /^@((?:[A-Za-z_][\w$]*\.){0,2}[A-Za-z_][\w$]*)(?:\/[\w$./=:+-]*)?$/

export const stageHelp = (stages: boolean): string =>
  stages
    ? "a file of a named stage is written as FROM '@DB.SCHEMA.STAGE/path/file'"
    : "query tables and views; files and stages are not available unless an operator sets allow_stages for the tier"

/** Words that stand before a table. */
export const opensTable = (word: string): boolean =>
  word === "FROM" ||
  word === "JOIN" ||
  word === "LATERAL" ||
  word === "TABLE" ||
  word === "VALUES" ||
  queryStarts.has(word)

/** Whether an operand ends before `at`, so that `.` and `:` there go on into it. A reserved word is none. */
export const operandBefore = (tokens: ReadonlyArray<Token>, at: number, from: number): boolean => {
  const token = at > from ? tokens[at - 1] : undefined
  if (token?.kind !== "word")
    return token?.kind === "close" || token?.kind === "quoted" || token?.kind === "variable"
  const before = at - 1 > from ? tokens[at - 2]?.text : undefined
  return !beforeBracket.has(token.value) || before === "." || before === ":"
}

/** For each opening bracket, where it is closed. */
export const closing = (tokens: ReadonlyArray<Token>): Int32Array => {
  const closers = new Int32Array(tokens.length)
  const open: Array<number> = []
  for (let at = 0; at < tokens.length; at++) {
    if (tokens[at]!.kind === "open") open.push(at)
    else if (tokens[at]!.kind === "close") closers[open.pop() ?? 0] = at
  }
  return closers
}

export const isLiteral = ({ kind }: Token): boolean =>
  kind === "string" || kind === "dollar" || kind === "hex" || kind === "number" || kind === "variable"

const inTypes = new Set(["NOT", "NULL", "PRECISION", "VARYING"])
const nested = new Set(["ARRAY", "MAP", "VECTOR"])

/**
 * Whether the token at `at` can stand in the brackets of the type `name`: numbers and commas in most, types in
 * ARRAY, MAP and VECTOR, names and types in OBJECT. Nothing that is evaluated.
 *
 * @since 0.1.0
 * @category checks
 */
export const partOfType = (tokens: ReadonlyArray<Token>, at: number, name: string): boolean => {
  const token = tokens[at]!
  if (token.kind === "number" || token.text === ",") return true
  const isType = token.kind === "word" && (types.has(token.value) || inTypes.has(token.value))
  if (name === "OBJECT" && (tokens[at - 1]?.kind === "open" || tokens[at - 1]?.text === ","))
    return isName(token) && !(token.kind === "word" && beforeBracket.has(token.value))
  return isType && (nested.has(name) || name === "OBJECT")
}
