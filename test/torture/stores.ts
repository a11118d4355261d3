/** The stores that can be tortured, by name; another one is one case more. */
import { Layer } from "effect"
import { layer as redis } from "torture:redis"
import type { QuotaStore } from "../../src/quota/QuotaStore.js"
import * as Sqlite from "../../src/quota/stores/Sqlite.js"

/** `target`: a path, or a URL. */
export const layerOf = (store: string, target: string): Layer.Layer<QuotaStore, unknown> => {
  switch (store) {
    case "sqlite":
      // The machine is busy, on purpose; that a wait ends in time is another test's business.
      return Sqlite.layer({ path: target, lockTimeoutMs: 20_000 })
    case "redis":
      return redis === undefined ? Layer.fail("there is no Redis store in this checkout") : redis(target)
    default:
      return Layer.fail(`there is no store ${store}`)
  }
}
