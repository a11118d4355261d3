/**
 * What SQLite and the file system say, as errors that say what to do.
 */
import { QuotaStoreError } from "../../QuotaStore.js"

const BUSY = 5
const LOCKED = 6
/** Beyond SQLite's own. */
const NO_DIRECTORY = 256

/** SQLite's result codes, and what an operator can do about them. */
const advice: { readonly [code: number]: (path: string) => string } = {
  3: (path) => `no permission for ${path}; make the file and its directory writable for this user`,
  8: (path) =>
    `${path} is read-only; make the file and its directory writable, or choose another state directory`,
  10: (path) => `the disk of ${path} failed to read or write; check the disk and the system's log`,
  11: (path) =>
    `${path} is damaged; stop every server that uses it, move it away (a new one is made), restart`,
  13: (path) => `the disk of ${path} is full; free some space: nothing that was acknowledged is lost`,
  14: (path) => `${path} cannot be opened; check that its directory exists and is writable for this user`,
  [NO_DIRECTORY]: (path) =>
    `there is no directory for ${path}, and none can be made (is a part of its path a file?); name another ` +
    `one in SNOWGUARD_STATE_DIR`,
  26: (path) => `${path} is not a SQLite database; move it away, or choose another state directory`
}

/** What waiting never mends: the file, or the right to it, has to be put in order. */
const lasting: ReadonlySet<number> = new Set([3, 8, 11, 14, NO_DIRECTORY, 26])

/** Errors of the file system come without a code of SQLite's. */
const system: { readonly [code: string]: number } = {
  EACCES: 3,
  EPERM: 3,
  EROFS: 8,
  EIO: 10,
  ENOSPC: 13,
  EDQUOT: 13,
  ENOENT: NO_DIRECTORY,
  ENOTDIR: NO_DIRECTORY,
  EEXIST: NO_DIRECTORY
}

const codeOf = (cause: unknown): number => {
  if (typeof cause !== "object" || cause === null) return 0
  // The low byte is the result code, the rest of it only details.
  if ("errcode" in cause && typeof cause.errcode === "number") return cause.errcode & 0xff
  if ("code" in cause && typeof cause.code === "string") return system[cause.code] ?? 0
  return 0
}

/** Another connection holds the lock, for now. */
export const isBusy = (cause: unknown): boolean => {
  const code = codeOf(cause)
  return code === BUSY || code === LOCKED
}

export const locked = (operation: string, path: string, waitedMs: number): QuotaStoreError =>
  new QuotaStoreError({
    operation,
    description:
      `${path} has been locked by another process for ${waitedMs} ms; try again, and if it goes on, ` +
      `look for a stopped server or an open SQLite shell`,
    retryAfterMs: waitedMs
  })

export const failed = (operation: string, description: string, cause?: unknown): QuotaStoreError =>
  new QuotaStoreError({ operation, description, ...(cause === undefined ? {} : { cause }) })

/** The file is where processes cannot share memory. */
export const remote = (path: string, what: string): QuotaStoreError =>
  failed(
    "open",
    `${path} is on a file system that processes cannot share (${what}); choose a state directory on a ` +
      `local disk`
  )

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

/** Whatever was thrown. */
export const fromCause = (operation: string, path: string, cause: unknown): QuotaStoreError =>
  cause instanceof QuotaStoreError
    ? cause
    : new QuotaStoreError({
        operation,
        description: advice[codeOf(cause)]?.(path) ?? `${path}: ${messageOf(cause)}`,
        ...(lasting.has(codeOf(cause)) ? { lasting: true } : {}),
        cause
      })

/** For what may fail without harm, and is done again later. */
export const ignore = (f: () => void): void => {
  try {
    f()
  } catch {
    // As said.
  }
}
