/** What is made of the measurements: CPU of children, goals, tables. Pure. */
import { median } from "../harness.js"

export interface Stat {
  readonly pid: number
  readonly parent: number
  /** Of itself, and of the children that it has waited for. */
  readonly own: number
  readonly waited: number
}

/** A line of /proc/PID/stat. The name of the program is in brackets and may hold anything. */
export const statOf = (line: string): Stat => {
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ")
  const at = (n: number) => Number(fields[n - 3])
  return { pid: Number.parseInt(line, 10), parent: at(4), own: at(14) + at(15), waited: at(16) + at(17) }
}

/** Ticks of CPU of all processes below this one. */
export const cpuOfDescendants = (lines: ReadonlyArray<string>, pid: number): number => {
  const all = lines.map(statOf)
  const below = (parent: number): number =>
    all
      .filter((one) => one.parent === parent)
      .reduce((sum, one) => sum + one.own + one.waited + below(one.pid), 0)
  return below(pid)
}

/** Of the same round, which met the same machine; the median of them. */
export const ratio = (values: ReadonlyArray<number>, bases: ReadonlyArray<number>): number =>
  median(values.map((value, round) => value / (bases[round] ?? Number.NaN)))

/** As {@link ratio}. */
export const difference = (values: ReadonlyArray<number>, bases: ReadonlyArray<number>): number =>
  median(values.map((value, round) => value - (bases[round] ?? Number.NaN)))

export interface Goal {
  readonly what: string
  readonly unit: "x" | "ms" | ""
  readonly value: number
  readonly goal: number
  readonly is: "at most" | "at least"
  readonly met: boolean
}

/** Undefined where the figure is missing: a peer that is not installed, a part that was not asked for. */
export const goal = (
  what: string,
  value: number | undefined,
  is: Goal["is"],
  bound: number,
  unit: Goal["unit"] = "x"
): Goal | undefined =>
  value === undefined || Number.isNaN(value)
    ? undefined
    : { what, unit, value, goal: bound, is, met: is === "at most" ? value <= bound : value >= bound }

export type Cell = string | number | undefined

const shown = (cell: Cell): string => {
  if (typeof cell === "string") return cell
  if (cell === undefined || Number.isNaN(cell)) return "-"
  const digits = Number.isInteger(cell) || Math.abs(cell) >= 100 ? 0 : Math.abs(cell) >= 10 ? 1 : 2
  return cell.toFixed(digits).replace(/\B(?=(\d{3})+(?!\d|\.))/g, digits === 0 ? "," : "")
}

/** Markdown; columns behind the first are numbers. */
export const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<Cell>>): string => {
  const line = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |`
  return [
    line(head),
    line(head.map((_, i) => (i === 0 ? "---" : "---:"))),
    ...rows.map((row) => line(row.map(shown)))
  ].join("\n")
}

export const goalsTable = (goals: ReadonlyArray<Goal>): string =>
  table(
    ["goal", "measured", "goal is", ""],
    goals.map(({ goal, is, met, unit, value, what }) => [
      what,
      `${shown(value)}${unit === "" ? "" : unit === "x" ? "x" : ` ${unit}`}`,
      `${is} ${goal}${unit === "" ? "" : unit === "x" ? "x" : ` ${unit}`}`,
      met ? "met" : "missed"
    ])
  )
