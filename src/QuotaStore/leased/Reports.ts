/**
 * What the shared store has to know of leases: what was used, given back, or charged on top. What it cannot
 * be told now it is told later, until the scope closes; then once more.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Context from "effect/Context"
import * as Lease from "../../core/Lease.js"
import type { QuotaName, QuotaStore, QuotaStoreError } from "../../QuotaStore.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Reports {
  /** Tells all that has come up. */
  readonly send: Effect.Effect<void>
  /** Tells it, and all that could not be told before; each is tried once. */
  readonly flush: Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = ({
  shared,
  state,
  unique
}: {
  readonly shared: Context.Tag.Service<QuotaStore>
  readonly state: Lease.State<QuotaName>
  /** What every id begins with. */
  readonly unique: string
}): Effect.Effect<Reports, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    let debts = 0
    const tell = ({ actual, id }: Lease.Closing<QuotaName>): Effect.Effect<void, QuotaStoreError> =>
      Effect.suspend(() => {
        debts += id === undefined ? 1 : 0
        const told = id ?? `${unique}debt-${debts}`
        return shared.settle(told, actual)
      })

    const untold = new Set<Lease.Closing<QuotaName>>()
    const later = Schedule.union(Schedule.exponential("200 millis"), Schedule.spaced("10 seconds"))

    return {
      send: Effect.suspend(() =>
        Effect.forEach(
          Lease.drain(state),
          (closing) =>
            Effect.catchAll(tell(closing), () => {
              untold.add(closing)
              const told = Effect.sync(() => untold.delete(closing))
              return Effect.forkIn(
                Effect.zipRight(Effect.ignore(Effect.retry(tell(closing), later)), told),
                scope
              )
            }),
          { discard: true }
        )
      ),
      flush: Effect.suspend(() =>
        Effect.forEach([...untold, ...Lease.drain(state)], (closing) => Effect.ignore(tell(closing)), {
          concurrency: 32,
          discard: true
        })
      )
    }
  })
