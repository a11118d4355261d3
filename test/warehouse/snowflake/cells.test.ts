import { describe, expect, it } from "vitest"
import type { WireType } from "../../../src/warehouse/snowflake/answer.js"
import { converter, typeName } from "../../../src/warehouse/snowflake/cells.js"

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
    ["variant", undefined, "undefined", null],
    ["variant", undefined, "NaN", "NaN"],
    ["variant", undefined, "-Infinity", "-inf"],
    ["variant", undefined, '"undefined"', "undefined"],
    ["variant", undefined, '"NaN [undefined, 1e400] \\" \\\\"', 'NaN [undefined, 1e400] " \\'],
    ["array", undefined, "[\n  1,\n  undefined,\n  2\n]", [1, null, 2]],
    ["array", undefined, "[NaN, Infinity, -Infinity, -1e400]", ["NaN", "inf", "-inf", "-1e400"]],
    [
      "object",
      undefined,
      '{"a":undefined,"undefined":[undefined],"b":"NaN"}',
      { a: null, undefined: [null], b: "NaN" }
    ],
    ["variant", undefined, "1e+400", "1e+400"],
    [
      "variant",
      undefined,
      "[1.10, 0.1, -0.0, 1e5, 2.5E-7, 1e300, 1e308]",
      [1.1, 0.1, -0, 1e5, 2.5e-7, 1e300, 1e308]
    ],
    ["variant", undefined, "1.000000000000000e+20", 1e20],
    ["variant", undefined, "100000000000000000000", "100000000000000000000"],
    ["variant", undefined, "0.1234567890123456789012345678", "0.1234567890123456789012345678"],
    [
      "variant",
      undefined,
      '{"n":[12345678901234567890.12345678,-12345678901234567890123456789012345678,0.30000000000000004]}',
      { n: ["12345678901234567890.12345678", "-12345678901234567890123456789012345678", 0.30000000000000004] }
    ],
    ["variant", undefined, "9007199254740991", 9007199254740991],
    ["variant", undefined, "1e-400", "1e-400"],
    ["object", undefined, '{"a":1,"a":2}', { a: 2 }],
    ["variant", undefined, '"\\u0041\\n\\ud83d\\ude00"', "A\n😀"],
    [
      "geography",
      undefined,
      '{"coordinates":[-122.35,37.55],"type":"Point"}',
      { coordinates: [-122.35, 37.55], type: "Point" }
    ],
    ["geometry", undefined, "POINT(1 2)", "POINT(1 2)"],
    ["vector", undefined, "[1.000000,2.500000]", [1, 2.5]],
    ["map", undefined, '{"k":1.25}', { k: 1.25 }],
    ["interval_year_month", 0, "14", "P1Y2M"],
    ["interval_year_month", 0, "-14", "-P1Y2M"],
    ["interval_year_month", 0, "0", "P0M"],
    ["interval_year_month", 0, "+1-02", "+1-02"],
    ["interval_day_time", 9, "93784500000000", "P1DT2H3M4.500S"],
    ["interval_day_time", 9, "-1", "-PT0.000000001S"],
    ["interval_day_time", 9, "86400000000000", "P1D"],
    ["interval_day_time", 9, "0", "PT0S"],
    [
      "decfloat",
      undefined,
      "1.2345678901234567890123456789012345678E+300",
      "1.2345678901234567890123456789012345678E+300"
    ],
    ["uuid", undefined, "7c9e6679-7425-40de-944b-e07fc1f90ae7", "7c9e6679-7425-40de-944b-e07fc1f90ae7"],
    ["real", undefined, "-inf", "-inf"],
    ["real", undefined, "Infinity", "inf"],
    ["real", undefined, "1.7976931348623157e+308", 1.7976931348623157e308],
    ["boolean", undefined, "TRUE", true],
    ["boolean", undefined, "false", false],
    ["fixed", 37, "-0.1234567890123456789012345678901234567", "-0.1234567890123456789012345678901234567"],
    ["date", undefined, "-719529", "-000001-12-31"],
    ["date", undefined, "2932897", "+010000-01-01"],
    ["time", 3, "86399.999", "23:59:59.999"],
    ["timestamp_ntz", 0, "-62135596801", "0000-12-31T23:59:59"],
    ["timestamp_ntz", 1, "253402300800.5", "+010000-01-01T00:00:00.500"],
    ["timestamp_ltz", 6, "1735689600.123456", "2025-01-01T00:00:00.123456Z"],
    ["variant", undefined, "<a>1</a>", "<a>1</a>"],
    ["variant", undefined, "(globalThis.PWNED='yes',1)", "(globalThis.PWNED='yes',1)"]
  ] as const)("%s(%s) %s", (type, scale, value, expected) => {
    expect(cell(type, value, scale)).toEqual(expected)
    expect("PWNED" in globalThis).toBe(false)
  })

  it("keeps keys that objects have, as keys of its own", () => {
    const value = cell("object", '{"__proto__":{"a":1},"constructor":2}')
    expect(JSON.stringify(value)).toBe('{"__proto__":{"a":1},"constructor":2}')
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
  })

  it("is nested as deep as it was, or the text that it was, and can be written either way", () => {
    const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`
    expect(JSON.stringify(cell("array", nested(900)))).toBe(nested(900))
    expect(cell("array", nested(20_000))).toBe(nested(20_000))
    expect(cell("variant", `"${"[".repeat(5_000)}"`)).toBe("[".repeat(5_000))
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
  const named: ReadonlyArray<readonly [WireType, string]> = [
    [{ type: "fixed", precision: 12, scale: 2 }, "NUMBER(12,2)"],
    [{ type: "real", precision: null, scale: null }, "FLOAT"],
    [{ type: "timestamp_ltz", precision: 0, scale: 9 }, "TIMESTAMP_LTZ(9)"],
    [{ type: "variant" }, "VARIANT"],
    [{ type: "object", extTypeName: "GEOGRAPHY" }, "GEOGRAPHY"],
    [{ type: "text", extTypeName: "GEOMETRY" }, "GEOMETRY"],
    [{ type: "interval_year_month", scale: 0 }, "INTERVAL YEAR TO MONTH"],
    [{ type: "interval_day_time", scale: 9 }, "INTERVAL DAY TO SECOND"],
    [{ type: "decfloat", precision: 38 }, "DECFLOAT"],
    [{ type: "vector", vectorDimension: 3, fields: [{ type: "real" }] }, "VECTOR(FLOAT, 3)"],
    [
      { type: "array", fields: [{ type: "fixed", precision: 38, scale: 0, nullable: false }] },
      "ARRAY(NUMBER(38,0) NOT NULL)"
    ],
    [{ type: "map", fields: [{ type: "text" }, { type: "variant" }] }, "MAP(VARCHAR, VARIANT)"],
    [
      {
        type: "object",
        fields: [
          { name: "A", type: "date" },
          { name: "b c", type: "array", fields: [{ type: "real" }] }
        ]
      },
      'OBJECT(A DATE, "b c" ARRAY(FLOAT))'
    ],
    [{ type: "array", fields: [] }, "ARRAY"],
    [{ type: "file" }, "FILE"]
  ]
  expect(named.map(([type]) => typeName(type))).toEqual(named.map(([, name]) => name))
})
