import { describe, expect, it } from "@effect/vitest"
import { Clock, Deferred, Duration, Effect, Either, Exit, Fiber, Option, Scope, TestClock } from "effect"
import { WarehouseError } from "../../../src/warehouse/Warehouse.js"
import { refusedOf } from "../../../src/warehouse/snowflake/codes.js"
import * as Pool from "../../../src/warehouse/snowflake/pool.js"
import * as WarehouseHealth from "../../../src/warehouse/WarehouseHealth.js"

interface Session {
  readonly place: string
  readonly n: number
}

const refused = new WarehouseError({
  reason: "Authentication",
  description: "Wrong password.",
  sent: "no",
  code: "390100"
})

const caller: Pool.Caller = { client: "caller", maxWaitMs: 5_000 }

/** A session until the scope closes. */
const leased = (
  pool: Effect.Effect.Success<ReturnType<typeof Pool.make<string, Session>>>,
  place: string,
  who: Pool.Caller
) => Effect.acquireRelease(pool.acquire(place, who), ({ release }) => release)

const harness = (options: Partial<Pool.Options<string, Session>> = {}) =>
  Effect.gen(function* () {
    const opened: Array<string> = []
    const closed: Array<Session> = []
    const health = yield* WarehouseHealth.make({ latchMs: 60_000 })
    const attempt = (place: string) => ({ identity: "me", role: "", place })
    const open =
      options.open ??
      ((place) =>
        Effect.sync(() => {
          opened.push(place)
          return { place, n: opened.length }
        }))
    const pool = yield* Pool.make<string, Session>({
      key: (place) => place,
      mayOpen: (place) => health.login(attempt(place)),
      close: (session) => Effect.sync(() => void closed.push(session)),
      lives: () => Effect.succeed(true),
      maxSessions: 2,
      maxPerSession: 2,
      idleMs: 1_000,
      ...options,
      open: (place) =>
        Effect.zipRight(health.login(attempt(place)), open(place)).pipe(
          Effect.tapBoth({
            onFailure: (error) => health.loginFailed(attempt(place), error, refusedOf(error)),
            onSuccess: () => health.loginAccepted(attempt(place))
          })
        )
    })
    const use = (place: string, who: Partial<Pool.Caller> = {}) =>
      Effect.scoped(Effect.map(leased(pool, place, { ...caller, ...who }), ({ session }) => session))
    return { pool, opened, closed, use }
  })

describe("the sessions", () => {
  it.scoped("are logged in to once for many concurrent callers, and shared by place alone", () =>
    Effect.gen(function* () {
      const { opened, use } = yield* harness({ maxPerSession: 10 })
      const sessions = yield* Effect.all([use("a"), use("a"), use("b"), use("a"), use("b")], {
        concurrency: "unbounded"
      })
      expect(opened).toEqual(["a", "b"])
      expect(sessions.map(({ place }) => place)).toEqual(["a", "a", "b", "a", "b"])
    })
  )

  it.scoped("are bounded: the one idle for longest leaves, and a busy one is waited for", () =>
    Effect.gen(function* () {
      const { closed, opened, pool, use } = yield* harness()
      yield* use("a")
      yield* TestClock.adjust("10 millis")
      yield* use("b")
      yield* TestClock.adjust("10 millis")
      yield* use("a")
      yield* use("c")
      yield* Effect.yieldNow()
      expect(closed.map(({ place }) => place)).toEqual(["b"])
      expect((yield* pool.status).open).toBe(2)
      const scope = yield* Scope.make()
      yield* Scope.extend(leased(pool, "a", caller), scope)
      yield* Scope.extend(leased(pool, "c", caller), scope)
      const waiting = yield* Effect.fork(use("d"))
      yield* Effect.yieldNow()
      yield* Effect.yieldNow()
      expect(opened).toEqual(["a", "b", "c"])
      yield* Scope.close(scope, Exit.void)
      expect((yield* Fiber.join(waiting)).place).toBe("d")
      expect((yield* pool.status).open).toBe(2)
    })
  )

  it.scoped(
    "count from the beginning of their login until it has ended, also when its callers have left",
    () =>
      Effect.gen(function* () {
        const begun: Array<string> = []
        const answered = yield* Deferred.make<void>()
        const { closed, pool, use } = yield* harness({
          owner: (place) => place,
          open: (place) =>
            Effect.suspend(() => {
              begun.push(place)
              return Effect.as(Deferred.await(answered), { place, n: begun.length })
            })
        })
        const first = yield* Effect.forkAll([use("a"), use("b")])
        yield* Effect.repeat(Effect.yieldNow(), { until: () => begun.length === 2 })
        yield* Fiber.interrupt(first)
        const next = yield* Effect.fork(use("c"))
        yield* TestClock.adjust("1 second")
        // The account may have sessions of both by now.
        expect(begun).toEqual(["a", "b"])
        expect(yield* pool.status).toEqual({ open: 2, leaving: 0 })
        yield* Deferred.succeed(answered, undefined)
        expect((yield* Fiber.join(next)).place).toBe("c")
        expect(closed.length).toBe(1)
        expect((yield* pool.status).open).toBe(2)
      })
  )

  it.scoped("that are leaving are counted until they have left", () =>
    Effect.gen(function* () {
      const left = yield* Deferred.make<void>()
      const { pool, use } = yield* harness({ maxSessions: 1, close: () => Deferred.await(left) })
      yield* use("a")
      yield* use("b")
      yield* Effect.yieldNow()
      expect(yield* pool.status).toEqual({ open: 1, leaving: 1 })
      yield* Deferred.succeed(left, undefined)
      yield* Effect.repeat(Effect.yieldNow(), { times: 5 })
      expect(yield* pool.status).toEqual({ open: 1, leaving: 0 })
    })
  )

  it.scoped("take no more statements than they may, and a caller that leaves takes no slot with it", () =>
    Effect.gen(function* () {
      const { pool, use } = yield* harness()
      const scope = yield* Scope.make()
      yield* Scope.extend(leased(pool, "a", caller), scope)
      yield* Scope.extend(leased(pool, "a", caller), scope)
      const third = yield* Effect.fork(use("a"))
      const fourth = yield* Effect.fork(use("a"))
      for (let turn = 0; turn < 5; turn++) yield* Effect.yieldNow()
      expect(third.unsafePoll()).toBeNull()
      yield* Fiber.interrupt(third)
      yield* Scope.close(scope, Exit.void)
      expect((yield* Fiber.join(fourth)).place).toBe("a")
    })
  )

  it.scoped("are not logged in to again after a refusal, until the pause is over", () =>
    Effect.gen(function* () {
      let tries = 0
      let right = false
      const { use } = yield* harness({
        open: (place) =>
          Effect.suspend(() => {
            tries += 1
            return right ? Effect.succeed({ place, n: tries }) : Effect.fail(refused)
          })
      })
      const all = yield* Effect.all(
        ["a", "b", "a", "b"].map((place) => Effect.either(use(place))),
        { concurrency: "unbounded" }
      )
      expect(all.map((one) => Either.isLeft(one) && one.left)).toEqual([refused, refused, refused, refused])
      expect(yield* Effect.flip(use("c"))).toBe(refused)
      expect(tries).toBe(1)
      right = true
      yield* TestClock.adjust(59_999)
      expect(yield* Effect.flip(use("a"))).toBe(refused)
      yield* TestClock.adjust(1)
      expect(yield* use("a")).toMatchObject({ place: "a" })
      expect(tries).toBe(2)
    })
  )

  it.scoped("are asked whether they live after a while, and replaced when they do not", () =>
    Effect.gen(function* () {
      const asked: Array<number> = []
      const { closed, opened, use } = yield* harness({
        lives: ({ n }) => Effect.sync(() => (asked.push(n), n > 1))
      })
      yield* use("a")
      yield* TestClock.adjust(999)
      yield* use("a")
      expect(asked).toEqual([])
      yield* TestClock.adjust(1_000)
      expect(yield* use("a")).toMatchObject({ n: 2 })
      yield* Effect.yieldNow()
      expect([asked, opened, closed.map(({ n }) => n)]).toEqual([[1], ["a", "a"], [1]])
    })
  )

  it.scoped("that were lost are not handed out again, and left when their last statement ends", () =>
    Effect.gen(function* () {
      const { closed, pool, use } = yield* harness()
      const scope = yield* Scope.make()
      const first = yield* Scope.extend(leased(pool, "a", caller), scope)
      yield* first.lost
      expect(yield* use("a")).toMatchObject({ n: 2 })
      expect(closed).toEqual([])
      yield* Scope.close(scope, Exit.void)
      yield* Effect.yieldNow()
      expect(closed.map(({ n }) => n)).toEqual([1])
    })
  )

  it.effect("log in for the callers that stay when the first one has left, and are all left at the end", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const gate = yield* Deferred.make<void>()
      const left: Array<string> = []
      const { use } = yield* Scope.extend(
        harness({
          open: (place) => Effect.as(Deferred.await(gate), { place, n: 1 }),
          close: ({ place }) => Effect.sync(() => void left.push(place))
        }),
        scope
      )
      const first = yield* Effect.fork(use("a"))
      const second = yield* Effect.fork(use("a"))
      yield* Effect.yieldNow()
      const [took] = yield* Effect.timed(Fiber.interrupt(first))
      expect(Duration.toMillis(took)).toBe(0)
      yield* Deferred.succeed(gate, undefined)
      expect((yield* Fiber.join(second)).place).toBe("a")
      yield* Scope.close(scope, Exit.void)
      expect(left).toEqual(["a"])
      expect((yield* Effect.flip(use("a"))).reason).toBe("Unreachable")
    })
  )

  it.scoped("are tried again when the time of the latch is over, whatever the wall clock does", () =>
    Effect.gen(function* () {
      let logins = 0
      const open = () =>
        Effect.suspend(() => {
          logins += 1
          return Effect.fail(refused)
        })
      const test = yield* Effect.clock
      let stepped = 0
      const wall = () => test.unsafeCurrentTimeMillis() + stepped
      const clock: Clock.Clock = {
        [Clock.ClockTypeId]: Clock.ClockTypeId,
        unsafeCurrentTimeMillis: wall,
        currentTimeMillis: Effect.sync(wall),
        unsafeCurrentTimeNanos: () => test.unsafeCurrentTimeNanos(),
        currentTimeNanos: test.currentTimeNanos,
        sleep: (duration) => test.sleep(duration)
      }
      const { use } = yield* harness({ open })
      const attempt = Effect.withClock(Effect.exit(use("a")), clock)
      yield* attempt
      yield* attempt
      expect(logins).toBe(1)
      stepped = 3_600_000
      yield* attempt
      expect(logins).toBe(1)
      stepped = -3_600_000
      yield* TestClock.adjust("60 seconds")
      yield* attempt
      expect(logins).toBe(2)
    })
  )

  it.scoped(
    "are waited for by each client in turn, and not for long: nothing was sent, nothing is charged",
    () =>
      Effect.gen(function* () {
        const { pool, use } = yield* harness({ maxSessions: 1 })
        const scope = yield* Scope.make()
        yield* Scope.extend(leased(pool, "a", caller), scope)
        const refused = yield* Effect.fork(Effect.flip(use("b", { maxWaitMs: 1_000 })))
        const order: Array<string> = []
        const waiters = yield* Effect.forEach(["evil 1", "evil 2", "evil 3", "bob 1"], (place) =>
          Effect.fork(
            Effect.tap(use(place, { client: place.split(" ")[0] ?? "" }), () =>
              Effect.sync(() => order.push(place))
            )
          )
        )
        yield* TestClock.adjust(999)
        expect(refused.unsafePoll()).toBeNull()
        yield* TestClock.adjust(1)
        expect(yield* Fiber.join(refused)).toMatchObject({ reason: "Overloaded", sent: "no" })
        yield* Scope.close(scope, Exit.void)
        for (const one of waiters) yield* Fiber.join(one)
        expect(order.indexOf("bob 1")).toBeLessThanOrEqual(1)
        expect((yield* pool.status).open).toBe(1)
      })
  )

  it.scoped("of a lane serve one place at a time, every place, and none for ever", () =>
    Effect.gen(function* () {
      let at = ""
      let moves = 0
      const running = new Map<string, number>()
      const { opened, pool, use } = yield* harness({
        maxPerSession: 3,
        lanes: {
          of: (place) => place.charAt(0),
          move: (_, place) =>
            Effect.gen(function* () {
              moves += 1
              expect([...running.values()].every((count) => count === 0)).toBe(true)
              yield* Effect.sleep("50 millis")
              if (place === "a missing")
                return yield* new WarehouseError({ reason: "NotFound", description: "No.", sent: "yes" })
              at = place
            })
        }
      })
      at = "a 0"
      yield* use("a 0")
      const statement = (n: number, place: string, ms: number) =>
        Effect.scoped(
          Effect.gen(function* () {
            yield* leased(pool, place, { client: `c${n % 4}`, maxWaitMs: 60_000 })
            expect(at).toBe(place)
            running.set(place, (running.get(place) ?? 0) + 1)
            yield* Effect.sleep(ms)
            running.set(place, (running.get(place) ?? 0) - 1)
          })
        )
      const places = ["a 0", "a 1", "a 2", "a missing"]
      const fibers = yield* Effect.forEach(
        Array.from({ length: 60 }, (_, n) => n),
        (n) =>
          Effect.fork(
            Effect.exit(
              Effect.delay(statement(n, places[(n * 7) % 4] ?? "", 100 + ((n * 37) % 200)), (n * 13) % 500)
            )
          )
      )
      // Some leave while they wait, or while their session is moved.
      yield* TestClock.adjust("300 millis")
      for (const n of [3, 11, 17, 22, 35]) yield* Fiber.interruptFork(fibers[n]!)
      yield* TestClock.adjust("60 seconds")
      const exits = yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber).pipe(Effect.exit))
      const ends = exits.map((exit, n) => {
        const end = Exit.isSuccess(exit) ? exit.value : exit
        return `${places[(n * 7) % 4]}: ${Exit.isSuccess(end) ? "served" : Exit.isInterrupted(end) ? "left" : "refused"}`
      })
      expect(new Set(ends)).toEqual(
        new Set([
          "a 0: served",
          "a 1: served",
          "a 2: served",
          "a missing: refused",
          ...ends.filter((end) => end.endsWith("left"))
        ])
      )
      expect(opened).toEqual(["a 0"])
      expect(moves).toBeGreaterThan(3)
      expect((yield* pool.status).open).toBe(1)
      // Another role has a login of its own.
      yield* use("b 0")
      expect(opened).toEqual(["a 0", "b 0"])
    })
  )

  it.scoped("of one owner are bounded, and make room for each other before those of another owner", () =>
    Effect.gen(function* () {
      const { closed, opened, pool, use } = yield* harness({
        maxSessions: 4,
        maxPerOwner: () => 2,
        owner: (place) => place.charAt(0)
      })
      yield* use("b 1")
      yield* TestClock.adjust("1 second")
      yield* use("a 1")
      yield* TestClock.adjust("1 second")
      yield* use("a 2")
      yield* use("a 3")
      // The session of `b` is idle for longer, and there is room.
      expect(closed.map(({ place }) => place)).toEqual(["a 1"])
      yield* use("c 1")
      yield* use("d 1")
      expect(closed.map(({ place }) => place)).toEqual(["a 1", "b 1"])
      expect((yield* pool.status).open).toBe(4)
      expect(opened).toEqual(["b 1", "a 1", "a 2", "a 3", "c 1", "d 1"])
    })
  )

  it.scoped("of an owner whose own are all busy are waited for, while others are served", () =>
    Effect.gen(function* () {
      const { pool, use } = yield* harness({
        maxSessions: 4,
        maxPerOwner: () => 1,
        maxPerSession: 1,
        owner: (place) => place.charAt(0)
      })
      const held = yield* Scope.make()
      yield* Scope.extend(leased(pool, "a 1", caller), held)
      const waiting = yield* Effect.fork(Effect.either(use("a 2")))
      expect((yield* use("b 1")).place).toBe("b 1")
      expect(yield* Fiber.poll(waiting)).toEqual(Option.none())
      yield* Scope.close(held, Exit.void)
      yield* TestClock.adjust("1 millis")
      expect(Either.isRight(yield* Fiber.join(waiting))).toBe(true)
    })
  )

  it.scoped("that are idle for long are closed where that is asked for, and not while a statement runs", () =>
    Effect.gen(function* () {
      const { closed, opened, pool, use } = yield* harness({
        maxSessions: 5,
        owner: (place) => place.charAt(0),
        leaveMs: (place) => (place.startsWith("s") ? undefined : 600_000),
        lanes: { of: (place) => (place.startsWith("p") ? place : undefined), move: () => Effect.void }
      })
      yield* use("shared")
      yield* use("a")
      yield* use("person")
      const held = yield* Scope.make()
      yield* Scope.extend(leased(pool, "busy", caller), held)
      yield* TestClock.adjust("9 minutes")
      yield* use("b")
      expect(closed).toEqual([])
      yield* TestClock.adjust("2 minutes")
      expect(closed.map(({ place }) => place)).toEqual(["a"])
      expect((yield* pool.status).open).toBe(4)
      yield* Scope.close(held, Exit.void)
      yield* TestClock.adjust("9 minutes")
      expect(closed.map(({ place }) => place)).toEqual(["a", "b"])
      yield* TestClock.adjust("2 minutes")
      expect(closed.map(({ place }) => place)).toEqual(["a", "b", "busy"])
      expect((yield* use("a")).n).toBe(6)
      expect(opened).toEqual(["shared", "a", "person", "busy", "b", "a"])
    })
  )

  it.effect("are looked for until the pool closes, which waits for no look, however the pool was made", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      // As a layer that is built when it is first used makes it.
      yield* Effect.uninterruptible(Scope.extend(harness({ leaveMs: () => 600_000 }), scope))
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("1 second")
      expect(Option.isSome(yield* closing.poll)).toBe(true)
    })
  )

  it.scoped("that are busy are said to be those of all, or the owner's own where that is what holds it", () =>
    Effect.gen(function* () {
      const { pool, use } = yield* harness({
        maxSessions: 2,
        maxPerOwner: (place) => (place.startsWith("a") ? 1 : 2),
        maxPerSession: 1,
        owner: (place) => place.charAt(0)
      })
      const held = yield* Scope.make()
      const told = (place: string) =>
        Effect.gen(function* () {
          const waiting = yield* Effect.fork(Effect.flip(use(place)))
          yield* TestClock.adjust("5 seconds")
          const { description, reason, sent } = yield* Fiber.join(waiting)
          expect([reason, sent]).toEqual(["Overloaded", "no"])
          return description
        })
      yield* Scope.extend(leased(pool, "a 1", caller), held)
      expect(yield* told("a 2")).toMatch(
        /^The only session that the caller's own identity may have is busy with/
      )
      expect(yield* told("a 1")).toMatch(/^The only statement that one session may run at a time is running/)
      yield* Scope.extend(leased(pool, "b 1", caller), held)
      expect(yield* told("a 2")).toMatch(/own identity/)
      // It may have more than there are left.
      expect(yield* told("b 2")).toMatch(/^All 2 sessions are busy with other statements/)
      yield* Scope.close(held, Exit.void)
    })
  )

  it.scoped("of several owners are logged in to at the same time, those of one owner one after another", () =>
    Effect.gen(function* () {
      const began: Array<string> = []
      const { use } = yield* harness({
        maxSessions: 10,
        owner: (place) => place.charAt(0),
        open: (place) =>
          Effect.delay(Effect.succeed({ place, n: 1 }), "1 second").pipe(
            Effect.tap(() => Effect.sync(() => began.push(place)))
          )
      })
      yield* Effect.forEach(["a 1", "a 2", "b 1", "c 1"], (place) => Effect.fork(use(place)))
      yield* TestClock.adjust("1 second")
      expect([...began].sort()).toEqual(["a 1", "b 1", "c 1"])
      yield* TestClock.adjust("1 second")
      expect(began[3]).toBe("a 2")
    })
  )

  it.scoped("are logged in to by each client in turn, and not for clients that have left", () =>
    Effect.gen(function* () {
      const opened: Array<string> = []
      const { use } = yield* harness({
        maxSessions: 10,
        open: (place) =>
          Effect.delay(
            Effect.sync(() => (opened.push(place), { place, n: 1 })),
            "1 second"
          )
      })
      const ask = (place: string, client: string) => Effect.fork(use(place, { client }))
      yield* ask("evil 1", "evil")
      const gone = yield* ask("evil 2", "evil")
      yield* ask("evil 3", "evil")
      const bob = yield* ask("bob", "bob")
      yield* TestClock.adjust("500 millis")
      yield* Fiber.interrupt(gone)
      yield* TestClock.adjust("10 seconds")
      expect((yield* Fiber.join(bob)).place).toBe("bob")
      expect(opened).toEqual(["evil 1", "bob", "evil 3"])
    })
  )
})
