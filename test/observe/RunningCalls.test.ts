import { assert, describe, it } from "@effect/vitest"
import { Effect, Random, Ref } from "effect"
import * as RunningCalls from "../../src/observe/RunningCalls.js"

const server = (seed: string) => Effect.withRandom(RunningCalls.make, Random.make(seed))

describe("the calls under way", () => {
  it.effect("have ids that are not those of another server, which cancels nothing by them", () =>
    Effect.gen(function* () {
      const cancelled = yield* Ref.make<ReadonlyArray<string>>([])
      const call = (client: string): RunningCalls.Call => ({
        client,
        tool: "execute_query",
        since: 0,
        progress: () => ({ sent: false, rows: 0, statement: undefined }),
        cancel: Ref.update(cancelled, (all) => [...all, client])
      })
      const [first, second] = [yield* server("one"), yield* server("two")]
      first.add(call("ada"))
      second.add(call("bob"))
      const [[id = ""] = []] = yield* first.all
      assert.match(id, /^[2-9a-z]{6}-1$/)
      assert.strictEqual(id, `${first.processId}-1`)
      assert.isUndefined(yield* second.cancel(id))
      assert.deepStrictEqual(yield* Ref.get(cancelled), [])
      assert.strictEqual((yield* first.cancel(id))?.client, "ada")
      assert.deepStrictEqual(yield* Ref.get(cancelled), ["ada"])
    })
  )
})
