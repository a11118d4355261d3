import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Cell, Result, WarehouseError } from "../Warehouse.js"

/** A row by the names of its columns, in lower case. */
export type Named = { readonly [column: string]: Cell | undefined }

/** All rows of a short result, such as that of `SHOW`. */
export const rows = (result: Result): Effect.Effect<ReadonlyArray<Named>, WarehouseError> => {
  const names = result.columns.map(({ name }) => name.toLowerCase())
  const whole =
    result.whole ??
    Effect.map(Stream.runCollect(result.rows), (chunks) => Chunk.toReadonlyArray(chunks).flat())
  return Effect.map(whole, (all) =>
    all.map((row) => Object.fromEntries(names.map((name, at) => [name, row[at] ?? null])))
  )
}
