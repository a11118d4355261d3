import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck as fc } from "effect"
import { readsOf } from "../../../src/gate/core/Masking.js"
import * as Gate from "../../../src/gate/core/ReadOnly.js"
import type { Known, Masking, Table } from "../../../src/sql/MaskRules.js"
import { snowflake } from "../../../src/sql/Dialect.js"
import { tokenize } from "../../../src/sql/Lexer.js"
import { attacks } from "../../masking/attacks.js"
import { shortOrLong } from "../../utils/long.js"

const key = ["1".repeat(64), "2".repeat(64)] as const

const column = (name: string, type = "VARCHAR(100)") => ({ name, type })
const tables: { readonly [name: string]: Known } = {
  "D.S.T": { isTable: true, columns: [column("ID"), column("E"), column("N", "NUMBER(38,0)")] },
  'D.S."t 2"': { isTable: true, columns: [column("ID"), column("e")] },
  "D.S.U": { isTable: true, columns: [column("ID"), column("F")] },
  "D.HR.P": { isTable: true, columns: [column("SALARY", "GEOGRAPHY"), column("X")] },
  "D.S.V": { isTable: false, columns: [column("E")] },
  "D.S.L": { isTable: false, columns: [column("E")] },
  "D.S.O": { isTable: true },
  "D.PUBLIC.O": { isTable: true }
}

const nameOf = (table: Table) => table.map((part) => (/^[A-Z_]+$/.test(part) ? part : `"${part}"`)).join(".")

const masking: Masking = {
  masks: {
    "D.S.T.E": "token",
    "D.S.T.N": "null",
    'D.S."t 2".E': "hidden",
    "*.HR.*.SALARY": "token",
    "D.S.L.E": "token"
  },
  known: (table) => tables[nameOf(table)],
  key
}

const place = { allowFunctions: [], database: "D", schema: "S" }
const check = (sql: string, more: Partial<Gate.Policy> = {}) =>
  Gate.check(sql, { ...place, masking, ...more })

const digest = (of: string) =>
  `'tok_' || LEFT(SHA2('${key[1]}' || SHA2('${key[0]}' || CAST("${of}" AS VARCHAR), 256), 256), 24) AS "${of}"`
const T = `SELECT "ID", ${digest("E")}, CASE WHEN FALSE THEN "N" END AS "N" FROM "D"."S"."T"`

describe("a query with masked columns", () => {
  it.each([
    ["SELECT E FROM T", `WITH SG_MASKED_1 AS (${T}) SELECT E FROM SG_MASKED_1 AS "T"`],
    ["select x.e from s.t x", `WITH SG_MASKED_1 AS (${T}) select x.e from SG_MASKED_1 x`],
    [
      "SELECT D.S.T.E, S.T.*, E FROM T",
      `WITH SG_MASKED_1 AS (${T}) SELECT "T".E, "T".*, E FROM SG_MASKED_1 AS "T"`
    ],
    [
      'SELECT "e" FROM "t 2" AS q',
      `WITH SG_MASKED_1 AS (SELECT "ID", '(hidden)' AS "e" FROM "D"."S"."t 2") SELECT "e" FROM SG_MASKED_1 AS q`
    ],
    ["SELECT F FROM U", 'SELECT F FROM "D"."S"."U"'],
    ["SELECT S.U.F FROM S.U", 'SELECT "U".F FROM "D"."S"."U"'],
    [
      "WITH T AS (SELECT * FROM T) SELECT T.E FROM T",
      `WITH SG_MASKED_1 AS (${T}), SG_WITH_1 AS (SELECT * FROM SG_MASKED_1 AS "T") SELECT T.E FROM SG_WITH_1 AS "T"`
    ],
    [
      "WITH RECURSIVE r AS (SELECT E FROM T UNION ALL SELECT E FROM r) SELECT * FROM r q",
      `WITH RECURSIVE SG_MASKED_1 AS (${T}), SG_WITH_1 AS (SELECT E FROM SG_MASKED_1 AS "T" UNION ALL SELECT E FROM SG_WITH_1 AS "R") SELECT * FROM SG_WITH_1 q`
    ],
    [
      "SELECT * FROM T PIVOT (MAX(E) FOR ID IN (1)) AS p",
      `WITH SG_MASKED_1 AS (${T}) SELECT * FROM SG_MASKED_1 PIVOT (MAX(E) FOR ID IN (1)) AS p`
    ],
    [
      "SELECT SALARY FROM D.HR.P",
      'WITH SG_MASKED_1 AS (SELECT CASE WHEN FALSE THEN "SALARY" END AS "SALARY", "X" FROM "D"."HR"."P") SELECT SALARY FROM SG_MASKED_1 AS "P"'
    ],
    ["SELECT SG_MASKED_1 FROM U", 'SELECT SG_MASKED_1 FROM "D"."S"."U"'],
    ["SELECT E AS SG_X FROM T", `WITH SGX_MASKED_1 AS (${T}) SELECT E AS SG_X FROM SGX_MASKED_1 AS "T"`],
    [
      "SELECT E FROM L",
      `WITH SG_MASKED_1 AS (SELECT ${digest("E")} FROM "D"."S"."L") SELECT E FROM SG_MASKED_1 AS "L"`
    ],
    ["SELECT 1", "SELECT 1"]
  ])("is written anew: %s", (sql, expected) => {
    expect(Either.map(check(sql), ({ canonical }) => canonical)).toEqual(Either.right(expected))
  })

  it("is told without the key of its tokens, and its limit stands at its end", () => {
    const { appendedLimit, canonical, logged, tables } = Either.getOrThrow(
      check("SELECT E FROM T", { appendLimit: 7 })
    )
    expect(appendedLimit).toBe(7)
    expect(canonical).toContain(key[0])
    expect(canonical).toMatch(/ LIMIT 7$/)
    expect(logged).toBe(canonical.replaceAll(key[0], "***").replaceAll(key[1], "***"))
    expect(tables).toEqual(["T"])
  })

  it("is refused until all that it reads has been looked up, and says what has not", () => {
    const verdict = check("SELECT * FROM T, NEW, X.Y.Z WHERE EXISTS (SELECT 1 FROM NEW)")
    expect(Either.flip(verdict).pipe(Either.getOrThrow).lookUp).toEqual([
      ["D", "S", "NEW"],
      ["X", "Y", "Z"]
    ])
    const noColumns = { ...masking, known: () => ({ isTable: true }) }
    expect(
      Either.flip(check("SELECT ID FROM T", { masking: noColumns })).pipe(Either.getOrThrow).lookUp
    ).toEqual([["D", "S", "T"]])
  })

  it("that needs tokens is refused where there is no key", () => {
    const { key: _, ...withoutKey } = masking
    expect(Either.isLeft(check("SELECT * FROM T", { masking: withoutKey }))).toBe(true)
    expect(Either.isRight(check('SELECT * FROM "t 2"', { masking: withoutKey }))).toBe(true)
  })

  it.each([
    ["SELECT * FROM V", /V is a view/],
    ["SELECT * FROM T AT(OFFSET => -60)", /AT is not available on D\.S\.T/],
    ["SELECT * FROM T BEFORE(STATEMENT => 'x')", /BEFORE is not available/],
    ["SELECT * FROM T CHANGES(INFORMATION => DEFAULT) AT(OFFSET => -1)", /CHANGES is not available/],
    ["SELECT * FROM U AT(STREAM => 'D.S.X')", /streams and stages/],
    ["SELECT * FROM IDENTIFIER('T')", /IDENTIFIER is not available/],
    ["SELECT * FROM IDENTIFIER($x)", /cannot be masked|IDENTIFIER/],
    ["SELECT * FROM TABLE('T')", /cannot be masked/],
    ["SELECT * FROM $x", /cannot be masked/],
    ["SELECT * FROM :x", /cannot be masked/],
    ["SELECT 1 ->> SELECT * FROM $1", /chains/],
    ["EXPLAIN SELECT 1", /EXPLAIN/],
    ["SHOW WAREHOUSES", /SHOW of this kind/],
    ["DESCRIBE TASK X", /DESCRIBE of this kind/],
    ["DESC SEMANTIC VIEW X", /DESC of semantic views/],
    ["SHOW SEMANTIC FACTS IN X", /SHOW of semantic views/],
    ["SELECT CURRENT_STATEMENT()", /CURRENT_STATEMENT/],
    ["SELECT GET_DDL('TABLE', 'T')", /GET_DDL/],
    ["SELECT * FROM SNOWFLAKE.ACCOUNT_USAGE.QUERY_HISTORY", /SNOWFLAKE tells of statements/],
    ["SELECT * FROM TABLE(INFORMATION_SCHEMA.TASK_HISTORY())", /TASK_HISTORY is not available/],
    ["SELECT * FROM INFORMATION_SCHEMA.LOAD_HISTORY", /LOAD_HISTORY is not available/],
    ["SELECT * FROM SEMANTIC_VIEW(V METRICS m)", /SEMANTIC_VIEW is not available/],
    ["WITH s AS SEMANTIC VIEW TABLES (T) METRICS (T.m AS COUNT(*)) SELECT 1", /semantic views/],
    ["VALUES ((SELECT MAX(E) FROM T))", /VALUES with tables/],
    ["SELECT * FROM A.B.C.D", /not known which database/]
  ])("is refused with the reason: %s", (sql, expected) => {
    const verdict = check(sql, { allowFunctions: ["QUERY_HISTORY", "CURRENT_STATEMENT"] })
    const { reason, words = "" } = Either.flip(verdict).pipe(Either.getOrThrow)
    expect(`${reason}: ${words}`).toMatch(expected)
  })

  it("is refused where its names are looked up in a place that is not known", () => {
    const verdict = check("SELECT * FROM T", { database: undefined, schema: undefined })
    expect(Either.flip(verdict).pipe(Either.getOrThrow).reason).toMatch(/not known which database/)
  })

  it.each(["SHOW TABLES", "SHOW COLUMNS IN TABLE T", "DESCRIBE TABLE T", "DESCRIBE VIEW V"])(
    "may ask for %s",
    (sql) => {
      expect(Either.isRight(check(sql))).toBe(true)
    }
  )

  it("may read a view that an operator allows by its name", () => {
    const objects = { allow: ["D.S", "D.S.V"], deny: [] }
    expect(Either.isRight(check("SELECT * FROM D.S.V", { objects }))).toBe(true)
    expect(Either.isRight(check("SELECT * FROM D.S.V", { objects: { allow: ["D.S"], deny: [] } }))).toBe(
      false
    )
    expect(Either.isRight(check("SELECT * FROM D.S.V", { objects: { allow: ["D.*.V"], deny: [] } }))).toBe(
      false
    )
  })

  it("reads the table of the current schema, whatever there is of that name in PUBLIC", () => {
    expect(Either.map(check("SELECT * FROM O"), ({ canonical }) => canonical)).toEqual(
      Either.right('SELECT * FROM "D"."S"."O"')
    )
  })

  it("stays as it is for a tier without masks", () => {
    for (const sql of attacks) {
      const plain = Gate.check(sql, place)
      expect(Gate.check(sql, { ...place, masking: { ...masking, masks: {} } })).toEqual(plain)
    }
  })
})

describe("the text of a view", () => {
  const view = ["D", "S", "V"]
  const reads = (text: string) =>
    Either.map(readsOf(text, view), ({ ctes, tables }) => ({
      tables: tables.map((places) => places.map((table) => table.join(".")).join(" or ")),
      ctes: ctes.map((cte) => cte.join("."))
    }))

  it.each<[string, ReadonlyArray<string>, ReadonlyArray<string>?]>([
    ["CREATE VIEW V AS SELECT * FROM T", ["D.S.T"]],
    [
      "create or replace secure view x.y.v (a comment 'AS SELECT 1 FROM', b) comment = 'AS' as select 1 from t;",
      ["D.S.T"]
    ],
    ['CREATE VIEW "AS" AS SELECT * FROM "t" -- FROM U\n, X.U', ["D.S.t", "D.X.U"]],
    ["CREATE VIEW D.AS.V AS (SELECT 1 FROM A..T UNION ALL SELECT 2 FROM A.B.C)", ["A.PUBLIC.T", "A.B.C"]],
    ["CREATE MATERIALIZED VIEW IF NOT EXISTS V COPY GRANTS CLUSTER BY (E) AS SELECT E FROM T", ["D.S.T"]],
    ["CREATE RECURSIVE VIEW V (N) AS SELECT 1 UNION ALL SELECT N + 1 FROM V", ["D.S.V"]],
    ["CREATE VIEW V WITH ROW ACCESS POLICY p ON (ID) WITH TAG (t = 'AS') AS SELECT ID FROM U", ["D.S.U"]],
    ["CREATE VIEW V AS WITH T AS (SELECT E FROM T) SELECT * FROM T, O", ["D.S.T", "D.S.O"], ["D.S.T"]],
    [
      "CREATE VIEW V AS SELECT f.VALUE FROM T, LATERAL FLATTEN(INPUT => N) f, LATERAL (SELECT 1 FROM U) l",
      ["D.S.T", "D.S.U"]
    ],
    [
      "CREATE VIEW V AS SELECT (SELECT MAX(E) FROM T AT(OFFSET => -60)) FROM TABLE(GENERATOR(ROWCOUNT => 2))",
      ["D.S.T"]
    ],
    ["CREATE VIEW V AS SELECT TABLE_NAME FROM INFORMATION_SCHEMA.TABLES", ["D.INFORMATION_SCHEMA.TABLES"]],
    ["CREATE VIEW V AS SELECT 1 AS N", []]
  ])("says what the view reads, in the view's own schema: %s", (text, tables, ctes = []) => {
    expect(reads(text)).toEqual(Either.right({ tables, ctes }))
  })

  it.each([
    "SELECT * FROM T",
    "",
    "CREATE VIEW V",
    "CREATE TABLE V AS SELECT * FROM T",
    "CREATE DYNAMIC TABLE V TARGET_LAG = '1 minute' WAREHOUSE = W AS SELECT * FROM T",
    "CREATE SEMANTIC VIEW V TABLES (T) METRICS (T.m AS COUNT(*))",
    "CREATE VIEW V AS SELECT * FROM T; SELECT 1",
    "CREATE VIEW V AS SELECT MY_FUNCTION(ID) FROM U",
    "CREATE VIEW V AS SELECT * FROM TABLE(MY_FUNCTION(1))",
    "CREATE VIEW V AS SELECT * FROM IDENTIFIER('T')",
    "CREATE VIEW V AS SELECT * FROM TABLE('T')",
    "CREATE VIEW V AS SELECT * FROM $t",
    "CREATE VIEW V AS SELECT $1 FROM @stage",
    "CREATE VIEW V AS SELECT * FROM '@stage/f.csv'",
    "CREATE VIEW V AS SELECT * FROM TABLE(RESULT_SCAN('01a0'))",
    "CREATE VIEW V AS SELECT * FROM TABLE(INFORMATION_SCHEMA.QUERY_HISTORY())",
    "CREATE VIEW V AS SELECT * FROM SEMANTIC_VIEW(S METRICS m)",
    "CREATE VIEW V AS SELECT GET_DDL('TABLE', 'T')",
    "CREATE VIEW V AS SELECT 'open FROM T"
  ])("is refused where what it reads is not certain: %s", (text) => {
    expect(Either.isLeft(reads(text))).toBe(true)
  })
})

describe("a view that no operator names", () => {
  const views: { readonly [name: string]: string } = {
    GOOD: "SELECT F FROM U",
    UPON: "SELECT F FROM GOOD JOIN S.GOOD g USING (F)",
    BAD: "SELECT F FROM UPON UNION ALL SELECT E FROM T",
    UPONBAD: "SELECT * FROM GOOD, BAD",
    WILD: "SELECT X FROM HR.P",
    UPONLISTED: "SELECT E FROM L",
    SHADOW: "WITH T AS (SELECT F FROM U) SELECT F FROM T",
    FREE: "WITH NONE AS (SELECT F FROM U) SELECT F FROM NONE",
    UNSEEN: "SELECT F FROM NONE",
    NEW: "SELECT F FROM U, N.A, N.B",
    ROUND: "SELECT F FROM TURN",
    TURN: "SELECT F FROM U UNION ALL SELECT F FROM ROUND",
    ACCOUNT: "SELECT QUERY_TEXT FROM SNOWFLAKE.ACCOUNT_USAGE.QUERY_HISTORY",
    LOADS: "SELECT * FROM INFORMATION_SCHEMA.LOAD_HISTORY",
    ...Object.fromEntries(
      Array.from({ length: 14 }, (_, at) => [
        `DEEP_${at}`.replace(/\d+/, (n) => "X".repeat(Number(n) + 1)),
        at === 0 ? "SELECT F FROM U" : `SELECT F FROM DEEP_${"X".repeat(at)}`
      ])
    )
  }
  const known = (table: Table): Known | undefined => {
    const name = nameOf(table)
    if (name === "D.S.NONE") return { isTable: false, isAbsent: true }
    const text = table[1] === "S" ? views[table[2] ?? ""] : undefined
    if (text === undefined) return tables[name]
    return { isTable: false, reads: Either.getOrThrow(readsOf(`CREATE VIEW V AS ${text}`, table)) }
  }
  const ask = (view: string, more: Partial<Gate.Policy> = {}) =>
    check(`SELECT * FROM ${view}`, { masking: { ...masking, known }, ...more })

  it.each(["GOOD", "UPON", "FREE", "DEEP_X", "DEEP_XXXXXXXXXX"])(
    "is read where none of its tables has masks: %s",
    (view) => {
      expect(Either.map(ask(view), ({ canonical }) => canonical)).toEqual(
        Either.right(`SELECT * FROM "D"."S"."${view}"`)
      )
    }
  )

  it.each([
    ["BAD", /^the view D\.S\.BAD reads D\.S\.T, which has masked columns$/],
    ["UPONBAD", /^the view D\.S\.BAD below D\.S\.UPONBAD reads D\.S\.T, which/],
    ["WILD", /reads D\.HR\.P, which has masked columns/],
    ["UPONLISTED", /reads D\.S\.L, which has masked columns/],
    ["SHADOW", /reads D\.S\.T, which has masked columns/],
    ["UNSEEN", /reads D\.S\.NONE, which this role does not see/],
    ["ROUND", /reads itself/],
    ["TURN", /reads itself/],
    ["ACCOUNT", /SNOWFLAKE, which tells of statements/],
    ["LOADS", /reads D\.INFORMATION_SCHEMA\.LOAD_HISTORY/],
    ["DEEP_XXXXXXXXXXXXXX", /more than 10 views/]
  ])("is refused with the table that it shows: %s", (view, reason) => {
    expect(Either.flip(ask(view)).pipe(Either.getOrThrow)).toMatchObject({
      code: "OBJECT_NOT_ALLOWED",
      words: expect.stringMatching(reason)
    })
  })

  it("is not decided on before its tables have been looked up, beside those of the statement", () => {
    expect(Either.flip(ask("NEW, NEWER")).pipe(Either.getOrThrow)).toMatchObject({
      lookUp: [["D", "S", "NEWER"]],
      lookUpBelow: [
        ["D", "N", "A"],
        ["D", "N", "B"]
      ]
    })
  })

  it("names no table that may not be named", () => {
    const objects = { allow: [], deny: ["D.S.T"] }
    expect(Either.flip(ask("BAD", { objects })).pipe(Either.getOrThrow).words).toBe(
      "the view D.S.BAD reads a table, which has masked columns"
    )
  })
})

/** The tables that a text names after FROM, JOIN or a comma, wherever it does. */
const namesMasked = (sql: string): ReadonlyArray<number> => {
  const tokens = Either.getOrThrow(tokenize(sql, snowflake))
  return tokens.flatMap((token, at) =>
    token.kind === "quoted" &&
    token.value === "T" &&
    tokens[at - 1]?.text === "." &&
    tokens[at - 3]?.text === "."
      ? [at]
      : []
  )
}

describe("any query", () => {
  const table = fc.constantFrom("T", "t", '"T"', "S.T", "D.S.T", 'd."S".t', "D..O", "U", "c", "S.U")
  const alias = fc.constantFrom("", " x", " AS y", ' "z"', " AS q (a, b, d)")
  const item = fc.constantFrom("*", "E", "x.E", "MAX(E)", "T.E", "D.S.T.E", "(SELECT MAX(E) FROM T)", "1")
  const { query } = fc.letrec<{ query: string; from: string }>((tie) => ({
    query: fc.oneof(
      { maxDepth: 3 },
      fc.tuple(item, tie("from")).map(([what, from]) => `SELECT ${what} FROM ${from}`),
      fc.tuple(tie("query"), tie("query")).map(([a, b]) => `${a} UNION ALL ${b}`),
      fc
        .tuple(tie("query"), tie("query"))
        .map(([a, b]) => `WITH c AS (${a}) ${b}`.replace(/\) WITH/, ") SELECT 1 AS E FROM U UNION ALL WITH")),
      fc.tuple(tie("query"), tie("query")).map(([a, b]) => `SELECT 1 AS E FROM (${a}) i WHERE EXISTS (${b})`)
    ),
    from: fc.oneof(
      { maxDepth: 3 },
      fc.tuple(table, alias).map((parts) => parts.join("")),
      fc.tuple(tie("from"), tie("from")).map(([a, b]) => `${a} JOIN ${b} ON TRUE`),
      fc.tuple(tie("from"), tie("from")).map(([a, b]) => `${a}, ${b}`),
      tie("query").map((inner) => `(${inner}) s`)
    )
  }))

  it("names a table with masked columns in the CTEs of its masks alone", () => {
    let written = 0
    fc.assert(
      fc.property(query, (sql) => {
        const verdict = check(sql)
        if (Either.isLeft(verdict)) return
        written += 1
        const text = verdict.right.canonical
        const places = namesMasked(text)
        const ctes = [...text.matchAll(/SG_MASKED_\d+ AS \(/g)].length
        expect([sql, places.length]).toEqual([sql, ctes])
        const body = text.replaceAll(T, "")
        expect([sql, namesMasked(body)]).toEqual([sql, []])
        // Nothing else leads to the table: no name of it is left where a table can stand.
        expect([sql, /(?:FROM|JOIN|,)\s+(?:"?[ds]"?\s*\.\s*){0,2}"?t"?\b/i.test(body)]).toEqual([sql, false])
      }),
      { numRuns: shortOrLong(100, 500) }
    )
    expect(written).toBeGreaterThan(shortOrLong(20, 100))
  })
})

describe("a table that is named often", () => {
  const many = Array.from({ length: 60 }, (_, at) => column(`C${at}`))
  /** Tables that count how often they are looked at. */
  const counting = () => {
    let looks = 0
    const counted = (known: Known): Known =>
      new Proxy(known, {
        get: (target, key, self) => {
          looks++
          const value: unknown = Reflect.get(target, key, self)
          return value
        }
      })
    const below = Array.from({ length: 30 }, (_, at) => [["D", "S", `B${at}`]])
    const known = (table: Table): Known | undefined => {
      looks++
      return table[2] === "V"
        ? counted({ isTable: false, columns: many, reads: { tables: below, ctes: [] } })
        : counted({ isTable: true, columns: table[2] === "T" ? [column("E"), ...many] : many })
    }
    const masks: Masking = { masks: { "D.S.T.E": "token", "*.*.*.NONE": "null" }, known, key }
    return { check: (sql: string) => Gate.check(sql, { ...place, masking: masks }), looks: () => looks }
  }
  const times = (name: string, count: number) => Array.from({ length: count }, () => name).join(", ")

  it.each(["U", "V", "D.S.U", "S.V"])("is decided on once: %s", (name) => {
    const [once, often] = [counting(), counting()]
    expect(Either.isRight(once.check(`SELECT 1 FROM ${name}`))).toBe(true)
    expect(Either.isRight(often.check(`SELECT 1 FROM ${times(name, 2_000)}`))).toBe(true)
    expect(often.looks()).toBe(once.looks())
  })

  it("is refused before its masks are written out for each place, where that is too much", () => {
    const often = counting()
    const verdict = Either.flip(often.check(`SELECT 1 FROM ${times("T", 5_000)}`)).pipe(Either.getOrThrow)
    expect(verdict).toMatchObject({
      code: "TOO_LARGE",
      reason: "with its masks the statement is longer than 1000000 bytes"
    })
    expect(often.looks()).toBeLessThan(100)
  })

  it.each([
    `SELECT 1 FROM ${times("U", 5_001)}`,
    `WITH c AS (SELECT 1) SELECT 1 FROM ${times("c", 5_000)}`,
    `WITH ${times("c AS (SELECT 1)", 5_001)} SELECT 1`
  ])("is taken up to a number: %#", (sql) => {
    expect(Either.flip(check(sql)).pipe(Either.getOrThrow)).toMatchObject({
      code: "TOO_LARGE",
      reason:
        "the statement names tables and CTEs 5001 times; while columns are masked for this tier 5000 times are taken"
    })
  })

  it("is found by names of columns that begin with its schema, wherever it stands", () => {
    const all = `SELECT ${times("S.U.F", 5_000)} FROM ${times("U", 5_000)}`
    const verdict = Either.getOrThrow(check(all))
    expect(verdict.canonical.slice(0, 40)).toBe('SELECT "U".F, "U".F, "U".F, "U".F, "U".F')
  })

  it("gets a name that no name of the statement begins with", () => {
    const taken = Array.from({ length: 1_300 }, (_, at) => `1 AS SG${"X".repeat(at)}_A`).join(", ")
    const verdict = Either.getOrThrow(check(`SELECT ${taken}, e FROM t`))
    expect(verdict.canonical.startsWith(`WITH SG${"X".repeat(1_300)}_MASKED_1 AS (`)).toBe(true)
  })
})
