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
import type * as Protocol from "../../src/mcp/Protocol.js"
import * as Sdk2 from "../../src/mcp/Sdk2.js"
import * as Fixtures from "./fixtures.js"
import * as Modern from "./fixtures2026.js"

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

/** The same in the 2026 era, in which requests come from everywhere and each says what it is. */
const modern = (transport: Protocol.Transport) => {
  const listed = new Set<Protocol.RequestId>()
  const discovered = new Set<Protocol.RequestId>()
  const inputs = new Map<Protocol.RequestId, Modern.Inputs>()
  const leg = (send: Protocol.Transport["send"], start: Protocol.Transport["start"]): Protocol.Transport => ({
    send,
    start,
    close: nothing
  })
  const fixtures = leg((message, options) => transport.send(message, options), nothing)
  const ours = leg(
    (message, options) => {
      if (!("result" in message)) return transport.send(message, options)
      const { id, result } = message
      const added = listed.delete(id)
        ? { tools: [...(result["tools"] as ReadonlyArray<object>), ...Modern.tools] }
        : discovered.delete(id)
          ? { capabilities: Fixtures.modernCapabilities }
          : {}
      return transport.send({ ...message, result: { ...result, ...added } }, options)
    },
    () => transport.start()
  )
  transport.onmessage = (message) => {
    if (!("method" in message)) return
    if (!("id" in message)) {
      fixtures.onmessage?.(message)
      return ours.onmessage?.(message)
    }
    const { id, method, params = {} } = message
    if (method === "tools/list") listed.add(id)
    if (method === "server/discover") discovered.add(id)
    const isOurs =
      method === "tools/list" ||
      method === "server/discover" ||
      (method === "tools/call" && !Modern.isFixture(params["name"]))
    if (isOurs) return ours.onmessage?.(message)
    inputs.set(id, Modern.inputsOf(params))
    fixtures.onmessage?.(message)
  }
  const handlers: Protocol.Handlers = {
    info: { name: "fixtures", version: "1" },
    instructions: "",
    capabilities: Fixtures.modernCapabilities,
    request: (method, params, { id }) =>
      Modern.request(method, params, inputs.get(id) ?? Modern.inputsOf({})).finally(() => inputs.delete(id)),
    failed: () => {}
  }
  return { ours, open: Sdk2.connect(fixtures, handlers) }
}

/** The server that is given, with the fixtures beside it. */
export const layer: Layer.Layer<McpServer, never, McpServer> = Layer.effect(
  McpServer,
  Effect.map(McpServer, ({ connect }) => ({
    connect: (transport, principal, era) =>
      Effect.gen(function* () {
        if (era === "2026") {
          const { open, ours } = modern(transport)
          yield* Effect.promise(() => open)
          return yield* connect(ours, principal, era)
        }
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
