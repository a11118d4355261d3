/**
 * Runs a corpus of examples with known results (lines of `{sql, expect, source}`) through the embedded
 * warehouse and counts by group how many are right, give another value, or are refused.
 *
 * `--shape nested`: each example as a table expression with columns of other names. `--shape columns`: the examples without
 * a FROM, their texts moved to columns, so that no function knows its argument before it runs. `--shape literals`: with
 * later dates or other texts where the rows follow from it, with the literals in a table expression elsewhere.
 *
 * Examples whose rows are not those of their statement alone are left out, each with its reason.
 */
import { existsSync, readFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Guard from "../../src/gate/DuckDb.js"
import { functions, translate } from "../../src/warehouse/duckdb/dialect/snowflake.js"
import * as Engine from "../../src/warehouse/duckdb/engine.js"
import type { Row } from "../../src/warehouse/Warehouse.js"
import { sameRows } from "./compare.js"
import type { Example } from "./shapes.js"
import { shapes, tokensOf } from "./shapes.js"

const option = (name: string): string | undefined => {
  const at = process.argv.indexOf(`--${name}`)
  return at < 0 ? undefined : process.argv[at + 1]
}
const flag = (name: string): boolean => process.argv.includes(`--${name}`)

/** The folder of the documentation page. */
const groupOf = ({ source }: Example): string => {
  const parts = source.split(/[/:]/)
  const at = parts.findIndex((part) => part.endsWith(".slt") || part === "tests" || part.startsWith("test_"))
  return at > 0 ? (parts[at - 1] ?? source) : source
}

const say = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

const short = (text: string): string => text.replace(/\s+/g, " ").trim()

/** Why the rows of an example are not those of its statement; undefined where they are. */
const leftOut = (example: Example, all: ReadonlyArray<Example>): string | undefined => {
  const { expect, sql } = example
  const others = all.filter(
    (other) => other.sql === sql && JSON.stringify(other.expect) !== JSON.stringify(expect)
  )
  if (others.length > 0)
    return "the same statement has other rows elsewhere: they depend on parameters of the session, which the example does not state"
  if (example.class === "inlined-table" && expect.length > 0 && /\bNULL::\w+ AS \w+/.test(sql))
    return "the data of a table is lost: a column is NULL in all rows"
  const offset = /\d\d:\d\d(?:[:.\d]*) ?[+-](?!00:?00)\d\d:?\d\d$/
  if (
    expect.flat().some((cell) => cell !== null && offset.test(cell)) &&
    !/'[^']*(?:[+-]\d\d:?\d\d|\w\/\w)[^']*'/.test(sql)
  )
    return "the rows are in the time zone of a session, which the example does not state"
  if (/OVER\s*\(\s*PARTITION BY ([\w, ]+?) ORDER BY \1\s+ROWS\b/i.test(sql))
    return "a frame of rows is sorted by what is the same in all of them: each order is right"
  return undefined
}

/** The columns by which the rows of a statement are sorted, up to the first expression that is none. */
const sortedBy = (sql: string, names: ReadonlyArray<string>): ReadonlyArray<number> => {
  const tokens = tokensOf(sql)
  const start = tokens.findLastIndex(
    ({ depth, value }, at) => depth === 0 && value === "BY" && tokens[at - 1]?.value === "ORDER"
  )
  const columns: Array<number> = []
  for (let at = start + 1; start >= 0 && at < tokens.length; at++) {
    const token = tokens[at]!
    const column = token.kind === "number" ? Number(token.text) - 1 : names.indexOf(token.value)
    const ends = /^(?:,|;|ASC|DESC|NULLS|LIMIT|OFFSET|FETCH)$/
    if (column < 0 || !ends.test(tokens[at + 1]?.value ?? ";")) break
    columns.push(column)
    while (at < tokens.length && tokens[at]!.text !== ",") {
      if (/^(?:LIMIT|OFFSET|FETCH)$/.test(tokens[at]!.value)) return columns
      at++
    }
  }
  return columns
}

const main = Effect.gen(function* () {
  const path = option("corpus")
  if (path === undefined || !existsSync(path)) {
    say(
      `skipped: ${path === undefined ? "say where the examples are: --corpus PATH" : `there is no ${path}`}`
    )
    return
  }
  const only = option("group")
  const wanted = option("shape")
  const shape = wanted === undefined ? undefined : shapes[wanted]
  if (wanted !== undefined && shape === undefined)
    return say(`there is no shape ${wanted}; there are ${Object.keys(shapes).join(", ")}`)
  const all = readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line): Example => JSON.parse(line))
  const told = all.filter((example, index) => {
    const why = leftOut(example, all)
    if (why !== undefined) say(`left out: #${index}: ${why}`)
    return why === undefined
  })
  const inGroup = told.filter((example) => only === undefined || groupOf(example).includes(only))
  const examples =
    shape === undefined
      ? inGroup
      : inGroup.flatMap((example): ReadonlyArray<Example> => {
          const changed = shape(example)
          return changed === undefined ? [] : [{ ...example, ...changed }]
        })
  if (shape !== undefined)
    say(
      `left out: ${inGroup.length - examples.length} of ${inGroup.length} that have no such shape with known rows`
    )
  const engine = yield* Engine.make({ sample: false, memoryLimit: "1GB", threads: 2 })
  const guard = yield* Guard.make({
    translate,
    functions,
    parser: { parse: (sql) => Effect.promise(() => engine.parse(sql)) }
  })
  const counts = new Map<string, { right: number; other: number; error: number }>()
  const notes: Array<{ readonly kind: "other" | "error"; readonly text: string }> = []
  for (const [index, example] of examples.entries()) {
    const answer = yield* Effect.either(
      Effect.scoped(
        Effect.gen(function* () {
          const accepted = yield* Effect.mapError(
            guard.check(example.sql, { allowFunctions: [] }),
            ({ code, reason }) => ({ reason: code, description: reason })
          )
          const { columns, pull } = yield* engine.execute({
            sql: accepted.canonical,
            binds: [],
            database: undefined,
            schema: undefined,
            timeoutMs: 20_000,
            maxRows: undefined
          })
          const rows: Array<Row> = []
          for (;;) {
            const next = yield* Effect.either(pull)
            if (Either.isRight(next)) rows.push(...next.right)
            else if (Option.isNone(next.left)) return { rows, names: columns.map(({ name }) => name) }
            else return yield* Effect.fail(next.left.value)
          }
        })
      )
    )
    const count = counts.get(groupOf(example)) ?? { right: 0, other: 0, error: 0 }
    counts.set(groupOf(example), count)
    const verdict = Either.isLeft(answer)
      ? "error"
      : sameRows(answer.right.rows, example.expect, sortedBy(example.sql, answer.right.names))
        ? "right"
        : "other"
    count[verdict]++
    if (verdict !== "right") {
      const got = Either.isLeft(answer)
        ? `${answer.left.reason}: ${answer.left.description ?? ""}`
        : `got ${JSON.stringify(answer.right.rows).slice(0, 600)}\n   expected ${JSON.stringify(example.expect).slice(0, 600)}`
      notes.push({ kind: verdict, text: `#${index} ${short(example.sql).slice(-500)}\n   ${short(got)}` })
    }
    if (flag("verdicts")) say(`${index}\t${verdict}`)
  }
  const total = { right: 0, other: 0, error: 0 }
  const line = (name: string, { error, other, right }: typeof total) => {
    const all = right + other + error
    say(
      `${name.padEnd(40)} ${String(all).padStart(4)} ${String(right).padStart(5)} ${String(other).padStart(5)} ${String(error).padStart(5)}   ${((100 * right) / Math.max(1, all)).toFixed(1)} %`
    )
  }
  say(`${"group".padEnd(40)}  all right other error`)
  for (const [name, count] of [...counts].sort(([a], [b]) => a.localeCompare(b))) {
    line(name, count)
    total.right += count.right
    total.other += count.other
    total.error += count.error
  }
  line("all", total)
  for (const kind of ["other", "error"] as const) {
    const some = notes.filter((note) => note.kind === kind)
    const all = flag(kind === "error" ? "errors" : "other")
    say(`\n${kind}: ${some.length}`)
    for (const { text } of all ? some : some.slice(0, 5)) say(`  ${text}`)
  }
})

await Effect.runPromise(Effect.scoped(main))
