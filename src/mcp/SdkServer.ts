/**
 * The SDK's server, but every request for a tool comes to one function that can count it: the SDK itself answers
 * requests that do not fit its schemas, and requests for a task, without an event.
 *
 * Such a request is answered -32602 with what is wrong; it never gets to `call`.
 *
 * @since 0.1.0
 */
import type { ServerOptions } from "@modelcontextprotocol/sdk/server/index.js"
import { Server } from "@modelcontextprotocol/sdk/server/index.js"
import type { RequestHandlerExtra } from "@modelcontextprotocol/sdk/shared/protocol.js"
import type {
  CallToolRequest,
  CallToolResult,
  Implementation,
  JSONRPCRequest,
  ServerNotification,
  ServerRequest
} from "@modelcontextprotocol/sdk/types.js"
import { CallToolRequestSchema } from "@modelcontextprotocol/sdk/types.js"
import type { jsonSchemaValidator } from "@modelcontextprotocol/sdk/validation/types.js"
import * as JsonRpc from "./stdio/JsonRpc.js"

export type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>

export interface Calls {
  readonly call: (params: CallToolRequest["params"], extra: Extra) => Promise<CallToolResult>
  /** A request that is none; with the name in it, if there is one. */
  readonly malformed: (name: string) => void
}

const METHOD = "tools/call"

/** Plain objects: McpError would put its own prefix in front of the message. */
export const invalidParams = (message: string) => ({ code: -32602, message })
const methodNotFound = { code: -32601, message: "Method not found" }

const nameIn = (params: JSONRPCRequest["params"]): string => {
  const name = params?.["name"]
  return typeof name === "string" ? name : ""
}

/** `arguments: null` is how some clients write that there are none. */
const withoutNull = (request: JSONRPCRequest): JSONRPCRequest => {
  if (request.params?.["arguments"] !== null) return request
  const { arguments: _, ...params } = request.params
  return { ...request, params }
}

/** Elicitation is never used, so nothing is ever validated; the SDK's default would build an AJV per connection. */
const noValidator: jsonSchemaValidator = {
  getValidator: () => () => ({ valid: false, data: undefined, errorMessage: "not supported" })
}

export class SdkServer extends Server {
  constructor(info: Implementation, options: Omit<ServerOptions, "jsonSchemaValidator">) {
    super(info, { ...options, jsonSchemaValidator: noValidator })
  }

  /** For methods without a handler, of which this is one: its request is not looked at before. */
  serve({ call, malformed }: Calls): void {
    this.fallbackRequestHandler = async (request, extra) => {
      if (request.method !== METHOD) throw methodNotFound
      const parsed = CallToolRequestSchema.safeParse(withoutNull(request))
      if (parsed.success && parsed.data.params.task === undefined) return call(parsed.data.params, extra)
      malformed(nameIn(request.params))
      const problem = parsed.success ? "this server makes no tasks" : JsonRpc.problem(parsed.error.issues)
      throw invalidParams(`Invalid ${METHOD}: ${problem}`)
    }
  }

  /** The SDK asks before there is a handler; a call that wants a task is refused, and counted, with the others. */
  protected override assertTaskHandlerCapability(method: string): void {
    if (method !== METHOD) super.assertTaskHandlerCapability(method)
  }
}
