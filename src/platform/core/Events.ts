/**
 * What happens to a server that its operators want to be told of. Events name clients, quotas and settings; none holds
 * a statement or a secret.
 *
 * @since 0.1.0
 */

/**
 * @since 0.1.0
 * @category models
 */
export const names = [
  "circuit_opened",
  "circuit_closed",
  "mode_changed",
  "quota_80",
  "quota_100",
  "login_refused",
  "login_accepted",
  "store_lost",
  "store_found",
  "config_refused",
  "client_looping"
] as const
/**
 * @since 0.1.0
 * @category models
 */
export type Name = (typeof names)[number]

/**
 * @since 0.1.0
 * @category models
 */
export interface Event {
  readonly event: Name
  /** What it is about, beside its kind: what is limited in time is each kind of each subject. */
  readonly subject: string
  readonly severity: "critical" | "warning" | "info"
  /** One line for people. */
  readonly text: string
  readonly details: { readonly [name: string]: string | number | ReadonlyArray<string> }
}
