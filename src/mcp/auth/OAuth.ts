/**
 * OAuth 2.1 resource server: access tokens (JWT) of an authorization server that the operator names.
 *
 * A token counts if that server signed it, with an asymmetric algorithm from the list, for this very
 * resource (audience), it is in its time, and it has the scopes. It is never passed on. Clients find the
 * authorization server by the metadata document (RFC 9728) that every refusal points to.
 *
 * The issuer's keys are fetched in the background: the server starts without them, and says what is wrong.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import type { JWTPayload } from "jose"
import { createHash } from "node:crypto"
import * as Lru from "../../platform/core/Lru.js"
import { isSafe } from "../../platform/loopback.js"
import * as Principal from "../../platform/Principal.js"
import { namePattern } from "../../platform/Principal.js"
import type { Credentials, Identity } from "./Auth.js"
import { AuthMisconfigured, Authenticator, AuthRefused, bearer } from "./Auth.js"
import * as Proven from "./Proven.js"
import * as SigningKeys from "./SigningKeys.js"

/**
 * Which authorization server is believed, what tokens must be for, and how clients and tiers are read from them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Exactly as in the tokens' `iss`. */
  readonly issuer: string
  /** The URL of `/mcp` as clients know it. */
  readonly resource: string
  /** What tokens must be for; the resource when absent. */
  readonly audience?: string | undefined
  /** Found through the issuer (RFC 8414, OpenID Connect Discovery) when absent. */
  readonly jwksUrl?: string | undefined
  readonly algorithms: ReadonlyArray<string>
  /** All of them are needed. */
  readonly scopes: ReadonlyArray<string>
  /** The scope of tokens that may operate the server. */
  readonly adminScope: string
  /** Claim that says whose limits apply. */
  readonly clientClaim: string
  /** Claim that names the tier, or several of which the first that is configured counts. */
  readonly tierClaim?: string | undefined
  /** The tier that the settings give a client. */
  readonly tierOf: (client: string) => string
  /** Is there a tier of this name? Of a token's tiers the first that is there counts. */
  readonly isTier: (tier: string) => boolean
  /** Keep the newest token of each caller in memory, to be exchanged for one that acts as the caller. */
  readonly keepTokens?: boolean | undefined
  readonly fetchTimeoutMs?: number | undefined
  readonly fetchCooldownMs?: number | undefined
  /** Milliseconds after a failed fetch of the keys in which no other is made. */
  readonly fetchRetryMs?: number | undefined
}

/**
 * All asymmetric: with a symmetric one, a server that can check a token can also make one.
 *
 * @since 0.1.0
 * @category constants
 */
export const algorithms: ReadonlyArray<string> = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
]

/** Accepted difference of the clocks of two machines. */
const CLOCK_TOLERANCE_S = 5

const REMEMBERED = 10_000

/** Milliseconds after a failed fetch of the keys in which no other is made. */
const UNAVAILABLE_MS = 5_000

const texts = (value: unknown): ReadonlyArray<string> =>
  typeof value === "string"
    ? value.split(" ").filter((part) => part !== "")
    : Array.isArray(value)
      ? value.filter((part) => typeof part === "string")
      : []

/** The claim as a client's name; what is no name becomes one that stands for it alone. */
const clientOf = (value: unknown): string | undefined => {
  if (typeof value !== "string" || value === "") return undefined
  // A derived name must not be one that a user can obtain from the issuer.
  return namePattern.test(value) && !value.startsWith("oauth-")
    ? value
    : `oauth-${createHash("sha256").update(value).digest("hex").slice(0, 40)}`
}

const codeOf = (error: unknown): string => (Predicate.hasProperty(error, "code") ? String(error.code) : "")

/** Is the token at fault, or the source of the keys? Texts name a claim, never its value. */
const fromJose = (error: unknown): AuthRefused => {
  if (error instanceof SigningKeys.KeyNotFetched) {
    return new AuthRefused({
      reason: "unavailable",
      description: "The key of the access token is not known yet; the keys are fetched again in a while.",
      retryAfterMs: error.retryAfterMs
    })
  }
  switch (codeOf(error)) {
    case "ERR_JWT_EXPIRED":
      return new AuthRefused({ reason: "expired", description: "The access token has expired." })
    case "ERR_JWT_CLAIM_VALIDATION_FAILED": {
      const claim = Predicate.hasProperty(error, "claim") ? String(error.claim) : ""
      const what = ["iss", "aud", "nbf", "iat", "exp", "sub"].includes(claim) ? claim : "a claim"
      return new AuthRefused({
        reason: "invalid",
        description: `The access token is not for this server (${what}).`
      })
    }
    case "ERR_JWKS_NO_MATCHING_KEY":
    case "ERR_JWKS_MULTIPLE_MATCHING_KEYS":
    case "ERR_JWS_SIGNATURE_VERIFICATION_FAILED":
    case "ERR_JWS_INVALID":
    case "ERR_JWT_INVALID":
    case "ERR_JOSE_ALG_NOT_ALLOWED":
    case "ERR_JOSE_NOT_SUPPORTED":
      return new AuthRefused({ reason: "invalid", description: "The access token is not valid." })
    default:
      // The keys cannot be fetched: no credential is at fault.
      return new AuthRefused({
        reason: "unavailable",
        description: "The keys of the authorization server cannot be fetched right now.",
        retryAfterMs: UNAVAILABLE_MS
      })
  }
}

const url = (key: string, value: string): Effect.Effect<URL, AuthMisconfigured> => {
  const parsed = URL.canParse(value) ? new URL(value) : undefined
  return parsed !== undefined && (parsed.protocol === "https:" || parsed.protocol === "http:")
    ? Effect.succeed(parsed)
    : new AuthMisconfigured({ key, description: `${key}: expected an http(s) URL` })
}

/**
 * Checks access tokens; fails with `AuthMisconfigured` where a URL or a claim cannot be used.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options) =>
  Effect.gen(function* () {
    const resource = yield* url("auth.resource", options.resource)
    const issuer = yield* url("auth.issuer", options.issuer)
    const jwksUrl = options.jwksUrl === undefined ? undefined : yield* url("auth.jwks_url", options.jwksUrl)
    if (jwksUrl === undefined && !isSafe(issuer.href)) {
      return yield* new AuthMisconfigured({
        key: "auth.jwks_url",
        description:
          "auth.jwks_url is not set, and keys are only looked for at an https issuer: what comes over http " +
          "may be changed on the way"
      })
    }
    const allowed = options.algorithms.length === 0 ? algorithms : options.algorithms
    if (!allowed.every((algorithm) => algorithms.includes(algorithm))) {
      return yield* new AuthMisconfigured({
        key: "auth.algorithms",
        description: `auth.algorithms: expected some of ${algorithms.join(", ")}`
      })
    }
    const jose = yield* Effect.promise(() => import("jose"))
    const { keys, problem } = yield* SigningKeys.make({
      issuer: options.issuer,
      jwksUrl,
      timeoutMs: options.fetchTimeoutMs ?? 5_000,
      cooldownMs: options.fetchCooldownMs ?? 30_000,
      retryMs: options.fetchRetryMs ?? UNAVAILABLE_MS
    })
    /** Of each caller the one that ends last, while it is in its time or another one comes. */
    const newest = Lru.make<{ readonly token: Redacted.Redacted<string>; readonly expiresMs: number }>({
      maxEntries: REMEMBERED,
      maxBytes: REMEMBERED
    })
    const subjectOf = (payload: JWTPayload, token: string): Principal.Subject | undefined => {
      if (options.keepTokens !== true) return undefined
      const id = JSON.stringify([payload.iss, payload.sub])
      const own = Redacted.make(token)
      const expiresMs = (payload.exp ?? 0) * 1000
      const known = Lru.get(newest, id)
      if (known === undefined || known.expiresMs <= expiresMs)
        Lru.set(newest, id, { token: own, expiresMs }, 1)
      return {
        id,
        name: String(payload[options.clientClaim] ?? payload.sub),
        token: Effect.sync(() => Lru.get(newest, id)?.token ?? own)
      }
    }

    const proven = Proven.make<{ readonly identity: Identity; readonly expiresMs: number }>(REMEMBERED)

    const identityOf = (payload: JWTPayload, token: string): Effect.Effect<Identity, AuthRefused> => {
      const granted = [...texts(payload["scope"]), ...texts(payload["scp"])]
      const lacking = options.scopes.filter((scope) => !granted.includes(scope))
      if (lacking.length > 0) {
        return new AuthRefused({
          reason: "insufficient-scope",
          description: `The access token lacks the scope ${lacking.join(" ")}.`
        })
      }
      const client = clientOf(payload[options.clientClaim])
      if (client === undefined) {
        return new AuthRefused({
          reason: "invalid",
          description: `The access token names no client (${options.clientClaim}).`
        })
      }
      const named = options.tierClaim === undefined ? [] : texts(payload[options.tierClaim])
      const ofToken = named.find(options.isTier)
      const ofClient = options.tierOf(client)
      const tier = ofToken ?? (options.isTier(ofClient) ? ofClient : "default")
      const principal = Principal.make(client, tier, subjectOf(payload, token))
      return Effect.succeed({
        principal: ofToken === undefined ? { ...principal, assigned: true } : principal,
        // Several people may share a client; their sessions are their own.
        owner: `oauth:${JSON.stringify([tier, client, payload.iss, payload.sub])}`,
        admin: granted.includes(options.adminScope)
      })
    }

    /** Proven before and still in its time. */
    const recall = (token: string) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const found = proven.get(token)
        return found !== undefined && now < found.expiresMs ? found.identity : undefined
      })

    const metadataUrl = `${resource.origin}/.well-known/oauth-protected-resource${resource.pathname === "/" ? "" : resource.pathname}`
    const scopes = options.scopes.join(" ")
    const adminScopes = [...new Set([...options.scopes, options.adminScope])]

    return Authenticator.of({
      mode: "oauth",
      about: Effect.succeed(`oauth (access tokens of ${options.issuer})`),
      signIn: {
        credential: "access token",
        admin: `an access token with the ${adminScopes.length === 1 ? "scope" : "scopes"} ${adminScopes.join(" ")}`,
        scope: adminScopes.join(" ")
      },
      problem,
      authenticate: (credentials: Credentials) =>
        Effect.gen(function* () {
          const token = yield* bearer(credentials)
          const known = yield* recall(token)
          if (known !== undefined) return known
          const now = yield* Clock.currentTimeMillis
          const { payload } = yield* Effect.tryPromise({
            try: () =>
              jose.jwtVerify(token, keys, {
                issuer: options.issuer,
                audience: options.audience ?? options.resource,
                algorithms: [...allowed],
                clockTolerance: CLOCK_TOLERANCE_S,
                currentDate: new Date(now),
                requiredClaims: ["exp", "sub"]
              }),
            catch: fromJose
          })
          const identity = yield* identityOf(payload, token)
          proven.set(token, { identity, expiresMs: (payload.exp ?? 0) * 1000 })
          return identity
        }),
      remembered: (credentials) =>
        bearer(credentials).pipe(
          Effect.flatMap(recall),
          Effect.option,
          Effect.map(Option.flatMapNullable((found) => found))
        ),
      entries: proven.size,
      challenge: ({ description, reason, scope = scopes }) => {
        const error =
          reason === "missing"
            ? ""
            : `, error="${reason === "insufficient-scope" ? "insufficient_scope" : "invalid_token"}", error_description="${description.replaceAll(/["\\]/g, "'")}"`
        return `Bearer resource_metadata="${metadataUrl}"${error}${scope === "" ? "" : `, scope="${scope}"`}`
      },
      resourceMetadata: Option.some({
        resource: options.resource,
        authorization_servers: [options.issuer],
        bearer_methods_supported: ["header"],
        resource_name: "Snowguard",
        ...(options.scopes.length === 0 ? {} : { scopes_supported: options.scopes })
      })
    })
  })

/**
 * Checks access tokens; fails with `AuthMisconfigured` where a URL or a claim cannot be used.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<Authenticator, AuthMisconfigured> =>
  Layer.scoped(Authenticator, make(options))
