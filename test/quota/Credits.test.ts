import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Ref, TestClock } from "effect"
import * as Principal from "../../src/platform/Principal.js"
import { CurrentPrincipal } from "../../src/platform/Principal.js"
import * as Credits from "../../src/quota/Credits.js"
import type { Budget, Compute } from "../../src/warehouse/Warehouse.js"
import { Warehouse, WarehouseError } from "../../src/warehouse/Warehouse.js"

const HOUR = 3_600_000

const running: Compute = {
  name: "WH",
  kind: "X-Small, STANDARD",
  creditsPerHour: 1,
  state: "running",
  autoResume: true,
  autoSuspendMs: 60_000,
  running: 0
}
const suspended: Compute = { ...running, state: "suspended" }
const failed = new WarehouseError({ reason: "Unreachable", description: "gone", sent: "no" })

interface Told {
  readonly compute: Effect.Effect<Compute | undefined, WarehouseError>
  readonly budget?: Effect.Effect<ReadonlyArray<Budget>, WarehouseError>
  readonly nameOf?: (client: string) => string | undefined
}

/** The account says what is in the ref, and counts the questions. */
const account = (first: Told, options?: Partial<Credits.Options>) =>
  Effect.gen(function* () {
    const told = yield* Ref.make(first)
    const asked = yield* Ref.make({ compute: 0, budget: 0 })
    const credits = yield* Credits.make(options).pipe(
      Effect.provideService(Warehouse, {
        dialect: "snowflake",
        execute: () => Effect.die("not asked for"),
        actingAs: ({ client }) => ({
          key: "",
          mode: "shared",
          user: "SERVICE",
          warehouse: first.nameOf === undefined ? "WH" : first.nameOf(client)
        }),
        billing: {
          compute: () =>
            Effect.zipRight(
              Ref.update(asked, (all) => ({ ...all, compute: all.compute + 1 })),
              Effect.flatMap(Ref.get(told), ({ compute }) => compute)
            ),
          budget: () =>
            Effect.zipRight(
              Ref.update(asked, (all) => ({ ...all, budget: all.budget + 1 })),
              Effect.flatMap(Ref.get(told), ({ budget }) => budget ?? Effect.fail(failed))
            )
        }
      })
    )
    return {
      credits,
      says: (compute: Told["compute"]) => Ref.update(told, (now) => ({ ...now, compute })),
      tells: (budget: NonNullable<Told["budget"]>) => Ref.update(told, (now) => ({ ...now, budget })),
      asked: Ref.get(asked)
    }
  })

const place = { database: undefined, schema: undefined }
const yes = Effect.succeed(true)
const as = (client: string, tier = "default") =>
  Effect.provideService(CurrentPrincipal, Principal.make(client, tier))

describe("Credits: the estimate", () => {
  it.scoped(
    "is the time limit by the rate of the warehouse, with the minute of a resume unless it runs",
    () =>
      Effect.gen(function* () {
        const { credits, says } = yield* account({
          compute: Effect.succeed({ ...running, creditsPerHour: 8 })
        })
        assert.strictEqual(yield* credits.estimate(place, HOUR, yes), 8)
        yield* says(Effect.succeed({ ...suspended, creditsPerHour: 8 }))
        yield* TestClock.adjust("10 seconds")
        yield* credits.look(place)
        assert.strictEqual(yield* credits.estimate(place, HOUR, yes), 8 + 8 / 60)
      })
  )

  it.scoped("counts a rate that is not known as the configured one, and says so", () =>
    Effect.gen(function* () {
      const { credits } = yield* account(
        { compute: Effect.succeed({ ...running, creditsPerHour: undefined }) },
        { unknownPerHour: 7 }
      )
      assert.strictEqual(yield* credits.estimate(place, HOUR, yes), 7)
      assert.deepInclude(yield* credits.status(Principal.make("ada", "default")), {
        creditsPerHour: 7,
        isKnown: false,
        state: "running"
      })
    })
  )

  it.scoped(
    "waits two seconds at most for an account that does not answer, and asks nothing where it must not",
    () =>
      Effect.gen(function* () {
        const { asked, credits } = yield* account({ compute: Effect.never }, { unknownPerHour: 4 })
        assert.strictEqual(yield* credits.estimate(place, HOUR, Effect.succeed(false)), 4 + 4 / 60)
        assert.strictEqual((yield* asked).compute, 0)
        const estimate = yield* Effect.fork(credits.estimate(place, HOUR, yes))
        yield* TestClock.adjust(Credits.PATIENCE_MS)
        assert.strictEqual(yield* Fiber.join(estimate), 4 + 4 / 60)
      })
  )

  it.scoped("asks once for many callers, and again when the answer is old", () =>
    Effect.gen(function* () {
      const { asked, credits } = yield* account({
        compute: Effect.delay(Effect.succeed(running), 500)
      })
      const all = yield* Effect.fork(
        Effect.forEach(Array.from({ length: 20 }), () => credits.look(place), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust(500)
      yield* Fiber.join(all)
      assert.strictEqual((yield* asked).compute, 1)
      yield* TestClock.adjust(Credits.defaults.refreshMs - 1)
      yield* credits.look(place)
      assert.strictEqual((yield* asked).compute, 1)
      yield* TestClock.adjust(1)
      const again = yield* Effect.fork(credits.look(place))
      yield* TestClock.adjust(500)
      yield* Fiber.join(again)
      assert.strictEqual((yield* asked).compute, 2)
    })
  )

  it.scoped("after a look in vain keeps the rate, and does not take the warehouse for running", () =>
    Effect.gen(function* () {
      const { credits, says } = yield* account({
        compute: Effect.succeed({ ...running, creditsPerHour: 8, running: 3 })
      })
      yield* credits.look(place)
      yield* says(Effect.fail(failed))
      yield* TestClock.adjust("10 seconds")
      yield* credits.look(place)
      assert.strictEqual(yield* credits.estimate(place, HOUR, yes), 8 + 8 / 60)
      assert.deepInclude(yield* credits.status(Principal.make("ada", "default")), {
        creditsPerHour: 8,
        isKnown: true,
        state: "unknown"
      })
      // Nor for certain to run, where it must not be resumed.
      assert.isTrue(Exit.isFailure(yield* Effect.exit(credits.mustRun(place))))
    })
  )
})

describe("Credits: what is charged", () => {
  it.scoped("is the time of the warehouse, divided among the statements that run in it", () =>
    Effect.gen(function* () {
      const { credits } = yield* account({ compute: Effect.succeed({ ...running, creditsPerHour: 3600 }) })
      yield* credits.look(place)
      const first = yield* credits.begin
      yield* TestClock.adjust("4 seconds")
      const second = yield* as("bob")(credits.begin)
      yield* TestClock.adjust("2 seconds")
      assert.closeTo(yield* first.end, 5, 1e-9)
      yield* TestClock.adjust("4 seconds")
      assert.closeTo(yield* second.end, 5, 1e-9)
      const [status] = yield* credits.warehouses
      assert.deepInclude(status, { warehouse: "WH", running: 0 })
      assert.closeTo(status?.spent ?? 0, 10, 1e-9)
    })
  )

  it.scoped(
    "has the rest of a minute where the statement resumed the warehouse, also at the instant of the look",
    () =>
      Effect.gen(function* () {
        const { credits } = yield* account({ compute: Effect.succeed({ ...suspended, creditsPerHour: 60 }) })
        yield* credits.look(place)
        const first = yield* credits.begin
        yield* TestClock.adjust("5 seconds")
        assert.closeTo(yield* first.end, 1, 1e-9)
        // The account was not asked anew, and that statement has resumed it.
        yield* TestClock.adjust("1 second")
        const second = yield* credits.begin
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* second.end, 0)
        // Not used for as long as it takes to be suspended.
        yield* TestClock.adjust("60 seconds")
        const third = yield* credits.begin
        yield* TestClock.adjust("1 second")
        assert.closeTo(yield* third.end, 1, 1e-9)
      })
  )

  it.scoped("has no minute where the account itself refuses to resume the warehouse", () =>
    Effect.gen(function* () {
      const { credits } = yield* account({
        compute: Effect.succeed({ ...suspended, creditsPerHour: 3600, autoResume: false })
      })
      yield* credits.look(place)
      const refused = yield* credits.begin
      yield* TestClock.adjust("1 second")
      assert.closeTo(yield* refused.end, 1, 1e-9)
    })
  )

  it.scoped(
    "is nothing where the account refused to resume the warehouse, which is then not taken for running",
    () =>
      Effect.gen(function* () {
        const { credits } = yield* account({ compute: Effect.succeed({ ...suspended, creditsPerHour: 60 }) })
        yield* credits.look(place)
        const first = yield* credits.begin
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* first.refused, 0)
        assert.deepInclude((yield* credits.warehouses)[0], { state: "suspended", running: 0, spent: 0 })
        // The next one resumes it, and has the minute.
        const second = yield* credits.begin
        yield* TestClock.adjust("1 second")
        assert.closeTo(yield* second.end, 1, 1e-9)
      })
  )

  it.scoped("has one minute of a resume where the statement began while the account was asked", () =>
    Effect.gen(function* () {
      const { credits, says } = yield* account({
        compute: Effect.succeed({ ...suspended, creditsPerHour: 60 })
      })
      yield* credits.look(place)
      yield* says(Effect.delay(Effect.succeed({ ...suspended, creditsPerHour: 60 }), "2 seconds"))
      yield* TestClock.adjust("10 seconds")
      const look = yield* Effect.fork(credits.look(place))
      yield* TestClock.adjust("1 second")
      const first = yield* credits.begin
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(look)
      // The answer is of before the first one, which has resumed the warehouse and pays for that.
      const second = yield* credits.begin
      yield* TestClock.adjust("2 seconds")
      const charged = (yield* first.end) + (yield* second.end)
      assert.closeTo(charged, 1, 1e-9)
    })
  )

  it.scoped(
    "has the rate that the account told another role, where it does not show this role the warehouse",
    () =>
      Effect.gen(function* () {
        const { credits } = yield* account({
          compute: Effect.map(CurrentPrincipal, ({ client }) =>
            client === "bob" ? undefined : { ...running, creditsPerHour: 3600 }
          )
        })
        yield* credits.look(place)
        const statement = yield* credits.begin
        yield* TestClock.adjust("10 seconds")
        yield* as("bob")(credits.look(place))
        assert.closeTo(yield* statement.end, 10, 1e-9)
        assert.deepInclude(yield* credits.status(Principal.make("ada", "default")), {
          creditsPerHour: 3600,
          state: "unknown"
        })
      })
  )

  it.scoped("is remembered of a bounded number of warehouses, of those that were used last", () =>
    Effect.gen(function* () {
      const { credits } = yield* account({
        compute: Effect.map(CurrentPrincipal, ({ client }) => ({ ...running, name: client })),
        nameOf: (client) => client
      })
      const run = credits.look(place).pipe(Effect.zipRight(credits.begin))
      const lasting = yield* as("lasting")(run)
      for (let i = 0; i < 2_500; i++) {
        yield* as(`W${i}`)(Effect.flatMap(run, ({ end }) => end))
        if (i % 100 === 99) yield* TestClock.adjust(100)
      }
      const names = (yield* credits.warehouses).map(({ warehouse }) => warehouse)
      assert.isAtMost(names.length, 1_000)
      assert.include(names, "W2499")
      assert.include(names, "W2000")
      // A statement that still runs is charged all of its time.
      assert.include(names, "lasting")
      assert.closeTo(yield* lasting.end, 2.5 / 3600, 1e-9)
    })
  )

  it.scoped("keeps warehouses apart", () =>
    Effect.gen(function* () {
      const { credits } = yield* account({
        compute: Effect.map(CurrentPrincipal, ({ client }) => ({
          ...running,
          name: client,
          creditsPerHour: 3600
        })),
        nameOf: (client) => client
      })
      const run = credits.look(place).pipe(Effect.zipRight(credits.begin))
      const [a, b] = [yield* as("A")(run), yield* as("B")(run)]
      yield* TestClock.adjust("3 seconds")
      assert.closeTo((yield* a.end) + (yield* b.end), 6, 1e-9)
    })
  )
})

describe("Credits: a tier that may not resume the warehouse", () => {
  it.scoped("is refused while it is suspended or not shown, and served while it runs", () =>
    Effect.gen(function* () {
      const { credits, says } = yield* account({ compute: Effect.succeed(suspended) })
      const ask = Effect.either(credits.mustRun(place).pipe(as("ada", "guests")))
      const refused = yield* Effect.flip(credits.mustRun(place).pipe(as("ada", "guests")))
      assert.deepInclude(refused, { _tag: "WarehouseSuspended", tier: "guests", warehouse: "WH" })
      yield* says(Effect.succeed(running))
      assert.strictEqual((yield* ask)._tag, "Right")
      yield* says(Effect.succeed(undefined))
      assert.strictEqual((yield* ask)._tag, "Left")
      // The account refuses the statement itself, and nothing is resumed.
      yield* says(Effect.succeed({ ...suspended, autoResume: false }))
      assert.strictEqual((yield* ask)._tag, "Right")
    })
  )

  it.scoped("is looked up anew each time, unless a statement was seen to run shortly before", () =>
    Effect.gen(function* () {
      const { asked, credits, says } = yield* account({ compute: Effect.succeed(running) })
      yield* credits.mustRun(place)
      yield* credits.mustRun(place)
      assert.strictEqual((yield* asked).compute, 2)
      yield* says(Effect.succeed({ ...running, running: 1 }))
      yield* credits.mustRun(place)
      yield* credits.mustRun(place)
      assert.strictEqual((yield* asked).compute, 3)
      yield* TestClock.adjust("10 seconds")
      yield* credits.mustRun(place)
      assert.strictEqual((yield* asked).compute, 4)
    })
  )

  it.scoped(
    "is refused by the answer to the latest question, when that to an earlier one comes after it",
    () =>
      Effect.gen(function* () {
        const { credits, says } = yield* account({
          compute: Effect.delay(Effect.succeed({ ...running, running: 3 }), "2 seconds")
        })
        const early = yield* Effect.fork(credits.mustRun(place))
        yield* TestClock.adjust("1 second")
        yield* says(Effect.succeed(suspended))
        assert.isTrue(Exit.isFailure(yield* Effect.exit(credits.mustRun(place))))
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(early)
        assert.isTrue(Exit.isFailure(yield* Effect.exit(credits.mustRun(place))))
      })
  )

  it.scoped("fails as the account does where that does not answer", () =>
    Effect.gen(function* () {
      const { credits } = yield* account({ compute: Effect.fail(failed) })
      assert.strictEqual(yield* Effect.flip(credits.mustRun(place)), failed)
    })
  )
})

describe("Credits: limits of the account's own", () => {
  const ada = Principal.make("ada", "default")

  it.scoped("are asked for after a statement, in the background, and remembered", () =>
    Effect.gen(function* () {
      const rows = [{ budget_name: "TEAM", credit_limit: "100", credits_used: "7" }]
      const { asked, credits } = yield* account({
        compute: Effect.succeed(running),
        budget: Effect.delay(Effect.succeed(rows), "3 seconds")
      })
      assert.isUndefined(yield* credits.budgets(ada))
      yield* credits.askBudgets(place)
      yield* credits.askBudgets(place)
      assert.isUndefined(yield* credits.budgets(ada))
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(yield* credits.budgets(ada), { user: "SERVICE", rows, ageMs: 0 })
      yield* TestClock.adjust("4 minutes")
      yield* credits.askBudgets(place)
      assert.strictEqual((yield* asked).budget, 1)
      yield* TestClock.adjust("1 minute")
      yield* credits.askBudgets(place)
      yield* Effect.yieldNow()
      assert.strictEqual((yield* asked).budget, 2)
    })
  )

  it.scoped("are said not to be told where the account fails, and seldom asked for again", () =>
    Effect.gen(function* () {
      const { asked, credits, tells } = yield* account({ compute: Effect.succeed(running) })
      yield* credits.askBudgets(place)
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* credits.budgets(ada), { rows: undefined })
      yield* tells(Effect.succeed([]))
      yield* TestClock.adjust("58 minutes")
      yield* credits.askBudgets(place)
      assert.strictEqual((yield* asked).budget, 1)
      yield* TestClock.adjust("1 minute")
      yield* credits.askBudgets(place)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual((yield* credits.budgets(ada))?.rows, [])
    })
  )
})

describe("Credits: a warehouse that costs nothing by the hour", () => {
  it.effect("is not asked", () =>
    Effect.gen(function* () {
      const credits = yield* Credits.Credits
      yield* credits.look(place)
      yield* credits.askBudgets(place)
      assert.deepStrictEqual(yield* credits.warehouses, [])
    }).pipe(
      Effect.provide(
        Credits.layer().pipe(
          Layer.provide(
            Layer.succeed(Warehouse, { dialect: "duckdb", execute: () => Effect.die("not asked for") })
          )
        )
      )
    )
  )
})
