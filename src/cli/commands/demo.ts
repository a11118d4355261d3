/**
 * `snowguard demo`: a short tour on the embedded warehouse; `snowguard demo --outage`: an outage of
 * Snowflake, rehearsed on this machine with everything real but the account.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type { Run } from "./Command.js"
import { print, readerLeftExitCode, wholeOption, write, wrong } from "./Command.js"
import * as Rehearsal from "../../demo/rehearsal.js"
import { hasColors, painter } from "../../platform/colors.js"
import { widthOf, wrapped } from "../../platform/layout.js"
import type { Look } from "../../demo/render.js"
import { indented, progress, render } from "../../demo/render.js"
import * as Tour from "../../demo/tour.js"

const introduction = (speed: number): ReadonlyArray<string> => [
  "An outage of Snowflake, rehearsed: the complete server with Snowflake's driver, an emulated account on this " +
    "machine, and four agents: two that behave, one that floods, one whose SQL is wrong. Limits are the defaults; " +
    `the breaker opens for ${(Rehearsal.breakerSeconds.open / speed).toFixed(2)} s at first, not for 30.`,
  "ok, stale: answers, and answers from memory. sent: statements that reached Snowflake. |: refusals, by code."
]

const look: Look = {
  width: widthOf(process.stdout),
  paint: painter(hasColors(process.stdout, process.env))
}

/** Up to the line before, and without what is on it. */
const OVER = "\u001b[1A\u001b[2K"

/** Prints texts above a line that says how far it is, where that line can be written over. */
const makeTeller = (speed: number) => {
  const isTerminal = process.stdout.isTTY && process.env["TERM"] !== "dumb"
  let atMs: number | undefined
  return (text: string, nowMs: number | undefined): Effect.Effect<void> =>
    Effect.suspend(() => {
      const over = isTerminal && atMs !== undefined ? OVER : ""
      atMs = nowMs
      return print(
        over + text + (isTerminal && nowMs !== undefined ? `\n${progress(nowMs, speed, look)}` : "")
      )
    })
}

const rehearse = (speed: number, json: boolean) =>
  Effect.gen(function* () {
    const tell = makeTeller(speed)
    let atMs = 0
    if (!json) {
      yield* tell(
        introduction(speed)
          .flatMap((text) => wrapped(text, look.width))
          .join("\n"),
        0
      )
    }
    const { invariants } = yield* Rehearsal.run({
      speed,
      tell: (event) => {
        if (json) return print(JSON.stringify(event))
        if ("atMs" in event) atMs = event.atMs
        return tell(render(event, look), event._tag === "Summary" ? undefined : atMs)
      }
    })
    return invariants.every(({ held }) => held)
  })

const tour = (json: boolean) =>
  Effect.gen(function* () {
    const fine = yield* Tour.run((title, text, fine) =>
      print(
        json
          ? JSON.stringify({ title, text, fine })
          : [
              "",
              look.paint("bold", title),
              ...indented(text, "  > ", look.width),
              ...(fine ? [] : [look.paint("red", "FAILED: not what this step should show")])
            ].join("\n")
      )
    )
    if (!json) {
      const next = "Next: snowguard demo --outage rehearses an outage of Snowflake; it takes a minute."
      yield* print(["", ...wrapped(next, look.width)].join("\n"))
    }
    return fine
  })

/** The reader of the output may leave (`| head`): the finalizers run and the command ends. */
const readerLeft = Effect.async<number>((resume) => {
  // It stays: a write that is under way may fail later.
  process.stdout.on("error", () => resume(Effect.succeed(readerLeftExitCode)))
})

/**
 * Exit code 1 when it did not go as it must.
 *
 * @since 0.1.0
 * @category commands
 */
export const run: Run = ({ options }) =>
  Effect.gen(function* () {
    const outage = options["outage"] === true
    const speed = wholeOption(options, "speed")
    if (speed !== undefined && !outage) return yield* wrong("--speed", "is of --outage only")
    const json = options["json"] === true
    const shown = outage ? rehearse(speed ?? 1, json) : tour(json)
    return yield* Effect.raceFirst(
      Effect.map(shown, (fine) => (fine ? 0 : 1)),
      readerLeft
    )
  }).pipe(
    Effect.catchTag("EmulatorError", (error) => Effect.as(write(process.stderr, error.message), 1)),
    // The demo's own settings name no audit log.
    Effect.catchTag("AuditError", Effect.die),
    // Each refusal is on the screen already.
    Logger.withMinimumLogLevel(LogLevel.Error)
  )
