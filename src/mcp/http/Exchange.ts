/**
 * What the routes beside `/mcp` have in common: the request as node has it, after the checks of the edge,
 * and refusals as answers.
 *
 * @since 0.1.0
 */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Identity } from "../auth/Auth.js"
import type { Edge } from "./Edge.js"
import type { Refusal, Reply } from "./Replies.js"
import * as Replies from "./Replies.js"

export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

/** Of a request that was meant for this server. */
export const make = (
  edge: Edge,
  answer: (exchange: Exchange) => Effect.Effect<Reply, Refusal>
): Effect.Effect<Reply, never, HttpServerRequest.HttpServerRequest> =>
  Effect.gen(function* () {
    const incoming = yield* HttpServerRequest.HttpServerRequest
    const request = NodeHttpServerRequest.toIncomingMessage(incoming)
    yield* edge.addressed(request)
    return yield* answer({ request, response: NodeHttpServerRequest.toServerResponse(incoming) })
  }).pipe(Effect.catchAll((refusal: Refusal) => Effect.succeed(Replies.refuse(refusal))))

/** Who looks at the server; refused, a person is told what to show. */
export const person = (edge: Edge, request: IncomingMessage): Effect.Effect<Identity, Refusal> =>
  Effect.mapError(edge.identify(request), (refusal) =>
    refusal.status === 401
      ? {
          ...refusal,
          message: `${refusal.message} Use ${edge.signIn.admin}.`,
          data: { sign_in: edge.signIn }
        }
      : refusal
  )

/** Somebody who may operate the server. */
export const administrator = (edge: Edge, request: IncomingMessage): Effect.Effect<Identity, Refusal> =>
  Effect.flatMap(person(edge, request), (identity) =>
    identity.admin ? Effect.succeed(identity) : Effect.fail(edge.notAdmin)
  )
