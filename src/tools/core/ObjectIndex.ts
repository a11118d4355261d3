/**
 * Tables, views and their columns in memory, found by words of their names, comments and types: also by the
 * beginning of a word, and by a word that is misspelt.
 *
 * A table with its columns is one document of the full-text index: columns are looked at only in the tables that
 * match best, which keeps the index small. The index is updated in place: its owner must use it linearly.
 *
 * Invariants
 * 1. `objects <= maxObjects` and `bytes <= maxBytes` after every operation. What does not fit is not added.
 * 2. Tables that are the same in every part are kept once, however many hold them, until the last one lets go.
 *    One that differs in any part is another one: a holder finds what it was itself told, and nothing else.
 */
import MiniSearch from "minisearch"
import { distance } from "../../platform/core/Nearest.js"

export interface Column {
  readonly name: string
  readonly type: string
  readonly comment: string
}

/** A table or a view. */
export interface Table {
  readonly database: string
  readonly schema: string
  readonly name: string
  readonly isView: boolean
  /** As the warehouse calls it: `TABLE`, `DYNAMIC TABLE`, `VIEW`, `SEMANTIC VIEW`. */
  readonly kind: string
  readonly comment: string
  /** Undefined while they are not known. */
  readonly columns: ReadonlyArray<Column> | undefined
}

/** The kind of a semantic view; it is a view as well. */
export const SEMANTIC = "SEMANTIC VIEW"

export interface Bounds {
  /** Tables, views and columns together. */
  readonly maxObjects: number
  readonly maxBytes: number
}

interface Entry {
  readonly id: number
  readonly table: Table
  readonly objects: number
  readonly bytes: number
  holders: number
}

export interface ObjectIndex {
  readonly bounds: Bounds
  readonly texts: MiniSearch<Entry>
  readonly entries: Map<number, Entry>
  /** The entries of a full name: more than one where holders were told different things. */
  readonly byName: Map<string, ReadonlyArray<number>>
  /** The names of columns, with their words and the tables in which they stand. */
  readonly columns: Map<string, Named>
  /** Words of other short texts. */
  readonly names: Map<string, NameWords>
  objects: number
  bytes: number
  latest: number
}

export const fullName = ({ database, name, schema }: Pick<Table, "database" | "schema" | "name">): string =>
  JSON.stringify([database, schema, name])

// Words

/** Texts that are longer are not searched for. */
const MAX_TEXT = 2_000

/** Names whose words are remembered. */
const MOST_NAMES = 20_000

/** Words of a question that say nothing about an object. */
const stopWords: ReadonlySet<string> = new Set(
  "a an and are by contain for from has hold how in is of on or store the to what where which with".split(" ")
)

/** Singular and plural are the same word. */
const stem = (word: string): string =>
  word.length > 4 && word.endsWith("ies")
    ? `${word.slice(0, -3)}y`
    : word.length > 3 && word.endsWith("s") && !word.endsWith("ss")
      ? word.slice(0, -1)
      : word

const plain = (text: string): string =>
  /^[\x20-\x7e]*$/.test(text)
    ? text
    : text
        .normalize("NFKD")
        .replace(/\p{M}+/gu, "")
        .replaceAll("ß", "ss")
        .replaceAll("ẞ", "SS")

/** `orderLine_ID` -> order, line, id. */
export const words = (text: string): ReadonlyArray<string> =>
  plain(text.length > MAX_TEXT ? text.slice(0, MAX_TEXT) : text)
    .replace(/(\p{Ll}|\d)(?=\p{Lu})/gu, "$1 ")
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .flatMap((word) => (word === "" ? [] : [stem(word)]))

/** The words of a name, and the name as one word. */
interface NameWords {
  readonly parts: ReadonlyArray<string>
  readonly whole: string
  /** What the name is found by: `orderlines` finds ORDER_LINES. Of longer names there are too many. */
  readonly all: ReadonlyArray<string>
}

/** Marked, so that `order` does not lead to every name that begins with it. */
const asWhole = (word: string): string => `=${word}`
const isWhole = (word: string): boolean => word.startsWith("=")

const nameWords = (name: string): NameWords => {
  const parts = words(name)
  const whole = parts.join("")
  return { parts, whole, all: parts.length === 2 ? [...parts, asWhole(whole)] : parts }
}

interface Named {
  readonly words: NameWords
  readonly tables: Set<number>
}

const wordsOfName = ({ columns, names }: Pick<ObjectIndex, "columns" | "names">, name: string): NameWords => {
  const before = columns.get(name)?.words ?? names.get(name)
  if (before !== undefined) return before
  if (names.size >= MOST_NAMES) names.clear()
  const made = nameWords(name)
  names.set(name, made)
  return made
}

/** Each answer is made once. */
const remembered = <K, A>(f: (key: K) => A): ((key: K) => A) => {
  const known = new Map<K, A>()
  return (key) => {
    const before = known.get(key)
    if (before !== undefined) return before
    const made = f(key)
    known.set(key, made)
    return made
  }
}

const fields = ["name", "path", "comment", "columns", "notes", "types"] as const
type Field = (typeof fields)[number]

const wordsOf = (
  index: Pick<ObjectIndex, "columns" | "names">,
  { columns = [], comment, database, name, schema }: Table,
  field: Field
): ReadonlyArray<string> => {
  const distinct = (of: (column: Column) => ReadonlyArray<string>) => [...new Set(columns.flatMap(of))]
  switch (field) {
    case "name":
      return nameWords(name).all
    case "path":
      return words(`${database} ${schema}`)
    case "comment":
      return words(comment)
    case "columns":
      return distinct((column) => wordsOfName(index, column.name).all)
    case "notes":
      return distinct((column) => (column.comment === "" ? [] : words(column.comment)))
    case "types":
      return distinct((column) => wordsOfName(index, column.type).parts)
  }
}

// What is kept

/** Measured by `npm run bench:search`: what a table takes, a column of it, and a character of their texts. */
const TABLE_BYTES = 2_000
const COLUMN_BYTES = 250
const CHARACTER_BYTES = 2

const charactersOf = ({ comment, name, type }: Column): number => comment.length + name.length + type.length

const bytesOf = ({ columns = [], comment, database, name, schema }: Table): number =>
  TABLE_BYTES +
  columns.length * COLUMN_BYTES +
  CHARACTER_BYTES *
    (database.length +
      schema.length +
      name.length +
      comment.length +
      columns.reduce((sum, column) => sum + charactersOf(column), 0))

export const make = (bounds: Bounds): ObjectIndex => {
  const known = { columns: new Map<string, Named>(), names: new Map<string, NameWords>() }
  return {
    bounds,
    ...known,
    texts: new MiniSearch<Entry>({
      fields: [...fields],
      extractField: (entry, field) =>
        field === "id"
          ? entry.id
          : fields.includes(field as Field)
            ? wordsOf(known, entry.table, field as Field)
            : "",
      stringifyField: (value) => (Array.isArray(value) ? value.join(" ") : String(value)),
      tokenize: (text) => (text === "" ? [] : text.split(" ")),
      processTerm: (term) => term,
      autoVacuum: false
    }),
    entries: new Map(),
    byName: new Map(),
    objects: 0,
    bytes: 0,
    latest: 0
  }
}

const sameColumns = (a: Table["columns"], b: Table["columns"]): boolean =>
  a === b ||
  (a !== undefined &&
    b?.length === a.length &&
    a.every(({ comment, name, type }, at) => {
      const other = b[at]
      return name === other?.name && type === other.type && comment === other.comment
    }))

const same = (a: Table, b: Table): boolean =>
  a.kind === b.kind && a.isView === b.isView && a.comment === b.comment && sameColumns(a.columns, b.columns)

/** Holds the table; undefined when there is no room for it. */
export const add = (index: ObjectIndex, table: Table): number | undefined => {
  const key = fullName(table)
  const alike = index.byName.get(key) ?? []
  for (const id of alike) {
    const entry = index.entries.get(id)
    if (entry !== undefined && same(entry.table, table)) {
      entry.holders += 1
      return id
    }
  }
  const objects = 1 + (table.columns?.length ?? 0)
  const bytes = bytesOf(table)
  const { maxBytes, maxObjects } = index.bounds
  if (index.objects + objects > maxObjects || index.bytes + bytes > maxBytes) return undefined
  const id = ++index.latest
  const entry: Entry = { id, table, objects, bytes, holders: 1 }
  for (const { name } of table.columns ?? []) {
    const named = index.columns.get(name)
    if (named === undefined) index.columns.set(name, { words: nameWords(name), tables: new Set([id]) })
    else named.tables.add(id)
  }
  index.texts.add(entry)
  index.entries.set(id, entry)
  index.byName.set(key, [...alike, id])
  index.objects += objects
  index.bytes += bytes
  return id
}

/** Lets go of a table that is held. */
export const release = (index: ObjectIndex, id: number): void => {
  const entry = index.entries.get(id)
  if (entry === undefined) return
  entry.holders -= 1
  if (entry.holders > 0) return
  const key = fullName(entry.table)
  const others = (index.byName.get(key) ?? []).filter((other) => other !== id)
  index.texts.remove(entry)
  for (const { name } of entry.table.columns ?? []) {
    const named = index.columns.get(name)
    named?.tables.delete(id)
    if (named?.tables.size === 0) index.columns.delete(name)
  }
  index.entries.delete(id)
  if (others.length === 0) index.byName.delete(key)
  else index.byName.set(key, others)
  index.objects -= entry.objects
  index.bytes -= entry.bytes
}

export const tableOf = (index: ObjectIndex, id: number): Table | undefined => index.entries.get(id)?.table

// How it is ranked

export type Kind = "table" | "view" | "semantic view" | "column"

export interface Question {
  readonly text: string
  readonly kinds: ReadonlySet<Kind>
  readonly limit: number
  /** Whether the asker may see the table of this id. */
  readonly sees: (id: number, table: Table) => boolean
}

export interface Hit {
  readonly kind: Kind
  readonly table: Table
  /** Undefined: the table or view itself. */
  readonly column: Column | undefined
  readonly score: number
}

/** Columns are looked at in so many tables that match best as a whole ... */
const MOST_TABLES = 150
/** ... and in so many that hold one of the names of columns that match best. */
const MOST_NAMED = 40
const TABLES_OF_NAMED = 20

/** Words of a question beyond these are not looked for. */
const MOST_WORDS = 12

/**
 * Entries of the index that one search looks at, but for those of the word that passes this. Beyond them the words that are left are looked for as they are, without
 * their continuations and misspellings: what is common is found by the words before.
 */
const MOST_OCCURRENCES = 150_000

/** Columns that one search looks at, and how many between two pauses. */
const MOST_COLUMNS = 100_000
const COLUMNS_AT_A_TIME = 500

/** Shorter words have too many continuations, and too many neighbours. */
const SHORTEST_PREFIX = 2
const SHORTEST_TYPO = 4

const edits = (word: string): number => (word.length < SHORTEST_TYPO ? 0 : word.length < 8 ? 1 : 2)

/** How much a word of the index is what was asked for, 0 to 1. */
const likeness = (asked: string, found: string): number => {
  if (asked === found) return 1
  if (asked.length >= SHORTEST_PREFIX && found.startsWith(asked)) {
    return 0.5 + (0.4 * asked.length) / found.length
  }
  const most = edits(asked)
  if (most === 0 || Math.abs(asked.length - found.length) > most) return 0
  const away = distance(asked, found)
  return away > most ? 0 : 0.75 - 0.15 * (away - 1) - 0.1 * (away / asked.length)
}

/** What a match is worth by the place of the word. */
const weight = { name: 3, comment: 1.2, path: 0.8, columns: 0.5, notes: 0.3, types: 0.2 } as const
const columnWeight = { name: 3, comment: 1.2, type: 0.8, table: 1, tableComment: 0.3, path: 0.3 } as const

/** A name of which every word was asked for stands before one that holds more. */
const COVERED = 0.6
/** A name that is the question itself. */
const SAME_NAME = 2

interface Had {
  readonly bests: ReadonlyArray<number>
  readonly extra: number
  readonly isHit: boolean
}

const nothing: Had = { bests: [], extra: 0, isHit: false }

/** What one word was found in. */
interface Met {
  score: number
  readonly words: Set<string>
  match: { readonly [term: string]: ReadonlyArray<string> }
}

export interface Hits {
  /** The best first. */
  readonly hits: ReadonlyArray<Hit>
  /** Columns of some tables were not looked at: there were more than one search looks at. */
  readonly isCut: boolean
}

/**
 * The objects that match best. Yields where it may pause: after each word, which is looked for in one go and takes the
 * longer the more of the index is like it, and then after so many columns. What is added or removed meanwhile may be
 * found or not.
 */
export function* searching(
  index: ObjectIndex,
  { kinds, limit, sees, text }: Question
): Generator<void, Hits> {
  const said = words(text)
  const telling = said.filter((word) => !stopWords.has(word))
  const asked = [...new Set(telling.length === 0 ? said : telling)].slice(0, MOST_WORDS)
  if (asked.length === 0) return { hits: [], isCut: false }
  const whole = said.join("")
  // A word may be a whole name without the lines between its words, and so may the whole question.
  const wholes = [...asked, ...(said.length === 2 ? [whole] : [])].map(asWhole)

  /** How much a word of the index is each of the words looked for; undefined where it is none of them. */
  const likenesses = new Map<string, ReadonlyArray<number> | undefined>()
  const accepts = (found: string): boolean => {
    const known = likenesses.get(found)
    if (known !== undefined || likenesses.has(found)) return known !== undefined
    const made = asked.map((word, at) => Math.max(likeness(word, found), likeness(wholes[at] ?? "", found)))
    const isLike =
      made.some((one) => one > 0) || (isWhole(found) && wholes.some((one) => likeness(one, found) > 0))
    likenesses.set(found, isLike ? made : undefined)
    return isLike
  }
  const isSeen = remembered((id: number) => {
    const table = tableOf(index, id)
    return table !== undefined && sees(id, table)
  })
  let occurrences = 0
  const met = new Map<number, Met>()
  // Rare words tell more than those that stand everywhere.
  const frequency = new Map<string, number>()
  for (const word of new Set([...asked, ...wholes])) {
    const isLoose = occurrences < MOST_OCCURRENCES
    const found = index.texts.search(word, {
      prefix: isLoose && !isWhole(word) && word.length >= SHORTEST_PREFIX,
      // Two, since swapped letters are two edits here; `likeness` counts them as one.
      fuzzy: !isLoose || edits(word) === 0 ? false : isWhole(word) ? 3 : 2,
      boost: { name: 4, columns: 2, comment: 1, notes: 0.7, path: 0.5, types: 0.3 },
      boostDocument: (id: number, term) => {
        occurrences += 1
        return accepts(term) && isSeen(id) ? 1 : 0
      }
    })
    frequency.set(word, found.length)
    for (const { id, match, score } of found) {
      const before = met.get(id as number)
      if (before === undefined) met.set(id as number, { score, words: new Set([word]), match })
      else {
        before.score += score
        before.words.add(word)
        before.match = { ...before.match, ...match }
      }
    }
    yield
  }
  /** One that has several of the words stands before one that has one of them often. */
  const found = [...met]
    .map(([id, { match, score, words }]) => ({ id, match, score: score * words.size }))
    .sort((a, b) => b.score - a.score)
  const rarity = asked.map(
    (word) => Math.log(1 + index.entries.size / (1 + (frequency.get(word) ?? 0))) + 0.5
  )
  const all = rarity.reduce((sum, one) => sum + one, 0)
  const weighed = (worth: (at: number) => number): number =>
    rarity.reduce((sum, one, at) => sum + one * worth(at), 0)

  /** The best likeness to each word of the question; all words that have any were met by the search. */
  const bestOf = (among: ReadonlyArray<string>): ReadonlyArray<number> => {
    const bests = asked.map(() => 0)
    for (const word of among) {
      const alike = likenesses.get(word)
      if (alike !== undefined) bests.forEach((most, at) => void (bests[at] = Math.max(most, alike[at] ?? 0)))
    }
    return bests
  }
  /** What a text has of the question, by the words of the question; `extra`: for being it, or for holding most of it. */
  const had = remembered((text: string): Had => {
    const own = wordsOfName(index, text)
    const hit = own.parts.filter((word) => likenesses.get(word) !== undefined).length
    const isSame = hit * 2 >= own.parts.length || likenesses.get(asWhole(own.whole)) !== undefined
    if (!isSame && hit === 0) return nothing
    const same = isSame ? likeness(whole, own.whole) : 0
    const extra = all * (COVERED * (hit / Math.max(1, own.parts.length)) + SAME_NAME * same * same)
    return { bests: bestOf(own.all), extra, isHit: extra > 0 }
  })

  const candidates = new Map<number, { readonly [term: string]: ReadonlyArray<string> }>(
    found.slice(0, MOST_TABLES).map(({ id, match }) => [id, match])
  )
  /** Steps since the last pause. */
  let steps = 0
  if (kinds.has("column")) {
    const named: Array<{ readonly tables: ReadonlySet<number>; readonly score: number }> = []
    for (const [name, { tables, words }] of index.columns) {
      if (++steps % COLUMNS_AT_A_TIME === 0) yield
      if (!words.all.some((word) => likenesses.get(word) !== undefined)) continue
      const { bests, extra } = had(name)
      named.push({ tables, score: weighed((at) => bests[at] ?? 0) + extra })
    }
    for (const { tables } of named.sort((a, b) => b.score - a.score).slice(0, MOST_NAMED)) {
      let left = TABLES_OF_NAMED
      for (const id of tables) {
        const match = met.get(id)?.match
        if (match === undefined) continue
        candidates.set(id, match)
        if (--left === 0) break
      }
    }
  }

  const hits: Array<Hit & { readonly order: number }> = []
  let columnsLeft = MOST_COLUMNS
  let isCut = false
  for (const [id, match] of candidates) {
    yield
    const table = tableOf(index, id)
    if (table === undefined) continue
    const terms: { readonly [F in Field]: Array<string> } = {
      name: [],
      path: [],
      comment: [],
      columns: [],
      notes: [],
      types: []
    }
    for (const [term, where] of Object.entries(match)) {
      for (const field of where) terms[field as Field].push(term)
    }
    const byName = bestOf(terms.name)
    const byComment = bestOf(terms.comment)
    const byPath = bestOf(terms.path)
    const kind = !table.isView ? "table" : table.kind === SEMANTIC ? "semantic view" : "view"
    const extra = had(table.name).extra
    // A table that matches by its columns alone is told by these.
    const isOwn = extra > 0 || [byName, byComment, byPath].some((all) => all.some((one) => one > 0))
    if (kinds.has(kind) && (isOwn || !kinds.has("column"))) {
      const [inColumns, inNotes, inTypes] = [terms.columns, terms.notes, terms.types].map(bestOf)
      const score = weighed((at) =>
        Math.max(
          weight.name * (byName[at] ?? 0),
          weight.comment * (byComment[at] ?? 0),
          weight.path * (byPath[at] ?? 0),
          weight.columns * (inColumns?.[at] ?? 0),
          weight.notes * (inNotes?.[at] ?? 0),
          weight.types * (inTypes?.[at] ?? 0)
        )
      )
      hits.push({ kind, table, column: undefined, score: score + extra, order: hits.length })
    }
    if (!kinds.has("column") || table.columns === undefined) continue
    const around = asked.map((_, at) =>
      Math.max(
        columnWeight.table * (byName[at] ?? 0),
        columnWeight.tableComment * (byComment[at] ?? 0),
        columnWeight.path * (byPath[at] ?? 0)
      )
    )
    isCut ||= table.columns.length > columnsLeft
    for (const column of table.columns.slice(0, columnsLeft)) {
      columnsLeft -= 1
      if (++steps % COLUMNS_AT_A_TIME === 0) yield
      const name = had(column.name)
      const type = had(column.type)
      const comment = column.comment === "" ? undefined : had(column.comment)
      if (!name.isHit && !type.isHit && comment?.isHit !== true) continue
      const score = weighed((at) =>
        Math.max(
          columnWeight.name * (name.bests[at] ?? 0),
          columnWeight.type * (type.bests[at] ?? 0),
          columnWeight.comment * (comment?.bests[at] ?? 0),
          around[at] ?? 0
        )
      )
      hits.push({ kind: "column", table, column, score: score + name.extra, order: hits.length })
    }
  }
  hits.sort((a, b) => b.score - a.score || a.order - b.order)
  return { hits: hits.slice(0, limit), isCut }
}
