/**
 * A model of the warehouse: so many statements run at once, the others queue inside it, and it slows
 * down, refuses, fails or falls silent when its timetable says so. It remembers every statement until it
 * has really ended: a cancellation is a message, and takes its time to arrive.
 */
import { Effect } from "effect"
import type { Attempt } from "../../src/guard/Guard.js"
import type { Reason } from "../../src/warehouse/Warehouse.js"
import { WarehouseError } from "../../src/warehouse/Warehouse.js"
import type { Call } from "./calls.js"
import type { Court } from "./invariants/Court.js"
import type { Stream } from "./Random.js"
import type { Timer, VirtualClock } from "./VirtualClock.js"

/**
 * - `refusing`: no connection; what was running is lost.
 * - `hanging`: nothing is ever answered; what is running stays stuck until it is cancelled.
 * - `slow`: everything takes ten times as long.
 * - `brownout`: a part of the statements fails with faults of the warehouse's own.
 * - `throttling`: half of the statements are turned away as too many.
 * - `overloaded`: others use the warehouse too. With more than `spare` inside, the next statement is turned away, and
 *   turning away is work: it makes the running ones slower.
 */
export type Weather = "healthy" | "refusing" | "hanging" | "slow" | "brownout" | "throttling" | "overloaded"

export interface Phase {
  readonly weather: Weather
  readonly fromMs: number
  readonly untilMs: number
}

export interface Options {
  /** Statements that run at once; more of them queue inside, in order of arrival. */
  readonly slots: number
  /** With so many inside, the next one is turned away. */
  readonly overloadAbove: number
  /** The same while it is overloaded; as `overloadAbove` when absent. */
  readonly spare?: number | undefined
  /** Median time of a statement that has a slot, and its spread. */
  readonly queryMs: number
  readonly metadataMs: number
  readonly spread: number
  /** Part of the statements that fails in a brownout. */
  readonly faultRate: number
  /** What is not healthy weather, in order and without overlaps. */
  readonly phases: ReadonlyArray<Phase>
}

export interface Load {
  /** Milliseconds of such weather. */
  ms: number
  /** Attempts to reach the warehouse in it. */
  attempts: number
  /** Things that clients wanted in it, and attempts made for them; clients that only loop are left out. */
  wanted: number
  attemptsForWanted: number
}

interface Statement {
  readonly call: Call
  readonly answer: (exit: Effect.Effect<number, WarehouseError>) => void
  running: boolean
  timer: Timer | undefined
  gone: boolean
}

export interface Model {
  /** One attempt of a call; the value is the size of its result in bytes. */
  readonly execute: (call: Call, attempt: Attempt) => Effect.Effect<number, WarehouseError>
  readonly weather: () => Weather
  /** Statements inside: running, queued, or not yet rid of. */
  readonly inside: () => number
  readonly mostInside: () => number
  /** Most attempts in any minute of healthy weather. */
  readonly busiestMinute: () => number
  readonly load: { readonly [W in Weather]: Load }
  /** Runs the task when the next statement is answered. */
  readonly whenStatementEnds: (task: () => void) => void
  /** Statements turned away so far, whatever the weather. */
  readonly turnedAway: () => number
  /** The last stretch of weather is over. */
  readonly finish: () => void
}

const failure = (reason: Reason, sent: "no" | "yes" | "unknown") =>
  new WarehouseError({ reason, description: `the simulated warehouse says ${reason}`, sent }, true)

const CONNECT_MS = 4
const ANSWER_MS = 15
/** Each statement too many makes all of them slower by this part. */
const CROWDING = 0.05
/** And so does each statement that was turned away within the last second, while it is overloaded. */
const TURNING_AWAY = 0.1

export const make = (
  time: VirtualClock,
  random: Stream,
  options: Options,
  atomically: Court["atomically"]
): Model => {
  let weather: Weather = "healthy"
  let since = 0
  let inside = 0
  let mostInside = 0
  let running = 0
  let minute = 0
  let thisMinute = 0
  let busiestMinute = 0
  let turnedAway = 0
  /** Statements turned away, with a time constant of a second. */
  const rejected = { count: 0, at: 0 }
  const queue: Array<Statement> = []
  const waiting: Array<() => void> = []
  const active = new Set<Statement>()
  const emptyLoad = (): Load => ({ ms: 0, attempts: 0, wanted: 0, attemptsForWanted: 0 })
  const load: { readonly [W in Weather]: Load } = {
    healthy: emptyLoad(),
    refusing: emptyLoad(),
    hanging: emptyLoad(),
    slow: emptyLoad(),
    brownout: emptyLoad(),
    throttling: emptyLoad(),
    overloaded: emptyLoad()
  }

  const leave = (statement: Statement): void => {
    if (statement.gone) return
    statement.gone = true
    if (statement.timer !== undefined) time.cancel(statement.timer)
    active.delete(statement)
    statement.call.statements -= 1
    inside -= 1
    if (statement.running) {
      running -= 1
      next()
    }
  }

  const next = (): void => {
    while (running < options.slots && queue.length > 0) {
      const statement = queue.shift()!
      if (!statement.gone) start(statement)
    }
  }

  const end = (statement: Statement, exit: Effect.Effect<number, WarehouseError>): void => {
    leave(statement)
    statement.answer(exit)
    for (const task of waiting.splice(0)) task()
  }

  const outcome = (call: Call): Effect.Effect<number, WarehouseError> => {
    if (call.asked.mistaken) return Effect.fail(failure(random.pick(["InvalidStatement", "NotFound"]), "yes"))
    if (weather === "brownout" && random.chance(options.faultRate)) {
      return random.chance(0.5)
        ? Effect.fail(failure("ServerFault", "yes"))
        : Effect.fail(failure(random.pick(["Unreachable", "SessionLost", "Protocol"]), "unknown"))
    }
    return Effect.succeed(random.integer(100, 2 * call.asked.estimatedBytes))
  }

  const start = (statement: Statement): void => {
    statement.running = true
    running += 1
    // What is started in silence stays stuck, and so does what is running when it falls.
    if (weather === "hanging") return
    const { call } = statement
    const busy = weather === "overloaded" ? TURNING_AWAY * rejectedNow() : 0
    const crowd = 1 + CROWDING * Math.max(0, inside - options.slots) + busy
    const median = call.asked.mistaken
      ? ANSWER_MS
      : call.asked.class === "query"
        ? options.queryMs
        : options.metadataMs
    const ms = random.logNormal(median, options.spread) * crowd * (weather === "slow" ? 10 : 1)
    statement.timer = time.after(ms, () => end(statement, outcome(call)))
  }

  const rejectedNow = (): number => rejected.count * Math.exp((rejected.at - time.now()) / 1000)

  const capacity = (): number =>
    weather === "overloaded" ? (options.spare ?? options.overloadAbove) : options.overloadAbove

  const submit = (call: Call, answer: Statement["answer"]): Statement => {
    const statement: Statement = { call, answer, running: false, timer: undefined, gone: false }
    inside += 1
    mostInside = Math.max(mostInside, inside)
    call.statements += 1
    active.add(statement)
    if (inside > capacity() || (weather === "throttling" && random.chance(0.5))) {
      turnedAway += 1
      rejected.count = rejectedNow() + 1
      rejected.at = time.now()
      statement.timer = time.after(ANSWER_MS, () => end(statement, Effect.fail(failure("Overloaded", "no"))))
    } else if (running < options.slots) start(statement)
    else queue.push(statement)
    return statement
  }

  const countMinute = (): void => {
    const now = Math.floor(time.now() / 60_000)
    thisMinute = now === minute ? thisMinute + 1 : 1
    minute = now
    if (weather === "healthy") busiestMinute = Math.max(busiestMinute, thisMinute)
  }

  const connect = (call: Call): Effect.Effect<void, WarehouseError> =>
    Effect.async((resume) => {
      load[weather].attempts += 1
      countMinute()
      if (call.asked.wanted) load[weather].attemptsForWanted += 1
      call.attempts += 1
      const refused = weather === "refusing"
      const timer = time.after(CONNECT_MS * (1 + random.next()), () =>
        resume(refused ? Effect.fail(failure("Unreachable", "no")) : Effect.void)
      )
      return Effect.sync(() => time.cancel(timer))
    })

  const cancellation = (statement: Statement): Effect.Effect<void> =>
    Effect.async((resume) => {
      const ms = random.between(5, weather === "hanging" || weather === "refusing" ? 2_000 : 100)
      time.after(ms, () => {
        leave(statement)
        resume(Effect.void)
      })
    })

  /** A statement on its way, and its answer. */
  const send = (call: Call) => {
    call.sent += 1
    call.paid += 1
    let answered: Effect.Effect<number, WarehouseError> | undefined
    let answer: Statement["answer"] = (exit) => {
      answered = exit
    }
    const statement = submit(call, (exit) => answer(exit))
    const answerOf = Effect.async<number, WarehouseError>((resume) => {
      if (answered !== undefined) resume(answered)
      else answer = resume
    })
    return { statement, answerOf }
  }

  const deliver = (call: Call, attempt: Attempt, bytes: number): Effect.Effect<void> =>
    atomically(
      Effect.zipRight(
        Effect.sync(() => void (call.bytes += bytes)),
        attempt.addBytes(bytes)
      )
    )

  const execute = (call: Call, attempt: Attempt): Effect.Effect<number, WarehouseError> =>
    Effect.zipRight(
      connect(call),
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(
          // What the guard notes and what really happens are one step, or they could be told apart.
          atomically(
            Effect.zipRight(
              attempt.markSent,
              Effect.sync(() => send(call))
            )
          ),
          ({ answerOf, statement }) =>
            restore(answerOf).pipe(
              Effect.onInterrupt(() => (statement.gone ? Effect.void : cancellation(statement))),
              // A caller that is interrupted before the error arrives does not learn that there is nothing to pay for.
              Effect.tapError(({ sent }) => Effect.sync(() => void (call.paid -= sent === "no" ? 1 : 0))),
              Effect.tap((bytes) => deliver(call, attempt, bytes))
            )
        )
      )
    )

  const turn = (to: Weather): void => {
    load[weather].ms += time.now() - since
    since = time.now()
    weather = to
    if (to === "refusing") {
      for (const statement of [...active]) {
        if (!statement.gone) end(statement, Effect.fail(failure("Unreachable", "unknown")))
      }
      queue.length = 0
    } else if (to === "hanging") {
      for (const { timer } of active) if (timer !== undefined) time.cancel(timer)
    }
  }
  for (const phase of options.phases) {
    time.after(phase.fromMs, () => turn(phase.weather))
    time.after(phase.untilMs, () => turn("healthy"))
  }

  return {
    execute,
    weather: () => weather,
    inside: () => inside,
    mostInside: () => mostInside,
    busiestMinute: () => busiestMinute,
    load,
    turnedAway: () => turnedAway,
    whenStatementEnds: (task) => void waiting.push(task),
    finish: () => {
      load[weather].ms += time.now() - since
      since = time.now()
    }
  }
}
