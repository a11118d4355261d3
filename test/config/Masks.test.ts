import { describe, expect, it } from "@effect/vitest"
import { parse } from "smol-toml"
import { faultsOf, settingsOf } from "./samples.js"

const masks = (document: { readonly [key: string]: unknown }) => settingsOf({ document }).tiers

describe("masks of a tier", () => {
  it("are a table of the file, with the full names of columns in quotes", () => {
    const document = parse(`
      [tiers.default]
      mask = { "SALES.PUBLIC.CUSTOMERS.EMAIL" = "token", "*.HR.*.SALARY" = "null" }
      [tiers.open]
      mask = {}
      [tiers.inherits]
    `)
    const tiers = masks(document)
    const given = { "SALES.PUBLIC.CUSTOMERS.EMAIL": "token", "*.HR.*.SALARY": "null" }
    expect(tiers["default"]?.mask).toEqual(given)
    expect(tiers["inherits"]?.mask).toEqual(given)
    expect(tiers["open"]?.mask).toEqual({})
  })

  it("are name=kind in a variable, separated by commas", () => {
    const env = { SNOWGUARD_TIERS_DEFAULT_MASK: 'A.B.C.D=token, *.HR.*."pay=ment"=hidden' }
    expect(settingsOf({ env }).tiers["default"]?.mask).toEqual({
      "A.B.C.D": "token",
      '*.HR.*."pay=ment"': "hidden"
    })
    expect(settingsOf({ env: { SNOWGUARD_TIERS_DEFAULT_MASK: "," } }).tiers["default"]?.mask).toEqual({})
  })

  it.each([
    ['"A.B.C" = "token"', "a name of three parts"],
    ['"A.B.C.D.E" = "token"', "a name of five parts"],
    ['"A.B.C.D" = "tokens"', "an unknown kind"],
    ['A.B.C.D = "token"', "a name without quotes"],
    ['"A.B.C.*_MAIL" = "token"', "a part of a name"]
  ])("are refused with %s: %s", (mask) => {
    const [fault, ...others] = faultsOf({ document: parse(`[tiers.default]\nmask = { ${mask} }`) })
    expect(fault).toMatch(/^tiers\.default\.mask \(snowguard\.toml\): expected a table such as \{ "SALES/)
    expect(others).toEqual([])
  })
})
