import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import type {
  Config,
  Failure,
  Permit,
  State,
  Transitions,
  Verdict
} from "../../../src/guard/core/CircuitBreaker.js"
import {
  acquire,
  disable,
  forceOpen,
  make,
  peek,
  release,
  reset,
  settle,
  status,
  withOpenDelays
} from "../../../src/guard/core/CircuitBreaker.js"
import { shortOrLong } from "../../utils/long.js"

const config: Config = {
  consecutiveFailures: 3,
  failureRate: 0.5,
  slowCallRate: 0.5,
  slowCallMs: 100,
  minimumCalls: 4,
  windowCalls: 6,
  windowMs: 1000,
  probes: 2,
  probeSuccesses: 3,
  probeLeaseMs: 500
}
const delays = [200, 400, 800]

/** A breaker as an object, with a clock one sets by hand. */
const breaker = (overrides: Partial<Config> = {}, table: ReadonlyArray<number> = delays) => {
  const own = { ...config, ...overrides }
  let state = make(table)
  const log: Array<Transitions[number]> = []
  const self = {
    now: 0,
    config: own,
    log,
    get state(): State {
      return state
    },
    set state(next: State) {
      state = next
    },
    status: () => status(state, self.now, own),
    peek: () => peek(state, self.now, own),
    acquire: (client?: string) => {
      const [admission, next] = acquire(state, self.now, own, client)
      state = next
      log.push(...admission.transitions)
      return admission
    },
    permit: (client?: string): Permit => {
      const admission = self.acquire(client)
      if (admission._tag !== "Admitted") throw new Error(`refused: ${admission.refusal.cause}`)
      return admission.permit
    },
    settle: (permit: Permit, verdict: Verdict, failure?: Failure) => {
      const [transitions, next] = settle(state, self.now, own, permit, verdict, failure)
      state = next
      log.push(...transitions)
    },
    call: (verdict: Verdict, durationMs = 0) => {
      const permit = self.permit()
      self.now += durationMs
      self.settle(permit, verdict)
    },
    /** A call of this client that fails, in each of its tries. */
    fails: (client: string, failure: Failure, tries = 1) => {
      for (let n = 0; n < tries && self.peek() === undefined; n++) {
        self.settle(self.permit(client), "failure", failure)
      }
    },
    works: (client: string) => self.settle(self.permit(client), "success"),
    operate: <A>(f: (state: State, now: number) => readonly [A, State]): A => {
      const [value, next] = f(state, self.now)
      state = next
      return value
    },
    trip: () => {
      while (state.phase._tag === "closed") self.call("failure")
    }
  }
  return self
}

describe("closed", () => {
  it("opens on the third failure in a row, not on the second", () => {
    const b = breaker()
    b.call("failure")
    b.call("failure")
    expect(b.status().phase).toBe("closed")
    b.call("failure")
    expect(b.status()).toMatchObject({
      phase: "open",
      calls: 3,
      failures: 3,
      cause: "3 consecutive failures"
    })
  })

  it("starts the row again after a success, and after an answer that is the caller's mistake", () => {
    for (const healthy of ["success", "alive"] as const) {
      const b = breaker({ failureRate: 2 })
      for (let i = 0; i < 20; i++) {
        b.call("failure")
        b.call("failure")
        b.call(healthy)
      }
      expect(b.status().phase).toBe("closed")
    }
  })

  it("never counts what is ignored", () => {
    const b = breaker()
    for (let i = 0; i < 50; i++) b.call("ignored")
    expect(b.status()).toMatchObject({ phase: "closed", calls: 0 })
  })

  it("judges the failure rate only from the minimum of calls on", () => {
    const b = breaker({ consecutiveFailures: 99 })
    b.call("failure")
    b.call("success")
    b.call("failure")
    expect(b.status().phase).toBe("closed")
    b.call("success")
    expect(b.status()).toMatchObject({ phase: "open", cause: "2 of the last 4 calls failed" })
  })

  it("opens at a rate of exactly the threshold whatever the fraction", () => {
    const b = breaker({ consecutiveFailures: 99, failureRate: 0.3, minimumCalls: 10, windowCalls: 100 })
    for (let i = 0; i < 7; i++) b.call("success")
    for (let i = 0; i < 2; i++) b.call("failure")
    expect(b.status().phase).toBe("closed")
    b.call("failure")
    expect(b.status()).toMatchObject({ phase: "open", calls: 10, failures: 3 })
  })

  it("opens on slow calls, whether they succeed, fail or are alive", () => {
    const b = breaker({ consecutiveFailures: 99, failureRate: 2 })
    b.call("success", 100)
    b.call("alive", 150)
    b.call("success", 99)
    expect(b.status()).toMatchObject({ phase: "closed", slow: 2 })
    b.call("ignored", 500)
    expect(b.status()).toMatchObject({ phase: "closed", slow: 2 })
    b.call("success")
    expect(b.status().cause).toBe("2 of the last 4 calls took 100 ms or longer")
  })

  it("counts the last calls only", () => {
    const b = breaker({ consecutiveFailures: 99, failureRate: 2 })
    for (let i = 0; i < 6; i++) b.call("failure")
    for (let i = 0; i < 5; i++) b.call("success")
    expect(b.status()).toMatchObject({ calls: 6, failures: 1 })
  })

  it("forgets an idle window: failures an hour apart are not in a row", () => {
    const b = breaker()
    for (let i = 0; i < 10; i++) {
      b.call("failure")
      b.call("failure")
      b.now += 1000
    }
    expect(b.status()).toMatchObject({ phase: "closed", calls: 0, consecutiveFailures: 0 })
  })
})

describe("the clients of a failure", () => {
  const silence = (call: string): Failure => ({ silent: true, call })
  const report = (call: string, statement?: string): Failure => ({ silent: false, call, statement })
  const patient = { failureRate: 2, windowCalls: 100 }

  it("counts once per call, however many attempts there were", () => {
    const b = breaker(patient)
    b.fails("ana", silence("1"), 5)
    b.fails("ana", silence("2"), 5)
    expect(b.status()).toMatchObject({ phase: "closed", failures: 2, calls: 2 })
    b.fails("ana", silence("3"))
    expect(b.status()).toMatchObject({ phase: "open", cause: "3 consecutive failures" })
  })

  it("counts a reported failure once per client and statement", () => {
    const b = breaker(patient)
    for (let n = 0; n < 20; n++) b.fails("ana", report(`${n}`, "SELECT 1 / 0"))
    expect(b.status()).toMatchObject({ phase: "closed", failures: 1 })
    b.now += 1000
    b.fails("ana", report("later", "SELECT 1 / 0"))
    expect(b.status().failures).toBe(1)
  })

  it("is opened by silent calls of one client, whichever other clients call", () => {
    const b = breaker(patient)
    b.works("bob")
    for (const call of ["1", "2", "3"]) b.fails("ana", silence(call))
    expect(b.status().phase).toBe("open")
  })

  it("is not opened by reported failures of one client while another one calls", () => {
    const b = breaker({ ...patient, failureRate: 0.3 })
    b.works("bob")
    for (let n = 0; n < 50; n++) b.fails("ana", report(`${n}`, `SELECT ${n}`))
    expect(b.status().phase).toBe("closed")
    b.fails("bob", report("b", "SELECT 1"))
    expect(b.status().phase).toBe("open")
  })

  it("limits the weight of one client's many failures when another client has one", () => {
    const b = breaker({ consecutiveFailures: 99, failureRate: 0.3, minimumCalls: 10, windowCalls: 100 })
    for (let n = 0; n < 20; n++) b.works("bob")
    b.fails("bob", report("b", "SELECT 1"))
    for (let n = 0; n < 60; n++) {
      b.works("bob")
      b.fails("eve", report(`${n}`, `SELECT ${n}`))
    }
    expect(b.status()).toMatchObject({ phase: "closed" })
  })

  it("is opened by reported failures of the only client", () => {
    const b = breaker(patient)
    b.works("bob")
    b.now += 1000
    for (let n = 0; n < 3; n++) b.fails("ana", report(`${n}`, `SELECT ${n}`))
    expect(b.status().phase).toBe("open")
  })

  it("is not opened by one client's slow calls while another one calls", () => {
    const slow = (b: ReturnType<typeof breaker>, client: string) => {
      const permit = b.permit(client)
      b.now += 100
      b.settle(permit, "success")
    }
    const b = breaker({ slowCallRate: 0.5, windowMs: 1e6 })
    b.works("bob")
    for (let n = 0; n < 20; n++) slow(b, "ana")
    expect(b.status().phase).toBe("closed")
    slow(b, "bob")
    expect(b.status().phase).toBe("open")
  })

  it("fails a probe for a reported failure only when another client confirms it, or none calls", () => {
    const opened = () => {
      const b = breaker(patient)
      b.works("bob")
      for (const call of ["1", "2", "3"]) b.fails("ana", silence(call))
      b.now += 200
      return b
    }
    const doubted = opened()
    for (let n = 0; n < 9; n++) doubted.fails("ana", report(`${n}`, `SELECT ${n}`))
    expect(doubted.status().phase).toBe("half-open")
    doubted.fails("bob", report("b", "SELECT 1"))
    expect(doubted.status()).toMatchObject({ phase: "open", cause: "a probe failed" })
    const silent = opened()
    silent.fails("ana", silence("4"))
    expect(silent.status().phase).toBe("open")
    const alone = opened()
    alone.fails("ana", report("5", "SELECT 5"))
    alone.now += 1000
    alone.fails("ana", report("6", "SELECT 6"))
    expect(alone.status().phase).toBe("open")
  })

  const reports = fc.array(
    fc.record({
      client: fc.constantFrom("ana", "bob", "eve"),
      call: fc.nat(5),
      outcome: fc.constantFrom<"silent" | "reported" | "success">("silent", "reported", "success"),
      ms: fc.nat(400)
    }),
    { maxLength: 40 }
  )
  it.prop(
    "reported failures of one client alone never open it while another one works",
    [reports],
    ([script]) => {
      const b = breaker({ failureRate: 0.3 })
      for (const { call, client, ms, outcome } of script) {
        b.now += ms
        b.works("bob")
        if (outcome === "success") b.works("ana")
        else b.fails("ana", report(`${client}${call}`, `${call}`))
        expect(b.status().phase).toBe("closed")
      }
    },
    { fastCheck: { numRuns: shortOrLong(60, 300) } }
  )

  it.prop(
    "further attempts of a call change nothing",
    [reports, fc.integer({ min: 2, max: 4 })],
    ([script, tries]) => {
      const [once, often] = [breaker({ windowMs: 1e9 }), breaker({ windowMs: 1e9 })]
      script.forEach(({ client, ms, outcome }, n) => {
        for (const [b, times] of [
          [once, 1],
          [often, tries]
        ] as const) {
          b.now += ms
          if (b.peek() !== undefined) continue
          if (outcome === "success") b.works(client)
          else b.fails(client, outcome === "silent" ? silence(`${n}`) : report(`${n}`), times)
        }
        const { calls, failures, phase } = once.status()
        expect(often.status()).toMatchObject({ calls, failures, phase })
      })
    },
    { fastCheck: { numRuns: shortOrLong(60, 300) } }
  )
})

describe("open", () => {
  it("refuses until exactly the end of the open time", () => {
    const b = breaker()
    b.trip()
    expect(b.acquire()).toMatchObject({ _tag: "Refused", refusal: { phase: "open", retryAfterMs: 200 } })
    b.now += 199
    expect(b.acquire()).toMatchObject({ _tag: "Refused", refusal: { retryAfterMs: 1 } })
    b.now += 1
    expect(b.acquire()._tag).toBe("Admitted")
  })

  it("does not change when its status is read", () => {
    const b = breaker()
    b.trip()
    b.now += 200
    const before = b.state
    expect(b.peek()).toBeUndefined()
    expect(b.status()).toMatchObject({ phase: "open", retryAfterMs: 0 })
    expect(b.state).toBe(before)
  })

  it("stays open longer each time, the last entry repeating", () => {
    const b = breaker()
    b.trip()
    for (let i = 0; i < 5; i++) {
      b.now += 10_000
      b.call("failure")
    }
    expect(b.log.filter(({ to }) => to === "open").map(({ openMs }) => openMs)).toEqual([
      200, 400, 800, 800, 800, 800
    ])
  })

  it("takes its open time from the newest table", () => {
    const b = breaker()
    b.trip()
    b.state = withOpenDelays(b.state, [7, 70])
    expect(b.status().retryAfterMs).toBe(200)
    b.now += 200
    b.call("failure")
    expect(b.status().retryAfterMs).toBe(70)
  })
})

describe("trips", () => {
  const reopened = (idleMs: number) => {
    const b = breaker()
    b.trip()
    b.now += 200
    for (let i = 0; i < 3; i++) b.call("success")
    b.now += idleMs
    b.trip()
    return b.status().retryAfterMs
  }
  it("are forgotten after staying closed for twice the last open time", () => {
    expect(reopened(400)).toBe(200)
  })
  it("are remembered when it reopens sooner", () => {
    expect(reopened(399)).toBe(400)
  })
})

describe("half-open", () => {
  const halfOpen = (overrides: Partial<Config> = {}) => {
    const b = breaker(overrides)
    b.trip()
    b.now += 200
    return b
  }

  it("admits as many calls at once as there are probes", () => {
    const b = halfOpen()
    const admitted = Array.from({ length: 50 }, () => b.acquire()).filter((a) => a._tag === "Admitted")
    expect(admitted.length).toBe(2)
    b.now += 100
    expect(b.acquire()).toMatchObject({ _tag: "Refused", refusal: { phase: "half-open", retryAfterMs: 400 } })
  })

  it("names an estimate of the probe's end, not the end of its lease", () => {
    const b = halfOpen({ probes: 1, probeLeaseMs: 300_000, consecutiveFailures: 50, slowCallMs: 1e9 })
    const reported = () => b.status().retryAfterMs
    b.permit()
    expect(reported()).toBe(1_000)
    b.now += 600
    expect(reported()).toBe(400)
    // As long again as it has taken, and never long.
    b.now += 1_400
    expect(reported()).toBe(2_000)
    b.now += 60_000
    expect(reported()).toBe(5_000)
    b.now += 237_900
    expect(reported()).toBe(100)
  })

  it("learns from the calls that worked how long a probe takes", () => {
    const b = breaker({ probes: 1, probeLeaseMs: 300_000, slowCallMs: 1e9 })
    for (let n = 0; n < 40; n++) b.call("success", 3_000)
    b.trip()
    b.now += 200
    b.permit()
    const reported = b.status().retryAfterMs
    expect(reported).toBeGreaterThan(2_900)
    expect(reported).toBeLessThanOrEqual(3_000)
  })

  it("says why the last call failed that opened it", () => {
    const b = breaker()
    b.call("failure")
    b.call("failure")
    b.settle(b.permit(), "failure", { why: "It answered HTTP 503" })
    expect(b.status().cause).toBe("3 consecutive failures; the last: It answered HTTP 503")
    b.now += 200
    b.settle(b.permit(), "failure", { why: "The connection was refused" })
    expect(b.status().cause).toBe("a probe failed: The connection was refused")
  })

  it("closes after enough successes, even when more are needed than may run at once", () => {
    const b = halfOpen({ probes: 1, probeSuccesses: 4 })
    for (let i = 0; i < 4; i++) {
      expect(b.status().phase).toBe(i === 0 ? "open" : "half-open")
      b.call(i % 2 === 0 ? "success" : "alive")
    }
    expect(b.status()).toMatchObject({ phase: "closed", calls: 0 })
  })

  it("opens again on a failed probe", () => {
    const b = halfOpen()
    b.call("failure")
    expect(b.status()).toMatchObject({ phase: "open", retryAfterMs: 400, trips: 2, cause: "a probe failed" })
  })

  it("gives the slot of a cancelled probe back under the same generation", () => {
    const b = halfOpen({ probes: 1 })
    const permit = b.permit()
    expect(b.acquire()._tag).toBe("Refused")
    b.settle(permit, "ignored")
    expect(b.permit().generation).toBe(permit.generation)
    expect(b.status().phase).toBe("half-open")
  })

  it("opens again as of the end of a probe's lease, whenever the next step happens", () => {
    const b = halfOpen()
    b.permit()
    b.now += 499
    expect(b.status().phase).toBe("half-open")
    b.now += 101
    // The lease was over 100 ms ago: that much of the 400 ms is gone.
    expect(b.status()).toMatchObject({ phase: "open", retryAfterMs: 300 })
    expect(b.acquire()).toMatchObject({ _tag: "Refused", refusal: { phase: "open", retryAfterMs: 300 } })
    expect(b.log.at(-1)).toMatchObject({ to: "open", cause: "a probe did not finish within 500 ms" })
  })

  it("is not locked by a probe that never ends", () => {
    const b = halfOpen({ probes: 1 })
    b.permit()
    b.now += 500 + 400
    expect(b.acquire()._tag).toBe("Admitted")
    expect(b.log.slice(-2).map(({ to }) => to)).toEqual(["open", "half-open"])
  })

  it("ignores a second verdict for the same probe", () => {
    const b = halfOpen({ probeSuccesses: 2 })
    const permit = b.permit()
    b.settle(permit, "success")
    b.settle(permit, "success")
    b.settle(permit, "failure")
    expect(b.status().phase).toBe("half-open")
  })
})

describe("a verdict of an older generation", () => {
  it("neither opens nor closes anything, and is counted", () => {
    const b = breaker()
    const [lateFailure, lateSuccess] = [b.permit(), b.permit()]
    b.trip()
    b.now += 200
    b.permit()
    const before = b.status()
    expect(before.phase).toBe("half-open")
    b.settle(lateFailure, "failure")
    b.settle(lateSuccess, "success")
    b.settle(lateSuccess, "ignored")
    expect(b.status()).toEqual({ ...before, stale: 2 })
  })

  it("says nothing about the circuit that has closed since", () => {
    const b = breaker()
    const old = Array.from({ length: 10 }, () => b.permit())
    b.trip()
    b.now += 200
    for (let i = 0; i < 3; i++) b.call("success")
    for (const permit of old) b.settle(permit, "failure")
    expect(b.status()).toMatchObject({ phase: "closed", calls: 0, stale: 10 })
  })
})

describe("operators", () => {
  it("hold it open until the last release", () => {
    const b = breaker()
    const one = b.operate((state, now) => forceOpen(state, now, "maintenance"))
    const two = b.operate((state, now) => forceOpen(state, now, "budget"))
    expect(b.acquire()).toMatchObject({
      _tag: "Refused",
      refusal: { phase: "forced-open", cause: "maintenance; budget" }
    })
    b.operate((state, now) => release(state, now, one.token))
    b.operate((state, now) => release(state, now, one.token))
    expect(b.status().phase).toBe("forced-open")
    b.operate((state, now) => release(state, now, two.token))
    expect(b.acquire()._tag).toBe("Admitted")
  })

  it("cannot release another hold by disable or reset, but set the phase after it", () => {
    for (const [operation, after] of [
      [disable, "disabled"],
      [reset, "closed"]
    ] as const) {
      const b = breaker()
      b.operate(disable)
      const { token } = b.operate((state, now) => forceOpen(state, now, "maintenance"))
      b.operate(operation)
      expect(b.status().phase).toBe("forced-open")
      b.operate((state, now) => release(state, now, token))
      expect(b.status().phase).toBe(after)
    }
  })

  it("disable lets everything through and counts nothing, until reset", () => {
    const b = breaker()
    b.trip()
    b.operate(disable)
    for (let i = 0; i < 20; i++) b.call("failure")
    expect(b.status()).toMatchObject({ phase: "disabled", trips: 1, calls: 0 })
    b.operate(reset)
    expect(b.status()).toMatchObject({ phase: "closed", trips: 0 })
  })

  it("reset makes what is still running stale", () => {
    const b = breaker()
    const old = [b.permit(), b.permit(), b.permit()]
    b.operate(reset)
    for (const permit of old) b.settle(permit, "failure")
    expect(b.status()).toMatchObject({ phase: "closed", stale: 3 })
  })
})

// ------------------------------------------------------------------------------------------------
// any sequence of commands, under a clock that steps forward and back
// ------------------------------------------------------------------------------------------------

type Command =
  | { readonly _tag: "tick"; readonly ms: number }
  | { readonly _tag: "acquire" }
  | { readonly _tag: "settle"; readonly which: number; readonly verdict: Verdict }
  | { readonly _tag: "force" }
  | { readonly _tag: "release" }
  | { readonly _tag: "disable" }
  | { readonly _tag: "reset" }

const verdicts: fc.Arbitrary<Verdict> = fc.constantFrom("success", "failure", "failure", "alive", "ignored")
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ _tag: fc.constant("tick" as const), ms: fc.integer({ min: -300, max: 600 }) })
  },
  { weight: 10, arbitrary: fc.constant({ _tag: "acquire" as const }) },
  {
    weight: 12,
    arbitrary: fc.record({
      _tag: fc.constant("settle" as const),
      which: fc.nat({ max: 7 }),
      verdict: verdicts
    })
  },
  { weight: 1, arbitrary: fc.constantFrom<Command>({ _tag: "force" }, { _tag: "disable" }) },
  { weight: 1, arbitrary: fc.constantFrom<Command>({ _tag: "release" }, { _tag: "reset" }) }
)
const commands = fc.array(command, { minLength: 1, maxLength: 60 })
const configs: fc.Arbitrary<Partial<Config>> = fc.record({
  consecutiveFailures: fc.constantFrom(2, 3, Infinity),
  failureRate: fc.constantFrom(0.3, 0.5, 2),
  slowCallRate: fc.constantFrom(0.5, 2),
  probes: fc.integer({ min: 1, max: 3 }),
  probeSuccesses: fc.integer({ min: 1, max: 4 }),
  windowCalls: fc.integer({ min: 4, max: 8 })
})

/** The rules once more, as plainly as they can be said: lists, and nothing clever. */
const reference = (own: Config) => {
  let phase = "closed"
  let generation = 0
  let stale = 0
  let last = -Infinity
  let trips = 0
  let lastOpen = 0
  let since = -Infinity
  let until = 0
  let succeeded = 0
  let then = "closed"
  let holders = 0
  let probes: Array<{ permit: Permit; until: number }> = []
  let calls: Array<{ at: number; failed: boolean; slow: boolean }> = []
  const enter = (next: string) => {
    phase = next
    generation += 1
  }
  const open = (at: number) => {
    if (phase === "closed" && at - since >= 2 * lastOpen) trips = 0
    lastOpen = delays[Math.min(trips, delays.length - 1)]!
    trips += 1
    until = at + lastOpen
    enter("open")
  }
  const close = (at: number) => {
    since = at
    calls = []
    enter("closed")
  }
  const window = (now: number) => calls.filter(({ at }) => now - at < own.windowMs).slice(-own.windowCalls)
  const lapse = (now: number) => {
    const first = Math.min(...probes.map((probe) => probe.until))
    if (phase === "half-open" && first <= now) open(first)
  }
  return {
    look: (now: number) => {
      const time = Math.max(last, now)
      const saved = { phase, generation, trips, lastOpen, until }
      lapse(time)
      const seen = window(time)
      const view = {
        phase,
        generation,
        stale,
        retryAfterMs:
          phase === "open" && time < until
            ? until - now
            : phase === "half-open" && probes.length >= own.probes
              ? Math.max(0, Math.min(...probes.map((probe) => probe.until)) - now)
              : 0,
        ...(phase === "closed"
          ? { calls: seen.length, failures: seen.filter(({ failed }) => failed).length }
          : {})
      }
      ;({ phase, generation, trips, lastOpen, until } = saved)
      return view
    },
    acquire: (now: number): boolean => {
      const time = Math.max(last, now)
      lapse(time)
      if (phase === "closed" || phase === "disabled") return true
      if (phase === "forced-open" || (phase === "open" && time < until)) return false
      if (phase === "open") {
        enter("half-open")
        last = time
        succeeded = 0
        probes = []
      }
      return probes.length < own.probes
    },
    admitted: (now: number, permit: Permit) => {
      if (phase !== "half-open") return
      last = Math.max(last, now)
      probes.push({ permit, until: last + own.probeLeaseMs })
    },
    settle: (now: number, permit: Permit, verdict: Verdict) => {
      const time = Math.max(last, now)
      lapse(time)
      if (permit.generation !== generation) {
        if (verdict !== "ignored") stale += 1
      } else if (phase === "closed" && verdict !== "ignored") {
        last = time
        calls.push({
          at: time,
          failed: verdict === "failure",
          slow: time - permit.startedAt >= own.slowCallMs
        })
        const seen = window(time)
        const row = seen.length - 1 - seen.findLastIndex(({ failed }) => !failed)
        const share = (what: "failed" | "slow") => seen.filter((call) => call[what]).length / seen.length
        if (
          row >= own.consecutiveFailures ||
          (seen.length >= own.minimumCalls &&
            (share("failed") >= own.failureRate || share("slow") >= own.slowCallRate))
        ) {
          open(time)
        }
      } else if (phase === "half-open" && probes.some((probe) => probe.permit === permit)) {
        last = time
        probes = probes.filter((probe) => probe.permit !== permit)
        if (verdict === "failure") open(time)
        else if (verdict !== "ignored") succeeded += 1
        if (phase === "half-open" && succeeded >= own.probeSuccesses) close(time)
      }
    },
    force: (now: number) => {
      if (phase !== "forced-open") {
        then = phase === "disabled" ? "disabled" : "closed"
        enter("forced-open")
        last = Math.max(last, now)
      }
      holders += 1
    },
    release: (now: number) => {
      holders -= 1
      if (holders > 0) return
      last = Math.max(last, now)
      if (then === "closed") close(last)
      else enter("disabled")
    },
    disable: (now: number) => {
      if (phase === "forced-open") then = "disabled"
      else if (phase !== "disabled") {
        enter("disabled")
        last = Math.max(last, now)
      }
    },
    reset: (now: number) => {
      trips = 0
      lastOpen = 0
      if (phase === "forced-open") then = "closed"
      else {
        last = Math.max(last, now)
        close(last)
      }
    }
  }
}

describe("any sequence of commands", () => {
  const play = (
    overrides: Partial<Config>,
    script: ReadonlyArray<Command>,
    check: (b: ReturnType<typeof breaker>, model: ReturnType<typeof reference>, before: State) => void
  ) => {
    const b = breaker(overrides)
    const model = reference(b.config)
    const permits: Array<Permit> = []
    const tokens: Array<number> = []
    for (const step of script) {
      const before = b.state
      switch (step._tag) {
        case "tick":
          b.now += step.ms
          break
        case "acquire": {
          const expected = model.acquire(b.now)
          const admission = b.acquire()
          expect(admission._tag).toBe(expected ? "Admitted" : "Refused")
          if (admission._tag === "Admitted") {
            model.admitted(b.now, admission.permit)
            permits.push(admission.permit)
          }
          break
        }
        case "settle": {
          const [permit] = permits.splice(step.which % Math.max(1, permits.length), 1)
          if (permit !== undefined) {
            b.settle(permit, step.verdict)
            model.settle(b.now, permit, step.verdict)
          }
          break
        }
        case "force":
          tokens.push(b.operate((state, now) => forceOpen(state, now, "test")).token)
          model.force(b.now)
          break
        case "release": {
          const token = tokens.shift()
          if (token !== undefined) {
            b.operate((state, now) => release(state, now, token))
            model.release(b.now)
          }
          break
        }
        case "disable":
          b.operate(disable)
          model.disable(b.now)
          break
        case "reset":
          b.operate(reset)
          model.reset(b.now)
          break
      }
      check(b, model, before)
    }
    return b
  }

  it.prop(
    "behaves as the plain rules say",
    [configs, commands],
    ([overrides, script]) => {
      play(overrides, script, (b, model) => {
        expect(b.status()).toMatchObject(model.look(b.now))
      })
    },
    { fastCheck: { numRuns: shortOrLong(300, 1500) } }
  )

  it.prop(
    "changes phase only together with the generation, and never goes back",
    [configs, commands],
    ([overrides, script]) => {
      play(overrides, script, (b, _, before) => {
        const { generation, phase } = b.state
        expect(generation).toBeGreaterThanOrEqual(before.generation)
        if (phase._tag !== before.phase._tag) expect(generation).toBeGreaterThan(before.generation)
        expect(b.state.last).toBeGreaterThanOrEqual(before.last)
        if (phase._tag === "half-open") expect(phase.leases.length).toBeLessThanOrEqual(b.config.probes)
      })
    },
    { fastCheck: { numRuns: shortOrLong(60, 300) } }
  )

  it.prop(
    "says exactly when an open circuit lets a call through",
    [configs, commands],
    ([overrides, script]) => {
      play(overrides, script, (b) => {
        const refusal = b.peek()
        if (refusal?.phase !== "open") return
        const at = b.now + refusal.retryAfterMs!
        expect(acquire(b.state, at - 1, b.config)[0]._tag).toBe("Refused")
        expect(acquire(b.state, at, b.config)[0]._tag).toBe("Admitted")
      })
    },
    { fastCheck: { numRuns: shortOrLong(60, 300) } }
  )

  it.prop(
    "peek and acquire agree",
    [configs, commands],
    ([overrides, script]) => {
      play(overrides, script, (b) => {
        const admission = acquire(b.state, b.now, b.config)[0]
        expect(b.peek()).toEqual(admission._tag === "Refused" ? admission.refusal : undefined)
      })
    },
    { fastCheck: { numRuns: shortOrLong(50, 200) } }
  )

  it.prop(
    "never locks: after the longest open time and lease a call is admitted",
    [configs, commands],
    ([overrides, script]) => {
      const b = play(overrides, script, () => {})
      if (b.state.phase._tag === "forced-open") return
      b.now = Math.max(b.now, b.state.last) + 500 + 800
      expect(b.acquire()._tag).toBe("Admitted")
    },
    { fastCheck: { numRuns: shortOrLong(60, 300) } }
  )
})
