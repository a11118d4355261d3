import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js"
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:net"
import { join } from "node:path"
import { over } from "./sdk-1.mjs"

const freePort = async () => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address()
  server.close()
  await once(server, "close")
  return port
}

/** The gateway in front of the server's stdio. */
const gateway = async (program, { args, command, env }, more, output) => {
  const port = await freePort()
  const child = spawn(
    process.execPath,
    [...[program, "--stdio", [command, ...args].join(" "), "--port", port], ...more],
    { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "inherit"] }
  )
  await new Promise((resolve, reject) => {
    child.stdout.setEncoding("utf8").on("data", (text) => /Listening on port/.test(text) && resolve())
    child.once("exit", (code) => reject(new Error(`the gateway ended with ${code}`)))
  })
  const client = await over(output(`http://127.0.0.1:${port}`))
  return {
    ...client,
    close: async () => {
      await client.close()
      child.kill("SIGTERM")
      if (child.exitCode === null) await once(child, "exit")
    }
  }
}

export const open = async ({ folder, http, stdio, transport }) => {
  const program = join(folder, "node_modules", "supergateway", "dist", "index.js")
  if (transport === "stdio to http") {
    const headers = Object.entries(http.headers).flatMap(([name, value]) => ["--header", `${name}: ${value}`])
    return over(
      new StdioClientTransport({
        command: process.execPath,
        args: [program, "--streamableHttp", http.url, ...headers],
        env: process.env,
        stderr: "inherit"
      })
    )
  }
  return transport === "sse to stdio"
    ? gateway(program, stdio, [], (url) => new SSEClientTransport(new URL(`${url}/sse`)))
    : gateway(
        program,
        stdio,
        ["--outputTransport", "streamableHttp", "--stateful"],
        (url) => new StreamableHTTPClientTransport(new URL(`${url}/mcp`))
      )
}
