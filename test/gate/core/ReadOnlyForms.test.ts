import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck as fc } from "effect"
import { check } from "../../../src/gate/core/ReadOnly.js"
import type { Policy } from "../../../src/gate/core/ReadOnly.js"
import { shortOrLong } from "../../utils/long.js"

/**
 * Every form in which something can be called, in every place where an expression or a table can stand. Each
 * place is also tried with a function that is allowed, so that a gate that refuses everything fails too.
 */
const strict: Policy = { allowFunctions: [] }
const accepted = (sql: string): boolean => Either.isRight(check(sql, strict))

/** What stands before the bracket of a call that must be refused, whatever is in the bracket. */
const callees: ReadonlyArray<string> = [
  "evil",
  "EVIL",
  '"evil"',
  '"UPPER"',
  '"upper"',
  "sch.evil",
  "db.sch.evil",
  "db..evil",
  'db."sch".evil',
  "db . sch . evil",
  "evil /* c */",
  "a.b.c.d.evil",
  "x.UPPER",
  "IDENTIFIER('evil')",
  "IDENTIFIER('db.sch.evil')",
  "identifier ( 'evil' )",
  "IDENTIFIER($$db.sch.evil$$)",
  "IDENTIFIER('\"evil\"')",
  "IDENTIFIER($f)",
  "IDENTIFIER(:f)",
  "IDENTIFIER(:1)",
  "IDENTIFIER(?)",
  "IDENTIFIER($1)",
  "IDENTIFIER($db || '.evil')",
  "(IDENTIFIER('evil'))",
  "((IDENTIFIER('evil')))",
  "IDENTIFIER('UPPER')",
  "db.IDENTIFIER('evil')",
  "IDENTIFIER('db').sch.evil",
  "IDENTIFIER('evil')[0]",
  "IDENTIFIER('evil'):a",
  "IDENTIFIER('evil')::NUMBER(10)",
  "a::NUMBER(10, 2)",
  "a::ARRAY(INT)",
  "(evil)",
  "(UPPER)",
  "a[0]",
  "a:evil",
  "a:b.UPPER",
  "a::evil",
  "a::UPPER",
  "UPPER('x')",
  "UPPER('x').evil",
  "$f",
  "$1",
  ":f",
  ":UPPER",
  "?",
  "'evil'",
  "$$evil$$",
  "1",
  "evil!run",
  "evil!UPPER",
  "(SELECT 1)",
  "SYSTEM$WAIT",
  "system$wait",
  '"SYSTEM$WAIT"',
  "SYSTEM$CANCEL_QUERY",
  "SYSTEM$SHOW_OAUTH_CLIENT_SECRETS",
  "SYSTEM$NO_SUCH_THING",
  "sch.SYSTEM$TYPEOF",
  "SNOWFLAKE.CORTEX.COMPLETE",
  "SNOWFLAKE.CORE.EVIL",
  "other.CORE.GET_LINEAGE",
  "AI_COMPLETE",
  "TO_QUERY",
  "GETNEXTVAL",
  "RESULT_SCAN",
  "INFORMATION_SCHEMA.EVIL",
  "db.INFORMATION_SCHEMA.EVIL",
  "db.INFORMATION_SCHEMA.UPPER",
  '"INFORMATION_SCHEMA"."EVIL"',
  '"information_schema".TASK_HISTORY',
  "a.b.INFORMATION_SCHEMA.TASK_HISTORY",
  "INFORMATION_SCHEMA.QUERY_HISTORY"
]

/** Words of clauses, which can be names of functions where no clause is due. */
const words: ReadonlyArray<string> = (
  "AT BEFORE BERNOULLI BLOCK CHANGES CONNECT_BY_PATH CUBE DEFINE DIMENSIONS EXCLUDE FACTS FETCH FIRST FOLLOWING JOIN LAST " +
  "LATERAL LIMIT MATCH_CONDITION MATCH_NUMBER MATCH_RECOGNIZE MEASURES METRICS NEXT NULLS OFFSET OVER PATTERN PERMUTE " +
  "PIVOT PREV RECURSIVE RELATIONSHIPS RENAME REPEATABLE RESAMPLE ROLLUP SAMPLE SEED SEMANTIC SETS SYNONYMS SYSTEM " +
  "TABLES TOP UNPIVOT USING VARYING VECTOR VIEW WINDOW"
).split(" ")

const args: ReadonlyArray<string> = [
  "(1)",
  "()",
  "((SELECT 1))",
  "(SELECT 1)",
  "(VALUES (1))",
  "(a => 1)",
  "(*)"
]

/** Where an expression stands; `@` is the place. */
const expressions: ReadonlyArray<string> = [
  "SELECT @",
  "SELECT a, @ AS b FROM t",
  "SELECT DISTINCT @ FROM t",
  "SELECT TOP 5 @ FROM t",
  "SELECT -@",
  "SELECT NOT @",
  "SELECT 1 + @",
  "SELECT a || @ || b FROM t",
  "SELECT (@)",
  "SELECT ((@))",
  "SELECT ABS(@)",
  "SELECT COALESCE(a, @, 1) FROM t",
  "SELECT CASE WHEN @ THEN 1 END",
  "SELECT CASE @ WHEN 1 THEN 2 END",
  "SELECT CASE WHEN TRUE THEN @ ELSE 1 END",
  "SELECT CASE WHEN TRUE THEN 1 ELSE @ END",
  "SELECT [@]",
  "SELECT [1, @]",
  "SELECT {'a': @}",
  "SELECT {'a': 1, 'b': @}",
  "SELECT a[@] FROM t",
  "SELECT a:b[@] FROM t",
  "SELECT CAST(@ AS INT)",
  "SELECT TRY_CAST(@ AS NUMBER(10, 2))",
  "SELECT @::NUMBER(10, 2)",
  "SELECT EXTRACT(YEAR FROM @)",
  "SELECT TRIM(@ FROM a) FROM t",
  "SELECT SUBSTRING(@ FROM 1 FOR 2)",
  "SELECT POSITION(@ IN a) FROM t",
  "SELECT TRANSFORM(a, x -> @) FROM t",
  "SELECT REDUCE(a, 0, (x, y) -> x + @) FROM t",
  "SELECT * REPLACE (@ AS a) FROM t",
  "SELECT COUNT(DISTINCT @) FROM t",
  "SELECT SUM(@) OVER (ORDER BY a) FROM t",
  "SELECT SUM(a) OVER (PARTITION BY @) FROM t",
  "SELECT SUM(a) OVER (ORDER BY @ DESC NULLS LAST) FROM t",
  "SELECT LISTAGG(a, ',') WITHIN GROUP (ORDER BY @) FROM t",
  "SELECT LISTAGG(a) WITHIN GROUP (ORDER BY a), @ FROM t",
  "SELECT a FROM t WHERE @",
  "SELECT a FROM t WHERE a = @ AND b",
  "SELECT a FROM t WHERE a IN (1, @)",
  "SELECT a FROM t WHERE (a, @) IN (SELECT 1, 2)",
  "SELECT a FROM t WHERE a BETWEEN @ AND 2",
  "SELECT a FROM t WHERE a BETWEEN 1 AND @",
  "SELECT a FROM t WHERE a LIKE @ ESCAPE 'x'",
  "SELECT a FROM t WHERE a LIKE ANY ('x', @)",
  "SELECT a FROM t WHERE a IS DISTINCT FROM @",
  "SELECT a FROM t WHERE EXISTS (SELECT @)",
  "SELECT a FROM t WHERE a > ALL (SELECT @)",
  "SELECT a FROM t GROUP BY a, @",
  "SELECT a FROM t GROUP BY GROUPING SETS ((a), (@))",
  "SELECT a FROM t GROUP BY ALL HAVING @ > 1",
  "SELECT a FROM t QUALIFY @ = 1",
  "SELECT a FROM t ORDER BY @",
  "SELECT a FROM t START WITH @ CONNECT BY PRIOR a = b",
  "SELECT a FROM t CONNECT BY PRIOR a = @",
  "SELECT CONNECT_BY_ROOT @ FROM t CONNECT BY PRIOR a = b",
  "SELECT a FROM t JOIN u ON @",
  "SELECT a FROM t JOIN u ON t.a = u.a AND @",
  "SELECT a FROM t LEFT JOIN u ON (t.a = u.a) WHERE @",
  "SELECT a FROM t ASOF JOIN u MATCH_CONDITION (@ >= u.a)",
  "SELECT a FROM t, LATERAL (SELECT @) x",
  "SELECT a FROM t, LATERAL FLATTEN(input => @) f",
  "SELECT a FROM TABLE(FLATTEN(input => @)) f",
  "SELECT a FROM t AT(TIMESTAMP => @)",
  "SELECT a FROM t BEFORE(OFFSET => @) x",
  "SELECT a FROM t SAMPLE (@)",
  "SELECT a FROM t PIVOT (SUM(a) FOR b IN (SELECT @)) p",
  "SELECT a FROM t PIVOT (MAX(a) FOR b IN ('x') DEFAULT ON NULL (@)) p",
  "SELECT a FROM t MATCH_RECOGNIZE (PARTITION BY @ ORDER BY a PATTERN (x) DEFINE x AS TRUE)",
  "SELECT a FROM t MATCH_RECOGNIZE (ORDER BY @ PATTERN (x) DEFINE x AS TRUE)",
  "SELECT a FROM t MATCH_RECOGNIZE (ORDER BY a MEASURES b AS c, @ AS d PATTERN (x+ y*?) DEFINE x AS TRUE)",
  "SELECT a FROM t MATCH_RECOGNIZE (ORDER BY a PATTERN (x) DEFINE x AS @, y AS TRUE)",
  "SELECT a FROM SEMANTIC_VIEW(v METRICS m WHERE @)",
  "WITH v AS SEMANTIC VIEW TABLES (t) METRICS (t.m AS @) SELECT * FROM SEMANTIC_VIEW(v METRICS t.m)",
  "WITH v AS SEMANTIC VIEW TABLES (t) DIMENSIONS (t.d AS a, t.e AS @) SELECT 1",
  "VALUES (@)",
  "SELECT * FROM VALUES (1, @) AS v (a, b)",
  "SELECT * FROM (VALUES (@), (2)) v",
  "WITH x AS (SELECT @) SELECT * FROM x",
  "WITH x AS (SELECT 1) SELECT @ FROM x",
  "WITH x AS (SELECT 1), y (a) AS (SELECT @ UNION ALL SELECT 1) (SELECT * FROM y)",
  "WITH RECURSIVE r AS (SELECT @ AS n UNION ALL SELECT n + 1 FROM r) SELECT * FROM r",
  "SELECT 1 UNION ALL SELECT @",
  "(SELECT 1) EXCEPT (SELECT @)",
  "SELECT * FROM (SELECT @) x",
  "SELECT (SELECT @)",
  "EXPLAIN SELECT @",
  "EXPLAIN USING JSON WITH x AS (SELECT @) SELECT * FROM x",
  "SELECT 1 ->> SELECT @ FROM $1",
  "SHOW TABLES ->> SELECT @ FROM $1",
  "SELECT @ ->> SELECT * FROM $1"
]

/** Where a table, or a table function, stands. */
const tables: ReadonlyArray<string> = [
  "SELECT * FROM TABLE(@)",
  "SELECT * FROM TABLE(@) x (a, b)",
  "SELECT * FROM TABLE(@) AS x WHERE a = 1",
  "SELECT * FROM t, TABLE(@)",
  "SELECT * FROM t, LATERAL @",
  "SELECT * FROM t JOIN LATERAL @ ON TRUE",
  "SELECT * FROM LATERAL @",
  "SELECT * FROM t CROSS JOIN TABLE(@) x",
  "SELECT * FROM (TABLE(@))",
  "SELECT * FROM (t JOIN TABLE(@) ON TRUE)",
  "SELECT * FROM TABLE(@ OVER (PARTITION BY a))",
  "WITH x AS (SELECT * FROM TABLE(@)) SELECT * FROM x",
  "EXPLAIN SELECT * FROM TABLE(@)",
  "SELECT 1 ->> SELECT * FROM TABLE(@)"
]

/** Where no call may stand at all. */
const nowhere: ReadonlyArray<string> = [
  "SHOW TABLES LIKE @",
  "SHOW TABLES IN SCHEMA @",
  "SHOW TABLES IN @",
  "SHOW GRANTS ON TABLE @",
  "SHOW TABLES LIMIT @",
  "SHOW TABLES STARTS WITH @",
  "SHOW @",
  "DESC TABLE @",
  "DESCRIBE @",
  "DESC FUNCTION f(@)",
  "DESCRIBE SEMANTIC VIEW @",
  "EXPLAIN @",
  "@",
  "(@)",
  "SELECT 1 ->> @",
  "SELECT x::VARCHAR(@)",
  "SELECT CAST(x AS VARCHAR(@))",
  "SELECT x::ARRAY(@)",
  "SELECT x::OBJECT(a @)",
  "SELECT * EXCLUDE (@) FROM t",
  "SELECT * RENAME (@ AS b) FROM t",
  "SELECT * FROM t x (a, @)",
  "WITH x (@) AS (SELECT 1) SELECT 1",
  "SELECT * FROM t MATCH_RECOGNIZE (PATTERN (x 'y' @) DEFINE x AS TRUE)",
  "WITH v AS SEMANTIC VIEW TABLES (t UNIQUE (@)) SELECT 1",
  "WITH v AS SEMANTIC VIEW TABLES (t) RELATIONSHIPS (t (a) REFERENCES t (@)) SELECT 1",
  "SELECT * FROM t JOIN u USING (@)",
  "SELECT * FROM TABLE(t @)",
  "SELECT IDENTIFIER(@)",
  "SELECT * FROM IDENTIFIER(@)",
  "SELECT * FROM @ s",
  "SELECT SEMANTIC_VIEW(@)",
  "SELECT {@}",
  "SELECT {call @}"
]

const at = (place: string, text: string): string => place.replaceAll("@", () => text)
const wrong = (statements: ReadonlyArray<string>): ReadonlyArray<string> => statements.filter(accepted)

describe("a call that is not allowed", () => {
  it.each(callees)("is refused in every place: %s", (callee) => {
    const calls = args.map((list) => `${callee}${list}`)
    const all = [...expressions, ...tables, ...nowhere].flatMap((place) =>
      calls.map((call) => at(place, call))
    )
    // A list of columns behind the name of an alias is no call, and `x (a)` may be a table and its columns.
    expect(wrong(all)).toEqual([])
  })

  it.each(words)("is refused by the name of a clause where none is due: %s", (word) => {
    const calls = [word, word.toLowerCase(), `"${word}"`, `db.s.${word}`].flatMap((name) =>
      ["(1)", "((SELECT 1))"].map((list) => `${name}${list}`)
    )
    // The names of functions and the extensions of GROUP BY stay what they are in their own clause.
    const own = (place: string): boolean =>
      (/^(?:CUBE|ROLLUP)$/.test(word) && /GROUP BY a, @|SETS/.test(place)) ||
      (/^(?:FIRST|LAST|PREV|NEXT|MATCH_NUMBER)$/.test(word) && /MATCH_RECOGNIZE/.test(place))
    const all = expressions
      .filter((place) => !own(place))
      .flatMap((place) => calls.map((call) => at(place, call)))
    expect(wrong(all)).toEqual([])
  })

  it("leaves an allowed function in each of these places", () => {
    const missed = [
      ...expressions.flatMap((place) =>
        ["ABS(1)", "UPPER ( 'x' )", "nvl(a, 1)"].map((call) => at(place, call))
      ),
      ...tables.flatMap((place) =>
        ["FLATTEN(input => PARSE_JSON('[1]'))", "SPLIT_TO_TABLE('a.b', '.')"].map((call) => at(place, call))
      )
    ].filter((sql) => !accepted(sql))
    expect(missed).toEqual([])
  })

  it("leaves the lengths of a type, and nothing that is evaluated", () => {
    const lists = ["", "(10)", "(10, 2)"].map((list) => `SELECT x::NUMBER${list}`)
    expect(lists.filter((sql) => !accepted(sql))).toEqual([])
    const evaluated = [
      "()",
      "((1))",
      "(SELECT 1)",
      "((SELECT 1))",
      "('1')",
      "(a)",
      "(-1)",
      "(*)",
      "($1)",
      "(?)",
      "(1)(1)"
    ]
    expect(
      wrong(evaluated.flatMap((list) => [`SELECT x::NUMBER${list}`, `SELECT CAST(x AS VARCHAR${list})`]))
    ).toEqual([])
  })

  const spaces = fc.constantFrom(" ", "  ", "\n", "\t", " /* c */ ", " -- c\n", " // c\r\n")
  const dress = fc
    .record({
      place: fc.constantFrom(...expressions, ...tables),
      list: fc.constantFrom(...args),
      space: spaces,
      lower: fc.boolean(),
      brackets: fc.integer({ min: 0, max: 3 }),
      end: fc.constantFrom("", ";", " ; -- end", "\n")
    })
    .map(({ brackets, end, list, lower, place, space }) => (callee: string, calls: string): string => {
      const call = `${callee}${calls === "" ? list : calls}`
      const isTable = tables.includes(place)
      const inner = isTable ? call : `${"(".repeat(brackets)}${call}${")".repeat(brackets)}`
      const sql = at(place, inner)
      return (lower ? sql.toLowerCase() : sql).replace(/ /g, space) + end
    })

  it.prop(
    "is refused however it is dressed, where an allowed one in the same dress passes",
    [dress, fc.constantFrom(...callees)],
    ([dressed, callee]) => {
      expect(wrong([dressed(callee, "")])).toEqual([])
      const harmless = dressed("FLATTEN", "(INPUT => PARSE_JSON('[1]'))")
      expect([harmless, accepted(harmless)]).toEqual([harmless, true])
    },
    { fastCheck: { numRuns: shortOrLong(600, 3000) } }
  )
})

/** Statements that act, of more than one word. */
const statements: ReadonlyArray<string> = [
  "USE ROLE r",
  "USE WAREHOUSE w",
  "TRUNCATE TABLE t",
  "TRUNCATE TABLE IF EXISTS t",
  "REMOVE 'x'",
  "RM 'x'",
  "REMOVE @s",
  "LIST 'x'",
  "LS @s",
  "PUT 'file:///x' @s",
  "GET @s 'file:///x'",
  "EXECUTE IMMEDIATE 'x'",
  "EXECUTE IMMEDIATE $$x$$",
  "EXECUTE IMMEDIATE $x",
  "EXECUTE TASK t",
  "CALL p()",
  "CALL db.s.p(1)",
  "CALL IDENTIFIER('p')(1)",
  "BEGIN TRANSACTION",
  "BEGIN WORK",
  "SET x = 1",
  "SET (a, b) = (1, 2)",
  "UNSET x",
  "COPY INTO t FROM @s",
  "COPY INTO @s FROM t",
  "MERGE INTO t USING u ON TRUE WHEN MATCHED THEN DELETE",
  "COMMENT ON TABLE t IS 'x'",
  "COMMENT IF EXISTS ON VIEW v IS 'x'",
  "UNDROP TABLE t",
  "GRANT SELECT ON t TO ROLE r",
  "REVOKE SELECT ON t FROM ROLE r",
  "DROP TABLE t",
  "CREATE TABLE t (a INT)",
  "CREATE OR REPLACE VIEW v AS SELECT 1",
  "ALTER SESSION SET x = 1",
  "INSERT INTO t VALUES (1)",
  "INSERT OVERWRITE INTO t SELECT 1",
  "DELETE FROM t",
  "UPDATE t SET a = 1",
  "EXPLAIN DELETE FROM t",
  "DECLARE x INT",
  "LET x := 1",
  "RETURN 'x'",
  "START TRANSACTION",
  "DESCRIBE RESULT 'x'",
  "WITH p AS PROCEDURE () RETURNS INT LANGUAGE SQL AS $$ $$ CALL p()",
  "WITH x AS (SELECT 1) DELETE FROM t"
]

/** Where they try to stand; `SELECT 1` passes in those that take a query. */
const queries: ReadonlyArray<string> = [
  "@",
  "(@)",
  "EXPLAIN @",
  "SELECT 1 ->> @",
  "@ ->> SELECT * FROM $1",
  "SELECT * FROM (@)",
  "SELECT * FROM (@) x",
  "SELECT * FROM t, (@)",
  "SELECT * FROM t JOIN (@) ON TRUE",
  "SELECT * FROM LATERAL (@)",
  "SELECT (@)",
  "SELECT ABS((@))",
  "SELECT EXISTS (@)",
  "SELECT a FROM t WHERE a IN (@)",
  "SELECT CASE WHEN TRUE THEN (@) END",
  "SELECT [(@)]",
  "WITH x AS (@) SELECT * FROM x",
  "WITH x AS (SELECT 1) (@)",
  "SELECT 1 UNION ALL @",
  "SELECT 1 EXCEPT (@)",
  "SHOW TABLES ->> @"
]
const behind: ReadonlyArray<string> = [
  "SELECT * FROM TABLE(@)",
  "SELECT 1 @",
  "SELECT a FROM t @",
  "SELECT a FROM t x @",
  "SELECT a FROM t WHERE a = 1 @",
  "SELECT a FROM t GROUP BY a @",
  "SELECT a FROM t ORDER BY a @",
  "SELECT a FROM t LIMIT 1 @",
  "SELECT * @",
  "SELECT 1; @",
  "@; SELECT 1",
  "SHOW TABLES @",
  "SHOW TABLES IN SCHEMA a.b @",
  "SHOW TABLES LIKE 'x' @",
  "SHOW GRANTS TO ROLE r @",
  "DESC TABLE t @",
  "EXPLAIN SELECT 1 @",
  "WITH x AS (SELECT 1) @",
  "WITH x AS (SELECT 1), y AS @ SELECT 1",
  "VALUES (1) @"
]

describe("a statement that is no read", () => {
  it.each(statements)("is refused in every place: %s", (statement) => {
    const all = [...queries, ...behind].flatMap((place) => [
      at(place, statement),
      at(place, statement.toLowerCase()),
      at(place, `/* c */ ${statement} /* c */`)
    ])
    expect(wrong(all)).toEqual([])
  })

  it("leaves a query in the places that take one", () => {
    const missed = queries.flatMap((place) =>
      ["SELECT 1", "SELECT a FROM t", "WITH y AS (SELECT 1) SELECT * FROM y"].map((query) => at(place, query))
    )
    expect(missed.filter((sql) => !accepted(sql))).toEqual([])
  })

  it("leaves their verbs to columns, tables and aliases", () => {
    const names =
      "begin call comment commit copy get list load lock refresh remove return show truncate use".split(" ")
    const missed = names.flatMap((name) =>
      [
        `SELECT ${name}, ${name} AS b, t.${name}, ${name} c FROM t`,
        `SELECT a ${name} FROM t WHERE ${name} = 1 AND ${name} IS NULL ORDER BY ${name} DESC, ${name}`,
        `SELECT SUM(${name}) AS ${name}, v:${name}::INT FROM t GROUP BY ${name} HAVING ${name} > 1`,
        `SELECT * FROM ${name}`,
        `SELECT * FROM ${name} AS x JOIN db.s.${name} y ON x.a = y.a`,
        `SELECT * FROM t ${name} WHERE ${name}.a IN (1)`,
        `WITH ${name} AS (SELECT 1) SELECT * FROM ${name}`,
        `SELECT CASE WHEN ${name} THEN ${name} ELSE ${name} END`,
        `SELECT ABS(${name}), [${name}], {'${name}': ${name}} FROM t`
      ].filter((sql) => !accepted(sql))
    )
    expect(missed).toEqual([])
  })
})

/**
 * What the scan does not take for a call or a statement although it looks like one, what makes it safe, and
 * what stands right beside it.
 */
const exemptions: ReadonlyArray<{
  readonly what: string
  readonly takes: ReadonlyArray<string>
  readonly refuses: ReadonlyArray<string>
}> = [
  {
    what: "a list of columns behind an alias: names alone, directly behind a table, never in a condition",
    takes: [
      "SELECT * FROM t x (a, b)",
      "SELECT * FROM t AS x (a)",
      "SELECT * FROM (SELECT 1) x (a)",
      "SELECT * FROM TABLE(FLATTEN(a)) x (a), u y (b)",
      "SELECT * FROM t JOIN u x (a) ON TRUE JOIN v y (b) ON TRUE"
    ],
    refuses: [
      "SELECT * FROM t x (1)",
      "SELECT * FROM t x (a + 1)",
      "SELECT * FROM t x ((SELECT 1))",
      "SELECT * FROM t x (SELECT)",
      "SELECT * FROM t, x (a)",
      "SELECT * FROM t JOIN x (a)",
      "SELECT * FROM t JOIN u ON (a) x (a)",
      "SELECT * FROM t JOIN u USING (a) x (a)",
      "SELECT * FROM t JOIN u ON TRUE AND x (a)",
      "SELECT * FROM t x (a) (b)",
      "SELECT a x (b) FROM t",
      "SELECT * FROM t WHERE a x (b)"
    ]
  },
  {
    what: "the columns of a CTE: names alone",
    takes: ["WITH x (a, b) AS (SELECT 1, 2) SELECT * FROM x"],
    refuses: ["WITH x (a + 1) AS (SELECT 1) SELECT 1", "WITH x (f(1)) AS (SELECT 1) SELECT 1"]
  },
  {
    what: "the query behind WITH in brackets: only directly behind the definition",
    takes: ["WITH x AS (SELECT 1) (SELECT * FROM x)", "WITH x AS (SELECT 1), y AS (SELECT 2) ((SELECT 1))"],
    refuses: [
      "WITH x AS (SELECT (SELECT 1) (SELECT 2)) SELECT 1",
      "WITH x AS (SELECT 1) (SELECT 1) (SELECT 2)",
      "SELECT (1) (SELECT 2)",
      "SELECT * FROM (t) (SELECT 1)"
    ]
  },
  {
    what: "types: numbers, and types in ARRAY, MAP, OBJECT and VECTOR",
    takes: [
      "SELECT a::NUMBER(10, 2), a::VARCHAR(5), a::TIMESTAMP_NTZ(9)",
      "SELECT a::ARRAY(NUMBER(3, 0) NOT NULL), a::MAP(VARCHAR(3), INT), a::VECTOR(FLOAT, 256)",
      'SELECT CAST(a AS OBJECT(x VARCHAR, "y" ARRAY(INT) NOT NULL))'
    ],
    refuses: [
      "SELECT a::OBJECT(x)::f(1)",
      "SELECT a::OBJECT(x f(1))",
      "SELECT a::ARRAY(b)",
      "SELECT a::VARCHAR(b)",
      "SELECT a::VECTOR(FLOAT, (SELECT 1))",
      "SELECT a::ARRAY(UPPER(1))",
      "SELECT VARCHAR(1)",
      "SELECT f(1 AS VARCHAR(1))"
    ]
  },
  {
    what: "the outer join in the old way: a plus sign alone",
    takes: ["SELECT * FROM t, u WHERE t.a = u.a (+)"],
    refuses: ["SELECT * FROM t, u WHERE t.a = u.a (+1)", "SELECT * FROM t, u WHERE f(+ 1)", "SELECT f(+)(1)"]
  },
  {
    what: "columns of a star: names alone, behind a star, before FROM",
    takes: [
      "SELECT * EXCLUDE (a, b) RENAME (c AS d) FROM t",
      "SELECT t.* EXCLUDE (a), COUNT(* EXCLUDE (b)) FROM t"
    ],
    refuses: [
      "SELECT * EXCLUDE (f(a)) FROM t",
      "SELECT * EXCLUDE ((SELECT 1)) FROM t",
      "SELECT * RENAME (1) FROM t",
      "SELECT a EXCLUDE (b) FROM t",
      "SELECT a * EXCLUDE (b) FROM t",
      "SELECT *, EXCLUDE (b) FROM t",
      "SELECT * FROM t WHERE (a) RENAME (b)"
    ]
  },
  {
    what: "clauses of a table: in FROM, behind a table or a condition, with checked contents",
    takes: [
      "SELECT * FROM t AT(OFFSET => -60) SAMPLE (10) SEED (1)",
      "SELECT * FROM t PIVOT (SUM(a) FOR b IN ('x')) UNPIVOT (c FOR d IN (e, f))",
      "SELECT * FROM t JOIN u ON t.a = u.a PIVOT (SUM(a) FOR b IN ('x'))"
    ],
    refuses: [
      "SELECT AT(1) FROM t",
      "SELECT * FROM t WHERE PIVOT(1)",
      "SELECT * FROM t JOIN u ON AT(1)",
      "SELECT * FROM t JOIN u ON a = AT(1)",
      "SELECT * FROM t JOIN u ON CONNECT_BY_ROOT AT(1)",
      "SELECT * FROM t FETCH FIRST AT(1) ROWS ONLY",
      "SELECT * FROM t LIMIT AT(1)",
      "SELECT * FROM t JOIN u ON CASE WHEN a THEN IDENTIFIER('f') END (SELECT 1)",
      "SELECT * FROM t AT(TIMESTAMP => f())"
    ]
  },
  {
    what: "row patterns: names and quantifiers, once in MATCH_RECOGNIZE",
    takes: [
      "SELECT * FROM t MATCH_RECOGNIZE (PATTERN (^ a? (b | c)* d{2,3}? {- e -} $) DEFINE a AS TRUE)",
      "SELECT * FROM t MATCH_RECOGNIZE (PATTERN (PERMUTE(a, b+?)) DEFINE a AS TRUE)"
    ],
    refuses: [
      "SELECT * FROM t MATCH_RECOGNIZE (PATTERN (a 'x') DEFINE a AS TRUE)",
      "SELECT * FROM t MATCH_RECOGNIZE (PATTERN (a.b) DEFINE a AS TRUE)",
      "SELECT * FROM t MATCH_RECOGNIZE (PATTERN (a = 1) DEFINE a AS TRUE)",
      "SELECT * FROM t MATCH_RECOGNIZE (PATTERN (a[1]) DEFINE a AS TRUE)",
      "SELECT * FROM t MATCH_RECOGNIZE (PATTERN (a $x) DEFINE a AS TRUE)",
      "SELECT * FROM t MATCH_RECOGNIZE (PATTERN (a) DEFINE a AS PATTERN (b))",
      "SELECT * FROM t MATCH_RECOGNIZE (MEASURES PATTERN (b) AS c PATTERN (a) DEFINE a AS TRUE)",
      "SELECT PATTERN (a) FROM t",
      "SELECT a $ ) FROM t",
      "SELECT (a $) FROM t"
    ]
  },
  {
    what: "functions of row patterns: in MEASURES and DEFINE alone",
    takes: ["SELECT * FROM t MATCH_RECOGNIZE (MEASURES FIRST(a) AS b PATTERN (x) DEFINE x AS a > PREV(a))"],
    refuses: [
      "SELECT FIRST(a) FROM t",
      "SELECT * FROM t MATCH_RECOGNIZE (PARTITION BY FIRST(a) PATTERN (x) DEFINE x AS TRUE)",
      "SELECT * FROM t MATCH_RECOGNIZE (ORDER BY NEXT(a) PATTERN (x) DEFINE x AS TRUE)",
      "SELECT * FROM t MATCH_RECOGNIZE (PATTERN (x) DEFINE x AS a > (SELECT FIRST(a) FROM u))"
    ]
  },
  {
    what: "OVER, WITHIN GROUP, GROUPING SETS, CUBE and ROLLUP: behind what they belong to",
    takes: [
      "SELECT SUM(a) OVER (ORDER BY b), FIRST_VALUE(a) IGNORE NULLS OVER (ORDER BY b) FROM t",
      "SELECT LISTAGG(a) WITHIN GROUP (ORDER BY a) OVER () FROM t GROUP BY CUBE (a), ROLLUP (b), GROUPING SETS ((c))"
    ],
    refuses: [
      "SELECT OVER (a)",
      "SELECT a + OVER (1)",
      "SELECT SETS (1)",
      "SELECT CUBE (1) FROM t GROUP BY a",
      "SELECT a FROM t GROUP BY a + ROLLUP (1)",
      "SELECT a FROM t GROUP BY a HAVING CUBE (1)",
      "SELECT LISTAGG(a) WITHIN GROUP (ORDER BY a), CUBE (1) FROM t"
    ]
  },
  {
    what: "JOIN, LATERAL and USING: in FROM, behind a table",
    takes: [
      "SELECT * FROM t JOIN (u) USING (a)",
      "SELECT * FROM t, LATERAL (SELECT 1) x",
      "SELECT * FROM next JOIN u"
    ],
    refuses: [
      "SELECT USING (1)",
      "SELECT JOIN ((SELECT 1))",
      "SELECT LATERAL (SELECT 1)",
      "SELECT * FROM t JOIN u ON USING (a)",
      "SELECT * FROM t LATERAL VIEW f(a) x",
      "SELECT * FROM t JOIN u ON a = LATERAL (SELECT 1)",
      "SELECT * FROM t WHERE a = JOIN (b)"
    ]
  },
  {
    what: "semantic views: a name and clauses of expressions, and in WITH tables, keys and checked expressions",
    takes: [
      "SELECT * FROM SEMANTIC_VIEW(db.s.v METRICS a.b DIMENSIONS c WHERE a.d = 'x')",
      "SELECT * FROM SEMANTIC_VIEW(v DIMENSIONS a.* METRICS b.* WHERE a.c)",
      "SELECT * FROM SEMANTIC_VIEW(v DIMENSIONS a.b AS x, DATE_PART('year', a.c) y METRICS b.d z) AS r (p, q, s)",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS (a.b + a.c) * 2 AS x, ROUND(AVG(a.d), 2) WHERE (a.e OR a.f) AND a.g IS DISTINCT FROM 1)",
      "SELECT * FROM SEMANTIC_VIEW(v FACTS (a.b) DIMENSIONS (a.c))",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS ARRAY_AGG(a) WITHIN GROUP (ORDER BY a), SUM(b) OVER (ORDER BY c))",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS m VARIABLES least = 2000, region => 'West', factor = :1)",
      "SELECT * FROM SEMANTIC_VIEW(metrics DIMENSIONS dimensions.facts METRICS metrics.where_from, metrics.variables)",
      'SELECT * FROM SEMANTIC_VIEW("Db"."S"."v x" METRICS m), SEMANTIC_VIEW(d..w FACTS f) g JOIN SEMANTIC_VIEW(u METRICS n) h',
      "SELECT * FROM (SEMANTIC_VIEW(v METRICS m)) PIVOT (SUM(m) FOR d IN ('x')) ORDER BY 1 LIMIT 5",
      "SELECT * FROM SEMANTIC_VIEW(IDENTIFIER('d.s.v') METRICS m)",
      "SELECT d, AGG(m) * 10 FROM db.s.v WHERE e = 1 GROUP BY d HAVING AGG(m) > 2",
      "WITH v AS SEMANTIC VIEW TABLES (o AS db.s.t PRIMARY KEY (a) UNIQUE (b, c) COMMENT = 'x', u) " +
        "RELATIONSHIPS (r AS o (a) REFERENCES u (a)) FACTS (o.f AS a + 1) METRICS (o.m USING (r) AS SUM(o.f)) " +
        "SELECT * FROM SEMANTIC_VIEW(v METRICS o.m)"
    ],
    refuses: [
      "SELECT * FROM SEMANTIC_VIEW('v' METRICS a)",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS f(a))",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS facts(a))",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS a, metrics(b))",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS a AS facts(b))",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS a ILIKE facts(b))",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS CASE WHEN a THEN facts(b) END)",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS s.facts(b))",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS a FACTS (f(b)))",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS a METRICS (b))",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS a VARIABLES x = f())",
      "SELECT * FROM SEMANTIC_VIEW(f(1) METRICS a)",
      "SELECT * FROM SEMANTIC_VIEW($v METRICS a)",
      "SELECT * FROM SEMANTIC_VIEW((SELECT 1) METRICS a)",
      "SELECT * FROM SEMANTIC_VIEW(SELECT 1)",
      "SELECT * FROM SEMANTIC_VIEW(v, w METRICS a)",
      "SELECT * FROM SEMANTIC_VIEW(v w METRICS a)",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS (SELECT MAX(b) FROM t))",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS a WHERE b IN (SELECT c FROM t))",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS a WHERE EXISTS ((SELECT 1)))",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS a WHERE b = (WITH x AS (SELECT 1) SELECT * FROM x))",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS a FROM t)",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS a UNION SELECT 1)",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS a GROUP BY b)",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS a ORDER BY b LIMIT 1)",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS a INTO b)",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS a DELETE FROM b)",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS a ->> DROP TABLE b)",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS s.NEXTVAL)",
      "SELECT * FROM SEMANTIC_VIEW(v METRICS SEMANTIC_VIEW(w METRICS b))",
      "SELECT SEMANTIC_VIEW(v METRICS a)",
      "SELECT 1 WHERE 1 = SEMANTIC_VIEW(v METRICS a)",
      "SELECT * FROM s.SEMANTIC_VIEW(v METRICS a)",
      "CREATE SEMANTIC VIEW v TABLES (t) METRICS (t.m AS 1)",
      "ALTER SEMANTIC VIEW v SET COMMENT = 'x'",
      "DROP SEMANTIC VIEW v",
      "CALL SYSTEM$CREATE_SEMANTIC_VIEW_FROM_YAML('d.s', 'x')",
      "WITH v AS SEMANTIC VIEW SELECT 1",
      "WITH v AS SEMANTIC VIEW METRICS (a AS 1) SELECT 1",
      "WITH v AS SEMANTIC VIEW TABLES () SELECT 1",
      "WITH v AS SEMANTIC VIEW TABLES (f(1)) SELECT 1",
      "WITH v AS SEMANTIC VIEW TABLES ('x') SELECT 1",
      "WITH v AS SEMANTIC VIEW TABLES ((SELECT 1)) SELECT 1",
      "WITH v AS SEMANTIC VIEW TABLES (t PRIMARY KEY (f(1))) SELECT 1",
      "WITH v AS SEMANTIC VIEW TABLES (t WITH SYNONYMS (f(1))) SELECT 1",
      "WITH v AS SEMANTIC VIEW TABLES (t) RELATIONSHIPS (t REFERENCES u) SELECT 1",
      "WITH v AS SEMANTIC VIEW TABLES (t) METRICS (t.m AS f(1)) SELECT 1",
      "WITH v AS SEMANTIC VIEW TABLES (t) DROP TABLE t",
      "WITH v AS SEMANTIC VIEW TABLES (t), p AS PROCEDURE () RETURNS INT AS $$ $$ CALL p()",
      "SELECT METRICS (t.m USING (a)) FROM t"
    ]
  },
  {
    what: "IDENTIFIER: one name, of texts and variables, and no bracket behind it",
    takes: [
      "SELECT IDENTIFIER('a.b') FROM IDENTIFIER('db.s.t') x",
      "SELECT * FROM IDENTIFIER($x), TABLE($y), IDENTIFIER($db || '.s.' || $t)"
    ],
    refuses: [
      "SELECT IDENTIFIER('f')(1)",
      "SELECT IDENTIFIER('@s')",
      "SELECT * FROM IDENTIFIER('a' || '@s/x')",
      "SELECT * FROM IDENTIFIER($x || ' (1)')",
      "SELECT IDENTIFIER('s.' || 'nextval')",
      "SELECT IDENTIFIER('s.' || $$nextval$$)",
      "SELECT IDENTIFIER(UPPER('f'))",
      "SELECT IDENTIFIER('f', 1)",
      "SELECT IDENTIFIER(f)",
      "SELECT IDENTIFIER()"
    ]
  },
  {
    what: "TABLE(...): a name or one call, and nothing behind it",
    takes: ["SELECT * FROM TABLE(FLATTEN(a)), TABLE('db.s.t'), TABLE(db.s.t), TABLE(?)"],
    refuses: [
      "SELECT * FROM TABLE(t u)",
      "SELECT * FROM TABLE(t, u)",
      "SELECT * FROM TABLE(FLATTEN(a) FLATTEN(b))",
      "SELECT * FROM TABLE('@s/x')",
      "SELECT * FROM TABLE(('@s/x'))",
      "SELECT * FROM TABLE(COMMIT)",
      "SELECT * FROM TABLE t",
      "SELECT (TABLE t)",
      "SELECT a FROM t WHERE a IN (TABLE u)",
      "SELECT * FROM TABLE()"
    ]
  },
  {
    what: "paths and objects: what follows a colon or a dot is a name there, no call and no clause",
    takes: [
      "SELECT a:from.order['x'][0]::INT, {'from': 1, 'b': UPPER('x')}, {*}, {t.*}, {ts '2020-01-01'} FROM t"
    ],
    refuses: [
      "SELECT a:f(1)",
      "SELECT :f(1)",
      "SELECT a.b:c.f(1)",
      "SELECT {a: f(1)}",
      "SELECT {call f(1)}",
      "SELECT {fn f(1)}",
      "SELECT . FROM t",
      "SELECT 1 . a",
      "SELECT * FROM :from, '@s/x'"
    ]
  },
  {
    what: "rows of VALUES without brackets: plain literals, no text that could be a file",
    takes: ["SELECT * FROM VALUES 1, -2.5, 'x', NULL, TRUE AS v (a), t"],
    refuses: [
      "SELECT * FROM VALUES 1, '@s/x'",
      "SELECT * FROM VALUES 's3://b/x'",
      "SELECT * FROM VALUES 1, f(1)",
      "SELECT * FROM VALUES 1 v, 'x'",
      "SELECT * FROM t, 'x'"
    ]
  },
  {
    what: "words before a quote: those of clauses and dates, no prefix of a literal",
    takes: ["SELECT DATE'2024-01-31', CASE WHEN a LIKE'x'THEN'y'ELSE'z'END FROM t WHERE b IN('x')"],
    refuses: [
      "SELECT N'x'",
      "SELECT E'x'",
      "SELECT r'x'",
      "SELECT q'x'",
      "SELECT _utf8'x'",
      "SELECT b'1'",
      "SELECT f'x'"
    ]
  },
  {
    what: "SHOW and DESCRIBE: kinds, names, patterns, numbers and types in a fixed order",
    takes: [
      "SHOW TABLES LIKE 'x' IN SCHEMA db.s STARTS WITH 'a' LIMIT 5 FROM 'b'",
      "SHOW GRANTS ON FUNCTION db.s.f(NUMBER(10, 2), VARCHAR)",
      "SHOW TABLES IN SCHEMA IDENTIFIER($a || '.b')",
      "DESC FUNCTION f(NUMBER(10, 2))"
    ],
    refuses: [
      "SHOW TABLES IN SCHEMA a b",
      "SHOW TABLES IN SCHEMA a.b.c.d.e.f",
      "SHOW TABLES LIKE x",
      "SHOW TABLES LIKE 'x' LIKE 'y'",
      "SHOW TABLES LIMIT 1 2",
      "SHOW TABLES IN SCHEMA a, b",
      "SHOW GRANTS ON FUNCTION f((SELECT 1))",
      "SHOW GRANTS ON TABLE f(INT)",
      "SHOW WAREHOUSES WITH PRIVILEGES DROP",
      "SHOW SNOWFLAKE.ML.FORECAST!f()",
      "SHOW OTHER.ML.FORECAST",
      "DESC FUNCTION f(g(1))"
    ]
  }
]

describe("an exemption of the scan", () => {
  it.each(exemptions)("is bounded: $what", ({ refuses, takes }) => {
    expect(takes.filter((sql) => !accepted(sql))).toEqual([])
    expect(wrong(refuses)).toEqual([])
  })
})

describe("functions of SYSTEM$", () => {
  const acting = (
    "ABORT_SESSION ABORT_TRANSACTION ADD_REFERENCE AUTHORIZE_PRIVATELINK CANCEL_ALL_QUERIES CANCEL_QUERY " +
    "CONVERT_PIPES_SQS_TO_SNS CREATE_BILLING_EVENT DISABLE_DATABASE_REPLICATION ENABLE_BEHAVIOR_CHANGE_BUNDLE " +
    "EXECUTE_CATALOG_OPERATION EVALUATE_DATA_QUALITY_EXPECTATIONS_PERSIST_RESULT FETCH_EXTERNAL_SECRET_FROM_INTEGRATION " +
    "FINISH_OAUTH_FLOW GENERATE_SCIM_ACCESS_TOKEN GLOBAL_ACCOUNT_SET_PARAMETER ISSUE_WORKLOAD_IDENTITY_FEDERATION_TOKEN " +
    "LOG_INFO PIPE_FORCE_RESUME QUERY_REFERENCE REFERENCE REGISTER_PRIVATELINK_ENDPOINT REMOVE_REFERENCE SEND_EMAIL " +
    "SEND_SNOWFLAKE_NOTIFICATION SET_REFERENCE SET_RETURN_VALUE SHOW_OAUTH_CLIENT_SECRETS START_OAUTH_FLOW " +
    "TASK_DEPENDENTS_ENABLE TRIGGER_LISTING_REFRESH USER_TASK_CANCEL_ONGOING_EXECUTIONS WAIT WAIT_FOR_SERVICES"
  ).split(" ")
  const telling = (
    "ALLOWLIST AUTO_REFRESH_STATUS CATALOG_LINK_STATUS DESC_ICEBERG_ACCESS_IDENTITY EXPLAIN_SEMANTIC_QUERY GET_CMK_INFO " +
    "GET_PRIVATELINK_CONFIG GET_SNOWFLAKE_PLATFORM_INFO ICEBERG_METADATA IS_LISTING_TRIAL LIST_NAMESPACES_FROM_CATALOG " +
    "READ_YAML_FROM_SEMANTIC_VIEW SHOW_EVENT_SHARING_ACCOUNTS STREAM_HAS_DATA TASK_RUNTIME_INFO VERIFY_EXTERNAL_VOLUME"
  ).split(" ")

  it("that act or reveal secrets are refused whatever an operator allows", () => {
    const wrongly = acting.filter((name) =>
      Either.isRight(check(`SELECT SYSTEM$${name}('x')`, { allowFunctions: [`SYSTEM$${name}`] }))
    )
    expect(wrongly).toEqual([])
  })

  it("that tell of the account are refused until an operator allows them by name", () => {
    const verdicts = telling.map((name) => {
      const sql = `SELECT SYSTEM$${name}('x')`
      return [name, accepted(sql), Either.isRight(check(sql, { allowFunctions: [`SYSTEM$${name}`] }))]
    })
    expect(verdicts).toEqual(telling.map((name) => [name, false, true]))
  })

  it("that explain a statement do not explain another client's by its id", () => {
    expect(accepted("SELECT SYSTEM$EXPLAIN_PLAN_JSON('SELECT 1')")).toBe(true)
    expect(
      wrong([
        "SELECT SYSTEM$EXPLAIN_PLAN_JSON('01b2c3d4-0000-0000-0000-000000000001')",
        "SELECT SYSTEM$EXPLAIN_PLAN_JSON(' 01b2c3d4-0000-0000-0000-000000000001 ')",
        "SELECT SYSTEM$EXPLAIN_PLAN_JSON('01b2' || ' ' || a) FROM t",
        "SELECT SYSTEM$EXPLAIN_PLAN_JSON('a b' || a) FROM t",
        "SELECT SYSTEM$EXPLAIN_PLAN_JSON(LAST_QUERY_ID())",
        "SELECT SYSTEM$EXPLAIN_PLAN_JSON($x)"
      ])
    ).toEqual([])
  })
})
