/**
 * What is left without the server: Snowflake's driver behind ten lines of JSON-RPC (`rpc`), or behind the SDK's
 * low-level server (`sdk`). No limits, no gate, one session, the rows as JSON.
 */
import { Server } from "@modelcontextprotocol/sdk/server/index.js"
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js"
import { CallToolRequestSchema } from "@modelcontextprotocol/sdk/types.js"
import { createInterface } from "node:readline"
import snowflake from "snowflake-sdk"

snowflake.configure({ logLevel: "OFF" })
const connection = snowflake.createConnection({
  accessUrl: process.env["SNOWFLAKE_ACCESS_URL"] ?? "",
  account: "any",
  username: process.env["SNOWFLAKE_USER"] ?? "",
  password: process.env["SNOWFLAKE_PASSWORD"] ?? "",
  rowMode: "array"
})
let connected: Promise<unknown> | undefined
const execute = async (sqlText: string) => {
  await (connected ??= connection.connectAsync())
  const rows = await new Promise<unknown>((resolve, reject) =>
    connection.execute({ sqlText, complete: (error, _, rows) => (error ? reject(error) : resolve(rows)) })
  )
  return { content: [{ type: "text" as const, text: JSON.stringify(rows) }] }
}

const answer = async (line: string) => {
  const { id, method, params } = JSON.parse(line)
  if (id === undefined) return
  const result = method === "initialize" ? {} : await execute(params.arguments.sql)
  process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id, result })}\n`)
}

if (process.argv[2] === "sdk") {
  const server = new Server({ name: "bare", version: "1" }, { capabilities: { tools: {} } })
  server.setRequestHandler(CallToolRequestSchema, ({ params }) => execute(String(params.arguments?.["sql"])))
  await server.connect(new StdioServerTransport())
} else {
  createInterface({ input: process.stdin }).on("line", (line) => void answer(line))
}
// A client that leaves takes its server with it.
process.stdin.on("end", () => process.exit(0))
