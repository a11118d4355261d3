/**
 * The command line: from the arguments after `node snowguard` to a command, or to everything that is wrong with them.
 * Pure: it runs no command.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { parseArgs } from "node:util"
import { printable } from "../config/Kind.js"
import { nearest } from "../platform/core/Nearest.js"
import type { CommandName, CommandSpec, Described, OptionSpec } from "./Commands.js"
import { asJson, commands, help, options } from "./Commands.js"

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
  | {
      readonly _tag: "Help"
      readonly command: Name | undefined
      readonly action: string | undefined
      readonly json: boolean
    }
  | { readonly _tag: "Version"; readonly json: boolean }
  | ({ readonly _tag: "PrintConfig"; readonly json: boolean } & From)
  | ({
      readonly _tag: "Run"
      readonly command: Name
      /** The action of the command that was named, of those that have some. */
      readonly action: string | undefined
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
  ),
  /** The command, and the action, whose help says how it is used. */
  topic: Schema.optional(Schema.String)
}) {
  override get message(): string {
    return this.render()
  }

  /** One line for each fault, for stderr, and one that says where the help is. */
  render(topic = this.topic): string {
    const lines = this.faults.map(({ argument, message, nearest: meant }) =>
      printable(`${argument}: ${message}${meant === undefined ? "" : `; did you mean ${meant}?`}`)
    )
    return [
      ...lines,
      topic === undefined
        ? "snowguard --help lists what there is"
        : `snowguard help ${topic} shows how it is used`
    ].join("\n")
  }
}

/**
 * One thing that is wrong; `among`: the names that could have been meant.
 *
 * @since 0.1.0
 * @category errors
 */
export const wrong = (
  argument: string,
  message: string,
  given = "",
  among: Iterable<string> = []
): UsageFault => {
  const [meant] = nearest(given, among, 1)
  return new UsageFault({
    faults: [{ argument, message, ...(meant === undefined ? {} : { nearest: meant }) }]
  })
}

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

/**
 * The options of a command, with those of all its actions.
 *
 * @since 0.1.0
 * @category combinators
 */
export const optionsOf = (spec: CommandSpec): ReadonlyArray<OptionSpec> => [
  ...spec.options,
  ...(spec.actions ?? []).flatMap((action) => action.options)
]

/** What understands an option, in words. */
const ownersOf = (specs: ReadonlyArray<CommandSpec>, name: string): ReadonlyArray<string> =>
  specs.flatMap((spec) =>
    spec.options.some((own) => own.name === name)
      ? [spec.name]
      : (spec.actions ?? []).flatMap((action) =>
          action.options.some((own) => own.name === name) ? [`${spec.name} ${action.name}`] : []
        )
  )

/** `a, b or c`. */
const either = (names: ReadonlyArray<string>): string =>
  names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} or ${names.at(-1) ?? ""}`

/**
 * The action that the words behind a command name.
 *
 * @since 0.1.0
 * @category combinators
 */
export const actionOf = (spec: CommandSpec, words: ReadonlyArray<string>): Described | undefined =>
  spec.actions?.find(({ name }) => name === words.slice(0, name.split(" ").length).join(" "))

/** What is wrong with words that name no action. */
const noAction = (spec: CommandSpec, [first, second]: ReadonlyArray<string>) => {
  const actions = spec.actions ?? []
  const names = [...new Set(actions.map(({ name }) => name.split(" ")[0] ?? ""))]
  if (first === undefined)
    return { argument: spec.name, message: `expected ${either(names)}`, nearest: undefined }
  const verbs = actions.flatMap(({ name }) =>
    name.startsWith(`${first} `) ? [name.slice(first.length + 1)] : []
  )
  const [given, among] = verbs.length === 0 ? [first, names] : [second, verbs]
  const meant = given === undefined ? undefined : nearest(given, among, 1)[0]
  return {
    argument: [spec.name, first, ...(verbs.length === 0 || second === undefined ? [] : [second])].join(" "),
    message: given === undefined || meant === undefined ? `expected ${either(among)}` : "unknown action",
    nearest:
      meant === undefined ? undefined : [spec.name, ...(verbs.length === 0 ? [] : [first]), meant].join(" ")
  }
}

type Faults = Array<(typeof UsageFault.Type)["faults"][number]>

/** What is wrong with a value. */
const valueFault = (
  { values, whole }: Pick<OptionSpec, "values" | "whole">,
  value: string
): { readonly message: string; readonly nearest: string | undefined } | undefined => {
  if (values !== undefined && !values.includes(value)) {
    return { message: `expected ${either(values)}, got ${value}`, nearest: nearest(value, values, 1)[0] }
  }
  if (whole === undefined) return undefined
  const fits = /^\d{1,10}$/.test(value) && Number(value) >= whole.least && Number(value) <= whole.most
  return fits
    ? undefined
    : { message: `expected a whole number from ${whole.least} to ${whole.most}`, nearest: undefined }
}

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
  const all: ReadonlyArray<OptionSpec> = [...options, ...specs.flatMap(optionsOf)]
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
  const isGiven = (name: string) => flags.some((flag) => flag.name === name)
  const json = isGiven(asJson.name)
  const spec: Specs[number] | undefined =
    named === undefined ? specs[0] : specs.find((candidate) => candidate.name === named)
  if (named === help.name && !isGiven("help")) {
    const [asked, ...more] = operands
    const about = specs.find(({ name }) => name === asked)
    const action = about === undefined ? undefined : actionOf(about, more)
    // `help admin breaker`: the help of the command has all that begin so.
    const isPart = (about?.actions ?? []).some(({ name }) => name.startsWith(`${more.join(" ")} `))
    if (asked !== undefined && asked !== help.name && about === undefined) {
      fault(asked, "unknown command", closest(asked, specs)?.name)
    } else if (about?.actions !== undefined && more.length > 0 && action === undefined && !isPart) {
      const { argument, message, nearest: meant } = noAction(about, more)
      fault(argument, message, meant)
    } else {
      const known = action === undefined ? (isPart ? more.length : 0) : action.name.split(" ").length
      for (const extra of more.slice(known)) fault(extra, "unexpected argument")
    }
    return faults.length > 0
      ? Either.left(new UsageFault({ faults, topic: about?.name }))
      : Either.right({ _tag: "Help", command: about?.name, action: action?.name, json })
  }
  const action = spec === undefined ? undefined : actionOf(spec, operands)
  if (isGiven("help")) {
    return Either.right({
      _tag: "Help",
      command: named === undefined ? undefined : spec?.name,
      action: action?.name,
      json
    })
  }

  const isPrinted = isGiven("print-config") || isGiven("version")
  if (spec === undefined) {
    fault(
      named ?? "",
      "unknown command",
      closest(named ?? "", named?.startsWith("-") === true ? specs : [...specs, help])?.name
    )
  } else if (spec.actions !== undefined && action === undefined) {
    const { argument, message, nearest: meant } = noAction(spec, operands)
    fault(argument, message, meant)
  } else {
    const words = action === undefined ? 0 : action.name.split(" ").length
    const given = operands.slice(words)
    const wanted = (action ?? spec).operands ?? []
    const path = [spec.name, ...operands.slice(0, words)].join(" ")
    const missing = wanted.slice(given.length).find(({ optional }) => optional !== true)
    if (missing !== undefined) {
      fault(path, `expected ${missing.values === undefined ? missing.name : either(missing.values)}`)
    }
    for (const [i, operand] of wanted.entries()) {
      const value = given[i]
      const found = value === undefined ? undefined : valueFault(operand, value)
      if (found !== undefined) fault(path, found.message, found.nearest)
    }
    for (const extra of given.slice(wanted.length)) fault(extra, "unexpected argument")
  }

  // An unknown command, or action, has unknown options.
  const own =
    spec === undefined ? all : action === undefined ? optionsOf(spec) : [...spec.options, ...action.options]
  const known: ReadonlyArray<OptionSpec> =
    spec === undefined ? all : [...options, ...own, ...(isPrinted ? [asJson] : [])]
  const values: { [name: string]: string | true } = {}
  for (const { inlineValue, name, rawName, value } of flags) {
    const option = known.find((candidate) => candidate.name === name)
    const owners = ownersOf(specs, name)
    const siblings = owners.filter((owner) => owner.startsWith(`${spec?.name ?? ""} `))
    if (option === undefined && siblings.length > 0 && action !== undefined) {
      fault(rawName, `an option of ${siblings.join(", ")}, not of ${spec?.name ?? ""} ${action.name}`)
    } else if (option === undefined && owners.length > 0) {
      fault(rawName, `an option of ${owners.join(", ")} only`)
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
      const found = valueFault(option, value)
      if (found !== undefined) fault(rawName, found.message, found.nearest)
      values[name] = value
    }
  }
  if (faults.length > 0 || spec === undefined) {
    const topic = named === undefined ? undefined : spec?.name
    return Either.left(
      new UsageFault({ faults, topic: action === undefined ? topic : `${spec?.name ?? ""} ${action.name}` })
    )
  }
  if (values["version"] === true) return Either.right({ _tag: "Version", json })
  const { config, connection, load: _, "print-config": print, ...rest } = values
  const from: From = {
    configPath: typeof config === "string" ? config : undefined,
    connection: typeof connection === "string" ? connection : undefined,
    load: repeated.get("load")
  }
  const lists = [...repeated].filter(([name]) => name !== "load")
  return Either.right(
    print === true
      ? { _tag: "PrintConfig", json, ...from }
      : {
          _tag: "Run",
          command: spec.name,
          action: action?.name,
          ...from,
          options: rest,
          operands,
          ...(lists.length === 0 ? {} : { lists: Object.fromEntries(lists) })
        }
  )
}
