/**
 * Which client may read on in which result. A cursor says which result and from which row, and is signed for one
 * client and its identity in the warehouse: it opens nothing for another one. A `query_id` alone opens a result for the client whose call made it,
 * as long as this process remembers.
 *
 * ```
 * cursor = base64url( [query id, offset, expires] ) . base64url( HMAC-SHA256( key, client, tier, identity, payload ) )
 * ```
 *
 * Invariants
 * 1. Unknown, foreign, forged and expired cursors are refused with the same text.
 * 2. A cursor outlives the memory of the process: servers that share a key read each other's. Whether the
 *    rows are still kept is up to the warehouse.
 * 3. What is remembered is bounded in number and in time.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Lru from "../platform/core/Lru.js"
import { wallReader } from "../platform/monotonic.js"
import type { Principal } from "../platform/Principal.js"
import { CurrentPrincipal } from "../platform/Principal.js"
import { ToolError } from "./Tool.js"

/**
 * The keys that sign cursors, and how long one is believed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * Of at least 32 bytes each: the first signs, each is believed. A random one, and so of this process
   * alone, when absent or empty.
   */
  readonly keys?: ReadonlyArray<Uint8Array> | undefined
  /** Milliseconds after which a cursor is of no use. Default 3,600,000. */
  readonly lifeMs?: number | undefined
  /** Results that are opened by their id alone, over all clients. Default 10,000. */
  readonly maxEntries?: number | undefined
}

/**
 * Cursors of results: signed, bound to a client and an identity, and without anything to keep in this process.
 *
 * @since 0.1.0
 * @category context
 */
export class Cursors extends Context.Tag("snowguard/Cursors")<
  Cursors,
  {
    /** The result belongs to the current principal; `identity`: as whom it acts in the warehouse. */
    readonly remember: (queryId: string, identity?: string) => Effect.Effect<void>
    /** A cursor for the current principal that goes on at a row, counted from 0. */
    readonly issue: (queryId: string, offset: number, identity?: string) => Effect.Effect<string>
    /** The row at which to go on; the first one without a cursor. */
    readonly open: (
      queryId: string,
      cursor: string | undefined,
      identity?: string
    ) => Effect.Effect<number, ToolError>
  }
>() {}

interface Seal {
  readonly sign: (text: string) => string
  /** Whether any of the keys has signed the text. */
  readonly holds: (text: string, signature: string) => boolean
}

/**
 * The first key signs, all are accepted; a random one when there are none. Node's cryptography takes milliseconds
 * to load, and nothing before the first cursor needs it.
 */
const loadSeal = (keys: ReadonlyArray<Uint8Array>): Effect.Effect<Seal> =>
  Effect.map(
    Effect.promise(() => import("node:crypto")),
    ({ createHmac, randomBytes, timingSafeEqual }) => {
      const [signing = randomBytes(32), ...others] = keys
      const mac = (key: Uint8Array, text: string): Buffer => createHmac("sha256", key).update(text).digest()
      return {
        sign: (text) => mac(signing, text).toString("base64url"),
        holds: (text, signature) => {
          const given = Buffer.from(signature, "base64url")
          return [signing, ...others].some((key) => {
            const expected = mac(key, text)
            return given.length === expected.length && timingSafeEqual(given, expected)
          })
        }
      }
    }
  )

const Payload = Schema.parseJson(Schema.Tuple(Schema.String, Schema.NonNegativeInt, Schema.Number))
const decodePayload = Schema.decodeUnknownEither(Payload)

const unavailable = new ToolError({
  code: "RESULT_NOT_AVAILABLE",
  description:
    "There is no such result for this client: it is unknown, or it has expired. Nothing was executed. Run the query again.",
  retryable: false
})

/** Hardly any four characters of a random text stand in it twice; those of `changeme-changeme` do. */
const repeats = (key: string): boolean => {
  const parts = new Set(Array.from({ length: key.length - 3 }, (_, at) => key.slice(at, at + 4)))
  return parts.size < (key.length - 3) * 0.75
}

const howToMake = "make one with: openssl rand -base64 32"

/**
 * The keys in a text: base64 or hexadecimal, 43 characters or more each, separated by commas or white
 * space. Left: what is wrong with it, without a word of it.
 *
 * @since 0.1.0
 * @category decoding
 */
export const keysFromText = (text: string): Either.Either<ReadonlyArray<Uint8Array>, string> => {
  const keys = text.split(/[\s,]+/).filter((key) => key !== "")
  if (keys.length === 0) return Either.left(`holds no key; ${howToMake}`)
  if (!keys.every((key) => /^[\w+/=-]{43,512}$/.test(key))) {
    return Either.left(`holds a key that is too short or not base64; ${howToMake}`)
  }
  if (keys.some(repeats)) return Either.left(`holds a key that is easy to guess; ${howToMake}`)
  // With a word of what it is for: the same text may be the key of something else.
  return Either.right(keys.map((key) => Buffer.from(`snowguard cursors ${key}`)))
}

/**
 * Cursors that are signed with the first of the keys, and believed if any of them has signed.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Context.Tag.Service<Cursors>> =>
  Effect.gen(function* () {
    const seal = yield* Effect.cached(Effect.uninterruptible(loadSeal(options.keys ?? [])))
    const lifeMs = options.lifeMs ?? 3_600_000
    const clock = yield* wallReader
    const known = Lru.make<number>({
      maxEntries: options.maxEntries ?? 10_000,
      maxBytes: Number.MAX_SAFE_INTEGER
    })
    /** Of a caller; a shared identity has no name. */
    const ofCaller = ({ client, tier }: Principal, identity: string, what: string) =>
      JSON.stringify(identity === "" ? [client, tier, what] : [client, tier, identity, what])

    const read = (
      seal: Seal,
      principal: Principal,
      identity: string,
      cursor: string,
      queryId: string,
      now: number
    ) => {
      const [payload, mac, ...more] = cursor.split(".")
      if (payload === undefined || mac === undefined || more.length > 0) return undefined
      if (!seal.holds(ofCaller(principal, identity, payload), mac)) return undefined
      const decoded = decodePayload(Buffer.from(payload, "base64url").toString("utf8"))
      if (Either.isLeft(decoded)) return undefined
      const [id, offset, expires] = decoded.right
      return id === queryId && now < expires ? offset : undefined
    }

    return Cursors.of({
      remember: (queryId, identity = "") =>
        Effect.map(CurrentPrincipal, (principal) => {
          Lru.set(known, ofCaller(principal, identity, queryId), clock() + lifeMs, 1)
        }),
      issue: (queryId, offset, identity = "") =>
        Effect.gen(function* () {
          const principal = yield* CurrentPrincipal
          const expires = clock() + lifeMs
          const payload = Buffer.from(JSON.stringify([queryId, offset, expires])).toString("base64url")
          return `${payload}.${(yield* seal).sign(ofCaller(principal, identity, payload))}`
        }),
      open: (queryId, cursor, identity = "") =>
        Effect.gen(function* () {
          const principal = yield* CurrentPrincipal
          const now = clock()
          if (cursor === undefined) {
            const expires = Lru.get(known, ofCaller(principal, identity, queryId)) ?? 0
            return now < expires ? 0 : yield* unavailable
          }
          return read(yield* seal, principal, identity, cursor, queryId, now) ?? (yield* unavailable)
        })
    })
  })

/**
 * Cursors that are signed with the keys of the options.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<Cursors> => Layer.effect(Cursors, make(options))
