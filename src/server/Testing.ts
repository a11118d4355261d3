/**
 * The whole server below the transport, in memory, for tests of tools and layers of your own: real
 * limits, quotas, bulkhead and breaker on whatever clock the test has, in front of a warehouse that
 * answers from a list.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Audit from "../observe/Audit.js"
import * as Bulkhead from "../guard/Bulkhead.js"
import * as CallPolicy from "../tools/CallPolicy.js"
import * as CircuitBreaker from "../guard/CircuitBreaker.js"
import * as Cursors from "../tools/Cursors.js"
import * as Degradation from "../guard/Degradation.js"
import * as Guard from "../guard/Guard.js"
import * as RequestId from "../platform/requestId.js"
import * as LoopGuard from "../guard/LoopGuard.js"
import * as Quota from "../quota/Quota.js"
import * as QuotaStore from "../quota/QuotaStore.js"
import * as RateLimiter from "../guard/RateLimiter.js"
import * as ResultCache from "../tools/ResultCache.js"
import * as Retry from "../guard/Retry.js"
import { ReadOnly } from "../gate/ReadOnly.js"
import * as SearchIndex from "../tools/SearchIndex.js"
import * as ServerConfig from "../config/ServerConfig.js"
import * as Stack from "./Stack.js"
import * as Toolbox from "../tools/Toolbox.js"
import type { Column, Row } from "../warehouse/Warehouse.js"
import { Warehouse, WarehouseError } from "../warehouse/Warehouse.js"

/**
 * What the warehouse answers to a statement: rows, or an error.
 *
 * @since 0.1.0
 * @category models
 */
export type Answer =
  { readonly columns: ReadonlyArray<Column>; readonly rows: ReadonlyArray<Row> } | WarehouseError

/**
 * A warehouse that answers the statements it knows, by their exact text; all others are `NotFound`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWarehouse = (answers: { readonly [sql: string]: Answer }): Layer.Layer<Warehouse> =>
  Layer.effect(
    Warehouse,
    Effect.map(RequestId.make, (nextId) => ({
      dialect: "snowflake" as const,
      execute: ({ sql }) => {
        const answer =
          answers[sql] ??
          new WarehouseError({
            reason: "NotFound",
            description: `The test knows no answer to: ${sql}`,
            sent: "yes"
          })
        return answer instanceof WarehouseError
          ? Effect.fail(answer)
          : Effect.succeed({ queryId: nextId(), columns: answer.columns, rows: Stream.make(answer.rows) })
      }
    }))
  )

/**
 * A read-only guard that accepts every statement as it is. For tests only.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerReadOnlyNoop: Layer.Layer<ReadOnly> = Layer.succeed(ReadOnly, {
  dialect: "snowflake",
  check: (sql) => Effect.succeed({ canonical: sql, kind: "select", tables: [], functions: [] })
})

/**
 * The parts of a stack in memory: the server's default limits, quotas, bulkhead and breaker, and no retries,
 * no cache, no degradation.
 *
 * @since 0.1.0
 * @category layers
 */
export const parts = (answers: { readonly [sql: string]: Answer } = {}): Stack.Parts => ({
  audit: Audit.layerNoop,
  rateLimiter: Layer.orDie(RateLimiter.layer(ServerConfig.rateLimiterOptions(ServerConfig.defaults))),
  bulkhead: Layer.orDie(Bulkhead.layer(ServerConfig.bulkheadOptions(ServerConfig.defaults))),
  circuitBreaker: CircuitBreaker.layer({ name: "warehouse" }),
  retry: Retry.layerNoop,
  quotaStore: QuotaStore.layerMemory,
  resultCache: ResultCache.layerNoop,
  searchIndex: SearchIndex.layerNoop,
  callPolicy: CallPolicy.layer(),
  cursors: Cursors.layer(),
  warehouse: layerWarehouse(answers),
  readOnly: layerReadOnlyNoop,
  quota: Layer.orDie(Quota.layer(ServerConfig.quotaOptions(ServerConfig.defaults))),
  degradation: Degradation.layerNoop,
  loopGuard: LoopGuard.layerNoop,
  // A refusal comes at once: the clock of a test does not move while it waits for a token.
  guard: Guard.layer({ tiers: { default: { maxTokenWaitMs: 0, batch: false } } }),
  toolbox: Toolbox.layerDefault
})

/**
 * The whole server below the protocol, with the tools on top. Every part can be replaced by its name, and
 * what is replaced is what the others use:
 *
 * ```ts
 * Testing.layer(answers, { rateLimiter: RateLimiter.layerNoop, toolbox: Toolbox.layer([myTool]) })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <P extends Stack.Overrides = {}>(
  answers: { readonly [sql: string]: Answer } = {},
  overrides?: Stack.Only<P>
): Layer.Layer<Stack.Service, Stack.ErrorOf<P>, Stack.ContextOf<P>> =>
  Stack.layer(Stack.replace<never, never, P>(parts(answers), overrides))
