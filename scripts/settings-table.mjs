// Writes the tables of settings into docs/configuration.md, from the same table that the server reads its settings
// with. `--check` writes nothing and exits 1 when that page says something else.
import { build } from "esbuild"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath, pathToFileURL } from "node:url"

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

/** The table as the sources make it, whatever is built. */
const fromSources = async () => {
  mkdirSync(`${root}node_modules/.cache`, { recursive: true })
  const folder = mkdtempSync(`${root}node_modules/.cache/settings-`)
  try {
    const outfile = `${folder}/ServerConfig.mjs`
    await build({
      absWorkingDir: root,
      entryPoints: ["src/config/ServerConfig.ts"],
      outfile,
      bundle: true,
      packages: "external",
      platform: "node",
      format: "esm",
      target: "node20",
      logLevel: "warning"
    })
    return (await import(pathToFileURL(outfile).href)).settingsTable()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const table = await fromSources()
const after = `${before.slice(0, from + begin.length)}\n\n${table}\n\n${before.slice(to)}`
if (after === before) process.stderr.write(`settings-table: ${name} is up to date\n`)
else if (process.argv.includes("--check")) {
  fail(`${name} does not show the settings as they are; run \`node scripts/settings-table.mjs\``)
} else {
  writeFileSync(page, after)
  process.stderr.write(`settings-table: ${name} written\n`)
}
