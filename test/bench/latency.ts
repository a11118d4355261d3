/** What the guard adds to a call that really waits: for one turn of the event loop. */
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
}

const turn = Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))
const turnPromise = () => new Promise<void>((resolve) => void setImmediate(resolve))

const BARE = "floor: Effect"

const block = async (calls: number, call: () => Promise<unknown>) => {
  const took = new Array<number>(calls)
  for (let i = 0; i < calls; i++) {
    const before = performance.now()
    await call()
    took[i] = (performance.now() - before) * 1000
  }
  return { p50: quantile(took, 0.5), p99: quantile(took, 0.99) }
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
  const blocks = new Map(Object.keys(cases).map((name) => [name, [] as Array<{ p50: number; p99: number }>]))
  for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
    for (const [name, call] of shuffled(Object.entries(cases))) {
      collectGarbage()
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
        bestP99: Math.min(...own.map(({ p99 }) => p99)),
        addedP50: median(own.map(({ p50 }, i) => p50 - (bare[i]?.p50 ?? NaN))),
        addedP99: median(own.map(({ p99 }, i) => p99 - (bare[i]?.p99 ?? NaN)))
      }
    ])
  )
}
