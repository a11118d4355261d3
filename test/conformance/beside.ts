/**
 * Our MCP server and the fixtures' on one connection:
 *
 * ```
 *                        .--> ours       initialize, ping, tools/list, its own tools
 *   transport <--> switch
 *                        '--> fixtures   everything else, and the client's answers
 * ```
 *
 * The client sees one server: what ours says of itself is completed on its way out.
 */
import type { Transport, TransportSendOptions } from "@modelcontextprotocol/sdk/shared/transport.js"
import type { JSONRPCMessage, MessageExtraInfo, RequestId } from "@modelcontextprotocol/sdk/types.js"
import { Effect, Layer } from "effect"
import { McpServer } from "../../src/mcp/McpServer.js"
import * as Fixtures from "./fixtures.js"

class Half implements Transport {
  onclose?: (() => void) | undefined
  onerror?: ((error: Error) => void) | undefined
  onmessage?: (<T extends JSONRPCMessage>(message: T, extra?: MessageExtraInfo) => void) | undefined
  constructor(
    readonly send: (message: JSONRPCMessage, options?: TransportSendOptions) => Promise<void>,
    readonly start: () => Promise<void>,
    readonly close: () => Promise<void>
  ) {}
}

const nothing = () => Promise.resolve()

const isFixture = (message: JSONRPCMessage): boolean => {
  if (!("method" in message)) return true
  switch (message.method) {
    case "initialize":
    case "ping":
    case "tools/list":
      return false
    case "tools/call":
      return Fixtures.tools.some(({ name }) => name === message.params?.["name"])
    default:
      return true
  }
}

const halves = (transport: Transport) => {
  const listed = new Set<RequestId>()
  const greeted = new Set<RequestId>()

  /** What ours says, with what the fixtures add to it. */
  const completed = (message: JSONRPCMessage): JSONRPCMessage => {
    if (!("result" in message)) return message
    const { id, result } = message
    if (listed.delete(id)) {
      const { tools } = result as { tools?: ReadonlyArray<object> }
      return { ...message, result: { ...result, tools: [...(tools ?? []), ...Fixtures.tools] } }
    }
    return greeted.delete(id)
      ? { ...message, result: { ...result, capabilities: Fixtures.capabilities } }
      : message
  }

  const ours: Half = new Half(
    (message, options) => transport.send(completed(message), options),
    () => transport.start(),
    () => transport.close()
  )
  const greetings = new Set<RequestId>()
  const fixtures = new Half(
    (message, options) =>
      "result" in message && greetings.delete(message.id) ? nothing() : transport.send(message, options),
    nothing,
    nothing
  )
  transport.onclose = () => {
    fixtures.onclose?.()
    ours.onclose?.()
  }
  transport.onerror = (error) => ours.onerror?.(error)
  transport.onmessage = (message) => {
    if ("method" in message && "id" in message) {
      if (message.method === "tools/list") listed.add(message.id)
      if (message.method === "initialize") {
        greeted.add(message.id)
        greetings.add(message.id)
        fixtures.onmessage?.(message)
      }
    } else if ("method" in message) {
      fixtures.onmessage?.(message)
      ours.onmessage?.(message)
      return
    }
    if (isFixture(message)) fixtures.onmessage?.(message)
    else ours.onmessage?.(message)
  }
  return { ours, fixtures }
}

/** The server that is given, with the fixtures beside it. */
export const layer: Layer.Layer<McpServer, never, McpServer> = Layer.effect(
  McpServer,
  Effect.map(McpServer, ({ connect }) => ({
    connect: (transport, principal) =>
      Effect.gen(function* () {
        const { fixtures, ours } = halves(transport)
        const server = Fixtures.make()
        yield* Effect.acquireRelease(
          Effect.promise(() => server.connect(fixtures)),
          () => Effect.promise(() => server.close())
        )
        return yield* connect(ours, principal)
      })
  }))
)
