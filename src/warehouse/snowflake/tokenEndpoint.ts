/**
 * The token endpoint of an authorization server, whatever is asked of it: located by the issuer, asked through the proxy
 * of the environment, and what it says classed by what helps. No error holds a token or a secret.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as OAuth from "oauth4webapi"
import { isLoopback, mayDirectTo } from "../../platform/loopback.js"
import { monotonicMillis } from "../../platform/monotonic.js"
import * as Outbound from "../../platform/outbound.js"

/** A token that was given out. */
export interface Kept {
  readonly token: Redacted.Redacted<string>
  /** Monotonic milliseconds. */
  readonly renewAt: number
  readonly endsAt: number
}

interface Granted extends Kept {
  readonly refresh: Redacted.Redacted<string> | undefined
}

/**
 * | kind | what it is about |
 * |---|---|
 * | `slow`, `down`, `malformed` | the endpoint; it passes |
 * | `rate-limited` | it passes with the pause that is named |
 * | `refused` | the user, or the token that was shown |
 * | `scope` | the role, the scope or the audience that is asked for |
 * | `client` | this server as a client: its credential or its grant |
 */
export const kinds = ["slow", "down", "malformed", "rate-limited", "refused", "scope", "client"] as const

type Kind = (typeof kinds)[number]

export class TokenFailed extends Schema.TaggedError<TokenFailed>("snowguard/TokenFailed")("TokenFailed", {
  kind: Schema.Literal(...kinds),
  /** What the endpoint does, as the rest of a sentence; of a refusal the code and the endpoint's own words. */
  said: Schema.String,
  /** The endpoint's own word for it. */
  code: Schema.optional(Schema.String),
  retryAfterMs: Schema.optional(Schema.Number)
}) {
  override get message(): string {
    return this.said
  }
}

const failed = (kind: Kind, said: string): TokenFailed => new TokenFailed({ kind, said })

const malformed = failed("malformed", "gave no token that can be used")

/** The codes of RFC 6749, 8693 and 9396; every other one refuses the user or the token. */
const kindOf: { readonly [code: string]: Kind | undefined } = {
  invalid_client: "client",
  unauthorized_client: "client",
  unsupported_grant_type: "client",
  unsupported_response_type: "client",
  invalid_request: "client",
  invalid_scope: "scope",
  invalid_target: "scope",
  invalid_authorization_details: "scope",
  temporarily_unavailable: "down",
  server_error: "down",
  slow_down: "rate-limited"
}

const MAX_TEXT = 300

/** The endpoint's own words, on one line; it may quote what it was sent. */
const quote = (text: string | undefined, secrets: ReadonlyArray<string>): string => {
  if (text === undefined) return ""
  const plain = secrets
    .reduce((left, secret) => (secret === "" ? left : left.replaceAll(secret, "***")), text)
    // A token that is quoted in another form.
    .replaceAll(/[A-Za-z0-9_-]{40,}/g, "***")
    .replaceAll(/[\p{Cc}\s]+/gu, " ")
    .trim()
  return plain === "" ? "" : `: ${plain.length > MAX_TEXT ? `${plain.slice(0, MAX_TEXT)}…` : plain}`
}

/** An error of OAuth, of the endpoint or of a redirect. */
export const refusal = (
  error: string,
  description: string | undefined,
  secrets: ReadonlyArray<string>
): TokenFailed => {
  const code = /^[\w.-]{1,80}$/.test(error) ? error : "an error"
  const quoted = `${code}${quote(description, secrets)}`
  const kind = Object.hasOwn(kindOf, code) ? (kindOf[code] ?? "refused") : "refused"
  const said =
    kind === "down"
      ? `cannot answer now (${quoted})`
      : kind === "rate-limited"
        ? `asks for fewer requests (${quoted})`
        : quoted
  return new TokenFailed({ kind, said, code })
}

/** A pause that the endpoint asks for without saying how long, and the longest that it can ask for, milliseconds. */
export const UNTOLD_PAUSE_MS = 5_000
const LONGEST_ASKED_MS = 300_000

const retryAfter = (header: string | null): number => {
  const seconds = Number(header ?? Number.NaN)
  return Number.isFinite(seconds) && seconds >= 0
    ? Math.min(LONGEST_ASKED_MS, Math.max(1_000, Math.ceil(seconds * 1000)))
    : UNTOLD_PAUSE_MS
}

/** A token is renewed so long before its end, at most, and that part of its life. */
const RENEW_MS = 60_000
const RENEW_PART = 0.2
/** The life of a token whose end is not told. */
const UNTOLD_MS = 300_000

/** Of a token that was given out now: when it ends, and when it is renewed. Monotonic milliseconds. */
const lifeOf = (expiresIn: number | undefined, now: number) => {
  const lifeMs = expiresIn === undefined ? UNTOLD_MS : expiresIn * 1000
  return { endsAt: now + lifeMs, renewAt: now + lifeMs - Math.min(RENEW_MS, lifeMs * RENEW_PART) }
}

const MAX_BYTES = 256 * 1024

/** `fetch` through the proxy of the environment, bounded in bytes, until the signal. */
const fetchUntil =
  (signal: AbortSignal) =>
  async (
    url: string,
    {
      body: sent,
      headers: asked,
      method
    }: OAuth.CustomFetchOptions<"GET" | "POST", URLSearchParams | undefined>
  ): Promise<Response> => {
    const answer = await Outbound.request(new URL(url), {
      method,
      headers: asked,
      redirect: "manual",
      signal,
      ...(sent === undefined ? {} : { body: sent.toString() })
    })
    const body = answer.body === null ? null : await Outbound.bytes(answer.body, MAX_BYTES)
    const headers = new Headers()
    for (const name of ["content-type", "retry-after", "www-authenticate"]) {
      const value = answer.headers.get(name)
      if (value !== null) headers.set(name, value)
    }
    const isEmpty = [101, 204, 205, 304].includes(answer.status)
    return new Response(isEmpty ? null : body, { status: answer.status, headers })
  }

const hostOf = (url: string): string => new URL(url).hostname

/** An authorization server whose token endpoint is known. */
export type Server = OAuth.AuthorizationServer & { readonly token_endpoint: string }

/** Of a request to the URL. Those to this machine may go without encryption. */
const outgoing = (oauth: typeof OAuth, url: string, signal: AbortSignal) => ({
  signal,
  [oauth.customFetch]: fetchUntil(signal),
  ...(isLoopback(hostOf(url)) ? { [oauth.allowInsecureRequests]: true as const } : {})
})

/**
 * The metadata of an authorization server. Both documents are asked for: authorization servers have one of them, or
 * both.
 */
export const discovered = (oauth: typeof OAuth, issuerUrl: string, signal: AbortSignal): Promise<Server> => {
  const issuer = new URL(issuerUrl)
  return Promise.any(
    (["oauth2", "oidc"] as const).map(async (algorithm) => {
      const response = await oauth.discoveryRequest(issuer, {
        algorithm,
        ...outgoing(oauth, issuer.href, signal)
      })
      const found = await oauth.processDiscoveryResponse(issuer, response)
      const url = found.token_endpoint
      if (url === undefined || !mayDirectTo(issuer, url)) {
        throw new TypeError("no token_endpoint")
      }
      return { ...found, token_endpoint: url }
    })
  )
}

/** In the milliseconds that there are for an answer. */
export const inTime =
  (timeoutMs: number) =>
  <A, E>(answer: Effect.Effect<A, E>): Effect.Effect<A, E | TokenFailed> =>
    Effect.timeoutFail(answer, {
      duration: timeoutMs,
      onTimeout: () => failed("slow", `did not answer within ${timeoutMs / 1000} seconds`)
    })

/** One request, and the token that it gets. `secrets`: what was sent, and must not be quoted. */
export const granted = (
  oauth: typeof OAuth,
  server: Server,
  client: OAuth.Client,
  secrets: ReadonlyArray<string>,
  ask: (options: OAuth.TokenEndpointRequestOptions) => Promise<Response>
): Effect.Effect<Granted, TokenFailed> =>
  Effect.gen(function* () {
    const response = yield* Effect.tryPromise({
      try: (signal) => ask(outgoing(oauth, server.token_endpoint, signal)),
      catch: (cause) =>
        cause instanceof Outbound.TooLarge
          ? malformed
          : failed(
              "down",
              cause instanceof Outbound.ProxyFault
                ? `cannot be reached: ${cause.message}`
                : "cannot be reached"
            )
    })
    const { status } = response
    if (status === 429) {
      return yield* new TokenFailed({
        kind: "rate-limited",
        said: "asks for fewer requests (HTTP 429)",
        retryAfterMs: retryAfter(response.headers.get("retry-after"))
      })
    }
    if (status >= 500 || status === 408) return yield* failed("down", `answered HTTP ${status}`)
    const found = yield* Effect.tryPromise({
      try: () =>
        oauth.processGenericTokenEndpointResponse(server, client, response, {
          // What is no bearer token is used like one: `N_A`.
          recognizedTokenTypes: { n_a: () => undefined }
        }),
      catch: (cause) =>
        cause instanceof oauth.ResponseBodyError
          ? refusal(cause.error, cause.error_description, secrets)
          : status === 401
            ? refusal("invalid_client", undefined, secrets)
            : malformed
    })
    const now = yield* monotonicMillis
    return {
      token: Redacted.make(found.access_token),
      refresh: found.refresh_token === undefined ? undefined : Redacted.make(found.refresh_token),
      ...lifeOf(found.expires_in, now)
    }
  })
