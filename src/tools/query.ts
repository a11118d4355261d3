/**
 * How the tools ask the warehouse: the policy of the caller's tier, the guard around the work, the statement,
 * and as much of its rows as the caller may have.
 *
 * ```
 * policy --> guard { statement --> rows, bounded } --> answer, and what is told beside it
 * ```
 *
 * {@link collect} runs one statement inside an attempt of the guard. {@link make} makes guarded calls and
 * look-ups in the catalog. {@link makeRows} makes queries that return rows, and the pages after the first one.
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { ReadOnly } from "../gate/ReadOnly.js"
import type { StatementRejected } from "../gate/ReadOnly.js"
import { ScanBudgetExceeded, estimate } from "../gate/ScanBudget.js"
import { Received } from "../guard/Deadline.js"
import type { Status } from "../guard/Degradation.js"
import { Degradation, inWords } from "../guard/Degradation.js"
import { CircuitBreaker } from "../guard/CircuitBreaker.js"
import { DeadlineExceeded, Guard } from "../guard/Guard.js"
import type { Attempt, Refusal } from "../guard/Guard.js"
import { spans } from "../observe/Telemetry.js"
import * as ResultShape from "../platform/core/ResultShape.js"
import { monotonicReader } from "../platform/monotonic.js"
import type { Principal } from "../platform/Principal.js"
import type { Masking } from "../sql/MaskRules.js"
import { CurrentPrincipal } from "../platform/Principal.js"
import { Credits } from "../quota/Credits.js"
import type { Running, WarehouseSuspended } from "../quota/Credits.js"
import type { QuotaStatus } from "../quota/Quota.js"
import { actingAs, fetchStored, placeOf, Warehouse } from "../warehouse/Warehouse.js"
import type { Cell, Column, Row, Statement, Stored, WarehouseError } from "../warehouse/Warehouse.js"
import { CallPolicy, hasTool } from "./CallPolicy.js"
import type { TierPolicy } from "./CallPolicy.js"
import type { CallNotes } from "./callNotes.js"
import { CurrentNotes } from "./callNotes.js"
import { Cursors } from "./Cursors.js"
import { partId } from "./lookUps.js"
import * as Masks from "./masks.js"
import * as Names from "./names.js"
import { ResultCache } from "./ResultCache.js"
import type { Served } from "./ResultCache.js"
import { SearchIndex } from "./SearchIndex.js"
import { quotaWarning } from "./schemas.js"
import type { AnswerMeta, Completeness, QueryResult } from "./schemas.js"
import type { ToolError } from "./Tool.js"

// One statement

/** Which rows of a result are kept, and in which form. */
interface Bounds {
  /** Rows returned at most; one more is asked for, to know whether there are more. */
  readonly maxRows: number
  readonly maxBytes: number
  /** Bytes of one cell at most; see {@link cellLimit} when absent. */
  readonly maxCellBytes?: number | undefined
  /** Keep only these columns, by name and in this order; one that the result does not have is NULL. */
  readonly pick?: ReadonlyArray<string> | undefined
  /** Leave out the other rows, as picked; they count for nothing. */
  readonly keep?: ((row: Row) => boolean) | undefined
  /** What is made of a picked row, and the names and bounds of what it then holds. */
  readonly into?: Into | undefined
  /** What the statement will scan is held for it. */
  readonly scans?: boolean | undefined
  /** It runs in a virtual warehouse. */
  readonly computes?: boolean | undefined
  /** Position among the statements of the same attempt, from 0. */
  readonly part?: number | undefined
  /** Asked for by the server itself: not among what is written down of the call. */
  readonly beside?: boolean | undefined
}

interface Into {
  readonly names: ReadonlyArray<string>
  readonly row: (row: Row) => Row
  /** Bytes of a cell at most, where a column has less than the others. */
  readonly columnBytes?: ReadonlyArray<number | undefined>
}

/** Exported: the emitted declarations of other modules name it. */
export interface Limits {
  /** Milliseconds the statement may run; less when the attempt has less. */
  readonly timeoutMs: number
  /** Milliseconds of the attempt that are left for the warehouse to say that the time is over; 0 when absent. */
  readonly graceMs?: number | undefined
}

/** What a statement costs is counted. */
interface Bill {
  /** Run when the statement leaves. */
  readonly begin: Effect.Effect<Running>
  /** Told what it has cost, when it has ended. */
  readonly charge: (credits: number) => Effect.Effect<void>
}

interface Request extends Bounds, Limits {
  readonly bill?: Bill | undefined
  /** What is written down of the statement, where it holds a secret. */
  readonly logged?: string | undefined
  /** A statement to run, or a stored result to read on. */
  readonly statement:
    | Omit<Statement, "requestId" | "timeoutMs" | "maxRows">
    | Pick<Stored, "queryId" | "offset" | "tag" | "waiting">
}

export interface Collected {
  readonly queryId: string
  readonly columns: ReadonlyArray<Column>
  readonly rows: ReadonlyArray<Row>
  readonly cutCells: number
  /** Bytes of JSON of the rows. */
  readonly bytes: number
  /** Rows that arrived, also those that were left out, and the last of them as picked. */
  readonly arrived: number
  readonly last: Row | undefined
  /** There were more rows, and none of those is stored. */
  readonly partial: boolean
  /** They are of a SELECT, so that the names of its columns may be those of tables. */
  readonly selected?: boolean | undefined
  /** `quota`: the bytes ended where a quota ends, not where the tier's limit does. */
  readonly truncated: { readonly reason: "rows" | "bytes" | "quota"; readonly limit: number } | undefined
}

/** What a warehouse hands over of a cell, in times of what is kept of it. */
const CELL_MARGIN = 8

/** A cell may take a quarter of the result, and never more than fits the attention of a reader. */
const cellLimit = (maxBytes: number): number => Math.min(32 * 1024, Math.floor(maxBytes / 4))

const picker = (columns: ReadonlyArray<Column>, pick: ReadonlyArray<string> | undefined) => {
  if (pick === undefined) return undefined
  const names = columns.map((column) => column.name.toLowerCase())
  const positions = pick.map((name) => names.indexOf(name))
  return (row: Row): Row => positions.map((at): Cell => (at < 0 ? null : (row[at] ?? null)))
}

/** `"name":` for each cell of a row that becomes an object; a NULL is left out of it, with its comma. */
const keyBytes = (names: ReadonlyArray<string>): ((row: Row) => number) => {
  const bytes = names.map((name) => ResultShape.jsonStringBytes(name) + 1)
  const omitted = -"null,".length
  return (row) => row.reduce<number>((sum, cell, at) => sum + (cell === null ? omitted : (bytes[at] ?? 0)), 0)
}

const shapeLimits = (request: Bounds, attempt: Attempt): ResultShape.Limits => ({
  maxRows: request.maxRows,
  maxBytes: Math.min(request.maxBytes, attempt.bytesLeft),
  maxCellBytes: request.maxCellBytes ?? cellLimit(request.maxBytes),
  columnBytes: request.into?.columnBytes,
  rowOverheadBytes: request.pick === undefined ? undefined : keyBytes(request.into?.names ?? request.pick)
})

/**
 * Runs one statement inside an attempt of the guard and keeps as much of its result as the caller may
 * have. Rows are pulled: when enough is there the scope closes, which cancels the rest in the warehouse.
 */
export const collect = Effect.fnUntraced(
  function* (
    warehouse: Context.Tag.Service<Warehouse>,
    attempt: Attempt,
    notes: CallNotes,
    request: Request
  ): Effect.fn.Return<Collected, WarehouseError, Scope.Scope> {
    const { part = 0, statement } = request
    const written = request.beside !== true
    if ("sql" in statement && written) notes.sent(part, request.logged ?? statement.sql)
    const sent = Effect.suspend(() => {
      notes.submitted()
      return attempt.markSent
    })
    const submitted = request.scans === true ? Effect.zipRight(sent, attempt.beginScan) : sent
    const most = Math.max(request.maxRows, "sql" in statement ? (statement.keepRows ?? 0) : 0)
    const bounds = {
      // It is the warehouse that ends a statement which takes too long: it says more about it than we can.
      timeoutMs: Math.max(1, Math.min(request.timeoutMs, attempt.timeoutMs - (request.graceMs ?? 0))),
      // How many rows will have to be read for that many to be kept is not known.
      ...(request.keep === undefined ? { maxRows: most + 1 } : {}),
      // Longer than what is shown, so that a cell that was cut is told from one that fits.
      maxCellBytes: CELL_MARGIN * (request.maxCellBytes ?? cellLimit(request.maxBytes)),
      requestId: partId(attempt.requestId, part),
      onCancelled: attempt.cancelled,
      runsAs: notes.runsAs
    }
    const executed = (onSubmit: Effect.Effect<void>) => {
      const reported = warehouse.reportsSubmit === true ? { ...bounds, onSubmit } : bounds
      const execution =
        "sql" in statement
          ? warehouse.execute({ ...statement, ...reported })
          : fetchStored(warehouse, { ...statement, ...reported })
      // A warehouse that does not say when the statement leaves may be sending it from here on.
      return warehouse.reportsSubmit === true ? execution : Effect.zipRight(onSubmit, execution)
    }
    const { bill } = request
    const result = yield* bill === undefined
      ? executed(submitted)
      : billed(bill, (begun) => executed(Effect.zipRight(submitted, begun)))
    const pick = picker(result.columns, request.pick)
    const described = result.columns.map(({ name, type }) => ({ name, type }))
    let shape = ResultShape.start(shapeLimits(request, attempt), pick === undefined ? described : [])
    let arrived = 0
    let last: Row | undefined
    // The names of the columns count with the first rows.
    let counted = 0
    const take = (chunk: ReadonlyArray<Row>) => {
      const picked = pick === undefined ? chunk : chunk.map(pick)
      arrived += picked.length
      notes.reading(picked.length)
      last = picked.at(-1)
      const kept = request.keep === undefined ? picked : picked.filter(request.keep)
      shape = ResultShape.push(shape, request.into === undefined ? kept : kept.map(request.into.row))
    }
    const count = Effect.suspend(() => {
      const more = shape.bytes - counted
      counted = shape.bytes
      return attempt.addBytes(more)
    })
    if (result.whole === undefined) {
      yield* Stream.runForEachWhile(result.rows, (chunk) => {
        take(chunk)
        return Effect.as(count, shape.truncated === undefined)
      })
    } else take(yield* result.whole)
    yield* count
    const { cutCells, truncated } = shape
    const rows = ResultShape.rows(shape)
    if (written) notes.received(part, { queryId: result.queryId, rows: rows.length, bytes: shape.bytes })
    const byQuota = truncated?.reason === "bytes" && attempt.bytesLeft < request.maxBytes
    return {
      queryId: result.queryId,
      columns: result.columns,
      rows,
      cutCells,
      bytes: shape.bytes,
      arrived,
      last,
      partial: truncated === undefined && result.partial === true,
      truncated: byQuota ? { reason: "quota", limit: truncated.limit } : truncated
    }
  },
  Effect.scoped,
  // Not provided to what runs in it: no span is below this one.
  (collected) =>
    Effect.useSpan(spans.statement, { kind: "client", captureStackTrace: false }, () => collected)
)

/** Bills an execution, which runs `begun` when its statement leaves. Its rows come without the virtual warehouse. */
const billed = <A, R>(
  { begin, charge }: Bill,
  execution: (begun: Effect.Effect<void>) => Effect.Effect<A, WarehouseError, R>
): Effect.Effect<A, WarehouseError, R> =>
  Effect.flatMap(Ref.make<Running | undefined>(undefined), (running) => {
    const begun = Effect.uninterruptible(
      Effect.flatMap(Ref.get(running), (known) =>
        known === undefined ? Effect.flatMap(begin, (it) => Ref.set(running, it)) : Effect.void
      )
    )
    return Effect.onExit(execution(begun), (exit) =>
      Effect.flatMap(Ref.get(running), (it) =>
        it === undefined ? Effect.void : Effect.flatMap(wasNotRun(exit) ? it.refused : it.end, charge)
      )
    )
  })

/** There was no warehouse to run in. */
const wasNotRun = (exit: Exit.Exit<unknown, WarehouseError>): boolean =>
  Exit.isFailure(exit) &&
  Option.exists(Cause.failureOption(exit.cause), ({ reason }) => reason === "Unavailable")

/** Advice on how to get what is missing: beyond a number of rows, and beyond a number of bytes. */
export interface Advice {
  readonly rows: string
  readonly bytes: string
}

const kibibytes = (bytes: number): string => `${Math.ceil(bytes / 1024)} KiB`

/** What was left out, why, and how to get it. */
export const completeness = (
  { cutCells, truncated }: Pick<Collected, "cutCells" | "truncated">,
  advice: Advice
): Completeness => {
  switch (truncated?.reason) {
    case "rows":
      return { truncated: true, truncated_reason: "rows", next_step: advice.rows }
    case "bytes":
      return {
        truncated: true,
        truncated_reason: "bytes",
        next_step: `One answer holds at most ${kibibytes(truncated.limit)}. ${advice.bytes}`
      }
    case "quota":
      return {
        truncated: true,
        truncated_reason: "quota",
        next_step:
          "The quota of result bytes is used up. Call get_limits for its reset time and tell the user."
      }
  }
  return cutCells === 0
    ? { truncated: false }
    : { truncated: true, truncated_reason: "cells", next_step: `Long values were cut. ${advice.bytes}` }
}

// Guarded calls

/**
 * A look-up has time for one attempt that runs into its limit and for another one after it: enough to
 * wait out a lost session, not enough to keep an agent hanging.
 */
const METADATA_ATTEMPTS = 2

/** A catalog answer of ordinary size; the truth is settled afterwards. */
const METADATA_BYTES = 4096

/** Runs a statement of the call, or reads on in a stored result; time limit, id and tag are filled in. */
export type Run = (
  request: Bounds & {
    readonly logged?: string | undefined
    readonly statement:
      Pick<Statement, "sql" | "database" | "schema" | "keepRows"> | Pick<Stored, "queryId" | "offset">
  }
) => Effect.Effect<Collected, WarehouseError>

/** The tool for which objects are kept in memory. */
export const SEARCH = "search_objects"

/** What a look-up does in each attempt. */
type LookUp<A, E> = (run: Run, policy: TierPolicy) => Effect.Effect<A, E | WarehouseError>

/** Exported: the emitted declarations of other modules name it. */
export interface Answer<A> {
  readonly value: A
  readonly meta: AnswerMeta
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
  const index = yield* SearchIndex
  const now = yield* monotonicReader
  /** None where the warehouse costs no credits. */
  const credits = Option.getOrUndefined(yield* Effect.serviceOption(Credits))
  const masks = Masks.make(policies, warehouse.dialect)

  /** While the server serves less than it could, every answer says so. */
  const degraded = ({ mode, wayBack, why }: Status): Pick<AnswerMeta, "degraded"> =>
    mode === "normal"
      ? {}
      : { degraded: { mode, why, ...(wayBack === undefined ? {} : { way_back: inWords(wayBack) }) } }

  const policyOf = ({ tier }: Principal): TierPolicy => policies.of(tier)

  /** What the current caller may ask for. */
  const policy = Effect.map(CurrentPrincipal, policyOf)

  const identityOf = (principal: Principal): string => {
    const { key, role = "" } = actingAs(warehouse, principal)
    return key === "" && role === "" ? "" : JSON.stringify([key, role])
  }

  const metaOf = (started: number, warnings: ReadonlyArray<QuotaStatus>, status: Status): AnswerMeta => {
    const meta = { elapsed_ms: Math.round(now() - started), ...degraded(status) }
    return warnings.length === 0 ? meta : { ...meta, quota_warnings: warnings.map(quotaWarning) }
  }

  /** Where any tier counts credits, all statements are billed: those of the others share the warehouse's time. */
  const billOf = ({ addCredits }: Attempt, charges: boolean): Bill | undefined =>
    credits !== undefined && policies.countsCredits()
      ? { begin: credits.begin, charge: charges ? addCredits : () => Effect.void }
      : undefined

  /** `prepare` decides, before anything is waited for, whether the work may be done. */
  const guarded = Effect.fnUntraced(function* <A, E>(
    principal: Principal,
    operation: Parameters<typeof guard.run>[0],
    limits: Limits,
    prepare: Effect.Effect<
      (run: Run, attempt: Attempt) => Effect.Effect<A, E | WarehouseError | Refusal>,
      E | WarehouseError
    >
  ): Effect.fn.Return<Answer<A>, E | WarehouseError | Refusal> {
    const { client, tier } = principal
    const tierPolicy = policies.of(tier)
    const { chargeCredits, objects } = tierPolicy
    const unseen = Names.withoutDenied(Names.rulesOf({ objects }, warehouse.dialect))
    const withoutValues = Masks.withoutValues(yield* masks.forCall(tierPolicy, identityOf(principal)))
    const beside = { objects, tag: { tool: operation.tool, client, tier }, waiting: operation.waiting }
    const notes = yield* CurrentNotes
    const { metered, observed } = notes
    const started = now()
    const { value, warnings } = yield* guard.run<A, E | Refusal, never>(
      { ...operation, place: placeOf(warehouse, principal), observed, metered },
      Effect.map(
        prepare,
        (work) => (attempt: Attempt) =>
          work(
            ({ statement, ...bounds }) =>
              Effect.mapError(
                collect(warehouse, attempt, notes, {
                  ...bounds,
                  ...limits,
                  statement: { ...statement, ...beside },
                  bill: bounds.computes === true ? billOf(attempt, chargeCredits) : undefined
                }),
                (error) => withoutValues(unseen("sql" in statement ? statement.sql : "")(error))
              ),
            attempt
          )
      )
    )
    if (hasTool(policies.of(tier), SEARCH)) yield* index.answered(identityOf(principal), principal)
    return { value, meta: metaOf(started, warnings, yield* degradation.status) }
  })

  /** An answer from memory: it counts as a request, and is given whatever the state of the warehouse is. */
  const local = Effect.fnUntraced(function* <A, E>(
    tool: string,
    work: Effect.Effect<A, E | WarehouseError>,
    bytesOf: (value: A) => number
  ): Effect.fn.Return<Answer<A>, E | WarehouseError | Refusal> {
    const { metadataTimeoutMs } = yield* policy
    const { metered, observed } = yield* CurrentNotes
    const started = now()
    const { value, warnings } = yield* guard.run<A, E | Refusal, never>(
      {
        tool,
        class: "metadata",
        deadlineMs: metadataTimeoutMs * METADATA_ATTEMPTS,
        timeoutMs: metadataTimeoutMs,
        estimatedBytes: METADATA_BYTES,
        local: true,
        observed,
        metered
      },
      ({ addBytes, markSent }) =>
        Effect.zipRight(
          markSent,
          Effect.tap(work, (value) => addBytes(bytesOf(value)))
        )
    )
    return { value, meta: metaOf(started, warnings, yield* degradation.status) }
  })

  return {
    dialect: warehouse.dialect,
    /** Where names are looked up that do not say their database and schema. */
    place: warehouse.place ?? {},
    credits,
    keepsResults: warehouse.results !== undefined,
    policy,
    policyOf,
    /** The identity of a caller in the warehouse: what is remembered is remembered by it. */
    identityOf,
    /** What is known of the tables that have masked columns. */
    masks,
    /** What the current caller may see; undefined when that is everything. */
    rules: Effect.map(policy, (policy) => Names.rulesOf(policy, warehouse.dialect)),
    guarded,
    local,
    /**
     * A look-up in the catalog, by a key that names the tool and all that the answer depends on. What
     * one caller was told is true for the others of its tier that are the same user and role in the warehouse.
     */
    metadata: <A, E>(
      tool: string,
      key: string,
      work: LookUp<A, E> | Effect.Effect<LookUp<A, E>, E>
    ): Effect.Effect<Answer<A>, E | WarehouseError | Refusal> =>
      Effect.gen(function* () {
        const principal = yield* CurrentPrincipal
        const { tier } = principal
        const limits = policies.of(tier)
        const started = now()
        const waited = started - ((yield* Received) ?? started)
        const deadlineMs = limits.metadataTimeoutMs * METADATA_ATTEMPTS
        // What is told beside the value is of this call alone.
        let own: AnswerMeta | undefined
        const asked = guarded<A, E>(
          principal,
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
            (work) => (run) => work(run, limits)
          )
        )
        const { cached, value } = yield* cache.serve<A, E | WarehouseError | Refusal, never>(
          {
            key: JSON.stringify([identityOf(principal), tier, tool, key]),
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
        const elapsed_ms = Math.round(now() - started)
        const meta = { elapsed_ms, ...degraded(yield* degradation.status) }
        return { value, meta: cached === undefined ? meta : { ...meta, ...cachedMeta(cached) } }
      })
  }
})

// Queries that return rows

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

/** A middling row of JSON; the truth is settled afterwards. */
const ROW_BYTES = 128

/** Bytes of the answer to EXPLAIN. A statement with a longer plan is refused. */
const PLAN_BYTES = 4 * 1024 * 1024

/** A table has other columns, or is gone: what was looked up of it is not true any more. */
const mayBeOutdated = ({ code, reason }: WarehouseError): boolean =>
  reason === "NotFound" || code === "000904"

/** A statement that may run. */
interface Checked {
  readonly sql: string
  /** What is written down in its place, where it holds a secret. */
  readonly logged?: string | undefined
  /** Whether it reads tables, so that what it would scan counts. */
  readonly scans: boolean
  /** Whether it runs in a virtual warehouse, which it would resume. */
  readonly computes: boolean
  /** How its rows are kept, where not as they are. */
  readonly bounds?: Pick<Bounds, "maxCellBytes" | "pick" | "into"> | undefined
}

/**
 * The text to execute, given the number of rows after which it may stop. Metered. Run once, and once more after each
 * look-up of tables that `masking` did not know.
 */
export type Text<E> = (
  stopAt: number,
  policy: TierPolicy,
  masking: Masking | undefined
) => Effect.Effect<Checked, E>

/** A text that is made of what other statements of the same attempt have told. */
interface Learned<E> {
  readonly learn: (run: Run) => Effect.Effect<Text<E>, E | WarehouseError>
}

/** The statement, once what has to be known of its tables is looked up. */
type Decided<E> = (run: Run) => Effect.Effect<Checked, E | WarehouseError | StatementRejected | ToolError>

interface RowsRequest<E> {
  readonly tool: string
  /** Rows the caller asks for; the tier's default when absent. */
  readonly limit?: number | undefined
  readonly timeoutSeconds?: number | undefined
  readonly database?: string | undefined
  readonly schema?: string | undefined
  readonly sql: Text<E> | Learned<E>
  /** What the caller asks: see `Operation.statement`. */
  readonly statement: () => string
  /** The statement was accepted and is about to run. */
  readonly started: Effect.Effect<void>
  /** Told when the call has to wait for its turn. */
  readonly waiting: (message: string) => Effect.Effect<void>
}

interface Page {
  readonly result: Collected
  readonly policy: TierPolicy
  /** Rows asked for. */
  readonly maxRows: number
  /** Rows before these. */
  readonly offset: number
  /** Whether reading on is possible. */
  readonly more: boolean
}

const goOn =
  "get_query_results with this query_id and next_cursor gives the next rows without running it again."

const pageAdvice = ({ maxRows, more, offset, policy }: Page): Advice => {
  const first = offset === 0 ? `Only the first ${maxRows} rows are here.` : `There are more rows than these.`
  if (more) {
    return {
      rows: `${first} ${goOn} Better: filter or aggregate in SQL.`,
      bytes: `${goOn} Better: select fewer columns, or cut long values with LEFT(column, n).`
    }
  }
  const larger = offset === 0 && maxRows < policy.maxRows
  return {
    rows:
      `${first} Filter or aggregate in SQL` +
      (larger ? `, or repeat with a larger limit (at most ${policy.maxRows}).` : "."),
    bytes: "Select fewer columns or rows, or cut long values with LEFT(column, n)."
  }
}

/** How a column is written in SQL, where that is not its bare name. What an expression is called is no name of one. */
const inSql = (name: string): { readonly in_sql?: string } => {
  const written = Names.written(name)
  return written !== name && /^[\p{L}\p{N}_$]+$/u.test(name) ? { in_sql: written } : {}
}

const describePage = (page: Page) => {
  const { cutCells, partial, queryId, rows } = page.result
  const told = completeness(page.result, pageAdvice(page))
  const gone = partial && !told.truncated
  return {
    query_id: queryId,
    row_count: rows.length,
    ...told,
    ...(gone
      ? {
          truncated: true,
          truncated_reason: "rows" as const,
          next_step: "No more rows of this result are kept. Filter or aggregate in SQL and run it again."
        }
      : {}),
    ...(cutCells === 0 ? {} : { truncated_cells: cutCells })
  }
}

/**
 * Where the warehouse keeps results, a statement is given as many rows as the tier allows and the caller
 * as many as it asked for; the others can be read on without running the statement again.
 */
export const makeRows = Effect.gen(function* () {
  const call = yield* make
  const cursors = yield* Cursors
  const breaker = yield* CircuitBreaker
  const gate = yield* ReadOnly
  const { credits } = call
  /** While it is open nothing is asked of the account either. */
  const circuitIsClosed = Effect.isSuccess(breaker.peek)

  const answer = Effect.fnUntraced(function* (
    page: Omit<Page, "more">,
    meta: AnswerMeta,
    identity: string,
    remark?: string
  ): Effect.fn.Return<QueryResult> {
    const { offset, policy, result } = page
    const next = offset + result.rows.length
    // A page without a row would lead to itself; beyond the tier's rows nothing is kept.
    const more = call.keepsResults && result.truncated !== undefined && next > offset && next < policy.maxRows
    const described = describePage({ ...page, more })
    return {
      ...described,
      ...(remark === undefined
        ? {}
        : { next_step: described.next_step === undefined ? remark : `${described.next_step} ${remark}` }),
      ...(more ? { next_cursor: yield* cursors.issue(result.queryId, next, identity) } : {}),
      ...meta,
      columns: result.columns.map(({ name, type }) => ({
        name,
        type,
        ...(result.selected === true ? inSql(name) : {})
      })),
      rows: result.rows
    }
  })

  /** Asks the warehouse what the statement would scan before it may run, and holds that much. */
  const withinBudget = Effect.fnUntraced(function* (
    run: Run,
    { holdScan }: Attempt,
    { chargeScans, maxScanBytes: limit, objects }: TierPolicy,
    { logged, ...statement }: Pick<Statement, "sql" | "database" | "schema"> & Pick<Checked, "logged">
  ): Effect.fn.Return<void, WarehouseError | Refusal | ScanBudgetExceeded> {
    const plan = yield* run({
      statement: { ...statement, sql: `EXPLAIN USING JSON ${statement.sql}` },
      logged: logged === undefined ? undefined : `EXPLAIN USING JSON ${logged}`,
      part: 1,
      maxRows: 1,
      maxBytes: PLAN_BYTES,
      maxCellBytes: PLAN_BYTES
    })
    const { bytes, tables } = estimate(plan.rows[0]?.[0])
    if (bytes === undefined || (limit !== undefined && bytes > limit)) {
      const rules = Names.rulesOf({ objects }, call.dialect)
      const named = tables.filter((table) => Names.mayName(rules, table)).slice(0, 5)
      return yield* new ScanBudgetExceeded({ estimate: bytes, limit, tables: named })
    }
    if (chargeScans) yield* holdScan(bytes)
  })

  /** What the warehouse is known to be, shortly before the statement leaves. */
  const inWarehouse = (
    { chargeCredits, wakeWarehouse }: TierPolicy,
    place: Pick<Statement, "database" | "schema">
  ): Effect.Effect<void, WarehouseSuspended | WarehouseError> => {
    if (credits === undefined) return Effect.void
    if (!wakeWarehouse) return credits.mustRun(place)
    return chargeCredits ? credits.look(place) : Effect.void
  }

  /** Decides on a text: before anything is waited for, unless other statements have to tell of its tables first. */
  const decide = <E>(
    text: Effect.Effect<Checked, E>,
    masking: Masks.OfCall | undefined,
    identity: string
  ): Effect.Effect<Decided<E>, E> => {
    /** A view whose text is looked up then names what it reads: that may have to be looked up, too. */
    const lookUp = (
      run: Run,
      masking: Masks.OfCall,
      unknown: Masks.Unknown,
      rounds: number
    ): ReturnType<Decided<E>> =>
      Effect.zipRight(call.masks.learn(masking, identity, run, gate, unknown), text).pipe(
        Effect.catchAll((error) => {
          const more = Masks.toLookUp(error)
          return more === undefined || rounds <= 1
            ? Effect.fail(error)
            : lookUp(run, masking, more, rounds - 1)
        })
      )
    return Effect.matchEffect(text, {
      onSuccess: (checked) => Effect.succeed(() => Effect.succeed(checked)),
      onFailure: (error) => {
        const unknown = Masks.toLookUp(error)
        return masking === undefined || unknown === undefined
          ? Effect.fail(error)
          : Effect.succeed((run: Run) => lookUp(run, masking, unknown, Masks.MAX_ROUNDS))
      }
    })
  }

  /** One statement of a caller, within all its limits: `maxRows` of its rows are given, and `keepRows` are kept. */
  const statement = Effect.fnUntraced(function* <E>(
    principal: Principal,
    request: Omit<RowsRequest<E>, "limit">,
    { keepRows, maxRows }: { readonly maxRows: number; readonly keepRows: number | undefined }
  ): Effect.fn.Return<
    Answer<Collected>,
    E | WarehouseError | Refusal | ScanBudgetExceeded | WarehouseSuspended | StatementRejected | ToolError
  > {
    const { database, schema, sql: source, timeoutSeconds, tool, waiting } = request
    const policy = call.policyOf(principal)
    const wanted = timeoutSeconds === undefined ? policy.statementTimeoutMs : timeoutSeconds * 1000
    const timeoutMs = Math.min(wanted, policy.maxStatementTimeoutMs)
    const place = { database, schema }
    const counts = policy.chargeCredits && credits !== undefined
    const own = call.identityOf(principal)
    const masking = yield* call.masks.forCall(policy, own)
    const decided = (text: Text<E>) =>
      // One row more than are kept tells whether there are more.
      decide(text((keepRows ?? maxRows) + 1, policy, masking), masking, own)
    const prepared: Effect.Effect<Decided<E>, E> = typeof source === "function"
      ? decided(source)
      : Effect.succeed((run) =>
          source.learn(run).pipe(
            Effect.flatMap(decided),
            Effect.flatMap((late) => late(run))
          )
        )
    return yield* call.guarded<
      Collected,
      E | ScanBudgetExceeded | WarehouseSuspended | StatementRejected | ToolError
    >(
      principal,
      {
        tool,
        class: "query",
        deadlineMs: timeoutMs + QUERY_GRACE_MS,
        timeoutMs: timeoutMs + ANSWER_GRACE_MS,
        asked: { ms: timeoutMs, isMost: timeoutMs >= policy.maxStatementTimeoutMs },
        // What the caller asks for does not decide how soon the warehouse counts as silent.
        silenceMs: Math.min(policy.statementTimeoutMs, SILENCE_MS),
        estimatedBytes: Math.min(policy.maxResultBytes, maxRows * ROW_BYTES),
        estimatedCredits: counts ? yield* credits.estimate(place, timeoutMs, circuitIsClosed) : undefined,
        statement: request.statement,
        waiting
      },
      { timeoutMs, graceMs: ANSWER_GRACE_MS },
      Effect.map(
        prepared,
        (decided) => (run, attempt) =>
          Effect.gen(function* () {
            const { bounds, computes, logged, scans, sql } = yield* decided((look) =>
              run("sql" in look.statement ? { ...look, statement: { ...look.statement, ...place } } : look)
            )
            yield* request.started
            if (scans && (policy.chargeScans || policy.maxScanBytes !== undefined)) {
              yield* withinBudget(run, attempt, policy, { sql, logged, ...place })
            }
            // What needs no warehouse costs nothing.
            if (counts) yield* attempt.addCredits(0)
            if (computes) yield* inWarehouse(policy, place)
            const collected = yield* run({
              ...bounds,
              statement: { sql, ...place, keepRows },
              logged,
              maxRows,
              maxBytes: policy.maxResultBytes,
              scans,
              computes
            }).pipe(
              Effect.tapError((error) =>
                masking !== undefined && mayBeOutdated(error) ? masking.forgetOld : Effect.void
              )
            )
            if (counts && computes) yield* credits.askBudgets(place)
            return { ...collected, selected: computes }
          })
      )
    )
  })

  return {
    dialect: call.dialect,
    place: call.place,
    policy: call.policy,
    rules: call.rules,
    identityOf: call.identityOf,
    /** All rows of a statement of our own, at most `maxRows` whatever the tier's rows are; none of them is kept. */
    all: <E>(request: Omit<RowsRequest<E>, "limit">, maxRows: number) =>
      Effect.flatMap(CurrentPrincipal, (principal) =>
        statement(principal, request, { maxRows, keepRows: undefined })
      ),
    run: Effect.fnUntraced(function* <E>(
      request: RowsRequest<E>
    ): Effect.fn.Return<
      QueryResult,
      E | WarehouseError | Refusal | ScanBudgetExceeded | WarehouseSuspended | StatementRejected | ToolError
    > {
      const principal = yield* CurrentPrincipal
      const policy = call.policyOf(principal)
      const maxRows = Math.min(request.limit ?? policy.defaultRows, policy.maxRows)
      const keepRows = call.keepsResults ? policy.maxRows : undefined
      const { meta, value } = yield* statement(principal, request, { maxRows, keepRows })
      const identity = call.identityOf(principal) + Masks.fingerprint(policy)
      if (keepRows !== undefined) yield* cursors.remember(value.queryId, identity)
      const { timeoutSeconds = 0 } = request
      const mostSeconds = policy.maxStatementTimeoutMs / 1000
      const cut =
        timeoutSeconds > mostSeconds
          ? `timeout_seconds was cut to ${mostSeconds}, the most that this tier has.`
          : undefined
      return yield* answer({ result: value, policy, maxRows, offset: 0 }, meta, identity, cut)
    }),
    /** Reads on in a stored result: a request like any other, but no query. */
    page: Effect.fnUntraced(function* (
      tool: string,
      from: {
        readonly queryId: string
        readonly cursor: string | undefined
        readonly limit: number | undefined
      }
    ): Effect.fn.Return<QueryResult, ToolError | WarehouseError | Refusal> {
      const { queryId } = from
      const principal = yield* CurrentPrincipal
      const policy = call.policyOf(principal)
      // What was read under other masks, or under none, is another result.
      const identity = call.identityOf(principal) + Masks.fingerprint(policy)
      const offset = yield* cursors.open(queryId, from.cursor, identity)
      const { maxResultBytes, metadataTimeoutMs } = policy
      const maxRows = Math.min(from.limit ?? policy.defaultRows, Math.max(0, policy.maxRows - offset))
      const { meta, value } = yield* call.guarded<Collected, never>(
        principal,
        {
          tool,
          class: "metadata",
          deadlineMs: metadataTimeoutMs * METADATA_ATTEMPTS,
          timeoutMs: metadataTimeoutMs,
          estimatedBytes: Math.min(maxResultBytes, maxRows * ROW_BYTES),
          statement: () => `${tool} ${queryId}`
        },
        { timeoutMs: metadataTimeoutMs },
        Effect.succeed((run) => run({ statement: { queryId, offset }, maxRows, maxBytes: maxResultBytes }))
      )
      return yield* answer({ result: { ...value, queryId }, policy, maxRows, offset }, meta, identity)
    })
  }
})
