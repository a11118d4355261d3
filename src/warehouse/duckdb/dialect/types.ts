/**
 * The names of types in Snowflake's SQL, and what a cast to each of them is for DuckDB.
 *
 * @since 0.1.0
 */
import { literal } from "../../../sql/Identifier.js"
import * as Library from "./library.js"
import type { Argument, Kind } from "./library.js"
import type { Source } from "./source.js"
import { argumentsOf, isWord, textOf } from "./source.js"

const texts = new Set("VARCHAR STRING TEXT CHAR CHARACTER NVARCHAR NVARCHAR2 NCHAR CHARVARYING".split(" "))
const integers = new Set("INT INTEGER BIGINT SMALLINT TINYINT BYTEINT".split(" "))
const decimals = new Set(["NUMBER", "DECIMAL", "NUMERIC", "DEC"])
const floats = new Set("FLOAT FLOAT4 FLOAT8 DOUBLE REAL".split(" "))
const timestamps = new Set("TIMESTAMP TIMESTAMP_NTZ TIMESTAMPNTZ DATETIME".split(" "))
const zoned = new Set("TIMESTAMP_LTZ TIMESTAMPLTZ TIMESTAMP_TZ TIMESTAMPTZ".split(" "))

/** A type, and how a value is cast to it. */
export interface Type {
  readonly end: number
  readonly kind: Kind
  readonly cast: (value: Pick<Argument, "sql" | "kind">, tried: boolean) => string
}

/** The type whose name begins at a token; undefined where there is none that is known. */
export const typeAt = (from: Source, at: number): Type | undefined => {
  const { partner, tokens } = from
  const token = tokens[at]
  if (!isWord(token)) return undefined
  const open = tokens[at + 1]?.text === "(" ? at + 1 : undefined
  const close = open === undefined ? undefined : partner.get(open)
  const sizes =
    open === undefined ? [] : argumentsOf(from, open).map(([start, end]) => textOf(from, start, end))
  let end = close === undefined ? at + 1 : close + 1
  const name = token.value
  const tryOf = (sql: string, tried: boolean) => (tried ? `try(${sql})` : sql)
  if (texts.has(name)) {
    if (isWord(tokens[end], "VARYING")) end++
    const length = sizes[0] ?? (name === "CHAR" || name === "CHARACTER" || name === "NCHAR" ? "1" : undefined)
    return {
      end,
      kind: "text",
      cast: (value, tried) => {
        const plain = value.kind === "text" ? value.sql : `sg_text(${value.sql})`
        const text = length === undefined ? plain : `sgj_too_long(${plain}, ${literal(length)})`
        return tryOf(`(${text})::VARCHAR`, tried)
      }
    }
  }
  const number = (target: string): Type => ({
    end,
    kind: "number",
    cast: (value, tried) =>
      tryOf(
        `${value.kind === "number" || value.kind === "text" ? `(${value.sql})` : `sg_scalar(${value.sql})`}::${target}`,
        tried
      )
  })
  if (integers.has(name)) return number("BIGINT")
  if (decimals.has(name)) return number(`DECIMAL(${sizes[0] ?? "38"}, ${sizes[1] ?? "0"})`)
  if (floats.has(name)) {
    if (isWord(tokens[end], "PRECISION")) end++
    return number("DOUBLE")
  }
  const moment = (kind: Kind, macro: string, tried: string): Type => ({
    end,
    kind,
    cast: (value, isTried) => (isTried ? tried.replace("@", () => value.sql) : `${macro}(${value.sql})`)
  })
  if (name === "DATE") return moment("date", "sg_date", "sgj_try_to_date(sg_in(@))::DATE")
  if (name === "TIME") return moment("time", "sg_time", "sgj_try_to_time(sg_in(@))::TIME")
  if (timestamps.has(name) || zoned.has(name)) {
    let isZoned = zoned.has(name)
    if (
      isWord(tokens[end], "WITH", "WITHOUT") &&
      isWord(tokens[end + (isWord(tokens[end + 1], "LOCAL") ? 2 : 1)], "TIME")
    ) {
      isZoned = tokens[end]!.value === "WITH"
      end += isWord(tokens[end + 1], "LOCAL") ? 4 : 3
    }
    if (name === "TIMESTAMP_TZ" || name === "TIMESTAMPTZ") {
      return {
        end,
        kind: "timestamp",
        cast: (value, tried) =>
          tryOf(
            `sgj_${tried ? "try_" : ""}to_timestamp_tz(sg_in(${value.sql}))::TIMESTAMP::TIMESTAMPTZ`,
            false
          )
      }
    }
    return isZoned
      ? moment("timestamp", "sg_timestamptz", "sgj_try_to_timestamp_ltz(sg_in(@))::TIMESTAMP::TIMESTAMPTZ")
      : moment("timestamp", "sg_timestamp", "sgj_try_to_timestamp_ntz(sg_in(@))::TIMESTAMP")
  }
  const script = (kind: Kind, function_: string): Type => ({
    end,
    kind,
    cast: (value, tried) => {
      const call = `sgj_${function_}(sg_in(${value.sql}))`
      return tryOf(kind === "variant" ? Library.element(call) : call, tried)
    }
  })
  switch (name) {
    case "BOOLEAN":
      return script("boolean", "to_boolean")
    case "VARIANT":
      return script("variant", "variant")
    case "ARRAY":
      return script("variant", "to_array")
    case "OBJECT":
    case "MAP":
      return script("variant", "to_object")
    case "BINARY":
    case "VARBINARY":
      return {
        end,
        kind: "bytes",
        cast: (value, tried) => tryOf(`unhex(sgj_to_binary(sg_in(${value.sql})))`, tried)
      }
  }
  return undefined
}
