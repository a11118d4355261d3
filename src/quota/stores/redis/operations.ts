/** What each step of the script (`scripts.ts`) is told, and what its answer means. */
import * as Window from "../../core/Window.js"
import type { Actual, Charge, Decision, QuotaName, Usage } from "../../QuotaStore.js"
import * as Bytes from "./bytes.js"
import * as Codec from "./codec.js"
import { Op } from "./scripts.js"

/** One step, in a script with others. */
export interface Operation<A> {
  /** The scope keys whose counters it needs. */
  readonly keys: ReadonlyArray<string>
  /** `numberOf` a key: where it is among the keys of the script. */
  readonly encode: (to: Bytes.Writer, numberOf: (key: string) => number) => void
  /** Reads exactly its own answer, at once; `sent` is what was sent, and soon used for something else. */
  readonly decode: (from: Bytes.Reader, now: number, sent: Bytes.Writer) => A
}

const CHARGE_BYTES = 19
const POST_PAID = 128
const ENTRY_BYTES = 11
const HEAD_BYTES = 64

const distinct = (charges: ReadonlyArray<{ readonly key: string }>): ReadonlyArray<string> => {
  const keys: Array<string> = []
  for (const { key } of charges) if (!keys.includes(key)) keys.push(key)
  return keys
}

/** `server` and `serial` are one of a kind together: no two reservations are the same. */
export const reserve = (
  charges: ReadonlyArray<Charge>,
  ttlMs: number | undefined,
  mode: Window.Mode,
  server: number,
  serial: number
): Operation<Decision> => {
  const keys = distinct(charges)
  let start = 0
  let stop = 0
  return {
    keys,
    encode: (to, numberOf) => {
      const names = keys.map(Codec.tagOf)
      let size = HEAD_BYTES + charges.length * (CHARGE_BYTES + ENTRY_BYTES)
      for (const name of names) size += 2 + 3 * name.length
      Bytes.room(to, size)
      Bytes.byte(to, ttlMs === undefined ? Op.check : Op.reserve)
      Bytes.double(to, ttlMs ?? 0)
      Bytes.short(to, charges.length)
      for (const { amount, key, limit, postPaid, quota } of charges) {
        Bytes.short(to, numberOf(key))
        Bytes.byte(to, Codec.codeOf(quota) + (postPaid === true ? POST_PAID : 0))
        Bytes.double(to, Math.max(0, amount))
        Bytes.double(to, limit)
      }
      if (ttlMs === undefined) return Bytes.short(to, 0)
      const length = to.at
      to.at += 2
      start = to.at
      Bytes.double(to, 0)
      Bytes.double(to, server)
      Bytes.double(to, serial)
      const before = to.at
      to.at += 2
      for (const name of names) Bytes.text(to, name)
      Bytes.lengthAt(to, before)
      Bytes.short(to, charges.length)
      for (const { amount, key, quota } of charges) {
        Bytes.short(to, keys.indexOf(key) + 1)
        Bytes.byte(to, Codec.codeOf(quota))
        Bytes.double(to, Math.max(0, amount))
      }
      Bytes.lengthAt(to, length)
      stop = to.at
    },
    decode: (from, now, sent) => {
      if (Bytes.next(from) === 1) {
        const usage = charges.map(({ key, limit, quota }) => {
          const used = Bytes.next(from)
          const reserved = Bytes.next(from)
          const window = Window.windowOf(quota, mode)
          const resetAt = Window.sliceEnd(window, Window.sliceAt(window, now))
          return { key, quota, used, reserved, resetAt, limit }
        })
        if (ttlMs === undefined) return { _tag: "Granted", reservation: "", usage }
        sent.view.setFloat64(start, now, true)
        return { _tag: "Granted", reservation: Codec.idOf(sent.bytes, start, stop), usage }
      }
      const charge = charges[Bytes.next(from)]
      if (charge === undefined) throw new Error("a refusal that names no charge")
      const { key, limit, quota } = charge
      const used = Bytes.next(from)
      const reserved = Bytes.next(from)
      return { _tag: "Refused", key, quota, limit, used, reserved, resetAt: Bytes.next(from) }
    }
  }
}

/** Answers whether the reservation, or that it was finished, was known. */
export const finish = (
  op: "submitted" | "settle" | "release",
  { keys: own, record }: Codec.Part,
  actual: ReadonlyArray<Actual>
): Operation<boolean> => ({
  keys: actual.length === 0 ? own : distinct([...own.map((key) => ({ key })), ...actual]),
  encode: (to, numberOf) => {
    Bytes.room(to, HEAD_BYTES + record.length + 2 * own.length + ENTRY_BYTES * actual.length)
    Bytes.byte(to, Op[op])
    Bytes.short(to, record.length)
    Bytes.raw(to, record)
    Bytes.short(to, own.length)
    for (const key of own) Bytes.short(to, numberOf(key))
    Bytes.short(to, actual.length)
    for (const { amount, key, quota } of actual) {
      Bytes.short(to, numberOf(key))
      Bytes.byte(to, Codec.codeOf(quota))
      Bytes.double(to, amount)
    }
  },
  decode: (from) => Bytes.next(from) === 1
})

export const usage = (key: string): Operation<ReadonlyArray<Usage>> => ({
  keys: [key],
  encode: (to, numberOf) => {
    Bytes.room(to, HEAD_BYTES)
    Bytes.byte(to, Op.usage)
    Bytes.short(to, numberOf(key))
  },
  decode: (from) => {
    const found: Array<Usage> = []
    for (let left = Bytes.next(from); left > 0; left--) {
      const quota = Codec.quotaOf(Bytes.next(from))
      const used = Bytes.next(from)
      const reserved = Bytes.next(from)
      const resetAt = Bytes.next(from)
      if (quota !== undefined) found.push({ key, quota, used, reserved, resetAt })
    }
    return found.sort((a, b) => (a.quota < b.quota ? -1 : 1))
  }
})

export const reset = (key: string, quota: QuotaName | undefined): Operation<void> => ({
  keys: [key],
  encode: (to, numberOf) => {
    Bytes.room(to, HEAD_BYTES)
    Bytes.byte(to, Op.reset)
    Bytes.short(to, numberOf(key))
    Bytes.byte(to, quota === undefined ? 0 : Codec.codeOf(quota))
  },
  decode: (from) => void Bytes.next(from)
})
