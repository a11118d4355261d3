/**
 * The SDK's web-standard transport with its known gaps closed, as the transport of one session.
 *
 * ```
 *   request --> handle --> [SDK transport] --onmessage--> [this] --onmessage--> SDK server
 *   stream  <---------------------------------- send <---- [this] <---- send ----'
 * ```
 *
 * - Ids are rewritten on the way in and restored on the way out (`0` -> `"n:0"`): the SDK's server takes
 *   an id of 0 or "" for none and would not cancel it.
 * - A call that is cancelled has its stream closed and its bookkeeping dropped: the SDK would keep both,
 *   and write keep-alives into the stream for ever.
 * - `inFlight` holds the ids that have no answer yet, so that the same id is not dispatched twice (the
 *   first caller would never be answered).
 *
 * @since 0.1.0
 */
import type { Transport, TransportSendOptions } from "@modelcontextprotocol/sdk/shared/transport.js"
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js"
import type { JSONRPCMessage, MessageExtraInfo, RequestId } from "@modelcontextprotocol/sdk/types.js"

const inside = (id: RequestId): string => (typeof id === "number" ? `n:${id}` : `s:${id}`)

const outside = (id: RequestId): RequestId => {
  const text = String(id)
  return text.startsWith("n:") ? Number(text.slice(2)) : text.slice(2)
}

export interface Options {
  readonly sessionId: string
  /** A call has begun. */
  readonly onStarted: () => void
  /** It has no answer to wait for any more: it was answered, or cancelled. */
  readonly onSettled: () => void
}

export class SessionTransport implements Transport {
  onclose?: (() => void) | undefined
  onerror?: ((error: Error) => void) | undefined
  onmessage?: (<T extends JSONRPCMessage>(message: T, extra?: MessageExtraInfo) => void) | undefined

  readonly sessionId: string
  readonly inFlight = new Set<string>()
  private readonly web: WebStandardStreamableHTTPServerTransport

  constructor(private readonly options: Options) {
    const { sessionId } = options
    this.sessionId = sessionId
    this.web = new WebStandardStreamableHTTPServerTransport({ sessionIdGenerator: () => sessionId })
    this.web.onmessage = (message) => this.receive(message)
    this.web.onerror = (error) => this.onerror?.(error)
    this.web.onclose = () => {
      for (const id of [...this.inFlight]) this.settle(id)
      this.onclose?.()
    }
  }

  start(): Promise<void> {
    return this.web.start()
  }

  close(): Promise<void> {
    return this.web.close()
  }

  /** Is a call with this id still without an answer? */
  isInFlight(id: RequestId): boolean {
    return this.inFlight.has(inside(id))
  }

  /** The response's body is the stream on which the answer will come. The body was read and parsed before. */
  handle(request: Request, message: unknown): Promise<Response> {
    return this.web.handleRequest(request, { parsedBody: message })
  }

  /** Ends a call whose caller does not wait any more; false when there is none of this id. */
  cancel(id: RequestId, reason: string): boolean {
    if (!this.isInFlight(id)) return false
    this.cancelled(id, reason)
    return true
  }

  async send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    const related = options?.relatedRequestId
    const sent = related === undefined ? undefined : { relatedRequestId: outside(related) }
    if ("method" in message || !("id" in message) || message.id === undefined) {
      return this.web.send(message, sent)
    }
    const { id } = message
    const wasInFlight = this.settle(String(id))
    // The answer to a call that was cancelled meanwhile has no stream left to go to.
    if (wasInFlight) await this.web.send({ ...message, id: outside(id) }, sent)
  }

  // Without headers: the Authorization header goes no further than the edge.
  private receive(message: JSONRPCMessage): void {
    if ("method" in message && message.method === "notifications/cancelled") {
      const id = message.params?.["requestId"]
      if (typeof id === "string" || typeof id === "number") {
        const reason = message.params?.["reason"]
        this.cancelled(id, typeof reason === "string" ? reason : "cancelled by the client")
      }
    } else if ("method" in message && "id" in message) {
      const id = inside(message.id)
      this.inFlight.add(id)
      this.options.onStarted()
      this.onmessage?.({ ...message, id })
    } else this.onmessage?.(message)
  }

  private cancelled(id: RequestId, reason: string): void {
    const requestId = inside(id)
    if (!this.inFlight.has(requestId)) return
    this.onmessage?.({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId, reason } })
    this.web.closeSSEStream(id)
    // With the stream gone this sends nothing; it makes the SDK forget the id, and then complains.
    this.web.send({ jsonrpc: "2.0", id, error: { code: -32600, message: "cancelled" } }).catch(() => {})
    this.settle(requestId)
  }

  private settle(id: string): boolean {
    if (!this.inFlight.delete(id)) return false
    this.options.onSettled()
    return true
  }
}
