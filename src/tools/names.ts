/**
 * Names as agents write them, turned into exact names and those into SQL: one rule for case, one for dots,
 * and one place for quoting.
 *
 * Names are told in the same form ({@link written}): what a list shows means the same object when it is
 * copied into an argument, and when it is copied into SQL.
 *
 * And which of them a tier may read, for the tools that make their own SQL: what they list is filtered, and what
 * they are asked for by name is refused before anything is sent.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { snowflake } from "../sql/Dialect.js"
import * as Identifier from "../sql/Identifier.js"
import { placeIn } from "../sql/Namespace.js"
import * as ObjectRules from "../sql/ObjectRules.js"
import type { Statement } from "../warehouse/Warehouse.js"
import { WarehouseError } from "../warehouse/Warehouse.js"
import type { TierPolicy } from "./CallPolicy.js"
import { ToolError } from "./Tool.js"

export const { exact, written } = Identifier

/** One exact name a part: a database, a schema in it, a table or view in that. */
export type Name = ReadonlyArray<string>

/** Whether two exact names mean the same: DuckDB ignores their case. */
export const isSame = (a: string, b: string, dialect: "snowflake" | "duckdb"): boolean =>
  dialect === "duckdb" ? Identifier.sameInDuckDb(a, b) : a === b

const part = `(?:[A-Za-z_][A-Za-z0-9_$]*|"(?:[^"]|"")+")`
const dotted = new RegExp(`^${part}(?:\\.${part}){1,2}$`, "s")
const eachPart = new RegExp(part, "gs")

/**
 * The exact names of `shop.web.events` or `SHOP."Web".EVENTS`, as agents copy it from SQL or from a
 * suggestion; a name that really holds a dot is written in double quotes.
 */
const partsOf = (name: string): Name => (dotted.test(name) ? (name.match(eachPart) ?? []) : [name]).map(exact)

export const invalidInput = (description: string, suggestions: ReadonlyArray<string> = []): ToolError =>
  new ToolError({
    code: "INVALID_INPUT",
    description,
    retryable: false,
    ...(suggestions.length === 0 ? {} : { suggestions })
  })

/** Where names are looked up that do not say their database and schema: that of the session. */
export type Place = Pick<Statement, "database" | "schema">

const noDatabase = invalidInput(
  "The database is missing, and no database is configured (snowflake.database). Give database, or write DB.SCHEMA.NAME. " +
    "Nothing was executed."
)

/**
 * A database, or a schema where one is named: `database.schema` says its own database. Without a database it is the
 * current one. `whole`: the whole database is meant where no schema is named.
 */
const namespaceIn = (
  place: Place,
  { database, schema }: Place,
  whole: boolean
): Effect.Effect<Name, ToolError> => {
  const parts = schema === undefined ? [] : partsOf(schema)
  if (parts.length === 2) return Effect.succeed(parts)
  const inside = placeIn(place, {
    database: database === undefined ? undefined : exact(database),
    schema: schema === undefined ? undefined : exact(schema)
  })
  if (inside.database === undefined) return noDatabase
  return Effect.succeed(
    whole && schema === undefined ? [inside.database] : [inside.database, inside.schema ?? "PUBLIC"]
  )
}

/** The database, or the schema in it, that a list is asked of. */
export const namespace = (place: Place, asked: Place): Effect.Effect<Name, ToolError> =>
  namespaceIn(place, asked, true)

/**
 * A table or view in full, as SQL would resolve it: one with dots says its own schema, or schema and database; what is
 * not said is that of the arguments, and then the current one.
 */
export const object = (
  place: Place,
  { name, ...asked }: Place & { readonly name: string }
): Effect.Effect<Name, ToolError> => {
  const parts = partsOf(name)
  return parts.length === 3
    ? Effect.succeed(parts)
    : Effect.map(namespaceIn(place, asked, false), (inside) => [
        ...inside.slice(0, 3 - parts.length),
        ...parts
      ])
}

const orInvalid = (result: Either.Either<string, Identifier.InvalidIdentifier>, what: string) =>
  Either.match(result, {
    onLeft: (invalid) => Effect.fail(invalidInput(`${what} cannot be used: ${invalid.message}.`)),
    onRight: (sql) => Effect.succeed(sql)
  })

/** `"DB"."SCHEMA"."TABLE"`. */
export const quoted = (name: Name): Effect.Effect<string, ToolError> =>
  orInvalid(Identifier.qualified(...name), `The name ${name.join(".")}`)

/** Where a statement looks for names without a database or schema, once it is known that they can be quoted. */
export const place = (
  database: string | undefined,
  schema: string | undefined
): Effect.Effect<
  { readonly database: string | undefined; readonly schema: string | undefined },
  ToolError
> => {
  const inSchema = schema === undefined ? [] : partsOf(schema)
  const [own, last] = inSchema.length === 2 ? inSchema : [undefined, schema && exact(schema)]
  const found = { database: own ?? (database && exact(database)), schema: last }
  const given = [found.database, found.schema].filter((name) => name !== undefined)
  return given.length === 0 ? Effect.succeed(found) : Effect.as(quoted(given), found)
}

/** A text as a string literal that the warehouse cannot read as anything else. */
export const literal = (text: string, what: string): Effect.Effect<string, ToolError> =>
  orInvalid(Identifier.stringLiteral(text, snowflake), what)

/** ` LIKE '...'` of an optional pattern. */
export const like = (pattern: string | undefined): Effect.Effect<string, ToolError> =>
  pattern === undefined
    ? Effect.succeed("")
    : Effect.map(literal(pattern, "The pattern"), (text) => ` LIKE ${text}`)

/** ` IN SCHEMA "D"."S"`, or ` IN DATABASE "D"`; nothing in the account. */
export const within = (namespace: Name): Effect.Effect<string, ToolError> =>
  namespace.length === 0
    ? Effect.succeed("")
    : Effect.map(quoted(namespace), (name) => ` IN ${namespace.length === 1 ? "DATABASE" : "SCHEMA"} ${name}`)

export type Rules = ObjectRules.Compiled | undefined

/** DuckDB ignores the case of names, Snowflake does not. */
export const rulesOf = ({ objects }: Pick<TierPolicy, "objects">, dialect: "snowflake" | "duckdb"): Rules =>
  ObjectRules.compile(objects, dialect === "duckdb")

const refused = (name: ReadonlyArray<string>): ToolError =>
  new ToolError({
    code: "OBJECT_NOT_ALLOWED",
    description:
      `${written(...name)} is not among what this client may read. list_databases, list_schemas and list_tables ` +
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
  return [partsOf(name), name.split(".")].every(
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
