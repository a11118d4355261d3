// Builds dist/: `tsc` emits the library (one module per file, types and source maps), then esbuild makes two
// programs, each a launcher that runs one minified bundle with V8's code cache beside it: dist/bin.js, the
// binary, and dist/embedded.js, the process in which DuckDB runs. The bundles exist for start-up time only:
// hundreds of small ES modules, and compiling them, cost most of it. What is imported lazily in the sources is
// evaluated lazily in the bundle. Last the sample database is written into a file that those processes attach.
import { build } from "esbuild"
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { envelope, initialize } from "./handshake.mjs"

const root = fileURLToPath(new URL("..", import.meta.url))
const started = performance.now()
// Quick tries of the binary do not need the library.
const bundleOnly = process.argv.includes("--bundle-only")
// Built aside and moved into place as a whole: no reader finds half a dist/.
const out = `${root}/dist.building-${process.pid}`

const buildLibrary = () => {
  rmSync(`${root}/node_modules/.cache/build.tsbuildinfo`, { force: true })
  const tsc = spawnSync(
    process.execPath,
    [`${root}/node_modules/typescript/bin/tsc`, "-p", `${root}/tsconfig.build.json`, "--outDir", out],
    { stdio: "inherit" }
  )
  if (tsc.status !== 0) process.exit(tsc.status ?? 1)
  for (const end of ["js", "js.map", "d.ts", "d.ts.map"]) rmSync(`${out}/cli/bin.${end}`, { force: true })
  rmSync(`${out}/embedded`, { recursive: true })
}

// The SDKs' servers import AJV for elicitation, which this server never uses (and hands them a validator
// that says so). Loading AJV is a tenth of the start-up.
const noValidator = (name) =>
  `export class ${name} { constructor() { throw new Error("AJV is not bundled") } }`
const withoutAjv = {
  name: "without-ajv",
  setup: ({ onLoad }) => {
    onLoad({ filter: /@modelcontextprotocol[\\/]sdk[\\/].*[\\/]ajv-provider\.js$/ }, () => ({
      contents: noValidator("AjvJsonSchemaValidator")
    }))
    onLoad({ filter: /@modelcontextprotocol[\\/]server[\\/]dist[\\/]shimsNode\.mjs$/ }, () => ({
      contents: `${noValidator("DefaultJsonSchemaValidator")}\nexport { default as process } from "node:process"`
    }))
  }
}

const { dependencies = {}, optionalDependencies = {} } = JSON.parse(
  readFileSync(`${root}/package.json`, "utf8")
)
// Native drivers stay outside: they find their binaries relative to their own package.
const bundled = new Set([
  "@clack/prompts",
  "@modelcontextprotocol/sdk",
  "@modelcontextprotocol/server",
  "minisearch",
  "smol-toml"
])

// The JavaScript of DuckDB's driver is bundled; its native part is found from where the driver is installed.
const nativeOfDriver = {
  name: "native-of-driver",
  setup: ({ onLoad, onResolve }) => {
    onResolve({ filter: /^@duckdb\/node-bindings$/ }, () => ({ path: "node-bindings", namespace: "native" }))
    onLoad({ filter: /.*/, namespace: "native" }, () => ({
      contents:
        'const { createRequire } = require("node:module")\n' +
        'const driver = createRequire(__filename).resolve("@duckdb/node-api")\n' +
        'module.exports = createRequire(driver)("@duckdb/node-bindings")'
    }))
  }
}

const buildProgram = async (name, entry, driver) => {
  mkdirSync(`${out}/bundle`, { recursive: true })
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile: `dist/bundle/${name}.cjs`,
    bundle: true,
    write: false,
    format: "cjs",
    platform: "node",
    target: "node20",
    // A script that runs from a code cache has no import(): drivers are loaded by require(), as lazily.
    supported: { "dynamic-import": false },
    define: { "import.meta.url": "bundleUrl" },
    banner: { js: 'const bundleUrl = require("node:url").pathToFileURL(__filename).href;' },
    minify: true,
    legalComments: "none",
    plugins: [withoutAjv, ...(driver === undefined ? [] : [nativeOfDriver])],
    external: [...Object.keys(dependencies), ...Object.keys(optionalDependencies)].filter(
      (dependency) => !bundled.has(dependency) && dependency !== driver
    ),
    logLevel: "warning"
  })
  // The shebang is the launcher's, and so is the call of this function.
  const body = outputFiles[0].text.replace(/^(.*\n)?#!.*\n/, "$1")
  const code = `(function(exports,require,module,__filename,__dirname){${body}\n})`
  // V8 matches a cache to its source by length alone, so the two are matched by name here.
  const full = `${name}-${createHash("sha256").update(code).digest("hex").slice(0, 12)}`
  writeFileSync(`${out}/bundle/${full}.cjs`, code)
  return full
}

const launcher = (file, bundle) => {
  const text = readFileSync(`${root}/scripts/launcher.mjs`, "utf8").replace("@bundle@", bundle)
  writeFileSync(`${out}/${file}`, file === "bin.js" ? text : text.replace(/^#!.*\n/, ""))
}

/** Runs a program once, which writes its code cache when it ends. */
const warm = (file, name, args, input = "") => {
  // Not with the settings of the account that builds.
  const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith("SNOWGUARD_")))
  const ran = spawnSync(process.execPath, [`${out}/${file}`, ...args], {
    input,
    env: {
      ...env,
      SNOWGUARD_STATE_DIR: `${out}/state`,
      XDG_CONFIG_HOME: `${out}/state`,
      APPDATA: `${out}/state`,
      WRITE_SNOWGUARD_CODE_CACHE: name
    },
    cwd: out
  })
  if (ran.status !== 0) {
    process.stderr.write(`the built ${file} does not start:\n${ran.stderr}\n`)
    process.exit(1)
  }
}

const buildBinary = async () => {
  const name = await buildProgram("snowguard", "src/cli/bin.ts")
  launcher("bin.js", name)
  chmodSync(`${out}/bin.js`, 0o755)
  // Of both eras: a client that has asked what there is may still go on with `initialize`.
  const said = [
    ["server/discover", { _meta: envelope("build") }],
    ["initialize", initialize("build")],
    ["tools/list", {}]
  ]
  const lines = said.map(([method, params], id) => JSON.stringify({ jsonrpc: "2.0", id, method, params }))
  warm("bin.js", name, [], `${lines.join("\n")}\n`)
}

const buildEmbedded = async () => {
  const name = await buildProgram("embedded", "src/embedded/main.ts", "@duckdb/node-api")
  launcher("embedded.js", name)
  warm("embedded.js", name, ["--snapshot", `${out}/bundle/sample.duckdb`])
}

const moveIntoPlace = () => {
  rmSync(`${out}/state`, { recursive: true, force: true })
  if (bundleOnly && existsSync(`${root}/dist`)) {
    rmSync(`${root}/dist/bundle`, { recursive: true, force: true })
    for (const file of ["bundle", "bin.js", "embedded.js"])
      renameSync(`${out}/${file}`, `${root}/dist/${file}`)
  } else {
    rmSync(`${root}/dist`, { recursive: true, force: true })
    renameSync(out, `${root}/dist`)
  }
}

process.on("exit", () => rmSync(out, { recursive: true, force: true }))
if (!bundleOnly) buildLibrary()
await buildBinary()
await buildEmbedded()
moveIntoPlace()
process.stderr.write(`built dist/ in ${((performance.now() - started) / 1000).toFixed(1)} s\n`)
