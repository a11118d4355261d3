/**
 * What a request has to pass before anybody reads its body: it was meant for this server, its address is
 * not guessing credentials, and it says who is calling.
 *
 * The limits here are against floods, far above what a client that works ever meets. What a client may do
 * is decided behind it, call by call.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type { IncomingMessage } from "node:http"
import * as Floods from "../../core/Floods.js"
import { unsafeMonotonicMillis } from "../../internal/monotonic.js"
import * as Auth from "../Auth.js"
import * as Address from "./Address.js"
import type { Refusal } from "./Replies.js"
import * as Replies from "./Replies.js"

export interface Options {
  readonly host: string
  readonly allowedHosts: ReadonlyArray<string>
  readonly allowedOrigins: ReadonlyArray<string>
  readonly trustedProxies: ReadonlyArray<string>
  /** Refused credentials of one address: at once, and per second after that. */
  readonly failures: { readonly burst: number; readonly ratePerSecond: number }
}

/** Addresses that are remembered for their refused credentials. */
const MAX_ADDRESSES = 10_000

export interface Edge {
  /** Is it meant for this server? */
  readonly addressed: (request: IncomingMessage) => Either.Either<void, Refusal>
  /** Headers with which a page of the request's origin may read the answer; none for who is no page. */
  readonly crossOrigin: (request: IncomingMessage) => { readonly [name: string]: string }
  readonly identify: (request: IncomingMessage) => Effect.Effect<Auth.Identity, Refusal>
  /** Addresses that are remembered for their refused credentials. */
  readonly remembered: () => number
}

const single = (value: string | ReadonlyArray<string> | undefined): string | undefined =>
  typeof value === "string" ? value : value?.join(",")

export const make = (options: Options): Effect.Effect<Edge, never, Auth.Authenticator> =>
  Effect.gen(function* () {
    const authenticator = yield* Auth.Authenticator
    const clock = yield* Effect.clock
    const isTrusted = Address.matcher(options.trustedProxies)
    const onLoopback = Auth.isLoopback(options.host)
    const names = Address.names(options.host, {
      hosts: options.allowedHosts,
      origins: options.allowedOrigins
    })
    const { burst, ratePerSecond } = options.failures
    const floods = Floods.make({ maxAddresses: MAX_ADDRESSES, burst, ratePerSecond })

    const limits = (remaining: number, resetMs: number) =>
      Replies.rateLimit({
        name: "failed-logins",
        quota: burst,
        windowSeconds: Math.max(1, Math.ceil(burst / ratePerSecond)),
        remaining,
        resetMs
      })

    const refusal = (refused: Auth.AuthRefused): Refusal => {
      const challenge = authenticator.challenge(refused)
      const headers = challenge === undefined ? {} : { "www-authenticate": challenge }
      switch (refused.reason) {
        case "unavailable":
          return {
            status: 503,
            reason: "auth-unavailable",
            message: refused.description,
            retryAfterMs: refused.retryAfterMs ?? 1_000
          }
        case "insufficient-scope":
          return { status: 403, reason: refused.reason, message: refused.description, headers }
        default:
          return { status: 401, reason: `auth-${refused.reason}`, message: refused.description, headers }
      }
    }

    return {
      remembered: () => floods.fullAt.size,
      addressed: ({ headers, rawHeaders }) => {
        if (!Address.hasOneHost(rawHeaders)) {
          return Either.left({ status: 400, reason: "host", message: "There is more than one host." })
        }
        if (!Address.allowsHost(names, headers.host)) {
          return Either.left({
            status: 403,
            reason: "host",
            message: "This server is not called by this name (http.allowed_hosts)."
          })
        }
        return Address.allowsOrigin(names, headers.origin, onLoopback)
          ? Either.void
          : Either.left({
              status: 403,
              reason: "origin",
              message: "Pages of this origin may not call this server (http.allowed_origins)."
            })
      },
      crossOrigin: ({ headers: { origin }, method }) =>
        origin === undefined
          ? {}
          : {
              "access-control-allow-origin": origin,
              "access-control-expose-headers":
                "mcp-session-id, www-authenticate, retry-after, ratelimit, ratelimit-policy",
              vary: "origin",
              ...(method === "OPTIONS"
                ? {
                    "access-control-allow-methods": "POST, DELETE",
                    "access-control-allow-headers":
                      "authorization, content-type, accept, mcp-session-id, mcp-protocol-version, last-event-id",
                    "access-control-max-age": "600"
                  }
                : {})
            },
      identify: (request) => {
        const address = Address.client(
          request.socket.remoteAddress ?? "",
          single(request.headers["x-forwarded-for"]),
          isTrusted
        )
        const block = Address.block(address)
        const credentials: Auth.Credentials = { authorization: request.headers.authorization, address }
        return Effect.suspend(() => {
          const now = unsafeMonotonicMillis(clock)
          const wait = Floods.waitMs(floods, now, block)
          if (wait === 0) {
            return Effect.mapError(authenticator.authenticate(credentials), (refused): Refusal => {
              if (refused.reason === "unavailable" || refused.reason === "insufficient-scope") {
                return refusal(refused)
              }
              const at = unsafeMonotonicMillis(clock)
              Floods.charge(floods, at, block)
              return refusal(refused)
            })
          }
          // Somebody behind the same address guesses; whoever has been proven is not made to pay for it.
          return Effect.flatMap(
            authenticator.remembered(credentials),
            Option.match({
              onSome: (identity) => Effect.succeed(identity),
              onNone: () =>
                Effect.fail<Refusal>({
                  status: 429,
                  reason: "failed-logins",
                  message: "Too many refused credentials from this address.",
                  retryAfterMs: wait,
                  headers: limits(0, wait)
                })
            })
          )
        })
      }
    }
  })
