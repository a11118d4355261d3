/** Directories for what must survive a restart. */
import { mkdirSync, statSync } from "node:fs"
import { dirname } from "node:path"
import { codeOf } from "./fileReasons.js"

/** What cannot be looked at is none. */
const isDirectory = (path: string): boolean => {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

/**
 * Makes the directory and those above it, for their owner alone; throws as `node:fs` does.
 *
 * Node's own `recursive` never comes back where the system says that there is no such directory to make
 * one in (`/proc`), and says the same of a file system that is read-only.
 */
export const make = (path: string): void => {
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (cause) {
    const code = codeOf(cause)
    if (code === "ENOENT" && dirname(path) !== path && !isDirectory(dirname(path))) {
      make(dirname(path))
      make(path)
    } else if (!isDirectory(path)) throw cause
  }
}
