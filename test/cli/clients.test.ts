import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { FastCheck as fc } from "effect"
import type { Client, Launch } from "../../src/cli/clients.js"
import { clients, exampleEnv, settings } from "../../src/cli/clients.js"
import * as ServerConfig from "../../src/config/ServerConfig.js"
import { launchOf } from "../utils/clientFormats.js"

const startedBy = async (client: Client, launch: Launch): Promise<Launch> =>
  launchOf(await Effect.runPromise(client.snippet(launch)))

const launches: ReadonlyArray<Launch> = [
  { command: "node", args: ["/opt/snowguard/dist/bin.js"], env: {} },
  { command: "node", args: ["/opt/snowguard/dist/bin.js"], env: exampleEnv },
  {
    command: "C:\\Program Files\\nodejs\\node.exe",
    args: ["C:\\snow guard\\dist\\bin.js", "--load", "/data/it's $HOME.csv"],
    env: { SNOWFLAKE_USER: 'a "b" & c=d', SNOWFLAKE_ROLE: "yes", SNOWFLAKE_DATABASE: "012" }
  }
]

describe.each(clients.map((client) => [client.name, client] as const))("the snippet for %s", (_, client) => {
  it("read as that client reads it, starts the same command with the same environment", async () => {
    for (const launch of launches) assert.deepStrictEqual(await startedBy(client, launch), launch)
  })

  it("says what any text in it says, quotes and control characters included", async () => {
    // A process takes no NUL in an argument or a variable.
    const text = fc.string({ unit: "binary", maxLength: 20 }).map((one) => one.replaceAll("\0", ""))
    const launch = fc.record({
      command: text.filter((one) => one !== "" && one !== "--"),
      args: fc.array(text, { maxLength: 2 }),
      env: fc.dictionary(fc.stringMatching(/^[A-Z_]{1,8}$/), text, { maxKeys: 3 })
    })
    await fc.assert(
      fc.asyncProperty(launch, async (one) => {
        const plain = { ...one, env: { ...one.env } }
        assert.deepEqual(JSON.stringify(await startedBy(client, plain)), JSON.stringify(plain))
      }),
      { numRuns: client.name === "claude-code" ? 25 : 100 }
    )
  })
})

describe("the links that open a client", () => {
  const linkOf = (name: string, launch: Launch) => {
    const link = clients.find((client) => client.name === name)?.link
    assert.isDefined(link)
    return new URL(link?.(launch) ?? "")
  }

  it("of Cursor decode to the same configuration", () => {
    for (const launch of launches) {
      const url = linkOf("cursor", launch)
      assert.strictEqual(url.host + url.pathname, "anysphere.cursor-deeplink/mcp/install")
      const config = Buffer.from(url.searchParams.get("config") ?? "", "base64").toString()
      assert.deepStrictEqual(JSON.parse(config), launch)
    }
  })

  it("of VS Code decode to the same configuration", () => {
    for (const launch of launches) {
      const url = linkOf("vscode", launch)
      assert.strictEqual(url.protocol + url.pathname, "vscode:mcp/install")
      assert.deepStrictEqual(JSON.parse(decodeURIComponent(url.search.slice(1))), {
        name: "snowguard",
        type: "stdio",
        ...launch
      })
    }
  })
})

it.effect(
  "every variable that a client gives is one that the server reads, and the secret ones are secrets",
  () =>
    Effect.gen(function* () {
      const marker = "value-of-the-variable"
      for (const { choices = [marker], isSecret, variable } of settings) {
        for (const value of choices) {
          const env = { [variable]: value }
          // The file itself is no setting.
          if (variable === "SNOWGUARD_CONFIG") {
            const { faults } = yield* Effect.flip(ServerConfig.load({ env, account: false }))
            assert.deepInclude(faults[0], { key: variable, source: "env" })
            continue
          }
          const printed = ServerConfig.printConfig(yield* ServerConfig.load({ env, account: false }), [])
          assert.include(printed, variable)
          assert.strictEqual(!printed.includes(value), isSecret, variable)
        }
      }
    })
)
