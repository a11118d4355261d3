/**
 * Puts the operations that are asked for in one turn of the event loop into one script, in their order:
 * what a script costs to send, to start and to answer is then shared by all of them. An operation that is
 * alone is sent at once all the same; none waits for another turn.
 *
 * ```
 *   submit --> waiting, by group --(end of the turn)--> scripts of up to BATCH operations --> each its answer
 * ```
 *
 * Each is still decided by itself. They only fail together, when there is no answer.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import type * as Redis from "../../../platform/Redis.js"
import type { QuotaStoreError } from "../../QuotaStore.js"
import type * as Window from "../../core/Window.js"
import * as Bytes from "./bytes.js"
import * as Codec from "./codec.js"
import { errorIn } from "./errors.js"
import type { Operation } from "./operations.js"
import { steps } from "./scripts.js"

/** Redis does nothing else meanwhile: some 10 microseconds each. */
const BATCH = 32
/** Buffers that are kept for the next scripts. */
const SPARE = 8

interface Waiting {
  readonly now: number | undefined
  readonly keys: ReadonlyArray<string>
  readonly encode: Operation<unknown>["encode"]
  /** Reads the answer and hands it to the caller. */
  readonly answered: (from: Bytes.Reader, now: number, sent: Bytes.Writer) => void
  readonly failed: (cause: Cause.Cause<Redis.RedisError>) => void
}

interface Options {
  readonly redis: Context.Tag.Service<Redis.Redis>
  readonly mode: Window.Mode
  readonly time: "server" | "clock"
}

/** All keys of one group can be in one script: `undefined`, or in a cluster one of their names. */
type Submit = <A>(
  name: string,
  group: string | undefined,
  operation: () => Operation<A>
) => Effect.Effect<A, QuotaStoreError>

export const make = ({ mode, redis, time }: Options): Effect.Effect<Submit> =>
  Effect.map(Effect.runtime(), (runtime) => {
    const run = Runtime.runFork(runtime)
    const rolling = mode === "rolling" ? 1 : 0
    const waiting = new Map<string | undefined, Array<Waiting>>()

    const spare: Array<Bytes.Writer> = []

    const send = (group: string | undefined, batch: ReadonlyArray<Waiting>): Effect.Effect<void> => {
      const keys: Array<string> = [...Codec.journalOf(redis.prefix, group)]
      const numbers = new Map<string, number>()
      const numberOf = (key: string): number => {
        let number = numbers.get(key)
        if (number === undefined) {
          number = keys.push(Codec.countersOf(redis.prefix, key))
          numbers.set(key, number)
        }
        return number
      }
      const to = spare.pop() ?? Bytes.make()
      to.at = 0
      let now: number | undefined = undefined
      for (const each of batch) {
        for (const key of each.keys) numberOf(key)
        each.encode(to, numberOf)
        if (each.now !== undefined) now = Math.max(now ?? each.now, each.now)
      }
      const args = [now ?? "", rolling, redis.prefix, to.bytes.subarray(0, to.at)]
      return Effect.matchCause(redis.run(steps, keys, args), {
        onFailure: (cause) => {
          for (const { failed } of batch) failed(cause)
        },
        onSuccess: (answer) => {
          const from = Bytes.read(answer)
          const at = Bytes.next(from)
          for (const { answered } of batch) answered(from, at, to)
          // Never after a failure: the driver may still hold it.
          if (spare.length < SPARE) spare.push(to)
        }
      })
    }

    const flush = Effect.sync(() => {
      const groups = [...waiting]
      waiting.clear()
      for (const [group, all] of groups) {
        for (let i = 0; i < all.length; i += BATCH) run(send(group, all.slice(i, i + BATCH)))
      }
    })
    // Every fiber that is ready in this turn has submitted by then.
    const flushSoon = Effect.zipRight(Effect.yieldNow(), flush)

    const submitAt = <A>(
      name: string,
      group: string | undefined,
      operation: () => Operation<A>,
      now: number | undefined
    ): Effect.Effect<A, QuotaStoreError> =>
      Effect.async((resume) => {
        const { decode, encode, keys } = operation()
        const each: Waiting = {
          now,
          keys,
          encode,
          answered: (from, at, sent) => {
            // The others can still read theirs, or fail by themselves.
            try {
              resume(Exit.succeed(decode(from, at, sent)))
            } catch (cause) {
              resume(Exit.die(cause))
            }
          },
          failed: (cause) => resume(Exit.failCause(Cause.map(cause, errorIn(name))))
        }
        if (waiting.size === 0) run(flushSoon)
        const others = waiting.get(group)
        if (others === undefined) waiting.set(group, [each])
        else others.push(each)
      })

    return (name, group, operation) =>
      time === "clock"
        ? Effect.flatMap(Clock.currentTimeMillis, (now) => submitAt(name, group, operation, now))
        : submitAt(name, group, operation, undefined)
  })
