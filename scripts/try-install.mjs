// The ways in, each tried from nothing, a row for each:
//   npm run try:install [-- --only NAME,NAME] [--json] [--keep]
// NAME is a name in the table below. Each works in a new directory, where this is run by root as another user, with an
// empty HOME: what only this account has cannot help. Packages come from the registry that npm is set up for. Tools that
// are tried with are installed into node_modules/.cache/try. Exits 1 if a way failed; one that cannot be tried on this
// machine says why, and fails nothing.
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import { fromSources } from "./fromSources.mjs"
import { install } from "./installed.mjs"
import * as Chart from "./try/chart.mjs"
import * as Container from "./try/container.mjs"
import { converse, done, ran } from "./try/conversation.mjs"

const root = fileURLToPath(new URL("..", import.meta.url))
const dir = join(root, "node_modules", ".cache", "try")
const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    json: { type: "boolean", default: false },
    keep: { type: "boolean", default: false }
  }
})

/** Another user than root: the number of the account `nobody`. */
const as = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}
const folders = []
/** A new directory of that user, or of `owner`. */
const folder = (owner = as) => {
  const made = mkdtempSync(join(tmpdir(), "snowguard-try-"))
  folders.push(made)
  if (owner.uid !== undefined) chownSync(made, owner.uid, owner.gid)
  return made
}
const npmSetting = (name) =>
  spawnSync("npm", ["config", "get", name], { encoding: "utf8", cwd: root }).stdout.trim()
/** The environment of that user: a path, a HOME, and where npm finds its registry. */
const environment = (home) => ({
  PATH: process.env.PATH,
  HOME: home,
  npm_config_cache: join(home, ".npm"),
  ...Object.fromEntries(
    ["registry", "cafile"]
      .map((name) => [`npm_config_${name}`, npmSetting(name)])
      .filter(([, value]) => value !== "" && value !== "null" && value !== "undefined")
  )
})

/** Done once for all ways that need it. */
const once = (make) => {
  let made
  return () => (made ??= make())
}

const tarball = once(async () => {
  const to = folder()
  await done("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", to], { cwd: root })
  return join(
    to,
    readdirSync(to).find((file) => file.endsWith(".tgz"))
  )
})

/** The package, installed by npm into an empty project. */
const installed = once(async () => {
  const home = folder()
  const project = folder()
  const env = environment(home)
  await done("npm", ["install", "--no-audit", "--no-fund", await tarball()], { cwd: project, env, as })
  return { home, project, bin: join(project, "node_modules", "snowguard", "dist", "bin.js"), env }
})

const node = (version) => {
  const name = `node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`
  const at = join(dir, `node-${version.split(".")[0]}`)
  install(at, { [name]: version })
  // Another user may not look into this directory.
  const to = join(folder(), "node")
  cpSync(join(at, "node_modules", name, "bin", "node"), to)
  chmodSync(to, 0o755)
  return to
}

/** A short form of the suite on one Node.js: stdio, the gate, a key, the HTTP server, and its end. */
const shortForm = async (program) => {
  const { bin, env, home, project } = await installed()
  const run = {
    cwd: project,
    env: { ...env, SNOWGUARD_STATE_DIR: join(home, `state-${folders.length}`) },
    as
  }
  const version = (await done(program, ["--version"], run)).trim()
  const seen = await converse(program, [bin], run)
  const gate = await ran(program, [bin, "check-sql", "DROP TABLE T"], run)
  if (gate.code === 0) throw new Error("check-sql accepts a DROP")
  const http = await Container.serve(program, [bin, "http", "--port", "0"], {
    ...run,
    key: (await done(program, [bin, "keys", "create", "ada"], run)).trim()
  })
  return `${version}: ${seen.tools} tools over stdio, a key, ${http} over HTTP, SIGTERM ends with 0`
}

const mcpb = async () => {
  const out = folder({})
  await done(process.execPath, [join(root, "scripts", "mcpb.mjs"), "--platform", "linux-x64", "--out", out], {
    cwd: root
  })
  const [file] = readdirSync(out)
  const unpacked = folder()
  const tool = join(
    root,
    "node_modules",
    ".cache",
    "mcpb",
    "tool",
    "node_modules",
    "@anthropic-ai",
    "mcpb",
    "dist"
  )
  const { getMcpConfigForManifest, unpackExtension } = await import(
    pathToFileURL(join(tool, "index.js")).href
  )
  const bundle = join(unpacked, "bundle")
  if (!(await unpackExtension({ mcpbPath: join(out, file), outputDir: bundle, silent: true })))
    throw new Error(`${file} cannot be unpacked`)
  const manifest = JSON.parse(readFileSync(join(bundle, "manifest.json"), "utf8"))
  // As a desktop client fills in the settings: what was not given is empty.
  const configured = (userConfig) =>
    getMcpConfigForManifest({
      manifest,
      extensionPath: bundle,
      systemDirs: {},
      userConfig,
      pathSeparator: "/"
    })
  const home = folder()
  const run = (config) => ({ cwd: home, env: { PATH: process.env.PATH, HOME: home, ...config.env }, as })
  const sample = await configured({ serve: "duckdb" })
  const seen = await converse(sample.command, sample.args, run(sample))
  const listed = manifest.tools.length
  if (listed !== seen.tools) throw new Error(`the manifest lists ${listed} tools, the server ${seen.tools}`)
  const account = await configured({ account: "myorg-myaccount", user: "agent", token: "a-secret-token" })
  const shown = await done(account.command, [...account.args, "--print-config"], run(account))
  for (const value of ["myorg-myaccount", "agent"])
    if (!shown.includes(value)) throw new Error(`the settings of a user do not arrive: no ${value}`)
  if (shown.includes("a-secret-token")) throw new Error("the token is shown")
  return `${file}: ${seen.tools} tools, ${seen.rows} orders counted, the account's settings arrive`
}

/** The snippets for clients: the command that each starts, as its format is read, is run. */
const clients = async () => {
  const { clients, exampleEnv } = await fromSources("src/cli/clients.ts")
  const { launchOf } = await fromSources("test/utils/clientFormats.ts")
  const home = folder()
  const launch = { command: process.execPath, args: [join(root, "dist", "bin.js")], env: exampleEnv }
  for (const { name, snippet } of clients) {
    const { args, command, env } = launchOf(await Effect.runPromise(snippet(launch)))
    // The account of the example does not exist: the same command answers from the sample.
    const run = {
      cwd: home,
      env: { PATH: process.env.PATH, HOME: home, ...env, SNOWGUARD_WAREHOUSE: "duckdb" }
    }
    await converse(command, args, run).catch((error) => {
      throw new Error(`${name}: ${error.message}`)
    })
  }
  return `${clients.length} snippets read as their clients read them, each command run`
}

const dockerfile = async () => {
  const at = join(dir, "docker")
  install(at, { "dockerfile-utils": "0.16.3" })
  const text = readFileSync(join(root, "Dockerfile"), "utf8")
  const utils = await import(
    pathToFileURL(join(at, "node_modules", "dockerfile-utils", "lib", "main.js")).href
  )
  const found = (utils.validate ?? utils.default.validate)(text, {})
  if (found.length > 0)
    throw new Error(found.map(({ message, range }) => `line ${range.start.line + 1}: ${message}`).join("; "))
  const compose = await ran("docker-compose", [
    "-f",
    join(root, "ops", "compose", "compose.yaml"),
    "config",
    "--quiet"
  ]).catch(() => undefined)
  if (compose !== undefined && compose.code !== 0) throw new Error(compose.stderr)
  return `dockerfile-utils finds nothing; compose file: ${compose === undefined ? "not tried, no docker-compose" : "read by docker-compose"}`
}

const image = async () => {
  const reason = Container.missing()
  if (reason !== undefined) return { skipped: reason }
  const work = folder({})
  const npm = join(spawnSync("npm", ["root", "-g"], { encoding: "utf8" }).stdout.trim(), "npm")
  const npmrc = [npmSetting("globalconfig")].filter(existsSync)
  const built = await Container.build({ folder: work, node: node("22.23.5"), npm, npmrc, root })
  const { stopMs, tools } = await Container.run(built, work)
  return `built by buildah on a stand-in for the base image; as process 1 and user ${built.config.User}, read-only root: ${tools} tools, healthy, HTTP with a key, children waited for, SIGTERM ends it in ${stopMs} ms`
}

const ways = [
  {
    name: "npx",
    way: "npx from the packed package",
    needs: "Node.js 20.19, a registry",
    run: async () => {
      const home = folder()
      const seen = await converse("npx", ["--yes", `--package=${await tarball()}`, "--", "snowguard"], {
        ...{ cwd: folder(), env: environment(home), as }
      })
      return `${seen.server}: ${seen.tools} tools, ${seen.rows} orders counted`
    }
  },
  ...[undefined, "22.23.5", "24.22.3"].map((version) => ({
    name: `node${(version ?? process.versions.node).split(".")[0]}`,
    way: `npm install, on Node.js ${(version ?? process.versions.node).split(".")[0]}`,
    needs: "a registry",
    run: () => shortForm(version === undefined ? process.execPath : node(version))
  })),
  { name: "mcpb", way: "bundle for desktop clients", needs: "a client with a Node.js", run: mcpb },
  { name: "clients", way: "snippets for clients", needs: "the built server", run: clients },
  { name: "dockerfile", way: "Dockerfile and compose file, linted", needs: "", run: dockerfile },
  { name: "image", way: "container image", needs: "an engine, an image registry", run: image },
  {
    name: "chart",
    way: "Helm chart",
    needs: "a cluster, the image in a registry of yours",
    run: async () => {
      const { documents, refused } = await Chart.check({ dir, home: folder({}), root })
      return `helm lint; ${documents} objects fit Kubernetes' definitions; ${refused} wrong values are refused`
    }
  }
]

const wanted = options.only?.split(",") ?? ways.map(({ name }) => name)
const unknown = wanted.filter((name) => !ways.some((way) => way.name === name))
if (unknown.length > 0) {
  process.stderr.write(`--only takes names of: ${ways.map(({ name }) => name).join(", ")}\n`)
  process.exit(2)
}
if (!existsSync(join(root, "dist", "bin.js"))) {
  process.stderr.write("dist/ is not built: npm run build\n")
  process.exit(1)
}
mkdirSync(dir, { recursive: true })
const rows = []
if (!options.json) process.stdout.write("| way | needs | seconds | result |\n| --- | --- | --- | --- |\n")
try {
  for (const { name, needs, run, way } of ways.filter(({ name }) => wanted.includes(name))) {
    const started = performance.now()
    const row = { name, way, needs }
    try {
      const result = await run()
      Object.assign(
        row,
        result.skipped === undefined
          ? { ok: true, result }
          : { ok: true, result: `not tried: ${result.skipped}` }
      )
    } catch (error) {
      Object.assign(row, { ok: false, result: error instanceof Error ? error.message : String(error) })
    }
    row.seconds = Math.round((performance.now() - started) / 100) / 10
    rows.push(row)
    if (!options.json) {
      const result = `${row.ok ? "" : "FAILED: "}${row.result.replaceAll("\n", " ").replaceAll("|", "\\|")}`
      process.stdout.write(`| ${way} | ${needs} | ${row.seconds} | ${result} |\n`)
    }
  }
} finally {
  if (!options.keep) for (const made of folders) rmSync(made, { recursive: true, force: true, maxRetries: 3 })
}
if (options.json) process.stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`)
process.exitCode = rows.every(({ ok }) => ok) ? 0 : 1
