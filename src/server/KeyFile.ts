/**
 * A key in a file of the state directory, made once, for its owner alone.
 *
 * The file is written beside its place and linked into it: of several processes that start at once one wins,
 * the others read what it wrote, and a key is never seen in part.
 */
import * as Effect from "effect/Effect"
import { readFileSync, statSync } from "node:fs"
import { link, open, rm } from "node:fs/promises"
import * as Directories from "../platform/directories.js"
import { codeOf, reasonOf } from "../platform/fileReasons.js"
import * as OtherWriters from "../platform/otherWriters.js"

/** Tells that others than the owner can read the file of a key. */
export const warnIfExposed = (path: string, what: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0
    return process.platform !== "win32" && (mode & 0o077) !== 0
      ? Effect.annotateLogs(
          Effect.logWarning(`others can read the file of ${what}: chmod 600, and change the key`),
          { path }
        )
      : Effect.void
  })

/** The text of the file, if there is one. Without waiting: this is on the way of every start. */
const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8")
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined
    throw cause
  }
}

/** Makes the file, unless another process does. */
const make = async (path: string, directory: string): Promise<void> => {
  const { randomBytes } = await import("node:crypto")
  Directories.make(directory)
  const aside = `${path}.${randomBytes(6).toString("hex")}.new`
  try {
    const file = await open(aside, "wx", 0o600)
    try {
      await file.writeFile(`${randomBytes(32).toString("base64")}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await link(aside, path).catch((cause: unknown) => {
      if (codeOf(cause) !== "EEXIST") throw cause
    })
  } finally {
    await rm(aside, { force: true })
  }
}

/** The text of the file, which is made where there is none. Fails with what is wrong with it. */
export const readOrMake = (path: string, directory: string): Effect.Effect<string, string> =>
  Effect.suspend(() => {
    const problem = OtherWriters.problem(path)
    return problem === undefined ? readOrMakeOwn(path, directory) : Effect.fail(problem)
  })

const readOrMakeOwn = (path: string, directory: string): Effect.Effect<string, string> => {
  const found = Effect.try({ try: () => read(path), catch: reasonOf })
  return Effect.flatMap(found, (text) =>
    text !== undefined
      ? Effect.succeed(text)
      : Effect.zipRight(
          // A start that fails for another reason ends the process, and must not leave half of it behind.
          Effect.uninterruptible(Effect.tryPromise({ try: () => make(path, directory), catch: reasonOf })),
          Effect.map(found, (made) => made ?? "")
        )
  )
}
