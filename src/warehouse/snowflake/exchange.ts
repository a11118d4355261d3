/**
 * A caller's token exchanged for one that acts as the caller in Snowflake (RFC 8693, or the on-behalf-of grant).
 *
 * ```
 * token(caller) --kept, not due--> it
 *    |---- due or none: asked already --> waits for that answer
 *    |---- this token was refused a while ago --> the same refusal, nothing is asked
 *    |---- the endpoint failed several times, or asks for a pause --> its error, nothing is asked
 *    '---- asks: a slot, discovery (once), one request with a time limit
 * ```
 *
 * Invariants
 * 1. Tokens are in memory only, and no error or log line holds one.
 * 2. One request for all calls of a caller that wait at a time; it goes on when they have left.
 * 3. A token is asked for anew before it ends. One that has not ended is used while that fails for a reason that passes.
 * 4. What is refused to one caller holds no other back, and not the same caller with another token. What fails because of
 *    the endpoint, or because of this server's own credential, holds all back for a bounded time; after it one asks.
 * 5. At most `maxConcurrent` requests, and each ends within `timeoutMs`.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as OAuth from "oauth4webapi"
import { createHash, createPrivateKey } from "node:crypto"
import * as Lru from "../../platform/core/Lru.js"
import { monotonicMillis } from "../../platform/monotonic.js"
import * as Outbound from "../../platform/outbound.js"
import type { Subject } from "../../platform/Principal.js"
import { WarehouseError } from "../Warehouse.js"

/** How this server shows the endpoint that it is the client. Secrets may be in files, and are read for each request. */
export type ClientAuth =
  | {
      readonly _tag: "basic" | "post"
      readonly secret: Effect.Effect<Redacted.Redacted<string>, WarehouseError>
    }
  | {
      readonly _tag: "private_key_jwt"
      /** PEM. */
      readonly key: Effect.Effect<Redacted.Redacted<string>, WarehouseError>
      readonly keyId: string | undefined
      /** The audience of the assertion; the issuer when absent. */
      readonly audience: string | undefined
    }

export interface Options {
  /** Where the endpoint is found by (RFC 8414, OpenID Connect Discovery), unless `tokenUrl` says. */
  readonly issuer: string | undefined
  readonly tokenUrl: string | undefined
  readonly clientId: string
  readonly clientAuth: ClientAuth
  readonly grantType: string
  /** The parameter that holds the caller's token. */
  readonly subjectParameter: "subject_token" | "assertion"
  /** Milliseconds for one request. Default 5,000. */
  readonly timeoutMs?: number | undefined
  /** Requests at a time. Default 8. */
  readonly maxConcurrent?: number | undefined
  /** Milliseconds after which a refused token is tried once more, at most. Default 600,000. */
  readonly latchMs?: number | undefined
}

/** What the endpoint is asked for one caller. */
export interface Request {
  /** The same text for the same caller and the same parameters. */
  readonly key: string
  readonly subject: Subject
  /** Beside the caller's token and its type. */
  readonly parameters: Effect.Effect<{ readonly [name: string]: string }, WarehouseError>
}

/**
 * | kind | whose affair |
 * |---|---|
 * | `slow`, `down`, `malformed` | the endpoint's; it passes |
 * | `rate-limited`, `busy` | it passes with the pause that is named |
 * | `refused` | the caller's: another token, another right, or consent |
 * | `scope` | the caller's or the operator's: the role or the audience that is asked for |
 * | `client` | the operator's: the credential or the grant of this server |
 */
export class ExchangeFailed extends Schema.TaggedError<ExchangeFailed>("snowguard/ExchangeFailed")(
  "ExchangeFailed",
  {
    kind: Schema.Literal("slow", "down", "malformed", "rate-limited", "busy", "refused", "scope", "client"),
    description: Schema.String,
    /** The endpoint's own word for it. */
    code: Schema.optional(Schema.String),
    retryAfterMs: Schema.optional(Schema.Number)
  }
) {
  override get message(): string {
    return this.description
  }
}

/** As the port has it: what passes may be tried again, what is refused waits for a person. */
export const toWarehouseError = ({
  code,
  description,
  kind,
  retryAfterMs
}: ExchangeFailed): WarehouseError => {
  const reason =
    kind === "refused" || kind === "scope"
      ? "Authentication"
      : kind === "client"
        ? "Configuration"
        : "LoginUnavailable"
  return new WarehouseError({ reason, description, sent: "no", code, retryAfterMs })
}

export interface Exchange {
  /** A token that has not ended. */
  readonly token: (
    request: Request
  ) => Effect.Effect<Redacted.Redacted<string>, ExchangeFailed | WarehouseError>
  /** It is not to be used again, although it should not have ended. */
  readonly forget: (key: string, token: Redacted.Redacted<string>) => Effect.Effect<void>
  readonly status: Effect.Effect<{ readonly tokens: number; readonly asked: number; readonly failed: number }>
}

interface Kept {
  readonly token: Redacted.Redacted<string>
  /** Monotonic milliseconds. */
  readonly renewAt: number
  readonly endsAt: number
}

type Answer = Exit.Exit<Kept, ExchangeFailed | WarehouseError>

interface Caller {
  kept: Kept | undefined
  /** The request that is under way, and the token that it is made with. */
  asked: { readonly with: string; readonly answer: Deferred.Deferred<Answer> } | undefined
  refused:
    | {
        readonly with: string
        readonly error: ExchangeFailed
        readonly until: number
        readonly times: number
      }
    | undefined
  /** When it was last asked for; another token is not tried at once. */
  askedAt: number
}

/** The endpoint, for all callers. */
interface Endpoint {
  failures: number
  downUntil: number
  error: ExchangeFailed | undefined
}

const CALLERS = { maxEntries: 10_000, maxBytes: Number.MAX_SAFE_INTEGER }

/** Failures of the endpoint in a row after which it is left alone for a while, doubling. */
const DOWN_AFTER = 3
const FIRST_PAUSE_MS = 5_000
const LONGEST_PAUSE_MS = 60_000
/** The longest pause that the endpoint can ask for. */
const LONGEST_ASKED_MS = 300_000
/** Milliseconds before a wrong credential of this server is tried again. */
const CLIENT_PAUSE_MS = 60_000

/** A refused token of a caller is tried again after this, and later each time. */
const FIRST_LATCH_MS = 15_000
/** Between two tokens of one caller, where the first was refused. */
const NEXT_TOKEN_MS = 1_000

/** Requests that wait for a slot: more are refused. */
const MAX_WAITING = 64

/** A token is renewed so long before its end, at most, and that part of its life. */
const RENEW_MS = 60_000
const RENEW_PART = 0.2
/** The life of a token whose end is not told. */
const UNTOLD_MS = 300_000

/** Of a token that was given out now: when it ends, and when it is renewed. Monotonic milliseconds. */
export const lifeOf = (expiresIn: number | undefined, now: number) => {
  const lifeMs = expiresIn === undefined ? UNTOLD_MS : expiresIn * 1000
  return { endsAt: now + lifeMs, renewAt: now + lifeMs - Math.min(RENEW_MS, lifeMs * RENEW_PART) }
}

const MAX_BYTES = 256 * 1024
const MAX_TEXT = 300

const digest = (token: Redacted.Redacted<string>): string =>
  createHash("sha256").update(Redacted.value(token)).digest("base64")

/** The endpoint's own words, on one line; it may quote what it was sent. */
export const quote = (text: string | undefined, secrets: ReadonlyArray<string>): string => {
  if (text === undefined) return ""
  const plain = secrets
    .reduce((left, secret) => (secret === "" ? left : left.replaceAll(secret, "***")), text)
    // A token that is quoted in another form.
    .replaceAll(/[A-Za-z0-9_-]{40,}/g, "***")
    .replaceAll(/[\p{Cc}\s]+/gu, " ")
    .trim()
  return plain === "" ? "" : `: ${plain.length > MAX_TEXT ? `${plain.slice(0, MAX_TEXT)}…` : plain}`
}

const fromError = (
  error: string,
  description: string | undefined,
  secrets: ReadonlyArray<string>
): ExchangeFailed => {
  const code = /^[\w.-]{1,80}$/.test(error) ? error : "an error"
  const said = `${code}${quote(description, secrets)}`
  const failed = (kind: ExchangeFailed["kind"], text: string) =>
    new ExchangeFailed({ kind, description: text, code })
  switch (code) {
    case "invalid_client":
    case "unauthorized_client":
    case "unsupported_grant_type":
    case "invalid_request":
      return failed(
        "client",
        `The authorization server does not take this server as a client for token exchange (${said}). The operator has ` +
          "to correct the section [exchange]."
      )
    case "invalid_scope":
    case "invalid_target":
    case "invalid_authorization_details":
      return failed(
        "scope",
        `The authorization server gives the caller no token for this account, role and scope (${said}). The caller needs ` +
          "the role there, or the operator has to correct the scope, the audience or the resource in [exchange]."
      )
    case "interaction_required":
    case "consent_required":
    case "login_required":
      return failed(
        "refused",
        `The authorization server wants the user itself (${said}): sign in again and consent to the use of Snowflake. ` +
          "Tell the user."
      )
    case "temporarily_unavailable":
    case "server_error":
      return failed("down", `The authorization server cannot answer now (${said}).`)
    case "slow_down":
      return failed("rate-limited", `The authorization server asks for fewer requests (${said}).`)
    default:
      return failed(
        "refused",
        `The authorization server gives the caller no token for Snowflake (${said}). The access token may have been ` +
          "revoked or have ended: sign in again. Tell the user."
      )
  }
}

const retryAfter = (header: string | null): number => {
  const seconds = Number(header ?? Number.NaN)
  return Number.isFinite(seconds) && seconds >= 0
    ? Math.min(LONGEST_ASKED_MS, Math.max(1_000, Math.ceil(seconds * 1000)))
    : FIRST_PAUSE_MS
}

/** `fetch` through the proxy of the environment, bounded in bytes. */
export const fetched = async (
  url: string,
  init: {
    readonly method?: string
    readonly headers?: unknown
    readonly body?: unknown
    readonly signal?: unknown
  }
): Promise<Response> => {
  const answer = await Outbound.request(new URL(url), {
    method: init.method === "POST" ? "POST" : "GET",
    headers: Object.fromEntries(new Headers(init.headers as Record<string, string> | undefined)),
    redirect: "manual",
    signal: init.signal as AbortSignal,
    ...(init.body === undefined || init.body === null ? {} : { body: String(init.body) })
  })
  const chunks: Array<Uint8Array> = []
  let size = 0
  for await (const chunk of answer.body ?? []) {
    size += chunk.length
    if (size > MAX_BYTES) throw new RangeError("the answer is too long")
    chunks.push(chunk)
  }
  const headers = new Headers()
  for (const name of ["content-type", "retry-after", "www-authenticate"]) {
    const value = answer.headers.get(name)
    if (value !== null) headers.set(name, value)
  }
  const isEmpty = [101, 204, 205, 304].includes(answer.status)
  return new Response(isEmpty ? null : Buffer.concat(chunks), { status: answer.status, headers })
}

const isLoopback = ({ hostname }: URL): boolean =>
  hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname)

/** A URL from which an answer cannot be changed on the way. */
export const isSafe = (url: string): boolean => {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  return (
    parsed !== undefined &&
    parsed.username === "" &&
    (parsed.protocol === "https:" || (parsed.protocol === "http:" && isLoopback(parsed)))
  )
}

/** Requests to this machine may go without encryption. */
export const insecure = (
  oauth: typeof OAuth,
  url: string
): { readonly [OAuth.allowInsecureRequests]?: true } =>
  isLoopback(new URL(url)) ? { [oauth.allowInsecureRequests]: true } : {}

/**
 * The metadata of an authorization server. Both documents are asked for: authorization servers have one of them, or
 * both.
 */
export const discovered = (
  oauth: typeof OAuth,
  issuerUrl: string,
  signal: AbortSignal
): Promise<OAuth.AuthorizationServer> => {
  const issuer = new URL(issuerUrl)
  return Promise.any(
    (["oauth2", "oidc"] as const).map(async (algorithm) => {
      const response = await oauth.discoveryRequest(issuer, {
        algorithm,
        signal,
        [oauth.customFetch]: fetched,
        ...insecure(oauth, issuer.href)
      })
      const found = await oauth.processDiscoveryResponse(issuer, response)
      // A remote server must not direct requests to this machine.
      const url = found.token_endpoint
      if (url === undefined || !isSafe(url) || (isLoopback(new URL(url)) && !isLoopback(issuer))) {
        throw new TypeError("no token_endpoint")
      }
      return found
    })
  )
}

export const make = (options: Options): Effect.Effect<Exchange, never, Scope.Scope> =>
  Effect.gen(function* () {
    const timeoutMs = options.timeoutMs ?? 5_000
    const latchMs = options.latchMs ?? 600_000
    const scope = yield* Effect.scope
    const slots = yield* Effect.makeSemaphore(options.maxConcurrent ?? 8)
    const library = yield* Effect.cached(Effect.promise(() => import("oauth4webapi")))

    // Touched in synchronous steps only.
    const callers = Lru.make<Caller>(CALLERS)
    const endpoint: Endpoint = { failures: 0, downUntil: Number.NEGATIVE_INFINITY, error: undefined }
    const counts = { asked: 0, failed: 0, waiting: 0 }
    let server: OAuth.AuthorizationServer | undefined =
      options.tokenUrl === undefined
        ? undefined
        : { issuer: options.issuer ?? options.tokenUrl, token_endpoint: options.tokenUrl }

    const callerOf = (key: string): Caller => {
      const found = Lru.get(callers, key)
      if (found !== undefined) return found
      const made: Caller = {
        kept: undefined,
        asked: undefined,
        refused: undefined,
        askedAt: Number.NEGATIVE_INFINITY
      }
      Lru.set(callers, key, made, 1)
      return made
    }

    const down = (description: string) => new ExchangeFailed({ kind: "down", description })

    const serverOf = (oauth: typeof OAuth) =>
      Effect.suspend(() =>
        server !== undefined
          ? Effect.succeed(server)
          : Effect.tryPromise({
              try: (signal) => discovered(oauth, options.issuer ?? "", signal),
              catch: () =>
                down(
                  "The token endpoint cannot be found: the authorization server (exchange.issuer) does not give its " +
                    "metadata. The operator can set exchange.token_url."
                )
            }).pipe(Effect.tap((found) => Effect.sync(() => void (server = found))))
      )

    const authOf = (oauth: typeof OAuth) => {
      const { clientAuth } = options
      if (clientAuth._tag !== "private_key_jwt") {
        return Effect.map(clientAuth.secret, (secret) => ({
          auth:
            clientAuth._tag === "basic"
              ? oauth.ClientSecretBasic(Redacted.value(secret))
              : oauth.ClientSecretPost(Redacted.value(secret)),
          secret: Redacted.value(secret)
        }))
      }
      return Effect.flatMap(clientAuth.key, (pem) =>
        Effect.tryPromise({
          try: async () => ({
            auth: oauth.PrivateKeyJwt(await keyOf(Redacted.value(pem), clientAuth.keyId), {
              [oauth.modifyAssertion]: (_, payload) => {
                if (clientAuth.audience !== undefined) payload["aud"] = clientAuth.audience
              }
            }),
            secret: ""
          }),
          catch: () =>
            new ExchangeFailed({
              kind: "client",
              description:
                "The private key of exchange.client_key cannot be read; expected PEM. The operator has to correct it."
            })
        })
      )
    }

    const request = (subjectToken: Redacted.Redacted<string>, wanted: Request) =>
      Effect.gen(function* () {
        const oauth = yield* library
        const { auth, secret } = yield* authOf(oauth)
        const parameters = yield* wanted.parameters
        const as = yield* serverOf(oauth)
        const client: OAuth.Client = { client_id: options.clientId }
        const secrets = [Redacted.value(subjectToken), secret, parameters["actor_token"] ?? ""]
        counts.asked += 1
        const response = yield* Effect.tryPromise({
          try: (signal) =>
            oauth.genericTokenEndpointRequest(
              as,
              client,
              auth,
              options.grantType,
              { ...parameters, [options.subjectParameter]: Redacted.value(subjectToken) },
              { signal, [oauth.customFetch]: fetched, ...insecure(oauth, as.token_endpoint ?? "https://x") }
            ),
          catch: (cause) =>
            cause instanceof Outbound.ProxyFault
              ? down(`The token endpoint cannot be reached: ${cause.message}.`)
              : cause instanceof RangeError
                ? malformed
                : down("The token endpoint cannot be reached.")
        })
        const { status } = response
        if (status === 429) {
          return yield* new ExchangeFailed({
            kind: "rate-limited",
            description: "The token endpoint asks for fewer requests (HTTP 429).",
            retryAfterMs: retryAfter(response.headers.get("retry-after"))
          })
        }
        if (status >= 500 || status === 408) return yield* down(`The token endpoint answered HTTP ${status}.`)
        const found = yield* Effect.tryPromise({
          try: () =>
            oauth.processGenericTokenEndpointResponse(as, client, response, {
              // What is no bearer token is used like one: `N_A`.
              recognizedTokenTypes: { n_a: () => undefined }
            }),
          catch: (cause) => {
            if (cause instanceof oauth.ResponseBodyError) {
              return fromError(cause.error, cause.error_description, secrets)
            }
            return status === 401 ? fromError("invalid_client", undefined, secrets) : malformed
          }
        })
        const now = yield* monotonicMillis
        return { token: Redacted.make(found.access_token), ...lifeOf(found.expires_in, now) }
      }).pipe(
        Effect.timeoutFail({
          duration: timeoutMs,
          onTimeout: () =>
            new ExchangeFailed({
              kind: "slow",
              description: `The token endpoint did not answer within ${timeoutMs / 1000} seconds.`
            })
        })
      )

    const busy = new ExchangeFailed({
      kind: "busy",
      description: "Too many tokens are being exchanged.",
      retryAfterMs: 2_000
    })

    const inTurn = <A, E>(work: Effect.Effect<A, E>): Effect.Effect<A, E | ExchangeFailed> =>
      Effect.suspend((): Effect.Effect<A, E | ExchangeFailed> => {
        if (counts.waiting >= MAX_WAITING) return Effect.fail(busy)
        counts.waiting += 1
        return Effect.ensuring(
          slots.withPermits(1)(work),
          Effect.sync(() => void (counts.waiting -= 1))
        )
      })

    /** Why nothing is to be asked of the endpoint now. One call asks when its pause is over. */
    const held = (now: number): ExchangeFailed | undefined => {
      if (endpoint.error === undefined) return undefined
      if (now < endpoint.downUntil) {
        return new ExchangeFailed({ ...endpoint.error, retryAfterMs: Math.ceil(endpoint.downUntil - now) })
      }
      endpoint.downUntil = now + timeoutMs
      return undefined
    }

    const told = (caller: Caller, hash: string, answer: Answer, now: number): Effect.Effect<void> => {
      if (Exit.isSuccess(answer)) {
        const wasDown = endpoint.error !== undefined
        Object.assign(endpoint, { failures: 0, error: undefined, downUntil: Number.NEGATIVE_INFINITY })
        caller.kept = answer.value
        caller.refused = undefined
        return wasDown ? Effect.logInfo("tokens are exchanged again") : Effect.void
      }
      counts.failed += 1
      const failure = answer.cause._tag === "Fail" ? answer.cause.error : undefined
      if (!(failure instanceof ExchangeFailed)) return Effect.void
      switch (failure.kind) {
        case "busy":
          return Effect.void
        case "refused":
        case "scope": {
          // It has answered.
          Object.assign(endpoint, { failures: 0, error: undefined, downUntil: Number.NEGATIVE_INFINITY })
          const times = (caller.refused?.times ?? 0) + 1
          const forMs = Math.min(latchMs, FIRST_LATCH_MS * 2 ** Math.min(times - 1, 20))
          caller.refused = { with: hash, error: failure, until: now + forMs, times }
          caller.kept = undefined
          return Effect.void
        }
        default: {
          const isFirst = endpoint.error === undefined
          endpoint.failures += 1
          const pauseMs =
            failure.kind === "client"
              ? CLIENT_PAUSE_MS
              : failure.kind === "rate-limited"
                ? (failure.retryAfterMs ?? FIRST_PAUSE_MS)
                : endpoint.failures < DOWN_AFTER
                  ? 0
                  : Math.min(
                      LONGEST_PAUSE_MS,
                      FIRST_PAUSE_MS * 2 ** Math.min(endpoint.failures - DOWN_AFTER, 10)
                    )
          if (pauseMs === 0) return Effect.void
          endpoint.error = failure
          endpoint.downUntil = now + pauseMs
          // Found through the issuer: it may have moved.
          if (options.tokenUrl === undefined) server = undefined
          return isFirst
            ? Effect.logWarning(`no token can be exchanged: ${failure.description}`)
            : Effect.void
        }
      }
    }

    const ask = (
      caller: Caller,
      subjectToken: Redacted.Redacted<string>,
      hash: string,
      wanted: Request,
      now: number
    ) =>
      Effect.gen(function* () {
        const answer = yield* Deferred.make<Answer>()
        caller.asked = { with: hash, answer }
        caller.askedAt = now
        yield* inTurn(request(subjectToken, wanted)).pipe(
          Effect.exit,
          Effect.flatMap((exit) =>
            Effect.flatMap(monotonicMillis, (now) => {
              caller.asked = undefined
              return Effect.zipRight(told(caller, hash, exit, now), Deferred.succeed(answer, exit))
            })
          ),
          // An answer that is waited for is given, whatever happens.
          Effect.onInterrupt(() => Deferred.succeed(answer, Exit.fail(busy))),
          // Its caller cannot be interrupted here; the request must be.
          Effect.interruptible,
          Effect.forkIn(scope)
        )
        return answer
      })

    const refreshed = (kept: Kept, now: number, failure: ExchangeFailed | WarehouseError) =>
      now < kept.endsAt &&
      failure instanceof ExchangeFailed &&
      failure.kind !== "refused" &&
      failure.kind !== "scope"
        ? Effect.succeed(kept.token)
        : Effect.fail(failure)

    const token = (
      wanted: Request,
      again = true
    ): Effect.Effect<Redacted.Redacted<string>, ExchangeFailed | WarehouseError> =>
      Effect.gen(function* () {
        const subjectToken = yield* wanted.subject.token
        const now = yield* monotonicMillis
        const caller = callerOf(wanted.key)
        const { kept } = caller
        if (kept !== undefined && now < kept.renewAt) return kept.token
        const hash = digest(subjectToken)
        const { asked } = caller
        if (asked === undefined) {
          const { refused } = caller
          if (refused !== undefined) {
            const until = refused.with === hash ? refused.until : caller.askedAt + NEXT_TOKEN_MS
            if (now < until) {
              return yield* new ExchangeFailed({ ...refused.error, retryAfterMs: Math.ceil(until - now) })
            }
          }
          const failure = held(now)
          if (failure !== undefined)
            return yield* kept === undefined ? failure : refreshed(kept, now, failure)
        }
        const answer =
          asked?.answer ?? (yield* Effect.uninterruptible(ask(caller, subjectToken, hash, wanted, now)))
        const exit = yield* Deferred.await(answer)
        if (Exit.isSuccess(exit)) return exit.value.token
        const failure = exit.cause._tag === "Fail" ? exit.cause.error : undefined
        if (failure === undefined) return yield* Effect.failCause(exit.cause)
        // Refused to a token that another call of the caller came with: its own may be good.
        if (again && asked !== undefined && asked.with !== hash && failure instanceof ExchangeFailed) {
          if (failure.kind === "refused") {
            caller.refused = undefined
            return yield* token(wanted, false)
          }
        }
        return yield* kept === undefined ? Effect.fail(failure) : refreshed(kept, now, failure)
      })

    return {
      token: (wanted) => token(wanted),
      forget: (key, used) =>
        Effect.sync(() => {
          const caller = Lru.get(callers, key)
          if (caller?.kept !== undefined && Redacted.value(caller.kept.token) === Redacted.value(used)) {
            caller.kept = undefined
          }
        }),
      status: Effect.sync(() => ({
        tokens: [...callers.entries.values()].filter(({ value }) => value.kept !== undefined).length,
        asked: counts.asked,
        failed: counts.failed
      }))
    }
  })

const malformed = new ExchangeFailed({
  kind: "malformed",
  description: "The token endpoint's answer holds no token that can be used."
})

/** By the kind of the key. */
const algorithmOf = (type: string | undefined, curve: string | undefined): string =>
  type === "ec" ? (curve === "secp384r1" ? "ES384" : "ES256") : type === "ed25519" ? "EdDSA" : "RS256"

const keyOf = async (pem: string, keyId: string | undefined): Promise<OAuth.PrivateKey> => {
  const key = createPrivateKey(pem.includes("\n") ? pem : pem.replaceAll("\\n", "\n"))
  const jose = await import("jose")
  const pkcs8 = key.export({ type: "pkcs8", format: "pem" }).toString()
  const algorithm = algorithmOf(key.asymmetricKeyType, key.asymmetricKeyDetails?.namedCurve)
  const imported = await jose.importPKCS8(pkcs8, algorithm)
  return keyId === undefined ? { key: imported } : { key: imported, kid: keyId }
}
