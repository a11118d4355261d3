/**
 * `snowguard check`: opens the warehouse that is served, an account or the embedded one, and reports what is there, or
 * what is wrong. The last line is `ok`, or what to do.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as ServerConfig from "../../config/ServerConfig.js"
import { escaped, escapedLine } from "../../platform/quoted.js"
import * as Main from "../../server/main.js"
import { during } from "../LiveLine.js"
import type { Run } from "./Command.js"
import { print, printHanging, textOption, tierOption } from "./Command.js"

type Report = Effect.Effect.Success<ReturnType<typeof Main.checkAccount>>

/** Of the server, and not of the account. */
const unused =
  'the server answers from its embedded warehouse; warehouse = "snowflake" makes it use an account'

const unasked =
  'a Snowflake account is set, and was not asked: the server answers from its embedded warehouse; warehouse = "snowflake" makes it use the account'

const unset = "no account is set: snowguard init asks for one, and writes the configuration"

/**
 * For people, a line each.
 *
 * @since 0.1.0
 * @category rendering
 */
export const asText = (
  { facts, todo, warnings, wrong = [] }: Report,
  notes: ReadonlyArray<string> = []
): string =>
  [
    ...Object.entries(facts).map(([name, value]) => `${name}: ${value}`),
    ...warnings.map((warning) => `warning: ${warning}`),
    ...wrong.map((each) => `wrong: ${each}`),
    ...notes.map((note) => `note: ${note}`),
    todo === undefined ? "ok" : `to do: ${todo}`
  ].join("\n")

/**
 * For programs, on one line.
 *
 * @since 0.1.0
 * @category rendering
 */
export const asJson = (
  { exitCode, facts, todo, warnings, wrong }: Report,
  notes: ReadonlyArray<string> = []
): string =>
  JSON.stringify({
    ok: exitCode === 0,
    ...Object.fromEntries(Object.entries(facts).map(([name, value]) => [name.replaceAll(" ", "_"), value])),
    warnings,
    notes,
    ...(wrong === undefined ? {} : { wrong: wrong.join("; "), todo })
  })

const hasAccount = ({ snowflake: { accessUrl, account, connection } }: ServerConfig.Settings): boolean =>
  (accessUrl ?? account ?? connection) !== undefined

/**
 * Looks at the warehouse that the settings choose. Where nothing chooses one, an account is meant, which may be missing.
 *
 * @since 0.1.0
 * @category commands
 */
export const run: Run = (input) =>
  Effect.gen(function* () {
    const { connection, options, settings, source, sources = new Map() } = input
    const isEmbedded = ServerConfig.meansEmbedded({ settings, sources }, connection)
    const client = textOption(options, "client")
    const tier = yield* tierOption(input)
    const report = yield* isEmbedded
      ? Effect.map(Main.checkEmbedded(settings), ({ facts, ...found }) => ({
          ...found,
          facts: { settings: source.path ?? "no file, the environment and the defaults", ...facts }
        })).pipe(during("opening the embedded warehouse"))
      : Main.checkAccount(settings, { client, tier }).pipe(
          during(`logging in to ${settings.snowflake.account ?? "the Snowflake account"}`)
        )
    const isSet = hasAccount(settings)
    const notes = isEmbedded
      ? isSet
        ? [unasked]
        : []
      : [...(isSet ? [] : [unset]), ...(settings.warehouse === "snowflake" ? [] : [unused])]
    yield* options["json"] === true
      ? print(escapedLine(asJson(report, notes)))
      : printHanging(escaped(asText(report, notes)), 2)
    return report.exitCode
  })
