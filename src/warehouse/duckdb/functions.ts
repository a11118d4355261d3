/**
 * THE HOOK for functions of the dialect that are written in JavaScript: what neither a rewriting of the text nor a
 * macro can compute. Called once, before the configuration is locked, in the process that runs DuckDB.
 *
 * A function runs on that process's event loop, with a vector of rows a call. It may throw: the statement then
 * fails with the message. It may not wait for anything, nor reach outside of its arguments.
 *
 * @since 0.1.0
 */
import type * as DuckDb from "@duckdb/node-api"
import { register } from "./dialect/install.js"

/**
 * @since 0.1.0
 * @category models
 */
export type Register = (api: typeof DuckDb, connection: DuckDb.DuckDBConnection) => void

/**
 * Each registers what it has with `connection.registerScalarFunction`.
 *
 * @since 0.1.0
 * @category data
 */
export const registrations: ReadonlyArray<Register> = [register]
