/**
 * Whether the functions that a Snowflake query calls are allowed, and the names that it hides in strings.
 */
import type { Token } from "../../sql/Lexer.js"
import { endsOperand, isName, isStar, isWord } from "./SnowflakeFrame.js"
import type { Frame } from "./SnowflakeFrame.js"
import type { Names } from "./SnowflakeNames.js"
import {
  afterName,
  afterTable,
  beforeBracket,
  builtin,
  clausePairs,
  endsFrom,
  ofOthers,
  queryStarts,
  shipped,
  verbs
} from "./SnowflakeGrammar.js"
import type { Rejection } from "../../sql/Statement.js"

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

const begins = (token: Token | undefined): boolean =>
  token !== undefined && token.kind !== "operator" && token.kind !== "open" && token.kind !== "close"

const continues = (token: Token | undefined, words: ReadonlySet<string>): boolean =>
  token?.kind === "word" && words.has(token.value)

/**
 * Refuses the verb of another statement at `at`, a word that no dot precedes and that begins statements
 * elsewhere: `FROM (CALL p(a))`, `TABLE(USE ROLE r)`, `SELECT 1 EXECUTE TASK t`. As the name of a table, of a
 * column or as an alias it stays possible: what plainly is a name has a comma, a bracket, an operator or the
 * word of a clause behind it, or, for a column, one alias.
 */
export const refuseVerb = (
  tokens: ReadonlyArray<Token>,
  at: number,
  from: number,
  place: "table" | "argument" | "list" | "expression"
): void => {
  const word = tokens[at]!
  const [next, second] = [tokens[at + 1], tokens[at + 2]]
  const previous = at > from ? tokens[at - 1] : undefined
  const refused = (): never =>
    refuse(
      "NOT_A_READ",
      place === "table"
        ? `${word.text} is no table here; a table of that name is written in double quotes`
        : `${word.text} begins another statement; a name like that is written in double quotes`,
      word
    )
  // COMMENT ON <kind> <name> IS
  const kind =
    isWord(next, "ON") && isName(second) && (isWord(second, "TABLE") || !continues(second, beforeBracket))
  if (kind && isName(tokens[at + 3]) && !continues(tokens[at + 3], afterName)) return refused()
  if (place === "table" || place === "argument") {
    if (previous?.text === "(" && (next === undefined || next.text === ")")) return refused()
    return begins(next) && !(place === "table" && continues(next, afterTable)) ? refused() : undefined
  }
  // `FROM t SET (a, b) = ...`: an alias of that name has no columns.
  if (next?.text === "(" && endsOperand(previous)) return refused()
  // LOCK IN SHARE MODE
  if (isWord(next, "IN") && begins(second)) return refused()
  if (!begins(next) || continues(next, afterName)) return
  const isColumn = place === "list" && !endsOperand(previous) && !isStar(tokens, at - 1, from)
  if (!isColumn || !isName(next)) return refused()
  const plainly =
    second === undefined || second.text === "," || second.kind === "close" || continues(second, afterName)
  if (!plainly) refused()
}

/** Refuses a word that names no table where one is due. */
export const refuseClause = (tokens: ReadonlyArray<Token>, at: number): void => {
  const word = tokens[at]
  if (word?.kind !== "word" || (!beforeBracket.has(word.value) && !endsFrom.has(word.value))) return
  refuse("SYNTAX", `${word.text} is no table here; a table of that name is written in double quotes`, word)
}

const plain = /^[A-Z_][A-Z0-9_$]*$/

/** A name as Snowflake compares it: upper case unless quoted, with quotes only where it needs them. */
const resolved = (parts: ReadonlyArray<Token>): string =>
  parts.map(({ value }) => (plain.test(value) ? value : `"${value.replaceAll('"', '""')}"`)).join(".")

export const written = (parts: ReadonlyArray<Token>): string => parts.map((part) => part.text).join(".")

/** A name in a string, as TABLE('...') and IDENTIFIER('...') take it: no stage, no call, no path. */
const nameInText = /^\s*(?:[A-Za-z_][\w$]*|"[^"\\]+")(?:\s*\.\s*(?:[A-Za-z_][\w$]*|"[^"\\]+")){0,3}\s*$/

/** The parts of a name in a text, as Snowflake compares them. */
const partsInText = (text: string): ReadonlyArray<string> =>
  (text.match(/[A-Za-z_][\w$]*|"[^"\\]+"/g) ?? []).map((part) =>
    part.startsWith('"') ? part.slice(1, -1) : part.toUpperCase()
  )

const isText = (token: Token | undefined): boolean => token?.kind === "string" || token?.kind === "dollar"

/** A part of a name that is put together: `IDENTIFIER($db || '.t')`. */
const partOfName = /^[\w$. "]*$/

/** What IDENTIFIER names: the text as far as it is known, and whether that is all of it. */
interface Identified {
  readonly close: number
  readonly text: string
  readonly isWhole: boolean
}

/**
 * The name that IDENTIFIER takes in the bracket at `open`: texts and variables, joined by `||`; undefined for
 * anything that is evaluated otherwise, and for a text that is no name.
 */
export const identified = (tokens: ReadonlyArray<Token>, open: number): Identified | undefined => {
  let at = open + 1
  let text = ""
  let isWhole = true
  for (;;) {
    const token = tokens[at]
    if (isText(token)) {
      if (!partOfName.test(token!.value) && !nameInText.test(token!.value)) return undefined
      text += token!.value
    } else if (token?.kind === "variable") isWhole = false
    else if (token?.text === ":" && (isName(tokens[at + 1]) || tokens[at + 1]?.kind === "number")) {
      isWhole = false
      at++
    } else return undefined
    at++
    if (tokens[at]?.text === ")") break
    if (tokens[at]?.text !== "||") return undefined
    at++
  }
  return isWhole && !nameInText.test(text) ? undefined : { close: at, text, isWhole }
}

/** IDENTIFIER('name'): a table where one is due, else a column. */
const identifier = (tokens: ReadonlyArray<Token>, open: number, wantsTable: boolean, names: Names): void => {
  const argument = tokens[open + 1]
  const found = identified(tokens, open)
  if (found === undefined) {
    return refuse(
      "OBJECT_NOT_ALLOWED",
      "IDENTIFIER takes the name of a table or a column in a string, and no expression",
      argument
    )
  }
  if (/nextval/i.test(found.text)) refuse("NOT_A_READ", "NEXTVAL takes a number from a sequence", argument)
  if (!wantsTable) return
  if (found.isWhole) names.tables.add(found.text)
  else names.dynamic.push({ form: "IDENTIFIER(...)", token: argument })
}

/** Whether SYSTEM$EXPLAIN_PLAN_JSON is given more than the text of a statement: it takes query ids as well. */
const mayBeQueryId = (tokens: ReadonlyArray<Token>, open: number): boolean => {
  const text = tokens[open + 1]
  return !isText(text) || !/\s/.test(text!.value.trim()) || tokens[open + 2]?.kind !== "close"
}

/**
 * Refuses the call whose bracket is at `open` unless its function is allowed. Answers where the name of a
 * table stands among its arguments, if it takes one.
 */
export const check = ({ allowed, from, names, tokens, top }: Place, open: number): number | undefined => {
  const name = tokens[open - 1]!
  const parts: Array<Token> = [name]
  let at = open - 1
  while (at - 2 >= from && tokens[at - 1]?.text === "." && isName(tokens[at - 2])) {
    parts.push(tokens[at - 2]!)
    at -= 2
    if (parts.length > 4)
      refuse("FUNCTION_NOT_ALLOWED", "the name of a function has three parts at most", name)
  }
  parts.reverse()
  const first = parts[0]!
  const full = resolved(parts)
  const before = at > from ? tokens[at - 1] : undefined
  // `x:f(1)`, `:f(1)`, `x::f(1)`; in an object a value follows the text of its key.
  const isPath = before?.text === ":" && !(at - 2 >= from && isText(tokens[at - 2]))
  if (before?.text === "." || before?.text === "::" || isPath) {
    refuse("FUNCTION_NOT_ALLOWED", `${name.text} is called on an expression, which is not available`, name)
  }
  const last = name.value.toUpperCase()
  const own = builtin(name.value, top.inMatch)
  const never = own === "never" || builtin(last, false) === "never"
  if (never || (parts.length > 1 && last.startsWith("SYSTEM$"))) {
    refuse(
      "FUNCTION_NOT_ALLOWED",
      `the function ${full} is not allowed`,
      first,
      "it can change state, reveal secrets or run text as SQL, so it cannot be allowed"
    )
  }
  const known =
    parts.length === 1
      ? own === "allowed" && name.kind === "word"
      : shipped(parts.map(({ value }) => value)) && !ofOthers.has(last)
  const tellsOfOthers =
    ofOthers.has(last) || (full === "SYSTEM$EXPLAIN_PLAN_JSON" && mayBeQueryId(tokens, open))
  if (!allowed.has(full) && (!known || tellsOfOthers)) {
    refuse(
      "FUNCTION_NOT_ALLOWED",
      `the function ${full} is not allowed` +
        (tellsOfOthers
          ? ": it tells what other clients have asked; get_query_results reads on in a result"
          : ""),
      first,
      `an operator can allow it by adding ${full} to the allowed functions`
    )
  }
  names.functions.add(written(parts))
  names.calls.push({ name: full, token: first })
  const argument = tokens[open + 1]
  if (full === "IDENTIFIER") identifier(tokens, open, top.wantsTable, names)
  if (full !== "SEMANTIC_VIEW") return undefined
  if (!top.wantsTable && !(top.kind === "clause" && top.name === "TABLE"))
    refuse("SYNTAX", "SEMANTIC_VIEW belongs into FROM: SELECT * FROM SEMANTIC_VIEW(...)", name)
  if (!isName(argument))
    refuse("OBJECT_NOT_ALLOWED", "SEMANTIC_VIEW takes the name of a semantic view", argument)
  return open + 1
}

const semanticClauses = new Set(["DIMENSIONS", "METRICS", "FACTS", "WHERE", "VARIABLES"])

/** What a query has behind its tables, and SEMANTIC_VIEW behind its bracket. */
const ofQueries = new Set([...endsFrom, "FROM", "LIMIT", "FETCH", "OFFSET", "JOIN"])

const semanticForm =
  "SEMANTIC_VIEW takes a name, then DIMENSIONS, METRICS or FACTS with expressions, WHERE with a condition and " +
  "VARIABLES with values"

/**
 * The rest of `SEMANTIC_VIEW(name DIMENSIONS a.b, a.* METRICS c.d AS x WHERE a.b > 1 VARIABLES v = 2)`, from the
 * end of the name on: clauses of expressions, in which no query stands. Answers the brackets that follow the word
 * of a clause, and so are no calls: `METRICS (a.b + 1) AS c`.
 */
export const semanticClausesOf = (
  tokens: ReadonlyArray<Token>,
  start: number,
  closers: Int32Array
): ReadonlyArray<number> => {
  const brackets: Array<number> = []
  const seen = new Set<string>()
  const first = tokens[start]
  if (first?.kind !== "close" && !continues(first, semanticClauses)) refuse("SYNTAX", semanticForm, first)
  let begins = start
  for (let at = start; tokens[at] !== undefined && tokens[at]?.kind !== "close"; at++) {
    const token = tokens[at]!
    const before = tokens[at - 1]
    if (token.kind === "open") {
      if (at === begins && at > start) brackets.push(at)
      for (let inner = at + 1; inner < closers[at]!; inner++)
        if (tokens[inner - 1]!.kind === "open" && continues(tokens[inner], queryStarts))
          refuse("SYNTAX", "SEMANTIC_VIEW takes expressions, and no query inside its bracket", tokens[inner])
      at = closers[at]!
      continue
    }
    if (token.kind !== "word" || before?.text === ".") continue
    // Where an expression or an alias is due, the same word is a name.
    const follows = at === start || endsOperand(before) || isStar(tokens, at - 1, start)
    const isDue = !follows || (at === begins && at > start)
    const pair = clausePairs.get(token.value)
    if (semanticClauses.has(token.value) && !isDue) {
      if (seen.has(token.value)) refuse("SYNTAX", `${token.text} stands twice in SEMANTIC_VIEW`, token)
      seen.add(token.value)
      begins = at + 1
    } else if (
      !isDue &&
      (continues(token, queryStarts) || continues(token, ofQueries)) &&
      (pair === undefined || isWord(tokens[at + 1], pair))
    ) {
      refuse("SYNTAX", `${token.text} does not belong into SEMANTIC_VIEW; it follows the bracket`, token)
    }
  }
  return brackets
}

/** TABLE( 'name' | $name | name | function(...) ) */
export const tableCall = (
  tokens: ReadonlyArray<Token>,
  open: number,
  closers: Int32Array,
  names: Names
): void => {
  const argument = tokens[open + 1]
  let end = open + 1
  while (isName(tokens[end]) && tokens[end + 1]?.text === ".") end += 2
  const isCall = isName(tokens[end]) && tokens[end + 1]?.text === "("
  const after = tokens[isCall ? closers[end + 1]! + 1 : end + 1]
  let query = open + 1
  while (tokens[query]?.text === "(") query++
  if (continues(tokens[query], queryStarts)) return
  if (continues(argument, verbs)) refuseVerb(tokens, open + 1, open, "argument")
  if (argument?.text === ":") {
    names.dynamic.push({ form: "TABLE(...) without a function", token: argument })
    return
  }
  if (isText(argument) && !nameInText.test(argument!.value)) {
    refuse(
      "OBJECT_NOT_ALLOWED",
      "TABLE('...') takes the name of a table; files and stages are not available",
      argument
    )
  }
  const takes = isName(argument) || isText(argument) || argument?.kind === "variable"
  if (!takes || (after?.text !== ")" && !(isCall && isWord(after, "OVER")))) {
    refuse("OBJECT_NOT_ALLOWED", "TABLE(...) takes a name or a call of a function", argument)
  }
  if (isCall) return
  if (isName(argument)) names.tables.add(written(tokens.slice(open + 1, end + 1).filter(isName)))
  if (isText(argument)) names.tables.add(argument!.value)
  names.dynamic.push({ form: "TABLE(...) without a function", token: argument })
}

/** What a clause names in a text: `AT(STREAM => 'DB.SCH.S')`, `'@stage' (FILE_FORMAT => 'DB.SCH.F')`. */
const namedInText: { readonly [clause: string]: string | undefined } = {
  AT: "STREAM",
  BEFORE: "STREAM",
  END: "STREAM",
  STAGE: "FILE_FORMAT"
}

/**
 * Notes the objects that the clause in the bracket at `open` names in texts: rules about objects hold for them too.
 */
export const clauseNames = (
  tokens: ReadonlyArray<Token>,
  open: number,
  close: number,
  clause: string,
  names: Names
): void => {
  const parameter = namedInText[clause]
  if (parameter === undefined) return
  for (let at = open + 1; at < close; at++) {
    if (!isWord(tokens[at], parameter) || tokens[at + 1]?.text !== "=>") continue
    const token = tokens[at + 2]
    const isWhole = tokens[at + 3]?.text === "," || tokens[at + 3]?.kind === "close"
    if (isText(token) && nameInText.test(token!.value) && isWhole) {
      names.references.push({ parts: partsInText(token!.value), token })
    } else names.dynamic.push({ form: `${parameter} => with anything but a name in a text`, token })
  }
}
