// Your own QuotaStore: here the in-memory one, with every reservation written to an audit trail. A store
// of your own from scratch implements the same eight operations; `QuotaStore.ts` states the contract.
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Quota from "snowguard/Quota"
import * as QuotaStore from "snowguard/QuotaStore"

export const layerAudited = (trail: Ref.Ref<ReadonlyArray<string>>) =>
  Layer.effect(
    QuotaStore.QuotaStore,
    Effect.map(QuotaStore.makeMemory(), (store) => ({
      ...store,
      reserve: (charges: ReadonlyArray<QuotaStore.Charge>, ttlMs: number) =>
        Effect.tap(store.reserve(charges, ttlMs), (decision) =>
          Ref.update(trail, (lines) => [...lines, `${charges[0]?.key} ${decision._tag}`])
        )
    }))
  )

/** Quotas that use it: ten requests an hour for everybody. */
export const quotas = (trail: Ref.Ref<ReadonlyArray<string>>) =>
  Quota.layer({ tiers: { default: { requests_per_hour: 10 } } }).pipe(Layer.provide(layerAudited(trail)))
