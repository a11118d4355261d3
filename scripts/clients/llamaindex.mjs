import { mcp } from "@llamaindex/tools"

export const open = async ({ http, stdio, transport }) => {
  const client = mcp(
    transport === "stdio" ? stdio : { url: http.url, requestInit: { headers: http.headers } }
  )
  await client.connectToSever()
  const tools = await client.tools()
  return {
    // A call takes no signal.
    cancels: "close",
    list: async () => tools.map(({ metadata }) => metadata.name),
    call: async (name, args) =>
      JSON.stringify(await tools.find(({ metadata }) => metadata.name === name).call(args)),
    close: () => client.cleanup()
  }
}
