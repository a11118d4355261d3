/**
 * `snowguard check-sql`: the decision of the read-only gate on statements, for operators that ask why one was
 * refused, and for tests. Nothing is executed.
 *
 * The input is one statement (an argument, or plain text on stdin), or one JSON object `{"sql": "..."}` a
 * line. The exit code is 1 when a statement was refused; with `--json` it is 0 whatever the verdicts are.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Predicate from "effect/Predicate"
import { text } from "node:stream/consumers"
import * as CallPolicy from "../../tools/CallPolicy.js"
import type { UsageFault } from "../Cli.js"
import { escaped, escapedLine } from "../../platform/quoted.js"
import * as Main from "../../server/main.js"
import { ReadOnly } from "../../gate/ReadOnly.js"
import type { Accepted, StatementRejected } from "../../gate/ReadOnly.js"
import * as ServerConfig from "../../config/ServerConfig.js"
import type { Run } from "./Command.js"
import { print, printHanging, textOption, tierOption, write, wrong } from "./Command.js"

/** The statement of a line of JSON, or undefined when the line is something else. */
const statementOf = (line: string): string | undefined => {
  try {
    const value: unknown = JSON.parse(line)
    return Predicate.hasProperty(value, "sql") && typeof value.sql === "string" ? value.sql : undefined
  } catch {
    return undefined
  }
}

/**
 * One statement, unless the first line is JSON: then every line must be.
 *
 * @since 0.1.0
 * @category parsing
 */
export const statements = (input: string): Either.Either<ReadonlyArray<string>, UsageFault> => {
  const lines = input.split("\n").filter((line) => line.trim() !== "")
  if (lines[0] === undefined || statementOf(lines[0]) === undefined) return Either.right([input])
  const out: Array<string> = []
  for (const [i, line] of lines.entries()) {
    const sql = statementOf(line)
    if (sql === undefined) return Either.left(wrong(`line ${i + 1}`, 'expected an object {"sql": "..."}'))
    out.push(sql)
  }
  return Either.right(out)
}

/**
 * @since 0.1.0
 * @category rendering
 */
export const asJson = (verdict: Either.Either<Accepted, StatementRejected>, dialect: string): string =>
  JSON.stringify(
    Either.match(verdict, {
      onLeft: ({ code, hint, position, why }) => ({
        accepted: false,
        dialect,
        code,
        message: why,
        ...(position === undefined ? {} : { position }),
        ...(hint === undefined ? {} : { hint })
      }),
      onRight: ({ appendedLimit, canonical, functions, kind, tables }) => ({
        accepted: true,
        dialect,
        canonical,
        kind,
        tables,
        functions,
        ...(appendedLimit === undefined ? {} : { appended_limit: appendedLimit })
      })
    })
  )

/** Where in the text, for people: they count from one. */
const place = (sql: string, position: number): string => {
  const before = sql.slice(0, position).split("\n")
  return `line ${before.length}, column ${(before[before.length - 1] ?? "").length + 1}`
}

/**
 * @since 0.1.0
 * @category rendering
 */
export const asText = (
  sql: string,
  verdict: Either.Either<Accepted, StatementRejected>,
  dialect: string
): string =>
  Either.match(verdict, {
    onLeft: ({ code, hint, position, why }) =>
      [
        `refused   ${code}${position === undefined ? "" : ` at ${place(sql, position)}`}: ${why}`,
        ...(hint === undefined ? [] : [`          ${hint}`]),
        `          dialect: ${dialect}`
      ].join("\n"),
    onRight: ({ canonical, functions, kind, tables }) =>
      [
        `accepted  ${kind}: ${canonical}`,
        ...(tables.length === 0 ? [] : [`          tables: ${tables.join(", ")}`]),
        ...(functions.length === 0 ? [] : [`          functions: ${functions.join(", ")}`]),
        `          dialect: ${dialect}`
      ].join("\n")
  })

/**
 * @since 0.1.0
 * @category commands
 */
export const run: Run = (input) =>
  Effect.gen(function* () {
    const { operands, options, settings } = input
    const chosen = textOption(options, "dialect") ?? settings.warehouse
    const dialect = chosen === "snowflake" ? "snowflake" : "duckdb"
    const other = dialect === "snowflake" ? "duckdb" : "snowflake"
    const told =
      options["dialect"] === undefined
        ? `${dialect}, of the configured warehouse (another one: --dialect ${other})`
        : dialect
    const tier = (yield* tierOption(input)) ?? "default"
    if (operands[0] === undefined && process.stdin.isTTY) {
      yield* write(process.stderr, "Type a statement. Ctrl-D, on a line of its own, ends it.")
    }
    const given = operands[0] ?? (yield* Effect.promise(() => text(process.stdin)))
    const sqls = yield* operands[0] === undefined ? statements(given) : Either.right([given])
    const policy = yield* Effect.map(CallPolicy.CallPolicy, (policies) => policies.of(tier)).pipe(
      Effect.provide(CallPolicy.layer(ServerConfig.callPolicyTiers(settings)))
    )
    const refused = yield* Effect.gen(function* () {
      const gate = yield* ReadOnly
      let count = 0
      for (const sql of sqls) {
        const verdict = yield* Effect.either(gate.check(sql, CallPolicy.forGate(policy)))
        if (Either.isLeft(verdict)) count += 1
        yield* options["json"] === true
          ? print(escapedLine(asJson(verdict, dialect)))
          : printHanging(escaped(asText(sql, verdict, told)), 10)
      }
      return count
    }).pipe(Effect.provide(Main.gate(settings, dialect)))
    // With --json the verdicts are the answer, and all of them were given.
    return refused === 0 || options["json"] === true ? 0 : 1
  })
