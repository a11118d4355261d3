/**
 * THE WIRING of what servers share: where quotas are kept, and where the buckets of the rate limits are.
 *
 * ```
 * sqlite   one file in the state directory: all servers of this user
 * redis    one Redis: all servers of a fleet; optionally with leases, optionally the rate limits too
 * memory   this process
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { statSync } from "node:fs"
import { join } from "node:path"
import * as CircuitBreaker from "../guard/CircuitBreaker.js"
import { sentence } from "../platform/core/format.js"
import { codeOf } from "../platform/fileReasons.js"
import * as QuotaStore from "../quota/QuotaStore.js"
import * as Opened from "../quota/stores/Opened.js"
import { errorIn } from "../quota/stores/redis/errors.js"
import * as RateLimiter from "../guard/RateLimiter.js"
import * as Live from "../platform/Live.js"
import type { Redis, RedisError } from "../platform/Redis.js"
import * as ServerConfig from "../config/ServerConfig.js"

type Settings = ServerConfig.Settings
type Stores = QuotaStore.QuotaStore | QuotaStore.StoreHealth

/** Our stores bound their own waits. */
const BOUNDED = Number.POSITIVE_INFINITY

/** An adapter is a chunk of its own, loaded when it is chosen. */
const load = <M, A, E, R>(module: () => Promise<M>, layer: (module: M) => Layer.Layer<A, E, R>) =>
  Layer.unwrapEffect(Effect.map(Effect.promise(module), layer))

const fault = (key: string, message: string) =>
  new ServerConfig.ConfigFaults({ faults: [{ key, source: "file", message }] })

/** Of the process: the directory for what must survive a restart, or why there is none. */
type Directory = Either.Either<string, string>

const fileIn = (directory: string): string => join(directory, "quota.db")

/**
 * The path of the store that is a file, where no server has made it yet: to open it would make it.
 *
 * @since 0.1.0
 * @category getters
 */
export const absentStore = ({ quotaStore }: Settings, directory: Directory): Option.Option<string> =>
  quotaStore.kind !== "sqlite"
    ? Option.none()
    : Option.filter(Option.map(Either.getRight(directory), fileIn), isAbsent)

/** What cannot be looked at is opened, which tells why. An empty file is one that a server was about to make. */
const isAbsent = (path: string): boolean => {
  try {
    return statSync(path).size === 0
  } catch (cause) {
    return codeOf(cause) === "ENOENT"
  }
}

const sqlite = ({ quotaStore }: Settings, directory: Directory) =>
  Either.match(directory, {
    onLeft: (description) =>
      Layer.fail(new QuotaStore.QuotaStoreError({ operation: "open", description, lasting: true })),
    onRight: (path) =>
      load(
        () => import("../quota/stores/Sqlite.js"),
        (adapter) =>
          adapter.layer({
            path: fileIn(path),
            durability: quotaStore.durability,
            windows: quotaStore.windows,
            lockTimeoutMs: quotaStore.lockWaitSeconds * 1000
          })
      )
  })

const redisStore = ({ quotaStore }: Settings): Layer.Layer<QuotaStore.QuotaStore, never, Redis> =>
  load(
    () => import("../quota/stores/Redis.js"),
    (adapter) => adapter.layer({ windows: quotaStore.windows })
  )

/** One connection, under the quotas and the rate limits alike. */
const connection = ({
  quotaStore: { redisPrefix, redisTimeoutSeconds, redisUrl }
}: Settings): Layer.Layer<Redis, ServerConfig.ConfigFaults> =>
  redisUrl === undefined
    ? Layer.fail(fault("quota_store.redis_url", "is needed for what is kept in Redis"))
    : load(
        () => import("../platform/Redis.js"),
        (adapter) =>
          adapter.layer({
            url: Redacted.value(redisUrl),
            prefix: redisPrefix,
            commandTimeoutMs: redisTimeoutSeconds * 1000,
            circuit: CircuitBreaker.forConnection("redis")
          })
      ).pipe(
        Layer.catchAll((error: RedisError) => Layer.fail(fault("quota_store.redis_url", error.description)))
      )

/** What is waited for without a word. */
const SLOW_MS = 500

/** Says what a start waits for. */
const toldWhenSlow = <A, E, R>(what: string, layer: Layer.Layer<A, E, R>): Layer.Layer<A, E, R> =>
  Layer.unwrapScoped(
    Effect.map(Effect.forkScoped(Effect.delay(Effect.logInfo(`waiting for ${what}`), SLOW_MS)), (fiber) =>
      Layer.tap(layer, () => Fiber.interrupt(fiber))
    )
  )

/** One that is not there when a server starts is one that cannot be opened; one that is lost later is looked for. */
const present = <A, E, R>(layer: Layer.Layer<A, E, R>) =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const { Redis } = yield* Effect.promise(() => import("../platform/Redis.js"))
      const { check } = yield* Redis
      return yield* Effect.as(Effect.mapError(check, errorIn("open")), layer)
    })
  )

/** Rate limits keep no books: a server starts without the others' buckets, and says so. */
const toldWhenAlone = Layer.scopedDiscard(
  Effect.gen(function* () {
    const { Redis } = yield* Effect.promise(() => import("../platform/Redis.js"))
    const { check } = yield* Redis
    const tell = ({ description }: RedisError) =>
      Effect.logWarning(
        `the rate limits are not shared: ${sentence(description)} Until Redis answers, this server applies them by itself`
      )
    yield* Effect.forkScoped(Effect.catchAll(check, tell))
  })
)

const inRedis = (settings: Settings): Layer.Layer<Stores, QuotaStore.QuotaStoreError, Redis> =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const { Redis } = yield* Effect.promise(() => import("../platform/Redis.js"))
      const { replicas } = yield* Redis
      const { onUnavailable, windows } = settings.quotaStore
      const store = toldWhenSlow("Redis (quota_store.redis_url)", present(redisStore(settings)))
      return Opened.layer(store, {
        onUnavailable,
        windows,
        replicas,
        timeoutMs: BOUNDED
      })
    })
  )

const here = (settings: Settings, directory: Directory): Layer.Layer<Stores, QuotaStore.QuotaStoreError> => {
  const { kind, lockWaitSeconds, onUnavailable, windows } = settings.quotaStore
  if (kind === "sqlite") {
    return Opened.layer(toldWhenSlow("the quota store (quota.db)", sqlite(settings, directory)), {
      onUnavailable,
      windows,
      timeoutMs: BOUNDED,
      boundMs: lockWaitSeconds * 1000
    })
  }
  const memory = windows === "rolling" ? QuotaStore.layerMemoryRolling : QuotaStore.layerMemory
  return Layer.merge(
    memory,
    Layer.succeed(QuotaStore.StoreHealth, {
      status: Effect.succeed({ mode: "normal" as const }),
      boundMs: 0
    })
  )
}

/**
 * Where it is remembered what was used, and the rate limits: over one connection where both are in Redis,
 * since it is one layer in both.
 *
 * @since 0.1.0
 * @category layers
 */
export const parts = (given: Settings | Live.Live<Settings>, directory: Directory) => {
  const live = Live.from(given)
  const settings = live.current()
  const shared = connection(settings)
  const options = Live.map(live, ServerConfig.rateLimiterOptions)
  const quotaStore: Layer.Layer<Stores, QuotaStore.QuotaStoreError | ServerConfig.ConfigFaults> =
    settings.quotaStore.kind === "redis"
      ? Layer.provide(inRedis(settings), shared)
      : here(settings, directory)
  const rateLimiter: Layer.Layer<RateLimiter.RateLimiter, ServerConfig.ConfigFaults> =
    settings.rateLimits === "local"
      ? Layer.orDie(RateLimiter.layer(options))
      : Layer.provide(
          load(
            () => import("../guard/RateLimiterRedis.js"),
            (adapter) => Layer.merge(Layer.orDie(adapter.layer(options)), toldWhenAlone)
          ),
          shared
        )
  return { quotaStore, rateLimiter }
}
