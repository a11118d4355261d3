/**
 * A server process on a shared Redis, as far as the store is concerned: `worker URL PREFIX LIMIT`.
 * Reserves and settles, eight at a time, until it is refused; says how often it was let through.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as QuotaStore from "../../../src/quota/QuotaStore.js"
import * as RedisStore from "../../../src/quota/stores/Redis.js"
import * as Redis from "../../../src/platform/Redis.js"
import * as Worker from "../../utils/worker.js"

const [url = "", prefix = "", limit = ""] = process.argv.slice(2)
const charges: ReadonlyArray<QuotaStore.Charge> = [
  { key: "client:shared", quota: "requests_per_hour", limit: Number(limit) * 2, amount: 1 },
  { key: "global", quota: "queries_per_day", limit: Number(limit), amount: 1 }
]

const store = RedisStore.layer({ time: "clock" })

// The machine of the tests may be busy; that a call ends in time is another test's business.
Worker.main(
  Effect.provide(
    Worker.spendAll(charges),
    Layer.provide(store, Redis.layer({ url, prefix, commandTimeoutMs: 20_000 }))
  )
)
