/**
 * What is known of a statement, from its submission on. Pure.
 *
 * @since 0.1.0
 */
import type * as Deferred from "effect/Deferred"
import type * as Fiber from "effect/Fiber"
import type { Bind } from "../warehouse/Warehouse.js"
import type { Failure } from "./failures.js"
import type { Rows } from "./results.js"
import type { Session } from "./sessions.js"
import type { SecondaryRoles } from "./sqlText.js"

/**
 * @since 0.1.0
 * @category models
 */
export type Outcome =
  Rows | Failure | { readonly _tag: "Children"; readonly children: ReadonlyArray<Statement> }

/**
 * @since 0.1.0
 * @category models
 */
export type Status = "QUEUED" | "RUNNING" | "SUCCESS" | "FAILED_WITH_ERROR" | "ABORTED"

/**
 * @since 0.1.0
 * @category models
 */
export interface Statement {
  readonly queryId: string
  readonly requestId: string | undefined
  readonly session: Session
  readonly sql: string
  readonly tag: string
  /** As they were when it was submitted. */
  readonly role: string
  readonly secondaryRoles: SecondaryRoles
  readonly isAsync: boolean
  readonly typeId: number
  readonly startedAt: number
  status: Status
  endedAt: number | undefined
  result: Outcome | undefined
  readonly outcome: Deferred.Deferred<Outcome>
  fiber: Fiber.Fiber<void> | undefined
}

/**
 * A fault that strikes a statement instead of its request.
 *
 * @since 0.1.0
 * @category models
 */
export type StatementFault =
  "suspendedWarehouse" | "resourceMonitor" | "queueTimeout" | "largeParts" | Failure

/**
 * @since 0.1.0
 * @category models
 */
export interface Submission {
  readonly sql: string
  readonly requestId: string | undefined
  readonly binds: ReadonlyArray<Bind>
  readonly parameters: ReadonlyMap<string, string>
  readonly describeOnly: boolean
  readonly isAsync: boolean
  readonly fault: StatementFault | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Counts {
  queued: number
  running: number
  executed: number
  succeeded: number
  failed: number
  cancelled: number
}
