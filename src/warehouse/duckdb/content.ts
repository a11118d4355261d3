/**
 * Reads a file of the user's own, unpacked where it is a `.gz`. A read error is one of the loop that reads it, also
 * where it is the packed file's; the file is closed however the loop ends.
 *
 * @since 0.1.0
 */
import { createReadStream } from "node:fs"
import { createInterface } from "node:readline"
import type { Readable } from "node:stream"
import { pipeline } from "node:stream"
import { createGunzip } from "node:zlib"

/**
 * Its bytes, of the packed file up to `end`.
 *
 * @since 0.1.0
 * @category reading
 */
export const contentOf = (path: string, end = Number.POSITIVE_INFINITY): Readable => {
  const file = createReadStream(path, { end })
  // The loop has the error.
  return /\.gz$/i.test(path) ? pipeline(file, createGunzip(), () => undefined) : file
}

/**
 * @since 0.1.0
 * @category reading
 */
export async function* linesOf(path: string): AsyncGenerator<string> {
  const input = contentOf(path)
  try {
    yield* createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })
  } finally {
    input.destroy()
  }
}
