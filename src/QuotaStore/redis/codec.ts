/**
 * How quotas are named in Redis, where their names would be repeated a million times; and the ids of
 * reservations, which say where a reservation is.
 */
import { QuotaName } from "../../QuotaStore.js"

/** Below 64: counted by the hour. From 64 on: by the day. Never used for anything else again. */
const codes: { readonly [Q in QuotaName]: number } = {
  requests_per_hour: 1,
  queries_per_hour: 2,
  requests_per_day: 64,
  queries_per_day: 65,
  bytes_per_day: 66,
  scan_bytes_per_day: 67,
  statement_seconds_per_day: 68
}
const names = new Map(QuotaName.literals.map((name) => [codes[name], name]))

export const codeOf = (quota: QuotaName): number => codes[quota]
/** A quota of a later version has a code that nobody here knows. */
export const quotaOf = (code: number): QuotaName | undefined => names.get(code)

/** As Lua reads it. */
export const numeral = (value: number): string | number =>
  Number.isFinite(value) ? value : value > 0 ? "1e999" : "-1e999"

/** A client may be called anything; braces would cut its hash tag short. */
export const tagOf = (key: string): string =>
  key.replace(/[%{}]/g, (character) => encodeURIComponent(character))
const keyOf = (tag: string): string => decodeURIComponent(tag.replace(/%(?!25|7B|7D)/g, "%25"))

/** The two Redis keys of a scope key. */
export const redisKeys = (prefix: string, key: string): readonly [counters: string, reservations: string] => {
  const tag = tagOf(key)
  return [`${prefix}q:{${tag}}`, `${prefix}r:{${tag}}`]
}

/** The scope key of a Redis key with counters. */
export const scopeKeyOf = (prefix: string, redisKey: string): string =>
  keyOf(redisKey.slice(prefix.length + 3, -1))

/** What is known of one part of a reservation: its keys are in one script. */
export interface Part {
  readonly field: string
  readonly keys: ReadonlyArray<string>
  /** When it was reserved, and when the last of its slices is over. */
  readonly since: number
  readonly until: number
}

const VERSION = "r1"

const encodePart = ({ field, keys, since, until }: Part): string =>
  [VERSION, field, since.toString(36), until.toString(36), ...keys.map(encodeURIComponent)].join(":")

export const encode = (parts: ReadonlyArray<Part>): string => parts.map(encodePart).join("|")

const decodePart = (text: string): Part | undefined => {
  const [version, field, since, until, ...keys] = text.split(":")
  if (version !== VERSION || field === undefined || keys.length === 0) return undefined
  const times = [parseInt(since ?? "", 36), parseInt(until ?? "", 36)]
  const [from, to] = times
  if (from === undefined || to === undefined || !Number.isSafeInteger(from) || !Number.isSafeInteger(to)) {
    return undefined
  }
  try {
    return { field, since: from, until: to, keys: keys.map(decodeURIComponent) }
  } catch {
    return undefined
  }
}

/** The parts of an id of ours; undefined when it is not. */
export const decode = (id: string): ReadonlyArray<Part> | undefined => {
  const parts = id.split("|").map(decodePart)
  const known = parts.filter((part) => part !== undefined)
  return known.length === parts.length ? known : undefined
}

/** The doubles of an answer. */
export const doubles = (answer: Buffer): ReadonlyArray<number> => {
  const values: Array<number> = []
  for (let at = 0; at + 8 <= answer.length; at += 8) values.push(answer.readDoubleLE(at))
  return values
}
