/**
 * Authentication over HTTP: from a request's credentials to the principal whose limits apply, or a typed
 * refusal. Every request is authenticated; a session gives no rights.
 *
 * Nothing that a client says of itself (session id, client info, headers of its own) takes part: only a
 * credential that is proven, or, without authentication, the fact that it came from this machine.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { isLoopback } from "../../platform/loopback.js"
import type { Principal } from "../../platform/Principal.js"

/**
 * The part of a request that is authenticated.
 *
 * @since 0.1.0
 * @category models
 */
export interface Credentials {
  /** The `Authorization` header as it came. */
  readonly authorization: string | undefined
  /** The address it came from, through trusted proxies alone. */
  readonly address: string
  /**
   * False once the address has been refused too often. Asked before each costly proof: requests that came at once
   * wait for their proofs in one queue.
   */
  readonly mayTry?: (() => boolean) | undefined
}

/**
 * Who a request comes from, once its credentials were checked.
 *
 * @since 0.1.0
 * @category models
 */
export interface Identity {
  readonly principal: Principal
  /**
   * Whose sessions these are. Narrower than the client where several people share one, and different for
   * another tier: a session keeps the limits of the credential that opened it.
   */
  readonly owner: string
  /** May operate the server and read its metrics. */
  readonly admin: boolean
}

/**
 * Why a request has no identity. Texts are ours and never quote a credential.
 *
 * | reason | HTTP |
 * |---|---|
 * | `missing`, `invalid`, `expired` | 401 |
 * | `insufficient-scope` | 403 |
 * | `unavailable`: credentials cannot be checked right now | 503 |
 *
 * @since 0.1.0
 * @category errors
 */
export class AuthRefused extends Schema.TaggedError<AuthRefused>("snowguard/AuthRefused")("AuthRefused", {
  reason: Schema.Literal("missing", "invalid", "expired", "insufficient-scope", "unavailable"),
  description: Schema.String,
  retryAfterMs: Schema.optional(Schema.Number),
  /** What the request needs, of `insufficient-scope`; what every request needs when absent. */
  scope: Schema.optional(Schema.String)
}) {
  override get message(): string {
    return this.description
  }
}

/**
 * The credential of an operator, in words.
 *
 * @since 0.1.0
 * @category models
 */
export interface SignIn {
  readonly credential: "API key" | "access token"
  /** One that may operate the server. */
  readonly admin: string
  /** The scopes that one has, where there are scopes. */
  readonly scope?: string | undefined
}

/**
 * How a person signs in at the status page where callers have API keys.
 *
 * @since 0.1.0
 * @category constants
 */
export const signInWithKey: SignIn = {
  credential: "API key",
  admin: "an API key made with `snowguard keys create NAME --admin`"
}

/**
 * The server must not be started like this.
 *
 * @since 0.1.0
 * @category errors
 */
export class AuthMisconfigured extends Schema.TaggedError<AuthMisconfigured>("snowguard/AuthMisconfigured")(
  "AuthMisconfigured",
  { key: Schema.String, description: Schema.String }
) {
  override get message(): string {
    return this.description
  }
}

/**
 * From the credentials of a request to its principal. Fails with `AuthRefused` alone.
 *
 * @since 0.1.0
 * @category context
 */
export class Authenticator extends Context.Tag("snowguard/Authenticator")<
  Authenticator,
  {
    readonly mode: "none" | "keys" | "oauth"
    /** How callers are told apart right now, for the log; `mode` when absent. */
    readonly about?: Effect.Effect<string>
    /** {@link signInWithKey} when absent. */
    readonly signIn?: SignIn
    /** Why credentials cannot be checked right now; none when they can, or when it was not tried. */
    readonly problem?: Effect.Effect<Option.Option<string>>
    readonly authenticate: (credentials: Credentials) => Effect.Effect<Identity, AuthRefused>
    /**
     * The same for a credential that was proven before, without work that an attacker could cause: it
     * still answers when an address is not allowed any more attempts.
     */
    readonly remembered: (credentials: Credentials) => Effect.Effect<Option.Option<Identity>>
    /** Credentials that are remembered, whether they held or not: bounded. */
    readonly entries?: () => number
    /** `WWW-Authenticate` for a refusal; undefined where credentials are not asked for. */
    readonly challenge: (refused: AuthRefused) => string | undefined
    /** The document at `/.well-known/oauth-protected-resource`, where there is one. */
    readonly resourceMetadata: Option.Option<{ readonly [key: string]: unknown }>
  }
>() {}

/**
 * The token of `Authorization: Bearer TOKEN`.
 *
 * @since 0.1.0
 * @category combinators
 */
export const bearer = ({ authorization }: Credentials): Effect.Effect<string, AuthRefused> => {
  if (authorization === undefined || authorization === "") {
    return new AuthRefused({ reason: "missing", description: "This server asks for a bearer token." })
  }
  const token = /^Bearer +([\x21-\x7e]+) *$/i.exec(authorization)?.[1]
  return token === undefined
    ? new AuthRefused({ reason: "invalid", description: "Expected: Authorization: Bearer TOKEN." })
    : Effect.succeed(token)
}

export {
  /**
   * Without the brackets of an IPv6 address in a URL, and in lower case.
   *
   * @since 0.1.0
   * @category combinators
   */
  bare,
  /**
   * Is this an address that only this machine can reach?
   *
   * @since 0.1.0
   * @category combinators
   */
  isLoopback
} from "../../platform/loopback.js"

/**
 * Fails for an address that other machines can reach: without authentication they would have access.
 *
 * @since 0.1.0
 * @category combinators
 */
export const requireLoopback = (host: string): Effect.Effect<void, AuthMisconfigured> =>
  isLoopback(host)
    ? Effect.void
    : new AuthMisconfigured({
        key: "http.host",
        description:
          `without authentication the server listens on this machine only, and ${JSON.stringify(host)} ` +
          `can be reached from others: make a key (snowguard keys create NAME), set auth.mode to "oauth", ` +
          `or set http.host to "127.0.0.1"`
      })

/**
 * Every caller is the same principal. For a server that only this machine can reach.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerNone = (principal: Principal): Layer.Layer<Authenticator> => {
  const identity: Identity = { principal, owner: "local", admin: true }
  return Layer.succeed(Authenticator, {
    mode: "none",
    about: Effect.succeed("none (loopback only: every caller is the same client)"),
    authenticate: () => Effect.succeed(identity),
    remembered: () => Effect.succeedSome(identity),
    challenge: () => undefined,
    resourceMetadata: Option.none()
  })
}
