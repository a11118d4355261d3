/**
 * SHOW and DESCRIBE of Snowflake, decided from the tokens: known kinds of objects, then names, patterns
 * and numbers, and nothing that could be evaluated.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import type { Token } from "./Lexer.js"
import { types, writes } from "./SnowflakeWords.js"
import { reject } from "./Statement.js"
import type { Rejection } from "./Statement.js"

const lines = (text: string): ReadonlySet<string> =>
  new Set(text.split(",").map((line) => line.trim().replace(/\s+/g, " ")))

/** What SHOW lists. A kind that is not here is refused until somebody has looked at it. */
const shown = lines(`
  ACCOUNTS, AGENTS, AGGREGATION POLICIES, ALERTS, API INTEGRATIONS, APPLICATION PACKAGES, APPLICATION ROLES,
  APPLICATIONS, AUTHENTICATION POLICIES, BACKUP POLICIES, BACKUP SETS, CATALOG INTEGRATIONS, CHANNELS, CLASSES,
  COLUMNS, COMPUTE POOLS, CONNECTIONS, CONTACTS, CORTEX SEARCH SERVICES, DATA METRIC FUNCTIONS, DATABASE ROLES,
  DATABASES, DATASETS, DELEGATED AUTHORIZATIONS, DYNAMIC TABLES, ENDPOINTS, EVENT TABLES, EXTERNAL ACCESS INTEGRATIONS,
  EXTERNAL FUNCTIONS, EXTERNAL TABLES, EXTERNAL VOLUMES, FAILOVER GROUPS, FEATURE POLICIES, FILE FORMATS, FUNCTIONS,
  FUTURE GRANTS, GATEWAYS, GIT BRANCHES, GIT REPOSITORIES, GIT TAGS, GLOBAL ACCOUNTS, GRANTS, HYBRID TABLES,
  ICEBERG TABLES, IMAGE REPOSITORIES, IMAGES, IMPORTED KEYS, INDEXES, INTEGRATIONS, JOB SERVICES, JOIN POLICIES,
  LISTINGS, MANAGED ACCOUNTS, MASKING POLICIES, MATERIALIZED VIEWS, MODEL MONITORS, MODELS, NETWORK POLICIES,
  NETWORK RULES, NOTEBOOKS, NOTIFICATION INTEGRATIONS, OBJECTS, ORGANIZATION ACCOUNTS, ORGANIZATION USERS,
  PACKAGES POLICIES, PARAMETERS, PASSWORD POLICIES, PIPES, PRIMARY KEYS, PRIVACY POLICIES, PROCEDURES,
  PROJECTION POLICIES, REGIONS, REPLICATION ACCOUNTS, REPLICATION DATABASES, REPLICATION GROUPS, RESOURCE MONITORS,
  ROLES, ROW ACCESS POLICIES, SCHEMAS, SECRETS, SECURITY INTEGRATIONS, SEMANTIC DIMENSIONS, SEMANTIC FACTS,
  SEMANTIC METRICS, SEMANTIC VIEWS, SEQUENCES, SERVICE CONTAINERS, SERVICE INSTANCES, SERVICES, SESSION POLICIES,
  SHARES, STAGES, STORAGE INTEGRATIONS, STREAMLITS, STREAMS, TABLES, TAGS, TASKS, TYPES, UNIQUE KEYS,
  USER FUNCTIONS, USER PROCEDURES, USERS, VARIABLES, VERSIONS, VIEWS, WAREHOUSES, WORKSPACES`)

/** What DESCRIBE describes. */
const described = lines(`
  AGENT, AGGREGATION POLICY, ALERT, API INTEGRATION, APPLICATION, APPLICATION PACKAGE, AUTHENTICATION POLICY,
  CATALOG INTEGRATION, COMPUTE POOL, CORTEX SEARCH SERVICE, DATABASE, DYNAMIC TABLE, EVENT TABLE,
  EXTERNAL ACCESS INTEGRATION, EXTERNAL TABLE, EXTERNAL VOLUME, FILE FORMAT, FUNCTION, GIT REPOSITORY,
  ICEBERG TABLE, INTEGRATION, JOIN POLICY, LISTING, MASKING POLICY, MATERIALIZED VIEW, MODEL MONITOR,
  NETWORK POLICY, NETWORK RULE, NOTEBOOK, NOTIFICATION INTEGRATION, PACKAGES POLICY, PASSWORD POLICY, PIPE,
  PRIVACY POLICY, PROCEDURE, PROJECTION POLICY, RESULT, ROW ACCESS POLICY, SCHEMA, SEARCH OPTIMIZATION ON, SECRET,
  SECURITY INTEGRATION, SEMANTIC VIEW, SEQUENCE, SERVICE, SESSION POLICY, SHARE, STAGE, STORAGE INTEGRATION, STREAM,
  STREAMLIT, TABLE, TASK, TYPE, USER, VIEW, WAREHOUSE`)

const clauses = new Set(["FOR", "FROM", "HISTORY", "IN", "LIKE", "LIMIT", "OF", "ON", "STARTS", "TO", "WITH"])

/** Kinds that tell what other users have asked, or are asking: query ids of theirs. */
const aboutOthers = lines("LOCKS, TRANSACTIONS")

const ofOthers = (what: string, token: Token | undefined): Either.Either<never, Rejection> =>
  reject(
    "NOT_A_READ",
    `${what} is not available: it tells what other clients have asked; get_query_results reads on in a result`,
    token?.start
  )

const unexpected = (token: Token | undefined, wanted: string): Either.Either<never, Rejection> =>
  reject(
    "SYNTAX",
    `expected ${wanted}${token === undefined ? " at the end" : `, found ${token.text}`}`,
    token?.start
  )

/** How many words from `at` on name a kind; the longest wins. */
const kindLength = (tokens: ReadonlyArray<Token>, at: number, kinds: ReadonlySet<string>): number => {
  let text = ""
  let length = 0
  for (let i = at; i < at + 4 && tokens[i]?.kind === "word"; i++) {
    text = text === "" ? tokens[i]!.value : `${text} ${tokens[i]!.value}`
    if (kinds.has(text)) length = i - at + 1
  }
  return length
}

const isName = (token: Token | undefined): boolean => token?.kind === "word" || token?.kind === "quoted"
const isText = (token: Token | undefined): boolean => token?.kind === "string" || token?.kind === "dollar"

/** Offset after `IDENTIFIER('...')` at `at`, or `at` where there is none. */
const identifierEnd = (tokens: ReadonlyArray<Token>, at: number): number => {
  const argument = tokens[at + 2]
  return tokens[at]?.kind === "word" &&
    tokens[at]?.value === "IDENTIFIER" &&
    tokens[at + 1]?.text === "(" &&
    (isText(argument) || argument?.kind === "variable") &&
    tokens[at + 3]?.text === ")"
    ? at + 4
    : at
}

/** The name of the one table or view that is meant, where it is one and is plainly written. */
type Table = ReadonlyArray<Token> | undefined

const show = (tokens: ReadonlyArray<Token>): Either.Either<Table, Rejection> => {
  const first = tokens[1]?.kind === "word" && tokens[1].value === "TERSE" ? 2 : 1
  const length = kindLength(tokens, first, shown)
  const hidden = kindLength(tokens, first, aboutOthers)
  if (hidden > 0) return ofOthers(`SHOW ${tokens[first]!.value}`, tokens[first])
  if (length === 0) {
    const named = tokens.slice(first, first + 3).map((token) => token.text)
    return reject(
      "NOT_A_READ",
      `SHOW ${named.join(" ")} is not available; SHOW lists objects, as in SHOW TABLES, VIEWS, SCHEMAS, COLUMNS or GRANTS`,
      tokens[first]?.start
    )
  }
  let at = first + length
  const clause = tokens[at]
  if (clause !== undefined && (clause.kind !== "word" || !clauses.has(clause.value))) {
    return unexpected(clause, "LIKE, IN, ON, TO, STARTS WITH or LIMIT")
  }
  while (at < tokens.length) {
    const end = identifierEnd(tokens, at)
    if (end > at) {
      at = end
      continue
    }
    const token = tokens[at]!
    const known =
      isName(token) || isText(token) || token.kind === "number" || token.text === "." || token.text === ","
    if (!known || (token.kind === "word" && writes.has(token.value) && tokens[at - 1]?.text !== ",")) {
      return unexpected(token, "a name, a pattern or a number")
    }
    at++
  }
  return Either.right(undefined)
}

const describe = (tokens: ReadonlyArray<Token>): Either.Either<Table, Rejection> => {
  // `DESC TABLE.x` and `DESC user` name an object of the default kind.
  let length = kindLength(tokens, 1, described)
  if (!isName(tokens[1 + length]) && !isText(tokens[1 + length])) length = 0
  const kind = tokens
    .slice(1, 1 + length)
    .map((token) => token.value)
    .join(" ")
  let at = 1 + length
  if (kind === "RESULT") return ofOthers("DESCRIBE RESULT", tokens[1])
  const parts: Array<Token> = []
  const identifier = identifierEnd(tokens, at)
  if (identifier > at) at = identifier
  else {
    while (isName(tokens[at]) && parts.length < 3) {
      const part = tokens[at]!
      if (part.kind === "word" && writes.has(part.value) && parts.length === 0) break
      parts.push(part)
      at++
      if (parts.length === 3 || tokens[at]?.text !== "." || !isName(tokens[at + 1])) break
      at++
    }
    if (parts.length === 0) return unexpected(tokens[at], "the name of an object")
  }
  if ((kind === "FUNCTION" || kind === "PROCEDURE") && tokens[at]?.text === "(") {
    at++
    // Signatures hold type names, and commas and lengths between them.
    while (at < tokens.length && tokens[at]?.text !== ")") {
      const token = tokens[at]!
      const ok = (token.kind === "word" && types.has(token.value)) || token.text === ","
      if (!ok) return unexpected(token, "a type")
      at++
    }
    at++
  }
  if (kind.endsWith("TABLE") || kind === "") {
    const type = tokens[at + 2]?.value
    if (
      tokens[at]?.value === "TYPE" &&
      tokens[at + 1]?.text === "=" &&
      (type === "COLUMNS" || type === "STAGE")
    )
      at += 3
  }
  if (at < tokens.length) return unexpected(tokens[at], "nothing after the name")
  const isTable = kind === "" || /(?:TABLE|VIEW)$/.test(kind)
  return Either.right(isTable && parts.length > 0 ? parts : undefined)
}

/**
 * The table that a metadata read names; undefined when it is no such read.
 *
 * @since 0.1.0
 * @category parsing
 */
export const parse = (
  tokens: ReadonlyArray<Token>
): Either.Either<{ readonly kind: "show" | "describe"; readonly table: Table }, Rejection> | undefined => {
  const verb = tokens[0]?.kind === "word" ? tokens[0].value : ""
  if (verb === "SHOW") return Either.map(show(tokens), (table) => ({ kind: "show" as const, table }))
  if (verb !== "DESC" && verb !== "DESCRIBE") return undefined
  return Either.map(describe(tokens), (table) => ({ kind: "describe" as const, table }))
}
