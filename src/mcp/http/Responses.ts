/**
 * The responses that are being sent, seen as node streams.
 *
 * - {@link Streams}: which are open, what happens when a client goes away, what a server that stops waits for, and the
 *   keep-alives of silent ones.
 * - {@link Unread}: responses that their clients do not read. What was written for a client stays in memory until the
 *   kernel has taken it, so a client that asks and never reads must be bounded:
 *
 * ```
 *   written --> [waits] --taken--> gone
 *                 |  nothing taken for `stallMs`: destroyed (stalled)
 *                 |  all together more than `maxBytes`: the one that has taken nothing for longest is
 *                 v  destroyed, the largest of several (overflow)
 * ```
 *
 * Destroying a response ends its connection, and with it the call where it still runs; its session stays. A client that
 * reads slowly, but reads, goes on: what counts as taken is what the kernel took.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type { ServerResponse } from "node:http"
import type { Socket } from "node:net"
// Not for time: it runs at the end of the turn of the event loop.
import { setImmediate } from "node:timers"
import { monotonicMillis } from "../../platform/monotonic.js"
import type { EdgeLog } from "./Edge.js"
import type { Form } from "./SessionTransport.js"
import * as Metrics from "./Metrics.js"

export interface Streams {
  /** `onDropped` is called when the connection ends before the response does; at once where it has ended already. */
  readonly opened: (
    response: ServerResponse,
    of: Metrics.StreamOf,
    onDropped: () => void,
    form?: Form
  ) => void
  /** Writes a keep-alive to all of them from time to time, for ever. */
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

export const makeStreams = (): Streams => {
  const open = new Map<ServerResponse, Form>()
  return {
    opened: (response, of, onDropped, form = "events") => {
      Metrics.stream("opened", of)
      // Without a listener, a client that went away would end the process.
      response.on("error", ignore)
      const dropped = () => {
        Metrics.stream("disconnected", of)
        onDropped()
      }
      // A client may leave while its request waits for its turn: "close" is not emitted again.
      if (response.destroyed) return dropped()
      open.set(response, form)
      Metrics.streams(open.size)
      // An immediate answer leaves in one piece; a client that has to wait gets the headers now.
      setImmediate(() => {
        const hasBegun = response.headersSent || response.hasHeader("content-type")
        if (!hasBegun || response.writableEnded || response.destroyed) return
        response.flushHeaders()
      })
      response.once("close", () => {
        open.delete(response)
        Metrics.streams(open.size)
        if (!response.writableFinished) dropped()
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

export interface UnreadOptions {
  readonly stallMs: number
  /** Of all responses together. */
  readonly maxBytes: number
  readonly log: EdgeLog
}

export interface Unread {
  /**
   * Begins it when those before it on the same connection are over, and watches it until it is over itself. It is
   * not begun at all when too many wait there already: the connection is closed once those are answered.
   */
  readonly watch: (response: ServerResponse, begin: () => void) => void
  /** Its client, for the log. */
  readonly belongs: (response: ServerResponse, client: string) => void
  /** Looks at all of them from time to time, for ever. */
  readonly look: Effect.Effect<never>
}

interface Watched {
  readonly response: ServerResponse
  client: string | undefined
  waiting: number
  queued: number
  /** When something was taken the last time, or began to wait. */
  since: number
}

/** Looks within the time in which a response stalls. */
const LOOKS = 10

/** Less than this is not looked at before the next turn. */
const LARGE = 64 * 1024

/**
 * Requests on one connection that wait for the answer to the one before. Node takes any number of them, and
 * clients of this protocol send the next one when they have read the answer, or on another connection.
 */
const MAX_BEHIND = 8

/** So many more, which node has read and keeps, and the connection is closed at once. */
const MAX_BEYOND = 1_000

interface Connection {
  isBusy: boolean
  /** Requests that came when too many waited; they are not answered. */
  beyond: number
  /** What is to be begun when the one before is answered. */
  readonly behind: Array<() => void>
}

/**
 * Requests of one connection are begun one after the other, so that many of them at once cost no more than
 * one. Node tells only the response whose turn it is that the connection is gone, so no other may have begun.
 */
const makeConnections = () => {
  const open = new WeakMap<Socket, Connection>()
  const made = (socket: Socket): Connection => {
    const connection: Connection = { isBusy: false, beyond: 0, behind: [] }
    open.set(socket, connection)
    return connection
  }
  return (response: ServerResponse, begin: () => void): void => {
    const { socket } = response.req
    // What was read together with the one that was too many.
    if (socket.destroyed) return
    const connection = open.get(socket) ?? made(socket)
    if (connection.beyond > 0 || connection.behind.length >= MAX_BEHIND) {
      connection.beyond += 1
      if (connection.beyond === 1) Metrics.refused("pipelined")
      if (connection.beyond > MAX_BEYOND) socket.destroy()
      else socket.pause()
      return
    }
    response.once("close", () => {
      const next = socket.destroyed ? undefined : connection.behind.shift()
      connection.isBusy = next !== undefined
      next?.()
      if (next === undefined && connection.beyond > 0) socket.destroySoon()
    })
    if (connection.isBusy) return void connection.behind.push(begin)
    connection.isBusy = true
    begin()
  }
}

/** What the kernel has not taken of the piece that it was given last; node has no public name for it. */
const inKernelQueue = ({ socket }: ServerResponse): number => {
  const handle: unknown = socket === null ? undefined : Reflect.get(socket, "_handle")
  const size: unknown =
    typeof handle === "object" && handle !== null ? Reflect.get(handle, "writeQueueSize") : undefined
  return typeof size === "number" ? size : 0
}

export const makeUnread = ({ log, maxBytes, stallMs }: UnreadOptions): Effect.Effect<Unread> =>
  Effect.gen(function* () {
    const runtime = yield* Effect.runtime<never>()
    const all = new Map<ServerResponse, Watched>()
    const connected = makeConnections()
    // Since the last look: what came after it is added as it was written.
    let total = 0

    const measure = (now: number): void => {
      total = 0
      for (const watched of all.values()) {
        const waiting = watched.response.writableLength
        const queued = inKernelQueue(watched.response)
        const hasMoved = waiting < watched.waiting || queued < watched.queued
        if (waiting === 0 || watched.waiting === 0 || hasMoved) watched.since = now
        watched.waiting = waiting
        watched.queued = queued
        total += waiting
      }
    }

    const drop = (watched: Watched, why: Metrics.Unread): Effect.Effect<void> =>
      Effect.suspend(() => {
        all.delete(watched.response)
        total -= watched.waiting
        Metrics.unread(why)
        watched.response.destroy()
        watched.response.req.socket.destroy()
        return log.told({
          message: `an answer that its client did not read was dropped (${why})`,
          client: watched.client
        })
      })

    const relieve = (now: number): Effect.Effect<void> =>
      Effect.gen(function* () {
        const byAge = [...all.values()]
          .filter(({ waiting }) => waiting > 0)
          .sort((a, b) => a.since - b.since || b.waiting - a.waiting)
        for (const watched of byAge) {
          if (now - watched.since >= stallMs) yield* drop(watched, "stalled")
          else if (total > maxBytes) yield* drop(watched, "overflow")
          else return
        }
      })

    const check = Effect.flatMap(monotonicMillis, (now) => {
      measure(now)
      return relieve(now)
    })

    return {
      watch: (response, begin) =>
        connected(response, () => {
          const watched: Watched = { response, client: undefined, waiting: 0, queued: 0, since: 0 }
          all.set(response, watched)
          response.once("close", () => all.delete(response))
          response.once("prefinish", () => {
            const waiting = response.writableLength
            if (waiting < LARGE) return
            total += waiting
            if (total > maxBytes) Runtime.runFork(runtime)(check)
          })
          begin()
        }),
      belongs: (response, client) => {
        const watched = all.get(response)
        if (watched !== undefined) watched.client = client
      },
      look: check.pipe(Effect.delay(stallMs / LOOKS), Effect.forever)
    }
  })
