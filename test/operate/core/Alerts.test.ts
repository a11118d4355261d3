import { assert, describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import type { Event } from "../../../src/platform/core/Events.js"
import * as Core from "../../../src/operate/core/Alerts.js"

const about = (subject: string, n: number): Event => ({
  event: "mode_changed",
  subject,
  severity: "info",
  text: `${n}`,
  details: {}
})

describe("what is told, and when", () => {
  it.prop(
    "of a kind and subject at most one an interval, the last one always, and none is lost uncounted",
    {
      steps: fc.array(fc.tuple(fc.nat(3), fc.integer({ min: 0, max: 400 })), { maxLength: 60 }),
      intervalMs: fc.integer({ min: 1, max: 1_000 }),
      capacity: fc.integer({ min: 1, max: 5 })
    },
    ({ capacity, intervalMs, steps }) => {
      const state = Core.make()
      const bounds = { capacity, intervalMs }
      const pushed: Array<Core.Told & { readonly now: number }> = []
      let now = 0
      const drain = () => {
        for (;;) {
          const { dueAt, told } = Core.take(state, now, bounds)
          if (told === undefined) return dueAt
          pushed.push({ ...told, now })
        }
      }
      steps.forEach(([subject, pause], n) => {
        now += pause
        drain()
        Core.offer(state, now, bounds, { event: about(`${subject}`, n), at: now })
        assert.isAtMost(state.outbox.length, capacity)
        drain()
      })
      for (let due = drain(); due !== undefined; due = drain()) now = due
      const of = (subject: string) => pushed.filter(({ event }) => event.subject === subject)
      for (const subject of new Set(steps.map(([one]) => `${one}`))) {
        const told = of(subject)
        told.slice(1).forEach((one, i) => assert.isAtLeast(one.now - told[i]!.now, intervalMs))
        const last = steps.findLastIndex(([one]) => `${one}` === subject)
        if (state.dropped === 0) assert.strictEqual(told.at(-1)?.event.text, `${last}`)
      }
      const suppressed = pushed.reduce((sum, one) => sum + one.suppressed, 0)
      if (state.dropped === 0) assert.strictEqual(pushed.length + suppressed, steps.length)
    }
  )

  it("drops the oldest where there is no room, and counts it", () => {
    const state = Core.make()
    const bounds = { capacity: 2, intervalMs: 0 }
    for (const n of [1, 2, 3, 4]) Core.offer(state, 0, bounds, { event: about("a", n), at: 0 })
    expect(state.outbox.map(({ event }) => event.text)).toEqual(["3", "4"])
    expect(state.dropped).toBe(2)
  })

  it("remembers a bounded number of subjects, and tells early what would be forgotten", () => {
    const state = Core.make()
    const bounds = { capacity: 10_000, intervalMs: 1_000 }
    Core.offer(state, 0, bounds, { event: about("first", 1), at: 0 })
    Core.offer(state, 0, bounds, { event: about("first", 2), at: 0 })
    for (let n = 0; n < 3 * Core.MAX_SUBJECTS; n++)
      Core.offer(state, 0, bounds, { event: about(`s${n}`, n), at: 0 })
    expect(state.intervals.size).toBe(Core.MAX_SUBJECTS)
    const first = state.outbox.filter(({ event }) => event.subject === "first")
    expect(first.map(({ event }) => event.text)).toEqual(["1", "2"])
  })
})

describe("events", () => {
  const use = (used: number, scope: "client" | "global" = "client") => ({
    scope,
    quota: "queries_per_hour",
    limit: 10,
    used
  })
  const events = (levels: Core.Levels, used: number, client = "a") =>
    Core.quotas(levels, client, [use(used)]).map(({ event }) => event)

  it("of a quota come once at 80 and once at 100 percent, and again after it was less", () => {
    const levels: Core.Levels = new Map()
    expect([7, 8, 9, 8, 10, 10, 3, 8].map((used) => events(levels, used))).toEqual([
      [],
      ["quota_80"],
      [],
      [],
      ["quota_100"],
      [],
      [],
      ["quota_80"]
    ])
    expect(events(levels, 10, "b")).toEqual(["quota_100"])
  })

  it("of the quota of all name no client, and are told once for all", () => {
    const levels: Core.Levels = new Map()
    const [event] = Core.quotas(levels, "a", [use(10, "global")])
    expect(JSON.stringify(event)).not.toContain('"a"')
    expect(event?.severity).toBe("critical")
    expect(Core.quotas(levels, "b", [use(10, "global")])).toEqual([])
  })

  it("of the circuit are its opening and its closing; a failed probe is neither", () => {
    const change = (from: string, to: string) => Core.circuit({ from, to, cause: "5 failures" })?.event
    expect(change("closed", "open")).toBe("circuit_opened")
    expect(change("closed", "forced-open")).toBe("circuit_opened")
    expect(change("open", "half-open")).toBeUndefined()
    expect(change("half-open", "open")).toBeUndefined()
    expect(change("half-open", "closed")).toBe("circuit_closed")
  })

  it("of login and store are their changes", () => {
    const good: Core.Health = { latched: undefined, store: { mode: "normal" } }
    const latched = { ...good, latched: { reason: "no", nextLoginInMs: 1500 } }
    const lost: Core.Health = { ...good, store: { mode: "outage", refusing: true } }
    const names = (a: Core.Health, b: Core.Health) => Core.health(a, b).map(({ event }) => event)
    expect(names(good, good)).toEqual([])
    expect(names(good, latched)).toEqual(["login_refused"])
    expect(names(latched, latched)).toEqual([])
    expect(names(latched, lost)).toEqual(["login_accepted", "store_lost"])
    expect(names(lost, good)).toEqual(["store_found"])
    expect(Core.health(good, lost)[0]?.severity).toBe("critical")
  })

  it("of one user's login are of that user, and not of the server's", () => {
    const good: Core.Health = { latched: undefined, store: { mode: "normal" } }
    const of = (...names: ReadonlyArray<string>): Core.Health => ({
      ...good,
      latched: { reason: "no", nextLoginInMs: 1500, onlySome: true },
      latchedUsers: names.length,
      refusedUsers: names.map((user) => ({ user, reason: "no", nextLoginInMs: 1500 }))
    })
    const told = (a: Core.Health, b: Core.Health) =>
      Core.health(a, b).map(({ event, severity, subject }) => [event, severity, subject])
    expect(told(good, of("ANN"))).toEqual([["login_refused", "warning", "ANN"]])
    expect(Core.health(good, of("ANN"))[0]?.text).toContain("the user ANN alone")
    expect(told(of("ANN"), of("ANN"))).toEqual([])
    expect(told(of("ANN"), of("ANN", "BOB"))).toEqual([["login_refused", "warning", "BOB"]])
    expect(told(of("ANN", "BOB"), of("BOB"))).toEqual([["login_accepted", "info", "ANN"]])
    // All of them are refused: that is told once, of the server.
    const all = { ...of("ANN", "BOB"), latched: { reason: "no", nextLoginInMs: 1500 } }
    expect(told(good, all)).toEqual([["login_refused", "critical", ""]])
    expect(told(of("ANN"), all)).toEqual([["login_refused", "critical", ""]])
    expect(told(all, of("ANN"))).toEqual([
      ["login_accepted", "info", "BOB"],
      ["login_accepted", "info", ""]
    ])
    // A list that is cut off does not tell who is not refused any more.
    const many = { ...of("ANN"), latchedUsers: 30 }
    expect(told(of("ANN", "BOB"), many)).toEqual([])
    expect(told(many, { ...of("BOB"), latchedUsers: 30 })).toEqual([])
  })
})

describe("the document", () => {
  it("holds no control of Slack in its text, and is bounded", () => {
    const event = { ...about("", 0), text: `<!channel> & \u202e${"x".repeat(10_000)}` }
    const { text, version } = Core.document(
      { event, at: 0, suppressed: 0 },
      { id: "1", server: { host: "h", version: "1" }, iso: String, dropped: 0 }
    )
    expect(version).toBe(1)
    expect(text.startsWith("Snowguard on h: &lt;!channel&gt; &amp;  x")).toBe(true)
    expect(text.length).toBeLessThan(2_200)
  })
})
