/**
 * What the operators of Snowflake mean among the pieces of a statement that were read so far: each function changes a list
 * of pieces in place, knows what stands beside an operator, and nothing of the tokens.
 *
 * @since 0.1.0
 */
import * as Library from "./library.js"
import type { Argument, Kind } from "./library.js"
import { refuse } from "./refusal.js"
import type { Work } from "./work.js"

/** A part of the statement that is written for DuckDB. */
export interface Piece {
  readonly sql: string
  readonly kind: Kind
  /** A value, a name: what an operator can stand after. */
  readonly operand: boolean
  /** The value of a keyword or an operator. */
  readonly mark: string | undefined
  /** The arguments of the path that it is. */
  readonly path?: string | undefined
  /** The parts of the INTERVAL that it is, in their order. */
  readonly interval?: ReadonlyArray<readonly [count: string, unit: string]> | undefined
  /** What a SELECT lists. */
  readonly items?: ReadonlyArray<Item> | undefined
}

/** An item of a SELECT: the name that it gives, as it is written, and the value where that is one piece. */
export interface Item {
  readonly name: string | undefined
  readonly value: Piece | undefined
  readonly isStar: boolean
}

export const comparisons = new Set(["=", "<>", "!=", "<", ">", "<=", ">=", ","])
const arithmetic = new Set(["+", "-", "*", "/", "%"])
export const setOperators = ["UNION", "INTERSECT", "EXCEPT", "MINUS"]

/** What ends ORDER BY, and what may follow one value in it. */
const sortEnds = new Set(["LIMIT", "OFFSET", "FETCH", "ROWS", "RANGE", "GROUPS"])
export const sortFollows = new Set([",", "ASC", "DESC", "NULLS", ...sortEnds])

/** A column by its name, with or without that of its table. */
const column = /^(?:(?:\w+|"(?:[^"]|"")+")\.)*(?:(?!(?:NULL|END)$)[A-Za-z_]\w*|"(?:[^"]|"")+")$/i

/** A value. */
export const operandPiece = (sql: string, kind: Kind = "unknown"): Piece => ({
  sql,
  kind,
  operand: true,
  mark: undefined
})

/** A keyword or an operator. */
export const symbolPiece = (sql: string, mark: string): Piece => ({
  sql,
  kind: "unknown",
  operand: false,
  mark
})

export const join = (list: ReadonlyArray<Piece>): string => list.map((piece) => piece.sql).join(" ")

const isEnd = (piece: Piece | undefined): boolean =>
  piece?.sql.length === 3 && piece.sql.toUpperCase() === "END"

/** Where the operand begins that ends with a piece: `CASE ... END` is many. */
export const startOfOperand = (list: ReadonlyArray<Piece>, at: number): number => {
  if (!isEnd(list[at])) return at
  let open = 0
  for (let index = at; index >= 0; index--) {
    if (list[index]!.mark === "CASE") open--
    else if (isEnd(list[index])) open++
    if (open === 0) return index
  }
  return at
}

/** The piece after the operand that begins with one; undefined where none begins. */
const endOfOperand = (list: ReadonlyArray<Piece>, at: number): number | undefined => {
  const first = list[at]
  if (first?.mark === "-" && !first.operand) return endOfOperand(list, at + 1)
  if (first?.mark === "CASE") {
    let open = 0
    for (let index = at; index < list.length; index++) {
      if (list[index]!.mark === "CASE") open++
      else if (isEnd(list[index]) && --open === 0) return index + 1
    }
    return undefined
  }
  return first?.operand === true ? at + 1 : undefined
}

const isProductOf = (piece: Piece | undefined): boolean =>
  piece?.operand === false && (piece.mark === "*" || piece.mark === "/" || piece.mark === "%")

const isSumOf = (piece: Piece | undefined): boolean =>
  piece?.operand === false && (piece.mark === "+" || piece.mark === "-")

/** Where the product begins that ends with a piece, and the one ends that begins with one. */
const startOfProduct = (list: ReadonlyArray<Piece>, at: number): number => {
  let start = startOfOperand(list, at)
  while (isProductOf(list[start - 1]) && list[start - 2]?.operand === true)
    start = startOfOperand(list, start - 2)
  return start
}

const endOfProduct = (list: ReadonlyArray<Piece>, at: number): number | undefined => {
  let end = endOfOperand(list, at)
  while (end !== undefined && isProductOf(list[end])) end = endOfOperand(list, end + 1)
  return end
}

/** Where the side of a comparison begins that ends before a piece. */
export const startOfSide = (list: ReadonlyArray<Piece>, end: number): number => {
  let start = end
  while (start > 0) {
    const { mark, operand } = list[start - 1]!
    if (!operand && !(mark !== undefined && (arithmetic.has(mark) || mark === "||"))) break
    start--
  }
  return start
}

/** An INTERVAL after a date: its parts are added one after the other, and a date stays one by days and more. */
const advanced = (list: Array<Piece>, work: Work): void => {
  for (let at = 0; at < list.length; at++) {
    const { interval: parts } = list[at]!
    if (parts === undefined) continue
    const sign = list[at - 1]
    if (
      sign?.operand === true ||
      (sign?.mark !== "+" && sign?.mark !== "-") ||
      list[at - 2]?.operand !== true
    ) {
      // The frame of a window.
      if (!["PRECEDING", "FOLLOWING"].includes(list[at + 1]?.mark ?? ""))
        refuse(
          "The embedded warehouse has INTERVAL behind a date or a timestamp only, after + or -; for the time between two of them use DATEDIFF"
        )
      continue
    }
    let start = startOfOperand(list, at - 2)
    while (
      list[start - 1]?.operand === false &&
      arithmetic.has(list[start - 1]?.mark ?? "") &&
      list[start - 2]?.operand === true
    )
      start = startOfOperand(list, start - 2)
    const left = list.slice(start, at - 1)
    work.look(left.length)
    let moment: Argument = {
      sql: left.length === 1 ? left[0]!.sql : `(${join(left)})`,
      kind: left.length === 1 ? left[0]!.kind : "unknown",
      literal: left.length === 1 && left[0]!.kind === "text" ? left[0]!.sql : undefined
    }
    for (const [count, unit] of parts) {
      const added = Library.added(unit, sign.mark === "-" ? `(-(${count}))` : count, moment)
      moment = { sql: added.sql, kind: added.kind }
      work.write(moment.sql.length)
    }
    list.splice(start, at - start + 1, operandPiece(moment.sql, moment.kind))
    at = start
  }
}

/** A semi-structured value beside an operator as a number. */
const computed = (list: Array<Piece>): void => {
  const wrap = (index: number) => {
    const piece = list[index]
    // Of a column that may have another type DuckDB is asked.
    if (piece?.kind === "variant") list[index] = { ...piece, sql: Library.numeric(piece), kind: "number" }
  }
  list.forEach((piece, index) => {
    if (piece.mark === undefined || piece.operand || !arithmetic.has(piece.mark)) return
    wrap(index - 1)
    wrap(index + 1)
  })
}

/** Factors as Snowflake multiplies them: what has no digits behind the point changes nothing about the others. */
const product = (factors: ReadonlyArray<string>): string => {
  const isWhole = (sql: string) => /^\d+(?:::BIGINT)?$/.test(sql)
  const plain = factors.join(" * ")
  const fractions = factors.filter((factor) => !isWhole(factor))
  if (fractions.length < 2 || factors.some((factor) => /^NULL$/i.test(factor))) return plain
  // DuckDB reads the operands of each several times to find its type.
  const isShallow = plain.split("sg_times(").length - 1 + fractions.length <= 3
  if (!isShallow)
    return `sg_product(${plain}, ${fractions.map((factor) => `sg_scale(${factor})`).join(" + ")})`
  const [first = "", ...others] = factors
  return others.reduce(
    (left, right) =>
      isWhole(left) || isWhole(right) ? `(${left} * ${right})` : `sg_times(${left}, ${right})`,
    first
  )
}

/** Products, which keep fewer digits behind the point than DuckDB's. */
const multiplied = (list: Array<Piece>, work: Work): void => {
  for (let at = 0; at < list.length; at++) {
    const { mark, operand } = list[at]!
    if (mark !== "*" || operand || list[at - 1]?.operand !== true) continue
    // From the first of the operations that are done before: `a / b * c` is a product of a quotient.
    const start = startOfProduct(list, at - 1)
    if (list[start - 1]?.mark === "INTERVAL") continue
    work.look(at - start)
    let end = endOfOperand(list, start) ?? start
    let factors = [join(list.slice(start, end))]
    const begun = end
    for (;;) {
      const operator = list[end]
      if (!isProductOf(operator)) break
      const next = endOfOperand(list, end + 1)
      if (next === undefined) break
      const right = join(list.slice(end + 1, next))
      if (operator?.mark === "*") factors.push(right)
      else {
        factors = [`${product(factors)} ${operator?.mark ?? ""} ${right}`]
        work.write(factors[0]!.length)
      }
      end = next
    }
    if (end === begun) continue
    list.splice(start, end - start, operandPiece(product(factors)))
    at = start
  }
}

/** Differences of what may be two timestamps, which DuckDB has as an INTERVAL. */
const subtracted = (list: Array<Piece>, work: Work): void => {
  for (let at = 1; at < list.length; at++) {
    const { mark, operand } = list[at]!
    if (mark !== "-" || operand || list[at - 1]?.operand !== true) continue
    const end = endOfProduct(list, at + 1)
    if (end === undefined) continue
    // From the first of the additions that are done before, with its sign.
    let start = startOfProduct(list, at - 1)
    while (isSumOf(list[start - 1]) && list[start - 2]?.operand === true)
      start = startOfProduct(list, start - 2)
    if (isSumOf(list[start - 1])) start--
    const [left, right] = [list.slice(start, at), list.slice(at + 1, end)]
    work.look(4 * (end - start))
    if ([left, right].some((side) => side.every((piece) => piece.kind === "number" || !piece.operand)))
      continue
    list.splice(start, end - start, operandPiece(`sg_minus(${join(left)}, ${join(right)})`))
    work.write(list[start]!.sql.length)
    at = start
  }
}

/** What may be a semi-structured value, as what DuckDB can compare. */
export const asCompared = <P extends Pick<Piece, "sql" | "kind" | "operand">>(piece: P): P => {
  const isColumn = piece.kind === "unknown" && column.test(piece.sql)
  return piece.operand && (piece.kind === "variant" || isColumn)
    ? { ...piece, sql: `sg_compared(${piece.sql})` }
    : piece
}

/** A semi-structured value beside a comparison, or in ORDER BY. */
const comparedWith = (list: Array<Piece>): void => {
  const wrap = (index: number) => {
    const piece = list[index]
    if (piece !== undefined) list[index] = asCompared(piece)
  }
  list.forEach(({ mark, operand }, index) => {
    const before = list[index - 1]?.mark
    if (mark === undefined || operand) return
    if (mark !== "," && comparisons.has(mark)) {
      wrap(index - 1)
      wrap(index + 1)
    } else if (mark === "IN" || mark === "BETWEEN") wrap(before === "NOT" ? index - 2 : index - 1)
    else if (mark === "CASE" && list[index + 2]?.mark === "WHEN") wrap(index + 1)
  })
}

/** Every value beside `||` as a text. */
const concatenated = (list: Array<Piece>): void => {
  const wrap = (index: number, beyond: number) => {
    const piece = list[index]
    const other = list[beyond]?.mark
    if (
      piece === undefined ||
      !piece.operand ||
      piece.kind === "text" ||
      piece.kind === "bytes" ||
      (other !== undefined && arithmetic.has(other))
    )
      return
    list[index] = { ...piece, sql: `sg_text(${piece.sql})`, kind: "text" }
  }
  list.forEach((piece, index) => {
    if (piece.mark !== "||") return
    wrap(index - 1, index - 2)
    wrap(index + 1, index + 2)
  })
}

/** The name that a column has in the result: the last part of it. */
const lastName = (sql: string): string | undefined => /(?:^|\.)(\w+|"(?:[^"]|"")*")$/.exec(sql)?.[1]

const sameName = (a: string | undefined, b: string | undefined): boolean =>
  a !== undefined && b !== undefined && a.toUpperCase() === b.toUpperCase()

/** The columns of a list by which GROUP BY ALL groups. */
export const groupedByAll = (list: ReadonlyArray<Piece>): ReadonlySet<string> | undefined => {
  const isByAll = list.some(
    ({ mark }, at) => mark === "ALL" && list[at - 1]?.mark === "BY" && list[at - 2]?.mark === "GROUP"
  )
  const items = list.findLast(({ mark }) => mark === "SELECT")?.items ?? []
  return isByAll
    ? new Set(
        items.flatMap(({ name, value }) =>
          name !== undefined && sameName(value?.sql, name) ? [name.toUpperCase()] : []
        )
      )
    : undefined
}

/**
 * A semi-structured value in ORDER BY. A position or a name of the list stands for its value there, and an
 * expression of it does not; where only what is selected can be sorted by, the rows are sorted from outside.
 */
const sorted = (list: Array<Piece>, work: Work): void => {
  const order = list.findIndex(({ mark }, index) => mark === "BY" && list[index - 1]?.mark === "ORDER")
  if (order < 0) return
  const selects = list.slice(0, order).filter(({ mark }) => mark === "SELECT")
  const [select] = selects
  const items = select?.items ?? []
  const isSet = list.slice(0, order).some(({ mark }) => mark !== undefined && setOperators.includes(mark))
  const isWhole = isSet || /^SELECT DISTINCT\b/.test(select?.sql ?? "")
  const isByAll = groupedByAll(list) !== undefined
  const nameOf = ({ name, value }: Item) => name ?? lastName(value?.sql ?? "")
  const changed = new Map<number, Piece>()
  for (let at = order + 1; at < list.length; at++) {
    const piece = list[at]!
    const before = list[at - 1]
    const next = list[at + 1]
    // Names are compared without their case.
    work.look(16 * items.length)
    if (piece.mark !== undefined && sortEnds.has(piece.mark)) break
    if (before?.mark !== "BY" && before?.mark !== ",") continue
    if (next !== undefined && !(next.mark !== undefined && sortFollows.has(next.mark))) {
      if (isWhole) return
      continue
    }
    const position = /^\d+$/.test(piece.sql) ? Number(piece.sql) - 1 : undefined
    const isKnown = position === undefined || !items.slice(0, position + 1).some(({ isStar }) => isStar)
    const item = !isKnown
      ? undefined
      : position === undefined
        ? items.findLast(({ name }) => sameName(name, piece.sql))
        : items[position]
    const value = item === undefined ? (position === undefined ? piece : undefined) : item.value
    if (value === undefined) continue
    const compared = asCompared(value)
    if (compared === value) continue
    if (!isWhole && isByAll) {
      // An aggregate is none of the columns by which is grouped.
      if (/\b(?:list|arg_min|arg_max)\(/.test(value.sql)) continue
      changed.set(at, asCompared({ ...value, sql: `any_value(${value.sql})`, kind: "variant" }))
      continue
    }
    if (!isWhole) {
      changed.set(at, compared)
      continue
    }
    const found = item ?? items.find((each) => each.value?.sql === piece.sql)
    const name = found === undefined ? lastName(piece.sql) : nameOf(found)
    const isThere = found !== undefined || isSet || items.some(({ isStar }) => isStar)
    // From outside a column has its name alone, which may be that of two.
    const isAmbiguous =
      items.filter((each) => sameName(nameOf(each), name)).length > 1 ||
      (found === undefined && !isSet && piece.sql.includes("."))
    if (name === undefined || !isThere || isAmbiguous) return
    changed.set(at, asCompared(operandPiece(name, "variant")))
  }
  if (changed.size === 0) return
  changed.forEach((piece, at) => {
    list[at] = piece
  })
  if (!isWhole) return
  const first = list.findIndex(({ mark }) => mark === "SELECT")
  const mark = { kind: "unknown", operand: false, mark: undefined } as const
  list.splice(order - 1, 0, { ...mark, sql: ")" })
  list.splice(Math.max(0, first), 0, { ...mark, sql: "SELECT * FROM (" })
}

/** All operators of a list. */
export const withOperators = (list: Array<Piece>, work: Work): void => {
  advanced(list, work)
  computed(list)
  multiplied(list, work)
  subtracted(list, work)
  comparedWith(list)
  concatenated(list)
  sorted(list, work)
}
