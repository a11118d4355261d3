/**
 * Runs a corpus of examples with known results (lines of `{sql, expect, source}`) through the embedded
 * warehouse and counts by group how many are right, give another value, or are refused.
 *
 * `--shape nested`: each example as a table expression with columns of other names. `--shape columns`: the examples without
 * a FROM, their texts moved to columns, so that no function knows its argument before it runs.
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
import type { Shown } from "./compare.js"

interface Example {
  readonly sql: string
  readonly expect: Shown
  readonly source: string
}

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

/** The example in another shape that has the same rows; undefined where it has none. */
const shapes: { readonly [shape: string]: (example: Example) => string | undefined } = {
  nested: ({ expect, sql }) => {
    const width = Array.isArray(expect) && Array.isArray(expect[0]) ? expect[0].length : 0
    if (width === 0 || !/^\s*(select|with)\b/i.test(sql)) return undefined
    const names = Array.from({ length: width }, (_, at) => `MOVED_${at}`).join(", ")
    return `WITH moved (${names}) AS (\n${sql.replace(/;\s*$/, "")}\n) SELECT ${names} FROM moved`
  },
  columns: ({ sql }) => {
    if (!/^\s*select\b/i.test(sql) || /\b(from|where|qualify|collate)\b/i.test(sql)) return undefined
    const moved: Array<string> = []
    const text = sql
      .replace(/;\s*$/, "")
      .replace(
        /(\b(?:date|time|timestamp\w*|interval|x)\s*|[:[]\s*)?'(?:[^'\\]|\\.|'')*'(\s*:(?!:))?/gis,
        (literal, before?: string, key?: string) =>
          before === undefined && key === undefined ? `MOVED_${moved.push(literal) - 1}` : literal
      )
    if (moved.length === 0) return undefined
    return `${text}\nFROM (SELECT ${moved.map((literal, at) => `${literal} AS MOVED_${at}`).join(", ")}) AS moved`
  }
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
  const shape = shapes[option("shape") ?? ""]
  const examples = readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line): Example => JSON.parse(line))
    .filter((example) => only === undefined || groupOf(example).includes(only))
    .flatMap((example): ReadonlyArray<Example> => {
      if (shape === undefined) return [example]
      const sql = shape(example)
      return sql === undefined ? [] : [{ ...example, sql }]
    })
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
          const { pull } = yield* engine.execute({
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
            else if (Option.isNone(next.left)) return rows
            else return yield* Effect.fail(next.left.value)
          }
        })
      )
    )
    const count = counts.get(groupOf(example)) ?? { right: 0, other: 0, error: 0 }
    counts.set(groupOf(example), count)
    const verdict = Either.isLeft(answer)
      ? "error"
      : sameRows(answer.right, example.expect)
        ? "right"
        : "other"
    count[verdict]++
    if (verdict !== "right") {
      const got = Either.isLeft(answer)
        ? `${answer.left.reason}: ${answer.left.description ?? ""}`
        : `got ${JSON.stringify(answer.right).slice(0, 600)}\n   expected ${JSON.stringify(example.expect).slice(0, 600)}`
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
