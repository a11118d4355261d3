/**
 * The rate limits and quotas as one call meets them, with a record of each decision and booking for the audit log: what
 * a replay needs to decide the same again.
 *
 * The time of a decision of the rate limits is the one that it was taken at; that of a booking is read when the store has
 * answered. Steps are numbered in the order in which they are recorded.
 *
 * What is recorded decides nothing and has one writer, so it is kept in plain fields, in synchronous steps, and not in a
 * `Ref`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Random from "effect/Random"
import type * as RateLimiter from "./RateLimiter.js"
import type * as Metering from "../observe/Metering.js"
import { decimal } from "../observe/Metering.js"
import { monotonicReader, wallReader } from "../platform/monotonic.js"
import type { OperationClass } from "../platform/Operation.js"
import * as Quota from "../quota/Quota.js"

/**
 * What a guarded call does with its limits.
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  readonly limiter: Pick<RateLimiter.RateLimiter["Type"], "reserve" | "refund">
  readonly quota: Pick<Quota.Quota["Type"], "reserve" | "reserveScan" | "submitted" | "settle" | "release">
}

/**
 * Where the records of a call go.
 *
 * @since 0.1.0
 * @category models
 */
export interface Sink {
  /** An operation is under way, and is recorded here. */
  readonly begin: (record: Recording) => Effect.Effect<void>
  /** Nothing more will be recorded of it; run once for each that has begun. */
  readonly end: Effect.Effect<void>
}

/**
 * The limits that a call meets, and the bracket in which it meets them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Metered {
  readonly limits: Limits
  readonly within: <A, E, R>(operation: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/**
 * Limits without a record.
 *
 * @since 0.1.0
 * @category constructors
 */
export const unrecorded = (limits: Limits): Metered => ({ limits, within: identity })

/** The start of a server, its clocks, and the numbers of its operations and steps. */
class Start {
  private operations = 0
  private steps = 0
  /** When the buckets were made, by both clocks; known with the first step, which is one of theirs. */
  private origin: { monotonic: number; readonly wall: number } | undefined

  constructor(
    readonly server: string,
    private readonly monotonic: () => number,
    readonly wall: () => number
  ) {}

  nextOperation(): number {
    return ++this.operations
  }

  nextStep(): number {
    return ++this.steps
  }

  /** The buckets say that `ms` have passed. A little more has until it is read here: the earliest origin is the best. */
  passed(ms: number): void {
    const origin = this.known(ms)
    origin.monotonic = Math.min(origin.monotonic, this.monotonic() - ms)
  }

  elapsed(): number {
    return Math.max(0, this.monotonic() - this.known(0).monotonic)
  }

  /** Milliseconds since 1970. */
  get started(): number {
    return this.known(0).wall
  }

  private known(ms: number): NonNullable<Start["origin"]> {
    return (this.origin ??= { monotonic: this.monotonic() - ms, wall: Math.ceil(this.wall() - ms) })
  }
}

/**
 * What one guarded operation did so far.
 *
 * @since 0.1.0
 * @category models
 */
export class Recording {
  private steps: Array<Metering.Step> = []
  private readonly reservations: Array<Quota.Reservation> = []

  constructor(
    private readonly start: Start,
    private readonly head: Omit<Metering.Operation, "server" | "started" | "steps">
  ) {}

  /** Number, time, and how far the wall clock is from it. The time of a decision is told by who took it. */
  now(decidedAt?: number): readonly [n: number, at: number, drift: number] {
    if (decidedAt !== undefined) this.start.passed(decidedAt)
    const at = decimal(decidedAt ?? this.start.elapsed())
    return [this.start.nextStep(), at, this.start.wall() - Math.floor(this.start.started + at)]
  }

  add(step: Metering.Step): void {
    this.steps.push(step)
  }

  holds(reservation: Quota.Reservation): void {
    this.reservations.push(reservation)
  }

  of(reservation: Quota.Reservation): number {
    return this.reservations.indexOf(reservation)
  }

  /** What was recorded since the last time. */
  take(): ReadonlyArray<Metering.Operation> {
    if (this.steps.length === 0) return []
    const { server, started } = this.start
    const taken = { server, started, ...this.head, steps: this.steps }
    this.steps = []
    return [taken]
  }
}

/**
 * Begins the records of one server: for each operation the limits that write them, while it is under way.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  limits: Limits
): Effect.Effect<
  (
    sink: Sink,
    operation: {
      readonly class: OperationClass
      readonly deadlineMs: number
      readonly estimatedBytes: number
      readonly estimatedCredits: number | undefined
      readonly assigned: boolean
    }
  ) => Metered
> =>
  Effect.gen(function* () {
    const id = (yield* Random.nextIntBetween(36 ** 5, 36 ** 6)).toString(36)
    const start = new Start(id, yield* monotonicReader, yield* wallReader)
    return (sink, { assigned, class: name, deadlineMs, estimatedBytes, estimatedCredits }) => {
      const record = new Recording(start, {
        operation: start.nextOperation(),
        class: name,
        deadline: deadlineMs,
        estimate: estimatedBytes,
        ...(estimatedCredits === undefined ? {} : { credits: estimatedCredits }),
        ...(assigned ? { assigned } : {})
      })
      return {
        limits: recorded(limits, record),
        within: (operation) =>
          Effect.acquireUseRelease(
            sink.begin(record),
            () => operation,
            () => sink.end
          )
      }
    }
  })

const recorded = ({ limiter, quota }: Limits, record: Recording): Limits => {
  type Now = ReturnType<Recording["now"]>
  const add = (step: (...now: Now) => Metering.Step, decidedAt?: number): void =>
    record.add(step(...record.now(decidedAt)))
  const note = (step: (...now: Now) => Metering.Step, decidedAt?: number): Effect.Effect<void> =>
    Effect.sync(() => add(step, decidedAt))
  /** Whether the store has carried it out is not known when it fails. */
  const booked = <A, E>(
    booking: Effect.Effect<A, E>,
    step: (...now: Now) => Metering.Step
  ): Effect.Effect<A, E> => Effect.ensuring(booking, note(step))
  /** A reservation that holds nothing is the same object for every call. */
  const held = (reservation: Quota.Reservation): Quota.Reservation => {
    const own = { ...reservation }
    record.holds(own)
    return own
  }
  return {
    limiter: {
      reserve: (request, maxWaitMs) =>
        limiter.reserve(request, maxWaitMs).pipe(
          Effect.tap(({ decidedAt, waitMs }) => add((...now) => [...now, "rate", waitMs], decidedAt)),
          Effect.tapError(({ decidedAt, never, retryAfterMs, scope }) =>
            note((...now) => [...now, "rate_refused", scope, never ? null : retryAfterMs], decidedAt)
          )
        ),
      refund: (given, only) =>
        Effect.tap(limiter.refund(given, only), (givenAt) =>
          add((...now) => [...now, only === undefined ? "refunded" : "observed_refunded"], givenAt)
        )
    },
    quota: {
      reserve: (request) =>
        quota.reserve(request).pipe(
          Effect.map(held),
          Effect.tap(() => add((...now) => [...now, "quota"])),
          Effect.tapError((error) =>
            note((...now) =>
              error._tag === "QuotaExceeded"
                ? [...now, "quota_refused", Quota.limitName(error), error.retryAfterMs]
                : [...now, "quota_lost"]
            )
          )
        ),
      reserveScan: (request) =>
        quota.reserveScan(request).pipe(
          Effect.map(held),
          Effect.tap(() => add((...now) => [...now, "scan", request.estimatedBytes])),
          Effect.tapError((error) =>
            note((...now) =>
              error._tag === "QuotaExceeded"
                ? [...now, "scan_refused", request.estimatedBytes, Quota.limitName(error), error.retryAfterMs]
                : [...now, "scan_lost", request.estimatedBytes]
            )
          )
        ),
      submitted: (reservation) =>
        booked(quota.submitted(reservation), (...now) => [...now, "sent", record.of(reservation)]),
      settle: (reservation, spent) =>
        booked(quota.settle(reservation, spent), (...now) => [
          ...now,
          "settled",
          record.of(reservation),
          spent.bytes,
          spent.scanBytes ?? null,
          spent.statementSeconds ?? null,
          ...(spent.credits === undefined ? ([] as const) : ([spent.credits] as const))
        ]),
      release: (reservation) =>
        booked(quota.release(reservation), (...now) => [...now, "released", record.of(reservation)])
    }
  }
}
