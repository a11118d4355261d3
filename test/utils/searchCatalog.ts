/**
 * A catalog of any size with names as warehouses have them, and misspelt names, the same for the same seed.
 */
import type { Column, Table } from "../../src/tools/core/ObjectIndex.js"
import * as ObjectIndex from "../../src/tools/core/ObjectIndex.js"

/** The search without pauses. */
export const search = (index: ObjectIndex.ObjectIndex, question: ObjectIndex.Question): ObjectIndex.Hits => {
  const steps = ObjectIndex.searching(index, question)
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
  }
}

/** Numbers from 0 up to 1: mulberry32. */
export const seeded = (seed: number): (() => number) => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

const subjects = (
  "customer order invoice payment product shipment supplier employee account session campaign contract ticket vehicle " +
  "policy claim branch warehouse inventory refund subscription device sensor trip driver route loan ledger budget"
).split(" ")
const parts = (
  "line item detail history summary event status address contact price discount tax balance forecast target " +
  "snapshot audit mapping segment channel region"
).split(" ")
const attributes = (
  "id code name type status amount quantity total currency created updated deleted date time country city email phone " +
  "score rate flag count source version owner comment reason start end limit weight hash"
).split(" ")
const types = ["NUMBER", "VARCHAR", "DATE", "TIMESTAMP_NTZ", "BOOLEAN", "VARIANT", "NUMBER(12,2)", "FLOAT"]

export const catalogOf = (size: {
  readonly tables: number
  readonly columns: number
  readonly seed: number
}): ReadonlyArray<Table> => {
  const random = seeded(size.seed)
  const one = <A>(from: ReadonlyArray<A>): A => from[Math.floor(random() * from.length)]!
  const column = (): Column => ({
    name: [
      ...(random() < 0.6 ? [one(subjects)] : []),
      ...(random() < 0.3 ? [one(parts)] : []),
      one(attributes)
    ]
      .join("_")
      .toUpperCase(),
    type: one(types),
    comment: random() < 0.3 ? `${one(attributes)} of the ${one(subjects)} ${one(parts)}` : ""
  })
  return Array.from({ length: size.tables }, (_, at): Table => ({
    database: `DB${at % 4}`,
    schema: `SCHEMA_${at % 40}`,
    name: `${one(subjects)}_${one(parts)}_${one(parts)}`.toUpperCase() + (at % 3 === 0 ? `_${at}` : ""),
    isView: at % 5 === 0,
    kind: at % 5 === 0 ? "VIEW" : "TABLE",
    comment: random() < 0.5 ? `${one(parts)} of each ${one(subjects)}` : "",
    columns: [
      ...new Map(Array.from({ length: size.columns }, column).map((made) => [made.name, made])).values()
    ]
  }))
}

/** The name with a typing mistake in its longest word: a letter less, twice, another one, or two swapped. */
export const misspelt = (name: string, random: () => number): string => {
  const words = name.toLowerCase().split("_")
  const longest = words.reduce((most, word, at) => (word.length > words[most]!.length ? at : most), 0)
  const word = words[longest]!
  if (word.length < 4) return words.join("_")
  const at = 1 + Math.floor(random() * (word.length - 2))
  const [before, after] = [word.slice(0, at), word.slice(at + 1)]
  const kinds = [
    before + after,
    before + word[at] + word[at] + after,
    `${before}${"qxzj"[Math.floor(random() * 4)]}${after}`,
    before + after.slice(0, 1) + word[at] + after.slice(1)
  ]
  words[longest] = kinds[Math.floor(random() * kinds.length)]!
  return words.join("_")
}
