/**
 * `snowguard check`: connects to the Snowflake account and reports the identity there, or what is wrong. The last line is
 * `ok`, or what to do.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { escaped, escapedLine } from "../../platform/quoted.js"
import * as Main from "../../server/main.js"
import { during } from "../LiveLine.js"
import type { Run } from "./Command.js"
import { print, printHanging, textOption } from "./Command.js"

type Report = Effect.Effect.Success<ReturnType<typeof Main.checkAccount>>

/** Of the server, and not of the account. */
const unused =
  'the server answers from its embedded warehouse; warehouse = "snowflake" makes it use an account'

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

/**
 * @since 0.1.0
 * @category commands
 */
export const run: Run = ({ options, settings }) =>
  Effect.gen(function* () {
    const report = yield* Main.checkAccount(settings, {
      client: textOption(options, "client"),
      tier: textOption(options, "tier")
    }).pipe(during(`logging in to ${settings.snowflake.account ?? "the Snowflake account"}`))
    const { accessUrl, account, connection } = settings.snowflake
    const isUnset = accessUrl === undefined && account === undefined && connection === undefined
    const notes = [...(isUnset ? [unset] : []), ...(settings.warehouse === "snowflake" ? [] : [unused])]
    yield* options["json"] === true
      ? print(escapedLine(asJson(report, notes)))
      : printHanging(escaped(asText(report, notes)), 2)
    return report.exitCode
  })
