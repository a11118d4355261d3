/**
 * Sorts the statements that the embedded warehouse is given: the metadata commands of Snowflake, which the
 * catalog answers, and SELECTs, which DuckDB runs. Pure; what is neither is a {@link SyntaxProblem}.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import { snowflake } from "../../sql/Dialect.js"
import type { Token } from "../../sql/Lexer.js"
import { tokenize } from "../../sql/Lexer.js"
import { cursor } from "./cursor.js"
import type { Cursor } from "./cursor.js"

/**
 * A name as Snowflake resolves it: quoted parts as they are, the others in upper case.
 *
 * @since 0.1.0
 * @category models
 */
export type Name = ReadonlyArray<string>

/**
 * Where SHOW looks. `Current` is the database of the session, or the account where it has none.
 *
 * @since 0.1.0
 * @category models
 */
export type Scope =
  | { readonly _tag: "Current" }
  | { readonly _tag: "Account" }
  | { readonly _tag: "Database"; readonly name: Name }
  | { readonly _tag: "Schema"; readonly name: Name }
  | { readonly _tag: "Object"; readonly name: Name }

/**
 * @since 0.1.0
 * @category models
 */
export type ShowKind = "DATABASES" | "SCHEMAS" | "TABLES" | "VIEWS" | "SEMANTIC VIEWS" | "OBJECTS" | "COLUMNS"

/**
 * @since 0.1.0
 * @category models
 */
export type Command =
  | {
      readonly _tag: "Show"
      readonly kind: ShowKind
      readonly terse: boolean
      /** `%` and `_`, without regard to case. */
      readonly like: string | undefined
      readonly startsWith: string | undefined
      readonly scope: Scope
      readonly limit: number | undefined
      /** Only names after this one, for reading page by page. */
      readonly from: string | undefined
    }
  | { readonly _tag: "Describe"; readonly kind: "TABLE" | "VIEW"; readonly name: Name }
  | { readonly _tag: "GetDdl"; readonly kind: "TABLE" | "VIEW"; readonly name: Name; readonly column: string }
  | { readonly _tag: "Explain"; readonly format: "TABULAR" | "JSON" | "TEXT"; readonly select: Select }
  | Select

/**
 * @since 0.1.0
 * @category models
 */
export interface Select {
  readonly _tag: "Select"
  readonly sql: string
  readonly tokens: ReadonlyArray<Token>
}

/**
 * @since 0.1.0
 * @category errors
 */
export interface SyntaxProblem {
  readonly _tag: "SyntaxProblem"
  readonly message: string
}

const problem = (message: string): Either.Either<never, SyntaxProblem> =>
  Either.left({ _tag: "SyntaxProblem", message })

const kinds = new Set<string>([
  ...["DATABASES", "SCHEMAS", "TABLES", "VIEWS", "SEMANTIC VIEWS", "OBJECTS", "COLUMNS"]
])
const isShowKind = (word: string): word is ShowKind => kinds.has(word)

/** What a statement that DuckDB runs may begin with. */
const selectWords = new Set(["SELECT", "WITH", "VALUES", "FROM"])

const scope = (at: Cursor): Scope | undefined => {
  if (at.word("ACCOUNT")) return { _tag: "Account" }
  if (at.word("DATABASE")) {
    if (at.done || /^(?:STARTS|LIMIT)$/i.test(at.text)) return { _tag: "Current" }
    const name = at.name()
    return name?.length === 1 ? { _tag: "Database", name } : undefined
  }
  const table = at.word("TABLE") || at.word("VIEW")
  if (!table) at.word("SCHEMA")
  const name = at.name()
  if (name === undefined) return undefined
  if (table) return { _tag: "Object", name }
  return name.length < 3 ? { _tag: "Schema", name } : undefined
}

const show = (at: Cursor): Either.Either<Command, SyntaxProblem> => {
  const terse = at.word("TERSE")
  const kind = at.word("SEMANTIC") ? `SEMANTIC ${at.anyWord() ?? ""}` : at.anyWord()
  if (kind === undefined || !isShowKind(kind)) {
    return problem(`SHOW ${kind ?? ""} is not supported here; it lists ${[...kinds].join(", ")}.`)
  }
  at.word("HISTORY")
  const like = at.word("LIKE") ? at.string() : undefined
  const inside = at.word("IN") ? scope(at) : { _tag: "Current" as const }
  const where: Scope | undefined =
    kind === "SCHEMAS" && inside?._tag === "Schema" ? { _tag: "Database", name: inside.name } : inside
  if (where === undefined)
    return problem("SHOW ... IN needs ACCOUNT, DATABASE name, SCHEMA name or TABLE name.")
  const startsWith = at.word("STARTS") && at.word("WITH") ? at.string() : undefined
  const limited = at.word("LIMIT")
  const limit = limited ? at.number() : undefined
  const from = limited && at.word("FROM") ? at.string() : undefined
  return at.done
    ? Either.right({ _tag: "Show", kind, terse, like, startsWith, scope: where, limit, from })
    : problem(`syntax error: unexpected '${at.text}' in SHOW ${kind}.`)
}

const describe = (at: Cursor): Either.Either<Command, SyntaxProblem> => {
  const view = at.word("VIEW")
  if (!view) at.word("TABLE")
  const name = at.name()
  if (name === undefined) return problem("DESCRIBE needs TABLE or VIEW and a name.")
  return at.done
    ? Either.right({ _tag: "Describe", kind: view ? "VIEW" : "TABLE", name })
    : problem(`syntax error: unexpected '${at.text}' in DESCRIBE.`)
}

/** `SELECT GET_DDL('VIEW', '"D"."S"."V"')` and nothing else; undefined where it is another SELECT. */
const getDdl = (
  sql: string,
  tokens: ReadonlyArray<Token>
): Either.Either<Command, SyntaxProblem> | undefined => {
  if (tokens[1]?.kind !== "word" || tokens[1].value !== "GET_DDL" || tokens[2]?.text !== "(") return undefined
  const at = cursor(tokens, 3)
  const kind = at.string()?.toUpperCase()
  const text = at.operator(",") ? at.string() : undefined
  if (at.operator(",")) at.anyWord()
  const close = at.offset
  if (kind === undefined || text === undefined || !at.close()) {
    return problem("GET_DDL needs the kind of the object and its name, both as strings.")
  }
  if (kind !== "TABLE" && kind !== "VIEW")
    return problem(`GET_DDL of '${kind}' is not supported; TABLE and VIEW are.`)
  // The gate bounds every query; there is one row.
  const bounded = () => at.word("LIMIT") && at.number() !== undefined
  const named = !bounded() && (at.word("AS") || !at.done) ? at.name() : undefined
  if (!at.done) bounded()
  if (!at.done) return problem(`syntax error: unexpected '${at.text}' after GET_DDL(...).`)
  const tokenized = tokenize(text, snowflake)
  const inner = Either.isRight(tokenized) ? cursor(tokenized.right, 0) : undefined
  const name = inner?.name()
  if (inner === undefined || name === undefined || !inner.done)
    return problem(`'${text}' is not the name of an object.`)
  const column = named?.[0] ?? sql.slice(tokens[1].start, close + 1).toUpperCase()
  return Either.right({ _tag: "GetDdl", kind, name, column })
}

const explain = (
  sql: string,
  at: Cursor,
  tokens: ReadonlyArray<Token>
): Either.Either<Command, SyntaxProblem> => {
  const format = at.word("USING") ? at.anyWord() : "TABULAR"
  if (format !== "TABULAR" && format !== "JSON" && format !== "TEXT") {
    return problem("EXPLAIN USING knows TABULAR, JSON and TEXT.")
  }
  const from = tokens[at.index]
  if (from === undefined) return problem("EXPLAIN needs a statement.")
  const rest = sql.slice(from.start)
  const inner = parse(rest)
  if (Either.isLeft(inner)) return inner
  return inner.right._tag === "Select"
    ? Either.right({ _tag: "Explain", format, select: inner.right })
    : problem("EXPLAIN works on queries only.")
}

/**
 * @since 0.1.0
 * @category parsing
 */
export const parse = (sql: string): Either.Either<Command, SyntaxProblem> => {
  const tokenized = tokenize(sql, snowflake)
  if (Either.isLeft(tokenized)) return problem(`syntax error: ${tokenized.left.message}.`)
  const all = tokenized.right
  const last = all[all.length - 1]
  const tokens = last?.text === ";" ? all.slice(0, -1) : all
  const [first] = tokens
  if (first === undefined) return problem("The statement is empty.")
  const inner = tokens.find((token) => token.text === ";" && token.kind === "operator")
  if (inner !== undefined) return problem("One statement at a time: found a ';' before the end.")
  const text = sql.slice(0, tokens[tokens.length - 1]!.end)
  const at = cursor(tokens, 0)
  if (at.word("SHOW")) return show(at)
  if (at.word("DESCRIBE") || at.word("DESC")) return describe(at)
  if (at.word("EXPLAIN")) return explain(text, at, tokens)
  const opening = tokens.find((token) => token.kind !== "open")
  if (opening?.kind !== "word" || !selectWords.has(opening.value)) {
    return problem(`syntax error: unexpected '${first.text}'; the embedded warehouse runs queries only.`)
  }
  return getDdl(text, tokens) ?? Either.right({ _tag: "Select", sql: text, tokens })
}
