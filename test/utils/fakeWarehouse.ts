/**
 * A `Warehouse` that answers from a script: the first rule whose pattern matches the SQL decides. It
 * remembers every statement and what became of it, so that tests can ask who was cancelled.
 */
import type { Duration } from "effect"
import { Effect, Layer, Ref, Stream } from "effect"
import type { Cell, Column, Reason, Row, Statement } from "../../src/warehouse/Warehouse.js"
import { Warehouse, WarehouseError } from "../../src/warehouse/Warehouse.js"

export type Answer =
  | { readonly _tag: "Rows"; readonly columns: ReadonlyArray<Column>; readonly rows: Stream.Stream<Row> }
  | { readonly _tag: "Fails"; readonly error: WarehouseError }
  | { readonly _tag: "Hangs" }
  | { readonly _tag: "Slow"; readonly after: Duration.DurationInput; readonly then: Answer }

export interface Rule {
  /** A string must be the whole statement. */
  readonly when: string | RegExp
  readonly then: Answer
  readonly chunkSize?: number
}

export interface Counts {
  readonly executed: number
  /** Statements whose rows were read to the end. */
  readonly finished: number
  /** Statements ended by interruption, or by closing their scope before the rows had ended. */
  readonly cancelled: number
  readonly failed: number
  /** Rows that were really pulled. */
  readonly pulled: number
}

const nothing: Counts = { executed: 0, finished: 0, cancelled: 0, failed: 0, pulled: 0 }

/** `{ NAME: "VARCHAR" }` -> columns. */
export const columns = (types: { readonly [name: string]: string }): ReadonlyArray<Column> =>
  Object.entries(types).map(([name, type]) => ({ name, type, nullable: true }))

export const rows = (types: { readonly [name: string]: string }, data: ReadonlyArray<Row>): Answer => ({
  _tag: "Rows",
  columns: columns(types),
  rows: Stream.fromIterable(data)
})

/** Records become rows of texts: the answer of a SHOW or DESCRIBE. */
export const records = (data: ReadonlyArray<{ readonly [column: string]: Cell }>): Answer => {
  const names = [...new Set(data.flatMap((record) => Object.keys(record)))]
  return rows(
    Object.fromEntries(names.map((name) => [name, "VARCHAR"])),
    data.map((record) => names.map((name) => record[name] ?? null))
  )
}

/** Rows without end. */
export const endless = (types: { readonly [name: string]: string }, row: (index: number) => Row): Answer => ({
  _tag: "Rows",
  columns: columns(types),
  rows: Stream.map(
    Stream.iterate(0, (index) => index + 1),
    row
  )
})

/** Some rows, then silence. */
export const stalls = (types: { readonly [name: string]: string }, data: ReadonlyArray<Row>): Answer => ({
  _tag: "Rows",
  columns: columns(types),
  rows: Stream.concat(Stream.fromIterable(data), Stream.never)
})

export const hangs: Answer = { _tag: "Hangs" }

/** The answer, after a while. */
export const slow = (after: Duration.DurationInput, then: Answer): Answer => ({ _tag: "Slow", after, then })

export const fails = (
  reason: Reason,
  fields: Partial<Omit<ConstructorParameters<typeof WarehouseError>[0], "reason">> = {}
): Answer => ({
  _tag: "Fails",
  error: new WarehouseError({ reason, description: `scripted ${reason}`, sent: "yes", ...fields })
})

export interface Fake {
  readonly layer: Layer.Layer<Warehouse>
  readonly statements: Effect.Effect<ReadonlyArray<Statement>>
  readonly sql: Effect.Effect<ReadonlyArray<string>>
  readonly counts: Effect.Effect<Counts>
}

/** A statement that no rule matches is an `InvalidStatement` that says so. */
export const make = (
  rules: ReadonlyArray<Rule>,
  options: { readonly dialect?: "snowflake" | "duckdb" } = {}
): Effect.Effect<Fake> =>
  Effect.gen(function* () {
    const statements = yield* Ref.make<ReadonlyArray<Statement>>([])
    const counts = yield* Ref.make(nothing)
    const add = (key: keyof Counts, n = 1) => Ref.update(counts, (now) => ({ ...now, [key]: now[key] + n }))

    const answer = (sql: string): { readonly answer: Answer; readonly chunkSize: number } => {
      const rule = rules.find(({ when }) => (typeof when === "string" ? when === sql : when.test(sql)))
      return {
        answer: rule?.then ?? fails("InvalidStatement", { description: `no rule for: ${sql}` }),
        chunkSize: rule?.chunkSize ?? 100
      }
    }

    const execute = (statement: Statement) =>
      Effect.gen(function* () {
        yield* Ref.update(statements, (all) => [...all, statement])
        yield* add("executed")
        const ended = yield* Ref.make(false)
        // Whatever ends the scope before the rows have ended is a cancellation.
        yield* Effect.addFinalizer(() =>
          Effect.flatMap(Ref.get(ended), (done) => (done ? Effect.void : add("cancelled")))
        )
        const { chunkSize, ...found } = answer(statement.sql)
        let planned = found.answer
        while (planned._tag === "Slow") {
          yield* Effect.sleep(planned.after)
          planned = planned.then
        }
        switch (planned._tag) {
          case "Hangs":
            return yield* Effect.never
          case "Fails":
            yield* Ref.set(ended, true)
            yield* add("failed")
            return yield* planned.error
          case "Rows":
            return {
              queryId: `query-${(yield* Ref.get(counts)).executed}`,
              columns: planned.columns,
              rows: planned.rows.pipe(
                Stream.grouped(chunkSize),
                Stream.map((chunk): ReadonlyArray<Row> => [...chunk]),
                Stream.tap((chunk) => add("pulled", chunk.length)),
                Stream.concat(Stream.execute(Effect.zipRight(Ref.set(ended, true), add("finished"))))
              )
            }
        }
      })

    return {
      layer: Layer.succeed(Warehouse, { dialect: options.dialect ?? "snowflake", execute }),
      statements: Ref.get(statements),
      sql: Effect.map(Ref.get(statements), (all) => all.map(({ sql }) => sql)),
      counts: Ref.get(counts)
    }
  })
