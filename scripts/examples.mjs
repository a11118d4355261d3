// Copies the compiled and tested examples into docs/extending.md, between its markers; with --check it only
// says whether they are the same.
import { readFileSync, writeFileSync } from "node:fs"

const page = new URL("../docs/extending.md", import.meta.url)
const examples = [
  ["The whole server with a part of your own", "ownStore"],
  ["Your own tool beside ours", "ownTool"],
  ["A test of it, without a warehouse and without waiting", "ownToolTest"],
  ["A test of a store of your own against the contract of all stores", "ownContract"],
  ["Our breaker and limiter in front of any Effect", "guardAnything"]
]
const section = examples
  .map(([title, file]) => {
    const source = readFileSync(new URL(`../test/examples/${file}.ts`, import.meta.url), "utf8").trimEnd()
    return `**${title}** ([\`test/examples/${file}.ts\`](../test/examples/${file}.ts))\n\n\`\`\`ts\n${source}\n\`\`\``
  })
  .join("\n\n")

const text = readFileSync(page, "utf8")
const marked = /(<!-- examples:begin -->)[\s\S]*(<!-- examples:end -->)/
if (!marked.test(text)) {
  console.error("docs/extending.md has no <!-- examples:begin --> ... <!-- examples:end -->")
  process.exit(1)
}
const updated = text.replace(marked, (_, begin, end) => `${begin}\n${section}\n${end}`)
if (process.argv.includes("--check")) {
  if (updated !== text) {
    console.error("the examples in docs/extending.md differ from test/examples: run `npm run docs`")
    process.exit(1)
  }
} else writeFileSync(page, updated)
