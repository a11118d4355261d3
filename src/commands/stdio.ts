/**
 * `snowguard stdio`: serves one client over stdin and stdout.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { STOP_MS, stopWithin } from "../internal/stopWithin.js"
import * as Main from "../main.js"
import type { Run } from "./Command.js"

/**
 * @since 0.1.0
 * @category commands
 */
export const run: Run = ({ settings }) => Effect.as(stopWithin(STOP_MS)(Main.stdio(settings)), 0)
