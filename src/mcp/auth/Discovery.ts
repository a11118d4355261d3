/**
 * Where an authorization server publishes its signing keys, by the documents that it describes itself with:
 * RFC 8414, and OpenID Connect Discovery.
 *
 * | issuer | documents |
 * |---|---|
 * | `https://a.example` | `https://a.example/.well-known/oauth-authorization-server`, `https://a.example/.well-known/openid-configuration` |
 * | `https://a.example/t` | `https://a.example/.well-known/oauth-authorization-server/t`, `https://a.example/t/.well-known/openid-configuration` |
 *
 * A document counts if it is the issuer's, to the letter: whoever can put a document somewhere else on the
 * same host must not be able to name keys for this issuer. What it names must be out of reach of those on
 * the way, so `https`; on this machine `http` will do.
 *
 * @since 0.1.0
 */
import { isLoopback } from "./Auth.js"
import { FetchFault, json } from "./Fetched.js"

/** Nobody on the way can change what comes from there. */
export const isSafe = (url: URL): boolean =>
  url.username === "" &&
  url.password === "" &&
  (url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname)))

const withoutSlash = (path: string): string => path.replace(/\/+$/, "")

/** The documents of an issuer, the first that counts first. */
export const documents = (issuer: string): ReadonlyArray<URL> => {
  const { origin, pathname } = new URL(issuer)
  const path = withoutSlash(pathname)
  return [
    new URL(`${origin}/.well-known/oauth-authorization-server${path}`),
    new URL(`${origin}${path}/.well-known/openid-configuration`)
  ]
}

const named = (document: unknown, name: string): unknown =>
  typeof document === "object" && document !== null ? Reflect.get(document, name) : undefined

/** The location of the keys that a document names, if the document is the issuer's. */
export const jwksUrl = (document: unknown, issuer: string): URL => {
  if (named(document, "issuer") !== issuer) throw new FetchFault("its issuer is not auth.issuer")
  const location = named(document, "jwks_uri")
  if (typeof location !== "string" || !URL.canParse(location)) throw new FetchFault("it has no jwks_uri")
  const url = new URL(location)
  // A server somewhere else has no say in what runs on this machine.
  if (!isSafe(url) || (isLoopback(url.hostname) && !isLoopback(new URL(issuer).hostname))) {
    throw new FetchFault("its jwks_uri is not an https URL")
  }
  return url
}

/** Asks all places at once; rejects with a `FetchFault` that says what is wrong with each. */
export const find = async (issuer: string, timeoutMs: number): Promise<URL> => {
  const places = documents(issuer)
  const found = await Promise.allSettled(
    places.map(async (place) => jwksUrl(await json(place, timeoutMs), issuer))
  )
  for (const one of found) if (one.status === "fulfilled") return one.value
  const problems = found.map((one, i) => {
    const why = one.status === "rejected" && one.reason instanceof FetchFault ? one.reason.message : "?"
    return `${places[i]?.href}: ${why}`
  })
  throw new FetchFault(`the keys of auth.issuer cannot be found: ${problems.join("; ")}`)
}
