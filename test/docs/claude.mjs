// Stands for the command of Claude Code: takes `claude mcp add` as that does, and tries the server at once, as the
// client will: connects, lists the tools and calls one.
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import { parseArgs } from "node:util"

const { positionals, tokens, values } = parseArgs({
  allowPositionals: true,
  tokens: true,
  options: {
    env: { type: "string", short: "e", multiple: true },
    header: { type: "string", multiple: true },
    transport: { type: "string", default: "stdio" }
  }
})
const [mcp, add, name, target, ...args] = positionals
if (mcp !== "mcp" || add !== "add" || name === undefined || target === undefined) {
  throw new Error(`not a command of claude: ${process.argv.slice(2).join(" ")}`)
}
const pairs = (list, separator) =>
  Object.fromEntries(
    (list ?? []).map((one) => [
      one.slice(0, one.indexOf(separator)),
      one.slice(one.indexOf(separator) + 1).trim()
    ])
  )
if (values.transport === "stdio" && !tokens.some(({ kind }) => kind === "option-terminator")) {
  throw new Error("the command of the server comes after --")
}
const transport =
  values.transport === "http"
    ? new StreamableHTTPClientTransport(new URL(target), {
        requestInit: { headers: pairs(values.header, ":") }
      })
    : new StdioClientTransport({ command: target, args, env: { ...process.env, ...pairs(values.env, "=") } })
const client = new Client({ name: "claude", version: "1" })
await client.connect(transport)
const { tools } = await client.listTools()
const { isError, structuredContent } = await client.callTool({ name: "list_databases", arguments: {} })
await client.close()
console.log(`${tools.length} tools`)
console.log(`list_databases: ${structuredContent?.databases?.map(({ name }) => name).join(", ")}`)
process.exitCode = isError === true ? 1 : 0
