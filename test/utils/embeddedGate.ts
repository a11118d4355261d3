import { Effect, Layer } from "effect"
import * as Gate from "../../src/gate/DuckDb.js"
import { ReadOnly } from "../../src/gate/ReadOnly.js"
import * as DuckDb from "../../src/warehouse/DuckDb.js"

/** The gate of DuckDB with the parser of a process of its own. */
export const embeddedGate = (options: Omit<Gate.Options, "parser"> = {}): Layer.Layer<ReadOnly> =>
  Layer.scoped(
    ReadOnly,
    Effect.flatMap(DuckDb.makeEmbedded({ sample: false }), ({ parse }) =>
      Gate.make({ ...options, parser: { parse } })
    )
  )
