import { QuotaStoreError } from "../../QuotaStore.js"
import type { RedisError } from "../../../platform/Redis.js"

const described: ReadonlyArray<readonly [said: string, description: string]> = [
  ["SNOWGUARD newer", "a newer version of this server counts under this prefix; update this server"],
  [
    "SNOWGUARD windows",
    "other servers count in other windows under this prefix; use the same windows in all of them, or another prefix"
  ]
]

/** The error of the store, and in which operation. In a module of its own: `server/` needs it before the store is loaded. */
export const errorIn =
  (operation: string) =>
  ({ description, retryAfterMs }: RedisError): QuotaStoreError => {
    const known = described.find(([said]) => description.includes(said))
    return new QuotaStoreError({
      operation,
      description: known?.[1] ?? description,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      ...(known === undefined ? {} : { lasting: true })
    })
  }
