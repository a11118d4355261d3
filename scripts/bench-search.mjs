// What the memory of search_objects costs: filling it with a generated catalog, its size, the time of a query, and how
// many misspelt names are found among the first ten.
//   npm run bench:search [-- --tables 5000 --columns 50 --queries 400 --seed 1]
import { build } from "esbuild"
import { spawnSync } from "node:child_process"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const folder = join(root, "node_modules", ".cache", "bench-search")
mkdirSync(folder, { recursive: true })
const outfile = join(folder, "search.mjs")
await build({
  absWorkingDir: root,
  entryPoints: ["test/bench/search.ts"],
  outfile,
  bundle: true,
  platform: "node",
  format: "esm",
  logLevel: "warning"
})
const { status } = spawnSync(process.execPath, ["--expose-gc", outfile, ...process.argv.slice(2)], {
  stdio: "inherit"
})
process.exit(status ?? 1)
