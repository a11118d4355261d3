// Runs the chaos of `test/chaos` outside of the test runner: the built server over stdio, with Snowflake's
// driver, in front of the emulator, for as long as it is told to.
import { build } from "esbuild"
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const bin = join(root, "dist/bin.js")
if (!existsSync(bin)) {
  console.error("dist/bin.js is missing: run `npm run build` first")
  process.exit(1)
}

// Native packages find their binaries relative to themselves, and the bundle lies elsewhere.
const native = {
  name: "native",
  setup: ({ onResolve }) =>
    onResolve({ filter: /^@duckdb\/node-api$/ }, ({ path }) => ({
      path: pathToFileURL(createRequire(join(root, "package.json")).resolve(path)).href,
      external: true
    }))
}

const folder = mkdtempSync(join(tmpdir(), "snowguard-chaos-"))
const outfile = join(folder, "chaos.mjs")
try {
  await build({
    absWorkingDir: root,
    entryPoints: ["test/chaos/cli.ts"],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    sourcemap: "inline",
    plugins: [native],
    // Packages of the old kind that are bundled ask for node's own modules in the old way.
    banner: {
      js: `import { createRequire } from "node:module"; const require = createRequire(import.meta.url);`
    },
    logLevel: "warning"
  })
  const { status } = spawnSync(
    process.execPath,
    ["--enable-source-maps", outfile, ...process.argv.slice(2)],
    { stdio: "inherit", env: { ...process.env, CHAOS_BIN: bin } }
  )
  process.exitCode = status ?? 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
