/**
 * Statements from their submission until their result is forgotten.
 *
 *     submitted -> QUEUED -> RUNNING -> SUCCESS | FAILED_WITH_ERROR
 *                     \---------\----> ABORTED
 *
 * Invariants: a statement runs in a fiber of its own, whichever callers wait for it or leave; its outcome is
 * decided once; the same request id of a session is the same statement, executed once; when the scope
 * closes every statement has ended.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import type * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { Billing } from "./billing.js"
import type { Bind } from "../warehouse/Warehouse.js"
import type { Environment } from "./environment.js"
import * as Execute from "./execute.js"
import * as Failures from "./failures.js"
import type { Failure } from "./failures.js"
import * as Ids from "./ids.js"
import { weight } from "./results.js"
import type { Rows } from "./results.js"
import { ignoresCase } from "./sessionCommands.js"
import type { Session } from "./sessions.js"
import { split, withFoldedNames } from "./parser.js"
import type { SecondaryRoles, Text } from "./parser.js"

export type Outcome =
  Rows | Failure | { readonly _tag: "Children"; readonly children: ReadonlyArray<Statement> }

export type Status = "QUEUED" | "RUNNING" | "SUCCESS" | "FAILED_WITH_ERROR" | "ABORTED"

export interface Statement {
  readonly queryId: string
  readonly requestId: string | undefined
  readonly session: Session
  readonly sql: string
  readonly tag: string
  /** As they were when it was submitted. */
  readonly role: string
  readonly secondaryRoles: SecondaryRoles
  readonly isAsync: boolean
  readonly typeId: number
  readonly startedAt: number
  status: Status
  endedAt: number | undefined
  result: Outcome | undefined
  readonly outcome: Deferred.Deferred<Outcome>
  fiber: Fiber.Fiber<void> | undefined
}

/**
 * A fault that strikes a statement instead of its request.
 */
export type StatementFault =
  "suspendedWarehouse" | "resourceMonitor" | "queueTimeout" | "largeParts" | Failure

interface Submission {
  readonly sql: string
  readonly requestId: string | undefined
  readonly binds: ReadonlyArray<Bind>
  readonly parameters: ReadonlyMap<string, string>
  readonly describeOnly: boolean
  readonly isAsync: boolean
  readonly fault: StatementFault | undefined
}

export interface Counts {
  queued: number
  running: number
  executed: number
  succeeded: number
  failed: number
  cancelled: number
}

/**
 * The statements that are remembered: by their id, and by the request that submitted them. What has not ended is
 * never forgotten; what has ended is, oldest first, when there are too many or their results take too much room.
 */
interface Store {
  readonly add: (statement: Statement) => void
  /** To be told when a statement has ended. */
  readonly ended: (statement: Statement) => void
  readonly byQuery: (queryId: string) => Statement | undefined
  readonly byRequest: (session: Session, requestId: string | undefined) => Statement | undefined
  /** Oldest first. */
  readonly all: () => ReadonlyArray<Statement>
  readonly clear: () => void
}

const requestKey = (session: Session, requestId: string): string => `${session.id} ${requestId}`

const bytesOf = ({ result }: Statement): number => (result?._tag === "Rows" ? weight(result) : 0)

/**
 * Keeps at most so many statements, and results of so many bytes.
 */
const makeStore = (keep: number, keepBytes: number): Store => {
  const statements = new Map<string, Statement>()
  const requests = new Map<string, Statement>()
  let bytes = 0

  const drop = (statement: Statement) => {
    bytes -= bytesOf(statement)
    statements.delete(statement.queryId)
    if (statement.requestId !== undefined) requests.delete(requestKey(statement.session, statement.requestId))
  }

  return {
    add: (statement) => {
      statements.set(statement.queryId, statement)
      if (statement.requestId !== undefined) {
        requests.set(requestKey(statement.session, statement.requestId), statement)
      }
    },
    ended: (latest) => {
      // Forgotten while it ran.
      if (!statements.has(latest.queryId)) return
      bytes += bytesOf(latest)
      for (const statement of statements.values()) {
        if (statements.size <= keep && bytes <= keepBytes) return
        // Its client has not read it yet.
        if (statement.endedAt !== undefined && statement !== latest) drop(statement)
      }
    },
    byQuery: (queryId) => statements.get(queryId),
    byRequest: (session, requestId) =>
      requestId === undefined ? undefined : requests.get(requestKey(session, requestId)),
    all: () => [...statements.values()],
    clear: () => {
      statements.clear()
      requests.clear()
      bytes = 0
    }
  }
}

/** What a virtual warehouse does to a statement: queues it, refuses it, ends it in time. */
interface VirtualWarehouse {
  /** Statements that have been let in so far. */
  readonly executed: () => number
  readonly clear: () => void
  /** Runs `body` for a statement; one that uses no warehouse is never queued. */
  readonly run: <A>(
    statement: Statement,
    usesWarehouse: boolean,
    submission: Submission,
    body: Effect.Effect<A, Failure>
  ) => Effect.Effect<A, Failure>
}

const defaultTimeoutSeconds = 172_800
const maxTimeoutSeconds = 604_800

/** A timeout of 0 seconds is none, which is the `standard`. */
const secondsOf = (parameters: ReadonlyMap<string, string>, name: string, standard: number): number => {
  const value = Number(parameters.get(name) ?? standard)
  return Number.isFinite(value) && value > 0 ? Math.min(value, maxTimeoutSeconds) : standard
}

/** For whom it runs: the client that its tag names, else its user. */
const whoOf = ({ session, tag }: Statement): string =>
  /"client":"([^"\\]{1,200})"/.exec(tag)?.[1] ?? session.user

/**
 * With so many statements at a time.
 */
const makeWarehouse = (concurrency: number, billing: Billing): Effect.Effect<VirtualWarehouse> =>
  Effect.map(Effect.makeSemaphore(concurrency), (permits) => {
    let executed = 0
    const run: VirtualWarehouse["run"] = (statement, usesWarehouse, submission, body) =>
      Effect.suspend(() => {
        const { fault, parameters } = submission
        const queueSeconds = secondsOf(parameters, "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS", 0)
        const seconds = secondsOf(parameters, "STATEMENT_TIMEOUT_IN_SECONDS", defaultTimeoutSeconds)
        const started = Effect.suspend(() => {
          statement.status = "RUNNING"
          executed++
          return Effect.timeoutFail(body, {
            duration: seconds * 1000,
            onTimeout: () => Failures.statementTimeout(seconds)
          })
        })
        if (typeof fault === "object") return Effect.fail(fault)
        if (!usesWarehouse) return started
        const { warehouse } = statement.session
        if (warehouse === undefined) return Effect.fail(Failures.noWarehouse)
        switch (fault) {
          case "suspendedWarehouse":
            return Effect.fail(Failures.suspended(warehouse))
          case "resourceMonitor":
            return Effect.fail(Failures.resourceMonitor(warehouse))
          case "queueTimeout":
            return Effect.fail(Failures.queueTimeout(queueSeconds || 60))
        }
        const billed = Effect.acquireUseRelease(
          Effect.flatMap(Clock.currentTimeMillis, (now) => {
            const begun = billing.begin(warehouse, whoOf(statement), now)
            return begun === undefined ? Effect.fail(Failures.suspended(warehouse)) : Effect.succeed(begun)
          }),
          () => started,
          (begun) => Effect.map(Clock.currentTimeMillis, (now) => billing.end(begun, now))
        )
        const queued = permits.withPermits(1)(billed)
        if (queueSeconds === 0) return queued
        const tooLong = Effect.flatMap(Effect.sleep(queueSeconds * 1000), () =>
          statement.status === "QUEUED" ? Effect.fail(Failures.queueTimeout(queueSeconds)) : Effect.never
        )
        return Effect.raceFirst(queued, tooLong)
      })
    return {
      executed: () => executed,
      clear: () => {
        executed = 0
      },
      run
    }
  })

export interface Statements {
  readonly submit: (session: Session, submission: Submission) => Effect.Effect<Statement>
  readonly byRequest: (session: Session, requestId: string | undefined) => Statement | undefined
  readonly byQuery: (queryId: string) => Statement | undefined
  /** The outcome, or none when the statement needs longer than that. */
  readonly wait: (statement: Statement, ms: number) => Effect.Effect<Option.Option<Outcome>>
  /** False when it had ended already. */
  readonly cancel: (statement: Statement) => Effect.Effect<boolean>
  readonly cancelAllOf: (session: Session) => Effect.Effect<void>
  /** The latest statements, oldest first. */
  readonly latest: (count: number) => ReadonlyArray<Statement>
  readonly counts: () => Counts
  readonly forget: Effect.Effect<void>
}

interface Options {
  /** Statements that a warehouse runs at a time; more are queued. */
  readonly concurrency: number
  /** Statements that are kept after they have ended, and the bytes of their results. */
  readonly keep: number
  readonly keepBytes: number
  /** Told of each statement when it is submitted. */
  readonly onStatement?: ((statement: Statement) => void) | undefined
}

/** What `LAST_QUERY_ID(n)` can look back on. */
const maxQueryIds = 1000

export const make = (
  options: Options,
  environment: Omit<Environment, "stored" | "cancel">
): Effect.Effect<Statements, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
    const warehouse = yield* makeWarehouse(options.concurrency, environment.billing)
    // Looking a request id up and writing it down is one step.
    const submitting = yield* Effect.makeSemaphore(1)
    const store = makeStore(options.keep, options.keepBytes)
    const totals = { succeeded: 0, failed: 0, cancelled: 0 }

    /** The first outcome counts. */
    const settle = (statement: Statement, status: Status, outcome: Outcome): Effect.Effect<boolean> =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        if (statement.endedAt !== undefined) return Effect.succeed(false)
        statement.endedAt = now
        statement.status = status
        statement.result = outcome
        totals[status === "SUCCESS" ? "succeeded" : status === "ABORTED" ? "cancelled" : "failed"]++
        const { queryIds } = statement.session
        queryIds.push(statement.queryId)
        if (queryIds.length > maxQueryIds) queryIds.shift()
        store.ended(statement)
        return Deferred.succeed(statement.outcome, outcome)
      }).pipe(Effect.uninterruptible)

    const cancel = (statement: Statement): Effect.Effect<boolean> =>
      Effect.uninterruptible(
        Effect.flatMap(settle(statement, "ABORTED", Failures.cancelled), (cancelled) =>
          cancelled && statement.fiber !== undefined
            ? Effect.as(Fiber.interruptFork(statement.fiber), true)
            : Effect.succeed(cancelled)
        )
      )

    const whole: Environment = {
      ...environment,
      stored: (queryId) => {
        const result = store.byQuery(queryId)?.result
        return result?._tag === "Rows" ? result : undefined
      },
      cancel: (queryId) => {
        const statement = store.byQuery(queryId)
        return statement === undefined ? Effect.succeed(false) : cancel(statement)
      }
    }

    const create = (
      session: Session,
      submission: Submission,
      sql: string,
      typeId: number,
      isChild: boolean
    ) =>
      Effect.gen(function* () {
        const queryId = yield* Ids.queryId
        const now = yield* Clock.currentTimeMillis
        const requestId = isChild ? undefined : submission.requestId
        const statement: Statement = {
          queryId,
          requestId,
          session,
          sql,
          tag: submission.parameters.get("QUERY_TAG") ?? "",
          role: session.role,
          secondaryRoles: session.secondaryRoles,
          isAsync: submission.isAsync,
          typeId,
          startedAt: now,
          status: "QUEUED",
          endedAt: undefined,
          result: undefined,
          outcome: yield* Deferred.make<Outcome>(),
          fiber: undefined
        }
        store.add(statement)
        options.onStatement?.(statement)
        return statement
      })

    const execute = (statement: Statement, text: Text, submission: Submission) =>
      warehouse
        .run(
          statement,
          text.usesWarehouse,
          submission,
          Execute.run(whole, statement.session, {
            queryId: statement.queryId,
            text,
            binds: submission.binds,
            parameters: submission.parameters,
            describeOnly: submission.describeOnly,
            largeParts: submission.fault === "largeParts"
          })
        )
        .pipe(
          Effect.matchEffect({
            onFailure: (failure) => Effect.as(settle(statement, "FAILED_WITH_ERROR", failure), false),
            onSuccess: (rows) => settle(statement, "SUCCESS", rows)
          })
        )

    /** One after the other; the first that fails fails the whole. */
    const executeAll = (parent: Statement, texts: ReadonlyArray<Text>, submission: Submission) =>
      Effect.gen(function* () {
        parent.status = "RUNNING"
        const children: Array<Statement> = []
        for (const text of texts) {
          const child = yield* create(parent.session, submission, text.original, text.typeId, true)
          children.push(child)
          const succeeded = yield* execute(child, text, { ...submission, binds: [] }).pipe(
            Effect.onInterrupt(() => cancel(child))
          )
          if (!succeeded) {
            const failure = child.result?._tag === "Failure" ? child.result : Failures.cancelled
            return yield* settle(parent, "FAILED_WITH_ERROR", failure)
          }
        }
        return yield* settle(parent, "SUCCESS", { _tag: "Children", children })
      })

    const planned = (statement: Statement, submission: Submission): Effect.Effect<unknown> => {
      const { parameters, sql } = submission
      const texts = split(ignoresCase(parameters) ? withFoldedNames(sql) : sql)
      if (Either.isLeft(texts)) {
        return settle(statement, "FAILED_WITH_ERROR", Failures.syntax(texts.left))
      }
      const desired = Number(parameters.get("MULTI_STATEMENT_COUNT") ?? 1)
      const actual = texts.right.length
      const [first] = texts.right
      if (desired !== 0 && actual !== desired) {
        return settle(statement, "FAILED_WITH_ERROR", Failures.statementCount(actual, desired))
      }
      return actual === 1 && first !== undefined
        ? execute(statement, first, submission)
        : executeAll(statement, texts.right, submission)
    }

    return {
      submit: (session, submission) =>
        Effect.uninterruptible(
          Effect.gen(function* () {
            const known = store.byRequest(session, submission.requestId)
            if (known !== undefined) return known
            const texts = split(submission.sql)
            const typeId = Either.isRight(texts) ? (texts.right[0]?.typeId ?? 0) : 0
            const statement = yield* create(session, submission, submission.sql, typeId, false)
            statement.fiber = yield* planned(statement, submission).pipe(
              Effect.catchAllDefect(() =>
                settle(statement, "FAILED_WITH_ERROR", {
                  _tag: "Failure",
                  code: "000603",
                  sqlState: "XX000",
                  message: "SQL execution internal error."
                })
              ),
              Effect.interruptible,
              Effect.asVoid,
              Effect.forkIn(scope)
            )
            return statement
          })
        ).pipe(submitting.withPermits(1)),
      byRequest: store.byRequest,
      byQuery: store.byQuery,
      wait: (statement, ms) => Effect.timeoutOption(Deferred.await(statement.outcome), ms),
      cancel,
      cancelAllOf: (session) =>
        Effect.forEach(
          store
            .all()
            .filter(
              (statement) =>
                statement.session === session && statement.endedAt === undefined && !statement.isAsync
            ),
          cancel,
          { discard: true }
        ),
      latest: (count) => store.all().slice(-count),
      counts: () => {
        const open = store.all().filter((statement) => statement.endedAt === undefined)
        const running = open.filter((statement) => statement.status === "RUNNING").length
        return { ...totals, executed: warehouse.executed(), running, queued: open.length - running }
      },
      forget: Effect.suspend(() =>
        Effect.forEach(store.all(), cancel, { discard: true }).pipe(
          Effect.tap(() => {
            store.clear()
            warehouse.clear()
            Object.assign(totals, { succeeded: 0, failed: 0, cancelled: 0 })
          })
        )
      )
    }
  })
