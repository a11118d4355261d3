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
 * made of several steps; when a later one is refused, the earlier ones are given back.
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
import type * as Window from "../core/Window.js"
import type { Actual, Charge, Decision, Usage } from "../QuotaStore.js"
import type { QuotaStoreError } from "../QuotaStore.js"
import { QuotaStore } from "../QuotaStore.js"
import * as Redis from "../../platform/Redis.js"
import * as Batches from "./redis/batches.js"
import * as Codec from "./redis/codec.js"
import { errorIn } from "./redis/errors.js"
import * as Operations from "./redis/operations.js"

/**
 * How windows move, and whose clock is believed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Must be the same in every server. Default `fixed`. */
  readonly windows?: Window.Mode | undefined
  /** Whose time: the server's, or, for tests, this process's `Clock`. Default `server`. */
  readonly time?: "server" | "clock" | undefined
}

type Granted = Extract<Decision, { readonly _tag: "Granted" }>
type Refused = Extract<Decision, { readonly _tag: "Refused" }>

const PAGE_KEYS = 100
const SNAPSHOT_MS = 60_000

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
 * A store over the connection of the context. Building it never fails: an operation does, while Redis is away.
 *
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

    const decide = (
      operation: string,
      charges: ReadonlyArray<Charge>,
      ttlMs: number | undefined
    ): Effect.Effect<Decision, QuotaStoreError> =>
      submit(operation, groupOf(charges[0]?.key ?? ""), () => {
        if (ttlMs !== undefined) serial += 1
        return Operations.reserve(charges, ttlMs, mode, server, serial)
      })

    /** One group after the other; when one is refused or fails, what was taken before is given back. */
    const decideApart = (
      operation: string,
      charges: ReadonlyArray<Charge>,
      groups: ReadonlyArray<ReadonlyArray<Charge>>,
      ttlMs: number | undefined
    ): Effect.Effect<Decision, QuotaStoreError> =>
      Effect.suspend(() => {
        const ids: Array<string> = []
        const usage: Array<Granted["usage"][number]> = []
        const index = (refused: Refused) =>
          charges.findIndex(({ key, quota }) => key === refused.key && quota === refused.quota)
        /** Of several in the way: the one that takes longest to clear, or the first of them. */
        const isNamedBefore = (a: Refused, b: Refused): boolean =>
          a.resetAt > b.resetAt || (a.resetAt === b.resetAt && index(a) < index(b))
        const giveBack = Effect.suspend(() =>
          Effect.forEach(ids, (id) => Effect.ignore(finish("release", id, [])), { discard: true })
        )
        // An interruption waits for the answer: what is granted behind its back could not be given back.
        const step = (group: ReadonlyArray<Charge>, held: number | undefined) =>
          decide(operation, group, held).pipe(
            Effect.tap((decided) => {
              if (held !== undefined && decided._tag === "Granted") ids.push(decided.reservation)
              return Effect.void
            }),
            Effect.uninterruptible
          )
        return Effect.gen(function* () {
          let refused: Refused | undefined = undefined
          for (const group of groups) {
            // After a refusal the others are only asked: which of them takes longest to clear?
            const held: number | undefined = refused === undefined ? ttlMs : undefined
            const decided: Decision = yield* step(group, held)
            if (decided._tag === "Granted") usage.push(...decided.usage)
            else if (refused === undefined || isNamedBefore(decided, refused)) refused = decided
          }
          if (refused !== undefined) {
            yield* giveBack
            return refused
          }
          const inOrder = charges.flatMap(
            ({ key, quota }) => usage.find((own) => own.key === key && own.quota === quota) ?? []
          )
          return { _tag: "Granted" as const, reservation: Codec.joined(ids), usage: inOrder }
        }).pipe(Effect.onError(() => giveBack))
      })

    const decideAll = (
      operation: string,
      charges: ReadonlyArray<Charge>,
      ttlMs: number | undefined
    ): Effect.Effect<Decision, QuotaStoreError> => {
      if (charges.length === 0) return Effect.succeed(nothing)
      if (!redis.cluster) return decide(operation, charges, ttlMs)
      const groups = grouped(charges, ({ key }) => key)
      return groups.length === 1
        ? decide(operation, charges, ttlMs)
        : decideApart(operation, charges, groups, ttlMs)
    }

    type Finish = "submitted" | "settle" | "release"

    const finishPart = (operation: Finish, part: Codec.Part, actual: ReadonlyArray<Actual>, group?: string) =>
      submit(operation, groupOf(group ?? part.keys[0] ?? ""), () =>
        Operations.finish(operation, part, actual)
      )

    const finish = (
      operation: Finish,
      id: string,
      actual: ReadonlyArray<Actual>
    ): Effect.Effect<void, QuotaStoreError> => {
      if (id === "") return Effect.void
      const parts = Codec.decode(id)
      if (parts === undefined) return finishUnknown(operation, id, actual)
      const [only] = parts
      if (!redis.cluster && parts.length === 1 && only !== undefined) {
        return Effect.asVoid(finishPart(operation, only, actual))
      }
      return Effect.forEach(
        parts,
        (part) => {
          const own = actual.filter(({ key }) => part.keys.includes(key))
          return finishPart(operation, part, own)
        },
        { concurrency: "unbounded", discard: true }
      )
    }

    const finishUnknown = (
      operation: Finish,
      id: string,
      actual: ReadonlyArray<Actual>
    ): Effect.Effect<void, QuotaStoreError> => {
      if (operation === "submitted") return Effect.void
      const part = Codec.unknown(id)
      if (!redis.cluster) return Effect.asVoid(finishPart(operation, part, actual))
      // In a cluster the id is remembered in one slot of its own.
      return Effect.flatMap(finishPart("release", part, [], `~${Codec.idOf(part.record)}`), (known) =>
        known
          ? Effect.void
          : Effect.forEach(
              grouped(actual, ({ key }) => key),
              (own) => finishPart(operation, part, own, own[0]?.key),
              { discard: true }
            )
      )
    }

    const usageOf = (operation: string, key: string): Effect.Effect<ReadonlyArray<Usage>, QuotaStoreError> =>
      submit(operation, groupOf(key), () => Operations.usage(key))

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
      submitted: (id) => finish("submitted", id, []),
      settle: (id, actual) => finish("settle", id, actual),
      release: (id) => finish("release", id, []),
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
      reset: (key, quota) => submit("reset", groupOf(key), () => Operations.reset(key, quota))
    })
  })

/**
 * A store over the connection of the context.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<QuotaStore, never, Redis.Redis> =>
  Layer.effect(QuotaStore, make(options))
