/**
 * The database's files on the disk. Nothing here opens a database file that exists: closing it again
 * would drop the locks this process holds on it (POSIX locks belong to the process, not to the handle).
 *
 * @since 0.1.0
 */
import { closeSync, openSync, statfsSync, statSync } from "node:fs"
import { dirname } from "node:path"
import * as Directories from "../../../platform/directories.js"

const isExisting = (cause: unknown): boolean =>
  typeof cause === "object" && cause !== null && "code" in cause && cause.code === "EEXIST"

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

/** File systems of other machines, by the number Linux gives them. What nobody can tell counts as local. */
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
 * as nobody on another machine opens it.
 */
export const networkFileSystem = (path: string): string | undefined =>
  process.platform === "linux" ? remoteName(statfsSync(path).type) : undefined
