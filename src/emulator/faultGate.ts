/**
 * The faults of a running emulator: the script in force, what it has done so far, and the listener that
 * it closes and opens.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import type * as Scope from "effect/Scope"
import { monotonicMillis } from "../platform/monotonic.js"
import type { FaultScript } from "./FaultScript.js"
import type { Decision, Request, State } from "./faults.js"
import * as Faults from "./faults.js"

interface Installed {
  readonly script: FaultScript
  readonly state: State
  readonly installedAt: number
  /** Done when another script takes the place of this one. */
  readonly replaced: Deferred.Deferred<void>
}

/**
 * @since 0.1.0
 * @category models
 */
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

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (script: FaultScript, seed: number): Effect.Effect<FaultGate, never, Scope.Scope> =>
  Effect.gen(function* () {
    const fresh = (script: FaultScript) =>
      Effect.gen(function* () {
        const installed: Installed = {
          script,
          state: Faults.initial(script, seed),
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
            const [decision, state] = Faults.decide(current.script, current.state, elapsed, request)
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
          listening: Faults.listening(script, elapsedMs)
        }
      }),
      follow: (apply) =>
        Effect.gen(function* () {
          const { installedAt, replaced, script } = yield* Ref.get(ref)
          const elapsed = (yield* monotonicMillis) - installedAt
          yield* apply(Faults.listening(script, elapsed))
          const next = Faults.nextChange(script, elapsed)
          const change = next === undefined ? Effect.never : Effect.sleep(Math.max(1, next - elapsed))
          yield* Effect.raceFirst(Deferred.await(replaced), change)
        }).pipe(Effect.forever)
    }
  })
