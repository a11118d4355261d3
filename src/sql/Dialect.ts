/**
 * The differences between the words and signs of the SQL dialects that the lexer reads. Everything else (brackets,
 * quoted identifiers, `--` comments, what is refused) is the same in all of them.
 */

export interface Dialect {
  readonly name: "snowflake" | "duckdb"
  /** `//` starts a comment that ends at LF; where false it is an operator. */
  readonly slashComments: boolean
  /** A backslash inside `'...'` escapes the next character. */
  readonly backslashEscapes: boolean
  /** `E'...'` is a string with backslash escapes. */
  readonly escapeStrings: boolean
  /** `$tag$...$tag$` is a string; where false only `$$...$$` is, and `$tag` is a variable. */
  readonly taggedDollarStrings: boolean
  /** `1_000`, `0xFF` and `0b01` are numbers. */
  readonly extendedNumbers: boolean
  /** Two strings in a row are one string to some lexers, so they are refused. */
  readonly adjacentStrings: boolean
  /** Words that may touch the quote after them; to no lexer are they the prefix of a literal. */
  readonly beforeQuote: ReadonlySet<string>
  /** `$` alone is an operator, as at the end of a row pattern. */
  readonly dollarOperator: boolean
  /** Operators of more than one character, by their first character, longest first. */
  readonly operators: ReadonlyMap<string, ReadonlyArray<string>>
}

const byFirst = (operators: ReadonlyArray<string>): ReadonlyMap<string, ReadonlyArray<string>> => {
  const map = new Map<string, Array<string>>()
  for (const operator of [...operators].sort((a, b) => b.length - a.length)) {
    const first = operator.charAt(0)
    const known = map.get(first)
    if (known === undefined) map.set(first, [operator])
    else known.push(operator)
  }
  return map
}

export const snowflake: Dialect = {
  name: "snowflake",
  slashComments: true,
  backslashEscapes: true,
  escapeStrings: false,
  taggedDollarStrings: false,
  extendedNumbers: false,
  adjacentStrings: true,
  beforeQuote: new Set(
    (
      "DATE TIME TIMESTAMP TIMESTAMP_NTZ TIMESTAMP_LTZ TIMESTAMP_TZ TIMESTAMPNTZ TIMESTAMPLTZ TIMESTAMPTZ DATETIME " +
      "INTERVAL ALL AND AS BETWEEN BY CASE COLLATE DISTINCT ELSE ESCAPE FROM HAVING ILIKE IN IS JOIN LIKE NOT ON OR " +
      "REGEXP RLIKE SELECT THEN UNION USING WHEN WHERE"
    ).split(" ")
  ),
  dollarOperator: true,
  operators: byFirst(["->>", "->", "=>", "::", "||", "<>", "!=", "<=", ">="])
}

export const duckdb: Dialect = {
  name: "duckdb",
  slashComments: false,
  backslashEscapes: false,
  escapeStrings: true,
  taggedDollarStrings: true,
  extendedNumbers: true,
  adjacentStrings: false,
  beforeQuote: new Set(),
  dollarOperator: false,
  operators: byFirst([
    ...["->>", "->", "=>", "::", "||", "<>", "!=", "<=", ">=", "==", "//", "**", "<<", ">>"],
    ...["^@", "@>", "<@", "&&", "!~~*", "~~*", "!~~", "~~", "!~*", "~*", "!~", "<->", "<=>"]
  ])
}

/** Reserved by DuckDB, and names like any other in Snowflake where they do not stand for a part of the statement. */
export const reservedByDuckDb: ReadonlySet<string> = new Set(
  (
    "ANALYSE ANALYZE ANTI ASC ASYMMETRIC AT AUTHORIZATION COLLATION CONCURRENTLY DEFAULT DEFERRABLE DESC DO END FETCH " +
    "FOREIGN FREEZE GLOB INITIALLY LAMBDA LIMIT OFFSET ONLY OVERLAPS PIVOT PIVOT_LONGER PIVOT_WIDER PLACING POSITIONAL " +
    "PRIMARY REFERENCES RETURNING SEMI SHOW SIMILAR SYMMETRIC UNPACK UNPIVOT VARIADIC VERBOSE WINDOW"
  ).split(" ")
)
