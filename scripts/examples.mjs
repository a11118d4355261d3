// Copies the compiled and tested examples into docs/extending.md. `--check` writes nothing and exits 1 when that page says
// something else.
import { readFileSync } from "node:fs"
import { section } from "./section.mjs"

const examples = [
  ["The whole server with a part of your own", "ownStore"],
  ["Your own tool beside ours", "ownTool"],
  ["A test of it, without a warehouse and without waiting", "ownToolTest"],
  ["A test of a store of your own against the contract of all stores", "ownContract"],
  ["A warehouse of your own", "ownWarehouse"],
  ["Our breaker and limiter in front of any Effect", "guardAnything"]
]
const blocks = examples
  .map(([title, file]) => {
    const source = readFileSync(new URL(`../test/examples/${file}.ts`, import.meta.url), "utf8").trimEnd()
    return `**${title}** ([\`test/examples/${file}.ts\`](../test/examples/${file}.ts))\n\n\`\`\`ts\n${source}\n\`\`\``
  })
  .join("\n\n")

section("docs/extending.md", "examples", blocks)
