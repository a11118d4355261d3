/**
 * `snowguard demo`: a short tour on the embedded warehouse; `snowguard demo --outage`: an outage of
 * Snowflake, rehearsed on this machine with everything real but the account.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import * as LiveLine from "../LiveLine.js"
import type { Run } from "./Command.js"
import { lookOf, print, readerLeftExitCode, wholeOption, write, wrong } from "./Command.js"
import * as Rehearsal from "../../demo/rehearsal.js"
import { wrapped } from "../../platform/layout.js"
import { withoutMarks } from "../../mcp/ErrorReport.js"
import { indented, nowOf, progress, render, verdict } from "../../demo/render.js"
import { monotonicMillis } from "../../platform/monotonic.js"
import * as Tour from "../../demo/tour.js"

const introduction = (speed: number): ReadonlyArray<string> => [
  "An outage of Snowflake, rehearsed: the complete server with Snowflake's driver, an emulated account on this " +
    "machine, and four agents: two that behave, one that floods, one whose SQL is wrong. Limits are the defaults; " +
    `the breaker opens for ${(Rehearsal.breakerSeconds.open / speed).toFixed(2)} s at first, not for 30.`,
  "ok, stale: answers, and answers from memory. refused: by a guard, nothing was sent. failed: by Snowflake, or for " +
    "the statement's own fault. sent: statements that reached Snowflake."
]

const look = lookOf(process.stdout)

const rehearse = (speed: number, json: boolean) =>
  Effect.gen(function* () {
    const line = yield* LiveLine.make()
    const now = yield* Ref.make<{ readonly text: string; readonly zeroMs: number } | undefined>(undefined)
    const tell = (text: string) => line.above(print(text))
    if (!json) {
      yield* tell(
        introduction(speed)
          .flatMap((text) => wrapped(text, look.width))
          .join("\n")
      )
    }
    yield* line.set("starting the emulated account and the server")
    const tick = Effect.flatMap(Effect.zip(Ref.get(now), monotonicMillis), ([at, ms]) =>
      at === undefined ? Effect.void : line.set(progress(ms - at.zeroMs, speed, at.text))
    )
    yield* Effect.forkScoped(Effect.schedule(tick, Schedule.spaced(200)))
    const { invariants } = yield* Rehearsal.run({
      speed,
      tell: (event) =>
        Effect.gen(function* () {
          const text = nowOf(event)
          if (text !== undefined && "atMs" in event) {
            yield* Ref.set(now, { text, zeroMs: (yield* monotonicMillis) - event.atMs })
          }
          if (event._tag === "Summary") {
            yield* Ref.set(now, undefined)
            yield* line.set(undefined)
          }
          yield* tell(json ? JSON.stringify(event) : render(event, look))
        })
    })
    return invariants.every(({ held }) => held)
  }).pipe(Effect.scoped)

const tour = (json: boolean) =>
  Effect.gen(function* () {
    const line = yield* LiveLine.make()
    const startedMs = yield* monotonicMillis
    yield* line.set("starting the server on the embedded sample warehouse")
    const { all, fine } = yield* Tour.run({
      begin: (title, nth, of) => line.set(`${nth} of ${of}: ${title}`),
      end: (title, text, fine) =>
        line.above(
          print(
            json
              ? JSON.stringify({ title, text, fine })
              : [
                  "",
                  `${fine ? look.paint("green", "ok") : look.paint("red", "FAILED")}  ${look.paint("bold", title)}`,
                  ...indented(withoutMarks(text), "    ", look.width),
                  ...(fine ? [] : [look.paint("red", "    This is not what the step should show.")])
                ].join("\n")
          )
        )
    })
    yield* line.set(undefined)
    if (!json) {
      const seconds = ((yield* monotonicMillis) - startedMs) / 1000
      const went = `${verdict("steps", fine, all)} They took ${seconds.toFixed(1)} s, and left nothing behind.`
      const next =
        "Next: snowguard demo --outage rehearses an outage of Snowflake; it takes a minute. snowguard init connects a client."
      yield* print(
        [
          "",
          ...wrapped(went, look.width).map((text) => look.paint(fine === all ? "green" : "red", text)),
          ...wrapped(next, look.width)
        ].join("\n")
      )
    }
    return fine === all
  }).pipe(Effect.scoped)

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
