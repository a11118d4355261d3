/**
 * An operator's rules about objects, applied to the tables that DuckDB's parser found. DuckDB ignores the
 * case of names, also of quoted ones, and takes `a.b` for a table of the schema `a` or of the database
 * `a`: with rules, such a name has to be written in full.
 *
 * @since 0.1.0
 */
import type { Policy } from "../ReadOnly.js"
import * as Identifier from "../../sql/Identifier.js"
import type { Token } from "../../sql/Lexer.js"
import * as ObjectRules from "../../sql/ObjectRules.js"
import type { Rejection } from "../../sql/Statement.js"
import type { Problem } from "./ast.js"
import type { Reference } from "./names.js"
import { spelled } from "./tree.js"

export interface Place {
  readonly database?: string | undefined
  readonly schema?: string | undefined
}

/**
 * Where names are looked up, as the embedded warehouse decides it.
 *
 * @since 0.1.0
 * @category resolving
 */
export const placeOf = (policy: Policy, standard: Place | undefined): Place =>
  policy.database === undefined
    ? { database: standard?.database, schema: policy.schema ?? standard?.schema }
    : { database: policy.database, schema: policy.schema ?? "PUBLIC" }

/**
 * The tables that a name in the text of a view may mean, as the embedded warehouse names those of a file, in DuckDB's
 * order: in the view's schema before the main one, and `a.b` in the schema `a` or in the database `a`.
 *
 * @since 0.1.0
 * @category resolving
 */
export const ofView = (
  parts: ReadonlyArray<string>,
  view: { readonly database: string; readonly schema: string }
): ReadonlyArray<ReadonlyArray<string>> => {
  const { database } = view
  const names = parts.map(Identifier.upper)
  const [first = "", second = "", third = ""] = names
  /** The main schema is PUBLIC here. `maın` is another one, whose name in upper case is `MAIN`. */
  const schemaAt = (at: number) =>
    Identifier.lowerAscii(parts[at] ?? "") === "main" ? "PUBLIC" : (names[at] ?? "")
  const full =
    names.length === 3
      ? [[first, schemaAt(1), third]]
      : names.length === 2
        ? [
            [database, schemaAt(0), second],
            [first, "PUBLIC", second]
          ]
        : [
            [database, view.schema, first],
            [database, "PUBLIC", first]
          ]
  return full.filter((place, at) => at === 0 || place.join("\0") !== full[0]?.join("\0"))
}

const hint =
  "list_tables shows what may be read; an operator can change allow_objects and deny_objects of the tier"

const refusal = (reason: string, location: number | undefined): Problem => ({
  code: "OBJECT_NOT_ALLOWED",
  reason,
  location,
  hint
})

/**
 * Why the rules refuse what is named; undefined when they do not.
 *
 * @since 0.1.0
 * @category checks
 */
export const refused = (
  rules: ObjectRules.Compiled,
  names: { readonly references: ReadonlyArray<Reference>; readonly ctes: ReadonlyArray<string> },
  place: Place
): Problem | undefined => {
  const cte = names.ctes.find((name) => ObjectRules.namesDenied(rules, name))
  if (cte !== undefined) return refusal(`the name ${cte} belongs to a table that may not be read`, undefined)
  for (const { location, parts } of names.references) {
    const written = spelled(parts)
    const resolved = parts.length === 2 ? undefined : ObjectRules.resolve(parts, place, false)
    if (resolved === undefined) {
      return refusal(
        `it is not known which database and schema ${written} is in; write DB.SCHEMA.TABLE`,
        location
      )
    }
    const denied = resolved.find((name) => !ObjectRules.permits(rules, name))
    if (denied !== undefined) return refusal(`${spelled(denied)} may not be read`, location)
  }
  return undefined
}

/**
 * Why a metadata read is refused: SHOW would list what may not be read, and DESCRIBE takes what may.
 *
 * @since 0.1.0
 * @category checks
 */
export const metadata = (
  kind: "show" | "describe",
  name: ReadonlyArray<Token>,
  rules: ObjectRules.Compiled,
  place: Place
): Rejection | undefined => {
  if (kind === "show") {
    return {
      code: "OBJECT_NOT_ALLOWED",
      reason: "SHOW is not available while objects are restricted",
      hint: "list_databases, list_schemas, list_tables, list_views and describe_table show what may be read"
    }
  }
  const parts = name.map(({ value }) => value)
  const problem = refused(rules, { references: [{ parts, location: undefined }], ctes: [] }, place)
  return problem === undefined ? undefined : { ...problem, position: name[0]?.start }
}
