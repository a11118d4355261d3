import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck } from "effect"
import { translate } from "../../../src/warehouse/duckdb/dialect/translate.js"
import { duckdb } from "../../../src/sql/Dialect.js"
import { tokenize } from "../../../src/sql/Lexer.js"

const cases: ReadonlyArray<readonly [string, string]> = [
  // Paths
  ["SELECT v:a.b[0] FROM t", "SELECT v['a']['b'][1] FROM t"],
  [`SELECT t.v:"A b":c FROM t`, `SELECT t.v['A b']['c'] FROM t`],
  ["SELECT v:a::string FROM t", "SELECT sg_text(v['a'])::string FROM t"],
  ["SELECT f(v):a::number(10, 2)", "SELECT f(v)['a']::DECIMAL(10, 2)"],
  ["SELECT v['a'][0]:b", "SELECT v['a'][0]['b']"],
  ["SELECT v:a['k']", "SELECT v['a']['k']"],
  ["SELECT v:it", "SELECT v['it']"],
  // Not paths
  ["SELECT {'a': b, c: d}, [1, 2][1:n], x[i:j]", "SELECT {'a': b, c: d}, [1, 2][1:n], x[i:j]"],
  ["SELECT 'v:a', \"v:a\" -- v:a\n", "SELECT 'v:a', \"v:a\" -- v:a\n"],
  // Types
  [
    "SELECT a::NUMBER, b::FLOAT, CAST(c AS TIMESTAMP_NTZ(9)), TRY_CAST(d AS INT)",
    "SELECT a::DECIMAL(38, 0), b::DOUBLE, CAST(c AS TIMESTAMP), TRY_CAST(d AS BIGINT)"
  ],
  [
    "SELECT CAST(a AS NUMBER(4,1)) AS number, int FROM t",
    "SELECT CAST(a AS DECIMAL(4,1)) AS number, int FROM t"
  ],
  ["SELECT a::TIMESTAMP WITH TIME ZONE, b::INTEGER[]", "SELECT a::TIMESTAMP WITH TIME ZONE, b::INTEGER[]"],
  // Functions
  ["SELECT DATEADD(day, -1, d), dateadd('mm', n, d)", "SELECT sg_add_day(-1, d), sg_add_month(n, d)"],
  ["SELECT DATEDIFF(hour, a, '2025-01-01')", "SELECT date_diff('hour', a, TIMESTAMP '2025-01-01')"],
  ["SELECT DATE_TRUNC(week, a), DATE_PART(yy, b)", "SELECT DATE_TRUNC('week', a), DATE_PART('year', b)"],
  [
    "SELECT DATE_TRUNC('day', day), LAST_DAY(d, month)",
    "SELECT DATE_TRUNC('day', day), LAST_DAY(d, 'month')"
  ],
  ["SELECT OBJECT_CONSTRUCT('a', f(x, y), 'b', 1)", "SELECT sg_object({'a': f(x, y), 'b': 1})"],
  ["SELECT OBJECT_CONSTRUCT(k, v)", "SELECT OBJECT_CONSTRUCT(k, v)"],
  ["SELECT ARRAY_CONSTRUCT(1, f(a, b))", "SELECT [(1)::VARIANT, (f(a, b))::VARIANT]"],
  ["SELECT LISTAGG(a, ',') WITHIN GROUP (ORDER BY b DESC)", "SELECT string_agg(a, ',' ORDER BY b DESC)"],
  ["SELECT ARRAY_AGG(a) WITHIN GROUP (ORDER BY b)", "SELECT ARRAY_AGG(a ORDER BY b)"],
  [
    "SELECT PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY b)",
    "SELECT PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY b)"
  ],
  ["SELECT RATIO_TO_REPORT(a) OVER (PARTITION BY b)", "SELECT (a) / sum(a) OVER (PARTITION BY b)"],
  ["SELECT POSITION('a', b), POSITION('a' IN b)", "SELECT charindex('a', b), POSITION('a' IN b)"],
  // Clauses
  ["SELECT TOP 5 a FROM t", "SELECT  a FROM t LIMIT 5"],
  ["SELECT * FROM (SELECT TOP 5 a FROM t) x", "SELECT * FROM (SELECT  a FROM t LIMIT 5) x"],
  ["SELECT top FROM t", "SELECT top FROM t"],
  ["SELECT TOP 1 a FROM t UNION SELECT 2", "SELECT TOP 1 a FROM t UNION SELECT 2"],
  [
    "SELECT f.value FROM t, LATERAL FLATTEN(INPUT => t.v, OUTER => TRUE) f",
    "SELECT f.value FROM t, LATERAL FLATTEN(INPUT => t.v, keep => TRUE) f"
  ],
  ["SELECT 1 FROM TABLE(FLATTEN(v))", "SELECT 1 FROM FLATTEN(v)"],
  ["SELECT 1 FROM TABLE(GENERATOR(ROWCOUNT => 10))", "SELECT 1 FROM range(10)"],
  ["SELECT 1 FROM t SAMPLE (10)", "SELECT 1 FROM t TABLESAMPLE bernoulli(10%)"],
  ["SELECT 1 FROM t TABLESAMPLE ROW (5 ROWS)", "SELECT 1 FROM t TABLESAMPLE reservoir(5 ROWS)"],
  [
    "SELECT a FROM t WHERE t.a NOT ILIKE ANY ('x%', f(b))",
    "SELECT a FROM t WHERE NOT sg_ilike_any(t.a , ['x%', f(b)])"
  ],
  ["SELECT f(a, b) LIKE ALL ('x')", "SELECT sg_like_all(f(a, b) , ['x'])"],
  ["SELECT a RLIKE 'x.*'", "SELECT a SIMILAR TO 'x.*'"],
  [
    "SELECT * FROM VALUES (1, 'a'), (2, 'b') AS t (x, y)",
    "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS t (x, y)"
  ],
  ["SELECT 1 MINUS SELECT 2", "SELECT 1 EXCEPT SELECT 2"],
  ["SELECT * FROM d.information_schema.tables", `SELECT * FROM d."_SNOWGUARD_INFORMATION_SCHEMA".tables`],
  ["SELECT X'0aFF'", "SELECT unhex('0AFF')"],
  // Several at once, inside one another
  [
    "SELECT LISTAGG(a, ',') WITHIN GROUP (ORDER BY v:b[0]::NUMBER)",
    "SELECT string_agg(a, ',' ORDER BY v['b'][1]::DECIMAL(38, 0))"
  ],
  [
    "SELECT OBJECT_CONSTRUCT('n', v:a[1]::int, 'd', DATEADD(day, 1, v:b::date))",
    "SELECT sg_object({'n': v['a'][2]::BIGINT, 'd': sg_add_day(1, v['b']::date)})"
  ]
]

describe("translate", () => {
  it.each(cases)("%s", (sql, expected) => {
    expect(translate(sql)).toBe(expected)
  })

  it.each(cases)("leaves its own output alone: %s", (_, expected) => {
    expect(translate(expected)).toBe(expected)
  })

  it("returns what it cannot read", () => {
    for (const sql of ["", "SELECT 'a", "SELECT (", "SELECT ))", "$$"]) expect(translate(sql)).toBe(sql)
  })

  /** Balanced nonsense made of everything that a rule looks for. */
  const { text: nonsense } = FastCheck.letrec<{ readonly text: string }>((tie) => ({
    text: FastCheck.oneof(
      { maxDepth: 4, depthSize: "small" },
      FastCheck.constantFrom(
        ...`SELECT TOP 5 a , t . v : b :: NUMBER CAST AS day => LIKE ANY ALL NOT ILIKE VALUES MINUS SAMPLE ROWS UNION
          INFORMATION_SCHEMA "q" 'text' WITHIN GROUP ORDER BY RLIKE FROM TABLE GENERATOR ROWCOUNT OUTER FLATTEN`.split(
          /\s+/
        )
      ),
      FastCheck.tuple(tie("text"), tie("text")).map(([x, y]) => `${x} ${y}`),
      FastCheck.tuple(tie("text"), tie("text")).map(([x, y]) => `${x}, ${y}`),
      FastCheck.tuple(tie("text"), tie("text")).map(([x, y]) => `${x}:${y}`),
      FastCheck.tuple(
        FastCheck.constantFrom(
          ...`DATEADD DATEDIFF DATE_TRUNC OBJECT_CONSTRUCT ARRAY_CONSTRUCT LISTAGG ARRAY_AGG TABLE FLATTEN GENERATOR
            LAST_DAY RATIO_TO_REPORT POSITION CAST TRY_CAST SAMPLE ANY VALUES GROUP f`.split(/\s+/)
        ),
        tie("text")
      ).map(([name, x]) => `${name}(${x})`),
      tie("text").map((x) => `(${x})`),
      tie("text").map((x) => `[${x}]`),
      tie("text").map((x) => `{${x}}`)
    )
  }))

  it.prop(
    "is total, and stable after the first time",
    [nonsense],
    ([text]) => {
      const once = translate(text)
      expect(translate(once)).toBe(once)
    },
    { fastCheck: { numRuns: 500 } }
  )

  it.prop(
    "never changes the content of a string",
    [nonsense, FastCheck.string()],
    ([tokens, text]) => {
      // Something in every literal that a rule would like to rewrite.
      const literal = `'v:a TOP 5 DATEADD(day, ${text.replaceAll("'", "''").replaceAll("\0", "")}'`
      const sql = tokens.replaceAll("'text'", () => literal)
      const strings = (of: string) =>
        Either.map(tokenize(of, duckdb), (all) =>
          all
            .filter((token) => token.kind === "string" && token.text.startsWith("'v:a TOP"))
            .map((token) => token.text)
        )
      const before = strings(sql)
      // A call's text may be repeated or a literal made a key; none is lost or altered.
      if (Either.isRight(before)) {
        expect(new Set(Either.getOrElse(strings(translate(sql)), () => []))).toEqual(new Set(before.right))
      }
    },
    { fastCheck: { numRuns: 300 } }
  )
})
