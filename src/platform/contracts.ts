/** What the contracts of the ports have in common: a case is data, and any test runner can run it. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import * as Ref from "effect/Ref"
import { AssertionError, deepStrictEqual } from "node:assert"
import { inspect } from "node:util"

/**
 * One thing that an implementation must do. `run` builds what it needs, succeeds if the contract is kept, and dies with
 * an `AssertionError` if it is not: its message holds what was expected, what was given, and the operations that led
 * there, the last one last.
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
  /** Adds what was noted to an `AssertionError`. */
  readonly told: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
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

const withOperations = (error: AssertionError, lines: ReadonlyArray<string>): AssertionError => {
  const { actual, expected, operator } = error
  // Of `ok` there is a condition, and no values.
  const values = operator === "==" ? [] : [`expected: ${short(expected)}`, `got: ${short(actual)}`]
  const told = ["operations, the last one last:", ...lines.map((line) => `  ${line}`)]
  return new AssertionError({
    actual,
    expected,
    operator,
    message: [error.message.trimEnd(), ...values, ...(lines.length === 0 ? [] : told)].join("\n")
  })
}

/** An empty journal. */
export const journal: Effect.Effect<Journal> = Effect.map(
  Ref.make<{ readonly count: number; readonly begun?: number; readonly lines: ReadonlyArray<string> }>({
    count: 0,
    lines: []
  }),
  (notes): Journal => ({
    noted: (operation, given, effect, shown = identity) =>
      Effect.flatMap(Clock.currentTimeMillis, (at) =>
        Effect.onExit(effect, (exit) =>
          Ref.update(notes, ({ begun = at, count, lines }) => ({
            begun,
            count: count + 1,
            lines: [
              ...lines.slice(1 - TOLD),
              `${count + 1}. +${at - begun} ms ${operation}(${given.map(short).join(", ")}): ${outcome(exit, shown)}`
            ]
          }))
        )
      ),
    told: (effect) =>
      Effect.catchAllDefect(effect, (defect) =>
        Effect.flatMap(Ref.get(notes), ({ lines }) =>
          Effect.die(defect instanceof AssertionError ? withOperations(defect, lines) : defect)
        )
      )
  })
)
