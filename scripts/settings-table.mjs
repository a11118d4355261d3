// Writes the tables of settings into README.md, from the same table that the server reads its settings
// with. `--check` writes nothing and exits 1 when README.md says something else.
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { fileURLToPath, pathToFileURL } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const readme = `${root}README.md`
const built = `${root}dist/ServerConfig.js`
const begin = "<!-- settings:begin -->"
const end = "<!-- settings:end -->"

const fail = (message) => {
  process.stderr.write(`settings-table: ${message}\n`)
  process.exit(1)
}

if (!existsSync(built)) fail("dist/ is missing; run `npm run build` first")
// What an old build says of the settings is no news about README.md.
const sources = readdirSync(`${root}src/config`).map((file) => `${root}src/config/${file}`)
const newest = Math.max(...[...sources, `${root}src/ServerConfig.ts`].map((file) => statSync(file).mtimeMs))
if (newest > statSync(built).mtimeMs) fail("dist/ is older than src/config; run `npm run build` first")
if (!existsSync(readme)) fail(`README.md is missing; it needs the lines ${begin} and ${end}`)

const before = readFileSync(readme, "utf8")
const from = before.indexOf(begin)
const to = before.indexOf(end)
if (from === -1 || to < from) fail(`README.md needs the lines ${begin} and ${end}, in this order`)

const { settingsTable } = await import(pathToFileURL(built).href)
const after = `${before.slice(0, from + begin.length)}\n\n${settingsTable()}\n\n${before.slice(to)}`
if (after === before) process.stderr.write("settings-table: README.md is up to date\n")
else if (process.argv.includes("--check")) {
  fail("README.md does not show the settings as they are; run `node scripts/settings-table.mjs`")
} else {
  writeFileSync(readme, after)
  process.stderr.write("settings-table: README.md written\n")
}
