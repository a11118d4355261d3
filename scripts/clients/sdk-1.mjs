import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"

/** The client of the SDK's first line over a transport of it; the bridges are driven with it too. */
export const over = async (transport) => {
  const client = new Client({ name: "clients", version: "1" })
  await client.connect(transport)
  return {
    cancels: "signal",
    list: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: async (name, args, signal) =>
      JSON.stringify((await client.callTool({ name, arguments: args }, undefined, { signal })).content),
    close: async () => {
      await transport.terminateSession?.()
      await client.close()
    }
  }
}

export const open = ({ http, stdio, transport }) =>
  over(
    transport === "stdio"
      ? new StdioClientTransport({ ...stdio, stderr: "inherit" })
      : new StreamableHTTPClientTransport(new URL(http.url), { requestInit: { headers: http.headers } })
  )
