/**
 * As whom a session logs in: the caller's identity in the account, with the source of its credential. The part of it
 * without a secret is the port's `Acting`.
 */
import type * as Effect from "effect/Effect"
import type { Acting, WarehouseError } from "../Warehouse.js"
import type { Login, Price } from "./auth.js"

export interface Identity extends Acting {
  /** Read anew for each login, so that a credential that was exchanged is used. */
  readonly login: Effect.Effect<Login, WarehouseError>
  /** What its logins cost. */
  readonly price: Price
  /**
   * Of a short-lived token that another credential was exchanged for: a text that is the same while that credential
   * is. A refused login is held against it, and not against the token.
   */
  readonly credential?: Effect.Effect<string> | undefined
  /** The token is not to be used again: the account says that it has ended. */
  readonly forget?: ((used: Login) => Effect.Effect<void>) | undefined
  /** The account refuses whom the token stands for: it is of no use to renew it. */
  readonly refused?: Effect.Effect<void> | undefined
}
