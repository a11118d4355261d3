/**
 * Answers remembered, for two uses: to spare the warehouse a look-up that was made a moment ago, and to
 * have something to say, with its age, while the warehouse cannot be reached.
 *
 * Who makes a key decides who shares an answer: a key must name all that the answer depends on (the
 * tool, its arguments, the warehouse's role or tier where they matter), and a client only where the
 * answer belongs to one. A value belongs to everybody who knows its key: do not change it.
 *
 * Invariants
 * 1. An age is counted from before the answer was asked for, so it is never understated.
 * 2. A failure is never remembered, and of an error only what says that the warehouse is unreachable is
 *    ever told to somebody else than its caller.
 * 3. Of several callers that miss the same key at once, one asks; when it is interrupted or refused for
 *    a reason of its own, another one does.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Lru from "../platform/core/Lru.js"
import { unsafeMonotonicMillis } from "../platform/monotonic.js"
import { outageOf } from "./outage.js"
import { defaults } from "./resultCacheModel.js"
import type { Hit, Options, Request, Served, Status } from "./resultCacheModel.js"

export { defaults }
export type { Hit, Options, Request, Served, Status }

/**
 * @since 0.1.0
 * @category context
 */
export class ResultCache extends Context.Tag("snowguard/ResultCache")<
  ResultCache,
  {
    /** What is remembered and not too old, with its age in milliseconds; asks nobody. */
    readonly lookup: (key: string) => Effect.Effect<Option.Option<Hit>>
    /** Remembers a value as of now. One that is too large is not remembered, nor is what it replaces. */
    readonly store: (key: string, value: unknown, bytes: number) => Effect.Effect<void>
    /**
     * A fresh answer without the effect; else the effect, whose success is remembered; else, if it fails
     * in a way that allows it, an old answer with its age.
     */
    readonly serve: <A, E, R>(
      request: Request<A, E>,
      effect: Effect.Effect<A, E, R>
    ) => Effect.Effect<Served<A>, E, R>
    readonly status: Effect.Effect<Status>
  }
>() {}

/**
 * Says that the warehouse, and not the caller, is the reason for a failure: an open circuit, a reduced
 * mode, an attempt that ran out of time, a `WarehouseError` of an outage. Nothing for any other.
 *
 * @since 0.1.0
 * @category combinators
 */
export const unreachable: (error: unknown) => Option.Option<string> = outageOf

interface Entry {
  readonly value: unknown
  /** Monotonic milliseconds. */
  readonly asOf: number
}

/**
 * How the one that asked came back to those that waited for it. `interrupted` and `refused` (for a reason
 * of its own) do not concern them.
 */
type Outcome<A, E> =
  | { readonly _tag: "answered"; readonly value: A }
  | { readonly _tag: "outage"; readonly error: E }
  | { readonly _tag: "interrupted" | "refused" }

interface Question {
  readonly asOf: number
  readonly outcome: Deferred.Deferred<Outcome<unknown, unknown>>
}

const outcomeOf = <A, E>(exit: Exit.Exit<A, E>, isOutage: (error: E) => boolean): Outcome<A, E> => {
  if (Exit.isSuccess(exit)) return { _tag: "answered", value: exit.value }
  const failure = Cause.failureOption(exit.cause)
  if (Option.isSome(failure) && isOutage(failure.value)) return { _tag: "outage", error: failure.value }
  return { _tag: Cause.isInterruptedOnly(exit.cause) ? "interrupted" : "refused" }
}

/** Of an entry: the key's characters and the objects around it. */
const overhead = (key: string): number => 2 * key.length + 200

const jsonBytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value) ?? "", "utf8")

const nowOf = (clock: Clock.Clock): number => Math.floor(unsafeMonotonicMillis(clock))

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Partial<Options> = {}): Effect.Effect<Context.Tag.Service<ResultCache>> =>
  Effect.sync(() => {
    const config: Options = { ...defaults, ...options }
    const entries = Lru.make<Entry>(config)
    const asked = new Map<string, Question>()
    const counters = { freshHits: 0, staleHits: 0, misses: 0 }

    /** What is remembered and not too old. */
    const find = (key: string, now: number): Entry | undefined => {
      const entry = Lru.get(entries, key)
      if (entry === undefined || now - entry.asOf <= config.maxAgeMs) return entry
      Lru.remove(entries, key)
      return undefined
    }

    const remember = (key: string, value: unknown, asOf: number, bytes: number): void => {
      // A slow answer does not replace a later one that was quicker.
      if ((entries.entries.get(key)?.value.asOf ?? asOf) > asOf) return
      Lru.set(entries, key, { value, asOf }, bytes + overhead(key))
    }

    const serve = <A, E, R>(
      request: Request<A, E>,
      effect: Effect.Effect<A, E, R>
    ): Effect.Effect<Served<A>, E, R> => {
      const { allowStale = unreachable, bytes = jsonBytes, freshMs = config.freshMs, key, patience } = request

      // The type of a value is part of what its key promises.
      const from = ({ asOf, value }: Entry, now: number, why: { stale: boolean; reason?: string }) => ({
        value: value as A,
        cached: { ageMs: now - asOf, ...why }
      })

      /** All before anybody is told: whoever looks next finds the answer, or may ask. */
      const finish = (question: Question, exit: Exit.Exit<A, E>): void => {
        if (asked.get(key) === question) asked.delete(key)
        try {
          if (Exit.isSuccess(exit)) remember(key, exit.value, question.asOf, bytes(exit.value))
        } finally {
          const outcome = outcomeOf(exit, (error) => Option.isSome(allowStale(error)))
          Deferred.unsafeDone(question.outcome, Exit.succeed(outcome))
        }
      }

      const ask = (asOf: number): Effect.Effect<Served<A>, E, R> =>
        Effect.uninterruptibleMask((restore) => {
          counters.misses += 1
          const question: Question = { asOf, outcome: Deferred.unsafeMake(FiberId.none) }
          if (!asked.has(key)) asked.set(key, question)
          return Effect.map(
            Effect.onExit(restore(effect), (exit) => Effect.sync(() => finish(question, exit))),
            (value) => ({ value })
          )
        })

      const follow = ({ asOf, outcome }: Question): Effect.Effect<Served<A>, E, R> =>
        Effect.flatMap(Deferred.await(outcome), (told) => {
          switch (told._tag) {
            case "answered":
              return Effect.clockWith((clock) => {
                const { value } = told
                return Effect.succeed(from({ asOf, value }, nowOf(clock), { stale: false }))
              })
            case "outage":
              return Effect.fail(told.error as E)
            case "interrupted":
              return attempt(true)
            case "refused":
              // Perhaps every one of us would be: to wait for each other in turn would take for ever.
              return attempt(false)
          }
        })

      /** Who asks first is bounded by what it asks; the others have time limits of their own. */
      const inTime = (following: Effect.Effect<Served<A>, E, R>): Effect.Effect<Served<A>, E, R> =>
        patience === undefined
          ? following
          : Effect.timeoutFail(following, { duration: patience.ms, onTimeout: patience.late })

      const attempt = (mayFollow: boolean): Effect.Effect<Served<A>, E, R> =>
        Effect.clockWith((clock) => {
          const now = nowOf(clock)
          const isFresh = ({ asOf }: { readonly asOf: number }) => now - asOf < freshMs
          const entry = find(key, now)
          if (entry !== undefined && isFresh(entry)) {
            counters.freshHits += 1
            return Effect.succeed(from(entry, now, { stale: false }))
          }
          const question = asked.get(key)
          // An answer on its way is as old as its question.
          return mayFollow && question !== undefined && isFresh(question)
            ? inTime(follow(question))
            : ask(now)
        })

      const instead = (error: E): Effect.Effect<Served<A>, E> =>
        Effect.clockWith((clock) => {
          const now = nowOf(clock)
          const reason = Option.getOrUndefined(allowStale(error))
          const entry = reason === undefined ? undefined : find(key, now)
          if (reason === undefined || entry === undefined) return Effect.fail(error)
          counters.staleHits += 1
          return Effect.succeed(from(entry, now, { stale: true, reason }))
        })

      return Effect.catchAll(attempt(true), instead)
    }

    return {
      lookup: (key) =>
        Effect.clockWith((clock) => {
          const now = nowOf(clock)
          return Effect.succeed(
            Option.map(Option.fromNullable(find(key, now)), ({ asOf, value }): Hit => {
              const ageMs = now - asOf
              return { value, ageMs, fresh: ageMs < config.freshMs }
            })
          )
        }),
      store: (key, value, bytes) =>
        Effect.clockWith((clock) => Effect.sync(() => remember(key, value, nowOf(clock), bytes))),
      serve,
      status: Effect.sync(() => ({
        entries: Lru.size(entries),
        bytes: entries.bytes,
        evicted: entries.evicted,
        ...counters
      }))
    }
  })

/**
 * In this process, bounded in entries and bytes: what was used longest ago goes first.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Partial<Options>): Layer.Layer<ResultCache> =>
  Layer.effect(ResultCache, make(options))

/**
 * Remembers nothing, and every caller asks for itself.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerNoop: Layer.Layer<ResultCache> = Layer.succeed(ResultCache, {
  lookup: () => Effect.succeedNone,
  store: () => Effect.void,
  serve: (_, effect) => Effect.map(effect, (value) => ({ value })),
  status: Effect.succeed({ entries: 0, bytes: 0, freshHits: 0, staleHits: 0, misses: 0, evicted: 0 })
})
