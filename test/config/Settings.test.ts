import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import { nearest } from "../../src/platform/core/Nearest.js"
import * as Key from "../../src/config/Key.js"
import * as Setting from "../../src/config/Setting.js"
import { table } from "../../src/config/Settings.js"
import { reserved } from "../../src/config/Table.js"
import { accepted, everySetting, faultsOf, nest, settingsOf } from "./samples.js"
import { someOrAll } from "../utils/long.js"

const all = everySetting("default")
const named = all.map(([path, setting]) => ({ key: Key.format(path), path, setting }))
const numeric = named.flatMap((one) =>
  one.setting.kind._tag === "integer" || one.setting.kind._tag === "number"
    ? [{ ...one, kind: one.setting.kind }]
    : []
)

/** Of a tier or a client: the one entry. */
const sectionOf = (path: ReadonlyArray<string>) => path.slice(0, Math.min(2, path.length - 1))

/** Beside a value at its bound stands the one it is tied to, so that only the bound is tried. */
const companions = (
  { path, setting }: { path: ReadonlyArray<string>; setting: Setting.Setting },
  value: number
) => {
  const tied = setting.atMost ?? setting.together
  if (tied === undefined) return {}
  const beside = tied === "url" ? "https://a.example" : String(Math.max(1, value))
  return { [Key.env(Key.under(sectionOf(path), tied))]: beside }
}

describe("the table of settings", () => {
  it("has an environment variable of its own for every setting", () => {
    const variables = all.map(([path]) => Key.env(path))
    expect(new Set([...variables, ...Object.keys(reserved)]).size).toBe(
      variables.length + Object.keys(reserved).length
    )
    for (const variable of variables) expect(variable).toMatch(/^SNOWGUARD_[A-Z0-9_]+$/)
  })

  it.each(named)("describes $key, and its default is one it accepts", ({ setting }) => {
    expect(setting.about).toMatch(/^\S.{5,}[^.\s]$/)
    if (setting.default !== undefined) expect(accepted(setting, setting.default)).toBe(true)
  })

  it("ties settings only to siblings and sections that exist", () => {
    for (const [path, { atMost, names, references, together }] of all) {
      for (const tied of [atMost, together]) {
        const sibling = tied === undefined ? path : Key.under(sectionOf(path), tied)
        expect(all.map(([other]) => Key.format(other))).toContain(Key.format(sibling))
      }
      for (const section of [references, names]) {
        if (section !== undefined) expect(Object.keys(table.named)).toContain(section)
      }
    }
  })

  it.each(someOrAll(numeric, 25))("accepts $key at both bounds and refuses it beyond them", (one) => {
    const { kind, path, setting } = one
    for (const value of [kind.min, kind.max]) {
      const env = { ...companions(one, value), [Key.env(path)]: String(value) }
      // tiers.default.initial_tokens may be a million only in a burst of a million, and so on.
      expect(faultsOf({ env })).toEqual([])
      expect(accepted(setting, value)).toBe(true)
    }
    const step = kind._tag === "integer" ? 1 : 0.0005
    for (const value of [kind.min - step, kind.max + step, Number.NaN, Infinity, -Infinity]) {
      const [message, ...others] = faultsOf({ document: nest(path, value) })
      expect(others).toEqual([])
      expect(message).toBe(
        `${Key.format(path)} (snowguard.toml): expected ${kind._tag === "integer" ? "a whole number" : "a number"} from ${kind.min} to ${kind.max}, got ${value}`
      )
    }
    if (kind._tag === "integer") expect(accepted(setting, kind.min + 0.5)).toBe(false)
  })

  it.each(someOrAll(named, 60))(
    "refuses $key of another type, in the file and in the environment",
    ({ key, path, setting }) => {
      const wrong: ReadonlyArray<unknown> = {
        integer: ["7", true, [7], {}],
        number: ["7", true, [7], {}],
        boolean: ["true", 1, [true], {}],
        choice: [1, true, ["duckdb"], {}, ""],
        text: [1, true, ["a"], {}, ""],
        list: [1, true, "A", {}, [1], ["a\0 b"], [""]],
        record: [1, true, "A", ["a"], { "A.B.C.D": 1 }, { "A.B.C.D": "plain" }, { "A.B.C": "token" }]
      }[setting.kind._tag]
      for (const value of wrong) {
        const found = faultsOf({ document: nest(path, value) })
        expect(found).toHaveLength(1)
        expect(found[0]).toContain(`${key} (snowguard.toml): expected `)
      }
      const text = setting.kind._tag === "list" ? "a\0 b" : "\0"
      const found = faultsOf({ env: { [Key.env(path)]: text } })
      expect(found).toHaveLength(1)
      const got = setting.secret ? "something else \\(not shown\\)$" : '\\[?"'
      expect(found[0]).toMatch(new RegExp(`^${Key.env(path)}: expected .*, got ${got}`))
    }
  )

  it.each(["1GB", "512MB", "1.5GiB", "64 MiB"])("takes %j as an amount of memory", (memory_limit) => {
    expect(settingsOf({ document: { duckdb: { memory_limit } } }).duckdb.memoryLimit).toBe(memory_limit)
  })

  it.each(["0GB", "1", "GB", "1gb", "1GB; DROP", "-1GB", "80%"])(
    "refuses %j as an amount of memory",
    (memory_limit) => {
      expect(faultsOf({ document: { duckdb: { memory_limit } } })).toHaveLength(1)
    }
  )

  it("suggests the right choice for a misspelt one", () => {
    expect(faultsOf({ env: { SNOWGUARD_WAREHOUSE: "snowflak" } })).toEqual([
      'SNOWGUARD_WAREHOUSE: expected "duckdb" or "snowflake", got "snowflak"; did you mean snowflake?'
    ])
  })

  it.each(all.filter(([path]) => path.length === 2).map(([path]) => path))(
    "is not mistaken for another when %s.%s is misspelt by one letter",
    (section, field) => {
      const typo = `${field.slice(0, 2)}${field.slice(3)}`
      const expected = nearest(
        typo,
        all.flatMap(([path]) => (path[0] === section ? [path.at(-1) ?? ""] : [])),
        1
      )[0]
      expect(expected).toBe(field)
      expect(faultsOf({ document: nest([section, typo], 1) })).toEqual([
        `${section}.${typo} (snowguard.toml): unknown key; did you mean ${section}.${field}?`
      ])
      expect(faultsOf({ env: { [Key.env([section, typo])]: "1" } })[0]).toMatch(
        /unknown setting; did you mean SNOWGUARD_/
      )
    }
  )
})

describe("a value as text", () => {
  it.each([" 1", "1 ", "0x10", "1_000", "Infinity", "NaN", "1e", "one", "1,5", "--1"])(
    "%j is not a number",
    (text) => {
      const found = faultsOf({ env: { SNOWGUARD_LIMITS_REQUESTS_PER_SECOND: text } })
      expect(found).toEqual([
        `SNOWGUARD_LIMITS_REQUESTS_PER_SECOND: expected a number from 0.001 to 1000000, got ${JSON.stringify(text)}`
      ])
    }
  )

  it("reads decimals, exponents and signs", () => {
    const rate = (text: string) =>
      settingsOf({ env: { SNOWGUARD_LIMITS_REQUESTS_PER_SECOND: text } }).limits.requestsPerSecond
    expect(["2", "0.5", "1e3", "+7", "2.50"].map(rate)).toEqual([2, 0.5, 1000, 7, 2.5])
  })

  it("reads a list between commas, a lone comma as the empty list, and nothing as not set", () => {
    const list = (text: string) =>
      settingsOf({
        document: { tiers: { default: { allow_functions: ["F"] } } },
        env: { SNOWGUARD_TIERS_DEFAULT_ALLOW_FUNCTIONS: text }
      }).tiers["default"]?.allowFunctions
    expect(list("MY_UDF, db.sch.f")).toEqual(["MY_UDF", "db.sch.f"])
    expect(list(",")).toEqual([])
    expect(list("")).toEqual(["F"])
  })

  it("is shown on one line and cut when it is long", () => {
    const [message] = faultsOf({ env: { SNOWGUARD_CLIENT: `a\u001b[31m\n\u0085${"x".repeat(500)}` } })
    expect(message).toMatch(/^[ -~…]+$/)
    expect(message?.length).toBeLessThan(250)
    expect(faultsOf({ env: { "SNOWGUARD_\nFORGED: fine": "1" } })).toEqual([
      "SNOWGUARD_\\u000aFORGED: fine: unknown setting"
    ])
    expect(Either.isLeft(Setting.decode(table.root.client, "a\nb"))).toBe(true)
  })
})
