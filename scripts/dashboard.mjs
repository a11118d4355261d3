// Makes src/dashboard/page.ts, the status page as one text, from src/dashboard/client. Style and script stand
// in the page itself, and their hashes beside it, so that a policy can allow these two and nothing else.
// `--check` writes nothing and exits 1 when the page is not what the sources make.
import { build } from "esbuild"
import { createHash } from "node:crypto"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const client = fileURLToPath(new URL("../src/dashboard/client", import.meta.url))
const page = fileURLToPath(new URL("../src/dashboard/page.ts", import.meta.url))

const bundle = async (entry) => {
  const { outputFiles } = await build({
    absWorkingDir: client,
    entryPoints: [entry],
    bundle: true,
    write: false,
    minify: true,
    format: "esm",
    charset: "utf8",
    target: ["chrome109", "firefox115", "safari16.4"],
    legalComments: "none",
    logLevel: "warning"
  })
  return outputFiles[0].text.trim()
}

const hash = (text) => `sha256-${createHash("sha256").update(text).digest("base64")}`

export const make = async () => {
  const [script, style] = await Promise.all([bundle("main.ts"), bundle("style.css")])
  if (/<\/(script|style)/i.test(script + style)) throw new Error("the page would end within its script")
  const html = readFileSync(`${client}/page.html`, "utf8")
    .replace(/>\n\s+/g, ">\n")
    .replace(/\s*\/\*style\*\/\s*/, () => style)
    .replace(/\s*\/\*script\*\/\s*/, () => script)
  return `/** The status page, made by \`node scripts/dashboard.mjs\` from \`client/\`: do not edit. */
export const scriptHash = ${JSON.stringify(hash(script))}
export const styleHash = ${JSON.stringify(hash(style))}
// prettier-ignore
export const html = ${JSON.stringify(html)}
`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const made = await make()
  const before = existsSync(page) ? readFileSync(page, "utf8") : ""
  if (before === made) process.stderr.write("dashboard: the page is up to date\n")
  else if (process.argv.includes("--check")) {
    process.stderr.write("dashboard: src/dashboard/page.ts is old; run `node scripts/dashboard.mjs`\n")
    process.exitCode = 1
  } else {
    writeFileSync(page, made)
    process.stderr.write(`dashboard: the page has ${made.length} characters\n`)
  }
}
