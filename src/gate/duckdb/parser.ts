/**
 * DuckDB's own parser: an empty, locked, in-memory instance that is asked what a text is and never runs
 * it. Loaded with the first question, closed with the scope.
 *
 * @since 0.1.0
 */
import type { DuckDBConnection } from "@duckdb/node-api"
import { leaveRemovedDirectory } from "../../platform/userDirs.js"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import type { Problem } from "./ast.js"
import { lazily } from "../../platform/lazily.js"

export interface Parser {
  /** The tree of the one SELECT that `sql` is. */
  readonly select: (sql: string) => Effect.Effect<Either.Either<Tree, Problem>>
}

/** `node` is the query; DuckDB's JSON, so nothing about it is known but that. */
export interface Tree {
  readonly statement: object
  readonly node: Readonly<Record<string, unknown>>
}

const config = {
  threads: "1",
  memory_limit: "256MB",
  temp_directory: "",
  max_expression_depth: "250",
  // The tree leaves out what the storage version named here does not know, and the default one is old.
  storage_compatibility_version: "latest",
  enable_external_access: "false",
  autoinstall_known_extensions: "false",
  autoload_known_extensions: "false",
  allow_community_extensions: "false",
  allow_persistent_secrets: "false"
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const left = (code: Problem["code"], reason: string, location?: number): Either.Either<never, Problem> =>
  Either.left({ code, reason, location })

/** A text that DuckDB cannot parse is told in characters, everything else in bytes. */
const bytes = (sql: string, characters: number): number =>
  new TextEncoder().encode(Array.from(sql).slice(0, characters).join("")).length

const unreadable = (message: string, location?: number): Either.Either<never, Problem> =>
  message.includes("Max expression depth")
    ? left("TOO_LARGE", `expressions are nested deeper than ${config.max_expression_depth}`)
    : left("SYNTAX", message, location)

/** What `json_serialize_sql` answered: an error, or a list of statements. */
const read = (sql: string, json: string): Either.Either<Tree, Problem> => {
  const answer: unknown = JSON.parse(json)
  if (!isRecord(answer)) return unreadable("the parser gave no answer")
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
  const node = isRecord(statement) ? statement["node"] : undefined
  return isRecord(statement) && isRecord(node)
    ? Either.right({ statement, node })
    : left("NOT_A_READ", "only SELECT statements are reads")
}

/**
 * Asks twice, in two ways that have to agree: the tree of the SELECT, and how many statements the text
 * holds. The text travels as a parameter. Whatever goes wrong is a refusal: an infinite number, for
 * example, makes an answer that is not JSON.
 */
const ask = async (connection: DuckDBConnection, sql: string): Promise<Either.Either<Tree, Problem>> => {
  try {
    const answer = await connection.runAndReadAll("SELECT json_serialize_sql($1::VARCHAR)", [sql])
    const json = answer.getRows()[0]?.[0]
    const tree = read(sql, typeof json === "string" ? json : "null")
    if (Either.isLeft(tree)) return tree
    const extracted = await connection.extractStatements(sql)
    return extracted.count === 1 ? tree : left("MULTIPLE_STATEMENTS", "send one statement at a time")
  } catch (cause) {
    return cause instanceof SyntaxError
      ? left("SYNTAX", "the statement holds a number that is out of range")
      : unreadable(cause instanceof Error ? cause.message : "the statement cannot be parsed")
  }
}

const open: Effect.Effect<DuckDBConnection, never, Scope.Scope> = Effect.gen(function* () {
  yield* Effect.sync(leaveRemovedDirectory)
  const api = yield* Effect.promise(() => import("@duckdb/node-api"))
  const instance = yield* Effect.acquireRelease(
    Effect.promise(() => api.DuckDBInstance.create(":memory:", config)),
    (instance) => Effect.sync(() => instance.closeSync())
  )
  const connection = yield* Effect.acquireRelease(
    Effect.promise(() => instance.connect()),
    (connection) => Effect.sync(() => connection.disconnectSync())
  )
  yield* Effect.promise(() => connection.run("SET lock_configuration = true"))
  return connection
})

/**
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Parser, never, Scope.Scope> = Effect.gen(function* () {
  const connection = yield* lazily(open)
  return {
    // A question takes a millisecond and cannot be taken back: it ends before the connection is closed.
    select: (sql) =>
      Effect.flatMap(connection, (connection) =>
        Effect.uninterruptible(Effect.promise(() => ask(connection, sql)))
      )
  }
})
