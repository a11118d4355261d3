/**
 * How late the event loop of this process is: what every answer waits, whatever else is slow.
 *
 * Measured by Node's own timer (`monitorEventLoopDelay`), on the real clock. Two monitors are begun anew in turns, and
 * the older one is read: what is read is always of the last half to whole {@link WINDOW_MS}. For people and alerts: the
 * ladder of modes measures by itself (`guard/Degradation`), since it has to decide within seconds and on Effect's clock.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import { monitorEventLoopDelay } from "node:perf_hooks"

/** Milliseconds. */
export interface Delay {
  readonly p99Ms: number
  readonly maxMs: number
}

/** Longer than servers are commonly scraped apart, so that no delay falls between two scrapes. */
const WINDOW_MS = 120_000

/** Of the timer whose delay is measured; it is part of every value that a monitor has. */
const RESOLUTION_MS = 20

const lateness = (nanos: number): number => Math.max(0, nanos / 1e6 - RESOLUTION_MS)

const monitor = Effect.acquireRelease(
  Effect.sync(() => {
    const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
    histogram.enable()
    return histogram
  }),
  (histogram) => Effect.sync(() => histogram.disable())
)

/** The delay of the last one to two minutes. */
export class EventLoop extends Context.Tag("snowguard/EventLoop")<
  EventLoop,
  { readonly delay: Effect.Effect<Delay> }
>() {}

/** Measures while the scope is open. */
export const layer: Layer.Layer<EventLoop> = Layer.scoped(
  EventLoop,
  Effect.gen(function* () {
    const monitors = yield* Effect.all({ older: monitor, newer: monitor })
    const ref = yield* Ref.make(monitors)
    const turn = Ref.update(ref, ({ newer, older }) => {
      older.reset()
      return { older: newer, newer: older }
    })
    yield* Effect.forkScoped(Effect.schedule(turn, Schedule.spaced(WINDOW_MS / 2)))
    return {
      delay: Effect.map(Ref.get(ref), ({ older }) => ({
        p99Ms: lateness(older.percentile(99)),
        maxMs: lateness(older.max)
      }))
    }
  })
)

/** Where it is measured; else there is none. */
export const delayIfAny: Effect.Effect<Effect.Effect<Delay | undefined>> = Effect.map(
  Effect.serviceOption(EventLoop),
  Option.match({ onNone: () => Effect.succeed(undefined), onSome: ({ delay }) => delay })
)
