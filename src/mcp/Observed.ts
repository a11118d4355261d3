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
import type { Message, RequestId, SendOptions, Transport } from "./Protocol.js"
import * as Effect from "effect/Effect"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import * as Protocol from "./Protocol.js"
import { histogram } from "../platform/metrics.js"
import { monotonicReader } from "../platform/monotonic.js"

/** HTTP goes over TCP, stdio through pipes. */
export type Via = "tcp" | "pipe"

/** Bounds as the convention has them. */
const bounds = MetricBoundaries.fromIterable([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300])

const operations = histogram(
  "mcp.server.operation.duration",
  "Time of an MCP request or notification as the server sees it.",
  bounds
)
const sessions = histogram(
  "mcp.server.session.duration",
  "Time from the beginning of an MCP session to its end.",
  bounds
)

/** A label of this name is the unit: exporters make of it what is usual with them. */
const inSeconds = { unit: "s" }

/** What a client may send by any revision of the protocol. */
const methods: ReadonlySet<string> = new Set([
  ...["initialize", "ping", "completion/complete", "logging/setLevel", "server/discover"],
  ...["tools/list", "tools/call", "prompts/list", "prompts/get"],
  ...["resources/list", "resources/templates/list", "resources/read"],
  ...["resources/subscribe", "resources/unsubscribe"],
  ...["notifications/initialized", "notifications/cancelled", "notifications/progress"],
  "notifications/roots/list_changed"
])

const codes: ReadonlySet<number> = new Set([-32700, -32600, -32601, -32602, -32603])

/** How an operation failed: a JSON-RPC error, a result that says so, or no answer at all. */
export type Failure = number | "tool_error" | "cancelled"

const failed = (failure: Failure | undefined) => {
  if (failure === undefined) return {}
  if (typeof failure === "string") return { "error.type": failure }
  const code = codes.has(failure) ? String(failure) : "_OTHER"
  return { "error.type": code, "rpc.response.status_code": code }
}

export interface Peer {
  /** The revision that was agreed upon. */
  readonly version: string | undefined
  readonly via: Via | undefined
}

const peer = ({ version, via }: Peer) => ({
  ...(version === undefined ? {} : { "mcp.protocol.version": version }),
  ...(via === undefined ? {} : { "network.transport": via })
})

export const operationEnded = (
  {
    failure,
    method,
    tool,
    ...of
  }: Peer & {
    readonly method: string
    /** One that exists. */
    readonly tool?: string | undefined
    readonly failure?: Failure | undefined
  },
  ms: number
): void =>
  operations(
    {
      "mcp.method.name": methods.has(method) ? method : "_OTHER",
      ...(tool === undefined ? {} : { "gen_ai.tool.name": tool, "gen_ai.operation.name": "execute_tool" }),
      ...failed(failure),
      ...peer(of),
      ...inSeconds
    },
    ms
  )

const sessionEnded = (of: Peer, ms: number): void => sessions({ ...peer(of), ...inSeconds }, ms)

interface Options {
  readonly via: Via | undefined
  /** Those there are: what else a client asks for becomes no label. */
  readonly tools: ReadonlySet<string> | undefined
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
}

interface Pending {
  readonly method: string
  readonly tool: string | undefined
  /** The revision that the message itself names: there is no handshake then. */
  readonly version: string | undefined
  readonly at: number
}

const field = (value: unknown, name: string): unknown =>
  Predicate.hasProperty(value, name) ? value[name] : undefined

export class Observed implements Transport {
  onclose?: (() => void) | undefined
  onerror?: ((error: Error) => void) | undefined
  onmessage?: ((message: Message) => void) | undefined

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
    this.inner.onmessage = (message) => {
      onmessage?.(message)
      this.received(message)
    }
    return this.inner.start()
  }

  close(): Promise<void> {
    return this.inner.close()
  }

  send(message: Message, options?: SendOptions): Promise<void> {
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
    sessionEnded({ version: this.version, via: this.options.via }, this.options.now() - this.openedAt)
  }

  private received(message: Message): void {
    if (!("method" in message)) return this.onmessage?.(message)
    const at = this.options.now()
    const { method, params } = message
    const claimed = Protocol.claimOf(message)?.revision
    const version = Protocol.modernRevisions.find((revision) => revision === claimed)
    if ("id" in message) {
      const name = method === "tools/call" ? field(params, "name") : undefined
      const tool = typeof name === "string" && this.options.tools?.has(name) === true ? name : undefined
      this.pending.set(message.id, { method, tool, version, at })
      return this.onmessage?.(message)
    }
    if (method === "notifications/cancelled") this.cancelled(field(params, "requestId"))
    this.onmessage?.(message)
    this.record({ method, tool: undefined, version, at }, undefined)
  }

  private cancelled(id: unknown): void {
    if (typeof id !== "string" && typeof id !== "number") return
    const asked = this.pending.get(id)
    if (asked === undefined) return
    this.pending.delete(id)
    this.record(asked, "cancelled")
  }

  private answered(asked: Pending, answer: Message): void {
    if ("error" in answer) return this.record(asked, answer.error.code)
    const result = "result" in answer ? answer.result : undefined
    if (asked.method === "initialize") {
      const version = field(result, "protocolVersion")
      if (typeof version === "string") this.version = version
    }
    this.record(asked, field(result, "isError") === true ? "tool_error" : undefined)
  }

  private record({ at, method, tool, version }: Pending, failure: Failure | undefined): void {
    const { now, via } = this.options
    operationEnded({ method, tool, failure, version: version ?? this.version, via }, now() - at)
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
