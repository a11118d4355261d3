import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Ref, Stream, TestClock } from "effect"
import * as Spool from "../../../src/warehouse/duckdb/spool.js"
import type { Result, Row } from "../../../src/warehouse/Warehouse.js"
import { WarehouseError } from "../../../src/warehouse/Warehouse.js"

const columns = [{ name: "N", type: "NUMBER(38,0)", nullable: true }]
const counted = (queryId: string, size: number, chunk = 10) =>
  Effect.gen(function* () {
    const pulled = yield* Ref.make(0)
    const rows = Stream.range(0, size - 1).pipe(
      Stream.rechunk(chunk),
      Stream.chunks,
      Stream.map((all): ReadonlyArray<Row> => Chunk.toReadonlyArray(all).map((n) => [n])),
      Stream.tap((all) => Ref.update(pulled, (n) => n + all.length))
    )
    const result: Result = { queryId, columns, rows }
    return { result, pulled }
  })
const all = ({ rows }: Result) =>
  Effect.map(Stream.runCollect(rows), (chunks) => Chunk.toReadonlyArray(chunks).flat().flat())
const upTo = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

describe("the spool", () => {
  it.scoped("gives the rows of a result again, from any of them on", () =>
    Effect.gen(function* () {
      const spool = Spool.make()
      const { result } = yield* counted("q", 25)
      expect(yield* all(yield* spool.keep(result, 100))).toEqual(upTo(0, 25))
      expect(yield* all(yield* spool.fetch("q", 0))).toEqual(upTo(0, 25))
      const rest = yield* spool.fetch("q", 20)
      expect([yield* all(rest), rest.partial]).toEqual([upTo(20, 25), undefined])
      expect(yield* all(yield* spool.fetch("q", 25))).toEqual([])
    })
  )

  it.scoped(
    "keeps as many rows as it is told, and says so at their end; the first reader gets them all",
    () =>
      Effect.gen(function* () {
        const spool = Spool.make()
        const { pulled, result } = yield* counted("q", 1000)
        const kept = yield* spool.keep(result, 15)
        expect(yield* Ref.get(pulled)).toBe(20)
        expect(yield* all(kept)).toEqual(upTo(0, 1000))
        const again = yield* spool.fetch("q", 10)
        expect([yield* all(again), again.partial]).toEqual([upTo(10, 15), true])
        expect(yield* Effect.flip(spool.fetch("q", 15))).toMatchObject({
          reason: "ResultExpired",
          sent: "no"
        })
      })
  )

  it.scoped("is bounded in bytes and in number, and forgets in time", () =>
    Effect.gen(function* () {
      const spool = Spool.make({ maxBytes: 200, maxEntries: 2, maxResultBytes: 100, lifeMs: 1000 })
      const { pulled, result } = yield* counted("big", 1000)
      yield* spool.keep(result, 1000)
      expect(yield* Ref.get(pulled)).toBeLessThan(50)
      for (const id of ["a", "b"]) yield* spool.keep((yield* counted(id, 3)).result, 10)
      expect(yield* Effect.flip(spool.fetch("big", 0))).toMatchObject({ reason: "ResultExpired" })
      expect(yield* all(yield* spool.fetch("b", 0))).toEqual([0, 1, 2])
      yield* TestClock.adjust(1000)
      expect(yield* Effect.flip(spool.fetch("b", 0))).toMatchObject({ reason: "ResultExpired" })
    })
  )

  it.scoped("keeps a result that is here as a whole, and hands it on as a whole", () =>
    Effect.gen(function* () {
      const spool = Spool.make()
      const rows = upTo(0, 25).map((n): Row => [n])
      const result: Result = { queryId: "q", columns, rows: Stream.make(rows), whole: Effect.succeed(rows) }
      const kept = yield* spool.keep(result, 15)
      expect(yield* kept.whole ?? Effect.dieMessage("it is a stream")).toEqual(rows)
      expect(yield* all(kept)).toEqual(upTo(0, 25))
      const again = yield* spool.fetch("q", 10)
      expect([yield* all(again), again.partial]).toEqual([upTo(10, 15), true])
    })
  )

  it.scoped("gives back what a result took that failed, though its scope goes on", () =>
    Effect.gen(function* () {
      const spool = Spool.make({ maxBytes: 200, maxEntries: 10, maxResultBytes: 180, lifeMs: 1000 })
      const lost = new WarehouseError({ reason: "SessionLost", description: "x", sent: "yes" })
      const { result } = yield* counted("lost", 30)
      const broken = { ...result, rows: Stream.concat(result.rows, Stream.fail(lost)) }
      for (let n = 0; n < 3; n++) expect(yield* Effect.flip(spool.keep(broken, 1000))).toBe(lost)
      const next = yield* counted("next", 30)
      yield* spool.keep(next.result, 1000)
      expect(yield* all(yield* spool.fetch("next", 0))).toEqual(upTo(0, 30))
    })
  )

  it.scoped("keeps nothing of a statement that fails half-way", () =>
    Effect.gen(function* () {
      const spool = Spool.make()
      const error = new WarehouseError({ reason: "ServerFault", description: "x", sent: "yes" })
      const first: ReadonlyArray<Row> = [[1]]
      const rows = Stream.concat(Stream.succeed(first), Stream.fail(error))
      expect(yield* Effect.flip(spool.keep({ queryId: "q", columns, rows }, 10))).toBe(error)
      expect(yield* Effect.flip(spool.fetch("q", 0))).toMatchObject({ reason: "ResultExpired" })
    })
  )

  it.scoped("takes room from whoever takes most of it: who keeps little loses nothing", () =>
    Effect.gen(function* () {
      const spool = Spool.make({ maxBytes: 1000, maxEntries: 100, maxResultBytes: 300, lifeMs: 1000 })
      const keep = (id: string, size: number, owner: string) =>
        Effect.scoped(Effect.flatMap(counted(id, size), ({ result }) => spool.keep(result, 1000, owner)))
      yield* keep("small", 3, "bob")
      for (let n = 0; n < 50; n++) yield* keep(`large-${n}`, 50, "eve")
      expect(yield* all(yield* spool.fetch("small", 0))).toEqual([0, 1, 2])
      expect((yield* all(yield* spool.fetch("large-49", 0))).length).toBe(50)
      expect(yield* Effect.flip(spool.fetch("large-40", 0))).toMatchObject({ reason: "ResultExpired" })
      // A newcomer gets room as well, from the same one.
      yield* keep("other", 50, "ann")
      expect((yield* all(yield* spool.fetch("other", 0))).length).toBe(50)
      expect(yield* all(yield* spool.fetch("small", 0))).toEqual([0, 1, 2])
    })
  )

  it.scoped("holds what is pulled at the same time within its bytes; the readers still get all", () =>
    Effect.gen(function* () {
      const spool = Spool.make({ maxBytes: 1000, maxEntries: 100, maxResultBytes: 800, lifeMs: 1000 })
      let held = 0
      let most = 0
      const measured = ({ rows, ...result }: Result): Result => ({
        ...result,
        rows: Stream.tap(rows, (all) =>
          Effect.zipRight(
            Effect.yieldNow(),
            Effect.sync(() => {
              held += all.length * 5
              most = Math.max(most, held)
            })
          )
        )
      })
      const results = yield* Effect.forEach(
        Array.from({ length: 10 }, (_, n) => `q${n}`),
        (id) => Effect.flatMap(counted(id, 400), ({ result }) => spool.keep(measured(result), 1000, id)),
        { concurrency: "unbounded" }
      )
      // Each has at most one chunk beyond the bound.
      expect(most).toBeLessThan(1000 + 10 * 60)
      for (const result of results) expect(yield* all(result)).toEqual(upTo(0, 400))
    })
  )
})
