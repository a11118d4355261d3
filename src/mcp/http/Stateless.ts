/**
 * The 2026 era over HTTP: every request stands for itself, so any server answers any request, and nothing is kept
 * between two of them. One connection to the MCP server carries them all, of all clients.
 *
 * ```
 *   message + headers --> names no revision of this era: 2025, a session's
 *                     --> headers and body do not agree, no envelope, an unknown revision: refused, nothing is charged
 *                     --> 2026: answered on its response; a client that leaves cancels its call
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { IncomingHttpHeaders } from "node:http"
import * as FairTurns from "../../platform/fairTurns.js"
import { McpServer } from "../McpServer.js"
import * as Observed from "../Observed.js"
import * as Protocol from "../Protocol.js"
import type * as JsonRpc from "../JsonRpc.js"
import type { Refusal } from "./Replies.js"
import { SessionTransport } from "./SessionTransport.js"

export interface Stateless {
  /** Of which era a message is, or why it is not served. */
  readonly era: (
    headers: IncomingHttpHeaders,
    message: JsonRpc.Message
  ) => Effect.Effect<Protocol.Era, Refusal>
  /** Opened with the first request. */
  readonly transport: Effect.Effect<SessionTransport>
}

const one = (header: string | ReadonlyArray<string> | undefined): string | undefined =>
  typeof header === "string" ? header : header?.join(",")

export const make = (turns: FairTurns.FairTurns): Effect.Effect<Stateless, never, McpServer | Scope.Scope> =>
  Effect.gen(function* () {
    const server = yield* McpServer
    const scope = yield* Scope.Scope
    const transport = yield* Effect.cached(
      Effect.gen(function* () {
        const transport = new SessionTransport({ sessionId: undefined, turn: turns.run })
        const observed = yield* Observed.make(transport, { via: "tcp", tools: server.tools })
        const callerOf = (id: Protocol.RequestId) => {
          const principal = transport.principalOf(id)
          return { principal, within: FairTurns.of(turns, principal.client) }
        }
        yield* server.connect(observed, callerOf, "2026")
        return transport
      }).pipe(Scope.extend(scope), Effect.uninterruptible)
    )
    return {
      transport,
      era: (headers, { id, value }) => {
        const revision = one(headers["mcp-protocol-version"])?.trim()
        // The SDK of an era is loaded for its requests alone.
        if (!Protocol.isModern(revision) && Protocol.claimOf(value) === undefined)
          return Effect.succeed("2025")
        return Effect.flatMap(
          Effect.promise(() => import("../Sdk2.js")),
          ({ admit }) => {
            const method = one(headers["mcp-method"])
            const name = one(headers["mcp-name"])
            const era = admit(value, { revision, method, name })
            return typeof era === "string"
              ? Effect.succeed(era)
              : Effect.fail({ ...era, reason: "modern", id } satisfies Refusal)
          }
        )
      }
    }
  })
