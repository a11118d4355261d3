/**
 * MCP over this process's stdin and stdout: one process, one client. Ends when stdin ends, when stdout
 * is closed under us, or when it is interrupted (a signal).
 *
 * **stdout belongs to the protocol.** One line of anything else there and the client gives up, and Effect's
 * default logger, `runMain`'s pretty one and `console.log` all write there. So all that goes through
 * `console` goes to stderr while {@link serve} or {@link reserveStdout} runs; what a program logs before
 * that, or writes to `process.stdout` by itself, is its own to keep away. `StderrLogger` is the logger for it.
 *
 * @since 0.1.0
 */
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js"
import { serializeMessage } from "@modelcontextprotocol/sdk/shared/stdio.js"
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { Readable, Writable } from "node:stream"
import { consoleToStderr } from "../internal/consoleToStderr.js"
import { McpServer } from "../McpServer.js"
import type { Principal } from "../Principal.js"
import * as Draining from "./Draining.js"
import * as Observed from "./Observed.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Who the client is: the limits of its tier apply. */
  readonly principal: Principal
  /** The process's own when absent. */
  readonly stdin?: Readable | undefined
  readonly stdout?: Writable | undefined
}

/** How it ended: `eof`: the client may still read answers. `gone`: nobody does. */
type End = "eof" | "gone"

/** Waits until what was written has left the process. */
const flush = (stdout: Writable) =>
  Effect.async<void>((resume) => {
    if (stdout.destroyed || stdout.writableLength === 0) resume(Effect.void)
    else stdout.write("", () => resume(Effect.void))
  }).pipe(Effect.interruptible, Effect.timeoutOption(1_000), Effect.asVoid)

/** Of answers that wait for the client to read them; what is in flight then still comes on top. */
const MAX_UNREAD = 8 * 1024 ** 2

/**
 * The SDK's transport, but for how it waits for a client that reads slowly:
 *
 *  - all answers that wait, wait for the same turn; one listener for each of them would be as many as the
 *    client has calls;
 *  - who does not read is not read from: more calls would only make more answers that wait.
 */
class Transport extends StdioServerTransport {
  private drained: Promise<void> | undefined
  private isHeld = false
  constructor(
    private readonly stdin: Readable,
    private readonly stdout: Writable
  ) {
    super(stdin, stdout)
  }
  override send(message: JSONRPCMessage): Promise<void> {
    if (this.stdout.write(serializeMessage(message))) return Promise.resolve()
    if (this.stdout.writableLength > MAX_UNREAD && !this.isHeld) {
      this.isHeld = true
      this.stdin.pause()
    }
    return (this.drained ??= new Promise((resolve) => {
      this.stdout.once("drain", () => {
        this.drained = undefined
        // Unless it was closed meanwhile, and nobody listens any more.
        if (this.isHeld && this.stdin.listenerCount("data") > 0) this.stdin.resume()
        this.isHeld = false
        resolve()
      })
    }))
  }
}

/**
 * While the scope is open, everything that would go to stdout through `console` (and so through Effect's own
 * loggers) goes to stderr. For what runs before {@link serve}: layers that log while they are built.
 *
 * @since 0.1.0
 * @category serving
 */
export const reserveStdout: Effect.Effect<void, never, Scope.Scope> = Effect.asVoid(
  Effect.acquireRelease(Effect.sync(consoleToStderr), (undo) => Effect.sync(undo))
)

/**
 * Serves one client until it leaves. On the process's own stdout, `console` writes to stderr meanwhile.
 *
 * @since 0.1.0
 * @category serving
 */
export const serve = ({
  principal,
  stdin = process.stdin,
  stdout = process.stdout
}: Options): Effect.Effect<void, never, McpServer> =>
  Effect.gen(function* () {
    if (stdout === process.stdout) yield* reserveStdout
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
    const observed = yield* Observed.make(transport, { via: "pipe", tools: server.tools })
    const { calls } = server
    const serving = yield* Effect.acquireRelease(Scope.make(), (serving, exit) => {
      const close = Scope.close(serving, exit)
      // A client that leaves with nothing in flight is not worth a word.
      return (calls?.inFlight ?? 0) === 0 ? close : Draining.logged(calls)(close)
    })
    const connection = yield* Scope.extend(server.connect(observed, principal), serving)
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
