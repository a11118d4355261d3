/**
 * What clients saw, added up by temperament. Waits are kept in buckets two per cent wide, so that a long
 * simulation takes no more memory than a short one.
 */
import type { Temperament } from "./clients.js"
import type { Model } from "./warehouse.js"

const WIDTH = Math.log(1.02)

class Waits {
  private readonly buckets = new Map<number, number>()
  count = 0
  worst = 0

  add(ms: number): void {
    const bucket = ms < 1 ? 0 : 1 + Math.floor(Math.log(ms) / WIDTH)
    this.buckets.set(bucket, (this.buckets.get(bucket) ?? 0) + 1)
    this.count += 1
    if (ms > this.worst) this.worst = ms
  }

  /** Milliseconds that this part of all waits did not exceed. */
  quantile(part: number): number {
    let left = Math.ceil(part * this.count)
    for (const [bucket, count] of [...this.buckets].sort(([a], [b]) => a - b)) {
      left -= count
      if (left <= 0) return bucket === 0 ? 1 : Math.min(this.worst, Math.round(Math.exp(bucket * WIDTH)))
    }
    return 0
  }
}

export class Tally {
  clients = 0
  /** Things wanted, and got (or given up by the client itself). */
  wanted = 0
  got = 0
  calls = 0
  readonly codes = new Map<string, number>()
  /** From wanting something to having it or giving up. */
  readonly wishes = new Waits()
  /** From a call to its answer, whatever it was: of all clients, and of each. */
  readonly answers = new Waits()
  readonly byClient = new Map<string, Waits>()

  constructor(readonly temperament: Temperament) {}

  answered(client: string, code: string, ms: number): void {
    this.calls += 1
    this.codes.set(code, (this.codes.get(code) ?? 0) + 1)
    this.answers.add(ms)
    let own = this.byClient.get(client)
    if (own === undefined) this.byClient.set(client, (own = new Waits()))
    own.add(ms)
  }

  ended(ms: number, useful: boolean): void {
    this.wishes.add(ms)
    if (useful) this.got += 1
  }
}

export interface Statistics {
  readonly of: (temperament: Temperament) => Tally
  readonly all: () => ReadonlyArray<Tally>
  /** A client wants something, now. */
  readonly wanted: () => void
}

export const make = (model: Model): Statistics => {
  const tallies = new Map<string, Tally>()
  return {
    of: (temperament) => {
      let tally = tallies.get(temperament.name)
      if (tally === undefined) tallies.set(temperament.name, (tally = new Tally(temperament)))
      return tally
    },
    all: () => [...tallies.values()],
    wanted: () => {
      model.load[model.weather()].wanted += 1
    }
  }
}
