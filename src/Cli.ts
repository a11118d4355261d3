/**
 * The command line as data: what it can say, how it is read, and the help, all from two tables.
 * Pure; what a command does is decided by who reads the result.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { parseArgs } from "node:util"
import { nearest } from "./core/Nearest.js"
import type { CommandSpec, OptionSpec } from "./internal/commandSpecs.js"
import { commands } from "./internal/commandSpecs.js"
import { prefix } from "./config/Key.js"
import { printable } from "./config/Kind.js"
import { reserved } from "./config/Table.js"

export { commands }
export type { CommandSpec, OptionSpec }

/**
 * @since 0.1.0
 * @category models
 */
export type CommandName = (typeof commands)[number]["name"]

/**
 * Understood with every command.
 *
 * @since 0.1.0
 * @category constants
 */
export const options = [
  { name: "config", short: "c", value: "PATH", summary: "read this configuration file" },
  {
    name: "connection",
    value: "NAME",
    summary: "use this connection of Snowflake's connections.toml or config.toml"
  },
  { name: "print-config", summary: "print the configuration in effect, without secrets, and exit" },
  { name: "version", short: "V", summary: "print the version and exit" },
  { name: "help", short: "h", summary: "print this help and exit" }
] as const satisfies ReadonlyArray<OptionSpec>

/**
 * Exit code of a command line that cannot be understood (`EX_USAGE` of sysexits.h).
 *
 * @since 0.1.0
 * @category constants
 */
export const exitCode = 64

/**
 * @since 0.1.0
 * @category models
 */
export type Command<Name extends string = CommandName> =
  | { readonly _tag: "Help"; readonly command: Name | undefined }
  | { readonly _tag: "Version" }
  | ({ readonly _tag: "PrintConfig" } & From)
  | ({
      readonly _tag: "Run"
      readonly command: Name
      /** The command's own options; a flag that was given is `true`. */
      readonly options: { readonly [name: string]: string | true }
      readonly operands: ReadonlyArray<string>
    } & From)

/** Where the settings come from. */
interface From {
  readonly configPath: string | undefined
  readonly connection: string | undefined
}

/**
 * Everything that is wrong with a command line.
 *
 * @since 0.1.0
 * @category errors
 */
export class UsageFault extends Schema.TaggedError<UsageFault>("snowguard/UsageFault")("UsageFault", {
  faults: Schema.Array(
    Schema.Struct({
      argument: Schema.String,
      message: Schema.String,
      /** What was probably meant. */
      nearest: Schema.optional(Schema.String)
    })
  )
}) {
  override get message(): string {
    return this.render()
  }

  /** One line for each fault, for stderr. */
  render(): string {
    const lines = this.faults.map(({ argument, message, nearest: meant }) =>
      printable(`${argument}: ${message}${meant === undefined ? "" : `; did you mean ${meant}?`}`)
    )
    return [...lines, "snowguard --help lists what there is"].join("\n")
  }
}

type Faults = Array<(typeof UsageFault.Type)["faults"][number]>

const closest = <A extends { readonly name: string }>(
  name: string,
  among: ReadonlyArray<A>
): A | undefined => {
  const [found] = nearest(
    name,
    among.map((one) => one.name),
    1
  )
  return among.find((one) => one.name === found)
}

const takesValue = (option: OptionSpec | undefined): boolean => option?.value !== undefined

const isRequired = (operand: string): boolean => !operand.startsWith("[")

/**
 * Reads the arguments after `node snowguard`. `--help` wins over everything, faults included.
 *
 * @since 0.1.0
 * @category parsing
 */
export const parse: (argv: ReadonlyArray<string>) => Either.Either<Command, UsageFault> = (argv) =>
  parseWith(commands, argv)

/**
 * {@link parse} for other commands; the first is the default.
 *
 * @since 0.1.0
 * @category parsing
 */
export const parseWith = <const Specs extends readonly [CommandSpec, ...Array<CommandSpec>]>(
  specs: Specs,
  argv: ReadonlyArray<string>
): Either.Either<Command<Specs[number]["name"]>, UsageFault> => {
  const all: ReadonlyArray<OptionSpec> = [...options, ...specs.flatMap((spec) => spec.options)]
  // Not strict: node would stop at the first mistake, and says nothing of what was meant.
  const { tokens } = parseArgs({
    args: [...argv],
    strict: false,
    tokens: true,
    allowPositionals: true,
    options: Object.fromEntries(
      all.map(({ name, short, value }) => [
        name,
        {
          type: value === undefined ? "boolean" : "string",
          ...(short === undefined ? {} : { short })
        } as const
      ])
    )
  })
  const flags = tokens.flatMap((token) => (token.kind === "option" ? [token] : []))
  const [named, ...operands] = tokens.flatMap((token, i) => {
    if (token.kind !== "positional") return []
    // `--confg my.toml`: the path is part of the mistake before it, not a command. An option that is known
    // has its value already.
    const before = tokens[i - 1]
    const isLost =
      before?.kind === "option" && before.value === undefined && takesValue(closest(before.name, all))
    return isLost ? [] : [token.value]
  })
  const spec: Specs[number] | undefined =
    named === undefined ? specs[0] : specs.find((candidate) => candidate.name === named)
  if (flags.some(({ name }) => name === "help")) {
    return Either.right({ _tag: "Help", command: named === undefined ? undefined : spec?.name })
  }

  const faults: Faults = []
  const fault = (argument: string, message: string, meant?: string | undefined) =>
    faults.push({ argument, message, ...(meant === undefined ? {} : { nearest: meant }) })
  if (spec === undefined) {
    fault(named ?? "", "unknown command", closest(named ?? "", specs)?.name)
  } else {
    const wanted = spec.operands ?? []
    const missing = wanted.slice(operands.length).find(isRequired)
    if (missing !== undefined) fault(spec.name, `expected ${missing}`)
    for (const extra of operands.slice(wanted.length)) fault(extra, "unexpected argument")
  }

  // Of an unknown command nobody knows the options.
  const known: ReadonlyArray<OptionSpec> = spec === undefined ? all : [...options, ...spec.options]
  const values: { [name: string]: string | true } = {}
  for (const { inlineValue, name, rawName, value } of flags) {
    const option = known.find((candidate) => candidate.name === name)
    const owner = specs.find((candidate) => candidate.options.some((own) => own.name === name))
    if (option === undefined && owner !== undefined) {
      fault(rawName, `an option of ${owner.name} only`)
    } else if (option === undefined) {
      const meant = closest(name, known)
      fault(rawName, "unknown option", meant === undefined ? undefined : `--${meant.name}`)
    } else if (option.value === undefined) {
      if (value !== undefined) fault(rawName, "takes no value")
      // A flag given twice says the same thing.
      values[name] = true
    } else if (value === undefined || value === "") {
      fault(rawName, `expected ${option.value}`)
    } else if (value.startsWith("-") && inlineValue === false) {
      // `--config --print-config` has lost its path; `--config=-odd-name` is meant as it is.
      fault(rawName, `expected ${option.value}, got ${value}`)
    } else if (Object.hasOwn(values, name)) {
      fault(rawName, "given twice")
    } else {
      values[name] = value
    }
  }
  if (faults.length > 0 || spec === undefined) return Either.left(new UsageFault({ faults }))
  if (values["version"] === true) return Either.right({ _tag: "Version" })
  const { config, connection, "print-config": print, ...own } = values
  const from: From = {
    configPath: typeof config === "string" ? config : undefined,
    connection: typeof connection === "string" ? connection : undefined
  }
  return Either.right(
    print === true
      ? { _tag: "PrintConfig", ...from }
      : { _tag: "Run", command: spec.name, ...from, options: own, operands }
  )
}

const columns = (rows: ReadonlyArray<readonly [string, string]>): ReadonlyArray<string> => {
  const width = Math.max(0, ...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)
}

const optionRows = (specs: ReadonlyArray<OptionSpec>) =>
  columns(
    specs.map(({ name, short, summary, value }) => [
      `${short === undefined ? "    " : `-${short}, `}--${name}${value === undefined ? "" : ` ${value}`}`,
      summary
    ])
  )

/**
 * The help, for stdout: of everything, or of one command.
 *
 * @since 0.1.0
 * @category rendering
 */
export const helpText = (command?: string, specs: ReadonlyArray<CommandSpec> = commands): string => {
  const spec = specs.find(({ name }) => name === command)
  if (spec !== undefined) {
    const operands = (spec.operands ?? []).map((operand) => ` ${operand}`).join("")
    return [
      `Usage: snowguard ${spec.name}${operands} [OPTIONS]`,
      "",
      spec.summary,
      "",
      "Options:",
      ...optionRows([...spec.options, ...options]),
      ""
    ].join("\n")
  }
  return [
    "Usage: snowguard [COMMAND] [OPTIONS]",
    "",
    "An MCP server for Snowflake that keeps serving when agents misbehave and when Snowflake does.",
    "",
    "Commands:",
    ...columns(specs.map(({ name, operands = [], summary }) => [[name, ...operands].join(" "), summary])),
    "",
    "Options:",
    ...optionRows(options),
    "",
    "Environment:",
    ...columns([
      ...Object.entries(reserved).map(([name, about]) => [name, about.replaceAll("`", "")] as const),
      [`${prefix}*`, "every setting of the file; --print-config shows them all"]
    ]),
    "",
    "Exit codes: 0 done, 64 the command line is wrong, 74 the quota store cannot be opened, 78 the",
    "configuration is wrong.",
    ""
  ].join("\n")
}

/**
 * For who starts the server by hand: what it waits for, and what to do instead. `script`: what node was started
 * with.
 *
 * @since 0.1.0
 * @category rendering
 */
export const terminalText = (script: string | undefined): string => {
  const program = script === undefined || !/\.js$/.test(script) ? "snowguard" : `node ${script}`
  return [
    "This is an MCP server: it waits on stdin for the JSON-RPC messages of an MCP client, which starts it by itself.",
    ...columns([
      [`${program} demo`, "a short tour of what it does"],
      [`${program} http`, "a server that clients reach over HTTP"],
      [`${program} --help`, "what else there is"]
    ]),
    "Ctrl-C ends it."
  ].join("\n")
}
