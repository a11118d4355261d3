/**
 * What statements cost: an estimate before, by the time that they may take and the rate of their warehouse, and a share of
 * its busy time afterwards. And whether a statement would resume a warehouse that is suspended.
 *
 * ```
 *   estimate   time limit x credits per hour, with the minimum of a resume unless the warehouse is known to run
 *   look       SHOW WAREHOUSES, remembered for `refreshMs`
 *   begin/end  the busy time of each warehouse, divided equally among the statements that run (`core/BusyTime`)
 * ```
 *
 * What it cannot know: statements of other servers and users in the same warehouse, the time in which a warehouse idles
 * before it is suspended, and an answer that the account gives from its own cache without the warehouse. The state of a
 * warehouse is as old as the look at it: between the look and the arrival of a statement it may be suspended.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as BusyTime from "./core/BusyTime.js"
import * as Lru from "../platform/core/Lru.js"
import { monotonicMillis, steps, withNow } from "../platform/monotonic.js"
import type { Principal } from "../platform/Principal.js"
import { CurrentPrincipal } from "../platform/Principal.js"
import * as UnderWay from "../platform/underWay.js"
import { withoutStack } from "../platform/withoutStack.js"
import type { Budget, Compute, Statement, WarehouseError } from "../warehouse/Warehouse.js"
import { actingAs, placeOf, Warehouse } from "../warehouse/Warehouse.js"

/**
 * What is assumed of a virtual warehouse that the account tells nothing of, and how often the account is asked.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Credits per hour of a warehouse whose rate is not known. */
  readonly unknownPerHour: number
  /** Milliseconds after which the account is asked again for size and state. */
  readonly refreshMs: number
}

/**
 * Four credits an hour (a warehouse of size M) where the rate is not known; the account is asked every ten seconds at
 * most.
 *
 * @since 0.1.0
 * @category models
 */
export const defaults: Options = { unknownPerHour: 4, refreshMs: 10_000 }

/**
 * The statement would resume a warehouse, and callers of its tier may not. It was not sent.
 *
 * @since 0.1.0
 * @category errors
 */
export class WarehouseSuspended extends Schema.TaggedError<WarehouseSuspended>(
  "snowguard/WarehouseSuspended"
)("WarehouseSuspended", {
  tier: Schema.String,
  /** Absent where the account does not show it to the caller's role. */
  warehouse: Schema.optional(Schema.String)
}) {
  override get message(): string {
    return this.warehouse === undefined
      ? `it is not known whether the warehouse runs, and the tier ${this.tier} may not resume it`
      : `the warehouse ${this.warehouse} is suspended, and the tier ${this.tier} may not resume it`
  }
}

/**
 * The virtual warehouse of a caller.
 *
 * @since 0.1.0
 * @category models
 */
export interface Status {
  /** Absent where the account does not tell. */
  readonly warehouse: string | undefined
  readonly kind: string | undefined
  readonly creditsPerHour: number
  /** False: the configured rate stands for one that is not known. */
  readonly isKnown: boolean
  readonly state: Compute["state"]
  /** Milliseconds since the account was asked. */
  readonly ageMs: number
  /** Statements of this server. */
  readonly running: number
  /** Credits of this server's statements since its start. */
  readonly spent: number
}

/**
 * What the account says of its own limits for a user; `undefined` rows: it did not say.
 *
 * @since 0.1.0
 * @category models
 */
export interface Budgets {
  readonly user: string | undefined
  readonly rows: ReadonlyArray<Budget> | undefined
  readonly ageMs: number
}

type Place = Pick<Statement, "database" | "schema">

/**
 * A statement that runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Running {
  /** Once, when it has ended: the credits that it is charged. */
  readonly end: Effect.Effect<number>
  /** The same where the account refused to resume the warehouse for it: it is charged nothing. */
  readonly refused: Effect.Effect<number>
}

/**
 * For the current caller each time.
 *
 * @since 0.1.0
 * @category context
 */
export class Credits extends Context.Tag("snowguard/Credits")<
  Credits,
  {
    /**
     * The credits that a statement may cost at most which may run so many milliseconds. Where nothing is known yet the
     * account is asked, for {@link PATIENCE_MS} at most, if `asks` allows it.
     */
    readonly estimate: (place: Place, ms: number, asks: Effect.Effect<boolean>) => Effect.Effect<number>
    /** Before a statement is sent: what is known is brought up to date. What the account does not tell is not known. */
    readonly look: (place: Place) => Effect.Effect<void>
    /** The same where the statement must not resume the warehouse. */
    readonly mustRun: (place: Place) => Effect.Effect<void, WarehouseSuspended | WarehouseError>
    /** A statement leaves for the warehouse. */
    readonly begin: Effect.Effect<Running>
    /** What is known of the warehouse of a caller; undefined before its first statement. */
    readonly status: (principal: Principal) => Effect.Effect<Status | undefined>
    /** All warehouses in which statements have run and of which the account was asked. */
    readonly warehouses: Effect.Effect<ReadonlyArray<Status>>
    /** After a statement, when the warehouse runs anyway: asks the account for its own limits, if that was long ago. */
    readonly askBudgets: (place: Place) => Effect.Effect<void>
    /** Undefined before the account was asked for the caller's limits. */
    readonly budgets: (principal: Principal) => Effect.Effect<Budgets | undefined>
    readonly allBudgets: Effect.Effect<ReadonlyArray<Budgets>>
  }
>() {}

/** Snowflake's minimum for each resume. */
const MINIMUM_MS = 60_000

/**
 * Milliseconds that a call waits for what is known of its warehouse, before it waits for anything else.
 *
 * @since 0.1.0
 * @category constants
 */
export const PATIENCE_MS = 2_000

/** Limits of the account change slowly; one that cannot tell is not asked often. */
const BUDGET_MS = 300_000
const NO_BUDGET_MS = 3_600_000

/** Places that are remembered: each identity may have a warehouse of its own. */
const PLACES = { maxEntries: 10_000, maxBytes: Number.MAX_SAFE_INTEGER }
/** Warehouses that are remembered after their statements have ended. */
const MAX_WAREHOUSES = 1_000

/** Beyond that those are forgotten that have rested longest, half of them at once. */
const bounded = (all: HashMap.HashMap<string, Account>): HashMap.HashMap<string, Account> => {
  if (HashMap.size(all) <= MAX_WAREHOUSES) return all
  const resting = HashMap.toEntries(all).filter(([, { time }]) => time.running === 0)
  const longest = resting.sort(([, a], [, b]) => a.lastActive - b.lastActive).slice(0, MAX_WAREHOUSES / 2)
  return HashMap.removeMany(
    all,
    longest.map(([name]) => name)
  )
}

const HOUR_MS = 3_600_000

/** What the account said last of a warehouse; times are monotonic milliseconds. */
interface Known {
  readonly compute: Compute | undefined
  /** The state is not older than the question, and may be as old. */
  readonly askedAt: number
  readonly answeredAt: number
}

/** A warehouse as the account tells it, and the question about it that is under way. */
interface Seen extends UnderWay.UnderWay<void, undefined> {
  known: Known | undefined
}

/** The limits of a user as the account tells them, and the question about them that is under way. */
interface Told extends UnderWay.UnderWay<void, undefined> {
  readonly user: string | undefined
  rows: ReadonlyArray<Budget> | undefined
  /** Before the first answer: minus infinity. */
  answeredAt: number
}

/** The statements of this server in a warehouse. */
interface Account {
  readonly time: BusyTime.BusyTime
  /** Undefined: the account was not asked. */
  readonly known: Known | undefined
  readonly lastBegun: number
  readonly lastActive: number
  readonly spent: number
}

const untouched: Account = {
  time: BusyTime.empty,
  known: undefined,
  lastBegun: Number.NEGATIVE_INFINITY,
  lastActive: Number.NEGATIVE_INFINITY,
  spent: 0
}

/** Where the account does not tell any more: what a warehouse costs changes seldom, whether it runs often. */
const outdated = (compute: Compute | undefined): Compute | undefined =>
  compute && { ...compute, state: "unknown", running: 0 }

/** A statement of ours that began after the question has resumed the warehouse, and kept it from being suspended. */
const stateOf = ({ askedAt, compute }: Known, account: Account, now: number): Compute["state"] => {
  if (compute === undefined) return "unknown"
  const { lastActive, lastBegun, time } = account
  if (lastBegun < askedAt) return compute.state
  const isAwake = time.running > 0 || now < lastActive + (compute.autoSuspendMs ?? Number.POSITIVE_INFINITY)
  return isAwake ? "running" : "suspended"
}

/**
 * Counts for the warehouse of the context; for one without `billing` every estimate and charge is 0 credits.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Partial<Options> = {}) =>
  Effect.gen(function* () {
    const { refreshMs, unknownPerHour }: Options = { ...defaults, ...options }
    const warehouse = yield* Warehouse
    const { billing } = warehouse
    const { modifyAt } = yield* steps
    const scope = yield* Effect.scope
    /** Both updated in place, in synchronous steps. */
    const places = Lru.make<Seen>(PLACES)
    const limits = Lru.make<Told>(PLACES)
    const accounts = yield* Ref.make(HashMap.empty<string, Account>())

    const seenIn = (place: string): Seen => {
      const found = Lru.get(places, place)
      if (found !== undefined) return found
      const fresh: Seen = { known: undefined, underWay: undefined }
      Lru.set(places, place, fresh, 1)
      return fresh
    }
    const nameOf = (place: string, seen: Seen | undefined): string =>
      seen?.known?.compute?.name ?? `(${place})`
    const accountOf = (all: HashMap.HashMap<string, Account>, name: string): Account =>
      Option.getOrElse(HashMap.get(all, name), () => untouched)

    const rateOf = (compute: Compute | undefined): number => compute?.creditsPerHour ?? unknownPerHour

    /** Asks the account, whatever is known. What it does not tell this caller's role it may have told another's. */
    const ask = (seen: Seen, at: Place): Effect.Effect<Compute | undefined, WarehouseError> => {
      if (billing === undefined) return Effect.succeed(undefined)
      return withNow((askedAt) => {
        const note = (compute: Compute | undefined) =>
          Effect.map(monotonicMillis, (answeredAt) => {
            // The answer to a later question may have come before.
            if (seen.known !== undefined && askedAt < seen.known.askedAt) return
            seen.known = { compute: compute ?? outdated(seen.known?.compute), askedAt, answeredAt }
          })
        return Effect.tapBoth(billing.compute(at), { onFailure: () => note(undefined), onSuccess: note })
      })
    }

    const isFresh = ({ known }: Seen, now: number): boolean =>
      known !== undefined && now - known.answeredAt < refreshMs

    const here = Effect.map(CurrentPrincipal, (principal) => {
      const place = placeOf(warehouse, principal)
      return { place, principal, seen: seenIn(place) }
    })

    /** One question at a time; those who come meanwhile wait for its answer. */
    const look = (at: Place): Effect.Effect<void> =>
      Effect.flatMap(here, ({ principal, seen }) =>
        withNow((now) =>
          isFresh(seen, now)
            ? Effect.void
            : Effect.flatMap(
                UnderWay.join<void, undefined>(
                  seen,
                  () => Effect.provideService(Effect.ignore(ask(seen, at)), CurrentPrincipal, principal),
                  { scope, stopped: undefined }
                ),
                (answer) => Effect.ignore(Deferred.await(answer))
              )
        )
      )

    const mustRun = (at: Place) =>
      Effect.gen(function* () {
        const { principal, seen } = yield* here
        const now = yield* monotonicMillis
        const { askedAt = 0, compute } = seen.known ?? {}
        // With a statement in it, it is not suspended before that much later.
        const isCertain =
          compute?.state === "running" &&
          compute.running > 0 &&
          now < askedAt + Math.min(compute.autoSuspendMs ?? Number.POSITIVE_INFINITY, refreshMs)
        if (isCertain) return
        const found = yield* ask(seen, at)
        if (found?.state === "running") return
        // One that a statement does not resume is left to the account to refuse.
        if (found?.state === "suspended" && !found.autoResume) return
        return yield* Effect.fail(
          withoutStack(() => new WarehouseSuspended({ tier: principal.tier, warehouse: found?.name }, true))
        )
      })

    const estimate = (at: Place, ms: number, asks: Effect.Effect<boolean>): Effect.Effect<number> =>
      Effect.gen(function* () {
        const { place, seen } = yield* here
        if (seen.known?.compute === undefined && (yield* asks)) {
          yield* look(at).pipe(Effect.timeoutOption(PATIENCE_MS))
        }
        const now = yield* monotonicMillis
        const { known } = seen
        const account = accountOf(yield* Ref.get(accounts), nameOf(place, seen))
        const runs =
          known !== undefined &&
          stateOf(known, account, now) === "running" &&
          (account.time.running > 0 || now - known.answeredAt < refreshMs)
        return (rateOf(known?.compute) * (ms + (runs ? 0 : MINIMUM_MS))) / HOUR_MS
      })

    const begin: Effect.Effect<Running> = Effect.flatMap(here, ({ place, seen }) => {
      const { known } = seen
      const name = nameOf(place, seen)
      return Effect.map(
        modifyAt(accounts, (all, now) => {
          const account = accountOf(all, name)
          const { autoResume = false, creditsPerHour } = known?.compute ?? {}
          const resumes =
            known !== undefined &&
            autoResume &&
            creditsPerHour !== undefined &&
            stateOf(known, account, now) === "suspended"
          const [stint, time] = BusyTime.begin(account.time, now, resumes ? MINIMUM_MS : 0)
          return [
            stint,
            HashMap.set(all, name, {
              ...account,
              time,
              known,
              lastBegun: now,
              lastActive: now
            })
          ]
        }),
        (stint): Running => {
          const ended = (ran: boolean) =>
            modifyAt(accounts, (all, now) => {
              const account = accountOf(all, name)
              const [ms, time] = BusyTime.end(account.time, now, ran ? stint : BusyTime.withoutMinimum(stint))
              const credits = ran ? (ms * rateOf(seen.known?.compute)) / HOUR_MS : 0
              const next = { ...account, time, spent: account.spent + credits }
              // That it was begun says nothing, then: what was seen before counts again.
              const left =
                ran || time.running > 0
                  ? { ...next, lastActive: now }
                  : { ...next, lastBegun: Number.NEGATIVE_INFINITY }
              return [credits, bounded(HashMap.set(all, name, left))]
            })
          return { end: ended(true), refused: ended(false) }
        }
      )
    })

    /** Nothing waits for it, and whether it fails is told where it is asked for. */
    const askBudgets = (at: Place): Effect.Effect<void> =>
      Effect.flatMap(CurrentPrincipal, (principal) =>
        withNow((now) => {
          if (billing === undefined) return Effect.void
          const told = toldOf(principal)
          if (now - told.answeredAt < (told.rows === undefined ? NO_BUDGET_MS : BUDGET_MS)) return Effect.void
          const asked = Effect.zipWith(Effect.option(billing.budget(at)), monotonicMillis, (rows, ended) => {
            told.rows = Option.getOrUndefined(rows)
            told.answeredAt = ended
          })
          return Effect.asVoid(
            UnderWay.join<void, undefined>(
              told,
              () => Effect.provideService(asked, CurrentPrincipal, principal),
              { scope, stopped: undefined }
            )
          )
        })
      )

    const toldOf = (principal: Principal): Told => {
      const { key, user } = actingAs(warehouse, principal)
      const found = Lru.get(limits, key)
      if (found !== undefined) return found
      const fresh: Told = { user, rows: undefined, answeredAt: Number.NEGATIVE_INFINITY, underWay: undefined }
      Lru.set(limits, key, fresh, 1)
      return fresh
    }

    const statusOf = (known: Known | undefined, account: Account, now: number): Status | undefined =>
      known === undefined
        ? undefined
        : {
            warehouse: known.compute?.name,
            kind: known.compute?.kind,
            creditsPerHour: rateOf(known.compute),
            isKnown: known.compute?.creditsPerHour !== undefined,
            state: stateOf(known, account, now),
            ageMs: Math.max(0, now - known.answeredAt),
            running: account.time.running,
            spent: account.spent
          }

    const budgetsOf = (told: Told | undefined, now: number): Budgets | undefined =>
      told === undefined || told.answeredAt === Number.NEGATIVE_INFINITY
        ? undefined
        : { user: told.user, rows: told.rows, ageMs: now - told.answeredAt }

    return Credits.of({
      estimate,
      look,
      mustRun,
      begin,
      askBudgets,
      status: (principal) =>
        withNow((now) =>
          Effect.map(Ref.get(accounts), (all) => {
            const place = placeOf(warehouse, principal)
            const seen = Lru.get(places, place)
            return statusOf(seen?.known, accountOf(all, nameOf(place, seen)), now)
          })
        ),
      warehouses: withNow((now) =>
        Effect.map(Ref.get(accounts), (all) =>
          [...HashMap.values(all)].flatMap((account) => statusOf(account.known, account, now) ?? [])
        )
      ),
      budgets: (principal) =>
        withNow((now) =>
          Effect.sync(() => budgetsOf(Lru.get(limits, actingAs(warehouse, principal).key), now))
        ),
      allBudgets: withNow((now) =>
        Effect.sync(() => [...limits.entries.values()].flatMap(({ value }) => budgetsOf(value, now) ?? []))
      )
    })
  })

/**
 * Counts for the warehouse of the context, from zero on.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Partial<Options>): Layer.Layer<Credits, never, Warehouse> =>
  Layer.scoped(Credits, make(options))
