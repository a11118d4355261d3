/**
 * What the values mean together: defaults, inheritance between tiers, and the rules that tie one setting
 * to another. A rule is not judged where a value it needs was refused, so that one mistake makes one
 * fault.
 */
import * as Either from "effect/Either"
import { nearest } from "../platform/core/Nearest.js"
import type { Fault } from "./Faults.js"
import type { Collected, Given, Places } from "./Given.js"
import { empty, fromArgs, fromConnection, fromEnv, fromFile } from "./Given.js"
import type { Path } from "./Key.js"
import * as Key from "./Key.js"
import { formatNumber, quote } from "./Kind.js"
import type { Fields } from "./Setting.js"
import { camel, expanded, isEach } from "./Setting.js"
import type { SettingsOf, Table } from "./Table.js"

/**
 * Where a value comes from.
 */
export interface Origin {
  readonly source: "default" | "connection" | "file" | "env" | "args" | "inherited"
  /** The variable, the option, the connection, or the key it is inherited from. */
  readonly name?: string | undefined
  /** The key of the setting that it was lowered to. */
  readonly loweredTo?: string | undefined
}

export interface Resolved<T extends Table> {
  readonly settings: SettingsOf<T>
  /** By key (`tiers.default.burst`), for every setting. */
  readonly sources: ReadonlyMap<string, Origin>
}

export interface Input {
  /** The parsed file; absent when there is none. */
  readonly document?: { readonly [key: string]: unknown } | undefined
  readonly env?: { readonly [name: string]: string | undefined } | undefined
  /** A connection of Snowflake's own files, for what nothing else says of the account. */
  readonly connection?: Parameters<typeof fromConnection>[1] | undefined
  readonly args?: Parameters<typeof fromArgs>[1] | undefined
  readonly places?: Places | undefined
  /** The file exists and could not be read: rules between settings are not judged. */
  readonly incomplete?: boolean | undefined
}

interface Row {
  readonly key: string
  readonly value: unknown
  readonly origin: Origin
  readonly given: Given | undefined
  /** Its value, or the one it is inherited from, was refused. */
  readonly broken: boolean
}
type Rows = ReadonlyMap<string, Row>

const resolveFields = (
  collected: Collected,
  faults: Array<Fault>,
  path: Path,
  fields: Fields,
  base?: Rows | undefined
): Rows => {
  const rows = new Map<string, Row>()
  for (const [name, setting] of Object.entries(fields)) {
    const key = Key.format(Key.under(path, name))
    const given = collected.values.get(key)
    const inherited = setting.inherits === false ? undefined : base?.get(name)
    const broken = collected.broken.has(key)
    if (given !== undefined) {
      const origin: Origin =
        given.source === "file" ? { source: "file" } : { source: given.source, name: given.name }
      rows.set(name, { key, value: given.value, origin, given, broken })
    } else if (inherited !== undefined) {
      // A value that was not set is a default, also where it is inherited.
      const origin: Origin =
        inherited.origin.source === "default"
          ? inherited.origin
          : { source: "inherited", name: inherited.key }
      rows.set(name, { key, value: inherited.value, origin, given, broken: broken || inherited.broken })
    } else rows.set(name, { key, value: setting.default, origin: { source: "default" }, given, broken })
  }
  for (const [name, { atMost, references, together }] of Object.entries(fields)) {
    const row = rows.get(name)
    if (row === undefined || row.broken) continue
    const fault = (message: string, meant?: string | undefined) => {
      faults.push({
        key: row.given?.name ?? row.key,
        source: row.given?.source ?? "file",
        message,
        ...(meant === undefined ? {} : { nearest: meant })
      })
    }
    const cap = atMost === undefined ? undefined : rows.get(atMost)
    if (
      cap !== undefined &&
      !cap.broken &&
      typeof row.value === "number" &&
      typeof cap.value === "number" &&
      row.value > cap.value
    ) {
      if (row.given === undefined) {
        rows.set(name, { ...row, value: cap.value, origin: { ...row.origin, loweredTo: cap.key } })
      } else {
        fault(
          `expected at most ${cap.key}, which is ${formatNumber(cap.value)}, got ${formatNumber(row.value)}`
        )
      }
    }
    const partner = together === undefined ? undefined : rows.get(together)
    if (partner !== undefined && !partner.broken && row.given !== undefined && partner.value === undefined) {
      fault(`means nothing without ${partner.key}, which is not set`)
    }
    const names = references === undefined ? undefined : collected.names.get(references)
    if (names !== undefined && typeof row.value === "string" && !names.has(row.value)) {
      fault(`${references} has no ${quote(row.value)}`, nearest(row.value, names, 1)[0])
    }
  }
  return rows
}

// `team-a` and `team-b`, `gold` and `gold2` differ on purpose; `batch` and `bacth` do not.
const numbered = (a: string, b: string): boolean =>
  a.slice(0, -1) === b.slice(0, -1) || a.startsWith(b) || b.startsWith(a)

// A misspelt tier in a variable would make a tier without clients, without a word, and leave the one that was
// meant as it is. So a tier that only the environment knows must be used, or resemble no other.
const strayNames = (table: Table, collected: Collected, used: ReadonlySet<unknown>, faults: Array<Fault>) => {
  for (const { name, section, variable } of collected.fromEnvOnly.values()) {
    const known = table.named[section]
    if (known?.base === undefined || used.has(name)) continue
    const others = [...(collected.names.get(section) ?? [])].filter(
      (other) =>
        !collected.fromEnvOnly.has(Key.format([section, other])) &&
        (other === known.base || !numbered(name, other))
    )
    const [meant] = nearest(name, others, 1)
    if (meant === undefined) continue
    faults.push({
      key: variable,
      source: "env",
      message: `there is no ${known.one} ${quote(name)}, and no client is in it (a new ${known.one} with such a name belongs in the file)`,
      nearest: `${Key.env([section, meant])}_${variable.slice(`${Key.env([section, name])}_`.length)}`
    })
  }
}

// No prototype: a client may be called `constructor`.
const record = (entries: Iterable<readonly [string, unknown]>): { readonly [name: string]: unknown } =>
  Object.assign(Object.create(null) as object, Object.fromEntries(entries))

/** `snowflake.user` is `user` of the record `snowflake`. */
const nested = (
  entries: ReadonlyArray<readonly [string, unknown]>,
  groupNames: Iterable<string> = []
): ReadonlyArray<readonly [string, unknown]> => {
  const groups = new Map<string, Array<readonly [string, unknown]>>([...groupNames].map((name) => [name, []]))
  const plain: Array<readonly [string, unknown]> = []
  for (const [name, value] of entries) {
    const [group = "", ...field] = name.split(".")
    if (field.length === 0) plain.push([name, value])
    else groups.set(group, [...(groups.get(group) ?? []), [field.join("."), value]])
  }
  return [...plain, ...[...groups].map(([group, fields]) => [group, record(nested(fields))] as const)]
}

/** Tables that hold tables: they are there also when they are empty. */
const groupsOf = (fields: Fields): ReadonlyArray<string> => [
  ...new Set(Object.keys(fields).flatMap((field) => (isEach(field) ? [field.split(".")[0] ?? ""] : [])))
]

/**
 * Defaults < connection < file < environment < command line, checked. Left: everything that is wrong.
 */
export const resolve = <T extends Table>(
  table: T,
  input: Input
): Either.Either<Resolved<T>, ReadonlyArray<Fault>> => {
  const collected = empty(table, input.places)
  if (input.connection !== undefined) fromConnection(table, input.connection, collected)
  if (input.document !== undefined) fromFile(table, input.document, collected)
  if (input.env !== undefined) fromEnv(table, input.env, collected)
  if (input.args !== undefined) fromArgs(table, input.args, collected)

  const faults: Array<Fault> = []
  const sources = new Map<string, Origin>()
  const decoded = (rows: Rows, groups: ReadonlyArray<string> = []) => {
    for (const { key, origin } of rows.values()) sources.set(key, origin)
    return nested(
      [...rows].map(([name, { value }]) => [Key.camelOf(name), value] as const),
      groups
    )
  }
  const entries = [...decoded(resolveFields(collected, faults, [], table.root))]
  for (const [section, { fields }] of Object.entries(table.sections)) {
    entries.push([camel(section), record(decoded(resolveFields(collected, faults, [section], fields)))])
  }
  const used = new Set<unknown>()
  for (const [section, { base, fields }] of Object.entries(table.named)) {
    // The base is the first name of its set.
    let inherited: Rows | undefined
    const groups = groupsOf(fields)
    const innerOf = (name: string, group: string) =>
      collected.inner.get(Key.format([section, name, group])) ?? []
    const all = [...(collected.names.get(section) ?? [])].map((name) => {
      const known = expanded(fields, (group) =>
        // In one order, wherever they were said.
        [...new Set([...(base === undefined ? [] : innerOf(base, group)), ...innerOf(name, group)])].sort()
      )
      const rows = resolveFields(collected, faults, [section, name], known, inherited)
      if (name === base) inherited = rows
      for (const [field, { references }] of Object.entries(fields)) {
        if (references !== undefined) used.add(rows.get(field)?.value)
      }
      return [name, record(decoded(rows, groups))] as const
    })
    entries.push([camel(section), record(all)])
  }
  strayNames(table, collected, used, faults)

  const found = input.incomplete === true ? collected.faults : [...collected.faults, ...faults]
  if (found.length > 0 || input.incomplete === true) return Either.left(found)
  // The keys and the types of the values are the table's: that is what SettingsOf says.
  return Either.right({ settings: record(entries) as SettingsOf<T>, sources })
}
