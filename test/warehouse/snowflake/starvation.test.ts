/**
 * One client that asks for slow statements in ever new places, beside others that ask for quick ones: the
 * slots of the bulkhead and the sessions of the pool together, on virtual time.
 */
import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Either, Fiber, TestClock } from "effect"
import * as Bulkhead from "../../../src/guard/Bulkhead.js"
import * as ServerConfig from "../../../src/config/ServerConfig.js"
import * as Pool from "../../../src/warehouse/snowflake/pool.js"
import { settingsOf } from "../../config/samples.js"

const LOGIN_MS = 800
const QUICK_MS = 200
const QUEUE_MS = 5_000

interface World {
  /** Places that the abuser goes round; a login each, unless its session is still there. */
  readonly places: number
  /** Milliseconds of each of its statements, and how long it wants to wait for one. */
  readonly statementMs: number
  readonly patienceMs: number
  readonly sessions?: number
}

const others = ["bob", "carol", "dave"]

/** How long each quick statement waited for its session, by client, or a defect where one was refused. */
const waits = ({ patienceMs, places, sessions, statementMs }: World) =>
  Effect.gen(function* () {
    const settings = settingsOf({
      document: {
        warehouse: "snowflake",
        limits: { max_concurrent_statements: 20 },
        snowflake: sessions === undefined ? {} : { max_sessions: sessions }
      }
    })
    const bulkhead = yield* Bulkhead.make(ServerConfig.bulkheadOptions(settings, { shared: true }))
    const maxSessions = settings.snowflake.maxSessions ?? ServerConfig.concurrentStatements(settings)
    let open = 0
    let most = 0
    const pool = yield* Pool.make<string, string>({
      key: (place) => place,
      open: (place) =>
        Effect.zipRight(
          Effect.sync(() => void (most = Math.max(most, ++open))),
          Effect.as(Effect.sleep(LOGIN_MS), place)
        ),
      close: () => Effect.sync(() => void open--),
      lives: () => Effect.succeed(true),
      maxSessions,
      maxPerSession: ServerConfig.concurrentStatements(settings),
      idleMs: 1_000_000,
      mayOpen: () => Effect.void
    })
    const statement = (client: string, place: string, ms: number) =>
      Bulkhead.withSlot(
        bulkhead,
        "statements",
        { client, tier: "default", maxWaitMs: QUEUE_MS },
        Effect.scoped(
          Effect.gen(function* () {
            yield* Effect.acquireRelease(
              pool.acquire(place, { client, maxWaitMs: QUEUE_MS }),
              ({ release }) => release
            )
            const began = yield* Clock.currentTimeMillis
            yield* Effect.sleep(ms)
            return began
          })
        )
      )
    const abuser = (n: number) => {
      let round = n
      const call = Effect.suspend(() => statement("evil", `place ${round++ % places}`, statementMs))
      return Effect.forever(
        Effect.zipRight(Effect.ignore(Effect.timeout(call, patienceMs)), Effect.sleep(500))
      )
    }
    yield* Effect.forEach(
      Array.from({ length: 24 }, (_, n) => n),
      (n) => Effect.fork(abuser(n * 7))
    )
    yield* TestClock.adjust("10 seconds")
    const all: Array<Array<number>> = []
    const quick = (client: string) =>
      Effect.gen(function* () {
        const found: Array<number> = []
        all.push(found)
        for (let n = 0; n < 3; n++) {
          const asked = yield* Clock.currentTimeMillis
          const began = yield* Effect.either(statement(client, "home", QUICK_MS))
          if (Either.isLeft(began)) return yield* Effect.die(`${client} ${n}: ${began.left.message}`)
          found.push(began.right - asked)
          yield* Effect.sleep(1_000)
        }
        return found
      })
    const asking = yield* Effect.forEach(others, (client) => Effect.fork(quick(client)))
    let rounds = 0
    while (asking.some((fiber) => fiber.unsafePoll() === null)) {
      yield* TestClock.adjust("1 seconds")
      if (++rounds > 60) return yield* Effect.dieMessage(`too slow: ${JSON.stringify(all)}`)
    }
    const found = yield* Fiber.joinAll(asking)
    return { worst: Math.max(...found.flat()), count: found.flat().length, most, maxSessions }
  }).pipe(Effect.scoped)

/** Its own login, and at worst the one that each other client has under way before it. */
const BOUND_MS = LOGIN_MS * (others.length + 2)

describe("a client that takes all it can get", () => {
  const worlds: ReadonlyArray<readonly [string, World]> = [
    [
      "slow statements in as many places as there are sessions",
      { places: 8, statementMs: 300_000, patienceMs: 1_000_000, sessions: 8 }
    ],
    ["slow statements in a hundred places", { places: 100, statementMs: 300_000, patienceMs: 1_000_000 }],
    [
      "short statements in ever new places",
      { places: 1_000, statementMs: 50, patienceMs: 1_000_000, sessions: 8 }
    ],
    [
      "calls that it gives up during the login",
      { places: 1_000, statementMs: 20_000, patienceMs: 500, sessions: 8 }
    ],
    [
      "slow statements where only two run at a time",
      { places: 5, statementMs: 300_000, patienceMs: 1_000_000, sessions: 2 }
    ]
  ]
  for (const [name, world] of worlds) {
    it.effect(`does not keep the others from a session: ${name}`, () =>
      Effect.gen(function* () {
        const { count, most, maxSessions, worst } = yield* waits(world)
        expect(count).toBe(9)
        expect(worst).toBeLessThanOrEqual(BOUND_MS)
        // One may still be leaving while the next one logs in.
        expect(most).toBeLessThanOrEqual(maxSessions + 1)
      })
    )
  }
})
