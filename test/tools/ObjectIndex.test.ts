import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as ObjectIndex from "../../src/tools/core/ObjectIndex.js"
import * as Refresh from "../../src/tools/core/Refresh.js"
import { catalogOf, misspelt, search, seeded } from "../utils/searchCatalog.js"
import { shortOrLong } from "../utils/long.js"

const all: ReadonlySet<ObjectIndex.Kind> = new Set(["table", "view", "column"])
const roomy = { maxObjects: 1_000_000, maxBytes: 1_000_000_000 }

const table = (
  name: string,
  columns: ReadonlyArray<string | readonly [name: string, type: string, comment: string]> = [],
  more: Partial<ObjectIndex.Table> = {}
): ObjectIndex.Table => ({
  database: "SHOP",
  schema: "PUBLIC",
  name,
  isView: false,
  kind: "TABLE",
  comment: "",
  columns: columns.map((column) => {
    const [name, type, comment] = typeof column === "string" ? [column, "VARCHAR", ""] : column
    return { name, type, comment }
  }),
  ...more
})

const indexOf = (tables: ReadonlyArray<ObjectIndex.Table>, bounds = roomy) => {
  const index = ObjectIndex.make(bounds)
  const ids = tables.map((one) => ObjectIndex.add(index, one))
  return { index, ids }
}

const shown = ({ column, table }: ObjectIndex.Hit): string =>
  column === undefined ? table.name : `${table.name}.${column.name}`

const find = (
  index: ObjectIndex.ObjectIndex,
  text: string,
  more: Partial<ObjectIndex.Question> = {}
): ReadonlyArray<string> =>
  search(index, { text, kinds: all, limit: 10, sees: () => true, ...more }).hits.map(shown)

describe("a search", () => {
  const size = { tables: 300, columns: 20, seed: 5 }
  const { index } = indexOf(catalogOf(size))
  const common = "id date name amount status type code customer order line price total"

  it("finds the same with pauses as without, and has many of them in a large question", () => {
    const question = { text: common, kinds: all, limit: 20, sees: () => true }
    const steps = ObjectIndex.searching(index, question)
    const pauses: Array<void> = []
    let last = steps.next()
    for (; last.done !== true; last = steps.next()) pauses.push(last.value)
    expect(last.value).toEqual(search(index, question))
    expect(last.value.hits.length).toBe(20)
    expect(last.value.isCut).toBe(false)
    expect(pauses.length).toBeGreaterThan(50)
  })

  it("tells that it is cut where it has more columns before it than it looks at", () => {
    const wide = Array.from({ length: 11 }, (_, at) =>
      table(
        `ORDERS_${at}`,
        Array.from({ length: 10_000 }, (_, column) => `C${column}`)
      )
    )
    const question = { text: "orders", kinds: all, limit: 5, sees: () => true }
    expect(search(indexOf(wide.slice(0, 10)).index, question).isCut).toBe(false)
    expect(search(indexOf(wide).index, question)).toMatchObject({ hits: { length: 5 }, isCut: true })
  })

  it("goes on when the index changes in a pause, and tells nothing that is gone", () => {
    const { ids, index } = indexOf(catalogOf(size))
    const steps = ObjectIndex.searching(index, { text: common, kinds: all, limit: 20, sees: () => true })
    for (let n = 0; n < 15; n++) steps.next()
    for (const id of ids) if (id !== undefined) ObjectIndex.release(index, id)
    let last = steps.next()
    while (last.done !== true) last = steps.next()
    expect(last.value.hits).toEqual([])
  })

  it("finds a letter by the two that it is spelt with", () => {
    const { index } = indexOf([table("KUNDEN", [["GROESSE", "NUMBER", "Größe (cm)"], "STRASSE", "ORT"])])
    expect(find(index, "straße")).toEqual(["KUNDEN.STRASSE"])
    expect(find(index, "grosse")).toEqual(["KUNDEN.GROESSE"])
    expect(find(index, "Größe")).toEqual(["KUNDEN.GROESSE"])
  })
})

describe("the index of objects", () => {
  const { index } = indexOf([
    table("CUSTOMERS", ["CUSTOMER_ID", "FIRST_NAME", ["EMAIL", "VARCHAR", "where invoices are sent"]]),
    table("ORDERS", ["ORDER_ID", "CUSTOMER_ID", ["STATUS", "VARCHAR", "open, shipped or returned"]]),
    table("ORDER_LINES", ["ORDER_ID", "SKU", ["DETAILS", "VARIANT", ""]]),
    table("dailyRevenue", ["day", ["amount", "NUMBER(12,2)", ""]], { isView: true, kind: "VIEW" }),
    table("STG_X1", ["A1"], { comment: "Raw parcels of the carriers" }),
    table("CITÉS", ["CODE"])
  ])

  it("finds a name that is the question before names that hold more", () => {
    expect(find(index, "orders")[0]).toBe("ORDERS")
    expect(find(index, "order lines")[0]).toBe("ORDER_LINES")
    expect(find(index, "customer_id").slice(0, 2).sort()).toEqual([
      "CUSTOMERS.CUSTOMER_ID",
      "ORDERS.CUSTOMER_ID"
    ])
  })

  it("finds the beginning of a word, the singular of a plural, joined words and words without accents", () => {
    expect(find(index, "custom")[0]).toBe("CUSTOMERS")
    expect(find(index, "customer")[0]).toBe("CUSTOMERS")
    expect(find(index, "orderlines")[0]).toBe("ORDER_LINES")
    expect(find(index, "orderlines details")[0]).toBe("ORDER_LINES.DETAILS")
    expect(find(index, "daily revenue")[0]).toBe("dailyRevenue")
    expect(find(index, "cites")[0]).toBe("CITÉS")
  })

  it("finds misspelt words: a letter more, less, another one, two swapped", () => {
    for (const typo of ["custommers", "custmers", "cuztomers", "cusotmers"]) {
      expect(find(index, typo)[0]).toBe("CUSTOMERS")
    }
    expect(find(index, "emial")[0]).toBe("CUSTOMERS.EMAIL")
    expect(find(index, "xyzzy")).toEqual([])
    // Of three letters every word has neighbours.
    expect(find(index, "skv")).toEqual([])
  })

  it("finds by comments and types, and a column by a word of its table", () => {
    expect(find(index, "parcels")[0]).toBe("STG_X1")
    expect(find(index, "invoices sent")[0]).toBe("CUSTOMERS.EMAIL")
    expect(find(index, "variant")[0]).toBe("ORDER_LINES.DETAILS")
    expect(find(index, "where is the status of orders")[0]).toBe("ORDERS.STATUS")
    expect(find(index, "order email")[0]).toBe("CUSTOMERS.EMAIL")
  })

  it("shows the kinds that are asked for, and no more than the limit", () => {
    expect(find(index, "order", { kinds: new Set(["column"]) }).every((name) => name.includes("."))).toBe(
      true
    )
    expect(find(index, "revenue", { kinds: new Set(["table"]) })).toEqual([])
    expect(find(index, "revenue", { kinds: new Set(["view"]) })).toEqual(["dailyRevenue"])
    expect(find(index, "order", { limit: 2 })).toHaveLength(2)
  })

  it("shows no table that is not seen, nor its columns", () => {
    const sees = (_: number, { name }: ObjectIndex.Table) => name !== "CUSTOMERS"
    expect(find(index, "customer email", { sees }).filter((name) => name.startsWith("CUSTOMERS"))).toEqual([])
    expect(find(index, "customer email", { sees })).toContain("ORDERS.CUSTOMER_ID")
  })

  it("is not led astray by any question", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 100, unit: "binary" }), (text) => {
        expect(find(index, text).length).toBeLessThanOrEqual(10)
      }),
      { numRuns: shortOrLong(15, 50) }
    )
    expect(find(index, "")).toEqual([])
    expect(find(index, "__proto__ constructor toString")).toEqual([])
  })

  it("finds columns named like what every object has", () => {
    const { index } = indexOf([table("T", ["__proto__", "constructor", "toString"])])
    expect(find(index, "constructor")).toEqual(["T.constructor"])
    expect(find(index, "__proto__")).toEqual(["T.__proto__"])
  })

  it("keeps equal tables once, and each until the last one lets go", () => {
    const { ids, index } = indexOf([table("A", ["X"]), table("A", ["X"]), table("A", ["Y"])])
    expect(ids[0]).toBe(ids[1])
    expect(ids[2]).not.toBe(ids[0])
    ObjectIndex.release(index, ids[0]!)
    expect(find(index, "x")).toEqual(["A.X"])
    ObjectIndex.release(index, ids[0]!)
    expect(find(index, "x")).toEqual([])
    expect(find(index, "y")).toEqual(["A.Y"])
    ObjectIndex.release(index, ids[2]!)
    expect([index.objects, index.bytes, index.entries.size, index.byName.size]).toEqual([0, 0, 0, 0])
  })

  it("never holds more objects or bytes than it may, and counts what it holds", () => {
    const bounds = { maxObjects: 12, maxBytes: 12_000 }
    const one = fc.record({
      name: fc.constantFrom("A", "B", "C", "D"),
      columns: fc.array(fc.constantFrom("X", "Y", "Z"), { maxLength: 4 }),
      release: fc.boolean()
    })
    fc.assert(
      fc.property(fc.array(one, { maxLength: 40 }), (steps) => {
        const index = ObjectIndex.make(bounds)
        const held: Array<number> = []
        for (const { columns, name, release } of steps) {
          if (release) {
            const id = held.pop()
            if (id !== undefined) ObjectIndex.release(index, id)
          } else {
            const id = ObjectIndex.add(index, table(name, columns))
            if (id !== undefined) held.push(id)
          }
          const kept = [...index.entries.values()]
          expect(index.objects).toBe(kept.reduce((sum, { objects }) => sum + objects, 0))
          expect(index.bytes).toBe(kept.reduce((sum, { bytes }) => sum + bytes, 0))
          expect(index.objects).toBeLessThanOrEqual(bounds.maxObjects)
          expect(index.bytes).toBeLessThanOrEqual(bounds.maxBytes)
          expect(new Set(held)).toEqual(new Set(index.entries.keys()))
        }
      })
    )
  })

  it("finds 19 of 20 misspelt names among its first ten, in a catalog of 300 tables with 20 columns", () => {
    const random = seeded(7)
    const tables = catalogOf({ tables: 300, columns: 20, seed: 7 })
    const { index } = indexOf(tables)
    const wanted = Array.from({ length: 100 }, () => tables[Math.floor(random() * tables.length)]!)
    const found = wanted.filter((one, at) => {
      if (at % 2 === 0) return find(index, misspelt(one.name, random)).includes(one.name)
      const column = one.columns![Math.floor(random() * one.columns!.length)]!
      // Columns of one name stand in many tables.
      return find(index, misspelt(column.name, random)).some((name) => name.endsWith(`.${column.name}`))
    })
    expect(found.length).toBeGreaterThanOrEqual(95)
  })
})

describe("when names are asked for again", () => {
  it("is when they are old and nothing is under way, and not soon after a failure", () => {
    const due = (times: Partial<Refresh.Times>, now: number) =>
      Refresh.isDue({ ...Refresh.never, ...times }, now, 1_000)
    expect(due({}, 0)).toBe(true)
    expect(due({ isWanted: true }, 0)).toBe(false)
    expect(due({ filledAt: 0 }, 999)).toBe(false)
    expect(due({ filledAt: 0 }, 1_000)).toBe(true)
    expect(due({ filledAt: 0, notBefore: 2_000 }, 1_999)).toBe(false)
  })

  it("takes no more statements in an hour than it may, and says when there are more", () => {
    const hour = 3_600_000
    const spend = (budget: Refresh.Budget, now: number) => Refresh.spend(budget, now, 2)
    const [first, one] = spend(Refresh.noBudget, 10)
    const [second, two] = spend(one, 20)
    const [third, same] = spend(two, 30)
    expect([first, second, third]).toEqual([0, 0, hour - 20])
    expect(spend(same, 30 + third)[0]).toBe(0)
  })
})
