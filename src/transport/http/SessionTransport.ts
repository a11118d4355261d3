/**
 * The transport of one session: requests come in over HTTP one at a time, each is answered on the response
 * it came with, as a stream of events.
 *
 * ```
 *   POST --> accept --onmessage--> SDK server
 *   its response  <-- send -- the server's answer, and what it says before that
 * ```
 *
 * Written to node's responses directly: the SDK's own transport goes through web streams, keeps the stream
 * and the bookkeeping of a cancelled call for ever, and hangs the first of two callers with the same id.
 *
 * - Ids are rewritten on the way in and restored on the way out (`0` -> `"n:0"`): the SDK's server takes
 *   an id of 0 or "" for none and would not cancel it.
 * - `inFlight` holds a request from the moment it is dispatched until it is answered, is cancelled, or the
 *   session ends; in each of these cases its stream is ended. An id in flight must not be accepted again.
 * - What the server says of no request has no stream to go to, and is dropped: it never speaks unasked.
 *
 * @since 0.1.0
 */
import type { Transport, TransportSendOptions } from "@modelcontextprotocol/sdk/shared/transport.js"
import type { JSONRPCMessage, MessageExtraInfo, RequestId } from "@modelcontextprotocol/sdk/types.js"
import type { ServerResponse } from "node:http"
import * as Metrics from "./Metrics.js"

const inside = (id: RequestId): string => (typeof id === "number" ? `n:${id}` : `s:${id}`)

const outside = (id: string): RequestId => (id.startsWith("n:") ? Number(id.slice(2)) : id.slice(2))

const event = (message: JSONRPCMessage): string => `event: message\ndata: ${JSON.stringify(message)}\n\n`

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
  private readonly inFlight = new Map<string, ServerResponse>()
  private isClosed = false

  constructor(private readonly options: Options) {
    this.sessionId = options.sessionId
  }

  start(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    if (!this.isClosed) {
      this.isClosed = true
      for (const id of [...this.inFlight.keys()]) this.settle(id)?.end()
      this.onclose?.()
    }
    return Promise.resolve()
  }

  /** Is a call with this id still without an answer? */
  isInFlight(id: RequestId): boolean {
    return this.inFlight.has(inside(id))
  }

  /** A message that asks for nothing. False: the session is over. */
  notify(message: JSONRPCMessage): boolean {
    if (this.isClosed) return false
    if ("method" in message && message.method === "notifications/cancelled") {
      const id = message.params?.["requestId"]
      if (typeof id === "string" || typeof id === "number") {
        if (this.isInFlight(id)) Metrics.stream("cancelled", "call")
        const reason = message.params?.["reason"]
        this.cancel(id, typeof reason === "string" ? reason : "cancelled by the client")
      }
    } else this.onmessage?.(message)
    return true
  }

  /**
   * A request whose id is not in flight, to be answered on the response. False: the session is over, and
   * the response untouched.
   */
  request(
    message: JSONRPCMessage & { readonly id: RequestId },
    response: ServerResponse,
    traceparent?: string | undefined
  ): boolean {
    if (this.isClosed) return false
    const id = inside(message.id)
    this.inFlight.set(id, response)
    this.options.onStarted()
    response.writeHead(200, {
      "content-type": "text/event-stream",
      "cache-control": "no-cache, no-transform",
      connection: "keep-alive",
      "x-accel-buffering": "no",
      "mcp-session-id": this.sessionId
    })
    // Of the headers this one alone: the Authorization header goes no further than the edge.
    const extra = traceparent === undefined ? undefined : { requestInfo: { headers: { traceparent } } }
    this.onmessage?.({ ...message, id }, extra)
    return true
  }

  /** Ends a call whose caller does not wait any more; nothing when there is none of this id. */
  cancel(id: RequestId, reason: string): void {
    const requestId = inside(id)
    if (!this.inFlight.has(requestId)) return
    this.onmessage?.({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId, reason } })
    this.settle(requestId)?.end()
  }

  send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    if ("method" in message) {
      const stream = this.inFlight.get(String(options?.relatedRequestId))
      if (stream !== undefined && !stream.destroyed) stream.write(event(message))
    } else if (message.id !== undefined) {
      const id = String(message.id)
      // The answer to a call that was cancelled meanwhile has no stream left to go to.
      const stream = this.settle(id)
      if (stream !== undefined && !stream.destroyed) stream.end(event({ ...message, id: outside(id) }))
    }
    return Promise.resolve()
  }

  private settle(id: string): ServerResponse | undefined {
    const response = this.inFlight.get(id)
    if (response === undefined) return undefined
    this.inFlight.delete(id)
    this.options.onSettled()
    return response
  }
}
