// The main job, as a client sees it: spawns the built server over stdio with no configuration, explores
// the sample warehouse, runs queries, meets the read-only gate, runs into the rate limit and comes back
// when told to. Exits with 0 only if each step did what it says; otherwise it says which step did not, and why.
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"

// Another server than the one that was built here may be named.
const bin = process.argv[2] ?? fileURLToPath(new URL("../dist/bin.js", import.meta.url))
if (!existsSync(bin)) {
  console.error(`${bin} is missing: run \`npm ci\` (or \`npm run build\`) first`)
  process.exit(1)
}

const { hasColors, painter } = await import("../dist/platform/colors.js")
const { widthOf, wrapped } = await import("../dist/platform/layout.js")
const { withoutMarks } = await import("../dist/mcp/ErrorReport.js")
const paint = painter(hasColors(process.stdout, process.env))
// A pipe gets each line whole.
const width = process.stdout.isTTY ? widthOf(process.stdout) : Infinity

// A line at the foot of a terminal that says what is going on, while a step takes its time.
const isLive = process.stderr.isTTY && process.env.TERM !== "dumb"
const frames = ["|", "/", "-", "\\"]
let current = "start"
let since = performance.now()
let drawn = false
const clear = () => {
  if (drawn) process.stderr.write("\r\x1b[2K")
  drawn = false
}
const draw = () => {
  const ms = performance.now() - since
  if (ms < 300) return
  const text = `${frames[Math.floor(ms / 100) % frames.length]} ${current} (${Math.floor(ms / 1000)} s)`
  process.stderr.write(`\r\x1b[2K${text.slice(0, widthOf(process.stderr) - 1)}\r`)
  drawn = true
}
const drawing = isLive ? setInterval(draw, 100) : undefined
const stop = () => {
  clearInterval(drawing)
  clear()
}

const say = (text) => {
  clear()
  console.log(text)
}
const under = (first, rest, text) => {
  wrapped(text, width - rest.length).forEach((line, i) => say((i === 0 ? first : rest) + line))
}
const steps = []
const step = (title) => {
  current = title
  since = performance.now()
  steps.push(title)
  say("")
  for (const line of wrapped(title, width)) say(paint("bold", line))
}
const ok = (text) => under(`  ${paint("green", "ok")}  `, "      ", text)
const quote = (text) => {
  for (const line of wrapped(withoutMarks(text), width - 6)) say(`      ${paint("dim", line)}`)
}

const table = (columns, rows) => {
  const cells = [columns, ...rows.map((row) => row.map((cell) => String(cell)))]
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => row[i].length)))
  for (const row of cells)
    say(
      `      ${paint(
        "dim",
        row
          .map((cell, i) => cell.padEnd(widths[i]))
          .join("  ")
          .trimEnd()
      )}`
    )
}

// Only the settings of this demo: a variable of the shell or a file of the user would change the story.
const state = mkdtempSync(join(tmpdir(), "snowguard-demo-"))
process.on("exit", () => rmSync(state, { recursive: true, force: true }))
const env = {
  ...Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith("SNOWGUARD_"))),
  SNOWGUARD_STATE_DIR: state,
  XDG_CONFIG_HOME: state,
  APPDATA: state
}
// The server's own log is shown when a step fails.
const transport = new StdioClientTransport({ command: process.execPath, args: [bin], env, stderr: "pipe" })
const log = []
transport.stderr.setEncoding("utf8").on("data", (text) => log.push(text))
const client = new Client({ name: "snowguard-demo", version: "1.0.0" })
let exitCode = 0
const begun = performance.now()
// The server is told to end by the end of its stdin, and the directory goes with this process.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1))

class Failed extends Error {}
const expect = (holds, why) => {
  if (!holds) throw new Failed(why)
}

const asked = { all: 0, refused: 0 }
const call = async (name, args = {}) => {
  asked.all += 1
  const result = await client.callTool({ name, arguments: args })
  if (result.isError === true) asked.refused += 1
  return result
}
const refusal = (result) => {
  const report = result._meta?.["dev.snowguard/error"]
  expect(
    result.isError === true && report !== undefined && result.structuredContent === undefined,
    `expected a refusal, got ${JSON.stringify(result).slice(0, 300)}`
  )
  return { text: result.content[0].text, ...report }
}
const answer = (name, result) => {
  expect(result.isError !== true, `${name}: ${result.content?.[0]?.text}`)
  return result.structuredContent
}
/** An answer. A refusal that says when to come back is obeyed, as by any client: this machine may be busy. */
const must = async (name, args) => {
  for (let tries = 1; ; tries++) {
    const result = await call(name, args)
    const wait = result._meta?.["dev.snowguard/error"]?.retryAfterMs
    if (result.isError !== true || wait === undefined || tries === 5) return answer(name, result)
    await sleep(wait)
  }
}

try {
  step("1  Start the server as an MCP client does: node dist/bin.js, no configuration")
  const started = performance.now()
  await client.connect(transport)
  const { name, version } = client.getServerVersion()
  ok(`${name} ${version} answered initialize after ${Math.round(performance.now() - started)} ms`)

  step("2  What can it do?")
  const { tools } = await client.listTools()
  for (const { annotations, name, outputSchema } of tools)
    expect(annotations?.readOnlyHint === true && outputSchema !== undefined, `${name} is not read-only`)
  ok(`${tools.length} tools, all read-only: ${tools.map((tool) => tool.name).join(", ")}`)

  step("3  Explore the sample warehouse")
  const { databases } = await must("list_databases")
  expect(
    databases.some((database) => database.name === "SNOWGUARD_SAMPLE"),
    "there is no SNOWGUARD_SAMPLE"
  )
  ok(`list_databases: ${databases.map((database) => database.name).join(", ")}`)
  const { schemas } = await must("list_schemas", { database: "SNOWGUARD_SAMPLE" })
  ok(`list_schemas: ${schemas.map((schema) => schema.name).join(", ")}`)
  const { tables } = await must("list_tables", { database: "SNOWGUARD_SAMPLE" })
  const names = tables.map((entry) => entry.name)
  for (const expected of ["CUSTOMERS", "ORDERS", "ORDER_LINES", "PRODUCTS", "EVENTS"])
    expect(names.includes(expected), `there is no table ${expected}`)
  ok(`list_tables: ${tables.map((entry) => `${entry.schema}.${entry.name} (${entry.rows} rows)`).join(", ")}`)
  const { columns } = await must("describe_table", {
    database: "SNOWGUARD_SAMPLE",
    schema: "WEB",
    table: "EVENTS"
  })
  expect(
    columns.some((column) => column.type === "VARIANT"),
    "WEB.EVENTS has no column of type VARIANT"
  )
  ok(`describe_table WEB.EVENTS: ${columns.map((column) => `${column.name} ${column.type}`).join(", ")}`)
  const { views } = await must("list_views", { database: "SNOWGUARD_SAMPLE" })
  expect(views.length >= 2, "there are no views")
  const view = views.find((entry) => entry.schema === "PUBLIC") ?? views[0]
  const preview = await must("query_view", {
    database: "SNOWGUARD_SAMPLE",
    schema: view.schema,
    view_name: view.name,
    limit: 3
  })
  expect(preview.row_count === 3, `expected 3 rows, got ${preview.row_count}`)
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
  expect(result.row_count === 5 && result.truncated === true, "expected the first 5 rows of more")
  table(
    result.columns.map((column) => column.name),
    result.rows
  )
  ok(`5 rows, and it says that there are more: ${result.next_step ?? `truncated: ${result.truncated}`}`)

  step("5  It is read-only, and it says so")
  const drop = refusal(await call("execute_query", { sql: "DROP TABLE SNOWGUARD_SAMPLE.PUBLIC.ORDERS" }))
  expect(drop.code === "STATEMENT_REJECTED" && drop.sideEffects === "none", drop.text)
  quote(drop.text)
  await must("describe_table", { database: "SNOWGUARD_SAMPLE", table: "ORDERS" })
  ok("refused before it reached the warehouse; the table is still there")

  step("6  A name that does not exist")
  const missing = refusal(await call("describe_table", { database: "SNOWGUARD_SAMPLE", table: "CUSTOMER" }))
  expect(missing.code === "WAREHOUSE_NOT_FOUND" && missing.text.includes("CUSTOMERS"), missing.text)
  quote(missing.text)
  ok("the error names what there is")

  step("7  An agent that goes wild: hundreds of calls at once, until its rate is refused")
  let calls = 0
  const refused = []
  const limited = []
  // What a busy machine needs for a wave brings tokens back, so that one wave may not be enough.
  for (let wave = 1; limited.length === 0 && wave <= 10; wave++) {
    const results = await Promise.all(
      Array.from({ length: 200 }, async () => ({ ...(await call("list_databases")), at: performance.now() }))
    )
    calls += results.length
    for (const result of results) {
      if (result.isError !== true) continue
      const { at } = result
      const one = { ...refusal(result), at }
      refused.push(one)
      if (one.code === "RATE_LIMITED") limited.push(one)
      // A machine that is slow to answer what was let in may also run out of places to wait.
      expect((limited.includes(one) || one.code === "OVERLOADED") && one.sideEffects === "none", one.text)
    }
  }
  expect(limited.length > 0, `the rate of ${calls} calls was never refused`)
  expect(refused.length < calls, `all of ${calls} calls were refused`)
  ok(`${calls - refused.length} answered, some after a short wait for their turn`)
  ok(`${refused.length} refused, none of them sent to the warehouse:`)
  quote(limited[0].text)
  // The wait is exact for a caller that is alone: the others have had their answers by now, and give up.
  const last = limited.reduce((a, b) => (a.at > b.at ? a : b))
  await sleep(Math.max(0, last.at + last.retryAfterMs - performance.now()))
  answer("list_databases", await call("list_databases"))
  ok(`one of the refused waited the ${last.retryAfterMs} ms that it was told, and was answered`)

  step("8  What is left?")
  const limits = await must("get_limits")
  const own = limits.rate_limits.find((entry) => entry.scope === "client")
  ok(`rate: ${own.remaining} of ${own.burst} calls left, refilled at ${own.per_second}/s`)
  for (const quota of limits.quotas.filter((entry) => entry.scope === "client").slice(0, 2)) {
    ok(`quota ${quota.quota}: ${quota.used} of ${quota.limit} used, resets at ${quota.resets_at}`)
  }
  ok(`circuit breaker: ${limits.circuit.phase}`)

  const seconds = ((performance.now() - begun) / 1000).toFixed(1)
  say("")
  const summary =
    `All ${steps.length} steps did what they say: ${asked.all} calls in ${seconds} s, ${asked.refused} of them refused ` +
    "as they must be."
  for (const line of wrapped(summary, width)) say(paint("green", line))
  for (const line of wrapped(
    "Next: node dist/bin.js demo --outage rehearses an outage of Snowflake; node dist/bin.js init connects a client.",
    width
  ))
    say(line)
} catch (error) {
  exitCode = 1
  stop()
  console.error(`\n${paint("red", "failed")} in step ${current}\n  ${error.message ?? error}`)
  if (log.length > 0) console.error(`  The server's log:\n${log.join("").trimEnd()}`)
} finally {
  stop()
  await client.close().catch(() => {})
}
process.exit(exitCode)
