/** Where a Redis store is present it is bundled under this name; see `build.ts`. */
declare module "torture:redis" {
  import type { Layer } from "effect"
  import type { QuotaStore } from "../../src/quota/QuotaStore.js"

  /** Undefined where there is none. */
  export const layer: ((url: string) => Layer.Layer<QuotaStore, unknown>) | undefined
}
