/**
 * DuckDB's own parser: asked what a text is, it never runs it.
 *
 * PORT {@link Parser}: the parser lives where DuckDB lives, in a process of its own; the gate sees the answer.
 *
 * @since 0.1.0
 */
import type { DuckDBConnection } from "@duckdb/node-api"
import type * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Predicate from "effect/Predicate"
import type { Problem } from "./ast.js"

/**
 * What was answered to a text: the tree of its statements as DuckDB's JSON and their number, or an error.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reply {
  readonly json?: string | undefined
  readonly statements?: number | undefined
  readonly error?: string | undefined
}

/**
 * Answers within a time limit of its own: a text that takes longer gets an `error`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Parser {
  readonly parse: (sql: string) => Effect.Effect<Reply>
}

/** `node` is the query; DuckDB's JSON, so nothing about it is known but that. */
export interface Tree {
  readonly statement: object
  readonly node: Readonly<Record<string, unknown>>
}

const maxDepth = 250

/**
 * What the database of the parser is configured with: the tree leaves out what the storage version named here
 * does not know, and the default one is old.
 *
 * @since 0.1.0
 * @category options
 */
export const config = { storage_compatibility_version: "latest" }

const left = (code: Problem["code"], reason: string, location?: number): Either.Either<never, Problem> =>
  Either.left({ code, reason, location })

/** A text that DuckDB cannot parse is told in characters, everything else in bytes. */
const bytes = (sql: string, characters: number): number =>
  new TextEncoder().encode(Array.from(sql).slice(0, characters).join("")).length

const unreadable = (message: string, location?: number): Either.Either<never, Problem> =>
  message.includes("Max expression depth")
    ? left("TOO_LARGE", `expressions are nested deeper than ${maxDepth}`)
    : left("SYNTAX", message, location)

const parsed = (sql: string, json: string): Either.Either<Tree, Problem> => {
  const answer: unknown = JSON.parse(json)
  if (!Predicate.isRecord(answer)) return unreadable("the parser gave no answer")
  if (answer["error"] !== false) {
    if (answer["error_type"] === "not implemented")
      return left("NOT_A_READ", "only SELECT statements are reads")
    const at = Number(answer["position"])
    return unreadable(String(answer["error_message"]), Number.isSafeInteger(at) ? bytes(sql, at) : undefined)
  }
  const statements = answer["statements"]
  if (!Array.isArray(statements) || statements.length !== 1) {
    return left("MULTIPLE_STATEMENTS", "send one statement at a time")
  }
  const statement: unknown = statements[0]
  const node = Predicate.isRecord(statement) ? statement["node"] : undefined
  return Predicate.isRecord(statement) && Predicate.isRecord(node)
    ? Either.right({ statement, node })
    : left("NOT_A_READ", "only SELECT statements are reads")
}

/**
 * The tree of the one SELECT that `sql` is. The tree and the number of statements were asked for in two ways
 * that have to agree. Whatever went wrong is a refusal: an infinite number, for example, makes an answer that is
 * not JSON.
 *
 * @since 0.1.0
 * @category decoding
 */
export const read = (sql: string, reply: Reply): Either.Either<Tree, Problem> => {
  if (reply.error !== undefined) return unreadable(reply.error)
  try {
    const tree = parsed(sql, reply.json ?? "null")
    if (Either.isLeft(tree)) return tree
    return reply.statements === 1 ? tree : left("MULTIPLE_STATEMENTS", "send one statement at a time")
  } catch {
    return left("SYNTAX", "the statement holds a number that is out of range")
  }
}

/**
 * Makes a connection one that parses, and nothing else: to be called before the configuration is locked. The
 * text travels as a parameter.
 *
 * @since 0.1.0
 * @category constructors
 */
export const prepare = async (connection: DuckDBConnection): Promise<(sql: string) => Promise<Reply>> => {
  await connection.run(`SET SESSION max_expression_depth = ${maxDepth}`)
  const question = await connection.prepare("SELECT json_serialize_sql($1::VARCHAR)")
  return async (sql) => {
    try {
      question.bindVarchar(1, sql)
      const answer = await question.run()
      const json = (await answer.fetchChunk())?.getRows()[0]?.[0]
      if (typeof json !== "string") return {}
      // What cannot be parsed is told with its place in the JSON alone.
      if (json.startsWith('{"error":true')) return { json }
      return { json, statements: (await connection.extractStatements(sql)).count }
    } catch (cause) {
      return { error: cause instanceof Error ? cause.message : "the statement cannot be parsed" }
    }
  }
}
