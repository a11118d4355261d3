/**
 * One line at the foot of a terminal that says what is going on: on stderr, and only where stderr is a terminal. What is
 * printed meanwhile appears above it. Elsewhere nothing is written.
 *
 * ```
 * idle --set(text)--> waiting (nothing is drawn yet) --DELAY_MS--> drawn, again each FRAME_MS --set(undefined)--> idle
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { hasColors, painter } from "../platform/colors.js"
import { widthOf } from "../platform/layout.js"
import { monotonicMillis } from "../platform/monotonic.js"
import { escapedLine } from "../platform/quoted.js"

/** What ends sooner needs no line. */
const DELAY_MS = 300

const FRAME_MS = 100

/** To the first column, and without what is there. */
const CLEAR = "\r\u001b[2K"

/**
 * Where the line is drawn.
 *
 * @since 0.1.0
 * @category models
 */
export interface Terminal {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
  readonly write: (text: string) => unknown
}

type Env = { readonly [name: string]: string | undefined }

/**
 * @since 0.1.0
 * @category models
 */
export interface LiveLine {
  /** What stands on the line from now on; undefined: nothing. */
  readonly set: (text: string | undefined) => Effect.Effect<void>
  /** Runs what prints, above the line. */
  readonly above: <A, E, R>(print: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

const framesOf = (env: Env): ReadonlyArray<string> =>
  /utf-?8/i.test(env["LC_ALL"] || env["LC_CTYPE"] || env["LANG"] || "")
    ? ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"]
    : ["|", "/", "-", "\\"]

const nothing: LiveLine = { set: () => Effect.void, above: (print) => print }

/**
 * Is drawn until the scope closes.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  terminal: Terminal = process.stderr,
  env: Env = process.env
): Effect.Effect<LiveLine, never, Scope.Scope> =>
  terminal.isTTY !== true || env["TERM"] === "dumb"
    ? Effect.succeed(nothing)
    : Effect.gen(function* () {
        const frames = framesOf(env)
        const paint = painter(hasColors(terminal, env))
        const state = yield* Ref.make<{ readonly text: string; readonly sinceMs: number } | undefined>(
          undefined
        )
        const drawn = yield* Ref.make(false)
        // A frame is not drawn into what is being printed.
        const turn = yield* Effect.makeSemaphore(1)
        const clear = Effect.flatMap(Ref.getAndSet(drawn, false), (was) =>
          was ? Effect.sync(() => void terminal.write(CLEAR)) : Effect.void
        )
        const draw = Effect.gen(function* () {
          const now = yield* monotonicMillis
          const shown = yield* Ref.get(state)
          if (shown === undefined || now - shown.sinceMs < DELAY_MS) return
          const frame = frames[Math.floor(now / FRAME_MS) % frames.length] ?? ""
          const text = escapedLine(shown.text).slice(0, widthOf(terminal) - 3)
          yield* Ref.set(drawn, true)
          // The cursor goes back: a line of the log is written over it.
          yield* Effect.sync(() => void terminal.write(`${CLEAR}${paint("green", frame)} ${text}\r`))
        })
        yield* Effect.addFinalizer(() => turn.withPermits(1)(clear))
        yield* Effect.forkScoped(Effect.schedule(turn.withPermits(1)(draw), Schedule.spaced(FRAME_MS)))
        return {
          set: (text) =>
            text === undefined
              ? Effect.zipRight(Ref.set(state, undefined), turn.withPermits(1)(clear))
              : Effect.flatMap(monotonicMillis, (now) =>
                  // A text that takes the place of another is drawn at once.
                  Ref.update(state, (before) => ({ text, sinceMs: before?.sinceMs ?? now }))
                ),
          above: (print) => turn.withPermits(1)(Effect.zipRight(clear, print))
        }
      })

/**
 * Runs work with a line that says what it is, and for how long it goes on.
 *
 * @since 0.1.0
 * @category combinators
 */
export const during =
  (text: string, terminal: Terminal = process.stderr, env: Env = process.env) =>
  <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.scopedWith((scope) =>
      Effect.gen(function* () {
        const line = yield* Scope.extend(make(terminal, env), scope)
        const startedMs = yield* monotonicMillis
        const tick = Effect.flatMap(monotonicMillis, (now) =>
          line.set(`${text} (${Math.floor((now - startedMs) / 1_000)} s)`)
        )
        yield* tick
        yield* Effect.forkIn(Effect.schedule(tick, Schedule.spaced(1_000)), scope)
        return yield* work
      })
    )
