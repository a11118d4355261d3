/**
 * How long the texts of a statement may become. Pure.
 *
 * DuckDB computes 2,048 rows at a time, and what waits to be read is copied several times over (per thread,
 * and once more), which its memory limit does not count. So functions that make long texts out of short
 * ones, and texts that are written in the statement, are held to what a row may take, shared between all
 * that may stand in it. Statements that have such texts take turns, which lets each have all of it.
 *
 * What is bounded is a text, and how often it can be repeated in a row. Texts that are joined with
 * themselves level after level are not seen here: DuckDB counts those while it computes them, and the watch
 * over the memory of the process (`pressure.ts`) ends what neither sees.
 *
 * @since 0.1.0
 */
import type { Token } from "../../sql/Lexer.js"

/** The variable of a connection that holds what one call may make, in bytes. */
export const variable = "sg_text"

/** What a call says that would make more. */
export const complaint = "The statement makes texts that are too long"

const makers = new Set(["REPEAT", "SPACE", "LPAD", "RPAD", "REPLACE", "REGEXP_REPLACE"])
const perElement = new Set([
  "LAMBDA",
  "LIST_TRANSFORM",
  "LIST_APPLY",
  "ARRAY_TRANSFORM",
  "APPLY",
  "TRANSFORM"
])
const joiners = new Set(["CONCAT", "CONCAT_WS", "LIST_CONCAT", "LISTAGG", "STRING_AGG"])

/** Elements that a list is taken to have. */
const someElements = 256
/** Texts of the statement that make no more, however often it names them, need no turn. */
const little = 8192

const rowsAtATime = 2048
const quote = (text: string): string => text.replaceAll("'", "''")
const units: { readonly [unit: string]: number } = { K: 1, M: 2, G: 3, T: 4 }

/**
 * `512MB`, `1.5 GiB`: bytes, or a gigabyte when it says something else.
 *
 * @since 0.1.0
 * @category conversions
 */
export const bytesOf = (memoryLimit: string): number => {
  const [, number = "1", unit = "G", binary = ""] =
    /^(\d+(?:\.\d+)?) ?([KMGT])(i?)B$/i.exec(memoryLimit.trim()) ?? []
  return Number(number) * (binary === "" ? 1000 : 1024) ** (units[unit.toUpperCase()] ?? 3)
}

/**
 * Bytes of text that a row may have: half of the memory, for the rows that are there at the same time.
 *
 * @since 0.1.0
 * @category limits
 */
export const rowBytes = (options: { readonly memoryLimit: string; readonly threads: number }): number =>
  Math.floor(bytesOf(options.memoryLimit) / 2 / rowsAtATime / (2 * options.threads + 1))

/**
 * What a statement does with texts; undefined when it makes no long ones.
 *
 * @since 0.1.0
 * @category models
 */
export interface Texts {
  /** Calls that make long texts, and places where texts are joined. */
  readonly places: number
  /** The longest text written in it. */
  readonly longest: number
  /** A call stands for each element of a list. */
  readonly lists: boolean
}

/**
 * @since 0.1.0
 * @category parsing
 */
export const textsOf = (tokens: ReadonlyArray<Token>): Texts | undefined => {
  let calls = 0
  let joins = 0
  let longest = 0
  let lists = false
  tokens.forEach(({ kind, text, value }, at) => {
    if (kind === "string" || kind === "dollar") longest = Math.max(longest, text.length)
    else if (kind === "operator") {
      if (text === "||") joins += 1
      if (text === "->") lists = true
    } else if (kind === "word" || kind === "quoted") {
      const name = value.toUpperCase()
      if (perElement.has(name)) lists = true
      if (tokens[at + 1]?.kind !== "open") return
      if (makers.has(name)) calls += 1
      else if (joiners.has(name)) joins += 2
    }
  })
  return calls > 0 || longest * tokens.length > little ? { places: calls + joins, longest, lists } : undefined
}

/**
 * What one call may make when the result has so many columns; undefined when even what is written in the
 * statement is too much.
 *
 * @since 0.1.0
 * @category limits
 */
export const textBytes = (texts: Texts, columns: number, row: number): number | undefined => {
  const places = Math.max(1, columns + texts.places)
  if (texts.longest * places > row) return undefined
  return Math.floor(row / places / (texts.lists ? someElements : 1))
}

const checked = (tooLong: string, otherwise: string): string =>
  `CASE WHEN ${tooLong} > getvariable('${variable}') THEN error('${quote(complaint)}') ELSE ${otherwise} END`

/** The text stands for itself once: macros that repeat an argument make calls in calls grow exponentially. */
const once = (text: string, body: string): string =>
  `list_transform([(${text})::VARCHAR], lambda sg_t: ${body})[1]`

const bytes = (value: string): string => `strlen((${value})::VARCHAR)::DOUBLE`

/**
 * The functions, held to the variable: where that is not set, they are as they were.
 *
 * @since 0.1.0
 * @category data
 */
export const macros: ReadonlyArray<string> = [
  // Hardly ever one in another, and the longest: not worth the copies of a list.
  `repeat(s, n) AS ${checked(`(n)::DOUBLE * ${bytes("s")}`, "system.main.repeat((s)::VARCHAR, (n)::BIGINT)")}`,
  `space(n) AS ${checked("(n)::DOUBLE", "system.main.repeat(' ', (n)::BIGINT)")}`,
  ...["lpad", "rpad"].map(
    (name) =>
      `${name}(s, n) AS ${checked("(n)::DOUBLE", `system.main.${name}(s, (n)::INTEGER, ' ')`)}, ` +
      `(s, n, p) AS ${checked("(n)::DOUBLE", `system.main.${name}(s, (n)::INTEGER, p)`)}`
  ),
  `replace(s, a) AS system.main.replace(s, a, ''), (s, a, b) AS ${once(
    "s",
    checked(
      `${bytes("sg_t")} * ${bytes("b")} / greatest(1, ${bytes("a")})`,
      "system.main.replace(sg_t, a, b)"
    )
  )}`,
  "regexp_replace(s, p) AS system.main.regexp_replace(s, p, '', 'g'), " +
    `(s, p, r) AS ${once(
      "s",
      checked(`(${bytes("sg_t")} + 1) * ${bytes("r")}`, "system.main.regexp_replace(sg_t, p, r, 'g')")
    )}`
]
