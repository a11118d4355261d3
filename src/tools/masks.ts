/**
 * Masked columns, for the tools: what the gate has to know of a table before it can write a statement anew, looked up
 * once and remembered for some minutes, and the errors of a warehouse without values.
 *
 * A table that changes meanwhile loses columns to the caller until it is looked up again; it never shows more.
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { StatementRejected } from "../gate/ReadOnly.js"
import * as Lru from "../platform/core/Lru.js"
import * as MaskRules from "../sql/MaskRules.js"
import type { Cell, Row } from "../warehouse/Warehouse.js"
import { WarehouseError } from "../warehouse/Warehouse.js"
import type { CallPolicy, TierPolicy } from "./CallPolicy.js"
import * as Names from "./names.js"
import type { ToolError } from "./Tool.js"

/** How long what was looked up is believed. */
const BELIEVED_MS = 300_000

const bounds = { maxEntries: 2_000, maxBytes: 16 * 1024 * 1024 }

/** Of one look-up: a table has some thousand columns at most, and a structured type has a long name. */
const DESCRIBED_BYTES = 4 * 1024 * 1024
const CELL_BYTES = 64 * 1024
const MAX_COLUMNS = 10_000

/** Tables that one call looks up; parts of an attempt are numbered, and this many have numbers. */
const TABLES_AT_ONCE = 20

/** The first parts are the statement and its plan. */
const FIRST_PART = 2

/** Kinds of tables with rows of their own. SHOW TABLES lists no views, and dynamic tables with a column that says so. */
const tableKinds =
  /^(?:BASE |TRANSIENT |TEMPORARY |LOCAL TEMPORARY |EXTERNAL |ICEBERG |HYBRID |EVENT )?TABLE$|^TRANSIENT$|^TEMPORARY$/i

const text = (cell: Cell | undefined): string => (typeof cell === "string" ? cell : String(cell ?? ""))

/** Columns from their names, types and what they are computed from. */
export const columnsOf = (rows: ReadonlyArray<Row>): ReadonlyArray<MaskRules.Column> => {
  const names = rows.map(([name]) => text(name))
  return rows.map(([, type, expression], at) => {
    const name = names[at]!
    const from = MaskRules.namesIn(text(expression), names).filter((each) => each !== name)
    return { name, type: text(type), ...(from.length === 0 ? {} : { from }) }
  })
}

/** Runs a look-up beside the statement of a call. */
export type Look = (request: {
  readonly statement: { readonly sql: string }
  readonly part: number
  readonly beside: true
  readonly pick: ReadonlyArray<string>
  readonly keep?: ((row: Row) => boolean) | undefined
  readonly maxRows: number
  readonly maxBytes: number
  readonly maxCellBytes: number
}) => Effect.Effect<
  {
    readonly rows: ReadonlyArray<Row>
    readonly truncated: unknown
    readonly partial: boolean
    readonly cutCells: number
  },
  WarehouseError
>

interface Entry {
  readonly known: MaskRules.Known
  readonly expires: number
}

/** What one statement is written anew with. */
export interface OfCall extends MaskRules.Masking {
  readonly rules: MaskRules.Compiled
  readonly key: MaskRules.TokenKey | undefined
}

/** The masks of a tier; undefined where it has none. */
export const ofTier = ({ masks }: Pick<TierPolicy, "masks">): MaskRules.Compiled | undefined =>
  MaskRules.isEmpty(masks) ? undefined : MaskRules.compile(masks)

/** As what the columns of a table are seen. */
export const seen =
  (policy: Pick<TierPolicy, "masks">, table: MaskRules.Table) =>
  (columns: ReadonlyArray<MaskRules.Column>): ReadonlyArray<MaskRules.Kind | undefined> =>
    MaskRules.ofColumns(ofTier(policy) ?? [], table, columns)

/** What tells apart the results of one set of masks from those of another. */
export const fingerprint = ({ masks }: Pick<TierPolicy, "masks">): string =>
  MaskRules.isEmpty(masks) ? "" : JSON.stringify(Object.entries(masks).sort(([a], [b]) => (a < b ? -1 : 1)))

const withoutTable = (table: MaskRules.Table): StatementRejected =>
  new StatementRejected({
    code: "OBJECT_NOT_ALLOWED",
    reason: `the columns of ${Names.written(...table)} could not all be looked up, so that they cannot be masked`,
    hint: "call get_limits: a quota of bytes may be used up; else name another table"
  })

/** Remembers what is known of tables, by the identity that has looked it up. */
export const make = (policies: Context.Tag.Service<CallPolicy>, dialect: "snowflake" | "duckdb") => {
  const remembered = Lru.make<Entry>(bounds)
  const keyOf = (identity: string, table: MaskRules.Table) => JSON.stringify([identity, ...table])
  const isSame = (a: string, b: string) =>
    dialect === "duckdb" ? a.toUpperCase() === b.toUpperCase() : a === b

  const lookUp = Effect.fnUntraced(function* (
    run: Look,
    part: number,
    table: MaskRules.Table,
    needsColumns: boolean
  ): Effect.fn.Return<MaskRules.Known, WarehouseError | ToolError | StatementRejected> {
    const [database = "", schema = "", name = ""] = table
    const describe = Effect.gen(function* () {
      const described = yield* run({
        statement: { sql: `DESCRIBE TABLE ${yield* Names.quoted(table)}` },
        part,
        beside: true,
        pick: ["name", "type", "expression"],
        maxRows: MAX_COLUMNS,
        maxBytes: DESCRIBED_BYTES,
        maxCellBytes: CELL_BYTES
      })
      const { cutCells, partial, rows, truncated } = described
      if (truncated !== undefined || partial || cutCells > 0 || rows.length === 0)
        return yield* withoutTable(table)
      return columnsOf(rows)
    })
    const columns = needsColumns ? yield* describe : undefined
    const listed = yield* run({
      statement: { sql: `SHOW TABLES${yield* Names.like(name)}${yield* Names.within([database, schema])}` },
      part: part + 1,
      beside: true,
      pick: ["name", "kind", "is_dynamic"],
      keep: ([found]: Row) => isSame(text(found), name),
      maxRows: 10,
      maxBytes: DESCRIBED_BYTES,
      maxCellBytes: CELL_BYTES
    })
    const [, kind, isDynamic] = listed.rows[0] ?? []
    // The warehouse says itself that there is no such table.
    if (listed.rows.length === 0 && columns === undefined) yield* describe
    return {
      isTable:
        listed.rows.length === 1 && tableKinds.test(text(kind)) && !/^(?:y|yes|true)$/i.test(text(isDynamic)),
      columns
    }
  })

  return {
    /** For one call: what is known when it begins, and what it learns. Undefined for a tier without masks. */
    forCall: (policy: TierPolicy, identity: string): Effect.Effect<OfCall | undefined> =>
      Effect.gen(function* () {
        const rules = ofTier(policy)
        if (rules === undefined) return undefined
        const now = yield* Clock.currentTimeMillis
        const key = policies.tokenKey === undefined ? undefined : yield* policies.tokenKey
        return {
          masks: policy.masks,
          rules,
          key,
          known: (table) => {
            const entry = Lru.get(remembered, keyOf(identity, table))
            return entry !== undefined && now < entry.expires ? entry.known : undefined
          }
        }
      }),
    /** Looks up the tables that a statement was refused for; it can be decided on then. */
    learn: ({ rules }: OfCall, identity: string, run: Look, tables: ReadonlyArray<MaskRules.Table>) =>
      Effect.forEach(
        tables.slice(0, TABLES_AT_ONCE),
        (table, at) =>
          Effect.gen(function* () {
            const part = FIRST_PART + 2 * at
            const known = yield* lookUp(run, part, table, MaskRules.mayMask(rules, table))
            const expires = (yield* Clock.currentTimeMillis) + BELIEVED_MS
            const bytes = (known.columns ?? []).reduce(
              (sum, { from = [], name, type }) => sum + 2 * [name, type, ...from].join("").length,
              100
            )
            Lru.set(remembered, keyOf(identity, table), { known, expires }, bytes)
          }),
        { discard: true }
      ),
    /** Forgets all that an identity has looked up: a statement failed that may have been written by it. */
    forget: (identity: string): Effect.Effect<void> =>
      Effect.sync(() => {
        const prefix = `${JSON.stringify([identity]).slice(0, -1)},`
        for (const key of [...remembered.entries.keys()])
          if (key.startsWith(prefix)) Lru.remove(remembered, key)
      })
  }
}

/** The tables that have to be looked up before the statement can be decided on; undefined for any other failure. */
export const toLookUp = (error: unknown): ReadonlyArray<MaskRules.Table> | undefined =>
  error instanceof StatementRejected && error.lookUp !== undefined && error.lookUp.length > 0
    ? error.lookUp
    : undefined

/** Mistakes in the text of a statement: the warehouse had no rows yet. */
const beforeRows = /^(?:42|0A|02)/

const untold = "(the rest of the message is not shown: it can hold values of masked columns)"

/** What an error may quote begins with one of these. */
const quotes = /['"`´‘“:{[(<\d]/

/**
 * The errors of a warehouse without the values that they may quote, for a tier that has masks. Those of statements
 * that had begun to read rows are told up to where a value could begin.
 */
export const withoutValues =
  (masking: OfCall | undefined) =>
  (error: WarehouseError): WarehouseError => {
    if (masking === undefined) return error
    const tellsRows =
      !["NotFound", "Permission", "StatementTimeout", "Cancelled", "ResultExpired"].includes(error.reason) &&
      !["Authentication", "LoginUnavailable", "Configuration", "Unavailable"].includes(error.reason) &&
      !["Overloaded", "SessionLost", "Unreachable", "Protocol"].includes(error.reason) &&
      !beforeRows.test(error.sqlState ?? "")
    const cut = tellsRows ? error.description.search(quotes) : -1
    const told = MaskRules.withoutKey(error.description, masking)
    const description = cut < 0 ? told : `${error.description.slice(0, cut).trim()} ${untold}`
    if (description === error.description) return error
    const { _tag, cause: _, ...rest } = error
    return new WarehouseError({ ...rest, description })
  }
