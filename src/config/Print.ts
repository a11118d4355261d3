/**
 * The settings for people to read: the effective configuration as a file (`--print-config`) and the
 * tables of docs/configuration.md.
 */
import * as Redacted from "effect/Redacted"
import type { Path } from "./Key.js"
import * as Key from "./Key.js"
import { expected, formatNumber, printable, quote } from "./Kind.js"
import type { Origin, Resolved } from "./Resolve.js"
import type { Fields, Setting } from "./Setting.js"
import { camel, expanded, redacted } from "./Setting.js"
import type { Table } from "./Table.js"
import { reserved } from "./Table.js"

const literal = (value: unknown): string => {
  if (Redacted.isRedacted(value)) return quote(redacted)
  if (typeof value === "number") return formatNumber(value)
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).map(([name, one]) => `${quote(name)} = ${literal(one)}`)
    return entries.length === 0 ? "{}" : `{ ${entries.join(", ")} }`
  }
  return typeof value === "string" ? quote(value) : String(value)
}

const whence = (origin: Origin | undefined): string => {
  if (origin === undefined) return ""
  const lowered = origin.loweredTo === undefined ? "" : `, lowered to ${origin.loweredTo}`
  switch (origin.source) {
    case "env":
      return ` # env ${origin.name ?? ""}${lowered}`
    case "args":
    case "connection":
      return ` # ${printable(origin.name ?? "")}${lowered}`
    case "inherited":
      return ` # inherited from ${origin.name ?? ""}${lowered}`
    default:
      return ` # ${origin.source}${lowered}`
  }
}

/** The value of a field; `snowflake.user` is within `snowflake`. */
const valueOf = (values: Group, field: string): unknown => Key.valueAt(values, Key.camelOf(field).split("."))

type Group = { readonly [name: string]: unknown }
const group = (value: unknown): Group => (typeof value === "object" && value !== null ? { ...value } : {})

/** The fields of one entry: those of the tables within its tables, once for each of these. */
const fieldsOf = (fields: Fields, values: Group): Fields =>
  expanded(fields, (within) => Object.keys(group(values[camel(within)])))

/**
 * A file that says what is in effect and, behind each value, where it comes from. Loaded again it gives
 * the same settings; secrets must be filled in first.
 */
export const config = <T extends Table>(
  table: T,
  resolved: Resolved<T> & {
    readonly path?: string | undefined
    /** What else there is to know, a line each. */
    readonly remarks?: ReadonlyArray<string> | undefined
  }
): string => {
  const lines = (path: Path, fields: Fields, values: Group) =>
    Object.keys(fields).flatMap((name) => {
      const value = valueOf(values, name)
      // Most entries have no table of their own within.
      if (value === undefined) return name.includes(".") ? [] : [`# ${name}: not set`]
      return [`${name} = ${literal(value)}${whence(resolved.sources.get(Key.format(Key.under(path, name))))}`]
    })
  const settings = group(resolved.settings)
  return [
    `# Configuration in effect. File: ${resolved.path === undefined ? "none" : quote(resolved.path)}`,
    ...(resolved.remarks ?? []).map((remark) => `# ${printable(remark)}`),
    ...lines([], table.root, settings),
    ...Object.entries(table.sections).flatMap(([section, { fields }]) => [
      "",
      `[${section}]`,
      ...lines([section], fields, group(settings[camel(section)]))
    ]),
    ...Object.entries(table.named).flatMap(([section, { fields }]) =>
      Object.entries(group(settings[camel(section)])).flatMap(([name, values]) => [
        "",
        `[${Key.format([section, name])}]`,
        ...lines([section, name], fieldsOf(fields, group(values)), group(values))
      ])
    ),
    ""
  ].join("\n")
}

const plain = (value: unknown): unknown =>
  value === undefined
    ? null
    : Redacted.isRedacted(value)
      ? redacted
      : Array.isArray(value)
        ? value.map(plain)
        : value

/**
 * What {@link config} says, as JSON. A setting that is not set is null and comes from nowhere.
 */
export const configJson = <T extends Table>(
  table: T,
  { path, remarks = [], settings, sources }: Parameters<typeof config<T>>[1]
): string => {
  const of = (path: Path, fields: Fields, values: Group) =>
    Object.keys(fields).map((name) => {
      const setting = Key.format(Key.under(path, name))
      const value = plain(valueOf(values, name))
      const origin = value === null ? undefined : sources.get(setting)
      return {
        setting,
        value,
        source: origin?.source ?? null,
        ...(origin?.name === undefined ? {} : { from: origin.name }),
        ...(origin?.loweredTo === undefined ? {} : { lowered_to: origin.loweredTo })
      }
    })
  const all = group(settings)
  return JSON.stringify({
    file: path ?? null,
    remarks,
    settings: [
      ...of([], table.root, all),
      ...Object.entries(table.sections).flatMap(([section, { fields }]) =>
        of([section], fields, group(all[camel(section)]))
      ),
      ...Object.entries(table.named).flatMap(([section, { fields }]) =>
        Object.entries(group(all[camel(section)])).flatMap(([name, values]) =>
          of([section, name], fieldsOf(fields, group(values)), group(values))
        )
      )
    ]
  })
}

const cell = (text: string): string => text.replaceAll("|", "\\|")

const fallback = (setting: Setting): string =>
  setting.default === undefined ? "" : `\`${literal(setting.default)}\``

const row = (path: Path, variable: string, setting: Setting): string => {
  const unit = setting.unit === undefined ? "" : `, ${setting.unit}`
  const cap = setting.atMost === undefined ? "" : `, at most \`${setting.atMost}\``
  const pair = setting.together === undefined ? "" : `; needs \`${setting.together}\``
  const variables = [variable, ...(setting.aliases ?? [])].map((name) => `\`${name}\``)
  const cells = [
    `\`${path.join(".")}\``,
    variables.join(", "),
    fallback(setting),
    `${expected(setting.kind)}${unit}${cap}`,
    `${setting.about}${pair}${setting.secret ? "; never shown" : ""}`
  ]
  return `| ${cells.map(cell).join(" | ")} |`
}

const head = ["| setting | environment | default | value | what it is |", "|---|---|---|---|---|"]

/**
 * Every setting in Markdown, a table for each section.
 */
export const markdown = (table: Table): string => {
  const rows = (path: Path, fields: Fields) =>
    Object.entries(expanded(fields, () => ["TOOL"])).map(([name, setting]) =>
      row([...path, name], Key.env([...path, name]), setting)
    )
  return [
    ...head,
    ...rows([], table.root),
    ...Object.entries(table.sections).flatMap(([section, { about, fields }]) => [
      "",
      `**\`[${section}]\`** ${about}`,
      "",
      ...head,
      ...rows([section], fields)
    ]),
    ...Object.entries(table.named).flatMap(([section, { about, fields, listed }]) => [
      "",
      `**${listed === true ? `\`[[${section}]]\` or ` : ""}\`[${section}.NAME]\`** ${about}`,
      "",
      ...head,
      ...rows([section, "NAME"], fields)
    ]),
    "",
    "In a variable, NAME is the name in upper case with `_` for every other character: `nightly-report` is",
    "`NIGHTLY_REPORT`. A name that only the environment knows is read back in lower case with `-`.",
    "",
    "Variables that are no settings:",
    "",
    "| environment | what it is |",
    "|---|---|",
    ...Object.entries(reserved).map(([name, about]) => `| \`${name}\` | ${cell(about)} |`)
  ].join("\n")
}
