/**
 * The keys an authorization server signs with: fetched in the background from the start on, kept, fetched anew
 * for a key nobody knows at most once in a while.
 *
 * ```
 *   no location --discovery--> location --fetch--> keys     (either fails: nothing is asked for a while,
 *        ^                        |                          keys that are there stay in use)
 *        '------- fetch failed ---'
 * ```
 *
 * A token whose key is not among them is refused once they were fetched after that key was named for the first
 * time. Before that nobody can tell: the authorization server may have begun to sign with it a moment ago.
 *
 * A location that was configured is never looked for; one that was discovered is looked for again when
 * nothing comes from there. A forged token cannot make us hammer the authorization server.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { JWTVerifyGetKey } from "jose"
import { monotonicReader } from "../../platform/monotonic.js"
import * as Discovery from "./Discovery.js"
import { FetchFault, json } from "./Fetched.js"
import * as Lru from "../../platform/core/Lru.js"

export interface Options {
  readonly issuer: string
  /** Where the keys are; found through the issuer when absent. */
  readonly jwksUrl: URL | undefined
  /** Milliseconds for one request. */
  readonly timeoutMs: number
  /** Milliseconds between two fetches for keys that nobody knows. */
  readonly cooldownMs: number
  /** Milliseconds for which a failure is taken to last. */
  readonly retryMs: number
}

/** Nobody can tell right now whether the authorization server has this key. */
export class KeyNotFetched extends Error {
  override readonly name = "KeyNotFetched"
  constructor(readonly retryAfterMs: number) {
    super("the key is not known yet")
  }
}

/** Keys that were asked for and not found. */
const MAX_MISSING = 1_000

/**
 * Between two fetches, keys of which it is believed that they may be new. An authorization server changes one or
 * two at a time; whoever names more makes them up, and is refused for it.
 */
const MAX_DOUBTS = 8

const codeOf = (error: unknown): unknown =>
  typeof error === "object" && error !== null ? Reflect.get(error, "code") : undefined

export interface SigningKeys {
  readonly keys: JWTVerifyGetKey
  /** Why there are none to be had, as far as it was tried. */
  readonly problem: Effect.Effect<Option.Option<string>>
}

/** Between two tries in the background: a token that comes may try sooner. */
const TRY_AGAIN = "30 seconds"

const isKeySet = (value: unknown): boolean =>
  typeof value === "object" && value !== null && Array.isArray(Reflect.get(value, "keys"))

const keysFrom = async (url: URL, timeoutMs: number): Promise<unknown> => {
  try {
    const found = await json(url, timeoutMs)
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
    /** When each was named for the first time. */
    const missing = Lru.make<number>({ maxEntries: MAX_MISSING, maxBytes: MAX_MISSING })

    const failed = (cause: unknown): void => {
      downUntil = monotonic() + retryMs
      location = jwksUrl
      const now = cause instanceof FetchFault ? cause.message : "?"
      // Said once, and not with every token.
      if (now !== problem) log(Effect.logWarning(`no new access token can be checked: ${now}`))
      problem = now
    }

    const fetched = async (): Promise<Response> => {
      // Every request would wait for the same answer.
      if (monotonic() < downUntil) throw new FetchFault("failed a moment ago")
      try {
        location ??= await Discovery.find(issuer, timeoutMs)
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
      // Each request has a time limit of its own; this is for all of them.
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
    // An issuer that is out of reach, or none, is noticed now and not by the first client.
    yield* Effect.tryPromise(() => remote.reload()).pipe(
      Effect.retry(Schedule.spaced(TRY_AGAIN)),
      Effect.ignore,
      Effect.forkScoped
    )
    return { keys, problem: Effect.sync(() => Option.fromNullable(problem)) }
  })
