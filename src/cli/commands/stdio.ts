/**
 * `snowguard stdio`: serves one client over stdin and stdout.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Main from "../../server/main.js"
import type { Run } from "./Command.js"

/**
 * @since 0.1.0
 * @category commands
 */
export const run: Run = ({ settings }) => Effect.as(Main.stdio(settings), 0)
