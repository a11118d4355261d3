/**
 * Statements that are not translated, because a part of them would not have Snowflake's meaning: nothing of them runs.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Library from "./library.js"
import type { Written } from "./library.js"

/** Ends a translation, from the writer that finds the part up to {@link unlessRefused}. `sql` is an error with the reason. */
class Refused {
  constructor(readonly sql: string) {}
}

/** Refuses the statement; the message is for its author. */
export const refuse = (message: string): never => {
  throw new Refused(Library.refusal(message))
}

/** What the library wrote; where that is an error, the statement is refused. */
export const accepted = (written: Written): Written => {
  if (written.sql.startsWith("sgj_refuse(")) throw new Refused(written.sql)
  return written
}

/** What a translation makes, or the expression that is the error of the first part that is refused. */
export const unlessRefused = (translate: () => string): Either.Either<string, string> => {
  try {
    return Either.right(translate())
  } catch (thrown) {
    if (thrown instanceof Refused) return Either.left(thrown.sql)
    throw thrown
  }
}
