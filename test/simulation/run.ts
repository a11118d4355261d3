/**
 * Runs a scenario on virtual time, with the real services and any of their layers switched off, and says
 * what came of it. The same options give the same report, to the byte.
 */
import { Cause, DateTime, Effect, Exit, Layer, Logger, LogLevel, Runtime, Scope } from "effect"
import * as Audit from "../../src/observe/Audit.js"
import { settledLater } from "../../src/observe/Metering.js"
import { CallNotes } from "../../src/tools/callNotes.js"
import type { Call } from "./calls.js"
import * as Clients from "./clients.js"
import * as Invariants from "./invariants.js"
import * as CourtRoom from "./invariants/Court.js"
import type { Court } from "./invariants/Court.js"
import * as Random from "./Random.js"
import type { Report } from "./report.js"
import * as Reports from "./report.js"
import type { Scenario } from "./scenarios.js"
import * as Scenarios from "./scenarios.js"
import type { Layers, Replacements } from "./server.js"
import * as Server from "./server.js"
import * as Statistics from "./statistics.js"
import * as VirtualClock from "./VirtualClock.js"
import * as Warehouse from "./warehouse.js"

export interface Options {
  readonly seed: number
  readonly hours: number
  /** Made up from the seed when absent. */
  readonly scenario?: Scenario | undefined
  /** All that the guard knows when absent. */
  readonly layers?: Partial<Layers> | undefined
  /** Layers that are broken on purpose. */
  readonly replaced?: ((scenario: Scenario) => Replacements) | undefined
  /** Takes the lines of the audit log. */
  readonly audit?: ((line: string) => void) | undefined
}

const HOUR = 3_600_000
/** Longer than any call, any pause before another one, and any timer that outlives them. */
const AFTERMATH_MS = 2 * HOUR
/** What fails later than this after an overload fails for another reason. */
const RECOVERY_MS = 60_000

export const simulate = (options: Options): Report => {
  const { stackTraceLimit } = Error
  // Stacks of simulated failures are not read, and cost as much as the calls.
  Error.stackTraceLimit = 0
  try {
    return run(options)
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

const run = (options: Options): Report => {
  const { hours, seed } = options
  const scenario = options.scenario ?? Scenarios.generate(seed, hours)
  const layers: Layers = { ...Server.everything, ...options.layers }
  const time = VirtualClock.make()
  const orderly = scenario.maxOps >= Scenarios.MANY_OPS
  const atomically: Court["atomically"] = orderly
    ? (effect) => effect
    : Effect.withMaxOpsBeforeYield(Scenarios.MANY_OPS)
  const court = CourtRoom.make(time, { orderly, atomically })
  const model = Warehouse.make(time, Random.stream(seed, "warehouse"), scenario.warehouse, atomically)
  const watch = Invariants.make(court, time, model, scenario.server, layers)
  const statistics = Statistics.make(model)

  /** Runs what waits for nothing but its turn. */
  const settled = <A>(effect: Effect.Effect<A>): A => {
    const fiber = Effect.runFork(
      effect.pipe(
        Effect.withClock(time.clock),
        Effect.withRandom(Random.service(seed)),
        Effect.withMaxOpsBeforeYield(scenario.maxOps),
        Logger.withMinimumLogLevel(LogLevel.None)
      ),
      { scheduler: time.scheduler }
    )
    time.runUntil(time.now())
    const exit = fiber.unsafePoll()
    if (exit === null) throw new Error("a service waits for something before there is anything to wait for")
    if (Exit.isFailure(exit)) throw new Error(Cause.pretty(exit.cause))
    return exit.value
  }

  const scope = settled(Scope.make())
  const runtime = settled(
    Layer.toRuntime(Server.layer(scenario.server, layers, watch, options.replaced?.(scenario))).pipe(
      Scope.extend(scope)
    )
  )
  const fork = Runtime.runFork(runtime)

  const wellBehaved = new Set(
    scenario.clients.filter(({ temperament }) => temperament.wellBehaved).map(({ name }) => name)
  )
  const overloads = scenario.warehouse.phases.filter(({ weather }) => weather === "overloaded")
  const recoveries = overloads.map(() => 0)
  /** A well-behaved client was refused. */
  const suffered = (): void => {
    const now = time.now()
    const last = overloads.findLastIndex(({ untilMs }) => untilMs < now)
    const passed = now - (overloads[last]?.untilMs ?? now)
    const isNext = now < (overloads[last + 1]?.fromMs ?? Number.POSITIVE_INFINITY)
    if (last >= 0 && isNext && passed <= RECOVERY_MS) recoveries[last] = passed
  }

  /** One line when the call has ended, and another one where it settles later. */
  const recorded = (call: Call, notes: CallNotes, decision: string): Effect.Effect<void> => {
    const line = (decision: string) =>
      Effect.map(DateTime.now, (now) => {
        const limits = notes.limits()
        const { wouldRefuse } = notes.all
        const { client, tier } = call.asked
        if (decision === settledLater && limits.length === 0) return
        const entry = { client, tier, tool: Server.toolOf(call), decision, ms: 0, limits }
        const told = wouldRefuse === undefined ? entry : { ...entry, wouldRefuse }
        options.audit?.(Audit.lineOf(told, now, "none", String))
      })
    return Effect.zipRight(line(decision), notes.whenSettled(line(settledLater)))
  }

  let reserved = 0
  let ids = 0
  const untilMs = hours * HOUR
  const world: Clients.World = {
    time,
    court,
    tokens: layers.limiter ? watch.tokens : undefined,
    statistics,
    nextId: () => ids++,
    whenStatementEnds: model.whenStatementEnds,
    untilMs,
    working: () => time.now() % scenario.work.everyMs < scenario.work.lastMs,
    call: (call, done) => {
      const notes = options.audit === undefined ? undefined : new CallNotes()
      const audited = Effect.onExit(Server.answer(time, model, layers, call, notes), (exit) =>
        notes === undefined ? Effect.void : recorded(call, notes, Exit.isSuccess(exit) ? "ok" : "failed")
      )
      const fiber = fork(notes === undefined ? Server.answer(time, model, layers, call) : audited)
      fiber.addObserver((exit) => {
        watch.answered(call, exit)
        reserved += call.reserved
        if (Exit.isFailure(exit) && !call.asked.mistaken && wellBehaved.has(call.asked.client)) suffered()
        done(exit)
      })
      return () => fiber.unsafeInterruptAsFork(fiber.id())
    }
  }
  for (const client of scenario.clients) Clients.start(world, client, Random.stream(seed, client.name))

  time.runUntil(untilMs, watch.instant)
  time.runUntil(untilMs + AFTERMATH_MS, watch.instant)
  model.finish()
  fork(watch.ended(scenario.clients.map(({ name, temperament }) => ({ name, tier: temperament.tier }))))
  time.runUntil(time.now())
  settled(Scope.close(scope, Exit.void))
  return Reports.make({
    seed,
    hours,
    layers,
    statistics: statistics.all(),
    load: model.load,
    mostInside: model.mostInside(),
    busiestMinute: model.busiestMinute(),
    turnedAway: model.turnedAway(),
    reserved,
    recoveryMs: recoveries.reduce((sum, ms) => sum + ms, 0) / Math.max(1, recoveries.length),
    violations: court.violations,
    violationCount: court.count()
  })
}
