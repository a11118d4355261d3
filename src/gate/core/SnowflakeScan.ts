/**
 * Reads the tokens of one Snowflake query once, from left to right, and refuses whatever is not plainly
 * part of a read: calls of functions that are not allowed, stages and files, methods, sequences, locks,
 * SELECT INTO, and anything but a query where a query is due.
 *
 * Invariant: linear in the number of tokens; nothing is looked up by going back over a bracket.
 */
import type { Token } from "../../sql/Lexer.js"
import * as Calls from "./SnowflakeCalls.js"
import { Refused, refuse, refuseClause, refuseVerb, written } from "./SnowflakeCalls.js"
import type { Names } from "./SnowflakeNames.js"
import {
  afterWord,
  endsTable,
  frame,
  holdsNames,
  isName,
  isWord,
  closing,
  isLiteral,
  operandBefore,
  opensTable,
  partOfType,
  stageHelp,
  stagePath
} from "./SnowflakeFrame.js"
import type { Frame } from "./SnowflakeFrame.js"
import {
  beforeBracket,
  clausePairs,
  endsFrom,
  foreignVerbs,
  forInside,
  fromInside,
  queryStarts,
  setOperators,
  verbs,
  writes
} from "./SnowflakeGrammar.js"
import type { Rejection } from "../../sql/Statement.js"

/** What an operator allows. */
export interface Allowed {
  readonly functions: ReadonlySet<string>
  readonly stages: boolean
}

/**
 * Why the query at `from` (to the end) is refused; undefined when it is a read. Adds what it names.
 */
export const inspect = (
  tokens: ReadonlyArray<Token>,
  from: number,
  { functions: allowed, stages }: Allowed,
  names: Names
): Rejection | undefined => {
  const stack: Array<Frame> = [frame("group", "", undefined)]
  const closers = closing(tokens)
  /** CTEs by the bracket that ends their definition, and brackets that hold their column names. */
  const defines = new Map<number, string>()
  const columns = new Set<number>()
  /** Recursive CTEs by the bracket that begins their definition. */
  const recursions = new Map<number, string>()
  /** Brackets of semantic views that WITH defines: read already, up to where; or with expressions inside. */
  const read = new Set<number>()
  const semantic = new Set<number>()
  /** Brackets behind the word of a clause of SEMANTIC_VIEW: no calls. */
  const grouped = new Set<number>()
  let top = stack[0]!

  const startsQuery = (at: number): boolean => {
    while (tokens[at]?.text === "(") at++
    const token = tokens[at]
    return token?.kind === "word" && queryStarts.has(token.value)
  }

  const needsQuery = (at: number, after: string): void => {
    if (startsQuery(at)) return
    refuse("NOT_A_READ", `only a query can follow ${after}`, tokens[at] ?? tokens[at - 1])
  }

  /** `name [(columns)] AS ( query ), ...` and then the query: nothing else may follow WITH. */
  const withClause = (start: number): void => {
    let at = start + 1
    const recursive =
      tokens[at]?.value === "RECURSIVE" && isName(tokens[at + 1]) && tokens[at + 1]?.value !== "AS"
    if (recursive) at++
    const defined = new Set<string>()
    for (;;) {
      const name = tokens[at]
      if (!isName(name)) refuse("SYNTAX", "WITH needs a name", name ?? tokens[start])
      at++
      if (tokens[at]?.text === "(") {
        if (!holdsNames(tokens, at)) refuse("SYNTAX", "a CTE has the names of its columns there", tokens[at])
        columns.add(at)
        at = closers[at]! + 1
      }
      const as = tokens[at]
      if (isWord(as, "AS") && isWord(tokens[at + 1], "SEMANTIC") && isWord(tokens[at + 2], "VIEW")) {
        names.ctes.push({ name: name?.value ?? "", token: name })
        at = semanticView(at + 3, name?.value ?? "", defined)
        defined.add(name?.value ?? "")
        if (tokens[at]?.text !== ",") break
        at++
        continue
      }
      if (as?.kind !== "word" || as.value !== "AS" || tokens[at + 1]?.text !== "(") {
        refuse("NOT_A_READ", `WITH defines queries only: ${name?.text ?? ""} AS (SELECT ...)`, as ?? name)
      }
      needsQuery(at + 2, "AS (")
      const end = closers[at + 1]!
      defined.add(name?.value ?? "")
      names.ctes.push({ name: name?.value ?? "", token: name })
      defines.set(end, name?.value ?? "")
      if (recursive) recursions.set(at + 1, name?.value ?? "")
      at = end + 1
      if (tokens[at]?.text !== ",") break
      at++
    }
    if (tokens[at]?.value === "WITH" || tokens[at]?.value === "VALUES" || !startsQuery(at)) {
      refuse("NOT_A_READ", "only SELECT can follow WITH ... AS (...)", tokens[at] ?? tokens[at - 1])
    }
  }

  /** One name of up to four parts at `at`; answers where it ends, `at` where there is none. */
  const nameEnd = (at: number): number => {
    if (!isName(tokens[at])) return at
    let end = at
    while (tokens[end + 1]?.text === "." && isName(tokens[end + 2])) end += 2
    return end + 1
  }

  /**
   * `[alias AS] table [PRIMARY KEY (a)] [UNIQUE (b)] [WITH SYNONYMS (...)] [COMMENT = '...'], ...` between the
   * brackets, of which nothing can be a call; answers where the tables are named.
   */
  const logicalTables = (open: number): ReadonlyArray<number> => {
    const close = closers[open]!
    const found: Array<number> = []
    let at = open + 1
    for (;;) {
      if (isWord(tokens[nameEnd(at)], "AS") && nameEnd(at) > at) at = nameEnd(at) + 1
      const end = nameEnd(at)
      if (end === at) break
      found.push(at)
      at = end
      for (;;) {
        if (isWord(tokens[at], "PRIMARY") && isWord(tokens[at + 1], "KEY") && tokens[at + 2]?.text === "(") {
          if (!holdsNames(tokens, at + 2)) return []
          at = closers[at + 2]! + 1
        } else if (isWord(tokens[at], "UNIQUE") && tokens[at + 1]?.text === "(") {
          if (!holdsNames(tokens, at + 1)) return []
          at = closers[at + 1]! + 1
        } else if (isWord(tokens[at], "WITH") && isWord(tokens[at + 1], "SYNONYMS")) {
          const open = tokens[at + 2]?.text === "=" ? at + 3 : at + 2
          const close = tokens[open]?.text === "(" ? closers[open]! : open
          for (let i = open + 1; i < close; i++)
            if (tokens[i]!.kind !== "string" && tokens[i]!.text !== ",") return []
          if (close === open) return []
          at = close + 1
        } else if (
          isWord(tokens[at], "COMMENT") &&
          tokens[at + 1]?.text === "=" &&
          tokens[at + 2]?.kind === "string"
        ) {
          at += 3
        } else break
      }
      if (tokens[at]?.text !== ",") break
      at++
    }
    return at === close ? found : []
  }

  /** `[name AS] table (columns) REFERENCES table [(columns)], ...` between the brackets, and nothing else. */
  const holdsRelationships = (open: number): boolean => {
    let at = open + 1
    for (;;) {
      if (isName(tokens[at]) && isWord(tokens[at + 1], "AS")) at += 2
      const begin = at
      at = nameEnd(at)
      if (at === begin || tokens[at]?.text !== "(" || !holdsNames(tokens, at)) return false
      at = closers[at]! + 1
      if (!isWord(tokens[at], "REFERENCES")) return false
      const end = nameEnd(at + 1)
      if (end === at + 1) return false
      at = end
      if (tokens[at]?.text === "(") {
        if (!holdsNames(tokens, at)) return false
        at = closers[at]! + 1
      }
      if (tokens[at]?.text !== ",") return at === closers[open]
      at++
    }
  }

  /** `name AS SEMANTIC VIEW TABLES (...) ...`, from its TABLES on; answers where it ends. */
  const semanticView = (start: number, name: string, defined: ReadonlySet<string>): number => {
    let at = start
    let last = -1
    const wanted = ["TABLES", "RELATIONSHIPS", "FACTS", "DIMENSIONS", "METRICS"]
    while (
      tokens[at]?.kind === "word" &&
      wanted.includes(tokens[at]!.value) &&
      tokens[at + 1]?.text === "("
    ) {
      const kind = tokens[at]!.value
      const open = at + 1
      if (kind === "TABLES") {
        const tables = logicalTables(open)
        if (tables.length === 0)
          refuse("SYNTAX", "TABLES of a semantic view holds tables and their keys", tokens[open])
        for (const place of tables) {
          if (nameEnd(place) - place > 1 || !defined.has(tokens[place]!.value)) table(place)
        }
      } else if (kind === "RELATIONSHIPS") {
        if (!holdsRelationships(open))
          refuse("SYNTAX", "RELATIONSHIPS holds table (column) REFERENCES table", tokens[open])
      }
      if (kind === "TABLES" || kind === "RELATIONSHIPS") read.add(open)
      else semantic.add(open)
      at = closers[open]! + 1
      last = closers[open]!
    }
    if (last < 0 || tokens[start]?.value !== "TABLES")
      refuse(
        "NOT_A_READ",
        "AS SEMANTIC VIEW defines TABLES (...), DIMENSIONS (...) and METRICS (...)",
        tokens[start]
      )
    defines.set(last, name)
    return at
  }

  /** A row of VALUES without brackets: a plain literal, and no text that could be read as a stage or a file. */
  const isPlain = (start: number): boolean => {
    const signed = tokens[start]?.text === "-" || tokens[start]?.text === "+"
    const at = signed ? start + 1 : start
    const token = tokens[at]
    const literal =
      token?.kind === "number" ||
      (token?.kind === "word" && ["TRUE", "FALSE", "NULL"].includes(token.value)) ||
      (token?.kind === "string" && !/^\s*@|:\/\//.test(token.value))
    return literal && tokens[at + 1]?.text !== "(" && tokens[at + 1]?.text !== "."
  }

  const isCte = (name: string): boolean => stack.some((each) => each.ctes?.has(name) === true)

  /** A table at `at`; answers the offset of its last token. */
  const table = (at: number): number => {
    const parts: Array<Token> = [tokens[at]!]
    let end = at
    const full = [tokens[at]!.value]
    while (tokens[end + 1]?.text === "." && parts.length < 4) {
      // `db..table`: the schema is PUBLIC.
      const isPublic = tokens[end + 2]?.text === "." && parts.length === 1
      const next = isPublic ? end + 3 : end + 2
      if (!isName(tokens[next])) break
      if (isPublic) full.push("PUBLIC")
      full.push(tokens[next]!.value)
      parts.push(tokens[next]!)
      end = next
    }
    if (end === at) refuseClause(tokens, at)
    if (tokens[end + 1]?.text === "(") return at - 1
    if (tokens[end + 1]?.text === ".")
      names.dynamic.push({ form: "a name with a part missing", token: tokens[at] })
    if (parts.some(({ value }) => value === "NEXTVAL"))
      refuse("NOT_A_READ", "NEXTVAL takes a number from a sequence", tokens[at])
    if (parts.length > 1 || !isCte(parts[0]!.value)) {
      names.tables.add(written(parts))
      names.references.push({ parts: full, token: tokens[at], span: { from: at, to: end } })
    } else names.reads.push(at)
    return end
  }

  /** The name of a semantic view at `at`; answers where it ends. */
  const semanticName = (at: number): number => {
    if (isWord(tokens[at], "IDENTIFIER") && tokens[at + 1]?.text === "(") {
      const found = Calls.identified(tokens, at + 1)
      if (found?.isWhole === true) names.tables.add(found.text)
      names.dynamic.push({ form: "IDENTIFIER(...)", token: tokens[at] })
      return closers[at + 1]! + 1
    }
    const end = table(at)
    if (end < at) refuse("OBJECT_NOT_ALLOWED", "SEMANTIC_VIEW takes the name of a semantic view", tokens[at])
    return end + 1
  }

  const enter = (at: number): void => {
    const token = tokens[at]!
    const previous = at > from ? tokens[at - 1] : undefined
    const outer = top
    let next: Frame | undefined
    if (outer.kind === "clause" && (outer.name === "EXCLUDE" || outer.name === "RENAME"))
      return refuse("SYNTAX", `${outer.name} takes the names of columns`, token)
    if (outer.kind === "pattern") {
      if (token.text === "[") return refuse("SYNTAX", "a row pattern holds names and quantifiers", token)
      next = frame("pattern", "", outer)
    } else if (token.text !== "(") {
      if (outer.wantsTable) return refuse("SYNTAX", `a table cannot begin with ${token.text}`, token)
      // An object begins with a text, a star or a table; `{call f()}` is a statement of ODBC's.
      const word = token.text === "{" && tokens[at + 2]?.text !== "." ? tokens[at + 1] : undefined
      const isEscape =
        isWord(word, "FN") || (/^(?:D|T|TS)$/.test(word?.value ?? "") && tokens[at + 2]?.kind === "string")
      if (isName(word) && !isEscape) return refuse("SYNTAX", "an object is written as {'key': value}", token)
      next = frame("group", "", outer)
    } else if (previous?.kind === "close" && !(defines.has(at - 1) && startsQuery(at))) {
      // Above all no bracket behind IDENTIFIER('f'): that is a call of f.
      return refuse("FUNCTION_NOT_ALLOWED", "the result of an expression cannot be called", token)
    } else if (previous !== undefined && isLiteral(previous)) {
      const isTop =
        previous.kind === "number" && isWord(tokens[at - 2], "TOP") && isWord(tokens[at - 3], "SELECT")
      if (outer.stageAt !== at - 1 && !isTop)
        return refuse("SYNTAX", "a bracket cannot follow a literal", token)
      next = isTop ? frame("group", "", outer) : frame("clause", "STAGE", outer)
    } else if (columns.has(at)) next = frame("names", "", outer)
    else if (semantic.has(at)) next = frame("clause", "SEMANTIC", outer)
    else if (grouped.has(at)) next = frame("group", "", outer)
    else if (isName(previous)) {
      next = afterWord(tokens, at, from, outer)
      if (next === undefined) {
        const object = Calls.check({ tokens, from, top: outer, allowed, names }, at)
        if (object !== undefined) {
          const end = semanticName(object)
          for (const open of Calls.semanticClausesOf(tokens, end, closers)) grouped.add(open)
        }
        const name = previous!.value
        next = frame("call", name, outer, outer.wantsTable)
      }
    } else next = outer.inRows ? frame("row", "", outer) : frame("group", "", outer, outer.wantsTable)
    const isNested = outer.kind === "type" && next.kind !== "type"
    if (isNested || (next.kind === "type" && tokens[at + 1]?.kind === "close"))
      return refuse("SYNTAX", "a type takes numbers and types", token)
    if (next.name === "TABLE" && next.kind === "clause") Calls.tableCall(tokens, at, closers, names)
    if (next.kind === "clause") Calls.clauseNames(tokens, at, closers[at]!, next.name, names)
    if (next.name === "VALUES" && next.kind === "row") outer.inRows = true
    if (outer.wantsTable && outer.clause === "none") outer.clause = "from"
    outer.wantsTable = false
    next.recursion = recursions.get(at)
    stack.push(next)
    top = next
  }

  /** Where its definition ends a CTE begins to hide tables of its name. */
  const define = (at: number): void => {
    const cte = defines.get(at)
    if (cte === undefined || top.ctes?.has(cte) === true) return
    ;(top.ctes ??= new Set()).add(cte)
    top.ending?.add(cte)
  }

  const unfinished = ({ cases }: Frame, at: number): void => {
    if (cases > 0) refuse("SYNTAX", "a CASE has no END", tokens[at] ?? tokens[at - 1])
  }

  const leave = (at: number): void => {
    const closed = stack.pop()!
    unfinished(closed, at)
    top = stack[stack.length - 1]!
    define(at)
    if (top.clause === "from" && closed.kind !== "names" && top.aliasAt < at) top.aliasAt = at + 1
  }

  const keyword = (at: number): void => {
    const token = tokens[at]!
    const previous = at > from ? tokens[at - 1] : undefined
    const next = tokens[at + 1]
    const word = token.value
    if (writes.has(word) && !(word === "INSERT" && next?.text === "(") && next?.text !== "=>") {
      refuse("NOT_A_READ", `${token.text} is not part of a read`, token)
    }
    const begins = previous === undefined || previous.kind === "open"
    const pair = clausePairs.get(word)
    const isClause = endsFrom.has(word) && (pair === undefined || isWord(next, pair))
    const acts = verbs.has(word) || (top.wantsTable ? word === "DESC" : foreignVerbs.has(word))
    if (acts && !isClause) {
      const place = top.wantsTable ? "table" : top.clause === "select" ? "list" : "expression"
      refuseVerb(tokens, at, from, place)
    }
    switch (word) {
      case "CASE":
        top.cases++
        break
      case "END":
        if (top.cases > 0) {
          top.cases--
          top.caseEndAt = at
        }
        break
      case "TABLE": {
        // `FROM table` without a name is for the warehouse to refuse.
        const ends =
          next === undefined ||
          next.kind === "close" ||
          (isWord(next, "LIMIT") && tokens[at + 2]?.kind === "number") ||
          (next.kind === "word" && endsFrom.has(next.value))
        if (!ends && next.text !== "(") refuse("SYNTAX", "TABLE takes a name or a call in brackets", token)
        break
      }
      case "MEASURES":
      case "DEFINE":
        if (top.kind === "clause" && top.name === "MATCH_RECOGNIZE") top.inMatch = true
        break
      case "ON":
      case "USING":
        top.aliasAt = Infinity
        break
      case "SELECT": {
        const joined =
          previous?.kind === "word" &&
          (setOperators.has(previous.value) || ["ALL", "DISTINCT", "NAME"].includes(previous.value))
        if (!begins && !joined && previous?.text !== ")" && previous?.text !== "=>")
          refuse("SYNTAX", "SELECT does not belong here", token)
        top.clause = "select"
        top.wantsTable = false
        top.inMatch = false
        return
      }
      case "WITH":
        if (begins) withClause(at)
        else if (previous.kind === "word" && (setOperators.has(previous.value) || previous.value === "ALL")) {
          // Whether its names reach beyond the next set operator is not documented: here they do not.
          top.ending = new Set()
          withClause(at)
        } else if (
          previous?.value !== "START" &&
          next?.value !== "TIME" &&
          next?.value !== "LOCAL" &&
          next?.value !== "UNMATCHED" &&
          !(top.name === "SEMANTIC" && isWord(next, "SYNONYMS"))
        )
          refuse("SYNTAX", "WITH does not belong here", token)
        top.wantsTable = false
        return
      case "FROM":
        if (isWord(previous, "DISTINCT") && tokens[at - 3]?.text !== ".") {
          const before = tokens[at - 2]
          if (isWord(before, "IS") || isWord(before, "NOT")) return
        }
        if (top.kind === "call" && fromInside.has(top.name) && top.clause === "none") return
        top.clause = "from"
        top.wantsTable = true
        top.aliasAt = -1
        return
      case "VALUES":
        // `FROM VALUES 1, 2`: rows of one column.
        if (top.wantsTable && isPlain(at + 1)) {
          top.clause = "from"
          top.inRows = true
          top.wantsTable = false
        }
        return
      case "JOIN":
        if (top.clause !== "from" || !endsTable(previous))
          refuse("SYNTAX", "JOIN does not belong here", token)
        top.clause = "from"
        top.wantsTable = true
        top.aliasAt = -1
        return
      case "LATERAL":
        if (!top.wantsTable && !(top.clause === "from" && endsTable(previous)))
          refuse("SYNTAX", "LATERAL does not belong here", token)
        if (isWord(next, "VIEW")) refuse("SYNTAX", "LATERAL takes a query or a call, and no VIEW", token)
        top.wantsTable = true
        top.aliasAt = -1
        return
      case "FOR":
        if (!forInside.has(top.name))
          refuse("NOT_A_READ", "FOR UPDATE locks rows; a read has no FOR clause", token)
        return
    }
    if (setOperators.has(word)) {
      for (const cte of top.ending ?? []) top.ctes?.delete(cte)
      top.ending = undefined
      // The first arm of a recursive CTE cannot mean itself: there its name is a table.
      if (top.recursion !== undefined) (top.ctes ??= new Set()).add(top.recursion)
      let arm = at + 1
      if (tokens[arm]?.value === "ALL" || tokens[arm]?.value === "DISTINCT") arm++
      if (tokens[arm]?.value === "BY" && tokens[arm + 1]?.value === "NAME") arm += 2
      needsQuery(arm, word)
    }
    if (isClause) {
      if (top.wantsTable) refuse("SYNTAX", `a table is due before ${token.text}`, token)
      top.clause = word === "GROUP" ? "group" : "other"
      top.wantsTable = false
      top.inRows = false
    }
  }

  /** `.` and `:` between names: nothing else may hide behind them a word that is none. */
  const punctuation = (at: number): void => {
    const token = tokens[at]!
    const next = tokens[at + 1]
    if (token.text === ".") {
      const goesOn = operandBefore(tokens, at, from) || tokens[at - 1]?.text === "."
      const named = isName(next) || next?.kind === "variable" || next?.text === "*" || next?.text === "."
      if (!goesOn || !named) refuse("SYNTAX", "a name is missing beside the dot", token)
    }
    const key = tokens[at - 1]?.kind
    if (token.text === ":" && !operandBefore(tokens, at, from) && key !== "string" && key !== "dollar") {
      const bind = isName(next) && !(next?.kind === "word" && beforeBracket.has(next.value))
      if (!bind && next?.kind !== "number") refuse("SYNTAX", "a bind variable has a name", token)
    }
  }

  const step = (at: number): number => {
    const token = tokens[at]!
    const previous = at > from ? tokens[at - 1] : undefined
    if (read.has(at)) {
      define(closers[at]!)
      return closers[at]!
    }
    if (token.kind === "open") enter(at)
    else if (token.kind === "close") leave(at)
    else if (top.kind === "type") {
      if (!partOfType(tokens, at, top.name)) refuse("SYNTAX", "a type takes numbers and types", token)
    } else if (top.kind === "clause" && (top.name === "EXCLUDE" || top.name === "RENAME")) {
      if (!isName(token) && token.text !== "," && token.text !== ".")
        refuse("SYNTAX", `${top.name} takes the names of columns`, token)
    } else if (top.kind === "pattern") {
      if (!isName(token) && token.kind !== "number" && !/^[|*+?,^$-]$/.test(token.text))
        refuse("SYNTAX", "a row pattern holds names and quantifiers", token)
    } else if (token.kind === "operator") {
      if (token.text === "@")
        refuse("OBJECT_NOT_ALLOWED", `stages cannot be named here; ${stageHelp(stages)}`, token)
      if (token.text === "!") refuse("FUNCTION_NOT_ALLOWED", "methods (name!METHOD) are not available", token)
      if (token.text === "->>") refuse("NOT_A_READ", "->> chains statements, and not inside brackets", token)
      if (token.text === "$") refuse("SYNTAX", "$ without a name", token)
      punctuation(at)
      if (top.wantsTable) {
        // A client that substitutes variables writes &name; the warehouse refuses what is left of it.
        if (token.text === "&") return at
        const isBind = token.text === ":" && (isName(tokens[at + 1]) || tokens[at + 1]?.kind === "number")
        if (!isBind) refuse("SYNTAX", `a table cannot begin with ${token.text}`, token)
        names.dynamic.push({ form: "a bind variable", token })
        top.wantsTable = false
        top.aliasAt = at + 2
        return at + 1
      }
      if (token.text === "," && top.clause === "from") {
        top.inRows = top.inRows && (tokens[at + 1]?.text === "(" || isPlain(at + 1))
        top.wantsTable = !top.inRows
        top.aliasAt = -1
      }
    } else if (token.kind === "word" || token.kind === "quoted") {
      // An alias ends the rows of VALUES: what follows the next comma is a table again.
      if (!isPlain(at)) top.inRows = false
      else if (top.inRows) top.aliasAt = at + 1
      if (previous?.text === "." && token.value.toUpperCase() === "NEXTVAL") {
        refuse("NOT_A_READ", "NEXTVAL takes a number from a sequence, which is not a read", token)
      }
      const part = previous?.text === "." || (previous?.text === ":" && operandBefore(tokens, at - 1, from))
      const bare = token.kind === "word" && !part
      if (bare) keyword(at)
      if (top.wantsTable && !(bare && opensTable(token.value))) {
        const end = table(at)
        if (end >= at) {
          top.wantsTable = false
          top.aliasAt = end + 1
          if (top.clause === "none") top.clause = "from"
          return end
        }
      }
    } else if (top.wantsTable) {
      const stage = stages && token.kind === "string" ? stagePath.exec(token.value)?.[1] : undefined
      if (stage !== undefined) {
        names.references.push({ parts: stage.toUpperCase().split("."), token })
        top.stageAt = at
      } else if (token.kind !== "variable") {
        refuse("OBJECT_NOT_ALLOWED", `a table is due here, not a literal; ${stageHelp(stages)}`, token)
        // The result of an earlier statement of a chain, which has been checked.
      } else if (!/^\$\d+$/.test(token.text)) names.dynamic.push({ form: token.text, token })
      top.wantsTable = false
      if (top.clause === "none") top.clause = "from"
      top.aliasAt = at + 1
    } else if (top.inRows) top.aliasAt = at + 1
    return at
  }

  try {
    needsQuery(from, tokens[from - 1]?.text ?? "the beginning")
    for (let at = from; at < tokens.length; at++) at = step(at)
    unfinished(top, tokens.length)
    return undefined
  } catch (thrown) {
    if (thrown instanceof Refused) return thrown.rejection
    throw thrown
  }
}
