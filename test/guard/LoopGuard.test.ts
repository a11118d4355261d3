import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Layer, Ref, TestClock } from "effect"
import * as ErrorReport from "../../src/mcp/ErrorReport.js"
import * as LoopGuard from "../../src/guard/LoopGuard.js"
import { ReadOnly, StatementRejected } from "../../src/gate/ReadOnly.js"
import { Reason, WarehouseError } from "../../src/warehouse/Warehouse.js"

const failure = (reason: WarehouseError["reason"], description = `${reason}!`) =>
  new WarehouseError({ reason, description, sent: "yes" })

/** A guard around a warehouse that fails as scripted, and counts its calls. */
const guarded = (options?: Partial<LoopGuard.Options>) =>
  Effect.gen(function* () {
    const guard = yield* LoopGuard.make("snowflake", options)
    const calls = yield* Ref.make(0)
    const run = <E>(
      request: Partial<LoopGuard.Request>,
      result: Effect.Effect<string, E>
    ): Effect.Effect<string, E | LoopGuard.RepeatedFailure> =>
      guard.protect(
        { client: "me", statement: "select * from nowhere", ...request },
        Effect.zipRight(
          Ref.update(calls, (n) => n + 1),
          result
        )
      )
    const fail = (n: number, error: WarehouseError | StatementRejected, request = {}) =>
      Effect.exit(run(request, Effect.fail(error))).pipe(Effect.repeatN(n - 1))
    return { guard, run, fail, calls: Ref.get(calls) }
  })

const notFound = failure("NotFound", "Table NOWHERE does not exist.")

describe("LoopGuard", () => {
  it.effect("answers the fourth attempt at once, says why, and does not call the warehouse", () =>
    Effect.gen(function* () {
      const { calls, fail, guard, run } = yield* guarded()
      yield* fail(2, notFound)
      yield* TestClock.adjust(10_000)
      yield* fail(1, notFound)
      yield* TestClock.adjust(20_000)
      const error = yield* Effect.flip(run({}, Effect.succeed("rows")))
      expect(error).toMatchObject({
        _tag: "RepeatedFailure",
        attempts: 3,
        code: "WAREHOUSE_NOT_FOUND",
        description: "Table NOWHERE does not exist.",
        retryAfterMs: 40_000
      })
      expect(yield* calls).toBe(3)
      expect(yield* guard.status).toEqual({ entries: 1, refused: 1 })
    })
  )

  it.effect("counts calls that were under way together as one failure", () =>
    Effect.gen(function* () {
      const { calls, fail, run } = yield* guarded()
      const together = Effect.all(
        Effect.replicate(Effect.exit(run({}, Effect.delay(Effect.fail(notFound), 1_000))), 10),
        { concurrency: "unbounded" }
      )
      const wave = Effect.flatMap(Effect.fork(together), (fiber) =>
        Effect.zipRight(TestClock.adjust(1_000), fiber.await)
      )
      yield* wave
      yield* wave
      expect(yield* run({}, Effect.succeed("rows"))).toBe("rows")
      yield* wave
      yield* wave
      yield* fail(1, notFound)
      expect(yield* Effect.flip(run({}, Effect.succeed("rows")))).toMatchObject({ attempts: 3 })
      expect(yield* calls).toBe(10 * 4 + 1 + 1)
    })
  )

  it.effect("admits the statement again at exactly the named time, with or without refusals in between", () =>
    Effect.gen(function* () {
      const { fail, run } = yield* guarded()
      yield* fail(3, notFound)
      yield* TestClock.adjust(59_999)
      expect(yield* Effect.flip(run({}, Effect.succeed("rows")))).toMatchObject({ retryAfterMs: 1 })
      yield* TestClock.adjust(1)
      expect(yield* run({}, Effect.succeed("rows"))).toBe("rows")
    })
  )

  it.effect("identifies a statement by its tokens, not by its layout", () =>
    Effect.gen(function* () {
      const { fail, run } = yield* guarded()
      yield* fail(3, notFound, { statement: "select a from t where b = 'X  y' -- first" })
      const tried = (statement: string) => Effect.isSuccess(run({ statement }, Effect.succeed("rows")))
      expect(yield* tried("SELECT a\n  FROM t /* second */ WHERE B='X  y'")).toBe(false)
      expect(yield* tried("select a from t where b = 'X y'")).toBe(true)
      expect(yield* tried("select a from t where b = 'x  y'")).toBe(true)
      expect(yield* tried("select \"a\" from t where b = 'X  y'")).toBe(true)
      expect(yield* tried("select a from t2 where b = 'X  y'")).toBe(true)
      expect(yield* tried('select a from t where b = "X  y"')).toBe(true)
      expect(yield* tried("select 'a' from t where b = 'X  y'")).toBe(true)
    })
  )

  it.effect("compares text that is not SQL as it stands", () =>
    Effect.gen(function* () {
      const { fail, run } = yield* guarded()
      const rejected = new StatementRejected({ code: "SYNTAX", reason: "no" })
      yield* fail(3, rejected, { statement: "select ')  (" })
      yield* fail(3, rejected, { statement: "show  me) all" })
      const tried = (statement: string) => Effect.isSuccess(run({ statement }, Effect.succeed("rows")))
      expect(yield* tried(" select ')  (\n")).toBe(false)
      expect(yield* tried("select ') (")).toBe(true)
      expect(yield* tried("SHOW me)\nall")).toBe(false)
    })
  )

  it.effect("reads comments in the warehouse's own dialect", () =>
    Effect.gen(function* () {
      const tried = (dialect: "snowflake" | "duckdb") =>
        Effect.gen(function* () {
          const guard = yield* LoopGuard.make(dialect)
          const run = (statement: string, result: Effect.Effect<number, WarehouseError>) =>
            Effect.exit(guard.protect({ client: "me", statement }, result))
          yield* Effect.repeatN(run("select 7 // 0", Effect.fail(failure("InvalidStatement"))), 2)
          return Exit.isSuccess(yield* run("select 7 // 2", Effect.succeed(3)))
        })
      expect(yield* tried("snowflake")).toBe(false)
      expect(yield* tried("duckdb")).toBe(true)
    })
  )

  it.effect("distinguishes clients and the variants of a statement", () =>
    Effect.gen(function* () {
      const { fail, run } = yield* guarded()
      yield* fail(3, failure("StatementTimeout"), { variant: "60 s" })
      const tried = (request: Partial<LoopGuard.Request>) =>
        Effect.isSuccess(run(request, Effect.succeed("rows")))
      expect(yield* tried({ variant: "60 s" })).toBe(false)
      expect(yield* tried({ variant: "300 s" })).toBe(true)
      expect(yield* tried({ variant: "60 s", client: "you" })).toBe(true)
    })
  )

  it.effect("counts only failures that would come again, all of one kind, without a success between", () =>
    Effect.gen(function* () {
      const { calls, fail, run } = yield* guarded()
      for (const reason of ["Unreachable", "Overloaded", "Cancelled", "Unknown"] as const) {
        yield* fail(5, failure(reason))
      }
      yield* Effect.repeatN(Effect.exit(run({}, Effect.fail("a tool's own failure"))), 4)
      yield* Effect.repeatN(Effect.exit(run({}, Effect.interrupt)), 4)
      yield* Effect.repeatN(Effect.exit(run({}, Effect.die("bug"))), 4)
      yield* fail(2, notFound)
      yield* fail(2, failure("Permission"))
      yield* fail(2, notFound)
      yield* run({}, Effect.succeed("rows"))
      yield* fail(2, notFound)
      expect(yield* calls).toBe(20 + 15 + 6 + 1 + 2)
    })
  )

  it.effect("does not count failures that lie more than a minute apart", () =>
    Effect.gen(function* () {
      const { calls, fail } = yield* guarded()
      for (let n = 0; n < 6; n++) {
        yield* fail(1, notFound)
        yield* TestClock.adjust(30_000)
      }
      expect(yield* calls).toBe(6)
    })
  )

  it.effect("repeats the hint of a rejection and the suggested names", () =>
    Effect.gen(function* () {
      const { fail, run } = yield* guarded({ failures: 1 })
      yield* fail(1, new StatementRejected({ code: "NOT_A_READ", reason: "It writes.", hint: "Ask." }))
      expect(yield* Effect.flip(run({}, Effect.succeed("rows")))).toMatchObject({
        code: "STATEMENT_REJECTED",
        description: "It writes. Ask."
      })
      const near = new WarehouseError({
        reason: "NotFound",
        description: "no",
        sent: "yes",
        suggestions: ["SOMEWHERE"]
      })
      yield* fail(1, near, { statement: "select 2" })
      expect(yield* Effect.flip(run({ statement: "select 2" }, Effect.succeed("rows")))).toMatchObject({
        suggestions: ["SOMEWHERE"]
      })
    })
  )

  it.effect("uses the codes of the failures' own reports", () =>
    Effect.gen(function* () {
      for (const reason of Reason.literals) {
        const { fail, run } = yield* guarded({ failures: 1 })
        yield* fail(1, failure(reason))
        const exit = yield* Effect.either(run({}, Effect.succeed("rows")))
        if (exit._tag === "Left" && exit.left instanceof LoopGuard.RepeatedFailure) {
          expect(exit.left.code).toBe(ErrorReport.fromError(failure(reason), 0).code)
        }
        expect(exit._tag).toBe(
          ["InvalidStatement", "NotFound", "Permission", "StatementTimeout"].includes(reason)
            ? "Left"
            : "Right"
        )
      }
    })
  )

  it.effect("reads a statement before its call only for clients with a blocked statement", () =>
    Effect.gen(function* () {
      const guard = yield* LoopGuard.make("snowflake")
      /** How often the statement had been read when the call was tried. */
      const readBefore = (client: string) => {
        let read = 0
        const request = {
          client,
          get statement() {
            read++
            return "select 1"
          }
        }
        return guard.protect(
          request,
          Effect.sync(() => read)
        )
      }
      const fail = guard.protect({ client: "guilty", statement: "x" }, Effect.fail(notFound))
      yield* Effect.repeatN(Effect.exit(fail), 1)
      expect(yield* readBefore("guilty")).toBe(0)
      yield* Effect.exit(fail)
      expect(yield* readBefore("innocent")).toBe(0)
      expect(yield* readBefore("guilty")).toBe(1)
      yield* TestClock.adjust("1 minute")
      expect(yield* readBefore("guilty")).toBe(0)
    })
  )

  it.effect("compares a very long statement as it stands, so that reading it costs little", () =>
    Effect.gen(function* () {
      const guard = yield* LoopGuard.make("snowflake")
      const failing = (statement: string) =>
        Effect.flip(guard.protect({ client: "me", statement }, Effect.fail(notFound)))
      const long = `select ${"1 + ".repeat(10_000)} 1`
      for (let i = 0; i < 3; i++) expect(yield* failing(long)).toBe(notFound)
      expect(yield* failing(long)).toBeInstanceOf(LoopGuard.RepeatedFailure)
      expect(yield* failing(`${long} `)).toBe(notFound)
    })
  )

  it.effect("stays within its bytes, whatever is sent", () =>
    Effect.gen(function* () {
      const { fail, guard } = yield* guarded({ maxBytes: 50_000 })
      for (let n = 0; n < 100; n++) {
        yield* fail(1, notFound, { statement: `select ${n} as ${"x".repeat(1_000)}` })
      }
      expect((yield* guard.status).entries).toBeLessThanOrEqual(20)
    })
  )

  it.effect("takes the dialect from the gate, and can be replaced by a no-op", () =>
    Effect.gen(function* () {
      const gate = Layer.mock(ReadOnly, { dialect: "snowflake" })
      const failing = Effect.exit(
        Effect.flatMap(LoopGuard.LoopGuard, (guard) =>
          guard.protect({ client: "me", statement: "select 1" }, Effect.fail(notFound))
        )
      )
      const tags = Effect.map(Effect.all(Array.from({ length: 4 }, () => failing)), (all) =>
        all.map((exit) =>
          Exit.isFailure(exit) ? exit.cause.toString().includes("RepeatedFailure") : undefined
        )
      )
      const last = (layer: Layer.Layer<LoopGuard.LoopGuard>) =>
        Effect.map(Effect.provide(tags, layer), (found) => found[3])
      expect(yield* last(Layer.provide(LoopGuard.layer(), gate))).toBe(true)
      expect(yield* last(LoopGuard.layerNoop)).toBe(false)
    })
  )
})
