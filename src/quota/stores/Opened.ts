/**
 * A store that may not open: what a server does that cannot have its quotas where they belong.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Health, QuotaStoreError } from "../QuotaStore.js"
import { makeMemory, QuotaStore, StoreHealth } from "../QuotaStore.js"
import * as Telemetry from "../../observe/Telemetry.js"
import type { Options } from "./Outage.js"
import * as Outage from "./Outage.js"

/**
 * A store that cannot be opened: `refuse` fails as it fails, `memory` counts in this process alone, and says
 * so loudly.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <E extends QuotaStoreError, R>(
  inner: Layer.Layer<QuotaStore, E, R>,
  options: Options & { readonly onUnavailable: "refuse" | "memory" }
): Layer.Layer<QuotaStore | StoreHealth, E, R> =>
  options.onUnavailable === "refuse"
    ? Outage.layer(inner, options)
    : Layer.catchAll(Outage.layer(inner, options), (error) =>
        Layer.effectContext(
          Effect.gen(function* () {
            yield* Effect.logError(
              `QUOTAS ARE NOT KEPT: ${error.description}. They are counted in this process's memory alone: every ` +
                `other server process has limits of its own, and a restart forgets what was used.`
            )
            Telemetry.recordStoreChange("memory")
            const store = yield* makeMemory({ windows: options.windows })
            const since = yield* Clock.currentTimeMillis
            const health: Health = { mode: "memory", since, reason: error.description }
            return Context.make(QuotaStore, store).pipe(
              Context.add(StoreHealth, { status: Effect.succeed(health), boundMs: 0 })
            )
          })
        )
      )
