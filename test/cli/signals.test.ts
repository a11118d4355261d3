import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { EventEmitter } from "node:events"
import * as Signals from "../../src/cli/signals.js"

const armed = (endsOnHangup: boolean) =>
  Effect.gen(function* () {
    const process = new EventEmitter()
    let ends = 0
    process.on("SIGTERM", () => (ends += 1))
    yield* Signals.arm(process, { endsOnHangup })
    return { process, ends: () => ends }
  })

describe("signals", () => {
  it.effect("SIGQUIT ends as SIGTERM does, and a second one finds no listener", () =>
    Effect.gen(function* () {
      const { ends, process } = yield* armed(false)
      process.emit("SIGQUIT")
      assert.strictEqual(ends(), 1)
      assert.strictEqual(process.listenerCount("SIGQUIT"), 0)
    })
  )

  it.effect("SIGHUP ends as SIGTERM does, and is not in the way of the end when it comes again", () =>
    Effect.gen(function* () {
      const { ends, process } = yield* armed(true)
      process.emit("SIGHUP")
      assert.strictEqual(ends(), 1)
      process.removeAllListeners("SIGTERM")
      process.emit("SIGHUP")
      assert.strictEqual(process.listenerCount("SIGHUP"), 1)
      assert.strictEqual(ends(), 1)
    })
  )

  it.effect("SIGHUP is ignored with a word where it does not end the server", () => {
    const lines: Array<string> = []
    const capture = Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ message }) => void lines.push(String(message)))
    )
    return Effect.gen(function* () {
      const { ends, process } = yield* armed(false)
      process.emit("SIGHUP")
      process.emit("SIGHUP")
      yield* Effect.repeat(Effect.yieldNow(), { until: () => lines.length === 2 })
      assert.strictEqual(ends(), 0)
      assert.match(lines[0] ?? "", /SIGHUP is ignored/)
    }).pipe(Effect.provide(capture))
  })
})
