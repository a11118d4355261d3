/**
 * One pipe, either era: the first request decides, and the SDK of the other era is not loaded.
 *
 * ```
 *   server/discover with an envelope --> answered by the 2026 era; the next request decides
 *   a request with an envelope       --> 2026 from here on
 *   anything else                    --> 2025 from here on
 * ```
 *
 * Clients ask `server/discover` to find out, and go on with `initialize` when they prefer that. Messages that come while
 * an SDK is loaded wait in their order.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"
import type { Connection } from "../McpServer.js"
import * as Protocol from "../Protocol.js"

/** The end of the pipe that the server of one era holds. */
class Leg implements Protocol.Transport {
  onclose?: (() => void) | undefined
  onerror?: ((error: Error) => void) | undefined
  onmessage?: ((message: Protocol.Message) => void) | undefined

  constructor(private readonly wire: Protocol.Transport) {}

  start(): Promise<void> {
    return Promise.resolve()
  }

  send(message: Protocol.Message, options?: Protocol.SendOptions): Promise<void> {
    return this.wire.send(message, options)
  }

  close(): Promise<void> {
    this.onclose?.()
    return Promise.resolve()
  }
}

const isServed = (message: Protocol.Message): boolean =>
  Protocol.modernRevisions.some((revision) => revision === Protocol.claimOf(message)?.revision)

export interface Eras extends Connection {
  /** Waits until all that came in has been handed on. */
  readonly settled: Effect.Effect<void>
}

export const make = (
  wire: Protocol.Transport,
  open: (leg: Protocol.Transport, era: Protocol.Era) => Effect.Effect<Connection>
): Effect.Effect<Eras> =>
  Effect.gen(function* () {
    const runtime = yield* Effect.runtime<never>()
    const legs = new Map<Protocol.Era, { readonly leg: Leg; readonly connection: Connection }>()
    const waiting: Array<Protocol.Message> = []
    let isHanding = false
    let latest: Fiber.RuntimeFiber<void> | undefined
    let decided: Protocol.Era | undefined

    const legOf = (era: Protocol.Era) =>
      Effect.gen(function* () {
        const known = legs.get(era)
        if (known !== undefined) return known.leg
        const leg = new Leg(wire)
        legs.set(era, { leg, connection: yield* open(leg, era) })
        return leg
      })

    const refuse = (message: Protocol.Message, { code, data, message: text }: Protocol.Fault) =>
      "method" in message && "id" in message
        ? void wire.send({ jsonrpc: "2.0", id: message.id, error: { code, message: text, data } })
        : undefined

    /** Hands a message of the 2026 era on, or says why not. */
    const toModern = (message: Protocol.Message) =>
      Effect.gen(function* () {
        if (!isServed(message) && "method" in message && "id" in message) {
          const { admit, unsupported } = yield* Effect.promise(() => import("../Sdk2.js"))
          const isHandshake = message.method === "initialize" && Protocol.claimOf(message) === undefined
          const era = isHandshake ? unsupported(message.params?.["protocolVersion"]) : admit(message)
          if (typeof era !== "string") return refuse(message, era)
        }
        const leg = yield* legOf("2026")
        leg.onmessage?.(message)
      })

    const hand = (message: Protocol.Message) =>
      Effect.suspend(() => {
        const isRequest = "method" in message && "id" in message
        const era = decided ?? (Protocol.claimOf(message) === undefined ? "2025" : "2026")
        const isProbe = "method" in message && message.method === "server/discover" && era === "2026"
        // A request whose revision is not served is refused, and the client tries another one.
        if (isRequest && !isProbe && (era === "2025" || isServed(message))) decided = era
        return era === "2026" ? toModern(message) : Effect.map(legOf(era), (leg) => leg.onmessage?.(message))
      })

    const handAll = Effect.suspend(() => {
      const next = waiting.shift()
      return next === undefined ? Effect.succeed(false) : Effect.as(hand(next), true)
    }).pipe(
      Effect.repeat({ while: (more) => more }),
      Effect.ensuring(
        Effect.sync(() => {
          isHanding = false
        })
      ),
      Effect.catchAllCause((cause) => Effect.logError("a message could not be handed on", cause)),
      Effect.asVoid
    )

    const isReady = (message: Protocol.Message): boolean =>
      decided !== undefined && !isHanding && legs.has(decided) && (decided === "2025" || isServed(message))

    wire.onmessage = (message) => {
      // Once it is decided there is nothing to wait for.
      if (decided !== undefined && isReady(message)) return legs.get(decided)?.leg.onmessage?.(message)
      waiting.push(message)
      if (isHanding) return
      isHanding = true
      latest = Runtime.runFork(runtime)(handAll)
    }
    wire.onerror = (error) => {
      for (const { leg } of legs.values()) leg.onerror?.(error)
    }
    wire.onclose = () => {
      for (const { leg } of legs.values()) leg.onclose?.()
    }
    yield* Effect.promise(() => wire.start())
    return {
      settled: Effect.suspend(() => (latest === undefined ? Effect.void : Fiber.await(latest))),
      abandon: Effect.suspend(() =>
        Effect.forEach(legs.values(), ({ connection }) => connection.abandon, { discard: true })
      )
    }
  })
