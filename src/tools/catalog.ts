/**
 * Look-ups: rows of SHOW and DESCRIBE as entries, and what an answer says when it is not complete.
 */
import * as Effect from "effect/Effect"
import type { TierPolicy } from "./CallPolicy.js"
import { like } from "../sql/Like.js"
import type { Column, Kind } from "../sql/MaskRules.js"
import type { Cell, Row } from "../warehouse/Warehouse.js"
import * as SemanticView from "./core/SemanticView.js"
import { count, flag, noneWhereUnknown, text } from "./lookUps.js"
import * as Masks from "./masks.js"
import * as Names from "./names.js"
import * as Query from "./query.js"
import type { AnswerMeta, Completeness } from "./schemas.js"

/** Entries of one answer: as many as the caller asks for, up to the most; what fits a glance when it does not. */
export const LIST_LIMIT = 1000
export const LIST_DEFAULT = 200

/** The same of the columns of a table. */
export const COLUMN_LIMIT = 10_000
export const COLUMN_DEFAULT = 200

/** Bytes of one answer; a caller that says how many entries it wants may have more. */
const DEFAULT_BYTES = 32 * 1024
const ASKED_BYTES = 256 * 1024

/** Bytes of a comment or a default, and of any other cell: no name is as long. */
const COMMENT_BYTES = 240
const CELL_BYTES = 2048

/** Rows that Snowflake gives of one SHOW, and how many times a list reads on. */
const SHOW_CAP = 10_000
const MAX_PAGES = 10

/** One row by the names of its columns. */
export type Entry<Name extends string> = { readonly [K in Name]: Cell }

export const toEntry = <Name extends string>(names: ReadonlyArray<Name>, row: Row): Entry<Name> =>
  Object.fromEntries(names.map((name, at) => [name, row[at] ?? null])) as Entry<Name>

const toEntries = <Name extends string>(
  names: ReadonlyArray<Name>,
  rows: ReadonlyArray<Row>
): ReadonlyArray<Entry<Name>> => rows.map((row) => toEntry(names, row))

const present = <Name extends string, A>(
  names: ReadonlyArray<Name>,
  read: (name: Name) => A | undefined
): { readonly [K in Name]?: A } => {
  const out: { [K in Name]?: A } = {}
  for (const name of names) {
    const value = read(name)
    if (value !== undefined) out[name] = value
  }
  return out
}

/** The fields of an entry that say something, as texts: an empty comment would be a token for nothing. */
export const texts = <Name extends string>(entry: Entry<NoInfer<Name>>, names: ReadonlyArray<Name>) =>
  present(names, (name) => text(entry[name]) || undefined)

/** The fields of an entry that hold a number, as numbers. */
export const counts = <Name extends string>(entry: Entry<NoInfer<Name>>, names: ReadonlyArray<Name>) =>
  present(names, (name) => count(entry[name]))

const bytesOf = ({ maxResultBytes }: TierPolicy, limit: number | undefined): number =>
  Math.min(maxResultBytes, limit === undefined ? DEFAULT_BYTES : ASKED_BYTES)

const narrowing = (how: string, limit: number | undefined, most: number, standard: number): Query.Advice => {
  const shown = limit ?? standard
  return {
    rows: `Only the first ${shown} are here. ${how}${shown < most ? `, or raise limit (at most ${most})` : ""}.`,
    bytes: `${how}${limit === undefined ? ", or give a limit" : ""}.`
  }
}

/** What every list begins with. */
type Head = Completeness & AnswerMeta & { readonly count: number; readonly truncated_cells?: number }

const headOf = (result: Query.Collected, advice: Query.Advice, meta: AnswerMeta): Head => ({
  count: result.rows.length,
  // A comment that is cut is no entry that is missing.
  ...Query.completeness({ ...result, cutCells: 0 }, advice),
  ...(result.cutCells === 0 ? {} : { truncated_cells: result.cutCells }),
  ...meta
})

/** The pages of a result as one. */
const joined = (before: Query.Collected, page: Query.Collected): Query.Collected => ({
  ...page,
  rows: [...before.rows, ...page.rows],
  cutCells: before.cutCells + page.cutCells,
  bytes: before.bytes + page.bytes,
  arrived: before.arrived + page.arrived
})

type Listed = "DATABASES" | "SCHEMAS" | "TABLES" | "VIEWS" | "SEMANTIC VIEWS"

/** What SHOW lists, where, and what of it may be seen. */
interface Listing<Column extends string, Field extends string> {
  readonly kind: Listed
  /** Listed before the others, where the warehouse has such objects. */
  readonly first?: Listed | undefined
  readonly pattern: string | undefined
  readonly namespace: Names.Name
  readonly limit: number | undefined
  readonly columns: readonly ["name", ...ReadonlyArray<Column>]
  /** Undefined where everything is. */
  readonly keep: ((entry: Entry<Column | "name">) => boolean) | undefined
  /** The fields of an entry; `name` is the first of them. */
  readonly fields: ReadonlyArray<Field>
  readonly entry: (entry: Entry<Column | "name">, kind: Listed) => Entry<Field>
  /** What to do about a list that is cut: `Narrow the list with pattern`. */
  readonly narrower: string
}

/** Which tables or views of a listing are shown; undefined: all. */
export const permitted = (
  rules: Names.Rules,
  [database = ""]: Names.Name
): ((entry: Entry<"name" | "schema_name">) => boolean) | undefined =>
  rules === undefined
    ? undefined
    : ({ name, schema_name }) => Names.permits(rules, database, text(schema_name), text(name))

/** How a list of tables or views gets shorter. */
export const narrower = (namespace: Names.Name): string =>
  `Narrow the list with ${namespace.length === 1 ? "schema or pattern" : "pattern"}`

/** An empty text is left out of the answer, as NULL is. */
const filled = (cell: Cell): Cell => (cell === "" ? null : cell)

/** A comment is cut; a name never is. */
const columnBytes = (fields: ReadonlyArray<string>) =>
  fields.map((field) => (field === "comment" || field === "default" ? COMMENT_BYTES : undefined))

const nothing: Query.Collected = {
  queryId: "",
  columns: [],
  rows: [],
  cutCells: 0,
  bytes: 0,
  arrived: 0,
  last: undefined,
  partial: false,
  truncated: undefined
}

export const make = Effect.map(Query.make, (call) => {
  const list = Effect.fnUntraced(function* <const Column extends string, const Field extends string>(
    tool: string,
    listing: Listing<Column, Field>
  ) {
    const { columns, fields, first, keep, limit, namespace } = listing
    const kinds = first === undefined || call.dialect === "duckdb" ? [listing.kind] : [first, listing.kind]
    const maxRows = limit ?? LIST_DEFAULT
    const within = yield* Names.within(namespace)
    const clauses = `${yield* Names.like(listing.pattern)}${within}`
    // In a whole database the same name may stand in several schemas: there is no reading on after a name.
    const pages = call.dialect === "snowflake" && !(namespace.length === 1 && listing.kind !== "SCHEMAS")
    const pick: ReadonlyArray<Column | "name"> = columns
    const into = (kind: Listed) => ({
      names: fields,
      columnBytes: columnBytes(fields),
      row: (row: Row): Row => {
        const entry = listing.entry(toEntry(pick, row), kind)
        return fields.map((field) => filled(entry[field]))
      }
    })

    const read = (run: Query.Run, policy: TierPolicy) =>
      Effect.gen(function* () {
        const maxBytes = bytesOf(policy, limit)
        const page = (
          kind: Listed,
          part: number,
          after: string | undefined,
          before: Query.Collected | undefined
        ) =>
          Effect.gen(function* () {
            const left = maxRows - (before?.rows.length ?? 0)
            // What may not be seen would take the place of what may.
            const most =
              after !== undefined
                ? ` LIMIT ${SHOW_CAP} FROM ${yield* Names.literal(after, "The name")}`
                : keep === undefined
                  ? ` LIMIT ${left + 1}`
                  : ""
            return yield* run({
              statement: { sql: `SHOW ${kind}${clauses}${most}` },
              part,
              pick,
              maxRows: left,
              maxBytes: maxBytes - (before?.bytes ?? 0),
              maxCellBytes: CELL_BYTES,
              into: into(kind),
              keep:
                keep === undefined
                  ? undefined
                  : (row: Row) => text(row[0] ?? null) !== after && keep(toEntry(pick, row))
            })
          })
        const isCut = (last: Query.Collected) =>
          keep !== undefined &&
          call.dialect === "snowflake" &&
          last.truncated === undefined &&
          last.arrived >= SHOW_CAP
        let part = 0
        let cut = false
        let all: Query.Collected | undefined
        for (const kind of kinds) {
          if (all?.truncated !== undefined) break
          const asked = page(kind, part++, undefined, all)
          // An account that does not know the kind has none of it.
          let last: Query.Collected = yield* kind === listing.kind ? asked : noneWhereUnknown(asked, nothing)
          all = all === undefined ? last : joined(all, last)
          let after: string | undefined
          for (; pages && part < MAX_PAGES && isCut(last); part++) {
            const next = text(last.last?.[0] ?? null)
            // Nothing comes after a name that is the last one for the second time.
            if (next === "" || next === after) break
            after = next
            last = yield* page(kind, part, after, all)
            all = joined(all, last)
          }
          cut ||= isCut(last)
        }
        return { result: all ?? nothing, isCut: cut }
      })

    const key = [`SHOW ${listing.kind}${clauses}`, limit]
    const { meta, value } = yield* call.metadata(tool, JSON.stringify(key), read)
    const { isCut, result } = value
    const advice = narrowing(listing.narrower, limit, LIST_LIMIT, LIST_DEFAULT)
    const head = headOf(result, advice, meta)
    return {
      entries: toEntries(fields, result.rows),
      head: isCut
        ? {
            ...head,
            truncated: true,
            truncated_reason: "rows" as const,
            next_step: `The warehouse lists no more than ${SHOW_CAP} at a time, and not all were seen. ${listing.narrower}.`
          }
        : head
    }
  })
  return { ...call, list }
})

const described = [
  "name",
  "type",
  "null?",
  "default",
  "primary key",
  "comment",
  "policy name",
  "expression",
  "kind"
] as const
const columnFields = [
  "name",
  "type",
  "nullable",
  "default",
  "expression",
  "primary_key",
  "masking_policy",
  "comment",
  "kind"
] as const

/** Which columns of a table or view. */
interface Columns {
  readonly pattern: string | undefined
  readonly limit: number | undefined
}

/** DESCRIBE of a table or view, inside a look-up. */
export const describe = (run: Query.Run, sql: string, policy: TierPolicy, { limit, pattern }: Columns) => {
  const matches = pattern === undefined ? undefined : like(pattern)
  const maxBytes = bytesOf(policy, limit)
  return run({
    statement: { sql },
    pick: described,
    maxRows: limit ?? COLUMN_DEFAULT,
    maxBytes,
    maxCellBytes: CELL_BYTES,
    keep: matches === undefined ? undefined : (row) => matches(text(row[0] ?? null)),
    into: {
      names: columnFields,
      columnBytes: columnBytes(columnFields),
      row: (row) => {
        const entry = toEntry(described, row)
        return [
          Names.written(text(entry.name)),
          entry.type,
          flag(entry["null?"]),
          filled(entry.default),
          filled(entry.expression),
          flag(entry["primary key"]) ? true : null,
          filled(entry["policy name"]),
          filled(entry.comment),
          // Of a table or a view all are columns.
          entry.kind === "COLUMN" ? null : filled(entry.kind)
        ]
      }
    }
  })
}

/** Whether what a {@link describe} tells is a semantic view. */
export const isSemantic = (result: Query.Collected): boolean =>
  toEntries(columnFields, result.rows).some(({ kind }) => isMember(kind))

/** Whether what is described is of a kind that only semantic views have. */
export const isMember = (kind: Cell): boolean => /^(?:DIMENSION|FACT|METRIC)$/.test(text(kind))

/** The answer that a {@link describe} makes; `masked`: as what the columns are seen, undefined as they are. */
export const columns = (
  result: Query.Collected,
  { limit }: Columns,
  meta: AnswerMeta,
  masked: (columns: ReadonlyArray<Column>) => ReadonlyArray<Kind | undefined>
) => {
  const entries = toEntries(columnFields, result.rows)
  const kinds = masked(
    Masks.columnsOf(entries.map(({ expression, name, type }) => [Names.exact(text(name)), type, expression]))
  )
  return {
    head: headOf(
      result,
      narrowing("Narrow the columns with pattern", limit, COLUMN_LIMIT, COLUMN_DEFAULT),
      meta
    ),
    columns: entries.map((entry, at) => ({
      name: text(entry.name),
      type: text(entry.type),
      nullable: entry.nullable === true,
      ...texts(entry, ["default", "expression", "masking_policy", "comment"]),
      ...maskOf(kinds[at]),
      ...(entry.primary_key === true ? { primary_key: true } : {})
    }))
  }
}

const maskOf = (kind: Kind | undefined) => (kind === undefined ? {} : { masked: kind })

const property = ["object_kind", "object_name", "parent_entity", "property", "property_value"] as const

/** What says nothing that is not told otherwise. */
const isIdle = (row: Row): boolean =>
  (row[3] === "ACCESS_MODIFIER" && row[4] !== "PRIVATE") || (row[3] === "TABLE" && row[0] !== "RELATIONSHIP")

/** Properties that a semantic view may have: several for each of as many members as columns are read. */
const PROPERTIES = 5 * COLUMN_LIMIT

/** DESCRIBE of a semantic view, inside a look-up. */
export const describeSemantic = (run: Query.Run, view: string, maxBytes: number, part: number) =>
  run({
    statement: { sql: `DESCRIBE SEMANTIC VIEW ${view}` },
    part,
    pick: property,
    maxRows: PROPERTIES,
    maxBytes,
    maxCellBytes: CELL_BYTES * 2,
    keep: (row) => !isIdle(row)
  })

/** The answer that a {@link describeSemantic} makes. */
export const semantic = (
  result: Query.Collected,
  view: Names.Name,
  { limit, pattern }: Columns,
  { policy, rules }: { readonly policy: TierPolicy; readonly rules: Names.Rules },
  meta: AnswerMeta
) => {
  const maxBytes = bytesOf(policy, limit)
  const { cut, cutCells, members, semantic } = SemanticView.describe(
    toEntries(property, result.rows).map((entry) => ({
      kind: text(entry.object_kind),
      name: text(entry.object_name),
      parent: text(entry.parent_entity),
      property: text(entry.property),
      value: text(entry.property_value)
    })),
    {
      view: Names.written(...view),
      written: Names.written,
      mayName: (table) => Names.permits(rules, ...table),
      matches: pattern === undefined ? () => true : like(pattern),
      maxMembers: limit ?? COLUMN_DEFAULT,
      maxBytes,
      maxCommentBytes: COMMENT_BYTES
    }
  )
  const truncated = cut === undefined ? result.truncated : { reason: cut, limit: maxBytes }
  const advice = narrowing("Narrow the members with pattern", limit, COLUMN_LIMIT, COLUMN_DEFAULT)
  const told = { ...result, truncated, cutCells: result.cutCells + cutCells }
  return { head: { ...headOf(told, advice, meta), count: members }, semantic }
}
