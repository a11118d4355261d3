/**
 * Semantic views of the account: what SHOW and DESCRIBE say of them, and queries of them as queries of their tables.
 *
 * ```
 * SEMANTIC_VIEW(v DIMENSIONS ... METRICS ...)   the metrics of each logical table, over its rows joined to the tables
 * SELECT d, AGG(m) FROM v GROUP BY d             that it refers to; joined by the dimensions where there are several
 * ```
 *
 * Snowflake's rules hold: a dimension belongs to the table of the metric or to one that it refers to, METRICS and FACTS
 * exclude each other, private members cannot be queried, and nothing but members can be named.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { snowflake } from "../sql/Dialect.js"
import { quoted } from "../sql/Identifier.js"
import type { Token } from "../sql/Lexer.js"
import { tokenize } from "../sql/Lexer.js"
import { like } from "../sql/Like.js"
import { findDatabase, findSchema } from "../warehouse/duckdb/catalog.js"
import { cursor } from "../warehouse/duckdb/cursor.js"
import type { Cursor } from "../warehouse/duckdb/cursor.js"
import { apply, isName, isWord, source } from "../warehouse/duckdb/dialect/source.js"
import type { Edit } from "../warehouse/duckdb/dialect/source.js"
import type { Client } from "../warehouse/duckdb/client.js"
import type { Table } from "../warehouse/duckdb/show.js"
import type { Cell } from "../warehouse/Warehouse.js"
import type { Failure } from "./failures.js"
import * as Failures from "./failures.js"
import type { Identities } from "./identities.js"
import type { Session } from "./sessions.js"

interface LogicalTable {
  readonly name: string
  readonly base: readonly [database: string, schema: string, table: string]
  readonly primaryKey: ReadonlyArray<string>
  readonly comment: string
}

interface Relationship {
  readonly name: string
  readonly table: string
  readonly foreignKey: ReadonlyArray<string>
  readonly refTable: string
  readonly refKey: ReadonlyArray<string>
}

interface Member {
  readonly kind: "DIMENSION" | "FACT" | "METRIC"
  /** None: a metric that is derived from those of several tables. */
  readonly table: string | undefined
  readonly name: string
  /** Of columns `table.column` and of other members `table.member`. */
  readonly expression: string
  readonly type: string
  readonly comment?: string | undefined
  readonly synonyms?: ReadonlyArray<string> | undefined
  readonly isPrivate?: boolean | undefined
}

interface VerifiedQuery {
  readonly name: string
  readonly question: string
  readonly sql: string
  readonly verifiedAt: number
  readonly verifiedBy: string
}

export interface SemanticView {
  readonly database: string
  readonly schema: string
  readonly name: string
  readonly comment: string
  readonly tables: ReadonlyArray<LogicalTable>
  readonly relationships: ReadonlyArray<Relationship>
  readonly members: ReadonlyArray<Member>
  readonly verifiedQueries: ReadonlyArray<VerifiedQuery>
}

/** What of the account is asked. */
interface Account {
  readonly engine: Pick<Client, "names">
  readonly identities: Identities | undefined
  readonly semanticViews: ReadonlyArray<SemanticView>
}

const shop = (table: string) => ["SNOWGUARD_SAMPLE", "PUBLIC", table] as const

/**
 * The one over the orders and customers of the sample.
 */
export const sample: SemanticView = {
  database: "SNOWGUARD_SAMPLE",
  schema: "PUBLIC",
  name: "SALES_ANALYSIS",
  comment: "Revenue and orders by customer, country and time",
  tables: [
    {
      name: "CUSTOMERS",
      base: shop("CUSTOMERS"),
      primaryKey: ["CUSTOMER_ID"],
      comment: "Registered customers"
    },
    { name: "ORDERS", base: shop("ORDERS"), primaryKey: ["ORDER_ID"], comment: "Orders of the web shop" }
  ],
  relationships: [
    {
      name: "ORDERS_TO_CUSTOMERS",
      table: "ORDERS",
      foreignKey: ["CUSTOMER_ID"],
      refTable: "CUSTOMERS",
      refKey: ["CUSTOMER_ID"]
    }
  ],
  members: [
    {
      kind: "DIMENSION",
      table: "CUSTOMERS",
      name: "COUNTRY",
      expression: "customers.country",
      type: "VARCHAR(16777216)",
      comment: "Country of the delivery address",
      synonyms: ["nation", "market"]
    },
    {
      kind: "DIMENSION",
      table: "CUSTOMERS",
      name: "CUSTOMER_SEGMENT",
      expression: "customers.segment",
      type: "VARCHAR(16777216)",
      comment: "CONSUMER, CLUB or BUSINESS"
    },
    {
      kind: "DIMENSION",
      table: "CUSTOMERS",
      name: "CUSTOMER_NAME",
      expression: "customers.first_name || ' ' || customers.last_name",
      type: "VARCHAR(16777216)"
    },
    {
      kind: "DIMENSION",
      table: "ORDERS",
      name: "ORDER_DATE",
      expression: "TO_DATE(orders.ordered_at)",
      type: "DATE",
      comment: "Day on which the order was placed"
    },
    {
      kind: "DIMENSION",
      table: "ORDERS",
      name: "ORDER_YEAR",
      expression: "YEAR(orders.order_date)",
      type: "NUMBER(4,0)"
    },
    {
      kind: "DIMENSION",
      table: "ORDERS",
      name: "ORDER_STATUS",
      expression: "orders.status",
      type: "VARCHAR(16777216)"
    },
    {
      kind: "FACT",
      table: "ORDERS",
      name: "ORDER_AMOUNT",
      expression: "orders.total_amount",
      type: "NUMBER(12,2)",
      comment: "Sum of the lines of an order in US dollars"
    },
    {
      kind: "FACT",
      table: "ORDERS",
      name: "DISCOUNT_CODE",
      expression: "orders.discount_code",
      type: "VARCHAR(16777216)",
      isPrivate: true
    },
    {
      kind: "METRIC",
      table: "CUSTOMERS",
      name: "CUSTOMER_COUNT",
      expression: "COUNT(customers.customer_id)",
      type: "NUMBER(18,0)",
      comment: "Number of customers, with orders or without"
    },
    {
      kind: "METRIC",
      table: "ORDERS",
      name: "REVENUE",
      expression: "SUM(orders.order_amount)",
      type: "NUMBER(24,2)",
      comment: "Sum of the orders in US dollars",
      synonyms: ["sales", "turnover"]
    },
    {
      kind: "METRIC",
      table: "ORDERS",
      name: "ORDER_COUNT",
      expression: "COUNT(orders.order_id)",
      type: "NUMBER(18,0)"
    },
    {
      kind: "METRIC",
      table: "ORDERS",
      name: "AVERAGE_ORDER_VALUE",
      expression: "AVG(orders.order_amount)",
      type: "NUMBER(18,8)"
    },
    {
      kind: "METRIC",
      table: undefined,
      name: "REVENUE_PER_CUSTOMER",
      expression: "orders.revenue / customers.customer_count",
      type: "NUMBER(38,8)",
      comment: "Revenue of a group by its number of customers"
    }
  ],
  verifiedQueries: [
    {
      name: "REVENUE_BY_COUNTRY",
      question: "Which countries bring the most revenue?",
      sql:
        "SELECT * FROM SEMANTIC_VIEW(SNOWGUARD_SAMPLE.PUBLIC.SALES_ANALYSIS DIMENSIONS customers.country " +
        "METRICS orders.revenue) ORDER BY revenue DESC",
      verifiedAt: 1_767_225_600,
      verifiedBy: "(STEWARD = sales_team)"
    }
  ]
}

// SHOW and DESCRIBE

type Inside =
  | { readonly _tag: "Account" }
  | { readonly _tag: "Database" | "Schema" | "View"; readonly name: ReadonlyArray<string> | undefined }

export type Metadata =
  | {
      readonly _tag: "Show"
      readonly kind: "VIEWS" | "DIMENSIONS" | "FACTS" | "METRICS"
      readonly terse: boolean
      readonly like: string | undefined
      readonly inside: Inside
      readonly metric: ReadonlyArray<string> | undefined
      readonly startsWith: string | undefined
      readonly limit: number | undefined
      readonly from: string | undefined
    }
  | { readonly _tag: "Describe"; readonly name: ReadonlyArray<string> }

const shown = ["VIEWS", "DIMENSIONS", "FACTS", "METRICS"] as const

const inside = (at: Cursor, ofViews: boolean): Inside => {
  if (at.word("ACCOUNT")) return { _tag: "Account" }
  if (at.word("DATABASE")) return { _tag: "Database", name: at.name() }
  if (at.word("SCHEMA")) return { _tag: "Schema", name: at.name() }
  return { _tag: ofViews ? "Schema" : "View", name: at.name() }
}

/**
 * The statement as a question about semantic views; undefined when it is another one.
 */
export const metadata = (sql: string): Metadata | undefined => {
  const tokens = tokenize(sql, snowflake)
  if (Either.isLeft(tokens)) return undefined
  const at = cursor(tokens.right, 0)
  if (at.word("DESC") || at.word("DESCRIBE")) {
    const name = at.word("SEMANTIC") && at.word("VIEW") ? at.name() : undefined
    return name !== undefined && at.done ? { _tag: "Describe", name } : undefined
  }
  if (!at.word("SHOW")) return undefined
  const terse = at.word("TERSE")
  const kind = at.word("SEMANTIC") ? shown.find((word) => at.word(word)) : undefined
  if (kind === undefined) return undefined
  const pattern = at.word("LIKE") ? at.string() : undefined
  const where: Inside = at.word("IN")
    ? inside(at, kind === "VIEWS")
    : { _tag: kind === "VIEWS" ? "Database" : "Schema", name: undefined }
  const metric = at.word("FOR") && at.word("METRIC") ? at.name() : undefined
  const startsWith = at.word("STARTS") && at.word("WITH") ? at.string() : undefined
  const limited = at.word("LIMIT")
  const limit = limited ? at.number() : undefined
  const from = limited && at.word("FROM") ? at.string() : undefined
  return at.done
    ? { _tag: "Show", kind, terse, like: pattern, inside: where, metric, startsWith, limit, from }
    : undefined
}

const table = (names: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<Cell>>): Table => ({
  columns: names.map((name) => ({ name, type: "VARCHAR(16777216)", nullable: true })),
  rows
})

const createdOn = "2026-01-01 00:00:00.000 +0000"
const owner = "SYSADMIN"

const list = (texts: ReadonlyArray<string> | undefined): Cell =>
  texts === undefined ? null : JSON.stringify(texts)

const described = (view: SemanticView): Table => {
  type Property = readonly [property: string, value: Cell]
  const rows = (
    kind: string | null,
    name: string | null,
    parent: string | null,
    properties: ReadonlyArray<Property>
  ) => properties.filter(([, value]) => value !== null).map((property) => [kind, name, parent, ...property])
  const member = ({ comment, expression, isPrivate, kind, name, synonyms, table, type }: Member) =>
    rows(table === undefined ? "DERIVED_METRIC" : kind, name, table ?? null, [
      ["TABLE", table ?? null],
      ["EXPRESSION", expression],
      ["DATA_TYPE", type],
      ["SYNONYMS", list(synonyms)],
      ["COMMENT", comment ?? null],
      ["ACCESS_MODIFIER", isPrivate === true ? "PRIVATE" : "PUBLIC"]
    ])
  return table(
    ["object_kind", "object_name", "parent_entity", "property", "property_value"],
    [
      ...rows(null, null, null, [["COMMENT", view.comment]]),
      ...view.tables.flatMap(({ base: [database, schema, name], comment, name: logical, primaryKey }) => [
        ...rows("TABLE", logical, null, [
          ["BASE_TABLE_DATABASE_NAME", database],
          ["BASE_TABLE_SCHEMA_NAME", schema],
          ["BASE_TABLE_NAME", name],
          ["PRIMARY_KEY", list(primaryKey)],
          ["COMMENT", comment]
        ]),
        ...view.relationships
          .filter((relationship) => relationship.table === logical)
          .flatMap(({ foreignKey, name, refKey, refTable, table }) =>
            rows("RELATIONSHIP", name, table, [
              ["TABLE", table],
              ["REF_TABLE", refTable],
              ["FOREIGN_KEY", list(foreignKey)],
              ["REF_KEY", list(refKey)]
            ])
          ),
        ...view.members.filter((one) => one.table === logical).flatMap(member)
      ]),
      ...view.members.filter((one) => one.table === undefined).flatMap(member),
      ...view.verifiedQueries.flatMap(({ name, question, sql, verifiedAt, verifiedBy }) =>
        rows("AI_VERIFIED_QUERY", name, null, [
          ["QUESTION", question],
          ["VERIFIED_AT", String(verifiedAt)],
          ["ONBOARDING_QUESTION", "FALSE"],
          ["VERIFIED_BY", verifiedBy],
          ["SQL", sql]
        ])
      )
    ]
  )
}

/** A view by a name of one to three parts. */
const find = (
  views: ReadonlyArray<SemanticView>,
  name: ReadonlyArray<string>,
  session: Session
): SemanticView | undefined => {
  const [last, schema = session.schema, database = session.database] = [...name].reverse()
  return views.find((view) => view.name === last && view.schema === schema && view.database === database)
}

/** Those that the session may see. */
const seenBy = ({ identities, semanticViews }: Account, session: Session) => {
  const columns = ["name", "database_name", "schema_name"].map((name) => ({
    name,
    type: "VARCHAR",
    nullable: true
  }))
  const isSeen = identities?.seen(session, "SHOW VIEWS", columns) ?? (() => true)
  return semanticViews.filter(({ database, name, schema }) => isSeen([name, database, schema]))
}

const memberColumns = [
  "database_name",
  "schema_name",
  "semantic_view_name",
  "table_name",
  "name",
  "data_type",
  "synonyms",
  "comment"
]

const listed = (
  command: Extract<Metadata, { readonly _tag: "Show" }>,
  views: ReadonlyArray<SemanticView>
): Table | Failure => {
  const matches = command.like === undefined ? () => true : like(command.like)
  const chosen = <A extends { readonly name: string }>(all: ReadonlyArray<A>): ReadonlyArray<A> =>
    all
      .filter(({ name }) => matches(name) && name.startsWith(command.startsWith ?? ""))
      .filter(({ name }) => command.from === undefined || name > command.from)
      .slice(0, command.limit)
  if (command.kind === "VIEWS") {
    return command.terse
      ? table(
          ["created_on", "name", "kind", "database_name", "schema_name"],
          chosen(views).map((view) => [createdOn, view.name, "SEMANTIC_VIEW", view.database, view.schema])
        )
      : table(
          "created_on,name,database_name,schema_name,comment,owner,owner_role_type,extension".split(","),
          chosen(views).map(({ comment, database, name, schema }) => [
            ...[createdOn, name, database, schema, comment, owner, "ROLE"],
            null
          ])
        )
  }
  const kind = command.kind.slice(0, -1)
  const { metric } = command
  const members = views.flatMap((view) => view.members.map((member) => ({ ...member, view })))
  if (metric !== undefined) {
    const [name, of] = [...metric].reverse()
    const found = members.find(
      (member) =>
        member.kind === "METRIC" && member.name === name && (of === undefined || of === member.table)
    )
    if (found === undefined) return Failures.missing
    const near = (dimension: Member) =>
      basesOf(found.view, found).every((base) => reaches(found.view, base, dimension.table ?? ""))
    return table(
      ["table_name", "name", "data_type", "required", "synonyms", "comment"],
      chosen(members.filter((member) => member.kind === kind && near(member))).map((member) => [
        ...[member.table ?? null, member.name, member.type, "false", list(member.synonyms)],
        member.comment ?? null
      ])
    )
  }
  return table(
    memberColumns,
    chosen(members.filter((member) => member.kind === kind)).map(({ view, ...member }) => [
      ...[view.database, view.schema, view.name, member.table ?? null, member.name, member.type],
      ...[list(member.synonyms), member.comment ?? null]
    ])
  )
}

/**
 * What Snowflake answers to a question about semantic views.
 */
export const answer = (
  environment: Account,
  session: Session,
  command: Metadata
): Effect.Effect<Table, Failure> =>
  Effect.gen(function* () {
    const views = seenBy(environment, session)
    if (command._tag === "Describe") {
      const view = find(views, command.name, session)
      return view === undefined
        ? yield* Effect.fail(Failures.notAuthorized(command.name.join(".")))
        : described(view)
    }
    const known = yield* Effect.mapError(environment.engine.names, Failures.ofEngine)
    const catalog = { ...known, relations: [] }
    const { inside } = command
    const within = (view: SemanticView): boolean | Failure => {
      if (inside._tag === "Account") return true
      if (inside._tag === "View")
        return inside.name !== undefined && find([view], inside.name, session) !== undefined
      if (inside._tag === "Database") {
        const [database = session.database] = inside.name ?? []
        return database === undefined || view.database === database
      }
      const [schema = session.schema, database = session.database] = [...(inside.name ?? [])].reverse()
      return view.database === database && (schema === undefined || view.schema === schema)
    }
    if (inside._tag !== "Account" && inside.name !== undefined) {
      const [last = "", before = session.database ?? ""] = [...inside.name].reverse()
      const isThere =
        inside._tag === "View"
          ? find(views, inside.name, session) !== undefined
          : inside._tag === "Database"
            ? typeof findDatabase(catalog, last) === "string"
            : !("_tag" in findSchema(catalog, before, last))
      if (!isThere) return yield* Effect.fail(Failures.missing)
    }
    const answered = listed(
      command,
      views.filter((view) => within(view) === true)
    )
    return "_tag" in answered ? yield* Effect.fail(answered) : answered
  })

// Queries

class Refused {
  constructor(readonly failure: Failure) {}
}

const refuse = (failure: Failure): never => {
  throw new Refused(failure)
}

const invalid = (problem: string): Failure =>
  Failures.refusal("010234", `SQL compilation error:\n${problem}`, "42601")

const unknown = (name: string): Failure =>
  Failures.refusal(
    "000904",
    `SQL compilation error: error line 1 at position 0\ninvalid identifier '${name}'`
  )

const coarser = (dimension: string, base: string): Failure =>
  invalid(
    `Invalid dimension specified: The dimension entity '${dimension}' must be related to and\n` +
      `  have an equal or lower level of granularity compared to the base metric or dimension entity '${base}'.`
  )

/** Whether each row of the table has at most one of the other. */
const reaches = (view: SemanticView, from: string, to: string): boolean =>
  from === to ||
  view.relationships.some(({ refTable, table }) => table === from && reaches(view, refTable, to))

/** The one of these tables whose rows have at most one of each of the others. */
const finest = (view: SemanticView, tables: ReadonlySet<string>): string => {
  const [first = view.tables[0]!.name] = tables
  const found = [...tables].find((one) => [...tables].every((other) => reaches(view, one, other)))
  return found ?? (tables.size === 0 ? first : refuse(coarser([...tables][1]!, first)))
}

const read = (sql: string): ReadonlyArray<Token> => Either.getOrThrow(tokenize(sql, snowflake))

/** A member that is named in an expression, and the tokens of its name. */
interface Named {
  readonly from: number
  readonly to: number
  readonly table: string | undefined
  readonly name: string
  readonly members: ReadonlyArray<Member>
}

/** The names in an expression that are those of members, or of logical tables before a dot. */
const namedIn = (view: SemanticView, tokens: ReadonlyArray<Token>): ReadonlyArray<Named> => {
  const found: Array<Named> = []
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at]!
    if (!isName(token) || tokens[at - 1]?.text === "." || isWord(tokens[at - 1], "AS")) continue
    const isTable = view.tables.some(({ name }) => name === token.value)
    const last = tokens[at + 2]
    if (isTable && tokens[at + 1]?.text === "." && isName(last)) {
      const members = view.members.filter(({ name, table }) => table === token.value && name === last.value)
      found.push({ from: at, to: at + 2, table: token.value, name: last.value, members })
      at += 2
    } else if (tokens[at + 1]?.text !== "(" && tokens[at + 1]?.text !== ".") {
      const members = view.members.filter(({ name }) => name === token.value)
      if (members.length > 0) found.push({ from: at, to: at, table: undefined, name: token.value, members })
    }
  }
  return found
}

const replaced = (
  sql: string,
  tokens: ReadonlyArray<Token>,
  named: ReadonlyArray<Named>,
  by: (one: Named) => string
): string => {
  const [first, last] = [tokens[0]!, tokens[tokens.length - 1]!]
  const edits = named.map((one): Edit => ({
    start: tokens[one.from]!.start - first.start,
    end: tokens[one.to]!.end - first.start,
    text: by(one)
  }))
  return apply(sql.slice(first.start, last.end), edits)
}

const isRowLevel = ({ kind }: Member): boolean => kind !== "METRIC"

/** The expression of a member over the columns of the base tables. */
const physical = (view: SemanticView, { expression, name: own, table: of }: Member): string => {
  const tokens = read(expression)
  return replaced(expression, tokens, namedIn(view, tokens), ({ members, name, table = of ?? "" }) => {
    const other = members.find(
      (member) => isRowLevel(member) && !(member.name === own && member.table === of)
    )
    return other === undefined ? `${quoted(table)}.${quoted(name)}` : `(${physical(view, other)})`
  })
}

/** The logical tables whose rows a metric is computed over. */
const basesOf = (view: SemanticView, metric: Member): ReadonlyArray<string> => {
  if (metric.table !== undefined) return [metric.table]
  const named = namedIn(view, read(metric.expression)).flatMap(({ members }) => members)
  return [...new Set(named.flatMap((member) => basesOf(view, member)))]
}

/** The columns of the rows that a query is computed over; they are named after their place. */
const makeRows = (view: SemanticView) => {
  const columns: Array<{ readonly sql: string; readonly table: string }> = []
  const column = (sql: string, table: string): string => {
    const at = columns.findIndex((one) => one.sql === sql)
    return quoted(`M${at < 0 ? columns.push({ sql, table }) - 1 : at}`)
  }
  const baseOf = (table: string): string => {
    const { base } = view.tables.find(({ name }) => name === table)!
    return `${base.map(quoted).join(".")} AS ${quoted(table)}`
  }
  const joins = (table: string): ReadonlyArray<string> =>
    view.relationships
      .filter((one) => one.table === table)
      .flatMap(({ foreignKey, refKey, refTable }) => {
        const on = foreignKey.map(
          (key, at) => `${quoted(table)}.${quoted(key)} = ${quoted(refTable)}.${quoted(refKey[at] ?? "")}`
        )
        return [`LEFT JOIN ${baseOf(refTable)} ON ${on.join(" AND ")}`, ...joins(refTable)]
      })
  return {
    member: (member: Member): string => column(physical(view, member), member.table ?? ""),
    column: (table: string, name: string): string => column(`${quoted(table)}.${quoted(name)}`, table),
    /** The rows of the base, each with what it refers to. */
    from: (base: string): string => {
      const own = columns.flatMap(({ sql, table }, at) =>
        reaches(view, base, table) ? [`${sql} AS ${quoted(`M${at}`)}`] : []
      )
      return `SELECT ${["1 AS ROW_OF", ...own].join(", ")} FROM ${[baseOf(base), ...joins(base)].join(" ")}`
    }
  }
}

type Rows = ReturnType<typeof makeRows>

const mayQuery = ({ members, name, table }: Named): Member => {
  const full = table === undefined ? name : `${table}.${name}`
  if (members.length > 1)
    return refuse(invalid(`ambiguous name '${full}'; qualify it with its logical table.`))
  const [member] = members
  return member === undefined || member.isPrivate === true ? refuse(unknown(full)) : member
}

/** An expression of dimensions and facts, over the columns of the rows; `tables` gets theirs. */
const ofRows = (
  view: SemanticView,
  rows: Rows,
  sql: string,
  tokens: ReadonlyArray<Token>,
  tables: Set<string>
): string =>
  replaced(sql, tokens, namedIn(view, tokens), (named) => {
    const member = mayQuery(named)
    if (!isRowLevel(member)) return refuse(invalid(`'${member.name}' is a metric; it belongs into METRICS.`))
    tables.add(member.table ?? "")
    return rows.member(member)
  })

/** A metric of one logical table, over the columns of the rows. */
const ofMetric = (view: SemanticView, rows: Rows, metric: Member): string => {
  const tokens = read(metric.expression)
  return replaced(metric.expression, tokens, namedIn(view, tokens), ({ members, name, table }) => {
    const [member] = members
    if (member === undefined) return rows.column(table ?? metric.table ?? "", name)
    return isRowLevel(member) ? rows.member(member) : `(${ofMetric(view, rows, member)})`
  })
}

interface Item {
  readonly clause: string
  readonly tokens: ReadonlyArray<Token>
  readonly alias: string | undefined
}

const clauses = new Set(["DIMENSIONS", "METRICS", "FACTS", "WHERE", "VARIABLES"])
const noAlias = new Set(["END", "NULL", "TRUE", "FALSE"])

const itemOf = (clause: string, tokens: ReadonlyArray<Token>): Item => {
  const [before, last] = tokens.slice(-2)
  if (clause === "WHERE" || tokens.length < 2 || !isName(last)) return { clause, tokens, alias: undefined }
  if (isWord(before, "AS")) return { clause, tokens: tokens.slice(0, -2), alias: last.value }
  const isAlias = before?.kind !== "operator" && !noAlias.has(last.value)
  return isAlias
    ? { clause, tokens: tokens.slice(0, -1), alias: last.value }
    : { clause, tokens, alias: undefined }
}

/** What stands between the brackets behind the name. */
const itemsOf = (tokens: ReadonlyArray<Token>, from: number, close: number): ReadonlyArray<Item> => {
  const items: Array<Item> = []
  const depth = tokens[close]!.depth + 1
  let clause = ""
  let begins = from
  const end = (at: number) => {
    if (clause !== "" && at > begins) items.push(itemOf(clause, tokens.slice(begins, at)))
    begins = at + 1
  }
  for (let at = from; at < close; at++) {
    const [before, token] = [tokens[at - 1], tokens[at]!]
    if (token.depth !== depth || token.kind === "open" || token.kind === "close") continue
    const isStar = before?.text === "*" && tokens[at - 2]?.text === "."
    const follows = (before?.kind !== "operator" || isStar) && !isWord(before, "AS")
    const isDue = at === begins && at > from
    if (token.kind === "word" && clauses.has(token.value) && follows && !isDue) {
      end(at)
      clause = token.value
    } else if (token.text === "," && clause !== "WHERE") end(at)
  }
  end(close)
  return items
}

/** `orders.*`: all members of the clause's kind. */
const expanded = (view: SemanticView, items: ReadonlyArray<Item>): ReadonlyArray<Item> =>
  items.flatMap((item) => {
    const [table, dot, star] = item.tokens
    if (item.tokens.length !== 3 || dot?.text !== "." || star?.text !== "*") return [item]
    const kind = item.clause.slice(0, -1)
    return view.members
      .filter((member) => member.kind === kind && member.table === table?.value && member.isPrivate !== true)
      .map((member): Item => ({
        clause: item.clause,
        tokens: read(`${quoted(member.table ?? "")}.${quoted(member.name)}`),
        alias: member.name
      }))
  })

const nameOf = (sql: string, { alias, tokens }: Item): string => {
  if (alias !== undefined) return alias
  const last = tokens[tokens.length - 1]!
  const isPlain = tokens.length === 1 || (tokens.length === 3 && tokens[1]?.text === ".")
  return isPlain && isName(last) ? last.value : sql.slice(tokens[0]!.start, last.end).toUpperCase()
}

/** The query that stands for `SEMANTIC_VIEW(...)`. */
const translated = (
  view: SemanticView,
  sql: string,
  tokens: ReadonlyArray<Token>,
  from: number,
  close: number
): string => {
  const items = expanded(view, itemsOf(tokens, from, close))
  const of = (clause: string) => items.filter((item) => item.clause === clause)
  if (of("VARIABLES").length > 0) return refuse(invalid("the semantic view has no variables."))
  const outputs = items.filter(({ clause }) => clause !== "WHERE")
  if (outputs.length === 0)
    return refuse(invalid("a semantic view query needs METRICS, DIMENSIONS or FACTS."))
  if (of("METRICS").length > 0 && of("FACTS").length > 0)
    return refuse(invalid("METRICS and FACTS cannot be specified in one semantic view query."))
  const rows = makeRows(view)
  // An item that came of a star has tokens of its own.
  const textOf = ({ tokens: own }: Item): string =>
    tokens.includes(own[0]!) ? sql : `${own.map(({ text }) => text).join("")}`
  const rowLevel = (item: Item, tables: Set<string>): string =>
    ofRows(view, rows, textOf(item), item.tokens, tables)
  const shared = new Set<string>()
  const dimensions = of("DIMENSIONS").map((item) => rowLevel(item, shared))
  const facts = of("FACTS").map((item) => rowLevel(item, shared))
  const conditions = of("WHERE").map((item) => rowLevel(item, shared))
  /** Aggregates, each over the rows of one logical table. */
  const aggregates: Array<{ readonly base: string; readonly sql: string }> = []
  const aggregate = (base: string, sql: string): string => quoted(`X${aggregates.push({ base, sql }) - 1}`)
  const metricOf = (metric: Member): string => {
    if (metric.table !== undefined) return aggregate(metric.table, ofMetric(view, rows, metric))
    const own = read(metric.expression)
    return `(${replaced(metric.expression, own, namedIn(view, own), (named) => metricOf(named.members[0]!))})`
  }
  const metrics = of("METRICS").map((item) => {
    const named = namedIn(view, item.tokens)
    if (named.some((one) => one.members.length === 1 && !isRowLevel(one.members[0]!)))
      return replaced(textOf(item), item.tokens, named, (one) => {
        const member = mayQuery(one)
        return isRowLevel(member)
          ? refuse(
              Failures.notSupported("a metric and an aggregate of a dimension or fact in one expression")
            )
          : metricOf(member)
      })
    const tables = new Set<string>()
    const expression = rowLevel(item, tables)
    return aggregate(finest(view, tables), expression)
  })
  const bases = [...new Set(aggregates.map(({ base }) => base))]
  const group = dimensions.length === 0 ? "" : ` GROUP BY ${dimensions.map((_, at) => at + 1).join(", ")}`
  const where = conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`
  const keys = dimensions.map((dimension, at) => `${dimension} AS ${quoted(`D${at}`)}`)
  interface Grouped {
    readonly sql: string
    readonly names: ReadonlyArray<string>
  }
  const over = (base: string): Grouped => {
    const beyond = [...shared].find((one) => !reaches(view, base, one))
    if (beyond !== undefined) refuse(coarser(beyond, base))
    const own = aggregates.flatMap((one, at) =>
      one.base === base ? [{ sql: one.sql, name: `"X${at}"` }] : []
    )
    const columns = [...keys, ...own.map(({ name, sql }) => `${sql} AS ${name}`)]
    return {
      sql: `SELECT ${columns.join(", ")} FROM (${rows.from(base)})${where}${group}`,
      names: own.map(({ name }) => name)
    }
  }
  const joined = (left: Grouped, right: Grouped): Grouped => {
    const on = keys.map((_, at) => `L."D${at}" IS NOT DISTINCT FROM R."D${at}"`)
    const both = keys.map((_, at) => `COALESCE(L."D${at}", R."D${at}") AS "D${at}"`)
    const names = [...left.names, ...right.names]
    const join =
      on.length === 0
        ? `CROSS JOIN (${right.sql}) AS R`
        : `FULL OUTER JOIN (${right.sql}) AS R ON ${on.join(" AND ")}`
    return { sql: `SELECT ${[...both, ...names].join(", ")} FROM (${left.sql}) AS L ${join}`, names }
  }
  const rowsOf = () => {
    const base = finest(view, shared)
    const values = facts.map((fact, at) =>
      dimensions.length === 0 ? `${fact} AS "F${at}"` : `ANY_VALUE(${fact}) AS "F${at}"`
    )
    return `SELECT ${[...keys, ...values].join(", ")} FROM (${rows.from(base)})${where}${group}`
  }
  const inner = bases.length === 0 ? rowsOf() : bases.map(over).reduce(joined).sql
  const counts = { DIMENSIONS: 0, FACTS: 0, METRICS: 0 }
  const columns = outputs.map((item) => {
    const value =
      item.clause === "DIMENSIONS"
        ? quoted(`D${counts.DIMENSIONS++}`)
        : item.clause === "FACTS"
          ? quoted(`F${counts.FACTS++}`)
          : metrics[counts.METRICS++]!
    return `${value} AS ${quoted(nameOf(textOf(item), item))}`
  })
  return `(SELECT ${columns.join(", ")} FROM (${inner}))`
}

/** `SELECT d, AGG(m) FROM v ...`: the rows of the view in the place of its name, and its metrics as they are defined. */
const plain = (
  view: SemanticView,
  tokens: ReadonlyArray<Token>,
  name: { readonly from: number; readonly to: number }
): ReadonlyArray<Edit> => {
  const rows = makeRows(view)
  const bases = new Set<string>()
  const edits: Array<Edit> = []
  const used = new Set<Member>()
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at]!
    if (at >= name.from && at <= name.to) continue
    if (token.text === "*" && (isWord(tokens[at - 1], "SELECT") || tokens[at - 1]?.text === "."))
      return refuse(invalid("name the dimensions, and metrics as AGG(metric); * is not possible here."))
    if (isWord(token, "AGG") && tokens[at + 1]?.text === "(") {
      const close = tokens.findIndex((one, index) => index > at + 1 && one.kind === "close")
      const last = tokens[close - 1]
      const metric = view.members.find((member) => member.kind === "METRIC" && member.name === last?.value)
      if (metric === undefined) return refuse(unknown(last?.value ?? ""))
      for (const base of basesOf(view, metric)) bases.add(base)
      if (bases.size > 1) return refuse(Failures.notSupported("AGG of metrics of several logical tables"))
      edits.push({ start: token.start, end: tokens[close]!.end, text: `(${ofMetric(view, rows, metric)})` })
      at = close
    } else if (isName(token)) {
      for (const member of view.members)
        if (isRowLevel(member) && member.isPrivate !== true && member.name === token.value) used.add(member)
    }
  }
  const tables = new Set([...used].map(({ table }) => table ?? ""))
  const [base = finest(view, tables)] = bases
  const beyond = [...tables].find((one) => !reaches(view, base, one))
  if (beyond !== undefined) return refuse(coarser(beyond, base))
  const columns = [...used].map((member) => `${rows.member(member)} AS ${quoted(member.name)}`)
  const next = tokens[name.to + 1]
  const hasAlias = isWord(next, "AS") || (isName(next) && !afterTable.has(next.value))
  const alias = hasAlias ? "" : ` AS ${quoted(view.name)}`
  const inner = `(SELECT ${["*", ...columns].join(", ")} FROM (${rows.from(base)}))`
  return [...edits, { start: tokens[name.from]!.start, end: tokens[name.to]!.end, text: `${inner}${alias}` }]
}

const afterTable = new Set(
  "WHERE GROUP HAVING QUALIFY ORDER LIMIT FETCH OFFSET UNION EXCEPT INTERSECT MINUS JOIN INNER LEFT RIGHT FULL CROSS".split(
    " "
  )
)

/** The name of a semantic view at `at`, with the tokens that it takes. */
const viewAt = (
  views: ReadonlyArray<SemanticView>,
  tokens: ReadonlyArray<Token>,
  at: number,
  session: Session
) => {
  const place = cursor(tokens, at)
  const parts = place.name()
  const view = parts === undefined ? undefined : find(views, parts, session)
  return { view, written: parts?.join(".") ?? "", to: place.index - 1 }
}

/**
 * The text with queries of tables in the place of semantic views, and the text with their names there, for who checks
 * which objects are read; undefined where it names no semantic view.
 */
export const rewritten = (
  environment: Account,
  session: Session,
  sql: string
): Effect.Effect<{ readonly sql: string; readonly reads: string } | undefined, Failure> =>
  Effect.suspend(() => {
    const tokenized = tokenize(sql, snowflake)
    if (Either.isLeft(tokenized)) return Effect.succeed(undefined)
    const tokens = tokenized.right
    const { partner } = source(sql, tokens)
    const views = environment.semanticViews
    const edits: Array<Edit> = []
    const names: Array<Edit> = []
    try {
      for (let at = 0; at < tokens.length; at++) {
        const token = tokens[at]!
        const close = partner.get(at + 1)
        if (isWord(token, "SEMANTIC_VIEW") && tokens[at + 1]?.text === "(" && close !== undefined) {
          const { to, view, written } = viewAt(views, tokens, at + 2, session)
          if (view === undefined) return Effect.fail(Failures.notAuthorized(written))
          const [start, end] = [token.start, tokens[close]!.end]
          edits.push({ start, end, text: translated(view, sql, tokens, to + 1, close) })
          names.push({ start, end, text: [view.database, view.schema, view.name].map(quoted).join(".") })
          at = close
        } else if (isWord(token, "FROM") && isName(tokens[at + 1])) {
          const { to, view } = viewAt(views, tokens, at + 1, session)
          if (view === undefined || tokens[to + 1]?.text === "(") continue
          edits.push(...plain(view, tokens, { from: at + 1, to }))
          at = to
        }
      }
    } catch (thrown) {
      if (thrown instanceof Refused) return Effect.fail(thrown.failure)
      throw thrown
    }
    return Effect.succeed(
      edits.length === 0 ? undefined : { sql: apply(sql, edits), reads: apply(sql, names) }
    )
  })
