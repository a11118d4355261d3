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
  readonly outcome: Outcome
  readonly scope: string | undefined
  readonly retryAfterMs: number | undefined
  /** For the operator; the client reads its description only. */
  readonly cause: string | undefined
}

const MAX_KINDS = 1_000

const MAX_CAUSE = 200

const verbs: { readonly [O in Outcome]: string } = {
  ok: "answered",
  cancelled: "cancelled",
  refused: "refused",
  rejected: "rejected",
  failed: "failed"
}

const line = (refusal: Refusal | undefined, times: number, isFirst: boolean) => {
  if (refusal === undefined) {
    return Effect.annotateLogs(Effect.logInfo("more calls were refused, or failed"), { times })
  }
  const { outcome, ...all } = refusal
  const verb = verbs[outcome]
  if (isFirst) return Effect.annotateLogs(Effect.logInfo(`call ${verb}`), all)
  const { retryAfterMs: _, ...about } = all
  return Effect.annotateLogs(
    Effect.logInfo(`more calls ${verb === "failed" ? verb : `were ${verb}`} like this`),
    {
      ...about,
      times
    }
  )
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
