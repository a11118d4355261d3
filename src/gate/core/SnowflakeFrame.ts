/**
 * What the scan of a Snowflake query knows about the brackets around it and about single tokens, and what a bracket
 * that follows a word is: a call, a clause, a type, or a list of column names.
 *
 * Invariant: a bracket that cannot be told apart from a call is a call, whose function has to be allowed.
 */
import type { Token } from "../../sql/Lexer.js"
import {
  beforeBracket,
  introduces,
  pairedWords,
  queryStarts,
  tableClauses,
  types
} from "./SnowflakeGrammar.js"

export interface Frame {
  readonly kind: "group" | "call" | "clause" | "type" | "pattern" | "names" | "row"
  /** The function or the clause, in upper case. */
  readonly name: string
  /** Inside MEASURES or DEFINE of MATCH_RECOGNIZE, where FIRST, LAST, PREV and NEXT are functions. */
  inMatch: boolean
  /** Stands where a table is due. */
  readonly isTable: boolean
  clause: "none" | "select" | "from" | "group" | "other"
  /** The next token is a table. */
  wantsTable: boolean
  /** PATTERN has been seen; there is one in MATCH_RECOGNIZE, so another one is a call. */
  hasPattern: boolean
  /** Rows of VALUES follow, separated by commas. */
  inRows: boolean
  /** Where an alias of the last table may stand; no bracket of a condition (ON, USING) moves it. */
  aliasAt: number
  /** CASE that has not come to its END, and where the last one has. */
  cases: number
  caseEndAt: number
  /** Names that WITH has defined here. */
  ctes: Set<string> | undefined
  /** ... and those of them that end with the next set operator, when some do. */
  ending: Set<string> | undefined
  /** The recursive CTE that this bracket defines. */
  recursion: string | undefined
  /** Where the file of a stage was named last. */
  stageAt: number
}

export const frame = (
  kind: Frame["kind"],
  name: string,
  outer: Frame | undefined,
  isTable = false
): Frame => ({
  kind,
  name,
  inMatch: outer?.inMatch === true && kind !== "pattern",
  isTable,
  clause: "none",
  // `FROM (a JOIN b ...)`: the bracket holds tables, as long as no SELECT follows.
  wantsTable: isTable && kind === "group",
  hasPattern: false,
  inRows: false,
  aliasAt: -1,
  cases: 0,
  caseEndAt: -1,
  ctes: undefined,
  ending: undefined,
  recursion: undefined,
  stageAt: -1
})

export const isName = (token: Token | undefined): boolean =>
  token?.kind === "word" || token?.kind === "quoted"

export const isWord = (token: Token | undefined, value: string): boolean =>
  token?.kind === "word" && token.value === value

/** Whether an operand ends with the token, so that no expression can begin after it. */
export const endsOperand = (token: Token | undefined): boolean => {
  if (token === undefined || token.kind === "open" || token.kind === "operator") return false
  return token.kind !== "word" || !(beforeBracket.has(token.value) || introduces.has(token.value))
}

/** Whether a table, an alias or an operand ends with the token, whatever their names, so that JOIN can follow. */
export const endsTable = (token: Token | undefined): boolean =>
  token !== undefined &&
  token.kind !== "open" &&
  token.kind !== "operator" &&
  !(token.kind === "word" && beforeBracket.has(token.value))

/** Whether `*` at `at` stands for all columns and is no multiplication. */
export const isStar = (tokens: ReadonlyArray<Token>, at: number, from: number): boolean => {
  const before = at > from ? tokens[at - 1] : undefined
  if (tokens[at]?.text !== "*" || before === undefined) return false
  return (
    before.kind === "open" ||
    before.text === "," ||
    before.text === "." ||
    (before.kind === "word" && ["SELECT", "DISTINCT", "ALL"].includes(before.value))
  )
}

/** Whether the bracket at `open` holds names and commas only, and no reserved word among the names. */
export const holdsNames = (tokens: ReadonlyArray<Token>, open: number): boolean => {
  for (let at = open + 1; ; at += 2) {
    const name = tokens[at]
    if (!isName(name) || (name?.kind === "word" && beforeBracket.has(name.value))) return false
    if (tokens[at + 1]?.kind === "close") return true
    if (tokens[at + 1]?.text !== ",") return false
  }
}

/**
 * The frame that the bracket at `open` opens behind the word at `open - 1`; undefined for a call.
 */
export const afterWord = (
  tokens: ReadonlyArray<Token>,
  open: number,
  from: number,
  outer: Frame
): Frame | undefined => {
  const at = open - 1
  const token = tokens[at]!
  const previous = at > from ? tokens[at - 1] : undefined
  const after = (value: string): boolean => isWord(previous, value)
  const word = token.kind === "word" ? token.value : undefined
  // `t.id (+)`: an outer join in the old way.
  if (tokens[open + 1]?.text === "+" && tokens[open + 2]?.text === ")") return frame("names", "", outer)
  const aliasAt = isWord(tokens[outer.aliasAt], "AS") ? outer.aliasAt + 1 : outer.aliasAt
  // Reserved words are no aliases: `a JOIN (b)` joins the table b.
  const isClause = word !== undefined && (tableClauses.has(word) || beforeBracket.has(word))
  if (outer.clause === "from" && at === aliasAt && !isClause && holdsNames(tokens, open)) {
    return frame("names", "", outer)
  }
  if (word === undefined || previous?.text === "." || at === outer.caseEndAt) return undefined
  if (types.has(word)) {
    const inCast = outer.kind === "call" && (outer.name === "CAST" || outer.name === "TRY_CAST")
    if (previous?.text === "::" || outer.kind === "type" || (inCast && after("AS"))) {
      return frame("type", word, outer)
    }
    if (word === "VARYING" && previous?.kind === "word" && types.has(previous.value))
      return frame("type", word, outer)
  }
  // The scan has seen JOIN and LATERAL where they may stand; USING has to follow a table.
  if (word === "USING" && (outer.clause !== "from" || !endsTable(previous))) {
    // `METRICS (a.b USING (c) AS ...)` of a semantic view that WITH defines.
    const isRelation = outer.kind === "clause" && outer.name === "SEMANTIC" && endsTable(previous)
    return isRelation && holdsNames(tokens, open) ? frame("names", "", outer) : undefined
  }
  if (beforeBracket.has(word)) {
    const isTable = outer.wantsTable && (word === "LATERAL" || word === "FROM" || word === "JOIN")
    if (word === "VALUES") return frame("row", word, outer)
    if (word === "TABLE") return frame("clause", word, outer)
    return frame("group", word, outer, isTable)
  }
  const paired = pairedWords.get(word)
  if (
    paired !== undefined &&
    previous?.kind === "word" &&
    paired.has(previous.value) &&
    (word !== "NULLS" || isWord(tokens[at - 2], "UNPIVOT")) &&
    (word !== "SYNONYMS" || outer.name === "SEMANTIC")
  )
    return frame("clause", word === "NULLS" ? "UNPIVOT" : word, outer)
  const listed = previous?.text === "," || after("BY")
  if ((word === "CUBE" || word === "ROLLUP") && outer.clause === "group" && listed) {
    return frame("clause", word, outer)
  }
  const inMatch = outer.kind === "clause" && outer.name === "MATCH_RECOGNIZE"
  if (
    word === "PATTERN" &&
    inMatch &&
    !outer.hasPattern &&
    (endsOperand(previous) || previous?.kind === "open")
  ) {
    outer.hasPattern = true
    return frame("pattern", word, outer)
  }
  // `FROM next AT(...)`: where a table or its alias stands, these are names.
  const named = (after("FIRST") || after("NEXT")) && (at === outer.aliasAt || at - 1 === outer.aliasAt)
  if (!endsOperand(previous) && !named) {
    const columns = (word === "EXCLUDE" || word === "RENAME") && isStar(tokens, at - 1, from)
    return columns ? frame("clause", word, outer) : undefined
  }
  if (word !== undefined && isClause && outer.clause === "from") return frame("clause", word, outer)
  if (word === "OVER" && (previous?.kind === "close" || after("NULLS"))) return frame("clause", word, outer)
  const seeds = word === "SEED" || word === "REPEATABLE"
  if (seeds && previous?.kind === "close" && outer.clause === "from") return frame("clause", word, outer)
  const columns = word === "EXCLUDE" || word === "RENAME" || word === "REPLACE"
  if (outer.clause === "from" || outer.clause === "group" || outer.clause === "other") return undefined
  return columns && (previous?.kind === "close" || previous?.kind === "string" || previous?.kind === "word")
    ? columnsOfStar(tokens, at, from, outer)
    : undefined
}

/** `* EXCLUDE a RENAME (b AS c)`, `* ILIKE 'x' REPLACE (...)`: there is a star before, in the same bracket. */
const columnsOfStar = (
  tokens: ReadonlyArray<Token>,
  at: number,
  from: number,
  outer: Frame
): Frame | undefined => {
  const depth = tokens[at]!.depth
  for (let i = at - 1; i > from && at - i < 64; i--) {
    const token = tokens[i]!
    if (token.depth === depth && token.text === ",") return undefined
    if (token.depth === depth && isStar(tokens, i, from)) return frame("clause", tokens[at]!.value, outer)
  }
  return undefined
}

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
 */
export const partOfType = (tokens: ReadonlyArray<Token>, at: number, name: string): boolean => {
  const token = tokens[at]!
  if (token.kind === "number" || token.text === ",") return true
  const isType = token.kind === "word" && (types.has(token.value) || inTypes.has(token.value))
  if (name === "OBJECT" && (tokens[at - 1]?.kind === "open" || tokens[at - 1]?.text === ","))
    return isName(token) && !(token.kind === "word" && beforeBracket.has(token.value))
  return isType && (nested.has(name) || name === "OBJECT")
}
