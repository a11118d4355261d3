/** What the file system says, in words for the operator. */
import * as Predicate from "effect/Predicate"

export const codeOf = (cause: unknown): string =>
  Predicate.hasProperty(cause, "code") ? String(cause.code) : "unknown error"

const reasons: { readonly [code: string]: string } = {
  ENOENT: "there is no such file",
  ENOTDIR: "a part of the path is a file",
  EISDIR: "it is a directory",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full"
}

/** The code where there are no words for it. */
export const reasonOf = (cause: unknown): string => {
  const code = codeOf(cause)
  return reasons[code] ?? code
}
