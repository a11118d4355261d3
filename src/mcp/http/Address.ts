/**
 * Where a request comes from and what it was sent to.
 *
 * - `X-Forwarded-For` counts only as far as it was written by proxies that the operator named.
 * - A page in a browser on this machine can reach a server on loopback under a name of the page's own
 *   (DNS rebinding): hence the list of hosts, and none of the browser's origins by default.
 *
 * @since 0.1.0
 */
import { BlockList, isIP } from "node:net"
import { isLoopback } from "../auth/Auth.js"

const unmapped = (address: string): string => address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, "")

/** `10.0.0.0/8`, `::1`: is an address among them? */
export const matcher = (networks: ReadonlyArray<string>): ((address: string) => boolean) => {
  if (networks.length === 0) return () => false
  const list = new BlockList()
  for (const network of networks) {
    const [address = "", prefix] = network.split("/")
    const family = isIP(address) === 6 ? "ipv6" : "ipv4"
    if (isIP(address) === 0) continue
    if (prefix === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(prefix), family)
  }
  return (address) => {
    const family = isIP(address)
    return family !== 0 && list.check(address, family === 6 ? "ipv6" : "ipv4")
  }
}

/** As a URL has it: an IPv6 address stands in brackets there. */
export const inUrl = (host: string): string => (isIP(host) === 6 ? `[${host}]` : host)

/** The last hop that is not a trusted proxy. */
export const client = (
  peer: string,
  forwardedFor: string | undefined,
  isTrusted: (address: string) => boolean
): string => {
  let address = unmapped(peer)
  const hops = forwardedFor === undefined ? [] : forwardedFor.split(",")
  while (isTrusted(address)) {
    const hop = unmapped((hops.pop() ?? "").trim())
    // What is no address was not written by a proxy.
    if (isIP(hop) === 0) break
    address = hop
  }
  return address
}

/** The key by which floods are counted: a host with one IPv6 address has 2^64 of them. */
export const block = (address: string): string => {
  if (isIP(address) !== 6) return address
  const [head = "", tail = ""] = address.split("::")
  const parts = head === "" ? [] : head.split(":")
  if (address.includes("::")) {
    const after = tail === "" ? [] : tail.split(":")
    while (parts.length + after.length < 8) parts.push("0")
    parts.push(...after)
  }
  return `${parts
    .slice(0, 4)
    .map((part) => Number.parseInt(part, 16).toString(16))
    .join(":")}::/64`
}

export interface Names {
  /** Host names (and `name:port`) under which the server may be addressed; none: any. */
  readonly hosts: ReadonlyArray<string>
  /** Origins of browsers that may call it. */
  readonly origins: ReadonlyArray<string>
}

const hostname = (host: string): string => /^(\[[^\]]*\]|[^:]*)(:\d{1,5})?$/.exec(host)?.[1] ?? ""

/** Names of a server that listens on `host`, in addition to those the operator gave. */
export const names = (host: string, given: Names): Names => ({
  hosts:
    isLoopback(host) || given.hosts.length > 0
      ? [...given.hosts.map((name) => name.toLowerCase()), "localhost", "127.0.0.1", "[::1]"]
      : [],
  origins: given.origins.map((origin) => origin.toLowerCase())
})

/**
 * Whether a header that there may be once is not there twice: two hosts are for two servers, two credentials are of two
 * clients, and a proxy may have believed the other one.
 */
export const isSingle = (rawHeaders: ReadonlyArray<string>, name: string): boolean => {
  let times = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.length === name.length && rawHeaders[i]?.toLowerCase() === name) times += 1
  }
  return times < 2
}

export const allowsHost = ({ hosts }: Names, host: string | undefined): boolean => {
  if (hosts.length === 0) return true
  const given = host?.toLowerCase() ?? ""
  return given !== "" && (hosts.includes(given) || hosts.includes(hostname(given)))
}

/** A client that is no browser sends none. */
export const allowsOrigin = (
  { origins }: Names,
  origin: string | undefined,
  listensOnLoopback: boolean
): boolean => {
  if (origin === undefined) return true
  const given = origin.toLowerCase()
  if (origins.includes(given)) return true
  const host = /^https?:\/\/(.+)$/.exec(given)?.[1]
  return (
    listensOnLoopback && host !== undefined && ["localhost", "127.0.0.1", "[::1]"].includes(hostname(host))
  )
}
