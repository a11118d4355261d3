/**
 * The keys that an authorization server signs with: located, fetched in the background from the start on, kept, and
 * fetched anew for an unknown key at most once in a while.
 *
 * ```
 *   no location --discovery--> location --fetch--> keys     (either fails: no request for a while,
 *        ^                        |                          known keys stay in use)
 *        '------- fetch failed ---'
 * ```
 *
 * A token with an unknown key is refused once the keys were fetched after that key was named for the first time. Before
 * that it is not decided (503): the authorization server may have begun to sign with it a moment ago.
 *
 * A location that was configured is never discovered; one that was discovered is discovered again when a fetch fails. A
 * forged token cannot make this server flood the authorization server.
 *
 * Discovery reads the documents of RFC 8414 and of OpenID Connect Discovery:
 *
 * | issuer | documents |
 * |---|---|
 * | `https://a.example` | `https://a.example/.well-known/oauth-authorization-server`, `https://a.example/.well-known/openid-configuration` |
 * | `https://a.example/t` | `https://a.example/.well-known/oauth-authorization-server/t`, `https://a.example/t/.well-known/openid-configuration` |
 *
 * A document counts if its issuer is the configured one, to the letter: a party that can publish a document elsewhere on
 * the same host must not be able to name keys for this issuer. Locations are `https`; on this machine `http` is accepted.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Runtime from "effect/Runtime"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { JWTVerifyGetKey } from "jose"
import * as Lru from "../../platform/core/Lru.js"
import { mayDirectTo } from "../../platform/loopback.js"
import { monotonicReader } from "../../platform/monotonic.js"
import * as Outbound from "../../platform/outbound.js"

/** Why a document cannot be used, for the operator; never quotes the document. */
export class FetchFault extends Error {
  override readonly name = "FetchFault"
}

/** The keys of a large authorization server are a few kilobytes. */
const MAX_BYTES = 256 * 1024

const tooLarge = () => new FetchFault(`it is larger than ${MAX_BYTES} bytes`)

/**
 * A small JSON document from a server that may be slow or hostile: bounded in time and in bytes, no redirect is
 * followed, through the proxy where one is configured. Rejects with a `FetchFault`, and with nothing else.
 */
export const fetchJson = async (url: URL, timeoutMs: number): Promise<unknown> => {
  const signal = AbortSignal.timeout(timeoutMs)
  try {
    const response = await Outbound.request(url, {
      signal,
      redirect: "manual",
      headers: { accept: "application/json" }
    })
    if (response.status !== 200 || response.body === null) {
      await response.body?.cancel()
      throw new FetchFault(`it answers ${response.status}`)
    }
    if (Number(response.headers.get("content-length") ?? 0) > MAX_BYTES) {
      await response.body.cancel()
      throw tooLarge()
    }
    const text = (await Outbound.bytes(response.body, MAX_BYTES)).toString("utf8")
    try {
      return JSON.parse(text)
    } catch {
      // The parser's message quotes the text.
      throw new FetchFault("it is not JSON")
    }
  } catch (cause) {
    if (cause instanceof FetchFault) throw cause
    if (cause instanceof Outbound.TooLarge) throw tooLarge()
    if (cause instanceof Outbound.ProxyFault) throw new FetchFault(cause.message)
    throw new FetchFault(signal.aborted ? "it does not answer in time" : "it cannot be reached")
  }
}

const withoutSlash = (path: string): string => path.replace(/\/+$/, "")

/** The documents of an issuer, the first that counts first. */
export const documents = (issuer: string): ReadonlyArray<URL> => {
  const { origin, pathname } = new URL(issuer)
  const path = withoutSlash(pathname)
  return [
    new URL(`${origin}/.well-known/oauth-authorization-server${path}`),
    new URL(`${origin}${path}/.well-known/openid-configuration`)
  ]
}

const named = (document: unknown, name: string): unknown =>
  Predicate.hasProperty(document, name) ? document[name] : undefined

/** The location of the keys in a document of this issuer. */
export const jwksUrl = (document: unknown, issuer: string): URL => {
  if (named(document, "issuer") !== issuer) throw new FetchFault("its issuer is not auth.issuer")
  const location = named(document, "jwks_uri")
  if (typeof location !== "string" || !URL.canParse(location)) throw new FetchFault("it has no jwks_uri")
  if (!mayDirectTo(new URL(issuer), location)) throw new FetchFault("its jwks_uri is not an https URL")
  return new URL(location)
}

/** Requests all documents at once; rejects with a `FetchFault` that says what is wrong with each. */
export const find = async (issuer: string, timeoutMs: number): Promise<URL> => {
  const places = documents(issuer)
  const found = await Promise.allSettled(
    places.map(async (place) => jwksUrl(await fetchJson(place, timeoutMs), issuer))
  )
  for (const one of found) if (one.status === "fulfilled") return one.value
  const problems = found.map((one, i) => {
    const why = one.status === "rejected" && one.reason instanceof FetchFault ? one.reason.message : "?"
    return `${places[i]?.href}: ${why}`
  })
  throw new FetchFault(`the keys of auth.issuer cannot be found: ${problems.join("; ")}`)
}

export interface Options {
  readonly issuer: string
  /** Where the keys are; found through the issuer when absent. */
  readonly jwksUrl: URL | undefined
  /** Milliseconds for one request. */
  readonly timeoutMs: number
  /** Milliseconds between two fetches for unknown keys. */
  readonly cooldownMs: number
  /** Milliseconds after a failure in which no request is made. */
  readonly retryMs: number
}

/** Not decided yet: the authorization server may have this key. */
export class KeyNotFetched extends Error {
  override readonly name = "KeyNotFetched"
  constructor(readonly retryAfterMs: number) {
    super("the key is not known yet")
  }
}

/** Unknown keys that are remembered. */
const MAX_MISSING = 1_000

/**
 * Unknown keys that may be new, between two fetches. An authorization server changes one or two at a time; more than
 * this are taken for made up, and refused.
 */
const MAX_DOUBTS = 8

const codeOf = (error: unknown): unknown => named(error, "code")

export interface SigningKeys {
  readonly keys: JWTVerifyGetKey
  /** Why the last fetch failed; none when it did not. */
  readonly problem: Effect.Effect<Option.Option<string>>
}

/** Between two tries in the background; a token may cause one sooner. */
const TRY_AGAIN = "30 seconds"

const isKeySet = (value: unknown): boolean => Array.isArray(named(value, "keys"))

const keysFrom = async (url: URL, timeoutMs: number): Promise<unknown> => {
  try {
    const found = await fetchJson(url, timeoutMs)
    if (!isKeySet(found)) throw new FetchFault("it is no set of keys")
    return found
  } catch (cause) {
    const why = cause instanceof FetchFault ? cause.message : "?"
    throw new FetchFault(`no keys from ${url.href}: ${why}`)
  }
}

export const make = ({
  cooldownMs,
  issuer,
  jwksUrl,
  retryMs,
  timeoutMs
}: Options): Effect.Effect<SigningKeys, never, Scope.Scope> =>
  Effect.gen(function* () {
    const jose = yield* Effect.promise(() => import("jose"))
    const monotonic = yield* monotonicReader
    const runtime = yield* Effect.runtime<never>()
    const log = (line: Effect.Effect<void>) => void Runtime.runFork(runtime)(line)

    let location = jwksUrl
    let downUntil = Number.NEGATIVE_INFINITY
    let problem: string | undefined
    let fetchedAt = Number.NEGATIVE_INFINITY
    let doubts = 0
    /** When each unknown key was named for the first time. */
    const missing = Lru.make<number>({ maxEntries: MAX_MISSING, maxBytes: MAX_MISSING })

    const failed = (cause: unknown): void => {
      downUntil = monotonic() + retryMs
      location = jwksUrl
      const now = cause instanceof FetchFault ? cause.message : "?"
      // Logged once, and not with every token.
      if (now !== problem) log(Effect.logWarning(`no new access token can be checked: ${now}`))
      problem = now
    }

    const fetched = async (): Promise<Response> => {
      // Each token would otherwise repeat the failing request.
      if (monotonic() < downUntil) throw new FetchFault("failed a moment ago")
      try {
        location ??= await find(issuer, timeoutMs)
        const keys = await keysFrom(location, timeoutMs)
        if (problem !== undefined) log(Effect.logInfo("the keys of the authorization server are there again"))
        problem = undefined
        fetchedAt = monotonic()
        doubts = 0
        return Response.json(keys)
      } catch (cause) {
        failed(cause)
        throw cause
      }
    }

    const remote = jose.createRemoteJWKSet(jwksUrl ?? new URL(issuer), {
      [jose.customFetch]: fetched,
      // Each request has its own time limit; this one is for all of them.
      timeoutDuration: timeoutMs * 3,
      cooldownDuration: cooldownMs
    })
    const keys: JWTVerifyGetKey = async (header, token) => {
      const askedAt = monotonic()
      try {
        return await remote(header, token)
      } catch (cause) {
        if (codeOf(cause) !== "ERR_JWKS_NO_MATCHING_KEY") throw cause
        const key = JSON.stringify([header?.alg, header?.kid])
        const since = Lru.get(missing, key)
        if (fetchedAt >= (since ?? askedAt) || (since === undefined && doubts >= MAX_DOUBTS)) throw cause
        if (since === undefined) {
          Lru.set(missing, key, askedAt, 1)
          doubts += 1
        }
        throw new KeyNotFetched(Math.max(1, fetchedAt + cooldownMs - askedAt))
      }
    }
    // A wrong or unreachable issuer is noticed at the start, and not by the first client.
    yield* Effect.tryPromise(() => remote.reload()).pipe(
      Effect.retry(Schedule.spaced(TRY_AGAIN)),
      Effect.ignore,
      Effect.forkScoped
    )
    return { keys, problem: Effect.sync(() => Option.fromNullable(problem)) }
  })
