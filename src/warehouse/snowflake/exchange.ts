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
 *    An endpoint that has failed one caller only holds that caller back: it may be about its token.
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
import type { Subject } from "../../platform/Principal.js"
import * as UnderWay from "../../platform/underWay.js"
import { WarehouseError } from "../Warehouse.js"
import { withLineEnds } from "./auth.js"
import type { Kept } from "./tokenEndpoint.js"
import * as TokenEndpoint from "./tokenEndpoint.js"

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

/** A failure of the token endpoint, as a caller is told of it; `busy`: too many are being asked for by this server. */
export class ExchangeFailed extends Schema.TaggedError<ExchangeFailed>("snowguard/ExchangeFailed")(
  "ExchangeFailed",
  {
    kind: Schema.Literal(...TokenEndpoint.kinds, "busy"),
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

const described = ({
  code,
  kind,
  said
}: Pick<TokenEndpoint.TokenFailed, "code" | "kind" | "said">): string => {
  switch (kind) {
    case "client":
      return (
        `The authorization server does not take this server as a client for token exchange (${said}). The operator has ` +
        "to correct the section [exchange]."
      )
    case "scope":
      return (
        `The authorization server gives the caller no token for this account, role and scope (${said}). The caller needs ` +
        "the role there, or the operator has to correct the scope, the audience or the resource in [exchange]."
      )
    case "refused":
      return code !== undefined && ofThePerson.has(code)
        ? `The authorization server wants the user itself (${said}): sign in again and consent to the use of Snowflake. ` +
            "Tell the user."
        : `The authorization server gives the caller no token for Snowflake (${said}). The access token may have been ` +
            "revoked or have ended: sign in again. Tell the user." +
            (code === "invalid_request"
              ? " If all callers are told so, the operator has to correct the parameters in [exchange]."
              : "")
    default:
      return `The token endpoint ${said}.`
  }
}

/** No token helps: the person has to do something at the authorization server. */
const ofThePerson: ReadonlySet<string> = new Set([
  "interaction_required",
  "consent_required",
  "login_required"
])

/** The word for a subject token that is not taken for any reason (RFC 8693, 2.2.2), beside its usual meaning. */
const isOfToken = ({ code }: TokenEndpoint.TokenFailed): boolean => code === "invalid_request"

const failedAs = (failure: TokenEndpoint.TokenFailed): ExchangeFailed => {
  const kind = isOfToken(failure) ? "refused" : failure.kind
  return new ExchangeFailed({
    kind,
    description: described({ ...failure, kind }),
    code: failure.code,
    retryAfterMs: failure.retryAfterMs
  })
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

type Failure = ExchangeFailed | WarehouseError

interface Caller extends UnderWay.UnderWay<Kept, Failure> {
  kept: Kept | undefined
  /** The token that the request under way is made with. */
  with: string | undefined
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

/** The endpoint, for all callers. Times are monotonic milliseconds. */
interface Endpoint {
  /** Requests that failed since it last answered. */
  failures: number
  /** The one caller whose requests have failed since it last answered; undefined when they are several. */
  only: string | undefined
  /** It is left alone, one pause after another, each longer. */
  pauses: number
  pausedAt: number
  pausedUntil: number
  /** The caller that asks first after a pause. */
  first: string | undefined
  error: ExchangeFailed | undefined
}

const CALLERS = { maxEntries: 10_000, maxBytes: Number.MAX_SAFE_INTEGER }

/** Failures of the endpoint in a row after which it is left alone for a while, doubling with each pause in a row. */
const DOWN_AFTER = 3
const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 60_000
/** Milliseconds before a wrong credential of this server is tried again. */
const CLIENT_PAUSE_MS = 60_000

/** A refused token of a caller is tried again after this, and later each time. */
const FIRST_LATCH_MS = 15_000
/** Between two tokens of one caller, where the first was refused. */
const NEXT_TOKEN_MS = 1_000

/** Requests at a time, those included that wait for a slot: more are refused. */
const MAX_WAITING = 64

/** Of an endpoint that has answered. */
const answering: Endpoint = {
  failures: 0,
  only: undefined,
  pauses: 0,
  pausedAt: Number.NEGATIVE_INFINITY,
  pausedUntil: Number.NEGATIVE_INFINITY,
  first: undefined,
  error: undefined
}

/** Tells one token from another without holding it. */
export const digest = (token: Redacted.Redacted<string>): string =>
  createHash("sha256").update(Redacted.value(token)).digest("base64")

export const make = (options: Options): Effect.Effect<Exchange, never, Scope.Scope> =>
  Effect.gen(function* () {
    const timeoutMs = options.timeoutMs ?? 5_000
    const latchMs = options.latchMs ?? 600_000
    const scope = yield* Effect.scope
    const slots = yield* Effect.makeSemaphore(options.maxConcurrent ?? 8)
    const library = yield* Effect.cached(Effect.promise(() => import("oauth4webapi")))

    // Touched in synchronous steps only.
    const callers = Lru.make<Caller>(CALLERS)
    const endpoint: Endpoint = { ...answering }
    const counts = { asked: 0, failed: 0, waiting: 0 }
    let server: TokenEndpoint.Server | undefined =
      options.tokenUrl === undefined
        ? undefined
        : { issuer: options.issuer ?? options.tokenUrl, token_endpoint: options.tokenUrl }

    const callerOf = (key: string): Caller => {
      const found = Lru.get(callers, key)
      if (found !== undefined) return found
      const made: Caller = {
        kept: undefined,
        underWay: undefined,
        with: undefined,
        refused: undefined,
        askedAt: Number.NEGATIVE_INFINITY
      }
      Lru.set(callers, key, made, 1)
      return made
    }

    const serverOf = (oauth: typeof OAuth) =>
      Effect.suspend(() =>
        server !== undefined
          ? Effect.succeed(server)
          : Effect.tryPromise({
              try: (signal) => TokenEndpoint.discovered(oauth, options.issuer ?? "", signal),
              catch: () =>
                new ExchangeFailed({
                  kind: "down",
                  description:
                    "The token endpoint cannot be found: the authorization server (exchange.issuer) does not give its " +
                    "metadata. The operator can set exchange.token_url."
                })
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
        return yield* TokenEndpoint.granted(oauth, as, client, secrets, (more) =>
          oauth.genericTokenEndpointRequest(
            as,
            client,
            auth,
            options.grantType,
            { ...parameters, [options.subjectParameter]: Redacted.value(subjectToken) },
            more
          )
        )
      }).pipe(
        TokenEndpoint.inTime(timeoutMs),
        Effect.mapError((failure) =>
          failure instanceof TokenEndpoint.TokenFailed ? failedAs(failure) : failure
        )
      )

    const busy = new ExchangeFailed({
      kind: "busy",
      description: "Too many tokens are being exchanged.",
      retryAfterMs: 2_000
    })

    /** Why nothing is to be asked of the endpoint now. One caller asks first when its pause is over. */
    const held = (now: number, key: string): ExchangeFailed | undefined => {
      const { error, first, only, pausedUntil } = endpoint
      if (error === undefined || first === key) return undefined
      if (only !== undefined && only !== key) return undefined
      if (now < pausedUntil) {
        // The answer to the first can be there at any time.
        const retryAfterMs = first === undefined ? Math.ceil(pausedUntil - now) : FIRST_PAUSE_MS
        return new ExchangeFailed({ ...error, retryAfterMs })
      }
      endpoint.first = key
      endpoint.pausedUntil = now + timeoutMs
      return undefined
    }

    /** Waits for a slot. A pause that began meanwhile holds. */
    const inTurn = (
      key: string,
      asking: (now: number) => Effect.Effect<Kept, Failure>
    ): Effect.Effect<Kept, Failure> =>
      Effect.suspend(() => {
        if (counts.waiting >= MAX_WAITING) return Effect.fail(busy)
        counts.waiting += 1
        return Effect.flatMap(monotonicMillis, (now) => {
          const failure = held(now, key)
          return failure === undefined ? asking(now) : Effect.fail(failure)
        }).pipe(slots.withPermits(1), Effect.ensuring(Effect.sync(() => void (counts.waiting -= 1))))
      })

    const pauseOf = ({ kind, retryAfterMs = TokenEndpoint.UNTOLD_PAUSE_MS }: ExchangeFailed): number => {
      if (kind === "client") return CLIENT_PAUSE_MS
      if (kind === "rate-limited") return retryAfterMs
      if (endpoint.failures < DOWN_AFTER) return 0
      return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(endpoint.pauses, 10))
    }

    const told = (
      key: string,
      caller: Caller,
      hash: string,
      answer: Exit.Exit<Kept, Failure>,
      began: number,
      now: number
    ): Effect.Effect<void> => {
      if (endpoint.first === key) endpoint.first = undefined
      if (Exit.isSuccess(answer)) {
        const wasDown = endpoint.error !== undefined
        Object.assign(endpoint, answering)
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
          Object.assign(endpoint, answering)
          const times = (caller.refused?.times ?? 0) + 1
          const forMs = Math.min(latchMs, FIRST_LATCH_MS * 2 ** Math.min(times - 1, 20))
          caller.refused = { with: hash, error: failure, until: now + forMs, times }
          caller.kept = undefined
          return Effect.void
        }
        default: {
          const isFirst = endpoint.error === undefined
          // What is said to this server is said to all callers.
          const isOfServer = failure.kind === "client" || failure.kind === "rate-limited"
          const isOfCaller = !isOfServer && (endpoint.failures === 0 || endpoint.only === key)
          endpoint.only = isOfCaller ? key : undefined
          endpoint.failures += 1
          const pauseMs = pauseOf(failure)
          // Of a request that was under way when the pause began: nothing is new.
          if (pauseMs === 0 || began <= endpoint.pausedAt) return Effect.void
          endpoint.pauses += 1
          endpoint.pausedAt = now
          endpoint.pausedUntil = now + pauseMs
          endpoint.error = failure
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
      UnderWay.join(
        caller,
        () => {
          caller.with = hash
          caller.askedAt = now
          return inTurn(wanted.key, (began) =>
            Effect.onExit(request(subjectToken, wanted), (exit) =>
              Effect.flatMap(monotonicMillis, (ended) => told(wanted.key, caller, hash, exit, began, ended))
            )
          )
        },
        { scope, stopped: busy }
      )

    /** The token that has not ended is used where the failure passes. */
    const refreshed = (kept: Kept | undefined, now: number, failure: Failure) =>
      kept !== undefined &&
      now < kept.endsAt &&
      failure instanceof ExchangeFailed &&
      failure.kind !== "refused" &&
      failure.kind !== "scope"
        ? Effect.succeed(kept.token)
        : Effect.fail(failure)

    const token = (wanted: Request, again = true): Effect.Effect<Redacted.Redacted<string>, Failure> =>
      Effect.gen(function* () {
        const subjectToken = yield* wanted.subject.token
        const now = yield* monotonicMillis
        const caller = callerOf(wanted.key)
        const { kept } = caller
        if (kept !== undefined && now < kept.renewAt) return kept.token
        const hash = digest(subjectToken)
        const askedWith = caller.underWay === undefined ? undefined : caller.with
        if (askedWith === undefined) {
          const { refused } = caller
          if (refused !== undefined) {
            const until = refused.with === hash ? refused.until : caller.askedAt + NEXT_TOKEN_MS
            if (now < until) {
              return yield* new ExchangeFailed({ ...refused.error, retryAfterMs: Math.ceil(until - now) })
            }
          }
          const failure = held(now, wanted.key)
          if (failure !== undefined) return yield* refreshed(kept, now, failure)
        }
        const answer = yield* ask(caller, subjectToken, hash, wanted, now)
        return yield* Deferred.await(answer).pipe(
          Effect.map((given) => given.token),
          Effect.catchAll((failure) => {
            const isOfAnother = askedWith !== undefined && askedWith !== hash
            // Refused to a token that another call of the caller came with: its own may be good.
            if (again && isOfAnother && failure instanceof ExchangeFailed && failure.kind === "refused") {
              caller.refused = undefined
              return token(wanted, false)
            }
            return refreshed(kept, now, failure)
          })
        )
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

/** By the kind of the key. */
const algorithmOf = (type: string | undefined, curve: string | undefined): string =>
  type === "ec" ? (curve === "secp384r1" ? "ES384" : "ES256") : type === "ed25519" ? "EdDSA" : "RS256"

const keyOf = async (pem: string, keyId: string | undefined): Promise<OAuth.PrivateKey> => {
  const key = createPrivateKey(withLineEnds(pem))
  const jose = await import("jose")
  const pkcs8 = key.export({ type: "pkcs8", format: "pem" }).toString()
  const algorithm = algorithmOf(key.asymmetricKeyType, key.asymmetricKeyDetails?.namedCurve)
  const imported = await jose.importPKCS8(pkcs8, algorithm)
  return keyId === undefined ? { key: imported } : { key: imported, kid: keyId }
}
