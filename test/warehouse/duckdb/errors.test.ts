import { expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { inDuckDb } from "../../../src/sql/Identifier.js"
import { bounded, classify } from "../../../src/warehouse/duckdb/errors.js"

const line = "\n\nLINE 1: SELECT x FROM y\n               ^"

it.each([
  [
    `Parser Error: syntax error at or near "SELEC"${line}`,
    "InvalidStatement",
    "001003",
    "unexpected 'SELEC'"
  ],
  [
    "Failed to extract statements: Parser Error: syntax error at end of input",
    "InvalidStatement",
    "001003",
    "unexpected end"
  ],
  [
    `Catalog Error: Table with name ordes does not exist!\nDid you mean "pg_enum"?${line}`,
    "NotFound",
    "002003",
    "Object 'ordes' does not exist or not authorized."
  ],
  [
    `Catalog Error: Table with name "PUBLI.tt" does not exist because schema "PUBLI" does not exist.${line}`,
    "NotFound",
    "002003",
    "Schema 'PUBLI' does not exist"
  ],
  ['Binder Error: Catalog "S2" does not exist!', "NotFound", "002003", "Database 'S2' does not exist"],
  [
    `Catalog Error: Scalar Function with name nofun does not exist!\nDid you mean "count"?${line}`,
    "InvalidStatement",
    "002140",
    "Unknown function NOFUN."
  ],
  [
    `Binder Error: Referenced column "nam" not found in FROM clause!\nCandidate bindings: "ID"${line}`,
    "InvalidStatement",
    "000904",
    "invalid identifier 'NAM'."
  ],
  [
    `Binder Error: Table "t" does not have a column named "nam"\n\nCandidate bindings: : "N", "V"${line}`,
    "InvalidStatement",
    "000904",
    "invalid identifier 'T.NAM'."
  ],
  [
    `Binder Error: Values list "t" does not have a column named "nam"${line}`,
    "InvalidStatement",
    "000904",
    "invalid identifier 'T.NAM'."
  ],
  [
    `Binder Error: Referenced column "kunden name" not found in FROM clause!${line}`,
    "InvalidStatement",
    "000904",
    `invalid identifier '"KUNDEN NAME"'.`
  ],
  [
    `Binder Error: Table "t" does not have a column named "Größe"${line}`,
    "InvalidStatement",
    "000904",
    `invalid identifier 'T."Größe"'.`
  ],
  [
    `Binder Error: Table "order" does not have a column named "nam"${line}`,
    "InvalidStatement",
    "000904",
    `invalid identifier '"ORDER".NAM'.`
  ],
  [
    `Binder Error: Macro sg_upper() does not support the supplied arguments. You might need to add explicit type casts.\nCandidate macros:\n\tsg_upper(x)${line}`,
    "InvalidStatement",
    "001044",
    "Invalid arguments for function 'UPPER'"
  ],
  [
    `Binder Error: column "id" must appear in the GROUP BY clause or must be part of an aggregate function.\nEither add it${line}`,
    "InvalidStatement",
    "000979",
    "[ID] is not a valid group by expression."
  ],
  [
    "Binder Error: No function matches the given name and argument types 'sum(VARCHAR)'. You might need\n\tCandidate functions:\n\tsum(BIGINT)",
    "InvalidStatement",
    "001044",
    "Invalid argument types for function 'SUM': (VARCHAR)."
  ],
  [
    `Conversion Error: Could not convert string 'a' to INT32${line}`,
    "InvalidStatement",
    "100038",
    "Numeric value 'a' is not recognized."
  ],
  [
    `Conversion Error: Could not convert string "a" to DECIMAL(38,0)${line}`,
    "InvalidStatement",
    "100038",
    "Numeric value 'a' is not recognized."
  ],
  [
    `Conversion Error: invalid date field format: "a", expected format is (YYYY-MM-DD)${line}`,
    "InvalidStatement",
    "100040",
    "Date 'a' is not recognized."
  ],
  [
    "Invalid Input Error: More than one row returned by a subquery used as an expression - scalar\n\nUse SET",
    "InvalidStatement",
    "090150",
    "Single-row subquery"
  ],
  ["INTERRUPT Error: Interrupted!", "Cancelled", "000604", "SQL execution canceled."],
  [
    "Out of Memory Error: failed to allocate data of size 16.0 MiB (947.0 MiB/953.6 MiB used)\nDatabase is launched in in-memory mode",
    "ResourcesExceeded",
    "000625",
    "needs more memory"
  ],
  [
    "Permission Error: Scanning CSV files is disabled through configuration",
    "Permission",
    "003001",
    "Insufficient privileges"
  ],
  [
    "INTERNAL Error: Attempted to dereference\n\nStack Trace:\n/usr/lib/x",
    "ServerFault",
    "000603",
    "SQL execution internal error."
  ],
  ["something else", "Unknown", "000600", "Something else."]
])("%s", (message, reason, code, description) => {
  const failure = classify(message)
  expect([failure.reason, failure.code]).toEqual([reason, code])
  expect(failure.description).toContain(description)
  expect(failure.description).not.toMatch(/LINE \d|Did you mean|Candidate|Stack Trace/)
})

it("hands on what was missing and what DuckDB would have taken", () => {
  expect(
    classify(
      'Binder Error: Referenced column "nam" not found in FROM clause!\nCandidate bindings: "N", "a""b"'
    ).missing
  ).toEqual({
    kind: "Column",
    name: "nam",
    candidates: ["N", '"A""B"']
  })
})

it("tells names as the statement has them, and values as they are", () => {
  const of = (message: string) => classify(message).description
  const name = inDuckDb("abc")
  expect(of(`Binder Error: Column "${name}" in EXCLUDE list not found`)).toContain('Column "abc" in')
  expect(of(`Binder Error: Type with name ${name} does not exist!`)).toBe(
    "Type with name abc does not exist."
  )
  expect(of(`Invalid Input Error: Duplicate "${name}" here`)).toBe('Duplicate "abc" here.')
  expect(of(`Conversion Error: Could not convert string '${name}' to INT32`)).toBe(
    `Numeric value '${name}' is not recognized.`
  )
})

it("shows nothing of what is DuckDB's own", () => {
  expect(classify("Binder Error: memory.main.iff wants a BIGINT!").description).toBe("Iff wants a NUMBER.")
})

it("does not show under which name a file of the user's is attached", () => {
  const readOnly = classify(
    'Invalid Input Error: Cannot execute statement of type "SELECT" on database "_snowguard_file_1" which is attached in read-only mode!'
  )
  expect([readOnly.reason, readOnly.code]).toEqual(["InvalidStatement", "003001"])
  expect(readOnly.description).toContain("sequence (NEXTVAL)")
  const messages = [
    "Catalog Error: Table with name _snowguard_file_12.main.t does not exist!",
    'Binder Error: "_snowguard_file_1" is not what it was',
    "Odd Error: _snowguard_file_3"
  ]
  for (const message of messages) expect(JSON.stringify(classify(message))).not.toContain("snowguard_file")
})

it.each([
  ["Could not convert string '", "' to INT32", "Numeric value '", "' is not recognized."],
  ["Could not convert string '", "' to BOOL", "Boolean value '", "' is not recognized."],
  ['invalid date field format: "', '", expected format is (YYYY-MM-DD)', "Date '", "' is not recognized."],
  ['invalid timestamp field format: "', '", expected', "Timestamp '", "' is not recognized."],
  ["Malformed JSON: ", "", "Malformed JSON: ", "."]
])("quotes no whole value, however long: %s%s", (before, after, begins, ends) => {
  for (const unit of ["x", "\u0001", "é", "😀", "a😀"]) {
    const message = `Conversion Error: ${before}${unit.repeat(300_000)}${after}${line}`
    const { code, description } = classify(message)
    expect(description.length).toBeLessThanOrEqual(600)
    expect(Buffer.byteLength(JSON.stringify(description))).toBeLessThan(4_000)
    expect([description.startsWith(begins), description.endsWith(ends)]).toEqual([true, true])
    expect(Buffer.from(description).toString()).toBe(description)
    expect(code).toBe(classify(`Conversion Error: ${before}x${after}${line}`).code)
  }
})

it("bounds every text of a failure, and suggests no half of a name", () => {
  const long = "x".repeat(100_000)
  const failure = bounded({ description: long, detail: long, suggestions: ["ID", long, ...long] })
  expect(failure.suggestions.slice(0, 3)).toEqual(["ID", "x", "x"])
  expect(JSON.stringify(failure).length).toBeLessThan(1_500)
  for (const kind of ["Parser", "Catalog", "Binder", "Conversion", "Out of Range", "Not implemented", "Odd"])
    for (const text of [long, `syntax error at or near "${long}"`, `Referenced column "${long}" not found`])
      expect(classify(`${kind} Error: ${text}`).description.length).toBeLessThanOrEqual(600)
})

it.prop(
  "has an answer in one sentence for every message",
  [FastCheck.string({ unit: "binary" })],
  ([text]) => {
    for (const kind of ["Parser", "Catalog", "Binder", "Conversion", "Odd"]) {
      const { description } = classify(`${kind} Error: ${text}`)
      expect(description.length).toBeGreaterThan(0)
    }
  }
)
