/** The real driver, tamed for tests: silent, no telemetry, no detection, no retries, files in a directory of its own. */
import { mkdtempSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Connection, ConnectionOptions, RowStatement, SnowflakeError } from "snowflake-sdk"
import { afterAll } from "vitest"
import * as Emulator from "../../src/emulator/Emulator.js"

export const home = mkdtempSync(join(tmpdir(), "snowguard-emulator-"))
process.env["HOME"] = home
process.env["SF_OCSP_RESPONSE_CACHE_DIR"] = join(home, "ocsp")
process.env["SNOWFLAKE_DISABLE_PLATFORM_DETECTION"] = "true"
process.env["SF_TELEMETRY_DISABLE_CONNECTION_SHAPE"] = "1"
process.env["SNOWFLAKE_DISABLE_MINICORE"] = "1"
afterAll(() => rmSync(home, { recursive: true, force: true }))

const { default: snowflake } = await import("snowflake-sdk")

const silent = () => undefined
snowflake.configure({
  logLevel: "OFF",
  additionalLogToConsole: false,
  customLogger: { error: silent, warn: silent, info: silent, debug: silent, trace: silent },
  disableOCSPChecks: true,
  useEnvProxy: false,
  jsonColumnVariantParser: (text: string): unknown => {
    try {
      return JSON.parse(text)
    } catch {
      return text
    }
  }
})

/** How often the driver's own middleware tries again; tests choose. */
export const retries = { max: 0 }

interface Interceptors {
  readonly interceptors: { readonly request: { use: (change: (config: object) => object) => void } }
}
const axios = createRequire(import.meta.url)("snowflake-sdk/dist/lib/http/axios_instance") as {
  readonly default: Interceptors
}
axios.default.interceptors.request.use((config) => ({
  ...config,
  snowflakeRetryConfig: { maxRetries: retries.max }
}))

export interface Answer {
  readonly rows: ReadonlyArray<ReadonlyArray<unknown>>
  readonly statement: RowStatement
}

export const options = (
  emulator: Emulator.Emulator,
  more: Partial<ConnectionOptions> = {}
): ConnectionOptions => ({
  accessUrl: emulator.url,
  account: "emulator",
  username: Emulator.defaultUser,
  password: Emulator.defaultPassword,
  application: "tests",
  // The first login waits for the engine, on a busy machine for long.
  timeout: 30_000,
  ...{ sfRetryMaxLoginRetries: 0, rowMode: "array", representNullAsStringNull: false },
  ...more
})

const tried = (connection: Connection): Effect.Effect<Connection, SnowflakeError> =>
  Effect.async((resume) => {
    connection.connect((error) => resume(error ? Effect.fail(error) : Effect.succeed(connection)))
  })

/** Logs in; destroyed with the scope. */
export const connect = (
  emulator: Emulator.Emulator,
  more: Partial<ConnectionOptions> = {}
): Effect.Effect<Connection, SnowflakeError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.suspend(() => tried(snowflake.createConnection(options(emulator, more)))),
    (connection) => destroy(connection)
  )

export const destroy = (connection: Connection): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    if (!connection.isUp()) return resume(Effect.void)
    connection.destroy(() => resume(Effect.void))
  }).pipe(Effect.timeout("2 seconds"), Effect.ignore)

type ExecuteOptions = Partial<Parameters<Connection["execute"]>[0]> & { readonly sqlText: string }

const rowsOf = (statement: RowStatement): Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, Error> =>
  Effect.async((resume) => {
    const rows: Array<ReadonlyArray<unknown>> = []
    statement
      .streamRows()
      .on("error", (error: Error) => resume(Effect.fail(error)))
      .on("data", (row: ReadonlyArray<unknown>) => rows.push(row))
      .on("end", () => resume(Effect.succeed(rows)))
  })

/** Sends a statement; `sent` sees it before it is answered. */
export const start = (
  connection: Connection,
  execute: ExecuteOptions,
  sent: (statement: RowStatement) => void = silent
): Effect.Effect<RowStatement, SnowflakeError> =>
  Effect.async((resume) => {
    const statement = connection.execute({
      streamResult: true,
      ...execute,
      complete: (error, statement) =>
        resume(error ? Effect.fail(error) : Effect.succeed(statement as RowStatement))
    })
    sent(statement as RowStatement)
  })

export const query = (
  connection: Connection,
  sqlText: string,
  more: Partial<ExecuteOptions> = {}
): Effect.Effect<Answer, Error> =>
  Effect.flatMap(start(connection, { ...more, sqlText }), (statement) =>
    Effect.map(rowsOf(statement), (rows) => ({ rows, statement }))
  )

export const rows = (connection: Connection, sqlText: string, more: Partial<ExecuteOptions> = {}) =>
  Effect.map(query(connection, sqlText, more), (answer) => answer.rows)

export { rowsOf, snowflake }
