/**
 * ADAPTER of the `QuotaStore` port: one Redis (or Valkey) for a fleet of servers. A limit is one limit
 * however many of them count against it.
 *
 *  - Exact: each operation is one script, so one atomic step, on the server's time.
 *  - Nothing is sent twice. What timed out may have been counted, and counts as spent.
 *  - Nothing stays for ever: every key lives until its windows are over.
 *  - After data was lost (`FLUSHALL`, a restart without persistence) counting begins anew; what was
 *    reserved before is charged, when it is settled, to the current window.
 *
 * In a Redis cluster one script reaches only the keys of one scope. A reservation over several is then
 * made of several steps; when a later one is refused, the earlier ones are given back. The total of all
 * clients, which would be a single busy key, is best counted by leases (`Leased.ts`) there.
 *
 * Redis should run with `maxmemory-policy noeviction`: an evicted counter is a forgotten one.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as QuotaWindow from "../core/QuotaWindow.js"
import type { Actual, Charge, Decision, Usage } from "../QuotaStore.js"
import { QuotaStore, QuotaStoreError } from "../QuotaStore.js"
import * as Redis from "../Redis.js"
import * as Batches from "./redis/batches.js"
import * as Codec from "./redis/codec.js"
import * as Operations from "./redis/operations.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Must be the same in every server. Default `fixed`. */
  readonly windows?: QuotaWindow.Mode | undefined
  /** Whose time: the server's, or, for tests, this process's `Clock`. Default `server`. */
  readonly time?: "server" | "clock" | undefined
}

type Refused = Extract<Decision, { readonly _tag: "Refused" }>

const PAGE_KEYS = 100
const SNAPSHOT_MS = 60_000

const described: ReadonlyArray<readonly [said: string, description: string]> = [
  ["SNOWGUARD newer", "a newer version of this server counts under this prefix; update this server"],
  [
    "SNOWGUARD windows",
    "other servers count in other windows under this prefix; use the same windows in all of them, or another prefix"
  ]
]

const errorIn =
  (operation: string) =>
  ({ description, retryAfterMs }: Redis.RedisError): QuotaStoreError =>
    new QuotaStoreError({
      operation,
      description: described.find(([said]) => description.includes(said))?.[1] ?? description,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs })
    })

/** By the slots of a cluster: all together where there is only one node. */
const grouped = <A>(
  values: ReadonlyArray<A>,
  keyOf: (value: A) => string
): ReadonlyArray<ReadonlyArray<A>> => {
  const groups = new Map<string, Array<A>>()
  for (const value of values) {
    const group = groups.get(keyOf(value))
    if (group === undefined) groups.set(keyOf(value), [value])
    else group.push(value)
  }
  return [...groups.values()]
}

const nothing: Decision = { _tag: "Granted", reservation: "", usage: [] }

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<Context.Tag.Service<QuotaStore>, never, Redis.Redis> =>
  Effect.gen(function* () {
    const { time = "server", windows: mode = "fixed" } = options
    const redis = yield* Redis.Redis
    const submit = yield* Batches.make({ redis, mode, time })
    const server = yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)
    let serial = 0

    /** All keys where they are: in a cluster, those of one script share one. */
    const groupOf = (key: string): string | undefined => (redis.cluster ? key : undefined)

    const decide = (charges: ReadonlyArray<Charge>, ttlMs: number | undefined) =>
      Effect.suspend(() => {
        if (ttlMs !== undefined) serial += 1
        return submit(
          groupOf(charges[0]?.key ?? ""),
          Operations.reserve(charges, ttlMs, mode, server, serial)
        )
      })

    /** One group after the other; when one is refused or fails, what was taken before is given back. */
    const decideApart = (
      charges: ReadonlyArray<Charge>,
      groups: ReadonlyArray<ReadonlyArray<Charge>>,
      ttlMs: number | undefined
    ): Effect.Effect<Decision, Redis.RedisError> => {
      const parts: Array<Codec.Part> = []
      const usage: Array<Operations.Granted["usage"][number]> = []
      return Effect.gen(function* () {
        let refused: Refused | undefined = undefined
        for (const group of groups) {
          // After a refusal the others are only asked: which of them takes longest to clear?
          const held: number | undefined = refused === undefined ? ttlMs : undefined
          const decided: Operations.Granted | Refused = yield* decide(group, held)
          if (decided._tag === "Refused") {
            if (refused === undefined || decided.resetAt > refused.resetAt) refused = decided
          } else {
            if (held !== undefined) parts.push(decided.part)
            usage.push(...decided.usage)
          }
        }
        if (refused !== undefined) {
          yield* giveBack(parts)
          return refused
        }
        const inOrder = charges.flatMap(
          ({ key, quota }) => usage.find((own) => own.key === key && own.quota === quota) ?? []
        )
        return granted(parts, inOrder, ttlMs)
      }).pipe(Effect.onError(() => giveBack(parts)))
    }

    const giveBack = (parts: ReadonlyArray<Codec.Part>) =>
      Effect.forEach(parts, (part) => Effect.ignore(finish("release", part, [])), { discard: true })

    const granted = (
      parts: ReadonlyArray<Codec.Part>,
      usage: Operations.Granted["usage"],
      ttlMs: number | undefined
    ): Decision => ({
      _tag: "Granted",
      reservation: ttlMs === undefined ? "" : Codec.encode(parts),
      usage
    })

    const decideAll = (
      operation: string,
      charges: ReadonlyArray<Charge>,
      ttlMs: number | undefined
    ): Effect.Effect<Decision, QuotaStoreError> => {
      if (charges.length === 0) return Effect.succeed(nothing)
      const groups = redis.cluster ? grouped(charges, ({ key }) => key) : [charges]
      return Effect.mapError(
        groups.length === 1
          ? Effect.map(decide(charges, ttlMs), (decided) =>
              decided._tag === "Refused" ? decided : granted([decided.part], decided.usage, ttlMs)
            )
          : decideApart(charges, groups, ttlMs),
        errorIn(operation)
      )
    }

    const finish = (
      operation: "submitted" | "settle" | "release",
      part: Codec.Part,
      actual: ReadonlyArray<Actual>
    ): Effect.Effect<boolean, Redis.RedisError> =>
      submit(groupOf(part.keys[0] ?? actual[0]?.key ?? ""), Operations.finish(operation, part, actual))

    const finishAll = (
      operation: "submitted" | "settle" | "release",
      id: string,
      actual: ReadonlyArray<Actual>
    ): Effect.Effect<void, QuotaStoreError> => {
      if (id === "") return Effect.void
      const parts = Codec.decode(id)
      const [only] = parts ?? []
      const done: Effect.Effect<unknown, Redis.RedisError> =
        parts === undefined
          ? finishUnknown(operation, Codec.unknown(id), actual)
          : !redis.cluster && parts.length === 1 && only !== undefined
            ? finish(operation, only, actual)
            : Effect.forEach(
                parts,
                (part) =>
                  finish(
                    operation,
                    part,
                    actual.filter(({ key }) => part.keys.includes(key))
                  ),
                { concurrency: "unbounded", discard: true }
              )
      return Effect.asVoid(Effect.mapError(done, errorIn(operation)))
    }

    /** Each group remembers by itself that it has heard of it. */
    const finishUnknown = (
      operation: "submitted" | "settle" | "release",
      part: Codec.Part,
      actual: ReadonlyArray<Actual>
    ) => {
      if (operation === "submitted") return Effect.void
      if (!redis.cluster) return finish(operation, part, actual)
      // The one that is asked of all: who settles after a release names other keys, or none.
      const home = `~${part.record.toString("base64url")}`
      return Effect.flatMap(submit(home, Operations.finish("release", part, [])), (known) =>
        known
          ? Effect.void
          : Effect.forEach(
              grouped(actual, ({ key }) => key),
              (group) => finish(operation, part, group),
              { discard: true }
            )
      )
    }

    const usageOf = (operation: string, key: string): Effect.Effect<ReadonlyArray<Usage>, QuotaStoreError> =>
      Effect.mapError(submit(groupOf(key), Operations.usage(key)), errorIn(operation))

    /** Redis has no order among its keys: those of the first page are kept for the pages after it. */
    let snapshot: { readonly at: number; readonly keys: ReadonlyArray<string> } | undefined
    const sortedKeys = (fresh: boolean): Effect.Effect<ReadonlyArray<string>, QuotaStoreError> =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        !fresh && snapshot !== undefined && Math.abs(now - snapshot.at) < SNAPSHOT_MS
          ? Effect.succeed(snapshot.keys)
          : Effect.map(Effect.mapError(redis.scan(`${redis.prefix}q:*`), errorIn("list")), (found) => {
              const keys = [...new Set(found.map((key) => Codec.scopeKeyOf(redis.prefix, key)))].sort()
              snapshot = { at: now, keys }
              return keys
            })
      )

    return QuotaStore.of({
      reserve: (charges, ttlMs) => decideAll("reserve", charges, ttlMs),
      check: (charges) => decideAll("check", charges, undefined),
      submitted: (id) => finishAll("submitted", id, []),
      settle: (id, actual) => finishAll("settle", id, actual),
      release: (id) => finishAll("release", id, []),
      usage: (key) => usageOf("usage", key),
      list: (cursor) =>
        Effect.flatMap(sortedKeys(cursor === undefined), (all) => {
          const keys = cursor === undefined ? all : all.filter((key) => key > cursor)
          const page = keys.slice(0, PAGE_KEYS)
          return Effect.map(
            Effect.forEach(page, (key) => usageOf("list", key), { concurrency: "unbounded" }),
            (usage) => ({
              usage: usage.flat(),
              next: keys.length > PAGE_KEYS ? page[PAGE_KEYS - 1] : undefined
            })
          )
        }),
      reset: (key, quota) =>
        Effect.mapError(submit(groupOf(key), Operations.reset(key, quota)), errorIn("reset"))
    })
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<QuotaStore, never, Redis.Redis> =>
  Layer.effect(QuotaStore, make(options))
