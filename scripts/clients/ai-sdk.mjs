import { createMCPClient } from "@ai-sdk/mcp"
import { Experimental_StdioMCPTransport } from "@ai-sdk/mcp/mcp-stdio"

export const open = async ({ http, stdio, transport }) => {
  const client = await createMCPClient({
    transport:
      transport === "stdio"
        ? new Experimental_StdioMCPTransport({ ...stdio, stderr: "inherit" })
        : { type: "http", ...http }
  })
  // What a model is given, and what it is answered.
  const tools = await client.tools()
  return {
    // Over stdio it forgets the call, and tells the server nothing.
    cancels: transport === "stdio" ? "close" : "signal",
    list: async () => Object.keys(tools),
    call: async (name, args, abortSignal) =>
      JSON.stringify(await tools[name].execute(args, { abortSignal, toolCallId: "1", messages: [] })),
    close: () => client.close()
  }
}
