// What a call costs: the whole server beside the bare driver and its peers, and where it goes, with the goals.
//   npm run bench:call [-- --rounds 5] [--ms 500] [--warm 5000] [--only calls,start,memory,http,breakdown,growth]
//                         [--json] [--peers DIR | --no-peers]
// The peers are no dependencies: npm installs them into --peers (node_modules/.cache/call-peers). Needs dist/.
import { build } from "esbuild"
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync } from "node:fs"
import { join, resolve } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import { install, nodeFor } from "./installed.mjs"

const root = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "")
const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    ms: { type: "string", default: "500" },
    warm: { type: "string", default: "5000" },
    only: { type: "string", default: "" },
    peers: { type: "string", default: join(root, "node_modules", ".cache", "call-peers") },
    "no-peers": { type: "boolean", default: false },
    json: { type: "boolean", default: false }
  }
})
if (!existsSync(join(root, "dist/bin.js"))) {
  console.error("dist/bin.js is missing: run `npm run build` first")
  process.exit(1)
}

// Below our node_modules, so that packages which stay outside are found.
const folder = join(root, "node_modules", ".cache", "bench-call")
mkdirSync(folder, { recursive: true })
const external = ["snowflake-sdk", "@duckdb/node-api", "@photostructure/sqlite", "ioredis", "undici", "jose"]
const bundled = async (entry, name) => {
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile: join(folder, `${name}.mjs`),
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    sourcemap: "external",
    external,
    // The embedded warehouse's program is found from where the binary is.
    define: { "import.meta.url": JSON.stringify(pathToFileURL(join(root, "dist", "bin.js")).href) },
    logLevel: "warning"
  })
  return join(folder, `${name}.mjs`)
}
const [main, bare, plain, counted, growth] = await Promise.all([
  bundled("test/bench/call/main.ts", "main"),
  bundled("test/bench/call/bare.ts", "bare"),
  bundled("src/cli/bin.ts", "plain"),
  bundled("test/bench/call/counted.ts", "counted"),
  bundled("test/bench/call/growth.ts", "growth")
])

/** How a peer is started, or why it is left out. */
const peer = (name, { args, node, package: of, version }) => {
  if (options["no-peers"]) return `${name}: --no-peers`
  const dir = resolve(options.peers)
  try {
    install(join(dir, name), { [of]: version })
    return {
      program: nodeFor(dir, node).program,
      args: [join(dir, name, "node_modules", of, "dist", "index.js"), ...args]
    }
  } catch (error) {
    return `${name}: cannot be installed (${error.message})`
  }
}
const peers = {
  everything: peer("everything", {
    ...{ package: "@modelcontextprotocol/server-everything", version: "2026.8.31", args: ["stdio"] }
  }),
  // Its demo database is node's own SQLite, which node 20 does not have.
  dbhub: peer("dbhub", {
    ...{ package: "@bytebase/dbhub", version: "1.4.0", node: 24, args: ["--demo", "--transport", "stdio"] }
  })
}

const given = {
  root,
  probe: new URL("bench-call-probe.mjs", import.meta.url).href,
  programs: { bare, plain, counted, growth },
  peers,
  rounds: Number(options.rounds),
  ms: Number(options.ms),
  warm: Number(options.warm),
  only: options.only === "" ? [] : options.only.split(","),
  json: options.json
}
const { status } = spawnSync(process.execPath, [main], {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, BENCH_CALL: JSON.stringify(given) }
})
process.exitCode = status ?? 1
