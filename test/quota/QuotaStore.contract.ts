/**
 * What every quota store must do. Run it with one line per store:
 *
 * ```ts
 * contract("memory", QuotaStore.layerMemory)
 * ```
 *
 * Each case builds the layer afresh and works on keys of its own, so a store may also keep what earlier
 * cases left behind. Time is the `Clock`'s and is moved by hand; sleeping is real, so a store may wait
 * for locks or sockets. A store that takes its time from elsewhere (`time: "elsewhere"`) is spared the
 * cases that travel.
 */
import { describe, expect, it } from "@effect/vitest"
import type { Layer } from "effect"
import { Clock, Effect, FastCheck as fc } from "effect"
import * as Ledger from "../../src/quota/core/Ledger.js"
import type { QuotaStoreError } from "../../src/quota/QuotaStore.js"
import * as QuotaStore from "../../src/quota/QuotaStore.js"

export interface ContractOptions {
  readonly time?: "clock" | "elsewhere" | undefined
  /** Sequences of commands compared with the model; 60 when absent. */
  readonly numRuns?: number | undefined
}

const HOUR = 3_600_000
const DAY = 24 * HOUR
const START = Date.UTC(2031, 4, 5, 12, 30)
const quotas: ReadonlyArray<QuotaStore.QuotaName> = ["requests_per_hour", "queries_per_day", "bytes_per_day"]
const owners = ["a", "b", "all"] as const
type Owner = (typeof owners)[number]

interface Time {
  now: number
}

const clockOf = (time: Time): Clock.Clock => {
  const live = Clock.make()
  return {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => time.now,
    unsafeCurrentTimeNanos: () => BigInt(time.now) * 1_000_000n,
    currentTimeMillis: Effect.sync(() => time.now),
    currentTimeNanos: Effect.sync(() => BigInt(time.now) * 1_000_000n),
    sleep: (duration) => live.sleep(duration)
  }
}

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

let cases = 0

export const contract = <E>(
  name: string,
  layer: Layer.Layer<QuotaStore.QuotaStore, E>,
  options: ContractOptions = {}
): void => {
  const travels = (options.time ?? "clock") === "clock"

  const run = <A>(
    body: (
      store: typeof QuotaStore.QuotaStore.Service,
      time: Time,
      key: (owner: string) => string
    ) => Effect.Effect<A, QuotaStoreError>
  ): Promise<A> => {
    cases += 1
    const namespace = `contract-${cases}`
    // Later than every case before it, for stores that remember how late it was.
    const time = { now: START + cases * 10 * DAY }
    return Effect.flatMap(QuotaStore.QuotaStore, (store) =>
      body(store, time, (owner) => `client:${namespace}-${owner}`)
    ).pipe(Effect.provide(layer), Effect.withClock(clockOf(time)), Effect.runPromise)
  }

  const charge = (
    key: string,
    amount: number,
    overrides: Partial<QuotaStore.Charge> = {}
  ): QuotaStore.Charge => ({ key, quota: "requests_per_hour", limit: 10, amount, ...overrides })

  const reserved = (decision: QuotaStore.Decision): string => {
    if (decision._tag === "Refused") throw new Error("refused")
    return decision.reservation
  }

  /** All of a decision that stores must agree on: ids are their own. */
  const comparable = (decision: QuotaStore.Decision) => {
    const reset = <T extends { readonly resetAt: number }>(value: T): T =>
      travels ? value : { ...value, resetAt: 0 }
    return decision._tag === "Granted" ? decision.usage.map(reset) : reset(decision)
  }

  /** Quotas of which nothing is used or held may be listed or not. */
  const something = (usage: ReadonlyArray<QuotaStore.Usage>) =>
    usage
      .filter(({ reserved, used }) => used > 0 || reserved > 0)
      .map(({ key, quota, reserved, used }) => ({ key, quota, reserved, used }))
      .sort((a, b) => (a.quota < b.quota ? -1 : 1))

  describe(`quota store: ${name}`, () => {
    it("agrees with the model over any sequence of commands", () =>
      fc.assert(
        fc.asyncProperty(fc.array(commandArbitrary, { minLength: 1, maxLength: 30 }), (commands) =>
          run((store, time, key) =>
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
                  case "check":
                  case "reserve": {
                    const charges = keyed(command.charges)
                    const ttl = command._tag === "reserve" ? (travels ? command.ttl : DAY) : 0
                    const [actual, expected] =
                      command._tag === "reserve"
                        ? [yield* store.reserve(charges, ttl), Ledger.reserve(model, time.now, charges, ttl)]
                        : [yield* store.check(charges), Ledger.check(model, time.now, charges)]
                    expect(comparable(actual)).toEqual(comparable(expected))
                    if (
                      command._tag === "reserve" &&
                      actual._tag === "Granted" &&
                      expected._tag === "Granted"
                    ) {
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
                  expect(something(yield* store.usage(key(owner)))).toEqual(
                    something(Ledger.usage(model, time.now, key(owner)))
                  )
                }
              }
            })
          )
        ),
        { numRuns: options.numRuns ?? 60 }
      ))

    it("admits exactly the limit of concurrent reservations", () =>
      run((store, _, key) =>
        Effect.gen(function* () {
          const decisions = yield* Effect.all(
            Array.from({ length: 60 }, (_, i) =>
              store.reserve([charge(key("all"), 1), charge(key(`${i % 7}`), 1)], DAY)
            ),
            { concurrency: "unbounded" }
          )
          expect(decisions.filter(({ _tag }) => _tag === "Granted").length).toBe(10)
          const [usage] = yield* store.usage(key("all"))
          expect(usage).toMatchObject({ used: 0, reserved: 10 })
        })
      ))

    it("charges nothing for a refusal: not even the charges that would fit", () =>
      run((store, _, key) =>
        Effect.gen(function* () {
          const decision = yield* store.reserve([charge(key("a"), 1), charge(key("b"), 11)], DAY)
          expect(decision).toMatchObject({ _tag: "Refused", key: key("b"), limit: 10, used: 0, reserved: 0 })
          expect(something(yield* store.usage(key("a")))).toEqual([])
        })
      ))

    it("counts the first settle or release of a reservation, and no other", () =>
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
          expect(yield* store.usage(key("a"))).toMatchObject([{ used: 2, reserved: 0 }])
        })
      ))

    it("settles once when several settle at the same time", () =>
      run((store, _, key) =>
        Effect.gen(function* () {
          const id = reserved(yield* store.reserve([charge(key("a"), 4)], DAY))
          yield* Effect.all(
            Array.from({ length: 20 }, () =>
              store.settle(id, [{ key: key("a"), quota: "requests_per_hour", amount: 3 }])
            ),
            { concurrency: "unbounded" }
          )
          expect(yield* store.usage(key("a"))).toMatchObject([{ used: 3, reserved: 0 }])
        })
      ))

    it("charges the actual amounts of an unknown reservation, once", () =>
      run((store, _, key) =>
        Effect.gen(function* () {
          const actual = [{ key: key("a"), quota: "requests_per_hour" as const, amount: 3 }]
          yield* store.settle(key("unknown"), actual)
          yield* store.settle(key("unknown"), actual)
          expect(yield* store.usage(key("a"))).toMatchObject([{ used: 3, reserved: 0 }])
        })
      ))

    it("lists every key once and in order, over as many pages as it takes", () =>
      run((store, _, key) =>
        Effect.gen(function* () {
          const keys = Array.from({ length: 230 }, (_, i) => key(`k${i}`)).sort()
          yield* Effect.forEach(keys, (each) => store.reserve([charge(each, 1)], DAY), { discard: true })
          const seen: Array<string> = []
          let cursor: string | undefined = undefined
          do {
            const page: Effect.Effect.Success<ReturnType<typeof store.list>> = yield* store.list(cursor)
            seen.push(...page.usage.map((usage) => usage.key))
            cursor = page.next
          } while (cursor !== undefined)
          expect(seen.filter((each) => each.startsWith(key("")))).toEqual(keys)
        })
      ))

    it("resets one quota, or all, and leaves what is held", () =>
      run((store, _, key) =>
        Effect.gen(function* () {
          const both = [charge(key("a"), 3), charge(key("a"), 5, { quota: "queries_per_day" })]
          yield* store.settle(reserved(yield* store.reserve(both, DAY)), [])
          yield* store.reserve([charge(key("a"), 1)], DAY)
          yield* store.reset(key("a"), "queries_per_day")
          expect(something(yield* store.usage(key("a")))).toMatchObject([{ used: 3, reserved: 1 }])
          yield* store.reset(key("a"))
          expect(something(yield* store.usage(key("a")))).toMatchObject([{ used: 0, reserved: 1 }])
        })
      ))

    describe.runIf(travels)("in time", () => {
      it("gives an hour its limit back at the full hour UTC, not one millisecond earlier", () =>
        run((store, time, key) =>
          Effect.gen(function* () {
            const id = reserved(yield* store.reserve([charge(key("a"), 10)], DAY))
            yield* store.settle(id, [])
            const refused = yield* store.reserve([charge(key("a"), 1)], DAY)
            const border = Math.floor(time.now / HOUR) * HOUR + HOUR
            expect(refused).toMatchObject({ _tag: "Refused", used: 10, reserved: 0, resetAt: border })
            time.now = border - 1
            expect((yield* store.reserve([charge(key("a"), 1)], DAY))._tag).toBe("Refused")
            time.now = border
            expect((yield* store.reserve([charge(key("a"), 1)], DAY))._tag).toBe("Granted")
          })
        ))

      it("books a late settlement in the window of the reservation", () =>
        run((store, time, key) =>
          Effect.gen(function* () {
            const id = reserved(yield* store.reserve([charge(key("a"), 4)], DAY))
            time.now += HOUR
            yield* store.settle(id, [{ key: key("a"), quota: "requests_per_hour", amount: 9 }])
            expect(something(yield* store.usage(key("a")))).toEqual([])
          })
        ))

      it("releases an expired reservation, and charges one that was submitted", () =>
        run((store, time, key) =>
          Effect.gen(function* () {
            yield* store.reserve([charge(key("a"), 4)], 60_000)
            yield* store.submitted(reserved(yield* store.reserve([charge(key("b"), 4)], 60_000)))
            time.now += 59_999
            expect(yield* store.usage(key("a"))).toMatchObject([{ used: 0, reserved: 4 }])
            time.now += 1
            expect(something(yield* store.usage(key("a")))).toEqual([])
            expect(yield* store.usage(key("b"))).toMatchObject([{ used: 4, reserved: 0 }])
          })
        ))

      it("accepts a settlement after the expiry", () =>
        run((store, time, key) =>
          Effect.gen(function* () {
            const id = reserved(yield* store.reserve([charge(key("a"), 4)], 60_000))
            yield* store.submitted(id)
            time.now += 61_000
            expect(yield* store.usage(key("a"))).toMatchObject([{ used: 4, reserved: 0 }])
            yield* store.settle(id, [{ key: key("a"), quota: "requests_per_hour", amount: 1 }])
            expect(yield* store.usage(key("a"))).toMatchObject([{ used: 1, reserved: 0 }])
          })
        ))

      it("is not affected by a clock that steps back over the border of a window", () =>
        run((store, time, key) =>
          Effect.gen(function* () {
            time.now = Math.floor(time.now / HOUR) * HOUR + HOUR
            yield* store.settle(reserved(yield* store.reserve([charge(key("a"), 10)], DAY)), [])
            time.now -= 1
            expect(yield* store.reserve([charge(key("a"), 1)], DAY)).toMatchObject({
              _tag: "Refused",
              resetAt: time.now + 1 + HOUR
            })
          })
        ))
    })
  })
}
