/**
 * Look-ups: rows of SHOW and DESCRIBE as entries, and what an answer says when it is not complete.
 */
import * as Effect from "effect/Effect"
import type { Cell, Row } from "../Warehouse.js"
import type { Collected } from "./collect.js"
import { exact } from "./names.js"
import * as Objects from "./objects.js"
import * as ToolCall from "./toolCall.js"
import type { AnswerMeta, Completeness } from "./toolSchemas.js"

/** Entries of a list that takes no limit of its own. */
export const LIST_LIMIT = 1000

/** More columns than a table can have in any warehouse we know. */
const COLUMN_LIMIT = 10_000

/** One row by the names of its columns. */
export type Entry<Name extends string> = { readonly [K in Name]: Cell }

const toEntry = <Name extends string>(names: ReadonlyArray<Name>, row: Row): Entry<Name> =>
  Object.fromEntries(names.map((name, at) => [name, row[at] ?? null])) as Entry<Name>

const toEntries = <Name extends string>(
  names: ReadonlyArray<Name>,
  rows: ReadonlyArray<Row>
): ReadonlyArray<Entry<Name>> => rows.map((row) => toEntry(names, row))

export const text = (cell: Cell): string =>
  cell === null ? "" : typeof cell === "object" ? JSON.stringify(cell) : String(cell)

/** Warehouses write yes as `true`, `Y`, `YES` or a real boolean. */
export const flag = (cell: Cell): boolean => /^(y|yes|true)$/i.test(text(cell))

const count = (cell: Cell): number | undefined => {
  const value = text(cell) === "" ? Number.NaN : Number(text(cell))
  return Number.isFinite(value) ? value : undefined
}

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

/** Which tables or views of a listing of the database are shown; undefined: all. */
export const permitted = (
  rules: Objects.Rules,
  database: string
): ((entry: Entry<"name" | "schema_name">) => boolean) | undefined =>
  rules === undefined
    ? undefined
    : ({ name, schema_name }) => Objects.permits(rules, exact(database), text(schema_name), text(name))

/** The fields of an entry that say something, as texts: an empty comment would be a token for nothing. */
export const texts = <Name extends string>(entry: Entry<NoInfer<Name>>, names: ReadonlyArray<Name>) =>
  present(names, (name) => text(entry[name]) || undefined)

/** The fields of an entry that hold a number, as numbers. */
export const counts = <Name extends string>(entry: Entry<NoInfer<Name>>, names: ReadonlyArray<Name>) =>
  present(names, (name) => count(entry[name]))

/** Advice on how to get what is missing: beyond a number of entries, and beyond a number of bytes. */
export interface Advice {
  readonly rows: string
  readonly bytes: string
}

const kibibytes = (bytes: number): string => `${Math.ceil(bytes / 1024)} KiB`

/** What was left out, why, and how to get it. */
export const completeness = ({ cutCells, truncated }: Collected, advice: Advice): Completeness => {
  switch (truncated?.reason) {
    case "rows":
      return { truncated: true, truncated_reason: "rows", next_step: advice.rows }
    case "bytes":
      return {
        truncated: true,
        truncated_reason: "bytes",
        next_step: `One answer holds at most ${kibibytes(truncated.limit)}. ${advice.bytes}`
      }
    case "quota":
      return {
        truncated: true,
        truncated_reason: "quota",
        next_step:
          "The quota of result bytes is used up. Call get_limits for its reset time and tell the user."
      }
  }
  return cutCells === 0
    ? { truncated: false }
    : { truncated: true, truncated_reason: "cells", next_step: `Long values were cut. ${advice.bytes}` }
}

const listAdvice = (shown: number, narrower: string): Advice => ({
  rows: `Only the first ${shown} are here. ${narrower}`,
  bytes: narrower
})

export interface Listing<Name extends string> {
  readonly entries: ReadonlyArray<Entry<Name>>
  /** The fields that every list begins with. */
  readonly head: Completeness & AnswerMeta & { readonly count: number }
}

export const make = Effect.map(ToolCall.make, (call) => {
  const list = <const Name extends string>(
    tool: string,
    sql: string,
    options: {
      readonly columns: ReadonlyArray<Name>
      readonly limit?: number | undefined
      /** Leaves out what the caller may not see. */
      readonly keep?: ((entry: Entry<NoInfer<Name>>) => boolean) | undefined
      /** What to do about a list that is cut. */
      readonly narrower: string
    }
  ) => {
    const maxRows = options.limit ?? LIST_LIMIT
    const { columns, keep: shown } = options
    const keep = shown === undefined ? undefined : (row: Row) => shown(toEntry(columns, row))
    return call
      .metadata(tool, `${sql} ${maxRows}`, (run, { maxResultBytes }) =>
        run({ sql, pick: columns, maxRows, maxBytes: maxResultBytes, keep })
      )
      .pipe(
        Effect.map(({ meta, value }): Listing<Name> => ({
          entries: toEntries(columns, value.rows),
          head: {
            count: value.rows.length,
            ...completeness(value, listAdvice(maxRows, options.narrower)),
            ...meta
          }
        }))
      )
  }
  /** What the current caller may see; undefined when that is everything. */
  const rules = Effect.map(call.policy, (policy) => Objects.rulesOf(policy, call.dialect))
  return { dialect: call.dialect, metadata: call.metadata, list, rules }
})

const described = ["name", "type", "null?", "default", "primary key", "comment"] as const

/** DESCRIBE of a table or view, inside a look-up. */
export const describe = (run: ToolCall.Run, sql: string, maxBytes: number) =>
  Effect.map(run({ sql, pick: described, maxRows: COLUMN_LIMIT, maxBytes }), (result) => ({
    columns: toEntries(described, result.rows).map((entry) => ({
      name: text(entry.name),
      type: text(entry.type),
      nullable: flag(entry["null?"]),
      ...texts(entry, ["default", "comment"]),
      ...(flag(entry["primary key"]) ? { primary_key: true } : {})
    })),
    completeness: completeness(result, {
      rows: `Only the first ${COLUMN_LIMIT} columns are here.`,
      bytes: "Query INFORMATION_SCHEMA.COLUMNS with execute_query for the columns you need."
    })
  }))
