/**
 * The database's files on the disk. Nothing here opens a database file that exists: closing it again
 * would drop the locks this process holds on it (POSIX locks belong to the process, not to the handle).
 *
 * @since 0.1.0
 */
import { closeSync, mkdirSync, openSync, statSync } from "node:fs"
import { dirname } from "node:path"

const isExisting = (cause: unknown): boolean =>
  typeof cause === "object" && cause !== null && "code" in cause && cause.code === "EEXIST"

/** Makes the file, for its owner alone, if there is none; SQLite gives its other files the same mode. */
export const create = (path: string): void => {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
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
