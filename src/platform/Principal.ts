/**
 * The caller. The transport sets it for each call; every limit is keyed by it. Nothing that a
 * client says of itself (client info, session id, headers of its own) ever ends up here.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"

/**
 * Who calls, as far as limits and rights depend on it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Principal {
  /** Stable key of the client: the unit that buckets and quotas are counted for. */
  readonly client: string
  /** Name of the tier whose limits apply. */
  readonly tier: string
  /** Present where the caller has an access token of an authorization server. */
  readonly subject?: Subject | undefined
  /** The tier is the one that the settings give the client: the credential names none. */
  readonly assigned?: boolean | undefined
  /**
   * Work of the server's own is done for this client. Limits count it apart; what it sees of the warehouse is no
   * word of another client.
   */
  readonly onBehalfOf?: string | undefined
}

/**
 * The caller as its authorization server knows it. Several may share a client.
 *
 * @since 0.1.0
 * @category models
 */
export interface Subject {
  /** The same text for the same user of the same issuer; no secret. */
  readonly id: string
  /** How the user is called, for people. */
  readonly name: string
  /** The newest access token of the caller that was proven. It is made for this server: it may be exchanged, never sent on. */
  readonly token: Effect.Effect<Redacted.Redacted<string>>
}

/**
 * A client of a tier, with the user and the token of its own where it has them.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (client: string, tier = "default", subject?: Subject): Principal =>
  subject === undefined ? { client, tier } : { client, tier, subject }

/**
 * A client on the tier that the settings give it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const assigned = (client: string, tier: string): Principal => ({ client, tier, assigned: true })

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
 * How a client or a tier may be called. Names that begin with `snowguard:` are those of the server's own work.
 *
 * @since 0.1.0
 * @category models
 */
export const namePattern = /^(?!snowguard:)[A-Za-z0-9][A-Za-z0-9._@:-]{0,127}$/i

/**
 * What {@link namePattern} allows, in words.
 *
 * @since 0.1.0
 * @category models
 */
export const nameRule =
  'at most 128 letters, digits and . _ @ : -, beginning with a letter or a digit, and not with "snowguard:"'
