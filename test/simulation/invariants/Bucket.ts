/**
 * A bucket of the second books: tokens in whole microseconds of refill, and the admissions of the last
 * minute, counted.
 */
import type * as RateLimiter from "../../../src/guard/RateLimiter.js"

const WINDOWS_MS = [1_000, 10_000, 60_000]

export class Bucket {
  /** Microseconds for one token, and of a full bucket. */
  readonly interval: number
  readonly capacity: number
  private credit: number
  private at: number
  /** Admissions (+1) and refunds (-1) of the longest window, oldest first. */
  private readonly times: Array<number> = []
  private readonly amounts: Array<number> = []
  /** For each window its first event, and the sum from there on. */
  private readonly firsts = WINDOWS_MS.map(() => 0)
  private readonly sums = WINDOWS_MS.map(() => 0)
  /** Admissions and refunds so far: equal means that nothing happened. */
  moves = 0

  constructor(
    readonly scope: RateLimiter.Scope,
    readonly name: string | undefined,
    readonly options: RateLimiter.Bucket,
    now: number
  ) {
    this.interval = Math.round(1_000_000 / options.rate)
    this.capacity = options.burst * this.interval
    this.credit = (options.initial ?? options.burst) * this.interval
    this.at = now
  }

  /** Microseconds until there is a token, and until as much is left besides. */
  waitAt(now: number, besides = 0): number {
    this.credit = Math.min(this.capacity, this.credit + now - this.at)
    this.at = now
    return Math.max(0, this.interval + besides - this.credit)
  }

  /** Counts when its token is due, but not later than the caller was told. */
  take(now: number, told: number): void {
    const due = now + Math.min(told, this.waitAt(now))
    this.credit -= this.interval
    this.note(due, 1)
  }

  /** Whole tokens. */
  leftAt(now: number): number {
    this.waitAt(now)
    return Math.max(0, Math.floor(this.credit / this.interval))
  }

  giveBack(now: number): void {
    this.credit = Math.min(this.capacity, this.credit + now - this.at + this.interval)
    this.at = now
    this.note(now, -1)
  }

  private note(at: number, amount: number): void {
    this.moves += 1
    const now = Math.max(at, this.times[this.times.length - 1] ?? 0)
    this.times.push(now)
    this.amounts.push(amount)
    for (let i = 0; i < WINDOWS_MS.length; i++) {
      let first = this.firsts[i]!
      let sum = this.sums[i]! + amount
      while (this.times[first]! < now - WINDOWS_MS[i]! * 1000) sum -= this.amounts[first++]!
      this.firsts[i] = first
      this.sums[i] = sum
    }
    const drop = this.firsts[WINDOWS_MS.length - 1]!
    if (drop < 256 || drop * 2 < this.times.length) return
    this.times.splice(0, drop)
    this.amounts.splice(0, drop)
    for (let i = 0; i < WINDOWS_MS.length; i++) this.firsts[i]! -= drop
  }

  /** The window in which too much was admitted, in words. */
  excess(): string | undefined {
    for (let i = 0; i < WINDOWS_MS.length; i++) {
      const most = this.options.burst + (this.options.rate * WINDOWS_MS[i]!) / 1000
      if (this.sums[i]! > most)
        return `${this.scope}: ${this.sums[i]} in ${WINDOWS_MS[i]} ms, of ${most} at most`
    }
    return undefined
  }
}
