// A warehouse of your own, on a client that answers a whole result and stops when its signal is aborted. It is given to
// the server as `Server.stdio(settings, { warehouse: OwnWarehouse.layer })`.
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import * as Warehouse from "snowguard/Warehouse"

/** Your client. What it rejects with is what `reasonOf` has to tell apart. */
export class Client extends Context.Tag("example/Client")<
  Client,
  (
    sql: string,
    binds: ReadonlyArray<Warehouse.Bind>,
    signal: AbortSignal
  ) => Promise<{ id: string; columns: ReadonlyArray<Warehouse.Column>; rows: ReadonlyArray<Warehouse.Row> }>
>() {}

const failed = (reason: Warehouse.Reason, description: string) =>
  new Warehouse.WarehouseError({ reason, description, sent: "yes" })

/** Whose fault it is decides what the caller is told, what is tried again, and what the circuit breaker counts. */
const reasonOf = (message: string): Warehouse.Reason =>
  /no such table/.test(message) ? "NotFound" : /syntax/.test(message) ? "InvalidStatement" : "Unreachable"

export const layer = Layer.effect(
  Warehouse.Warehouse,
  Effect.map(Client, (query) => ({
    // The read-only gate in front of it has to be of the same dialect.
    dialect: "duckdb" as const,
    execute: ({ binds = [], maxRows, sql, timeoutMs }: Warehouse.Statement) =>
      Effect.gen(function* () {
        const isOpen = yield* Effect.acquireRelease(Ref.make(true), (ref) => Ref.set(ref, false))
        const answer = yield* Effect.tryPromise({
          try: (signal) => query(sql, binds, signal),
          catch: (cause) => failed(reasonOf(String(cause)), String(cause))
        }).pipe(Effect.timeoutFail({ duration: timeoutMs, onTimeout: () => failed("StatementTimeout", sql) }))
        const closed = Effect.unlessEffect(failed("Cancelled", "It is closed."), Ref.get(isOpen))
        const rows = Stream.fromIterable(answer.rows.slice(0, maxRows)).pipe(
          Stream.rechunk(1000),
          Stream.chunks
        )
        const parts = Stream.map(rows, Chunk.toReadonlyArray).pipe(Stream.tap(() => closed))
        return { queryId: answer.id, columns: answer.columns, rows: parts }
      })
  }))
)
