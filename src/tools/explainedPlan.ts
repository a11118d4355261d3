/** The answer of `EXPLAIN USING JSON`, for a reader. Whatever is not as expected is left out. */
import * as Predicate from "effect/Predicate"
import type { Cell } from "../warehouse/Warehouse.js"

interface Operation {
  readonly depth: number
  readonly operation: string
  readonly objects?: string
  readonly expressions?: string
  readonly bytes?: number
}

interface Plan {
  readonly bytesAssigned: number
  readonly partitionsAssigned: number
  readonly partitionsTotal: number
  readonly tables: ReadonlyArray<string>
  readonly operations: ReadonlyArray<Operation>
}

type Fields = { readonly [key: string]: unknown }

const fields = (value: unknown): Fields => (Predicate.isRecord(value) ? value : {})

const list = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

const number = (value: unknown): number | undefined => {
  const found = typeof value === "string" && value !== "" ? Number(value) : value
  return typeof found === "number" && Number.isFinite(found) ? found : undefined
}

/** Joins of a hundred columns say no more than the first of them. */
const LONGEST = 300

const joined = (value: unknown): string | undefined => {
  const all = list(value).map(String).join(", ")
  if (all === "") return undefined
  return all.length > LONGEST ? `${all.slice(0, LONGEST)}…` : all
}

const parsed = (cell: Cell): unknown => {
  if (typeof cell !== "string") return cell
  try {
    return JSON.parse(cell)
  } catch {
    return undefined
  }
}

const some = <K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } =>
  value === undefined ? {} : ({ [key]: value } as { readonly [P in K]: V })

/** `visible`: which tables may be named; a view is read together with tables behind it that may not. */
export const read = (cell: Cell, visible: (table: string) => boolean): Plan => {
  const objectsOf = (step: Fields): ReadonlyArray<string> => list(step["objects"]).map(String).filter(visible)
  const plan = fields(parsed(cell))
  const stats = fields(plan["GlobalStats"])
  const steps = list(plan["Operations"]).flatMap(list).map(fields)
  const parents = new Map<number, number>()
  for (const step of steps) {
    const id = number(step["id"])
    const parent = number(list(step["parentOperators"])[0] ?? step["parent"])
    if (id !== undefined && parent !== undefined && parent !== id) parents.set(id, parent)
  }
  const depthOf = (id: number | undefined): number => {
    const seen = new Set<number>()
    for (let at = id; at !== undefined && !seen.has(at); at = parents.get(at)) seen.add(at)
    return Math.max(seen.size - 1, 0)
  }
  const tables = new Set<string>()
  const operations = steps.map((step): Operation => {
    const operation = String(step["operation"] ?? "Unknown")
    if (/TableScan$/i.test(operation)) for (const one of objectsOf(step)) tables.add(one)
    return {
      depth: depthOf(number(step["id"])),
      operation,
      ...some("objects", joined(objectsOf(step))),
      ...some("expressions", joined(step["expressions"])),
      ...some("bytes", number(step["bytesAssigned"]))
    }
  })
  return {
    bytesAssigned: number(stats["bytesAssigned"]) ?? 0,
    partitionsAssigned: number(stats["partitionsAssigned"]) ?? 0,
    partitionsTotal: number(stats["partitionsTotal"]) ?? 0,
    tables: [...tables],
    operations
  }
}
