/**
 * Retries. This is the only place of the server that retries, so attempts never multiply. The error decides whether a
 * retry may help; its kind, the class of the call, the budget of all callers and the deadline of the call limit how many
 * there are.
 *
 * The backoff is adaptive: a pause is the delay of the policy's `Schedule` times a factor that grows with every call that
 * met an overloaded or silent warehouse and shrinks with every success (`guard/core/Pressure`). What the factor adds
 * leaves half of the time that the call has left: the load of others costs no call its retry.
 *
 * Invariants
 * 1. No attempt starts at or after the deadline, and no pause starts that would end there.
 * 2. A pause is never shorter than what the warehouse asked for; above `maxAskedMs` there is no retry.
 * 3. Only expected errors are retried, never defects and never interruptions.
 * 4. A pause holds nothing but its token of the budget, and gives it back when it is interrupted.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import * as RetryBudget from "./core/RetryBudget.js"
import * as Pressure from "./core/Pressure.js"
import * as InvalidOptions from "../platform/InvalidOptions.js"
import { expected } from "../platform/expected.js"
import { monotonicMillis, steps } from "../platform/monotonic.js"
import type { OperationClass } from "../platform/Operation.js"
import * as RetryPolicy from "./RetryPolicy.js"

/**
 * What differs from the policies of each class, and the budget of all retries. Wrong ones fail the layer with
 * `InvalidOptions`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** What differs from `RetryPolicy.interactive` (for `query`: `RetryPolicy.statements`), by class and kind. */
  readonly policies?:
    { readonly [K in OperationClass]?: Partial<RetryPolicy.Policies> | undefined } | undefined
  /** Attempts of a call at most, whatever its faults; 5 when absent. */
  readonly maxAttempts?: number | undefined
  /**
   * Longest pause, milliseconds; 120,000 when absent. When the warehouse or a schedule asks for more, the call fails at
   * once, and its caller decides about the wait.
   */
  readonly maxPauseMs?: number | undefined
  /** Longest pause that the warehouse may ask for, milliseconds; 3,000 when absent. */
  readonly maxAskedMs?: number | undefined
  /** Pauses grow to so many times at most while the warehouse is overloaded; 5 when absent, 1 for a fixed backoff. */
  readonly maxBackoffFactor?: number | undefined
  /** What differs from the default budget: a fifth of the first attempts and one retry a second. */
  readonly budget?: Partial<RetryBudget.Options> | undefined
}

/**
 * Which work is retried, until when, and by which judgement of its errors.
 *
 * @since 0.1.0
 * @category models
 */
export interface Request<E> {
  readonly class: OperationClass
  /** Monotonic milliseconds; none when absent. */
  readonly deadline: number | undefined
  /** Whether an error is tried again, and how. `RetryPolicy.decide` is that of the server. */
  readonly decide: (error: E) => RetryPolicy.Decision
  /** Milliseconds an attempt usually takes: a retry that would end after the deadline does not start. */
  readonly expectedMs?: number | undefined
}

/**
 * The budget of retries and what was done of them, counted since the start.
 *
 * @since 0.1.0
 * @category models
 */
export interface Status {
  /** Tokens left for retries, and the most there can be. */
  readonly budget: number
  readonly budgetCap: number
  /** The current factor of pauses, >= 1. */
  readonly backoffFactor: number
  /** Since the start: first attempts, retries, and calls that succeeded after a retry. */
  readonly calls: number
  readonly retries: number
  readonly recovered: number
  /** Calls that failed with a retryable error and were not retried, by the reason. */
  readonly exhausted: {
    readonly attempts: number
    /** The pause would have passed the deadline, `maxPauseMs` or `maxAskedMs`. */
    readonly deadline: number
    readonly budget: number
  }
}

/**
 * Runs attempts. Fails with the error of the last attempt and with none of its own.
 *
 * @since 0.1.0
 * @category context
 */
export class Retry extends Context.Tag("snowguard/Retry")<
  Retry,
  {
    /**
     * Runs attempt 1, then 2, 3 ... while they fail and a retry is allowed; fails with the last error. The policy of the
     * class and kind of fault says how long it pauses (`RetryPolicy`).
     *
     * @example
     * retry.run((n) => fetchPage(n), { class: "metadata", deadline: undefined, decide: RetryPolicy.decide })
     */
    readonly run: <A, E, R>(
      attempt: (n: number) => Effect.Effect<A, E, R>,
      request: Request<E>
    ) => Effect.Effect<A, E, R>
    readonly status: Effect.Effect<Status>
  }
>() {}

/** A pause that the warehouse asked for is jittered by up to this part of it. */
const SERVER_JITTER = 0.2

const DEFAULT_ATTEMPTS = 5
const DEFAULT_MAX_PAUSE_MS = 120_000
const DEFAULT_MAX_ASKED_MS = 3_000
/** A day: with jitter within the range of the platform's timers. */
const LONGEST_PAUSE_MS = 86_400_000

const classes = {
  control: RetryPolicy.interactive,
  metadata: RetryPolicy.interactive,
  query: RetryPolicy.statements
}

const resolve = (options: Options) => {
  const { maxAttempts = DEFAULT_ATTEMPTS, maxPauseMs = DEFAULT_MAX_PAUSE_MS, policies } = options
  const { maxAskedMs = DEFAULT_MAX_ASKED_MS, maxBackoffFactor = Pressure.MOST } = options
  const budget = { ...RetryBudget.defaults, ...options.budget }
  const of = (name: OperationClass): RetryPolicy.Policies => ({ ...classes[name], ...policies?.[name] })
  const byClass = { control: of("control"), metadata: of("metadata"), query: of("query") }
  const found = [...RetryBudget.problems(budget)]
  const whole = (name: string, value: number): void => {
    if (!(Number.isSafeInteger(value) && value >= 1))
      found.push(`${name} must be a whole number of at least 1, not ${value}`)
  }
  whole("maxAttempts", maxAttempts)
  for (const [name, presets] of Object.entries(byClass))
    for (const [preset, { attempts }] of Object.entries(presets))
      whole(`policies.${name}.${preset}.attempts`, attempts)
  if (!(maxPauseMs > 0 && maxPauseMs <= LONGEST_PAUSE_MS))
    found.push(`maxPauseMs must be between 1 and ${LONGEST_PAUSE_MS}, not ${maxPauseMs}`)
  if (!(maxBackoffFactor >= 1 && maxBackoffFactor <= 100))
    found.push(`maxBackoffFactor must be between 1 and 100, not ${maxBackoffFactor}`)
  if (!(maxAskedMs >= 0)) found.push(`maxAskedMs must not be negative: ${maxAskedMs}`)
  return { problems: found, byClass, maxAskedMs, maxAttempts, maxBackoffFactor, maxPauseMs, budget }
}

/** The attempts of one call because of one kind of fault. */
interface Course {
  readonly policy: RetryPolicy.Policy
  readonly delays: RetryPolicy.Course<unknown>
  readonly attempts: number
}

type Courses = { readonly [P in RetryPolicy.Preset]?: Course }

interface State {
  readonly budget: RetryBudget.State
  readonly pressure: Pressure.Pressure
  readonly calls: number
  readonly retries: number
  readonly recovered: number
  readonly exhausted: Status["exhausted"]
}

/** Does more load make the fault worse? A lost session does not count. */
const isPushedBack = ({
  afterTimeout,
  preset,
  unbudgeted
}: RetryPolicy.Decision & { _tag: "Retry" }): boolean =>
  unbudgeted !== true && (preset !== "once" || afterTimeout === true)

/** What a retry is paid with. */
type Paid = Pick<RetryPolicy.Decision & { _tag: "Retry" }, "afterTimeout" | "unbudgeted">

/**
 * A full budget at first; fails with `InvalidOptions` where a policy makes no sense.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<Context.Tag.Service<typeof Retry>, InvalidOptions.InvalidOptions> =>
  Effect.gen(function* () {
    const {
      budget: limits,
      byClass,
      maxAskedMs,
      maxAttempts,
      maxBackoffFactor,
      maxPauseMs,
      problems
    } = resolve(options)
    yield* InvalidOptions.check("Retry", problems)
    const { modifyAt, updateAt } = yield* steps
    const config = RetryBudget.compile(limits)
    const start = yield* monotonicMillis
    const ref = yield* Ref.make<State>({
      budget: RetryBudget.initial(config, start),
      pressure: Pressure.initial(start),
      calls: 0,
      retries: 0,
      recovered: 0,
      exhausted: { attempts: 0, deadline: 0, budget: 0 }
    })

    const giveUp = (why: keyof Status["exhausted"]): Effect.Effect<undefined> =>
      Effect.as(
        Ref.update(ref, (state) => ({
          ...state,
          exhausted: { ...state.exhausted, [why]: state.exhausted[why] + 1 }
        })),
        undefined
      )

    const count = (what: "retries" | "recovered") =>
      Ref.update(ref, (state) => ({ ...state, [what]: state[what] + 1 }))

    const withdraw = ({ afterTimeout = false, unbudgeted = false }: Paid) =>
      modifyAt(ref, (state, now) => {
        if (unbudgeted) return [true, state]
        const [admitted, budget] = RetryBudget.withdraw(state.budget, now, config, afterTimeout)
        return [admitted, { ...state, budget }]
      })

    const giveBack = ({ afterTimeout = false, unbudgeted = false }: Paid) =>
      Ref.update(ref, (state) =>
        unbudgeted ? state : { ...state, budget: RetryBudget.refund(state.budget, config, afterTimeout) }
      )

    /** The schedule of a policy, times the current factor; what the factor adds leaves half of the time to the retry. */
    const stretched = (delays: Schedule.Schedule<unknown, unknown>, deadline: number) =>
      Schedule.modifyDelayEffect(delays, (_, delay) =>
        modifyAt(ref, (state, now) => {
          const most = Duration.max(delay, Duration.millis(Math.max(0, deadline - now) / 2))
          return [Duration.min(most, Duration.times(delay, Pressure.factor(state.pressure, now))), state]
        })
      )

    const begin = (policy: RetryPolicy.Policy, deadline = Number.POSITIVE_INFINITY): Course => ({
      policy,
      delays: RetryPolicy.course(stretched(policy.delays, deadline)),
      attempts: 1
    })

    /** Pays for a retry and waits: the course with the retry, or undefined when there is none. */
    const pause = Effect.fnUntraced(function* <E>(
      course: Course,
      n: number,
      error: E,
      { preset, serverDelayMs = 0, ...paid }: RetryPolicy.Decision & { _tag: "Retry" },
      { deadline = Number.POSITIVE_INFINITY, expectedMs = 0 }: Request<E>
    ) {
      if (n >= maxAttempts || course.attempts >= course.policy.attempts) return yield* giveUp("attempts")
      const now = yield* monotonicMillis
      const [backoff, delays] = yield* course.delays.next(now, error)
      if (backoff === undefined) return yield* giveUp("attempts")
      const asked = Math.max(0, serverDelayMs)
      if (!(Math.max(asked, backoff) <= maxPauseMs) || asked > maxAskedMs) return yield* giveUp("deadline")
      // Never less than the warehouse asked for.
      const luck = yield* Random.next
      const ms = Math.max(Math.round(backoff), Math.ceil(asked) + Math.floor(asked * SERVER_JITTER * luck))
      if (now + ms + expectedMs >= deadline) return yield* giveUp("deadline")
      return yield* Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          if (!(yield* withdraw(paid))) return yield* giveUp("budget")
          yield* Effect.logDebug(`attempt ${n} failed (${preset}); trying again in ${ms} ms`)
          yield* Effect.onInterrupt(restore(Effect.sleep(ms)), () => giveBack(paid))
          // A busy process wakes up late, perhaps after the deadline.
          if ((yield* monotonicMillis) < deadline)
            return { policy: course.policy, delays, attempts: course.attempts + 1 }
          yield* giveBack(paid)
          return yield* giveUp("deadline")
        })
      )
    })

    const recover =
      <A, E, R>(
        attempt: (n: number) => Effect.Effect<A, E, R>,
        request: Request<E>,
        n: number,
        courses: Courses
      ) =>
      (cause: Cause.Cause<E>): Effect.Effect<A, E, R> => {
        const error = expected(cause)
        if (Option.isNone(error)) return Effect.failCause(cause)
        const decision = request.decide(error.value)
        if (decision._tag === "No") return Effect.failCause(cause)
        const { preset } = decision
        const course = courses[preset] ?? begin(byClass[request.class][preset], request.deadline)
        return (n === 1 && isPushedBack(decision) ? pushedBack : Effect.void).pipe(
          Effect.zipRight(pause(course, n, error.value, decision, request)),
          Effect.flatMap((next) =>
            next === undefined
              ? Effect.failCause(cause)
              : count("retries").pipe(
                  Effect.zipRight(attempt(n + 1)),
                  Effect.tap(count("recovered")),
                  Effect.catchAllCause(recover(attempt, request, n + 1, { ...courses, [preset]: next }))
                )
          )
        )
      }

    const begun = Ref.update(ref, (state) => ({
      ...state,
      calls: state.calls + 1,
      budget: RetryBudget.deposit(state.budget, config)
    }))

    const pushedBack = updateAt(ref, (state, now) => ({
      ...state,
      pressure: Pressure.failed(state.pressure, now, maxBackoffFactor)
    }))

    const worked = updateAt(ref, (state, now) =>
      state.pressure.level === 0 ? state : { ...state, pressure: Pressure.succeeded(state.pressure, now) }
    )

    return {
      run: (attempt, request) =>
        Effect.gen(function* () {
          yield* begun
          const value = yield* Effect.catchAllCause(attempt(1), recover(attempt, request, 1, {}))
          yield* worked
          return value
        }),
      status: modifyAt(ref, (state, now) => [
        {
          budget: RetryBudget.left(state.budget, now, config),
          budgetCap: limits.cap,
          backoffFactor: Pressure.factor(state.pressure, now),
          calls: state.calls,
          retries: state.retries,
          recovered: state.recovered,
          exhausted: state.exhausted
        },
        state
      ])
    }
  })

/**
 * A full budget at first; fails with `InvalidOptions` where a policy makes no sense.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<Retry, InvalidOptions.InvalidOptions> =>
  Layer.effect(Retry, make(options))

/**
 * One attempt, and no retry.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerNoop: Layer.Layer<Retry> = Layer.succeed(Retry, {
  run: (attempt) => attempt(1),
  status: Effect.succeed({
    budget: 0,
    budgetCap: 0,
    backoffFactor: 1,
    calls: 0,
    retries: 0,
    recovered: 0,
    exhausted: { attempts: 0, deadline: 0, budget: 0 }
  })
})
