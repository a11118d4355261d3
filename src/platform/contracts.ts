/** What the contracts of the ports have in common: a case is data, and any test runner can run it. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as fc from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Runtime from "effect/Runtime"
import { AssertionError, deepStrictEqual } from "node:assert"
import { inspect } from "node:util"

/**
 * One thing that an implementation must do. `run` builds what it needs, succeeds if the contract is kept, and dies with
 * an `AssertionError` if it is not: its message holds what was expected, what was given, and the operations that led
 * there, the last one last. It dies as well, with the error as its `cause`, if the
 * implementation itself fails or dies.
 *
 * @since 0.1.0
 * @category models
 */
export interface Case<E, R = never> {
  /** A sentence about the implementation. */
  readonly name: string
  readonly run: Effect.Effect<void, E, R>
}

/** The named fields, and no other, are what they should be. */
export const matches = <T extends object>(actual: T | undefined, expected: Partial<T>): void => {
  const named = Object.keys(expected)
  const given = Object.fromEntries(Object.entries(actual ?? {}).filter(([name]) => named.includes(name)))
  deepStrictEqual(given, expected)
}

/** The time of a case, milliseconds; moved by hand. */
export interface Time {
  now: number
}

/** Tells that time, and sleeps in real time. */
export const clockOf = (time: Time): Clock.Clock => {
  const live = Clock.make()
  return {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => time.now,
    unsafeCurrentTimeNanos: () => BigInt(time.now) * 1_000_000n,
    currentTimeMillis: Effect.sync(() => time.now),
    currentTimeNanos: Effect.sync(() => BigInt(time.now) * 1_000_000n),
    sleep: (duration) => live.sleep(duration)
  }
}

/** What was asked of an implementation and what it answered, while a case runs. */
export interface Journal {
  /** Runs an operation and notes it with its outcome, of which `shown` is told, and its time since the first one. */
  readonly noted: <A, E, R>(
    operation: string,
    given: ReadonlyArray<unknown>,
    effect: Effect.Effect<A, E, R>,
    shown?: (value: A) => unknown
  ) => Effect.Effect<A, E, R>
  /** Runs an operation of the case's own, which is noted only if it gives no answer in time. */
  readonly unnoted: <A, E, R>(
    operation: string,
    given: ReadonlyArray<unknown>,
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E, R>
  /**
   * Runs a case: adds what was noted to what it fails or dies with, and dies of it; it dies as well when an operation gives no answer in time,
   * also if the operation cannot be interrupted.
   */
  readonly told: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, never, R>
}

/** Operations that are told of: the ones before rarely matter, and a message must stay readable. */
const TOLD = 12

const short = (value: unknown): string => {
  const text = inspect(value, { depth: 6, breakLength: Infinity, maxArrayLength: 12, maxStringLength: 200 })
  return text.length > 600 ? `${text.slice(0, 600)}...` : text
}

const outcome = <A>(exit: Exit.Exit<A, unknown>, shown: (value: A) => unknown): string =>
  Exit.match(exit, {
    onSuccess: (value) => (value === undefined ? "done" : short(shown(value))),
    onFailure: (cause) =>
      Cause.isInterruptedOnly(cause) ? "interrupted" : `failed: ${Cause.pretty(cause).split("\n")[0]}`
  })

/** Of `ok` and `fail` there is a condition, and no values. */
const valuesOf = (thrown: unknown): ReadonlyArray<string> =>
  thrown instanceof AssertionError && !["==", "fail"].includes(thrown.operator)
    ? [`expected: ${short(thrown.expected)}`, `got: ${short(thrown.actual)}`]
    : []

/** The error with lines after its message, and the stack of where it arose. */
const withLines = (thrown: unknown, lines: ReadonlyArray<string>): Error => {
  const first =
    thrown instanceof Error ? thrown : new Error(typeof thrown === "string" ? thrown : short(thrown))
  const message = [first.message.trimEnd(), ...lines].join("\n")
  const { name, stack = "" } = first
  const frames = /(?:\n {4}at .*)+$/.exec(stack)?.[0] ?? ""
  const told =
    first instanceof AssertionError
      ? new AssertionError({
          actual: first.actual,
          expected: first.expected,
          operator: first.operator,
          message
        })
      : new Error(message, { cause: thrown })
  return Object.assign(told, { name, stack: `${name}: ${message}${frames}` })
}

/** What an implementation failed or died with, as a defect with more lines. */
const telling = (
  cause: Cause.Cause<unknown>,
  linesOf: (thrown: unknown) => ReadonlyArray<string>
): Cause.Cause<never> => {
  if (Cause.isInterruptedOnly(cause)) return Cause.interrupt(FiberId.none)
  const thrown = Cause.squash(cause)
  return Cause.die(withLines(thrown, linesOf(thrown)))
}

/**
 * An empty journal. Operations may take `limitMs`, in real time; without it there is no limit.
 */
export const journal = (limitMs?: number): Effect.Effect<Journal> =>
  Effect.gen(function* () {
    const notes = yield* Ref.make<{
      readonly count: number
      readonly begun?: number
      readonly lines: ReadonlyArray<string>
    }>({ count: 0, lines: [] })
    const overdue = yield* Deferred.make<never>()
    const live = Clock.make()

    const note = (operation: string, given: ReadonlyArray<unknown>, at: number, outcome: string) =>
      Ref.update(notes, ({ begun = at, count, lines }) => ({
        begun,
        count: count + 1,
        lines: [
          ...lines.slice(1 - TOLD),
          `${count + 1}. +${at - begun} ms ${operation}(${given.map(short).join(", ")}): ${outcome}`
        ]
      }))

    const unnoted: Journal["unnoted"] = (operation, given, effect) => {
      if (limitMs === undefined) return effect
      const message = `${operation} gave no answer within ${limitMs} ms`
      const late = Effect.gen(function* () {
        yield* live.sleep(Duration.millis(limitMs))
        yield* note(operation, given, yield* Clock.currentTimeMillis, `no answer within ${limitMs} ms`)
        yield* Deferred.die(overdue, new AssertionError({ message, operator: "fail" }))
      })
      return Effect.acquireUseRelease(
        Effect.forkDaemon(Effect.interruptible(late)),
        () => effect,
        Fiber.interruptFork
      )
    }

    return {
      unnoted,
      noted: (operation, given, effect, shown = identity) =>
        Effect.flatMap(Clock.currentTimeMillis, (at) =>
          Effect.onExit(unnoted(operation, given, effect), (exit) =>
            note(operation, given, at, outcome(exit, shown))
          )
        ),
      told: (effect) =>
        // An operation that cannot be interrupted is left behind.
        Effect.raceFirst(Effect.disconnect(effect), Deferred.await(overdue)).pipe(
          Effect.catchAllCause((cause) =>
            Effect.flatMap(Ref.get(notes), ({ lines }) =>
              Effect.failCause(
                telling(cause, (thrown) => [
                  ...valuesOf(thrown),
                  ...(lines.length === 0 ? [] : ["operations, the last one last:"]),
                  ...lines.map((line) => `  ${line}`)
                ])
              )
            )
          )
        )
    }
  })

/** Tries values until one is not kept; then ends as the shortest such value did, and tells how it is found again. */
export const property = <A, E>(
  arbitrary: fc.Arbitrary<A>,
  numRuns: number,
  keeps: (value: A) => Effect.Effect<void, E>
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const runtime = yield* Effect.runtime<never>()
    // The shortest value is the last one that was not kept.
    const last = yield* Ref.make(Option.none<Cause.Cause<E>>())
    const isKept = (value: A) =>
      Effect.matchCauseEffect(keeps(value), {
        onSuccess: () => Effect.succeed(true),
        onFailure: (cause) => Effect.as(Ref.set(last, Option.some(cause)), false)
      })
    const result = yield* Effect.promise(() =>
      fc.check(
        fc.asyncProperty(arbitrary, (value) => Runtime.runPromise(runtime)(isKept(value))),
        { numRuns }
      )
    )
    if (!result.failed) return
    const found = `seed: ${result.seed}, path: ${result.counterexamplePath ?? "none"}`
    return yield* Option.match(yield* Ref.get(last), {
      onNone: () =>
        Effect.dieMessage(`the values could not be tried; ${found}: ${String(result.errorInstance)}`),
      onSome: (cause) => Effect.failCause(telling(cause, () => [found]))
    })
  })
