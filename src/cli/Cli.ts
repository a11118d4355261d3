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
      /** What follows the name of the command or the action. */
      readonly operands: ReadonlyArray<string>
      /** What is asked first at a terminal, where the action takes something away. */
      readonly question: string | undefined
      readonly scriptMustAgree?: true
    } & From)

/** Where the settings come from. */
interface From {
  readonly configPath: string | undefined
  readonly connection: string | undefined
  /** All values of the options that may be given several times. */
  readonly lists: { readonly [name: string]: ReadonlyArray<string> }
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

type Fault = (typeof UsageFault.Type)["faults"][number]

const fault = (argument: string, message: string, nearest?: string | undefined): Fault => ({
  argument,
  message,
  ...(nearest === undefined ? {} : { nearest })
})

/** What is wrong with words that name no action. */
const noAction = (spec: CommandSpec, [first, second]: ReadonlyArray<string>): Fault => {
  const actions = spec.actions ?? []
  const names = [...new Set(actions.map(({ name }) => name.split(" ")[0] ?? ""))]
  if (first === undefined) return fault(spec.name, `expected ${either(names)}`)
  const verbs = actions.flatMap(({ name }) =>
    name.startsWith(`${first} `) ? [name.slice(first.length + 1)] : []
  )
  const [given, among] = verbs.length === 0 ? [first, names] : [second, verbs]
  const meant = given === undefined ? undefined : nearest(given, among, 1)[0]
  return fault(
    [spec.name, first, ...(verbs.length === 0 || second === undefined ? [] : [second])].join(" "),
    given === undefined || meant === undefined ? `expected ${either(among)}` : "unknown action",
    meant === undefined ? undefined : [spec.name, ...(verbs.length === 0 ? [] : [first]), meant].join(" ")
  )
}

/** What is wrong with the value of an option or an operand. */
const valueFaults = (
  argument: string,
  { values, whole }: Pick<OptionSpec, "values" | "whole">,
  value: string
): ReadonlyArray<Fault> => {
  if (values !== undefined && !values.includes(value)) {
    return [fault(argument, `expected ${either(values)}, got ${value}`, nearest(value, values, 1)[0])]
  }
  if (whole === undefined) return []
  const fits = /^\d{1,10}$/.test(value) && Number(value) >= whole.least && Number(value) <= whole.most
  return fits ? [] : [fault(argument, `expected a whole number from ${whole.least} to ${whole.most}`)]
}

/**
 * Reads the arguments after `node snowguard`. `--help` wins over everything, faults included.
 *
 * @since 0.1.0
 * @category parsing
 */
export const parse: (argv: ReadonlyArray<string>) => Either.Either<Command, UsageFault> = (argv) =>
  parseWith(commands, argv)

/** An option as it was given. */
interface Flag {
  readonly name: string
  readonly rawName: string
  readonly value: string | undefined
  readonly inlineValue: boolean | undefined
}

/** A command line, in its parts: nothing is known yet of what they mean. */
interface Parts {
  readonly words: ReadonlyArray<string>
  readonly flags: ReadonlyArray<Flag>
  /** The values of the options that may be given several times. */
  readonly lists: { readonly [name: string]: ReadonlyArray<string> }
}

const partsOf = (
  specs: ReadonlyArray<CommandSpec>,
  all: ReadonlyArray<OptionSpec>,
  argv: ReadonlyArray<string>
): Parts => {
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
  const words: Array<string> = []
  const flags: Array<Flag> = []
  const lists = new Map<string, Array<string>>()
  let before: Flag | undefined
  /** Takes the words behind it too: a shell's `*.csv` is many. */
  let list: Array<string> | undefined
  for (const token of tokens) {
    if (token.kind === "option") {
      const { inlineValue, name, rawName, value } = token
      before = { inlineValue, name, rawName, value }
      flags.push(before)
      const repeats = all.some((option) => option.name === name && option.repeats === true)
      list = repeats && value !== undefined && value !== "" ? [...(lists.get(name) ?? []), value] : undefined
      if (list !== undefined) lists.set(name, list)
      continue
    }
    const option = before
    before = undefined
    if (token.kind !== "positional") continue
    if (list !== undefined && !specs.some(({ name }) => name === token.value)) {
      list.push(token.value)
      continue
    }
    list = undefined
    if (!losesValue(option, all)) words.push(token.value)
  }
  return { words, flags, lists: Object.fromEntries(lists) }
}

/**
 * `--confg my.toml`: the path is part of the mistake before it, not a command. An option that is known has its value
 * already.
 */
const losesValue = (before: Flag | undefined, all: ReadonlyArray<OptionSpec>): boolean =>
  before !== undefined && before.value === undefined && closest(before.name, all)?.value !== undefined

/** `help COMMAND ACTION`. */
const helpAbout = <Name extends string>(
  specs: ReadonlyArray<CommandSpec & { readonly name: Name }>,
  [asked, ...more]: ReadonlyArray<string>,
  json: boolean
): Either.Either<Command<Name>, UsageFault> => {
  const about = specs.find(({ name }) => name === asked)
  const action = about === undefined ? undefined : actionOf(about, more)
  // `help admin breaker`: the help of the command has all that begin so.
  const isPart = (about?.actions ?? []).some(({ name }) => name.startsWith(`${more.join(" ")} `))
  const faults = (): ReadonlyArray<Fault> => {
    if (asked !== undefined && asked !== help.name && about === undefined) {
      return [fault(asked, "unknown command", closest(asked, specs)?.name)]
    }
    if (about?.actions !== undefined && more.length > 0 && action === undefined && !isPart) {
      return [noAction(about, more)]
    }
    const known = isPart ? more.length : lengthOf(action)
    return more.slice(known).map((extra) => fault(extra, "unexpected argument"))
  }
  const wrong = faults()
  return wrong.length > 0
    ? Either.left(new UsageFault({ faults: wrong, topic: about?.name }))
    : Either.right({ _tag: "Help", command: about?.name, action: action?.name, json })
}

/** Words in the name of an action. */
const lengthOf = (action: Described | undefined): number => action?.name.split(" ").length ?? 0

/** What is meant: a command, and one of its actions where it has some. */
interface Meant {
  readonly spec: CommandSpec | undefined
  readonly action: Described | undefined
}

/** What is wrong with the words: the command, the action, the operands. */
const wordFaults = (
  specs: ReadonlyArray<CommandSpec>,
  { action, spec }: Meant,
  [named = "", ...words]: ReadonlyArray<string>
): ReadonlyArray<Fault> => {
  if (spec === undefined) {
    const among = named.startsWith("-") ? specs : [...specs, help]
    return [fault(named, "unknown command", closest(named, among)?.name)]
  }
  if (spec.actions !== undefined && action === undefined) return [noAction(spec, words)]
  const given = words.slice(lengthOf(action))
  const wanted = (action ?? spec).operands ?? []
  const path = [spec.name, ...(action === undefined ? [] : [action.name])].join(" ")
  const missing = wanted.slice(given.length).find(({ optional }) => optional !== true)
  return [
    ...(missing === undefined
      ? []
      : [fault(path, `expected ${missing.values === undefined ? missing.name : either(missing.values)}`)]),
    ...wanted.flatMap((operand, i) => {
      const value = given[i]
      return value === undefined ? [] : valueFaults(path, operand, value)
    }),
    ...given.slice(wanted.length).map((extra) => fault(extra, "unexpected argument"))
  ]
}

/** What is wrong with an option that is not one of the command. */
const strangeFault = (
  specs: ReadonlyArray<CommandSpec>,
  { action, spec }: Meant,
  { name, rawName }: Flag,
  known: ReadonlyArray<OptionSpec>
): Fault => {
  const owners = ownersOf(specs, name)
  const siblings = owners.filter((owner) => owner.startsWith(`${spec?.name ?? ""} `))
  if (siblings.length > 0 && action !== undefined) {
    return fault(rawName, `an option of ${siblings.join(", ")}, not of ${spec?.name ?? ""} ${action.name}`)
  }
  if (owners.length > 0) return fault(rawName, `an option of ${owners.join(", ")} only`)
  const meant = closest(name, known)
  return fault(rawName, "unknown option", meant === undefined ? undefined : `--${meant.name}`)
}

/** What is wrong with an option of the command, as it was given. */
const flagFaults = (
  option: OptionSpec,
  { inlineValue, rawName, value }: Flag,
  isGiven: boolean
): ReadonlyArray<Fault> => {
  // A flag given twice says the same thing.
  if (option.value === undefined) return value === undefined ? [] : [fault(rawName, "takes no value")]
  if (value === undefined || value === "") return [fault(rawName, `expected ${option.value}`)]
  // `--config --print-config` has lost its path; `--config=-odd-name` is meant as it is.
  if (value.startsWith("-") && inlineValue === false) {
    return [fault(rawName, `expected ${option.value}, got ${value}`)]
  }
  if (option.repeats !== true && isGiven) return [fault(rawName, "given twice")]
  return valueFaults(rawName, option, value)
}

/** The options that are known where this is meant. An unknown command, or action, has unknown options. */
const knownOptions = (
  all: ReadonlyArray<OptionSpec>,
  { action, spec }: Meant,
  isPrinted: boolean
): ReadonlyArray<OptionSpec> => {
  if (spec === undefined) return all
  const own = action === undefined ? optionsOf(spec) : [...spec.options, ...action.options]
  return [...options, ...own, ...(isPrinted ? [asJson] : [])]
}

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
  const { flags, lists, words } = partsOf(specs, all, argv)
  const has = (name: string) => flags.some((flag) => flag.name === name)
  const json = has(asJson.name)
  const [named, ...behind] = words
  if (named === help.name && !has("help")) return helpAbout(specs, behind, json)

  const spec: Specs[number] | undefined =
    named === undefined ? specs[0] : specs.find((candidate) => candidate.name === named)
  const action = spec === undefined ? undefined : actionOf(spec, behind)
  if (has("help")) {
    const command = named === undefined ? undefined : spec?.name
    return Either.right({ _tag: "Help", command, action: action?.name, json })
  }

  const known = knownOptions(all, { spec, action }, has("print-config") || has("version"))
  const faults = [...wordFaults(specs, { spec, action }, words)]
  const values: { [name: string]: string | true } = {}
  for (const flag of flags) {
    const option = known.find(({ name }) => name === flag.name)
    if (option === undefined) {
      faults.push(strangeFault(specs, { spec, action }, flag, known))
      continue
    }
    faults.push(...flagFaults(option, flag, Object.hasOwn(values, flag.name)))
    if (option.repeats !== true) values[flag.name] = flag.value ?? true
  }
  if (faults.length > 0 || spec === undefined) {
    const topic = named === undefined ? undefined : spec?.name
    return Either.left(
      new UsageFault({ faults, topic: action === undefined ? topic : `${spec?.name ?? ""} ${action.name}` })
    )
  }
  const { config, connection, "print-config": print, version, ...own } = values
  if (version === true) return Either.right({ _tag: "Version", json })
  const from: From = {
    configPath: typeof config === "string" ? config : undefined,
    connection: typeof connection === "string" ? connection : undefined,
    lists
  }
  if (print === true) return Either.right({ _tag: "PrintConfig", json, ...from })
  const given = { operands: behind.slice(lengthOf(action)), options: own }
  return Either.right({
    _tag: "Run",
    command: spec.name,
    action: action?.name,
    question: action?.asks?.(given),
    ...(action?.scriptMustAgree === true ? { scriptMustAgree: true as const } : {}),
    ...given,
    ...from
  })
}
