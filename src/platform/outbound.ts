/**
 * Requests to servers that the operator named, through the proxy that the environment names: `HTTPS_PROXY`,
 * `HTTP_PROXY` and `NO_PROXY`, in lower case first, each for its own scheme, as the driver's logins go.
 *
 * Node's own `fetch` knows no proxy; undici is its library, and is loaded only where there is one.
 */

/** What a variable holds is no proxy. */
export class ProxyFault extends Error {
  override readonly name = "ProxyFault"
}

/** More than is read of a response. */
export class TooLarge extends RangeError {
  override readonly name = "TooLarge"
}

interface Answer {
  readonly ok: boolean
  readonly status: number
  readonly headers: { readonly get: (name: string) => string | null }
  readonly body: (AsyncIterable<Uint8Array> & { readonly cancel: () => Promise<void> }) | null
  readonly arrayBuffer: () => Promise<ArrayBuffer>
}

interface Options {
  readonly method?: "GET" | "POST"
  readonly headers?: { readonly [name: string]: string }
  readonly body?: string
  readonly redirect?: "manual"
  readonly signal: AbortSignal
}

type Env = { readonly [name: string]: string | undefined }

/** The proxy for a URL, as it is configured; undefined where there is none. */
export const proxyOf = ({ protocol }: URL, env: Env): URL | undefined => {
  const name = protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY"
  const given = env[name.toLowerCase()] || env[name]
  if (given === undefined || given === "") return undefined
  const url = given.includes("://") ? given : `http://${given}`
  if (!URL.canParse(url)) throw new ProxyFault(`${name} is not a URL`)
  const proxy = new URL(url)
  if (proxy.protocol !== "http:" && proxy.protocol !== "https:") {
    throw new ProxyFault(`${name} is not the URL of an HTTP proxy`)
  }
  return proxy
}

/** The body of a response; rejects with {@link TooLarge} when it is longer. */
export const bytes = async (body: AsyncIterable<Uint8Array>, max: number): Promise<Buffer> => {
  const chunks: Array<Uint8Array> = []
  let size = 0
  // Leaving the loop cancels the stream and its connection.
  for await (const chunk of body) {
    size += chunk.length
    if (size > max) throw new TooLarge(`more than ${max} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** As `fetch`; rejects with a `ProxyFault` as well. */
export const request = async (
  url: URL,
  { body, headers = {}, method = "GET", redirect, signal }: Options,
  env: Env = process.env
): Promise<Answer> => {
  const init = {
    method,
    headers: { ...headers },
    signal,
    ...(body === undefined ? {} : { body }),
    ...(redirect === undefined ? {} : { redirect })
  }
  const proxy = proxyOf(url, env)
  if (proxy === undefined) return fetch(url, init)
  const undici = await import("undici")
  const dispatcher = new undici.EnvHttpProxyAgent({
    httpProxy: proxy.href,
    httpsProxy: proxy.href,
    noProxy: env["no_proxy"] || env["NO_PROXY"] || "",
    // An agent serves one request: a proxy's idle connections would add up.
    keepAliveTimeout: 1,
    keepAliveMaxTimeout: 1,
    // What is not encrypted goes to the proxy as it is: many open no tunnel for it.
    proxyTunnel: url.protocol === "https:"
  })
  return undici.fetch(url, { ...init, dispatcher })
}
