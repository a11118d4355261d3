/**
 * Loads files of the user's own (`duckdb.load`) into a DuckDB file, once, before the server serves anything: each
 * becomes a table, and the processes of the warehouse attach the file.
 *
 * What a CSV holds is decided by all of it, not by a sample: a column is a number, a date or a boolean when each of
 * its values is one, and text otherwise. Numbers keep their digits (`NUMBER(9,2)`); one with zeros in front, like a
 * postal code, is text. Dates are those of ISO 8601. The first line has the names; what a column is called there is its
 * comment, where its name (`attached.ts`) does not tell it. Of JSON the fields of the objects
 * are the columns, typed in the same way; what is nested, or of several kinds, is a VARIANT.
 *
 * Every file is tried: all that is wrong is told at once.
 *
 * @since 0.1.0
 */
import { accessSync, constants, statSync } from "node:fs"
import { dirname, join } from "node:path"
import type * as DuckDb from "@duckdb/node-api"
import { reasonOf } from "../../platform/fileReasons.js"
import { shellWord } from "../../platform/quoted.js"
import { literal, quoted } from "../../sql/Identifier.js"
import * as Attached from "./attached.js"
import { contentOf, linesOf } from "./content.js"
import { macros } from "./dialect/library.js"
import { registrations } from "./functions.js"
import type * as Protocol from "./protocol.js"

type Options = typeof Protocol.Loading.Type
type Report = typeof Protocol.Loaded.Type
type Fault = Report["faults"][number]

/** Bytes of all files together; more belongs into a DuckDB file, which is not copied. */
const MOST_BYTES = 8 * 1024 ** 3
const MOST_FILES = 1_000

/** Of a line: Snowflake's largest text. */
const LONGEST_LINE = 16 * 1024 * 1024

/** Of a file whose name is no pattern. */
const exactly = (path: string): string => literal(path.replace(/[*?[]/g, "[$&]"))

type Format = "csv" | "json" | "parquet"

const formatOf = (path: string): Format | undefined => {
  const [, extension = ""] = /\.([a-z]+)(?:\.gz)?$/i.exec(path) ?? []
  const formats: Readonly<Record<string, Format>> = {
    csv: "csv",
    tsv: "csv",
    txt: "csv",
    json: "json",
    jsonl: "json",
    ndjson: "json",
    parquet: "parquet"
  }
  return formats[extension.toLowerCase()]
}

/** A fault that is known to be of this file. */
class Bad extends Error {
  constructor(
    message: string,
    readonly line?: number
  ) {
    super(message)
  }
}

const notUtf8 = "not UTF-8"

/** What makes a file in UTF-8 of one in another encoding, for a shell. */
const converting = (path: string, encoding: string): string => {
  const plain = path.replace(/\.gz$/i, "")
  const iconv = `iconv -f ${encoding} -t UTF-8`
  const made = shellWord(plain.replace(/(\.[^./]*)?$/, ".utf8$1"))
  return plain === path
    ? `${iconv} ${shellWord(path)} > ${made}`
    : `gzip -dc ${shellWord(path)} | ${iconv} > ${made}`
}

/** Of a file that is not in UTF-8: what it probably is, and what converts it. Windows-1252 has the letters of Latin-1. */
const encodingFault = async (path: string): Promise<string> => {
  let head: Buffer = Buffer.alloc(0)
  for await (const chunk of contentOf(path, 64 * 1024)) {
    head = chunk as Buffer
    break
  }
  const isUtf16 = head.length > 1 && [0xfeff, 0xfffe].includes(head.readUInt16BE(0))
  return isUtf16
    ? `${notUtf8} but UTF-16; this converts it: ${converting(path, "UTF-16")}`
    : `${notUtf8}; if it is Latin-1 or Windows-1252, this converts it: ${converting(path, "CP1252")}`
}

const tooLong = `longer than ${LONGEST_LINE} bytes`

/** What DuckDB says of a file, in one line. */
const faultOf = (path: string, cause: unknown): Fault => {
  if (cause instanceof Bad)
    return { path, message: cause.message, ...(cause.line === undefined ? {} : { line: cause.line }) }
  const said = cause instanceof Error ? cause.message : String(cause)
  const csv = /CSV Error on Line: (\d+)/.exec(said)
  if (csv !== null) {
    const columns = /Expected Number of Columns: (\d+) Found: (\d+)/.exec(said)
    const why =
      columns !== null
        ? `${columns[2]} value${columns[2] === "1" ? "" : "s"}, and the first line has ${columns[1]} names`
        : /unterminated quote/.test(said)
          ? 'a value in quotes does not end there (a quote inside is written "")'
          : /unicode/.test(said)
            ? notUtf8
            : /Maximum line size/i.test(said)
              ? tooLong
              : (said.split("\n").find((line) => !/^(?:.*CSV Error|Original Line)/.test(line)) ??
                "cannot be read")
    return { path, line: Number(csv[1]), message: why }
  }
  const first = (said.split("\n", 1)[0] ?? said).replace(/^(?:[A-Z][\w ]*?) Error: /, "").trim()
  const line = /Malformed JSON .* in (?:line|record\/value) (\d+): (.*)$/.exec(first)
  if (line !== null) return { path, line: Number(line[1]), message: `not JSON: ${line[2]}` }
  if (/Out of Memory|out of memory/.test(said)) {
    return { path, message: "needs more memory than duckdb.memory_limit; raise it" }
  }
  return { path, message: first }
}

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/**
 * The line of the file that a fault is on. DuckDB numbers the rows of a CSV, of which one may be several lines, and the
 * records of a JSON file.
 */
const lineOf = async (path: string, format: Format, number: number): Promise<number | undefined> => {
  // A .json file may be one value of many lines: it is one of lines where its first line is a value.
  let isLines = /\.(?:jsonl|ndjson)(?:\.gz)?$/i.test(path)
  let [line, row, isOpen] = [0, 0, false]
  for await (const text of linesOf(path)) {
    line++
    if (format === "json") {
      if (text.trim() === "") continue
      if (!isJson(text)) return isLines ? line : undefined
      isLines = true
      continue
    }
    if (!isOpen && ++row === number) return line
    if ((text.split('"').length - 1) % 2 === 1) isOpen = !isOpen
  }
  return undefined
}

/** What DuckDB says of the content of a file. */
const faultIn = async (path: string, format: Format, cause: unknown): Promise<Fault> => {
  const fault = faultOf(path, cause)
  // A line that is too long is not read again.
  if (cause instanceof Bad || fault.line === undefined || fault.message === tooLong) return fault
  const line = await lineOf(path, format, fault.line).catch(() => undefined)
  if (fault.message === notUtf8) {
    const message = await encodingFault(path).catch(() => notUtf8)
    return line === undefined ? { path, message } : { path, message, line }
  }
  if (line !== undefined) return { ...fault, line }
  return format === "json" ? { path, message: fault.message } : fault
}

/** The files that a path or a pattern stands for. */
const expand = async (
  connection: DuckDb.DuckDBConnection,
  pattern: string
): Promise<ReadonlyArray<string>> => {
  const found = statSync(pattern, { throwIfNoEntry: false })
  if (found?.isDirectory() === true) {
    throw new Bad(`it is a directory; write ${join(pattern, "*.csv")} for the files in it`)
  }
  if (found !== undefined) return [pattern]
  if (!/[*?[]/.test(pattern)) throw new Bad("there is no such file")
  const rows = (
    await connection.runAndReadAll(`SELECT file FROM glob(${literal(pattern)}) ORDER BY 1`)
  ).getRows()
  const files = rows.flatMap(([file]) =>
    typeof file === "string" && formatOf(file) !== undefined ? [file] : []
  )
  if (files.length > 0) return files
  throw new Bad(
    rows.length === 0
      ? "no file matches"
      : `none of the ${rows.length} files that match is one of .csv, .tsv, .json, .jsonl, .ndjson, .parquet`
  )
}

const delimiters = [",", ";", "\t", "|"]

/** The values of a line of CSV; undefined where a quote does not end. */
const split = (line: string, delimiter: string): ReadonlyArray<string> | undefined => {
  const values: Array<string> = []
  const value = /"((?:[^"]|"")*)"|([^"]*?)(?=$|\0)/y
  const rest = line.replaceAll(delimiter, "\0")
  for (let at = 0; at <= rest.length;) {
    value.lastIndex = at
    const found = value.exec(rest)
    if (found === null) return undefined
    values.push(
      found[1] === undefined
        ? (found[2] ?? "").trim()
        : found[1].replaceAll("\0", delimiter).replaceAll('""', '"')
    )
    at = value.lastIndex
    if (at < rest.length && rest[at] !== "\0") return undefined
    at++
  }
  return values
}

interface Source {
  /** The FROM of a query of it: columns as text, or as they are in a Parquet file. */
  readonly from: string
  readonly names: ReadonlyArray<string>
}

/** What separates the values is the sign that the first line has most often; tabs in a `.tsv`. */
const csv = async (connection: DuckDb.DuckDBConnection, path: string): Promise<Source> => {
  const file = exactly(path)
  const bounds = `auto_detect = false, max_line_size = ${LONGEST_LINE}`
  const head = await connection.runAndReadAll(
    `SELECT * FROM read_csv(${file}, columns = {'l': 'VARCHAR'}, delim = chr(1), quote = '', escape = '', header = false, ${bounds}) LIMIT 1`
  )
  const line = head.getRows()[0]?.[0]
  if (typeof line !== "string" || line.trim() === "") {
    throw new Bad("the first line is empty, and should have the names of the columns", 1)
  }
  const best = delimiters
    .map((delimiter) => ({ delimiter, names: split(line, delimiter) }))
    .reduce((most, next) => ((next.names?.length ?? 0) > (most.names?.length ?? 0) ? next : most))
  const { delimiter, names } = /\.tsv(?:\.gz)?$/i.test(path)
    ? { delimiter: "\t", names: split(line, "\t") }
    : best
  if (names === undefined) throw new Bad("a name in quotes does not end in the first line", 1)
  const columns = names.map((_, index) => `'c${index}': 'VARCHAR'`)
  return {
    names,
    from: `read_csv(${file}, columns = {${columns.join(", ")}}, delim = ${literal(delimiter)}, quote = '"', escape = '"', header = true, strict_mode = true, ${bounds})`
  }
}

const described = async (connection: DuckDb.DuckDBConnection, from: string) =>
  (await connection.runAndReadAll(`DESCRIBE SELECT * FROM ${from}`))
    .getRows()
    .map(([name, type]) => ({ name: String(name), type: String(type) }))

const number = String.raw`[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)`
const patterns = {
  boolean: "(?i:true|false)",
  number,
  float: `${number}(?:[eE][+-]?\\d+)?`,
  date: String.raw`\d{4}-\d\d-\d\d`,
  time: String.raw`\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?`,
  timestamp: String.raw`\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?`,
  nanos: String.raw`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\.\d{1,9}`,
  zoned: String.raw`\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d(?::?\d\d)?)`
} as const

/** What a column of texts can be, the best first: all values look like it, and can be cast. */
const candidates = [
  ["boolean", "BOOLEAN"],
  ["number", "NUMBER"],
  ["float", "DOUBLE"],
  ["date", "DATE"],
  ["time", "TIME"],
  ["timestamp", "TIMESTAMP"],
  ["nanos", "TIMESTAMP_NS"],
  ["zoned", "TIMESTAMPTZ"]
] as const
type Candidate = (typeof candidates)[number]

const isMoment = ([name]: Candidate): boolean => !["boolean", "number", "float"].includes(name)

/** Whether all values are so; one that is missing says nothing. */
const question = (value: string, candidate: Candidate): string => {
  const [name, type] = candidate
  const looks = `regexp_full_match(${value}, ${literal(patterns[name])})`
  const all = isMoment(candidate)
    ? `${looks} AND (${value} IS NULL OR TRY_CAST(${value} AS ${type}) IS NOT NULL)`
    : looks
  return `coalesce(bool_and(${all}), false)`
}

/** Digits before and behind the point, of the number that has most. */
const sizes = (value: string): ReadonlyArray<string> => [
  `max(length(split_part(ltrim(${value}, '+-'), '.', 1)))`,
  `max(length(split_part(${value}, '.', 2)))`
]

const numberType = ([whole, fraction]: ReadonlyArray<unknown>): string => {
  const [digits, scale] = [Math.max(1, Number(whole)), Number(fraction)]
  if (digits + scale > 38) return "DOUBLE"
  return scale > 0 ? `DECIMAL(${digits + scale}, ${scale})` : digits <= 18 ? "BIGINT" : "DECIMAL(38, 0)"
}

/** Expressions that are asked for at once. */
const AT_ONCE = 200

/** Rows that say what a column cannot be. */
const FIRST_ROWS = 10_000

/** The values of expressions over a table, in their order. */
type Ask = (expressions: ReadonlyArray<string>) => Promise<Array<unknown>>

const asking =
  (connection: DuckDb.DuckDBConnection, from: string): Ask =>
  async (expressions) => {
    const values: Array<unknown> = []
    for (let at = 0; at < expressions.length; at += AT_ONCE) {
      const part = expressions.slice(at, at + AT_ONCE)
      values.push(
        ...((await connection.runAndReadAll(`SELECT ${part.join(", ")} FROM ${from}`)).getRows()[0] ?? [])
      )
    }
    return values
  }

/** The whole of a file before its types are known, and its first rows. */
interface Staged {
  readonly all: Ask
  readonly first: Ask
}

interface Texts {
  /** The text of each value. */
  readonly value: string
  candidates: ReadonlyArray<Candidate>
}

/** Leaves of each column's candidates what all values are. */
const narrow = async (ask: Ask, columns: ReadonlyArray<Texts>): Promise<void> => {
  const answers = await ask(
    columns.flatMap(({ candidates, value }) => candidates.map((each) => question(value, each)))
  )
  for (const column of columns) {
    const own = answers.splice(0, column.candidates.length)
    column.candidates = column.candidates.filter((_, index) => own[index] === true)
  }
}

/** The columns that are not empty. */
const withValues = async (ask: Ask, columns: ReadonlyArray<Texts>): Promise<ReadonlyArray<Texts>> => {
  const filled = await ask(columns.map(({ value }) => `count(${value}) > 0`))
  return columns.filter((_, index) => filled[index] === true)
}

/** The types of columns of texts. */
const typesOf = async (
  { all, first }: Staged,
  columns: ReadonlyArray<Texts>
): Promise<ReadonlyArray<string>> => {
  const filled = await withValues(all, columns)
  // What is empty in the first rows is not known by them.
  await narrow(first, await withValues(first, filled))
  await narrow(all, filled)
  const numbers = filled.filter(({ candidates: [best] }) => best?.[0] === "number")
  const digits = await all(numbers.flatMap(({ value }) => sizes(value)))
  const types = new Map(filled.map((column) => [column, column.candidates[0]?.[1]]))
  const decimals = new Map(numbers.map((column) => [column, numberType(digits.splice(0, 2))]))
  return columns.map((column) => decimals.get(column) ?? types.get(column) ?? "VARCHAR")
}

/** The columns of the staged texts as they are to be stored. */
const fromTexts = async (staged: Staged, columns: ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
  const types = await typesOf(
    staged,
    columns.map((value) => ({ value, candidates }))
  )
  return columns.map((column, index) => `${column}::${types[index]}`)
}

/** The same of staged JSON: each kind of value can be some types. */
const fromJson = async (staged: Staged, columns: ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
  const found = await staged.all(columns.map((column) => `string_agg(DISTINCT json_type(${column}), ' ')`))
  const able = (kinds: unknown): ReadonlyArray<Candidate> | undefined => {
    const all = typeof kinds === "string" ? kinds.split(" ") : []
    const are = (kind: RegExp) => all.every((each) => kind.test(each))
    if (are(/^(?:U?BIGINT|U?HUGEINT|DOUBLE|DECIMAL)$/)) {
      return candidates.filter(([name]) => name === "number" || name === "float")
    }
    if (are(/^BOOLEAN$/)) return candidates.filter(([name]) => name === "boolean")
    return are(/^VARCHAR$/) ? candidates.filter(isMoment) : undefined
  }
  const texts = columns.flatMap((column, index) => {
    const own = able(found[index])
    return own === undefined ? [] : [{ column, value: `(${column}->>'$')`, candidates: own }]
  })
  const types = await typesOf(staged, texts)
  const written = new Map(texts.map(({ column, value }, index) => [column, `${value}::${types[index]}`]))
  return columns.map((column) => written.get(column) ?? Attached.asVariant(column))
}

const target = "files.main"

/** What of a file's names is not as it is written: a column is found under the name that it got. */
const nameNotes = (names: ReadonlyArray<string>, got: ReadonlyArray<string>): ReadonlyArray<string> =>
  names.flatMap((name, at) => {
    const wanted = Attached.identifier(name)
    if (wanted === got[at]) return []
    return wanted === ""
      ? [`column ${at + 1} has no name, and is called ${got[at]}`]
      : [`column ${at + 1} has the name ${wanted} of another, and is called ${got[at]}`]
  })

interface LoadedFile {
  readonly rows: number
  readonly notes: ReadonlyArray<string>
}

const loadFile = async (
  connection: DuckDb.DuckDBConnection,
  path: string,
  format: Format,
  table: string
): Promise<LoadedFile> => {
  const name = `${target}.${quoted(table)}`
  let notes: ReadonlyArray<string> = []
  const create = async (columns: ReadonlyArray<string>, names: ReadonlyArray<string>, from: string) => {
    const named = Attached.columnNames(names)
    notes = nameNotes(names, named)
    await connection.run(
      `CREATE TABLE ${name} AS SELECT ${columns.map((column, at) => `${column} AS ${quoted(named[at]!)}`).join(", ")} FROM ${from}`
    )
    const comments = Attached.commentsOn(
      name,
      named,
      names.map((original, at) => Attached.commentOf(original, named[at]!))
    )
    const comment = Attached.commentOf(Attached.stemOf(path), table)
    if (comment !== "") comments.push(`COMMENT ON TABLE ${name} IS ${literal(comment)}`)
    if (comments.length > 0) await connection.run(comments.join(";\n"))
  }
  if (format === "parquet") {
    const from = `read_parquet(${exactly(path)})`
    const columns = await described(connection, from)
    await create(
      columns.map((column) => Attached.converted(column.type, quoted(column.name))),
      columns.map((column) => column.name),
      from
    )
  } else {
    const isJson = format === "json"
    const json = `read_json(${exactly(path)}, maximum_depth = 1, sample_size = -1, maximum_object_size = ${4 * LONGEST_LINE})`
    const { from, names } = isJson
      ? { from: json, names: (await described(connection, json)).map((column) => column.name) }
      : await csv(connection, path)
    const columns = names.map((_, index) => `c${index}`)
    await connection.run(
      `CREATE OR REPLACE TEMP TABLE staged AS SELECT * FROM ${from} AS t(${columns.join(", ")})`
    )
    const staged: Staged = {
      all: asking(connection, "staged"),
      first: asking(connection, `(FROM staged LIMIT ${FIRST_ROWS})`)
    }
    await create(await (isJson ? fromJson : fromTexts)(staged, columns), names, "staged")
    await connection.run("DROP TABLE staged")
  }
  const count = await connection.runAndReadAll(`SELECT count(*)::DOUBLE FROM ${name}`)
  return { rows: Number(count.getRows()[0]?.[0] ?? 0), notes }
}

const readable = (path: string): number => {
  try {
    accessSync(path, constants.R_OK)
    const found = statSync(path)
    // To read a pipe or a device may never end.
    if (!found.isFile()) throw new Bad("it is a directory, a pipe or a device, and not a file")
    return found.size
  } catch (cause) {
    throw cause instanceof Bad ? cause : new Bad(`cannot be read: ${reasonOf(cause)}`)
  }
}

/** Why a file cannot be attached, and what to do. */
const notAttached = ({ path }: Attached.Attached, cause: unknown): Fault => {
  const said = cause instanceof Error ? cause.message : String(cause)
  if (/Could not set lock|Conflicting lock/.test(said)) {
    const [, holder = ""] = /lock is held in (.*?\(PID \d+\))/.exec(said) ?? []
    return {
      path,
      message: `another program has it open for writing${holder === "" ? "" : `: ${holder}`}; end it, or serve a copy of the file`
    }
  }
  if (/not a valid DuckDB database file/.test(said)) return { path, message: "it is not a DuckDB file" }
  const version = /version number (\d+), but we can only read (?:version|versions between) (.*?)\./.exec(said)
  if (version !== null) {
    return {
      path,
      message: `it was written by another version of DuckDB (storage version ${version[1]}, readable is ${version[2]}); export it there, and load the export`
    }
  }
  return faultOf(path, cause)
}

const checkAttached = async (
  connection: DuckDb.DuckDBConnection,
  attached: ReadonlyArray<Attached.Attached>
): Promise<Report> => {
  const faults: Array<Fault> = []
  const notes: Array<string> = []
  let [tables, rows] = [0, 0]
  const usable = new Map<number, Attached.Attached>()
  for (const [index, one] of attached.entries()) {
    try {
      const found = statSync(one.path, { throwIfNoEntry: false })
      if (found === undefined) throw new Bad("there is no such file")
      if (found.isDirectory()) throw new Bad("it is a directory, and not a DuckDB file")
      readable(one.path)
      await Attached.attach(connection, one, index)
      usable.set(index, one)
    } catch (cause) {
      faults.push(notAttached(one, cause))
    }
  }
  await connection.run("SET enable_external_access = false")
  for (const [index, one] of usable) {
    try {
      const { relations, skipped } = await Attached.show(connection, one, index)
      tables += relations.length
      for (const { table } of relations) rows += table?.rows ?? 0
      notes.push(...skipped.map((why) => `${one.path}: not served: ${why}`))
    } catch (cause) {
      faults.push(notAttached(one, cause))
    }
  }
  return { faults, notes, tables, rows }
}

const loadAll = async (connection: DuckDb.DuckDBConnection, options: Options): Promise<Report> => {
  const faults: Array<Fault> = []
  const notes: Array<string> = []
  const files: Array<string> = []
  for (const pattern of options.load) {
    try {
      files.push(...(await expand(connection, pattern)))
    } catch (cause) {
      faults.push(faultOf(pattern, cause))
    }
  }
  const tables = new Map<string, { readonly path: string; readonly format: Format }>()
  let bytes = 0
  for (const path of new Set(files)) {
    const format = formatOf(path)
    const table = Attached.identifier(Attached.stemOf(path)) || "_"
    const before = tables.get(table)
    try {
      if (format === undefined) {
        throw new Bad(
          /\.(?:duckdb|db|ddb)$/i.test(path)
            ? "a DuckDB file is not loaded; name it in duckdb.database"
            : "its name should end in .csv, .tsv, .json, .jsonl, .ndjson or .parquet"
        )
      }
      if (before !== undefined) {
        throw new Bad(`would be the table ${table}, and so would ${before.path}; rename one of them`)
      }
      bytes += readable(path)
      tables.set(table, { path, format })
    } catch (cause) {
      faults.push(faultOf(path, cause))
    }
  }
  if (bytes > MOST_BYTES || tables.size > MOST_FILES) {
    const [first] = tables.values()
    faults.push({
      path: first?.path ?? "",
      message: `together with the other files it is more than what is loaded (${MOST_FILES} files, ${MOST_BYTES / 1024 ** 3} GiB); make a DuckDB file of them, and name it in duckdb.database`
    })
    tables.clear()
  }
  let rows = 0
  for (const [table, { format, path }] of tables) {
    try {
      const loaded = await loadFile(connection, path, format, table)
      if (loaded.rows === 0) notes.push(`${path} has no rows`)
      notes.push(...loaded.notes.map((note) => `${path}: ${note}`))
      rows += loaded.rows
    } catch (cause) {
      faults.push(await faultIn(path, format, cause))
    }
  }
  return { faults, notes, rows, tables: tables.size }
}

/**
 * Loads what is to be loaded, and tries what is to be attached.
 *
 * @since 0.1.0
 * @category loading
 */
export const load = async (
  api: typeof DuckDb,
  options: typeof Protocol.Loading.Type
): Promise<typeof Protocol.Loaded.Type> => {
  const open = async (more: Readonly<Record<string, string>> = {}) => {
    const instance = await api.DuckDBInstance.create(":memory:", {
      memory_limit: options.memoryLimit,
      threads: String(options.threads),
      allow_persistent_secrets: "false",
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
      ...more
    })
    const connection = await instance.connect()
    await connection.run("SET GLOBAL TimeZone = 'UTC'")
    for (const register of registrations) register(api, connection)
    await connection.run(macros)
    return {
      connection,
      close: () => {
        connection.disconnectSync()
        instance.closeSync()
      }
    }
  }
  const reports: Array<Report> = []
  if (options.load.length > 0) {
    const { close, connection } = await open({ temp_directory: dirname(options.into) })
    // An older storage version does not hold what the union of VARIANT needs.
    await connection.run(`ATTACH ${literal(options.into)} AS files (STORAGE_VERSION 'v1.5.0')`)
    reports.push(await loadAll(connection, options))
    await connection.run("CHECKPOINT files; DETACH files")
    close()
  }
  if (options.attached.length > 0) {
    const { close, connection } = await open({ temp_directory: "" })
    reports.push(await checkAttached(connection, options.attached))
    close()
  }
  return {
    faults: reports.flatMap(({ faults }) => faults),
    notes: reports.flatMap(({ notes }) => notes),
    tables: reports.reduce((sum, { tables }) => sum + tables, 0),
    rows: reports.reduce((sum, { rows }) => sum + rows, 0)
  }
}
