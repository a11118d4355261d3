/**
 * The read-only gate for DuckDB: our lexer first (it bounds the text and removes what lexers disagree
 * on), then DuckDB's own parser, then a walk over the tree that allows what is listed.
 *
 * ```
 * text -> limits, tokens -> one statement -> SHOW / DESCRIBE by their tokens
 *                                         -> EXPLAIN: the rest, as below
 *                                         -> canonical -> translate -> tokens -> parser -> tree -> LIMIT -> Accepted
 * ```
 *
 * Invariants: what is accepted is the canonical text, never the caller's; the parser and the walk see
 * exactly what the warehouse makes of that text; nothing is executed here; checking a canonical text again gives the same text.
 *
 * It decides what a statement is, not what it costs: rows, bytes and time are bounded where it runs.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { nearest } from "../platform/core/Nearest.js"
import * as ReadOnly from "./ReadOnly.js"
import { duckdb, reservedByDuckDb, snowflake } from "../sql/Dialect.js"
import type { Dialect } from "../sql/Dialect.js"
import { emit, sourceOffset } from "./core/Emit.js"
import * as Functions from "./core/Functions.js"
import { mayReadByName } from "./core/SnowflakeGrammar.js"
import * as Names from "./core/SnowflakeNames.js"
import { defaultLimits, tokenize } from "../sql/Lexer.js"
import type { Limits, Token } from "../sql/Lexer.js"
import * as Identifier from "../sql/Identifier.js"
import * as MaskRules from "../sql/MaskRules.js"
import * as Masking from "./core/Masking.js"
import * as ObjectRules from "../sql/ObjectRules.js"
import * as Show from "./core/Show.js"
import { notARead, orName, reject, single, unfoldsWithin } from "../sql/Statement.js"
import type { Rejection } from "../sql/Statement.js"
import { inspect } from "./duckdb/ast.js"
import type { Problem } from "./duckdb/ast.js"
import type { Allowed, Reference } from "./duckdb/names.js"
import { refused } from "./duckdb/objects.js"
import * as Rules from "./duckdb/rules.js"
import * as Parser from "./duckdb/parser.js"
import { spelled } from "./duckdb/tree.js"
import * as Lru from "../platform/core/Lru.js"

export type { Parser, Reply } from "./duckdb/parser.js"

/**
 * The parser that is asked, the dialect that is translated, and where names are looked up.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** DuckDB's own: the one of the embedded warehouse, for example. */
  readonly parser: Parser.Parser
  /**
   * The warehouse speaks Snowflake's SQL and runs this rewriting of it: the statement is read as Snowflake's,
   * and what DuckDB's parser sees is the rewriting. It is a function of the text alone, so what is checked
   * here is what the warehouse executes when it is given the canonical text. Without it statements are
   * DuckDB's own.
   */
  readonly translate?: ((sql: string) => string) | undefined
  /** What the warehouse defines beyond DuckDB's functions and may be called, in upper case. */
  readonly functions?: ReadonlyArray<string> | undefined
  readonly limits?: Limits | undefined
  /** Where the warehouse looks for names when the call does not say. */
  readonly namespace?: Rules.Place | undefined
}

/** How many times as long as a statement its translation may be. */
const maxGrowth = 8

/** No names without quotes in DuckDB's SQL, nor in what is translated into it. */
const reserved = new Set([...Identifier.reserved, ...reservedByDuckDb])

type Verdict = Either.Either<ReadOnly.Accepted, Rejection>

/** Trees that are remembered, in characters of their texts and of DuckDB's JSON. */
const remembered = { maxEntries: 200, maxBytes: 2 * 1024 * 1024 }

const queryVerbs = new Set(["SELECT", "WITH", "FROM", "VALUES", "TABLE", "DESCRIBE", "SUMMARIZE"])

const read = (
  sql: string,
  limits: Limits,
  dialect: Dialect
): Either.Either<ReadonlyArray<Token>, Rejection> => {
  const tokens = tokenize(sql, dialect, limits)
  if (Either.isLeft(tokens)) return reject(tokens.left.code, tokens.left.message, tokens.left.position)
  const statement = single(tokens.right)
  if (Either.isLeft(statement)) return statement
  const unfolds = unfoldsWithin(statement.right, limits.tokens)
  return Either.isLeft(unfolds) ? Either.left(unfolds.left) : statement
}

/** Refuses what asks for a semantic view; SHOW SEMANTIC VIEWS lists none. */
const semanticView = (tokens: ReadonlyArray<Token>): Rejection | undefined => {
  const found = tokens.find(
    ({ kind, value }, at) =>
      kind === "word" &&
      (value === "SEMANTIC_VIEW"
        ? tokens[at + 1]?.text === "("
        : value === "SEMANTIC" &&
          at === 1 &&
          /^(?:DESC|DESCRIBE|SHOW)$/.test(tokens[0]?.value ?? "") &&
          !(tokens[0]?.value === "SHOW" && tokens[2]?.value === "VIEWS"))
  )
  return found === undefined
    ? undefined
    : {
        code: "OBJECT_NOT_ALLOWED",
        reason: "this warehouse has no semantic views; query its tables and views",
        position: found.start
      }
}

/** Refuses what means something else in Snowflake, or nothing without values. */
const ambiguous = (tokens: ReadonlyArray<Token>): Rejection | undefined => {
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!
    if (token.kind === "variable") {
      return {
        code: "SYNTAX",
        reason: `${token.text} is a variable or a parameter; write the value into the statement`,
        position: token.start
      }
    }
    if (token.kind === "hex") {
      return {
        code: "SYNTAX",
        reason: "X'...' is not a binary literal here; use unhex('...')",
        position: token.start
      }
    }
    if (token.kind === "dollar" && !token.text.startsWith("$$")) {
      return {
        code: "SYNTAX",
        reason: "write the string as '...' or $$...$$, without a tag",
        position: token.start
      }
    }
    if (token.text === "//") {
      return {
        code: "SYNTAX",
        reason:
          "// is a comment in Snowflake and a division here; comments start with --, and floor(a / b) divides",
        position: token.start
      }
    }
    const next = tokens[i + 1]
    if (token.text === "->>" && (next === undefined || next.kind === "word" || next.kind === "open")) {
      return {
        code: "NOT_A_READ",
        reason: "->> chains statements; to read JSON write the key as a string: column ->> 'key'",
        position: token.start
      }
    }
  }
  return undefined
}

const metadata = (
  tokens: ReadonlyArray<Token>,
  rules: ObjectRules.Compiled | undefined,
  place: Rules.Place,
  dialect: Dialect
): Verdict | undefined => {
  const parsed = Show.parse(tokens)
  if (parsed === undefined) return undefined
  return Either.flatMap(parsed, ({ kind, name }) => {
    const parts = name.map((token) => (token.kind === "quoted" ? token.value : token.text))
    const refusal = parts.length === 0 ? undefined : refused(parts)
    if (refusal !== undefined) return reject("OBJECT_NOT_ALLOWED", refusal.reason, name[0]?.start)
    if (rules !== undefined) {
      const denied = Rules.metadata(kind, name, rules, place)
      if (denied !== undefined) return Either.left(denied)
    }
    const tables = kind === "describe" ? [name.map((token) => token.text).join(".")] : []
    return Either.right({ canonical: emit(tokens, dialect), kind, tables, functions: [] })
  })
}

/** Rules about objects see tables, and not what a function reads by a name in a string. */
const tellsOfObjects = (name: string, { allowFunctions }: ReadOnly.Policy): boolean =>
  mayReadByName(Identifier.upperAscii(name)) &&
  !allowFunctions.some((allowed) => Identifier.upperAscii(allowed) === Identifier.upperAscii(name))

/** What tells the values that a type names: those of a masked column, where it is an ENUM. */
const tellsOfTypes = new Set(["enum_first", "enum_last", "enum_range", "enum_range_boundary", "typeof"])

const explainOptions = new Set(["ANALYZE", "ANALYSE", "FORMAT"])

/** The words of EXPLAIN before the query it explains; undefined where they are not known. */
const explainPrefix = (tokens: ReadonlyArray<Token>): number | undefined => {
  if (tokens[1]?.value !== "USING") return 1
  return ["TABULAR", "TEXT", "JSON"].includes(tokens[2]?.value ?? "") ? 3 : undefined
}

/** The tree without the LIMIT that was appended, if that is all the difference. */
const onlyLimited = (before: Parser.Tree, after: Parser.Tree): boolean => {
  const [was, is] = [before.node["modifiers"], after.node["modifiers"]]
  if (!Array.isArray(was) || !Array.isArray(is) || is.length !== was.length + 1) return false
  const restored = { ...after.node, modifiers: is.slice(0, -1) }
  return JSON.stringify(restored) === JSON.stringify(before.node)
}

/** Words of statements that may have a size of their own. */
const sizes = new Set(["LIMIT", "FETCH", "SAMPLE", "TABLESAMPLE", "TOP", "SHOW", "DESCRIBE", "SUMMARIZE"])

/** The text with the LIMIT that is likely to be appended. */
const limitedText = (
  canonical: string,
  tokens: ReadonlyArray<Token>,
  { appendLimit: limit }: ReadOnly.Policy
): string | undefined =>
  limit === undefined || tokens.some(({ kind, value }) => kind === "word" && sizes.has(value))
    ? undefined
    : `${canonical} LIMIT ${limit}`

const typeOf = (value: unknown): unknown =>
  typeof value === "object" && value !== null && "type" in value ? value.type : undefined

const masks = ({ masking }: ReadOnly.Policy): MaskRules.Masking | undefined =>
  masking === undefined || MaskRules.isEmpty(masking.masks) ? undefined : masking

/**
 * Whether DuckDB reads the tables that were decided on and no others, but for the catalog's views; or none, as where the
 * translation says in place of the statement what is not supported.
 */
const readsOnly = (references: ReadonlyArray<Reference>, decided: Masking.Masked["reads"]): boolean => {
  const names = (tables: ReadonlyArray<ReadonlyArray<string>>): string =>
    JSON.stringify(tables.map((parts) => JSON.stringify(parts.map(Identifier.upperAscii))).sort())
  const tables = references
    .map(({ parts }) => parts)
    // Also under the name that the embedded warehouse gives it.
    .filter((parts) => !/^(?:_SNOWGUARD_)?INFORMATION_SCHEMA$/i.test(parts[parts.length - 2] ?? ""))
  return tables.length === 0 || names(tables) === names(decided)
}

/** A LIMIT or a SAMPLE at the top, or a form that takes neither. */
const hasOwnSize = (node: Parser.Tree["node"]): boolean =>
  (Array.isArray(node["modifiers"]) &&
    node["modifiers"].some((modifier) => String(typeOf(modifier)).startsWith("LIMIT"))) ||
  (node["sample"] ?? null) !== null ||
  typeOf(node["from_table"]) === "SHOW_REF"

/**
 * A gate that asks the parser for each statement that it does not remember.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<ReadOnly.ReadOnly["Type"]> =>
  Effect.sync(() => {
    const defined = new Set(options.functions)
    const trees = Lru.make<Either.Either<Parser.Tree, Problem>>(remembered)
    /** What the parser says to a text is the same each time. */
    const parse = (sql: string) => {
      const known = Lru.get(trees, sql)
      if (known !== undefined) return Effect.succeed(known)
      return Effect.map(options.parser.parse(sql), (reply) => {
        const tree = Parser.read(sql, reply)
        if (Either.isRight(tree)) Lru.set(trees, sql, tree, sql.length + (reply.json?.length ?? 0))
        return tree
      })
    }
    const limits = options.limits ?? defaultLimits
    const names = Functions.duckDbScalars()
    const written = options.translate === undefined ? duckdb : snowflake

    const allowedBy = (policy: ReadOnly.Policy): Allowed => ({
      functions: new Set(policy.allowFunctions.map((name) => name.toUpperCase())),
      defined,
      nearest: (name, kind) => nearest(name, kind === "table" ? Functions.duckDbTables() : names)
    })

    /** What DuckDB sees of a text: its tokens, and the text itself. */
    const forDuckDb = (
      sql: string
    ): Either.Either<{ readonly sql: string; readonly tokens: ReadonlyArray<Token> }, Rejection> => {
      if (options.translate === undefined)
        return Either.map(read(sql, limits, duckdb), (tokens) => ({ sql: emit(tokens, duckdb), tokens }))
      // Longer than the statement, which is within the limits itself.
      const larger = { ...limits, bytes: limits.bytes * maxGrowth, tokens: limits.tokens * maxGrowth }
      const translated = options.translate(sql)
      return Either.map(read(translated, larger, duckdb), (tokens) => ({ sql: translated, tokens }))
    }

    /** The query with masks, where the tier has some. */
    const maskedBy = (
      source: ReadonlyArray<Token>,
      policy: ReadOnly.Policy
    ): Either.Either<
      { readonly tokens: ReadonlyArray<Token>; readonly reads?: Masking.Masked["reads"] },
      Rejection
    > => {
      const masking = masks(policy)
      if (masking === undefined) return Either.right({ tokens: source })
      if (options.translate === undefined)
        return reject(
          "NOT_A_READ",
          "columns can be masked in Snowflake's SQL alone, which this warehouse is not asked in"
        )
      const place = {
        ...Rules.placeOf(policy, options.namespace),
        functions: new Set(policy.allowFunctions),
        objects: ObjectRules.compile(policy.objects, true),
        searchesPublic: false
      }
      return Masking.mask(source, masking, place, limits)
    }

    const query = Effect.fnUntraced(function* (given: ReadonlyArray<Token>, policy: ReadOnly.Policy) {
      const anew = maskedBy(given, policy)
      if (Either.isLeft(anew)) return Either.left(anew.left)
      const { reads, tokens: source } = anew.right
      const translates = options.translate !== undefined
      const odd = translates ? undefined : ambiguous(source)
      if (odd !== undefined) return Either.left(odd)
      const canonical = emit(source, written)
      if (translates) {
        // Spaces and unfolded escapes can make it longer than the caller's text, which was within the limit.
        const again = tokenize(canonical, written, limits)
        if (Either.isLeft(again)) return reject(again.left.code, again.left.message)
      }
      const seen = forDuckDb(canonical)
      if (Either.isLeft(seen)) return Either.left({ ...seen.left, position: undefined })
      const { sql, tokens } = seen.right
      const oddAfter = translates ? ambiguous(tokens) : undefined
      if (oddAfter !== undefined) return Either.left({ ...oddAfter, position: undefined })
      const place = ({ location, ...problem }: Problem): Rejection => ({
        ...problem,
        reason: Identifier.namesFromDuckDb(problem.reason),
        position: location === undefined || translates ? undefined : sourceOffset(source, duckdb, location)
      })
      /** Where the parser stopped; at the end of the text it tells no place. */
      const unparsed = (problem: Problem): Rejection => {
        if (problem.code !== "SYNTAX") return place(problem)
        const { location } = problem
        const before = location === undefined ? sql : Buffer.from(sql).subarray(0, location).toString()
        const next = tokens.findIndex(({ end }) => end > before.length)
        return orName(place(problem), reserved, tokens, next < 0 ? tokens.length : next, given)
      }
      // The text is asked for with and without its limit at the same time. An answer is kept, so it is asked for once.
      const ahead = Lru.get(trees, sql) === undefined ? limitedText(canonical, tokens, policy) : undefined
      if (ahead !== undefined) {
        const seenAhead = forDuckDb(ahead)
        if (Either.isRight(seenAhead)) {
          yield* Effect.all([parse(sql), parse(seenAhead.right.sql)], { concurrency: 2, discard: true })
        }
      }
      const tree = yield* parse(sql)
      if (Either.isLeft(tree)) return Either.left(unparsed(tree.left))
      const { ctes, functions, problem, references, tables } = inspect(
        tree.right.statement,
        allowedBy(policy)
      )
      if (problem !== undefined) return Either.left(place(problem))
      if (reads !== undefined && !readsOnly(references, reads)) {
        return reject(
          "OBJECT_NOT_ALLOWED",
          "a statement of this form cannot be masked; write it with plain SELECTs and joins"
        )
      }
      const rules = ObjectRules.compile(policy.objects, true)
      const denied =
        rules === undefined
          ? undefined
          : Rules.refused(rules, { ctes, references }, Rules.placeOf(policy, options.namespace))
      if (denied !== undefined) return Either.left(place(denied))
      const byName = rules === undefined ? undefined : functions.find((name) => tellsOfObjects(name, policy))
      if (byName !== undefined) return Either.left(Names.readsByName(byName, undefined))
      const masking = masks(policy)
      const logged = (text: string) =>
        masking === undefined ? {} : { logged: MaskRules.withoutKey(text, masking) }
      const accepted: ReadOnly.Accepted = {
        canonical,
        ...logged(canonical),
        kind: "select",
        tables,
        functions
      }
      const limit = policy.appendLimit
      if (limit === undefined || hasOwnSize(tree.right.node)) return Either.right(accepted)
      if (!Number.isSafeInteger(limit) || limit < 0)
        return yield* Effect.dieMessage(`appendLimit is ${limit}`)
      const limited = `${canonical} LIMIT ${limit}`
      const seenLimited = forDuckDb(limited)
      const after = Either.isLeft(seenLimited) ? undefined : yield* parse(seenLimited.right.sql)
      return Either.right(
        after !== undefined && Either.isRight(after) && onlyLimited(tree.right, after.right)
          ? { ...accepted, canonical: limited, ...logged(limited), appendedLimit: limit }
          : accepted
      )
    })

    const decide = Effect.fnUntraced(function* (sql: string, policy: ReadOnly.Policy) {
      const statement = read(sql, limits, written)
      if (Either.isLeft(statement)) return Either.left(statement.left)
      const tokens = statement.right
      const semantic = semanticView(tokens)
      if (semantic !== undefined) return Either.left(semantic)
      const rules = ObjectRules.compile(policy.objects, true)
      const known = metadata(tokens, rules, Rules.placeOf(policy, options.namespace), written)
      if (known !== undefined) return known
      const first = tokens[0]!
      if (first.kind === "word" && first.value === "EXPLAIN") {
        if (masks(policy) !== undefined) return Masking.explained(first)
        const prefix = explainPrefix(tokens)
        const verb = prefix === undefined ? undefined : tokens[prefix]
        const options = verb?.text === "(" && explainOptions.has(tokens[(prefix ?? 0) + 1]?.value ?? "")
        if (prefix === undefined || verb === undefined || !isQuery(verb) || options) {
          return reject(
            "NOT_A_READ",
            "EXPLAIN takes a query: EXPLAIN [USING TABULAR | TEXT | JSON] SELECT ...; ANALYZE would run it",
            verb?.start ?? first.start
          )
        }
        const inner = yield* query(tokens.slice(prefix), { ...policy, appendLimit: undefined })
        return Either.map(inner, (accepted): ReadOnly.Accepted => ({
          ...accepted,
          canonical: `${emit(tokens.slice(0, prefix), written)} ${accepted.canonical}`,
          kind: "explain"
        }))
      }
      return isQuery(first) ? yield* query(tokens, policy) : notARead(first.text, first.start, "duckdb")
    })

    /** The text of a view is DuckDB's own SQL, also where statements are Snowflake's. */
    const viewReads = Effect.fnUntraced(function* (
      text: string,
      [database = "", schema = ""]: MaskRules.Table
    ) {
      const statement = read(text, limits, duckdb)
      if (Either.isLeft(statement)) return Either.left(statement.left)
      const from = Masking.viewQuery(statement.right)
      if (from === undefined) return Masking.noView()
      const tree = yield* parse(emit(statement.right.slice(from), duckdb))
      if (Either.isLeft(tree)) return Either.left({ ...tree.left, position: undefined })
      const policy = ReadOnly.defaultPolicy
      const { ctes, functions, problem, references, tellsTypes } = inspect(
        tree.right.statement,
        allowedBy(policy)
      )
      if (problem !== undefined) return Either.left({ ...problem, position: undefined })
      const byName = functions.find((name) => tellsOfObjects(name, policy))
      if (byName !== undefined) return Either.left(Names.readsByName(byName, undefined))
      const byType = functions.find((name) => tellsOfTypes.has(Identifier.lowerAscii(name)))
      if (byType !== undefined)
        return reject(
          "FUNCTION_NOT_ALLOWED",
          `the function ${byType.toUpperCase()} tells the values of a type, which may be those of a masked column`
        )
      const catalog = references.find(({ parts }) =>
        parts.slice(0, -1).some((part) => Identifier.lowerAscii(part) === "information_schema")
      )
      if (tellsTypes || catalog !== undefined)
        return reject(
          "OBJECT_NOT_ALLOWED",
          `${catalog === undefined ? "DESCRIBE, SUMMARIZE or PIVOT" : spelled(catalog.parts)} tells the values of a type, which may be those of a masked column`
        )
      return Either.right({
        tables: references.map(({ parts }) => Rules.ofView(parts, { database, schema })),
        ctes: ctes.map((name) => [database, schema, Identifier.upper(name)])
      })
    })

    return {
      dialect: "duckdb",
      readsOf: (text, view) =>
        Effect.flatMap(viewReads(text, view), (reads) =>
          Effect.mapError(reads, (rejection) => new ReadOnly.StatementRejected(rejection))
        ),
      check: (sql, policy) =>
        Effect.flatMap(decide(sql, policy), (verdict) =>
          Either.isRight(verdict)
            ? Effect.succeed(verdict.right)
            : Effect.fail(new ReadOnly.StatementRejected(verdict.left))
        )
    }
  })

const isQuery = (token: Token): boolean =>
  token.text === "(" || (token.kind === "word" && queryVerbs.has(token.value))

/**
 * A gate that asks the parser for each statement that it does not remember.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<ReadOnly.ReadOnly> =>
  Layer.effect(ReadOnly.ReadOnly, make(options))
