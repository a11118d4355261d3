/**
 * `snowguard check`: connects to the Snowflake account and says who it is, and what is wrong.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { escaped } from "../internal/quoted.js"
import * as Main from "../main.js"
import type { Run } from "./Command.js"
import { print } from "./Command.js"

/**
 * @since 0.1.0
 * @category commands
 */
export const run: Run = ({ settings }) =>
  Effect.gen(function* () {
    const { exitCode, lines } = yield* Main.checkAccount(settings)
    const unused =
      settings.warehouse === "snowflake"
        ? []
        : [
            `note: the server answers from its embedded warehouse; warehouse = "snowflake" makes it use an account`
          ]
    yield* print(escaped([...lines, ...unused].join("\n")))
    return exitCode
  })
