// Checks links, blocks and inline code of README.md and docs/, see test/docs/check.ts. Nothing is fetched.
import { run } from "./bundled.mjs"

await run("test/docs/cli.ts", { bundle: { packages: "external" } })
