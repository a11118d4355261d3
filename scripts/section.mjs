// The part of a page that is generated: what stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->`.
import { readFileSync, writeFileSync } from "node:fs"

/**
 * Writes `text` between the markers `name` of `page`, a path below the root of the project. Under `--check` it writes
 * nothing, and a page that says something else makes the exit code 1.
 */
export const section = (page, name, text) => {
  const path = new URL(`../${page}`, import.meta.url)
  const before = readFileSync(path, "utf8")
  const marked = new RegExp(`(<!-- ${name}:begin -->)[^]*(<!-- ${name}:end -->)`)
  if (!marked.test(before)) {
    throw new Error(`${page} needs the lines <!-- ${name}:begin --> and <!-- ${name}:end -->, in this order`)
  }
  const after = before.replace(marked, (_, begin, end) => `${begin}\n\n${text}\n\n${end}`)
  if (!process.argv.includes("--check")) writeFileSync(path, after)
  else if (after !== before) {
    process.stderr.write(`${page} differs from the sources: run \`npm run docs\`\n`)
    process.exitCode = 1
  }
}
