/**
 * Runs one statement of a session: on the embedded engine, or on the session itself.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import { apply } from "../warehouse/duckdb/dialect/source.js"
import { resultNames } from "../warehouse/duckdb/names.js"
import type { Answer } from "../warehouse/duckdb/client.js"
import type { Table } from "../warehouse/duckdb/show.js"
import { snowflake } from "../sql/Dialect.js"
import { tokenize } from "../sql/Lexer.js"
import type { Bind } from "../warehouse/Warehouse.js"
import { declaredTypes } from "./declaredTypes.js"
import type { Environment } from "./environment.js"
import { version } from "./environment.js"
import type { Failure } from "./failures.js"
import * as Failures from "./failures.js"
import type { Rows, Sizes } from "./results.js"
import { allJson, builder } from "./results.js"
import { relation } from "./wire.js"
import * as Listings from "./listings.js"
import * as Semantic from "./semantic.js"
import * as SessionCommands from "./sessionCommands.js"
import type { Session } from "./sessions.js"
import type { Context, Text } from "./parser.js"
import { contextCalls, resultScans } from "./parser.js"
import * as Wire from "./wire.js"

interface Run {
  readonly queryId: string
  readonly text: Text
  readonly binds: ReadonlyArray<Bind>
  /** The parameters of the session with those of the statement over them. */
  readonly parameters: ReadonlyMap<string, string>
  readonly describeOnly: boolean
  /** Bytes decide alone how much a part holds. */
  readonly largeParts: boolean
}

/** Megabytes of a part at most, as Snowflake's default has it. */
const partMegabytes = 160

/** Parts end with their rows, and with the bytes that the session allows at the latest. */
const sizesOf = ({ sizes }: Environment, { largeParts, parameters }: Run): Sizes => ({
  ...sizes,
  ...(largeParts ? { chunkRows: Number.POSITIVE_INFINITY } : {}),
  chunkBytes: Number(parameters.get("CLIENT_RESULT_CHUNK_SIZE") ?? partMegabytes) * 1_048_576
})

/** The kind of statement that lists objects. */
const SHOW = 0x4400

const rowsOf = ({ columns, rows }: Table, typeId: number, sizes: Sizes): Rows => {
  const wire = columns.map(Wire.column)
  const result = builder(wire, typeId, sizes)
  result.add(Wire.rows(wire)(rows))
  return result.build()
}

/** Roles of the user beside the one that is active; without a directory of users, all that exist. */
const otherRoles = ({ identities, roles }: Environment, { role, user }: Session): ReadonlyArray<string> =>
  identities?.othersOf(user, role) ?? (roles ?? []).filter((one) => one !== role)

/** JSON, with the roles as one text. */
const secondaryRoles = (environment: Environment, session: Session): string => {
  const chosen = session.secondaryRoles
  if (chosen === "NONE") return JSON.stringify({ roles: "", value: "" })
  const all = chosen === "ALL" ? otherRoles(environment, session) : chosen
  return JSON.stringify({ roles: all.join(","), value: chosen === "ALL" ? "ALL" : all.join(",") })
}

/** What the session's functions answer. */
const contextOf = (environment: Environment, session: Session): Context => {
  const { account } = environment
  const own = session.queryIds
  return {
    functions: new Map<string, string | null>([
      ["CURRENT_ACCOUNT", account],
      ["CURRENT_ACCOUNT_NAME", account],
      ["CURRENT_ORGANIZATION_NAME", "SNOWGUARD"],
      ["CURRENT_REGION", "EMULATOR"],
      ["CURRENT_USER", session.user],
      ["CURRENT_ROLE", session.role],
      ["CURRENT_SECONDARY_ROLES", secondaryRoles(environment, session)],
      ["CURRENT_AVAILABLE_ROLES", JSON.stringify([session.role, ...otherRoles(environment, session)])],
      ["CURRENT_WAREHOUSE", session.warehouse ?? null],
      ["CURRENT_DATABASE", session.database ?? null],
      ["CURRENT_SCHEMA", session.schema ?? null],
      ["CURRENT_SESSION", String(session.id)],
      ["CURRENT_CLIENT", session.application],
      ["CURRENT_VERSION", version]
    ]),
    lastQueryId: (n) => (n > 0 ? own[n - 1] : own[own.length + n]) ?? null
  }
}

export const run = (
  environment: Environment,
  session: Session,
  statement: Run
): Effect.Effect<Rows, Failure> => {
  const { parameters, text } = statement
  const answered = (table: Table) => rowsOf(table, text.typeId, environment.sizes)
  if (text.command._tag !== "Query") {
    return Effect.map(SessionCommands.answer(environment, session, text.command, parameters), answered)
  }
  const metadata = Semantic.metadata(text.sql)
  return metadata === undefined
    ? query(environment, session, statement)
    : Effect.map(Semantic.answer(environment, session, metadata), answered)
}

/** The text with what the session knows put into it; `binds` gets what it reads from stored results. */
const resolved = (environment: Environment, session: Session, text: string, binds: Array<Bind>) => {
  const tokens = tokenize(text, snowflake)
  // The engine reports what cannot be read.
  if (Either.isLeft(tokens)) return Effect.succeed(text)
  const edits = contextCalls(tokens.right, contextOf(environment, session))
  const filled = apply(text, edits)
  const again = tokenize(filled, snowflake)
  const scans = Either.isRight(again) ? resultScans(again.right) : []
  const unknown = scans.find((scan) => environment.stored(scan.queryId) === undefined)
  if (unknown !== undefined) return Effect.fail(Failures.resultUnknown(unknown.queryId))
  const read = scans.map(({ end, queryId, start }) => {
    const stored = environment.stored(queryId)!
    binds.push(allJson(stored))
    return { start, end, text: relation(stored.columns, binds.length) }
  })
  return Effect.succeed(apply(filled, read))
}

const query = (environment: Environment, session: Session, statement: Run): Effect.Effect<Rows, Failure> =>
  Effect.gen(function* () {
    const { text } = statement
    const binds: Array<Bind> = [...statement.binds]
    const semantic = yield* Semantic.rewritten(environment, session, text.sql)
    const sql = yield* resolved(environment, session, semantic?.sql ?? text.sql, binds)
    const tokens = Either.getOrElse(tokenize(text.sql, snowflake), () => [])
    const isRewritten = sql !== text.sql
    const isShow = text.typeId === SHOW
    const { identities } = environment
    if (identities !== undefined) yield* identities.mayRead(session, semantic?.reads ?? text.sql)
    const limit = Number(statement.parameters.get("ROWS_PER_RESULTSET") ?? 0)
    const most = isShow ? environment.showRows : Number.POSITIVE_INFINITY
    const capped = Math.min(limit > 0 ? limit : Number.POSITIVE_INFINITY, most)
    const maxRows = statement.describeOnly ? 0 : Number.isFinite(capped) ? capped : undefined
    const read = Effect.fnUntraced(function* (answer: Answer) {
      const names = answer.columns.map((column) => column.name)
      const shown = isRewritten ? resultNames(text.sql, tokens, names) : names
      const types = declaredTypes(
        tokens,
        answer.columns.map((column) => column.type)
      )
      const columns = answer.columns.map((column, index) =>
        Wire.column({ ...column, name: shown[index] ?? column.name, type: types[index] ?? column.type })
      )
      const more = Listings.more(tokens, environment.traits, session, answer.columns)
      const wire = [...columns, ...more.columns.map(Wire.column)]
      const encode = Wire.rows(wire)
      const isSeen = identities?.seen(session, text.sql, answer.columns)
      const result = builder(wire, text.typeId, sizesOf(environment, statement))
      yield* Stream.runForEach(answer.rows, (rows) =>
        Effect.sync(() => {
          const shown = isSeen === undefined ? rows : rows.filter(isSeen)
          result.add(encode(shown.map((row) => [...row, ...more.cells(row)])))
        })
      )
      return result.build()
    })
    const request = {
      client: "emulator",
      sql,
      binds,
      database: session.database,
      schema: session.schema,
      // The caller bounds statements; the engine would count its own time only.
      timeoutMs: 2_000_000_000,
      maxRows,
      queryId: statement.queryId
    }
    return yield* Effect.mapError(environment.engine.execute(request, read), (error) =>
      isShow && error.reason === "NotFound" ? Failures.missing : Failures.ofEngine(error)
    )
  }).pipe(Effect.scoped)
