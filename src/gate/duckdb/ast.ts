/**
 * Walks the tree that DuckDB's parser makes of a SELECT and refuses what is not on a list: node kinds,
 * functions, tables, and shapes whose planning takes exponential time (DuckDB cannot be interrupted while
 * it plans).
 *
 * Invariant: an object of a kind that is not known here is refused, so a new kind of expression in a
 * later DuckDB is refused until somebody has looked at it.
 *
 * @since 0.1.0
 */
import * as Functions from "../core/Functions.js"
import type { Rejection } from "../../sql/Statement.js"
import * as Names from "./names.js"
import { isTree, list, literal, locationOf, text } from "./tree.js"
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
}

const maxDepth = 150
const maxJoins = 64
const maxGroupingSets = 1000
const maxPivotColumns = 1000
/** Nodes that the binder may visit once it has unfolded macros, aliases, lambdas and BETWEEN. */
const maxNodes = 100_000
/** Nodes that names of earlier columns of the same select list may stand for, and how long their chains are. */
const maxAliasNodes = 4000
const maxAliasChain = 40
const maxWindows = 250
/** How often the binder repeats what stands inside. */
const repeats = { LAMBDA: 2, BETWEEN: 3 }

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
  /** What an alias of the same select list costs when it is unfolded, and over how many other aliases. */
  readonly aliases: Map<string, { readonly cost: number; readonly chain: number }>
}

const child = (outer: Scope | undefined): Scope => ({ outer, ctes: new Set(), aliases: new Map() })

/**
 * What the statement names, and why it is refused if it is.
 *
 * @since 0.1.0
 * @category checks
 */
export const inspect = (statement: unknown, allowed: Names.Allowed): Findings => {
  const cteNames: Array<string> = []
  let problem: Problem | undefined
  let joins = 0
  let windows = 0
  let aliasNodes = 0
  let chain = 0

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

  const checkPivot = (tree: Tree): void => {
    let columns = Math.max(list(tree["aggregates"]).length, 1)
    for (const pivot of list(tree["pivots"])) {
      if (isTree(pivot)) columns *= Math.max(list(pivot["entries"]).length, 1)
    }
    if (columns > maxPivotColumns) fail("TOO_LARGE", `PIVOT makes more than ${maxPivotColumns} columns`, tree)
  }

  const sum = (values: Iterable<unknown>, scope: Scope, depth: number): number => {
    let total = 0
    for (const value of values) if (typeof value === "object") total += walk(value, scope, depth)
    return total
  }

  const query = (tree: Tree, outer: Scope, depth: number): number => {
    const scope = child(outer)
    let cost = 1
    const ctes = isTree(tree["cte_map"]) ? list(tree["cte_map"]["map"]) : []
    for (const entry of ctes) {
      const value = isTree(entry) ? entry["value"] : undefined
      if (!isTree(entry) || !isTree(value)) continue
      if (value["materialized"] === "CTE_MATERIALIZE_NEVER") {
        fail("TOO_LARGE", "NOT MATERIALIZED repeats the query at every use; leave it out")
      }
      cost += walk(value, scope, depth)
      scope.ctes.add(text(entry["key"]).toLowerCase())
      cteNames.push(text(entry["key"]))
    }
    const isRecursive = tree["type"] === "RECURSIVE_CTE_NODE"
    if (isRecursive) {
      // In the first part the name is not that of the CTE yet.
      cost += sum([tree["left"]], scope, depth)
      scope.ctes.add(text(tree["cte_name"]).toLowerCase())
    }
    if (list(tree["group_sets"]).length > maxGroupingSets) {
      fail("TOO_LARGE", `GROUP BY makes more than ${maxGroupingSets} grouping sets`)
    }
    cost += sum([tree["from_table"]], scope, depth)
    for (const item of list(tree["select_list"])) {
      const outerChain = chain
      chain = 0
      const each = walk(item, scope, depth)
      cost += each
      const alias = isTree(item) ? text(item["alias"]).toLowerCase() : ""
      if (alias !== "") scope.aliases.set(alias, { cost: each, chain: chain + 1 })
      chain = Math.max(outerChain, chain)
    }
    const done = ["cte_map", "from_table", "select_list", ...(isRecursive ? ["left"] : [])]
    const rest = Object.keys(tree).filter((key) => !done.includes(key))
    const others = rest.map((key) => tree[key])
    return cost + sum(others, scope, depth)
  }

  const columnCost = (tree: Tree, scope: Scope): number => {
    const names = list(tree["column_names"]).map((name) => text(name).toLowerCase())
    const last = names[names.length - 1]
    if (names.length > 1 && (last === "nextval" || last === "currval")) {
      fail("NOT_A_READ", `${last.toUpperCase()} takes a number from a sequence, which is not a read`, tree)
    }
    for (let at: Scope | undefined = scope; at !== undefined; at = at.outer) {
      const alias = at.aliases.get(names[0] ?? "")
      if (alias === undefined) continue
      aliasNodes += alias.cost
      chain = Math.max(chain, alias.chain)
      if (aliasNodes > maxAliasNodes || chain > maxAliasChain) {
        fail("TOO_LARGE", "columns build on each other too often; compute the first ones in a CTE", tree)
      }
      return alias.cost
    }
    return 1
  }

  const expression = (tree: Tree, kind: string, scope: Scope, depth: number): number => {
    switch (kind) {
      case "CONSTANT":
        return 1
      case "COLUMN_REF":
        return columnCost(tree, scope)
      case "FUNCTION":
      case "WINDOW": {
        const macro = names.call(tree, "scalar")
        windows += kind === "WINDOW" ? 1 : 0
        if (windows > maxWindows) fail("TOO_LARGE", `more than ${maxWindows} window functions`)
        const grows = Functions.growth(text(tree["function_name"]), list(tree["children"]).map(literal))
        if (grows !== undefined) fail("TOO_LARGE", grows, tree)
        return macro.own + sum(Object.values(tree), scope, depth + 1) * macro.times
      }
      case "LAMBDA":
      case "BETWEEN":
        return 1 + sum(Object.values(tree), scope, depth + 1) * repeats[kind]
      default:
        return 1 + sum(Object.values(tree), scope, depth + 1)
    }
  }

  const walk = (value: unknown, scope: Scope, depth: number): number => {
    if (Array.isArray(value)) return sum(value, scope, depth)
    if (!isTree(value) || problem !== undefined) return 0
    if (depth > maxDepth) {
      fail("TOO_LARGE", `expressions are nested deeper than ${maxDepth}; put a part into a CTE`)
      return 0
    }
    const kind = value["class"]
    if (typeof kind === "string") {
      if (kind === "PARAMETER")
        fail("SYNTAX", "parameters (? or $1) are not available; write the value", value)
      else if (!expressions.has(kind)) fail("NOT_A_READ", `${kind} expressions are not supported`, value)
      const cost = expression(value, kind, scope, depth)
      if (cost > maxNodes)
        fail("TOO_LARGE", "expressions repeat each other too often; put a part into a CTE", value)
      return cost
    }
    const type = value["type"]
    if (typeof type !== "string" || type.endsWith("_TYPE_INFO"))
      return sum(Object.values(value), scope, depth)
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
          const macro = names.call(call, "table")
          const rest = Object.keys(value).filter((key) => key !== "function")
          const parts = [...Object.values(call), ...rest.map((key) => value[key])]
          return macro.own + sum(parts, scope, depth + 1) * macro.times
        }
        break
      }
      case "JOIN":
        joins += 1
        if (joins > maxJoins) fail("TOO_LARGE", `more than ${maxJoins} joins`)
        break
      case "PIVOT":
        checkPivot(value)
        break
      case "SHOW_REF":
        if (!isTree(value["query"])) fail("NOT_A_READ", "SHOW is a statement of its own, not a table", value)
        break
    }
    return 1 + sum(Object.values(value), scope, depth + (type === "JOIN" ? 0 : 1))
  }

  const cost = walk(statement, child(undefined), 0)
  if (cost > maxNodes) fail("TOO_LARGE", "the statement is too large; split it")
  const { functions, references, tables } = names
  return { problem, tables: [...tables], functions: [...functions], references, ctes: cteNames }
}
