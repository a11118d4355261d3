import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { FastCheck as fc } from "effect"
import { parse as parseToml } from "smol-toml"
import { parse as parseYaml } from "yaml"
import type { Client, Launch } from "../../src/cli/clients.js"
import { clients, connection, exampleEnv } from "../../src/cli/clients.js"
import * as ServerConfig from "../../src/config/ServerConfig.js"
import { run } from "../utils/command.js"

/** What the client would start: the snippet read as the client's own format is read. */
const launchOf = async (client: Client, launch: Launch): Promise<Launch> => {
  const { language, text } = await Effect.runPromise(client.snippet(launch))
  if (language === "sh") {
    // The shell itself says which arguments the command gets.
    const shown = await run("sh", ["-c", `claude() { for one; do printf '%s\\0' "$one"; done; }\n${text}`])
    assert.strictEqual(shown.status, 0, shown.stderr)
    const words = shown.stdout.split("\0").slice(0, -1)
    const end = words.indexOf("--")
    assert.deepStrictEqual(words.slice(0, 3), ["mcp", "add", "snowguard"])
    const env: { [name: string]: string } = {}
    for (let at = 3; at < end; at += 2) {
      assert.strictEqual(words[at], "-e")
      const [, name = "", value = ""] = /^(\w+)=(.*)$/s.exec(words[at + 1] ?? "") ?? []
      env[name] = value
    }
    return { command: words[end + 1] ?? "", args: words.slice(end + 2), env }
  }
  if (language === "toml") {
    return JSON.parse(JSON.stringify(parseToml(text))).mcp_servers.snowguard
  }
  if (language === "yaml") {
    const { args, cmd, envs, type } = parseYaml(text).extensions.snowguard
    assert.strictEqual(type, "stdio")
    return { command: cmd, args, env: envs ?? {} }
  }
  const value = JSON.parse(text)
  if (client.name === "vscode") {
    const { type, ...rest } = value.servers.snowguard
    assert.strictEqual(type, "stdio")
    return rest
  }
  return value.mcpServers.snowguard
}

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
    for (const launch of launches) assert.deepStrictEqual(await launchOf(client, launch), launch)
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
        assert.deepEqual(JSON.stringify(await launchOf(client, plain)), JSON.stringify(plain))
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
  "every variable of the connection is a setting of the server, and the secret ones are secrets",
  () =>
    Effect.gen(function* () {
      const marker = "value-of-the-variable"
      for (const { isSecret, variable } of connection) {
        const loaded = yield* ServerConfig.load({ env: { [variable]: marker }, account: false })
        const printed = ServerConfig.printConfig(loaded, [])
        assert.include(printed, variable)
        assert.strictEqual(!printed.includes(marker), isSecret, variable)
      }
    })
)
