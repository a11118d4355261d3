/**
 * The clients of a rehearsal: two that behave, one that floods, one whose SQL is wrong. Each fires at its
 * own pace whatever becomes of its calls, as programs do.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"

/**
 * @since 0.1.0
 * @category models
 */
export interface Call {
  readonly tool: string
  readonly input: { readonly [name: string]: unknown }
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Agent {
  readonly name: string
  readonly everyMs: number
  /** The calls of the n-th time, all at once. */
  readonly calls: (n: number) => ReadonlyArray<Call>
}

const database = "SNOWGUARD_SAMPLE"

const catalog: ReadonlyArray<Call> = [
  { tool: "list_databases", input: {} },
  { tool: "list_schemas", input: { database } },
  { tool: "list_tables", input: { database, schema: "PUBLIC" } },
  { tool: "list_views", input: { database, schema: "PUBLIC" } }
]

const query = (sql: string): Call => ({
  tool: "execute_query",
  input: { sql, database, schema: "PUBLIC" }
})

/** Different each time: what fails over and over unchanged is answered from memory. */
const broken = (n: number): Call =>
  query(n % 2 === 0 ? `SELECT NO_SUCH_COLUMN_${n} FROM ORDERS` : `SELECT CAST('${n} apples' AS INTEGER) AS N`)

const several = (calls: number, call: (i: number) => Call): ReadonlyArray<Call> =>
  Array.from({ length: calls }, (_, i) => call(i))

/** More than either of the breaker's rules needs. */
const MISTAKES = 12

/**
 * Made before anything else goes wrong, so that nothing but them can open the breaker.
 *
 * @since 0.1.0
 * @category data
 */
export const mistakes = { name: "confused", calls: several(MISTAKES, broken) }

const FLOOD = 40

/**
 * @since 0.1.0
 * @category data
 */
export const agents: ReadonlyArray<Agent> = [
  { name: "catalog", everyMs: 250, calls: (n) => catalog.slice(n % catalog.length).slice(0, 1) },
  {
    name: "analyst",
    everyMs: 250,
    calls: (n) => [query(`SELECT STATUS, COUNT(*) AS N FROM ORDERS WHERE ORDER_ID > ${n} GROUP BY STATUS`)]
  },
  {
    name: "flood",
    everyMs: 2_000,
    calls: (n) => several(FLOOD, (i) => query(`SELECT ${n * FLOOD + i} AS ANYTHING FROM PRODUCTS LIMIT 1`))
  },
  { name: mistakes.name, everyMs: 1_000, calls: (n) => [broken(MISTAKES + n)] }
]

/**
 * A search, misspelt as agents do. The first one waits until the names have been read.
 *
 * @since 0.1.0
 * @category data
 */
export const search: Call = { tool: "search_objects", input: { query: "custmer emial", limit: 1 } }

/**
 * What the catalog agent asks for: asked once beforehand, so that there is something to remember.
 *
 * @since 0.1.0
 * @category data
 */
export const first: ReadonlyArray<Call> = [...catalog, query("SELECT COUNT(*) AS N FROM ORDERS"), search]

/**
 * Fires until it is interrupted. `hurry`: so many times faster.
 *
 * @since 0.1.0
 * @category running
 */
export const drive = (
  { calls, everyMs }: Agent,
  hurry: number,
  fire: (call: Call) => Effect.Effect<void>
): Effect.Effect<never> =>
  Effect.flatMap(Ref.make(0), (times) =>
    Ref.getAndUpdate(times, (n) => n + 1).pipe(
      Effect.flatMap((n) => Effect.forEach(calls(n), fire, { discard: true })),
      Effect.zipRight(Effect.sleep(everyMs / hurry)),
      Effect.forever
    )
  )
