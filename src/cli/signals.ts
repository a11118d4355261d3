/**
 * SIGHUP and SIGQUIT end a server as SIGTERM does: with its statements cancelled and its sessions closed.
 *
 * SIGHUP is sent to a process whose terminal has closed; one that closes sends it more than once, and a server that is
 * ending ignores the others. To a shared server without a terminal operators send it to make it read its settings again.
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
  { onHangup }: { readonly onHangup: "end" | Effect.Effect<unknown> }
): Effect.Effect<void> =>
  Effect.map(Effect.runtime<never>(), (runtime) => {
    const end = () => source.emit("SIGTERM", "SIGTERM")
    // As for SIGTERM, a second one finds no listener, and ends the process at once.
    source.once("SIGQUIT", end)
    source.on("SIGHUP", onHangup === "end" ? end : () => Runtime.runFork(runtime)(onHangup))
  })
