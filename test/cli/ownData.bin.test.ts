/** Files of the user's own behind the spawned binary: what they become, and what is told when one is bad. */
import { assert, describe, it } from "@effect/vitest"
import * as api from "@duckdb/node-api"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { childrenOf } from "../utils/children.js"
import * as Server from "../utils/server.js"
import { inLongForm } from "../utils/long.js"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "snowguard-own-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** Runs statements on a DuckDB file, and closes it. */
const duckdb = (path: string, ...statements: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    const instance = await api.DuckDBInstance.create(path)
    const connection = await instance.connect()
    for (const statement of statements) await connection.run(statement)
    connection.disconnectSync()
    instance.closeSync()
  })

const serving = (args: ReadonlyArray<string>, env: Server.Env = {}) =>
  Effect.gen(function* () {
    const server = yield* Server.raw({ args, env })
    yield* Effect.promise(() => server.initialize())
    let id = 1
    const ask = (tool: string, input: object = {}) =>
      Effect.map(
        Effect.promise(() => server.call(id++, tool, input)),
        ({ result }) => result!
      )
    const rows = (sql: string) =>
      Effect.map(ask("execute_query", { sql }), (result) => Server.structured(result)["rows"])
    const types = (database: string, table: string, schema = "PUBLIC") =>
      Effect.map(ask("describe_table", { database, schema, table }), (result) =>
        Object.fromEntries(
          (Server.structured(result)["columns"] as ReadonlyArray<{ name: string; type: string }>).map(
            ({ name, type }) => [name, type]
          )
        )
      )
    return { server, ask, rows, types }
  })

/** Runs the binary to its end, with nothing to read. */
const ended = (args: ReadonlyArray<string>, env: Server.Env = {}) =>
  Effect.gen(function* () {
    const server = yield* Server.raw({ args, env })
    server.child.stdin.end()
    const { code } = yield* Effect.promise(() => server.exited)
    assert.deepStrictEqual(server.messages, [])
    return { code, faults: server.stderr.split("\n").filter((line) => line !== "" && !line.startsWith("{")) }
  })

/** What a server has in the temporary directory. */
const leftovers = ({ child }: Server.RawServer) =>
  readdirSync(tmpdir()).filter((name) => name.startsWith(`snowguard-data-${child.pid}-`))

describe("the binary with files of the user's own", () => {
  it.scopedLive("keeps what columns were called, and serves names that need quotes in every tool", () =>
    Effect.gen(function* () {
      const at = yield* folder
      writeFileSync(
        join(at, "Kunden Maße.csv"),
        "Größe (cm);Straße;Straße;OrderTotal;name;Maße;Masse\n170;a;x;1;Ada;1;2\n180;b;y;2;Bob;3;4\n"
      )
      const { ask, rows } = yield* serving(["--load", join(at, "*.csv")])
      const table = '"KUNDEN_MAßE"'
      const described = Server.structured(yield* ask("describe_table", { table }))
      assert.strictEqual(described["table"], `LOCAL.PUBLIC.${table}`)
      assert.deepStrictEqual(
        (described["columns"] as ReadonlyArray<{ name: string; comment?: string }>).map(
          ({ comment, name }) => [name, comment]
        ),
        [
          ['"GRÖßE__CM_"', "Größe (cm)"],
          ['"STRAßE"', "Straße"],
          ['"STRAßE_2"', "Straße"],
          ["ORDERTOTAL", "OrderTotal"],
          ["NAME", undefined],
          ['"MAßE"', "Maße"],
          ["MASSE", "Masse"]
        ]
      )
      const listed = Server.structured(yield* ask("list_tables"))["tables"]
      assert.deepInclude((listed as ReadonlyArray<object>)[0], { name: table, comment: "Kunden Maße" })
      assert.deepStrictEqual(yield* rows(`SELECT "GRÖßE__CM_", "MAßE", MASSE FROM ${table} ORDER BY 1`), [
        [170, 1, 2],
        [180, 3, 4]
      ])
      const result = Server.structured(yield* ask("execute_query", { sql: `SELECT * FROM ${table}` }))
      assert.deepStrictEqual(
        (result["columns"] as ReadonlyArray<{ name: string; in_sql?: string }>).map(
          ({ in_sql, name }) => in_sql ?? name
        ),
        (described["columns"] as ReadonlyArray<{ name: string }>).map(({ name }) => name)
      )
      const profile = Server.structured(
        yield* ask("profile_table", { table, columns: ['"GRÖßE__CM_"', "straße"] })
      )
      assert.deepInclude((profile["columns"] as ReadonlyArray<object>)[0], { least: 170, greatest: 180 })
      assert.strictEqual(Server.structured(yield* ask("query_view", { view_name: table }))["row_count"], 2)
      for (const query of ["Größe", "grosse", "OrderTotal"]) {
        const found = Server.structured(yield* ask("search_objects", { query }))["objects"]
        assert.isAbove((found as ReadonlyArray<object>).length, 0, query)
      }
      const refused = yield* ask("execute_query", { sql: `SELECT Größe FROM ${table}` })
      assert.match(
        JSON.stringify(refused.content),
        /in double quotes, in the letters that describe_table shows: .*GRÖßE/
      )
      const missing = yield* ask("execute_query", { sql: `SELECT groesse FROM ${table}` })
      assert.match(JSON.stringify(missing.content), /Did you mean .*GRÖßE__CM_/)
    })
  )

  it.scopedLive("serves CSV, TSV, JSON and Parquet as tables with Snowflake's types, and no sample", () =>
    Effect.gen(function* () {
      const at = yield* folder
      writeFileSync(
        join(at, "orders.csv"),
        "id,amount,zip,Day Of Order,stamp,paid,note\n" +
          '1,2.50,00123,2024-01-05,2024-01-05 10:00:00,true,"a ""q"", b"\n' +
          "2,10,99999,2024-02-05,2024-01-05T11:00:00.123,FALSE,\n"
      )
      writeFileSync(join(at, "packed.csv.gz"), gzipSync("a;b\n1;x,y\n"))
      writeFileSync(join(at, "tabs.tsv"), "a\tb\n1e3\t,\n")
      writeFileSync(
        join(at, "events.ndjson"),
        '{"n":1,"o":{"z":[1,{"q":2.50}],"a":null},"m":1,"s":"007"}\n{"n":2.5,"m":"x","s":"b"}\n'
      )
      writeFileSync(join(at, "list.json"), '[{"a": 12345678901234567890}, {"a": null}]')
      yield* duckdb(
        ":memory:",
        `COPY (SELECT 1::TINYINT AS tiny, {'k': [1, 2]} AS nested, 'x' AS word, 1.50::DECIMAL(9,2) AS price FROM range(3)) TO '${join(at, "p 1.parquet")}'`
      )
      const { ask, rows, types } = yield* serving([
        ...["--load", join(at, "orders.csv"), join(at, "*.csv.gz")],
        ...["--load", join(at, "*.[tnjp]*")]
      ])
      const databases = Server.structured(yield* ask("list_databases"))["databases"]
      assert.deepStrictEqual(
        (databases as ReadonlyArray<{ name: string }>).map(({ name }) => name),
        ["LOCAL"]
      )
      assert.deepStrictEqual(yield* types("LOCAL", "ORDERS"), {
        ID: "NUMBER(38,0)",
        AMOUNT: "NUMBER(4,2)",
        ZIP: "VARCHAR(16777216)",
        DAY_OF_ORDER: "DATE",
        STAMP: "TIMESTAMP_NTZ(9)",
        PAID: "BOOLEAN",
        NOTE: "VARCHAR(16777216)"
      })
      assert.deepStrictEqual(yield* rows("SELECT * FROM orders ORDER BY id"), [
        [1, "2.50", "00123", "2024-01-05", "2024-01-05T10:00:00", true, 'a "q", b'],
        [2, "10.00", "99999", "2024-02-05", "2024-01-05T11:00:00.123", false, null]
      ])
      // The dialect is at home in it.
      assert.deepStrictEqual(
        yield* rows(
          "SELECT TO_CHAR(day_of_order, 'DD/MM/YYYY'), amount / 3, DATEDIFF(day, day_of_order, stamp) FROM LOCAL.PUBLIC.ORDERS WHERE id = 2"
        ),
        [["05/02/2024", "3.33333333", -31]]
      )
      assert.deepStrictEqual(yield* rows("SELECT * FROM packed"), [[1, "x,y"]])
      assert.deepStrictEqual(yield* rows("SELECT a, b FROM tabs"), [[1000, ","]])
      assert.deepStrictEqual(yield* types("LOCAL", "EVENTS"), {
        N: "NUMBER(2,1)",
        O: "VARIANT",
        M: "VARIANT",
        S: "VARCHAR(16777216)"
      })
      assert.deepStrictEqual(
        yield* rows(
          "SELECT n, o:z[1].q::NUMBER(5,2), IS_NULL_VALUE(o:a), TYPEOF(m), s FROM events ORDER BY n"
        ),
        [
          ["1.0", "2.50", true, "INTEGER", "007"],
          ["2.5", null, null, "VARCHAR", "b"]
        ]
      )
      assert.deepStrictEqual(yield* rows("SELECT a FROM list WHERE a IS NOT NULL"), [
        ["12345678901234567890"]
      ])
      assert.deepStrictEqual(
        yield* rows("SELECT SUM(tiny * 100), MAX(nested:k[1]::INT), MIN(price) FROM p_1"),
        [[300, 2, "1.50"]]
      )
    })
  )

  it.scopedLive("types a column of which values are missing by those that are there", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const names = [
        "n",
        "d",
        "flag",
        "fraction",
        "float",
        "day",
        "time",
        "stamp",
        "nanos",
        "zoned",
        "nothing"
      ]
      const values = ["1", "true", "1.50", "1e3", "2024-01-05", "10:11", "2024-01-05 10:11"]
      const moments = ["2024-01-05 10:11:12.123456789", "2024-01-05T10:11:12+02:00"]
      const filled = ["1", ...values.slice(0, 7), ...moments, ""]
      // The missing ones are first, last, and in between: what a column is, one row does not say.
      const missing = (n: number) => [`${n}`, ...names.slice(1).map(() => "")]
      const lines = [names, missing(2), filled, missing(3)].map((line) => line.join(","))
      writeFileSync(join(at, "gaps.csv"), `${lines.join("\n")}\n`)
      writeFileSync(
        join(at, "lines.ndjson"),
        '{"day":null,"zoned":"2024-01-05T10:11:12Z"}\n{"day":"2024-01-05","zoned":null}\n{}\n'
      )
      const { rows, types } = yield* serving(["--load", join(at, "gaps.csv"), join(at, "lines.ndjson")])
      assert.deepStrictEqual(yield* types("LOCAL", "GAPS"), {
        N: "NUMBER(38,0)",
        D: "NUMBER(38,0)",
        FLAG: "BOOLEAN",
        FRACTION: "NUMBER(3,2)",
        FLOAT: "FLOAT",
        DAY: "DATE",
        TIME: "TIME(9)",
        STAMP: "TIMESTAMP_NTZ(9)",
        NANOS: "TIMESTAMP_NTZ(9)",
        ZONED: "TIMESTAMP_LTZ(9)",
        NOTHING: "VARCHAR(16777216)"
      })
      assert.deepStrictEqual(yield* rows("SELECT day, zoned, DATEADD(day, 1, day) FROM gaps ORDER BY n"), [
        ["2024-01-05", "2024-01-05T08:11:12Z", "2024-01-06"],
        [null, null, null],
        [null, null, null]
      ])
      assert.deepStrictEqual(yield* types("LOCAL", "LINES"), { DAY: "DATE", ZONED: "TIMESTAMP_LTZ(9)" })
    })
  )

  it.scopedLive("reads the files once, whatever happens to its processes, and leaves none of it behind", () =>
    Effect.gen(function* () {
      const at = yield* folder
      writeFileSync(join(at, "orders.csv"), "id\n1\n2\n")
      const { rows, server } = yield* serving(["--load", join(at, "orders.csv")])
      assert.strictEqual(leftovers(server).length, 1)
      assert.deepStrictEqual(yield* rows("SELECT COUNT(*) FROM orders"), [[2]])
      // What a process that is begun anew has does not come from the file.
      rmSync(join(at, "orders.csv"))
      for (const pid of childrenOf(server.child.pid)) process.kill(pid, "SIGKILL")
      assert.deepStrictEqual(yield* rows("SELECT SUM(id) FROM orders"), [[3]])
      server.child.stdin.end()
      assert.strictEqual((yield* Effect.promise(() => server.exited)).code, 0)
      assert.deepStrictEqual(leftovers(server), [])
    })
  )

  inLongForm(() => {
    it.scopedLive("removes what a server that was killed has left", () =>
      Effect.gen(function* () {
        const at = yield* folder
        writeFileSync(join(at, "orders.csv"), "id\n1\n")
        const args = ["--load", join(at, "orders.csv")]
        const { server } = yield* serving(args)
        server.child.kill("SIGKILL")
        yield* Effect.promise(() => server.exited)
        assert.strictEqual(leftovers(server).length, 1)
        const next = yield* serving(args)
        assert.deepStrictEqual(leftovers(server), [])
        next.server.child.stdin.end()
        yield* Effect.promise(() => next.server.exited)
      })
    )
  })

  it.scopedLive("serves a DuckDB file read-only, with its schemas, keys, comments and views", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const path = join(at, "My Shop.duckdb")
      yield* duckdb(
        path,
        "CREATE TABLE orders(id INTEGER PRIMARY KEY, amount DECIMAL(10,2) NOT NULL, mood ENUM('a', 'b'), doc JSON, st STRUCT(a INTEGER, b VARCHAR))",
        `INSERT INTO orders VALUES (1, 2.5, 'a', '{"b": 1, "a": [2]}', {'a': 1, 'b': 'x'})`,
        "COMMENT ON TABLE orders IS 'all orders'",
        "COMMENT ON COLUMN orders.id IS 'the id'",
        "CREATE VIEW paid AS SELECT id, amount FROM orders",
        "CREATE SCHEMA stats",
        "CREATE TABLE stats.daily AS SELECT 7 AS x",
        "CREATE VIEW leak AS SELECT * FROM read_csv('/etc/passwd')"
      )
      const bytes = readFileSync(path)
      const { ask, rows, server, types } = yield* serving([], { SNOWGUARD_DUCKDB_DATABASE: path })
      const database = "MY_SHOP"
      assert.deepStrictEqual(yield* types(database, "ORDERS"), {
        ID: "NUMBER(38,0)",
        AMOUNT: "NUMBER(10,2)",
        MOOD: "VARCHAR(16777216)",
        DOC: "VARIANT",
        ST: "VARIANT"
      })
      const columns = Server.structured(
        yield* ask("describe_table", { database, schema: "PUBLIC", table: "ORDERS" })
      )["columns"]
      assert.deepInclude((columns as ReadonlyArray<object>)[0], {
        nullable: false,
        primary_key: true,
        comment: "the id"
      })
      const tables = Server.structured(yield* ask("list_tables", { database }))["tables"]
      assert.deepStrictEqual(
        (tables as ReadonlyArray<Record<string, unknown>>).map(({ comment, kind, name, rows, schema }) => [
          schema,
          name,
          kind,
          rows,
          comment
        ]),
        [
          ["PUBLIC", "ORDERS", "TABLE", 1, "all orders"],
          ["STATS", "DAILY", "TABLE", 1, undefined]
        ]
      )
      assert.deepStrictEqual(yield* rows("SELECT doc:a[0]::INT, st:b, mood FROM orders"), [[2, "x", "a"]])
      assert.deepStrictEqual(yield* rows("SELECT * FROM MY_SHOP.STATS.DAILY, MY_SHOP.PUBLIC.PAID"), [
        [7, 1, "2.50"]
      ])
      const plan = yield* rows("EXPLAIN USING TEXT SELECT amount FROM orders")
      assert.include(JSON.stringify(plan), "MY_SHOP.PUBLIC.ORDERS")
      assert.notInclude(JSON.stringify(plan), "snowguard_file")
      for (const sql of [
        "SELECT * FROM leak",
        "SELECT * FROM _snowguard_file_1.main.orders",
        'SELECT * FROM "_SNOWGUARD_FILE_1".main.orders',
        `SELECT * FROM read_csv('${path}')`,
        `SELECT * FROM '${path}'`,
        `ATTACH '${path}' AS x`,
        "INSERT INTO orders VALUES (2, 1, 'a', NULL, NULL)",
        "COPY orders TO '/tmp/snowguard-stolen.csv'"
      ]) {
        assert.isTrue((yield* ask("execute_query", { sql })).isError, sql)
      }
      assert.match(server.stderr, /not served: main\.leak: .*disabled by configuration/)
      server.child.stdin.end()
      yield* Effect.promise(() => server.exited)
      assert.isTrue(bytes.equals(readFileSync(path)))
    })
  )

  inLongForm(() => {
    it.scopedLive("keeps the sample beside them when it is told to", () =>
      Effect.gen(function* () {
        const at = yield* folder
        writeFileSync(join(at, "orders.csv"), "id\n1\n")
        const { rows } = yield* serving(["--load", join(at, "orders.csv")], {
          SNOWGUARD_DUCKDB_SAMPLE: "true"
        })
        assert.deepStrictEqual(
          yield* rows(
            "SELECT (SELECT COUNT(*) FROM orders), (SELECT COUNT(*) FROM SNOWGUARD_SAMPLE.PUBLIC.PRODUCTS), COUNT(*) FROM SNOWGUARD_SAMPLE.INFORMATION_SCHEMA.DATABASES"
          ),
          [[1, 120, 2]]
        )
      })
    )

    it.scopedLive("applies an operator's rules about objects to them", () =>
      Effect.gen(function* () {
        const at = yield* folder
        writeFileSync(join(at, "orders.csv"), "id\n1\n")
        writeFileSync(join(at, "staff.csv"), "id\n1\n")
        const { ask, rows } = yield* serving(["--load", join(at, "*.csv")], {
          SNOWGUARD_TIERS_DEFAULT_DENY_OBJECTS: "LOCAL.PUBLIC.STAFF"
        })
        assert.deepStrictEqual(yield* rows("SELECT id FROM orders"), [[1]])
        for (const name of ["staff", "LOCAL.PUBLIC.STAFF", '"_snowguard_file_1".main."STAFF"'])
          assert.isTrue((yield* ask("execute_query", { sql: `SELECT * FROM ${name}` })).isError, name)
      })
    )
  })

  it.scopedLive("ends with all that is wrong with the files, each with its line", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const write = (name: string, text: string | Uint8Array) => {
        writeFileSync(join(at, name), text)
        return join(at, name)
      }
      mkdirSync(join(at, "folder"))
      const late = `a,b\n${"1,2\n".repeat(30_000)}x,3,4\n`
      const pipe = (name: string) => {
        execFileSync("mkfifo", [join(at, name)])
        return join(at, name)
      }
      const files = {
        [write("many.csv", "a,b\n1,2\n1,2,3\n")]: ":3: 3 values, and the first line has 2 names",
        [write("few.csv", "a,b\n1,2\n\n1\n")]: ":4: 1 value, and the first line has 2 names",
        [write("late.csv", late)]: ":30002: 3 values, and the first line has 2 names",
        [write("open.csv", 'a,b\n1,"x\n2,y\n')]:
          ':2: a value in quotes does not end there (a quote inside is written "")',
        [write("latin.csv", Buffer.from("a,b\n1,caf\xe9\n", "latin1"))]:
          /^:2: not UTF-8; if it is Latin-1 or Windows-1252, this converts it: iconv /,
        [write("empty.csv", "")]: ":1: the first line is empty, and should have the names of the columns",
        [write("lines.csv", 'a,b\n1,"x\ny"\n\n1,2,3\n')]: ":5: 3 values, and the first line has 2 names",
        [write("packed.csv.gz", gzipSync('a,b\n1,"x\n\ny"\n1,2,3\n'))]:
          ":5: 3 values, and the first line has 2 names",
        [write("broken.ndjson", '{"a":1}\n{"a":\n{"a":3}\n')]: /^:2: not JSON: /,
        [write("blank.ndjson", '{"a":1}\n\n\n{"a":2}\n{"a" 3}\n')]: /^:5: not JSON: /,
        [write("first.ndjson", '{"a" 1}\n{"a":2}\n')]: /^:1: not JSON: /,
        [write("values.json", '{"a":1}\n{"a" 2}\n')]: /^:2: not JSON: /,
        [write("array.json", '[{"a":1},\n{"a" 2}]\n')]: /^: not JSON: /,
        [write("fake.parquet", "not a parquet file at all")]: /^: .*magic bytes|^: .*[Pp]arquet/,
        [write("sheet.xlsx", "x")]: ": its name should end in .csv, .tsv, .json, .jsonl, .ndjson or .parquet",
        [write("shop.duckdb", "x")]: ": a DuckDB file is not loaded; name it in duckdb.database",
        [join(at, "folder")]: `: it is a directory; write ${join(at, "folder", "*.csv")} for the files in it`,
        [pipe("pipe.csv")]: ": it is a directory, a pipe or a device, and not a file",
        [join(at, "none.csv")]: ": there is no such file",
        [join(at, "none-*.csv")]: ": no file matches",
        [write("folder/many.csv", "a\n1\n")]:
          `: would be the table MANY, and so would ${join(at, "many.csv")}; rename one of them`
      }
      const { code, faults } = yield* ended(["--load", ...Object.keys(files)])
      assert.strictEqual(code, 78)
      for (const [path, expected] of Object.entries(files)) {
        const own = faults
          .filter((line) => line.startsWith(`${path}:`))
          .map((line) => line.slice(path.length))
        assert.strictEqual(own.length, 1, path)
        if (typeof expected === "string") assert.strictEqual(own[0], expected)
        else assert.match(own[0]!, expected)
      }
      assert.strictEqual(faults.length, Object.keys(files).length)
    })
  )

  it.scopedLive("explains which tables a query is about, also where it does not have to read them", () =>
    Effect.gen(function* () {
      const at = yield* folder
      for (const name of ["a", "b"]) writeFileSync(join(at, `${name}.csv`), "x,y\n1,2\n3,4\n")
      const { ask } = yield* serving(["--load", join(at, "*.csv")])
      for (const [sql, reads, tables] of [
        ["SELECT COUNT(*) FROM a", false, ["LOCAL.PUBLIC.A"]],
        ["SELECT * FROM a", true, ["LOCAL.PUBLIC.A"]],
        ["SELECT x FROM a WHERE FALSE", false, ["LOCAL.PUBLIC.A"]],
        ["SELECT (SELECT COUNT(*) FROM a) + SUM(x) FROM b", true, ["LOCAL.PUBLIC.A", "LOCAL.PUBLIC.B"]],
        ["SELECT 1", false, []]
      ] as const) {
        const told = Server.structured(yield* ask("explain_query", { sql }))
        assert.deepStrictEqual([...(told["tables"] as ReadonlyArray<string>)].sort(), [...tables], sql)
        assert.strictEqual(Number(told["bytes_assigned"]) > 0, reads, sql)
      }
    })
  )

  it.scopedLive("converts files in another encoding by the command that it prints", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const latin = Buffer.from("größe,b\n1,caf\xe9\n", "latin1")
      const texts = {
        "latin.csv": latin,
        "it's a list.csv": latin,
        "packed.csv.gz": gzipSync(latin),
        "wide.csv": Buffer.from("\ufeffgröße,b\n1,café\n", "utf16le")
      }
      for (const [name, bytes] of Object.entries(texts)) writeFileSync(join(at, name), bytes)
      const load = (names: ReadonlyArray<string>) => ["--load", ...names.map((name) => join(at, name))]
      const { code, faults } = yield* ended(load(Object.keys(texts)))
      assert.strictEqual(code, 78)
      const commands = faults.flatMap((line) => /this converts it: (.*)$/.exec(line)?.[1] ?? [])
      assert.lengthOf(commands, 4)
      for (const command of commands) execFileSync("sh", ["-c", command])
      const made = Object.keys(texts).map((name) => name.replace(/\.csv(\.gz)?$/, ".utf8.csv"))
      const { rows } = yield* serving(load(made))
      for (const table of ["LATIN_UTF8", "IT_S_A_LIST_UTF8", "PACKED_UTF8", "WIDE_UTF8"])
        assert.deepStrictEqual(yield* rows(`SELECT "GRÖßE", b FROM ${table}`), [[1, "café"]])
    })
  )

  inLongForm(() => {
    it.scopedLive("ends when a DuckDB file cannot be served, and says why", () =>
      Effect.gen(function* () {
        const at = yield* folder
        const fault = (path: string, args: ReadonlyArray<string> = []) =>
          Effect.map(ended(args, { SNOWGUARD_DUCKDB_DATABASE: path }), ({ code, faults }) => {
            assert.strictEqual(code, 78)
            assert.strictEqual(faults.length, 1)
            assert.isTrue(faults[0]!.startsWith(`${path}: `))
            return faults[0]!.slice(path.length + 2)
          })
        const text = join(at, "text.duckdb")
        writeFileSync(text, "not a database")
        assert.strictEqual(yield* fault(text), "it is not a DuckDB file")
        assert.strictEqual(yield* fault(join(at, "none.duckdb")), "there is no such file")
        assert.strictEqual(yield* fault(at), "it is a directory, and not a DuckDB file")
        const good = join(at, "good.duckdb")
        yield* duckdb(good, "CREATE TABLE t AS SELECT 1 AS x")
        const named = (name: string) => {
          const path = join(at, name)
          writeFileSync(path, readFileSync(good))
          return path
        }
        assert.match(yield* fault(named("memory.duckdb")), /database MEMORY, .*rename the file/)
        writeFileSync(join(at, "t.csv"), "x\n1\n")
        assert.match(
          yield* fault(named("local.duckdb"), ["--load", join(at, "t.csv")]),
          /duckdb\.load; rename/
        )
        const twice = join(at, "twice.duckdb")
        yield* duckdb(twice, 'CREATE TABLE "a b"(x INTEGER)', "CREATE TABLE a_b(x INTEGER)")
        assert.match(yield* fault(twice), /main\.a b and main\.a_b would both be TWICE\.PUBLIC\.A_B; rename/)
        const newer = named("newer.duckdb")
        writeFileSync(newer, ofVersion(readFileSync(newer), 999n))
        assert.match(yield* fault(newer), /another version of DuckDB \(storage version 999.*load the export/)
        // A writer of another process holds it.
        const writer = yield* Effect.acquireRelease(
          Effect.promise(() => api.DuckDBInstance.create(good)),
          (instance) => Effect.sync(() => instance.closeSync())
        )
        assert.match(yield* fault(good), /^another program has it open for writing: .*\(PID \d+\); end it/)
        writer.closeSync()
      })
    )
  })
})

/** The header of a DuckDB file with another storage version, and the checksum that it then has. */
const ofVersion = (bytes: Buffer, version: bigint): Buffer => {
  const copy = Buffer.from(bytes)
  copy.writeBigUInt64LE(version, 12)
  let sum = 5381n
  for (let at = 8; at < 4096; at += 8)
    sum ^= BigInt.asUintN(64, copy.readBigUInt64LE(at) * 0xbf58476d1ce4e5b9n)
  copy.writeBigUInt64LE(sum, 0)
  return copy
}
