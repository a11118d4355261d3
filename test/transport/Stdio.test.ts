import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer } from "effect"
import { PassThrough, Writable } from "node:stream"
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js"
import { McpServer } from "../../src/McpServer.js"
import * as Principal from "../../src/Principal.js"
import * as Stdio from "../../src/transport/Stdio.js"

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
})
