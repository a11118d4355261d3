/**
 * Whether the functions that a Snowflake query calls are allowed, and the names that it hides in strings.
 *
 * @since 0.1.0
 */
import type { Token } from "./Lexer.js"
import { isName } from "./SnowflakeFrame.js"
import type { Frame } from "./SnowflakeFrame.js"
import type { Names } from "./SnowflakeNames.js"
import { beforeBracket, beginsStatement, builtin, endsFrom, ofOthers } from "./SnowflakeWords.js"
import type { Rejection } from "./Statement.js"

interface Place {
  readonly tokens: ReadonlyArray<Token>
  /** Where the query begins. */
  readonly from: number
  /** The bracket that the call stands in. */
  readonly top: Frame
  readonly allowed: ReadonlySet<string>
  readonly names: Names
}

export class Refused {
  constructor(readonly rejection: Rejection) {}
}

export const refuse = (
  code: Rejection["code"],
  reason: string,
  at: Token | undefined,
  hint?: string
): never => {
  throw new Refused({ code, reason, position: at?.start, hint })
}

/** Refuses another statement where a table is due: `FROM (CALL p(a))`; and a word that names none. */
export const refuseStatement = (tokens: ReadonlyArray<Token>, at: number): void => {
  const [word, next] = [tokens[at], tokens[at + 1]]
  if (word?.kind !== "word") return
  const begins = next !== undefined && isName(next) && beginsStatement(word.value, next.value)
  if (!begins && !beforeBracket.has(word.value) && !endsFrom.has(word.value)) return
  refuse(
    begins ? "NOT_A_READ" : "SYNTAX",
    `${word.text} is no table here; a table of that name is written in double quotes`,
    word
  )
}

const plain = /^[A-Z_][A-Z0-9_$]*$/

/** A name as Snowflake compares it: upper case unless quoted, with quotes only where it needs them. */
const resolved = (parts: ReadonlyArray<Token>): string =>
  parts.map(({ value }) => (plain.test(value) ? value : `"${value.replaceAll('"', '""')}"`)).join(".")

export const written = (parts: ReadonlyArray<Token>): string => parts.map((part) => part.text).join(".")

/** A name in a string, as TABLE('...') and IDENTIFIER('...') take it: no stage, no call, no path. */
const nameInText = /^\s*(?:[A-Za-z_][\w$]*|"[^"\\]+")(?:\s*\.\s*(?:[A-Za-z_][\w$]*|"[^"\\]+")){0,3}\s*$/

const isText = (token: Token | undefined): boolean => token?.kind === "string" || token?.kind === "dollar"

/**
 * Refuses the call whose bracket is at `open` unless its function is allowed. Answers where the name of a
 * table stands among its arguments, if it takes one.
 *
 * @since 0.1.0
 * @category checks
 */
export const check = ({ allowed, from, names, tokens, top }: Place, open: number): number | undefined => {
  const parts: Array<Token> = [tokens[open - 1]!]
  let at = open - 1
  while (at - 2 >= from && tokens[at - 1]?.text === "." && isName(tokens[at - 2])) {
    parts.unshift(tokens[at - 2]!)
    at -= 2
  }
  const first = parts[0]!
  const name = parts[parts.length - 1]!
  const full = resolved(parts)
  const dangling = at > from && tokens[at - 1]?.text === "."
  if (dangling)
    refuse("FUNCTION_NOT_ALLOWED", `${name.text} is called on an expression, which is not available`, name)
  const last = name.value.toUpperCase()
  const own = builtin(name.value, top.inMatch)
  const isSchema =
    parts.length > 1 &&
    parts.length < 4 &&
    parts[parts.length - 2]?.value === "INFORMATION_SCHEMA" &&
    !ofOthers.has(last)
  if (own === "never" || builtin(last, false) === "never") {
    refuse(
      "FUNCTION_NOT_ALLOWED",
      `the function ${full} is not allowed`,
      first,
      "it can change state, reveal secrets or run text as SQL, so it cannot be allowed"
    )
  }
  if (!allowed.has(full) && !(parts.length === 1 ? own === "allowed" && name.kind === "word" : isSchema)) {
    refuse(
      "FUNCTION_NOT_ALLOWED",
      `the function ${full} is not allowed` +
        (ofOthers.has(last)
          ? ": it tells what other clients have asked; get_query_results reads on in a result"
          : ""),
      first,
      `an operator can allow it by adding ${full} to the allowed functions`
    )
  }
  names.functions.add(written(parts))
  names.calls.push({ name: full, token: first })
  const named = full === "IDENTIFIER"
  const argument = tokens[open + 1]
  if (
    named &&
    (isText(argument)
      ? !nameInText.test(argument!.value)
      : argument?.kind !== "variable" && argument?.text !== ":")
  ) {
    refuse("OBJECT_NOT_ALLOWED", "IDENTIFIER takes the name of a table or a column in a string", argument)
  }
  if (named && isText(argument) && /nextval/i.test(argument!.value))
    refuse("NOT_A_READ", "NEXTVAL takes a number from a sequence", argument)
  if (named && top.wantsTable && isText(argument)) names.tables.add(argument!.value)
  if (named && argument?.text !== ":" && tokens[open + 2]?.kind !== "close") {
    refuse("OBJECT_NOT_ALLOWED", "IDENTIFIER takes one name and no expression", argument)
  }
  if (full === "SEMANTIC_VIEW" && !isName(argument)) {
    refuse("OBJECT_NOT_ALLOWED", "SEMANTIC_VIEW takes the name of a semantic view", argument)
  }
  return full === "SEMANTIC_VIEW" && isName(argument) ? open + 1 : undefined
}

/** Whether a call of a function follows, and not a mere name. */
const isCall = (tokens: ReadonlyArray<Token>, start: number): boolean => {
  let at = start
  while (isName(tokens[at]) && tokens[at + 1]?.text === ".") at += 2
  return isName(tokens[at]) && tokens[at + 1]?.text === "("
}

/** TABLE( 'name' | $name | function(...) ) */
export const tableCall = (tokens: ReadonlyArray<Token>, open: number, names: Names): void => {
  const argument = tokens[open + 1]
  if (!isCall(tokens, open + 1)) {
    if (isName(argument)) names.tables.add(argument!.text)
    names.dynamic.push({ form: "TABLE(...) without a function", token: argument })
  }
  if (argument?.kind === "hex" || argument?.kind === "number") {
    refuse("OBJECT_NOT_ALLOWED", "TABLE(...) takes a name or a call of a function", argument)
  }
  if (!isText(argument)) return
  if (!nameInText.test(argument!.value) || tokens[open + 2]?.kind !== "close") {
    refuse(
      "OBJECT_NOT_ALLOWED",
      "TABLE('...') takes the name of a table; files and stages are not available",
      argument
    )
  }
  names.tables.add(argument!.value)
}
