/**
 * The responses that are still being sent: who hears of a client that went away, and what a server that
 * stops has to wait for.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { ServerResponse } from "node:http"
import * as Metrics from "./Metrics.js"

export interface Streams {
  /** `onDropped` is called when the connection ends before the response does. */
  readonly opened: (response: ServerResponse, onDropped: () => void) => void
  /** Waits until all are sent, at most so many milliseconds. */
  readonly flushed: (atMostMs: number) => Effect.Effect<void>
}

const LOOK_EVERY_MS = 5

export const make = (): Streams => {
  const open = new Set<ServerResponse>()
  return {
    opened: (response, onDropped) => {
      open.add(response)
      Metrics.streams(open.size)
      response.once("close", () => {
        open.delete(response)
        Metrics.streams(open.size)
        if (!response.writableFinished) onDropped()
      })
    },
    flushed: (atMostMs) =>
      Effect.sleep(LOOK_EVERY_MS).pipe(
        Effect.repeat({ until: () => open.size === 0 }),
        Effect.interruptible,
        Effect.timeoutOption(atMostMs),
        Effect.asVoid
      )
  }
}
