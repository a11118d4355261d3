/**
 * The temperaments of simulated clients, as they behave in a small world of about one call per second.
 */
import type { Temperament } from "./clients.js"

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** Asks for something every now and then, and comes back when it is told to. */
export const steady: Temperament = {
  name: "steady",
  wellBehaved: true,
  tier: "default",
  arrivals: { _tag: "steady", everyMs: 20_000 },
  afterFailure: { _tag: "waits", times: 2, earlyMs: 0, untoldMs: 5_000 },
  metadata: 0.5,
  mistakes: 0.02,
  deadlineMs: 60_000,
  timeoutMs: 15_000,
  questions: 40
}

/** Every temperament there is. */
export const all = {
  steady,
  polite: {
    ...steady,
    name: "polite",
    tier: "gold",
    arrivals: { _tag: "bursts", everyMs: 5 * MINUTE, size: 12, withinMs: 0 },
    afterFailure: { _tag: "waits", times: 12, earlyMs: 0, untoldMs: 5_000 }
  },
  impatient: {
    ...steady,
    name: "impatient",
    arrivals: { _tag: "bursts", everyMs: 8 * MINUTE, size: 10, withinMs: 100 },
    afterFailure: { _tag: "waits", times: 12, earlyMs: 1, untoldMs: 5_000 }
  },
  bursty: {
    ...steady,
    name: "bursty",
    arrivals: { _tag: "bursts", everyMs: 6 * MINUTE, size: 25, withinMs: 3_000 },
    afterFailure: { _tag: "waits", times: 3, earlyMs: 0, untoldMs: 5_000 }
  },
  batch: {
    ...steady,
    name: "batch",
    tier: "batch",
    metadata: 0,
    arrivals: { _tag: "loops", parallel: 2, pauseMs: 4_000 },
    episodes: { everyMs: 3 * HOUR, lastMs: 20 * MINUTE },
    deadlineMs: 120_000,
    timeoutMs: 60_000
  },
  cancelling: {
    ...steady,
    name: "cancelling",
    wellBehaved: false,
    arrivals: { _tag: "bursts", everyMs: 4 * MINUTE, size: 8, withinMs: 500 },
    afterFailure: { _tag: "gives up" },
    cancels: { part: 0.7, afterMs: 400, turns: 12 }
  },
  abusive: {
    ...steady,
    name: "abusive",
    wellBehaved: false,
    metadata: 0.2,
    arrivals: { _tag: "loops", parallel: 12, pauseMs: 250 },
    afterFailure: { _tag: "gives up" },
    episodes: { everyMs: 2 * HOUR, lastMs: 20_000 }
  },
  storming: {
    ...steady,
    name: "storming",
    wellBehaved: false,
    arrivals: { _tag: "steady", everyMs: 30_000 },
    afterFailure: { _tag: "storms", times: 10, pauseMs: 50 }
  },
  hurried: {
    ...steady,
    name: "hurried",
    wellBehaved: false,
    arrivals: { _tag: "bursts", everyMs: 7 * MINUTE, size: 6, withinMs: 50 },
    afterFailure: { _tag: "gives up" },
    deadlineMs: 1_500,
    timeoutMs: 1_000
  }
} as const satisfies { readonly [name: string]: Temperament }
