/**
 * Revisions up to 2025-11-25, by the SDK's first generation: the handshake, `ping`, cancelling, and what it takes for a
 * valid message. Everything else comes to {@link Protocol.Handlers}. Dropping the 2025 era is the removal of this file.
 *
 * Every request comes by the fallback: the SDK itself answers requests that do not fit its schemas, and requests for a
 * task, without an event that could be counted.
 *
 * @since 0.1.0
 */
import { Server } from "@modelcontextprotocol/sdk/server/index.js"
import { InitializeRequestSchema, JSONRPCMessageSchema } from "@modelcontextprotocol/sdk/types.js"
import type { jsonSchemaValidator } from "@modelcontextprotocol/sdk/validation/types.js"
import type * as Protocol from "./Protocol.js"
import * as JsonRpc from "./JsonRpc.js"

/** Elicitation is never used, so nothing is ever validated; the SDK's default would build an AJV per connection. */
const noValidator: jsonSchemaValidator = {
  getValidator: () => () => ({ valid: false, data: undefined, errorMessage: "not supported" })
}

class LegacyServer extends Server {
  constructor({ capabilities, failed, info, instructions, request: answer }: Protocol.Handlers) {
    super(info, { capabilities, instructions, jsonSchemaValidator: noValidator })
    this.onerror = failed
    this.fallbackRequestHandler = async ({ method, params = {} }, extra) => ({
      ...(await answer(method, params, {
        id: extra.requestId,
        meta: params._meta,
        signal: extra.signal,
        progress: (told) => extra.sendNotification({ method: "notifications/progress", params: told })
      }))
    })
  }

  /** The SDK asks before there is a handler; a call that wants a task is refused, and counted, with the others. */
  protected override assertTaskHandlerCapability(method: string): void {
    if (method !== "tools/call") super.assertTaskHandlerCapability(method)
  }
}

/** What the SDK would answer with its validator's own words, as an internal error, or not at all. */
const problemOf = (message: Protocol.Message): string | undefined => {
  const schema =
    "method" in message && message.method === "initialize" ? InitializeRequestSchema : JSONRPCMessageSchema
  const parsed = schema.safeParse(message)
  return parsed.success ? undefined : JsonRpc.problem(parsed.error.issues)
}

export const connect: Protocol.Connect = async (transport, handlers) => {
  const server = new LegacyServer(handlers)
  await server.connect(transport)
  const receive = transport.onmessage?.bind(transport)
  transport.onmessage = (message) => {
    const problem = "method" in message && "id" in message ? problemOf(message) : undefined
    if (problem === undefined || !("method" in message && "id" in message)) return receive?.(message)
    const error = { code: -32602, message: `Invalid ${message.method.slice(0, 100)}: ${problem}` }
    void transport.send({ jsonrpc: "2.0", id: message.id, error })
  }
  return { close: () => server.close(), notify: (method) => server.notification({ method }) }
}
