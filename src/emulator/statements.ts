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
import type { Bind } from "../Warehouse.js"
import type { Environment } from "./execute.js"
import * as Execute from "./execute.js"
import type { Failure } from "./failures.js"
import * as Failures from "./failures.js"
import * as Ids from "./ids.js"
import type { Rows } from "./results.js"
import { weight } from "./results.js"
import type { Session } from "./sessions.js"
import type { Text } from "./sqlText.js"
import { split } from "./sqlText.js"

/**
 * @since 0.1.0
 * @category models
 */
export type Outcome =
  Rows | Failure | { readonly _tag: "Children"; readonly children: ReadonlyArray<Statement> }

/**
 * @since 0.1.0
 * @category models
 */
export type Status = "QUEUED" | "RUNNING" | "SUCCESS" | "FAILED_WITH_ERROR" | "ABORTED"

/**
 * @since 0.1.0
 * @category models
 */
export interface Statement {
  readonly queryId: string
  readonly requestId: string | undefined
  readonly session: Session
  readonly sql: string
  readonly tag: string
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
 *
 * @since 0.1.0
 * @category models
 */
export type StatementFault = "suspendedWarehouse" | "resourceMonitor" | "queueTimeout"

/**
 * @since 0.1.0
 * @category models
 */
export interface Submission {
  readonly sql: string
  readonly requestId: string | undefined
  readonly binds: ReadonlyArray<Bind>
  readonly parameters: ReadonlyMap<string, string>
  readonly describeOnly: boolean
  readonly isAsync: boolean
  readonly fault: StatementFault | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Counts {
  queued: number
  running: number
  executed: number
  succeeded: number
  failed: number
  cancelled: number
}

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

const defaultTimeoutSeconds = 172_800
const maxTimeoutSeconds = 604_800

const secondsOf = (parameters: ReadonlyMap<string, string>, name: string, standard: number): number => {
  const value = Number(parameters.get(name) ?? standard)
  return Number.isFinite(value) && value > 0 ? value : standard
}

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
    const permits = yield* Effect.makeSemaphore(options.concurrency)
    // Between looking a request id up and writing it down nobody else may do the same.
    const submitting = yield* Effect.makeSemaphore(1)
    const statements = new Map<string, Statement>()
    const requests = new Map<string, Statement>()
    let keptBytes = 0
    const totals = { executed: 0, succeeded: 0, failed: 0, cancelled: 0 }

    const requestKey = (session: Session, requestId: string) => `${session.id} ${requestId}`
    const bytesOf = (statement: Statement) =>
      statement.result?._tag === "Rows" ? weight(statement.result) : 0

    const drop = (statement: Statement) => {
      keptBytes -= bytesOf(statement)
      statements.delete(statement.queryId)
      if (statement.requestId !== undefined)
        requests.delete(requestKey(statement.session, statement.requestId))
    }

    const evict = () => {
      for (const statement of statements.values()) {
        if (statements.size <= options.keep && keptBytes <= options.keepBytes) return
        if (statement.endedAt !== undefined) drop(statement)
      }
    }

    /** The first to come decides. */
    const settle = (statement: Statement, status: Status, outcome: Outcome) =>
      Effect.suspend(() => {
        if (statement.endedAt !== undefined) return Effect.succeed(false)
        return Effect.flatMap(Clock.currentTimeMillis, (now) => {
          if (statement.endedAt !== undefined) return Effect.succeed(false)
          statement.endedAt = now
          statement.status = status
          statement.result = outcome
          if (status === "SUCCESS") totals.succeeded++
          else if (status === "ABORTED") totals.cancelled++
          else totals.failed++
          statement.session.queryIds.push(statement.queryId)
          if (statement.session.queryIds.length > 1000) statement.session.queryIds.shift()
          keptBytes += bytesOf(statement)
          evict()
          return Effect.as(Deferred.succeed(statement.outcome, outcome), true)
        })
      })

    const cancel = (statement: Statement): Effect.Effect<boolean> =>
      Effect.flatMap(settle(statement, "ABORTED", Failures.cancelled), (cancelled) =>
        cancelled && statement.fiber !== undefined
          ? Effect.as(Fiber.interruptFork(statement.fiber), true)
          : Effect.succeed(cancelled)
      )

    const whole: Environment = {
      ...environment,
      stored: (queryId) => {
        const result = statements.get(queryId)?.result
        return result?._tag === "Rows" ? result : undefined
      },
      cancel: (queryId) => {
        const statement = statements.get(queryId)
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
          isAsync: submission.isAsync,
          typeId,
          startedAt: now,
          status: "QUEUED",
          endedAt: undefined,
          result: undefined,
          outcome: yield* Deferred.make<Outcome>(),
          fiber: undefined
        }
        statements.set(queryId, statement)
        if (requestId !== undefined) requests.set(requestKey(session, requestId), statement)
        return statement
      })

    /** What a warehouse does before and while it runs a statement: queue it, refuse it, end it in time. */
    const inWarehouse = (
      statement: Statement,
      text: Text,
      submission: Submission,
      body: Effect.Effect<Rows, Failure>
    ) =>
      Effect.suspend(() => {
        const queueSeconds = secondsOf(submission.parameters, "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS", 0)
        const seconds = Math.min(
          secondsOf(submission.parameters, "STATEMENT_TIMEOUT_IN_SECONDS", defaultTimeoutSeconds),
          maxTimeoutSeconds
        )
        const started = Effect.suspend(() => {
          statement.status = "RUNNING"
          totals.executed++
          return Effect.timeoutFail(body, {
            duration: seconds * 1000,
            onTimeout: () => Failures.statementTimeout(seconds)
          })
        })
        if (!text.usesWarehouse) return started
        const { warehouse } = statement.session
        if (warehouse === undefined) return Effect.fail(Failures.noWarehouse)
        switch (submission.fault) {
          case "suspendedWarehouse":
            return Effect.fail(Failures.suspended(warehouse))
          case "resourceMonitor":
            return Effect.fail(Failures.resourceMonitor(warehouse))
          case "queueTimeout":
            return Effect.fail(Failures.queueTimeout(queueSeconds || 60))
          case undefined: {
            const queued = permits.withPermits(1)(started)
            return queueSeconds === 0
              ? queued
              : Effect.raceFirst(
                  queued,
                  Effect.flatMap(Effect.sleep(queueSeconds * 1000), () =>
                    statement.status === "QUEUED"
                      ? Effect.fail(Failures.queueTimeout(queueSeconds))
                      : Effect.never
                  )
                )
          }
        }
      })

    const execute = (statement: Statement, text: Text, submission: Submission) =>
      inWarehouse(
        statement,
        text,
        submission,
        Execute.run(whole, statement.session, {
          queryId: statement.queryId,
          text,
          binds: submission.binds,
          parameters: submission.parameters,
          describeOnly: submission.describeOnly
        })
      ).pipe(
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
      const texts = split(submission.sql)
      if (Either.isLeft(texts)) {
        return settle(statement, "FAILED_WITH_ERROR", Failures.syntax(texts.left))
      }
      const desired = Number(submission.parameters.get("MULTI_STATEMENT_COUNT") ?? 1)
      const actual = texts.right.length
      const [first] = texts.right
      if (desired !== 0 && actual !== desired) {
        return settle(statement, "FAILED_WITH_ERROR", Failures.statementCount(actual, desired))
      }
      return actual === 1 && first !== undefined
        ? execute(statement, first, submission)
        : executeAll(statement, texts.right, submission)
    }

    const byRequest = (session: Session, requestId: string | undefined) =>
      requestId === undefined ? undefined : requests.get(requestKey(session, requestId))

    return {
      submit: (session, submission) =>
        Effect.uninterruptible(
          Effect.gen(function* () {
            const known = byRequest(session, submission.requestId)
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
      byRequest,
      byQuery: (queryId) => statements.get(queryId),
      wait: (statement, ms) => Effect.timeoutOption(Deferred.await(statement.outcome), ms),
      cancel,
      cancelAllOf: (session) =>
        Effect.forEach(
          [...statements.values()].filter(
            (statement) =>
              statement.session === session && statement.endedAt === undefined && !statement.isAsync
          ),
          cancel,
          { discard: true }
        ),
      latest: (count) => [...statements.values()].slice(-count),
      counts: () => {
        const open = [...statements.values()].filter((statement) => statement.endedAt === undefined)
        const running = open.filter((statement) => statement.status === "RUNNING").length
        return { ...totals, running, queued: open.length - running }
      },
      forget: Effect.suspend(() =>
        Effect.forEach([...statements.values()], cancel, { discard: true }).pipe(
          Effect.tap(() => {
            statements.clear()
            requests.clear()
            keptBytes = 0
            Object.assign(totals, { executed: 0, succeeded: 0, failed: 0, cancelled: 0 })
          })
        )
      )
    }
  })
