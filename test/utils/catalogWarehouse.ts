/**
 * A warehouse that holds nothing but names: a catalog made by hand, behind the same reading of SHOW and
 * DESCRIBE as the embedded warehouse and the emulator have.
 */
import { Effect, Either, Layer, Ref, Stream } from "effect"
import type { Catalog, Missing, Relation } from "../../src/warehouse/duckdb/catalog.js"
import { findRelation, seenBy } from "../../src/warehouse/duckdb/catalog.js"
import { parse } from "../../src/warehouse/duckdb/command.js"
import type { Table } from "../../src/warehouse/duckdb/show.js"
import * as Show from "../../src/warehouse/duckdb/show.js"
import { split } from "../../src/emulator/parser.js"
import * as ObjectRules from "../../src/sql/ObjectRules.js"
import type { Reason } from "../../src/warehouse/Warehouse.js"
import { Warehouse, WarehouseError } from "../../src/warehouse/Warehouse.js"

/** Snowflake lists so many of a SHOW, and goes on after a name. */
export const CAP = 10_000

const fails = (reason: Reason, description: string, suggestions: ReadonlyArray<string> = []) =>
  Effect.fail(new WarehouseError({ reason, description, sent: "yes", suggestions }))

/** The text as the engine reads it: the emulator rewrites what is written for Snowflake. */
const rewritten = (sql: string, dialect: "snowflake" | "duckdb"): string =>
  dialect === "duckdb"
    ? sql
    : Either.match(split(sql), {
        onLeft: (problem) => {
          throw new Error(`${problem}: ${sql}`)
        },
        onRight: ([text]) => text?.sql ?? ""
      })

export const make = (catalog: Catalog, dialect: "snowflake" | "duckdb") =>
  Effect.map(Ref.make<ReadonlyArray<string>>([]), (seen) => {
    const answer = (sql: string, objects: ObjectRules.Rules | undefined) =>
      Effect.gen(function* () {
        const command = Either.getOrThrow(parse(rewritten(sql, dialect)))
        const visible = seenBy(catalog, ObjectRules.compile(objects, dialect === "duckdb"))
        const namespace = { database: undefined, schema: undefined }
        const given = (table: Table | Missing) =>
          "_tag" in table
            ? fails(
                "NotFound",
                `${table.kind} '${table.name}' does not exist or not authorized.`,
                table.suggestions
              )
            : Effect.succeed(table)
        if (command._tag === "Show") {
          const table = yield* given(Show.show(command, visible, namespace))
          return dialect === "snowflake" ? { ...table, rows: table.rows.slice(0, CAP) } : table
        }
        if (command._tag !== "Describe" && command._tag !== "GetDdl")
          return yield* fails("InvalidStatement", sql)
        const relation: Relation | Missing = findRelation(visible, command.name, namespace)
        if ("_tag" in relation) return yield* given(relation)
        return command._tag === "Describe" ? Show.describe(relation) : Show.getDdl(relation, "DDL")
      })
    const layer = Layer.succeed(
      Warehouse,
      Warehouse.of({
        dialect,
        execute: ({ maxRows, objects, sql }) =>
          Effect.gen(function* () {
            yield* Ref.update(seen, (all) => [...all, sql])
            const { columns, rows } = yield* answer(sql, objects)
            const some = maxRows === undefined ? rows : rows.slice(0, maxRows)
            return { queryId: "q", columns, rows: some.length === 0 ? Stream.empty : Stream.make(some) }
          })
      })
    )
    return { layer, sql: Ref.get(seen) }
  })

/** A table, or a view where the name says so, with one column. */
export const relation = (
  database: string,
  schema: string,
  name: string,
  kind: Relation["kind"] = "TABLE",
  columns: ReadonlyArray<string> = ["ID"]
): Relation => ({
  kind,
  database,
  schema,
  name,
  comment: "",
  rows: 1,
  bytes: 1,
  query: "select 1",
  columns: columns.map((column) => ({
    name: column,
    type: "NUMBER(38,0)",
    nullable: true,
    default: null,
    comment: null,
    primaryKey: false
  }))
})

export const catalog = (relations: ReadonlyArray<Relation>): Catalog => {
  const byName = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
  const databases = [...new Set(relations.map(({ database }) => database))].sort(byName)
  const schemas = new Map(
    relations.map(({ database, schema }) => [
      JSON.stringify([database, schema]),
      { database, name: schema, comment: "" }
    ])
  )
  return {
    createdOn: "2026-01-01T00:00:00Z",
    databases: databases.map((name) => ({ name, comment: "" })),
    schemas: [...schemas.values()].sort((a, b) => byName(a.database, b.database) || byName(a.name, b.name)),
    relations: [...relations].sort(
      (a, b) => byName(a.database, b.database) || byName(a.schema, b.schema) || byName(a.name, b.name)
    )
  }
}
