/** The pages of the documentation, as Markdown is read. */
import MarkdownIt from "markdown-it"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

/** Not by `import.meta.url`, which a bundle has of its own. */
export const root = process.cwd()

export const read = (path: string): string => readFileSync(join(root, path), "utf8")

/** The files of a folder, from the root on. */
export const listed = (folder: string): ReadonlyArray<string> =>
  readdirSync(join(root, folder)).map((file) => join(folder, file))

const markdown = new MarkdownIt({ html: true })

export type Token = ReturnType<typeof markdown.parse>[number]

export interface Page {
  readonly path: string
  /** Blocks, and what is within them, each with its line. */
  readonly tokens: ReadonlyArray<{ readonly line: number; readonly token: Token }>
}

/** What is within a block, as the cell of a table, has no line of its own. */
const flat = (tokens: ReadonlyArray<Token>): Page["tokens"] => {
  const lines = tokens.reduce<ReadonlyArray<number>>(
    (before, { map }) => [...before, map === null ? (before.at(-1) ?? 1) : map[0] + 1],
    []
  )
  return tokens.flatMap((token, i) => {
    const line = lines[i] ?? 1
    return [{ line, token }, ...(token.children ?? []).map((child) => ({ line, token: child }))]
  })
}

export const pages = (): ReadonlyArray<Page> =>
  [...listed("."), ...listed("docs")]
    .filter((path) => path.endsWith(".md"))
    .map((path) => ({ path, tokens: flat(markdown.parse(read(path), {})) }))

export interface Block {
  readonly path: string
  readonly line: number
  readonly language: string
  readonly text: string
}

export const blocks = ({ path, tokens }: Page): ReadonlyArray<Block> =>
  tokens
    .filter(({ token }) => token.type === "fence")
    .map(({ line, token }) => ({ path, line, language: token.info.trim(), text: token.content }))

/** The commands of a block of shell: lines that end with a backslash are joined, comments left out. */
export const commandsOf = (text: string): ReadonlyArray<string> =>
  text
    .replaceAll(/\\\n\s*/g, "")
    .split("\n")
    .map((line) => line.replace(/(?:^|\s)#.*$/, "").trim())
    .filter((line) => line !== "")

/** The scripts of package.json that a page names in a sentence, as `npm run NAME`. */
export const scriptsOf = ({ tokens }: Page): ReadonlyArray<string> =>
  tokens
    .filter(({ token }) => token.type === "code_inline")
    .flatMap(({ token }) => token.content.match(/\bnpm run [\w:]+/g) ?? [])

/** How the command of a page is run by the suite. */
export interface Run {
  /** In place of the command, and `because` of what. */
  readonly as?: string
  readonly because?: string
  /** A server: the next command is run when it has written this, and it is ended after the last. */
  readonly until?: string
  /** What it writes, on stdout or stderr. */
  readonly writes?: string
  /** It is not run, because it needs this. */
  readonly needs?: string
  /** The test file that runs the same for a shorter time. */
  readonly by?: string
}

export const runs = (): { readonly [command: string]: Run } => JSON.parse(read("test/docs/commands.json"))
