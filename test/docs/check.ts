/**
 * Checks the documentation: README.md, CHANGELOG.md and the like, docs/*.md.
 *
 *     links        relative ones and their anchors resolve; every page of docs/ is in docs/README.md
 *     sh, bash     each command is in commands.json, by which the suite runs it, and each of those is on a page
 *     toml         is a configuration that the server accepts, or a client's
 *     json, yaml   parses; variables of a client's `env` are those of the server
 *     ts, js       is one of the compiled examples; parses
 *     npm run      so is each script that a sentence names
 *     inline code  settings, variables, metrics, files, npm scripts and commands of `snowguard` that exist
 */
import { Either } from "effect"
import GithubSlugger from "github-slugger"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { Script } from "node:vm"
import * as Toml from "smol-toml"
import { parse as parseYaml } from "yaml"
import * as Cli from "../../src/cli/Cli.js"
import * as Commands from "../../src/cli/Commands.js"
import * as ServerConfig from "../../src/config/ServerConfig.js"
import type { Page, Token } from "./pages.js"
import { blocks, commandsOf, listed, pages, read, root, runs, scriptsOf } from "./pages.js"

/** What was true of earlier builds is no fault there. */
const isHistory = ({ path }: Page): boolean => path === "CHANGELOG.md"

const at = (page: { readonly path: string }, line: number, text: string) => `${page.path}:${line}: ${text}`

// Links

const headings = ({ tokens }: Page): ReadonlySet<string> => {
  const slugger = new GithubSlugger()
  const textOf = (token: Token): string =>
    (token.children ?? [])
      .filter(({ type }) => type === "text" || type === "code_inline")
      .map(({ content }) => content)
      .join("")
  return new Set(
    tokens.flatMap(({ token }, i) => {
      const within = tokens[i + 1]?.token
      return token.type === "heading_open" && within !== undefined ? [slugger.slug(textOf(within))] : []
    })
  )
}

const links = (page: Page) =>
  page.tokens.flatMap(({ line, token }) => {
    const name = token.type === "link_open" ? "href" : token.type === "image" ? "src" : undefined
    const href = String((name === undefined ? null : token.attrGet(name)) ?? "")
    if (href === "" || /^[a-z]+:/.test(href)) return []
    const [to = "", anchor] = decodeURI(href).split("#")
    const target = to === "" ? page.path : relative(root, resolve(root, dirname(page.path), to))
    return [{ anchor, href, line, target }]
  })

const linkFaults = (all: ReadonlyArray<Page>): ReadonlyArray<string> => {
  const anchors = new Map(all.map((page) => [page.path, headings(page)]))
  const contents = new Set(
    all
      .filter(({ path }) => path === "docs/README.md")
      .flatMap((page) => links(page).map(({ target }) => target))
  )
  return [
    ...all.flatMap((page) =>
      links(page).flatMap(({ anchor, href, line, target }) =>
        !existsSync(join(root, target))
          ? [at(page, line, `${href}: there is no ${target}`)]
          : anchor !== undefined && anchors.get(target)?.has(anchor) !== true
            ? [at(page, line, `${href}: ${target} has no heading #${anchor}`)]
            : []
      )
    ),
    ...all
      .filter(({ path }) => path.startsWith("docs/") && path !== "docs/README.md" && !contents.has(path))
      .map(({ path }) => `docs/README.md: ${path} is not in the table of contents`)
  ]
}

// Blocks

const settingsTable = ServerConfig.settingsTable()
const variables = [...new Set(settingsTable.match(/\bSNOW(?:GUARD|FLAKE)_\w+/g))]

/** A variable of a tier, a client or a receiver has its name within. */
const isVariable = (name: string): boolean =>
  variables.some((known) => new RegExp(`^${known.replace("_NAME_", "_\\w+_")}$`).test(name))

const examples = new Set(listed("test/examples").map((path) => read(path).trimEnd()))

/** Names of the environments that are anywhere in a document, as an MCP client's configuration has them. */
const environments = (document: unknown): ReadonlyArray<string> =>
  typeof document !== "object" || document === null
    ? []
    : Object.entries(document).flatMap(([key, value]) =>
        /^envs?$/.test(key) ? Object.keys(Object(value)) : environments(value)
      )

const clientFaults = (document: unknown): ReadonlyArray<string> =>
  environments(document)
    .filter((name) => !isVariable(name))
    .map((name) => `${name} is no variable of the server`)

const settingsFaults = (document: { readonly [key: string]: unknown }): ReadonlyArray<string> =>
  Either.match(ServerConfig.decode({ document }), {
    onLeft: (faults) => [faults.render()],
    onRight: () => []
  })

const blockFaults = (all: ReadonlyArray<Page>): ReadonlyArray<string> => {
  const known = runs()
  const used = new Set<string>()
  const shell = (text: string) =>
    commandsOf(text).flatMap((command) => {
      used.add(command)
      return command in known ? [] : [`\`${command}\` is run by no test: say how in test/docs/commands.json`]
    })
  const checks: { readonly [language: string]: (text: string) => ReadonlyArray<string> } = {
    sh: shell,
    bash: shell,
    toml: (text) => {
      const document = Toml.parse(text)
      return "mcp_servers" in document ? clientFaults(document) : settingsFaults(document)
    },
    json: (text) => clientFaults(JSON.parse(text)),
    yaml: (text) => clientFaults(parseYaml(text)),
    ts: (text) => (examples.has(text.trimEnd()) ? [] : ["is none of the compiled examples of test/examples"]),
    js: (text) => {
      new Script(text)
      return []
    },
    mermaid: () => [],
    text: () => [],
    "": () => []
  }
  const faults = all.flatMap((page) =>
    blocks(page).flatMap(({ language, line, text }) => {
      const check = checks[language]
      if (check === undefined) return [at(page, line, `nothing checks blocks of ${language}`)]
      try {
        return check(text).map((fault) => at(page, line, fault))
      } catch (error) {
        return [at(page, line, String(error))]
      }
    })
  )
  const named = all
    .filter((page) => !isHistory(page))
    .flatMap((page) => scriptsOf(page).map((script) => ({ page, script })))
  const unknown = named.flatMap(({ page, script }) => {
    used.add(script)
    return script in known
      ? []
      : [`${page.path}: \`${script}\` is run by no test: say how in test/docs/commands.json`]
  })
  const lost = Object.entries(known).flatMap(([command, { by }]) =>
    by === undefined || existsSync(join(root, by))
      ? []
      : [`test/docs/commands.json: ${command}: there is no ${by}`]
  )
  const unused = Object.keys(known).filter((command) => !used.has(command))
  return [
    ...faults,
    ...unknown,
    ...lost,
    ...unused.map((command) => `test/docs/commands.json: \`${command}\` is on no page`)
  ]
}

// Inline code

const scripts: { readonly [name: string]: string } = JSON.parse(read("package.json")).scripts

const settings = [...settingsTable.matchAll(/^\| `([\w.]+)` \|/gm)].map(([, path = ""]) => path)
const sections = new Set(settings.filter((path) => path.includes(".")).map((path) => path.split(".")[0]))
const isSetting = (path: string): boolean =>
  settings.some((known) => {
    const parts = known.split(".")
    return path.split(".").every((part, i) => part === parts[i] || /^(NAME|TOOL)$/.test(parts[i] ?? ""))
  })

const sources = readdirSync(join(root, "src"), { recursive: true })
  .map(String)
  .filter((file) => file.endsWith(".ts"))
  .map((file) => readFileSync(join(root, "src", file), "utf8"))
  .join("\n")

/** In the usage of a command, `a | b` is one or the other, and what is in brackets may be there. */
const written = (usage: string): ReadonlyArray<string> => {
  const [choice, first = "", others = ""] = /(\S+)((?: \| \S+)+)/.exec(usage) ?? []
  return choice === undefined
    ? [usage.replaceAll(/[[\]]|\.\.\./g, "")]
    : [first, ...others.split(" | ").slice(1)].flatMap((one) => written(usage.replace(choice, one)))
}

/** A command or an action by its name alone is no command line: it may need more. */
const names = new Set(
  Commands.commands.flatMap((command: Commands.CommandSpec) => [
    `snowguard ${command.name}`,
    ...(command.actions ?? []).map((action) => `snowguard ${command.name} ${action.name}`)
  ])
)

/** What stands for one of a few words. */
const placeholders: { readonly [word: string]: string } = {
  COMMAND: "keys",
  ACTION: "create",
  MODE: "normal"
}

const commandFaults = (usage: string): ReadonlyArray<string> =>
  written(usage).flatMap((line) => {
    if (names.has(line)) return []
    const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain = ""]) => quoted ?? plain)
    const parsed = Cli.parse(words.slice(1).map((word) => placeholders[word] ?? word))
    return Either.isLeft(parsed) ? [`${line}: ${parsed.left.render()}`] : []
  })

const inlineFaults = (text: string): ReadonlyArray<string> => {
  const [, path] = /^([a-z_]+\.[A-Za-z_.]*\w)(?: =|$)/.exec(text) ?? []
  const isPath = path !== undefined && sections.has(path.split(".")[0] ?? "")
  const [file] = /^(?:src|test|scripts|docs|ops)\/[\w./-]+$/.exec(text) ?? []
  return [
    ...[...text.matchAll(/\bSNOWGUARD_[A-Z0-9_]*[A-Z0-9]\b/g)]
      .filter(([name]) => !isVariable(name) && !name.startsWith("SNOWGUARD_SAMPLE"))
      .map(([name]) => `${name} is no variable of the server`),
    ...(isPath &&
    !/\.(?:json|toml|db|key|secret)$/.test(path) &&
    !isSetting(path) &&
    !isSetting(`tiers.NAME.${path}`)
      ? [`${path} is no setting`]
      : []),
    ...[...text.matchAll(/\bsnowguard_([a-z_]+[a-z])\b/g)]
      .filter(([, name = ""]) => !sources.includes(`_${name.replace(/_total$/, "")}`))
      .map(([name]) => `${name} is no metric of the server`),
    ...[...text.matchAll(/\bnpm run (?:-s )?([\w:]+)/g)]
      .filter(([, name = ""]) => !(name in scripts))
      .map(([, name]) => `there is no script ${name} in package.json`),
    ...(file !== undefined && !existsSync(join(root, file)) ? [`there is no ${file}`] : []),
    ...(/^snowguard /.test(text) ? commandFaults(text) : [])
  ]
}

const codeFaults = (page: Page): ReadonlyArray<string> =>
  page.tokens.flatMap(({ line, token }) => {
    if (token.type === "code_inline") return inlineFaults(token.content).map((fault) => at(page, line, fault))
    if (token.type === "code_block")
      return [at(page, line, "an indented block: fence it, and say its language")]
    if (token.type !== "fence" || token.info !== "") return []
    // A transcript, or how a command is written.
    return token.content
      .split("\n")
      .filter((one) => /^(\$ )?snowguard /.test(one))
      .flatMap((one) => commandFaults(one.replace(/^\$ /, "")).map((fault) => at(page, line, fault)))
  })

/** Everything that is wrong, a line each. */
export const faults = (): ReadonlyArray<string> => {
  const all = pages()
  return [
    ...linkFaults(all),
    ...blockFaults(all),
    ...all.filter((page) => !isHistory(page)).flatMap((page) => codeFaults(page))
  ]
}
