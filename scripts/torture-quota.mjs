// Kills processes that share a quota store and counts what is lost; or counts what many processes are let
// through of one limit. Bundles test/torture and runs it.
//   npm run torture:quota -- [--rounds 100] [--store sqlite|redis] [--processes 4]
//   npm run torture:quota -- --exact [--trials 100] [--processes 10]
import { build } from "esbuild"
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
mkdirSync(`${root}/node_modules/.cache`, { recursive: true })
const folder = mkdtempSync(`${root}/node_modules/.cache/torture-cli-`)
try {
  await build({
    absWorkingDir: root,
    entryPoints: ["test/torture/cli.ts"],
    outfile: `${folder}/cli.mjs`,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    external: ["@photostructure/sqlite", "esbuild"],
    logLevel: "warning"
  })
  const { status } = spawnSync(process.execPath, [`${folder}/cli.mjs`, ...process.argv.slice(2)], {
    stdio: "inherit",
    cwd: root
  })
  process.exitCode = status ?? 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
