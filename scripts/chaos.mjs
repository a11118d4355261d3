// Runs the chaos of `test/chaos` outside of the test runner: the built server over stdio, with Snowflake's
// driver, in front of the emulator, for as long as it is told to.
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { run } from "./bundled.mjs"

const bin = fileURLToPath(new URL("../dist/bin.js", import.meta.url))
if (!existsSync(bin)) {
  console.error("dist/bin.js is missing: run `npm run build` first")
  process.exit(1)
}

await run("test/chaos/cli.ts", {
  bundle: {
    // Native packages find their binaries relative to themselves.
    external: ["@duckdb/node-api"],
    // Packages of the old kind that are bundled ask for node's own modules in the old way.
    banner: {
      js: `import { createRequire } from "node:module"; const require = createRequire(import.meta.url);`
    }
  },
  env: { CHAOS_BIN: bin }
})
