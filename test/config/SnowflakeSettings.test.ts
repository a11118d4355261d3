import { describe, expect, it } from "@effect/vitest"
import { Either, Redacted } from "effect"
import * as ServerConfig from "../../src/config/ServerConfig.js"

const load = (input: Parameters<typeof ServerConfig.decode>[0]) =>
  Either.getOrThrow(ServerConfig.decode(input))

describe("the settings of a Snowflake account", () => {
  it("are read under the names that its users know, after the server's own", () => {
    const { settings } = load({
      document: { snowflake: { role: "from_file", warehouse: "from_file" } },
      env: {
        SNOWFLAKE_ACCOUNT: "org-acct",
        SNOWFLAKE_USERNAME: "reader",
        SNOWFLAKE_ROLE: "theirs",
        SNOWGUARD_SNOWFLAKE_ROLE: "ours",
        SNOWFLAKE_PRIVATE_KEY_PATH: "/key.pem",
        SNOWFLAKE_SCHEMA: ""
      }
    })
    expect(settings.snowflake).toMatchObject({
      account: "org-acct",
      user: "reader",
      role: "ours",
      warehouse: "from_file",
      privateKeyFile: "/key.pem",
      schema: undefined
    })
  })

  it("keep their secrets out of what is printed, and say where they come from", () => {
    const secrets = {
      SNOWFLAKE_PASSWORD: "hunter1",
      SNOWFLAKE_PRIVATE_KEY: "hunter2",
      SNOWFLAKE_PRIVATE_KEY_FILE_PWD: "hunter3",
      SNOWFLAKE_TOKEN: "hunter4",
      SNOWFLAKE_PASSCODE: "hunter5",
      SNOWFLAKE_OAUTH_CLIENT_SECRET: "hunter6"
    }
    const loaded = load({ env: secrets })
    const printed = ServerConfig.printConfig(loaded)
    expect(printed).not.toContain("hunter")
    expect(printed).toContain('password = "<redacted>" # env SNOWFLAKE_PASSWORD')
    expect(JSON.stringify(loaded.settings) + String(loaded.settings.snowflake.token)).not.toContain("hunter")
    expect(Redacted.value(loaded.settings.snowflake.privateKeyPassphrase!)).toBe("hunter3")
  })

  it("do not stop a server that uses the embedded warehouse from ignoring its neighbours' variables", () => {
    expect(load({ env: { SNOWFLAKE_HOME: "/x", SNOWFLAKE_SOMETHING: "y" } }).settings.warehouse).toBe(
      "duckdb"
    )
  })
})
