/**
 * The sample data of the embedded warehouse: an outdoor-gear shop, `SNOWGUARD_SAMPLE`.
 *
 * Every value is computed from a row number by `hash`, so two runs hold the same rows, references hold
 * (no order before its customer signed up, totals are the sums of their lines) and nothing is downloaded.
 * `PUBLIC.CUSTOMERS` 5,000 rows, `PRODUCTS` 120, `ORDERS` 20,000, `ORDER_LINES` about 45,000,
 * `WEB.EVENTS` 100,000 with a VARIANT column; business days from 2025-01-01 to 2026-06-30.
 *
 * @since 0.1.0
 */
import { variantType } from "./dialect/values.js"
import { literal } from "../../sql/Identifier.js"
import { database, tables } from "./sampleTables.js"

export { database, tables } from "./sampleTables.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface SampleView {
  readonly schema: string
  readonly name: string
  readonly comment: string
  readonly columns: Readonly<Record<string, string>>
  /** The query, in SQL that Snowflake and DuckDB both understand. */
  readonly query: string
}

/**
 * @since 0.1.0
 * @category constants
 */
export const comment = "Sample data of an outdoor-gear shop: customers, orders, products and web events"

/**
 * @since 0.1.0
 * @category data
 */
export const views: ReadonlyArray<SampleView> = [
  {
    schema: "PUBLIC",
    name: "ORDER_SUMMARY",
    comment: "Orders with their customer and the number of pieces",
    columns: { ORDER_ID: "Refers to ORDERS", PIECES: "Sum of the quantities of the lines" },
    query: `SELECT o.ORDER_ID, o.ORDERED_AT, o.STATUS, c.CUSTOMER_ID, c.FIRST_NAME || ' ' || c.LAST_NAME AS CUSTOMER_NAME,
    c.COUNTRY, COUNT(*) AS LINE_COUNT, SUM(l.QUANTITY) AS PIECES, o.TOTAL_AMOUNT
FROM SNOWGUARD_SAMPLE.PUBLIC.ORDERS o
JOIN SNOWGUARD_SAMPLE.PUBLIC.CUSTOMERS c ON c.CUSTOMER_ID = o.CUSTOMER_ID
JOIN SNOWGUARD_SAMPLE.PUBLIC.ORDER_LINES l ON l.ORDER_ID = o.ORDER_ID
GROUP BY o.ORDER_ID, o.ORDERED_AT, o.STATUS, c.CUSTOMER_ID, c.FIRST_NAME, c.LAST_NAME, c.COUNTRY, o.TOTAL_AMOUNT`
  },
  {
    schema: "PUBLIC",
    name: "CUSTOMER_LIFETIME_VALUE",
    comment: "What every customer has bought so far; cancelled and returned orders do not count",
    columns: { LIFETIME_VALUE: "Sum of the order totals in US dollars; 0 for customers without orders" },
    query: `SELECT c.CUSTOMER_ID, c.FIRST_NAME || ' ' || c.LAST_NAME AS CUSTOMER_NAME, c.COUNTRY, c.SEGMENT,
    COUNT(o.ORDER_ID) AS ORDER_COUNT, MIN(o.ORDERED_AT) AS FIRST_ORDER_AT, MAX(o.ORDERED_AT) AS LAST_ORDER_AT,
    CAST(COALESCE(SUM(o.TOTAL_AMOUNT), 0) AS DECIMAL(14,2)) AS LIFETIME_VALUE
FROM SNOWGUARD_SAMPLE.PUBLIC.CUSTOMERS c
LEFT JOIN SNOWGUARD_SAMPLE.PUBLIC.ORDERS o
    ON o.CUSTOMER_ID = c.CUSTOMER_ID AND o.STATUS NOT IN ('CANCELLED', 'RETURNED')
GROUP BY c.CUSTOMER_ID, c.FIRST_NAME, c.LAST_NAME, c.COUNTRY, c.SEGMENT`
  },
  {
    schema: "WEB",
    name: "DAILY_FUNNEL",
    comment: "Sessions of a day and how far they came",
    columns: { CONVERSION_PERCENT: "Purchases per hundred sessions" },
    query: `SELECT CAST(OCCURRED_AT AS DATE) AS DAY, COUNT(DISTINCT SESSION_ID) AS SESSIONS,
    COUNT_IF(EVENT_TYPE = 'product_view') AS PRODUCT_VIEWS, COUNT_IF(EVENT_TYPE = 'add_to_cart') AS ADDED_TO_CART,
    COUNT_IF(EVENT_TYPE = 'checkout') AS CHECKOUTS, COUNT_IF(EVENT_TYPE = 'purchase') AS PURCHASES,
    CAST(100.0 * COUNT_IF(EVENT_TYPE = 'purchase') / COUNT(DISTINCT SESSION_ID) AS DECIMAL(5,2)) AS CONVERSION_PERCENT
FROM SNOWGUARD_SAMPLE.WEB.EVENTS
GROUP BY CAST(OCCURRED_AT AS DATE)`
  }
]

/**
 * What attaches the sample database: as an empty one in memory, as an empty file to be written, or as the file
 * that was written when the package was built.
 *
 * @since 0.1.0
 * @category data
 */
export const attach = (file?: { readonly path: string; readonly readOnly: boolean }): string => {
  if (file === undefined) return `ATTACH ':memory:' AS "${database}"`
  // An older storage version does not hold the VARIANT column.
  const options = file.readOnly ? "READ_ONLY" : "STORAGE_VERSION 'v1.5.0'"
  return `ATTACH ${literal(file.path)} AS "${database}" (${options})`
}

/**
 * The statements that build the sample inside the attached database, in order.
 *
 * @since 0.1.0
 * @category data
 */
export const statements: ReadonlyArray<string> = [
  ...["PUBLIC", "WEB"].map((schema) => `CREATE SCHEMA "${database}"."${schema}"`),
  ...tables.flatMap((table) => {
    const name = `"${database}"."${table.schema}"."${table.name}"`
    const columns = table.columns.map(
      (column) =>
        `"${column.name}" ${column.type === "VARIANT" ? variantType : column.type}${column.required === true ? " NOT NULL" : ""}`
    )
    return [
      `CREATE TABLE ${name} (${columns.join(", ")})`,
      `INSERT INTO ${name} ${table.rows}`,
      `COMMENT ON TABLE ${name} IS ${literal(table.comment)}`,
      ...table.columns.map(
        (column) => `COMMENT ON COLUMN ${name}."${column.name}" IS ${literal(column.comment)}`
      )
    ]
  }),
  ...views.flatMap((view) => {
    const name = `"${database}"."${view.schema}"."${view.name}"`
    return [
      `CREATE VIEW ${name} AS ${view.query}`,
      `COMMENT ON VIEW ${name} IS ${literal(view.comment)}`,
      ...Object.entries(view.columns).map(
        ([column, comment]) => `COMMENT ON COLUMN ${name}."${column}" IS ${literal(comment)}`
      )
    ]
  })
]
