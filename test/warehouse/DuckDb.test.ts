import { DuckDBInstance } from "@duckdb/node-api"
import { expect, it } from "@effect/vitest"
import { Chunk, Context, Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as DuckDb from "../../src/warehouse/DuckDb.js"
import type { Statement } from "../../src/warehouse/Warehouse.js"
import { Warehouse } from "../../src/warehouse/Warehouse.js"
import { newChildren } from "../utils/children.js"
import { contract } from "./Warehouse.contract.js"
import { inLongForm } from "../utils/long.js"

contract("embedded DuckDB", DuckDb.layer())

const statement = (sql: string): Statement => ({ sql, timeoutMs: 600_000, requestId: "contract" })

const read = (warehouse: Warehouse["Type"], sql: string) =>
  Effect.scoped(
    Effect.flatMap(warehouse.execute(statement(sql)), (result) =>
      Effect.map(Stream.runCollect(result.rows), (chunks) => Chunk.toReadonlyArray(chunks).flat())
    )
  )

const failure = (warehouse: Warehouse["Type"], sql: string) =>
  read(warehouse, sql).pipe(
    Effect.flatMap((rows) => Effect.dieMessage(`${sql} succeeded with ${rows.length} rows`)),
    Effect.flip
  )

const endless = "SELECT count(*) FROM range(1000000000000) t(i) WHERE i % 7 = 3"

it.scopedLive(
  "begins a process with the first statement, and one for many at a time; loads no driver here",
  () =>
    Effect.gen(function* () {
      const begun = newChildren()
      const context = yield* Layer.build(DuckDb.layer({ sample: false }))
      const warehouse = Context.get(context, Warehouse)
      expect(begun()).toEqual([])
      yield* Effect.all(
        Array.from({ length: 5 }, (_, n) => read(warehouse, `SELECT ${n}`)),
        { concurrency: "unbounded" }
      )
      yield* read(warehouse, "SHOW DATABASES")
      expect(begun().length).toBe(1)
    })
)

it.scopedLive(
  "blames its configuration when it cannot be opened, and tries again for the next statement",
  () =>
    Effect.gen(function* () {
      const warehouse = yield* DuckDb.make({ sample: false, memoryLimit: "nonsense" })
      for (let attempt = 0; attempt < 2; attempt++) {
        const error = yield* failure(warehouse, "SELECT 1")
        expect([error.reason, error.sent]).toEqual(["Configuration", "no"])
        expect(error.description).toBe("The embedded warehouse could not be opened.")
      }
    })
)

it.scopedLive("opens for the callers that still wait when the first one has left", () =>
  Effect.gen(function* () {
    const warehouse = yield* DuckDb.make({ sample: false })
    const first = yield* Effect.fork(read(warehouse, "SELECT 1"))
    yield* Effect.yieldNow()
    const second = yield* Effect.fork(read(warehouse, "SELECT 2"))
    expect(Exit.isInterrupted(yield* Fiber.interrupt(first))).toBe(true)
    expect(yield* Fiber.join(second)).toEqual([[2]])
  })
)

it.live("ends what is running and refuses the rest when its scope closes", () =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const warehouse = yield* Scope.extend(DuckDb.make({ sample: false }), scope)
    const running = yield* Effect.forEach([1, 2, 3, 4, 5], () =>
      Effect.fork(Effect.exit(read(warehouse, endless)))
    )
    yield* Effect.scoped(warehouse.execute(statement("SHOW DATABASES")))
    yield* Scope.close(scope, Exit.void)
    const exits = yield* Effect.forEach(running, Fiber.join)
    expect(exits.every(Exit.isFailure)).toBe(true)
  })
)

it.live("closes while it is still opening", () =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const warehouse = yield* Scope.extend(DuckDb.make(), scope)
    const first = yield* Effect.fork(Effect.exit(read(warehouse, "SHOW DATABASES")))
    yield* Effect.yieldNow()
    yield* Scope.close(scope, Exit.void)
    yield* Fiber.interrupt(first)
  })
)

it.scopedLive("is empty without the sample", () =>
  Effect.gen(function* () {
    const warehouse = yield* DuckDb.make({ sample: false })
    expect(yield* read(warehouse, "SHOW DATABASES")).toEqual([])
    expect(yield* read(warehouse, "SHOW TABLES IN ACCOUNT")).toEqual([])
    expect(yield* read(warehouse, "SELECT 40 + 2")).toEqual([[42]])
  })
)

it.scopedLive("reaches nothing outside itself, whatever it is asked", () =>
  Effect.gen(function* () {
    const before = readdirSync(process.cwd()).sort()
    const warehouse = yield* DuckDb.make({ sample: false, memoryLimit: "64MB" })
    const outside = [
      "SELECT * FROM read_csv('/etc/passwd')",
      "SELECT * FROM read_text('package.json')",
      "SELECT * FROM 'package.json'",
      "SELECT * FROM glob('*')",
      "FROM sniff_csv('/etc/passwd')"
    ]
    for (const sql of outside) {
      const error = yield* failure(warehouse, sql)
      expect([sql, error.reason]).toEqual([sql, "Permission"])
    }
    const other = [
      "SET memory_limit = '8GB'",
      "ATTACH ':memory:' AS x",
      "INSTALL httpfs",
      "LOAD httpfs",
      "COPY (SELECT 1) TO 'x.csv'",
      "CREATE TABLE x (i INTEGER)",
      "PRAGMA enable_profiling",
      "CALL enable_logging()",
      "SELECT 1; DROP TABLE x",
      "WITH x AS (SELECT 1) INSERT INTO y SELECT * FROM x"
    ]
    for (const sql of other) {
      const error = yield* failure(warehouse, sql)
      expect([sql, error.reason]).toEqual([
        sql,
        expect.stringMatching(/^(InvalidStatement|Permission|NotFound)$/)
      ])
    }
    // More than fits into memory fails; it is not put into a file.
    const error = yield* failure(warehouse, "SELECT len(list(i)) FROM range(50000000) t(i)")
    expect(error.reason).toBe("ResourcesExceeded")
    expect(yield* read(warehouse, "SELECT 1")).toEqual([[1]])
    expect(readdirSync(process.cwd()).sort()).toEqual(before)
    expect(readdirSync(join(process.cwd(), "src")).includes(".tmp")).toBe(false)
  })
)

it.scopedLive(
  "gives the same rows whether a LIMIT keeps the result small or not, and frees its connection",
  () =>
    Effect.gen(function* () {
      const warehouse = yield* DuckDb.make({ sample: false })
      const numbers = (end: string) =>
        `SELECT value FROM (SELECT unnest(range(3000)) AS value) ORDER BY value${end}`
      const values = (sql: string) => Effect.map(read(warehouse, sql), (rows) => rows.map(([value]) => value))
      const all = Array.from({ length: 3000 }, (_, index) => index)
      expect(yield* values(numbers(""))).toEqual(all)
      for (const limit of [0, 1, 700, 1000, 1001, 2048, 2999]) {
        expect(yield* values(numbers(` LIMIT ${limit}`))).toEqual(all.slice(0, limit))
        // The same text again is one that is prepared.
        expect(yield* values(numbers(` LIMIT ${limit}`))).toEqual(all.slice(0, limit))
      }
      expect(yield* values(numbers(" LIMIT 5 OFFSET 2990"))).toEqual(all.slice(2990, 2995))
      const { description } = yield* failure(
        warehouse,
        "SELECT CAST('x' || i AS INT) FROM range(9) t(i) LIMIT 5"
      )
      expect(description).toMatch(/x0/)
      expect(yield* values("SELECT 1 LIMIT 1")).toEqual([1])
    })
)

/** A folder with a file of two rows. */
const orders = Effect.acquireRelease(
  Effect.sync(() => {
    const folder = mkdtempSync(join(tmpdir(), "snowguard-orders-"))
    writeFileSync(join(folder, "orders.csv"), "id,price\n1,2.50\n2,0.75\n")
    return folder
  }),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

it.scopedLive(
  "processes of several clients share the user's own files, and reach no other, whatever is asked",
  () =>
    Effect.gen(function* () {
      const folder = yield* orders
      const data = yield* DuckDb.ownData({ load: [join(folder, "*.csv")] })
      expect(data).toMatchObject({ tables: 1, rows: 2, notes: [] })
      const begun = newChildren()
      const warehouse = yield* DuckDb.make({ data })
      const sum = (client: string) =>
        Effect.scoped(
          Effect.flatMap(
            warehouse.execute({
              ...statement("SELECT SUM(price) FROM orders"),
              tag: { client, tool: "execute_query" }
            }),
            ({ rows }) => Effect.map(Stream.runCollect(rows), (all) => Chunk.toReadonlyArray(all).flat())
          )
        )
      const sums = yield* Effect.forEach(["a", "b", "c"], sum, { concurrency: "unbounded" })
      expect(sums).toEqual([[["3.25"]], [["3.25"]], [["3.25"]]])
      expect(begun().length).toBe(3)
      // No gate is in front of it here.
      for (const sql of [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        `SELECT * FROM read_csv('${join(folder, "orders.csv")}')`,
        `SELECT * FROM '${join(folder, "orders.csv")}'`,
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_blob('/proc/self/environ')"
      ]) {
        const { description } = yield* failure(warehouse, sql)
        expect(description).toMatch(/^Insufficient privileges|does not exist/)
      }
      for (const sql of [
        "SET enable_external_access = true",
        `COPY orders TO '${join(folder, "stolen.csv")}'`,
        `ATTACH '${join(folder, "new.duckdb")}' AS x`,
        "INSERT INTO orders VALUES (3, 1)",
        "DROP VIEW orders"
      ]) {
        yield* failure(warehouse, sql)
      }
      expect(readdirSync(folder)).toEqual(["orders.csv"])
      expect(yield* sum("a")).toEqual([["3.25"]])
    })
)

it.scopedLive(
  "compares a semi-structured column by all digits, also where the statement does not say that it is one",
  () =>
    Effect.gen(function* () {
      const folder = yield* orders
      const lines = ["9007199254740993", "10000000000000000", "5", '"x"'].map(
        (v, id) => `{"id":${id},"v":${v}}`
      )
      writeFileSync(join(folder, "events.ndjson"), lines.join("\n"))
      const data = yield* DuckDb.ownData({ load: [join(folder, "events.ndjson")] })
      const warehouse = yield* DuckDb.make({ data })
      for (const sql of [
        "SELECT id FROM events ORDER BY v",
        "SELECT v FROM events ORDER BY 1",
        'SELECT id FROM events ORDER BY events."V"',
        "SELECT DISTINCT v FROM events ORDER BY v",
        "SELECT v FROM events UNION SELECT v FROM events ORDER BY v",
        "SELECT id FROM events QUALIFY ROW_NUMBER() OVER (ORDER BY v) = 1",
        "SELECT id FROM events WHERE v = 9007199254740992",
        "SELECT id FROM events WHERE v IN (9007199254740993)",
        "SELECT MIN(v) FROM events"
      ]) {
        const { description } = yield* failure(warehouse, sql)
        expect(`${sql}: ${description ?? ""}`).toContain("more than 15 digits in a VARIANT")
      }
      const small = "SELECT id FROM events WHERE id > 1 ORDER BY v"
      const { rows } = yield* warehouse.execute(statement(small))
      expect(Chunk.toReadonlyArray(yield* Stream.runCollect(rows)).flat()).toEqual([[2], [3]])
    })
)

inLongForm(() => {
  it.scopedLive("says all that is wrong with the user's own files", () =>
    Effect.gen(function* () {
      const folder = yield* orders
      writeFileSync(join(folder, "bad.csv"), "a,b\n1\n")
      const { faults, message } = yield* Effect.flip(
        DuckDb.ownData({ load: ["bad.csv", "orders.csv", "none.csv"].map((name) => join(folder, name)) })
      )
      expect(faults).toEqual([
        { path: join(folder, "none.csv"), message: "there is no such file" },
        { path: join(folder, "bad.csv"), line: 2, message: "1 value, and the first line has 2 names" }
      ])
      expect(message).toContain(`${join(folder, "bad.csv")}:2: 1 value`)
    })
  )

  it.scopedLive(
    "tells names apart that only a wider upper case joins: of generated columns, and of plans",
    () =>
      Effect.gen(function* () {
        const folder = yield* orders
        const path = join(folder, "shop.duckdb")
        yield* Effect.promise(async () => {
          const instance = await DuckDBInstance.create(path)
          const connection = await instance.connect()
          // Measures and a mass.
          await connection.run(
            'CREATE TABLE "Masse" ("Masse" BIGINT, "Maße" BIGINT, "twice it" BIGINT AS (2 * "Masse"), t2 BIGINT AS (2 * "Maße"))'
          )
          await connection.run('INSERT INTO "Masse" VALUES (1, 10)')
          await connection.run('CREATE TABLE "Maße" AS SELECT i AS a, i AS b FROM range(5000) t(i)')
          connection.closeSync()
          instance.closeSync()
        })
        const warehouse = yield* DuckDb.make({ data: yield* DuckDb.ownData({ database: path }) })
        const bytes = (table: string) =>
          Effect.map(read(warehouse, `EXPLAIN USING JSON SELECT * FROM ${table}`), ([row]) => {
            const [, assigned] = /"bytesAssigned":(\d+)/.exec(JSON.stringify(row).replaceAll("\\", "")) ?? []
            return Number(assigned)
          })
        expect(yield* read(warehouse, "SELECT * FROM MASSE")).toEqual([[1, 10, 2, 20]])
        expect(yield* read(warehouse, "DESCRIBE TABLE MASSE")).toEqual(
          expect.arrayContaining([
            expect.arrayContaining(["TWICE_IT", 'CAST((2 * "MASSE") AS BIGINT)']),
            expect.arrayContaining(["T2", 'CAST((2 * "MAßE") AS BIGINT)'])
          ])
        )
        const [small, large] = [yield* bytes("MASSE"), yield* bytes('"MAßE"')]
        expect(small).toBeGreaterThan(0)
        expect(large).toBeGreaterThan(50 * small)
      })
  )
})
