/**
 * Reads the body of a request, bounded in bytes, in time, in how many are read at once, and in shape,
 * before it is parsed. Each client has a share of the bodies that are read at once: a client that sends
 * halves of bodies, and waits, keeps only itself out.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { IncomingMessage } from "node:http"
// Not for time: they run at the end of the turn of the event loop.
import { clearImmediate, setImmediate } from "node:timers"
import * as JsonRpc from "../JsonRpc.js"
import * as Shares from "../core/Shares.js"
import { withoutStack } from "../../platform/withoutStack.js"

/**
 * @since 0.1.0
 * @category errors
 */
export class BodyRefused extends Schema.TaggedError<BodyRefused>("snowguard/BodyRefused")("BodyRefused", {
  reason: Schema.Literal(
    "encoding",
    "too-large",
    "too-slow",
    "too-many",
    "too-many-own",
    "not-utf8",
    "not-json",
    "too-complex",
    "aborted"
  ),
  description: Schema.String,
  /** Which one it is, of a bound on a number. */
  limit: Schema.optional(Schema.Number)
}) {
  override get message(): string {
    return this.description
  }
}

export interface Options {
  readonly maxBytes: number
  readonly timeoutMs: number
  readonly maxConcurrent: number
  /** Of them, of one client. */
  readonly maxEach: number
  /** Told how large a body was whose headers did not say so. */
  readonly unannounced?: (client: string, bytes: number) => void
}

const refuse = (reason: BodyRefused["reason"], description: string, limit?: number) =>
  withoutStack(() => new BodyRefused({ reason, description, limit }))

/** What one client may have of so many, where there are others. */
export const shareOf = (maxConcurrent: number): number => Math.max(1, Math.floor(maxConcurrent / 4))

const noRoom = { full: "requests", "own-full": "requests of this client" }

const tooLarge = (maxBytes: number) =>
  refuse("too-large", `A request may be of ${maxBytes} bytes at most (http.max_body_bytes).`)

/** Bytes as they come in, until the last one or the one that is too many. */
const gather = (request: IncomingMessage, maxBytes: number) => {
  const chunks: Array<Buffer> = []
  let size = 0
  let result: Effect.Effect<Buffer, BodyRefused> | undefined
  let waiting: (() => void) | undefined
  const stop = () => {
    request.off("data", onData).off("end", onEnd).off("error", onAborted).off("close", onAborted)
    // What is not read any more is not buffered either.
    request.pause()
    request.on("error", () => {})
  }
  const done = (end: Effect.Effect<Buffer, BodyRefused>) => {
    stop()
    result = end
    waiting?.()
  }
  const onData = (chunk: Buffer) => {
    size += chunk.length
    if (size > maxBytes) done(tooLarge(maxBytes))
    else chunks.push(chunk)
  }
  const onEnd = () => done(Effect.succeed(Buffer.concat(chunks)))
  const onAborted = () => done(refuse("aborted", "The request ended before its body."))
  request.on("data", onData).on("end", onEnd).on("error", onAborted).on("close", onAborted)

  /** Until it is all there, or until the turn is over. */
  const atOnce = Effect.async<boolean>((resume) => {
    const turn = setImmediate(() => {
      waiting = undefined
      resume(Effect.succeed(false))
    })
    waiting = () => {
      clearImmediate(turn)
      resume(Effect.succeed(true))
    }
    return Effect.sync(stop)
  })
  const all = Effect.async<Buffer, BodyRefused>((resume) => {
    if (result !== undefined) return resume(result)
    waiting = () => resume(result ?? Effect.never)
    return Effect.sync(stop)
  })
  return { atOnce, all }
}

/** A small body comes with its headers: only what has to be waited for is worth a timer. */
const bytes = (request: IncomingMessage, maxBytes: number, timeoutMs: number) =>
  Effect.suspend(() => {
    const { all, atOnce } = gather(request, maxBytes)
    // A request is handled without being interruptible, and what cannot be interrupted has no time limit.
    const late = Effect.timeoutFail(Effect.interruptible(all), {
      duration: timeoutMs,
      onTimeout: () => refuse("too-slow", "The body did not arrive in time.")
    })
    return Effect.flatMap(atOnce, (isDone) => (isDone ? all : late))
  })

/** A reader of bodies; all its readings together are bounded. */
export const make = (options: Options) => {
  const { maxBytes, maxConcurrent, maxEach, timeoutMs } = options
  const shares = Shares.make(maxConcurrent, maxEach)
  const take = (client: string): Effect.Effect<void, BodyRefused> => {
    const taken = Shares.take(shares, client)
    if (taken === "taken") return Effect.void
    const limit = taken === "full" ? maxConcurrent : maxEach
    const text = `${limit} ${noRoom[taken]} are being read at this moment.`
    return refuse(taken === "full" ? "too-many" : "too-many-own", text, limit)
  }
  return (request: IncomingMessage, client: string): Effect.Effect<unknown, BodyRefused> =>
    Effect.suspend(() => {
      const { "content-encoding": encoding, "content-length": length } = request.headers
      if (encoding !== undefined && encoding !== "identity") {
        return refuse("encoding", "Compressed requests are not accepted.")
      }
      if (Number(length ?? 0) > maxBytes) return tooLarge(maxBytes)
      return Effect.acquireUseRelease(
        Effect.suspend(() => take(client)),
        () => bytes(request, maxBytes, timeoutMs),
        () => Effect.sync(() => Shares.release(shares, client))
      ).pipe(
        Effect.flatMap((body) => {
          if (length === undefined) options.unannounced?.(client, body.length)
          return Effect.mapError(JsonRpc.parse(body), ({ description, reason }) =>
            refuse(reason, description)
          )
        })
      )
    })
}
