import { describe, expect, it } from "@effect/vitest"
import { Cause, Duration, Effect, Either, Exit, Fiber, Schedule, Stream } from "effect"
import type { Client } from "../../../src/warehouse/duckdb/client.js"
import * as DuckDb from "../../../src/warehouse/DuckDb.js"
import type { Row } from "../../../src/warehouse/Warehouse.js"
import { WarehouseError } from "../../../src/warehouse/Warehouse.js"
import { childrenOf, newChildren } from "../../utils/children.js"
import { inLongForm, isLong, shortOrLong, someOrAll } from "../../utils/long.js"

interface Ask {
  readonly client?: string
  readonly timeoutMs?: number
}

const request = (sql: string, { client = "one", timeoutMs = 60_000 }: Ask = {}) => ({
  client,
  queryId: "test",
  sql,
  binds: [],
  timeoutMs
})

/** The whole answer, read as one thing: run again when its process dies. */
const whole = (client: Client, sql: string, ask?: Ask): Effect.Effect<ReadonlyArray<Row>, WarehouseError> =>
  Effect.scoped(
    client.execute(request(sql, ask), ({ rows }) =>
      Effect.map(Stream.runCollect(rows), (parts) => [...parts].flat())
    )
  )

const failure = (client: Client, sql: string, ask?: Ask) => Effect.flip(whole(client, sql, ask))

const crash = (n = 1) => `SELECT json_transform('${n}', repeat('[', 10000) || '"JSON"' || repeat(']', 10000))`
/** Planned for hours; does not stop when it is interrupted. */
const deaf = (n = 1) =>
  `WITH t0 AS (SELECT ${n} AS a)${Array.from({ length: 20 }, (_, i) => `, t${i + 1} AS (SELECT x.*, y.* FROM t${i} x, t${i} y)`).join("")} SELECT * FROM t20`
const large = (n = 0) => `SELECT len(range(${2_000_000_000 + n}))`
/** Takes some tenths of a second, and obeys. */
const slow = (n = 0) => `SELECT count(*) + ${n} FROM range(30000000) t(i) WHERE i % 7 = 3`
const slowAnswer = (n = 0) => [[4_285_714 + n]]
const endless = "SELECT count(*) FROM range(1000000000000) t(i) WHERE i % 7 = 3"

const killAll = Effect.sync(() => {
  const pids = childrenOf()
  for (const pid of pids) process.kill(pid, "SIGKILL")
  return pids.length
})

const make = (options: DuckDb.Options = {}) =>
  DuckDb.makeEmbedded({ sample: false, processes: 1, ...options })

/** As many as run at a time have a place. */
const hasAllPlaces = (client: Client) =>
  Effect.gen(function* () {
    const all = yield* Effect.all(
      Array.from({ length: 24 }, (_, n) => whole(client, `SELECT ${n} + 0 * ${n}`)),
      { concurrency: "unbounded" }
    )
    expect(all).toEqual(Array.from({ length: 24 }, (_, n) => [[n]]))
  })

describe("a statement whose failure quotes a value", () => {
  const long = (text: string) => `repeat(${text}, 3000000)`
  it.scopedLive.each(
    someOrAll(
      [
        `SELECT TO_NUMBER(${long("'x'")})`,
        `SELECT CAST(${long("'x'")} AS INTEGER)`,
        `SELECT CAST(${long("chr(1)")} AS DATE)`,
        `SELECT CAST(${long("'😀'")} AS BOOLEAN)`,
        `SELECT CAST(${long("'x'")} AS TIMESTAMP)`,
        `SELECT PARSE_JSON(${long("'x'")})`,
        `SELECT CAST(string_agg(i || '@example.com', ',') AS INTEGER) FROM range(100000) t(i)`,
        `SELECT error(${long("'x'")})`
      ],
      3
    )
  )("is told in a few hundred characters: %s", (sql) =>
    Effect.gen(function* () {
      const { description, ...error } = yield* failure(yield* make(), sql)
      expect(description).toContain("…")
      expect(description.length).toBeLessThanOrEqual(600)
      expect(JSON.stringify({ ...error, description }).length).toBeLessThan(4_000)
      expect(Buffer.from(description).toString()).toBe(description)
    })
  )
})

describe("a statement that ends its process", () => {
  it.scopedLive("fails alone, with what it did, and is refused when it comes again", () =>
    Effect.gen(function* () {
      const client = yield* make()
      const error = yield* failure(client, crash())
      expect([error.reason, error.sent]).toEqual(["ResourcesExceeded", "yes"])
      expect(error.description).toContain("ended the process that ran it (SIGSEGV)")
      expect(yield* whole(client, "SELECT 40 + 2")).toEqual([[42]])
      const begun = newChildren()
      const again = yield* failure(client, crash())
      expect([again.reason, again.sent, again.description]).toEqual([
        "ResourcesExceeded",
        "no",
        error.description
      ])
      expect(begun()).toEqual([])
    })
  )

  it.scopedLive("is ended when it takes more memory than one may have, and told so", () =>
    Effect.gen(function* () {
      const client = yield* make({ processMemoryLimit: "400MB" })
      const error = yield* failure(client, large())
      expect(error.reason).toBe("ResourcesExceeded")
      expect(error.description).toContain("more memory than one may have in the embedded warehouse (0.4 GB)")
      expect(yield* whole(client, "SELECT 1")).toEqual([[1]])
    })
  )

  it.scopedLive("is ended when it does not stop after its time, and told which that was", () =>
    Effect.gen(function* () {
      const client = yield* make()
      yield* whole(client, "SELECT 1")
      // On a busy machine it may be stopped before it is planned, or not be blamed, as its process had no time to stop in.
      const [took, error] = yield* Effect.repeat(Effect.timed(failure(client, deaf(), { timeoutMs: 500 })), {
        until: ([, { description }]) =>
          description.includes("did not stop") && !description.includes("it may be repeated")
      })
      expect(error.reason).toBe("StatementTimeout")
      expect(error.description).toContain("timeout of 0.5 second(s) and did not stop")
      expect(Duration.toMillis(took)).toBeLessThan(4000)
      expect((yield* failure(client, deaf(), { timeoutMs: 60_000 })).sent).toBe("no")
      expect(yield* whole(client, "SELECT 1")).toEqual([[1]])
    })
  )

  inLongForm(() => {
    it.scopedLive("gives its place back when it was cancelled and does not stop", () =>
      Effect.gen(function* () {
        const client = yield* make()
        yield* whole(client, "SELECT 1")
        const running = yield* Effect.forEach(Array.from({ length: 12 }), (_, n) =>
          Effect.fork(whole(client, deaf(n)))
        )
        yield* Effect.sleep("300 millis")
        const [took] = yield* Effect.timed(Fiber.interruptAll(running))
        expect(Duration.toMillis(took)).toBeLessThan(1500)
        expect(yield* whole(client, "SELECT 1", { timeoutMs: 15_000 })).toEqual([[1]])
        yield* hasAllPlaces(client)
      })
    )

    it.scopedLive("may be repeated when its process had no processor time to stop in", () =>
      Effect.gen(function* () {
        const client = yield* make()
        for (const leave of shortOrLong([false], [false, true])) {
          yield* whole(client, "SELECT 1")
          const running = yield* Effect.fork(Effect.either(whole(client, slow(), { timeoutMs: 300 })))
          yield* Effect.sleep("20 millis")
          for (const pid of childrenOf()) process.kill(pid, "SIGSTOP")
          const begun = newChildren()
          if (leave) yield* Fiber.interrupt(running)
          else {
            const outcome = yield* Fiber.join(running)
            const error = Either.getOrThrow(Either.flip(outcome))
            expect(error.reason).toBe("StatementTimeout")
            expect(error.description).toContain("it may be repeated")
          }
          expect(yield* whole(client, slow(), { timeoutMs: 20_000 })).toEqual(slowAnswer())
          // By another process: the one that stood still was ended.
          expect(begun()).toHaveLength(1)
        }
      })
    )
  })

  it.scopedLive("takes none of those that ran beside it with it: they are run again, unseen", () =>
    Effect.gen(function* () {
      const client = yield* make({ processMemoryLimit: "600MB" })
      yield* whole(client, "SELECT 1")
      for (const bomb of shortOrLong([crash(7)], [crash(7), large(7)])) {
        const innocent = yield* Effect.forEach([1, 2, 3], (n) => Effect.fork(whole(client, slow(n))))
        const many = yield* Effect.fork(whole(client, "SELECT range FROM range(200000)"))
        yield* Effect.sleep("20 millis")
        const error = yield* failure(client, bomb)
        expect(error.reason).toBe("ResourcesExceeded")
        expect(yield* Effect.forEach(innocent, Fiber.join)).toEqual([1, 2, 3].map(slowAnswer))
        expect((yield* Fiber.join(many)).length).toBe(200_000)
      }
      yield* hasAllPlaces(client)
    })
  )

  it.scopedLive("touches nothing of another client", () =>
    Effect.gen(function* () {
      const client = yield* make({ processes: 4 })
      yield* whole(client, "SELECT 1", { client: "other" })
      const abuse = Effect.forEach(
        Array.from({ length: 4 }, (_, n) => n),
        (n) => Effect.either(whole(client, n % 2 === 0 ? crash(n) : deaf(n), { timeoutMs: 300 })),
        { concurrency: 3 }
      )
      const abused = yield* Effect.fork(abuse)
      const exits: Array<boolean> = []
      while ((yield* Fiber.poll(abused))._tag === "None") {
        const [took, answer] = yield* Effect.timed(whole(client, "SELECT 5", { client: "other" }))
        exits.push(Duration.toMillis(took) < 2000 && answer[0]?.[0] === 5)
      }
      expect(exits.length).toBeGreaterThan(5)
      expect(exits.every(Boolean)).toBe(true)
    })
  )

  inLongForm(() => {
    it.scopedLive(
      "ends the rows of an answer that was handed on already as one that is worth another try",
      () =>
        Effect.gen(function* () {
          const client = yield* make()
          const error = yield* Effect.flip(
            Effect.scoped(
              Effect.gen(function* () {
                const { rows } = yield* client.execute(
                  request("SELECT range FROM range(100000000000)"),
                  Effect.succeed
                )
                yield* Stream.runForEach(rows, () => killAll)
              })
            )
          )
          expect(error.reason).toBe("SessionLost")
          yield* hasAllPlaces(client)
        })
    )
  })
})

it.scopedLive("gives a small result as a whole, and a large one as a stream", () =>
  Effect.gen(function* () {
    const client = yield* make()
    const isWhole = (rows: number) =>
      client.execute(request(`SELECT i FROM range(${rows}) t(i) LIMIT ${rows}`), ({ whole }) =>
        Effect.succeed(whole !== undefined)
      )
    expect([yield* isWhole(3), yield* isWhole(20_000)]).toEqual([true, false])
  })
)

describe("places in a process", () => {
  it.scopedLive("go to the client that has the fewest", () =>
    Effect.gen(function* () {
      const client = yield* make()
      yield* whole(client, "SELECT 1")
      const held = yield* Effect.forEach(Array.from({ length: 30 }), () =>
        Effect.fork(whole(client, endless, { timeoutMs: 60_000 }))
      )
      const other = yield* Effect.fork(whole(client, "SELECT 2", { client: "two" }))
      yield* Effect.sleep("200 millis")
      // 18 of the first client wait for a place since before.
      yield* Fiber.interrupt(held[0]!)
      expect(yield* Effect.timeout(Fiber.join(other), "5 seconds")).toEqual([[2]])
      yield* Fiber.interruptAll(held)
      yield* hasAllPlaces(client)
    })
  )

  inLongForm(() => {
    it.scopedLive("are waited for as long as the statement has time", () =>
      Effect.gen(function* () {
        const client = yield* make()
        const held = yield* Effect.forEach(Array.from({ length: 12 }), () =>
          Effect.fork(whole(client, endless, { timeoutMs: 60_000 }))
        )
        yield* Effect.sleep("1 second")
        const error = yield* failure(client, "SELECT 2", { timeoutMs: 300 })
        expect(error.reason).toBe("StatementTimeout")
        yield* Fiber.interruptAll(held)
      })
    )
  })
})

/** Every call has ended with its value or with an error that says whose fault it is. */
const isExplained = (exit: Exit.Exit<ReadonlyArray<Row>, WarehouseError>, value: ReadonlyArray<Row>) =>
  Exit.match(exit, {
    onSuccess: (rows) => expect(rows).toEqual(value),
    onFailure: (cause) => {
      const error = Either.getOrThrow(Cause.failureOrCause(cause).pipe(Either.flip))
      expect(error).toBeInstanceOf(WarehouseError)
      expect(["ResourcesExceeded", "SessionLost", "Configuration"]).toContain(error.reason)
    }
  })

describe("the process is killed at any moment", () => {
  const sweep = (name: string, moments: ReadonlyArray<number>, options: DuckDb.Options) =>
    it.scopedLive(name, () =>
      Effect.gen(function* () {
        const before = childrenOf().length
        for (const moment of moments) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const client = yield* make(options)
              const calls = yield* Effect.forEach([1, 2, 3], (n) =>
                Effect.fork(Effect.exit(whole(client, `SELECT ${n} FROM range(30000)`)))
              )
              const asked = yield* Effect.fork(client.parse("SELECT 1"))
              yield* Effect.sleep(moment)
              yield* killAll
              const exits = yield* Effect.timeout(Effect.forEach(calls, Fiber.join), "20 seconds")
              exits.forEach((exit, n) =>
                isExplained(
                  exit,
                  Array.from({ length: 30_000 }, () => [n + 1])
                )
              )
              expect((yield* Fiber.join(asked)).statements).toBe(1)
              yield* hasAllPlaces(client)
            })
          )
        }
        yield* Effect.repeat(
          Effect.sync(() => childrenOf().length),
          // Those of the tests before may have ended meanwhile.
          { until: (count) => count <= before, schedule: Schedule.spaced("20 millis") }
        ).pipe(Effect.timeout("5 seconds"))
      })
    )

  sweep("while it starts", shortOrLong([60], [0, 20, 60, 120, 200, 300]), {})
  if (isLong) sweep("while it streams", shortOrLong([400], [400, 450, 500, 550, 650, 800]), {})

  it.live("while the scope closes, and nothing of it is left", () =>
    Effect.gen(function* () {
      const before = childrenOf().length
      for (const moment of shortOrLong([50], [0, 5, 50, 300, 600])) {
        const calls = yield* Effect.scoped(
          Effect.gen(function* () {
            const client = yield* make()
            const calls = yield* Effect.forEach([deaf(moment), endless, "SELECT 1"], (sql) =>
              Effect.forkDaemon(Effect.exit(whole(client, sql)))
            )
            yield* Effect.sleep(moment)
            yield* Effect.fork(killAll)
            return calls
          })
        )
        const exits = yield* Effect.timeout(Effect.forEach(calls, Fiber.join), "10 seconds")
        expect(exits.length).toBe(3)
      }
      yield* Effect.repeat(
        Effect.sync(() => childrenOf().length),
        // Those of the tests before may have ended meanwhile.
        { until: (count) => count <= before, schedule: Schedule.spaced("20 millis") }
      ).pipe(Effect.timeout("5 seconds"))
    })
  )
})
