/**
 * Follows a clock that was set back, as `quota/core/QuotaExpiry.ts` does: what was used in windows that have not begun
 * yet counts in the current ones, and what is held is held for as long as it would have been. Runs inside of a
 * write transaction, so that the processes on the file see it as a whole.
 *
 * @since 0.1.0
 */
import * as QuotaWindow from "../../core/QuotaWindow.js"
import type { Database } from "./Driver.js"
import { prepare, rowOf } from "./Driver.js"

/** Prepared when it is needed: hardly ever. */
export const rewind = (database: Database, mode: QuotaWindow.Mode, now: number, byMs: number): void => {
  const ahead = prepare(
    database,
    "SELECT key, quota, window_start, used, reserved FROM counter WHERE window_start > ?"
  )
  const add = prepare(
    database,
    `INSERT INTO counter (key, quota, window_start, resets_at, used, reserved) VALUES (?, ?, ?, ?, ?, 0)
     ON CONFLICT (key, quota, window_start) DO UPDATE SET used = used + excluded.used`
  )
  const empty = prepare(
    database,
    "UPDATE counter SET used = 0 WHERE key = ? AND quota = ? AND window_start = ?"
  )
  for (const row of ahead.all(now)) {
    const [key, quota, start, used] = rowOf(row) ?? []
    const window = QuotaWindow.windowOf(String(quota), mode)
    const slice = QuotaWindow.sliceAt(window, now)
    if (Number(used) > 0) {
      const from = slice * window.sliceMs
      add.run(String(key), String(quota), from, QuotaWindow.sliceEnd(window, slice), Number(used))
    }
    empty.run(String(key), String(quota), Number(start))
  }
  prepare(database, "DELETE FROM counter WHERE window_start > ? AND reserved = 0 AND used = 0").run(now)
  prepare(
    database,
    "UPDATE reservation SET expires_at = MAX(0, expires_at - ?) WHERE state IN ('held', 'submitted')"
  ).run(Math.round(byMs))
  prepare(database, "UPDATE meta SET value = CAST(? AS INTEGER) WHERE name = 'clock'").run(now)
}
