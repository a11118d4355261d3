// Runs `test/reload` outside of the test runner: the built server under load, its settings read again a thousand times,
// or as often as it is told to. `npm run reload -- 200 7`: two hundred times, with the seed 7.
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { run } from "./bundled.mjs"

const bin = fileURLToPath(new URL("../dist/bin.js", import.meta.url))
if (!existsSync(bin)) {
  console.error("dist/bin.js is missing: run `npm run build` first")
  process.exit(1)
}

await run("test/reload/cli.ts", { env: { RELOAD_BIN: bin } })
