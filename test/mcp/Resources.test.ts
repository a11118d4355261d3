import { describe, expect, it } from "@effect/vitest"
import * as Resources from "../../src/mcp/Resources.js"

const listed = (...names: ReadonlyArray<string>) => [
  { member: "tables", result: { tables: names.map((name) => ({ name })) } }
]

const values = (begun: string, ...names: ReadonlyArray<string>) =>
  Resources.completed(listed(...names), begun).completion.values

describe("what completes a name", () => {
  it("is a name that begins so, in whatever case", () => {
    expect(values("or", "ORDERS", "ORIGINS", "FLOOR")).toEqual(["ORDERS", "ORIGINS"])
    expect(values("")).toEqual([])
    expect(values("", "A", '"b"')).toEqual(["A", '"b"'])
  })

  it("is a name in double quotes too, whether they are typed or not", () => {
    const names = ['"ÉTÉ"', '"lower_db"', '"a""b"', "ETE"] as const
    expect(values("É", ...names)).toEqual(['"ÉTÉ"'])
    expect(values("é", ...names)).toEqual(['"ÉTÉ"'])
    // The accent as a character of its own.
    expect(values("e\u0301t", ...names)).toEqual(['"ÉTÉ"'])
    expect(values("e", ...names)).toEqual(["ETE"])
    expect(values("low", ...names)).toEqual(['"lower_db"'])
    expect(values('a"', ...names)).toEqual(['"a""b"'])
    expect(values('"', ...names)).toEqual(['"ÉTÉ"', '"lower_db"', '"a""b"'])
    expect(values('"low', ...names)).toEqual(['"lower_db"'])
  })
})
