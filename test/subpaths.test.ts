import { assert, describe, it } from "@effect/vitest"
import { reached } from "./utils/reached.js"

/**
 * What public modules load beside `effect`: with their import, and (after `lazily`) when what needs it is used. A module
 * that is not named here loads nothing else.
 */
const wholeServer =
  "minisearch lazily @effect/platform @effect/platform-node @modelcontextprotocol/sdk @modelcontextprotocol/server " +
  "@photostructure/sqlite ioredis jose oauth4webapi open smol-toml snowflake-sdk undici"
const sdks = "@modelcontextprotocol/sdk @modelcontextprotocol/server"
const heavy: { readonly [subpath: string]: string } = {
  ".": wholeServer,
  Server: wholeServer,
  McpServer: `minisearch lazily ${sdks}`,
  "transport/Stdio": `minisearch lazily ${sdks}`,
  "transport/Http": `@effect/platform @effect/platform-node minisearch lazily ${sdks} undici`,
  "transport/auth/OAuth": "lazily jose undici",
  Operator: "lazily undici",
  Otlp: "lazily undici",
  Redis: "lazily ioredis",
  "QuotaStore/Redis": "lazily ioredis",
  "RateLimiter/Redis": "lazily ioredis",
  "QuotaStore/Sqlite": "lazily @photostructure/sqlite",
  "Warehouse/Snowflake": "lazily snowflake-sdk",
  ServerConfig: "minisearch lazily smol-toml",
  Testing: "minisearch lazily smol-toml",
  SearchIndex: "minisearch",
  Toolbox: "minisearch",
  "tools/DescribeTable": "minisearch",
  "tools/DescribeView": "minisearch",
  "tools/ExecuteQuery": "minisearch",
  "tools/ExplainQuery": "minisearch",
  "tools/GetQueryResults": "minisearch",
  "tools/ListDatabases": "minisearch",
  "tools/ListSchemas": "minisearch",
  "tools/ListTables": "minisearch",
  "tools/ListViews": "minisearch",
  "tools/ProfileTable": "minisearch",
  "tools/QueryView": "minisearch",
  "tools/SearchObjects": "minisearch"
}

describe("what a public module loads", () => {
  it("a layer is reached without a driver, an MCP SDK or a platform, now and later", async () => {
    const found = [...(await reached())].flatMap(([subpath, { lazily, packages }]) => {
      const others = packages.filter((name) => name !== "effect")
      const said = [...others, ...(lazily.length === 0 ? [] : ["lazily", ...lazily])].join(" ")
      return said === "" ? [] : [[subpath, said] as const]
    })
    assert.deepStrictEqual(Object.fromEntries(found), heavy)
  })
})
