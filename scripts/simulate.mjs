// Runs the simulation of `test/simulation` outside of the test runner: as one bundle, for long runs.
import { build } from "esbuild"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "snowguard-simulate-"))
const outfile = join(folder, "simulate.mjs")
try {
  await build({
    absWorkingDir: root,
    entryPoints: ["test/simulation/cli.ts"],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    sourcemap: "inline",
    logLevel: "warning"
  })
  // Calls are born and die by the thousand: with more room for the young, fewer of them are moved.
  const flags = ["--enable-source-maps", "--max-semi-space-size=64"]
  const { status } = spawnSync(process.execPath, [...flags, outfile, ...process.argv.slice(2)], {
    stdio: "inherit"
  })
  process.exitCode = status ?? 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
