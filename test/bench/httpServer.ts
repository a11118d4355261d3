/**
 * A server over HTTP with one tool that does nothing, for measuring what a request costs: `ours` with all
 * that stands in front of a tool, `bare`, the first SDK's own transport on node's server, or `bare-2`, the second
 * SDK's handler there. Says its port on stdout.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Server } from "@modelcontextprotocol/sdk/server/index.js"
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js"
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js"
import { CallToolRequestSchema } from "@modelcontextprotocol/sdk/types.js"
import { Server as Server2, createMcpHandler } from "@modelcontextprotocol/server"
import { Console, Effect, Layer, Logger, LogLevel, Schema } from "effect"
import { randomUUID } from "node:crypto"
import { rmSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Audit from "../../src/observe/Audit.js"
import * as RunningCalls from "../../src/observe/RunningCalls.js"
import * as Operator from "../../src/operate/Operator.js"
import * as McpServer from "../../src/mcp/McpServer.js"
import * as Principal from "../../src/platform/Principal.js"
import * as Readiness from "../../src/operate/Readiness.js"
import * as Tool from "../../src/tools/Tool.js"
import * as Toolbox from "../../src/tools/Toolbox.js"
import * as Auth from "../../src/mcp/auth/Auth.js"
import * as Keys from "../../src/mcp/auth/Keys.js"
import * as Http from "../../src/mcp/http/Http.js"
import * as CallPolicy from "../../src/tools/CallPolicy.js"

const payload = { text: "x".repeat(200) }

const ours = (withKeys: boolean) => {
  const tool = Tool.make({
    name: "nothing",
    description: "Does nothing.",
    class: "control",
    input: Schema.Struct({ text: Schema.String }),
    output: Schema.Struct({ text: Schema.String }),
    annotations: Tool.readOnly("Nothing"),
    handler: () => Effect.succeed(payload)
  })
  const path = join(tmpdir(), `snowguard-bench-${process.pid}.json`)
  process.on("exit", () => rmSync(path, { force: true }))
  const auth = withKeys
    ? Layer.unwrapEffect(
        Effect.gen(function* () {
          const { key } = yield* Keys.create(path, { client: "bench" })
          yield* Console.log(`key ${key}`)
          return Keys.layer({ path, tierOf: () => "default", isTier: () => true })
        })
      )
    : Auth.layerNone(Principal.make("local"))
  const layers = Layer.mergeAll(
    Layer.provide(
      McpServer.layer({ name: "bench", version: "1", drainMs: 100 }),
      Layer.merge(Layer.orDie(Toolbox.layer([Effect.succeed(tool)])), CallPolicy.layer())
    ),
    auth,
    Readiness.layerNoop,
    Operator.layerNoop
  ).pipe(Layer.provideMerge(Layer.merge(Audit.layerNoop, RunningCalls.layer)))
  NodeRuntime.runMain(
    // What is measured is what a request costs, not that a flood is turned away.
    Http.listen({
      ...Http.defaults,
      port: 0,
      clientRequests: { burst: 1_000_000, ratePerSecond: 1_000_000 }
    }).pipe(
      Effect.tap(({ port }) => Console.log(`port ${port}`)),
      Effect.zipRight(Effect.never),
      Effect.provide(layers),
      Effect.scoped,
      Logger.withMinimumLogLevel(LogLevel.Error)
    ),
    { disablePrettyLogger: true }
  )
}

const bare = () => {
  const sessions = new Map<string, StreamableHTTPServerTransport>()
  const answer: CallToolResult = {
    content: [{ type: "text", text: JSON.stringify(payload) }],
    structuredContent: payload
  }
  const opened = async () => {
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => void sessions.set(id, transport)
    })
    const server = new Server({ name: "bench", version: "1" }, { capabilities: { tools: {} } })
    server.setRequestHandler(CallToolRequestSchema, () => answer)
    await server.connect(transport)
    return transport
  }
  const http = createServer((request, response) => {
    void (async () => {
      const id = request.headers["mcp-session-id"]
      const transport = typeof id === "string" ? sessions.get(id) : await opened()
      await transport?.handleRequest(request, response)
    })()
  })
  // As ours: a connection that is closed in between would be an error of the measurement.
  http.keepAliveTimeout = 65_000
  http.listen(0, "127.0.0.1", () => {
    process.stdout.write(`port ${(http.address() as AddressInfo).port}\n`)
  })
}

/** As short as it can be between node and the handler: a body read at once, and a response written at once. */
const bare2 = () => {
  const handler = createMcpHandler(
    () => {
      const server = new Server2({ name: "bench", version: "1" }, { capabilities: { tools: {} } })
      server.setRequestHandler("tools/call", () => ({
        content: [{ type: "text", text: JSON.stringify(payload) }],
        structuredContent: payload
      }))
      return server
    },
    { legacy: "reject" }
  )
  const http = createServer((request, response) => {
    void (async () => {
      const chunks: Array<Buffer> = []
      for await (const chunk of request) chunks.push(chunk)
      const headers = Object.entries(request.headers).map(([name, value]): [string, string] => [
        name,
        String(value)
      ])
      const answer = await handler.fetch(
        new Request("http://127.0.0.1/mcp", { method: "POST", headers, body: Buffer.concat(chunks) })
      )
      response.writeHead(answer.status, Object.fromEntries(answer.headers))
      response.end(await answer.text())
    })()
  })
  http.keepAliveTimeout = 65_000
  http.listen(0, "127.0.0.1", () => {
    process.stdout.write(`port ${(http.address() as AddressInfo).port}\n`)
  })
}

// What it has cost so far, told when asked.
process.on("message", () => process.send?.(process.cpuUsage()))

if (process.argv[2] === "bare") bare()
else if (process.argv[2] === "bare-2") bare2()
else ours(process.argv[2] === "keys")
