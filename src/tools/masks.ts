/**
 * Masked columns, for the tools: what the gate has to know of a table before it can write a statement anew, looked up
 * once and remembered for some minutes, and the errors of a warehouse without values.
 *
 * A table that changes meanwhile loses columns to the caller until it is looked up again; it never shows more. A view
 * that is made anew meanwhile, or a table that becomes a view, is taken for what it was until then.
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import type { ReadOnly } from "../gate/ReadOnly.js"
import { StatementRejected } from "../gate/ReadOnly.js"
import * as Lru from "../platform/core/Lru.js"
import * as MaskRules from "../sql/MaskRules.js"
import type { Row } from "../warehouse/Warehouse.js"
import { WarehouseError } from "../warehouse/Warehouse.js"
import type { CallPolicy, TierPolicy } from "./CallPolicy.js"
import * as LookUps from "./lookUps.js"
import * as Names from "./names.js"
import type { ToolError } from "./Tool.js"

/** How long what was looked up is believed. */
const BELIEVED_MS = 300_000

/** The same of what is no table: a view that is made anew may read other tables. */
const VIEW_BELIEVED_MS = 60_000

/**
 * What was looked up less long ago is kept when a statement fails: others who act as the same user read it too, and must
 * not have to look it up for each statement because a client sends some that fail.
 */
const KEPT_MS = 10_000

const remembers = { maxEntries: 2_000, maxBytes: 16 * 1024 * 1024 }

/** Of one look-up: a table has some thousand columns at most, and a structured type has a long name. */
export const lookUpBounds = { beside: true, maxBytes: 4 * 1024 * 1024, maxCellBytes: 64 * 1024 } as const
const MAX_COLUMNS = 10_000

/** Look-ups after each other in one call: views stand on views. */
export const MAX_ROUNDS = 12

/** Kinds of tables with rows of their own. SHOW TABLES lists no views, and dynamic tables with a column that says so. */
const tableKinds =
  /^(?:BASE |TRANSIENT |TEMPORARY |LOCAL TEMPORARY |EXTERNAL |ICEBERG |HYBRID |EVENT )?TABLE$|^TRANSIENT$|^TEMPORARY$/i

/** Columns from their names, types and what they are computed from. */
export const columnsOf = (rows: ReadonlyArray<Row>): ReadonlyArray<MaskRules.Column> => {
  const names = rows.map(([name]) => LookUps.text(name))
  return rows.map(([, type, expression], at) => {
    const name = names[at]!
    const others = names.filter((each) => each !== name)
    const from = MaskRules.namesIn(LookUps.text(expression), others)
    const paths = MaskRules.pathsIn(LookUps.text(expression), others)
    return {
      name,
      type: LookUps.text(type),
      ...(from.length === 0 ? {} : { from }),
      ...(paths.length === 0 ? {} : { paths })
    }
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
    readonly truncated: { readonly reason: "rows" | "bytes" | "quota" } | undefined
    readonly partial: boolean
    readonly cutCells: number
  },
  WarehouseError
>

interface Entry {
  readonly known: MaskRules.Known
  readonly since: number
  readonly expires: number
}

/** What one statement is written anew with. */
export interface OfCall extends MaskRules.Masking {
  readonly rules: MaskRules.Compiled
  readonly key: MaskRules.TokenKey | undefined
  /**
   * The number of a look-up among the statements of the call, the same in each of its attempts: the warehouse answers a
   * number that it knows with what it answered before.
   */
  readonly partOf: (lookUp: string) => Effect.Effect<number, StatementRejected>
  /** Forgets what the call was told of tables, but for what is new: its statement failed, which was written by it. */
  readonly forgetOld: Effect.Effect<void>
}

/** What has to be looked up before a statement can be decided on. */
export interface Unknown {
  /** Named in the statement. */
  readonly tables: ReadonlyArray<MaskRules.Table>
  /** Read by views. */
  readonly below: ReadonlyArray<MaskRules.Table>
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

type Looked = Pick<Effect.Effect.Success<ReturnType<Look>>, "partial" | "truncated">

/** Why a look-up is not whole, and what helps. */
const incomplete = ({ partial, truncated }: Looked): string => {
  switch (truncated?.reason) {
    case "quota":
      return "the quota of result bytes is used up; call get_limits for its reset time and tell the user"
    case "rows":
    case "bytes":
      return "it has more than is looked up; name another table"
    case undefined:
      return partial
        ? "the warehouse kept a part of the answer alone; repeat it once"
        : "the warehouse told none, or cut some; name another table"
  }
}

const withoutTable = (table: MaskRules.Table, looked: Looked): StatementRejected =>
  new StatementRejected({
    code: "OBJECT_NOT_ALLOWED",
    reason: `the columns of ${Names.written(...table)} could not all be looked up, so that they cannot be masked`,
    hint: incomplete(looked)
  })

const noReads = "what it reads is not looked up"

const tooMany = new StatementRejected({
  code: "OBJECT_NOT_ALLOWED",
  reason: "the statement and its views read more tables than can be looked up in one call",
  hint: "query fewer of them first: what was looked up is remembered for a minute"
})

const isSemantic = (table: MaskRules.Table): StatementRejected =>
  new StatementRejected({
    code: "OBJECT_NOT_ALLOWED",
    reason: `${Names.written(...table)} is a semantic view, whose dimensions and metrics cannot be masked`,
    hint: "query its tables: describe_view names them"
  })

/** Remembers what is known of tables, by the identity that has looked it up. */
export const make = (policies: Context.Tag.Service<CallPolicy>, dialect: "snowflake" | "duckdb") => {
  type Gate = Pick<Context.Tag.Service<ReadOnly>, "readsOf">
  const remembered = Lru.make<Entry>(remembers)
  const keyOf = (identity: string, table: MaskRules.Table) => JSON.stringify([identity, ...table])

  const lookUp = Effect.fnUntraced(function* (
    run: Look,
    { partOf, rules }: OfCall,
    table: MaskRules.Table,
    gate: Gate,
    absent?: MaskRules.Known
  ): Effect.fn.Return<MaskRules.Known, WarehouseError | ToolError | StatementRejected> {
    const ask = Effect.fnUntraced(function* (
      sql: string,
      pick: ReadonlyArray<string>,
      more: Pick<Parameters<Look>[0], "keep" | "maxRows">
    ) {
      const part = yield* partOf(sql)
      return yield* run({ ...lookUpBounds, statement: { sql }, part, pick, ...more })
    })
    const describe = Effect.gen(function* () {
      const sql = `DESCRIBE TABLE ${yield* Names.quoted(table)}`
      const described = yield* ask(sql, ["name", "type", "expression"], { maxRows: MAX_COLUMNS })
      const { rows } = described
      if (!LookUps.isWhole(described) || rows.length === 0) return yield* withoutTable(table, described)
      return columnsOf(rows)
    })
    const show = Effect.fnUntraced(function* (
      kind: "TABLES" | "VIEWS" | "SEMANTIC VIEWS",
      pick: ReadonlyArray<string>
    ) {
      const { keep, sql } = yield* LookUps.showOne(kind, table, dialect)
      const shown = yield* ask(sql, pick, { keep, maxRows: 10 })
      // A row that had no room is no proof that there is none: a table must not be taken for one that is not there.
      return shown.truncated === undefined && !shown.partial ? shown : yield* withoutTable(table, shown)
    })
    const { rows } = yield* show("TABLES", ["name", "kind", "is_dynamic"])
    const views = rows.length > 0 ? undefined : yield* show("VIEWS", ["name", "text"])
    const isThere = rows.length > 0 || views?.rows.length !== 0
    if (!isThere && absent !== undefined) return absent
    if (!isThere && dialect === "snowflake") {
      const semantic = yield* LookUps.noneWhereUnknown(
        Effect.map(show("SEMANTIC VIEWS", ["name"]), ({ rows }) => rows.length > 0),
        false
      )
      if (semantic) {
        if (MaskRules.mayMask(rules, table)) return yield* isSemantic(table)
        return { isTable: false, reads: "it is a semantic view" }
      }
    }
    // Of what is not there the warehouse says so itself.
    const columns = !isThere || MaskRules.mayMask(rules, table) ? yield* describe : undefined
    const [, kind, isDynamic] = rows[0] ?? []
    const isTable = rows.length === 1 && tableKinds.test(LookUps.text(kind)) && !LookUps.flag(isDynamic)
    if (isTable) return { isTable, columns }
    return { isTable, columns, reads: views === undefined ? noReads : yield* readsOf(views, table, gate) }
  })

  /** What a view reads, or why that is not known. */
  const readsOf = (
    { cutCells, rows }: { readonly cutCells: number; readonly rows: ReadonlyArray<Row> },
    view: MaskRules.Table,
    gate: Gate
  ): Effect.Effect<MaskRules.Reads | string> => {
    const [, made] = rows[0] ?? []
    if (rows.length !== 1) return Effect.succeed(noReads)
    if (cutCells > 0) return Effect.succeed("its text is too long")
    if (LookUps.text(made) === "")
      return Effect.succeed("this role does not see its text, as that of a secure view")
    return gate.readsOf === undefined
      ? Effect.succeed(noReads)
      : Effect.catchAll(gate.readsOf(LookUps.text(made), view), ({ reason }) =>
          Effect.succeed(`what it reads is not certain: ${reason}`)
        )
  }

  return {
    /** For one call: what is known when it begins, and what it learns. Undefined for a tier without masks. */
    forCall: (policy: TierPolicy, identity: string): Effect.Effect<OfCall | undefined> =>
      Effect.gen(function* () {
        const rules = ofTier(policy)
        if (rules === undefined) return undefined
        const now = yield* Clock.currentTimeMillis
        const key = policies.tokenKey === undefined ? undefined : yield* policies.tokenKey
        const parts = yield* Ref.make<ReadonlyArray<string>>([])
        const told = new Set<string>()
        return {
          partOf: (lookUp) =>
            Effect.flatMap(
              Ref.modify(parts, (known) => {
                const at = known.indexOf(lookUp)
                return at < 0 ? [known.length, [...known, lookUp]] : [at, known]
              }),
              (at) => {
                const part = LookUps.lookUpPart(at)
                return part === undefined ? Effect.fail(tooMany) : Effect.succeed(part)
              }
            ),
          masks: policy.masks,
          rules,
          key,
          forgetOld: Effect.map(Clock.currentTimeMillis, (now) => {
            for (const id of told) {
              const entry = Lru.get(remembered, id)
              if (entry !== undefined && entry.since + KEPT_MS <= now) Lru.remove(remembered, id)
            }
          }),
          known: (table) => {
            const id = keyOf(identity, table)
            told.add(id)
            const entry = Lru.get(remembered, id)
            return entry !== undefined && now < entry.expires ? entry.known : undefined
          }
        }
      }),
    /** Looks up the tables that a statement was refused for; it can be decided on then, or names others. */
    learn: (
      ofCall: OfCall,
      identity: string,
      run: Look,
      gate: Gate,
      { below, tables }: Unknown
    ): Effect.Effect<void, WarehouseError | ToolError | StatementRejected> => {
      const remember = (table: MaskRules.Table, known: MaskRules.Known) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          const expires = now + (known.isTable ? BELIEVED_MS : VIEW_BELIEVED_MS)
          const entry = { known, since: now, expires }
          Lru.set(remembered, keyOf(identity, table), entry, 2 * JSON.stringify(known).length)
        })
      const isUnseen = (error: WarehouseError | ToolError | StatementRejected) =>
        error._tag === "WarehouseError" && (error.reason === "NotFound" || error.reason === "Permission")
      const absent: MaskRules.Known = { isTable: false, isAbsent: true }
      const others = below.filter((table) => !tables.some((each) => keyOf("", each) === keyOf("", table)))
      const looked = [
        ...tables.map((table) => [table, lookUp(run, ofCall, table, gate)] as const),
        ...others.map((table) => {
          const found = lookUp(run, ofCall, table, gate, absent)
          // Also a schema or a database that this role does not see.
          return [table, Effect.catchIf(found, isUnseen, () => Effect.succeed(absent))] as const
        })
      ]
      return Effect.forEach(
        looked,
        ([table, found]) => Effect.flatMap(found, (known) => remember(table, known)),
        { discard: true }
      )
    }
  }
}

/** What has to be looked up before the statement can be decided on; undefined for any other failure. */
export const toLookUp = (error: unknown): Unknown | undefined => {
  if (!(error instanceof StatementRejected)) return undefined
  const { lookUp: tables = [], lookUpBelow: below = [] } = error
  return tables.length + below.length > 0 ? { tables, below } : undefined
}

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
