import { MCPServerStdio, MCPServerStreamableHttp } from "@openai/agents"

export const open = async ({ http, stdio, transport }) => {
  const server =
    transport === "stdio"
      ? new MCPServerStdio(stdio)
      : new MCPServerStreamableHttp({ url: http.url, requestInit: { headers: http.headers } })
  await server.connect()
  return {
    cancels: "signal",
    list: async () => (await server.listTools()).map(({ name }) => name),
    call: async (name, args, signal) => JSON.stringify(await server.callTool(name, args, null, { signal })),
    close: () => server.close()
  }
}
