/**
 * What the guard costs around a call that waits once for the event loop, as every call of a warehouse does, beside the
 * peers around the same wait: CPU with many calls at once, and the time of calls that come one after the other.
 *
 * Calls during which the machine ran another process are left out of the times, and counted: on a busy machine they are
 * one in fifty and take milliseconds, whatever is measured.
 */
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import { CurrentPrincipal, make as makePrincipal } from "../../src/platform/Principal.js"
import type { Case } from "./harness.js"
import { collectGarbage, cpuOf, interleaved, median, quantile, shuffled } from "./harness.js"
import { cockatielStack, limiters, opossumStack } from "./peers.js"
import type { Started } from "./stack.js"
import { clients, operation, sent, start } from "./stack.js"

const WIDTH = 20

const hop = Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))
const hopPromise = () => new Promise<void>((resolve) => void setImmediate(resolve))

type Call = (client: string) => Promise<unknown>

const names = ["floor: async function", "floor: Effect", "guard", "cockatiel", "opossum"] as const
export type Name = (typeof names)[number]

const callsOf = ({ guard, runtime }: Started) => {
  const run = Runtime.runPromise(runtime)
  const callers = new Map(
    ["client", ...clients(WIDTH)].map((client) => [
      client,
      Runtime.runPromise(Runtime.provideService(runtime, CurrentPrincipal, makePrincipal(client)))
    ])
  )
  const cockatiel = cockatielStack(hopPromise)
  const opossum = opossumStack(hopPromise)
  const guarded = guard.run(operation, (attempt) => Effect.zipRight(sent(attempt), hop))
  const calls: { readonly [N in Name]: Call } = {
    "floor: async function": hopPromise,
    "floor: Effect": () => run(hop),
    guard: (client) => (callers.get(client) ?? run)(guarded),
    cockatiel: cockatiel.call,
    opossum: opossum.call
  }
  const stop = () => {
    cockatiel.stop()
    opossum.stop()
  }
  return { calls, stop }
}

const repeat = async (ops: number, call: () => Promise<unknown>): Promise<void> => {
  for (let i = 0; i < ops; i++) await call()
}

const together = (ops: number, call: Call): Promise<unknown> =>
  Promise.all(clients(WIDTH).map((client) => repeat(Math.ceil(ops / WIDTH), () => call(client))))

const refusals = ({ guard, runtime }: Started, ops: number): ReadonlyArray<Case> => {
  const run = Runtime.runPromise(runtime)
  const consume = limiters(1)
  const refused = Effect.matchEffect(guard.run(operation, sent), {
    onFailure: (error) => (error._tag === "RateLimited" ? Effect.void : Effect.die(error)),
    onSuccess: () => Effect.void
  })
  return [
    { name: "refusal: guard", ops, run: (n) => repeat(n, () => run(refused)) },
    {
      name: "refusal: rate-limiter-flexible",
      ops,
      run: (n) => repeat(n, () => consume("client").catch(() => {}))
    }
  ]
}

export interface Cost {
  /** CPU of a call, microseconds: 20 callers at once, and one. */
  readonly together: { readonly [N in Name]: number }
  readonly alone: { readonly [N in Name]: number }
  readonly refusal: { readonly guard: number; readonly peer: number }
}

export const measureCost = async (rounds: number, ops: number): Promise<Cost> => {
  const open = await start()
  // One token an hour: the first call takes it.
  const shut = await start({ client: { rate: 1 / 3600, burst: 1 } })
  const { calls, stop } = callsOf(open)
  const cases = names.flatMap((name): ReadonlyArray<Case> => [
    { name, ops, run: (n) => together(n, calls[name]) },
    { name: `${name}, alone`, ops, run: (n) => repeat(n, () => calls[name]("client")) }
  ])
  try {
    const samples = await interleaved([...cases, ...refusals(shut, ops)], rounds)
    const us = (name: string) => cpuOf(samples, name) / 1000
    const each = (suffix: string) =>
      Object.fromEntries(names.map((name) => [name, us(`${name}${suffix}`)])) as Cost["together"]
    return {
      together: each(""),
      alone: each(", alone"),
      refusal: { guard: us("refusal: guard"), peer: us("refusal: rate-limiter-flexible") }
    }
  } finally {
    stop()
    await Effect.runPromise(Effect.zipRight(open.stop, shut.stop))
  }
}

export interface Latency {
  /** Microseconds, medians over blocks. */
  readonly p50: number
  readonly p99: number
  /** Above the Effect without a guard, of the same round. */
  readonly addedP50: number
  readonly addedP99: number
  /** Share of the calls that were left out. */
  readonly disturbed: number
}

/** How often another process was run in our place, so far. */
const displaced = (): number => process.resourceUsage().involuntaryContextSwitches

const block = async (ops: number, call: Call) => {
  const took: Array<number> = []
  let before = displaced()
  for (let i = 0; i < ops; i++) {
    const begun = performance.now()
    await call("client")
    const ms = performance.now() - begun
    const now = displaced()
    if (now === before) took.push(ms * 1000)
    before = now
  }
  return { p50: quantile(took, 0.5), p99: quantile(took, 0.99), disturbed: 1 - took.length / ops }
}

export const measureLatency = async (
  rounds: number,
  ops: number
): Promise<{ readonly [N in Name]: Latency }> => {
  const started = await start()
  const { calls, stop } = callsOf(started)
  const blocks = new Map<Name, Array<Awaited<ReturnType<typeof block>>>>(names.map((name) => [name, []]))
  for (let round = -2; round < rounds; round++) {
    collectGarbage()
    for (const name of shuffled(names)) {
      const found = await block(ops, calls[name])
      if (round >= 0) blocks.get(name)?.push(found)
    }
  }
  stop()
  await Effect.runPromise(started.stop)
  const bare = blocks.get("floor: Effect") ?? []
  return Object.fromEntries(
    [...blocks].map(([name, own]) => [
      name,
      {
        p50: median(own.map(({ p50 }) => p50)),
        p99: median(own.map(({ p99 }) => p99)),
        addedP50: median(own.map(({ p50 }, i) => p50 - (bare[i]?.p50 ?? NaN))),
        addedP99: median(own.map(({ p99 }, i) => p99 - (bare[i]?.p99 ?? NaN))),
        disturbed: median(own.map(({ disturbed }) => disturbed))
      }
    ])
  ) as { readonly [N in Name]: Latency }
}
