import { describe, expect, it } from "@effect/vitest"
import * as DuckDb from "@duckdb/node-api"
import { FastCheck } from "effect"
import * as Cells from "../../../src/warehouse/duckdb/cells.js"
import { snowflakeType } from "../../../src/warehouse/duckdb/types.js"

const { value } = Cells.make(DuckDb)

describe("cells", () => {
  it("keeps every integer: as a number where a double holds it, as text where not", () => {
    expect(value(9007199254740991n)).toBe(9007199254740991)
    expect(value(-9007199254740991n)).toBe(-9007199254740991)
    expect(value(9007199254740992n)).toBe("9007199254740992")
    expect(value(-9007199254740993n)).toBe("-9007199254740993")
  })

  it.prop("never changes an integer", [FastCheck.bigInt({ min: -(2n ** 127n), max: 2n ** 127n })], ([n]) => {
    expect(BigInt(value(n) as number | string)).toBe(n)
  })

  it("spells what JSON has no number for", () => {
    expect([Number.NaN, Infinity, -Infinity, -0.5].map(value)).toEqual(["NaN", "inf", "-inf", -0.5])
  })

  it("writes dates and times as ISO 8601, with a zone where there is one", () => {
    expect(value(new DuckDb.DuckDBTimestampValue(0n))).toBe("1970-01-01T00:00:00")
    expect(value(new DuckDb.DuckDBTimestampValue(-1n))).toBe("1969-12-31T23:59:59.999999")
    expect(value(new DuckDb.DuckDBTimestampValue(1735689600500000n))).toBe("2025-01-01T00:00:00.500")
    expect(value(new DuckDb.DuckDBTimestampTZValue(1735689600000001n))).toBe("2025-01-01T00:00:00.000001Z")
    expect(value(new DuckDb.DuckDBTimestampNanosecondsValue(1n))).toBe("1970-01-01T00:00:00.000000001")
    expect(value(new DuckDb.DuckDBTimestampMillisecondsValue(-1n))).toBe("1969-12-31T23:59:59.999")
    expect(value(new DuckDb.DuckDBTimestampSecondsValue(-1n))).toBe("1969-12-31T23:59:59")
    expect(value(DuckDb.DuckDBTimestampValue.PosInf)).toBe("infinity")
    expect(value(new DuckDb.DuckDBDateValue(-1))).toBe("1969-12-31")
    expect(value(new DuckDb.DuckDBTimeValue(86_399_999_999n))).toBe("23:59:59.999999")
    expect(value(new DuckDb.DuckDBTimeValue(0n))).toBe("00:00:00")
  })

  it.prop(
    "gives every millisecond the text that JavaScript gives it",
    [FastCheck.date({ min: new Date("0001-01-01"), max: new Date("9999-12-31"), noInvalidDate: true })],
    ([date]) => {
      const text = value(new DuckDb.DuckDBTimestampTZValue(BigInt(date.getTime()) * 1000n))
      expect(new Date(String(text)).getTime()).toBe(date.getTime())
    }
  )

  it("writes bytes as upper-case hexadecimal digits", () => {
    expect(value(new DuckDb.DuckDBBlobValue(new Uint8Array([0, 171, 255])))).toBe("00ABFF")
    expect(value(new DuckDb.DuckDBBlobValue(new Uint8Array()))).toBe("")
  })

  it("turns what is semi-structured into JSON, all the way down", () => {
    const nested = new DuckDb.DuckDBStructValue({
      list: new DuckDb.DuckDBListValue([1n, null, new DuckDb.DuckDBStructValue({ big: 2n ** 60n })]),
      map: new DuckDb.DuckDBMapValue([{ key: "k", value: true }]),
      exact: new DuckDb.DuckDBDecimalValue(1250n, 10, 3),
      inexact: new DuckDb.DuckDBDecimalValue(12345678901234567890n, 38, 2),
      when: new DuckDb.DuckDBDateValue(0)
    })
    expect(value(new DuckDb.DuckDBVariantValue(nested))).toEqual({
      list: [1, null, { big: "1152921504606846976" }],
      map: { k: true },
      exact: 1.25,
      inexact: "123456789012345678.90",
      when: "1970-01-01"
    })
    expect(value(new DuckDb.DuckDBVariantValue(null))).toBe(null)
  })

  it("keeps keys that mean something to JavaScript", () => {
    expect(JSON.stringify(value(new DuckDb.DuckDBMapValue([{ key: "__proto__", value: 1 }])))).toBe(
      '{"__proto__":1}'
    )
  })

  it("reads JSON text without rounding its integers", () => {
    expect(
      Cells.parseJson('{"a":12345678901234567890,"b":"12345678901234567890","c":0.1,"d":9007199254740991}')
    ).toEqual({
      a: "12345678901234567890",
      b: "12345678901234567890",
      c: 0.1,
      d: 9007199254740991
    })
  })

  it.prop(
    "reads JSON as JSON.parse does but for integers that are too large",
    [FastCheck.json()],
    ([text]) => {
      const large = (_: string, item: unknown) =>
        (typeof item === "number" && Number.isInteger(item) && !Number.isSafeInteger(item)) ||
        (typeof item === "string" && /^-?\d{16,}$/.test(item))
          ? "large"
          : item
      expect(JSON.parse(JSON.stringify(Cells.parseJson(text)), large)).toEqual(JSON.parse(text, large))
    }
  )
})

describe("types", () => {
  it.each([
    ["BIGINT", "NUMBER(38,0)"],
    ["HUGEINT", "NUMBER(38,0)"],
    ["UTINYINT", "NUMBER(38,0)"],
    ["DECIMAL(12,2)", "NUMBER(12,2)"],
    ["FLOAT", "FLOAT"],
    ["VARCHAR", "VARCHAR(16777216)"],
    ["TIMESTAMP", "TIMESTAMP_NTZ(9)"],
    ["TIMESTAMP WITH TIME ZONE", "TIMESTAMP_LTZ(9)"],
    ["TIME", "TIME(9)"],
    ["BLOB", "BINARY(8388608)"],
    ["VARIANT", "VARIANT"],
    ["JSON", "VARIANT"],
    ['STRUCT("a" INTEGER)', "OBJECT"],
    ["MAP(VARCHAR, INTEGER)", "OBJECT"],
    ["INTEGER[]", "ARRAY"],
    ["STRUCT(a INTEGER)[3]", "ARRAY"],
    ["UUID", "VARCHAR(16777216)"],
    ["ENUM('a', 'b')", "VARCHAR(16777216)"],
    ["INTERVAL", "VARCHAR(16777216)"]
  ])("%s is %s", (duckdb, snowflake) => {
    expect(snowflakeType(duckdb)).toBe(snowflake)
  })
})
