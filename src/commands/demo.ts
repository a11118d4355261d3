/**
 * `snowguard demo`: a short tour on the embedded warehouse; `snowguard demo --outage`: an outage of
 * Snowflake, rehearsed on this machine with everything real but the account.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Arguments from "./arguments.js"
import type { Run } from "./Command.js"
import { print, write } from "./Command.js"
import * as Rehearsal from "./demo/rehearsal.js"
import { render } from "./demo/render.js"

const MOST_SPEED = 100

const introduction = (speed: number): string =>
  [
    "An outage of Snowflake, rehearsed: the complete server with Snowflake's driver, an emulated account on",
    "this machine, and four agents: two that behave, one that floods, one whose SQL is wrong. Limits are the",
    `defaults; the breaker opens for ${Rehearsal.breakerSeconds.open / speed} s at first, not for 30.`,
    "ok, stale: answers, and answers from memory. sent: statements that reached Snowflake. | refusals, by code."
  ].join("\n")

/**
 * Exit code 1 when an invariant did not hold.
 *
 * @since 0.1.0
 * @category commands
 */
export const run: Run = ({ options }) =>
  Effect.gen(function* () {
    const speed = (yield* Arguments.whole(options, "speed", MOST_SPEED)) ?? 1
    if (speed === 0) return yield* Arguments.wrong("--speed", `expected a whole number from 1 to ${MOST_SPEED}`)
    const json = options["json"] === true
    if (!json) yield* print(introduction(speed))
    const figures = yield* Rehearsal.run({
      speed,
      tell: (event) => print(json ? JSON.stringify(event) : render(event))
    })
    return figures.invariants.every(({ held }) => held) ? 0 : 1
  }).pipe(
    Effect.catchTag("EmulatorError", (error) => Effect.as(write(process.stderr, error.message), 1)),
    // Each refusal is on the screen already.
    Logger.withMinimumLogLevel(LogLevel.Error)
  )
