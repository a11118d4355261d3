import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Effect, Exit, Layer, Option } from "effect"
import * as QuotaStore from "snowguard/QuotaStore"
import * as QuotaStoreContract from "snowguard/testing/QuotaStoreContract"
import { someOrAll } from "../utils/long.js"

type Store = QuotaStore.QuotaStore["Type"]

/** The cases that a store does not keep. */
const broken = async (layer: Layer.Layer<QuotaStore.QuotaStore>): Promise<Array<string>> => {
  const names: Array<string> = []
  for (const { name, run } of QuotaStoreContract.cases(layer, { numRuns: 20 })) {
    if ((await Effect.runPromiseExit(run))._tag === "Failure") names.push(name)
  }
  return names
}

const model = "agrees with the model over any sequence of commands"

/** A store as it is written first: a map, one entry for each quota of a key, read and then written. */
const naive = Layer.sync(QuotaStore.QuotaStore, (): Store => {
  const HOUR = 3_600_000
  const used = new Map<string, QuotaStore.Usage>()
  const held = new Map<string, ReadonlyArray<QuotaStore.Charge>>()
  const at = (key: string, quota: QuotaStore.QuotaName): Effect.Effect<QuotaStore.Usage> =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      const window = quota.endsWith("_per_day") ? 24 * HOUR : HOUR
      const found = used.get(`${key} ${quota}`)
      return found !== undefined && found.resetAt > now
        ? found
        : { key, quota, used: 0, reserved: 0, resetAt: Math.floor(now / window) * window + window }
    })
  const set = (usage: QuotaStore.Usage) =>
    Effect.sync(() => void used.set(`${usage.key} ${usage.quota}`, usage))
  const decide = (charges: ReadonlyArray<QuotaStore.Charge>) =>
    Effect.gen(function* () {
      const usage = yield* Effect.forEach(charges, (charge) =>
        Effect.map(at(charge.key, charge.quota), (found) => ({ ...found, ...charge }))
      )
      const over = usage.find(({ amount, limit, reserved, used }) => used + reserved + amount > limit)
      return over === undefined
        ? { _tag: "Granted" as const, reservation: `${held.size}`, usage }
        : { ...over, _tag: "Refused" as const }
    })
  const end = (id: string, actual: ReadonlyArray<QuotaStore.Actual> | undefined) =>
    Effect.forEach(
      held.get(id) ?? [],
      ({ amount, key, quota }) =>
        Effect.flatMap(at(key, quota), (found) => {
          const spent = actual?.find((each) => each.key === key && each.quota === quota)?.amount ?? amount
          return set({
            ...found,
            used: found.used + (actual === undefined ? 0 : spent),
            reserved: found.reserved - amount
          })
        }),
      { discard: true }
    )
  return {
    check: decide,
    reserve: (charges) =>
      Effect.gen(function* () {
        const decision = yield* decide(charges)
        // Another call comes in between: a database is asked and answers.
        yield* Effect.yieldNow()
        if (decision._tag === "Refused") return decision
        for (const { amount, key, quota, reserved, resetAt, used } of decision.usage) {
          yield* set({ key, quota, used, reserved: reserved + amount, resetAt })
        }
        held.set(decision.reservation, charges)
        return decision
      }),
    submitted: () => Effect.void,
    settle: end,
    release: (id) => end(id, undefined),
    usage: (key) => Effect.sync(() => [...used.values()].filter((each) => each.key === key)),
    list: () => Effect.sync(() => ({ usage: [...used.values()] })),
    reset: (key) =>
      Effect.sync(() => {
        for (const [name, each] of used) if (each.key === key) used.delete(name)
      })
  }
})

/** A store in memory in which one operation is wrong. */
const wrong = (change: (store: Store) => Partial<Store>): Layer.Layer<QuotaStore.QuotaStore> =>
  Layer.effect(
    QuotaStore.QuotaStore,
    Effect.map(QuotaStore.makeMemory(), (store) => ({ ...store, ...change(store) }))
  )

/** Each fault with a case that names it. */
const faults: ReadonlyArray<
  readonly [name: string, layer: Layer.Layer<QuotaStore.QuotaStore>, caught: string]
> = [
  [
    "that charges one after the other",
    wrong(({ reserve }) => ({
      reserve: (charges, ttlMs) =>
        Effect.gen(function* () {
          for (const charge of charges.slice(0, -1)) yield* reserve([charge], ttlMs)
          return yield* reserve(charges.slice(-1), ttlMs)
        })
    })),
    "charges nothing for a refusal: not even the charges that would fit"
  ],
  [
    "that charges where it should only look",
    wrong(({ reserve }) => ({ check: (charges) => reserve(charges, 1000) })),
    model
  ],
  [
    "that settles a reservation as often as it is asked",
    wrong(({ settle }) => ({ settle: (id, actual) => settle(`${id} ${Math.random()}`, actual) })),
    "counts the first settle or release of a reservation, and no other"
  ],
  [
    "that forgets what was submitted",
    wrong(() => ({ submitted: () => Effect.void })),
    "releases an expired reservation, and charges one that was submitted"
  ],
  [
    "that ends its list after one page",
    wrong(({ list }) => ({ list: (cursor) => Effect.map(list(cursor), ({ usage }) => ({ usage })) })),
    "lists every key once and in order, over as many pages as it takes"
  ],
  [
    "that resets all quotas of a key for one",
    wrong(({ reset }) => ({ reset: (key) => reset(key) })),
    "resets one quota, or all, and leaves what is held"
  ],
  [
    "that says a millisecond too much of when a window ends",
    wrong(({ reserve }) => ({
      reserve: (charges, ttlMs) =>
        Effect.map(reserve(charges, ttlMs), (decision) =>
          decision._tag === "Refused" ? { ...decision, resetAt: decision.resetAt + 1 } : decision
        )
    })),
    "gives an hour its limit back at the full hour UTC, not one millisecond earlier"
  ],
  [
    "that books half of what is interrupted",
    wrong(({ reserve }) => ({
      reserve: (charges, ttlMs) =>
        Effect.gen(function* () {
          const first = yield* reserve(charges.slice(0, 1), ttlMs)
          if (charges.length === 1) return first
          yield* Effect.yieldNow()
          return yield* reserve(charges.slice(1), ttlMs)
        })
    })),
    "carries an interrupted reservation out as a whole or not at all, and holds no other operation back"
  ],
  [
    "that looks at each charge of a quota alone",
    wrong(({ reserve }) => ({
      reserve: (charges, ttlMs) =>
        reserve(
          charges.map((charge, i) => ({
            ...charge,
            limit: charges
              .slice(0, i)
              .filter(({ key, quota }) => key === charge.key && quota === charge.quota)
              .reduce((limit, { amount }) => limit + amount, charge.limit)
          })),
          ttlMs
        )
    })),
    "adds up the charges of one quota and key in a reservation"
  ],
  [
    "that drops the sign of an amount",
    wrong(({ reserve }) => ({
      reserve: (charges, ttlMs) =>
        reserve(
          charges.map((charge) => ({ ...charge, amount: Math.abs(charge.amount) })),
          ttlMs
        )
    })),
    "counts an amount below 0 as 0"
  ],
  [
    "that takes an actual amount below 0",
    wrong(({ settle }) => ({
      settle: (id, actual) =>
        settle(
          id,
          actual.map((each) => ({ ...each, amount: Math.max(0, each.amount) }))
        )
    })),
    "keeps the estimate where the actual amount is below 0"
  ],
  [
    "that subtracts what was used before a reset",
    wrong(({ reset, usage }) => {
      const before = new Map<string, number>()
      return {
        reset: (key, quota) =>
          key.endsWith("-a") && quota === undefined
            ? Effect.flatMap(usage(key), (all) => Effect.sync(() => void before.set(key, all[0]?.used ?? 0)))
            : reset(key, quota),
        usage: (key) =>
          Effect.map(usage(key), (all) =>
            all.map((each) => ({ ...each, used: each.used - (before.get(key) ?? 0) }))
          )
      }
    }),
    "does not take what is used below 0 by a correction of an amount from before a reset"
  ],
  [
    "that counts whole credits only",
    wrong(({ reserve, settle }) => ({
      reserve: (charges, ttlMs) =>
        reserve(
          charges.map((charge) => ({ ...charge, amount: Math.round(charge.amount) })),
          ttlMs
        ),
      settle: (id, actual) =>
        settle(
          id,
          actual.map((each) => ({ ...each, amount: Math.round(each.amount) }))
        )
    })),
    "counts parts of a credit"
  ],
  [
    "that lists keys as they came",
    wrong(({ reserve, usage }) => {
      const keys = new Set<string>()
      return {
        reserve: (charges, ttlMs) => {
          for (const { key } of charges) keys.add(key)
          return reserve(charges, ttlMs)
        },
        list: () => Effect.map(Effect.forEach(keys, usage), (all) => ({ usage: all.flat() }))
      }
    }),
    "lists every key once and in order, over as many pages as it takes"
  ],
  [
    "that names the first quota that refuses",
    wrong(({ check, reserve }) => ({
      reserve: (charges, ttlMs) =>
        Effect.gen(function* () {
          for (const charge of charges) {
            const alone = yield* check([charge])
            if (alone._tag === "Refused") return alone
          }
          return yield* reserve(charges, ttlMs)
        })
    })),
    "names the quota that takes longest to clear in a refusal, the first of them if they take equally long"
  ]
]

describe("the contract of quota stores, for stores written elsewhere", () => {
  it("finds nothing in a store that keeps it", async () => {
    assert.deepStrictEqual(await broken(QuotaStore.layerMemory), [])
  })

  it.each(someOrAll(faults, 6))("finds a store %s", async (_, layer, caught) => {
    assert.include(await broken(layer), caught)
  })

  it("finds what a store as it is written first does wrong: a race, settlements that count twice, a lost hold", async () => {
    const names = await broken(naive)
    assert.includeMembers(names, [
      model,
      "admits exactly the limit of concurrent reservations",
      "counts the first settle or release of a reservation, and no other",
      "charges the actual amounts of an unknown reservation, once",
      "resets one quota, or all, and leaves what is held"
    ])
    assert.notInclude(names, "charges nothing for a refusal: not even the charges that would fit")
  })

  it("leaves out the cases in which time passes for a store with a clock of its own", () => {
    const all = QuotaStoreContract.cases(QuotaStore.layerMemory)
    const still = QuotaStoreContract.cases(QuotaStore.layerMemory, { time: "elsewhere" })
    assert.isBelow(still.length, all.length)
  })

  const messageOf = async (layer: Layer.Layer<QuotaStore.QuotaStore>, name: string): Promise<string> => {
    const cases = QuotaStoreContract.cases(layer, { numRuns: 300 })
    const failed = cases.find((each) => each.name === name) ?? assert.fail()
    return (await Effect.runPromise(failed.run).then(() => undefined, String)) ?? ""
  }

  const defectOf = async (run: Effect.Effect<void>): Promise<Error> => {
    const exit = await Effect.runPromiseExit(run)
    const defect = Exit.isFailure(exit) ? Option.getOrThrow(Cause.dieOption(exit.cause)) : assert.fail()
    return defect instanceof Error ? defect : assert.fail(String(defect))
  }

  it.each(someOrAll(faults, 3))(
    "tells of a store %s what was expected, what it gave and which operations led there",
    async (_, layer, caught) => {
      const message = await messageOf(layer, caught)
      assert.match(message, /AssertionError/)
      assert.match(
        message,
        /^expected: .+\ngot: .+\noperations, the last one last:\n {2}\d+\. \+\d+ ms \w+\(/m
      )
    }
  )

  it.each(
    someOrAll(
      [
        [
          "check",
          wrong(({ reserve }) => ({ check: (charges) => reserve(charges, 1000) })),
          /usage after check/
        ],
        ["release", wrong(() => ({ release: () => Effect.void })), /usage after (release|settle)/],
        ["settle", wrong(({ settle }) => ({ settle: (id) => settle(id, []) })), /usage after settle/],
        [
          "reserve",
          wrong(({ reserve }) => ({
            reserve: (charges, ttlMs) =>
              Effect.map(reserve(charges, ttlMs), (decision) =>
                decision._tag === "Refused" ? { ...decision, used: decision.used + 1 } : decision
              )
          })),
          /the answer to reserve/
        ]
      ] as const,
      2
    )
  )("names the command of a sequence that went wrong: %s", async (operation, layer, where) => {
    const message = await messageOf(layer, model)
    assert.match(message, where)
    assert.match(message, new RegExp(`\\n {2}\\d+\\. \\+\\d+ ms ${operation}\\(.*: `))
    assert.match(message, /\nexpected: .+\ngot: .+\n/)
  })

  it("passes on what the store fails with, in a sequence of commands as well, and tells how it is found again", async () => {
    const down = new QuotaStore.QuotaStoreError({ operation: "reserve", description: "out of reach" })
    const layer = wrong(() => ({ reserve: () => Effect.fail(down) }))
    const [first] = QuotaStoreContract.cases(layer)
    const failed = await defectOf((first ?? assert.fail()).run)
    assert.strictEqual((failed.cause as Error).cause, down)
    const message = await messageOf(layer, model)
    assert.match(message, /out of reach\noperations, the last one last:\n {2}1\. .*reserve\(.*: failed: /)
    assert.match(message, /\nseed: -?\d+, path: \d+(:\d+)*/)
  })

  it("tells the operations that led to a store that dies", async () => {
    const layer = wrong(() => ({ settle: () => Effect.die(new TypeError("no rows")) }))
    const message = await messageOf(layer, "resets one quota, or all, and leaves what is held")
    assert.match(message, /TypeError: no rows\noperations, the last one last:\n {2}1\. .*reserve\(/)
    assert.match(message, / settle\(.*: failed: /)
  })

  it("keeps the line of the case that found a fault", async () => {
    const cases = QuotaStoreContract.cases(wrong(() => ({ release: () => Effect.void })))
    const found = cases.find(({ name }) => name.startsWith("counts the first settle")) ?? assert.fail()
    const { stack = "" } = await defectOf(found.run)
    assert.match(stack, /operations[^]+\n {4}at .*QuotaStoreContract\.ts/)
  })

  it("tells of the commands, not of its own looks, how a sequence went wrong", async () => {
    assert.notMatch(
      await messageOf(
        wrong(() => ({ release: () => Effect.void })),
        model
      ),
      /ms usage\(/
    )
  })

  it.each([
    ["never answers", Effect.never],
    ["can not be interrupted", Effect.uninterruptible(Effect.never)]
  ])("ends a case in which an operation %s, and names it", async (_, settle) => {
    const layer = wrong(() => ({ settle: () => settle }))
    const cases = QuotaStoreContract.cases(layer, { timeoutMs: 50 })
    const found = cases.find(({ name }) => name === "resets one quota, or all, and leaves what is held")
    const message = await Effect.runPromise((found ?? assert.fail()).run).then(() => "", String)
    assert.match(message, /AssertionError.*settle gave no answer within 50 ms\n/)
    assert.match(message, / {2}1\. .*reserve\(.*\n {2}2\. .*settle\(.*: no answer within 50 ms/)
  })
})
