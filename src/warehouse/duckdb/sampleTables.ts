/**
 * The tables of the sample database and the SELECTs that fill them.
 *
 * @since 0.1.0
 */
import {
  customers,
  firstNames,
  founders,
  fraction,
  good,
  goods,
  lastNames,
  lines,
  oneOf,
  orderCustomer,
  orderedAt,
  orders,
  pick,
  place,
  span,
  start
} from "./sampleVocabulary.js"
import { members, variantType } from "./dialect/values.js"

/** A struct, whose keys are in their order, as a semi-structured value. */
const variant = (struct: string): string =>
  `union_value(${members.json} := {'a': to_json(${struct})::VARCHAR})::${variantType}`

/**
 * @since 0.1.0
 * @category models
 */
export interface SampleColumn {
  readonly name: string
  /** DuckDB's name of the type. */
  readonly type: string
  readonly required?: boolean
  readonly comment: string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface SampleTable {
  readonly schema: string
  readonly name: string
  readonly comment: string
  readonly columns: ReadonlyArray<SampleColumn>
  readonly primaryKey: ReadonlyArray<string>
  /** The SELECT that fills it; tables are filled in the order of the list. */
  readonly rows: string
}

/**
 * @since 0.1.0
 * @category constants
 */
export const database = "SNOWGUARD_SAMPLE"

/**
 * @since 0.1.0
 * @category data
 */
export const tables: ReadonlyArray<SampleTable> = [
  {
    schema: "PUBLIC",
    name: "CUSTOMERS",
    comment: "One row per registered customer",
    primaryKey: ["CUSTOMER_ID"],
    columns: [
      { name: "CUSTOMER_ID", type: "BIGINT", required: true, comment: "Unique number of the customer" },
      { name: "FIRST_NAME", type: "VARCHAR", required: true, comment: "Given name" },
      { name: "LAST_NAME", type: "VARCHAR", required: true, comment: "Family name" },
      { name: "EMAIL", type: "VARCHAR", required: true, comment: "Unique address, always at example.com" },
      { name: "COUNTRY", type: "VARCHAR", required: true, comment: "Country of the delivery address" },
      { name: "CITY", type: "VARCHAR", required: true, comment: "City of the delivery address" },
      { name: "SEGMENT", type: "VARCHAR", required: true, comment: "CONSUMER, CLUB or BUSINESS" },
      { name: "BIRTH_DATE", type: "DATE", comment: "NULL where the customer did not say" },
      { name: "NEWSLETTER", type: "BOOLEAN", comment: "Consent to marketing; NULL where never asked" },
      {
        name: "SIGNED_UP_AT",
        type: "TIMESTAMP",
        required: true,
        comment: "When the account was created, UTC"
      }
    ],
    rows: `
      SELECT c, first_name, last_name, lower(first_name || '.' || last_name) || c || '@example.com',
        ${place(0)}, ${place(1)},
        CASE WHEN ${pick("c", 14, 10)} < 7 THEN 'CONSUMER' WHEN ${pick("c", 14, 10)} < 9 THEN 'CLUB' ELSE 'BUSINESS' END,
        CASE WHEN ${pick("c", 15, 6)} > 0 THEN DATE '1950-01-01' + ${pick("c", 16, 20000)}::INTEGER END,
        CASE ${pick("c", 17, 8)} WHEN 0 THEN NULL WHEN 1 THEN false WHEN 2 THEN false ELSE true END,
        make_timestamp(CASE WHEN c <= ${founders} THEN ${start} - (${founders} - c + 1) * 31536000000 - ${pick("c", 18, 30_000)} * 1000000
          ELSE (${start} + (${span} * ((c - ${founders} - 1) / ${customers - founders}.0))::BIGINT) // 1000000 * 1000000 END)
      FROM (SELECT range AS c, ${oneOf("range", 11, firstNames)} AS first_name, ${oneOf("range", 12, lastNames)} AS last_name
        FROM range(1, ${customers + 1}))`
  },
  {
    schema: "PUBLIC",
    name: "PRODUCTS",
    comment: "The catalogue of the shop",
    primaryKey: ["PRODUCT_ID"],
    columns: [
      { name: "PRODUCT_ID", type: "BIGINT", required: true, comment: "Unique number of the product" },
      { name: "SKU", type: "VARCHAR", required: true, comment: "Stock keeping unit, for example CAM-0001" },
      { name: "NAME", type: "VARCHAR", required: true, comment: "Name shown in the shop" },
      {
        name: "CATEGORY",
        type: "VARCHAR",
        required: true,
        comment: "Camping, Packs, Apparel, Footwear, Accessories"
      },
      {
        name: "UNIT_PRICE",
        type: "DECIMAL(10,2)",
        required: true,
        comment: "Price of one piece in US dollars"
      },
      {
        name: "UNIT_COST",
        type: "DECIMAL(10,2)",
        required: true,
        comment: "What one piece costs us, US dollars"
      },
      { name: "WEIGHT_KG", type: "DOUBLE", comment: "Weight of one piece; NULL where not measured yet" },
      { name: "INTRODUCED_ON", type: "DATE", required: true, comment: "First day in the catalogue" },
      { name: "DISCONTINUED", type: "BOOLEAN", required: true, comment: "True when it is no longer sold" }
    ],
    rows: `
      SELECT p, upper(left(category, 3)) || '-' || lpad(p::VARCHAR, 4, '0'), line || ' ' || noun, category, price,
        (price * (0.45 + ${pick("p", 21, 20)} / 100.0))::DECIMAL(10,2),
        CASE WHEN ${pick("p", 22, 15)} > 0 THEN round(weight * (0.8 + ${pick("p", 23, 40)} / 100.0), 3) END,
        DATE '2021-03-01' + ${pick("p", 24, 1300)}::INTEGER, ${pick("p", 25, 12)} = 0
      FROM (SELECT p, ${good(0)} AS noun, ${good(1)} AS category, ${good(3)} AS weight,
          ([${lines.map((line) => `'${line}'`).join(",")}])[1 + (p - 1) // ${goods.length}] AS line,
          (round(${good(2)} * (0.7 + ${pick("p", 20, 80)} / 100.0)) + 0.95 - ${pick("p", 26, 2)} * 0.45)::DECIMAL(10,2) AS price
        FROM (SELECT range AS p FROM range(1, ${lines.length * goods.length + 1})))`
  },
  {
    schema: "PUBLIC",
    name: "ORDER_LINES",
    comment: "What was ordered: one row per product of an order",
    primaryKey: ["ORDER_ID", "LINE_NUMBER"],
    columns: [
      { name: "ORDER_ID", type: "BIGINT", required: true, comment: "Refers to ORDERS" },
      { name: "LINE_NUMBER", type: "INTEGER", required: true, comment: "1, 2, ... within the order" },
      { name: "PRODUCT_ID", type: "BIGINT", required: true, comment: "Refers to PRODUCTS" },
      { name: "QUANTITY", type: "INTEGER", required: true, comment: "Pieces ordered" },
      {
        name: "UNIT_PRICE",
        type: "DECIMAL(10,2)",
        required: true,
        comment: "Price of one piece when it was ordered"
      },
      { name: "LINE_AMOUNT", type: "DECIMAL(12,2)", required: true, comment: "QUANTITY times UNIT_PRICE" }
    ],
    rows: `
      SELECT o, n, p.PRODUCT_ID, quantity, p.UNIT_PRICE, (quantity * p.UNIT_PRICE)::DECIMAL(12,2)
      FROM (SELECT o, n::INTEGER AS n, (1 + ${pick("o * 8 + n", 42, 100)} // (30 + ${pick("o * 8 + n", 43, 70)}))::INTEGER AS quantity,
          1 + (floor(${lines.length * goods.length} * pow(${fraction("o", 41)}, 1.4))::BIGINT + n * 7) % ${lines.length * goods.length} AS product
        FROM (SELECT range AS o, unnest(range(1, 2 + ([0,0,0,1,1,1,1,2,2,3,4])[1 + ${pick("range", 40, 11)}])) AS n
          FROM range(1, ${orders + 1})))
      JOIN "${database}"."PUBLIC"."PRODUCTS" p ON p.PRODUCT_ID = product
      ORDER BY o, n`
  },
  {
    schema: "PUBLIC",
    name: "ORDERS",
    comment: "One row per order, in the sequence they were placed",
    primaryKey: ["ORDER_ID"],
    columns: [
      { name: "ORDER_ID", type: "BIGINT", required: true, comment: "Unique number of the order" },
      { name: "CUSTOMER_ID", type: "BIGINT", required: true, comment: "Refers to CUSTOMERS" },
      {
        name: "STATUS",
        type: "VARCHAR",
        required: true,
        comment: "PENDING, SHIPPED, DELIVERED, RETURNED, CANCELLED"
      },
      { name: "ORDERED_AT", type: "TIMESTAMP", required: true, comment: "When it was placed, UTC" },
      { name: "SHIPPED_AT", type: "TIMESTAMP", comment: "NULL while pending and when cancelled" },
      { name: "DISCOUNT_CODE", type: "VARCHAR", comment: "NULL for four orders of five" },
      {
        name: "TOTAL_AMOUNT",
        type: "DECIMAL(12,2)",
        required: true,
        comment: "Sum of the lines in US dollars"
      }
    ],
    rows: `
      SELECT o, customer, status, make_timestamp(placed),
        CASE WHEN status NOT IN ('PENDING', 'CANCELLED') THEN make_timestamp(placed + 7200000000 + ${pick("o", 33, 3600)} * 60000000) END,
        CASE WHEN ${pick("o", 34, 5)} = 0 THEN ${oneOf("o", 35, ["WELCOME10", "SPRING15", "CLUB20", "FREESHIP"])} END, total
      FROM (SELECT o, ${orderCustomer} AS customer, ${orderedAt} AS placed, total,
          CASE WHEN ${pick("o", 32, 100)} < 4 THEN 'CANCELLED' WHEN o > ${orders - 120} THEN 'PENDING' WHEN o > ${orders - 420} THEN 'SHIPPED'
            WHEN ${pick("o", 32, 100)} < 11 THEN 'RETURNED' ELSE 'DELIVERED' END AS status
        FROM (SELECT ORDER_ID AS o, sum(LINE_AMOUNT)::DECIMAL(12,2) AS total
          FROM "${database}"."PUBLIC"."ORDER_LINES" GROUP BY ORDER_ID))
      ORDER BY o`
  },
  {
    schema: "WEB",
    name: "EVENTS",
    comment: "Clicks in the web shop, five to a session",
    primaryKey: ["EVENT_ID"],
    columns: [
      { name: "EVENT_ID", type: "BIGINT", required: true, comment: "Unique number of the event" },
      { name: "SESSION_ID", type: "VARCHAR", required: true, comment: "The visit the event belongs to" },
      {
        name: "CUSTOMER_ID",
        type: "BIGINT",
        comment: "Refers to CUSTOMERS; NULL for visitors not signed in"
      },
      {
        name: "EVENT_TYPE",
        type: "VARCHAR",
        required: true,
        comment: "page_view, product_view, add_to_cart, checkout, purchase"
      },
      { name: "OCCURRED_AT", type: "TIMESTAMP WITH TIME ZONE", required: true, comment: "When it happened" },
      {
        name: "PAYLOAD",
        type: "VARIANT",
        comment: "device, page, product and cart of the event; NULL where blocked"
      }
    ],
    rows: `
      SELECT e, 's-' || lpad(to_hex(s), 6, '0'), CASE WHEN ${pick("s", 51, 3)} = 0 THEN 1 + ${pick("s", 52, founders)} END, type,
        make_timestamptz(${start} + (${span} * (s / 20000.0))::BIGINT + step * 41000000 + ${pick("e", 53, 40_000)} * 1000),
        CASE WHEN ${pick("e", 54, 50)} = 0 THEN NULL
          WHEN type = 'page_view' THEN ${variant(`{'device': device, 'page': {'ms': 80 + ${pick("e", 56, 900)}, 'path': ${oneOf("e", 55, ["/", "/sale", "/new", "/guides/layering", "/stores"])}}}`)}
          WHEN type = 'product_view' THEN ${variant(`{'device': device, 'product': {'id': product, 'list': ${oneOf("e", 57, ["search", "category", "related"])}}}`)}
          ELSE ${variant(`{'cart': [{'id': product, 'quantity': 1 + ${pick("s", 58, 3)}}], 'device': device}`)} END
      FROM (SELECT e, s, step, 1 + ${pick("s", 59, lines.length * goods.length)} AS product,
          {'browser': ${oneOf("s", 61, ["Chrome", "Safari", "Firefox", "Edge"])}, 'type': ${oneOf("s", 60, ["mobile", "mobile", "desktop", "tablet"])}} AS device,
          CASE WHEN step = 0 THEN 'page_view' WHEN step = 1 THEN CASE WHEN ${pick("s", 62, 10)} < 7 THEN 'product_view' ELSE 'page_view' END
            WHEN step = 2 AND ${pick("s", 63, 100)} < 34 THEN 'add_to_cart' WHEN step = 3 AND ${pick("s", 63, 100)} < 16 THEN 'checkout'
            WHEN step = 4 AND ${pick("s", 63, 100)} < 9 THEN 'purchase' ELSE ${oneOf("e", 64, ["page_view", "product_view"])} END AS type
        FROM (SELECT range AS e, (range - 1) // 5 AS s, (range - 1) % 5 AS step FROM range(1, 100001)))`
  }
]
