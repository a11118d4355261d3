import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, TestClock } from "effect"
import { IncomingMessage, ServerResponse } from "node:http"
import { Socket } from "node:net"
import { makeStreams } from "../../../src/mcp/http/Responses.js"

const response = () => new ServerResponse(new IncomingMessage(new Socket()))

/** As node tells the response when its connection is gone. */
const left = (response: ServerResponse) => {
  response.destroy()
  response.emit("close")
}

describe("responses that are being sent", () => {
  it.effect(
    "a client that has left before its turn came counts as gone at once, and once, and nothing waits for it",
    () =>
      Effect.gen(function* () {
        const streams = makeStreams()
        const gone = response()
        left(gone)
        let told = 0
        streams.opened(gone, "call", () => (told += 1))
        assert.strictEqual(told, 1)
        gone.emit("close")
        assert.strictEqual(told, 1)
        const flushed = yield* Effect.fork(streams.flushed(60_000))
        yield* TestClock.adjust(10)
        assert.deepStrictEqual(yield* Fiber.poll(flushed), Option.some(Exit.void))
      })
  )

  it.effect("a client that leaves later counts as gone then, and is waited for until then", () =>
    Effect.gen(function* () {
      const streams = makeStreams()
      const open = response()
      let told = 0
      streams.opened(open, "call", () => (told += 1))
      const flushed = yield* Effect.fork(streams.flushed(60_000))
      yield* TestClock.adjust(1_000)
      assert.strictEqual(told, 0)
      assert.deepStrictEqual(yield* Fiber.poll(flushed), Option.none())
      left(open)
      assert.strictEqual(told, 1)
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(yield* Fiber.poll(flushed), Option.some(Exit.void))
    })
  )
})
