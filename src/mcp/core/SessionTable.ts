/**
 * Which sessions exist, whose they are, and which of them may go: bounded in total and for each owner.
 *
 * ```
 *           begin                    idle longer than idleMs: sweep takes it
 *   idle  --------->  busy           room is needed: the owner's own idle session that was used longest
 *         <---------                 ago goes first, then the one that was used longest ago of all
 *          end (last)
 * ```
 *
 * Invariants
 * 1. `size <= maxSessions`, and no owner has more than `maxPerOwner`.
 * 2. A busy session (a call is in flight) is never evicted or swept.
 * 3. A session is found by its owner alone: for all others it does not exist.
 * 4. An owner with an idle session never evicts a session of another owner.
 *
 * A `Map` keeps the order of insertion: a session that becomes idle is put at the end. Updated in place:
 * the owner of a table must use it linearly.
 *
 * @since 0.1.0
 */

export interface Bounds {
  readonly maxSessions: number
  readonly maxPerOwner: number
  /** Milliseconds without a request after which a session is forgotten. */
  readonly idleMs: number
}

export interface Session<A> {
  readonly id: string
  readonly owner: string
  readonly value: A
  /** Calls in flight. */
  busy: number
  lastUsedMs: number
}

interface Owned<A> {
  count: number
  readonly idle: Map<string, Session<A>>
}

export interface SessionTable<A> {
  readonly bounds: Bounds
  readonly all: Map<string, Session<A>>
  readonly idle: Map<string, Session<A>>
  readonly owners: Map<string, Owned<A>>
}

/** Which bound there was no room under. */
export type Full = "owner" | "total"

export type Opening<A> =
  | { readonly _tag: "Opened"; readonly evicted: Session<A> | undefined }
  | { readonly _tag: "Full"; readonly bound: Full }

export const make = <A>(bounds: Bounds): SessionTable<A> => ({
  bounds,
  all: new Map(),
  idle: new Map(),
  owners: new Map()
})

export const size = <A>(table: SessionTable<A>): number => table.all.size

const drop = <A>(table: SessionTable<A>, session: Session<A>): void => {
  table.all.delete(session.id)
  table.idle.delete(session.id)
  const owned = table.owners.get(session.owner)
  if (owned === undefined) return
  owned.idle.delete(session.id)
  owned.count -= 1
  if (owned.count === 0) table.owners.delete(session.owner)
}

const first = <A>(sessions: Map<string, Session<A>> | undefined): Session<A> | undefined =>
  sessions?.values().next().value

/** Adds a session with one call in flight; what had to make room for it is no longer in the table. */
export const open = <A>(
  table: SessionTable<A>,
  nowMs: number,
  { id, owner, value }: { readonly id: string; readonly owner: string; readonly value: A }
): Opening<A> => {
  const owned = table.owners.get(owner)
  const ownerIsFull = (owned?.count ?? 0) >= table.bounds.maxPerOwner
  let evicted: Session<A> | undefined
  if (ownerIsFull || table.all.size >= table.bounds.maxSessions) {
    evicted = first(owned?.idle) ?? (ownerIsFull ? undefined : first(table.idle))
    if (evicted === undefined) return { _tag: "Full", bound: ownerIsFull ? "owner" : "total" }
    drop(table, evicted)
  }
  table.all.set(id, { id, owner, value, busy: 1, lastUsedMs: nowMs })
  const now = table.owners.get(owner)
  if (now === undefined) table.owners.set(owner, { count: 1, idle: new Map() })
  else now.count += 1
  return { _tag: "Opened", evicted }
}

export const find = <A>(table: SessionTable<A>, id: string, owner: string): Session<A> | undefined => {
  const session = table.all.get(id)
  return session?.owner === owner ? session : undefined
}

/** A call starts: the session stays until it has ended. */
export const begin = <A>(table: SessionTable<A>, nowMs: number, session: Session<A>): void => {
  session.busy += 1
  session.lastUsedMs = nowMs
  table.idle.delete(session.id)
  table.owners.get(session.owner)?.idle.delete(session.id)
}

/** A call has ended. Of a session that is gone this is no news. */
export const end = <A>(table: SessionTable<A>, nowMs: number, id: string): void => {
  const session = table.all.get(id)
  if (session === undefined || session.busy === 0) return
  session.busy -= 1
  session.lastUsedMs = nowMs
  if (session.busy > 0) return
  table.idle.set(id, session)
  table.owners.get(session.owner)?.idle.set(id, session)
}

export const remove = <A>(table: SessionTable<A>, id: string): Session<A> | undefined => {
  const session = table.all.get(id)
  if (session !== undefined) drop(table, session)
  return session
}

/** Takes out the sessions that were idle for too long. They are in order, so it stops at the first young one. */
export const sweep = <A>(table: SessionTable<A>, nowMs: number): ReadonlyArray<Session<A>> => {
  const expired: Array<Session<A>> = []
  for (const session of table.idle.values()) {
    if (nowMs - session.lastUsedMs < table.bounds.idleMs) break
    expired.push(session)
  }
  for (const session of expired) drop(table, session)
  return expired
}
