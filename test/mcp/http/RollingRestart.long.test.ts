/** Two servers behind a proxy that takes turns, each of them replaced while clients of both eras call all the time. */
import { assert, describe, it } from "@effect/vitest"
import {
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernTransport
} from "@modelcontextprotocol/client"
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import { Effect } from "effect"
import type { Scope } from "effect"
import * as NodeHttp from "node:http"
import type { AddressInfo } from "node:net"
import type { Process } from "../../utils/httpProcess.js"
import { spawned } from "../../utils/httpProcess.js"

/** Hands each request to the next server; one that does not take it is passed over. */
const proxy = Effect.acquireRelease(
  Effect.promise(async () => {
    const ports: Array<number> = []
    let turn = 0
    const hand = (
      incoming: NodeHttp.IncomingMessage,
      outgoing: NodeHttp.ServerResponse,
      body: Buffer,
      triesLeft: number
    ): void => {
      const port = ports[turn++ % ports.length]
      const headers = { ...incoming.headers, host: `127.0.0.1:${port}` }
      const upstream = NodeHttp.request(
        { host: "127.0.0.1", port, path: incoming.url, method: incoming.method, headers, agent: false },
        (answer) => {
          if (answer.statusCode === 503 && triesLeft > 0) {
            answer.resume()
            return hand(incoming, outgoing, body, triesLeft - 1)
          }
          outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
          answer.pipe(outgoing)
          answer.once("close", () => (answer.complete ? undefined : outgoing.destroy()))
        }
      )
      upstream.once("error", () => {
        if (outgoing.headersSent) outgoing.destroy()
        else if (triesLeft > 0) hand(incoming, outgoing, body, triesLeft - 1)
        else outgoing.writeHead(502).end()
      })
      outgoing.once("close", () => upstream.destroy())
      upstream.end(body)
    }
    const server = NodeHttp.createServer((incoming, outgoing) => {
      const chunks: Array<Buffer> = []
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk))
      incoming.once("end", () => hand(incoming, outgoing, Buffer.concat(chunks), 4))
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const { port } = server.address() as AddressInfo
    return { ports, url: new URL(`http://127.0.0.1:${port}/mcp`), server }
  }),
  ({ server }) =>
    Effect.sync(() => {
      server.closeAllConnections()
      server.close()
    })
)

/** Above what a call takes on a busy machine, far below what a client waits by itself. */
const STUCK_MS = 20_000

type Call = () => Promise<object>

const legacy = (url: URL): Effect.Effect<Call, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const client = new Client({ name: "test", version: "1" })
        await client.connect(new StreamableHTTPClientTransport(url))
        return client
      }),
      (client) => Effect.promise(() => client.close())
    ),
    (client) => () => client.callTool({ name: "get_limits", arguments: {} }, undefined, { timeout: STUCK_MS })
  )

const modern = (url: URL): Effect.Effect<Call, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const mode = { pin: "2026-07-28" }
        const client = new ModernClient({ name: "test", version: "1" }, { versionNegotiation: { mode } })
        await client.connect(new ModernTransport(url))
        return client
      }),
      (client) => Effect.promise(() => client.close())
    ),
    (client) => () => client.callTool({ name: "get_limits", arguments: {} }, { timeout: STUCK_MS })
  )

class Caller {
  answered = 0
  /** How calls failed, in words. */
  readonly errors: Array<string> = []
  private isOver = false
  private readonly running: Promise<void>
  constructor(call: Call) {
    this.running = (async () => {
      while (!this.isOver) {
        const end = await call().then(
          (result) => ("isError" in result && result.isError === true ? "a refusal" : undefined),
          (error: unknown) => String(error)
        )
        if (end === undefined) this.answered += 1
        else this.errors.push(end)
      }
    })()
  }
  stop(): Promise<void> {
    this.isOver = true
    return this.running
  }
}

describe("a rolling restart of two servers behind a proxy", () => {
  it.scopedLive(
    "answers every call or says why not, and leaves no client of either era stuck",
    () =>
      Effect.gen(function* () {
        const { ports, url } = yield* proxy
        const start = Effect.gen(function* () {
          const process = yield* spawned()
          return { process, port: yield* Effect.promise(() => process.port) }
        })
        const first: ReadonlyArray<{ readonly process: Process; readonly port: number }> = [
          yield* start,
          yield* start
        ]
        ports.push(...first.map(({ port }) => port))
        const callers = yield* Effect.forEach([legacy, legacy, modern, modern], (open) =>
          Effect.map(open(url), (call) => new Caller(call))
        )
        /** Each client has so many answers more. */
        const goOn = (more: number) => {
          const before = callers.map(({ answered }) => answered)
          return Effect.repeat(Effect.sleep(5), {
            until: () => callers.every(({ answered }, index) => answered >= (before[index] ?? 0) + more)
          })
        }
        yield* goOn(20)
        for (const { port, process } of first) {
          process.child.kill("SIGTERM")
          const { code } = yield* Effect.promise(() => process.exited)
          assert.strictEqual(code, 0)
          yield* goOn(5)
          const next = yield* start
          ports.splice(ports.indexOf(port), 1, next.port)
          yield* goOn(20)
        }
        yield* Effect.promise(() => Promise.all(callers.map((caller) => caller.stop())))
        for (const { errors } of callers) {
          // A call that was cut says so; none was left without an answer.
          for (const error of errors) assert.notMatch(error, /timed? ?out/i)
          assert.isBelow(errors.length, 20)
        }
      }),
    { timeout: 180_000 }
  )
})
