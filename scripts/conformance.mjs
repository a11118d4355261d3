// Runs the protocol's own conformance suite against the server over HTTP.
//   npm run conformance [-- --only fixtures|binary|client] [--verbose]
// fixtures: our server with the tools, prompts and resources that the suite asks for, in both eras: nothing may fail
//           that the suite scores; it scores neither tasks (an extension) nor x-mcp-header (pending).
// binary:   `snowguard http` as it is shipped, in both eras; test/conformance/baseline-*.yml say what it does not offer.
// client:   `snowguard http` and the client of the SDK's next generation, which asks for newer revisions first.
import { build } from "esbuild"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const revisions = ["2025-11-25", "2026-07-28"]
const args = process.argv.slice(2)
const only = args.includes("--only") ? args[args.indexOf("--only") + 1] : undefined
const verbose = args.includes("--verbose")

// The package has no entry but its binary.
const require = createRequire(import.meta.url)
const manifest = require.resolve("@modelcontextprotocol/conformance/package.json")
const suite = join(dirname(manifest), require(manifest).bin.conformance)
const cache = join(root, "node_modules", ".cache", "conformance")
const folder = mkdtempSync(join(tmpdir(), "snowguard-conformance-"))

/** The environment without settings of the shell's. */
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(SNOW(GUARD|FLAKE)_|NODE_OPTIONS$)/.test(name))
)

/** Starts a server, and its URL as soon as it listens. */
const started = async (nodeArgs, extra, stream, pattern) => {
  const child = spawn(process.execPath, nodeArgs, { cwd: folder, env: { ...env, ...extra } })
  let said = ""
  const port = await new Promise((resolve, reject) => {
    child[stream].setEncoding("utf8").on("data", (text) => {
      said += text
      const found = pattern.exec(said)?.[1]
      if (found !== undefined) resolve(found)
    })
    child.once("exit", (code) => reject(new Error(`the server ended with ${code}: ${said}`)))
  })
  child.stdout.resume()
  child.stderr.resume()
  return { url: `http://localhost:${port}/mcp`, child }
}

const stopped = async (child) => {
  if (child.exitCode !== null) return
  child.kill("SIGTERM")
  await once(child, "exit")
}

const check = async (name, revision, { child, url }, extra) => {
  try {
    const runner = spawn(
      process.execPath,
      [
        "--import",
        new URL("node22.mjs", import.meta.url).href,
        ...[suite, "server", "--url", url, "--requirements", revision, ...extra]
      ],
      { cwd: folder, env }
    )
    let output = ""
    for (const stream of [runner.stdout, runner.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => (output += text))
    }
    const [code] = await once(runner, "close")
    const summary = output.slice(Math.max(0, output.indexOf("=== SUMMARY")))
    process.stdout.write(`${name}, revision ${revision}\n${verbose || code !== 0 ? output : summary}\n`)
    return code
  } finally {
    await stopped(child)
  }
}

const fixtures = async () => {
  mkdirSync(cache, { recursive: true })
  const outfile = join(cache, "server.mjs")
  await build({
    absWorkingDir: root,
    entryPoints: ["test/conformance/server.ts"],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
    logLevel: "warning"
  })
  const codes = []
  for (const revision of revisions) {
    const server = await started([outfile], {}, "stdout", /(\d+)\n/)
    codes.push(await check("our server with the suite's fixtures", revision, server, []))
  }
  return Math.max(...codes)
}

const shipped = () =>
  started(
    [join(root, "dist", "bin.js"), "http"],
    { SNOWGUARD_HTTP_PORT: "0", SNOWGUARD_STATE_DIR: folder, XDG_CONFIG_HOME: folder, APPDATA: folder },
    "stderr",
    /127\.0\.0\.1:(\d+)\/mcp/
  )

const binary = async () => {
  const codes = []
  for (const revision of revisions) {
    const baseline = join(root, "test", "conformance", `baseline-${revision}.yml`)
    codes.push(await check("snowguard http", revision, await shipped(), ["--expected-failures", baseline]))
  }
  return Math.max(...codes)
}

/** By how the client finds the revision to speak: what it has to end with. */
const modes = [
  ["legacy", {}, "works"],
  ["auto", { versionNegotiation: { mode: "auto" } }, "works"],
  ["pin", { versionNegotiation: { mode: { pin: "2026-07-28" } } }, "works"]
]

const client = async () => {
  const { Client, StreamableHTTPClientTransport } = await import(
    pathToFileURL(require.resolve("@modelcontextprotocol/client")).href
  )
  const { child, url } = await shipped()
  let code = 0
  try {
    for (const [mode, options, expected] of modes) {
      const client = new Client({ name: "conformance", version: "1" }, options)
      const outcome = await (async () => {
        const transport = new StreamableHTTPClientTransport(new URL(url))
        await client.connect(transport)
        const { tools } = await client.listTools()
        const answer = await client.callTool({ name: "list_databases", arguments: {} })
        const refused = await client.callTool({ name: "execute_query", arguments: { sql: "DROP TABLE X" } })
        await transport.terminateSession()
        await client.close()
        return tools.length > 0 && answer.structuredContent !== undefined && refused.isError === true
          ? "works"
          : "answers wrongly"
      })().catch((error) => error.code ?? String(error))
      if (outcome !== expected) code = 1
      process.stdout.write(`client of the next generation, ${mode}: ${outcome} (expected: ${expected})\n`)
    }
    return code
  } finally {
    await stopped(child)
  }
}

try {
  const codes = []
  for (const [name, run] of Object.entries({ fixtures, binary, client })) {
    if (only === undefined || only === name) codes.push(await run())
  }
  process.exitCode = codes.every((code) => code === 0) ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
