/** What the cache of results is asked and what it answers. */
import type * as Option from "effect/Option"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly maxEntries: number
  readonly maxBytes: number
  /** An answer younger than this is given instead of asking again, milliseconds; 0: never. */
  readonly freshMs: number
  /** An answer older than this is forgotten, milliseconds. */
  readonly maxAgeMs: number
}

/**
 * Somebody who has just created a table looks for it, so that the warehouse is always asked first. A day is as old as an answer can be and still be better than none. 32 MiB hold the catalog of a large
 * account and are a tenth of a small container.
 *
 * @since 0.1.0
 * @category models
 */
export const defaults: Options = {
  maxEntries: 1_000,
  maxBytes: 32 * 1024 * 1024,
  freshMs: 0,
  maxAgeMs: 86_400_000
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Hit {
  readonly value: unknown
  readonly ageMs: number
  readonly fresh: boolean
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Served<A> {
  readonly value: A
  /** Absent when this very call has asked; there when it was told what another one asked. */
  readonly cached?:
    | {
        readonly ageMs: number
        /** Given instead of a failure, which `reason` explains. */
        readonly stale: boolean
        readonly reason?: string | undefined
      }
    | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Request<A, E> {
  /** Names an answer, and with it the type of the answer. */
  readonly key: string
  /** Instead of the cache's own, milliseconds; 0: always ask first. */
  readonly freshMs?: number | undefined
  /**
   * How long the caller has for another one's answer, and for its own if that comes to nothing:
   * milliseconds, and what it fails with when they are over. For ever when absent.
   */
  readonly patience?: { readonly ms: number; readonly late: () => E } | undefined
  /** May an old answer stand in for this failure, and how is that explained? {@link unreachable} when absent. */
  readonly allowStale?: ((error: E) => Option.Option<string>) | undefined
  /** Bytes of an answer; those of its JSON when absent. */
  readonly bytes?: ((value: A) => number) | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Status {
  readonly entries: number
  readonly bytes: number
  /** Answers given without asking, and instead of a failure. */
  readonly freshHits: number
  readonly staleHits: number
  /** Times the effect was run. */
  readonly misses: number
  readonly evicted: number
}
