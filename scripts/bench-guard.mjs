// What the guard costs per call, in CPU, latency and memory, beside rate-limiter-flexible + cockatiel and + opossum.
// Bundles test/bench/guard.ts as the binary is bundled, and runs it; `--help` says which options there are.
import { build } from "esbuild"
import { spawnSync } from "node:child_process"
import { mkdirSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const outfile = `${root}/node_modules/.cache/bench-guard/guard.mjs`
mkdirSync(`${root}/node_modules/.cache/bench-guard`, { recursive: true })
await build({
  absWorkingDir: root,
  entryPoints: ["test/bench/guard.ts"],
  outfile,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  sourcemap: "inline",
  // As packages are used: from node_modules.
  external: ["rate-limiter-flexible", "cockatiel", "opossum"],
  logLevel: "warning"
})

const args = process.argv.slice(2)
const forNode = args.filter((arg) => arg.startsWith("--node=")).map((arg) => arg.slice("--node=".length))
const { status } = spawnSync(
  process.execPath,
  [
    "--expose-gc",
    "--no-flush-bytecode",
    // Cockatiel listens to one shared signal for every call that waits; Node warns of it.
    "--no-warnings",
    "--max-old-space-size=4096",
    ...forNode,
    outfile,
    ...args.filter((arg) => !arg.startsWith("--node="))
  ],
  { stdio: "inherit" }
)
process.exit(status ?? 1)
