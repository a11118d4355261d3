/**
 * `snowguard http`: serves many clients over HTTP until it is told to stop.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Main from "../../server/main.js"
import * as Arguments from "../arguments.js"
import type { Run } from "./Command.js"

/**
 * @since 0.1.0
 * @category commands
 */
export const run: Run = ({ options, settings }) =>
  Effect.gen(function* () {
    const port = yield* Arguments.whole(options, "port", 65_535)
    yield* Main.http(settings, { host: Arguments.text(options, "host"), port })
    return 0
  })
