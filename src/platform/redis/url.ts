/**
 * Where a Redis is, read off its URL:
 *
 * ```
 * redis://[user[:password]@]host[:port][/db]                      rediss: the same over TLS
 * redis+sentinel://[user[:password]@]host:port,host:port/NAME[/db]
 * redis+cluster://[user[:password]@]host:port,host:port
 * ```
 *
 * Invariant: nothing that is said about a URL repeats its user or password.
 */

interface Host {
  readonly host: string
  readonly port: number
}

export interface Target {
  readonly kind: "single" | "sentinel" | "cluster"
  readonly tls: boolean
  readonly hosts: ReadonlyArray<Host>
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** Of the sentinels' master. */
  readonly name?: string | undefined
  readonly db: number
}

const PORT = 6379
const SENTINEL_PORT = 26379
const kinds = { "": "single", "+sentinel": "sentinel", "+cluster": "cluster" } as const
const isKind = (text: string): text is keyof typeof kinds => Object.hasOwn(kinds, text)

const decoded = (text: string | undefined): string | undefined => {
  if (text === undefined || text === "") return undefined
  try {
    return decodeURIComponent(text)
  } catch {
    // A password with a lone percent sign is meant as it is written.
    return text
  }
}

const hostOf = (text: string, port: number): Host | undefined => {
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text)
  const host = parts?.[1] ?? parts?.[2]
  const number = parts?.[3] === undefined ? port : Number(parts[3])
  return host === undefined || number < 1 || number > 65_535 ? undefined : { host, port: number }
}

/** What is wrong with it is a sentence; no part of the URL that could be secret is in it. */
export const parse = (url: string): Target | string => {
  const parts = /^(redis|rediss)(\+[a-z]+)?:\/\/(?:(.*)@)?([^/?#@]*)(?:\/([^?#]*))?$/.exec(url.trim())
  const suffix = parts?.[2] ?? ""
  if (parts === null || !isKind(suffix)) {
    return "the Redis URL must look like redis://host:6379, rediss://..., redis+sentinel://host:port,host:port/NAME or redis+cluster://host:port,host:port"
  }
  const kind = kinds[suffix]
  const hosts = (parts[4] ?? "")
    .split(",")
    .map((text) => hostOf(text, kind === "sentinel" ? SENTINEL_PORT : PORT))
  const known = hosts.filter((host) => host !== undefined)
  if (known.length < hosts.length) return "the Redis URL names no host, or a port that is none"
  if (kind === "single" && known.length > 1) {
    return "a redis:// URL has one host; several are redis+sentinel:// or redis+cluster://"
  }
  const path = (parts[5] ?? "").split("/").filter((part) => part !== "")
  const name = kind === "sentinel" ? decoded(path.shift()) : undefined
  if (kind === "sentinel" && name === undefined)
    return "a redis+sentinel:// URL ends in the master's name: /NAME"
  const db = path.shift() ?? "0"
  if (!/^\d{1,4}$/.test(db) || path.length > 0)
    return "what follows the host of the Redis URL is no database number"
  if (kind === "cluster" && db !== "0") return "a Redis cluster has no database but 0"
  const credentials = parts[3] ?? ""
  const colon = credentials.indexOf(":")
  return {
    kind,
    tls: parts[1] === "rediss",
    hosts: known,
    username: decoded(colon < 0 ? credentials : credentials.slice(0, colon)),
    password: colon < 0 ? undefined : decoded(credentials.slice(colon + 1)),
    name,
    db: Number(db)
  }
}

/** The hosts, for people; without user and password. */
export const describe = ({ hosts, kind, name }: Target): string => {
  const where = hosts.map(({ host, port }) => `${host.includes(":") ? `[${host}]` : host}:${port}`).join(", ")
  return kind === "single"
    ? where
    : kind === "cluster"
      ? `the cluster at ${where}`
      : `${name ?? ""} of ${where}`
}
