/**
 * `snowguard http`: serves many clients over HTTP until it is told to stop.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Main from "../../server/main.js"
import type { Run } from "./Command.js"
import { textOption, wholeOption } from "./Command.js"

/**
 * @since 0.1.0
 * @category commands
 */
export const run: Run = ({ options, settings, source }) =>
  Effect.as(
    Main.http(settings, { host: textOption(options, "host"), port: wholeOption(options, "port") }, source),
    0
  )
