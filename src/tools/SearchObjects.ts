/**
 * `search_objects`: tables, views, semantic views and columns by words of their names, comments and types, from memory.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Refusal } from "../guard/Guard.js"
import { CurrentPrincipal } from "../platform/Principal.js"
import type { WarehouseError } from "../warehouse/Warehouse.js"
import * as Names from "./names.js"
import * as Query from "./query.js"
import { unreachable } from "./ResultCache.js"
import * as Fields from "./schemas.js"
import * as SearchFill from "./searchFill.js"
import { SearchIndex } from "./SearchIndex.js"
import type { Found, Hit } from "./SearchIndex.js"
import * as Tool from "./Tool.js"

const MOST = 100
const STANDARD = 20

/** A first search waits so long for the names to be read, milliseconds; less where a look-up has less time. */
const PATIENCE_MS = 8_000

/** While names are being read, it is worth to come back after this. */
const READING_MS = 10_000

/** Fills at a time: one whose user is answered slowly does not hold up all others. */
const FILLS = 2

const COMMENT = 200

const Kind = Schema.Literal("table", "view", "semantic view", "column")

const input = Fields.closed(
  Schema.Struct({
    query: Fields.text(200, "Words."),
    database: Schema.optional(Fields.Name),
    kinds: Schema.optional(Schema.Array(Kind)),
    limit: Fields.atMost(MOST, STANDARD)
  })
)

const output = Schema.Struct({
  ...Fields.listFields,
  objects: Schema.Array(
    Schema.Struct({
      name: Schema.String.annotations({ description: "Full name of the table or view, for SQL." }),
      kind: Kind,
      column: Fields.Text,
      type: Fields.Text,
      comment: Fields.Text
    })
  )
})

const shortened = (comment: string): string =>
  comment.length <= COMMENT ? comment : `${comment.slice(0, COMMENT).replace(/[\uD800-\uDBFF]$/, "")}…`

const told = (field: "column" | "type" | "comment", value: string | undefined) =>
  value === undefined || value === "" ? {} : { [field]: value }

const entry = ({ column, kind, table }: Hit) => ({
  name: Names.written(table.database, table.schema, table.name),
  kind,
  ...told("column", column && Names.written(column.name)),
  ...told("type", column === undefined ? (table.isView ? "" : table.kind) : column.type),
  ...told("comment", shortened((column ?? table).comment))
})

/** Why there is nothing to search in. */
const notReady = ({
  failure,
  isFilling
}: Found): Effect.Effect<never, Refusal | WarehouseError | Tool.ToolError> => {
  const error = isFilling ? undefined : failure?.error
  if (error !== undefined && (error._tag === "WarehouseError" || Option.isSome(unreachable(error)))) {
    return Effect.fail(error)
  }
  return new Tool.ToolError({
    code: "SEARCH_NOT_READY",
    description:
      "The names of tables and columns are being read from the warehouse and are not here yet. Use list_databases, " +
      "list_tables and describe_table meanwhile, or repeat the search later.",
    retryable: true,
    retryAfterMs: isFilling ? READING_MS : Math.max(READING_MS, failure?.retryAfterMs ?? 0)
  })
}

const age = ({
  ageMs = 0,
  failure
}: Found): { readonly age_seconds: number; readonly stale?: boolean; readonly stale_reason?: string } => {
  const reason = failure?.error === undefined ? undefined : Option.getOrUndefined(unreachable(failure.error))
  return {
    age_seconds: Math.round(ageMs / 1000),
    ...(reason === undefined ? {} : { stale: true, stale_reason: reason })
  }
}

const cut = "The best matches are here. Use more telling words, database or kinds, or raise limit."

const partial =
  "Not all tables and columns are known to the search: what is not found here may exist. list_tables and describe_table ask the warehouse."

/**
 * The tool, and the fibers that fill its index until the scope closes.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.gen(function* () {
  const call = yield* Query.make
  const index = yield* SearchIndex
  const fill = yield* SearchFill.make
  yield* Effect.forkScoped(
    Effect.all(
      Array.from({ length: FILLS }, () => index.fillWith(fill)),
      { concurrency: "unbounded", discard: true }
    )
  )
  return Tool.make({
    name: Query.SEARCH,
    description:
      "Finds tables, (semantic) views and columns by words of names, comments and types, also misspelt. Use it first to " +
      "find data. From memory: needs no warehouse.",
    class: "metadata",
    input,
    aliases: { query: ["text", "q", "search", "pattern", "keyword"] },
    output,
    annotations: Tool.readOnly("Search objects"),
    handler: Effect.fnUntraced(function* ({ database, kinds, limit = STANDARD, query }) {
      const principal = yield* CurrentPrincipal
      const { metadataTimeoutMs } = call.policyOf(principal)
      const rules = yield* call.rules
      const only = database === undefined ? undefined : Names.exact(database)
      if (only !== undefined) yield* Names.mayLookInto(rules, [only])
      const search = index.search(call.identityOf(principal), principal, {
        text: query,
        kinds: new Set(kinds === undefined || kinds.length === 0 ? Kind.literals : kinds),
        limit: limit + 1,
        patienceMs: Math.min(PATIENCE_MS, metadataTimeoutMs / 2),
        permits: (table) =>
          (only === undefined || table.database === only) &&
          Names.permits(rules, table.database, table.schema, table.name)
      })
      const { meta, value } = yield* call.local(
        Query.SEARCH,
        Effect.flatMap(search, (found) =>
          found.ageMs === undefined
            ? notReady(found)
            : Effect.succeed({ ...age(found), ...found, objects: found.hits.slice(0, limit).map(entry) })
        ),
        ({ objects }) => Buffer.byteLength(JSON.stringify(objects))
      )
      const { age_seconds, hits, isFilling, isPartial, objects, stale, stale_reason } = value
      const isCut = hits.length > limit
      const steps = [...(isCut ? [cut] : []), ...(isFilling || isPartial ? [partial] : [])]
      return {
        count: objects.length,
        truncated: isCut,
        ...(isCut ? { truncated_reason: "rows" as const } : {}),
        ...(steps.length === 0 ? {} : { next_step: steps.join(" ") }),
        age_seconds,
        ...(stale === undefined ? {} : { stale, stale_reason }),
        ...meta,
        objects
      }
    })
  })
})
