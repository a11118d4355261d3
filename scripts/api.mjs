// The reference of the public modules, from their sources.
//   npm run docs:api              the whole, as Markdown in docs/api/ (built, not committed)
//   node scripts/api.mjs --index  the table of modules in docs/modules.md; with --check it only says whether it is the same
// Both say which public module has no purpose, which service has no example, and which exported name has no sentence of
// its own.
import { readFileSync, rmSync } from "node:fs"
import { fileURLToPath } from "node:url"
import ts from "typescript"
import { section } from "./section.mjs"

const root = fileURLToPath(new URL("..", import.meta.url))
process.chdir(root)
const { exports } = JSON.parse(readFileSync("package.json", "utf8"))
const modules = Object.entries(exports).flatMap(([subpath, file]) =>
  file.endsWith(".js") && subpath !== "."
    ? [{ name: subpath.slice(2), source: file.replace("./dist/", "src/").replace(/\.js$/, ".ts") }]
    : []
)
/** Services that stand for themselves: what each does is shown by an example. */
const services = [
  "Bulkhead",
  "CircuitBreaker",
  "Degradation",
  "Guard",
  "LoopGuard",
  "Quota",
  "QuotaStore",
  "RateLimiter",
  "Retry",
  "Server",
  "Testing",
  "Tool",
  "Toolbox",
  "Warehouse"
]

const headerOf = (text) => {
  const [, comment = ""] = /^\/\*\*([^]*?)\*\//.exec(text) ?? []
  return comment
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, ""))
    .join("\n")
    .trim()
}
/** The first sentence, and the next one where that is short; a link of the sources is its text. */
const purposeOf = (header) => {
  const [paragraph = ""] = header
    .replace(/^PORT:\s*(\w)/, (_, letter) => letter.toUpperCase())
    .split(/\n\s*\n/)
  const sentences = paragraph.replace(/\s+/g, " ").split(/(?<=[.;])\s/)
  return (sentences[0].length < 40 ? sentences.slice(0, 2) : sentences.slice(0, 1))
    .join(" ")
    .replace(/\{@link ([^}|]+)[^}]*\}/g, "`$1`")
    .replaceAll("|", "\\|")
    .replace(/[.;:]?$/, ".")
}

/** What is told of a declaration before its tags; undefined of one that is internal. */
const toldOf = (node) => {
  const comments = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc)
  if (comments.some((comment) => comment.tags?.some(({ tagName }) => tagName.text === "internal")))
    return undefined
  return comments.map((comment) => ts.getTextOfJSDocComment(comment.comment) ?? "").join(" ")
}

/**
 * Names declared and exported here without a sentence; what is re-exported is told of where it is declared. A value and a
 * type of one name are told of once.
 */
const untold = (source, text) => {
  const file = ts.createSourceFile(source, text, ts.ScriptTarget.Latest, true)
  const told = new Map()
  const note = (name, node) => {
    const sentence = toldOf(node)
    if (sentence !== undefined) told.set(name, `${told.get(name) ?? ""}${sentence}`)
  }
  for (const statement of file.statements) {
    const isExported = (ts.canHaveModifiers(statement) ? ts.getModifiers(statement) : undefined)?.some(
      ({ kind }) => kind === ts.SyntaxKind.ExportKeyword
    )
    if (isExported !== true) continue
    if (ts.isVariableStatement(statement))
      for (const { name } of statement.declarationList.declarations) note(name.getText(file), statement)
    else note(statement.name?.text ?? "default", statement)
  }
  // A sentence has words enough to say what the name does not.
  return [...told].filter(([, text]) => text.trim().split(/\s+/).length < 3).map(([name]) => name)
}

const problems = []
const rows = modules.map(({ name, source }) => {
  const text = readFileSync(source, "utf8")
  const purpose = purposeOf(headerOf(text))
  if (purpose.length < 10) problems.push(`${source}: the module does not begin with its purpose`)
  if (services.includes(name) && !/@example|```ts/.test(text)) problems.push(`${source}: no example`)
  for (const name of untold(source, text)) problems.push(`${source}: ${name} has no sentence of its own`)
  return `| \`snowguard/${name}\` | ${purpose} |`
})

if (process.argv.includes("--index")) {
  section("docs/modules.md", "modules", ["| module | what it is |", "| --- | --- |", ...rows].join("\n"))
} else {
  const { Application } = await import("typedoc")
  const out = "docs/api"
  rmSync(out, { recursive: true, force: true })
  const app = await Application.bootstrapWithPlugins({
    entryPoints: modules.map(({ source }) => source),
    plugin: ["typedoc-plugin-markdown"],
    tsconfig: "tsconfig.build.json",
    out,
    readme: "none",
    excludeExternals: true,
    excludeInternal: true,
    disableSources: true,
    skipErrorChecking: true,
    logLevel: "Error",
    outputFileStrategy: "modules"
  })
  const project = await app.convert()
  if (project === undefined) process.exit(1)
  await app.generateOutputs(project)
  process.stderr.write(`${out}: ${modules.length} modules\n`)
}
for (const problem of problems) process.stderr.write(`api: ${problem}\n`)
if (problems.length > 0) process.exitCode = 1
