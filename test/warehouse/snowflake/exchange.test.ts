import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Redacted, Runtime, TestClock } from "effect"
import { createPublicKey, generateKeyPairSync } from "node:crypto"
import type { IncomingHttpHeaders } from "node:http"
import { createServer } from "node:http"
import type { Subject } from "../../../src/platform/Principal.js"
import * as Exchange from "../../../src/warehouse/snowflake/exchange.js"
import { listening } from "../../utils/listening.js"

interface Asked {
  readonly path: string
  readonly form: URLSearchParams
  readonly headers: IncomingHttpHeaders
}

interface Reply {
  readonly status?: number
  readonly headers?: { readonly [name: string]: string }
  readonly body: unknown
}

/** Answers once the effect has ended. */
type Behaviour = (asked: Asked, n: number) => Effect.Effect<Reply>

const gives = (token: string, expires_in = 600): Reply => ({
  body: { access_token: token, token_type: "Bearer", expires_in }
})

const refuses = (error: string, description = "why", status = 400): Reply => ({
  status,
  body: { error, error_description: description }
})

/** An endpoint on this machine that does as it is told, and tells what it was asked. */
const endpoint = (behaviour: { now: Behaviour }) =>
  Effect.gen(function* () {
    const asked: Array<Asked> = []
    const runtime = yield* Effect.runtime()
    const server = createServer((request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        const one: Asked = {
          path: request.url ?? "",
          form: new URLSearchParams(Buffer.concat(chunks).toString("utf8")),
          headers: request.headers
        }
        if (request.method === "POST") asked.push(one)
        Runtime.runFork(runtime)(
          Effect.map(behaviour.now(one, asked.length), ({ body, headers, status = 200 }) => {
            response.writeHead(status, { "content-type": "application/json", ...headers })
            response.end(typeof body === "string" ? body : JSON.stringify(body))
          })
        )
      })
    })
    return { asked, url: yield* listening(server) }
  })

const subject = (id: string, token = `token of ${id}`): Subject => ({
  id,
  name: id,
  token: Effect.succeed(Redacted.make(token))
})

const world = (first: Behaviour, more: Partial<Exchange.Options> = {}) =>
  Effect.gen(function* () {
    const behaviour = { now: first }
    const { asked, url } = yield* endpoint(behaviour)
    const exchange = yield* Exchange.make({
      issuer: undefined,
      tokenUrl: `${url}/token`,
      clientId: "snowguard",
      clientAuth: { _tag: "post", secret: Effect.succeed(Redacted.make("s3cret of the client")) },
      grantType: "urn:ietf:params:oauth:grant-type:token-exchange",
      subjectParameter: "subject_token",
      ...more,
      ...(more.issuer === undefined ? {} : { issuer: url, tokenUrl: undefined })
    })
    const request = (id: string, token?: string): Exchange.Request => ({
      key: id,
      subject: subject(id, token),
      parameters: Effect.succeed({
        subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
        audience: "https://account"
      })
    })
    const token = (id: string, own?: string) =>
      Effect.map(exchange.token(request(id, own)), (token) => Redacted.value(token))
    const fails = (id: string, own?: string) => Effect.flip(exchange.token(request(id, own)))
    return { asked, behaviour, exchange, fails, token, url }
  })

const always =
  (reply: Reply): Behaviour =>
  () =>
    Effect.succeed(reply)

describe("a caller's token", () => {
  it.scoped("is exchanged as the standard has it, and the result kept until it is due", () =>
    Effect.gen(function* () {
      const { asked, behaviour, token } = yield* world(({ form }) =>
        Effect.succeed(gives(`for ${form.get("subject_token")}`))
      )
      expect(yield* token("ann")).toBe("for token of ann")
      expect(yield* token("ann")).toBe("for token of ann")
      expect(yield* token("bob")).toBe("for token of bob")
      expect(asked).toHaveLength(2)
      expect(Object.fromEntries(asked[0]!.form)).toEqual({
        grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
        client_id: "snowguard",
        client_secret: "s3cret of the client",
        subject_token: "token of ann",
        subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
        audience: "https://account"
      })
      behaviour.now = always(gives("renewed"))
      yield* TestClock.adjust("539 seconds")
      expect(yield* token("ann")).toBe("for token of ann")
      // A minute before its end.
      yield* TestClock.adjust("1 seconds")
      expect(yield* token("ann")).toBe("renewed")
    })
  )

  it.scoped("is exchanged once for all calls that wait, also when the one that asked has left", () =>
    Effect.gen(function* () {
      const answer = yield* Deferred.make<Reply>()
      const arrived = yield* Deferred.make<void>()
      const { asked, token } = yield* world(() =>
        Effect.zipRight(Deferred.succeed(arrived, undefined), Deferred.await(answer))
      )
      const first = yield* Effect.fork(token("ann"))
      yield* Deferred.await(arrived)
      const others = yield* Effect.forEach([1, 2, 3, 4, 5], () => Effect.fork(token("ann")))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(first)
      yield* Deferred.succeed(answer, gives("one"))
      expect(yield* Effect.forEach(others, Fiber.join)).toEqual(["one", "one", "one", "one", "one"])
      expect(asked).toHaveLength(1)
    })
  )

  it.scoped("is used on while it lasts when the endpoint fails as it is due, and no longer", () =>
    Effect.gen(function* () {
      const { behaviour, fails, token } = yield* world(always(gives("first")))
      yield* token("ann")
      behaviour.now = always({ status: 503, body: "" })
      yield* TestClock.adjust("599 seconds")
      expect(yield* token("ann")).toBe("first")
      yield* TestClock.adjust("1 seconds")
      expect(yield* fails("ann")).toMatchObject({ kind: "down" })
    })
  )

  it.scoped("that the account says has ended is not used again", () =>
    Effect.gen(function* () {
      const { asked, exchange, token } = yield* world((_, n) => Effect.succeed(gives(`${n}`)))
      expect(yield* token("ann")).toBe("1")
      yield* exchange.forget("ann", Redacted.make("another"))
      expect(yield* token("ann")).toBe("1")
      yield* exchange.forget("ann", Redacted.make("1"))
      expect(yield* token("ann")).toBe("2")
      expect(asked).toHaveLength(2)
    })
  )

  it.scoped(
    "that is refused holds its caller back for a while, another token of it for a moment, and no other caller",
    () =>
      Effect.gen(function* () {
        const { asked, fails, token } = yield* world(({ form }) =>
          Effect.succeed(
            form.get("subject_token") === "token of eve" ? refuses("invalid_grant") : gives("good")
          )
        )
        const refused = yield* fails("eve")
        expect(refused).toMatchObject({ kind: "refused", code: "invalid_grant" })
        for (let n = 0; n < 10; n++) yield* fails("eve")
        expect(asked).toHaveLength(1)
        expect(yield* token("ann")).toBe("good")
        expect(yield* fails("eve", "a new one")).toMatchObject({ retryAfterMs: 1_000 })
        yield* TestClock.adjust("1 seconds")
        expect(yield* token("eve", "a new one")).toBe("good")
      })
  )
})

describe("an endpoint", () => {
  const kinds: ReadonlyArray<readonly [what: string, reply: Reply, kind: string, advice: RegExp]> = [
    ["a refusal of the token", refuses("invalid_grant"), "refused", /sign in again/],
    ["a refusal of the user", refuses("access_denied", "no", 403), "refused", /Tell the user/],
    ["a wish for consent", refuses("interaction_required"), "refused", /consent/],
    ["a refusal of the token, as RFC 8693 has it", refuses("invalid_request"), "refused", /sign in again/],
    ["a refusal of the scope", refuses("invalid_scope"), "scope", /role/],
    ["a refusal of the audience", refuses("invalid_target"), "scope", /audience/],
    ["a refusal of the client", refuses("invalid_client", "bad", 401), "client", /operator/],
    ["a refusal of the grant", refuses("unauthorized_client"), "client", /operator/],
    [
      "a limit of requests",
      { status: 429, body: "", headers: { "retry-after": "30" } },
      "rate-limited",
      /429/
    ],
    ["an error of its own", { status: 502, body: "<html>" }, "down", /502/],
    ["a page of HTML", { body: "<html>hello</html>" }, "malformed", /no token/],
    ["an answer without a token", { body: { token_type: "Bearer" } }, "malformed", /no token/],
    ["a word for later", refuses("temporarily_unavailable"), "down", /cannot answer now/]
  ]
  it.scoped("that fails is told apart by what to do, and no text holds a secret", () =>
    Effect.gen(function* () {
      for (const [what, reply, kind, advice] of kinds) {
        const { fails } = yield* world(always(reply))
        const error = yield* fails("ann")
        expect(error, what).toMatchObject({ kind })
        expect(error.description, what).toMatch(advice)
      }
      const { fails } = yield* world(({ form }) =>
        Effect.succeed(
          refuses("invalid_grant", `${form.get("subject_token")} and ${form.get("client_secret")} are bad`)
        )
      )
      const { description } = yield* fails("ann")
      expect(description).toContain("*** and *** are bad")
    })
  )

  it.scoped("that does not answer is given up in time, and left alone after a few times, for all", () =>
    Effect.gen(function* () {
      const { asked, behaviour, fails, token } = yield* world(() => Effect.never)
      for (const n of [1, 2, 3]) {
        const failing = yield* Effect.fork(fails(`user ${n}`))
        yield* Effect.async<void>((resume) => {
          const look = (): void => {
            if (asked.length >= n) resume(Effect.void)
            else setImmediate(look)
          }
          look()
        })
        yield* TestClock.adjust("5 seconds")
        expect(yield* Fiber.join(failing)).toMatchObject({ kind: "slow" })
      }
      expect(yield* fails("user 4")).toMatchObject({ kind: "slow", retryAfterMs: 1_000 })
      expect(asked).toHaveLength(3)
      behaviour.now = always(gives("back"))
      yield* TestClock.adjust("1 seconds")
      expect(yield* token("user 4")).toBe("back")
      expect(yield* token("user 1")).toBe("back")
    })
  )

  it.scoped(
    "that fails many at once is left alone as long as for a few, and longer after each further failure",
    () =>
      Effect.gen(function* () {
        const { asked, behaviour, fails, token } = yield* world(always({ status: 503, body: "" }))
        const many = Array.from({ length: 40 }, (_, n) => `user ${n}`)
        for (const error of yield* Effect.forEach(many, (user) => fails(user), {
          concurrency: "unbounded"
        })) {
          expect(error).toMatchObject({ kind: "down" })
        }
        // Those that have a slot, and none of those that wait for one when the pause begins.
        expect(asked.length).toBeLessThanOrEqual(8 + 3)
        let requests = asked.length
        for (const seconds of [1, 2, 4, 8]) {
          expect(yield* fails("user 0")).toMatchObject({ retryAfterMs: seconds * 1000 })
          yield* TestClock.adjust(`${seconds} seconds`)
          yield* Effect.forEach(many, (user) => fails(user), { concurrency: "unbounded" })
          requests += 1
          expect(asked).toHaveLength(requests)
        }
        behaviour.now = always(gives("back"))
        yield* TestClock.adjust("16 seconds")
        expect(yield* token("user 7")).toBe("back")
        yield* Effect.forEach(many, (user) => token(user), { concurrency: "unbounded" })
      })
  )

  for (const [what, reply] of [
    ["answers one caller's token with an error of its own", { status: 500, body: "<html>" }],
    ["gives one caller nothing that is a token", { body: "<html>hello</html>" }],
    ["calls one caller's request invalid", refuses("invalid_request")]
  ] as const) {
    it.scoped(`that ${what} is asked for the others, and left alone for that one`, () =>
      Effect.gen(function* () {
        const { asked, fails, token } = yield* world(({ form }) =>
          Effect.succeed(form.get("subject_token") === "token of eve" ? reply : gives("good"))
        )
        for (let n = 0; n < 20; n++) yield* fails("eve")
        const ofEve = asked.length
        expect(ofEve).toBeLessThanOrEqual(3)
        expect(yield* token("ann")).toBe("good")
        // Eve again, and alone.
        for (let n = 0; n < 20; n++) yield* fails("eve")
        expect(asked.length - ofEve).toBeLessThanOrEqual(4)
        expect(yield* token("bob")).toBe("good")
      })
    )
  }

  it.scoped("that asks for a pause gets it, exactly", () =>
    Effect.gen(function* () {
      const { asked, behaviour, fails, token } = yield* world(
        always({ status: 429, body: "", headers: { "retry-after": "30" } })
      )
      expect(yield* fails("ann")).toMatchObject({ kind: "rate-limited", retryAfterMs: 30_000 })
      behaviour.now = always(gives("back"))
      yield* TestClock.adjust("29999 millis")
      expect(yield* fails("bob")).toMatchObject({ retryAfterMs: 1 })
      yield* TestClock.adjust("1 millis")
      expect(yield* token("bob")).toBe("back")
      expect(asked).toHaveLength(2)
    })
  )

  it.scoped("is found through the issuer, and shown a signed assertion where there is a key", () =>
    Effect.gen(function* () {
      const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
      const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString()
      const { asked, token, url } = yield* world(
        ({ headers, path }) =>
          Effect.succeed(
            path === "/.well-known/openid-configuration"
              ? { body: { issuer: `http://${headers.host}`, token_endpoint: `http://${headers.host}/found` } }
              : path === "/found"
                ? gives("good")
                : { status: 404, body: "" }
          ),
        {
          issuer: "discovered",
          clientAuth: {
            _tag: "private_key_jwt",
            key: Effect.succeed(Redacted.make(pem)),
            keyId: "k1",
            audience: undefined
          }
        }
      )
      expect(yield* token("ann")).toBe("good")
      const [{ form, path } = { form: new URLSearchParams(), path: "" }] = asked
      expect(path).toBe("/found")
      const { jwtVerify } = yield* Effect.promise(() => import("jose"))
      const { payload, protectedHeader } = yield* Effect.promise(() =>
        jwtVerify(form.get("client_assertion") ?? "", createPublicKey(privateKey), { audience: url })
      )
      expect(payload).toMatchObject({ iss: "snowguard", sub: "snowguard" })
      expect(protectedHeader).toMatchObject({ alg: "ES256", kid: "k1" })
      expect(form.get("client_secret")).toBeNull()
    })
  )

  it.scoped("is shown the secret in the header where that is wanted", () =>
    Effect.gen(function* () {
      const { asked, token } = yield* world(always(gives("good")), {
        clientAuth: { _tag: "basic", secret: Effect.succeed(Redacted.make("a:b c")) }
      })
      yield* token("ann")
      const basic = Buffer.from((asked[0]!.headers.authorization ?? "").slice(6), "base64").toString("utf8")
      expect(basic.split(":").map((part) => decodeURIComponent(part.replaceAll("+", " ")))).toEqual([
        "snowguard",
        "a:b c"
      ])
      expect(asked[0]!.form.get("client_secret")).toBeNull()
    })
  )
})
