/**
 * What a Snowflake statement names, and whether an operator's rules about objects let it: only names that
 * are plainly written can be compared with rules, so with rules everything else is refused.
 */
import type { Token } from "../../sql/Lexer.js"
import * as ObjectRules from "../../sql/ObjectRules.js"
import { mayReadByName } from "./SnowflakeGrammar.js"
import type { Rejection } from "../../sql/Statement.js"

/** A table, a view, a stage, a stream or a file format, one entry a part, as Snowflake compares them. */
export interface Reference {
  readonly parts: ReadonlyArray<string>
  readonly token: Token | undefined
  /** Its first and its last token, where it stands as a name of its own and not in a text. */
  readonly span?: Span | undefined
}

/** Indexes of tokens, both of them inside. */
interface Span {
  readonly from: number
  readonly to: number
}

/** A function that can tell of objects that the rules do not see is called. */
export const readsByName = (name: string, position: number | undefined): Rejection => ({
  code: "FUNCTION_NOT_ALLOWED",
  reason: `the function ${name} can tell of objects that may not be read`,
  position,
  hint: `while objects are restricted, an operator can allow it by adding ${name} to the allowed functions`
})

/** What a statement names; grows while it is read. */
export interface Names {
  /** As written. */
  readonly tables: Set<string>
  readonly functions: Set<string>
  readonly references: Array<Reference>
  /** As Snowflake resolves them: `DB.SCH.F`. */
  readonly calls: Array<{ readonly name: string; readonly token: Token }>
  /** Tables whose names are known only when the statement runs. */
  readonly dynamic: Array<{ readonly form: string; readonly token: Token | undefined }>
  readonly ctes: Array<{ readonly name: string; readonly token: Token | undefined }>
  /** Where a CTE is read: indexes of tokens. */
  readonly reads: Array<number>
}

export const none = (): Names => ({
  tables: new Set(),
  functions: new Set(),
  references: [],
  calls: [],
  dynamic: [],
  ctes: [],
  reads: []
})

interface Place {
  readonly database?: string | undefined
  readonly schema?: string | undefined
  /** Functions that an operator has allowed by name. */
  readonly allowed: ReadonlySet<string>
}

const quoted = (name: string): string =>
  /^[A-Z_][A-Z0-9_$]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`

const refusal = (reason: string, token: Token | undefined, hint: string): Rejection => ({
  code: "OBJECT_NOT_ALLOWED",
  reason,
  position: token?.start,
  hint
})

const plainly = "while objects are restricted, write names as they are: DB.SCHEMA.TABLE"

const checkReference = (
  rules: ObjectRules.Compiled,
  { parts, token }: Reference,
  place: Place
): Rejection | undefined => {
  const written = parts.map(quoted).join(".")
  const resolved =
    parts.length > 3 ? undefined : ObjectRules.resolve(parts, place, parts[0] !== "INFORMATION_SCHEMA")
  if (resolved === undefined) {
    return refusal(
      `it is not known which database and schema ${written} is in`,
      token,
      "write DB.SCHEMA.TABLE, or give the arguments database and schema"
    )
  }
  const denied = resolved.find((name) => !ObjectRules.permits(rules, name))
  if (denied === undefined) return undefined
  const full = denied.map(quoted).join(".")
  if (ObjectRules.tellsOfAll(denied)) {
    return refusal(
      `${full} tells of objects that may not be read`,
      token,
      "list_schemas, list_tables, list_views and describe_table show what may be; an operator can allow the whole database"
    )
  }
  return refusal(
    full === written
      ? `${full} may not be read`
      : `${written} could be ${full}, which may not be read; write DB.SCHEMA.TABLE if another is meant`,
    token,
    `list_tables shows what may be; an operator can change allow_objects and deny_objects of the tier`
  )
}

/**
 * Why the rules refuse what is named; undefined when they do not, or when there are none.
 */
export const refused = (
  names: Names,
  rules: ObjectRules.Compiled | undefined,
  place: Place
): Rejection | undefined => {
  if (rules === undefined) return undefined
  const [dynamic] = names.dynamic
  if (dynamic !== undefined) {
    return refusal(`${dynamic.form} names an object that cannot be checked`, dynamic.token, plainly)
  }
  for (const { name, token } of names.calls) {
    if (mayReadByName(name) && !place.allowed.has(name)) {
      return readsByName(name, token.start)
    }
  }
  for (const { name, token } of names.ctes) {
    if (ObjectRules.namesDenied(rules, name)) {
      return refusal(
        `the name ${quoted(name)} belongs to a table that may not be read`,
        token,
        "name the CTE otherwise"
      )
    }
  }
  for (const reference of names.references) {
    const problem = checkReference(rules, reference, place)
    if (problem !== undefined) return problem
  }
  return undefined
}
