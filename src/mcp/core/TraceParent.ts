/**
 * The `traceparent` of W3C Trace Context, level 2: which span a caller was in, and whether it is recorded.
 *
 * ```
 *   00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
 *   version  trace                      span            flags (1: sampled)
 * ```
 *
 * What is not of this form is none. Of a later version the parts that are known count.
 *
 * @since 0.1.0
 */

export interface TraceParent {
  readonly traceId: string
  readonly spanId: string
  readonly sampled: boolean
}

const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[\x21-\x7e]*)?$/

/** Longer ones are ignored: a later version may add parts, of unknown number. */
const MAX_LENGTH = 256

const isZero = (id: string): boolean => /^0+$/.test(id)

export const parse = (value: unknown): TraceParent | undefined => {
  if (typeof value !== "string" || value.length > MAX_LENGTH) return undefined
  const [, version, traceId = "", spanId = "", flags = "", rest] = form.exec(value) ?? []
  if (version === undefined || version === "ff" || (version === "00" && rest !== undefined)) return undefined
  if (isZero(traceId) || isZero(spanId)) return undefined
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }
}
