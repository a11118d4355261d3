/**
 * How quotas are named in Redis, where their names would be repeated a million times; and the ids of
 * reservations, which say where a reservation is.
 */
import { createHash } from "node:crypto"
import { QuotaName } from "../../QuotaStore.js"

/** Below 64: counted by the hour. From 64 on: by the day. Never used for anything else again. */
const codes: { readonly [Q in QuotaName]: number } = {
  requests_per_hour: 1,
  queries_per_hour: 2,
  credits_per_hour: 3,
  requests_per_day: 64,
  queries_per_day: 65,
  bytes_per_day: 66,
  scan_bytes_per_day: 67,
  statement_seconds_per_day: 68,
  credits_per_day: 69
}
const names = new Map(QuotaName.literals.map((name) => [codes[name], name]))

export const codeOf = (quota: QuotaName): number => codes[quota]
/** A quota of a later version has a code that is unknown here. */
export const quotaOf = (code: number): QuotaName | undefined => names.get(code)

/** A client may be called anything; braces would cut its hash tag short. */
export const tagOf = (key: string): string =>
  /[%{}]/.test(key) ? key.replace(/[%{}]/g, (character) => encodeURIComponent(character)) : key
const keyOf = (tag: string): string =>
  tag.includes("%") ? decodeURIComponent(tag.replace(/%(?!25|7B|7D)/g, "%25")) : tag

/** The Redis key with the counters of a scope key. */
export const countersOf = (prefix: string, key: string): string => `${prefix}q:{${tagOf(key)}}`

/** What knows the reservations of a group of scope keys: all, or in a cluster those of one hash tag. */
export const journalOf = (
  prefix: string,
  group: string | undefined
): readonly [meta: string, journal: string] =>
  group === undefined
    ? [`${prefix}meta`, `${prefix}journal`]
    : [`${prefix}m:{${tagOf(group)}}`, `${prefix}r:{${tagOf(group)}}`]

/** The scope key of a Redis key with counters. */
export const scopeKeyOf = (prefix: string, redisKey: string): string =>
  keyOf(redisKey.slice(prefix.length + 3, -1))

/** A reservation over the keys of one group, as it is remembered in Redis (`scripts.ts`). */
export interface Part {
  readonly record: Buffer
  readonly keys: ReadonlyArray<string>
}

const VERSION = "r2:"
const NAMES_AT = 26

/** The id of the reservation whose record is there. */
export const idOf = (bytes: Buffer, start = 0, stop = bytes.length): string =>
  VERSION + bytes.toString("base64url", start, stop)

/** One id for reservations in several groups. */
export const joined = (ids: ReadonlyArray<string>): string => ids.join("|")

const ENTRY_BYTES = 11

const decodePart = (text: string): Part | undefined => {
  if (!text.startsWith(VERSION)) return undefined
  const record = Buffer.from(text.slice(VERSION.length), "base64url")
  if (record.length < NAMES_AT + 2) return undefined
  const stop = NAMES_AT + record.readUInt16LE(NAMES_AT - 2)
  if (stop + 2 > record.length) return undefined
  const keys: Array<string> = []
  let at = NAMES_AT
  while (at + 2 <= stop) {
    const next = at + 2 + record.readUInt16LE(at)
    keys.push(keyOf(record.toString("utf8", at + 2, next)))
    at = next
  }
  const entries = record.readUInt16LE(stop)
  if (at !== stop || keys.length === 0 || record.length !== stop + 2 + entries * ENTRY_BYTES) return undefined
  for (let i = 0; i < entries; i++) {
    const key = record.readUInt16LE(stop + 2 + i * ENTRY_BYTES)
    if (key < 1 || key > keys.length) return undefined
  }
  return { record, keys }
}

/** The parts of an id of ours; undefined when it is not. */
export const decode = (id: string): ReadonlyArray<Part> | undefined => {
  if (!id.startsWith(VERSION)) return undefined
  const parts: Array<Part> = []
  for (const text of id.includes("|") ? id.split("|") : [id]) {
    const part = decodePart(text)
    if (part === undefined) return undefined
    parts.push(part)
  }
  return parts
}

/** What stands for a reservation that this store did not make: nothing was charged, before all times. */
export const unknown = (id: string): Part => {
  const record = Buffer.alloc(NAMES_AT + 2)
  record.writeDoubleLE(Number.NEGATIVE_INFINITY)
  createHash("sha1").update(id).digest().copy(record, 8, 0, 16)
  return { record, keys: [] }
}
