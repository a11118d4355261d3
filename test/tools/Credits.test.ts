/** Credits as the tools meet them: estimated before, looked up before the statement leaves, settled afterwards. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Ref, Stream, TestClock } from "effect"
import { ReadOnly } from "../../src/gate/ReadOnly.js"
import * as CircuitBreaker from "../../src/guard/CircuitBreaker.js"
import * as Quota from "../../src/quota/Quota.js"
import * as QuotaStore from "../../src/quota/QuotaStore.js"
import * as Credits from "../../src/quota/Credits.js"
import * as Live from "../../src/platform/Live.js"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
import * as Testing from "../../src/server/Testing.js"
import * as CallPolicy from "../../src/tools/CallPolicy.js"
import * as ExecuteQuery from "../../src/tools/ExecuteQuery.js"
import * as GetLimits from "../../src/tools/GetLimits.js"
import type { Compute, Statement } from "../../src/warehouse/Warehouse.js"
import { Warehouse, WarehouseError } from "../../src/warehouse/Warehouse.js"
import * as Fakes from "../utils/fakeGuards.js"

/** A credit is a second. */
const running: Compute = {
  name: "WH",
  kind: "Large, STANDARD",
  creditsPerHour: 3600,
  state: "running",
  autoResume: true,
  autoSuspendMs: 600_000,
  running: 0
}

const gone = new WarehouseError({ reason: "Unreachable", description: "gone", sent: "yes" })

interface Account {
  readonly compute: Effect.Effect<Compute | undefined, WarehouseError>
  /** What the statements do. */
  readonly run: (statement: Statement) => Effect.Effect<void, WarehouseError>
}

/** The tools over real guards, on an account that costs. */
const world = (
  given: Partial<Account> = {},
  {
    limits = { credits_per_hour: 1_000 },
    policy = {},
    tiers = Live.from({
      default: { chargeCredits: true, ...policy },
      guests: { chargeCredits: false, wakeWarehouse: false }
    })
  }: {
    readonly limits?: Quota.Limits
    readonly policy?: Partial<CallPolicy.TierPolicy>
    readonly tiers?: Live.Live<{ readonly [tier: string]: Partial<CallPolicy.TierPolicy> }>
  } = {}
) =>
  Effect.gen(function* () {
    const account = yield* Ref.make<Account>({
      compute: Effect.succeed(running),
      run: () => Effect.sleep("3 seconds"),
      ...given
    })
    const asked = yield* Ref.make({ looks: 0, statements: 0 })
    const begun = yield* Ref.make(0)
    const credits = Layer.scoped(
      Credits.Credits,
      Effect.map(Credits.make(), (credits) => ({
        ...credits,
        begin: Effect.zipRight(
          Ref.update(begun, (n) => n + 1),
          credits.begin
        )
      }))
    )
    const warehouse = Layer.succeed(Warehouse, {
      dialect: "snowflake",
      reportsSubmit: true,
      billing: {
        compute: () =>
          Effect.zipRight(
            Ref.update(asked, (all) => ({ ...all, looks: all.looks + 1 })),
            Effect.flatMap(Ref.get(account), ({ compute }) => compute)
          ),
        budget: () => Effect.succeed([{ budget_name: "TEAM", credit_limit: "100" }])
      },
      execute: (statement) =>
        Effect.gen(function* () {
          yield* Ref.update(asked, (all) => ({ ...all, statements: all.statements + 1 }))
          // It waits for a session; that costs nothing.
          yield* Effect.sleep("1 second")
          yield* statement.onSubmit ?? Effect.void
          yield* (yield* Ref.get(account)).run(statement)
          // Its rows come without the warehouse.
          const rows = Stream.fromEffect(Effect.as(Effect.sleep("5 seconds"), [[1]]))
          return { queryId: "q", columns: [{ name: "A", type: "NUMBER", nullable: true }], rows }
        })
    })
    const readOnly = Layer.succeed(ReadOnly, {
      dialect: "snowflake",
      check: (sql) =>
        Effect.succeed({
          canonical: sql,
          kind: sql.startsWith("SHOW") ? "show" : "select",
          tables: [],
          functions: []
        })
    })
    const context = yield* Layer.build(
      Testing.layer(
        {},
        {
          warehouse: Layer.provideMerge(credits, warehouse),
          readOnly,
          callPolicy: CallPolicy.layer(tiers),
          quota: Layer.orDie(Quota.layer({ tiers: { default: { requests_per_hour: 100, ...limits } } }))
        }
      )
    )
    const tools = yield* Effect.provide(
      Effect.all({ execute: ExecuteQuery.make, limits: GetLimits.make }),
      context
    )
    const provided = <A, E>(
      effect: Effect.Effect<
        A,
        E,
        Quota.Quota | RateLimiter.RateLimiter | CircuitBreaker.CircuitBreaker | QuotaStore.QuotaStore
      >
    ) => Effect.provide(effect, context)
    return {
      execute: (sql: string, timeout_seconds?: number) =>
        tools.execute.handler({ sql, timeout_seconds, format: undefined }, Fakes.quietContext),
      limits: tools.limits.handler({}, Fakes.quietContext),
      becomes: (next: Partial<Account>) => Ref.update(account, (now) => ({ ...now, ...next })),
      asked: Ref.get(asked),
      begun: Ref.get(begun),
      used: (client = "local") =>
        provided(
          Effect.flatMap(QuotaStore.QuotaStore, (store) =>
            Effect.map(store.usage(`client:${client}`), (all) =>
              Object.fromEntries(all.map(({ quota, reserved, used }) => [quota, [used, reserved]]))
            )
          )
        ),
      tokens: provided(
        Effect.flatMap(RateLimiter.RateLimiter, ({ status }) =>
          Effect.map(status("ada", "guests"), (all) => all.find(({ scope }) => scope === "client")?.remaining)
        )
      ),
      breaker: yield* provided(CircuitBreaker.CircuitBreaker)
    }
  })

const started = <A, E>(call: Effect.Effect<A, E>) =>
  Effect.zipLeft(Effect.fork(call), TestClock.adjust("1500 millis"))

describe("a query where credits count", () => {
  it.scoped("reserves by its time limit, and is charged the time in which the warehouse worked for it", () =>
    Effect.gen(function* () {
      const { execute, used } = yield* world()
      const call = yield* started(execute("SELECT 1", 100))
      // Known to run: no minute of a resume.
      expect(yield* used()).toMatchObject({ credits_per_hour: [0, 100] })
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(call)
      expect(yield* used()).toMatchObject({ credits_per_hour: [3, 0] })
    })
  )

  it.scoped("is refused before it is sent where its estimate does not fit", () =>
    Effect.gen(function* () {
      const { asked, execute, used } = yield* world({}, { limits: { credits_per_hour: 50 } })
      yield* TestClock.adjust("45 minutes")
      expect(yield* Effect.flip(execute("SELECT 1", 100))).toMatchObject({
        _tag: "QuotaExceeded",
        quota: "credits_per_hour",
        estimate: 100,
        retryAfterMs: 900_000
      })
      expect((yield* asked).statements).toBe(0)
      expect(yield* used()).toEqual({})
    })
  )

  it.scoped(
    "is charged what it used also when it fails, when its time is over, and when it is cancelled",
    () =>
      Effect.gen(function* () {
        const { becomes, execute, used } = yield* world({ run: () => Effect.delay(gone, "2 seconds") })
        const failing = yield* started(Effect.exit(execute("SELECT 1", 100)))
        yield* TestClock.adjust("10 seconds")
        yield* Fiber.join(failing)
        expect(yield* used()).toMatchObject({ credits_per_hour: [2, 0] })
        yield* becomes({ run: () => Effect.never })
        const late = yield* started(Effect.exit(execute("SELECT 2", 10)))
        yield* TestClock.adjust("60 seconds")
        yield* Fiber.join(late)
        const [afterLate = 0] = (yield* used())["credits_per_hour"] ?? []
        // It left after a second, and its attempt has a second of grace.
        expect(afterLate).toBeCloseTo(12, 0)
        const cancelled = yield* started(execute("SELECT 3", 100))
        yield* TestClock.adjust("4500 millis")
        yield* Fiber.interrupt(cancelled)
        // It settles behind the answer.
        yield* TestClock.adjust("1 second")
        const [afterAll = 0] = (yield* used())["credits_per_hour"] ?? []
        expect(afterAll - afterLate).toBeCloseTo(5, 5)
      })
  )

  it.scoped("is charged nothing where the account does not resume the warehouse for it", () =>
    Effect.gen(function* () {
      const { execute, used } = yield* world({
        compute: Effect.succeed({ ...running, state: "suspended" }),
        run: () =>
          Effect.delay(
            new WarehouseError({ reason: "Unavailable", description: "a resource monitor", sent: "yes" }),
            "1 second"
          )
      })
      const call = yield* started(Effect.flip(execute("SELECT 1", 100)))
      yield* TestClock.adjust("10 seconds")
      expect(yield* Fiber.join(call)).toMatchObject({ reason: "Unavailable" })
      expect((yield* used())["credits_per_hour"] ?? [0, 0]).toEqual([0, 0])
    })
  )

  it.scoped("that needs no warehouse looks nothing up before it leaves, and costs nothing", () =>
    Effect.gen(function* () {
      const { asked, execute, used } = yield* world()
      const call = yield* started(execute("SHOW TABLES", 100))
      expect((yield* asked).looks).toBe(1)
      yield* TestClock.adjust("20 seconds")
      yield* Fiber.join(call)
      expect((yield* asked).looks).toBe(1)
      expect((yield* used())["credits_per_hour"]?.[0] ?? 0).toBe(0)
    })
  )

  it.scoped("asks the account nothing while the circuit is open", () =>
    Effect.gen(function* () {
      const { asked, breaker, execute, used } = yield* world()
      yield* breaker.forceOpen("by hand")
      expect(yield* Effect.flip(execute("SELECT 1", 10))).toMatchObject({ _tag: "CircuitOpen" })
      expect(yield* asked).toEqual({ looks: 0, statements: 0 })
      expect((yield* used())["credits_per_hour"] ?? [0, 0]).toEqual([0, 0])
    })
  )

  it.scoped("runs all the same where the account does not say what the warehouse is", () =>
    Effect.gen(function* () {
      const { execute, used } = yield* world({ compute: Effect.fail(gone) })
      const call = yield* started(execute("SELECT 1", 100))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(call)
      const [spent = 0] = (yield* used())["credits_per_hour"] ?? []
      expect(spent).toBeCloseTo((3 * Credits.defaults.unknownPerHour) / 3600, 5)
    })
  )

  it.scoped("divides the warehouse with statements of tiers without a limit", () =>
    Effect.gen(function* () {
      const { execute, used } = yield* world({ run: () => Effect.sleep("4 seconds") })
      const call = yield* started(execute("SELECT 1", 100))
      const other = yield* Effect.fork(execute("SELECT 2", 100).pipe(Fakes.as("bob", "guests")))
      yield* TestClock.adjust("20 seconds")
      yield* Fiber.join(call)
      yield* Fiber.join(other)
      // From second 1 to 5, the other one from 2.5 to 6.5.
      expect((yield* used())["credits_per_hour"]?.[0]).toBeCloseTo(1.5 + 2.5 / 2, 5)
      expect((yield* used("bob"))["credits_per_hour"]?.[0] ?? 0).toBe(0)
    })
  )
})

describe("the account of what statements cost", () => {
  for (const [what, counting] of [
    ["charges credits", { chargeCredits: true }],
    ["may not resume the warehouse", { wakeWarehouse: false }]
  ] as const) {
    it.scoped(`is kept for the statements of all tiers from when a tier ${what}, and not before`, () =>
      Effect.gen(function* () {
        const { live, set } = Live.make<{ readonly [tier: string]: Partial<CallPolicy.TierPolicy> }>({
          default: {}
        })
        const { begun, execute } = yield* world({}, { tiers: live })
        const asks = (sql: string) =>
          Effect.gen(function* () {
            const call = yield* started(execute(sql, 100))
            yield* TestClock.adjust("20 seconds")
            yield* Fiber.join(call)
            return yield* begun
          })
        expect(yield* asks("SELECT 1")).toBe(0)
        yield* set({ default: {}, guests: counting })
        expect(yield* asks("SELECT 2")).toBe(1)
        yield* set({ default: {} })
        expect(yield* asks("SELECT 3")).toBe(1)
      })
    )
  }
})

describe("a query of a tier that may not resume the warehouse", () => {
  const ask = <A, E>(call: Effect.Effect<A, E>) => Fakes.as("ada", "guests")(call)

  it.scoped(
    "is refused while that is suspended: nothing is sent, charged, or held against the warehouse",
    () =>
      Effect.gen(function* () {
        const { asked, breaker, execute, tokens, used } = yield* world({
          compute: Effect.succeed({ ...running, state: "suspended" })
        })
        const before = yield* tokens
        for (let i = 0; i < 5; i++) {
          expect(yield* Effect.flip(ask(execute("SELECT 1")))).toMatchObject({
            _tag: "WarehouseSuspended",
            tier: "guests",
            warehouse: "WH"
          })
        }
        expect((yield* asked).statements).toBe(0)
        expect(yield* tokens).toBe(before)
        for (const counts of Object.values(yield* used("ada"))) expect(counts).toEqual([0, 0])
        expect(yield* breaker.status).toMatchObject({ phase: "closed", failures: 0 })
      })
  )

  it.scoped("is served while it runs, and so is what needs no warehouse while it does not", () =>
    Effect.gen(function* () {
      const { becomes, execute } = yield* world()
      const call = yield* started(ask(execute("SELECT 1")))
      yield* TestClock.adjust("10 seconds")
      expect(yield* Fiber.join(call)).toMatchObject({ row_count: 1 })
      yield* becomes({ compute: Effect.succeed({ ...running, state: "suspended" }) })
      const show = yield* started(ask(execute("SHOW TABLES")))
      yield* TestClock.adjust("10 seconds")
      expect(yield* Fiber.join(show)).toMatchObject({ row_count: 1 })
    })
  )
})

describe("get_limits where credits count", () => {
  it.scoped("shows quotas, the warehouse and the account's own limits", () =>
    Effect.gen(function* () {
      const { execute, limits } = yield* world()
      expect(yield* limits).not.toHaveProperty("credits")
      const call = yield* started(execute("SELECT 1", 100))
      yield* TestClock.adjust("20 seconds")
      yield* Fiber.join(call)
      const shown = yield* limits
      expect(shown.credits).toMatchObject({
        warehouse: "WH",
        kind: "Large, STANDARD",
        credits_per_hour: 3600,
        state: "running",
        may_resume: true,
        account_budgets: [{ budget_name: "TEAM", credit_limit: "100" }]
      })
      expect(shown.quotas).toContainEqual(
        expect.objectContaining({ quota: "credits_per_hour", limit: 1_000, used: 3, remaining: 997 })
      )
      expect(yield* limits.pipe(Fakes.as("ada", "guests"))).toMatchObject({ credits: { may_resume: false } })
    })
  )

  it.scoped("shows nothing of credits where none count", () =>
    Effect.gen(function* () {
      const { asked, execute, limits } = yield* world({}, { limits: {}, policy: { chargeCredits: false } })
      const call = yield* started(execute("SELECT 1", 100))
      yield* TestClock.adjust("20 seconds")
      yield* Fiber.join(call)
      expect((yield* asked).looks).toBe(0)
      expect(yield* limits).not.toHaveProperty("credits")
    })
  )
})
