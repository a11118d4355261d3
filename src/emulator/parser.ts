/**
 * Statements as a client of Snowflake writes them, made ready for the embedded engine. Pure.
 *
 * The text is read with Snowflake's lexical rules (backslash escapes, `//` comments, `:1` binds) and
 * written with those of the engine; what the engine does not answer is recognised as a command of the
 * session.
 */
import * as Either from "effect/Either"
import { cursor } from "../warehouse/duckdb/cursor.js"
import type { Cursor } from "../warehouse/duckdb/cursor.js"
import type { Edit } from "../warehouse/duckdb/dialect/source.js"
import { apply } from "../warehouse/duckdb/dialect/source.js"
import { snowflake } from "../sql/Dialect.js"
import type { Limits, Token } from "../sql/Lexer.js"
import { tokenize } from "../sql/Lexer.js"

/** Snowflake takes a megabyte; the engine has its own, smaller limit and says so. */
const limits: Limits = { bytes: 1_048_576, tokens: 500_000, depth: 200 }

/**
 * All roles that the user has, none of them, or those that are named.
 */
export type SecondaryRoles = "ALL" | "NONE" | ReadonlyArray<string>

export type Command =
  | {
      readonly _tag: "Use"
      readonly kind: "ROLE" | "WAREHOUSE" | "DATABASE" | "SCHEMA"
      readonly name: ReadonlyArray<string>
    }
  | { readonly _tag: "UseSecondary"; readonly roles: SecondaryRoles }
  | { readonly _tag: "SetParameters"; readonly entries: ReadonlyArray<readonly [string, string]> }
  | { readonly _tag: "UnsetParameters"; readonly names: ReadonlyArray<string> }
  | { readonly _tag: "ShowParameters"; readonly like: string | undefined }
  | { readonly _tag: "ShowWarehouses"; readonly like: string | undefined }
  | { readonly _tag: "ShowBudgets" }
  /** Of a role; of the one that is active when undefined. */
  | { readonly _tag: "ShowGrants"; readonly role: string | undefined }
  | { readonly _tag: "DescribeUser"; readonly name: string }
  | { readonly _tag: "Wait"; readonly seconds: number; readonly column: string }
  | { readonly _tag: "CancelQuery"; readonly queryId: string; readonly column: string }
  | { readonly _tag: "Nothing"; readonly message: string }
  /** For the engine. */
  | { readonly _tag: "Query" }

/**
 * One statement of a text.
 */
export interface Text {
  /** As the client wrote it. */
  readonly original: string
  /** As the engine reads it. */
  readonly sql: string
  readonly command: Command
  /** The id of Snowflake's kind of statement. */
  readonly typeId: number
  /** Whether Snowflake would need a running warehouse for it. */
  readonly usesWarehouse: boolean
  /** How many binds its `?` take; they are `$bind1`, `$bind2`, ... in `sql`. */
  readonly binds: number
}

/** As the engine reads it, which is as Snowflake does. */
const quoted = (value: string): string => `'${value.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`

/** `:1` where a value may stand; after a name it would be a path. */
const isBind = (tokens: ReadonlyArray<Token>, index: number): boolean => {
  const [before, token, next] = [tokens[index - 1], tokens[index], tokens[index + 1]]
  return (
    token?.text === ":" &&
    next?.kind === "number" &&
    /^\d+$/.test(next.text) &&
    next.start === token.end &&
    !(before?.end === token.start && before.kind !== "operator" && before.kind !== "open")
  )
}

/** The text between two tokens: comments are not passed on, they follow other rules there. */
const gap = (between: string): string => (/^\s*$/.test(between) ? between : " ")

const rewrite = (source: string, tokens: ReadonlyArray<Token>): { sql: string; binds: number } => {
  let sql = ""
  let binds = 0
  let at = tokens[0]?.start ?? 0
  for (let index = 0; index < tokens.length; index++) {
    const token = tokens[index]!
    sql += gap(source.slice(at, token.start))
    at = token.end
    if (token.kind === "string" || token.kind === "dollar") sql += quoted(token.value)
    else if (token.text === "?") sql += `$bind${++binds}`
    else if (isBind(tokens, index)) {
      const number = tokens[++index]!
      binds = Math.max(binds, Number(number.text))
      sql += `$bind${number.text}`
      at = number.end
    } else sql += token.text
  }
  return { sql, binds }
}

const column = (tokens: ReadonlyArray<Token>, source: string, from: number): string => {
  const last = tokens[tokens.length - 1]!
  const named = tokens[tokens.length - 2]?.value === "AS" || last.kind === "quoted"
  return named ? last.value : source.slice(tokens[from]!.start, last.end).toUpperCase()
}

const units: Readonly<Record<string, number>> = {
  MILLISECONDS: 0.001,
  SECONDS: 1,
  MINUTES: 60,
  HOURS: 3600,
  DAYS: 86_400
}

/** `SYSTEM$WAIT(2)`, `SYSTEM$WAIT(1, 'MINUTES')`, `SYSTEM$CANCEL_QUERY('...')`, selected or called. */
const system = (tokens: ReadonlyArray<Token>, source: string): Command | undefined => {
  const name = tokens[1]?.value
  if ((name !== "SYSTEM$WAIT" && name !== "SYSTEM$CANCEL_QUERY") || tokens[2]?.text !== "(") return undefined
  const at = cursor(tokens, 3)
  if (name === "SYSTEM$CANCEL_QUERY") {
    const queryId = at.string()
    return queryId === undefined || !at.close()
      ? undefined
      : { _tag: "CancelQuery", queryId, column: column(tokens, source, 1) }
  }
  const amount = at.number()
  const unit = at.operator(",") ? units[at.string()?.toUpperCase() ?? ""] : 1
  return amount === undefined || unit === undefined || !at.close()
    ? undefined
    : { _tag: "Wait", seconds: amount * unit, column: column(tokens, source, 1) }
}

const secondary = (at: Cursor): Command | undefined => {
  if (!at.word("ROLES")) return undefined
  const whole = (["ALL", "NONE"] as const).find((word) => at.word(word))
  if (whole !== undefined) return at.done ? { _tag: "UseSecondary", roles: whole } : undefined
  const roles: Array<string> = []
  do {
    const name = at.name()
    if (name?.length !== 1) return undefined
    roles.push(name[0]!)
  } while (at.operator(","))
  return at.done ? { _tag: "UseSecondary", roles } : undefined
}

const use = (at: Cursor): Command | undefined => {
  if (at.word("SECONDARY")) return secondary(at)
  const kinds = ["ROLE", "WAREHOUSE", "DATABASE", "SCHEMA"] as const
  const kind = kinds.find((kind) => at.word(kind))
  const name = at.name()
  if (name === undefined || !at.done || name.length > (kind === "SCHEMA" || kind === undefined ? 2 : 1)) {
    return undefined
  }
  return { _tag: "Use", kind: kind ?? (name.length === 2 ? "SCHEMA" : "DATABASE"), name }
}

const alterSession = (at: Cursor): Command | undefined => {
  if (!at.word("SESSION")) return undefined
  if (at.word("UNSET")) {
    const names: Array<string> = []
    do {
      const name = at.anyWord()
      if (name === undefined) return undefined
      names.push(name)
    } while (at.operator(","))
    return at.done ? { _tag: "UnsetParameters", names } : undefined
  }
  if (!at.word("SET")) return undefined
  const entries: Array<readonly [string, string]> = []
  while (!at.done) {
    const name = at.anyWord()
    if (name === undefined || !at.operator("=")) return undefined
    const sign = at.operator("-") ? "-" : ""
    const number = at.number()
    const value = number === undefined ? (at.string() ?? at.anyWord()) : `${sign}${number}`
    if (value === undefined) return undefined
    entries.push([name, value])
    at.operator(",")
  }
  return entries.length === 0 ? undefined : { _tag: "SetParameters", entries }
}

const commandOf = (tokens: ReadonlyArray<Token>, source: string): Command => {
  const at = cursor(tokens, 0)
  const query: Command = { _tag: "Query" }
  if (budgets.test(source.slice(tokens[0]?.start, tokens[tokens.length - 1]?.end)))
    return { _tag: "ShowBudgets" }
  if (at.word("SELECT") || at.word("CALL")) return system(tokens, source) ?? query
  if (at.word("USE")) return use(at) ?? query
  if (at.word("ALTER")) return alterSession(at) ?? query
  if (at.word("BEGIN") || at.word("COMMIT") || at.word("ROLLBACK")) {
    return { _tag: "Nothing", message: "Statement executed successfully." }
  }
  if (at.word("DESC") || at.word("DESCRIBE")) {
    const name = at.word("USER") ? at.name() : undefined
    return name?.length === 1 && at.done ? { _tag: "DescribeUser", name: name[0]! } : query
  }
  if (!at.word("SHOW")) return query
  const kind = at.anyWord()
  if (kind === "GRANTS") {
    if (!at.word("TO")) return at.done ? { _tag: "ShowGrants", role: undefined } : query
    const parts = at.word("DATABASE") ? 2 : 1
    const name = at.word("ROLE") ? at.name() : undefined
    return at.done && name?.length === parts ? { _tag: "ShowGrants", role: name.join(".") } : query
  }
  const like = at.word("LIKE") ? at.string() : undefined
  if (kind === "PARAMETERS") {
    if (at.word("IN")) at.word("SESSION")
    return at.done ? { _tag: "ShowParameters", like } : query
  }
  return kind === "WAREHOUSES" && at.done ? { _tag: "ShowWarehouses", like } : query
}

const budgets = /^SELECT \* FROM TABLE\(SNOWFLAKE\.LOCAL\.MY_BUDGET_SUMMARY\(\)\)$/i

const typeIds: Readonly<Record<string, number>> = {
  SELECT: 0x1000,
  WITH: 0x1000,
  VALUES: 0x1000,
  CALL: 0x1000,
  EXPLAIN: 0x1000,
  ALTER: 0x4000,
  USE: 0x4300,
  SHOW: 0x4400,
  DESCRIBE: 0x4500,
  DESC: 0x4500,
  BEGIN: 0x5000,
  COMMIT: 0x5000,
  ROLLBACK: 0x5000
}

const needWarehouse = new Set(["SELECT", "WITH", "VALUES", "CALL"])

/**
 * The statements of a text, or why it cannot be read.
 */
export const split = (source: string): Either.Either<ReadonlyArray<Text>, string> => {
  const tokenized = tokenize(source, snowflake, limits)
  if (Either.isLeft(tokenized)) return Either.left(tokenized.left.message)
  const groups: Array<Array<Token>> = [[]]
  for (const token of tokenized.right) {
    if (token.text === ";" && token.kind === "operator") groups.push([])
    else groups[groups.length - 1]!.push(token)
  }
  const texts = groups
    .filter((tokens) => tokens.length > 0)
    .map((tokens): Text => {
      const opening = tokens.find((token) => token.kind !== "open") ?? tokens[0]!
      const isDdlOf = tokens[1]?.value === "GET_DDL"
      return {
        original: source.slice(tokens[0]!.start, tokens[tokens.length - 1]!.end),
        ...rewrite(source, tokens),
        command: commandOf(tokens, source),
        typeId: typeIds[opening.value] ?? 0x6000,
        usesWarehouse: needWarehouse.has(opening.value) && !isDdlOf
      }
    })
  return texts.length === 0 ? Either.left("the statement is empty") : Either.right(texts)
}

/**
 * The text as a session reads it that ignores the case of quoted names: they are in upper case.
 */
export const withFoldedNames = (source: string): string => {
  const tokenized = tokenize(source, snowflake, limits)
  if (Either.isLeft(tokenized)) return source
  return apply(
    source,
    tokenized.right
      .filter((token) => token.kind === "quoted")
      .map(({ end, start }) => ({ start, end, text: source.slice(start, end).toUpperCase() }))
  )
}

/**
 * What the functions of the session stand for.
 */
export interface Context {
  /** By the name of the function, `CURRENT_ROLE`; `null` is SQL's NULL. */
  readonly functions: ReadonlyMap<string, string | null>
  /** `LAST_QUERY_ID(n)`: from the first for 1, from the last for -1. */
  readonly lastQueryId: (n: number) => string | null
}

const sqlValue = (value: string | null): string => (value === null ? "NULL" : quoted(value))

/**
 * The edits that put the values of the session in the place of the calls that ask for them.
 */
export const contextCalls = (tokens: ReadonlyArray<Token>, context: Context): ReadonlyArray<Edit> =>
  tokens.flatMap((token, index): ReadonlyArray<Edit> => {
    if (token.kind !== "word" || tokens[index - 1]?.text === "." || tokens[index + 1]?.text !== "(") return []
    const at = cursor(tokens, index + 2)
    if (token.value === "LAST_QUERY_ID") {
      const sign = at.operator("-") ? -1 : 1
      const n = at.number()
      const value = context.lastQueryId(n === undefined ? -1 : sign * n)
      const end = tokens[at.index]?.end
      return at.close() && end !== undefined ? [{ start: token.start, end, text: sqlValue(value) }] : []
    }
    const value = context.functions.get(token.value)
    const end = tokens[index + 2]?.end
    return value === undefined || !at.close() || end === undefined
      ? []
      : [{ start: token.start, end, text: sqlValue(value) }]
  })

/**
 * `TABLE(RESULT_SCAN('id'))` in a text, first to last.
 */
export const resultScans = (
  tokens: ReadonlyArray<Token>
): ReadonlyArray<{ readonly start: number; readonly end: number; readonly queryId: string }> =>
  tokens.flatMap((token, index) => {
    const at = cursor(tokens, index + 1)
    const [inner, id] = [tokens[index + 2], tokens[index + 4]]
    if (token.value !== "TABLE" || token.kind !== "word" || inner?.value !== "RESULT_SCAN") return []
    if (tokens[index + 1]?.text !== "(" || tokens[index + 3]?.text !== "(" || id?.kind !== "string") return []
    const close = cursor(tokens, index + 5)
    const last = tokens[index + 6]
    return at.done || !close.close() || !close.close() || last === undefined
      ? []
      : [{ start: token.start, end: last.end, queryId: id.value }]
  })
