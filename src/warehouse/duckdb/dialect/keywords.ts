/**
 * What begins with a word: the constructs of Snowflake's SQL by their words, and calls, keywords and names.
 *
 * @since 0.1.0
 */
import { reservedByDuckDb } from "../../../sql/Dialect.js"
import { quoted } from "../../../sql/Identifier.js"
import { hiddenInformationSchema, informationSchema } from "../catalog.js"
import { callAt } from "./calls.js"
import { isCteName, isKeyword, isReserved, isSortItem } from "./clauses.js"
import { likeAny, regexp, rowsIn } from "./conditions.js"
import type { Place, Reading, Rule } from "./context.js"
import { hasBracket, kindOfWord, reading } from "./context.js"
import * as Library from "./library.js"
import { groupedByAll, operandPiece, symbolPiece } from "./operators.js"
import { pivot, unpivot } from "./pivots.js"
import { select, starColumns } from "./selects.js"
import { isWord } from "./source.js"
import { flattening, tableFunction } from "./tableFunctions.js"
import {
  asofJoin,
  crossJoin,
  lateral,
  matchCondition,
  rowPattern,
  sample,
  timeTravel,
  values
} from "./tables.js"

/** Before a bracket these name a call all the same. */
const callable = new Set(["LEFT", "RIGHT", "FILTER", "REGEXP", "RLIKE", "LIKE", "ILIKE"])

/** Whether a word is a part of a name: `x.current_date`. */
const isPart = ({ at, context, next }: Place): boolean =>
  context.tokens[at - 1]?.text === "." || next?.text === "."

/** `SELECT 1 MINUS SELECT 2` */
const minus: Rule = ({ at, next }) =>
  isWord(next, "SELECT", "ALL", "WITH") || next?.text === "("
    ? reading(symbolPiece("EXCEPT", "EXCEPT"), at + 1)
    : undefined

/** `CURRENT_DATE`: a call without a bracket. */
const bare: Rule = (place) => {
  const { at, context, token } = place
  if (hasBracket(place) || isPart(place) || isWord(context.tokens[at - 1], "AS")) return undefined
  const made = Library.calls[token.value]?.({
    name: token.value,
    args: [],
    distinct: false,
    order: undefined,
    filter: undefined,
    over: undefined,
    window: undefined,
    nulls: undefined
  })
  return made === undefined ? undefined : reading(operandPiece(made.sql, made.kind), at + 1)
}

/** `TRUE` */
const truth: Rule = ({ at, token }) => reading(operandPiece(token.text, "boolean"), at + 1)

/** `INFORMATION_SCHEMA.TABLES`, also as `"INFORMATION_SCHEMA"`: the embedded warehouse keeps its own. */
const schema: Rule = ({ at, next }) =>
  next?.text === "." ? reading(operandPiece(quoted(hiddenInformationSchema)), at + 1) : undefined

/** The rules for constructs by the words with which they begin; behind each an example of one. */
const constructs: ReadonlyMap<string, Rule> = new Map([
  ["SELECT", select], // SELECT TOP 3 a, b + 1
  ["EXCLUDE", starColumns], // * EXCLUDE (a, b)
  ["RENAME", starColumns], // * RENAME (a AS b)
  ["REPLACE", starColumns], // * REPLACE (a + 1 AS a)
  ["MINUS", minus], // SELECT 1 MINUS SELECT 2
  ["VALUES", values], // FROM VALUES (1, 'a'), (2, 'b')
  ["TABLE", tableFunction], // TABLE(GENERATOR(ROWCOUNT => 3))
  ["FLATTEN", flattening], // LATERAL FLATTEN(INPUT => t.v)
  ["SPLIT_TO_TABLE", flattening], // LATERAL SPLIT_TO_TABLE(t.a, ',')
  ["STRTOK_SPLIT_TO_TABLE", flattening],
  ["LATERAL", lateral], // FROM LATERAL FLATTEN(...)
  ["INNER", crossJoin], // a INNER JOIN b
  ["JOIN", crossJoin], // a JOIN b
  ["ASOF", asofJoin], // a ASOF JOIN b
  ["MATCH_CONDITION", matchCondition], // MATCH_CONDITION (a.t >= b.t)
  ["PIVOT", pivot], // PIVOT (SUM(a) FOR m IN ('JAN', 'FEB'))
  ["UNPIVOT", unpivot], // UNPIVOT (a FOR m IN (jan, feb))
  ["SAMPLE", sample], // t SAMPLE (10 ROWS)
  ["TABLESAMPLE", sample], // t TABLESAMPLE BERNOULLI (10)
  ["MATCH_RECOGNIZE", rowPattern], // t MATCH_RECOGNIZE (PATTERN (a b))
  ["AT", timeTravel], // t AT (OFFSET => -60)
  ["BEFORE", timeTravel], // t BEFORE (STATEMENT => '...')
  ["CHANGES", timeTravel], // t CHANGES (INFORMATION => DEFAULT)
  ["LIKE", likeAny], // a LIKE ANY ('x%', 'y%')
  ["ILIKE", likeAny], // a ILIKE ALL ('x%', 'y%')
  ["RLIKE", regexp], // a RLIKE 'x.*'
  ["REGEXP", regexp], // a NOT REGEXP 'x.*'
  ["IN", rowsIn], // (a, b) IN ((1, 2), (3, 4))
  ..."CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP LOCALTIME LOCALTIMESTAMP SYSDATE CURRENT_USER CURRENT_ROLE"
    .split(" ")
    .map((name): [string, Rule] => [name, bare]),
  ["TRUE", truth],
  ["FALSE", truth],
  [informationSchema, schema] // INFORMATION_SCHEMA.TABLES
])

/** `FROM` as it is, but not `LEFT(a, 2)`; behind ORDER the columns of GROUP BY ALL are known. */
const keyword: Rule = (place) => {
  const { at, context, list, token } = place
  if (!isKeyword(token) || (callable.has(token.value) && hasBracket(place))) return undefined
  const made = reading(symbolPiece(token.text, token.value), at + 1)
  if (token.value !== "ORDER") return made
  context.work.look(list.length)
  const grouped = groupedByAll(list)
  return grouped === undefined ? made : { ...made, context: { ...context, grouped } }
}

/** A call of a function: not a column list behind an alias or the name of a CTE, `AS t (a, b)`, and not `x.f(a)`. */
const call: Rule = (place) => {
  const { at, context, last } = place
  const before = context.tokens[at - 1]
  if (!hasBracket(place) || before?.text === ".") return undefined
  const isAlias =
    isWord(before, "AS", "WITH", "RECURSIVE") || (before?.kind === "close" && last?.operand === true)
  return isAlias || isCteName(context, at) ? undefined : callAt(context, at)
}

/** `GROUP BY ALL ORDER BY UPPER(a)`: a column of the groups inside of an expression. */
const groupedColumn: Rule = (place) => {
  const { at, context, token } = place
  return context.grouped.has(token.value) && !isPart(place) && !isSortItem(context, at)
    ? reading(operandPiece(`any_value(${token.text})`), at + 1)
    : undefined
}

/** `a`, and `primary`, which is a name in Snowflake alone. */
const name = (place: Place): Reading => {
  const { at, context, next, token } = place
  const isOfStatement = isReserved(token) || isWord(token, "DEFAULT", "ONLY", "SHOW")
  const isReservedThere =
    reservedByDuckDb.has(token.value) && !isOfStatement && !hasBracket(place) && !isWord(next, "JOIN")
  const sql = isReservedThere ? quoted(token.text) : token.text
  return reading(operandPiece(sql, kindOfWord(context, token)), at + 1)
}

/** What begins with a word. */
export const word = (place: Place): Reading =>
  constructs.get(place.token.value)?.(place) ??
  keyword(place) ??
  call(place) ??
  groupedColumn(place) ??
  name(place)

/** `"a"` */
export const quotedName = (place: Place): Reading =>
  (place.token.value === informationSchema ? schema(place) : undefined) ??
  reading(operandPiece(place.token.text), place.at + 1)
