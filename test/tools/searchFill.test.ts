import { expect, it } from "@effect/vitest"
import { Effect, Ref } from "effect"
import * as Audit from "../../src/observe/Audit.js"
import * as Principal from "../../src/platform/Principal.js"
import * as SearchFill from "../../src/tools/searchFill.js"
import type { Lateness } from "../../src/warehouse/Warehouse.js"
import { WarehouseError } from "../../src/warehouse/Warehouse.js"
import * as Fakes from "../utils/fakeGuards.js"

/** As what a fill is recorded whose first statement is out of time. */
const recorded = (fault: Lateness["fault"]) =>
  Effect.gen(function* () {
    const entries = yield* Ref.make<ReadonlyArray<Audit.Entry>>([])
    const late = new WarehouseError({
      reason: "StatementTimeout",
      description: "It took too long.",
      sent: "yes",
      lateness: { fault, class: "metadata", quietMs: 60_000 }
    })
    const { layer } = yield* Fakes.services({ refuse: late })
    const fill = yield* SearchFill.make.pipe(
      Effect.provideService(Audit.Audit, {
        record: (entry) => Ref.update(entries, (all) => [...all, entry])
      }),
      Effect.provide(layer)
    )
    yield* Effect.flip(
      fill({
        principal: Principal.make("ann", "default"),
        columnsOf: () => undefined,
        replace: () => Effect.void,
        only: () => Effect.void,
        spend: Effect.succeed(0)
      })
    )
    return (yield* Ref.get(entries)).map(({ decision, outcome }) => [decision, outcome])
  })

it.effect("a statement of a fill that a slow warehouse did not end in time has failed", () =>
  Effect.gen(function* () {
    expect(yield* recorded("warehouse")).toEqual([["WAREHOUSE_STATEMENT_TIMEOUT", "failed"]])
    expect(yield* recorded("statement")).toEqual([["WAREHOUSE_STATEMENT_TIMEOUT", "rejected"]])
  })
)
