import { describe, expect, it } from "vitest"
import { converter, typeName } from "../../../src/Warehouse/snowflake/cells.js"

const cell = (type: string, value: string, scale?: number) =>
  converter({ type, scale, precision: undefined })(value)

describe("a value on the wire", () => {
  it.each([
    ["fixed", 0, "42", 42],
    ["fixed", 0, "-9007199254740991", -9007199254740991],
    ["fixed", 0, "9007199254740993", "9007199254740993"],
    ["fixed", 0, "12345678901234567890123456789012345678", "12345678901234567890123456789012345678"],
    ["fixed", 2, "171.40", "171.40"],
    ["real", undefined, "1.5", 1.5],
    ["real", undefined, "inf", "inf"],
    ["real", undefined, "NaN", "NaN"],
    ["boolean", undefined, "1", true],
    ["boolean", undefined, "0", false],
    ["text", undefined, "NULL", "NULL"],
    ["binary", undefined, "00FFAB", "00FFAB"],
    ["date", undefined, "19782", "2024-02-29"],
    ["date", undefined, "-719162", "0001-01-01"],
    ["time", 9, "45296.123456789", "12:34:56.123456789"],
    ["time", 0, "0", "00:00:00"],
    ["timestamp_ntz", 9, "1735689600.500000000", "2025-01-01T00:00:00.500"],
    ["timestamp_ntz", 9, "-1.250000000", "1969-12-31T23:59:58.750"],
    ["timestamp_ntz", 9, "1735689600.000000001", "2025-01-01T00:00:00.000000001"],
    ["timestamp_ltz", 9, "1735689600.000000000", "2025-01-01T00:00:00Z"],
    ["timestamp_tz", 9, "1735689600.000000000 1560", "2025-01-01T02:00:00+02:00"],
    ["timestamp_tz", 9, "1735689600.000000000 1110", "2024-12-31T18:30:00-05:30"],
    ["timestamp_tz", 3, "1735689600.250 1440", "2025-01-01T00:00:00.250Z"],
    ["variant", undefined, '{"a":[1,12345678901234567890]}', { a: [1, "12345678901234567890"] }],
    ["array", undefined, "[]", []],
    ["variant", undefined, "undefined", "undefined"],
    ["variant", undefined, "<a>1</a>", "<a>1</a>"],
    ["variant", undefined, "(globalThis.PWNED='yes',1)", "(globalThis.PWNED='yes',1)"]
  ] as const)("%s(%s) %s", (type, scale, value, expected) => {
    expect(cell(type, value, scale)).toEqual(expected)
    expect("PWNED" in globalThis).toBe(false)
  })

  it("is what the server wrote where it is not what its type promises", () => {
    for (const type of ["fixed", "date", "time", "timestamp_ntz", "timestamp_tz"]) {
      expect(cell(type, "nonsense", 0)).toBe("nonsense")
    }
  })

  it("with its zone in the lowest bits, as older servers write it, is the same moment", () => {
    // 1735689600.25 s, zone +02:00 (1440 + 120): (seconds * 10^3) * 2^14 + zone, over 10^3.
    const units = 1_735_689_600_250n * 16_384n + 1_560n
    const text = `${units / 1_000n}.${String(units % 1_000n).padStart(3, "0")}`
    expect(cell("timestamp_tz", text, 3)).toBe("2025-01-01T02:00:00.250+02:00")
  })
})

it("names types as DESCRIBE does", () => {
  expect(
    [
      { type: "fixed", precision: 12, scale: 2 },
      { type: "real", precision: null, scale: null },
      { type: "timestamp_ltz", precision: 0, scale: 9 },
      { type: "variant", precision: null, scale: null }
    ].map(typeName)
  ).toEqual(["NUMBER(12,2)", "FLOAT", "TIMESTAMP_LTZ(9)", "VARIANT"])
})
