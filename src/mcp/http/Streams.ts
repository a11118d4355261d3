/**
 * The streams of events, and the documents, that are still being sent: who hears of a client that went away, what a server that
 * stops has to wait for, and the signs of life that keep a silent one from being taken for dead.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { ServerResponse } from "node:http"
// Of this one nothing is timed: it is the end of the turn.
import { setImmediate } from "node:timers"
import type { Form } from "./Headers.js"
import * as Metrics from "./Metrics.js"

export interface Streams {
  /** `onDropped` is called when the connection ends before the response does. */
  readonly opened: (
    response: ServerResponse,
    of: Metrics.StreamOf,
    onDropped: () => void,
    form?: Form
  ) => void
  /** Writes what means nothing to all of them every now and then, for ever. */
  readonly keepAlive: Effect.Effect<never>
  /** Waits until all are sent, at most so many milliseconds. */
  readonly flushed: (atMostMs: number) => Effect.Effect<void>
}

const LOOK_EVERY_MS = 5

/** Proxies and clients give up on a connection that has been silent for a minute or so. */
const KEEP_ALIVE_MS = 15_000

/** A comment of a stream; before a JSON document there may be white space. */
const signs: { readonly [F in Form]: string } = { events: ": still here\n\n", json: " " }

const ignore = () => {}

export const make = (): Streams => {
  const open = new Map<ServerResponse, Form>()
  return {
    opened: (response, of, onDropped, form = "events") => {
      open.set(response, form)
      Metrics.stream("opened", of)
      Metrics.streams(open.size)
      // A client that is gone is no fault of ours; without a listener it would end the process.
      response.on("error", ignore)
      // What is answered at once leaves in one piece; who has to wait sees now that he was let in.
      setImmediate(() => {
        if (!response.headersSent || response.writableEnded || response.destroyed) return
        response.flushHeaders()
      })
      response.once("close", () => {
        open.delete(response)
        Metrics.streams(open.size)
        if (response.writableFinished) return
        Metrics.stream("disconnected", of)
        onDropped()
      })
    },
    keepAlive: Effect.sync(() => {
      for (const [response, form] of open) {
        // A client that does not read what it was sent is not sent more.
        if (!response.writableEnded && !response.writableNeedDrain) response.write(signs[form])
      }
    }).pipe(Effect.delay(KEEP_ALIVE_MS), Effect.forever),
    flushed: (atMostMs) =>
      Effect.sleep(LOOK_EVERY_MS).pipe(
        Effect.repeat({ until: () => open.size === 0 }),
        Effect.interruptible,
        Effect.timeoutOption(atMostMs),
        Effect.asVoid
      )
  }
}
