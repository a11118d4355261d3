/**
 * PORT: the thing that runs one read statement and streams its rows.
 *
 * The contract every adapter keeps (as cases to run: `snowguard/testing/WarehouseContract`):
 *  - one statement a call; the text is executed as given (the guard has already decided on it);
 *  - nothing is contacted before the first `execute` (start-up is free of side effects);
 *  - interrupting `execute`, or closing its scope before the rows have ended, cancels the statement in
 *    the warehouse, whether it is queued, running or being fetched;
 *  - rows arrive in chunks and are pulled: a consumer that stops early never pays for the rest;
 *  - a cell is a JSON value that loses nothing (see {@link Cell});
 *  - every failure is a {@link WarehouseError} whose `reason` says whose fault it is.
 *
 * ```ts
 * const result = yield* warehouse.execute({ sql: "SELECT 1", timeoutMs: 10_000, requestId: "1" })
 * const rows = yield* Stream.runCollect(result.rows)
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { notLoaded } from "../platform/drivers.js"
import { lazyService } from "../platform/lazily.js"
import type { Principal } from "../platform/Principal.js"
import type { Rules } from "../sql/ObjectRules.js"

/**
 * One value as JSON, exact: numbers that a double cannot hold (and every fixed-point number with a
 * scale) are strings, dates and times ISO 8601 strings, binary upper-case hex, semi-structured values
 * JSON objects and arrays, SQL NULL `null`.
 *
 * @since 0.1.0
 * @category models
 */
export type Cell = string | number | boolean | null | ReadonlyArray<Cell> | { readonly [key: string]: Cell }

/**
 * The cells of a row, in the order of the columns.
 *
 * @since 0.1.0
 * @category models
 */
export type Row = ReadonlyArray<Cell>

/**
 * A column of a result.
 *
 * @since 0.1.0
 * @category models
 */
export interface Column {
  readonly name: string
  /** Snowflake's name of the type, for example `NUMBER(38,0)` or `TIMESTAMP_NTZ(9)`. */
  readonly type: string
  readonly nullable: boolean
}

/**
 * A bind for a `?` of the statement, in order.
 *
 * @since 0.1.0
 * @category models
 */
export type Bind = string | number | boolean | null

/**
 * One read that is to be run, its bounds, and for whom.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statement {
  /** Canonical text of one read statement in Snowflake's or the warehouse's own dialect. */
  readonly sql: string
  readonly binds?: ReadonlyArray<Bind> | undefined
  /** Namespace that unqualified names resolve against; the warehouse's default when absent. */
  readonly database?: string | undefined
  readonly schema?: string | undefined
  /** Milliseconds after which the warehouse itself ends the statement, as a second line of defence. */
  readonly timeoutMs: number
  /** Rows that are given at most: the caller reads no more. A warehouse that can cap on its side does. */
  readonly maxRows?: number | undefined
  /** Bytes of one cell that the caller can use: a warehouse that can cut a longer one on its side does. */
  readonly maxCellBytes?: number | undefined
  /** How many rows are to be kept for {@link Stored}; none when absent. */
  readonly keepRows?: number | undefined
  /** Idempotency key: a retry of the same call carries the same one. */
  readonly requestId: string
  /** What the caller may see, where that is not everything: nothing else is suggested to it. */
  readonly objects?: Rules | undefined
  /** The client, its tier and the tool of this statement; recorded beside the statement in the warehouse. */
  readonly tag?:
    { readonly tool: string; readonly client: string; readonly tier?: string | undefined } | undefined
  /**
   * Run at the moment when the statement leaves this process, by a warehouse that `reportsSubmit`: from there
   * on it is paid for. Until then the call waits for us, and nothing has been sent.
   */
  readonly onSubmit?: Effect.Effect<void> | undefined
  /** Told as whom, when there is a session to run it in. */
  readonly runsAs?: ((who: RanAs) => void) | undefined
  /** Told what has to be waited for before the statement can leave, where that may take long. */
  readonly waiting?: ((message: string) => Effect.Effect<void>) | undefined
  /**
   * Run when the warehouse has confirmed that it has cancelled the statement. Of one whose caller ran out of
   * time, this tells a slow warehouse from a silent one.
   */
  readonly onCancelled?: Effect.Effect<void> | undefined
}

/**
 * What a statement answers: its columns at once, its rows as they are pulled while the scope is open.
 *
 * @since 0.1.0
 * @category models
 */
export interface Result {
  /** The warehouse's own id of the statement. */
  readonly queryId: string
  readonly columns: ReadonlyArray<Column>
  /** Non-empty chunks of rows, pulled on demand. */
  readonly rows: Stream.Stream<ReadonlyArray<Row>, WarehouseError>
  /**
   * All of `rows`, where they are few and already here: most results are, and running a stream for one row costs
   * more than the rest of the call. To be run instead of the stream.
   */
  readonly whole?: Effect.Effect<ReadonlyArray<Row>, WarehouseError> | undefined
  /** The rows are kept ones, and there were more than those. */
  readonly partial?: boolean | undefined
}

/**
 * Rows of a statement that has run, from `offset` (counted from 0) on. Nothing is run again.
 *
 * @since 0.1.0
 * @category models
 */
export interface Stored extends Pick<
  Statement,
  "timeoutMs" | "maxRows" | "requestId" | "tag" | "onSubmit" | "onCancelled" | "waiting"
> {
  readonly queryId: string
  readonly offset: number
}

/**
 * Results that the warehouse keeps after a statement has ended.
 *
 * @since 0.1.0
 * @category models
 */
export interface Results {
  /** Fails with `ResultExpired` when the result is not kept (any more). Whose it is, the caller has checked. */
  readonly fetch: (stored: Stored) => Effect.Effect<Result, WarehouseError, Scope.Scope>
}

/**
 * Why a statement failed, in terms of what can be done about it.
 *
 * | reason | meaning | breaker | retried |
 * |---|---|---|---|
 * | `InvalidStatement` | the SQL is wrong | alive | no |
 * | `NotFound` | a named object does not exist or is not visible | alive | no |
 * | `Permission` | the role may not | alive | no |
 * | `StatementTimeout` | the statement ran into its own time limit | ignored | no |
 * | `ResourcesExceeded` | the statement needs more memory than one may have | ignored | no |
 * | `Cancelled` | we cancelled it | ignored | no |
 * | `ResultExpired` | a stored result is gone | alive | no |
 * | `Authentication` | login refused; latched, an operator must act | ignored | no |
 * | `LoginUnavailable` | a person or an identity provider is waited for | ignored | yes |
 * | `Configuration` | account, host, key file or TLS are set up wrongly | ignored | no |
 * | `Unavailable` | no running warehouse, or a resource monitor stopped it | ignored | no |
 * | `Overloaded` | throttled or queued too long | ignored (stretches the pauses before retries) | yes |
 * | `SessionLost` | the session expired under us | ignored | once |
 * | `Unreachable` | network, 5xx | failure | yes |
 * | `Protocol` | the answer made no sense | failure | once |
 * | `ServerFault` | the warehouse reported an internal error | failure | once |
 * | `Unknown` | none of the above | failure | no |
 *
 * A failure counts once a call. `Unreachable` is silence unless something `answered`; every other failure was
 * reported: it counts once a client and statement, and two clients have to see it, unless only one calls.
 *
 * @since 0.1.0
 * @category errors
 */
export const Reason = Schema.Literal(
  "InvalidStatement",
  "NotFound",
  "Permission",
  "StatementTimeout",
  "ResourcesExceeded",
  "Cancelled",
  "ResultExpired",
  "Authentication",
  "LoginUnavailable",
  "Configuration",
  "Unavailable",
  "Overloaded",
  "SessionLost",
  "Unreachable",
  "Protocol",
  "ServerFault",
  "Unknown"
)
/**
 * @since 0.1.0
 * @category errors
 */
export type Reason = typeof Reason.Type

/**
 * Why a statement had no result within its time, as far as it is known from the other statements of that time.
 *
 * @since 0.1.0
 * @category models
 */
export const Lateness = Schema.Struct({
  /** `statement`: others were answered meanwhile. `warehouse`: it is slow or does not answer. */
  fault: Schema.Literal("statement", "warehouse", "unknown"),
  class: Schema.Literal("query", "metadata"),
  /** Milliseconds since the last answer to a statement of this class; at most the age of this one. */
  quietMs: Schema.Number,
  /**
   * Of `warehouse`. `circuit`: its circuit is not closed. `trouble`: calls fail because it is not available. `quiet`: it
   * has answered no statement of that class for `quietMs`.
   */
  why: Schema.optional(Schema.Literal("circuit", "trouble", "quiet")),
  /** The statement had the most time that its author can ask for. */
  isMost: Schema.optional(Schema.Boolean)
})
/**
 * @since 0.1.0
 * @category models
 */
export type Lateness = typeof Lateness.Type

/**
 * A statement, or a login for it, failed. `reason` says what can be done; `sent`, whether anything reached the
 * warehouse.
 *
 * @since 0.1.0
 * @category errors
 */
export class WarehouseError extends Schema.TaggedError<WarehouseError>("snowguard/WarehouseError")(
  "WarehouseError",
  {
    reason: Reason,
    /** One or two sentences for the author of the statement; never a secret, never a stack. */
    description: Schema.String,
    /** Did the statement reach the warehouse? Decides refunds and what the caller is told. */
    sent: Schema.Literal("no", "yes", "unknown"),
    /** Did the statement run? `false`: the warehouse refused it before. Absent where that is not known. */
    ran: Schema.optional(Schema.Boolean),
    queryId: Schema.optional(Schema.String),
    /** The warehouse's own code and SQLSTATE, where it gave them. */
    code: Schema.optional(Schema.String),
    sqlState: Schema.optional(Schema.String),
    /** Milliseconds the warehouse asked us to wait. */
    retryAfterMs: Schema.optional(Schema.Number),
    /** Of `Unreachable`: something did answer, a gateway perhaps, though only that it cannot serve. */
    answered: Schema.optional(Schema.Boolean),
    /** Of `Overloaded`: a bound of the caller's own identity, in which others have no part. */
    ownBound: Schema.optional(Schema.Boolean),
    /** Of `StatementTimeout`: what the statement took so long for. */
    lateness: Schema.optional(Lateness),
    /** Nearest existing names when a name was not found. */
    suggestions: Schema.optional(Schema.Array(Schema.String)),
    cause: Schema.optional(Schema.Defect)
  }
) {
  override get message(): string {
    return `${this.reason}: ${this.description}`
  }
}

/**
 * The user and the role of a session, as far as they are known.
 *
 * @since 0.1.0
 * @category models
 */
export interface RanAs {
  readonly user?: string | undefined
  readonly role?: string | undefined
}

/**
 * As whom the statements of a caller run: what may be known of it, no secret.
 *
 * @since 0.1.0
 * @category models
 */
export interface Acting {
  /**
   * Tells identities apart: what one of them was answered is never given to another. Empty where all callers are
   * one and the same.
   */
  readonly key: string
  readonly mode: "shared" | "client" | "exchange"
  /** As far as they are known before a login. */
  readonly user?: string | undefined
  readonly role?: string | undefined
  readonly warehouse?: string | undefined
}

/**
 * The virtual warehouse that a session's statements run in, as the account tells it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Compute {
  readonly name: string
  /** Size and type, in the account's words. */
  readonly kind: string
  /** While it runs; undefined where that cannot be known. */
  readonly creditsPerHour: number | undefined
  readonly state: "running" | "suspended" | "unknown"
  /** A statement resumes it. */
  readonly autoResume: boolean
  /** Milliseconds without a statement after which it is suspended; undefined: never. */
  readonly autoSuspendMs: number | undefined
  /** Statements that ran in it, of all users. */
  readonly running: number
}

/**
 * What the account says of a limit of its own that applies to the user of a session: a row, as it is.
 *
 * @since 0.1.0
 * @category models
 */
export interface Budget {
  readonly [field: string]: string | number | boolean | null
}

/**
 * What a warehouse that is paid by the hour says of itself to the current caller, in the place of a statement. Neither is
 * a statement of the caller: both are short, and fail within seconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Billing {
  /** Needs no running warehouse. Undefined where the caller's role does not see it. */
  readonly compute: (
    place: Pick<Statement, "database" | "schema">
  ) => Effect.Effect<Compute | undefined, WarehouseError>
  /** May need a running warehouse. */
  readonly budget: (
    place: Pick<Statement, "database" | "schema">
  ) => Effect.Effect<ReadonlyArray<Budget>, WarehouseError>
}

/**
 * Runs statements. Operations fail with `WarehouseError` alone; interruption and the end of the scope cancel a
 * statement.
 *
 * @since 0.1.0
 * @category context
 */
export class Warehouse extends Context.Tag("snowguard/Warehouse")<
  Warehouse,
  {
    /** Which SQL the warehouse speaks; the read-only guard must be of the same dialect. */
    readonly dialect: "snowflake" | "duckdb"
    /** Runs it until the scope closes; a scope that closes early cancels it in the warehouse. */
    readonly execute: (statement: Statement) => Effect.Effect<Result, WarehouseError, Scope.Scope>
    /**
     * Where a statement that names no database and no schema looks for names: exact names, those of the configuration.
     * Absent where there is no such place, or where it is not known.
     */
    readonly place?: Pick<Statement, "database" | "schema"> | undefined
    /** Absent in a warehouse that keeps no results. */
    readonly results?: Results | undefined
    /** Runs each statement's `onSubmit`; of one that does not, a statement counts as sent when it is asked. */
    readonly reportsSubmit?: boolean | undefined
    /** Absent where all callers are one and the same. */
    readonly actingAs?: ((principal: Principal) => Acting) | undefined
    /** Absent in a warehouse that costs nothing by the hour. */
    readonly billing?: Billing | undefined
  }
>() {}

const everyone: Acting = { key: "", mode: "shared" }

/**
 * As whom a principal's statements run; the same for all where the warehouse does not say.
 *
 * @since 0.1.0
 * @category combinators
 */
export const actingAs = ({ actingAs }: Context.Tag.Service<Warehouse>, principal: Principal): Acting =>
  actingAs?.(principal) ?? everyone

/**
 * The virtual warehouse of a principal's statements: the same text where it is the same. One with a name is the same for
 * all callers; the default one of a user may differ between users.
 *
 * @since 0.1.0
 * @category combinators
 */
export const placeOf = (warehouse: Context.Tag.Service<Warehouse>, principal: Principal): string => {
  const { key, role = "", warehouse: name } = actingAs(warehouse, principal)
  return name === undefined ? JSON.stringify([key, role]) : `=${name}`
}

/**
 * A warehouse whose layer is loaded with the first statement: start-up pays for no driver, and a client
 * that only lists the tools never loads one. A failed load fails that call and is tried again.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerLazy = (
  dialect: "snowflake" | "duckdb",
  load: Effect.Effect<Layer.Layer<Warehouse, WarehouseError>, WarehouseError>,
  /**
   * Whether the adapter has {@link Results}, reports, and bills, as whom it acts and in which place: asking it would load
   * it.
   */
  options: {
    readonly keepsResults?: boolean
    readonly reportsSubmit?: boolean
    readonly actingAs?: Context.Tag.Service<Warehouse>["actingAs"]
    readonly place?: Context.Tag.Service<Warehouse>["place"]
    readonly bills?: boolean
  } = {}
): Layer.Layer<Warehouse> =>
  Layer.scoped(
    Warehouse,
    Effect.map(lazyService(Warehouse, load), (warehouse) => ({
      dialect,
      execute: (statement) => Effect.flatMap(warehouse, (_) => _.execute(statement)),
      ...(options.reportsSubmit === true ? { reportsSubmit: true } : {}),
      ...(options.actingAs === undefined ? {} : { actingAs: options.actingAs }),
      ...(options.place === undefined ? {} : { place: options.place }),
      ...(options.keepsResults === true
        ? { results: { fetch: (stored: Stored) => Effect.flatMap(warehouse, (_) => fetchStored(_, stored)) } }
        : {}),
      ...(options.bills === true
        ? {
            billing: {
              compute: (place) =>
                Effect.flatMap(
                  warehouse,
                  ({ billing }) => billing?.compute(place) ?? Effect.succeed(undefined)
                ),
              budget: (place) =>
                Effect.flatMap(warehouse, ({ billing }) => billing?.budget(place) ?? Effect.succeed([]))
            }
          }
        : {})
    }))
  )

/**
 * The rows of a stored result; `ResultExpired` of a warehouse that keeps none.
 *
 * @since 0.1.0
 * @category combinators
 */
export const fetchStored = (
  { results }: Context.Tag.Service<Warehouse>,
  stored: Stored
): Effect.Effect<Result, WarehouseError, Scope.Scope> =>
  results === undefined
    ? new WarehouseError({
        reason: "ResultExpired",
        description: "This warehouse keeps no results.",
        sent: "no",
        queryId: stored.queryId
      })
    : results.fetch(stored)

/**
 * For `layerLazy`: a dynamic import whose failure (a missing or broken driver) is the operator's to
 * mend.
 *
 * @since 0.1.0
 * @category constructors
 */
export const importAdapter = <A>(driver: string, load: () => Promise<A>): Effect.Effect<A, WarehouseError> =>
  Effect.tryPromise({
    try: load,
    catch: (cause) =>
      new WarehouseError({
        reason: "Configuration",
        description: notLoaded(driver, cause),
        sent: "no",
        cause
      })
  })
