import { assert, describe, it } from "@effect/vitest"
import { Effect, Ref } from "effect"
import { EventEmitter } from "node:events"
import * as Signals from "../../src/cli/signals.js"

const armed = (onHangup: "end" | Effect.Effect<unknown>) =>
  Effect.gen(function* () {
    const process = new EventEmitter()
    let ends = 0
    process.on("SIGTERM", () => (ends += 1))
    yield* Signals.arm(process, { onHangup })
    return { process, ends: () => ends }
  })

describe("signals", () => {
  it.effect("SIGQUIT ends as SIGTERM does, and a second one finds no listener", () =>
    Effect.gen(function* () {
      const { ends, process } = yield* armed(Effect.void)
      process.emit("SIGQUIT")
      assert.strictEqual(ends(), 1)
      assert.strictEqual(process.listenerCount("SIGQUIT"), 0)
    })
  )

  it.effect("SIGHUP ends as SIGTERM does, and is not in the way of the end when it comes again", () =>
    Effect.gen(function* () {
      const { ends, process } = yield* armed("end")
      process.emit("SIGHUP")
      assert.strictEqual(ends(), 1)
      process.removeAllListeners("SIGTERM")
      process.emit("SIGHUP")
      assert.strictEqual(process.listenerCount("SIGHUP"), 1)
      assert.strictEqual(ends(), 1)
    })
  )

  it.effect("SIGHUP does what it is to do where it does not end the server, each time", () =>
    Effect.gen(function* () {
      const done = yield* Ref.make(0)
      const { ends, process } = yield* armed(Ref.update(done, (n) => n + 1))
      process.emit("SIGHUP")
      process.emit("SIGHUP")
      yield* Effect.repeat(Effect.yieldNow(), { until: () => Effect.map(Ref.get(done), (n) => n === 2) })
      assert.strictEqual(ends(), 0)
    })
  )
})
