/**
 * What is counted and said of the audit log's file. A line that is lost is always counted; in the log, the
 * first of a kind is said at once, and those like it together every ten seconds: a full disk would otherwise
 * fill the log with each line it refuses.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Repeats from "../platform/core/Repeats.js"
import type { Report } from "./auditFile.js"
import { reasonOf } from "../platform/fileReasons.js"
import { counter } from "../platform/metrics.js"

export interface AuditWatch {
  readonly lost: (lines: number, problem: string) => Effect.Effect<void>
  /** So many lines were to be written, and this is what became of them. */
  readonly wrote: (path: string, lines: number, report: Report) => Effect.Effect<void>
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

const PERIOD = "10 seconds"

/** Kinds of problems that are kept apart. */
const MAX_KINDS = 20

export const make: Effect.Effect<AuditWatch, never, Scope.Scope> = Effect.gen(function* () {
  // A counter that begins with its first event hides it: an increase is seen between two values only.
  for (const count of [lostLines, thrownAway, thrownAwayBytes]) count({}, 0)

  const repeats = Repeats.make<string>(MAX_KINDS)
  const logLost = (message: string, lines: number, problem: string) =>
    Effect.annotateLogs(Effect.logError(message), { lines, problem })
  const tell = Effect.suspend(() => {
    const { others, repeated } = Repeats.take(repeats)
    const said = repeated.map(({ about, times }) => logLost("more audit lines are lost", times, about))
    if (others > 0) said.push(logLost("more audit lines are lost", others, "several"))
    return Effect.all(said, { discard: true })
  })
  const unrotated = Repeats.make<string>(MAX_KINDS)
  yield* Effect.forkScoped(
    Effect.schedule(
      Effect.zipRight(
        tell,
        Effect.sync(() => Repeats.take(unrotated))
      ),
      Schedule.spaced(PERIOD)
    )
  )
  // Nothing that was counted stays untold.
  yield* Effect.addFinalizer(() => tell)

  const lost: AuditWatch["lost"] = (lines, problem) =>
    Effect.suspend(() => {
      lostLines({}, lines)
      return Repeats.isFirst(repeats, problem, problem, lines)
        ? logLost("audit lines are lost", lines, problem)
        : Effect.void
    })

  return {
    lost,
    wrote: (path, lines, report) =>
      Effect.gen(function* () {
        if (report.replaced === "removed") {
          yield* Effect.logWarning("the audit log was removed; a new one is begun")
        } else if (report.replaced === "moved") {
          yield* Effect.logDebug("the audit log has another name now; a new one is begun")
        }
        for (const bytes of report.thrownAway) {
          thrownAway({})
          thrownAwayBytes({}, bytes)
          yield* Effect.annotateLogs(Effect.logInfo("the oldest file of the audit log was removed"), {
            bytes
          })
        }
        if (report.unrotated !== undefined) {
          const problem = reasonOf(report.unrotated)
          if (Repeats.isFirst(unrotated, problem, problem)) {
            yield* Effect.annotateLogs(
              Effect.logError("the audit log is full and cannot be put aside; it is written on"),
              { problem }
            )
          }
        }
        const left = lines - report.written
        if (left > 0) yield* lost(left, `cannot be written: ${reasonOf(report.failure)}`)
      }).pipe(Effect.annotateLogs({ path }))
  }
})
