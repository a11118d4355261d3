/**
 * Walks the tree that DuckDB's parser makes of a SELECT and refuses what is not on a list: node kinds,
 * functions and tables. What a statement costs is not guessed here: it runs in a process whose memory and time
 * are bounded.
 *
 * Invariant: an object of a kind that is not known here is refused, so a new kind of expression in a
 * later DuckDB is refused until it was reviewed.
 *
 * @since 0.1.0
 */
import { fromDuckDb, lowerAscii } from "../../sql/Identifier.js"
import type { Rejection } from "../../sql/Statement.js"
import * as Names from "./names.js"
import { isTree, list, locationOf, text } from "./tree.js"
import type { Tree } from "./tree.js"

/** A refusal whose position is a byte offset into the parsed text. */
export interface Problem extends Omit<Rejection, "position"> {
  readonly location?: number | undefined
}

export interface Findings {
  readonly problem: Problem | undefined
  readonly tables: ReadonlyArray<string>
  readonly functions: ReadonlyArray<string>
  readonly references: ReadonlyArray<Names.Reference>
  readonly ctes: ReadonlyArray<string>
  /** It shows what columns and types are made of: DESCRIBE, SUMMARIZE, or a PIVOT over the values of an ENUM. */
  readonly tellsTypes: boolean
}

/** Deeper trees are not walked: the stack is this process's. */
const maxDepth = 150

const expressions = new Set(
  (
    "BETWEEN CASE CAST COLLATE COLUMN_REF COMPARISON CONJUNCTION CONSTANT FUNCTION LAMBDA LAMBDA_REF OPERATOR " +
    "POSITIONAL_REFERENCE STAR SUBQUERY TYPE WINDOW"
  ).split(" ")
)
const others = new Set(
  (
    "SELECT_NODE SET_OPERATION_NODE RECURSIVE_CTE_NODE CTE_NODE BASE_TABLE SUBQUERY JOIN TABLE_FUNCTION EMPTY " +
    "EXPRESSION_LIST PIVOT SHOW_REF LIMIT_MODIFIER LIMIT_PERCENT_MODIFIER ORDER_MODIFIER DISTINCT_MODIFIER " +
    "ORDER_DEFAULT ASCENDING DESCENDING"
  ).split(" ")
)

interface Scope {
  readonly outer: Scope | undefined
  readonly ctes: Set<string>
}

const child = (outer: Scope | undefined): Scope => ({ outer, ctes: new Set() })

/**
 * What the statement names, and why it is refused if it is.
 *
 * @since 0.1.0
 * @category checks
 */
export const inspect = (statement: unknown, allowed: Names.Allowed): Findings => {
  const cteNames: Array<string> = []
  let problem: Problem | undefined
  let tellsTypes = false

  const fail: Names.Fail = (code, reason, at, hint) => {
    problem ??= { code, reason, location: locationOf(at), hint }
  }
  const names = Names.make(allowed, fail)

  const isCte =
    (scope: Scope) =>
    (name: string): boolean => {
      for (let at: Scope | undefined = scope; at !== undefined; at = at.outer)
        if (at.ctes.has(name)) return true
      return false
    }

  const all = (values: Iterable<unknown>, scope: Scope, depth: number): void => {
    for (const value of values) if (typeof value === "object") walk(value, scope, depth)
  }

  const query = (tree: Tree, outer: Scope, depth: number): void => {
    const scope = child(outer)
    const ctes = isTree(tree["cte_map"]) ? list(tree["cte_map"]["map"]) : []
    for (const entry of ctes) {
      const value = isTree(entry) ? entry["value"] : undefined
      if (!isTree(entry) || !isTree(value)) continue
      walk(value, scope, depth)
      scope.ctes.add(lowerAscii(text(entry["key"])))
      cteNames.push(fromDuckDb(text(entry["key"])))
    }
    const isRecursive = tree["type"] === "RECURSIVE_CTE_NODE"
    if (isRecursive) {
      // In the first part the name is not that of the CTE yet.
      all([tree["left"]], scope, depth)
      scope.ctes.add(lowerAscii(text(tree["cte_name"])))
    }
    const done = ["cte_map", ...(isRecursive ? ["left"] : [])]
    const rest = Object.keys(tree).filter((key) => !done.includes(key))
    all(
      rest.map((key) => tree[key]),
      scope,
      depth
    )
  }

  const column = (tree: Tree): void => {
    const names = list(tree["column_names"]).map((name) => lowerAscii(text(name)))
    const last = names[names.length - 1]
    if (names.length > 1 && (last === "nextval" || last === "currval")) {
      fail("NOT_A_READ", `${last.toUpperCase()} takes a number from a sequence, which is not a read`, tree)
    }
  }

  const walk = (value: unknown, scope: Scope, depth: number): void => {
    if (Array.isArray(value)) return all(value, scope, depth)
    if (!isTree(value) || problem !== undefined) return
    if (depth > maxDepth) {
      fail("TOO_LARGE", `expressions are nested deeper than ${maxDepth}; put a part into a CTE`)
      return
    }
    const kind = value["class"]
    if (typeof kind === "string") {
      if (kind === "PARAMETER")
        fail("SYNTAX", "parameters (? or $1) are not available; write the value", value)
      else if (!expressions.has(kind)) fail("NOT_A_READ", `${kind} expressions are not supported`, value)
      if (kind === "CONSTANT") return
      if (kind === "COLUMN_REF") return column(value)
      if (kind === "FUNCTION" || kind === "WINDOW") names.call(value, "scalar")
      return all(Object.values(value), scope, depth + 1)
    }
    const type = value["type"]
    if (typeof type !== "string" || type.endsWith("_TYPE_INFO"))
      return all(Object.values(value), scope, depth)
    if (!others.has(type)) fail("NOT_A_READ", `${type} is not supported`, value)
    switch (type) {
      case "SELECT_NODE":
      case "SET_OPERATION_NODE":
      case "RECURSIVE_CTE_NODE":
      case "CTE_NODE":
        return query(value, scope, depth + 1)
      case "BASE_TABLE":
        names.table(value, isCte(scope))
        break
      case "TABLE_FUNCTION": {
        const call = value["function"]
        if (!isTree(call)) fail("NOT_A_READ", "a table function without a name", value)
        else {
          names.call(call, "table")
          const rest = Object.keys(value).filter((key) => key !== "function")
          return all([...Object.values(call), ...rest.map((key) => value[key])], scope, depth + 1)
        }
        break
      }
      case "PIVOT":
        if (list(value["pivots"]).some((pivot) => isTree(pivot) && text(pivot["pivot_enum"]) !== ""))
          tellsTypes = true
        break
      case "SHOW_REF":
        tellsTypes = true
        if (!isTree(value["query"])) fail("NOT_A_READ", "SHOW is a statement of its own, not a table", value)
        break
    }
    all(Object.values(value), scope, depth + (type === "JOIN" ? 0 : 1))
  }

  walk(statement, child(undefined), 0)
  const { functions, references, tables } = names
  return { problem, tables: [...tables], functions: [...functions], references, ctes: cteNames, tellsTypes }
}
