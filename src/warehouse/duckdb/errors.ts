/**
 * DuckDB's errors in Snowflake's words, with its code, its SQLSTATE and the reason of the port. Pure.
 *
 * DuckDB says what happened only in prose: `<Kind> Error: <text>`, then, on lines of their own, candidates,
 * an excerpt of the statement and advice on settings. Only the first part says anything to the author of
 * the statement; the rest, and every name of DuckDB's own, is left out. It may quote a whole value, of any size, which
 * nothing counts as a result: {@link bounded}.
 *
 * @since 0.1.0
 */
import { shortened } from "../../platform/core/format.js"
import { exactFromDuckDb, fromDuckDb, namesFromDuckDb, upper, written } from "../../sql/Identifier.js"
import type { Reason } from "../Warehouse.js"
import { noInterval } from "./dialect/library.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Failure {
  readonly reason: Reason
  readonly code: string
  readonly sqlState: string
  readonly description: string
  /** What was named in vain, as the statement wrote it. */
  readonly missing?: {
    readonly kind: "Object" | "Schema" | "Database" | "Column" | "Function"
    readonly name: string
    /** Names that DuckDB offered, as SQL needs them. */
    readonly candidates: ReadonlyArray<string>
  }
}

/** What is read of a message: more than the longest that quotes no value. */
const READ = 16 * 1024

/** Characters of a text about a failure, as of Snowflake's. */
const LONGEST = 600

/** Names that are suggested. */
const SUGGESTED = 10

/**
 * The failure as it is told: values and names of any length stand in none of its texts.
 *
 * @since 0.1.0
 * @category conversions
 */
export const bounded = <
  F extends {
    readonly description: string
    readonly suggestions?: ReadonlyArray<string> | undefined
    readonly detail?: string | undefined
  }
>(
  failure: F
): F => ({
  ...failure,
  description: shortened(failure.description, LONGEST),
  ...(failure.suggestions === undefined
    ? {}
    : {
        // Half a name is none.
        suggestions: failure.suggestions.filter(({ length }) => length <= LONGEST).slice(0, SUGGESTED)
      }),
  ...(failure.detail === undefined ? {} : { detail: shortened(failure.detail, LONGEST) })
})

/** DuckDB puts the table before a column without quotes: of `t.x` each part is a name. */
const candidate = (name: string): string => written(...name.split(".").map((part) => exactFromDuckDb(part)))

const candidatesOf = (message: string): ReadonlyArray<string> => {
  const line = /^Candidate (?:bindings|tables):[ :]*(.*)$/m.exec(message)?.[1] ?? ""
  return [...line.matchAll(/"((?:[^"]|"")*)"/g)].map(([, name]) => candidate(name!.replaceAll('""', '"')))
}

/**
 * A text of DuckDB's without the names under which `attached.ts` attaches the user's files: statements see others.
 *
 * @since 0.1.0
 * @category conversions
 */
export const withoutFiles = (text: string): string =>
  text.replaceAll(/"?_snowguard_file_\d+"?\./g, "").replaceAll(/"?_snowguard_file_\d+"?/g, "of the file")

/** The first paragraph, without what is of use at DuckDB's console only. */
const gist = (text: string): string => {
  const [first = ""] = text.split(/\n\s*\n|\n(?:LINE \d+:|Did you mean|Candidate|\s*Possible solutions)/, 1)
  return first
    .replaceAll(/"?\bmemory"?\."?main"?\./g, "")
    .replaceAll(/\bUNION\((?:[^()]|\([^()]*\))*\)/g, "VARIANT")
    .replaceAll(/\bSTRING_LITERAL\b/g, "VARCHAR")
    .replaceAll(/\bINTEGER_LITERAL\b|\bHUGEINT\b|\bBIGINT\b|\bINT(?:8|16|32|64|128)\b/g, "NUMBER")
    .replaceAll(/\bDuckDB\b/g, "the warehouse")
    .replaceAll(/\s+/g, " ")
    .replace(/[!.\s]+$/, "")
}

const sentence = (text: string): string => {
  const short = gist(text)
  return `${short.charAt(0).toUpperCase()}${short.slice(1)}.`
}

interface Rule {
  readonly kind: RegExp
  readonly text: RegExp
  readonly to: (match: RegExpExecArray, message: string) => Failure
}

const invalid = (code: string, sqlState: string, description: string): Failure => ({
  reason: "InvalidStatement",
  code,
  sqlState,
  description
})

const absent = (
  kind: "Object" | "Schema" | "Database",
  name: string,
  sqlState: string = kind === "Object" ? "42S02" : "02000"
): Failure => ({
  reason: "NotFound",
  code: "002003",
  sqlState,
  description: `${kind} '${name}' does not exist or not authorized.`,
  missing: { kind, name, candidates: [] }
})

/**
 * A name that is not found, in double quotes where Snowflake has them. DuckDB folds ASCII alone: one with other letters
 * stays as it is, since the same in upper case may be there.
 */
const shownName = (...parts: ReadonlyArray<string>): string =>
  written(
    ...parts.map((part) =>
      exactFromDuckDb(part, (name) => (/^[\x20-\x7e]*$/.test(name) ? upper(name) : name))
    )
  )

const unknownColumn = (name: string, message: string, relation: ReadonlyArray<string> = []): Failure => ({
  ...invalid("000904", "42000", `invalid identifier '${shownName(...relation, name)}'.`),
  missing: {
    kind: "Column",
    name: fromDuckDb(name),
    candidates: candidatesOf(message)
  }
})

const tooLarge = (description: string): Failure => ({
  reason: "ResourcesExceeded",
  code: "000625",
  sqlState: "53200",
  description
})

const unquoted = (name: string): string => name.replaceAll('"', "")

const rules: ReadonlyArray<Rule> = [
  {
    kind: /^Parser$/,
    text: /syntax error at or near "(.*?)"(?:\n|$)/s,
    to: ([, near]) => invalid("001003", "42000", `syntax error: unexpected '${near}'.`)
  },
  {
    kind: /^Parser$/,
    text: /syntax error at end of input/,
    to: () => invalid("001003", "42000", "syntax error: unexpected end of the statement.")
  },
  {
    kind: /^Parser$/,
    text: /[^]*/,
    to: ([text]) => invalid("001003", "42000", `syntax error: ${sentence(text)}`)
  },
  {
    kind: /^(?:Catalog|Binder)$/,
    text: /(?:because schema|Schema with name) "?([^"\n]+?)"? does not exist/,
    to: ([, name]) => absent("Schema", unquoted(name!))
  },
  {
    kind: /^Catalog$/,
    text: /^(?:Table|View) with name "?([^\n]+?)"? does not exist/,
    to: ([, name]) => absent("Object", unquoted(name!))
  },
  {
    kind: /^(?:Catalog|Binder)$/,
    text: /^Catalog "([^\n]+?)" does not exist/,
    to: ([, name]) => absent("Database", name!)
  },
  {
    kind: /^Catalog$/,
    text: /Function with name "?([^"\n]+?)"? does not exist/,
    to: ([, name]) => ({
      ...invalid("002140", "42601", `Unknown function ${name!.toUpperCase()}.`),
      missing: { kind: "Function", name: name!, candidates: [] }
    })
  },
  {
    kind: /^Catalog$/,
    text: /Function with name "?([^"\n]+?)"? is not in the catalog, but it exists/,
    to: ([, name]) => ({
      ...invalid("002140", "42601", `Unknown function ${name!.toUpperCase()}.`),
      missing: { kind: "Function", name: name!, candidates: [] }
    })
  },
  {
    // The dialect asks a function for the type of a date.
    kind: /^Binder$/,
    text: /given name and argument types 'sgj_moment_type\(([^\n]*)\)'/,
    to: ([, types]) =>
      invalid(
        "001044",
        "42P13",
        types === "INTERVAL"
          ? noInterval
          : `A date or a timestamp is needed, not ${gist(types!)}: TO_DATE(x), TO_TIMESTAMP(x).`
      )
  },
  {
    kind: /^Binder$/,
    text: /^(?:Could not choose a best candidate function for the function call "|No function matches the given name and argument types ')([-+*\/%])\(([^\n]*)\)['"]/,
    to: ([, operator, types]) =>
      invalid(
        "001044",
        "42P13",
        `Invalid argument types for function '${operator!}': (${gist(types!)}).${
          /VARCHAR|STRING_LITERAL/.test(types!)
            ? " The embedded warehouse does not compute with texts: cast them first, for example x::NUMBER(38, 2)."
            : types!.includes("UNION(")
              ? " Cast a semi-structured value first: v::NUMBER, v::STRING."
              : ""
        }`
      )
  },
  {
    kind: /^Binder$/,
    text: /^Referenced column "([^\n]+?)" (?:not found|was not found)/,
    to: ([, name], message) => unknownColumn(name!, message)
  },
  {
    kind: /^Binder$/,
    // "Table", or "Values list" for views, subqueries and whatever else has rows.
    text: /^[A-Z][a-z ]* "([^\n]+?)" does not have a column named "([^\n]+?)"/,
    to: ([, relation, name], message) => unknownColumn(name!, message, [relation!])
  },
  {
    kind: /^Binder$/,
    text: /^Referenced table "([^\n]+?)" not found/,
    to: ([, name], message) => unknownColumn(name!, message)
  },
  {
    kind: /^Binder$/,
    text: /^column "?([^\n]+?)"? must appear in the GROUP BY/i,
    to: ([, name]) => invalid("000979", "42601", `[${shownName(name!)}] is not a valid group by expression.`)
  },
  {
    kind: /^Binder$/,
    text: /^No function matches the given name and argument types '([^\n(]+)\(([^\n]*)\)'/,
    to: ([, name, types]) =>
      invalid(
        "001044",
        "42P13",
        `Invalid argument types for function '${name!.toUpperCase()}': (${gist(types!)}).${
          types!.includes("UNION(")
            ? " Cast a semi-structured value first: v::NUMBER, v::STRING."
            : types! === "VARCHAR"
              ? " Cast a text first: x::NUMBER, x::DATE."
              : ""
        }`
      )
  },
  {
    // Snowflake's functions are macros here, under a prefix of their own.
    kind: /^Binder$/,
    text: /^Macro "?(?:sg_)?([^\s"()]+)"?\(\) does not support the supplied arguments/,
    to: ([, name]) =>
      invalid(
        "001044",
        "42P13",
        `Invalid arguments for function '${name!.toUpperCase()}': too many, too few, or of other types.`
      )
  },
  { kind: /^Binder$/, text: /[^]*/, to: ([text]) => invalid("001003", "42000", sentence(text)) },
  { kind: /^Catalog$/, text: /[^]*/, to: ([text]) => invalid("002003", "42000", sentence(text)) },
  {
    kind: /^Conversion$/,
    text: /^Could not convert string (['"])([^]*?)\1 to (?:U?INT\d+|DOUBLE|FLOAT|DECIMAL)/,
    to: ([, , value]) => invalid("100038", "22018", `Numeric value '${value}' is not recognized.`)
  },
  {
    kind: /^Conversion$/,
    text: /^Could not convert string (['"])([^]*?)\1 to BOOL/,
    to: ([, , value]) => invalid("100037", "22018", `Boolean value '${value}' is not recognized.`)
  },
  {
    kind: /^Conversion$/,
    text: /^invalid (date|timestamp|time) field format: "([^]*?)"/,
    to: ([, kind, value]) => {
      const name = `${kind!.charAt(0).toUpperCase()}${kind!.slice(1)}`
      return invalid(kind === "date" ? "100040" : "100035", "22007", `${name} '${value}' is not recognized.`)
    }
  },
  { kind: /^Conversion$/, text: /[^]*/, to: ([text]) => invalid("100038", "22018", sentence(text)) },
  { kind: /^Out of Range$/, text: /[^]*/, to: ([text]) => invalid("100039", "22003", sentence(text)) },
  {
    kind: /^Invalid Input$/,
    text: /More than one row returned by a subquery/,
    to: () => invalid("090150", "22000", "Single-row subquery returns more than one row.")
  },
  {
    kind: /^Invalid Input$/,
    text: /^(?:Expected \d+ parameters|Values were not provided)/,
    to: () => invalid("002049", "42601", "A bind variable of the statement is not set.")
  },
  {
    kind: /^Invalid Input$/,
    text: /attached in read-only mode/,
    to: () =>
      invalid(
        "003001",
        "42501",
        "The view takes numbers from a sequence (NEXTVAL), which would write to its file: files are opened for reading only."
      )
  },
  {
    kind: /^Invalid(?: Input| type)?$|^Sequence$|^Mismatch Type$|^Syntax$/i,
    text: /[^]*/,
    to: ([text]) => invalid("100132", "22000", sentence(text))
  },
  {
    kind: /^Not implemented$/i,
    text: /[^]*/,
    to: ([text]) => invalid("000002", "0A000", `Unsupported feature: ${gist(text)}.`)
  },
  {
    kind: /^Permission$/,
    text: /[^]*/,
    to: () => ({
      reason: "Permission",
      code: "003001",
      sqlState: "42501",
      description: "Insufficient privileges: the embedded warehouse reads its own tables only."
    })
  },
  {
    kind: /^INTERRUPT$/,
    text: /[^]*/,
    to: () => ({
      reason: "Cancelled",
      code: "000604",
      sqlState: "57014",
      description: "SQL execution canceled."
    })
  },
  {
    // Not a fault of the warehouse: the same statement would fail again, and others still work.
    kind: /^Out of Memory$/,
    text: /[^]*/,
    to: () => tooLarge("The statement needs more memory than the embedded warehouse has.")
  },
  {
    kind: /^(?:INTERNAL|FATAL|Serialization|IO|Connection)$/i,
    text: /[^]*/,
    to: () => ({
      reason: "ServerFault",
      code: "000603",
      sqlState: "XX000",
      description: "SQL execution internal error."
    })
  }
]

/** DuckDB's errors about what a statement names, which quote none of its values. */
const ofNames = /^(?:Catalog|Binder)$/

/** The failure with the names of the statement, not those that DuckDB has for them, and its values as they are. */
const asWritten = (kind: string, failure: Failure): Failure => ({
  ...failure,
  description: (ofNames.test(kind) ? fromDuckDb : namesFromDuckDb)(failure.description),
  ...(failure.missing === undefined
    ? {}
    : { missing: { ...failure.missing, name: fromDuckDb(failure.missing.name) } })
})

/**
 * Reads what DuckDB threw.
 *
 * @since 0.1.0
 * @category conversions
 */
export const classify = (message: string): Failure => {
  const shown = withoutFiles(shortened(message, READ))
  const [, kind = "", text = shown] =
    /^(?:Failed to extract statements: )?([A-Za-z ]+?) Error: ([^]*)$/.exec(shown) ?? []
  for (const rule of rules) {
    if (!rule.kind.test(kind)) continue
    const match = rule.text.exec(text)
    if (match !== null) return bounded(asWritten(kind, rule.to(match, text)))
  }
  return bounded({ reason: "Unknown", code: "000600", sqlState: "XX000", description: sentence(text) })
}
