/**
 * A tour of a few seconds: the server on the embedded sample warehouse, asked as an agent asks.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Main from "../server/main.js"
import * as ServerConfig from "../config/ServerConfig.js"
import * as Client from "./client.js"
import { textTable } from "../platform/layout.js"
import { temporaryDirectory } from "./temporary.js"

const database = "SNOWGUARD_SAMPLE"

const revenue = `SELECT c.COUNTRY, SUM(l.QUANTITY * l.UNIT_PRICE) AS REVENUE
FROM ORDERS o JOIN CUSTOMERS c USING (CUSTOMER_ID) JOIN ORDER_LINES l USING (ORDER_ID)
GROUP BY ALL ORDER BY REVENUE DESC`

const FLOOD = 120
const MOST_WAVES = 10

interface Step {
  readonly title: string
  readonly calls: ReadonlyArray<readonly [tool: string, input?: { readonly [name: string]: unknown }]>
  /** Made again until one is refused so: what a busy machine needs for all of them brings tokens back. */
  readonly until?: string
  /** What to show of the answers, and whether they were what the title says. */
  readonly shown: (answers: ReadonlyArray<Client.Answer>) => { readonly text: string; readonly fine: boolean }
}

const list = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

const word = (value: unknown): string =>
  typeof value === "string" || typeof value === "number" ? String(value) : ""

const names = (of: unknown): string =>
  list(of)
    .map((one) => word(Client.fields(one)["name"]))
    .join(", ")

/** The first object of a search. */
const object = (of: unknown): string => {
  const { column, comment, name, type } = Client.fields(list(of)[0])
  return `${word(name)}.${word(column)} (${word(type)}): ${word(comment)}`
}

const table = ({ columns, rows, truncated }: Client.Content): string =>
  [
    ...textTable([
      list(columns).map((column) => word(Client.fields(column)["name"])),
      ...list(rows).map((row) => list(row).map(word))
    ]),
    ...(truncated === true ? ["... and there are more rows"] : [])
  ].join("\n")

const left = ({ circuit, mode, rate_limits }: Client.Content): string => {
  const { burst, per_second, remaining } = Client.fields(list(rate_limits)[0])
  return (
    `${word(remaining)} of ${word(burst)} calls, ${word(per_second)} more a second; ` +
    `circuit breaker ${word(Client.fields(circuit)["phase"])}, mode ${word(Client.fields(mode)["mode"])}`
  )
}

const content = (answers: ReadonlyArray<Client.Answer>, show: (of: Client.Content) => string) => {
  const [answer] = answers
  return answer?._tag === "Answered"
    ? { text: show(answer.content), fine: true }
    : { text: answer?.text ?? "no answer", fine: false }
}

const refusedOf = (answers: ReadonlyArray<Client.Answer>) =>
  answers.flatMap((answer) => (answer._tag === "Refused" ? [answer] : []))

/** Refused with this code; others of many calls may be refused with those of `also`. */
const refusal = (answers: ReadonlyArray<Client.Answer>, code: string, ...also: ReadonlyArray<string>) => {
  const refused = refusedOf(answers)
  const shown = refused.find((one) => one.code === code) ?? refused[0]
  return {
    text:
      (answers.length === 1
        ? ""
        : `${answers.length - refused.length} answered, ${refused.length} refused: `) +
      (shown?.text ?? "not refused"),
    fine: shown?.code === code && refused.every((one) => one.code === code || also.includes(one.code))
  }
}

const steps: ReadonlyArray<Step> = [
  {
    title: "What is there? list_tables",
    calls: [["list_tables", { database, schema: "PUBLIC" }]],
    shown: (answers) => content(answers, ({ tables }) => names(tables))
  },
  {
    title: 'Where is the address of a customer? search_objects "custmer emial"',
    calls: [["search_objects", { query: "custmer emial", limit: 1 }]],
    shown: (answers) => content(answers, ({ objects }) => object(objects))
  },
  {
    title: "Revenue by country: execute_query, 3 rows",
    calls: [["execute_query", { sql: revenue, database, schema: "PUBLIC", limit: 3 }]],
    shown: (answers) => content(answers, table)
  },
  {
    title: "It is read-only: DROP TABLE ORDERS",
    calls: [["execute_query", { sql: "DROP TABLE ORDERS", database, schema: "PUBLIC" }]],
    shown: (answers) => refusal(answers, "STATEMENT_REJECTED")
  },
  {
    title: "A name that does not exist: describe_table CUSTOMER",
    calls: [["describe_table", { database, table: "CUSTOMER" }]],
    shown: (answers) => refusal(answers, "WAREHOUSE_NOT_FOUND")
  },
  {
    title: `An agent that goes wild: ${FLOOD} calls at once`,
    calls: Array.from({ length: FLOOD }, () => ["list_databases"] as const),
    until: "RATE_LIMITED",
    // A machine that is slow to answer what was let in may also run out of places to wait.
    shown: (answers) => refusal(answers, "RATE_LIMITED", "OVERLOADED")
  },
  {
    title: "What is left? get_limits",
    calls: [["get_limits"]],
    shown: (answers) => content(answers, left)
  }
]

/**
 * A step: that it begins, and how it went. `fine`: as its title says.
 *
 * @since 0.1.0
 * @category models
 */
export interface Listener {
  readonly begin: (title: string, nth: number, of: number) => Effect.Effect<void>
  readonly end: (title: string, text: string, fine: boolean) => Effect.Effect<void>
}

/**
 * How many of the steps went as their titles say.
 *
 * @since 0.1.0
 * @category running
 */
export const run = ({ begin, end }: Listener) =>
  Effect.gen(function* () {
    const directory = yield* temporaryDirectory
    return yield* Effect.gen(function* () {
      const client = yield* Client.connect("visitor")
      let fine = 0
      for (const [i, step] of steps.entries()) {
        yield* begin(step.title, i + 1, steps.length)
        const wave = Effect.forEach(step.calls, ([tool, input]) => client.call(tool, input), {
          concurrency: "unbounded"
        })
        let answers = yield* wave
        for (let waves = 1; step.until !== undefined && waves < MOST_WAVES; waves++) {
          if (refusedOf(answers).some((one) => one.code === step.until)) break
          answers = yield* wave
        }
        const shown = step.shown(answers)
        if (shown.fine) fine += 1
        yield* end(step.title, shown.text, shown.fine)
      }
      return { fine, all: steps.length }
    }).pipe(Effect.scoped, Effect.provide(Main.layer(ServerConfig.defaults, {}, directory)))
  }).pipe(Effect.scoped)
