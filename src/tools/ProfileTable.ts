/**
 * `profile_table`: what is in the columns of a table, by one statement.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import { ReadOnly } from "../gate/ReadOnly.js"
import type { StatementRejected } from "../gate/ReadOnly.js"
import { nearest } from "../platform/core/Nearest.js"
import * as MaskRules from "../sql/MaskRules.js"
import { forGate } from "./CallPolicy.js"
import * as Catalog from "./catalog.js"
import * as Profile from "./core/Profile.js"
import * as LookUps from "./lookUps.js"
import * as Masks from "./masks.js"
import * as Names from "./names.js"
import * as Query from "./query.js"
import * as Fields from "./schemas.js"
import * as Tool from "./Tool.js"

const name = "profile_table"

/** Columns of one call: each has an aggregate of its own, and a grouping set, of which Snowflake allows 128. */
const MAX_COLUMNS = 50

/** Columns that are named as left out. */
const NAMED = 100

const SAMPLE_ROWS = 100_000

/** The most that Snowflake draws by number. */
const MAX_SAMPLE_ROWS = 1_000_000

/** Bytes of one value. */
const CELL_BYTES = 256

const input = Fields.closed(
  Schema.Struct({
    table: Fields.Name.annotations({ description: "Also DB.SCHEMA.TABLE." }),
    database: Fields.Database,
    schema: Fields.SchemaOfOne,
    columns: Schema.optional(
      Schema.Array(Fields.Name)
        .annotations({ description: `Default: the first ${MAX_COLUMNS}.` })
        .pipe(
          Schema.filter(
            ({ length }) => (length > 0 && length <= MAX_COLUMNS) || `expected 1 to ${MAX_COLUMNS} columns`,
            { jsonSchema: {} }
          )
        )
    ),
    sample_rows: Schema.optionalWith(Fields.limit(MAX_SAMPLE_ROWS, `Default ${SAMPLE_ROWS}.`), {
      default: () => SAMPLE_ROWS
    })
  })
)

const Value = Schema.Unknown

/** Values as the warehouse gives them. */
const Values = Schema.declare((value: unknown): value is ReadonlyArray<unknown> => Array.isArray(value), {
  identifier: "Values",
  jsonSchema: { type: "array" },
  arbitrary: () => (fc) => fc.array(fc.oneof(fc.string(), fc.integer(), fc.constant(null)))
})

const output = Schema.Struct({
  table: Schema.String,
  query_id: Schema.String,
  rows: Schema.optional(Fields.Num.annotations({ description: "Of the table, where known." })),
  rows_read: Fields.Num.annotations({ description: "Rows that all figures are of." }),
  estimate: Schema.Boolean.annotations({ description: "True: a sample was read." }),
  ...Fields.profileFields,
  left_out: Schema.optional(Schema.Array(Schema.String)),
  columns: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      type: Schema.String,
      masked: Fields.Text,
      note: Fields.Text,
      nulls: Schema.optional(Fields.Num),
      distinct: Schema.optional(Fields.Num),
      least: Schema.optional(Value),
      greatest: Schema.optional(Value),
      quartiles: Schema.optional(Values),
      length: Schema.optional(
        Schema.Struct({ min: Fields.Num, mean: Fields.Num, max: Fields.Num }).annotations({
          jsonSchema: { type: "object" }
        })
      ),
      most_frequent: Schema.optional(Schema.Array(Values))
    })
  ),
  sample: Schema.Array(Values)
})

interface Column extends Profile.Column {
  readonly name: string
  readonly type: string
  readonly mask: MaskRules.Kind | undefined
}

/** What was learned of the table, and what of it is profiled. */
interface Plan {
  readonly columns: ReadonlyArray<Column>
  readonly leftOut: ReadonlyArray<string>
  readonly sampling: Profile.Sampling
  /** As the warehouse tells; undefined where it does not. */
  readonly rows: number | undefined
}

const noteOf = ({ kind }: Column): { readonly note?: string } =>
  kind === "nested" || kind === "opaque" ? { note: "Values of this type are not compared." } : {}

/** Why a look-up is not whole; undefined where it is. `cells`: whether values that are cut are a matter. */
const lacking = ({ cutCells, partial, truncated }: Query.Collected, cells: boolean): string | undefined => {
  switch (truncated?.reason) {
    case "rows":
      return `it has more than ${truncated.limit} columns`
    case "bytes":
      return `what describes it is larger than ${truncated.limit} bytes`
    case "quota":
      return "a quota of result bytes is used up (get_limits says when it is reset)"
  }
  if (cutCells > 0 && cells) {
    return `the expression of a column is longer than ${Masks.lookUpBounds.maxCellBytes} bytes, and columns are masked for this client`
  }
  return partial ? "the warehouse told a part of it" : undefined
}

const incomplete = (object: Names.Name, why: string): Tool.ToolError =>
  new Tool.ToolError({
    code: "LOOK_UP_INCOMPLETE",
    description:
      `${Names.written(...object)} could not be looked up as a whole: ${why}. Nothing of its rows was read. ` +
      "describe_table and execute_query tell of a part of it.",
    retryable: false
  })

/** Before the table has been looked up. */
const nothing: Plan = { columns: [], leftOut: [], sampling: { of: "all" }, rows: undefined }

const fewer = "Name fewer columns in columns."

/** Values that are cut do not make a profile incomplete: they are counted beside it. */
const completeness = (result: Query.Collected, leftOut: ReadonlyArray<string>): Fields.Completeness => {
  const cut = Query.completeness({ ...result, cutCells: 0 }, { rows: fewer, bytes: fewer })
  return cut.truncated || leftOut.length === 0
    ? cut
    : {
        truncated: true,
        truncated_reason: "columns",
        next_step: `${leftOut.length} more columns are left out. Name in columns those that you need, at most ${MAX_COLUMNS}.`
      }
}

/**
 * The tool, behind the gate and the guards of the context.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.gen(function* () {
  const query = yield* Query.makeRows
  const readOnly = yield* ReadOnly
  const isSame = (a: string, b: string) => Names.isSame(a, b, query.dialect)

  /** The columns that are asked for, or the first ones. */
  const chosen = <A extends { readonly name: string }>(
    all: ReadonlyArray<A>,
    asked: ReadonlyArray<string> | undefined
  ): Effect.Effect<ReadonlyArray<A>, Tool.ToolError> => {
    if (asked === undefined) return Effect.succeed(all.slice(0, MAX_COLUMNS))
    const names = [...new Set(asked.map(Names.exact))]
    const found = names.map((wanted) => all.find((column) => isSame(column.name, wanted)))
    const missing = names.filter((_, at) => found[at] === undefined)
    const [first] = missing
    if (first === undefined) return Effect.succeed([...new Set(found.filter((each) => each !== undefined))])
    const close = nearest(
      first,
      all.map((column) => column.name)
    ).map((each) => Names.written(each))
    return Names.invalidInput(
      `The table has no column ${missing.map((each) => Names.written(each)).join(", ")}.`,
      close
    )
  }

  /** The columns of a table or a view, and what the warehouse tells of its size. */
  const lookUp = Effect.fnUntraced(function* (run: Query.Run, object: Names.Name) {
    const described = yield* run({
      ...Masks.lookUpBounds,
      statement: { sql: `DESCRIBE TABLE ${yield* Names.quoted(object)}` },
      part: LookUps.OWN_PART,
      pick: ["name", "type", "expression", "kind"],
      maxRows: Catalog.COLUMN_LIMIT
    })
    const { keep, sql } = yield* LookUps.showOne("TABLES", object, query.dialect)
    const listed = yield* run({
      ...Masks.lookUpBounds,
      statement: { sql },
      part: LookUps.OWN_PART + 1,
      pick: ["name", "kind", "rows", "bytes", "is_dynamic", "is_external", "is_hybrid", "is_iceberg"],
      keep,
      maxRows: 2
    })
    // Columns that are not known would be left out without a word, and a table without its size be read whole.
    // What expressions name decides what else is masked; where nothing is, they are of no matter.
    const why = lacking(described, !MaskRules.isEmpty((yield* query.policy).masks)) ?? lacking(listed, false)
    if (why !== undefined) return yield* incomplete(object, why)
    const [, kind = null, rows = null, bytes = null, ...others] = listed.rows[0] ?? []
    return {
      columns: Masks.columnsOf(described.rows),
      isSemantic: described.rows.some(([, , , kind = null]) => Catalog.isMember(kind)),
      rows: LookUps.count(rows),
      bytes: LookUps.count(bytes),
      hasBlocks:
        query.dialect === "snowflake" &&
        /^(?:BASE |TRANSIENT |TEMPORARY )?TABLE$|^TRANSIENT$|^TEMPORARY$/i.test(LookUps.text(kind)) &&
        !others.some(LookUps.flag)
    }
  })

  const plan = Effect.fnUntraced(function* (
    run: Query.Run,
    object: Names.Name,
    { columns: asked, sample_rows }: typeof input.Type
  ) {
    const looked = yield* lookUp(run, object)
    if (looked.isSemantic) {
      return yield* Names.invalidInput(
        `${Names.written(...object)} is a semantic view, which has no rows of its own: call describe_view.`
      )
    }
    const all = looked.columns
    const masks = Masks.seen(yield* query.policy, object)(all)
    const masked = all.map((column, at) => ({ ...column, mask: masks[at] }))
    const columns = yield* Effect.forEach(yield* chosen(masked, asked), (column) =>
      Effect.map(Names.quoted([column.name]), (quoted): Column => ({
        ...column,
        quoted,
        kind: Profile.kindOf(column.type, column.mask)
      }))
    )
    const { bytes, hasBlocks, rows } = looked
    return {
      columns,
      leftOut:
        asked === undefined ? all.slice(columns.length).map((column) => Names.written(column.name)) : [],
      sampling: Profile.sampling(
        // What is masked is read through a subquery, of which no blocks can be drawn.
        { rows, bytes, hasBlocks: hasBlocks && masks.every((mask) => mask === undefined) },
        sample_rows
      ),
      rows
    } satisfies Plan
  })

  const profiled =
    (table: string, { columns, sampling }: Plan): Query.Text<StatementRejected | Tool.ToolError> =>
    (_, policy, masking) =>
      Effect.map(
        readOnly.check(
          Profile.statement(table, columns, sampling),
          forGate(policy, masking === undefined ? {} : { masking })
        ),
        ({ canonical, logged }) => ({
          sql: canonical,
          logged,
          scans: true,
          computes: true,
          bounds: {
            pick: Profile.namesOf(columns).map((each) => each.toLowerCase()),
            into: { names: [], row: Profile.compact(columns) },
            maxCellBytes: CELL_BYTES
          }
        })
      )

  return Tool.make({
    name,
    description:
      "Shows what is in a table: nulls, distinct and frequent values and ranges of its columns, some rows. Call it " +
      "before you write SQL on unknown data. Large tables are sampled.",
    class: "query",
    input,
    output,
    unchecked: true,
    annotations: Tool.readOnly("Profile table"),
    handler: Effect.fnUntraced(function* (input, { progress }) {
      const object = yield* Names.object(query.place, { ...input, name: input.table })
      yield* Names.mayRead(yield* query.rules, object)
      const table = yield* Names.quoted(object)
      const learned = yield* Ref.make(nothing)
      const { meta, value } = yield* query.all(
        {
          tool: name,
          sql: {
            learn: (run) =>
              Effect.gen(function* () {
                const found = yield* plan(run, object, input)
                yield* Ref.set(learned, found)
                return profiled(table, found)
              })
          },
          statement: () => `${name} ${table}`,
          started: progress("running"),
          waiting: progress
        },
        Profile.rowsFor(MAX_COLUMNS)
      )
      const { columns, leftOut, rows, sampling } = yield* Ref.get(learned)
      const { cutCells, queryId, truncated } = value
      const told = Profile.read(columns, value.rows, truncated === undefined)
      const isAll = sampling.of === "all" || (sampling.of === "rows" && told.rows < sampling.rows)
      const total = isAll ? told.rows : rows
      return {
        table: Names.written(...object),
        query_id: queryId,
        ...(total === undefined ? {} : { rows: total }),
        rows_read: told.rows,
        estimate: !isAll,
        ...completeness(value, leftOut),
        ...(cutCells === 0 ? {} : { truncated_cells: cutCells }),
        ...meta,
        ...(leftOut.length === 0 ? {} : { left_out: leftOut.slice(0, NAMED) }),
        columns: columns.map((column, at) => ({
          name: Names.written(column.name),
          type: column.type,
          ...(column.mask === undefined ? {} : { masked: column.mask }),
          ...noteOf(column),
          ...told.columns[at]
        })),
        sample: told.sample
      }
    })
  })
})
