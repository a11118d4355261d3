import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Emulator from "../../src/emulator/Emulator.js"
import * as Driver from "./driver.js"

it.scopedLive("logs the driver in and answers its query", () =>
  Effect.gen(function* () {
    const emulator = yield* Emulator.start({ sample: false })
    const connection = yield* Driver.connect(emulator)
    expect(yield* Driver.rows(connection, "SELECT 1 AS N, 'a' AS T")).toEqual([[1, "a"]])
  })
)

it.scopedLive("tells what is wrong with a statement in Snowflake's words", () =>
  Effect.gen(function* () {
    const emulator = yield* Emulator.start({ sample: false })
    const connection = yield* Driver.connect(emulator)
    const error = yield* Effect.flip(Driver.rows(connection, "SELECT * FROM nowhere"))
    expect(error).toMatchObject({ code: "002003", sqlState: "42S02" })
  })
)
