/**
 * The database: the little of `node:sqlite` that the store needs, the package it comes from, and the files on the
 * disk. Another driver with the same calls (a later Node's own) fits in here and nowhere else.
 *
 * Nothing but the driver opens a database file that exists: closing it again would drop the locks this process
 * holds on it (POSIX locks belong to the process, not to the handle).
 */
import * as Predicate from "effect/Predicate"
import { closeSync, openSync, statfsSync, statSync } from "node:fs"
import { dirname } from "node:path"
import * as Directories from "../../../platform/directories.js"

/** What can be bound or read. */
type Value = string | number | null

interface Statement {
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
type Open = (path: string) => Database

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

const isExisting = (cause: unknown): boolean =>
  Predicate.hasProperty(cause, "code") && cause.code === "EEXIST"

/** Makes the file, for its owner alone, if there is none; SQLite gives its other files the same mode. */
export const create = (path: string): void => {
  Directories.make(dirname(path))
  try {
    closeSync(openSync(path, "wx", 0o600))
  } catch (cause) {
    if (!isExisting(cause)) throw cause
  }
}

/** Tells one file from another of the same name; undefined when there is none. */
export const identity = (path: string): string | undefined => {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false })
  return stats === undefined ? undefined : `${stats.dev}:${stats.ino}`
}

/** Bytes of the write-ahead log. */
export const walSize = (path: string): number => statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0

/** File systems of other machines, by the number Linux gives them. An unknown number counts as local. */
const remote: { readonly [magic: number]: string } = {
  0x6969: "NFS",
  0x517b: "SMB",
  0xff534d42: "CIFS",
  0xfe534d42: "SMB",
  0x5346414f: "AFS",
  0x00c36400: "Ceph",
  0x0bd00bd0: "Lustre",
  0x47504653: "GPFS"
}

export const remoteName = (type: number): string | undefined => remote[type >>> 0]

/**
 * The name of the network file system that a path is on. SQLite does not notice: on NFS a WAL works, as long
 * as no other machine opens it.
 */
export const networkFileSystem = (path: string): string | undefined =>
  process.platform === "linux" ? remoteName(statfsSync(path).type) : undefined
