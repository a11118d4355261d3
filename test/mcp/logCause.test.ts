import { describe, expect, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { classify } from "../../src/warehouse/snowflake/classify.js"
import * as DuckDb from "../../src/warehouse/DuckDb.js"
import { logCause } from "../../src/mcp/ErrorReport.js"
import type { Reason } from "../../src/warehouse/Warehouse.js"
import { WarehouseError } from "../../src/warehouse/Warehouse.js"

const failed = (reason: Reason, message: string, code?: string) =>
  new WarehouseError({
    reason,
    description: "x",
    sent: "yes",
    cause: new Error(message),
    ...(code === undefined ? {} : { code })
  })

describe("the cause of a failed call, in the log", () => {
  it.scopedLive("quotes nothing of a statement of the embedded warehouse", () =>
    Effect.gen(function* () {
      const warehouse = yield* DuckDb.make()
      for (const sql of [
        "SELECT 1 FROM range(1) WHERE secret_name = 'jane.doe@secret.example'",
        "SELECT 'jane.doe@secret.example'::INTEGER",
        "SELECT 'it''s secret'' too'::DATE",
        "SELECT * FROM secret_table WHERE a = 'jane'",
        "SELECT secret secret secret",
        "SELECT 'secret' FROM range(9) WHERE 4155551234 = DATE '2020-01-01'"
      ]) {
        const error = yield* Effect.flip(
          Effect.scoped(
            Effect.flatMap(warehouse.execute({ sql, timeoutMs: 10_000, requestId: sql }), ({ rows }) =>
              Stream.runDrain(rows)
            )
          )
        )
        expect(error._tag).toBe("WarehouseError")
        expect(logCause(error) ?? "").not.toMatch(/jane|secret|415/)
      }
    })
  )

  it("quotes nothing of a statement of Snowflake, whose messages are causes of nothing", () => {
    const message =
      "SQL compilation error: error line 1 at position 7\ninvalid identifier 'SECRET' near 'jane.doe@corp.example'"
    const { code, description, reason } = classify(
      Object.assign(new Error(message), { name: "OperationFailedError", code: "000904", data: {} }),
      "execute"
    )
    expect(description).toContain("SECRET")
    const error = failed(reason, message, code)
    expect(logCause(error)).toBe("000904 SQL compilation error: error line")
    expect(logCause(new WarehouseError({ reason, description, sent: "yes" }))).toBeUndefined()
    expect(logCause(failed("InvalidStatement", "Numeric value 'it''s jane' is not recognized"))).toBe(
      "Numeric value"
    )
  })

  it("tells all of what has nothing to do with a statement", () => {
    const refused = "connect ECONNREFUSED 127.0.0.1:6379"
    expect(logCause(failed("Unreachable", refused))).toBe(refused)
    expect(logCause({ cause: new Error(refused) })).toBe(refused)
    expect(logCause({ cause: "no error" })).toBeUndefined()
  })
})
