import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { readFile } from "node:fs/promises"
import { reasonOf } from "./fileReasons.js"

/** A secret in a file, without the line end that the file ends with. Fails with what an operator is told. */
export const secretFile = (path: string): Effect.Effect<Redacted.Redacted<string>, string> =>
  Effect.tryPromise({
    try: () => readFile(path, "utf8").then((text) => Redacted.make(text.trimEnd())),
    catch: (cause) => `${path} cannot be read: ${reasonOf(cause)}`
  })
