/**
 * Heap that a client keeps after its call is over: its token bucket and its five quota counters. The
 * text of its name is not counted, nor is the longer text that the quota store keys it by; the latter
 * is reported beside it.
 */
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import { CurrentPrincipal, make as makePrincipal } from "../../src/platform/Principal.js"
import { collectGarbage } from "./harness.js"
import { limiters } from "./peers.js"
import { clients, operation, sent, start, times } from "./stack.js"

export interface Memory {
  readonly clients: number
  readonly bytesPerClient: number
  /** The quota store's own key of a client. */
  readonly keyBytes: number
}

const heap = (): number => {
  collectGarbage()
  collectGarbage()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** What `client:NAME` takes in the shape in which it becomes the key of a map. */
const keyBytesOf = (names: ReadonlyArray<string>): number => {
  const keys = new Array<string>(names.length).fill("")
  const before = heap()
  for (let i = 0; i < names.length; i++) {
    const key = `client:${names[i]}`
    new Map().set(key, i).get(key)
    keys[i] = key
  }
  const bytes = (heap() - before) / names.length
  return keys.length === 0 ? 0 : bytes
}

/** Puts something of the size in reach of the collector's noise out of the way: all code is warm. */
const warmUp = async (): Promise<void> => {
  const { guard, runtime, stop } = await start()
  await Runtime.runPromise(runtime)(times(20_000, () => guard.run(operation, sent)))
  await Effect.runPromise(stop)
}

export const measureMemory = async (count: number): Promise<Memory> => {
  await warmUp()
  const names = clients(count)
  const keyBytes = keyBytesOf(names)
  const started = await start({ maxClients: 2 * count })
  const { guard, runtime } = started
  const before = heap()
  await Runtime.runPromise(runtime)(
    times(count, (i) =>
      Effect.provideService(guard.run(operation, sent), CurrentPrincipal, makePrincipal(names[i] ?? ""))
    )
  )
  const bytes = (heap() - before) / count
  await Effect.runPromise(started.stop)
  return { clients: count, bytesPerClient: bytes - keyBytes, keyBytes }
}

/** The four limiters of rate-limiter-flexible that stand for it, names not counted either. */
export const measurePeerMemory = async (count: number): Promise<Memory> => {
  const names = clients(count)
  const consume = limiters()
  const before = heap()
  for (const name of names) await consume(name)
  const bytes = (heap() - before) / count
  await consume("client")
  return { clients: count, bytesPerClient: bytes, keyBytes: 0 }
}
