/**
 * A transport that times what goes over it: each request from when it came in until its answer goes out,
 * and the session as a whole. The server on top of it and the transport below do not notice.
 *
 * `pending` holds what was asked and not answered: at most what is in flight. A request that is cancelled is
 * never answered, and leaves with the note that cancels it; what is left when the session ends was cancelled
 * by that.
 *
 * @since 0.1.0
 */
import type { Transport, TransportSendOptions } from "@modelcontextprotocol/sdk/shared/transport.js"
import type { JSONRPCMessage, MessageExtraInfo, RequestId } from "@modelcontextprotocol/sdk/types.js"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Failure, Via } from "./mcpMetrics.js"
import * as McpMetrics from "./mcpMetrics.js"
import { monotonicReader } from "../platform/monotonic.js"

export interface Options {
  readonly via: Via | undefined
  /** Those there are: what else a client asks for becomes no label. */
  readonly tools: ReadonlySet<string> | undefined
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
}

interface Pending {
  readonly method: string
  readonly tool: string | undefined
  readonly at: number
}

const field = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined

export class Observed implements Transport {
  onclose?: (() => void) | undefined
  onerror?: ((error: Error) => void) | undefined
  onmessage?: (<T extends JSONRPCMessage>(message: T, extra?: MessageExtraInfo) => void) | undefined

  private readonly pending = new Map<RequestId, Pending>()
  private readonly openedAt: number
  private version: string | undefined

  constructor(
    private readonly inner: Transport,
    private readonly options: Options
  ) {
    this.openedAt = options.now()
  }

  get sessionId(): string | undefined {
    return this.inner.sessionId
  }

  start(): Promise<void> {
    const { onclose, onerror, onmessage } = this.inner
    this.inner.onclose = () => {
      onclose?.()
      this.onclose?.()
    }
    this.inner.onerror = (error) => {
      onerror?.(error)
      this.onerror?.(error)
    }
    this.inner.onmessage = (message, extra) => {
      onmessage?.(message, extra)
      this.received(message, extra)
    }
    return this.inner.start()
  }

  close(): Promise<void> {
    return this.inner.close()
  }

  send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    if (!("method" in message) && message.id !== undefined) {
      const asked = this.pending.get(message.id)
      if (asked !== undefined) {
        this.pending.delete(message.id)
        this.answered(asked, message)
      }
    }
    return this.inner.send(message, options)
  }

  /** The session is over, and with it what was not answered. One that was never agreed upon was none. */
  ended(): void {
    for (const asked of this.pending.values()) this.record(asked, "cancelled")
    this.pending.clear()
    if (this.version === undefined) return
    McpMetrics.session({ version: this.version, via: this.options.via }, this.options.now() - this.openedAt)
  }

  private received(message: JSONRPCMessage, extra?: MessageExtraInfo): void {
    if (!("method" in message)) return this.onmessage?.(message, extra)
    const at = this.options.now()
    const { method, params } = message
    if ("id" in message) {
      const name = method === "tools/call" ? field(params, "name") : undefined
      const tool = typeof name === "string" && this.options.tools?.has(name) === true ? name : undefined
      this.pending.set(message.id, { method, tool, at })
      return this.onmessage?.(message, extra)
    }
    if (method === "notifications/cancelled") this.cancelled(field(params, "requestId"))
    this.onmessage?.(message, extra)
    this.record({ method, tool: undefined, at }, undefined)
  }

  private cancelled(id: unknown): void {
    if (typeof id !== "string" && typeof id !== "number") return
    const asked = this.pending.get(id)
    if (asked === undefined) return
    this.pending.delete(id)
    this.record(asked, "cancelled")
  }

  private answered(asked: Pending, answer: JSONRPCMessage): void {
    if ("error" in answer) return this.record(asked, answer.error.code)
    const result = "result" in answer ? answer.result : undefined
    if (asked.method === "initialize") {
      const version = field(result, "protocolVersion")
      if (typeof version === "string") this.version = version
    }
    this.record(asked, field(result, "isError") === true ? "tool_error" : undefined)
  }

  private record({ at, method, tool }: Pending, failure: Failure | undefined): void {
    const { now, via } = this.options
    McpMetrics.operation({ method, tool, failure, version: this.version, via }, now() - at)
  }
}

/**
 * Watches a transport while the scope is open.
 */
export const make = (
  transport: Transport,
  options: Omit<Options, "now">
): Effect.Effect<Observed, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.map(monotonicReader, (now) => new Observed(transport, { ...options, now })),
    (observed) => Effect.sync(() => observed.ended())
  )
