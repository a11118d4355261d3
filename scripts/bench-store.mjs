// What a decision over five limits costs in each quota store, beside rate-limiter-flexible. Bundles
// test/bench/store.ts as the binary is bundled, and runs it.
//   npm run bench:store [-- --rounds 5] [--quick] [--json] [--only latency|paced|redis]
// Arguments of node go in front: --node=--cpu-prof.
import { build } from "esbuild"
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const hasRedis = existsSync(`${root}/src/quota/stores/Redis.ts`)
mkdirSync(`${root}/node_modules/.cache`, { recursive: true })
const folder = mkdtempSync(`${root}/node_modules/.cache/bench-store-`)
const args = process.argv.slice(2)
const isForNode = (arg) => arg.startsWith("--node=")
try {
  await build({
    absWorkingDir: root,
    stdin: {
      contents: `import { bundle } from "./test/torture/build.ts"
        const { path } = await bundle("test/bench/store.ts", ["rate-limiter-flexible", "esbuild"])
        console.log(path)`,
      resolveDir: root,
      loader: "ts"
    },
    outfile: `${folder}/bundle.mjs`,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    external: ["esbuild"],
    logLevel: "warning"
  })
  const bundled = spawnSync(process.execPath, [`${folder}/bundle.mjs`], { cwd: root, encoding: "utf8" })
  const program = bundled.stdout.trim()
  if (bundled.status !== 0 || program === "") throw new Error(bundled.stderr)
  if (!hasRedis) console.error("this checkout has no Redis store: that part is left out")
  try {
    const { status } = spawnSync(
      process.execPath,
      [
        "--expose-gc",
        "--no-flush-bytecode",
        "--no-warnings",
        ...args.filter(isForNode).map((arg) => arg.slice(7)),
        program
      ].concat(args.filter((arg) => !isForNode(arg))),
      { stdio: "inherit", cwd: root }
    )
    process.exitCode = status ?? 1
  } finally {
    rmSync(new URL(".", `file://${program}`), { recursive: true, force: true })
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
