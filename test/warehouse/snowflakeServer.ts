/** A Snowflake on this machine, and the options to reach it. */
import { Effect, Redacted } from "effect"
import * as Emulator from "../../src/emulator/Emulator.js"
import type { Options } from "../../src/warehouse/Snowflake.js"
import type { Login } from "../../src/warehouse/snowflake/auth.js"

export const loginTo = (url: string, more: Partial<Login> = {}): Login => ({
  accessUrl: url,
  account: "EMULATOR",
  user: Emulator.defaultUser,
  password: Redacted.make(Emulator.defaultPassword),
  ...more
})

export const optionsFor = (url: string, more: Partial<Options> = {}): Options => ({
  login: Effect.succeed(loginTo(url)),
  warehouse: "COMPUTE_WH",
  database: "SNOWGUARD_SAMPLE",
  schema: "PUBLIC",
  ...more
})
