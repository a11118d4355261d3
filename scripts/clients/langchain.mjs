import { MultiServerMCPClient } from "@langchain/mcp-adapters"

export const open = async ({ http, stdio, transport }) => {
  const client = new MultiServerMCPClient({
    mcpServers: { snowguard: transport === "stdio" ? { transport, ...stdio } : { transport, ...http } }
  })
  await client.initializeConnections()
  const tools = await client.getTools()
  return {
    cancels: "signal",
    list: async () => tools.map(({ name }) => name),
    call: async (name, args, signal) => {
      const answer = await tools.find((tool) => tool.name === name).invoke(args, { signal })
      return typeof answer === "string" ? answer : JSON.stringify(answer)
    },
    close: () => client.close()
  }
}
