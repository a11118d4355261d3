// A test of a store of your own against what every store must do, with the test runner of Node: node --test.
import * as Effect from "effect/Effect"
import { test } from "node:test"
import * as QuotaStore from "snowguard/QuotaStore"
import * as QuotaStoreContract from "snowguard/testing/QuotaStoreContract"

/** In place of yours: the layer is built afresh for each case. */
const layer = QuotaStore.layerMemory

for (const { name, run } of QuotaStoreContract.cases(layer)) {
  test(name, () => Effect.runPromise(run))
}
