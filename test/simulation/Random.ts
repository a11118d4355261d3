/**
 * Chance from a seed. Each client, and the warehouse, has a stream of its own, named after it: one more client
 * does not change what the others do.
 */
import { Hash, Random } from "effect"
import { PCGRandom } from "effect/Utils"

export interface Stream {
  /** From 0 up to 1. */
  readonly next: () => number
  readonly between: (least: number, most: number) => number
  /** Both ends included. */
  readonly integer: (least: number, most: number) => number
  readonly chance: (probability: number) => boolean
  /** Times between events that have no memory. */
  readonly exponential: (mean: number) => number
  /** Long-tailed, as service times are; `spread` is the standard deviation of the logarithm. */
  readonly logNormal: (median: number, spread: number) => number
  readonly pick: <A>(of: ReadonlyArray<A>) => A
}

const seedOf = (seed: number, name: string): number => Hash.string(`${name} of ${seed}`)

export const stream = (seed: number, name: string): Stream => {
  const random = new PCGRandom(seedOf(seed, name), seed)
  const next = () => random.number()
  return {
    next,
    between: (least, most) => least + (most - least) * next(),
    integer: (least, most) => least + Math.floor((most - least + 1) * next()),
    chance: (probability) => next() < probability,
    exponential: (mean) => -mean * Math.log(1 - next()),
    logNormal: (median, spread) =>
      median * Math.exp(spread * Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())),
    pick: (of) => of[Math.floor(of.length * next())]!
  }
}

/** The dice of the services under test. */
export const service = (seed: number): Random.Random => Random.make(seedOf(seed, "services"))
