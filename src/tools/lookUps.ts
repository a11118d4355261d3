/**
 * What the statements that look something up have in common: their numbers among the statements of an attempt, the SHOW
 * of one name, and the cells of its rows.
 */
import * as Effect from "effect/Effect"
import type { Cell, Row } from "../warehouse/Warehouse.js"
import { WarehouseError } from "../warehouse/Warehouse.js"
import * as Names from "./names.js"
import type { ToolError } from "./Tool.js"

// Numbers

/** Statements of one attempt whose ids have the form of a UUID. */
const MAX_PARTS = 48

/** The statement itself and its plan have the numbers before it. */
const FIRST_LOOK_UP = 2

/** What a tool looks up for itself has the last numbers: this one and those after it. */
export const OWN_PART = MAX_PARTS - 2

/** How many other look-ups a call may have. */
const MOST_LOOK_UPS = OWN_PART - FIRST_LOOK_UP

/** The number of the n-th other look-up of a call, from 0; undefined where there are too many. */
export const lookUpPart = (nth: number): number | undefined =>
  nth < MOST_LOOK_UPS ? FIRST_LOOK_UP + nth : undefined

/**
 * The id of the n-th statement of an attempt. Statements of one attempt must not share an id: the
 * warehouse would answer the second with the result of the first. It stays the same over retries and
 * cannot meet another call's: those differ in their other digits.
 */
export const partId = (requestId: string, part: number): string => {
  if (part === 0) return requestId
  const [version, variant] = [14, 19]
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]/.test(requestId) || part >= MAX_PARTS)
    return `${requestId}-${part}`
  const digit = (at: number, more: number) => ((parseInt(requestId.charAt(at), 16) + more) % 16).toString(16)
  return (
    requestId.slice(0, version) +
    digit(version, part % 12) +
    requestId.slice(version + 1, variant) +
    digit(variant, 4 * Math.floor(part / 12)) +
    requestId.slice(variant + 1)
  )
}

// Cells

export const text = (cell: Cell | undefined): string =>
  cell === null || cell === undefined ? "" : typeof cell === "object" ? JSON.stringify(cell) : String(cell)

/** Warehouses write yes as `true`, `Y`, `YES` or a real boolean. */
export const flag = (cell: Cell | undefined): boolean => /^(y|yes|true)$/i.test(text(cell))

/** A number as it is counted; undefined of what is none. */
export const count = (cell: Cell | undefined): number | undefined => {
  const value = text(cell) === "" ? Number.NaN : Number(text(cell))
  return Number.isFinite(value) ? value : undefined
}

// One name

type Listed = "TABLES" | "VIEWS" | "SEMANTIC VIEWS"

/** The SHOW that lists one table or view, given in full; `keep` is for rows that begin with the name. */
export const showOne = (
  kind: Listed,
  [database = "", schema = "", name = ""]: Names.Name,
  dialect: "snowflake" | "duckdb"
): Effect.Effect<{ readonly sql: string; readonly keep: (row: Row) => boolean }, ToolError> =>
  Effect.zipWith(Names.like(name), Names.within([database, schema]), (like, within) => ({
    sql: `SHOW ${kind}${like}${within}`,
    // A pattern has wildcards, and no case.
    keep: ([found]) => Names.isSame(text(found), name, dialect)
  }))

/**
 * What is listed of a kind that an account may not know: nothing then. Every other failure is one, since what could not be
 * looked up must not be taken for what is not there.
 */
export const noneWhereUnknown = <A, E, R>(
  listing: Effect.Effect<A, E | WarehouseError, R>,
  none: A
): Effect.Effect<A, E | WarehouseError, R> =>
  Effect.catchIf(
    listing,
    (error) => error instanceof WarehouseError && error.reason === "InvalidStatement",
    () => Effect.succeed(none)
  )

/** Every row arrived, and nothing of it was cut. */
export const isWhole = ({
  cutCells,
  partial,
  truncated
}: {
  readonly cutCells: number
  readonly partial: boolean
  readonly truncated: object | undefined
}): boolean => cutCells === 0 && !partial && truncated === undefined
