/**
 * The catalog and the limits as resources. To read one is a call of the tool that is named beside it, under the same
 * limits, object rules and audit; to complete a name is a call of the tool that lists such names.
 *
 * ```
 *   snowguard://limits                        get_limits
 *   snowflake://{database}                    list_schemas
 *   snowflake://{database}/{schema}           list_tables
 *   snowflake://{database}/{schema}/{object}  describe_table
 * ```
 *
 * @since 0.1.0
 */
import * as Identifier from "../sql/Identifier.js"

/** A call of a tool. */
export interface Reading {
  readonly tool: string
  readonly args: { readonly [name: string]: unknown }
}

const mimeType = "application/json"

const fixed = [
  {
    tool: "get_limits",
    uri: "snowguard://limits",
    name: "limits",
    title: "Limits",
    description: "What you may still do, and when more: rate limits, quotas, the state of the warehouse."
  }
]

interface Template {
  readonly tool: string
  readonly uriTemplate: string
  readonly name: string
  readonly title: string
  readonly description: string
  readonly args: (names: ReadonlyArray<string>) => Reading["args"]
}

/** By how many names they have. */
const templates: ReadonlyArray<Template> = [
  {
    tool: "list_schemas",
    uriTemplate: "snowflake://{database}",
    name: "database",
    title: "Database",
    description: "The schemas of a database.",
    args: ([database]) => ({ database })
  },
  {
    tool: "list_tables",
    uriTemplate: "snowflake://{database}/{schema}",
    name: "schema",
    title: "Schema",
    description: "The tables of a schema, with kinds, row counts and sizes.",
    args: ([database, schema]) => ({ database, schema })
  },
  {
    tool: "describe_table",
    uriTemplate: "snowflake://{database}/{schema}/{object}",
    name: "object",
    title: "Table or view",
    description: "The columns of a table or a view, with types, keys and comments.",
    args: ([database, schema, table]) => ({ database, schema, table })
  }
]

type Has = (tool: string) => boolean

export const list = (has: Has) => ({
  resources: fixed
    .filter(({ tool }) => has(tool))
    .map(({ tool: _, ...resource }) => ({ ...resource, mimeType }))
})

export const listTemplates = (has: Has) => ({
  resourceTemplates: templates
    .filter(({ tool }) => has(tool))
    .map(({ args: _args, tool: _tool, ...template }) => ({ ...template, mimeType }))
})

/** Longer than three quoted names of Snowflake's, each character escaped. */
const MAX_URI = 8_192

const decoded = (part: string): string | undefined => {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}

/** What reads a resource; undefined where there is none. */
export const reading = (uri: string): Reading | undefined => {
  const resource = fixed.find((one) => one.uri === uri)
  if (resource !== undefined) return { tool: resource.tool, args: {} }
  const path = uri.length > MAX_URI ? undefined : /^snowflake:\/\/([^?#]+)$/.exec(uri)?.[1]
  if (path === undefined) return undefined
  const names = path.split("/").flatMap((part) => decoded(part) ?? [])
  const template = templates[names.length - 1]
  const isWhole = names.length === path.split("/").length && names.every((name) => name !== "")
  return template === undefined || !isWhole ? undefined : { tool: template.tool, args: template.args(names) }
}

export const contents = (uri: string, text: string) => ({ contents: [{ uri, mimeType, text }] })

/** Calls whose results name what an argument may be, and the member of the result that holds them. */
export interface Completing extends Reading {
  readonly member: string
}

/** As many as there may be in one listing: names are sought in the whole of it. */
const ALL = 1_000

/** Undefined where an argument has no completions; none while the names before it are not given. */
export const completing = (
  argument: string,
  given: { readonly [name: string]: unknown }
): ReadonlyArray<Completing> | undefined => {
  const { database, schema } = given
  switch (argument) {
    case "database":
      return [{ tool: "list_databases", member: "databases", args: { limit: ALL } }]
    case "schema":
      return typeof database === "string"
        ? [{ tool: "list_schemas", member: "schemas", args: { database, limit: ALL } }]
        : []
    case "object":
      return typeof database === "string" && typeof schema === "string"
        ? [
            { tool: "list_tables", member: "tables", args: { database, schema, limit: ALL } },
            { tool: "list_views", member: "views", args: { database, schema, limit: ALL } }
          ]
        : []
    default:
      return undefined
  }
}

/** Arguments of a template, in their order; undefined where there is no such template. */
export const argumentsOf = (uriTemplate: string): ReadonlyArray<string> | undefined =>
  templates
    .find((template) => template.uriTemplate === uriTemplate)
    ?.uriTemplate.match(/\{(\w+)\}/g)
    ?.map((name) => name.slice(1, -1))

const namesIn = (result: { readonly [name: string]: unknown }, member: string): ReadonlyArray<string> => {
  const entries = result[member]
  return Array.isArray(entries)
    ? entries.flatMap((entry: unknown) => {
        const name: unknown =
          typeof entry === "object" && entry !== null ? Reflect.get(entry, "name") : undefined
        return typeof name === "string" ? [name] : []
      })
    : []
}

/** Whatever the case, and however letters and their accents are put together. */
const beginning = (begun: string): ((name: string) => boolean) => {
  const folded = (text: string) => text.normalize("NFC").toLowerCase()
  const prefix = folded(begun)
  return (name) => folded(name).startsWith(prefix)
}

/** The protocol allows so many. */
const MAX_VALUES = 100

export const completed = (
  results: ReadonlyArray<{ readonly member: string; readonly result: { readonly [name: string]: unknown } }>,
  begun: string
) => {
  const begins = beginning(begun)
  const all = results
    .flatMap(({ member, result }) => namesIn(result, member))
    // A name may be in double quotes; what is typed need not.
    .filter((name) => begins(name) || begins(Identifier.exact(name)))
  const hasMore = all.length > MAX_VALUES || results.some(({ result }) => result["truncated"] === true)
  return { completion: { values: all.slice(0, MAX_VALUES), hasMore } }
}
