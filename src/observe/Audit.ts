/**
 * The audit log of calls and their results: one JSON object a line, append-only, rotated by size.
 *
 * `record` never waits for the disk: lines go through a bounded queue to one writer. What does not fit,
 * or cannot be written, is counted (`snowguard_audit_lost_total`) and logged, because an audit log
 * must not have a silent gap. Lines that were taken are written before the scope has
 * closed. Several processes may write one file, and others may move it or remove it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { Outcome } from "./core/CallStats.js"
import * as RepeatedLog from "./repeatedLog.js"
import { reasonOf } from "../platform/fileReasons.js"
import { begin, counter } from "../platform/metrics.js"
import type { Report } from "./AuditFile.js"
import type * as Metering from "./Metering.js"

/**
 * What is written down of one call, or of one action of an operator. Times are milliseconds, sizes are bytes of JSON.
 *
 * @since 0.1.0
 * @category models
 */
export interface Entry {
  readonly client: string
  readonly tier: string
  readonly tool: string
  /** The name that was asked for, in part, where there is no such tool. */
  readonly asked?: string | undefined
  /** Of an operator's action: its object: a client, a quota or a mode. */
  readonly target?: string | undefined
  /** Canonical text of the statement; written as the settings say. */
  readonly statement?: string | undefined
  /** `ok`, `cancelled`, or the code of the refusal or error. */
  readonly decision: string
  /** What kind of end that is; that of the decision of a call that sent nothing when absent. */
  readonly outcome?: Outcome | undefined
  readonly rows?: number | undefined
  readonly bytes?: number | undefined
  /** Milliseconds from the call to its end. */
  readonly ms: number
  readonly queryId?: string | undefined
  /** The user and the role in the warehouse that a statement of the call ran as. */
  readonly user?: string | undefined
  readonly role?: string | undefined
  /** Limits that are observed and would have refused the call, each with the code and scope of its refusal. */
  readonly wouldRefuse?:
    | ReadonlyArray<{
        readonly code: string
        readonly scope: string
        readonly retryAfterMs?: number | undefined
      }>
    | undefined
  /** What the call asked of the limits that are counted. */
  readonly limits?: ReadonlyArray<Metering.Operation> | undefined
}

/**
 * Version of the lines, `v`; what a version adds, older readers may pass over. Lines without one are of version 1 and
 * have no `limits`.
 *
 * @since 0.1.0
 * @category constants
 */
export const version = 2

/**
 * What an operator does is written down as a tool whose name begins so; no tool's own name can.
 *
 * @since 0.1.0
 * @category constants
 */
export const operatorPrefix = "operator:"

/**
 * Where the entries of calls go. No operation fails: a record that cannot be written is counted and logged instead.
 *
 * @since 0.1.0
 * @category context
 */
export class Audit extends Context.Tag("snowguard/Audit")<
  Audit,
  {
    /** Takes the entry of a call that has ended. Never fails and never waits: a call must not pay for it. */
    readonly record: (entry: Entry) => Effect.Effect<void>
    /** Entries come without `limits`, and so without waiting for the call to settle: nothing would keep them. */
    readonly withoutLimits?: boolean | undefined
  }
>() {}

/**
 * Records nothing: there is no audit log.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerNoop: Layer.Layer<Audit> = Layer.succeed(Audit, {
  record: () => Effect.void,
  withoutLimits: true
})

/**
 * Where the log is written, what of a statement, and how much is kept; sizes in bytes.
 *
 * @since 0.1.0
 * @category models
 */
export interface FileOptions {
  readonly path: string
  /** Of a statement: its text, the SHA-256 of it, or nothing. */
  readonly statements: "text" | "hash" | "none"
  /** Bytes at which the file becomes `PATH.1`, and `PATH.1` becomes `PATH.2`. */
  readonly maxBytes: number
  /** Old files that are kept. */
  readonly keep: number
}

/**
 * The file cannot be opened for writing.
 *
 * @since 0.1.0
 * @category errors
 */
export class AuditError extends Schema.TaggedError<AuditError>("snowguard/AuditError")("AuditError", {
  path: Schema.String,
  description: Schema.String
}) {
  override get message(): string {
    return `${this.path}: ${this.description}`
  }
}

/** Lines that may wait for the disk. */
const QUEUE = 10_000

/** Lines written at once. */
const BATCH = 1_000

/** Characters of a statement that are written: what waits for the disk is bounded by lines. */
const MAX_TEXT = 16_384

/**
 * The same of a call that sent nothing. Such a call costs its client nothing: with as much to write as others,
 * a few thousand of them would push out of the files what was executed before.
 */
const MAX_REFUSED_TEXT = 1_024

/** Nothing is read of what was never sent; an answer from memory is an answer. */
const isAnswered = ({ decision, queryId, rows }: Entry): boolean =>
  decision === "ok" || rows !== undefined || queryId !== undefined

const cut = (text: string, most: number): string => (text.length <= most ? text : `${text.slice(0, most)}…`)

/** @internal */
export const lineOf = (
  entry: Entry,
  time: DateTime.DateTime,
  statements: FileOptions["statements"],
  sha256: (text: string) => string
): string => {
  const { statement, ...rest } = entry
  const told =
    statement === undefined || statements === "none"
      ? {}
      : statements === "text"
        ? { statement: cut(statement, isAnswered(entry) ? MAX_TEXT : MAX_REFUSED_TEXT) }
        : { statement_sha256: sha256(statement) }
  // JSON leaves no line break in a value: a statement cannot forge a line.
  return `${JSON.stringify({ time: DateTime.formatIso(time), v: version, ...rest, ...told })}\n`
}

const lostLines = counter("snowguard_audit_lost_total", "Lines of the audit log that could not be written.")
const thrownAway = counter(
  "snowguard_audit_rotated_away_total",
  "Files of the audit log that were removed because so many are kept."
)
const thrownAwayBytes = counter(
  "snowguard_audit_rotated_away_bytes_total",
  "Bytes of the audit log that were removed because so many files are kept."
)

/** Kinds of problems that are kept apart. */
const MAX_KINDS = 20

/** Counts and logs what happens to the lines and to the file. Every lost line is counted, however often it is logged. */
const makeWatch = Effect.gen(function* () {
  for (const count of [lostLines, thrownAway, thrownAwayBytes]) begin(count)

  const logLost = yield* RepeatedLog.make<string>({
    maxKinds: MAX_KINDS,
    line: (problem = "several", lines, isFirst) =>
      Effect.annotateLogs(Effect.logError(isFirst ? "audit lines are lost" : "more audit lines are lost"), {
        lines,
        problem
      })
  })
  const logUnrotated = yield* RepeatedLog.make<string>({
    maxKinds: MAX_KINDS,
    line: (problem, _, isFirst) =>
      isFirst
        ? Effect.annotateLogs(
            Effect.logError("the audit log is full and cannot be put aside; it is written on"),
            { problem }
          )
        : Effect.void
  })

  const lost = (lines: number, problem: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      lostLines({}, lines)
      return logLost(problem, lines)
    })

  /** `report`: what became of so many lines that were to be written. */
  const wrote = (path: string, lines: number, report: Report): Effect.Effect<void> => {
    const { failure, replaced, thrownAway: removed, unrotated, written } = report
    const left = lines - written
    if (left === 0 && replaced === undefined && unrotated === undefined && removed.length === 0) {
      return Effect.void
    }
    return Effect.gen(function* () {
      if (replaced === "removed") {
        yield* Effect.logWarning("the audit log was removed; a new one is begun")
      } else if (replaced === "moved") {
        yield* Effect.logDebug("the audit log has another name now; a new one is begun")
      }
      for (const bytes of removed) {
        thrownAway({})
        thrownAwayBytes({}, bytes)
        yield* Effect.annotateLogs(Effect.logInfo("the oldest file of the audit log was removed"), { bytes })
      }
      if (unrotated !== undefined) yield* logUnrotated(reasonOf(unrotated))
      if (left > 0) yield* lost(left, `cannot be written: ${reasonOf(failure)}`)
    }).pipe(Effect.annotateLogs({ path }))
  }

  return { lost, wrote }
})

/**
 * A file, made with its folder for its owner alone. Fails when it cannot be opened at the start; what fails
 * later is counted, logged, and tried again with the next lines.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerFile = ({
  keep,
  maxBytes,
  path,
  statements
}: FileOptions): Layer.Layer<Audit, AuditError> =>
  Layer.scoped(
    Audit,
    Effect.gen(function* () {
      const watch = yield* makeWatch
      // Not at the top: it takes milliseconds to load, and most servers over stdio write no such log.
      const [{ createHash }, { AuditFile }] = yield* Effect.promise(() =>
        Promise.all([import("node:crypto"), import("./AuditFile.js")])
      )
      const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex")
      const file = yield* Effect.acquireRelease(
        Effect.tryPromise({
          try: () => AuditFile.open({ path, maxBytes, keep }),
          catch: (cause) => new AuditError({ path, description: `cannot be opened: ${reasonOf(cause)}` })
        }),
        (file) => Effect.promise(() => file.close())
      )
      const write = (lines: ReadonlyArray<string>) =>
        Effect.flatMap(
          Effect.promise(() => file.append(lines)),
          (report) => watch.wrote(path, lines.length, report)
        )

      // The writer is told to end and never interrupted: what it has taken is written or counted.
      const waiting: Array<string> = []
      const wake = yield* Effect.makeLatch(false)
      let isClosing = false
      const writer = yield* Effect.forkDaemon(
        Effect.gen(function* () {
          for (;;) {
            while (waiting.length > 0) yield* write(waiting.splice(0, BATCH))
            if (isClosing) return
            yield* wake.close
            // Lines may have come before the latch was closed, and would not open it again.
            if (waiting.length === 0 && !isClosing) yield* wake.await
          }
        }).pipe(Effect.uninterruptible)
      )
      yield* Effect.addFinalizer(() =>
        Effect.suspend(() => {
          isClosing = true
          return Effect.zipRight(wake.open, Fiber.await(writer))
        })
      )

      return {
        record: (entry) =>
          Effect.flatMap(DateTime.now, (now) => {
            if (isClosing) return watch.lost(1, "the server is closing")
            if (waiting.length >= QUEUE) return watch.lost(1, "too many lines wait for the disk")
            waiting.push(lineOf(entry, now, statements, sha256))
            return wake.open
          })
      }
    })
  )
