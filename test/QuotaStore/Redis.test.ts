import { describe } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { afterAll, beforeAll } from "vitest"
import * as RedisStore from "../../src/QuotaStore/Redis.js"
import * as Redis from "../../src/Redis.js"
import { contract } from "../QuotaStore.contract.js"
import * as TestRedis from "../utils/redis.js"

const suite = describe.runIf(TestRedis.available())

suite("redis", () => {
  const scope = Effect.runSync(Scope.make())
  let shared: TestRedis.Server

  beforeAll(async () => {
    shared = await Effect.runPromise(Scope.extend(TestRedis.server(), scope))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  let prefixes = 0
  const layer = (options: RedisStore.Options = {}) =>
    Layer.unwrapEffect(
      Effect.sync(() => {
        prefixes += 1
        return Layer.provideMerge(
          RedisStore.layer({ time: "clock", ...options }),
          Redis.layer({ url: shared.url, prefix: `t${prefixes}:` })
        )
      })
    )

  contract("redis", layer(), { numRuns: 40 })
})
