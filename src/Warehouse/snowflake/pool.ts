/**
 * The sessions: few, each for one place (role, warehouse, database, schema), shared by the statements that
 * run there.
 *
 * ```
 * acquire --latched?--> refused at once, with the reason of the first refusal
 *    |
 *    +-- a session for the place, alive --> one of its slots --> statement --> slot back
 *    +-- none, room left ---------------> log in (one login at a time; all who want the place wait for it)
 *    +-- none, no room -----------------> the idle one used longest ago leaves; all busy: wait for one
 * ```
 *
 * Whatever is waited for here (a session, the turn to log in, a slot of a session) is waited for fairly between
 * clients and not for long: who waited in vain is refused, and nothing was sent for him. A login that is under
 * way takes as long as it takes.
 *
 * Invariants
 * 1. At most `maxSessions` sessions and logins; at most `maxPerSession` statements in each.
 * 2. Statements share a session only if their whole place is the same: no role ever borrows another's.
 * 3. After a login that was refused for who we are, no other login is tried before `latchMs` have passed: an
 *    account locks after a few. Then one is.
 * 4. A session that was lost is not handed out again, and is closed when its last statement ends.
 * 5. A caller that leaves takes nobody else's login away; a login that nobody waits for any more is not begun.
 * 6. Between two logins of one client each other client that wants one gets a turn.
 * 7. When the scope has closed there is no session left, or it did not answer in time.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Scope from "effect/Scope"
import { monotonicMillis } from "../../internal/monotonic.js"
import * as SlotPool from "../../internal/slotPool.js"
import { WarehouseError } from "../../Warehouse.js"
import type { Request } from "./turns.js"
import * as Turns from "./turns.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<Place, Session> {
  readonly key: (place: Place) => string
  readonly open: (place: Place) => Effect.Effect<Session, WarehouseError>
  readonly close: (session: Session) => Effect.Effect<void>
  /** Asked before a session is used that was idle for {@link Options.idleMs}. */
  readonly lives: (session: Session) => Effect.Effect<boolean>
  readonly maxSessions: number
  readonly maxPerSession: number
  readonly idleMs: number
  readonly latch: Latch
}

/**
 * Whether logins are tried, and who is told how they end.
 *
 * @since 0.1.0
 * @category models
 */
export interface Latch {
  /** Fails while none is to be tried. */
  readonly login: Effect.Effect<void, WarehouseError>
  readonly loginFailed: (error: WarehouseError) => Effect.Effect<void>
  readonly loginAccepted: Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Lease<Session> {
  readonly session: Session
  /** The session is not to be used by anybody else. */
  readonly lost: Effect.Effect<void>
}

interface Slot<Session> {
  readonly key: string
  readonly opened: Deferred.Deferred<Session, WarehouseError>
  readonly slots: SlotPool.SlotPool<"session", WarehouseError>
  /** Leases, and callers that wait for the login or for a slot. */
  users: number
  usedAt: number
  lost: boolean
  session: Session | undefined
}

/** A guess at when somebody is done, milliseconds. */
const BUSY_RETRY_MS = 2_000

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = <Place, Session>(options: Options<Place, Session>) =>
  Effect.gen(function* () {
    const current = new Map<string, Slot<Session>>()
    const all = new Set<Slot<Session>>()
    const { latch } = options
    let closed = false

    const { wait, wake } = Turns.make(
      Turns.busy(`All ${options.maxSessions} sessions are busy with other statements`, BUSY_RETRY_MS)
    )

    /** Out of the count at once; leaving the server is what is returned. */
    const detach = (slot: Slot<Session>): Effect.Effect<void> => {
      if (current.get(slot.key) === slot) current.delete(slot.key)
      all.delete(slot)
      const { session } = slot
      slot.session = undefined
      return session === undefined ? Effect.void : options.close(session)
    }

    // Added first, so closed last: the logins below have ended by then.
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        closed = true
        return Effect.forEach([...all], detach, { concurrency: "unbounded", discard: true })
      })
    )
    const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
    const slots = <Pool>(pool: Pool, permits: number, what: string) =>
      Scope.extend(
        SlotPool.make(pool, { permits, ...Turns.unbounded }, ({ retryAfterMs }) =>
          Turns.busy(what, retryAfterMs)
        ),
        scope
      )
    // One at a time, so that a password that is wrong is tried once and not once for each place.
    const logins = yield* slots("login", 1, "Others are logging in, one after another")

    /** Nobody has to wait for the farewell; a session that is in use is left by its last user. */
    const remove = (slot: Slot<Session>): Effect.Effect<void> =>
      Effect.suspend(() => {
        slot.lost = true
        if (current.get(slot.key) === slot) current.delete(slot.key)
        return slot.users > 0
          ? Effect.void
          : Effect.zipRight(Effect.forkIn(Effect.uninterruptible(detach(slot)), scope), wake)
      })

    const tryLogin = (slot: Slot<Session>, place: Place) =>
      // Those who wanted it have gone while others logged in.
      Effect.suspend(() => (slot.users === 0 ? Effect.fail(gone) : latch.login)).pipe(
        Effect.zipRight(options.open(place)),
        Effect.tapBoth({ onFailure: latch.loginFailed, onSuccess: () => latch.loginAccepted })
      )

    const logIn = (slot: Slot<Session>, place: Place, who: Request): Effect.Effect<void> =>
      Effect.acquireUseRelease(
        logins.acquire({ ...who, weight: 1 }),
        () => tryLogin(slot, place),
        logins.release
      ).pipe(
        Effect.onExit((exit) =>
          Effect.flatMap(monotonicMillis, (now) => {
            if (Exit.isSuccess(exit)) {
              slot.session = exit.value
              slot.usedAt = now
              const opened = Deferred.succeed(slot.opened, exit.value)
              // Everybody has left, and its place was given to another.
              return all.has(slot) ? opened : Effect.zipRight(opened, detach(slot))
            }
            const failed = Exit.isInterrupted(exit) ? Exit.fail(gone) : exit
            return detach(slot).pipe(
              Effect.zipRight(Deferred.done(slot.opened, failed)),
              Effect.zipRight(wake)
            )
          })
        ),
        Effect.exit,
        Effect.asVoid
      )

    const add = (place: Place, key: string, now: number, who: Request): Effect.Effect<Slot<Session>> =>
      Effect.flatMap(slots("session" as const, options.maxPerSession, "Its session is busy"), (slots) => {
        const slot: Slot<Session> = {
          key,
          opened: Deferred.unsafeMake(FiberId.none),
          slots,
          users: 1,
          usedAt: now,
          lost: false,
          session: undefined
        }
        current.set(key, slot)
        all.add(slot)
        // Who claims cannot be interrupted; the login they all wait for must be.
        return Effect.as(Effect.forkIn(Effect.interruptible(logIn(slot, place, who)), scope), slot)
      })

    const idlest = (): Slot<Session> | undefined => {
      let found: Slot<Session> | undefined
      for (const slot of current.values()) {
        if (slot.users === 0 && (found === undefined || slot.usedAt < found.usedAt)) found = slot
      }
      return found
    }

    /** The slot for a place, counted as used; waits while every session is busy elsewhere. */
    const claim = (place: Place, who: Request, until: number): Effect.Effect<Slot<Session>, WarehouseError> =>
      Effect.flatMap(monotonicMillis, (now) => {
        if (closed) return Effect.fail(gone)
        const key = options.key(place)
        const found = current.get(key)
        if (found !== undefined && !found.lost) {
          found.users += 1
          return Effect.succeed(found)
        }
        const left = { ...who, maxWaitMs: until - now }
        if (all.size < options.maxSessions) return add(place, key, now, left)
        const oldest = idlest()
        if (oldest === undefined) return Effect.zipRight(wait(left), claim(place, who, until))
        return Effect.zipRight(
          Effect.forkIn(Effect.uninterruptible(detach(oldest)), scope),
          add(place, key, now, left)
        )
      })

    const release = (slot: Slot<Session>): Effect.Effect<void> =>
      Effect.flatMap(monotonicMillis, (now) => {
        slot.users -= 1
        slot.usedAt = now
        if (slot.users > 0) return Effect.void
        return slot.lost ? remove(slot) : wake
      })

    /** Idle for long: the server may have ended it. Only the first to come back asks. */
    const fresh = (slot: Slot<Session>, session: Session): Effect.Effect<boolean> =>
      Effect.flatMap(monotonicMillis, (now) => {
        if (slot.lost) return Effect.succeed(false)
        if (now - slot.usedAt < options.idleMs) return Effect.succeed(true)
        slot.usedAt = now
        return Effect.tap(options.lives(session), (alive) => (alive ? Effect.void : remove(slot)))
      })

    const lease = (slot: Slot<Session>) =>
      Effect.flatMap(Deferred.await(slot.opened), (session) =>
        Effect.map(fresh(slot, session), (alive) => (alive ? { slot, session } : undefined))
      )

    /**
     * A session for the place and one of its slots, until the scope closes.
     */
    const acquire = (
      place: Place,
      who: Request
    ): Effect.Effect<Lease<Session>, WarehouseError, Scope.Scope> =>
      Effect.zipRight(
        latch.login,
        Effect.gen(function* () {
          const until = (yield* monotonicMillis) + who.maxWaitMs
          const slot = yield* Effect.acquireRelease(claim(place, who, until), release)
          const leased = yield* Effect.interruptible(lease(slot))
          // It had died of age: one more time, with a session that is new.
          if (leased === undefined) return yield* Effect.suspend(() => acquire(place, who))
          yield* Effect.acquireRelease(slot.slots.acquire({ ...who, weight: 1 }), slot.slots.release)
          return { session: leased.session, lost: remove(slot) }
        })
      )

    return {
      acquire,
      /** Sessions open or being opened. */
      size: Effect.sync(() => all.size)
    }
  })

const gone = new WarehouseError({
  reason: "Unreachable",
  description: "The server is shutting down.",
  sent: "no"
})
