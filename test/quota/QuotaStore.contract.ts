import { describe, it } from "@effect/vitest"
import type { Layer } from "effect"
import { Effect } from "effect"
import type * as QuotaStore from "../../src/quota/QuotaStore.js"
import * as Contract from "../../src/quota/QuotaStoreContract.js"

/** What every quota store must do, as tests. */
export const contract = <E>(
  name: string,
  layer: Layer.Layer<QuotaStore.QuotaStore, E>,
  options: Contract.Options = {}
): void => {
  describe(`quota store: ${name}`, () => {
    for (const each of Contract.cases(layer, options)) it(each.name, () => Effect.runPromise(each.run))
  })
}
