import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, Exit, Layer, Logger, LogLevel, Ref, Schema, Scope, TestClock } from "effect"
import * as Activity from "../../src/observe/Activity.js"
import type { Entry } from "../../src/observe/Audit.js"
import * as RunningCalls from "../../src/observe/RunningCalls.js"
import * as Audit_ from "../../src/observe/Audit.js"
import { Audit } from "../../src/observe/Audit.js"
import * as Bulkhead from "../../src/guard/Bulkhead.js"
import * as CircuitBreaker from "../../src/guard/CircuitBreaker.js"
import * as Degradation from "../../src/guard/Degradation.js"
import * as LoopGuard from "../../src/guard/LoopGuard.js"
import * as Operator from "../../src/operate/Operator.js"
import * as Principal from "../../src/platform/Principal.js"
import { EventLoop } from "../../src/platform/EventLoop.js"
import * as Quota from "../../src/quota/Quota.js"
import { WarehouseError } from "../../src/warehouse/Warehouse.js"
import * as WarehouseHealth from "../../src/warehouse/WarehouseHealth.js"
import * as QuotaStore from "../../src/quota/QuotaStore.js"
import * as RateLimiter from "../../src/guard/RateLimiter.js"
import * as CallPolicy from "../../src/tools/CallPolicy.js"
import * as ResultCache from "../../src/tools/ResultCache.js"
import * as Retry from "../../src/guard/Retry.js"
import * as ServerConfig from "../../src/config/ServerConfig.js"

const ana = Principal.make("ana", "gold")

const broken = Layer.mock(QuotaStore.QuotaStore, {
  usage: () => new QuotaStore.QuotaStoreError({ operation: "usage", description: "it is gone" })
})

/** The operator over real services, and all that was audited. */
const stack = (
  store: Layer.Layer<QuotaStore.QuotaStore> = QuotaStore.layerMemory,
  options?: Operator.Options
) =>
  Effect.gen(function* () {
    const written = yield* Ref.make<ReadonlyArray<Entry>>([])
    const audit = Layer.succeed(Audit, { record: (one) => Ref.update(written, (all) => [...all, one]) })
    const health = Layer.mergeAll(
      Layer.orDie(Bulkhead.layer(ServerConfig.bulkheadOptions(ServerConfig.defaults))),
      CircuitBreaker.layer(),
      WarehouseHealth.layer()
    )
    const layer = Operator.layer(options).pipe(
      Layer.provideMerge(
        Layer.mergeAll(
          Layer.provideMerge(Degradation.layer(), health),
          Layer.provideMerge(Activity.layer, audit),
          Layer.orDie(RateLimiter.layer(ServerConfig.rateLimiterOptions(ServerConfig.defaults))),
          Layer.provideMerge(
            Layer.orDie(
              Quota.layer({
                tiers: { default: { requests_per_hour: 10 } },
                global: { requests_per_hour: 100 }
              })
            ),
            store
          ),
          LoopGuard.layerNoop,
          ResultCache.layerNoop,
          Retry.layerNoop,
          RunningCalls.layer
        )
      )
    )
    const scope = yield* Scope.make()
    const context = yield* Scope.extend(Layer.build(layer), scope)
    return { context, written: Ref.get(written), close: Scope.close(scope, Exit.void) }
  })

const quiet = Effect.provide(Logger.minimumLogLevel(LogLevel.None))

const call = (client: string, decision = "ok"): Entry => ({
  client,
  tier: "default",
  tool: "t",
  decision,
  ms: 20
})

describe("Operator", () => {
  it.effect("shows all callers by how much the event loop is late, where that is measured", () =>
    Effect.gen(function* () {
      const seen = (see: "all" | "totals") =>
        Effect.gen(function* () {
          const { close, context } = yield* stack()
          const { event_loop } = yield* Effect.provide(
            Effect.flatMap(Operator.Operator, ({ snapshot }) => snapshot(see)),
            context
          )
          yield* close
          return event_loop
        })
      const measured = Effect.provideService(EventLoop, {
        delay: Effect.succeed({ p99Ms: 11.2, maxMs: 1500 })
      })
      for (const see of ["all", "totals"] as const) {
        assert.deepStrictEqual(yield* measured(seen(see)), { p99_ms: 12, max_ms: 1500 })
        assert.isUndefined(yield* seen(see))
      }
    }).pipe(quiet)
  )

  it.effect("remembers the latest samples, one every five seconds, of an hour by itself", () =>
    Effect.gen(function* () {
      assert.strictEqual(Operator.defaults.samples * Operator.defaults.sampleEveryMs, 3_600_000)
      const { close, context } = yield* stack(QuotaStore.layerMemory, { samples: 12 })
      yield* Effect.gen(function* () {
        const operator = yield* Operator.Operator
        const audit = yield* Audit
        for (let i = 0; i < 10; i++) yield* audit.record(call("ana", i < 8 ? "ok" : "RATE_LIMITED"))
        yield* TestClock.adjust("5 seconds")
        const first = yield* operator.history()
        assert.deepStrictEqual(first.at, [5_000])
        // Ten calls in five seconds; 20 ms are told as 32.
        assert.deepStrictEqual(
          [first.values.ok, first.values.refused, first.values.p95_ms],
          [[1.6], [0.4], [32]]
        )
        yield* TestClock.adjust("95 seconds")
        const { at, values } = yield* operator.history()
        assert.deepStrictEqual(
          at,
          Array.from({ length: 12 }, (_, i) => 45_000 + i * 5_000)
        )
        // What was counted once is not counted again.
        assert.isTrue(values.ok.every((rate) => rate === 0))
        assert.deepStrictEqual((yield* operator.history(1)).at, [100_000])
      }).pipe(Effect.provide(context))
      yield* close
    }).pipe(quiet)
  )

  it.effect("tells of a refused login, and lets the next one be tried", () =>
    Effect.gen(function* () {
      const { close, context, written } = yield* stack()
      yield* Effect.gen(function* () {
        const operator = yield* Operator.Operator
        const health = yield* WarehouseHealth.WarehouseHealth
        const unlatch = operator.act({ action: "warehouse/unlatch" }, ana)
        assert.deepStrictEqual((yield* operator.snapshot("totals")).login, { latched: false })
        assert.isFalse((yield* unlatch).changed)
        const attempt = { identity: "me", role: "R", place: "P" }
        yield* health.loginFailed(
          attempt,
          new WarehouseError({ reason: "Authentication", description: "Wrong password.", sent: "no" }),
          "identity"
        )
        yield* TestClock.adjust("1 minute")
        const { login } = yield* operator.snapshot("totals")
        assert.deepStrictEqual(login, { latched: true, reason: "Wrong password.", next_login_in_ms: 540_000 })
        assert.isTrue((yield* unlatch).changed)
        assert.deepStrictEqual((yield* operator.snapshot("totals")).login, { latched: false })
        yield* health.login(attempt)
      }).pipe(Effect.provide(context))
      assert.deepStrictEqual(
        (yield* written).map(({ client, tool }) => [client, tool]),
        [
          ["ana", "operator:warehouse/unlatch"],
          ["ana", "operator:warehouse/unlatch"]
        ]
      )
      yield* close
    }).pipe(quiet)
  )

  it.effect(
    "names users whose logins are refused to administrators alone, and lets one of them be tried",
    () =>
      Effect.gen(function* () {
        const { close, context } = yield* stack()
        yield* Effect.gen(function* () {
          const operator = yield* Operator.Operator
          const health = yield* WarehouseHealth.WarehouseHealth
          const attempt = (user: string) => ({
            owner: `key of ${user}`,
            user,
            identity: "me",
            role: "R",
            place: "P"
          })
          const refused = new WarehouseError({
            reason: "Authentication",
            description: "Disabled.",
            sent: "no"
          })
          yield* health.loginFailed(attempt("ANN"), refused, "identity")
          yield* TestClock.adjust("1 minute")
          yield* health.loginFailed(attempt("BOB"), refused, "identity")
          const named = Effect.map(operator.snapshot("all"), ({ refused_users }) => refused_users)
          assert.deepStrictEqual(yield* named, [
            { user: "ANN", reason: "Disabled.", next_login_in_ms: 540_000 },
            { user: "BOB", reason: "Disabled.", next_login_in_ms: 600_000 }
          ])
          assert.notProperty(yield* operator.snapshot("totals"), "refused_users")
          const unlatch = (user: string) => operator.act({ action: "warehouse/unlatch", user }, ana)
          assert.deepInclude(yield* unlatch("eve"), {
            changed: false,
            result: "no login of eve is held back on this server"
          })
          assert.isTrue((yield* unlatch("ann")).changed)
          yield* health.login(attempt("ANN"))
          assert.strictEqual((yield* Effect.flip(health.login(attempt("BOB")))).description, "Disabled.")
          assert.deepStrictEqual(
            (yield* named)?.map(({ user }) => user),
            ["BOB"]
          )
        }).pipe(Effect.provide(context))
        yield* close
      }).pipe(quiet)
  )

  it.effect("holds the circuit open until it is released; twice is once", () =>
    Effect.gen(function* () {
      const { close, context, written } = yield* stack()
      yield* Effect.gen(function* () {
        const operator = yield* Operator.Operator
        const breaker = yield* CircuitBreaker.CircuitBreaker
        const act = (action: Operator.Action) => operator.act(action, ana)
        const phase = Effect.map(breaker.status, (status) => status.phase)
        assert.isFalse((yield* act({ action: "breaker/release" })).changed)
        assert.isTrue((yield* act({ action: "breaker/open" })).changed)
        assert.isFalse((yield* act({ action: "breaker/open" })).changed)
        assert.strictEqual(yield* phase, "forced-open")
        const { circuit, mode } = yield* operator.snapshot("totals")
        assert.deepInclude(circuit, { phase: "forced-open", held: true })
        assert.strictEqual(mode.mode, "cache-only")
        // The reset forgets failures, not the hold.
        yield* act({ action: "breaker/reset" })
        assert.strictEqual(yield* phase, "forced-open")
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual((yield* operator.history(1)).values.breaker, [2])
        assert.isTrue((yield* act({ action: "breaker/release" })).changed)
        assert.strictEqual(yield* phase, "closed")
      }).pipe(Effect.provide(context))
      assert.deepStrictEqual(
        (yield* written).map(({ client, decision, tier, tool }) => [client, tier, tool, decision]),
        ["release", "open", "open", "reset", "release"].map((verb) => [
          "ana",
          "gold",
          `operator:breaker/${verb}`,
          "ok"
        ])
      )
      yield* close
    }).pipe(quiet)
  )

  it.effect("pins a mode and another one after it; unpinned, the signals decide at once", () =>
    Effect.gen(function* () {
      const { close, context, written } = yield* stack()
      yield* Effect.gen(function* () {
        const operator = yield* Operator.Operator
        const mode = Effect.map(operator.snapshot("totals"), (seen) => [seen.mode.mode, seen.mode.pinned])
        yield* operator.act({ action: "ladder/pin", mode: "emergency" }, ana)
        assert.deepStrictEqual(yield* mode, ["emergency", true])
        yield* operator.act({ action: "ladder/pin", mode: "constrained" }, ana)
        assert.deepStrictEqual(yield* mode, ["constrained", true])
        // Were the first pin still there, it would be in force again.
        assert.isTrue((yield* operator.act({ action: "ladder/unpin" }, ana)).changed)
        assert.deepStrictEqual(yield* mode, ["normal", false])
        assert.isFalse((yield* operator.act({ action: "ladder/unpin" }, ana)).changed)
      }).pipe(Effect.provide(context))
      assert.deepStrictEqual(
        (yield* written).map(({ target }) => target),
        ["emergency", "constrained", undefined, undefined]
      )
      yield* close
    }).pipe(quiet)
  )

  it.effect("what is held is let go with the layer", () =>
    Effect.gen(function* () {
      const { close, context } = yield* stack()
      const breaker = yield* Effect.provide(CircuitBreaker.CircuitBreaker, context)
      const operator = yield* Effect.provide(Operator.Operator, context)
      yield* operator.act({ action: "breaker/open" }, ana)
      yield* close
      assert.strictEqual((yield* breaker.status).phase, "closed")
    }).pipe(quiet)
  )

  it.effect("forgets what a client has used, of one quota or of all, and leaves others alone", () =>
    Effect.gen(function* () {
      const { close, context } = yield* stack()
      yield* Effect.gen(function* () {
        const operator = yield* Operator.Operator
        const store = yield* QuotaStore.QuotaStore
        const charge = (client: string, quota: QuotaStore.QuotaName) =>
          Effect.flatMap(
            store.reserve([{ key: `client:${client}`, quota, limit: 10, amount: 3 }], 1_000),
            (decision) => (decision._tag === "Granted" ? store.settle(decision.reservation, []) : Effect.void)
          )
        for (const client of ["ben", "eve"]) {
          yield* charge(client, "requests_per_hour")
          yield* charge(client, "queries_per_day")
        }
        const used = (client: string) =>
          Effect.map(store.usage(`client:${client}`), (all) =>
            all.filter((one) => one.used > 0).map(({ quota }) => quota)
          )
        const reset = (quota?: QuotaStore.QuotaName) =>
          operator.act({ action: "quota/reset", client: "ben", quota }, ana)
        assert.match((yield* reset("queries_per_day")).result, /queries_per_day 3/)
        assert.deepStrictEqual(yield* used("ben"), ["requests_per_hour"])
        assert.isTrue((yield* reset()).changed)
        assert.deepStrictEqual(yield* used("ben"), [])
        assert.isFalse((yield* reset()).changed)
        assert.strictEqual((yield* used("eve")).length, 2)
      }).pipe(Effect.provide(context))
      yield* close
    }).pipe(quiet)
  )

  it.effect("an action that fails is written down as well", () =>
    Effect.gen(function* () {
      const { close, context, written } = yield* stack(broken)
      const operator = yield* Effect.provide(Operator.Operator, context)
      const failed = yield* Effect.flip(operator.act({ action: "quota/reset", client: "ben" }, ana))
      assert.strictEqual(failed.description, "it is gone")
      const [entry] = yield* written
      assert.deepInclude(entry, { target: "ben", decision: "QUOTA_STORE_UNAVAILABLE" })
      // And everything else is still to be seen.
      const seen = yield* operator.snapshot("all")
      assert.strictEqual(seen.quotas_unavailable, "it is gone")
      assert.strictEqual(seen.circuit.phase, "closed")
      assert.strictEqual(seen.actions?.[0]?.result, "it is gone")
      yield* close
    }).pipe(quiet)
  )

  it.effect("shows clients and operators to administrators only, and is what its schema says", () =>
    Effect.gen(function* () {
      const { close, context } = yield* stack()
      yield* Effect.gen(function* () {
        const operator = yield* Operator.Operator
        yield* Effect.flatMap(Audit, ({ record }) => record(call("secret-client")))
        yield* operator.act({ action: "ladder/unpin" }, Principal.make("secret-operator"))
        const all = yield* operator.snapshot("all")
        assert.include(JSON.stringify(all), "secret-client")
        assert.deepInclude(all.clients?.[0], { client: "secret-client" })
        assert.deepInclude(all.clients?.[0]?.quotas[0], { quota: "requests_per_hour", limit: 10 })
        const totals = yield* operator.snapshot("totals")
        assert.notInclude(JSON.stringify(totals), "secret")
        assert.deepInclude(totals.quotas[0], { quota: "requests_per_hour", limit: 100 })
        const json: unknown = JSON.parse(JSON.stringify(all))
        assert.deepStrictEqual(
          yield* Schema.decodeUnknown(Operator.Snapshot)(json, { onExcessProperty: "error" }),
          all
        )
      }).pipe(Effect.provide(context))
      yield* close
    }).pipe(quiet)
  )

  it.effect(
    "shows administrators what is particular to each tier: limits by tool with who has least left, tools it lacks, what it observes",
    () =>
      Effect.gen(function* () {
        const { settings } = Either.getOrThrow(
          ServerConfig.decode({
            document: {
              tiers: {
                gold: {
                  bytes_per_day: 10,
                  observe: ["bytes_per_day", "tool"],
                  deny_tools: ["explain_query"],
                  tools: {
                    execute_query: { requests_per_second: 0.5, burst: 4 },
                    list_tables: { weight: 3 },
                    // A limit of a tool that the tier does not have says nothing.
                    explain_query: { weight: 2 }
                  }
                }
              }
            }
          })
        )
        const layer = Operator.layer().pipe(
          Layer.provideMerge(
            Layer.mergeAll(
              Layer.provideMerge(Activity.layer, Audit_.layerNoop),
              Layer.orDie(RateLimiter.layer(ServerConfig.rateLimiterOptions(settings))),
              Layer.provideMerge(
                Layer.orDie(Quota.layer(ServerConfig.quotaOptions(settings))),
                QuotaStore.layerMemory
              ),
              CallPolicy.layer(ServerConfig.callPolicyTiers(settings)),
              RunningCalls.layer
            )
          ),
          Layer.provideMerge(
            Layer.mergeAll(
              Bulkhead.layerNoop,
              CircuitBreaker.layerNoop,
              Degradation.layerNoop,
              LoopGuard.layerNoop,
              ResultCache.layerNoop,
              Retry.layerNoop
            )
          )
        )
        yield* Effect.gen(function* () {
          const operator = yield* Operator.Operator
          const limiter = yield* RateLimiter.RateLimiter
          const audit = yield* Audit
          const row = Effect.map(operator.snapshot("all"), ({ tiers }) => tiers)
          assert.deepStrictEqual(yield* row, [
            {
              tier: "gold",
              denied: ["explain_query"],
              observes: ["tool", "bytes_per_day"],
              tools: [
                { tool: "execute_query", per_second: 0.5, burst: 4 },
                { tool: "list_tables", weight: 3 }
              ]
            }
          ])
          for (const client of ["ann", "bob", "bob"]) {
            yield* limiter.acquire({ client, tier: "gold", class: "query", tool: "execute_query" })
            yield* audit.record({ ...call(client), tier: "gold" })
          }
          assert.deepInclude((yield* row)?.[0]?.tools[0], { lowest: { client: "bob", remaining: 2 } })
          const quotas = (yield* operator.snapshot("all")).clients?.[0]?.quotas
          assert.deepInclude(
            quotas?.find(({ quota }) => quota === "bytes_per_day"),
            { limit: 10, observed: true }
          )
          assert.notProperty(yield* operator.snapshot("totals"), "tiers")
        }).pipe(Effect.provide(layer))
      }).pipe(quiet)
  )

  it("counts a tool that a tier does not have as a refusal, not as a failure", () => {
    assert.strictEqual(Activity.outcomeOf("TOOL_DENIED"), "refused")
  })

  it.effect("the operator of nothing shows finite numbers", () =>
    Effect.gen(function* () {
      const operator = yield* Operator.Operator
      const seen = yield* operator.snapshot("all")
      assert.notInclude(JSON.stringify(seen), "null")
    }).pipe(Effect.provide(Operator.layerNoop), quiet)
  )
})
