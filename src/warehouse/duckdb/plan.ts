/**
 * DuckDB's query plan as the answer to Snowflake's EXPLAIN. Pure.
 *
 * The operators are DuckDB's under Snowflake's names; partitions do not exist here and are 0, and bytes are
 * those of the tables that are scanned, as far as they are known. A table of the statement that is not scanned, as its
 * number of rows is known, or no row of it can be in the result, is a step of its own.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"
import type { Cell, Column } from "../Warehouse.js"
import type { Table } from "./show.js"

interface Node {
  readonly name: string
  readonly children: ReadonlyArray<Node>
  readonly info: Readonly<Record<string, string>>
}

const node = (value: unknown): Node => {
  const record = Predicate.isReadonlyRecord(value) ? value : {}
  const info = Predicate.isReadonlyRecord(record["extra_info"]) ? record["extra_info"] : {}
  return {
    name: typeof record["name"] === "string" ? record["name"].trim() : "",
    children: Array.isArray(record["children"]) ? record["children"].map(node) : [],
    info: Object.fromEntries(
      Object.entries(info).map(([key, item]) => [key, Array.isArray(item) ? item.join(", ") : String(item)])
    )
  }
}

const operators: ReadonlyArray<readonly [RegExp, string]> = [
  [/^(?:DUMMY_SCAN|COLUMN_DATA_SCAN|RANGE|VALUES)$/, "ValuesClause"],
  [/SCAN$/, "TableScan"],
  [/GROUP_BY$|AGGREGATE$/, "Aggregate"],
  [/JOIN$|^CROSS_PRODUCT$/, "Join"],
  [/^TOP_N$/, "SortWithLimit"],
  [/^ORDER_BY$/, "Sort"],
  [/LIMIT$/, "Limit"],
  [/^FILTER$/, "Filter"],
  [/WINDOW$/, "WindowFunction"],
  [/^UNION$/, "UnionAll"],
  [/^UNNEST$/, "Flatten"]
]

const operation = (name: string): string => {
  const known = operators.find(([pattern]) => pattern.test(name))
  if (known !== undefined) return known[1]
  return name
    .toLowerCase()
    .split("_")
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("")
}

/** Projections that only pack and unpack values say nothing about the query. */
const isNoise = (entry: Node): boolean =>
  entry.name === "PROJECTION" && (entry.info["Projections"] ?? "").includes("__internal_")

interface Step {
  readonly id: number
  readonly parent: number | undefined
  readonly operation: string
  readonly object: string | null
  readonly expressions: string | null
  readonly rows: string | undefined
}

const steps = (root: Node, nameOf: (table: string) => string): ReadonlyArray<Step> => {
  const list: Array<Step> = []
  const walk = (entry: Node, parent: number | undefined): void => {
    if (isNoise(entry)) return entry.children.forEach((child) => walk(child, parent))
    const id = list.length
    const { Table: object, "Estimated Cardinality": rows, Type: _type, ...rest } = entry.info
    const expressions = Object.values(rest).join(", ").replaceAll("count_star()", "COUNT(*)")
    list.push({
      id,
      parent,
      operation: operation(entry.name),
      object: object === undefined ? null : nameOf(object),
      expressions: expressions || null,
      rows
    })
    entry.children.forEach((child) => walk(child, id))
  }
  walk(root, undefined)
  return list
}

const planOf = (json: string): Node | undefined => {
  const parsed: unknown = JSON.parse(json)
  return Array.isArray(parsed) && parsed.length > 0 ? node(parsed[0]) : undefined
}

const tablesIn = ({ children, info: { Table: table } }: Node): ReadonlyArray<string> => [
  ...(table === undefined ? [] : [table]),
  ...children.flatMap(tablesIn)
]

const column = (name: string, type = "VARCHAR(16777216)"): Column => ({ name, type, nullable: true })

const tabular: ReadonlyArray<Column> = [
  column("step", "NUMBER(38,0)"),
  column("id", "NUMBER(38,0)"),
  column("parentOperators", "ARRAY"),
  column("operation"),
  column("objects"),
  column("alias"),
  column("expressions"),
  column("partitionsTotal", "NUMBER(38,0)"),
  column("partitionsAssigned", "NUMBER(38,0)"),
  column("bytesAssigned", "NUMBER(38,0)")
]

/**
 * @since 0.1.0
 * @category answers
 */
export const explained = (
  json: string,
  format: "TABULAR" | "JSON" | "TEXT",
  {
    bytesOf = () => 0,
    nameOf = (table) => table,
    written = "[]"
  }: {
    /** The plan before it was made better. */
    readonly written?: string
    readonly bytesOf?: (table: string) => number
    /** What a statement calls it. */
    readonly nameOf?: (table: string) => string
  } = {}
): Table => {
  const [root, asWritten] = [planOf(json), planOf(written)]
  const some = root === undefined ? [] : steps(root, nameOf)
  const unread = new Set(asWritten === undefined ? [] : tablesIn(asWritten).map(nameOf))
  for (const { object } of some) if (object !== null) unread.delete(object)
  const all = [
    ...some,
    ...[...unread].map((object, at): Step => ({
      id: some.length + at,
      parent: some.length === 0 ? undefined : 0,
      operation: "MetadataTableScan",
      object,
      expressions: null,
      rows: undefined
    }))
  ]
  if (format === "TABULAR") {
    const none: ReadonlyArray<Cell> = [null, null, null, 0, 0, 0]
    return {
      columns: tabular,
      rows: [
        [null, null, null, "GlobalStats", ...none],
        ...all.map((step): ReadonlyArray<Cell> => {
          const parents = step.parent === undefined ? null : [step.parent]
          return [1, step.id, parents, step.operation, step.object, null, step.expressions, null, null, null]
        })
      ].map((row) => row.slice(0, tabular.length))
    }
  }
  if (format === "JSON") {
    const operations = all.map((step) => ({
      id: step.id,
      operation: step.operation,
      ...(step.parent === undefined ? {} : { parentOperators: [step.parent] }),
      ...(step.object === null ? {} : { objects: [step.object] }),
      ...(step.expressions === null ? {} : { expressions: [step.expressions] })
    }))
    // Every scan of a table is a scan of all of it: there are no partitions to leave out.
    const bytesAssigned = all.reduce(
      (sum, { object, operation }) =>
        object === null || operation !== "TableScan" ? sum : sum + bytesOf(object),
      0
    )
    const content = {
      GlobalStats: { partitionsTotal: 0, partitionsAssigned: 0, bytesAssigned },
      Operations: [operations]
    }
    return { columns: [column("content")], rows: [[JSON.stringify(content)]] }
  }
  const depth = (step: Step): number => (step.parent === undefined ? 0 : 1 + depth(all[step.parent]!))
  const text = all.map((step) => {
    const detail = [step.object, step.expressions, step.rows === undefined ? null : `~${step.rows} rows`]
    return `${"  ".repeat(depth(step))}${step.operation}  ${detail.filter((part) => part !== null).join("  ")}`.trimEnd()
  })
  return { columns: [column("content")], rows: [[text.join("\n")]] }
}
