/**
 * The embedded warehouse without its port: takes a statement in Snowflake's SQL, answers with columns and
 * a stream of rows.
 *
 * SHOW, DESCRIBE and GET_DDL are answered from the catalog and never reach DuckDB; everything else runs on
 * DuckDB as one query on a connection of its own.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Bind, Column, Row } from "../Warehouse.js"
import { WarehouseError } from "../Warehouse.js"
import * as ObjectRules from "../../sql/ObjectRules.js"
import type { Catalog, Missing, Namespace } from "./catalog.js"
import { findRelation, findSchema, seenBy } from "./catalog.js"
import * as Cells from "./cells.js"
import type { Command, Select } from "./command.js"
import { parse } from "./command.js"
import * as Connections from "./connections.js"
import { translate } from "./dialect/translate.js"
import type { Failure } from "./errors.js"
import { classify } from "./errors.js"
import * as Instance from "./instance.js"
import { resultNames } from "./names.js"
import { columnsNear, missingIn } from "./suggest.js"
import { explained } from "./plan.js"
import * as Pressures from "./pressure.js"
import type { RunError } from "./run.js"
import * as Run from "./run.js"
import type { Table } from "./show.js"
import * as Show from "./show.js"
import { snowflakeType } from "./types.js"
import * as Widths from "./widths.js"
import { monotonicMillis } from "../../platform/monotonic.js"

/** DuckDB's names are the same in any case. */
const IGNORES_CASE = true

/**
 * @since 0.1.0
 * @category models
 */
export interface Request {
  readonly sql: string
  readonly binds: ReadonlyArray<Bind>
  readonly database: string | undefined
  readonly schema: string | undefined
  readonly timeoutMs: number
  readonly maxRows: number | undefined
  /** What the caller may see: nothing else is suggested. */
  readonly objects?: ObjectRules.Rules | undefined
  /** Goes into the errors. */
  readonly queryId: string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Answer {
  readonly columns: ReadonlyArray<Column>
  readonly rows: Stream.Stream<ReadonlyArray<Row>, WarehouseError>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Engine {
  readonly catalog: Catalog
  readonly execute: (request: Request) => Effect.Effect<Answer, WarehouseError, Scope.Scope>
}

const fail = (request: Request, failure: Failure, suggestions: ReadonlyArray<string>, cause?: unknown) =>
  new WarehouseError({
    reason: failure.reason,
    description: failure.description,
    sent: "yes",
    queryId: request.queryId,
    code: failure.code,
    sqlState: failure.sqlState,
    ...(suggestions.length > 0 ? { suggestions } : {}),
    ...(cause === undefined ? {} : { cause })
  })

const syntaxError = (request: Request, description: string): WarehouseError =>
  fail(request, { reason: "InvalidStatement", code: "001003", sqlState: "42000", description }, [])

const missingError = (request: Request, missing: Missing, cause?: unknown): WarehouseError =>
  fail(
    request,
    {
      reason: "NotFound",
      code: missing.kind === "Object" ? "002003" : "002043",
      sqlState: missing.kind === "Object" ? "42S02" : "02000",
      description: `${missing.kind} '${missing.name}' does not exist or not authorized.`
    },
    missing.suggestions,
    cause
  )

/** Exact, or what an unquoted name would mean. */
const chosen = (name: string, known: ReadonlyArray<string>): string =>
  known.includes(name) ? name : name.toUpperCase()

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

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** Snowflake's functions live in `memory.main`, after the schema of the statement and before DuckDB's. */
const searchPath = (namespace: Namespace): string =>
  namespace.database === undefined || namespace.schema === undefined
    ? "memory.main"
    : `${quoted(namespace.database)}.${quoted(namespace.schema)},memory.main`

const tableAnswer = (table: Table, maxRows: number | undefined): Answer => {
  const rows = maxRows === undefined ? table.rows : table.rows.slice(0, maxRows)
  return { columns: table.columns, rows: rows.length === 0 ? Stream.empty : Stream.succeed(rows) }
}

/**
 * Opens the engine; closing the scope ends every statement and frees everything.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Instance.Options): Effect.Effect<Engine, WarehouseError, Scope.Scope> =>
  Effect.gen(function* () {
    const opened = yield* Instance.open(options)
    const connections = yield* Connections.make(opened.connect)
    const cells = Cells.make(opened.api)
    const whole = opened.catalog
    const catalogFor = ({ objects }: Request): Catalog =>
      seenBy(whole, ObjectRules.compile(objects, IGNORES_CASE))

    // DuckDB keeps to its limit where it counts; the rest may take half as much again.
    const pressure = Pressures.make(1.5 * Widths.bytesOf(options.memoryLimit))
    const rowBytes = Widths.rowBytes(options)
    const turns = yield* Effect.makeSemaphore(1)
    /** Holds the turn of a statement that makes long texts, until its scope closes. */
    const turn = (timeoutMs: number): Effect.Effect<void, RunError, Scope.Scope> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.zipRight(
          restore(
            Effect.timeoutFail(turns.take(1), {
              duration: timeoutMs,
              onTimeout: (): RunError => ({ _tag: "OutOfTime" })
            })
          ),
          Effect.addFinalizer(() => turns.release(1))
        )
      )

    const runError =
      (request: Request, namespace: Namespace, select: Select) =>
      (error: RunError): WarehouseError => {
        if (error._tag === "OutOfTime") {
          return fail(
            request,
            {
              reason: "StatementTimeout",
              code: "000630",
              sqlState: "57014",
              description: `Statement reached its timeout of ${request.timeoutMs / 1000} second(s) and was canceled.`
            },
            []
          )
        }
        const failure = classify(error.message)
        const catalog = catalogFor(request)
        const missing = missingIn(catalog, failure, namespace, select.tokens)
        return missing === undefined
          ? fail(request, failure, columnsNear(catalog, failure, select.tokens), error.cause)
          : missingError(request, missing, error.cause)
      }

    const query = (request: Request, namespace: Namespace, select: Select, prefix = "") =>
      Effect.gen(function* () {
        const began = yield* monotonicMillis
        const texts = Widths.textsOf(select.tokens)
        if (texts !== undefined) yield* turn(request.timeoutMs)
        const waited = (yield* monotonicMillis) - began
        const session = yield* connections.acquire
        let open = true
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            open = false
          })
        )
        const running = yield* Run.start(opened.api, session, {
          sql: prefix + translate(select.sql),
          binds: request.binds,
          searchPath: searchPath(namespace),
          timeoutMs: request.timeoutMs - waited,
          maxRows: request.maxRows,
          pressure,
          textBytes: texts === undefined ? undefined : (columns) => Widths.textBytes(texts, columns, rowBytes)
        })
        yield* Effect.addFinalizer(() => Effect.sync(running.close))
        const names = resultNames(select.sql, select.tokens, running.names)
        const columns = names.map((name, index): Column => {
          const type = running.types[index]!
          return { name, type: snowflakeType(type.alias ?? type.toString()), nullable: true }
        })
        const pull = running.pull(cells.reader(running.types))
        const guarded = Effect.suspend(() =>
          open
            ? pull
            : Effect.fail(
                Option.some<RunError>({
                  _tag: "DriverError",
                  message: "INTERRUPT Error: closed",
                  cause: undefined
                })
              )
        )
        return {
          columns,
          rows: Stream.repeatEffectOption(
            Effect.mapError(guarded, Option.map(runError(request, namespace, select)))
          )
        }
      }).pipe(Effect.mapError(runError(request, namespace, select)))

    /** `memory.PUBLIC.T`, `DB.PUBLIC.T`: the plan says where a table is, with or without its database. */
    const bytesOf = (table: string): number => {
      const parts = table.split(".").map((part) => part.toUpperCase())
      const [name, schema, database] = parts.reverse()
      const found = whole.relations.filter(
        (relation) =>
          relation.name.toUpperCase() === name &&
          (schema === undefined || relation.schema.toUpperCase() === schema) &&
          (database === undefined || relation.database.toUpperCase() === database)
      )
      return found.reduce((most, { bytes }) => Math.max(most, bytes), 0)
    }

    const explain = (
      request: Request,
      namespace: Namespace,
      command: Extract<Command, { _tag: "Explain" }>
    ) =>
      Effect.scoped(
        query({ ...request, maxRows: undefined }, namespace, command.select, "EXPLAIN (FORMAT JSON) ").pipe(
          Effect.flatMap((answer) => Stream.runCollect(answer.rows))
        )
      ).pipe(
        Effect.map((chunks) => {
          const plan = [...chunks].flat()[0]?.[1]
          return tableAnswer(
            explained(typeof plan === "string" ? plan : "[]", command.format, bytesOf),
            request.maxRows
          )
        })
      )

    const execute = (request: Request): Effect.Effect<Answer, WarehouseError, Scope.Scope> => {
      const catalog = catalogFor(request)
      const parsed = parse(request.sql)
      if (Either.isLeft(parsed)) return Effect.fail(syntaxError(request, parsed.left.message))
      const namespace = namespaceOf(catalog, opened.namespace, request)
      if ("_tag" in namespace) return Effect.fail(missingError(request, namespace))
      const command = parsed.right
      const answer = (table: Table | Missing) =>
        "_tag" in table
          ? Effect.fail(missingError(request, table))
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
          return query(request, namespace, command)
      }
    }

    return { catalog: whole, execute }
  })
