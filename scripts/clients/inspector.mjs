import { spawn } from "node:child_process"
import { once } from "node:events"
import { writeFileSync } from "node:fs"
import { join } from "node:path"

/** A request is a process, and Ctrl-C is how it is given up. */
const run = async (args, signal) => {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] })
  signal?.addEventListener("abort", () => child.kill("SIGINT"))
  let stdout = ""
  let stderr = ""
  child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text))
  child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text))
  const [code] = await once(child, "close")
  if (code !== 0) throw new Error(`ended with ${code}: ${stdout}${stderr}`)
  return stdout
}

export const open = async ({ folder, home, http, mode, stdio, transport }) => {
  const config = join(home, "mcp.json")
  const snowguard = transport === "stdio" ? { type: "stdio", ...stdio } : { type: "streamable-http", ...http }
  writeFileSync(config, JSON.stringify({ mcpServers: { snowguard } }))
  const launcher = "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"
  const args = [
    ...[join(folder, launcher), "--cli", "--config", config, "--server", "snowguard"],
    ...["--protocol-era", mode, "--format", "json", "--quiet"]
  ]
  const { result } = JSON.parse(await run([...args, "--method", "tools/list", "--strict"]))
  return {
    cancels: "Ctrl-C",
    list: async () => result.tools.map(({ name }) => name),
    call: (tool, given, signal) =>
      run(
        [
          ...[...args, "--method", "tools/call", "--tool-name", tool],
          ...["--tool-args-json", JSON.stringify(given)]
        ],
        signal
      ),
    close: async () => {}
  }
}
