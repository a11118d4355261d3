import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as MaskRules from "../../src/sql/MaskRules.js"

const rules = MaskRules.compile({
  "SALES.PUBLIC.CUSTOMERS.EMAIL": "token",
  "*.HR.*.SALARY": "null",
  "*.HR.STAFF.*": "token",
  'SALES."Odd ""one""".T."a.b"': "hidden"
})
const kind = (...name: ReadonlyArray<string>) => MaskRules.ofColumn(rules, name.slice(0, 3), name[3]!)

describe("rules about masked columns", () => {
  it.each([
    [["SALES", "PUBLIC", "CUSTOMERS", "EMAIL"], "token"],
    [["sales", "Public", "customers", "Email"], "token"],
    [["SALES", "PUBLIC", "CUSTOMERS", "PHONE"], undefined],
    [["OTHER", "PUBLIC", "CUSTOMERS", "EMAIL"], undefined],
    [["ANY", "HR", "PAY", "SALARY"], "null"],
    [["ANY", "HR", "STAFF", "SALARY"], "null"],
    [["ANY", "HR", "STAFF", "NAME"], "token"],
    [["SALES", 'Odd "one"', "T", "a.b"], "hidden"],
    [["SALES", 'ODD "ONE"', "T", "A.B"], "hidden"]
  ] as const)("see %j as %j", (name, expected) => expect(kind(...name)).toBe(expected))

  it("say which tables have masked columns, and which are named by themselves", () => {
    expect(MaskRules.mayMask(rules, ["X", "HR", "Y"])).toBe(true)
    expect(MaskRules.mayMask(rules, ["SALES", "PUBLIC", "ORDERS"])).toBe(false)
    expect(MaskRules.lists(rules, ["SALES", "PUBLIC", "CUSTOMERS"])).toBe(true)
    expect(MaskRules.lists(rules, ["X", "HR", "STAFF"])).toBe(false)
  })

  it("never see a column as more when a rule is added", () => {
    const part = fc.constantFrom("A", "B", "*")
    const rule = fc.tuple(part, part, part, part).map((parts) => parts.join("."))
    const masks = fc.dictionary(rule, fc.constantFrom(...MaskRules.kinds), { maxKeys: 5 })
    const name = fc.tuple(...Array.from({ length: 4 }, () => fc.constantFrom("A", "B", "a")))
    const told = (kind: MaskRules.Kind | undefined) => [undefined, "token", "hidden", "null"].indexOf(kind)
    fc.assert(
      fc.property(masks, rule, fc.constantFrom(...MaskRules.kinds), name, (some, more, as, [a, b, c, d]) => {
        const seen = (masks: MaskRules.Masks) =>
          told(MaskRules.ofColumn(MaskRules.compile(masks), [a!, b!, c!], d!))
        expect(seen({ [more]: as, ...some })).toBeGreaterThanOrEqual(seen(some))
      })
    )
  })
})
