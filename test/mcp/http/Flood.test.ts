import { assert, describe, it } from "@effect/vitest"
import {
  Effect,
  Either,
  Fiber,
  Layer,
  Logger,
  LogLevel,
  Metric,
  MetricState,
  Option,
  TestClock
} from "effect"
import { generateKeyPair, exportJWK } from "jose"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"
import { Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setImmediate } from "node:timers/promises"
import * as Audit from "../../../src/observe/Audit.js"
import * as Auth from "../../../src/mcp/auth/Auth.js"
import * as Keys from "../../../src/mcp/auth/Keys.js"
import * as OAuth from "../../../src/mcp/auth/OAuth.js"
import * as Edge from "../../../src/mcp/http/Edge.js"
import * as Http from "../../../src/mcp/http/Http.js"
import * as H from "../../utils/http.js"
import { inLongForm, shortOrLong } from "../../utils/long.js"

const tiers = { tierOf: () => "default", isTier: (tier: string) => tier === "default" }

/** The caps of the tables at the edge. */
const ADDRESSES = 10_000
const CREDENTIALS = 10_000
/** More than either of them. */
const FLOOD = shortOrLong(12_000, 70_000)
/** Requests of each kind over the wire: so many that every series has been counted for the first time. */
const SENT = 110

/** In every fake secret, so that it is found wherever it might turn up. */
const mark = "fAkE"

const fakeKey = (i: number) => `sg_${i.toString(16).padStart(12, "0")}_${mark}${String(i).padStart(39, "x")}`

const fakeToken = (i: number) =>
  [`{"alg":"ES256","kid":"${mark}${i}"}`, `{"sub":"${mark}${i}"}`, `${mark}${i}`]
    .map((part) => Buffer.from(part).toString("base64url"))
    .join(".")

const address = (i: number) => `${11 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.7`

const keysFile = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-flood-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
).pipe(Effect.map((folder) => join(folder, "keys.json")))

/** An authorization server with one key, and how often it was asked. */
const authorizationServer = Effect.gen(function* () {
  const { publicKey } = yield* Effect.promise(() => generateKeyPair("ES256"))
  const jwk = yield* Effect.promise(() => exportJWK(publicKey))
  const state = { asked: 0 }
  const server = yield* Effect.acquireRelease(
    Effect.async<ReturnType<typeof createServer>>((resume) => {
      const server = createServer((_, response) => {
        state.asked += 1
        response.end(JSON.stringify({ keys: [{ ...jwk, kid: "one" }] }))
      }).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, state }
})

/** A request that came through a proxy. */
const requests = () => {
  const socket = new Socket()
  Object.defineProperty(socket, "remoteAddress", { value: "10.0.0.1" })
  // One object for all: they come one after the other.
  const request = new IncomingMessage(socket)
  return (token: string, from: string): IncomingMessage => {
    request.headers = { host: "localhost", authorization: `Bearer ${token}`, "x-forwarded-for": from }
    return request
  }
}

const edgeOf = (auth: Layer.Layer<Auth.Authenticator>, options: Partial<Edge.Options> = {}) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(auth)
    const edge = yield* Effect.provide(
      Edge.make({
        ...Http.defaults,
        trustedProxies: ["10.0.0.0/8"],
        // So slowly that no address is forgotten before the flood is over.
        failures: { burst: 20, ratePerSecond: 0.0001 },
        requests: Http.defaults.clientRequests,
        bytes: Http.defaults.clientBytes,
        ...options
      }),
      context
    )
    const { entries } = yield* Effect.provide(Auth.Authenticator, context)
    return { edge, entries: () => entries?.() ?? 0 }
  })

/** So many strangers, each with a credential and an address of its own; how they were answered. */
const flood = (
  edge: Edge.Edge,
  count: number,
  fake: (i: number) => string,
  every: Effect.Effect<void> = Effect.void
) =>
  Effect.gen(function* () {
    const request = requests()
    const answers: { [status: string]: number } = {}
    for (let i = 0; i < count; i++) {
      const got = yield* Effect.either(edge.identify(request(fake(i), address(i))))
      const status = Either.isRight(got) ? "let in" : String(got.left.status)
      answers[status] = (answers[status] ?? 0) + 1
      if (i % 1_000 === 0) yield* every
    }
    return answers
  })

const quiet = Effect.provide(Logger.minimumLogLevel(LogLevel.None))

describe("a flood of strangers", () => {
  it.scopedLive(
    "made-up keys of as many addresses, more than there is room for: tables stay bounded, a real key goes on",
    () =>
      Effect.gen(function* () {
        const path = yield* keysFile
        const { key } = yield* Keys.create(path, { client: "alice" })
        const { edge, entries } = yield* edgeOf(Layer.orDie(Keys.layer({ ...tiers, path })))
        const request = requests()
        const real = Effect.map(
          Effect.orDie(
            Effect.mapError(edge.identify(request(key, "192.0.2.1")), ({ reason }) => new Error(reason))
          ),
          ({ principal }) => assert.strictEqual(principal.client, "alice")
        )
        const answers = yield* flood(edge, FLOOD, fakeKey, real)
        assert.deepStrictEqual(Object.keys(answers), ["401", "429"])
        assert.strictEqual((answers["401"] ?? 0) + (answers["429"] ?? 0), FLOOD)
        // As many as are told apart, and what those that share one bucket have left.
        assert.isAtMost(answers["401"] ?? 0, ADDRESSES + 20)
        assert.isAtMost(edge.remembered(), ADDRESSES)
        assert.isAtLeast(edge.remembered(), ADDRESSES - 1)
        assert.isAtMost(entries(), CREDENTIALS)
        yield* real
      }).pipe(quiet)
  )

  it.scoped("every look at credentials is counted by what it found, whatever becomes of the request", () =>
    Effect.gen(function* () {
      const path = yield* keysFile
      const { key } = yield* Keys.create(path, { client: "alice" })
      const { edge } = yield* edgeOf(Layer.orDie(Keys.layer({ ...tiers, path })), {
        failures: { burst: 1, ratePerSecond: 0.0001 },
        requests: { burst: 1, ratePerSecond: 0.0001 }
      })
      const counts = Effect.map(
        Metric.snapshot,
        (pairs) =>
          new Map(
            pairs.flatMap(({ metricKey: { name, tags }, metricState }) =>
              name === "snowguard_http_auth_total" && MetricState.isCounterState(metricState)
                ? [[tags[0]?.value ?? "", Number(metricState.count)] as const]
                : []
            )
          )
      )
      const before = yield* counts
      const request = requests()
      const asked = (token: string) =>
        Effect.fork(Effect.either(edge.identify(request(token, "192.0.2.1")))).pipe(
          // The file of keys is read in real time before anything waits.
          Effect.tap((fiber) =>
            Effect.repeat(
              Effect.zipRight(
                Effect.promise(() => setImmediate()),
                TestClock.adjust("1 second")
              ),
              { until: () => Effect.map(Fiber.poll(fiber), Option.isSome) }
            )
          ),
          Effect.flatMap(Fiber.join),
          Effect.map(Either.match({ onLeft: ({ reason }) => reason, onRight: () => "let in" }))
        )
      const answers = yield* Effect.forEach([key, key, fakeKey(1), key, fakeKey(2)], asked)
      assert.deepStrictEqual(answers, ["let in", "requests", "auth-invalid", "requests", "failed-logins"])
      const after = yield* counts
      const more = [...after].flatMap(([result, count]) => {
        const added = count - (before.get(result) ?? 0)
        return added === 0 ? [] : [[result, added] as const]
      })
      assert.deepStrictEqual(Object.fromEntries(more), { ok: 3, invalid: 1, "failed-logins": 1 })
    })
  )

  it.scopedLive("forged tokens: the same, and the authorization server is asked once", () =>
    Effect.gen(function* () {
      const { state, url } = yield* authorizationServer
      const { edge, entries } = yield* edgeOf(
        Layer.orDie(
          OAuth.layer({
            ...tiers,
            issuer: url,
            jwksUrl: `${url}/jwks`,
            resource: "https://snow.example.com/mcp",
            algorithms: [],
            scopes: [],
            adminScope: "admin",
            clientClaim: "sub"
          })
        )
      )
      const answers = yield* flood(edge, Math.min(FLOOD, 30_000), fakeToken)
      // The first few keys might have been new ones.
      const { "503": doubted, ...others } = answers
      assert.strictEqual(doubted, 8)
      assert.deepStrictEqual(Object.keys(others), ["401", "429"])
      assert.isAtMost(edge.remembered(), ADDRESSES)
      assert.strictEqual(entries(), 0)
      assert.strictEqual(state.asked, 1)
    }).pipe(quiet)
  )

  inLongForm(() => {
    it.scopedLive(
      "over the wire: refused by what they lack, counted without a name, and no other client is slowed",
      () =>
        Effect.gen(function* () {
          const path = yield* keysFile
          const { key } = yield* Keys.create(path, { client: "alice", admin: true })
          const lines: Array<string> = []
          const entries: Array<Audit.Entry> = []
          const capture = Layer.merge(
            Logger.replace(
              Logger.defaultLogger,
              Logger.map(Logger.jsonLogger, (line) => void lines.push(line))
            ),
            Logger.minimumLogLevel(LogLevel.All)
          )
          const server = yield* H.server({
            auth: Layer.orDie(Keys.layer({ ...tiers, path })),
            options: { maxSessions: 100, maxSessionsPerClient: 90 },
            audit: Layer.succeed(Audit.Audit, {
              record: (entry) => Effect.sync(() => void entries.push(entry))
            })
          }).pipe(Effect.provide(capture))
          const mine = yield* server.open({ token: key })

          const post = (body: object, headers: { readonly [name: string]: string }) =>
            fetch(server.url, {
              method: "POST",
              headers: {
                accept: "application/json, text/event-stream",
                "content-type": "application/json",
                ...headers
              },
              body: JSON.stringify(body)
            }).then(async (response) => {
              const text = await response.text()
              if (!response.ok) assert.notInclude(text, mark)
              return response.status
            })
          const real = { authorization: `Bearer ${key}` }
          const kinds: { readonly [kind: string]: (i: number) => Promise<number> } = {
            keys: (i) => post(H.initialize(), { authorization: `Bearer ${fakeKey(i)}` }),
            tokens: (i) => post(H.initialize(), { authorization: `Bearer ${fakeToken(i)}` }),
            addresses: (i) => post(H.initialize(), { "x-forwarded-for": address(i) }),
            sessions: (i) => post(H.message(1, "ping"), { ...real, "mcp-session-id": `${mark}-${i}` }),
            names: (i) =>
              post(
                {
                  ...H.initialize(),
                  params: {
                    protocolVersion: "2025-11-25",
                    capabilities: {},
                    clientInfo: { name: `${mark}-${i}`, version: "1" }
                  }
                },
                real
              ),
            methods: (i) => post(H.message(i, `${mark}/${i}`), { ...real, "mcp-session-id": mine }),
            tools: (i) => post(H.toolCall(i, `${mark}-${i}`), { ...real, "mcp-session-id": mine })
          }
          const metrics = Effect.map(server.ask({ path: "/metrics", token: key }), ({ body }) => body)
          const series = Effect.map(metrics, (text) =>
            text
              .split("\n")
              .filter((line) => line !== "" && !line.startsWith("#"))
              .map((line) => line.replace(/ \S+$/, ""))
          )
          let serial = 0
          const round = (from: number, count: number) =>
            Effect.promise(async () => {
              const answers: { [kind: string]: { [status: string]: number } } = {}
              for (const [kind, send] of Object.entries(kinds)) {
                const own = (answers[kind] = {} as { [status: string]: number })
                let next = from
                const worker = async () => {
                  while (next < from + count) {
                    const status = await send(next++)
                    own[status] = (own[status] ?? 0) + 1
                    if (next % 50 === 0) {
                      const call = await post(H.toolCall(`call-${serial++}`, "who"), {
                        ...real,
                        "mcp-session-id": mine
                      })
                      assert.strictEqual(call, 200)
                    }
                  }
                }
                await Promise.all(Array.from({ length: 8 }, worker))
              }
              return answers
            })

          // Everything is counted for the first time.
          yield* metrics
          yield* Effect.promise(async () => {
            for (const send of Object.values(kinds)) await send(1)
          })
          yield* round(1_000, SENT)
          const before = yield* series
          const answers = yield* round(2_000, SENT)
          const after = yield* series
          assert.deepStrictEqual(after.sort(), before.sort())
          for (const kind of ["keys", "tokens", "addresses"]) {
            // The few made-up keys that might have been new ones are long used up.
            const { "401": refused = 0, "429": held = 0, ...others } = answers[kind] ?? {}
            assert.deepStrictEqual(others, {}, kind)
            assert.strictEqual(refused + held, SENT, kind)
            assert.isAbove(held, SENT / 3, kind)
          }
          assert.deepStrictEqual(answers["sessions"], { "200": SENT })
          assert.deepStrictEqual(answers["names"], { "200": SENT })
          for (const kind of ["methods", "tools"])
            assert.deepStrictEqual(answers[kind], { "200": SENT }, kind)
          const text = yield* metrics
          const gauge = (name: string) =>
            Number(
              text
                .split("\n")
                .find((line) => line.startsWith(`${name} `))
                ?.split(" ")[1]
            )
          assert.isAtMost(gauge("snowguard_http_sessions"), 90)
          // All came from one address, whatever they said.
          assert.strictEqual(gauge('snowguard_http_remembered{table="addresses"}'), 1)
          assert.strictEqual(gauge('snowguard_http_remembered{table="credentials"}'), 1)
          // What a client that is known asked for is in the audit log, and only there.
          const audited = entries.map(({ asked: _, ...entry }) => JSON.stringify(entry))
          const written = [text, ...lines, ...audited].join("\n")
          assert.notInclude(written, mark)
          assert.notInclude(written, Buffer.from(mark).toString("base64url").slice(0, 5))
          assert.notInclude(written, key.slice(16))
        })
    )
  })
})
