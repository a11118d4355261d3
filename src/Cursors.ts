/**
 * Who may read on in which result. A cursor says which result and from which row, is signed for one
 * client, and says nothing to anybody else; a `query_id` alone opens a result for the client whose call
 * made it, as long as this process remembers.
 *
 * ```
 * cursor = base64url( [query id, offset, expires] ) . base64url( HMAC-SHA256( key, client, tier, payload ) )
 * ```
 *
 * Invariants
 * 1. Unknown, foreign, forged and expired cursors are refused with the same words.
 * 2. A cursor outlives the memory of the process: servers that share a key read each other's. Whether the
 *    rows are still to be had is the warehouse's affair.
 * 3. What is remembered is bounded in number and in time.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto"
import * as Lru from "./core/Lru.js"
import type { Principal } from "./Principal.js"
import { CurrentPrincipal } from "./Principal.js"
import { ToolError } from "./Tool.js"

/**
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
 * @since 0.1.0
 * @category context
 */
export class Cursors extends Context.Tag("snowguard/Cursors")<
  Cursors,
  {
    /** The result belongs to the current principal. */
    readonly remember: (queryId: string) => Effect.Effect<void>
    /** A cursor for the current principal that goes on at a row, counted from 0. */
    readonly issue: (queryId: string, offset: number) => Effect.Effect<string>
    /** The row at which to go on; the first one without a cursor. */
    readonly open: (queryId: string, cursor: string | undefined) => Effect.Effect<number, ToolError>
  }
>() {}

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
  return Either.right(keys.map((key) => createHash("sha256").update(`snowguard cursors ${key}`).digest()))
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Context.Tag.Service<Cursors>> =>
  Effect.sync(() => {
    const given = options.keys ?? []
    const signing = given[0] ?? randomBytes(32)
    const accepted = given.length === 0 ? [signing] : given
    const lifeMs = options.lifeMs ?? 3_600_000
    const known = Lru.make<number>({
      maxEntries: options.maxEntries ?? 10_000,
      maxBytes: Number.MAX_SAFE_INTEGER
    })
    const keyOf = ({ client, tier }: Principal, queryId: string) => JSON.stringify([client, tier, queryId])

    const signature = (key: Uint8Array, { client, tier }: Principal, payload: string): Buffer =>
      createHmac("sha256", key)
        .update(JSON.stringify([client, tier, payload]))
        .digest()

    const read = (principal: Principal, cursor: string, queryId: string, now: number): number | undefined => {
      const [payload, mac, ...more] = cursor.split(".")
      if (payload === undefined || mac === undefined || more.length > 0) return undefined
      const given = Buffer.from(mac, "base64url")
      const isOf = (key: Uint8Array): boolean => {
        const expected = signature(key, principal, payload)
        return given.length === expected.length && timingSafeEqual(given, expected)
      }
      if (!accepted.some(isOf)) return undefined
      const decoded = decodePayload(Buffer.from(payload, "base64url").toString("utf8"))
      if (Either.isLeft(decoded)) return undefined
      const [id, offset, expires] = decoded.right
      return id === queryId && now < expires ? offset : undefined
    }

    return Cursors.of({
      remember: (queryId) =>
        Effect.zipWith(CurrentPrincipal, Clock.currentTimeMillis, (principal, now) => {
          Lru.set(known, keyOf(principal, queryId), now + lifeMs, 1)
        }),
      issue: (queryId, offset) =>
        Effect.zipWith(CurrentPrincipal, Clock.currentTimeMillis, (principal, now) => {
          const payload = Buffer.from(JSON.stringify([queryId, offset, now + lifeMs])).toString("base64url")
          return `${payload}.${signature(signing, principal, payload).toString("base64url")}`
        }),
      open: (queryId, cursor) =>
        Effect.flatMap(Effect.zip(CurrentPrincipal, Clock.currentTimeMillis), ([principal, now]) => {
          const expires = Lru.get(known, keyOf(principal, queryId)) ?? 0
          const offset =
            cursor === undefined ? (now < expires ? 0 : undefined) : read(principal, cursor, queryId, now)
          return offset === undefined ? unavailable : Effect.succeed(offset)
        })
    })
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<Cursors> => Layer.effect(Cursors, make(options))
