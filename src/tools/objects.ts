/**
 * The rules about objects of a tier, for the tools that make their own SQL: what they list is filtered,
 * and what they are asked for by name is refused before anything is sent.
 */
import * as Effect from "effect/Effect"
import type { TierPolicy } from "./CallPolicy.js"
import * as ObjectRules from "../sql/ObjectRules.js"
import { ToolError } from "./Tool.js"
import { WarehouseError } from "../warehouse/Warehouse.js"
import * as Names from "./names.js"

export type Rules = ObjectRules.Compiled | undefined

/** DuckDB ignores the case of names, Snowflake does not. */
export const rulesOf = ({ objects }: Pick<TierPolicy, "objects">, dialect: "snowflake" | "duckdb"): Rules =>
  ObjectRules.compile(objects, dialect === "duckdb")

const refused = (name: ReadonlyArray<string>): ToolError =>
  new ToolError({
    code: "OBJECT_NOT_ALLOWED",
    description:
      `${Names.written(...name)} is not among what this client may read. list_databases, list_schemas and list_tables ` +
      "show what is; an operator can change allow_objects and deny_objects of the tier. Nothing was executed.",
    retryable: false
  })

/** Refuses a table or view, given in full, that may not be read. */
export const mayRead = (rules: Rules, name: ReadonlyArray<string>): Effect.Effect<void, ToolError> =>
  rules === undefined || ObjectRules.permits(rules, name) ? Effect.void : refused(name)

/** Refuses a database or a schema in which nothing may be read. */
export const mayLookInto = (rules: Rules, name: ReadonlyArray<string>): Effect.Effect<void, ToolError> =>
  rules === undefined || ObjectRules.shows(rules, name) ? Effect.void : refused(name)

/** Whether a database or a schema is shown. */
export const shows = (rules: Rules, ...name: ReadonlyArray<string>): boolean =>
  rules === undefined || ObjectRules.shows(rules, name)

/** Whether a table or view is shown. */
export const permits = (rules: Rules, ...name: ReadonlyArray<string>): boolean =>
  rules === undefined || ObjectRules.permits(rules, name)

/** Whether a table or view may be named to the caller, as the warehouse writes it; all of a name has to be known. */
export const mayName = (rules: Rules, name: string): boolean => {
  if (rules === undefined) return true
  // Plans write names without quotes, whatever their case is.
  return [Names.partsOf(name), name.split(".")].every(
    (parts) =>
      parts.length !== 3 || parts.some((part) => part.includes('"')) || ObjectRules.permits(rules, parts)
  )
}

const fullName =
  /(?:[A-Za-z_][A-Za-z0-9_$]*|"(?:[^"]|"")+")(?:\.(?:[A-Za-z_][A-Za-z0-9_$]*|"(?:[^"]|"")+")){2}/g

/**
 * The errors of a warehouse without the full names of what may not be read, as of the tables behind a view
 * that may: unless the statement itself names them.
 */
export const withoutDenied =
  (rules: Rules) =>
  (sql: string) =>
  (error: WarehouseError): WarehouseError => {
    if (rules === undefined) return error
    const statement = sql.toUpperCase()
    const description = error.description.replace(fullName, (name) =>
      mayName(rules, name) || statement.includes(name.toUpperCase())
        ? name
        : "(an object that this client may not read)"
    )
    const suggestions = error.suggestions?.filter((name) => mayName(rules, name))
    return description === error.description && suggestions?.length === error.suggestions?.length
      ? error
      : new WarehouseError({
          reason: error.reason,
          description,
          sent: error.sent,
          queryId: error.queryId,
          code: error.code,
          sqlState: error.sqlState,
          retryAfterMs: error.retryAfterMs,
          suggestions,
          cause: error.cause
        })
  }
