/** Clients in a page of another origin, as inspectors are: the SDKs' own ones, in a browser. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { build } from "esbuild"
import { once } from "node:events"
import * as NodeHttp from "node:http"
import type { AddressInfo } from "node:net"
import * as Chromium from "../../dashboard/chromium.js"
import * as H from "../../utils/http.js"
import { withLayer } from "../../utils/withLayer.js"

/** Connects, calls a tool, is refused one, and leaves; the answer is what happened. */
const program = `
import { Client as Legacy } from "@modelcontextprotocol/sdk/client/index.js"
import { StreamableHTTPClientTransport as LegacyHttp } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client"

const headers = { authorization: "Bearer x", traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" }
const info = { name: "page", version: "1" }
globalThis.converse = async (mode, url) => {
  const isLegacy = mode === "sdk 1"
  const negotiation = mode === "auto" || mode === "legacy" ? mode : { pin: "2026-07-28" }
  const client = isLegacy ? new Legacy(info) : new Client(info, { versionNegotiation: { mode: negotiation } })
  const transport = new (isLegacy ? LegacyHttp : StreamableHTTPClientTransport)(new URL(url), { requestInit: { headers } })
  await client.connect(transport)
  const answer = await client.callTool({ name: "who", arguments: {} })
  const unknown = await client.callTool({ name: "nothing", arguments: {} }).catch(({ code }) => code)
  const session = transport.sessionId !== undefined
  await transport.terminateSession()
  await client.close()
  return { who: answer.structuredContent.who, unknown, session }
}
`

const bundled = Effect.promise(async () => {
  const { outputFiles } = await build({
    stdin: { contents: program, resolveDir: import.meta.dirname, loader: "js" },
    bundle: true,
    write: false,
    format: "iife",
    platform: "browser",
    logLevel: "silent"
  })
  return outputFiles[0]?.text ?? ""
})

/** A site that has the program, on a port of its own: another origin than the server's. */
const site = (script: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = NodeHttp.createServer(({ url }, response) => {
        const isScript = url === "/program.js"
        response.writeHead(200, { "content-type": isScript ? "text/javascript" : "text/html" })
        response.end(
          isScript ? script : '<!doctype html><title>a page</title><script src="/program.js"></script>'
        )
      })
      server.listen(0, "127.0.0.1")
      await once(server, "listening")
      return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
    }),
    ({ server }) =>
      Effect.promise(async () => {
        server.closeAllConnections()
        server.close()
        await once(server, "close")
      })
  )

describe.skipIf(!Chromium.available())("a page of another origin", () => {
  withLayer(Chromium.layer)("in a browser", (it) => {
    it.effect("calls tools in both eras, and reads its session and its errors", () =>
      Effect.gen(function* () {
        const browser = yield* Chromium.Chrome
        const server = yield* H.server()
        const { url } = yield* site(yield* bundled)
        const { page } = yield* browser.visit(url)
        yield* Effect.promise(() => page.goto(url))
        for (const [mode, session] of [
          ["sdk 1", true],
          ["legacy", true],
          ["auto", false],
          ["pinned", false]
        ] as const) {
          const found = yield* Effect.promise(() =>
            // As a text: the function is one of the page's.
            page.evaluate(`converse(${JSON.stringify(mode)}, ${JSON.stringify(server.url.href)})`)
          )
          assert.deepStrictEqual(found, { who: "local/default", unknown: -32602, session }, mode)
        }
      })
    )
  })
})
