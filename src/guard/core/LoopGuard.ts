/**
 * Calls that fail the same way again and again are answered from memory for a while.
 *
 * Invariants
 * 1. A key is blocked only after `failures` real failures of the same kind within `windowMs`, one after another, without
 *    a success or another kind of failure between them: calls that were under way together failed once.
 * 2. It is blocked until exactly `windowMs` after the last of them; refusals prolong nothing.
 * 3. Keys are compared in full: two statements are never taken for one.
 * 4. The memory is bounded in entries and in bytes (`Lru`). A call whose entry was evicted is admitted.
 *
 * Updated in place, for one owner.
 *
 * @since 0.1.0
 */
import * as Lru from "../../platform/core/Lru.js"

export interface Config {
  /** Failures of the same kind after which a key is blocked, >= 1. */
  readonly failures: number
  readonly windowMs: number
}

/** A failure that will come again when the same is tried again. */
export interface Failure {
  /** Equal for failures of the same kind. */
  readonly kind: string
}

interface Trouble<F> {
  /** The latest. */
  readonly failure: F
  /** When the last `failures` of its kind happened, oldest first; all within `windowMs` of the latest. */
  readonly times: ReadonlyArray<number>
  /** Failures of its kind in a row, real ones only. */
  readonly attempts: number
}

export type State<F extends Failure> = Lru.Lru<Trouble<F>>

export interface Blocked<F> {
  readonly failure: F
  readonly attempts: number
  readonly retryAfterMs: number
}

export const make = <F extends Failure>(bounds: Lru.Bounds): State<F> => Lru.make(bounds)

const lastOf = (times: ReadonlyArray<number>): number => times[times.length - 1] ?? Number.NEGATIVE_INFINITY

/** What to answer instead of trying; undefined when the call may be tried. */
export const check = <F extends Failure>(
  state: State<F>,
  now: number,
  config: Config,
  key: string
): Blocked<F> | undefined => {
  const trouble = Lru.get(state, key)
  if (trouble === undefined) return undefined
  const left = lastOf(trouble.times) + config.windowMs - now
  if (left <= 0) {
    Lru.remove(state, key)
    return undefined
  }
  return trouble.times.length < config.failures
    ? undefined
    : { failure: trouble.failure, attempts: trouble.attempts, retryAfterMs: Math.ceil(left) }
}

/** The call was tried, from `begunAt` on, and failed in a way that will come again. */
export const failed = <F extends Failure>(
  state: State<F>,
  at: number,
  config: Config,
  key: string,
  failure: F,
  bytes: number,
  begunAt = at
): void => {
  const known = Lru.get(state, key)
  const before = known?.failure.kind === failure.kind ? known : undefined
  // It was under way when the last one was answered, and could not be changed for that.
  if (before !== undefined && begunAt < lastOf(before.times)) return
  const now = Math.max(at, lastOf(before?.times ?? []))
  const recent = (before?.times ?? []).filter((time) => now - time < config.windowMs)
  const attempts = recent.length === 0 ? 1 : (before?.attempts ?? 0) + 1
  Lru.set(state, key, { failure, attempts, times: [...recent, now].slice(-config.failures) }, bytes)
}

/** The call was tried and worked. */
export const succeeded = <F extends Failure>(state: State<F>, key: string): void => {
  Lru.remove(state, key)
}

/** What is known of a client without its statements. Milliseconds. */
interface Client {
  /** Until then one of its failures may be remembered ... */
  readonly failedUntil: number
  /** ... and one of its statements may be blocked. */
  readonly blockedUntil: number
}

/** In the order of their latest failure. */
export type Clients = Map<string, Client>

export const makeClients = (): Clients => new Map()

export const mayHaveFailed = (clients: Clients, now: number, client: string): boolean =>
  (clients.get(client)?.failedUntil ?? Number.NEGATIVE_INFINITY) > now

export const mayBeBlocked = (clients: Clients, now: number, client: string): boolean =>
  (clients.get(client)?.blockedUntil ?? Number.NEGATIVE_INFINITY) > now

/** A call of the client has failed; `blockedMs`: for how long its statement is blocked now, 0 if it is not. */
export const clientFailed = (
  clients: Clients,
  now: number,
  { maxEntries, windowMs }: { readonly windowMs: number; readonly maxEntries: number },
  client: string,
  blockedMs: number
): void => {
  const blockedUntil = Math.max(clients.get(client)?.blockedUntil ?? now, now + blockedMs)
  clients.delete(client)
  clients.set(client, { failedUntil: now + windowMs, blockedUntil })
  for (const [oldest, { failedUntil }] of clients) {
    if (failedUntil > now && clients.size <= maxEntries) break
    clients.delete(oldest)
  }
}
