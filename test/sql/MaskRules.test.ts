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

  it("mean with a virtual column what it is computed from, and with a column what is computed from it", () => {
    const seen = (masks: MaskRules.Masks, columns: ReadonlyArray<MaskRules.Column>) =>
      MaskRules.ofColumns(MaskRules.compile(masks), ["D", "S", "T"], columns)
    const column = (name: string, ...from: ReadonlyArray<string>) => ({ name, type: "VARCHAR", from })
    // An external table: all is computed from VALUE, which has each of its columns.
    const external = [column("VALUE"), column("EMAIL", "VALUE"), column("CITY", "VALUE")]
    expect(seen({ "D.S.T.EMAIL": "token" }, external)).toEqual(["token", "token", undefined])
    expect(seen({ "D.S.T.VALUE": "hidden" }, external)).toEqual(["hidden", "hidden", "hidden"])
    const chain = [column("A"), column("B", "A"), column("C", "B"), column("D", "C", "A"), column("E")]
    expect(seen({ "D.S.T.A": "token" }, chain)).toEqual(["token", "token", "token", "token", undefined])
    expect(seen({ "D.S.T.C": "null", "*.*.*.A": "token" }, chain)).toEqual([
      "null",
      "null",
      "null",
      "null",
      undefined
    ])
  })

  it("mean with a virtual column those that are computed from the same place, however it is written", () => {
    const seen = (masks: MaskRules.Masks, expressions: ReadonlyArray<string>) => {
      const columns = expressions.map((expression, at) => ({
        name: `C${at}`,
        type: "VARCHAR",
        from: MaskRules.namesIn(expression, ["VALUE", "NAME"]),
        paths: MaskRules.pathsIn(expression, ["VALUE", "NAME"])
      }))
      const all = [{ name: "VALUE", type: "VARIANT" }, { name: "NAME", type: "VARCHAR" }, ...columns]
      return MaskRules.ofColumns(MaskRules.compile(masks), ["D", "S", "T"], all)
        .slice(2)
        .map((kind) => kind ?? "")
        .join(" ")
    }
    const hideFirst: MaskRules.Masks = { "D.S.T.C0": "hidden" }
    const same = [
      "(VALUE:email::VARCHAR)",
      "(CAST(GET(VALUE, 'email') AS VARCHAR(16777216)))",
      'LOWER("VALUE":"Email"::NUMBER(10,2))',
      "VALUE['email']",
      "GET_PATH(VALUE, 'email')",
      "LEFT(value:email, 3)",
      "VALUE:city || VALUE:email",
      "VALUE:email.domain::VARCHAR",
      "TO_JSON(VALUE)"
    ]
    expect(seen(hideFirst, same)).toBe(same.map(() => "hidden").join(" "))
    expect(
      seen(hideFirst, [
        "VALUE:email::VARCHAR",
        "VALUE:city::VARCHAR",
        "VALUE:emails",
        "GET(VALUE, 'c2')",
        "VALUE[0]"
      ])
    ).toBe("hidden    ")
    expect(seen(hideFirst, ["VALUE:a.b", "VALUE:a.c", "VALUE:a"])).toBe("hidden  hidden")
    expect(seen(hideFirst, ["METADATA$FILENAME", "SPLIT_PART(METADATA$FILENAME, '/', 1)", "VALUE:c2"])).toBe(
      "hidden hidden "
    )
    expect(seen(hideFirst, ["$1:c1", "$1:c1::DATE", "$1:c2", "$12:c1"])).toBe("hidden hidden  ")
    expect(seen({ "D.S.T.C0": "token", "D.S.T.C1": "null" }, ["LOWER(NAME)", "UPPER(NAME)", "VALUE:a"])).toBe(
      "null null "
    )
  })

  it("find columns in expressions by whole words, whatever their case and quotes", () => {
    const names = ["EMAIL", "MAIL", "e mail", 'a"b', "ID"]
    const found = (expression: string) => MaskRules.namesIn(expression, names)
    expect(found("LOWER(Email)")).toEqual(["EMAIL"])
    expect(found(`'"' || "EMAIL" || '"' || MAIL2`)).toEqual(["EMAIL"])
    expect(found('"e mail" || "a""b" || GRID || ID')).toEqual(["MAIL", "e mail", 'a"b', "ID"])
    expect(found("(VALUE:mail::VARCHAR)")).toEqual(["MAIL"])
    expect(found("E_MAIL$EMAIL")).toEqual([])
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
