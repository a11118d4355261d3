import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Logger, Option, TestClock } from "effect"
import * as CircuitBreaker from "../../src/guard/CircuitBreaker.js"
import * as Degradation from "../../src/guard/Degradation.js"
import * as Readiness from "../../src/operate/Readiness.js"
import { monotonicMillis } from "../../src/platform/monotonic.js"
import type { Reason } from "../../src/warehouse/Warehouse.js"
import { WarehouseError } from "../../src/warehouse/Warehouse.js"
import * as WarehouseHealth from "../../src/warehouse/WarehouseHealth.js"

const error = (reason: Reason, description: string) =>
  new WarehouseError({ reason, description, sent: "no", code: "390100" })

const refused = error("Authentication", "Incorrect username or password was specified.")

const me: WarehouseHealth.Attempt = { identity: "me", role: "READER", place: "DB" }

/** What is logged meanwhile, as [level, message]. */
const logging = <A, E, R>(effect: (lines: Array<readonly [string, string]>) => Effect.Effect<A, E, R>) => {
  const lines: Array<readonly [string, string]> = []
  const logger = Logger.make(({ logLevel, message }) => {
    lines.push([logLevel.label, String(message)])
  })
  return Effect.provide(effect(lines), Logger.replace(Logger.defaultLogger, logger))
}

describe("the health of the warehouse", () => {
  it.effect(
    "tries no login after a refusal, and tells it once: why, what to do, and when the next one is",
    () =>
      logging((lines) =>
        Effect.gen(function* () {
          const health = yield* WarehouseHealth.make({ latchMs: 60_000 })
          yield* health.login(me)
          yield* health.loginFailed(me, refused, "identity")
          yield* health.loginFailed(me, refused, "identity")
          expect(yield* Effect.flip(health.login(me))).toBe(refused)
          expect(lines).toEqual([
            [
              "ERROR",
              "the login to the warehouse was refused: Incorrect username or password was specified. " +
                "Next login at 1970-01-01T00:01:00.000Z, so that the account is not locked. " +
                "Mend the credentials, then run: snowguard admin warehouse unlatch"
            ]
          ])
          yield* TestClock.adjust("59999 millis")
          expect(yield* health.status).toMatchObject({
            latched: { reason: refused.description, nextLoginInMs: 1 }
          })
          yield* TestClock.adjust("1 millis")
          expect(yield* health.status).toEqual({})
          yield* health.login(me)
          yield* health.loginAccepted(me)
          yield* health.loginAccepted(me)
          expect(lines.slice(1)).toEqual([["INFO", "the login to the warehouse works again"]])
        })
      )
  )

  it.effect("tries the next login when an operator says so", () =>
    logging((lines) =>
      Effect.gen(function* () {
        const health = yield* WarehouseHealth.make()
        expect(yield* health.unlatch).toBe(false)
        yield* health.loginFailed(me, refused, "identity")
        expect(yield* health.unlatch).toBe(true)
        expect(yield* health.unlatch).toBe(false)
        yield* health.login(me)
        yield* health.loginFailed(me, refused, "identity")
        expect(yield* Effect.flip(health.login(me))).toBe(refused)
        expect(lines.map(([level]) => level)).toEqual(["ERROR", "ERROR"])
      })
    )
  )

  const unknown = new WarehouseError({
    reason: "Authentication",
    description: "Refused.",
    sent: "no",
    code: "399999"
  })
  const at = (place: string, more: Partial<WarehouseHealth.Attempt> = {}) => ({ ...me, place, ...more })

  it.effect("holds a credential back for longer each time that it is refused for an unknown reason", () =>
    Effect.gen(function* () {
      const health = yield* WarehouseHealth.make({ latchMs: 100_000 })
      for (const seconds of [15, 30, 60, 100, 100]) {
        yield* health.login(me)
        yield* health.loginFailed(me, unknown, "unknown")
        expect(yield* Effect.flip(health.login(at("ELSEWHERE")))).toBe(unknown)
        yield* TestClock.adjust(seconds * 1_000 - 1)
        expect(yield* Effect.flip(health.login(me))).toBe(unknown)
        yield* TestClock.adjust(1)
      }
      yield* health.loginAccepted(me)
      yield* health.loginFailed(me, unknown, "unknown")
      yield* TestClock.adjust("15 seconds")
      yield* health.login(me)
    }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger)))
  )

  it.effect("says of a refused user that it is one of several, unless all that are known are refused", () =>
    Effect.gen(function* () {
      const health = yield* WarehouseHealth.make()
      yield* health.loginFailed(at("A", { owner: "eve", user: "EVE" }), refused, "identity")
      expect((yield* health.status).latched?.onlySome).toBe(true)
      yield* health.loginAccepted(at("A", { owner: "ann", user: "ANN" }))
      expect((yield* health.status).latched?.onlySome).toBe(true)
      yield* health.loginFailed(at("A", { owner: "ann", user: "ANN" }), refused, "identity")
      expect((yield* health.status).latched?.onlySome).toBeUndefined()
    }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger)))
  )

  it.effect(
    "does not hold a credential back that is known to be good, until nothing works with it any more",
    () =>
      Effect.gen(function* () {
        const health = yield* WarehouseHealth.make()
        yield* health.loginAccepted(at("A"))
        for (const place of ["B", "C"]) {
          yield* health.loginFailed(at(place), unknown, "unknown")
          expect(yield* Effect.flip(health.login(at(place)))).toBe(unknown)
          yield* health.login(at("A"))
        }
        yield* health.loginFailed(at("D"), unknown, "unknown")
        expect(yield* Effect.flip(health.login(at("A")))).toBe(unknown)
        expect((yield* health.status).latched).toBeDefined()
      }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger)))
  )

  it.effect(
    "remembers a refused role, and a refused namespace, for themselves; another credential starts anew",
    () =>
      Effect.gen(function* () {
        const health = yield* WarehouseHealth.make()
        yield* health.loginFailed(at("A", { role: "X" }), unknown, "role")
        yield* health.loginFailed(at("B"), unknown, "place")
        expect(yield* Effect.flip(health.login(at("C", { role: "X" })))).toBe(unknown)
        expect(yield* Effect.flip(health.login(at("B")))).toBe(unknown)
        yield* health.login(at("A"))
        expect((yield* health.status).latched).toBeUndefined()
        yield* health.loginFailed(me, refused, "identity")
        expect(yield* Effect.flip(health.login(at("A")))).toBe(refused)
        yield* health.login(at("B", { identity: "another" }))
        // What ends late is the former credential's.
        yield* health.loginFailed(me, refused, "identity")
        yield* health.login(at("A", { identity: "another", role: "X" }))
        expect(yield* health.status).toEqual({})
      }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger)))
  )

  it.effect("tells that a person is waited for, and for how long", () =>
    logging((lines) =>
      Effect.gen(function* () {
        const health = yield* WarehouseHealth.make()
        const over = yield* health.awaitApproval
        yield* TestClock.adjust("7 seconds")
        expect(yield* health.status).toEqual({ approvalForMs: 7_000 })
        yield* over
        expect(yield* health.status).toEqual({})
        expect(lines).toEqual([["WARN", expect.stringMatching(/^a person has to approve the login/)]])
      })
    )
  )

  it.effect("says whose queries and logins fail where it is one user, and that hides no trouble of all", () =>
    logging((lines) =>
      Effect.gen(function* () {
        const health = yield* WarehouseHealth.make()
        const wrong = error("Configuration", "The role does not exist.")
        const ann = { owner: "1", user: "ANN" }
        yield* health.failed(wrong, ann)
        yield* health.failed(wrong, ann)
        yield* health.failed(wrong)
        yield* health.failed(wrong, { owner: "", user: "SERVICE" })
        yield* health.loginFailed(at("A", ann), refused, "identity")
        yield* health.loginAccepted(at("A", ann))
        expect(lines.map(([, line]) => line)).toEqual([
          "the warehouse is set up wrongly for ANN: The role does not exist. " +
            "Queries of ANN fail until the settings are mended; snowguard check says more.",
          "the warehouse is set up wrongly: The role does not exist. " +
            "Queries fail until the settings are mended; snowguard check says more.",
          expect.stringMatching(/^the login of ANN to the warehouse was refused: /),
          "the login of ANN to the warehouse works again"
        ])
      })
    )
  )

  it.effect("tells of a stopped warehouse with advice, once a minute", () =>
    logging((lines) =>
      Effect.gen(function* () {
        const health = yield* WarehouseHealth.make()
        const suspended = error("Unavailable", "Warehouse 'W' is suspended")
        for (let n = 0; n < 5; n++) yield* health.failed(suspended)
        yield* health.failed(error("Configuration", "The certificate cannot be trusted."))
        yield* health.failed(error("NotFound", "no"))
        expect(lines.map(([level]) => level)).toEqual(["WARN", "WARN"])
        expect(lines[0]?.[1]).toMatch(
          /^the warehouse is not available: Warehouse 'W' is suspended\. .*ALTER WAREHOUSE/
        )
        expect(lines[1]?.[1]).toMatch(/^the warehouse is set up wrongly: The certificate/)
        yield* TestClock.adjust("1 minute")
        yield* health.failed(suspended)
        expect(lines).toHaveLength(3)
        yield* health.login(me)
        expect(yield* health.status).toMatchObject({ trouble: { reason: "Unavailable", agoMs: 0 } })
        yield* TestClock.adjust("6 minutes")
        expect(yield* health.status).toEqual({})
      })
    )
  )

  it.effect("is shown as past once a success proves that it is over, and no other success does", () =>
    logging((lines) =>
      Effect.gen(function* () {
        const health = yield* WarehouseHealth.make()
        const answered = (whose: WarehouseHealth.Whose, computes = true) =>
          Effect.flatMap(monotonicMillis, (begunAt) => health.answered({ ...whose, computes, begunAt }))
        const trouble = Effect.map(health.status, (status) => status.trouble)
        const small = { owner: "", warehouse: "SMALL", place: "A" }
        expect(health.hasTrouble()).toBe(false)
        yield* health.failed(error("Unavailable", "It is suspended."), small)
        expect(health.hasTrouble()).toBe(true)
        yield* TestClock.adjust("10 seconds")
        yield* answered({ ...small, warehouse: "LARGE" })
        // SHOW needs no warehouse.
        yield* answered(small, false)
        expect(yield* trouble).toEqual({
          reason: "Unavailable",
          code: "390100",
          description: "It is suspended.",
          agoMs: 10_000
        })
        yield* answered({ ...small, place: "B" })
        yield* TestClock.adjust("7 seconds")
        expect(yield* trouble).toMatchObject({ agoMs: 17_000, recoveredAgoMs: 7_000 })
        expect(lines.at(-1)).toEqual(["INFO", "statements are answered again: Unavailable"])
        // A login that is tried later, and a namespace that is not there.
        yield* health.failed(error("LoginUnavailable", "The provider is down."), small)
        yield* answered(small)
        expect(yield* trouble).not.toHaveProperty("recoveredAgoMs")
        yield* health.loginAccepted({ ...me, ...small })
        expect(yield* trouble).toMatchObject({ reason: "LoginUnavailable", recoveredAgoMs: 0 })
        // What goes on is told before what is over.
        yield* health.failed(error("Unavailable", "It is suspended."), small)
        yield* health.failed(error("Configuration", "No such database."), { ...small, place: "C" })
        yield* TestClock.adjust("1 second")
        yield* answered({ ...small, place: "C" }, false)
        expect(yield* trouble).toMatchObject({ reason: "Unavailable" })
        expect(yield* trouble).not.toHaveProperty("recoveredAgoMs")
        yield* TestClock.adjust("6 minutes")
        expect(yield* trouble).toBeUndefined()
      })
    )
  )

  it.effect("is not past for a statement that was running when it began", () =>
    Effect.gen(function* () {
      const health = yield* WarehouseHealth.make()
      const begunAt = yield* monotonicMillis
      const recoveredMs = Effect.map(health.status, ({ trouble }) => trouble?.recoveredAgoMs)
      yield* TestClock.adjust("5 seconds")
      yield* health.failed(error("Unavailable", "The resource monitor suspends it."))
      yield* TestClock.adjust("5 seconds")
      yield* health.answered({ computes: true, begunAt })
      expect(yield* recoveredMs).toBeUndefined()
      yield* health.answered({ computes: true, begunAt: begunAt + 6_000 })
      expect(yield* recoveredMs).toBe(0)
    })
  )

  it.effect("is shown as past for five minutes after its end, however long it lasted", () =>
    Effect.gen(function* () {
      const health = yield* WarehouseHealth.make()
      const trouble = Effect.map(health.status, (status) => status.trouble)
      yield* health.failed(error("Unavailable", "It is suspended."))
      yield* TestClock.adjust("6 minutes")
      yield* health.answered({ computes: true, begunAt: yield* monotonicMillis })
      yield* TestClock.adjust("4 minutes")
      expect(yield* trouble).toMatchObject({ reason: "Unavailable", recoveredAgoMs: 240_000 })
      yield* TestClock.adjust("2 minutes")
      expect(yield* trouble).toBeUndefined()
    })
  )

  it.effect("has its end told once a minute, where it comes and goes", () =>
    logging((lines) =>
      Effect.gen(function* () {
        const health = yield* WarehouseHealth.make()
        const comesAndGoes = Effect.gen(function* () {
          yield* health.failed(error("Unavailable", "It is suspended."))
          yield* TestClock.adjust("1 second")
          yield* health.answered({ computes: true, begunAt: yield* monotonicMillis })
        })
        yield* Effect.replicateEffect(comesAndGoes, 20)
        expect(lines.map(([level]) => level)).toEqual(["WARN", "INFO"])
        yield* TestClock.adjust("1 minute")
        yield* comesAndGoes
        expect(lines.map(([level]) => level)).toEqual(["WARN", "INFO", "WARN", "INFO"])
      })
    )
  )

  it.effect("is forgotten an hour after it was seen last, where no success ends it", () =>
    Effect.gen(function* () {
      const health = yield* WarehouseHealth.make()
      yield* health.failed(error("Configuration", "No such database."), { place: "C" })
      const other = Effect.flatMap(monotonicMillis, (begunAt) =>
        health.answered({ place: "A", computes: false, begunAt })
      )
      yield* TestClock.adjust("59 minutes")
      yield* other
      expect(health.hasTrouble()).toBe(true)
      yield* TestClock.adjust("2 minutes")
      yield* other
      expect(health.hasTrouble()).toBe(false)
    })
  )

  it.effect("is told beside the readiness of a server, which can answer from memory", () =>
    Effect.gen(function* () {
      const { impaired = Effect.die("not told"), problem } = yield* Readiness.Readiness
      const health = yield* WarehouseHealth.WarehouseHealth
      expect(yield* impaired).toEqual(Option.none())
      yield* health.loginFailed(me, refused, "identity")
      expect(yield* problem).toEqual(Option.none())
      expect(yield* impaired).toEqual(
        Option.some(
          "the login to the warehouse was refused: Incorrect username or password was specified. " +
            "The next one is tried in 600 seconds"
        )
      )
      yield* TestClock.adjust("10 minutes")
      expect(yield* impaired).toEqual(Option.none())
    }).pipe(
      Effect.provide(
        Layer.provideMerge(
          Readiness.layer,
          Layer.mergeAll(CircuitBreaker.layer(), Degradation.layerNoop, WarehouseHealth.layer())
        )
      ),
      Effect.provide(Logger.remove(Logger.defaultLogger))
    )
  )

  it.effect("does not matter where there is no login", () =>
    Effect.gen(function* () {
      const { problem } = yield* Readiness.Readiness
      expect(yield* problem).toEqual(Option.none())
    }).pipe(
      Effect.provide(
        Layer.provide(Readiness.layer, Layer.merge(CircuitBreaker.layer(), Degradation.layerNoop))
      )
    )
  )
})
