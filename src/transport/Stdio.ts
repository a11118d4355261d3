/**
 * MCP over this process's stdin and stdout: one process, one client. Ends when stdin ends, when stdout
 * is closed under us, or when it is interrupted (a signal).
 *
 * @since 0.1.0
 */
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js"
import { serializeMessage } from "@modelcontextprotocol/sdk/shared/stdio.js"
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Readable, Writable } from "node:stream"
import { McpServer } from "../McpServer.js"
import type { Principal } from "../Principal.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly stdin: Readable
  readonly stdout: Writable
  readonly principal: Principal
}

/** How it ended: `eof`: the client may still read answers. `gone`: nobody does. */
type End = "eof" | "gone"

/** Waits until what was written has left the process. */
const flush = (stdout: Writable) =>
  Effect.async<void>((resume) => {
    if (stdout.destroyed || stdout.writableLength === 0) resume(Effect.void)
    else stdout.write("", () => resume(Effect.void))
  }).pipe(Effect.interruptible, Effect.timeoutOption(1_000), Effect.asVoid)

/**
 * The SDK's transport, but for how it waits for a client that reads slowly: all answers that wait, wait for
 * the same turn. One listener for each of them would be as many as the client has calls.
 */
class Transport extends StdioServerTransport {
  private drained: Promise<void> | undefined
  constructor(
    stdin: Readable,
    private readonly stdout: Writable
  ) {
    super(stdin, stdout)
  }
  override send(message: JSONRPCMessage): Promise<void> {
    if (this.stdout.write(serializeMessage(message))) return Promise.resolve()
    return (this.drained ??= new Promise((resolve) => {
      this.stdout.once("drain", () => {
        this.drained = undefined
        resolve()
      })
    }))
  }
}

/**
 * @since 0.1.0
 * @category serving
 */
export const serve = ({ principal, stdin, stdout }: Options): Effect.Effect<void, never, McpServer> =>
  Effect.gen(function* () {
    const server = yield* McpServer
    const ended = yield* Deferred.make<End>()

    yield* Effect.addFinalizer(() => flush(stdout))
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const end = (how: End) => () => Deferred.unsafeDone(ended, Effect.succeed(how))
        const eof = end("eof")
        const gone = end("gone")
        stdin.once("end", eof).once("close", eof)
        // Without a listener, a client that went away (EPIPE) would end the process with no finalizer run.
        // It stays until the process ends: the last write may fail at any time.
        stdout.on("error", gone).once("close", gone)
        return { eof, gone }
      }),
      ({ eof }) => Effect.sync(() => void stdin.off("end", eof).off("close", eof))
    )

    const transport = new Transport(stdin, stdout)
    const connection = yield* server.connect(transport, principal)
    const sdkClosed = transport.onclose
    // The SDK closes by itself after a line that is too long; a server without input has to end.
    transport.onclose = () => {
      sdkClosed?.()
      Deferred.unsafeDone(ended, Effect.succeed("eof"))
    }

    const how = yield* Deferred.await(ended)
    if (how === "gone") yield* connection.abandon
    yield* Effect.logDebug("client disconnected").pipe(Effect.annotateLogs({ how }))
  }).pipe(Effect.scoped)
