import { assert, describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Logger, Redacted, Ref, TestClock } from "effect"
import { createHmac } from "node:crypto"
import type { IncomingMessage, ServerResponse } from "node:http"
import { createServer } from "node:http"
import { setImmediate, setTimeout } from "node:timers/promises"
import * as Bulkhead from "../../src/guard/Bulkhead.js"
import * as CircuitBreaker from "../../src/guard/CircuitBreaker.js"
import * as Degradation from "../../src/guard/Degradation.js"
import * as LoopGuard from "../../src/guard/LoopGuard.js"
import type { Event } from "../../src/platform/core/Events.js"
import * as Alerts from "../../src/operate/Alerts.js"
import * as Quota from "../../src/quota/Quota.js"
import * as QuotaStore from "../../src/quota/QuotaStore.js"
import { WarehouseError } from "../../src/warehouse/Warehouse.js"
import { listening } from "../utils/listening.js"
import { someOrAll } from "../utils/long.js"

const quiet = Effect.provide(Logger.remove(Logger.defaultLogger))

interface Got {
  readonly headers: IncomingMessage["headers"]
  readonly path: string
  readonly raw: string
  readonly body: {
    readonly event: string
    readonly text: string
    readonly id: string
    readonly dropped: number
    readonly suppressed: number
    readonly details: { readonly [name: string]: unknown }
  }
}

type Behaviour = (response: ServerResponse, n: number) => void

const takes: Behaviour = (response) => void response.writeHead(200).end("ok")

/** A receiver on this machine that does as it is told. */
const receiver = (behaviour: { now: Behaviour }) =>
  Effect.gen(function* () {
    const got: Array<Got> = []
    const server = createServer((request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        const raw = Buffer.concat(chunks).toString("utf8")
        got.push({
          headers: request.headers,
          path: request.url ?? "",
          raw,
          body: raw === "" ? {} : JSON.parse(raw)
        })
        behaviour.now(response, got.length)
      })
    })
    return { got, url: `${yield* listening(server)}/hook/secret-path?token=hidden` }
  })

/** Real turns of the event loop, in which no virtual time passes, until it is so. */
const until = (holds: Effect.Effect<boolean>): Effect.Effect<void> =>
  Effect.promise(() => setImmediate()).pipe(
    Effect.zipRight(holds),
    Effect.repeat({ until: (held) => held }),
    Effect.asVoid
  )

/** Virtual seconds, each with some turns of the event loop, until it is so. */
const pumped = (holds: Effect.Effect<boolean>): Effect.Effect<void> =>
  TestClock.adjust("1 second").pipe(
    Effect.zipRight(Effect.promise(() => setTimeout(5))),
    Effect.zipRight(holds),
    Effect.repeat({ until: (held) => held }),
    Effect.asVoid
  )

const happened = (n: number, subject = `${n}`): Event => ({
  event: "mode_changed",
  subject,
  severity: "info",
  text: `event ${n}`,
  details: { n }
})

const to = (url: string, more: Partial<Alerts.Receiver> = {}): Alerts.Receivers => ({
  team: { url: Redacted.make(url), events: [], minIntervalMs: 60_000, ...more }
})

const only = (alerts: Alerts.Alerts["Type"]) =>
  Effect.map(alerts.status, ({ receivers }) => receivers[0] ?? assert.fail("no receiver"))

const server = { host: "box" }

describe("a receiver", () => {
  it.scoped("is told with a signature over time and body, and with the login of its address", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_700_000_000_000)
      const { got, url } = yield* receiver({ now: takes })
      const address = url.replace("://", "://us%40er:pass@")
      const alerts = yield* Alerts.make(to(address, { signingKey: Redacted.make("k") }), server)
      yield* alerts.tell(happened(1))
      yield* until(Effect.sync(() => got.length === 1))
      const { body, headers, path, raw } = got[0]!
      const hmac = createHmac("sha256", "k").update(`1700000000.${raw}`).digest("hex")
      expect(headers["x-snowguard-signature"]).toBe(`t=1700000000,v1=${hmac}`)
      expect(headers["x-snowguard-id"]).toBe(body.id)
      expect(headers.authorization).toBe(`Basic ${Buffer.from("us@er:pass").toString("base64")}`)
      expect(path).toBe("/hook/secret-path?token=hidden")
      expect(JSON.parse(raw)).toMatchObject({
        version: 1,
        event: "mode_changed",
        severity: "info",
        at: "2023-11-14T22:13:20.000Z",
        server: { host: "box" },
        text: "Snowguard on box: event 1",
        details: { n: 1 },
        suppressed: 0,
        dropped: 0
      })
    })
  )

  it.scoped("is told of the events it names, once an interval, and of the last one when that is over", () =>
    Effect.gen(function* () {
      const { got, url } = yield* receiver({ now: takes })
      const alerts = yield* Alerts.make(to(url, { events: ["mode_changed"] }), server)
      yield* alerts.tell({ ...happened(0), event: "store_lost" })
      for (const n of [1, 2, 3]) yield* alerts.tell(happened(n, "mode"))
      yield* until(Effect.map(only(alerts), ({ delivered }) => delivered === 1))
      yield* TestClock.adjust(59_999)
      expect(got.map(({ body }) => body.details["n"])).toEqual([1])
      yield* TestClock.adjust(1)
      yield* until(Effect.map(only(alerts), ({ delivered }) => delivered === 2))
      expect(got.map(({ body }) => [body.details["n"], body.suppressed])).toEqual([
        [1, 0],
        [3, 1]
      ])
    })
  )

  const failing: { readonly [name: string]: Behaviour } = {
    "refuses (503)": (response) => void response.writeHead(503).end(),
    "refuses (403)": (response) => void response.writeHead(403).end("no"),
    redirects: (response) => void response.writeHead(307, { location: "/elsewhere" }).end(),
    "is down": (response) => void response.socket?.destroy(),
    "sends endless headers": (response) => {
      response.socket?.write(`HTTP/1.1 200 OK\r\n${"x: y\r\n".repeat(100_000)}`)
    }
  }
  for (const [name, fails] of someOrAll(Object.entries(failing), 2)) {
    it.scoped(`that ${name} loses no event within the bound, and gets them in order`, () =>
      Effect.gen(function* () {
        const behaviour = { now: fails }
        const { got, url } = yield* receiver(behaviour)
        const alerts = yield* Alerts.make(to(url), server)
        yield* alerts.tell(happened(0))
        yield* until(Effect.map(only(alerts), ({ failed }) => failed === 1))
        for (let n = 1; n < 101; n++) yield* alerts.tell(happened(n))
        yield* pumped(Effect.map(only(alerts), ({ failed }) => failed >= 7))
        expect(got.every(({ path }) => path.startsWith("/hook/"))).toBe(true)
        expect(new Set(got.map(({ body }) => body.id)).size).toBe(1)
        const { trouble, waiting } = yield* only(alerts)
        expect(waiting).toBe(100)
        expect(trouble).toBeDefined()
        expect(trouble).not.toContain("hidden")
        behaviour.now = takes
        const before = got.length
        yield* pumped(Effect.map(only(alerts), ({ delivered }) => delivered === 101))
        expect(got.slice(before).map(({ body }) => body.details["n"])).toEqual(
          Array.from({ length: 101 }, (_, n) => n)
        )
        expect((yield* only(alerts)).trouble).toBeUndefined()
      }).pipe(quiet)
    )
  }

  it.scoped("that does not answer is given up after ten seconds, and tried again", () =>
    Effect.gen(function* () {
      const behaviour: { now: Behaviour } = { now: () => {} }
      const { got, url } = yield* receiver(behaviour)
      const alerts = yield* Alerts.make(to(url), server)
      yield* alerts.tell(happened(1))
      yield* until(Effect.sync(() => got.length === 1))
      yield* TestClock.adjust(9_999)
      expect((yield* only(alerts)).failed).toBe(0)
      yield* TestClock.adjust(1)
      yield* until(Effect.map(only(alerts), ({ failed }) => failed === 1))
      behaviour.now = takes
      yield* pumped(Effect.map(only(alerts), ({ delivered }) => delivered === 1))
    }).pipe(quiet)
  )

  it.scoped("that answers without an end is not read", () =>
    Effect.gen(function* () {
      const closed = yield* Ref.make(false)
      let sent = 0
      const { url } = yield* receiver({
        now: (response) => {
          response.writeHead(200)
          const chunk = Buffer.alloc(64 * 1024)
          const more = () => {
            while (response.write(chunk)) sent += chunk.length
          }
          response.on("drain", more)
          response.on("close", () => Effect.runFork(Ref.set(closed, true)))
          more()
        }
      })
      const alerts = yield* Alerts.make(to(url), server)
      yield* alerts.tell(happened(1))
      yield* until(Effect.map(only(alerts), ({ delivered }) => delivered === 1))
      yield* until(Ref.get(closed))
      expect(sent).toBeLessThan(32 * 1024 * 1024)
    })
  )

  it.scoped("that stays away costs a bounded number of events, and is told how many were dropped", () =>
    Effect.gen(function* () {
      const behaviour: { now: Behaviour } = { now: failing["refuses (503)"]! }
      const { got, url } = yield* receiver(behaviour)
      const alerts = yield* Alerts.make(to(url), server)
      yield* alerts.tell(happened(0))
      yield* until(Effect.map(only(alerts), ({ failed }) => failed === 1))
      for (let n = 1; n <= 5_000; n++) yield* alerts.tell(happened(n))
      expect(yield* only(alerts)).toMatchObject({ waiting: 100, dropped: 4_900 })
      behaviour.now = takes
      yield* pumped(Effect.map(only(alerts), ({ delivered }) => delivered === 101))
      const taken = got.slice(1).map(({ body }) => [body.details["n"], body.dropped])
      // The first one was on its way before any was dropped.
      expect(taken.slice(0, 3)).toEqual([
        [0, 0],
        [4901, 4900],
        [4902, 0]
      ])
    }).pipe(quiet)
  )

  it.scoped("gets what waits for it after a change of its settings; one that is gone gets nothing more", () =>
    Effect.gen(function* () {
      const first = yield* receiver({ now: failing["refuses (503)"]! })
      const second = yield* receiver({ now: takes })
      const alerts = yield* Alerts.make(to(first.url), server)
      for (const n of [1, 2]) yield* alerts.tell(happened(n))
      yield* until(Effect.map(only(alerts), ({ failed }) => failed === 1))
      yield* alerts.configure(to(second.url))
      yield* until(Effect.map(only(alerts), ({ delivered }) => delivered === 2))
      expect(second.got.map(({ body }) => body.details["n"])).toEqual([1, 2])
      yield* alerts.configure({})
      yield* alerts.tell(happened(3))
      yield* TestClock.adjust("2 hours")
      expect([first.got.length, second.got.length]).toEqual([1, 2])
    }).pipe(quiet)
  )
})

/** What is told, without a receiver. */
const collected = Effect.map(Ref.make<ReadonlyArray<Event>>([]), (ref) => ({
  events: Ref.get(ref),
  layer: Layer.succeed(Alerts.Alerts, {
    tell: (event) => Ref.update(ref, (all) => [...all, event]),
    configure: () => Effect.void,
    status: Effect.succeed({ latest: [], receivers: [] })
  })
}))

const names = (events: ReadonlyArray<Event>) => events.map(({ event }) => event)

describe("what is told", () => {
  it.effect("are quotas at 80 and 100 percent, of a client and of all", () =>
    Effect.gen(function* () {
      const { events, layer } = yield* collected
      const inner = Layer.provide(
        Layer.orDie(
          Quota.layer({
            tiers: { default: { requests_per_hour: 10 } },
            global: { requests_per_hour: 20 }
          })
        ),
        QuotaStore.layerMemory
      )
      const call = (client: string) =>
        Effect.flatMap(Quota.Quota, (quota) =>
          quota.reserve({ client, tier: "default", class: "metadata", estimatedBytes: 0, deadlineMs: 1_000 })
        ).pipe(Effect.flip, Effect.option)
      yield* Effect.gen(function* () {
        for (let n = 0; n < 12; n++) yield* call("ann")
        expect((yield* events).map(({ event, subject }) => [event, subject])).toEqual([
          ["quota_80", "requests_per_hour ann"],
          ["quota_100", "requests_per_hour ann"]
        ])
        for (let n = 0; n < 10; n++) yield* call("bob")
        expect(names((yield* events).slice(2)).sort()).toEqual([
          "quota_100",
          "quota_100",
          "quota_80",
          "quota_80"
        ])
      }).pipe(Effect.provide(Layer.provide(Alerts.layerQuota, Layer.merge(inner, layer))))
    })
  )

  it.effect("are clients that repeat what has failed, without the statement", () =>
    Effect.gen(function* () {
      const { events, layer } = yield* collected
      const inner = Layer.effect(LoopGuard.LoopGuard, LoopGuard.make("duckdb"))
      const failure = new WarehouseError({ reason: "NotFound", description: "no SECRETS", sent: "yes" })
      yield* Effect.gen(function* () {
        const guard = yield* LoopGuard.LoopGuard
        const attempt = guard.protect({ client: "ann", statement: "select secret" }, Effect.fail(failure))
        for (let n = 0; n < 20; n++) yield* Effect.flip(attempt)
      }).pipe(Effect.provide(Layer.provide(Alerts.layerLoopGuard, Layer.merge(inner, layer))))
      const told = yield* events
      expect(new Set(names(told))).toEqual(new Set(["client_looping"]))
      expect(new Set(told.map(({ subject }) => subject))).toEqual(new Set(["ann WAREHOUSE_NOT_FOUND"]))
      expect(JSON.stringify(told).toLowerCase()).not.toContain("secret")
    })
  )

  it.scoped("are the circuit, the mode and the store", () =>
    Effect.gen(function* () {
      const { events, layer } = yield* collected
      const breaker = CircuitBreaker.layer()
      const store = yield* Ref.make<QuotaStore.Health>({ mode: "normal" })
      yield* Effect.gen(function* () {
        const breaker = yield* CircuitBreaker.CircuitBreaker
        const degradation = yield* Degradation.Degradation
        yield* TestClock.adjust("2 seconds")
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* breaker.forceOpen("an operator")
            yield* degradation.pin("cache-only", "a test")
            yield* Ref.set(store, { mode: "outage", reason: "gone", refusing: true })
            yield* TestClock.adjust("2 seconds")
          })
        )
        yield* Ref.set(store, { mode: "normal" })
        yield* TestClock.adjust("2 minutes")
        yield* degradation.decide("query").pipe(Effect.ignore)
        yield* TestClock.adjust("2 seconds")
        const told = names(yield* events)
        for (const name of ["circuit_opened", "circuit_closed", "mode_changed", "store_lost", "store_found"])
          expect(told).toContain(name)
      }).pipe(
        Effect.provide(
          Layer.provideMerge(
            Alerts.layerWatch(),
            Layer.mergeAll(
              layer,
              breaker,
              Layer.provide(Degradation.layer(), Layer.merge(breaker, Bulkhead.layerNoop)),
              Layer.succeed(QuotaStore.StoreHealth, { status: Ref.get(store) })
            )
          )
        )
      )
    })
  )
})
