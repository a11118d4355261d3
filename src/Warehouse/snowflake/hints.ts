/**
 * The names that were meant, when Snowflake says that a table, schema, database or column does not exist.
 *
 * It looks them up in the catalog, which needs no running warehouse, as the same role in the same place,
 * and remembers what it saw for a while: agents that guess names guess several. It adds to an error and
 * never replaces it: what takes too long or fails is left out, and the error is what it was.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Lru from "../../core/Lru.js"
import type {
  Catalog,
  CatalogColumn,
  Missing as MissingName,
  Relation,
  Schema
} from "../../embedded/catalog.js"
import { findDatabase, findSchema, written } from "../../embedded/catalog.js"
import type { Failure } from "../../embedded/errors.js"
import { columnsNear, missingIn } from "../../embedded/suggest.js"
import { monotonicMillis } from "../../internal/monotonic.js"
import * as RequestId from "../../internal/requestId.js"
import { snowflake } from "../../sql/Dialect.js"
import type { Token } from "../../sql/Lexer.js"
import { tokenize } from "../../sql/Lexer.js"
import type { Result, Statement } from "../../Warehouse.js"
import { WarehouseError } from "../../Warehouse.js"
import type { Place } from "./session.js"

/** How long a caller waits for advice beyond the error. */
const PATIENCE_MS = 2_500

/** A name that was just created is worth more than a round trip saved. */
const REMEMBERED_MS = 60_000

const MAX_ROWS = 5_000

/** Tables of a statement whose columns are looked at. */
const MAX_TABLES = 4

interface Options {
  readonly run: (statement: Statement, place: Place) => Effect.Effect<Result, WarehouseError, Scope.Scope>
}

/** Of an error that names something in vain. */
type Missing = NonNullable<Failure["missing"]>

const patterns: ReadonlyArray<readonly [kind: Missing["kind"], pattern: RegExp]> = [
  ["Database", /\bDatabase '(.+?)' does not exist/i],
  ["Schema", /\bSchema '(.+?)' does not exist/i],
  ["Object", /\b(?:Object|Table|View) '(.+?)' does not exist/i],
  ["Column", /\binvalid identifier '(.+?)'/i]
]

/**
 * What an error says is not there, as Snowflake writes it: without the quotes of a quoted name.
 *
 * @since 0.1.0
 * @category conversions
 */
export const missingOf = (description: string): Missing | undefined => {
  for (const [kind, pattern] of patterns) {
    const name = pattern.exec(description)?.[1]
    if (name === undefined) continue
    const parts = name.replaceAll('"', "")
    return { kind, name: kind === "Column" ? parts.slice(parts.lastIndexOf(".") + 1) : parts, candidates: [] }
  }
  return undefined
}

/**
 * @since 0.1.0
 * @category conversions
 */
export const isAboutNames = (error: WarehouseError): boolean =>
  error.suggestions === undefined &&
  (error.reason === "NotFound" || error.reason === "InvalidStatement") &&
  missingOf(error.description) !== undefined

const of = (found: string | Schema | MissingName): ReadonlyArray<string> =>
  typeof found !== "string" && "_tag" in found ? found.suggestions : []

const nothing: Catalog = { createdOn: "", databases: [], schemas: [], relations: [] }

const text = (value: unknown): string => (typeof value === "string" ? value : "")

/** Names that a statement mentions, as SQL reads them. */
const mentioned = (tokens: ReadonlyArray<Token>): ReadonlySet<string> =>
  new Set(tokens.flatMap((token) => (token.kind === "word" || token.kind === "quoted" ? [token.value] : [])))

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = ({ run }: Options) =>
  Effect.map(RequestId.make, (nextId) => {
    const seen = Lru.make<{ readonly at: number; readonly rows: ReadonlyArray<Record<string, unknown>> }>({
      maxEntries: 200,
      maxBytes: 200 * MAX_ROWS
    })

    const look = (sql: string, place: Place) =>
      Effect.gen(function* () {
        const key = JSON.stringify([place.role, sql])
        const now = yield* monotonicMillis
        const found = Lru.get(seen, key)
        if (found !== undefined && now - found.at < REMEMBERED_MS) return found.rows
        const rows = yield* Effect.scoped(
          Effect.flatMap(
            run(
              {
                sql,
                timeoutMs: PATIENCE_MS,
                maxRows: MAX_ROWS,
                requestId: nextId(),
                tag: { tool: "suggestions", client: "snowguard" }
              },
              place
            ),
            ({ columns, rows }) =>
              Effect.map(Stream.runCollect(rows), (chunks) =>
                Chunk.toReadonlyArray(chunks)
                  .flat()
                  .map((row) =>
                    Object.fromEntries(columns.map(({ name }, at) => [name.toLowerCase(), row[at]]))
                  )
              )
          )
        )
        Lru.set(seen, key, { at: now, rows }, rows.length + 1)
        return rows
      })

    /** What cannot be seen is as good as not there. */
    const names = (sql: string, place: Place) => Effect.orElseSucceed(look(sql, place), () => [])

    const catalogOf = (databases: ReadonlyArray<string>, place: Place) =>
      Effect.gen(function* () {
        const all = (yield* names("SHOW DATABASES", place)).map((row) => text(row["name"]))
        const visible = databases.filter((database) => all.includes(database))
        const perDatabase = yield* Effect.forEach(
          visible,
          (database) =>
            Effect.zip(
              names(`SHOW SCHEMAS IN DATABASE ${written(database)}`, place),
              names(`SHOW OBJECTS IN DATABASE ${written(database)}`, place),
              { concurrent: true }
            ),
          { concurrency: 2 }
        )
        return {
          ...nothing,
          databases: all.map((name) => ({ name, comment: "" })),
          schemas: perDatabase.flatMap(([schemas], at) =>
            schemas.map((row) => ({ database: visible[at] ?? "", name: text(row["name"]), comment: "" }))
          ),
          relations: perDatabase.flatMap(([, objects], at) =>
            objects.map((row): Relation => ({
              kind: text(row["kind"]) === "VIEW" ? "VIEW" : "TABLE",
              database: visible[at] ?? "",
              schema: text(row["schema_name"]),
              name: text(row["name"]),
              comment: "",
              rows: 0,
              bytes: 0,
              query: "",
              columns: []
            }))
          )
        }
      })

    const withColumns = (catalog: Catalog, tokens: ReadonlyArray<Token>, place: Place) =>
      Effect.gen(function* () {
        const words = mentioned(tokens)
        const named = catalog.relations.filter(({ name }) => words.has(name))
        const here = named.filter(({ schema }) => words.has(schema) || schema === (place.schema ?? "PUBLIC"))
        const relations = yield* Effect.forEach(
          (here.length > 0 ? here : named).slice(0, MAX_TABLES),
          (relation) =>
            Effect.map(
              names(`DESCRIBE TABLE ${written(relation.database, relation.schema, relation.name)}`, place),
              (rows): Relation => ({
                ...relation,
                columns: rows.map((row): CatalogColumn => ({
                  name: text(row["name"]),
                  type: "",
                  nullable: true,
                  default: null,
                  comment: null,
                  primaryKey: false
                }))
              })
            ),
          { concurrency: MAX_TABLES }
        )
        return { ...catalog, relations }
      })

    const suggestions = (error: WarehouseError, missing: Missing, statement: Statement, place: Place) =>
      Effect.gen(function* () {
        const lexed = tokenize(statement.sql, snowflake)
        const tokens = Either.isRight(lexed) ? lexed.right : []
        const words = mentioned(tokens)
        const all = (yield* names("SHOW DATABASES", place)).map((row) => text(row["name"]))
        const databases = new Set(all.filter((name) => name === place.database || words.has(name)))
        const catalog = yield* catalogOf([...databases], place)
        const failure: Failure = {
          reason: "NotFound",
          code: error.code ?? "",
          sqlState: error.sqlState ?? "",
          description: error.description,
          missing
        }
        if (missing.kind === "Column") {
          return columnsNear(yield* withColumns(catalog, tokens, place), failure, tokens)
        }
        const namespace = { database: place.database, schema: place.schema ?? "PUBLIC" }
        const [last = "", before = place.database] = missing.name.split(".").reverse()
        if (missing.kind === "Database") return of(findDatabase(catalog, last))
        if (missing.kind === "Schema" && before !== undefined) return of(findSchema(catalog, before, last))
        return missingIn(catalog, failure, namespace, tokens)?.suggestions ?? []
      })

    return {
      /** The error with the names that may have been meant. */
      explain: (
        error: WarehouseError,
        statement: Statement,
        place: Place
      ): Effect.Effect<never, WarehouseError> => {
        const missing = missingOf(error.description)
        if (missing === undefined) return Effect.fail(error)
        return suggestions(error, missing, statement, place).pipe(
          Effect.timeoutTo({ duration: PATIENCE_MS, onTimeout: () => [], onSuccess: (found) => found }),
          Effect.flatMap((found) =>
            Effect.fail(
              found.length === 0
                ? error
                : new WarehouseError({
                    reason: error.reason,
                    description: error.description,
                    sent: error.sent,
                    queryId: error.queryId,
                    code: error.code,
                    sqlState: error.sqlState,
                    suggestions: found
                  })
            )
          )
        )
      }
    }
  })
