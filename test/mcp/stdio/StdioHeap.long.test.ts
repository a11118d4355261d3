import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Server from "../../utils/server.js"

it.scopedLive(
  "the server over stdio, spawned, answers 60 calls at once with megabytes each, in a heap of 128 MB",
  () =>
    Effect.gen(function* () {
      const server = yield* Server.raw({
        env: {
          NODE_OPTIONS: "--max-old-space-size=128",
          SNOWGUARD_TIERS_DEFAULT_INITIAL_TOKENS: "100"
        }
      })
      yield* Effect.promise(async () => {
        await server.initialize()
        const ended = server.exited.then(({ signal }) => Promise.reject(new Error(`ended by ${signal}`)))
        const answers = Array.from({ length: 60 }, (_, i) =>
          server.call(i + 1, "execute_query", {
            sql: `SELECT repeat('x"', 60) AS A, range + ${i} AS B FROM range(9000)`,
            limit: 10_000
          })
        )
        for (const { result } of await Promise.race([Promise.all(answers), ended])) {
          assert.isUndefined(result?.isError)
          assert.isAbove(JSON.stringify(result).length, 2_000_000)
        }
      })
    })
)
