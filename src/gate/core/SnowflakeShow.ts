/**
 * SHOW and DESCRIBE of Snowflake, decided from the tokens: known kinds of objects, then names, patterns
 * and numbers, and nothing that could be evaluated.
 */
import * as Either from "effect/Either"
import type { Token } from "../../sql/Lexer.js"
import { identified } from "./SnowflakeCalls.js"
import { isName, isWord } from "./SnowflakeFrame.js"
import { types, writes } from "./SnowflakeGrammar.js"
import { reject } from "../../sql/Statement.js"
import type { Rejection } from "../../sql/Statement.js"

const lines = (text: string): ReadonlySet<string> =>
  new Set(text.split(",").map((line) => line.trim().replace(/\s+/g, " ")))

/** What SHOW lists, as its documentation has it. A kind that is not here is refused. */
const shown = lines(`
  ACCOUNTS, AGENTS, AGGREGATION POLICIES, ALERTS, API INTEGRATIONS, APPLICATION PACKAGES,
  APPLICATION ROLES, APPLICATION SERVICES, APPLICATION SPECIFICATIONS, APPLICATIONS,
  ARTIFACT REPOSITORIES, AUTHENTICATION POLICIES, AVAILABLE LISTINGS, AVAILABLE OFFERS,
  AVAILABLE ORGANIZATION PROFILES, BACKUP POLICIES, BACKUP SETS, BACKUPS, BUDGETS, CATALOG INTEGRATIONS,
  CHANNELS, CLASSES, CODE BUNDLES, COLUMNS, COMPUTE POOL INSTANCE FAMILIES, COMPUTE POOLS, CONFIGURATIONS,
  CONNECTIONS, CONTACTS, CORTEX BASE MODELS, CORTEX SEARCH SERVICES, DATA METRIC FUNCTIONS,
  DATA MOVEMENT POLICIES, DATA MOVEMENT RULES, DATABASE ROLES, DATABASES, DATASETS, DBT PROJECTS,
  DCM PROJECTS, DELEGATED AUTHORIZATIONS, DEPLOYMENTS, DYNAMIC TABLES, ENDPOINTS, ENTITIES, EVENT TABLES,
  EXPERIMENTS, EXTERNAL ACCESS INTEGRATIONS, EXTERNAL AGENTS, EXTERNAL FUNCTIONS, EXTERNAL TABLES,
  EXTERNAL VOLUMES, FAILOVER GROUPS, FEATURE POLICIES, FILE FORMATS, FUNCTIONS, FUTURE GRANTS, GATEWAYS,
  GIT BRANCHES, GIT REPOSITORIES, GIT TAGS, GLOBAL ACCOUNTS, GRANTS, HYBRID TABLES, ICEBERG TABLES,
  IMAGE REPOSITORIES, IMAGES, IMPORTED KEYS, INDEXES, INTEGRATIONS, INTERACTIVE TABLES, JOB SERVICES,
  JOIN POLICIES, LISTINGS, MAINTENANCE POLICIES, MANAGED ACCOUNTS, MASKING POLICIES, MATERIALIZATIONS,
  MATERIALIZED VIEWS, MCP SERVERS, MFA METHODS, MODEL MONITORS, MODELS, NETWORK POLICIES, NETWORK RULES,
  NODES, NOTEBOOK PROJECTS, NOTEBOOKS, NOTIFICATION INTEGRATIONS, OBJECTS, OBJECTS OWNED,
  OFFERS, ONLINE FEATURE TABLES, OPENFLOW DATA PLANE INTEGRATIONS, ORGANIZATION ACCOUNTS,
  ORGANIZATION PROFILES, ORGANIZATION USER GROUPS, ORGANIZATION USERS, PACKAGES POLICIES, PARAMETERS,
  PASSWORD POLICIES, PIPES, POSTGRES INSTANCES, PRICING PLANS, PRIMARY KEYS, PRIVACY POLICIES, PRIVILEGES,
  PROCEDURES, PROJECTION POLICIES, REFERENCES, REGIONS, RELEASE CHANNELS, RELEASE DIRECTIVES,
  REPLICATION ACCOUNTS, REPLICATION DATABASES, REPLICATION GROUPS, RESOURCE MONITORS,
  RESTRICTED SESSION SCOPES, ROLES, ROW ACCESS POLICIES, RUN METRICS, RUN PARAMETERS, RUNS, SCHEMAS,
  SECRETS, SECURITY INTEGRATIONS, SEMANTIC DIMENSIONS, SEMANTIC FACTS, SEMANTIC METRICS, SEMANTIC VIEWS,
  SEQUENCES, SERVICE CONTAINERS, SERVICE INSTANCES, SERVICE VOLUMES, SERVICES, SESSION POLICIES, SHARES,
  SNAPSHOT POLICIES, SNAPSHOT SETS, SNAPSHOTS, SPECIFICATIONS, STAGES, STORAGE INTEGRATIONS,
  STORAGE LIFECYCLE POLICIES, STREAMLITS, STREAMS, TABLES, TAGS, TASKS, TELEMETRY EVENT DEFINITIONS,
  TYPES, UNIQUE KEYS, USER FUNCTIONS, USER PROCEDURES, USER PROGRAMMATIC ACCESS TOKENS,
  USER WORKLOAD IDENTITY AUTHENTICATION METHODS, USERS, VARIABLES, VERSIONS, VIEWS, WAREHOUSES,
  WORKSPACES, ZEROCOPY CONNECTORS`)

/** What DESCRIBE describes. */
const described = lines(`
  AGENT, AGGREGATION POLICY, ALERT, API INTEGRATION, APPLICATION, APPLICATION PACKAGE,
  APPLICATION SERVICE, AUTHENTICATION POLICY, AVAILABLE LISTING, AVAILABLE ORGANIZATION PROFILE,
  BACKUP POLICY, BACKUP SET, CATALOG INTEGRATION, COMPUTE POOL, CONFIGURATION, CONTACT,
  CORTEX SEARCH SERVICE, DATA MOVEMENT POLICY, DATA MOVEMENT RULE, DATABASE, DBT PROJECT, DCM PROJECT,
  DYNAMIC TABLE, EVENT TABLE, EXTERNAL ACCESS INTEGRATION, EXTERNAL AGENT, EXTERNAL TABLE,
  EXTERNAL VOLUME, FEATURE POLICY, FILE FORMAT, FUNCTION, GATEWAY, GIT REPOSITORY, HYBRID TABLE,
  ICEBERG TABLE, INTEGRATION, INTERACTIVE TABLE, JOIN POLICY, LISTING, MAINTENANCE POLICY, MASKING POLICY,
  MATERIALIZED VIEW, MCP SERVER, MODEL MONITOR, NETWORK POLICY, NETWORK RULE, NOTEBOOK,
  NOTIFICATION INTEGRATION, OFFER, ONLINE FEATURE TABLE, OPENFLOW DATA PLANE INTEGRATION,
  ORGANIZATION PROFILE, PACKAGES POLICY, PASSWORD POLICY, PIPE, POSTGRES INSTANCE, PRICING PLAN,
  PRIVACY POLICY, PROCEDURE, PROJECTION POLICY, RESTRICTED SESSION SCOPE, RESULT, ROW ACCESS POLICY,
  SCHEMA, SEARCH OPTIMIZATION ON, SECRET, SECURITY INTEGRATION, SEMANTIC VIEW, SEQUENCE, SERVICE,
  SESSION POLICY, SHARE, SNAPSHOT, SNAPSHOT POLICY, SNAPSHOT SET, SPECIFICATION, STAGE,
  STORAGE INTEGRATION, STORAGE LIFECYCLE POLICY, STREAM, STREAMLIT, TABLE, TASK, TRANSACTION, TYPE, USER,
  VIEW, WAREHOUSE, WORKSPACE, ZEROCOPY CONNECTOR`)

/** Where SHOW looks, beside what can be described: IN, ON, TO, OF or FOR one of these. */
const containers = new Set([
  ...described,
  ...lines(`
  ACCOUNT, APPLICATION ROLE, ARTIFACT REPOSITORY, BACKUP SET, CLASS, CONNECTION, DATA EXCHANGE,
  DATABASE ROLE, DATASET, EXPERIMENT, FAILOVER GROUP, IMAGE REPOSITORY, INSTANCE, METRIC, MODEL,
  ORGANIZATION, ORGANIZATION ACCOUNT, RELEASE CHANNEL, REPLICATION GROUP, RESOURCE MONITOR, ROLE, SESSION, TAG`)
])

/** Those that mean the current one without a name. */
const nameless = lines("ACCOUNT, ORGANIZATION, SESSION, DATABASE, SCHEMA, TABLE, VIEW, USER, WAREHOUSE")

/** Kinds that tell what other users have asked, or are asking: query ids of theirs. */
const aboutOthers = lines("LOCKS, TRANSACTIONS")

/** What WITH PRIVILEGES asks for. */
const privileges = lines(
  `APPLYBUDGET, CREATE SCHEMA, IMPORTED PRIVILEGES, MODIFY, MONITOR, OPERATE, OWNERSHIP, USAGE`
)

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
  for (let i = at; i < at + 6 && tokens[i]?.kind === "word"; i++) {
    text = text === "" ? tokens[i]!.value : `${text} ${tokens[i]!.value}`
    if (kinds.has(text)) length = i - at + 1
  }
  return length
}

const isText = (token: Token | undefined): boolean => token?.kind === "string" || token?.kind === "dollar"

/** Offset after `IDENTIFIER('...')` at `at`, or `at` where there is none. */
const identifierEnd = (tokens: ReadonlyArray<Token>, at: number): number => {
  const isCall = isWord(tokens[at], "IDENTIFIER") && tokens[at + 1]?.text === "("
  const found = isCall ? identified(tokens, at + 1) : undefined
  return found === undefined ? at : found.close + 1
}

/** Offset after the name of one object, also `db..table`, at `at`, or `at` where there is none. */
const nameEnd = (tokens: ReadonlyArray<Token>, at: number): number => {
  if (isWord(tokens[at], "IDENTIFIER") && tokens[at + 1]?.text === "(") return identifierEnd(tokens, at)
  if (!isName(tokens[at])) return at
  let end = at + 1
  for (let parts = 1; parts < 5 && tokens[end]?.text === "."; parts++) {
    const next = tokens[end + 1]?.text === "." ? end + 2 : end + 1
    if (!isName(tokens[next])) return at
    end = next + 1
  }
  return end
}

/** Offset after the types that a signature holds, at the bracket `at`; -1 where it holds something else. */
const signatureEnd = (tokens: ReadonlyArray<Token>, at: number): number => {
  let depth = 0
  for (let i = at; i < tokens.length; i++) {
    const token = tokens[i]!
    if (token.text === "(") depth++
    else if (token.text === ")") {
      depth--
      if (depth === 0) return i + 1
    } else if (
      !(token.kind === "word" && types.has(token.value)) &&
      token.text !== "," &&
      token.kind !== "number"
    )
      return -1
    // `NUMBER(10, 2)`, and no bracket behind anything else.
    if (token.text === "(" && i > at && !isName(tokens[i - 1])) return -1
  }
  return -1
}

/** The name of the one table or view that is meant, where it is one and is plainly written. */
type Table = ReadonlyArray<Token> | undefined

const clauseNames = lines(
  "BY, FOR, FROM, HISTORY, IN, LIKE, LIMIT, OF, ON, ROOT, RUN, STARTS, TO, VERSION, WITH"
)

/** The kinds to name beside one that does not exist: those that share a word with it, or how a word begins. */
const alike = (asked: ReadonlyArray<string>): ReadonlyArray<string> => {
  const begins = (word: string): string => word.slice(0, 3)
  const likeness = (kind: string): number => {
    const words = kind.split(" ")
    if (words.some((word) => asked.includes(word))) return 3
    if (words.some((word) => asked.includes(word.replace(/S$/, "")))) return 2
    return words.some((word) => asked.some((each) => begins(each) === begins(word))) ? 1 : 0
  }
  return [...shown]
    .map((kind) => ({ kind, score: likeness(kind) * 10 - kind.split(" ").length }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score)
    .slice(0, 6)
    .map(({ kind }) => kind)
}

const unknownKind = (tokens: ReadonlyArray<Token>, first: number): Either.Either<never, Rejection> => {
  const words: Array<string> = []
  for (let at = first; tokens[at]?.kind === "word" && words.length < 3; at++) {
    if (clauseNames.has(tokens[at]!.value)) break
    words.push(tokens[at]!.value)
  }
  const near = alike(words)
  return reject(
    "NOT_A_READ",
    `SHOW ${words.join(" ")} is not available; ` +
      (near.length > 0 ? `the nearest kinds are ${near.join(", ")}; ` : "") +
      `SHOW takes the ${shown.size} documented kinds of objects, such as DATABASES, SCHEMAS, TABLES, VIEWS, COLUMNS, ` +
      "FUNCTIONS, STAGES, TASKS, WAREHOUSES, ROLES, GRANTS and PARAMETERS",
    tokens[first]?.start
  )
}

/** The instances of a class: `SHOW SNOWFLAKE.ML.FORECAST`. */
const classEnd = (tokens: ReadonlyArray<Token>, at: number): number => {
  const end = isWord(tokens[at], "SNOWFLAKE") && tokens[at + 1]?.text === "." ? nameEnd(tokens, at) : at
  return end > at && isWord(tokens[end], "INSTANCES") ? end + 1 : end
}

const show = (tokens: ReadonlyArray<Token>): Either.Either<Table, Rejection> => {
  const terse = isWord(tokens[1], "TERSE") ? 2 : 1
  const first = isWord(tokens[terse], "AS") && isWord(tokens[terse + 1], "RESOURCE") ? terse + 2 : terse
  const length = kindLength(tokens, first, shown)
  const hidden = kindLength(tokens, first, aboutOthers)
  if (hidden > 0) return ofOthers(`SHOW ${tokens[first]!.value}`, tokens[first])
  let at = length > 0 ? first + length : classEnd(tokens, first)
  if (at === first) return unknownKind(tokens, first)
  const seen = new Set<string>()
  while (at < tokens.length) {
    const clause = tokens[at]!
    const name = clause.kind === "word" ? clause.value : ""
    // SHOW AVAILABLE LISTINGS IS_SHARED_WITH_ME = TRUE
    const value = tokens[at + 2]
    if (name !== "" && tokens[at + 1]?.text === "=" && (isWord(value, "TRUE") || isWord(value, "FALSE"))) {
      at += 3
      continue
    }
    if (!clauseNames.has(name) || seen.has(name)) {
      return unexpected(clause, "LIKE, IN, ON, TO, STARTS WITH or LIMIT")
    }
    seen.add(name)
    at++
    switch (name) {
      case "HISTORY":
        break
      case "ROOT":
        if (!isWord(tokens[at], "ONLY")) return unexpected(tokens[at], "ONLY")
        at++
        break
      case "LIKE":
        if (!isText(tokens[at])) return unexpected(tokens[at], "a pattern in quotes")
        at++
        break
      case "VERSION":
        if (!isText(tokens[at]) && !isName(tokens[at])) return unexpected(tokens[at], "a version")
        at++
        break
      case "STARTS":
        if (!isWord(tokens[at], "WITH") || !isText(tokens[at + 1]))
          return unexpected(tokens[at], "WITH '...'")
        at += 2
        break
      case "LIMIT":
        if (tokens[at]?.kind !== "number") return unexpected(tokens[at], "a number of rows")
        at++
        break
      case "WITH": {
        if (isWord(tokens[at], "PRIMARY")) {
          const end = nameEnd(tokens, at + 1)
          if (end === at + 1) return unexpected(tokens[end], "the name of an object")
          at = end
          break
        }
        if (!isWord(tokens[at], "PRIVILEGES")) return unexpected(tokens[at], "PRIVILEGES")
        do {
          const words = kindLength(tokens, at + 1, privileges)
          if (words === 0) return unexpected(tokens[at + 1], "a privilege")
          at += words + 1
        } while (tokens[at]?.text === ",")
        break
      }
      default: {
        // LIMIT 5 FROM 'x'
        if (name === "FROM" && isText(tokens[at])) {
          if (!seen.has("LIMIT")) return unexpected(clause, "LIMIT before FROM")
          at++
          break
        }
        const words = kindLength(tokens, at, containers)
        const bare = kindLength(tokens, at, nameless)
        const dotted = tokens[at + words]?.text === "."
        const after = dotted ? at : at + words
        const next = tokens[after]
        const ends = next === undefined || (next.kind === "word" && clauseNames.has(next.value))
        // `IN SCHEMA` means the current one; a name follows otherwise, also where it looks like a clause.
        if (ends && bare > 0 && bare === words && !dotted) {
          at = after
          break
        }
        let end = nameEnd(tokens, after)
        // `IN table` where the kind is the name.
        if (end === after && words > 0 && !dotted && ends) end = after
        else if (end === after) return unexpected(tokens[after], "the name of an object")
        if (tokens[end]?.text === "(" && /(?:FUNCTION|PROCEDURE)$/.test(tokens[after - 1]?.value ?? "")) {
          end = signatureEnd(tokens, end)
          if (end < 0) return unexpected(tokens[after], "types between the brackets")
        }
        at = end
      }
    }
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
  if (kind === "RESULT" || kind === "TRANSACTION") return ofOthers(`DESCRIBE ${kind}`, tokens[1])
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
    const end = signatureEnd(tokens, at)
    if (end < 0) return unexpected(tokens[at + 1], "types between the brackets")
    at = end
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
 */
export const parse = (
  tokens: ReadonlyArray<Token>
): Either.Either<{ readonly kind: "show" | "describe"; readonly table: Table }, Rejection> | undefined => {
  const verb = tokens[0]?.kind === "word" ? tokens[0].value : ""
  if (verb === "SHOW") return Either.map(show(tokens), (table) => ({ kind: "show" as const, table }))
  if (verb !== "DESC" && verb !== "DESCRIBE") return undefined
  return Either.map(describe(tokens), (table) => ({ kind: "describe" as const, table }))
}
