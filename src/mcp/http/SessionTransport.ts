/**
 * The transport of one session, or of all requests that belong to none: requests come in over HTTP one at a time, each
 * is answered on the response it came with: as a stream of events, or, for a client that takes no such stream, as one
 * JSON document.
 *
 * ```
 *   POST --> accept --onmessage--> SDK server
 *   its response  <-- send -- the server's answer, and what it says before that
 *   GET's response  <-- send -- what it says of no request, in a session
 * ```
 *
 * Written to node's responses directly: the SDK's own transport goes through web streams, keeps the stream
 * and the bookkeeping of a cancelled call for ever, and hangs the first of two callers with the same id.
 *
 * - Without a session, ids of different clients may be the same: inside, a request has a number of its own.
 * - `inFlight` holds a request from the moment it is dispatched until it is answered, is cancelled, or the
 *   session ends; in each of these cases its response is ended. An id in flight must not be accepted again.
 * - Before its answer a document has no room for anything but white space: progress is not told there.
 * - What the server says of no request goes to the stream that the client has opened for it, one of a session. While
 *   there is none, or its client does not read, the last of each kind waits: no more is kept, however much is said.
 *   Without a session it is dropped.
 *
 * @since 0.1.0
 */
import type { Message, RequestId, SendOptions, Transport } from "../Protocol.js"
import type { ServerResponse } from "node:http"
import * as TraceParent from "../core/TraceParent.js"
import * as JsonRpc from "../JsonRpc.js"
import type { Id } from "../JsonRpc.js"
import type { Principal } from "../../platform/Principal.js"
import * as Metrics from "./Metrics.js"

/** How a request is answered: as a stream of events, or as one JSON document. */
export type Form = "events" | "json"

const event = (text: string): string => `event: message\ndata: ${text}\n\n`

/** A request, and where it is answered. */
interface Answering {
  /** As the client has it. */
  readonly id: Id
  readonly response: ServerResponse
  readonly form: Form
  readonly principal: Principal
}

const types: { readonly [F in Form]: string } = {
  events: "text/event-stream",
  json: "application/json; charset=utf-8"
}

export interface Options {
  /** Undefined: every request stands for itself. */
  readonly sessionId: string | undefined
  /** A call has begun. */
  readonly onStarted?: () => void
  /** It has no answer to wait for any more: it was answered, or cancelled. */
  readonly onSettled?: () => void
  /** Encoding an answer is work too, and waits for its client's turn. */
  readonly turn: (client: string, work: () => void) => void
}

/** What a request asks for needs a capability that its client has not declared. */
const MISSING_CAPABILITY = -32021

/** The span of the HTTP request around a call, where the call itself names none. */
const within = (message: Message, traceparent: string | undefined): Message => {
  if (traceparent === undefined || !("method" in message)) return message
  const meta = message.params?.["_meta"]
  const own: { readonly [name: string]: unknown } =
    typeof meta === "object" && meta !== null ? { ...meta } : {}
  return TraceParent.parse(own["traceparent"]) === undefined
    ? { ...message, params: { ...message.params, _meta: { ...own, traceparent } } }
    : message
}

export class SessionTransport implements Transport {
  onclose?: (() => void) | undefined
  onerror?: ((error: Error) => void) | undefined
  onmessage?: ((message: Message) => void) | undefined

  readonly sessionId: string | undefined
  private readonly inFlight = new Map<Id, Answering>()
  private stream: { readonly response: ServerResponse; readonly client: string } | undefined
  /** By method. */
  private readonly untold = new Map<string, Message>()
  private isClosed = false
  private count = 0

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
      this.untold.clear()
      this.stream?.response.end()
      this.onclose?.()
    }
    return Promise.resolve()
  }

  /** Is a call with this id still without an answer? */
  isInFlight(id: Id): boolean {
    return this.inFlight.has(id)
  }

  /** A message that asks for nothing. False: the session is over. */
  notify(message: Message): boolean {
    if (this.isClosed) return false
    const cancels = JsonRpc.cancels(message)
    if (cancels === undefined) this.onmessage?.(message)
    else if (cancels.id !== undefined && this.isInFlight(cancels.id)) {
      Metrics.stream("cancelled", "call")
      this.cancel(cancels.id, cancels.reason)
    }
    return true
  }

  /** Whose request it is that has this id inside. */
  principalOf(key: RequestId): Principal {
    const found = this.inFlight.get(String(key))
    if (found === undefined) throw new Error("a request that is not in flight has no principal")
    return found.principal
  }

  /**
   * A request whose id is not in flight, to be answered on the response: its id inside. Undefined: the session is
   * over, and the response untouched.
   */
  request(
    message: Message,
    { traceparent, ...answering }: Answering & { readonly traceparent: string | undefined }
  ): Id | undefined {
    if (this.isClosed) return undefined
    const key = this.sessionId === undefined ? String(++this.count) : answering.id
    this.inFlight.set(key, answering)
    this.options.onStarted?.()
    this.head(answering)
    this.onmessage?.({ ...within(message, traceparent), id: key })
    return key
  }

  private headers(form: Form): { readonly [name: string]: string } {
    return {
      "content-type": types[form],
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
      ...(this.sessionId === undefined ? {} : { "mcp-session-id": this.sessionId })
    }
  }

  private head({ form, response }: Answering): void {
    if (this.sessionId !== undefined) {
      response.writeHead(200, this.headers(form))
      return
    }
    // The status is open until something is written, or the client has to wait.
    for (const [name, value] of Object.entries(this.headers(form))) response.setHeader(name, value)
  }

  /** The session's own stream, until the client leaves or the session ends. Otherwise the response is untouched. */
  open(response: ServerResponse, client: string): "opened" | "has-one" | "is-over" {
    if (this.isClosed) return "is-over"
    if (this.stream !== undefined) return "has-one"
    const stream = { response, client }
    this.stream = stream
    response.writeHead(200, this.headers("events"))
    response.on("drain", () => this.tell())
    response.once("close", () => {
      if (this.stream === stream) this.stream = undefined
    })
    this.tell()
    return "opened"
  }

  private tell(): void {
    const { stream } = this
    if (stream === undefined || this.untold.size === 0) return
    this.options.turn(stream.client, () => {
      const { response } = stream
      // What is not read now is told at "drain", or on the next stream.
      if (response.destroyed || response.writableEnded || response.writableNeedDrain) return
      const texts = [...this.untold.values()].map((message) => event(JsonRpc.text(message)))
      this.untold.clear()
      if (texts.length > 0) response.write(texts.join(""))
    })
  }

  /** Ends a call whose caller does not wait any more; nothing when there is none of this id. */
  cancel(id: Id, reason: string): void {
    if (!this.inFlight.has(id)) return
    this.onmessage?.(JsonRpc.cancelled(id, reason))
    this.end(id)
  }

  send(message: Message, options?: SendOptions): Promise<void> {
    if ("method" in message) {
      if (options?.relatedRequestId === undefined) {
        // It asks nothing of its clients: there are no requests of the server's.
        if (this.sessionId !== undefined && !this.isClosed && !("id" in message)) {
          this.untold.set(message.method, message)
          this.tell()
        }
        return Promise.resolve()
      }
      const found = this.inFlight.get(String(options.relatedRequestId))
      if (found?.form === "events") {
        this.write(found, () => found.response.write(event(JsonRpc.text(message))))
      }
    } else if (message.id !== undefined) {
      const key = String(message.id)
      // The answer to a call that was cancelled meanwhile has no response left to go to.
      const found = this.settle(key)
      if (found !== undefined) {
        this.write(found, () => {
          const text = JsonRpc.text({ ...message, id: found.id })
          found.response.end(this.formOf(found, message) === "events" ? event(text) : text)
        })
      }
    }
    return Promise.resolve()
  }

  /** The form of an answer; one error of the 2026 era is a status too. */
  private formOf({ form, response }: Answering, message: Message): Form {
    const isRefused = "error" in message && message.error.code === MISSING_CAPABILITY
    if (!isRefused || response.headersSent) return form
    response.statusCode = 400
    response.setHeader("content-type", types.json)
    return "json"
  }

  /** Without an answer: a stream just ends, a document has to say something. */
  private end(key: Id): void {
    const found = this.settle(key)
    if (found === undefined) return
    if (found.form === "events") found.response.end()
    else found.response.end(JsonRpc.errorText(-32000, "The call was cancelled.", found.id))
  }

  /** In order: what is said later is written later. */
  private write({ principal, response }: Answering, work: () => void): void {
    this.options.turn(principal.client, () => {
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
    this.options.onSettled?.()
    return found
  }
}
