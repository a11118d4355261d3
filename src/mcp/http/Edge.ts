/**
 * The checks of a request before its body is read: it was meant for this server, its address is not guessing
 * credentials, it is authenticated, and its client is not flooding. And the log of what is refused there.
 *
 * The limits here are against floods, far above the rate of a working client. What a client may do is decided
 * behind it, call by call.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { IncomingMessage } from "node:http"
import * as Auth from "../auth/Auth.js"
import * as Floods from "../core/Floods.js"
import * as RepeatedLog from "../../observe/repeatedLog.js"
import { monotonicReader } from "../../platform/monotonic.js"
import * as Address from "./Address.js"
import * as Metrics from "./Metrics.js"
import * as Replies from "./Replies.js"
import type { Refusal } from "./Replies.js"

export interface Options {
  readonly host: string
  readonly allowedHosts: ReadonlyArray<string>
  readonly allowedOrigins: ReadonlyArray<string>
  readonly trustedProxies: ReadonlyArray<string>
  /** Refused credentials of one address: at once, and per second after that. */
  readonly failures: { readonly burst: number; readonly ratePerSecond: number }
  /** Requests of one client, whatever they ask for: at once, and per second after that. */
  readonly requests: { readonly burst: number; readonly ratePerSecond: number }
  /** Bytes of the bodies of one client: at once, and per second after that. */
  readonly bytes: { readonly burst: number; readonly ratePerSecond: number }
  /** Told the address of each refused credential, and never the credential. */
  readonly refused?: ((login: RefusedLogin) => Effect.Effect<void>) | undefined
}

export interface RefusedLogin {
  readonly address: string
  /** A reason of `AuthRefused`, or `too-many`: not looked at any more. */
  readonly reason: string
}

/** An event at the edge that costs other clients; equal ones are logged together. */
interface Happening {
  readonly message: string
  readonly client: string | undefined
}

export interface EdgeLog {
  readonly told: (happening: Happening) => Effect.Effect<void>
  /** A credential was refused, or a request came without one. */
  readonly refused: (login: RefusedLogin) => Effect.Effect<void>
}

/** Kinds of happenings that are kept apart. */
const MAX_KINDS = 1_000

/** Addresses and reasons that are kept apart: a client with many addresses must not fill the log. */
const MAX_LOGINS = 100

export const makeLog: Effect.Effect<EdgeLog, never, Scope.Scope> = Effect.gen(function* () {
  const told = yield* RepeatedLog.make<Happening>({
    maxKinds: MAX_KINDS,
    line: (happening, times) =>
      Effect.annotateLogs(Effect.logWarning(happening?.message ?? "more of the kind"), {
        client: happening?.client,
        times
      })
  })
  const refused = yield* RepeatedLog.make<RefusedLogin>({
    maxKinds: MAX_LOGINS,
    line: (login, times) =>
      login === undefined
        ? Effect.annotateLogs(Effect.logWarning("credentials refused from more addresses"), { times })
        : Effect.annotateLogs(
            // Clients that follow the protocol first ask without a credential, to be told where a token comes from.
            login.reason === "missing"
              ? Effect.logInfo("a request came without credentials")
              : Effect.logWarning("credentials refused"),
            { ...login, times }
          )
  })
  return {
    told: ({ client, message }) => told({ message, client }),
    refused: ({ address, reason }) => refused({ address, reason })
  }
})

/**
 * Milliseconds that a request of a client which is too fast may wait before it is read: many clients take one
 * that is refused here for a server that is broken.
 */
const PATIENCE_MS = 5_000

/** Milliseconds until it is refused; at once, some would ask again at once. */
const REFUSAL_MS = 1_000

/** Addresses that are remembered for their refused credentials. */
const MAX_ADDRESSES = 10_000

/** Clients whose requests are counted one by one; they are known, so they are few. */
const MAX_CLIENTS = 100_000

export interface Edge {
  /** Was it sent to a name of this server, from an allowed origin? */
  readonly addressed: (request: IncomingMessage) => Either.Either<void, Refusal>
  /** Headers with which a page of the request's origin may read the answer; none for a client that is no page. */
  readonly crossOrigin: (request: IncomingMessage) => { readonly [name: string]: string }
  readonly identify: (request: IncomingMessage) => Effect.Effect<Auth.Identity, Refusal>
  /** The credential of an operator, in words. */
  readonly signIn: Auth.SignIn
  /** For a caller that is authenticated and may not operate the server. */
  readonly notAdmin: Refusal
  /** Bytes that a body turned out to have, of which its headers did not say. */
  readonly unannounced: (client: string, bytes: number) => void
  /** Addresses that are remembered for their refused credentials. */
  readonly remembered: () => number
}

/** What clients of the protocol's revisions send beside what a page may send anyway. */
const requestHeaders = [
  ...["authorization", "content-type", "accept"],
  ...["mcp-session-id", "mcp-protocol-version", "mcp-method", "mcp-name", "last-event-id"],
  ...["traceparent", "tracestate", "baggage"]
].join(", ")

const exposedHeaders = "mcp-session-id, www-authenticate, retry-after, ratelimit, ratelimit-policy"

const single = (value: string | ReadonlyArray<string> | undefined): string | undefined =>
  typeof value === "string" ? value : value?.join(",")

export const make = (options: Options): Effect.Effect<Edge, never, Auth.Authenticator> =>
  Effect.gen(function* () {
    const authenticator = yield* Auth.Authenticator
    const monotonic = yield* monotonicReader
    const isTrusted = Address.matcher(options.trustedProxies)
    const onLoopback = Auth.isLoopback(options.host)
    const names = Address.names(options.host, {
      hosts: options.allowedHosts,
      origins: options.allowedOrigins
    })
    const failures = Floods.make({ maxKeys: MAX_ADDRESSES, ...options.failures })
    const requests = Floods.make({ maxKeys: MAX_CLIENTS, ...options.requests })
    const bytes = Floods.make({ maxKeys: MAX_CLIENTS, ...options.bytes })

    const { signIn = Auth.signInWithKey } = authenticator
    const lacksScope =
      signIn.scope === undefined
        ? undefined
        : authenticator.challenge(
            new Auth.AuthRefused({
              reason: "insufficient-scope",
              description: `This needs the scopes ${signIn.scope}.`,
              scope: signIn.scope
            })
          )
    const told = (address: string, reason: string) => options.refused?.({ address, reason }) ?? Effect.void

    const flooding = (
      reason: "failed-logins" | "requests" | "bytes",
      message: string,
      { options: { burst, ratePerSecond } }: Floods.Floods,
      waitMs: number
    ): Refusal => ({
      status: 429,
      reason,
      message,
      retryAfterMs: waitMs,
      headers: Replies.rateLimit({
        name: reason,
        quota: burst,
        ...(reason === "bytes" ? { unit: "content-bytes" } : {}),
        windowSeconds: Math.max(1, Math.ceil(burst / ratePerSecond)),
        remaining: 0,
        resetMs: waitMs
      })
    })

    const tooFast = (
      reason: "requests" | "bytes",
      floods: Floods.Floods,
      now: number,
      client: string,
      cost: number
    ): Effect.Effect<never, Refusal> => {
      const { ratePerSecond } = floods.options
      const message = `This client sends more than ${ratePerSecond} ${reason} per second; the request was not read.`
      const refused = flooding(reason, message, floods, Floods.waitMs(floods, now, client, cost))
      return Effect.delay(Effect.fail(refused), REFUSAL_MS)
    }

    /** Delays an authenticated client to the pace of its requests and bytes, or refuses it. */
    const paced = (identity: Auth.Identity, length: number): Effect.Effect<Auth.Identity, Refusal> => {
      const now = monotonic()
      const { client } = identity.principal
      const first = Floods.reserve(requests, now, client, 1, PATIENCE_MS)
      if (first === undefined) return tooFast("requests", requests, now, client, 1)
      const second = length === 0 ? 0 : Floods.reserve(bytes, now, client, length, PATIENCE_MS)
      if (second === undefined) return tooFast("bytes", bytes, now, client, length)
      const wait = Math.max(first, second)
      return wait === 0 ? Effect.succeed(identity) : Effect.delay(Effect.succeed(identity), wait)
    }

    /** The credentials held, whatever becomes of the request. */
    const held = (identity: Auth.Identity, length: number): Effect.Effect<Auth.Identity, Refusal> => {
      Metrics.authenticated("ok")
      return paced(identity, length)
    }

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
      signIn,
      notAdmin: {
        status: 403,
        reason: "not-admin",
        message: `This is for administrators: use ${signIn.admin}.`,
        data: { sign_in: signIn },
        ...(lacksScope === undefined ? {} : { headers: { "www-authenticate": lacksScope } })
      },
      remembered: () => failures.fullAt.size,
      unannounced: (client, length) => {
        // It was read already: what comes next waits for it, however long.
        Floods.reserve(bytes, monotonic(), client, length, Infinity)
      },
      addressed: ({ headers, rawHeaders }) => {
        if (!Address.isSingle(rawHeaders, "host")) {
          return Either.left({ status: 400, reason: "host", message: "There is more than one host." })
        }
        if (!Address.isSingle(rawHeaders, "authorization")) {
          return Either.left({
            status: 400,
            reason: "malformed",
            message: "There is more than one credential."
          })
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
              "access-control-expose-headers": exposedHeaders,
              vary: "origin",
              ...(method === "OPTIONS"
                ? {
                    "access-control-allow-methods": "GET, POST, DELETE",
                    "access-control-allow-headers": requestHeaders,
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
        const length = Number(request.headers["content-length"] ?? 0)
        const credentials: Auth.Credentials = {
          authorization: request.headers.authorization,
          address,
          mayTry: () => Floods.waitMs(failures, monotonic(), block) === 0
        }
        return Effect.suspend(() => {
          const now = monotonic()
          const wait = Floods.waitMs(failures, now, block)
          if (wait === 0) {
            return Effect.matchEffect(authenticator.authenticate(credentials), {
              onSuccess: (identity) => held(identity, length),
              onFailure: (refused) => {
                Metrics.authenticated(refused.reason)
                if (refused.reason !== "unavailable" && refused.reason !== "insufficient-scope") {
                  Floods.charge(failures, monotonic(), block)
                }
                // Where the authorization server cannot be asked, the log says so once for all.
                const line = refused.reason === "unavailable" ? Effect.void : told(address, refused.reason)
                return Effect.zipRight(line, Effect.fail(refusal(refused)))
              }
            })
          }
          // Another client behind the same address guesses; credentials that were verified before still pass.
          return Effect.flatMap(
            authenticator.remembered(credentials),
            Option.match({
              onSome: (identity) => held(identity, length),
              onNone: () => {
                Metrics.authenticated("failed-logins")
                return Effect.zipRight(
                  told(address, "too-many"),
                  Effect.fail(
                    flooding(
                      "failed-logins",
                      "Too many refused credentials from this address.",
                      failures,
                      wait
                    )
                  )
                )
              }
            })
          )
        })
      }
    }
  })
