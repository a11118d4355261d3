/**
 * Credentials that were proven or refused a short while ago, by a keyed digest of theirs: the credential
 * itself is nowhere kept, and looking one up tells nobody how close a guess was.
 *
 * Bounded: what was used longest ago is forgotten first, and costs one more verification.
 *
 * @since 0.1.0
 */
import { createHmac, randomBytes } from "node:crypto"
import * as Lru from "../../platform/core/Lru.js"

export interface Proven<A> {
  readonly get: (credential: string) => A | undefined
  readonly set: (credential: string, value: A) => void
  readonly size: () => number
}

export const make = <A>(maxEntries: number): Proven<A> => {
  const secret = randomBytes(32)
  const digest = (credential: string): string =>
    createHmac("sha256", secret).update(credential).digest("base64")
  const table = Lru.make<A>({ maxEntries, maxBytes: maxEntries })
  return {
    get: (credential) => Lru.get(table, digest(credential)),
    set: (credential, value) => void Lru.set(table, digest(credential), value, 1),
    size: () => Lru.size(table)
  }
}
