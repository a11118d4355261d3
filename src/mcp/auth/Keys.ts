/**
 * API keys: `sg_ID_SECRET`, made by the operator, one or more for each client.
 *
 * A key is looked up by its id (no secret), and its secret is proven with scrypt, once: after that by a
 * keyed digest in memory. The file is looked at again when it has changed, at most once a second, so a
 * key that is revoked stops working within that time. A file that cannot be read changes nothing; a file
 * that was removed revokes all keys.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { randomBytes } from "node:crypto"
import { namePattern, nameRule } from "../../platform/Principal.js"
import { monotonicMillis } from "../../platform/monotonic.js"
import * as OtherWriters from "../../platform/otherWriters.js"
import * as Principal from "../../platform/Principal.js"
import type { AuthMisconfigured, Credentials, Identity } from "./Auth.js"
import { Authenticator, AuthRefused, bearer, isLoopback, requireLoopback } from "./Auth.js"
import * as KeysFile from "./KeysFile.js"
import * as Proven from "./Proven.js"

/**
 * A key without its secret.
 *
 * @since 0.1.0
 * @category models
 */
export type Listed = Omit<KeysFile.Key, "salt" | "hash">

/**
 * A key cannot be made or revoked, and why.
 *
 * @since 0.1.0
 * @category errors
 */
export class KeysFault extends Schema.TaggedError<KeysFault>("snowguard/KeysFault")("KeysFault", {
  description: Schema.String
}) {
  override get message(): string {
    return this.description
  }
}

const listed = ({ hash: _hash, salt: _salt, ...rest }: KeysFile.Key): Listed => rest

const format = /^sg_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/

const now = Effect.map(DateTime.now, DateTime.formatIso)

/**
 * Makes a key for a client and returns it: this is the only time it can be read.
 *
 * @since 0.1.0
 * @category managing
 */
export const create = (
  path: string,
  options: {
    readonly client: string
    readonly tier?: string | undefined
    readonly admin?: boolean | undefined
  }
): Effect.Effect<Listed & { readonly key: string }, KeysFault | KeysFile.KeysFileError> =>
  Effect.gen(function* () {
    for (const name of [options.client, options.tier ?? "default"]) {
      if (!namePattern.test(name)) {
        return yield* new KeysFault({
          description: `${JSON.stringify(name)} cannot be a name: expected ${nameRule}`
        })
      }
    }
    const id = randomBytes(6).toString("hex")
    const secret = randomBytes(32).toString("base64url")
    const key: KeysFile.Key = {
      id,
      client: options.client,
      ...(options.tier === undefined ? {} : { tier: options.tier }),
      admin: options.admin === true,
      ...(yield* KeysFile.hash(secret)),
      createdAt: yield* now
    }
    yield* KeysFile.modify(path, (keys) => Effect.succeed([undefined, [...keys, key]]))
    return { ...listed(key), key: `sg_${id}_${secret}` }
  })

/**
 * The keys of a file, without their secrets; fails where the file cannot be read.
 *
 * @since 0.1.0
 * @category managing
 */
export const list = (path: string): Effect.Effect<ReadonlyArray<Listed>, KeysFile.KeysFileError> =>
  Effect.map(KeysFile.read(path), (keys) => keys.map(listed))

const isCalled =
  (idOrClient: string) =>
  ({ client, id }: { readonly id: string; readonly client: string }): boolean =>
    id === idOrClient || client === idOrClient

const noKey = (idOrClient: string) =>
  new KeysFault({
    description: `there is no key, and no client with a key, called ${JSON.stringify(idOrClient)}`
  })

/**
 * The key of the id, or the keys of the client, among them those that were revoked; fails where there are none.
 *
 * @since 0.1.0
 * @category managing
 */
export const named = (
  path: string,
  idOrClient: string
): Effect.Effect<ReadonlyArray<Listed>, KeysFault | KeysFile.KeysFileError> =>
  Effect.filterOrFail(
    Effect.map(list(path), (keys) => keys.filter(isCalled(idOrClient))),
    (keys) => keys.length > 0,
    () => noKey(idOrClient)
  )

/**
 * Revokes one key by its id, or all keys of a client by its name; returns those that were revoked now.
 *
 * @since 0.1.0
 * @category managing
 */
export const revoke = (
  path: string,
  idOrClient: string
): Effect.Effect<ReadonlyArray<Listed>, KeysFault | KeysFile.KeysFileError> =>
  Effect.flatMap(now, (revokedAt) =>
    KeysFile.modify(path, (keys) => {
      const meant = isCalled(idOrClient)
      if (!keys.some(meant)) return noKey(idOrClient)
      const revoked: Array<Listed> = []
      const after = keys.map((key) => {
        if (!meant(key) || key.revokedAt !== undefined) return key
        const gone = { ...key, revokedAt }
        revoked.push(listed(gone))
        return gone
      })
      return Effect.succeed([revoked, after] as const)
    })
  )

/**
 * The file of keys, and which tiers there are.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly path: string
  /** The tier of a client whose key names none. */
  readonly tierOf: (client: string) => string
  /** A key of a tier that is not configured has the limits of `default`. */
  readonly isTier: (tier: string) => boolean
  /** The principal of every caller while no key was ever made; without it, a key is always required. */
  readonly whileNone?: Principal.Principal | undefined
  /** Milliseconds that may pass until a change of the file is seen; a second when absent. */
  readonly lookEveryMs?: number | undefined
}

/** How old the knowledge of the file may be, unless it is said. */
const LOOK_EVERY_MS = 1_000

/** Proofs that may run at a time: each takes a thread of the pool, and the pool has four. */
const PROOFS = 2

const REMEMBERED = 10_000

const refused = new AuthRefused({ reason: "invalid", description: "This key is not known, or was revoked." })

/** Not 401: the credential was not looked at. */
const crowded = new AuthRefused({
  reason: "unavailable",
  description: "Too many credentials from this address were refused; they are checked again in a moment.",
  retryAfterMs: 1_000
})

/**
 * Checks keys against the file, which is read again when it changes.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options) =>
  Effect.gen(function* () {
    const { path } = options
    const proven = Proven.make<{ readonly key: KeysFile.Key; readonly holds: boolean }>(REMEMBERED)
    const proofs = yield* Effect.makeSemaphore(PROOFS)
    const looking = yield* Effect.makeSemaphore(1)
    let keys: ReadonlyMap<string, KeysFile.Key> = new Map()
    let seen: string | undefined
    let lookedAt = Number.NEGATIVE_INFINITY
    let anyEver = false

    const load = Effect.gen(function* () {
      const version = yield* KeysFile.version(path)
      if (version === seen) return
      const found = yield* KeysFile.read(path)
      keys = new Map(found.map((key) => [key.id, key]))
      seen = version
      anyEver ||= found.length > 0
      if (yield* KeysFile.isExposed(path)) {
        yield* Effect.logWarning(`others can read the file of keys; run: chmod 600 ${path}`).pipe(
          Effect.annotateLogs({ path })
        )
      }
      const doubt = OtherWriters.doubt(path)
      if (doubt !== undefined) {
        yield* Effect.annotateLogs(Effect.logWarning("others can make keys"), { path, problem: doubt })
      }
    })
    yield* load

    const lookEveryMs = options.lookEveryMs ?? LOOK_EVERY_MS
    const look = Effect.gen(function* () {
      const at = yield* monotonicMillis
      if (at - lookedAt < lookEveryMs) return
      const wasOpen = open() !== undefined
      yield* Effect.catchAll(load, (error) =>
        Effect.logError("the keys in memory stay in force").pipe(
          Effect.annotateLogs({ problem: error.message })
        )
      )
      if (wasOpen && open() === undefined) {
        yield* Effect.logInfo("there are keys now: every request is asked for one")
      }
      // Last: requests that come while the file is read wait for the result.
      lookedAt = at
    }).pipe(looking.withPermits(1))
    // Nearly every request finds the knowledge fresh, and takes no turn for that.
    const refresh = Effect.flatMap(monotonicMillis, (at) =>
      at - lookedAt < lookEveryMs ? Effect.void : look
    )

    const identity = ({ admin, client, tier }: KeysFile.Key): Identity => {
      const named = tier ?? options.tierOf(client)
      const known = options.isTier(named) ? named : "default"
      const principal = tier === undefined ? Principal.assigned(client, known) : Principal.make(client, known)
      return { principal, owner: `key:${principal.tier}:${client}`, admin }
    }

    const open = (): Identity | undefined =>
      options.whileNone === undefined || anyEver
        ? undefined
        : { principal: options.whileNone, owner: "local", admin: true }

    const about = Effect.sync(() =>
      open() !== undefined
        ? "none (loopback only, no key was made yet)"
        : anyEver
          ? "keys"
          : "keys (none was made yet: every request is refused; run: snowguard keys create NAME)"
    )

    /** What is remembered of a token, if the key is still what it was. */
    const recall = (token: string) => {
      const known = proven.get(token)
      const current = known === undefined ? undefined : keys.get(known.key.id)
      return known !== undefined && current?.hash === known.key.hash && current.revokedAt === undefined
        ? { identity: identity(current), holds: known.holds }
        : undefined
    }

    const authenticate = (credentials: Credentials) =>
      Effect.gen(function* () {
        yield* refresh
        const shared = open()
        if (shared !== undefined) return shared
        const token = yield* bearer(credentials)
        const known = recall(token)
        if (known !== undefined) return known.holds ? known.identity : yield* refused
        const [, id = "", secret = ""] = format.exec(token) ?? []
        const key = keys.get(id)
        // That an id exists may be told by the time this takes: an id is no secret.
        if (key === undefined || key.revokedAt !== undefined) return yield* refused
        const holds = yield* proofs.withPermits(1)(
          Effect.suspend(() => (credentials.mayTry?.() === false ? crowded : KeysFile.matches(key, secret)))
        )
        proven.set(token, { key, holds })
        return holds ? identity(key) : yield* refused
      })

    return Authenticator.of({
      mode: "keys",
      about,
      authenticate,
      remembered: (credentials) =>
        refresh.pipe(
          Effect.zipRight(Effect.suspend(() => Effect.fromNullable(open()))),
          Effect.orElse(() => Effect.map(bearer(credentials), recall)),
          Effect.map((found) =>
            found === undefined || "principal" in found ? found : found.holds ? found.identity : undefined
          ),
          Effect.option,
          Effect.map(Option.flatMapNullable((found) => found))
        ),
      entries: proven.size,
      challenge: ({ reason }) =>
        `Bearer realm="snowguard"${reason === "missing" ? "" : `, error="invalid_token"`}`,
      resourceMetadata: Option.none()
    })
  })

/**
 * Fails when the file is there and is not one of keys.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<Authenticator, KeysFile.KeysFileError> =>
  Layer.effect(Authenticator, make(options))

/**
 * Keys are required as soon as there is one. While there is none, every caller on this machine is the same client, and
 * a server that other machines can reach does not start.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerAuto = (
  options: Omit<Options, "whileNone"> & { readonly host: string; readonly local: Principal.Principal }
): Layer.Layer<Authenticator, KeysFile.KeysFileError | AuthMisconfigured> =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      if (isLoopback(options.host)) return layer({ ...options, whileNone: options.local })
      if ((yield* KeysFile.read(options.path)).length === 0) yield* requireLoopback(options.host)
      return layer(options)
    })
  )
