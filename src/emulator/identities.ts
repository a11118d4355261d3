/**
 * Who there is in the account: users with their roles, what roles may read, and the tokens that stand for users.
 *
 * ```
 * subject token --token endpoint (RFC 8693)--> token of the account --login--> session (user, role) --grants--> objects
 *  (of a caller)      [client, audience, scope]    (ends by itself)
 * ```
 *
 * Without them every name is a user and a role that may read everything, as long as its password is known.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { inspect } from "../gate/duckdb/ast.js"
import * as Parser from "../gate/duckdb/parser.js"
import * as ObjectRules from "../sql/ObjectRules.js"
import * as Command from "../warehouse/duckdb/command.js"
import type { Client } from "../warehouse/duckdb/client.js"
import { translate } from "../warehouse/duckdb/dialect/snowflake.js"
import type { Column, Row } from "../warehouse/Warehouse.js"
import type { Failure } from "./failures.js"
import * as Failures from "./failures.js"
import type { SecondaryRoles } from "./parser.js"

export interface User {
  readonly password?: string | undefined
  /** The first one is the default. */
  readonly roles: ReadonlyArray<string>
  /** Active with a login; Snowflake's default is `ALL`. */
  readonly defaultSecondaryRoles?: "ALL" | "NONE" | undefined
  /** What `DESCRIBE USER` says of it; a person when absent. */
  readonly type?: "PERSON" | "SERVICE" | "LEGACY_SERVICE" | undefined
  /** The error of OAuth that an exchange for this user is refused with. */
  readonly exchangeRefusedWith?: string | undefined
  /** `USE SECONDARY ROLES` is refused. */
  readonly keepsSecondaryRoles?: boolean | undefined
}

interface Privilege {
  readonly privilege: string
  /** `TABLE`, `SCHEMA`, `DATABASE`, `WAREHOUSE`, `ACCOUNT`, ... */
  readonly on: string
  readonly name: string
  /** With the grant option: the role may grant it to others. */
  readonly grantable?: boolean | undefined
}

export interface Role {
  /** Databases, schemas and tables that may be read: `DB`, `DB.SCHEMA`, `DB.SCHEMA.TABLE`. */
  readonly reads: ReadonlyArray<string>
  /** What `SHOW GRANTS` lists beside reading; what roles that are granted (`USAGE` on `ROLE`) may read, this one may. */
  readonly also?: ReadonlyArray<Privilege> | undefined
}

export interface Directory {
  readonly users: Readonly<Record<string, User>>
  readonly roles: Readonly<Record<string, Role>>
}

const named = <A>(all: Readonly<Record<string, A>>, name: string): A | undefined =>
  Object.entries(all).find(([known]) => known.toUpperCase() === name.toUpperCase())?.[1]

const upper = (names: ReadonlyArray<string>): ReadonlyArray<string> => names.map((name) => name.toUpperCase())

/**
 * What a session may do, as who it is.
 */
export interface Identities {
  readonly userOf: (name: string) => User | undefined
  /** The role of a new session, or why there is none. */
  readonly roleOf: (user: string, asked: string | undefined, granted: string | undefined) => string | Failure
  /** Why the user may not take on these roles. */
  readonly mayTake: (user: string, roles: SecondaryRoles, kind: "role" | "secondary") => Failure | undefined
  /** Roles of the user other than the one that is active. */
  readonly othersOf: (user: string, role: string) => ReadonlyArray<string>
  /** Fails where the statement reads what no active role may. */
  readonly mayRead: (session: Acting, sql: string) => Effect.Effect<void, Failure>
  /** Which rows of a `SHOW` are seen. */
  readonly seen: (session: Acting, sql: string, columns: ReadonlyArray<Column>) => (row: Row) => boolean
  /** Undefined for a role that there is not. */
  readonly grantsTo: (role: string) => ReadonlyArray<Privilege> | undefined
}

interface Acting {
  readonly user: string
  readonly role: string
  readonly secondaryRoles: SecondaryRoles
  readonly database: string | undefined
  readonly schema: string | undefined
}

/** The rule of one who may read nothing: no rule at all would mean everything. */
const NOTHING = '"\u0001"'

interface Named {
  /** What a `SHOW` looks into. */
  readonly inside: { readonly kind: "Database" | "Schema"; readonly parts: ReadonlyArray<string> }
  /** Tables and views, as they are written. */
  readonly objects: ReadonlyArray<ReadonlyArray<string>>
}

const nowhere: Named["inside"] = { kind: "Schema", parts: [] }

/** What a statement names. What cannot be read names nothing, and the engine says what is wrong with it. */
const namesIn = (sql: string, { parse }: Pick<Client, "parse">): Effect.Effect<Named> => {
  const command = Either.getOrUndefined(Command.parse(sql))
  switch (command?._tag) {
    case "Show": {
      const { _tag: kind } = command.scope
      const isWithin = kind === "Database" || kind === "Schema"
      return Effect.succeed({
        inside: isWithin ? { kind, parts: command.scope.name } : nowhere,
        objects: []
      })
    }
    case "Describe":
    case "GetDdl":
      return Effect.succeed({ inside: nowhere, objects: [command.name] })
    default: {
      const translated = translate(sql)
      return Effect.map(parse(translated), (reply): Named => {
        const tree = Parser.read(translated, reply)
        const found = Either.isRight(tree) ? inspect(tree.right.statement, anything).references : []
        return { inside: nowhere, objects: found.map(({ parts }) => parts) }
      })
    }
  }
}

const anything = { functions: new Set<string>(), defined: new Set<string>(), nearest: () => [] }

/**
 * Grants are rules about objects, as the read-only gate has them.
 */
export const make = ({ roles, users }: Directory, engine: Pick<Client, "parse">): Identities => {
  const rolesOf = (user: string) => upper(named(users, user)?.roles ?? [])
  /** With all that are granted to it. */
  const withGranted = (role: string, seen = new Set<string>()): ReadonlySet<string> => {
    if (seen.has(role)) return seen
    seen.add(role)
    for (const { name, on, privilege } of named(roles, role)?.also ?? []) {
      if (privilege === "USAGE" && /^(?:DATABASE_)?ROLE$/.test(on)) withGranted(name, seen)
    }
    return seen
  }
  const othersOf = (user: string, role: string) => rolesOf(user).filter((one) => one !== role)
  const rulesOf = ({ role, secondaryRoles, user }: Acting): ObjectRules.Rules => {
    const also =
      secondaryRoles === "ALL" ? othersOf(user, role) : secondaryRoles === "NONE" ? [] : secondaryRoles
    const active = new Set([role, ...also, "PUBLIC"].flatMap((one) => [...withGranted(one)]))
    const allow = [...active].flatMap((one) => named(roles, one)?.reads ?? [])
    return { allow: allow.length === 0 ? [NOTHING] : allow, deny: [] }
  }
  return {
    userOf: (name) => named(users, name),
    roleOf: (user, asked, granted) => {
      const own = rolesOf(user)
      if (granted !== undefined && asked !== undefined && asked !== granted) {
        return Failures.refusal("390317")
      }
      const role = asked ?? granted ?? own[0] ?? "PUBLIC"
      return own.includes(role) || role === "PUBLIC" ? role : Failures.unknownRole(role)
    },
    mayTake: (user, wanted, kind) => {
      if (kind === "secondary" && named(users, user)?.keepsSecondaryRoles === true) {
        return Failures.secondaryRolesRefused
      }
      const own = rolesOf(user)
      const missing =
        typeof wanted === "string"
          ? undefined
          : wanted.find((role) => !own.includes(role) && role !== "PUBLIC")
      return missing === undefined ? undefined : Failures.roleNotAssigned(missing)
    },
    othersOf,
    mayRead: (session, sql) =>
      Effect.flatMap(namesIn(sql, engine), ({ inside, objects }) => {
        const rules = ObjectRules.compile(rulesOf(session), true)
        if (rules === undefined) return Effect.void
        // It lists what may be seen, and says of the rest that it is not there.
        const [schema = "", database = session.database ?? ""] = [...inside.parts].reverse()
        const where = inside.kind === "Database" ? [schema] : [database, schema]
        if (inside.parts.length > 0 && !ObjectRules.shows(rules, where)) return Effect.fail(Failures.missing)
        const denied = objects.find((parts) => {
          const [full] = ObjectRules.resolve(parts, session, false) ?? []
          return full !== undefined && !ObjectRules.permits(rules, full)
        })
        return denied === undefined ? Effect.void : Effect.fail(Failures.notAuthorized(denied.join(".")))
      }),
    seen: (session, sql, columns) => {
      const rules = ObjectRules.compile(rulesOf(session), false)
      const at = (name: string) => columns.findIndex((column) => column.name === name)
      const [name, database, schema] = [at("name"), at("database_name"), at("schema_name")]
      if (rules === undefined || name < 0 || !/^\s*SHOW\b/i.test(sql)) return () => true
      const text = (row: Row, index: number) => String(row[index] ?? "")
      return (row) =>
        schema >= 0
          ? ObjectRules.permits(rules, [text(row, database), text(row, schema), text(row, name)])
          : database >= 0
            ? ObjectRules.shows(rules, [text(row, database), text(row, name)])
            : ObjectRules.shows(rules, [text(row, name)])
    },
    grantsTo: (role) => {
      const found = named(roles, role)
      if (found === undefined && role !== "PUBLIC") return undefined
      return [
        ...(found?.reads ?? []).map((name): Privilege => {
          const parts = name.split(".").length
          return parts === 3
            ? { privilege: "SELECT", on: "TABLE", name }
            : { privilege: "USAGE", on: parts === 2 ? "SCHEMA" : "DATABASE", name }
        }),
        ...(found?.also ?? [])
      ]
    }
  }
}
