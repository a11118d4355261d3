/**
 * Settings that change while the server runs: on `snowguard admin reload`, on SIGHUP, and where `reload` is "watch" when
 * the file has changed.
 *
 * ```
 *   read all of it ──faults──> nothing changes; told in the log, the status, the metrics and by alerts
 *        '──> what the services can take while they run ──> one reference, which each of their steps reads
 *        '──> what they read at the start alone ─────────> named as such, and stays as it was
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import { stat } from "node:fs/promises"
import * as ServerConfig from "../config/ServerConfig.js"
import * as Bulkhead from "../guard/Bulkhead.js"
import * as RateLimiter from "../guard/RateLimiter.js"
import type { Outcome, Status } from "../operate/Reloads.js"
import { listed } from "../platform/core/format.js"
import { isGroup, same } from "../platform/core/same.js"
import { begin, counter } from "../platform/metrics.js"
import type * as Live from "../platform/Live.js"
import * as Quota from "../quota/Quota.js"

type Settings = ServerConfig.Settings

/**
 * Where settings come from, and where they go to.
 *
 * @since 0.1.0
 * @category models
 */
export interface Source {
  readonly live: Live.Live<Settings>
  readonly set: (settings: Settings) => Effect.Effect<void>
  /** Reads everything again. */
  readonly load: Effect.Effect<ServerConfig.Loaded, ServerConfig.ConfigFaults>
  /** The file, where there is one. */
  readonly path: string | undefined
  /** Waits for the next SIGHUP. */
  readonly hangup: Effect.Effect<void>
}

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** Below these the names are the operator's. */
const named: ReadonlySet<string> = new Set(["tiers", "clients", "alerts", "tools", "mask"])

/** Of what a tier observes: rate limits, not quotas. */
const isRate = (name: string): boolean =>
  name === "rate" || RateLimiter.Scope.literals.some((scope) => scope === name)

/** The keys at which two settings differ, as they are written in a file. */
const differences = (a: unknown, b: unknown, path: ReadonlyArray<string> = []): ReadonlyArray<string> => {
  if (same(a, b)) return []
  const last = path[path.length - 1] ?? ""
  if (!isGroup(a) && !isGroup(b)) return [path.join(".")]
  const [left, right] = [isGroup(a) ? a : {}, isGroup(b) ? b : {}]
  return [...new Set([...Object.keys(left), ...Object.keys(right)])].flatMap((name) =>
    differences(left[name], right[name], [...path, named.has(last) ? name : snake(name)])
  )
}

/**
 * The settings that can come into force now: the new ones, and of those that are read at the start alone the old ones.
 *
 * @internal
 */
export const effective = (old: Settings, next: Settings): Settings => {
  // Buckets in Redis are those of a fleet: each server would have limits of its own until all have read theirs.
  const rates = old.rateLimits === "local"
  const tiers: { [name: string]: Settings["tiers"][string] } = Object.create(null)
  for (const [name, tier] of Object.entries(next.tiers)) {
    const before = old.tiers[name] ?? old.tiers["default"] ?? tier
    tiers[name] = {
      ...tier,
      snowflake: before.snowflake,
      ...(rates
        ? {}
        : {
            observe: [...before.observe.filter(isRate), ...tier.observe.filter((name) => !isRate(name))],
            requestsPerSecond: before.requestsPerSecond,
            burst: before.burst,
            initialTokens: before.initialTokens,
            totalRequestsPerSecond: before.totalRequestsPerSecond,
            totalBurst: before.totalBurst,
            tools: before.tools
          })
    }
  }
  const clients: { [name: string]: Settings["clients"][string] } = Object.create(null)
  for (const [name, client] of Object.entries(next.clients)) {
    const before = old.clients[name]
    clients[name] = before === undefined ? client : { ...client, snowflake: before.snowflake }
  }
  return {
    ...old,
    log: { ...old.log, level: next.log.level },
    limits: rates
      ? next.limits
      : {
          ...next.limits,
          requestsPerSecond: old.limits.requestsPerSecond,
          burst: old.limits.burst,
          queriesPerSecond: old.limits.queriesPerSecond,
          queryBurst: old.limits.queryBurst,
          maxClients: old.limits.maxClients,
          reservedShare: old.limits.reservedShare
        },
    timeouts: { ...next.timeouts, shutdownSeconds: old.timeouts.shutdownSeconds },
    results: {
      ...next.results,
      cursorKey: old.results.cursorKey,
      cursorKeyFile: old.results.cursorKeyFile,
      tokenKey: old.results.tokenKey,
      tokenKeyFile: old.results.tokenKeyFile
    },
    globalQuota: next.globalQuota,
    tools: next.tools,
    tiers,
    clients,
    alerts: next.alerts
  }
}

/**
 * What changes now and what at the next start, by key.
 *
 * @internal
 */
export const plan = (old: Settings, next: Settings) => {
  const settings = effective(old, next)
  return { settings, changed: differences(old, settings), needRestart: differences(settings, next) }
}

/** What the services would refuse. */
const problems = (settings: Settings): ReadonlyArray<string> => [
  ...RateLimiter.problems(ServerConfig.rateLimiterOptions(settings)),
  ...Bulkhead.problems(ServerConfig.bulkheadOptions(settings, { shared: true })),
  ...Quota.problems(ServerConfig.quotaOptions(settings))
]

const reloads = counter(
  "snowguard_config_reloads_total",
  "Settings that were read again: applied, same or refused."
)

const LOOK_EVERY = "1 second"

/**
 * Reads settings again when it is told to, while the scope is open.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = ({ hangup, live, load, path, set }: Source) =>
  Effect.gen(function* () {
    const started = yield* Clock.currentTimeMillis
    const state = yield* Ref.make<Status>({
      generation: 1,
      loadedAt: started,
      path,
      faults: [],
      needRestart: []
    })
    const oneAtATime = yield* Effect.makeSemaphore(1)
    yield* Effect.sync(() => {
      begin(reloads, { result: ["applied", "same", "refused"] })
    })

    const refused = (faults: Status["faults"]) =>
      Effect.gen(function* () {
        reloads({ result: "refused" })
        const faultsAt = yield* Clock.currentTimeMillis
        yield* Ref.update(state, (before) => ({ ...before, faults, faultsAt }))
        const texts = faults.map(({ text }) => text)
        yield* Effect.annotateLogs(
          Effect.logError("the settings are wrong, and those before stay in force"),
          { faults: texts }
        )
        return {
          changed: false,
          result: `nothing was changed, the settings are wrong:\n${texts.join("\n")}`,
          faults: texts
        }
      })

    const apply = (loaded: ServerConfig.Loaded) =>
      Effect.gen(function* () {
        const { changed, needRestart, settings } = plan(live.current(), loaded.settings)
        const found = problems(settings)
        if (found.length > 0)
          return yield* refused(found.map((text) => ({ key: text.split(" ")[0] ?? "", text })))
        if (changed.length > 0) yield* set(settings)
        reloads({ result: changed.length > 0 ? "applied" : "same" })
        const now = yield* Clock.currentTimeMillis
        yield* Ref.update(state, ({ generation }) => ({
          generation: changed.length > 0 ? generation + 1 : generation,
          loadedAt: now,
          path,
          faults: [],
          needRestart
        }))
        const result =
          (changed.length === 0
            ? "no setting that is read while it runs has changed"
            : `changed: ${listed(changed)}`) +
          (needRestart.length === 0 ? "" : `; only after a restart: ${listed(needRestart)}`)
        yield* Effect.logInfo(`settings were read again: ${result}`)
        return { changed: changed.length > 0, result, faults: [] }
      })

    const reload: Effect.Effect<Outcome> = Effect.either(load).pipe(
      Effect.flatMap(
        Either.match({
          onLeft: (faults): Effect.Effect<Outcome> => {
            const texts = faults.render().split("\n")
            return refused(faults.faults.map(({ key }, i) => ({ key, text: texts[i] ?? key })))
          },
          onRight: apply
        })
      ),
      Effect.uninterruptible,
      oneAtATime.withPermits(1)
    )

    yield* Effect.forkScoped(Effect.forever(Effect.zipRight(hangup, reload)))

    if (live.current().reload === "watch" && path !== undefined) {
      /** What says that a file is another one; undefined while it is not there. */
      const mark = Effect.promise(() =>
        stat(path, { bigint: true }).then(
          ({ ino, mtimeNs, size }) => `${ino} ${mtimeNs} ${size}`,
          () => undefined
        )
      )
      const seen = yield* Ref.make({ taken: yield* mark, last: undefined as string | undefined })
      const look = Effect.gen(function* () {
        const now = yield* mark
        // Twice the same: it is not being written.
        const settled = yield* Ref.modify(seen, ({ last, taken }) => {
          const settled = now !== undefined && now !== taken && now === last
          return [settled, { taken: settled ? now : taken, last: now }]
        })
        if (settled) yield* reload
      })
      yield* Effect.forkScoped(Effect.repeat(look, Schedule.spaced(LOOK_EVERY)))
    }

    return { reload, status: Ref.get(state) }
  })
