/**
 * The command line as data: its commands and options, the parser, and the help, all from two tables. Pure: it runs no
 * command.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { parseArgs } from "node:util"
import { prefix } from "../config/Key.js"
import { printable } from "../config/Kind.js"
import { reserved } from "../config/Table.js"
import { nearest } from "../platform/core/Nearest.js"
import * as Layout from "../platform/layout.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface OptionSpec {
  /** Without the dashes. */
  readonly name: string
  readonly short?: string | undefined
  /** What the value is called in the help; a flag has none. */
  readonly value?: string | undefined
  readonly summary: string
  /** May be given several times, and takes the arguments behind its value too: a shell's `*.csv` is many. */
  readonly repeats?: boolean | undefined
}

/** An option of the commands that serve. */
const load: OptionSpec = {
  name: "load",
  value: "FILE",
  summary:
    "serve this file (CSV, TSV, JSON, Parquet) as a table of LOCAL.PUBLIC; as often as there are files",
  repeats: true
}

/**
 * @since 0.1.0
 * @category models
 */
export interface CommandSpec {
  readonly name: string
  readonly summary: string
  readonly options: ReadonlyArray<OptionSpec>
  /** What follows the name, in order; `[NAME]` may be left out. None when absent. */
  readonly operands?: ReadonlyArray<string> | undefined
}

/**
 * A new command is a line here and an entry in `bin`. The first one is the default.
 *
 * @since 0.1.0
 * @category constants
 */
export const commands = [
  { name: "stdio", summary: "serve one client over stdin and stdout (the default)", options: [load] },
  {
    name: "http",
    summary: "serve many clients over HTTP",
    options: [
      { name: "host", value: "HOST", summary: "the address to listen on; http.host if not given" },
      { name: "port", value: "PORT", summary: "the port to listen on; http.port if not given" },
      load
    ]
  },
  {
    name: "keys",
    summary: "make, list or revoke API keys; ACTION is create, list or revoke",
    operands: ["ACTION", "[NAME]"],
    options: [
      { name: "tier", value: "NAME", summary: "the tier of the new key; that of the client if not given" },
      { name: "admin", summary: "the new key may also operate the server" },
      { name: "json", summary: "as JSON" }
    ]
  },
  {
    name: "admin",
    summary:
      "look at a running server, or operate it; WHAT is status, breaker open|release|reset, ladder pin MODE, ladder unpin, quota reset CLIENT, warehouse unlatch, or reload (settings)",
    operands: ["WHAT", "[VERB]", "[NAME]"],
    options: [
      { name: "url", value: "URL", summary: "of the server; http.host and http.port if not given" },
      { name: "quota", value: "QUOTA", summary: "reset this quota only" },
      { name: "user", value: "USER", summary: "unlatch the login of this user only" },
      { name: "json", summary: "as JSON" }
    ]
  },
  {
    name: "check",
    summary: "connect to the Snowflake account and say what is wrong",
    options: [
      { name: "client", value: "NAME", summary: "as this client's statements run" },
      { name: "tier", value: "NAME", summary: "as those of this tier; that of the client if not given" },
      { name: "json", summary: "as JSON" }
    ]
  },
  {
    name: "quota",
    summary: "show, reset or export what was used; ACTION is show, reset or export",
    operands: ["ACTION"],
    options: [
      { name: "client", value: "NAME", summary: "of this client only" },
      { name: "quota", value: "QUOTA", summary: "reset this quota only" },
      { name: "all", summary: "reset what every client has used; asks first at a terminal" },
      { name: "yes", summary: "do not ask" },
      { name: "json", summary: "as JSON" }
    ]
  },
  {
    name: "limits",
    summary:
      "explain: say which settings make up a client's limits, and where each comes from; simulate: say whom other limits would have refused, by the audit log",
    operands: ["ACTION"],
    options: [
      { name: "client", value: "NAME", summary: "explain: the client" },
      {
        name: "tier",
        value: "NAME",
        summary: "explain: as if its key named this tier; that of the client if not given"
      },
      {
        name: "audit",
        value: "FILE",
        summary: "simulate: a file of the audit log; as often as there are files, of one server or several",
        repeats: true
      },
      {
        name: "from",
        value: "TIME",
        summary:
          "simulate: count calls from then on (2026-11-30, 2026-11-30T08:00, UTC if not said); those before it are replayed all the same"
      },
      { name: "to", value: "TIME", summary: "simulate: leave out calls from then on" },
      { name: "json", summary: "as JSON" }
    ]
  },
  {
    name: "demo",
    summary: "a short tour on the embedded warehouse, or the rehearsal of an outage of Snowflake",
    options: [
      { name: "outage", summary: "rehearse an outage: a minute, with an emulated account" },
      { name: "speed", value: "N", summary: "so many times faster; 1 if not given" },
      { name: "json", summary: "one JSON object a line" }
    ]
  },
  {
    name: "emulator",
    summary: "serve Snowflake's wire protocol from the embedded warehouse, with faults on demand",
    options: [
      { name: "port", value: "PORT", summary: "where to listen; any free port if not given" },
      { name: "control-port", value: "PORT", summary: "where it is controlled, whatever the faults are" },
      { name: "host", value: "HOST", summary: "the address to listen on; 127.0.0.1 if not given" },
      { name: "faults", value: "FILE", summary: "a script of faults, in JSON" },
      { name: "seed", value: "N", summary: "decides what the probabilities of the faults come out as" }
    ]
  },
  {
    name: "check-sql",
    summary: "say whether the read-only gate accepts statements, and why not",
    operands: ["[SQL]"],
    options: [
      {
        name: "dialect",
        value: "DIALECT",
        summary: "snowflake or duckdb; that of the warehouse if not given"
      },
      { name: "tier", value: "NAME", summary: "the tier whose policy applies; default if not given" },
      { name: "json", summary: "one JSON object a line" }
    ]
  }
] as const satisfies ReadonlyArray<CommandSpec>

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

/** Answered without running a command. */
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
      /** All values of the options that may be given several times. */
      readonly lists?: { readonly [name: string]: ReadonlyArray<string> } | undefined
    } & From)

/** Where the settings come from. */
interface From {
  readonly configPath: string | undefined
  readonly connection: string | undefined
  /** Files that the embedded warehouse serves. */
  readonly load?: ReadonlyArray<string> | undefined
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
  // Not strict: node would stop at the first mistake, and suggests nothing.
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
  const repeated = new Map<string, Array<string>>()
  let last: Array<string> | undefined
  const [named, ...operands] = tokens.flatMap((token, i) => {
    if (token.kind === "option") {
      const repeats = all.some(({ name, repeats }) => name === token.name && repeats === true)
      last = undefined
      if (!repeats || token.value === undefined || token.value === "") return []
      last = [...(repeated.get(token.name) ?? []), token.value]
      repeated.set(token.name, last)
      return []
    }
    if (token.kind !== "positional") return []
    if (last !== undefined && !specs.some(({ name }) => name === token.value)) {
      last.push(token.value)
      return []
    }
    last = undefined
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

  // An unknown command has unknown options.
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
    } else if (option.repeats !== true && Object.hasOwn(values, name)) {
      fault(rawName, "given twice")
    } else {
      values[name] = value
    }
  }
  if (faults.length > 0 || spec === undefined) return Either.left(new UsageFault({ faults }))
  if (values["version"] === true) return Either.right({ _tag: "Version" })
  const { config, connection, load: _, "print-config": print, ...own } = values
  const from: From = {
    configPath: typeof config === "string" ? config : undefined,
    connection: typeof connection === "string" ? connection : undefined,
    load: repeated.get("load")
  }
  const lists = [...repeated].filter(([name]) => name !== "load")
  return Either.right(
    print === true
      ? { _tag: "PrintConfig", json: own["json"] === true, ...from }
      : {
          _tag: "Run",
          command: spec.name,
          ...from,
          options: own,
          operands,
          ...(lists.length === 0 ? {} : { lists: Object.fromEntries(lists) })
        }
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
 * For a server that is started by hand: what it waits for, and what to do instead. `script`: what node was started
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
