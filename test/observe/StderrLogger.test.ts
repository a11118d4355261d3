import { assert, describe, it } from "@effect/vitest"
import { Cause, Console, Effect, LogLevel } from "effect"
import { hasColors } from "../../src/platform/colors.js"
import * as StderrLogger from "../../src/observe/StderrLogger.js"

/** Clears, titles, moves, colours, rings, C1, and letters in another order. */
const hostile =
  "SELECT '\u001b[2J\u001b]0;owned\u0007\u009b31m\u0000\r\b\u007f\u0085\u202egnp\u2066\u2028' -- end"

const obeyed = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/

const levels = [Effect.logDebug, Effect.logInfo, Effect.logWarning, Effect.logError, Effect.logFatal]

/** All ways in which something gets into the log. */
const logged = Effect.forEach(levels, (log) =>
  Effect.gen(function* () {
    yield* log(hostile)
    yield* log("a statement", hostile, { [hostile]: { sql: hostile } })
    yield* log(new Error(hostile))
    yield* log("failed", Cause.fail(new Error(hostile)))
    yield* log("died", Cause.die(hostile))
  }).pipe(Effect.annotateLogs({ sql: hostile, [hostile]: 1, error: new Error(hostile), list: [hostile] }))
)

const written: Effect.Effect<ReadonlyArray<unknown>> = Effect.gen(function* () {
  const lines: Array<unknown> = []
  const base = yield* Console.consoleWith(Effect.succeed)
  const error = (...args: ReadonlyArray<unknown>) => void lines.push(...args)
  yield* Effect.withConsole(
    Effect.provide(
      logged,
      StderrLogger.layer({
        format: "pretty",
        level: LogLevel.Debug,
        isTerminal: false
      })
    ),
    { ...base, unsafe: { ...base.unsafe, error, group: () => {}, groupEnd: () => {} } }
  )
  return lines
})

describe("colours", () => {
  const terminal = { isTTY: true }
  it("are for terminals, unless NO_COLOR or FORCE_COLOR says otherwise", () => {
    assert.isTrue(hasColors(terminal, { TERM: "xterm" }))
    assert.isTrue(hasColors(terminal, { NO_COLOR: "" }))
    assert.isFalse(hasColors({}, {}))
    assert.isFalse(hasColors(terminal, { TERM: "dumb" }))
    for (const value of ["1", "0", "yes"]) assert.isFalse(hasColors(terminal, { NO_COLOR: value }))
    for (const value of ["1", "true", "3"])
      assert.isTrue(hasColors({}, { FORCE_COLOR: value, NO_COLOR: "1" }))
    for (const value of ["0", "false"]) assert.isFalse(hasColors(terminal, { FORCE_COLOR: value }))
  })
})

describe("the log at a terminal", () => {
  it.effect("holds nothing that a terminal obeys, at any level, wherever it came in", () =>
    Effect.gen(function* () {
      const lines = yield* written
      assert.isAbove(lines.length, levels.length * 5)
      for (const line of lines) {
        assert.isString(line)
        assert.notMatch(String(line), obeyed)
      }
      const text = lines.join("\n")
      // It is all told, and readable.
      assert.include(text, "\\u001b[2J\\u001b]0;owned\\u0007\\u009b31m")
      assert.include(text, "\\u202egnp")
      for (const word of ["a statement", "failed", "died"]) assert.include(text, word)
    })
  )

  it.effect("keeps the lines of a statement, but not in the first line of an entry", () =>
    Effect.gen(function* () {
      const lines: Array<unknown> = []
      const base = yield* Console.consoleWith(Effect.succeed)
      yield* Effect.logInfo("first\n[12:00:00.000] FATAL: forged").pipe(
        Effect.annotateLogs({ sql: "SELECT 1\n  FROM t" }),
        Effect.provide(StderrLogger.layer({ format: "pretty", isTerminal: false })),
        Effect.withConsole({
          ...base,
          unsafe: {
            ...base.unsafe,
            error: (...args: ReadonlyArray<unknown>) => void lines.push(...args),
            group: () => {},
            groupEnd: () => {}
          }
        })
      )
      assert.notInclude(String(lines[0]), "\n")
      assert.include(lines, "SELECT 1\n  FROM t")
    })
  )
})

describe("the log of a machine", () => {
  it.effect("is JSON that says what came in, and holds nothing that a terminal obeys", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      yield* Effect.provide(
        logged,
        StderrLogger.layer({ format: "json", level: LogLevel.Debug, write: (line) => lines.push(line) })
      )
      assert.strictEqual(lines.length, levels.length * 5)
      for (const line of lines) {
        assert.isTrue(line.endsWith("\n"))
        assert.notMatch(line.slice(0, -1), obeyed)
        assert.strictEqual((JSON.parse(line) as { annotations: { sql: string } }).annotations.sql, hostile)
      }
      assert.strictEqual((JSON.parse(lines[0] ?? "") as { message: string }).message, hostile)
    })
  )
})
