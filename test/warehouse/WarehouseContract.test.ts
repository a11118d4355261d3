import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Layer, Random, Stream } from "effect"
import * as Warehouse from "snowguard/Warehouse"
import * as WarehouseContract from "snowguard/testing/WarehouseContract"

type Execute = Warehouse.Warehouse["Type"]["execute"]

const failed = (reason: Warehouse.Reason, sent: "yes" | "no" = "yes") =>
  new Warehouse.WarehouseError({ reason, description: "as it was asked to", sent })

/**
 * A warehouse of another kind: it knows the words `rows N`, `echo N` and `endless`, runs four statements at a time, and
 * keeps no results.
 */
const warehouse = (change: (execute: Execute) => Execute = (execute) => execute) =>
  Layer.effect(
    Warehouse.Warehouse,
    Effect.gen(function* () {
      const places = yield* Effect.makeSemaphore(4)
      const execute: Execute = ({ binds = [], maxRows = Infinity, sql, timeoutMs }) =>
        Effect.gen(function* () {
          const closed = yield* Effect.acquireRelease(Deferred.make<void>(), (ended) =>
            Deferred.succeed(ended, undefined)
          )
          yield* Effect.acquireRelease(Effect.interruptible(places.take(1)), () => places.release(1))
          const [word, count = 0] = sql.split(" ").map((part, i) => (i === 0 ? part : Number(part)))
          if (word === "endless") {
            return yield* Effect.timeoutFail(Effect.never, {
              duration: timeoutMs,
              onTimeout: () => failed("StatementTimeout")
            })
          }
          if (word !== "rows" && word !== "echo") {
            return yield* failed(word === "missing" ? "NotFound" : "InvalidStatement")
          }
          const length = Math.min(word === "rows" ? Number(count) : 1, maxRows)
          const whileOpen = Effect.flatMap(Deferred.isDone(closed), (isClosed) =>
            isClosed ? failed("Cancelled") : Effect.void
          )
          const rows = Stream.range(0, length - 1).pipe(
            Stream.map((n): Warehouse.Row => (word === "rows" ? [n] : binds)),
            Stream.rechunk(1000),
            Stream.chunks,
            Stream.map((chunk) => Array.from(chunk)),
            Stream.tap(() => whileOpen)
          )
          return {
            queryId: `${yield* Random.nextInt}`,
            columns: [{ name: "N", type: "NUMBER(38,0)", nullable: false }],
            rows: length === 0 ? Stream.empty : rows
          }
        })
      return { dialect: "duckdb" as const, execute: change(execute) }
    })
  )

const statements: WarehouseContract.Options = {
  rows: (count) => `rows ${count}`,
  endless: "endless",
  echo: (count) => `echo ${count}`,
  missing: "missing"
}

const cases = WarehouseContract.cases(statements)

/** The cases that a warehouse does not keep. */
const broken = async (layer: Layer.Layer<Warehouse.Warehouse>, among = cases): Promise<Array<string>> => {
  const names: Array<string> = []
  for (const { name, run } of among) {
    const exit = await Effect.runPromiseExit(Effect.provide(run, layer))
    if (exit._tag === "Failure") names.push(name)
  }
  return names
}

/** What it answers, changed. */
const answering = (change: (result: Warehouse.Result, statement: Warehouse.Statement) => Warehouse.Result) =>
  warehouse((execute) => (statement) => Effect.map(execute(statement), (result) => change(result, statement)))

const faults: ReadonlyArray<
  readonly [name: string, layer: Layer.Layer<Warehouse.Warehouse>, caught: string]
> = [
  [
    "that gives the same id to all statements",
    answering((result) => ({ ...result, queryId: "1" })),
    "answers with named and typed columns, all rows in their order, and an id"
  ],
  [
    "that gives an empty chunk for no rows",
    answering((result, { sql }) => (sql === "rows 0" ? { ...result, rows: Stream.make([]) } : result)),
    "answers a result without rows with no chunk"
  ],
  [
    "that reads on where the caller has stopped",
    warehouse(
      (execute) =>
        ({ maxRows: _, ...statement }) =>
          execute(statement)
    ),
    "reads no more than the caller will, and every row when there is no cap"
  ],
  [
    "that binds numbers as texts",
    warehouse(
      (execute) =>
        ({ binds = [], ...statement }) =>
          execute({ ...statement, binds: binds.map((bind) => (typeof bind === "number" ? `${bind}` : bind)) })
    ),
    "binds every kind of value, and never as text of the statement"
  ],
  [
    "that takes its time to cancel a statement",
    warehouse(
      (execute) => (statement) => Effect.onInterrupt(execute(statement), () => Effect.sleep("1200 millis"))
    ),
    "cancels a running statement when it is interrupted"
  ],
  [
    "that gives rows after the scope has closed",
    warehouse(
      (execute) => (statement) =>
        Effect.scoped(execute(statement)).pipe(
          Effect.map((result) => ({ ...result, rows: Stream.make([[0]]) })),
          Effect.catchAll((error) => error)
        )
    ),
    "cancels a statement whose scope closes before its rows have ended, and gives no rows of it later"
  ],
  [
    "that calls a statement without time cancelled",
    warehouse(
      (execute) => (statement) =>
        Effect.mapError(execute(statement), (error) =>
          error.reason === "StatementTimeout" ? failed("Cancelled") : error
        )
    ),
    "ends a statement that runs out of its time, and says so"
  ],
  [
    "that finds fault with the statement when a name is missing",
    warehouse(
      (execute) => (statement) =>
        Effect.mapError(execute(statement), (error) =>
          error.reason === "NotFound" ? failed("InvalidStatement") : error
        )
    ),
    "says that a wrong statement is wrong, and a name that is not there is not there"
  ],
  [
    "that mixes up statements",
    (() => {
      const last = { sql: "rows 1" }
      return warehouse(
        (execute) => (statement) =>
          Effect.suspend(() => {
            last.sql = statement.sql
            return Effect.zipRight(
              Effect.yieldNow(),
              Effect.suspend(() => execute({ ...statement, sql: last.sql }))
            )
          })
      )
    })(),
    "keeps concurrent statements apart"
  ]
]

describe("the contract of warehouses, for warehouses written elsewhere", () => {
  it("finds nothing in an adapter that is a class, whose methods are on a prototype", async () => {
    class Adapter {
      constructor(private readonly inner: Warehouse.Warehouse["Type"]) {}
      get dialect() {
        return this.inner.dialect
      }
      execute(statement: Warehouse.Statement) {
        return this.inner.execute(statement)
      }
    }
    const layer = Layer.map(warehouse(), (context) =>
      Context.make(Warehouse.Warehouse, new Adapter(Context.get(context, Warehouse.Warehouse)))
    )
    assert.deepStrictEqual(await broken(layer), [])
  })

  it("finds nothing in a warehouse that keeps it", async () => {
    assert.deepStrictEqual(await broken(warehouse()), [])
  })

  it.each(faults)("finds a warehouse %s", async (_, layer, caught) => {
    const named = cases.filter(({ name }) => name === caught)
    assert.deepStrictEqual(await broken(layer, named), [caught])
  })

  it("tells which statements led to what was not expected", async () => {
    const [, layer, caught] = faults.find(([name]) => name.includes("a name is missing")) ?? assert.fail()
    const { run } = cases.find(({ name }) => name === caught) ?? assert.fail()
    const message = await Effect.runPromise(Effect.provide(run, layer)).then(() => "", String)
    assert.match(message, /\nexpected: 'NotFound'\ngot: 'InvalidStatement'\noperations, the last one last:\n/)
    assert.match(
      message,
      /\n {2}\d+\. \+\d+ ms execute\('missing', .*\): failed: .*InvalidStatement: as it was asked to/
    )
  })

  it.each([
    [
      "a statement that outlives its time",
      "ends a statement that runs out of its time, and says so",
      warehouse((execute) => (statement) => execute({ ...statement, timeoutMs: 86_400_000 })),
      /^\(FiberFailure\) AssertionError: execute gave no answer within 1500 ms\noperations, the last one last:\n {2}1\. \+\d+ ms execute\('endless', .*\): no answer within 1500 ms/
    ],
    [
      "rows that never come",
      "answers with named and typed columns, all rows in their order, and an id",
      answering((result) => ({ ...result, rows: Stream.never })),
      /^\(FiberFailure\) AssertionError: rows gave no answer within 1500 ms\n/
    ],
    [
      "a whole result that never comes",
      "answers with named and typed columns, all rows in their order, and an id",
      answering((result) => ({ ...result, whole: Effect.never })),
      /^\(FiberFailure\) AssertionError: whole gave no answer within 1500 ms\n/
    ]
  ])("ends at %s, and names it", async (_, name, layer, told) => {
    const bounded = WarehouseContract.cases({ ...statements, timeoutMs: 1500 })
    const { run } = bounded.find((each) => each.name === name) ?? assert.fail()
    const message = await Effect.runPromise(Effect.provide(run, layer)).then(() => "", String)
    assert.match(message, told)
  })
})
