// The main job, as a client sees it: spawns the built server over stdio with no configuration, explores
// the sample warehouse, runs queries, meets the read-only gate, runs into the rate limit and comes back
// exactly when told to. Exits with 0 only if each step did what it says.
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js"
import assert from "node:assert/strict"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"

const bin = fileURLToPath(new URL("../dist/bin.js", import.meta.url))
if (!existsSync(bin)) {
  console.error("dist/bin.js is missing: run `npm ci` (or `npm run build`) first")
  process.exit(1)
}

const color = process.stdout.isTTY && !process.env.NO_COLOR
const paint = (code, text) => (color ? `\x1b[${code}m${text}\x1b[0m` : text)
const step = (title) => console.log(`\n${paint(1, title)}`)
const ok = (text) => console.log(`  ${paint(32, "ok")}  ${text}`)
const quote = (text) => console.log(`      ${paint(2, text)}`)

const table = (columns, rows) => {
  const cells = [columns, ...rows.map((row) => row.map((cell) => String(cell)))]
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => row[i].length)))
  for (const row of cells) quote(row.map((cell, i) => cell.padEnd(widths[i])).join("  "))
}

// Only the settings of this demo: a SNOWGUARD_* variable of the shell would change the story.
const state = mkdtempSync(join(tmpdir(), "snowguard-demo-"))
process.on("exit", () => rmSync(state, { recursive: true, force: true }))
const env = {
  ...Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith("SNOWGUARD_"))),
  SNOWGUARD_STATE_DIR: state
}
// The server's own log goes to stderr; `node dist/bin.js` shows it.
const transport = new StdioClientTransport({ command: process.execPath, args: [bin], env, stderr: "ignore" })
const client = new Client({ name: "snowguard-demo", version: "1.0.0" })
let exitCode = 0

const call = (name, args = {}) => client.callTool({ name, arguments: args })
const must = async (name, args) => {
  const result = await call(name, args)
  assert.notEqual(result.isError, true, `${name}: ${result.content?.[0]?.text}`)
  return result.structuredContent
}
const refusal = (result) => {
  assert.equal(result.isError, true)
  assert.equal(result.structuredContent, undefined)
  return { text: result.content[0].text, ...result._meta["dev.snowguard/error"] }
}

try {
  step("1  Start the server as an MCP client does: node dist/bin.js, no configuration")
  const started = performance.now()
  await client.connect(transport)
  const { name, version } = client.getServerVersion()
  ok(`${name} ${version} answered initialize after ${Math.round(performance.now() - started)} ms`)

  step("2  What can it do?")
  const { tools } = await client.listTools()
  assert.deepEqual(
    tools.map((tool) => tool.name),
    tools.map((tool) => tool.name).sort()
  )
  assert.ok(tools.every((tool) => tool.annotations.readOnlyHint === true && tool.outputSchema !== undefined))
  ok(`${tools.length} tools, all read-only: ${tools.map((tool) => tool.name).join(", ")}`)

  step("3  Explore the sample warehouse")
  const { databases } = await must("list_databases")
  assert.deepEqual(
    databases.map((database) => database.name),
    ["SNOWGUARD_SAMPLE"]
  )
  ok(`list_databases: ${databases.map((database) => database.name).join(", ")}`)
  const { schemas } = await must("list_schemas", { database: "SNOWGUARD_SAMPLE" })
  ok(`list_schemas: ${schemas.map((schema) => schema.name).join(", ")}`)
  const { tables } = await must("list_tables", { database: "SNOWGUARD_SAMPLE" })
  const names = tables.map((entry) => entry.name)
  for (const expected of ["CUSTOMERS", "ORDERS", "ORDER_LINES", "PRODUCTS", "EVENTS"])
    assert.ok(names.includes(expected))
  ok(`list_tables: ${tables.map((entry) => `${entry.schema}.${entry.name} (${entry.rows} rows)`).join(", ")}`)
  const { columns } = await must("describe_table", {
    database: "SNOWGUARD_SAMPLE",
    schema: "WEB",
    table: "EVENTS"
  })
  assert.ok(columns.some((column) => column.type === "VARIANT"))
  ok(`describe_table WEB.EVENTS: ${columns.map((column) => `${column.name} ${column.type}`).join(", ")}`)
  const { views } = await must("list_views", { database: "SNOWGUARD_SAMPLE" })
  assert.ok(views.length >= 2)
  const view = views.find((entry) => entry.schema === "PUBLIC") ?? views[0]
  const preview = await must("query_view", {
    database: "SNOWGUARD_SAMPLE",
    schema: view.schema,
    view_name: view.name,
    limit: 3
  })
  assert.equal(preview.row_count, 3)
  ok(`query_view ${view.schema}.${view.name}: ${preview.row_count} rows, truncated: ${preview.truncated}`)

  step("4  Run a query")
  const sql = `SELECT c.COUNTRY, count(DISTINCT o.ORDER_ID) AS ORDERS, sum(l.QUANTITY * l.UNIT_PRICE) AS REVENUE
FROM ORDERS o JOIN CUSTOMERS c USING (CUSTOMER_ID) JOIN ORDER_LINES l USING (ORDER_ID)
GROUP BY ALL ORDER BY REVENUE DESC`
  const result = await must("execute_query", {
    sql,
    database: "SNOWGUARD_SAMPLE",
    schema: "PUBLIC",
    limit: 5
  })
  assert.equal(result.row_count, 5)
  assert.equal(result.truncated, true)
  table(
    result.columns.map((column) => column.name),
    result.rows
  )
  ok(`5 rows, and it says that there are more: ${result.next_step ?? `truncated: ${result.truncated}`}`)

  step("5  It is read-only, and it says so")
  const drop = refusal(await call("execute_query", { sql: "DROP TABLE SNOWGUARD_SAMPLE.PUBLIC.ORDERS" }))
  assert.equal(drop.code, "STATEMENT_REJECTED")
  assert.equal(drop.sideEffects, "none")
  quote(drop.text)
  await must("describe_table", { database: "SNOWGUARD_SAMPLE", table: "ORDERS" })
  ok("refused before it reached the warehouse; the table is still there")

  step("6  A name that does not exist")
  const missing = refusal(await call("describe_table", { database: "SNOWGUARD_SAMPLE", table: "CUSTOMER" }))
  assert.equal(missing.code, "WAREHOUSE_NOT_FOUND")
  assert.match(missing.text, /CUSTOMERS/)
  quote(missing.text)
  ok("the error names what there is")

  step("7  An agent that goes wild: 120 calls at once")
  let comeback
  const again = async ({ retryAfterMs }) => {
    await sleep(retryAfterMs)
    return must("list_databases")
  }
  const burst = await Promise.all(
    Array.from({ length: 120 }, async () => {
      const result = await call("list_databases")
      if (result.isError !== true) return undefined
      const refused = refusal(result)
      // One of the refused does as it was told; all others give up.
      comeback ??= again(refused)
      return refused
    })
  )
  const refused = burst.filter((entry) => entry !== undefined)
  assert.ok(refused.length > 0 && refused.length < burst.length)
  assert.ok(refused.every((entry) => entry.code === "RATE_LIMITED" && entry.sideEffects === "none"))
  ok(`${burst.length - refused.length} answered, some after a short wait for their turn`)
  ok(`${refused.length} refused, none of them sent to the warehouse:`)
  quote(refused[0].text)
  await comeback
  ok(`one of the refused waited the ${refused[0].retryAfterMs} ms that it was told, and was answered`)

  step("8  What is left?")
  const limits = await must("get_limits")
  const own = limits.rate_limits.find((entry) => entry.scope === "client")
  ok(`rate: ${own.remaining} of ${own.burst} calls left, refilled at ${own.per_second}/s`)
  for (const quota of limits.quotas.filter((entry) => entry.scope === "client").slice(0, 2)) {
    ok(`quota ${quota.quota}: ${quota.used} of ${quota.limit} used, resets at ${quota.resets_at}`)
  }
  ok(`circuit breaker: ${limits.circuit.phase}`)

  console.log(`\n${paint(32, "All steps did what they say.")}`)
} catch (error) {
  exitCode = 1
  console.error(`\n${paint(31, "failed")}: ${error.stack ?? error}`)
} finally {
  await client.close()
}
process.exit(exitCode)
