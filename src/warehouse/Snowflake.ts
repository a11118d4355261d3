/**
 * ADAPTER of the `Warehouse` port: a Snowflake account, through `snowflake-sdk`.
 *
 * ```
 * execute --> place (identity, role, warehouse, database, schema) --> session of the pool --> statement
 *               | the caller decides identity and role                  | login, latch, health     | time, cancel, cells
 * ```
 *
 * Invariants
 * 1. Nothing is loaded or contacted before the first statement.
 * 2. A statement runs in a session whose namespace is its own: from the login on, or, where a login costs a
 *    person an effort, by a `USE` while no statement runs in it.
 * 3. Each statement carries its time limits (what is left of its time when it is sent), its label (`QUERY_TAG`,
 *    a JSON text without secrets) and `MULTI_STATEMENT_COUNT = 1`.
 * 4. A retry carries the same request id, and the server answers with the first execution; after a
 *    statement was given up its id is never used again, since the server would answer that it was cancelled.
 * 5. A result that is kept is read on by its id, by the identity and role that made it; no statement runs for it.
 * 6. A statement is reported as sent when it is: what is waited for before (a session, a login) is our own.
 * 7. A session belongs to one identity and role. Unless secondary roles are allowed it has none, or is closed before
 *    a statement runs in it.
 * 8. Whatever goes wrong is a `WarehouseError`, in bounded time, without a secret in it.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { afterwards } from "../platform/afterwards.js"
import * as Lru from "../platform/core/Lru.js"
import * as Alarms from "../platform/alarms.js"
import { monotonicReader } from "../platform/monotonic.js"
import { CurrentPrincipal } from "../platform/Principal.js"
import type { Principal } from "../platform/Principal.js"
import { exact, quoted } from "../sql/Identifier.js"
import { placeIn } from "../sql/Namespace.js"
import type { Billing, Budget, Cell, RanAs, Reason, Result, Statement, Stored } from "./Warehouse.js"
import { Warehouse, WarehouseError } from "./Warehouse.js"
import * as WarehouseHealth from "./WarehouseHealth.js"
import * as RequestId from "../platform/requestId.js"
import type { Login } from "./snowflake/auth.js"
import * as Auth from "./snowflake/auth.js"
import * as Compute from "./snowflake/compute.js"
import { losesSession } from "./snowflake/classify.js"
import { refusedOf } from "./snowflake/codes.js"
import * as Driver from "./snowflake/driver.js"
import * as Hints from "./snowflake/hints.js"
import type { Identity } from "./snowflake/identity.js"
import * as Named from "./snowflake/named.js"
import * as Pool from "./snowflake/pool.js"
import type { Place } from "./snowflake/session.js"
import * as Sessions from "./snowflake/session.js"
import * as Statements from "./snowflake/statement.js"
import * as StoredResults from "./snowflake/stored.js"

/**
 * The account, the login, and how many sessions and statements may be open; milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Read anew for each login, so that a key that was exchanged is used. */
  readonly login: Effect.Effect<Login, WarehouseError>
  /** Names as in SQL: upper case unless in double quotes. What is absent, Snowflake's user decides. */
  readonly role?: string | undefined
  readonly warehouse?: string | undefined
  readonly database?: string | undefined
  readonly schema?: string | undefined
  /**
   * The role for a caller in place of {@link Options.role}. Sessions are never shared between roles;
   * remembered catalog answers are shared within a tier, so only the tier should decide.
   */
  readonly roleOf?: ((principal: Principal) => string | undefined) | undefined
  /** As whom the statements of a caller run, in place of login, role, `roleOf` and warehouse. */
  readonly identityOf?: ((principal: Principal) => Identity) | undefined
  /** `none`, the default: a session has its role and no other. `all`: those that the user has by default. */
  readonly secondaryRoles?: "none" | "all" | undefined
  /** Sessions at a time. Default 8. */
  readonly maxSessions?: number | undefined
  /** Sessions of one identity at a time, where there are several. Default 4. */
  readonly maxSessionsPerIdentity?: number | undefined
  /** Statements in one session at a time. Default 20. */
  readonly maxPerSession?: number | undefined
  /** Milliseconds a login may take. Default 15,000. */
  readonly loginMs?: number | undefined
  /** Milliseconds for a login that a person has to approve. Default 120,000. */
  readonly approvalMs?: number | undefined
  /** Milliseconds between two parts of a result. Default 30,000. */
  readonly fetchMs?: number | undefined
  /** Milliseconds a statement may wait in the warehouse's queue; its own time when absent or less. */
  readonly queuedMs?: number | undefined
  /** Milliseconds after a refused login before the next one. Default 600,000. */
  readonly latchMs?: number | undefined
  /** Told of what an operator must mend, and asked before a login; one of its own when absent. */
  readonly health?: WarehouseHealth.WarehouseHealth["Type"] | undefined
  /** Idle milliseconds after which a session is asked whether it lives. Default 300,000. */
  readonly idleMs?: number | undefined
  /** Let Snowflake stop a result after the rows that will be read (`ROWS_PER_RESULTSET`). Default on. */
  readonly capRows?: boolean | undefined
  /** Look for the names that were meant when a name is not found. Default on. */
  readonly hints?: boolean | undefined
}

/** Ids of statements that were given up, with how often; the retries of a call come within minutes. */
const ABANDONED = { maxEntries: 10_000, maxBytes: Number.MAX_SAFE_INTEGER }

/**
 * Milliseconds a statement waits for a session that others keep busy, and the part of its own time that this
 * may be: then it is refused, before its time is up and looks like a warehouse that does not answer.
 */
const SESSION_WAIT_MS = 5_000
const SESSION_WAIT_PART = 0.8

/** Milliseconds after which a caller may look whether a person has approved the login. */
const APPROVAL_AGAIN_MS = 10_000

/** Sessions of one of several identities. */
const SEVERAL = 4

/** Idle milliseconds after which a session of one of several identities is closed. */
const LEAVE_MS = 600_000

/** Milliseconds for a change of the namespace, which needs no warehouse. */
const MOVE_MS = 10_000

/** Milliseconds for a look at the account beside a statement. */
const LOOK_MS = 5_000

/** Warehouses that the account shows at a time. */
const MAX_WAREHOUSES = 10_000

/** Limits of the account's own that are told of a user, and characters of each of their fields. */
const MAX_BUDGETS = 20
const MAX_FIELD = 200

const shortened = (cell: Cell | undefined): Budget[string] => {
  if (typeof cell === "string") return cell.slice(0, MAX_FIELD)
  return typeof cell === "object" && cell !== null ? JSON.stringify(cell).slice(0, MAX_FIELD) : (cell ?? null)
}

/** A LIKE pattern in a text of Snowflake: a backslash escapes in both. */
const pattern = (text: string): string => `'${text.replaceAll("\\", "\\\\\\\\").replaceAll("'", "''")}'`

/** What takes a session to a place of the same role and warehouse. */
const moves = ({ database, schema }: Place): ReadonlyArray<string> =>
  database === undefined
    ? []
    : [
        `USE DATABASE ${quoted(database)}`,
        ...(schema === undefined ? [] : [`USE SCHEMA ${quoted(database)}.${quoted(schema)}`])
      ]

const passcodeUsed = new WarehouseError({
  reason: "Authentication",
  description:
    "The one-time passcode has been used for a session that has ended. Set a new one (snowflake.passcode) and " +
    "restart, or use an authenticator without a person, such as a key pair.",
  sent: "no"
})

const approvalPending = new WarehouseError({
  reason: "LoginUnavailable",
  description:
    "A person has to approve the login first, on the user's phone (push notification) or in the browser; the login " +
    "goes on waiting. Tell the user.",
  sent: "no",
  retryAfterMs: APPROVAL_AGAIN_MS
})

/** There is no `USE` that takes a session back to no database. */
const noWayBack = new WarehouseError({
  reason: "Configuration",
  description:
    "This login (passcode, push notification or browser) has one session for all, which cannot change the database and " +
    "come back, since snowflake.database is not set. Name objects in full (database.schema.table), or set it.",
  sent: "no"
})

/** Snowflake bounds the statements at a time of a user: where callers have users of their own, others have no part in it. */
const USER_IS_BUSY = "000610"

const ofItsOwn = (error: WarehouseError): WarehouseError =>
  error.code === USER_IS_BUSY ? new WarehouseError({ ...error, ownBound: true }) : error

/** The account says that a token has ended, or does not know it any more. */
const endedToken: ReadonlySet<string | undefined> = new Set(["390318", "390303"])

/** The account has looked at a statement and will not do it. */
const refuses: ReadonlySet<Reason> = new Set<Reason>([
  "Permission",
  "InvalidStatement",
  "NotFound",
  "Cancelled",
  "Unknown"
])

const keepsSecondaryRoles = (error: WarehouseError): WarehouseError =>
  new WarehouseError({
    reason: "Configuration",
    description:
      `The session was closed, since it could not give up its secondary roles (USE SECONDARY ROLES NONE): ` +
      `${error.description} snowflake.secondary_roles = "all" lets sessions have them.`,
    sent: "no",
    code: error.code,
    sqlState: error.sqlState
  })

/** A session of the pool, and whose it is. */
interface Session {
  readonly connection: Driver.DriverConnection
  readonly ranAs: RanAs
}

/** Where the statement of a result ran, and as whom: nothing that leads to a credential. */
interface Kept {
  readonly of: string
  readonly where: Omit<Place, "as">
}

/** Where the statements ran whose results are kept. */
const KEPT = { maxEntries: 10_000, maxBytes: Number.MAX_SAFE_INTEGER }

/** Rounded: the caller has a second beyond it, and some milliseconds have always passed. */
const seconds = (ms: number): number => Math.max(1, Math.round(ms / 1000))

const folded = (name: string | undefined): string | undefined =>
  name === undefined || name === "" ? undefined : exact(name)

/** Megabytes of one part of a result: the least that Snowflake takes. Parts are streamed, and so abandoned early. */
const PART_MEGABYTES = 16

/** Snowflake keeps 2,000 characters. */
const queryTag = ({ requestId, tag }: Statement): string =>
  JSON.stringify({
    app: "snowguard",
    tool: tag?.tool.slice(0, 200),
    client: tag?.client.slice(0, 200),
    tier: tag?.tier?.slice(0, 200),
    request_id: requestId
  })

const parameters = (statement: Statement, timeoutMs: number, options: Options) => ({
  STATEMENT_TIMEOUT_IN_SECONDS: seconds(timeoutMs),
  STATEMENT_QUEUED_TIMEOUT_IN_SECONDS: seconds(Math.min(timeoutMs, options.queuedMs ?? timeoutMs)),
  MULTI_STATEMENT_COUNT: 1,
  CLIENT_RESULT_CHUNK_SIZE: PART_MEGABYTES,
  QUERY_TAG: queryTag(statement),
  ...(statement.maxRows === undefined || options.capRows === false
    ? {}
    : { ROWS_PER_RESULTSET: statement.maxRows })
})

/** Another id of the same shape for the n-th time that a call has to start anew. */
const renewed = (requestId: string, times: number): string => {
  if (times === 0) return requestId
  const at = requestId.length - 17
  return /^[0-9a-f-]{36}$/.test(requestId) && times < 16
    ? // The variant digit of a UUID: nothing else changes it.
      requestId.slice(0, at) +
        ((parseInt(requestId.charAt(at), 16) + times) % 16).toString(16) +
        requestId.slice(at + 1)
    : `${requestId}-${times}`
}

/** `leftMs`: of the statement's time, when it has a session. */
type Use = (
  connection: Driver.DriverConnection,
  leftMs: number,
  restore: Statements.Restore
) => Effect.Effect<Statements.Reading, WarehouseError>

type Lease = Pool.Lease<Session>

/** Without a text: rows of a statement that has run before. */
type Within = Pick<Statement, "runsAs" | "timeoutMs" | "waiting"> & Partial<Pick<Statement, "sql">>

/** Catalog look-ups, `SHOW`, `DESCRIBE` and `EXPLAIN` run without a virtual warehouse. */
const needsCompute = /^[\s(]*(?:SELECT|WITH)\b/i

/** Reported when there is a session to send it in. */
const submitted =
  ({ onSubmit }: Pick<Statement, "onSubmit">, use: Use): Use =>
  (connection, leftMs, restore) =>
    onSubmit === undefined
      ? use(connection, leftMs, restore)
      : Effect.zipRight(restore(onSubmit), use(connection, leftMs, restore))

/** All callers are one user; the tier may decide the role. */
const everyone = ({ login, role, roleOf, warehouse }: Options) =>
  // What is wrong with it is told by the login.
  Effect.map(Effect.option(login), (found) => {
    const shared: Identity = {
      key: "",
      mode: "shared",
      user: Option.getOrUndefined(found)?.user,
      role,
      warehouse,
      login,
      price: Option.match(found, { onNone: () => "none", onSome: Auth.priceOf })
    }
    return (principal: Principal): Identity =>
      roleOf === undefined ? shared : { ...shared, role: roleOf(principal) ?? role }
  })

type Service = Warehouse["Type"] & {
  /** How many sessions there are. */
  readonly sessions: Effect.Effect<Pool.Status>
}

/**
 * No session is opened until the first statement; all are closed with the scope.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const limits = { loginMs: options.loginMs ?? 15_000, approvalMs: options.approvalMs ?? 120_000 }
    const fetchMs = options.fetchMs ?? 30_000
    const maxSessions = options.maxSessions ?? 8
    const abandoned = Lru.make<number>(ABANDONED)
    const kept = Lru.make<Kept>(KEPT)
    const health = options.health ?? (yield* WarehouseHealth.make({ latchMs: options.latchMs }))

    const clock = yield* monotonicReader
    const setAlarm = yield* Alarms.make
    const id = yield* RequestId.make
    const keyOf = ({ as, database, role, schema, warehouse }: Place) =>
      JSON.stringify([as.key, role, warehouse, database, schema])

    const { identityOf = yield* everyone(options) } = options

    const attemptOf = (place: Place, credential: string): WarehouseHealth.Attempt => ({
      owner: place.as.key,
      user: place.as.user,
      identity: credential,
      role: place.role ?? "",
      warehouse: place.warehouse,
      place: keyOf(place)
    })
    /** Who the statements of the place are for. */
    const whoseOf = (place: Place): WarehouseHealth.Whose => ({
      owner: place.as.key,
      user: place.as.user,
      warehouse: place.warehouse,
      place: keyOf(place)
    })
    const isAllowed = (place: Place, credential: string) => health.login(attemptOf(place, credential))
    const credentialOf = ({ credential, login }: Identity) => credential ?? Effect.map(login, Auth.identityOf)

    /** The credentials whose passcode has been used, by the identity. */
    const used = Lru.make<string>(KEPT)

    const logIn = (place: Place): Effect.Effect<Session, WarehouseError> =>
      Effect.gen(function* () {
        const { as } = place
        const driver = yield* Driver.load
        // Before a token is asked for.
        if (as.credential !== undefined) yield* isAllowed(place, yield* as.credential)
        const login = yield* as.login
        const attempt = attemptOf(place, yield* as.credential ?? Effect.succeed(Auth.identityOf(login)))
        yield* health.login(attempt)
        const isUsed = as.price === "passcode" && Lru.get(used, as.key) === attempt.identity
        const opened = isUsed ? Effect.fail(passcodeUsed) : open(driver, login, place)
        return yield* (as.price === "person" ? awaited(opened) : opened).pipe(
          Effect.tapBoth({
            onFailure: (error) =>
              Effect.zipRight(
                error.reason === "Authentication" ? (as.refused ?? Effect.void) : Effect.void,
                health.loginFailed(attempt, error, isUsed ? "identity" : refusedOf(error))
              ),
            onSuccess: () => {
              Lru.set(used, as.key, attempt.identity, 1)
              return health.loginAccepted(attempt)
            }
          })
        )
      })

    const awaited = <A, E>(login: Effect.Effect<A, E>) =>
      Effect.acquireUseRelease(
        health.awaitApproval,
        () => login,
        (over) => over
      )

    /** A token that has ended in the meantime is exchanged once more. */
    const open = (driver: Driver.Driver, login: Login, place: Place) => {
      const { forget, login: again } = place.as
      const once = (login: Login) => settled(Sessions.open(driver, login, place, limits), place)
      if (forget === undefined) return once(login)
      const hasEnded = ({ code }: WarehouseError) => endedToken.has(code)
      const forgetting = (login: Login) =>
        Effect.tapError(once(login), (error) => (hasEnded(error) ? forget(login) : Effect.void))
      return forgetting(login).pipe(
        Effect.catchIf(hasEnded, () => Effect.flatMap(again, forgetting)),
        // The login took longer than the token lives: it passes, and is no refusal of the user.
        Effect.mapError((error) =>
          hasEnded(error) ? new WarehouseError({ ...error, reason: "LoginUnavailable" }) : error
        )
      )
    }

    /** A session that is not what it should be is closed. */
    const settled = (opening: Effect.Effect<Driver.DriverConnection, WarehouseError>, place: Place) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(restore(opening), (connection) =>
          Effect.onError(restore(bounded(connection, place)), () => Sessions.close(connection))
        )
      )

    const bounded = (connection: Driver.DriverConnection, { as, role }: Place) =>
      Effect.gen(function* () {
        if (options.secondaryRoles !== "all") {
          yield* Effect.mapError(own(connection, "USE SECONDARY ROLES NONE", Effect.void), (error) =>
            refuses.has(error.reason) ? keepsSecondaryRoles(error) : error
          )
        }
        if (as.mode !== "exchange" && as.forget === undefined)
          return { connection, ranAs: { user: as.user, role } }
        // Only the account knows whom a token stands for.
        const [row] = yield* own(connection, "SELECT CURRENT_USER(), CURRENT_ROLE()", ({ rows }) =>
          Effect.map(Stream.runCollect(rows), (chunks) => Chunk.toReadonlyArray(chunks).flat())
        )
        const text = (cell: Cell | undefined) => (typeof cell === "string" ? cell : undefined)
        return { connection, ranAs: { user: text(row?.[0]), role: text(row?.[1]) ?? role } }
      })

    /** A statement of our own, which needs no warehouse. When it fails, the caller's was not sent. */
    const own = <A>(
      connection: Driver.DriverConnection,
      sql: string,
      read: Effect.Effect<A> | ((result: Result) => Effect.Effect<A, WarehouseError>)
    ) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(
          Statements.execute(
            connection,
            {
              sql,
              binds: [],
              requestId: id(),
              timeoutMs: MOVE_MS,
              maxRows: undefined,
              parameters: { MULTI_STATEMENT_COUNT: 1, QUERY_TAG: JSON.stringify({ app: "snowguard" }) },
              fetchMs,
              setAlarm,
              abandoned: Effect.void,
              cancelled: Effect.void
            },
            restore
          ),
          ({ end, result }) => afterwards(restore(Effect.isEffect(read) ? read : read(result)), end)
        )
      ).pipe(Effect.mapError((error) => new WarehouseError({ ...error, sent: "no" })))

    const move = ({ connection }: Session, place: Place) =>
      Effect.forEach(moves(place), (sql) => own(connection, sql, Effect.void), { discard: true })

    const pool = yield* Pool.make<Place, Session>({
      key: keyOf,
      owner: ({ as }) => as.key,
      open: logIn,
      mayOpen: (place) => Effect.flatMap(credentialOf(place.as), (it) => isAllowed(place, it)),
      lanes: {
        of: ({ as, role }) => (as.price === "none" ? undefined : JSON.stringify([as.key, role])),
        move
      },
      close: ({ connection }) => Sessions.close(connection),
      lives: ({ connection }) => Sessions.lives(connection),
      maxSessions,
      // Where all callers are one user it has them all.
      maxPerOwner: ({ as }) =>
        as.mode === "shared"
          ? maxSessions
          : (options.maxSessionsPerIdentity ?? Math.min(maxSessions, SEVERAL)),
      maxPerSession: options.maxPerSession ?? 20,
      idleMs: options.idleMs ?? 300_000,
      // Few and used by all where all callers are one user.
      leaveMs: ({ as }) => (as.mode === "shared" ? undefined : LEAVE_MS)
    })

    const placeOf = (statement: Pick<Statement, "database" | "schema">, principal: Principal): Place => {
      const standard = { database: folded(options.database), schema: folded(options.schema) }
      const { database, schema } = placeIn(standard, statement)
      const as = identityOf(principal)
      return { as, role: folded(as.role), warehouse: folded(as.warehouse), database, schema }
    }

    const execute = (statement: Statement) => {
      const { requestId } = statement
      return submitted(statement, (connection, leftMs, restore) =>
        Statements.execute(
          connection,
          {
            sql: statement.sql,
            binds: statement.binds ?? [],
            requestId: renewed(requestId, Lru.get(abandoned, requestId) ?? 0),
            timeoutMs: leftMs,
            maxRows: statement.maxRows,
            parameters: parameters(statement, leftMs, options),
            fetchMs,
            setAlarm,
            abandoned: Effect.sync(() => {
              Lru.set(abandoned, requestId, (Lru.get(abandoned, requestId) ?? 0) + 1, 1)
            }),
            cancelled: statement.onCancelled ?? Effect.void
          },
          restore
        )
      )
    }

    /** In a session of the place, which has the statement until the caller's scope closes, or until it has failed. */
    const within = (
      use: Use,
      place: Place,
      { runsAs, sql, timeoutMs, waiting }: Within
    ): Effect.Effect<Result, WarehouseError, Scope.Scope> => {
      const { as } = place
      if (as.price !== "none" && options.database === undefined && place.database !== undefined)
        return noWayBack
      const maxWaitMs = Math.min(SESSION_WAIT_MS, timeoutMs * SESSION_WAIT_PART)
      const onWait = waiting?.("waiting until a person has approved the login to the warehouse")
      const patience =
        as.price === "person"
          ? { ms: timeoutMs * SESSION_WAIT_PART, onWait, over: Effect.fail(approvalPending) }
          : undefined
      const told = ({ lost }: Lease, cause: Cause.Cause<WarehouseError>) =>
        Option.match(Cause.failureOption(cause), {
          onNone: () => Effect.void,
          onSome: (error) =>
            Effect.zipRight(
              losesSession(error.reason) ? lost : Effect.void,
              health.failed(error, whoseOf(place))
            )
        })
      return Effect.contextWithEffect((context: Context.Context<Scope.Scope>) => {
        const scope = Context.get(context, Scope.Scope)
        const { client } = Context.get(context, CurrentPrincipal)
        // Several users may share a client.
        const caller = { client: as.mode === "exchange" ? as.key : client, maxWaitMs, patience }
        const sent = (begun: number, lease: Lease, restore: Statements.Restore) => {
          const begunAt = clock()
          return Effect.matchCauseEffect(
            Effect.suspend(() => {
              runsAs?.(lease.session.ranAs)
              return Effect.mapError(
                use(lease.session.connection, Math.max(1, begun + timeoutMs - clock()), restore),
                (error) => (as.mode === "shared" ? error : ofItsOwn(error))
              )
            }),
            {
              onFailure: (cause) =>
                Effect.zipRight(
                  afterwards(told(lease, cause), () => lease.release),
                  Effect.failCause(cause)
                ),
              onSuccess: ({ end, result }) => {
                const kept = Effect.as(
                  Scope.addFinalizerExit(scope, (exit) => afterwards(end(exit), () => lease.release)),
                  result
                )
                if (!health.hasTrouble()) return kept
                const computes = sql !== undefined && needsCompute.test(sql)
                return Effect.zipRight(health.answered({ ...whoseOf(place), computes, begunAt }), kept)
              }
            }
          )
        }
        const begun = clock()
        return Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(pool.acquire(place, caller), (lease) => sent(begun, lease, restore))
        )
      })
    }

    const run = (statement: Statement, place: Place) =>
      statement.keepRows === undefined
        ? within(execute(statement), place, statement)
        : Effect.tap(within(execute(statement), place, statement), ({ queryId }) => {
            const { as, ...where } = place
            Lru.set(kept, queryId, { of: as.key, where }, 1)
          })

    /** In a session like the one that made it; this process may not have made it. */
    const fetch = (stored: Stored, principal: Principal) => {
      const { maxRows, offset, queryId, requestId, timeoutMs } = stored
      return Effect.flatMap(StoredResults.checked(queryId), () => {
        const here = placeOf({}, principal)
        const known = Lru.get(kept, queryId)
        return within(
          submitted(stored, (connection, _, restore) =>
            StoredResults.fetch(
              connection,
              { queryId, offset, maxRows, requestId, timeoutMs, fetchMs },
              restore
            )
          ),
          // What a role of an identity was shown, no other one is.
          known !== undefined && known.where.role === here.role && known.of === here.as.key
            ? { ...known.where, as: here.as }
            : here,
          stored
        )
      })
    }

    /** The rows of a short statement of our own, in a session of the caller's place. */
    const looked = (sql: string, place: Place, maxRows: number) =>
      Effect.scoped(
        Effect.flatMap(run({ sql, requestId: id(), timeoutMs: LOOK_MS, maxRows }, place), Named.rows)
      )

    const billing: Billing = {
      compute: (at) =>
        Effect.flatMap(CurrentPrincipal, (principal) => {
          const place = placeOf(at, principal)
          // An underscore of the pattern is any character: the name is compared again.
          const like = place.warehouse === undefined ? "" : ` LIKE ${pattern(place.warehouse)}`
          return Effect.map(looked(`SHOW WAREHOUSES${like}`, place, MAX_WAREHOUSES), (rows) =>
            Compute.chosen(rows, place.warehouse)
          )
        }),
      budget: (at) =>
        Effect.flatMap(CurrentPrincipal, (principal) =>
          Effect.map(
            looked(
              "SELECT * FROM TABLE(SNOWFLAKE.LOCAL.MY_BUDGET_SUMMARY())",
              placeOf(at, principal),
              MAX_BUDGETS
            ),
            (rows) =>
              rows
                .slice(0, MAX_BUDGETS)
                .map((row) =>
                  Object.fromEntries(Object.entries(row).map(([name, cell]) => [name, shortened(cell)]))
                )
          )
        )
    }

    const hints = options.hints === false ? undefined : yield* Hints.make({ run })

    return {
      dialect: "snowflake",
      sessions: pool.status,
      reportsSubmit: true,
      actingAs: identityOf,
      place: { database: folded(options.database), schema: folded(options.schema) },
      billing,
      results: {
        fetch: (stored) => Effect.flatMap(CurrentPrincipal, (principal) => fetch(stored, principal))
      },
      execute: (statement) =>
        Effect.flatMap(CurrentPrincipal, (principal) => {
          const place = placeOf(statement, principal)
          const result = run(statement, place)
          return hints === undefined
            ? result
            : Effect.catchIf(result, Hints.isAboutNames, (error) => hints.explain(error, statement, place))
        })
    }
  })

/**
 * No session is opened until the first statement.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<Warehouse> => Layer.scoped(Warehouse, make(options))
