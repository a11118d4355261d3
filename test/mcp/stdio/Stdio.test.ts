import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Logger, LogLevel } from "effect"
import { PassThrough, Writable } from "node:stream"
import type { Transport } from "../../../src/mcp/Protocol.js"
import { McpServer } from "../../../src/mcp/McpServer.js"
import * as Principal from "../../../src/platform/Principal.js"
import * as Stdio from "../../../src/mcp/stdio/Stdio.js"
import * as H from "../../utils/http.js"
import * as P from "../../utils/pipe.js"
import { shortOrLong } from "../../utils/long.js"

const quiet = Effect.provide(Logger.minimumLogLevel(LogLevel.None))

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

/** The server's end of a pipe, and the end of all of it: the client has left and has read what was written. */
const serveOn = (stdout: Writable) =>
  Effect.gen(function* () {
    const connected = yield* Deferred.make<Transport>()
    const server = Layer.succeed(McpServer, {
      connect: (transport: Transport) =>
        Effect.promise(() => transport.start()).pipe(
          Effect.zipRight(Deferred.succeed(connected, transport)),
          Effect.as({ abandon: Effect.void })
        )
    } as never)
    const stdin = new PassThrough()
    const serving = yield* Effect.forkScoped(
      Effect.provide(Stdio.serve({ stdin, stdout, principal: Principal.make("a", "default") }), server)
    )
    stdin.write(`${JSON.stringify(H.message(undefined, "notifications/initialized"))}\n`)
    const transport = yield* Deferred.await(connected)
    return { transport, ended: Effect.suspend(() => (stdin.end(), serving.await)) }
  })

const turnOver = Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))

describe("stdio", () => {
  it.scopedLive("keeps one listener for all answers that wait for a client that reads slowly", () =>
    Effect.gen(function* () {
      const stdout = new SlowReader()
      const { ended, transport } = yield* serveOn(stdout)
      const before = stdout.listenerCount("drain")
      const sent = Array.from({ length: 50 }, (_, id) =>
        transport.send({ jsonrpc: "2.0", id, result: { text: "x".repeat(100) } })
      )
      assert.strictEqual(stdout.listenerCount("drain"), before + 1)
      stdout.read()
      yield* Effect.promise(() => Promise.all(sent))
      assert.strictEqual(stdout.lines, 50)
      assert.strictEqual(stdout.listenerCount("drain"), before)
      yield* ended
    })
  )

  it.scopedLive("writes the answers of one turn of the event loop in one piece, in their order", () =>
    Effect.gen(function* () {
      const pieces: Array<string> = []
      const stdout = new Writable({
        writev: (chunks, done) => {
          pieces.push(chunks.map(({ chunk }) => String(chunk)).join(""))
          done()
        }
      })
      const { ended, transport } = yield* serveOn(stdout)
      const answers = (from: number) =>
        Promise.all([0, 1, 2].map((id) => transport.send({ jsonrpc: "2.0", id: from + id, result: {} })))
      yield* Effect.promise(() => answers(0))
      yield* turnOver
      yield* Effect.promise(() => answers(3))
      yield* ended
      const ids = pieces.map((piece) => Array.from(piece.matchAll(/"id":(\d+)\}\n/g), ([, id]) => Number(id)))
      assert.deepStrictEqual(ids, [
        [0, 1, 2],
        [3, 4, 5]
      ])
    })
  )

  it.scopedLive(
    "answers many calls to a client that pauses, and takes no more while megabytes wait for it",
    () =>
      Effect.gen(function* () {
        const size = 512 * 1024
        const calls = shortOrLong(60, 200)
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
        // As a client does: what comes before the answer waits for the protocol's module, and then begins at once.
        yield* Effect.repeat(Effect.sleep(1), { until: () => stdout.writableLength > 0 })
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

  it.scopedLive("answers a line that is too long with its id, wherever that stands, and goes on", () =>
    Effect.gen(function* () {
      const { go, started, tool } = yield* H.gate
      const pipe = yield* P.pipe({ tools: [tool] })
      pipe.send(H.toolCall("in flight", "gate"))
      yield* Deferred.await(started)
      const filler = `"${"x".repeat(11 * 1024 ** 2)}"`
      const long = [
        `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"gate","arguments":{"text":${filler}}}}`,
        `{"method":"tools/call","params":{"name":"gate","arguments":{"id":1,"text":${filler}}},"jsonrpc":"2.0","id":"b"}`,
        filler
      ]
      for (const line of long) pipe.write(`${line}\n`)
      const refused = yield* pipe.settled
      assert.deepStrictEqual(
        refused.map(({ error, id }) => [id, error?.code]),
        [
          [7, -32600],
          ["b", -32600],
          [null, -32600]
        ]
      )
      assert.match(refused[0]?.error?.message ?? "", /10485760 bytes/)
      yield* Deferred.succeed(go, undefined)
      const [answer] = yield* pipe.until(1)
      assert.deepInclude(answer, { id: "in flight" })
      assert.isDefined(answer?.result)
    }).pipe(quiet)
  )

  it.scopedLive("answers a last line without a line end, and all before it, before it ends", () =>
    Effect.gen(function* () {
      const pipe = yield* P.pipe({ maxCalls: 1 })
      for (const id of [1, 2]) pipe.send(H.toolCall(id, "who"))
      pipe.write(JSON.stringify(H.toolCall(3, "who")))
      pipe.stdin.end()
      yield* pipe.ended
      assert.deepStrictEqual(
        pipe.answers.map(({ id, result }) => [id, result?.["isError"]]),
        [1, 2, 3].map((id) => [id, undefined])
      )
    }).pipe(quiet)
  )

  it.scopedLive("begins calls in their order when there is room, and pings and cancels at once", () =>
    Effect.gen(function* () {
      const { go, started, tool } = yield* H.gate
      const ran: Array<string | undefined> = []
      const note = H.tool("note", ({ text }) => Effect.sync(() => (ran.push(text), { who: "" })))
      const pipe = yield* P.pipe({ tools: [tool, note], maxCalls: 1 })
      pipe.send(H.toolCall(1, "gate"))
      yield* Deferred.await(started)
      for (const text of ["a", "b", "c"]) pipe.send(H.toolCall(text, "note", { text }))
      pipe.send(H.message(undefined, "notifications/cancelled", { requestId: "b" }))
      pipe.send(H.toolCall("c", "note", { text: "again" }))
      // Of the held ones none has begun; the second of one id is refused.
      assert.deepStrictEqual(
        (yield* pipe.settled).map(({ error, id }) => [id, error?.code]),
        [["c", -32600]]
      )
      assert.deepStrictEqual(ran, [])
      yield* Deferred.succeed(go, undefined)
      const answers = yield* pipe.until(3)
      assert.deepStrictEqual(
        answers.map(({ id }) => id),
        [1, "a", "c"]
      )
      assert.deepStrictEqual(ran, ["a", "c"])
    }).pipe(quiet)
  )

  it.scopedLive("cancels a call whose id is 0 or empty", () =>
    Effect.gen(function* () {
      for (const requestId of [0, ""]) {
        const { interrupted, started, tool } = yield* H.gate
        const pipe = yield* P.pipe({ tools: [tool] })
        pipe.send(H.toolCall(requestId, "gate"))
        yield* Deferred.await(started)
        pipe.send(H.message(undefined, "notifications/cancelled", { requestId }))
        yield* Deferred.await(interrupted)
        assert.deepStrictEqual(yield* pipe.settled, [])
      }
    }).pipe(quiet)
  )
})
