import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Logger, Metric, Option, Scope, TestClock } from "effect"
import * as Admin from "../../src/cli/commands/admin.js"
import * as CircuitBreaker from "../../src/guard/CircuitBreaker.js"
import * as Degradation from "../../src/guard/Degradation.js"
import * as ErrorReport from "../../src/mcp/ErrorReport.js"
import * as Operator from "../../src/operate/Operator.js"
import * as Quota from "../../src/quota/Quota.js"
import * as QuotaStore from "../../src/quota/QuotaStore.js"
import * as Outage from "../../src/quota/stores/Outage.js"
import * as Readiness from "../../src/operate/Readiness.js"
import * as Activity from "../../src/observe/Activity.js"
import * as Audit from "../../src/observe/Audit.js"
import * as RunningCalls from "../../src/observe/RunningCalls.js"
import * as Bulkhead from "../../src/guard/Bulkhead.js"
import * as LoopGuard from "../../src/guard/LoopGuard.js"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
import * as ResultCache from "../../src/tools/ResultCache.js"
import * as Retry from "../../src/guard/Retry.js"
import * as GetLimits from "../../src/tools/GetLimits.js"
import { WarehouseError } from "../../src/warehouse/Warehouse.js"
import * as WarehouseHealth from "../../src/warehouse/WarehouseHealth.js"
import * as Fakes from "../utils/fakeGuards.js"

const quiet = Effect.provide(Logger.remove(Logger.defaultLogger))

/** A store that is there until `cut`, under real quotas, and all that tells of it. */
const stack = (options: Outage.Options = {}, lasting = false) =>
  Effect.gen(function* () {
    const control = { cut: false }
    const memory = yield* QuotaStore.makeMemory()
    const through = <A>(effect: Effect.Effect<A, QuotaStore.QuotaStoreError>) =>
      Effect.suspend(() =>
        control.cut
          ? new QuotaStore.QuotaStoreError({
              operation: "reserve",
              description: "the file is damaged; move it away",
              lasting
            })
          : effect
      )
    const store = Layer.succeed(QuotaStore.QuotaStore, {
      reserve: (charges, ttlMs) => through(memory.reserve(charges, ttlMs)),
      submitted: (id) => through(memory.submitted(id)),
      settle: (id, actual) => through(memory.settle(id, actual)),
      release: (id) => through(memory.release(id)),
      check: (charges) => through(memory.check(charges)),
      usage: (key) => through(memory.usage(key)),
      list: (cursor) => through(memory.list(cursor)),
      reset: (key, quota) => through(memory.reset(key, quota))
    })
    const policy = options.policy ?? "closed"
    const quota = Layer.orDie(
      Quota.layer({ tiers: { default: { requests_per_hour: 10 } }, outage: { default: policy } })
    )
    const guards = Layer.mergeAll(
      Layer.provideMerge(quota, Outage.layer(store, options)),
      Layer.provideMerge(
        Degradation.layer(),
        Layer.merge(CircuitBreaker.layer(), Layer.orDie(Bulkhead.layerNoop))
      ),
      Layer.provideMerge(Activity.layer, Audit.layerNoop),
      LoopGuard.layerNoop,
      RateLimiter.layerNoop,
      ResultCache.layerNoop,
      Retry.layerNoop,
      RunningCalls.layer
    )
    const scope = yield* Scope.make()
    yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
    const context = yield* Scope.extend(
      Layer.build(Layer.provideMerge(Layer.merge(Readiness.layer, Operator.layer()), guards)),
      scope
    )
    const call = (client: string) =>
      Effect.flatMap(Quota.Quota, (_) =>
        _.reserve({ client, tier: "default", class: "query", estimatedBytes: 0, deadlineMs: 1000 })
      ).pipe(Effect.provide(context))
    const problem = Effect.flatMap(Readiness.Readiness, (_) => _.problem).pipe(Effect.provide(context))
    const snapshot = Effect.flatMap(Operator.Operator, (_) => _.snapshot("all")).pipe(Effect.provide(context))
    return { control, context, call, problem, snapshot }
  })

describe("a server whose quota store is lost", () => {
  it.scoped("is not ready while calls are refused for it, says why, and is when the store is back", () =>
    Effect.gen(function* () {
      const { call, control, problem } = yield* stack()
      yield* call("ana")
      assert.deepStrictEqual(yield* problem, Option.none())
      control.cut = true
      yield* Effect.flip(call("ana"))
      assert.deepStrictEqual(
        yield* problem,
        Option.some(
          "the quota store is out of reach, and calls are refused without it: " +
            "the file is damaged; move it away. It is tried again every few seconds"
        )
      )
      control.cut = false
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* problem, Option.none())
    }).pipe(quiet)
  )

  it.scoped("is ready while calls have a share of what was left, and not when that is used up", () =>
    Effect.gen(function* () {
      const { call, control, problem } = yield* stack({ policy: "share" })
      yield* call("ana")
      control.cut = true
      for (let n = 0; n < 9; n++) yield* call("ana")
      assert.deepStrictEqual(yield* problem, Option.none())
      yield* Effect.flip(call("ana"))
      // Another client's call may have been admitted a moment ago.
      assert.deepStrictEqual(yield* problem, Option.none())
      yield* TestClock.adjust("11 seconds")
      yield* Effect.flip(call("ana"))
      assert.isTrue(Option.isSome(yield* problem))
    }).pipe(quiet)
  )

  it.scoped("tells callers to come back when it has been tried again, or that an operator must act", () =>
    Effect.gen(function* () {
      const report = (lasting: boolean) =>
        Effect.gen(function* () {
          const { call, control, problem } = yield* stack({}, lasting)
          control.cut = true
          yield* Effect.flip(call("ana"))
          const error = yield* Effect.flip(call("ana"))
          return { ...ErrorReport.fromError(error, 0), problem: Option.getOrElse(yield* problem, () => "") }
        })
      const passing = yield* report(false)
      assert.strictEqual(passing.retryAfterMs, 5_000)
      assert.include(passing.message, "Wait 5 seconds, then repeat the same call once. If it fails again")
      const lasting = yield* report(true)
      assert.deepInclude(
        { retryAfterMs: undefined, ...lasting },
        { retryable: false, retryAfterMs: undefined }
      )
      assert.include(lasting.message, "It does not mend by itself: tell the user that an operator must act")
      assert.notInclude(lasting.message, "Wait")
      assert.include(lasting.problem, "An operator has to mend it")
    }).pipe(quiet)
  )

  it.scoped("shows it to operators: in the snapshot, in `admin status` and as a metric", () =>
    Effect.gen(function* () {
      const { call, context, control, snapshot } = yield* stack({}, true)
      assert.deepStrictEqual((yield* snapshot).quota_store, {
        mode: "normal",
        refusing: false,
        lasting: false
      })
      assert.notInclude(Admin.asText(yield* snapshot), "store ")
      control.cut = true
      yield* Effect.flip(call("ana"))
      const seen = yield* snapshot
      assert.deepStrictEqual(seen.quota_store, {
        mode: "outage",
        since: "1970-01-01T00:00:00.000Z",
        reason: "the file is damaged; move it away",
        refusing: true,
        lasting: true
      })
      assert.include(
        Admin.asText(seen),
        "store      outage since 1970-01-01T00:00:00.000Z; CALLS ARE REFUSED: " +
          "the file is damaged; move it away (an operator has to mend it)"
      )
      yield* Effect.flatMap(Operator.Operator, (_) => _.sampleMetrics).pipe(Effect.provide(context))
      const states = (yield* Metric.snapshot)
        .filter(({ metricKey }) => metricKey.name === "snowguard_quota_store_state")
        .map(({ metricKey, metricState }) => [metricKey.tags[0]?.value, metricState])
      assert.sameDeepMembers(
        states.map(([state, value]) => [state, JSON.parse(JSON.stringify(value)).value]),
        [
          ["normal", 0],
          ["outage", 1],
          ["memory", 0]
        ]
      )
    }).pipe(quiet)
  )

  it.scoped("invents no figures: what could not be read is not known", () =>
    Effect.gen(function* () {
      const { call, context, control } = yield* stack()
      yield* call("ben")
      control.cut = true
      yield* Effect.flip(call("ana"))
      const tool = yield* Fakes.harness(GetLimits.make, { services: Layer.succeedContext(context) })
      const unknown = yield* tool.call({}).pipe(Fakes.as("ana", "default"))
      assert.deepStrictEqual(unknown.quotas, [])
      assert.include(unknown.quotas_unavailable, "what is used is not known (the file is damaged")
      const known = yield* tool.call({}).pipe(Fakes.as("ben", "default"))
      assert.deepInclude(known.quotas[0], { quota: "requests_per_hour", used: 1, remaining: 9 })
      assert.isUndefined(known.quotas_unavailable)
    }).pipe(quiet)
  )
})

describe("a mode that an operator has pinned", () => {
  it.scoped("is told as a reason not to be ready where it refuses every query", () =>
    Effect.gen(function* () {
      const { context, problem } = yield* stack()
      const degradation = yield* Effect.provide(Degradation.Degradation, context)
      const pinned = (mode: Degradation.Mode) =>
        Effect.scoped(Effect.zipRight(degradation.pin(mode, "because"), problem))
      for (const mode of ["cache-only", "emergency"] as const) {
        assert.deepStrictEqual(
          yield* pinned(mode),
          Option.some(
            `an operator has pinned the mode ${mode}, in which every query is refused; to end it: snowguard admin ladder unpin`
          )
        )
      }
      assert.deepStrictEqual(yield* pinned("constrained"), Option.none())
      assert.deepStrictEqual(yield* problem, Option.none())
    }).pipe(quiet)
  )
})

describe("a circuit that is open", () => {
  it.scoped("is told, and no reason to take the server out: it has its remembered answers", () =>
    Effect.gen(function* () {
      const { context, problem } = yield* stack()
      const breaker = yield* Effect.provide(CircuitBreaker.CircuitBreaker, context)
      const { impaired = Effect.die("not told") } = yield* Effect.provide(Readiness.Readiness, context)
      assert.deepStrictEqual(yield* impaired, Option.none())
      const failing = CircuitBreaker.protect(breaker, Effect.fail("no"))
      for (let n = 0; n < 3; n++) yield* Effect.ignore(failing)
      assert.deepStrictEqual(yield* problem, Option.none())
      assert.deepStrictEqual(
        yield* impaired,
        Option.some("the warehouse is failing: the circuit is open (3 consecutive failures)")
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* breaker.forceOpen("maintenance")
          assert.deepStrictEqual(yield* problem, Option.none())
          assert.deepStrictEqual(yield* impaired, Option.some("an operator holds the circuit open"))
        })
      )
    }).pipe(quiet)
  )
})

describe("logins that are refused", () => {
  it.scoped("of some users are told as theirs, by their number, and of all as those of the warehouse", () =>
    Effect.gen(function* () {
      const health = yield* WarehouseHealth.make()
      const context = yield* Layer.build(
        Layer.provide(
          Readiness.layer,
          Layer.mergeAll(
            Layer.succeed(WarehouseHealth.WarehouseHealth, health),
            Layer.provideMerge(
              Degradation.layer(),
              Layer.merge(CircuitBreaker.layer(), Layer.orDie(Bulkhead.layerNoop))
            ),
            QuotaStore.layerMemory
          )
        )
      )
      const { impaired, problem, refusedLogins } = Context.get(context, Readiness.Readiness)
      const told = Effect.map(Effect.all([problem, impaired!, refusedLogins!]), (all) =>
        all.map(Option.getOrNull)
      )
      const attempt = (user: string) => ({
        owner: `key of ${user}`,
        user,
        identity: user,
        role: "R",
        place: "P"
      })
      const refused = new WarehouseError({ reason: "Authentication", description: "Disabled.", sent: "no" })
      const others = "callers with other users are served"
      assert.deepStrictEqual(yield* told, [null, null, null])
      yield* health.loginFailed(attempt("ANN"), refused, "identity")
      assert.deepStrictEqual(yield* told, [
        null,
        null,
        `the login of 1 user to the warehouse was refused; ${others}`
      ])
      yield* health.loginAccepted(attempt("CARL"))
      yield* health.loginFailed(attempt("BOB"), refused, "identity")
      assert.deepStrictEqual(yield* told, [
        null,
        null,
        `the login of 2 users to the warehouse was refused; ${others}`
      ])
      yield* health.loginFailed(attempt("CARL"), refused, "identity")
      const [, impairment, logins] = yield* told
      assert.match(impairment ?? "", /^the login to the warehouse was refused: Disabled\./)
      assert.strictEqual(logins, null)
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* told, [null, null, null])
    }).pipe(quiet)
  )
})
