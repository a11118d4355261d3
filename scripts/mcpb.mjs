// Builds MCP bundles (.mcpb), which desktop clients install with one click, a bundle for each platform:
//   npm run build:mcpb [-- --platform linux-x64,darwin-arm64] [--out FOLDER]
// A bundle holds the built binary, the packages that it does not have in itself, and the native parts of that platform,
// all at the versions of package-lock.json: nothing is fetched when it is installed or started. npm itself picks the
// packages of a platform. The manifest is checked, and the bundle packed, by the format's own tool, which is installed
// into node_modules/.cache/mcpb.
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { join, resolve } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import { fromSources } from "./fromSources.mjs"
import { initialize } from "./handshake.mjs"
import { install } from "./installed.mjs"

const root = fileURLToPath(new URL("..", import.meta.url))
const cache = join(root, "node_modules", ".cache", "mcpb")
const platforms = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64", "win32-x64"]
const tool = { "@anthropic-ai/mcpb": "2.1.2" }

const { values: options } = parseArgs({
  options: {
    platform: { type: "string", default: platforms.join() },
    out: { type: "string", default: join(root, "bundles") }
  }
})
const chosen = options.platform.split(",")
const fail = (message) => {
  process.stderr.write(`mcpb: ${message}\n`)
  process.exit(1)
}
for (const platform of chosen) {
  if (!platforms.includes(platform)) fail(`--platform takes ${platforms.join(", ")}; got ${platform}`)
}
if (!existsSync(`${root}dist/bin.js`)) fail("dist/ is not built: npm run build")

const project = JSON.parse(readFileSync(`${root}package.json`, "utf8"))

/** What the built binary loads at run time: the packages that its own code names. */
const loaded = () => {
  const bundles = readdirSync(`${root}dist/bundle`).filter((file) => file.endsWith(".cjs"))
  const code = bundles.map((file) => readFileSync(`${root}dist/bundle/${file}`, "utf8")).join("\n")
  const asked = ({ name }) => code.includes(`"${name}"`) || code.includes(`"${name}/`)
  return Object.entries({ ...project.dependencies, ...project.optionalDependencies })
    .map(([name, version]) => ({ name, version }))
    .filter(asked)
}

const run = (command, args, cwd) => {
  const { error, status, stderr } = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    shell: process.platform === "win32"
  })
  if (status !== 0) fail(`${command} ${args.join(" ")} ended with ${status}: ${error ?? stderr}`)
}

/** The tools as the server lists them. */
const toolsOf = () => {
  const state = mkdtempSync(join(cache, "state-"))
  const requests = [
    { id: 0, method: "initialize", params: initialize("mcpb") },
    { id: 1, method: "tools/list", params: {} }
  ]
  const { stderr, stdout } = spawnSync(process.execPath, [`${root}dist/bin.js`], {
    input: requests.map((one) => `${JSON.stringify({ jsonrpc: "2.0", ...one })}\n`).join(""),
    encoding: "utf8",
    cwd: state,
    env: { PATH: process.env.PATH, HOME: state, XDG_CONFIG_HOME: state, SNOWGUARD_STATE_DIR: state }
  })
  rmSync(state, { recursive: true, force: true })
  const answer = stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line))
    .find(({ id }) => id === 1)
  if (answer === undefined) fail(`the built server lists no tools: ${stderr}`)
  return answer.result.tools.map(({ description, name }) => ({ name, description }))
}

/** The manifest of a platform's bundle. */
const manifestOf = (platform, { settings, tools }) => {
  return {
    manifest_version: "0.3",
    name: project.name,
    display_name: "Snowguard",
    version: project.version,
    description: project.description,
    author: { name: "The Snowguard authors" },
    license: project.license,
    keywords: project.keywords,
    server: {
      type: "node",
      entry_point: "dist/bin.js",
      mcp_config: {
        command: "node",
        args: ["${__dirname}/dist/bin.js"],
        // An empty variable is one that is not set.
        env: Object.fromEntries(settings.map(({ key, variable }) => [variable, `\${user_config.${key}}`]))
      }
    },
    tools,
    user_config: Object.fromEntries(
      settings.map(({ choices: [first] = [""], description, isSecret, key, kind, title }) => [
        key,
        {
          type: kind === "file" ? "file" : "string",
          title,
          description,
          required: false,
          default: first,
          ...(isSecret ? { sensitive: true } : {})
        }
      ])
    ),
    compatibility: {
      platforms: [platform.split("-")[0]],
      runtimes: { node: project.engines.node }
    }
  }
}

/** The packages of the platform, installed as the lock file has them and cut down to what the binary loads. */
const packages = (folder, platform) => {
  const [os, cpu] = platform.split("-")
  const npm = (...args) =>
    run(
      "npm",
      [
        ...args,
        "--omit=dev",
        "--omit=peer",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--silent"
      ].concat([`--os=${os}`, `--cpu=${cpu}`], os === "linux" ? ["--libc=glibc"] : []),
      folder
    )
  for (const file of ["package.json", "package-lock.json"]) cpSync(`${root}${file}`, join(folder, file))
  npm("ci")
  const dependencies = Object.fromEntries(loaded().map(({ name, version }) => [name, version]))
  const { engines, license, name, type, version } = project
  writeFileSync(
    join(folder, "package.json"),
    JSON.stringify({ name, version, license, type, engines, private: true, dependencies }, undefined, 2)
  )
  npm("prune", "--offline")
  rmSync(join(folder, "package-lock.json"))
  rmSync(join(folder, "node_modules", ".package-lock.json"), { force: true })
  // The binding of the quota store has the binaries of all platforms, and the sources they were made of.
  const sqlite = join(folder, "node_modules", "@photostructure", "sqlite")
  rmSync(join(sqlite, "src"), { recursive: true, force: true })
  for (const one of readdirSync(join(sqlite, "prebuilds"))) {
    if (one !== platform) rmSync(join(sqlite, "prebuilds", one), { recursive: true })
  }
}

/** What a bundle for this platform cannot do without. */
const parts = (platform) => [
  "dist/bin.js",
  "dist/embedded.js",
  "dist/bundle/sample.duckdb",
  `node_modules/@duckdb/node-bindings-${platform}/duckdb.node`,
  `node_modules/@photostructure/sqlite/prebuilds/${platform}`,
  "node_modules/snowflake-sdk/package.json"
]

const build = async (platform, shared) => {
  const folder = join(cache, platform)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  packages(folder, platform)
  mkdirSync(join(folder, "dist"))
  for (const file of ["bin.js", "embedded.js"]) cpSync(`${root}dist/${file}`, join(folder, "dist", file))
  cpSync(`${root}dist/bundle`, join(folder, "dist", "bundle"), {
    recursive: true,
    // V8's code cache was made on this machine. Without it a start compiles the code.
    filter: (file) => !file.endsWith(".cache") || platform === `${process.platform}-${process.arch}`
  })
  cpSync(`${root}LICENSE`, join(folder, "LICENSE"))
  writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifestOf(platform, shared), undefined, 2))
  const out = join(resolve(options.out), `snowguard-${project.version}-${platform}.mcpb`)
  if (!(await shared.pack({ extensionPath: folder, outputPath: out, silent: true }))) {
    fail(`the manifest of ${platform} is not valid: npx mcpb validate ${folder}/manifest.json`)
  }
  for (const part of parts(platform)) {
    if (!existsSync(join(folder, part))) fail(`the packages for ${platform} do not have ${part}`)
  }
  const sha256 = createHash("sha256").update(readFileSync(out)).digest("hex")
  rmSync(folder, { recursive: true, force: true })
  process.stdout.write(
    `${JSON.stringify({ platform, file: out, megabytes: Math.round(statSync(out).size / 1e6), sha256 })}\n`
  )
}

mkdirSync(cache, { recursive: true })
install(join(cache, "tool"), tool)
const main = join(cache, "tool", "node_modules", "@anthropic-ai", "mcpb", "dist", "index.js")
const { packExtension: pack } = await import(pathToFileURL(main).href)
const { settings } = await fromSources("src/cli/clients.ts")
const shared = { settings, pack, tools: toolsOf() }
for (const platform of chosen) await build(platform, shared)
