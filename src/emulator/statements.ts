/**
 * Statements from their submission until their result is forgotten.
 *
 *     submitted -> QUEUED -> RUNNING -> SUCCESS | FAILED_WITH_ERROR
 *                     \---------\----> ABORTED
 *
 * Invariants: a statement runs in a fiber of its own, whoever waits for it or goes away; its outcome is
 * decided once; the same request id of a session is the same statement, executed once; when the scope
 * closes every statement has ended.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import type * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { Environment } from "./environment.js"
import * as Execute from "./execute.js"
import * as Failures from "./failures.js"
import * as Ids from "./ids.js"
import type { Session } from "./sessions.js"
import type { Counts, Outcome, Statement, Status, Submission } from "./statement.js"
import type { Text } from "./sqlText.js"
import { split, withFoldedNames } from "./sqlText.js"
import { ignoresCase } from "./sessionCommands.js"
import * as Store from "./statementStore.js"
import * as VirtualWarehouse from "./virtualWarehouse.js"

/**
 * @since 0.1.0
 * @category models
 */
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

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Statements that a warehouse runs at a time; more are queued. */
  readonly concurrency: number
  /** Statements that are kept after they have ended, and the bytes of their results. */
  readonly keep: number
  readonly keepBytes: number
}

/** What `LAST_QUERY_ID(n)` can look back on. */
const maxQueryIds = 1000

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options,
  environment: Omit<Environment, "stored" | "cancel">
): Effect.Effect<Statements, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
    const warehouse = yield* VirtualWarehouse.make(options.concurrency)
    // Between looking a request id up and writing it down nobody else may do the same.
    const submitting = yield* Effect.makeSemaphore(1)
    const store = Store.make(options.keep, options.keepBytes)
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
