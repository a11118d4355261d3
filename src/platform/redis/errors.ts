/** How a Redis fails, and what is said about it: never the user, the password or the command. */
import * as Schema from "effect/Schema"
import * as Connection from "./connection.js"

/**
 * `Missing`: the driver is not installed. `Configuration`: the URL or the prefix makes no sense.
 * `Unreachable`: not sent. `Timeout`: sent, with an unknown outcome. `CircuitOpen`: refused by
 * ourselves. `Rejected`: Redis answered with an error.
 */
export const Reason = Schema.Literal(
  "Missing",
  "Configuration",
  "Unreachable",
  "Timeout",
  "CircuitOpen",
  "Rejected"
)
export type Reason = typeof Reason.Type

/** Why Redis did not do it; `reason` says what can be done about it. No part of it holds a password. */
export class RedisError extends Schema.TaggedError<RedisError>("snowguard/RedisError")("RedisError", {
  reason: Reason,
  /** What went wrong and what an operator can do, in a sentence. */
  description: Schema.String,
  /** Milliseconds after which a try makes sense, where known. */
  retryAfterMs: Schema.optional(Schema.Number)
}) {
  override get message(): string {
    return `redis: ${this.description}`
  }
}

export const fail = (reason: Reason, description: string): RedisError =>
  new RedisError({ reason, description })

const advice: ReadonlyArray<readonly [RegExp, string]> = [
  [
    /^(NOAUTH|WRONGPASS|ERR invalid password|ERR AUTH)/,
    "Redis refuses the user or password of the Redis URL"
  ],
  [
    /^NOPERM/,
    "the user of the Redis URL may not run this; it needs EVAL, EVALSHA, SCAN and the keys of the prefix"
  ],
  [/^OOM/, "Redis is out of memory; give it more, and use maxmemory-policy noeviction"],
  [/^READONLY/, "this Redis is a read-only replica; point the Redis URL at the master, or at the sentinels"],
  [/^(MISCONF|LOADING|MASTERDOWN|CLUSTERDOWN|BUSY|TRYAGAIN|NOREPLICAS)/, "Redis cannot serve at the moment"],
  [/^CROSSSLOT/, "this is a node of a Redis cluster; the Redis URL must start with redis+cluster://"]
]

const advised = (message: string): string | undefined => {
  const known = advice.find(([pattern]) => pattern.test(message))
  return known && `${known[1]} (${message})`
}

/** Of the system and of TLS; through a sentinel they come as a part of its message. */
const obstacles: ReadonlyArray<readonly [RegExp, string]> = [
  [/ECONNREFUSED/, "the connection was refused, nothing listens there"],
  [/ENOTFOUND|EAI_AGAIN/, "its host name is not known (DNS)"],
  [/EHOSTUNREACH|ENETUNREACH/, "there is no way to the host"],
  [/ETIMEDOUT/, "the host does not answer, or not as the URL says: TLS with rediss://, none with redis://"],
  [/ECONNRESET|EPIPE/, "the other side closed the connection; does it want TLS (rediss://)?"],
  [/TLS|SSL|CERT|SELF_SIGNED|UNABLE_TO_|ERR_OSSL/, "TLS failed"]
]

/** Why there is no connection, as far as Redis or the system have said; undefined when they have not. */
export const troubleIn = (cause: unknown): string | undefined => {
  const { code, message, name } = Connection.sanitized(cause)
  if (name === "ReplyError") return advised(message) ?? message
  const known = obstacles.find(([pattern]) => pattern.test(code ?? message))
  return known && (known[1] === "TLS failed" ? `${known[1]} (${code ?? message})` : known[1])
}

/** Redis will say the same again while the user, its password and its rights stay as they are. */
export const isRefusal = (cause: unknown): boolean => {
  const { message, name } = Connection.sanitized(cause)
  return name === "ReplyError" && /^(NOAUTH|WRONGPASS|NOPERM|ERR invalid password|ERR AUTH)/.test(message)
}

/** What the driver threw; `where` are the hosts. */
export const errorOf = (cause: unknown, where: string, limitMs: number): RedisError => {
  const { message, name } = Connection.sanitized(cause)
  if (name === "ReplyError") {
    return fail("Rejected", advised(message) ?? `${where} answered: ${message}`)
  }
  if (message === "Command timed out") {
    return fail("Timeout", `${where} did not answer in ${limitMs} ms; what was asked may have been done`)
  }
  // A connection that breaks under a command leaves it unknown; one that is not there has sent nothing.
  return /isn't (writeable|ready)/.test(message)
    ? fail("Unreachable", `there is no connection to ${where}`)
    : fail("Timeout", `the connection to ${where} broke; what was asked may have been done`)
}

export const isNoScript = (cause: unknown): boolean =>
  Connection.sanitized(cause).message.startsWith("NOSCRIPT")
