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
