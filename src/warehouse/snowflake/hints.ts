/**
 * The names that were meant, when Snowflake says that a table, schema, database or column does not exist.
 *
 * It looks them up in the catalog, which needs no running warehouse, as the same role in the same place,
 * and remembers what it saw for a while: agents that guess names guess several. It adds to an error and
 * never replaces it: what takes too long or fails is left out, and the error is what it was.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import * as Lru from "../../platform/core/Lru.js"
import type { Catalog, CatalogColumn, Missing as MissingName, Relation, Schema } from "../duckdb/catalog.js"
import { findDatabase, findRelation, findSchema, seenBy } from "../duckdb/catalog.js"
import type { Name } from "../duckdb/command.js"
import { cursor } from "../duckdb/cursor.js"
import type { Failure } from "../duckdb/errors.js"
import { columnsNear, missingIn } from "../duckdb/suggest.js"
import { monotonicMillis } from "../../platform/monotonic.js"
import * as RequestId from "../../platform/requestId.js"
import { snowflake } from "../../sql/Dialect.js"
import { written } from "../../sql/Identifier.js"
import type { Token } from "../../sql/Lexer.js"
import { snowflakeLimits, tokenize } from "../../sql/Lexer.js"
import * as ObjectRules from "../../sql/ObjectRules.js"
import type { Result, Statement } from "../Warehouse.js"
import { WarehouseError } from "../Warehouse.js"
import * as Named from "./named.js"
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
 */
const missingOf = (description: string): Missing | undefined => {
  for (const [kind, pattern] of patterns) {
    const name = pattern.exec(description)?.[1]
    if (name === undefined) continue
    const parts = name.replaceAll('"', "")
    return { kind, name: kind === "Column" ? parts.slice(parts.lastIndexOf(".") + 1) : parts, candidates: [] }
  }
  return undefined
}

/** "Object does not exist, or operation cannot be performed": what SHOW says of a database or a schema. */
const unnamed = /\bobject does not exist, or operation cannot be performed/i

/** "This session does not have a current database": the one that it was opened in is not there. */
const noPlace: ReadonlySet<string | undefined> = new Set(["090105", "090106"])

export const isAboutNames = (error: WarehouseError): boolean =>
  error.suggestions === undefined &&
  (error.reason === "NotFound" || error.reason === "InvalidStatement") &&
  (missingOf(error.description) !== undefined || unnamed.test(error.description) || noPlace.has(error.code))

/** The name in `SHOW ... IN DATABASE name` or `DESCRIBE TABLE name`: what such an error is about. */
const asked = (
  tokens: ReadonlyArray<Token>
): { readonly kind: Missing["kind"]; readonly name: Name } | undefined => {
  const at = cursor(tokens, 0)
  if (at.word("DESC") || at.word("DESCRIBE")) {
    if (!at.word("TABLE")) at.word("VIEW")
    const name = at.name()
    return name === undefined ? undefined : { kind: "Object", name }
  }
  const within = tokens.findIndex(({ kind, value }) => kind === "word" && value === "IN")
  if (!at.word("SHOW") || within < 0) return undefined
  const inside = cursor(tokens, within + 1)
  const kind = inside.word("DATABASE")
    ? "Database"
    : inside.word("TABLE") || inside.word("VIEW")
      ? "Object"
      : "Schema"
  if (kind === "Schema") inside.word("SCHEMA")
  const name = inside.name()
  return name === undefined ? undefined : { kind, name }
}

/** What is missing, and what resembles it. */
type Found = Pick<MissingName, "suggestions"> & Partial<Pick<MissingName, "kind" | "name">>

const nothingFound: Found = { suggestions: [] }

const of = (found: string | Schema | Relation | MissingName): Found =>
  typeof found !== "string" && "_tag" in found ? found : nothingFound

const nothing: Catalog = { createdOn: "", databases: [], schemas: [], relations: [] }

const text = (value: unknown): string => (typeof value === "string" ? value : "")

/** Names that a statement mentions, as SQL reads them. */
const mentioned = (tokens: ReadonlyArray<Token>): ReadonlySet<string> =>
  new Set(tokens.flatMap((token) => (token.kind === "word" || token.kind === "quoted" ? [token.value] : [])))

export const make = ({ run }: Options) =>
  Effect.map(RequestId.make, (nextId) => {
    const seen = Lru.make<{ readonly at: number; readonly rows: ReadonlyArray<Named.Named> }>({
      maxEntries: 200,
      maxBytes: 200 * MAX_ROWS
    })

    const look = (sql: string, place: Place) =>
      Effect.gen(function* () {
        const key = JSON.stringify([place.as.key, place.role, sql])
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
            Named.rows
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
        const { visible = () => true } = catalog
        const named = catalog.relations.filter(
          ({ database, name, schema }) => words.has(name) && visible([database, schema, name])
        )
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

    /** What the error names, or the statement where the error names nothing. */
    const find = (error: WarehouseError, statement: Statement, place: Place) =>
      Effect.gen(function* () {
        const lexed = tokenize(statement.sql, snowflake, snowflakeLimits)
        const tokens = Either.isRight(lexed) ? lexed.right : []
        const words = mentioned(tokens)
        const all = (yield* names("SHOW DATABASES", place)).map((row) => text(row["name"]))
        // A catalog that could not be read does not show what is not there.
        if (all.length === 0) return nothingFound
        const databases = all.filter((name) => name === place.database || words.has(name))
        const rules = ObjectRules.compile(statement.objects, false)
        const catalog = seenBy(yield* catalogOf(databases, place), rules)
        const namespace = { database: place.database, schema: place.schema ?? "PUBLIC" }
        const lookUp = (kind: Missing["kind"], name: Name): Found => {
          const [last = "", before = place.database] = [...name].reverse()
          if (kind === "Database") return of(findDatabase(catalog, last))
          if (kind === "Object") return of(findRelation(catalog, name, namespace))
          return before === undefined ? nothingFound : of(findSchema(catalog, before, last))
        }
        const missing = missingOf(error.description)
        if (missing === undefined) {
          const named = noPlace.has(error.code)
            ? {
                kind: "Schema" as const,
                name: [...(place.database === undefined ? [] : [place.database]), namespace.schema]
              }
            : asked(tokens)
          return named === undefined ? nothingFound : lookUp(named.kind, named.name)
        }
        const failure: Failure = {
          reason: "NotFound",
          code: error.code ?? "",
          sqlState: error.sqlState ?? "",
          description: error.description,
          missing
        }
        const { suggestions } =
          missing.kind === "Column"
            ? { suggestions: columnsNear(yield* withColumns(catalog, tokens, place), failure, tokens) }
            : missing.kind === "Database" || missing.kind === "Schema"
              ? lookUp(missing.kind, missing.name.split("."))
              : (missingIn(catalog, failure, namespace, tokens) ?? nothingFound)
        return { suggestions }
      })

    return {
      /** The error with the names that may have been meant, and the one that is missing where it names none. */
      explain: (
        error: WarehouseError,
        statement: Statement,
        place: Place
      ): Effect.Effect<never, WarehouseError> =>
        find(error, statement, place).pipe(
          Effect.timeoutTo({
            duration: PATIENCE_MS,
            onTimeout: () => nothingFound,
            onSuccess: (found: Found) => found
          }),
          Effect.flatMap(({ kind, name, suggestions }) =>
            Effect.fail(
              suggestions.length === 0 && name === undefined
                ? error
                : new WarehouseError({
                    reason: name === undefined ? error.reason : "NotFound",
                    description:
                      name === undefined
                        ? error.description
                        : `${kind} '${name}' does not exist or not authorized.`,
                    sent: error.sent,
                    queryId: error.queryId,
                    code: error.code,
                    sqlState: error.sqlState,
                    ...(suggestions.length === 0 ? {} : { suggestions })
                  })
            )
          )
        )
    }
  })
