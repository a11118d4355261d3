import { QuotaStoreError } from "../../QuotaStore.js"
import type { RedisError } from "../../../platform/Redis.js"

const described: ReadonlyArray<readonly [said: string, description: string]> = [
  ["SNOWGUARD newer", "a newer version of this server counts under this prefix; update this server"],
  [
    "SNOWGUARD windows",
    "other servers count in other windows under this prefix; use the same windows in all of them, or another prefix"
  ]
]

/** What the store's caller is told, and which operation it was. */
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
