/**
 * `snowguard stdio`: serves one client over stdin and stdout. Started by hand it says what it waits for.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Main from "../../server/main.js"
import type { Run } from "./Command.js"
import { lookOf, programName, write } from "./Command.js"

/** Clients start servers without a terminal. */
const hint = Effect.suspend(() =>
  process.stdin.isTTY
    ? Effect.flatMap(
        Effect.promise(() => import("../Help.js")),
        ({ terminal }) => write(process.stderr, terminal(programName(), lookOf(process.stderr)))
      )
    : Effect.void
)

/**
 * @since 0.1.0
 * @category commands
 */
export const run: Run = ({ settings }) => Effect.as(Main.stdio(settings, hint), 0)
