/**
 * SIGHUP and SIGQUIT end a server as SIGTERM does: with its statements cancelled and its sessions closed.
 *
 * SIGHUP is sent to a process whose terminal has closed. Operators send it to a shared server without a terminal to
 * make it read its settings again; it does not, and logs that. A terminal that closes sends it more than once: a server
 * that is ending ignores the others.
 */
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"

/** Of the process: where signals come in, and where SIGTERM is listened for. */
export interface Source {
  readonly on: (signal: "SIGHUP", listener: () => void) => unknown
  readonly once: (signal: "SIGQUIT", listener: () => void) => unknown
  readonly emit: (signal: "SIGTERM", name: "SIGTERM") => unknown
}

export const arm = (
  source: Source,
  { endsOnHangup }: { readonly endsOnHangup: boolean }
): Effect.Effect<void> =>
  Effect.map(Effect.runtime<never>(), (runtime) => {
    const end = () => source.emit("SIGTERM", "SIGTERM")
    const ignore = () =>
      Runtime.runFork(runtime)(
        Effect.logWarning("SIGHUP is ignored: settings are read at the start alone; SIGTERM ends the server")
      )
    // As for SIGTERM, a second one finds no listener, and ends the process at once.
    source.once("SIGQUIT", end)
    source.on("SIGHUP", endsOnHangup ? end : ignore)
  })
