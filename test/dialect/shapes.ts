/**
 * An example in another shape, with the rows that it then has by Snowflake's own rules; undefined where the rows cannot be
 * told without Snowflake.
 */
import * as Either from "effect/Either"
import { snowflake } from "../../src/sql/Dialect.js"
import type { Token } from "../../src/sql/Lexer.js"
import { tokenize } from "../../src/sql/Lexer.js"
import type { Shown } from "./compare.js"

export interface Example {
  readonly sql: string
  readonly expect: Shown
  readonly source: string
  readonly class?: string
}

type Changed = Pick<Example, "sql" | "expect">

export const tokensOf = (sql: string): ReadonlyArray<Token> =>
  Either.getOrElse(tokenize(sql, snowflake), (): ReadonlyArray<Token> => [])

const withoutEnd = (sql: string): string => sql.replace(/;\s*$/, "")
const isQuery = (sql: string): boolean => /^\s*(?:select|with)\b/i.test(sql)
const wordsOf = (tokens: ReadonlyArray<Token>): ReadonlySet<string> =>
  new Set(tokens.flatMap(({ kind, value }) => (kind === "word" ? [value] : [])))

/** The text with some of its tokens written in another way. */
const rewritten = (
  sql: string,
  tokens: ReadonlyArray<Token>,
  other: (token: Token, at: number) => string | undefined
): string => {
  let text = ""
  let end = 0
  tokens.forEach((token, at) => {
    const made = other(token, at)
    if (made === undefined) return
    text += sql.slice(end, token.start) + made
    end = token.end
  })
  return text + sql.slice(end)
}

/** As a table expression with columns of other names. */
const nested = ({ expect, sql }: Example): Changed | undefined => {
  const width = expect[0]?.length ?? 0
  if (width === 0 || !isQuery(sql)) return undefined
  const names = Array.from({ length: width }, (_, at) => `MOVED_${at}`).join(", ")
  return { expect, sql: `WITH moved (${names}) AS (\n${withoutEnd(sql)}\n) SELECT ${names} FROM moved` }
}

/** Literals that are part of the grammar, not values: `DATE '..'`, `INTERVAL '..'`, `a:'b'`, `AS 'name'`, `path => '..'`. */
const isValue = (tokens: ReadonlyArray<Token>, at: number): boolean => {
  const [before, after] = [tokens[at - 1], tokens[at + 1]]
  return (
    !/^(?:DATE|TIME|TIMESTAMP\w*|INTERVAL|AS|ESCAPE|COLLATE)$/.test(before?.value ?? "") &&
    !["=>", ":", "["].includes(before?.text ?? "") &&
    (after?.text !== ":" || before?.text === "::")
  )
}

/** Those without a FROM: their texts moved to columns, so that no function knows its argument before it runs. */
const columns = ({ expect, sql }: Example): Changed | undefined => {
  if (!/^\s*select\b/i.test(sql) || /\b(?:from|where|qualify|collate)\b/i.test(sql)) return undefined
  const tokens = tokensOf(sql)
  const moved: Array<string> = []
  const text = rewritten(withoutEnd(sql), tokens, ({ kind, text: literal }, at) =>
    kind === "string" && isValue(tokens, at) ? `MOVED_${moved.push(literal) - 1}` : undefined
  )
  if (moved.length === 0) return undefined
  return {
    expect,
    sql: `${text}\nFROM (SELECT ${moved.map((literal, at) => `${literal} AS MOVED_${at}`).join(", ")}) AS moved`
  }
}

const isDate = /^\d{4}-\d\d-\d\d(?:[ T]\d\d:.*)?$/
const days = /\b(\d{4})(?=-\d\d-\d\d(?:\D|$))/g
const later = (text: string): string => text.replace(days, (year) => String(Number(year) + 400))

/** What tells the year of a date, counts from 1970, or has the rules of a zone. */
const ofYears =
  /^(?:YEAR\w*|DATE_?PART|EXTRACT|EPOCH\w*|TO_(?:CHAR|VARCHAR|TIMESTAMP\w*|NUMBER)|CONVERT_TIMEZONE|TIMESTAMP_\w*TZ|TIME_SLICE|HASH|MD5|SHA\w+|\w*FROM_?PARTS|CURRENT_\w+|GETDATE|SYSDATE|SEARCH|REGEXP\w*|LIKE|RLIKE|SUBSTR\w*|LEFT|RIGHT|SPLIT\w*|REVERSE)$/

/**
 * The dates 400 years later, which is a whole number of weeks and of leap years: months, weekdays, differences and ends
 * of months are the same.
 */
const shifted = ({ expect, sql }: Example, tokens: ReadonlyArray<Token>): Changed | undefined => {
  const isShifted = ({ kind, value }: Token) => kind === "string" && isDate.test(value)
  if (!tokens.some(isShifted) || [...wordsOf(tokens)].some((word) => ofYears.test(word))) return undefined
  const cells = expect.flat().map((cell) => (cell ?? "").replace(days, ""))
  if (cells.some((cell) => /\b(?:19|20)\d\d\b/.test(cell))) return undefined
  return {
    sql: rewritten(sql, tokens, (token) => (isShifted(token) ? later(token.text) : undefined)),
    expect: expect.map((row) => row.map((cell) => (cell === null ? null : later(cell))))
  }
}

/** What compares texts and gives them back, and makes no other text of them. */
const keepsTexts =
  /^(?:AS|BY|IN|OVER|VALUES|COUNT|SUM|AVG|MIN|MAX|RANK|DENSE_RANK|ROW_NUMBER|NTILE|LAG|LEAD|FIRST_VALUE|LAST_VALUE|NTH_VALUE|PERCENT_RANK|CUME_DIST|COALESCE|NVL|IFF|NULLIF|MEDIAN|RATIO_TO_REPORT|MODE|ANY_VALUE|AND|OR|ON|FROM|JOIN|WHERE|USING|LATERAL|UNION|ALL|EXISTS|NOT|WITH|INT|INTEGER|VARCHAR|NUMBER|DECIMAL|MATCH_CONDITION|[A-Z]|V)$/

/** The texts with two letters in front, all the same: they are as equal and as sorted as they were. */
const renamed = ({ expect, sql }: Example, tokens: ReadonlyArray<Token>): Changed | undefined => {
  const texts = new Set(tokens.flatMap(({ kind, value }) => (kind === "string" ? [value] : [])))
  const isPlain =
    texts.size > 0 &&
    [...texts].every((text) => /^[A-Za-z][A-Za-z .'-]*$/.test(text)) &&
    tokens.every(
      ({ kind, text, value }, at) =>
        !["||", ":", "[", "{"].includes(text) &&
        !(
          kind === "word" &&
          /^(?:R?I?LIKE|REGEXP|COLLATE|PIVOT|UNPIVOT|ARRAY|VARIANT|OBJECT|BINARY|CONNECT|BOOLEAN|DATE|TIME\w*|FLOAT|DOUBLE)$/.test(
            value
          )
        ) &&
        !(kind === "word" && tokens[at + 1]?.text === "(" && !keepsTexts.test(value)) &&
        !(kind === "string" && !isValue(tokens, at))
    )
  if (!isPlain) return undefined
  const known = (cell: string | null) =>
    cell === null || texts.has(cell) || /^(?:-?[\d.]+|true|false)$/i.test(cell)
  if (!expect.flat().every(known)) return undefined
  return {
    sql: rewritten(sql, tokens, ({ kind, text }) => (kind === "string" ? `'Zz${text.slice(1)}` : undefined)),
    expect: expect.map((row) => row.map((cell) => (cell !== null && texts.has(cell) ? `Zz${cell}` : cell)))
  }
}

/** Positions, sizes and frames, which are literals by the grammar. */
const isOperand = (tokens: ReadonlyArray<Token>, at: number): boolean => {
  const [before, after] = [tokens[at - 1], tokens[at + 1]]
  const open = tokens
    .slice(0, at)
    .findLastIndex(({ depth, kind }) => kind === "open" && depth < tokens[at]!.depth)
  const owner = tokens[open - 1]?.value ?? ""
  const clause = tokens
    .slice(open + 1, at)
    .findLast(
      ({ kind, value }) =>
        kind === "word" &&
        /^(?:BY|LIMIT|OFFSET|TOP|ROWS|RANGE|FETCH|SELECT|WHERE|FROM|ON|HAVING)$/.test(value)
    )
  return (
    !/^(?:BY|LIMIT|OFFSET|TOP|ROWS|RANGE|FETCH|INTERVAL)$/.test(clause?.value ?? "") &&
    !/^(?:NUMBER|DECIMAL|NUMERIC|VARCHAR|CHAR|STRING|TEXT|BINARY|TIME\w*|DATETIME|GENERATOR|SAMPLE|TABLESAMPLE|NTILE|NTH_VALUE|LAG|LEAD|RANDOM|ROUND|UNIFORM|PERCENTILE_\w+|APPROX_PERCENTILE|\w*TO_(?:NUMBER|DECIMAL|NUMERIC))$/.test(
      owner
    ) &&
    !["=>", ":", "[", "."].includes(before?.text ?? "") &&
    !["PRECEDING", "FOLLOWING"].includes(after?.value ?? "") &&
    before?.value !== "AS"
  )
}

/** Texts and numbers of a statement as columns of a table expression: no literal is left where it was. */
const moved = ({ expect, sql }: Example, tokens: ReadonlyArray<Token>): Changed | undefined => {
  const words = wordsOf(tokens)
  if (
    /\b(?:pivot|unpivot|collate|connect|recursive|sample|tablesample|generator)\b/i.test([...words].join(" "))
  )
    return undefined
  const columns_: Array<string> = []
  const isMoved = ({ kind }: Token, at: number) =>
    (kind === "string" && isValue(tokens, at)) || (kind === "number" && isOperand(tokens, at))
  const inValues = (at: number) => {
    const open = tokens
      .slice(0, at)
      .findLastIndex(({ depth, kind }) => kind === "open" && depth < tokens[at]!.depth)
    return /^(?:VALUES|,)$/i.test(tokens[open - 1]?.text ?? "") && words.has("VALUES")
  }
  const text = rewritten(withoutEnd(sql), tokens, (token, at) =>
    isMoved(token, at) && !inValues(at)
      ? `(SELECT MOVED_${columns_.push(token.text) - 1} FROM moved)`
      : undefined
  )
  if (columns_.length === 0) return undefined
  const table = `moved AS (SELECT ${columns_.map((literal, at) => `${literal} AS MOVED_${at}`).join(", ")})`
  return {
    expect,
    sql: /^\s*with\b/i.test(text)
      ? `WITH ${table},${text.replace(/^\s*with\b/i, "")}`
      : `WITH ${table}\n${text}`
  }
}

/** With other literals: later dates or other texts where the rows follow from it, literals in a table expression elsewhere. */
const literals = (example: Example): Changed | undefined => {
  if (!isQuery(example.sql)) return undefined
  const tokens = tokensOf(example.sql)
  return shifted(example, tokens) ?? renamed(example, tokens) ?? moved(example, tokens)
}

export const shapes: { readonly [shape: string]: (example: Example) => Changed | undefined } = {
  nested,
  columns,
  literals
}
