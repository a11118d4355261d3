/**
 * MCP over this process's stdin and stdout: one process, one client. Ends when stdin ends, when stdout
 * is closed under us, or when it is interrupted (a signal).
 *
 * @since 0.1.0
 */
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Readable, Writable } from "node:stream"
import { McpServer } from "../McpServer.js"
import type { Principal } from "../Principal.js"
import * as Observed from "./Observed.js"

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

    const transport = new StdioServerTransport(stdin, stdout)
    const observed = yield* Observed.make(transport, { via: "pipe", tools: server.tools })
    const connection = yield* server.connect(observed, principal)
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
