/**
 * What the log says of the cause of a failed call. Whether statements are recorded is for the audit log to
 * say, so nothing of them may get here: warehouses quote names and literals in their messages, and whole
 * lines of the statement behind them.
 *
 * ```
 *   Conversion Error: Could not convert string 'jane@corp.example' to INT32   LINE 1: ...
 *   |---------------------- told ------------|-------------------- not told -----------
 * ```
 */
import type { Reason } from "../warehouse/Warehouse.js"
import { WarehouseError } from "../warehouse/Warehouse.js"

/** Of these the warehouse has not seen the statement, or not read it. */
const outside: ReadonlySet<Reason> = new Set<Reason>([
  "Unreachable",
  "Configuration",
  "Authentication",
  "LoginUnavailable"
])

const LONGEST = 120

/**
 * What comes before the first quote, bracket, figure or name: a literal may hold quotes itself, so that its end
 * is not known, and numbers are literals without any.
 */
const general = (message: string): string => {
  const plain = message.replace(/^Failed to extract statements: /, "")
  const [first = ""] = plain.split(/\n|\bLINE \d|\bname\s|['"`‘’“”([{\d]/, 1)
  return first.trim().slice(0, LONGEST)
}

/** For an operator; undefined when there is nothing to tell. */
export const logCause = (error: object): string | undefined => {
  const cause = "cause" in error && error.cause instanceof Error ? error.cause.message : undefined
  if (!(error instanceof WarehouseError) || outside.has(error.reason)) return cause
  const { code, sqlState } = error
  const told = [code, sqlState, cause === undefined ? undefined : general(cause)]
  const all = told.filter((part) => part !== undefined && part !== "").join(" ")
  return cause === undefined || all === "" ? undefined : all
}
