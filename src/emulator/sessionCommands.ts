/**
 * Statements that a session answers itself: USE, ALTER SESSION, SHOW PARAMETERS, SHOW WAREHOUSES, and the
 * system functions that wait and cancel.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Catalog } from "../warehouse/duckdb/catalog.js"
import { findDatabase, findSchema } from "../warehouse/duckdb/catalog.js"
import type { Table } from "../warehouse/duckdb/show.js"
import { like } from "../sql/Like.js"
import type { Cell } from "../warehouse/Warehouse.js"
import type { Environment } from "./environment.js"
import type { Failure } from "./failures.js"
import * as Failures from "./failures.js"
import type { Session } from "./sessions.js"
import type { Command } from "./parser.js"

const defaults: Readonly<Record<string, string>> = {
  ABORT_DETACHED_QUERY: "false",
  BINARY_OUTPUT_FORMAT: "HEX",
  CLIENT_RESULT_CHUNK_SIZE: "160",
  MULTI_STATEMENT_COUNT: "1",
  QUERY_TAG: "",
  QUOTED_IDENTIFIERS_IGNORE_CASE: "false",
  ROWS_PER_RESULTSET: "0",
  STATEMENT_QUEUED_TIMEOUT_IN_SECONDS: "0",
  STATEMENT_TIMEOUT_IN_SECONDS: "172800",
  TIMEZONE: "UTC"
}

/** What can be set to one value only: results are encoded with it. */
const fixed = new Set(["BINARY_OUTPUT_FORMAT", "TIMEZONE"])
/** Whole numbers, and the largest that is accepted. */
const numbers: Readonly<Record<string, number>> = {
  CLIENT_RESULT_CHUNK_SIZE: 160,
  MULTI_STATEMENT_COUNT: Number.MAX_SAFE_INTEGER,
  ROWS_PER_RESULTSET: Number.MAX_SAFE_INTEGER,
  STATEMENT_QUEUED_TIMEOUT_IN_SECONDS: 604_800,
  STATEMENT_TIMEOUT_IN_SECONDS: 604_800
}

/** And the smallest, where that is not 0. */
const least: Readonly<Record<string, number>> = { CLIENT_RESULT_CHUNK_SIZE: 16 }

/**
 * Why a parameter cannot have this value.
 */
export const badParameter = (name: string, value: string): Failure | undefined => {
  if (fixed.has(name) && value.toUpperCase() !== defaults[name]) {
    return Failures.notSupported(`${name} = ${value}`)
  }
  if (booleans.has(name) && !/^(?:true|false)$/i.test(value)) return Failures.badParameter(name, value)
  const most = numbers[name]
  if (most === undefined) return undefined
  const number = Number(value)
  return Number.isInteger(number) && number >= (least[name] ?? 0) && number <= most
    ? undefined
    : Failures.badParameter(name, value)
}

const booleans = new Set(["ABORT_DETACHED_QUERY", "QUOTED_IDENTIFIERS_IGNORE_CASE"])

/**
 * Whether statements of these parameters read quoted names in upper case.
 */
export const ignoresCase = (parameters: ReadonlyMap<string, string>): boolean =>
  parameters.get("QUOTED_IDENTIFIERS_IGNORE_CASE")?.toLowerCase() === "true"

const table = (names: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<Cell>>): Table => ({
  columns: names.map((name) => ({ name, type: "VARCHAR(16777216)", nullable: true })),
  rows
})

const done = table(["status"], [["Statement executed successfully."]])

const isKnown = (name: string, known: ReadonlyArray<string> | undefined): boolean =>
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
      if (!isKnown(last, environment.roles)) return Failures.roleNotAssigned(last)
      {
        const refused = environment.identities?.mayTake(session.user, [last], "role")
        if (refused !== undefined) return refused
      }
      session.role = last
      return undefined
    case "WAREHOUSE":
      if (!isKnown(last, environment.warehouses)) return Failures.missing
      session.warehouse = last
      return undefined
    case "DATABASE":
      if (typeof findDatabase(catalog, last) !== "string") return Failures.missing
      session.database = last
      session.schema = "PUBLIC"
      return undefined
    case "SCHEMA": {
      const found = findSchema(catalog, database ?? "", last)
      if ("_tag" in found) return Failures.missing
      session.database = found.database
      session.schema = found.name
      return undefined
    }
  }
}

const showParameters = (session: Session, parameters: ReadonlyMap<string, string>, pattern: string): Table =>
  table(
    ["key", "value", "default", "level", "description", "type"],
    [...new Set([...Object.keys(defaults), ...parameters.keys()])]
      .filter(like(pattern))
      .sort()
      .map((name) => {
        const standard = defaults[name] ?? ""
        const level = session.parameters.has(name) ? "SESSION" : ""
        const type = booleans.has(name) ? "BOOLEAN" : numbers[name] === undefined ? "STRING" : "NUMBER"
        return [name, parameters.get(name) ?? standard, standard, level, "", type]
      })
  )

const warehouseColumns = [
  "name",
  "state",
  "type",
  "size",
  "started_clusters",
  "running",
  "queued",
  "is_default",
  "is_current",
  "auto_suspend",
  "auto_resume",
  "resource_constraint"
]

const showWarehouses = (environment: Environment, session: Session, pattern: string, now: number): Table =>
  table(
    warehouseColumns,
    (environment.warehouses ?? (session.warehouse === undefined ? [] : [session.warehouse]))
      .filter(like(pattern))
      .map((name) => {
        const row: Readonly<Record<string, string | null>> = {
          ...environment.billing.row(name, now),
          is_default: "N",
          is_current: name === session.warehouse ? "Y" : "N"
        }
        return warehouseColumns.map((column) => row[column] ?? null)
      })
  )

const showBudgets = ({ budgets }: Environment): Effect.Effect<Table, Failure> => {
  if (budgets === undefined) return Effect.fail(Failures.unknownFunction("SNOWFLAKE.LOCAL.MY_BUDGET_SUMMARY"))
  const names = [...new Set(budgets.flatMap((row) => Object.keys(row)))]
  return Effect.succeed(
    table(
      names,
      budgets.map((row) => names.map((name) => row[name] ?? null))
    )
  )
}

export const answer = (
  environment: Environment,
  session: Session,
  command: Exclude<Command, { readonly _tag: "Query" }>,
  parameters: ReadonlyMap<string, string>
): Effect.Effect<Table, Failure> => {
  switch (command._tag) {
    case "Nothing":
      return Effect.succeed(done)
    case "Use":
      return Effect.flatMap(Effect.mapError(environment.engine.names, Failures.ofEngine), (names) => {
        const failure = use(environment, session, command, { ...names, relations: [] })
        return failure === undefined ? Effect.succeed(done) : Effect.fail(failure)
      })
    case "UseSecondary":
      return Effect.suspend(() => {
        const { roles } = command
        const unknown =
          typeof roles === "string" ? undefined : roles.find((role) => !isKnown(role, environment.roles))
        if (unknown !== undefined) return Effect.fail(Failures.roleNotAssigned(unknown))
        const refused = environment.identities?.mayTake(session.user, roles, "secondary")
        if (refused !== undefined) return Effect.fail(refused)
        session.secondaryRoles = roles
        return Effect.succeed(done)
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
    case "ShowParameters":
      return Effect.sync(() => showParameters(session, parameters, command.like ?? "%"))
    case "ShowWarehouses":
      return Effect.map(Clock.currentTimeMillis, (now) =>
        showWarehouses(environment, session, command.like ?? "%", now)
      )
    case "ShowBudgets":
      return showBudgets(environment)
    case "ShowGrants":
      return Effect.suspend(() => {
        const of = command.role ?? session.role
        const grants = environment.identities === undefined ? [] : environment.identities.grantsTo(of)
        if (grants === undefined) return Effect.fail(Failures.missing)
        return Effect.succeed(
          table(
            [
              "created_on",
              "privilege",
              "granted_on",
              "name",
              "granted_to",
              "grantee_name",
              "grant_option",
              "granted_by"
            ],
            grants.map(({ grantable = false, name, on, privilege }) => [
              "2026-01-01 00:00:00.000 +0000",
              privilege,
              on,
              name,
              "ROLE",
              of,
              String(grantable),
              "SECURITYADMIN"
            ])
          )
        )
      })
    case "DescribeUser": {
      const user = environment.identities?.userOf(command.name)
      if (environment.identities !== undefined && (user === undefined || command.name !== session.user)) {
        return Effect.fail(Failures.missing)
      }
      return Effect.succeed(
        table(
          ["property", "value", "default", "description"],
          [
            ["NAME", command.name, null, "Name"],
            ["TYPE", user?.type ?? null, null, "Type of the user"],
            [
              "DEFAULT_SECONDARY_ROLES",
              `["${user?.defaultSecondaryRoles ?? "ALL"}"]`,
              null,
              "Default secondary roles"
            ]
          ]
        )
      )
    }
    case "Wait":
      return Effect.as(
        Effect.sleep(command.seconds * 1000),
        table([command.column], [[`waited ${command.seconds} seconds`]])
      )
    case "CancelQuery":
      return Effect.map(environment.cancel(command.queryId), (cancelled) =>
        table(
          [command.column],
          [
            [
              cancelled
                ? `query [${command.queryId}] terminated.`
                : "Identified SQL statement is not currently executing."
            ]
          ]
        )
      )
  }
}
