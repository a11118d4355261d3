// What each public module costs; the table is explained in test/bench/subpaths.ts.
//   npm run subpaths [-- --rounds 5] [NAME...]
import { existsSync } from "node:fs"
import { run } from "./bundled.mjs"

if (!existsSync(new URL("../dist/index.js", import.meta.url))) {
  console.error("dist/ is missing: run `npm run build` first")
  process.exit(1)
}
await run("test/bench/subpaths.ts", { bundle: { external: ["esbuild"] } })
