/**
 * The rehearsal of an outage: the complete server, with Snowflake's real driver, in front of an emulated
 * account that goes through `emulator/outage.ts`, while agents call its tools.
 *
 * ```
 * agents --JSON-RPC--> server (every guard) --snowflake-sdk--> HTTP --> emulator <-- phases of the outage
 *                         |                                                |
 *                         +---- moments: what was answered, what arrived --+
 * ```
 *
 * A phase lasts as long as it says and, where it has to show something (the breaker opens, the breaker
 * closes), until that has happened: on a slow machine the story is the same.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { CircuitBreaker } from "../guard/CircuitBreaker.js"
import * as Emulator from "../emulator/Emulator.js"
import * as Outage from "../emulator/outage.js"
import { monotonicMillis } from "../platform/monotonic.js"
import * as Main from "../server/main.js"
import { Retry } from "../guard/Retry.js"
import * as ServerConfig from "../config/ServerConfig.js"
import * as Agents from "./agents.js"
import * as Client from "./client.js"
import * as Ledger from "./ledger.js"
import type { Figures } from "./summary.js"
import * as Summary from "./summary.js"
import { temporaryDirectory } from "./temporary.js"

/**
 * What there is to see, as it happens.
 *
 * @since 0.1.0
 * @category models
 */
export type Event =
  | { readonly _tag: "Phase"; readonly name: string; readonly description: string; readonly atMs: number }
  | ({ readonly _tag: "Moment" } & Moment)
  /** The text of a code, the first time it is read. */
  | { readonly _tag: "Refusal"; readonly code: string; readonly text: string }
  /** What a search has found while nothing answers; undefined: nothing. */
  | { readonly _tag: "Search"; readonly query: string; readonly found: string | undefined }
  | ({ readonly _tag: "Summary" } & Figures)

/**
 * What happened since the moment before, and how things stand.
 *
 * @since 0.1.0
 * @category models
 */
export interface Moment {
  readonly atMs: number
  readonly phase: string
  readonly answered: number
  readonly stale: number
  /** By a guard: nothing was sent. */
  readonly refused: number
  /** By the warehouse, or for the statement's own fault. */
  readonly failed: number
  readonly codes: { readonly [code: string]: number }
  readonly breaker: string
  readonly nextProbeMs: number | undefined
  readonly mode: string
  readonly queued: number
  /** Statements that reached the emulator. */
  readonly arrived: number
  readonly retries: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** So many times faster than a minute. */
  readonly speed: number
  readonly tell: (event: Event) => Effect.Effect<void>
}

/**
 * The breaker's times at speed 1, in seconds: short enough that an outage of a minute shows it open, probe
 * and close. The server's defaults are 30 and 300.
 *
 * @since 0.1.0
 * @category data
 */
export const breakerSeconds = { open: 4, openMax: 8 } as const

/** Agents are never more than so many times faster: their own rate limits stay what they are. */
const MOST_HURRY = 3

/** Longest wait for what a phase has to show, and for the last answers. */
const PATIENCE_MS = 60_000

const settings = (url: string, speed: number): ServerConfig.Settings => ({
  ...ServerConfig.defaults,
  warehouse: "snowflake",
  breaker: {
    ...ServerConfig.defaults.breaker,
    openSeconds: breakerSeconds.open / speed,
    openMaxSeconds: breakerSeconds.openMax / speed
  },
  snowflake: {
    ...ServerConfig.defaults.snowflake,
    account: "emulator",
    accessUrl: url,
    user: Emulator.defaultUser,
    password: Redacted.make(Emulator.defaultPassword),
    warehouse: "COMPUTE_WH"
  }
})

/** The driver would send even what is meant for this machine through the proxy of the environment. */
const withoutProxy = Effect.acquireRelease(
  Effect.sync(() =>
    ["NO_PROXY", "no_proxy"].map((name) => {
      const before = process.env[name]
      process.env[name] = "127.0.0.1"
      return { name, before }
    })
  ),
  (kept) =>
    Effect.sync(() => {
      for (const { before, name } of kept) {
        if (before === undefined) delete process.env[name]
        else process.env[name] = before
      }
    })
)

const numberOf = (value: unknown): number => (typeof value === "number" ? value : 0)

/** What `get_limits` tells of the server's state. */
const stateOf = (answer: Client.Answer) => {
  const content = answer._tag === "Answered" ? answer.content : {}
  const circuit = Client.fields(content["circuit"])
  const pools = Array.isArray(content["concurrency"]) ? content["concurrency"] : []
  const nextProbeMs = circuit["next_probe_in_ms"]
  const breaker = String(circuit["phase"] ?? "unknown")
  return {
    breaker,
    // Half-open, the probes are under way: what is told then is when they are given up.
    nextProbeMs: breaker === "open" && typeof nextProbeMs === "number" ? nextProbeMs : undefined,
    mode: String(Client.fields(content["mode"])["mode"] ?? "unknown"),
    queued: pools.reduce((sum: number, pool: unknown) => sum + numberOf(Client.fields(pool)["queued"]), 0)
  }
}

/** The first object of a search, with the age of what is known. */
const foundOf = (answer: Client.Answer): string | undefined => {
  if (answer._tag === "Refused") return undefined
  const { age_seconds: age, objects } = answer.content
  const [first] = Array.isArray(objects) ? objects : []
  const { column, name } = Client.fields(first)
  return typeof name === "string"
    ? `${name}${typeof column === "string" ? `.${column}` : ""} (as of ${numberOf(age)} s ago)`
    : undefined
}

const until = (holds: Effect.Effect<boolean>): Effect.Effect<void> =>
  Effect.flatMap(holds, (does) => (does ? Effect.void : Effect.fail("not yet"))).pipe(
    Effect.retry(Schedule.spaced(20)),
    Effect.timeoutOption(PATIENCE_MS),
    Effect.ignore
  )

const rehearse = (emulator: Emulator.Emulator, { speed, tell }: Options) =>
  Effect.gen(function* () {
    const breaker = yield* CircuitBreaker
    const retry = yield* Retry
    const ledger = yield* Ledger.make
    const transitions: Array<Summary.Seen> = []
    const submitted = Effect.map(emulator.state, ({ requests }) => requests["Submit"] ?? 0)

    // The driver is loaded, the session opened and the engine filled before the clock starts.
    const watcher = yield* Client.connect("watcher")
    for (const { input, tool } of Agents.first) yield* watcher.call(tool, input)

    const startedAt = yield* monotonicMillis
    const elapsed = Effect.map(monotonicMillis, (now) => now - startedAt)
    let phase = Outage.phases[0]?.name ?? ""
    // What a call met in a phase with faults may change the breaker after that phase.
    let settled = phase
    yield* Effect.forkScoped(
      Stream.runForEach(breaker.transitions, ({ cause, to }) =>
        Effect.map(elapsed, (atMs) => void transitions.push({ to, cause, phase: settled, atMs }))
      )
    )
    yield* Effect.yieldNow()

    const calls = yield* FiberSet.make<Client.Answer>()
    const clients = yield* Effect.forEach(Agents.agents, (agent) =>
      Effect.map(Client.connect(agent.name), (client) => ({ agent, client }))
    )
    const ask = (client: Client.Client, { input, tool }: Agents.Call) =>
      Effect.flatMap(
        Effect.suspend(() => ledger.begin(phase)),
        (ended) => Effect.tap(client.call(tool, input), ended)
      )
    const driven = clients.map(({ agent, client }) =>
      Agents.drive(agent, Math.min(speed, MOST_HURRY), (call) =>
        Effect.asVoid(FiberSet.run(calls, ask(client, call)))
      )
    )

    let before = { arrived: yield* submitted, retries: (yield* retry.status).retries }
    const moment = Effect.gen(function* () {
      const { answered, codes, failed, refused, stale } = yield* ledger.take
      const now = { arrived: yield* submitted, retries: (yield* retry.status).retries }
      const state = stateOf(yield* watcher.call("get_limits"))
      yield* tell({
        _tag: "Moment",
        atMs: yield* elapsed,
        phase,
        answered,
        stale,
        refused,
        failed,
        codes,
        ...state,
        arrived: now.arrived - before.arrived,
        retries: now.retries - before.retries
      })
      before = now
      for (const one of yield* ledger.news) yield* tell({ _tag: "Refusal", ...one })
    })
    const wrong = yield* Effect.forEach(
      clients.filter(({ client }) => client.name === Agents.mistakes.name),
      ({ client }) =>
        Effect.forEach(Agents.mistakes.calls, (call) => ask(client, call), { concurrency: "unbounded" })
    )
    const mistakes = {
      made: wrong.flat().filter(Ledger.isMistake).length,
      closed: (yield* breaker.status).phase === "closed"
    }

    const agents = yield* Effect.forkScoped(Effect.all(driven, { concurrency: "unbounded", discard: true }))
    const ticks = yield* Effect.forkScoped(
      Effect.schedule(moment, Schedule.fixed(Math.round(1_000 / Math.min(speed, MOST_HURRY))))
    )

    const settledBefore = (phase: Outage.Phase) =>
      Effect.map(
        Effect.forEach(Outage.phases.slice(0, Outage.phases.indexOf(phase)), ({ name }) =>
          ledger.inFlight(name)
        ),
        (calls) => calls.every((n) => n === 0)
      )
    const arrivals: Array<Summary.Arrived> = []
    let found: string | undefined
    for (const one of Outage.phases) {
      phase = one.name
      const [from, already] = [yield* elapsed, yield* submitted]
      if (one.faults.length > 0) settled = one.name
      else {
        yield* Effect.forkScoped(Effect.map(until(settledBefore(one)), () => void (settled = one.name)))
      }
      yield* emulator.setFaults(Outage.script([one], speed))
      yield* tell({ _tag: "Phase", name: one.name, description: one.description, atMs: from })
      yield* Effect.sleep(one.lastsMs / speed)
      if (one.name === "down") {
        yield* until(Effect.sync(() => transitions.some(({ to }) => to === "open")))
        found = foundOf(yield* watcher.call(Agents.search.tool, Agents.search.input))
        yield* tell({ _tag: "Search", query: String(Agents.search.input["query"]), found })
      }
      if (one === Outage.phases.at(-1)) yield* until(Effect.sync(() => transitions.at(-1)?.to === "closed"))
      arrivals.push({
        phase: one.name,
        fromMs: from,
        untilMs: yield* elapsed,
        statements: (yield* submitted) - already
      })
    }

    yield* Fiber.interrupt(agents)
    yield* Effect.timeoutOption(FiberSet.awaitEmpty(calls), PATIENCE_MS)
    yield* Fiber.interrupt(ticks)
    yield* moment
    const { statements } = yield* emulator.state
    return Summary.make({
      counts: yield* ledger.phases,
      unanswered: yield* ledger.inFlight(),
      mistakes,
      transitions,
      arrivals,
      retries: (yield* retry.status).retries,
      isSearchable: found !== undefined,
      leftRunning: statements.running + statements.queued
    })
  })

/**
 * Runs it from beginning to end. Everything is gone when it has ended: server, emulator, files.
 *
 * @since 0.1.0
 * @category running
 */
export const run = (options: Options) =>
  Effect.gen(function* () {
    yield* withoutProxy
    const directory = yield* temporaryDirectory
    const emulator = yield* Emulator.start({ warm: true })
    const server = Main.layer(settings(emulator.url, options.speed), {}, directory)
    const figures = yield* Effect.scoped(rehearse(emulator, options)).pipe(Effect.provide(server))
    yield* options.tell({ _tag: "Summary", ...figures })
    return figures
  }).pipe(Effect.scoped)
