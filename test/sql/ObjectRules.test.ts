import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck as fc } from "effect"
import * as ObjectRules from "../../src/sql/ObjectRules.js"
import { check } from "../../src/gate/core/ReadOnly.js"
import type { Policy } from "../../src/gate/core/ReadOnly.js"

const compiled = (allow: ReadonlyArray<string>, deny: ReadonlyArray<string> = [], ignoreCase = false) => {
  const rules = ObjectRules.compile({ allow, deny }, ignoreCase)
  if (rules === undefined) throw new Error("no rules")
  return rules
}

describe("rules about objects", () => {
  it("are none when nothing is said", () => {
    expect(ObjectRules.compile(undefined, false)).toBeUndefined()
    expect(ObjectRules.compile(ObjectRules.unrestricted, false)).toBeUndefined()
  })

  it("mean all that is in what they name", () => {
    const rules = compiled(["SALES", "hr.public", "Hr.Pay.January", '"my db".*.T'], ["SALES.SECRET"])
    const may = (...name: Array<string>) => ObjectRules.permits(rules, name)
    expect(may("SALES", "PUBLIC", "ORDERS")).toBe(true)
    expect(may("SALES", "SECRET", "ORDERS")).toBe(false)
    expect(may("HR", "PUBLIC", "X")).toBe(true)
    expect(may("HR", "PAY", "JANUARY")).toBe(true)
    expect(may("HR", "PAY", "MAY")).toBe(false)
    expect(may("hr", "PUBLIC", "X")).toBe(false)
    expect(may("my db", "any", "T")).toBe(true)
    expect(may("my db", "any", "U")).toBe(false)
    expect(may("OTHER", "PUBLIC", "X")).toBe(false)
  })

  it("show a container in which something may be read, and say when all of it may", () => {
    const rules = compiled(["A", "B.S.T"], ["A.X", "*.HIDDEN"])
    expect(ObjectRules.shows(rules, ["A"])).toBe(true)
    expect(ObjectRules.shows(rules, ["B"])).toBe(true)
    expect(ObjectRules.shows(rules, ["B", "S"])).toBe(true)
    expect(ObjectRules.shows(rules, ["B", "R"])).toBe(false)
    expect(ObjectRules.shows(rules, ["A", "X"])).toBe(false)
    expect(ObjectRules.shows(rules, ["C"])).toBe(false)
    expect(ObjectRules.permitsAll(rules, ["A"])).toBe(false)
    expect(ObjectRules.permitsAll(rules, ["A", "Y"])).toBe(true)
    expect(ObjectRules.permitsAll(rules, ["B", "S"])).toBe(false)
    expect(ObjectRules.permitsAll(compiled(["A"]), ["A"])).toBe(true)
  })

  it("keep the account's own views closed until a rule names them", () => {
    const name = ["SNOWFLAKE", "ACCOUNT_USAGE", "QUERY_HISTORY"]
    expect(ObjectRules.permits(compiled([], ["A.B"]), name)).toBe(false)
    expect(ObjectRules.permits(compiled(["*"]), name)).toBe(false)
    expect(ObjectRules.shows(compiled(["*"]), ["SNOWFLAKE"])).toBe(false)
    expect(ObjectRules.permits(compiled(["SNOWFLAKE.ACCOUNT_USAGE"]), name)).toBe(true)
  })

  it("allow by the case of ASCII letters only, and deny by that of all, where the warehouse ignores case", () => {
    const rules = compiled([], ['a."Secret".t'], true)
    expect(ObjectRules.permits(rules, ["A", "sECRET", "T"])).toBe(false)
    expect(ObjectRules.permits(compiled([], ['a."größe".t'], true), ["A", "GRÖßE", "T"])).toBe(false)
    expect(ObjectRules.permits(compiled(['a."ſ".t'], [], true), ["A", "S", "T"])).toBe(false)
  })

  it("deny whatever the case, and allow exactly, where the warehouse tells names by case", () => {
    const rules = compiled(["D", '"Mixed"', "E"], ['D."Hr"', '"é".s', 'D.S."straße"'])
    const may = (...name: Array<string>) => ObjectRules.permits(rules, name)
    for (const schema of ["HR", "Hr", "hr"]) expect([schema, may("D", schema, "T")]).toEqual([schema, false])
    expect(ObjectRules.shows(rules, ["D", "hR"])).toBe(false)
    expect(ObjectRules.permitsAll(rules, ["D"])).toBe(false)
    expect(may("D", "S", "STRASSE")).toBe(false)
    expect(may("D", "SALES", "T")).toBe(true)
    expect(may("Mixed", "S", "T")).toBe(true)
    for (const database of ["MIXED", "mixed", "d", "e"]) {
      expect([database, may(database, "S", "T")]).toEqual([database, false])
    }
    expect(ObjectRules.namesDenied(compiled([], ["D.S.SECRET"]), "Secret")).toBe(true)
    expect(ObjectRules.permits(compiled([], ["A.B"]), ["snowflake", "ACCOUNT_USAGE", "X"])).toBe(false)
    expect(ObjectRules.permits(compiled([], ["A.B.C"]), ["A", "information_schema", "TABLES"])).toBe(false)
  })

  it("refuse to be built from what is no name", () => {
    for (const rule of ["", "a.", "a.b.c.d", 'a"b', "a-b", "a b", "a..b", '""']) {
      expect(() => ObjectRules.compile({ allow: [rule], deny: [] }, false)).toThrow(RangeError)
    }
  })

  const part = fc.constantFrom("A", "B", "*")
  const rule = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("."))
  const name = fc.tuple(...([0, 1, 2] as const).map(() => fc.constantFrom("A", "B")))
  it("never permit what a container of it hides, and permit all that a container permits", () => {
    let [permitted, whole] = [0, 0]
    const lists = fc.array(rule, { maxLength: 3 })
    fc.assert(
      fc.property(lists, lists, name, (allow, deny, full) => {
        const rules = ObjectRules.compile({ allow, deny }, false)
        if (rules === undefined) return
        const permits = ObjectRules.permits(rules, full)
        if (permits) permitted++
        for (const length of [1, 2]) {
          const container = full.slice(0, length)
          if (permits) expect(ObjectRules.shows(rules, container)).toBe(true)
          if (!ObjectRules.permitsAll(rules, container)) continue
          whole++
          expect(permits).toBe(true)
        }
      }),
      { numRuns: 500 }
    )
    expect(permitted).toBeGreaterThan(50)
    expect(whole).toBeGreaterThan(50)
  })
})

const denyOne: Policy = {
  allowFunctions: [],
  objects: { allow: [], deny: ["D.S.SECRET", "D.PUBLIC.SECRET"] },
  database: "D",
  schema: "S",
  allowStages: true
}

/** Ways to a table that a rule denies; each names it where a careless reader does not look. */
const roads = [
  "SELECT * FROM secret",
  "SELECT * FROM d.s.secret",
  'SELECT * FROM "D"."S"."SECRET"',
  'SELECT * FROM "secret"',
  'SELECT * FROM "d"."s"."Secret"',
  "SELECT * FROM :x",
  "SELECT * FROM TABLE(:x)",
  "SELECT * FROM orders AT(STREAM => 'secret')",
  "SELECT * FROM orders BEFORE(stream => 'd.s.\"SECRET\"')",
  "SELECT * FROM orders CHANGES(INFORMATION => DEFAULT) AT(STREAM => $$d.s.secret$$)",
  "SELECT * FROM orders AT(STREAM => 'sec' || 'ret')",
  "SELECT * FROM orders AT(STREAM => $stream)",
  "SELECT * FROM orders AT(STREAM => secret)",
  "SELECT * FROM orders AT(STREAM => 'd..secret')",
  "SELECT $1 FROM '@d.s.files/x.csv' (FILE_FORMAT => 'secret')",
  "SELECT * FROM IDENTIFIER($d || '.s.secret')",
  "WITH v AS SEMANTIC VIEW TABLES (x AS secret) SELECT 1",
  "WITH v AS SEMANTIC VIEW TABLES (orders, d.s.secret) SELECT 1",
  "SELECT ALL_USER_NAMES()",
  "SELECT * FROM TABLE(CORTEX_SEARCH_DATA_SCAN(SERVICE_NAME => 'secret'))",
  "SELECT * FROM TABLE(SNOWFLAKE.CORE.GET_LINEAGE('d.s.secret', 'TABLE', 'UPSTREAM'))",
  "SELECT * FROM s.secret",
  "SELECT * FROM d..secret",
  "SELECT * FROM D . S . Secret",
  "SELECT * FROM a, secret",
  "SELECT * FROM a x, secret y",
  "SELECT * FROM a JOIN secret ON TRUE",
  "SELECT * FROM a NATURAL JOIN secret",
  "SELECT * FROM a LEFT OUTER JOIN LATERAL secret",
  "SELECT * FROM a CROSS JOIN (b CROSS JOIN secret)",
  "SELECT * FROM (secret)",
  "SELECT * FROM ((secret))",
  "SELECT * FROM (a, secret)",
  "SELECT * FROM (a JOIN (secret) ON TRUE)",
  "SELECT * FROM a JOIN (secret) ON TRUE",
  "SELECT * FROM a LEFT JOIN (secret, b) ON TRUE",
  "SELECT * FROM a, LATERAL (secret)",
  "SELECT * FROM a AS b JOIN (secret)",
  "SELECT * FROM ((SELECT 1) x, secret)",
  "SELECT * FROM VALUES (1), (2), secret",
  "SELECT * FROM VALUES (1) x, (secret)",
  "SELECT * FROM VALUES (1) AS x (c), (secret)",
  "SELECT * FROM (VALUES (1)) x, (secret)",
  "SELECT * FROM VALUES (1) JOIN secret",
  "SELECT * FROM a x (c), secret",
  "SELECT * FROM a AT(OFFSET => -60), secret",
  "SELECT * FROM a AT(OFFSET => -60) x JOIN secret AT(OFFSET => -1) ON TRUE",
  "SELECT * FROM a SAMPLE (10), secret",
  "SELECT * FROM a PIVOT(SUM(x) FOR y IN (1, 2)) p, secret",
  "SELECT * FROM a PIVOT(SUM(x) FOR y IN (SELECT z FROM secret)) p",
  "SELECT * FROM a UNPIVOT(x FOR y IN (b, c)), secret",
  "SELECT * FROM a MATCH_RECOGNIZE (PATTERN (A) DEFINE A AS TRUE), secret",
  "SELECT * FROM a ASOF JOIN secret MATCH_CONDITION(a.x >= secret.x)",
  "SELECT * FROM TABLE(FLATTEN(a)) f, secret",
  "SELECT * FROM a, LATERAL FLATTEN(input => a.x), secret",
  "SELECT * FROM LATERAL (SELECT * FROM secret)",
  "SELECT (SELECT MAX(x) FROM secret)",
  "SELECT 1 WHERE EXISTS (SELECT 1 FROM secret)",
  "SELECT 1 WHERE 1 IN (SELECT x FROM secret)",
  "SELECT a FROM b ORDER BY (SELECT x FROM secret)",
  "SELECT a FROM b GROUP BY (SELECT x FROM secret)",
  "SELECT a FROM b QUALIFY (SELECT TRUE FROM secret)",
  "SELECT a FROM b LIMIT (SELECT x FROM secret)",
  "SELECT CASE WHEN TRUE THEN (SELECT x FROM secret) END",
  "SELECT [ (SELECT x FROM secret) ]",
  "SELECT { 'a': (SELECT x FROM secret) }",
  "SELECT ABS((SELECT x FROM secret))",
  "SELECT TRIM((SELECT x FROM secret) FROM 'a')",
  "SELECT EXTRACT(YEAR FROM (SELECT x FROM secret))",
  "SELECT SUM(x) OVER (ORDER BY (SELECT x FROM secret)) FROM a",
  "SELECT 1 UNION ALL SELECT * FROM secret",
  "SELECT 1 UNION ALL (SELECT * FROM secret)",
  "SELECT 1 MINUS SELECT * FROM secret",
  "WITH x AS (SELECT * FROM secret) SELECT * FROM x",
  "WITH secret AS (SELECT * FROM secret) SELECT * FROM secret",
  "WITH RECURSIVE secret AS (SELECT * FROM secret) SELECT * FROM secret",
  "WITH RECURSIVE x AS (SELECT * FROM secret), secret AS (SELECT 1) SELECT * FROM x",
  "WITH x AS (WITH secret AS (SELECT 1) SELECT 1) SELECT * FROM secret",
  "SELECT * FROM (WITH secret AS (SELECT 1) SELECT * FROM secret) a, secret",
  "SELECT 1 UNION WITH secret AS (SELECT 1) SELECT 1 UNION SELECT * FROM secret",
  "(WITH secret AS (SELECT 1) SELECT 1) UNION SELECT * FROM secret",
  "WITH x AS (SELECT 1) SELECT * FROM x ->> SELECT * FROM secret",
  "WITH secret AS (SELECT 1) SELECT 1 ->> SELECT * FROM secret",
  "EXPLAIN SELECT * FROM secret",
  "EXPLAIN USING JSON SELECT * FROM secret",
  "DESC TABLE secret",
  "DESCRIBE VIEW d.s.secret",
  "DESC secret",
  "DESC TABLE IDENTIFIER('secret')",
  "SHOW COLUMNS IN TABLE secret",
  "SHOW TABLES",
  "SHOW OBJECTS IN ACCOUNT",
  "SHOW GRANTS ON TABLE secret",
  "SHOW TABLES ->> SELECT * FROM $1",
  "DESC RESULT 'x'",
  "DESC STAGE s",
  "SELECT * FROM IDENTIFIER('secret')",
  "SELECT * FROM IDENTIFIER('d.s.secret') x",
  "SELECT * FROM IDENTIFIER($x)",
  "SELECT * FROM TABLE('secret')",
  "SELECT * FROM TABLE($$d.s.secret$$)",
  "SELECT * FROM TABLE($x)",
  "SELECT * FROM TABLE(secret)",
  "SELECT * FROM TABLE(d.s.secret)",
  "SELECT * FROM $x",
  "SELECT * FROM ?",
  "SELECT * FROM d.s.$x",
  "SELECT * FROM SEMANTIC_VIEW(secret METRICS a)",
  "SELECT * FROM SEMANTIC_VIEW(d.s.secret METRICS a)",
  "SELECT * FROM SEMANTIC_VIEW(D..secret DIMENSIONS b.c)",
  'SELECT * FROM SEMANTIC_VIEW(orders METRICS a) x, SEMANTIC_VIEW("D"."S"."Secret" FACTS b)',
  "SELECT * FROM SEMANTIC_VIEW(IDENTIFIER('d.s.secret') METRICS a)",
  "SELECT * FROM SEMANTIC_VIEW(IDENTIFIER($v) METRICS a)",
  "SELECT * FROM TABLE(SEMANTIC_VIEW(secret METRICS a))",
  "SELECT a, AGG(b) FROM d.s.secret GROUP BY a",
  "DESCRIBE SEMANTIC VIEW secret",
  "DESC SEMANTIC VIEW d.s.secret",
  "SHOW SEMANTIC VIEWS",
  "SHOW SEMANTIC DIMENSIONS IN d.s.secret FOR METRIC m",
  "SELECT GET_DDL('SEMANTIC_VIEW', 'd.s.secret')",
  "SELECT * FROM TABLE(RESULT_SCAN('01-x'))",
  "SELECT * FROM TABLE(RESULT_SCAN(LAST_QUERY_ID()))",
  "SELECT GET_DDL('TABLE', 'secret')",
  "SELECT GET_DDL('DATABASE', 'd')",
  "SELECT SYSTEM$CLUSTERING_INFORMATION('secret')",
  "SELECT SYSTEM$EXPLAIN_PLAN_JSON('SELECT * FROM secret')",
  "SELECT * FROM TABLE(GET_OBJECT_REFERENCES('d', 's', 'secret'))",
  "SELECT * FROM TABLE(INFORMATION_SCHEMA.QUERY_HISTORY())",
  "SELECT * FROM TABLE(d.INFORMATION_SCHEMA.TAG_REFERENCES('secret', 'table'))",
  "SELECT * FROM TABLE(INFORMATION_SCHEMA.COPY_HISTORY(TABLE_NAME => 'secret', START_TIME => x))",
  "SELECT * FROM INFORMATION_SCHEMA.TABLES",
  "SELECT * FROM d.INFORMATION_SCHEMA.COLUMNS",
  'SELECT * FROM "INFORMATION_SCHEMA".VIEWS',
  "SELECT * FROM SNOWFLAKE.ACCOUNT_USAGE.QUERY_HISTORY",
  "SELECT * FROM a.b.c.secret",
  "SELECT * FROM [secret]",
  "SELECT * FROM {secret}"
]

/** Reads beside it that stay possible. */
const beside = [
  "SELECT * FROM orders",
  "SELECT secret FROM orders",
  "SELECT o.secret FROM d.s.orders o",
  "SELECT * FROM SEMANTIC_VIEW(d.s.sales DIMENSIONS secret.a, secret METRICS secret.b AS c WHERE secret.d > 1)",
  "SELECT secret, AGG(b) FROM d.s.sales GROUP BY secret",
  "DESCRIBE SEMANTIC VIEW d.s.sales",
  "SELECT * FROM s2.secret",
  "SELECT * FROM d2.s.secret",
  "WITH x AS (SELECT 1) SELECT * FROM x",
  "WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x WHERE n < 9) SELECT * FROM x",
  "SELECT * FROM orders o, LATERAL FLATTEN(input => o.items) f",
  "SELECT * FROM VALUES (1), (2) AS v (a)",
  "SELECT a FROM orders ->> SELECT * FROM $1",
  "SELECT * FROM TABLE(GENERATOR(ROWCOUNT => 3))",
  "DESC TABLE orders",
  "DESCRIBE VIEW d.s.orders",
  "EXPLAIN SELECT * FROM orders",
  "SELECT SYSTEM$TYPEOF(1)",
  "SELECT * FROM d2.INFORMATION_SCHEMA.TABLES",
  "SELECT $1 FROM '@d.s.files/2024/x.csv'",
  "SELECT $1 FROM '@d.s.files/2024/x.csv' (FILE_FORMAT => 'd.s.csv', PATTERN => 'secret')",
  "SELECT * FROM orders AT(STREAM => 'changes')",
  "SELECT * FROM orders CHANGES(INFORMATION => DEFAULT) AT(STREAM => 'd.s.changes')",
  "SELECT * FROM orders AT(OFFSET => -60)"
]

describe("the Snowflake gate with rules about objects", () => {
  it.each(roads)("refuses %s", (sql) => {
    expect(check(sql, denyOne)).toMatchObject({ _tag: "Left" })
  })

  it.each(beside)("accepts %s", (sql) => {
    expect(check(sql, denyOne)).toMatchObject({ _tag: "Right" })
  })

  it("accepts nothing but what is allowed, where something is", () => {
    const policy: Policy = {
      allowFunctions: [],
      objects: { allow: ["D.S.ORDERS", "SHOP"], deny: [] },
      database: "D",
      schema: "S"
    }
    const may = (sql: string) => Either.isRight(check(sql, policy))
    expect(may("SELECT * FROM d.s.orders JOIN shop.x.y USING (id)")).toBe(true)
    expect(may("SELECT * FROM shop.INFORMATION_SCHEMA.TABLES")).toBe(true)
    expect(may("WITH t AS (SELECT * FROM d.s.orders) SELECT * FROM t")).toBe(true)
    for (const sql of [...roads, "SELECT * FROM d.s.other", "SELECT * FROM INFORMATION_SCHEMA.TABLES"]) {
      expect([sql, may(sql)]).toEqual([sql, false])
    }
  })

  it("says that a short name could be a table of PUBLIC, which Snowflake searches second", () => {
    const policy: Policy = { ...denyOne, objects: { allow: [], deny: ["D.PUBLIC.SECRET"] } }
    expect(check("SELECT * FROM secret", policy)).toMatchObject({
      left: {
        code: "OBJECT_NOT_ALLOWED",
        position: 14,
        reason:
          "SECRET could be D.PUBLIC.SECRET, which may not be read; write DB.SCHEMA.TABLE if another is meant"
      }
    })
    expect(check("SELECT * FROM d.s.secret", policy)).toMatchObject({ _tag: "Right" })
  })

  it("refuses short names without a database and schema, and says what to do", () => {
    const policy: Policy = { allowFunctions: [], objects: denyOne.objects }
    for (const sql of ["SELECT * FROM t", "SELECT * FROM s.t"]) {
      expect(check(sql, policy)).toMatchObject({
        left: { hint: "write DB.SCHEMA.TABLE, or give the arguments database and schema" }
      })
    }
    expect(check("SELECT * FROM d.s.t", policy)).toMatchObject({ _tag: "Right" })
  })

  it("lets an operator allow a function by name that reads by name", () => {
    const policy: Policy = { ...denyOne, allowFunctions: ["GET_DDL"] }
    expect(check("SELECT GET_DDL('TABLE', 'orders')", policy)).toMatchObject({ _tag: "Right" })
  })

  it("does not let a CTE take the name of a denied table", () => {
    for (const name of ["secret", '"Secret"']) {
      const sql = `WITH ${name} AS (SELECT 1) SELECT * FROM ${name}`
      expect(check(sql, denyOne)).toMatchObject({ left: { hint: "name the CTE otherwise" } })
    }
  })
})

describe("what a tier may switch", () => {
  it("is the flow operator", () => {
    const sql = "SELECT 1 ->> SELECT * FROM $1"
    expect(check(sql, { allowFunctions: [] })).toMatchObject({ _tag: "Right" })
    expect(check(sql, { allowFunctions: [], allowFlow: false })).toMatchObject({
      left: { code: "NOT_A_READ", hint: "an operator can allow them with allow_flow for the tier" }
    })
  })

  it("is stages, of which only files of named ones in quotes can be read", () => {
    const on: Policy = { allowFunctions: [], allowStages: true }
    const text = "SELECT $1 FROM '@st/a/b.csv' (FILE_FORMAT => 'f', PATTERN => '.*') x, t"
    expect(check(text, on)).toMatchObject({ right: { canonical: text } })
    expect(check(text, { allowFunctions: [] })).toMatchObject({ left: { code: "OBJECT_NOT_ALLOWED" } })
    for (const sql of [
      "SELECT * FROM '@~/x'",
      "SELECT * FROM '@%t'",
      "SELECT * FROM 's3://b/x'",
      "SELECT * FROM @st/x",
      "SELECT * FROM '@st/../x y'",
      "SELECT * FROM '@st'(udf())",
      "SELECT * FROM '@st' (FILE_FORMAT => udf())",
      "SELECT * FROM t WHERE '@st' (1)",
      "SELECT '@st'(1)",
      "LIST @st",
      "SELECT GET_PRESIGNED_URL('@s', 'x')",
      "SELECT * FROM TABLE('@st/x')"
    ]) {
      expect([sql, Either.isRight(check(sql, on))]).toEqual([sql, false])
    }
    const rules = { allow: [], deny: ["D.S.FILES"] }
    expect(check("SELECT * FROM '@d.s.files/x'", { ...on, objects: rules })).toMatchObject({ _tag: "Left" })
    expect(check("SELECT * FROM '@d.s.other/x'", { ...on, objects: rules })).toMatchObject({ _tag: "Right" })
  })
})
