/**
 * The caller. The transport sets it for each call; every limit is keyed by it. Nothing that a
 * client says of itself (client info, session id, headers of its own) ever ends up here.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"

/**
 * @since 0.1.0
 * @category models
 */
export interface Principal {
  /** Stable key of the client: the unit that buckets and quotas are counted for. */
  readonly client: string
  /** Name of the tier whose limits apply. */
  readonly tier: string
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (client: string, tier = "default"): Principal => ({ client, tier })

/**
 * The principal of the current call; `local` on the default tier until a transport says otherwise.
 *
 * @since 0.1.0
 * @category context
 */
export class CurrentPrincipal extends Context.Reference<CurrentPrincipal>()(
  "snowguard/Principal/CurrentPrincipal",
  {
    defaultValue: () => make("local")
  }
) {}

/**
 * How a client or a tier may be called.
 *
 * @since 0.1.0
 * @category models
 */
export const namePattern = /^[A-Za-z0-9][A-Za-z0-9._@:-]{0,127}$/
