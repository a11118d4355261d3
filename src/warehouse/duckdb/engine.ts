/**
 * The embedded warehouse as it is inside its process: takes a statement in Snowflake's SQL, answers with columns
 * and rows to be pulled.
 *
 * SHOW, DESCRIBE and GET_DDL are answered from the catalog and never reach DuckDB; everything else runs on
 * DuckDB as one query on a connection of its own. Costs are not estimated here: the server bounds the
 * memory and the time of the process.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { shortened } from "../../platform/core/format.js"
import * as Lru from "../../platform/core/Lru.js"
import type { Bind, Column, Row } from "../Warehouse.js"
import { quoted, sameInDuckDb, upper } from "../../sql/Identifier.js"
import * as ObjectRules from "../../sql/ObjectRules.js"
import type { Catalog, Missing, Namespace } from "./catalog.js"
import { findRelation, findSchema, seenBy } from "./catalog.js"
import * as Cells from "./cells.js"
import type { Command, Select } from "./command.js"
import { parse } from "./command.js"
import * as Connections from "./connections.js"
import { noInterval } from "./dialect/library.js"
import { translate } from "./dialect/translate.js"
import type { Failure } from "./errors.js"
import { classify } from "./errors.js"
import * as Instance from "./instance.js"
import { resultNames } from "./names.js"
import { columnsNear, missingIn } from "./suggest.js"
import { explained } from "./plan.js"
import type { Reply } from "../../gate/duckdb/parser.js"
import type { RunError } from "./run.js"
import * as Run from "./run.js"
import type { Table } from "./show.js"
import * as Show from "./show.js"
import { snowflakeType } from "./types.js"

/** DuckDB's names are the same in any case. */
const IGNORES_CASE = true

/**
 * @since 0.1.0
 * @category models
 */
export interface Request {
  readonly sql: string
  readonly binds: ReadonlyArray<Bind>
  readonly database?: string | undefined
  readonly schema?: string | undefined
  readonly timeoutMs: number
  readonly maxRows?: number | undefined
  /** What the caller may see: nothing else is suggested. */
  readonly objects?: ObjectRules.Rules | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Answer {
  readonly columns: ReadonlyArray<Column>
  /** The next rows; fails with `None` at the end. */
  readonly pull: Effect.Effect<ReadonlyArray<Row>, Option.Option<Failed>>
}

/**
 * @since 0.1.0
 * @category errors
 */
export interface Failed extends Omit<Failure, "missing"> {
  readonly suggestions?: ReadonlyArray<string>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Engine {
  readonly catalog: Catalog
  readonly execute: (request: Request) => Effect.Effect<Answer, Failed, Scope.Scope>
  /** What DuckDB's parser says to a text that it never runs. */
  readonly parse: (sql: string) => Promise<Reply>
}

const fail = ({ missing: _, ...failure }: Failure, suggestions: ReadonlyArray<string>): Failed => ({
  ...failure,
  ...(suggestions.length > 0 ? { suggestions } : {})
})

const syntaxError = (description: string): Failed => ({
  reason: "InvalidStatement",
  code: "001003",
  sqlState: "42000",
  description
})

const missingError = (missing: Missing): Failed =>
  fail(
    {
      reason: "NotFound",
      code: missing.kind === "Object" ? "002003" : "002043",
      sqlState: missing.kind === "Object" ? "42S02" : "02000",
      description: `${missing.kind} '${missing.name}' does not exist or not authorized.`
    },
    missing.suggestions
  )

/** Exact, or what an unquoted name would mean. */
const chosen = (name: string, known: ReadonlyArray<string>): string =>
  known.includes(name) ? name : upper(name)

/** The request's namespace, completed by the default one, or what it names in vain. */
const namespaceOf = (catalog: Catalog, standard: Namespace, request: Request): Namespace | Missing => {
  if (request.database === undefined && request.schema === undefined) return standard
  const databases = catalog.databases.map((database) => database.name)
  const database = request.database === undefined ? standard.database : chosen(request.database, databases)
  if (database === undefined) return standard
  const schemas = catalog.schemas
    .filter((schema) => schema.database === database)
    .map((schema) => schema.name)
  const schema = request.schema === undefined ? "PUBLIC" : chosen(request.schema, schemas)
  const found = findSchema(catalog, database, schema)
  return "_tag" in found ? found : { database, schema }
}

/** What a text means: read once, however often it comes. */
interface Understood {
  readonly parsed: ReturnType<typeof parse>
  translated: string | undefined
}

/** Snowflake's functions live in `memory.main`, after the schema of the statement and before DuckDB's. */
const searchPath = (namespace: Namespace): string =>
  namespace.database === undefined || namespace.schema === undefined
    ? "memory.main"
    : `${quoted(namespace.database)}.${quoted(namespace.schema)},memory.main`

/** The number behind the LIMIT at the end of a statement. */
const limitOf = (tokens: Select["tokens"]): number | undefined => {
  const [word, number] = tokens.slice(-2)
  return word?.kind === "word" && word.value === "LIMIT" && word.depth === 0 && number?.kind === "number"
    ? Number(number.text)
    : undefined
}

/** Rows of a part of what the catalog answers. */
const tableRows = 500

/** Texts whose meaning is remembered, and how long each may be. */
const remembered = { maxEntries: 200, maxBytes: 1024 * 1024 }
const longestRemembered = 8 * 1024

/** Characters of the name of a column: longer ones are texts of expressions, or made of data. */
const longestName = 1_000

/** A value of DuckDB's that Snowflake does not have. */
const difference: Failed = {
  reason: "InvalidStatement",
  code: "001044",
  sqlState: "42P13",
  description: noInterval
}

const tableAnswer = (table: Table, maxRows: number | undefined): Answer => {
  const rows = maxRows === undefined ? table.rows : table.rows.slice(0, maxRows)
  let at = 0
  const next = () => {
    const part = rows.slice(at, at + tableRows)
    at += part.length
    return part.length === 0 ? Effect.fail(Option.none()) : Effect.succeed(part)
  }
  return { columns: table.columns, pull: Effect.suspend(next) }
}

/**
 * Opens the engine; closing the scope ends every statement and frees everything.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Instance.Options): Effect.Effect<Engine, Instance.OpenError, Scope.Scope> =>
  Effect.gen(function* () {
    const opened = yield* Instance.open(options)
    const connections = yield* Connections.make(opened.connect)
    const cells = Cells.make(opened.api)
    const whole = opened.catalog
    const catalogFor = ({ objects }: Request): Catalog =>
      seenBy(whole, ObjectRules.compile(objects, IGNORES_CASE))

    const runError =
      (request: Request, namespace: Namespace, select: Select) =>
      (error: RunError): Failed => {
        if (error._tag === "OutOfTime") {
          return {
            reason: "StatementTimeout",
            code: "000630",
            sqlState: "57014",
            description: `Statement reached its timeout of ${request.timeoutMs / 1000} second(s) and was canceled.`
          }
        }
        const failure = classify(error.message)
        const catalog = catalogFor(request)
        const missing = missingIn(catalog, failure, namespace, select.tokens)
        return missing === undefined
          ? fail(failure, columnsNear(catalog, failure, select.tokens))
          : missingError(missing)
      }

    const commands = Lru.make<Understood>(remembered)
    const understand = (sql: string): Understood => {
      const known = Lru.get(commands, sql)
      if (known !== undefined) return known
      const parsed = parse(sql)
      const understood = { parsed, translated: undefined }
      if (sql.length <= longestRemembered) Lru.set(commands, sql, understood, 2 * sql.length)
      return understood
    }

    const query = (request: Request, namespace: Namespace, select: Select, sql: string) =>
      Effect.gen(function* () {
        const session = yield* connections.acquire
        const running = yield* Run.start(opened.api, session, {
          sql,
          binds: request.binds,
          searchPath: searchPath(namespace),
          timeoutMs: request.timeoutMs,
          maxRows: request.maxRows,
          limit: limitOf(select.tokens)
        })
        yield* Effect.addFinalizer(() => Effect.sync(running.close))
        if (running.types.some((type) => type.toString() === "INTERVAL"))
          return yield* Effect.fail(difference)
        const names = resultNames(select.sql, select.tokens, running.names)
        const columns = names.map((name, index): Column => {
          const type = running.types[index]!
          return {
            name: shortened(name, longestName),
            type: snowflakeType(type.alias ?? type.toString()),
            nullable: true
          }
        })
        const pull = running.pull(cells.reader(running.types))
        return { columns, pull: Effect.mapError(pull, Option.map(runError(request, namespace, select))) }
      }).pipe(
        Effect.mapError((error) => ("_tag" in error ? runError(request, namespace, select)(error) : error))
      )

    /** `memory.PUBLIC.T`, `DB.PUBLIC.T`: the plan says where a table is, with or without its database. */
    const bytesOf = (table: string): number => {
      const [name = "", schema, database] = table.split(".").reverse()
      const found = whole.relations.filter(
        (relation) =>
          sameInDuckDb(relation.name, name) &&
          (schema === undefined || sameInDuckDb(relation.schema, schema)) &&
          (database === undefined || sameInDuckDb(relation.database, database))
      )
      return found.reduce((most, { bytes }) => Math.max(most, bytes), 0)
    }

    const explain = (
      request: Request,
      namespace: Namespace,
      command: Extract<Command, { _tag: "Explain" }>
    ): Effect.Effect<Answer, Failed> =>
      Effect.scoped(
        Effect.gen(function* () {
          const sql = `EXPLAIN (FORMAT JSON) ${translate(command.select.sql)}`
          const { pull } = yield* query({ ...request, maxRows: undefined }, namespace, command.select, sql)
          const rows = yield* Effect.catchAll(
            pull,
            Option.match({
              onNone: () => Effect.succeed<ReadonlyArray<Row>>([]),
              onSome: (failed) => Effect.fail(failed)
            })
          )
          const plan = (kind: string): string => {
            const json = rows.find((row) => row[0] === kind)?.[1]
            return typeof json === "string" ? json : "[]"
          }
          return tableAnswer(
            explained(plan("physical_plan"), command.format, {
              written: plan("logical_plan"),
              bytesOf,
              nameOf: (table) => opened.shown.get(table.replaceAll('"', "")) ?? table
            }),
            request.maxRows
          )
        })
      )

    const execute = (request: Request): Effect.Effect<Answer, Failed, Scope.Scope> => {
      const catalog = catalogFor(request)
      const understood = understand(request.sql)
      if (Either.isLeft(understood.parsed)) return Effect.fail(syntaxError(understood.parsed.left.message))
      const namespace = namespaceOf(catalog, opened.namespace, request)
      if ("_tag" in namespace) return Effect.fail(missingError(namespace))
      const command = understood.parsed.right
      const answer = (table: Table | Missing) =>
        "_tag" in table
          ? Effect.fail(missingError(table))
          : Effect.succeed(tableAnswer(table, request.maxRows))
      switch (command._tag) {
        case "Show":
          return answer(Show.show(command, catalog, namespace))
        case "Describe": {
          const relation = findRelation(catalog, command.name, namespace)
          return answer("_tag" in relation ? relation : Show.describe(relation))
        }
        case "GetDdl": {
          const relation = findRelation(catalog, command.name, namespace)
          return answer("_tag" in relation ? relation : Show.getDdl(relation, command.column))
        }
        case "Explain":
          return explain(request, namespace, command)
        case "Select":
          understood.translated ??= translate(command.sql)
          return query(request, namespace, command, understood.translated)
      }
    }

    return { catalog: whole, execute, parse: opened.parse }
  })
