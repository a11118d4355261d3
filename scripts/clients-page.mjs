// Writes the configuration of each client into docs/clients.md, from src/cli/clients.ts. `--check` writes nothing and
// exits 1 when the page says something else.
import * as Effect from "effect/Effect"
import { fromSources } from "./fromSources.mjs"
import { section } from "./section.mjs"

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

section("docs/clients.md", "clients", sections.join("\n\n"))
