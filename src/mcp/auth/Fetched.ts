/**
 * A small JSON document from a server that may be slow, wrong, or somebody else's: bounded in time and in
 * bytes, and only from where it was asked for (a redirect is not followed). Through the proxy, where there is one.
 *
 * @since 0.1.0
 */
import * as Outbound from "../../platform/outbound.js"

/** What is wrong; in words of ours, for the operator. */
export class FetchFault extends Error {
  override readonly name = "FetchFault"
}

/** The keys of a large authorization server are a few kilobytes. */
const MAX_BYTES = 256 * 1024

const tooLarge = () => new FetchFault(`it is larger than ${MAX_BYTES} bytes`)

const bytes = async (body: AsyncIterable<Uint8Array>): Promise<Buffer> => {
  const chunks: Array<Uint8Array> = []
  let size = 0
  // Leaving the loop cancels the stream, and with it the connection.
  for await (const chunk of body) {
    size += chunk.length
    if (size > MAX_BYTES) throw tooLarge()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Rejects with a `FetchFault`, and with nothing else. */
export const json = async (url: URL, timeoutMs: number): Promise<unknown> => {
  const signal = AbortSignal.timeout(timeoutMs)
  try {
    const response = await Outbound.request(url, {
      signal,
      redirect: "manual",
      headers: { accept: "application/json" }
    })
    if (response.status !== 200 || response.body === null) {
      await response.body?.cancel()
      throw new FetchFault(`it answers ${response.status}`)
    }
    if (Number(response.headers.get("content-length") ?? 0) > MAX_BYTES) {
      await response.body.cancel()
      throw tooLarge()
    }
    const text = (await bytes(response.body)).toString("utf8")
    try {
      return JSON.parse(text)
    } catch {
      // The parser's message quotes the text.
      throw new FetchFault("it is not JSON")
    }
  } catch (cause) {
    if (cause instanceof FetchFault) throw cause
    if (cause instanceof Outbound.ProxyFault) throw new FetchFault(cause.message)
    throw new FetchFault(signal.aborted ? "it does not answer in time" : "it cannot be reached")
  }
}
