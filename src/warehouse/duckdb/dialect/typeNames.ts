/**
 * Snowflake's type names where a type is expected: after `::`, and after AS in CAST and TRY_CAST.
 *
 * @since 0.1.0
 */
import type { Edit, Source } from "./edits.js"
import { isWord } from "./edits.js"

/** Types whose name and precision are replaced. */
const names: Readonly<Record<string, string>> = {
  FLOAT: "DOUBLE",
  FLOAT4: "DOUBLE",
  FLOAT8: "DOUBLE",
  REAL: "DOUBLE",
  BYTEINT: "BIGINT",
  TINYINT: "BIGINT",
  SMALLINT: "BIGINT",
  INT: "BIGINT",
  INTEGER: "BIGINT",
  TIMESTAMP: "TIMESTAMP",
  TIMESTAMP_NTZ: "TIMESTAMP",
  TIMESTAMPNTZ: "TIMESTAMP",
  DATETIME: "TIMESTAMP",
  TIMESTAMP_LTZ: "TIMESTAMPTZ",
  TIMESTAMPLTZ: "TIMESTAMPTZ",
  TIMESTAMP_TZ: "TIMESTAMPTZ",
  TIME: "TIME",
  BINARY: "BLOB",
  VARBINARY: "BLOB",
  OBJECT: "VARIANT",
  ARRAY: "VARIANT"
}

/** Fixed-point numbers keep their precision; without one they are integers. */
const decimals = new Set(["NUMBER", "DECIMAL", "NUMERIC", "DEC"])

const typeAt = ({ partner, tokens }: Source, at: number): Edit | undefined => {
  const token = tokens[at]
  if (!isWord(token)) return undefined
  const open = tokens[at + 1]?.text === "(" ? at + 1 : undefined
  if (decimals.has(token.value)) {
    return { start: token.start, end: token.end, text: open === undefined ? "DECIMAL(38, 0)" : "DECIMAL" }
  }
  const name = names[token.value]
  // `TIMESTAMP WITH TIME ZONE`, `DOUBLE PRECISION`, `INTEGER[]`: DuckDB's own.
  if (name === undefined || isWord(tokens[at + 1], "WITH", "PRECISION") || tokens[at + 1]?.text === "[") {
    return undefined
  }
  const close = open === undefined ? undefined : partner.get(open)
  return { start: token.start, end: close === undefined ? token.end : tokens[close]!.end, text: name }
}

/**
 * @since 0.1.0
 * @category rules
 */
export const types = (from: Source): ReadonlyArray<Edit> => {
  const { partner, tokens } = from
  const edits: Array<Edit> = []
  tokens.forEach((token, index) => {
    if (token.kind === "operator" && token.value === "::") {
      const edit = typeAt(from, index + 1)
      if (edit !== undefined) edits.push(edit)
    }
    if (isWord(token, "CAST", "TRY_CAST") && tokens[index + 1]?.text === "(") {
      const close = partner.get(index + 1)
      const depth = token.depth + 1
      for (let at = index + 2; close !== undefined && at < close; at++) {
        if (isWord(tokens[at], "AS") && tokens[at]!.depth === depth) {
          const edit = typeAt(from, at + 1)
          if (edit !== undefined) edits.push(edit)
        }
      }
    }
  })
  return edits
}
