/**
 * For operators: does the login work, as whom, and is everything there that queries will need? What was
 * found, what is wrong and what to do about it, and an exit code. Wakes no warehouse and costs nothing.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type { Principal } from "../../platform/Principal.js"
import { CurrentPrincipal } from "../../platform/Principal.js"
import { listed } from "../../platform/core/format.js"
import * as RequestId from "../../platform/requestId.js"
import { quoted } from "../../sql/Identifier.js"
import type { Cell, Reason, Warehouse, WarehouseError } from "../Warehouse.js"
import * as WarehouseHealth from "../WarehouseHealth.js"
import type { Options } from "../Snowflake.js"
import * as Snowflake from "../Snowflake.js"
import { isPassword, priceOf, where } from "./auth.js"
import { FORBIDDEN, PROXY } from "./classify.js"
import * as Named from "./named.js"

/** Exported: the emitted declarations of other modules name it. */
export interface Report {
  /** What was found, in order. */
  readonly facts: { readonly [name: string]: string }
  readonly warnings: ReadonlyArray<string>
  /** Everything that is wrong, and what to do about it; both or none. */
  readonly wrong?: ReadonlyArray<string> | undefined
  readonly todo?: string | undefined
  /** 0: it works (there may be warnings); 78: the settings must be changed; 69: try again later. */
  readonly exitCode: 0 | 69 | 78
}

/** Roles that come with every account and may do far more than read. */
const systemRoles = ["ACCOUNTADMIN", "ORGADMIN", "GLOBALORGADMIN", "SECURITYADMIN", "SYSADMIN", "USERADMIN"]

const TIMEOUT_MS = 15_000

/** Beyond the time that a person gets to approve a login. */
const APPROVAL_TIMEOUT_MS = 600_000

/** `all`: Snowflake's or the driver's own words would say the same once more. */
interface Diagnosis {
  readonly wrong: string
  readonly todo: string
  readonly all?: boolean
}

const keyPair: Diagnosis = {
  wrong: "the key pair is refused",
  todo: "set the public key for this user (ALTER USER ... SET RSA_PUBLIC_KEY), and check this machine's clock"
}

const diagnosis = ({ code, description, reason }: WarehouseError): Diagnosis => {
  switch (code) {
    case "390100":
      return {
        wrong: "user or password is wrong",
        todo: "correct snowflake.user and snowflake.password: after a few more attempts the user is locked"
      }
    case "390144":
      return keyPair
    case "390186":
    case "390189":
    case "390317":
      return {
        wrong: "the role does not exist or is not granted to the user",
        todo: "correct snowflake.role, or grant it to the user"
      }
    case "390201":
      return {
        wrong: "the warehouse, database or schema of the login does not exist or is not visible to the role",
        todo: "correct snowflake.warehouse, snowflake.database and snowflake.schema"
      }
    // None is set, or the session was not given the one that is.
    case "000606":
      return {
        wrong: "no warehouse is active: none is set, it does not exist, or the role may not use it",
        todo: "correct snowflake.warehouse, or grant USAGE on it to the role"
      }
    case "390420":
    case "390422":
    case "390432":
      return {
        wrong: "a network policy does not let this machine in",
        todo: "ask an administrator of the account to allow this machine's address"
      }
    case "394633":
      return { wrong: "no workload identity is set for this user", todo: "set one, or log in another way" }
    case "invalid_client":
    case "unauthorized_client":
      return {
        wrong: "the identity provider does not accept the client id and secret",
        todo: "correct snowflake.oauth_client_id and snowflake.oauth_client_secret"
      }
    case "invalid_scope":
      return {
        wrong: "the identity provider does not grant the scope",
        todo: "correct snowflake.oauth_scope, or snowflake.role"
      }
    case PROXY:
      return { wrong: "the proxy cannot be used", todo: "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY" }
    case FORBIDDEN:
      return {
        wrong: "the account's host, or a proxy, refuses this machine",
        todo: "check snowflake.account, and the network policy of the account"
      }
    case "ENOTFOUND":
      return {
        wrong: "the account's host does not exist",
        todo: "check snowflake.account (ORGNAME-ACCOUNT), and this machine's name server",
        all: true
      }
    case "ECONNREFUSED":
      return {
        wrong: "nothing listens at the account's address",
        todo: "check snowflake.account, or snowflake.access_url",
        all: true
      }
  }
  if (code?.startsWith("3943") === true) return keyPair
  switch (reason) {
    case "Authentication":
      return { wrong: "the login is refused", todo: "correct the credentials in the section [snowflake]" }
    case "LoginUnavailable":
      return { wrong: "the login cannot be made now", todo: "try again later" }
    case "Unreachable":
      return { wrong: description, todo: "check this machine's network, and try again", all: true }
    case "Overloaded":
    case "ServerFault":
      return { wrong: description, todo: "try again later", all: true }
    default:
      return { wrong: description, todo: correct, all: true }
  }
}

const passing: ReadonlySet<Reason> = new Set<Reason>([
  "Unreachable",
  "Overloaded",
  "ServerFault",
  "LoginUnavailable"
])

/** Settings of a login that a client or a tier may have of its own. */
const inSection = (section: string, todo: string): string =>
  section === "snowflake"
    ? todo
    : todo
        .replaceAll(/\bsnowflake\.(?=(?:user|password|role|warehouse|oauth_\w+)\b)/g, `${section}.`)
        .replaceAll("[snowflake]", `[${section}]`)

const failed = (error: WarehouseError, facts: Report["facts"] = {}, section = "snowflake"): Report => {
  const { all = false, todo, wrong } = diagnosis(error)
  const code = error.code === undefined ? "" : ` [${error.code}]`
  return {
    facts,
    warnings: [],
    wrong: [`${all ? wrong : `${wrong}: ${error.description}`}${code}`],
    todo: inSection(section, todo),
    exitCode: passing.has(error.reason) ? 69 : 78
  }
}

const correct = "correct the section [snowflake] of the configuration"

/**
 * The report of settings with which no login can work.
 */
export const incomplete = (wrong: ReadonlyArray<string>, todo = correct): Report => ({
  facts: {},
  warnings: [],
  wrong,
  todo,
  exitCode: 78
})

const text = (cell: Cell | undefined): string | undefined =>
  cell === null || cell === undefined ? undefined : String(cell)

const look = (
  warehouse: Warehouse["Type"],
  id: () => string,
  sql: string,
  timeoutMs = TIMEOUT_MS
): Effect.Effect<ReadonlyArray<Named.Named>, WarehouseError> =>
  Effect.scoped(
    Effect.flatMap(
      warehouse.execute({
        sql,
        timeoutMs,
        requestId: id(),
        tag: { tool: "check", client: "operator" }
      }),
      Named.rows
    )
  )

const who =
  "SELECT CURRENT_ACCOUNT() AS A, CURRENT_USER() AS U, CURRENT_ROLE() AS R, CURRENT_WAREHOUSE() AS W, CURRENT_VERSION() AS V, " +
  "CURRENT_SECONDARY_ROLES() AS S, CURRENT_AVAILABLE_ROLES() AS O"

/** A text that holds JSON, or nothing. */
const parsed = (cell: Cell | undefined): unknown =>
  Option.getOrUndefined(Option.liftThrowable((): unknown => JSON.parse(text(cell) ?? ""))())

/** Those that the session has beside its role, and those that it could have. */
const secondaryRoles = (
  role: string | undefined,
  row: Named.Named
): { readonly fact: string; readonly active: ReadonlyArray<string>; readonly warning?: string } => {
  const active = parsed(row["s"])
  const roles = Predicate.isRecord(active) && typeof active["roles"] === "string" ? active["roles"] : ""
  const all = parsed(row["o"])
  const others = Array.isArray(all)
    ? all.filter((one): one is string => typeof one === "string" && one !== role && one !== "PUBLIC")
    : []
  if (roles !== "") {
    return {
      fact: listed(roles.split(",")),
      active: roles.split(","),
      warning:
        "secondary roles are active, so that the role alone does not bound what is read; " +
        'snowflake.secondary_roles = "none" switches them off'
    }
  }
  return {
    active: [],
    fact:
      others.length === 0
        ? "none"
        : `none (the user also has ${listed(others)}; snowflake.secondary_roles = "all" would let sessions use them)`
  }
}

/** Privileges that let a role look and not change. */
const reading = new Set([
  "SELECT",
  "USAGE",
  "READ",
  "REFERENCES",
  "MONITOR",
  "IMPORTED PRIVILEGES",
  "RESOLVE ALL"
])

/** Warnings about privileges that are listed one by one; of the rest the number is told. */
const MOST_GRANTS = 20

/** Roles that are looked at; more are rare, and each is a statement. */
const MOST_ROLES = 50

interface HeldRole {
  readonly kind: "ROLE" | "DATABASE ROLE"
  readonly name: string
  /** How the session has it: by itself, as another active role, or granted to one of these. */
  readonly by: string
}

/** As `SHOW GRANTS` tells it: in quotes only where it has to be. */
const identifierOf = ({ kind, name }: HeldRole): string =>
  name.includes('"') ? name : (kind === "ROLE" ? [name] : name.split(".")).map(quoted).join(".")

/** What is more than reading in a grant, in words. */
const excessOf = (grant: Named.Named): string | undefined => {
  const privilege = text(grant["privilege"])?.toUpperCase() ?? ""
  const kind = text(grant["granted_on"])?.toUpperCase() ?? "an object"
  const on = `${privilege} on ${kind} ${text(grant["name"]) ?? ""}`.trim()
  if (privilege === "") return undefined
  if (!reading.has(privilege)) return `has ${on}`
  // It may run with the rights of its owner.
  if (kind === "PROCEDURE") return `has ${on}`
  return text(grant["grant_option"])?.toLowerCase() === "true" ? `may grant ${on} to others` : undefined
}

/** What the active roles, and all that are granted to them, may do beyond reading. */
const beyondReading = (
  role: string,
  others: ReadonlyArray<string>,
  grantsTo: (role: string) => Effect.Effect<ReadonlyArray<Named.Named>, WarehouseError>
): Effect.Effect<ReadonlyArray<string>> =>
  Effect.gen(function* () {
    const found: Array<string> = []
    const inherited: Array<string> = []
    const unseen: Array<string> = []
    const queue: Array<HeldRole> = [
      { kind: "ROLE", name: role, by: "" },
      ...others.map((name): HeldRole => ({ kind: "ROLE", name, by: ` by the secondary role ${name}` })),
      // Each session has it.
      { kind: "ROLE", name: "PUBLIC", by: " by the role PUBLIC" }
    ]
    const seen = new Set<string>()
    for (let held = queue.shift(); held !== undefined; held = queue.shift()) {
      const { by, kind, name } = held
      if (seen.has(`${kind} ${name}`)) continue
      if (seen.size >= MOST_ROLES) {
        found.push(`has more than ${MOST_ROLES} roles, and the others were not looked at`)
        break
      }
      seen.add(`${kind} ${name}`)
      if (kind === "ROLE" && systemRoles.includes(name)) {
        inherited.push(name)
        continue
      }
      const grants = yield* Effect.either(grantsTo(`${kind} ${identifierOf(held)}`))
      if (Either.isLeft(grants)) {
        unseen.push(name)
        continue
      }
      for (const grant of grants.right) {
        const on = text(grant["granted_on"])?.toUpperCase().replaceAll("_", " ")
        const granted = text(grant["name"]) ?? ""
        if (
          (on === "ROLE" || on === "DATABASE ROLE") &&
          text(grant["privilege"])?.toUpperCase() === "USAGE"
        ) {
          queue.push({ kind: on, name: granted, by: ` by the role ${granted}` })
        }
        const excess = excessOf(grant)
        if (excess !== undefined) found.push(`${excess}${by}, which is more than reading`)
      }
    }
    const rest = found.length - MOST_GRANTS
    return [
      ...inherited.map((name) => `${role} has the system role ${name}, which may do far more than read`),
      ...found.slice(0, MOST_GRANTS).map((one) => `${role} ${one}`),
      ...(rest > 0 ? [`${role} has ${rest} more privileges beyond reading`] : []),
      ...(unseen.length > 0 ? [`what ${listed(unseen)} may do could not be seen (SHOW GRANTS TO ROLE)`] : [])
    ]
  })

/** A login by password alone has worked: what may not be seen is a person, or a legacy service user. */
const passwordOf = (user: string, properties: ReadonlyArray<Named.Named>): ReadonlyArray<string> => {
  const type = text(properties.find((row) => text(row["property"])?.toUpperCase() === "TYPE")?.["value"])
  const what =
    properties.length === 0
      ? "(a person or a legacy service user)"
      : type?.toUpperCase() === "LEGACY_SERVICE"
        ? "is a legacy service user and"
        : "is a person and"
  return type?.toUpperCase() === "SERVICE"
    ? []
    : [
        `${user} ${what} logs in with a password alone, which Snowflake takes of trial and reader accounts only; use a ` +
          "user of TYPE = SERVICE with a key pair, or a second factor"
      ]
}

const notThere = (name: string) => ({
  wrong: [`the warehouse ${name} does not exist or the role may not use it`],
  todo: "correct snowflake.warehouse, or grant USAGE on it to the role"
})

/** `asked`: the one that the settings name. */
const warehouseOf = (
  asked: string | undefined,
  name: string | undefined,
  found: Either.Either<ReadonlyArray<Named.Named>, WarehouseError>
): { readonly fact: string } | { readonly wrong: ReadonlyArray<string>; readonly todo: string } => {
  if (name === undefined) {
    return asked === undefined
      ? { wrong: ["no warehouse is set, and queries will fail"], todo: "set snowflake.warehouse" }
      : notThere(asked)
  }
  if (Either.isLeft(found)) return { fact: `${name} (its size could not be seen)` }
  const entry = found.right.find((row) => text(row["name"]) === name)
  if (entry === undefined) {
    return notThere(name)
  }
  const state = text(entry["state"])?.toUpperCase() ?? "unknown"
  const resumes = text(entry["auto_resume"])?.toLowerCase() !== "false"
  return state === "SUSPENDED" && !resumes
    ? {
        wrong: [`the warehouse ${name} is suspended and does not resume by itself`],
        todo: `resume it, or run: ALTER WAREHOUSE ${name} SET AUTO_RESUME = TRUE`
      }
    : {
        fact: `${name} (${[text(entry["size"]), state.toLowerCase()].filter((one) => one !== undefined).join(", ")})`
      }
}

/**
 * Logs in once with these options and reports, as a caller where one is named. Never fails: what is wrong is in the
 * report.
 */
export const check = (
  options: Effect.Effect<Options, WarehouseError>,
  principal?: Principal
): Effect.Effect<Report> => {
  const report = checked(options, principal)
  return principal === undefined ? report : Effect.provideService(report, CurrentPrincipal, principal)
}

const checked = (
  options: Effect.Effect<Options, WarehouseError>,
  principal: Principal | undefined
): Effect.Effect<Report> =>
  Effect.scoped(
    Effect.gen(function* () {
      const given = yield* options
      const as = principal === undefined ? undefined : given.identityOf?.(principal)
      const section = as?.mode === "client" ? as.key : "snowflake"
      const login = yield* as?.login ?? given.login
      const host = {
        ...(principal === undefined
          ? {}
          : { client: principal.client, tier: principal.tier, identity: as?.mode ?? "shared" }),
        "account host": where(login)
      }
      // What goes wrong is in the report.
      const health = WarehouseHealth.silent
      const warehouse = yield* Snowflake.make({ ...given, hints: false, maxSessions: 1, health })
      const id = yield* RequestId.make
      const answer = yield* Effect.either(
        look(warehouse, id, who, priceOf(login) === "person" ? APPROVAL_TIMEOUT_MS : TIMEOUT_MS)
      )
      if (Either.isLeft(answer)) return failed(answer.left, host, section)
      const [row = {}] = answer.right
      const role = text(row["r"])
      const secondary = secondaryRoles(role, row)
      const user = text(row["u"])
      const facts = {
        ...host,
        account: text(row["a"]) ?? "unknown",
        user: text(row["u"]) ?? "unknown",
        role: role ?? "none",
        "secondary roles": secondary.fact,
        version: text(row["v"]) ?? "unknown"
      }
      const seenIn = (sql: string) => look(warehouse, id, sql)
      // What may not be seen is no fault of the login.
      const properties =
        user === undefined || !isPassword(login)
          ? undefined
          : yield* Effect.orElseSucceed(seenIn(`DESCRIBE USER ${quoted(user)}`), () => [])
      const warnings = [
        ...(role === undefined
          ? ["no role is active; nothing will be visible"]
          : systemRoles.includes(role)
            ? [`${role} is a system role; use one that may read what agents need and no more`]
            : yield* beyondReading(role, secondary.active, (of) => seenIn(`SHOW GRANTS TO ${of}`))),
        ...(secondary.warning === undefined ? [] : [secondary.warning]),
        ...(properties === undefined ? [] : passwordOf(user ?? "the user", properties))
      ]
      const found = warehouseOf(
        (as ?? given).warehouse,
        text(row["w"]),
        yield* Effect.either(seenIn("SHOW WAREHOUSES"))
      )
      const report: Report =
        "fact" in found
          ? { facts: { ...facts, warehouse: found.fact }, warnings, exitCode: 0 }
          : { facts, warnings, wrong: found.wrong, todo: inSection(section, found.todo), exitCode: 78 }
      return report
    }).pipe(Effect.catchAll((error) => Effect.succeed(failed(error))))
  )
