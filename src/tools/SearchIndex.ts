/**
 * What is known of databases, tables, views and columns, in memory: `search_objects` finds them in it, also while the
 * warehouse is out of reach.
 *
 * It is filled in the background by {@link fillWith} once a call of a client has been answered, and again when it is
 * old and a client calls. Objects are kept once; what an identity of the warehouse (user and role) sees of them is
 * what its own statements were told.
 *
 * Invariants
 * 1. An identity finds nothing that its own fills have not told.
 * 2. The age of an answer is counted from before its fill began.
 * 3. Objects and bytes are bounded; identities that have not called for longest are forgotten first.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Ref from "effect/Ref"
import { modifyAt, monotonicMillis, monotonicReader } from "../platform/monotonic.js"
import type { Refusal } from "../guard/Guard.js"
import type { Principal } from "../platform/Principal.js"
import type { WarehouseError } from "../warehouse/Warehouse.js"
import * as ObjectIndex from "./core/ObjectIndex.js"
import * as Refresh from "./core/Refresh.js"

/**
 * A table or a view as it is searched for.
 *
 * @since 0.1.0
 * @category models
 */
export type Table = ObjectIndex.Table

/**
 * A column as it is searched for.
 *
 * @since 0.1.0
 * @category models
 */
export type Column = ObjectIndex.Column

/**
 * An object that was found, with its score: more is better, and scores of two searches are not compared.
 *
 * @since 0.1.0
 * @category models
 */
export type Hit = ObjectIndex.Hit

/**
 * What kind of object is looked for.
 *
 * @since 0.1.0
 * @category models
 */
export type Kind = ObjectIndex.Kind

/**
 * How much is kept, how often it is asked for again, and how many statements that may take.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Tables, views and columns that are kept. */
  readonly maxObjects: number
  readonly maxBytes: number
  /** What is older is asked for again, when a client calls; milliseconds. */
  readonly refreshMs: number
  /** Statements of all fills together in an hour. */
  readonly statementsPerHour: number
  /** Milliseconds from the first answer of an identity to its fill: its own calls come first. */
  readonly settleMs: number
}

/**
 * A catalog of 5,000 tables with 50 columns takes 75 MB and some hundred statements.
 *
 * @since 0.1.0
 * @category models
 */
export const defaults: Options = {
  maxObjects: 400_000,
  maxBytes: 128 * 1024 * 1024,
  refreshMs: 3_600_000,
  statementsPerHour: 1_000,
  settleMs: 3_000
}

/**
 * What a search looks for.
 *
 * @since 0.1.0
 * @category models
 */
export interface Question {
  readonly text: string
  readonly kinds: ReadonlySet<Kind>
  readonly limit: number
  /** How long it waits for the first fill of its identity, milliseconds. */
  readonly patienceMs: number
  /** Whether a table may be shown to the caller, given that its identity sees it. */
  readonly permits: (table: Table) => boolean
}

/**
 * What a search has found, and how much it may not know.
 *
 * @since 0.1.0
 * @category models
 */
export interface Found {
  readonly hits: ReadonlyArray<Hit>
  /** Milliseconds; undefined while nothing is known. */
  readonly ageMs: number | undefined
  /** A fill is under way. */
  readonly isFilling: boolean
  /** Why the last fill ended early; what is here is from before it. */
  readonly failure: Stopped | undefined
  /** There was no room for some tables, or the columns of some are not known, or not looked at. */
  readonly isPartial: boolean
}

/**
 * A fill that is under way, for one identity.
 *
 * @since 0.1.0
 * @category models
 */
export interface Fill {
  /** The newest caller of the identity. */
  readonly principal: Principal
  /** The columns of a table as they were told before. */
  readonly columnsOf: (place: string, table: Pick<Table, "database" | "schema" | "name">) => Table["columns"]
  /** From here on the identity sees these tables of the place (a schema, by any name), and no others. */
  readonly replace: (place: string, tables: ReadonlyArray<Table>) => Effect.Effect<void>
  /** From here on the identity sees nothing in other places. */
  readonly only: (places: ReadonlyArray<string>) => Effect.Effect<void>
  /** Takes one statement from the budget; milliseconds until there is one again, or 0. */
  readonly spend: Effect.Effect<number>
}

/**
 * Why a fill ended early; the next one comes after `retryAfterMs`, or a while when absent.
 *
 * @since 0.1.0
 * @category models
 */
export interface Stopped {
  /** Undefined: it had no statements left, or a defect that is logged. */
  readonly error: Refusal | WarehouseError | undefined
  readonly retryAfterMs?: number | undefined
}

/**
 * Searches names in memory. A search never fails and asks the warehouse nothing itself: it says what it does not know.
 *
 * @since 0.1.0
 * @category context
 */
export class SearchIndex extends Context.Tag("snowguard/SearchIndex")<
  SearchIndex,
  {
    /** A call of this identity has been answered by the warehouse. Costs next to nothing. */
    readonly answered: (identity: string, principal: Principal) => Effect.Effect<void>
    readonly search: (identity: string, principal: Principal, question: Question) => Effect.Effect<Found>
    /** Runs the fills that are due, one after the other. */
    readonly fillWith: (fill: (of: Fill) => Effect.Effect<void, Stopped>) => Effect.Effect<never>
  }
>() {}

/** Identities that are remembered. */
const MAX_IDENTITIES = 256

/** After a fill that failed. */
const RETRY_MS = 60_000

/** Tables that are put into the index at a time, before others have their turn. */
const CHUNK = 20

/** Milliseconds of a search after which others have their turn. */
const SLICE_MS = 5

/** Runs the steps to their end. A timer is waited for between slices: a fiber that yields lets no event in. */
const inSlices = <A>(steps: Generator<void, A>, now: () => number): Effect.Effect<A> =>
  Effect.suspend(() => {
    const until = now() + SLICE_MS
    for (;;) {
      const { done, value } = steps.next()
      if (done === true) return Effect.succeed(value)
      if (now() >= until) return Effect.zipRight(Effect.sleep(0), inSlices(steps, now))
    }
  })

interface Seen {
  principal: Principal
  times: Refresh.Times
  /** When the first fill began: the age of what is known before it has ended. */
  begunAt: number | undefined
  readonly ids: Set<number>
  /** By place and full name. */
  readonly places: Map<string, Map<string, number>>
  /** Tables without room, by place. */
  readonly leftOut: Map<string, number>
  failure: Stopped | undefined
  /** A search waits: the fill begins at once. */
  urgent: Deferred.Deferred<void>
  /** The fill that is wanted has ended. */
  done: Deferred.Deferred<void>
}

/**
 * Knows nothing at first; the first call of an identity that is answered makes its fill due.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Partial<Options> = {}): Effect.Effect<Context.Tag.Service<SearchIndex>> =>
  Effect.gen(function* () {
    const { maxBytes, maxObjects, refreshMs, settleMs, statementsPerHour }: Options = {
      ...defaults,
      ...options
    }
    const index = ObjectIndex.make({ maxBytes, maxObjects })
    const identities = new Map<string, Seen>()
    const wanted = yield* Queue.unbounded<string>()
    const budget = yield* Ref.make(Refresh.noBudget)
    const clock = yield* monotonicReader

    const forgetPlace = (seen: Seen, place: string): void => {
      for (const id of seen.places.get(place)?.values() ?? []) {
        seen.ids.delete(id)
        ObjectIndex.release(index, id)
      }
      seen.places.delete(place)
      seen.leftOut.delete(place)
    }

    const forget = (identity: string, seen: Seen): void => {
      for (const place of [...seen.places.keys()]) forgetPlace(seen, place)
      identities.delete(identity)
    }

    /** Forgets the identity that has not called for longest; false when there is none to forget. */
    const forgetOldest = (except: Seen | undefined): boolean => {
      for (const [identity, seen] of identities) {
        if (seen !== except && !seen.times.isWanted) {
          forget(identity, seen)
          return true
        }
      }
      return false
    }

    const seenBy = (identity: string, principal: Principal): Effect.Effect<Seen> =>
      Effect.gen(function* () {
        const known = identities.get(identity)
        if (known !== undefined) {
          identities.delete(identity)
          identities.set(identity, known)
          known.principal = principal
          return known
        }
        const [urgent, done] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        while (identities.size >= MAX_IDENTITIES && forgetOldest(undefined));
        const made: Seen = {
          principal,
          times: Refresh.never,
          begunAt: undefined,
          ids: new Set(),
          places: new Map(),
          leftOut: new Map(),
          failure: undefined,
          urgent,
          done
        }
        identities.set(identity, made)
        return made
      })

    const want = (identity: string, principal: Principal): Effect.Effect<Seen> =>
      Effect.gen(function* () {
        const seen = yield* seenBy(identity, principal)
        if (Refresh.isDue(seen.times, clock(), refreshMs)) {
          seen.times = { ...seen.times, isWanted: true }
          yield* Queue.offer(wanted, identity)
        }
        return seen
      })

    const add = (seen: Seen, table: Table): number | undefined => {
      const id = ObjectIndex.add(index, table)
      return id === undefined && forgetOldest(seen) ? add(seen, table) : id
    }

    const replace = (seen: Seen, place: string, tables: ReadonlyArray<Table>): Effect.Effect<void> =>
      Effect.gen(function* () {
        const before = seen.places.get(place) ?? new Map<string, number>()
        const after = new Map<string, number>()
        // In place from the start, so that whatever happens each id that is held is known.
        seen.places.set(place, after)
        seen.leftOut.set(place, 0)
        let done = 0
        for (const table of tables) {
          const name = ObjectIndex.fullName(table)
          const old = before.get(name)
          const id = add(seen, table)
          if (old !== undefined) {
            before.delete(name)
            if (old !== id) seen.ids.delete(old)
            ObjectIndex.release(index, old)
          }
          if (id === undefined) seen.leftOut.set(place, (seen.leftOut.get(place) ?? 0) + 1)
          else {
            after.set(name, id)
            seen.ids.add(id)
          }
          if (++done % CHUNK === 0) yield* Effect.yieldNow()
        }
        for (const id of before.values()) {
          seen.ids.delete(id)
          ObjectIndex.release(index, id)
        }
      }).pipe(Effect.uninterruptible)

    const fillOf = (seen: Seen): Fill => ({
      principal: seen.principal,
      columnsOf: (place, table) => {
        const id = seen.places.get(place)?.get(ObjectIndex.fullName(table))
        return id === undefined ? undefined : ObjectIndex.tableOf(index, id)?.columns
      },
      replace: (place, tables) => replace(seen, place, tables),
      only: (places) =>
        Effect.sync(() => {
          const kept = new Set(places)
          for (const place of [...seen.places.keys()]) {
            if (!kept.has(place)) forgetPlace(seen, place)
          }
        }),
      spend: modifyAt(budget, (state, now) => Refresh.spend(state, now, statementsPerHour))
    })

    const fillNext = (fill: (of: Fill) => Effect.Effect<void, Stopped>) =>
      Effect.gen(function* () {
        const identity = yield* Queue.take(wanted)
        const seen = identities.get(identity)
        if (seen === undefined) return
        yield* Effect.raceFirst(Effect.sleep(settleMs), Deferred.await(seen.urgent))
        const begun = yield* monotonicMillis
        seen.begunAt ??= begun
        const exit = yield* Effect.exit(Effect.suspend(() => fill(fillOf(seen))))
        const now = yield* monotonicMillis
        if (exit._tag === "Success") {
          seen.failure = undefined
          seen.times = { filledAt: begun, notBefore: now, isWanted: false }
        } else {
          const stopped = exit.cause._tag === "Fail" ? exit.cause.error : undefined
          if (stopped === undefined)
            yield* Effect.logWarning("the search index could not be filled", exit.cause)
          seen.failure = stopped ?? { error: undefined }
          seen.times = {
            ...seen.times,
            notBefore: now + Math.max(RETRY_MS, stopped?.retryAfterMs ?? 0),
            isWanted: false
          }
        }
        const { done } = seen
        seen.done = yield* Deferred.make<void>()
        seen.urgent = yield* Deferred.make<void>()
        yield* Deferred.succeed(done, undefined)
      })

    return {
      answered: (identity, principal) => Effect.asVoid(want(identity, principal)),
      search: (identity, principal, { kinds, limit, patienceMs, permits, text }) =>
        Effect.gen(function* () {
          const seen = yield* want(identity, principal)
          if (seen.times.isWanted) {
            yield* Deferred.succeed(seen.urgent, undefined)
            if (seen.times.filledAt === undefined) {
              yield* Effect.timeoutOption(Deferred.await(seen.done), patienceMs)
            }
          }
          const now = yield* monotonicMillis
          const { begunAt, failure, ids, leftOut, places, times } = seen
          const { hits, isCut } = yield* inSlices(
            ObjectIndex.searching(index, {
              text,
              kinds,
              limit,
              sees: (id, table) => ids.has(id) && permits(table)
            }),
            clock
          )
          const asOf = times.filledAt ?? (places.size === 0 ? undefined : begunAt)
          return {
            hits,
            ageMs: asOf === undefined ? undefined : now - asOf,
            isFilling: times.isWanted,
            failure,
            isPartial:
              isCut ||
              [...leftOut.values()].some((tables) => tables > 0) ||
              [...ids].some((id) => ObjectIndex.tableOf(index, id)?.columns === undefined)
          }
        }),
      fillWith: (fill) => Effect.forever(fillNext(fill))
    }
  })

/**
 * Knows nothing at first; {@link SearchIndex} is filled by the tool that searches it.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Partial<Options>): Layer.Layer<SearchIndex> =>
  Layer.effect(SearchIndex, make(options))

/**
 * Knows nothing and asks for nothing.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerNoop: Layer.Layer<SearchIndex> = Layer.succeed(SearchIndex, {
  answered: () => Effect.void,
  search: () =>
    Effect.succeed({
      hits: [],
      ageMs: undefined,
      isFilling: false,
      failure: undefined,
      isPartial: false
    }),
  fillWith: () => Effect.never
})
