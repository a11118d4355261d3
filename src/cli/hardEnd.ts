/**
 * The end of a process whose finalizers do not end.
 *
 * Once it was told to stop, or its client has gone, a server has its shutdown time to answer, cancel and
 * close. A finalizer that hangs (a disk, a peer, a layer of a user of the library) must not keep the process: every
 * restart would leave one more behind, unnoticed.
 *
 * Nothing listens once the end has begun: a second signal finds no listener, and ends the process at once,
 * as it would without any of this.
 */
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"

/** Milliseconds that closing may take longer than the shutdown time. */
const GRACE_MS = 5_000

/** Most supervisors kill ten seconds after they ask: until then the log must have said why. */
const AT_MOST_MS = 9_500

/** The exit code: the same as of a shutdown that failed. */
const EXIT_CODE = 1

/** A source of the events that begin the end. */
export interface Source {
  readonly on: (event: string, listener: () => void) => unknown
  readonly off: (event: string, listener: () => void) => unknown
}

/**
 * From the first of these events on the process has `shutdownMs` and a grace, ten seconds together at most,
 * and is ended then.
 */
export const arm = (
  events: ReadonlyArray<readonly [Source, string]>,
  { exit, shutdownMs }: { readonly shutdownMs: number; readonly exit: (code: number) => void }
): Effect.Effect<void> =>
  Effect.map(Effect.runtime<never>(), (runtime) => {
    const begin = () => {
      for (const [source, event] of events) source.off(event, begin)
      const end = Effect.sleep(Math.min(shutdownMs + GRACE_MS, AT_MOST_MS)).pipe(
        Effect.zipRight(
          Effect.logFatal(
            "the server did not shut down in time: something in it does not close; it is ended now"
          )
        ),
        Effect.zipRight(Effect.sync(() => exit(EXIT_CODE)))
      )
      Runtime.runFork(runtime)(end)
    }
    for (const [source, event] of events) source.on(event, begin)
  })
