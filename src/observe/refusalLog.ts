/** The log of calls that got no result; each single call is in the metrics and in the audit log. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Outcome } from "./core/CallStats.js"
import * as RepeatedLog from "./repeatedLog.js"

export interface RefusalLog {
  readonly refused: (refusal: Refusal) => Effect.Effect<void>
}

export interface Refusal {
  readonly client: string
  readonly tool: string
  readonly code: string
  /** What kind of end it is. */
  readonly outcome: Exclude<Outcome, "ok">
  readonly scope: string | undefined
  readonly retryAfterMs: number | undefined
  /** For the operator; the client reads its description only. */
  readonly cause: string | undefined
}

const MAX_KINDS = 1_000

const MAX_CAUSE = 200

/** Of the first call, and of more like it. */
const texts: { readonly [O in Refusal["outcome"]]: readonly [first: string, more: string] } = {
  cancelled: ["call cancelled", "more calls were cancelled like this"],
  refused: ["call refused", "more calls were refused like this"],
  rejected: ["call rejected", "more calls were rejected like this"],
  failed: ["call failed", "more calls failed like this"]
}

const line = (refusal: Refusal | undefined, times: number, isFirst: boolean) => {
  if (refusal === undefined) {
    return Effect.annotateLogs(Effect.logInfo("more calls were refused, or failed"), { times })
  }
  const { outcome, ...all } = refusal
  const [first, more] = texts[outcome]
  if (isFirst) return Effect.annotateLogs(Effect.logInfo(first), all)
  const { retryAfterMs: _, ...about } = all
  return Effect.annotateLogs(Effect.logInfo(more), { ...about, times })
}

export const make: Effect.Effect<RefusalLog, never, Scope.Scope> = Effect.map(
  RepeatedLog.make<Refusal>({
    maxKinds: MAX_KINDS,
    keyOf: ({ cause, client, code, outcome, scope, tool }) =>
      JSON.stringify([client, tool, code, outcome, scope, cause]),
    line
  }),
  (log) => ({ refused: (refusal) => log({ ...refusal, cause: refusal.cause?.slice(0, MAX_CAUSE) }) })
)
