/** What a client would start: each snippet of `src/cli/clients.ts` read as its client reads it. Scripts read it too. */
import { spawnSync } from "node:child_process"
import { parse as parseToml } from "smol-toml"
import { parse as parseYaml } from "yaml"
import type { Launch, Snippet } from "../../src/cli/clients.js"

const expected = (what: string, found: unknown) => {
  throw new Error(`expected ${what}, got ${JSON.stringify(found)}`)
}

/** Arguments of `claude mcp add`: the client is not there, the shell says what it would get. */
const fromShell = (text: string): Launch => {
  const { status, stderr, stdout } = spawnSync(
    "sh",
    ["-c", `claude() { for one; do printf '%s\\0' "$one"; done; }\n${text}`],
    { encoding: "utf8" }
  )
  if (status !== 0) expected("a command", stderr)
  const words = stdout.split("\0").slice(0, -1)
  const end = words.indexOf("--")
  if (words.slice(0, 3).join(" ") !== "mcp add snowguard") expected("mcp add snowguard", words)
  const env: { [name: string]: string } = {}
  for (let at = 3; at < end; at += 2) {
    const [, name = "", value = ""] = /^(\w+)=(.*)$/s.exec(words[at + 1] ?? "") ?? []
    if (words[at] !== "-e" || name === "") expected("-e NAME=VALUE", words.slice(at, at + 2))
    env[name] = value
  }
  return { command: words[end + 1] ?? "", args: words.slice(end + 2), env }
}

/** VS Code wants to know the transport. */
const fromJson = (text: string): Launch => {
  const { mcpServers, servers } = JSON.parse(text)
  if (mcpServers !== undefined) return mcpServers.snowguard
  const { type, ...launch } = servers.snowguard
  if (type !== "stdio") expected("stdio", type)
  return launch
}

const fromYaml = (text: string): Launch => {
  const { args, cmd, envs, type } = parseYaml(text).extensions.snowguard
  if (type !== "stdio") expected("stdio", type)
  return { command: cmd, args, env: envs ?? {} }
}

export const launchOf = ({ language, text }: Snippet): Launch => {
  switch (language) {
    case "json":
      return fromJson(text)
    case "toml":
      return JSON.parse(JSON.stringify(parseToml(text))).mcp_servers.snowguard
    case "yaml":
      return fromYaml(text)
    case "sh":
      return fromShell(text)
  }
}
