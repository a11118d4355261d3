/**
 * Can this server do its work right now, and if not, why? For load balancers; a caller reads the same in
 * the refusal it gets.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as CircuitBreaker from "./CircuitBreaker.js"
import { sentence } from "./internal/errorWords.js"
import * as WarehouseHealth from "./WarehouseHealth.js"

/**
 * @since 0.1.0
 * @category context
 */
export class Readiness extends Context.Tag("snowguard/Readiness")<
  Readiness,
  {
    /** Why the server cannot do its work; none when it can. Answers at once and contacts nobody. */
    readonly problem: Effect.Effect<Option.Option<string>>
  }
>() {}

/** The circuit's word goes last: while no login is tried, nothing that it counts happens. */
const problemOf = (
  { latched }: WarehouseHealth.Status,
  { cause, phase }: CircuitBreaker.Status
): Option.Option<string> => {
  if (latched !== undefined) {
    const seconds = Math.ceil(latched.nextLoginInMs / 1000)
    return Option.some(
      `the login to the warehouse was refused: ${sentence(latched.reason)} The next one is tried in ${seconds} seconds`
    )
  }
  switch (phase) {
    case "open":
      return Option.some(
        `the warehouse is failing: the circuit is open${cause === undefined ? "" : ` (${cause})`}`
      )
    case "forced-open":
      return Option.some("an operator holds the circuit open")
    default:
      // Half-open is ready: without calls nobody would find out that the warehouse is back.
      return Option.none()
  }
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.gen(function* () {
  const breaker = yield* CircuitBreaker.CircuitBreaker
  const health = yield* WarehouseHealth.statusIfAny
  return Readiness.of({ problem: Effect.zipWith(health, breaker.status, problemOf) })
})

/**
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Readiness, never, CircuitBreaker.CircuitBreaker> = Layer.effect(
  Readiness,
  make
)

/**
 * Always ready.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerNoop: Layer.Layer<Readiness> = Layer.succeed(Readiness, { problem: Effect.succeedNone })
