import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js"
import { join } from "node:path"
import { over } from "./sdk-1.mjs"

export const open = ({ folder, http }) => {
  const headers = Object.entries(http.headers).flatMap(([name, value]) => ["--header", `${name}:${value}`])
  return over(
    new StdioClientTransport({
      command: process.execPath,
      args: [join(folder, "node_modules", "mcp-remote", "dist", "proxy.js"), http.url, ...headers],
      env: process.env,
      stderr: "inherit"
    })
  )
}
