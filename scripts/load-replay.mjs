// A warehouse that costs nothing, so that what is measured is the server: stands in front of the emulator,
// and answers a statement as the emulator answered one that differs in its numbers only, after a while.
//   node scripts/load-replay.mjs URL MILLISECONDS
import { once } from "node:events"
import * as Http from "node:http"
import { setTimeout as sleep } from "node:timers/promises"
import { gunzipSync } from "node:zlib"

const [origin, delayMs] = process.argv.slice(2)
const agent = new Http.Agent({ keepAlive: true })

const read = async (stream) => {
  const chunks = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const without = (headers, ...names) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)))

const ask = async ({ headers, method, url }, body) => {
  // Not packed, so that it can be rewritten.
  const request = Http.request(new URL(url, origin), {
    ...{ agent, method },
    headers: without(headers, "accept-encoding")
  })
  request.end(body)
  const [response] = await once(request, "response")
  const text = await read(response)
  const given = without(response.headers, "content-length", "transfer-encoding")
  return { status: response.statusCode, headers: given, body: text }
}

/** What may be answered again: a piece of a result, and a statement but for its numbers. */
const keyOf = ({ headers, method, url }, body) => {
  const { pathname } = new URL(url, origin)
  if (method === "GET") return url
  if (pathname !== "/queries/v1/query-request") return undefined
  const { sqlText } = JSON.parse(headers["content-encoding"] === "gzip" ? gunzipSync(body) : body)
  return /^\s*(SELECT|WITH)\b/i.test(sqlText) ? sqlText.replace(/\d+/g, "0") : undefined
}

const known = new Map()

const server = Http.createServer(async (request, response) => {
  try {
    const body = await read(request)
    const key = keyOf(request, body)
    const answer = (key === undefined ? undefined : known.get(key)) ?? (await ask(request, body))
    if (key !== undefined && answer.status === 200 && !known.has(key)) {
      // Pieces of a result are fetched from here too.
      const here = `http://127.0.0.1:${server.address().port}`
      const moved = () =>
        Buffer.from(answer.body.toString("utf8").replaceAll(origin.replace(/\/$/, ""), here))
      known.set(key, request.method === "GET" ? answer : { ...answer, body: moved() })
    }
    if (key !== undefined) await sleep(Number(delayMs))
    response.writeHead(answer.status, answer.headers).end((known.get(key) ?? answer).body)
  } catch {
    response.destroy()
  }
})
server.listen(0, "127.0.0.1", () => process.stdout.write(`at ${server.address().port}\n`))
