import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type { Reason } from "../warehouse/Warehouse.js"
import { WarehouseError } from "../warehouse/Warehouse.js"

const outages: { readonly [R in Reason]: string | undefined } = {
  Unreachable: "the warehouse cannot be reached",
  Overloaded: "the warehouse is overloaded",
  Protocol: "the warehouse gave an answer that makes no sense",
  ServerFault: "the warehouse reported an internal error",
  SessionLost: "the session with the warehouse was lost",
  LoginUnavailable: "the login to the warehouse cannot be made now",
  InvalidStatement: undefined,
  NotFound: undefined,
  Permission: undefined,
  StatementTimeout: undefined,
  ResourcesExceeded: undefined,
  Cancelled: undefined,
  ResultExpired: undefined,
  Authentication: undefined,
  Configuration: undefined,
  Unavailable: undefined,
  Unknown: undefined
}

/**
 * The outage of the warehouse that an error tells of, in words; none where the caller, or something that
 * waiting does not mend, is the reason. Told by their tags, since most of these errors belong to services
 * that stand above those that ask.
 */
export const outageOf = (error: unknown): Option.Option<string> => {
  if (error instanceof WarehouseError) return Option.fromNullable(outages[error.reason])
  if (Predicate.isTagged(error, "CircuitOpen")) return Option.some("the circuit to the warehouse is open")
  if (Predicate.isTagged(error, "Degraded")) {
    const why = Predicate.hasProperty(error, "why") ? String(error.why) : "no reason given"
    return Option.some(`the server is in a reduced mode: ${why}`)
  }
  return Predicate.isTagged(error, "DeadlineExceeded") &&
    Predicate.hasProperty(error, "of") &&
    error.of === "attempt"
    ? Option.some("the warehouse did not answer in time")
    : Option.none()
}
