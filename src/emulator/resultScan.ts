/**
 * A stored result as a relation that the engine can read: RESULT_SCAN. Pure.
 *
 * The rows travel as one bind, JSON of the cells as they are on the wire, so neither their number nor
 * their content touches the text of the statement.
 *
 * @since 0.1.0
 */
import type { WireColumn } from "./wire.js"

const micros = (seconds: string): string => `((${seconds})::DECIMAL(38,9) * 1000000)::BIGINT`

const typed = (cell: string, column: WireColumn): string => {
  switch (column.type) {
    case "fixed":
      return `${cell}::DECIMAL(${column.precision ?? 38}, ${column.scale ?? 0})`
    case "real":
      return `${cell}::DOUBLE`
    case "boolean":
      return `(${cell} = '1')`
    case "date":
      // INT4, not INTEGER, which the dialect widens: a date and a BIGINT cannot be added.
      return `(DATE '1970-01-01' + ${cell}::INT4)`
    case "time":
      return `make_timestamp(${micros(cell)})::TIME`
    case "timestamp_ntz":
      return `make_timestamp(${micros(cell)})`
    case "timestamp_ltz":
      return `make_timestamp(${micros(cell)})::TIMESTAMPTZ`
    case "timestamp_tz":
      return `make_timestamp(${micros(`split_part(${cell}, ' ', 1)`)})::TIMESTAMPTZ`
    case "binary":
      return `unhex(${cell})`
    case "variant":
    case "object":
      return `${cell}::JSON`
    case "array":
      // No text has a line break in it there.
      return `system.main.regexp_replace(${cell}, '(\\n\\s*)undefined', '\\1null', 'g')::JSON`
    default:
      return cell
  }
}

/**
 * The relation whose rows are in the bind of that number.
 *
 * @since 0.1.0
 * @category conversions
 */
export const relation = (columns: ReadonlyArray<WireColumn>, bind: number): string => {
  const items = columns.map(
    (column, index) =>
      `${typed(`list_extract(sg_row, ${index + 1})`, column)} AS "${column.name.replaceAll('"', '""')}"`
  )
  return `(SELECT ${items.join(", ")} FROM (SELECT unnest(from_json($${bind}::VARCHAR, '[["VARCHAR"]]')) AS sg_row))`
}
