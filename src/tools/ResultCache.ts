/**
 * Remembered answers, for two uses: to spare the warehouse a look-up that was made a moment ago, and to
 * answer, with the age of the answer, while the warehouse cannot be reached.
 *
 * The key decides which calls share an answer: it must name all that the answer depends on (the tool, its
 * arguments, the warehouse's role or tier where they matter), and a client only where the answer belongs to
 * one. Values are shared: do not change them.
 *
 * Invariants
 * 1. An age is counted from before the answer was asked for, so it is never understated.
 * 2. A failure is never remembered. Other calls that wait for the same answer see an error only if it says that
 *    the warehouse is unreachable, and not that the time of the call which asked is over.
 * 3. Of several calls that miss the same key at once, one asks; when it is interrupted or refused for a
 *    reason of its own, another one does.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Lru from "../platform/core/Lru.js"
import { monotonicMillis } from "../platform/monotonic.js"
import type { Reason } from "../warehouse/Warehouse.js"
import { WarehouseError } from "../warehouse/Warehouse.js"

/**
 * How much is remembered, and for how long an answer is of use; milliseconds and bytes.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly maxEntries: number
  readonly maxBytes: number
  /** An answer younger than this is given instead of asking again, milliseconds; 0: never. */
  readonly freshMs: number
  /** An answer older than this is forgotten, milliseconds. */
  readonly maxAgeMs: number
}

/**
 * Always ask first: a client that has just created a table looks for it. A day is as old as an answer can be and
 * still be better than none. 32 MiB hold the catalog of a large account and are a tenth of a small container.
 *
 * @since 0.1.0
 * @category models
 */
export const defaults: Options = {
  maxEntries: 1_000,
  maxBytes: 32 * 1024 * 1024,
  freshMs: 0,
  maxAgeMs: 86_400_000
}

/**
 * An answer that is remembered, with its age in milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Hit {
  readonly value: unknown
  readonly ageMs: number
  readonly fresh: boolean
}

/**
 * An answer, and whether it was asked for by this call.
 *
 * @since 0.1.0
 * @category models
 */
export interface Served<A> {
  readonly value: A
  /** Absent when this very call has asked; there when it was told what another one asked. */
  readonly cached?:
    | {
        readonly ageMs: number
        /** Given instead of a failure, which `reason` explains. */
        readonly stale: boolean
        readonly reason?: string | undefined
      }
    | undefined
}

/**
 * What is asked, under which key, and how old an answer may be.
 *
 * @since 0.1.0
 * @category models
 */
export interface Request<A, E> {
  /** Names an answer, and with it the type of the answer. */
  readonly key: string
  /** Instead of the cache's own, milliseconds; 0: always ask first. */
  readonly freshMs?: number | undefined
  /**
   * How long the caller waits for the answer of another call: milliseconds, and the error after them. Without
   * a limit when absent.
   */
  readonly patience?: { readonly ms: number; readonly late: () => E } | undefined
  /** May an old answer stand in for this failure, and how is that explained? {@link unreachable} when absent. */
  readonly allowStale?: ((error: E) => Option.Option<string>) | undefined
  /** Bytes of an answer; those of its JSON when absent. */
  readonly bytes?: ((value: A) => number) | undefined
}

/**
 * What is remembered and what it has spared, counted since the start; bytes of JSON.
 *
 * @since 0.1.0
 * @category models
 */
export interface Status {
  readonly entries: number
  readonly bytes: number
  /** Answers given without asking, and instead of a failure. */
  readonly freshHits: number
  readonly staleHits: number
  /** Times the effect was run. */
  readonly misses: number
  readonly evicted: number
}

/**
 * Remembered answers. It adds no error: what is asked fails as it does.
 *
 * @since 0.1.0
 * @category context
 */
export class ResultCache extends Context.Tag("snowguard/ResultCache")<
  ResultCache,
  {
    /** What is remembered and not too old, with its age in milliseconds. */
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

const outages: { readonly [R in Reason]: string | undefined } = {
  Unreachable: "the warehouse cannot be reached",
  Overloaded: "the warehouse is overloaded",
  Protocol: "the warehouse gave an answer that makes no sense",
  ServerFault: "the warehouse reported an internal error",
  SessionLost: "the session with the warehouse was lost",
  LoginUnavailable: "the login to the warehouse cannot be made now",
  InvalidStatement: undefined,
  NotFound: undefined,
  Permission: undefined,
  StatementTimeout: undefined,
  ResourcesExceeded: undefined,
  Cancelled: undefined,
  ResultExpired: undefined,
  Authentication: undefined,
  Configuration: undefined,
  Unavailable: undefined,
  Unknown: undefined
}

const isDeadline = (error: unknown): boolean => Predicate.isTagged(error, "DeadlineExceeded")

/** The deadline of a call is its own: another one may have more time. */
const isOfCall = (error: unknown): boolean =>
  isDeadline(error) && Predicate.hasProperty(error, "of") && error.of === "call"

/**
 * Why the warehouse is out of reach, where that is the reason of a failure: an open circuit, a reduced mode, an
 * attempt or a call that ran out of time, a `WarehouseError` of an outage. None for any other error. Errors of the services
 * that a caller may add around its effect are known by their tags.
 *
 * @since 0.1.0
 * @category combinators
 */
export const unreachable = (error: unknown): Option.Option<string> => {
  if (error instanceof WarehouseError) {
    return error.ownBound === true
      ? Option.some("as many of the caller's own statements are under way as may be")
      : Option.fromNullable(outages[error.reason])
  }
  if (Predicate.isTagged(error, "CircuitOpen")) return Option.some("the circuit to the warehouse is open")
  if (Predicate.isTagged(error, "Degraded")) {
    const why = Predicate.hasProperty(error, "why") ? String(error.why) : "no reason given"
    return Option.some(`the server is in a reduced mode: ${why}`)
  }
  if (!isDeadline(error)) return Option.none()
  // Waiting for a slot that others hold, a session or the answer that another call asked for.
  const waited = isOfCall(error) && Predicate.hasProperty(error, "sent") && error.sent === false
  return Option.some(
    waited
      ? "the time of the call was over before it could ask the warehouse"
      : "the warehouse did not answer in time"
  )
}

interface Entry {
  readonly value: unknown
  /** Monotonic milliseconds. */
  readonly asOf: number
}

/** How an effect ended, for the calls that waited for it. `interrupted` and `refused` concern its own call only. */
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

const wholeMillis = Effect.map(monotonicMillis, Math.floor)

/**
 * Remembers nothing at first; what is used least recently goes first.
 *
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

      /** First the answer is remembered, then the calls that wait are told: the next one finds it, or asks. */
      const finish = (question: Question, exit: Exit.Exit<A, E>): Effect.Effect<unknown> =>
        Effect.sync(() => {
          if (asked.get(key) === question) asked.delete(key)
          if (Exit.isSuccess(exit)) remember(key, exit.value, question.asOf, bytes(exit.value))
        }).pipe(
          Effect.ensuring(
            Effect.suspend(() =>
              Deferred.succeed(
                question.outcome,
                outcomeOf(exit, (error) => !isOfCall(error) && Option.isSome(allowStale(error)))
              )
            )
          )
        )

      const ask = (question: Question): Effect.Effect<Served<A>, E, R> =>
        Effect.uninterruptibleMask((restore) => {
          counters.misses += 1
          if (!asked.has(key)) asked.set(key, question)
          return Effect.map(
            Effect.onExit(restore(effect), (exit) => finish(question, exit)),
            (value) => ({ value })
          )
        })

      const follow = ({ asOf, outcome }: Question): Effect.Effect<Served<A>, E, R> =>
        Effect.flatMap(Deferred.await(outcome), (told) => {
          switch (told._tag) {
            case "answered":
              return Effect.map(wholeMillis, (now) =>
                from({ asOf, value: told.value }, now, { stale: false })
              )
            case "outage":
              return Effect.fail(told.error as E)
            case "interrupted":
              return attempt(true)
            case "refused":
              // Each of the waiting calls may be refused as well: one after the other would take too long.
              return attempt(false)
          }
        })

      /** The call that asks is bounded by the effect; those that wait for it have a limit of their own. */
      const inTime = (following: Effect.Effect<Served<A>, E, R>): Effect.Effect<Served<A>, E, R> =>
        patience === undefined
          ? following
          : Effect.timeoutFail(following, { duration: patience.ms, onTimeout: patience.late })

      const attempt = (mayFollow: boolean): Effect.Effect<Served<A>, E, R> =>
        Effect.flatMap(
          Effect.zip(wholeMillis, Deferred.make<Outcome<unknown, unknown>>()),
          ([now, outcome]) => {
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
              : ask({ asOf: now, outcome })
          }
        )

      const instead = (error: E): Effect.Effect<Served<A>, E> =>
        Effect.flatMap(wholeMillis, (now) => {
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
        Effect.map(wholeMillis, (now) =>
          Option.map(Option.fromNullable(find(key, now)), ({ asOf, value }): Hit => {
            const ageMs = now - asOf
            return { value, ageMs, fresh: ageMs < config.freshMs }
          })
        ),
      store: (key, value, bytes) => Effect.map(wholeMillis, (now) => remember(key, value, now, bytes)),
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
