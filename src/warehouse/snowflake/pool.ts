/**
 * The sessions: few, each for one place (owner, role, warehouse, database, schema), shared by the statements that
 * run there.
 *
 * ```
 * acquire
 *    +-- a session for the place, alive --> one of its slots --> statement --> slot back
 *    +-- none, the login is latched ----> refused at once, with the reason of the first refusal
 *    +-- none, room left ---------------> log in (one login of an owner at a time; all callers of the place wait)
 *    +-- none, no room -----------------> the idle one used longest ago leaves; all busy: wait for one
 *    +-- none, and a login needs a person ------> the lane's session is moved to the place
 * ```
 *
 * A login that a person has to approve, or whose code is good for once, is made once for each lane (role). Its
 * session is moved from one place to another when no statement runs in it. While a caller waits for that, callers
 * of the place where it is wait too: no place keeps it for ever.
 *
 * Whatever is waited for here (a session, the turn to log in, a slot of a session) is waited for fairly between
 * clients and not for long: a caller that waited in vain is refused, and nothing was sent. A login that is under
 * way takes as long as it takes, and goes on when its callers have left.
 *
 * Invariants
 * 1. At most `maxSessions` sessions and logins, `maxPerOwner` of them of one owner, beside the sessions that are leaving;
 *    at most `maxPerSession` statements in each. A login that has begun counts until it has ended, also when its callers have left.
 * 2. Statements share a session only if their whole place is the same: no role ever borrows another's.
 * 3. No login is tried that `mayOpen` refuses; sessions that live are not concerned.
 * 4. A session that was lost is not handed out again, and is closed when its last statement ends.
 * 5. A caller that leaves does not end the login of others; a login without a waiting caller is not begun.
 * 6. Between two logins of one client each other client that wants one gets a turn.
 * 7. A session that is idle for `leaveMs` is closed.
 * 8. When the scope has closed there is no session left, or it did not answer in time.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { expected } from "../../platform/expected.js"
import { monotonicMillis, monotonicReader, withNow } from "../../platform/monotonic.js"
import * as SlotPool from "../../platform/slotPool.js"
import { WarehouseError } from "../Warehouse.js"
import type { Request } from "./turns.js"
import * as Turns from "./turns.js"

export interface Options<Place, Session> {
  readonly key: (place: Place) => string
  /** Whose sessions those of a place are: the user that logs in. One owner for all when absent. */
  readonly owner?: ((place: Place) => string) | undefined
  readonly open: (place: Place) => Effect.Effect<Session, WarehouseError>
  /** Fails while no login is to be tried for the place. Asked before a login is waited for. */
  readonly mayOpen: (place: Place) => Effect.Effect<void, WarehouseError>
  /** Present where some logins are to be saved. */
  readonly lanes?: Lanes<Place, Session> | undefined
  readonly close: (session: Session) => Effect.Effect<void>
  /** Asked before a session is used that was idle for {@link Options.idleMs}. */
  readonly lives: (session: Session) => Effect.Effect<boolean>
  readonly maxSessions: number
  /** Sessions and logins of the owner of a place; as many as there are when absent. */
  readonly maxPerOwner?: ((place: Place) => number) | undefined
  readonly maxPerSession: number
  readonly idleMs: number
  /** Idle milliseconds after which a session is closed; never when absent. Not those whose logins are to be saved. */
  readonly leaveMs?: ((place: Place) => number | undefined) | undefined
}

/**
 * Places that one session may serve, one after another.
 */
interface Lanes<Place, Session> {
  /** Undefined where logins need not be saved. */
  readonly of: (place: Place) => string | undefined
  /** The session is where it was, or somewhere between, when this fails. */
  readonly move: (session: Session, place: Place) => Effect.Effect<void, WarehouseError>
}

export interface Lease<Session> {
  readonly session: Session
  /** The session is not to be used again. */
  readonly lost: Effect.Effect<void>
  /** The slot is the next one's. Once. */
  readonly release: Effect.Effect<void>
}

export interface Status {
  /** Sessions that are open or being opened. */
  readonly open: number
  /** Sessions whose logout is under way: they are out of the pool, and the account may still have them. */
  readonly leaving: number
}

export interface Caller extends Request {
  /** Present where a person has to approve the login. */
  readonly patience?: Patience | undefined
}

interface Patience {
  /** Milliseconds to wait for that. */
  readonly ms: number
  /** Told when it has to be waited for. */
  readonly onWait: Effect.Effect<void> | undefined
  /** What a caller is told that can wait no longer. */
  readonly over: Effect.Effect<never, WarehouseError>
}

interface Slot<Session> {
  readonly key: string
  readonly owner: string
  readonly lane: string | undefined
  readonly leaveMs: number | undefined
  readonly opened: Deferred.Deferred<Session, WarehouseError>
  readonly slots: SlotPool.SlotPool<"session", WarehouseError>
  /** Leases, and callers that wait for the login or for a slot. */
  users: number
  usedAt: number
  lost: boolean
  /** The login, or the move, is under way or has ended: the account has a session of it, or may have one. */
  begun: boolean
  session: Session | undefined
}

const allAre = (count: number, noun: string, which?: string): string => {
  const that = which === undefined ? "" : ` that ${which}`
  return count === 1 ? `The only ${noun}${that} is` : `All ${count} ${noun}s${that} are`
}

/** Milliseconds between two looks for sessions that are idle for too long. */
const LEAVE_EVERY_MS = 30_000

/** A guess at when a session becomes free, milliseconds. */
const BUSY_RETRY_MS = 2_000

export const make = <Place, Session>(options: Options<Place, Session>) =>
  Effect.gen(function* () {
    const { maxPerOwner = () => options.maxSessions, owner: ownerOf = () => "" } = options
    const clock = yield* monotonicReader
    const current = new Map<string, Slot<Session>>()
    const all = new Set<Slot<Session>>()
    /** The one session of a lane, wherever it is. */
    const lanes = new Map<string, Slot<Session>>()
    /** Callers that wait for the session of a lane to be moved. */
    const movers = new Map<string, number>()
    let closed = false
    let leaving = 0

    const { wait, wake } = Turns.make()
    const allBusy = Turns.busy(
      `${allAre(options.maxSessions, "session")} busy with other statements`,
      BUSY_RETRY_MS
    )
    /** At the bound of its owner: others have no part in it. */
    const ownBusy = (bound: number) =>
      Turns.busy(
        `${allAre(bound, "session", "the caller's own identity may have")} busy with its own statements`,
        BUSY_RETRY_MS,
        true
      )

    /** One of several identities. */
    const isOne = (owner: string): boolean => owner !== ""

    const forget = (slot: Slot<Session>): void => {
      if (current.get(slot.key) === slot) current.delete(slot.key)
      if (slot.lane !== undefined && lanes.get(slot.lane) === slot) lanes.delete(slot.lane)
    }

    /** Out of the count at once; leaving the server is what is returned. */
    const detach = (slot: Slot<Session>): Effect.Effect<void> => {
      forget(slot)
      all.delete(slot)
      const { session } = slot
      slot.session = undefined
      if (session === undefined) return Effect.void
      leaving += 1
      return Effect.ensuring(
        options.close(session),
        Effect.sync(() => void (leaving -= 1))
      )
    }

    // Added first, so closed last: the logins below have ended by then.
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        closed = true
        return Effect.forEach([...all], detach, { concurrency: "unbounded", discard: true })
      })
    )
    const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
    const slots = <Pool>(pool: Pool, permits: number, what: string, owner: string) =>
      Scope.extend(
        SlotPool.make(pool, { permits, ...Turns.unbounded }, ({ retryAfterMs }) =>
          Turns.busy(what, retryAfterMs, isOne(owner))
        ),
        scope
      )
    /** One at a time, so that a password that is wrong is tried once and not once for each place. */
    const logins = new Map<
      string,
      { readonly turn: Effect.Effect.Success<ReturnType<typeof newTurn>>; users: number }
    >()
    const newTurn = (owner: string) =>
      slots("login" as const, 1, "Others are logging in, one after another", owner)
    const turnOf = (owner: string) =>
      Effect.acquireRelease(
        Effect.flatMap(newTurn(owner), (turn) =>
          Effect.sync(() => {
            const found = logins.get(owner) ?? { turn, users: 0 }
            found.users += 1
            logins.set(owner, found)
            return found
          })
        ),
        (found) =>
          Effect.sync(() => {
            found.users -= 1
            if (found.users === 0) logins.delete(owner)
          })
      )

    /** The logout is not waited for; a session that is in use is left by its last user. */
    const remove = (slot: Slot<Session>): Effect.Effect<void> =>
      Effect.suspend(() => {
        slot.lost = true
        forget(slot)
        return slot.users > 0
          ? Effect.void
          : Effect.zipRight(Effect.forkIn(Effect.uninterruptible(detach(slot)), scope), wake)
      })

    const tryLogin = (slot: Slot<Session>, place: Place) =>
      // Its callers have left while others logged in.
      Effect.suspend(() => {
        if (slot.users === 0) return Effect.fail(gone)
        slot.begun = true
        return options.open(place)
      })

    /** Tells all waiting callers how it went. */
    const settled = (slot: Slot<Session>, opening: Effect.Effect<Session, WarehouseError>) =>
      Effect.onExit(opening, (exit) =>
        withNow((now) => {
          if (Exit.isSuccess(exit)) {
            slot.session = exit.value
            slot.usedAt = now
            const opened = Deferred.succeed(slot.opened, exit.value)
            // All callers have left: it may make room for others.
            return slot.users === 0 ? Effect.zipRight(opened, wake) : opened
          }
          const failed = Exit.isInterrupted(exit) ? Exit.fail(gone) : exit
          return detach(slot).pipe(Effect.zipRight(Deferred.done(slot.opened, failed)), Effect.zipRight(wake))
        })
      ).pipe(Effect.exit, Effect.asVoid)

    const logIn = (slot: Slot<Session>, place: Place, caller: Request): Effect.Effect<void> =>
      settled(
        slot,
        Effect.scoped(
          Effect.flatMap(turnOf(slot.owner), ({ turn }) =>
            Effect.acquireUseRelease(
              turn.acquire({ ...caller, weight: 1 }),
              () => tryLogin(slot, place),
              turn.release
            )
          )
        )
      )

    /** A session that could not be moved is kept, unless it is lost: it took an effort to get. */
    const moved = (slot: Slot<Session>, session: Session, place: Place, { move }: Lanes<Place, Session>) =>
      settled(
        slot,
        Effect.onError(Effect.as(move(session, place), session), (cause) =>
          Option.exists(expected(cause), ({ reason }) => reason !== "SessionLost")
            ? Effect.flatMap(monotonicMillis, (now) => spare(slot, session, now))
            : options.close(session)
        )
      )

    /** In the lane, at no place, until it is moved to the next one. */
    const spare = (slot: Slot<Session>, session: Session, now: number) =>
      Effect.flatMap(blank({ ...slot, key: `\0${slot.key}` }, now, 0), (kept) => {
        kept.session = session
        forget(slot)
        put(kept)
        return Deferred.succeed(kept.opened, session)
      })

    const blank = (
      { key, lane, leaveMs, owner }: Pick<Slot<Session>, "key" | "owner" | "lane" | "leaveMs">,
      now: number,
      users: number
    ) =>
      Effect.zipWith(
        slots(
          "session" as const,
          options.maxPerSession,
          `${allAre(options.maxPerSession, "statement", "one session may run at a time")} running`,
          owner
        ),
        Deferred.make<Session, WarehouseError>(),
        (slots, opened): Slot<Session> => ({
          key,
          owner,
          lane,
          leaveMs,
          opened,
          slots,
          users,
          usedAt: now,
          lost: false,
          begun: false,
          session: undefined
        })
      )

    const put = (slot: Slot<Session>): void => {
      current.set(slot.key, slot)
      if (slot.lane !== undefined) lanes.set(slot.lane, slot)
      all.add(slot)
    }

    /** Claims cannot be interrupted; the login or the move that they wait for must be. */
    const add = (
      place: Place,
      key: string,
      now: number,
      open: (slot: Slot<Session>) => Effect.Effect<void>
    ): Effect.Effect<Slot<Session>> =>
      Effect.suspend(() => {
        const lane = options.lanes?.of(place)
        const leaveMs = lane === undefined ? options.leaveMs?.(place) : undefined
        return Effect.flatMap(blank({ key, owner: ownerOf(place), lane, leaveMs }, now, 1), (slot) => {
          put(slot)
          return Effect.as(Effect.forkIn(Effect.interruptible(open(slot)), scope), slot)
        })
      })

    /** The session that has to be moved, or is on its way, for a place that nothing serves. */
    const takeOver = (
      place: Place,
      key: string,
      now: number,
      from: Slot<Session>,
      lanes: Lanes<Place, Session>
    ): Effect.Effect<Slot<Session>> | undefined => {
      const { session } = from
      if (session === undefined || from.users > 0) return undefined
      forget(from)
      all.delete(from)
      from.session = undefined
      return add(place, key, now, (slot) => {
        slot.begun = true
        return moved(slot, session, place, lanes)
      })
    }

    /** For a login that may need a person, as long as the caller can wait. */
    const patiently = <A, E>(login: Effect.Effect<A, E>, { patience }: Caller) =>
      patience === undefined
        ? login
        : Effect.zipRight(
            patience.onWait ?? Effect.void,
            Effect.raceFirst(login, Effect.zipRight(Effect.sleep(patience.ms), patience.over))
          )

    const waitToMove = (lane: string, owner: string, left: Request): Effect.Effect<void, WarehouseError> =>
      Effect.acquireUseRelease(
        Effect.sync(() => movers.set(lane, (movers.get(lane) ?? 0) + 1)),
        () =>
          wait(
            left,
            Turns.busy(
              "The one session of this login is busy with other statements",
              BUSY_RETRY_MS,
              isOne(owner)
            )
          ),
        (_, exit) =>
          Effect.suspend(() => {
            const others = (movers.get(lane) ?? 1) - 1
            if (others > 0) movers.set(lane, others)
            else movers.delete(lane)
            // The others may have waited for this one.
            return Exit.isSuccess(exit) ? Effect.void : wake
          })
      )

    /** Of one owner, or of all. */
    const idlest = (owner: string | undefined): Slot<Session> | undefined => {
      let found: Slot<Session> | undefined
      for (const slot of current.values()) {
        if (owner !== undefined && slot.owner !== owner) continue
        // The account may have a session of it already, or a person is looking at the login.
        if (slot.session === undefined && slot.begun) continue
        if (slot.users === 0 && (found === undefined || slot.usedAt < found.usedAt)) found = slot
      }
      return found
    }

    const ownedBy = (owner: string): number => {
      let owned = 0
      for (const slot of all) if (slot.owner === owner) owned += 1
      return owned
    }

    /** The slot for a place, counted as used; waits while every session is busy elsewhere. */
    const claim = (
      place: Place,
      caller: Caller,
      until: number,
      woken = false
    ): Effect.Effect<Slot<Session>, WarehouseError> =>
      Effect.suspend(() => {
        const now = clock()
        if (closed) return Effect.fail(gone)
        const key = options.key(place)
        const found = current.get(key)
        const left = { ...caller, maxWaitMs: until - now }
        const lane = options.lanes?.of(place)
        const another = lane === undefined ? undefined : lanes.get(lane)
        // A new caller does not overtake those that wait for the session; a woken one has it when it is free.
        const mustWait = another !== undefined && movers.has(lane ?? "") && !(woken && another.users === 0)
        if (found !== undefined && !found.lost && !mustWait) {
          found.users += 1
          return Effect.succeed(found)
        }
        if (options.lanes !== undefined && lane !== undefined && another !== undefined) {
          const next =
            another.session === undefined
              ? // It is logged in to, or moved, for others: how that ends is their affair.
                Effect.interruptible(patiently(Effect.exit(Deferred.await(another.opened)), caller))
              : waitToMove(lane, ownerOf(place), left)
          return (
            (mustWait ? undefined : takeOver(place, key, now, another, options.lanes)) ??
            Effect.zipRight(next, claim(place, caller, until, true))
          )
        }
        const logInFor = (slot: Slot<Session>) => logIn(slot, place, left)
        const owner = ownerOf(place)
        const bound = maxPerOwner(place)
        const isBeyond = ownedBy(owner) >= bound
        if (!isBeyond && all.size < options.maxSessions) return add(place, key, now, logInFor)
        const oldest = idlest(isBeyond ? owner : undefined)
        if (oldest === undefined) {
          const refusal = isBeyond && bound < options.maxSessions ? ownBusy(bound) : allBusy
          return Effect.zipRight(wait(left, refusal), claim(place, caller, until))
        }
        return Effect.zipRight(
          Effect.forkIn(Effect.uninterruptible(detach(oldest)), scope),
          add(place, key, now, logInFor)
        )
      })

    const release = (slot: Slot<Session>): Effect.Effect<void> =>
      Effect.suspend(() => {
        slot.users -= 1
        slot.usedAt = clock()
        if (slot.users > 0) return Effect.void
        return slot.lost ? remove(slot) : wake
      })

    /** Idle for long: the server may have ended it. Only the first to come back asks. */
    const fresh = (slot: Slot<Session>, session: Session): Effect.Effect<boolean> => {
      if (slot.lost) return Effect.succeed(false)
      const now = clock()
      if (now - slot.usedAt < options.idleMs) return Effect.succeed(true)
      slot.usedAt = now
      return Effect.interruptible(
        Effect.tap(options.lives(session), (alive) => (alive ? Effect.void : remove(slot)))
      )
    }

    /** Undefined when it has died of age. */
    const lease = (
      slot: Slot<Session>,
      caller: Caller
    ): Effect.Effect<Lease<Session> | undefined, WarehouseError> =>
      Effect.gen(function* () {
        const session =
          slot.session ?? (yield* Effect.interruptible(patiently(Deferred.await(slot.opened), caller)))
        if (!(yield* fresh(slot, session))) return undefined
        const taken = yield* slot.slots.acquire({ ...caller, weight: 1 })
        return {
          session,
          lost: remove(slot),
          release: Effect.zipRight(slot.slots.release(taken), release(slot))
        }
      })

    /** Callers that stay away leave their sessions behind. */
    const leave = withNow((now) => {
      const idle = [...all].filter(
        ({ leaveMs, session, usedAt, users }) =>
          leaveMs !== undefined && session !== undefined && users === 0 && now - usedAt >= leaveMs
      )
      return idle.length === 0
        ? Effect.void
        : Effect.zipRight(
            wake,
            // Out of the count at once: `detach` only leaves the server.
            Effect.forEach(idle.map(detach), (left) => Effect.forkIn(Effect.uninterruptible(left), scope), {
              discard: true
            })
          )
    })
    if (options.leaveMs !== undefined) {
      // A pool may be made where nothing is interruptible; its end must not wait for the next look.
      yield* Effect.forkIn(Effect.interruptible(Effect.repeat(leave, Schedule.spaced(LEAVE_EVERY_MS))), scope)
    }

    /**
     * A session for the place and one of its slots. Run it in an uninterruptible region, as any acquisition; what is
     * waited for is interruptible there too.
     */
    const acquire = (place: Place, caller: Caller): Effect.Effect<Lease<Session>, WarehouseError> =>
      Effect.gen(function* () {
        const until = clock() + caller.maxWaitMs
        // A session that lives, or is being opened, may be used whatever would be said of another login.
        const lane = options.lanes?.of(place)
        const known = current.has(options.key(place)) || (lane !== undefined && lanes.has(lane))
        if (!known) yield* Effect.interruptible(options.mayOpen(place))
        const slot = yield* claim(place, caller, until)
        const leased = yield* Effect.tapErrorCause(lease(slot, caller), () => release(slot))
        if (leased !== undefined) return leased
        // One more time, with a session that is new.
        yield* release(slot)
        return yield* acquire(place, caller)
      })

    return {
      acquire,
      status: Effect.sync((): Status => ({ open: all.size, leaving }))
    }
  })

const gone = new WarehouseError({
  reason: "Unreachable",
  description: "The server is shutting down.",
  sent: "no"
})
