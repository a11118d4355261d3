/**
 * What a row of `SHOW WAREHOUSES` says of cost: the credits of an hour, whether the warehouse runs, and what a statement
 * does to one that does not.
 *
 * Credits per hour double with the size, from 1 for X-Small. Warehouses of the second generation cost 1.35 times as much
 * (1.25 on Azure: the larger factor is used), Snowpark-optimized ones with their usual memory 1.5 times, each per cluster.
 * What adaptive and interactive warehouses cost is not known from their size.
 */
import type { Compute } from "../Warehouse.js"
import type { Named } from "./named.js"

const sizes = [
  "XSMALL",
  "SMALL",
  "MEDIUM",
  "LARGE",
  "XLARGE",
  "2XLARGE",
  "3XLARGE",
  "4XLARGE",
  "5XLARGE",
  "6XLARGE"
]

/** `X-Small`, `XXLARGE`, `X2LARGE` and `2X-Large` are ways to write it. */
const sizeOf = (text: string): number =>
  sizes.indexOf(
    text
      .toUpperCase()
      .replace(/[-_\s]/g, "")
      .replace(/^X(X+)LARGE$/, (_, more: string) => `${more.length + 1}XLARGE`)
      .replace(/^X(\d)LARGE$/, "$1XLARGE")
  )

const textOf = (value: unknown): string => (typeof value === "string" ? value : "")

const numberOf = (value: unknown): number | undefined => {
  const number =
    typeof value === "number" || (typeof value === "string" && value.trim() !== "") ? Number(value) : NaN
  return Number.isFinite(number) ? number : undefined
}

const isTrue = (value: unknown): boolean => /^(true|y|yes)$/i.test(String(value))

const SECOND_GENERATION = 1.35
const SNOWPARK = 1.5

/** Of one cluster, in terms of a standard warehouse of the first generation; undefined where it is not known. */
const factorOf = (row: Named): number | undefined => {
  const type = textOf(row["type"]).toUpperCase()
  const constraint = textOf(row["resource_constraint"]).toUpperCase()
  if (type === "STANDARD") {
    const isSecond = constraint.includes("GEN_2") || String(row["generation"] ?? "") === "2"
    return isSecond ? SECOND_GENERATION : 1
  }
  if (type !== "SNOWPARK-OPTIMIZED") return undefined
  return constraint === "" || constraint === "MEMORY_16X" ? SNOWPARK : undefined
}

const rateOf = (row: Named): number | undefined => {
  const size = sizeOf(textOf(row["size"]))
  const factor = factorOf(row)
  if (size < 0 || factor === undefined) return undefined
  return 2 ** size * factor * Math.max(1, numberOf(row["started_clusters"]) ?? 1)
}

/** States in which a statement would resume it. */
const sleeping: ReadonlySet<string> = new Set(["SUSPENDED", "SUSPENDING"])

export const fromRow = (row: Named): Compute => {
  const state = textOf(row["state"]).toUpperCase()
  const seconds = numberOf(row["auto_suspend"])
  return {
    name: textOf(row["name"]),
    kind: [row["size"], row["type"]]
      .map(textOf)
      .filter((one) => one !== "")
      .join(", "),
    creditsPerHour: rateOf(row),
    state: state === "" ? "unknown" : sleeping.has(state) ? "suspended" : "running",
    autoResume: row["auto_resume"] === undefined || isTrue(row["auto_resume"]),
    // Null and 0: it never is.
    autoSuspendMs: seconds === undefined || seconds <= 0 ? undefined : seconds * 1000,
    running: numberOf(row["running"]) ?? 0
  }
}

/** The one that a session's statements run in: of that name, or the session's current one. */
export const chosen = (rows: ReadonlyArray<Named>, name: string | undefined): Compute | undefined => {
  const row = rows.find((row) => (name === undefined ? isTrue(row["is_current"]) : row["name"] === name))
  return row === undefined ? undefined : fromRow(row)
}
