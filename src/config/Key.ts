/**
 * How a setting is called: `limits.burst` in the file and in every message, `SNOWGUARD_LIMITS_BURST` in
 * the environment.
 */
import * as Predicate from "effect/Predicate"
import { nearest } from "../platform/core/Nearest.js"
import { quote } from "./Kind.js"
import { camel } from "./Setting.js"
import type { Table } from "./Table.js"
import { reserved } from "./Table.js"

/**
 * From the outermost name to the innermost.
 */
export type Path = ReadonlyArray<string>

const bare = /^[A-Za-z0-9_-]+$/

/**
 * As it is written in TOML; a name of unusual characters is quoted, so that two paths never have the
 * same key and a key never breaks the line it is printed on.
 */
export const format = (path: Path): string =>
  path.map((part) => (bare.test(part) ? part : quote(part))).join(".")

export const prefix = "SNOWGUARD_"

/**
 * The path of a field of a section. `snowflake.user` of a tier is `user` in the table `snowflake` of that tier.
 */
export const under = (path: Path, field: string): Path => [...path, ...field.split(".")]

/** The path of a field in the decoded settings: a name that the operator chose stays as it is. */
export const camelOf = (field: string): string => {
  const [group = "", ...rest] = field.split(".")
  const last = rest.pop()
  return [camel(group), ...rest, ...(last === undefined ? [] : [camel(last)])].join(".")
}

/** What stands at a path of the decoded settings. */
export const valueAt = (settings: unknown, path: Path): unknown =>
  path.reduce((within, name) => (Predicate.isRecord(within) ? within[name] : undefined), settings)

export const envPart = (name: string): string => name.toUpperCase().replace(/[^A-Z0-9]/g, "_")

export const env = (path: Path): string => prefix + path.map(envPart).join("_")

/**
 * Every setting outside the named sections, and those of the names given.
 */
const paths = (table: Table, names: Names): ReadonlyArray<Path> => [
  ...Object.keys(table.root).map((key) => [key]),
  ...Object.entries(table.sections).flatMap(([section, { fields }]) =>
    Object.keys(fields).map((key) => under([section], key))
  ),
  ...Object.entries(table.named).flatMap(([section, { fields }]) =>
    [...(names.get(section) ?? [])].flatMap((name) =>
      Object.keys(fields).map((key) => under([section, name], key))
    )
  )
]

/**
 * The names in use, by named section, in the order in which they were found.
 */
export type Names = ReadonlyMap<string, ReadonlySet<string>>

const last = (path: Path): string => path[path.length - 1] ?? ""

/**
 * The key that an unknown path was most likely meant to be: a sibling with a similar name, or else a
 * setting of that name, or nearly, in another section. Whole paths are never compared: what they share
 * would make everything in a section look alike.
 */
export const nearestKey = (table: Table, names: Names, path: Path): string | undefined => {
  const parent = format(path.slice(0, -1))
  // Within `tools.execute_query` a field of `tools.*` is one of `tools.execute_query`.
  const known = paths(table, names).map((one) =>
    one.map((part, at) => (part === "*" ? (path[at] ?? part) : part))
  )
  const siblings = known.filter((one) => one.length === path.length && format(one.slice(0, -1)) === parent)
  const [sibling] = nearest(last(path), siblings.map(last), 1)
  if (sibling !== undefined) return format([...path.slice(0, -1), sibling])
  const [namesake] = nearest(last(path), known.map(last), 1)
  const found = known.find((one) => last(one) === namesake)
  return found === undefined ? undefined : format(found)
}

/**
 * The section that an unknown section was most likely meant to be.
 */
export const nearestSection = (table: Table, name: string): string | undefined =>
  nearest(name, [...Object.keys(table.sections), ...Object.keys(table.named)], 1)[0]

/**
 * The variable that an unknown variable was most likely meant to be. Where its section (and tier) is
 * right, only what follows is compared.
 */
export const nearestEnv = (table: Table, names: Names, variable: string): string | undefined => {
  const rest = variable.slice(prefix.length)
  const heads = [
    ...Object.entries(table.sections).map(([section, { fields }]) => ({ path: [section], fields })),
    ...Object.entries(table.named).flatMap(([section, { fields }]) =>
      [...(names.get(section) ?? [])].map((name) => ({ path: [section, name], fields }))
    )
  ].filter(({ path }) => variable.startsWith(`${env(path)}_`))
  for (const { fields, path } of heads) {
    const [field] = nearest(variable.slice(env(path).length + 1), Object.keys(fields).map(envPart), 1)
    if (field !== undefined) return `${env(path)}_${field}`
  }
  if (heads.length > 0) return undefined
  for (const [section, { base, fields }] of Object.entries(table.named)) {
    const field = Object.keys(fields).find((key) => variable === env([section, key]))
    if (field !== undefined && base !== undefined) return env([section, base, field])
  }
  const known = [...paths(table, names).map(env), ...Object.keys(reserved)]
  const [closest] = nearest(
    rest,
    known.map((one) => one.slice(prefix.length)),
    1
  )
  return closest === undefined ? undefined : prefix + closest
}
