/**
 * One connection to a Redis (or Valkey), shared by everything in this process that counts there: the quota
 * store and the shared rate limits. Each operation is one script, which Redis runs as one atomic step.
 *
 * ```
 *   run --> circuit closed? --> connected? --> EVALSHA --(NOSCRIPT: was not run)--> EVAL
 *             |                   |               |
 *             CircuitOpen         Unreachable     Timeout (may have been run: never sent again), Rejected
 * ```
 *
 * Invariants
 *  - The layer builds while Redis is down: it connects in the background, and again whenever it has to. A server
 *    that must not start without it asks `check`.
 *  - An operation is sent once. It is answered or fails within `commandTimeoutMs` or so; with a circuit breaker, once
 *    a few have failed the next ones fail in microseconds.
 *  - No user, password or command is part of an error or of the log.
 *  - Live replicas are counted by heartbeats on the server's time; while Redis is away, the last number
 *    known stands.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { notLoaded } from "./drivers.js"
import * as Connection from "./redis/connection.js"
import * as Url from "./redis/url.js"
import { errorOf, fail, isNoScript, isRefusal, RedisError, troubleIn } from "./redis/errors.js"
import * as Scripts from "./redis/script.js"
import type { Script } from "./redis/script.js"

export {
  /**
   * @since 0.1.0
   * @category errors
   */
  Reason,
  /**
   * @since 0.1.0
   * @category errors
   */
  RedisError
} from "./redis/errors.js"

/**
 * `KEYS[1]` the replicas, by the time of their last beat. `ARGV`: this replica, and the milliseconds after
 * which one that is silent is gone; 0 when this one leaves. Answers how many there are.
 */
const heartbeat = Scripts.make(`
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if ARGV[2] == '0' then
  redis.call('ZREM', KEYS[1], ARGV[1])
  return tostring(redis.call('ZCARD', KEYS[1]))
end
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2] * 2)
return tostring(redis.call('ZCARD', KEYS[1]))
`)

/**
 * A circuit breaker for the connection: commands are refused at once while Redis does not answer.
 *
 * @since 0.1.0
 * @category models
 */
export interface Circuit {
  /** Refuses the effect while the circuit is open, else runs it and counts how it ended. */
  readonly protect: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Open, R>
}

/**
 * What a closed circuit lets through fails as it does; an open one answers with this.
 *
 * @since 0.1.0
 * @category models
 */
export interface Open {
  readonly _tag: "CircuitOpen"
  readonly retryAfterMs?: number | undefined
}

/**
 * Where Redis is, and how long a command may take; milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** `redis://`, `rediss://`, `redis+sentinel://h:p,h:p/NAME` or `redis+cluster://h:p,h:p`, with or without `user:password@`. */
  readonly url: string
  /** What every key starts with; without braces. Default `snowguard:`. */
  readonly prefix?: string | undefined
  /** Milliseconds an operation may take. Default 150. */
  readonly commandTimeoutMs?: number | undefined
  /** For servers whose certificate the system does not know. */
  readonly tls?: Connection.Tls | undefined
  /**
   * The circuit breaker in front of the connection: `CircuitBreaker.forConnection("redis")`. Without one each
   * operation on a Redis that is lost takes its whole time limit.
   */
  readonly circuit?: Effect.Effect<Circuit, never, Scope.Scope> | undefined
  /** Milliseconds between two heartbeats; a replica that missed three is gone. Default 5000. */
  readonly heartbeatMs?: number | undefined
}

/**
 * One connection. Commands fail with `RedisError` within their time limit, also in an uninterruptible region.
 *
 * @since 0.1.0
 * @category context
 */
export class Redis extends Context.Tag("snowguard/Redis")<
  Redis,
  {
    /** Runs a script; its answer as it came. `keys` of one call share a hash tag when `cluster`. */
    readonly run: (
      script: Script,
      keys: ReadonlyArray<string>,
      args: ReadonlyArray<string | number | Buffer>
    ) => Effect.Effect<Buffer, RedisError>
    /** Every key that matches, in no order, of all nodes. For rare and patient use. */
    readonly scan: (pattern: string) => Effect.Effect<ReadonlyArray<string>, RedisError>
    /** Keys live on several nodes: only those of one hash tag can be in one script. */
    readonly cluster: boolean
    readonly prefix: string
    /** Servers that have lately been alive on this Redis, this one included; the last number known. */
    readonly replicas: Effect.Effect<number>
    /** Is it there, and does it let this server count? Waits a little for the first connection. */
    readonly check: Effect.Effect<void, RedisError>
  }
>() {}

const DEFAULT_PREFIX = "snowguard:"
const COMMAND_TIMEOUT_MS = 150
const HEARTBEAT_MS = 5000
const SCAN_COUNT = 1000
/** For `check`: a Redis that starts together with this server is there by then. */
const FIRST_CONNECTION_MS = 2000

const unprotected: Circuit = { protect: (effect) => effect }

/**
 * Connects in the background and reconnects; fails only where the URL or the driver is wrong. Closed with the scope.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Context.Tag.Service<Redis>, RedisError, Scope.Scope> =>
  Effect.gen(function* () {
    const {
      commandTimeoutMs = COMMAND_TIMEOUT_MS,
      heartbeatMs = HEARTBEAT_MS,
      prefix = DEFAULT_PREFIX
    } = options
    const target = Url.parse(options.url)
    if (typeof target === "string") return yield* fail("Configuration", target)
    if (/[{}*?[\]\\]/.test(prefix)) {
      return yield* fail("Configuration", "the prefix of the keys must not contain any of {}*?[]\\")
    }
    const where = Url.describe(target)
    const circuit = yield* options.circuit ?? Effect.succeed(unprotected)
    const client = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: () => Connection.open(target, { commandTimeoutMs }, options.tls),
        catch: (cause) => fail("Missing", notLoaded("ioredis", cause))
      }),
      (opened) =>
        Effect.promise(() => (opened.status === "ready" ? opened.quit() : Promise.resolve("OK"))).pipe(
          Effect.catchAllCause(() => Effect.void),
          Effect.ensuring(Effect.sync(() => opened.disconnect()))
        )
    )

    // The first connection is waited for, briefly. Later there is one, or operations fail at once.
    const first = yield* Deferred.make<void>()
    /** Told that it never will be while nothing is changed. */
    const refused = yield* Deferred.make<void>()
    let warm = false
    /** Why Redis does not let us in, where it has said so. */
    let trouble: string | undefined
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const ready = () =>
          void Connection.warm(client).then(() => {
            warm = true
            trouble = undefined
            Deferred.unsafeDone(first, Effect.void)
          })
        // Reported by the operation that meets it; unheard, the driver would print it.
        const remember = (cause: unknown) => {
          trouble = troubleIn(cause) ?? trouble
          if (isRefusal(cause)) Deferred.unsafeDone(refused, Effect.void)
        }
        client.on("error", remember)
        client.on("ready", ready)
        return ready
      }),
      (ready) => Effect.sync(() => client.off("ready", ready))
    )
    client.connect().catch(() => {})

    const send = (command: string, args: Array<string | number | Buffer>): Effect.Effect<unknown, unknown> =>
      Effect.async((resume) => {
        client.callBuffer(command, args).then(
          (value) => resume(Effect.succeed(value)),
          (cause: unknown) => resume(Effect.fail(cause))
        )
      })

    const unconnected = () =>
      fail("Unreachable", `there is no connection to ${where}${trouble === undefined ? "" : `: ${trouble}`}`)

    const connected: Effect.Effect<void, RedisError> = Effect.suspend(() =>
      warm && client.status === "ready"
        ? Effect.void
        : // The callers are uninterruptible here, and a time-out has to interrupt.
          Effect.timeoutFail(Effect.interruptible(Deferred.await(first)), {
            duration: commandTimeoutMs,
            onTimeout: unconnected
          })
    )

    const guarded = <A>(effect: Effect.Effect<A, RedisError>): Effect.Effect<A, RedisError> =>
      Effect.catchTag(circuit.protect(effect), "CircuitOpen", (open) =>
        Effect.fail(
          new RedisError({
            reason: "CircuitOpen",
            description: `${where} has failed lately; not asked again for a moment`,
            ...(open.retryAfterMs === undefined ? {} : { retryAfterMs: open.retryAfterMs })
          })
        )
      )

    const run = (
      script: Script,
      keys: ReadonlyArray<string>,
      args: ReadonlyArray<string | number | Buffer>
    ): Effect.Effect<Buffer, RedisError> => {
      const call = Effect.catchAll(
        send("evalsha", [script.sha, keys.length, ...keys, ...args]),
        // Refused before it ran: after a restart or SCRIPT FLUSH the script has to be sent along.
        (cause) =>
          isNoScript(cause)
            ? send("eval", [script.source, keys.length, ...keys, ...args])
            : Effect.fail(cause)
      )
      return guarded(
        Effect.zipRight(
          connected,
          Effect.flatMap(
            Effect.mapError(call, (cause) => errorOf(cause, where, commandTimeoutMs)),
            (answer) =>
              Buffer.isBuffer(answer)
                ? Effect.succeed(answer)
                : Effect.fail(fail("Rejected", `${where} gave an answer that makes no sense`))
          )
        )
      )
    }

    const nodes = () => ("nodes" in client ? client.nodes("master") : [client])

    const scan = (pattern: string): Effect.Effect<ReadonlyArray<string>, RedisError> =>
      Effect.map(
        Effect.forEach(nodes(), (node) =>
          Effect.gen(function* () {
            const found: Array<string> = []
            let cursor = "0"
            do {
              const from = cursor
              const [next, keys] = yield* guarded(
                Effect.zipRight(
                  connected,
                  Effect.tryPromise({
                    try: () => node.scan(from, "MATCH", pattern, "COUNT", SCAN_COUNT),
                    catch: (cause) => errorOf(cause, where, commandTimeoutMs)
                  })
                )
              )
              found.push(...keys)
              cursor = next
            } while (cursor !== "0")
            return found
          })
        ),
        (found) => found.flat()
      )

    let replicas = 1
    const id = (yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)).toString(36)
    const beat = Effect.map(
      run(heartbeat, [`${prefix}replicas`], [id, heartbeatMs * 3]),
      (answer) => (replicas = Math.max(1, Number(answer.toString())))
    )
    const check = Effect.zipRight(
      Effect.raceFirst(
        Deferred.await(first),
        Effect.flatMap(Deferred.await(refused), () => Effect.suspend(() => unconnected()))
      ).pipe(
        Effect.interruptible,
        Effect.timeoutFail({ duration: FIRST_CONNECTION_MS, onTimeout: unconnected })
      ),
      // Connected is not allowed: this writes, as all that counts does.
      Effect.asVoid(beat)
    )
    // A replica that leaves says so: the others' shares grow at once.
    yield* Effect.addFinalizer(() =>
      client.status === "ready" ? Effect.ignore(run(heartbeat, [`${prefix}replicas`], [id, 0])) : Effect.void
    )
    yield* Effect.forkScoped(Effect.repeat(Effect.ignore(beat), Schedule.spaced(heartbeatMs)))

    return Redis.of({
      run,
      scan,
      cluster: target.kind === "cluster",
      prefix,
      replicas: Effect.sync(() => replicas),
      check
    })
  })

/**
 * Connects in the background and reconnects; fails only where the URL or the driver is wrong.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<Redis, RedisError> => Layer.scoped(Redis, make(options))
