/**
 * Which other users of this machine could change a file that is trusted: keys that let clients in,
 * keys that sign. Like sshd for its files, this asks whose the file and its directory are.
 */
import { realpathSync, statSync } from "node:fs"
import { dirname } from "node:path"

/** As `id -u`; undefined where there is no such thing. */
const self = (): number | undefined => process.getuid?.()

const octal = (mode: number): string => `0${(mode & 0o7777).toString(8)}`

const STICKY = 0o1000
const ALL_WRITE = 0o002
const GROUP_WRITE = 0o020

/** For a shell. */
const word = (path: string): string =>
  /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`

const found = (path: string) => {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch {
    // What may not be looked at cannot be read either, and reading it reports that.
    return undefined
  }
}

const real = (path: string): string => {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

/** The file, where it is a link the file behind it, and the directories of both: in these it can be replaced. */
const places = (path: string): ReadonlyArray<string> => {
  const target = real(path)
  return [...new Set([target, dirname(path), dirname(target)])]
}

/**
 * Why what is in the file may not be believed, and the command that mends it. A file that is missing is
 * told of by its directory alone.
 */
export const problem = (path: string, uid: number | undefined = self()): string | undefined => {
  if (uid === undefined) return undefined
  for (const place of places(path)) {
    const stats = found(place)
    if (stats === undefined) continue
    if (stats.uid !== uid && stats.uid !== 0) {
      return (
        `${place} belongs to another user (uid ${stats.uid}), which could change it; ` +
        `look at what is in it, then run: chown ${uid} ${word(place)}`
      )
    }
    // In a sticky directory users cannot remove files of others.
    const replaceable =
      (stats.mode & ALL_WRITE) !== 0 && !(stats.isDirectory() && (stats.mode & STICKY) !== 0)
    if (replaceable) {
      return (
        `all users of this machine can write to ${place} (mode ${octal(stats.mode)}); ` +
        `look at what is in it, then run: chmod ${stats.isDirectory() ? "700" : "600"} ${word(place)}`
      )
    }
  }
  return undefined
}

/** What a group may write may be meant so; it is worth a warning. */
export const doubt = (path: string): string | undefined => {
  if (self() === undefined) return undefined
  for (const place of places(path)) {
    const stats = found(place)
    if (stats === undefined || (stats.mode & GROUP_WRITE) === 0) continue
    if (stats.isDirectory() && (stats.mode & STICKY) !== 0) continue
    return `the group ${stats.gid} can write to ${place} (mode ${octal(stats.mode)}); if it should not, run: chmod g-w ${word(place)}`
  }
  return undefined
}
