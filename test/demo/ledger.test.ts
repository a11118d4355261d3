import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Answer } from "../../src/demo/client.js"
import * as Ledger from "../../src/demo/ledger.js"
import * as Activity from "../../src/observe/Activity.js"

const unanswered = (code: string, mayHaveRun: boolean): Answer => ({
  _tag: "Refused",
  code,
  text: code,
  mayHaveRun,
  retryAfterMs: undefined
})

/** How a call that ended so is counted. */
const kindOf = (answer: Answer) =>
  Effect.gen(function* () {
    const ledger = yield* Ledger.make
    yield* Effect.flatMap(ledger.begin("healthy"), (end) => end(answer))
    const { failed, refused } = yield* ledger.take
    assert.strictEqual(refused + failed, 1)
    return refused === 1 ? "refused" : "failed"
  })

const refusedOf = (mayHaveRun: boolean) =>
  Effect.filter(Object.keys(Activity.codes), (code) =>
    Effect.map(kindOf(unanswered(code, mayHaveRun)), (kind) => kind === "refused")
  )

describe("the ledger of a rehearsal", () => {
  it.effect(
    "what a limit, the gate or the tools turned away is refused; what the warehouse said is not",
    () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* refusedOf(false), [
          "RATE_LIMITED",
          "OVERLOADED",
          "QUOTA_EXCEEDED",
          "SCAN_BUDGET_EXCEEDED",
          "WAREHOUSE_SUSPENDED",
          "CIRCUIT_OPEN",
          "DEGRADED",
          "DEADLINE_EXCEEDED",
          "REPEATED_FAILURE",
          "TOOL_DENIED",
          "STATEMENT_REJECTED",
          "INVALID_INPUT",
          "INVALID_PARAMS",
          "UNKNOWN_TOOL",
          "OBJECT_NOT_ALLOWED",
          "QUOTA_STORE_UNAVAILABLE"
        ])
        assert.strictEqual(yield* kindOf(unanswered("A_CODE_OF_ANOTHER_VERSION", false)), "failed")
      })
  )

  it.effect("of a call whose statement may have run, only the quota store refused", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* refusedOf(true), ["QUOTA_STORE_UNAVAILABLE"])
    })
  )
})
