/**
 * What a statement may scan: the warehouse's own estimate, asked for before the statement runs, against
 * the tier's limit. A client cannot raise it.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"

/**
 * The statement did not run.
 *
 * @since 0.1.0
 * @category errors
 */
export class ScanBudgetExceeded extends Schema.TaggedError<ScanBudgetExceeded>(
  "snowguard/ScanBudgetExceeded"
)("ScanBudgetExceeded", {
  /** Bytes; absent when the warehouse gave no estimate, which counts as too much. */
  estimate: Schema.optional(Schema.Number),
  /** Absent where only what is left of a day counts. */
  limit: Schema.optional(Schema.Number),
  /** What would be scanned, largest first where that is known. */
  tables: Schema.Array(Schema.String)
}) {
  override get message(): string {
    const limit = this.limit === undefined ? "" : ` of ${this.limit} allowed`
    return `the statement would scan ${this.estimate ?? "an unknown number of"} bytes${limit}`
  }
}

/**
 * What a statement would scan, in bytes, and which tables; undefined where the plan does not say.
 *
 * @since 0.1.0
 * @category models
 */
export interface Estimate {
  readonly bytes: number | undefined
  readonly tables: ReadonlyArray<string>
}

/**
 * What the answer of EXPLAIN USING JSON says of bytes; the cell is a JSON text, or what it means already.
 *
 * @since 0.1.0
 * @category reading
 */
export const estimate = (cell: unknown): Estimate => {
  let plan: unknown = cell
  if (typeof cell === "string") {
    try {
      plan = JSON.parse(cell)
    } catch {
      return { bytes: undefined, tables: [] }
    }
  }
  const stats = Predicate.isRecord(plan) ? plan["GlobalStats"] : undefined
  const bytes = Predicate.isRecord(stats) ? Number(stats["bytesAssigned"] ?? Number.NaN) : Number.NaN
  const steps = Predicate.isRecord(plan) && Array.isArray(plan["Operations"]) ? plan["Operations"].flat() : []
  const objects = steps.flatMap((step: unknown) =>
    Predicate.isRecord(step) && Array.isArray(step["objects"]) ? step["objects"].map(String) : []
  )
  return {
    bytes: Number.isFinite(bytes) && bytes >= 0 ? bytes : undefined,
    tables: [...new Set(objects)]
  }
}
