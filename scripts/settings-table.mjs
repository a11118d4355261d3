// Writes the tables of settings into docs/configuration.md, from the same table that the server reads its settings
// with. `--check` writes nothing and exits 1 when that page says something else.
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { fromSources } from "./fromSources.mjs"

const root = fileURLToPath(new URL("..", import.meta.url))
const name = "docs/configuration.md"
const page = `${root}${name}`
const begin = "<!-- settings:begin -->"
const end = "<!-- settings:end -->"

const fail = (message) => {
  process.stderr.write(`settings-table: ${message}\n`)
  process.exit(1)
}

if (!existsSync(page)) fail(`${name} is missing; it needs the lines ${begin} and ${end}`)

const before = readFileSync(page, "utf8")
const from = before.indexOf(begin)
const to = before.indexOf(end)
if (from === -1 || to < from) fail(`${name} needs the lines ${begin} and ${end}, in this order`)

const table = (await fromSources("src/config/ServerConfig.ts")).settingsTable()
const after = `${before.slice(0, from + begin.length)}\n\n${table}\n\n${before.slice(to)}`
if (after === before) process.stderr.write(`settings-table: ${name} is up to date\n`)
else if (process.argv.includes("--check")) {
  fail(`${name} does not show the settings as they are; run \`node scripts/settings-table.mjs\``)
} else {
  writeFileSync(page, after)
  process.stderr.write(`settings-table: ${name} written\n`)
}
