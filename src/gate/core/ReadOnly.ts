/**
 * The read-only gate for Snowflake. There is no parser of Snowflake's to ask, so the decision is made on
 * the tokens, and everything that is not known to be a read is refused.
 *
 * ```
 * text -> limits, tokens -> one statement -> split on ->> -> SHOW | DESCRIBE | EXPLAIN query | query
 *      -> scan of each query -> canonical text -> LIMIT -> Accepted
 * ```
 *
 * Invariants: what is accepted is the canonical text, never the caller's; checking a canonical text again
 * gives the same text; the work is linear in the length of the text.
 */
import * as Either from "effect/Either"
import { snowflake } from "../../sql/Dialect.js"
import { emit } from "./Emit.js"
import { exceedsBytes, snowflakeLimits, tokenize } from "../../sql/Lexer.js"
import type { Limits, Token } from "../../sql/Lexer.js"
import * as MaskRules from "../../sql/MaskRules.js"
import * as ObjectRules from "../../sql/ObjectRules.js"
import * as Masking from "./Masking.js"
import { inspect } from "./SnowflakeScan.js"
import type { Allowed } from "./SnowflakeScan.js"
import * as Names from "./SnowflakeNames.js"
import * as Show from "./SnowflakeShow.js"
import * as Identifier from "../../sql/Identifier.js"
import { isKeyword, notARead, orName, reject, single } from "../../sql/Statement.js"
import type { Rejection } from "../../sql/Statement.js"

/**
 * What is allowed beyond reads with built-in functions.
 */
export interface Policy {
  /** Upper case unless quoted, qualified as they are called: `DB.SCH.F`. */
  readonly allowFunctions: ReadonlyArray<string>
  /** Rows; appended as LIMIT where the statement has none and that is safe. */
  readonly appendLimit?: number | undefined
  readonly objects?: ObjectRules.Rules | undefined
  /** Where names without a database or a schema are looked up. */
  readonly database?: string | undefined
  readonly schema?: string | undefined
  /** `->>`; allowed when absent. */
  readonly allowFlow?: boolean | undefined
  /** `FROM '@stage/file'`; not allowed when absent. */
  readonly allowStages?: boolean | undefined
  readonly masking?: MaskRules.Masking | undefined
}

interface Accepted {
  readonly canonical: string
  readonly logged?: string | undefined
  readonly kind: "select" | "show" | "describe" | "explain"
  readonly tables: ReadonlyArray<string>
  readonly functions: ReadonlyArray<string>
  readonly appendedLimit?: number | undefined
}

/** The statements that `->>` chains; only a query may be cut there, never a bracket. */
const segments = (tokens: ReadonlyArray<Token>): ReadonlyArray<ReadonlyArray<Token>> => {
  const parts: Array<ReadonlyArray<Token>> = []
  let start = 0
  for (let at = 0; at <= tokens.length; at++) {
    const token = tokens[at]
    if (token === undefined || (token.text === "->>" && token.kind === "operator" && token.depth === 0)) {
      parts.push(tokens.slice(start, at))
      start = at + 1
    }
  }
  return parts
}

/** The words of EXPLAIN before the query it explains. */
const explainPrefix = (tokens: ReadonlyArray<Token>): number => {
  if (tokens[1]?.value !== "USING") return 1
  return ["TABULAR", "TEXT", "JSON"].includes(tokens[2]?.value ?? "") ? 3 : 1
}

/** SHOW, and DESCRIBE of anything but a table or view, tell of more than may be read. */
const notWhileRestricted = (tokens: ReadonlyArray<Token>): Either.Either<never, Rejection> =>
  reject(
    "OBJECT_NOT_ALLOWED",
    `${tokens[0]?.value} is not available while objects are restricted, but for DESCRIBE TABLE | VIEW`,
    tokens[0]?.start,
    "list_databases, list_schemas, list_tables, list_views and describe_table show what may be read"
  )

const segment = (
  tokens: ReadonlyArray<Token>,
  allowed: Allowed,
  names: Names.Names,
  restricted: boolean,
  masks: boolean
): Either.Either<Accepted["kind"], Rejection> => {
  const first = tokens[0]
  if (first === undefined) return reject("SYNTAX", "a statement is missing before or after ->>")
  const metadata = Show.parse(tokens)
  if (metadata !== undefined) {
    return Either.flatMap(metadata, ({ kind, table }) => {
      if (table === undefined && restricted) return notWhileRestricted(tokens)
      const hidden = masks ? Masking.metadata(tokens, table !== undefined) : Either.void
      if (Either.isLeft(hidden)) return Either.left(hidden.left)
      if (table !== undefined) {
        names.tables.add(table.map((part) => part.text).join("."))
        names.references.push({ parts: table.map((part) => part.value), token: table[0] })
      }
      return Either.right(kind)
    })
  }
  const explains = isKeyword(tokens, 0, "EXPLAIN")
  if (explains && masks) return Masking.explained(first)
  const from = explains ? explainPrefix(tokens) : 0
  const verb = tokens[from]
  const query = verb?.text === "(" || (verb?.kind === "word" && /^(?:SELECT|WITH|VALUES)$/.test(verb.value))
  if (!query) {
    return explains
      ? reject(
          "NOT_A_READ",
          "EXPLAIN takes a query: EXPLAIN [USING TABULAR | TEXT | JSON] SELECT ...",
          verb?.start ?? first.start
        )
      : notARead(first.text, first.start, "snowflake")
  }
  const problem = inspect(tokens, from, allowed, names)
  return problem === undefined ? Either.right(explains ? "explain" : "select") : Either.left(problem)
}

const sized = new Set(["LIMIT", "FETCH", "OFFSET", "TOP"])

/** Whether a LIMIT may follow: a query that has no size of its own and that plainly has come to its end. */
const takesLimit = (tokens: ReadonlyArray<Token>): boolean => {
  const last = tokens[tokens.length - 1]
  return (
    tokens[0]?.value !== "VALUES" &&
    last?.kind !== "operator" &&
    !tokens.some((token) => token.depth === 0 && token.kind === "word" && sized.has(token.value))
  )
}

/**
 * The statement as it is to be executed, or why it is refused.
 */
export const check = (
  sql: string,
  policy: Policy,
  limits: Limits = snowflakeLimits
): Either.Either<Accepted, Rejection> => {
  const read = tokenize(sql, snowflake, limits)
  if (Either.isLeft(read)) return reject(read.left.code, read.left.message, read.left.position)
  const statement = single(read.right)
  if (Either.isLeft(statement)) return Either.left(statement.left)
  const tokens = statement.right
  const names = Names.none()
  const allowed: Allowed = {
    functions: new Set(policy.allowFunctions),
    stages: policy.allowStages === true
  }
  const rules = ObjectRules.compile(policy.objects, false)
  const parts = segments(tokens)
  if (parts.length > 1 && policy.allowFlow === false) {
    return reject(
      "NOT_A_READ",
      "chains of statements (->>) are not available; send one SELECT, with WITH for its steps",
      parts[0]?.[parts[0].length - 1]?.end,
      "an operator can allow them with allow_flow for the tier"
    )
  }
  const masking =
    policy.masking === undefined || MaskRules.isEmpty(policy.masking.masks) ? undefined : policy.masking
  if (parts.length > 1 && masking !== undefined) return Masking.chained(parts[0]?.[parts[0].length - 1])
  let kind: Accepted["kind"] = "select"
  for (const part of parts) {
    const decided = segment(part, allowed, names, rules !== undefined, masking !== undefined)
    if (Either.isLeft(decided)) {
      const { code, position } = decided.left
      const at = part.findIndex(({ start }) => start === position)
      const isOfWords = code === "SYNTAX" || code === "NOT_A_READ"
      return Either.left(
        isOfWords && at > 0 ? orName(decided.left, Identifier.reserved, part, at) : decided.left
      )
    }
    kind = decided.right
  }
  const refused = Names.refused(names, rules, { ...policy, allowed: allowed.functions })
  if (refused !== undefined) return Either.left(refused)
  let sent = tokens
  if (masking !== undefined && kind === "select") {
    const place = { ...policy, functions: allowed.functions, objects: rules, searchesPublic: true }
    const masked = Masking.mask(tokens, masking, place, limits)
    if (Either.isLeft(masked)) return Either.left(masked.left)
    sent = masked.right.tokens
  }
  const canonical = emit(sent, snowflake)
  // Spaces and unfolded strings can make it longer than the caller's text, which was within the limits.
  if (exceedsBytes(canonical, limits.bytes))
    return reject("TOO_LARGE", `the statement is longer than ${limits.bytes} bytes`)
  const done = (text: string): Accepted => ({
    canonical: text,
    ...(masking === undefined ? {} : { logged: MaskRules.withoutKey(text, masking) }),
    kind,
    tables: [...names.tables],
    functions: [...names.functions]
  })
  const limit = policy.appendLimit
  if (limit === undefined || kind !== "select" || parts.length > 1 || !takesLimit(sent))
    return Either.right(done(canonical))
  const limited = `${canonical} LIMIT ${limit}`
  const fits = !exceedsBytes(limited, limits.bytes) && sent.length + 2 <= limits.tokens
  return Either.right(fits ? { ...done(limited), appendedLimit: limit } : done(canonical))
}
