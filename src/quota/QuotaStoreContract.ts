/**
 * What every {@link QuotaStore} must do, as a list of cases for any test runner; our own stores are tested with this list.
 *
 * ```ts
 * import { Effect } from "effect"
 * import { test } from "node:test"
 * import * as QuotaStoreContract from "snowguard/testing/QuotaStoreContract"
 *
 * for (const { name, run } of QuotaStoreContract.cases(MyStore.layer)) {
 *   test(name, () => Effect.runPromise(run))
 * }
 * ```
 *
 * Each case builds the layer afresh and works on keys of its own, so a store may keep what earlier cases left behind; what
 * earlier runs of the list left must be gone. Time is the `Clock`'s, and moved by hand; sleeping is real, so a store may
 * wait for locks and sockets.
 *
 * An operation that gives no answer within {@link Options.timeoutMs} fails its case. Not in the list, since it depends on how
 * a store can fail: that an operation of a store out of reach ends within a bounded time.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as fc from "effect/FastCheck"
import type * as Layer from "effect/Layer"
import { deepStrictEqual, ok, strictEqual } from "node:assert"
import { randomUUID } from "node:crypto"
import type { Case, Journal, Time } from "../platform/contracts.js"
import { clockOf, journal, matches, property } from "../platform/contracts.js"
import * as Ledger from "./core/Ledger.js"
import * as QuotaStore from "./QuotaStore.js"

export type {
  /**
   * @since 0.1.0
   * @category models
   */
  Case
} from "../platform/contracts.js"

/**
 * What the store can do, and how much is tried.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * Where the store takes the time from: the `Clock` (the default), or `elsewhere`, a database's own clock for example. The
   * cases in which time passes are then left out.
   */
  readonly time?: "clock" | "elsewhere" | undefined
  /** Sequences of operations that are compared with the model; 60 when absent. */
  readonly numRuns?: number | undefined
  /** Milliseconds within which every operation must answer, in real time; 10000 when absent. */
  readonly timeoutMs?: number | undefined
}

const TIMEOUT_MS = 10_000
const HOUR = 3_600_000
const DAY = 24 * HOUR
const START = Date.UTC(2031, 4, 5, 12, 30)
const quotas: ReadonlyArray<QuotaStore.QuotaName> = ["requests_per_hour", "queries_per_day", "bytes_per_day"]
const owners = ["a", "b", "all"] as const
type Owner = (typeof owners)[number]

const chargesArbitrary = fc.uniqueArray(
  fc.record({
    owner: fc.constantFrom(...owners),
    quota: fc.constantFrom(...quotas),
    limit: fc.constantFrom(5, 8, 20),
    amount: fc.nat({ max: 6 }),
    postPaid: fc.boolean()
  }),
  { minLength: 1, maxLength: 5, selector: ({ owner, quota }) => `${owner} ${quota}` }
)
const which = fc.nat({ max: 9 })
const commandArbitrary = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      _tag: fc.constant("tick" as const),
      ms: fc.constantFrom(1, 999, 20_000, 61_000, HOUR / 2, HOUR, DAY)
    })
  },
  {
    weight: 5,
    arbitrary: fc.record({
      _tag: fc.constant("reserve" as const),
      charges: chargesArbitrary,
      ttl: fc.constantFrom(1, 1000, 60_000, DAY)
    })
  },
  fc.record({ _tag: fc.constant("check" as const), charges: chargesArbitrary }),
  fc.record({ _tag: fc.constant("submitted" as const), which }),
  {
    weight: 3,
    arbitrary: fc.record({
      _tag: fc.constant("settle" as const),
      which,
      actual: fc.uniqueArray(
        fc.record({
          owner: fc.constantFrom(...owners),
          quota: fc.constantFrom(...quotas),
          amount: fc.nat({ max: 9 })
        }),
        { maxLength: 3, selector: ({ owner, quota }) => `${owner} ${quota}` }
      )
    })
  },
  fc.record({ _tag: fc.constant("release" as const), which }),
  fc.record({
    _tag: fc.constant("reset" as const),
    owner: fc.constantFrom(...owners),
    quota: fc.constantFrom(undefined, ...quotas)
  })
)

type Command = typeof commandArbitrary extends fc.Arbitrary<infer A> ? A : never
type Store = Context.Tag.Service<QuotaStore.QuotaStore>
/** The usage of a key, of which the journal does not tell. */
type Look = Store["usage"]

/** The store, of which each operation is noted. */
const noting = (store: Store, { noted }: Journal): Store => ({
  reserve: (charges, ttlMs) => noted("reserve", [charges, ttlMs], store.reserve(charges, ttlMs)),
  submitted: (id) => noted("submitted", [id], store.submitted(id)),
  settle: (id, actual) => noted("settle", [id, actual], store.settle(id, actual)),
  release: (id) => noted("release", [id], store.release(id)),
  check: (charges) => noted("check", [charges], store.check(charges)),
  usage: (key) => noted("usage", [key], store.usage(key)),
  list: (cursor) => noted("list", [cursor], store.list(cursor)),
  reset: (key, quota) => noted("reset", [key, quota], store.reset(key, quota))
})

const charge = (
  key: string,
  amount: number,
  overrides: Partial<QuotaStore.Charge> = {}
): QuotaStore.Charge => ({ key, quota: "requests_per_hour", limit: 10, amount, ...overrides })

const reserved = (decision: QuotaStore.Decision): string => {
  ok(decision._tag === "Granted", "the reservation was refused")
  return decision.reservation
}

/** Quotas of which nothing is used or held may be listed or not. */
const something = (usage: ReadonlyArray<QuotaStore.Usage>) =>
  usage
    .filter(({ reserved, used }) => used > 0 || reserved > 0)
    .map(({ key, quota, reserved, used }) => ({ key, quota, reserved, used }))
    .sort((a, b) => (a.quota < b.quota ? -1 : 1))

/** What the store gave is what the model gives. */
const same = (what: string, actual: unknown, expected: unknown): void =>
  deepStrictEqual(actual, expected, `the store and the model differ in ${what}`)

/** What one quota of a key should show. */
const shows = (
  usage: ReadonlyArray<Partial<QuotaStore.Usage>>,
  expected: Partial<QuotaStore.Usage>
): void => {
  strictEqual(usage.length, 1)
  matches(usage[0], expected)
}

const refuses = (
  decision: QuotaStore.Decision,
  expected: Partial<Extract<QuotaStore.Decision, { readonly _tag: "Refused" }>>
): void => matches(decision, { _tag: "Refused", ...expected })

/** The id of a reservation that expired after its statement was sent: it counts as used in full. */
const expired = Effect.fnUntraced(function* (
  store: Store,
  time: Time,
  key: string
): Effect.fn.Return<string, QuotaStore.QuotaStoreError> {
  const id = reserved(yield* store.reserve([charge(key, 4)], 60_000))
  yield* store.submitted(id)
  time.now += 61_000
  shows(yield* store.usage(key), { used: 4, reserved: 0 })
  return id
})

/**
 * The cases for the store of a layer.
 *
 * @since 0.1.0
 * @category constructors
 */
export const cases = <E>(
  layer: Layer.Layer<QuotaStore.QuotaStore, E>,
  options: Options = {}
): ReadonlyArray<Case<E>> => {
  const travels = (options.time ?? "clock") === "clock"
  const suite = randomUUID().slice(0, 8)
  const built = { times: 0 }

  const rule = (name: string, run: Case<E>["run"]) => ({ name, run })

  const run = (
    body: (
      store: Store,
      time: Time,
      key: (owner: string) => string,
      look: Look
    ) => Effect.Effect<void, QuotaStore.QuotaStoreError>
  ): Effect.Effect<void, E> =>
    Effect.suspend(() => {
      built.times += 1
      const namespace = `contract-${suite}-${built.times}`
      // Later than every case before it, for stores that remember how late it was.
      const time = { now: START + built.times * 10 * DAY }
      return Effect.flatMap(
        Effect.all([QuotaStore.QuotaStore, journal(options.timeoutMs ?? TIMEOUT_MS)]),
        ([store, journal]) => {
          const look: Look = (key) => journal.unnoted("usage", [key], store.usage(key))
          return journal.told(
            body(noting(store, journal), time, (owner) => `client:${namespace}-${owner}`, look)
          )
        }
      ).pipe(Effect.provide(layer), Effect.withClock(clockOf(time)))
    })

  /** All of a decision that stores must agree on: ids are their own. */
  const comparable = (decision: QuotaStore.Decision) => {
    const of = ({
      key,
      limit,
      quota,
      reserved,
      resetAt,
      used
    }: QuotaStore.Usage & { readonly limit: number }) => ({
      key,
      limit,
      quota,
      reserved,
      used,
      resetAt: travels ? resetAt : 0
    })
    return {
      granted: decision._tag === "Granted",
      of: decision._tag === "Granted" ? decision.usage.map(of) : [of(decision)]
    }
  }

  /** Runs the commands on the store and on the model, and compares every answer and what they come to. */
  const agrees = (
    commands: ReadonlyArray<Command>,
    store: Store,
    time: Time,
    key: (owner: string) => string,
    look: Look
  ): Effect.Effect<void, QuotaStore.QuotaStoreError> =>
    Effect.gen(function* () {
      const model = Ledger.make<QuotaStore.QuotaName>("model-")
      const ids: Array<readonly [store: string, model: string]> = []
      const keyed = <T extends { readonly owner: Owner }>(values: ReadonlyArray<T>) =>
        values.map(({ owner, ...rest }) => ({ ...rest, key: key(owner) }))
      for (const command of commands) {
        switch (command._tag) {
          case "tick":
            if (travels) time.now += command.ms
            break
          case "check": {
            const charges = keyed(command.charges)
            const actual = yield* store.check(charges)
            same(
              "the answer to check",
              comparable(actual),
              comparable(Ledger.check(model, time.now, charges))
            )
            break
          }
          case "reserve": {
            const charges = keyed(command.charges)
            const ttl = travels ? command.ttl : DAY
            const actual = yield* store.reserve(charges, ttl)
            const expected = Ledger.reserve(model, time.now, charges, ttl)
            same("the answer to reserve", comparable(actual), comparable(expected))
            if (actual._tag === "Granted" && expected._tag === "Granted") {
              ids.push([actual.reservation, expected.reservation])
            }
            break
          }
          case "reset":
            yield* store.reset(key(command.owner), command.quota)
            Ledger.reset(model, time.now, key(command.owner), command.quota)
            break
          default: {
            const pair = ids[command.which % Math.max(1, ids.length)]
            if (pair === undefined) break
            if (command._tag === "submitted") {
              yield* store.submitted(pair[0])
              Ledger.submitted(model, time.now, pair[1])
            } else if (command._tag === "release") {
              yield* store.release(pair[0])
              Ledger.release(model, time.now, pair[1])
            } else {
              yield* store.settle(pair[0], keyed(command.actual))
              Ledger.settle(model, time.now, pair[1], keyed(command.actual))
            }
          }
        }
        for (const owner of owners) {
          same(
            `the usage after ${command._tag === "tick" ? `${command.ms} ms` : command._tag}`,
            something(yield* look(key(owner))),
            something(Ledger.usage(model, time.now, key(owner)))
          )
        }
      }
    })

  const always = [
    rule(
      "agrees with the model over any sequence of commands",
      property(
        fc.array(commandArbitrary, { minLength: 1, maxLength: 30 }),
        options.numRuns ?? 60,
        (commands) => run((store, time, key, look) => agrees(commands, store, time, key, look))
      )
    ),

    rule(
      "admits exactly the limit of concurrent reservations",
      run((store, _, key) =>
        Effect.gen(function* () {
          const decisions = yield* Effect.all(
            Array.from({ length: 60 }, (_, i) =>
              store.reserve([charge(key("all"), 1), charge(key(`${i % 7}`), 1)], DAY)
            ),
            { concurrency: "unbounded" }
          )
          strictEqual(decisions.filter(({ _tag }) => _tag === "Granted").length, 10)
          const [usage] = yield* store.usage(key("all"))
          matches(usage, { used: 0, reserved: 10 })
        })
      )
    ),

    rule(
      "charges nothing for a refusal: not even the charges that would fit",
      run((store, _, key) =>
        Effect.gen(function* () {
          const decision = yield* store.reserve([charge(key("a"), 1), charge(key("b"), 11)], DAY)
          refuses(decision, { key: key("b"), limit: 10, used: 0, reserved: 0 })
          deepStrictEqual(something(yield* store.usage(key("a"))), [])
        })
      )
    ),

    rule(
      "adds up the charges of one quota and key in a reservation",
      run((store, _, key) =>
        Effect.gen(function* () {
          const both = [charge(key("a"), 6), charge(key("a"), 5)]
          refuses(yield* store.check(both), { key: key("a"), limit: 10, used: 0, reserved: 6 })
          refuses(yield* store.reserve(both, DAY), { key: key("a"), limit: 10, used: 0, reserved: 6 })
          deepStrictEqual(something(yield* store.usage(key("a"))), [])
          reserved(yield* store.reserve([charge(key("a"), 6), charge(key("a"), 4)], DAY))
          shows(something(yield* store.usage(key("a"))), { used: 0, reserved: 10 })
        })
      )
    ),

    rule(
      "counts an amount below 0 as 0",
      run((store, _, key) =>
        Effect.gen(function* () {
          reserved(yield* store.reserve([charge(key("a"), 4)], DAY))
          const id = reserved(yield* store.reserve([charge(key("a"), -3)], DAY))
          shows(something(yield* store.usage(key("a"))), { used: 0, reserved: 4 })
          yield* store.settle(id, [])
          shows(something(yield* store.usage(key("a"))), { used: 0, reserved: 4 })
          refuses(yield* store.reserve([charge(key("a"), -3), charge(key("a"), 7)], DAY), { key: key("a") })
        })
      )
    ),

    rule(
      "keeps the estimate where the actual amount is below 0",
      run((store, _, key) =>
        Effect.gen(function* () {
          const id = reserved(yield* store.reserve([charge(key("a"), 4)], DAY))
          yield* store.settle(id, [{ key: key("a"), quota: "requests_per_hour", amount: -1 }])
          shows(something(yield* store.usage(key("a"))), { used: 4, reserved: 0 })
        })
      )
    ),

    rule(
      "counts parts of a credit",
      run((store, _, key) =>
        Effect.gen(function* () {
          const credits = { quota: "credits_per_day", limit: 1 } as const
          const id = reserved(yield* store.reserve([charge(key("a"), 0.25, credits)], DAY))
          shows(something(yield* store.usage(key("a"))), { used: 0, reserved: 0.25 })
          yield* store.settle(id, [{ key: key("a"), quota: "credits_per_day", amount: 0.3125 }])
          shows(something(yield* store.usage(key("a"))), { used: 0.3125, reserved: 0 })
          refuses(yield* store.reserve([charge(key("a"), 0.75, credits)], DAY), { used: 0.3125, limit: 1 })
          reserved(yield* store.reserve([charge(key("a"), 0.6875, credits)], DAY))
        })
      )
    ),

    rule(
      "counts the first settle or release of a reservation, and no other",
      run((store, _, key) =>
        Effect.gen(function* () {
          const actual = (amount: number) => [{ key: key("a"), quota: "requests_per_hour" as const, amount }]
          const one = reserved(yield* store.reserve([charge(key("a"), 4)], DAY))
          const two = reserved(yield* store.reserve([charge(key("a"), 4)], DAY))
          yield* store.settle(one, actual(2))
          yield* store.settle(one, actual(7))
          yield* store.release(one)
          yield* store.release(two)
          yield* store.settle(two, actual(7))
          shows(yield* store.usage(key("a")), { used: 2, reserved: 0 })
        })
      )
    ),

    rule(
      "settles once when several settle at the same time",
      run((store, _, key) =>
        Effect.gen(function* () {
          const id = reserved(yield* store.reserve([charge(key("a"), 4)], DAY))
          yield* Effect.all(
            Array.from({ length: 20 }, () =>
              store.settle(id, [{ key: key("a"), quota: "requests_per_hour", amount: 3 }])
            ),
            { concurrency: "unbounded" }
          )
          shows(yield* store.usage(key("a")), { used: 3, reserved: 0 })
        })
      )
    ),

    rule(
      "charges the actual amounts of an unknown reservation, once",
      run((store, _, key) =>
        Effect.gen(function* () {
          const actual = [{ key: key("a"), quota: "requests_per_hour" as const, amount: 3 }]
          yield* store.settle(key("unknown"), actual)
          yield* store.settle(key("unknown"), actual)
          shows(yield* store.usage(key("a")), { used: 3, reserved: 0 })
        })
      )
    ),

    rule(
      "takes an id or a key that it does not know for no error, and charges nothing for a release",
      run((store, _, key) =>
        Effect.gen(function* () {
          yield* store.submitted(key("unknown"))
          yield* store.release(key("unknown"))
          yield* store.settle(key("unknown"), [{ key: key("a"), quota: "requests_per_hour", amount: 3 }])
          yield* store.reset(key("a"))
          deepStrictEqual(something(yield* store.usage(key("a"))), [])
          const id = reserved(yield* store.reserve([charge(key("a"), 4)], DAY))
          yield* store.release(id)
          yield* store.submitted(id)
          deepStrictEqual(something(yield* store.usage(key("a"))), [])
        })
      )
    ),

    rule(
      "answers a check as it would a reservation, and holds nothing for it",
      run((store, _, key) =>
        Effect.gen(function* () {
          yield* store.reserve([charge(key("a"), 4)], DAY)
          const granted = yield* store.check([charge(key("a"), 6)])
          matches(granted, { _tag: "Granted", reservation: "" })
          if (granted._tag === "Granted") shows(granted.usage, { used: 0, reserved: 10 })
          refuses(yield* store.check([charge(key("a"), 7)]), { key: key("a"), used: 0, reserved: 4 })
          shows(something(yield* store.usage(key("a"))), { used: 0, reserved: 4 })
        })
      )
    ),

    rule(
      "lists every key once and in order, over as many pages as it takes",
      run((store, _, key) =>
        Effect.gen(function* () {
          const keys = Array.from({ length: 230 }, (_, i) => key(`k${i}`)).sort()
          yield* Effect.forEach([...keys].reverse(), (each) => store.reserve([charge(each, 1)], DAY), {
            discard: true
          })
          const pages = (cursor?: string): Effect.Effect<ReadonlyArray<string>, QuotaStore.QuotaStoreError> =>
            Effect.flatMap(store.list(cursor), ({ next, usage }) => {
              const here = usage.map((each) => each.key)
              return next === undefined
                ? Effect.succeed(here)
                : Effect.map(pages(next), (others) => [...here, ...others])
            })
          const seen = yield* pages()
          deepStrictEqual(
            seen.filter((each) => each.startsWith(key(""))),
            keys
          )
        })
      )
    ),

    rule(
      "resets one quota, or all, and leaves what is held",
      run((store, _, key) =>
        Effect.gen(function* () {
          const both = [charge(key("a"), 3), charge(key("a"), 5, { quota: "queries_per_day" })]
          yield* store.settle(reserved(yield* store.reserve(both, DAY)), [])
          yield* store.reserve([charge(key("a"), 1)], DAY)
          yield* store.reset(key("a"), "queries_per_day")
          shows(something(yield* store.usage(key("a"))), { used: 3, reserved: 1 })
          yield* store.reset(key("a"))
          shows(something(yield* store.usage(key("a"))), { used: 0, reserved: 1 })
        })
      )
    ),
    rule(
      "carries an interrupted reservation out as a whole or not at all, and holds no other operation back",
      run((store, _, key) =>
        Effect.gen(function* () {
          for (const i of Array.from({ length: 20 }).keys()) {
            const asked = yield* Effect.fork(
              store.reserve([charge(key(`x${i}`), 1), charge(key(`y${i}`), 1)], DAY)
            )
            yield* Effect.replicateEffect(Effect.yieldNow(), i % 5, { discard: true })
            yield* Fiber.interrupt(asked)
            // What was sent may arrive between two looks: it is whole in the end.
            const held = (name: string) =>
              Effect.map(store.usage(key(`${name}${i}`)), (usage) =>
                something(usage).map(({ reserved }) => reserved)
              )
            const [x, y] = yield* Effect.repeat(Effect.zip(held("x"), held("y")), {
              until: ([x, y]) => x.join() === y.join(),
              times: 1_000
            })
            deepStrictEqual(x, y)
          }
          reserved(yield* store.reserve([charge(key("x0"), 1)], DAY))
        })
      )
    )
  ]

  const inTime = [
    rule(
      "gives an hour its limit back at the full hour UTC, not one millisecond earlier",
      run((store, time, key) =>
        Effect.gen(function* () {
          const id = reserved(yield* store.reserve([charge(key("a"), 10)], DAY))
          yield* store.settle(id, [])
          const refused = yield* store.reserve([charge(key("a"), 1)], DAY)
          const border = Math.floor(time.now / HOUR) * HOUR + HOUR
          refuses(refused, { used: 10, reserved: 0, resetAt: border })
          time.now = border - 1
          strictEqual((yield* store.reserve([charge(key("a"), 1)], DAY))._tag, "Refused")
          time.now = border
          strictEqual((yield* store.reserve([charge(key("a"), 1)], DAY))._tag, "Granted")
        })
      )
    ),

    rule(
      "books a late settlement in the window of the reservation",
      run((store, time, key) =>
        Effect.gen(function* () {
          const id = reserved(yield* store.reserve([charge(key("a"), 4)], DAY))
          time.now += HOUR
          yield* store.settle(id, [{ key: key("a"), quota: "requests_per_hour", amount: 9 }])
          deepStrictEqual(something(yield* store.usage(key("a"))), [])
        })
      )
    ),

    rule(
      "releases an expired reservation, and charges one that was submitted",
      run((store, time, key) =>
        Effect.gen(function* () {
          yield* store.reserve([charge(key("a"), 4)], 60_000)
          yield* store.submitted(reserved(yield* store.reserve([charge(key("b"), 4)], 60_000)))
          time.now += 59_999
          shows(yield* store.usage(key("a")), { used: 0, reserved: 4 })
          time.now += 1
          deepStrictEqual(something(yield* store.usage(key("a"))), [])
          shows(yield* store.usage(key("b")), { used: 4, reserved: 0 })
        })
      )
    ),

    rule(
      "charges the estimate when it hears after the expiry that work was submitted, once",
      run((store, time, key) =>
        Effect.gen(function* () {
          const id = reserved(yield* store.reserve([charge(key("a"), 4)], 60_000))
          time.now += 61_000
          deepStrictEqual(something(yield* store.usage(key("a"))), [])
          yield* store.submitted(id)
          yield* store.submitted(id)
          shows(yield* store.usage(key("a")), { used: 4, reserved: 0 })
        })
      )
    ),

    rule(
      "accepts a settlement after the expiry",
      run((store, time, key) =>
        Effect.gen(function* () {
          const id = yield* expired(store, time, key("a"))
          yield* store.settle(id, [{ key: key("a"), quota: "requests_per_hour", amount: 1 }])
          shows(yield* store.usage(key("a")), { used: 1, reserved: 0 })
        })
      )
    ),

    rule(
      "names the quota that takes longest to clear in a refusal, the first of them if they take equally long",
      run((store, _, key) =>
        Effect.gen(function* () {
          const hour = charge(key("a"), 10)
          const other = charge(key("b"), 10)
          const day = charge(key("a"), 10, { quota: "queries_per_day" })
          reserved(yield* store.reserve([hour, other, day], DAY))
          for (const charges of [
            [hour, day],
            [day, hour]
          ]) {
            refuses(yield* store.reserve(charges, DAY), { key: key("a"), quota: "queries_per_day" })
          }
          refuses(yield* store.reserve([hour, other], DAY), { key: key("a"), quota: "requests_per_hour" })
          refuses(yield* store.reserve([other, hour], DAY), { key: key("b"), quota: "requests_per_hour" })
        })
      )
    ),

    rule(
      "does not take what is used below 0 by a correction of an amount from before a reset",
      run((store, time, key) =>
        Effect.gen(function* () {
          const id = yield* expired(store, time, key("a"))
          yield* store.reset(key("a"))
          yield* store.settle(id, [{ key: key("a"), quota: "requests_per_hour", amount: 1 }])
          for (const { used } of yield* store.usage(key("a"))) strictEqual(used, 0)
          reserved(yield* store.reserve([charge(key("a"), 10)], DAY))
          refuses(yield* store.reserve([charge(key("a"), 1)], DAY), { used: 0, reserved: 10 })
        })
      )
    ),

    rule(
      "is not affected by a clock that steps back over the border of a window",
      run((store, time, key) =>
        Effect.gen(function* () {
          time.now = Math.floor(time.now / HOUR) * HOUR + HOUR
          yield* store.settle(reserved(yield* store.reserve([charge(key("a"), 10)], DAY)), [])
          time.now -= 1
          refuses(yield* store.reserve([charge(key("a"), 1)], DAY), {
            resetAt: time.now + 1 + HOUR
          })
        })
      )
    )
  ]
  return travels ? [...always, ...inTime] : always
}
