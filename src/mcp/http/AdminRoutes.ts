/**
 * What operators do to a running server: `POST /admin/PART/VERB` with a JSON object.
 *
 * | path | body |
 * |---|---|
 * | `/admin/breaker/open`, `/admin/breaker/release`, `/admin/breaker/reset` | `{}` |
 * | `/admin/ladder/pin` | `{ "mode": MODE }` |
 * | `/admin/ladder/unpin` | `{}` |
 * | `/admin/warehouse/unlatch` | `{}` |
 * | `/admin/quota/reset` | `{ "client": NAME, "quota"?: QUOTA }` |
 *
 * A page of somebody else's cannot do it in an operator's browser: credentials travel in the `Authorization`
 * header alone, never in a cookie; the body must be JSON, which no form can send; and what says that it
 * comes from a page must come from this server's own.
 *
 * @since 0.1.0
 */
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type { IncomingMessage } from "node:http"
import { Action, Operator } from "../../operate/Operator.js"
import * as Body from "./Body.js"
import type { Edge } from "./Edge.js"
import * as Exchange from "./Exchange.js"
import { fromBody } from "./Refusals.js"
import type { Refusal } from "./Replies.js"
import * as Replies from "./Replies.js"

export interface Options {
  readonly edge: Edge
  /** The state is another one now. */
  readonly changed: Effect.Effect<void>
}

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

/** Not from a page of somebody else's. */
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

const isRecord = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const actionOf = (path: string, body: unknown): Either.Either<Action, Refusal> =>
  isRecord(body) && !("action" in body)
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

export const make = ({ changed, edge }: Options) =>
  Effect.gen(function* () {
    const operator = yield* Operator
    const readBody = Body.make(bodies)
    return Effect.flatMap(HttpRouter.params, ({ part = "", verb = "" }) =>
      Exchange.make(edge, ({ request }) =>
        Effect.gen(function* () {
          yield* fromHere(request)
          const identity = yield* Exchange.administrator(edge, request)
          const path = `${part}/${verb}`
          if (!known.has(path)) return yield* Effect.fail(unknown)
          if (!isJson(request)) return yield* Effect.fail(invalid("Send application/json.", 415))
          const action = yield* actionOf(
            path,
            yield* Effect.mapError(readBody(request, identity.principal.client), fromBody)
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
