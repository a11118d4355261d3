// The packed library in projects of their own, as npm installs it: with the lowest and the highest peers it allows, with
// `effect` alone, and without optional dependencies. In each there is one `effect`, npm warns of nothing but install scripts,
// the examples compile and run. Asks the package registry; nothing of it is part of the test suite.
//   npm run try:library
import { spawnSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const { devDependencies, peerDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
const home = mkdtempSync(join(tmpdir(), "snowguard-library-"))
process.on("exit", () => rmSync(home, { recursive: true, force: true }))

// Not with what this very npm was told.
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)))

const run = (cwd, command, ...args) => {
  const ran = spawnSync(command, args, { cwd, env, encoding: "utf8", timeout: 600_000, input: "" })
  if (ran.status !== 0) throw new Error(`${command} ${args.join(" ")}: ${ran.stdout}${ran.stderr}`)
  return ran
}
const tarball = join(
  home,
  run(root, "npm", "pack", "--ignore-scripts", "--silent", "--pack-destination", home).stdout.trim()
)

const peers = Object.entries(peerDependencies)
const lowest = peers.map(([name, range]) => `${name}@${range.replace("^", "")}`)
const highest = peers.map(([name, range]) => `${name}@${range}`)

/** Every `effect` below `node_modules`. */
const copies = (cwd) =>
  JSON.parse(run(cwd, "npm", "query", "[name=effect]").stdout).map(({ location, version }) => ({
    location,
    version
  }))

/** What npm said that was not of install scripts, which it does not run, and which are not needed. */
const warnings = (stderr) =>
  stderr.split("\n").filter((line) => /warn|ERR/i.test(line) && !line.startsWith("npm warn install-scripts"))

const guarded = `import * as Effect from "effect/Effect"
import { ApiError, layer, protect } from "./out/guardAnything.js"
const said = await Effect.runPromise(Effect.provide(protect("ann", Effect.succeed("body")), layer))
if (said !== "body") throw new Error(said)`

const compile = (cwd, examples) => {
  for (const file of examples) cpSync(join(root, "test/examples", `${file}.ts`), join(cwd, `${file}.ts`))
  const compilerOptions = {
    module: "NodeNext",
    target: "ES2022",
    lib: ["ES2023"],
    types: ["node"],
    strict: true
  }
  const options = { ...compilerOptions, skipLibCheck: true, declaration: true, outDir: "out" }
  const files = examples.map((file) => `${file}.ts`)
  writeFileSync(join(cwd, "tsconfig.json"), JSON.stringify({ compilerOptions: options, files }))
  run(cwd, join(cwd, "node_modules/.bin/tsc"), "-p", ".")
}

const all = readdirSync(join(root, "test/examples")).flatMap((file) =>
  file.endsWith(".ts") && !file.endsWith(".test.ts") ? [file.slice(0, -3)] : []
)
const ways = [
  { name: "lowest peers", packages: lowest, examples: all },
  { name: "highest peers", packages: highest, examples: all },
  // The only example that needs the platform is the one that runs on it.
  {
    name: "effect alone",
    packages: [`effect@${peerDependencies.effect}`],
    examples: all.filter((example) => example !== "ownStore")
  },
  {
    name: "layers alone",
    packages: [`effect@${peerDependencies.effect}`, "--omit=optional"],
    examples: ["guardAnything"]
  }
]
const types = ["typescript", "@types/node"].map((name) => `${name}@${devDependencies[name]}`)
let failed = 0
for (const { examples, name, packages } of ways) {
  const cwd = join(home, name.replace(" ", "-"))
  mkdirSync(cwd)
  writeFileSync(join(cwd, "package.json"), JSON.stringify({ name: "own", private: true, type: "module" }))
  const begun = performance.now()
  try {
    const { stderr } = run(cwd, "npm", "install", "--no-audit", "--no-fund", tarball, ...packages)
    const seconds = ((performance.now() - begun) / 1000).toFixed(0)
    const [kib] = run(cwd, "du", "-sk", "node_modules").stdout.split("\t")
    const found = copies(cwd)
    const problems = warnings(stderr)
    if (found.length !== 1) problems.push(`effect is there ${found.length} times: ${JSON.stringify(found)}`)
    run(
      cwd,
      "npm",
      "install",
      "--no-audit",
      "--no-fund",
      ...types,
      ...packages.filter((each) => each.startsWith("--"))
    )
    compile(cwd, examples)
    writeFileSync(join(cwd, "guarded.mjs"), guarded)
    run(cwd, process.execPath, "guarded.mjs")
    if (problems.length > 0) throw new Error(problems.join("\n"))
    console.log(
      `${name.padEnd(16)} ok   effect ${found[0].version}, ${(kib / 1024).toFixed(0)} MiB, ${seconds} s`
    )
  } catch (error) {
    failed += 1
    console.log(`${name.padEnd(16)} FAILED ${error.message}`)
  }
}
process.exitCode = failed === 0 ? 0 : 1
