/**
 * The little of `node:sqlite` that the store needs, and the package it comes from. Another driver with
 * the same calls (a later Node's own) fits in here and nowhere else.
 *
 * @since 0.1.0
 */

/** What can be bound or read. */
export type Value = string | number | null

export interface Statement {
  readonly run: (...values: ReadonlyArray<Value>) => unknown
  /** A row as an array, or undefined. */
  readonly get: (...values: ReadonlyArray<Value>) => unknown
  readonly all: (...values: ReadonlyArray<Value>) => ReadonlyArray<unknown>
  readonly setReturnArrays: (enabled: boolean) => void
}

/** The part of `DatabaseSync` that is used. */
export interface Database {
  readonly exec: (sql: string) => void
  readonly prepare: (sql: string) => Statement
  readonly close: () => void
}

/** Opens, or creates, a database; throws what the driver throws. */
export type Open = (path: string) => Database

/** The driver is a native module: loaded when a store is made, not when this file is. */
export const load = async (): Promise<Open> => {
  const { DatabaseSync } = await import("@photostructure/sqlite")
  // No busy timeout: SQLite's own waiting is unfair and stops the event loop.
  return (path) => new DatabaseSync(path, { timeout: 0 })
}

/** Rows are read as arrays: half the cost of objects. */
export const prepare = (database: Database, sql: string): Statement => {
  const statement = database.prepare(sql)
  statement.setReturnArrays(true)
  return statement
}

/** A row, or undefined. */
export const rowOf = (row: unknown): ReadonlyArray<unknown> | undefined =>
  Array.isArray(row) ? row : undefined

/** The first column of the first row. */
export const valueOf = (database: Database, sql: string): unknown => rowOf(prepare(database, sql).get())?.[0]

// WAL files could be corrupted by two processes before this (sqlite.org/wal.html#walresetbug).
const OLDEST = [3, 51, 3] as const

/** May a SQLite of this version share a file in WAL mode? */
export const isSafe = (version: string): boolean => {
  const parts = version.split(".").map(Number)
  for (const [i, oldest] of OLDEST.entries()) {
    const part = parts[i] ?? 0
    if (part !== oldest) return part > oldest
  }
  return true
}
