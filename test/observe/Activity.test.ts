import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, Layer, Ref } from "effect"
import * as Activity from "../../src/observe/Activity.js"
import type { Entry } from "../../src/observe/Audit.js"
import { Audit } from "../../src/observe/Audit.js"
import { warehouseCode } from "../../src/tools/errorCodes.js"

const entry = (fields: Partial<Entry> = {}): Entry => ({
  client: "ana",
  tier: "gold",
  tool: "execute_query",
  decision: "ok",
  ms: 12,
  ...fields
})

describe("Activity", () => {
  it.effect("counts what is written down, and writes down what is counted", () =>
    Effect.gen(function* () {
      const written = yield* Ref.make<ReadonlyArray<Entry>>([])
      const below = Layer.succeed(Audit, { record: (one) => Ref.update(written, (all) => [...all, one]) })
      yield* Effect.gen(function* () {
        const audit = yield* Audit
        const activity = yield* Activity.Activity
        yield* audit.record(entry({ bytes: 40 }))
        yield* audit.record(entry({ client: "ben", decision: "RATE_LIMITED" }))
        // What the call of `ana` did after its answer.
        yield* audit.record(entry({ decision: "settled", client: "ana" }))
        const { bytes, counts } = yield* activity.totals
        assert.deepInclude(counts, { ok: 1, refused: 1, failed: 0 })
        assert.strictEqual(bytes, 40)
        assert.deepStrictEqual(
          (yield* activity.clients(9)).map(({ client, lastDecision }) => [client, lastDecision]),
          [
            ["ben", "RATE_LIMITED"],
            ["ana", "ok"]
          ]
        )
      }).pipe(Effect.provide(Layer.provide(Activity.layer, below)))
      assert.deepStrictEqual(
        (yield* Ref.get(written)).map(({ client }) => client),
        ["ana", "ben", "ana"]
      )
    })
  )

  it("what refuses a call after its statement was sent is a failure, and is counted apart", () => {
    const codes = Object.keys(Activity.codes)
    for (const code of codes) assert.notStrictEqual(Activity.outcomeOf(code, true), "refused", code)
    assert.strictEqual(Activity.outcomeOf("DEADLINE_EXCEEDED"), "refused")
    assert.strictEqual(Activity.outcomeOf("DEADLINE_EXCEEDED", true), "failed")
    assert.strictEqual(Activity.outcomeOf("INVALID_INPUT", true), "rejected")
    assert.strictEqual(Activity.outcomeOf("A_TOOL_OF_YOUR_OWN"), "failed")
  })

  it("a statement that a slow warehouse did not end in time is a failure, and one that is too large a mistake", () => {
    assert.strictEqual(Activity.outcomeOf("WAREHOUSE_STATEMENT_TIMEOUT", true, true), "failed")
    assert.strictEqual(Activity.outcomeOf("WAREHOUSE_STATEMENT_TIMEOUT", true, false), "rejected")
    // Limits ask to wait, too.
    assert.strictEqual(Activity.outcomeOf("RATE_LIMITED", false, true), "refused")
  })

  it("knows every code with which a tool fails by itself", () => {
    const src = join(import.meta.dirname, "../../src")
    const sources = readdirSync(src, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => readFileSync(join(src, file), "utf8"))
    const made = sources.flatMap((text) => [...text.matchAll(/\bnew (?:Tool\.)?ToolError\(/g)])
    const codes = sources.flatMap((text) =>
      [...text.matchAll(/\bnew (?:Tool\.)?ToolError\(\{\s*code: "([A-Z_]+)"/g)].map(([, code]) => code)
    )
    // None has its code from elsewhere.
    assert.strictEqual(codes.length, made.length)
    assert.include(codes, "OBJECT_NOT_ALLOWED")
    for (const code of codes) assert.property(Activity.codes, code ?? "")
  })

  it.effect("counts a code by each kind of end that it had", () =>
    Effect.gen(function* () {
      const activity = yield* Activity.make
      const late = entry({ decision: "DEADLINE_EXCEEDED" })
      yield* activity.record({ ...late, outcome: "failed" })
      yield* activity.record({ ...late, outcome: "failed" })
      yield* activity.record({ ...late, outcome: "refused" })
      assert.deepInclude((yield* activity.totals).counts, { refused: 1, failed: 2 })
      assert.deepStrictEqual(
        (yield* activity.unserved).codes.map(({ code, count, outcome }) => [code, outcome, count]),
        [
          ["DEADLINE_EXCEEDED", "failed", 2],
          ["DEADLINE_EXCEEDED", "refused", 1]
        ]
      )
    })
  )

  it("tells limits, mistakes and failures apart", () => {
    const cases: { readonly [decision: string]: Activity.Outcome } = {
      ok: "ok",
      cancelled: "cancelled",
      RATE_LIMITED: "refused",
      CIRCUIT_OPEN: "refused",
      STATEMENT_REJECTED: "rejected",
      INVALID_INPUT: "rejected",
      QUOTA_STORE_UNAVAILABLE: "failed",
      INTERNAL: "failed",
      [warehouseCode.InvalidStatement.code]: "rejected",
      [warehouseCode.NotFound.code]: "rejected",
      [warehouseCode.Permission.code]: "rejected",
      [warehouseCode.StatementTimeout.code]: "rejected",
      [warehouseCode.ResultExpired.code]: "rejected",
      [warehouseCode.Unreachable.code]: "failed",
      [warehouseCode.ServerFault.code]: "failed"
    }
    for (const [decision, outcome] of Object.entries(cases)) {
      assert.strictEqual(Activity.outcomeOf(decision), outcome, decision)
    }
  })
})
