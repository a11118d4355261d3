import { createRuntime } from "mcporter"

export const open = async ({ http, stdio, transport }) => {
  const { env, ...command } = stdio
  const runtime = await createRuntime({
    servers: [
      transport === "stdio"
        ? { name: "snowguard", command: { kind: "stdio", cwd: process.cwd(), ...command }, env }
        : { name: "snowguard", command: { kind: "http", url: new URL(http.url), headers: http.headers } }
    ]
  })
  await runtime.connect("snowguard")
  return {
    // A call takes no signal.
    cancels: "timeout",
    list: async () => (await runtime.listTools("snowguard")).map(({ name }) => name),
    call: async (toolName, args, signal) =>
      JSON.stringify(
        await runtime.callTool("snowguard", toolName, { args, timeoutMs: signal ? 8_000 : 30_000 })
      ),
    close: () => runtime.close()
  }
}
