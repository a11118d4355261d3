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
import type { Script } from "../internal/redis/script.js"
import type { Actual, Charge, Decision, Usage } from "../QuotaStore.js"
import { QuotaStore, QuotaStoreError } from "../QuotaStore.js"
import * as Redis from "../Redis.js"
import * as Codec from "./redis/codec.js"
import * as Scripts from "./redis/scripts.js"

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

type Answer = ReadonlyArray<number>
type Granted = Extract<Decision, { readonly _tag: "Granted" }>
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

const at = (answer: Answer, index: number): number => answer[index] ?? Number.NaN

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<Context.Tag.Service<QuotaStore>, never, Redis.Redis> =>
  Effect.gen(function* () {
    const redis = yield* Redis.Redis
    const rolling = options.windows === "rolling" ? 1 : 0
    const unique = (yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)).toString(36)
    let nextId = 0

    /** One script over these scope keys. */
    const run = (
      operation: string,
      script: Script,
      keys: ReadonlyArray<string>,
      args: ReadonlyArray<string | number>
    ): Effect.Effect<Answer, QuotaStoreError> => {
      const redisKeys = keys.flatMap((key) => Codec.redisKeys(redis.prefix, key))
      const call = (now: string | number) =>
        Effect.mapBoth(redis.run(script, redisKeys, [now, rolling, ...args]), {
          onSuccess: Codec.doubles,
          onFailure: errorIn(operation)
        })
      return options.time === "clock" ? Effect.flatMap(Clock.currentTimeMillis, call) : call("")
    }

    /** The charges of one script. */
    const decide = (
      operation: string,
      charges: ReadonlyArray<Charge>,
      field: string,
      ttlMs: number
    ): Effect.Effect<readonly [Granted["usage"], Codec.Part] | Refused, QuotaStoreError> => {
      const keys = [...new Set(charges.map(({ key }) => key))]
      const args: Array<string | number> = [field, Codec.numeral(ttlMs)]
      for (const { amount, key, limit, postPaid, quota } of charges) {
        args.push(
          keys.indexOf(key) + 1,
          Codec.codeOf(quota),
          Codec.numeral(limit),
          Codec.numeral(amount),
          postPaid === true ? 1 : 0
        )
      }
      return Effect.map(run(operation, Scripts.reserve, keys, args), (answer) => {
        if (at(answer, 0) === 1) {
          const usage = charges.map(({ key, limit, quota }, i) => ({
            key,
            quota,
            used: at(answer, 3 * i + 3),
            reserved: at(answer, 3 * i + 4),
            resetAt: at(answer, 3 * i + 5),
            limit
          }))
          return [usage, { field, keys, since: at(answer, 1), until: at(answer, 2) }]
        }
        const charge = charges[at(answer, 2)]
        if (charge === undefined) throw new Error("a refusal that names no charge")
        const { key, limit, quota } = charge
        const [used, reserved, resetAt] = [at(answer, 3), at(answer, 4), at(answer, 5)]
        return { _tag: "Refused", key, quota, limit, used, reserved, resetAt }
      })
    }

    const finish = (
      operation: string,
      part: Codec.Part,
      actual: ReadonlyArray<Actual>,
      settles: boolean
    ): Effect.Effect<boolean, QuotaStoreError> => {
      const keys = [...new Set([...part.keys, ...actual.map(({ key }) => key)])]
      const args = [
        part.field,
        Codec.numeral(part.since),
        Codec.numeral(part.until),
        part.keys.length,
        settles ? 1 : 0,
        ...actual.flatMap(({ amount, key, quota }) => [
          keys.indexOf(key) + 1,
          Codec.codeOf(quota),
          Codec.numeral(amount)
        ])
      ]
      return Effect.map(run(operation, Scripts.finish, keys, args), (answer) => at(answer, 0) === 1)
    }

    /** An id that is none of ours has a place of its own, where it is remembered that it was seen. */
    const partsOf = (id: string): ReadonlyArray<Codec.Part> =>
      Codec.decode(id) ?? [
        { field: "id", keys: [`~${id}`], since: Number.NEGATIVE_INFINITY, until: Number.POSITIVE_INFINITY }
      ]

    const finishAll = (
      operation: "settle" | "release",
      id: string,
      actual: ReadonlyArray<Actual>
    ): Effect.Effect<void, QuotaStoreError> =>
      Effect.forEach(
        partsOf(id),
        (part) => {
          const settles = operation === "settle"
          if (!redis.cluster) return finish(operation, part, actual, settles)
          const [own, foreign] = [
            actual.filter(({ key }) => part.keys.includes(key)),
            Codec.decode(id) === undefined ? actual : []
          ]
          return Effect.flatMap(finish(operation, part, own, settles), (known) =>
            known
              ? Effect.void
              : Effect.forEach(
                  grouped(foreign, ({ key }) => key),
                  (group) =>
                    finish(operation, { ...part, keys: [group[0]?.key ?? ""], field: id }, group, settles)
                )
          )
        },
        { concurrency: "unbounded", discard: true }
      )

    const slots = (charges: ReadonlyArray<Charge>): ReadonlyArray<ReadonlyArray<Charge>> =>
      redis.cluster ? grouped(charges, ({ key }) => key) : [charges]

    /** One group after the other; when one is refused or fails, what was taken before is given back. */
    const decideAll = (
      operation: string,
      charges: ReadonlyArray<Charge>,
      field: string,
      ttlMs: number
    ): Effect.Effect<Decision, QuotaStoreError> => {
      const groups = slots(charges)
      const [only] = groups
      if (groups.length === 1 && only !== undefined) {
        return Effect.map(decide(operation, only, field, ttlMs), (decided) =>
          "_tag" in decided ? decided : granted(charges, decided[0], [decided[1]], field)
        )
      }
      const parts: Array<Codec.Part> = []
      const usage: Array<Granted["usage"][number]> = []
      return Effect.gen(function* () {
        let refused: Refused | undefined = undefined
        for (const group of groups) {
          // After a refusal the others are only asked: which of them takes longest to clear?
          const held: string = refused === undefined ? field : ""
          const decided: readonly [Granted["usage"], Codec.Part] | Refused = yield* decide(
            operation,
            group,
            held,
            ttlMs
          )
          if ("_tag" in decided) {
            if (refused === undefined || decided.resetAt > refused.resetAt) refused = decided
          } else {
            if (held !== "") parts.push(decided[1])
            usage.push(...decided[0])
          }
        }
        if (refused !== undefined) {
          yield* giveBack(parts)
          return refused
        }
        return granted(charges, usage, parts, field)
      }).pipe(Effect.onError(() => giveBack(parts)))
    }

    const giveBack = (parts: ReadonlyArray<Codec.Part>) =>
      Effect.forEach(parts, (part) => Effect.ignore(finish("release", part, [], false)), { discard: true })

    const granted = (
      charges: ReadonlyArray<Charge>,
      usage: Granted["usage"],
      parts: ReadonlyArray<Codec.Part>,
      field: string
    ): Granted => ({
      _tag: "Granted",
      reservation: field === "" ? "" : Codec.encode(parts),
      usage:
        usage.length === charges.length && redis.cluster
          ? charges.flatMap(
              ({ key, quota }) => usage.find((own) => own.key === key && own.quota === quota) ?? []
            )
          : usage
    })

    const nothing: Granted = { _tag: "Granted", reservation: "", usage: [] }

    const usageIn = (
      operation: string,
      keys: ReadonlyArray<string>
    ): Effect.Effect<ReadonlyArray<Usage>, QuotaStoreError> =>
      keys.length === 0
        ? Effect.succeed([])
        : Effect.map(run(operation, Scripts.usage, keys, []), (answer) => {
            let next = 0
            return keys.flatMap((key) => {
              const count = at(answer, next)
              next += 1
              const found: Array<Usage> = []
              for (let i = 0; i < count; i++, next += 4) {
                const quota = Codec.quotaOf(at(answer, next))
                if (quota === undefined) continue
                const [used, reserved, resetAt] = [
                  at(answer, next + 1),
                  at(answer, next + 2),
                  at(answer, next + 3)
                ]
                found.push({ key, quota, used, reserved, resetAt })
              }
              return found.sort((a, b) => (a.quota < b.quota ? -1 : 1))
            })
          })

    /** Redis has no order among its keys: those of the first page are kept for the pages after it. */
    let snapshot: { readonly at: number; readonly keys: ReadonlyArray<string> } | undefined
    const sortedKeys = (fresh: boolean): Effect.Effect<ReadonlyArray<string>, QuotaStoreError> =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        !fresh && snapshot !== undefined && Math.abs(now - snapshot.at) < SNAPSHOT_MS
          ? Effect.succeed(snapshot.keys)
          : Effect.map(Effect.mapError(redis.scan(`${redis.prefix}q:*`), errorIn("list")), (found) => {
              const keys = [...new Set(found.map((key) => Codec.scopeKeyOf(redis.prefix, key)))]
                .filter((key) => !key.startsWith("~"))
                .sort()
              snapshot = { at: now, keys }
              return keys
            })
      )

    return QuotaStore.of({
      reserve: (charges, ttlMs) =>
        Effect.suspend(() => {
          if (charges.length === 0) return Effect.succeed(nothing)
          nextId += 1
          return decideAll("reserve", charges, `${unique}-${nextId.toString(36)}`, ttlMs)
        }),
      check: (charges) =>
        charges.length === 0 ? Effect.succeed(nothing) : decideAll("check", charges, "", 0),
      submitted: (id) =>
        Effect.forEach(
          Codec.decode(id) ?? [],
          (part) => run("submitted", Scripts.submitted, part.keys, [part.field]),
          { concurrency: "unbounded", discard: true }
        ),
      settle: (id, actual) => (id === "" ? Effect.void : finishAll("settle", id, actual)),
      release: (id) => (id === "" ? Effect.void : finishAll("release", id, [])),
      usage: (key) => usageIn("usage", [key]),
      list: (cursor) =>
        Effect.flatMap(sortedKeys(cursor === undefined), (all) => {
          const keys = cursor === undefined ? all : all.filter((key) => key > cursor)
          const page = keys.slice(0, PAGE_KEYS)
          const pages = redis.cluster ? page.map((key) => [key]) : [page]
          return Effect.map(
            Effect.forEach(pages, (own) => usageIn("list", own), { concurrency: "unbounded" }),
            (usage) => ({
              usage: usage.flat(),
              next: keys.length > PAGE_KEYS ? page[PAGE_KEYS - 1] : undefined
            })
          )
        }),
      reset: (key, quota) =>
        Effect.asVoid(run("reset", Scripts.reset, [key], [quota === undefined ? "" : Codec.codeOf(quota)]))
    })
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<QuotaStore, never, Redis.Redis> =>
  Layer.effect(QuotaStore, make(options))
