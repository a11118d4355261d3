// A test of that tool: the server's own limits in front of a warehouse that answers from a list, on virtual
// time. Any part can be replaced beside the toolbox. Under @effect/vitest, `it.effect` has the clock already.
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import { deepStrictEqual } from "node:assert"
import * as Testing from "snowguard/Testing"
import * as Toolbox from "snowguard/Toolbox"
import * as OwnTool from "./ownTool.js"

const countOrders = Effect.flatMap(
  Toolbox.Toolbox,
  (toolbox) =>
    toolbox.get("count_orders")?.handler({}, { progress: () => Effect.void }) ?? Effect.die("no tool")
)

const stack = Testing.layer(
  {
    "SELECT count(*) FROM SNOWGUARD_SAMPLE.PUBLIC.ORDERS": {
      columns: [{ name: "COUNT(*)", type: "NUMBER(18,0)", nullable: false }],
      rows: [[4200]]
    }
  },
  { toolbox: OwnTool.layer }
)

/** Fifty calls at once are served, the next one says how long to wait, and that is exact. */
export const test = Effect.gen(function* () {
  for (let i = 0; i < 50; i++) deepStrictEqual(yield* countOrders, { orders: 4200 })
  const refused = yield* Effect.flip(countOrders)
  if (refused._tag !== "RateLimited") return yield* Effect.die(refused)
  yield* TestClock.adjust(refused.retryAfterMs - 1)
  deepStrictEqual((yield* Effect.flip(countOrders))._tag, "RateLimited")
  yield* TestClock.adjust(1)
  deepStrictEqual(yield* countOrders, { orders: 4200 })
}).pipe(Effect.provide(stack), Effect.provide(TestContext.TestContext))
