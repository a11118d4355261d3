/**
 * Is the quota store there? Every change is logged, counted, and told to whoever asks.
 *
 * Invariant: what was asked in one mode says nothing about a later one. A call that fails late cannot lose a
 * store that has come back since.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Health, OutagePolicy, QuotaStoreError } from "../../QuotaStore.js"
import * as Telemetry from "../../Telemetry.js"

export interface Watch {
  readonly health: () => Health
  readonly isNormal: () => boolean
  /** Of the present mode. */
  readonly epoch: () => number
  /** When the store is tried again. */
  nextProbeAt: number
  /** Something failed that was asked in that epoch. */
  readonly lose: (epoch: number, error: QuotaStoreError) => Effect.Effect<void>
  readonly recovering: Effect.Effect<void>
  readonly recovered: Effect.Effect<void>
  /** A call was admitted without the store, or refused. */
  readonly decided: (now: number, admitted: boolean) => void
  /** Recovering has failed. */
  readonly failed: (error: QuotaStoreError) => Effect.Effect<void>
}

/** Some calls of a share are refused while others are admitted: refusing is when none has been for so long. */
const REFUSING_MS = 10_000

/** The number of replicas must not keep anybody waiting. */
const PATIENCE = Duration.millis(100)

export const make = (options: {
  readonly probeMs: number
  readonly replicas: Effect.Effect<number>
  /** What is expected to become of calls before one has come. */
  readonly policy: OutagePolicy
  /** The store was there, and is not any more; `wake` its recovery. */
  readonly lost: (now: number, replicas: number) => void
  readonly wake: Effect.Effect<void>
}): Effect.Effect<Watch> =>
  Effect.gen(function* () {
    let health: Health = { mode: "normal" }
    let epoch = 0
    let replicas = 1
    let admittedAt: number | undefined
    let refusedAt: number | undefined
    const isNormal = (): boolean => health.mode === "normal"

    const isRefusing = (): boolean =>
      refusedAt === undefined
        ? admittedAt === undefined && options.policy === "closed"
        : admittedAt === undefined || refusedAt - admittedAt > REFUSING_MS

    const change = (
      mode: Health["mode"],
      why: Pick<QuotaStoreError, "description" | "lasting"> | undefined
    ) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        epoch += 1
        if (isNormal()) admittedAt = refusedAt = undefined
        const since = mode === "recovering" ? health.since : now
        const reason = why?.description
        health = { mode, since, reason, ...(why?.lasting === true ? { lasting: true } : {}) }
        Telemetry.recordStoreChange(mode)
        return mode === "normal"
          ? Effect.logInfo("the quota store is back; what was admitted meanwhile has been charged to it")
          : mode === "recovering"
            ? Effect.logInfo("the quota store answers again")
            : Effect.logWarning(`the quota store is out of reach: ${reason ?? "it does not answer"}`)
      })

    const askReplicas = Effect.map(
      Effect.timeoutOption(Effect.interruptible(Effect.disconnect(options.replicas)), PATIENCE),
      (answer) => {
        if (answer._tag === "Some" && answer.value >= 1) replicas = answer.value
      }
    )
    yield* askReplicas

    const lose = (since: number, error: QuotaStoreError): Effect.Effect<void> =>
      since !== epoch || !isNormal()
        ? Effect.void
        : Effect.zipRight(
            askReplicas,
            // A store that is lost and not looked for would stay lost.
            Effect.uninterruptible(
              Effect.flatMap(Clock.currentTimeMillis, (now) => {
                if (since !== epoch || !isNormal()) return Effect.void
                options.lost(now, replicas)
                watch.nextProbeAt = now + options.probeMs
                return Effect.zipRight(change("outage", error), options.wake)
              })
            )
          )

    const watch: Watch = {
      health: () => (isNormal() ? health : { ...health, refusing: isRefusing() }),
      isNormal,
      epoch: () => epoch,
      nextProbeAt: 0,
      lose,
      recovering: Effect.suspend(() =>
        change("recovering", { description: health.reason ?? "it did not answer", lasting: undefined })
      ),
      decided: (now, admitted) => {
        if (admitted) admittedAt = now
        else refusedAt = now
      },
      recovered: Effect.suspend(() => change("normal", undefined)),
      failed: (error) =>
        Effect.suspend(() => (health.mode === "recovering" ? change("outage", error) : lose(epoch, error)))
    }
    return watch
  })
