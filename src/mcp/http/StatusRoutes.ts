/**
 * What people see of a running server: a page, and what it shows as JSON and as a stream of events.
 *
 * | path | for | |
 * |---|---|---|
 * | `/status` | everybody | the page; it holds nothing of the server's |
 * | `/status/data` | callers | now, and the last hour |
 * | `/status/events` | callers | now, every two seconds |
 *
 * Who may not administer sees totals, and no name of another client. Who watches is bounded, shares one look
 * at the services with all others, and is let go when the server stops. A stream ends by itself after some
 * minutes: whoever comes back proves again who he is.
 *
 * @since 0.1.0
 */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { ServerResponse } from "node:http"
import * as Page from "../../dashboard/page.js"
import { McpServer } from "../McpServer.js"
import type { Snapshot } from "../../operate/Operator.js"
import { Operator } from "../../operate/Operator.js"
import { monotonicMillis } from "../../platform/monotonic.js"
import type { Identity } from "../auth/Auth.js"
import type { Edge } from "./Edge.js"
import * as Exchange from "./Exchange.js"
import type { Refusal } from "./Replies.js"
import * as Replies from "./Replies.js"
import type { Streams } from "./Streams.js"

export interface Options {
  readonly edge: Edge
  readonly streams: Streams
  /** Without the page there are no events, and its data is for administrators alone. */
  readonly hasPage: boolean
  /** Ends when the server begins to stop. */
  readonly draining: Effect.Effect<void>
}

const EVERY_MS = 2_000

/** A look at the services serves whoever asks within this time. */
const FRESH_MS = 500

/** Of the calls under way, the oldest. */
const SHOWN_CALLS = 50

const STREAM_LASTS = "10 minutes"

/** At a time, of all and of one caller. */
const MAX_WATCHERS = 64
const MAX_WATCHERS_EACH = 8

const tooMany: Refusal = {
  status: 503,
  reason: "watchers",
  message: `At most ${MAX_WATCHERS} may watch at a time, and ${MAX_WATCHERS_EACH} of one caller.`,
  retryAfterMs: 5_000
}

const pageHeaders = {
  "content-security-policy": [
    "default-src 'self'",
    `script-src '${Page.scriptHash}'`,
    `style-src '${Page.styleHash}'`,
    "img-src data:",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'"
  ].join("; "),
  "cache-control": "no-store",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY"
}

const page = HttpServerResponse.text(Page.html, {
  contentType: "text/html; charset=utf-8",
  headers: pageHeaders
})

const eventHeaders = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  // A proxy that collects them would show old news.
  "x-accel-buffering": "no"
}

/** Who watches, counted until the response is over, however it ends. */
const makeWatchers = () => {
  const each = new Map<string, number>()
  let all = 0
  return (response: ServerResponse, { owner }: Identity): boolean => {
    const own = each.get(owner) ?? 0
    if (all >= MAX_WATCHERS || own >= MAX_WATCHERS_EACH) return false
    if (response.destroyed) return true
    all += 1
    each.set(owner, own + 1)
    response.once("close", () => {
      all -= 1
      const left = (each.get(owner) ?? 1) - 1
      if (left === 0) each.delete(owner)
      else each.set(owner, left)
    })
    return true
  }
}

const withoutNames = ({
  actions: _,
  clients: __,
  running: ___,
  unserved: ____,
  ...totals
}: Snapshot): Snapshot => totals

const seenBy = ({ admin }: Identity, snapshot: Snapshot): Snapshot =>
  admin ? snapshot : withoutNames(snapshot)

const encoder = new TextEncoder()

const event = (data: object): Uint8Array => encoder.encode(`data: ${JSON.stringify(data)}\n\n`)

export const make = ({ draining, edge, hasPage, streams }: Options) =>
  Effect.gen(function* () {
    const operator = yield* Operator
    const { running = () => [] } = yield* McpServer
    const watch = makeWatchers()

    let last: { readonly at: number; readonly snapshot: Snapshot } | undefined
    const snapshot = Effect.flatMap(monotonicMillis, (now) =>
      last !== undefined && now - last.at < FRESH_MS
        ? Effect.succeed(last.snapshot)
        : Effect.map(operator.snapshot("all"), (seen): Snapshot => {
            const calls = running()
              .slice(0, SHOWN_CALLS)
              .map(({ client, sent, since, tool }) => ({
                client,
                tool,
                ms: Math.max(0, Math.round(now - since)),
                sent
              }))
            const fresh = { ...seen, running: calls }
            last = { at: now, snapshot: fresh }
            return fresh
          })
    )

    /** One look for all who watch; nobody watches, nobody looks. */
    const look = Effect.all([snapshot, operator.history(1)])
    const looks = yield* Stream.repeatEffectWithSchedule(look, Schedule.spaced(EVERY_MS)).pipe(
      Stream.share({ capacity: 1, strategy: "sliding" })
    )

    const data = Exchange.make(edge, ({ request }) =>
      Effect.gen(function* () {
        const identity = yield* hasPage
          ? Exchange.person(edge, request)
          : Exchange.administrator(edge, request)
        return Replies.document(200, {
          admin: identity.admin,
          sign_in: edge.signIn,
          now: yield* Clock.currentTimeMillis,
          snapshot: seenBy(identity, yield* snapshot),
          history: yield* operator.history()
        })
      })
    )

    const events = Exchange.make(edge, ({ request, response }) =>
      Effect.gen(function* () {
        if (!hasPage) return yield* Effect.fail(Replies.notFound)
        const identity = yield* Exchange.person(edge, request)
        if (!watch(response, identity)) return yield* Effect.fail(tooMany)
        streams.opened(response, "status", () => {})
        const body = Stream.concat(Stream.fromEffect(look), looks).pipe(
          Stream.map(([look, history]) => event({ snapshot: seenBy(identity, look), history })),
          Stream.interruptAfter(STREAM_LASTS),
          Stream.interruptWhen(draining)
        )
        return HttpServerResponse.stream(body, { contentType: "text/event-stream", headers: eventHeaders })
      })
    )

    return {
      page: Exchange.make(edge, () => (hasPage ? Effect.succeed(page) : Effect.fail(Replies.notFound))),
      data,
      events,
      /** What was seen is not true any more. */
      changed: Effect.sync(() => {
        last = undefined
      })
    }
  })
