/**
 * Addresses of chunks that cannot be forged: signed, valid for a while, and useless without the header
 * that came with the result.
 */
import { createHmac, timingSafeEqual } from "node:crypto"

const header = "x-amz-server-side-encryption-customer-key"

/** Snowflake's are valid for six hours. */
const validMs = 6 * 3_600_000

export interface ChunkUrls {
  readonly headers: Readonly<Record<string, string>>
  readonly sign: (origin: string, queryId: string, index: number, nowMs: number) => string
  /** Whether this request may read the chunk. */
  readonly verify: (
    url: URL,
    headers: Readonly<Record<string, unknown>>,
    queryId: string,
    index: number,
    nowMs: number
  ) => boolean
}

export const make = (secret: string): ChunkUrls => {
  const hmac = (text: string) => createHmac("sha256", secret).update(text).digest("hex")
  const key = hmac("key").slice(0, 32)
  const signature = (queryId: string, index: number, expires: string) =>
    hmac(`${queryId}/${index}/${expires}`)
  return {
    headers: { [header]: key },
    sign: (origin, queryId, index, nowMs) => {
      const expires = String(nowMs + validMs)
      const query = new URLSearchParams({ Expires: expires, Signature: signature(queryId, index, expires) })
      return `${origin}/chunks/${queryId}/${index}?${query}`
    },
    verify: (url, headers, queryId, index, nowMs) => {
      const expires = url.searchParams.get("Expires") ?? ""
      const given = Buffer.from(url.searchParams.get("Signature") ?? "")
      const expected = Buffer.from(signature(queryId, index, expires))
      return (
        headers[header] === key &&
        given.length === expected.length &&
        timingSafeEqual(given, expected) &&
        nowMs < Number(expires)
      )
    }
  }
}
