/**
 * The command line as data: what it can say, how it is read, and the help, all from two tables.
 * Pure; what a command does is decided by who reads the result.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { parseArgs } from "node:util"
import { nearest } from "../platform/core/Nearest.js"
import * as Layout from "../platform/layout.js"
import type { CommandSpec, OptionSpec } from "./commandSpecs.js"
import { commands } from "./commandSpecs.js"
import { prefix } from "../config/Key.js"
import { printable } from "../config/Kind.js"
import { reserved } from "../config/Table.js"

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
  {
    name: "print-config",
    summary: "print the configuration in effect, without secrets, and exit; with --json as JSON"
  },
  { name: "version", short: "V", summary: "print the version and exit" },
  { name: "help", short: "h", summary: "print this help and exit" }
] as const satisfies ReadonlyArray<OptionSpec>

/** Answered here: there is nothing to run. */
const help = {
  name: "help",
  summary: "print this help, or that of a command",
  operands: ["[COMMAND]"],
  options: []
} as const satisfies CommandSpec

/** Beside `--print-config`. */
const asJson: OptionSpec = { name: "json", summary: "as JSON" }

/**
 * Exit code of a command line that cannot be understood (`EX_USAGE` of sysexits.h).
 *
 * @since 0.1.0
 * @category constants
 */
export const exitCode = 64

/**
 * What the process ends with.
 *
 * @since 0.1.0
 * @category constants
 */
export const exitCodes: ReadonlyArray<readonly [code: number, meaning: string]> = [
  [0, "done; a server: ended as it was asked to"],
  [1, "it failed, or the answer is no (check-sql: a statement is refused; admin: no server answers)"],
  [64, "the command line is wrong"],
  [69, "the Snowflake account cannot be reached right now (check)"],
  [74, "the quota store cannot be opened, or the output cannot be written"],
  [78, "the configuration is wrong, or the account does not accept it (check)"],
  [141, "the reader of the output went away before its end"]
]

/**
 * @since 0.1.0
 * @category models
 */
export type Command<Name extends string = CommandName> =
  | { readonly _tag: "Help"; readonly command: Name | undefined }
  | { readonly _tag: "Version" }
  | ({ readonly _tag: "PrintConfig"; readonly json: boolean } & From)
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
  const faults: Faults = []
  const fault = (argument: string, message: string, meant?: string | undefined) =>
    faults.push({ argument, message, ...(meant === undefined ? {} : { nearest: meant }) })
  if (named === help.name) {
    const [asked, ...more] = operands
    const about = specs.find(({ name }) => name === asked)
    if (asked !== undefined && asked !== help.name && about === undefined) {
      fault(asked, "unknown command", closest(asked, specs)?.name)
    }
    for (const extra of more) fault(extra, "unexpected argument")
    return faults.length > 0
      ? Either.left(new UsageFault({ faults }))
      : Either.right({ _tag: "Help", command: about?.name })
  }
  const spec: Specs[number] | undefined =
    named === undefined ? specs[0] : specs.find((candidate) => candidate.name === named)
  if (flags.some(({ name }) => name === "help")) {
    return Either.right({ _tag: "Help", command: named === undefined ? undefined : spec?.name })
  }

  if (spec === undefined) {
    fault(
      named ?? "",
      "unknown command",
      closest(named ?? "", named?.startsWith("-") === true ? specs : [...specs, help])?.name
    )
  } else {
    const wanted = spec.operands ?? []
    const missing = wanted.slice(operands.length).find(isRequired)
    if (missing !== undefined) fault(spec.name, `expected ${missing}`)
    for (const extra of operands.slice(wanted.length)) fault(extra, "unexpected argument")
  }

  // Of an unknown command nobody knows the options.
  const printed = flags.some(({ name }) => name === "print-config")
  const known: ReadonlyArray<OptionSpec> =
    spec === undefined ? all : [...options, ...spec.options, ...(printed ? [asJson] : [])]
  const values: { [name: string]: string | true } = {}
  for (const { inlineValue, name, rawName, value } of flags) {
    const option = known.find((candidate) => candidate.name === name)
    const owners = specs.filter((candidate) => candidate.options.some((own) => own.name === name))
    if (option === undefined && owners.length > 0) {
      fault(rawName, `an option of ${owners.map((owner) => owner.name).join(", ")} only`)
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
      ? { _tag: "PrintConfig", json: own["json"] === true, ...from }
      : { _tag: "Run", command: spec.name, ...from, options: own, operands }
  )
}

const optionRows = (specs: ReadonlyArray<OptionSpec>, width: number) =>
  Layout.definitions(
    specs.map(({ name, short, summary, value }) => [
      `${short === undefined ? "    " : `-${short}, `}--${name}${value === undefined ? "" : ` ${value}`}`,
      summary
    ]),
    width
  )

const commandRow = ({ name, operands = [], summary }: CommandSpec) =>
  [[name, ...operands].join(" "), summary] as const

/**
 * The help, for stdout: of everything, or of one command. `width`: characters of a line.
 *
 * @since 0.1.0
 * @category rendering
 */
export const helpText = (
  command?: string,
  specs: ReadonlyArray<CommandSpec> = commands,
  width: number = Layout.widthOf({})
): string => {
  const spec = specs.find(({ name }) => name === command)
  if (spec !== undefined) {
    const operands = (spec.operands ?? []).map((operand) => ` ${operand}`).join("")
    return [
      ...Layout.wrapped(`Usage: snowguard ${spec.name}${operands} [OPTIONS]`, width),
      "",
      ...Layout.wrapped(spec.summary, width),
      "",
      "Options:",
      ...optionRows([...spec.options, ...options], width),
      ""
    ].join("\n")
  }
  return [
    "Usage: snowguard [COMMAND] [OPTIONS]",
    "",
    ...Layout.wrapped(
      "An MCP server for Snowflake that keeps serving when agents misbehave and when Snowflake does.",
      width
    ),
    "",
    "Commands:",
    ...Layout.definitions([...specs, help].map(commandRow), width),
    "",
    "Options:",
    ...optionRows(options, width),
    "",
    "Environment:",
    ...Layout.definitions(
      [
        ...Object.entries(reserved).map(([name, about]) => [name, about.replaceAll("`", "")] as const),
        [`${prefix}*`, "every setting of the file; --print-config shows them all"],
        ["NO_COLOR, FORCE_COLOR", "no colours, or colours, whatever the output is"]
      ],
      width
    ),
    "",
    "Exit codes:",
    ...Layout.definitions(
      exitCodes.map(([code, meaning]) => [String(code), meaning]),
      width
    ),
    ""
  ].join("\n")
}

/**
 * For who starts the server by hand: what it waits for, and what to do instead. `script`: what node was started
 * with; `width`: characters of a line.
 *
 * @since 0.1.0
 * @category rendering
 */
export const terminalText = (script: string | undefined, width: number = Layout.widthOf({})): string => {
  const program = script === undefined || !/\.js$/.test(script) ? "snowguard" : `node ${script}`
  return [
    ...Layout.wrapped(
      "This is an MCP server: it waits on stdin for the JSON-RPC messages of an MCP client, which starts it by itself.",
      width
    ),
    ...Layout.definitions(
      [
        [`${program} demo`, "a short tour of what it does"],
        [`${program} http`, "a server that clients reach over HTTP"],
        [`${program} --help`, "what else there is"]
      ],
      width
    ),
    "Ctrl-C ends it."
  ].join("\n")
}
