/**
 * The tables, for people too: `sqlite3 quota.db 'SELECT * FROM usage'`. Times are UTC milliseconds.
 */
import type * as Window from "../../core/Window.js"
import type { Database } from "./database.js"
import { prepare, rowOf, valueOf } from "./database.js"
import { failed } from "./errors.js"

/**
 * One script per schema version, never changed once released: a change is a new script.
 *
 * A reservation is one row: a row per charge cost four more writes on the way of every call. The view
 * `reservation_charge` shows them one by one.
 */
const MIGRATIONS: ReadonlyArray<string> = [
  `CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE migration (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL) STRICT;
   CREATE TABLE counter (
     key TEXT NOT NULL,
     quota TEXT NOT NULL,
     window_start INTEGER NOT NULL,
     resets_at INTEGER NOT NULL,
     used REAL NOT NULL CHECK (used >= 0),
     reserved REAL NOT NULL CHECK (reserved >= 0),
     PRIMARY KEY (key, quota, window_start)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX counter_resets_at ON counter (resets_at);
   CREATE TABLE reservation (
     id TEXT PRIMARY KEY,
     state TEXT NOT NULL
       CHECK (state IN ('held', 'submitted', 'expired-free', 'expired-charged', 'finished')),
     expires_at INTEGER NOT NULL,
     resets_at INTEGER NOT NULL,
     charges TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX reservation_open ON reservation (expires_at) WHERE state IN ('held', 'submitted');
   CREATE VIEW usage AS
     SELECT key, quota, used, reserved, datetime(window_start / 1000, 'unixepoch') AS since,
       datetime(resets_at / 1000, 'unixepoch') AS resets
     FROM counter;
   CREATE VIEW reservation_charge AS
     SELECT reservation.id, charge.value ->> 0 AS key, charge.value ->> 1 AS quota, charge.value ->> 3 AS amount,
       state, datetime((charge.value ->> 2) / 1000, 'unixepoch') AS since,
       datetime(expires_at / 1000, 'unixepoch') AS expires
     FROM reservation, json_each(charges) AS charge;`
]

const VERSION = MIGRATIONS.length

/** What this process is to the others on the file. */
export interface Identity {
  /** What ids of this database start with. */
  readonly prefix: string
  /** Number of this process's first reservation. */
  readonly firstId: number
}

// 2^21 openings of 2^32 reservations each fit in an exact number.
const OPENINGS = 2 ** 21
const IDS = 2 ** 32

/**
 * Brings the tables up to date and registers this process. To be called in a write transaction, which
 * is to be rolled back if it throws.
 */
export const migrate = (
  database: Database,
  options: {
    readonly path: string
    readonly now: number
    /** For the name of a new database. */
    readonly random: string
    readonly windows: Window.Mode
  }
): Identity => {
  const { now, path, random, windows } = options
  const hasTable = (where: string): boolean =>
    valueOf(database, `SELECT count(*) FROM sqlite_schema WHERE type = 'table'${where}`) !== 0
  if (!hasTable(" AND name = 'meta'") && hasTable("")) {
    throw failed("open", `${path} is the database of another program; choose another state directory`)
  }
  const stored = hasTable("") ? metaOf(database, "schema_version") : 0
  if (typeof stored !== "number" || stored > VERSION) {
    throw failed(
      "open",
      `${path} was written by a newer version of Snowguard (schema ${String(stored)}, this one knows ` +
        `${VERSION}); update this server, or choose another state directory`
    )
  }
  for (let version = stored; version < VERSION; version++) {
    database.exec(MIGRATIONS[version]!)
    prepare(database, "INSERT INTO migration VALUES (?, ?)").run(version + 1, now)
  }
  const insert = prepare(database, "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO NOTHING")
  insert.run("store", random)
  insert.run("windows", windows)
  database.exec("INSERT INTO meta VALUES ('clock', 0), ('openings', 0) ON CONFLICT DO NOTHING")
  if (metaOf(database, "windows") !== windows) {
    throw failed(
      "open",
      `${path} counts in ${String(metaOf(database, "windows"))} windows, this server in ${windows} ones; ` +
        `configure every server alike, or choose another state directory`
    )
  }
  database.exec(`INSERT INTO meta VALUES ('schema_version', ${VERSION})
    ON CONFLICT DO UPDATE SET value = excluded.value`)
  database.exec("UPDATE meta SET value = value + 1 WHERE name = 'openings'")
  const openings = Number(metaOf(database, "openings"))
  return { prefix: `${String(metaOf(database, "store"))}-`, firstId: (openings % OPENINGS) * IDS }
}

const metaOf = (database: Database, name: string): unknown =>
  rowOf(prepare(database, "SELECT value FROM meta WHERE name = ?").get(name))?.[0]
