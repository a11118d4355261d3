/**
 * The routes beside `/mcp`: what an operator and an operator's machines see of a running server, and do to it.
 *
 * | path | for | |
 * |---|---|---|
 * | `/healthz`, `/readyz` | all | is it alive, is it ready |
 * | `/metrics` | administrators, or all, or none | the counters, for Prometheus |
 * | `/.well-known/oauth-protected-resource` | all | where clients get a token (RFC 9728) |
 * | `/status` | all | the page; it holds no data of the server |
 * | `/status/data` | callers | now, and the last hour |
 * | `/status/events` | callers | now, every two seconds |
 * | `POST /admin/breaker/open`, `/admin/breaker/release`, `/admin/breaker/reset` | administrators | `{}` |
 * | `POST /admin/ladder/pin` | administrators | `{ "mode": MODE }` |
 * | `POST /admin/ladder/unpin` | administrators | `{}` |
 * | `POST /admin/warehouse/unlatch` | administrators | `{ "user"?: NAME }` |
 * | `POST /admin/call/cancel` | administrators | `{ "id": ID }`, as `/status/data` names the call |
 * | `POST /admin/config/reload` | administrators | `{}` |
 * | `POST /admin/quota/reset` | administrators | `{ "client": NAME, "quota"?: QUOTA }` |
 *
 * - Callers that may not administer see totals, and no name of another client.
 * - Watchers are bounded, share one look at the services, and are let go when the server stops. A stream ends by
 *   itself after some minutes: a client that comes back is authenticated again.
 * - A page of another origin cannot administer in an operator's browser: credentials travel in the `Authorization`
 *   header alone, never in a cookie; the body must be JSON, which no form can send; and a request that says that it
 *   comes from a page must come from this server's own.
 *
 * @since 0.1.0
 */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { IncomingMessage, ServerResponse } from "node:http"
import * as Shares from "../core/Shares.js"
import type { Identity } from "../auth/Auth.js"
import { Authenticator } from "../auth/Auth.js"
import * as Page from "../../dashboard/page.js"
import * as Prometheus from "../../observe/prometheus.js"
import type { Snapshot } from "../../operate/Operator.js"
import { totals } from "../../operate/Snapshot.js"
import { Operator, Action } from "../../operate/Operator.js"
import { Reloads } from "../../operate/Reloads.js"
import { Readiness } from "../../operate/Readiness.js"
import { listed } from "../../platform/core/format.js"
import { monotonicMillis } from "../../platform/monotonic.js"
import * as Body from "./Body.js"
import type { Edge } from "./Edge.js"
import * as Metrics from "./Metrics.js"
import * as Replies from "./Replies.js"
import type { Refusal, Reply } from "./Replies.js"
import type { Streams } from "./Responses.js"

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

/** Of a request that was meant for this server: refusals become answers. */
const exchanged = (
  edge: Edge,
  answer: (exchange: Exchange) => Effect.Effect<Reply, Refusal>
): Effect.Effect<Reply, never, HttpServerRequest.HttpServerRequest> =>
  Effect.gen(function* () {
    const incoming = yield* HttpServerRequest.HttpServerRequest
    const request = NodeHttpServerRequest.toIncomingMessage(incoming)
    yield* edge.addressed(request)
    return yield* answer({ request, response: NodeHttpServerRequest.toServerResponse(incoming) })
  }).pipe(Effect.catchAll((refusal: Refusal) => Effect.succeed(Replies.refuse(refusal))))

/** The caller of a page or a status; a refusal says which credential an operator needs. */
const person = (edge: Edge, request: IncomingMessage): Effect.Effect<Identity, Refusal> =>
  Effect.mapError(edge.identify(request), (refusal) =>
    refusal.status === 401
      ? {
          ...refusal,
          message: `${refusal.message} Use ${edge.signIn.admin}.`,
          data: { sign_in: edge.signIn }
        }
      : refusal
  )

/** A caller that may operate the server. */
const administrator = (edge: Edge, request: IncomingMessage): Effect.Effect<Identity, Refusal> =>
  Effect.flatMap(person(edge, request), (identity) =>
    identity.admin ? Effect.succeed(identity) : Effect.fail(edge.notAdmin)
  )

export interface Options {
  readonly edge: Edge
  readonly streams: Streams
  /** `protected`: for administrators; `open`: for all; `off`: not served. */
  readonly metrics: "protected" | "open" | "off"
  /** Without the page there are no events, and its data is for administrators alone. */
  readonly hasPage: boolean
  readonly isDraining: () => boolean
  /** Ends when the server begins to stop. */
  readonly draining: Effect.Effect<void>
}

/** Where RFC 9728 looks for the metadata of a resource; the path of the resource follows. */
const metadataPath = "/.well-known/oauth-protected-resource"

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

/** For every page: the document holds no secret, and a page reads it before it has a credential. */
const forEveryPage = HttpMiddleware.cors({
  allowedMethods: ["GET"],
  allowedHeaders: ["mcp-protocol-version"],
  maxAge: 600
})

const makeMachines = ({ edge, isDraining, metrics }: Options) =>
  Effect.gen(function* () {
    const readiness = yield* Readiness
    const authenticator = yield* Authenticator
    const operator = yield* Operator
    const reloads = yield* Reloads

    const notReady = Effect.map(readiness.problem, (problem) => {
      const reason = isDraining() ? Option.some("the server is shutting down") : problem
      Metrics.ready(Option.isNone(reason))
      return reason
    })

    const ready = Effect.gen(function* () {
      const reason = yield* notReady
      // Another replica would do no better: it is reported, and the server stays ready.
      const auth = yield* authenticator.problem ?? Effect.succeedNone
      const warehouse = yield* readiness.impaired ?? Effect.succeedNone
      const logins = yield* readiness.refusedLogins ?? Effect.succeedNone
      const config = yield* reloads.status
      const found = {
        ...(config === undefined || config.faults.length === 0
          ? {}
          : {
              config: `the settings that were read last are wrong, and those before stay in force: ${listed(
                config.faults.map(({ key }) => key)
              )}`
            }),
        ...(Option.isSome(auth) ? { auth: `no new access token can be checked: ${auth.value}` } : {}),
        ...(Option.isSome(warehouse) ? { warehouse: warehouse.value } : {}),
        ...(Option.isSome(logins) ? { logins: logins.value } : {})
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
        yield* Effect.mapError(administrator(edge, request), (refusal) =>
          refusal.reason === "not-admin"
            ? { ...refusal, message: `${refusal.message} Or set http.metrics to "open".` }
            : refusal
        )
      }
      // As of now: the gauges are only set every few seconds otherwise.
      yield* operator.sampleMetrics
      yield* notReady
      Metrics.remembered("addresses", edge.remembered())
      Metrics.remembered("credentials", authenticator.entries?.() ?? 0)
      const snapshot = yield* Metric.snapshot
      return Replies.text(Prometheus.render(snapshot), Prometheus.contentType)
    }).pipe(Effect.catchAll((refusal: Refusal) => Effect.succeed(Replies.refuse(refusal))))

    return {
      health: Effect.succeed(Replies.document(200, { status: "alive" })),
      ready,
      metrics: scrape,
      resourceMetadata: forEveryPage(
        Effect.map(HttpServerRequest.HttpServerRequest, (incoming): Reply => {
          const path = incoming.url.replace(/\?.*$/, "").replace(/\/$/, "")
          const found = Option.filter(authenticator.resourceMetadata, ({ resource }) =>
            metadataPaths(resource).has(path)
          )
          return Option.match(found, {
            onNone: () => Replies.refuse(Replies.notFound),
            onSome: (document) => Replies.document(200, document)
          })
        })
      ),
      notFound: Effect.sync(() => Replies.refuse(Replies.notFound))
    }
  })

const EVERY_MS = 2_000

/** A snapshot serves all requests within this time. */
const FRESH_MS = 500

const STREAM_LASTS = "10 minutes"

/** At a time, of all and of one caller. */
const MAX_WATCHERS = 64
const MAX_WATCHERS_EACH = 8

const tooMany: Refusal = {
  status: 503,
  reason: "watchers",
  message: `At most ${MAX_WATCHERS} may watch at a time, and ${MAX_WATCHERS_EACH} of one caller.`,
  retryAfterMs: 5_000
}

const pageHeaders = {
  "content-security-policy": [
    "default-src 'self'",
    `script-src '${Page.scriptHash}'`,
    `style-src '${Page.styleHash}'`,
    "img-src data:",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'"
  ].join("; "),
  "cache-control": "no-store",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY"
}

const page = HttpServerResponse.text(Page.html, {
  contentType: "text/html; charset=utf-8",
  headers: pageHeaders
})

const eventHeaders = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  // A proxy that collects them would show old news.
  "x-accel-buffering": "no"
}

/** Counts a watcher until its response is over, however it ends. False: there is no room. */
const watch = (watchers: Shares.Shares, response: ServerResponse, { owner }: Identity): boolean => {
  if (Shares.take(watchers, owner) !== "taken") return false
  if (response.destroyed) Shares.release(watchers, owner)
  else response.once("close", () => Shares.release(watchers, owner))
  return true
}

const seenBy = ({ admin }: Identity, snapshot: Snapshot): Snapshot => (admin ? snapshot : totals(snapshot))

const encoder = new TextEncoder()

const event = (data: object): Uint8Array => encoder.encode(`data: ${JSON.stringify(data)}\n\n`)

const makeStatus = ({ draining, edge, hasPage, streams }: Options) =>
  Effect.gen(function* () {
    const operator = yield* Operator
    const watchers = Shares.make(MAX_WATCHERS, MAX_WATCHERS_EACH)

    let last: { readonly at: number; readonly snapshot: Snapshot } | undefined
    const snapshot = Effect.flatMap(monotonicMillis, (now) =>
      last !== undefined && now - last.at < FRESH_MS
        ? Effect.succeed(last.snapshot)
        : Effect.map(operator.snapshot("all"), (seen): Snapshot => {
            last = { at: now, snapshot: seen }
            return seen
          })
    )

    /** One look for all watchers, and none without watchers. */
    const look = Effect.all([snapshot, operator.history(1)])
    const looks = yield* Stream.repeatEffectWithSchedule(look, Schedule.spaced(EVERY_MS)).pipe(
      Stream.share({ capacity: 1, strategy: "sliding" })
    )

    const data = exchanged(edge, ({ request }) =>
      Effect.gen(function* () {
        const identity = yield* hasPage ? person(edge, request) : administrator(edge, request)
        return Replies.document(200, {
          admin: identity.admin,
          sign_in: edge.signIn,
          now: yield* Clock.currentTimeMillis,
          snapshot: seenBy(identity, yield* snapshot),
          history: yield* operator.history()
        })
      })
    )

    const events = exchanged(edge, ({ request, response }) =>
      Effect.gen(function* () {
        if (!hasPage) return yield* Effect.fail(Replies.notFound)
        const identity = yield* person(edge, request)
        if (!watch(watchers, response, identity)) return yield* Effect.fail(tooMany)
        streams.opened(response, "status", () => {})
        const body = Stream.concat(Stream.fromEffect(look), looks).pipe(
          Stream.map(([look, history]) => event({ snapshot: seenBy(identity, look), history })),
          Stream.interruptAfter(STREAM_LASTS),
          Stream.interruptWhen(draining)
        )
        return HttpServerResponse.stream(body, { contentType: "text/event-stream", headers: eventHeaders })
      })
    )

    return {
      page: exchanged(edge, () => (hasPage ? Effect.succeed(page) : Effect.fail(Replies.notFound))),
      data,
      events,
      /** What was seen is not true any more. */
      changed: Effect.sync(() => {
        last = undefined
      })
    }
  })

const bodies: Body.Options = { maxBytes: 16 * 1024, timeoutMs: 5_000, maxConcurrent: 8, maxEach: 4 }

const decode = Schema.decodeUnknownEither(Action, { onExcessProperty: "error" })

/** The host that a page came from is the host it calls. */
const isSameOrigin = (origin: string, host: string | undefined): boolean => {
  const from = /^https?:\/\/([^/]+)$/i.exec(origin)?.[1]
  return from !== undefined && host !== undefined && from.toLowerCase() === host.toLowerCase()
}

const otherPage: Refusal = {
  status: 403,
  reason: "origin",
  message: "Only this server's own page may do this from a browser."
}

/** Not from a page of another origin. */
const fromHere = ({ headers }: IncomingMessage): Either.Either<void, Refusal> => {
  const site = headers["sec-fetch-site"]
  if (site !== undefined && site !== "same-origin" && site !== "none") return Either.left(otherPage)
  return headers.origin === undefined || isSameOrigin(headers.origin, headers.host)
    ? Either.void
    : Either.left(otherPage)
}

const isJson = ({ headers }: IncomingMessage): boolean =>
  /^application\/json\s*(;|$)/i.test(headers["content-type"] ?? "")

const invalid = (message: string, status = 400): Refusal => ({ status, reason: "invalid-request", message })

const actionOf = (path: string, body: unknown): Either.Either<Action, Refusal> =>
  Predicate.isReadonlyRecord(body) && !("action" in body)
    ? Either.mapLeft(decode({ ...body, action: path }), (error) =>
        invalid(
          ParseResult.ArrayFormatter.formatErrorSync(error)
            .map(({ message, path }) => (path.length === 0 ? message : `${path.join(".")}: ${message}`))
            .join("; ")
        )
      )
    : Either.left(invalid("Expected a JSON object."))

const known: ReadonlySet<string> = new Set(
  Action.members.flatMap((member) => member.fields.action.literals as ReadonlyArray<string>)
)

const unknown: Refusal = { status: 404, reason: "path", message: "There is no such action." }

/** `changed`: the state of the server is another one now. */
const makeAdmin = (edge: Edge, changed: Effect.Effect<void>) =>
  Effect.gen(function* () {
    const operator = yield* Operator
    const readBody = Body.make(bodies)
    return Effect.flatMap(HttpRouter.params, ({ part = "", verb = "" }) =>
      exchanged(edge, ({ request }) =>
        Effect.gen(function* () {
          yield* fromHere(request)
          const identity = yield* administrator(edge, request)
          const path = `${part}/${verb}`
          if (!known.has(path)) return yield* Effect.fail(unknown)
          if (!isJson(request)) return yield* Effect.fail(invalid("Send application/json.", 415))
          const action = yield* actionOf(
            path,
            yield* Effect.mapError(readBody(request, identity.principal.client), Replies.fromBody)
          )
          const done = yield* Effect.mapError(
            operator.act(action, identity.principal),
            ({ description, retryAfterMs }): Refusal => ({
              status: 503,
              reason: "quota-store",
              message: `The quota store: ${description}`,
              retryAfterMs: retryAfterMs ?? 1_000
            })
          )
          yield* changed
          return Replies.document(200, { ...done })
        })
      )
    )
  })

export const make = (options: Options) =>
  Effect.gen(function* () {
    const machines = yield* makeMachines(options)
    const status = yield* makeStatus(options)
    const admin = yield* makeAdmin(options.edge, status.changed)
    return HttpRouter.empty.pipe(
      HttpRouter.get("/healthz", machines.health),
      HttpRouter.get("/readyz", machines.ready),
      HttpRouter.get("/metrics", machines.metrics),
      HttpRouter.get("/status", status.page),
      HttpRouter.get("/status/data", status.data),
      HttpRouter.get("/status/events", status.events),
      HttpRouter.post("/admin/:part/:verb", admin),
      HttpRouter.get(metadataPath, machines.resourceMetadata),
      HttpRouter.get(`${metadataPath}/*`, machines.resourceMetadata),
      HttpRouter.options(metadataPath, machines.resourceMetadata),
      HttpRouter.options(`${metadataPath}/*`, machines.resourceMetadata),
      Effect.catchTag("RouteNotFound", () => machines.notFound)
    )
  })
