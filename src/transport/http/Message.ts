/**
 * What a request to the MCP route says: its one JSON-RPC message, and what its headers have to say with it.
 *
 * @since 0.1.0
 */
import type { JSONRPCMessage, RequestId } from "@modelcontextprotocol/sdk/types.js"
import { JSONRPCMessageSchema, SUPPORTED_PROTOCOL_VERSIONS } from "@modelcontextprotocol/sdk/types.js"
import * as Effect from "effect/Effect"
import type { IncomingMessage } from "node:http"
import { invalid } from "./Refusals.js"
import type { Refusal } from "./Replies.js"

const MAX_ID_LENGTH = 256

export interface Message {
  readonly value: JSONRPCMessage
  readonly method: string | undefined
  /** Of a request; a notification and a response have none to answer to. */
  readonly id: RequestId | undefined
}

/** JSON-RPC as the protocol has it, one message, with an id that can be given back as it was. */
export const inspect = (value: unknown): Effect.Effect<Message, Refusal> => {
  if (Array.isArray(value))
    return Effect.fail(invalid("Batches are not accepted: send one message a request."))
  const parsed = JSONRPCMessageSchema.safeParse(value)
  if (!parsed.success) return Effect.fail(invalid("Expected a JSON-RPC message."))
  const message = parsed.data
  if (!("method" in message)) return Effect.succeed({ value: message, method: undefined, id: undefined })
  const { method } = message
  if (!("id" in message)) return Effect.succeed({ value: message, method, id: undefined })
  const { id } = message
  if (typeof id === "string" ? id.length > MAX_ID_LENGTH : !Number.isSafeInteger(id)) {
    return Effect.fail(
      invalid(`The id of a request is a whole number or a text of ${MAX_ID_LENGTH} characters at most.`)
    )
  }
  return Effect.succeed({ value: message, method, id })
}

/** What a client of this transport has to say in its headers. */
export const negotiated = ({ headers }: IncomingMessage): Refusal | undefined => {
  const { accept = "", "content-type": type = "" } = headers
  if (!accept.includes("application/json") || !accept.includes("text/event-stream")) {
    return {
      status: 406,
      code: -32000,
      reason: "accept",
      message: "Not Acceptable: Client must accept both application/json and text/event-stream"
    }
  }
  if (!/^\s*application\/json\s*(;|$)/i.test(type)) {
    return {
      status: 415,
      code: -32000,
      reason: "content-type",
      message: "Unsupported Media Type: Content-Type must be application/json"
    }
  }
  return undefined
}

/** After `initialize` the revision is settled; a client may repeat it. */
export const unknownRevision = ({ headers }: IncomingMessage): boolean => {
  const revision = headers["mcp-protocol-version"]
  return revision !== undefined && !SUPPORTED_PROTOCOL_VERSIONS.includes(String(revision))
}

export const sessionIdOf = ({ headers }: IncomingMessage): string | undefined => {
  const id = headers["mcp-session-id"]
  return typeof id === "string" && id !== "" ? id : undefined
}

/** The span of the caller's, as the HTTP request around the message has it. */
export const traceparentOf = ({ headers }: IncomingMessage): string | undefined => {
  const { traceparent } = headers
  return typeof traceparent === "string" ? traceparent : undefined
}
