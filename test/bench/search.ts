/** `npm run bench:search`: see `scripts/bench-search.mjs`. Times are those of the processor, not of the clock. */
import { parseArgs } from "node:util"
import * as ObjectIndex from "../../src/tools/core/ObjectIndex.js"
import { catalogOf, misspelt, search, seeded } from "../utils/searchCatalog.js"

const { values } = parseArgs({
  options: {
    tables: { type: "string", default: "5000" },
    columns: { type: "string", default: "50" },
    queries: { type: "string", default: "400" },
    seed: { type: "string", default: "1" }
  }
})
const size = { tables: Number(values.tables), columns: Number(values.columns), seed: Number(values.seed) }
const queries = Number(values.queries)
const random = seeded(size.seed)
const kinds: ReadonlySet<ObjectIndex.Kind> = new Set(["table", "view", "column"])

const heap = (): number => {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}
const busyMs = (): number => {
  const { system, user } = process.cpuUsage()
  return (system + user) / 1_000
}
const print = (name: string, value: string) => console.log(`${name.padEnd(44)} ${value}`)

const before = heap()
// Made one after the other, so that nothing but the index holds them.
const index = ObjectIndex.make({ maxObjects: 10_000_000, maxBytes: 10_000_000_000 })
const ids: Array<number> = []
const fillFrom = busyMs()
for (const table of catalogOf(size)) {
  const id = ObjectIndex.add(index, table)
  if (id !== undefined) ids.push(id)
}
const fillMs = busyMs() - fillFrom
const held = heap() - before
print("tables and columns", `${ids.length}, ${index.objects - ids.length}`)
print("fill", `${Math.round(fillMs)} ms`)
print("memory, with the catalog itself", `${Math.round(held / 1e6)} MB`)
print("memory, as the index counts it", `${Math.round(index.bytes / 1e6)} MB`)
print("distinct words", String(index.texts.termCount))

const times: Array<number> = []
const ask = (text: string): ReadonlyArray<ObjectIndex.Hit> => {
  const from = busyMs()
  const { hits } = search(index, { text, kinds, limit: 10, sees: () => true })
  times.push(busyMs() - from)
  return hits
}
const one = (): ObjectIndex.Table => ObjectIndex.tableOf(index, ids[Math.floor(random() * ids.length)]!)!
let [tablesFound, columnsFound, exactFound] = [0, 0, 0]
for (let n = 0; n < queries; n++) {
  const table = one()
  const isIt = (hit: ObjectIndex.Hit) => hit.column === undefined && hit.table.name === table.name
  if (ask(table.name.toLowerCase()).some(isIt)) exactFound += 1
  if (ask(misspelt(table.name, random)).some(isIt)) tablesFound += 1
  const { name } = table.columns![Math.floor(random() * table.columns!.length)]!
  if (ask(misspelt(name, random)).some(({ column }) => column?.name === name)) columnsFound += 1
}
/** All words that a question may have, none of them rare, and the longest that is done between two pauses. */
const words = ids
  .slice(0, 6)
  .flatMap((id) => ObjectIndex.words(ObjectIndex.tableOf(index, id)?.name ?? ""))
  .map((word) => word.slice(0, 3))
const large: Array<number> = []
let longest = 0
for (let n = 0; n < 20; n++) {
  const steps = ObjectIndex.searching(index, {
    text: `${words.join(" ")} id date name amount status type code`,
    kinds,
    limit: 10,
    sees: () => true
  })
  const from = busyMs()
  for (;;) {
    const begun = performance.now()
    const { done } = steps.next()
    longest = Math.max(longest, performance.now() - begun)
    if (done === true) break
  }
  large.push(busyMs() - from)
}
print(
  "twelve common words, median, longest",
  `${large.sort((a, b) => a - b)[10]!.toFixed(1)} ms, ${large.at(-1)!.toFixed(1)} ms`
)
print("the longest without a pause", `${longest.toFixed(1)} ms`)

const sorted = times.sort((a, b) => a - b)
const at = (share: number) => `${(sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(1)} ms`
print("query, median, p90, p99", [at(0.5), at(0.9), at(0.99)].join(", "))
const share = (found: number) => `${((100 * found) / queries).toFixed(1)} %`
print("names of tables as they are, in first ten", share(exactFound))
print("misspelt names of tables, in first ten", share(tablesFound))
print("misspelt names of columns, in first ten", share(columnsFound))
