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
  new Warehouse.WarehouseError({ reason, description, sent: reason === "Unreachable" ? "unknown" : "yes" })

/** Decides what is told, tried again and counted. `Unreachable` is the network's alone: it ends calls of all callers. */
const reasonOf = (message: string): Warehouse.Reason => {
  if (/ECONN|ENOTFOUND|ETIMEDOUT/.test(message)) return "Unreachable"
  return /no such table/.test(message) ? "NotFound" : /syntax/.test(message) ? "InvalidStatement" : "Unknown"
}
const late = () => failed("StatementTimeout", "The statement took longer than it may.")

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
        }).pipe(Effect.timeoutFail({ duration: timeoutMs, onTimeout: late }))
        const closed = Effect.unlessEffect(failed("Cancelled", "It is closed."), Ref.get(isOpen))
        const kept = Stream.rechunk(Stream.fromIterable(answer.rows.slice(0, maxRows)), 1000)
        const parts = Stream.map(Stream.chunks(kept), Chunk.toReadonlyArray)
        return { queryId: answer.id, columns: answer.columns, rows: Stream.tap(parts, () => closed) }
      })
  }))
)
