/**
 * Guards that let everything through and remember what they were asked, so that a tool can be tested
 * alone. The real wiring has its own tests.
 */
import type { Schema } from "effect"
import { Effect, Either, Layer, Ref, Scope } from "effect"
import { Bulkhead } from "../../src/guard/Bulkhead.js"
import * as CallPolicy from "../../src/tools/CallPolicy.js"
import type { Status } from "../../src/guard/CircuitBreaker.js"
import { CircuitBreaker } from "../../src/guard/CircuitBreaker.js"
import * as Cursors from "../../src/tools/Cursors.js"
import * as Audit from "../../src/observe/Audit.js"
import * as Degradation from "../../src/guard/Degradation.js"
import type { Operation, Refusal } from "../../src/guard/Guard.js"
import { Guard } from "../../src/guard/Guard.js"
import * as LoopGuard from "../../src/guard/LoopGuard.js"
import * as Principal from "../../src/platform/Principal.js"
import { CurrentPrincipal } from "../../src/platform/Principal.js"
import type { QuotaStatus } from "../../src/quota/Quota.js"
import { Quota } from "../../src/quota/Quota.js"
import * as Retry from "../../src/guard/Retry.js"
import { RateLimiter } from "../../src/guard/RateLimiter.js"
import type { Policy } from "../../src/gate/ReadOnly.js"
import { ReadOnly, StatementRejected } from "../../src/gate/ReadOnly.js"
import * as ResultCache from "../../src/tools/ResultCache.js"
import * as SearchIndex from "../../src/tools/SearchIndex.js"
import * as ToolInput from "../../src/tools/input.js"
import type * as Tool from "../../src/tools/Tool.js"
import { ToolError } from "../../src/tools/Tool.js"
import type { Warehouse, WarehouseError } from "../../src/warehouse/Warehouse.js"
import * as FakeWarehouse from "./fakeWarehouse.js"
import { expectValid } from "./schemas.js"

export interface Seen {
  readonly operations: ReadonlyArray<Operation>
  readonly sent: number
  readonly bytes: number
  readonly scanned: number
}

export interface FakeGuard {
  readonly layer: Layer.Layer<Guard>
  readonly seen: Effect.Effect<Seen>
}

export const requestId = "0f8fad5b-d9cb-469f-a165-708677289501"

export interface GuardOptions {
  /** Of each call; the same one for all when absent, which a real warehouse takes for one call. */
  readonly nextId?: () => string
  readonly refuse?: Refusal | WarehouseError
  readonly bytesLeft?: number
  readonly attemptMs?: number
  readonly warnings?: ReadonlyArray<QuotaStatus>
}

export const guard = (options: GuardOptions = {}): Effect.Effect<FakeGuard> =>
  Effect.gen(function* () {
    const seen = yield* Ref.make<Seen>({ operations: [], sent: 0, bytes: 0, scanned: 0 })
    const held = yield* Ref.make(0)
    const layer = Layer.succeed(Guard, {
      run: (operation, given) =>
        Effect.gen(function* () {
          yield* Ref.update(seen, (now) => ({ ...now, operations: [...now.operations, operation] }))
          if (options.refuse !== undefined) return yield* Effect.fail(options.refuse)
          const work = Effect.isEffect(given) ? yield* given : given
          const value = yield* work({
            requestId: options.nextId?.() ?? requestId,
            timeoutMs: options.attemptMs ?? operation.timeoutMs ?? operation.deadlineMs,
            bytesLeft: options.bytesLeft ?? Number.MAX_SAFE_INTEGER,
            markSent: Ref.update(seen, (now) => ({ ...now, sent: now.sent + 1 })),
            addBytes: (bytes) => Ref.update(seen, (now) => ({ ...now, bytes: now.bytes + bytes })),
            cancelled: Effect.void,
            holdScan: (bytes) => Ref.set(held, bytes),
            beginScan: Effect.flatMap(Ref.get(held), (bytes) =>
              Ref.update(seen, (now) => ({ ...now, scanned: now.scanned + bytes }))
            ),
            addScan: () => Effect.void,
            addCredits: () => Effect.void
          })
          return { value, warnings: options.warnings ?? [] }
        })
    })
    return { layer, seen: Ref.get(seen) }
  })

/** Takes everything that starts with SELECT or WITH, and says so in the canonical text. */
export const readOnly = (seen?: Ref.Ref<ReadonlyArray<Policy>>): Layer.Layer<ReadOnly> =>
  Layer.succeed(ReadOnly, {
    dialect: "snowflake",
    check: (sql, policy) =>
      Effect.gen(function* () {
        if (seen !== undefined) yield* Ref.update(seen, (all) => [...all, policy])
        if (!/^\s*(select|with)\b/i.test(sql)) {
          return yield* new StatementRejected({ code: "NOT_A_READ", reason: "only reads are allowed" })
        }
        const limit = policy.appendLimit === undefined ? "" : `\nLIMIT ${policy.appendLimit}`
        return {
          canonical: `/*canonical*/ ${sql.trim()}${limit}`,
          kind: "select",
          tables: [],
          functions: [],
          appendedLimit: policy.appendLimit
        }
      })
  })

/** Services that only `get_limits` asks. */
export const idleServices = Layer.mergeAll(
  Layer.mock(RateLimiter, { status: () => Effect.succeed([]) }),
  Layer.mock(Quota, { status: () => Effect.succeed([]) }),
  Layer.mock(CircuitBreaker, {
    status: Effect.succeed<Status>({
      phase: "closed",
      generation: 0,
      trips: 0,
      calls: 0,
      failures: 0,
      slow: 0,
      consecutiveFailures: 0,
      stale: 0,
      retryAfterMs: 0
    })
  }),
  Layer.mock(Bulkhead, { status: Effect.succeed([]) })
)

/** Services that change nothing while all is well. */
const quietServices = Layer.mergeAll(
  Audit.layerNoop,
  Cursors.layer(),
  Degradation.layerNoop,
  LoopGuard.layerNoop,
  ResultCache.layerNoop,
  Retry.layerNoop
)

export const quietContext: Tool.Context = { progress: () => Effect.void }

export type Services =
  | Audit.Audit
  | Guard
  | Cursors.Cursors
  | Warehouse
  | CallPolicy.CallPolicy
  | ReadOnly
  | RateLimiter
  | Quota
  | CircuitBreaker
  | Bulkhead
  | Degradation.Degradation
  | LoopGuard.LoopGuard
  | ResultCache.ResultCache
  | SearchIndex.SearchIndex
  | Retry.Retry

export interface Options extends GuardOptions {
  readonly rules?: ReadonlyArray<FakeWarehouse.Rule>
  readonly dialect?: "snowflake" | "duckdb"
  /** In the place of the scripted one. */
  readonly warehouse?: Layer.Layer<Warehouse>
  readonly policy?: Partial<CallPolicy.TierPolicy>
  readonly services?: Layer.Layer<RateLimiter | Quota | CircuitBreaker | Bulkhead>
  readonly readOnly?: Layer.Layer<ReadOnly>
  readonly searchIndex?: Layer.Layer<SearchIndex.SearchIndex>
}

/** Runs a call as this client. */
export const as = (client: string, tier = "default") =>
  Effect.provideService(CurrentPrincipal, Principal.make(client, tier))

/** Everything a tool may ask for, as fakes. */
export const services = (options: Options = {}) =>
  Effect.gen(function* () {
    const warehouse = yield* FakeWarehouse.make(options.rules ?? [], {
      dialect: options.dialect ?? "snowflake"
    })
    const guarded = yield* guard(options)
    const layer = Layer.mergeAll(
      options.warehouse ?? warehouse.layer,
      guarded.layer,
      CallPolicy.layer({ default: options.policy ?? {} }),
      options.readOnly ?? readOnly(),
      options.services ?? idleServices,
      options.searchIndex ?? SearchIndex.layerNoop,
      quietServices
    )
    return { warehouse, guard: guarded, layer }
  })

/**
 * A tool with fakes around it. `call` takes arguments as JSON and gives back what a client would read:
 * both pass the tool's schemas, and the answer its JSON Schema too.
 */
export const harness = <T extends Tool.Any>(
  make: Effect.Effect<T, never, Services | Scope.Scope>,
  options: Options = {}
) =>
  Effect.gen(function* () {
    const { guard, layer, warehouse } = yield* services(options)
    const scope = yield* Scope.make()
    const tool = yield* make.pipe(Effect.provide(layer), Scope.extend(scope))
    const { decode, encode } = ToolInput.codec(tool)
    const call = (input: object, context: Tool.Context = quietContext) =>
      Effect.gen(function* () {
        const decoded = yield* decode(input as Record<string, unknown>).pipe(
          Either.mapLeft(
            (description) => new ToolError({ code: "INVALID_INPUT", description, retryable: false })
          )
        )
        const value: Schema.Schema.Type<T["output"]> = yield* tool.handler(
          decoded as Schema.Schema.Type<T["input"]>,
          context
        )
        expectValid(tool.output, encode === undefined ? value : yield* encode(value))
        return value
      })
    return { tool, call, warehouse, guard }
  })
