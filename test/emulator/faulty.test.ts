import { expect } from "@effect/vitest"
import { Duration, Effect, Schedule } from "effect"
import type { ConnectionOptions } from "snowflake-sdk"
import * as Failures from "../../src/emulator/failures.js"
import type { AnswerDefect, Fault, PartDefect } from "../../src/emulator/FaultScript.js"
import * as Driver from "./driver.js"
import * as Raw from "./raw.js"
import * as Shared from "./shared.js"
import { withLayer } from "../utils/withLayer.js"
import { inLongForm } from "../utils/long.js"

const quick: Partial<ConnectionOptions> = { timeout: 400 }

withLayer(Shared.layer({ sample: false, inlineRows: 10, chunkRows: 100 }))(
  "faults of the emulator, seen by the driver",
  (it) => {
    const install = (...faults: ReadonlyArray<Fault>) =>
      Effect.acquireRelease(
        Effect.flatMap(Shared.Shared, (emulator) => emulator.setFaults({ faults })),
        () => Effect.ignore(Effect.flatMap(Shared.Shared, (emulator) => emulator.setFaults({ faults: [] })))
      )

    /** What a query meets while a fault is in force, by the one who had logged in before. */
    const seen = (fault: Fault, options: Partial<ConnectionOptions> = {}, sql = "SELECT 1") =>
      Effect.gen(function* () {
        const connection = yield* Driver.connect(yield* Shared.Shared, options)
        yield* install(fault)
        return yield* Effect.flip(Driver.rows(connection, sql))
      })

    it.effect(
      "refused: nobody listens, control stays reachable, and when it is over somebody listens again",
      () =>
        Effect.gen(function* () {
          const emulator = yield* Shared.Shared
          const connection = yield* Driver.connect(emulator)
          const listens = (expected: boolean) =>
            Effect.repeat(Raw.isListening(emulator.port), {
              until: (listening) => listening === expected,
              schedule: Schedule.spaced("5 millis")
            })
          yield* install({ kind: "refused" })
          yield* listens(false)
          // Its open connection was closed under the driver, which may notice only when it uses it.
          const attempt = Effect.flip(Driver.rows(connection, "SELECT 1"))
          let error = yield* attempt
          while (error.message === "socket hang up") error = yield* Effect.delay(attempt, "10 millis")
          expect(error).toMatchObject({ code: 401001, message: expect.stringContaining("ECONNREFUSED") })
          const faults = yield* Raw.get(`${emulator.controlUrl}/__emulator/faults`, {})
          expect(faults).toMatchObject({ status: 200, body: expect.stringContaining('"listening":false') })
          yield* install({ kind: "refused", untilMs: 50 })
          yield* listens(true)
          expect(yield* Driver.rows(connection, "SELECT 2")).toEqual([[2]])
        })
    )

    it.effect("reset and midBodyReset: the connection breaks", () =>
      Effect.gen(function* () {
        for (const kind of ["reset", "midBodyReset"] as const) {
          const error = yield* seen({ kind, where: "query" })
          // Half a body is one or the other, depending on how much of it the driver has read.
          const cause = expect.stringMatching(
            kind === "reset" ? /^ECONNRESET$/ : /^(?:ECONNRESET|ERR_BAD_RESPONSE)$/
          )
          expect(error, kind).toMatchObject({ code: 401001, cause: { code: cause } })
        }
      })
    )

    it.effect(
      "lostAnswer: the statement ran, and sending it again with its request id does not run it again",
      () =>
        Effect.gen(function* () {
          const emulator = yield* Shared.Shared
          const connection = yield* Driver.connect(emulator)
          const before = (yield* emulator.state).statements.executed
          yield* install({ kind: "lostAnswer", where: "query", count: 1 })
          const requestId = "11111111-3f7a-4a53-8b8e-5f6f0a1b2c3d"
          const error = yield* Effect.flip(Driver.rows(connection, "SELECT 5", { requestId }))
          expect(error).toMatchObject({ code: 401001 })
          expect(yield* Driver.rows(connection, "SELECT 5", { requestId })).toEqual([[5]])
          expect((yield* emulator.state).statements.executed - before).toBe(1)
        })
    )

    it.effect("hang: no answer until the client gives up, and the fiber ends with it", () =>
      Effect.gen(function* () {
        const error = yield* seen({ kind: "hang", where: "query" }, quick)
        expect(error).toMatchObject({ code: 401001, cause: { code: "ECONNABORTED" } })
      })
    )

    it.effect("latency: the answer comes later", () =>
      Effect.gen(function* () {
        const connection = yield* Driver.connect(yield* Shared.Shared)
        yield* install({ kind: "latency", where: "query", delay: { ms: 150 } })
        const [time] = yield* Effect.timed(Driver.rows(connection, "SELECT 1"))
        expect(Duration.toMillis(time)).toBeGreaterThanOrEqual(149)
      })
    )

    it.effect("status: with Retry-After when asked for, and a proxy's page when asked for", () =>
      Effect.gen(function* () {
        const limited = yield* seen({ kind: "status", status: 429, retryAfterSeconds: 7, where: "query" })
        expect(limited).toMatchObject({
          code: 401002,
          response: { statusCode: 429, headers: { "retry-after": "7" } }
        })
        const plain = yield* seen({ kind: "status", status: 429, where: "query" })
        expect(plain).not.toHaveProperty("response.headers.retry-after")
        for (const status of [500, 502, 503, 504]) {
          const error = yield* seen({ kind: "status", status, html: status === 502, where: "query" })
          expect(error).toMatchObject({ code: 401002, response: { statusCode: status } })
        }
      })
    )

    it.effect("html and malformedJson: answers that make no sense", () =>
      Effect.gen(function* () {
        const html = yield* seen({ kind: "html", where: "query" })
        expect(html).toMatchObject({ name: "OperationFailedError" })
        expect(html).not.toMatchObject({ code: expect.anything() })
        const malformed = yield* seen({ kind: "malformedJson", where: "query" })
        expect(malformed).toMatchObject({ code: 401001, cause: { name: "SyntaxError" } })
      })
    )

    it.effect("slowBody: the bytes trickle in, and the driver's timeout does not mind while they do", () =>
      Effect.gen(function* () {
        const connection = yield* Driver.connect(yield* Shared.Shared, quick)
        yield* install({ kind: "slowBody", overMs: 800, where: "query" })
        const [time, rows] = yield* Effect.timed(Driver.rows(connection, "SELECT 1"))
        expect(rows).toEqual([[1]])
        expect(Duration.toMillis(time)).toBeGreaterThanOrEqual(750)
      })
    )

    it.effect("expiredSession: the driver renews its token and goes on", () =>
      Effect.gen(function* () {
        const emulator = yield* Shared.Shared
        const connection = yield* Driver.connect(emulator)
        const before = (yield* emulator.state).requests["Renew"] ?? 0
        yield* install({ kind: "expiredSession", where: "query", count: 1 })
        expect(yield* Driver.rows(connection, "SELECT 1")).toEqual([[1]])
        expect((yield* emulator.state).requests["Renew"]).toBe(before + 1)
      })
    )

    it.effect("an expired session that cannot be renewed is lost", () =>
      Effect.gen(function* () {
        const connection = yield* Driver.connect(yield* Shared.Shared)
        yield* install(
          { kind: "expiredSession", where: "query" },
          { kind: "status", status: 503, where: "renew" }
        )
        expect(yield* Effect.flip(Driver.rows(connection, "SELECT 1"))).toMatchObject({ code: 407002 })
      })
    )

    it.effect("badPassword: no login is accepted", () =>
      Effect.gen(function* () {
        yield* install({ kind: "badPassword" })
        const error = yield* Effect.flip(Effect.asVoid(Driver.connect(yield* Shared.Shared)))
        expect(error).toMatchObject({ code: "390100" })
      })
    )

    it.effect("of the warehouse strike what needs one, and nothing else", () =>
      Effect.gen(function* () {
        const expected = [
          ["suspendedWarehouse", "000608", "57P03"],
          ["resourceMonitor", "090073", "22000"],
          ["queueTimeout", "000630", "57014"]
        ] as const
        for (const [kind, code, sqlState] of expected) {
          expect(yield* seen({ kind }), kind).toMatchObject({ code, sqlState })
        }
        const connection = yield* Driver.connect(yield* Shared.Shared)
        yield* install({ kind: "suspendedWarehouse" })
        expect(yield* Driver.rows(connection, "SHOW DATABASES")).toEqual([])
        expect(yield* Driver.rows(connection, "USE WAREHOUSE OTHER_WH")).toHaveLength(1)
      })
    )

    it.effect("corruptGzip: the driver fetches the chunk again", () =>
      Effect.gen(function* () {
        const emulator = yield* Shared.Shared
        const connection = yield* Driver.connect(emulator)
        const before = (yield* emulator.state).requests["Chunk"] ?? 0
        yield* install({ kind: "corruptGzip", count: 1 })
        const rows = yield* Driver.rows(connection, "SELECT * FROM range(310)")
        expect(rows.map((row) => row[0])).toEqual(Array.from({ length: 310 }, (_, n) => n))
        expect(((yield* emulator.state).requests["Chunk"] ?? 0) - before).toBe(4)
      })
    )

    it.effect(
      "of chunks: each is what it is called, and only for whoever has the address and the header",
      () =>
        Effect.gen(function* () {
          const client = yield* Raw.login(yield* Shared.Shared)
          const { chunkHeaders, chunks } = yield* client.query("SELECT * FROM range(310)")
          expect(chunks.map((chunk) => chunk.rowCount)).toEqual([100, 100, 100])
          const url = chunks[0]!.url
          const get = (address = url, headers = chunkHeaders) => Raw.get(address, headers)
          expect(yield* get()).toMatchObject({
            status: 200,
            body: expect.stringMatching(/^\["10"\],.*,\["109"\]$/)
          })
          expect(yield* get(url, {})).toMatchObject({ status: 403 })
          expect(yield* get(url.replace("/0?", "/1?"))).toMatchObject({ status: 403 })
          for (const status of [403, 404]) {
            yield* install({ kind: "status", status, where: "chunk" })
            expect(yield* get()).toMatchObject({ status })
          }
          yield* install({ kind: "corruptGzip" })
          expect(yield* get()).toMatchObject({ error: "Z_DATA_ERROR" })
          yield* install({ kind: "malformedJson", where: "chunk" })
          expect(yield* get()).toMatchObject({ status: 200, body: '["cut off' })
          for (const kind of ["reset", "midBodyReset"] as const) {
            yield* install({ kind, where: "chunk" })
            expect(yield* get(), kind).toMatchObject({ error: "ECONNRESET" })
          }
          yield* install({ kind: "hang", where: "chunk" })
          expect(yield* Effect.timeoutOption(get(), "100 millis")).toMatchObject({ _tag: "None" })
        })
    )

    it.effect("refusal: of a statement, a poll, a login and a renewal, with its own text or another", () =>
      Effect.gen(function* () {
        const emulator = yield* Shared.Shared
        for (const code of Failures.refusalCodes.filter((code) => !code.startsWith("39"))) {
          const { message, sqlState } = Failures.refusal(code)
          const error = yield* seen({ kind: "refusal", where: "query", code })
          expect(error).toMatchObject({ code, sqlState, message, data: { queryId: expect.any(String) } })
          expect((yield* emulator.state).latest.at(-1)).toMatchObject({ errorCode: code, sql: "SELECT 1" })
        }
        const before = (yield* emulator.state).statements.executed
        expect(
          yield* seen({ kind: "refusal", where: "query", code: "390115", message: "No.", sqlState: "08001" })
        ).toMatchObject({ code: "390115", message: "No.", sqlState: "08001" })
        // The driver takes these for the end of its connection.
        for (const code of ["390104", "390111"]) {
          expect(yield* seen({ kind: "refusal", where: "query", code })).toMatchObject({ code: 407002 })
        }
        expect((yield* emulator.state).statements.executed).toBe(before)
        yield* install({ kind: "refusal", where: "login", code: "390113" })
        const login = yield* Effect.flip(Effect.asVoid(Driver.connect(emulator)))
        expect(login).toMatchObject({
          code: "390113",
          message: "Master token not found in the request data."
        })
        yield* install({ kind: "refusal", where: "query", code: "000610", sql: "select 2" })
        const connection = yield* Driver.connect(emulator)
        expect(yield* Driver.rows(connection, "SELECT 1")).toEqual([[1]])
        expect(yield* Effect.flip(Driver.rows(connection, "SELECT 2"))).toMatchObject({ code: "000610" })
      })
    )

    it.effect("inProgress: a statement is carried out while its polls are answered at once", () =>
      Effect.gen(function* () {
        const emulator = yield* Shared.Shared
        const connection = yield* Driver.connect(emulator)
        const before = (yield* emulator.state).requests["Result"] ?? 0
        yield* install({ kind: "inProgress", count: 6 })
        expect(yield* Driver.rows(connection, "SELECT 7")).toEqual([[7]])
        expect((yield* emulator.state).requests["Result"]).toBe(before + 6)
        yield* install(
          { kind: "inProgress", count: 2 },
          { kind: "refusal", where: "poll", code: "000612", count: 1 }
        )
        expect(yield* Effect.flip(Driver.rows(connection, "SELECT 8"))).toMatchObject({ code: "000612" })
      })
    )

    it.effect("part: holds something else than what was declared", () =>
      Effect.gen(function* () {
        const client = yield* Raw.login(yield* Shared.Shared)
        const { chunkHeaders, chunks } = yield* client.query("SELECT RANGE, 'x' FROM range(130)")
        const url = chunks[0]!.url
        const part = (defect: PartDefect) =>
          Effect.gen(function* () {
            yield* install({ kind: "part", defect })
            return yield* Raw.get(url, chunkHeaders)
          })
        const rows = (defect: PartDefect) =>
          Effect.map(part(defect), (answer): ReadonlyArray<unknown> =>
            "body" in answer ? JSON.parse(`[${answer.body}]`) : [answer.error]
          )
        expect(yield* rows("short")).toHaveLength(99)
        expect(yield* rows("long")).toHaveLength(101)
        expect((yield* rows("narrow"))[0]).toEqual(["10"])
        expect((yield* rows("wide"))[0]).toEqual(["10", "x", "more"])
        expect((yield* rows("shapeless"))[0]).toEqual({ row: ["10", "x"] })
        expect((yield* rows("json"))[0]).toEqual(["10", "x"])
        expect(yield* part("truncatedGzip")).toMatchObject({ error: "Z_BUF_ERROR" })
      })
    )

    it.effect("answer: declares something else than what there is", () =>
      Effect.gen(function* () {
        const client = yield* Raw.login(yield* Shared.Shared)
        const answer = (defect: AnswerDefect) =>
          Effect.gen(function* () {
            yield* install({ kind: "answer", defect })
            return yield* client.query("SELECT 1")
          })
        expect(yield* answer("noRowset")).not.toHaveProperty("rowset")
        expect(yield* answer("noRowtype")).not.toHaveProperty("rowtype")
        expect(yield* answer("total")).toMatchObject({ total: 2, returned: 2, rowset: [["1"]] })
        expect(yield* answer("noData")).toBe(null)
      })
    )

    inLongForm(() => {
      it.effect("largeParts: parts end where CLIENT_RESULT_CHUNK_SIZE says", () =>
        Effect.gen(function* () {
          const client = yield* Raw.login(yield* Shared.Shared)
          const sizes = Effect.map(client.query("SELECT REPEAT('x', 10000) FROM range(4000)"), ({ chunks }) =>
            chunks.map(({ rowCount }) => rowCount)
          )
          expect(yield* sizes).toHaveLength(40)
          yield* install({ kind: "largeParts" })
          expect(yield* sizes).toEqual([3990])
          yield* client.query("ALTER SESSION SET CLIENT_RESULT_CHUNK_SIZE = 16")
          expect(yield* sizes).toEqual([1678, 1678, 634])
        })
      )
    })

    it.effect("of a login: what could not be answered is told apart from what was refused", () =>
      Effect.gen(function* () {
        const login = (fault: Fault) =>
          Effect.gen(function* () {
            yield* install(fault)
            return yield* Effect.flip(Effect.asVoid(Driver.connect(yield* Shared.Shared, quick)))
          })
        expect(yield* login({ kind: "status", status: 403, where: "login" })).toMatchObject({
          code: 401002,
          response: { statusCode: 403 }
        })
        expect(yield* login({ kind: "hang", where: "login" })).toMatchObject({ code: 401001 })
      })
    )
  }
)
