/** Hosts of this machine, and URLs from which a response cannot be changed on the way. */

/** Without the brackets of an IPv6 address in a URL, and in lower case. */
export const bare = (host: string): string => host.toLowerCase().replace(/^\[(.*)\]$/, "$1")

/** Is this an address that only this machine can reach? */
export const isLoopback = (host: string): boolean => {
  const name = bare(host)
  return name === "localhost" || name === "::1" || /^(::ffff:)?127(\.\d{1,3}){3}$/.test(name)
}

/** A URL that is encrypted, or of this machine, and holds no credentials. */
export const isSafe = (text: string): boolean => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return (
    url !== undefined &&
    url.username === "" &&
    url.password === "" &&
    (url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname)))
  )
}

/** Does a request to this host arrive at this machine, however the host is written? */
const arrivesHere = (host: string): boolean => {
  const name = bare(host).replace(/\.$/, "")
  return (
    isLoopback(name) ||
    name.endsWith(".localhost") ||
    /^0(\.\d{1,3}){3}$/.test(name) ||
    // As `URL` writes 127.0.0.1 and 0.0.0.0 in an IPv6 address.
    /^::(ffff:)?(7f[\da-f]{2}|0):[\da-f]{1,4}$/.test(name) ||
    name === "::"
  )
}

/** May requests go to a URL that this server names? A remote server must not direct requests to this machine. */
export const mayDirectTo = (server: URL, text: string): boolean =>
  isSafe(text) && (!arrivesHere(new URL(text).hostname) || arrivesHere(server.hostname))
