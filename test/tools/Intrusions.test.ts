import { expect } from "@effect/vitest"
import { Effect, Exit, Layer, Stream } from "effect"
import { functions, translate } from "../../src/warehouse/duckdb/dialect/snowflake.js"
import { ReadOnly } from "../../src/gate/ReadOnly.js"
import * as ExecuteQuery from "../../src/tools/ExecuteQuery.js"
import { Warehouse } from "../../src/warehouse/Warehouse.js"
import * as DuckDb from "../../src/warehouse/DuckDb.js"
import { embeddedGate } from "../utils/embeddedGate.js"
import { withLayer } from "../utils/withLayer.js"
import * as Fakes from "../utils/fakeGuards.js"

/** What an engine that can read files and run text would do for whoever asks. */
const intrusions: ReadonlyArray<string> = [
  "PRAGMA enable_profiling",
  "PRAGMA enable_profiling = 'json'",
  "PRAGMA profiling_output = '/tmp/snowguard-profile.json'",
  "SET enable_profiling = 'query_tree'",
  "CREATE TEMP TABLE x AS SELECT 1",
  "CREATE TEMPORARY VIEW x AS SELECT 1",
  "SELECT * FROM query('SELECT 1')",
  "SELECT * FROM query('PRAGMA enable_profiling')",
  "SELECT * FROM query_table('ORDERS')",
  "SELECT * FROM '/etc/passwd'",
  "SELECT * FROM 'package.json'",
  'SELECT * FROM "./package.json"',
  "SELECT * FROM 'data/*.parquet'",
  "SELECT * FROM package.json",
  "SELECT * FROM read_csv('/etc/passwd')",
  "SELECT * FROM read_text('package.json')",
  "SELECT * FROM read_blob('/proc/self/environ')",
  "SELECT * FROM read_json_auto('package.json')",
  "SELECT * FROM glob('/**')",
  "SELECT getenv('HOME')",
  "SELECT current_setting('home_directory')",
  "SELECT * FROM duckdb_settings()",
  "SELECT * FROM duckdb_secrets()",
  "COPY (SELECT 1) TO '/tmp/snowguard-copy.csv'",
  "COPY ORDERS FROM '/etc/passwd'",
  "EXPORT DATABASE '/tmp/snowguard-export'",
  "ATTACH '/tmp/snowguard-attach.db' AS x",
  "ATTACH ':memory:' AS x",
  "LOAD httpfs",
  "INSTALL httpfs",
  "LOAD json",
  "SELECT * FROM 'https://127.0.0.1:1/x.csv'",
  "SELECT * FROM read_parquet('s3://b/x')",
  "CREATE SECRET s (TYPE s3)",
  "CALL enable_logging()",
  "SELECT write_log('x')",
  "SELECT * FROM checkpoint()",
  "PREPARE p AS SELECT 1",
  "SET VARIABLE x = 1",
  "USE SNOWGUARD_SAMPLE",
  "DROP TABLE ORDERS",
  "SELECT 1; DROP TABLE ORDERS",
  "EXPLAIN ANALYZE SELECT 1",
  "WITH x AS (SELECT * FROM read_text('package.json')) SELECT * FROM x",
  "SELECT (SELECT content FROM read_text('package.json'))",
  "SELECT list_transform(['package.json'], f -> (SELECT content FROM read_text(f)))",
  "SELECT 1 ->> ATTACH ':memory:' AS x",
  "SELECT nextval('s')"
]

/** Of these the engine alone knows nothing to object to: they read what is in it already. */
const harmlessWithoutGate =
  /query|duckdb_settings|duckdb_secrets|current_setting|write_log|checkpoint|^EXPLAIN|->>|enable_logging/

const gate = embeddedGate({ functions, translate })

withLayer(Layer.merge(DuckDb.layer(), gate))("the embedded warehouse", (it) => {
  it.effect(`behind its gate takes none of ${intrusions.length} intrusions`, () =>
    Effect.gen(function* () {
      const [warehouse, readOnly] = [yield* Warehouse, yield* ReadOnly]
      const { layer } = yield* Fakes.services({
        readOnly: Layer.succeed(ReadOnly, readOnly),
        dialect: "duckdb"
      })
      const tool = yield* Effect.provide(
        ExecuteQuery.make,
        Layer.merge(layer, Layer.succeed(Warehouse, warehouse))
      )
      for (const sql of intrusions) {
        const outcome = yield* Effect.either(tool.handler({ sql }, Fakes.quietContext))
        expect([sql, outcome]).toMatchObject([sql, { _tag: "Left", left: { _tag: "StatementRejected" } }])
      }
    })
  )

  it.effect("takes none of those that reach out of it even without its gate", () =>
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      for (const sql of intrusions.filter((sql) => !harmlessWithoutGate.test(sql))) {
        const exit = yield* warehouse.execute({ sql, timeoutMs: 5000, requestId: "r" }).pipe(
          Effect.flatMap(({ rows }) => Stream.runDrain(rows)),
          Effect.scoped,
          Effect.exit
        )
        expect([sql, Exit.isFailure(exit)]).toEqual([sql, true])
      }
    })
  )
})
