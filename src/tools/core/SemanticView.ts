/**
 * What `DESCRIBE SEMANTIC VIEW` tells, a property a row, as the description of a semantic view: its logical tables, how
 * they refer to each other, its dimensions, facts and metrics, and questions with the statements that answer them.
 */
import * as Predicate from "effect/Predicate"

/** One row. Nothing is the empty text. */
export interface Property {
  /** `TABLE`, `RELATIONSHIP`, `DIMENSION`, `AI_VERIFIED_QUERY`, ...; empty for the view itself. */
  readonly kind: string
  readonly name: string
  /** The logical table. */
  readonly parent: string
  readonly property: string
  readonly value: string
}

interface LogicalTable {
  readonly name: string
  readonly base_table?: string
  readonly definition?: string
  readonly primary_key?: ReadonlyArray<string>
  readonly synonyms?: ReadonlyArray<string>
  readonly comment?: string
}

interface Member {
  /** As it is written in a query: with its logical table. */
  readonly name: string
  readonly type?: string
  readonly expression?: string
  readonly synonyms?: ReadonlyArray<string>
  readonly comment?: string
  /** It cannot be queried. */
  readonly private?: boolean
}

interface VerifiedQuery {
  readonly question: string
  readonly sql: string
}

export interface SemanticView {
  readonly comment?: string
  readonly tables: ReadonlyArray<LogicalTable>
  /** `ORDERS (CUSTOMER_ID) REFERENCES CUSTOMERS (CUSTOMER_ID)`. */
  readonly relationships: ReadonlyArray<string>
  readonly dimensions: ReadonlyArray<Member>
  readonly facts: ReadonlyArray<Member>
  readonly metrics: ReadonlyArray<Member>
  readonly verified_queries: ReadonlyArray<VerifiedQuery>
  /** A query that can be executed as it is. */
  readonly example?: string
}

export interface Options {
  /** The view, as it is written in SQL. */
  readonly view: string
  readonly written: (...parts: ReadonlyArray<string>) => string
  /** Whether the caller may be told of a table. */
  readonly mayName: (table: ReadonlyArray<string>) => boolean
  /** Which dimensions, facts and metrics are described. */
  readonly matches: (name: string) => boolean
  readonly maxMembers: number
  readonly maxBytes: number
  readonly maxCommentBytes: number
}

interface Described {
  readonly semantic: SemanticView
  /** Dimensions, facts and metrics. */
  readonly members: number
  readonly cut: "rows" | "bytes" | undefined
  readonly cutCells: number
}

/** The properties of one object, in the order in which they were told. */
interface Subject extends Omit<Property, "property" | "value"> {
  readonly properties: Map<string, string>
}

const subjectsOf = (rows: ReadonlyArray<Property>): ReadonlyArray<Subject> => {
  const subjects = new Map<string, Subject>()
  for (const { kind, name, parent, property, value } of rows) {
    const key = JSON.stringify([kind, parent, name])
    const subject = subjects.get(key) ?? { kind, name, parent, properties: new Map<string, string>() }
    subjects.set(key, subject)
    subject.properties.set(property.toUpperCase(), value)
  }
  return [...subjects.values()]
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** `["A","B"]`; a single name is one, and what is no text keeps its JSON. */
const textsOf = (value: string | undefined): ReadonlyArray<string> => {
  if (value === undefined || value === "") return []
  const list = parsed(value)
  return Array.isArray(list)
    ? list.map((one) => (typeof one === "string" ? one : JSON.stringify(one)))
    : [value]
}

const kinds = {
  DIMENSION: "dimensions",
  FACT: "facts",
  METRIC: "metrics",
  DERIVED_METRIC: "metrics"
} as const

const isMember = (kind: string): kind is keyof typeof kinds => Object.hasOwn(kinds, kind)

/** Older views keep verified queries in the extension of Cortex Analyst, as JSON. */
const verifiedIn = ({ kind, name, properties }: Subject): ReadonlyArray<VerifiedQuery> => {
  if (/^(?:AI_)?VERIFIED_QUER(?:Y|IES)$/.test(kind)) {
    return [{ question: properties.get("QUESTION") ?? name, sql: properties.get("SQL") ?? "" }]
  }
  if (kind !== "EXTENSION") return []
  const extension = parsed(properties.get("VALUE") ?? "")
  const queries = Predicate.isReadonlyRecord(extension) ? extension["verified_queries"] : undefined
  return Array.isArray(queries)
    ? queries
        .filter(Predicate.isReadonlyRecord)
        .flatMap(({ question, sql }) =>
          typeof question === "string" && typeof sql === "string" ? [{ question, sql }] : []
        )
    : []
}

const bytesOf = (value: unknown): number => new TextEncoder().encode(JSON.stringify(value)).length + 1

/** As many of them as fit, the first of them first. */
const within = <A>(all: ReadonlyArray<A>, maxBytes: number) => {
  let bytes = 0
  const kept: Array<A> = []
  for (const one of all) {
    bytes += bytesOf(one)
    if (bytes > maxBytes) return { kept, bytes: bytes - bytesOf(one) }
    kept.push(one)
  }
  return { kept, bytes }
}

/**
 * A metric, with a dimension of its own logical table or of one that this refers to; else a dimension or a fact alone.
 */
const exampleOf = (
  view: string,
  members: ReadonlyArray<{ readonly kind: string; readonly parent: string; readonly member: Member }>,
  refers: ReadonlyMap<string, ReadonlyArray<string>>
): string | undefined => {
  const open = members.filter(({ member }) => member.private !== true)
  const first = (kind: string, of: (parent: string) => boolean = () => true) =>
    open.find((one) => one.kind === kind && of(one.parent))
  const metric = first("METRIC")
  const reached = metric === undefined ? undefined : [metric.parent, ...(refers.get(metric.parent) ?? [])]
  const dimension =
    reached === undefined
      ? first("DIMENSION")
      : reached
          .map((table) => first("DIMENSION", (parent) => parent === table))
          .find((one) => one !== undefined)
  const fact = metric === undefined && dimension === undefined ? first("FACT") : undefined
  const clauses = [
    dimension === undefined ? "" : ` DIMENSIONS ${dimension.member.name}`,
    metric === undefined ? "" : ` METRICS ${metric.member.name}`,
    fact === undefined ? "" : ` FACTS ${fact.member.name}`
  ].join("")
  return clauses === "" ? undefined : `SELECT * FROM SEMANTIC_VIEW(${view}${clauses})`
}

/**
 * The description, and what of it had to be left out.
 */
export const describe = (rows: ReadonlyArray<Property>, options: Options): Described => {
  const { matches, maxBytes, maxCommentBytes, maxMembers, mayName, view, written } = options
  let cutCells = 0
  const short = (text: string): string => {
    const bytes = new TextEncoder().encode(text)
    if (bytes.length <= maxCommentBytes) return text
    cutCells++
    return `${new TextDecoder().decode(bytes.slice(0, maxCommentBytes)).replace(/\uFFFD+$/, "")}…`
  }
  const notes = ({ properties }: Subject) => {
    const [comment, synonyms] = [properties.get("COMMENT") ?? "", textsOf(properties.get("SYNONYMS"))]
    return {
      ...(synonyms.length === 0 ? {} : { synonyms }),
      ...(comment === "" ? {} : { comment: short(comment) })
    }
  }
  const subjects = subjectsOf(rows)
  const tables = subjects
    .filter(({ kind }) => kind === "TABLE")
    .map((subject): LogicalTable => {
      const { name, properties } = subject
      const base = ["DATABASE_NAME", "SCHEMA_NAME", "NAME"].map(
        (part) => properties.get(`BASE_TABLE_${part}`) ?? ""
      )
      const key = textsOf(properties.get("PRIMARY_KEY"))
      const definition = properties.get("DEFINITION") ?? ""
      return {
        name: written(name),
        ...(base.every((part) => part !== "") && mayName(base) ? { base_table: written(...base) } : {}),
        ...(definition === "" ? {} : { definition }),
        ...(key.length === 0 ? {} : { primary_key: key }),
        ...notes(subject)
      }
    })
  const refers = new Map<string, Array<string>>()
  const relationships = subjects
    .filter(({ kind }) => kind === "RELATIONSHIP")
    .map(({ parent, properties }) => {
      const [from, to] = [properties.get("TABLE") ?? parent, properties.get("REF_TABLE") ?? ""]
      refers.set(from, [...(refers.get(from) ?? []), to])
      const keys = (property: string) => textsOf(properties.get(property)).join(", ")
      return `${written(from)} (${keys("FOREIGN_KEY")}) REFERENCES ${written(to)} (${keys("REF_KEY")})`
    })
  const all = subjects
    .filter(({ kind, name }) => isMember(kind) && matches(name))
    .map((subject) => {
      const { kind, name, parent, properties } = subject
      const [type = "", expression = ""] = [properties.get("DATA_TYPE"), properties.get("EXPRESSION")]
      const member: Member = {
        name: parent === "" ? written(name) : written(parent, name),
        ...(type === "" ? {} : { type }),
        ...(expression === "" ? {} : { expression }),
        ...notes(subject),
        ...(properties.get("ACCESS_MODIFIER")?.toUpperCase() === "PRIVATE" ? { private: true } : {})
      }
      return { kind, parent, member }
    })
  const comment = subjects.find(({ kind }) => kind === "")?.properties.get("COMMENT") ?? ""
  const example = exampleOf(view, all, refers)
  const shownTables = within(tables, maxBytes / 4)
  const shownRelationships = within(relationships, maxBytes / 8)
  const shownQueries = within(subjects.flatMap(verifiedIn), maxBytes / 4)
  const left = maxBytes - shownTables.bytes - shownRelationships.bytes - shownQueries.bytes
  const shown = within(all.slice(0, maxMembers), left)
  const of = (list: (typeof kinds)[keyof typeof kinds]) =>
    shown.kept.filter(({ kind }) => isMember(kind) && kinds[kind] === list).map(({ member }) => member)
  const fitted = [
    [shownTables.kept, tables],
    [shownRelationships.kept, relationships],
    [shown.kept, all.slice(0, maxMembers)]
  ].every(([some, whole]) => some?.length === whole?.length)
  return {
    semantic: {
      ...(comment === "" ? {} : { comment: short(comment) }),
      tables: shownTables.kept,
      relationships: shownRelationships.kept,
      dimensions: of("dimensions"),
      facts: of("facts"),
      metrics: of("metrics"),
      verified_queries: shownQueries.kept,
      ...(example === undefined ? {} : { example })
    },
    members: shown.kept.length,
    cut: !fitted ? "bytes" : all.length > maxMembers ? "rows" : undefined,
    cutCells
  }
}
