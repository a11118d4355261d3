/**
 * Tells operators what happens, by POST to the receivers of the configuration: `docs/alerts.md` has the format.
 *
 * ```
 *   circuit, mode     their streams      ┐
 *   quotas, loops     in front of them   ├─> told ──> one State a receiver ──> one fiber a receiver ──> POST
 *   login, store      looked at          ┘             (core/Alerts)            again until it is taken
 * ```
 *
 * No call waits for a receiver: what it costs a call is one entry in a bounded table. A receiver that does not take an
 * event is tried again, later each time, for an hour; meanwhile the next {@link CAPACITY} events wait, and the oldest
 * are dropped and counted. What waits when the process ends is lost.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { createHmac } from "node:crypto"
import * as CircuitBreaker from "../guard/CircuitBreaker.js"
import * as Degradation from "../guard/Degradation.js"
import * as LoopGuard from "../guard/LoopGuard.js"
import { names } from "../platform/core/Events.js"
import type { Event, Name } from "../platform/core/Events.js"
import { iso } from "../platform/core/format.js"
import { same } from "../platform/core/same.js"
import { begin, counter } from "../platform/metrics.js"
import { modifyAt, updateAt } from "../platform/monotonic.js"
import * as Live from "../platform/Live.js"
import * as Outbound from "../platform/outbound.js"
import * as Package from "../platform/package.js"
import * as RequestId from "../platform/requestId.js"
import { withoutStack } from "../platform/withoutStack.js"
import * as Quota from "../quota/Quota.js"
import { StoreHealth } from "../quota/QuotaStore.js"
import * as WarehouseHealth from "../warehouse/WarehouseHealth.js"
import * as Core from "./core/Alerts.js"
import { Reloads } from "./Reloads.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Receiver {
  /** A user and a password in it become the header `authorization`. */
  readonly url: Redacted.Redacted<string>
  /** Empty: all. */
  readonly events: ReadonlyArray<Name>
  /** Milliseconds between two events of one kind and subject. */
  readonly minIntervalMs: number
  readonly signingKey?: Redacted.Redacted<string> | undefined
}

/**
 * By their names.
 *
 * @since 0.1.0
 * @category models
 */
export type Receivers = { readonly [name: string]: Receiver }

/**
 * How it stands with a receiver.
 *
 * @since 0.1.0
 * @category models
 */
export interface Status {
  readonly name: string
  /** Without what may be a secret. */
  readonly host: string
  readonly delivered: number
  /** Attempts that it did not take. */
  readonly failed: number
  readonly waiting: number
  readonly dropped: number
  /** Why the last attempt failed; absent when it did not. */
  readonly trouble?: string | undefined
}

/**
 * @since 0.1.0
 * @category context
 */
export class Alerts extends Context.Tag("snowguard/Alerts")<
  Alerts,
  {
    /** Returns at once. */
    readonly tell: (event: Event) => Effect.Effect<void>
    /** Other receivers from now on. What waits for one that stays goes to it. */
    readonly configure: (receivers: Receivers) => Effect.Effect<void>
    /** The latest events, the newest first, and how it stands with the receivers. */
    readonly status: Effect.Effect<{
      readonly latest: ReadonlyArray<Core.Stamped>
      readonly receivers: ReadonlyArray<Status>
    }>
  }
>() {}

/** Why a receiver did not take an event. */
class NotTaken extends Schema.TaggedError<NotTaken>("snowguard/Alerts/NotTaken")("NotTaken", {
  description: Schema.String
}) {}

/** Events that wait for a receiver; some hundred bytes each. */
const CAPACITY = 100

/** Events that are remembered for the status. */
const REMEMBERED = 20

/** Of one attempt. */
const ATTEMPT_LASTS = "10 seconds"

const PAUSES = Schedule.exponential("1 second").pipe(
  Schedule.union(Schedule.spaced("1 minute")),
  Schedule.jittered,
  Schedule.upTo("1 hour")
)

const sent = counter(
  "snowguard_alerts_total",
  "Events for a receiver: delivered, or dropped because it did not take them."
)
const failedAttempts = counter(
  "snowguard_alerts_failed_attempts_total",
  "Attempts that a receiver did not take."
)

const hostOf = (url: string): string => (URL.canParse(url) ? new URL(url).host : "an address that is no URL")

/** `t=SECONDS,v1=HEX`: the HMAC-SHA256 of `SECONDS.BODY`. */
const signature = (key: string, seconds: number, body: string): string =>
  `t=${seconds},v1=${createHmac("sha256", key).update(`${seconds}.${body}`).digest("hex")}`

/** One attempt. The body of the answer is not read. */
const post = (receiver: Receiver, id: string, body: string): Effect.Effect<void, NotTaken> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Effect.tryPromise({
      try: async (signal) => {
        const url = new URL(Redacted.value(receiver.url))
        const { password, username } = url
        url.username = ""
        url.password = ""
        const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
        const key = receiver.signingKey
        const answer = await Outbound.request(url, {
          method: "POST",
          redirect: "manual",
          headers: {
            "content-type": "application/json",
            "user-agent": `snowguard/${Package.version}`,
            "x-snowguard-id": id,
            ...(login === ":" ? {} : { authorization: `Basic ${Buffer.from(login).toString("base64")}` }),
            ...(key === undefined
              ? {}
              : { "x-snowguard-signature": signature(Redacted.value(key), Math.floor(now / 1000), body) })
          },
          body,
          signal
        })
        await answer.body?.cancel().catch(() => {})
        return answer.status
      },
      // What fetch says may quote the address.
      catch: () => withoutStack(() => new NotTaken({ description: "it is not reached" }))
    })
  ).pipe(
    Effect.timeoutFail({
      duration: ATTEMPT_LASTS,
      onTimeout: () =>
        withoutStack(() => new NotTaken({ description: `it does not answer within ${ATTEMPT_LASTS}` }))
    }),
    Effect.flatMap((status) =>
      status >= 200 && status < 300
        ? Effect.void
        : withoutStack(
            () =>
              new NotTaken({
                description:
                  status >= 300 && status < 400
                    ? `it answers ${status}: redirects are not followed, so name the address that it leads to`
                    : `it answers ${status}`
              })
          )
    )
  )

interface Line {
  readonly receiver: Receiver
  readonly state: Ref.Ref<Core.State>
  readonly counts: Ref.Ref<Pick<Status, "delivered" | "failed" | "trouble">>
  readonly bell: Queue.Queue<void>
  readonly scope: Scope.CloseableScope
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (receivers: Receivers, server: { readonly host: string }) =>
  Effect.gen(function* () {
    const outer = yield* Scope.Scope
    const nextId = yield* RequestId.make
    const lines = yield* Ref.make<ReadonlyMap<string, Line>>(new Map())
    const latest = yield* Ref.make<ReadonlyArray<Core.Stamped>>([])

    const bounds = ({ minIntervalMs }: Receiver) => ({ capacity: CAPACITY, intervalMs: minIntervalMs })

    const deliver = (name: string, { counts, receiver, state }: Line, told: Core.Told) =>
      Effect.gen(function* () {
        const id = nextId()
        // What is said to be dropped here is said once, unless this is not sent either.
        const dropped = yield* Ref.modify(state, (current) => {
          const count = current.dropped
          current.dropped = 0
          return [count, current]
        })
        const lost = (also: number) =>
          Ref.update(state, (current) => {
            current.dropped += dropped + also
            return current
          })
        const body = JSON.stringify(
          Core.document(told, { id, server: { ...server, version: Package.version }, iso, dropped })
        )
        const host = hostOf(Redacted.value(receiver.url))
        const about = { alert: name, host, event: told.event.event }
        const warned = yield* Deferred.make<void>()
        yield* post(receiver, id, body).pipe(
          Effect.tapError(({ description }) =>
            Effect.gen(function* () {
              failedAttempts({})
              yield* Ref.update(counts, (current) => ({
                ...current,
                failed: current.failed + 1,
                trouble: description
              }))
              // One line for an event, however often it is tried.
              if (yield* Deferred.succeed(warned, undefined)) {
                yield* Effect.annotateLogs(
                  Effect.logWarning(`an alert was not taken and is sent again: ${description}`),
                  about
                )
              }
            })
          ),
          Effect.retry(PAUSES),
          Effect.onInterrupt(() =>
            Effect.zipRight(
              lost(0),
              Ref.update(state, (current) => {
                Core.putBack(current, told, CAPACITY)
                return current
              })
            )
          ),
          Effect.matchEffect({
            onSuccess: () => {
              sent({ event: told.event.event, result: "delivered" })
              return Ref.update(counts, ({ delivered, failed }) => ({ delivered: delivered + 1, failed }))
            },
            onFailure: ({ description }) => {
              sent({ event: told.event.event, result: "dropped" })
              return Effect.zipRight(
                lost(1),
                Effect.annotateLogs(Effect.logError(`an alert was given up: ${description}`), about)
              )
            }
          })
        )
      })

    const send = (name: string, line: Line): Effect.Effect<never> =>
      Effect.forever(
        Effect.gen(function* () {
          const { dueAt, now, told } = yield* modifyAt(line.state, (current, now) => [
            { ...Core.take(current, now, bounds(line.receiver)), now },
            current
          ])
          if (told !== undefined) return yield* deliver(name, line, told)
          const rung = Queue.take(line.bell)
          yield* dueAt === undefined ? rung : Effect.race(rung, Effect.sleep(Math.ceil(dueAt - now)))
        })
      )

    const start = (name: string, receiver: Receiver, before: Line | undefined) =>
      Effect.gen(function* () {
        begin(sent, { event: names, result: ["delivered", "dropped"] })
        begin(failedAttempts)
        const scope = yield* Scope.fork(outer, outer.strategy)
        const line: Line = {
          receiver,
          state: before?.state ?? (yield* Ref.make(Core.make())),
          counts: before?.counts ?? (yield* Ref.make({ delivered: 0, failed: 0 })),
          bell: yield* Queue.sliding<void>(1),
          scope
        }
        yield* Effect.forkIn(Effect.interruptible(send(name, line)), scope)
        return line
      })

    const configure = (wanted: Receivers) =>
      Effect.gen(function* () {
        const before = yield* Ref.get(lines)
        const after = new Map<string, Line>()
        for (const [name, line] of before) {
          const receiver = Object.hasOwn(wanted, name) ? wanted[name] : undefined
          if (receiver === undefined || !same(receiver, line.receiver))
            yield* Scope.close(line.scope, Exit.void)
        }
        for (const [name, receiver] of Object.entries(wanted)) {
          const known = before.get(name)
          const stays = known !== undefined && same(receiver, known.receiver)
          after.set(name, stays ? known : yield* start(name, receiver, known))
        }
        yield* Ref.set(lines, after)
      }).pipe(Effect.uninterruptible)

    yield* configure(receivers)

    return Alerts.of({
      configure,
      tell: (event) =>
        Effect.gen(function* () {
          const stamped = { event, at: yield* Clock.currentTimeMillis }
          yield* Ref.update(latest, (all) =>
            // One of each kind and subject, or a client in a loop would be all that there is.
            [stamped, ...all.filter((one) => Core.keyOf(one.event) !== Core.keyOf(event))].slice(
              0,
              REMEMBERED
            )
          )
          for (const { bell, receiver, state } of (yield* Ref.get(lines)).values()) {
            if (receiver.events.length > 0 && !receiver.events.includes(event.event)) continue
            yield* updateAt(state, (current, now) => {
              Core.offer(current, now, bounds(receiver), stamped)
              return current
            })
            yield* Queue.offer(bell, undefined)
          }
        }),
      status: Effect.gen(function* () {
        const found: Array<Status> = []
        for (const [name, { counts, receiver, state }] of yield* Ref.get(lines)) {
          const { dropped, outbox } = yield* Ref.get(state)
          const host = hostOf(Redacted.value(receiver.url))
          found.push({ name, host, ...(yield* Ref.get(counts)), waiting: outbox.length, dropped })
        }
        return { latest: yield* Ref.get(latest), receivers: found }
      })
    })
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (receivers: Receivers, server: { readonly host: string }): Layer.Layer<Alerts> =>
  Layer.scoped(Alerts, make(receivers, server))

/** How often the login and the quota store are looked at: shorter than any latch. */
const LOOK_EVERY = "1 second"

const lookAtHealth = Effect.fnUntraced(function* (receivers: Live.Live<Receivers>) {
  const { configure, tell } = yield* Alerts
  const reloads = yield* Reloads
  const wanted = yield* Ref.make(receivers.current())
  const refusedAt = yield* Ref.make<number | undefined>(undefined)
  const settings = Effect.gen(function* () {
    const now = receivers.current()
    if ((yield* Ref.getAndSet(wanted, now)) !== now) yield* configure(now)
    const status = yield* reloads.status
    const before = yield* Ref.getAndSet(refusedAt, status?.faultsAt)
    if (status !== undefined && status.faults.length > 0 && status.faultsAt !== before)
      yield* tell(Core.refusedConfig(status.faults.map(({ key }) => key)))
  })
  const login = yield* WarehouseHealth.statusIfAny
  const store = yield* StoreHealth
  const look: Effect.Effect<Core.Health> = Effect.gen(function* () {
    const { latched, latchedUsers = 0, refusedUsers = [] } = yield* login
    return { latched, latchedUsers, refusedUsers, store: yield* store.status }
  })
  // A server that starts with a lost store says so.
  const known = yield* Ref.make<Core.Health>({ latched: undefined, store: { mode: "normal" } })
  return yield* Effect.repeat(
    Effect.gen(function* () {
      yield* settings
      const now = yield* look
      const before = yield* Ref.getAndSet(known, now)
      yield* Effect.forEach(Core.health(before, now), tell, { discard: true })
    }),
    Schedule.spaced(LOOK_EVERY)
  )
})

/**
 * Tells of the circuit, the mode, the login, the quota store and refused settings, while the scope is open; within a
 * second of their change the receivers are other ones.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWatch = (
  receivers: Receivers | Live.Live<Receivers> = {}
): Layer.Layer<never, never, Alerts | CircuitBreaker.CircuitBreaker | Degradation.Degradation> =>
  Layer.scopedDiscard(
    Effect.gen(function* () {
      const { tell } = yield* Alerts
      const breaker = yield* CircuitBreaker.CircuitBreaker
      const degradation = yield* Degradation.Degradation
      yield* Effect.forkScoped(
        Stream.runForEach(breaker.transitions, (change) => {
          const event = Core.circuit(change)
          return event === undefined ? Effect.void : tell(event)
        })
      )
      yield* Effect.forkScoped(Stream.runForEach(degradation.changes, (change) => tell(Core.mode(change))))
      yield* Effect.forkScoped(lookAtHealth(Live.from(receivers)))
    })
  )

/**
 * The quotas that are provided, and tells when one is nearly or wholly used.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerQuota: Layer.Layer<Quota.Quota, never, Quota.Quota | Alerts> = Layer.effect(
  Quota.Quota,
  Effect.gen(function* () {
    const { tell } = yield* Alerts
    const quota = yield* Quota.Quota
    const levels = yield* Ref.make<Core.Levels>(new Map())
    const seen = (client: string, uses: ReadonlyArray<Core.Use>) =>
      Effect.flatMap(
        Ref.modify(levels, (current) => [Core.quotas(current, client, uses), current]),
        (events) => (events.length === 0 ? Effect.void : Effect.forEach(events, tell, { discard: true }))
      )
    const watched =
      <R extends { readonly client: string }>(
        reserve: (request: R) => ReturnType<Quota.Quota["Type"]["reserve"]>
      ) =>
      (request: R) =>
        Effect.tapBoth(reserve(request), {
          onSuccess: ({ status }) => (status.length === 0 ? Effect.void : seen(request.client, status)),
          onFailure: (error) => (error._tag === "QuotaExceeded" ? seen(request.client, [error]) : Effect.void)
        })
    return Quota.Quota.of({
      ...quota,
      reserve: watched(quota.reserve),
      reserveScan: watched(quota.reserveScan)
    })
  })
)

/**
 * The loop guard that is provided, and tells of clients that repeat what has failed.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerLoopGuard: Layer.Layer<LoopGuard.LoopGuard, never, LoopGuard.LoopGuard | Alerts> =
  Layer.effect(
    LoopGuard.LoopGuard,
    Effect.gen(function* () {
      const { tell } = yield* Alerts
      const guard = yield* LoopGuard.LoopGuard
      return LoopGuard.LoopGuard.of({
        ...guard,
        protect: (request, effect) =>
          Effect.tapError(guard.protect(request, effect), (error) =>
            error instanceof LoopGuard.RepeatedFailure
              ? tell(Core.looping({ client: request.client, code: error.code, attempts: error.attempts }))
              : Effect.void
          )
      })
    })
  )

/**
 * Tells nothing.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerNoop: Layer.Layer<Alerts> = Layer.succeed(Alerts, {
  tell: () => Effect.void,
  configure: () => Effect.void,
  status: Effect.succeed({ latest: [], receivers: [] })
})
