/**
 * The help, for people and for programs, made from the table of commands. Pure.
 *
 * @since 0.1.0
 */
import { prefix } from "../config/Key.js"
import { reserved } from "../config/Table.js"
import type { Paint } from "../platform/colors.js"
import { painter } from "../platform/colors.js"
import * as Layout from "../platform/layout.js"
import { actionOf } from "./Cli.js"
import type { CommandSpec, Described, Example, OptionSpec } from "./Commands.js"
import { commands, exitCodes, groups, help, options } from "./Commands.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Look {
  /** Characters of a line. */
  readonly width?: number | undefined
  readonly paint?: Paint | undefined
}

const optionTerm = ({ name, short, value }: OptionSpec): string =>
  `${short === undefined ? "    " : `-${short}, `}--${name}${value === undefined ? "" : ` ${value}`}`

const operandsOf = ({ operands = [] }: Described): ReadonlyArray<string> =>
  operands.map(({ name, optional }) => (optional === true ? `[${name}]` : name))

const usageOf = (path: ReadonlyArray<string>, spec: CommandSpec | Described): string =>
  [
    "Usage: snowguard",
    ...path,
    ...("actions" in spec && spec.actions !== undefined ? ["ACTION"] : operandsOf(spec)),
    "[OPTIONS]"
  ].join(" ")

/** The options of actions, each once: by the names of the actions that have it. */
const ownOptions = (
  actions: ReadonlyArray<Described>
): ReadonlyArray<readonly [of: string, own: ReadonlyArray<OptionSpec>]> => {
  const own = new Map<string, ReadonlyArray<OptionSpec>>()
  for (const option of new Set(actions.flatMap(({ options }) => options))) {
    const of = actions.filter(({ options }) => options.includes(option)).map(({ name }) => name)
    own.set(of.join(", "), [...(own.get(of.join(", ")) ?? []), option])
  }
  return [...own]
}

const sentence = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`

/**
 * The help, for stdout: of everything, of one command, or of one of its actions.
 *
 * @since 0.1.0
 * @category rendering
 */
export const text = (
  topic: { readonly command?: string | undefined; readonly action?: string | undefined } = {},
  { paint = painter(false), width = Layout.widthOf({}) }: Look = {},
  specs: ReadonlyArray<CommandSpec> = commands
): string => {
  const section = (
    heading: string,
    rows: ReadonlyArray<readonly [term: string, meaning: string]>
  ): ReadonlyArray<string> =>
    rows.length === 0
      ? []
      : [
          "",
          ...Layout.wrapped(`${heading}:`, width).map((line) => paint("bold", line)),
          ...Layout.definitions(rows, width)
        ]
  const optionRows = (of: ReadonlyArray<OptionSpec>) =>
    of.map((option) => [optionTerm(option), option.summary] as const)
  const exampleRows = (of: ReadonlyArray<Example> = []) =>
    of.map(([line, does]) => [`snowguard ${line}`.trimEnd(), does] as const)
  const paragraphs = (of: ReadonlyArray<string> = []) =>
    of.flatMap((paragraph) => ["", ...Layout.wrapped(paragraph, width)])
  const head = (usage: string, { about, summary }: Described) => [
    ...Layout.wrapped(usage, width),
    ...paragraphs([sentence(summary), ...(about ?? [])])
  ]

  const spec = [...specs, help].find(({ name }) => name === topic.command)
  if (spec === undefined) {
    const all: ReadonlyArray<CommandSpec> = [...specs, help]
    // In one column over all groups.
    const widest = Math.max(...all.map(({ name }) => name.length))
    return [
      ...Layout.wrapped("Usage: snowguard [COMMAND] [OPTIONS]", width),
      ...paragraphs([
        "An MCP server for Snowflake that keeps serving when agents misbehave and when Snowflake does."
      ]),
      ...[...groups, undefined].flatMap((group) =>
        section(
          group ?? "Commands",
          all.filter((one) => one.group === group).map(({ name, summary }) => [name.padEnd(widest), summary])
        )
      ),
      ...section("Options", optionRows(options)),
      ...section("Environment", [
        ...Object.entries(reserved).map(([name, about]) => [name, about.replaceAll("`", "")] as const),
        [`${prefix}*`, "every setting of the file; --print-config shows them all"],
        ["NO_COLOR, FORCE_COLOR", "no colours, or colours, whatever the output is"]
      ]),
      ...section(
        "Exit codes",
        exitCodes.map(([code, meaning]) => [String(code), meaning])
      ),
      "",
      ...Layout.wrapped("snowguard help COMMAND shows its actions, its options and examples.", width),
      ""
    ].join("\n")
  }
  const action = topic.action === undefined ? undefined : actionOf(spec, topic.action.split(" "))
  if (action !== undefined) {
    return [
      ...head(usageOf([spec.name, action.name], action), action),
      ...section("Options", optionRows([...action.options, ...spec.options])),
      ...section("Options of every command", optionRows(options)),
      ...section("Examples", exampleRows(action.examples)),
      ""
    ].join("\n")
  }
  const { actions = [] }: CommandSpec = spec
  return [
    ...head(usageOf([spec.name], spec), spec),
    ...section(
      "Actions",
      actions.map((one) => [[one.name, ...operandsOf(one)].join(" "), one.summary])
    ),
    ...section("Options", optionRows(spec.options)),
    ...ownOptions(actions).flatMap(([of, own]) => section(`Options of ${of}`, optionRows(own))),
    ...section("Options of every command", optionRows(options)),
    ...section("Examples", [
      ...exampleRows(spec.examples),
      ...actions.flatMap((one) => exampleRows(one.examples))
    ]),
    ""
  ].join("\n")
}

const shownOption = ({ name, repeats = false, short, summary, value, values }: OptionSpec) => ({
  name: `--${name}`,
  short: short === undefined ? undefined : `-${short}`,
  value,
  values,
  repeats,
  summary
})

const shown = ({ about, examples = [], name, operands = [], options, summary }: Described) => ({
  name,
  summary,
  about,
  operands: operands.map(({ name, optional = false, values }) => ({ name, optional, values })),
  options: options.map(shownOption),
  examples: examples.map(([line, does]) => ({ line: `snowguard ${line}`.trimEnd(), does }))
})

/**
 * The same as JSON: of everything, or of one command.
 *
 * @since 0.1.0
 * @category rendering
 */
export const json = (command?: string, specs: ReadonlyArray<CommandSpec> = commands): string => {
  const all: ReadonlyArray<CommandSpec> = [...specs, help]
  return JSON.stringify({
    commands: all
      .filter(({ name }) => command === undefined || name === command)
      .map((spec) => ({ ...shown(spec), actions: (spec.actions ?? []).map(shown) })),
    options: options.map(shownOption),
    exit_codes: exitCodes.map(([code, meaning]) => ({ code, meaning }))
  })
}

/**
 * For a server that is started by hand: what it waits for, and what to do instead. `program`: how it is started.
 *
 * @since 0.1.0
 * @category rendering
 */
export const terminal = (
  program: string,
  { paint = painter(false), width = Layout.widthOf({}) }: Look = {}
): string => {
  return [
    "",
    ...Layout.wrapped(
      "This is an MCP server. It waits on stdin for the JSON-RPC messages of an MCP client, which starts it by itself: there is nothing to type here.",
      width
    ).map((line) => paint("bold", line)),
    "",
    ...Layout.definitions(
      [
        [`${program} init`, "writes a configuration, and says what a client needs"],
        [`${program} demo`, "a short tour of what it does"],
        [`${program} http`, "a server that clients reach over HTTP"],
        [`${program} --help`, "what else there is"]
      ],
      width
    ),
    "",
    "Ctrl-C ends it."
  ].join("\n")
}
