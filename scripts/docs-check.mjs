// Checks links, blocks and inline code of README.md and docs/, see test/docs/check.ts. Nothing is fetched.
import { run } from "./bundled.mjs"

for (const name of ["markdown-it", "github-slugger", "yaml"]) {
  try {
    import.meta.resolve(name)
  } catch {
    console.error(`docs-check: ${name} is not installed; run \`npm ci\``)
    process.exit(1)
  }
}
await run("test/docs/cli.ts", { bundle: { packages: "external" } })
