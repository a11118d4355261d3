// Writes the configuration of each client into docs/clients.md, from src/cli/clients.ts. `--check` writes nothing and
// exits 1 when the page says something else.
import * as Effect from "effect/Effect"
import { readFileSync, writeFileSync } from "node:fs"
import { fromSources } from "./fromSources.mjs"

const page = new URL("../docs/clients.md", import.meta.url)
const { clients, exampleEnv } = await fromSources("src/cli/clients.ts")
const launch = { command: "node", args: ["/path/to/snowguard/dist/bin.js"], env: exampleEnv }

const sections = []
for (const { link, snippet, title, where } of clients) {
  const { language, text } = await Effect.runPromise(snippet(launch))
  sections.push(
    `## ${title}\n\n${language === "sh" ? "In" : "Into"} ${where}:\n\n\`\`\`${language}\n${text}\n\`\`\`` +
      (link === undefined
        ? ""
        : `\n\nThe same as a link, which opens ${title} with these values to be edited:\n\n` +
          `\`\`\`text\n${link(launch)}\n\`\`\``)
  )
}

const before = readFileSync(page, "utf8")
const marked = /(<!-- clients:begin -->)[\s\S]*(<!-- clients:end -->)/
if (!marked.test(before))
  throw new Error("docs/clients.md has no <!-- clients:begin --> ... <!-- clients:end -->")
const after = before.replace(marked, (_, begin, end) => `${begin}\n\n${sections.join("\n\n")}\n\n${end}`)
if (!process.argv.includes("--check")) writeFileSync(page, after)
else if (after !== before) {
  process.stderr.write("docs/clients.md does not show the clients as they are: run `npm run docs`\n")
  process.exitCode = 1
}
