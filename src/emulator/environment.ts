/**
 * What statements run in.
 */
import type * as Effect from "effect/Effect"
import type { Billing } from "./billing.js"
import type { Client } from "../warehouse/duckdb/client.js"
import type { Identities } from "./identities.js"
import type { Traits } from "./listings.js"
import type { Rows, Sizes } from "./results.js"
import type { SemanticView } from "./semantic.js"

export interface Environment {
  readonly engine: Client
  readonly sizes: Sizes
  readonly account: string
  /** Warehouses that exist; any name does when undefined. */
  readonly warehouses: ReadonlyArray<string> | undefined
  readonly billing: Billing
  /** Rows of `MY_BUDGET_SUMMARY()`; there is no such function when undefined. */
  readonly budgets: ReadonlyArray<Readonly<Record<string, string>>> | undefined
  readonly roles: ReadonlyArray<string> | undefined
  /** Users and grants; everyone may read everything when undefined. */
  readonly identities: Identities | undefined
  /** What tables are that the engine knows as tables only. */
  readonly traits: Traits
  readonly semanticViews: ReadonlyArray<SemanticView>
  /** Rows of a SHOW at most. */
  readonly showRows: number
  readonly stored: (queryId: string) => Rows | undefined
  readonly cancel: (queryId: string) => Effect.Effect<boolean>
}

/**
 * The version of the server that clients are told.
 */
export const version = "9.30.0"
