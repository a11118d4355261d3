// Statements that crash, grow or hang, three at once, from one client of a shared server with the embedded
// warehouse, while another client works: prints what became of both. Exits with 1 when the other noticed.
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { run } from "./bundled.mjs"

const bin = fileURLToPath(new URL("../dist/bin.js", import.meta.url))
if (!existsSync(bin)) {
  console.error("dist/bin.js is missing: run `npm run build` first")
  process.exit(1)
}

await run("test/bombs/cli.ts", { env: { BOMBS_BIN: bin } })
