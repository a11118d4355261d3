import { MCPClient } from "mcp-use/client"

export const open = async ({ http, stdio, transport }) => {
  const client = new MCPClient({ mcpServers: { snowguard: transport === "stdio" ? stdio : http } })
  const session = await client.createSession("snowguard")
  return {
    cancels: "signal",
    list: async () => (await session.listTools()).map(({ name }) => name),
    call: async (name, args, signal) =>
      JSON.stringify((await session.callTool(name, args, { signal })).content),
    close: () => client.closeAllSessions()
  }
}
