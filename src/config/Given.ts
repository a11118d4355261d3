/**
 * Collects what the operator says: a connection of Snowflake's own files first, the file over it, then the
 * environment, then the command line. Every value is checked here; what the values mean together is decided in
 * `Resolve`.
 */
import * as Either from "effect/Either"
import * as Predicate from "effect/Predicate"
import { nearest } from "../platform/core/Nearest.js"
import type { Environment } from "../platform/userDirs.js"
import { resolvePath } from "../platform/userDirs.js"
import type { Fault } from "./Faults.js"
import type { Path } from "./Key.js"
import * as Key from "./Key.js"
import { fromText, quote } from "./Kind.js"
import type { Fields } from "./Setting.js"
import * as Setting from "./Setting.js"
import type { NamedSection, Table } from "./Table.js"
import { namePattern, nameRule } from "../platform/Principal.js"
import { reserved } from "./Table.js"

/**
 * A value that was set, and the name under which it was.
 */
export interface Given {
  readonly value: unknown
  readonly source: "connection" | "file" | "env" | "args"
  /** The key or the variable, as written. */
  readonly name: string
}

/**
 * Where relative paths start.
 */
export interface Places extends Pick<Environment, "platform" | "home" | "cwd"> {
  /** The directory of the file. */
  readonly file?: string | undefined
  /** The directory of the connection's file. */
  readonly connection?: string | undefined
}

/**
 * Filled by {@link fromConnection}, {@link fromFile}, {@link fromEnv} and {@link fromArgs}, in this order; later
 * values replace earlier ones.
 */
export interface Collected {
  /** By key, as {@link Key.format} writes it. */
  readonly values: Map<string, Given>
  /** Keys whose value was refused: what depends on them is not judged. */
  readonly broken: Set<string>
  readonly names: Map<string, Set<string>>
  /** Names of the tables within a table (`tiers.default.tools`), by its key. */
  readonly inner: Map<string, Set<string>>
  /** Names that only the environment knows, with the variable that brought them up. */
  readonly fromEnvOnly: Map<
    string,
    { readonly section: string; readonly name: string; readonly variable: string }
  >
  readonly faults: Array<Fault>
  /** Without it paths stay as they are written. */
  readonly places?: Places | undefined
}

export const empty = (table: Table, places?: Places | undefined): Collected => ({
  places,
  values: new Map(),
  broken: new Set(),
  names: new Map(
    Object.entries(table.named).map(([section, { base }]) => [
      section,
      new Set(base === undefined ? [] : [base])
    ])
  ),
  inner: new Map(),
  fromEnvOnly: new Map(),
  faults: []
})

const locate = (
  places: Places | undefined,
  source: Given["source"],
  value: unknown
): Either.Either<unknown, string> => {
  if (Array.isArray(value)) return Either.all(value.map((one) => locate(places, source, one)))
  if (places === undefined || typeof value !== "string") return Either.right(value)
  const base = source === "file" || source === "connection" ? places[source] : places.cwd
  return Either.mapLeft(resolvePath(places, base, value), (why) => `${quote(value)} ${why}`)
}

const set = (
  into: Collected,
  path: Path,
  setting: Setting.Setting,
  raw: unknown,
  source: Given["source"],
  name: string,
  faultKey: string = name
): void => {
  const key = Key.format(path)
  const decoded = Setting.decode(setting, raw)
  const located =
    setting.isPath === true ? Either.flatMap(decoded, (value) => locate(into.places, source, value)) : decoded
  Either.match(located, {
    onLeft: (message) => {
      const meant =
        setting.kind._tag === "choice" && !setting.secret && typeof raw === "string"
          ? nearest(raw, setting.kind.values, 1)[0]
          : undefined
      into.broken.add(key)
      into.faults.push({
        key: faultKey,
        source,
        message,
        ...(meant === undefined ? {} : { nearest: meant })
      })
    },
    onRight: (value) => {
      into.values.set(key, { value, source, name })
      into.broken.delete(key)
    }
  })
}

const own = <A>(record: { readonly [name: string]: A }, name: string): A | undefined =>
  Object.hasOwn(record, name) ? record[name] : undefined

/** A table of TOML. */
export const isTable = (value: unknown): value is { readonly [key: string]: unknown } =>
  Predicate.isReadonlyRecord(value) && !(value instanceof Date)

const addInner = (into: Collected, group: Path, name: string): void => {
  const key = Key.format(group)
  into.inner.set(key, (into.inner.get(key) ?? new Set()).add(name))
}

/** The fields of the table `name` of a section, which are called `name.field` there. */
const fieldsUnder = (known: Fields, name: string): Fields =>
  Object.fromEntries(
    Object.entries(known).flatMap(([field, setting]) =>
      field.startsWith(`${name}.`) ? [[field.slice(name.length + 1), setting] as const] : []
    )
  )

export const fromFile = (
  table: Table,
  document: { readonly [key: string]: unknown },
  into: Collected
): void => {
  const fault = (path: Path, message: string, meant?: string | undefined) =>
    into.faults.push({
      key: Key.format(path),
      source: "file",
      message,
      ...(meant === undefined ? {} : { nearest: meant })
    })
  const closest = (path: Path, name: string, names: ReadonlyArray<string>) => {
    const [found] = nearest(name, names, 1)
    return found === undefined ? undefined : Key.format([...path, found])
  }
  const fields = (path: Path, known: Fields, given: { readonly [key: string]: unknown }) => {
    const each = fieldsUnder(known, "*")
    for (const [name, value] of Object.entries(given)) {
      const at = [...path, name]
      if (Object.keys(each).length > 0) {
        const names = Object.values(each)[0]?.within ?? []
        if (!isTable(value)) fault(at, "expected a table")
        else if (names.includes(name)) {
          if (Object.keys(value).length > 0) addInner(into, path, name)
          fields(at, each, value)
        } else fault(at, `expected one of ${names.join(", ")}`, closest(path, name, names))
        continue
      }
      const setting = own(known, name)
      const inner = name.includes(".") ? {} : fieldsUnder(known, name)
      if (Object.keys(inner).length > 0) {
        if (isTable(value)) fields(at, inner, value)
        else fault(at, "expected a table")
      } else if (setting !== undefined && !name.includes(".")) {
        set(into, at, setting, value, "file", Key.format(at))
      } else fault(at, "unknown key", Key.nearestKey(table, into.names, at))
    }
  }
  const entries = (section: string, known: NamedSection, given: { readonly [key: string]: unknown }) => {
    for (const [name, value] of Object.entries(given)) {
      const at = [section, name]
      if (!isTable(value)) {
        const meant = known.base !== undefined && own(known.fields, name) !== undefined
        fault(
          at,
          `expected a table with the settings of one ${known.one}`,
          meant ? Key.format([section, known.base, name]) : undefined
        )
      } else if (!namePattern.test(name)) {
        fault(at, `expected a ${known.one} with a name of ${nameRule}`)
      } else {
        into.names.get(section)?.add(name)
        fields(at, known.fields, value)
      }
    }
  }
  for (const [name, value] of Object.entries(document)) {
    const section = own(table.sections, name)
    const named = own(table.named, name)
    if (section === undefined && named === undefined) {
      // An unknown table is one fault, not one for each of its keys.
      if (isTable(value) && own(table.root, name) === undefined) {
        fault([name], "unknown section", Key.nearestSection(table, name))
      } else fields([], table.root, { [name]: value })
    } else if (named?.listed === true && Array.isArray(value)) {
      entries(name, named, Object.fromEntries(value.map((one, i) => [String(i + 1), one] as const)))
    } else if (!isTable(value)) fault([name], "expected a table")
    else if (section !== undefined) fields([name], section.fields, value)
    else if (named !== undefined) entries(name, named, value)
  }
}

/** The names that the tables within the table `group` may have. */
const withinOf = (fields: Fields, group: string): ReadonlyArray<string> =>
  Object.entries(fields).find(([field]) => Setting.isEach(field) && field.startsWith(`${group}.`))?.[1]
    .within ?? []

/** One way to read a variable of a named section. */
interface Reading {
  readonly section: string
  readonly name: string
  readonly field: string
  /** The name was known before this variable. */
  readonly known: boolean
}

// TIERS_X_TOTAL_BURST is `total_burst` of `x` or `burst` of `x-total`, and `-` and `_` look the same. A
// name that exists decides; where none does, the longest field name wins and the name is written in
// lower case with `-`.
const readings = (table: Table, names: Key.Names, rest: string): ReadonlyArray<Reading> => {
  for (const [section, { fields }] of Object.entries(table.named)) {
    const head = `${Key.envPart(section)}_`
    if (!rest.startsWith(head) || !/^[A-Z0-9_]+$/.test(rest)) continue
    const splits = Object.keys(Setting.expanded(fields, (group) => withinOf(fields, group)))
      .sort((a, b) => b.length - a.length)
      .flatMap((field) => {
        const tail = `_${Key.envPart(field)}`
        const part = rest.slice(head.length, -tail.length)
        return rest.endsWith(tail) && rest.length > head.length + tail.length ? [{ field, part }] : []
      })
    const known = splits.flatMap(({ field, part }) =>
      [...(names.get(section) ?? [])]
        .filter((name) => Key.envPart(name) === part)
        .map((name) => ({ section, name, field, known: true }))
    )
    if (known.length > 0) return known
    const made = splits.map(({ field, part }) => ({
      section,
      name: part.toLowerCase().replaceAll("_", "-"),
      field,
      known: false
    }))
    return made.filter(({ name }) => namePattern.test(name)).slice(0, 1)
  }
  return []
}

/** `tools.execute_query.burst` is described by `tools.*.burst`. */
const settingOf = (fields: Fields = {}, field: string): Setting.Setting | undefined => {
  const [group = "", , inner] = field.split(".")
  return own(fields, inner === undefined ? field : `${group}.*.${inner}`)
}

/**
 * What a connection says of the account, by the names of `[snowflake]`. `name`: the connection, for people.
 */
export const fromConnection = (
  table: Table,
  { name, values }: { readonly name: string; readonly values: { readonly [field: string]: unknown } },
  into: Collected
): void => {
  for (const [field, value] of Object.entries(values)) {
    const setting = table.sections["snowflake"]?.fields[field]
    if (setting !== undefined)
      set(into, ["snowflake", field], setting, value, "connection", name, `${name}: ${field}`)
  }
}

/**
 * Settings that an option of the command line sets, by their keys.
 */
export const fromArgs = (
  table: Table,
  args: ReadonlyArray<{
    readonly path: Path
    readonly value: string | ReadonlyArray<string>
    readonly option: string
  }>,
  into: Collected
): void => {
  for (const { option, path, value } of args) {
    const [section = "", field = ""] = path
    const setting = path.length === 1 ? table.root[section] : table.sections[section]?.fields[field]
    if (setting !== undefined) set(into, path, setting, value, "args", option)
  }
}

/**
 * An empty variable is one that is not set.
 */
export const fromEnv = (
  table: Table,
  env: { readonly [name: string]: string | undefined },
  into: Collected
): void => {
  const plain = new Map(
    [
      [[], table.root] as const,
      ...Object.entries(table.sections).map(([name, one]) => [[name], one.fields] as const)
    ]
      .flatMap(([path, fields]) =>
        Object.entries(fields).map(([name, setting]) => ({ path: [...path, name], setting }))
      )
      .map((one) => [Key.env(one.path), one] as const)
  )
  for (const { path, setting } of plain.values()) {
    const alias = setting.aliases?.find((name) => (env[name] ?? "") !== "")
    if (alias === undefined) continue
    set(into, path, setting, fromText(setting.kind, env[alias] ?? ""), "env", alias)
  }
  const rest: Array<readonly [variable: string, value: string]> = []
  // In the order of the alphabet, so that the same environment always makes the same report.
  for (const [variable, value] of Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (value === undefined || value === "") continue
    if (!variable.startsWith(Key.prefix) || Object.hasOwn(reserved, variable)) continue
    const known = plain.get(variable)
    if (known === undefined) rest.push([variable, value])
    else set(into, known.path, known.setting, fromText(known.setting.kind, value), "env", variable)
  }
  // A copy: what one variable means must not depend on which variables were read before it.
  const names = new Map([...into.names].map(([section, all]) => [section, new Set(all)]))
  for (const { path, setting } of plain.values()) {
    const value =
      setting.names === undefined ? undefined : (into.values.get(Key.format(path))?.value ?? setting.default)
    if (setting.names !== undefined && typeof value === "string") names.get(setting.names)?.add(value)
  }
  for (const [variable, value] of rest) {
    const found = readings(table, names, variable.slice(Key.prefix.length))
    const [first] = found
    const setting =
      first === undefined ? undefined : settingOf(table.named[first.section]?.fields, first.field)
    if (first === undefined || setting === undefined) {
      const meant = Key.nearestEnv(table, names, variable)
      const fault: Fault = { key: variable, source: "env", message: "unknown setting" }
      into.faults.push(meant === undefined ? fault : { ...fault, nearest: meant })
    } else if (found.length > 1) {
      const all = found.map(({ field, name, section }) => Key.format(Key.under([section, name], field)))
      into.faults.push({
        key: variable,
        source: "env",
        message: `can mean ${all.join(" or ")}; set it in the file, where they differ`
      })
    } else {
      const { field, known, name, section } = first
      const entry = Key.format([section, name])
      if (!known && !into.fromEnvOnly.has(entry)) into.fromEnvOnly.set(entry, { section, name, variable })
      into.names.get(section)?.add(name)
      const [group = "", one = "", inner] = field.split(".")
      if (inner !== undefined) addInner(into, [section, name, group], one)
      set(into, Key.under([section, name], field), setting, fromText(setting.kind, value), "env", variable)
    }
  }
}
