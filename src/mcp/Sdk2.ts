/**
 * Revision 2026-07-28, by the SDK's second generation: `server/discover`, the envelope of every request, cancelling,
 * and the members that a result has in this revision. Everything else comes to {@link Protocol.Handlers}.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"
import type { InboundClassificationOutcome, jsonSchemaValidator } from "@modelcontextprotocol/server"
import { PerRequestHTTPServerTransport, Server, classifyInboundRequest } from "@modelcontextprotocol/server"
import * as Protocol from "./Protocol.js"

const [revision = ""] = Protocol.modernRevisions

/** Nothing is ever validated: there is no elicitation, and the SDK's default would build an AJV per connection. */
const noValidator: jsonSchemaValidator = {
  getValidator: () => () => ({ valid: false, data: undefined, errorMessage: "not supported" })
}

/** How long a list may be kept: until a restart is noticed. */
const LIST_TTL_MS = 300_000

/** Tools, and the resources that are read with them, depend on the caller's tier: no cache may share their lists. */
const ofCaller = { ttlMs: LIST_TTL_MS, cacheScope: "private" }
const kept: { readonly [method: string]: object } = {
  "tools/list": ofCaller,
  "resources/list": ofCaller,
  "resources/templates/list": ofCaller,
  "prompts/list": { ttlMs: LIST_TTL_MS, cacheScope: "public" },
  "resources/read": { ttlMs: 0, cacheScope: "private" }
}

class ModernServer extends Server {
  constructor({ capabilities, failed, info, instructions, request: answer }: Protocol.Handlers) {
    super(info, {
      capabilities,
      instructions,
      jsonSchemaValidator: noValidator,
      supportedProtocolVersions: [...Protocol.modernRevisions],
      cacheHints: { "server/discover": { ttlMs: LIST_TTL_MS, cacheScope: "public" } }
    })
    this.onerror = failed
    this.fallbackRequestHandler = async ({ method, params = {} }, { mcpReq }) => {
      const result = await answer(method, params, {
        id: mcpReq.id,
        meta: mcpReq._meta,
        signal: mcpReq.signal,
        progress: (told) => mcpReq.notify({ method: "notifications/progress", params: told })
      })
      return { ...result, ...kept[method] }
    }
  }
}

/** The SDK binds a server to this era by the class of its transport alone; what goes over it is the other one's. */
class Bound extends PerRequestHTTPServerTransport {
  constructor(private readonly inner: Protocol.Transport) {
    super({ classification: { era: "modern", revision } })
  }

  override start(): Promise<void> {
    const { inner } = this
    const { onclose, onerror } = inner
    inner.onmessage = (message) => this.onmessage?.(message)
    inner.onclose = () => {
      onclose?.()
      this.onclose?.()
    }
    inner.onerror = (error) => {
      onerror?.(error)
      this.onerror?.(error)
    }
    return inner.start()
  }

  override send(message: Protocol.Message, options?: Protocol.SendOptions): Promise<void> {
    return this.inner.send(message, options)
  }

  override close(): Promise<void> {
    return this.inner.close()
  }
}

export const connect: Protocol.Connect = async (transport, handlers) => {
  const server = new ModernServer(handlers)
  await server.connect(new Bound(transport))
  return server
}

/** Why a message is not served as one of this era; `status` is for HTTP. */
export interface Rejected extends Protocol.Fault {
  readonly status: number
}

/** The routing headers of an HTTP request; stdio has none. */
export interface Headers {
  readonly revision: string | undefined
  readonly method: string | undefined
  readonly name: string | undefined
}

const HEADER_MISMATCH = -32020
const UNSUPPORTED_REVISION = -32022

const rejected = (code: number, message: string, data?: Protocol.Fault["data"]): Rejected => ({
  status: 400,
  code,
  message,
  data
})

export const unsupported = (requested: unknown): Rejected =>
  rejected(UNSUPPORTED_REVISION, `Unsupported protocol version: ${String(requested).slice(0, 40)}`, {
    supported: [...Protocol.modernRevisions],
    requested
  })

/** Methods whose name or URI is repeated in a header. */
const named: { readonly [method: string]: "name" | "uri" } = {
  "tools/call": "name",
  "prompts/get": "name",
  "resources/read": "uri"
}

/** A header's value, which is Base64 where it is not plain ASCII; undefined where that is not valid. */
const decoded = (header: string): string | undefined => {
  const base64 = /^=\?base64\?(.*)\?=$/.exec(header)?.[1]
  if (base64 === undefined) return header
  const bytes = Buffer.from(base64, "base64")
  return bytes.toString("base64") === base64 ? bytes.toString("utf8") : undefined
}

const mismatch = (what: string): Rejected => rejected(HEADER_MISMATCH, `Header mismatch: ${what}`)

/** A proxy routes by the headers, so they have to say what the body says. */
const headerProblem = (method: string, params: Protocol.Params | undefined, headers: Headers) => {
  if (headers.revision === undefined) return mismatch("the header MCP-Protocol-Version is missing")
  if (headers.method === undefined) return mismatch("the header Mcp-Method is missing")
  const member = Object.hasOwn(named, method) ? named[method] : undefined
  const value = member === undefined ? undefined : params?.[member]
  if (member === undefined || typeof value !== "string") return undefined
  if (headers.name === undefined)
    return mismatch(`the header Mcp-Name is missing; it repeats params.${member}`)
  return decoded(headers.name.trim()) === value
    ? undefined
    : mismatch(`the header Mcp-Name is not what params.${member} says`)
}

const served = (
  method: string,
  params: Protocol.Params | undefined,
  headers: Headers
): Protocol.Era | Rejected => {
  const isThere = method === "server/discover" || Protocol.methods.has(method)
  return (
    headerProblem(method, params, headers) ?? (isThere ? "2026" : { status: 404, ...Protocol.methodNotFound })
  )
}

const RESERVED = "io.modelcontextprotocol/"

/**
 * Is the envelope as most clients send it, and what the headers say? Then it is valid. Any other one is for the SDK to
 * judge, whose validator takes longer than all the rest of it.
 */
const isPlain = (meta: unknown, method: string, headers: Headers): boolean =>
  Predicate.isReadonlyRecord(meta) &&
  headers.revision === revision &&
  headers.method === method &&
  meta[Protocol.REVISION_KEY] === revision &&
  Predicate.isReadonlyRecord(meta[`${RESERVED}clientCapabilities`]) &&
  Object.entries(meta).every(([key, value]) => {
    if (!key.startsWith(RESERVED) || key === Protocol.REVISION_KEY) return true
    if (!Predicate.isReadonlyRecord(value)) return false
    if (key === `${RESERVED}clientCapabilities`) {
      return Object.values(value).every(
        (one) => Predicate.isReadonlyRecord(one) && Object.keys(one).length === 0
      )
    }
    const { name, version, ...rest } = value
    const isInfo = key === `${RESERVED}clientInfo` && typeof name === "string" && typeof version === "string"
    return isInfo && Object.keys(rest).length === 0
  })

/** Is the message one of this era, and may it be served? */
export const admit = (message: Protocol.Message, headers?: Headers): Protocol.Era | Rejected => {
  if (headers !== undefined && "method" in message && "id" in message) {
    const { method, params } = message
    if (isPlain(params?.["_meta"], method, headers)) return served(method, params, headers)
  }
  const outcome: InboundClassificationOutcome = classifyInboundRequest({
    httpMethod: "POST",
    body: message,
    ...(headers?.revision === undefined ? {} : { protocolVersionHeader: headers.revision }),
    ...(headers?.method === undefined ? {} : { mcpMethodHeader: headers.method })
  })
  if (outcome.kind === "legacy") return "2025"
  if (outcome.kind === "reject") {
    const { code, data, httpStatus, message } = outcome
    return {
      status: httpStatus,
      code,
      message,
      data: typeof data === "object" && data !== null ? { ...data } : undefined
    }
  }
  const { revision: claimed } = outcome.classification
  if (claimed === undefined || !Protocol.modernRevisions.includes(claimed)) return unsupported(claimed)
  if (headers === undefined || outcome.messageKind === "notification") return "2026"
  return served(outcome.message.method, outcome.message.params, headers)
}
