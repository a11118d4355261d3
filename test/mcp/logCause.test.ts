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
      for (const [sql, told] of [
        ["SELECT 1 FROM range(1) WHERE secret_name = 'jane.doe@secret.example'", "Binder Error"],
        ["SELECT 'jane.doe@secret.example'::INTEGER", "Conversion Error: Could not convert string"],
        ["SELECT 'it''s secret'' too'::DATE", "Conversion Error"],
        ["SELECT * FROM secret_table WHERE a = 'jane'", "Catalog Error: Table with"],
        ["SELECT secret secret secret", "Parser Error: syntax error at or near"],
        [
          "SELECT 'secret' FROM range(9) WHERE 4155551234 = DATE '2020-01-01'",
          "Conversion Error: Unimplemented"
        ]
      ] as const) {
        const error = yield* Effect.flip(
          Effect.scoped(
            Effect.flatMap(warehouse.execute({ sql, timeoutMs: 10_000, requestId: sql }), ({ rows }) =>
              Stream.runDrain(rows)
            )
          )
        )
        const cause = logCause(error) ?? ""
        expect([sql, cause]).toEqual([sql, expect.stringContaining(told)])
        expect(cause).not.toMatch(/jane|secret|415/)
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
