import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck } from "effect"
import type { Catalog, Relation } from "../../../src/warehouse/duckdb/catalog.js"
import { findRelation } from "../../../src/warehouse/duckdb/catalog.js"
import type { Command } from "../../../src/warehouse/duckdb/command.js"
import { parse } from "../../../src/warehouse/duckdb/command.js"
import { like } from "../../../src/sql/Like.js"
import * as Show from "../../../src/warehouse/duckdb/show.js"

const relation = (
  database: string,
  schema: string,
  name: string,
  kind: Relation["kind"] = "TABLE"
): Relation => ({
  kind,
  database,
  schema,
  name,
  comment: "it's a comment",
  rows: 10,
  bytes: 100,
  query: kind === "VIEW" ? "SELECT 1 AS A" : "",
  columns: [
    { name: "A", type: "NUMBER(38,0)", nullable: false, default: null, comment: "key", primaryKey: true },
    {
      name: "b c",
      type: "VARCHAR(16777216)",
      nullable: true,
      default: "'x'",
      comment: null,
      primaryKey: false
    }
  ]
})

const catalog: Catalog = {
  createdOn: "2025-01-01T00:00:00.000Z",
  databases: [
    { name: "D1", comment: "first" },
    { name: "D2", comment: "" }
  ],
  schemas: [
    { database: "D1", name: "PUBLIC", comment: "" },
    { database: "D1", name: "low", comment: "" },
    { database: "D2", name: "PUBLIC", comment: "" }
  ],
  relations: [
    relation("D1", "PUBLIC", "ORDERS"),
    relation("D1", "PUBLIC", "ORDERS_VIEW", "VIEW"),
    relation("D1", "low", "t_1"),
    relation("D2", "PUBLIC", "T21")
  ]
}

const here = { database: "D1", schema: "PUBLIC" }

const isShow = (command: Command): command is Extract<Command, { _tag: "Show" }> => command._tag === "Show"

const show = (sql: string, namespace: Parameters<typeof Show.show>[2] = here) => {
  const command = Either.getOrThrow(parse(sql))
  if (!isShow(command)) throw new Error("not SHOW")
  const answer = Show.show(command, catalog, namespace)
  if ("_tag" in answer) throw new Error(`${answer.kind} ${answer.name}: ${answer.suggestions.join()}`)
  return answer
}

const column = (table: Show.Table, name: string) => {
  const index = table.columns.findIndex((entry) => entry.name === name)
  return table.rows.map((row) => row[index])
}

const names = (sql: string, namespace?: Parameters<typeof Show.show>[2]) =>
  column(show(sql, namespace), "name")

describe("SHOW", () => {
  it("looks where it is told, and in the current database otherwise", () => {
    expect(names("SHOW TABLES")).toEqual(["ORDERS", "t_1"])
    expect(names("SHOW TABLES IN ACCOUNT")).toEqual(["ORDERS", "t_1", "T21"])
    expect(names("SHOW TABLES IN DATABASE d2")).toEqual(["T21"])
    expect(names('SHOW TABLES IN SCHEMA d1."low"')).toEqual(["t_1"])
    expect(names("SHOW TABLES IN SCHEMA public")).toEqual(["ORDERS"])
    expect(names("SHOW TABLES", { database: undefined, schema: undefined })).toEqual(["ORDERS", "t_1", "T21"])
    expect(names("SHOW OBJECTS IN SCHEMA PUBLIC")).toEqual(["ORDERS", "ORDERS_VIEW"])
    expect(names("SHOW VIEWS")).toEqual(["ORDERS_VIEW"])
  })

  it("lists no semantic views, with Snowflake's columns, also where there are views", () => {
    const none = show("SHOW SEMANTIC VIEWS LIKE '%' IN SCHEMA public LIMIT 5")
    expect(none.rows).toEqual([])
    expect(none.columns.map(({ name }) => name)).toContain("database_name")
    expect(Either.isLeft(parse("SHOW SEMANTIC METRICS"))).toBe(true)
  })

  it("marks what is current and adds INFORMATION_SCHEMA", () => {
    expect(column(show("SHOW DATABASES"), "is_current")).toEqual(["Y", "N"])
    const schemas = show("SHOW SCHEMAS IN DATABASE D1")
    expect(column(schemas, "name")).toEqual(["INFORMATION_SCHEMA", "PUBLIC", "low"])
    expect(column(schemas, "is_current")).toEqual(["N", "Y", "N"])
  })

  it("pages by LIMIT and FROM, and takes a prefix with its case", () => {
    expect(names("SHOW TABLES IN ACCOUNT LIMIT 1")).toEqual(["ORDERS"])
    expect(names("SHOW TABLES IN ACCOUNT LIMIT 1 FROM 'ORDERS'")).toEqual(["t_1"])
    expect(names("SHOW TABLES IN ACCOUNT STARTS WITH 'T'")).toEqual(["T21"])
  })

  it("shows columns with their data type as JSON", () => {
    const columns = show("SHOW COLUMNS IN TABLE ORDERS")
    expect(column(columns, "column_name")).toEqual(["A", "b c"])
    expect(column(columns, "data_type").map((text) => JSON.parse(String(text)))).toEqual([
      { type: "FIXED", precision: 38, scale: 0, nullable: false },
      { type: "TEXT", length: 16777216, nullable: true }
    ])
    expect(column(show("SHOW COLUMNS LIKE 'B%' IN TABLE ORDERS"), "column_name")).toEqual(["b c"])
  })

  it("names what is not there and what is like it", () => {
    expect(() => show("SHOW TABLES IN DATABASE D3")).toThrow("Database D3: D1,D2")
    expect(() => show("SHOW TABLES IN SCHEMA D1.PUBLC")).toThrow("Schema D1.PUBLC: D1.PUBLIC")
    expect(() => show("SHOW COLUMNS IN TABLE ORDER")).toThrow('Object D1.PUBLIC."ORDER": D1.PUBLIC.ORDERS')
  })
})

describe("LIKE", () => {
  it("knows % and _ and the backslash, and no case", () => {
    expect(names("SHOW TABLES LIKE 'T__' IN ACCOUNT")).toEqual(["t_1", "T21"])
    expect(names("SHOW TABLES LIKE 'T\\\\__' IN ACCOUNT")).toEqual(["t_1"])
    expect(names("SHOW TABLES LIKE '%R%' IN ACCOUNT")).toEqual(["ORDERS"])
    expect(names("SHOW TABLES LIKE 'o' IN ACCOUNT")).toEqual([])
    expect(names("SHOW TABLES LIKE '.*' IN ACCOUNT")).toEqual([])
  })

  it.prop(
    "finds every name by itself when its wildcards are escaped",
    [FastCheck.string({ unit: "grapheme" })],
    ([name]) => {
      expect(like(name.replace(/[%_\\]/g, "\\$&"))(name)).toBe(true)
      expect(like(`%${name.replace(/[%_\\]/g, "\\$&")}%`)(`before${name}after`)).toBe(true)
    }
  )
})

describe("DESCRIBE and GET_DDL", () => {
  const found = (...name: ReadonlyArray<string>): Relation => {
    const result = findRelation(catalog, name, here)
    if ("_tag" in result) throw new Error(result.name)
    return result
  }

  it("describes the columns", () => {
    const table = Show.describe(found("ORDERS"))
    expect(table.rows).toEqual([
      ["A", "NUMBER(38,0)", "COLUMN", "N", null, "Y", "N", null, null, "key"],
      ["b c", "VARCHAR(16777216)", "COLUMN", "Y", "'x'", "N", "N", null, null, null]
    ])
  })

  it("writes the statements that would create them", () => {
    expect(Show.getDdl(found("ORDERS"), "DDL")).toEqual({
      columns: [{ name: "DDL", type: "VARCHAR(16777216)", nullable: true }],
      rows: [
        [
          "CREATE OR REPLACE TABLE ORDERS (\n\tA NUMBER(38,0) NOT NULL COMMENT 'key',\n\t\"b c\" VARCHAR(16777216) DEFAULT 'x',\n\tPRIMARY KEY (A)\n) COMMENT='it''s a comment';"
        ]
      ]
    })
    // The query is withheld.
    expect(Show.getDdl({ ...found("D1", "PUBLIC", "ORDERS_VIEW"), query: "" }, "DDL").rows).toEqual([[""]])
    expect(Show.getDdl(found("D1", "PUBLIC", "ORDERS_VIEW"), "DDL").rows[0]?.[0]).toBe(
      "CREATE OR REPLACE VIEW ORDERS_VIEW (\n\tA COMMENT 'key',\n\t\"b c\"\n) COMMENT='it''s a comment'\nAS\nSELECT 1 AS A;"
    )
  })
})
