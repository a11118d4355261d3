/**
 * Every way in which the way to Snowflake is known to break, met through the adapter: the right reason,
 * within a time, without a retry of the driver's own, and the next statement works.
 */
import { it } from "@effect/vitest"
import { Chunk, Duration, Effect, Either, Stream } from "effect"
import { randomUUID } from "node:crypto"
import { afterAll, expect, vi } from "vitest"
import * as Emulator from "../../src/emulator/Emulator.js"
import type { Fault } from "../../src/emulator/FaultScript.js"
import * as Snowflake from "../../src/warehouse/Snowflake.js"
import type { Reason } from "../../src/warehouse/Warehouse.js"
import { optionsFor } from "./snowflakeServer.js"
import { shortOrLong } from "../utils/long.js"

const rows: Array<string> = []
afterAll(() => {
  process.stderr.write(`\nfault | phase | reason | sent | code | ms | requests\n${rows.join("\n")}\n`)
})

type Phase = "login" | "query" | "chunk"

interface Row {
  readonly name: string
  readonly phase: Phase
  readonly fault: Fault
  readonly reason: Reason
  readonly withinMs?: number
}

const at = (where: Phase, fault: Fault, reason: Reason, withinMs?: number): Row => ({
  name: "status" in fault ? `${fault.status}` : fault.kind,
  phase: where,
  fault: { ...fault, where } as Fault,
  reason,
  ...(withinMs === undefined ? {} : { withinMs })
})

const everywhere = (fault: Fault, login: Reason, query: Reason, chunk: Reason): ReadonlyArray<Row> => [
  at("login", fault, login),
  at("query", fault, query),
  at("chunk", fault, chunk)
]

const status = (code: number): Fault => ({ kind: "status", status: code })

const all: ReadonlyArray<Row> = [
  at("login", { kind: "badPassword" }, "Authentication"),
  at("query", { kind: "suspendedWarehouse" }, "Unavailable"),
  at("query", { kind: "resourceMonitor" }, "Unavailable"),
  at("query", { kind: "queueTimeout" }, "Overloaded"),
  at("chunk", { kind: "corruptGzip" }, "Protocol"),
  at("chunk", { kind: "hang" }, "Unreachable"),
  ...everywhere({ kind: "reset" }, "Unreachable", "Unreachable", "Unreachable"),
  ...everywhere({ kind: "midBodyReset" }, "Unreachable", "Unreachable", "Unreachable"),
  at("login", { kind: "hang" }, "Unreachable"),
  // The time of the statement, the grace, and the time to cancel.
  at("query", { kind: "hang" }, "Unreachable", 8_000),
  ...[500, 502, 503, 504, 408].flatMap((code) =>
    everywhere(status(code), "Unreachable", "Unreachable", "Unreachable")
  ),
  ...everywhere(status(429), "Overloaded", "Overloaded", "Overloaded"),
  ...everywhere(status(403), "Configuration", "Configuration", "Unreachable"),
  ...everywhere(status(404), "Configuration", "Protocol", "Unreachable"),
  ...everywhere(status(400), "Configuration", "Protocol", "Unreachable"),
  at("login", status(401), "Authentication"),
  ...everywhere({ kind: "malformedJson" }, "Protocol", "Protocol", "Protocol"),
  ...everywhere({ kind: "html" }, "Protocol", "Protocol", "Protocol")
]

/** In the short form the first row of each outcome in each place. */
const matrix = shortOrLong(
  all.filter(
    (row, n) => n === all.findIndex(({ phase, reason }) => phase === row.phase && reason === row.reason)
  ),
  all
)

/** Inline rows and two chunks. */
const sql = "SELECT EVENT_ID FROM SNOWGUARD_SAMPLE.WEB.EVENTS ORDER BY EVENT_ID"

const read = (warehouse: Effect.Effect.Success<ReturnType<typeof Snowflake.make>>, maxRows: number) =>
  Effect.scoped(
    Effect.flatMap(warehouse.execute({ sql, maxRows, timeoutMs: 1_000, requestId: randomUUID() }), (result) =>
      Effect.map(Stream.runCollect(result.rows), (chunks) => Chunk.toReadonlyArray(chunks).flat().length)
    )
  )

it.scopedLive(
  "ends every known failure with its reason, in time, in one attempt, and works again afterwards",
  () =>
    Effect.gen(function* () {
      const stdout = vi.spyOn(process.stdout, "write")
      yield* Effect.addFinalizer(() => Effect.sync(() => stdout.mockRestore()))
      const written = stdout.mock.calls.length
      const emulator = yield* Emulator.start({ chunkRows: 1_000, inlineRows: 500 })
      const make = (loginMs: number) =>
        Snowflake.make(optionsFor(emulator.url, { loginMs, fetchMs: 1_000, hints: false }))
      const shared = yield* make(15_000)
      expect(yield* read(shared, 2_500)).toBe(2_500)
      const found: Array<ReadonlyArray<unknown>> = []
      for (const row of matrix) {
        // A login is what a new pool does; its refusal must not stop the others.
        const warehouse = row.phase === "login" ? yield* make(1_000) : shared
        const before = (yield* emulator.state).requests
        yield* emulator.setFaults({ faults: [row.fault] })
        const [took, outcome] = yield* Effect.timed(Effect.either(read(warehouse, 2_500)))
        yield* emulator.setFaults({ faults: [] })
        const after = (yield* emulator.state).requests
        const sent = Object.fromEntries(
          Object.entries(after).flatMap(([name, count]) => {
            const made = count - (before[name as keyof typeof before] ?? 0)
            return made === 0 ? [] : [[name, made]]
          })
        )
        const ms = Math.round(Duration.toMillis(took))
        const error = Either.isLeft(outcome) ? outcome.left : undefined
        rows.push(
          [row.name, row.phase, error?.reason, error?.sent, error?.code, ms, JSON.stringify(sent)].join(" | ")
        )
        found.push([row.name, row.phase, error?.reason, ms < (row.withinMs ?? 3_000) ? "in time" : ms])
        expect(error?.description).not.toMatch(/127\.0\.0\.1|Token/)
        expect([row.name, sent[row.phase === "login" ? "Login" : "Submit"]]).toEqual([row.name, 1])
      }
      expect(yield* read(shared, 2_500)).toBe(2_500)
      expect(found).toEqual(matrix.map(({ name, phase, reason }) => [name, phase, reason, "in time"]))
      expect(stdout.mock.calls.length).toBe(written)
    }),
  60_000
)

it.scopedLive("calls a damaged part what it is, however large it is and however much of it was good", () =>
  Effect.gen(function* () {
    const emulator = yield* Emulator.start({ chunkRows: 20_000, inlineRows: 500 })
    const warehouse = yield* Snowflake.make(optionsFor(emulator.url, { hints: false }))
    const large = "SELECT ORDER_ID, MD5(ORDER_ID::VARCHAR) AS A, SHA2(ORDER_ID::VARCHAR) AS B FROM ORDERS"
    const statement = { sql: large, maxRows: 20_000, timeoutMs: 20_000 }
    yield* emulator.setFaults({ faults: [{ kind: "corruptGzip" }] })
    const outcome = yield* warehouse.execute({ ...statement, requestId: randomUUID() }).pipe(
      Effect.flatMap(({ rows }) => Stream.runDrain(rows)),
      Effect.scoped,
      Effect.either
    )
    expect(Either.getLeft(outcome)).toMatchObject({ value: { reason: "Protocol", sent: "yes" } })
    expect((yield* emulator.state).requests).toMatchObject({ Submit: 2, Chunk: 1 })
  })
)
