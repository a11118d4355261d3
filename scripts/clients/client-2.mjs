import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client"
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"

export const open = async ({ http, mode, stdio, transport }) => {
  const versionNegotiation = { mode: mode === "pinned" ? { pin: "2026-07-28" } : mode }
  const client = new Client({ name: "clients", version: "1" }, { versionNegotiation })
  const wire =
    transport === "stdio"
      ? new StdioClientTransport({ ...stdio, stderr: "inherit" })
      : new StreamableHTTPClientTransport(new URL(http.url), { requestInit: { headers: http.headers } })
  await client.connect(wire)
  return {
    cancels: "signal",
    list: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: async (name, args, signal) =>
      JSON.stringify((await client.callTool({ name, arguments: args }, { signal })).content),
    close: async () => {
      await wire.terminateSession?.()
      await client.close()
    }
  }
}
