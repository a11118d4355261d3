/**
 * The shares of a shared bucket in the second books: what each client owes the others, and what it has used
 * of late. There is a list of clients to go through, and a list of the calls of each; nothing clever.
 *
 * A call costs its client as many intervals of the bucket as there are clients that want some of it. Wants
 * some: has asked within a second, or owes something; up to the next 256th millisecond. Time pays, and
 * no client owes more than ten seconds. One that owes more than five is ahead of its share by the rest.
 */
import type { Bucket } from "./Bucket.js"

const SECOND = 1_000_000
const TICK = 256_000
const ALLOWED = 5 * SECOND
const MOST = 10 * SECOND
/** What is remembered of a client's calls; longer than anything it can owe. */
const LATELY = 20 * SECOND

class Client {
  owes = 0
  at = 0
  leavesAt = 0
  /** Of the calls admitted lately, oldest first: when, and what each cost. Refunds count as paid all the same. */
  calls: Array<{ readonly at: number; readonly cost: number }> = []

  owesAt(now: number): number {
    this.owes = Math.max(0, this.owes - (now - this.at))
    this.at = now
    return this.owes
  }
}

export class Shares {
  /** What is left to the others, in microseconds of refill; always a token less than all. */
  readonly reserve: number
  private readonly clients = new Map<string, Client>()

  constructor(
    readonly bucket: Bucket,
    part: number
  ) {
    this.reserve = Math.min(bucket.capacity * part, bucket.capacity - bucket.interval)
  }

  private of(client: string): Client {
    let found = this.clients.get(client)
    if (found === undefined) this.clients.set(client, (found = new Client()))
    return found
  }

  private others(now: number, than: Client): number {
    let count = 0
    for (const each of this.clients.values()) if (each !== than && each.leavesAt > now) count += 1
    return count
  }

  /** Microseconds until the client is ahead of its share no more. */
  aheadAt(now: number, client: string): number {
    return Math.max(0, this.of(client).owesAt(now) - ALLOWED)
  }

  asked(now: number, client: string): void {
    const own = this.of(client)
    const stays = Math.max(SECOND, own.owesAt(now))
    own.leavesAt = Math.ceil((now + stays) / TICK) * TICK
  }

  took(now: number, client: string): void {
    const own = this.of(client)
    const others = this.others(now, own)
    const cost = others === 0 ? 0 : (others + 1) * this.bucket.interval
    own.owes = Math.min(MOST, own.owesAt(now) + cost)
    own.calls = own.calls.filter(({ at }) => at > now - LATELY)
    own.calls.push({ at: now, cost })
    this.asked(now, client)
  }

  gaveBack(now: number, client: string): void {
    const own = this.of(client)
    const count = this.others(now, own) + (own.leavesAt > now ? 1 : 0)
    own.owes = Math.max(0, own.owesAt(now) - count * this.bucket.interval)
  }

  /**
   * Whatever the client owes: has it used less than its share? Since none of its calls more than five
   * seconds ahead of time, and over all that is remembered less than time and those five seconds allow.
   */
  usesLess(now: number, client: string): boolean {
    let used = 0
    const calls = this.of(client).calls.filter(({ at }) => at > now - LATELY)
    for (const { at, cost } of calls.reverse()) {
      used += cost
      if (used > ALLOWED + now - at) return false
    }
    return used <= LATELY + ALLOWED - MOST
  }
}
