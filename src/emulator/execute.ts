/**
 * Runs one statement of a session: on the embedded engine, or on the session itself.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import type { Catalog } from "../embedded/catalog.js"
import { findDatabase, findSchema } from "../embedded/catalog.js"
import { apply } from "../embedded/dialect/edits.js"
import type { Engine } from "../embedded/engine.js"
import { resultNames } from "../embedded/names.js"
import { like } from "../embedded/show.js"
import { duckdb } from "../sql/Dialect.js"
import { tokenize } from "../sql/Lexer.js"
import type { Bind, Column, Row, WarehouseError } from "../Warehouse.js"
import { declaredTypes } from "./declaredTypes.js"
import type { Failure } from "./failures.js"
import * as Failures from "./failures.js"
import type { Rows, Sizes } from "./results.js"
import { allJson, builder } from "./results.js"
import { relation } from "./resultScan.js"
import type { Session } from "./sessions.js"
import type { Command, Context, Text } from "./sqlText.js"
import { contextCalls, resultScans } from "./sqlText.js"
import * as Wire from "./wire.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Environment {
  readonly engine: Effect.Effect<Engine, WarehouseError>
  readonly sizes: Sizes
  readonly account: string
  /** Warehouses that exist; any name does when undefined. */
  readonly warehouses: ReadonlyArray<string> | undefined
  readonly roles: ReadonlyArray<string> | undefined
  readonly stored: (queryId: string) => Rows | undefined
  readonly cancel: (queryId: string) => Effect.Effect<boolean>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Run {
  readonly queryId: string
  readonly text: Text
  readonly binds: ReadonlyArray<Bind>
  /** The parameters of the session with those of the statement over them. */
  readonly parameters: ReadonlyMap<string, string>
  readonly describeOnly: boolean
}

const varchar = "VARCHAR(16777216)"

const table = (
  columns: ReadonlyArray<Column>,
  rows: ReadonlyArray<Row>,
  typeId: number,
  sizes: Sizes
): Rows => {
  const wire = columns.map(Wire.column)
  const result = builder(wire, typeId, sizes)
  result.add(Wire.rows(wire)(rows))
  return result.build()
}

const texts = (names: ReadonlyArray<string>): ReadonlyArray<Column> =>
  names.map((name) => ({ name, type: varchar, nullable: true }))

/** What the session's functions answer. */
const contextOf = ({ account }: Environment, session: Session): Context => {
  const own = session.queryIds
  return {
    functions: new Map<string, string | null>([
      ["CURRENT_ACCOUNT", account],
      ["CURRENT_ACCOUNT_NAME", account],
      ["CURRENT_ORGANIZATION_NAME", "SNOWGUARD"],
      ["CURRENT_REGION", "EMULATOR"],
      ["CURRENT_USER", session.user],
      ["CURRENT_ROLE", session.role],
      ["CURRENT_WAREHOUSE", session.warehouse ?? null],
      ["CURRENT_DATABASE", session.database ?? null],
      ["CURRENT_SCHEMA", session.schema ?? null],
      ["CURRENT_SESSION", String(session.id)],
      ["CURRENT_CLIENT", session.application],
      ["CURRENT_VERSION", version]
    ]),
    lastQueryId: (n) => (n > 0 ? own[n - 1] : own[own.length + n]) ?? null
  }
}

/**
 * The version of the server that clients are told.
 *
 * @since 0.1.0
 * @category constants
 */
export const version = "9.30.0"

const chosen = (name: string, known: ReadonlyArray<string> | undefined): boolean =>
  known === undefined || known.includes(name)

const use = (
  environment: Environment,
  session: Session,
  command: Extract<Command, { readonly _tag: "Use" }>,
  catalog: Catalog
): Failure | undefined => {
  const [last = "", database = session.database] = [...command.name].reverse()
  switch (command.kind) {
    case "ROLE":
      if (!chosen(last, environment.roles)) return Failures.missing("Role", last)
      session.role = last
      return undefined
    case "WAREHOUSE":
      if (!chosen(last, environment.warehouses)) return Failures.missing("Warehouse", last)
      session.warehouse = last
      return undefined
    case "DATABASE":
      if (typeof findDatabase(catalog, last) !== "string") return Failures.missing("Database", last)
      session.database = last
      session.schema = "PUBLIC"
      return undefined
    case "SCHEMA": {
      const found = findSchema(catalog, database ?? "", last)
      if ("_tag" in found) return Failures.missing(found.kind, found.name)
      session.database = found.database
      session.schema = found.name
      return undefined
    }
  }
}

const seconds = new Set(["STATEMENT_TIMEOUT_IN_SECONDS", "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS"])
const counts = new Set(["ROWS_PER_RESULTSET", "MULTI_STATEMENT_COUNT"])

/**
 * Why a session parameter cannot have this value.
 *
 * @since 0.1.0
 * @category decisions
 */
export const badParameter = (name: string, value: string): Failure | undefined => {
  if (!seconds.has(name) && !counts.has(name)) return undefined
  const number = Number(value)
  const valid = Number.isInteger(number) && number >= 0 && (!seconds.has(name) || number <= 604_800)
  return valid ? undefined : Failures.badParameter(name, value)
}

/**
 * @since 0.1.0
 * @category running
 */
export const run = (
  environment: Environment,
  session: Session,
  statement: Run
): Effect.Effect<Rows, Failure> => {
  const { parameters, text } = statement
  const { sizes } = environment
  const { command } = text
  const rows = (columns: ReadonlyArray<Column>, cells: ReadonlyArray<Row>) =>
    table(columns, cells, text.typeId, sizes)
  const done = rows(texts(["status"]), [["Statement executed successfully."]])

  switch (command._tag) {
    case "Nothing":
      return Effect.succeed(done)
    case "Use":
      return Effect.flatMap(Effect.mapError(environment.engine, Failures.ofEngine), ({ catalog }) => {
        const failure = use(environment, session, command, catalog)
        return failure === undefined ? Effect.succeed(done) : Effect.fail(failure)
      })
    case "SetParameters":
      return Effect.suspend(() => {
        for (const [name, value] of command.entries) {
          const failure = badParameter(name, value)
          if (failure !== undefined) return Effect.fail(failure)
        }
        for (const [name, value] of command.entries) session.parameters.set(name, value)
        return Effect.succeed(done)
      })
    case "UnsetParameters":
      return Effect.sync(() => {
        for (const name of command.names) session.parameters.delete(name)
        return done
      })
    case "ShowParameters": {
      const matches = like(command.like ?? "%")
      const names = [...parameters.keys()].filter(matches).sort()
      return Effect.succeed(
        rows(
          texts(["key", "value", "default", "level", "description", "type"]),
          names.map((name) => {
            const level = session.parameters.has(name) ? "SESSION" : ""
            return [name, parameters.get(name) ?? "", "", level, "", "STRING"]
          })
        )
      )
    }
    case "ShowWarehouses": {
      const known = environment.warehouses ?? [session.warehouse ?? "COMPUTE_WH"]
      return Effect.succeed(
        rows(
          texts(["name", "state", "type", "size", "is_default", "is_current"]),
          known
            .filter(like(command.like ?? "%"))
            .map((name) => [
              name,
              "STARTED",
              "STANDARD",
              "X-Small",
              "N",
              name === session.warehouse ? "Y" : "N"
            ])
        )
      )
    }
    case "Wait":
      return Effect.as(
        Effect.sleep(command.seconds * 1000),
        rows(texts([command.column]), [[`waited ${command.seconds} seconds`]])
      )
    case "CancelQuery":
      return Effect.map(environment.cancel(command.queryId), (cancelled) =>
        rows(texts([command.column]), [
          [
            cancelled
              ? `query [${command.queryId}] terminated.`
              : "Identified SQL statement is not currently executing."
          ]
        ])
      )
    case "Query":
      return query(environment, session, statement)
  }
}

/** The text with what the session knows put into it; `binds` gets what it reads from stored results. */
const resolved = (environment: Environment, session: Session, text: Text, binds: Array<Bind>) => {
  const tokens = tokenize(text.sql, duckdb)
  // The engine reports what cannot be read.
  if (Either.isLeft(tokens)) return Effect.succeed({ sql: text.sql, tokens: [], isRewritten: false })
  const edits = contextCalls(tokens.right, contextOf(environment, session))
  const filled = apply(text.sql, edits)
  const again = tokenize(filled, duckdb)
  const scans = Either.isRight(again) ? resultScans(again.right) : []
  const unknown = scans.find((scan) => environment.stored(scan.queryId) === undefined)
  if (unknown !== undefined) return Effect.fail(Failures.resultUnknown(unknown.queryId))
  const sql = apply(
    filled,
    scans.map(({ end, queryId, start }) => {
      const stored = environment.stored(queryId)!
      binds.push(allJson(stored))
      return { start, end, text: relation(stored.columns, binds.length) }
    })
  )
  return Effect.succeed({ sql, tokens: tokens.right, isRewritten: sql !== text.sql })
}

const query = (environment: Environment, session: Session, statement: Run): Effect.Effect<Rows, Failure> =>
  Effect.gen(function* () {
    const { text } = statement
    const binds: Array<Bind> = [...statement.binds]
    const { isRewritten, sql, tokens } = yield* resolved(environment, session, text, binds)
    const engine = yield* Effect.mapError(environment.engine, Failures.ofEngine)
    const limit = Number(statement.parameters.get("ROWS_PER_RESULTSET") ?? 0)
    const maxRows = statement.describeOnly ? 0 : limit > 0 ? limit : undefined
    const answer = yield* Effect.mapError(
      engine.execute({
        sql,
        binds,
        database: session.database,
        schema: session.schema,
        // Whoever runs statements bounds them; the engine would count its own time only.
        timeoutMs: 2_000_000_000,
        maxRows,
        queryId: statement.queryId
      }),
      Failures.ofEngine
    )
    const names = answer.columns.map((column) => column.name)
    const shown = isRewritten ? resultNames(text.sql, tokens, names) : names
    const types = declaredTypes(
      tokens,
      answer.columns.map((column) => column.type)
    )
    const columns = answer.columns.map((column, index) =>
      Wire.column({ ...column, name: shown[index] ?? column.name, type: types[index] ?? column.type })
    )
    const encode = Wire.rows(columns)
    const result = builder(columns, text.typeId, environment.sizes)
    yield* Stream.runForEach(answer.rows, (rows) => Effect.sync(() => result.add(encode(rows)))).pipe(
      Effect.mapError(Failures.ofEngine)
    )
    return result.build()
  }).pipe(Effect.scoped)
