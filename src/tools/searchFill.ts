/**
 * Asks the warehouse for what {@link SearchIndex} keeps: SHOW first, which needs no compute; INFORMATION_SCHEMA only
 * for the columns of a schema that no SHOW lists whole, and only while the virtual warehouse runs anyway.
 *
 * Every statement passes the guard as one of a client of its own, so that its rate limits, quotas and slots are those of
 * a client beside the others, and is written into the audit log as such. It runs as the user and role of the caller
 * for whom the fill is.
 */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { Guard } from "../guard/Guard.js"
import { outcomeOf } from "../observe/Activity.js"
import { Audit } from "../observe/Audit.js"
import { monotonicMillis, monotonicReader } from "../platform/monotonic.js"
import * as Principal from "../platform/Principal.js"
import { CurrentPrincipal } from "../platform/Principal.js"
import { Credits } from "../quota/Credits.js"
import { actingAs, placeOf, Warehouse, WarehouseError } from "../warehouse/Warehouse.js"
import type { Cell } from "../warehouse/Warehouse.js"
import { CallPolicy, hasTool } from "./CallPolicy.js"
import { CallNotes, CurrentNotes } from "./callNotes.js"
import * as Refresh from "./core/Refresh.js"
import { codeOf, mayWorkLater } from "./errorCodes.js"
import { kindOf, tableFlags } from "./ListTables.js"
import * as Catalog from "./catalog.js"
import * as LookUps from "./lookUps.js"
import * as Names from "./names.js"
import * as Query from "./query.js"
import { fullName, SEMANTIC } from "./core/ObjectIndex.js"
import type { Column, Fill, Stopped, Table } from "./SearchIndex.js"
import type { RequestError } from "./Tool.js"

/** The client as which the statements are counted. Its tier is `default`. */
const client = Principal.make("snowguard:search")

/** What is read of one list: more than the cap of SHOW, since INFORMATION_SCHEMA has none. */
const MAX_ROWS = 500_000
const MAX_BYTES = 64 * 1024 * 1024

/** Bytes of one comment. */
const CELL_BYTES = 1_000

/** A statement is followed by a pause as long as it took, at most this; milliseconds. */
const PAUSE_MS = 1_000

/** A list of tables reads on so many times. */
const MAX_PAGES = 20

type Rows<Name extends string> = ReadonlyArray<Catalog.Entry<Name>>

interface Listed<Name extends string> {
  readonly rows: Rows<Name>
  /** There may be more than the warehouse lists at a time. */
  readonly isCut: boolean
}

const tableColumns = ["name", "database_name", "schema_name", "kind", "comment", ...tableFlags] as const
const viewColumns = ["name", "database_name", "schema_name", "comment"] as const
const columnColumns = [
  "table_name",
  "schema_name",
  "database_name",
  "column_name",
  "data_type",
  "comment"
] as const

/** `{"type":"FIXED","precision":12,"scale":2}` -> `NUMBER(12,2)`. */
const typeOf = (cell: Cell): string => {
  const given = LookUps.text(cell)
  const [, type = given] = /"type"\s*:\s*"([A-Z_]+)"/.exec(given) ?? []
  const number = (name: string) => new RegExp(`"${name}"\\s*:\\s*(\\d+)`).exec(given)?.[1]
  const [precision, scale = "0"] = [number("precision"), number("scale")]
  if (type === "FIXED") return scale === "0" ? "NUMBER" : `NUMBER(${precision ?? 38},${scale})`
  return type === "REAL" ? "FLOAT" : type === "TEXT" ? "VARCHAR" : type
}

const INFORMATION_SCHEMA = "INFORMATION_SCHEMA"

/** Semantic views are a place of their own in the index: one list holds them, and has no columns. */
const SEMANTIC_VIEWS = "SEMANTIC VIEWS"

const grouped = <A>(all: Iterable<A>, key: (one: A) => string): Map<string, Array<A>> => {
  const groups = new Map<string, Array<A>>()
  for (const one of all) {
    const group = groups.get(key(one))
    if (group === undefined) groups.set(key(one), [one])
    else group.push(one)
  }
  return groups
}

type ColumnRow = Catalog.Entry<(typeof columnColumns)[number]>

/** Of one schema, by its key. */
type Schema = readonly [place: string, tables: ReadonlyArray<Table>]

/** As of any call: `ok`, `cancelled`, or the code of what it failed with. */
const decisionOf = (exit: Exit.Exit<unknown, RequestError>): string =>
  exit._tag === "Success"
    ? "ok"
    : Option.match(Cause.failureOption(exit.cause), {
        onSome: codeOf,
        onNone: () => (Cause.isInterruptedOnly(exit.cause) ? "cancelled" : "INTERNAL")
      })

/** It failed at the warehouse, and may work later. */
const isOfWarehouse = (exit: Exit.Exit<unknown, RequestError>): boolean =>
  exit._tag === "Failure" &&
  Option.exists(
    Cause.failureOption(exit.cause),
    (error) => error._tag === "WarehouseError" && mayWorkLater(error)
  )

const scopeOf = (what: string): string => (what === "DATABASES" || what === "WAREHOUSES" ? "" : " IN ACCOUNT")

/** What is wrong with one database or schema, and says nothing about the others. */
const isOfPlace = (error: unknown): boolean =>
  error instanceof WarehouseError && (error.reason === "NotFound" || error.reason === "Permission")

export const make = Effect.gen(function* () {
  const guard = yield* Guard
  const warehouse = yield* Warehouse
  const policies = yield* CallPolicy
  const audit = yield* Audit
  const credits = Option.getOrUndefined(yield* Effect.serviceOption(Credits))
  const now = yield* monotonicReader

  /** One statement, recorded as a call of its own. */
  const send = <const Name extends string>(
    { principal }: Fill,
    sql: string,
    pick: ReadonlyArray<Name>,
    kind: "metadata" | "query"
  ) =>
    Effect.gen(function* () {
      const { metadataTimeoutMs: timeoutMs } = policies.of(client.tier)
      // The embedded warehouse has processes by client, and needs no other one for this.
      const { client: name, tier } = warehouse.dialect === "duckdb" ? principal : client
      const notes = new CallNotes(audit.withoutLimits !== true)
      const started = yield* monotonicMillis
      const record = (exit: Exit.Exit<unknown, RequestError>) =>
        Effect.suspend(() => {
          const decision = decisionOf(exit)
          const { bytes, queryId, ranAs, rows, statement, wouldRefuse } = notes.all
          return audit.record({
            client: client.client,
            tier: client.tier,
            tool: Query.SEARCH,
            statement: statement ?? sql,
            decision,
            outcome: outcomeOf(decision, notes.wasSubmitted, isOfWarehouse(exit)),
            rows,
            bytes,
            ms: Math.round(now() - started),
            queryId,
            ...ranAs,
            wouldRefuse,
            limits: notes.limits()
          })
        })
      return yield* guard
        .run(
          {
            tool: Query.SEARCH,
            class: kind,
            deadlineMs: 2 * timeoutMs,
            timeoutMs,
            // Nothing of it goes to a client.
            estimatedBytes: 0,
            statement: () => sql,
            place: placeOf(warehouse, principal),
            observed: notes.observed,
            metered: notes.metered
          },
          (attempt) =>
            Query.collect(
              warehouse,
              { ...attempt, bytesLeft: Number.MAX_SAFE_INTEGER, addBytes: () => Effect.void },
              notes,
              {
                statement: { sql, tag: { tool: Query.SEARCH, client: name, tier } },
                timeoutMs,
                maxRows: MAX_ROWS,
                maxBytes: MAX_BYTES,
                maxCellBytes: CELL_BYTES,
                pick,
                bill:
                  kind === "query" && credits !== undefined && policies.countsCredits()
                    ? { begin: credits.begin, charge: attempt.addCredits }
                    : undefined
              }
            ).pipe(Effect.provideService(CurrentPrincipal, principal))
        )
        .pipe(
          Effect.provideService(CurrentNotes, notes),
          Effect.provideService(CurrentPrincipal, { ...client, onBehalfOf: principal.client }),
          Effect.onExit((exit) => notes.whenSettled(record(exit)))
        )
    })

  /**
   * A statement within the budget, after which others have their turn. It waits where a rate limit says so; undefined:
   * what it names is not there for this caller.
   */
  const ask = <const Name extends string>(
    fill: Fill,
    sql: string,
    pick: ReadonlyArray<Name>,
    kind: "metadata" | "query" = "metadata"
  ): Effect.Effect<Listed<Name> | undefined, Stopped> =>
    Effect.gen(function* () {
      const waitMs = yield* fill.spend
      if (waitMs > 0) return yield* Effect.fail<Stopped>({ error: undefined, retryAfterMs: waitMs })
      const begun = yield* monotonicMillis
      const asked = yield* Effect.either(send(fill, sql, pick, kind))
      yield* Effect.sleep(Math.min(PAUSE_MS, (yield* monotonicMillis) - begun))
      if (asked._tag === "Right") {
        const { arrived, rows, truncated } = asked.right.value
        const isCapped = kind === "metadata" && warehouse.dialect === "snowflake"
        return {
          rows: rows.map((row) => Catalog.toEntry(pick, row)),
          isCut: truncated !== undefined || (isCapped && arrived >= Refresh.SHOW_CAP)
        }
      }
      const error = asked.left
      if (isOfPlace(error)) return undefined
      if (error._tag === "RateLimited" && !error.never) {
        yield* Effect.sleep(error.retryAfterMs)
        return yield* ask(fill, sql, pick, kind)
      }
      const retryAfterMs = "retryAfterMs" in error ? error.retryAfterMs : undefined
      return yield* Effect.fail<Stopped>({ error, retryAfterMs })
    })

  const nothing = { rows: [], isCut: false }

  /** Nothing where a name is gone, or is one that no statement can hold. */
  const show = <const Name extends string>(
    fill: Fill,
    what: string,
    namespace: Names.Name,
    pick: ReadonlyArray<Name>,
    rest = ""
  ): Effect.Effect<Listed<Name>, Stopped> =>
    Effect.gen(function* () {
      const within = yield* Effect.either(Names.within(namespace))
      if (within._tag === "Left") return nothing
      const where = namespace.length === 0 ? scopeOf(what) : within.right
      return (yield* ask(fill, `SHOW ${what}${where}${rest}`, pick)) ?? nothing
    })

  /** All of a schema, page by page. */
  const pages = <const Name extends string>(
    fill: Fill,
    what: string,
    schema: Names.Name,
    pick: readonly ["name", ...ReadonlyArray<Name>]
  ) =>
    Effect.gen(function* () {
      const all: Array<Catalog.Entry<Name | "name">> = []
      let rest = ""
      for (let page = 0; page < MAX_PAGES; page++) {
        const { isCut, rows } = yield* show<Name | "name">(fill, what, schema, pick, rest)
        all.push(...rows)
        const last = LookUps.text(rows.at(-1)?.name ?? null)
        if (!isCut || last === "") break
        const literal = yield* Effect.either(Names.literal(last, "The name"))
        if (literal._tag === "Left") break
        rest = ` LIMIT ${Refresh.SHOW_CAP} FROM ${literal.right}`
      }
      return all
    })

  /** Of the account where one list holds it, else of each database, else of each schema. */
  const everywhere = <const Name extends string>(
    fill: Fill,
    what: "TABLES" | "VIEWS" | typeof SEMANTIC_VIEWS,
    pick: readonly ["name", ...ReadonlyArray<Name>],
    shows: (name: Names.Name) => boolean
  ) =>
    Effect.gen(function* () {
      const inAccount = yield* show<Name | "name">(fill, what, [], pick)
      if (!inAccount.isCut) return inAccount.rows
      const all: Array<Catalog.Entry<Name | "name">> = []
      const databases = yield* show(fill, "DATABASES", [], ["name"])
      for (const { name } of databases.rows) {
        const database = LookUps.text(name)
        if (!shows([database])) continue
        const inDatabase = yield* show<Name | "name">(fill, what, [database], pick)
        if (!inDatabase.isCut) {
          all.push(...inDatabase.rows)
          continue
        }
        const schemas = yield* show(fill, "SCHEMAS", [database], ["name"])
        for (const { name } of schemas.rows) {
          const schema = [database, LookUps.text(name)]
          if (schema[1] !== INFORMATION_SCHEMA && shows(schema)) {
            all.push(...(yield* pages<Name>(fill, what, schema, pick)))
          }
        }
      }
      return all
    })

  /** None where the warehouse has no such kind. */
  const semanticViews = (fill: Fill, shows: (name: Names.Name) => boolean) =>
    warehouse.dialect === "duckdb"
      ? Effect.succeed([])
      : Effect.catchIf(
          everywhere(fill, SEMANTIC_VIEWS, viewColumns, shows),
          ({ error }) => error instanceof WarehouseError && error.reason === "InvalidStatement",
          () => Effect.succeed([])
        )

  const isRunning = (fill: Fill) =>
    Effect.gen(function* () {
      const { warehouse: own } = actingAs(warehouse, fill.principal)
      const { rows } = yield* show(fill, "WAREHOUSES", [], ["name", "state", "is_current"])
      return rows.some(
        ({ is_current, name, state }) =>
          LookUps.text(state) === "STARTED" &&
          (LookUps.flag(is_current) || (own !== undefined && Names.exact(own) === LookUps.text(name)))
      )
    })

  const toColumn = (row: ColumnRow): Column => ({
    name: LookUps.text(row.column_name),
    type: typeOf(row.data_type),
    comment: LookUps.text(row.comment)
  })

  /** Each table with its columns of a list that holds all of them. */
  const withColumns = (
    tables: ReadonlyArray<Table>,
    rows: ReadonlyArray<ColumnRow>
  ): ReadonlyArray<Table> => {
    const byTable = grouped(rows, (row) =>
      fullName({
        database: LookUps.text(row.database_name),
        schema: LookUps.text(row.schema_name),
        name: LookUps.text(row.table_name)
      })
    )
    return tables.map((table) => ({ ...table, columns: (byTable.get(fullName(table)) ?? []).map(toColumn) }))
  }

  /** The columns of a schema that no SHOW lists whole. */
  const fromInformationSchema = (fill: Fill, [database = "", schema = ""]: Names.Name) =>
    Effect.gen(function* () {
      const from = yield* Effect.either(Names.quoted([database, INFORMATION_SCHEMA, "COLUMNS"]))
      const literal = yield* Effect.either(Names.literal(schema, "The name"))
      if (from._tag === "Left" || literal._tag === "Left" || !(yield* isRunning(fill))) return undefined
      const sql =
        "SELECT TABLE_NAME, TABLE_SCHEMA AS SCHEMA_NAME, TABLE_CATALOG AS DATABASE_NAME, COLUMN_NAME, DATA_TYPE, " +
        `COMMENT FROM ${from.right} WHERE TABLE_SCHEMA = ${literal.right} ORDER BY TABLE_NAME, ORDINAL_POSITION`
      const read = yield* ask(fill, sql, columnColumns, "query")
      return read?.isCut === false ? read.rows : undefined
    })

  const fillColumns = (fill: Fill, place: string, schema: Names.Name, tables: ReadonlyArray<Table>) =>
    Effect.gen(function* () {
      const listed = yield* show(fill, "COLUMNS", schema, columnColumns)
      const rows = listed.isCut ? yield* fromInformationSchema(fill, schema) : listed.rows
      if (rows !== undefined) return yield* fill.replace(place, withColumns(tables, rows))
      // One by one; those of which nothing is known come first, if the statements do not last for all.
      const known = new Map(tables.map((table) => [fullName(table), table]))
      const [unread, read] = Arr.partition(tables, ({ columns }) => columns !== undefined)
      yield* Effect.forEach(
        [...unread, ...read],
        (table) =>
          Effect.gen(function* () {
            const name = yield* Effect.either(Names.quoted([table.database, table.schema, table.name]))
            if (name._tag === "Left") return
            const kind = table.isView ? "VIEW" : "TABLE"
            const own = yield* ask(fill, `SHOW COLUMNS IN ${kind} ${name.right}`, columnColumns)
            if (own !== undefined) known.set(fullName(table), { ...table, columns: own.rows.map(toColumn) })
          }),
        { discard: true }
      ).pipe(Effect.ensuring(Effect.suspend(() => fill.replace(place, [...known.values()]))))
    })

  return (fill: Fill): Effect.Effect<void, Stopped> =>
    Effect.gen(function* () {
      // What no tier may see takes no room.
      const tiers = [...new Set([...(policies.tiers?.() ?? []), fill.principal.tier])]
      const rules = tiers
        .map((tier) => policies.of(tier))
        .filter((policy) => hasTool(policy, Query.SEARCH))
        .map((policy) => Names.rulesOf(policy, warehouse.dialect))
      const shows = (name: Names.Name) => rules.some((one) => Names.shows(one, ...name))
      const permits = (name: Names.Name) => rules.some((one) => Names.permits(one, ...name))

      const listed = yield* everywhere(fill, "TABLES", tableColumns, shows)
      const views = yield* everywhere(fill, "VIEWS", viewColumns, shows)
      // Tables and views are told also where the statements do not last for these.
      const semantic = yield* Effect.either(semanticViews(fill, shows))
      const place = (entry: Catalog.Entry<"name" | "database_name" | "schema_name">) => ({
        database: LookUps.text(entry.database_name),
        schema: LookUps.text(entry.schema_name),
        name: LookUps.text(entry.name)
      })
      const isFound = ({ database, name, schema }: ReturnType<typeof place>) =>
        schema !== INFORMATION_SCHEMA && permits([database, schema, name])
      const semanticFound = Either.getOrElse(semantic, () => [])
        .map((entry): Table => ({
          ...place(entry),
          isView: true,
          kind: SEMANTIC,
          comment: LookUps.text(entry.comment),
          columns: []
        }))
        .filter(isFound)
      // Accounts may list a semantic view among the views as well.
      const isSemantic = new Set(semanticFound.map(fullName))
      const found = [
        ...listed.map((entry) => ({
          ...place(entry),
          isView: false,
          kind: LookUps.text(kindOf(entry)),
          comment: LookUps.text(entry.comment)
        })),
        ...views.map((entry) => ({
          ...place(entry),
          isView: true,
          kind: "VIEW",
          comment: LookUps.text(entry.comment)
        }))
      ].filter((one) => isFound(one) && !(one.isView && isSemantic.has(fullName(one))))
      const placeOf = ({ database, schema }: (typeof found)[number]) => JSON.stringify([database, schema])
      const tables = found.map((table): Table => ({
        ...table,
        columns: fill.columnsOf(placeOf(table), table)
      }))
      const bySchema = grouped(tables, placeOf)
      yield* fill.only([...bySchema.keys(), SEMANTIC_VIEWS])
      for (const [place, own] of bySchema) yield* fill.replace(place, own)
      if (Either.isLeft(semantic)) return yield* Effect.fail(semantic.left)
      yield* fill.replace(SEMANTIC_VIEWS, semanticFound)

      /** The columns of all these schemas from one list, where it holds them; the schemas that are left. */
      const fromOneList = (namespace: Names.Name, schemas: ReadonlyArray<Schema>) =>
        Effect.gen(function* () {
          const sum = schemas.reduce((total, [, own]) => total + own.length, 0)
          if (schemas.length === 0 || !Refresh.fitsOneShow(sum)) return schemas
          const { isCut, rows } = yield* show(fill, "COLUMNS", namespace, columnColumns)
          if (isCut) return schemas
          for (const [place, own] of schemas) yield* fill.replace(place, withColumns(own, rows))
          return []
        })
      const left = yield* fromOneList([], [...bySchema])
      for (const [database, schemas] of grouped(left, ([, [table]]) => table?.database ?? "")) {
        for (const [place, own] of yield* fromOneList([database], schemas)) {
          const schema = own[0]?.schema
          if (schema !== undefined) yield* fillColumns(fill, place, [database, schema], own)
        }
      }
    })
})
