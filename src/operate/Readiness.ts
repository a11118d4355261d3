/**
 * Can this server answer right now, and if not, why? For load balancers; a caller reads the same in the
 * refusal it gets.
 *
 * A warehouse that fails, or refuses the login, is no reason to go elsewhere: every server of a fleet has the
 * same one, and all would be taken out at once, with the answers that they remember. It is told beside.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as CircuitBreaker from "../guard/CircuitBreaker.js"
import * as Degradation from "../guard/Degradation.js"
import { sentence } from "../platform/core/format.js"
import type { Health } from "../quota/QuotaStore.js"
import { StoreHealth } from "../quota/QuotaStore.js"
import * as WarehouseHealth from "../warehouse/WarehouseHealth.js"

/**
 * Whether this server can answer, for a load balancer.
 *
 * @since 0.1.0
 * @category context
 */
export class Readiness extends Context.Tag("snowguard/Readiness")<
  Readiness,
  {
    /** Why the server cannot answer; none when it can. Answers at once, without any request. */
    readonly problem: Effect.Effect<Option.Option<string>>
    /** Why the warehouse is not called, although the server answers. */
    readonly impaired?: Effect.Effect<Option.Option<string>> | undefined
    /** That the logins of some callers' users are refused, while the others are served. */
    readonly refusedLogins?: Effect.Effect<Option.Option<string>> | undefined
  }
>() {}

/** A store that is lost and of which calls still have a share is no reason to go elsewhere. */
const storeProblem = ({ lasting, reason, refusing }: Health): Option.Option<string> =>
  refusing === true
    ? Option.some(
        "the quota store is out of reach, and calls are refused without it: " +
          `${sentence(reason ?? "it does not answer")} ` +
          (lasting === true ? "An operator has to mend it" : "It is tried again every few seconds")
      )
    : Option.none()

/** Only decisions of an operator: a mode that the signals ask for may be over before traffic has moved. */
const pinProblem = ({ mode, signal }: Degradation.Status): Option.Option<string> =>
  signal === "operator" && (mode === "cache-only" || mode === "emergency")
    ? Option.some(
        `an operator has pinned the mode ${mode}, in which every query is refused; to end it: snowguard admin ladder unpin`
      )
    : Option.none()

/** A latched login is told first: while no login is tried, the circuit counts nothing. */
const warehouseProblem = (
  { latched }: WarehouseHealth.Status,
  { cause, phase }: CircuitBreaker.Status
): Option.Option<string> => {
  // While some users are refused, the others are served.
  if (latched !== undefined && latched.onlySome !== true) {
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
      return Option.none()
  }
}

/** Without names: everybody may ask whether the server is ready. */
const loginProblem = ({ latched, latchedUsers = 0 }: WarehouseHealth.Status): Option.Option<string> =>
  latched?.onlySome === true && latchedUsers > 0
    ? Option.some(
        `the login of ${latchedUsers} ${latchedUsers === 1 ? "user" : "users"} to the warehouse was refused; callers with ` +
          "other users are served"
      )
    : Option.none()

/**
 * Ready while the circuit, the mode, the login and the store of the context let calls through.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.gen(function* () {
  const breaker = yield* CircuitBreaker.CircuitBreaker
  const degradation = yield* Degradation.Degradation
  const health = yield* WarehouseHealth.statusIfAny
  const store = yield* StoreHealth
  return Readiness.of({
    problem: Effect.gen(function* () {
      const ofStore = storeProblem(yield* store.status)
      return Option.firstSomeOf([ofStore, pinProblem(yield* degradation.status)])
    }),
    impaired: Effect.gen(function* () {
      return warehouseProblem(yield* health, yield* breaker.status)
    }),
    refusedLogins: Effect.map(health, loginProblem)
  })
})

/**
 * Ready while the circuit, the mode, the login and the store of the context let calls through.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Readiness, never, CircuitBreaker.CircuitBreaker | Degradation.Degradation> =
  Layer.effect(Readiness, make)

/**
 * Always ready, whatever the services say.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerNoop: Layer.Layer<Readiness> = Layer.succeed(Readiness, { problem: Effect.succeedNone })
