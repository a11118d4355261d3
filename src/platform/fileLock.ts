/**
 * A lock between processes for some milliseconds of work on files: the process that has made `PATH` holds it.
 *
 * A process that ended with it leaves it behind, so one that is older than {@link STALE_MS} is taken over. Ages are
 * told by the file system's clock alone. The holder asks {@link FileLock.isHeld} before each step that does
 * harm when two do it, so one that slept too long stops; the lock makes that improbable, not impossible, and
 * nothing may depend on more.
 */
import { randomUUID } from "node:crypto"
import type { BigIntStats } from "node:fs"
import { open, rm, stat } from "node:fs/promises"
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

/** The inode of a removed file is soon given to another one; a lock is written once, so its time tells them apart. */
const isSame = (a: BigIntStats | undefined, b: BigIntStats): boolean =>
  a?.ino === b.ino && a.mtimeNs === b.mtimeNs

const held = (path: string, about: BigIntStats): FileLock => {
  const isHeld = async () => isSame(await statOf(path), about)
  return {
    isHeld,
    release: async () => {
      if (await isHeld()) await rm(path, { force: true }).catch(() => {})
    }
  }
}

/** A claim is left behind only by a process that ended within the milliseconds of a take-over. */
const dropStale = async (claim: string, staleMs: number): Promise<void> => {
  const left = await statOf(claim)
  const spare = `${claim}.${randomUUID()}`
  const now = await create(spare)
  await rm(spare, { force: true })
  if (left !== undefined && now !== undefined && Number(now.mtimeMs - left.mtimeMs) >= staleMs) {
    await rm(claim, { force: true })
  }
}

/**
 * Does not wait. Undefined: another process holds it.
 *
 * A stale lock is removed by the process alone that has made a claim named after that very lock: a process that was
 * slower finds another lock, or none, under the name.
 */
export const acquire = async (path: string, staleMs = STALE_MS): Promise<FileLock | undefined> => {
  const made = await create(path)
  if (made !== undefined) return held(path, made)
  const theirs = await statOf(path)
  if (theirs === undefined) return undefined
  const claim = `${path}.${theirs.ino}.${theirs.mtimeNs}`
  const claimed = await create(claim)
  if (claimed === undefined) {
    await dropStale(claim, staleMs)
    return undefined
  }
  try {
    if (Number(claimed.mtimeMs - theirs.mtimeMs) < staleMs || !isSame(await statOf(path), theirs)) {
      return undefined
    }
    await rm(path, { force: true })
    const taken = await create(path)
    return taken === undefined ? undefined : held(path, taken)
  } finally {
    await rm(claim, { force: true })
  }
}
