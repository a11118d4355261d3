/**
 * Which columns a tier sees masked, and as what. A rule is a full name of four parts, database, schema, table and
 * column; `*` stands for any name in its place. It means a view as it means a table.
 *
 * Invariants:
 *  - names are compared without their case, also in quotes: a session may be told to ignore it, and doubt masks;
 *  - where rules differ about a column, the one that tells least holds;
 *  - a column that is computed from a masked one is masked, and so is one that a masked one is computed from;
 *  - columns that are computed from the same place of another are masked alike.
 */

/** `token`: a keyed digest, equal for equal values; `null`; `hidden`: the same text for every value. */
export type Kind = "token" | "null" | "hidden"

export const kinds: ReadonlyArray<Kind> = ["token", "null", "hidden"]

/** As an operator writes them: the kind by the name of the column. */
export interface Masks {
  readonly [column: string]: Kind
}

export const none: Masks = {}

/** A rule; in a pattern `undefined` is any name. */
interface Rule {
  readonly pattern: ReadonlyArray<string | undefined>
  readonly kind: Kind
}

export type Compiled = ReadonlyArray<Rule>

/** A table, in full: database, schema, name, as the warehouse compares them. */
export type Table = ReadonlyArray<string>

export interface Column {
  readonly name: string
  /** The warehouse's name of the type. */
  readonly type: string
  /** Of a virtual column: the columns of the table that it is computed from. */
  readonly from?: ReadonlyArray<string> | undefined
  /** And where in them: the column, and the keys of the path in it as far as they are plainly written. */
  readonly paths?: ReadonlyArray<ReadonlyArray<string>> | undefined
}

/** What the text of a view names. */
export interface Reads {
  /** One entry a name: the table that it means, or those of which it means the first that there is. */
  readonly tables: ReadonlyArray<ReadonlyArray<Table>>
  /** Its CTEs, as the tables that they would be if they did not hide them. */
  readonly ctes: ReadonlyArray<Table>
}

/** What has been looked up of a table or a view. */
export interface Known {
  /** Rows of its own: no view, and nothing else that is made of other tables. */
  readonly isTable: boolean
  /** In their order; absent where no rule can mean one of them. */
  readonly columns?: ReadonlyArray<Column> | undefined
  /** Of what is no table: what it reads, or why that is not known. */
  readonly reads?: Reads | string | undefined
  /** A view reads it, and the caller's role sees none of that name. */
  readonly isAbsent?: boolean | undefined
}

/** Two keys of a digest, each the 64 hexadecimal digits of 32 bytes. */
export type TokenKey = readonly [inner: string, outer: string]

/** What the gate needs to write a statement anew for a tier that has masks. */
export interface Masking {
  readonly masks: Masks
  /** What is known of a table; undefined before it is looked up, and the statement is refused until then. */
  readonly known: (table: Table) => Known | undefined
  /** Without it a statement that needs tokens is refused. */
  readonly key?: TokenKey | undefined
}

/** What one rule looks like, for readers of files. */
export const syntax =
  /^(?:\*|[A-Za-z_][A-Za-z0-9_$]*|"(?:[^"]|"")+")(?:\.(?:\*|[A-Za-z_][A-Za-z0-9_$]*|"(?:[^"]|"")+")){3}$/

const part = /\*|[A-Za-z_][A-Za-z0-9_$]*|"(?:[^"]|"")+"/g

/** Wider than any warehouse: `MAßE` is masked where `MASSE` is. A mask too many shows nothing. */
const fold = (name: string): string => name.toUpperCase()

export const isEmpty = (masks: Masks): boolean => Object.keys(masks).length === 0

/** A rule that is not one is a mistake of the program: it throws. */
export const compile = (masks: Masks): Compiled =>
  Object.entries(masks).map(([rule, kind]) => {
    if (!syntax.test(rule)) throw new RangeError(`not the name of a column: ${rule}`)
    const pattern = (rule.match(part) ?? []).map((text) =>
      text === "*" ? undefined : fold(text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text)
    )
    return { pattern, kind }
  })

const agrees = (pattern: Rule["pattern"], name: ReadonlyArray<string>): boolean =>
  name.every((each, at) => pattern[at] === undefined || pattern[at] === fold(each))

/** Whether a rule can mean a column of the table. */
export const mayMask = (rules: Compiled, table: Table): boolean =>
  rules.some(({ pattern }) => agrees(pattern, table))

/** Whether a rule names the table or the view itself. */
export const lists = (rules: Compiled, table: Table): boolean =>
  rules.some(
    ({ pattern }) => agrees(pattern, table) && pattern.slice(0, 3).every((each) => each !== undefined)
  )

const strength = (kind: Kind): number => kinds.length - ["null", "hidden", "token"].indexOf(kind)

const strongest = (kinds: ReadonlyArray<Kind | undefined>): Kind | undefined =>
  kinds.reduce<Kind | undefined>(
    (told, kind) =>
      kind !== undefined && (told === undefined || strength(kind) > strength(told)) ? kind : told,
    undefined
  )

/** As what the column is seen; undefined: as it is. */
export const ofColumn = (rules: Compiled, table: Table, column: string): Kind | undefined =>
  strongest(rules.filter(({ pattern }) => agrees(pattern, [...table, column])).map(({ kind }) => kind))

const begins = (path: ReadonlyArray<string>, other: ReadonlyArray<string>): boolean =>
  path.every((key, at) => key === other[at])

/** Whether two columns are computed from the same value, or one from a part of what the other has. */
const overlaps = (
  a: ReadonlyArray<ReadonlyArray<string>>,
  b: ReadonlyArray<ReadonlyArray<string>>
): boolean => a.some((path) => b.some((other) => begins(path, other) || begins(other, path)))

/** The same for all columns of a table, with those that tell a masked one because one is computed from the other. */
export const ofColumns = (
  rules: Compiled,
  table: Table,
  columns: ReadonlyArray<Column>
): ReadonlyArray<Kind | undefined> => {
  const places = new Map(columns.map(({ name }, at) => [fold(name), at]))
  const sources = columns.map(({ from = [] }) =>
    from.map((name) => places.get(fold(name))).filter((at) => at !== undefined)
  )
  const own = columns.map(({ name }) => ofColumn(rules, table, name))
  const ruled = columns.map(({ paths = [] }, at) =>
    strongest([
      own[at],
      ...columns.map((other, place) =>
        own[place] !== undefined && overlaps(paths, other.paths ?? []) ? own[place] : undefined
      )
    ])
  )
  /** Goes on until nothing changes: each round makes a kind stronger, and there are three. */
  const spread = (
    kinds: ReadonlyArray<Kind | undefined>,
    tells: ReadonlyArray<ReadonlyArray<number>>
  ): ReadonlyArray<Kind | undefined> => {
    const next = kinds.map((kind, at) => strongest([kind, ...tells[at]!.map((each) => kinds[each])]))
    return next.every((kind, at) => kind === kinds[at]) ? kinds : spread(next, tells)
  }
  if (sources.every((each) => each.length === 0)) return ruled
  const uses: ReadonlyArray<Array<number>> = columns.map(() => [])
  sources.forEach((each, at) => each.forEach((source) => uses[source]!.push(at)))
  const computed = spread(ruled, sources)
  // From the rules alone: else all columns of an external table, which are computed from one, would be masked.
  const told = spread(ruled, uses)
  return columns.map((_, at) => strongest([computed[at], told[at]]))
}

/**
 * The columns, of those with `names`, that an expression may be computed from. Texts count as well, as in the path
 * of a VARIANT: doubt masks.
 */
export const namesIn = (expression: string, names: ReadonlyArray<string>): ReadonlyArray<string> => {
  const text = fold(expression)
  const isPart = (character: string) => /[\p{L}\p{N}_$]/u.test(character)
  return names.filter((name) => {
    const wanted = fold(name.replaceAll('"', '""'))
    for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1))
      if (!isPart(text.charAt(at - 1)) && !isPart(text.charAt(at + wanted.length))) return true
    return false
  })
}

/** Columns that are in no list of columns: what a file is called, the fields of its rows. */
const fileColumns = /METADATA\$[A-Z_]+|\$[0-9]+/g

const step = /^\s*(?:[:.]\s*("(?:[^"]|"")+"|[\p{L}\p{N}_$]+)|\[\s*(?:'((?:[^']|'')*)'|([0-9]+))\s*\])/u
const got = /^\s*,\s*'((?:[^']|'')*)'/

/** The keys that follow the name of a column. */
const keysAfter = (rest: string, isGet: boolean): ReadonlyArray<string> => {
  const [given, inText] = isGet ? (got.exec(rest) ?? []) : []
  if (given !== undefined) return (inText ?? "").split(/[^\p{L}\p{N}_$ -]+/u).filter((key) => key !== "")
  const keys: Array<string> = []
  for (let left = rest; !left.startsWith("::");) {
    const [whole, name, text, at] = step.exec(left) ?? []
    if (whole === undefined) break
    keys.push(
      name?.startsWith('"') === true ? name.slice(1, -1).replaceAll('""', '"') : (name ?? text ?? at ?? "")
    )
    left = left.slice(whole.length)
  }
  return keys
}

/**
 * Where in the columns with `names`, and in those of its file, an expression reads: `VALUE:a.b::VARCHAR` reads
 * `["VALUE", "A", "B"]`. A path that is computed otherwise ends where that begins: doubt masks.
 */
export const pathsIn = (
  expression: string,
  names: ReadonlyArray<string>
): ReadonlyArray<ReadonlyArray<string>> => {
  const text = fold(expression)
  const files = [...new Set(text.match(fileColumns) ?? [])]
  const paths: Array<ReadonlyArray<string>> = []
  for (const name of [...namesIn(expression, names), ...files]) {
    const wanted = fold(name.replaceAll('"', '""'))
    for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1)) {
      const end = at + wanted.length
      if (/[\p{L}\p{N}_$]/u.test(text.charAt(at - 1)) || /[\p{L}\p{N}_]/u.test(text.charAt(end))) continue
      const isGet = /\bGET(?:_PATH|_IGNORE_CASE)?\s*\(\s*"?$/.test(text.slice(0, at))
      const rest = text.slice(text.charAt(end) === '"' ? end + 1 : end)
      paths.push([fold(name), ...keysAfter(rest, isGet)])
    }
  }
  return paths
}

/** A text without the key of tokens. */
export const withoutKey = (text: string, { key }: Pick<Masking, "key">): string =>
  (key ?? []).reduce((told, part) => told.replaceAll(part, "***"), text)
