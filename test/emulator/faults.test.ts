import { expect, it } from "@effect/vitest"
import { Either, FastCheck as fc } from "effect"
import * as Control from "../../src/emulator/control.js"
import type { Fault, FaultScript } from "../../src/emulator/FaultScript.js"
import type { Decision, Request } from "../../src/emulator/faults.js"
import * as Faults from "../../src/emulator/faults.js"
import * as Outage from "../../src/emulator/outage.js"

const query: Request = { where: "query", usesWarehouse: true }
const wheres = [
  "query",
  "query",
  "query",
  "login",
  "query",
  "chunk",
  "renew",
  "heartbeat",
  "abort",
  "monitor",
  "other"
] as const

const anyRequest: fc.Arbitrary<Request> = fc.record({
  where: fc.constantFrom(...wheres),
  usesWarehouse: fc.boolean()
})

const chance = {
  // Not fc.double, whose values between 0 and 1 are nearly all next to 0.
  probability: fc.constantFrom(0, 0.3, 0.7, 1),
  count: fc.integer({ min: 1, max: 5 }),
  fromMs: fc.integer({ min: 0, max: 200 }),
  untilMs: fc.integer({ min: 200, max: 1000 })
}
const anyFault: fc.Arbitrary<Fault> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("reset" as const, "hang" as const, "html" as const, "expiredSession" as const),
    where: fc.constantFrom("any" as const, "query" as const, "login" as const, "chunk" as const),
    ...chance
  }),
  fc.record({ kind: fc.constant("latency" as const), delay: fc.constant({ minMs: 1, maxMs: 9 }), ...chance }),
  fc.record({
    kind: fc.constantFrom("badPassword" as const, "corruptGzip" as const, "suspendedWarehouse" as const),
    ...chance
  }),
  fc.record({ kind: fc.constant("refused" as const), fromMs: chance.fromMs, untilMs: chance.untilMs })
)
const anyScript: fc.Arbitrary<FaultScript> = fc.record({
  faults: fc.array(anyFault, { minLength: 2, maxLength: 6 })
})

const decideAll = (
  script: FaultScript,
  seed: number,
  requests: ReadonlyArray<readonly [number, Request]>
): ReadonlyArray<Decision> => {
  let state = Faults.initial(script, seed)
  return requests.map(([elapsed, request]) => {
    const [decision, next] = Faults.decide(script, state, elapsed, request)
    state = next
    return decision
  })
}

const timeline = fc.array(fc.tuple(fc.integer({ min: 0, max: 1200 }), anyRequest), {
  minLength: 30,
  maxLength: 60
})

it.prop(
  "the same seed decides the same",
  [anyScript, fc.integer(), timeline],
  ([script, seed, requests]) => {
    const all = decideAll(script, seed, requests)
    expect(decideAll(script, seed, requests)).toEqual(all)
  },
  { fastCheck: { numRuns: 50 } }
)

it.prop(
  "what strikes queries does not depend on the logins in between",
  [
    fc.integer(),
    fc.array(fc.constantFrom("query" as const, "login" as const), { minLength: 30, maxLength: 60 })
  ],
  ([seed, kinds]) => {
    const script: FaultScript = {
      faults: [
        { kind: "reset", where: "login", probability: 0.5 },
        { kind: "hang", where: "query", probability: 0.5 }
      ]
    }
    const requests = kinds.map((where) => [0, { where, usesWarehouse: false }] as const)
    const among = decideAll(script, seed, requests).filter((_, index) => kinds[index] === "query")
    const alone = decideAll(
      script,
      seed,
      requests.filter(([, { where }]) => where === "query")
    )
    expect(among).toEqual(alone)
  },
  { fastCheck: { numRuns: 20 } }
)

let strikes = 0

it.prop(
  "a fault strikes within its window, where it belongs, and not more often than its count",
  [anyScript, fc.integer(), timeline],
  ([script, seed, requests]) => {
    const struck = new Map<Fault, number>()
    decideAll(script, seed, requests).forEach(({ delayMs, fault }, index) => {
      const [elapsed, request] = requests[index]!
      expect(delayMs).toBeGreaterThanOrEqual(0)
      if (fault === undefined) return
      strikes++
      struck.set(fault, (struck.get(fault) ?? 0) + 1)
      expect(elapsed).toBeGreaterThanOrEqual(fault.fromMs ?? 0)
      expect(elapsed).toBeLessThan(fault.untilMs ?? Number.POSITIVE_INFINITY)
      if ("where" in fault && fault.where !== "any") expect(request.where).toBe(fault.where)
      if (fault.kind === "badPassword") expect(request.where).toBe("login")
      if (fault.kind === "corruptGzip") expect(request.where).toBe("chunk")
      if (fault.kind === "suspendedWarehouse") expect(request.usesWarehouse).toBe(true)
    })
    for (const [fault, times] of struck) {
      if ("count" in fault) expect(times).toBeLessThanOrEqual(fault.count ?? Number.POSITIVE_INFINITY)
    }
  },
  { fastCheck: { numRuns: 50 } }
)

it("faults have struck while that was looked at", () => {
  expect(strikes).toBeGreaterThan(40)
})

it.prop(
  "as many requests are struck as the probability says",
  [fc.integer(), fc.constantFrom(0, 0.1, 0.5, 0.9, 1)],
  ([seed, probability]) => {
    const script: FaultScript = { faults: [{ kind: "reset", probability }] }
    const requests = Array.from({ length: 2000 }, () => [0, query] as const)
    const share = decideAll(script, seed, requests).filter(({ fault }) => fault !== undefined).length / 2000
    expect(Math.abs(share - probability)).toBeLessThan(0.06)
  },
  { fastCheck: { numRuns: 20 } }
)

it("latencies add up with what comes after them; of the others the first wins", () => {
  const script: FaultScript = {
    faults: [
      { kind: "latency", delay: { ms: 10 } },
      { kind: "status", status: 503, where: "login" },
      { kind: "reset" },
      { kind: "hang" },
      { kind: "latency", delay: { ms: 5 } }
    ]
  }
  expect(decideAll(script, 1, [[0, query]])).toEqual([{ delayMs: 15, fault: { kind: "reset" } }])
})

it("a log-normal delay has the median and the 99th percentile it was given", () => {
  const script: FaultScript = { faults: [{ kind: "latency", delay: { medianMs: 100, p99Ms: 1000 } }] }
  const delays = decideAll(
    script,
    7,
    Array.from({ length: 20_000 }, () => [0, query] as const)
  )
    .map(({ delayMs }) => delayMs)
    .sort((a, b) => a - b)
  expect(delays[10_000]! / 100).toBeCloseTo(1, 1)
  expect(delays[19_800]!).toBeGreaterThan(800)
  expect(delays[19_800]!).toBeLessThan(1250)
})

it("the listener is closed in the windows of refused, and the next change is known", () => {
  const script: FaultScript = {
    faults: [
      { kind: "refused", fromMs: 100, untilMs: 200 },
      { kind: "refused", fromMs: 150, untilMs: 300 }
    ]
  }
  expect([0, 99, 100, 250, 299, 300].map((at) => Faults.listening(script, at))).toEqual([
    true,
    true,
    false,
    false,
    false,
    true
  ])
  expect([0, 100, 160, 300].map((at) => Faults.nextChange(script, at))).toEqual([100, 150, 200, undefined])
})

it("a script that makes no sense is refused with what is wrong with it and what is known, in a line each", () => {
  const problem = (value: unknown) =>
    Either.getOrElse(Either.flip(Control.scriptFrom(JSON.stringify(value))), () => "")
  const keys = "kind, fromMs, untilMs, probability, count, sql, where"
  expect(problem([])).toBe('a script is an object with a list "faults"')
  expect(problem({ faults: [], seeds: 1 })).toBe(
    'unknown key "seeds"; known keys of a script: name, seed, faults'
  )
  expect(problem({ faults: [3] })).toMatch(
    /^faults\[0\]: a fault is an object.*known kinds: refused, reset, /
  )
  expect(problem({ faults: [{ kind: "resett" }] })).toMatch(
    /^faults\[0\]: unknown kind "resett"; known kinds: /
  )
  expect(problem({ faults: [{ kind: "reset", untillMs: 5 }] })).toBe(
    `faults[0]: unknown key "untillMs"; known keys of "reset": ${keys}`
  )
  expect(problem({ faults: [{ kind: "refused", probability: 0.5 }] })).toContain('"probability"')
  expect(problem({ faults: [{ kind: "status", status: 200 }, { kind: "status" }] })).toMatch(
    /^faults\[0\]\.status: .*200.*\nfaults\[1\]\.status: is missing$/
  )
  const delays = /^faults\[0\]\.delay: .*\{ ms \}/
  expect(problem({ faults: [{ kind: "latency", delay: { minMs: 5, maxMs: 1 } }] })).toMatch(delays)
  expect(problem({ faults: [{ kind: "latency", delay: { minMs: 5 } }] })).toMatch(delays)
  expect(problem({ faults: [{ kind: "latency", delay: { ms: 5, more: 1 } }] })).toMatch(delays)
  expect(problem({ faults: [{ kind: "reset", probability: 2 }] })).toMatch(/^faults\[0\]\.probability: /)
  expect(problem({ faults: [{ kind: "reset", where: "here" }] })).toMatch(
    /^faults\[0\]\.where: is none of login, token, query, /
  )
  expect(problem({ faults: [{ kind: "refusal", code: "610" }] })).toBe(
    "faults[0].code: is not a text of six digits"
  )
  expect(problem({ faults: [{ kind: "part", defect: "odd" }] })).toContain("is none of short, long, ")
  expect(Either.isLeft(Control.scriptFrom("{"))).toBe(true)
  expect(problem({ faults: [{ kind: "reset", where: "query", probability: 0.5, count: 3 }] })).toBe("")
})

it("a fault of a statement's text strikes its requests alone, and one of queries strikes polls too", () => {
  const struck = (fault: Fault, request: Request) =>
    Faults.decide({ faults: [fault] }, Faults.initial({ faults: [fault] }, 1), 0, request)[0].fault !==
    undefined
  const poll: Request = { where: "poll", usesWarehouse: false, sql: "SELECT * FROM orders" }
  expect(struck({ kind: "reset", where: "query", sql: "ORDERS" }, poll)).toBe(true)
  expect(struck({ kind: "reset", where: "query", sql: "items" }, poll)).toBe(false)
  expect(struck({ kind: "reset", where: "poll" }, query)).toBe(false)
  expect(
    struck({ kind: "refusal", code: "390104", where: "any" }, { where: "chunk", usesWarehouse: false })
  ).toBe(false)
  expect(struck({ kind: "inProgress" }, { where: "heartbeat", usesWarehouse: false })).toBe(false)
})

it("the rehearsal is a valid script that goes from healthy to healthy", () => {
  const script = Outage.script()
  expect(Either.isRight(Control.scriptFrom(JSON.stringify(script)))).toBe(true)
  const at = (seconds: number) => {
    const [decision] = Faults.decide(script, Faults.initial(script, 1), seconds * 1000, query)
    return [Faults.listening(script, seconds * 1000), decision.fault?.kind]
  }
  expect(Outage.phases.map(({ name }) => name)).toEqual([
    "healthy",
    "struggling",
    "down",
    "suspended",
    "recovered"
  ])
  expect(at(9.9)).toEqual([true, undefined])
  expect(at(10)[0]).toBe(true)
  expect(at(25)).toEqual([false, undefined])
  expect(at(37)).toEqual([true, "suspendedWarehouse"])
  expect(at(47)).toEqual([true, undefined])
  expect(at(1000)).toEqual([true, undefined])
  expect(Faults.listening(Outage.script(Outage.phases, 10), 2600)).toBe(false)
})
