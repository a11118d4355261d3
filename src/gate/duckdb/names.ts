/**
 * The functions and tables that a statement names: each is written down, and refused when it is not one
 * that may be read.
 *
 * @since 0.1.0
 */
import * as Functions from "../core/Functions.js"
import { fromDuckDb, hasMark, lowerAscii, quoted, upperAscii } from "../../sql/Identifier.js"
import type { Rejection } from "../../sql/Statement.js"
import { refused } from "./objects.js"
import { locationOf, spelled, text } from "./tree.js"
import type { Tree } from "./tree.js"

/** A table that a statement names; the offset counts bytes of the parsed text. */
export interface Reference {
  readonly parts: ReadonlyArray<string>
  readonly location: number | undefined
}

export interface Allowed {
  /** Names in upper case: `F`, or `DB.SCH.F` for a qualified one. */
  readonly functions: ReadonlySet<string>
  /** What the warehouse defines, in upper case. */
  readonly defined: ReadonlySet<string>
  readonly nearest: (name: string, kind: "scalar" | "table") => ReadonlyArray<string>
}

/** Told of what is refused, and where it stands. */
export type Fail = (code: Rejection["code"], reason: string, at?: Tree, hint?: string) => void

export interface Names {
  readonly functions: Set<string>
  readonly tables: Set<string>
  readonly references: Array<Reference>
  readonly call: (tree: Tree, kind: "scalar" | "table") => void
  readonly table: (tree: Tree, isCte: (name: string) => boolean) => void
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (allowed: Allowed, fail: Fail): Names => {
  const tables = new Set<string>()
  const functions = new Set<string>()
  const references: Array<Reference> = []

  const call = (tree: Tree, kind: "scalar" | "table"): void => {
    const name = text(tree["function_name"])
    const qualifiers = [text(tree["catalog"]), text(tree["schema"])].filter(
      (part) => part !== "" && part !== "main"
    )
    if (tree["is_operator"] !== true) functions.add(fromDuckDb(name))
    const verdict = kind === "table" ? Functions.tableInDuckDb(name) : Functions.scalarInDuckDb(name)
    if (verdict === "allowed") return
    const full = upperAscii([...qualifiers, name].join("."))
    const mayBeAllowed = verdict.verdict === "unknown"
    if (mayBeAllowed && (allowed.defined.has(upperAscii(name)) || allowed.functions.has(full))) return
    // What is known for what it is was not misspelt.
    const shown = [...qualifiers, name]
      .map((part) => (hasMark(part) ? quoted(fromDuckDb(part)) : upperAscii(part)))
      .join(".")
    const near = mayBeAllowed ? allowed.nearest(name, kind) : []
    fail(
      "FUNCTION_NOT_ALLOWED",
      `the ${kind === "table" ? "table function" : "function"} ${shown} ${verdict.reason}` +
        (near.length === 0 ? "" : `; did you mean ${near.join(", ")}?`),
      tree,
      verdict.way(shown)
    )
  }

  const table = (tree: Tree, isCte: (name: string) => boolean): void => {
    const named = [tree["catalog_name"], tree["schema_name"], tree["table_name"]]
      .map(text)
      .filter((p) => p !== "")
    const parts = named.map(fromDuckDb)
    const refusal = refused(parts)
    if (refusal !== undefined) fail("OBJECT_NOT_ALLOWED", refusal.reason, tree, refusal.way)
    // What DuckDB takes for a CTE decides: `"orders"` of a statement is not its `ORDERS`.
    if (named.length === 1 && isCte(lowerAscii(named[0] ?? ""))) return
    tables.add(spelled(parts))
    references.push({ parts, location: locationOf(tree) })
  }

  return { functions, tables, references, call, table }
}
