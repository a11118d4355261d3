/**
 * What clients may rely on, whatever it is that decides: judged by what they were told and what became of
 * it, and not by what a client owes.
 */
import type * as RateLimiter from "../../../src/guard/RateLimiter.js"
import type { Bucket } from "./Bucket.js"
import type { Court } from "./Court.js"
import type { Shares } from "./Shares.js"

export interface Refusal {
  readonly path: ReadonlyArray<Bucket>
  readonly binding: Bucket | undefined
  /** Milliseconds until the caller could be admitted if there were no shares. */
  readonly plainMs: number
  readonly inWords: string
}

export interface Promises {
  readonly admitted: (client: string, path: ReadonlyArray<Bucket>) => void
  readonly refused: (
    request: RateLimiter.Request,
    maxWaitMs: number,
    retryAfterMs: number,
    refusal: Refusal
  ) => void
}

/** Longest that it takes to be ahead of one's share no more, milliseconds. */
const AHEAD_AT_MOST_MS = 5_000
/** A client that is refused by the same bucket for so long, however often it asks, starves. */
const STARVED_MS = 60_000
/** A caller that is later than this was not waiting. */
const LATE_MS = 1_000

export const make = (court: Court, shares: ReadonlyMap<Bucket, Shares>): Promises => {
  const told = new Map<string, { readonly dueMs: number; readonly moves: ReadonlyArray<number> }>()
  const hungry = new Map<Bucket, Map<string, { readonly sinceMs: number; dueMs: number }>>()

  const hunger = (client: string, bucket: Bucket, retryAfterMs: number, inWords: string): void => {
    if (!shares.has(bucket)) return
    let waiting = hungry.get(bucket)
    if (waiting === undefined) hungry.set(bucket, (waiting = new Map()))
    const now = court.now()
    const before = waiting.get(client)
    const sinceMs = before === undefined || now > before.dueMs + LATE_MS ? now : before.sinceMs
    waiting.set(client, { sinceMs, dueMs: now + retryAfterMs })
    if (now - sinceMs > STARVED_MS)
      court.report(
        "no client starves",
        `for ${now - sinceMs} ms ${client} has had nothing of ${bucket.scope}: ${inWords}`
      )
  }

  return {
    admitted: (client, path) => {
      for (const bucket of path) hungry.get(bucket)?.delete(client)
    },
    refused: (
      { class: name, client, tier },
      maxWaitMs,
      retryAfterMs,
      { binding, inWords, path, plainMs }
    ) => {
      const now = court.now()
      const key = `${client} ${tier} ${name} ${maxWaitMs}`
      const moves = path.map((bucket) => bucket.moves)
      const before = told.get(key)
      if (before !== undefined && now >= before.dueMs && moves.every((n, i) => n === before.moves[i]))
        court.report("a client that comes back as told, before any other, is admitted", inWords)
      told.set(key, { dueMs: now + retryAfterMs, moves })

      if (retryAfterMs > Math.ceil(Math.max(plainMs, AHEAD_AT_MOST_MS)))
        court.report("no client is told to wait for longer than it takes", inWords)

      for (const bucket of path) if (bucket !== binding) hungry.get(bucket)?.delete(client)
      if (binding === undefined) return
      hunger(client, binding, retryAfterMs, inWords)
      const share = shares.get(binding)
      if (share === undefined || binding.waitAt(court.nowMicros()) > 0) return
      if (share.usesLess(court.nowMicros(), client))
        court.report("a client that uses less than its share is refused no token that is there", inWords)
    }
  }
}
