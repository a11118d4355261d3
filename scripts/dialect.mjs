// Runs examples with known results through the embedded warehouse and counts right, other and error.
//   npm run dialect -- --corpus PATH [--errors] [--other] [--group NAME] [--shape nested|columns|literals]
import { run } from "./bundled.mjs"

await run("test/dialect/cli.ts", { bundle: { external: ["@duckdb/node-api"] } })
