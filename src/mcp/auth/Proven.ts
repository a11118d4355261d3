/**
 * Recently verified credentials, valid or not, by their keyed digest: the credential itself is not kept, and the time
 * of a look-up tells nothing about how close a guess was.
 *
 * Bounded: the least recently used is forgotten first, and costs one more verification.
 *
 * @since 0.1.0
 */
import { hash, randomBytes } from "node:crypto"
import * as Lru from "../../platform/core/Lru.js"

export interface Proven<A> {
  readonly get: (credential: string) => A | undefined
  readonly set: (credential: string, value: A) => void
  readonly size: () => number
}

export const make = <A>(maxEntries: number): Proven<A> => {
  // It stands first and has a fixed length, so that no two credentials are hashed as one text.
  const secret = randomBytes(32).toString("hex")
  const digest = (credential: string): string => hash("sha256", secret + credential, "base64")
  const table = Lru.make<A>({ maxEntries, maxBytes: maxEntries })
  return {
    get: (credential) => Lru.get(table, digest(credential)),
    set: (credential, value) => void Lru.set(table, digest(credential), value, 1),
    size: () => Lru.size(table)
  }
}
