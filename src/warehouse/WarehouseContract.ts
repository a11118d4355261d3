/**
 * What every adapter of {@link Warehouse} must do, as a list of cases for any test runner; our own adapters are tested with
 * this list. The statements are yours, in the dialect of your warehouse:
 *
 * ```ts
 * import { Effect } from "effect"
 * import { test } from "node:test"
 * import * as WarehouseContract from "snowguard/testing/WarehouseContract"
 *
 * const cases = WarehouseContract.cases({
 *   rows: (count) => `SELECT range AS N FROM range(${count})`,
 *   endless: "SELECT count(*) FROM range(1000000000000) t(i) WHERE i % 7 = 3"
 * })
 * for (const { name, run } of cases) {
 *   test(name, () => Effect.runPromise(Effect.provide(run, MyWarehouse.layer)))
 * }
 * ```
 *
 * Cases run in real time, since a real warehouse stands behind them, and one after the other. One layer may serve them all:
 * a case that leaves something running is found by the next one.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { deepStrictEqual, ok, strictEqual } from "node:assert"
import { randomUUID } from "node:crypto"
import type { Case } from "../platform/contracts.js"
import { journal, matches } from "../platform/contracts.js"
import type { Cell, Result, Row, Statement, Stored, WarehouseError } from "./Warehouse.js"
import { Warehouse } from "./Warehouse.js"

export type {
  /**
   * @since 0.1.0
   * @category models
   */
  Case
} from "../platform/contracts.js"

/**
 * The statements that the cases run, and what the warehouse can do beside what it must.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** One column of `count` rows, the whole numbers from 0 on, in their order. */
  readonly rows: (count: number) => string
  /** Runs for hours before its first row. */
  readonly endless: string
  /** One row with the binds of the statement in their order; `SELECT ?, ?, ...` when absent. */
  readonly echo?: ((count: number) => string) | undefined
  /** Has rows, then fails with `InvalidStatement`; the case is left out when absent. */
  readonly failsLate?: string | undefined
  /** Is wrong; `SELEC 1` when absent. */
  readonly invalid?: string | undefined
  /** Names a table that is not there; `SELECT * FROM NO_SUCH_TABLE` when absent. */
  readonly missing?: string | undefined
  /** Statements of one row, and its cells; the case is left out when absent. */
  readonly cells?: ReadonlyArray<readonly [sql: string, row: ReadonlyArray<Cell>]> | undefined
  /** Names that are there, as they are written in double quotes: what the tools read of the catalog. */
  readonly catalog?:
    | { readonly database: string; readonly schema: string; readonly table: string; readonly view: string }
    | undefined
  /** Rows are computed as they are read: a result may be larger than any memory. False when absent. */
  readonly streams?: boolean | undefined
  /** Milliseconds in which a cancellation takes effect; 1000 when absent. */
  readonly cancelMs?: number | undefined
  /**
   * Milliseconds within which every statement must answer, and every pull of rows, in real time; 60000 when absent. The
   * cases let an `endless` statement run for seconds.
   */
  readonly timeoutMs?: number | undefined
}

const STATEMENT_MS = 10_000
const HOUR = 3_600_000
const TIMEOUT_MS = 60_000

/**
 * The whole answer to a statement.
 *
 * @internal
 */
export interface Read {
  readonly queryId: string
  readonly columns: ReadonlyArray<string>
  readonly types: ReadonlyArray<string>
  readonly rows: ReadonlyArray<Row>
}

/**
 * Runs a statement, with an id of its own.
 *
 * @internal
 */
export const open = (
  sql: string,
  options: Partial<Statement> = {}
): Effect.Effect<Result, WarehouseError, Warehouse | Scope.Scope> =>
  Effect.flatMap(Warehouse, (warehouse) =>
    warehouse.execute({
      sql,
      timeoutMs: STATEMENT_MS,
      // A warehouse may answer a second statement of the same id with the result of the first.
      requestId: randomUUID(),
      tag: { tool: "contract", client: "contract" },
      ...options
    })
  )

const whole = (result: Result): Effect.Effect<Read, WarehouseError> =>
  Effect.gen(function* () {
    const chunks = Chunk.toReadonlyArray(yield* Stream.runCollect(result.rows))
    ok(
      chunks.every((chunk) => chunk.length > 0),
      "a chunk of rows is empty"
    )
    const rows = chunks.flat()
    // What is handed over at once is what the stream would give.
    if (result.whole !== undefined) deepStrictEqual(yield* result.whole, rows)
    return {
      queryId: result.queryId,
      columns: result.columns.map(({ name }) => name),
      types: result.columns.map(({ type }) => type),
      rows
    }
  })

/**
 * All of what a statement answers.
 *
 * @internal
 */
export const read = (
  sql: string,
  options?: Partial<Statement>
): Effect.Effect<Read, WarehouseError, Warehouse> => Effect.scoped(Effect.flatMap(open(sql, options), whole))

const readOn = (
  queryId: string,
  offset: number,
  options: Partial<Stored> = {}
): Effect.Effect<Read, WarehouseError, Warehouse> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { results } = yield* Warehouse
      if (results === undefined) return yield* Effect.dieMessage("keeps no results")
      const stored = { queryId, offset, timeoutMs: STATEMENT_MS, requestId: randomUUID(), ...options }
      return yield* whole(yield* results.fetch(stored))
    })
  )

/**
 * What a statement fails with that must. The rows of one that succeeds may be too many to be shown.
 *
 * @internal
 */
export const failure = (
  sql: string,
  options?: Partial<Statement>
): Effect.Effect<WarehouseError, never, Warehouse> =>
  read(sql, options).pipe(
    Effect.flatMap(({ rows }) => Effect.dieMessage(`${sql} succeeded with ${rows.length} rows`)),
    Effect.flip
  )

/** The rows were there after all. */
const reasonOf = <R>(reading: Effect.Effect<Read, WarehouseError, R>) =>
  Effect.map(Effect.either(reading), Either.match({ onLeft: ({ reason }) => reason, onRight: () => "rows" }))

const numbers = (count: number, from = 0): ReadonlyArray<Row> =>
  Array.from({ length: count }, (_, index) => [from + index])

/**
 * Every row as a record under the names of the columns.
 *
 * @internal
 */
export const records = ({ columns, rows }: Read) =>
  rows.map((row) => Object.fromEntries(columns.map((name, index) => [name, row[index]])))

/** The warehouse of the context, of which every statement and every look into a kept result is noted. */
const noting = (run: Effect.Effect<void, WarehouseError, Warehouse>, limitMs: number) =>
  Effect.flatMap(journal(limitMs), ({ noted, told, unnoted }) => {
    const shown = ({ columns, queryId }: Result) => ({ queryId, columns: columns.map(({ name }) => name) })
    /** Rows that never come end the case as well. */
    const bounded = (result: Result): Result => {
      const { columns, partial, queryId, rows, whole } = result
      return {
        queryId,
        columns,
        partial,
        rows: Stream.fromPull(Effect.map(Stream.toPull(rows), (pull) => unnoted("rows", [queryId], pull))),
        whole: whole && unnoted("whole", [queryId], whole)
      }
    }
    return Effect.provideServiceEffect(
      told(run),
      Warehouse,
      // Field by field: of an adapter that is a class, a spread leaves out what is on the prototype.
      Effect.map(Warehouse, (warehouse) => {
        const { results } = warehouse
        return {
          dialect: warehouse.dialect,
          place: warehouse.place,
          reportsSubmit: warehouse.reportsSubmit,
          actingAs: warehouse.actingAs?.bind(warehouse),
          billing: warehouse.billing,
          execute: (statement: Statement) => {
            const { binds, keepRows, maxRows, sql, timeoutMs } = statement
            const options = { binds, keepRows, maxRows, timeoutMs }
            return Effect.map(noted("execute", [sql, options], warehouse.execute(statement), shown), bounded)
          },
          results: results && {
            fetch: (stored: Stored) => {
              const { maxRows, offset, queryId } = stored
              return Effect.map(
                noted("fetch", [queryId, { offset, maxRows }], results.fetch(stored), shown),
                bounded
              )
            }
          }
        }
      })
    )
  })

const times = <A, E, R>(count: number, effect: (round: number) => Effect.Effect<A, E, R>) =>
  Effect.forEach(
    Array.from({ length: count }, (_, round) => round),
    effect,
    { discard: true }
  )

/**
 * The cases for the warehouse of the context. It dies of a statement that should have run, and tells the
 * `WarehouseError`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const cases = (options: Options): ReadonlyArray<Case<never, Warehouse>> => {
  const { cancelMs = 1000, catalog, cells, endless, failsLate, rows, streams = false } = options
  const { invalid = "SELEC 1", missing = "SELECT * FROM NO_SUCH_TABLE", timeoutMs = TIMEOUT_MS } = options
  const echo =
    options.echo ?? ((count: number) => `SELECT ${Array.from({ length: count }, () => "?").join(", ")}`)
  /** Never read to its end. */
  const many = rows(streams ? 10_000_000_000 : 50_000)

  /** More statements than may run at the same time: while too many others run, this does not return. */
  const stillAnswers = Effect.all(
    Array.from({ length: 8 }, (_, n) => read(rows(n + 1))),
    { concurrency: "unbounded" }
  ).pipe(
    Effect.disconnect,
    Effect.timeoutOption("30 seconds"),
    Effect.flatMap(
      Option.match({
        onNone: () => Effect.dieMessage("no statement is answered any more: earlier ones are still running"),
        onSome: (results) =>
          Effect.sync(() =>
            deepStrictEqual(
              results.map((each) => each.rows.length),
              [1, 2, 3, 4, 5, 6, 7, 8]
            )
          )
      })
    )
  )

  const interrupted = <A, E>(fiber: Fiber.Fiber<A, E>) =>
    Effect.gen(function* () {
      const [took, exit] = yield* Effect.timed(Fiber.interrupt(fiber))
      ok(Exit.isInterrupted(exit), "the statement ended by itself")
      ok(Duration.toMillis(took) < cancelMs, `cancelled after ${Duration.toMillis(took)} ms`)
    })

  const rule = (name: string, run: Effect.Effect<void, WarehouseError, Warehouse>) => [
    { name, run: noting(run, timeoutMs) }
  ]
  const ruleIf = (applies: boolean, name: string, run: Effect.Effect<void, WarehouseError, Warehouse>) =>
    applies ? rule(name, run) : []
  /** Of a warehouse that keeps results; another keeps this by having none. */
  const kept = <E>(run: Effect.Effect<void, E, Warehouse>) =>
    Effect.flatMap(Warehouse, ({ results }): Effect.Effect<void, E, Warehouse> =>
      results === undefined ? Effect.void : run
    )

  return [
    ...rule(
      "answers with named and typed columns, all rows in their order, and an id",
      Effect.gen(function* () {
        const answer = yield* read(rows(3))
        strictEqual(answer.columns.length, 1)
        ok(answer.types.every((type) => type !== ""))
        deepStrictEqual(answer.rows, numbers(3))
        ok(answer.queryId !== "")
        ok((yield* read(rows(3))).queryId !== answer.queryId, "two statements have one id")
      })
    ),
    ...rule(
      "answers a result without rows with no chunk",
      Effect.scoped(
        Effect.gen(function* () {
          const result = yield* open(rows(0))
          strictEqual(Chunk.size(yield* Stream.runCollect(result.rows)), 0)
        })
      )
    ),
    ...rule(
      "reads no more than the caller will, and every row when there is no cap",
      Effect.gen(function* () {
        deepStrictEqual((yield* read(rows(20_000), { maxRows: 2500 })).rows, numbers(2500))
        deepStrictEqual((yield* read(rows(20_000))).rows, numbers(20_000))
      })
    ),
    ...rule(
      "binds every kind of value, and never as text of the statement",
      Effect.gen(function* () {
        const binds = ["a' OR '1'='1", "?", 7, 1.5, true, null]
        deepStrictEqual((yield* read(echo(binds.length), { binds })).rows, [binds])
      })
    ),
    ...ruleIf(
      cells !== undefined,
      "loses nothing of a value",
      Effect.forEach(
        cells ?? [],
        ([sql, row]) => Effect.map(read(sql), (answer) => deepStrictEqual([sql, answer.rows], [sql, [row]])),
        { discard: true }
      )
    ),
    ...ruleIf(
      catalog !== undefined,
      "lists and describes what is there under Snowflake's names of the columns",
      Effect.gen(function* () {
        const { database, schema, table, view } = catalog ?? { database: "", schema: "", table: "", view: "" }
        const named = (sql: string, ...fields: ReadonlyArray<string>) =>
          Effect.map(read(sql), (answer) =>
            records(answer).map((record) => fields.map((field) => record[field]).join("."))
          )
        const includes = (found: ReadonlyArray<string>, wanted: string) =>
          ok(found.includes(wanted), `${wanted} is not among ${found.join(", ")}`)
        includes(yield* named("SHOW DATABASES", "name"), database)
        includes(
          yield* named(`SHOW SCHEMAS IN DATABASE "${database}"`, "database_name", "name"),
          `${database}.${schema}`
        )
        const tables = yield* named(
          `SHOW TABLES IN SCHEMA "${database}"."${schema}"`,
          "schema_name",
          "name",
          "kind"
        )
        includes(tables, `${schema}.${table}.TABLE`)
        const views = yield* named(`SHOW VIEWS IN DATABASE "${database}"`, "schema_name", "name")
        includes(views, `${schema}.${view}`)
        for (const sql of ["TABLE", "VIEW"].map(
          (kind) => `DESCRIBE ${kind} "${database}"."${schema}"."${kind === "TABLE" ? table : view}"`
        )) {
          const described = records(yield* read(sql))
          ok(described.length > 0, `${sql} tells of no column`)
          for (const column of described) {
            ok(
              typeof column["name"] === "string" && typeof column["type"] === "string",
              `${sql}: name and type`
            )
            ok(column["null?"] === "Y" || column["null?"] === "N", `${sql}: null? is Y or N`)
          }
        }
      })
    ),
    ...rule(
      "tells when a statement leaves, once for each, if it says that it does",
      Effect.gen(function* () {
        const { reportsSubmit = false, results } = yield* Warehouse
        const left = { execute: 0, fetch: 0 }
        const counting = (what: keyof typeof left) => ({ onSubmit: Effect.sync(() => void left[what]++) })
        const { queryId } = yield* read(rows(1), { keepRows: 10, ...counting("execute") })
        if (results !== undefined) yield* readOn(queryId, 0, counting("fetch"))
        const each = reportsSubmit ? 1 : 0
        deepStrictEqual(left, { execute: each, fetch: results === undefined ? 0 : each })
      })
    ),
    ...ruleIf(
      streams,
      "computes rows only as they are pulled",
      Effect.gen(function* () {
        // All of it would take minutes; the first rows are there at once.
        const first = yield* Effect.scoped(
          Effect.flatMap(open(many), (result) => Stream.runHead(result.rows))
        ).pipe(Effect.timeoutOption("5 seconds"))
        deepStrictEqual(Option.getOrThrow(Option.flatten(first))[0], [0])
        yield* stillAnswers
      })
    ),
    ...rule(
      "cancels a running statement when it is interrupted",
      times(4, () =>
        Effect.gen(function* () {
          // Were they left running, the later rounds would find no place to run.
          const running = yield* Effect.fork(read(endless, { timeoutMs: HOUR }))
          // Others came later and have been answered, so by now it is running.
          yield* stillAnswers
          yield* interrupted(running)
          yield* stillAnswers
        })
      )
    ),
    ...rule(
      "cancels statements that are still waiting for their turn",
      Effect.gen(function* () {
        const fibers = yield* Effect.forEach(Array.from({ length: 12 }), () =>
          Effect.fork(read(endless, { timeoutMs: HOUR }))
        )
        yield* Effect.yieldNow()
        const exits = yield* Effect.forEach(fibers, Fiber.interrupt, { concurrency: "unbounded" })
        ok(exits.every(Exit.isInterrupted), "a statement ended by itself")
        yield* stillAnswers
      })
    ),
    ...rule(
      "cancels a statement whose scope closes before its rows have ended, and gives no rows of it later",
      Effect.gen(function* () {
        yield* times(4, () =>
          Effect.gen(function* () {
            const result = yield* Effect.scoped(open(many))
            const late = yield* Effect.either(Stream.runHead(result.rows))
            deepStrictEqual(Either.isLeft(late) ? late.left.reason : "rows", "Cancelled")
          })
        )
        yield* stillAnswers
      })
    ),
    ...rule(
      "ends a statement that runs out of its time, and says so",
      Effect.gen(function* () {
        yield* times(4, () =>
          Effect.gen(function* () {
            const [took, error] = yield* Effect.timed(failure(endless, { timeoutMs: 150 }))
            matches(error, { reason: "StatementTimeout", sent: "yes" })
            ok(Duration.toMillis(took) < 150 + 2 * cancelMs, `ended after ${Duration.toMillis(took)} ms`)
          })
        )
        yield* stillAnswers
      })
    ),
    ...rule(
      "says that a wrong statement is wrong, and a name that is not there is not there",
      Effect.gen(function* () {
        strictEqual((yield* failure(invalid)).reason, "InvalidStatement")
        strictEqual((yield* failure(missing)).reason, "NotFound")
        yield* stillAnswers
      })
    ),
    ...ruleIf(
      failsLate !== undefined,
      "reports a failure in the middle of the rows instead of ending early",
      Effect.gen(function* () {
        strictEqual((yield* failure(failsLate ?? "")).reason, "InvalidStatement")
        yield* stillAnswers
      })
    ),
    ...rule(
      "keeps the rows that it was asked to, in their order, for reading on, if it keeps results",
      kept(
        Effect.gen(function* () {
          // The caller stops early.
          const { queryId, ...result } = yield* Effect.scoped(
            Effect.tap(open(many, { keepRows: 4000, maxRows: 4001 }), ({ rows }) => Stream.runHead(rows))
          )
          const columns = result.columns.map(({ name }) => name)
          const types = result.columns.map(({ type }) => type)
          const pages = (offset: number): Effect.Effect<void, WarehouseError, Warehouse> =>
            Effect.gen(function* () {
              if (offset >= 4000) return
              const page = yield* readOn(queryId, offset, { maxRows: Math.min(700, 4000 - offset) })
              ok(page.rows.length > 0, `no rows after ${offset}`)
              deepStrictEqual([page.queryId, page.columns, page.types], [queryId, columns, types])
              deepStrictEqual(page.rows.slice(0, 700), numbers(Math.min(page.rows.length, 700), offset))
              yield* pages(offset + Math.min(page.rows.length, 700))
            })
          yield* pages(0)
          // Several may read in it at a time, from anywhere, and again.
          const parts = yield* Effect.all(
            [3990, 0, 2500].map((offset) => readOn(queryId, offset, { maxRows: 10 })),
            { concurrency: "unbounded" }
          )
          deepStrictEqual(
            parts.map((part) => part.rows[0]),
            [[3990], [0], [2500]]
          )
        })
      )
    ),
    ...rule(
      "has nothing after the last row of a result that is kept, if it keeps results",
      kept(
        Effect.gen(function* () {
          const { queryId } = yield* read(rows(5), { keepRows: 10, maxRows: 11 })
          deepStrictEqual((yield* readOn(queryId, 3)).rows, numbers(2, 3))
          deepStrictEqual((yield* readOn(queryId, 5)).rows, [])
        })
      )
    ),
    ...rule(
      "says so when a result is not kept, whatever its id looks like, if it keeps results",
      kept(
        Effect.gen(function* () {
          for (const id of [randomUUID(), "", "../../session", "01b00000-0000-0000-0000-0000000000zz"]) {
            deepStrictEqual([id, yield* reasonOf(readOn(id, 0))], [id, "ResultExpired"])
          }
          yield* stillAnswers
        })
      )
    ),
    ...rule(
      "keeps concurrent statements apart",
      Effect.gen(function* () {
        const results = yield* Effect.all(
          Array.from({ length: 20 }, (_, n) =>
            n % 5 === 4
              ? Effect.as(failure(missing), n)
              : Effect.map(read(rows(1000 + n)), (answer) => answer.rows)
          ),
          { concurrency: "unbounded" }
        )
        deepStrictEqual(
          results,
          Array.from({ length: 20 }, (_, n) => (n % 5 === 4 ? n : numbers(1000 + n)))
        )
      })
    )
  ]
}
