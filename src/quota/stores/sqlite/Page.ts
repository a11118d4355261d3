/**
 * The part of the ledger that one transaction needs: loaded from rows, changed by the steps of
 * `quota/core/Ledger.ts`, saved as rows again. The rules of quotas are all over there; this module knows
 * only which rows a step can touch.
 *
 * Invariants:
 *  - a page lives inside one transaction, and nothing of it is used after;
 *  - what a step may touch is loaded before the step: the keys it charges, the reservation it finishes,
 *    and every reservation that is due;
 *  - `now` is never less than the latest time that any process has stored; but a clock that was set back by more
 *    than a minute is followed by the next transaction that writes.
 */
import { QuotaName } from "../../QuotaStore.js"
import * as Ledger from "../../core/Ledger.js"
import * as Window from "../../core/Window.js"
import { prepare, rowOf } from "./database.js"
import type { Database } from "./database.js"
import type { Identity } from "./schema.js"

export interface Page {
  readonly ledger: Ledger.Ledger<QuotaName>
  readonly now: number
  readonly loadKey: (key: string) => void
  readonly loadReservation: (id: string) => void
  /** Keys of which something may be used, after `cursor` and in order. */
  readonly keysAfter: (cursor: string | undefined, size: number) => ReadonlyArray<string>
  /** Deletes a few of the rows that no longer count. */
  readonly prune: () => void
  /** Writes what the steps have changed; nothing in a transaction that only reads. */
  readonly save: () => void
}

interface Saved {
  readonly used: number
  readonly reserved: number
}

type State = "held" | "submitted" | "expired-free" | "expired-charged" | "finished"

const states: ReadonlySet<unknown> = new Set<State>([
  "held",
  "submitted",
  "expired-free",
  "expired-charged",
  "finished"
])
const isState = (value: unknown): value is State => states.has(value)
const names: ReadonlySet<unknown> = new Set(QuotaName.literals)
const isQuota = (value: unknown): value is QuotaName => names.has(value)

const PRUNED_AT_ONCE = 500
/** The stored time is good to a second, and to the minute's border: the shortest slice there is. */
const CLOCK_STEP = 1000
const SHORTEST_SLICE = 60_000

const safe = (millis: number): number => Math.min(Math.ceil(millis), Number.MAX_SAFE_INTEGER)

/**
 * Follows a clock that was set back, as `quota/core/Ledger.ts` does: what was used in windows that have not begun
 * yet counts in the current ones, and what is held is held for as long as it would have been. Runs inside of a
 * write transaction, so that the processes on the file see it as a whole. Its statements are prepared when they are
 * needed, which is rarely.
 */
const rewind = (database: Database, mode: Window.Mode, now: number, byMs: number): void => {
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
    const window = Window.windowOf(String(quota), mode)
    const slice = Window.sliceAt(window, now)
    if (Number(used) > 0) {
      const from = slice * window.sliceMs
      add.run(String(key), String(quota), from, Window.sliceEnd(window, slice), Number(used))
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

/** Turns to a fresh page: the statements are prepared once, the pages are as many as transactions. */
export const make = (
  database: Database,
  { firstId, prefix }: Identity,
  mode: Window.Mode,
  /** The clock was set back by so many milliseconds. */
  setBack: (byMs: number) => void = () => {}
): ((clock: number, writes: boolean) => Page) => {
  const sql = {
    clock: prepare(database, "SELECT value FROM meta WHERE name = 'clock'"),
    setClock: prepare(database, "UPDATE meta SET value = CAST(? AS INTEGER) WHERE name = 'clock'"),
    due: prepare(
      database,
      `SELECT id, state, expires_at, charges FROM reservation
       WHERE state IN ('held', 'submitted') AND expires_at <= ? ORDER BY expires_at`
    ),
    reservation: prepare(
      database,
      "SELECT id, state, expires_at, charges FROM reservation WHERE id = ? AND resets_at > ?"
    ),
    counters: prepare(
      database,
      `SELECT quota, window_start, used, reserved FROM counter WHERE key = ? AND resets_at > ?
       ORDER BY quota, window_start`
    ),
    keys: prepare(
      database,
      "SELECT DISTINCT key FROM counter WHERE key > ? AND resets_at > ? ORDER BY key LIMIT ?"
    ),
    setCounter: prepare(
      database,
      "UPDATE counter SET used = ?, reserved = ? WHERE key = ? AND quota = ? AND window_start = ?"
    ),
    addCounter: prepare(
      database,
      "INSERT INTO counter (used, reserved, key, quota, window_start, resets_at) VALUES (?, ?, ?, ?, ?, ?)"
    ),
    setReservation: prepare(database, "UPDATE reservation SET state = ? WHERE id = ?"),
    addReservation: prepare(
      database,
      // A tombstone that is over and not yet pruned may be in the way.
      "INSERT OR REPLACE INTO reservation (id, state, expires_at, resets_at, charges) VALUES (?, ?, ?, ?, ?)"
    ),
    deleteReservation: prepare(database, "DELETE FROM reservation WHERE id = ?"),
    pruneReservations: prepare(
      database,
      `DELETE FROM reservation WHERE id IN
       (SELECT id FROM reservation WHERE resets_at <= ? LIMIT ${PRUNED_AT_ONCE})`
    ),
    pruneCounters: prepare(
      database,
      `DELETE FROM counter WHERE (key, quota, window_start) IN
       (SELECT key, quota, window_start FROM counter WHERE resets_at <= ? LIMIT ${PRUNED_AT_ONCE})`
    )
  }
  let last = Number.NEGATIVE_INFINITY
  // Ids go on from page to page; those of a page that was rolled back are never given out again.
  let nextId = firstId

  return (clock, writes) => {
    let stored = Number(rowOf(sql.clock.get())?.[0] ?? 0)
    // Another process may have reset the clock of the file already.
    if (writes && clock < last - Ledger.SET_BACK_MS) last = clock
    if (writes && clock < stored - Ledger.SET_BACK_MS) {
      rewind(database, mode, clock, stored - clock)
      setBack(stored - clock)
      stored = clock
    }
    last = Math.max(last, clock, stored)
    const now = last
    const ledger = Ledger.make<QuotaName>(prefix, mode)
    ledger.nextId = nextId
    ledger.last = now

    const keys = new Set<string>()
    /** Buckets as they are in the table. */
    const buckets = new Map<Window.Bucket, Saved>()
    /** Reservations as they are in the table. */
    const reservations = new Map<string, State | undefined>()

    const loadKey = (key: string): void => {
      if (keys.has(key)) return
      keys.add(key)
      for (const row of sql.counters.all(key, now)) {
        const [quota, start, used, reserved] = rowOf(row) ?? []
        // A quota of a later version may be in the table; it is none of ours.
        if (!isQuota(quota)) continue
        const counter = Ledger.counterOf(ledger, key, quota)
        const bucket = Window.bucketOf(counter, Window.sliceAt(counter.window, Number(start)))
        bucket.used = Number(used)
        bucket.reserved = Number(reserved)
        buckets.set(bucket, { used: bucket.used, reserved: bucket.reserved })
      }
    }

    const add = (row: unknown): void => {
      const [id, state, expires, charges] = rowOf(row) ?? []
      if (typeof id !== "string" || reservations.has(id) || !isState(state)) return
      reservations.set(id, state)
      const expiresAt = Number(expires)
      if (state === "finished") {
        ledger.foreign.set(id, expiresAt)
        return
      }
      const entries: Array<Ledger.Entry<QuotaName>> = []
      const parsed: unknown = JSON.parse(String(charges))
      for (const charge of Array.isArray(parsed) ? parsed : []) {
        const [key, quota, start, amount] = rowOf(charge) ?? []
        if (typeof key !== "string" || !isQuota(quota)) continue
        loadKey(key)
        const counter = Ledger.counterOf(ledger, key, quota)
        const slice = Window.sliceAt(counter.window, Number(start))
        entries.push({ key, counter, slice, amount: Number(amount) })
      }
      const reservation: Ledger.Reservation<QuotaName> = { entries, expiresAt, status: state }
      if (state === "held" || state === "submitted") ledger.open.set(id, reservation)
      else ledger.expired.set(id, reservation)
    }

    const stateOf = (id: string): State | undefined =>
      (ledger.open.get(id) ?? ledger.expired.get(id))?.status ??
      (ledger.foreign.has(id) ? "finished" : undefined)

    const saveBuckets = (): void => {
      for (const { counters, key } of ledger.accounts.values()) {
        for (const counter of counters) {
          for (const bucket of counter.buckets) {
            const { reserved, slice, used } = bucket
            const saved = buckets.get(bucket)
            if (
              saved === undefined
                ? used === 0 && reserved === 0
                : saved.used === used && saved.reserved === reserved
            ) {
              continue
            }
            const start = slice * counter.window.sliceMs
            if (saved !== undefined) sql.setCounter.run(used, reserved, key, counter.quota, start)
            else {
              const end = Window.sliceEnd(counter.window, slice)
              sql.addCounter.run(used, reserved, key, counter.quota, start, end)
            }
            buckets.set(bucket, { used, reserved })
          }
        }
      }
    }

    const insert = (id: string, { entries, expiresAt, status }: Ledger.Reservation<QuotaName>): void => {
      let end = 0
      const charges = entries.map(({ amount, counter, key, slice }) => {
        end = Math.max(end, Window.sliceEnd(counter.window, slice))
        return [key, counter.quota, slice * counter.window.sliceMs, amount]
      })
      sql.addReservation.run(id, status, safe(expiresAt), end, JSON.stringify(charges))
      reservations.set(id, status)
    }

    const saveReservations = (): void => {
      for (const [id, before] of reservations) {
        const state = stateOf(id)
        if (state === before) continue
        if (state === undefined) sql.deleteReservation.run(id)
        else sql.setReservation.run(state, id)
        reservations.set(id, state)
      }
      for (const table of [ledger.open, ledger.expired]) {
        for (const [id, reservation] of table) if (!reservations.has(id)) insert(id, reservation)
      }
      for (const [id, until] of ledger.foreign) {
        if (reservations.has(id)) continue
        sql.addReservation.run(id, "finished", until, until, "[]")
        reservations.set(id, "finished")
      }
    }

    const due = sql.due.all(now)
    for (const row of due) add(row)
    if (due.length > 0) ledger.nextExpiry = Number.NEGATIVE_INFINITY

    return {
      ledger,
      now,
      loadKey,
      loadReservation: (id) => {
        if (!reservations.has(id)) add(sql.reservation.get(id, now))
      },
      keysAfter: (cursor, size) =>
        sql.keys.all(cursor ?? "", now, size).map((row) => String(rowOf(row)?.[0])),
      prune: () => {
        sql.pruneReservations.run(now)
        sql.pruneCounters.run(now)
      },
      save: () => {
        if (!writes) return
        nextId = ledger.nextId
        saveBuckets()
        saveReservations()
        if (
          now - stored >= CLOCK_STEP ||
          Math.floor(now / SHORTEST_SLICE) !== Math.floor(stored / SHORTEST_SLICE)
        ) {
          sql.setClock.run(now)
          stored = now
        }
      }
    }
  }
}
