/**
 * What OpenTelemetry's conventions for MCP ask of a server: the time of each request and notification, and
 * of each session. Labels are bounded: what a client names that nobody here knows is `_OTHER`, or left out.
 */
import * as MetricBoundaries from "effect/MetricBoundaries"
import { histogram } from "../platform/metrics.js"

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

export const operation = (
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

export const session = (of: Peer, ms: number): void => sessions({ ...peer(of), ...inSeconds }, ms)
