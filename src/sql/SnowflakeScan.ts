/**
 * Reads the tokens of one Snowflake query once, from left to right, and refuses whatever is not plainly
 * part of a read: calls of functions that are not allowed, stages and files, methods, sequences, locks,
 * SELECT INTO, and anything but a query where a query is due.
 *
 * Invariant: linear in the number of tokens; nothing is looked up by going back over a bracket.
 *
 * @since 0.1.0
 */
import type { Token } from "./Lexer.js"
import * as Calls from "./SnowflakeCalls.js"
import { Refused, refuse, refuseStatement, written } from "./SnowflakeCalls.js"
import type { Names } from "./SnowflakeNames.js"
import { afterWord, frame, isName } from "./SnowflakeFrame.js"
import type { Frame } from "./SnowflakeFrame.js"
import { closing, isLiteral, isOperand, opensTable, stageHelp, stagePath } from "./SnowflakeTokens.js"
import { endsFrom, forInside, fromInside, queryStarts, setOperators, writes } from "./SnowflakeWords.js"
import type { Rejection } from "./Statement.js"

/** What an operator allows. */
export interface Allowed {
  readonly functions: ReadonlySet<string>
  readonly stages: boolean
}

/**
 * Why the query at `from` (to the end) is refused; undefined when it is a read. Adds what it names.
 *
 * @since 0.1.0
 * @category checks
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
    for (;;) {
      const name = tokens[at]
      if (!isName(name)) refuse("SYNTAX", "WITH needs a name", name ?? tokens[start])
      at++
      if (tokens[at]?.text === "(") {
        columns.add(at)
        at = closers[at]! + 1
      }
      const as = tokens[at]
      if (as?.kind !== "word" || as.value !== "AS" || tokens[at + 1]?.text !== "(") {
        refuse("NOT_A_READ", `WITH defines queries only: ${name?.text ?? ""} AS (SELECT ...)`, as ?? name)
      }
      needsQuery(at + 2, "AS (")
      const end = closers[at + 1]!
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
    if (tokens[end + 1]?.text === "(") return at - 1
    if (end === at) refuseStatement(tokens, at)
    if (tokens[end + 1]?.text === ".")
      names.dynamic.push({ form: "a name with a part missing", token: tokens[at] })
    if (parts.some(({ value }) => value === "NEXTVAL"))
      refuse("NOT_A_READ", "NEXTVAL takes a number from a sequence", tokens[at])
    if (parts.length > 1 || !isCte(parts[0]!.value)) {
      names.tables.add(written(parts))
      names.references.push({ parts: full, token: tokens[at] })
    }
    return end
  }

  const enter = (at: number): void => {
    const token = tokens[at]!
    const previous = at > from ? tokens[at - 1] : undefined
    const outer = top
    let next: Frame | undefined
    if (token.text !== "(") {
      if (outer.wantsTable) return refuse("SYNTAX", `a table cannot begin with ${token.text}`, token)
      next = frame("group", "", outer)
    } else if (previous?.kind === "close" && !(startsQuery(at) || outer.kind === "pattern")) {
      return refuse("FUNCTION_NOT_ALLOWED", "the result of an expression cannot be called", token)
    } else if (previous?.kind === "close" && tokens[at - 1]?.text !== ")") {
      return refuse("SYNTAX", "a bracket cannot follow here", token)
    } else if (previous !== undefined && isLiteral(previous)) {
      if (outer.stageAt !== at - 1) return refuse("SYNTAX", "a bracket cannot follow a literal", token)
      next = frame("clause", "STAGE", outer)
    } else if (columns.has(at)) next = frame("names", "", outer)
    else if (outer.kind === "pattern") next = frame("pattern", "", outer)
    else if (isName(previous)) {
      next = afterWord(tokens, at, from, outer)
      if (next === undefined) {
        const object = Calls.check({ tokens, from, top: outer, allowed, names }, at)
        if (object !== undefined) table(object)
        const name = previous!.value
        next = frame("call", name, outer, outer.wantsTable)
      }
    } else next = outer.inRows ? frame("row", "", outer) : frame("group", "", outer, outer.wantsTable)
    if (next.name === "TABLE" && next.kind === "clause") Calls.tableCall(tokens, at, names)
    if (next.name === "VALUES" && next.kind === "row") outer.inRows = true
    if (outer.wantsTable && outer.clause === "none") outer.clause = "from"
    outer.wantsTable = false
    next.recursion = recursions.get(at)
    stack.push(next)
    top = next
  }

  const leave = (at: number): void => {
    const closed = stack.pop()!
    top = stack[stack.length - 1]!
    const cte = defines.get(at)
    if (cte !== undefined) (top.ctes ??= new Set()).add(cte)
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
    switch (word) {
      case "SELECT": {
        const joined =
          previous?.kind === "word" &&
          (setOperators.has(previous.value) || ["ALL", "DISTINCT", "NAME"].includes(previous.value))
        if (!begins && !joined && previous?.text !== ")" && previous?.text !== "=>")
          refuse("SYNTAX", "SELECT does not belong here", token)
        top.clause = "select"
        top.wantsTable = false
        return
      }
      case "WITH":
        if (begins) withClause(at)
        else if (previous.kind === "word" && (setOperators.has(previous.value) || previous.value === "ALL")) {
          // Whether its names reach beyond the next set operator is not documented: here they do not.
          top.outside = new Set(top.ctes)
          withClause(at)
        } else if (
          previous?.value !== "START" &&
          next?.value !== "TIME" &&
          next?.value !== "LOCAL" &&
          next?.value !== "UNMATCHED"
        )
          refuse("SYNTAX", "WITH does not belong here", token)
        top.wantsTable = false
        return
      case "FROM":
        if (
          previous?.kind === "word" &&
          previous.value === "DISTINCT" &&
          /^(?:IS|NOT)$/.test(tokens[at - 2]?.value ?? "")
        )
          return
        if (top.kind === "call" && fromInside.has(top.name) && top.clause === "none") return
        top.clause = "from"
        top.wantsTable = true
        return
      case "JOIN":
        top.clause = "from"
        top.wantsTable = true
        return
      case "LATERAL":
        top.wantsTable = true
        return
      case "FOR":
        if (!forInside.has(top.name))
          refuse("NOT_A_READ", "FOR UPDATE locks rows; a read has no FOR clause", token)
        return
    }
    if (setOperators.has(word)) {
      if (top.outside !== undefined) {
        top.ctes = top.outside
        top.outside = undefined
      }
      // The first arm of a recursive CTE cannot mean itself: there its name is a table.
      if (top.recursion !== undefined) (top.ctes ??= new Set()).add(top.recursion)
      let arm = at + 1
      if (tokens[arm]?.value === "ALL" || tokens[arm]?.value === "DISTINCT") arm++
      if (tokens[arm]?.value === "BY" && tokens[arm + 1]?.value === "NAME") arm += 2
      needsQuery(arm, word)
    }
    if (endsFrom.has(word)) {
      if (top.wantsTable) refuse("SYNTAX", `a table is due before ${token.text}`, token)
      top.clause = word === "GROUP" ? "group" : "other"
      top.wantsTable = false
      top.inRows = false
    }
  }

  const step = (at: number): number => {
    const token = tokens[at]!
    const previous = at > from ? tokens[at - 1] : undefined
    if (token.kind === "open") enter(at)
    else if (token.kind === "close") leave(at)
    else if (token.kind === "operator") {
      if (token.text === "@")
        refuse("OBJECT_NOT_ALLOWED", `stages cannot be named here; ${stageHelp(stages)}`, token)
      if (token.text === "!") refuse("FUNCTION_NOT_ALLOWED", "methods (name!METHOD) are not available", token)
      if (token.text === "->>") refuse("NOT_A_READ", "->> chains statements, and not inside brackets", token)
      if (token.text === "," && top.clause === "from") {
        top.inRows = top.inRows && tokens[at + 1]?.text === "("
        top.wantsTable = !top.inRows
      }
    } else if (token.kind === "word" || token.kind === "quoted") {
      // An alias ends the rows of VALUES: what follows the next comma is a table again.
      top.inRows = false
      if (previous?.text === "." && token.value.toUpperCase() === "NEXTVAL") {
        refuse("NOT_A_READ", "NEXTVAL takes a number from a sequence, which is not a read", token)
      }
      const part =
        previous?.text === "." || (previous?.text === ":" && at - 2 >= from && isOperand(tokens[at - 2]))
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
      top.aliasAt = at + 1
    }
    return at
  }

  try {
    needsQuery(from, tokens[from - 1]?.text ?? "the beginning")
    for (let at = from; at < tokens.length; at++) at = step(at)
    return undefined
  } catch (thrown) {
    if (thrown instanceof Refused) return thrown.rejection
    throw thrown
  }
}
