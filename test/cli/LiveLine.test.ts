import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, TestClock } from "effect"
import * as LiveLine from "../../src/cli/LiveLine.js"

const utf8 = { TERM: "xterm-256color", LANG: "C.UTF-8", NO_COLOR: "1" }

const terminal = (columns = 80) => {
  const written: Array<string> = []
  return { isTTY: true, columns, written, write: (text: string) => void written.push(text) }
}

/** What a terminal shows in its last line. */
const shown = (written: ReadonlyArray<string>): string =>
  written
    .join("")
    .split("\n")
    .at(-1)
    ?.split("\r")
    .filter((part) => part !== "")
    .at(-1)
    ?.replaceAll(/\u001b\[[0-9;]*[A-Za-z]/g, "") ?? ""

describe("the live line", () => {
  it.scoped("is drawn when the work takes a while, with how long it takes, and is gone at the end", () =>
    Effect.gen(function* () {
      const screen = terminal()
      const work = yield* Effect.fork(
        Effect.sleep("5 seconds").pipe(LiveLine.during("asking the server", screen, utf8))
      )
      yield* TestClock.adjust("200 millis")
      assert.deepStrictEqual(screen.written, [])
      yield* TestClock.adjust("800 millis")
      assert.match(shown(screen.written), /^\S asking the server \([01] s\)$/)
      yield* TestClock.adjust("3 seconds")
      assert.match(shown(screen.written), /^\S asking the server \([34] s\)$/)
      yield* TestClock.adjust("1 second")
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(work)))
      assert.strictEqual(shown(screen.written), "")
      const { length } = screen.written
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(screen.written.length, length)
    })
  )

  it.scoped("is not drawn for work that ends at once", () =>
    Effect.gen(function* () {
      const screen = terminal()
      assert.strictEqual(yield* Effect.succeed(7).pipe(LiveLine.during("adding", screen, utf8)), 7)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(screen.written, [])
    })
  )

  it.scoped("is gone when the work fails or is interrupted", () =>
    Effect.gen(function* () {
      for (const end of [Effect.fail("no"), Effect.interrupt]) {
        const screen = terminal()
        const work = yield* Effect.fork(
          Effect.zipRight(Effect.sleep("2 seconds"), end).pipe(LiveLine.during("asking", screen, utf8))
        )
        yield* TestClock.adjust("1 second")
        assert.include(shown(screen.written), "asking")
        yield* TestClock.adjust("1 second")
        assert.isTrue(Exit.isFailure(yield* Fiber.await(work)))
        assert.strictEqual(shown(screen.written), "")
      }
    })
  )

  it.scoped("makes room for what is printed, and comes back below it", () =>
    Effect.gen(function* () {
      const screen = terminal()
      const line = yield* LiveLine.make(screen, utf8)
      yield* line.set("running")
      yield* TestClock.adjust("1 second")
      yield* line.above(Effect.sync(() => screen.write("a result\n")))
      assert.match(screen.written.join(""), /\r\u001b\[2Ka result\n$/)
      yield* TestClock.adjust("1 second")
      assert.match(shown(screen.written), /running$/)
    })
  )

  it.scoped("fits the terminal, and shows nothing that a terminal would obey", () =>
    Effect.gen(function* () {
      const screen = terminal(40)
      const line = yield* LiveLine.make(screen, utf8)
      yield* line.set(`\u001b[2J\n${"long ".repeat(40)}`)
      yield* TestClock.adjust("1 second")
      assert.isAtMost(shown(screen.written).length, 39)
      assert.notInclude(screen.written.join(""), "\u001b[2J")
      assert.notInclude(screen.written.join(""), "\n")
    })
  )

  it.scoped("is plain where the locale has no such characters, and has no colour under NO_COLOR", () =>
    Effect.gen(function* () {
      const screen = terminal()
      const line = yield* LiveLine.make(screen, { TERM: "xterm", LANG: "C", NO_COLOR: "1" })
      yield* line.set("running")
      yield* TestClock.adjust("2 seconds")
      assert.match(screen.written.join(""), /^[\x00-\x7f]+$/)
      assert.notMatch(screen.written.join(""), /\u001b\[\d+m/)
    })
  )

  it.scoped("writes nothing where there is no terminal, or one that obeys nothing", () =>
    Effect.gen(function* () {
      for (const [isTTY, env] of [
        [false, utf8],
        [true, { ...utf8, TERM: "dumb" }]
      ] as const) {
        const screen = { ...terminal(), isTTY }
        const work = yield* Effect.fork(
          Effect.sleep("5 seconds").pipe(LiveLine.during("asking", screen, env))
        )
        yield* TestClock.adjust("5 seconds")
        yield* Fiber.join(work)
        assert.deepStrictEqual(screen.written, [])
      }
    })
  )
})
