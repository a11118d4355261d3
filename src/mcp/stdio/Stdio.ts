/**
 * MCP over this process's stdin and stdout: one process, one client. Ends when stdin ends, when stdout
 * is closed, or when it is interrupted (a signal).
 *
 * **stdout belongs to the protocol.** One line of anything else there and the client gives up, and Effect's
 * default logger, `runMain`'s pretty one and `console.log` all write there. So all that goes through
 * `console` goes to stderr while {@link serve} or {@link reserveStdout} runs; what a program logs before
 * that, or writes to `process.stdout` by itself, is its own to keep away. `StderrLogger` is the logger for it.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import type { Readable, Writable } from "node:stream"
// Not for time: it runs at the end of the turn of the event loop.
import { clearImmediate, setImmediate } from "node:timers"
import { McpServer } from "../McpServer.js"
import * as Observed from "../Observed.js"
import type { Principal } from "../../platform/Principal.js"
import * as RequestRunner from "../requestRunner.js"
import * as Eras from "./Eras.js"
import { StdioTransport } from "./StdioTransport.js"
import { consoleToStderr } from "./consoleToStderr.js"

/**
 * The client, its streams, and how long its last calls are waited for.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The client: the limits of its tier apply. */
  readonly principal: Principal
  /** The process's own when absent. */
  readonly stdin?: Readable | undefined
  readonly stdout?: Writable | undefined
  /** Calls in flight at once, others wait for their turn; as many as fit into the heap when absent. */
  readonly maxCalls?: number | undefined
}

/** How it ended: `eof`: the client may still read answers. `gone`: it does not. */
type End = "eof" | "gone"

/** Waits until what was written has left the process. */
const flush = (stdout: Writable) =>
  Effect.async<void>((resume) => {
    if (stdout.destroyed || stdout.writableLength === 0) resume(Effect.void)
    else stdout.write("", () => resume(Effect.void))
  }).pipe(Effect.interruptible, Effect.timeoutOption(1_000), Effect.asVoid)

/** The end of the turn of the event loop. */
const turnOver = Effect.async<void>((resume) => {
  const turn = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(turn))
})

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
  maxCalls,
  principal,
  stdin = process.stdin,
  stdout = process.stdout
}: Options): Effect.Effect<void, never, McpServer> =>
  Effect.gen(function* () {
    if (stdout === process.stdout) yield* reserveStdout
    const server = yield* McpServer
    const ended = yield* Deferred.make<End>()

    yield* Effect.addFinalizer(() => flush(stdout))
    const runtime = yield* Effect.runtime<never>()
    const end = (how: End) => () => void Runtime.runFork(runtime)(Deferred.succeed(ended, how))
    const eof = end("eof")
    const gone = end("gone")
    // What was destroyed before its end has no more to say.
    const closed = () => (stdin.readableEnded ? undefined : eof())
    yield* Effect.acquireRelease(
      // Without a listener, a client that went away (EPIPE) would end the process with no finalizer run.
      // It stays until the process ends: the last write may fail at any time.
      Effect.sync(() => {
        stdin.once("close", closed)
        stdout.on("error", gone).once("close", gone)
      }),
      () => Effect.sync(() => stdin.off("close", closed))
    )

    const transport = new StdioTransport({ stdin, stdout, maxCalls, onEnd: eof })
    const observed = yield* Observed.make(transport, { via: "pipe", tools: server.tools })
    // After what is served has come to its end: answers still find their way.
    yield* Effect.addFinalizer(() => Effect.promise(() => observed.close()))
    const { calls } = server
    const serving = yield* Effect.acquireRelease(Scope.make(), (serving, exit) => {
      const close = Scope.close(serving, exit)
      // A client that leaves with nothing in flight is not worth a word.
      return (calls?.inFlight ?? 0) === 0 ? close : RequestRunner.logDraining(calls)(close)
    })
    const eras = yield* Eras.make(observed, (leg, era) =>
      Scope.extend(server.connect(leg, principal, era), serving)
    )
    const how = yield* Deferred.await(ended)
    if (how === "gone") yield* eras.abandon
    // What was handed on is a call in flight one turn later, and is waited for as one.
    else yield* Effect.zipRight(eras.settled, turnOver)
    yield* Effect.logDebug("client disconnected").pipe(Effect.annotateLogs({ how }))
  }).pipe(Effect.scoped)
