import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { createServer } from "node:http"
import { afterEach, vi } from "vitest"
import * as Outbound from "../../src/platform/outbound.js"
import * as Otlp from "../../src/observe/Otlp.js"
import { fetchJson as json } from "../../src/mcp/auth/SigningKeys.js"
import { listening } from "../utils/listening.js"

/** A proxy that answers for everybody, and opens no tunnel; what it was asked for. */
const proxy = Effect.suspend(() => {
  const asked: Array<string> = []
  const server = createServer((request, response) => {
    const { authorization } = { authorization: request.headers["proxy-authorization"] }
    asked.push([request.method, request.url, authorization].filter((part) => part !== undefined).join(" "))
    request.resume()
    response.writeHead(200, { "content-type": "application/json" }).end(`{"keys":[]}`)
  })
  server.on("connect", (request, socket) => {
    asked.push(`CONNECT ${request.url}`)
    socket.end("HTTP/1.1 403 Forbidden\r\n\r\n")
  })
  return Effect.map(listening(server), (url) => ({ url, asked }))
})

const signal = () => AbortSignal.timeout(10_000)

describe("requests of the server's own", () => {
  afterEach(() => void vi.unstubAllEnvs())

  it("have the proxy of their scheme, in lower case first", () => {
    const of = (url: string, env: { readonly [name: string]: string }) =>
      Outbound.proxyOf(new URL(url), env)?.href
    assert.strictEqual(of("https://a.test", { HTTPS_PROXY: "http://p:1" }), "http://p:1/")
    assert.strictEqual(of("https://a.test", { HTTPS_PROXY: "http://p:1", https_proxy: "q:2" }), "http://q:2/")
    assert.strictEqual(of("https://a.test", { HTTPS_PROXY: "http://p:1", https_proxy: "" }), "http://p:1/")
    assert.isUndefined(of("https://a.test", { HTTP_PROXY: "http://p:1" }))
    assert.isUndefined(of("http://a.test", { HTTPS_PROXY: "http://p:1" }))
    assert.isUndefined(of("http://a.test", { HTTP_PROXY: "" }))
    for (const bad of ["http://", "socks5://p:1", "http://p:port"]) {
      assert.throws(() => of("http://a.test", { HTTP_PROXY: bad }), /^HTTP_PROXY is not/, bad)
    }
  })

  it.scopedLive("go through it, and past it where NO_PROXY says so", () =>
    Effect.gen(function* () {
      const { asked, url } = yield* proxy
      const target = yield* proxy
      const get = (to: string, env: { readonly [name: string]: string }) =>
        Effect.promise(() =>
          Outbound.request(new URL(to), { signal: signal() }, env).then(
            ({ status }) => status,
            () => "failed" as const
          )
        )
      const withUser = url.replace("//", "//me:secret@")
      assert.strictEqual(yield* get("http://idp.test/keys", { HTTP_PROXY: withUser }), 200)
      assert.strictEqual(yield* get("https://idp.test/keys", { HTTPS_PROXY: url }), "failed")
      const basic = `Basic ${Buffer.from("me:secret").toString("base64")}`
      assert.deepStrictEqual(asked, [`GET http://idp.test/keys ${basic}`, "CONNECT idp.test:443"])
      for (const no of ["127.0.0.1", "*", "a.test, 127.0.0.1"]) {
        assert.strictEqual(yield* get(`${target.url}/direct`, { HTTP_PROXY: url, NO_PROXY: no }), 200)
      }
      assert.strictEqual(yield* get(`${target.url}/direct`, {}), 200)
      assert.lengthOf(asked, 2)
      assert.deepStrictEqual(new Set(target.asked), new Set(["GET /direct"]))
    })
  )

  it.scopedLive("for the keys of an authorization server and to a collector are among them", () =>
    Effect.gen(function* () {
      const { asked, url } = yield* proxy
      vi.stubEnv("http_proxy", url)
      vi.stubEnv("no_proxy", "")
      assert.deepStrictEqual(yield* Effect.promise(() => json(new URL("http://idp.test/jwks"), 10_000)), {
        keys: []
      })
      yield* Effect.scoped(
        Layer.build(Otlp.layer({ endpoint: "http://collector.test:4318", service: "t", version: "1" }))
      )
      assert.deepStrictEqual(asked, [
        "GET http://idp.test/jwks",
        "POST http://collector.test:4318/v1/metrics"
      ])
      vi.stubEnv("http_proxy", "http://p:port")
      const failed = yield* Effect.promise(() =>
        json(new URL("http://idp.test/jwks"), 10_000).then(
          () => "",
          (error: Error) => error.message
        )
      )
      assert.strictEqual(failed, "HTTP_PROXY is not a URL")
    })
  )
})
