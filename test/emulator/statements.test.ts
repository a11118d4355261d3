import { expect } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import type { RowStatement } from "snowflake-sdk"
import * as Driver from "./driver.js"
import * as Shared from "./shared.js"
import { withLayer } from "../utils/withLayer.js"

const endless = "SELECT count(*) FROM range(1000000000000) t(i) WHERE i % 7 = 3"

/** Until something becomes true in the emulator; the test's own limit ends it otherwise. */
const until = <R>(condition: Effect.Effect<boolean, never, R>) =>
  Effect.repeat(condition, { until: (holds) => holds, schedule: Schedule.spaced("5 millis") })

const cancel = (statement: RowStatement) =>
  Effect.async<void, Error>((resume) => {
    statement.cancel((error) => resume(error ? Effect.fail(error) : Effect.void))
  })

withLayer(Shared.layer({ sample: false, holdMs: 100, concurrency: 2 }))(
  "statements of the emulator",
  (it) => {
    const last = Effect.map(
      Effect.flatMap(Shared.Shared, (emulator) => emulator.state),
      (state) => state.latest[state.latest.length - 1]
    )

    it.effect("take binds by question mark and by number", () =>
      Effect.gen(function* () {
        const connection = yield* Driver.connect(yield* Shared.Shared)
        const rows = yield* Driver.rows(connection, "SELECT ? + 1, ?, ?::BOOLEAN, ? IS NULL, 'a:1' || ?", {
          binds: [41, "it's", true, null, "x"]
        })
        expect(rows).toEqual([[42, "it's", true, true, "a:1x"]])
        expect(yield* Driver.rows(connection, "SELECT :2 || :1, :1", { binds: ["a", "b"] })).toEqual([
          ["ba", "a"]
        ])
      })
    )

    it.effect("that are wrong are refused in Snowflake's words", () =>
      Effect.gen(function* () {
        const connection = yield* Driver.connect(yield* Shared.Shared)
        const refusal = (sql: string) => Effect.flip(Driver.rows(connection, sql))
        expect(yield* refusal("SELECT * FROM nowhere")).toMatchObject({
          code: "002003",
          sqlState: "42S02",
          message: expect.stringMatching(
            /^SQL compilation error:\n.*NOWHERE.*does not exist or not authorized/is
          ),
          data: { type: "COMPILATION", queryId: expect.any(String) }
        })
        expect(yield* refusal("SELECT FROM WHERE")).toMatchObject({ code: "001003", sqlState: "42000" })
        expect(yield* refusal("SELECT 'x'::NUMBER")).toMatchObject({ code: "100038", sqlState: "22018" })
        expect(yield* refusal("INSERT INTO t VALUES (1)")).toMatchObject({ code: "001003" })
      })
    )

    it.effect("that take longer than one answer are polled for", () =>
      Effect.gen(function* () {
        const emulator = yield* Shared.Shared
        const connection = yield* Driver.connect(emulator)
        const before = (yield* emulator.state).requests["Result"] ?? 0
        expect(yield* Driver.rows(connection, "SELECT SYSTEM$WAIT(0.25)")).toEqual([["waited 0.25 seconds"]])
        expect(((yield* emulator.state).requests["Result"] ?? 0) - before).toBeGreaterThanOrEqual(1)
      })
    )

    it.effect("run in the background when asked to, and are fetched by their id", () =>
      Effect.gen(function* () {
        const connection = yield* Driver.connect(yield* Shared.Shared)
        const status = (queryId: string) => Effect.promise(() => connection.getQueryStatus(queryId))
        const long = yield* Driver.start(connection, { sqlText: "SELECT SYSTEM$WAIT(60)", asyncExec: true })
        expect(yield* status(long.getQueryId())).toBe("RUNNING")
        yield* Driver.rows(connection, `SELECT SYSTEM$CANCEL_QUERY('${long.getQueryId()}')`)
        expect(yield* status(long.getQueryId())).toBe("ABORTED")
        const short = yield* Driver.start(connection, { sqlText: "SELECT SYSTEM$WAIT(0.1)", asyncExec: true })
        const queryId = short.getQueryId()
        const result = yield* Effect.promise(() => connection.getResultsFromQueryId({ queryId, sqlText: "" }))
        expect(yield* Driver.rowsOf(result)).toEqual([["waited 0.1 seconds"]])
        expect(yield* status(queryId)).toBe("SUCCESS")
      })
    )

    it.effect("that failed in the background say so when they are asked for", () =>
      Effect.gen(function* () {
        const connection = yield* Driver.connect(yield* Shared.Shared)
        const statement = yield* Driver.start(connection, { sqlText: "SELECT 'x'::NUMBER", asyncExec: true })
        const queryId = statement.getQueryId()
        yield* until(Effect.map(last, (entry) => entry?.status === "FAILED_WITH_ERROR"))
        expect(yield* Effect.promise(() => connection.getQueryStatus(queryId))).toBe("FAILED_WITH_ERROR")
      })
    )

    it.effect("are cancelled before their id is known, and DuckDB stops", () =>
      Effect.gen(function* () {
        const emulator = yield* Shared.Shared
        const connection = yield* Driver.connect(emulator)
        const sent: Array<RowStatement> = []
        const fiber = yield* Effect.fork(
          Effect.flip(Driver.start(connection, { sqlText: endless }, (_) => sent.push(_)))
        )
        yield* until(Effect.map(last, (entry) => entry?.sql === endless && entry.status === "RUNNING"))
        yield* cancel(sent[0]!)
        expect(yield* Fiber.join(fiber)).toMatchObject({ code: "000604", sqlState: "57014" })
        expect((yield* emulator.state).statements).toMatchObject({ running: 0, queued: 0 })
      })
    )

    it.effect("are cancelled by their id, also while they are polled for", () =>
      Effect.gen(function* () {
        const connection = yield* Driver.connect(yield* Shared.Shared)
        const sent: Array<RowStatement> = []
        const fiber = yield* Effect.fork(
          Effect.flip(Driver.start(connection, { sqlText: endless }, (_) => sent.push(_)))
        )
        yield* until(Effect.sync(() => sent[0]?.getQueryId() !== undefined))
        yield* cancel(sent[0]!)
        expect(yield* Fiber.join(fiber)).toMatchObject({ code: "000604" })
        expect((yield* last)?.status).toBe("ABORTED")
        expect(yield* Effect.flip(cancel(sent[0]!))).toMatchObject({ code: "000605" })
      })
    )

    it.effect("are ended by the server when they reach STATEMENT_TIMEOUT_IN_SECONDS", () =>
      Effect.gen(function* () {
        const connection = yield* Driver.connect(yield* Shared.Shared)
        const error = yield* Effect.flip(
          Driver.rows(connection, endless, { parameters: { STATEMENT_TIMEOUT_IN_SECONDS: 1 } })
        )
        expect(error).toMatchObject({ code: "000630", sqlState: "57014" })
        expect(error.message).toContain("timeout of 1 second(s)")
      })
    )

    it.effect("wait in a queue when the warehouse is busy, and not longer than they may", () =>
      Effect.gen(function* () {
        const emulator = yield* Shared.Shared
        const connection = yield* Driver.connect(emulator)
        const busy = yield* Effect.forEach([1, 2], () =>
          Driver.start(connection, { sqlText: "SELECT SYSTEM$WAIT(20)", asyncExec: true })
        )
        const error = yield* Effect.flip(
          Driver.rows(connection, "SELECT 1", { parameters: { STATEMENT_QUEUED_TIMEOUT_IN_SECONDS: 1 } })
        )
        expect(error).toMatchObject({ sqlState: "57014" })
        expect(error.message).toContain("queued timeout of 1 second(s)")
        expect(yield* Driver.rows(connection, "SHOW DATABASES")).toEqual([])
        yield* Effect.forEach(busy, cancel)
        expect((yield* emulator.state).statements).toMatchObject({ running: 0, queued: 0 })
      })
    )

    it.effect("with the same request id are one statement, executed once", () =>
      Effect.gen(function* () {
        const emulator = yield* Shared.Shared
        const connection = yield* Driver.connect(emulator)
        const before = (yield* emulator.state).statements.executed
        const requestId = "7b6d7b0e-3f7a-4a53-8b8e-5f6f0a1b2c3d"
        const answers = yield* Effect.all(
          [1, 2, 3].map(() => Driver.query(connection, "SELECT random() AS R", { requestId })),
          { concurrency: "unbounded" }
        )
        expect(new Set(answers.map(({ rows }) => rows[0]?.[0])).size).toBe(1)
        expect(new Set(answers.map(({ statement }) => statement.getQueryId())).size).toBe(1)
        expect((yield* emulator.state).statements.executed - before).toBe(1)
      })
    )

    it.effect("are one to a text unless more are asked for", () =>
      Effect.gen(function* () {
        const connection = yield* Driver.connect(yield* Shared.Shared)
        const two = "SELECT 1; SELECT ';' AS B"
        expect(yield* Effect.flip(Driver.rows(connection, two))).toMatchObject({
          code: "000008",
          sqlState: "0A000"
        })
        // In stream mode the driver completes with the whole text first, which has no rows of its own.
        yield* Driver.start(connection, { sqlText: two, parameters: { MULTI_STATEMENT_COUNT: 2 } })
        const parts = (yield* (yield* Shared.Shared).state).latest.slice(-2)
        const rows = yield* Effect.forEach(parts, ({ queryId }) =>
          Effect.flatMap(
            Effect.promise(() => connection.getResultsFromQueryId({ queryId, sqlText: "" })),
            Driver.rowsOf
          )
        )
        expect(rows).toEqual([[[1]], [[";"]]])
        const ended = yield* Effect.flip(
          Driver.rows(connection, "SELECT 1; SELECT nope", { parameters: { MULTI_STATEMENT_COUNT: 0 } })
        )
        expect(ended).toMatchObject({ code: "000904" })
      })
    )

    it.effect("can be described without being run", () =>
      Effect.gen(function* () {
        const connection = yield* Driver.connect(yield* Shared.Shared)
        const { rows, statement } = yield* Driver.query(connection, "SELECT 1 AS N FROM range(10)", {
          describeOnly: true
        })
        expect(rows).toEqual([])
        expect(statement.getColumns()?.map((column) => column.getName())).toEqual(["N"])
      })
    )

    it.effect("carry a tag", () =>
      Effect.gen(function* () {
        const emulator = yield* Shared.Shared
        const connection = yield* Driver.connect(emulator)
        yield* Driver.rows(connection, "SELECT 1", { parameters: { QUERY_TAG: '{"tool":"execute_query"}' } })
        expect((yield* emulator.state).tags['{"tool":"execute_query"}']).toBe(1)
        expect((yield* last)?.tag).toBe('{"tool":"execute_query"}')
      })
    )

    it.effect("end with their session", () =>
      Effect.gen(function* () {
        const emulator = yield* Shared.Shared
        const connection = yield* Driver.connect(emulator)
        const fiber = yield* Effect.fork(Effect.flip(Driver.start(connection, { sqlText: endless })))
        yield* until(Effect.map(emulator.state, (state) => state.statements.running === 1))
        yield* Driver.destroy(connection)
        expect(yield* Fiber.join(fiber)).toMatchObject({ code: expect.anything() })
        expect((yield* emulator.state).statements.running).toBe(0)
      })
    )
  }
)
