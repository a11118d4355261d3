/**
 * Decides which fault strikes a request, and holds the script in force of a running emulator: what it has done so
 * far, and when the listener is to be closed and opened.
 *
 * Chance is a hash of the seed, of the fault's place in the script and of how many requests it has applied
 * to so far, not a shared stream: the n-th query meets the same fate whatever logins, polls and heartbeats
 * happen in between, so a run can be repeated although requests race.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import type * as Scope from "effect/Scope"
import { monotonicMillis } from "../platform/monotonic.js"
import type { Delay, Fault, FaultScript, Where } from "./FaultScript.js"

/**
 * What a fault may look at.
 */
export interface Request {
  readonly where: Exclude<Where, "any"> | "other"
  /** A statement that is new and needs a running warehouse. */
  readonly usesWarehouse: boolean
  /** The statement's text, when the request belongs to one. */
  readonly sql?: string | undefined
}

interface State {
  readonly seed: number
  /** By the place in the script: requests that the fault applied to, and those that it struck. */
  readonly counters: ReadonlyArray<{ readonly seen: number; readonly struck: number }>
}

export interface Decision {
  readonly delayMs: number
  readonly fault: Exclude<Fault, { readonly kind: "latency" | "refused" }> | undefined
}

export const initial = (script: FaultScript, seed: number): State => ({
  seed: script.seed ?? seed,
  counters: script.faults.map(() => ({ seen: 0, struck: 0 }))
})

/** A number in [0, 1) that depends on every part. */
const draw = (...parts: ReadonlyArray<number>): number => {
  let hash = 0x9e3779b9
  for (const part of parts) {
    hash = Math.imul(hash ^ (part | 0), 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
    hash = (hash ^ (hash >>> 16)) + 0x6d2b79f5
  }
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39)
  return ((hash ^ (hash >>> 15)) >>> 0) / 0x1_0000_0000
}

/** The quantile of the 99th percentile of the standard normal distribution. */
const z99 = 2.3263478740408408

/**
 * The delay for two numbers in [0, 1).
 */
const sample = (delay: Delay, first: number, second: number): number => {
  if ("ms" in delay) return delay.ms
  if ("minMs" in delay) return delay.minMs + (delay.maxMs - delay.minMs) * first
  const normal = Math.sqrt(-2 * Math.log(1 - first)) * Math.cos(2 * Math.PI * second)
  const sigma = Math.log(delay.p99Ms / delay.medianMs) / z99
  return delay.medianMs * Math.exp(sigma * normal)
}

const within = (fault: Fault, elapsedMs: number): boolean =>
  elapsedMs >= (fault.fromMs ?? 0) && elapsedMs < (fault.untilMs ?? Number.POSITIVE_INFINITY)

const isQuery = (where: Request["where"]): boolean => where === "query" || where === "poll"

const withToken = new Set<Request["where"]>(["query", "poll", "heartbeat", "abort", "monitor"])

const isRefusable = (where: Request["where"]): boolean =>
  where !== "chunk" && where !== "token" && where !== "other"

const isAbout = (sql: string | undefined, request: Request): boolean =>
  sql === undefined || request.sql?.toUpperCase().includes(sql.toUpperCase()) === true

const applies = (fault: Exclude<Fault, { readonly kind: "refused" }>, request: Request): boolean => {
  if (!isAbout(fault.sql, request)) return false
  switch (fault.kind) {
    case "badPassword":
      return request.where === "login"
    case "corruptGzip":
    case "part":
      return request.where === "chunk"
    case "answer":
      return isQuery(request.where)
    case "suspendedWarehouse":
    case "resourceMonitor":
    case "queueTimeout":
    case "largeParts":
      return request.usesWarehouse
    default: {
      const where = fault.where ?? "any"
      if (fault.kind === "expiredSession" && !withToken.has(request.where)) return false
      if (fault.kind === "refusal" && !isRefusable(request.where)) return false
      if (fault.kind === "inProgress" && !isQuery(request.where)) return false
      return where === "any" || where === request.where || (where === "query" && request.where === "poll")
    }
  }
}

export const decide = (
  script: FaultScript,
  state: State,
  elapsedMs: number,
  request: Request
): readonly [Decision, State] => {
  const counters = [...state.counters]
  let delayMs = 0
  let struck: Decision["fault"]
  script.faults.forEach((fault, index) => {
    if (fault.kind === "refused" || !within(fault, elapsedMs) || !applies(fault, request)) return
    if (struck !== undefined && fault.kind !== "latency") return
    const counter = counters[index] ?? { seen: 0, struck: 0 }
    if (counter.struck >= (fault.count ?? Number.POSITIVE_INFINITY)) return
    const chance = fault.probability ?? 1
    const strikes = chance >= 1 || draw(state.seed, index, counter.seen, 0) < chance
    counters[index] = { seen: counter.seen + 1, struck: counter.struck + (strikes ? 1 : 0) }
    if (!strikes) return
    if (fault.kind === "latency") {
      delayMs += sample(
        fault.delay,
        draw(state.seed, index, counter.seen, 1),
        draw(state.seed, index, counter.seen, 2)
      )
    } else struck = fault
  })
  return [
    { delayMs, fault: struck },
    { seed: state.seed, counters }
  ]
}

/**
 * Whether the port is listened on.
 */
export const listening = (script: FaultScript, elapsedMs: number): boolean =>
  !script.faults.some((fault) => fault.kind === "refused" && within(fault, elapsedMs))

/**
 * The next moment at which {@link listening} may change; undefined when it will not.
 */
export const nextChange = (script: FaultScript, elapsedMs: number): number | undefined => {
  const edges = script.faults
    .filter((fault) => fault.kind === "refused")
    .flatMap((fault) => [fault.fromMs ?? 0, fault.untilMs ?? Number.POSITIVE_INFINITY])
    .filter((edge) => edge > elapsedMs && Number.isFinite(edge))
  return edges.length === 0 ? undefined : Math.min(...edges)
}

interface Installed {
  readonly script: FaultScript
  readonly state: State
  readonly installedAt: number
  /** Done when another script takes the place of this one. */
  readonly replaced: Deferred.Deferred<void>
}

export interface FaultGate {
  readonly decide: (request: Request) => Effect.Effect<Decision>
  readonly install: (script: FaultScript) => Effect.Effect<void>
  /** The script, how long it has been in force, and how often each of its faults has struck. */
  readonly status: Effect.Effect<{
    readonly script: FaultScript
    readonly elapsedMs: number
    readonly struck: ReadonlyArray<number>
    readonly listening: boolean
  }>
  /** Calls `apply` whenever the listener has to be closed or opened, until it is interrupted. */
  readonly follow: (apply: (listening: boolean) => Effect.Effect<void>) => Effect.Effect<never>
}

export const make = (script: FaultScript, seed: number): Effect.Effect<FaultGate, never, Scope.Scope> =>
  Effect.gen(function* () {
    const fresh = (script: FaultScript) =>
      Effect.gen(function* () {
        const installed: Installed = {
          script,
          state: initial(script, seed),
          installedAt: yield* monotonicMillis,
          replaced: yield* Deferred.make<void>()
        }
        return installed
      })
    const ref = yield* Ref.make(yield* fresh(script))

    return {
      decide: (request) =>
        Effect.flatMap(monotonicMillis, (now) =>
          Ref.modify(ref, (current) => {
            const elapsed = now - current.installedAt
            const [decision, state] = decide(current.script, current.state, elapsed, request)
            return [decision, { ...current, state }]
          })
        ),
      install: (script) =>
        Effect.flatMap(fresh(script), (installed) =>
          Effect.flatMap(Ref.getAndSet(ref, installed), (before) =>
            Deferred.succeed(before.replaced, undefined)
          )
        ),
      status: Effect.gen(function* () {
        const { installedAt, script, state } = yield* Ref.get(ref)
        const elapsedMs = (yield* monotonicMillis) - installedAt
        return {
          script,
          elapsedMs: Math.round(elapsedMs),
          struck: state.counters.map((counter) => counter.struck),
          listening: listening(script, elapsedMs)
        }
      }),
      follow: (apply) =>
        Effect.gen(function* () {
          const { installedAt, replaced, script } = yield* Ref.get(ref)
          const elapsed = (yield* monotonicMillis) - installedAt
          yield* apply(listening(script, elapsed))
          const next = nextChange(script, elapsed)
          const change = next === undefined ? Effect.never : Effect.sleep(Math.max(1, next - elapsed))
          yield* Effect.raceFirst(Deferred.await(replaced), change)
        }).pipe(Effect.forever)
    }
  })
