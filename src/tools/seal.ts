/**
 * Signs what a client is handed and must hand back as it was. A module of its own: node's cryptography takes
 * milliseconds to load, and nothing before the first cursor needs it.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto"

export interface Seal {
  readonly sign: (text: string) => string
  /** Whether any of the keys has signed the text. */
  readonly holds: (text: string, signature: string) => boolean
}

/** The first key signs, all are believed; a random one when there are none. */
export const make = (keys: ReadonlyArray<Uint8Array>): Seal => {
  const accepted = keys.length === 0 ? [randomBytes(32)] : keys
  const [signing = randomBytes(32)] = accepted
  const mac = (key: Uint8Array, text: string): Buffer => createHmac("sha256", key).update(text).digest()
  return {
    sign: (text) => mac(signing, text).toString("base64url"),
    holds: (text, signature) => {
      const given = Buffer.from(signature, "base64url")
      return accepted.some((key) => {
        const expected = mac(key, text)
        return given.length === expected.length && timingSafeEqual(given, expected)
      })
    }
  }
}
