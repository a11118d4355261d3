/**
 * Names as agents write them, turned into SQL: one rule for case and one place for quoting.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { snowflake } from "../sql/Dialect.js"
import * as Identifier from "../sql/Identifier.js"
import { ToolError } from "../Tool.js"

/**
 * The exact name that `name` means. A plain name (`orders`) is upper case, as in SQL; a name in double
 * quotes (`"Orders"`) is what is between them; anything else (`my table`) is what it says.
 */
export const exact = (name: string): string => {
  if (/^[A-Za-z_][A-Za-z0-9_$]*$/.test(name)) return name.toUpperCase()
  const quoted = /^"((?:[^"]|"")+)"$/s.exec(name)
  return quoted?.[1] === undefined ? name : quoted[1].replaceAll('""', '"')
}

export const invalidInput = (description: string): ToolError =>
  new ToolError({ code: "INVALID_INPUT", description, retryable: false })

const orInvalid = (result: Either.Either<string, Identifier.InvalidIdentifier>, what: string) =>
  Either.match(result, {
    onLeft: (invalid) => Effect.fail(invalidInput(`${what} cannot be used: ${invalid.message}.`)),
    onRight: (sql) => Effect.succeed(sql)
  })

/** `"DB"."SCHEMA"."TABLE"` of names as agents write them. */
export const qualified = (...names: ReadonlyArray<string>): Effect.Effect<string, ToolError> =>
  orInvalid(Identifier.qualified(...names.map(exact)), `The name ${names.join(".")}`)

const dotted = /^(?:[A-Za-z_][A-Za-z0-9_$]*\.){1,2}[A-Za-z_][A-Za-z0-9_$]*$/

/**
 * A table or view by its database, schema and name. A plain name with dots (`web.events`,
 * `shop.web.events`), as agents copy it from SQL or from a suggestion, says its own schema and database;
 * a name that really holds a dot is written in double quotes.
 */
export const object = (database: string, schema: string, name: string): Effect.Effect<string, ToolError> =>
  qualified(...objectParts(database, schema, name))

const objectParts = (database: string, schema: string, name: string): ReadonlyArray<string> => {
  const parts = dotted.test(name) ? name.split(".") : [name]
  return [...[database, schema].slice(0, 3 - parts.length), ...parts]
}

/** The three exact names of the same table or view. */
export const objectName = (database: string, schema: string, name: string): ReadonlyArray<string> =>
  objectParts(database, schema, name).map(exact)

/** The exact name of a namespace, once it is known that it can be quoted. */
export const namespace = (name: string | undefined): Effect.Effect<string | undefined, ToolError> =>
  name === undefined ? Effect.succeed(undefined) : Effect.as(qualified(name), exact(name))

/** A text as a string literal that the warehouse cannot read as anything else. */
export const literal = (
  text: string,
  dialect: "snowflake" | "duckdb",
  what: string
): Effect.Effect<string, ToolError> =>
  orInvalid(Identifier.stringLiteral(text, dialect === "snowflake" ? snowflake : undefined), what)

/** ` LIKE '...'` of an optional pattern. */
export const like = (
  pattern: string | undefined,
  dialect: "snowflake" | "duckdb"
): Effect.Effect<string, ToolError> =>
  pattern === undefined
    ? Effect.succeed("")
    : Effect.map(literal(pattern, dialect, "The pattern"), (text) => ` LIKE ${text}`)

/** ` IN SCHEMA "D"."S"`, or ` IN DATABASE "D"` without a schema. */
export const within = (database: string, schema: string | undefined): Effect.Effect<string, ToolError> =>
  schema === undefined
    ? Effect.map(qualified(database), (name) => ` IN DATABASE ${name}`)
    : Effect.map(qualified(database, schema), (name) => ` IN SCHEMA ${name}`)
