import { expect } from "@effect/vitest"
import { Effect, Either } from "effect"
import * as ReadOnly from "../../src/gate/ReadOnly.js"
import { embeddedGate } from "../utils/embeddedGate.js"
import { withLayer } from "../utils/withLayer.js"

const P = "SNOWGUARD_SAMPLE.PUBLIC"

/** The shapes of everyday analytics, as agents write them. */
const reads: ReadonlyArray<string> = [
  "SELECT 1",
  "select * from customers;",
  `SELECT COUNT(*) FROM ${P}.ORDERS`,
  `SELECT * FROM "SNOWGUARD_SAMPLE"."PUBLIC"."CUSTOMERS" LIMIT 10`,
  "SELECT * FROM SNOWGUARD_SAMPLE.WEB.EVENTS ORDER BY 1 DESC NULLS LAST LIMIT 20 OFFSET 40",
  `SELECT c.name, SUM(o.amount) AS total FROM ${P}.CUSTOMERS c JOIN ${P}.ORDERS o ON o.customer_id = c.id GROUP BY c.name HAVING SUM(o.amount) > 100 ORDER BY total DESC`,
  `SELECT c.name, o.id FROM ${P}.CUSTOMERS c LEFT JOIN ${P}.ORDERS o USING (id) WHERE o.id IS NULL`,
  "SELECT region, status, COUNT(*) FROM orders GROUP BY ALL ORDER BY ALL",
  "SELECT region, COUNT(*) FROM customers GROUP BY ROLLUP (region, country)",
  "SELECT region, GROUPING(region) FROM customers GROUP BY CUBE (region, country)",
  "SELECT a, b FROM t GROUP BY GROUPING SETS ((a), (b), ())",
  "SELECT *, ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY ordered_at DESC) AS rn FROM orders QUALIFY rn = 1",
  "SELECT id, LAG(amount, 1, 0) OVER w, LEAD(amount IGNORE NULLS) OVER w, SUM(amount) OVER (w ROWS BETWEEN 6 PRECEDING AND CURRENT ROW) FROM orders WINDOW w AS (ORDER BY ordered_at)",
  "SELECT NTILE(4) OVER (ORDER BY amount), PERCENT_RANK() OVER (ORDER BY amount), FIRST_VALUE(id) OVER (ORDER BY id) FROM orders",
  "SELECT MEDIAN(amount), QUANTILE_CONT(amount, 0.9), PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY amount), APPROX_COUNT_DISTINCT(customer_id) FROM orders",
  "SELECT COUNT(*) FILTER (WHERE status = 'open'), COUNT(DISTINCT customer_id), STRING_AGG(status, ', ' ORDER BY status) FROM orders",
  "SELECT ARRAY_AGG(id ORDER BY id), LISTAGG(status, ','), ANY_VALUE(status), MODE(status), MAX_BY(id, amount) FROM orders",
  "WITH big AS (SELECT * FROM orders WHERE amount > 100), top AS (SELECT customer_id, SUM(amount) s FROM big GROUP BY 1) SELECT * FROM top JOIN customers ON id = customer_id",
  "WITH big AS MATERIALIZED (SELECT * FROM orders) SELECT COUNT(*) FROM big",
  "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT * FROM n",
  "SELECT id FROM orders UNION ALL SELECT id FROM customers",
  "(SELECT id FROM orders ORDER BY id LIMIT 5) UNION (SELECT id FROM customers) ORDER BY 1",
  "SELECT id FROM orders INTERSECT SELECT id FROM customers EXCEPT SELECT 3",
  "SELECT * FROM orders UNION ALL BY NAME SELECT * FROM order_lines",
  "SELECT DATE_TRUNC('month', ordered_at) AS m, COUNT(*) FROM orders WHERE ordered_at >= CURRENT_DATE - INTERVAL 30 DAY GROUP BY 1",
  "SELECT ordered_at::DATE + 7, DATE '2024-01-31' + INTERVAL '1 month', TIMESTAMP '2024-01-01 10:00:00' FROM orders",
  "SELECT DATE_DIFF('day', a, b), DATEDIFF('day', a, b), EXTRACT(YEAR FROM a), DATE_PART('dow', a), YEAR(a), MONTHNAME(a), STRFTIME(a, '%Y-%m') FROM t",
  "SELECT NOW(), CURRENT_TIMESTAMP, CURRENT_DATE, a AT TIME ZONE 'UTC' FROM t",
  "SELECT * FROM customers WHERE name ILIKE '%smith%' AND email NOT LIKE 'x\\_%' ESCAPE '\\'",
  "SELECT * FROM customers WHERE REGEXP_MATCHES(email, '^[a-z]+@') OR email SIMILAR TO '.*com'",
  "SELECT CASE WHEN amount > 100 THEN 'big' WHEN amount > 10 THEN 'medium' ELSE 'small' END, CASE status WHEN 'open' THEN 1 WHEN 'closed' THEN 2 END FROM orders",
  "SELECT CAST(amount AS DECIMAL(10, 2)), TRY_CAST(status AS INTEGER), id::VARCHAR, amount::DOUBLE FROM orders",
  "SELECT COALESCE(a, b, 0), NULLIF(a, 0), IFNULL(a, 1), GREATEST(a, b), LEAST(a, b), a IS DISTINCT FROM b FROM t",
  "SELECT UPPER(name) || ' ' || TRIM(BOTH ' ' FROM city), LENGTH(name), SUBSTRING(name FROM 1 FOR 3), SPLIT_PART(email, '@', 2), CONCAT_WS('-', a, b), LPAD(id::VARCHAR, 8, '0') FROM customers",
  "SELECT ROUND(AVG(amount), 2), ABS(-1), 7 % 3, 2 ** 3, FLOOR(1.5), -amount, +1, 1e3, .5, 1_000 FROM orders",
  "SELECT payload->>'$.page', payload->'user'->>'id', json_extract_string(payload, '$.a[0]') FROM SNOWGUARD_SAMPLE.WEB.EVENTS",
  "SELECT {'a': 1, 'b': [1, 2, 3]} AS s, s.a, s['b'][1], [1, 2, 3][1:2], MAP {'k': 1}['k']",
  "SELECT LIST_TRANSFORM(tags, t -> UPPER(t)), LIST_FILTER(tags, t -> t <> ''), [x * 2 for x in amounts if x > 1], LEN(tags) FROM t",
  "SELECT name.upper().trim() FROM customers",
  "SELECT UNNEST([1, 2, 3]) AS n",
  "SELECT e.id, u.tag FROM SNOWGUARD_SAMPLE.WEB.EVENTS e, UNNEST(e.tags) AS u(tag)",
  "SELECT * FROM generate_series(DATE '2024-01-01', DATE '2024-12-31', INTERVAL 1 DAY) AS d(day)",
  "SELECT * FROM range(10) r(i) LEFT JOIN orders o ON o.id = r.i",
  "SELECT * FROM (VALUES (1, 'one'), (2, 'two')) AS v(id, name)",
  "VALUES (1, 2), (3, 4)",
  "FROM orders",
  "FROM orders SELECT id WHERE amount > 1",
  "TABLE orders",
  "SELECT * EXCLUDE (email) REPLACE (UPPER(name) AS name) FROM customers",
  "SELECT COLUMNS('.*_id') FROM orders",
  "SELECT MIN(COLUMNS(* EXCLUDE (id))) FROM orders",
  "SELECT * FROM orders WHERE id IN (SELECT order_id FROM order_lines) AND EXISTS (SELECT 1 FROM customers c WHERE c.id = customer_id)",
  "SELECT *, (SELECT MAX(amount) FROM orders o WHERE o.customer_id = c.id) FROM customers c",
  "SELECT * FROM customers c, LATERAL (SELECT COUNT(*) n FROM orders o WHERE o.customer_id = c.id) x",
  "SELECT * FROM customers c CROSS JOIN LATERAL (SELECT 1) x",
  "SELECT * FROM prices ASOF JOIN trades ON prices.ts >= trades.ts",
  "SELECT * FROM orders TABLESAMPLE 10%",
  "SELECT * FROM orders USING SAMPLE 100 ROWS",
  "SELECT DISTINCT ON (customer_id) * FROM orders ORDER BY customer_id, ordered_at DESC",
  "SELECT * FROM orders PIVOT (SUM(amount) FOR status IN ('open', 'closed') GROUP BY region)",
  "SELECT * FROM monthly UNPIVOT (sales FOR month IN (jan, feb, mar))",
  "SELECT price * qty AS gross, gross * 0.1 AS discount, gross - discount AS net, net * 0.2 AS tax, net + tax AS total FROM order_lines",
  "SELECT MD5(email), SHA256(email), HASH(id), TO_JSON({'a': 1}), TYPEOF(id) FROM customers",
  "SELECT 'it''s', $$it's$$, E'a\\tb', 'a;b', '-- no comment', '/* nor this */'",
  'SELECT "a;b", "select", t."drop table" FROM "my table" AS t',
  "SELECT 1 -- a comment; with a semicolon\n, 2 /* and 'another */ ;",
  "SELECT a.update_count, b.delete FROM a, b",
  "SELECT * FROM SNOWGUARD_SAMPLE.INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = 'PUBLIC'",
  "SELECT column_name FROM information_schema.columns WHERE table_name = 'ORDERS'",
  'SELECT \'naïve – 列\', "列" FROM "テーブル"',
  "DESCRIBE SELECT id FROM orders",
  "SUMMARIZE orders",
  "SELECT (((((1 + 2) * 3))))",
  "SELECT IFF(amount > 10, 'a', 'b'), NVL(amount, 0), ZEROIFNULL(amount), DIV0(a, b), DATEADD('day', 1, d), TO_VARCHAR(id) FROM orders"
]

const metadata: ReadonlyArray<readonly [sql: string, canonical: string, kind: "show" | "describe"]> = [
  ["show databases;", "show databases", "show"],
  ["SHOW  TERSE TABLES\n", "SHOW TERSE TABLES", "show"],
  ["SHOW TABLES LIKE '%ord%' IN SCHEMA db.sch", "SHOW TABLES LIKE '%ord%' IN SCHEMA db.sch", "show"],
  ['SHOW SCHEMAS IN DATABASE "My DB"', 'SHOW SCHEMAS IN DATABASE "My DB"', "show"],
  ["SHOW VIEWS IN ACCOUNT", "SHOW VIEWS IN ACCOUNT", "show"],
  ["SHOW TABLES IN DATABASE", "SHOW TABLES IN DATABASE", "show"],
  ["SHOW COLUMNS IN TABLE a.b.c", "SHOW COLUMNS IN TABLE a.b.c", "show"],
  ["SHOW COLUMNS IN orders", "SHOW COLUMNS IN orders", "show"],
  [
    "SHOW OBJECTS HISTORY STARTS WITH 'A' LIMIT 10 FROM 'B'",
    "SHOW OBJECTS HISTORY STARTS WITH 'A' LIMIT 10 FROM 'B'",
    "show"
  ],
  ["DESC TABLE orders", "DESC TABLE orders", "describe"],
  ['DESCRIBE VIEW "a"."b"."c d"', 'DESCRIBE VIEW "a"."b"."c d"', "describe"]
]

const check = (sql: string, policy: ReadOnly.Policy = ReadOnly.defaultPolicy) =>
  Effect.flatMap(ReadOnly.ReadOnly, (gate) => gate.check(sql, policy))

withLayer(embeddedGate())("what the DuckDB gate accepts", (it) => {
  it.effect(`reads, and accepts their canonical text unchanged: ${reads.length} statements`, () =>
    Effect.gen(function* () {
      const wrong: Array<string> = []
      for (const sql of reads) {
        const verdict = yield* Effect.either(check(sql))
        if (Either.isLeft(verdict)) {
          wrong.push(`${sql} => ${verdict.left.message}`)
          continue
        }
        const again = yield* Effect.either(check(verdict.right.canonical))
        if (!Either.isRight(again) || again.right.canonical !== verdict.right.canonical)
          wrong.push(`twice: ${sql}`)
        if (verdict.right.kind !== "select") wrong.push(`kind: ${sql}`)
      }
      expect(wrong).toEqual([])
    })
  )

  it.effect("reads with a limit appended, and their canonical text unchanged", () =>
    Effect.gen(function* () {
      const policy = { allowFunctions: [], appendLimit: 101 }
      const wrong: Array<string> = []
      for (const sql of reads) {
        const accepted = yield* check(sql, policy)
        const again = yield* check(accepted.canonical, policy)
        if (again.canonical !== accepted.canonical) wrong.push(`${accepted.canonical} => ${again.canonical}`)
      }
      expect(wrong).toEqual([])
    })
  )

  it.effect("SHOW and DESCRIBE by their tokens", () =>
    Effect.gen(function* () {
      for (const [sql, canonical, kind] of metadata) {
        const accepted = yield* check(sql, { allowFunctions: [], appendLimit: 10 })
        expect(accepted).toEqual({
          canonical,
          kind,
          tables: kind === "describe" ? [canonical.split(/ (?:TABLE|VIEW) /)[1]] : [],
          functions: []
        })
      }
    })
  )

  it.effect("EXPLAIN of a read, in Snowflake's forms", () =>
    Effect.gen(function* () {
      for (const prefix of ["EXPLAIN", "EXPLAIN USING TEXT", "EXPLAIN USING JSON", "EXPLAIN USING TABULAR"]) {
        const accepted = yield* check(`${prefix}  SELECT a FROM t; -- c`, {
          allowFunctions: [],
          appendLimit: 10
        })
        expect(accepted).toEqual({
          canonical: `${prefix} SELECT a FROM t`,
          kind: "explain",
          tables: ["t"],
          functions: []
        })
        expect((yield* check(accepted.canonical)).canonical).toBe(accepted.canonical)
      }
    })
  )
})
