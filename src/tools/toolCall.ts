/**
 * What the tools that ask the warehouse have in common: the caller's policy, the guard around the work,
 * and what every answer tells beside its result.
 */
import * as Effect from "effect/Effect"
import { CallPolicy } from "./CallPolicy.js"
import type { TierPolicy } from "./CallPolicy.js"
import { Received } from "../guard/Deadline.js"
import { DeadlineExceeded, Guard } from "../guard/Guard.js"
import type { Attempt, Refusal } from "../guard/Guard.js"
import { CurrentPrincipal } from "../platform/Principal.js"
import { Warehouse } from "../warehouse/Warehouse.js"
import type { WarehouseError } from "../warehouse/Warehouse.js"
import { collect } from "./collect.js"
import type { Collected, Request } from "./collect.js"
import { monotonicMillis } from "../platform/monotonic.js"
import * as Objects from "./objects.js"
import { quotaWarning } from "./schemas.js"
import type { AnswerMeta } from "./schemas.js"
import { Degradation } from "../guard/Degradation.js"
import { ResultCache } from "./ResultCache.js"
import type { Served } from "./ResultCache.js"

/**
 * A look-up has time for one attempt that runs into its limit and for another one after it: enough to
 * wait out a lost session, not enough to keep an agent hanging.
 */
const METADATA_ATTEMPTS = 2

/**
 * The warehouse ends a long statement itself, and that is the caller's affair. Only when it does not answer for
 * a while after that has it failed: that verdict counts against its health.
 */
const ANSWER_GRACE_MS = 1_000

/**
 * What a call may take beside its statement's own time, from its receipt on; what it waits is taken from that
 * time. Its caller is answered within two seconds after it: the default of 45 s is well within the minute that
 * clients wait.
 */
const QUERY_GRACE_MS = 1_500

/** A warehouse that says nothing for so long has a fault, whatever it was asked. */
const SILENCE_MS = 10_000

/** A catalog answer of ordinary size; the truth is settled afterwards. */
const METADATA_BYTES = 4096

/** A middling row of JSON; the truth is settled afterwards. */
const ROW_BYTES = 128

/** One statement of the call; time limit, id and label are filled in. */
export type Run = (
  request: Omit<Request, "statement" | "timeoutMs" | "graceMs"> & {
    readonly sql: string
    readonly database?: string | undefined
    readonly schema?: string | undefined
    readonly keepRows?: number | undefined
  }
) => Effect.Effect<Collected, WarehouseError>

/** What a look-up does in each attempt. */
export type LookUp<A, E> = (run: Run, policy: TierPolicy) => Effect.Effect<A, E | WarehouseError>

/** Holds what a statement is expected to scan, or says that there is not that much left. */
export type HoldScan = (bytes: number) => Effect.Effect<void, Refusal>

/** The next rows of a result that the warehouse keeps. */
export type Read = (
  request: Pick<Request, "maxRows" | "maxBytes"> & { readonly queryId: string; readonly offset: number }
) => Effect.Effect<Collected, WarehouseError>

export interface Answer<A> {
  readonly value: A
  readonly meta: AnswerMeta
}

export interface QueryOptions {
  readonly tool: string
  readonly policy: TierPolicy
  readonly maxRows: number
  readonly timeoutMs: number
  /** What is asked: see `Operation.statement`. */
  readonly statement: () => string
  readonly waiting: (message: string) => Effect.Effect<void>
}

const cachedMeta = ({ ageMs, reason, stale }: NonNullable<Served<unknown>["cached"]>) => ({
  age_seconds: Math.round(ageMs / 1000),
  ...(stale ? { stale: true } : {}),
  ...(reason === undefined ? {} : { stale_reason: reason })
})

export const make = Effect.gen(function* () {
  const guard = yield* Guard
  const cache = yield* ResultCache
  const degradation = yield* Degradation
  const policies = yield* CallPolicy
  const warehouse = yield* Warehouse

  /** While the server serves less than it could, every answer says so. */
  const degraded = Effect.map(degradation.status, ({ mode, wayBack, why }): Pick<AnswerMeta, "degraded"> =>
    mode === "normal"
      ? {}
      : { degraded: { mode, why, ...(wayBack === undefined ? {} : { way_back: wayBack.condition }) } }
  )

  const policy = Effect.map(CurrentPrincipal, (principal) => policies.of(principal.tier))

  const guarded = Effect.fnUntraced(function* <A, E>(
    operation: Parameters<typeof guard.run>[0],
    { graceMs, timeoutMs }: Pick<Request, "graceMs" | "timeoutMs">,
    prepare: Effect.Effect<
      (run: Run, read: Read, holdScan: HoldScan) => Effect.Effect<A, E | WarehouseError>,
      E | WarehouseError
    >
  ): Effect.fn.Return<Answer<A>, E | WarehouseError | Refusal> {
    const { client, tier } = yield* CurrentPrincipal
    const { objects } = policies.of(tier)
    const unseen = Objects.withoutDenied(Objects.rulesOf({ objects }, warehouse.dialect))
    const started = yield* monotonicMillis
    const { value, warnings } = yield* guard.run<A, E, never>(
      operation,
      Effect.map(
        prepare,
        (work) => (attempt: Attempt) =>
          work(
            ({ database, keepRows, schema, sql, ...request }) =>
              collect(warehouse, attempt, {
                ...request,
                timeoutMs,
                graceMs,
                statement: {
                  sql,
                  database,
                  schema,
                  keepRows,
                  objects,
                  tag: { tool: operation.tool, client },
                  waiting: operation.waiting
                }
              }).pipe(Effect.mapError(unseen(sql))),
            ({ offset, queryId, ...request }) =>
              collect(warehouse, attempt, {
                ...request,
                timeoutMs,
                graceMs,
                statement: {
                  queryId,
                  offset,
                  tag: { tool: operation.tool, client },
                  waiting: operation.waiting
                }
              }),
            attempt.holdScan ?? (() => Effect.void)
          )
      )
    )
    const elapsed_ms = Math.round((yield* monotonicMillis) - started)
    const quota_warnings = warnings.map(quotaWarning)
    const meta = { elapsed_ms, ...(yield* degraded) }
    return { value, meta: quota_warnings.length === 0 ? meta : { ...meta, quota_warnings } }
  })

  return {
    dialect: warehouse.dialect,
    /** What the current caller may ask for. */
    policy,
    /**
     * A look-up in the catalog, by a key that names the tool and all that the answer depends on. The server
     * has one role in the warehouse, so what one client of a tier was told is true for the others.
     */
    metadata: <A, E>(
      tool: string,
      key: string,
      work: LookUp<A, E> | Effect.Effect<LookUp<A, E>, E>
    ): Effect.Effect<Answer<A>, E | WarehouseError | Refusal> =>
      Effect.gen(function* () {
        const { tier } = yield* CurrentPrincipal
        const limits = policies.of(tier)
        const started = yield* monotonicMillis
        const waited = started - ((yield* Received) ?? started)
        const deadlineMs = limits.metadataTimeoutMs * METADATA_ATTEMPTS
        // What is told beside the value is of this call alone: nobody else is to be told it.
        let own: AnswerMeta | undefined
        const asked = guarded<A, E>(
          {
            tool,
            class: "metadata",
            deadlineMs,
            timeoutMs: limits.metadataTimeoutMs,
            estimatedBytes: METADATA_BYTES,
            statement: () => `${tool} ${key}`
          },
          { timeoutMs: limits.metadataTimeoutMs },
          Effect.map(
            Effect.isEffect(work) ? work : Effect.succeed(work),
            (work) => (run: Run) => work(run, limits)
          )
        )
        const { cached, value } = yield* cache.serve<A, E | WarehouseError | Refusal, never>(
          {
            key: JSON.stringify([tier, tool, key]),
            patience: {
              ms: Math.max(0, deadlineMs - waited),
              late: () => new DeadlineExceeded({ limitMs: deadlineMs, sent: false, of: "call" })
            }
          },
          Effect.map(asked, ({ meta, value }) => {
            own = meta
            return value
          })
        )
        if (cached === undefined && own !== undefined) return { value, meta: own }
        const elapsed_ms = Math.round((yield* monotonicMillis) - started)
        const meta = { elapsed_ms, ...(yield* degraded) }
        return { value, meta: cached === undefined ? meta : { ...meta, ...cachedMeta(cached) } }
      }),
    keepsResults: warehouse.results !== undefined,
    /** Reads on in a result that is kept: a request like any other, but no query. */
    page: (
      tool: string,
      from: { readonly queryId: string; readonly offset: number; readonly maxRows: number },
      { maxResultBytes, metadataTimeoutMs }: TierPolicy
    ): Effect.Effect<Answer<Collected>, WarehouseError | Refusal> =>
      guarded(
        {
          tool,
          class: "metadata",
          deadlineMs: metadataTimeoutMs * METADATA_ATTEMPTS,
          timeoutMs: metadataTimeoutMs,
          estimatedBytes: Math.min(maxResultBytes, from.maxRows * ROW_BYTES),
          statement: () => `${tool} ${from.queryId}`
        },
        { timeoutMs: metadataTimeoutMs },
        Effect.succeed((_: Run, read: Read) => read({ ...from, maxBytes: maxResultBytes }))
      ),
    /** A statement that uses compute; `prepare` decides, before it waits for anything, whether it may run. */
    query: <A, E>(
      { maxRows, policy, statement, timeoutMs, tool, waiting }: QueryOptions,
      prepare: Effect.Effect<(run: Run, holdScan: HoldScan) => Effect.Effect<A, E | WarehouseError>, E>
    ): Effect.Effect<Answer<A>, E | WarehouseError | Refusal> =>
      guarded(
        {
          tool,
          class: "query",
          deadlineMs: timeoutMs + QUERY_GRACE_MS,
          timeoutMs: timeoutMs + ANSWER_GRACE_MS,
          // What the caller asks for does not decide how soon the warehouse counts as silent.
          silenceMs: Math.min(policy.statementTimeoutMs, SILENCE_MS),
          estimatedBytes: Math.min(policy.maxResultBytes, maxRows * ROW_BYTES),
          statement,
          waiting
        },
        { timeoutMs, graceMs: ANSWER_GRACE_MS },
        Effect.map(prepare, (work) => (run: Run, _: Read, holdScan: HoldScan) => work(run, holdScan))
      )
  }
})
