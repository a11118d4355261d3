import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Fiber, Layer, Option, Ref, Stream, TestClock } from "effect"
import * as SearchIndex from "../../src/tools/SearchIndex.js"
import * as SearchObjects from "../../src/tools/SearchObjects.js"
import { Warehouse, WarehouseError } from "../../src/warehouse/Warehouse.js"
import * as CatalogWarehouse from "../utils/catalogWarehouse.js"
import { relation } from "../utils/catalogWarehouse.js"
import * as Fakes from "../utils/fakeGuards.js"
import * as FakeWarehouse from "../utils/fakeWarehouse.js"

type Relations = Parameters<typeof CatalogWarehouse.catalog>[0]

/** The names of a catalog, INFORMATION_SCHEMA.COLUMNS and SHOW WAREHOUSES; it can be out of reach. */
const start = (
  relations: Relations,
  options: {
    readonly dialect?: "snowflake" | "duckdb"
    readonly warehouse?: "STARTED" | "SUSPENDED"
    readonly index?: Partial<SearchIndex.Options>
    readonly policy?: Fakes.Options["policy"]
    /** Undefined: the account knows no such kind. */
    readonly semantic?:
      ReadonlyArray<{ readonly name: string; readonly [column: string]: string }> | undefined
  } = {}
) =>
  Effect.gen(function* () {
    const { dialect = "snowflake", index = {}, policy = {}, warehouse: state = "SUSPENDED" } = options
    const relationsNow = yield* Ref.make(relations)
    const isDown = yield* Ref.make(false)
    const sent = yield* Ref.make<ReadonlyArray<string>>([])
    const answer = (sql: string) =>
      Effect.gen(function* () {
        const all = yield* Ref.get(relationsNow)
        if (sql === "SHOW SEMANTIC VIEWS IN ACCOUNT" && "semantic" in options) {
          return options.semantic === undefined
            ? yield* new WarehouseError({ reason: "InvalidStatement", description: "no", sent: "yes" })
            : FakeWarehouse.records(options.semantic)
        }
        if (sql === "SHOW WAREHOUSES") return FakeWarehouse.records([{ name: "WH", state, is_current: "Y" }])
        const schema = /^SELECT .* WHERE TABLE_SCHEMA = '(.*)' ORDER BY/.exec(sql)?.[1]
        return schema === undefined
          ? undefined
          : FakeWarehouse.records(
              all
                .filter((one) => one.schema === schema)
                .flatMap(({ columns, database, name, schema }) =>
                  columns.map((column) => ({
                    TABLE_NAME: name,
                    SCHEMA_NAME: schema,
                    DATABASE_NAME: database,
                    COLUMN_NAME: column.name,
                    DATA_TYPE: "NUMBER",
                    COMMENT: ""
                  }))
                )
            )
      })
    const warehouse = Layer.succeed(
      Warehouse,
      Warehouse.of({
        dialect,
        execute: (statement) =>
          Effect.gen(function* () {
            if (yield* Ref.get(isDown)) {
              return yield* new WarehouseError({ reason: "Unreachable", description: "gone", sent: "no" })
            }
            yield* Ref.update(sent, (all) => [...all, statement.sql])
            const own = yield* answer(statement.sql)
            if (own?._tag === "Rows")
              return {
                queryId: "q",
                columns: own.columns,
                rows: Stream.mapChunks(own.rows, (chunk) => Chunk.of(Chunk.toReadonlyArray(chunk)))
              }
            const catalog = CatalogWarehouse.catalog(yield* Ref.get(relationsNow))
            const { layer } = yield* CatalogWarehouse.make(catalog, dialect)
            return yield* Effect.flatMap(Warehouse, (_) => _.execute(statement)).pipe(Effect.provide(layer))
          })
      })
    )
    const { call } = yield* Fakes.harness(SearchObjects.make, {
      dialect,
      warehouse,
      policy,
      searchIndex: SearchIndex.layer(index)
    })
    const search = (input: object, client = "ann") =>
      Effect.gen(function* () {
        const fiber = yield* Effect.fork(Effect.either(Fakes.as(client)(call(input))))
        // Statements take no time here, so that the fill has ended long before the search stops to wait for it.
        while (Option.isNone(yield* Fiber.poll(fiber))) yield* TestClock.adjust("1 millis")
        return yield* yield* Fiber.join(fiber)
      })
    return {
      search,
      sent: Ref.get(sent),
      down: Ref.set(isDown, true),
      change: (relations: Relations) => Ref.set(relationsNow, relations)
    }
  })

const shop = [
  relation("SHOP", "PUBLIC", "CUSTOMERS", "TABLE", ["CUSTOMER_ID", "EMAIL"]),
  relation("SHOP", "PUBLIC", "OpenOrders", "VIEW", ["ORDER_ID"]),
  relation("HR", "PUBLIC", "SALARIES", "TABLE", ["AMOUNT"])
]

const shown = (answer: {
  readonly objects: ReadonlyArray<{ readonly name: string; readonly column?: string | undefined }>
}) => answer.objects.map(({ column, name }) => (column === undefined ? name : `${name}.${column}`))

describe("search_objects", () => {
  it.effect("reads the names with the first search, by SHOW alone, and gives full names for SQL", () =>
    Effect.gen(function* () {
      const { search, sent } = yield* start(shop)
      const answer = yield* search({ query: "open orders" })
      expect(answer.objects[0]).toEqual({ name: 'SHOP.PUBLIC."OpenOrders"', kind: "view" })
      expect(yield* search({ query: "emial", kinds: ["column"] })).toMatchObject({
        count: 1,
        objects: [{ name: "SHOP.PUBLIC.CUSTOMERS", kind: "column", column: "EMAIL", type: "NUMBER" }]
      })
      expect(yield* sent).toEqual([
        "SHOW TABLES IN ACCOUNT",
        "SHOW VIEWS IN ACCOUNT",
        "SHOW SEMANTIC VIEWS IN ACCOUNT",
        "SHOW COLUMNS IN ACCOUNT"
      ])
    })
  )

  const semantic = [
    { name: "Sales", database_name: "SHOP", schema_name: "PUBLIC", comment: "Revenue by country" },
    // Accounts may list it among the views as well.
    { name: "OpenOrders", database_name: "SHOP", schema_name: "PUBLIC", comment: "" },
    { name: "PAY", database_name: "HR", schema_name: "METRICS", comment: "Revenue by employee" }
  ]

  it.effect("finds semantic views by name and comment, each once, as a kind of their own", () =>
    Effect.gen(function* () {
      const { search, sent } = yield* start(shop, { semantic })
      const answer = yield* search({ query: "revenue by country" })
      expect(answer.objects).toEqual([
        { name: 'SHOP.PUBLIC."Sales"', kind: "semantic view", comment: "Revenue by country" },
        { name: "HR.METRICS.PAY", kind: "semantic view", comment: "Revenue by employee" }
      ])
      expect(answer.next_step).toBeUndefined()
      expect((yield* search({ query: "open orders" })).objects).toEqual([
        { name: 'SHOP.PUBLIC."OpenOrders"', kind: "semantic view" }
      ])
      expect(shown(yield* search({ query: "sales open orders", kinds: ["view"] }))).toEqual([])
      expect(shown(yield* search({ query: "sales customers", kinds: ["semantic view"] }))).toEqual([
        'SHOP.PUBLIC."Sales"'
      ])
      expect((yield* sent).filter((sql) => sql.includes("SEMANTIC"))).toHaveLength(1)
    })
  )

  it.effect("names no semantic view that the tier may not read", () =>
    Effect.gen(function* () {
      const { search } = yield* start(shop, { semantic, policy: { objects: { allow: [], deny: ["HR"] } } })
      expect(shown(yield* search({ query: "revenue pay" }))).toEqual(['SHOP.PUBLIC."Sales"'])
    })
  )

  it.effect("finds tables, views and columns of an account that knows no semantic views", () =>
    Effect.gen(function* () {
      const { search } = yield* start(shop, { semantic: undefined })
      const answer = yield* search({ query: "email open orders" })
      expect(shown(answer)).toContain("SHOP.PUBLIC.CUSTOMERS.EMAIL")
      expect(answer.objects[0]).toMatchObject({ kind: "view" })
      expect(answer.next_step).toBeUndefined()
    })
  )

  it.effect(
    "keeps the semantic views that it knows where the statements last for tables and views only",
    () =>
      Effect.gen(function* () {
        const { search, sent } = yield* start(shop, {
          semantic,
          index: { refreshMs: 60_000, statementsPerHour: 6 }
        })
        yield* search({ query: "sales" })
        yield* TestClock.adjust("1 minute")
        yield* search({ query: "sales" })
        yield* TestClock.adjust("1 second")
        // The second reading ended before them.
        expect((yield* sent).slice(4)).toEqual(["SHOW TABLES IN ACCOUNT", "SHOW VIEWS IN ACCOUNT"])
        expect(shown(yield* search({ query: "sales customers" }))).toEqual(
          expect.arrayContaining(['SHOP.PUBLIC."Sales"', "SHOP.PUBLIC.CUSTOMERS"])
        )
      })
  )

  it.effect("narrows to a database, and says when there is more than the limit", () =>
    Effect.gen(function* () {
      const { search } = yield* start(shop)
      const all = yield* search({ query: "amount customers", limit: 1 })
      expect(all).toMatchObject({ count: 1, truncated: true, truncated_reason: "rows" })
      expect(shown(yield* search({ query: "amount customers", database: "hr" }))).toEqual([
        "HR.PUBLIC.SALARIES.AMOUNT"
      ])
    })
  )

  it.effect(
    "never names what the tier may not read, and refuses a database of which it may read nothing",
    () =>
      Effect.gen(function* () {
        const { search } = yield* start(shop, { policy: { objects: { allow: [], deny: ["HR"] } } })
        expect(shown(yield* search({ query: "salaries amount hr customers" }))).toEqual([
          "SHOP.PUBLIC.CUSTOMERS",
          "SHOP.PUBLIC.CUSTOMERS.CUSTOMER_ID"
        ])
        expect(yield* Effect.flip(search({ query: "x", database: "HR" }))).toMatchObject({
          code: "OBJECT_NOT_ALLOWED"
        })
      })
  )

  it.effect("answers with the age of what it knows while the warehouse is out of reach, and says so", () =>
    Effect.gen(function* () {
      const { down, search } = yield* start(shop)
      yield* search({ query: "email" })
      yield* down
      yield* TestClock.adjust("2 hours")
      // Old: it is asked for again, in vain.
      yield* search({ query: "email" })
      const answer = yield* search({ query: "email" })
      expect(shown(answer)).toEqual(["SHOP.PUBLIC.CUSTOMERS.EMAIL"])
      expect(answer).toMatchObject({ stale: true, stale_reason: "the warehouse cannot be reached" })
      expect(answer.age_seconds).toBeGreaterThanOrEqual(7_200)
    })
  )

  it.effect("fails as the warehouse does while nothing is known, and reads again later", () =>
    Effect.gen(function* () {
      const { down, search, sent } = yield* start(shop)
      yield* down
      expect(yield* Effect.flip(search({ query: "email" }))).toMatchObject({ reason: "Unreachable" })
      expect(yield* sent).toEqual([])
    })
  )

  it.effect("reads again what is old, so that new tables are found and dropped ones are not", () =>
    Effect.gen(function* () {
      const { change, search } = yield* start(shop, { index: { refreshMs: 60_000 } })
      yield* search({ query: "salaries" })
      yield* change([relation("SHOP", "PUBLIC", "REFUNDS")])
      expect(shown(yield* search({ query: "refunds" }))).toEqual([])
      yield* TestClock.adjust("1 minute")
      // The first one after that is told what is known, and its age.
      yield* search({ query: "refunds" })
      expect(shown(yield* search({ query: "refunds" }))).toEqual(["SHOP.PUBLIC.REFUNDS"])
      expect(shown(yield* search({ query: "salaries" }))).toEqual([])
    })
  )

  it.effect("takes no more statements in an hour than it may, and says that not all is known", () =>
    Effect.gen(function* () {
      const { search, sent } = yield* start(shop, { index: { statementsPerHour: 2 } })
      const answer = yield* search({ query: "customers email" })
      expect(shown(answer)).toEqual(["SHOP.PUBLIC.CUSTOMERS"])
      expect(answer.next_step).toContain("Not all tables and columns are known")
      expect(yield* sent).toHaveLength(2)
      yield* TestClock.adjust("30 minutes")
      yield* search({ query: "email" })
      expect(yield* sent).toHaveLength(2)
    })
  )

  /** A schema whose columns no SHOW lists whole. */
  const wide = Array.from({ length: 120 }, (_, at) =>
    relation(
      "BIG",
      "PUBLIC",
      `T${at}`,
      "TABLE",
      Array.from({ length: 100 }, (_, column) => `C${at}_${column}`)
    )
  )
  const isQuery = (sql: string) => sql.startsWith("SELECT")

  it.effect(
    "asks INFORMATION_SCHEMA for a schema that SHOW does not list whole, while the warehouse runs",
    () =>
      Effect.gen(function* () {
        const { search, sent } = yield* start(wide, { warehouse: "STARTED" })
        expect(shown(yield* search({ query: "C119_99" }))[0]).toBe("BIG.PUBLIC.T119.C119_99")
        expect((yield* sent).filter(isQuery)).toHaveLength(1)
      })
  )

  it.effect("does not wake a suspended warehouse: it asks for the columns of each table", () =>
    Effect.gen(function* () {
      const { search, sent } = yield* start(wide, { warehouse: "SUSPENDED" })
      expect(shown(yield* search({ query: "C119_99" }))[0]).toBe("BIG.PUBLIC.T119.C119_99")
      expect((yield* sent).filter(isQuery)).toEqual([])
      expect((yield* sent).filter((sql) => sql.startsWith("SHOW COLUMNS IN TABLE"))).toHaveLength(120)
    })
  )

  it.effect("reads on where an account has more tables than one list holds", () =>
    Effect.gen(function* () {
      const many = Array.from({ length: 10_050 }, (_, at) =>
        relation("BIG", "PUBLIC", `T_${at}`, "TABLE", [])
      )
      const { search } = yield* start([...many, relation("OTHER", "S", "LONELY", "TABLE", [])])
      expect(shown(yield* search({ query: "lonely" }))).toEqual(["OTHER.S.LONELY"])
      expect(shown(yield* search({ query: "T_9999", limit: 3 }))).toContain("BIG.PUBLIC.T_9999")
    })
  )

  it.effect("keeps within its bounds, and says that not all is known", () =>
    Effect.gen(function* () {
      const { search } = yield* start(shop, { index: { maxObjects: 3 } })
      const answer = yield* search({ query: "customers salaries open orders" })
      expect(answer.objects.length).toBeLessThan(3)
      expect(answer.next_step).toContain("Not all tables and columns are known")
    })
  )

  it.effect("works on the embedded warehouse, which lists everything at once", () =>
    Effect.gen(function* () {
      const { search, sent } = yield* start(wide, { dialect: "duckdb" })
      expect(shown(yield* search({ query: "C119_99" }))[0]).toBe("BIG.PUBLIC.T119.C119_99")
      expect(yield* sent).toHaveLength(3)
    })
  )
})
