import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Testing from "../src/Testing.js"
import * as Toolbox from "../src/Toolbox.js"

const answers = {
  "SELECT 1": { columns: [{ name: "1", type: "NUMBER(1,0)", nullable: false }], rows: [[1]] }
}

const run = (sql: string) =>
  Effect.gen(function* () {
    const tool = (yield* Toolbox.Toolbox).get("execute_query")
    assert(tool !== undefined)
    return yield* tool.handler({ sql }, { progress: () => Effect.void })
  })

describe("Testing", () => {
  it.effect("serves the built-in tools from a list of answers, within the default limits", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 50; i++)
        assert.deepInclude(yield* run("SELECT 1"), { rows: [[1]], truncated: false })
      assert.strictEqual((yield* Effect.flip(run("SELECT 1")))._tag, "RateLimited")
    }).pipe(Effect.provide(Layer.provide(Toolbox.layerDefault, Testing.layer(answers))))
  )

  it.effect("a statement without an answer is not found", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(run("SELECT 2"))
      assert(error._tag === "WarehouseError")
      assert.strictEqual(error.reason, "NotFound")
    }).pipe(Effect.provide(Layer.provide(Toolbox.layerDefault, Testing.layer(answers))))
  )
})
