/**
 * What the guard adds to a call that really waits: for one turn of the event loop. Calls during which
 * the machine ran somebody else are left out (and counted): on a busy machine they are one in fifty, take
 * some milliseconds whoever is measured, and say nothing of us.
 */
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import { collectGarbage, median, quantile, shuffled } from "./harness.js"
import { cockatielStack, opossumStack } from "./peers.js"
import { operation, start } from "./stack.js"

export interface Latency {
  /** Microseconds, median over blocks. */
  readonly p50: number
  readonly p99: number
  /** The quietest block: neighbours only ever add. */
  readonly bestP99: number
  /** Above the unguarded Effect, of the same round. */
  readonly addedP50: number
  readonly addedP99: number
  /** Share of the calls that were left out. */
  readonly disturbed: number
}

interface Block {
  readonly p50: number
  readonly p99: number
  readonly disturbed: number
}

const turn = Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))
const turnPromise = () => new Promise<void>((resolve) => void setImmediate(resolve))

const BARE = "floor: Effect"

/** How often another process was run in our place, so far. */
const displaced = (): number => process.resourceUsage().involuntaryContextSwitches

const block = async (calls: number, call: () => Promise<unknown>): Promise<Block> => {
  const took: Array<number> = []
  let displacedBefore = displaced()
  for (let i = 0; i < calls; i++) {
    const before = performance.now()
    await call()
    const ms = performance.now() - before
    const displacedNow = displaced()
    if (displacedNow === displacedBefore) took.push(ms * 1000)
    displacedBefore = displacedNow
  }
  return { p50: quantile(took, 0.5), p99: quantile(took, 0.99), disturbed: 1 - took.length / calls }
}

const WARM_UP_ROUNDS = 3

export const measureLatency = async (
  rounds: number,
  calls: number
): Promise<ReadonlyMap<string, Latency>> => {
  const { guard, runtime, stop } = await start()
  const run = Runtime.runPromise(runtime)
  const cockatiel = cockatielStack(turnPromise)
  const opossum = opossumStack(turnPromise)
  const cases: { readonly [name: string]: () => Promise<unknown> } = {
    "floor: async function": turnPromise,
    [BARE]: () => run(turn),
    guard: () => run(guard.run(operation, ({ markSent }) => Effect.zipRight(markSent, turn))),
    "rlf x4 + cockatiel": () => cockatiel.call("client"),
    "rlf x4 + opossum": () => opossum.call("client")
  }
  const blocks = new Map<string, Array<Block>>(Object.keys(cases).map((name) => [name, []]))
  for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
    collectGarbage()
    for (const [name, call] of shuffled(Object.entries(cases))) {
      const found = await block(calls, call)
      if (round >= 0) blocks.get(name)?.push(found)
    }
  }
  cockatiel.stop()
  opossum.stop()
  await Effect.runPromise(stop)
  const bare = blocks.get(BARE) ?? []
  return new Map(
    [...blocks].map(([name, own]): [string, Latency] => [
      name,
      {
        p50: median(own.map(({ p50 }) => p50)),
        p99: median(own.map(({ p99 }) => p99)),
        disturbed: median(own.map(({ disturbed }) => disturbed)),
        bestP99: Math.min(...own.map(({ p99 }) => p99)),
        addedP50: median(own.map(({ p50 }, i) => p50 - (bare[i]?.p50 ?? NaN))),
        addedP99: median(own.map(({ p99 }, i) => p99 - (bare[i]?.p99 ?? NaN)))
      }
    ])
  )
}
