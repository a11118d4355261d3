import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Either, Layer, Logger, LogLevel, Ref } from "effect"
import type { CryptoKey, JWTPayload } from "jose"
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from "jose"
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Principal from "../../../src/platform/Principal.js"
import * as Auth from "../../../src/mcp/auth/Auth.js"
import * as Keys from "../../../src/mcp/auth/Keys.js"
import * as OAuth from "../../../src/mcp/auth/OAuth.js"
import * as H from "../../utils/http.js"

const quiet = Effect.provide(Logger.minimumLogLevel(LogLevel.None))

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-keys-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const tiers = {
  tierOf: (client: string) => (client === "bronzed" ? "bronze" : "default"),
  isTier: (tier: string) => ["default", "gold", "bronze"].includes(tier)
}

const withKeys = (path: string, options: Partial<Parameters<typeof Keys.layer>[0]> = {}) =>
  Layer.orDie(Keys.layer({ ...tiers, path, ...options }))

const answer = (got: H.Answer) => H.messages(got)[0]?.result?.["structuredContent"]

describe("keys", () => {
  it.scopedLive("the file holds no key, is its owner's alone, and is written as a whole", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const path = join(dir, "state", "keys.json")
      const made = yield* Effect.all(
        Array.from({ length: 6 }, (_, i) => Keys.create(path, { client: `team-${i}`, tier: "gold" })),
        { concurrency: "unbounded" }
      )
      const text = readFileSync(path, "utf8")
      for (const { key } of made) {
        assert.match(key, /^sg_[0-9a-f]{12}_[A-Za-z0-9_-]{43}$/)
        assert.notInclude(text, key.slice(16))
      }
      // Six writers at once lost no key.
      assert.strictEqual((yield* Keys.list(path)).length, 6)
      assert.strictEqual(statSync(path).mode & 0o777, 0o600)
      assert.deepStrictEqual(readdirSync(join(dir, "state")), ["keys.json"])
      const refused = yield* Effect.either(Keys.create(path, { client: "two words" }))
      assert.isTrue(Either.isLeft(refused))
      assert.isTrue(Either.isLeft(yield* Effect.either(Keys.revoke(path, "nobody"))))
    })
  )

  it.scopedLive("a key decides the client and the tier, whatever the request says of itself", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "keys.json")
      const gold = yield* Keys.create(path, { client: "alice", tier: "gold" })
      const own = yield* Keys.create(path, { client: "bronzed" })
      const strange = yield* Keys.create(path, { client: "carol", tier: "platinum" })
      const server = yield* H.server({ auth: withKeys(path) })
      const whoIs = (token: string) =>
        Effect.gen(function* () {
          const headers = { "x-client": "root", "x-tier": "gold", "x-forwarded-for": "1.2.3.4" }
          const session = yield* server.open({ token, headers })
          return answer(yield* server.call(session, 1, "who", {}, { token, headers }))
        })
      assert.deepStrictEqual(yield* whoIs(gold.key), { who: "alice/gold" })
      assert.deepStrictEqual(yield* whoIs(own.key), { who: "bronzed/bronze" })
      assert.deepStrictEqual(yield* whoIs(strange.key), { who: "carol/default" })
    }).pipe(quiet)
  )

  it.scopedLive(
    "an address that may not try any more costs no proof, and is not told that its key is wrong",
    () =>
      Effect.gen(function* () {
        const path = join(yield* folder, "keys.json")
        const { key } = yield* Keys.create(path, { client: "alice" })
        const { authenticate } = Context.get(yield* Layer.build(withKeys(path)), Auth.Authenticator)
        const credentials = { authorization: `Bearer ${key}`, address: "192.0.2.1" }
        const turnedAway = yield* Effect.flip(authenticate({ ...credentials, mayTry: () => false }))
        assert.strictEqual(turnedAway.reason, "unavailable")
        assert.strictEqual((yield* authenticate(credentials)).principal.client, "alice")
        // Proven before: nothing is left to try.
        assert.strictEqual(
          (yield* authenticate({ ...credentials, mayTry: () => false })).principal.client,
          "alice"
        )
      }).pipe(quiet)
  )

  it.scopedLive("without a key that holds there is nothing but a 401 that says how to ask", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "keys.json")
      const { id, key } = yield* Keys.create(path, { client: "alice" })
      const server = yield* H.server({
        auth: withKeys(path),
        options: { failedLogins: { burst: 100, ratePerSecond: 1 } }
      })
      const missing = yield* server.ask({ body: H.initialize() })
      assert.strictEqual(missing.status, 401)
      assert.strictEqual(missing.headers["www-authenticate"], 'Bearer realm="snowguard"')
      const wrong = [
        `sg_${id}_${"A".repeat(43)}`,
        `sg_000000000000_${key.slice(16)}`,
        key.slice(0, -1),
        `${key}x`,
        "sg_",
        "x".repeat(4000)
      ]
      for (const token of wrong) {
        const refused = yield* server.ask({ body: H.initialize(), token })
        assert.strictEqual(refused.status, 401)
        assert.include(String(refused.headers["www-authenticate"]), 'error="invalid_token"')
        assert.notInclude(refused.body, token.slice(0, 30))
      }
      const inQuery = yield* server.ask({ path: `/mcp?access_token=${key}`, body: H.initialize() })
      assert.strictEqual(inQuery.status, 401)
      const basic = yield* server.ask({ body: H.initialize(), headers: { authorization: `Basic ${key}` } })
      assert.strictEqual(basic.status, 401)
      yield* server.open({ token: key })
    }).pipe(quiet)
  )

  it.scopedLive("a session is its opener's alone: for other callers it does not exist", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "keys.json")
      const alice = yield* Keys.create(path, { client: "alice", tier: "gold" })
      const second = yield* Keys.create(path, { client: "alice", tier: "gold" })
      const lesser = yield* Keys.create(path, { client: "alice" })
      const mallory = yield* Keys.create(path, { client: "mallory" })
      const server = yield* H.server({ auth: withKeys(path) })
      const session = yield* server.open({ token: alice.key })
      const status = (token: string, ask: H.Ask) =>
        Effect.map(server.ask({ session, token, ...ask }), (got) => got.status)
      assert.strictEqual(yield* status(mallory.key, { body: H.toolCall(1, "who") }), 404)
      assert.strictEqual(yield* status(mallory.key, { method: "DELETE" }), 404)
      const cancel = H.message(undefined, "notifications/cancelled", { requestId: 1 })
      assert.strictEqual(yield* status(mallory.key, { body: cancel }), 404)
      // A key of another tier would otherwise go on with the tier that the session was opened with.
      assert.strictEqual(yield* status(lesser.key, { body: H.toolCall(2, "who") }), 404)
      assert.strictEqual(yield* status(second.key, { body: H.toolCall(3, "who") }), 200)
      assert.strictEqual((yield* server.call(session, 4, "who")).status, 401)
    }).pipe(quiet)
  )

  it.scopedLive("a key works as soon as it is made, and stops when it is revoked, without a restart", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "keys.json")
      const first = yield* Keys.create(path, { client: "alice" })
      const server = yield* H.server({
        auth: withKeys(path, { lookEveryMs: 10 }),
        options: { failedLogins: { burst: 1000, ratePerSecond: 1 } }
      })
      const session = yield* server.open({ token: first.key })
      const second = yield* Keys.create(path, { client: "bob" })
      const status = (token: string) =>
        Effect.map(server.ask({ body: H.initialize(), token }), (got) => got.status)
      const until = (token: string, wanted: number) =>
        Effect.repeat(Effect.delay(status(token), 10), { until: (got) => got === wanted })
      yield* until(second.key, 200)
      assert.strictEqual((yield* Keys.revoke(path, first.id)).length, 1)
      yield* until(first.key, 401)
      assert.strictEqual((yield* server.call(session, 1, "who", {}, { token: first.key })).status, 401)
      yield* Keys.revoke(path, "bob")
      // The last key is gone, and that opens nothing.
      yield* until(second.key, 401)
      assert.strictEqual((yield* server.ask({ body: H.initialize() })).status, 401)
      // Nor does a file that is broken or gone.
      writeFileSync(path, "{")
      assert.strictEqual((yield* server.ask({ body: H.initialize() })).status, 401)
      rmSync(path)
      assert.strictEqual((yield* server.ask({ body: H.initialize() })).status, 401)
    }).pipe(quiet)
  )

  it.scopedLive(
    "on this machine no key is required until one was made; other machines are never let in",
    () =>
      Effect.gen(function* () {
        const path = join(yield* folder, "keys.json")
        const auto = (host: string) =>
          Keys.layerAuto({ ...tiers, path, host, local: Principal.make("local") })
        const server = yield* H.server({ auth: Layer.orDie(auto("127.0.0.1")) })
        const session = yield* server.open()
        assert.deepStrictEqual(answer(yield* server.call(session, 1, "who")), { who: "local/default" })
        const open = yield* Effect.either(Effect.scoped(Layer.build(auto("0.0.0.0"))))
        assert.match(String(open), /without authentication/)
        yield* Keys.create(path, { client: "alice" })
        const asked = Effect.map(server.ask({ body: H.initialize() }), ({ status }) => status)
        yield* Effect.repeat(Effect.delay(asked, 10), { until: (status) => status === 401 })
        assert.strictEqual((yield* server.call(session, 2, "who")).status, 401)
        rmSync(path)
        assert.strictEqual((yield* server.ask({ body: H.initialize() })).status, 401)
      }).pipe(quiet)
  )

  it.scopedLive("the log says whether keys are required: not before there is one, always from then on", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "keys.json")
      const lines: Array<string> = []
      const logger = Logger.replace(
        Logger.defaultLogger,
        Logger.map(Logger.logfmtLogger, (line) => void lines.push(line))
      )
      const auto = Keys.layerAuto({
        ...tiers,
        path,
        host: "127.0.0.1",
        local: Principal.make("local"),
        lookEveryMs: 0
      })
      const listening = (auth: Layer.Layer<Auth.Authenticator>) =>
        Effect.map(Effect.provide(H.server({ auth }), logger), (server) => ({
          server,
          line: lines.findLast((line) => line.includes("listening")) ?? ""
        }))
      const before = yield* listening(Layer.orDie(auto))
      assert.include(before.line, 'auth="none (loopback only, no key was made yet)"')
      assert.include((yield* listening(withKeys(path))).line, 'auth="keys (none was made yet')
      assert.include((yield* listening(Auth.layerNone(Principal.make("local")))).line, 'auth="none (loopback')
      const { id } = yield* Keys.create(path, { client: "alice" })
      assert.strictEqual((yield* before.server.ask({ body: H.initialize() })).status, 401)
      assert.isTrue(lines.some((line) => line.includes("every request is asked for one")))
      // A revoked key counts as made: a key stays required.
      yield* Keys.revoke(path, id)
      assert.match((yield* listening(Layer.orDie(auto))).line, / auth="?keys"?( |$)/, lines.join("\n"))
    })
  )

  it.scopedLive("refused credentials are in the log by address and reason, once and then counted", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "keys.json")
      const { key } = yield* Keys.create(path, { client: "alice" })
      const lines: Array<string> = []
      const logger = Logger.replace(
        Logger.defaultLogger,
        Logger.map(Logger.logfmtLogger, (line) => void lines.push(line))
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          const server = yield* H.server({
            auth: withKeys(path),
            options: { failedLogins: { burst: 6, ratePerSecond: 0.01 }, trustedProxies: ["127.0.0.1"] }
          })
          const from = (address: string, token?: string) =>
            server.ask({ body: H.initialize(), token, headers: { "x-forwarded-for": address } })
          yield* from("192.0.2.7")
          for (let i = 0; i < 9; i++) yield* from("192.0.2.7", `${key}${i}`)
          yield* from("192.0.2.8", "guess")
          yield* from("192.0.2.9", key)
        })
      ).pipe(Effect.provide(logger))
      const told = lines.filter((line) => line.includes("credentials"))
      const found = told.map((line) =>
        [/level=(\w+)/, /address=(\S+)/, /reason=(\S+)/, /times=(\d+)/].map((part) => part.exec(line)?.[1])
      )
      assert.sameDeepMembers(found, [
        ["INFO", "192.0.2.7", "missing", "1"],
        ["WARN", "192.0.2.7", "invalid", "1"],
        ["WARN", "192.0.2.7", "invalid", "4"],
        ["WARN", "192.0.2.7", "too-many", "1"],
        ["WARN", "192.0.2.7", "too-many", "3"],
        ["WARN", "192.0.2.8", "invalid", "1"]
      ])
      for (const line of lines) assert.notInclude(line, key.slice(16, -1))
      assert.notInclude(lines.join(), "guess")
    })
  )

  it.scopedLive(
    "an address that guesses is held off; a key that was verified before still works from there",
    () =>
      Effect.gen(function* () {
        const path = join(yield* folder, "keys.json")
        const { key } = yield* Keys.create(path, { client: "alice" })
        const server = yield* H.server({
          auth: withKeys(path),
          options: { failedLogins: { burst: 5, ratePerSecond: 0.01 } }
        })
        yield* server.open({ token: key })
        const guess = (i: number) => server.ask({ body: H.initialize(), token: `guess-${i}` })
        const statuses = yield* Effect.forEach(
          Array.from({ length: 8 }, (_, i) => i),
          (i) => Effect.map(guess(i), ({ status }) => status)
        )
        assert.deepStrictEqual(statuses, [401, 401, 401, 401, 401, 429, 429, 429])
        const held = yield* guess(9)
        assert.isAtLeast(Number(held.headers["retry-after"]), 90)
        assert.match(String(held.headers["ratelimit"]), /^"failed-logins";r=0;t=\d+$/)
        assert.match(String(held.headers["ratelimit-policy"]), /^"failed-logins";q=5;w=500$/)
        assert.match(H.messages(held)[0]?.error?.message ?? "", /Wait \d+ s/)
        yield* server.open({ token: key })
      }).pipe(quiet)
  )

  it.scopedLive("metrics are an administrator's unless they are open to all", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "keys.json")
      const plain = yield* Keys.create(path, { client: "alice" })
      const admin = yield* Keys.create(path, { client: "ops", admin: true })
      const metrics = (server: H.Server, token?: string) =>
        Effect.map(server.ask({ path: "/metrics", token }), ({ status }) => status)
      const closed = yield* H.server({ auth: withKeys(path) })
      assert.strictEqual(yield* metrics(closed), 401)
      assert.strictEqual(yield* metrics(closed, plain.key), 403)
      assert.strictEqual(yield* metrics(closed, admin.key), 200)
      const open = yield* H.server({ auth: withKeys(path), options: { metrics: "open" } })
      assert.strictEqual(yield* metrics(open), 200)
      const off = yield* H.server({ auth: withKeys(path), options: { metrics: "off" } })
      assert.strictEqual(yield* metrics(off, admin.key), 404)
      const scraped = yield* closed.ask({ path: "/metrics", token: admin.key })
      assert.strictEqual(scraped.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
      assert.match(scraped.body, /^snowguard_http_refusals_total\{reason="not-admin"\} \d+$/m)
      for (const { key } of [plain, admin]) assert.notInclude(scraped.body, key.slice(3, 15))
    }).pipe(quiet)
  )

  it.scopedLive("a file that is no file of keys stops the start; one that others can read is told", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "keys.json")
      writeFileSync(path, `{"version":1,"keys":[{"secret":"hunter2"}]}`)
      const broken = yield* Effect.either(Effect.scoped(Layer.build(Keys.layer({ ...tiers, path }))))
      assert.match(String(broken), /is not a file of keys/)
      assert.notInclude(String(broken), "hunter2")
      rmSync(path)
      yield* Keys.create(path, { client: "alice" })
      chmodSync(path, 0o644)
      const lines = yield* Ref.make<ReadonlyArray<string>>([])
      yield* Effect.scoped(Layer.build(Keys.layer({ ...tiers, path }))).pipe(
        Effect.provide(
          Logger.replace(
            Logger.defaultLogger,
            Logger.map(Logger.logfmtLogger, (line) =>
              Effect.runSync(Ref.update(lines, (all) => [...all, line]))
            )
          )
        )
      )
      assert.match((yield* Ref.get(lines)).join(), /others can read/)
      assert.isTrue(existsSync(path))
    })
  )
})

/** An authorization server's keys on a free port, counted. */
const issuer = Effect.gen(function* () {
  const pair = yield* Effect.promise(() => generateKeyPair("ES256"))
  const jwk = yield* Effect.promise(() => exportJWK(pair.publicKey))
  const state = { fetched: 0, down: false }
  const keys: Array<object> = [{ ...jwk, kid: "one", alg: "ES256", use: "sig" }]
  const publish = (kid: string, key: CryptoKey) =>
    Effect.promise(async () => keys.push({ ...(await exportJWK(key)), kid, alg: "ES256", use: "sig" }))
  const server = yield* Effect.acquireRelease(
    Effect.async<ReturnType<typeof createServer>>((resume) => {
      const server = createServer((_, response) => {
        state.fetched += 1
        if (state.down) response.writeHead(500).end()
        else {
          response.writeHead(200, { "content-type": "application/json" })
          response.end(JSON.stringify({ keys }))
        }
      }).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  const token = (
    claims: JWTPayload = {},
    {
      alg = "ES256",
      key = pair.privateKey,
      kid = "one"
    }: { alg?: string; key?: CryptoKey | Uint8Array; kid?: string } = {}
  ) =>
    Effect.promise(() => {
      const now = Math.floor(Date.now() / 1000)
      return new SignJWT({
        iss: url,
        aud: "https://snow.example.com/mcp",
        sub: "user-1",
        scope: "snowguard:read other",
        iat: now,
        exp: now + 300,
        ...claims
      })
        .setProtectedHeader({ alg, kid })
        .sign(key)
    })
  const auth = (options: Partial<OAuth.Options> = {}) =>
    Layer.orDie(
      OAuth.layer({
        ...tiers,
        issuer: url,
        resource: "https://snow.example.com/mcp",
        jwksUrl: `${url}/jwks`,
        algorithms: [],
        scopes: ["snowguard:read"],
        adminScope: "snowguard:admin",
        clientClaim: "sub",
        tierClaim: "tier",
        ...options
      })
    )
  return { url, token, auth, state, publish, privateKey: pair.privateKey, publicKey: pair.publicKey }
})

describe("OAuth", () => {
  const many = { failedLogins: { burst: 1000, ratePerSecond: 1 } }

  it.scopedLive("a token of the issuer, for this server, decides the client and the tier", () =>
    Effect.gen(function* () {
      const { auth, token } = yield* issuer
      const server = yield* H.server({ auth: auth(), options: many })
      const whoIs = (claims: JWTPayload) =>
        Effect.gen(function* () {
          const bearer = yield* token(claims)
          const session = yield* server.open({ token: bearer })
          return answer(yield* server.call(session, 1, "who", {}, { token: bearer }))
        })
      assert.deepStrictEqual(yield* whoIs({}), { who: "user-1/default" })
      assert.deepStrictEqual(yield* whoIs({ tier: ["platinum", "gold"] }), { who: "user-1/gold" })
      assert.deepStrictEqual(yield* whoIs({ sub: "bronzed" }), { who: "bronzed/bronze" })
      const odd = yield* whoIs({ sub: "auth0|a b\n" })
      assert.match(JSON.stringify(odd), /"oauth-[0-9a-f]{40}\/default"/)
      // A name of our making cannot be had by asking for it.
      const made = /oauth-[0-9a-f]+/.exec(JSON.stringify(odd))?.[0] ?? ""
      assert.notInclude(JSON.stringify(yield* whoIs({ sub: made })), made)
    }).pipe(quiet)
  )

  it.scopedLive(
    "every other token is refused, with where to get a right one and nothing of what it was",
    () =>
      Effect.gen(function* () {
        const { auth, privateKey, publicKey, token, url } = yield* issuer
        const server = yield* H.server({ auth: auth(), options: many })
        const other = yield* Effect.promise(() => generateKeyPair("ES256"))
        const now = Math.floor(Date.now() / 1000)
        const none = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${Buffer.from(
          JSON.stringify({ iss: "x", aud: "https://snow.example.com/mcp", sub: "root", exp: now + 300 })
        ).toString("base64url")}.`
        const good = yield* token()
        const endless = Effect.promise(() =>
          new SignJWT({ iss: url, aud: "https://snow.example.com/mcp", sub: "u", scope: "snowguard:read" })
            .setProtectedHeader({ alg: "ES256", kid: "one" })
            .sign(privateKey)
        )
        const jwk = yield* Effect.promise(() => exportJWK(publicKey))
        const pem = yield* Effect.promise(() => exportSPKI(publicKey))
        const own = yield* Effect.promise(() => exportJWK(other.publicKey))
        const claims = { iss: url, aud: "https://snow.example.com/mcp", sub: "root", exp: now + 300 }
        /** Claims of the right kind under a header that must be ignored. */
        const headed = (header: object, key: CryptoKey | Uint8Array = other.privateKey) =>
          Effect.promise(() =>
            new SignJWT({ ...claims, scope: "snowguard:read" })
              .setProtectedHeader({ alg: "ES256", kid: "one", ...header })
              .sign(key)
          )
        const unsigned = (alg: string) =>
          [JSON.stringify({ alg, kid: "one" }), JSON.stringify(claims)]
            .map((part) => Buffer.from(part).toString("base64url"))
            .concat("")
            .join(".")
        const bytes = (text: string) => new TextEncoder().encode(text)
        const refused: { readonly [what: string]: string } = {
          "with the public key as a secret (PEM)": yield* token({}, { alg: "HS256", key: bytes(pem) }),
          "with the public key as a secret (JWK)": yield* token(
            {},
            { alg: "HS256", key: bytes(JSON.stringify(jwk)) }
          ),
          "with a key of its own in the header": yield* headed({ jwk: own }),
          "of no algorithm, in other words": unsigned("None"),
          "of no algorithm and a known key": unsigned("none"),
          "for several servers, and not for this one": yield* token({ aud: ["https://a.example", "mcp"] }),
          "for a part of this server": yield* token({ aud: "https://snow.example.com/mcp/x" }),
          "of the issuer with a slash": yield* token({ iss: `${url}/` }),
          "another server's": yield* token({ aud: "https://other.example.com/mcp" }),
          "another issuer's": yield* token({ iss: "https://evil.example.com" }),
          expired: yield* token({ exp: now - 60 }),
          "not yet valid": yield* token({ nbf: now + 600 }),
          "without an end": yield* endless,
          "signed with another key": yield* token({}, { key: other.privateKey }),
          symmetric: yield* token({}, { alg: "HS256", key: new Uint8Array(32) }),
          unsigned: none,
          "cut off": good.slice(0, -4),
          changed: good.replace(/\.[^.]+\./, `.${Buffer.from('{"sub":"root"}').toString("base64url")}.`),
          "no token": "not.a.token",
          "without a client": yield* token({ sub: "" })
        }
        const unknown = [
          yield* headed({ jku: `${url}/jwks`, kid: "mine" }),
          yield* headed({ kid: "../../../../dev/null" }),
          yield* token({}, { key: other.privateKey, kid: "two" })
        ]
        // Their keys might have been added since the keys were fetched.
        yield* server.open({ token: good })
        for (const bad of unknown) {
          assert.strictEqual((yield* server.ask({ body: H.initialize(), token: bad })).status, 503)
        }
        for (const [what, bad] of Object.entries(refused)) {
          const got = yield* server.ask({ body: H.initialize(), token: bad })
          assert.strictEqual(got.status, 401, what)
          const challenge = String(got.headers["www-authenticate"])
          assert.include(
            challenge,
            'resource_metadata="https://snow.example.com/.well-known/oauth-protected-resource/mcp"'
          )
          assert.include(challenge, 'error="invalid_token"')
          assert.notInclude(got.body + challenge, "evil")
        }
        const scope = yield* server.ask({ body: H.initialize(), token: yield* token({ scope: "other" }) })
        assert.strictEqual(scope.status, 403)
        assert.match(
          String(scope.headers["www-authenticate"]),
          /error="insufficient_scope".*scope="snowguard:read"/
        )
        const missing = yield* server.ask({ body: H.initialize() })
        assert.strictEqual(missing.status, 401)
        assert.notInclude(String(missing.headers["www-authenticate"]), "error=")
        yield* server.open({ token: good })
      }).pipe(quiet)
  )

  it.scopedLive(
    "forged tokens do not make it hammer the issuer, and an issuer that is down is no credential's fault",
    () =>
      Effect.gen(function* () {
        const { auth, state, token } = yield* issuer
        state.down = true
        const server = yield* H.server({ auth: auth({ fetchRetryMs: 0 }), options: many })
        const down = yield* server.ask({ body: H.initialize(), token: yield* token() })
        assert.strictEqual(down.status, 503)
        assert.isDefined(down.headers["retry-after"])
        // While it is down, not every request goes and sees.
        const patient = yield* H.server({ auth: auth(), options: many })
        const asked = state.fetched
        for (let i = 0; i < 10; i++) {
          const answer = yield* patient.ask({ body: H.initialize(), token: yield* token({ jti: `${i}` }) })
          assert.strictEqual(answer.status, 503)
        }
        assert.strictEqual(state.fetched, asked + 1)
        state.down = false
        const good = yield* token()
        yield* server.open({ token: good })
        const before = state.fetched
        const { privateKey } = yield* Effect.promise(() => generateKeyPair("ES256"))
        for (let i = 0; i < 20; i++) {
          const forged = yield* token({}, { key: privateKey, kid: `kid-${i}` })
          const { status } = yield* server.ask({ body: H.initialize(), token: forged })
          // A few of them might be new; so many are made up.
          assert.strictEqual(status, i < 8 ? 503 : 401, `${i}`)
        }
        assert.strictEqual(state.fetched, before)
        // What was proven is not asked about again.
        state.down = true
        yield* server.open({ token: good })
      }).pipe(quiet)
  )

  it.scopedLive(
    "a key that the issuer began to sign with a moment ago is not counted as a failed login",
    () =>
      Effect.gen(function* () {
        const { auth, publish, state, token } = yield* issuer
        const server = yield* H.server({
          auth: auth({ fetchCooldownMs: 1_000 }),
          options: { failedLogins: { burst: 1, ratePerSecond: 0.001 } }
        })
        yield* server.open({ token: yield* token() })
        const { privateKey, publicKey } = yield* Effect.promise(() => generateKeyPair("ES256"))
        yield* publish("two", publicKey)
        const fresh = yield* token({}, { key: privateKey, kid: "two" })
        const ask = server.ask({ body: H.initialize(), token: fresh })
        for (let i = 0; i < 3; i++) {
          const early = yield* ask
          assert.strictEqual(early.status, 503)
          assert.strictEqual(early.headers["retry-after"], "1")
          assert.isUndefined(early.headers["www-authenticate"])
        }
        assert.strictEqual(state.fetched, 1)
        const { status } = yield* Effect.repeat(ask, { until: (answer) => answer.status !== 503 })
        assert.strictEqual(status, 200)
        assert.strictEqual(state.fetched, 2)
        // Of a key that was looked for and is not there, the token is at fault.
        const made = yield* token({}, { key: privateKey, kid: "three" })
        const judged = yield* Effect.repeat(server.ask({ body: H.initialize(), token: made }), {
          until: (answer) => answer.status !== 503
        })
        assert.strictEqual(judged.status, 401)
        assert.strictEqual((yield* server.ask({ body: H.initialize(), token: made })).status, 429)
      }).pipe(quiet)
  )

  it.scopedLive("operators are asked for a token with the scope for it, not for a key", () =>
    Effect.gen(function* () {
      const { auth, token } = yield* issuer
      const server = yield* H.server({ auth: auth(), options: many })
      const messageOf = (got: H.Answer) => H.messages(got)[0]?.error?.message ?? ""
      const missing = yield* server.ask({ path: "/status/data" })
      assert.strictEqual(missing.status, 401)
      assert.match(
        messageOf(missing),
        /Use an access token with the scopes snowguard:read snowguard:admin\.$/
      )
      assert.notMatch(missing.body, /API key|snowguard keys/)
      assert.deepInclude(JSON.parse(missing.body).error.data.sign_in, { credential: "access token" })
      const plain = yield* token()
      const admin = yield* token({ scope: "snowguard:read snowguard:admin" })
      for (const [path, method] of [
        ["/metrics", "GET"],
        ["/admin/breaker/reset", "POST"]
      ] as const) {
        const refused = yield* server.ask({ path, method, token: plain })
        assert.strictEqual(refused.status, 403, path)
        assert.match(messageOf(refused), /an access token with the scopes snowguard:read snowguard:admin\./)
        const challenge = String(refused.headers["www-authenticate"])
        assert.match(challenge, /error="insufficient_scope"/)
        assert.match(challenge, /, scope="snowguard:read snowguard:admin"$/)
      }
      assert.strictEqual((yield* server.ask({ path: "/metrics", token: admin })).status, 200)
      assert.strictEqual((yield* server.ask({ path: "/status/data", token: plain })).status, 200)
    }).pipe(quiet)
  )

  it.scopedLive("two people of one client do not share a session", () =>
    Effect.gen(function* () {
      const { auth, token } = yield* issuer
      const server = yield* H.server({ auth: auth({ clientClaim: "azp" }), options: many })
      const one = yield* token({ azp: "app", sub: "ann" })
      const two = yield* token({ azp: "app", sub: "bob" })
      const session = yield* server.open({ token: one })
      assert.strictEqual((yield* server.call(session, 1, "who", {}, { token: two })).status, 404)
      // A token that was renewed is the same person's.
      const renewed = yield* token({ azp: "app", sub: "ann", jti: "2" })
      assert.deepStrictEqual(answer(yield* server.call(session, 2, "who", {}, { token: renewed })), {
        who: "app/default"
      })
    }).pipe(quiet)
  )

  it.scopedLive("a refusal names metadata that is there, also behind a proxy that takes a prefix away", () =>
    Effect.gen(function* () {
      const { auth } = yield* issuer
      const resource = "https://h.example/team/snow/mcp"
      const server = yield* H.server({ auth: auth({ resource }) })
      const { headers } = yield* server.ask({ body: H.initialize() })
      const named = /resource_metadata="([^"]+)"/.exec(String(headers["www-authenticate"]))?.[1] ?? ""
      const well = "/.well-known/oauth-protected-resource"
      assert.strictEqual(named, `https://h.example${well}/team/snow/mcp`)
      const paths = [
        new URL(named).pathname,
        `${well}/snow/mcp`,
        `${well}/mcp`,
        well,
        `${well}/team/snow/mcp/`
      ]
      for (const path of paths) {
        const got = yield* server.ask({ path })
        assert.strictEqual(got.status, 200, path)
        assert.strictEqual(JSON.parse(got.body).resource, resource)
      }
    }).pipe(quiet)
  )

  it.scopedLive("a page of any origin may read where tokens come from", () =>
    Effect.gen(function* () {
      const { auth } = yield* issuer
      const server = yield* H.server({ auth: auth() })
      for (const rest of ["", "/mcp"]) {
        const path = `/.well-known/oauth-protected-resource${rest}`
        const origin = "https://inspector.example"
        const got = yield* server.ask({ path, headers: { origin } })
        assert.strictEqual(got.headers["access-control-allow-origin"], "*")
        const before = yield* server.ask({
          path,
          method: "OPTIONS",
          headers: {
            origin,
            "access-control-request-method": "GET",
            "access-control-request-headers": "mcp-protocol-version"
          }
        })
        assert.strictEqual(before.status, 204)
        assert.strictEqual(before.headers["access-control-allow-origin"], "*")
        assert.strictEqual(before.headers["access-control-allow-headers"], "mcp-protocol-version")
      }
    }).pipe(quiet)
  )

  it.scopedLive("says where tokens come from, without a credential", () =>
    Effect.gen(function* () {
      const { auth, url } = yield* issuer
      const server = yield* H.server({ auth: auth() })
      for (const path of ["", "/mcp"]) {
        const got = yield* server.ask({ path: `/.well-known/oauth-protected-resource${path}` })
        assert.strictEqual(got.status, 200)
        assert.deepInclude(JSON.parse(got.body), {
          resource: "https://snow.example.com/mcp",
          authorization_servers: [url],
          bearer_methods_supported: ["header"],
          scopes_supported: ["snowguard:read"]
        })
      }
      const elsewhere = yield* server.ask({ path: "/.well-known/oauth-protected-resource/other" })
      assert.strictEqual(elsewhere.status, 404)
      const none = yield* H.server({ auth: Auth.layerNone(Principal.make("local")) })
      assert.strictEqual((yield* none.ask({ path: "/.well-known/oauth-protected-resource" })).status, 404)
    }).pipe(quiet)
  )

  it.effect("a setting that cannot be stops the start", () =>
    Effect.gen(function* () {
      const options = {
        ...tiers,
        issuer: "https://login.example.com",
        resource: "https://snow.example.com/mcp",
        jwksUrl: "https://login.example.com/jwks",
        algorithms: [],
        scopes: [],
        adminScope: "admin",
        clientClaim: "sub"
      }
      for (const wrong of [
        { algorithms: ["HS256"] },
        { jwksUrl: "file:///etc/passwd" },
        { resource: "mcp" }
      ]) {
        const made = yield* Effect.either(Effect.scoped(OAuth.make({ ...options, ...wrong })))
        assert.isTrue(Either.isLeft(made), JSON.stringify(wrong))
      }
    })
  )
})
