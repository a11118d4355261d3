/**
 * The driver (`ioredis`), configured so that a command is sent once or not at all: nothing is queued while
 * there is no connection, nothing is sent again when one breaks. (Left to its defaults it does both, and
 * what was reported as lost is executed seconds later.)
 */
import type { Cluster, ClusterOptions, Redis, RedisOptions } from "ioredis"
import type { Target } from "./url.js"

interface Timing {
  /** Milliseconds for one command. */
  readonly commandTimeoutMs: number
}

/** Certificate authorities and the name to expect, where the system's own are not enough. */
export interface Tls {
  readonly ca?: string | undefined
  readonly servername?: string | undefined
}

type Client = Redis | Cluster

const CONNECT_TIMEOUT_MS = 1000
const RECONNECT_STEP_MS = 50
const RECONNECT_MAX_MS = 500

const retryStrategy = (times: number): number => Math.min(RECONNECT_STEP_MS * times, RECONNECT_MAX_MS)

export const optionsOf = (target: Target, { commandTimeoutMs }: Timing, tls: Tls = {}): RedisOptions => ({
  ...(target.username === undefined ? {} : { username: target.username }),
  ...(target.password === undefined ? {} : { password: target.password }),
  ...(target.tls
    ? {
        tls: {
          ...(tls.ca === undefined ? {} : { ca: tls.ca }),
          ...(tls.servername === undefined ? {} : { servername: tls.servername })
        },
        enableTLSForSentinelMode: true
      }
    : {}),
  commandTimeout: commandTimeoutMs,
  connectTimeout: CONNECT_TIMEOUT_MS,
  // Counted from the first command that is under way: shorter than a command's own limit, it would break the
  // connection under commands that are still in time, in a stall of this process as in one of Redis.
  socketTimeout: Math.max(CONNECT_TIMEOUT_MS, 2 * commandTimeoutMs),
  maxRetriesPerRequest: 0,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  lazyConnect: true,
  retryStrategy
})

const clusterOptionsOf = (options: RedisOptions): ClusterOptions => ({
  redisOptions: options,
  enableOfflineQueue: false,
  lazyConnect: true,
  clusterRetryStrategy: retryStrategy,
  slotsRefreshTimeout: CONNECT_TIMEOUT_MS,
  slotsRefreshInterval: 5000,
  // Where a node died with a command under way, it is not known whether it was executed: not sent again.
  retryDelayOnFailover: 0,
  retryDelayOnClusterDown: 0,
  maxRedirections: 4
})

/** Makes the client; connects nothing. Fails when the driver is not installed. */
export const open = async (target: Target, timing: Timing, tls?: Tls): Promise<Client> => {
  const { Cluster, Redis } = await import("ioredis")
  const options = optionsOf(target, timing, tls)
  if (target.kind === "cluster") {
    const cluster = new Cluster([...target.hosts], clusterOptionsOf(options))
    // Left to itself a node is connected by its first command, and those that come meanwhile fail.
    cluster.on("+node", (node: Redis) => {
      if (node.status === "wait") node.connect().catch(() => {})
    })
    return cluster
  }
  if (target.kind === "sentinel") {
    return new Redis({
      ...options,
      sentinels: [...target.hosts],
      name: target.name ?? "",
      db: target.db,
      sentinelCommandTimeout: CONNECT_TIMEOUT_MS,
      sentinelRetryStrategy: retryStrategy
    })
  }
  const [host] = target.hosts
  return new Redis({ ...options, ...host, db: target.db })
}

/** Of a cluster, every node: done when each is connected or has failed. */
export const warm = async (client: Client): Promise<void> => {
  if (!("nodes" in client)) return
  await Promise.all(
    client.nodes("master").map(
      (node) =>
        new Promise<void>((resolve) => {
          if (node.status === "ready") return resolve()
          node.once("ready", () => resolve())
          node.once("end", () => resolve())
        })
    )
  )
}

/** Loses what is wrong with a command, which could be its password, and keeps what was said about it. */
export const sanitized = (
  cause: unknown
): { readonly name: string; readonly message: string; readonly code?: string | undefined } =>
  cause instanceof Error
    ? {
        name: cause.name,
        message: cause.message,
        code: "code" in cause && typeof cause.code === "string" ? cause.code : undefined
      }
    : { name: "Error", message: "unknown" }
