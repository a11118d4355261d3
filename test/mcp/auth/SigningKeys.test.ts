import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, Layer, Logger, LogLevel } from "effect"
import type { JWTPayload } from "jose"
import { exportJWK, generateKeyPair, SignJWT } from "jose"
import type { IncomingMessage, ServerResponse } from "node:http"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as SigningKeys from "../../../src/mcp/auth/SigningKeys.js"
import * as OAuth from "../../../src/mcp/auth/OAuth.js"
import * as H from "../../utils/http.js"

const quiet = Effect.provide(Logger.minimumLogLevel(LogLevel.None))

type Answer = (response: ServerResponse, request: IncomingMessage) => void

const json =
  (body: unknown): Answer =>
  (response) =>
    void response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body))

const rfc8414 = "/.well-known/oauth-authorization-server"
const oidc = "/.well-known/openid-configuration"

/** An authorization server whose answers are given by path; everything else is a 404. Counts what is asked. */
const authorizationServer = (path = "") =>
  Effect.gen(function* () {
    const pair = yield* Effect.promise(() => generateKeyPair("ES256"))
    const jwk = yield* Effect.promise(() => exportJWK(pair.publicKey))
    const answers = new Map<string, Answer>()
    const asked: Array<string> = []
    const server = yield* Effect.acquireRelease(
      Effect.async<ReturnType<typeof createServer>>((resume) => {
        const server = createServer((request, response) => {
          asked.push(request.url ?? "")
          const answer = answers.get(request.url ?? "")
          if (answer === undefined) response.writeHead(404).end()
          else answer(response, request)
        }).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        })
    )
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const issuer = `${origin}${path}`
    const keys = json({ keys: [{ ...jwk, kid: "one", alg: "ES256", use: "sig" }] })
    const document = (jwks = `${origin}/jwks`) => json({ issuer, jwks_uri: jwks })
    let serial = 0
    const token = (claims: JWTPayload = {}) =>
      Effect.promise(() => {
        const now = Math.floor(Date.now() / 1000)
        return new SignJWT({
          iss: issuer,
          aud: "https://snow.example.com/mcp",
          sub: "user",
          jti: String(serial++),
          iat: now,
          exp: now + 300,
          ...claims
        })
          .setProtectedHeader({ alg: "ES256", kid: "one" })
          .sign(pair.privateKey)
      })
    /** Snowguard for this issuer, its location of keys to be found. */
    const guarded = (options: Partial<OAuth.Options> = {}) =>
      H.server({
        options: { failedLogins: { burst: 1000, ratePerSecond: 1 } },
        auth: Layer.orDie(
          OAuth.layer({
            tierOf: () => "default",
            isTier: (tier) => tier === "default",
            issuer,
            resource: "https://snow.example.com/mcp",
            algorithms: [],
            scopes: [],
            adminScope: "admin",
            clientClaim: "sub",
            fetchTimeoutMs: 2_000,
            fetchRetryMs: 0,
            ...options
          })
        )
      })
    const opened = (snowguard: H.Server) =>
      Effect.flatMap(token(), (token) => snowguard.ask({ body: H.initialize(), token }))
    return { answers, asked, document, guarded, issuer, keys, opened, origin, token }
  })

describe("the keys of an issuer whose location is not configured", () => {
  it("are looked for in two places, with and without a path", () => {
    const places = (issuer: string) => SigningKeys.documents(issuer).map(({ href }) => href)
    assert.deepStrictEqual(places("https://a.example"), [
      `https://a.example${rfc8414}`,
      `https://a.example${oidc}`
    ])
    const tenant = [`https://a.example:8443${rfc8414}/t/1`, `https://a.example:8443/t/1${oidc}`]
    assert.deepStrictEqual(places("https://a.example:8443/t/1"), tenant)
    assert.deepStrictEqual(places("https://a.example:8443/t/1/"), tenant)
  })

  it("are named only by the issuer's own document, and only where they cannot be changed on the way", () => {
    const issuer = "https://a.example/t"
    const url = (jwks_uri: unknown, is: unknown) =>
      Either.try(() => SigningKeys.jwksUrl({ issuer: is, jwks_uri }, issuer).href)
    assert.deepStrictEqual(url("https://keys.example/1", issuer), Either.right("https://keys.example/1"))
    for (const [jwks, is] of [
      ["https://keys.example/1", "https://a.example"],
      ["https://keys.example/1", "https://a.example/t/"],
      ["https://keys.example/1", undefined],
      ["https://keys.example/1", [issuer]],
      ["http://keys.example/1", issuer],
      // An issuer somewhere else names nothing on this machine.
      ["http://127.0.0.1:9000/keys", issuer],
      ["https://localhost/keys", issuer],
      ["https://user:secret@keys.example/1", issuer],
      ["file:///etc/passwd", issuer],
      ["/keys", issuer],
      [7, issuer],
      [undefined, issuer]
    ] as const) {
      assert.isTrue(Either.isLeft(url(jwks, is)), `${String(jwks)} of ${String(is)}`)
    }
    for (const document of [null, 7, "text", [], {}]) {
      assert.throws(() => SigningKeys.jwksUrl(document, issuer))
    }
    const local = { issuer: "http://127.0.0.1:9", jwks_uri: "http://localhost:9/keys" }
    assert.strictEqual(SigningKeys.jwksUrl(local, local.issuer).href, "http://localhost:9/keys")
  })

  for (const [path, place] of [
    ["", rfc8414],
    ["", oidc],
    ["/tenant", `${rfc8414}/tenant`],
    ["/tenant", `/tenant${oidc}`]
  ] as const) {
    it.scopedLive(`are found by ${place}, once`, () =>
      Effect.gen(function* () {
        const { answers, asked, document, guarded, keys, opened } = yield* authorizationServer(path)
        answers.set(place, document()).set("/jwks", keys)
        const snowguard = yield* guarded()
        // Nothing is fetched before the first token.
        assert.deepStrictEqual(asked, [])
        for (let i = 0; i < 3; i++) assert.strictEqual((yield* opened(snowguard)).status, 200)
        assert.deepStrictEqual(
          asked.filter((path) => path === place || path === "/jwks"),
          [place, "/jwks"]
        )
      }).pipe(quiet)
    )
  }

  const wrong: { readonly [what: string]: (issuer: string) => Answer } = {
    "of another issuer": (issuer) => json({ issuer: `${issuer}/`, jwks_uri: `${issuer}/jwks` }),
    "without a location": (issuer) => json({ issuer }),
    "with a location that others could change": (issuer) =>
      json({ issuer, jwks_uri: "http://keys.example.com/jwks" }),
    "that is no JSON": () => (response) => void response.end("<html>"),
    "that is giant, and says so": () => (response) =>
      void response.writeHead(200, { "content-length": 10 ** 9 }).write("{"),
    "that is giant, and does not say so": (issuer) => (response) => {
      response.write(JSON.stringify({ issuer, jwks_uri: `${issuer}/jwks` }))
      response.end(" ".repeat(300 * 1024))
    },
    "that never comes": () => () => {},
    "that never ends": () => (response) => void response.writeHead(200).write("{"),
    "that is somewhere else": (issuer) => (response) =>
      void response.writeHead(302, { location: `${issuer}/moved` }).end()
  }
  for (const [what, answer] of Object.entries(wrong)) {
    it.scopedLive(`are not taken from a document ${what}: 503, and no fault of the credential`, () =>
      Effect.gen(function* () {
        const { answers, asked, document, guarded, issuer, keys, opened } = yield* authorizationServer()
        answers
          .set(rfc8414, answer(issuer))
          .set(oidc, answer(issuer))
          .set("/moved", document())
          .set("/jwks", keys)
        const snowguard = yield* guarded({ fetchTimeoutMs: 250 })
        const refused = yield* opened(snowguard)
        assert.strictEqual(refused.status, 503)
        assert.isDefined(refused.headers["retry-after"])
        assert.notInclude(refused.body, issuer)
        assert.notInclude(asked, "/jwks")
        assert.notInclude(asked, "/moved")
        // The other place is enough.
        answers.set(oidc, document())
        assert.strictEqual((yield* opened(snowguard)).status, 200)
      }).pipe(quiet)
    )
  }

  it.scopedLive("a server that is down is not asked by every request, and no credential is at fault", () =>
    Effect.gen(function* () {
      const { answers, asked, document, guarded, keys, opened } = yield* authorizationServer()
      const lines: Array<string> = []
      const logger = Logger.replace(
        Logger.defaultLogger,
        Logger.map(Logger.logfmtLogger, (line) => void lines.push(line))
      )
      const patient = yield* Effect.provide(guarded({ fetchRetryMs: 60_000 }), logger)
      // Tokens are refused as well, which is none of this test's.
      const warnings = () => lines.filter((line) => line.includes("no new access token can be checked"))
      for (let i = 0; i < 5; i++) assert.strictEqual((yield* opened(patient)).status, 503)
      assert.deepStrictEqual(asked.sort(), [rfc8414, oidc].sort())
      // The operator reads which places were asked, and what they said; once.
      assert.strictEqual(warnings().length, 1)
      assert.match(warnings()[0] ?? "", /oauth-authorization-server: it answers 404; .*openid-configuration/)
      const eager = yield* Effect.provide(guarded(), logger)
      for (let i = 0; i < 3; i++) assert.strictEqual((yield* opened(eager)).status, 503)
      assert.strictEqual(warnings().length, 2)
      answers.set(oidc, document()).set("/jwks", keys)
      assert.strictEqual((yield* opened(eager)).status, 200)
      assert.isTrue(lines.some((line) => line.includes("there again")))
    })
  )

  it.scopedLive(
    "are looked for again when their location fails, and those at hand stay in use meanwhile",
    () =>
      Effect.gen(function* () {
        const { answers, asked, document, guarded, keys, opened, origin, token } =
          yield* authorizationServer()
        answers.set(oidc, document(`${origin}/old`)).set("/old", keys)
        const snowguard = yield* guarded({ fetchCooldownMs: 0 })
        assert.strictEqual((yield* opened(snowguard)).status, 200)
        // They moved; a token with an unknown key causes a fetch.
        answers.delete("/old")
        const unknown = (yield* token()).replace(
          /^[^.]+/,
          Buffer.from(JSON.stringify({ alg: "ES256", kid: "two" })).toString("base64url")
        )
        const ask = snowguard.ask({ body: H.initialize(), token: unknown })
        assert.strictEqual((yield* ask).status, 503)
        assert.strictEqual((yield* opened(snowguard)).status, 200)
        answers.set(oidc, document(`${origin}/new`)).set("/new", keys)
        assert.strictEqual((yield* ask).status, 401)
        assert.strictEqual(asked.filter((path) => path === oidc).length, 2)
        assert.include(asked, "/new")
      }).pipe(quiet)
  )

  it.scopedLive("that are no keys are a failure too, and are not fetched by every request", () =>
    Effect.gen(function* () {
      const { answers, asked, document, guarded, opened } = yield* authorizationServer()
      answers.set(oidc, document()).set("/jwks", json({ error: "moved" }))
      const snowguard = yield* guarded({ fetchRetryMs: 60_000 })
      for (let i = 0; i < 5; i++) assert.strictEqual((yield* opened(snowguard)).status, 503)
      assert.strictEqual(asked.filter((path) => path === "/jwks").length, 1)
    }).pipe(quiet)
  )

  it.scopedLive(
    "are asked for at the start: an issuer that is out of reach is logged, and readiness says so",
    () =>
      Effect.gen(function* () {
        const { answers, document, guarded, keys, opened } = yield* authorizationServer()
        const lines: Array<string> = []
        const logger = Logger.replace(
          Logger.defaultLogger,
          Logger.map(Logger.logfmtLogger, (line) => void lines.push(line))
        )
        const snowguard = yield* Effect.provide(guarded(), logger)
        const ready = Effect.map(snowguard.ask({ path: "/readyz" }), ({ body, status }) => ({
          status,
          body: JSON.parse(body) as { readonly status: string; readonly details?: { readonly auth: string } }
        }))
        // No token has come.
        const { body, status } = yield* Effect.repeat(ready, {
          until: ({ body }) => body.details !== undefined
        })
        assert.deepInclude([status, body.status], 200)
        assert.match(
          body.details?.auth ?? "",
          /cannot be found: .*oauth-authorization-server: it answers 404/
        )
        assert.match(lines.find((line) => line.includes("WARN")) ?? "", /no new access token can be checked/)
        answers.set(oidc, document()).set("/jwks", keys)
        assert.strictEqual((yield* opened(snowguard)).status, 200)
        assert.deepStrictEqual(yield* ready, { status: 200, body: { status: "ready" } })
      })
  )

  it.effect("are not looked for at an issuer that others could speak for", () =>
    Effect.gen(function* () {
      const options = {
        tierOf: () => "default",
        isTier: () => true,
        resource: "https://snow.example.com/mcp",
        algorithms: [],
        scopes: [],
        adminScope: "admin",
        clientClaim: "sub"
      }
      const made = (issuer: string, jwksUrl?: string) =>
        Effect.either(Effect.scoped(OAuth.make({ ...options, issuer, jwksUrl })))
      const refused = yield* made("http://login.example.com")
      assert.isTrue(Either.isLeft(refused))
      if (Either.isLeft(refused)) assert.strictEqual(refused.left.key, "auth.jwks_url")
      assert.isTrue(Either.isRight(yield* made("http://login.example.com", "https://login.example.com/jwks")))
      assert.isTrue(Either.isRight(yield* made("https://login.example.com")))
    })
  )
})
