/**
 * Decisions while the store is out of reach: by this process's share where the policy has one, and none
 * otherwise.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as QuotaShare from "../../core/QuotaShare.js"
import type { Charge, Decision, OutagePolicy, QuotaName } from "../../QuotaStore.js"
import { QuotaStoreError } from "../../QuotaStore.js"
import * as Telemetry from "../../Telemetry.js"
import type { Watch } from "./Watch.js"

/**
 * @since 0.1.0
 * @category models
 */
export type Decide = (
  operation: string,
  charges: ReadonlyArray<Charge>,
  decide: (now: number) => QuotaShare.Outcome<QuotaName>
) => Effect.Effect<Decision, QuotaStoreError>

/**
 * `policy` is that of charges that do not say; `probeMs` the longest time between two probes, before which
 * it makes no sense to come back.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (watch: Watch, policy: OutagePolicy, probeMs: number): Decide => {
  const refused = (operation: string, why: string, now: number) =>
    Effect.suspend(() => {
      Telemetry.recordStoreOutage("closed")
      watch.decided(now, false)
      const { lasting, reason } = watch.health()
      return Effect.fail(
        new QuotaStoreError({
          operation,
          description: `${why} (${reason ?? "the store does not answer"})`,
          retryAfterMs: Math.max(probeMs, watch.nextProbeAt - now),
          ...(lasting === true ? { lasting } : {})
        })
      )
    })

  const policyOf = (charges: ReadonlyArray<Charge>): OutagePolicy =>
    charges.every(({ onOutage = policy }) => onOutage === "share") ? "share" : "closed"

  return (operation, charges, decide) =>
    Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<Decision, QuotaStoreError> => {
      if (policyOf(charges) === "closed") {
        return refused(operation, "the quota store is out of reach, and nothing is admitted without it", now)
      }
      const outcome = decide(now)
      if (outcome._tag === "Closed") {
        return refused(
          operation,
          outcome.known
            ? `the quota store is out of reach, and this server's share of ${outcome.quota} is used up`
            : `the quota store is out of reach, and what is left of ${outcome.quota} is not known`,
          now
        )
      }
      if (outcome._tag === "Granted") watch.decided(now, true)
      Telemetry.recordStoreOutage(outcome._tag === "Granted" ? "admitted" : "exceeded")
      return Effect.succeed(outcome)
    })
}
