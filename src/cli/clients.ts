/**
 * How MCP clients are told to start this server: what each of them reads, and where it reads it.
 *
 * One table for the documentation, the bundle for desktop clients and the terminal, so that they say the same.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { shellWord } from "../platform/quoted.js"

/** How a client starts the server. Paths are absolute: a client starts it in any directory. */
export interface Launch {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly env: { readonly [name: string]: string }
}

/** One setting that a user gives when the server is installed into a client. */
export interface Given {
  /** The environment variable that the server reads. */
  readonly variable: string
  /** The name of the setting where a client has a form for it. */
  readonly key: string
  readonly title: string
  readonly description: string
  readonly example: string
  readonly kind: "text" | "file"
  readonly isSecret: boolean
  /** The only values it takes; the first is what a form begins with. */
  readonly choices?: ReadonlyArray<string> | undefined
  /** What the server does without it. */
  readonly standard?: string | undefined
}

const given = (
  key: string,
  variable: string,
  title: string,
  description: string,
  example: string,
  { isSecret = false, kind = "text", ...values }: Partial<Given> = {}
): Given => ({ key, variable, title, description, example, kind, isSecret, ...values })

/**
 * What of a Snowflake account a client has to know: enough to log in by key pair or by token. The rest is set in
 * `snowguard.toml`.
 */
const connection: ReadonlyArray<Given> = [
  given(
    "account",
    "SNOWFLAKE_ACCOUNT",
    "Snowflake account",
    "Account identifier, as Snowsight shows it",
    "myorg-myaccount"
  ),
  given("user", "SNOWFLAKE_USER", "User", "User that logs in", "agent"),
  given("role", "SNOWFLAKE_ROLE", "Role", "Role of the sessions; one that can only read", "READER"),
  given(
    "warehouse",
    "SNOWFLAKE_WAREHOUSE",
    "Virtual warehouse",
    "Warehouse that runs the statements",
    "AGENTS"
  ),
  given(
    "private_key_file",
    "SNOWFLAKE_PRIVATE_KEY_FILE",
    "Private key file",
    "PEM file of the user's private key",
    "/home/ada/.snowflake/agent.p8",
    { kind: "file" }
  ),
  given(
    "private_key_passphrase",
    "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE",
    "Passphrase of the private key",
    "Empty if the key is not encrypted",
    "",
    { isSecret: true }
  ),
  given(
    "token",
    "SNOWFLAKE_TOKEN",
    "Access token",
    "Programmatic access token, in place of a private key",
    "",
    { isSecret: true }
  )
]

/** All that a form of a client, or a registry, asks for: what is served, the account, and the file for the rest. */
export const settings: ReadonlyArray<Given> = [
  given(
    "serve",
    "SNOWGUARD_WAREHOUSE",
    "What is served",
    "snowflake (an account) or duckdb (an embedded sample, which needs none)",
    "",
    { choices: ["snowflake", "duckdb"], standard: "duckdb" }
  ),
  ...connection,
  given("config", "SNOWGUARD_CONFIG", "snowguard.toml", "snowguard.toml, with all other settings", "", {
    kind: "file"
  })
]

/** The environment of an account that logs in by key pair, with the examples as values. */
export const exampleEnv: Launch["env"] = {
  SNOWGUARD_WAREHOUSE: "snowflake",
  ...Object.fromEntries(
    connection.flatMap(({ example, variable }) => (example === "" ? [] : [[variable, example]]))
  )
}

export interface Snippet {
  readonly language: "json" | "toml" | "yaml" | "sh"
  readonly text: string
}

export interface Client {
  readonly name: string
  readonly title: string
  /** Where the snippet belongs: files, or a terminal. */
  readonly where: string
  readonly snippet: (launch: Launch) => Effect.Effect<Snippet>
  /** A link that opens the client with this configuration, for clients that have one. */
  readonly link?: (launch: Launch) => string
}

const id = "snowguard"

const json = (value: unknown): Snippet => ({ language: "json", text: JSON.stringify(value, null, 2) })

/** What most clients read. */
const mcpServers = (launch: Launch) => Effect.succeed(json({ mcpServers: { [id]: launch } }))

const claudeCode = ({ args, command, env }: Launch): Snippet => ({
  language: "sh",
  text: [
    `claude mcp add ${id}`,
    ...Object.entries(env).map(([name, value]) => `-e ${shellWord(`${name}=${value}`)}`),
    `-- ${[command, ...args].map(shellWord).join(" ")}`
  ].join(" \\\n  ")
})

const codex = (launch: Launch): Effect.Effect<Snippet> =>
  Effect.map(
    Effect.promise(() => import("smol-toml")),
    ({ stringify }) => ({
      language: "toml",
      text: stringify({ mcp_servers: { [id]: { ...launch, args: [...launch.args] } } }).trim()
    })
  )

/** Each scalar is written as JSON has it, which YAML reads as the same text. */
const goose = ({ args, command, env }: Launch): Snippet => ({
  language: "yaml",
  text: [
    "extensions:",
    `  ${id}:`,
    "    enabled: true",
    "    type: stdio",
    `    name: ${id}`,
    `    cmd: ${JSON.stringify(command)}`,
    `    args: ${JSON.stringify(args)}`,
    ...(Object.keys(env).length === 0 ? [] : ["    envs:"]),
    ...Object.entries(env).map(([name, value]) => `      ${name}: ${JSON.stringify(value)}`),
    "    timeout: 300"
  ].join("\n")
})

const cursorLink = (launch: Launch): string => {
  const config = Buffer.from(JSON.stringify(launch)).toString("base64")
  return `cursor://anysphere.cursor-deeplink/mcp/install?name=${id}&config=${encodeURIComponent(config)}`
}

const vscodeLink = (launch: Launch): string =>
  `vscode:mcp/install?${encodeURIComponent(JSON.stringify({ name: id, type: "stdio", ...launch }))}`

/** The clients, in the order in which they are shown. */
export const clients: ReadonlyArray<Client> = [
  {
    name: "claude-desktop",
    title: "Claude Desktop",
    where:
      "`claude_desktop_config.json`: Settings, Developer, Edit Config. macOS: `~/Library/Application Support/Claude/`; " +
      "Windows: `%APPDATA%\\Claude\\`",
    snippet: mcpServers
  },
  {
    name: "claude-code",
    title: "Claude Code",
    where: "a terminal",
    snippet: (launch) => Effect.succeed(claudeCode(launch))
  },
  {
    name: "cursor",
    title: "Cursor",
    where: "`~/.cursor/mcp.json`, or `.cursor/mcp.json` of a project",
    snippet: mcpServers,
    link: cursorLink
  },
  {
    name: "vscode",
    title: "VS Code",
    where: "`.vscode/mcp.json` of a project, or the command MCP: Open User Configuration",
    snippet: (launch) => Effect.succeed(json({ servers: { [id]: { type: "stdio", ...launch } } })),
    link: vscodeLink
  },
  { name: "codex", title: "Codex", where: "`~/.codex/config.toml`", snippet: codex },
  {
    name: "windsurf",
    title: "Windsurf",
    where: "`~/.codeium/windsurf/mcp_config.json`",
    snippet: mcpServers
  },
  {
    name: "goose",
    title: "Goose",
    where: "`~/.config/goose/config.yaml`; Windows: `%APPDATA%\\Block\\goose\\config\\config.yaml`",
    snippet: (launch) => Effect.succeed(goose(launch))
  }
]
