/**
 * An MCP client inside this process: speaks JSON-RPC with the server over a transport without bytes, so
 * that its calls take the way that every client's take.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import * as ErrorReport from "../mcp/ErrorReport.js"
import { McpServer } from "../mcp/McpServer.js"
import * as Principal from "../platform/Principal.js"

type Transport = Parameters<McpServer["Type"]["connect"]>[0]

type Fields = { readonly [key: string]: unknown }

/**
 * The structured content of an answer.
 *
 * @since 0.1.0
 * @category models
 */
export type Content = Fields

/**
 * How a call ended.
 *
 * @since 0.1.0
 * @category models
 */
export type Answer =
  | { readonly _tag: "Answered"; readonly content: Fields }
  | {
      readonly _tag: "Refused"
      readonly code: string
      readonly text: string
      /** Its statement may have run: also false of one that the warehouse has turned down. */
      readonly mayHaveRun: boolean
      readonly retryAfterMs: number | undefined
    }

/**
 * @since 0.1.0
 * @category models
 */
export interface Client {
  readonly name: string
  readonly call: (tool: string, input?: Fields) => Effect.Effect<Answer>
}

/**
 * The fields of an object; of anything else there are none.
 *
 * @since 0.1.0
 * @category reading
 */
export const fields = (value: unknown): Fields => (Predicate.isReadonlyRecord(value) ? value : {})

const answerOf = (message: Fields): Answer => {
  const result = fields(message["result"])
  if (result["isError"] !== true && message["error"] === undefined) {
    return { _tag: "Answered", content: fields(result["structuredContent"]) }
  }
  const report = fields(fields(result["_meta"])[ErrorReport.metaKey])
  const { code, message: text, retryAfterMs, sideEffects } = report
  return {
    _tag: "Refused",
    code: typeof code === "string" ? code : "PROTOCOL",
    text: typeof text === "string" ? text : JSON.stringify(message["error"] ?? result),
    mayHaveRun: sideEffects === "unknown",
    retryAfterMs: typeof retryAfterMs === "number" ? retryAfterMs : undefined
  }
}

/**
 * Connects and shakes hands; leaves with the scope.
 *
 * @since 0.1.0
 * @category constructors
 */
export const connect = (name: string): Effect.Effect<Client, never, McpServer | Scope.Scope> =>
  Effect.gen(function* () {
    const server = yield* McpServer
    const waiting = new Map<number, (message: Fields) => void>()
    let latest = 0
    const transport: Transport = {
      start: () => Promise.resolve(),
      close: () => Promise.resolve(),
      send: (message) => {
        if (!("method" in message) && typeof message.id === "number") waiting.get(message.id)?.(message)
        return Promise.resolve()
      }
    }
    yield* server.connect(transport, Principal.make(name))

    const request = (method: string, params: Fields): Effect.Effect<Fields> =>
      Effect.async<Fields>((resume) => {
        const id = ++latest
        waiting.set(id, (message) => {
          waiting.delete(id)
          resume(Effect.succeed(message))
        })
        transport.onmessage?.({ jsonrpc: "2.0", id, method, params })
        return Effect.sync(() => {
          waiting.delete(id)
          const cancelled = { method: "notifications/cancelled", params: { requestId: id } }
          transport.onmessage?.({ jsonrpc: "2.0", ...cancelled })
        })
      })

    yield* request("initialize", {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name, version: "1" }
    })
    transport.onmessage?.({ jsonrpc: "2.0", method: "notifications/initialized" })
    return {
      name,
      call: (tool, input = {}) =>
        Effect.map(request("tools/call", { name: tool, arguments: input }), answerOf)
    }
  })
