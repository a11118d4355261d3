import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Logger, LogLevel } from "effect"
import { PassThrough, Writable } from "node:stream"
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js"
import { McpServer } from "../../src/McpServer.js"
import * as Principal from "../../src/Principal.js"
import * as Stdio from "../../src/transport/Stdio.js"
import * as H from "../utils/http.js"

/** A client that reads when it is told to. */
class SlowReader extends Writable {
  private readonly unread: Array<() => void> = []
  reading = false
  lines = 0
  constructor() {
    super({ highWaterMark: 16 })
  }
  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    this.lines += 1
    if (this.reading) done()
    else this.unread.push(done)
  }
  read(): void {
    this.reading = true
    for (const done of this.unread.splice(0)) done()
  }
}

describe("stdio", () => {
  it.scopedLive("keeps one listener for all answers that wait for a client that reads slowly", () =>
    Effect.gen(function* () {
      const connected = yield* Deferred.make<Transport>()
      const server = Layer.succeed(McpServer, {
        connect: (transport: Transport) =>
          Effect.as(Deferred.succeed(connected, transport), { abandon: Effect.void })
      } as never)
      const stdin = new PassThrough()
      const stdout = new SlowReader()
      const serving = yield* Effect.forkScoped(
        Effect.provide(Stdio.serve({ stdin, stdout, principal: Principal.make("a", "default") }), server)
      )
      const transport = yield* Deferred.await(connected)
      const before = stdout.listenerCount("drain")
      const sent = Array.from({ length: 50 }, (_, id) =>
        transport.send({ jsonrpc: "2.0", id, result: { text: "x".repeat(100) } })
      )
      assert.strictEqual(stdout.listenerCount("drain"), before + 1)
      stdout.read()
      yield* Effect.promise(() => Promise.all(sent))
      assert.strictEqual(stdout.lines, 50)
      assert.strictEqual(stdout.listenerCount("drain"), before)
      stdin.end()
      stdin.resume()
      yield* serving.await
    })
  )

  it.scopedLive(
    "answers 200 calls to a client that pauses, and takes no more while megabytes wait for it",
    () =>
      Effect.gen(function* () {
        const size = 512 * 1024
        const calls = 200
        let ran = 0
        const large = H.tool("large", () =>
          Effect.sync(() => {
            ran += 1
            return { who: "x".repeat(size) }
          })
        )
        const stdin = new PassThrough()
        const stdout = new SlowReader()
        const server = yield* Layer.build(H.layers({ tools: [large] }))
        const serving = yield* Effect.forkScoped(
          Effect.provide(Stdio.serve({ stdin, stdout, principal: Principal.make("a", "default") }), server)
        )
        yield* Effect.repeat(Effect.yieldNow(), { until: () => stdin.listenerCount("data") > 0 })
        const before = stdout.listenerCount("drain")
        const send = (message: object) => Effect.sync(() => void stdin.write(`${JSON.stringify(message)}\n`))
        yield* send(H.initialize("hello"))
        for (let id = 0; id < calls; id++) {
          yield* send(H.toolCall(id, "large"))
          yield* Effect.sleep(0)
        }
        yield* Effect.repeat(Effect.sleep(1), { until: () => stdin.isPaused() })
        yield* Effect.sleep(50)
        // The text is there twice: for people, and for programs.
        assert.isBelow(stdout.writableLength, 8 * 1024 ** 2 + 8 * size)
        assert.isBelow(ran, 20)
        assert.isAtMost(stdout.listenerCount("drain"), before + 1)
        stdout.read()
        yield* Effect.repeat(Effect.sleep(1), { until: () => stdout.lines > calls })
        assert.strictEqual(stdout.lines, calls + 1)
        assert.strictEqual(stdout.listenerCount("drain"), before)
        stdin.end()
        yield* serving.await
      }).pipe(Effect.provide(Logger.minimumLogLevel(LogLevel.None)))
  )
})
