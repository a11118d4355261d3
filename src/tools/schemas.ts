/**
 * Pieces that the schemas of several tools share. Descriptions are short on purpose: a model pays for
 * every tool's schema in every conversation.
 */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { QuotaStatus } from "../quota/Quota.js"
import type { Row } from "../warehouse/Warehouse.js"

/**
 * A text of 1 to `max` characters. The bounds are checked and not advertised: strict function calling of
 * model providers refuses schemas with `minLength` or `maxLength`.
 */
export const text = (max: number, description?: string) => {
  const told = description === undefined ? {} : { description }
  return Schema.String.annotations(told).pipe(
    Schema.filter(
      (value) => (value.length > 0 && value.length <= max) || `expected a text of 1 to ${max} characters`,
      { jsonSchema: {}, ...told }
    )
  )
}

/**
 * A name of an object; how it is written is told by `list_databases`. 255 characters is the longest name there is, and
 * every one of them may be a doubled quote.
 */
export const Name = text(512)

/** Of names that do not say it: the current one when absent. */
export const Database = Schema.optional(Name)

/** The schema of one object: the current one, or PUBLIC in another database. */
export const SchemaOfOne = Schema.optional(Name)

/** Its length is for the gate to judge. */
export const Sql = Schema.String.pipe(
  Schema.filter((value) => value.length > 0 || "expected a statement", { jsonSchema: {} })
)

/** What other servers call it; models know those. */
export const sqlAliases = { sql: ["query", "statement"] }

/** Of the names that are shown. */
export const Pattern = Schema.optional(text(512, "LIKE pattern."))

/** A whole number from 1 to `max`; the bounds are told by the description. */
export const limit = (max: number, description: string) =>
  Schema.Number.pipe(
    Schema.filter(
      (value) =>
        (Number.isInteger(value) && value >= 1 && value <= max) || `expected a whole number from 1 to ${max}`,
      { jsonSchema: { type: "integer", description }, description }
    )
  )

/** How many entries at most; undefined leaves it to the tool. */
export const atMost = (max: number, standard: number) => Schema.optional(limit(max, `Default ${standard}.`))

/**
 * A mistyped argument is told, not ignored: `schema_name` instead of `schema` would otherwise look up
 * another schema than the one that was meant.
 */
export const closed = <A, I>(schema: Schema.Schema<A, I>): Schema.Schema<A, I> =>
  schema.annotations({ parseOptions: { onExcessProperty: "error" } })

/** A text that is only there when it says something. */
export const Text = Schema.optional(Schema.String)

/** A number that JSON can hold. `Schema.Finite` would describe itself to the model each time it is used. */
export const Num = Schema.Number.pipe(Schema.filter((value) => Number.isFinite(value), { jsonSchema: {} }))

export const Count = Schema.NonNegativeInt

/** JSON has no infinity. */
export const finite = (value: number): number => Math.min(value, Number.MAX_SAFE_INTEGER)

export const QuotaWarning = Schema.Struct({
  scope: Schema.Literal("client", "global"),
  quota: Schema.String,
  limit: Num,
  used: Num,
  remaining: Num,
  resets_at: Schema.String
})
export type QuotaWarning = typeof QuotaWarning.Type

export const quotaWarning = ({
  limit,
  quota,
  remaining,
  resetAt,
  scope,
  used
}: QuotaStatus): QuotaWarning => ({
  scope,
  quota,
  limit: finite(limit),
  used: finite(used),
  remaining: finite(remaining),
  resets_at: Option.match(DateTime.make(resetAt), { onNone: () => "never", onSome: DateTime.formatIso })
})

const metaFields = {
  elapsed_ms: Num.annotations({ description: "Milliseconds the call took, waiting included." }),
  degraded: Schema.optional(
    Schema.Struct({
      mode: Schema.String,
      why: Schema.String,
      way_back: Schema.optional(Schema.String)
    })
  ),
  quota_warnings: Schema.optional(
    Schema.Array(QuotaWarning).annotations({ description: "Quotas of which less than a fifth is left." })
  )
}

/** Only what is looked up in the catalog is remembered. */
const cachedFields = {
  stale: Schema.optional(
    Schema.Boolean.annotations({
      description: "True: an older answer, since the warehouse is out of reach."
    })
  ),
  age_seconds: Schema.optional(Num),
  stale_reason: Schema.optional(Schema.String)
}

export interface AnswerMeta {
  readonly elapsed_ms: number
  readonly stale?: boolean
  readonly age_seconds?: number
  readonly stale_reason?: string
  readonly degraded?: { readonly mode: string; readonly why: string; readonly way_back?: string }
  readonly quota_warnings?: ReadonlyArray<QuotaWarning> | undefined
}

const TruncatedReason = Schema.Literal("rows", "bytes", "quota", "cells", "columns")

const truncatedFields = {
  truncated: Schema.Boolean.annotations({ description: "True when there is more than is shown here." }),
  truncated_reason: Schema.optional(
    TruncatedReason.annotations({ description: "What was cut and why: the limit that was reached." })
  ),
  next_step: Schema.optional(Schema.String.annotations({ description: "How to get what is missing." }))
}

export interface Completeness {
  readonly truncated: boolean
  readonly truncated_reason?: typeof TruncatedReason.Type
  readonly next_step?: string
}

/** Fields that many answers have; what they mean is in the instructions. */
export const common: ReadonlySet<string> = new Set(
  Object.keys({ ...metaFields, ...cachedFields, ...truncatedFields, truncated_cells: 0 })
)

/** Fields of every answer that lists things. */
export const listFields = {
  count: Count.annotations({ description: "Entries shown." }),
  ...truncatedFields,
  truncated_cells: Schema.optional(Count),
  ...cachedFields,
  ...metaFields
}

/** The same of an answer that is no list and is never remembered. */
export const profileFields = {
  ...truncatedFields,
  truncated_cells: Schema.optional(Count),
  ...metaFields
}

/**
 * Rows are passed through as they are: checking a million cells one by one would say nothing that the
 * warehouse port does not promise already.
 */
const Rows = Schema.declare((value: unknown): value is ReadonlyArray<Row> => Array.isArray(value), {
  identifier: "Rows",
  description: "One array a row, values in the order of columns.",
  jsonSchema: { type: "array", items: { type: "array" } },
  arbitrary: () => (fc) => fc.array(fc.array(fc.oneof(fc.string(), fc.integer(), fc.constant(null))))
})

// What a reader must not miss stands before the rows: a client may show only the beginning.
export const QueryResult = Schema.Struct({
  query_id: Schema.String.annotations({ description: "The warehouse's id of the statement." }),
  row_count: Count.annotations({ description: "Rows shown." }),
  ...truncatedFields,
  next_cursor: Schema.optional(
    Schema.String.annotations({ description: "For get_query_results: the rows after these." })
  ),
  truncated_cells: Schema.optional(Count.annotations({ description: "Values cut short." })),
  ...metaFields,
  columns: Schema.Array(Schema.Struct({ name: Schema.String, type: Schema.String, in_sql: Text })),
  rows: Rows
})
export type QueryResult = typeof QueryResult.Type

export const ColumnInfo = Schema.Struct({
  name: Schema.String,
  type: Schema.String,
  nullable: Schema.Boolean,
  default: Text,
  expression: Text,
  primary_key: Schema.optional(Schema.Boolean),
  masking_policy: Text,
  masked: Text,
  comment: Text
})

/** What to do when a call is refused; in the instructions, and where calls are refused most. */
export const whenRefused = "If refused, wait the seconds that are named, then repeat the same call once."
