/**
 * The transport of one session: requests come in over HTTP one at a time, each is answered on the response
 * it came with: as a stream of events, or, for a client that takes no such stream, as one JSON document.
 *
 * ```
 *   POST --> accept --onmessage--> SDK server
 *   its response  <-- send -- the server's answer, and what it says before that
 * ```
 *
 * Written to node's responses directly: the SDK's own transport goes through web streams, keeps the stream
 * and the bookkeeping of a cancelled call for ever, and hangs the first of two callers with the same id.
 *
 * - `inFlight` holds a request from the moment it is dispatched until it is answered, is cancelled, or the
 *   session ends; in each of these cases its response is ended. An id in flight must not be accepted again.
 * - Before its answer a document has no room for anything but white space: progress is not told there.
 * - What the server says of no request has no stream to go to, and is dropped: it never speaks unasked.
 *
 * @since 0.1.0
 */
import type { Transport, TransportSendOptions } from "@modelcontextprotocol/sdk/shared/transport.js"
import type { JSONRPCMessage, MessageExtraInfo } from "@modelcontextprotocol/sdk/types.js"
import type { ServerResponse } from "node:http"
import * as JsonRpc from "../stdio/JsonRpc.js"
import type { Id } from "../stdio/JsonRpc.js"
import * as Metrics from "./Metrics.js"

/** How a request is answered: as a stream of events, or as one JSON document. */
export type Form = "events" | "json"

const event = (text: string): string => `event: message\ndata: ${text}\n\n`

/** A request that is being answered. */
interface Answering {
  readonly response: ServerResponse
  readonly form: Form
}

const types: { readonly [F in Form]: string } = {
  events: "text/event-stream",
  json: "application/json; charset=utf-8"
}

export interface Options {
  readonly sessionId: string
  /** A call has begun. */
  readonly onStarted: () => void
  /** It has no answer to wait for any more: it was answered, or cancelled. */
  readonly onSettled: () => void
  /** Encoding an answer is work too, and waits for its client's turn. */
  readonly turn: (work: () => void) => void
}

export class SessionTransport implements Transport {
  onclose?: (() => void) | undefined
  onerror?: ((error: Error) => void) | undefined
  onmessage?: (<T extends JSONRPCMessage>(message: T, extra?: MessageExtraInfo) => void) | undefined

  readonly sessionId: string
  private readonly inFlight = new Map<Id, Answering>()
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
      for (const id of [...this.inFlight.keys()]) this.end(id)
      this.onclose?.()
    }
    return Promise.resolve()
  }

  /** Is a call with this id still without an answer? */
  isInFlight(id: Id): boolean {
    return this.inFlight.has(id)
  }

  /** A message that asks for nothing. False: the session is over. */
  notify(message: JSONRPCMessage): boolean {
    if (this.isClosed) return false
    const cancels = JsonRpc.cancels(message)
    if (cancels === undefined) this.onmessage?.(message)
    else if (cancels.id !== undefined && this.isInFlight(cancels.id)) {
      Metrics.stream("cancelled", "call")
      this.cancel(cancels.id, cancels.reason)
    }
    return true
  }

  /**
   * A request whose id is not in flight, to be answered on the response. False: the session is over, and
   * the response untouched.
   */
  request(
    message: JSONRPCMessage,
    {
      form,
      id,
      response,
      traceparent
    }: Answering & {
      readonly id: Id
      readonly traceparent: string | undefined
    }
  ): boolean {
    if (this.isClosed) return false
    this.inFlight.set(id, { response, form })
    this.options.onStarted()
    response.writeHead(200, {
      "content-type": types[form],
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
      "mcp-session-id": this.sessionId
    })
    // Of the headers this one alone: the Authorization header goes no further than the edge.
    const extra = traceparent === undefined ? undefined : { requestInfo: { headers: { traceparent } } }
    this.onmessage?.(message, extra)
    return true
  }

  /** Ends a call whose caller does not wait any more; nothing when there is none of this id. */
  cancel(id: Id, reason: string): void {
    if (!this.inFlight.has(id)) return
    this.onmessage?.(JsonRpc.cancelled(id, reason))
    this.end(id)
  }

  send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    if ("method" in message) {
      const found = this.inFlight.get(String(options?.relatedRequestId))
      if (found?.form === "events") {
        this.write(found.response, () => found.response.write(event(JsonRpc.text(message))))
      }
    } else if (message.id !== undefined) {
      // The answer to a call that was cancelled meanwhile has no response left to go to.
      const found = this.settle(String(message.id))
      if (found !== undefined) {
        this.write(found.response, () => {
          const text = JsonRpc.text(message)
          found.response.end(found.form === "events" ? event(text) : text)
        })
      }
    }
    return Promise.resolve()
  }

  /** Without an answer: a stream just ends, a document has to say something. */
  private end(id: Id): void {
    const found = this.settle(id)
    if (found === undefined) return
    if (found.form === "events") found.response.end()
    else found.response.end(JsonRpc.errorText(-32000, "The call was cancelled.", id))
  }

  /** In order: what is said later is written later. */
  private write(response: ServerResponse, work: () => void): void {
    this.options.turn(() => {
      if (response.destroyed || response.writableEnded) return
      try {
        work()
      } catch (error) {
        // A value that is not JSON has no caller to be reported to.
        response.end()
        this.onerror?.(error instanceof Error ? error : new Error(String(error)))
      }
    })
  }

  private settle(id: Id): Answering | undefined {
    const found = this.inFlight.get(id)
    if (found === undefined) return undefined
    this.inFlight.delete(id)
    this.options.onSettled()
    return found
  }
}
