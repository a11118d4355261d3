/**
 * Writes a query anew so that no value of a masked column leaves the warehouse, whatever is computed from it:
 * each reference to a table that has masked columns becomes one to a CTE that computes their masks.
 *
 * ```
 * SELECT c.EMAIL FROM CUSTOMERS c
 * WITH SG_MASKED_1 AS (SELECT "ID", <token of "EMAIL"> AS "EMAIL" FROM "SALES"."PUBLIC"."CUSTOMERS")
 * SELECT c.EMAIL FROM SG_MASKED_1 c
 * ```
 *
 * The CTE lists the columns instead of `* REPLACE`: one that was added or renamed since they were looked up is
 * missing, and never seen unmasked. It stands before the statement and not in the place of the table, so that the
 * key of tokens is in no text from which a warehouse makes the name of a column or an error.
 *
 * Invariants:
 *  - a statement of which it is not known where each table stands is refused;
 *  - every table that is left is written in full, and was found to be one without masked columns, or a view that
 *    reads only such tables;
 *  - CTEs of the caller's get names that no table has: what the warehouse takes for a table is not there;
 *  - what was written is read again, and has to name those tables and no others;
 *  - what is decided of a table is decided once, however often a statement names it.
 */
import * as Either from "effect/Either"
import { snowflake } from "../../sql/Dialect.js"
import * as Identifier from "../../sql/Identifier.js"
import type { Limits, Token, TokenKind } from "../../sql/Lexer.js"
import { snowflakeLimits, tokenize } from "../../sql/Lexer.js"
import * as MaskRules from "../../sql/MaskRules.js"
import type { Column, Compiled, Kind, Known, Masking, Reads, Table, TokenKey } from "../../sql/MaskRules.js"
import * as ObjectRules from "../../sql/ObjectRules.js"
import { isKeyword, reject, single } from "../../sql/Statement.js"
import type { Rejection } from "../../sql/Statement.js"
import { emit } from "./Emit.js"
import { isName, isWord } from "./SnowflakeFrame.js"
import { afterTable, mayReadByName, ofOthers } from "./SnowflakeGrammar.js"
import * as Names from "./SnowflakeNames.js"
import { inspect } from "./SnowflakeScan.js"

/** Where names are looked up, and what is allowed by name. */
export interface Place {
  readonly database?: string | undefined
  readonly schema?: string | undefined
  readonly functions: ReadonlySet<string>
  readonly objects: ObjectRules.Compiled | undefined
  /** Whether the warehouse looks into PUBLIC after the current schema. */
  readonly searchesPublic: boolean
}

export interface Masked {
  readonly tokens: ReadonlyArray<Token>
  /** Tables and functions of the caller's statement, as written. */
  readonly tables: ReadonlyArray<string>
  readonly functions: ReadonlyArray<string>
  /** Every table of the new statement, in full, as often as it is there. */
  readonly reads: ReadonlyArray<Table>
}

const refusal = (reason: string, at: Token | undefined, hint?: string): Either.Either<never, Rejection> =>
  reject("OBJECT_NOT_ALLOWED", reason, at?.start, hint)

const because = "while columns are masked for this tier"

/** Functions that tell of statements, which hold the key of tokens, or what other statements have read. */
const tellsOfStatements = (name: string): boolean =>
  ofOthers.has(name) ||
  ["CURRENT_STATEMENT", "SYS_CONTEXT", "EXPLAIN_JSON", "IDENTIFIER", "SEMANTIC_VIEW"].includes(name) ||
  name.startsWith("SYSTEM$EXPLAIN") ||
  name.includes("_HISTORY")

/** Views of INFORMATION_SCHEMA that tell of objects alone: others quote values, as in the errors of loads. */
const catalogViews = new Set(
  (
    "APPLICABLE_ROLES COLUMNS DATABASES ENABLED_ROLES KEY_COLUMN_USAGE OBJECT_PRIVILEGES " +
    "REFERENTIAL_CONSTRAINTS SCHEMATA TABLES TABLE_CONSTRAINTS TABLE_PRIVILEGES VIEWS"
  ).split(" ")
)

/** Forms of which it cannot be said what they read. */
const unreadable = (
  tokens: ReadonlyArray<Token>,
  { calls, dynamic, references }: Names.Names,
  { functions }: Pick<Place, "functions">
): Either.Either<void, Rejection> => {
  const [first] = dynamic
  if (first !== undefined) {
    return refusal(
      `${first.form} names an object that cannot be masked`,
      first.token,
      `${because}, write names as they are: DB.SCHEMA.TABLE`
    )
  }
  for (const { name, token } of calls) {
    if (tellsOfStatements(name) || (mayReadByName(name) && !functions.has(name))) {
      return reject(
        "FUNCTION_NOT_ALLOWED",
        `the function ${name} is not available ${because}: it can tell values that are masked`,
        token.start,
        "read the table itself"
      )
    }
  }
  const semantic = tokens.findIndex(
    (token, at) => isWord(token, "SEMANTIC") && isWord(tokens[at + 1], "VIEW") && isWord(tokens[at - 1], "AS")
  )
  if (semantic >= 0) {
    return refusal(`semantic views are not available ${because}`, tokens[semantic], "query their tables")
  }
  const hidden = references.find(({ span }) => span === undefined)
  return hidden === undefined
    ? Either.void
    : refusal(`streams and stages are not available ${because}`, hidden.token, "query the table itself")
}

/** A table of the statement. */
interface Resolved {
  readonly table: Table
  /** The columns of a table that has masked ones. */
  readonly columns: ReadonlyArray<Column> | undefined
}

/** Where it stands. */
interface Read extends Resolved {
  readonly from: number
  readonly to: number
}

const full = (table: Table): string => Identifier.written(...table)

/** Whether an operator has named the table or the view itself, as one that may be shown. */
const isListed = (rules: Compiled, { objects }: Place, table: Table): boolean =>
  MaskRules.lists(rules, table) || (objects !== undefined && ObjectRules.allowsByName(objects, table))

/** Whether a table has masked columns: asked once for each table of a statement. */
const masksIn = (rules: Compiled): ((table: Table, columns: ReadonlyArray<Column>) => boolean) => {
  const known = new Map<string, boolean>()
  return (table, columns) => {
    const id = full(table)
    const found =
      known.get(id) ??
      (MaskRules.mayMask(rules, table) &&
        columns.some(({ name }) => MaskRules.ofColumn(rules, table, name) !== undefined))
    known.set(id, found)
    return found
  }
}

const isAccount = ([database]: Table): boolean => database?.toUpperCase() === "SNOWFLAKE"

const isCatalog = ([, schema]: Table): boolean => Identifier.upperAscii(schema ?? "") === "INFORMATION_SCHEMA"

/** Views that stand on each other. */
const MAX_VIEWS = 10

/**
 * What is decided of a table that a view reads: why the view may show what is masked, that nothing of it is seen, that
 * more has to be looked up, or that its own reads have to be followed. `undefined`: nothing speaks against it.
 */
type Below =
  | { readonly _tag: "Absent" | "Unknown" }
  | { readonly _tag: "Refused"; readonly reason: string }
  | { readonly _tag: "Reads"; readonly reads: Known["reads"] }
  | undefined

/**
 * Why a view may show what is masked; undefined where it shows no more than its tables, none of which has masks.
 * Adds to `unknown` what has to be looked up before that is known.
 */
const showsMasked = (
  view: Table,
  { reads }: Known,
  rules: Compiled,
  hasMasks: ReturnType<typeof masksIn>,
  masking: Masking,
  place: Place,
  unknown: Map<string, Table>
): string | undefined => {
  const told = (table: Table): string =>
    place.objects === undefined || ObjectRules.permits(place.objects, table) ? full(table) : "a table"
  const done = new Set<string>()

  /** A table that is read under this name. */
  const below = (table: Table, name: string): Below => {
    const refused = (reason: string): Below => ({
      _tag: "Refused",
      reason: `the view ${name} reads ${reason}`
    })
    if (isAccount(table)) return refused("the database SNOWFLAKE, which tells of statements")
    if (isCatalog(table))
      return catalogViews.has(Identifier.upperAscii(table[2] ?? "")) ? undefined : refused(told(table))
    const known = masking.known(table)
    if (known?.isAbsent === true) return { _tag: "Absent" }
    if (known === undefined || (MaskRules.mayMask(rules, table) && known.columns === undefined))
      return { _tag: "Unknown" }
    if (hasMasks(table, known.columns ?? [])) return refused(`${told(table)}, which has masked columns`)
    return known.isTable || done.has(full(table)) || isListed(rules, place, table)
      ? undefined
      : { _tag: "Reads", reads: known.reads }
  }

  /** All tables that a name may stand for; `mayBeAbsent`: it may also stand for none. */
  const ofName = (
    places: ReadonlyArray<Table>,
    mayBeAbsent: boolean,
    name: string,
    path: ReadonlyArray<string>
  ): string | undefined => {
    let isThere = mayBeAbsent
    for (const table of places) {
      const id = full(table)
      const found = below(table, name)
      if (found?._tag === "Refused") return found.reason
      if (found?._tag === "Absent") continue
      isThere = true
      if (found?._tag === "Unknown") unknown.set(id, table)
      if (found?._tag !== "Reads") continue
      if (path.includes(id)) return `the view ${told(table)} reads itself`
      if (path.length >= MAX_VIEWS) return `more than ${MAX_VIEWS} views stand on each other`
      const reason = follow(table, found.reads, [...path, id])
      if (reason !== undefined) return reason
      done.add(id)
    }
    const [first = []] = places
    return isThere ? undefined : `the view ${name} reads ${told(first)}, which this role does not see`
  }

  const follow = (of: Table, reads: Known["reads"], path: ReadonlyArray<string>): string | undefined => {
    const name = of === view ? full(view) : `${told(of)} below ${full(view)}`
    if (reads === undefined || typeof reads === "string")
      return `${name} is a view or made of other tables: ${reads ?? "what it reads is not known"}`
    // Where a CTE hides a table is for the warehouse to say: it counts as read if it is there.
    for (const places of [...reads.tables, ...reads.ctes.map((cte) => [cte])]) {
      const reason = ofName(places, reads.ctes.includes(places[0] ?? []), name, path)
      if (reason !== undefined) return reason
    }
    return undefined
  }
  return follow(view, reads, [full(view)])
}

/** Where the query of a view begins in the statement that made it; undefined where that is none. */
export const viewQuery = (tokens: ReadonlyArray<Token>): number | undefined => {
  const as = tokens.findIndex(({ depth }, at) => depth === 0 && isKeyword(tokens, at, "AS"))
  const head = tokens.slice(0, as < 0 ? 0 : as)
  const isView = isWord(head[0], "CREATE") && head.some((_, at) => isKeyword(head, at, "VIEW"))
  return isView && !head.some((_, at) => isKeyword(head, at, "SEMANTIC")) ? as + 1 : undefined
}

export const noView = (): Either.Either<never, Rejection> =>
  reject("OBJECT_NOT_ALLOWED", "its text is not CREATE VIEW ... AS query")

/**
 * What a view reads, by the statement that made it. Snowflake looks for names of a view in the view's own schema, and
 * not on the search path.
 */
export const readsOf = (text: string, view: Table): Either.Either<Reads, Rejection> =>
  Either.gen(function* () {
    const read = tokenize(text, snowflake, snowflakeLimits)
    if (Either.isLeft(read)) return yield* reject(read.left.code, read.left.message, read.left.position)
    const tokens = yield* single(read.right)
    const from = viewQuery(tokens)
    if (from === undefined) return yield* noView()
    const names = Names.none()
    const functions = new Set<string>()
    const problem = inspect(tokens, from, { functions, stages: false }, names)
    if (problem !== undefined) return yield* Either.left(problem)
    yield* unreadable(tokens, names, { functions })
    const [database, schema] = view
    const tables: Array<ReadonlyArray<Table>> = []
    for (const { parts, token } of names.references) {
      const found = parts.length > 3 ? undefined : ObjectRules.resolve(parts, { database, schema }, false)
      if (found === undefined) return yield* refusal(`it is not known what ${full(parts)} is`, token)
      tables.push(found)
    }
    return { tables, ctes: names.ctes.map(({ name }) => [database ?? "", schema ?? "", name]) }
  })

/** The table that a reference means; undefined for what is left as it is written. */
const resolve = (
  { parts, token }: Names.Reference,
  rules: Compiled,
  hasMasks: ReturnType<typeof masksIn>,
  masking: Masking,
  place: Place
): Either.Either<Resolved | undefined, Rejection> => {
  const found = parts.length > 3 ? undefined : ObjectRules.resolve(parts, place, place.searchesPublic)
  const [table] = found ?? []
  if (found === undefined || table === undefined) {
    return refusal(
      `it is not known which database and schema ${full(parts)} is in`,
      token,
      "write DB.SCHEMA.TABLE, or give the arguments database and schema"
    )
  }
  if (found.some(isAccount)) {
    return refusal(
      `the database SNOWFLAKE tells of statements and is not available ${because}`,
      token,
      "query the tables themselves"
    )
  }
  if (table[1] === "INFORMATION_SCHEMA") {
    return parts.length > 1 && catalogViews.has(table[2] ?? "")
      ? Either.right(undefined)
      : refusal(
          `${full(table)} is not available ${because}`,
          token,
          `written with its schema, INFORMATION_SCHEMA has ${[...catalogViews].join(", ")}`
        )
  }
  const known = masking.known(table)
  const needsColumns = MaskRules.mayMask(rules, table)
  if (known === undefined || known.isAbsent === true || (needsColumns && known.columns === undefined)) {
    return Either.left({
      code: "OBJECT_NOT_ALLOWED",
      reason: `${full(table)} may have masked columns, and it is not known which columns it has`,
      position: token?.start,
      hint: "they are looked up when the statement runs",
      lookUp: [table]
    })
  }
  if (!known.isTable && !isListed(rules, place, table)) {
    const unknown = new Map<string, Table>()
    const reason = showsMasked(table, known, rules, hasMasks, masking, place, unknown)
    if (reason !== undefined) {
      return Either.left({
        code: "OBJECT_NOT_ALLOWED",
        reason: `${full(table)} may show what is masked for this tier`,
        words: reason,
        position: token?.start,
        hint: "query its tables (describe_view), which can be masked; an operator can name it in mask or allow_objects"
      })
    }
    if (unknown.size > 0) {
      return Either.left({
        code: "OBJECT_NOT_ALLOWED",
        reason: `${full(table)} is a view, and it is not known whether its tables have masked columns`,
        position: token?.start,
        hint: "they are looked up when the statement runs",
        lookUpBelow: [...unknown.values()]
      })
    }
  }
  const columns = known.columns ?? []
  return Either.right({ table, columns: hasMasks(table, columns) ? columns : undefined })
}

/** Values that have no text of their own: they are told as NULL in place of a token. */
const withoutText = /^(?:GEOGRAPHY|GEOMETRY|VECTOR|MAP|FILE)\b/i

/**
 * What a column is replaced by. The digest is a hash within a hash, each begun with a key of its own that fills one
 * block of SHA-256, as in HMAC. NULL stays NULL, of the type of the column.
 */
const masked = (kind: Kind, column: string, type: string, [inner, outer]: TokenKey): string => {
  if (kind === "hidden") return "'(hidden)'"
  if (kind === "null" || withoutText.test(type)) return `CASE WHEN FALSE THEN ${column} END`
  const digest = `SHA2('${outer}' || SHA2('${inner}' || CAST(${column} AS VARCHAR), 256), 256)`
  return `'tok_' || LEFT(${digest}, 24)`
}

const noKey: TokenKey = ["", ""]

const definition = (
  { columns = [], table }: Resolved,
  rules: Compiled,
  key: TokenKey | undefined
): Either.Either<string, Identifier.InvalidIdentifier | Rejection> =>
  Either.gen(function* () {
    const list: Array<string> = []
    const kinds = MaskRules.ofColumns(rules, table, columns)
    for (const [at, { name, type }] of columns.entries()) {
      const column = yield* Identifier.quote(name)
      const kind = kinds[at]
      if (kind === "token" && key === undefined)
        return yield* refusal("there is no key to make tokens with", undefined)
      list.push(kind === undefined ? column : `${masked(kind, column, type, key ?? noKey)} AS ${column}`)
    }
    return `SELECT ${list.join(", ")} FROM ${yield* Identifier.qualified(...table)}`
  })

/** A token that stands nowhere, so that it touches no other. */
const made = (kind: TokenKind, text: string, value: string): Token => ({
  kind,
  text,
  value,
  start: Number.NaN,
  end: Number.NaN,
  depth: 0
})

const word = (text: string): Token => made("word", text, text)
const quoted = (name: string): Token => made("quoted", Identifier.quoted(name), name)
const dot = made("operator", ".", ".")

const dotted = (names: ReadonlyArray<string>): ReadonlyArray<Token> =>
  names.flatMap((name, at) => (at === 0 ? [quoted(name)] : [dot, quoted(name)]))

/** Clauses that make other rows of a table, before its alias. */
const rowClauses = new Set(["PIVOT", "UNPIVOT", "MATCH_RECOGNIZE"])
const timeClauses = new Set(["AT", "BEFORE", "CHANGES"])

/** Whether the table that ends before `at` has no alias, and no clause that takes its place. */
const isBare = (tokens: ReadonlyArray<Token>, at: number): boolean => {
  const next = tokens[at]
  if (next?.kind === "quoted") return false
  return (
    next?.kind !== "word" ||
    (next.value !== "AS" && !rowClauses.has(next.value) && afterTable.has(next.value))
  )
}

/** A prefix of names that the statement does not have. */
const freshPrefix = (tokens: ReadonlyArray<Token>): string => {
  const taken = new Set(tokens.map(({ value }) => /^SG(X*)_/.exec(value.toUpperCase())?.[1]?.length))
  let more = 0
  while (taken.has(more)) more++
  return `SG${"X".repeat(more)}`
}

interface Edit {
  readonly to: number
  readonly by: ReadonlyArray<Token>
}

/** Names of columns that begin with the schema of a table, `DB.SCH.T.COL`: the table has that name no more. */
const qualifiers = (
  tokens: ReadonlyArray<Token>,
  reads: ReadonlyArray<Read>,
  edits: Map<number, Edit>
): void => {
  // By the names that may stand before the column: schema and table, or all three.
  const named = new Map<string, string>()
  for (const { table, to } of reads)
    if (isBare(tokens, to + 1))
      for (const names of [table.slice(-2), table.slice(-3)]) named.set(JSON.stringify(names), table[2] ?? "")
  for (let at = 0; at < tokens.length; at++) {
    const edit = edits.get(at)
    if (edit !== undefined) {
      at = edit.to
      continue
    }
    if (!isName(tokens[at]) || tokens[at - 1]?.text === ".") continue
    let end = at
    while (tokens[end + 1]?.text === "." && isName(tokens[end + 2])) end += 2
    if (tokens[end + 1]?.text === "(") continue
    // All names of the chain but the last, which is the column; all of them before a star.
    const last = tokens[end + 1]?.text === "." && tokens[end + 2]?.text === "*" ? end : end - 2
    const names: Array<string> = []
    for (let each = at; each <= last; each += 2) names.push(tokens[each]!.value)
    const name = names.length > 1 && names.length <= 3 ? named.get(JSON.stringify(names)) : undefined
    if (name !== undefined) edits.set(at, { to: last, by: [quoted(name)] })
    at = end
  }
}

const applied = (tokens: ReadonlyArray<Token>, edits: ReadonlyMap<number, Edit>): ReadonlyArray<Token> => {
  const result: Array<Token> = []
  for (let at = 0; at < tokens.length; at++) {
    const edit = edits.get(at)
    if (edit === undefined) result.push(tokens[at]!)
    else {
      result.push(...edit.by)
      at = edit.to
    }
  }
  return result
}

/** The tables that a statement names, in full where they are, in one order. */
const named = ({ references }: Names.Names): ReadonlyArray<string> =>
  references.map(({ parts }) => JSON.stringify(parts)).sort()

/** Tables and CTEs, as often as they are named: each is written anew, while no other client is served. */
const MAX_NAMED = 5_000

/**
 * The query with masks, or why it cannot be masked. `tokens`: one query that is a read, and what it names.
 */
export const mask = (
  tokens: ReadonlyArray<Token>,
  masking: Masking,
  place: Place,
  limits: Limits
): Either.Either<Masked, Rejection> =>
  Either.gen(function* () {
    const names = Names.none()
    const allowed = { functions: place.functions, stages: false }
    const problem = inspect(tokens, 0, allowed, names)
    if (problem !== undefined) return yield* Either.left(problem)
    const times = names.references.length + names.reads.length + names.ctes.length
    if (times > MAX_NAMED)
      return yield* reject(
        "TOO_LARGE",
        `the statement names tables and CTEs ${times} times; ${because} ${MAX_NAMED} times are taken`
      )
    yield* unreadable(tokens, names, place)
    const rules = MaskRules.compile(masking.masks)

    const reads: Array<Read> = []
    const left: Array<string> = []
    const unknown: Array<Rejection> = []
    const hasMasks = masksIn(rules)
    const resolved = new Map<string, ReturnType<typeof resolve>>()
    for (const reference of names.references) {
      const id = JSON.stringify(reference.parts)
      const known = resolved.get(id)
      const found = known ?? resolve(reference, rules, hasMasks, masking, place)
      resolved.set(id, found)
      if (Either.isRight(found)) {
        if (found.right === undefined) left.push(id)
        else reads.push({ ...found.right, ...reference.span! })
      } else if (found.left.lookUp === undefined && found.left.lookUpBelow === undefined)
        return yield* Either.left(found.left)
      else if (known === undefined) unknown.push(found.left)
    }
    const [first] = unknown
    if (first !== undefined) {
      const once = (tables: ReadonlyArray<Table>) => [
        ...new Map(tables.map((table) => [full(table), table])).values()
      ]
      return yield* Either.left({
        ...first,
        lookUp: once(unknown.flatMap(({ lookUp = [] }) => lookUp)),
        lookUpBelow: once(unknown.flatMap(({ lookUpBelow = [] }) => lookUpBelow))
      })
    }

    const prefix = freshPrefix(tokens)
    const edits = new Map<number, Edit>()
    const definitions: Array<string> = []
    const bodies = new Map<string, string>()
    let bytes = 0
    for (const read of reads) {
      const { columns, from, table, to } = read
      const bare = isBare(tokens, to + 1)
      if (columns === undefined) {
        edits.set(from, { to, by: dotted(table) })
        continue
      }
      const next = tokens[to + 1]
      if (next?.kind === "word" && timeClauses.has(next.value) && tokens[to + 2]?.text === "(") {
        return yield* refusal(
          `${next.value} is not available on ${full(table)}, which has masked columns`,
          next,
          "read the table as it is now"
        )
      }
      const cte = `${prefix}_MASKED_${definitions.length + 1}`
      const made = bodies.get(full(table))
      const body =
        made ??
        (yield* Either.mapLeft(definition(read, rules, masking.key), (invalid): Rejection =>
          "_tag" in invalid
            ? {
                code: "OBJECT_NOT_ALLOWED",
                reason: `${full(table)} has a column whose name cannot be written: ${invalid.message}`
              }
            : invalid
        ))
      bodies.set(full(table), body)
      // A table that is named often would have to be written out as often before it is too much.
      bytes += body.length
      if (bytes > limits.bytes)
        return yield* reject(
          "TOO_LARGE",
          `with its masks the statement is longer than ${limits.bytes} bytes`,
          undefined,
          "name tables that have masked columns less often"
        )
      definitions.push(`${cte} AS (${body})`)
      const alias = bare ? [word("AS"), quoted(table[2] ?? "")] : []
      edits.set(from, { to, by: [word(cte), ...alias] })
    }

    const renamed = new Map<string, Token>()
    const places = new Map(tokens.map((token, at) => [token, at]))
    for (const { name, token } of names.ctes) {
      const at = token === undefined ? undefined : places.get(token)
      if (at === undefined) return yield* refusal("a CTE without a place in the text cannot be masked", token)
      const by = renamed.get(name) ?? word(`${prefix}_WITH_${renamed.size + 1}`)
      renamed.set(name, by)
      edits.set(at, { to: at, by: [by] })
    }
    for (const at of names.reads) {
      const token = tokens[at]!
      const by = renamed.get(token.value)
      if (by === undefined)
        return yield* refusal(`${token.text} cannot be masked`, token, "name the CTE otherwise")
      const alias = isBare(tokens, at + 1) ? [word("AS"), quoted(token.value)] : []
      edits.set(at, { to: at, by: [by, ...alias] })
    }
    qualifiers(tokens, reads, edits)

    const body = applied(tokens, edits)
    const result = yield* withDefinitions(body, definitions, limits)
    yield* verified(result, allowed, [...reads.map(({ table }) => JSON.stringify(table)), ...left])
    return {
      tokens: result,
      tables: [...names.tables],
      functions: [...names.functions],
      reads: reads.map(({ table }) => table)
    }
  })

/** The statement with further CTEs, before its own. */
const withDefinitions = (
  body: ReadonlyArray<Token>,
  definitions: ReadonlyArray<string>,
  limits: Limits
): Either.Either<ReadonlyArray<Token>, Rejection> => {
  if (definitions.length === 0) return Either.right(body)
  if (isWord(body[0], "VALUES")) {
    return refusal("VALUES with tables that have masked columns is not available", body[0], "write a SELECT")
  }
  const read = tokenize(`WITH ${definitions.join(", ")}`, snowflake, limits)
  if (Either.isLeft(read)) return reject(read.left.code, `with its masks ${read.left.message}`)
  const added = read.right
  if (!isWord(body[0], "WITH")) return Either.right([...added, ...body])
  const recursive = isWord(body[1], "RECURSIVE") && isName(body[2]) && !isWord(body[2], "AS") ? 2 : 1
  const comma = made("operator", ",", ",")
  return Either.right([...body.slice(0, recursive), ...added.slice(1), comma, ...body.slice(recursive)])
}

/** Reads again what was written: it has to name the tables that were decided on, and no others. */
const verified = (
  tokens: ReadonlyArray<Token>,
  allowed: Parameters<typeof inspect>[2],
  expected: ReadonlyArray<string>
): Either.Either<void, Rejection> => {
  const again = tokenize(emit(tokens, snowflake), snowflake, {
    bytes: Number.MAX_SAFE_INTEGER,
    tokens: Number.MAX_SAFE_INTEGER,
    depth: Number.MAX_SAFE_INTEGER
  })
  const names = Names.none()
  const holds =
    Either.isRight(again) &&
    inspect(again.right, 0, allowed, names) === undefined &&
    names.dynamic.length === 0 &&
    JSON.stringify(named(names)) === JSON.stringify([...expected].sort())
  return holds
    ? Either.void
    : refusal("a statement of this form cannot be masked", undefined, "write it with plain SELECTs and joins")
}

/** SHOW lists objects; what else it lists may hold statements and values. */
const shown = new Set(["DATABASES", "SCHEMAS", "TABLES", "VIEWS", "COLUMNS", "OBJECTS"])

/**
 * Whether SHOW and DESCRIBE may be used; `isTable`: it describes a table or a view.
 */
export const metadata = (tokens: ReadonlyArray<Token>, isTable: boolean): Either.Either<void, Rejection> => {
  const kind = isWord(tokens[1], "TERSE") ? tokens[2] : tokens[1]
  // Of a semantic view DESCRIBE also tells the values that Cortex Analyst is given as samples.
  if (isWord(kind, "SEMANTIC"))
    return refusal(
      `${tokens[0]?.value} of semantic views is not available ${because}`,
      tokens[0],
      "describe_view and list_views show them"
    )
  if (isTable || (isWord(tokens[0], "SHOW") && kind?.kind === "word" && shown.has(kind.value)))
    return Either.void
  return refusal(
    `${tokens[0]?.value} of this kind is not available ${because}`,
    tokens[0],
    `available are SHOW ${[...shown].join(", ")} and DESCRIBE TABLE | VIEW`
  )
}

/** EXPLAIN shows literals, among them the key of tokens. */
export const explained = (token: Token | undefined): Either.Either<never, Rejection> =>
  refusal(`EXPLAIN is not available ${because}`, token, "run the query with a small LIMIT")

/** A chain hands on what its statements have read, under names that are no tables. */
export const chained = (token: Token | undefined): Either.Either<never, Rejection> =>
  refusal(
    `chains of statements (->>) are not available ${because}`,
    token,
    "send one SELECT, with WITH for its steps"
  )
