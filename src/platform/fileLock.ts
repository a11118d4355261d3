/**
 * A lock between processes for some milliseconds of work on files: who has made `PATH` holds it.
 *
 * A process that ended with it leaves it behind, so what is older than {@link STALE_MS} is taken over. Ages are
 * told by the file system's clock alone. The holder asks {@link FileLock.isHeld} before each step that does
 * harm when two do it, so one that slept too long stops; the lock makes that improbable, not impossible, and
 * nothing may depend on more.
 */
import { randomUUID } from "node:crypto"
import { open, rename, rm, stat } from "node:fs/promises"
import { codeOf } from "./fileReasons.js"

export interface FileLock {
  readonly isHeld: () => Promise<boolean>
  /** Never rejects. */
  readonly release: () => Promise<void>
}

const STALE_MS = 30_000

/** Makes a file that was not there. Undefined: it was. */
const create = async (path: string) => {
  try {
    const file = await open(path, "wx", 0o600)
    try {
      return await file.stat({ bigint: true })
    } finally {
      await file.close()
    }
  } catch (cause) {
    if (codeOf(cause) === "EEXIST") return undefined
    throw cause
  }
}

const statOf = (path: string) => stat(path, { bigint: true }).catch(() => undefined)

const held = (path: string, ino: bigint): FileLock => {
  const isHeld = async () => (await statOf(path))?.ino === ino
  return {
    isHeld,
    release: async () => {
      if (await isHeld()) await rm(path, { force: true }).catch(() => {})
    }
  }
}

/** Does not wait. Undefined: somebody else holds it. */
export const acquire = async (path: string): Promise<FileLock | undefined> => {
  const made = await create(path)
  if (made !== undefined) return held(path, made.ino)
  const theirs = await statOf(path)
  if (theirs === undefined) return undefined
  const spare = `${path}.${randomUUID()}`
  const ours = await create(spare)
  if (ours === undefined) return undefined
  try {
    if (Number(ours.mtimeMs - theirs.mtimeMs) < STALE_MS) return undefined
    // Of several that take it over at once the last one has it.
    await rename(spare, path)
    return held(path, ours.ino)
  } finally {
    await rm(spare, { force: true })
  }
}
