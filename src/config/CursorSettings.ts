/**
 * The settings of the cursors that `get_query_results` reads on with.
 *
 * @since 0.1.0
 */
import { path, secret } from "./Setting.js"

/**
 * @since 0.1.0
 * @category constants
 */
export const cursorKeys = {
  cursor_key: secret({
    // 43 characters of base64 are 32 bytes; what else makes a key is judged where it is used.
    pattern: /^[\s,]*[\w+/=-]{43,512}([\s,]+[\w+/=-]{43,512}){0,9}[\s,]*$/,
    expected:
      "one key or several, separated by commas or spaces, each of 43 characters or more as " +
      "`openssl rand -base64 32` prints them",
    about:
      "what the cursors of `get_query_results` are signed with; the first key signs, all are accepted, so that a " +
      "key can be replaced. Servers with the same key take each other's cursors: with `snowflake` any of them " +
      "then gives the rows, if it logs in with the same user and role; the embedded warehouse keeps results in " +
      "its own process, and another one says that they are gone. Not set, with `quota_store.kind` `sqlite`: a key " +
      "made once in the state directory; with `redis` or `memory`: one of each process"
  }),
  cursor_key_file: path({
    about: "file with the same, read at the start; in place of `results.cursor_key`"
  })
} as const
