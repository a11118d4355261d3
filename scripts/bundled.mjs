// Runs a TypeScript program of test/ outside of the test runner: as one bundle, for long runs. Exits as it does.
import { build } from "esbuild"
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))

/** `bundle`: options of esbuild's on top; `flags`: of node's. */
export const run = async (entry, { bundle = {}, flags = [], env = {} } = {}) => {
  // Below our node_modules, so that packages which stay outside are found.
  mkdirSync(`${root}/node_modules/.cache`, { recursive: true })
  const folder = mkdtempSync(`${root}/node_modules/.cache/run-`)
  try {
    await build({
      absWorkingDir: root,
      entryPoints: [entry],
      outfile: `${folder}/cli.mjs`,
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node20",
      sourcemap: "inline",
      logLevel: "warning",
      ...bundle
    })
    const args = ["--enable-source-maps", ...flags, `${folder}/cli.mjs`, ...process.argv.slice(2)]
    const { status } = spawnSync(process.execPath, args, {
      stdio: "inherit",
      cwd: root,
      env: { ...process.env, ...env }
    })
    process.exitCode = status ?? 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
