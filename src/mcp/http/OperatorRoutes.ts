/**
 * What an operator's machines ask: is it alive, is it ready, what does it count, and where do clients get
 * a token.
 *
 * @since 0.1.0
 */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Prometheus from "../../observe/prometheus.js"
import { Operator } from "../../operate/Operator.js"
import { Readiness } from "../../operate/Readiness.js"
import { Authenticator } from "../auth/Auth.js"
import type { Edge } from "./Edge.js"
import * as Exchange from "./Exchange.js"
import * as Metrics from "./Metrics.js"
import type { Refusal, Reply } from "./Replies.js"
import * as Replies from "./Replies.js"

export interface Options {
  readonly edge: Edge
  readonly isDraining: () => boolean
  /** `protected`: for a caller that may administer; `open`: for everybody; `off`: for nobody. */
  readonly metrics: "protected" | "open" | "off"
}

/** Where RFC 9728 looks for the metadata of a resource; the path of the resource follows. */
export const metadataPath = "/.well-known/oauth-protected-resource"

/**
 * The paths at which the metadata is found: with the resource's path behind it, as clients derive it, and with
 * what is left of that by a proxy that takes a prefix away.
 */
const metadataPaths = (resource: unknown): ReadonlySet<string> => {
  const path = typeof resource === "string" && URL.canParse(resource) ? new URL(resource).pathname : ""
  const parts = path.split("/").filter((part) => part !== "")
  const rests = parts.map((_, i) => `/${parts.slice(i).join("/")}`)
  return new Set(["", "/mcp", ...rests].map((rest) => metadataPath + rest))
}

/** Public, for every page: it holds no secret, and a page reads it before it has a credential. */
const forEveryPage = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "GET",
  "access-control-allow-headers": "mcp-protocol-version",
  "access-control-max-age": "600"
}

export const make = ({ edge, isDraining, metrics }: Options) =>
  Effect.gen(function* () {
    const readiness = yield* Readiness
    const authenticator = yield* Authenticator
    const operator = yield* Operator

    const ready = Effect.gen(function* () {
      const problem = yield* readiness.problem
      const reason = isDraining() ? Option.some("the server is shutting down") : problem
      // What another replica would do no better is told, and no reason to go there.
      const auth = yield* authenticator.problem ?? Effect.succeedNone
      const warehouse = yield* readiness.impaired ?? Effect.succeedNone
      const found = {
        ...(Option.isSome(auth) ? { auth: `no new access token can be checked: ${auth.value}` } : {}),
        ...(Option.isSome(warehouse) ? { warehouse: warehouse.value } : {})
      }
      const details = Object.keys(found).length === 0 ? {} : { details: found }
      return Option.match(reason, {
        onNone: () => Replies.document(200, { status: "ready", ...details }),
        onSome: (reason) => Replies.document(503, { status: "not ready", reason, ...details })
      })
    })

    const scrape = Effect.gen(function* () {
      const request = NodeHttpServerRequest.toIncomingMessage(yield* HttpServerRequest.HttpServerRequest)
      yield* edge.addressed(request)
      if (metrics === "off") return yield* Effect.fail(Replies.notFound)
      if (metrics === "protected") {
        yield* Effect.mapError(Exchange.administrator(edge, request), (refusal) =>
          refusal.reason === "not-admin"
            ? { ...refusal, message: `${refusal.message} Or set http.metrics to "open".` }
            : refusal
        )
      }
      // As of now: the gauges are only set every few seconds otherwise.
      yield* operator.sampleMetrics
      Metrics.remembered("addresses", edge.remembered())
      Metrics.remembered("credentials", authenticator.entries?.() ?? 0)
      const snapshot = yield* Metric.snapshot
      return Replies.text(Prometheus.render(snapshot), Prometheus.contentType)
    }).pipe(Effect.catchAll((refusal: Refusal) => Effect.succeed(Replies.refuse(refusal))))

    return {
      health: Effect.succeed(Replies.document(200, { status: "alive" })),
      ready,
      metrics: scrape,
      resourceMetadata: Effect.map(HttpServerRequest.HttpServerRequest, (incoming): Reply => {
        const { method, url = "" } = NodeHttpServerRequest.toIncomingMessage(incoming)
        const path = url.replace(/\?.*$/, "").replace(/\/$/, "")
        const found = Option.filter(authenticator.resourceMetadata, ({ resource }) =>
          metadataPaths(resource).has(path)
        )
        if (Option.isNone(found)) return Replies.refuse(Replies.notFound)
        const reply =
          method === "OPTIONS"
            ? HttpServerResponse.empty({ status: 204, headers: { allow: "GET" } })
            : Replies.document(200, found.value)
        return HttpServerResponse.setHeaders(reply, forEveryPage)
      }),
      notFound: Effect.sync(() => Replies.refuse(Replies.notFound))
    }
  })
