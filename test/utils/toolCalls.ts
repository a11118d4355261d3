/**
 * Calls of every tool, and what comes back, whatever the transport: one conversation with the sample
 * warehouse. Where an answer names what the next call asks for, the next call takes it from there.
 */
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js"
import { metaKey } from "../../src/mcp/ErrorReport.js"

type Structured = Readonly<Record<string, unknown>>

export interface Row {
  readonly tool: string
  /** From the answers so far, by the name of their row. */
  readonly args: (answers: { readonly [row: string]: Structured }) => Record<string, unknown>
  readonly name: string
  readonly expected: { readonly answer: Structured } | { readonly code: string; readonly retryable: boolean }
  /** Words that are somewhere in the answer. */
  readonly includes?: ReadonlyArray<string>
}

const shop = { database: "SNOWGUARD_SAMPLE", schema: "PUBLIC" }

const row = (
  name: string,
  tool: string,
  args: Record<string, unknown> | Row["args"],
  expected: Row["expected"],
  includes: ReadonlyArray<string> = []
): Row => ({ name, tool, args: typeof args === "function" ? args : () => args, expected, includes })

const answered = (answer: Structured) => ({ answer })
const refused = (code: string, retryable = false) => ({ code, retryable })

export const rows: ReadonlyArray<Row> = [
  row("databases", "list_databases", {}, answered({ count: 1 }), ["SNOWGUARD_SAMPLE"]),
  row("schemas", "list_schemas", { database: shop.database, pattern: "we%" }, answered({ count: 1 }), [
    "WEB"
  ]),
  row("tables", "list_tables", { ...shop, limit: 2 }, answered({ count: 2, truncated: true })),
  row("views", "list_views", shop, answered({ truncated: false })),
  row("table", "describe_table", { database: shop.database, schema: "web", table: "events" }, answered({}), [
    "EVENT_ID",
    "VARIANT"
  ]),
  row(
    "view",
    "describe_view",
    ({ views }) => ({ ...shop, view_name: firstName(views?.["views"]) }),
    answered({}),
    ["CREATE OR REPLACE VIEW"]
  ),
  row(
    "viewed",
    "query_view",
    ({ views }) => ({ ...shop, view_name: firstName(views?.["views"]), limit: 2 }),
    answered({ row_count: 2, truncated: true })
  ),
  row(
    "queried",
    "execute_query",
    { ...shop, sql: "SELECT ORDER_ID FROM ORDERS ORDER BY ORDER_ID", limit: 3 },
    answered({ row_count: 3, truncated: true })
  ),
  row(
    "more",
    "get_query_results",
    ({ queried }) => ({ query_id: queried?.["query_id"], cursor: queried?.["next_cursor"], limit: 2 }),
    answered({ row_count: 2, truncated: true })
  ),
  row("explained", "explain_query", { ...shop, sql: "SELECT SUM(TOTAL_AMOUNT) FROM ORDERS" }, answered({}), [
    "ORDERS"
  ]),
  row(
    "profiled",
    "profile_table",
    { table: "SNOWGUARD_SAMPLE.PUBLIC.ORDERS", columns: ["status"] },
    answered({ rows: 20_000, rows_read: 20_000, estimate: false }),
    ["DELIVERED"]
  ),
  // Names are there before the columns are.
  row("searched", "search_objects", { query: "evnts", kinds: ["table"], limit: 1 }, answered({ count: 1 }), [
    "SNOWGUARD_SAMPLE.WEB.EVENTS"
  ]),
  row("limits", "get_limits", {}, answered({ client: "erin", tier: "gold" }), ["statements"]),
  row("written", "execute_query", { sql: "DROP TABLE ORDERS" }, refused("STATEMENT_REJECTED")),
  row("mistyped", "execute_query", { sql: "SELECT 1", limit: "ten" }, refused("INVALID_INPUT")),
  row("surplus", "list_databases", { __proto__x: 1 }, refused("INVALID_INPUT")),
  row("unknown", "describe_view", { ...shop, view_name: "NO_SUCH" }, refused("WAREHOUSE_NOT_FOUND")),
  row("explained write", "explain_query", { sql: "DELETE FROM ORDERS" }, refused("STATEMENT_REJECTED"))
]

/** Of the views that are no semantic views. */
const firstName = (list: unknown): unknown => {
  const plain = Array.isArray(list)
    ? list.find((one: { readonly kind?: string }) => one.kind === undefined)
    : undefined
  return typeof plain === "object" && plain !== null ? Reflect.get(plain, "name") : undefined
}

export interface Outcome {
  readonly row: Row
  readonly structured: Structured | undefined
  readonly report: Structured | undefined
  readonly text: string
}

/** Makes all calls in their order. */
export const converse = async (
  call: (tool: string, args: Record<string, unknown>) => Promise<CallToolResult>
): Promise<ReadonlyArray<Outcome>> => {
  const answers: { [row: string]: Structured } = {}
  const outcomes: Array<Outcome> = []
  for (const row of rows) {
    const result = await call(row.tool, row.args(answers))
    const structured = result.structuredContent
    if (structured !== undefined) answers[row.name] = structured
    const report = result._meta?.[metaKey] as Structured | undefined
    const text = result.content.map((part) => (part.type === "text" ? part.text : "")).join("\n")
    outcomes.push({ row, structured, report: result.isError === true ? report : undefined, text })
  }
  return outcomes
}
