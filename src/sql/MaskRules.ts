/**
 * Which columns a tier sees masked, and as what. A rule is a full name of four parts, database, schema, table and
 * column; `*` stands for any name in its place. It means a view as it means a table.
 *
 * Invariants:
 *  - names are compared without their case, also in quotes: a session may be told to ignore it, and doubt masks;
 *  - where rules differ about a column, the one that tells least holds.
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
}

/** What has been looked up of a table or a view. */
export interface Known {
  /** Rows of its own: no view, and nothing else that is made of other tables. */
  readonly isTable: boolean
  /** In their order; absent where no rule can mean one of them. */
  readonly columns?: ReadonlyArray<Column> | undefined
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

/** As what the column is seen; undefined: as it is. */
export const ofColumn = (rules: Compiled, table: Table, column: string): Kind | undefined =>
  rules
    .filter(({ pattern }) => agrees(pattern, [...table, column]))
    .map(({ kind }) => kind)
    .reduce<Kind | undefined>(
      (told, kind) => (told === undefined || strength(kind) > strength(told) ? kind : told),
      undefined
    )

/** A text without the key of tokens. */
export const withoutKey = (text: string, { key }: Pick<Masking, "key">): string =>
  (key ?? []).reduce((told, part) => told.replaceAll(part, "***"), text)
