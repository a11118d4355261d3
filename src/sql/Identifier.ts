/**
 * Writes names and texts that come from a caller into SQL so that nothing can break out of its quotes.
 */
import * as Either from "effect/Either"
import type { Dialect } from "./Dialect.js"

/**
 * Why a name or a text cannot be written into SQL.
 */
export interface InvalidIdentifier {
  readonly _tag: "InvalidIdentifier"
  readonly message: string
}

/** Snowflake's limit, and far above DuckDB's need. */
const maxLength = 255

const invalid = (message: string): Either.Either<never, InvalidIdentifier> =>
  Either.left({ _tag: "InvalidIdentifier", message })

/**
 * The exact name that `name` means. A plain name (`orders`) is upper case, as in SQL; a name in double
 * quotes (`"Orders"`) is what is between them; anything else (`my table`) is what it says.
 */
export const exact = (name: string): string => {
  if (/^[A-Za-z_][A-Za-z0-9_$]*$/.test(name)) return name.toUpperCase()
  const quoted = /^"((?:[^"]|"")+)"$/s.exec(name)
  return quoted?.[1] === undefined ? name : quoted[1].replaceAll('""', '"')
}

/** A name in double quotes, without the checks of {@link quote}: for names that the warehouse itself has told. */
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** A text in single quotes, where a backslash is a character like any other. */
export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

/**
 * A name in upper case, but for letters beyond ASCII. DuckDB compares names so: JavaScript's own makes an `S` of `ſ`, and its
 * lower case a `k` of the Kelvin sign, so that what is decided by them may be another name than DuckDB reads.
 */
export const upperAscii = (name: string): string =>
  name.replace(/[a-z]+/g, (letters) => letters.toUpperCase())

/** The same in lower case. */
export const lowerAscii = (name: string): string =>
  name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())

/**
 * A name in upper case, letter by letter: a letter whose upper case is another number of letters stays as it is, or
 * `MAßE` and `MASSE` would be one name. What DuckDB takes for the same name, where it folds ASCII alone, is the same so.
 */
export const upper = (name: string): string =>
  /^[\x20-\x7e]*$/.test(name)
    ? name.toUpperCase()
    : name.replace(/\p{L}/gu, (letter) => {
        const made = letter.toUpperCase()
        return made.length === letter.length ? made : letter
      })

/** Whether two exact names mean the same in the embedded warehouse, whose own names are all {@link upper}. */
export const sameInDuckDb = (a: string, b: string): boolean => upper(a) === upper(b)

/**
 * Before the digits that tell which letters of a name are lower case: of private use, so that no name outside of double
 * quotes has it, and no table ({@link upper} names of letters, digits and `_`).
 */
const lowerMark = "\uE000"

/** Decimal digits, which stay the same in upper case. */
const marked = new RegExp(`${lowerMark}\\d+`, "g")

const isMarked = new RegExp(`${lowerMark}\\d+(?:_\\d+)?$`)

const markedInQuotes = new RegExp(`${lowerMark}\\d+(?=(?:_\\d+)?")`, "g")

/** Whether a name has the character that {@link inDuckDb} keeps for itself. */
export const hasMark = (name: string): boolean => name.includes(lowerMark)

/**
 * A name for DuckDB, which takes names for the same that differ in the case of letters alone, and Snowflake does not: one
 * with lower-case letters, as only double quotes make it, gets an end that tells which they are. The warehouse's own names
 * have none and stay as they are, so that `"id"` is not the column `ID`.
 */
export const inDuckDb = (name: string): string => {
  if (name === upper(name)) return name
  const bits = [...name].map((letter) => (letter === upper(letter) ? "0" : "1")).join("")
  return `${name}${lowerMark}${BigInt(`0b1${bits}`).toString()}`
}

/** Whether DuckDB's name of a column is one that {@link inDuckDb} has made, or DuckDB of that one. */
const isFromDuckDb = (name: string): boolean => isMarked.test(name)

/** A name, or a text of names, of DuckDB's as the statement has it. */
export const fromDuckDb = (text: string): string => text.replace(marked, "")

/** A text of DuckDB's with the names in double quotes as the statement has them: it may quote values as well. */
export const namesFromDuckDb = (text: string): string => text.replace(markedInQuotes, "")

/** The exact name that DuckDB's means: one without lower-case letters of the statement is folded. */
export const exactFromDuckDb = (name: string, fold: (name: string) => string = upper): string =>
  fromDuckDb(isFromDuckDb(name) ? name : fold(name))

const wellFormed = (text: string): boolean =>
  !/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/.test(text)

/**
 * `name` as a quoted identifier: `A"B` becomes `"A""B"`. Case is kept, so the caller has to fold an
 * unquoted name itself. A name with a control character or a backslash is refused: lexers disagree on
 * where it ends.
 */
export const quote = (name: string): Either.Either<string, InvalidIdentifier> => {
  if (name.length === 0) return invalid("a name is empty")
  if (name.length > maxLength) return invalid(`a name is longer than ${maxLength} characters`)
  if (/[\u0000-\u001f\u007f\\]/.test(name) || !wellFormed(name)) {
    return invalid("a name holds a control character, a backslash or half a surrogate pair")
  }
  return Either.right(quoted(name))
}

/**
 * Quoted parts joined by dots: `"DB"."SCHEMA"."TABLE"`.
 */
export const qualified = (...parts: ReadonlyArray<string>): Either.Either<string, InvalidIdentifier> => {
  if (parts.length === 0) return invalid("a name has no parts")
  return Either.map(Either.all(parts.map(quote)), (names) => names.join("."))
}

/** Words that Snowflake takes for a part of the statement where a name may stand, in upper case. */
export const reserved: ReadonlySet<string> = new Set(
  (
    "ACCOUNT ALL ALTER AND ANY AS BETWEEN BY CASE CAST CHECK COLUMN CONNECT CONNECTION CONSTRAINT CREATE CROSS " +
    "CURRENT CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER DATABASE DELETE DISTINCT DROP ELSE EXISTS " +
    "FALSE FOLLOWING FOR FROM FULL GRANT GROUP GSCLUSTER HAVING ILIKE IN INCREMENT INNER INSERT INTERSECT INTO IS " +
    "ISSUE JOIN LATERAL LEFT LIKE LOCALTIME LOCALTIMESTAMP MINUS NATURAL NOT NULL OF ON OR ORDER ORGANIZATION " +
    "QUALIFY REGEXP REVOKE RIGHT RLIKE ROW ROWS SAMPLE SCHEMA SELECT SET SOME START TABLE TABLESAMPLE THEN TO " +
    "TRIGGER TRUE TRY_CAST UNION UNIQUE UPDATE USING VALUES VIEW WHEN WHENEVER WHERE WITH"
  ).split(" ")
)

/** Lexers read more than one `$` in a name differently. */
const plain = /^[A-Z_][A-Z0-9_]*(?:\$[A-Z0-9_]*)?$/

/**
 * A name written so that SQL reads the same name again: in double quotes only where it has to be. Without
 * the checks of {@link quote}: for names that the warehouse itself has told.
 */
export const written = (...parts: ReadonlyArray<string>): string =>
  parts.map((part) => (plain.test(part) && !reserved.has(part) ? part : quoted(part))).join(".")

/**
 * `text` as a string literal. Without a `dialect` the literal reads the same whether or not a backslash
 * escapes, and a text with a backslash, which cannot, is refused.
 */
export const stringLiteral = (text: string, dialect?: Dialect): Either.Either<string, InvalidIdentifier> => {
  if (text.includes("\0") || !wellFormed(text)) return invalid("a text holds a NUL or half a surrogate pair")
  if (dialect === undefined && text.includes("\\")) return invalid("a text holds a backslash")
  const escaped = dialect?.backslashEscapes === true ? text.replaceAll("\\", "\\\\") : text
  return Either.right(literal(escaped))
}
