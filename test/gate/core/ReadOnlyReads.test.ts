import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import { check } from "../../../src/gate/core/ReadOnly.js"
import type { Policy } from "../../../src/gate/core/ReadOnly.js"

const strict: Policy = { allowFunctions: [] }
const accepted = (sql: string): boolean => Either.isRight(check(sql, strict))

/** Reads of every part of Snowflake's grammar that the scan has a rule about. */
const reads: ReadonlyArray<string> = [
  "SELECT * FROM t MATCH_RECOGNIZE (PARTITION BY a ORDER BY b MEASURES FIRST(c) AS d ONE ROW PER MATCH PATTERN (a? (b|c)) DEFINE a AS c > PREV(c))",
  "SELECT * FROM t MATCH_RECOGNIZE (ORDER BY b MEASURES LAST(c) AS d PATTERN (^ a{2} (b|c) a+? b{1,} $) DEFINE a AS TRUE)",
  "SELECT * FROM t MATCH_RECOGNIZE (ORDER BY b ALL ROWS PER MATCH WITH UNMATCHED ROWS PATTERN ({- a -} PERMUTE(b, c)) DEFINE a AS TRUE) x",
  "SELECT date'2024-01-31', TIME'10:00', timestamp_ntz'2024-01-01', INTERVAL'1 day', a LIKE'%x%', CASE WHEN a='x'THEN'y'ELSE'z'END",
  "SELECT * FROM VALUES 1, 2 AS t(a)",
  "SELECT * FROM VALUES 1.0, -2, NULL, 'x' t(a), other",
  "SELECT * FROM (VALUES 1, 2) AS t (a)",
  "SELECT column1 FROM VALUES ('a'), ('b')",
  "SELECT start, end, comment, list l, get AS g FROM t start WHERE start.a = 1",
  "SELECT comment FROM t comment ORDER BY list DESC",
  "SELECT * FROM a JOIN b USING (x) JOIN c ON a.x = c.x",
  "SELECT * FROM a, LATERAL FLATTEN(input => a.x) f (s, k, p, i, v, t)",
  "SELECT SUM(a) OVER (PARTITION BY b ORDER BY c ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t",
  "SELECT a, b FROM t GROUP BY CUBE (a, b)",
  "SELECT a, b FROM t GROUP BY a, ROLLUP (b), GROUPING SETS ((a), (b))",
  "SELECT LISTAGG(a, ',') WITHIN GROUP (ORDER BY a) OVER (PARTITION BY b), c FROM t",
  'SELECT x::NUMBER(10,2), x::ARRAY(NUMBER), x::OBJECT(a VARCHAR(10) NOT NULL, "b" NUMBER(38, 0)), x::MAP(VARCHAR, NUMBER), x::VECTOR(FLOAT, 3), CAST(x AS TIMESTAMP_NTZ(9)), x::DOUBLE PRECISION, x::CHAR VARYING(10)',
  "SELECT {'a': UPPER('x'), 'b': [1, LOWER('y')]}, {*}, {t.*}, {* EXCLUDE a}, {} FROM t",
  "SELECT * EXCLUDE (a, b) RENAME (c AS d) FROM t",
  "SELECT * ILIKE '%x%' EXCLUDE a RENAME b AS c REPLACE (UPPER(d) AS d) FROM t",
  "SELECT IDENTIFIER('a.b'), IDENTIFIER($x) FROM IDENTIFIER('db.s.t') AS x (a, b)",
  "SELECT * FROM IDENTIFIER($db || '.s.t')",
  "SELECT * FROM TABLE('db.s.t')",
  "SELECT * FROM TABLE($x)",
  "SELECT * FROM TABLE(FLATTEN(input => PARSE_JSON('[1]'))) f",
  "SELECT * FROM t ASOF JOIN u MATCH_CONDITION (t.a >= u.a) ON t.b = u.b",
  "SELECT * FROM t AT(OFFSET => -60) AS x JOIN u BEFORE(STATEMENT => '01b0-x') ON x.a = u.a",
  "SELECT * FROM t CHANGES(INFORMATION => DEFAULT) AT(TIMESTAMP => '2020-01-01'::TIMESTAMP) END(TIMESTAMP => '2020-01-02'::TIMESTAMP)",
  "SELECT * FROM t SAMPLE BERNOULLI (10) SEED (3)",
  "SELECT * FROM t PIVOT (SUM(a) FOR b IN (ANY ORDER BY b)) p (x, y)",
  "SELECT * FROM t UNPIVOT INCLUDE NULLS (v FOR k IN (a, b))",
  "SELECT * FROM a JOIN b ON a.x = b.x PIVOT (MAX(c) FOR d IN ('x')) AS p",
  "WITH a (x, y) AS (SELECT 1, 2), b AS (SELECT * FROM a) SELECT * FROM b",
  "WITH a AS (SELECT 1) (SELECT * FROM a) UNION ALL (SELECT 2)",
  "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r",
  "WITH v AS SEMANTIC VIEW TABLES (o AS db.s.orders PRIMARY KEY (id) WITH SYNONYMS ('sales') COMMENT = 'x', c UNIQUE (id)) RELATIONSHIPS (oc AS o (cid) REFERENCES c (id)) FACTS (o.f AS a * 2) DIMENSIONS (c.n AS name WITH SYNONYMS ('x', 'y') COMMENT = 'd') METRICS (o.t AS SUM(o.f)) SELECT * FROM SEMANTIC_VIEW(v DIMENSIONS c.n METRICS o.t WHERE c.n = 'x')",
  "SELECT CASE a WHEN 1 THEN (SELECT 2) ELSE (3) END FROM t",
  "SELECT CASE (a) WHEN 1 THEN 2 END end FROM t",
  "SELECT TRIM(BOTH ' ' FROM a), EXTRACT(YEAR FROM d), SUBSTRING(a FROM 1 FOR 2), POSITION('a' IN b) FROM t",
  "SELECT FILTER(a, x -> x > 1), TRANSFORM(a, x INT -> x + 1), REDUCE(a, 0, (acc, y) -> acc + y) FROM t",
  "SELECT a FROM t WHERE (a, b) IN (SELECT 1, 2) AND EXISTS (SELECT 1) AND NOT (a = 1) AND a LIKE ANY ('x', 'y') AND b > ALL (SELECT 1)",
  "SELECT TOP 5 a FROM t",
  "SELECT a FROM t LIMIT 10 OFFSET 5",
  "SELECT a FROM t ORDER BY a FETCH FIRST 5 ROWS ONLY",
  "SELECT CONNECT_BY_ROOT a, SYS_CONNECT_BY_PATH(a, '/') FROM t START WITH p IS NULL CONNECT BY PRIOR a = p",
  "SELECT a.b.c, d:e.f[0]::STRING, g['h']['i'] FROM t",
  "SELECT t1.id FROM t1, t2 WHERE t1.id = t2.id (+)",
  "SHOW TABLES IN SCHEMA IDENTIFIER($a || '.' || $b)",
  "SHOW DCM PROJECTS",
  "SHOW DBT PROJECTS LIKE 'x' IN DATABASE d",
  "SHOW POSTGRES INSTANCES",
  "SHOW MCP SERVERS IN ACCOUNT",
  "SHOW BUDGETS",
  "SHOW SNOWFLAKE.CORE.BUDGET IN ACCOUNT",
  "SHOW SNOWFLAKE.ML.FORECAST INSTANCES",
  "SHOW STORAGE LIFECYCLE POLICIES",
  "SHOW ONLINE FEATURE TABLES IN SCHEMA a.b",
  "SHOW ZEROCOPY CONNECTORS",
  "SHOW AS RESOURCE DYNAMIC TABLES IN SCHEMA a.b",
  "SHOW MATERIALIZATIONS IN SEMANTIC VIEW a.b.c",
  "SHOW GRANTS ON FUNCTION a.b.f(INT, NUMBER(10,2))",
  "SHOW GRANTS TO DATABASE ROLE d.r",
  "SHOW GRANTS OF APPLICATION ROLE a.r",
  "SHOW FUTURE GRANTS IN SCHEMA a.b",
  "SHOW PARAMETERS LIKE '%X%' FOR TABLE a.b.c",
  "SHOW VERSIONS IN MODEL a.b.m",
  "SHOW FUNCTIONS IN MODEL m VERSION v1",
  "SHOW IMAGES IN IMAGE REPOSITORY a.b.r",
  "SHOW OBJECTS OWNED BY APPLICATION app",
  "SHOW REPLICATION DATABASES WITH PRIMARY aws.db",
  "SHOW NODES IN COMPUTE POOL p",
  "SHOW TABLES IN mydb..t",
  "SHOW USER PROGRAMMATIC ACCESS TOKENS FOR USER bob",
  "DESC FUNCTION f(NUMBER(10,2), VARCHAR)",
  "SELECT SNOWFLAKE.CORE.NULL_COUNT(SELECT a FROM t)",
  "SELECT * FROM TABLE(SNOWFLAKE.CORE.GET_LINEAGE('a.b.c', 'TABLE', 'UPSTREAM', 5))",
  "SELECT * FROM TABLE(CORTEX_SEARCH_DATA_SCAN(SERVICE_NAME => 'svc'))",
  "SELECT * FROM TABLE(db.INFORMATION_SCHEMA.TASK_HISTORY(SCHEDULED_TIME_RANGE_START => DATEADD('hour', -1, CURRENT_TIMESTAMP())))",
  "SELECT SYSTEM$EXPLAIN_PLAN_JSON('SELECT 1')",
  "SELECT REPLACE(a, 'b'), LEFT(a, 1), RIGHT(a, 1), INSERT(a, 1, 2, 'x'), IFF(a, b, c) FROM t",
  "SELECT a FROM t WHERE d BETWEEN DATE '2020-01-01' AND DATE '2020-01-02' QUALIFY ROW_NUMBER() OVER (ORDER BY d) = 1",
  "SELECT * FROM (a JOIN b ON a.x = b.x) JOIN (c CROSS JOIN d) ON TRUE",
  "SELECT * FROM (a) x",
  "SELECT * FROM next AT(OFFSET => -1)",
  'SELECT "a" FROM"t"',
  "SELECT {fn UPPER('a')}, {ts '2020-01-01 00:00:00'}",
  "VALUES 1, 2",
  "SELECT * FROM t WINDOW w AS (PARTITION BY a)",
  "SELECT SUM(a) FILTER (WHERE b > 1) FROM t",
  "SHOW TASKS IN SCHEMA a.b ROOT ONLY",
  "SHOW TABLES FROM db",
  "SHOW COLUMNS FROM db.s.t",
  "SHOW AVAILABLE LISTINGS IS_SHARED_WITH_ME = TRUE",
  "SHOW TABLES LIMIT 5 FROM 'x'",
  'SHOW GRANTS TO USER "x@y.z"',
  "SHOW PARAMETERS IN ACCOUNT LIKE 'x%'",
  "SHOW OBJECTS OWNED BY APPLICATION app",
  "SELECT * FROM load l JOIN refresh r ON l.a = r.a",
  "SELECT v:from.order['x'], (x):y.z, PARSE_JSON(x):y, '{\"a\":1}'::variant:a, $1:a.b::int FROM VALUES (1)"
]

/** Documented functions that only compute, of families that came late to the list. */
const computing = (
  "ACCUMULATE ARRAYAGG ARRAY_CONSTRUCT_STRUCTURED ARRAY_REPEAT BITMAP_ABSOLUTE_POSITION BITMAP_AND BITMAP_AND_AGG BITMAP_OR " +
  "BITMAP_OR_AGG BITMAP_TO_ARRAY DATASKETCHES_HLL DATASKETCHES_HLL_ACCUMULATE DATASKETCHES_HLL_COMBINE DATASKETCHES_HLL_ESTIMATE GETVARIABLE H3_CELL_TO_CHILDREN " +
  "H3_CELL_TO_CHILDREN_STRING H3_COMPACT_CELLS H3_GET_RESOLUTION H3_GRID_DISTANCE H3_GRID_PATH H3_INT_TO_STRING H3_IS_PENTAGON H3_IS_VALID_CELL " +
  "H3_POINT_TO_CELL H3_POINT_TO_CELL_STRING H3_POLYGON_TO_CELLS_STRINGS H3_STRING_TO_INT H3_TRY_COVERAGE H3_TRY_GRID_DISTANCE H3_TRY_POLYGON_TO_CELLS H3_UNCOMPACT_CELLS " +
  "HLL HLL_EXPORT MAP_CONSTRUCT MAP_ENTRIES ST_GEOGFROMTEXT ST_GEOGFROMWKB ST_GEOGFROMWKT ST_GEOGRAPHYFROMTEXT " +
  "ST_GEOMETRYFROMTEXT ST_GEOMFROMEWKT ST_GEOMFROMWKB ST_GEOMPOINT ST_INTERSECTION_AGG SYS_CONTEXT TIMEFROMPARTS TIMESTAMPLTZFROMPARTS " +
  "TIMESTAMPNTZFROMPARTS TIMESTAMPTZFROMPARTS TO_DECFLOAT TO_UUID TRY_TO_DECFLOAT VECTOR_AVG VECTOR_MAX VECTOR_MIN " +
  "VECTOR_NORMALIZE VECTOR_SUM VECTOR_TRUNCATE"
).split(" ")

describe("the Snowflake gate", () => {
  it.each(reads)("takes %s", (sql) => {
    const once = check(sql, strict)
    expect(once).toMatchObject({ _tag: "Right" })
    if (Either.isLeft(once)) return
    expect(check(once.right.canonical, strict)).toMatchObject({ right: { canonical: once.right.canonical } })
  })

  it("knows the functions that only compute", () => {
    expect(computing.filter((name) => !accepted(`SELECT ${name}(a) FROM t`))).toEqual([])
  })

  it("keeps functions of models, files and other clients for an operator", () => {
    const names =
      "AI_COMPLETE AI_AGG EMBED_TEXT_768 PROMPT TO_FILE INFER_SCHEMA RESULT_SCAN LAST_QUERY_ID BIND_VALUES".split(
        " "
      )
    for (const name of names) {
      const sql = `SELECT ${name}(a)`
      expect([name, accepted(sql), Either.isRight(check(sql, { allowFunctions: [name] }))]).toEqual([
        name,
        false,
        true
      ])
    }
  })

  it("says which kinds of objects SHOW lists, nearest first", () => {
    const reason = (sql: string) => Either.flip(check(sql, strict)).pipe(Either.getOrThrow).reason
    expect(reason("SHOW TABELS LIKE 'x'")).toMatch(
      /^SHOW TABELS is not available; the nearest kinds are TABLES, /
    )
    expect(reason("SHOW PROJECTS")).toMatch(/DBT PROJECTS, DCM PROJECTS/)
    expect(reason("SHOW NOTHING")).toMatch(
      /SHOW takes the \d{3} documented kinds of objects, such as DATABASES, /
    )
    expect(reason("DROP TABLE t")).toMatch(/SHOW and DESCRIBE of every kind of object/)
  })

  it("takes statements near Snowflake's own bound of a megabyte, and refuses what is longer", () => {
    const list = (n: number) => `SELECT * FROM t WHERE a IN (${"'0123456789', ".repeat(n)}'x')`
    expect(accepted(list(10_000))).toBe(true)
    expect(accepted(list(60_000))).toBe(true)
    expect(check(`SELECT '${"x".repeat(1_000_000)}'`, strict)).toMatchObject({ left: { code: "TOO_LARGE" } })
    expect(check(list(100_001), strict)).toMatchObject({ left: { code: "TOO_LARGE" } })
  })
})
