/**
 * Which databases, schemas and tables may be named. A rule is a name of one to three parts and means all
 * that is in it: `SALES`, `SALES.PUBLIC`, `SALES.PUBLIC.ORDERS`; `*` stands for any name in its place.
 *
 * Invariants:
 *  - what a rule denies no other rule allows;
 *  - denying ignores the case of names, also in quotes: a session may be told to ignore it, and then `"hr"`
 *    reads HR. Allowing is exact where the warehouse is, so that doubt never permits anything;
 *  - with rules that allow, everything else is refused; without rules everything is allowed;
 *  - Snowflake's own database, whose views tell of everything in the account, needs a rule that names it
 *    as soon as there is any rule.
 */
import { upperAscii } from "./Identifier.js"

/**
 * A name as the warehouse compares it, one entry a part; in a rule `undefined` is any name.
 */
type Pattern = ReadonlyArray<string | undefined>

/**
 * As an operator writes them: unquoted parts mean upper case, `"quoted"` ones are exact, but for the case of
 * what is denied.
 */
export interface Rules {
  readonly allow: ReadonlyArray<string>
  readonly deny: ReadonlyArray<string>
}

export interface Compiled {
  readonly allow: ReadonlyArray<Pattern>
  /** Folded. */
  readonly deny: ReadonlyArray<Pattern>
  /** Names are the same whatever the case of their letters, also in quotes. */
  readonly ignoreCase: boolean
}

export const unrestricted: Rules = { allow: [], deny: [] }

/**
 * What one rule looks like, for readers of files.
 */
export const syntax =
  /^(?:\*|[A-Za-z_][A-Za-z0-9_$]*|"(?:[^"]|"")+")(?:\.(?:\*|[A-Za-z_][A-Za-z0-9_$]*|"(?:[^"]|"")+")){0,2}$/

const part = /\*|[A-Za-z_][A-Za-z0-9_$]*|"(?:[^"]|"")+"/g

const exact = (name: string): string => name
const upper = (name: string): string => name.toUpperCase()

/**
 * How names are compared with what is allowed, no more than a rule names, and with what is denied: that is wider, or a
 * spelling would escape it.
 */
const forAllow = (ignoreCase: boolean): ((name: string) => string) => (ignoreCase ? upperAscii : exact)
const forDeny = upper

const parse = (rule: string, compared: (name: string) => string): Pattern =>
  (rule.match(part) ?? []).map((text) => {
    if (text === "*") return undefined
    return compared(text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text.toUpperCase())
  })

/**
 * Undefined where there are no rules. A rule that is not one is a mistake of the program: it throws.
 */
export const compile = (rules: Rules | undefined, ignoreCase: boolean): Compiled | undefined => {
  if (rules === undefined || (rules.allow.length === 0 && rules.deny.length === 0)) return undefined
  for (const rule of [...rules.allow, ...rules.deny]) {
    if (!syntax.test(rule)) throw new RangeError(`not the name of an object: ${rule}`)
  }
  return {
    allow: rules.allow.map((rule) => parse(rule, forAllow(ignoreCase))),
    deny: rules.deny.map((rule) => parse(rule, forDeny)),
    ignoreCase
  }
}

/** Whether the pattern and the name agree as far as both go. */
const agrees = (pattern: Pattern, name: ReadonlyArray<string>): boolean => {
  for (let at = 0; at < pattern.length && at < name.length; at++) {
    if (pattern[at] !== undefined && pattern[at] !== name[at]) return false
  }
  return true
}

/** Whether the pattern means the whole of what the name stands for. */
const covers = (pattern: Pattern, name: ReadonlyArray<string>): boolean =>
  pattern.length <= name.length && agrees(pattern, name)

const account = "SNOWFLAKE"

type Test = (pattern: Pattern, name: ReadonlyArray<string>) => boolean

const allowedBy = ({ allow, ignoreCase }: Compiled, name: ReadonlyArray<string>, test: Test): boolean => {
  const compared = name.map(forAllow(ignoreCase))
  return name[0]?.toUpperCase() === account
    ? allow.some((pattern) => pattern[0] === account && test(pattern, compared))
    : allow.length === 0 || allow.some((pattern) => test(pattern, compared))
}

const deniedBy = ({ deny }: Compiled, name: ReadonlyArray<string>, test: Test): boolean => {
  const compared = name.map(forDeny)
  return deny.some((pattern) => test(pattern, compared))
}

/**
 * Whether the view lists what else there is in its database; DATABASES lists the databases of the account.
 */
export const tellsOfAll = ([, schema]: ReadonlyArray<string>): boolean =>
  // Also under the name that the embedded warehouse gives it.
  schema?.toUpperCase().endsWith("INFORMATION_SCHEMA") === true

/**
 * Whether the table or view, a full name of three parts, may be read.
 */
export const permits = (rules: Compiled, name: ReadonlyArray<string>): boolean =>
  tellsOfAll(name)
    ? name[2]?.toUpperCase() !== "DATABASES" && permitsAll(rules, name.slice(0, 1))
    : !deniedBy(rules, name, covers) && allowedBy(rules, name, covers)

/**
 * Whether a rule allows the table or view by its own name, and not with all that is in a schema.
 */
export const allowsByName = (rules: Compiled, name: ReadonlyArray<string>): boolean =>
  permits(rules, name) &&
  allowedBy(
    rules,
    name,
    (pattern, compared) =>
      pattern.length === 3 && pattern.every((part) => part !== undefined) && agrees(pattern, compared)
  ) &&
  rules.allow.length > 0

/**
 * Whether anything in the database or the schema may be read, so that it may be shown.
 */
export const shows = (rules: Compiled, name: ReadonlyArray<string>): boolean =>
  !deniedBy(rules, name, covers) && allowedBy(rules, name, agrees)

/**
 * Whether everything in the database or the schema may be read.
 */
export const permitsAll = (rules: Compiled, name: ReadonlyArray<string>): boolean =>
  !deniedBy(rules, name, agrees) && allowedBy(rules, name, covers)

/**
 * Whether a rule denies a table of this name somewhere: no CTE should look like it.
 */
export const namesDenied = (rules: Compiled, table: string): boolean => {
  const name = forDeny(table)
  return rules.deny.some((pattern) => pattern.length === 3 && pattern[2] === name)
}

/**
 * A name of one to three parts in full, given where the statement looks for names; undefined where that
 * is not known. Several answers where the warehouse would look in several places.
 */
export const resolve = (
  parts: ReadonlyArray<string>,
  namespace: { readonly database?: string | undefined; readonly schema?: string | undefined },
  searchesPublic: boolean
): ReadonlyArray<ReadonlyArray<string>> | undefined => {
  const { database, schema } = namespace
  if (parts.length === 3) return [parts]
  if (database === undefined) return undefined
  if (parts.length === 2) return [[database, ...parts]]
  if (schema === undefined || parts.length !== 1) return undefined
  const here = [database, schema, ...parts]
  // Snowflake's SEARCH_PATH is the current schema and then PUBLIC, of which the second is easily forgotten.
  return searchesPublic && schema !== "PUBLIC" ? [here, [database, "PUBLIC", ...parts]] : [here]
}
