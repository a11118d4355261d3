/** Credits on the account that bills: its own SHOW WAREHOUSES, through the driver. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { randomUUID } from "node:crypto"
import * as Emulator from "../../src/emulator/Emulator.js"
import * as Principal from "../../src/platform/Principal.js"
import { CurrentPrincipal } from "../../src/platform/Principal.js"
import * as Credits from "../../src/quota/Credits.js"
import * as Snowflake from "../../src/warehouse/Snowflake.js"
import { Warehouse } from "../../src/warehouse/Warehouse.js"
import { optionsFor } from "./snowflakeServer.js"

const place = { database: undefined, schema: undefined }

const start = (compute: Emulator.Options["compute"], more: Partial<Emulator.Options> = {}) =>
  Effect.gen(function* () {
    const emulator = yield* Emulator.start({ sample: false, compute, ...more })
    const warehouse = yield* Snowflake.make(optionsFor(emulator.url, place))
    const credits = yield* Effect.provideService(Credits.make(), Warehouse, warehouse)
    const run = (sql: string) =>
      Effect.scoped(
        Effect.flatMap(
          warehouse.execute({
            sql,
            timeoutMs: 10_000,
            requestId: randomUUID(),
            tag: { tool: "execute_query", client: "ann" }
          }),
          ({ rows }) => Stream.runDrain(rows)
        )
      )
    return { emulator, credits, run }
  })

describe("an account that bills", () => {
  it.scopedLive(
    "says what its warehouse costs and whether it runs, and refuses those that may not wake it",
    () =>
      Effect.gen(function* () {
        const { credits, emulator, run } = yield* start({
          COMPUTE_WH: { size: "Large", autoSuspendSeconds: 600, suspended: true }
        })
        const guest = Effect.provideService(CurrentPrincipal, Principal.make("guest", "guests"))
        expect(yield* Effect.flip(guest(credits.mustRun(place)))).toMatchObject({
          _tag: "WarehouseSuspended",
          tier: "guests",
          warehouse: "COMPUTE_WH"
        })
        // A look needs no warehouse.
        expect((yield* emulator.bills)[0]).toMatchObject({ credits: 0, resumes: 0 })
        yield* credits.look(place)
        expect(yield* credits.status(Principal.make("local", "default"))).toMatchObject({
          warehouse: "COMPUTE_WH",
          kind: "Large, STANDARD",
          creditsPerHour: 8,
          isKnown: true,
          state: "suspended"
        })
        const statement = yield* credits.begin
        yield* run("SELECT 1")
        const charged = yield* statement.end
        expect(charged).toBe(8 / 60)
        const [bill] = yield* emulator.bills
        expect(bill?.resumes).toBe(1)
        // By the client that the statement's tag names, a minute.
        expect(bill?.by["ann"]).toBeCloseTo(charged, 6)
        yield* guest(credits.mustRun(place))
        yield* emulator.suspend("COMPUTE_WH")
        expect((yield* Effect.flip(guest(credits.mustRun(place))))._tag).toBe("WarehouseSuspended")
      })
  )

  it.scopedLive("refuses a statement itself where that would not resume the warehouse", () =>
    Effect.gen(function* () {
      const { credits, emulator, run } = yield* start({
        COMPUTE_WH: { autoResume: false, suspended: true }
      })
      yield* credits.mustRun(place)
      expect(yield* Effect.flip(run("SELECT 1"))).toMatchObject({ reason: "Unavailable" })
      expect((yield* emulator.bills)[0]).toMatchObject({ credits: 0, resumes: 0 })
    })
  )

  it.scopedLive("tells limits of its own where it has the function, and nothing fails where not", () =>
    Effect.gen(function* () {
      const told = (budgets: Emulator.Options["budgets"]) =>
        Effect.gen(function* () {
          const { credits } = yield* start({}, { budgets })
          yield* credits.askBudgets(place)
          return yield* Effect.repeat(
            Effect.delay(credits.budgets(Principal.make("local", "default")), "20 millis"),
            {
              until: (found) => found !== undefined
            }
          )
        })
      const rows = [{ BUDGET_NAME: "TEAM", CREDIT_LIMIT: "100", IS_BLOCKED: "false" }]
      expect((yield* told(rows))?.rows).toEqual([
        { budget_name: "TEAM", credit_limit: "100", is_blocked: "false" }
      ])
      expect((yield* told(undefined))?.rows).toBeUndefined()
    })
  )
})
